/* The Security Consent Form on paper: what its template may hold, what is signed, and what the two pages make of names that
 * people, or attackers, have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/secret.h"
#include "flow/paper.h"

#define FONT "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"

static struct arena *arena;
static struct paper *sample;

static struct err open_text(const char *text, struct paper **out)
{
	char name[] = "/tmp/scfgate-paper-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	struct err e = paper_open(arena, name, FONT, out);
	unlink(name);
	return e;
}

static int begin(void **unused)
{
	const char *top = getenv("srcdir");

	(void)unused;
	arena = arena_open();
	struct err e = paper_open(arena, arena_printf(arena, "%s/conf/consent.txt", top != NULL ? top : "."), FONT, &sample);
	if (e.code != OK)
		fail_msg("%s", e.what);
	return 0;
}

static int end(void **unused)
{
	(void)unused;
	paper_close(sample);
	arena_close(arena);
	return 0;
}

static void a_template_is_refused_for_what_it_lacks_or_holds(void **unused)
{
	static const char *const rows[][2] = {
		{ "", "empty" },
		{ "{{tracking_id}} {{provider_name}}", "{{employer_name}} must be in it" },
		{ "{{provider_name}} {{employer_name}}", "{{tracking_id}} must be in it" },
		{ "{{tracking_id}} {{provider_name}} {{employer_name}} {{salary}}", "'{{salary}}' is no placeholder" },
		{ "{{tracking_id}} {{provider_name}} {{employer_name}} {{", "is no placeholder" },
		{ "{{tracking_id}} {{provider_name}} {{employer_name}} \xff", "not UTF-8" },
	};
	struct paper *p;

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = open_text(rows[i][0], &p);

		assert_int_equal(e.code, ERR_INVALID);
		assert_non_null(strstr(e.what, rows[i][1]));
	}
	assert_int_equal(paper_open(arena, "/nonexistent/text", FONT, &p).code, ERR_INVALID);
	assert_int_equal(paper_open(arena, "/nonexistent/text", "/nonexistent/font", &p).code, ERR_INVALID);
}

static const struct paper_facts facts = {
	.id = "c-1",
	.provider = "lakeside", .provider_name = "Lakeside Family Clinic, LLC", .provider_tin = "361827459",
	.employer = "meridian", .employer_name = "Meridian Billing",
	.prepared_by = "Maria Rivera", .prepared_at = 1764000000,
};

static void the_text_names_whom_it_binds_and_no_whole_taxpayer_number(void **unused)
{
	const char *text = paper_text(arena, sample, &facts);
	char tracking[PAPER_TRACKING];

	(void)unused;
	paper_tracking("c-1", tracking);
	assert_int_equal(strlen(tracking), PAPER_TRACKING - 1);
	assert_non_null(strstr(text, tracking));
	assert_non_null(strstr(text, "Lakeside Family Clinic, LLC (lakeside)"));
	assert_non_null(strstr(text, "Meridian Billing (meridian)"));
	assert_non_null(strstr(text, "ends in 7459"));
	assert_null(strstr(text, "361827459"));
	assert_null(strstr(text, "3618"));
	assert_null(strstr(text, "{{"));
	assert_non_null(strstr(text, "In effect: from its approval on, until it is revoked"));
	assert_string_equal(text, paper_text(arena, sample, &facts));
}

static void a_period_is_told_in_utc(void **unused)
{
	struct paper_facts f = facts;

	(void)unused;
	f.not_before = 1796083200; /* 2026-12-01 */
	f.not_after = 1827619200;
	assert_non_null(strstr(paper_text(arena, sample, &f),
	    "In effect: from 2026-12-01 00:00 UTC until 2027-12-01 00:00 UTC, or until it is revoked"));
}

static void tracking_ids_differ_and_say_nothing(void **unused)
{
	char one[PAPER_TRACKING], two[PAPER_TRACKING];

	(void)unused;
	paper_tracking("c-1", one);
	paper_tracking("c-2", two);
	assert_string_not_equal(one, two);
	assert_true(strspn(one + 4, "0123456789ABCDEFGHJKMNPQRSTVWXYZ-") == 14);
}

