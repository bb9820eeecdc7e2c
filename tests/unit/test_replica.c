/* The replica, told by hand what a stream would tell: every kind, every way to come, change and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "tell.h"

#define D1 "1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "2222222222222222222222222222222222222222222222222222222222222222"
#define D3 "33333333333333333333333333333333333333333333333333333333333333ab"

static struct replica *open_told(struct dir_listener *l)
{
	struct replica *r = NULL;

	assert_int_equal(replica_open_alone(&r).code, OK);
	*l = replica_listener(r);
	tell_begin(l, true);
	return r;
}

static void told(const struct dir_listener *l)
{
	tell_refreshed(l, true);
	tell_reached(l, 100);
}

static void digest(unsigned char out[32], const char *hex)
{
	for (int i = 0; i < 32; i++)
		sscanf(hex + 2 * i, "%2hhx", &out[i]);
}

static void nothing_is_known_or_fresh_before_the_first_load(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct replica_status status;

	tell(&l, 1, PERSON("chen"));
	WITH_REPLICA(v, r) {
		assert_false(v.fresh);
		assert_null(replica_person(&v, "chen"));
		assert_int_equal(v.revision.micros, 0);
	}
	replica_status(r, &status);
	assert_false(status.loaded);
	assert_false(status.fresh);
	assert_int_equal(status.age_ms, -1);
	told(&l);
	WITH_REPLICA(v, r) {
		assert_true(v.fresh);
		assert_non_null(replica_person(&v, "chen"));
		assert_int_equal(v.revision.micros, 100);
	}
	replica_status(r, &status);
	assert_true(status.loaded);
	assert_true(status.fresh);
	assert_int_equal(status.entries, 1);
	assert_int_equal(status.revision.micros, 100);
	assert_true(status.bytes > 0);
	replica_close(r);
}

static bool count_record(void *self, const struct record *r)
{
	(void)r;
	++*(int *)self;
	return true;
}

static bool count_session(void *self, const struct session *s)
{
	(void)s;
	++*(int *)self;
	return true;
}

static bool count_association(void *self, const struct association *a)
{
	(void)a;
	++*(int *)self;
	return true;
}

static bool count_consent(void *self, const struct consent *c)
{
	(void)c;
	++*(int *)self;
	return true;
}

static bool stop_at_once(void *self, const struct record *r)
{
	(void)r;
	++*(int *)self;
	return false;
}

static bool count_of_lakeside(void *self, const struct association *a)
{
	*(int *)self += a->state == STATE_APPROVED;
	return false;
}

#define OF_EACH 13

static void tell_one_of_each(const struct dir_listener *l)
{
	tell(l, 1, (struct entry){ .kind = KIND_PERSON, .id = "chen", .state = STATE_ACTIVE, .realm = REALM_NPPES,
		.signed_in_at = 86400, .second_factor = true,
		.leaving = (const char *const[]){ "meridian", "harbor", NULL } });
	tell(l, 2, BARRING("lakeside", "rivera", "zeta", "harbor", "alpha"));
	tell(l, 3, ASSOCIATION("a1", "chen", "lakeside", "lakeside", STATE_APPROVED));
	tell(l, 4, CONSENT("c1", "lakeside", "lakeside", STATE_APPROVED));
	tell(l, 5, RECORD("O20240115000001", "lakeside"));
	tell(l, 6, RECORD("O20240115000002", "lakeside"));
	tell(l, 7, (struct entry){ .kind = KIND_SUBMISSION, .id = "s1", .provider = "lakeside", .employer = "meridian",
		.user = "okafor", .state = STATE_DRAFT });
	tell(l, 8, (struct entry){ .kind = KIND_SESSION, .id = D1, .user = "chen", .state = STATE_ACTIVE, .started_at = 1,
		.seen_at = 2, .authenticated_at = 3, .expires = 4 });
	tell(l, 9, (struct entry){ .kind = KIND_APPLICATION, .id = "portal", .state = STATE_ACTIVE,
		.permissions = (const char *const[]){ "else", "decide", NULL },
		.secret_digests = (const char *const[]){ D1, D2, NULL },
		.certificate_digests = (const char *const[]){ D3, NULL } });
	tell(l, 10, (struct entry){ .kind = KIND_APPLICATION, .id = "other", .state = STATE_ACTIVE });
	tell(l, 11, (struct entry){ .kind = KIND_CLAIM, .id = "m1", .provider = "lakeside", .user = "okafor",
		.state = STATE_SUBMITTED });
	tell(l, 12, (struct entry){ .kind = KIND_CASE, .id = "h1", .provider = "lakeside", .employer = "harbor",
		.user = "rivera", .state = STATE_SUBMITTED, .case_kind = CASE_REVOCATION });
	tell(l, 13, (struct entry){ .kind = KIND_CASE, .id = "h2", .user = "chen", .state = STATE_EXECUTED,
		.case_kind = CASE_ACCOUNT });
}

static void every_kind_is_found_by_its_names(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	unsigned char d[32];

	tell_one_of_each(&l);
	told(&l);
	WITH_REPLICA(v, r) {
		const struct person *chen = replica_person(&v, "chen");
		const struct organization *lakeside = replica_organization(&v, "lakeside");
		assert_string_equal(chen->uid, "chen");
		assert_ptr_equal(replica_person_no(&v, chen->no), chen);
		assert_string_equal(replica_uid(&v, chen->no), "chen");
		assert_string_equal(lakeside->id, "lakeside");
		assert_ptr_equal(replica_organization_no(&v, lakeside->no), lakeside);
		assert_string_equal(replica_org_id(&v, lakeside->no), "lakeside");
		assert_int_equal(lakeside->barred_count, 3);
		assert_string_equal(replica_uid(&v, lakeside->official), "rivera");

		assert_true(chen->second_factor && chen->realm == REALM_NPPES && chen->signed_in_at == 86400);
		assert_int_equal(chen->leaving_count, 2);
		assert_true(chen->leaving[0] < chen->leaving[1]);

		const struct claim *claim = replica_claim(&v, "m1");
		assert_int_equal(claim->provider, lakeside->no);
		assert_string_equal(replica_uid(&v, claim->user), "okafor");
		assert_null(replica_claim(&v, "h1"));
		const struct help_case *h = replica_case(&v, "h1");
		assert_true(h->kind == CASE_REVOCATION && h->provider == lakeside->no && h->state == STATE_SUBMITTED);
		assert_string_equal(replica_org_id(&v, h->employer), "harbor");
		h = replica_case(&v, "h2");
		assert_true(h->user == chen->no && h->provider == 0 && h->employer == 0);

		const struct association *a = replica_association(&v, "a1");
		assert_int_equal(a->user, chen->no);
		assert_int_equal(a->employer, lakeside->no);
		const struct consent *c = replica_consent(&v, "c1");
		assert_int_equal(c->provider, lakeside->no);
		assert_int_equal(replica_record(&v, "O20240115000001")->provider, lakeside->no);
		const struct submission *s = replica_submission(&v, "s1");
		assert_int_equal(s->state, STATE_DRAFT);
		assert_string_equal(replica_uid(&v, s->user), "okafor");
		assert_string_equal(replica_org_id(&v, s->employer), "meridian");

		digest(d, D1);
		const struct session *session = replica_session(&v, d);
		assert_int_equal(session->user, chen->no);
		assert_true(session->started_at == 1 && session->seen_at == 2 && session->authenticated_at == 3 &&
		    session->expires == 4);

		const struct application *portal = replica_application(&v, "portal");
		assert_true(portal->may_decide);
		assert_false(replica_application(&v, "other")->may_decide);
		assert_ptr_equal(replica_application_by_secret(&v, d), portal);
		assert_null(replica_application_by_certificate(&v, d));
		digest(d, D2);
		assert_ptr_equal(replica_application_by_secret(&v, d), portal);
		assert_null(replica_session(&v, d));
		digest(d, D3);
		assert_ptr_equal(replica_application_by_certificate(&v, d), portal);
		assert_null(replica_application_by_secret(&v, d));

		int records = 0, sessions = 0, associations = 0, consents = 0, one = 0;
		replica_records_of(&v, lakeside->no, count_record, &records);
		replica_records_of(&v, lakeside->no, stop_at_once, &one);
		replica_sessions_of(&v, chen->no, count_session, &sessions);
		int of_chen = 0;
		replica_associations_of(&v, chen->no, count_of_lakeside, &of_chen);
		replica_associations_of(&v, 0, count_of_lakeside, &of_chen);
		assert_int_equal(of_chen, 1);
		replica_each_association(&v, count_association, &associations);
		replica_each_consent(&v, count_consent, &consents);
		assert_true(records == 2 && one == 1 && sessions == 1 && associations == 1 && consents == 1);
	}
	replica_close(r);
}

static void what_is_only_mentioned_has_a_name_but_is_not_there(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);

	tell_one_of_each(&l);
	told(&l);
	WITH_REPLICA(v, r) {
		number rivera = replica_organization(&v, "lakeside")->official;
		assert_string_equal(replica_uid(&v, rivera), "rivera");
		assert_null(replica_person_no(&v, rivera));
		assert_null(replica_person(&v, "rivera"));
		assert_null(replica_organization(&v, "meridian"));
		assert_null(replica_person(&v, ""));
		assert_null(replica_organization_no(&v, 0));
		assert_null(replica_organization_no(&v, UINT32_MAX));
		assert_string_equal(replica_uid(&v, 0), "");
		assert_string_equal(replica_uid(&v, UINT32_MAX), "");
	}
	replica_close(r);
}

static void barred_employers_are_found_in_any_order(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);

	for (uint32_t i = 0; i < 10; i++) {
		char id[3] = { 'e', (char)('0' + i), '\0' };
		tell(&l, i + 1, ORGANIZATION(id, NULL));
	}
	tell(&l, 20, BARRING("p", NULL, "e9", "e2", "e7", "e2", "e1", "e5"));
	told(&l);
	WITH_REPLICA(v, r) {
		const struct organization *p = replica_organization(&v, "p");
		assert_int_equal(p->barred_count, 5); /* e2 counts once */
		assert_string_equal(p->id, "p");
		for (uint32_t i = 0; i < 10; i++) {
			char id[3] = { 'e', (char)('0' + i), '\0' };
			bool barred = strchr("92715", (int)('0' + i)) != NULL;
			assert_int_equal(replica_bars(p, replica_organization(&v, id)->no), barred);
		}
		assert_false(replica_bars(NULL, 1));
	}
	replica_close(r);
}

