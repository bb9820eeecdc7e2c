/* The replica against a model that cannot be wrong because it is so slow: random entries come, change, move, clash and
 * go, and every question is asked of both. Then readers at full speed beside a writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/secret.h"
#include "tell.h"

/* ---- chance ---- */

static _Thread_local uint64_t chance_state;

static uint32_t chance(uint32_t below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return (uint32_t)((chance_state >> 32) * below >> 32);
}

/* ---- the model: one seat per UUID, looked through from end to end ---- */

#define SEATS 300
#define UIDS 8
#define ORGS 6
#define IDS 40 /* of each other kind */

enum sit { ABSENT, HELD, MISFIT };
struct seat {
	enum sit sit;
	enum kind kind;
	enum state state;
	uint32_t id, user, employer, provider, official, barred, members;
	bool seen;
};
static struct seat seats[SEATS];

static const char *const uids[UIDS] = { "u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7" };
static const char *const orgs[ORGS] = { "o0", "o1", "o2", "o3", "o4", "o5" };
static const char *const role_words[3] = { "helpdesk", "auditors", "processors" };

static const char *id_text(enum kind kind, uint32_t id)
{
	static char text[4][DIGEST_TEXT];
	static int next;
	char *out = text[next++ % 4];

	switch (kind) {
	case KIND_PERSON:
		return uids[id];
	case KIND_ORGANIZATION:
		return orgs[id];
	case KIND_ROLE:
		return role_words[id];
	case KIND_SESSION:
		snprintf(out, DIGEST_TEXT, "%064x", id);
		return out;
	default:
		snprintf(out, DIGEST_TEXT, "id-%u", id);
		return out;
	}
}

static uint32_t ids_of(enum kind kind)
{
	return kind == KIND_PERSON ? UIDS : kind == KIND_ORGANIZATION ? ORGS : kind == KIND_ROLE ? 3 : IDS;
}

static struct seat *holder(enum kind kind, uint32_t id)
{
	for (size_t i = 0; i < SEATS; i++)
		if (seats[i].sit == HELD && seats[i].kind == kind && seats[i].id == id)
			return &seats[i];
	return NULL;
}

static enum state any_state(enum kind kind)
{
	enum state state;

	if (chance(2))
		return kind == KIND_ASSOCIATION || kind == KIND_CONSENT ? STATE_APPROVED : STATE_ACTIVE;
	do
		state = (enum state)chance(STATES);
	while (!state_fits(kind, state));
	return state;
}

static struct seat any_seat(void)
{
	static const enum kind often[] = { KIND_ASSOCIATION, KIND_CONSENT, KIND_ASSOCIATION, KIND_CONSENT, KIND_RECORD,
		KIND_SESSION, KIND_PERSON, KIND_ORGANIZATION, KIND_SUBMISSION, KIND_ROLE, KIND_APPLICATION, KIND_CLAIM, KIND_CASE };
	struct seat s = { .sit = HELD, .kind = often[chance(COUNT(often))] };

	s.state = any_state(s.kind);
	s.id = chance(ids_of(s.kind));
	s.user = chance(UIDS);
	s.employer = chance(ORGS);
	s.provider = chance(ORGS);
	s.official = chance(UIDS + 1); /* the last: nobody */
	s.barred = chance(1u << ORGS) & chance(1u << ORGS);
	s.members = chance(1u << UIDS);
	return s;
}

static void tell_seat(const struct dir_listener *l, uint32_t no, const struct seat *s)
{
	const char *barred[ORGS + 1] = { NULL }, *members[UIDS + 1] = { NULL }, *secret[2] = { NULL };
	struct entry e = { .kind = s->kind, .id = id_text(s->kind, s->id), .state = s->state, .user = uids[s->user],
		.employer = orgs[s->employer], .provider = orgs[s->provider], .barred = barred, .members = members,
		.secret_digests = secret, .provider_kind = PROVIDER_ORGANIZATION, .leaving = barred,
		.requested_by = uids[s->user], .case_kind = CASE_ACCOUNT, .second_factor = s->members & 1 };

	for (uint32_t i = 0, count = 0; i < ORGS; i++)
		if (s->barred >> i & 1)
			barred[count++] = orgs[i];
	for (uint32_t i = 0, count = 0; i < UIDS; i++)
		if (s->members >> i & 1)
			members[count++] = uids[i];
	secret[0] = id_text(KIND_SESSION, s->user);
	e.official = s->official < UIDS ? uids[s->official] : NULL;
	tell(l, no, e);
}

