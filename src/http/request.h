/* One request on its way through the door, and the reply to it. Handlers get the one and return the other as plain
 * structs; only server.c and reply.c know the HTTP library. */
#pragma once

#include "base/text.h"
#include "http/address.h"
#include "http/hygiene.h"
#include "http/policy.h"
#include "http/target.h"
#include "http/tls.h"
#include "http/upload.h"

struct MHD_Connection;
struct request;

#define REPLY_FIELDS 10

struct reply {
	unsigned status;       /* 0: run me again on a worker once the replica has reached request->at_least */
	const char *type;      /* of the body; NULL: no body */
	const char *body;      /* in the request's arena, or a literal */
	size_t size;
	struct revision revision; /* told as Scfgate-Revision; micros 0: none */
	struct {
		const char *name, *value; /* value "" is sent as an empty value */
	} fields[REPLY_FIELDS];
	unsigned count;
	bool close;            /* the connection */
	bool lean;             /* forward authorization: only a proxy reads it */
	bool secret;           /* body and cookie are wiped once they are sent */
	bool from_file;        /* the body is size bytes of this file, which is closed in the end */
	int file;
	char *cookie;          /* Set-Cookie, or NULL */
	int64_t not_before;    /* clock_steady_us: sent at that time at the earliest, so that it tells nothing */
};

enum route_flags {
	INLINE = 0,            /* never blocks: runs on the HTTP thread */
	WAITS = 1 << 0,        /* runs on a worker, the connection is suspended */
	SIGNED_IN = 1 << 1,    /* needs a session */
	JSON_BODY = 1 << 2,    /* needs Content-Type: application/json; without it, no body is taken */
	FORWARD = 1 << 3,      /* forward authorization: peers only, and refusals are 401, 403 and 503 */
	OPERATIONS = 1 << 4,   /* on the operations listener, and only there */
	OWN_LANGUAGE = 1 << 5, /* AuthZEN: a wrong Content-Type is 400 */
	MAY_ENROL = 1 << 7,    /* also for who must get a second factor first */
	UPLOAD = 1 << 6,       /* the body is a document, and goes to a file (upload.h) */
};

struct row {
	const char *method, *path; /* "/v1/records/{id}" */
	unsigned flags;
	struct reply (*handle)(struct request *);
};
extern const struct row routes_table[];
extern const size_t routes_count;
#define ROUTES_MOST 192 /* each is counted apart */
#define ALLOW_TEXT 40
/* The row of method (HEAD: the row of GET) and path; its variables, two at most, are copied into the arena. NULL: no
 * such row; then allow lists the methods that the path has, or is "". */
#define PATH_VARIABLES 2
const struct row *routes_find(struct arena *, const char *method, const struct target *, bool operations,
    const char *ids[PATH_VARIABLES], char allow[ALLOW_TEXT]);

/* Who has the next move on a connection. */
enum client_turn { TURN_CLIENT, TURN_BODY, TURN_OURS };

/* What one connection is. */
struct client {
	struct client *next, *before; /* in the list of all, under the door's lock */
	struct http *http;
	struct policy *policy;        /* of its last request */
	struct tls tls;               /* session NULL: the operations listener */
	struct address address;
	char address_text[ADDRESS_TEXT];
	int fd, wakes;                /* wakes: of its door, when the connection is resumed */
	bool seen;                    /* peer and certificate were looked at under this policy */
	bool is_peer;
	enum tls_peer certificate;
	unsigned char certificate_digest[32];
	_Atomic enum client_turn turn;
	_Atomic int64_t since;        /* ms: when the turn last changed */
};

enum step { STEP_HEAD, STEP_BODY, STEP_RUN, STEP_DONE };

struct request {
	struct request *next;         /* of a worker's queue, or of a thread's spare ones */
	struct http *http;
	struct client *client;
	const struct policy *policy;
	struct MHD_Connection *connection;
	struct arena *arena;

	/* What the world is made of, for handlers. */
	struct flow *flow;
	struct replica *replica;
	struct dir *dir;
	struct audit *audit;

