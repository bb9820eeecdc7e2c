/* What the workflows share among themselves; not for other folders. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "flow/flow.h"
#include "flow/throttle.h"
#include "flow/uses.h"

struct flow {
	struct replica *replica;
	struct dir *dir, *nppes; /* nppes: NULL if there is none */
	struct audit *audit;
	const struct forms *forms;
	struct throttle *throttle;
	struct uses *uses;
	struct {
		atomic_int session_idle_s, session_absolute_s, session_touch_s, recent_s, wait_ms;
		atomic_int guesses_per_account, guesses_per_address, guess_window_s, refusal_ms;
	} set; /* in force; each is read when it is needed */

	pthread_t keeper;
	pthread_mutex_t keeper_lock;
	pthread_cond_t keeper_stop;
	bool stopping; /* under keeper_lock */
};

static inline int flow_set(const atomic_int *setting)
{
	return atomic_load_explicit(setting, memory_order_relaxed);
}

/* ---- keeper.c: the thread that writes uses of sessions and ends of consents and associations ---- */
struct err keeper_open(struct flow *);
void keeper_close(struct flow *);

/* ---- session.c ---- */
#define SHORT_SESSION 17
/* Begins an audit record with what is known of the caller. held is room for the session's short name. */
struct audit_record session_record(const struct caller *, enum audit_class, const char *event,
    char held[SHORT_SESSION]);
/* ok: it may be used now; else why not. */
enum reason session_judge(const struct flow *, const struct session *, const struct person *, int64_t now);
bool session_digest_of(const char *hex, unsigned char out[32]);
bool session_is_token(const char *);
/* Ends a session in the directory. One that has ended already, or is not there, is no error; then *out is left. */
struct err session_end(struct arena *, struct flow *, const char *id, struct revision *out);
/* Waits until the replica has reached what was written. */
struct err session_settle(struct flow *, const struct revision *);

/* ---- decide.c ---- */

/* A decision with what the audit log is told of it, whoever may know. */
struct judged {
	struct answer answer;
	enum reason real;
	const char *provider, *employer, *association, *consent; /* the path that the verdict rests on; in the arena */
};
/* flow_decide without its audit record. ERR_INVALID: such a thing cannot be asked of such a resource. */
struct err decide_judge(struct arena *, struct flow *, const struct caller *, const struct question *,
    struct judged *out, struct explanation *);
/* Writes the record of a judged question: as a decision, or as a change that is about to be made. */
struct err decide_audit(struct flow *, const struct caller *, const struct question *, const struct judged *,
    enum audit_class, const char *event, const char *detail);
/* Both. On an error the verdict is no permit. */
struct err decide_and_record(struct arena *, struct flow *, const struct caller *, const struct question *,
    struct judged *out, struct explanation *);
/* A refusal that is not the judge's. */
void decide_refuse(struct judged *, enum reason);
