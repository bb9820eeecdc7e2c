/* Holds the rule to its laws: every combination of facts is judged, and compared with a second statement of
 * docs/rules.md that is written in the words of this file alone. Laws, not samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rule/rule.h"

enum { NOW = 1000000, RECENT = 300 };
enum { ME = 1, SOMEBODY = 2, THE_OFFICIAL = 3 };                  /* people */
enum { PROVIDER = 10, EMPLOYER = 11, ELSEWHERE = 12, OTHER = 13 }; /* organizations */

static uint64_t judged;

/* ---- the choices ---- */

enum account { NO_ACCOUNT, ACTIVE_ACCOUNT, DISABLED_ACCOUNT, REMOVED_ACCOUNT, ODD_ACCOUNT, ACCOUNTS };
enum org { NO_ORG, REGISTERED_ORG, ACTIVE_ORG, SUSPENDED_ORG, CLOSED_ORG, ORGS };
enum seat { SEAT_EMPTY, SEAT_MINE, SEAT_OTHERS, SEATS };
enum acting { FOR_ANY, FOR_PROVIDER, FOR_EMPLOYER, FOR_ELSEWHERE, ACTINGS };
enum leaving { LEAVING_NOBODY, LEAVING_EMPLOYER, LEAVING_PROVIDER, LEAVINGS };
enum tie {
	NO_TIE, PENDING_TIE, PENDING_TIE_OVER, APPROVED_TIE, APPROVED_TIE_BOUNDED, APPROVED_TIE_OVER, REJECTED_TIE,
	CANCELLED_TIE, EXPIRED_TIE, ENDED_TIE, ODD_TIE, TIE_OF_ANOTHER, TIE_TO_ANOTHER, TIES,
};
enum through {
	THROUGH_UNKNOWN,
	THROUGH_PROVIDER,
	THROUGH_REGISTERED,
	THROUGH_ACTIVE,
	THROUGH_SUSPENDED,
	THROUGH_CLOSED,
	THROUGHS
};
enum consents {
	NO_FORM,
	APPROVED_OPEN,
	APPROVED_BOUNDED,
	APPROVED_NOT_YET,
	APPROVED_OVER,
	PREPARED_FORM,
	SIGNED_FORM,
	REJECTED_FORM,
	WITHDRAWN_FORM,
	REVOKED_FORM,
	EXPIRED_FORM,
	ODD_FORM,
	FORM_OF_ANOTHER_EMPLOYER,
	FORM_OF_ANOTHER_PROVIDER,
	CONSENTS,
};

struct asked {
	enum account account;
	enum org provider;
	bool individual;
	enum seat seat;
	enum acting acting;
	enum leaving leaving;
};
struct way {
	enum tie tie;
	enum through through;
	bool barred;
	enum consents consent;
};
enum { ASKED = ACCOUNTS * ORGS * 2 * SEATS * ACTINGS * LEAVINGS, WAYS = TIES * THROUGHS * 2 * CONSENTS };

static struct asked asked_of(int i)
{
	struct asked a;

	a.account = i % ACCOUNTS, i /= ACCOUNTS;
	a.provider = i % ORGS, i /= ORGS;
	a.individual = i % 2, i /= 2;
	a.seat = i % SEATS, i /= SEATS;
	a.acting = i % ACTINGS, i /= ACTINGS;
	a.leaving = i;
	return a;
}

static int number_of_asked(struct asked a)
{
	int i = (int)a.leaving * ACTINGS + (int)a.acting;

	return (((i * SEATS + (int)a.seat) * 2 + a.individual) * ORGS + (int)a.provider) * ACCOUNTS + (int)a.account;
}

static struct way way_of(int i)
{
	struct way w;

	w.tie = i % TIES, i /= TIES;
	w.through = i % THROUGHS, i /= THROUGHS;
	w.barred = i % 2, i /= 2;
	w.consent = i;
	return w;
}

static int number_of_way(struct way w)
{
	return (((int)w.consent * 2 + w.barred) * THROUGHS + (int)w.through) * TIES + (int)w.tie;
}

/* ---- from choices to facts ---- */

static struct person *me; /* with room for one employer that he leaves */
static struct organization provider, *employers[THROUGHS];
static struct association *ties[TIES][2]; /* [1]: through the provider itself */
static struct consent *consents[CONSENTS][2];

static const enum state account_states[ACCOUNTS] = { STATE_NONE, STATE_ACTIVE, STATE_DISABLED, STATE_REMOVED,
	STATE_NONE };
static const enum state org_states[ORGS] = { STATE_NONE, STATE_REGISTERED, STATE_ACTIVE, STATE_SUSPENDED,
	STATE_CLOSED };

/* Structs that end in a flexible array are no elements of arrays. */
static void *new_one(size_t size)
{
	void *one = calloc(1, size);

	assert_non_null(one);
	return one;
}

static void set_up_world(void)
{
	static const struct { enum state state; int64_t expires, not_after; } tie[TIES] = {
		[PENDING_TIE] = { STATE_PENDING, NOW + 1, 0 },
		[PENDING_TIE_OVER] = { STATE_PENDING, NOW, 0 },
		[APPROVED_TIE] = { STATE_APPROVED, NOW - 100, 0 }, /* decided before the request's own end */
		[APPROVED_TIE_BOUNDED] = { STATE_APPROVED, 0, NOW + 1 },
		[APPROVED_TIE_OVER] = { STATE_APPROVED, 0, NOW },
		[REJECTED_TIE] = { STATE_REJECTED, 0, 0 },
		[CANCELLED_TIE] = { STATE_CANCELLED, 0, 0 },
		[EXPIRED_TIE] = { STATE_EXPIRED, 0, NOW + 100 },
		[ENDED_TIE] = { STATE_ENDED, 0, 0 },
		[ODD_TIE] = { STATE_NONE, 0, 0 },
		[TIE_OF_ANOTHER] = { STATE_APPROVED, 0, 0 },
		[TIE_TO_ANOTHER] = { STATE_APPROVED, 0, 0 },
	};
	static const struct { enum state state; int64_t not_before, not_after; } form[CONSENTS] = {
		[APPROVED_OPEN] = { STATE_APPROVED, 0, 0 },
		[APPROVED_BOUNDED] = { STATE_APPROVED, NOW, NOW + 1 },
		[APPROVED_NOT_YET] = { STATE_APPROVED, NOW + 1, 0 },
		[APPROVED_OVER] = { STATE_APPROVED, 0, NOW },
		[PREPARED_FORM] = { STATE_PREPARED, 0, 0 },
		[SIGNED_FORM] = { STATE_SIGNED, 0, 0 },
		[REJECTED_FORM] = { STATE_REJECTED, 0, 0 },
		[WITHDRAWN_FORM] = { STATE_WITHDRAWN, 0, 0 },
		[REVOKED_FORM] = { STATE_REVOKED, 0, 0 },
		[EXPIRED_FORM] = { STATE_EXPIRED, 0, NOW + 100 },
		[ODD_FORM] = { STATE_NONE, 0, 0 },
		[FORM_OF_ANOTHER_EMPLOYER] = { STATE_APPROVED, 0, 0 },
		[FORM_OF_ANOTHER_PROVIDER] = { STATE_APPROVED, 0, 0 },
	};

	me = new_one(sizeof *me + sizeof me->leaving[0]);
	for (int own = 0; own < 2; own++) {
		for (int i = 0; i < TIES; i++) {
			ties[i][own] = new_one(sizeof *ties[i][own]);
			ties[i][own]->state = tie[i].state;
			ties[i][own]->expires = tie[i].expires;
			ties[i][own]->not_after = tie[i].not_after;
			ties[i][own]->user = i == TIE_OF_ANOTHER ? SOMEBODY : ME;
			ties[i][own]->provider = i == TIE_TO_ANOTHER ? OTHER : PROVIDER;
			ties[i][own]->employer = own ? PROVIDER : EMPLOYER;
		}
		for (int i = 0; i < CONSENTS; i++) {
			consents[i][own] = new_one(sizeof *consents[i][own]);
			consents[i][own]->state = form[i].state;
			consents[i][own]->not_before = form[i].not_before;
			consents[i][own]->not_after = form[i].not_after;
			consents[i][own]->provider = i == FORM_OF_ANOTHER_PROVIDER ? OTHER : PROVIDER;
			consents[i][own]->employer = i == FORM_OF_ANOTHER_EMPLOYER ? ELSEWHERE
			    : own                                                  ? PROVIDER
										   : EMPLOYER;
		}
	}
	for (int i = THROUGH_REGISTERED; i < THROUGHS; i++) {
		employers[i] = new_one(sizeof *employers[i]);
		employers[i]->no = EMPLOYER;
		employers[i]->state = org_states[i - THROUGH_REGISTERED + REGISTERED_ORG];
		employers[i]->is_employer = true;
	}
}

