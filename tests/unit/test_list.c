/* Tests lists: what is in them, in which order, where a page ends, and what is left out. The directory's answers are
 * played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "flow/inside.h"
#include "sample_world.h"

static struct {
	struct arena *arena;
	struct flow flow;
	struct world_teller teller;
	size_t reads;
	const char *as; /* who read last */
} w;

/* The directory: shows nothing whose id begins with hidden, and is broken about what begins with broken. */
struct err __wrap_dir_read_head(struct arena *a, struct dir *d, const char *as, enum kind kind, const char *provider,
    const char *id, struct entry *out);
struct err __wrap_dir_read_head(struct arena *a, struct dir *d, const char *as, enum kind kind, const char *provider,
    const char *id, struct entry *out)
{
	bool lies = kind != KIND_CASE && kind != KIND_ORGANIZATION;

	(void)d;
	assert_int_equal(lies, provider != NULL);
	w.reads++;
	w.as = as;
	if (text_begins(id, "broken"))
		return FAIL(ERR_UNAVAILABLE, "broken");
	if (text_begins(id, "hidden"))
		return FAIL(ERR_NOT_FOUND, "hidden");
	*out = (struct entry){ .kind = kind, .id = arena_strdup(a, id), .provider = provider };
	out->state = kind == KIND_ASSOCIATION ? STATE_PENDING : STATE_APPROVED;
	out->expires = text_begins(id, "late") ? 1 : 0;
	out->not_after = out->expires;
	return SUCCESS;
}

static int open_house(void **unused)
{
	(void)unused;
	memset(&w, 0, sizeof w);
	w.arena = arena_open();
	assert_int_equal(replica_open_alone(&w.flow.replica).code, OK);
	w.teller.listener = replica_listener(w.flow.replica);
	tell_sample_world(&w.teller);
	return 0;
}

static int close_house(void **unused)
{
	(void)unused;
	replica_close(w.flow.replica);
	arena_close(w.arena);
	return 0;
}

static struct listing list_as(const char *as, const struct list_query *query, size_t limit, const char *cursor)
{
	struct page page = { limit, cursor };
	struct listing out;
	struct err e = list_entries(w.arena, &w.flow, as, query, &page, &out);

	if (e.code != OK)
		fail_msg("%s", e.what);
	return out;
}

static struct listing list(const struct list_query *query, size_t limit, const char *cursor)
{
	return list_as("desk1", query, limit, cursor);
}

