/* Tests the memory of session uses: what is noted, when it is due for the directory, and what many threads do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "flow/uses.h"

#define EVERY 60

struct digest { unsigned char bytes[32]; };

static struct digest digest_of(unsigned n)
{
	struct digest d;
	uint64_t x = n + 1;

	for (size_t i = 0; i < sizeof d.bytes; i++) {
		x = x * 6364136223846793005U + 1442695040888963407U;
		d.bytes[i] = (unsigned char)(x >> 56);
	}
	return d;
}

static bool note(struct uses *u, unsigned n, int64_t seen_at, int64_t now)
{
	struct digest d = digest_of(n);

	return uses_note(u, d.bytes, seen_at, now);
}

static int64_t last(struct uses *u, unsigned n)
{
	struct digest d = digest_of(n);

	return uses_last(u, d.bytes);
}

static bool due(struct uses *u, int64_t now, struct use *out)
{
	size_t place = 0;

	return uses_next_due(u, &place, now, EVERY, out);
}

static void a_use_is_remembered_and_moves_forward_only(void **unused)
{
	struct uses *u = uses_open(64);

	(void)unused;
	assert_int_equal(last(u, 1), 0);
	assert_true(note(u, 1, 1000, 1010));
	assert_int_equal(last(u, 1), 1010);
	note(u, 1, 1000, 1020);
	note(u, 1, 1000, 1015);
	assert_int_equal(last(u, 1), 1020);
	assert_int_equal(last(u, 2), 0);
	uses_close(u);
}

static void a_use_is_due_once_the_last_write_is_a_minute_old(void **unused)
{
	struct uses *u = uses_open(64);
	struct digest d = digest_of(1);
	struct use use;

	(void)unused;
	note(u, 1, 1000, 1010);
	assert_false(due(u, 1059, &use));
	assert_true(due(u, 1060, &use));
	assert_int_equal(use.at, 1010);
	assert_memory_equal(use.digest, d.bytes, sizeof d.bytes);
	uses_written(u, &use);
	assert_false(due(u, 1060, &use));
	note(u, 1, 1010, 1065);
	assert_false(due(u, 1069, &use));
	assert_true(due(u, 1070, &use));
	assert_int_equal(use.at, 1065);
	uses_close(u);
}

static void what_the_directory_has_known_for_long_is_forgotten(void **unused)
{
	struct uses *u = uses_open(64);
	struct use use;

	(void)unused;
	note(u, 1, 1000, 1010);
	assert_true(due(u, 1060, &use));
	uses_written(u, &use);
	assert_false(due(u, 1070, &use));
	assert_int_equal(last(u, 1), 1010);
	assert_false(due(u, 1071, &use));
	assert_int_equal(last(u, 1), 0);
	uses_close(u);
}

static void an_ended_session_is_forgotten(void **unused)
{
	struct uses *u = uses_open(64);
	struct use use;

	(void)unused;
	note(u, 1, 1000, 1010);
	assert_true(due(u, 1060, &use));
	uses_forget(u, &use);
	assert_int_equal(last(u, 1), 0);
	assert_false(due(u, 2000, &use));
	uses_close(u);
}

static void a_full_table_says_so_and_keeps_what_it_has(void **unused)
{
	struct uses *u = uses_open(16);
	int held = 0;

	(void)unused;
	assert_false(uses_were_lost(u));
	for (unsigned i = 0; i < 100; i++)
		held += note(u, i, 1000, 1010);
	assert_int_equal(held, 16);
	assert_true(uses_were_lost(u));
	assert_false(uses_were_lost(u));
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(last(u, i), 1010);
	uses_close(u);
}

static void half_a_table_of_sessions_all_find_room(void **unused)
{
	struct uses *u = uses_open(65536);
	int held = 0;

	(void)unused;
	for (unsigned i = 0; i < 32768; i++)
		held += note(u, i, 1000, 1010);
	assert_int_equal(held, 32768);
	for (unsigned i = 0; i < 32768; i++)
		assert_int_equal(last(u, i), 1010);
	uses_close(u);
}

/* ---- many threads ---- */

static struct uses *shared;
static atomic_bool stop;

static void *use_sessions(void *unused)
{
	(void)unused;
	for (int64_t now = 1010; now < 1400; now++)
		for (unsigned i = 0; i < 64; i++)
			note(shared, i, 1000, now);
	return NULL;
}

static void *write_them(void *unused)
{
	(void)unused;
	for (int64_t now = 1070; !atomic_load(&stop); now = now < 1500 ? now + 1 : 1070) {
		size_t place = 0;
		struct use use;

		while (uses_next_due(shared, &place, now, EVERY, &use)) {
			if (use.at % 3 == 0)
				uses_forget(shared, &use);
			else
				uses_written(shared, &use);
		}
	}
	return NULL;
}

static void many_threads_note_what_one_writes_and_forgets(void **unused)
{
	pthread_t users[3], writer;

	(void)unused;
	shared = uses_open(128);
	stop = false;
	assert_int_equal(pthread_create(&writer, NULL, write_them, NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&users[i], NULL, use_sessions, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(users[i], NULL);
	stop = true;
	pthread_join(writer, NULL);
	for (unsigned i = 0; i < 64; i++) {
		note(shared, i, 1000, 2000);
		assert_int_equal(last(shared, i), 2000);
	}
	uses_close(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_use_is_remembered_and_moves_forward_only),
		cmocka_unit_test(a_use_is_due_once_the_last_write_is_a_minute_old),
		cmocka_unit_test(what_the_directory_has_known_for_long_is_forgotten),
		cmocka_unit_test(an_ended_session_is_forgotten),
		cmocka_unit_test(a_full_table_says_so_and_keeps_what_it_has),
		cmocka_unit_test(half_a_table_of_sessions_all_find_room),
		cmocka_unit_test(many_threads_note_what_one_writes_and_forgets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