static void put_away_world(void)
{
	free(me);
	for (int own = 0; own < 2; own++) {
		for (int i = 0; i < TIES; i++)
			free(ties[i][own]);
		for (int i = 0; i < CONSENTS; i++)
			free(consents[i][own]);
	}
	for (int i = 0; i < THROUGHS; i++)
		free(employers[i]);
}

static struct facts facts_of(struct asked a)
{
	static const number acting[ACTINGS] = { 0, PROVIDER, EMPLOYER, ELSEWHERE };
	static const number seats[SEATS] = { 0, ME, THE_OFFICIAL };
	struct facts f = { .now = NOW, .recent = RECENT, .acting_for = acting[a.acting] };

	me->no = ME;
	me->state = account_states[a.account];
	me->leaving_count = a.leaving != LEAVING_NOBODY;
	me->leaving[0] = a.leaving == LEAVING_EMPLOYER ? EMPLOYER : PROVIDER;
	provider.no = PROVIDER;
	provider.state = org_states[a.provider];
	provider.provider_kind = a.individual ? PROVIDER_INDIVIDUAL : PROVIDER_ORGANIZATION;
	provider.official = seats[a.seat];
	f.actor = a.account == NO_ACCOUNT ? NULL : me;
	f.provider = a.provider == NO_ORG ? NULL : &provider;
	return f;
}

static struct path path_of(struct way w)
{
	bool own = w.through == THROUGH_PROVIDER;

	return (struct path){
		.tie = w.tie == NO_TIE ? NULL : ties[w.tie][own],
		.employer = own ? &provider : w.through == THROUGH_UNKNOWN ? NULL : employers[w.through],
		.consent = w.consent == NO_FORM ? NULL : consents[w.consent][own],
		.barred = w.barred,
	};
}

static struct verdict judge(enum action action, const struct facts *f, const struct path *paths, size_t count)
{
	struct trial trial;

	judged++;
	rule_open(&trial, action, f);
	for (size_t i = 0; i < count; i++)
		if (!rule_hear(&trial, &paths[i]))
			break;
	struct verdict v = rule_close(&trial);
	if (v.allow != (v.why == REASON_OK))
		fail_msg("a verdict whose reason is not its own: %s, %s", action_word(action), reason_word(v.why));
	return v;
}

/* ---- the rule, said once more ---- */

static bool seated(struct asked a)
{
	return a.account != NO_ACCOUNT && a.provider != NO_ORG && a.seat == SEAT_MINE;
}

/* Who leaves an employer has nothing through it any more, whatever the entry still says. */
static bool is_left(struct asked a, struct way w)
{
	return a.leaving == (w.through == THROUGH_PROVIDER ? LEAVING_PROVIDER : LEAVING_EMPLOYER);
}

static bool is_tied(struct asked a, struct way w)
{
	return a.account != NO_ACCOUNT && a.provider != NO_ORG && !is_left(a, w) &&
	    (w.tie == APPROVED_TIE || w.tie == APPROVED_TIE_BOUNDED);
}

static bool is_own(struct asked a)
{
	return a.individual && seated(a) && (a.acting == FOR_ANY || a.acting == FOR_PROVIDER);
}

static enum reason expect_always(struct asked a)
{
	if (a.account == NO_ACCOUNT)
		return NOT_AUTHENTICATED;
	if (a.account != ACTIVE_ACCOUNT)
		return ACCOUNT_NOT_ACTIVE;
	if (a.provider == NO_ORG)
		return NOT_FOUND;
	return a.provider == ACTIVE_ORG ? REASON_OK : ORGANIZATION_NOT_ACTIVE;
}

static enum reason expect_tie(struct asked a, struct way w)
{
	bool stands = w.tie == APPROVED_TIE || w.tie == APPROVED_TIE_BOUNDED || w.tie == APPROVED_TIE_OVER ||
	    w.tie == PENDING_TIE || w.tie == PENDING_TIE_OVER;

	if (stands && is_left(a, w))
		return ASSOCIATION_ENDED;
	switch (w.tie) {
	case NO_TIE:
		return seated(a) && w.through == THROUGH_PROVIDER ? REASON_OK : NO_ASSOCIATION;
	case APPROVED_TIE:
	case APPROVED_TIE_BOUNDED:
		return REASON_OK;
	case PENDING_TIE:
		return ASSOCIATION_PENDING;
	case PENDING_TIE_OVER:
	case APPROVED_TIE_OVER:
	case EXPIRED_TIE:
		return ASSOCIATION_EXPIRED;
	case ENDED_TIE:
		return ASSOCIATION_ENDED;
	default:
		return NO_ASSOCIATION;
	}
}

static enum reason expect_consent(struct way w)
{
	switch (w.consent) {
	case APPROVED_OPEN:
	case APPROVED_BOUNDED:
		return REASON_OK;
	case APPROVED_NOT_YET:
		return CONSENT_NOT_YET_EFFECTIVE;
	case APPROVED_OVER:
	case EXPIRED_FORM:
		return CONSENT_EXPIRED;
	case PREPARED_FORM:
	case SIGNED_FORM:
		return CONSENT_PENDING;
	case REVOKED_FORM:
		return CONSENT_REVOKED;
	default:
		return NO_CONSENT;
	}
}

/* Is the path the employer's that the person names? */
static bool expect_heard(struct asked a, struct way w)
{
	return a.acting == FOR_ANY || (a.acting == FOR_PROVIDER && w.through == THROUGH_PROVIDER) ||
	    (a.acting == FOR_EMPLOYER && w.through != THROUGH_PROVIDER &&
		(w.through != THROUGH_UNKNOWN || w.tie != NO_TIE));
}

/* The first gate, for an active person at an active provider. */
static enum reason expect_path(struct asked a, struct way w)
{
	if (!expect_heard(a, w))
		return NO_ASSOCIATION;
	if (expect_tie(a, w) != REASON_OK)
		return expect_tie(a, w);
	if (w.through != THROUGH_PROVIDER && w.through != THROUGH_ACTIVE)
		return EMPLOYER_NOT_ACTIVE;
	return w.barred ? EMPLOYER_BARRED : REASON_OK;
}

static enum reason expect_record(struct asked a, struct way w)
{
	if (expect_always(a) != REASON_OK)
		return expect_always(a);
	if (is_own(a))
		return REASON_OK;
	if (expect_path(a, w) != REASON_OK)
		return expect_path(a, w);
	return expect_consent(w);
}

static enum reason expect_submission_create(struct asked a, struct way w)
{
	return expect_always(a) != REASON_OK ? expect_always(a) : expect_path(a, w);
}

/* ---- one path: every combination ---- */

enum { RECORDS, SUBMISSIONS, GATES };
static unsigned char *permits[GATES]; /* [ASKED][WAYS], kept for the laws below */

static bool permitted(int gate, struct asked a, struct way w)
{
	return permits[gate][(size_t)number_of_asked(a) * WAYS + (size_t)number_of_way(w)];
}

static bool check_one(enum action action, const struct facts *f, struct asked a, struct way w, enum reason expected)
{
	struct path p = path_of(w);
	struct verdict v = judge(action, f, &p, 1);

	if (v.why != expected)
		fail_msg("%s: expected %s, got %s (account %d provider %d individual %d seat %d acting %d; tie %d "
			 "through %d barred %d "
			 "consent %d)",
		    action_word(action), reason_word(expected), reason_word(v.why), a.account, a.provider, a.individual,
		    a.seat, a.acting, w.tie, w.through, w.barred, w.consent);
	if (!v.allow && v.tied != (seated(a) || is_tied(a, w)))
		fail_msg("%s: tied is %d (seat %d tie %d)", action_word(action), v.tied, a.seat, w.tie);
	if (v.allow && v.path.employer != (is_own(a) && action >= RECORD_VIEW ? &provider : p.employer))
		fail_msg("%s: permitted through a path that was not heard", action_word(action));

	/* The explanation tells the same story: all clauses hold iff permitted, and the first that fails gives the
	 * reason. */
	struct clause clauses[CLAUSES_MOST];
	size_t count = rule_explain(action, f, &p, clauses), i = 0;
	while (i < count && clauses[i].holds)
		i++;
	if ((i < count ? clauses[i].otherwise : REASON_OK) != v.why)
		fail_msg("%s: explained as %s", action_word(action), i < count ? clauses[i].name : "permitted");
	return v.allow;
}