/* ---- paths: every row is a world, a question and what the judge says ---- */

static void the_paths_of_a_person_are_judged(void **state)
{
	(void)state;
	const struct row {
		const char *name;
		struct entry entries[5];
		const char *uid;
		enum reason why;
	} rows[] = {
		{ "a stranger has no path", { { 0 } }, "chen", NO_ASSOCIATION },
		{ "an association and a consent through one employer",
		    { ASSOCIATION("a", "chen", "e1", "p", STATE_APPROVED), CONSENT("c", "p", "e1", STATE_APPROVED) }, "chen", REASON_OK },
		{ "another employer's consent does not count",
		    { ASSOCIATION("a", "chen", "e1", "p", STATE_APPROVED), CONSENT("c", "p", "e2", STATE_APPROVED) }, "chen", NO_CONSENT },
		{ "another provider's consent does not count",
		    { ASSOCIATION("a", "chen", "e1", "p", STATE_APPROVED), CONSENT("c", "e1", "p", STATE_APPROVED) }, "chen", NO_CONSENT },
		{ "of two employers one with a consent is enough",
		    { ASSOCIATION("a", "chen", "e1", "p", STATE_APPROVED), ASSOCIATION("b", "chen", "e2", "p", STATE_APPROVED),
		        CONSENT("c", "p", "e2", STATE_APPROVED) }, "chen", REASON_OK },
		{ "of two consents one that is approved is enough",
		    { ASSOCIATION("a", "chen", "e1", "p", STATE_APPROVED), CONSENT("c", "p", "e1", STATE_APPROVED),
		        CONSENT("d", "p", "e1", STATE_REVOKED) }, "chen", REASON_OK },
		{ "an old association does not hide a new one",
		    { ASSOCIATION("a", "chen", "e1", "p", STATE_APPROVED), ASSOCIATION("b", "chen", "e1", "p", STATE_ENDED),
		        CONSENT("c", "p", "e1", STATE_APPROVED) }, "chen", REASON_OK },
		{ "an employer without an entry is not active",
		    { ASSOCIATION("a", "chen", "ghost", "p", STATE_APPROVED), CONSENT("c", "p", "ghost", STATE_APPROVED) }, "chen",
		    EMPLOYER_NOT_ACTIVE },
		{ "a barred employer is no path",
		    { ASSOCIATION("a", "chen", "bad", "p", STATE_APPROVED), CONSENT("c", "p", "bad", STATE_APPROVED) }, "chen",
		    EMPLOYER_BARRED },
		{ "the Authorized Official needs the consent as well", { { 0 } }, "rivera", NO_CONSENT },
		{ "the Authorized Official with the provider's own consent",
		    { CONSENT("c", "p", "p", STATE_APPROVED) }, "rivera", REASON_OK },
		{ "another's association does not count",
		    { ASSOCIATION("a", "silva", "e1", "p", STATE_APPROVED), CONSENT("c", "p", "e1", STATE_APPROVED) }, "chen",
		    NO_ASSOCIATION },
		{ "nobody", { { 0 } }, "ghost", NOT_AUTHENTICATED },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		/* Whatever comes first: things told before what they name is told. */
		for (int order = 0; order < 2; order++) {
			struct dir_listener l;
			struct replica *r = open_told(&l);
			for (uint32_t k = 0; order == 0 && k < 5 && rows[i].entries[k].id; k++)
				tell(&l, 20 + k, rows[i].entries[k]);
			tell(&l, 1, PERSON("chen"));
			tell(&l, 2, PERSON("rivera"));
			tell(&l, 3, BARRING("p", "rivera", "bad"));
			tell(&l, 4, ORGANIZATION("e1", NULL));
			tell(&l, 5, ORGANIZATION("e2", NULL));
			tell(&l, 6, ORGANIZATION("bad", NULL));
			tell(&l, 7, RECORD("O20240115000001", "p"));
			for (uint32_t k = 5; order == 1 && k-- > 0;)
				if (rows[i].entries[k].id)
					tell(&l, 20 + k, rows[i].entries[k]);
			told(&l);
			WITH_REPLICA(v, r) {
				enum reason why = judged(&v, rows[i].uid, "O20240115000001");
				if (why != rows[i].why)
					fail_msg("%s: %s", rows[i].name, reason_word(why));
			}
			replica_close(r);
		}
	}
}

