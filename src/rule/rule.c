/* The judge: the rows of docs/rules.md, "The decision", and how they are applied to any number of paths. */
#include "rule/rule.h"

#include <limits.h>

#include "base/banned.h"

/* ---- what is asked of the facts ----
 * Every question may be asked of any facts, NULLs included, and is then answered "no": rule_explain asks them all. */

static bool person_known(const struct facts *f, const struct path *)
{
	return f->actor && f->actor->no != 0;
}

static bool is_actor(const struct facts *f, number person)
{
	return person != 0 && f->actor && f->actor->no == person;
}

static bool account_active(const struct facts *f, const struct path *)
{
	return f->actor && f->actor->state == STATE_ACTIVE;
}

static bool has_role(const struct facts *f, enum role role)
{
	return f->actor && (f->actor->roles & role);
}

static bool help_desk(const struct facts *f, const struct path *)
{
	return has_role(f, ROLE_HELP_DESK);
}

static bool auditor(const struct facts *f, const struct path *)
{
	return has_role(f, ROLE_AUDITOR);
}

static bool processor(const struct facts *f, const struct path *)
{
	return has_role(f, ROLE_PROCESSOR);
}

static bool provider_known(const struct facts *f, const struct path *)
{
	return f->provider && f->provider->no != 0;
}

static bool provider_active(const struct facts *f, const struct path *)
{
	return f->provider && f->provider->state == STATE_ACTIVE;
}

static bool provider_not_closed(const struct facts *f, const struct path *)
{
	return f->provider && (f->provider->state == STATE_REGISTERED || f->provider->state == STATE_ACTIVE ||
	    f->provider->state == STATE_SUSPENDED);
}

static bool provider_waits(const struct facts *f, const struct path *)
{
	return f->provider && (f->provider->state == STATE_REGISTERED || f->provider->state == STATE_SUSPENDED);
}

/* An organization without any provider's role is an employer alone, and has no AO. */
static bool provider_has_official(const struct facts *f, const struct path *)
{
	return f->provider && (f->provider->provider_kind == NOT_A_PROVIDER || f->provider->official != 0);
}

static bool no_official_yet(const struct facts *f, const struct path *)
{
	return f->provider && f->provider->official == 0;
}

static bool is_provider(const struct facts *f, const struct path *)
{
	return f->provider && f->provider->provider_kind != NOT_A_PROVIDER;
}

/* An individual practice is its practitioner's from the beginning: there is nothing to claim. */
static bool can_be_claimed(const struct facts *f, const struct path *)
{
	return f->provider && f->provider->provider_kind == PROVIDER_ORGANIZATION;
}

static bool is_official(const struct facts *f, const struct organization *organization)
{
	return organization && is_actor(f, organization->official);
}

static bool official(const struct facts *f, const struct path *)
{
	return is_official(f, f->provider);
}

static bool not_official(const struct facts *f, const struct path *p)
{
	return !official(f, p);
}

static bool is_registrant(const struct facts *f, const struct organization *organization)
{
	return organization && is_actor(f, organization->registrant);
}

/* Until there is an AO and the help desk has looked, the organization is described by whoever registered it. */
static bool official_or_registrant(const struct facts *f, const struct path *p)
{
	return official(f, p) || (is_registrant(f, f->provider) && f->provider->official == 0 &&
	    f->provider->state == STATE_REGISTERED);
}

/* A clock that is ahead (another gateway wrote the time) does not make a proof old; far ahead is no proof. */
static bool authenticated_recently(const struct facts *f, const struct path *)
{
	return f->authenticated_at > 0 && f->now - f->authenticated_at < f->recent &&
	    f->authenticated_at - f->now < f->recent;
}

static bool over(int64_t end, int64_t now)
{
	return end != 0 && end <= now;
}

/* Another organization's facts never count: what is decided on must lie in the one that was asked for. */
static bool lies_in(number of, const struct organization *organization)
{
	return organization && organization->no != 0 && of == organization->no;
}

/* Is what this person had through that employer over, though not every entry says so yet? */
static bool leaves(const struct person *person, number employer)
{
	for (size_t i = 0; person && i < person->leaving_count; i++)
		if (person->leaving[i] == employer)
			return true;
	return false;
}

/* ---- about a path ---- */

static bool acted_for(const struct facts *f, const struct path *p)
{
	return f->acting_for == 0 || (p->employer && p->employer->no == f->acting_for) ||
	    (p->tie && p->tie->employer == f->acting_for);
}

static bool of_this_person(const struct facts *f, const struct path *p)
{
	return p->tie && is_actor(f, p->tie->user) && lies_in(p->tie->provider, f->provider) &&
	    (!p->employer || p->tie->employer == p->employer->no);
}