static void every_combination_of_facts_and_one_path_is_judged_as_the_rule_says(void **unused)
{
	(void)unused;
	for (int i = 0; i < ASKED; i++) {
		struct asked a = asked_of(i);
		struct facts f = facts_of(a);
		assert_int_equal(number_of_asked(a), i);
		for (int j = 0; j < WAYS; j++) {
			struct way w = way_of(j);
			size_t at = (size_t)i * WAYS + (size_t)j;
			enum reason record = expect_record(a, w), submission = expect_submission_create(a, w);
			me->roles = 0;
			permits[RECORDS][at] = check_one(RECORD_VIEW, &f, a, w, record);
			permits[SUBMISSIONS][at] = check_one(SUBMISSION_CREATE, &f, a, w, submission);

			struct path p = path_of(w);
			/* Help desk, auditors and processors get no data by their roles; update and list are judged as
			 * view. */
			me->roles = ROLE_HELP_DESK | ROLE_AUDITOR | ROLE_PROCESSOR;
			if (judge(RECORD_UPDATE, &f, &p, 1).why != record ||
			    judge(RECORD_LIST, &f, &p, 1).why != record ||
			    judge(SUBMISSION_CREATE, &f, &p, 1).why != submission)
				fail_msg("a role, or the kind of access, changed the verdict");
			me->roles = 0;
		}
	}
}

static void no_path_is_never_a_permit(void **unused)
{
	(void)unused;
	for (int i = 0; i < ASKED; i++) {
		struct asked a = asked_of(i);
		struct facts f = facts_of(a);
		enum reason always = expect_always(a);
		struct verdict v = judge(RECORD_VIEW, &f, NULL, 0);
		assert_int_equal(v.why, always ? always : is_own(a) ? REASON_OK : NO_ASSOCIATION);
		assert_int_equal(v.tied, seated(a));
		v = judge(SUBMISSION_CREATE, &f, NULL, 0);
		assert_int_equal(v.why, always ? always : NO_ASSOCIATION);
		assert_null(v.path.employer);
		for (int j = 0; j < WAYS; j++) {
			struct way w = way_of(j);
			bool open = w.tie == APPROVED_TIE || w.tie == APPROVED_TIE_BOUNDED ||
			    (w.tie == NO_TIE && a.seat == SEAT_MINE && w.through == THROUGH_PROVIDER);
			if (!open && (permitted(SUBMISSIONS, a, w) || (permitted(RECORDS, a, w) && !is_own(a))))
				fail_msg("a permit without a path: asked %d way %d", i, j);
		}
	}
}

static void no_consent_is_never_a_permit_for_a_record_and_the_official_has_no_bypass(void **unused)
{
	size_t permits_of_official = 0;

	(void)unused;
	for (int i = 0; i < ASKED; i++)
		for (int j = 0; j < WAYS; j++) {
			struct asked a = asked_of(i);
			struct way w = way_of(j);
			bool consented = w.consent == APPROVED_OPEN || w.consent == APPROVED_BOUNDED;
			if (permitted(RECORDS, a, w) && !consented && !is_own(a))
				fail_msg("a record without consent: asked %d way %d", i, j);
			permits_of_official += permitted(RECORDS, a, w) && a.seat == SEAT_MINE && !a.individual;
			/* The first gate does not ask for consent, and the second is never wider than the first. */
			if (permitted(RECORDS, a, w) && !permitted(SUBMISSIONS, a, w) && !is_own(a))
				fail_msg("the second gate is wider than the first: asked %d way %d", i, j);
		}
	assert_true(permits_of_official > 0);
}

static void another_organizations_facts_never_count(void **unused)
{
	(void)unused;
	for (int i = 0; i < ASKED; i++)
		for (int j = 0; j < WAYS; j++) {
			struct asked a = asked_of(i);
			struct way w = way_of(j);
			bool foreign_tie = w.tie == TIE_OF_ANOTHER || w.tie == TIE_TO_ANOTHER;
			bool foreign_form =
			    w.consent == FORM_OF_ANOTHER_EMPLOYER || w.consent == FORM_OF_ANOTHER_PROVIDER;
			if (foreign_tie && permitted(SUBMISSIONS, a, w))
				fail_msg("another's association counted: asked %d way %d", i, j);
			if ((foreign_tie || foreign_form) && permitted(RECORDS, a, w) && !is_own(a))
				fail_msg("another's association or consent counted: asked %d way %d", i, j);
		}
}

/* Whatever takes away: lock, suspension, closing, end, expiry, revocation, bar. */
static void taking_away_never_turns_no_into_yes(void **unused)
{
	static const enum account accounts[] = { DISABLED_ACCOUNT, REMOVED_ACCOUNT, NO_ACCOUNT };
	static const enum org orgs[] = { SUSPENDED_ORG, CLOSED_ORG, NO_ORG };
	static const enum tie worse_ties[] = { ENDED_TIE, EXPIRED_TIE, APPROVED_TIE_OVER, PENDING_TIE_OVER,
		CANCELLED_TIE, REJECTED_TIE };
	static const enum through worse_employers[] = { THROUGH_SUSPENDED, THROUGH_CLOSED, THROUGH_UNKNOWN };
	static const enum consents worse_forms[] = { REVOKED_FORM, EXPIRED_FORM, APPROVED_OVER, WITHDRAWN_FORM,
		REJECTED_FORM, NO_FORM };
	uint64_t steps = 0;

	(void)unused;
	for (int gate = 0; gate < GATES; gate++)
		for (int i = 0; i < ASKED; i++)
			for (int j = 0; j < WAYS; j++) {
				const struct asked a = asked_of(i);
				const struct way w = way_of(j);
				if (permitted(gate, a, w))
					continue;
				bool yes = false;
				struct asked b = a;
				struct way x = w;
				for (size_t k = 0; k < COUNT(accounts); k++, steps++)
					b.account = accounts[k], yes |= permitted(gate, b, w);
				b = a;
				for (size_t k = 0; k < COUNT(orgs); k++, steps++)
					b.provider = orgs[k], yes |= permitted(gate, b, w);
				/* A path without a tie is the official's own: it has no association to take away. */
				for (size_t k = 0; k < COUNT(worse_ties) && w.tie != NO_TIE; k++, steps++)
					x.tie = worse_ties[k], yes |= permitted(gate, a, x);
				x = w;
				for (size_t k = 0; k < COUNT(worse_employers) && w.through != THROUGH_PROVIDER;
				     k++, steps++)
					x.through = worse_employers[k], yes |= permitted(gate, a, x);
				x = w;
				for (size_t k = 0; k < COUNT(worse_forms); k++, steps++)
					x.consent = worse_forms[k], yes |= permitted(gate, a, x);
				x = w, x.barred = true, steps++;
				yes |= permitted(gate, a, x);
				/* Losing the seat: the individual's, too. */
				b = a;
				for (int k = 1; k < LEAVINGS && a.leaving == LEAVING_NOBODY; k++, steps++)
					b.leaving = (enum leaving)k, yes |= permitted(gate, b, w);
				b = a, b.seat = SEAT_EMPTY;
				yes |= permitted(gate, b, w);
				b.seat = SEAT_OTHERS, steps += 2;
				yes |= permitted(gate, b, w);
				if (yes)
					fail_msg("something taken away opened gate %d: asked %d way %d", gate, i, j);
			}
	print_message("# %llu steps down, none of them up\n", (unsigned long long)steps);
}

static void naming_an_employer_only_narrows(void **unused)
{
	(void)unused;
	for (int gate = 0; gate < GATES; gate++)
		for (int i = 0; i < ASKED; i++)
			for (int j = 0; j < WAYS; j++) {
				struct asked a = asked_of(i), any = a;
				struct way w = way_of(j);
				any.acting = FOR_ANY;
				if (permitted(gate, a, w) && !permitted(gate, any, w))
					fail_msg("acting for %d widened: asked %d way %d", a.acting, i, j);
				if (a.acting == FOR_ELSEWHERE && permitted(gate, a, w))
					fail_msg(
					    "acting for an employer that is no path of his: asked %d way %d", i, j);
			}
}

