/* Taxpayer numbers, names that are the same, addresses, and documents by what is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flow/organization_inside.h"

static struct arena *a;

static int set_up(void **state)
{
	(void)state;
	a = arena_open();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_close(a);
	return 0;
}

static void a_taxpayer_number_has_nine_digits_and_perhaps_dashes(void **state)
{
	(void)state;
	static const struct {
		const char *said, *digits;
	} rows[] = {
		{ "123456789", "123456789" },
		{ "12-3456789", "123456789" },
		{ "123-45-6789", "123456789" },
		{ "12345678", NULL },
		{ "1234567890", NULL },
		{ "12345678x", NULL },
		{ "", NULL },
		{ "---", NULL },
		{ "12 3456789", NULL },
		{ "+12345678", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char digits[10];
		bool fine = organization_digits(rows[i].said, digits);

		assert_int_equal(fine, rows[i].digits != NULL);
		if (fine)
			assert_string_equal(digits, rows[i].digits);
	}
}

/* The prefixes that the IRS lists, one by one, as it lists them: by campus. */
static void every_prefix_of_the_irs_is_taken_and_no_other(void **state)
{
	(void)state;
	static const char listed[] = " 10 12 60 67 50 53 01 02 03 04 05 06 11 13 14 16 21 22 23 25 34 51 52 54 55 56 "
				     "57 58 59 65 30 32 35 36 37 38 61 15 24 "
				     "40 44 94 95 80 90 33 39 41 42 43 46 48 62 63 64 66 68 71 72 73 74 75 76 77 82 83 "
				     "84 85 86 87 88 91 92 93 98 99 20 "
				     "26 27 45 47 81 31 ";

	for (int prefix = 0; prefix < 100; prefix++) {
		char word[5], digits[10];

		snprintf(word, sizeof word, " %02d ", prefix);
		snprintf(digits, sizeof digits, "%02d1234567", prefix);
		bool is_listed = strstr(listed, word) != NULL;
		if (is_listed != (organization_tin_fault(digits, "ein") == NULL))
			fail_msg("%s", digits);
	}
}

