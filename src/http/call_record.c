/* Calls about enrollment data: records and new applications. */
#include <string.h>

#include "http/call.h"

#include "base/banned.h"

static void tell_head(struct text *t, const struct document *d)
{
	tell_begin(t, NULL, "{");
	tell_text(t, "id", d->id);
	tell_text(t, "provider", d->provider);
	tell_text(t, "form", d->form);
	tell_text(t, "status", d->status);
	tell_revision(t, "revision", &d->revision);
}

/* The body came from the directory, where this gateway put it after checking it; it is told as it is. */
static struct reply tell_document(struct request *q, unsigned status, const struct document *d, const struct answer *a,
    const struct form_problems *problems)
{
	char store[4096];
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
	struct reply r = call_told(q, status, &t, &a->revision, &d->revision);
	r.secret = true;
	return r;
}

struct reply call_list_records(struct request *q)
{
	const char *provider, *acting_for, *next;
	const struct parameter parameters[] = { { "provider", &provider, true }, { "acting_for", &acting_for, false },
		{ 0 } };
	struct answer answer = { 0 };
	struct document *list;
	struct page page;
	struct reply r;
	char store[4096];
	struct text t;
	size_t listed;

	if (!call_list(q, parameters, &page, &r))
		return r;
	struct err e = flow_list_records(
	    q->arena, q->flow, &q->caller, provider, acting_for, &page, &answer, &list, &listed, &next);
	if (call_failed(q, RECORD_LIST, e, &answer, &r))
		return r;
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"records\":[");
	for (size_t i = 0; i < listed; i++) {
		tell_head(&t, &list[i]);
		text_puts(&t, "}");
	}
	tell_next(&t, next);
	return call_told(q, 200, &t, &answer.revision, NULL);
}

struct reply call_view_record(struct request *q)
{
	const char *acting_for;
	const struct parameter parameters[] = { { "acting_for", &acting_for, false }, { 0 } };
	struct answer answer = { 0 };
	struct document document;
	struct reply r;

	if (!call_query(q, parameters, &r))
		return r;
	struct err e = flow_view_record(q->arena, q->flow, &q->caller, q->id, acting_for, &answer, &document);
	return call_failed(q, RECORD_VIEW, e, &answer, &r) ? r : tell_document(q, 200, &document, &answer, NULL);
}

struct reply call_update_record(struct request *q)
{
	const char *acting_for;
	const struct parameter parameters[] = { { "acting_for", &acting_for, false }, { 0 } };
	struct answer answer = { 0 };
	struct document document;
	struct form_problems problems = { 0 };
	struct revision expected;
	struct reply r;

	if (!call_query(q, parameters, &r) || !call_if_match(q, true, &expected, &r))
		return r;
	struct err e = flow_update_record(q->arena, q->flow, &q->caller, q->id, acting_for, &expected, q->body,
	    q->body_size, &answer, &document, &problems);
	if (e.code == ERR_INVALID && problems.count > 0) {
		r = reply_form_problems(q, &problems);
		r.revision = answer.revision;
		return r;
	}
	return call_failed(q, RECORD_UPDATE, e, &answer, &r) ? r : tell_document(q, 200, &document, &answer, NULL);
}