	enum step step;
	const char *wrong_target;     /* NULL: it is canonical */
	struct target target;
	struct head head;
	const struct row *row;
	const char *ids[PATH_VARIABLES]; /* the variables of row->path, in its order */
	const char *id;               /* the first one */
	const char *method;
	char allow[ALLOW_TEXT];

	struct caller caller;
	char request_id[65];
	char token[129];              /* of the session; "" if there is none */
	bool by_cookie;
	bool has_at_least, waited;
	struct revision at_least;
	int64_t started_us;

	char *body;
	size_t body_size, body_room, body_swallowed;
	char held[512];               /* where a short body is kept */
	struct upload upload;         /* of a call with UPLOAD: the body; fd -1: none */
	size_t upload_place;

	struct reply reply;
};

/* ---- request.c: the steps of a request ---- */

/* The target is known, nothing else. exact: a NUL in it shows by what is behind its end. */
void request_begin(struct request *, const char *raw, bool exact);
/* The head is gathered in head. After it, reply.status tells a refusal; the body still has to be read. */
void request_head(struct request *, const char *method, const char *version, const char *end, size_t size);
/* A piece of the body. False: enough is enough, the connection must go. */
bool request_body(struct request *, const char *bytes, size_t size);
/* Everything is here: runs the handler, or says that a worker must (reply.status 0). */
void request_run(struct request *);
/* On a worker: waits for the replica if that was asked for, then runs the handler. */
void request_wait_and_run(struct request *);
/* Wipes and forgets everything but the request's own memory. */
void request_end(struct request *);

/* The session's token, from Authorization or the cookie, into q->token. False: there are two. */
bool request_token(struct request *, struct reply *refused);
/* Its session: caller is filled. False: there is none, or a cookie came without its CSRF token. */
bool request_session(struct request *, struct reply *refused);
/* The caller, who has been recognized, asks for a revision that the replica has not reached: a handler that must not
 * wait then returns a reply of status 0, and is run again once it is reached. */
bool request_must_wait(const struct request *);
/* The calling application, by client certificate or bearer secret. REASON_OK: caller.application is set. */
enum reason request_application(struct request *, bool with_secret);

/* ---- reply.c ---- */

/* {"type":"about:blank","title":…,"status":…,"detail":…,"reason":…,"request_id":…} (RFC 9457) */
struct reply reply_problem(struct request *, unsigned status, const char *reason, const char *detail);
/* The same with errors[]: 422. */
struct reply reply_form_problems(struct request *, const struct form_problems *);
struct reply reply_refused(struct request *, enum reason, const struct revision *);
/* managed_elsewhere, with the link to where. */
struct reply reply_elsewhere(struct request *, const char *link);
/* Whoever asks has not shown who he is, for this reason: 401, or 503 if it cannot be known. */
struct reply reply_unknown(struct request *, enum reason);
const char *reply_challenge(const struct request *); /* WWW-Authenticate (RFC 6750 3) */
struct reply reply_error(struct request *, struct err);
/* The text's bytes are copied into the arena, and the text is closed. */
struct reply reply_json(struct request *, unsigned status, struct text *);
struct reply reply_empty(unsigned status);
void reply_field(struct reply *, const char *name, const char *value);
/* Turns it into a response of the library and queues it. */
bool reply_send(struct request *);

/* ---- metrics.c ---- */
struct metrics;
struct metrics *metrics_open(void);
void metrics_close(struct metrics *);
void metrics_request(struct metrics *, const struct row *, unsigned status);
void metrics_decision(struct metrics *, enum action, enum reason, int64_t micros);
void metrics_sign_in(struct metrics *, enum sign_in_outcome, bool unavailable);
void metrics_tell(struct metrics *, struct text *);

