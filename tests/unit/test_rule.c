/* Tests the rule by example: each row of docs/rules.md, and each reason that the rule can give, as a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rule/rule.h"

enum { CHEN = 1, OKAFOR, RIVERA, PATEL, DESK };
enum { LAKESIDE = 1, MERIDIAN, DORMANT, PRACTICE, NORTHGATE };

#define PERSON(symbol, ...) static const struct person symbol = { __VA_ARGS__ }
PERSON(chen, .no = CHEN, .state = STATE_ACTIVE);
PERSON(okafor, .no = OKAFOR, .state = STATE_ACTIVE);
PERSON(rivera, .no = RIVERA, .state = STATE_ACTIVE);
PERSON(patel, .no = PATEL, .state = STATE_ACTIVE, .realm = REALM_NPPES);
PERSON(disabled, .no = OKAFOR, .state = STATE_DISABLED);
PERSON(removed, .no = OKAFOR, .state = STATE_REMOVED);
PERSON(desk, .no = DESK, .state = STATE_ACTIVE, .roles = ROLE_HELP_DESK);
PERSON(rivera_at_desk, .no = RIVERA, .state = STATE_ACTIVE, .roles = ROLE_HELP_DESK);
PERSON(okafor_at_desk, .no = OKAFOR, .state = STATE_ACTIVE, .roles = ROLE_HELP_DESK);
PERSON(auditor, .no = DESK, .state = STATE_ACTIVE, .roles = ROLE_AUDITOR);
PERSON(processor, .no = DESK, .state = STATE_ACTIVE, .roles = ROLE_PROCESSOR);

#define ORGANIZATION(symbol, ...) static const struct organization symbol = { __VA_ARGS__ }
ORGANIZATION(
    lakeside, .no = LAKESIDE, .state = STATE_ACTIVE, .provider_kind = PROVIDER_ORGANIZATION, .official = RIVERA);
ORGANIZATION(
    suspended, .no = LAKESIDE, .state = STATE_SUSPENDED, .provider_kind = PROVIDER_ORGANIZATION, .official = RIVERA);
ORGANIZATION(closed, .no = LAKESIDE, .state = STATE_CLOSED, .provider_kind = PROVIDER_ORGANIZATION, .official = RIVERA);
ORGANIZATION(northgate, .no = NORTHGATE, .state = STATE_REGISTERED, .provider_kind = PROVIDER_ORGANIZATION);
ORGANIZATION(okafors, .no = NORTHGATE, .state = STATE_REGISTERED, .provider_kind = PROVIDER_ORGANIZATION,
    .registrant = OKAFOR);
ORGANIZATION(okafors_suspended, .no = NORTHGATE, .state = STATE_SUSPENDED, .provider_kind = PROVIDER_ORGANIZATION,
    .registrant = OKAFOR);
ORGANIZATION(practice, .no = PRACTICE, .state = STATE_ACTIVE, .provider_kind = PROVIDER_INDIVIDUAL, .official = PATEL);
ORGANIZATION(meridian, .no = MERIDIAN, .state = STATE_ACTIVE, .is_employer = true);
ORGANIZATION(dormant, .no = DORMANT, .state = STATE_SUSPENDED, .is_employer = true);
ORGANIZATION(new_employer, .no = MERIDIAN, .state = STATE_REGISTERED, .is_employer = true);

#define ASSOCIATION(symbol, who, through, at, in, ...)                                                                 \
	static const struct association symbol = {                                                                     \
		.user = who, .employer = through, .provider = at, .state = in, __VA_ARGS__                             \
	}
ASSOCIATION(approved, OKAFOR, MERIDIAN, LAKESIDE, STATE_APPROVED, .expires = 50);
ASSOCIATION(direct, CHEN, LAKESIDE, LAKESIDE, STATE_APPROVED, .expires = 0);
ASSOCIATION(lapsed, OKAFOR, MERIDIAN, LAKESIDE, STATE_APPROVED, .not_after = 100);
ASSOCIATION(pending, OKAFOR, MERIDIAN, LAKESIDE, STATE_PENDING, .expires = 101);
ASSOCIATION(too_late, OKAFOR, MERIDIAN, LAKESIDE, STATE_PENDING, .expires = 100);
ASSOCIATION(ended, OKAFOR, MERIDIAN, LAKESIDE, STATE_ENDED, .expires = 0);
ASSOCIATION(rejected, OKAFOR, MERIDIAN, LAKESIDE, STATE_REJECTED, .expires = 0);
ASSOCIATION(via_dormant, OKAFOR, DORMANT, LAKESIDE, STATE_APPROVED, .expires = 0);
ASSOCIATION(elsewhere, OKAFOR, MERIDIAN, NORTHGATE, STATE_APPROVED, .expires = 0);
ASSOCIATION(riveras_own, RIVERA, MERIDIAN, LAKESIDE, STATE_PENDING, .expires = 101);
ASSOCIATION(riveras, RIVERA, MERIDIAN, LAKESIDE, STATE_APPROVED, .expires = 0);
ASSOCIATION(of_patel, PATEL, MERIDIAN, PRACTICE, STATE_APPROVED, .expires = 0);
ASSOCIATION(of_practice, OKAFOR, MERIDIAN, PRACTICE, STATE_APPROVED, .expires = 0);

#define CONSENT(symbol, at, through, in, from, until)                                                                  \
	static const struct consent symbol = {                                                                         \
		.provider = at, .employer = through, .state = in, .not_before = from, .not_after = until               \
	}
CONSENT(consent, LAKESIDE, MERIDIAN, STATE_APPROVED, 100, 101);
CONSENT(open_consent, LAKESIDE, MERIDIAN, STATE_APPROVED, 0, 0);
CONSENT(direct_consent, LAKESIDE, LAKESIDE, STATE_APPROVED, 0, 0);
CONSENT(prepared, LAKESIDE, MERIDIAN, STATE_PREPARED, 0, 0);
CONSENT(signed_form, LAKESIDE, MERIDIAN, STATE_SIGNED, 0, 0);
CONSENT(signed_lapsed, LAKESIDE, MERIDIAN, STATE_SIGNED, 0, 100);
CONSENT(withdrawn, LAKESIDE, MERIDIAN, STATE_WITHDRAWN, 0, 0);
CONSENT(early, LAKESIDE, MERIDIAN, STATE_APPROVED, 101, 0);
CONSENT(over, LAKESIDE, MERIDIAN, STATE_APPROVED, 0, 100);
CONSENT(revoked, LAKESIDE, MERIDIAN, STATE_REVOKED, 0, 0);
CONSENT(others_consent, NORTHGATE, MERIDIAN, STATE_APPROVED, 0, 0);

#define SUBMISSION(symbol, at, through, who, in) \
	static const struct submission symbol = { .provider = at, .employer = through, .user = who, .state = in }
SUBMISSION(own_draft, LAKESIDE, DORMANT, OKAFOR, STATE_DRAFT);
SUBMISSION(colleagues_draft, LAKESIDE, MERIDIAN, CHEN, STATE_DRAFT);
SUBMISSION(strangers_draft, LAKESIDE, LAKESIDE, CHEN, STATE_DRAFT);
SUBMISSION(submitted, LAKESIDE, MERIDIAN, OKAFOR, STATE_SUBMITTED);
SUBMISSION(accepted, LAKESIDE, MERIDIAN, OKAFOR, STATE_ACCEPTED);
SUBMISSION(northgates, NORTHGATE, MERIDIAN, OKAFOR, STATE_DRAFT);

#define CLAIM(symbol, at, who, in) static const struct claim symbol = { .provider = at, .user = who, .state = in }
CLAIM(claim_to_empty, NORTHGATE, OKAFOR, STATE_SUBMITTED);
CLAIM(claim_to_taken, LAKESIDE, OKAFOR, STATE_SUBMITTED);
CLAIM(claim_of_rivera, LAKESIDE, RIVERA, STATE_SUBMITTED);
CLAIM(claim_decided, LAKESIDE, OKAFOR, STATE_APPROVED);

#define CASE(symbol, of, about, at, in) \
	static const struct help_case symbol = { .kind = of, .user = about, .provider = at, .state = in }
CASE(revocation, CASE_REVOCATION, RIVERA, LAKESIDE, STATE_SUBMITTED);
CASE(executed, CASE_REVOCATION, RIVERA, LAKESIDE, STATE_EXECUTED);
CASE(somebody_calls, CASE_ACCOUNT, OKAFOR, 0, STATE_SUBMITTED);
CASE(desk_calls, CASE_ACCOUNT, DESK, 0, STATE_SUBMITTED);
CASE(official_left, CASE_OFFICIAL_LEFT, RIVERA, LAKESIDE, STATE_SUBMITTED);

#define NO_PATH { { NULL, NULL, NULL, false } }, 0
#define VIA_MERIDIAN(tie, consent) { { &(tie), &meridian, &(consent), false } }, 1

#define BY(who, at) { .now = 100, .actor = &(who), .provider = &(at) }
#define BY_ON(who, at, ...) { .now = 100, .actor = &(who), .provider = &(at), __VA_ARGS__ }

#define ABOUT(who, whom) { .now = 100, .actor = &(who), .subject = &(whom) }

struct row {
	const char *sentence;
	enum action action;
	struct facts facts;
	struct path paths[2];
	size_t count;
	enum reason why;
};

static const struct row rows[] = {
	/* records: two gates */
	{ "an associate views a record that its owner consented to", RECORD_VIEW, BY(okafor, lakeside),
	    VIA_MERIDIAN(approved, consent), REASON_OK },
	{ "and updates it", RECORD_UPDATE, BY(okafor, lakeside), VIA_MERIDIAN(approved, open_consent), REASON_OK },
	{ "and lists the others", RECORD_LIST, BY(okafor, lakeside), VIA_MERIDIAN(approved, open_consent),
	    REASON_OK },
	{ "a direct employee views a record", RECORD_VIEW, BY(chen, lakeside),
	    { { &direct, &lakeside, &direct_consent, false } }, 1, REASON_OK },
	{ "nobody views a record unknown", RECORD_VIEW, { .now = 100, .provider = &lakeside },
	    VIA_MERIDIAN(approved, open_consent), NOT_AUTHENTICATED },
	{ "a disabled account views nothing", RECORD_VIEW, BY(disabled, lakeside),
	    VIA_MERIDIAN(approved, open_consent), ACCOUNT_NOT_ACTIVE },
	{ "a removed account views nothing", RECORD_VIEW, BY(removed, lakeside), VIA_MERIDIAN(approved, open_consent),
	    ACCOUNT_NOT_ACTIVE },
	{ "a record of nobody is not found", RECORD_VIEW, { .now = 100, .actor = &okafor }, NO_PATH, NOT_FOUND },
	{ "a suspended provider's records are closed", RECORD_VIEW, BY(okafor, suspended),
	    VIA_MERIDIAN(approved, open_consent), ORGANIZATION_NOT_ACTIVE },
	{ "a stranger has no association", RECORD_VIEW, BY(okafor, lakeside), NO_PATH, NO_ASSOCIATION },
	{ "a rejected request is no association", RECORD_VIEW, BY(okafor, lakeside),
	    VIA_MERIDIAN(rejected, open_consent), NO_ASSOCIATION },
	{ "a pending request is not enough", RECORD_VIEW, BY(okafor, lakeside), VIA_MERIDIAN(pending, open_consent),
	    ASSOCIATION_PENDING },
	{ "a request that nobody decided in time has expired", RECORD_VIEW, BY(okafor, lakeside),
	    VIA_MERIDIAN(too_late, open_consent), ASSOCIATION_EXPIRED },
	{ "an association ends at its end, not after it", RECORD_VIEW, BY(okafor, lakeside),
	    VIA_MERIDIAN(lapsed, open_consent), ASSOCIATION_EXPIRED },
	{ "and holds until the second before", RECORD_VIEW, { .now = 99, .actor = &okafor, .provider = &lakeside },
	    VIA_MERIDIAN(lapsed, open_consent), REASON_OK },
	{ "an ended association gives nothing", RECORD_VIEW, BY(okafor, lakeside), VIA_MERIDIAN(ended, open_consent),
	    ASSOCIATION_ENDED },
	{ "an association with another provider gives nothing", RECORD_VIEW, BY(okafor, lakeside),
	    VIA_MERIDIAN(elsewhere, open_consent), NO_ASSOCIATION },
	{ "another person's association gives nothing", RECORD_VIEW, BY(chen, lakeside),
	    VIA_MERIDIAN(approved, open_consent), NO_ASSOCIATION },
	{ "a suspended employer opens nothing", RECORD_VIEW, BY(okafor, lakeside),
	    { { &via_dormant, &dormant, NULL, false } }, 1, EMPLOYER_NOT_ACTIVE },
	{ "an employer that is not understood opens nothing", RECORD_VIEW, BY(okafor, lakeside),
	    { { &approved, NULL, &open_consent, false } }, 1, EMPLOYER_NOT_ACTIVE },
	{ "a barred employer opens nothing", RECORD_VIEW, BY(okafor, lakeside),
	    { { &approved, &meridian, &open_consent, true } }, 1, EMPLOYER_BARRED },
	{ "without consent there is no record", RECORD_VIEW, BY(okafor, lakeside),
	    { { &approved, &meridian, NULL, false } }, 1, NO_CONSENT },
	{ "consent to another employer is none", RECORD_VIEW, BY(okafor, lakeside),
	    VIA_MERIDIAN(approved, direct_consent), NO_CONSENT },
	{ "another provider's consent is none", RECORD_VIEW, BY(okafor, lakeside),
	    VIA_MERIDIAN(approved, others_consent), NO_CONSENT },
	{ "a prepared form is not enough", RECORD_VIEW, BY(okafor, lakeside), VIA_MERIDIAN(approved, prepared),
	    CONSENT_PENDING },
	{ "a signed form is not enough", RECORD_VIEW, BY(okafor, lakeside), VIA_MERIDIAN(approved, signed_form),
	    CONSENT_PENDING },
	{ "a withdrawn form is none", RECORD_VIEW, BY(okafor, lakeside), VIA_MERIDIAN(approved, withdrawn),
	    NO_CONSENT },
	{ "consent does not hold before it begins", RECORD_VIEW, BY(okafor, lakeside), VIA_MERIDIAN(approved, early),
	    CONSENT_NOT_YET_EFFECTIVE },
	{ "consent ends at its end", RECORD_VIEW, BY(okafor, lakeside), VIA_MERIDIAN(approved, over),
	    CONSENT_EXPIRED },
	{ "revoked consent is none", RECORD_VIEW, BY(okafor, lakeside), VIA_MERIDIAN(approved, revoked),
	    CONSENT_REVOKED },

	/* no bypass */
	{ "the Authorized Official needs the consent like anybody else", RECORD_VIEW, BY(rivera, lakeside),
	    { { NULL, &lakeside, NULL, false } }, 1, NO_CONSENT },
	{ "and views with it", RECORD_VIEW, BY(rivera, lakeside), { { NULL, &lakeside, &direct_consent, false } }, 1,
	    REASON_OK },
	{ "but not through an employer that he has no association with", RECORD_VIEW, BY(rivera, lakeside),
	    { { NULL, &meridian, &open_consent, false } }, 1, NO_ASSOCIATION },
	{ "the help desk views no records", RECORD_VIEW, BY(desk, lakeside), NO_PATH, NO_ASSOCIATION },
	{ "an auditor views no records", RECORD_VIEW, BY(auditor, lakeside), NO_PATH, NO_ASSOCIATION },
	{ "a processor views no records", RECORD_VIEW, BY(processor, lakeside), NO_PATH, NO_ASSOCIATION },

	/* individual practitioners */
	{ "a practitioner views his own data", RECORD_VIEW, BY(patel, practice), NO_PATH, REASON_OK },
	{ "even when he has barred himself", RECORD_UPDATE, BY(patel, practice), { { NULL, &practice, NULL, true } },
	    1, REASON_OK },
	{ "but not when acting for an employer without consent", RECORD_VIEW,
	    BY_ON(patel, practice, .acting_for = MERIDIAN), { { &of_patel, &meridian, NULL, false } }, 1, NO_CONSENT },
	{ "others need consent for them", RECORD_VIEW, BY(okafor, practice),
	    { { &of_practice, &meridian, NULL, false } }, 1, NO_CONSENT },
	{ "a practitioner begins a submission for himself", SUBMISSION_CREATE, BY(patel, practice),
	    { { NULL, &practice, NULL, false } }, 1, REASON_OK },

	/* several paths */
	{ "any path will do", RECORD_VIEW, BY(okafor, lakeside),
	    { { &via_dormant, &dormant, NULL, false }, { &approved, &meridian, &open_consent, false } }, 2,
	    REASON_OK },
	{ "the path that came furthest tells the reason", RECORD_VIEW, BY(okafor, lakeside),
	    { { &approved, &meridian, &revoked, false }, { &via_dormant, &dormant, NULL, false } }, 2,
	    CONSENT_REVOKED },
	{ "of two forms for a pair the better one counts", RECORD_VIEW, BY(okafor, lakeside),
	    { { &approved, &meridian, &revoked, false }, { &approved, &meridian, &early, false } }, 2,
	    CONSENT_NOT_YET_EFFECTIVE },
	{ "who names an employer acts through it", RECORD_VIEW, BY_ON(okafor, lakeside, .acting_for = MERIDIAN),
	    VIA_MERIDIAN(approved, open_consent), REASON_OK },
	{ "and through no other", RECORD_VIEW, BY_ON(okafor, lakeside, .acting_for = DORMANT),
	    { { &via_dormant, &dormant, NULL, false }, { &approved, &meridian, &open_consent, false } }, 2,
	    EMPLOYER_NOT_ACTIVE },
	{ "nor through one that is none of his", RECORD_VIEW, BY_ON(okafor, lakeside, .acting_for = NORTHGATE),
	    VIA_MERIDIAN(approved, open_consent), NO_ASSOCIATION },

	/* submissions: the first gate alone */
	{ "an associate begins a submission without consent", SUBMISSION_CREATE, BY(okafor, lakeside),
	    { { &approved, &meridian, NULL, false } }, 1, REASON_OK },
	{ "a stranger begins none", SUBMISSION_CREATE, BY(okafor, lakeside), NO_PATH, NO_ASSOCIATION },
	{ "one reads one's own submission through any path", SUBMISSION_READ,
	    BY_ON(okafor, lakeside, .submission = &own_draft), VIA_MERIDIAN(approved, revoked), REASON_OK },
	{ "and a colleague's through the same employer", SUBMISSION_UPDATE,
	    BY_ON(okafor, lakeside, .submission = &colleagues_draft), VIA_MERIDIAN(approved, revoked), REASON_OK },
	{ "and submits it", SUBMISSION_SUBMIT, BY_ON(okafor, lakeside, .submission = &colleagues_draft),
	    VIA_MERIDIAN(approved, revoked), REASON_OK },
	{ "but not one made through another employer", SUBMISSION_READ,
	    BY_ON(okafor, lakeside, .submission = &strangers_draft), VIA_MERIDIAN(approved, open_consent),
	    NO_ASSOCIATION },
	{ "one's own is closed without a path", SUBMISSION_READ, BY_ON(okafor, lakeside, .submission = &own_draft),
	    VIA_MERIDIAN(ended, open_consent), ASSOCIATION_ENDED },
	{ "one's draft is thrown away", SUBMISSION_DELETE, BY_ON(okafor, lakeside, .submission = &own_draft),
	    VIA_MERIDIAN(approved, revoked), REASON_OK },
	{ "what was submitted is not", SUBMISSION_DELETE, BY_ON(okafor, lakeside, .submission = &submitted),
	    VIA_MERIDIAN(approved, revoked), ALREADY_DECIDED },
	{ "what was submitted is not changed", SUBMISSION_UPDATE, BY_ON(okafor, lakeside, .submission = &submitted),
	    VIA_MERIDIAN(approved, open_consent), ALREADY_DECIDED },
	{ "an accepted submission is a record, for its author as well", SUBMISSION_READ,
	    BY_ON(okafor, lakeside, .submission = &accepted), VIA_MERIDIAN(approved, revoked), CONSENT_REVOKED },
	{ "another provider's submission is not found", SUBMISSION_READ,
	    BY_ON(okafor, lakeside, .submission = &northgates), VIA_MERIDIAN(approved, open_consent), NOT_FOUND },
	{ "a processor reads what was submitted", SUBMISSION_REVIEW,
	    BY_ON(processor, lakeside, .submission = &submitted), NO_PATH, REASON_OK },
	{ "until it is decided", SUBMISSION_REVIEW, BY_ON(processor, lakeside, .submission = &accepted), NO_PATH,
	    ALREADY_DECIDED },
	{ "a processor accepts what was submitted", SUBMISSION_ACCEPT,
	    BY_ON(processor, lakeside, .submission = &submitted), NO_PATH, REASON_OK },
	{ "and returns it", SUBMISSION_RETURN, BY_ON(processor, lakeside, .submission = &submitted), NO_PATH,
	    REASON_OK },
	{ "once", SUBMISSION_RETURN, BY_ON(processor, lakeside, .submission = &accepted), NO_PATH, ALREADY_DECIDED },
	{ "the help desk accepts none", SUBMISSION_ACCEPT, BY_ON(desk, lakeside, .submission = &submitted), NO_PATH,
	    NOT_PROCESSOR },

	/* associations */
	{ "one asks for oneself", ASSOCIATION_REQUEST,
	    BY_ON(okafor, lakeside, .employer = &meridian, .for_himself = true), NO_PATH, REASON_OK },
	{ "and for nobody else", ASSOCIATION_REQUEST, BY_ON(okafor, lakeside, .employer = &meridian), NO_PATH,
	    OWN_REQUEST },
	{ "through an employer that there is", ASSOCIATION_REQUEST, BY_ON(okafor, lakeside, .for_himself = true),
	    NO_PATH, NOT_FOUND },
	{ "and that is active", ASSOCIATION_REQUEST,
	    BY_ON(okafor, lakeside, .employer = &new_employer, .for_himself = true), NO_PATH, EMPLOYER_NOT_ACTIVE },
	{ "and not barred", ASSOCIATION_REQUEST,
	    BY_ON(okafor, lakeside, .employer = &meridian, .for_himself = true, .employer_barred = true), NO_PATH,
	    EMPLOYER_BARRED },
	{ "and once at a time", ASSOCIATION_REQUEST,
	    BY_ON(okafor, lakeside, .employer = &meridian, .for_himself = true, .open_request = true), NO_PATH,
	    ALREADY_DECIDED },
	{ "with a provider, not with an employer alone", ASSOCIATION_REQUEST,
	    BY_ON(okafor, meridian, .employer = &meridian, .for_himself = true), NO_PATH, NOT_FOUND },
	{ "the Authorized Official approves", ASSOCIATION_APPROVE, BY_ON(rivera, lakeside, .request = &pending),
	    NO_PATH, REASON_OK },
	{ "or rejects", ASSOCIATION_REJECT, BY_ON(rivera, lakeside, .request = &pending), NO_PATH, REASON_OK },
	{ "nobody else approves", ASSOCIATION_APPROVE, BY_ON(chen, lakeside, .request = &pending), NO_PATH,
	    NOT_AUTHORIZED_OFFICIAL },
	{ "not the help desk either", ASSOCIATION_APPROVE, BY_ON(desk, lakeside, .request = &pending), NO_PATH,
	    NOT_AUTHORIZED_OFFICIAL },
	{ "a request to another provider is not found", ASSOCIATION_APPROVE,
	    BY_ON(rivera, lakeside, .request = &elsewhere), NO_PATH, NOT_FOUND },
	{ "the second decision comes too late", ASSOCIATION_REJECT, BY_ON(rivera, lakeside, .request = &approved),
	    NO_PATH, ALREADY_DECIDED },
	{ "an expired request is not approved, though no job has run", ASSOCIATION_APPROVE,
	    BY_ON(rivera, lakeside, .request = &too_late), NO_PATH, ASSOCIATION_EXPIRED },
	{ "nor one through an employer that was barred meanwhile", ASSOCIATION_APPROVE,
	    BY_ON(rivera, lakeside, .request = &pending, .employer_barred = true), NO_PATH, EMPLOYER_BARRED },
	{ "which is rejected all the same", ASSOCIATION_REJECT,
	    BY_ON(rivera, lakeside, .request = &pending, .employer_barred = true), NO_PATH, REASON_OK },
	{ "nobody approves his own request", ASSOCIATION_APPROVE, BY_ON(rivera, lakeside, .request = &riveras_own),
	    NO_PATH, OWN_REQUEST },
	{ "the help desk does it for the Authorized Official", ASSOCIATION_APPROVE,
	    BY_ON(desk, lakeside, .request = &riveras_own), NO_PATH, REASON_OK },
	{ "unless it is part of the matter", ASSOCIATION_APPROVE,
	    BY_ON(desk, lakeside, .request = &riveras_own, .involved = true), NO_PATH, CONFLICT_OF_INTEREST },
	{ "being in the help desk does not help with one's own", ASSOCIATION_APPROVE,
	    BY_ON(rivera_at_desk, lakeside, .request = &riveras_own), NO_PATH, OWN_REQUEST },
	{ "the Authorized Official ends an association", ASSOCIATION_END,
	    BY_ON(rivera, lakeside, .request = &approved), NO_PATH, REASON_OK },
	{ "even one that has expired meanwhile", ASSOCIATION_END, BY_ON(rivera, lakeside, .request = &lapsed),
	    NO_PATH, REASON_OK },
	{ "one ends one's own", ASSOCIATION_END, BY_ON(okafor, lakeside, .request = &approved), NO_PATH, REASON_OK },
	{ "the Authorized Official's own is ended by the help desk", ASSOCIATION_END,
	    BY_ON(rivera, lakeside, .request = &riveras), NO_PATH, OWN_REQUEST },
	{ "which may end any", ASSOCIATION_END, BY_ON(desk, lakeside, .request = &riveras), NO_PATH, REASON_OK },
	{ "that it is no part of", ASSOCIATION_END, BY_ON(desk, lakeside, .request = &approved, .involved = true),
	    NO_PATH, CONFLICT_OF_INTEREST },
	{ "others end nothing", ASSOCIATION_END, BY_ON(chen, lakeside, .request = &approved), NO_PATH,
	    NOT_AUTHORIZED_OFFICIAL },
	{ "what is not approved cannot end", ASSOCIATION_END, BY_ON(rivera, lakeside, .request = &pending), NO_PATH,
	    ALREADY_DECIDED },
	{ "who asked may cancel", ASSOCIATION_CANCEL, BY_ON(okafor, lakeside, .request = &pending), NO_PATH,
	    REASON_OK },
	{ "and nobody else", ASSOCIATION_CANCEL, BY_ON(rivera, lakeside, .request = &pending), NO_PATH, OWN_REQUEST },
	{ "what is approved is not cancelled", ASSOCIATION_CANCEL, BY_ON(okafor, lakeside, .request = &approved),
	    NO_PATH, ALREADY_DECIDED },
	{ "what has expired is not cancelled", ASSOCIATION_CANCEL, BY_ON(okafor, lakeside, .request = &too_late),
	    NO_PATH, ASSOCIATION_EXPIRED },
	{ "a new Authorized Official confirms what his predecessor approved", ASSOCIATION_CONFIRM,
	    BY_ON(rivera, lakeside, .request = &approved), NO_PATH, REASON_OK },
	{ "not his own", ASSOCIATION_CONFIRM, BY_ON(rivera, lakeside, .request = &riveras), NO_PATH, OWN_REQUEST },
	{ "nor what waits", ASSOCIATION_CONFIRM, BY_ON(rivera, lakeside, .request = &pending), NO_PATH,
	    ALREADY_DECIDED },
	{ "the help desk does not confirm", ASSOCIATION_CONFIRM, BY_ON(desk, lakeside, .request = &approved), NO_PATH,
	    NOT_AUTHORIZED_OFFICIAL },

	/* consents */
	{ "the Authorized Official prepares a form", CONSENT_PREPARE, BY_ON(rivera, lakeside, .employer = &meridian),
	    NO_PATH, REASON_OK },
	{ "for an employer that there is", CONSENT_PREPARE, BY(rivera, lakeside), NO_PATH, NOT_FOUND },
	{ "an associate prepares none", CONSENT_PREPARE, BY_ON(chen, lakeside, .employer = &meridian), NO_PATH,
	    NOT_AUTHORIZED_OFFICIAL },
	{ "nor for one that is barred", CONSENT_PREPARE,
	    BY_ON(rivera, lakeside, .employer = &meridian, .employer_barred = true), NO_PATH, EMPLOYER_BARRED },
	{ "a form that was signed on paper is received by the help desk", CONSENT_RECEIVE,
	    BY_ON(desk, lakeside, .form = &prepared), NO_PATH, REASON_OK },
	{ "once", CONSENT_RECEIVE, BY_ON(desk, lakeside, .form = &signed_form), NO_PATH, ALREADY_DECIDED },
	{ "and by nobody else", CONSENT_RECEIVE, BY_ON(rivera, lakeside, .form = &prepared), NO_PATH, NOT_HELP_DESK },
	{ "a new Authorized Official confirms a consent", CONSENT_CONFIRM,
	    BY_ON(rivera, lakeside, .form = &open_consent), NO_PATH, REASON_OK },
	{ "that there is", CONSENT_CONFIRM, BY_ON(rivera, lakeside, .form = &revoked), NO_PATH, ALREADY_DECIDED },
	{ "signing needs a fresh password", CONSENT_SIGN,
	    { .now = 1000, .actor = &rivera, .provider = &lakeside, .form = &prepared, .authenticated_at = 700,
	    .recent = 300 }, NO_PATH, REAUTHENTICATION_REQUIRED },
	{ "that is younger than five minutes", CONSENT_SIGN,
	    { .now = 1000, .actor = &rivera, .provider = &lakeside, .form = &prepared, .authenticated_at = 701,
	    .recent = 300 }, NO_PATH, REASON_OK },
	{ "an unknown time is no fresh password", CONSENT_SIGN,
	    BY_ON(rivera, lakeside, .form = &prepared, .recent = 300), NO_PATH, REAUTHENTICATION_REQUIRED },
	{ "nobody signs twice", CONSENT_SIGN,
	    { .now = 1000, .actor = &rivera, .provider = &lakeside, .form = &signed_form, .authenticated_at = 1000,
	    .recent = 300 }, NO_PATH, ALREADY_DECIDED },
	{ "the Authorized Official withdraws a form", CONSENT_WITHDRAW, BY_ON(rivera, lakeside, .form = &signed_form),
	    NO_PATH, REASON_OK },
	{ "but not one that was approved", CONSENT_WITHDRAW, BY_ON(rivera, lakeside, .form = &open_consent), NO_PATH,
	    ALREADY_DECIDED },
	{ "another provider's form is not found", CONSENT_WITHDRAW, BY_ON(rivera, lakeside, .form = &others_consent),
	    NO_PATH, NOT_FOUND },
	{ "the help desk approves a signed form", CONSENT_APPROVE, BY_ON(desk, lakeside, .form = &signed_form),
	    NO_PATH, REASON_OK },
	{ "not one that has run out", CONSENT_APPROVE, BY_ON(desk, lakeside, .form = &signed_lapsed), NO_PATH,
	    CONSENT_EXPIRED },
	{ "not one to an employer that was barred meanwhile", CONSENT_APPROVE,
	    BY_ON(desk, lakeside, .form = &signed_form, .employer_barred = true), NO_PATH, EMPLOYER_BARRED },
	{ "not one that is not signed", CONSENT_APPROVE, BY_ON(desk, lakeside, .form = &prepared), NO_PATH,
	    ALREADY_DECIDED },
	{ "nobody else approves it", CONSENT_APPROVE, BY_ON(rivera, lakeside, .form = &signed_form), NO_PATH,
	    NOT_HELP_DESK },
	{ "not even the Authorized Official in the help desk", CONSENT_APPROVE,
	    BY_ON(rivera_at_desk, lakeside, .form = &signed_form), NO_PATH, CONFLICT_OF_INTEREST },
	{ "the help desk rejects a form", CONSENT_REJECT, BY_ON(desk, lakeside, .form = &signed_form), NO_PATH,
	    REASON_OK },
	{ "and revokes a consent", CONSENT_REVOKE, BY_ON(desk, lakeside, .form = &open_consent), NO_PATH, REASON_OK },
	{ "once", CONSENT_REVOKE, BY_ON(desk, lakeside, .form = &revoked), NO_PATH, ALREADY_DECIDED },

	/* the help desk's other work */
	{ "one claims a seat that is empty", CLAIM_SUBMIT, BY(okafor, northgate), NO_PATH, REASON_OK },
	{ "or one that is taken", CLAIM_SUBMIT, BY(okafor, lakeside), NO_PATH, REASON_OK },
	{ "but not one's own", CLAIM_SUBMIT, BY(rivera, lakeside), NO_PATH, AO_ALREADY_EXISTS },
	{ "nor a practitioner's", CLAIM_SUBMIT, BY(okafor, practice), NO_PATH, NOT_FOUND },
	{ "nor an employer's", CLAIM_SUBMIT, BY(okafor, meridian), NO_PATH, NOT_FOUND },
	{ "a closed organization stays closed", CLAIM_SUBMIT, BY(okafor, closed), NO_PATH, ORGANIZATION_NOT_ACTIVE },
	{ "one withdraws one's claim", CLAIM_WITHDRAW, BY_ON(okafor, northgate, .claim = &claim_to_empty), NO_PATH,
	    REASON_OK },
	{ "not another's", CLAIM_WITHDRAW, BY_ON(desk, northgate, .claim = &claim_to_empty), NO_PATH, OWN_REQUEST },
	{ "not once it is decided", CLAIM_WITHDRAW, BY_ON(okafor, lakeside, .claim = &claim_decided), NO_PATH,
	    ALREADY_DECIDED },
	{ "the help desk approves a claim to an empty seat", CLAIM_APPROVE,
	    BY_ON(desk, northgate, .claim = &claim_to_empty, .subject = &okafor), NO_PATH, REASON_OK },
	{ "of somebody with an account", CLAIM_APPROVE,
	    BY_ON(desk, northgate, .claim = &claim_to_empty, .subject = &disabled), NO_PATH, ACCOUNT_NOT_ACTIVE },
	{ "not of itself", CLAIM_APPROVE,
	    BY_ON(okafor_at_desk, northgate, .claim = &claim_to_empty, .subject = &okafor), NO_PATH,
	    CONFLICT_OF_INTEREST },
	{ "not to what it has registered itself", CLAIM_REJECT, BY(okafor_at_desk, okafors), NO_PATH,
	    CONFLICT_OF_INTEREST },
	{ "not to another organization", CLAIM_APPROVE,
	    BY_ON(desk, lakeside, .claim = &claim_to_empty, .subject = &okafor), NO_PATH, NOT_FOUND },
	{ "there is one Authorized Official at most", CLAIM_APPROVE,
	    BY_ON(desk, lakeside, .claim = &claim_to_taken, .subject = &okafor), NO_PATH, AO_ALREADY_EXISTS },
	{ "who decides twice is told that it is decided", CLAIM_APPROVE,
	    BY_ON(desk, lakeside, .claim = &claim_decided, .subject = &okafor), NO_PATH, ALREADY_DECIDED },
	{ "he is replaced by name", CLAIM_REPLACE,
	    BY_ON(desk, lakeside, .claim = &claim_to_taken, .subject = &okafor), NO_PATH, REASON_OK },
	{ "not by himself", CLAIM_REPLACE,
	    BY_ON(desk, lakeside, .claim = &claim_of_rivera, .subject = &rivera), NO_PATH, ALREADY_DECIDED },
	{ "where there is none nobody is replaced", CLAIM_REPLACE,
	    BY_ON(desk, northgate, .claim = &claim_to_empty, .subject = &okafor), NO_PATH, ALREADY_DECIDED },
	{ "a claim may be rejected all the same", CLAIM_REJECT, BY_ON(desk, lakeside, .claim = &claim_to_taken),
	    NO_PATH, REASON_OK },
	{ "once", CLAIM_REJECT, BY_ON(desk, lakeside, .claim = &claim_decided), NO_PATH, ALREADY_DECIDED },
	{ "the Authorized Official keeps the organization's data", ORG_UPDATE, BY(rivera, lakeside), NO_PATH,
	    REASON_OK },
	{ "before there is one, whoever registered it", ORG_UPDATE, BY(okafor, okafors), NO_PATH, REASON_OK },
	{ "until the help desk has looked", ORG_UPDATE, BY(okafor, okafors_suspended), NO_PATH,
	    NOT_AUTHORIZED_OFFICIAL },
	{ "nobody else", ORG_UPDATE, BY(chen, okafors), NO_PATH, NOT_AUTHORIZED_OFFICIAL },
	{ "a provider is not active without an Authorized Official", ORG_VERIFY, BY(desk, northgate), NO_PATH,
	    NOT_AUTHORIZED_OFFICIAL },
	{ "nor with one whose account was taken away", ORG_VERIFY, BY(desk, suspended), NO_PATH, ACCOUNT_NOT_ACTIVE },
	{ "it is with another", ORG_VERIFY, BY_ON(desk, suspended, .subject = &rivera), NO_PATH, REASON_OK },
	{ "an employer has none", ORG_VERIFY, BY(desk, new_employer), NO_PATH, REASON_OK },
	{ "what is active was verified", ORG_VERIFY, BY(desk, lakeside), NO_PATH, ALREADY_DECIDED },
	{ "the help desk suspends an organization", ORG_SUSPEND, BY(desk, lakeside), NO_PATH, REASON_OK },
	{ "once", ORG_SUSPEND, BY(desk, suspended), NO_PATH, ALREADY_DECIDED },
	{ "the help desk closes an organization", ORG_CLOSE, BY(desk, suspended), NO_PATH, REASON_OK },
	{ "for good", ORG_CLOSE, BY(desk, closed), NO_PATH, ALREADY_DECIDED },

	{ "the help desk unlocks an account", ACCOUNT_UNLOCK, ABOUT(desk, okafor), NO_PATH, REASON_OK },
	{ "that there is", ACCOUNT_UNLOCK, { .now = 100, .actor = &desk }, NO_PATH, NOT_FOUND },
	{ "not its own", ACCOUNT_UNLOCK, ABOUT(desk, desk), NO_PATH, CONFLICT_OF_INTEREST },
	{ "nor one that the flow knows it is part of", ACCOUNT_UNLOCK,
	    { .now = 100, .actor = &desk, .subject = &okafor, .involved = true }, NO_PATH, CONFLICT_OF_INTEREST },
	{ "nor one that was removed", ACCOUNT_UNLOCK, ABOUT(desk, removed), NO_PATH, ALREADY_DECIDED },
	{ "a practitioner's password is kept elsewhere", ACCOUNT_UNLOCK, ABOUT(desk, patel), NO_PATH,
	    MANAGED_ELSEWHERE },
	{ "the help desk resets an account", ACCOUNT_RESET, ABOUT(desk, disabled), NO_PATH, REASON_OK },
	{ "an auditor resets no account", ACCOUNT_RESET, ABOUT(auditor, okafor), NO_PATH, NOT_HELP_DESK },
	{ "the help desk takes a second factor away", ACCOUNT_SECOND_FACTOR, ABOUT(desk, okafor), NO_PATH, REASON_OK },
	{ "not a practitioner's", ACCOUNT_SECOND_FACTOR, ABOUT(desk, patel), NO_PATH, MANAGED_ELSEWHERE },
	{ "the help desk disables an account", ACCOUNT_DISABLE, ABOUT(desk, patel), NO_PATH, REASON_OK },
	{ "once", ACCOUNT_DISABLE, ABOUT(desk, disabled), NO_PATH, ALREADY_DECIDED },
	{ "and enables it again", ACCOUNT_ENABLE, ABOUT(desk, disabled), NO_PATH, REASON_OK },
	{ "not one that is active", ACCOUNT_ENABLE, ABOUT(desk, okafor), NO_PATH, ALREADY_DECIDED },
	{ "what was disabled is removed", ACCOUNT_REMOVE, ABOUT(desk, disabled), NO_PATH, REASON_OK },
	{ "nothing else is", ACCOUNT_REMOVE, ABOUT(desk, okafor), NO_PATH, ALREADY_DECIDED },
	{ "fraud is stopped whatever the account", ACCOUNT_FRAUD, ABOUT(desk, disabled), NO_PATH, REASON_OK },
	{ "that was not removed", ACCOUNT_FRAUD, ABOUT(desk, removed), NO_PATH, ALREADY_DECIDED },

	{ "anybody leaves an employer", EMPLOYER_LEAVE, BY(okafor, meridian), NO_PATH, REASON_OK },
	{ "a closed one, too", EMPLOYER_LEAVE, BY(okafor, closed), NO_PATH, REASON_OK },
	{ "that there is", EMPLOYER_LEAVE, { .now = 100, .actor = &okafor }, NO_PATH, NOT_FOUND },
	{ "the Authorized Official asks to revoke an employer", EMPLOYER_REVOCATION_REQUEST,
	    BY_ON(rivera, lakeside, .employer = &meridian), NO_PATH, REASON_OK },
	{ "an associate does not", EMPLOYER_REVOCATION_REQUEST, BY_ON(okafor, lakeside, .employer = &meridian),
	    NO_PATH, NOT_AUTHORIZED_OFFICIAL },
	{ "the help desk does it", EMPLOYER_REVOCATION_EXECUTE, BY_ON(desk, lakeside, .help_case = &revocation), NO_PATH,
	    REASON_OK },
	{ "when the provider is suspended, too", EMPLOYER_REVOCATION_EXECUTE,
	    BY_ON(desk, suspended, .help_case = &revocation), NO_PATH, REASON_OK },
	{ "once", EMPLOYER_REVOCATION_EXECUTE, BY_ON(desk, lakeside, .help_case = &executed), NO_PATH,
	    ALREADY_DECIDED },
	{ "the Authorized Official does not do it himself", EMPLOYER_REVOCATION_EXECUTE,
	    BY_ON(rivera, lakeside, .help_case = &revocation), NO_PATH, NOT_HELP_DESK },
	{ "the help desk may decline", EMPLOYER_REVOCATION_DECLINE, BY_ON(desk, lakeside, .help_case = &revocation),
	    NO_PATH, REASON_OK },
	{ "what is a revocation", EMPLOYER_REVOCATION_DECLINE, BY_ON(desk, lakeside, .help_case = &official_left),
	    NO_PATH, NOT_FOUND },
	{ "the help desk lets a barred employer in again", EMPLOYER_REINSTATE,
	    BY_ON(desk, lakeside, .employer = &meridian, .employer_barred = true), NO_PATH, REASON_OK },
	{ "one that is barred", EMPLOYER_REINSTATE, BY_ON(desk, lakeside, .employer = &meridian), NO_PATH, ALREADY_DECIDED },
	{ "at a provider that is open", EMPLOYER_REINSTATE,
	    BY_ON(desk, suspended, .employer = &meridian, .employer_barred = true), NO_PATH, ORGANIZATION_NOT_ACTIVE },
	{ "the Authorized Official does not", EMPLOYER_REINSTATE,
	    BY_ON(rivera, lakeside, .employer = &meridian, .employer_barred = true), NO_PATH, NOT_HELP_DESK },
	{ "the help desk reads its queue", QUEUE_READ, { .now = 100, .actor = &desk }, NO_PATH, REASON_OK },
	{ "auditors do not", QUEUE_READ, { .now = 100, .actor = &auditor }, NO_PATH, NOT_HELP_DESK },
	{ "the help desk closes a case", CASE_CLOSE, { .now = 100, .actor = &desk, .help_case = &somebody_calls },
	    NO_PATH, REASON_OK },
	{ "one with an organization in it, too", CASE_CLOSE, BY_ON(desk, lakeside, .help_case = &official_left),
	    NO_PATH, REASON_OK },
	{ "not its own", CASE_CLOSE, { .now = 100, .actor = &desk, .help_case = &desk_calls }, NO_PATH,
	    CONFLICT_OF_INTEREST },
	{ "a revocation is executed or declined", CASE_CLOSE, BY_ON(desk, lakeside, .help_case = &revocation), NO_PATH,
	    NOT_FOUND },

	/* auditors */
	{ "an auditor reads the audit log", AUDIT_READ, { .now = 100, .actor = &auditor }, NO_PATH, REASON_OK },
	{ "the help desk does not", AUDIT_READ, { .now = 100, .actor = &desk }, NO_PATH, NOT_AUDITOR },
	{ "an auditor reviews access", ACCESS_REVIEW, { .now = 100, .actor = &auditor }, NO_PATH, REASON_OK },
};

