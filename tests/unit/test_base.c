/* The ground floor: arena, text, clock, secrets, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/secret.h"
#include "base/text.h"

static void an_arena_gives_zeroed_memory_of_any_size(void **state)
{
	(void)state;
	struct arena *a = arena_open();

	for (size_t size = 0; size < 70000; size = size * 3 + 1) {
		unsigned char *p = arena_alloc(a, size);

		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
	}
	arena_reset(a);
	assert_int_equal(*(unsigned char *)arena_alloc(a, 1), 0);
	assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
	arena_close(a);
}

static void a_list_grows_as_long_as_there_is_more(void **state)
{
	(void)state;
	struct arena *a = arena_open();
	size_t *list = NULL;

	for (size_t count = 0; count < 5000; count++) {
		list = arena_more(a, list, count, sizeof *list);
		list[count] = count;
		memset(arena_alloc(a, 8), 0xff, 8); /* what others ask for in between is theirs */
	}
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(list[i], i);
	arena_close(a);
}

static void text_writes_json_strings_that_stay_one_line(void **state)
{
	(void)state;
	static const struct { const char *name, *in, *out; } rows[] = {
		{ "plain", "abc", "\"abc\"" },
		{ "nothing", NULL, "null" },
		{ "quotes and backslashes", "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "line ends", "a\r\nb", "\"a\\u000d\\u000ab\"" },
		{ "delete", "\x7f", "\"\\u007f\"" },
		{ "line ends of Unicode", "\xc2\x85\xe2\x80\xa8\xe2\x80\xa9", "\"\\u0085\\u2028\\u2029\"" },
		{ "what steers a terminal", "\xc2\x9b\xc2\xa0", "\"\\u009b\xc2\xa0\"" },
		{ "UTF-8 is kept", "\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
		{ "an overlong slash is replaced", "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "a surrogate is replaced", "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "a character cut short is replaced", "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char store[4];
		struct text t;

		text_open(&t, store, sizeof store);
		text_json(&t, rows[i].in);
		assert_string_equal(t.bytes, rows[i].out);
		text_close(&t);
	}
}

static void text_grows_and_prints_numbers(void **state)
{
	(void)state;
	char store[2];
	struct text t;

	text_open(&t, store, sizeof store);
	text_int(&t, INT64_MIN);
	text_puts(&t, " ");
	text_int(&t, INT64_MAX);
	text_int(&t, 0);
	text_printf(&t, "%5s|", "x");
	assert_string_equal(t.bytes, "-9223372036854775808 92233720368547758070    x|");
	text_close(&t);
	assert_false(text_same(NULL, ""));
	assert_true(text_same(NULL, NULL));
	assert_false(text_begins(NULL, ""));
}

static void times_are_read_and_written(void **state)
{
	(void)state;
	static const struct { const char *text; int64_t seconds; } generalized[] = {
		{ "19700101000000Z", 0 }, { "20261124063744Z", 1795502264 }, { "20261124063744.123456Z", 1795502264 },
		{ "20240229000000Z", 1709164800 }, { "20230229000000Z", -1 }, { "2026112406374Z", -1 },
		{ "20261124063744", -1 }, { "20261124063744+0100", -1 }, { "20261324063744Z", -1 }, { "", -1 },
		{ "20261124063744Zx", -1 }, { "20261124243744Z", -1 },
	};
	char out[CLOCK_GENERALIZED], text[CLOCK_TEXT];

	for (size_t i = 0; i < COUNT(generalized); i++)
		assert_int_equal(clock_parse_generalized(generalized[i].text), generalized[i].seconds);
	for (int64_t s = -5000000000; s < 9000000000; s += 86399 * 997) {
		clock_format_generalized(s, out);
		assert_int_equal(clock_parse_generalized(out), s);
	}
	clock_format(1795502264123456, text);
	assert_string_equal(text, "2026-11-24T06:37:44.123456Z");
	assert_int_equal(clock_parse_rfc3339(text), 1795502264);
	assert_int_equal(clock_parse_rfc3339("2026-11-24T07:37:44+01:00"), 1795502264);
	assert_int_equal(clock_parse_rfc3339("2026-11-24T05:37:44-01:00"), 1795502264);
	assert_int_equal(clock_parse_rfc3339("2026-11-24 05:37:44Z"), -1);
	assert_int_equal(clock_parse_rfc3339("2026-11-24T05:37:44"), -1);
}

static void digests_are_those_of_the_standard(void **state)
{
	(void)state;
	char out[DIGEST_TEXT], token[TOKEN_TEXT], again[TOKEN_TEXT], id[ID_TEXT];

	/* FIPS 180-4 and RFC 4231 test vectors */
	secret_digest("abc", 3, out);
	assert_string_equal(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	secret_mac("Jefe", 4, "what do ya want for nothing?", 28, out);
	assert_string_equal(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	random_token(token);
	random_token(again);
	assert_int_equal(strlen(token), 43);
	assert_int_equal(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
	assert_string_not_equal(token, again);
	random_id(id);
	assert_int_equal(strlen(id), 26);
	assert_true(secret_equal("ab", "ab", 2));
	assert_false(secret_equal("ab", "ac", 2));
}

static void json_from_strangers_is_held_to_the_rules(void **state)
{
	(void)state;
	static const struct { const char *name, *in; bool fine; } rows[] = {
		{ "an object", "{\"a\":\"b\"}", true },
		{ "an array", "[1]", false },
		{ "nothing", "", false },
		{ "a member twice", "{\"a\":1,\"a\":2}", false },
		{ "something behind it", "{} x", false },
		{ "a lone surrogate", "{\"a\":\"\\ud800\"}", false },
		{ "not UTF-8", "{\"a\":\"\xff\"}", false },
		{ "a NUL in a string", "{\"a\":\"\\u0000\"}", false },
		{ "32 levels", "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", true },
		{ "33 levels", "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", false },
		{ "brackets in a string are no levels", "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"}", true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open();
		json_auto *json = NULL;
		struct err e = json_read_object(a, rows[i].in, strlen(rows[i].in), &json);

		if ((e.code == OK) != rows[i].fine)
			fail_msg("%s: %s", rows[i].name, e.code == OK ? "taken" : e.what);
		arena_close(a);
	}
}

static void json_errors_name_the_member(void **state)
{
	(void)state;
	struct arena *a = arena_open();
	json_auto *json = NULL;
	const char *text = "{\"name\":\"x\",\"age\":3,\"extra\":null}", *value = NULL;

	assert_int_equal(json_read_object(a, text, strlen(text), &json).code, OK);
	assert_int_equal(json_need_text(a, json, "name", &value).code, OK);
	assert_string_equal(value, "x");
	assert_string_equal(json_need_text(a, json, "age", &value).what, "'age' must be a string");
	assert_string_equal(json_need_text(a, json, "other", &value).what, "'other' is required");
	assert_int_equal(json_may_text(a, json, "other", &value).code, OK);
	assert_null(value);
	assert_string_equal(json_only(a, json, (const char *const[]){ "name", "age", NULL }).what,
	    "'extra' is not a known member here");
	arena_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_arena_gives_zeroed_memory_of_any_size),
		cmocka_unit_test(a_list_grows_as_long_as_there_is_more),
		cmocka_unit_test(text_writes_json_strings_that_stay_one_line),
		cmocka_unit_test(text_grows_and_prints_numbers),
		cmocka_unit_test(times_are_read_and_written),
		cmocka_unit_test(digests_are_those_of_the_standard),
		cmocka_unit_test(json_from_strangers_is_held_to_the_rules),
		cmocka_unit_test(json_errors_name_the_member),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