static void acts_without_paths_are_judged_too(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);

	tell(&l, 1, ROLE("auditors", "audit1"));
	tell(&l, 2, PERSON("audit1"));
	tell(&l, 3, PERSON("chen"));
	told(&l);
	WITH_REPLICA(v, r) {
		struct facts f = { .now = 1000, .actor = replica_person(&v, "audit1") };
		assert_true(replica_judge(&v, AUDIT_READ, &f).allow);
		f.actor = replica_person(&v, "chen");
		assert_int_equal(replica_judge(&v, AUDIT_READ, &f).why, NOT_AUDITOR);
		f.actor = NULL;
		assert_int_equal(replica_judge(&v, RECORD_VIEW, &f).why, NOT_AUTHENTICATED);
	}
	replica_close(r);
}

static bool count_path(void *self, const struct path *p)
{
	(void)p;
	++*(int *)self;
	return true;
}

static void thousands_of_old_associations_of_one_pair_are_right_and_leave_others_alone(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	char id[32];

	tell(&l, 1, PERSON("chen"));
	tell(&l, 2, PERSON("okafor"));
	tell(&l, 3, ORGANIZATION("p", NULL));
	tell(&l, 4, RECORD("O20240115000001", "p"));
	tell(&l, 5, CONSENT("c", "p", "p", STATE_APPROVED));
	tell(&l, 6, ASSOCIATION("o", "okafor", "p", "p", STATE_APPROVED));
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(id, sizeof id, "old-%u", i);
		tell(&l, 1000 + i, ASSOCIATION(id, "chen", "p", "p", i == 2500 ? STATE_APPROVED : STATE_ENDED));
	}
	told(&l);
	WITH_REPLICA(v, r) {
		int paths = 0;
		replica_paths(&v, replica_person(&v, "chen"), replica_organization(&v, "p"), count_path, &paths);
		assert_int_equal(paths, 5000);
		paths = 0;
		replica_paths(&v, replica_person(&v, "okafor"), replica_organization(&v, "p"), count_path, &paths);
		assert_int_equal(paths, 1);
		assert_int_equal(judged(&v, "chen", "O20240115000001"), REASON_OK);
		assert_int_equal(judged(&v, "okafor", "O20240115000001"), REASON_OK);
	}
	/* Ended, changed and gone in the middle, at both ends. */
	tell(&l, 1000 + 2500, ASSOCIATION("old-2500", "chen", "p", "p", STATE_ENDED));
	WITH_REPLICA(v, r)
		assert_int_equal(judged(&v, "chen", "O20240115000001"), ASSOCIATION_ENDED);
	tell(&l, 1000, ASSOCIATION("old-0", "chen", "p", "p", STATE_APPROVED));
	WITH_REPLICA(v, r)
		assert_int_equal(judged(&v, "chen", "O20240115000001"), REASON_OK);
	for (uint32_t i = 0; i < 5000; i++)
		tell_gone(&l, 1000 + (i * 2501) % 5000);
	WITH_REPLICA(v, r) {
		assert_int_equal(judged(&v, "chen", "O20240115000001"), NO_ASSOCIATION);
		assert_int_equal(judged(&v, "okafor", "O20240115000001"), REASON_OK);
	}
	replica_close(r);
}

