/* Keeps a world fresh: the stream's thread writes, the heartbeat's thread finds out how old it is, readers come and
 * go. */
#include "replica/replica.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "replica/world.h"

#include "base/banned.h"

#define BEATS 64               /* heartbeats that wait to be reached; when there are more, the oldest is forgotten */
#define PAUSE_LEAST_MS 10
#define PAUSE_MOST_MS 500
#define SHRUNK_PAUSE_MS 10000  /* between reloads that nobody has accepted yet */
#define MUTE_MOST_MS 60000     /* a server may think so long before it tells the first entry */
#define MISFITS_LOGGED 20      /* of one load; all are listed */
#define SMALL 20               /* worlds up to so many entries may shrink as they like */

/* contextCSN as it was told to a question asked at `asked`. */
struct beat { int64_t asked; struct revision seen; };

struct replica {
	struct replica_settings set;
	struct dir *dir;            /* NULL: alone */
	struct dir_stream *stream;
	struct limbo *limbo;
	struct world *current;      /* published; never NULL */
	int64_t fresh_until;        /* steady ms; published. Before the first load: long ago */

	/* Of the stream's thread. */
	struct world *building;     /* a full refresh under way */
	bool deaf;                  /* what is told has no world that it would fit */
	bool unsure;                /* the connection was lost: what is resumed must be compared with all there is */
	int64_t load_began;
	uint32_t generation;

	/* Read and written atomically. */
	bool loaded, connected, shrink_alarm, accept_shrink, closing;
	bool restart;               /* the stream was told to stop: another one takes its place, and begins anew */
	bool in_doubt;              /* the directory is known to differ from current, whatever the revisions say */
	size_t bytes;
	uint64_t changes, reloads, reconnects, heard;
	int64_t load_us, confirmed_at;
	unsigned interested;        /* those who wait, and beats */

	pthread_mutex_t lock;
	pthread_cond_t moved, woken; /* the revision; something for the threads */
	struct beat beats[BEATS];    /* oldest first */
	unsigned beat_count;
	bool threads;
	pthread_t stream_thread, heart_thread;
};

#define GET(field) __atomic_load_n(&(field), __ATOMIC_SEQ_CST)
#define SET(field, value) __atomic_store_n(&(field), (value), __ATOMIC_SEQ_CST)
#define COUNT_UP(field) __atomic_fetch_add(&(field), 1, __ATOMIC_SEQ_CST)

/* ---- how far, how fresh ---- */

static struct revision revision_of(const struct world *w)
{
	handle h = __atomic_load_n(&w->revision, __ATOMIC_SEQ_CST);

	return h ? *(const struct revision *)world_at(w, h) : (struct revision){ 0 };
}

static struct revision reached_now(struct replica *r)
{
	limbo_enter();
	struct revision reached = revision_of(GET(r->current));
	limbo_leave();
	return reached;
}

/* With the lock. */
static void forget_beats(struct replica *r, unsigned count)
{
	r->beat_count -= count;
	memmove(r->beats, r->beats + count, r->beat_count * sizeof r->beats[0]);
	__atomic_fetch_sub(&r->interested, count, __ATOMIC_SEQ_CST);
}

/* With the lock. A beat that has been reached says: when it was asked, the replica was equal to the directory, or has
 * become so since. Those before it say less. */
static void confirm(struct replica *r)
{
	struct revision reached = reached_now(r);
	unsigned count = r->beat_count;

	if (!GET(r->loaded) || GET(r->in_doubt))
		return;
	while (count > 0 && revision_compare(&r->beats[count - 1].seen, &reached) > 0)
		count--;
	if (count == 0)
		return;
	SET(r->confirmed_at, r->beats[count - 1].asked);
	SET(r->fresh_until, r->beats[count - 1].asked + r->set.max_staleness_ms);
	forget_beats(r, count);
}