/* ---- two paths ---- */

static int stage(enum reason why)
{
	switch (why) {
	case NO_ASSOCIATION:
	case ASSOCIATION_PENDING:
	case ASSOCIATION_ENDED:
	case ASSOCIATION_EXPIRED:
		return 1;
	case EMPLOYER_NOT_ACTIVE:
		return 2;
	case EMPLOYER_BARRED:
		return 3;
	case NO_CONSENT:
	case CONSENT_PENDING:
	case CONSENT_NOT_YET_EFFECTIVE:
	case CONSENT_EXPIRED:
	case CONSENT_REVOKED:
		return 4;
	default:
		return 0; /* whatever the path */
	}
}

static void two_paths_are_the_union_of_each_whatever_their_order(void **unused)
{
	/* Second paths: one that stops at each check, and open ones. */
	static const struct way seconds[] = {
		{ NO_TIE, THROUGH_PROVIDER, false, APPROVED_OPEN },
		{ NO_TIE, THROUGH_PROVIDER, false, NO_FORM },
		{ APPROVED_TIE, THROUGH_ACTIVE, false, APPROVED_OPEN },
		{ APPROVED_TIE, THROUGH_ACTIVE, false, NO_FORM },
		{ APPROVED_TIE, THROUGH_ACTIVE, false, REVOKED_FORM },
		{ APPROVED_TIE, THROUGH_ACTIVE, false, APPROVED_NOT_YET },
		{ APPROVED_TIE, THROUGH_ACTIVE, true, APPROVED_OPEN },
		{ APPROVED_TIE, THROUGH_SUSPENDED, false, APPROVED_OPEN },
		{ APPROVED_TIE, THROUGH_UNKNOWN, false, NO_FORM },
		{ PENDING_TIE, THROUGH_ACTIVE, false, APPROVED_OPEN },
		{ ENDED_TIE, THROUGH_PROVIDER, false, APPROVED_OPEN },
		{ TIE_TO_ANOTHER, THROUGH_ACTIVE, false, APPROVED_OPEN },
		{ APPROVED_TIE, THROUGH_PROVIDER, false, APPROVED_OPEN },
		{ APPROVED_TIE_OVER, THROUGH_ACTIVE, false, APPROVED_OPEN },
	};
	static const enum action gates[GATES] = { RECORD_VIEW, SUBMISSION_CREATE };

	(void)unused;
	for (int i = 0; i < ASKED; i++) {
		struct asked a = asked_of(i);
		if (a.account > DISABLED_ACCOUNT || a.provider == REGISTERED_ORG || a.provider == CLOSED_ORG)
			continue; /* judged like disabled and suspended above */
		struct facts f = facts_of(a);
		for (int j = 0; j < WAYS; j++)
			for (size_t k = 0; k < (expect_always(a) ? 2 : COUNT(seconds)); k++)
				for (int gate = 0; gate < GATES; gate++) {
					struct way w = way_of(j), x = seconds[k];
					struct path forth[2] = { path_of(w), path_of(x) },
						    back[2] = { forth[1], forth[0] };
					struct verdict v = judge(gates[gate], &f, forth, 2),
						       u = judge(gates[gate], &f, back, 2);
					bool yes = permitted(gate, a, w) || permitted(gate, a, x);
					if (v.allow != yes || u.allow != yes)
						fail_msg(
						    "two paths are not their union: asked %d way %d and %zu", i, j, k);
					if (v.why != u.why || (!yes && v.tied != u.tied))
						fail_msg("the order of paths matters: asked %d way %d and %zu: %s, %s",
						    i, j, k, reason_word(v.why), reason_word(u.why));
					if (!yes) {
						enum reason one = gate == RECORDS ? expect_record(a, w)
										  : expect_submission_create(a, w);
						enum reason two = gate == RECORDS ? expect_record(a, x)
										  : expect_submission_create(a, x);
						enum reason further = stage(one) > stage(two) ? one : two;
						if ((v.why != one && v.why != two) || stage(v.why) != stage(further))
							fail_msg("not the furthest: %s of %s and %s",
							    reason_word(v.why), reason_word(one), reason_word(two));
						if (v.tied != (seated(a) || is_tied(a, w) || is_tied(a, x)))
							fail_msg(
							    "tied is not the union: asked %d way %d and %zu", i, j, k);
					}
				}
	}
}

/* ---- submissions that exist ---- */

enum whose { NO_SUBMISSION, ANOTHER_PROVIDERS, MINE, A_COLLEAGUES, A_STRANGERS, WHOSE };

static const enum state submission_states[] = { STATE_DRAFT, STATE_SUBMITTED, STATE_ACCEPTED, STATE_RETURNED,
	STATE_NONE };

/* Before any path is looked at. */
static enum reason expect_submission_at_all(struct asked a, enum whose whose)
{
	if (expect_always(a) != REASON_OK)
		return expect_always(a);
	return whose == NO_SUBMISSION || whose == ANOTHER_PROVIDERS ? NOT_FOUND : REASON_OK;
}

static enum reason expect_submission(struct asked a, struct way w, enum whose whose, enum state state, bool reading)
{
	enum reason e = expect_submission_at_all(a, whose);

	if (e == REASON_OK)
		e = expect_path(a, w);
	if (e == REASON_OK && whose == A_STRANGERS)
		e = NO_ASSOCIATION;
	if (e != REASON_OK)
		return e;
	if (!reading)
		return state == STATE_DRAFT ? REASON_OK : ALREADY_DECIDED;
	return state == STATE_ACCEPTED && !is_own(a) ? expect_consent(w) : REASON_OK;
}

static void check_submission(struct facts *f, struct asked a, struct way w, enum whose whose, enum state state)
{
	static const enum action actions[] = { SUBMISSION_READ, SUBMISSION_UPDATE, SUBMISSION_SUBMIT,
		SUBMISSION_DELETE };
	struct submission submission = { .provider = PROVIDER, .user = SOMEBODY, .employer = ELSEWHERE };
	struct path p = path_of(w);

	submission.state = (uint8_t)state;
	if (whose == ANOTHER_PROVIDERS)
		submission.provider = OTHER;
	if (whose == MINE || whose == ANOTHER_PROVIDERS)
		submission.user = ME;
	if (whose == A_COLLEAGUES)
		submission.employer = w.through == THROUGH_PROVIDER ? PROVIDER : EMPLOYER;
	f->submission = whose == NO_SUBMISSION ? NULL : &submission;
	for (size_t k = 0; k < COUNT(actions); k++) {
		enum reason want = expect_submission(a, w, whose, state, actions[k] == SUBMISSION_READ);
		struct verdict v = judge(actions[k], f, &p, 1);
		if (v.why != want)
			fail_msg("%s: expected %s, got %s (asked %d way %d whose %d state %s)", action_word(actions[k]),
			    reason_word(want), reason_word(v.why), number_of_asked(a), number_of_way(w), whose,
			    state_word(state));
	}
	f->submission = NULL;
}

static void every_combination_around_a_submission_is_judged_as_the_rule_says(void **unused)
{
	(void)unused;
	for (int i = 0; i < ASKED; i++) {
		struct asked a = asked_of(i);
		if (a.account > DISABLED_ACCOUNT || a.provider == REGISTERED_ORG || a.provider == CLOSED_ORG)
			continue; /* judged like disabled and suspended above */
		struct facts f = facts_of(a);
		for (int whose = 0; whose < WHOSE; whose++) {
			bool refused = expect_submission_at_all(a, (enum whose)whose) != REASON_OK;
			for (size_t s = 0; s < (refused ? 1 : COUNT(submission_states)); s++)
				for (int j = 0; j < WAYS; j++)
					check_submission(&f, a, way_of(j), (enum whose)whose, submission_states[s]);
		}
	}
}

/* ---- workflows: no paths in them ---- */

struct desk {
	enum account account;
	enum org provider;
	enum seat seat;
	int roles;
	bool involved;
};
enum { DESKS = (ACCOUNTS - 1) * ORGS * SEATS * 8 * 2 };

static struct desk desk_of(int i)
{
	struct desk d;

	d.account = i % (ACCOUNTS - 1), i /= ACCOUNTS - 1;
	d.provider = i % ORGS, i /= ORGS;
	d.seat = i % SEATS, i /= SEATS;
	d.roles = i % 8, i /= 8;
	d.involved = i;
	return d;
}