/* ---- changes ---- */

static void a_change_replaces_and_what_has_moved_is_only_where_it_is(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	unsigned char d[32];

	tell_one_of_each(&l);
	tell(&l, 20, ORGANIZATION("northgate", NULL));
	tell(&l, 21, PERSON("ito"));
	tell(&l, 22, PERSON("rivera"));
	told(&l);
	tell(&l, 3, ASSOCIATION("a1", "ito", "lakeside", "lakeside", STATE_APPROVED)); /* another user */
	tell(&l, 4, CONSENT("c9", "lakeside", "lakeside", STATE_APPROVED));            /* another id */
	tell(&l, 5, RECORD("O20240115000001", "northgate"));                          /* another provider */
	tell(&l, 8, SESSION(D1, "ito"));
	WITH_REPLICA(v, r) {
		assert_int_equal(judged(&v, "chen", "O20240115000002"), NO_ASSOCIATION);
		assert_int_equal(judged(&v, "ito", "O20240115000002"), REASON_OK);
		assert_int_equal(judged(&v, "ito", "O20240115000001"), NO_ASSOCIATION);
		assert_null(replica_consent(&v, "c1"));
		assert_non_null(replica_consent(&v, "c9"));
		int of_lakeside = 0, of_northgate = 0, of_chen = 0, of_ito = 0;
		replica_records_of(&v, replica_organization(&v, "lakeside")->no, count_record, &of_lakeside);
		replica_records_of(&v, replica_organization(&v, "northgate")->no, count_record, &of_northgate);
		replica_sessions_of(&v, replica_person(&v, "chen")->no, count_session, &of_chen);
		replica_sessions_of(&v, replica_person(&v, "ito")->no, count_session, &of_ito);
		assert_true(of_lakeside == 1 && of_northgate == 1 && of_chen == 0 && of_ito == 1);
	}
	tell(&l, 4, CONSENT("c9", "northgate", "lakeside", STATE_APPROVED));
	tell(&l, 9, (struct entry){ .kind = KIND_APPLICATION, .id = "gate", .state = STATE_ACTIVE,
		.secret_digests = (const char *const[]){ D2, NULL } });
	tell(&l, 1, PERSON("chen2"));
	WITH_REPLICA(v, r) {
		assert_int_equal(judged(&v, "ito", "O20240115000002"), NO_CONSENT);
		digest(d, D1);
		assert_null(replica_application_by_secret(&v, d));
		assert_null(replica_application(&v, "portal"));
		digest(d, D2);
		assert_string_equal(replica_application_by_secret(&v, d)->id, "gate");
		assert_null(replica_person(&v, "chen"));
		assert_non_null(replica_person(&v, "chen2"));
	}
	tell(&l, 1, RECORD("O20240115000003", "lakeside")); /* another kind */
	WITH_REPLICA(v, r) {
		assert_null(replica_person(&v, "chen2"));
		assert_non_null(replica_record(&v, "O20240115000003"));
	}
	replica_close(r);
}