/* ---- the same questions to both ---- */

static unsigned model_roles(uint32_t user)
{
	unsigned roles = 0;

	for (uint32_t i = 0; i < 3; i++) {
		const struct seat *s = holder(KIND_ROLE, i);
		if (s && s->members >> user & 1)
			roles |= 1u << i;
	}
	return roles;
}

#define AGREE(what) \
	do { if (!(what)) fail_msg("after %u steps, seed %u: not so: %s", step, seed, #what); } while (0)

static uint32_t step, seed;

static void compare_entries(const struct view *v)
{
	for (uint32_t i = 0; i < IDS; i++) {
		const struct seat *a = holder(KIND_ASSOCIATION, i), *c = holder(KIND_CONSENT, i), *r = holder(KIND_RECORD, i);
		const struct seat *u = holder(KIND_SUBMISSION, i), *n = holder(KIND_SESSION, i), *p = holder(KIND_APPLICATION, i);
		const struct seat *m = holder(KIND_CLAIM, i), *h = holder(KIND_CASE, i);
		const struct association *ra = replica_association(v, id_text(KIND_ASSOCIATION, i));
		const struct consent *rc = replica_consent(v, id_text(KIND_CONSENT, i));
		const struct record *rr = replica_record(v, id_text(KIND_RECORD, i));
		const struct submission *ru = replica_submission(v, id_text(KIND_SUBMISSION, i));
		const struct application *rp = replica_application(v, id_text(KIND_APPLICATION, i));
		const struct claim *rm = replica_claim(v, id_text(KIND_CLAIM, i));
		const struct help_case *rh = replica_case(v, id_text(KIND_CASE, i));
		unsigned char digest[32] = { [31] = (unsigned char)i };
		const struct session *rn = replica_session(v, digest);

		AGREE(!a == !ra && !c == !rc && !r == !rr && !u == !ru && !n == !rn && !p == !rp && !m == !rm && !h == !rh);
		AGREE(!m || (rm->state == m->state && strcmp(replica_uid(v, rm->user), uids[m->user]) == 0));
		AGREE(!h || (rh->state == h->state && strcmp(replica_org_id(v, rh->provider), orgs[h->provider]) == 0));
		AGREE(!a || (ra->state == a->state && strcmp(replica_uid(v, ra->user), uids[a->user]) == 0));
		AGREE(!a || strcmp(replica_org_id(v, ra->employer), orgs[a->employer]) == 0);
		AGREE(!a || strcmp(replica_org_id(v, ra->provider), orgs[a->provider]) == 0);
		AGREE(!c || (rc->state == c->state && strcmp(replica_org_id(v, rc->employer), orgs[c->employer]) == 0));
		AGREE(!r || strcmp(replica_org_id(v, rr->provider), orgs[r->provider]) == 0);
		AGREE(!u || (ru->state == u->state && strcmp(replica_uid(v, ru->user), uids[u->user]) == 0));
		AGREE(!n || (strcmp(replica_uid(v, rn->user), uids[n->user]) == 0 && rn->second_factor == (n->members & 1)));
	}
}

static bool count_record(void *self, const struct record *r)
{
	(void)r;
	++*(uint32_t *)self;
	return true;
}

static bool count_session(void *self, const struct session *s)
{
	(void)s;
	++*(uint32_t *)self;
	return true;
}

static bool sum_association(void *self, const struct association *a)
{
	*(uint64_t *)self += strtoull(a->id + 3, NULL, 10) * 0x9e3779b97f4a7c15u + 1;
	return true;
}

static uint64_t model_associations(uint32_t user)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SEATS; i++)
		if (seats[i].sit == HELD && seats[i].kind == KIND_ASSOCIATION && seats[i].user == user)
			sum += seats[i].id * 0x9e3779b97f4a7c15u + 1;
	return sum;
}