static enum reason why_not_associated(const struct facts *f, const struct path *p)
{
	if (!p->tie && is_official(f, f->provider) && p->employer && p->employer->no == f->provider->no)
		return REASON_OK;
	if (!of_this_person(f, p))
		return NO_ASSOCIATION;
	enum state state = (enum state)p->tie->state;
	if ((state == STATE_APPROVED || state == STATE_PENDING) && leaves(f->actor, p->tie->employer))
		return ASSOCIATION_ENDED;
	switch (state) {
	case STATE_APPROVED:
		return over(p->tie->not_after, f->now) ? ASSOCIATION_EXPIRED : REASON_OK;
	case STATE_PENDING:
		return over(p->tie->expires, f->now) ? ASSOCIATION_EXPIRED : ASSOCIATION_PENDING;
	case STATE_EXPIRED:
		return ASSOCIATION_EXPIRED;
	case STATE_ENDED:
		return ASSOCIATION_ENDED;
	default:
		return NO_ASSOCIATION;
	}
}

static bool associated(const struct facts *f, const struct path *p)
{
	return why_not_associated(f, p) == REASON_OK;
}

static bool employer_active(const struct facts *, const struct path *p)
{
	return p->employer && p->employer->state == STATE_ACTIVE;
}

static bool not_barred(const struct facts *, const struct path *p)
{
	return !p->barred;
}

static enum reason why_not_consented(const struct facts *f, const struct path *p)
{
	const struct consent *consent = p->consent;

	if (!consent || !lies_in(consent->provider, f->provider) || !lies_in(consent->employer, p->employer))
		return NO_CONSENT;
	switch ((enum state)consent->state) {
	case STATE_APPROVED:
		if (f->now < consent->not_before)
			return CONSENT_NOT_YET_EFFECTIVE;
		return over(consent->not_after, f->now) ? CONSENT_EXPIRED : REASON_OK;
	case STATE_PREPARED:
	case STATE_SIGNED:
		return CONSENT_PENDING;
	case STATE_EXPIRED:
		return CONSENT_EXPIRED;
	case STATE_REVOKED:
		return CONSENT_REVOKED;
	default:
		return NO_CONSENT;
	}
}

static bool consented(const struct facts *f, const struct path *p)
{
	return why_not_consented(f, p) == REASON_OK;
}

/* An individual practitioner's own data. He acts for himself then, not for an employer. */
static bool own_practice(const struct facts *f, const struct path *)
{
	return f->provider && f->provider->provider_kind == PROVIDER_INDIVIDUAL && is_official(f, f->provider) &&
	    (f->acting_for == 0 || f->acting_for == f->provider->no);
}

/* ---- about a submission ---- */

static bool submission_known(const struct facts *f, const struct path *)
{
	return f->submission && lies_in(f->submission->provider, f->provider);
}

static bool author_or_colleague(const struct facts *f, const struct path *p)
{
	return f->submission && (is_actor(f, f->submission->user) || lies_in(f->submission->employer, p->employer));
}

/* It has a record's id from the first of the writes that accept it. */
static bool is_accepted(const struct submission *s)
{
	return s->state == STATE_ACCEPTED || s->enrollment[0] != '\0';
}

/* An accepted submission is an existing record, for its author as well: the second gate stands before it. */
static bool consented_once_accepted(const struct facts *f, const struct path *p)
{
	return f->submission && (!is_accepted(f->submission) || own_practice(f, p) || consented(f, p));
}

static bool submission_in(const struct facts *f, enum state state)
{
	return f->submission && f->submission->state == state;
}

static bool submission_draft(const struct facts *f, const struct path *)
{
	return submission_in(f, STATE_DRAFT);
}

static bool submission_submitted(const struct facts *f, const struct path *)
{
	return submission_in(f, STATE_SUBMITTED) && !is_accepted(f->submission);
}

/* ---- about a request for an association ---- */

static bool for_himself(const struct facts *f, const struct path *)
{
	return f->for_himself;
}

static bool other_known(const struct facts *f, const struct path *)
{
	return f->employer && f->employer->no != 0;
}

static bool other_active(const struct facts *f, const struct path *)
{
	return f->employer && f->employer->state == STATE_ACTIVE;
}

static bool other_not_barred(const struct facts *f, const struct path *)
{
	return !f->employer_barred;
}

static bool other_barred(const struct facts *f, const struct path *)
{
	return f->employer_barred;
}

static bool no_open_request(const struct facts *f, const struct path *)
{
	return !f->open_request;
}

static bool not_leaving(const struct facts *f, const struct path *)
{
	return f->employer && !leaves(f->actor, f->employer->no);
}

static bool request_known(const struct facts *f, const struct path *)
{
	return f->request && lies_in(f->request->provider, f->provider);
}

static bool own_request(const struct facts *f, const struct path *)
{
	return f->request && is_actor(f, f->request->user);
}

static bool request_of_one_who_stays(const struct facts *f, const struct path *)
{
	return f->request && !(f->subject && f->subject->no == f->request->user &&
	    leaves(f->subject, f->request->employer));
}

static bool not_own_request(const struct facts *f, const struct path *p)
{
	return f->request && !own_request(f, p);
}

/* The AO's own request is decided by the help desk. */
static bool official_or_desk_in_his_place(const struct facts *f, const struct path *p)
{
	if (official(f, p))
		return true;
	return help_desk(f, p) && f->request && f->provider && f->request->user != 0 &&
	    f->request->user == f->provider->official;
}

static bool may_end(const struct facts *f, const struct path *p)
{
	return official(f, p) || own_request(f, p) || help_desk(f, p);
}

