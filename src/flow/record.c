/* Enrollment data: decided by the rule, audited, then read and written in the directory as the user himself, so that
 * the directory's own rules are a second wall. */
#include "flow/flow.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

#define LIST_MOST 1000

static struct question question_of(const struct caller *c, enum action action, const char *kind, const char *id,
    const char *acting_for)
{
	return (struct question){
		.subject = c->uid,
		.action = action,
		.resource_kind = kind,
		.resource = id,
		.acting_for = acting_for,
		.authenticated_at = c->authenticated_at,
	};
}

/* ---- where the two walls disagree ---- */

/* The rule permitted, and the directory showed nothing. If the replica was a moment behind, the decision is made
 * again on what the directory has now. Else one of the two is wrong, and nothing is shown. */
static struct err judge_again(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *out)
{
	struct revision revision;

	TRY(dir_revision(f->dir, &revision));
	TRY(replica_wait(f->replica, &revision, flow_set(&f->set.wait_ms)));
	TRY(decide_judge(a, f, c, q, out, NULL));
	if (!out->answer.verdict.allow)
		return decide_audit(f, c, q, out, AUDIT_DECISION, "decision", "decided again");
	return SUCCESS;
}

static struct err walls_disagree(struct flow *f, const struct caller *c, const struct question *q,
    const struct judged *j)
{
	log_event(LOG_WARNING, "walls.disagree", "user=%s action=%s kind=%s id=%s provider=%s request=%s", c->uid,
	    action_word(q->action), q->resource_kind, q->resource, j->provider != NULL ? j->provider : "-",
	    c->request_id != NULL ? c->request_id : "-");
	TRY(decide_audit(f, c, q, j, AUDIT_DECISION, "walls.disagree",
	    "permitted by the rule, refused by the directory"));
	return FAIL(ERR_UNAVAILABLE, "the directory does not show what the rule permits");
}

/* ---- reading ---- */

/* Reads the entry that a permit is about. No permit any more: SUCCESS, and the verdict says so. */
static struct err read_permitted(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j, struct entry *out)
{
	struct err e = dir_read(a, f->dir, c->uid, KIND_RECORD, j->provider, q->resource, out);

	if (e.code != ERR_NOT_FOUND)
		return e;
	TRY(judge_again(a, f, c, q, j));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	e = dir_read(a, f->dir, c->uid, KIND_RECORD, j->provider, q->resource, out);
	return e.code == ERR_NOT_FOUND ? walls_disagree(f, c, q, j) : e;
}

static struct document document_of(const struct entry *e, bool with_body)
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
	struct err e = read_permitted(a, f, c, &q, &j, &entry);
	if (e.code != OK)
		decide_refuse(&j, UNAVAILABLE);
	*answer = j.answer;
	if (answer->verdict.allow)
		*out = document_of(&entry, true);
	return e;
}

struct ids {
	char list[LIST_MOST][ID_MOST + 1];
	size_t count;
};