static uint32_t model_count(enum kind kind, uint32_t user, uint32_t provider)
{
	uint32_t count = 0;

	for (size_t i = 0; i < SEATS; i++)
		count += seats[i].sit == HELD && seats[i].kind == kind &&
		    (kind == KIND_SESSION ? seats[i].user == user : seats[i].provider == provider);
	return count;
}

static bool count_organization(void *self, const struct organization *o)
{
	*(uint32_t *)self += o->id != NULL;
	return true;
}

static bool count_claim(void *self, const struct claim *c)
{
	*(uint32_t *)self += c->state != STATE_NONE;
	return true;
}

static bool count_case(void *self, const struct help_case *c)
{
	*(uint32_t *)self += c->kind == CASE_ACCOUNT;
	return true;
}

static bool count_submission(void *self, const struct submission *s)
{
	*(uint32_t *)self += s->state != STATE_NONE;
	return true;
}

static void compare_walks(const struct view *v)
{
	uint32_t walked[4] = { 0 }, model[4] = { 0 };
	static const enum kind kinds[] = { KIND_ORGANIZATION, KIND_CLAIM, KIND_CASE, KIND_SUBMISSION };

	replica_each_organization(v, count_organization, &walked[0]);
	replica_each_claim(v, count_claim, &walked[1]);
	replica_each_case(v, count_case, &walked[2]);
	replica_each_submission(v, count_submission, &walked[3]);
	for (size_t i = 0; i < SEATS; i++)
		for (size_t k = 0; k < COUNT(kinds); k++)
			model[k] += seats[i].sit == HELD && seats[i].kind == kinds[k];
	for (size_t k = 0; k < COUNT(kinds); k++)
		AGREE(walked[k] == model[k]);
}

static void compare_people_and_organizations(const struct view *v)
{
	for (uint32_t i = 0; i < UIDS; i++) {
		const struct seat *s = holder(KIND_PERSON, i);
		const struct person *p = replica_person(v, uids[i]);
		uint32_t sessions = 0, with_secret = 0;
		unsigned char digest[32] = { [31] = (unsigned char)i };

		AGREE(!s == !p);
		AGREE(!s || (p->state == s->state && p->roles == model_roles(i) && replica_person_no(v, p->no) == p));
		if (p) {
			replica_sessions_of(v, p->no, count_session, &sessions);
			AGREE(sessions == model_count(KIND_SESSION, i, 0));
			uint64_t sum = 0;
			replica_associations_of(v, p->no, sum_association, &sum);
			AGREE(sum == model_associations(i));
			AGREE(p->leaving_count == __builtin_popcount(s->barred) && p->second_factor == (s->members & 1));
			for (uint32_t k = 0; k < p->leaving_count; k++)
				AGREE(s->barred >> (replica_org_id(v, p->leaving[k])[1] - '0') & 1);
			AGREE(strcmp(p->uid, uids[i]) == 0);
		}
		for (size_t k = 0; k < SEATS; k++)
			with_secret += seats[k].sit == HELD && seats[k].kind == KIND_APPLICATION && seats[k].user == i;
		AGREE((with_secret > 0) == (replica_application_by_secret(v, digest) != NULL));
	}
	for (uint32_t i = 0; i < ORGS; i++) {
		const struct seat *s = holder(KIND_ORGANIZATION, i);
		const struct organization *o = replica_organization(v, orgs[i]);
		uint32_t records = 0;

		AGREE(!s == !o);
		AGREE(!s || (o->state == s->state && replica_organization_no(v, o->no) == o));
		if (!o)
			continue;
		AGREE(strcmp(replica_uid(v, o->official), s->official < UIDS ? uids[s->official] : "") == 0);
		AGREE(strcmp(replica_uid(v, o->registrant), uids[s->user]) == 0);
		replica_records_of(v, o->no, count_record, &records);
		AGREE(records == model_count(KIND_RECORD, 0, i));
	}
}

/* The paths, as a sum that is the same in any order. */
struct heard { uint64_t sum; uint32_t count; };