/* One may leave by oneself; the AO's own association is ended by the help desk. */
static bool not_officials_own(const struct facts *f, const struct path *p)
{
	return !official(f, p) || not_own_request(f, p);
}

static bool has_part_in(const struct facts *f, const struct organization *organization)
{
	return is_official(f, organization) || is_registrant(f, organization);
}

/* The flow knows of associates; what can be seen from here is seen from here too. */
static bool not_involved(const struct facts *f, const struct path *p)
{
	return !f->involved && !has_part_in(f, f->provider) && !has_part_in(f, f->employer) && !own_request(f, p) &&
	    !(f->subject && is_actor(f, f->subject->no)) && !(f->claim && is_actor(f, f->claim->user)) &&
	    !(f->help_case && is_actor(f, f->help_case->user));
}

static bool official_or_not_involved(const struct facts *f, const struct path *p)
{
	return official(f, p) || not_involved(f, p);
}

static bool party_or_not_involved(const struct facts *f, const struct path *p)
{
	return official(f, p) || own_request(f, p) || not_involved(f, p);
}

static bool request_pending(const struct facts *f, const struct path *)
{
	return f->request && f->request->state == STATE_PENDING;
}

static bool request_in_time(const struct facts *f, const struct path *)
{
	return f->request && !over(f->request->expires, f->now);
}

static bool request_approved(const struct facts *f, const struct path *)
{
	return f->request && f->request->state == STATE_APPROVED;
}

/* ---- about a consent form ---- */

static bool form_known(const struct facts *f, const struct path *)
{
	return f->form && lies_in(f->form->provider, f->provider);
}

static bool form_in(const struct facts *f, enum state state)
{
	return f->form && f->form->state == state;
}

static bool form_prepared(const struct facts *f, const struct path *)
{
	return form_in(f, STATE_PREPARED);
}

static bool form_signed(const struct facts *f, const struct path *)
{
	return form_in(f, STATE_SIGNED);
}

static bool form_undecided(const struct facts *f, const struct path *)
{
	return form_in(f, STATE_PREPARED) || form_in(f, STATE_SIGNED);
}

static bool form_approved(const struct facts *f, const struct path *)
{
	return form_in(f, STATE_APPROVED);
}

static bool form_in_time(const struct facts *f, const struct path *)
{
	return f->form && !over(f->form->not_after, f->now);
}

/* ---- about a claim to be the Authorized Official ---- */

static bool claim_known(const struct facts *f, const struct path *)
{
	return f->claim && lies_in(f->claim->provider, f->provider);
}

static bool own_claim(const struct facts *f, const struct path *)
{
	return f->claim && is_actor(f, f->claim->user);
}

static bool claim_submitted(const struct facts *f, const struct path *)
{
	return f->claim && f->claim->state == STATE_SUBMITTED;
}

static bool claimant_active(const struct facts *f, const struct path *)
{
	return f->claim && f->subject && f->subject->no == f->claim->user && f->subject->state == STATE_ACTIVE;
}

static bool another_official(const struct facts *f, const struct path *)
{
	return f->claim && f->provider && f->provider->official != 0 && f->provider->official != f->claim->user;
}

/* ---- about an account ---- */

static bool subject_known(const struct facts *f, const struct path *)
{
	return f->subject && f->subject->no != 0;
}

static bool subject_in(const struct facts *f, enum state state)
{
	return f->subject && f->subject->state == state;
}

static bool subject_active(const struct facts *f, const struct path *)
{
	return subject_in(f, STATE_ACTIVE);
}

static bool subject_disabled(const struct facts *f, const struct path *)
{
	return subject_in(f, STATE_DISABLED);
}

static bool subject_not_removed(const struct facts *f, const struct path *)
{
	return subject_in(f, STATE_ACTIVE) || subject_in(f, STATE_DISABLED);
}

static bool subject_local(const struct facts *f, const struct path *)
{
	return f->subject && f->subject->realm == REALM_LOCAL;
}

/* A provider is not opened for an official whose account was taken away. An employer has none. */
static bool official_active(const struct facts *f, const struct path *)
{
	return f->provider && (f->provider->provider_kind == NOT_A_PROVIDER ||
	    (f->subject && f->subject->no == f->provider->official && f->subject->state == STATE_ACTIVE));
}

/* ---- about a case of the help desk ---- */

static bool revocation_known(const struct facts *f, const struct path *)
{
	return f->help_case && f->help_case->kind == CASE_REVOCATION && lies_in(f->help_case->provider, f->provider);
}

static bool other_case_known(const struct facts *f, const struct path *)
{
	return f->help_case && f->help_case->kind != CASE_NONE && f->help_case->kind != CASE_REVOCATION;
}

static bool case_submitted(const struct facts *f, const struct path *)
{
	return f->help_case && f->help_case->state == STATE_SUBMITTED;
}

/* ---- the rows ---- */

