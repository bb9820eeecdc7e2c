/* Passwords before they are hashed: one form, and the rules that a new one is held to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "flow/password.h"

/* ---- one form ---- */

static const struct {
	const char *what, *typed, *hashed; /* hashed NULL: it cannot be one */
} forms[] = {
	{ "plain letters stay", "correct horse", "correct horse" },
	{ "blanks at the ends stay", " a b ", " a b " },
	{ "a letter and its accent are one letter", "cafe\xcc\x81", "caf\xc3\xa9" },
	{ "what is one letter already stays one", "caf\xc3\xa9", "caf\xc3\xa9" },
	{ "accents come in one order", "q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87" },
	{ "full width is not narrow: that would be another form", "\xef\xbd\x81", "\xef\xbd\x81" },
	{ "Hangul letters join", "\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80" },
	{ "a lone byte is none", "a\xff", NULL },
	{ "an overlong form is none", "\xc0\xaf", NULL },
	{ "nothing is none", "", NULL },
	{ "blanks alone are none", "        ", NULL },
};

static void test_passwords_have_one_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct password p;

		password_read(forms[i].typed, strlen(forms[i].typed), &p);
		if (forms[i].hashed == NULL ? p.size != 0 : !text_same(p.bytes, forms[i].hashed))
			fail_msg("%s: %s", forms[i].what, p.bytes);
		if (p.size != strlen(p.bytes))
			fail_msg("%s: its size is %zu", forms[i].what, p.size);
	}
}

static void test_what_is_too_long_or_holds_a_nul_is_none(void **state)
{
	static char bytes[2 * PASSWORD_BYTES];
	struct password p;

	(void)state;
	memset(bytes, 'a', sizeof bytes);
	password_read(bytes, PASSWORD_BYTES, &p);
	assert_int_equal(p.size, PASSWORD_BYTES);
	password_read(bytes, PASSWORD_BYTES + 1, &p);
	assert_int_equal(p.size, 0);
	password_read("long enough\0and more", 20, &p);
	assert_int_equal(p.size, 0);
	/* U+FB2C has two bytes less than its normal form: it grows. */
	for (size_t i = 0; i + 3 <= PASSWORD_BYTES; i += 3)
		memcpy(bytes + i, "\xef\xac\xac", 3);
	password_read(bytes, PASSWORD_BYTES - PASSWORD_BYTES % 3, &p);
	assert_int_equal(p.size, 0);
}

/* ---- rules ---- */

static struct blocklist *list_of(const char *text)
{
	char name[] = "/tmp/scf-blocklist-XXXXXX";
	const char *files[] = { name, NULL };
	struct blocklist *b;
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	assert_int_equal(blocklist_open(files, &b).code, OK);
	unlink(name);
	return b;
}

#define COMMON "guessed first"
#define RUNS "repetition"
#define OWN "made of your name"
#define SHORT "at least"
#define LONG "at most 128"
#define NINE "\xc3\xa9t\xc3\xa9rnel x"

