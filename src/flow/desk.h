/* The help desk's own: the queue of what waits for it, the accounts that it looks after, and the cases that people open. All
 * [wait]. */
#pragma once

#include "flow/flow.h"

struct desk_item {
	const char *kind; /* claim, consent, association, revocation, no_official, verification, account, official_left */
	struct entry entry;
};
struct desk_filter { const char *kind, *provider; }; /* NULL: any */
/* Newest change first. ERR_INVALID: no such kind. */
struct err flow_desk_queue(struct arena *, struct flow *, const struct caller *, const struct desk_filter *,
    const struct page *, struct answer *, struct desk_item **out, size_t *count, const char **next);

struct desk_tie {
	const char *id, *provider, *employer;
	enum state state;
};
struct desk_account {
	struct entry entry;
	struct dir_failures failures;
	const char *roles[4];             /* ends with NULL */
	const char *const *official_of;   /* organizations; ends with NULL */
	struct desk_tie *ties;            /* associations that are pending or approved */
	size_t tie_count, sessions;
};
/* ERR_NOT_FOUND: there is no such account. */
struct err flow_desk_account(struct arena *, struct flow *, const struct caller *, const char *uid, struct answer *,
    struct desk_account *out);
/* account.unlock, .reset, .disable, .enable, .remove and .second_factor.remove. The desk never sees or sets a password: a
 * reset mails the link to the account's own address. ERR_INVALID: grounds that are missing, or no address to mail to. expected:
 * from If-Match, or empty. */
struct err flow_desk_act(struct arena *, struct flow *, const struct caller *, enum action, const char *uid,
    const struct grounds *, const struct revision *expected, struct answer *, struct desk_account *out);

struct case_info {
	struct entry entry;
	bool for_desk; /* ticket and identified_by may be told */
};
/* Somebody asks for help with his own account. *made: false if one of his is open already; that one is told then. */
struct err flow_open_case(struct arena *, struct flow *, const struct caller *, const char *note, struct case_info *out,
    bool *made);
/* For whoever opened it, the help desk and auditors. */
struct err flow_view_case(struct arena *, struct flow *, const struct caller *, const char *id, struct case_info *out);
/* case.close */
struct err flow_close_case(struct arena *, struct flow *, const struct caller *, const char *id, const struct grounds *,
    const struct revision *expected, struct answer *, struct case_info *out);
