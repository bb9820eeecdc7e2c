/* What the gateway knows of the world: people, organizations, associations, consents, records, sessions, roles
 * and applications. Plain structs, the states of docs/rules.md and their words. No behaviour but words.
 *
 * Two forms of the same things:
 *   struct entry      as the directory tells it: names are texts, borrowed for the time of a call
 *   struct person …   as the replica holds it: names are numbers, small, never changed once published
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* ---- words ---- */

enum kind {
	KIND_PERSON,
	KIND_ORGANIZATION,
	KIND_ASSOCIATION,
	KIND_CONSENT,
	KIND_RECORD,
	KIND_SUBMISSION,
	KIND_SESSION,
	KIND_APPLICATION,
	KIND_ROLE,
	KIND_CLAIM,       /* to be the Authorized Official */
	KIND_CASE,        /* something that the help desk is to look at */
	KIND_GRANT,       /* what a token that was mailed allows, once; not in the replica */
	KIND_RESERVATION, /* that a TIN, mail address or the like is taken; not in the replica */
	KINDS,
};

enum state {
	STATE_NONE,
	STATE_REGISTERED, STATE_ACTIVE, STATE_SUSPENDED, STATE_CLOSED,  /* organization */
	STATE_DISABLED, STATE_REMOVED,                                  /* person: active, disabled, removed */
	STATE_PENDING, STATE_APPROVED, STATE_REJECTED, STATE_CANCELLED, /* association */
	STATE_EXPIRED, STATE_ENDED,                                     /* session: active, ended */
	STATE_PREPARED, STATE_SIGNED, STATE_WITHDRAWN, STATE_REVOKED,   /* consent */
	STATE_DRAFT, STATE_SUBMITTED, STATE_ACCEPTED, STATE_RETURNED,   /* submission; claim: submitted */
	STATE_EXECUTED, STATE_DECLINED,                                 /* case: submitted, executed, declined */
	STATES,
};

enum realm { REALM_LOCAL, REALM_NPPES };                     /* where a person's password is checked */
enum provider_kind { NOT_A_PROVIDER, PROVIDER_ORGANIZATION, PROVIDER_INDIVIDUAL };
enum case_kind {
	CASE_NONE,
	CASE_REVOCATION,    /* the AO asks that an employer's access be revoked */
	CASE_OFFICIAL_LEFT, /* an AO has left the employer that is his provider */
	CASE_ACCOUNT,       /* somebody asks for help with his account */
};
enum role { ROLE_HELP_DESK = 1, ROLE_AUDITOR = 2, ROLE_PROCESSOR = 4 }; /* bits */

const char *kind_word(enum kind);
const char *state_word(enum state);
enum state state_of_word(const char *);             /* STATE_NONE for an unknown word */
bool state_fits(enum kind, enum state);             /* may an entry of this kind be in this state? */
const char *case_word(enum case_kind);              /* employer_revocation, official_left, account */
enum case_kind case_of_word(const char *);          /* CASE_NONE for an unknown word */
const char *role_word(enum role);                   /* the cn below ou=roles: helpdesk, auditors, processors */

/* ---- identity and revision of an entry ---- */

struct uuid { unsigned char bytes[16]; };           /* entryUUID (RFC 4530) */
#define UUID_TEXT 37
void uuid_format(const struct uuid *, char out[UUID_TEXT]);

/* A change sequence number, as in entryCSN and contextCSN: "20261124063744.123456Z#000000#000#000000". */
struct revision {
	int64_t micros; /* since the epoch; 0: none */
	uint32_t count; /* 24 bits */
	uint16_t server;
	uint16_t modification;
};
#define REVISION_TEXT 41
bool revision_parse(const char *, size_t size, struct revision *out);
void revision_format(const struct revision *, char out[REVISION_TEXT]);
int revision_compare(const struct revision *, const struct revision *); /* <0, 0, >0: by time, count, server, mod */

