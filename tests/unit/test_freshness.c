/* When the replica's answers count as fresh, against a directory that says and does what each test wants. The real one
 * is asked in tests/directory; what it cannot be made to do at will (go back in time, fall silent, lose half) is here.
 * This program has its own dir_…, so that none of libdir is linked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "tell.h"

#define STALENESS 300
#define HEARTBEAT 20

/* ---- a directory of some people ---- */

struct dir {
	pthread_mutex_t lock;
	int64_t revision;
	uint32_t people;
	bool down;          /* nothing answers */
	bool mute;          /* the stream tells nothing new */
	int runs, anews;
};

struct dir_stream {
	struct dir *dir;
	struct dir_listener listener;
	int64_t told; /* revision; 0: begins anew */
	bool stop;
};

static struct dir directory;

static void nap(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

#define DIRECTORY(statement)                     \
	do {                                     \
		pthread_mutex_lock(&directory.lock); \
		statement;                       \
		pthread_mutex_unlock(&directory.lock); \
	} while (0)

struct err dir_revision(struct dir *d, struct revision *out)
{
	bool down;

	DIRECTORY(down = d->down; *out = revision_no(d->revision));
	return down ? FAIL(ERR_UNAVAILABLE, "down") : SUCCESS;
}

const char *dir_name_of(struct arena *a, const struct dir *d, enum kind kind, const char *provider, const char *id)
{
	(void)d;
	return arena_printf(a, "dn of %s %s in %s", kind_word(kind), id, provider ? provider : "-");
}

struct err dir_stream_open(struct dir *d, const struct dir_listener *l, struct dir_stream **out)
{
	*out = must_alloc(sizeof **out);
	**out = (struct dir_stream){ .dir = d, .listener = *l };
	return SUCCESS;
}

static void tell_all(const struct dir_stream *s, uint32_t people)
{
	char uid[32];

	for (uint32_t i = 0; i < people; i++) {
		snprintf(uid, sizeof uid, "user-%u", i);
		tell(&s->listener, i + 1, PERSON(uid));
	}
}

struct err dir_stream_run(struct dir_stream *s)
{
	int64_t revision;
	uint32_t people;
	bool down, mute, stop = false;

	DIRECTORY(down = s->dir->down; revision = s->dir->revision; people = s->dir->people;
		s->dir->runs++; s->dir->anews += !down && s->told == 0);
	if (down)
		return FAIL(ERR_UNAVAILABLE, "down");
	tell_begin(&s->listener, s->told == 0);
	if (s->told == 0)
		tell_all(s, people);
	tell_refreshed(&s->listener, s->told == 0);
	tell_reached(&s->listener, s->told = revision);
	for (;;) {
		DIRECTORY(down = s->dir->down; mute = s->dir->mute; revision = s->dir->revision; stop = s->stop);
		if (stop || down)
			return stop ? SUCCESS : FAIL(ERR_UNAVAILABLE, "down");
		if (!mute && revision > s->told)
			tell_reached(&s->listener, s->told = revision);
		nap(1);
	}
}

void dir_stream_stop(struct dir_stream *s)
{
	DIRECTORY(s->stop = true);
}

void dir_stream_forget(struct dir_stream *s)
{
	s->told = 0;
}

void dir_stream_close(struct dir_stream *s)
{
	free(s);
}

/* ---- what the tests ask ---- */

static struct replica *open_replica(void)
{
	static const struct replica_settings set = { .max_staleness_ms = STALENESS, .heartbeat_ms = HEARTBEAT,
		.shrink_percent = 50 };
	struct replica *r = NULL;

	directory = (struct dir){ .lock = PTHREAD_MUTEX_INITIALIZER, .revision = 1000, .people = 100 };
	assert_int_equal(replica_open(&set, &directory, &r).code, OK);
	return r;
}

static bool is_fresh(struct replica *r)
{
	bool fresh = false;

	WITH_REPLICA(v, r)
		fresh = v.fresh;
	return fresh;
}

static bool is_stale(struct replica *r)
{
	return !is_fresh(r);
}

static bool has_alarm(struct replica *r)
{
	struct replica_status status;

	replica_status(r, &status);
	return status.shrink_alarm;
}

static bool has_ten(struct replica *r)
{
	struct replica_status status;

	replica_status(r, &status);
	return status.entries == 10 && status.fresh;
}

static bool has_reloaded(struct replica *r)
{
	struct replica_status status;

	replica_status(r, &status);
	return status.reloads > 0 && status.fresh;
}

static bool is_at_500(struct replica *r)
{
	struct replica_status status;

	replica_status(r, &status);
	return status.revision.micros == 500;
}

/* How long until it is so; a test fails after 5 s. */
static int64_t until(struct replica *r, bool (*so)(struct replica *))
{
	int64_t began = clock_steady_ms();

	while (!so(r)) {
		if (clock_steady_ms() - began > 5000)
			fail_msg("not within 5 s");
		nap(2);
	}
	return clock_steady_ms() - began;
}

/* Is it so all the time? */
static void throughout(struct replica *r, int ms, bool (*so)(struct replica *))
{
	int64_t end = clock_steady_ms() + ms;

	while (clock_steady_ms() < end) {
		assert_true(so(r));
		nap(2);
	}
}

static void fresh_as_long_as_the_heartbeat_is_reached(void **state)
{
	(void)state;
	struct replica *r = open_replica();
	struct revision next = revision_no(2000);

	until(r, is_fresh);
	throughout(r, 2 * STALENESS, is_fresh);
	DIRECTORY(directory.revision = 2000);
	assert_int_equal(replica_wait(r, &next, 1000).code, OK);
	throughout(r, STALENESS, is_fresh);
	replica_close(r);
}

static void stale_when_the_directory_does_not_answer(void **state)
{
	(void)state;
	struct replica *r = open_replica();
	struct replica_status status;

	until(r, is_fresh);
	DIRECTORY(directory.down = true);
	int64_t took = until(r, is_stale);
	assert_in_range(took, STALENESS - 3 * HEARTBEAT - 100, STALENESS + 100);
	throughout(r, 100, is_stale);
	replica_status(r, &status);
	assert_true(status.loaded && !status.connected && status.age_ms > STALENESS);
	WITH_REPLICA(v, r)
		assert_non_null(replica_person(&v, "user-1")); /* what it knew, for whoever explains */
	DIRECTORY(directory.down = false);
	until(r, is_fresh);
	until(r, has_reloaded); /* behind what was resumed: a killed server may not have told everything */
	replica_status(r, &status);
	assert_true(status.reconnects > 0);
	replica_close(r);
}

static void stale_when_the_stream_stays_behind_and_another_stream_is_made(void **state)
{
	(void)state;
	struct replica *r = open_replica();
	int anews;

	until(r, is_fresh);
	DIRECTORY(directory.mute = true; directory.revision = 3000);
	until(r, is_stale);
	until(r, is_fresh); /* by the new stream, which begins with what the directory has */
	DIRECTORY(anews = directory.anews);
	assert_true(anews >= 2);
	replica_close(r);
}

static void a_directory_that_went_back_is_loaded_again(void **state)
{
	(void)state;
	struct replica *r = open_replica();

	until(r, is_fresh);
	DIRECTORY(directory.revision = 500; directory.people = 90; directory.mute = true);
	until(r, has_reloaded);
	until(r, is_at_500);
	WITH_REPLICA(v, r)
		assert_null(replica_person(&v, "user-95"));
	throughout(r, STALENESS, is_fresh);
	replica_close(r);
}

static void a_reload_that_shrank_grants_nothing_once_stale_until_accepted(void **state)
{
	(void)state;
	struct replica *r = open_replica();

	until(r, is_fresh);
	DIRECTORY(directory.people = 10; directory.revision = 900);
	until(r, has_alarm);
	WITH_REPLICA(v, r)
		assert_non_null(replica_person(&v, "user-50"));
	DIRECTORY(directory.revision = 1000); /* says what the replica says; that does not make the two equal */
	until(r, is_stale);
	throughout(r, STALENESS, is_stale);
	WITH_REPLICA(v, r)
		assert_non_null(replica_person(&v, "user-50"));
	replica_accept_shrink(r);
	assert_in_range(until(r, has_ten), 0, 2000);
	assert_false(has_alarm(r));
	WITH_REPLICA(v, r)
		assert_null(replica_person(&v, "user-50"));
	replica_close(r);
}

static void opened_while_the_directory_is_down_it_loads_when_it_comes(void **state)
{
	(void)state;
	static const struct replica_settings set = { .max_staleness_ms = STALENESS, .heartbeat_ms = HEARTBEAT };
	struct replica *r = NULL;

	directory = (struct dir){ .lock = PTHREAD_MUTEX_INITIALIZER, .revision = 1, .people = 3, .down = true };
	assert_int_equal(replica_open(&set, &directory, &r).code, OK);
	throughout(r, 200, is_stale);
	DIRECTORY(directory.down = false);
	assert_in_range(until(r, is_fresh), 0, 1500);
	replica_close(r);
}

static void closing_ends_threads_at_once_whatever_they_do(void **state)
{
	(void)state;

	for (int i = 0; i < 20; i++) {
		struct replica *r = open_replica();
		DIRECTORY(directory.down = i % 2);
		nap(i % 7);
		int64_t began = clock_steady_ms();
		replica_close(r);
		assert_in_range(clock_steady_ms() - began, 0, 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fresh_as_long_as_the_heartbeat_is_reached),
		cmocka_unit_test(stale_when_the_directory_does_not_answer),
		cmocka_unit_test(stale_when_the_stream_stays_behind_and_another_stream_is_made),
		cmocka_unit_test(a_directory_that_went_back_is_loaded_again),
		cmocka_unit_test(a_reload_that_shrank_grants_nothing_once_stale_until_accepted),
		cmocka_unit_test(opened_while_the_directory_is_down_it_loads_when_it_comes),
		cmocka_unit_test(closing_ends_threads_at_once_whatever_they_do),
	};

	alarm(120);
	log_set_level(LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("freshness", tests, NULL, NULL);
}