enum check {
	NOTHING_MORE,
	PERSON_KNOWN, ACCOUNT_ACTIVE, PROVIDER_KNOWN, PROVIDER_ACTIVE,
	ORGANIZATION_OPEN, ORGANIZATION_WAITS, ORGANIZATION_RUNS, ORGANIZATION_STANDS,
	OFFICIAL_APPROVED, OFFICIAL_ACTIVE, NO_OFFICIAL_YET, ANOTHER_OFFICIAL, NOT_OFFICIAL,
	IS_PROVIDER, CAN_BE_CLAIMED,
	ACTED_FOR, ASSOCIATED, EMPLOYER_ACTIVE, NOT_BARRED, CONSENTED, OWN_PRACTICE,
	SUBMISSION_KNOWN, AUTHOR_OR_COLLEAGUE, CONSENTED_ONCE_ACCEPTED, IS_DRAFT, IS_SUBMITTED,
	OFFICIAL, OFFICIAL_OR_REGISTRANT, RECENT, HELP_DESK, AUDITOR, PROCESSOR, NOT_INVOLVED,
	FOR_HIMSELF, OTHER_KNOWN, OTHER_ACTIVE, OTHER_NOT_BARRED, OTHER_BARRED, NOT_LEAVING, NO_OPEN_REQUEST,
	REQUEST_KNOWN, OWN, NOT_OWN, DECIDER, DECIDER_NOT_INVOLVED, ENDER, ENDER_NOT_OWN, ENDER_NOT_INVOLVED,
	REQUEST_PENDING, REQUEST_IN_TIME, REQUEST_APPROVED, REQUESTER_STAYS,
	FORM_KNOWN, FORM_PREPARED, FORM_SIGNED, FORM_UNDECIDED, FORM_APPROVED, FORM_IN_TIME,
	CLAIM_KNOWN, OWN_CLAIM, CLAIM_SUBMITTED, CLAIMANT_ACTIVE,
	SUBJECT_KNOWN, SUBJECT_LOCAL, SUBJECT_ACTIVE, SUBJECT_DISABLED, SUBJECT_NOT_REMOVED,
	REVOCATION_KNOWN, OTHER_CASE_KNOWN, CASE_SUBMITTED,
};