/* ---- ids ---- */
bool id_is_uid(const char *);                       /* [a-z0-9][a-z0-9._-]{1,31} */
bool id_is_plain(const char *);                     /* [a-z0-9][a-z0-9-]{0,63}: organizations, associations, … */
bool id_is_enrollment(const char *);                /* I or O, YYYYMMDD, 6 digits */
bool id_is_npi(const char *);                       /* 10 digits, Luhn with prefix 80840 */
#define ID_MOST 64
#define ENROLLMENT_TEXT 16

/* ---- as the directory tells it ---- */

/* One entry of any kind. A field that its kind does not have, or that is absent, is NULL, 0 or NONE. Times are
 * seconds since the epoch, 0 if absent. Organizations and people are named by their ids, never by DNs. */
struct entry {
	enum kind kind;
	struct uuid uuid;
	struct revision revision;
	enum state state;
	const char *id;              /* uid, orgId, associationId, consentId, enrollmentId, …, session digest, role word */

	const char *provider;        /* association, consent, record, submission, claim: the organization that it lies in;
	                              * case: whom it is about, or NULL */
	const char *employer;        /* association, consent, case; submission: through whom it was made */
	const char *user;            /* association, session, claim, case, grant: whose; submission: author */

	enum realm realm;            /* person */
	const char *name;            /* person: cn; organization: o (legal business name); application: description */
	const char *mail;            /* person */
	const char *phone;           /* person */
	const char *const *npis;     /* person, organization, record */
	int64_t sessions_end;        /* person: sessions that began before this are void (scfSessionsEndAt) */
	int64_t password_changed_at; /* person: sessions that began by then are void; the directory's own (pwdChangedTime) */
	int64_t signed_in_at;        /* person: last sign-in, to a day */
	int64_t fraud_at;            /* person: removed for fraud; his organizations are suspended (rules.md, 5.3) */
	const char *const *leaving;  /* person: employers that he is leaving: what goes through them counts no more */
	bool second_factor;          /* person: has one; session: was begun with one */
	const char *const *recovery_digests; /* person: SHA-256 of recovery codes that are left, hex */

	enum provider_kind provider_kind; /* organization */
	bool is_employer;                 /* organization: may act for others */
	const char *official;             /* organization: the Authorized Official's uid */
	int64_t official_since;           /* organization: what was decided before waits for his confirmation */
	const char *tin, *tin_kind;       /* organization: 9 digits; ein or ssn */
	const char *postal_address;       /* organization: lines, separated by '$' (RFC 4517 3.3.28) */
	const char *const *barred;        /* organization: ids of barred employers, NULL-terminated, or NULL */

	int64_t not_before, not_after;    /* consent; association: not_after is the end of its approval, if any */
	int64_t expires;                  /* association: a request not decided by then has expired; session, grant: end */
	int64_t requested_at, decided_at; /* association, consent, submission, organization, claim, case (requested: created) */
	const char *requested_by, *decided_by; /* uid; organization: the registrant */
	const char *reason;               /* of the last decision, and with it: */
	const char *ticket, *identified_by; /* the help desk's own number; how a caller was identified */

	const char *signed_by, *signed_digest, *signed_how; /* consent: uid; SHA-256 of the text, hex; electronic or paper */
	int64_t signed_at;
	const char *attachment;           /* claim, consent: id of the document that was handed in, or NULL */
	const char *document_kind;        /* claim: cp575, 147c, deposit_coupon, other */
	enum case_kind case_kind;         /* case */
	const char *note;                 /* case, claim: in the words of whoever asked */
	const char *purpose;              /* grant: registration, mail, reset, guesses; reservation: tin, mail, npi, enrollment */
	const char *owner;                /* reservation: the id of what it was made for */

	int64_t started_at, seen_at, authenticated_at; /* session */
	const char *address;                           /* session: the client's address at sign-in */
	const char *agent;                             /* session: what the client called itself, shortened */

	const char *form;                 /* record, submission: 855A, 855B, … */
	const char *status;               /* record: enrollment status, free of access (approved, revoked, …) */
	const char *enrollment;           /* submission: id of the record that it has become */
	const char *made_from;            /* record: id of the submission that it was */
	const char *document;             /* record, submission, grant: the JSON body; consent: the text of the form;
	                                   * the replica does not ask for it */
	size_t document_size;

