/* Tests the counters of failed sign-ins: how far guessing gets, one after another and at once, and whom it disturbs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/err.h"
#include "flow/throttle.h"

static const struct throttle_limits limits = { .per_account = 3, .per_address = 20, .window_s = 7200 };
static struct throttle *throttle;

#define A "192.0.2.1"
#define B "192.0.2.2"

static enum throttle_word guess(const char *address, const char *account, int64_t now, enum throttle_end end)
{
	struct throttle_ticket ticket;
	enum throttle_word word = throttle_reserve(throttle, &limits, address, account, now, 0, &ticket);

	if (word != THROTTLE_ADDRESS)
		throttle_settle(throttle, &ticket, end, now);
	return word;
}

static void an_account_is_refused_at_an_address_after_three_failures(void **unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		assert_int_equal(guess(A, "chen", 100 + i, THROTTLE_FAILED), THROTTLE_FREE);
	assert_int_equal(guess(A, "chen", 103, THROTTLE_FAILED), THROTTLE_ACCOUNT);
	assert_int_equal(guess(A, "okafor", 104, THROTTLE_FAILED), THROTTLE_FREE);
}

static void the_owner_at_another_address_is_not_disturbed(void **unused)
{
	(void)unused;
	for (int i = 0; i < 40; i++)
		guess(A, "chen", 100, THROTTLE_FAILED);
	assert_int_equal(guess(A, "chen", 101, THROTTLE_FAILED), THROTTLE_ADDRESS);
	assert_int_equal(guess(B, "chen", 101, THROTTLE_RIGHT), THROTTLE_FREE);
}

static void a_success_forgets_the_failures_of_that_account_only(void **unused)
{
	(void)unused;
	guess(A, "chen", 100, THROTTLE_FAILED);
	guess(A, "chen", 100, THROTTLE_FAILED);
	guess(A, "ito", 100, THROTTLE_FAILED);
	guess(A, "ito", 100, THROTTLE_FAILED);
	guess(A, "ito", 100, THROTTLE_FAILED);
	assert_int_equal(guess(A, "chen", 101, THROTTLE_RIGHT), THROTTLE_FREE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(guess(A, "chen", 102, THROTTLE_FAILED), THROTTLE_FREE);
	assert_int_equal(guess(A, "chen", 103, THROTTLE_FAILED), THROTTLE_ACCOUNT);
	assert_int_equal(guess(A, "ito", 103, THROTTLE_FAILED), THROTTLE_ACCOUNT);
}

static void ones_own_successes_do_not_buy_guesses_at_others(void **unused)
{
	char name[16];
	int sent = 0;

	(void)unused;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "name%d", i);
		sent += guess(A, name, 100, THROTTLE_FAILED) == THROTTLE_FREE;
		guess(A, "mallory", 100, THROTTLE_RIGHT);
	}
	assert_int_equal(sent, 20);
}

static void an_address_is_refused_after_twenty_failures_whatever_the_names(void **unused)
{
	char name[16];

	(void)unused;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "name%d", i);
		assert_int_equal(guess(A, name, 100 + i, THROTTLE_FAILED), THROTTLE_FREE);
	}
	assert_int_equal(guess(A, "another", 120, THROTTLE_FAILED), THROTTLE_ADDRESS);
	assert_int_equal(guess(B, "another", 120, THROTTLE_FAILED), THROTTLE_FREE);
}

static void refusals_for_an_account_count_for_the_address(void **unused)
{
	int account = 0;

	(void)unused;
	for (int i = 0; i < 100; i++)
		account += guess(A, "chen", 100, THROTTLE_FAILED) == THROTTLE_ACCOUNT;
	assert_int_equal(account, 17);
	assert_int_equal(guess(A, "ito", 100, THROTTLE_FAILED), THROTTLE_ADDRESS);
}

static void an_outage_counts_nowhere(void **unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++)
		assert_int_equal(guess(A, "chen", 100, THROTTLE_VOID), THROTTLE_FREE);
}

/* Whatever the times, never more than three failures within any window of 7200 seconds. */
static void no_window_holds_more_failures_than_the_limit(void **unused)
{
	int64_t times[4096], now = 1000000;
	size_t count = 0;
	uint32_t chance = 1;

	(void)unused;
	for (int i = 0; i < 20000 && count < COUNT(times); i++) {
		chance = chance * 1664525 + 1013904223;
		now += (chance >> 8) % (i % 7 == 0 ? 3000 : 300);
		if (guess(B, "other", now, THROTTLE_VOID) == THROTTLE_FREE &&
		    guess(A, "chen", now, THROTTLE_FAILED) == THROTTLE_FREE)
			times[count++] = now;
	}
	assert_true(count > 100);
	for (size_t i = 3; i < count; i++)
		assert_true(times[i] - times[i - 3] >= limits.window_s);
}

