/* New applications, from the first draft to the enrollment record that an accepted one becomes. */
#include "flow/submission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

static struct question question_of(const struct caller *c, enum action action, const char *id, const char *acting_for)
{
	struct question q = act_question(c, action, "submission", id);

	q.acting_for = acting_for;
	return q;
}

static struct submission_info info_of(const struct entry *e)
{
	return (struct submission_info){
		.document = record_document(e, true),
		.author = e->user,
		.employer = e->employer,
		.enrollment = e->enrollment,
		.reason = e->reason,
		.made_at = e->requested_at,
		.decided_at = e->decided_at,
		.decided_by = e->decided_by,
	};
}

/* Decides, and reads the submission that the permit is about. SUCCESS without a permit: the verdict says why. */
static struct err open_submission(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j, struct answer *answer, struct entry *out)
{
	struct err e = decide_and_record(a, f, c, q, j, NULL);

	*answer = j->answer;
	if (e.code != OK || !j->answer.verdict.allow)
		return e;
	e = record_read(a, f, c, KIND_SUBMISSION, q, j, out);
	if (e.code != OK)
		decide_refuse(j, UNAVAILABLE);
	*answer = j->answer;
	return e;
}

/* ---- drafts ---- */

/* A draft may be incomplete: what is missing is told, and is refused when it is submitted. But it is an object, of a
 * form that there is. */
static struct err check_draft(struct arena *a, struct flow *f, const char *form, const char *json, size_t size,
    struct form_problems *problems)
{
	json_auto *object = NULL;

	struct err e = json_read_object(a, json, size, &object);
	if (e.code != OK) {
		account_problem(a, problems, "", e.what);
		return e;
	}
	e = form_check(a, f->forms, form, json, size, problems);
	if (e.code == ERR_NOT_FOUND) {
		account_problem(a, problems, "/form", "names no form that there is");
		return FAIL(ERR_INVALID, "there is no such form");
	}
	return e.code == ERR_INVALID ? SUCCESS : e;
}

/* The same request a second time finds what the first one made. */
static struct err meet_again(struct arena *a, struct flow *f, const struct caller *c, const struct entry *wanted,
    struct entry *out)
{
	TRY(dir_read(a, f->dir, c->uid, KIND_SUBMISSION, wanted->provider, wanted->id, out));
	bool same = text_same(out->form, wanted->form) && text_same(out->employer, wanted->employer) &&
	    out->document_size == wanted->document_size &&
	    memcmp(out->document, wanted->document, wanted->document_size) == 0;
	return same ? SUCCESS : FAIL(ERR_INVALID, "'Idempotency-Key' was used for another request");
}

struct err flow_create_submission(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *acting_for, const char *form, const char *json, size_t size, const char *key, struct answer *answer,
    struct submission_info *out, struct form_problems *problems)
{
	struct question q = act_question(c, SUBMISSION_CREATE, "provider", provider);
	struct judged j;
	char id[ID_TEXT];

