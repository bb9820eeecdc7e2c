/* The steps of a request: what must be right before a handler sees it, and how the handler is run. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "http/server.h"

#include "base/banned.h"

#define COOKIE "__Host-scfgate"

void request_begin(struct request *q, const char *raw, bool exact)
{
	size_t size = strlen(raw);

	q->step = STEP_HEAD;
	q->row = NULL;
	q->id = NULL;
	q->token[0] = '\0';
	q->by_cookie = q->has_at_least = q->waited = false;
	q->caller = (struct caller){ 0 };
	q->reply = (struct reply){ 0 };
	q->body = q->held;
	q->body_size = q->body_swallowed = 0;
	q->body_room = sizeof q->held;
	q->upload.fd = -1;
	q->wrong_target = target_read(raw, size, &q->target);
	/* The library cuts the request line at a NUL; behind a whole target comes the version. */
	if (exact && strncmp(raw + size + 1, "HTTP/", 5) != 0)
		q->wrong_target = "NUL in the target";
	if (q->target.query != NULL) /* the library is about to cut it into pieces */
		q->target.query = arena_strdup(q->arena, q->target.query);
}

/* ---- the head ---- */

static void name_request(struct request *q)
{
	static _Thread_local struct { char prefix[ID_TEXT]; uint64_t count; } made;
	const struct header *given = &q->head.headers[HEADER_REQUEST_ID];

	if (hygiene_is_request_id(given)) {
		memcpy(q->request_id, given->text, given->size);
		q->request_id[given->size] = '\0';
		return;
	}
	if (made.prefix[0] == '\0') {
		random_id(made.prefix);
		made.prefix[16] = '\0';
	}
	char *p = q->request_id;
	memcpy(p, made.prefix, 16);
	p += 16;
	*p++ = '-';
	uint64_t n = made.count++;
	for (int i = 7; i >= 0; i--, n >>= 5) /* always as long, so that answers that must not differ do not */
		p[i] = "0123456789abcdefghijklmnopqrstuv"[n & 31];
	p[8] = '\0';
}

static struct reply closing(struct reply r)
{
	r.close = true;
	return r;
}

static struct reply forbidden(void)
{
	return (struct reply){ .status = 403, .lean = true };
}

static bool is_method(const char *method)
{
	static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" };

	for (size_t i = 0; i < COUNT(methods); i++)
		if (strcmp(method, methods[i]) == 0)
			return true;
	return false;
}

static struct reply not_allowed(struct request *q, const char *allow)
{
	struct reply r = reply_problem(q, 405, "method_not_allowed", "This resource does not have this method.");

	reply_field(&r, "Allow", allow);
	return r;
}

static bool find_row(struct request *q, struct reply *refused)
{
	bool operations = q->client->tls.session == NULL;

	if (!is_method(q->method)) {
		*refused = not_allowed(q, "GET, HEAD, POST, PUT, PATCH, DELETE");
		return false;
	}
	q->row = routes_find(q->arena, q->method, &q->target, operations, q->ids, q->allow);
	q->id = q->ids[0];
	if (q->row != NULL)
		return true;
	*refused = q->allow[0] != '\0' ? not_allowed(q, q->allow) : reply_refused(q, NOT_FOUND, NULL);
	return false;
}

/* Doubled and look-alike headers. A proxy passes its client's on to /auth, where they are refused like anything
 * else that is not understood. */
static bool judge_headers(struct request *q, size_t size, struct reply *refused)
{
	if (size > q->policy->header_bytes) {
		*refused = closing(reply_problem(q, 431, "too_large", "The request's header fields are too large."));
		return false;
	}
	if (q->head.doubled != 0 || q->head.variant) {
		*refused = q->row->flags & FORWARD ? closing(forbidden()) :
		    closing(reply_problem(q, 400, "malformed_request", q->head.variant ?
		    "A header is named like one that has a meaning here, but for an underscore." :
		    "A header that must be single is there twice."));
		return false;
	}
	const struct header *expect = &q->head.headers[HEADER_EXPECT];
	if (expect->text != NULL && strcasecmp(expect->text, "100-continue") != 0) {
		*refused = closing(reply_problem(q, 417, "expectation_failed", "Only 100-continue can be expected."));
		return false;
	}
	return true;
}

static bool judge_document(struct request *q, struct reply *refused)
{
	if (q->head.body > q->policy->document_bytes) {
		*refused = closing(reply_problem(q, 413, "too_large", "The document is too large."));
		return false;
	}
	if (!hygiene_is_document(&q->head.headers[HEADER_CONTENT_TYPE])) {
		*refused = reply_problem(q, 415, "unsupported_media_type",
		    "Content-Type must be application/pdf, image/png, image/jpeg, image/gif or application/octet-stream.");
		return false;
	}
	return true;
}