static const struct {
	const char *name;
	bool (*holds)(const struct facts *, const struct path *);
	enum reason otherwise;
	enum clause_rests_on rests_on;
} checks[] = {
	[PERSON_KNOWN] = { "person known", person_known, NOT_AUTHENTICATED, ON_ACTOR },
	[ACCOUNT_ACTIVE] = { "account active", account_active, ACCOUNT_NOT_ACTIVE, ON_ACTOR },
	[PROVIDER_KNOWN] = { "provider known", provider_known, NOT_FOUND, ON_PROVIDER },
	[PROVIDER_ACTIVE] = { "provider active", provider_active, ORGANIZATION_NOT_ACTIVE, ON_PROVIDER },
	[ORGANIZATION_OPEN] = { "organization not closed", provider_not_closed, ORGANIZATION_NOT_ACTIVE, ON_PROVIDER },
	[ORGANIZATION_WAITS] = { "organization registered or suspended", provider_waits, ALREADY_DECIDED, ON_PROVIDER },
	[ORGANIZATION_RUNS] = { "organization active", provider_active, ALREADY_DECIDED, ON_PROVIDER },
	[ORGANIZATION_STANDS] = { "organization not closed", provider_not_closed, ALREADY_DECIDED, ON_PROVIDER },
	[OFFICIAL_APPROVED] = { "Authorized Official approved", provider_has_official, NOT_AUTHORIZED_OFFICIAL,
	    ON_PROVIDER },
	[OFFICIAL_ACTIVE] = { "account of the Authorized Official active", official_active, ACCOUNT_NOT_ACTIVE,
	    ON_SUBJECT },
	[NO_OFFICIAL_YET] = { "no Authorized Official yet", no_official_yet, AO_ALREADY_EXISTS, ON_PROVIDER },
	[ANOTHER_OFFICIAL] = { "another Authorized Official", another_official, ALREADY_DECIDED, ON_PROVIDER },
	[IS_PROVIDER] = { "a provider", is_provider, NOT_FOUND, ON_PROVIDER },
	[CAN_BE_CLAIMED] = { "a provider that is an organization", can_be_claimed, NOT_FOUND, ON_PROVIDER },
	[NOT_OFFICIAL] = { "not its Authorized Official already", not_official, AO_ALREADY_EXISTS, ON_PROVIDER },

	[ACTED_FOR] = { "through the employer acted for", acted_for, NO_ASSOCIATION, ON_TIE },
	[ASSOCIATED] = { "association approved", associated, NO_ASSOCIATION, ON_TIE },
	[EMPLOYER_ACTIVE] = { "employer active", employer_active, EMPLOYER_NOT_ACTIVE, ON_EMPLOYER },
	[NOT_BARRED] = { "employer not barred", not_barred, EMPLOYER_BARRED, ON_PROVIDER },
	[CONSENTED] = { "consent in force", consented, NO_CONSENT, ON_CONSENT },
	[OWN_PRACTICE] = { "own practice", own_practice, NO_ASSOCIATION, ON_PROVIDER },

	[SUBMISSION_KNOWN] = { "submission known", submission_known, NOT_FOUND, ON_SUBMISSION },
	[AUTHOR_OR_COLLEAGUE] = { "author, or through the same employer", author_or_colleague, NO_ASSOCIATION,
	    ON_SUBMISSION },
	[CONSENTED_ONCE_ACCEPTED] = { "consent in force, once accepted", consented_once_accepted, NO_CONSENT,
	    ON_CONSENT },
	[IS_DRAFT] = { "submission is a draft", submission_draft, ALREADY_DECIDED, ON_SUBMISSION },
	[IS_SUBMITTED] = { "submission is submitted", submission_submitted, ALREADY_DECIDED, ON_SUBMISSION },

	[OFFICIAL] = { "Authorized Official", official, NOT_AUTHORIZED_OFFICIAL, ON_PROVIDER },
	[OFFICIAL_OR_REGISTRANT] = { "Authorized Official, or registrant until there is one", official_or_registrant,
	    NOT_AUTHORIZED_OFFICIAL, ON_PROVIDER },
	[RECENT] = { "authenticated recently", authenticated_recently, REAUTHENTICATION_REQUIRED, ON_SESSION },
	[HELP_DESK] = { "help desk", help_desk, NOT_HELP_DESK, ON_ROLE },
	[AUDITOR] = { "auditor", auditor, NOT_AUDITOR, ON_ROLE },
	[PROCESSOR] = { "processor", processor, NOT_PROCESSOR, ON_ROLE },
	[NOT_INVOLVED] = { "not involved", not_involved, CONFLICT_OF_INTEREST, ON_ACTOR },

	[FOR_HIMSELF] = { "asks for himself", for_himself, OWN_REQUEST, ON_ACTOR },
	[OTHER_KNOWN] = { "employer known", other_known, NOT_FOUND, ON_EMPLOYER },
	[OTHER_ACTIVE] = { "employer active", other_active, EMPLOYER_NOT_ACTIVE, ON_EMPLOYER },
	[OTHER_NOT_BARRED] = { "employer not barred", other_not_barred, EMPLOYER_BARRED, ON_PROVIDER },
	[OTHER_BARRED] = { "employer barred", other_barred, ALREADY_DECIDED, ON_PROVIDER },
	[NOT_LEAVING] = { "not leaving that employer", not_leaving, ALREADY_DECIDED, ON_ACTOR },
	[NO_OPEN_REQUEST] = { "no open or approved association", no_open_request, ALREADY_DECIDED, ON_REQUEST },

	[REQUEST_KNOWN] = { "request known", request_known, NOT_FOUND, ON_REQUEST },
	[OWN] = { "own request", own_request, OWN_REQUEST, ON_REQUEST },
	[NOT_OWN] = { "not his own request", not_own_request, OWN_REQUEST, ON_REQUEST },
	[DECIDER] = { "Authorized Official, or help desk for his own", official_or_desk_in_his_place,
	    NOT_AUTHORIZED_OFFICIAL, ON_PROVIDER },
	[DECIDER_NOT_INVOLVED] = { "not involved", official_or_not_involved, CONFLICT_OF_INTEREST, ON_ACTOR },
	[ENDER] = { "Authorized Official, the person himself, or help desk", may_end, NOT_AUTHORIZED_OFFICIAL,
	    ON_PROVIDER },
	[ENDER_NOT_OWN] = { "not the official's own association", not_officials_own, OWN_REQUEST, ON_REQUEST },
	[ENDER_NOT_INVOLVED] = { "not involved", party_or_not_involved, CONFLICT_OF_INTEREST, ON_ACTOR },
	[REQUEST_PENDING] = { "request pending", request_pending, ALREADY_DECIDED, ON_REQUEST },
	[REQUEST_IN_TIME] = { "request not expired", request_in_time, ASSOCIATION_EXPIRED, ON_REQUEST },
	[REQUEST_APPROVED] = { "association approved", request_approved, ALREADY_DECIDED, ON_REQUEST },
	[REQUESTER_STAYS] = { "whose it is does not leave that employer", request_of_one_who_stays, ALREADY_DECIDED,
	    ON_SUBJECT },

	[FORM_KNOWN] = { "form known", form_known, NOT_FOUND, ON_FORM },
	[FORM_PREPARED] = { "form prepared", form_prepared, ALREADY_DECIDED, ON_FORM },
	[FORM_SIGNED] = { "form signed", form_signed, ALREADY_DECIDED, ON_FORM },
	[FORM_UNDECIDED] = { "form prepared or signed", form_undecided, ALREADY_DECIDED, ON_FORM },
	[FORM_APPROVED] = { "form approved", form_approved, ALREADY_DECIDED, ON_FORM },
	[FORM_IN_TIME] = { "form not expired", form_in_time, CONSENT_EXPIRED, ON_FORM },

	[CLAIM_KNOWN] = { "claim known", claim_known, NOT_FOUND, ON_CLAIM },
	[OWN_CLAIM] = { "own claim", own_claim, OWN_REQUEST, ON_CLAIM },
	[CLAIM_SUBMITTED] = { "claim submitted", claim_submitted, ALREADY_DECIDED, ON_CLAIM },
	[CLAIMANT_ACTIVE] = { "claimant's account active", claimant_active, ACCOUNT_NOT_ACTIVE, ON_SUBJECT },

	[SUBJECT_KNOWN] = { "account known", subject_known, NOT_FOUND, ON_SUBJECT },
	[SUBJECT_LOCAL] = { "account not managed elsewhere", subject_local, MANAGED_ELSEWHERE, ON_SUBJECT },
	[SUBJECT_ACTIVE] = { "that account active", subject_active, ALREADY_DECIDED, ON_SUBJECT },
	[SUBJECT_DISABLED] = { "that account disabled", subject_disabled, ALREADY_DECIDED, ON_SUBJECT },
	[SUBJECT_NOT_REMOVED] = { "that account not removed", subject_not_removed, ALREADY_DECIDED, ON_SUBJECT },

	[REVOCATION_KNOWN] = { "case known", revocation_known, NOT_FOUND, ON_CASE },
	[OTHER_CASE_KNOWN] = { "case known, and no revocation", other_case_known, NOT_FOUND, ON_CASE },
	[CASE_SUBMITTED] = { "case open", case_submitted, ALREADY_DECIDED, ON_CASE },
};