static void failures_are_forgotten_soon_after_the_window(void **unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		guess(A, "chen", 100, THROTTLE_FAILED);
	assert_int_equal(guess(A, "chen", 100 + 7199, THROTTLE_VOID), THROTTLE_ACCOUNT);
	assert_int_equal(guess(A, "chen", 100 + 7200 + 900, THROTTLE_VOID), THROTTLE_FREE);
}

static void a_shorter_or_longer_window_after_a_reload_forgets_nothing_at_once(void **unused)
{
	struct throttle_limits other = limits;
	struct throttle_ticket ticket;

	(void)unused;
	for (int i = 0; i < 3; i++)
		guess(A, "chen", 100000, THROTTLE_FAILED);
	other.window_s = 60;
	assert_int_equal(throttle_reserve(throttle, &other, A, "chen", 100001, 0, &ticket), THROTTLE_ACCOUNT);
	throttle_settle(throttle, &ticket, THROTTLE_VOID, 100001);
	assert_int_equal(throttle_reserve(throttle, &other, A, "chen", 100001 + 80, 0, &ticket), THROTTLE_FREE);
	throttle_settle(throttle, &ticket, THROTTLE_FAILED, 100081);
	other.window_s = 86400;
	other.per_account = 1;
	assert_int_equal(throttle_reserve(throttle, &other, A, "chen", 100082, 0, &ticket), THROTTLE_ACCOUNT);
	throttle_settle(throttle, &ticket, THROTTLE_VOID, 100082);
}

static void one_network_is_one_client(void **unused)
{
	static const struct { const char *name, *one, *other; bool same; } rows[] = {
		{ "addresses of one IPv6 /64", "2001:db8:0:1::1", "2001:db8:0:1:ffff::9", true },
		{ "addresses of two IPv6 /64", "2001:db8:0:1::1", "2001:db8:0:2::1", false },
		{ "an IPv4 address and its mapped form", "192.0.2.77", "::ffff:192.0.2.77", true },
		{ "two mapped addresses", "::ffff:192.0.2.77", "::ffff:192.0.2.78", false },
		{ "two IPv4 addresses", "192.0.2.77", "192.0.2.78", false },
		{ "an address and a text like it", "192.0.2.77", "192.0.2.77 ", false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		throttle_close(throttle);
		throttle = throttle_open(64, 64);
		for (int k = 0; k < 3; k++)
			guess(rows[i].one, "chen", 100, THROTTLE_FAILED);
		if ((guess(rows[i].other, "chen", 100, THROTTLE_VOID) == THROTTLE_ACCOUNT) != rows[i].same)
			fail_msg("%s", rows[i].name);
	}
}

/* The victim's counter stands at its limit. A flood of addresses and names with a failure each must not push it out. */
static void a_flood_pushes_out_itself(void **unused)
{
	char address[32], name[16];

	(void)unused;
	for (int i = 0; i < 20; i++)
		guess(A, "chen", 100, THROTTLE_FAILED);
	for (int i = 0; i < 50000; i++) {
		snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		snprintf(name, sizeof name, "name%d", i);
		guess(address, name, 101, THROTTLE_FAILED);
	}
	assert_int_equal(guess(A, "ito", 102, THROTTLE_FAILED), THROTTLE_ADDRESS);
}

/* From one address alone, ten thousand names never make room for one more guess at the account. */
static void a_flood_of_names_from_one_address_buys_no_guess(void **unused)
{
	char name[16];

	(void)unused;
	throttle_close(throttle);
	throttle = throttle_open(8, 8);
	for (int i = 0; i < 3; i++)
		assert_int_equal(guess(B, "chen", 100, THROTTLE_FAILED), THROTTLE_FREE);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "name%d", i);
		guess(A, name, 101, THROTTLE_FAILED);
	}
	assert_int_equal(guess(B, "chen", 102, THROTTLE_FAILED), THROTTLE_ACCOUNT);
}