static struct verdict judge(const struct row *row)
{
	struct trial trial;

	rule_open(&trial, row->action, &row->facts);
	for (size_t i = 0; i < row->count; i++)
		if (!rule_hear(&trial, &row->paths[i]))
			break;
	return rule_close(&trial);
}

static void each_sentence_is_so(void **unused)
{
	size_t failed = 0;

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct verdict v = judge(&rows[i]);
		if (v.why == rows[i].why && v.allow == (v.why == REASON_OK))
			continue;
		print_message("# %zu: %s: expected %s, got %s\n", i, rows[i].sentence, reason_word(rows[i].why),
		    reason_word(v.why));
		failed++;
	}
	assert_int_equal(failed, 0);
}

static void the_sentences_cover_every_action_and_every_reason_of_the_rule(void **unused)
{
	/* These are given by other floors: sign-in, sessions, the replica, the directory. */
	static const enum reason others[] = { SESSION_EXPIRED, MFA_REQUIRED, STALE_DIRECTORY, UNAVAILABLE };
	bool action[ACTIONS] = { false }, refused[ACTIONS] = { false }, reason[REASONS] = { false };

	(void)unused;
	for (size_t i = 0; i < COUNT(others); i++)
		reason[others[i]] = true;
	for (size_t i = 0; i < COUNT(rows); i++) {
		(rows[i].why == REASON_OK ? action : refused)[rows[i].action] = true;
		reason[rows[i].why] = true;
	}
	for (int i = 0; i < ACTIONS; i++)
		if (!action[i] || (!refused[i] && i != RECORD_UPDATE && i != RECORD_LIST && i != SUBMISSION_SUBMIT &&
		    i != CONSENT_REJECT && i != ACCESS_REVIEW))
			fail_msg("no sentence permits or refuses %s", action_word((enum action)i));
	for (int i = 0; i < REASONS; i++)
		if (!reason[i])
			fail_msg("no sentence is about %s", reason_word((enum reason)i));
}

