/* The judge: docs/rules.md §3 as code. Facts in, verdict and reason out.
 * Pure: same facts, same verdict. No I/O, no clock, no allocation, no log, no LDAP. */
#pragma once

#include "model/model.h"

enum action {
	SUBMISSION_CREATE, SUBMISSION_READ, SUBMISSION_UPDATE, SUBMISSION_SUBMIT, SUBMISSION_DELETE,
	RECORD_VIEW, RECORD_UPDATE, RECORD_LIST,
	ASSOCIATION_REQUEST, ASSOCIATION_APPROVE, ASSOCIATION_REJECT, ASSOCIATION_END, ASSOCIATION_CANCEL,
	ASSOCIATION_CONFIRM,
	CONSENT_PREPARE, CONSENT_SIGN, CONSENT_RECEIVE, CONSENT_WITHDRAW,
	CONSENT_APPROVE, CONSENT_REJECT, CONSENT_REVOKE, CONSENT_CONFIRM,
	CLAIM_SUBMIT, CLAIM_WITHDRAW, CLAIM_APPROVE, CLAIM_REPLACE, CLAIM_REJECT,
	ORG_UPDATE, ORG_VERIFY, ORG_SUSPEND, ORG_CLOSE,
	ACCOUNT_UNLOCK, ACCOUNT_DISABLE, ACCOUNT_ENABLE, ACCOUNT_RESET, ACCOUNT_SECOND_FACTOR,
	ACCOUNT_FRAUD, ACCOUNT_REMOVE,
	EMPLOYER_LEAVE, EMPLOYER_REVOCATION_REQUEST, EMPLOYER_REVOCATION_EXECUTE, EMPLOYER_REVOCATION_DECLINE,
	EMPLOYER_REINSTATE,
	QUEUE_READ, CASE_CLOSE,
	AUDIT_READ, ACCESS_REVIEW,
	SUBMISSION_REVIEW, SUBMISSION_ACCEPT, SUBMISSION_RETURN,
	ACTIONS,
};

/* The words of docs/rules.md; docs and code are compared by tests/repo. */
enum reason {
	REASON_OK,
	NOT_AUTHENTICATED, ACCOUNT_NOT_ACTIVE, SESSION_EXPIRED, REAUTHENTICATION_REQUIRED, MFA_REQUIRED,
	NOT_FOUND, ORGANIZATION_NOT_ACTIVE,
	NO_ASSOCIATION, ASSOCIATION_PENDING, ASSOCIATION_ENDED, ASSOCIATION_EXPIRED,
	EMPLOYER_NOT_ACTIVE, EMPLOYER_BARRED,
	NO_CONSENT, CONSENT_PENDING, CONSENT_NOT_YET_EFFECTIVE, CONSENT_EXPIRED, CONSENT_REVOKED,
	NOT_AUTHORIZED_OFFICIAL, NOT_HELP_DESK, NOT_AUDITOR, NOT_PROCESSOR,
	OWN_REQUEST, CONFLICT_OF_INTEREST, ALREADY_DECIDED, AO_ALREADY_EXISTS, MANAGED_ELSEWHERE,
	STALE_DIRECTORY, UNAVAILABLE,
	REASONS,
};

const char *action_word(enum action);             /* "record.view" */
bool action_of_word(const char *, enum action *out);
const char *reason_word(enum reason);             /* "no_consent" */
const char *reason_text(enum reason);             /* one sentence for people */

/* What is known whatever the path. Pointers are borrowed, NULL where there is none. */
struct facts {
	int64_t now;                          /* seconds since the epoch */
	const struct person *actor;
	const struct organization *provider;  /* p: whose record, submission, association or consent it is */
	int64_t authenticated_at;             /* when the actor last proved who he is; 0: unknown */
	int64_t recent;                       /* seconds that such a proof stays recent (rules.md §6) */
	number acting_for;                    /* only paths through this employer count; 0: any */

	const struct association *request;    /* association.*: the one to decide on; .request: the open one, if any */
	const struct consent *form;           /* consent.*: the one to decide on */
	const struct submission *submission;  /* submission.*: the one to act on */
	const struct claim *claim;            /* claim.*, but for claim.submit: the one to act on */
	const struct help_case *help_case;    /* employer.revocation.execute, .decline, case.close: the one to act on */
	const struct person *subject;         /* account.*, case.*: whose; claim.*: the claimant; association.*: whose
	                                       * the request is; org.verify: the AO */
	const struct organization *employer;  /* association.*, consent.*, employer.*: e */
	bool employer_barred;                 /* p bars e */
	bool open_request;                    /* association.request: an open or approved one for (u, e, p) exists */
	bool for_himself;                     /* association.request: the actor asks for himself */
	bool involved;                        /* help desk: the actor is approved associate of an organization in the
	                                       * decision, or has an open claim to it */
};

/* One way for the actor to act for the provider: an association and a consent through the same employer. A path
 * that is not open is told too: it explains a refusal. */
struct path {
	const struct association *tie;        /* (actor, employer, provider); NULL: the actor is p's AO, employer = p */
	const struct organization *employer;  /* NULL: the entry is missing or not understood */
	const struct consent *consent;        /* (provider → employer); NULL: none */
	bool barred;                          /* provider bars employer */
};

struct verdict {
	bool allow;
	enum reason why;
	struct path path; /* the path used; on a refusal the one that came furthest; all NULL if there was none, or if the
	                   * action was refused or permitted whatever the path (own practice: employer = provider) */
	bool tied;        /* on a refusal: the actor is p's AO or has an approved, unexpired association with p: what he
	                   * may know of (rules.md, hidden existence: to others a refusal of a record is NOT_FOUND) */
};

/* A decision over any number of paths, in constant memory: open, hear each path, close.
 * rule_hear says false once no further path can change the verdict. */
struct trial {
	enum action action;
	const struct facts *facts;
	struct verdict best;
	int furthest;
	bool done;
};
void rule_open(struct trial *, enum action, const struct facts *);
bool rule_hear(struct trial *, const struct path *);
struct verdict rule_close(struct trial *);

/* Has the action checks that a path must satisfy? */
bool rule_asks_for_path(enum action);
/* Every check of the action for one path, in order, whether it holds or not. */
enum clause_rests_on { ON_ACTOR, ON_PROVIDER, ON_TIE, ON_EMPLOYER, ON_CONSENT, ON_REQUEST, ON_FORM, ON_SUBMISSION,
	ON_CLAIM, ON_CASE, ON_SUBJECT, ON_SESSION, ON_ROLE };
struct clause {
	const char *name;              /* "association approved" */
	bool holds;
	enum reason otherwise;         /* the reason if it does not hold */
	enum clause_rests_on rests_on; /* which entry it was read from */
};
#define CLAUSES_MOST 24
size_t rule_explain(enum action, const struct facts *, const struct path *, struct clause out[CLAUSES_MOST]);