	const char *const *secret_digests;      /* application: SHA-256 of bearer secrets, hex, NULL-terminated */
	const char *const *certificate_digests; /* application: SHA-256 of client certificates (DER), hex */
	const char *const *permissions;         /* application: "decide" */
	const char *const *members;             /* role: uids, NULL-terminated */
};

/* Bits that name fields of an entry in a change (dir_update). */
enum field {
	FIELD_STATE = 1 << 0,
	FIELD_SEEN_AT = 1 << 1,
	FIELD_AUTHENTICATED_AT = 1 << 2,
	FIELD_DOCUMENT = 1 << 3,
	FIELD_DECIDED = 1 << 4, /* decided_by and decided_at */
	FIELD_REASON = 1 << 5,  /* reason, ticket and identified_by */
	FIELD_SESSIONS_END = 1 << 6,
	FIELD_SIGNED_IN_AT = 1 << 7,
	FIELD_FRAUD_AT = 1 << 8,
	FIELD_LEAVING = 1 << 9,
	FIELD_RECOVERY = 1 << 10,
	FIELD_NAME = 1 << 11,
	FIELD_MAIL = 1 << 12,
	FIELD_PHONE = 1 << 13,
	FIELD_NPIS = 1 << 14,
	FIELD_OFFICIAL = 1 << 15, /* official and official_since */
	FIELD_BARRED = 1 << 16,
	FIELD_TIN = 1 << 17,      /* tin and tin_kind */
	FIELD_POSTAL_ADDRESS = 1 << 18,
	FIELD_SIGNED = 1 << 19,   /* signed_by, signed_at, signed_digest and signed_how */
	FIELD_ATTACHMENT = 1 << 20,
	FIELD_ENROLLMENT = 1 << 21,
	FIELD_EXPIRES = 1 << 22,
};

/* ---- as the replica holds it ---- */

typedef uint32_t number; /* of a person or an organization, within one replica; 0 is nobody */

struct mark {
	struct uuid uuid;
	struct revision revision;
};

struct person {
	struct mark mark;
	int64_t sessions_end, signed_in_at;
	number no;
	uint8_t state, roles;        /* enum state, bits of enum role */
	uint8_t realm : 1;           /* enum realm */
	bool second_factor : 1;
	uint8_t leaving_count;
	char *uid;                   /* behind the numbers below, in the same block */
	number leaving[];            /* organizations, sorted */
};

struct organization {
	struct mark mark;
	number no;
	number official;          /* person; 0: no AO */
	number registrant;        /* person; 0: not known */
	uint8_t state;
	uint8_t provider_kind : 2;
	bool is_employer : 1;
	uint16_t barred_count;
	char *id;                 /* behind the numbers below, in the same block */
	number barred[];          /* organizations */
};

struct association {
	struct mark mark;
	int64_t expires, not_after;
	number user, employer, provider;
	uint8_t state;
	char id[];
};

struct consent {
	struct mark mark;
	int64_t not_before, not_after;
	number provider, employer;
	uint8_t state;
	char id[];
};

struct record {
	struct mark mark;
	number provider;
	char id[];
};

struct submission {
	struct mark mark;
	number provider, employer, user;
	uint8_t state;
	char enrollment[ENROLLMENT_TEXT]; /* accepted: of the record that it has become; "": none */
	char id[];
};

struct claim {
	struct mark mark;
	number provider, user;
	uint8_t state;
	char id[];
};

struct help_case {
	struct mark mark;
	number user, provider, employer; /* 0: none */
	uint8_t state, kind;             /* enum state, enum case_kind */
	char id[];
};

struct session {
	struct mark mark;
	int64_t started_at, seen_at, authenticated_at, expires;
	number user;
	uint8_t state;
	bool second_factor;
	unsigned char digest[32];
};

struct application {
	struct mark mark;
	uint8_t state;
	bool may_decide;
	char id[];
};
