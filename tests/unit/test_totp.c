/* Tests one-time passwords: RFC 6238's own values, the time that a code is good for, and how the secret is spelt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "flow/totp.h"

static const unsigned char secret[] = "12345678901234567890"; /* RFC 6238, appendix B */
#define SIZE (sizeof secret - 1)

static void the_codes_are_those_of_the_rfc(void **unused)
{
	static const struct { int64_t at; const char *code; } known[] = { /* its last six of eight digits */
		{ 59, "287082" }, { 1111111109, "081804" }, { 1111111111, "050471" }, { 1234567890, "005924" },
		{ 2000000000, "279037" }, { 20000000000, "353130" },
	};
	char code[TOTP_CODE];

	(void)unused;
	for (size_t i = 0; i < COUNT(known); i++) {
		totp_code(secret, SIZE, known[i].at, code);
		assert_string_equal(code, known[i].code);
	}
}

static void a_code_is_good_for_its_time_and_the_one_on_either_side(void **unused)
{
	char code[TOTP_CODE];
	int64_t now = 1234567890; /* the first second of a step */

	(void)unused;
	totp_code(secret, SIZE, now, code);
	assert_true(totp_fits(secret, SIZE, now, code));
	assert_true(totp_fits(secret, SIZE, now + 59, code));
	assert_true(totp_fits(secret, SIZE, now - 30, code));
	assert_false(totp_fits(secret, SIZE, now + 60, code));
	assert_false(totp_fits(secret, SIZE, now - 31, code));
}

static void what_is_no_code_does_not_fit(void **unused)
{
	static const char *const wrong[] = { "", "00592", "0059240", "00592a", "------", " 05924", "5924" };

	(void)unused;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_false(totp_fits(secret, SIZE, 1234567890, wrong[i]));
}

static void base32_is_that_of_the_rfc(void **unused)
{
	static const struct { const char *bytes, *text; } known[] = { /* RFC 4648 10, without padding */
		{ "", "" }, { "f", "MY" }, { "fo", "MZXQ" }, { "foo", "MZXW6" }, { "foob", "MZXW6YQ" }, { "fooba", "MZXW6YTB" },
		{ "foobar", "MZXW6YTBOI" },
	};
	char text[BASE32_TEXT(20)];

	(void)unused;
	for (size_t i = 0; i < COUNT(known); i++) {
		totp_base32((const unsigned char *)known[i].bytes, strlen(known[i].bytes), text);
		assert_string_equal(text, known[i].text);
	}
	totp_base32(secret, SIZE, text);
	assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_codes_are_those_of_the_rfc),
		cmocka_unit_test(a_code_is_good_for_its_time_and_the_one_on_either_side),
		cmocka_unit_test(what_is_no_code_does_not_fit),
		cmocka_unit_test(base32_is_that_of_the_rfc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
