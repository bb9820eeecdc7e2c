/* Enrollment data: decided by the rule, audited, then read and written in the directory as the user himself, so that
 * the directory's own rules are a second wall. */
#include "flow/flow.h"

#include "flow/inside.h"

#include "base/banned.h"

static struct question question_of(const struct caller *c, enum action action, const char *kind, const char *id,
    const char *acting_for)
{
	struct question q = act_question(c, action, kind, id);

	q.acting_for = acting_for;
	return q;
}

/* ---- reading ---- */

struct err record_read(struct arena *a, struct flow *f, const struct caller *c, enum kind kind, const struct question *q,
    struct judged *j, struct entry *out)
{
	struct err e = dir_read(a, f->dir, c->uid, kind, j->provider, q->resource, out);

	if (e.code != ERR_NOT_FOUND)
		return e;
	TRY(act_judge_again(a, f, c, q, j));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	e = dir_read(a, f->dir, c->uid, kind, j->provider, q->resource, out);
	return e.code == ERR_NOT_FOUND ? act_refused(a, f, c, q, j) : e;
}

struct document record_document(const struct entry *e, bool with_body)
{
	return (struct document){
		.id = e->id,
		.provider = e->provider,
		.form = e->form,
		.status = e->kind == KIND_SUBMISSION ? state_word(e->state) : e->status,
		.json = with_body ? e->document : NULL,
		.size = with_body ? e->document_size : 0,
		.revision = e->revision,
	};
}

static struct err decide(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j, struct answer *answer)
{
	struct err e = decide_and_record(a, f, c, q, j, NULL);

	*answer = j->answer;
	return e;
}

struct err flow_view_record(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const char *acting_for, struct answer *answer, struct document *out)
{
	struct question q = question_of(c, RECORD_VIEW, "record", id, acting_for);
	struct judged j;
	struct entry entry;

	*out = (struct document){ 0 };
	TRY(decide(a, f, c, &q, &j, answer));
	if (!answer->verdict.allow)
		return SUCCESS;
	struct err e = record_read(a, f, c, KIND_RECORD, &q, &j, &entry);
	if (e.code != OK)
		decide_refuse(&j, UNAVAILABLE);
	*answer = j.answer;
	if (answer->verdict.allow)
		*out = record_document(&entry, true);
	return e;
}

struct err flow_list_records(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *acting_for, const struct page *page, struct answer *answer, struct document **out, size_t *count,
    const char **next)
{
	struct question q = question_of(c, RECORD_LIST, "provider", provider, acting_for);
	struct list_query query = { .kind = KIND_RECORD, .provider = provider };
	struct listing found;
	struct judged j;

	*out = NULL;
	*count = 0;
	*next = NULL;
	TRY(decide(a, f, c, &q, &j, answer));
	if (!answer->verdict.allow)
		return SUCCESS;
	struct err e = list_entries(a, f, c->uid, &query, page, &found);
	if (e.code == OK && found.count == 0 && found.hidden > 0)
		e = act_refused(a, f, c, &q, &j);
	if (e.code != OK)
		decide_refuse(&j, UNAVAILABLE);
	*answer = j.answer;
	if (e.code != OK || !answer->verdict.allow)
		return e;
	*out = arena_alloc(a, found.count * sizeof **out);
	for (; *count < found.count; ++*count)
		(*out)[*count] = record_document(&found.entries[*count], false);
	*next = found.next;
	return SUCCESS;
}

/* ---- writing ---- */

struct err flow_update_record(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const char *acting_for, const struct revision *expected, const char *json, size_t size, struct answer *answer,
    struct document *out, struct form_problems *problems)
{
	struct question q = question_of(c, RECORD_UPDATE, "record", id, acting_for);
	struct judged j;
	struct entry entry;

	*out = (struct document){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	TRY(decide(a, f, c, &q, &j, answer));
	if (!answer->verdict.allow)
		return SUCCESS;
	if (expected == NULL || expected->micros == 0)
		return FAIL(ERR_INVALID, "the revision that is to be replaced is required");

	struct err e = record_read(a, f, c, KIND_RECORD, &q, &j, &entry);
	*answer = j.answer;
	if (e.code != OK || !j.answer.verdict.allow)
		return e;
	if (revision_compare(&entry.revision, expected) != 0)
		return FAIL(ERR_CONFLICT, "the record has changed since it was read");
	e = form_check(a, f->forms, entry.form, json, size, problems);
	/* That the record's own form is not there is our mistake, not the record's absence. */
	if (e.code == ERR_NOT_FOUND)
		return FAIL(ERR_UNAVAILABLE, arena_printf(a, "the form %s is not installed", entry.form));
	TRY(e);

	struct entry to = {
		.kind = KIND_RECORD,
		.id = id,
		.provider = j.provider,
		.document = json,
		.document_size = size,
	};
	char of[REVISION_TEXT];
	struct revision written;
	struct act act = { .question = q, .to = &to, .fields = FIELD_DOCUMENT, .guard = { .revision = *expected } };

	revision_format(expected, of);
	act.detail = arena_printf(a, "of %s", of);
	e = act_write(a, f, c, &act, &j, &written);
	*answer = j.answer;
	if (e.code != OK || !j.answer.verdict.allow)
		return e;
	entry.document = json;
	entry.document_size = size;
	entry.revision = written;
	answer->revision = written;
	*out = record_document(&entry, true);
	return SUCCESS;
}