#define ANYONE PERSON_KNOWN, ACCOUNT_ACTIVE
#define AT_PROVIDER PERSON_KNOWN, ACCOUNT_ACTIVE, PROVIDER_KNOWN, PROVIDER_ACTIVE
#define AT_ORGANIZATION PERSON_KNOWN, ACCOUNT_ACTIVE, PROVIDER_KNOWN, ORGANIZATION_OPEN
#define PATH ACTED_FOR, ASSOCIATED, EMPLOYER_ACTIVE, NOT_BARRED
#define AT_DESK HELP_DESK, NOT_INVOLVED
#define ACCOUNT ANYONE, AT_DESK, SUBJECT_KNOWN
#define CLAIM AT_DESK, CLAIM_KNOWN, CLAIM_SUBMITTED
#define ALWAYS_MOST 13
#define PATH_MOST 8
_Static_assert(ALWAYS_MOST + PATH_MOST <= CLAUSES_MOST, "an explanation has room for every check");

/* To be read aloud: the action is permitted if the person is known and his account active and … ; where there is a
 * second list, one path must satisfy the whole of it. An action without rows is denied. */
static const struct row {
	uint8_t always[ALWAYS_MOST], path[PATH_MOST]; /* enum check; NOTHING_MORE ends */
	bool or_own_practice;                         /* then no path is asked for */
} rows[ACTIONS] = {
	[SUBMISSION_CREATE] = { { AT_PROVIDER }, { PATH }, false },
	[SUBMISSION_READ] = { { AT_PROVIDER, SUBMISSION_KNOWN }, { PATH, AUTHOR_OR_COLLEAGUE, CONSENTED_ONCE_ACCEPTED },
	    false },
	[SUBMISSION_UPDATE] = { { AT_PROVIDER, SUBMISSION_KNOWN }, { PATH, AUTHOR_OR_COLLEAGUE, IS_DRAFT }, false },
	[SUBMISSION_SUBMIT] = { { AT_PROVIDER, SUBMISSION_KNOWN }, { PATH, AUTHOR_OR_COLLEAGUE, IS_DRAFT }, false },
	[SUBMISSION_DELETE] = { { AT_PROVIDER, SUBMISSION_KNOWN }, { PATH, AUTHOR_OR_COLLEAGUE, IS_DRAFT }, false },

	[RECORD_VIEW] = { { AT_PROVIDER }, { PATH, CONSENTED }, true },
	[RECORD_UPDATE] = { { AT_PROVIDER }, { PATH, CONSENTED }, true },
	[RECORD_LIST] = { { AT_PROVIDER }, { PATH, CONSENTED }, true },

#define ALWAYS(...) { { __VA_ARGS__ }, { NOTHING_MORE }, false }
	[ASSOCIATION_REQUEST] = ALWAYS(AT_PROVIDER, IS_PROVIDER, FOR_HIMSELF, OTHER_KNOWN, OTHER_ACTIVE,
	    OTHER_NOT_BARRED, NOT_LEAVING, NO_OPEN_REQUEST),
	[ASSOCIATION_APPROVE] = ALWAYS(AT_PROVIDER, REQUEST_KNOWN, DECIDER, NOT_OWN, DECIDER_NOT_INVOLVED,
	    REQUEST_PENDING, REQUEST_IN_TIME, REQUESTER_STAYS, OTHER_NOT_BARRED),
	[ASSOCIATION_REJECT] = ALWAYS(AT_PROVIDER, REQUEST_KNOWN, DECIDER, NOT_OWN, DECIDER_NOT_INVOLVED,
	    REQUEST_PENDING, REQUEST_IN_TIME),
	[ASSOCIATION_END] = ALWAYS(AT_PROVIDER, REQUEST_KNOWN, ENDER, ENDER_NOT_OWN, ENDER_NOT_INVOLVED,
	    REQUEST_APPROVED),
	[ASSOCIATION_CANCEL] = ALWAYS(AT_PROVIDER, REQUEST_KNOWN, OWN, REQUEST_PENDING, REQUEST_IN_TIME),
	[ASSOCIATION_CONFIRM] = ALWAYS(AT_PROVIDER, REQUEST_KNOWN, OFFICIAL, NOT_OWN, REQUEST_APPROVED),

	[CONSENT_PREPARE] = ALWAYS(AT_PROVIDER, OFFICIAL, OTHER_KNOWN, OTHER_NOT_BARRED),
	[CONSENT_SIGN] = ALWAYS(AT_PROVIDER, OFFICIAL, RECENT, FORM_KNOWN, FORM_PREPARED, FORM_IN_TIME),
	[CONSENT_RECEIVE] = ALWAYS(AT_PROVIDER, AT_DESK, OFFICIAL_APPROVED, FORM_KNOWN, FORM_PREPARED, FORM_IN_TIME),
	[CONSENT_WITHDRAW] = ALWAYS(AT_PROVIDER, OFFICIAL, FORM_KNOWN, FORM_UNDECIDED),
	[CONSENT_APPROVE] = ALWAYS(AT_PROVIDER, AT_DESK, FORM_KNOWN, FORM_SIGNED, FORM_IN_TIME, OTHER_NOT_BARRED),
	[CONSENT_REJECT] = ALWAYS(AT_PROVIDER, AT_DESK, FORM_KNOWN, FORM_SIGNED),
	[CONSENT_REVOKE] = ALWAYS(AT_PROVIDER, AT_DESK, FORM_KNOWN, FORM_APPROVED),
	[CONSENT_CONFIRM] = ALWAYS(AT_PROVIDER, OFFICIAL, FORM_KNOWN, FORM_APPROVED),

	[CLAIM_SUBMIT] = ALWAYS(AT_ORGANIZATION, CAN_BE_CLAIMED, NOT_OFFICIAL),
	[CLAIM_WITHDRAW] = ALWAYS(ANYONE, PROVIDER_KNOWN, CLAIM_KNOWN, OWN_CLAIM, CLAIM_SUBMITTED),
	[CLAIM_APPROVE] = ALWAYS(AT_ORGANIZATION, CLAIM, CLAIMANT_ACTIVE, NO_OFFICIAL_YET),
	[CLAIM_REPLACE] = ALWAYS(AT_ORGANIZATION, CLAIM, CLAIMANT_ACTIVE, ANOTHER_OFFICIAL),
	[CLAIM_REJECT] = ALWAYS(ANYONE, PROVIDER_KNOWN, CLAIM),
	[ORG_UPDATE] = ALWAYS(AT_ORGANIZATION, OFFICIAL_OR_REGISTRANT),
	[ORG_VERIFY] = ALWAYS(AT_ORGANIZATION, AT_DESK, OFFICIAL_APPROVED, ORGANIZATION_WAITS, OFFICIAL_ACTIVE),
	[ORG_SUSPEND] = ALWAYS(AT_ORGANIZATION, AT_DESK, ORGANIZATION_RUNS),
	[ORG_CLOSE] = ALWAYS(ANYONE, PROVIDER_KNOWN, AT_DESK, ORGANIZATION_STANDS),

	[ACCOUNT_UNLOCK] = ALWAYS(ACCOUNT, SUBJECT_LOCAL, SUBJECT_NOT_REMOVED),
	[ACCOUNT_DISABLE] = ALWAYS(ACCOUNT, SUBJECT_ACTIVE),
	[ACCOUNT_ENABLE] = ALWAYS(ACCOUNT, SUBJECT_DISABLED),
	[ACCOUNT_RESET] = ALWAYS(ACCOUNT, SUBJECT_LOCAL, SUBJECT_NOT_REMOVED),
	[ACCOUNT_SECOND_FACTOR] = ALWAYS(ACCOUNT, SUBJECT_LOCAL, SUBJECT_NOT_REMOVED),
	[ACCOUNT_FRAUD] = ALWAYS(ACCOUNT, SUBJECT_NOT_REMOVED),
	[ACCOUNT_REMOVE] = ALWAYS(ACCOUNT, SUBJECT_DISABLED),

	[EMPLOYER_LEAVE] = ALWAYS(ANYONE, PROVIDER_KNOWN),
	[EMPLOYER_REVOCATION_REQUEST] = ALWAYS(AT_PROVIDER, OFFICIAL, OTHER_KNOWN),
	[EMPLOYER_REVOCATION_EXECUTE] = ALWAYS(AT_ORGANIZATION, AT_DESK, REVOCATION_KNOWN, CASE_SUBMITTED),
	[EMPLOYER_REVOCATION_DECLINE] = ALWAYS(AT_ORGANIZATION, AT_DESK, REVOCATION_KNOWN, CASE_SUBMITTED),
	[EMPLOYER_REINSTATE] = ALWAYS(AT_PROVIDER, AT_DESK, OTHER_KNOWN, OTHER_BARRED),

	[QUEUE_READ] = ALWAYS(ANYONE, HELP_DESK),
	[CASE_CLOSE] = ALWAYS(ANYONE, AT_DESK, OTHER_CASE_KNOWN, CASE_SUBMITTED),
	[AUDIT_READ] = ALWAYS(ANYONE, AUDITOR),
	[ACCESS_REVIEW] = ALWAYS(ANYONE, AUDITOR),

	[SUBMISSION_REVIEW] = ALWAYS(AT_PROVIDER, PROCESSOR, SUBMISSION_KNOWN, IS_SUBMITTED),
	[SUBMISSION_ACCEPT] = ALWAYS(AT_PROVIDER, PROCESSOR, SUBMISSION_KNOWN, IS_SUBMITTED),
	[SUBMISSION_RETURN] = ALWAYS(AT_PROVIDER, PROCESSOR, SUBMISSION_KNOWN, IS_SUBMITTED),
};

