/* Ranges of addresses, and what one address may have at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "http/address.h"

static struct address address(const char *text)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct address out;

	if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
		address_of((struct sockaddr *)&four, &out);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
		address_of((struct sockaddr *)&six, &out);
	}
	return out;
}

static void ranges_hold_what_they_say(void **state)
{
	(void)state;
	static const struct { const char *range, *address; bool holds; } rows[] = {
		{ "192.0.2.0/24", "192.0.2.0", true },
		{ "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.7", "192.0.2.7", true },
		{ "192.0.2.7", "192.0.2.6", false },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "::1", false },
		{ "127.0.0.1/32", "::ffff:127.0.0.1", true },
		{ "2001:db8::/32", "2001:db8:ffff::1", true },
		{ "2001:db8::/32", "2001:db9::1", false },
		{ "2001:db8::/33", "2001:db8:8000::", false },
		{ "::1", "::1", true },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "192.0.2.1", true },
		{ "fe80::/10", "febf::1", true },
		{ "fe80::/10", "fec0::1", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address_range range;
		struct address a = address(rows[i].address);

		assert_true(address_range_read(rows[i].range, &range));
		if (address_in(&a, &range, 1) != rows[i].holds)
			fail_msg("%s in %s", rows[i].address, rows[i].range);
		assert_false(address_in(&a, &range, 0));
	}
}

static void malformed_ranges_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = { "", "/", "localhost", "192.0.2", "192.0.2.0/", "192.0.2.0/33",
		"192.0.2.0/-1", "192.0.2.0/08", "192.0.2.0/8x", "192.0.2.0/ 8", " 192.0.2.0/24", "192.0.2.1/24",
		"10.0.0.1/8", "2001:db8::/129", "2001:db8::1/64", "2001:db8::/1000", "192.0.2.0/24/24",
		"::ffff:1.2.3.4.5", "1.2.3.4,5.6.7.8" };
	struct address_range range;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (address_range_read(rows[i], &range))
			fail_msg("'%s' was taken", rows[i]);
}

static void addresses_are_written_as_people_know_them(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "192.0.2.7", "192.0.2.7" },
		{ "::ffff:192.0.2.7", "192.0.2.7" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "::1", "::1" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address a = address(rows[i][0]);
		char text[ADDRESS_TEXT];

		address_format(&a, text);
		assert_string_equal(text, rows[i][1]);
	}
}

static void connections_of_one_address_are_counted(void **state)
{
	(void)state;
	struct address_book *book = address_book_open();
	struct address one = address("192.0.2.1"), other = address("192.0.2.2");

	for (int i = 0; i < 3; i++) {
		assert_true(address_may_connect(book, &one, 3));
		address_connected(book, &one);
	}
	assert_false(address_may_connect(book, &one, 3));
	assert_true(address_may_connect(book, &one, 0));
	assert_true(address_may_connect(book, &other, 3));
	address_left(book, &one);
	assert_true(address_may_connect(book, &one, 3));
	address_left(book, &one);
	address_left(book, &one);
	assert_int_equal(address_count(book), 1);
	address_sweep(book, 0);
	assert_int_equal(address_count(book), 0);
	address_book_close(book);
}

static void the_addresses_of_one_network_are_one(void **state)
{
	(void)state;
	struct address_book *book = address_book_open();
	struct address one = address("2001:db8:0:1::1"), same = address("2001:db8:0:1:ffff::2"),
		       other = address("2001:db8:0:2::1");

	address_connected(book, &one);
	assert_false(address_may_connect(book, &same, 1));
	assert_true(address_may_connect(book, &other, 1));
	address_left(book, &same);
	assert_true(address_may_connect(book, &one, 1));
	address_book_close(book);
}

static void requests_come_at_their_rate_with_bursts(void **state)
{
	(void)state;
	struct address_book *book = address_book_open();
	struct address a = address("192.0.2.1"), b = address("192.0.2.2");
	int taken = 0;

	for (int i = 0; i < 100; i++)
		taken += address_may_ask(book, &a, 10, 1000);
	assert_int_equal(taken, 20); /* a burst of twice the rate */
	assert_true(address_may_ask(book, &b, 10, 1000));
	assert_false(address_may_ask(book, &a, 10, 1099));
	assert_true(address_may_ask(book, &a, 10, 1200));
	taken = 0;
	for (int i = 0; i < 100; i++)
		taken += address_may_ask(book, &a, 10, 2199);
	assert_int_equal(taken, 10);
	assert_true(address_may_ask(book, &a, 0, 2199)); /* off */
	/* A clock that seems to go back gives nothing. */
	assert_false(address_may_ask(book, &a, 10, 1));
	address_sweep(book, 2200);
	assert_int_equal(address_count(book), 2);
	address_sweep(book, 9999);
	assert_int_equal(address_count(book), 0);
	taken = 0;
	for (int i = 0; i < 100; i++)
		taken += address_may_ask(book, &a, 10, 20000);
	assert_int_equal(taken, 20);
	address_book_close(book);
}

static void many_addresses_are_kept_apart(void **state)
{
	(void)state;
	struct address_book *book = address_book_open();
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct address a;

	for (uint32_t i = 0; i < 5000; i++) {
		from.sin_addr.s_addr = htonl(0x0a000000 + i);
		address_of((struct sockaddr *)&from, &a);
		assert_true(address_may_connect(book, &a, 1));
		address_connected(book, &a);
	}
	assert_int_equal(address_count(book), 5000);
	for (uint32_t i = 0; i < 5000; i++) {
		from.sin_addr.s_addr = htonl(0x0a000000 + i);
		address_of((struct sockaddr *)&from, &a);
		assert_false(address_may_connect(book, &a, 1));
		if (i % 2 == 0)
			address_left(book, &a);
	}
	address_sweep(book, 0);
	assert_int_equal(address_count(book), 2500);
	address_book_close(book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_hold_what_they_say),
		cmocka_unit_test(malformed_ranges_are_refused),
		cmocka_unit_test(addresses_are_written_as_people_know_them),
		cmocka_unit_test(connections_of_one_address_are_counted),
		cmocka_unit_test(the_addresses_of_one_network_are_one),
		cmocka_unit_test(requests_come_at_their_rate_with_bursts),
		cmocka_unit_test(many_addresses_are_kept_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