static uint32_t no_of(const char *id)
{
	return (uint32_t)strtoul(id + 3, NULL, 10) + 1;
}

static uint64_t path_sum(uint32_t tie, uint32_t consent, bool employer, bool barred)
{
	return (((uint64_t)tie << 20 | consent << 4) + employer * 2u + barred) * 0x9e3779b97f4a7c15u;
}

static bool hear_path(void *self, const struct path *p)
{
	struct heard *h = self;

	h->sum += path_sum(p->tie ? no_of(p->tie->id) : 0, p->consent ? no_of(p->consent->id) : 0, p->employer != NULL, p->barred);
	h->count++;
	return true;
}

static void model_through(struct heard *h, const struct seat *provider, uint32_t tie, uint32_t employer)
{
	bool known = holder(KIND_ORGANIZATION, employer) != NULL, barred = provider->barred >> employer & 1, any = false;

	for (size_t i = 0; i < SEATS; i++) {
		const struct seat *c = &seats[i];
		if (c->sit != HELD || c->kind != KIND_CONSENT || c->provider != provider->id || c->employer != employer)
			continue;
		h->sum += path_sum(tie, c->id + 1, known, barred);
		h->count++;
		any = true;
	}
	if (!any) {
		h->sum += path_sum(tie, 0, known, barred);
		h->count++;
	}
}

static void compare_paths(const struct view *v)
{
	for (uint32_t u = 0; u < UIDS; u++) {
		for (uint32_t p = 0; p < ORGS; p++) {
			const struct person *person = replica_person(v, uids[u]);
			const struct organization *provider = replica_organization(v, orgs[p]);
			const struct seat *s = holder(KIND_ORGANIZATION, p);
			struct heard told = { 0 }, model = { 0 };

			if (!person || !provider)
				continue;
			replica_paths(v, person, provider, hear_path, &told);
			for (size_t i = 0; i < SEATS; i++)
				if (seats[i].sit == HELD && seats[i].kind == KIND_ASSOCIATION && seats[i].user == u &&
				    seats[i].provider == p)
					model_through(&model, s, seats[i].id + 1, seats[i].employer);
			if (s->official == u)
				model_through(&model, s, 0, p);
			AGREE(told.count == model.count && told.sum == model.sum);
		}
	}
}

static void compare(struct replica *r)
{
	struct replica_status status;
	size_t held = 0, misfits = 0;

	for (size_t i = 0; i < SEATS; i++) {
		held += seats[i].sit == HELD;
		misfits += seats[i].sit == MISFIT;
	}
	replica_status(r, &status);
	AGREE(status.entries == held && status.misfits == misfits);
	WITH_REPLICA(v, r) {
		compare_entries(&v);
		compare_people_and_organizations(&v);
		compare_paths(&v);
		compare_walks(&v);
	}
}

/* ---- steps ---- */

static void step_entry(const struct dir_listener *l, uint32_t no)
{
	struct seat s = any_seat();

	if (seats[no].sit == HELD && chance(4)) { /* most changes change little */
		s = seats[no];
		s.state = any_state(s.kind);
		if (chance(3) == 0)
			s.user = chance(UIDS);
		if (chance(3) == 0)
			s.employer = chance(ORGS);
		if (chance(6) == 0)
			s.provider = chance(ORGS);
	}
	const struct seat *other = holder(s.kind, s.id);
	if (other && other != &seats[no])
		s.sit = MISFIT;
	s.seen = true;
	tell_seat(l, no, &s);
	seats[no] = s;
}

static void step_refresh(const struct dir_listener *l)
{
	bool sweep = chance(2);

	tell_begin(l, false);
	for (uint32_t i = 0; i < SEATS; i++)
		seats[i].seen = false;
	for (uint32_t i = 0; i < SEATS; i++) {
		if (chance(10) == 0) {
			step_entry(l, i);
		} else if (seats[i].sit != ABSENT && chance(20) > 0) {
			tell_present(l, i);
			seats[i].seen = true;
		}
	}
	tell_refreshed(l, sweep);
	for (uint32_t i = 0; sweep && i < SEATS; i++)
		if (!seats[i].seen)
			seats[i].sit = ABSENT;
}