/* After the revision was published: nobody is interested most of the time. */
static void tell_moved(struct replica *r)
{
	if (GET(r->interested) == 0)
		return;
	pthread_mutex_lock(&r->lock);
	confirm(r);
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

/* ---- the listener ---- */

static void want_reload(struct replica *r)
{
	pthread_mutex_lock(&r->lock);
	SET(r->restart, true);
	if (r->stream)
		dir_stream_stop(r->stream);
	pthread_mutex_unlock(&r->lock);
}

static struct world *target(struct replica *r)
{
	COUNT_UP(r->heard);
	if (r->building)
		return r->building;
	return r->deaf ? NULL : r->current;
}

static void give(void *self, uint32_t who, handle h)
{
	struct replica *r = self;

	if (r->current->who == who) /* else it has gone with its world */
		world_give(r->current, h);
}

static void changed(struct replica *r, struct world *w)
{
	if (w == r->building)
		return;
	if (COUNT_UP(r->changes) % 64 == 0)
		SET(r->bytes, world_bytes(w));
	limbo_turn(r->limbo, give, r);
	if (w->reload_wanted) {
		w->reload_wanted = false;
		want_reload(r);
	}
}

static void on_begin(void *self, bool anew)
{
	struct replica *r = self;

	COUNT_UP(r->heard);
	SET(r->connected, true);
	if (anew) {
		world_close(r->building);
		r->building = world_open(++r->generation);
		r->load_began = clock_steady_us();
		r->deaf = false;
		world_begin(r->building);
	} else if (r->building || r->deaf || !GET(r->loaded)) {
		/* It goes on from where we are not. */
		world_close(r->building);
		r->building = NULL;
		r->deaf = true;
		SET(r->in_doubt, true);
		want_reload(r);
	} else {
		world_begin(r->current);
	}
}

static void log_misfit(const struct replica *r, const struct world *w, const char *dn, const char *why)
{
	if (w != r->building || w->held[KIND_MISFIT] <= MISFITS_LOGGED)
		log_event(LOG_WARNING, "replica.misfit", "dn=\"%s\" why=\"%s\"", dn, why);
}

/* For people: its DN, or as much of a name as can be told. */
static const char *name_of(struct arena *a, const struct replica *r, unsigned kind, const char *provider,
    const char *id)
{
	bool inner = kind == KIND_ASSOCIATION || kind == KIND_CONSENT || kind == KIND_RECORD ||
	    kind == KIND_SUBMISSION || kind == KIND_CLAIM;

	if (r->dir && kind < KINDS && id && *id && (!inner || (provider && *provider)))
		return dir_name_of(a, r->dir, (enum kind)kind, inner ? provider : NULL, id);
	return arena_printf(a, "%s %s", kind_word((enum kind)kind), id ? id : "");
}

static void on_entry(void *self, const struct entry *e)
{
	struct replica *r = self;
	struct world *w = target(r);

	if (!w)
		return;
	const char *why = world_entry(w, e);
	if (why) {
		struct arena *a = arena_open();
		log_misfit(r, w, name_of(a, r, e->kind, e->provider, e->id), why);
		arena_close(a);
	}
	changed(r, w);
}

static void on_misfit(void *self, const struct uuid *uuid, const struct revision *revision, const char *dn,
    const char *why)
{
	struct world *w = target(self);

	if (w) {
		world_misfit(w, uuid, revision, dn, why);
		log_misfit(self, w, dn, why);
		changed(self, w);
	}
}

static void on_present(void *self, const struct uuid *uuid)
{
	struct world *w = target(self);

	if (w)
		world_present(w, uuid);
}

static void on_gone(void *self, const struct uuid *uuid)
{
	struct world *w = target(self);

	if (w) {
		world_gone(w, uuid);
		changed(self, w);
	}
}

/* Sessions come and go by themselves: they say nothing about what was lost. */
static bool has_shrunk(const struct replica *r, const struct world *old, const struct world *new)
{
	size_t had = world_count(old, true), has = world_count(new, true);

	return had > SMALL && (double)has < (double)had * (100 - r->set.shrink_percent) / 100;
}

static void refuse(struct replica *r)
{
	log_event(LOG_ERROR, "replica.shrunk", "had=%zu has=%zu", world_count(r->current, true),
	    world_count(r->building, true));
	world_close(r->building);
	r->building = NULL;
	r->deaf = true;
	SET(r->in_doubt, true);
	SET(r->shrink_alarm, true);
	want_reload(r);
}

static void end_world(void *w, size_t size)
{
	(void)size;
	world_close(w);
}

static void swap_in(struct replica *r)
{
	struct world *old = r->current, *new = r->building;
	struct revision reached = revision_of(old);

	r->building = NULL;
	new->limbo = r->limbo;
	/* Its own revision is told after it is complete; until then it is at least as new as what it replaces. */
	if (!new->revision && old->revision && !GET(r->in_doubt))
		world_reached(new, &reached);
	SET(r->current, new);
	limbo_memory(r->limbo, end_world, old, 0);
	SET(r->load_us, clock_steady_us() - r->load_began);
	SET(r->shrink_alarm, false);
	SET(r->accept_shrink, false);
	SET(r->in_doubt, false);
	r->unsure = false;
	if (GET(r->loaded))
		COUNT_UP(r->reloads);
	SET(r->loaded, true);
	log_event(LOG_INFO, "replica.loaded", "entries=%zu misfits=%zu us=%lld", world_count(new, false),
	    new->held[KIND_MISFIT], (long long)r->load_us);
	tell_moved(r);
}

static void on_refreshed(void *self, bool sweep)
{
	struct replica *r = self;
	struct world *w = target(r);

	if (!w)
		return;
	if (w != r->building) {
		if (sweep)
			world_sweep(w);
		/* A server that was killed may hold a write that it never told anybody of, and resuming will not tell
		 * it either. What was acknowledged is here, so the resumed world answers until the new is complete. */
		if (r->unsure)
			want_reload(r);
	} else {
		world_settle(w);
		if (GET(r->loaded) && !GET(r->accept_shrink) && has_shrunk(r, r->current, w)) {
			refuse(r);
			return;
		}
		swap_in(r);
	}
	SET(r->bytes, world_bytes(w));
	changed(r, w);
	if (!r->dir) {
		SET(r->confirmed_at, clock_steady_ms());
		SET(r->fresh_until, INT64_MAX);
	}
}

static void on_reached(void *self, const struct revision *revision)
{
	struct replica *r = self;
	struct world *w = target(r);

	if (!w)
		return;
	world_reached(w, revision);
	if (w == r->building)
		return;
	limbo_turn(r->limbo, give, r);
	tell_moved(r);
}

struct dir_listener replica_listener(struct replica *r)
{
	return (struct dir_listener){ r, on_begin, on_entry, on_misfit, on_present, on_gone, on_refreshed, on_reached };
}

/* ---- the threads ---- */

/* Sleeps, but not while the replica is to be closed, nor once a shrunken reload was accepted. */
static void rest(struct replica *r, int64_t ms, bool until_accepted)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += ms % 1000 * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	pthread_mutex_lock(&r->lock);
	while (!GET(r->closing) && !(until_accepted && GET(r->accept_shrink)) &&
	    pthread_cond_timedwait(&r->woken, &r->lock, &end) == 0)
		;
	pthread_mutex_unlock(&r->lock);
}

