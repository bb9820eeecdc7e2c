/* New applications: drafted and submitted by a provider's users, accepted or returned by a processor. What is accepted
 * becomes an enrollment record, and from then on is under the consent, for its author too. All [wait]. */
#pragma once

#include "flow/flow.h"

struct submission_info {
	struct document document;
	const char *author, *employer;  /* uid; through whom it was made */
	const char *enrollment;         /* accepted: the record that it has become */
	const char *reason;             /* returned: why */
	int64_t made_at, decided_at;
	const char *decided_by;
};

/* A draft. It must be a JSON object of a form that there is (ERR_INVALID, with the problem); what else is missing or wrong
 * in it is told in problems and does no harm yet. key: Idempotency-Key, or NULL. */
struct err flow_create_submission(struct arena *, struct flow *, const struct caller *, const char *provider,
    const char *acting_for, const char *form, const char *json, size_t size, const char *key, struct answer *,
    struct submission_info *out, struct form_problems *);
/* For those who may read it, and for a processor once it is submitted. */
struct err flow_view_submission(struct arena *, struct flow *, const struct caller *, const char *id,
    const char *acting_for, struct answer *, struct submission_info *out);
/* expected, here and below: from If-Match, or empty where it may be without. ERR_CONFLICT: it has changed since. */
struct err flow_update_submission(struct arena *, struct flow *, const struct caller *, const char *id,
    const char *acting_for, const struct revision *expected, const char *json, size_t size, struct answer *,
    struct submission_info *out, struct form_problems *);
struct err flow_delete_submission(struct arena *, struct flow *, const struct caller *, const char *id,
    const char *acting_for, const struct revision *expected, struct answer *);
/* ERR_INVALID with problems: it does not satisfy its form yet. */
struct err flow_submit_submission(struct arena *, struct flow *, const struct caller *, const char *id,
    const char *acting_for, const struct revision *expected, struct answer *, struct submission_info *out,
    struct form_problems *);
struct err flow_accept_submission(struct arena *, struct flow *, const struct caller *, const char *id,
    const struct grounds *, const struct revision *expected, struct answer *, struct submission_info *out,
    struct form_problems *);
struct err flow_return_submission(struct arena *, struct flow *, const struct caller *, const char *id,
    const struct grounds *, const struct revision *expected, struct answer *, struct submission_info *out);
/* provider NULL: his own; a processor's: all that are submitted. state: STATE_NONE for any. Without documents. */
struct err flow_list_submissions(struct arena *, struct flow *, const struct caller *, const char *provider,
    enum state state, const struct page *, struct submission_info **out, size_t *count, const char **next);