static void the_path_that_was_used_is_told(void **unused)
{
	struct facts f = { .now = 100, .actor = &okafor, .provider = &lakeside };
	struct path closed_path = { &via_dormant, &dormant, NULL, false },
		    open = { &approved, &meridian, &consent, false };
	struct trial trial;

	(void)unused;
	rule_open(&trial, RECORD_VIEW, &f);
	assert_true(rule_hear(&trial, &closed_path));
	assert_false(rule_hear(&trial, &open)); /* nothing can change any more */
	assert_false(rule_hear(&trial, &closed_path)); /* not even by somebody who goes on all the same */
	struct verdict v = rule_close(&trial);
	assert_ptr_equal(v.path.tie, &approved);
	assert_ptr_equal(v.path.employer, &meridian);
	assert_ptr_equal(v.path.consent, &consent);
	assert_false(rule_hear(&trial, &closed_path)); /* a closed trial hears nobody */
	assert_true(rule_close(&trial).allow);

	/* Of two that came equally far, the first. */
	struct path none = { &approved, &meridian, NULL, false }, withdrew = { &approved, &meridian, &withdrawn, false };
	rule_open(&trial, RECORD_VIEW, &f);
	assert_true(rule_hear(&trial, &none));
	assert_true(rule_hear(&trial, &withdrew));
	v = rule_close(&trial);
	assert_int_equal(v.why, NO_CONSENT);
	assert_null(v.path.consent);

	f.actor = &patel;
	f.provider = &practice;
	rule_open(&trial, RECORD_VIEW, &f);
	assert_false(rule_hear(&trial, &closed_path));
	assert_ptr_equal(rule_close(&trial).path.employer, &practice);
}