static bool note_id(void *self, const struct record *record)
{
	struct ids *ids = self;
	size_t size = strlen(record->id);

	if (size <= ID_MOST) {
		memcpy(ids->list[ids->count], record->id, size + 1);
		ids->count++;
	}
	return ids->count < LIST_MOST;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The heads of those that the directory shows the user. The bodies come along and are dropped one by one. */
static struct err read_heads(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const struct ids *ids, struct document *out, size_t *count)
{
	struct arena *bodies = arena_open();
	struct err e = SUCCESS;

	for (size_t i = 0; i < ids->count && e.code == OK; i++) {
		struct entry entry;

		arena_reset(bodies);
		e = dir_read(bodies, f->dir, c->uid, KIND_RECORD, provider, ids->list[i], &entry);
		if (e.code == OK)
			out[(*count)++] = (struct document){
				.id = ids->list[i],
				.provider = provider,
				.form = arena_strdup(a, entry.form != NULL ? entry.form : ""),
				.status = arena_strdup(a, entry.status != NULL ? entry.status : ""),
				.revision = entry.revision,
			};
		else if (e.code == ERR_NOT_FOUND)
			e = SUCCESS; /* deleted just now, perhaps; the caller looks whether it was only this one */
		else
			e = FAIL(e.code, arena_strdup(a, e.what));
	}
	arena_close(bodies);
	return e;
}

struct err flow_list_records(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *acting_for, struct answer *answer, struct document **out, size_t *count)
{
	struct question q = question_of(c, RECORD_LIST, "provider", provider, acting_for);
	struct judged j;

	*out = NULL;
	*count = 0;
	TRY(decide(a, f, c, &q, &j, answer));
	if (!answer->verdict.allow)
		return SUCCESS;

	struct ids *ids = arena_alloc(a, sizeof *ids);
	WITH_REPLICA(view, f->replica) {
		const struct organization *p = replica_organization(&view, provider);

		if (p != NULL)
			replica_records_of(&view, p->no, note_id, ids);
	}
	qsort(ids->list, ids->count, sizeof ids->list[0], by_id);
	*out = arena_alloc(a, ids->count * sizeof **out);
	struct err e = read_heads(a, f, c, j.provider, ids, *out, count);
	if (e.code == OK && *count == 0 && ids->count > 0) {
		e = judge_again(a, f, c, &q, &j);
		if (e.code == OK && j.answer.verdict.allow)
			e = walls_disagree(f, c, &q, &j);
	}
	if (e.code != OK) {
		decide_refuse(&j, UNAVAILABLE);
		*count = 0;
	}
	*answer = j.answer;
	return e;
}

/* ---- writing ---- */

/* What became of a change whose record stands already. Not waited for: that it was going to be made is on disk. */
static void record_outcome(struct flow *f, const struct caller *c, const struct question *q, const struct judged *j,
    const char *event, const char *resource, struct err result, const struct revision *written)
{
	char held[SHORT_SESSION];
	struct audit_record r = session_record(c, AUDIT_DECISION, event, held);

	r.action = action_word(q->action);
	r.resource_kind = q->action == SUBMISSION_CREATE ? kind_word(KIND_SUBMISSION) : q->resource_kind;
	r.resource = resource;
	r.provider = j->provider;
	r.employer = j->employer;
	r.outcome = result.code == OK ? "ok" : "failed";
	r.reason = result.code == OK ? NULL : result.code == ERR_CONFLICT ? "conflict" : reason_word(UNAVAILABLE);
	r.revision = result.code == OK ? written : NULL;
	if (audit_write(f->audit, &r).code != OK)
		log_event(LOG_ERROR, "audit.lost", "event=%s request=%s", event,
		    c->request_id != NULL ? c->request_id : "-");
}

/* The write itself, its record before it. A permit that is gone by then: SUCCESS, and the verdict says so. */
static struct err save(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j, const struct entry *to, const struct guard *guard, struct revision *written)
{
	char text[REVISION_TEXT];

	/* The body was read and checked meanwhile: what was permitted then need not be now (rules.md, edge case 5). */
	TRY(decide_judge(a, f, c, q, j, NULL));
	if (!j->answer.verdict.allow)
		return decide_audit(f, c, q, j, AUDIT_DECISION, "decision", "decided again at the save");
	revision_format(&guard->revision, text);
	TRY(decide_audit(f, c, q, j, AUDIT_CHANGE, "record.update", arena_printf(a, "of %s", text)));

	struct err e = dir_update(a, f->dir, c->uid, to, FIELD_DOCUMENT, guard, written);
	if (e.code == OK)
		e = session_settle(f, written);
	record_outcome(f, c, q, j, "record.update", q->resource, e, written);
	if (e.code != ERR_NOT_FOUND)
		return e;
	TRY(judge_again(a, f, c, q, j));
	return j->answer.verdict.allow ? walls_disagree(f, c, q, j) : SUCCESS;
}

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

	struct err e = read_permitted(a, f, c, &q, &j, &entry);
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
	struct guard guard = { .revision = *expected };
	struct revision written = { 0 };
	e = save(a, f, c, &q, &j, &to, &guard, &written);
	*answer = j.answer;
	if (e.code != OK || !j.answer.verdict.allow)
		return e;
	entry.document = json;
	entry.document_size = size;
	entry.revision = written;
	answer->revision = written;
	*out = document_of(&entry, true);
	return SUCCESS;
}

/* ---- a new application ---- */

/* A draft may be incomplete: what is missing is told, and is refused when it is submitted. But it is an object, of a
 * form that there is. */
static struct err check_draft(struct arena *a, struct flow *f, const char *form, const char *json, size_t size,
    struct form_problems *problems)
{
	json_auto *object = NULL;

	TRY(json_read_object(a, json, size, &object));
	struct err e = form_check(a, f->forms, form, json, size, problems);
	if (e.code == ERR_NOT_FOUND)
		return FAIL(ERR_INVALID, arena_printf(a, "there is no form '%.32s'", form));
	return e.code == ERR_INVALID ? SUCCESS : e;
}

static struct err add_draft(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j, struct entry *entry)
{
	TRY(decide_audit(f, c, q, j, AUDIT_CHANGE, "submission.create", arena_printf(a, "submission %s", entry->id)));
	struct err e = dir_add(a, f->dir, c->uid, entry, &entry->revision);
	if (e.code == OK)
		e = session_settle(f, &entry->revision);
	record_outcome(f, c, q, j, "submission.create", entry->id, e, &entry->revision);
	if (e.code != ERR_NOT_FOUND)
		return e;
	TRY(judge_again(a, f, c, q, j));
	return j->answer.verdict.allow ? walls_disagree(f, c, q, j) : SUCCESS;
}

struct err flow_create_submission(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *acting_for, const char *form, const char *json, size_t size, struct answer *answer,
    struct document *out, struct form_problems *problems)
{
	struct question q = question_of(c, SUBMISSION_CREATE, "provider", provider, acting_for);
	struct judged j;
	char id[ID_TEXT];

	*out = (struct document){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	TRY(decide(a, f, c, &q, &j, answer));
	if (!answer->verdict.allow)
		return SUCCESS;
	TRY(check_draft(a, f, form, json, size, problems));

	random_id(id);
	struct entry entry = {
		.kind = KIND_SUBMISSION,
		.state = STATE_DRAFT,
		.id = arena_strdup(a, id),
		.provider = j.provider,
		.employer = j.employer,
		.user = c->uid,
		.form = form,
		.requested_at = clock_now(),
		.document = json,
		.document_size = size,
	};
	struct err e = add_draft(a, f, c, &q, &j, &entry);
	if (e.code == ERR_CONFLICT)
		e = FAIL(ERR_BUG, "an id of 128 random bits is taken");
	if (e.code != OK)
		decide_refuse(&j, UNAVAILABLE);
	*answer = j.answer;
	if (e.code == OK && j.answer.verdict.allow) {
		answer->revision = entry.revision;
		*out = document_of(&entry, true);
	}
	return e;
}