static void what_is_gone_is_found_nowhere(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct replica_status status;
	unsigned char d[32];

	tell_one_of_each(&l);
	told(&l);
	tell_gone(&l, 999);
	for (uint32_t i = 1; i <= OF_EACH; i++)
		tell_gone(&l, i);
	for (uint32_t i = 1; i <= OF_EACH; i++)
		tell_gone(&l, i); /* twice is no harm */
	replica_status(r, &status);
	assert_int_equal(status.entries, 0);
	WITH_REPLICA(v, r) {
		int count = 0;
		assert_null(replica_person(&v, "chen"));
		assert_null(replica_organization(&v, "lakeside"));
		assert_null(replica_association(&v, "a1"));
		assert_null(replica_consent(&v, "c1"));
		assert_null(replica_record(&v, "O20240115000001"));
		assert_null(replica_submission(&v, "s1"));
		assert_null(replica_application(&v, "portal"));
		digest(d, D1);
		assert_null(replica_session(&v, d));
		assert_null(replica_application_by_secret(&v, d));
		replica_records_of(&v, 1, count_record, &count);
		replica_sessions_of(&v, 1, count_session, &count);
		replica_each_association(&v, count_association, &count);
		assert_int_equal(count, 0);
	}
	replica_close(r);
}

static unsigned roles_of(struct replica *r, const char *uid)
{
	unsigned roles = 0;

	WITH_REPLICA(v, r)
		roles = replica_person(&v, uid)->roles;
	return roles;
}

static bool is_official(struct replica *r, const char *uid)
{
	bool is = false;

	WITH_REPLICA(v, r)
		is = replica_is_official(&v, replica_person(&v, uid)->no);
	return is;
}

static void an_official_is_one_while_any_organization_says_so(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);

	tell(&l, 1, PERSON("rivera"));
	tell(&l, 2, ORGANIZATION("one", "rivera"));
	tell(&l, 3, ORGANIZATION("two", "rivera"));
	tell(&l, 4, PERSON("chen"));
	told(&l);
	assert_true(is_official(r, "rivera"));
	assert_false(is_official(r, "chen"));
	tell(&l, 2, ORGANIZATION("one", "chen"));
	assert_true(is_official(r, "rivera"));
	assert_true(is_official(r, "chen"));
	tell(&l, 3, BARRING("two", "rivera", "one")); /* another change keeps him */
	assert_true(is_official(r, "rivera"));
	tell(&l, 3, ORGANIZATION("two", NULL));
	assert_false(is_official(r, "rivera"));
	tell_gone(&l, 2);
	assert_false(is_official(r, "chen"));
	tell(&l, 2, ORGANIZATION("one", "rivera"));
	assert_true(is_official(r, "rivera"));
	replica_close(r);
}

static void roles_are_bits_of_people_whichever_comes_first(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct replica_status status;

	tell(&l, 1, PERSON("desk1"));
	tell(&l, 2, ROLE("helpdesk", "desk1", "desk2", "both"));
	tell(&l, 3, ROLE("processors", "both", "both", "proc1"));
	tell(&l, 4, PERSON("desk2"));
	tell(&l, 5, PERSON("both"));
	tell(&l, 6, PERSON("chen"));
	told(&l);
	assert_int_equal(roles_of(r, "desk1"), ROLE_HELP_DESK);
	assert_int_equal(roles_of(r, "desk2"), ROLE_HELP_DESK);
	assert_int_equal(roles_of(r, "both"), ROLE_HELP_DESK | ROLE_PROCESSOR);
	assert_int_equal(roles_of(r, "chen"), 0);
	tell(&l, 2, ROLE("helpdesk", "chen", "desk2"));
	assert_int_equal(roles_of(r, "desk1"), 0);
	assert_int_equal(roles_of(r, "desk2"), ROLE_HELP_DESK);
	assert_int_equal(roles_of(r, "both"), ROLE_PROCESSOR);
	assert_int_equal(roles_of(r, "chen"), ROLE_HELP_DESK);
	tell(&l, 6, PERSON("chen")); /* a change of the person keeps them */
	assert_int_equal(roles_of(r, "chen"), ROLE_HELP_DESK);
	tell(&l, 2, ROLE("auditors", "chen")); /* renamed */
	assert_int_equal(roles_of(r, "chen"), ROLE_AUDITOR);
	assert_int_equal(roles_of(r, "desk2"), 0);
	tell_gone(&l, 3);
	assert_int_equal(roles_of(r, "both"), 0);
	tell(&l, 7, ROLE("kings", "chen"));
	replica_status(r, &status);
	assert_int_equal(status.misfits, 1);
	assert_int_equal(status.entries, 5);
	tell_gone(&l, 5); /* and the person's uuid is still his */
	tell_gone(&l, 6);
	replica_status(r, &status);
	assert_int_equal(status.entries, 3);
	replica_close(r);
}

/* ---- misfits ---- */

static size_t misfits_of(struct arena *a, struct replica *r, struct replica_misfit out[8])
{
	return replica_misfits(a, r, out, 8);
}