	q.acting_for = acting_for;
	*out = (struct submission_info){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	*answer = j.answer;
	if (e.code != OK || !answer->verdict.allow)
		return e;
	TRY(check_draft(a, f, form, json, size, problems));

	flow_new_id(c, arena_printf(a, "submission.create %s", j.provider), key, id);
	struct entry there, entry = {
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
	struct act act = { .question = q, .to = &entry, .detail = arena_printf(a, "submission %s", id) };
	e = act_write(a, f, c, &act, &j, &entry.revision);
	if (e.code == ERR_CONFLICT) {
		e = meet_again(a, f, c, &entry, &there);
		entry = there;
		if (e.code != OK)
			problems->count = 0; /* they are not what is wrong */
	}
	*answer = j.answer;
	if (e.code == OK && j.answer.verdict.allow) {
		answer->revision = entry.revision;
		*out = info_of(&entry);
	}
	return e;
}

struct err flow_list_submissions(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    enum state state, const struct page *page, struct submission_info **out, size_t *count, const char **next)
{
	struct list_query query = { .kind = KIND_SUBMISSION, .provider = provider, .state = state };
	struct listing found;

	if (provider == NULL && act_has_role(f, c, ROLE_PROCESSOR) && (state == STATE_NONE || state == STATE_SUBMITTED))
		query.state = STATE_SUBMITTED;
	else if (provider == NULL)
		query.user = c->uid;
	TRY(list_entries(a, f, c->uid, &query, page, &found));
	*out = arena_alloc(a, (found.count + 1) * sizeof **out);
	for (size_t i = 0; i < found.count; i++)
		(*out)[i] = info_of(&found.entries[i]);
	*count = found.count;
	*next = found.next;
	return SUCCESS;
}

struct err flow_view_submission(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const char *acting_for, struct answer *answer, struct submission_info *out)
{
	struct question q = question_of(c, SUBMISSION_READ, id, acting_for);
	struct judged j, as_processor;
	struct entry entry;

	*out = (struct submission_info){ 0 };
	struct err e = open_submission(a, f, c, &q, &j, answer, &entry);
	if (e.code == OK && !answer->verdict.allow && act_has_role(f, c, ROLE_PROCESSOR)) {
		q = question_of(c, SUBMISSION_REVIEW, id, NULL);
		e = open_submission(a, f, c, &q, &as_processor, answer, &entry);
	}
	if (e.code == OK && answer->verdict.allow)
		*out = info_of(&entry);
	return e;
}

struct err flow_update_submission(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const char *acting_for, const struct revision *expected, const char *json, size_t size, struct answer *answer,
    struct submission_info *out, struct form_problems *problems)
{
	struct question q = question_of(c, SUBMISSION_UPDATE, id, acting_for);
	struct judged j;
	struct entry entry;

	*out = (struct submission_info){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	struct err e = open_submission(a, f, c, &q, &j, answer, &entry);
	if (e.code != OK || !answer->verdict.allow)
		return e;
	if (revision_compare(&entry.revision, expected) != 0)
		return FAIL(ERR_CONFLICT, "the submission has changed since that ETag was read");
	TRY(check_draft(a, f, entry.form, json, size, problems));

	entry.id = id;
	entry.document = json;
	entry.document_size = size;
	struct act act = { .question = q, .to = &entry, .fields = FIELD_DOCUMENT,
		.guard = { .state = STATE_DRAFT, .revision = *expected } };
	e = act_write(a, f, c, &act, &j, &entry.revision);
	*answer = j.answer;
	if (e.code == OK && answer->verdict.allow)
		*out = info_of(&entry);
	return e;
}

struct err flow_delete_submission(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const char *acting_for, const struct revision *expected, struct answer *answer)
{
	struct question q = question_of(c, SUBMISSION_DELETE, id, acting_for);
	struct judged j;
	struct revision written;
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);

	*answer = j.answer;
	if (e.code != OK || !answer->verdict.allow)
		return e;
	struct entry entry = { .kind = KIND_SUBMISSION, .id = id, .provider = j.provider };
	struct act act = { .question = q, .to = &entry, .removes = true,
		.guard = { .state = STATE_DRAFT, .revision = *expected } };
	e = act_write(a, f, c, &act, &j, &written);
	*answer = j.answer;
	return e.code == ERR_CONFLICT ? FAIL(ERR_CONFLICT, "the submission has changed since that ETag was read") : e;
}

/* ---- submitting and deciding ---- */

static struct err check_whole(struct arena *a, struct flow *f, const struct entry *entry, struct form_problems *problems)
{
	struct err e = form_check(a, f->forms, entry->form, entry->document, entry->document_size, problems);

	/* That its own form is not there is our mistake. */
	return e.code == ERR_NOT_FOUND
	    ? FAIL(ERR_UNAVAILABLE, arena_printf(a, "the form %s is not installed", entry->form)) : e;
}

struct move {
	enum state from;
	unsigned fields;
	const struct revision *expected; /* empty: as it was read */
};

/* entry is what was read, with the new values in it: what was checked is what is moved. */
static struct err make_move(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j, const struct move *m, struct entry *entry, struct answer *answer, struct submission_info *out)
{
	struct act act = { .question = *q, .to = entry, .fields = m->fields };

	entry->id = q->resource;
	act.detail = entry->enrollment != NULL ? arena_printf(a, "becomes record %s", entry->enrollment) : entry->reason;
	act.guard.state = m->from;
	act.guard.revision = m->expected->micros != 0 ? *m->expected : entry->revision;
	struct err e = act_write(a, f, c, &act, j, &entry->revision);
	*answer = j->answer;
	if (e.code == OK && answer->verdict.allow)
		*out = info_of(entry);
	return e.code == ERR_CONFLICT ? FAIL(ERR_CONFLICT, "the submission has changed since it was read") : e;
}

struct err flow_submit_submission(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const char *acting_for, const struct revision *expected, struct answer *answer, struct submission_info *out,
    struct form_problems *problems)
{
	struct question q = question_of(c, SUBMISSION_SUBMIT, id, acting_for);
	struct judged j;
	struct entry entry;

	*out = (struct submission_info){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	struct err e = open_submission(a, f, c, &q, &j, answer, &entry);
	if (e.code != OK || !answer->verdict.allow)
		return e;
	TRY(check_whole(a, f, &entry, problems));
	struct move move = { STATE_DRAFT, FIELD_STATE, expected };
	entry.state = STATE_SUBMITTED;
	return make_move(a, f, c, &q, &j, &move, &entry, answer, out);
}

static void tell_author(struct arena *a, struct flow *f, const struct entry *s, enum state decision)
{
	struct entry provider;
	const struct mail_field fields[] = {
		{ "provider", dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, s->provider, &provider).code == OK ?
		    provider.name : s->provider },
		{ "submission", s->id }, { "decision", state_word(decision) },
		{ "reason", s->reason }, { NULL, NULL } };

	notice_send(a, f, "submission-decided", s->user, fields);
}

/* ---- the record that it becomes ---- */

#define TRIES_MOST 50

/* An enrollment id that nobody has: I for individuals, O for organizations; the day; six digits, which come of the submission,
 * so that an acceptance that was cut off and is made again takes no second one. */
static struct err take_enrollment(struct arena *a, struct flow *f, const char *form, const char *submission,
    const char **out)
{
	time_t now = (time_t)clock_now();
	struct tm day;

	gmtime_r(&now, &day);
	bool individual = text_same(form, "855I") || text_same(form, "855O");
	for (int i = 0; i < TRIES_MOST; i++) {
		const char *whole = arena_printf(a, "enrollment|%s|%d", submission, i);
		char digest[DIGEST_TEXT];
		bool known = false;

		secret_digest(whole, strlen(whole), digest);
		digest[8] = '\0';
		const char *id = arena_printf(a, "%c%04d%02d%02d%06lu", individual ? 'I' : 'O', day.tm_year + 1900,
		    day.tm_mon + 1, day.tm_mday, strtoul(digest, NULL, 16) % 1000000);
		WITH_REPLICA(view, f->replica) {
			known = replica_record(&view, id) != NULL;
		}
		struct err e = known ? FAIL(ERR_CONFLICT, "taken") : reserve_take(a, f, "enrollment", id, submission);
		*out = id;
		if (e.code != ERR_CONFLICT)
			return e;
	}
	return FAIL(ERR_UNAVAILABLE, "no free enrollment id was found; please try again");
}

static struct err mark_accepted(struct arena *a, struct flow *f, const char *as, const char *provider, const char *id,
    struct revision *out)
{
	struct entry to = { .kind = KIND_SUBMISSION, .id = id, .provider = provider, .state = STATE_ACCEPTED };
	struct guard guard = { .state = STATE_SUBMITTED };
	struct err e = dir_update(a, f->dir, as, &to, FIELD_STATE, &guard, out);

	return e.code == ERR_CONFLICT ? dir_revision(f->dir, out) : e;
}

/* The second and third write of an acceptance: the record, and that the submission is over. Whoever finds one of them
 * made goes on. as: the processor, or NULL for the gateway, which mends what a crash left. */
static struct err finish_acceptance(struct arena *a, struct flow *f, const char *as, const struct entry *s,
    struct revision *out)
{
	struct entry record = {
		.kind = KIND_RECORD,
		.id = s->enrollment,
		.provider = s->provider,
		.form = s->form,
		.status = "approved",
		.made_from = s->id,
		.document = s->document,
		.document_size = s->document_size,
	};
	struct audit_record r = {
		.class = AUDIT_CHANGE,
		.event = "record.create",
		.resource_kind = kind_word(KIND_RECORD),
		.resource = s->enrollment,
		.actor = as,
		.provider = s->provider,
		.outcome = "ok",
		.detail = arena_printf(a, "from submission %s", s->id),
	};

	TRY(audit_write(f->audit, &r));
	struct err e = dir_add(a, f->dir, NULL, &record, out);
	if (e.code != OK && e.code != ERR_CONFLICT) /* the id is this submission's own: it is there already */
		return e;
	return mark_accepted(a, f, as, s->provider, s->id, out);
}

/* The decision is the first write: the record's id, by whom and why, while nobody else has decided. From then on it is
 * judged like a record (rule.c), though it is marked as accepted only once the record is there: the document can be
 * read by processors for as long as it is marked as submitted, and by the gateway never. */
struct err flow_accept_submission(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const struct grounds *grounds, const struct revision *expected, struct answer *answer, struct submission_info *out,
    struct form_problems *problems)
{
	struct question q = question_of(c, SUBMISSION_ACCEPT, id, NULL);
	struct judged j;
	struct entry entry;
	struct revision finished;

	*out = (struct submission_info){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	struct err e = open_submission(a, f, c, &q, &j, answer, &entry);
	if (e.code != OK || !answer->verdict.allow)
		return e;
	TRY(check_whole(a, f, &entry, problems));
	TRY(take_enrollment(a, f, entry.form, id, &entry.enrollment));
	act_decided(&entry, c, grounds);
	struct move move = { STATE_SUBMITTED, FIELD_ENROLLMENT | FIELD_DECIDED | FIELD_REASON, expected };
	e = make_move(a, f, c, &q, &j, &move, &entry, answer, out);
	if (e.code != OK || !answer->verdict.allow)
		return e;
	e = finish_acceptance(a, f, c->uid, &entry, &finished);
	if (e.code == OK)
		e = session_settle(f, &finished);
	if (e.code == OK)
		answer->revision = out->document.revision = finished;
	else /* it is decided all the same: the rest follows */
		log_event(LOG_WARNING, "record.late", "submission=%s record=%s error=\"%s\"", id, entry.enrollment, e.what);
	out->document.status = state_word(STATE_ACCEPTED);
	tell_author(a, f, &entry, STATE_ACCEPTED);
	return SUCCESS;
}

struct err flow_return_submission(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const struct grounds *grounds, const struct revision *expected, struct answer *answer, struct submission_info *out)
{
	struct question q = question_of(c, SUBMISSION_RETURN, id, NULL);
	struct judged j;
	struct entry entry;

	*out = (struct submission_info){ 0 };
	struct err e = open_submission(a, f, c, &q, &j, answer, &entry);
	if (e.code != OK || !answer->verdict.allow)
		return e;
	struct move move = { STATE_SUBMITTED, FIELD_STATE | FIELD_DECIDED | FIELD_REASON, expected };
	act_decided(&entry, c, grounds);
	entry.state = STATE_RETURNED;
	e = make_move(a, f, c, &q, &j, &move, &entry, answer, out);
	if (e.code == OK && answer->verdict.allow)
		tell_author(a, f, &entry, STATE_RETURNED);
	return e;
}

/* ---- what a crash left ---- */

struct halves {
	struct arena *arena;
	const struct view *view;
	struct { const char *id, *provider; } *list;
	size_t count;
};

/* Decided, and not yet marked so. */
static bool look_for_halves(void *self, const struct submission *s)
{
	struct halves *halves = self;

	if (s->state != STATE_SUBMITTED || s->enrollment[0] == '\0')
		return true;
	halves->list = arena_more(halves->arena, halves->list, halves->count, sizeof *halves->list);
	halves->list[halves->count].id = arena_strdup(halves->arena, s->id);
	halves->list[halves->count++].provider = arena_strdup(halves->arena, replica_org_id(halves->view, s->provider));
	return true;
}

/* The document is read by the processor who decided, once more. If he may not any more, the decision is taken back. */
static struct err mend_one(struct arena *a, struct flow *f, const char *provider, const char *id)
{
	struct entry head, whole;
	struct revision written;
	bool has_record = false;

	TRY(dir_read(a, f->dir, NULL, KIND_SUBMISSION, provider, id, &head));
	if (head.state != STATE_SUBMITTED || head.enrollment == NULL || head.decided_by == NULL)
		return SUCCESS;
	WITH_REPLICA(view, f->replica) {
		has_record = replica_record(&view, head.enrollment) != NULL;
	}
	if (has_record) {
		TRY(mark_accepted(a, f, NULL, provider, id, &written));
		return session_settle(f, &written);
	}
	struct err e = dir_read(a, f->dir, head.decided_by, KIND_SUBMISSION, provider, id, &whole);
	if (e.code == OK) {
		TRY(finish_acceptance(a, f, NULL, &whole, &written));
		log_event(LOG_INFO, "mend.record", "submission=%s record=%s", id, whole.enrollment);
	} else if (e.code == ERR_NOT_FOUND) {
		struct entry to = { .kind = KIND_SUBMISSION, .id = id, .provider = provider };
		struct guard guard = { .state = STATE_SUBMITTED, .revision = head.revision };

		TRY(dir_update(a, f->dir, NULL, &to, FIELD_ENROLLMENT | FIELD_DECIDED | FIELD_REASON, &guard, &written));
		log_event(LOG_WARNING, "mend.undecided", "submission=%s advice=\"its processor may not read it any more\"", id);
	} else {
		return e;
	}
	return session_settle(f, &written);
}

struct err mend_submissions(struct arena *a, struct flow *f)
{
	struct halves halves = { .arena = a };

	WITH_REPLICA(view, f->replica) {
		halves.view = &view;
		replica_each_submission(&view, look_for_halves, &halves);
	}
	for (size_t i = 0; i < halves.count; i++)
		TRY(mend_one(a, f, halves.list[i].provider, halves.list[i].id));
	return SUCCESS;
}