static struct err open_stream(struct replica *r)
{
	struct dir_listener listener = replica_listener(r);

	pthread_mutex_lock(&r->lock);
	dir_stream_close(r->stream);
	r->stream = NULL;
	SET(r->restart, false);
	struct err e = dir_stream_open(r->dir, &listener, &r->stream);
	pthread_mutex_unlock(&r->lock);
	return e;
}

static void *follow(void *self)
{
	struct replica *r = self;
	int pause = 0;

	while (!GET(r->closing)) {
		uint64_t heard = GET(r->heard);
		struct err e = r->stream && !GET(r->restart) ? SUCCESS : open_stream(r);
		if (!e.code)
			e = dir_stream_run(r->stream);
		SET(r->connected, false);
		if (GET(r->closing))
			break;
		COUNT_UP(r->reconnects);
		if (!GET(r->restart))
			r->unsure = true;
		if (GET(r->heard) != heard || pause == 0) {
			pause = PAUSE_LEAST_MS;
			log_event(LOG_WARNING, "replica.stream_ended", "why=\"%s\"", e.code ? e.what : "stopped");
		} else {
			pause = pause * 2 < PAUSE_MOST_MS ? pause * 2 : PAUSE_MOST_MS;
		}
		if (GET(r->shrink_alarm) && !GET(r->accept_shrink))
			rest(r, SHRUNK_PAUSE_MS, true);
		else
			rest(r, pause, false);
	}
	return NULL;
}

