/* Tests the words of the model and the forms of ids, UUIDs and revisions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "model/model.h"

static void every_state_has_a_word_that_reads_back(void **unused)
{
	(void)unused;
	for (int i = STATE_NONE + 1; i < STATES; i++) {
		const char *word = state_word((enum state)i);
		assert_non_null(word);
		assert_int_equal(state_of_word(word), i);
	}
}

static void unknown_words_are_no_state(void **unused)
{
	static const char *const words[] = { "", "none", "Active", "active ", " active", "activ", "approved\n",
		"locked", "unknown" };

	(void)unused;
	assert_int_equal(state_of_word(NULL), STATE_NONE);
	for (size_t i = 0; i < COUNT(words); i++)
		assert_int_equal(state_of_word(words[i]), STATE_NONE);
	assert_string_equal(state_word((enum state)STATES), "unknown");
	assert_string_equal(state_word((enum state)-1), "unknown");
}

static void kinds_and_roles_have_the_words_of_the_directory(void **unused)
{
	(void)unused;
	for (int i = 0; i < KINDS; i++) {
		assert_non_null(kind_word((enum kind)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(kind_word((enum kind)i), kind_word((enum kind)j));
	}
	assert_string_equal(kind_word(KIND_RECORD), "record");
	assert_string_equal(kind_word(KINDS), "unknown");
	assert_string_equal(role_word(ROLE_HELP_DESK), "helpdesk");
	assert_string_equal(role_word(ROLE_AUDITOR), "auditors");
	assert_string_equal(role_word(ROLE_PROCESSOR), "processors");
	assert_string_equal(role_word((enum role)3), "unknown");
}

static void each_kind_has_its_states_and_no_others(void **unused)
{
	/* The table of docs/rules.md §2, one line a kind. */
	static const struct { enum kind kind; const char *words; } rows[] = {
		{ KIND_PERSON, " active disabled removed " },
		{ KIND_ORGANIZATION, " registered active suspended closed " },
		{ KIND_ASSOCIATION, " pending approved rejected cancelled expired ended " },
		{ KIND_CONSENT, " prepared signed approved rejected withdrawn revoked expired " },
		{ KIND_RECORD, " none " },
		{ KIND_SUBMISSION, " draft submitted accepted returned " },
		{ KIND_SESSION, " active ended " },
		{ KIND_APPLICATION, " active disabled " },
		{ KIND_ROLE, " none " },
		{ KIND_CLAIM, " submitted approved rejected withdrawn " },
		{ KIND_CASE, " submitted executed declined " },
		{ KIND_GRANT, " active ended " },
		{ KIND_RESERVATION, " none " },
	};
	char word[32];

	(void)unused;
	assert_int_equal(COUNT(rows), KINDS);
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int s = 0; s < STATES; s++) {
			snprintf(word, sizeof word, " %s ", state_word((enum state)s));
			assert_int_equal(state_fits(rows[i].kind, (enum state)s), strstr(rows[i].words, word) != NULL);
		}
	assert_false(state_fits(KINDS, STATE_ACTIVE));
	assert_false(state_fits(KIND_PERSON, STATES));
}

