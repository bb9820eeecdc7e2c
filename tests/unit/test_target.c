/* Request targets: what is canonical, what is refused, and what parameters say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "http/target.h"

static struct target target;

static const char *judge(const char *raw, size_t size)
{
	/* Exactly as long as the target, so that a sanitizer sees a byte too many. */
	char *copy = test_malloc(size > 0 ? size : 1);

	memcpy(copy, raw, size);
	const char *wrong = target_read(copy, size, &target);
	target.query = NULL;
	test_free(copy);
	return wrong;
}

static void canonical_targets_are_decoded_once(void **state)
{
	(void)state;
	static const struct { const char *raw, *path; } rows[] = {
		{ "/", "/" },
		{ "/v1/me", "/v1/me" },
		{ "/v1/me/", "/v1/me/" },
		{ "/a.b/..c/d../...", "/a.b/..c/d../..." },
		{ "/%61dmin", "/admin" },
		{ "/%c3%a9", "/\xc3\xa9" },
		{ "/%F0%9F%98%80", "/\xf0\x9f\x98\x80" },
		{ "/a%20b", "/a b" },
		{ "/a%22b%3cc", "/a\"b<c" },
		{ "/a,b:c@d=e+f&g", "/a,b:c@d=e+f&g" },
		{ "/x?y=/../z", "/x" },
		{ "/x?", "/x" },
		{ "/x?a?b;c", "/x" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *wrong = judge(rows[i].raw, strlen(rows[i].raw));

		if (wrong != NULL)
			fail_msg("%s: %s", rows[i].raw, wrong);
		assert_string_equal(target.path, rows[i].path);
		assert_int_equal(target.size, strlen(rows[i].path));
	}
}

static void what_can_be_read_in_two_ways_is_refused(void **state)
{
	(void)state;
	static const struct { const char *name, *raw; size_t size; } rows[] = {
#define ROW(name, text) { name, text, sizeof text - 1 }
		ROW("nothing", ""),
		ROW("not absolute", "v1/me"),
		ROW("an asterisk", "*"),
		ROW("absolute form", "https://localhost/v1/me"),
		ROW("dot dot", "/x/../v1/me"),
		ROW("dot dot at the end", "/x/.."),
		ROW("dot", "/./v1/me"),
		ROW("dot at the end", "/v1/."),
		ROW("encoded dot dot", "/x/%2e%2e/v1"),
		ROW("half encoded dot dot", "/x/.%2E/v1"),
		ROW("encoded dot at the end", "/x/%2e"),
		ROW("double slash", "/v1//me"),
		ROW("double slash at the beginning", "//v1/me"),
		ROW("double slash at the end", "/v1/me//"),
		ROW("encoded slash", "/v1%2fme"),
		ROW("encoded slash, upper case", "/v1%2Fme"),
		ROW("backslash", "/v1\\me"),
		ROW("encoded backslash", "/v1%5cme"),
		ROW("path parameter", "/v1/me;a=b"),
		ROW("encoded semicolon", "/v1/me%3ba"),
		ROW("dot dot with parameter", "/x/..;/v1"),
		ROW("fragment", "/v1/me#x"),
		ROW("encoded fragment", "/v1/me%23x"),
		ROW("encoded question mark", "/v1/me%3fx"),
		ROW("NUL", "/v1/me\0x"),
		ROW("encoded NUL", "/v1/me%00x"),
		ROW("double encoding", "/x/%252e%252e/v1"),
		ROW("encoded percent sign", "/100%25"),
		ROW("encoded line feed", "/v1%0ame"),
		ROW("encoded carriage return", "/v1%0d%0aX:"),
		ROW("encoded delete", "/v1%7f"),
		ROW("control byte", "/v1\x01"),
		ROW("tab", "/v1\tme"),
		ROW("blank", "/v1 me"),
		ROW("quote", "/v1\"me"),
		ROW("braces", "/v1/{id}"),
		ROW("raw byte above 127", "/\xc3\xa9"),
		ROW("encoded byte that is not UTF-8", "/%ff"),
		ROW("overlong slash", "/x%c0%afy"),
		ROW("overlong dot", "/%e0%80%ae%e0%80%ae/x"),
		ROW("surrogate", "/%ed%a0%80"),
		ROW("character cut short", "/%e2%82"),
		ROW("percent sign at the end", "/v1%"),
		ROW("one digit", "/v1%4"),
		ROW("not hexadecimal", "/v1%zz"),
		ROW("percent u", "/v1%u002e"),
		ROW("query with a blank", "/v1?a b"),
		ROW("query with a fragment", "/v1?a#b"),
		ROW("query with bad encoding", "/v1?a=%4"),
		ROW("query with encoded NUL", "/v1?a=%00"),
		ROW("query with a raw byte", "/v1?a=\xff"),
#undef ROW
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (judge(rows[i].raw, rows[i].size) == NULL)
			fail_msg("%s: taken as %s", rows[i].name, target.path);
		assert_string_equal(target.path, "");
	}
}

static void a_target_has_a_limit(void **state)
{
	(void)state;
	char raw[TARGET_MOST + 1];

	memset(raw, 'a', sizeof raw);
	raw[0] = '/';
	assert_null(judge(raw, TARGET_MOST - 1));
	assert_int_equal(target.size, TARGET_MOST - 1);
	assert_string_equal(judge(raw, TARGET_MOST), "too long");
	assert_string_equal(judge(raw, TARGET_MOST + 1), "too long");
}

static void parameters_are_found_once_or_refused(void **state)
{
	(void)state;
	static const struct {
		const char *query;
		enum target_found found;
		const char *value;
	} rows[] = {
		{ NULL, TARGET_ABSENT, NULL },
		{ "", TARGET_ABSENT, NULL },
		{ "provider=lakeside", TARGET_FOUND, "lakeside" },
		{ "a=b&provider=lakeside&c", TARGET_FOUND, "lakeside" },
		{ "provider", TARGET_FOUND, "" },
		{ "provider=", TARGET_FOUND, "" },
		{ "provider=a=b", TARGET_FOUND, "a=b" },
		{ "provider=a%26b%3Dc", TARGET_FOUND, "a&b=c" },
		{ "provider=a+b", TARGET_FOUND, "a+b" },
		{ "provider=%C3%A9", TARGET_FOUND, "\xc3\xa9" },
		{ "providers=x&xprovider=y&Provider=z", TARGET_ABSENT, NULL },
		{ "&&provider=x&&", TARGET_FOUND, "x" },
		{ "provider=a&provider=a", TARGET_DOUBLED, NULL },
		{ "provider=a&x=1&provider=b", TARGET_DOUBLED, NULL },
		{ "provider=a%0ab", TARGET_MALFORMED, NULL },
		{ "provider=%ff", TARGET_MALFORMED, NULL },
		{ "provider=0123456789abcdef", TARGET_MALFORMED, NULL },
		{ "provider=0123456789abcde", TARGET_FOUND, "0123456789abcde" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char out[16] = "untouched";

		assert_int_equal(target_parameter(rows[i].query, "provider", out, sizeof out), rows[i].found);
		if (rows[i].value != NULL)
			assert_string_equal(out, rows[i].value);
	}
}

static void unknown_parameters_are_named(void **state)
{
	(void)state;
	static const char *const known[] = { "provider", "acting_for", NULL };
	char name[8];

	assert_false(target_has_unknown(NULL, known, name, sizeof name));
	assert_false(target_has_unknown("provider=a&acting_for=b", known, name, sizeof name));
	assert_true(target_has_unknown("provider=a&limit=3", known, name, sizeof name));
	assert_string_equal(name, "limit");
	assert_true(target_has_unknown("a_long_name_indeed", known, name, sizeof name));
	assert_string_equal(name, "a_long_");
	assert_true(target_has_unknown("acting%5ffor=b", known, name, sizeof name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_targets_are_decoded_once),
		cmocka_unit_test(what_can_be_read_in_two_ways_is_refused),
		cmocka_unit_test(a_target_has_a_limit),
		cmocka_unit_test(parameters_are_found_once_or_refused),
		cmocka_unit_test(unknown_parameters_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
