/* What a gateway that died between two writes has left is found in the replica and finished. What was to be closed is
 * closed already; this closes the books. */
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/inside.h"

#include "base/banned.h"

/* How long the start waits: for a directory that does not answer, and for a replica that is being loaded. */
#define START_MS 1000
#define LOAD_MS 60000
#define LOOK_MS 5

static const struct {
	const char *name;
	struct err (*mend)(struct arena *, struct flow *);
} rules[] = {
	{ "leaving", mend_leaving },
	{ "revocations", mend_revocations },
	{ "submissions", mend_submissions },
	{ "fraud", mend_fraud },
	{ "claims", mend_claims },
	{ "documents", mend_documents },
};

bool mend_all(struct arena *a, struct flow *f)
{
	bool fresh = false, done = true;

	WITH_REPLICA(view, f->replica) {
		fresh = view.fresh;
	}
	if (!fresh)
		return false;
	for (size_t i = 0; i < COUNT(rules); i++) {
		struct err e = rules[i].mend(a, f);

		if (e.code != OK)
			log_event(LOG_WARNING, "mend.failed", "rule=%s error=\"%s\"", rules[i].name, e.what);
		done = done && e.code != ERR_UNAVAILABLE;
		arena_reset(a);
	}
	return done;
}

struct err mend_write(struct arena *a, struct flow *f, const struct caller *c, const struct act *act,
    struct revision *written)
{
	static const struct caller nobody;
	char held[SHORT_SESSION];
	struct audit_record r = session_record(c != NULL ? c : &nobody, AUDIT_CHANGE, act->event, held);

	*written = (struct revision){ 0 };
	r.actor = act->question.subject;
	r.resource_kind = kind_word(act->to->kind);
	r.resource = act->to->id;
	r.provider = act->to->provider;
	r.employer = act->to->employer;
	r.outcome = "ok";
	r.revision = act->guard.revision.micros != 0 ? &act->guard.revision : NULL;
	r.detail = act->detail;
	TRY(audit_write(f->audit, &r));
	const char *as = c != NULL && !act->by_gateway ? c->uid : NULL;
	struct err e = act->fields == 0 ? dir_add(a, f->dir, as, act->to, written)
					: dir_update(a, f->dir, as, act->to, act->fields, &act->guard, written);
	if (e.code == ERR_CONFLICT)
		return SUCCESS;
	if (e.code != OK)
		log_event(LOG_WARNING, "mend.refused", "event=%s id=%s error=\"%s\"", act->event, act->to->id, e.what);
	return e;
}

struct err mend_settle(struct flow *f)
{
	struct revision revision;

	TRY(dir_revision(f->dir, &revision));
	return session_settle(f, &revision);
}

void flow_mend(struct flow *f)
{
	struct arena *a = arena_open();
	int64_t began = clock_steady_ms();
	struct replica_status status;

	for (;;) {
		replica_status(f->replica, &status);
		if (status.fresh || clock_steady_ms() - began > (status.connected ? LOAD_MS : START_MS))
			break;
		clock_pause(LOOK_MS);
	}
	atomic_store(&f->mended, mend_all(a, f));
	arena_close(a);
}