static void a_name_stays_one_line_of_text_that_hides_nothing(void **unused)
{
	static const char *const rows[][2] = {
		{ "Two\nLines", "Two Lines" },
		{ "{{employer_name}}", "{{employer_name}}" }, /* put in once, not looked at again */
		{ "abc\xe2\x80\xae" "def", "abc def" },
		{ "a\xc2\x85z", "a z" },
		{ "a\xe2\x81\xa6z", "a z" },
		{ "\xff\xfe", "?" },
		{ "Łódź & Søn „x”", "Łódź & Søn „x”" },
	};
	struct paper *p;

	(void)unused;
	assert_int_equal(open_text("T\n\n{{tracking_id}}\n{{employer_name}}\n[{{provider_name}}]\n", &p).code, OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct paper_facts f = facts;

		f.provider_name = rows[i][0];
		const char *text = paper_text(arena, p, &f);
		assert_string_equal(strchr(text, '['), arena_printf(arena, "[%s]\n", rows[i][1]));
	}
	paper_close(p);
}

static struct paper_page page_of(const char *text, const char *state)
{
	static const struct paper_person people[] = {
		{ "okafor", "Ngozi <b>Okafor</b>", true },
		{ "x", "</table><script>alert(1)</script>", false },
	};

	return (struct paper_page){
		.tracking = "SCF-0000-0000-0000",
		.text = text,
		.digest = "00ff",
		.state = state,
		.people = people,
		.people_count = 2,
		.people_more = 3,
		.as_of = 1796083200,
	};
}

static const char *html_of(const struct paper_page *page)
{
	char store[64];
	struct text t;

	text_open(&t, store, sizeof store);
	paper_html(page, &t);
	const char *out = arena_copy(arena, t.bytes, t.size);
	text_close(&t);
	return out;
}

static void the_page_escapes_everything(void **unused)
{
	struct paper_facts f = facts;
	struct paper_page page;

	(void)unused;
	f.provider_name = "\"A\" & <img src=x onerror='alert(1)'> Clinic";
	page = page_of(paper_text(arena, sample, &f), "prepared");
	const char *html = html_of(&page);
	assert_non_null(strstr(html, "&quot;A&quot; &amp; &lt;img src=x onerror=&#39;alert(1)&#39;&gt; Clinic"));
	assert_non_null(strstr(html, "&lt;/table&gt;&lt;script&gt;"));
	assert_null(strstr(html, "<script"));
	assert_null(strstr(html, "<img"));
	assert_null(strstr(html, "style="));
	assert_non_null(strstr(html, "<h1>SECURITY CONSENT FORM</h1>"));
	assert_non_null(strstr(html, "Signature of the Authorized Official"));
	assert_non_null(strstr(html, "and 3 more."));
}

static void the_style_is_the_one_that_the_policy_names(void **unused)
{
	char source[PAPER_STYLE_SOURCE], hex[DIGEST_TEXT];
	struct paper_page page = page_of("T\n", "prepared");
	const char *begin_style = strstr(html_of(&page), "<style>") + 7;

	(void)unused;
	paper_style_source(source);
	assert_int_equal(strlen(source), 7 + 44);
	secret_digest(begin_style, (size_t)(strstr(begin_style, "</style>") - begin_style), hex);
	/* The first six digits of the digest are the first four letters of its base 64. */
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned long bits = strtoul(arena_copy(arena, hex, 6), NULL, 16);
	for (int i = 0; i < 4; i++)
		assert_int_equal(source[7 + i], letters[bits >> (18 - 6 * i) & 63]);
}

