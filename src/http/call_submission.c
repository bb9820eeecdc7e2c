/* Calls about new applications. */
#include <string.h>

#include "flow/submission.h"
#include "http/call.h"

#include "base/banned.h"

/* False: it does not read back as the same. */
static bool write_exactly(struct arena *a, const json_t *object, size_t flags, const char **json, size_t *size)
{
	/* A first call tells the size; the text then needs no copy on the heap. */
	*size = json_dumpb(object, NULL, 0, flags);
	char *text = arena_alloc(a, *size + 1);

	*json = text;
	if (*size == 0 || json_dumpb(object, text, *size, flags) != *size)
		return false;
	json_auto *again = json_loadb(text, *size, 0, NULL);
	return again != NULL && json_equal(again, object);
}

/* The document, written anew: the rest of the body is not part of it. 17 digits say every number exactly, and 15 are
 * what people write: 0.1 stays 0.1. */
static bool write_document(struct request *q, const json_t *object, const char **json, size_t *size, struct reply *refused)
{
	bool whole = write_exactly(q->arena, object, JSON_COMPACT | JSON_REAL_PRECISION(15), json, size) ||
	    write_exactly(q->arena, object, JSON_COMPACT | JSON_REAL_PRECISION(17), json, size);

	if (!whole)
		*refused = reply_error(q, FAIL(ERR_BUG, "a document that was read cannot be written"));
	return whole;
}

static void tell_info(struct text *t, const struct submission_info *s, const struct form_problems *problems, bool whole)
{
	tell_begin(t, NULL, "{");
	tell_text(t, "id", s->document.id);
	tell_text(t, "provider", s->document.provider);
	tell_text(t, "employer", s->employer);
	tell_text(t, "author", s->author);
	tell_text(t, "form", s->document.form);
	tell_text(t, "status", s->document.status);
	tell_text(t, "record", s->enrollment);
	tell_text(t, "reason", s->reason);
	tell_time(t, "made_at", s->made_at);
	tell_time(t, "decided_at", s->decided_at);
	tell_text(t, "decided_by", s->decided_by);
	tell_revision(t, "revision", &s->document.revision);
	if (whole && s->document.size > 0) {
		tell_begin(t, "document", "");
		text_put(t, s->document.json, s->document.size);
	}
	if (problems != NULL)
		tell_problems(t, problems);
	text_puts(t, "}");
}

/* problems: NULL, or what a draft still lacks. */
static struct reply tell(struct request *q, unsigned status, const struct submission_info *s, const struct answer *a,
    const struct form_problems *problems)
{
	char store[4096];
	struct text t;

	text_open(&t, store, sizeof store);
	tell_info(&t, s, problems, true);
	struct reply r = call_told(q, status, &t, &a->revision, &s->document.revision);
	r.secret = true;
	return r;
}

/* As call_failed; a document that does not satisfy its form is told with what it lacks. */
static bool failed(struct request *q, enum action action, struct err e, const struct answer *a,
    const struct form_problems *problems, struct reply *out)
{
	if (e.code != ERR_INVALID || problems == NULL || problems->count == 0)
		return call_failed(q, action, e, a, out);
	*out = reply_form_problems(q, problems);
	out->revision = a->revision;
	return true;
}

struct reply call_create_submission(struct request *q)
{
	json_auto *body = NULL;
	const json_t *object;
	const char *form, *through, *json, *key;
	const struct member members[] = { { "form", MEMBER_TEXT, true, &form },
		{ "acting_for", MEMBER_TEXT, false, &through }, { "document", MEMBER_OBJECT, true, &object }, { 0 } };
	struct answer answer = { 0 };
	struct submission_info s;
	struct form_problems problems = { 0 };
	struct reply r;
	size_t size;

	if (!call_no_query(q, &r) || !call_key(q, &key, &r) || !call_body(q, members, &body, &r) ||
	    !write_document(q, object, &json, &size, &r))
		return r;
	struct err e = flow_create_submission(
	    q->arena, q->flow, &q->caller, q->id, through, form, json, size, key, &answer, &s, &problems);
	if (failed(q, SUBMISSION_CREATE, e, &answer, &problems, &r))
		return r;
	r = tell(q, 201, &s, &answer, &problems);
	reply_field(&r, "Location", arena_printf(q->arena, "/v1/submissions/%s", s.document.id));
	return r;
}

struct reply call_list_submissions(struct request *q)
{
	const char *provider, *word;
	const struct parameter parameters[] = { { "provider", &provider, false }, { "state", &word, false }, { 0 } };
	struct submission_info *list;
	enum state state;
	struct page page;
	const char *next;
	size_t count;
	char store[4096];
	struct text t;
	struct reply r;