static void a_uuid_is_written_as_rfc_4122_says(void **unused)
{
	struct uuid uuid;
	char text[UUID_TEXT];

	(void)unused;
	for (int i = 0; i < 16; i++)
		uuid.bytes[i] = (unsigned char)(i * 16 + 15 - i);
	uuid_format(&uuid, text);
	assert_string_equal(text, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
}

static void a_revision_is_read_and_written_back(void **unused)
{
	static const struct { const char *text; struct revision revision; } rows[] = {
		{ "20261124063744.123456Z#000000#000#000000", { 1795502264123456, 0, 0, 0 } },
		{ "19700101000000.000001Z#000000#000#000000", { 1, 0, 0, 0 } },
		{ "20000229235959.999999Z#00000a#001#000001", { 951868799999999, 10, 1, 1 } },
		{ "20380119031408.000000Z#ffffff#fff#00ffff", { 2147483648000000, 0xffffff, 0xfff, 0xffff } },
	};
	char text[REVISION_TEXT];

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct revision got = { 0 };
		assert_true(revision_parse(rows[i].text, strlen(rows[i].text), &got));
		assert_int_equal(got.micros, rows[i].revision.micros);
		assert_int_equal(got.count, rows[i].revision.count);
		assert_int_equal(got.server, rows[i].revision.server);
		assert_int_equal(got.modification, rows[i].revision.modification);
		revision_format(&got, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void every_day_of_four_centuries_agrees_with_the_c_library(void **unused)
{
	char text[REVISION_TEXT], expected[64];

	(void)unused;
	for (int64_t day = 0; day < 146097 + 366; day++) {
		int64_t seconds = day * 86400 + day % 86400;
		struct tm tm;
		struct revision revision = { .micros = seconds * 1000000 + 7 }, again;
		time_t t = (time_t)seconds;
		assert_non_null(gmtime_r(&t, &tm));
		snprintf(expected, sizeof expected, "%04d%02d%02d%02d%02d%02d.000007Z#000000#000#000000",
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		revision_format(&revision, text);
		assert_string_equal(text, expected);
		assert_true(revision_parse(text, strlen(text), &again));
		assert_int_equal(revision_compare(&revision, &again), 0);
	}
}

static void what_is_no_revision_is_refused(void **unused)
{
	static const char *const rows[] = {
		"", "20261124063744Z", "20261124063744.123456Z", "20261124063744.123456Z#000000#000#00000",
		"20261124063744.123456Z#000000#000#0000000", "20261124063744,123456Z#000000#000#000000",
		"20261124063744.123456z#000000#000#000000", "20261124063744.123456Z-000000#000#000000",
		"20261124063744.123456Z#000000-000#000000", "20261124063744.123456Z#000000#000-000000",
		"20261324063744.123456Z#000000#000#000000", "20260024063744.123456Z#000000#000#000000",
		"20260229063744.123456Z#000000#000#000000", "21000229063744.123456Z#000000#000#000000",
		"20261100063744.123456Z#000000#000#000000", "20261124243744.123456Z#000000#000#000000",
		"20261124066044.123456Z#000000#000#000000", "20261124063760.123456Z#000000#000#000000",
		"2026112406374a.123456Z#000000#000#000000", "20261124063744.12345 Z#000000#000#000000",
		"20261124063744.123456Z#00000g#000#000000", "20261124063744.123456Z#000000#0x0#000000",
		"20261124063744.123456Z#000000#000#00000-", "20261124063744.123456Z#000000#000#010000",
		"19691231235959.999999Z#000000#000#000000", "19700101000000.000000Z#000000#000#000000",
		"-0261124063744.123456Z#000000#000#000000", "+0261124063744.123456Z#000000#000#000000",
	};
	struct revision out = { 1, 2, 3, 4 };

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (revision_parse(rows[i], strlen(rows[i]), &out))
			fail_msg("taken for a revision: %s", rows[i]);
	assert_int_equal(out.micros, 1);
	const char nul[] = "20261124063744.123456Z#000000#000\0000000000";
	assert_false(revision_parse(nul, REVISION_TEXT - 1, &out));
}

static void revisions_are_ordered_by_time_count_server_and_modification(void **unused)
{
	static const struct revision rising[] = {
		{ 0, 0, 0, 0 },
		{ 1, 0, 0, 0 },
		{ 1, 0, 0, 1 },
		{ 1, 0, 1, 0 },
		{ 1, 1, 0, 0 },
		{ 2, 0, 0, 0 },
		{ 1LL << 50, 0, 0, 0 },
	};

	(void)unused;
	for (int i = 0; i < (int)COUNT(rising); i++)
		for (int j = 0; j < (int)COUNT(rising); j++) {
			int order = revision_compare(&rising[i], &rising[j]);
			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
}

static void ids_have_their_forms(void **unused)
{
	static const struct { bool (*is)(const char *); const char *text; bool yes;
	} rows[] = {
		{ id_is_uid, "chen", true },
		{ id_is_uid, "a1", true },
		{ id_is_uid, "0.a_b-c", true },
		{ id_is_uid, "abcdefghijklmnopqrstuvwxyz012345", true },
		{ id_is_uid, "abcdefghijklmnopqrstuvwxyz0123456", false },
		{ id_is_uid, "a", false },
		{ id_is_uid, "", false },
		{ id_is_uid, NULL, false },
		{ id_is_uid, "Chen", false },
		{ id_is_uid, ".chen", false },
		{ id_is_uid, "chen ", false },
		{ id_is_uid, " chen", false },
		{ id_is_uid, "ch,en", false },
		{ id_is_uid, "ch*n", false },
		{ id_is_uid, "ch\xc3\xa9n", false },
		{ id_is_uid, "chen\n", false },
		{ id_is_uid, "ｃhen", false },

		{ id_is_plain, "a", true },
		{ id_is_plain, "patel-md", true },
		{ id_is_plain, "7", true },
		{ id_is_plain, "0123456789012345678901234567890123456789012345678901234567890123", true },
		{ id_is_plain, "01234567890123456789012345678901234567890123456789012345678901234", false },
		{ id_is_plain, "", false },
		{ id_is_plain, NULL, false },
		{ id_is_plain, "-a", false },
		{ id_is_plain, "a.b", false },
		{ id_is_plain, "a_b", false },
		{ id_is_plain, "a b", false },
		{ id_is_plain, "A", false },
		{ id_is_plain, "a+b", false },
		{ id_is_plain, "a=b", false },

		{ id_is_enrollment, "O20240115000001", true },
		{ id_is_enrollment, "I20230302000007", true },
		{ id_is_enrollment, "I20240229000000", true },
		{ id_is_enrollment, "I20230229000000", false },
		{ id_is_enrollment, "X20240115000001", false },
		{ id_is_enrollment, "o20240115000001", false },
		{ id_is_enrollment, "O2024011500000", false },
		{ id_is_enrollment, "O202401150000011", false },
		{ id_is_enrollment, "O2024011500000a", false },
		{ id_is_enrollment, "O20241315000001", false },
		{ id_is_enrollment, "", false },
		{ id_is_enrollment, NULL, false },

		{ id_is_npi, "1234567893", true },
		{ id_is_npi, "1245319599", true },
		{ id_is_npi, "1234567890", false },
		{ id_is_npi, "1234567983", false },
		{ id_is_npi, "123456789", false },
		{ id_is_npi, "12345678933", false },
		{ id_is_npi, "123456789a", false },
		{ id_is_npi, "", false },
		{ id_is_npi, NULL, false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (rows[i].is(rows[i].text) != rows[i].yes)
			fail_msg("row %zu: %s", i, rows[i].text ? rows[i].text : "(none)");
}

static void every_wrong_digit_breaks_an_npi(void **unused)
{
	char npi[] = "1234567893";

	(void)unused;
	for (int at = 0; at < 10; at++) {
		char right = npi[at];
		for (char c = '0'; c <= '9'; c++) {
			npi[at] = c;
			assert_int_equal(id_is_npi(npi), c == right);
		}
		npi[at] = right;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_has_a_word_that_reads_back),
		cmocka_unit_test(unknown_words_are_no_state),
		cmocka_unit_test(kinds_and_roles_have_the_words_of_the_directory),
		cmocka_unit_test(each_kind_has_its_states_and_no_others),
		cmocka_unit_test(a_uuid_is_written_as_rfc_4122_says),
		cmocka_unit_test(a_revision_is_read_and_written_back),
		cmocka_unit_test(every_day_of_four_centuries_agrees_with_the_c_library),
		cmocka_unit_test(what_is_no_revision_is_refused),
		cmocka_unit_test(revisions_are_ordered_by_time_count_server_and_modification),
		cmocka_unit_test(ids_have_their_forms),
		cmocka_unit_test(every_wrong_digit_breaks_an_npi),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