static const struct {
	const char *what, *password;
	int least;
	const char *broken; /* part of the first rule that it breaks; NULL: none */
} judged[] = {
	{ "words that do not go together", "correct horse battery", 15, NULL },
	{ "fourteen characters", "odd mice 14 ch", 15, SHORT },
	{ "fifteen", "odd mice 15 cha", 15, NULL },
	{ "eight, with a second factor", "kx7 Pq!z", 8, NULL },
	{ "seven, with a second factor", "kx7 Pq!", 8, SHORT },
	{ "characters are counted, not bytes", "\xc3\xa9\xc3\xa8\xc3\xaa\xc3\xab\xc3\xa0\xc3\xa2\xc3\xa4", 8, SHORT },
	{ "129 characters", NINE NINE NINE NINE NINE NINE NINE NINE NINE NINE NINE NINE NINE NINE "xyz", 15, LONG },
	{ "one of the list", "sunshine", 8, COMMON },
	{ "in other letters", "SunShine", 8, COMMON },
	{ "with digits behind it", "sunshine2026!", 8, COMMON },
	{ "with digits in it", "$1unsh1ne", 8, NULL },
	{ "dressed up", "p@ssw0rd99", 8, COMMON },
	{ "in full width", "\xef\xbd\x93unshine", 8, COMMON },
	{ "a comment of the list is none", "#!comment: x", 8, NULL },
	{ "a word of the list among others", "sunshine over blue hills", 15, NULL },
	{ "one letter again and again", "aaaaaaaaaaaaaaaa", 15, RUNS },
	{ "three letters again and again", "xq7xq7xq7xq7xq7", 15, RUNS },
	{ "twice the same", "kx7 Pq!zkx7 Pq!z", 15, RUNS },
	{ "the alphabet", "abcdefghijklmnop", 15, RUNS },
	{ "backwards", "ponmlkjihgfedcba", 15, RUNS },
	{ "digits", "12345678901234567890", 15, RUNS },
	{ "the keyboard", "qwertyuiopasdfgh", 15, RUNS },
	{ "two runs", "qwertyui12345678", 15, RUNS },
	{ "his name and a year", "Marta-Silva-2026", 15, OWN },
	{ "his user name", "marta.silva-0417", 15, OWN },
	{ "his organization", "Dormant Practice", 15, OWN },
	{ "his mail address", "silva@dormant.example", 15, OWN },
	{ "this service", "scfgate-medicare", 15, OWN },
	{ "the word itself", "my password 2026", 15, OWN },
	{ "his name among others", "silva likes green apples", 15, NULL },
};

static void test_new_passwords_are_judged(void **state)
{
	static const char *const words[] = { "Marta Silva", "marta.silva-0417", "silva@dormant.example",
		"Dormant Practice Management, Inc.", NULL };
	struct arena *a = arena_open();
	struct blocklist *list = list_of("#!comment: x\npassword\r\nsunshine\n\nzzz\n\xff\xff\n");

	(void)state;
	for (size_t i = 0; i < COUNT(judged); i++) {
		struct password_rules rules = { .blocklist = list, .least = judged[i].least, .words = words };
		struct form_problems problems;
		struct password p;

		password_read(judged[i].password, strlen(judged[i].password), &p);
		password_judge(a, &rules, &p, "/new_password", &problems);
		const char *first = problems.count > 0 ? problems.list[0].rule : NULL;
		bool right =
		    judged[i].broken == NULL ? first == NULL : first != NULL && strstr(first, judged[i].broken);
		if (!right)
			fail_msg("%s: %s", judged[i].what, first != NULL ? first : "no rule is broken");
		if (problems.count > 0)
			assert_string_equal(problems.list[0].pointer, "/new_password");
	}
	blocklist_close(list);
	arena_close(a);
}

static void test_every_broken_rule_is_told(void **state)
{
	struct arena *a = arena_open();
	struct blocklist *list = list_of("aaaa\n");
	struct password_rules rules = { .blocklist = list, .least = 15 };
	struct form_problems problems;
	struct password p;

	(void)state;
	password_read("aaaa", 4, &p);
	password_judge(a, &rules, &p, "/password", &problems);
	assert_int_equal(problems.count, 3);
	password_read("", 0, &p);
	password_judge(a, &rules, &p, "/password", &problems);
	assert_int_equal(problems.count, 1);
	blocklist_close(list);
	arena_close(a);
}

static void test_without_a_list_the_other_rules_hold(void **state)
{
	struct arena *a = arena_open();
	struct password_rules rules = { .least = 8 };
	struct form_problems problems;
	struct password p;

	(void)state;
	password_read("sunshine", 8, &p);
	password_judge(a, &rules, &p, "/password", &problems);
	assert_int_equal(problems.count, 0);
	arena_close(a);
}

static void test_a_list_that_is_not_there_is_an_error(void **state)
{
	const char *files[] = { "/nowhere/list", NULL };
	struct blocklist *list;

	(void)state;
	assert_int_equal(blocklist_open(files, &list).code, ERR_INVALID);
	assert_int_equal(blocklist_open(NULL, &list).code, OK);
	blocklist_close(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passwords_have_one_form),
		cmocka_unit_test(test_what_is_too_long_or_holds_a_nul_is_none),
		cmocka_unit_test(test_new_passwords_are_judged),
		cmocka_unit_test(test_every_broken_rule_is_told),
		cmocka_unit_test(test_without_a_list_the_other_rules_hold),
		cmocka_unit_test(test_a_list_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