static struct facts facts_of_desk(struct desk d)
{
	struct facts f = facts_of((struct asked){ d.account, d.provider, false, d.seat, FOR_ANY, LEAVING_NOBODY });

	me->roles = (uint8_t)d.roles;
	f.involved = d.involved;
	return f;
}

static enum reason expect_always_at(struct desk d)
{
	return expect_always((struct asked){ d.account, d.provider, false, d.seat, FOR_ANY, LEAVING_NOBODY });
}

static void expect(enum action action, const struct facts *f, enum reason expected, const char *whereof, int i)
{
	struct verdict v = judge(action, f, NULL, 0);

	if (v.why != expected)
		fail_msg("%s: expected %s, got %s (%s %d)", action_word(action), reason_word(expected),
		    reason_word(v.why), whereof, i);

	/* A path changes nothing here but what the person may know of. */
	struct path p = path_of((struct way){ APPROVED_TIE, THROUGH_PROVIDER, false, APPROVED_OPEN });
	struct verdict u = judge(action, f, &p, 1);
	if (u.why != expected || (!u.allow && f->actor && f->provider && !u.tied))
		fail_msg("%s: a path changed a verdict that has none in it", action_word(action));

	struct clause clauses[CLAUSES_MOST];
	size_t count = rule_explain(action, f, NULL, clauses), k = 0;
	while (k < count && clauses[k].holds)
		k++;
	if ((k < count ? clauses[k].otherwise : REASON_OK) != expected)
		fail_msg("%s: explained as %s", action_word(action), k < count ? clauses[k].name : "permitted");
}

static void requests_for_associations_are_judged_as_the_rule_says(void **unused)
{
	static const enum through others[] = { THROUGH_UNKNOWN, THROUGH_REGISTERED, THROUGH_ACTIVE, THROUGH_SUSPENDED,
		THROUGH_CLOSED };

	(void)unused;
	for (int i = 0; i < DESKS; i++) {
		struct desk d = desk_of(i);
		struct facts f = facts_of_desk(d);
		for (size_t o = 0; o < COUNT(others); o++)
			for (int flags = 0; flags < 32; flags++) {
				enum reason expected = expect_always_at(d);
				bool leaves = flags & 8, is_no_provider = flags & 16;
				f.employer = others[o] == THROUGH_UNKNOWN ? NULL : employers[others[o]];
				f.for_himself = flags & 1;
				f.employer_barred = flags & 2;
				f.open_request = flags & 4;
				me->leaving_count = 1;
				me->leaving[0] = leaves ? EMPLOYER : ELSEWHERE;
				provider.provider_kind = is_no_provider ? NOT_A_PROVIDER : PROVIDER_ORGANIZATION;
				if (!expected)
					expected = is_no_provider          ? NOT_FOUND
					    : !f.for_himself               ? OWN_REQUEST
					    : others[o] == THROUGH_UNKNOWN ? NOT_FOUND
					    : others[o] != THROUGH_ACTIVE  ? EMPLOYER_NOT_ACTIVE
					    : f.employer_barred            ? EMPLOYER_BARRED
					    : f.open_request || leaves     ? ALREADY_DECIDED
									   : REASON_OK;
				expect(ASSOCIATION_REQUEST, &f, expected, "desk", i);
			}
	}
}

static void decisions_on_associations_are_judged_as_the_rule_says(void **unused)
{
	static const enum state states[] = { STATE_PENDING, STATE_APPROVED, STATE_REJECTED, STATE_CANCELLED,
		STATE_EXPIRED, STATE_ENDED, STATE_NONE };
	static const enum action actions[] = { ASSOCIATION_APPROVE, ASSOCIATION_REJECT, ASSOCIATION_END,
		ASSOCIATION_CANCEL, ASSOCIATION_CONFIRM };
	enum { NONE, FOREIGN, OWN, OFFICIALS, ANOTHERS, REQUESTS };
	enum { NOTHING_ELSE, BARRED, LEAVING, BESIDES };
	static struct association request;
	struct person *requester = new_one(sizeof *requester + sizeof requester->leaving[0]);

	(void)unused;
	for (int i = 0; i < DESKS; i++) {
		struct desk d = desk_of(i);
		struct facts f = facts_of_desk(d);
		bool desk = d.roles & ROLE_HELP_DESK, ao = d.seat == SEAT_MINE;
		for (int r = 0; r < REQUESTS; r++)
			for (size_t s = 0; s < COUNT(states) * BESIDES; s++)
				for (int over = 0; over < 2; over++) {
					enum state state = states[s / BESIDES];
					int besides = s % BESIDES;
					request.state = state;
					request.expires = over ? NOW : NOW + 1;
					request.provider = r == FOREIGN ? OTHER : PROVIDER;
					request.employer = EMPLOYER;
					request.user = r == OWN ? ME : r == OFFICIALS ? THE_OFFICIAL : SOMEBODY;
					f.request = r == NONE ? NULL : &request;
					f.employer_barred = besides == BARRED;
					requester->no = request.user;
					requester->leaving_count = besides == LEAVING;
					requester->leaving[0] = EMPLOYER;
					f.subject = requester;
					bool officials = (r == OFFICIALS && d.seat == SEAT_OTHERS) || (r == OWN && ao);
					for (size_t k = 0; k < COUNT(actions); k++) {
						enum reason e = expect_always_at(d);
						if (!e && (r == NONE || r == FOREIGN))
							e = NOT_FOUND;
						if (e) {
							expect(actions[k], &f, e, "desk", i);
							continue;
						}
						switch (actions[k]) {
						case ASSOCIATION_APPROVE:
						case ASSOCIATION_REJECT:
							e = !ao && !(desk && officials)  ? NOT_AUTHORIZED_OFFICIAL
							    : r == OWN                   ? OWN_REQUEST
							    : !ao && d.involved          ? CONFLICT_OF_INTEREST
							    : state != STATE_PENDING ? ALREADY_DECIDED
							    : over                       ? ASSOCIATION_EXPIRED
											 : REASON_OK;
							/* What would stand for nothing is not approved; it may be rejected. */
							if (!e && actions[k] == ASSOCIATION_APPROVE && besides)
								e = besides == BARRED ? EMPLOYER_BARRED : ALREADY_DECIDED;
							break;
						case ASSOCIATION_CONFIRM:
							e = !ao                           ? NOT_AUTHORIZED_OFFICIAL
							    : r == OWN                    ? OWN_REQUEST
							    : state != STATE_APPROVED     ? ALREADY_DECIDED
											  : REASON_OK;
							break;
						case ASSOCIATION_END:
							e = !ao && r != OWN && !desk        ? NOT_AUTHORIZED_OFFICIAL
							    : ao && r == OWN                ? OWN_REQUEST
							    : !ao && r != OWN && d.involved ? CONFLICT_OF_INTEREST
							    : state != STATE_APPROVED   ? ALREADY_DECIDED
											    : REASON_OK;
							break;
						default:
							e = r != OWN                     ? OWN_REQUEST
							    : state != STATE_PENDING ? ALREADY_DECIDED
							    : over                       ? ASSOCIATION_EXPIRED
											 : REASON_OK;
						}
						expect(actions[k], &f, e, "desk", i);
					}
				}
	}
	free(requester);
}

