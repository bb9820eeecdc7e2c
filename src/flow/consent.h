/* Security Consent Forms: prepared, signed and withdrawn by a provider's Authorized Official, decided and revoked by the
 * help desk, and printed. All [wait]. */
#pragma once

#include "flow/flow.h"

/* Somebody to whom the form opens the records, or would. */
struct consent_person {
	const char *uid, *name;      /* name: NULL if it is not known */
	const char *association;     /* NULL: he is the Authorized Official of the provider, which is the employer too */
	bool active;                 /* his account is */
};
#define CONSENT_PEOPLE_MOST 500
struct consent_info {
	struct entry entry;          /* without its text */
	const char *tracking;        /* the form's name on paper: SCF and three groups of four */
	const char *text, *digest;   /* what is signed, and its SHA-256; NULL in lists */
	const char *provider_name, *employer_name;
	bool in_effect;              /* approved and in its time; one that is over has the state expired */
	bool needs_confirmation;     /* decided or signed before the present Authorized Official came */
	bool for_desk;               /* ticket and identified_by may be told */
	struct consent_person *people; /* at most CONSENT_PEOPLE_MOST; NULL in lists */
	size_t people_count, people_told;
};

struct consent_wish {
	const char *provider, *employer;
	int64_t not_before, not_after; /* 0: from its approval on; open */
	const char *key;               /* Idempotency-Key, or NULL */
};
/* consent.prepare. ERR_INVALID with problems: of the times. *made: false if the same request under the same key has made it
 * before. */
struct err flow_prepare_consent(struct arena *, struct flow *, const struct caller *, const struct consent_wish *,
    struct answer *, struct consent_info *out, bool *made, struct form_problems *);
/* For the provider's Authorized Official, the help desk and auditors. ERR_NOT_FOUND: not for him, or none such. */
struct err flow_view_consent(struct arena *, struct flow *, const struct caller *, const char *id, struct consent_info *out,
    struct revision *);

struct consent_filter {
	const char *provider, *employer, *tracking; /* NULL: any */
	enum state state;                           /* STATE_NONE: any */
};
struct err flow_list_consents(struct arena *, struct flow *, const struct caller *, const struct consent_filter *,
    const struct page *, struct consent_info **out, size_t *count, const char **next);

/* consent.sign. digest: of the text that he has read; ERR_CONFLICT if it is not the form's. */
struct err flow_sign_consent(struct arena *, struct flow *, const struct caller *, const char *id, const char *digest,
    const struct revision *expected, struct answer *, struct consent_info *out);
/* consent.receive, in two steps of which the first may be left out: a scan of the paper is kept with the form; the form has
 * come signed. */
struct err flow_scan_consent(struct arena *, struct flow *, const struct caller *, const char *id, const struct grounds *,
    const struct upload *, const struct revision *expected, struct answer *, struct consent_info *out);
struct err flow_receive_consent(struct arena *, struct flow *, const struct caller *, const char *id,
    const struct grounds *, const struct revision *expected, struct answer *, struct consent_info *out);
/* consent.withdraw, .approve, .reject, .revoke and .confirm. ERR_INVALID: grounds that are missing or too long. expected:
 * from If-Match, or empty. ERR_CONFLICT: it has changed since. */
struct err flow_decide_consent(struct arena *, struct flow *, const struct caller *, enum action, const char *id,
    const struct grounds *, const struct revision *expected, struct answer *, struct consent_info *out);

/* For the help desk: writes the scan into the file. ERR_NOT_FOUND: there is none (any more). */
struct err flow_read_scan(struct arena *, struct flow *, const struct caller *, const char *id, int file, struct answer *,
    struct attachment *out);

enum consent_page { CONSENT_HTML, CONSENT_PDF, CONSENT_TEXT };
struct consent_form {
	const char *bytes;
	size_t size;
	const char *style;         /* HTML: the source of its style, for a Content-Security-Policy */
	const char *tracking;
};
/* The form to be read or printed; CONSENT_TEXT: what is signed and nothing else. For whom flow_view_consent shows it. */
struct err flow_consent_form(struct arena *, struct flow *, const struct caller *, const char *id, enum consent_page,
    struct consent_form *out);