static void what_is_not_understood_grants_nothing_and_is_listed(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct arena *a = arena_open();
	struct replica_misfit m[8];
	struct replica_status status;

	tell_one_of_each(&l);
	tell_misfit(&l, 50, "uid=x", "no state");
	told(&l);
	assert_int_equal(misfits_of(a, r, m), 1);
	assert_string_equal(m[0].dn, "uid=x");
	assert_string_equal(m[0].why, "no state");
	assert_int_equal(m[0].revision.micros, 50);
	WITH_REPLICA(v, r)
		assert_int_equal(judged(&v, "chen", "O20240115000001"), REASON_OK);

	tell_misfit(&l, 3, "scfAssociationId=a1", "state unknown");
	tell_misfit(&l, 51, "uid=y", "no uid");
	WITH_REPLICA(v, r) {
		assert_int_equal(judged(&v, "chen", "O20240115000001"), NO_ASSOCIATION);
		assert_null(replica_association(&v, "a1"));
	}
	assert_int_equal(misfits_of(a, r, m), 3); /* oldest first */
	assert_string_equal(m[0].dn, "uid=x");
	assert_string_equal(m[1].dn, "scfAssociationId=a1");
	assert_string_equal(m[2].dn, "uid=y");
	assert_int_equal(replica_misfits(a, r, m, 2), 2);

	tell_misfit(&l, 50, "uid=x", "still no state"); /* keeps its place */
	assert_int_equal(misfits_of(a, r, m), 3);
	assert_string_equal(m[0].why, "still no state");
	tell(&l, 3, ASSOCIATION("a1", "chen", "lakeside", "lakeside", STATE_APPROVED)); /* repaired */
	WITH_REPLICA(v, r)
		assert_int_equal(judged(&v, "chen", "O20240115000001"), REASON_OK);
	tell_gone(&l, 51); /* the last */
	tell_misfit(&l, 52, "uid=z", "again");
	assert_int_equal(misfits_of(a, r, m), 2);
	assert_string_equal(m[1].dn, "uid=z");
	replica_status(r, &status);
	assert_int_equal(status.misfits, 2);
	assert_int_equal(status.entries, OF_EACH);
	arena_close(a);
	replica_close(r);
}

static void incomplete_entries_are_misfits(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct replica_status status;
	const struct { const char *name; struct entry entry; } bad[] = {
		{ "no id", { .kind = KIND_PERSON } },
		{ "an empty id", { .kind = KIND_PERSON, .id = "" } },
		{ "an association of nobody", ASSOCIATION("a", NULL, "e", "p", STATE_APPROVED) },
		{ "an association through nobody", ASSOCIATION("a", "u", "", "p", STATE_APPROVED) },
		{ "an association with nobody", ASSOCIATION("a", "u", "e", NULL, STATE_APPROVED) },
		{ "a consent to nobody", CONSENT("c", "p", NULL, STATE_APPROVED) },
		{ "a record of nobody", RECORD("O20240115000001", NULL) },
		{ "a session whose id is no digest", SESSION("1234", "u") },
		{ "a session with an upper-case digest", SESSION("AA11111111111111111111111111111111111111111111111111111111111111",
		    "u") },
		{ "a session of nobody", SESSION(D1, NULL) },
		{ "an application with half a digest", { .kind = KIND_APPLICATION, .id = "x",
		    .secret_digests = (const char *const[]){ D1, "12", NULL } } },
		{ "a kind that nobody knows", { .kind = KINDS, .id = "x" } },
	};

	for (uint32_t i = 0; i < COUNT(bad); i++)
		tell(&l, i + 1, bad[i].entry);
	told(&l);
	replica_status(r, &status);
	assert_int_equal(status.entries, 0);
	assert_int_equal(status.misfits, COUNT(bad));
	replica_close(r);
}

static void of_two_with_one_id_the_later_is_a_misfit(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct arena *a = arena_open();
	struct replica_misfit m[16];

	tell_one_of_each(&l);
	tell(&l, 31, PERSON("chen"));
	tell(&l, 32, ORGANIZATION("lakeside", NULL));
	tell(&l, 33, ASSOCIATION("a1", "chen", "e", "p", STATE_APPROVED));
	tell(&l, 34, RECORD("O20240115000001", "p"));
	tell(&l, 35, SESSION(D1, "okafor"));
	tell(&l, 36, ROLE("auditors", "chen"));
	tell(&l, 37, ROLE("auditors", "okafor"));
	told(&l);
	assert_int_equal(replica_misfits(a, r, m, 16), 6);
	for (int i = 0; i < 6; i++)
		assert_string_equal(m[i].why, "another entry has the same id");
	assert_string_equal(m[0].dn, "person chen");
	WITH_REPLICA(v, r) {
		assert_int_equal(judged(&v, "chen", "O20240115000001"), REASON_OK);
		struct uuid first = uuid_no(1);
		assert_memory_equal(&replica_person(&v, "chen")->mark.uuid, &first, sizeof first);
		assert_int_equal(replica_person(&v, "chen")->roles, ROLE_AUDITOR);
	}
	tell_gone(&l, 1);
	WITH_REPLICA(v, r)
		assert_null(replica_person(&v, "chen")); /* until it is told again */
	tell(&l, 31, PERSON("chen"));
	WITH_REPLICA(v, r)
		assert_non_null(replica_person(&v, "chen"));
	assert_int_equal(replica_misfits(a, r, m, 16), 5);
	arena_close(a);
	replica_close(r);
}

/* ---- refresh, reload ---- */