static void step_reload(const struct dir_listener *l)
{
	tell_begin(l, true);
	for (uint32_t i = 0; i < SEATS; i++)
		if (seats[i].sit == MISFIT)
			seats[i].sit = ABSENT; /* which of two is the first would be another question */
	for (uint32_t i = 0; i < SEATS; i++)
		if (seats[i].sit == HELD)
			tell_seat(l, i, &seats[i]);
	tell_refreshed(l, true);
}

static void random_changes_leave_the_replica_as_the_model(void **state)
{
	(void)state;
	int64_t end = clock_steady_ms() + 1500;

	for (seed = 1; seed <= 200 && clock_steady_ms() < end; seed++) {
		struct replica *r = NULL;
		chance_state = seed * 0x9e3779b97f4a7c15u;
		memset(seats, 0, sizeof seats);
		assert_int_equal(replica_open_alone(&r).code, OK);
		struct dir_listener l = replica_listener(r);
		tell_begin(&l, true);
		tell_refreshed(&l, true);
		for (step = 1; step <= 3000; step++) {
			uint32_t no = chance(SEATS), what = chance(1000);
			if (what < 700) {
				step_entry(&l, no);
			} else if (what < 970) {
				tell_gone(&l, no);
				seats[no].sit = ABSENT;
			} else if (what < 990) {
				tell_misfit(&l, no, "dn", "why");
				seats[no].sit = MISFIT;
			} else if (what < 998) {
				step_refresh(&l);
			} else {
				step_reload(&l);
			}
			if (step % 50 == 0)
				compare(r);
		}
		replica_close(r);
	}
	assert_true(seed > 1);
}

/* ---- readers beside a writer ---- */

#define ALWAYS 1000000 /* seconds between a consent's beginning and end, in every version of it */

struct race { struct replica *replica; bool ending; uint64_t looks; const char *wrong; };

/* Version i is approved if i is even, and says i in three places: a torn one, an old one or one that was freed and
 * written over cannot say the same in all. */
static void tell_version(const struct dir_listener *l, int64_t i)
{
	struct entry e = CONSENT("c", "p", "e", i % 2 ? STATE_REVOKED : STATE_APPROVED);

	e.revision = revision_no(i);
	e.not_before = i - ALWAYS;
	e.not_after = i + ALWAYS;
	tell(l, 1, e);
}

