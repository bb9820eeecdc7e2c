/* The gateway's own writes, in one thread: when sessions were used, which consents and associations are over, and what
 * others left half done. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/inside.h"

#include "base/banned.h"

#define ROUND_MS 1000
#define ENDS_EVERY_MS 5000
#define ENDS_AT_ONCE 256
/* What the directory refuses once it will refuse again; asking each time would only fill the logs. */
#define ENDS_AFTER_REFUSAL_MS 300000
#define MEND_EVERY_MS 60000

static bool is_stopping(struct flow *f)
{
	pthread_mutex_lock(&f->keeper_lock);
	bool stopping = f->stopping;
	pthread_mutex_unlock(&f->keeper_lock);
	return stopping;
}

/* ---- uses of sessions ---- */

/* Not audited: nothing changes but how long a session may idle, which its owner has shown by using it. */
static void write_uses(struct arena *a, struct flow *f)
{
	struct guard guard = { .state = STATE_ACTIVE };
	struct revision written;
	struct use use;
	size_t place = 0;

	while (!is_stopping(f) &&
	    uses_next_due(f->uses, &place, clock_now(), flow_set(&f->set.session_touch_s), &use)) {
		char id[DIGEST_TEXT];

		secret_hex(use.digest, id);
		struct entry to = { .kind = KIND_SESSION, .id = id, .seen_at = use.at };
		struct err e = dir_update(a, f->dir, NULL, &to, FIELD_SEEN_AT, &guard, &written);
		arena_reset(a);
		if (e.code == OK)
			uses_written(f->uses, &use);
		else if (e.code == ERR_CONFLICT || e.code == ERR_NOT_FOUND)
			uses_forget(f->uses, &use);
		else
			return; /* kept for the next round */
	}
}

/* ---- ends of consents and associations ----
 * The judge goes by the clock and needs none of this. The directory's own rules cannot compare times, so what is over
 * is also said to be over. */

struct end {
	enum kind kind;
	enum state from;
	struct revision revision;
	char id[ID_MOST + 1], provider[ID_MOST + 1];
};
struct ends {
	const struct view *view;
	int64_t now;
	struct end list[ENDS_AT_ONCE];
	size_t count;
};

static void note_end(struct ends *ends, enum kind kind, enum state from, const struct mark *mark, const char *id,
    number provider)
{
	struct end *end = &ends->list[ends->count];
	const char *provider_id = replica_org_id(ends->view, provider);

	if (strlen(id) > ID_MOST || provider_id == NULL || strlen(provider_id) > ID_MOST)
		return;
	*end = (struct end){ .kind = kind, .from = from, .revision = mark->revision };
	memcpy(end->id, id, strlen(id));
	memcpy(end->provider, provider_id, strlen(provider_id));
	ends->count++;
}

static bool is_over(int64_t end, int64_t now)
{
	return end != 0 && end <= now;
}

static bool look_at_association(void *self, const struct association *t)
{
	struct ends *ends = self;

	if ((t->state == STATE_APPROVED && is_over(t->not_after, ends->now)) ||
	    (t->state == STATE_PENDING && is_over(t->expires, ends->now)))
		note_end(ends, KIND_ASSOCIATION, t->state, &t->mark, t->id, t->provider);
	return ends->count < ENDS_AT_ONCE;
}

static bool look_at_consent(void *self, const struct consent *c)
{
	struct ends *ends = self;

	if (c->state == STATE_APPROVED && is_over(c->not_after, ends->now))
		note_end(ends, KIND_CONSENT, c->state, &c->mark, c->id, c->provider);
	return ends->count < ENDS_AT_ONCE;
}

static struct err write_end(struct arena *a, struct flow *f, const struct end *end)
{
	struct entry to = { .kind = end->kind, .id = end->id, .provider = end->provider, .state = STATE_EXPIRED };
	struct guard guard = { .state = end->from, .revision = end->revision };
	struct revision written;
	struct audit_record r = {
		.class = AUDIT_CHANGE,
		.event = end->kind == KIND_CONSENT ? "consent.expire" : "association.expire",
		.resource_kind = kind_word(end->kind),
		.resource = end->id,
		.provider = end->provider,
		.outcome = "ok",
		.revision = &end->revision,
	};