static void a_resumed_refresh_sweeps_what_was_neither_told_nor_present(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct replica_status status;

	tell_one_of_each(&l);
	tell_misfit(&l, 50, "uid=x", "no state");
	tell_misfit(&l, 51, "uid=y", "no state");
	tell(&l, 11, ROLE("auditors", "chen"));
	told(&l);
	tell_begin(&l, false);
	tell_present(&l, 1);
	tell(&l, 2, ORGANIZATION("lakeside", "rivera"));
	tell_present(&l, 4);
	tell_present(&l, 5);
	tell_present(&l, 51);
	tell_present(&l, 777);
	WITH_REPLICA(v, r)
		assert_int_equal(judged(&v, "chen", "O20240115000001"), REASON_OK); /* nothing is swept before its time */
	tell_refreshed(&l, true);
	tell_reached(&l, 101);
	replica_status(r, &status);
	assert_int_equal(status.entries, 4);
	assert_int_equal(status.misfits, 1);
	assert_int_equal(status.reloads, 0);
	WITH_REPLICA(v, r) {
		assert_int_equal(judged(&v, "chen", "O20240115000001"), NO_ASSOCIATION);
		assert_int_equal(judged(&v, "chen", "O20240115000002"), NOT_FOUND);
		assert_int_equal(replica_person(&v, "chen")->roles, 0);
	}
	tell_begin(&l, false); /* the other end of a refresh: what was not named has not changed */
	tell_gone(&l, 5);
	tell_refreshed(&l, false);
	replica_status(r, &status);
	assert_int_equal(status.entries, 3);
	replica_close(r);
}

static void a_reload_is_swapped_in_whole_and_an_open_view_keeps_the_old(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct replica_status status;
	struct view before, after;

	tell_one_of_each(&l);
	told(&l);
	replica_enter(r, &before);
	tell_begin(&l, true);
	tell(&l, 1, PERSON("okafor"));
	tell_reached(&l, 200);
	WITH_REPLICA(v, r) {
		assert_int_equal(v.revision.micros, 100);
		assert_non_null(replica_person(&v, "chen"));
		assert_null(replica_person(&v, "okafor"));
	}
	tell_refreshed(&l, true);
	replica_enter(r, &after);
	assert_int_equal(after.revision.micros, 200);
	assert_non_null(replica_person(&after, "okafor"));
	assert_null(replica_person(&after, "chen"));
	assert_int_equal(judged(&before, "chen", "O20240115000001"), REASON_OK);
	replica_leave(&after);
	replica_leave(&before);
	replica_status(r, &status);
	assert_int_equal(status.entries, 1);
	assert_int_equal(status.reloads, 1);
	replica_close(r);
}

static void between_complete_and_named_a_reload_has_the_revision_of_what_it_replaced(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);

	tell_one_of_each(&l);
	told(&l);
	tell_begin(&l, true);
	tell(&l, 1, PERSON("okafor"));
	tell_refreshed(&l, true);
	WITH_REPLICA(v, r) {
		assert_non_null(replica_person(&v, "okafor"));
		assert_int_equal(v.revision.micros, 100);
	}
	tell_reached(&l, 200);
	WITH_REPLICA(v, r)
		assert_int_equal(v.revision.micros, 200);
	replica_close(r);
}

static void a_reload_that_broke_off_changes_nothing(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct replica_status status;

	tell_one_of_each(&l);
	told(&l);
	tell_begin(&l, true);
	tell(&l, 60, PERSON("half"));
	tell_begin(&l, false); /* a resume that does not follow from a complete load: not listened to */
	tell_gone(&l, 1);
	tell_refreshed(&l, true);
	tell_reached(&l, 300);
	WITH_REPLICA(v, r) {
		assert_int_equal(judged(&v, "chen", "O20240115000001"), REASON_OK);
		assert_int_equal(v.revision.micros, 100);
	}
	tell_begin(&l, true);
	tell(&l, 61, PERSON("half"));
	tell_begin(&l, true);
	tell_one_of_each(&l);
	told(&l);
	replica_status(r, &status);
	assert_int_equal(status.entries, OF_EACH);
	assert_int_equal(status.reloads, 1);
	replica_close(r);
}

static void tell_people(const struct dir_listener *l, uint32_t people, uint32_t sessions)
{
	char text[DIGEST_TEXT];

	tell_begin(l, true);
	for (uint32_t i = 0; i < people; i++) {
		snprintf(text, sizeof text, "user-%u", i);
		tell(l, i + 1, PERSON(text));
	}
	for (uint32_t i = 0; i < sessions; i++) {
		snprintf(text, sizeof text, "%064x", i);
		tell(l, 10000 + i, SESSION(text, "user-0"));
	}
	tell_refreshed(l, true);
}

static size_t entries_of(struct replica *r, bool *alarm)
{
	struct replica_status status;

	replica_status(r, &status);
	*alarm = status.shrink_alarm;
	return status.entries;
}

static void a_reload_that_shrank_is_refused_until_it_is_accepted(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	bool alarm;

	tell_people(&l, 100, 0);
	tell_reached(&l, 100);
	tell_people(&l, 60, 0); /* within 50 % */
	assert_int_equal(entries_of(r, &alarm), 60);
	assert_false(alarm);
	tell_people(&l, 10, 0);
	tell_reached(&l, 200);
	assert_int_equal(entries_of(r, &alarm), 60);
	assert_true(alarm);
	tell_gone(&l, 1); /* belongs to what was refused */
	assert_int_equal(entries_of(r, &alarm), 60);
	tell_people(&l, 10, 0);
	assert_int_equal(entries_of(r, &alarm), 60);
	replica_accept_shrink(r);
	tell_people(&l, 10, 0);
	assert_int_equal(entries_of(r, &alarm), 10);
	assert_false(alarm);
	tell_people(&l, 1, 0); /* so few may shrink as they like */
	assert_int_equal(entries_of(r, &alarm), 1);
	replica_close(r);
}

