/* The words for actions and reasons, as in docs/rules.md; tests/repo compares the two. */
#include "rule/rule.h"

#include <string.h>

#include "base/banned.h"

static const char *const actions[ACTIONS] = {
	[SUBMISSION_CREATE] = "submission.create",
	[SUBMISSION_READ] = "submission.read",
	[SUBMISSION_UPDATE] = "submission.update",
	[SUBMISSION_SUBMIT] = "submission.submit",
	[SUBMISSION_DELETE] = "submission.delete",
	[RECORD_VIEW] = "record.view",
	[RECORD_UPDATE] = "record.update",
	[RECORD_LIST] = "record.list",
	[ASSOCIATION_REQUEST] = "association.request",
	[ASSOCIATION_APPROVE] = "association.approve",
	[ASSOCIATION_REJECT] = "association.reject",
	[ASSOCIATION_END] = "association.end",
	[ASSOCIATION_CANCEL] = "association.cancel",
	[ASSOCIATION_CONFIRM] = "association.confirm",
	[CONSENT_PREPARE] = "consent.prepare",
	[CONSENT_SIGN] = "consent.sign",
	[CONSENT_RECEIVE] = "consent.receive",
	[CONSENT_WITHDRAW] = "consent.withdraw",
	[CONSENT_APPROVE] = "consent.approve",
	[CONSENT_REJECT] = "consent.reject",
	[CONSENT_REVOKE] = "consent.revoke",
	[CONSENT_CONFIRM] = "consent.confirm",
	[CLAIM_SUBMIT] = "claim.submit",
	[CLAIM_WITHDRAW] = "claim.withdraw",
	[CLAIM_APPROVE] = "claim.approve",
	[CLAIM_REPLACE] = "claim.replace",
	[CLAIM_REJECT] = "claim.reject",
	[ORG_UPDATE] = "org.update",
	[ORG_VERIFY] = "org.verify",
	[ORG_SUSPEND] = "org.suspend",
	[ORG_CLOSE] = "org.close",
	[ACCOUNT_UNLOCK] = "account.unlock",
	[ACCOUNT_DISABLE] = "account.disable",
	[ACCOUNT_ENABLE] = "account.enable",
	[ACCOUNT_RESET] = "account.reset",
	[ACCOUNT_SECOND_FACTOR] = "account.second_factor",
	[ACCOUNT_FRAUD] = "account.fraud",
	[ACCOUNT_REMOVE] = "account.remove",
	[EMPLOYER_LEAVE] = "employer.leave",
	[EMPLOYER_REVOCATION_REQUEST] = "employer.revocation.request",
	[EMPLOYER_REVOCATION_EXECUTE] = "employer.revocation.execute",
	[EMPLOYER_REVOCATION_DECLINE] = "employer.revocation.decline",
	[EMPLOYER_REINSTATE] = "employer.reinstate",
	[QUEUE_READ] = "queue.read",
	[CASE_CLOSE] = "case.close",
	[AUDIT_READ] = "audit.read",
	[ACCESS_REVIEW] = "access.review",
	[SUBMISSION_REVIEW] = "submission.review",
	[SUBMISSION_ACCEPT] = "submission.accept",
	[SUBMISSION_RETURN] = "submission.return",
};

static const struct {
	const char *word, *text;
} reasons[REASONS] = {
	[REASON_OK] = { "ok", "Permitted." },
	[NOT_AUTHENTICATED] = { "not_authenticated", "Nobody is signed in, or the person is not known here." },
	[ACCOUNT_NOT_ACTIVE] = { "account_not_active", "The account is disabled or removed." },
	[SESSION_EXPIRED] = { "session_expired", "The session has ended; please sign in again." },
	[REAUTHENTICATION_REQUIRED] = { "reauthentication_required", "This needs the password once more." },
	[MFA_REQUIRED] = { "mfa_required", "This needs a second factor." },
	[NOT_FOUND] = { "not_found", "There is no such thing, or it is not shown to this person." },
	[ORGANIZATION_NOT_ACTIVE] = { "organization_not_active", "The organization is not active." },
	[NO_ASSOCIATION] = { "no_association", "There is no approved association that would allow this." },
	[ASSOCIATION_PENDING] = { "association_pending", "The association waits for a decision." },
	[ASSOCIATION_ENDED] = { "association_ended", "The association has been ended." },
	[ASSOCIATION_EXPIRED] = { "association_expired", "The association, or the request for it, has expired." },
	[EMPLOYER_NOT_ACTIVE] = { "employer_not_active", "The employer is not active." },
	[EMPLOYER_BARRED] = { "employer_barred", "The provider has barred this employer." },
	[NO_CONSENT] = { "no_consent", "The provider has not consented that this employer sees its records." },
	[CONSENT_PENDING] = { "consent_pending", "The consent form is not signed or not approved yet." },
	[CONSENT_NOT_YET_EFFECTIVE] = { "consent_not_yet_effective", "The consent is approved but has not begun yet." },
	[CONSENT_EXPIRED] = { "consent_expired", "The consent has expired." },
	[CONSENT_REVOKED] = { "consent_revoked", "The consent has been revoked." },
	[NOT_AUTHORIZED_OFFICIAL] = { "not_authorized_official", "Only the provider's Authorized Official may do this." },
	[NOT_HELP_DESK] = { "not_help_desk", "Only the help desk may do this." },
	[NOT_AUDITOR] = { "not_auditor", "Only auditors may do this." },
	[NOT_PROCESSOR] = { "not_processor", "Only processors of applications may do this." },
	[OWN_REQUEST] = { "own_request", "One asks only for oneself, and never decides on an own request." },
	[CONFLICT_OF_INTEREST] = { "conflict_of_interest", "Whoever is part of the matter does not decide it." },
	[ALREADY_DECIDED] = { "already_decided", "It is not in the state that this starts from: somebody was first." },
	[AO_ALREADY_EXISTS] = { "ao_already_exists", "The organization has an Authorized Official already." },
	[MANAGED_ELSEWHERE] = { "managed_elsewhere", "This is managed in another system." },
	[STALE_DIRECTORY] = { "stale_directory", "The copy of the directory is too old; please try again." },
	[UNAVAILABLE] = { "unavailable", "A part that this needs does not answer; please try again." },
};

const char *action_word(enum action action)
{
	return (unsigned)action < ACTIONS ? actions[action] : "unknown";
}

bool action_of_word(const char *word, enum action *out)
{
	for (int i = 0; word && i < ACTIONS; i++)
		if (strcmp(word, actions[i]) == 0) {
			*out = (enum action)i;
			return true;
		}
	return false;
}

const char *reason_word(enum reason reason)
{
	return (unsigned)reason < REASONS ? reasons[reason].word : "unknown";
}

const char *reason_text(enum reason reason)
{
	return (unsigned)reason < REASONS ? reasons[reason].text : "Refused.";
}