static void decisions_on_consents_are_judged_as_the_rule_says(void **unused)
{
	static const enum state states[] = { STATE_PREPARED, STATE_SIGNED, STATE_APPROVED, STATE_REJECTED,
		STATE_WITHDRAWN, STATE_REVOKED, STATE_EXPIRED, STATE_NONE };
	static const struct { int64_t at; bool recent;
	} proofs[] = {
		{ 0, false },
		{ NOW, true },
		{ NOW - RECENT + 1, true },
		{ NOW - RECENT, false },
		{ NOW + RECENT - 1, true },
		{ NOW + RECENT, false },
		{ -1, false },
	};
	enum { NONE, FOREIGN, THIS, FORMS };
	static struct consent form;

	(void)unused;
	for (int i = 0; i < DESKS; i++) {
		struct desk d = desk_of(i);
		struct facts f = facts_of_desk(d);
		enum reason always = expect_always_at(d);
		bool ao = d.seat == SEAT_MINE;
		enum reason desk = always ? always : !(d.roles & ROLE_HELP_DESK) ? NOT_HELP_DESK :
		    d.involved || ao ? CONFLICT_OF_INTEREST : REASON_OK;
		enum reason seat = always ? always : ao ? REASON_OK : NOT_AUTHORIZED_OFFICIAL;
		f.employer = NULL;
		expect(CONSENT_PREPARE, &f, seat ? seat : NOT_FOUND, "desk", i);
		f.employer = employers[THROUGH_ACTIVE];
		expect(CONSENT_PREPARE, &f, seat, "desk", i);
		f.employer_barred = true;
		expect(CONSENT_PREPARE, &f, seat ? seat : EMPLOYER_BARRED, "desk", i);
		for (int r = 0; r < FORMS; r++)
			for (size_t s = 0; s < COUNT(states); s++)
				for (int over = 0; over < 2; over++)
					for (size_t t = 0; t < COUNT(proofs); t++) {
						enum state state = states[s];
						f.employer_barred = t % 2;
						form.state = state;
						form.not_after = over ? NOW : 0;
						form.provider = r == FOREIGN ? OTHER : PROVIDER;
						form.employer = EMPLOYER;
						f.form = r == NONE ? NULL : &form;
						f.authenticated_at = proofs[t].at;
						enum reason known = r == THIS ? REASON_OK : NOT_FOUND;
						enum reason by_desk = desk ? desk : known,
							    by_seat = seat ? seat : known;
						expect(CONSENT_SIGN, &f,
						    seat                          ? seat
							: !proofs[t].recent       ? REAUTHENTICATION_REQUIRED
							: known                   ? known
							: state != STATE_PREPARED ? ALREADY_DECIDED
							: over                    ? CONSENT_EXPIRED
										  : REASON_OK,
						    "desk", i);
						expect(CONSENT_WITHDRAW, &f,
						    by_seat ? by_seat
							: state != STATE_PREPARED && state != STATE_SIGNED
							? ALREADY_DECIDED
							: REASON_OK,
						    "desk", i);
						expect(CONSENT_APPROVE, &f,
						    by_desk                     ? by_desk
							: state != STATE_SIGNED ? ALREADY_DECIDED
							: over                  ? CONSENT_EXPIRED
							: f.employer_barred     ? EMPLOYER_BARRED
										: REASON_OK,
						    "desk", i);
						expect(CONSENT_RECEIVE, &f,
						    desk                           ? desk
							: d.seat == SEAT_EMPTY    ? NOT_AUTHORIZED_OFFICIAL
							: known                   ? known
							: state != STATE_PREPARED ? ALREADY_DECIDED
							: over                    ? CONSENT_EXPIRED
										  : REASON_OK,
						    "desk", i);
						expect(CONSENT_CONFIRM, &f,
						    by_seat                       ? by_seat
							: state != STATE_APPROVED ? ALREADY_DECIDED
										  : REASON_OK,
						    "desk", i);
						expect(CONSENT_REJECT, &f,
						    by_desk                     ? by_desk
							: state != STATE_SIGNED ? ALREADY_DECIDED
										: REASON_OK,
						    "desk", i);
						expect(CONSENT_REVOKE, &f,
						    by_desk                       ? by_desk
							: state != STATE_APPROVED ? ALREADY_DECIDED
										  : REASON_OK,
						    "desk", i);
					}
	}
}

static void the_desks_are_judged_as_the_rule_says(void **unused)
{
	static const enum state states[] = { STATE_NONE, STATE_DRAFT, STATE_SUBMITTED, STATE_ACCEPTED, STATE_RETURNED };
	static struct submission submission = { .user = SOMEBODY, .employer = EMPLOYER };
	const struct organization *others[] = { NULL, employers[THROUGH_ACTIVE] };

	(void)unused;
	for (int i = 0; i < DESKS; i++)
		for (size_t o = 0; o < COUNT(others); o++)
			for (size_t s = 0; s < COUNT(states) * 2; s++) {
				struct desk d = desk_of(i);
				struct facts f = facts_of_desk(d);
				f.employer = others[o];
				submission.state = states[s / 2];
				submission.provider = s % 2 ? OTHER : PROVIDER;
				f.submission = s < 2 ? NULL : &submission;
				enum reason always = expect_always_at(d);
				enum reason person =
				    always == NOT_AUTHENTICATED || always == ACCOUNT_NOT_ACTIVE ? always : REASON_OK;
				expect(EMPLOYER_REVOCATION_REQUEST, &f,
				    always                    ? always
					: d.seat != SEAT_MINE ? NOT_AUTHORIZED_OFFICIAL
					: !f.employer         ? NOT_FOUND
							      : REASON_OK,
				    "desk", i);
				enum reason lifting = always      ? always
				    : !(d.roles & ROLE_HELP_DESK)         ? NOT_HELP_DESK
				    : d.involved || d.seat == SEAT_MINE   ? CONFLICT_OF_INTEREST
				    : !f.employer                         ? NOT_FOUND
									  : ALREADY_DECIDED;
				expect(EMPLOYER_REINSTATE, &f, lifting, "desk", i);
				f.employer_barred = true;
				expect(EMPLOYER_REINSTATE, &f, lifting == ALREADY_DECIDED ? REASON_OK : lifting, "desk", i);
				expect(EMPLOYER_LEAVE, &f, person ? person : d.provider == NO_ORG ? NOT_FOUND : REASON_OK,
				    "desk", i);
				expect(QUEUE_READ, &f,
				    person                         ? person
					: d.roles & ROLE_HELP_DESK ? REASON_OK
								   : NOT_HELP_DESK,
				    "desk", i);
				expect(AUDIT_READ, &f,
				    person                       ? person
					: d.roles & ROLE_AUDITOR ? REASON_OK
								 : NOT_AUDITOR,
				    "desk", i);
				expect(ACCESS_REVIEW, &f,
				    person                       ? person
					: d.roles & ROLE_AUDITOR ? REASON_OK
								 : NOT_AUDITOR,
				    "desk", i);
				enum reason processor = always         ? always
				    : !(d.roles & ROLE_PROCESSOR)      ? NOT_PROCESSOR
				    : s < 2 || s % 2                   ? NOT_FOUND
				    : states[s / 2] != STATE_SUBMITTED ? ALREADY_DECIDED
								       : REASON_OK;
				expect(SUBMISSION_REVIEW, &f, processor, "desk", i);
				expect(SUBMISSION_ACCEPT, &f, processor, "desk", i);
				expect(SUBMISSION_RETURN, &f, processor, "desk", i);
			}
}

/* ---- the help desk ---- */

static enum reason expect_person(struct desk d)
{
	return d.account == ACTIVE_ACCOUNT ? REASON_OK : d.account == NO_ACCOUNT ? NOT_AUTHENTICATED : ACCOUNT_NOT_ACTIVE;
}

/* At an organization that need only not be closed. */
static enum reason expect_open(struct desk d)
{
	enum reason e = expect_person(d);

	return e ? e : d.provider == NO_ORG ? NOT_FOUND : d.provider == CLOSED_ORG ? ORGANIZATION_NOT_ACTIVE : REASON_OK;
}

/* In the help desk, and no part of it: party says whether he is one by more than the flow's word or his seat. */
static enum reason expect_desk(struct desk d, bool party)
{
	if (!(d.roles & ROLE_HELP_DESK))
		return NOT_HELP_DESK;
	return party || d.involved || (d.seat == SEAT_MINE && d.provider != NO_ORG) ? CONFLICT_OF_INTEREST : REASON_OK;
}