static bool judge_body(struct request *q, struct reply *refused)
{
	unsigned flags = q->row->flags;

	if (flags & UPLOAD)
		return judge_document(q, refused);
	if (!(flags & JSON_BODY)) {
		if (!q->head.chunked && q->head.body == 0)
			return true;
		*refused = closing(reply_problem(q, 400, "malformed_request", "This call takes no body."));
		return false;
	}
	if (q->head.body > q->policy->body_bytes) {
		*refused = closing(reply_problem(q, 413, "too_large", "The body is too large."));
		return false;
	}
	if (!hygiene_is_json(&q->head.headers[HEADER_CONTENT_TYPE])) {
		*refused = reply_problem(q, flags & OWN_LANGUAGE ? 400 : 415, "unsupported_media_type",
		    "Content-Type must be application/json.");
		return false;
	}
	return true;
}

static bool judge_rate(struct request *q, struct reply *refused)
{
	const struct client *c = q->client;
	bool forward = q->row != NULL && q->row->flags & FORWARD;

	if (q->policy->requests_per_second == 0 || c->tls.session == NULL)
		return true;
	/* A proxy asks for all of its clients at once. */
	if (forward && (c->is_peer || c->certificate == TLS_PEER_VERIFIED))
		return true;
	if (address_may_ask(q->http->book, &c->address, q->policy->requests_per_second, clock_steady_ms()))
		return true;
	*refused = forward ? forbidden() : reply_problem(q, 429, "too_many_requests", "This address asks too often.");
	return false;
}

static bool read_at_least(struct request *q, struct reply *refused)
{
	const struct header *h = &q->head.headers[HEADER_AT_LEAST];

	if (h->text == NULL)
		return true;
	q->has_at_least = revision_parse(h->text, h->size, &q->at_least);
	if (q->has_at_least)
		return true;
	*refused = q->row->flags & FORWARD ? forbidden() :
	    reply_problem(q, 400, "invalid_request", "Scfgate-At-Least is not a revision (contextCSN).");
	return false;
}

/* ---- who asks ---- */

/* Ours are short. One that does not fit is none of ours, but still one that was sent. */
static void keep_token(struct request *q, const struct header *token)
{
	bool fits = token->size > 0 && token->size < sizeof q->token;
	size_t size = fits ? token->size : 1;

	memcpy(q->token, fits ? token->text : "-", size);
	q->token[size] = '\0';
}

bool request_token(struct request *q, struct reply *refused)
{
	struct header bearer, cookie;
	bool has_bearer = hygiene_bearer(&q->head, &bearer);
	int cookies = hygiene_cookie(&q->head, COOKIE, &cookie);

	if (cookies < 0 || (cookies > 0 && has_bearer)) {
		*refused = q->row->flags & FORWARD ? forbidden() : reply_problem(q, 400, "malformed_request",
		    "More than one session token: it must be in Authorization or in one cookie.");
		return false;
	}
	q->by_cookie = cookies > 0;
	if (has_bearer || q->by_cookie)
		keep_token(q, has_bearer ? &bearer : &cookie);
	return true;
}

/* Cookies come by themselves, from whatever page; the token in the header comes from ours. */
static bool has_csrf_token(const struct request *q)
{
	const struct header *h = &q->head.headers[HEADER_CSRF_TOKEN];
	char right[DIGEST_TEXT];

	if (!q->by_cookie || strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0)
		return true;
	flow_csrf_of(q->token, right);
	bool same = h->text != NULL && h->size == sizeof right - 1 && secret_equal(h->text, right, sizeof right - 1);
	secret_wipe(right, sizeof right);
	return same;
}

bool request_session(struct request *q, struct reply *refused)
{
	enum reason why = flow_recognize(q->flow, q->token[0] != '\0' ? q->token : NULL, &q->caller);

	if (why == MFA_REQUIRED && !(q->row->flags & MAY_ENROL)) {
		*refused = reply_refused(q, why, NULL);
		return false;
	}
	if (why != REASON_OK && why != MFA_REQUIRED) {
		*refused = reply_unknown(q, why);
		return false;
	}
	if (!has_csrf_token(q)) {
		*refused =
		    reply_problem(q, 403, "csrf", "A request that is signed in by cookie needs its X-CSRF-Token.");
		return false;
	}
	return true;
}

enum reason request_application(struct request *q, bool with_secret)
{
	bool has_certificate = q->client->certificate == TLS_PEER_VERIFIED;
	struct header bearer;
	const char *secret = NULL;

	if (with_secret && hygiene_bearer(&q->head, &bearer) && bearer.size > 0)
		secret = arena_copy(q->arena, bearer.text, bearer.size);
	if (secret == NULL && !has_certificate)
		return NOT_AUTHENTICATED;
	enum reason why = flow_recognize_application(q->arena, q->flow, secret,
	    has_certificate ? q->client->certificate_digest : NULL, &q->caller);
	if (secret != NULL)
		secret_wipe((char *)(uintptr_t)secret, bearer.size);
	return why;
}

