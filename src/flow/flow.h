/* The workflows: gather facts → decide → audit → act. Each is one function; it takes and gives plain structs and
 * knows no HTTP and no LDAP. Those marked [waits] talk to the directory or wait for the disk and must not run on an
 * HTTP thread; the others never block. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "audit/audit.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/secret.h"
#include "dir/dir.h"
#include "flow/form.h"
#include "mail/mail.h"
#include "model/model.h"
#include "replica/replica.h"
#include "rule/rule.h"

struct flow_settings {
	int session_idle_s, session_absolute_s; /* 900, 43200 */
	int session_touch_s;                    /* a use is written to the directory at most this often: 60 */
	int recent_s;                           /* recent authentication, 300 */
	int wait_ms;                            /* read-your-writes and at-least-as-fresh: wait at most */
	int guesses_per_account;                /* failures per (address, account) in the window: 3 */
	int guesses_per_address;                /* failures per address in the window: 20 */
	int guess_window_s;                     /* 7200 */
	int password_least, password_least_with_second_factor; /* characters: 15, 8 */
	const char *const *password_blocklists; /* files of passwords that nobody may have; ends with NULL; or NULL */
	int registration_hours, reset_minutes;  /* how long the links that are mailed hold: 12, 30 */
	int mails_per_address, mails_per_account; /* that may be asked for in the window, signed in or not: 20, 3 */
	const char *public_url;                 /* what links in mails begin with */
	const char *nppes_link;                 /* where practitioners look after their accounts */
	int document_keep_days;                 /* documents are removed so long after the decision: 90 */
	int refusal_ms;                         /* refusals are answered at multiples of this after the request: 100; 0: at once */
	const char *const *second_factor_for;   /* who must have one: helpdesk, auditors, processors, officials; ends with NULL */
	int request_days;                       /* an association that was asked for waits so long for a decision: 60 */
	const char *issuer;                     /* what authenticators call us; no change by a reload */
	const char *consent_text, *consent_font; /* files: of the Security Consent Form (paper.h); NULL: there is none */
	int inactive_days;                      /* an account without a sign-in for longer is disabled by the next: 60; 0: never */
};

/* A document that was handed in: a file, and what it is by its content. */
struct upload {
	int fd;
	size_t size;
	const char *media_type; /* filled by flow_judge_document */
};
enum document_verdict { DOCUMENT_FINE, DOCUMENT_EMPTY, DOCUMENT_UNKNOWN, DOCUMENT_TRUNCATED, DOCUMENT_UNREADABLE };
/* [waits] PDF, PNG, JPEG or GIF, from its first bytes to its last? */
enum document_verdict flow_judge_document(struct upload *);

/* Can the files that the settings name be used? For scfgated -n, and before flow_open, for whoever must mend them. */
struct err flow_check(struct arena *, const struct flow_settings *);

struct flow; /* everything the workflows work on; safe for many threads */
struct err flow_open(const struct flow_settings *, struct replica *, struct dir *, struct dir *nppes,
    struct audit *, const struct forms *, struct mail *, struct flow **out);
void flow_close(struct flow *);
void flow_mail_status(struct flow *, struct mail_status *out);
/* [waits] Before the first answer: for the replica, and until what others left half done is finished. Returns without, if
 * there is no directory to do it in; it is done then as soon as there is one. */
void flow_mend(struct flow *);
void flow_configure(struct flow *, const struct flow_settings *); /* after a reload; takes effect for the next call */

/* Who asks, from where. Filled by the door; texts live as long as the request. */
struct caller {
	const char *request_id, *address, *agent;
	const char *application;       /* id of the calling application, if one authenticated itself */
	/* Filled by flow_recognize: */
	char uid[33];                  /* "" : nobody */
	char session[DIGEST_TEXT];     /* digest of the token, hex; "" : none */
	int64_t authenticated_at;
	bool second_factor;            /* the session was begun with one */
};

/* Why something is decided. Every act of the help desk needs a reason or a ticket (ERR_INVALID without), and for a
 * caller how he was identified. */
struct grounds {
	const char *reason, *ticket, *identified_by;
};

/* Which part of a list: at most limit things (0: 50; at most 200), after those before the cursor (opaque; NULL: the
 * first ones). A cursor that is none is ERR_INVALID. */