static void sessions_do_not_count_for_the_size_of_a_reload(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	bool alarm;

	tell_people(&l, 50, 1000);
	tell_people(&l, 45, 0);
	assert_int_equal(entries_of(r, &alarm), 45);
	assert_false(alarm);
	tell_people(&l, 10, 1000);
	assert_int_equal(entries_of(r, &alarm), 45);
	assert_true(alarm);
	replica_close(r);
}

static void many_entries_come_and_go_in_bounded_memory(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct replica_status status;
	char text[DIGEST_TEXT];

	tell(&l, 1, PERSON("chen"));
	told(&l);
	size_t bytes = 0;
	for (uint32_t i = 0; i < 40000; i++) {
		snprintf(text, sizeof text, "%064x", i);
		tell(&l, 100 + i, SESSION(text, "chen"));
		tell_reached(&l, 200 + i);
		if (i >= 100)
			tell_gone(&l, i);
		if (i % 500 == 0) /* no stream is so fast; grace periods take their time */
			nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
		if (i == 20000) {
			replica_status(r, &status);
			bytes = status.bytes;
		}
	}
	replica_status(r, &status);
	assert_int_equal(status.entries, 101);
	/* All that came would take seventy times as much; where grace periods are late, some of it still waits. */
	assert_true(status.bytes < bytes * 8);
	WITH_REPLICA(v, r) {
		int count = 0;
		replica_sessions_of(&v, replica_person(&v, "chen")->no, count_session, &count);
		assert_int_equal(count, 100);
	}
	replica_close(r);
}

/* ---- waiting ---- */

static void *reach_soon(void *self)
{
	const struct dir_listener *l = self;

	for (int i = 101; i <= 110; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
		tell_reached(l, i);
	}
	return NULL;
}

static void a_revision_can_be_waited_for(void **state)
{
	(void)state;
	struct dir_listener l;
	struct replica *r = open_told(&l);
	struct revision then = revision_no(100), soon = revision_no(107), never = revision_no(1000);
	pthread_t thread;

	assert_false(replica_has_reached(r, &then));
	assert_int_equal(replica_wait(r, &then, 10).code, ERR_UNAVAILABLE);
	told(&l);
	assert_true(replica_has_reached(r, &then));
	assert_int_equal(replica_wait(r, &then, 0).code, OK);
	int64_t began = clock_steady_ms();
	assert_int_equal(pthread_create(&thread, NULL, reach_soon, &l), 0);
	assert_int_equal(replica_wait(r, &soon, 20000).code, OK);
	assert_in_range(clock_steady_ms() - began, 20, 5000); /* woken, not timed out */
	assert_true(replica_has_reached(r, &soon));
	began = clock_steady_ms();
	assert_int_equal(replica_wait(r, &never, 80).code, ERR_UNAVAILABLE);
	assert_in_range(clock_steady_ms() - began, 70, 2000);
	pthread_join(thread, NULL);
	replica_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_or_fresh_before_the_first_load),
		cmocka_unit_test(every_kind_is_found_by_its_names),
		cmocka_unit_test(what_is_only_mentioned_has_a_name_but_is_not_there),
		cmocka_unit_test(barred_employers_are_found_in_any_order),
		cmocka_unit_test(the_paths_of_a_person_are_judged),
		cmocka_unit_test(acts_without_paths_are_judged_too),
		cmocka_unit_test(thousands_of_old_associations_of_one_pair_are_right_and_leave_others_alone),
		cmocka_unit_test(a_change_replaces_and_what_has_moved_is_only_where_it_is),
		cmocka_unit_test(what_is_gone_is_found_nowhere),
		cmocka_unit_test(roles_are_bits_of_people_whichever_comes_first),
		cmocka_unit_test(an_official_is_one_while_any_organization_says_so),
		cmocka_unit_test(what_is_not_understood_grants_nothing_and_is_listed),
		cmocka_unit_test(incomplete_entries_are_misfits),
		cmocka_unit_test(of_two_with_one_id_the_later_is_a_misfit),
		cmocka_unit_test(a_resumed_refresh_sweeps_what_was_neither_told_nor_present),
		cmocka_unit_test(a_reload_is_swapped_in_whole_and_an_open_view_keeps_the_old),
		cmocka_unit_test(between_complete_and_named_a_reload_has_the_revision_of_what_it_replaced),
		cmocka_unit_test(a_reload_that_broke_off_changes_nothing),
		cmocka_unit_test(a_reload_that_shrank_is_refused_until_it_is_accepted),
		cmocka_unit_test(sessions_do_not_count_for_the_size_of_a_reload),
		cmocka_unit_test(many_entries_come_and_go_in_bounded_memory),
		cmocka_unit_test(a_revision_can_be_waited_for),
	};

	alarm(120); /* a test that fails in a read section leaves the others waiting for its end */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("replica", tests, NULL, NULL);
}