/* ---- the trial ---- */

static const struct facts no_facts;
static const struct path no_path;

#define REFUSED_WHATEVER_THE_PATH INT_MAX

static enum reason why_not(unsigned check, const struct facts *f, const struct path *p)
{
	switch (check) {
	case ASSOCIATED:
		return why_not_associated(f, p);
	case CONSENTED:
	case CONSENTED_ONCE_ACCEPTED:
		return why_not_consented(f, p);
	default:
		return checks[check].otherwise;
	}
}

/* Of two paths that fail the same check, the one that needs less to open tells the reason: one that waits for a
 * decision or a date before one that has run out, that before one that was taken away. */
static int nearness(enum reason reason)
{
	switch (reason) {
	case CONSENT_NOT_YET_EFFECTIVE:
		return 4;
	case ASSOCIATION_PENDING:
	case CONSENT_PENDING:
		return 3;
	case ASSOCIATION_EXPIRED:
	case CONSENT_EXPIRED:
		return 2;
	case ASSOCIATION_ENDED:
	case CONSENT_REVOKED:
		return 1;
	default:
		return 0;
	}
}

void rule_open(struct trial *t, enum action action, const struct facts *facts)
{
	const struct facts *f = facts ? facts : &no_facts;

	*t = (struct trial){ .action = action, .facts = f, .best = { .why = NO_ASSOCIATION }, .furthest = -1 };
	t->best.tied = is_official(f, f->provider);

	if ((unsigned)action >= ACTIONS || rows[action].always[0] == NOTHING_MORE) {
		t->best.why = NOT_FOUND;
		t->furthest = REFUSED_WHATEVER_THE_PATH;
		t->done = t->best.tied;
		return;
	}
	const struct row *row = &rows[action];
	for (const uint8_t *check = row->always; *check; check++) {
		if (checks[*check].holds(f, &no_path))
			continue;
		t->best.why = why_not(*check, f, &no_path);
		t->furthest = REFUSED_WHATEVER_THE_PATH;
		t->done = t->best.tied;
		return;
	}
	if (row->path[0] == NOTHING_MORE || (row->or_own_practice && own_practice(f, &no_path))) {
		t->best.allow = true;
		t->best.why = REASON_OK;
		t->best.path.employer = row->or_own_practice ? f->provider : NULL;
		t->done = true;
	}
}