static void who_is_tied_to_the_provider_may_know_of_it(void **unused)
{
	static const struct {
		const char *sentence;
		struct facts facts;
		struct path path;
		bool tied;
	} cases[] = {
		{ "an approved association ties", BY(okafor, lakeside), { &approved, &meridian, NULL, false }, true },
		{ "even through a suspended employer", BY(okafor, lakeside), { &via_dormant, &dormant, NULL, false },
		    true },
		{ "or one that is barred", BY(okafor, lakeside), { &approved, &meridian, NULL, true }, true },
		{ "or another than he acts for", BY_ON(okafor, lakeside, .acting_for = DORMANT),
		    { &approved, &meridian, NULL, false }, true },
		{ "and when the provider is suspended", BY(okafor, suspended), { &approved, &meridian, NULL, false },
		    true },
		{ "the Authorized Official is tied", BY(rivera, lakeside), { NULL, &lakeside, NULL, false }, true },
		{ "a pending request does not tie", BY(okafor, lakeside), { &pending, &meridian, NULL, false },
		    false },
		{ "nor an ended association", BY(okafor, lakeside), { &ended, &meridian, NULL, false }, false },
		{ "nor an expired one", BY(okafor, lakeside), { &lapsed, &meridian, NULL, false }, false },
		{ "nor somebody else's", BY(chen, lakeside), { &approved, &meridian, NULL, false }, false },
		{ "nor one with another provider", BY(okafor, lakeside), { &elsewhere, &meridian, NULL, false },
		    false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct trial trial;
		rule_open(&trial, RECORD_VIEW, &cases[i].facts);
		rule_hear(&trial, &cases[i].path);
		struct verdict v = rule_close(&trial);
		if (v.allow || v.tied != cases[i].tied)
			fail_msg("%s", cases[i].sentence);
	}
}

static void who_leaves_an_employer_has_nothing_through_it_any_more(void **unused)
{
	struct person *leaver = calloc(1, sizeof *leaver + sizeof leaver->leaving[0]);
	struct facts f = { .now = 100, .actor = leaver, .provider = &lakeside, .employer = &meridian, .for_himself = true };
	struct path open = { &approved, &meridian, &open_consent, false };
	struct trial trial;

	(void)unused;
	assert_non_null(leaver);
	*leaver = okafor;
	for (int leaves = 0; leaves < 2; leaves++) {
		leaver->leaving_count = 1;
		leaver->leaving[0] = leaves ? MERIDIAN : DORMANT;
		rule_open(&trial, RECORD_VIEW, &f);
		rule_hear(&trial, &open);
		struct verdict v = rule_close(&trial);
		assert_int_equal(v.why, leaves ? ASSOCIATION_ENDED : REASON_OK);
		assert_int_equal(v.tied, !leaves);
		rule_open(&trial, ASSOCIATION_REQUEST, &f); /* and comes back when he has left */
		assert_int_equal(rule_close(&trial).why, leaves ? ALREADY_DECIDED : REASON_OK);

		struct facts decision = { .now = 100, .actor = &rivera, .provider = &lakeside, .employer = &meridian,
			.request = &pending, .subject = leaver };
		rule_open(&trial, ASSOCIATION_APPROVE, &decision);
		assert_int_equal(rule_close(&trial).why, leaves ? ALREADY_DECIDED : REASON_OK);
	}

	/* The official's seat is his until it is given to another. */
	*leaver = rivera;
	leaver->leaving_count = 1;
	leaver->leaving[0] = LAKESIDE;
	rule_open(&trial, RECORD_VIEW, &f);
	rule_hear(&trial, &(struct path){ NULL, &lakeside, &direct_consent, false });
	assert_true(rule_close(&trial).allow);
	free(leaver);
}

static void an_explanation_lists_every_clause(void **unused)
{
	static const char *const names[] = { "person known", "account active", "provider known", "provider active",
		"through the employer acted for", "association approved", "employer active", "employer not barred",
		"consent in force" };
	static const enum clause_rests_on rests_on[] = { ON_ACTOR, ON_ACTOR, ON_PROVIDER, ON_PROVIDER, ON_TIE, ON_TIE,
		ON_EMPLOYER, ON_PROVIDER, ON_CONSENT };
	struct facts f = { .now = 100, .actor = &disabled, .provider = &lakeside };
	struct path p = { &pending, &dormant, &revoked, true };
	struct clause clauses[CLAUSES_MOST];

	(void)unused;
	size_t count = rule_explain(RECORD_VIEW, &f, &p, clauses);
	assert_int_equal(count, COUNT(names));
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(clauses[i].name, names[i]);
		assert_int_equal(clauses[i].rests_on, rests_on[i]);
	}
	assert_true(clauses[0].holds);
	assert_false(clauses[1].holds);
	assert_int_equal(clauses[1].otherwise, ACCOUNT_NOT_ACTIVE);
	assert_false(clauses[5].holds);
	assert_int_equal(clauses[5].otherwise, NO_ASSOCIATION); /* the association is not with that employer */
	assert_false(clauses[6].holds);
	assert_false(clauses[7].holds);
	assert_false(clauses[8].holds);

	f.actor = &patel;
	f.provider = &practice;
	count = rule_explain(RECORD_VIEW, &f, NULL, clauses);
	assert_int_equal(count, 5);
	assert_string_equal(clauses[4].name, "own practice");
	assert_true(clauses[4].holds);
	assert_int_equal(rule_explain(ACTIONS, &f, NULL, clauses), 0);
}

