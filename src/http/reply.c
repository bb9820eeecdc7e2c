/* Builds replies: JSON, problems (RFC 9457), and what the HTTP library makes of them. */
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "http/request.h"

#include "base/banned.h"

static const struct {
	unsigned status;
	const char *title;
} titles[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 409, "Conflict" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

static const char *title_of(unsigned status)
{
	for (size_t i = 0; i < COUNT(titles); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Unknown";
}

void reply_field(struct reply *r, const char *name, const char *value)
{
	if (r->count < REPLY_FIELDS) {
		r->fields[r->count].name = name;
		r->fields[r->count++].value = value;
	}
}

struct reply reply_empty(unsigned status)
{
	return (struct reply){ .status = status };
}

struct reply reply_json(struct request *q, unsigned status, struct text *t)
{
	struct reply r = {
		.status = status,
		.type = "application/json",
		.body = arena_copy(q->arena, t->bytes, t->size),
		.size = t->size,
	};

	secret_wipe(t->bytes, t->size);
	text_close(t);
	return r;
}

static void begin_problem(
    struct text *t, const struct request *q, unsigned status, const char *reason, const char *detail)
{
	/* RFC 9457 4.2.1: about:blank, as the title is the status's own; what is particular is said by the reason. */
	text_printf(
	    t, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":", title_of(status), status);
	text_json(t, detail);
	text_puts(t, ",\"reason\":");
	text_json(t, reason);
	text_puts(t, ",\"request_id\":");
	text_json(t, q->request_id);
}

struct reply reply_problem(struct request *q, unsigned status, const char *reason, const char *detail)
{
	char store[1024];
	struct text t;

	text_open(&t, store, sizeof store);
	begin_problem(&t, q, status, reason, detail);
	text_puts(&t, "}");
	struct reply r = reply_json(q, status, &t);
	r.type = "application/problem+json";
	if (status == 429 || status == 503)
		reply_field(&r, "Retry-After", "1");
	return r;
}

/* "name is required; phone/0 must be …": what is there in errors, for people. */
static const char *sentence(struct request *q, const struct form_problems *p)
{
	char store[1024];
	struct text t;

	text_open(&t, store, sizeof store);
	for (size_t i = 0; i < p->count; i++) {
		const char *at = p->list[i].pointer, *what = at[0] != '/' ? "The document" : at[1] != '\0' ? at + 1 : "''";

		text_printf(&t, "%s%s %s", i > 0 ? "; " : "", what, p->list[i].rule);
	}
	text_puts(&t, ".");
	const char *copy = arena_copy(q->arena, t.bytes, t.size);
	text_close(&t);
	return copy;
}

struct reply reply_form_problems(struct request *q, const struct form_problems *p)
{
	char store[2048];
	struct text t;

	text_open(&t, store, sizeof store);
	begin_problem(&t, q, 422, "invalid_document", sentence(q, p));
	text_puts(&t, ",\"errors\":[");
	for (size_t i = 0; i < p->count; i++) {
		text_puts(&t, i > 0 ? ",{\"pointer\":" : "{\"pointer\":");
		text_json(&t, p->list[i].pointer);
		text_puts(&t, ",\"rule\":");
		text_json(&t, p->list[i].rule);
		text_puts(&t, "}");
	}
	text_puts(&t, "]}");
	struct reply r = reply_json(q, 422, &t);
	r.type = "application/problem+json";
	return r;
}

static unsigned status_of(enum reason why)
{
	switch (why) {
	case NOT_AUTHENTICATED:
	case SESSION_EXPIRED:
		return 401;
	case NOT_FOUND:
		return 404;
	case ALREADY_DECIDED:
	case AO_ALREADY_EXISTS:
		return 409;
	case STALE_DIRECTORY:
	case UNAVAILABLE:
	case REASON_OK: /* a refusal without a reason is a fault of ours; it must not look like a permit */
		return 503;
	default:
		return 403;
	}
}

static struct reply refusal(struct request *q, unsigned status, enum reason why)
{
	struct reply r = reply_problem(q, status, reason_word(why), reason_text(why));

	if (status == 401)
		reply_field(&r, "WWW-Authenticate", reply_challenge(q));
	return r;
}

const char *reply_challenge(const struct request *q)
{
	return q->token[0] != '\0' ? "Bearer realm=\"scfgate\", error=\"invalid_token\"" : "Bearer realm=\"scfgate\"";
}

struct reply reply_refused(struct request *q, enum reason why, const struct revision *revision)
{
	struct reply r = refusal(q, status_of(why), why);

	if (revision != NULL)
		r.revision = *revision;
	return r;
}

struct reply reply_elsewhere(struct request *q, const char *link)
{
	char store[1024];
	struct text t;

	text_open(&t, store, sizeof store);
	begin_problem(&t, q, 403, reason_word(MANAGED_ELSEWHERE), reason_text(MANAGED_ELSEWHERE));
	text_puts(&t, ",\"link\":");
	text_json(&t, link);
	text_puts(&t, "}");
	struct reply r = reply_json(q, 403, &t);
	r.type = "application/problem+json";
	return r;
}

struct reply reply_unknown(struct request *q, enum reason why)
{
	return refusal(q, status_of(why) == 503 ? 503 : 401, why);
}

struct reply reply_error(struct request *q, struct err e)
{
	switch (e.code) {
	case ERR_INVALID:
		return reply_problem(q, 400, "invalid_request", e.what);
	case ERR_NOT_FOUND:
		return reply_refused(q, NOT_FOUND, NULL);
	case ERR_CONFLICT:
		return reply_problem(
		    q, 409, "conflict", "Somebody else was first: the state named in the request is gone.");
	case ERR_UNAVAILABLE:
		log_event(LOG_WARNING, "request.unavailable", "request=%s error=\"%s\"", q->request_id, e.what);
		return reply_refused(q, UNAVAILABLE, NULL);
	case OK:
	case ERR_BUG:
		break;
	}
	log_event(LOG_ERROR, "request.bug", "request=%s error=\"%s\"", q->request_id, e.what != NULL ? e.what : "");
	return reply_problem(q, 500, "bug", "The gateway has made a mistake; the request id leads to it in the log.");
}

/* ---- to the library ---- */

/* A field that the library does not take must not go missing silently: behind a proxy the client's own copy of it
 * would be believed. */
static bool put(struct MHD_Response *out, const char *name, const char *value)
{
	return MHD_add_response_header(out, name, value) == MHD_YES;
}

static bool put_fields(const struct request *q, const struct reply *r, struct MHD_Response *out)
{
	bool fine = put(out, "Cache-Control", "no-store");

	if (!r->lean) {
		fine = fine && put(out, "X-Request-ID", q->request_id) && put(out, "X-Content-Type-Options", "nosniff");
		if (q->client->tls.session != NULL)
			fine = fine && put(out, "Strict-Transport-Security", "max-age=31536000");
	}
	if (r->type != NULL)
		fine = fine && put(out, "Content-Type", r->type);
	if (r->revision.micros != 0) {
		char revision[REVISION_TEXT];

		revision_format(&r->revision, revision);
		fine = fine && put(out, "Scfgate-Revision", revision);
	}
	/* The library takes no empty value; a blank is one on the wire (RFC 9110 5.5). */
	for (unsigned i = 0; i < r->count; i++)
		fine = fine && put(out, r->fields[i].name, r->fields[i].value[0] != '\0' ? r->fields[i].value : " ");
	if (r->cookie != NULL)
		fine = fine && put(out, "Set-Cookie", r->cookie);
	if (r->close)
		fine = fine && put(out, "Connection", "close");
	return fine;
}

/* The library reads a file piece by piece, and closes it in the end. */
static struct MHD_Response *begin_response(struct reply *r)
{
	if (!r->from_file)
		return MHD_create_response_from_buffer(
		    r->size, (void *)(uintptr_t)(r->size > 0 ? r->body : ""), MHD_RESPMEM_PERSISTENT);
	struct MHD_Response *out = MHD_create_response_from_fd64(r->size, r->file);
	if (out != NULL)
		r->file = -1;
	return out;
}

static struct MHD_Response *render(const struct request *q, struct reply *r)
{
	struct MHD_Response *out = begin_response(r);

	if (out != NULL && !put_fields(q, r, out)) {
		MHD_destroy_response(out);
		return NULL;
	}
	return out;
}

/* ---- answers that look like the last one ----
 *
 * A proxy asks again and again about the same few people, and its answers differ in nothing: the library's form of an
 * answer (a dozen allocations) is kept per thread for the next one that is the same in every byte. What is kept is how
 * an answer looks, never what it is: the decision has been made, and audited, before anybody comes here. */

#define KEPT 64
#define KEY_MOST 384

struct kept {
	struct MHD_Response *response;
	size_t size;
	unsigned char key[KEY_MOST];
};
static _Thread_local struct kept *kept;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_end;

static void forget_kept(void *self)
{
	struct kept *list = self;

	for (size_t i = 0; i < KEPT; i++)
		if (list[i].response != NULL)
			MHD_destroy_response(list[i].response);
	free(list);
}

static void make_key(void)
{
	pthread_key_create(&at_end, forget_kept);
}

/* All that goes into the answer, unambiguously; 0: too much of it. */
static size_t key_of(const struct reply *r, unsigned char key[KEY_MOST])
{
	size_t n = 0;

	memcpy(key, &r->status, sizeof r->status);
	n += sizeof r->status;
	memcpy(key + n, &r->revision.micros, sizeof r->revision.micros); /* one by one: the struct may be padded */
	n += sizeof r->revision.micros;
	memcpy(key + n, &r->revision.count, sizeof r->revision.count);
	n += sizeof r->revision.count;
	memcpy(key + n, &r->revision.server, sizeof r->revision.server);
	n += sizeof r->revision.server;
	memcpy(key + n, &r->revision.modification, sizeof r->revision.modification);
	n += sizeof r->revision.modification;
	for (unsigned i = 0; i < r->count; i++) {
		size_t size = strlen(r->fields[i].value) + 1;

		if (n + sizeof r->fields[i].name + size > KEY_MOST)
			return 0;
		memcpy(key + n, &r->fields[i].name, sizeof r->fields[i].name); /* names are literals */
		n += sizeof r->fields[i].name;
		memcpy(key + n, r->fields[i].value, size);
		n += size;
	}
	return n;
}

static size_t slot_of(const unsigned char *key, size_t size)
{
	uint64_t h = size, word;

	for (; size >= sizeof word; key += sizeof word, size -= sizeof word) {
		memcpy(&word, key, sizeof word);
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	for (; size > 0; size--)
		h = (h ^ *key++) * 0x9e3779b97f4a7c15u;
	return (h >> 32) % KEPT;
}

/* Borrowed; NULL: this one cannot be kept. */
static struct MHD_Response *like_before(const struct request *q, struct reply *r)
{
	unsigned char key[KEY_MOST];
	size_t size = r->lean && !r->close && r->size == 0 && r->cookie == NULL && r->type == NULL ? key_of(r, key) : 0;

	if (size == 0)
		return NULL;
	if (kept == NULL) {
		pthread_once(&once, make_key);
		kept = must_alloc(KEPT * sizeof *kept);
		pthread_setspecific(at_end, kept);
	}
	struct kept *k = &kept[slot_of(key, size)];
	if (k->response != NULL && k->size == size && memcmp(k->key, key, size) == 0)
		return k->response;
	if (k->response != NULL)
		MHD_destroy_response(k->response);
	k->response = render(q, r);
	k->size = size;
	memcpy(k->key, key, size);
	return k->response;
}

bool reply_send(struct request *q)
{
	struct MHD_Response *response = like_before(q, &q->reply);

	if (response != NULL)
		return MHD_queue_response(q->connection, q->reply.status, response) == MHD_YES;
	response = render(q, &q->reply);
	if (response == NULL)
		return false;
	bool queued = MHD_queue_response(q->connection, q->reply.status, response) == MHD_YES;
	MHD_destroy_response(response);
	return queued;
}