static void claims_are_judged_as_the_rule_says(void **unused)
{
	static const enum state states[] = { STATE_SUBMITTED, STATE_APPROVED, STATE_REJECTED, STATE_WITHDRAWN, STATE_NONE };
	static const enum provider_kind kinds[] = { PROVIDER_ORGANIZATION, PROVIDER_INDIVIDUAL, NOT_A_PROVIDER };
	enum { NONE, FOREIGN, OWN, OFFICIALS, ANOTHERS, CLAIMS };
	enum { UNKNOWN, RUNS, STOPPED, SOMEBODY_ELSE, CLAIMANTS };
	static struct claim claim;
	static struct person claimant;

	(void)unused;
	for (int i = 0; i < DESKS; i++) {
		struct desk d = desk_of(i);
		struct facts f = facts_of_desk(d);
		enum reason open = expect_open(d);
		for (size_t k = 0; k < COUNT(kinds); k++) {
			provider.provider_kind = kinds[k];
			expect(CLAIM_SUBMIT, &f,
			    open                                ? open
				: k != 0                        ? NOT_FOUND
				: d.seat == SEAT_MINE           ? AO_ALREADY_EXISTS
								: REASON_OK,
			    "desk", i);
		}
		for (int r = 0; r < CLAIMS * CLAIMANTS; r++)
			for (size_t s = 0; s < COUNT(states); s++) {
				int c = r / CLAIMANTS, who = r % CLAIMANTS;
				claim.state = states[s];
				claim.provider = c == FOREIGN ? OTHER : PROVIDER;
				claim.user = c == OWN ? ME : c == OFFICIALS ? THE_OFFICIAL : SOMEBODY;
				claimant.no = who == SOMEBODY_ELSE ? OTHER : claim.user;
				claimant.state = who == STOPPED ? STATE_DISABLED : STATE_ACTIVE;
				f.claim = c == NONE ? NULL : &claim;
				f.subject = c == NONE || who == UNKNOWN ? NULL : &claimant;
				bool known = c != NONE && c != FOREIGN, waits = states[s] == STATE_SUBMITTED;
				/* What waits at a closed organization can still be put away. */
				enum reason there = open == ORGANIZATION_NOT_ACTIVE ? REASON_OK : open;
				enum reason withdraw = there ? there : !known ? NOT_FOUND : c != OWN ? OWN_REQUEST :
				    waits ? REASON_OK : ALREADY_DECIDED;
				enum reason desk = there ? there : expect_desk(d, c == OWN);
				enum reason reject = desk ? desk : !known ? NOT_FOUND : waits ? REASON_OK : ALREADY_DECIDED;
				enum reason decide = open ? open : reject ? reject : who == RUNS ? REASON_OK : ACCOUNT_NOT_ACTIVE;
				bool seated = d.seat == SEAT_OTHERS, by_him = seated && c == OFFICIALS;
				expect(CLAIM_WITHDRAW, &f, withdraw, "desk", i);
				expect(CLAIM_REJECT, &f, reject, "desk", i);
				expect(CLAIM_APPROVE, &f, decide ? decide : seated ? AO_ALREADY_EXISTS : REASON_OK, "desk", i);
				expect(CLAIM_REPLACE, &f, decide ? decide : seated && !by_him ? REASON_OK : ALREADY_DECIDED,
				    "desk", i);
			}
	}
}

static void organizations_are_judged_as_the_rule_says(void **unused)
{
	enum { UNKNOWN, RUNS, STOPPED, SOMEBODY_ELSE, OFFICIALS_ACCOUNTS };
	static struct person person;

	(void)unused;
	for (int i = 0; i < DESKS; i++)
		for (int k = 0; k < OFFICIALS_ACCOUNTS * 4; k++) {
			struct desk d = desk_of(i);
			struct facts f = facts_of_desk(d);
			int account = k / 4;
			bool is_no_provider = k & 1, is_registrant = k & 2;
			provider.provider_kind = is_no_provider ? NOT_A_PROVIDER : PROVIDER_ORGANIZATION;
			provider.registrant = is_registrant ? ME : SOMEBODY;
			person.no = account == SOMEBODY_ELSE ? OTHER : THE_OFFICIAL;
			person.state = account == STOPPED ? STATE_DISABLED : STATE_ACTIVE;
			f.subject = account == UNKNOWN ? NULL : &person;

			enum reason open = expect_open(d), at_desk = expect_desk(d, is_registrant && d.provider != NO_ORG);
			bool runs = d.provider == ACTIVE_ORG, empty = d.seat == SEAT_EMPTY;
			enum reason desk = open ? open : at_desk;
			expect(ORG_SUSPEND, &f, desk ? desk : runs ? REASON_OK : ALREADY_DECIDED, "desk", i);
			expect(ORG_VERIFY, &f,
			    desk                                                            ? desk
				: empty && !is_no_provider                                  ? NOT_AUTHORIZED_OFFICIAL
				: runs                                                      ? ALREADY_DECIDED
				: is_no_provider || (d.seat == SEAT_OTHERS && account == RUNS) ? REASON_OK
											    : ACCOUNT_NOT_ACTIVE,
			    "desk", i);
			enum reason known = expect_person(d) ? expect_person(d) : d.provider == NO_ORG ? NOT_FOUND : at_desk;
			expect(ORG_CLOSE, &f, known ? known : d.provider == CLOSED_ORG ? ALREADY_DECIDED : REASON_OK,
			    "desk", i);
			bool first = is_registrant && empty && d.provider == REGISTERED_ORG;
			expect(ORG_UPDATE, &f, open ? open : d.seat == SEAT_MINE || first ? REASON_OK : NOT_AUTHORIZED_OFFICIAL,
			    "desk", i);
		}
	provider.registrant = 0;
}

static void accounts_are_judged_as_the_rule_says(void **unused)
{
	static const enum state states[] = { STATE_ACTIVE, STATE_DISABLED, STATE_REMOVED, STATE_NONE };
	static struct person subject;

	(void)unused;
	for (int i = 0; i < DESKS; i++)
		for (size_t k = 0; k < COUNT(states) * 2 * 3; k++) {
			struct desk d = desk_of(i);
			struct facts f = facts_of_desk(d);
			enum state state = states[k / 6];
			bool nppes = k % 2, is_me = k / 2 % 3 == 1, is_there = k / 2 % 3 != 2;
			subject.no = is_me ? ME : SOMEBODY;
			subject.state = state;
			subject.realm = nppes ? REALM_NPPES : REALM_LOCAL;
			f.subject = is_there ? &subject : NULL;

			enum reason e = expect_person(d) ? expect_person(d) : expect_desk(d, is_there && is_me);
			e = e ? e : is_there ? REASON_OK : NOT_FOUND;
			bool stands = state == STATE_ACTIVE || state == STATE_DISABLED;
			enum reason here = e ? e : nppes ? MANAGED_ELSEWHERE : stands ? REASON_OK : ALREADY_DECIDED;
			expect(ACCOUNT_UNLOCK, &f, here, "desk", i);
			expect(ACCOUNT_RESET, &f, here, "desk", i);
			expect(ACCOUNT_SECOND_FACTOR, &f, here, "desk", i);
			expect(ACCOUNT_FRAUD, &f, e ? e : stands ? REASON_OK : ALREADY_DECIDED, "desk", i);
			expect(ACCOUNT_DISABLE, &f, e ? e : state == STATE_ACTIVE ? REASON_OK : ALREADY_DECIDED, "desk", i);
			enum reason disabled = e ? e : state == STATE_DISABLED ? REASON_OK : ALREADY_DECIDED;
			expect(ACCOUNT_ENABLE, &f, disabled, "desk", i);
			expect(ACCOUNT_REMOVE, &f, disabled, "desk", i);
		}
}

static void cases_are_judged_as_the_rule_says(void **unused)
{
	static const enum state states[] = { STATE_SUBMITTED, STATE_EXECUTED, STATE_DECLINED, STATE_NONE };
	static const enum case_kind kinds[] = { CASE_NONE, CASE_REVOCATION, CASE_OFFICIAL_LEFT, CASE_ACCOUNT };
	static struct help_case one;
	struct organization mine = { .no = ELSEWHERE, .state = STATE_ACTIVE, .official = ME };
	struct organization registered = { .no = ELSEWHERE, .state = STATE_ACTIVE, .registrant = ME };
	const struct organization *others[] = { NULL, employers[THROUGH_ACTIVE], &mine, &registered };

	(void)unused;
	for (int i = 0; i < DESKS; i++)
		for (size_t k = 0; k < COUNT(kinds) * 2 * 2; k++)
			for (size_t s = 0; s < COUNT(states) * COUNT(others); s++) {
				struct desk d = desk_of(i);
				struct facts f = facts_of_desk(d);
				enum case_kind kind = kinds[k / 4];
				bool foreign = k % 2, own = k / 2 % 2;
				enum state state = states[s / COUNT(others)];
				f.employer = others[s % COUNT(others)];
				one.kind = (uint8_t)kind;
				one.state = (uint8_t)state;
				one.provider = foreign ? OTHER : PROVIDER;
				one.user = own ? ME : SOMEBODY;
				f.help_case = k < 2 ? NULL : &one; /* CASE_NONE: a case that is not there, and one of no kind */

				bool party = (f.help_case && own) || f.employer == &mine || f.employer == &registered;
				enum reason desk = expect_desk(d, party), waits = state == STATE_SUBMITTED ? REASON_OK :
				    ALREADY_DECIDED;
				enum reason revocation = expect_open(d) ? expect_open(d) : desk ? desk :
				    kind != CASE_REVOCATION || foreign ? NOT_FOUND : waits;
				expect(EMPLOYER_REVOCATION_EXECUTE, &f, revocation, "desk", i);
				expect(EMPLOYER_REVOCATION_DECLINE, &f, revocation, "desk", i);
				enum reason person = expect_person(d);
				expect(CASE_CLOSE, &f, person ? person : desk ? desk :
				    kind != CASE_OFFICIAL_LEFT && kind != CASE_ACCOUNT ? NOT_FOUND : waits, "desk", i);
			}
}

