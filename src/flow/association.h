/* Who may act for a provider through whom: associations as they are asked for, decided and ended; leaving an employer;
 * and revoking an employer's access to a provider. All [wait]. */
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

struct leaving {
	const char *const *ended, *const *cancelled; /* ids of associations; end with NULL */
	bool is_official;                            /* of the employer: he stays that, and the help desk is told */
};
struct err flow_leave_employer(struct arena *, struct flow *, const struct caller *, const char *employer,
    struct answer *, struct leaving *out);

/* employer.reinstate: the provider bars the employer no more. Nothing comes to life again. out: the provider's entry. */
struct err flow_reinstate_employer(struct arena *, struct flow *, const struct caller *, const char *provider,
    const char *employer, const struct grounds *, struct answer *, struct entry *out);

struct revocation_info {
	struct entry entry;        /* the case */
	const char *employer_name; /* or NULL */
	bool for_desk;
};
/* *made: false if the same is asked for already; that request is told then. */
struct err flow_request_revocation(struct arena *, struct flow *, const struct caller *, const char *provider,
    const char *employer, const char *reason, struct answer *, struct revocation_info *out, bool *made);
/* The help desk sees all, an Authorized Official those of his provider. Others: not_authorized_official. */
struct err flow_list_revocations(struct arena *, struct flow *, const struct caller *, const char *provider, enum state,
    const struct page *, struct answer *, struct revocation_info **out, size_t *count, const char **next);
struct err flow_view_revocation(struct arena *, struct flow *, const struct caller *, const char *id,
    struct revocation_info *out, struct revision *);
/* employer.revocation.execute and .decline. */
struct err flow_decide_revocation(struct arena *, struct flow *, const struct caller *, enum action, const char *id,
    const struct grounds *, struct answer *, struct revocation_info *out);