static void words_read_back(void **unused)
{
	enum action action;

	(void)unused;
	for (int i = 0; i < ACTIONS; i++) {
		assert_true(action_of_word(action_word((enum action)i), &action));
		assert_int_equal(action, i);
	}
	assert_false(action_of_word("record.View", &action));
	assert_false(action_of_word("", &action));
	assert_false(action_of_word(NULL, &action));
	assert_string_equal(action_word(ACTIONS), "unknown");
	for (int i = 0; i < REASONS; i++) {
		assert_true(strlen(reason_word((enum reason)i)) > 1);
		assert_true(strlen(reason_text((enum reason)i)) > 5);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(reason_word((enum reason)i), reason_word((enum reason)j));
	}
	assert_string_equal(reason_word(REASONS), "unknown");
	assert_string_equal(reason_text(REASONS), "Refused.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_sentence_is_so),
		cmocka_unit_test(the_sentences_cover_every_action_and_every_reason_of_the_rule),
		cmocka_unit_test(the_path_that_was_used_is_told),
		cmocka_unit_test(who_is_tied_to_the_provider_may_know_of_it),
		cmocka_unit_test(who_leaves_an_employer_has_nothing_through_it_any_more),
		cmocka_unit_test(an_explanation_lists_every_clause),
		cmocka_unit_test(words_read_back),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