/* ---- at once ---- */

static atomic_int sent, most_at_once, at_once, refused;
static atomic_bool is_right;

static void *guess_slowly(void *account)
{
	struct throttle_ticket ticket;
	enum throttle_word word = throttle_reserve(throttle, &limits, A, account, 100, 5000, &ticket);

	if (word == THROTTLE_FREE) {
		int now = atomic_fetch_add(&at_once, 1) + 1;
		int most = atomic_load(&most_at_once);

		while (now > most && !atomic_compare_exchange_weak(&most_at_once, &most, now))
			;
		atomic_fetch_add(&sent, 1);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		atomic_fetch_sub(&at_once, 1);
	} else {
		atomic_fetch_add(&refused, 1);
	}
	if (word != THROTTLE_ADDRESS)
		throttle_settle(throttle, &ticket,
		    word == THROTTLE_FREE && atomic_load(&is_right) ? THROTTLE_RIGHT : THROTTLE_FAILED, 100);
	return NULL;
}

static void at_once_with(int count, bool right)
{
	pthread_t threads[100];

	sent = most_at_once = at_once = refused = 0;
	is_right = right;
	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, guess_slowly, "chen"), 0);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void a_hundred_guesses_at_once_send_three(void **unused)
{
	(void)unused;
	at_once_with(100, false);
	assert_int_equal(sent, 3);
	assert_int_equal(refused, 97);
}

static void right_passwords_at_once_all_pass_a_few_at_a_time(void **unused)
{
	(void)unused;
	at_once_with(16, true);
	assert_int_equal(sent, 16);
	assert_true(most_at_once <= 3);
}

static void who_would_wait_too_long_is_refused_without_a_ticket(void **unused)
{
	struct throttle_ticket held[3], ticket;

	(void)unused;
	for (int i = 0; i < 3; i++)
		assert_int_equal(throttle_reserve(throttle, &limits, A, "chen", 100, 0, &held[i]), THROTTLE_FREE);
	assert_int_equal(throttle_reserve(throttle, &limits, A, "chen", 100, 20, &ticket), THROTTLE_ADDRESS);
	assert_null(ticket.address);
	assert_null(ticket.pair);
	for (int i = 0; i < 3; i++)
		throttle_settle(throttle, &held[i], THROTTLE_VOID, 100);
	assert_int_equal(guess(A, "chen", 100, THROTTLE_VOID), THROTTLE_FREE);
}

static int open_throttle(void **unused)
{
	(void)unused;
	throttle = throttle_open(8192, 32768);
	return 0;
}

static int close_throttle(void **unused)
{
	(void)unused;
	throttle_close(throttle);
	return 0;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_throttle, close_throttle)
	const struct CMUnitTest tests[] = {
		TEST(an_account_is_refused_at_an_address_after_three_failures),
		TEST(the_owner_at_another_address_is_not_disturbed),
		TEST(a_success_forgets_the_failures_of_that_account_only),
		TEST(ones_own_successes_do_not_buy_guesses_at_others),
		TEST(an_address_is_refused_after_twenty_failures_whatever_the_names),
		TEST(refusals_for_an_account_count_for_the_address),
		TEST(an_outage_counts_nowhere),
		TEST(no_window_holds_more_failures_than_the_limit),
		TEST(failures_are_forgotten_soon_after_the_window),
		TEST(a_shorter_or_longer_window_after_a_reload_forgets_nothing_at_once),
		TEST(one_network_is_one_client),
		TEST(a_flood_pushes_out_itself),
		TEST(a_flood_of_names_from_one_address_buys_no_guess),
		TEST(a_hundred_guesses_at_once_send_three),
		TEST(right_passwords_at_once_all_pass_a_few_at_a_time),
		TEST(who_would_wait_too_long_is_refused_without_a_ticket),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