static void a_social_security_number_is_one_that_can_be_issued(void **state)
{
	(void)state;
	static const struct {
		const char *digits;
		bool fine;
	} rows[] = {
		{ "123456789", true },
		{ "001010001", true },
		{ "899999999", true },
		{ "000123456", false },
		{ "666123456", false },
		{ "900123456", false },
		{ "999999999", false },
		{ "123006789", false },
		{ "123450000", false },
		{ "665010001", true },
		{ "667010001", true },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if ((organization_tin_fault(rows[i].digits, "ssn") == NULL) != rows[i].fine)
			fail_msg("%s", rows[i].digits);
}

static void names_are_the_same_however_they_are_spelt(void **state)
{
	(void)state;
	static const struct {
		const char *one, *other;
		bool same;
	} rows[] = {
		{ "Lakeside Family Clinic, LLC", "LAKESIDE FAMILY CLINIC L.L.C.", true },
		{ "Lakeside Family Clinic, LLC", "Lakeside  Family-Clinic Limited Liability Company", true },
		{ "Acme, Inc.", "ACME INCORPORATED", true },
		{ "Acme Corp", "Acme Corporation", true },
		{ "Smith & Sons Co.", "Smith and Sons Company", true },
		{ "Women\xe2\x80\x99s Health", "WOMENS HEALTH", true },
		{ "Women's Health", "Womens Health", true },
		{ "M\xc3\xbcller GmbH", "M\xc3\x9cLLER GMBH", true },
		{ "Stra\xc3\x9f"
		  "e",
		    "STRASSE", true },
		{ "A B C Dental", "ABC Dental", true },
		{ "Hill \xe2\x80\x94 Dental", "Hill Dental", true },
		{ "J. P. Dental, P.C.", "JP Dental PC", true },
		{ "Acme, Inc.", "Acme, LLC", false },
		{ "Acme Inc", "Acme", false },
		{ "Acme West", "Acme", false },
		{ "Acme", "Amce", false },
		{ "1st Street", "11th Street", false },
		{ "...", "Acme", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *one = organization_fold_name(a, rows[i].one),
			   *other = organization_fold_name(a, rows[i].other);

		if ((strcmp(one, other) == 0) != rows[i].same)
			fail_msg("'%s' is '%s', '%s' is '%s'", rows[i].one, one, rows[i].other, other);
	}
}

static void an_address_comes_back_as_it_was(void **state)
{
	(void)state;
	static const char *const lines[] = { "Suite $5", "back\\slash \\24 \\5C", "plain", NULL };
	const char *joined = organization_join(a, lines);
	const char *const *back = organization_split(a, joined);

	assert_string_equal(joined, "Suite \\245$back\\5Cslash \\5C24 \\5C5C$plain");
	for (size_t i = 0; i < 4; i++)
		assert_true(text_same(back[i], lines[i]));
	assert_null(organization_join(a, NULL));
	assert_null(organization_join(a, (const char *const[]){ NULL }));
	assert_null(organization_split(a, NULL));
}

static enum document_verdict judge(const void *bytes, size_t size, const char **type)
{
	FILE *file = tmpfile();

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fflush(file), 0);
	struct upload u = { .fd = fileno(file), .size = size };
	enum document_verdict verdict = flow_judge_document(&u);
	*type = u.media_type;
	fclose(file);
	return verdict;
}

#define BYTES(text) text, sizeof text - 1

static void a_document_is_what_it_begins_and_ends_as(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		enum document_verdict verdict;
		const char *type;
	} rows[] = {
		{ BYTES(""), DOCUMENT_EMPTY, NULL },
		{ BYTES("%PDF-1.7\n%%EOF"), DOCUMENT_FINE, "application/pdf" },
		{ BYTES("%PDF-2.0\nx\n%%EOF\r\n"), DOCUMENT_FINE, "application/pdf" },
		{ BYTES("%PDF-1.7\n"), DOCUMENT_TRUNCATED, "application/pdf" },
		{ BYTES("%PDF-3.0\n%%EOF"), DOCUMENT_UNKNOWN, NULL },
		{ BYTES("%PDF"), DOCUMENT_UNKNOWN, NULL },
		{ BYTES(" %PDF-1.7\n%%EOF"), DOCUMENT_UNKNOWN, NULL },
		{ BYTES("GIF89a;"), DOCUMENT_FINE, "image/gif" },
		{ BYTES("GIF87a;\0\0"), DOCUMENT_FINE, "image/gif" },
		{ BYTES("GIF89a"), DOCUMENT_TRUNCATED, "image/gif" },
		{ BYTES("GIF88a;"), DOCUMENT_UNKNOWN, NULL },
		{ BYTES("\xff\xd8\xff\xe1 \xff\xd9"), DOCUMENT_FINE, "image/jpeg" },
		{ BYTES("\xff\xd8\xff\xe1 \xff"), DOCUMENT_TRUNCATED, "image/jpeg" },
		{ BYTES("\xff\xd8"), DOCUMENT_UNKNOWN, NULL },
		{ BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR....IEND\xae\x42\x60\x82"), DOCUMENT_FINE, "image/png" },
		{ BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR....IEND\xae\x42\x60"), DOCUMENT_TRUNCATED, "image/png" },
		{ BYTES("\x89PNG\n\x1a\n\0\0\0\rIHDR....IEND\xae\x42\x60\x82"), DOCUMENT_UNKNOWN, NULL },
		{ BYTES("\0\0\0\0"), DOCUMENT_UNKNOWN, NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *type;

		if (judge(rows[i].bytes, rows[i].size, &type) != rows[i].verdict || !text_same(type, rows[i].type))
			fail_msg("row %zu", i);
	}
}

static void the_end_of_a_pdf_is_in_its_last_kilobyte(void **state)
{
	(void)state;
	char bytes[3000];
	const char *type;

	memset(bytes, ' ', sizeof bytes);
	memcpy(bytes, "%PDF-1.4", 8);
	memcpy(bytes + sizeof bytes - 1024, "%%EOF", 5);
	assert_int_equal(judge(bytes, sizeof bytes, &type), DOCUMENT_FINE);
	memset(bytes + sizeof bytes - 1024, ' ', 5);
	memcpy(bytes + sizeof bytes - 1025, "%%EOF", 5);
	assert_int_equal(judge(bytes, sizeof bytes, &type), DOCUMENT_TRUNCATED);
}

static void a_file_that_is_shorter_than_was_said_is_no_document(void **state)
{
	(void)state;
	FILE *file = tmpfile();
	struct upload u = { .fd = fileno(file), .size = 10 };

	assert_int_equal(flow_judge_document(&u), DOCUMENT_UNREADABLE);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_taxpayer_number_has_nine_digits_and_perhaps_dashes),
		cmocka_unit_test(every_prefix_of_the_irs_is_taken_and_no_other),
		cmocka_unit_test(a_social_security_number_is_one_that_can_be_issued),
		cmocka_unit_test(names_are_the_same_however_they_are_spelt),
		cmocka_unit_test(an_address_comes_back_as_it_was),
		cmocka_unit_test(a_document_is_what_it_begins_and_ends_as),
		cmocka_unit_test(the_end_of_a_pdf_is_in_its_last_kilobyte),
		cmocka_unit_test(a_file_that_is_shorter_than_was_said_is_no_document),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