bool rule_hear(struct trial *t, const struct path *p)
{
	const struct facts *f = t->facts;

	if (t->done || !p)
		return !t->done;
	if (t->furthest == REFUSED_WHATEVER_THE_PATH) {
		t->best.tied = t->done = associated(f, p);
		return !t->done;
	}

	const uint8_t *path = rows[t->action].path, *check = path;
	while (*check && checks[*check].holds(f, p))
		check++;
	if (*check == NOTHING_MORE) {
		t->best = (struct verdict){ .allow = true, .why = REASON_OK, .path = *p, .tied = true };
		t->done = true;
		return false;
	}
	t->best.tied = t->best.tied || associated(f, p);
	if (*check == ACTED_FOR)
		return true; /* not the employer that was named: not heard */
	enum reason why = why_not(*check, f, p);
	int far = (int)(check - path) * 8 + nearness(why);
	if (far > t->furthest) {
		t->furthest = far;
		t->best.why = why;
		t->best.path = *p;
	}
	return true;
}

struct verdict rule_close(struct trial *t)
{
	t->done = true;
	return t->best;
}

bool rule_asks_for_path(enum action action)
{
	return (unsigned)action < ACTIONS && rows[action].path[0] != NOTHING_MORE;
}

static size_t explain(const uint8_t *list, const struct facts *f, const struct path *p, struct clause *out)
{
	size_t count = 0;

	for (; *list; list++, count++) {
		out[count].name = checks[*list].name;
		out[count].holds = checks[*list].holds(f, p);
		out[count].otherwise = out[count].holds ? checks[*list].otherwise : why_not(*list, f, p);
		out[count].rests_on = checks[*list].rests_on;
	}
	return count;
}

size_t rule_explain(enum action action, const struct facts *facts, const struct path *path,
    struct clause out[CLAUSES_MOST])
{
	static const uint8_t own[] = { OWN_PRACTICE, NOTHING_MORE };
	const struct facts *f = facts ? facts : &no_facts;
	const struct path *p = path ? path : &no_path;

	if ((unsigned)action >= ACTIONS)
		return 0;
	const struct row *row = &rows[action];
	size_t count = explain(row->always, f, p, out);
	return count + explain(row->or_own_practice && own_practice(f, p) ? own : row->path, f, p, out + count);
}
