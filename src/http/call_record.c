/* Calls about enrollment data: records and new applications. */
#include <string.h>

#include "base/json.h"
#include "http/server.h"

#include "base/banned.h"

/* The parameters that the two calls with a query take. */
struct asked {
	char provider[ID_MOST + 1], acting_for[ID_MOST + 1];
	bool has_provider, has_acting_for;
};

static bool read_one(struct request *q, const char *name, char out[ID_MOST + 1], bool *has, struct reply *refused)
{
	enum target_found found = target_parameter(q->target.query, name, out, ID_MOST + 1);

	*has = found == TARGET_FOUND && out[0] != '\0';
	if (found == TARGET_ABSENT || *has)
		return true;
	*refused = reply_problem(q, 400, "invalid_request", arena_printf(q->arena, "The parameter '%s' is %s.", name,
	    found == TARGET_DOUBLED ? "there twice" : "empty, too long, or not UTF-8"));
	return false;
}

static bool read_query(struct request *q, bool takes_provider, struct asked *out, struct reply *refused)
{
	static const char *const with[] = { "acting_for", "provider", NULL }, *const without[] = { "acting_for", NULL };
	char unknown[33];

	*out = (struct asked){ 0 };
	if (target_has_unknown(q->target.query, takes_provider ? with : without, unknown, sizeof unknown)) {
		*refused = reply_problem(q, 400, "invalid_request", arena_printf(q->arena,
		    "The parameter '%s' is not known here.", unknown));
		return false;
	}
	return read_one(q, "acting_for", out->acting_for, &out->has_acting_for, refused) &&
	    (!takes_provider || read_one(q, "provider", out->provider, &out->has_provider, refused));
}

static const char *acting_for(const struct asked *a)
{
	return a->has_acting_for ? a->acting_for : NULL;
}

static void tell_head(struct text *t, const struct document *d)
{
	char revision[REVISION_TEXT];

	text_puts(t, "{\"id\":");
	text_json(t, d->id);
	text_puts(t, ",\"provider\":");
	text_json(t, d->provider);
	text_puts(t, ",\"form\":");
	text_json(t, d->form);
	text_puts(t, ",\"status\":");
	text_json(t, d->status);
	revision_format(&d->revision, revision);
	text_puts(t, ",\"revision\":");
	text_json(t, revision);
}

static void tell_problems(struct text *t, const struct form_problems *p)
{
	text_puts(t, ",\"problems\":[");
	for (size_t i = 0; i < p->count; i++) {
		text_puts(t, i > 0 ? ",{\"pointer\":" : "{\"pointer\":");
		text_json(t, p->list[i].pointer);
		text_puts(t, ",\"rule\":");
		text_json(t, p->list[i].rule);
		text_puts(t, "}");
	}
	text_puts(t, "]");
}

/* The body came from the directory, where this gateway put it after checking it; it is told as it is. */
static struct reply tell_document(struct request *q, unsigned status, const struct document *d, const struct answer *a,
    const struct form_problems *problems)
{
	char store[4096], tag[REVISION_TEXT];
	struct text t;

	text_open(&t, store, sizeof store);
	tell_head(&t, d);
	text_puts(&t, ",\"document\":");
	if (d->size > 0)
		text_put(&t, d->json, d->size);
	else
		text_puts(&t, "null");
	if (problems != NULL)
		tell_problems(&t, problems);
	text_puts(&t, "}");
	struct reply r = reply_json(q, status, &t);
	r.secret = true;
	r.revision = a->revision;
	revision_format(&d->revision, tag);
	reply_field(&r, "ETag", arena_printf(q->arena, "\"%s\"", tag));
	return r;
}

/* What was decided on the way; without a time, for the answer waits for the directory as well. */
static void count(struct request *q, enum action action, const struct answer *a)
{
	if (a->verdict.allow || a->verdict.why != REASON_OK)
		metrics_decision(q->http->metrics, action, a->verdict.why, -1);
}

struct reply call_list_records(struct request *q)
{
	struct asked asked;
	struct answer answer = { 0 };
	struct document *list;
	struct reply r;
	char store[4096];
	struct text t;
	size_t listed;

	if (!read_query(q, true, &asked, &r))
		return r;
	if (!asked.has_provider)
		return reply_problem(q, 400, "invalid_request", "The parameter 'provider' is required.");
	struct err e = flow_list_records(
	    q->arena, q->flow, &q->caller, asked.provider, acting_for(&asked), &answer, &list, &listed);
	count(q, RECORD_LIST, &answer);
	if (e.code != OK)
		return reply_error(q, e);
	if (!answer.verdict.allow)
		return reply_refused(q, answer.verdict.why, &answer.revision);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"records\":[");
	for (size_t i = 0; i < listed; i++) {
		text_puts(&t, i > 0 ? "," : "");
		tell_head(&t, &list[i]);
		text_puts(&t, "}");
	}
	text_puts(&t, "]}");
	r = reply_json(q, 200, &t);
	r.revision = answer.revision;
	return r;
}