static void what_stands_below_follows_the_state(void **unused)
{
	static const struct {
		const char *state, *how;
		const char *says[2];
	} rows[] = {
		{ "prepared", NULL, { "takes effect when", "Signature of" } },
		{ "signed", "electronic",
		    { "Signed electronically by Maria Rivera, Authorized Official, on 2026-12-01 00:00 UTC.", "takes effect when" } },
		{ "signed", "paper", { "Signed on paper by", "takes effect when" } },
		{ "approved", "electronic", { "Approved by External User Services on 2027-12-01", "Signed electronically" } },
		{ "rejected", "electronic", { "Rejected by External User Services", "consents to nothing." } },
		{ "withdrawn", NULL, { "Withdrawn by the Authorized Official", "consents to nothing." } },
		{ "revoked", "paper", { "Revoked on 2027-12-01", "consents to nothing any more." } },
		{ "expired", "paper", { "Expired", "consents to nothing any more." } },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct paper_page page = page_of("T\n", rows[i].state);

		if (rows[i].how != NULL) {
			page.signed_by = "Maria Rivera";
			page.signed_how = rows[i].how;
			page.signed_at = 1796083200;
		}
		if (strcmp(rows[i].state, "prepared") != 0 && strcmp(rows[i].state, "signed") != 0)
			page.decided_at = 1827619200;
		const char *html = html_of(&page);
		assert_null(strstr(html, "not on file"));
		page.other_signed = true;
		assert_non_null(strstr(html_of(&page), "The text that was signed is not on file."));
		for (int k = 0; k < 2; k++)
			if (strstr(html, rows[i].says[k]) == NULL)
				fail_msg("%s: '%s' is not in %s", rows[i].state, rows[i].says[k], html);
		assert_true((strstr(html, "Signature of") != NULL) == (i == 0));
	}
}

static void a_pdf_bears_any_name(void **unused)
{
	static const char *const names[] = { "plain", "Łódź – Ελληνικά Clinic", "日本 \xf0\x9f\x98\x80 mixed",
		"(back\\slash) <x>" };
	char *longest = arena_alloc(arena, 4001);
	const char *pdf;
	size_t size;

	(void)unused;
	memset(longest, 'W', 4000);
	for (size_t i = 0; i <= COUNT(names); i++) {
		struct paper_facts f = facts;
		struct paper_page page;

		f.provider_name = i < COUNT(names) ? names[i] : longest;
		page = page_of(paper_text(arena, sample, &f), i % 2 ? "prepared" : "approved");
		assert_int_equal(paper_pdf(arena, sample, &page, &pdf, &size).code, OK);
		assert_true(size > 1000 && memcmp(pdf, "%PDF-", 5) == 0);
		assert_non_null(memmem(pdf + size - 32, 32, "%%EOF", 5));
	}
}

static void a_pdf_has_as_many_pages_as_it_needs(void **unused)
{
	struct paper_person *people = arena_alloc(arena, 300 * sizeof *people);
	const char *pdf;
	size_t size;

	(void)unused;
	for (int i = 0; i < 300; i++)
		people[i] = (struct paper_person){ arena_printf(arena, "u%d", i), "Somebody", true };
	struct paper_page page = page_of(paper_text(arena, sample, &facts), "prepared");
	page.people = people;
	page.people_count = 300;
	assert_int_equal(paper_pdf(arena, sample, &page, &pdf, &size).code, OK);
	const char *count = memmem(pdf, size, "/Count ", 7);
	assert_non_null(count);
	assert_true(strtol(count + 7, NULL, 10) >= 4);
}

static void a_font_that_is_none_is_an_error_and_no_crash(void **unused)
{
	const char *top = getenv("srcdir"), *pdf;
	const char *text = arena_printf(arena, "%s/conf/consent.txt", top != NULL ? top : ".");
	struct paper_page page = page_of("T\n", "prepared");
	struct paper *p;
	size_t size;

	(void)unused;
	assert_int_equal(paper_open(arena, text, text, &p).code, OK);
	assert_int_equal(paper_pdf(arena, p, &page, &pdf, &size).code, ERR_UNAVAILABLE);
	paper_close(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_template_is_refused_for_what_it_lacks_or_holds),
		cmocka_unit_test(the_text_names_whom_it_binds_and_no_whole_taxpayer_number),
		cmocka_unit_test(a_period_is_told_in_utc),
		cmocka_unit_test(tracking_ids_differ_and_say_nothing),
		cmocka_unit_test(a_name_stays_one_line_of_text_that_hides_nothing),
		cmocka_unit_test(the_page_escapes_everything),
		cmocka_unit_test(the_style_is_the_one_that_the_policy_names),
		cmocka_unit_test(what_stands_below_follows_the_state),
		cmocka_unit_test(a_pdf_bears_any_name),
		cmocka_unit_test(a_pdf_has_as_many_pages_as_it_needs),
		cmocka_unit_test(a_font_that_is_none_is_an_error_and_no_crash),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