	TRY(audit_write(f->audit, &r));
	struct err e = dir_update(a, f->dir, NULL, &to, FIELD_STATE, &guard, &written);
	/* Another gateway, or a decision, was first. */
	if (e.code == ERR_CONFLICT)
		return SUCCESS;
	if (e.code != OK)
		log_event(LOG_WARNING, "keeper.refused", "event=%s id=%s error=\"%s\"", r.event, end->id, e.what);
	return e;
}

/* How long until the next look: it may cost a twentieth of a processor at most, however large the world. */
static int64_t write_ends(struct arena *a, struct flow *f)
{
	struct ends *ends = must_alloc(sizeof *ends);
	int64_t began = clock_steady_ms();
	struct err e = SUCCESS;

	WITH_REPLICA(view, f->replica) {
		ends->view = &view;
		ends->now = clock_now();
		if (view.fresh) {
			replica_each_association(&view, look_at_association, ends);
			if (ends->count < ENDS_AT_ONCE)
				replica_each_consent(&view, look_at_consent, ends);
		}
		ends->view = NULL;
	}
	int64_t pause = 20 * (clock_steady_ms() - began);
	for (size_t i = 0; i < ends->count && e.code == OK && !is_stopping(f); i++) {
		e = write_end(a, f, &ends->list[i]);
		arena_reset(a);
	}
	free(ends);
	if (e.code != OK && e.code != ERR_UNAVAILABLE)
		return ENDS_AFTER_REFUSAL_MS;
	return pause > ENDS_EVERY_MS ? pause : ENDS_EVERY_MS;
}

/* ---- the thread ---- */

/* True: stop. */
static bool wait_a_round(struct flow *f)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ROUND_MS / 1000;
	pthread_mutex_lock(&f->keeper_lock);
	while (!f->stopping && pthread_cond_timedwait(&f->keeper_stop, &f->keeper_lock, &at) != ETIMEDOUT)
		;
	bool stopping = f->stopping;
	pthread_mutex_unlock(&f->keeper_lock);
	return stopping;
}

static void *keep(void *self)
{
	struct flow *f = self;
	struct arena *a = arena_open();
	int64_t next_ends = clock_steady_ms() + ENDS_EVERY_MS;
	int64_t next_mend = 0;
	bool was_full = false;

	while (!wait_a_round(f)) {
		write_uses(a, f);
		bool full = uses_were_lost(f->uses);
		if (full && !was_full)
			log_event(LOG_WARNING, "sessions.many",
			    "advice=\"some uses are not noted: sessions may idle out too soon\"");
		was_full = full;
		if (clock_steady_ms() >= next_ends)
			next_ends = write_ends(a, f) + clock_steady_ms();
		if (next_mend == 0 && atomic_load(&f->mended))
			next_mend = clock_steady_ms() + MEND_EVERY_MS;
		if (clock_steady_ms() >= next_mend)
			next_mend = mend_all(a, f) ? clock_steady_ms() + MEND_EVERY_MS : 0;
	}
	arena_close(a);
	return NULL;
}

struct err keeper_open(struct flow *f)
{
	pthread_condattr_t steady;

	pthread_mutex_init(&f->keeper_lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&f->keeper_stop, &steady);
	pthread_condattr_destroy(&steady);
	if (pthread_create(&f->keeper, NULL, keep, f) != 0) {
		pthread_cond_destroy(&f->keeper_stop);
		pthread_mutex_destroy(&f->keeper_lock);
		return FAIL(ERR_UNAVAILABLE, "cannot start a thread");
	}
	return SUCCESS;
}

void keeper_close(struct flow *f)
{
	pthread_mutex_lock(&f->keeper_lock);
	f->stopping = true;
	pthread_cond_signal(&f->keeper_stop);
	pthread_mutex_unlock(&f->keeper_lock);
	pthread_join(f->keeper, NULL);
	pthread_cond_destroy(&f->keeper_stop);
	pthread_mutex_destroy(&f->keeper_lock);
}
