/* Accounts of people: registering, the profile, and passwords that were forgotten. A link that is mailed proves that the
 * address is one's own before anything is done with it; what strangers are told depends on nothing that is in here. */
#pragma once

#include "flow/flow.h"

/* How a request that ends in a mail was taken. Whoever the address belongs to, the answer is the same. */
struct mailed {
	struct form_problems problems; /* what is wrong with the request itself; count 0: it was taken */
	bool too_many;                 /* mails asked for from this address: 429 */
	int64_t answer_at;             /* as in struct sign_in */
};

struct registration {
	const char *name, *mail;
	const char *username; /* what the user ID is to begin with; NULL: with the name */
};
/* [waits] ERR_UNAVAILABLE: there is no mail. */
struct err flow_register(struct arena *, struct flow *, const struct caller *, const struct registration *,
    struct mailed *out);
/* [waits] token: of the link. ERR_NOT_FOUND: it is not, or not any more. ERR_CONFLICT: the address has got an account
 * meanwhile. problems: of the password or the phone; then the link is still good. */
struct err flow_register_finish(struct arena *, struct flow *, const struct caller *, const char *token,
    const char *password, size_t password_size, const char *phone, struct entry *out, struct form_problems *,
    struct revision *);

struct profile {
	struct entry person;         /* its revision is the ETag */
	const char *mail_to_confirm; /* flow_profile_change: it was mailed to; NULL: there is none */
	const char *managed_at;      /* where somebody of another realm changes it; NULL: here */
};
/* [waits] */
struct err flow_profile(struct arena *, struct flow *, const struct caller *, struct profile *out);
struct profile_change {
	const char *name, *mail, *phone; /* NULL: stays */
	bool no_phone;                   /* it is taken out */
};
/* [waits] why: ok, managed_elsewhere, or, for another mail address, reauthentication_required. The new address counts
 * once the link that is mailed to it was used. ERR_CONFLICT: the profile is not as expected any more. */
struct err flow_profile_change(struct arena *, struct flow *, const struct caller *, const struct profile_change *,
    const struct revision *expected, struct profile *out, enum reason *why, struct mailed *, struct revision *);
/* [waits] Errors as flow_register_finish. */
struct err flow_mail_confirm(struct arena *, struct flow *, const struct caller *, const char *token,
    struct revision *);

/* [waits] By mail address or by user ID; the other is NULL. */
struct err flow_reset_request(struct arena *, struct flow *, const struct caller *, const char *mail,
    const char *username, struct mailed *out);
/* [waits] Sets the password, ends every session and unlocks. ERR_NOT_FOUND and problems as flow_register_finish. */
struct err flow_reset_finish(struct arena *, struct flow *, const struct caller *, const char *token,
    const char *password, size_t password_size, struct form_problems *, struct revision *);

/* Where people of the other realm look after their accounts. */
const char *flow_nppes_link(const struct flow *);