struct page {
	size_t limit;
	const char *cursor;
};

/* What every workflow says besides its result. */
struct answer {
	struct verdict verdict;        /* its pointers are not valid any more: use the texts below */
	struct revision revision;      /* of the replica it was decided on, or reached after the write */
	const char *provider, *employer, *association, *consent; /* of the path used, in the arena; NULL if none */
};

/* ---- sessions ---- */

/* Finds the session of a token (as the client sent it) and fills caller. verdict: ok, not_authenticated (no or an
 * unknown token), session_expired, account_not_active, stale_directory; mfa_required: caller is filled, but may do no more
 * than get himself the second factor that he must have. Never blocks: uses of a session are noted for the touch thread. */
enum reason flow_recognize(struct flow *, const char *token, struct caller *);

/* Finds the application of a bearer secret or a client certificate (SHA-256 of its DER), either may be NULL, and sets
 * caller->application (copied into the arena). not_authenticated: unknown, not active, or not permitted to ask for
 * decisions; stale_directory. Never blocks. */
enum reason flow_recognize_application(struct arena *, struct flow *, const char *secret,
    const unsigned char certificate[32], struct caller *);

enum sign_in_outcome {
	SIGN_IN_OK,
	SIGN_IN_REFUSED,      /* unknown, wrong, locked, disabled, throttled for this account: one answer for all */
	SIGN_IN_MUST_CHANGE,  /* right password, but it must be changed first; no session */
	SIGN_IN_EXPIRED,      /* right password, but expired and no grace left; no session */
	SIGN_IN_TOO_MANY,     /* this address fails too often: 429 */
	SIGN_IN_NEW_REFUSED,  /* right password, but the new one is not taken: problems; no session */
	SIGN_IN_ELSEWHERE,    /* right password, but it is changed at NPPES; no session */
};
struct sign_in {
	enum sign_in_outcome outcome;
	char token[TOKEN_TEXT];     /* shown once; wiped by the door after the answer */
	char csrf[DIGEST_TEXT];     /* for browsers: what unsafe requests must repeat */
	char uid[33];
	int64_t expires;            /* absolute end, seconds since the epoch */
	int64_t answer_at;          /* a refusal: not before this (steady microseconds), so that its time tells nothing; 0 */
	bool must_enrol;            /* the session may do no more than get a second factor */
	int grace;                  /* sign-ins left with an expired password; -1 */
	int64_t password_expires;   /* seconds; -1 */
	struct form_problems problems; /* of the new password */
	struct revision revision;
};
/* What is typed in to prove who one is. */
struct credentials {
	const char *username;                    /* not for flow_reauthenticate */
	const char *password, *new_password;     /* any bytes; new_password NULL: it is to stay */
	size_t password_size, new_password_size;
	const char *otp;                         /* the code of the second factor, or a recovery code; NULL: none */
};
/* [waits] old_token: the session that the client had before (ended: rotation), or NULL. */
struct err flow_sign_in(struct arena *, struct flow *, const struct caller *, const struct credentials *,
    const char *old_token, struct sign_in *out);
/* [waits] */
struct err flow_sign_out(struct arena *, struct flow *, const struct caller *, struct revision *out);
/* [waits] The same person proves again who he is: right → the session's authentication time is now, and the token
 * is rotated (out as in sign-in). */
struct err flow_reauthenticate(struct arena *, struct flow *, const struct caller *, const struct credentials *,
    struct sign_in *out);
/* The CSRF token that belongs to a session token. */
void flow_csrf_of(const char *token, char out[DIGEST_TEXT]);

struct session_info {
	const char *id;      /* the digest, hex */
	const char *address, *agent;
	int64_t started_at, seen_at, expires;
	bool current;
};
/* [waits] The caller's own live sessions, newest first. */
struct err flow_sessions(struct arena *, struct flow *, const struct caller *, struct session_info **out,
    size_t *count);
/* [waits] ERR_NOT_FOUND: not his, or none such. */
struct err flow_end_session(struct arena *, struct flow *, const struct caller *, const char *id, struct revision *out);

/* ---- second factor: time-based codes (RFC 6238), checked by the directory ---- */