/* What the heartbeat's thread remembers from beat to beat. */
struct heart {
	uint64_t heard; /* from the stream, when it last said something or had nothing to say */
	int64_t since;
	int backwards;  /* beats in a row that told less than we knew before */
	bool failed;
};

/* With the lock. Was the stream silent for too long, although the directory is ahead? */
static bool is_silent(struct replica *r, struct heart *h, bool answered)
{
	uint64_t heard = GET(r->heard);
	int64_t now = clock_steady_ms();

	if (heard != h->heard || r->beat_count == 0 || !answered || GET(r->shrink_alarm)) {
		h->heard = heard;
		h->since = now;
	}
	return now - h->since > (GET(r->connected) ? r->set.max_staleness_ms : MUTE_MOST_MS);
}

static void one_beat(struct replica *r, struct heart *h)
{
	struct revision before = reached_now(r);
	struct beat b = { .asked = clock_steady_ms() };
	struct err e = dir_revision(r->dir, &b.seen);

	/* It told us of more than it now says it has: it was restored from a backup. Once may be another server of a
	 * pair that is a moment behind. */
	h->backwards = e.code || revision_compare(&b.seen, &before) >= 0 ? 0 : h->backwards + 1;

	pthread_mutex_lock(&r->lock);
	if (!e.code && !h->backwards) {
		if (r->beat_count == BEATS)
			forget_beats(r, 1);
		r->beats[r->beat_count++] = b;
		COUNT_UP(r->interested);
		confirm(r);
	}
	bool silent = is_silent(r, h, !e.code);
	pthread_mutex_unlock(&r->lock);

	if (e.code && !h->failed)
		log_event(LOG_WARNING, "replica.no_heartbeat", "why=\"%s\"", e.what);
	h->failed = e.code != OK;
	if (h->backwards >= 2 && !GET(r->in_doubt)) { /* else a reload is under way already */
		log_event(LOG_ERROR, "replica.directory_went_back", "%s", "");
		SET(r->in_doubt, true);
		want_reload(r);
	}
	if (silent) {
		log_event(LOG_WARNING, "replica.stream_silent", "%s", "");
		h->since = clock_steady_ms();
		want_reload(r);
	}
}

static void *beat(void *self)
{
	struct replica *r = self;
	struct heart h = { .since = clock_steady_ms() };

	while (!GET(r->closing)) {
		one_beat(r, &h);
		rest(r, r->set.heartbeat_ms, false);
	}
	return NULL;
}

/* ---- open and close ---- */

static struct err open_common(const struct replica_settings *set, struct dir *dir, struct replica **out)
{
	struct replica *r = must_alloc(sizeof *r);
	pthread_condattr_t steady;

	*r = (struct replica){ .set = *set, .dir = dir, .fresh_until = -1, .confirmed_at = -1 };
	struct err e = limbo_open(&r->limbo);
	if (e.code) {
		free(r);
		return e;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&r->moved, &steady);
	pthread_cond_init(&r->woken, &steady);
	pthread_condattr_destroy(&steady);
	r->current = world_open(++r->generation);
	r->current->limbo = r->limbo;
	*out = r;
	return SUCCESS;
}

struct err replica_open_alone(struct replica **out)
{
	return open_common(&(struct replica_settings){ .max_staleness_ms = 5000, .shrink_percent = 50 }, NULL, out);
}

struct err replica_open(const struct replica_settings *set, struct dir *dir, struct replica **out)
{
	struct replica *r;

	TRY(open_common(set, dir, &r));
	struct err e = open_stream(r);
	if (!e.code) {
		r->threads = pthread_create(&r->stream_thread, NULL, follow, r) == 0;
		if (!r->threads)
			e = FAIL(ERR_UNAVAILABLE, "no thread for the replica's stream");
	}
	if (!e.code && pthread_create(&r->heart_thread, NULL, beat, r) != 0) {
		e = FAIL(ERR_UNAVAILABLE, "no thread for the replica's heartbeat");
		r->heart_thread = r->stream_thread;
	}
	if (e.code) {
		replica_close(r);
		return e;
	}
	*out = r;
	return SUCCESS;
}