/* ---- handlers ---- */
struct reply call_login(struct request *);
struct reply call_change_password(struct request *);
struct reply call_register(struct request *);
struct reply call_register_finish(struct request *);
struct reply call_profile(struct request *);
struct reply call_change_profile(struct request *);
struct reply call_confirm_mail(struct request *);
struct reply call_ask_reset(struct request *);
struct reply call_finish_reset(struct request *);
struct reply call_logout(struct request *);
struct reply call_reauthenticate(struct request *);
struct reply call_me(struct request *);
struct reply call_sessions(struct request *);
struct reply call_end_session(struct request *);
struct reply call_factor(struct request *);
struct reply call_factor_enrol(struct request *);
struct reply call_factor_confirm(struct request *);
struct reply call_factor_recovery(struct request *);
struct reply call_factor_remove(struct request *);
struct reply call_list_records(struct request *);
struct reply call_view_record(struct request *);
struct reply call_update_record(struct request *);
struct reply call_create_submission(struct request *);
struct reply call_list_submissions(struct request *);
struct reply call_view_submission(struct request *);
struct reply call_update_submission(struct request *);
struct reply call_delete_submission(struct request *);
struct reply call_submit_submission(struct request *);
struct reply call_accept_submission(struct request *);
struct reply call_return_submission(struct request *);
struct reply call_request_association(struct request *);
struct reply call_list_associations(struct request *);
struct reply call_view_association(struct request *);
struct reply call_approve_association(struct request *);
struct reply call_reject_association(struct request *);
struct reply call_end_association(struct request *);
struct reply call_cancel_association(struct request *);
struct reply call_confirm_association(struct request *);
struct reply call_leave_employer(struct request *);
struct reply call_request_revocation(struct request *);
struct reply call_list_revocations(struct request *);
struct reply call_view_revocation(struct request *);
struct reply call_execute_revocation(struct request *);
struct reply call_decline_revocation(struct request *);
struct reply call_reinstate_employer(struct request *);
struct reply call_auth_nginx(struct request *);
struct reply call_evaluation(struct request *);
struct reply call_explain(struct request *);
struct reply call_prepare_consent(struct request *);
struct reply call_list_consents(struct request *);
struct reply call_view_consent(struct request *);
struct reply call_consent_form(struct request *);
struct reply call_sign_consent(struct request *);
struct reply call_receive_consent(struct request *);
struct reply call_scan_consent(struct request *);
struct reply call_read_scan(struct request *);
struct reply call_withdraw_consent(struct request *);
struct reply call_approve_consent(struct request *);
struct reply call_reject_consent(struct request *);
struct reply call_revoke_consent(struct request *);
struct reply call_confirm_consent(struct request *);
struct reply call_help(struct request *);
struct reply call_help_topic(struct request *);
struct reply call_desk_queue(struct request *);
struct reply call_desk_account(struct request *);
struct reply call_unlock_account(struct request *);
struct reply call_reset_account(struct request *);
struct reply call_disable_account(struct request *);
struct reply call_enable_account(struct request *);
struct reply call_remove_account(struct request *);
struct reply call_remove_account_factor(struct request *);
struct reply call_open_case(struct request *);
struct reply call_view_case(struct request *);
struct reply call_close_case(struct request *);
struct reply call_register_organization(struct request *);
struct reply call_list_organizations(struct request *);
struct reply call_view_organization(struct request *);
struct reply call_update_organization(struct request *);
struct reply call_verify_organization(struct request *);
struct reply call_suspend_organization(struct request *);
struct reply call_reinstate_organization(struct request *);
struct reply call_close_organization(struct request *);
struct reply call_report_fraud(struct request *);
struct reply call_submit_claim(struct request *);
struct reply call_list_claims(struct request *);
struct reply call_view_claim(struct request *);
struct reply call_claim_document(struct request *);
struct reply call_compare_claim(struct request *);
struct reply call_approve_claim(struct request *);
struct reply call_replace_official(struct request *);
struct reply call_reject_claim(struct request *);
struct reply call_withdraw_claim(struct request *);
struct reply call_live(struct request *);
struct reply call_ready(struct request *);
struct reply call_metrics(struct request *);