#define RECOVERY_CODES 10
#define RECOVERY_TEXT 20                 /* "abcd-efgh-ijkl-mnop" */
struct second_factor {
	bool active;
	int recovery_left;               /* codes that have not been used */
	/* flow_factor_enrol: shown once; in the arena, wiped by the door after the answer. */
	char *secret, *uri;              /* base32; otpauth://… */
};
struct recovery_codes { char code[RECOVERY_CODES][RECOVERY_TEXT]; };
/* [waits] All of these answer with a reason that is not ok if it may not be: reauthentication_required,
 * managed_elsewhere, already_decided (there is one, or none), or not_authenticated: the code is not right. */
struct err flow_factor_status(struct arena *, struct flow *, const struct caller *, struct second_factor *out);
struct err flow_factor_enrol(struct arena *, struct flow *, const struct caller *, struct second_factor *out,
    enum reason *why);
struct err flow_factor_confirm(struct arena *, struct flow *, const struct caller *, const char *code,
    struct recovery_codes *out, enum reason *why, struct revision *);
struct err flow_factor_recovery(struct arena *, struct flow *, const struct caller *, struct recovery_codes *out,
    enum reason *why, struct revision *);
struct err flow_factor_remove(struct arena *, struct flow *, const struct caller *, enum reason *why, struct revision *);

struct me { const char *uid, *name, *mail, *realm; const char *roles[4]; bool must_enrol; };
struct err flow_me(struct arena *, struct flow *, const struct caller *, struct me *out); /* [waits] */

/* ---- decisions ---- */

struct question {
	const char *subject;         /* uid */
	enum action action;
	const char *resource_kind;   /* "record", "provider", "association", "consent", "submission", "user" */
	const char *resource;        /* its id; audit.read and access.review need none */
	/* An employer's id, or NULL: through whom it is done; for association.request, consent.prepare,
	 * employer.revocation.request and employer.reinstate whom it is about. */
	const char *acting_for;
	int64_t authenticated_at;    /* 0: unknown */
	const struct revision *at_least; /* or NULL; not reached: stale_directory */
	bool explain;
};
struct explained_clause {
	const char *name;
	bool holds;
	enum reason otherwise;
	const char *dn;              /* of the entry that it rests on, or NULL if there is no such entry */
	struct revision revision;    /* of that entry; micros 0: none */
};
struct explained_path {
	const char *employer, *association, *consent; /* ids or NULL */
	struct explained_clause *clauses;
	size_t count;
	bool open;
};
struct explanation {
	struct explained_path *paths; /* every path looked at; at least one, empty of entries if there is or need be no path */
	size_t count, decisive;       /* decisive: which of them the verdict rests on */
};
/* Decides and audits. Never blocks. ERR_INVALID: the action is not asked of such a resource. The answer's verdict is
 * what may be told to the subject (hidden existence applied); real is what the rule said, for callers that may know
 * (applications, auditors). */
struct err flow_decide(struct arena *, struct flow *, const struct caller *, const struct question *,
    struct answer *out, enum reason *real, struct explanation *explanation);

/* ---- enrollment data ---- */
struct document {
	const char *id, *provider, *form, *status;
	const char *json;
	size_t size;
	struct revision revision;    /* the entry's: its ETag */
};
/* [waits] record.list / record.view / record.update; acting_for may be NULL. All of them return SUCCESS with a verdict
 * that is no permit, or do what the verdict permits. ERR_UNAVAILABLE also if the directory does not show or save what
 * the rule permits. The list tells no bodies; a cursor that is none is ERR_INVALID. */
struct err flow_list_records(struct arena *, struct flow *, const struct caller *, const char *provider,
    const char *acting_for, const struct page *, struct answer *, struct document **out, size_t *count,
    const char **next);
struct err flow_view_record(struct arena *, struct flow *, const struct caller *, const char *id,
    const char *acting_for, struct answer *, struct document *out);
/* expected: from If-Match. ERR_CONFLICT: the record has changed since (412). problems: field-precise, see form.h. */
struct err flow_update_record(struct arena *, struct flow *, const struct caller *, const char *id,
    const char *acting_for, const struct revision *expected, const char *json, size_t size, struct answer *,
    struct document *out, struct form_problems *);
