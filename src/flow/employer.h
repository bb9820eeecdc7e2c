/* Employers: leaving one; revoking one's access to a provider, and letting it in again. All [wait]. */
#pragma once

#include "flow/flow.h"

struct leaving {
	const char *const *ended, *const *cancelled; /* ids of associations; end with NULL */
	bool is_official;                            /* of the employer: he stays that, and the help desk is told */
};
struct err flow_leave_employer(struct arena *, struct flow *, const struct caller *, const char *employer,
    struct answer *, struct leaving *out);

/* employer.reinstate: the provider bars the employer no more. Nothing comes to life again. out: the provider's entry.
 * expected, here and below: from If-Match, or empty. ERR_CONFLICT: the entry has changed since. */
struct err flow_reinstate_employer(struct arena *, struct flow *, const struct caller *, const char *provider,
    const char *employer, const struct grounds *, const struct revision *expected, struct answer *, struct entry *out);

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
    const struct grounds *, const struct revision *expected, struct answer *, struct revocation_info *out);