static bool judge_head(struct request *q, size_t size, struct reply *refused)
{
	if (q->head.fault != NULL) {
		*refused = closing(reply_problem(q, 400, "malformed_request", q->head.fault));
		return false;
	}
	if (q->wrong_target != NULL) {
		bool is_long = strcmp(q->wrong_target, "too long") == 0;

		*refused = closing(reply_problem(q, is_long ? 414 : 400, "malformed_target", q->wrong_target));
		return false;
	}
	bool found = find_row(q, refused);
	if (!judge_rate(q, refused) || !found)
		return false;
	if (!judge_headers(q, size, refused) || !judge_body(q, refused) || !read_at_least(q, refused))
		return false;
	if (q->row->flags & SIGNED_IN && (!request_token(q, refused) || !request_session(q, refused)))
		return false;
	return !(q->row->flags & UPLOAD) || upload_begin(q, refused);
}

void request_head(struct request *q, const char *method, const char *version, const char *end, size_t size)
{
	struct reply refused = { 0 };

	q->method = method;
	hygiene_close(&q->head, end, version);
	name_request(q);
	q->caller.request_id = q->request_id;
	q->caller.address = q->client->address_text;
	q->caller.agent = q->head.headers[HEADER_USER_AGENT].text;
	if (judge_head(q, size, &refused))
		return;
	/* The body of a refused request is read and dropped, so that the connection can stay: if it is short enough. */
	if (q->head.chunked || q->head.body > q->policy->body_bytes)
		refused.close = true;
	q->reply = refused;
}

/* ---- the body ---- */

static void grow(struct request *q, size_t need)
{
	size_t room = 2 * q->body_room;

	while (room < need)
		room *= 2;
	char *more = must_alloc(room);
	memcpy(more, q->body, q->body_size);
	secret_wipe(q->body, q->body_size);
	if (q->body != q->held)
		free(q->body);
	q->body = more;
	q->body_room = room;
}

bool request_body(struct request *q, const char *bytes, size_t size)
{
	bool document = q->row != NULL && q->row->flags & UPLOAD;
	size_t most = document ? q->policy->document_bytes : q->policy->body_bytes;

	if (q->reply.status == 0 && q->upload.fd >= 0) {
		upload_take(q, bytes, size);
		return true;
	}
	if (q->reply.status == 0 && size > most - q->body_size)
		q->reply = closing(reply_problem(q, 413, "too_large", "The body is too large."));
	if (q->reply.status != 0) {
		q->body_swallowed += size;
		return q->body_swallowed <= most;
	}
	if (q->body_size + size > q->body_room)
		grow(q, q->body_size + size);
	memcpy(q->body + q->body_size, bytes, size);
	q->body_size += size;
	return true;
}

/* ---- the handler ---- */

bool request_must_wait(const struct request *q)
{
	return q->has_at_least && !q->waited && !replica_has_reached(q->replica, &q->at_least);
}

void request_run(struct request *q)
{
	q->reply = q->row->handle(q);
}

/* A revision of the future is not worth a worker's time. */
#define AHEAD_US 5000000

static bool wait_for(struct request *q)
{
	q->waited = true;
	return !q->has_at_least || (q->at_least.micros < clock_micros() + AHEAD_US &&
	    replica_wait(q->replica, &q->at_least, q->policy->fresh_ms).code == OK);
}

/* What was only looked at, and names no revision of its own, like a list, rests on this one, or on a later one. */
static struct reply run(struct request *q)
{
	struct revision reached = { 0 };

	WITH_REPLICA(view, q->replica) {
		reached = view.revision;
	}
	struct reply r = q->row->handle(q);
	bool looks = q->row->flags & SIGNED_IN && strcmp(q->row->method, "GET") == 0;
	if (looks && r.status == 200 && r.revision.micros == 0)
		r.revision = reached;
	return r;
}

void request_wait_and_run(struct request *q)
{
	/* Who is not signed in has not seen a revision that he could insist on. */
	bool in_time = (q->row->flags & (WAITS | SIGNED_IN)) == WAITS || wait_for(q);

	if (in_time)
		q->reply = run(q);
	else
		q->reply = q->row->flags & FORWARD ? (struct reply){ .status = 503, .lean = true } :
		    reply_refused(q, STALE_DIRECTORY, NULL);
	if (q->reply.status == 0)
		q->reply = reply_error(q, FAIL(ERR_BUG, "a handler gave no answer"));
}

void request_end(struct request *q)
{
	if (q->body_size > 0)
		secret_wipe(q->body, q->body_size);
	if (q->body != q->held)
		free(q->body);
	q->body = q->held;
	upload_end(q);
	if (q->reply.from_file && q->reply.file >= 0)
		close(q->reply.file);
	if (q->reply.secret) {
		secret_wipe((char *)(uintptr_t)q->reply.body, q->reply.size);
		if (q->reply.cookie != NULL)
			secret_wipe(q->reply.cookie, strlen(q->reply.cookie));
	}
	if (q->token[0] != '\0')
		secret_wipe(q->token, sizeof q->token);
	arena_reset(q->arena);
}