/* NULL, or what is wrong: cmocka's own assertions are for its thread only. */
#define MUST(what) \
	do { if (!(what)) return #what; } while (0)

static const char *look(const struct view *v)
{
	const struct consent *c = replica_consent(v, "c");
	MUST(v->fresh && c);
	int64_t i = c->mark.revision.micros;
	MUST(i >= v->revision.micros);
	MUST(c->not_before == i - ALWAYS && c->not_after == i + ALWAYS);
	MUST(c->state == (i % 2 ? STATE_REVOKED : STATE_APPROVED));
	MUST(strcmp(c->id, "c") == 0);

	const struct record *r = replica_record(v, "O20240115000001");
	struct facts f = { .now = i, .actor = replica_person(v, "chen") };
	MUST(r && f.actor);
	f.provider = replica_organization_no(v, r->provider);
	MUST(f.provider && strcmp(f.provider->id, "p") == 0);
	struct verdict verdict = replica_judge(v, RECORD_VIEW, &f);
	MUST(verdict.why == REASON_OK || verdict.why == CONSENT_REVOKED);
	int64_t judged_at = verdict.path.consent->mark.revision.micros;
	MUST(judged_at >= i);
	MUST(verdict.allow == (judged_at % 2 == 0));
	MUST(strcmp(verdict.path.tie->id, "a") == 0);

	uint32_t sessions = 0, records = 0;
	uint64_t sum = 0;
	replica_associations_of(v, f.actor->no, sum_association, &sum);
	MUST(sum > 0);
	replica_sessions_of(v, f.actor->no, count_session, &sessions);
	replica_records_of(v, r->provider, count_record, &records);
	MUST(records >= 1 && records + sessions <= 300);
	return NULL;
}

static void *keep_looking(void *self)
{
	struct race *race = self;
	const char *wrong = NULL;
	uint64_t looks = 0;

	for (; !wrong && !__atomic_load_n(&race->ending, __ATOMIC_RELAXED); looks++)
		WITH_REPLICA(v, race->replica)
			wrong = look(&v);
	if (wrong)
		__atomic_store_n(&race->wrong, wrong, __ATOMIC_RELEASE);
	__atomic_fetch_add(&race->looks, looks, __ATOMIC_RELAXED);
	return NULL;
}

static void tell_constants(const struct dir_listener *l, int64_t version)
{
	tell_begin(l, true);
	tell(l, 2, PERSON("chen"));
	tell(l, 3, ORGANIZATION("p", "rivera"));
	tell(l, 4, ORGANIZATION("e", NULL));
	tell(l, 5, ASSOCIATION("a", "chen", "e", "p", STATE_APPROVED));
	tell(l, 6, RECORD("O20240115000001", "p"));
	tell_version(l, version);
	tell_refreshed(l, true);
	tell_reached(l, version);
}

static void churn(const struct dir_listener *l, uint32_t i)
{
	char id[DIGEST_TEXT];
	uint32_t no = 1000 + chance(250);

	if (chance(3) == 0) {
		tell_gone(l, no);
		return;
	}
	switch (chance(6)) {
	case 0:
		snprintf(id, sizeof id, "%064x", no);
		tell(l, no, SESSION(id, chance(2) ? "chen" : "rivera"));
		break;
	case 1:
		snprintf(id, sizeof id, "rec-%u", i);
		tell(l, no, RECORD(id, chance(2) ? "p" : "e"));
		break;
	case 2: /* a second one of chen and p, never approved; and ones of others */
		snprintf(id, sizeof id, "as-%u", no);
		tell(l, no, ASSOCIATION(id, chance(2) ? "chen" : "rivera", "x", "p", STATE_ENDED));
		break;
	case 3:
		snprintf(id, sizeof id, "co-%u", no);
		tell(l, no, CONSENT(id, "p", chance(2) ? "x" : "y", STATE_PREPARED));
		break;
	case 4:
		tell(l, 7, ROLE("helpdesk", chance(2) ? "chen" : "rivera"));
		break;
	default:
		tell(l, 2, PERSON("chen"));
		tell(l, 3, ORGANIZATION("p", "rivera"));
		tell(l, 5, ASSOCIATION("a", "chen", "e", "p", STATE_APPROVED));
		tell(l, 6, RECORD("O20240115000001", "p"));
	}
}

static void readers_never_see_what_is_torn_old_or_freed(void **state)
{
	(void)state;
	struct race race = { 0 };
	pthread_t readers[3];
	int64_t version = 2, end;
	uint32_t changes = 0;

	chance_state = 42;
	assert_int_equal(replica_open_alone(&race.replica).code, OK);
	struct dir_listener l = replica_listener(race.replica);
	tell_constants(&l, version);
	for (size_t i = 0; i < COUNT(readers); i++)
		assert_int_equal(pthread_create(&readers[i], NULL, keep_looking, &race), 0);
	for (end = clock_steady_ms() + 1200; clock_steady_ms() < end; changes++) {
		churn(&l, changes);
		if (chance(2) == 0) {
			tell_version(&l, ++version);
			tell_reached(&l, version);
		}
		if (chance(5000) == 0) {
			replica_accept_shrink(race.replica);
			tell_constants(&l, ++version);
		}
	}
	__atomic_store_n(&race.ending, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < COUNT(readers); i++)
		pthread_join(readers[i], NULL);
	if (race.wrong)
		fail_msg("a reader saw that this is not so: %s", race.wrong);
	assert_true(race.looks > 100 && version > 100);
	print_message("# %llu looks beside %u changes, %lld versions\n", (unsigned long long)race.looks, changes,
	    (long long)version);
	replica_close(race.replica);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes_leave_the_replica_as_the_model),
		cmocka_unit_test(readers_never_see_what_is_torn_old_or_freed),
	};

	alarm(120); /* a test that fails in a read section leaves the other waiting for its end */
	log_set_level(LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("replica model", tests, NULL, NULL);
}
