/* Who may act for a provider through whom: associations as they are asked for, decided and ended. All [wait]. */
#pragma once

#include "flow/flow.h"

struct association_info {
	struct entry entry;        /* its state by the clock: what is over is told as expired */
	const char *user_name, *employer_name; /* for whoever decides on it; else NULL */
	bool needs_confirmation;   /* approved before the present Authorized Official was installed */
	bool for_desk;             /* ticket and identified_by may be told */
};
/* For himself. key: Idempotency-Key, or NULL: with one, the same request is told once more while it is pending, and
 * *made is false. */
struct err flow_request_association(struct arena *, struct flow *, const struct caller *, const char *provider,
    const char *employer, const char *key, struct answer *, struct association_info *out, bool *made);
struct err flow_view_association(struct arena *, struct flow *, const struct caller *, const char *id,
    struct association_info *out, struct revision *);

struct association_filter {
	const char *provider, *employer, *user; /* NULL: any; user: for whoever decides, else his own */
	enum state state;                       /* STATE_NONE: any */
};
/* Those that the caller may see: without a provider and a user his own. */
struct err flow_list_associations(struct arena *, struct flow *, const struct caller *,
    const struct association_filter *, const struct page *, struct association_info **out, size_t *count,
    const char **next);

/* association.approve, .reject, .end, .cancel and .confirm. ERR_INVALID: grounds that are missing. expected: from
 * If-Match, or empty. ERR_CONFLICT: it has changed since. */
struct err flow_decide_association(struct arena *, struct flow *, const struct caller *, enum action, const char *id,
    const struct grounds *, const struct revision *expected, struct answer *, struct association_info *out);