static void expect_list_as(const char *as, const char *name, const struct list_query *query, const char *expected)
{
	struct listing l = list_as(as, query, 0, NULL);
	char text[1024] = "";
	size_t size = 0;

	for (size_t i = 0; i < l.count; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", i > 0 ? " " : "", l.entries[i].id);
	if (strcmp(text, expected) != 0)
		fail_msg("%s: %s, not %s", name, text, expected);
	assert_null(l.next);
}

static void expect_list(const char *name, const struct list_query *query, const char *expected)
{
	expect_list_as("desk1", name, query, expected);
}

static void pages_join_without_gap_or_double_newest_first(void **unused)
{
	static const size_t limits[] = { 1, 7, 50, 150, 200 };
	enum { MANY = 450 };

	(void)unused;
	for (uint32_t i = 0; i < MANY; i++) {
		char id[24];
		struct entry e = { .kind = KIND_ASSOCIATION, .id = id, .user = "quinn", .employer = "harbor",
			.provider = "lakeside", .state = STATE_PENDING };

		/* Three changes have the same revision: then by id. */
		snprintf(id, sizeof id, "a-%06u", i * 7919 % MANY);
		e.uuid.bytes[0] = 99;
		memcpy(e.uuid.bytes + 4, &i, sizeof i);
		e.revision = (struct revision){ .micros = w.teller.micros + 1 + i / 3, .count = 2, .server = 3 };
		w.teller.listener.entry(w.teller.listener.self, &e);
	}
	struct list_query query = { .kind = KIND_ASSOCIATION, .user = "quinn" };
	for (size_t k = 0; k < COUNT(limits); k++) {
		const char *cursor = NULL;
		char last[24] = "";
		struct revision before = { .micros = INT64_MAX };
		size_t told = 0;

		for (bool first = true; first || cursor != NULL; first = false) {
			struct listing l = list(&query, limits[k], cursor);

			assert_true(l.count == limits[k] || l.next == NULL);
			assert_true(l.count > 0);
			WITH_REPLICA(view, w.flow.replica) {
				for (size_t i = 0; i < l.count; i++, told++) {
					const struct association *one = replica_association(&view, l.entries[i].id);
					int order = revision_compare(&one->mark.revision, &before);

					assert_true(order < 0 || (order == 0 && strcmp(one->id, last) > 0));
					before = one->mark.revision;
					snprintf(last, sizeof last, "%s", one->id);
				}
			}
			cursor = l.next;
		}
		assert_int_equal(told, MANY);
	}
	assert_int_equal(list(&query, 0, NULL).count, 50);
	w.reads = 0;
	list(&query, 20, NULL);
	assert_int_equal(w.reads, 20);
	assert_string_equal(w.as, "desk1");
}

static void what_the_directory_does_not_show_is_made_up_for_and_named_nowhere(void **unused)
{
	(void)unused;
	for (int i = 0; i < 40; i++) {
		char id[24];

		snprintf(id, sizeof id, "%s-%02d", i % 4 == 0 ? "shown" : "hidden", i);
		tell_association(&w.teller, id, "quinn", "harbor", STATE_PENDING);
	}
	struct list_query query = { .kind = KIND_ASSOCIATION, .user = "quinn" };
	struct listing l = list(&query, 4, NULL);
	assert_int_equal(l.count, 4);
	assert_string_equal(l.entries[0].id, "shown-36");
	assert_string_equal(l.entries[3].id, "shown-24");
	assert_null(strstr(l.next, "hidden"));
	l = list(&query, 4, l.next);
	assert_string_equal(l.entries[0].id, "shown-20");
	assert_string_equal(l.entries[3].id, "shown-08");
	l = list(&query, 4, l.next);
	assert_int_equal(l.count, 2);
	assert_null(l.next);
}

static void tell_things(void)
{
	tell(&w.teller, (struct entry){ .kind = KIND_SUBMISSION, .id = "s-1", .provider = "lakeside",
		.employer = "meridian", .user = "okafor", .state = STATE_DRAFT });
	tell(&w.teller, (struct entry){ .kind = KIND_SUBMISSION, .id = "s-2", .provider = "patel-md",
		.employer = "patel-md", .user = "patel", .state = STATE_SUBMITTED });
	tell(&w.teller, (struct entry){ .kind = KIND_CLAIM, .id = "m-1", .provider = "northgate", .user = "outsider",
		.state = STATE_SUBMITTED });
	tell(&w.teller, (struct entry){ .kind = KIND_CLAIM, .id = "m-2", .provider = "lakeside", .user = "okafor",
		.state = STATE_REJECTED });
	tell(&w.teller, (struct entry){ .kind = KIND_CASE, .id = "h-1", .provider = "lakeside", .employer = "meridian",
		.user = "rivera", .state = STATE_SUBMITTED, .case_kind = CASE_REVOCATION });
	tell(&w.teller, (struct entry){ .kind = KIND_CASE, .id = "h-2", .user = "silva", .state = STATE_EXECUTED,
		.case_kind = CASE_ACCOUNT });
	tell(&w.teller, (struct entry){ .kind = KIND_ORGANIZATION, .id = "begun", .state = STATE_REGISTERED,
		.provider_kind = PROVIDER_ORGANIZATION, .requested_by = "rivera" });
}

static void each_part_of_a_query_narrows(void **unused)
{
	static const struct { const char *name; struct list_query query; const char *expected; } rows[] = {
		{ "of a user", { .kind = KIND_ASSOCIATION, .user = "okafor" }, "a-okafor-meridian" },
		{ "of a provider", { .kind = KIND_ASSOCIATION, .provider = "lakeside" },
		    "a-silva-dormant a-ito-meridian a-novak-harbor a-okafor-meridian a-chen-lakeside" },
		{ "through an employer", { .kind = KIND_ASSOCIATION, .employer = "meridian" }, "a-ito-meridian a-okafor-meridian" },
		{ "in a state", { .kind = KIND_ASSOCIATION, .employer = "meridian", .state = STATE_PENDING }, "a-ito-meridian" },
		{ "of both", { .kind = KIND_ASSOCIATION, .user = "okafor", .employer = "harbor" }, "" },
		{ "consents", { .kind = KIND_CONSENT, .provider = "lakeside", .employer = "dormant" }, "c-lakeside-dormant" },
		{ "no consents", { .kind = KIND_CONSENT, .state = STATE_REVOKED }, "" },
		{ "submissions", { .kind = KIND_SUBMISSION }, "s-2 s-1" },
		{ "of an author", { .kind = KIND_SUBMISSION, .user = "patel" }, "s-2" },
		{ "of a state", { .kind = KIND_SUBMISSION, .state = STATE_DRAFT }, "s-1" },
		{ "made through an employer", { .kind = KIND_SUBMISSION, .employer = "meridian" }, "s-1" },
		{ "claims", { .kind = KIND_CLAIM }, "m-2 m-1" },
		{ "of a claimant", { .kind = KIND_CLAIM, .user = "okafor" }, "m-2" },
		{ "to a provider", { .kind = KIND_CLAIM, .provider = "northgate", .state = STATE_SUBMITTED }, "m-1" },
		{ "cases", { .kind = KIND_CASE }, "h-2 h-1" },
		{ "of a kind", { .kind = KIND_CASE, .case_kind = CASE_REVOCATION }, "h-1" },
		{ "of somebody", { .kind = KIND_CASE, .user = "silva" }, "h-2" },
		{ "about a pair", { .kind = KIND_CASE, .provider = "lakeside", .employer = "meridian" }, "h-1" },
		{ "about another pair", { .kind = KIND_CASE, .provider = "lakeside", .employer = "harbor" }, "" },
		{ "organizations of an AO and registrant", { .kind = KIND_ORGANIZATION, .user = "rivera" }, "begun lakeside" },
		{ "in a state", { .kind = KIND_ORGANIZATION, .state = STATE_REGISTERED }, "begun northgate" },
		{ "an unknown user", { .kind = KIND_ASSOCIATION, .user = "nobody" }, "" },
		{ "an unknown provider", { .kind = KIND_ASSOCIATION, .provider = "nowhere" }, "" },
		{ "an unknown employer", { .kind = KIND_CASE, .employer = "" }, "" },
		{ "of records there are no such lists", { .kind = KIND_RECORD }, "" },
	};

	(void)unused;
	tell_things();
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_list(rows[i].name, &rows[i].query, rows[i].expected);
}

static void what_somebody_has_nothing_to_do_with_is_not_even_asked_for(void **unused)
{
	static const struct { const char *as; struct list_query query; const char *expected; } rows[] = {
		{ "quinn", { .kind = KIND_CONSENT }, "" },
		{ "quinn", { .kind = KIND_ASSOCIATION, .provider = "lakeside" }, "" },
		{ "quinn", { .kind = KIND_SUBMISSION, .provider = "lakeside" }, "" },
		{ "quinn", { .kind = KIND_CLAIM }, "" },
		{ "quinn", { .kind = KIND_CASE }, "" },
		{ "nobody", { .kind = KIND_CONSENT }, "" },
		{ "ito", { .kind = KIND_SUBMISSION }, "" }, /* his association waits */
		{ "ito", { .kind = KIND_ASSOCIATION }, "a-ito-meridian" },
		{ "novak", { .kind = KIND_SUBMISSION }, "s-1" },
		{ "novak", { .kind = KIND_CONSENT, .provider = "lakeside" }, "" },
		{ "proc1", { .kind = KIND_SUBMISSION }, "s-2" },
		{ "rivera", { .kind = KIND_SUBMISSION }, "s-1" },
		{ "rivera", { .kind = KIND_CLAIM }, "m-2" },
		{ "outsider", { .kind = KIND_CLAIM }, "m-1" },
		{ "silva", { .kind = KIND_CASE }, "h-2" },
		{ "audit1", { .kind = KIND_CASE }, "h-2 h-1" },
	};

	(void)unused;
	tell_things();
	for (size_t i = 0; i < COUNT(rows); i++) {
		w.reads = 0;
		expect_list_as(rows[i].as, rows[i].as, &rows[i].query, rows[i].expected);
		if (rows[i].expected[0] == '\0')
			assert_int_equal(w.reads, 0);
	}
}

static void what_has_run_out_is_expired_whatever_is_written(void **unused)
{
	struct list_query query = { .kind = KIND_ASSOCIATION, .user = "quinn" };

	(void)unused;
	tell(&w.teller, (struct entry){ .kind = KIND_ASSOCIATION, .id = "late-1", .user = "quinn", .employer = "harbor",
		.provider = "lakeside", .state = STATE_PENDING, .expires = 1 });
	tell(&w.teller, (struct entry){ .kind = KIND_ASSOCIATION, .id = "late-2", .user = "quinn", .employer = "meridian",
		.provider = "lakeside", .state = STATE_APPROVED, .not_after = 1 });
	tell(&w.teller, (struct entry){ .kind = KIND_ASSOCIATION, .id = "ahead", .user = "quinn", .employer = "meridian",
		.provider = "lakeside", .state = STATE_PENDING, .expires = clock_now() + 1000 });
	tell(&w.teller, (struct entry){ .kind = KIND_CONSENT, .id = "late-3", .provider = "northgate",
		.employer = "meridian", .state = STATE_SIGNED, .not_after = 1 });
	tell(&w.teller, (struct entry){ .kind = KIND_CONSENT, .id = "late-4", .provider = "northgate",
		.employer = "meridian", .state = STATE_REVOKED, .not_after = 1 });
	assert_int_equal(list(&query, 0, NULL).count, 3);
	query.state = STATE_PENDING;
	expect_list("pending", &query, "ahead");
	query.state = STATE_APPROVED;
	expect_list("approved", &query, "");
	query.state = STATE_EXPIRED;
	expect_list("expired", &query, "late-2 late-1");
	assert_int_equal(list(&query, 0, NULL).entries[1].state, STATE_EXPIRED);
	query = (struct list_query){ .kind = KIND_CONSENT, .provider = "northgate", .state = STATE_EXPIRED };
	expect_list("consents", &query, "late-3");
	assert_int_equal(list(&query, 0, NULL).entries[0].state, STATE_EXPIRED);
	query.state = STATE_REVOKED;
	expect_list("what is final stays", &query, "late-4");
}

static void what_is_no_page_is_refused_by_name(void **unused)
{
	static const char *const cursors[] = { "", "1", "1.2.3.4", "1.2.3.4.", "1.2.3.4.A", "1.2.3.4.a.b", "1.2.3.70000.a",
		".1.2.3.a", "-1.0.0.0.a", "1.0.0.0.a ", "99999999999999999999.0.0.0.a", "1.4294967296.0.0.a", "1.0.0.0.a%00" };
	struct list_query query = { .kind = KIND_ASSOCIATION };
	struct listing out;

	(void)unused;
	for (size_t i = 0; i < COUNT(cursors); i++) {
		struct page page = { 0, cursors[i] };
		struct err e = list_entries(w.arena, &w.flow, NULL, &query, &page, &out);
		if (e.code != ERR_INVALID || strstr(e.what, "'cursor'") == NULL)
			fail_msg("%s was a cursor", cursors[i]);
	}
	struct err e = list_entries(w.arena, &w.flow, NULL, &query, &(struct page){ 201, NULL }, &out);
	assert_int_equal(e.code, ERR_INVALID);
	assert_non_null(strstr(e.what, "'limit'"));
	assert_int_equal(list(&query, 200, "1.0.0.0.a").count, 0);
	assert_int_equal(list(&query, 200, "9000000000000000.0.0.0.a").count, 5);
	assert_int_equal(list_entries(w.arena, &w.flow, NULL, &query, NULL, &out).code, OK);
	assert_int_equal(out.count, 5);
}

static void what_is_not_known_is_no_empty_list(void **unused)
{
	struct list_query query = { .kind = KIND_ASSOCIATION, .user = "quinn" };
	struct flow empty = { 0 };
	struct listing out;

	(void)unused;
	tell_association(&w.teller, "broken-1", "quinn", "harbor", STATE_PENDING);
	assert_int_equal(list_entries(w.arena, &w.flow, "quinn", &query, NULL, &out).code, ERR_UNAVAILABLE);
	assert_int_equal(replica_open_alone(&empty.replica).code, OK);
	assert_int_equal(list_entries(w.arena, &empty, "quinn", &query, NULL, &out).code, ERR_UNAVAILABLE);
	replica_close(empty.replica);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_house, close_house)
	const struct CMUnitTest tests[] = {
		TEST(pages_join_without_gap_or_double_newest_first),
		TEST(what_the_directory_does_not_show_is_made_up_for_and_named_nowhere),
		TEST(each_part_of_a_query_narrows),
		TEST(what_somebody_has_nothing_to_do_with_is_not_even_asked_for),
		TEST(what_has_run_out_is_expired_whatever_is_written),
		TEST(what_is_no_page_is_refused_by_name),
		TEST(what_is_not_known_is_no_empty_list),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