	if (!call_list(q, parameters, &page, &r) || !call_state(q, KIND_SUBMISSION, word, &state, &r))
		return r;
	struct err e = flow_list_submissions(
	    q->arena, q->flow, &q->caller, provider, state, &page, &list, &count, &next);
	if (e.code != OK)
		return reply_error(q, e);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"submissions\":[");
	for (size_t i = 0; i < count; i++)
		tell_info(&t, &list[i], NULL, false);
	tell_next(&t, next);
	return reply_json(q, 200, &t);
}

static bool read_through(struct request *q, const char **through, struct reply *refused)
{
	const struct parameter parameters[] = { { "acting_for", through, false }, { 0 } };

	return call_query(q, parameters, refused);
}

struct reply call_view_submission(struct request *q)
{
	const char *through;
	struct answer answer = { 0 };
	struct submission_info s;
	struct reply r;

	if (!read_through(q, &through, &r))
		return r;
	struct err e = flow_view_submission(q->arena, q->flow, &q->caller, q->id, through, &answer, &s);
	return call_failed(q, SUBMISSION_READ, e, &answer, &r) ? r : tell(q, 200, &s, &answer, NULL);
}

struct reply call_update_submission(struct request *q)
{
	const char *through;
	struct answer answer = { 0 };
	struct submission_info s;
	struct form_problems problems = { 0 };
	struct revision expected;
	struct reply r;

	if (!read_through(q, &through, &r) || !call_if_match(q, true, &expected, &r))
		return r;
	struct err e = flow_update_submission(q->arena, q->flow, &q->caller, q->id, through, &expected, q->body,
	    q->body_size, &answer, &s, &problems);
	return failed(q, SUBMISSION_UPDATE, e, &answer, &problems, &r) ? r : tell(q, 200, &s, &answer, &problems);
}

struct reply call_delete_submission(struct request *q)
{
	const char *through;
	struct answer answer = { 0 };
	struct revision expected;
	struct reply r;

	if (!read_through(q, &through, &r) || !call_if_match(q, false, &expected, &r))
		return r;
	struct err e =
	    flow_delete_submission(q->arena, q->flow, &q->caller, q->id, through, &expected, &answer);
	if (call_failed(q, SUBMISSION_DELETE, e, &answer, &r))
		return r;
	r = reply_empty(204);
	r.revision = answer.revision;
	return r;
}

struct reply call_submit_submission(struct request *q)
{
	const char *through;
	struct answer answer = { 0 };
	struct submission_info s;
	struct form_problems problems = { 0 };
	struct revision expected;
	struct reply r;

	if (!read_through(q, &through, &r) || !call_if_match(q, false, &expected, &r))
		return r;
	struct err e = flow_submit_submission(
	    q->arena, q->flow, &q->caller, q->id, through, &expected, &answer, &s, &problems);
	return failed(q, SUBMISSION_SUBMIT, e, &answer, &problems, &r) ? r : tell(q, 200, &s, &answer, NULL);
}

struct reply call_accept_submission(struct request *q)
{
	json_auto *body = NULL;
	struct grounds grounds;
	struct answer answer = { 0 };
	struct submission_info s;
	struct form_problems problems = { 0 };
	struct revision expected;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) || !call_grounds(q, false, &grounds, &body, &r))
		return r;
	struct err e = flow_accept_submission(
	    q->arena, q->flow, &q->caller, q->id, &grounds, &expected, &answer, &s, &problems);
	if (failed(q, SUBMISSION_ACCEPT, e, &answer, &problems, &r))
		return r;
	/* What it has become is not his to see. */
	s.document.size = 0;
	return tell(q, 200, &s, &answer, NULL);
}

struct reply call_return_submission(struct request *q)
{
	json_auto *body = NULL;
	struct grounds grounds;
	struct answer answer = { 0 };
	struct submission_info s;
	struct revision expected;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) || !call_grounds(q, false, &grounds, &body, &r))
		return r;
	if (grounds.reason == NULL) /* its author must learn what to mend */
		return reply_problem(q, 400, "invalid_request", "'reason' is required");
	struct err e = flow_return_submission(q->arena, q->flow, &q->caller, q->id, &grounds, &expected, &answer, &s);
	if (call_failed(q, SUBMISSION_RETURN, e, &answer, &r))
		return r;
	s.document.size = 0;
	return tell(q, 200, &s, &answer, NULL);
}