struct reply call_view_record(struct request *q)
{
	struct asked asked;
	struct answer answer = { 0 };
	struct document document;
	struct reply r;

	if (!read_query(q, false, &asked, &r))
		return r;
	struct err e = flow_view_record(q->arena, q->flow, &q->caller, q->id, acting_for(&asked), &answer, &document);
	count(q, RECORD_VIEW, &answer);
	if (e.code != OK)
		return reply_error(q, e);
	if (!answer.verdict.allow)
		return reply_refused(q, answer.verdict.why, &answer.revision);
	return tell_document(q, 200, &document, &answer, NULL);
}

/* The revision that the client has seen. Lists and "*" name none. */
static bool read_if_match(struct request *q, struct revision *out, struct reply *refused)
{
	const struct header *h = &q->head.headers[HEADER_IF_MATCH];
	struct header tag;

	if (h->text == NULL) {
		*refused =
		    reply_problem(q, 428, "precondition_required", "If-Match must name the ETag of what is replaced.");
		return false;
	}
	if (!hygiene_entity_tag(h, &tag)) {
		*refused = reply_problem(q, 400, "invalid_request", "If-Match must be one strong entity tag.");
		return false;
	}
	if (!revision_parse(tag.text, tag.size, out)) {
		*refused = reply_problem(q, 412, "precondition_failed", "If-Match names no ETag of this record.");
		return false;
	}
	return true;
}

struct reply call_update_record(struct request *q)
{
	struct asked asked;
	struct answer answer = { 0 };
	struct document document;
	struct form_problems problems = { 0 };
	struct revision expected;
	struct reply r;

	if (!read_query(q, false, &asked, &r) || !read_if_match(q, &expected, &r))
		return r;
	struct err e = flow_update_record(q->arena, q->flow, &q->caller, q->id, acting_for(&asked), &expected, q->body,
	    q->body_size, &answer, &document, &problems);
	count(q, RECORD_UPDATE, &answer);
	if (e.code == OK && !answer.verdict.allow)
		return reply_refused(q, answer.verdict.why, &answer.revision);
	if (e.code == ERR_CONFLICT)
		r = reply_problem(q, 412, "precondition_failed", "The record has changed since that ETag was read.");
	else if (e.code == ERR_INVALID && problems.count > 0)
		r = reply_form_problems(q, &problems);
	else if (e.code != OK)
		r = reply_error(q, e);
	else
		return tell_document(q, 200, &document, &answer, NULL);
	r.revision = answer.revision;
	return r;
}

/* The document, written anew: the rest of the body is not part of it. */
static struct err read_submission(struct request *q, const json_t *body, const char **form, const char **through,
    const char **document, size_t *size)
{
	static const char *const known[] = { "form", "acting_for", "document", NULL };
	const json_t *object = json_object_get(body, "document");

	TRY(json_only(q->arena, body, known));
	TRY(json_need_text(q->arena, body, "form", form));
	TRY(json_may_text(q->arena, body, "acting_for", through));
	if (!json_is_object(object))
		return FAIL(ERR_INVALID, object == NULL ? "'document' is required" : "'document' must be an object");
	/* A first call tells the size; the text then needs no copy on the heap. */
	*size = json_dumpb(object, NULL, 0, JSON_COMPACT);
	char *text = arena_alloc(q->arena, *size + 1);
	if (*size == 0 || json_dumpb(object, text, *size, JSON_COMPACT) != *size)
		return FAIL(ERR_BUG, "a document that was read cannot be written");
	*document = text;
	return SUCCESS;
}

struct reply call_create_submission(struct request *q)
{
	json_auto *body = NULL;
	const char *form, *through, *json;
	struct answer answer = { 0 };
	struct document document;
	struct form_problems problems = { 0 };
	struct reply r;
	size_t size;

	if (q->target.query != NULL)
		return reply_problem(q, 400, "invalid_request", "This call takes no parameters.");
	struct err e = json_read_object(q->arena, q->body, q->body_size, &body);
	if (e.code == OK)
		e = read_submission(q, body, &form, &through, &json, &size);
	if (e.code == OK)
		e = flow_create_submission(
		    q->arena, q->flow, &q->caller, q->id, through, form, json, size, &answer, &document, &problems);
	count(q, SUBMISSION_CREATE, &answer);
	if (e.code == OK && !answer.verdict.allow)
		return reply_refused(q, answer.verdict.why, &answer.revision);
	if (e.code == ERR_INVALID && problems.count > 0)
		r = reply_form_problems(q, &problems);
	else if (e.code != OK)
		r = reply_error(q, e);
	else
		return tell_document(q, 201, &document, &answer, &problems);
	r.revision = answer.revision;
	return r;
}
