/* Tests the leaves of the guess book: what is counted for whom, what is forgotten, and what a leaf that somebody wrote by
 * hand does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "flow/leaf.h"

#define A "192.0.2.1"
#define B "192.0.2.2"

static struct leaf leaf;

static int empty(void **unused)
{
	(void)unused;
	memset(&leaf, 0, sizeof leaf);
	return 0;
}

static void failures_count_for_their_network_only(void **unused)
{
	(void)unused;
	leaf_add(&leaf, A, 100);
	leaf_add(&leaf, A, 101);
	leaf_add(&leaf, B, 102);
	assert_int_equal(leaf_failures(&leaf, A, 0), 2);
	assert_int_equal(leaf_failures(&leaf, B, 0), 1);
	assert_int_equal(leaf_failures(&leaf, "192.0.2.3", 0), 0);
}

static void failures_before_the_window_do_not_count(void **unused)
{
	(void)unused;
	leaf_add(&leaf, A, 100);
	leaf_add(&leaf, A, 200);
	assert_int_equal(leaf_failures(&leaf, A, 99), 2);
	assert_int_equal(leaf_failures(&leaf, A, 100), 1);
	leaf_drop_before(&leaf, 100);
	assert_int_equal(leaf.count, 1);
}

static void a_success_forgives_its_own_network(void **unused)
{
	(void)unused;
	leaf_add(&leaf, A, 100);
	leaf_add(&leaf, B, 101);
	leaf_add(&leaf, A, 102);
	leaf_forgive(&leaf, A);
	assert_int_equal(leaf_failures(&leaf, A, 0), 0);
	assert_int_equal(leaf_failures(&leaf, B, 0), 1);
}

static void a_full_leaf_forgets_the_oldest(void **unused)
{
	(void)unused;
	leaf_add(&leaf, A, 1);
	for (int i = 0; i < LEAF_FAILURES; i++)
		leaf_add(&leaf, B, 2 + i);
	assert_int_equal(leaf.count, LEAF_FAILURES);
	assert_int_equal(leaf_failures(&leaf, A, 0), 0);
	assert_int_equal(leaf_failures(&leaf, B, 0), LEAF_FAILURES);
}

static void what_was_told_is_read_again(void **unused)
{
	struct arena *a = arena_open();
	struct leaf again;
	char store[64];
	struct text t;

	(void)unused;
	memcpy(leaf.holder, "abcdefghijklmnopqrstuvwxyz", sizeof leaf.holder);
	leaf_add(&leaf, A, 100);
	leaf_add(&leaf, "2001:db8::", INT64_C(4102444800));
	leaf_add(&leaf, "no \"address\"", 102);
	text_open(&t, store, sizeof store);
	leaf_tell(&leaf, &t);
	assert_true(leaf_read(a, t.bytes, t.size, &again));
	assert_memory_equal(&leaf, &again, sizeof leaf);
	text_close(&t);
	arena_close(a);
}

static void what_is_no_leaf_is_an_empty_one(void **unused)
{
	static const char *const wrong[] = { "", "[]", "{", "{\"failures\":3}", "{\"failures\":[[1,2],[\"x\"],[\"x\",\"y\"],3]}",
		"{\"holder\":5}" };
	struct arena *a = arena_open();

	(void)unused;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		(void)leaf_read(a, wrong[i], strlen(wrong[i]), &leaf);
		assert_int_equal(leaf.count, 0);
		assert_int_equal(leaf.holder[0], 0);
	}
	assert_false(leaf_read(a, NULL, 0, &leaf));
	arena_close(a);
}

static void a_network_is_an_address_or_a_64(void **unused)
{
	static const struct { const char *address, *network; } known[] = {
		{ "192.0.2.1", "192.0.2.1" }, { "::ffff:192.0.2.1", "192.0.2.1" }, { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::" },
		{ "", "" }, { "unix", "unix" },
	};
	char network[NETWORK_TEXT];

	(void)unused;
	for (size_t i = 0; i < COUNT(known); i++) {
		throttle_network(known[i].address, network);
		assert_string_equal(network, known[i].network);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(failures_count_for_their_network_only, empty),
		cmocka_unit_test_setup(failures_before_the_window_do_not_count, empty),
		cmocka_unit_test_setup(a_success_forgives_its_own_network, empty),
		cmocka_unit_test_setup(a_full_leaf_forgets_the_oldest, empty),
		cmocka_unit_test_setup(what_was_told_is_read_again, empty),
		cmocka_unit_test_setup(what_is_no_leaf_is_an_empty_one, empty),
		cmocka_unit_test(a_network_is_an_address_or_a_64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