/* ---- nothing known, nothing permitted ---- */

static void no_action_is_permitted_on_facts_that_are_not_there(void **unused)
{
	static const struct person person = { .no = ME, .state = STATE_ACTIVE };
	static const struct person nobody = { .no = 0, .state = STATE_ACTIVE, .roles = 7 };
	static const struct organization org = { .no = PROVIDER, .state = STATE_ACTIVE };
	static const struct organization nothing = {
		.no = 0, .state = STATE_ACTIVE, .provider_kind = PROVIDER_INDIVIDUAL
	};
	struct path empty = { 0 }, unnumbered = { .employer = &nothing };
	struct facts facts[] = {
		{ 0 },
		{ .now = NOW, .actor = &person },
		{ .now = NOW, .provider = &org },
		{ .now = NOW, .actor = &person, .provider = &org },
		{ .now = NOW, .actor = &nobody, .provider = &org },
		{ .now = NOW, .actor = &nobody, .provider = &nothing },
		{ .now = NOW, .actor = &person, .provider = &nothing },
	};

	(void)unused;
	for (int action = -1; action <= ACTIONS; action++) {
		if (action == EMPLOYER_LEAVE)
			continue; /* everybody may leave what there is */
		assert_false(judge((enum action)action, NULL, NULL, 0).allow);
		assert_false(judge((enum action)action, NULL, &empty, 1).allow);
		for (size_t i = 0; i < COUNT(facts); i++) {
			assert_false(judge((enum action)action, &facts[i], NULL, 0).allow);
			assert_false(judge((enum action)action, &facts[i], &empty, 1).allow);
			assert_false(judge((enum action)action, &facts[i], &unnumbered, 1).allow);
			struct clause clauses[CLAUSES_MOST];
			assert_true(rule_explain((enum action)action, &facts[i], NULL, clauses) <= CLAUSES_MOST);
		}
	}
}

static void every_action_is_permitted_on_some_facts(void **unused)
{
	(void)unused;
	for (int action = 0; action < ACTIONS; action++) {
		struct desk d = { ACTIVE_ACCOUNT, ACTIVE_ORG, SEAT_OTHERS, 0, false };
		struct association request = {
			.user = SOMEBODY, .provider = PROVIDER, .employer = EMPLOYER, .state = STATE_PENDING
		};
		struct consent form = { .provider = PROVIDER, .employer = EMPLOYER, .state = STATE_SIGNED };
		struct submission submission = {
			.provider = PROVIDER, .employer = EMPLOYER, .user = ME, .state = STATE_DRAFT
		};
		struct path p = path_of((struct way){ APPROVED_TIE, THROUGH_ACTIVE, false, APPROVED_OPEN });

		struct claim claim = { .provider = PROVIDER, .user = SOMEBODY, .state = STATE_SUBMITTED };
		struct help_case one = { .provider = PROVIDER, .kind = CASE_REVOCATION, .state = STATE_SUBMITTED };
		struct person subject = { .no = SOMEBODY, .state = STATE_ACTIVE };

		switch (action) {
		case AUDIT_READ:
		case ACCESS_REVIEW:
			d.roles = ROLE_AUDITOR;
			break;
		case SUBMISSION_REVIEW:
		case SUBMISSION_ACCEPT:
		case SUBMISSION_RETURN:
			d.roles = ROLE_PROCESSOR;
			submission.state = STATE_SUBMITTED;
			break;
		case ASSOCIATION_APPROVE:
		case ASSOCIATION_REJECT:
		case ASSOCIATION_END:
		case ASSOCIATION_CONFIRM:
			request.state = action <= ASSOCIATION_REJECT ? STATE_PENDING : STATE_APPROVED;
			d.seat = SEAT_MINE;
			break;
		case ASSOCIATION_CANCEL:
			request.user = ME;
			break;
		case CONSENT_PREPARE:
		case CONSENT_SIGN:
		case CONSENT_WITHDRAW:
		case CONSENT_CONFIRM:
		case EMPLOYER_REVOCATION_REQUEST:
			form.state = action == CONSENT_CONFIRM ? STATE_APPROVED : STATE_PREPARED;
			d.seat = SEAT_MINE;
			break;
		case CLAIM_WITHDRAW:
			claim.user = ME;
			break;
		case ORG_UPDATE:
			d.seat = SEAT_MINE;
			break;
		default:
			d.roles = action >= CONSENT_RECEIVE ? ROLE_HELP_DESK : 0;
		}
		if (action == CLAIM_APPROVE)
			d.seat = SEAT_EMPTY;
		if (action == ORG_VERIFY) {
			d.provider = SUSPENDED_ORG;
			subject.no = THE_OFFICIAL;
		}
		if (action == CONSENT_RECEIVE || action == CONSENT_REVOKE)
			form.state = action == CONSENT_RECEIVE ? STATE_PREPARED : STATE_APPROVED;
		if (action == ACCOUNT_ENABLE || action == ACCOUNT_REMOVE)
			subject.state = STATE_DISABLED;
		if (action == CASE_CLOSE)
			one.kind = CASE_ACCOUNT;
		struct facts f = facts_of_desk(d);
		f.employer_barred = action == EMPLOYER_REINSTATE;
		f.request = &request;
		f.form = &form;
		f.submission = &submission;
		f.claim = &claim;
		f.help_case = &one;
		f.subject = &subject;
		f.employer = employers[THROUGH_ACTIVE];
		f.for_himself = true;
		f.authenticated_at = NOW;
		struct verdict v = judge((enum action)action, &f, &p, 1);
		if (!v.allow)
			fail_msg("%s: %s", action_word((enum action)action), reason_word(v.why));

		/* And on none of them for somebody without an account, or with one that was disabled. */
		f.actor = NULL;
		assert_int_equal(judge((enum action)action, &f, &p, 1).why, NOT_AUTHENTICATED);
		f.actor = me;
		me->state = STATE_DISABLED;
		assert_int_equal(judge((enum action)action, &f, &p, 1).why, ACCOUNT_NOT_ACTIVE);
	}
}

static int tell(void **unused)
{
	(void)unused;
	print_message("# %llu combinations judged\n", (unsigned long long)judged);
	for (int i = 0; i < GATES; i++)
		free(permits[i]);
	put_away_world();
	return 0;
}

static int prepare(void **unused)
{
	(void)unused;
	set_up_world();
	for (int i = 0; i < GATES; i++)
		if (!(permits[i] = calloc(ASKED, WAYS)))
			return -1;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination_of_facts_and_one_path_is_judged_as_the_rule_says),
		cmocka_unit_test(no_path_is_never_a_permit),
		cmocka_unit_test(no_consent_is_never_a_permit_for_a_record_and_the_official_has_no_bypass),
		cmocka_unit_test(another_organizations_facts_never_count),
		cmocka_unit_test(taking_away_never_turns_no_into_yes),
		cmocka_unit_test(naming_an_employer_only_narrows),
		cmocka_unit_test(two_paths_are_the_union_of_each_whatever_their_order),
		cmocka_unit_test(every_combination_around_a_submission_is_judged_as_the_rule_says),
		cmocka_unit_test(requests_for_associations_are_judged_as_the_rule_says),
		cmocka_unit_test(decisions_on_associations_are_judged_as_the_rule_says),
		cmocka_unit_test(decisions_on_consents_are_judged_as_the_rule_says),
		cmocka_unit_test(the_desks_are_judged_as_the_rule_says),
		cmocka_unit_test(claims_are_judged_as_the_rule_says),
		cmocka_unit_test(organizations_are_judged_as_the_rule_says),
		cmocka_unit_test(accounts_are_judged_as_the_rule_says),
		cmocka_unit_test(cases_are_judged_as_the_rule_says),
		cmocka_unit_test(no_action_is_permitted_on_facts_that_are_not_there),
		cmocka_unit_test(every_action_is_permitted_on_some_facts),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, prepare, tell);
}