/* A stop is lost if the stream is between two runs: it is said again until it is heard. */
static void end_threads(struct replica *r)
{
	struct timespec soon;

	pthread_mutex_lock(&r->lock);
	SET(r->closing, true);
	pthread_cond_broadcast(&r->woken);
	pthread_mutex_unlock(&r->lock);
	if (!r->threads)
		return;
	do {
		pthread_mutex_lock(&r->lock);
		if (r->stream)
			dir_stream_stop(r->stream);
		pthread_mutex_unlock(&r->lock);
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_nsec += 20000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(r->stream_thread, NULL, &soon) != 0);
	if (!pthread_equal(r->heart_thread, r->stream_thread))
		pthread_join(r->heart_thread, NULL);
}

void replica_close(struct replica *r)
{
	if (r == NULL)
		return;
	end_threads(r);
	dir_stream_close(r->stream);
	limbo_close(r->limbo);
	world_close(r->building);
	world_close(r->current);
	pthread_cond_destroy(&r->moved);
	pthread_cond_destroy(&r->woken);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- what others ask ---- */

void replica_enter(struct replica *r, struct view *out)
{
	/* Freshness first: what is read after it can only be newer. */
	out->fresh = clock_steady_ms() <= __atomic_load_n(&r->fresh_until, __ATOMIC_ACQUIRE);
	limbo_enter();
	out->world = __atomic_load_n(&r->current, __ATOMIC_ACQUIRE);
	out->revision = revision_of(out->world);
}

void replica_leave(struct view *view)
{
	(void)view;
	limbo_leave();
}

bool replica_has_reached(struct replica *r, const struct revision *revision)
{
	struct revision reached = reached_now(r);

	return revision_compare(&reached, revision) >= 0;
}

struct err replica_wait(struct replica *r, const struct revision *revision, int timeout_ms)
{
	struct timespec end;
	int rc = 0;

	if (replica_has_reached(r, revision))
		return SUCCESS;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	end.tv_sec += timeout_ms / 1000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;

	pthread_mutex_lock(&r->lock);
	COUNT_UP(r->interested); /* before the look: either we see the revision, or the writer sees us */
	bool reached;
	while (!(reached = replica_has_reached(r, revision)) && rc == 0)
		rc = pthread_cond_timedwait(&r->moved, &r->lock, &end);
	__atomic_fetch_sub(&r->interested, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&r->lock);
	return reached ? SUCCESS : FAIL(ERR_UNAVAILABLE, "the replica has not reached that revision in time");
}

void replica_status(struct replica *r, struct replica_status *out)
{
	int64_t now = clock_steady_ms(), confirmed_at = GET(r->confirmed_at);

	*out = (struct replica_status){
		.loaded = GET(r->loaded),
		.fresh = now <= GET(r->fresh_until),
		.connected = GET(r->connected),
		.shrink_alarm = GET(r->shrink_alarm),
		.age_ms = confirmed_at < 0 ? -1 : r->dir ? now - confirmed_at : 0,
		.bytes = GET(r->bytes),
		.changes = GET(r->changes),
		.reloads = GET(r->reloads),
		.reconnects = GET(r->reconnects),
		.load_us = GET(r->load_us),
	};
	limbo_enter();
	const struct world *w = GET(r->current);
	out->revision = revision_of(w);
	out->entries = world_count(w, false);
	out->misfits = __atomic_load_n(&w->held[KIND_MISFIT], __ATOMIC_RELAXED);
	limbo_leave();
}

void replica_accept_shrink(struct replica *r)
{
	pthread_mutex_lock(&r->lock);
	SET(r->accept_shrink, true);
	pthread_cond_broadcast(&r->woken);
	pthread_mutex_unlock(&r->lock);
}

size_t replica_misfits(struct arena *a, struct replica *r, struct replica_misfit *out, size_t most)
{
	size_t count = 0;

	limbo_enter();
	const struct world *w = GET(r->current);
	for (handle h = world_load(&w->first_misfit); h && count < most; h = world_load(&world_held(w, h)->next)) {
		const struct misfit_entry *m = world_at(w, h);
		const char *dn = m->text + m->dn_at;
		out[count].dn = *dn ? arena_strdup(a, dn) :
		    name_of(a, r, m->kind, m->text + m->provider_at, m->text + m->id_at);
		out[count].why = arena_strdup(a, m->text);
		out[count++].revision = m->mark.revision;
	}
	limbo_leave();
	return count;
}
