/* Revoking an employer's access to a provider: asked for by its Authorized Official, executed by the help desk; and letting
 * the employer in again. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/employer.h"
#include "flow/inside.h"

#include "base/banned.h"

#define TAKING_HOLDS_S 60 /* longer than an execution takes to set the bar */
#define TRIES 8

/* ---- asking and looking ---- */

static struct err tell_revocation(struct arena *a, struct flow *f, bool for_desk, const struct entry *entry,
    struct revocation_info *out)
{
	struct entry employer;
	struct err e = dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, entry->employer, &employer);

	*out = (struct revocation_info){ .entry = *entry, .for_desk = for_desk };
	if (e.code == OK)
		out->employer_name = employer.name;
	return e.code == ERR_NOT_FOUND ? SUCCESS : e;
}

/* as: NULL, or in whose name. */
static struct err read_case(struct arena *a, struct flow *f, const char *as, const char *id, struct entry *out)
{
	TRY(dir_read(a, f->dir, as, KIND_CASE, NULL, id, out));
	return out->case_kind == CASE_REVOCATION && out->provider != NULL && out->employer != NULL
	    ? SUCCESS
	    : FAIL(ERR_NOT_FOUND, "no such request");
}

static struct err open_revocation(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j, struct entry *entry, bool *made)
{
	for (int i = 0; i < TRIES; i++) {
		struct act act = { .question = *q, .to = entry, .by_gateway = true };

		TRY(case_name(a, f, entry, made));
		if (!*made)
			return read_case(a, f, NULL, entry->id, entry);
		act.detail = arena_printf(a, "case %s", entry->id);
		struct err e = act_write(a, f, c, &act, j, &entry->revision);
		if (e.code != ERR_CONFLICT)
			return e;
	}
	return FAIL(ERR_UNAVAILABLE, "no name is left for a case");
}

struct err flow_request_revocation(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *employer, const char *reason, struct answer *answer, struct revocation_info *out, bool *made)
{
	struct question q = act_question(c, EMPLOYER_REVOCATION_REQUEST, "provider", provider);
	struct judged j;
	struct entry entry = {
		.kind = KIND_CASE,
		.state = STATE_SUBMITTED,
		.case_kind = CASE_REVOCATION,
		.provider = provider,
		.employer = employer,
		.requested_by = c->uid,
		.requested_at = clock_now(),
		.note = reason,
	};

	q.acting_for = employer;
	*out = (struct revocation_info){ 0 };
	*made = false;
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = open_revocation(a, f, c, &q, &j, &entry, made);
	*answer = j.answer;
	if (e.code != OK || !answer->verdict.allow)
		return e;
	e = tell_revocation(a, f, false, &entry, out);
	if (*made)
		notice_help_desk(f, "revocation-requested", (struct mail_field[]){ { "user", c->uid },
		    { "provider", provider }, { "employer", employer }, { NULL, NULL } });
	return e;
}

struct err flow_list_revocations(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    enum state state, const struct page *page, struct answer *answer, struct revocation_info **out, size_t *count,
    const char **next)
{
	struct question q = act_question(c, QUEUE_READ, NULL, NULL);
	struct list_query query = {
		.kind = KIND_CASE, .case_kind = CASE_REVOCATION, .provider = provider, .state = state
	};
	bool desk = act_has_role(f, c, ROLE_HELP_DESK | ROLE_AUDITOR), sees = false;
	struct listing found;
	struct judged j;

	*count = 0;
	*next = NULL;
	TRY(decide_judge(a, f, c, &q, &j, NULL));
	WITH_REPLICA(view, f->replica) {
		sees = act_may_see(&view, replica_person(&view, c->uid), act_org_no(&view, provider), 0);
	}
	if (j.answer.verdict.why == NOT_HELP_DESK && sees)
		j.answer.verdict = (struct verdict){ .allow = true, .why = REASON_OK };
	else if (j.answer.verdict.why == NOT_HELP_DESK)
		decide_refuse(&j, NOT_AUTHORIZED_OFFICIAL);
	*answer = j.answer;
	if (!answer->verdict.allow)
		return SUCCESS;
	TRY(list_entries(a, f, desk ? c->uid : NULL, &query, page, &found));
	*out = arena_alloc(a, found.count * sizeof **out);
	for (size_t i = 0; i < found.count; i++)
		TRY(tell_revocation(a, f, desk, &found.entries[i], &(*out)[(*count)++]));
	*next = found.next;
	return SUCCESS;
}

struct err flow_view_revocation(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    struct revocation_info *out, struct revision *revision)
{
	bool desk = act_has_role(f, c, ROLE_HELP_DESK | ROLE_AUDITOR), fresh = false, known = false;
	struct entry entry;

	*out = (struct revocation_info){ 0 };
	WITH_REPLICA(view, f->replica) {
		const struct help_case *h = replica_case(&view, id);

		fresh = view.fresh;
		*revision = view.revision;
		known = h != NULL && act_may_see(&view, replica_person(&view, c->uid), h->provider, 0);
	}
	if (!fresh)
		return FAIL(ERR_UNAVAILABLE, "the replica is stale");
	if (!known)
		return FAIL(ERR_NOT_FOUND, "no such request");
	TRY(read_case(a, f, desk ? c->uid : NULL, id, &entry));
	return tell_revocation(a, f, desk, &entry, out);
}

/* ---- executing and declining ---- */

/* The write that closes it: the provider bars the employer. Made by whoever executes it, so that the directory looks
 * once more whether he may. */
static struct err bar(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, const struct entry *entry, struct judged *j)
{
	for (int i = 0; i < TRIES; i++) {
		struct entry provider;
		struct revision written;

		TRY(dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, entry->provider, &provider));
		if (employer_listed(provider.barred, entry->employer))
			return SUCCESS;
		struct entry to = {
			.kind = KIND_ORGANIZATION,
			.id = entry->provider,
			.barred = employer_list(a, provider.barred, entry->employer, true),
		};
		struct act act = {
			.question = *q,
			.to = &to,
			.fields = FIELD_BARRED,
			.guard.revision = provider.revision,
			.detail = act_detail(a, grounds),
		};
		struct err e = act_write(a, f, c, &act, j, &written);
		if (e.code != ERR_CONFLICT)
			return e;
	}
	return FAIL(ERR_UNAVAILABLE, "the provider's entry changes all the time");
}

/* *official: who is to be told that it is done; or NULL. */
static struct err close_employer(struct arena *a, struct flow *f, const struct caller *c, const struct entry *entry,
    struct mail_field told[3], const char **official)
{
	struct entry provider, employer;

	TRY(dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, entry->provider, &provider));
	struct err e = dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, entry->employer, &employer);
	if (e.code != OK && e.code != ERR_NOT_FOUND)
		return e;
	*official = provider.official;
	told[0] = (struct mail_field){ "provider", provider.name };
	told[1] = (struct mail_field){ "employer", e.code == OK ? employer.name : entry->employer };
	told[2] = (struct mail_field){ NULL, NULL };
	struct closing what = {
		.told = told,
		.provider = entry->provider,
		.employer = entry->employer,
		.by = entry->decided_by,
		.reason = "the employer's access was revoked",
		.refused = STATE_REJECTED,
	};

	return employer_close(a, f, c, &what);
}

/* Who has taken it on, and on what grounds. It is still open; a second one may take it on as well, and one of them ends
 * it. */
static struct err take_on(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, const struct revision *expected, struct entry *entry, struct judged *j)
{
	struct act act = {
		.question = *q,
		.event = "case.take",
		.detail = act_detail(a, grounds),
		.to = entry,
		.fields = FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = STATE_SUBMITTED, .revision = *expected },
		.by_gateway = true,
	};

	return act_write(a, f, c, &act, j, &entry->revision);
}

/* read: its revision, or empty. */
static struct err end_case(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, const struct revision *read, struct entry *entry, struct judged *j)
{
	struct act act = {
		.question = *q,
		.detail = act_detail(a, grounds),
		.to = entry,
		.fields = FIELD_STATE | FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = STATE_SUBMITTED, .revision = *read },
		.by_gateway = true,
	};

	return act_write(a, f, c, &act, j, &entry->revision);
}

/* Three steps: who does it and why; the bar, which closes everything; and the rest, which mend_revocations finishes if
 * we die: a case that somebody has taken on, and whose employer is barred. What an administrator bars by hand is left
 * alone. */
static struct err execute(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, const struct revision *expected, struct entry *entry, struct judged *j)
{
	struct mail_field told[3];
	const char *official;

	act_decided(entry, c, grounds);
	entry->state = STATE_EXECUTED;
	TRY(take_on(a, f, c, q, grounds, expected, entry, j));
	if (j->answer.verdict.allow)
		TRY(bar(a, f, c, q, grounds, entry, j));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	TRY(close_employer(a, f, c, entry, told, &official));
	TRY(end_case(a, f, c, q, grounds, &(struct revision){ 0 }, entry, j));
	if (j->answer.verdict.allow && official != NULL)
		notice_send(a, f, "access-revoked", official, told);
	/* It may have been finished for us meanwhile, and is ours all the same. */
	struct entry there;
	if (j->answer.verdict.why == ALREADY_DECIDED && read_case(a, f, NULL, entry->id, &there).code == OK &&
	    there.state == STATE_EXECUTED && text_same(there.decided_by, c->uid)) {
		*entry = there;
		j->answer.verdict = (struct verdict){ .allow = true, .why = REASON_OK };
	}
	return SUCCESS;
}

/* By somebody who may have set the bar already; but one who died before that is not waited for. */
static struct err is_taken_on(struct arena *a, struct flow *f, const struct entry *entry, bool *out)
{
	struct entry provider;

	*out = entry->decided_by != NULL;
	if (!*out || clock_now() - entry->decided_at < TAKING_HOLDS_S)
		return SUCCESS;
	TRY(dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, entry->provider, &provider));
	*out = employer_listed(provider.barred, entry->employer);
	return SUCCESS;
}

static struct err decline(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, struct entry *entry, struct judged *j)
{
	bool taken = false;
	struct err e = is_taken_on(a, f, entry, &taken);

	if (e.code == OK && !taken) {
		struct revision read = entry->revision;

		act_decided(entry, c, grounds);
		entry->state = STATE_DECLINED;
		e = end_case(a, f, c, q, grounds, &read, entry, j);
		taken = e.code == ERR_CONFLICT;
	}
	if (!taken)
		return e;
	decide_refuse(j, ALREADY_DECIDED);
	return SUCCESS;
}

struct err flow_decide_revocation(struct arena *a, struct flow *f, const struct caller *c, enum action action,
    const char *id, const struct grounds *grounds, const struct revision *expected, struct answer *answer,
    struct revocation_info *out)
{
	struct question q = act_question(c, action, "case", id);
	bool executes = action == EMPLOYER_REVOCATION_EXECUTE;
	struct judged j;
	struct entry entry;

	*out = (struct revocation_info){ 0 };
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = read_case(a, f, c->uid, id, &entry);
	if (e.code == OK && j.answer.verdict.allow && expected->micros != 0 &&
	    revision_compare(&entry.revision, expected) != 0)
		e = FAIL(ERR_CONFLICT, "the request has changed since it was read");
	if (e.code == OK && j.answer.verdict.allow)
		e = executes ? execute(a, f, c, &q, grounds, expected, &entry, &j)
			     : decline(a, f, c, &q, grounds, &entry, &j);
	*answer = j.answer;
	if (e.code != OK || !answer->verdict.allow)
		return e;
	return tell_revocation(a, f, true, &entry, out);
}

/* ---- letting an employer in again ---- */

/* Only the bar goes. Whatever is still said to stand is ended before: an execution that was cut short, or a bar that an
 * administrator has set by hand, has left it. */
static struct err lift(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, const struct revision *expected, struct entry *provider, struct mail_field told[3],
    struct judged *j)
{
	const struct entry closed = { .provider = q->resource, .employer = q->acting_for, .decided_by = c->uid };
	const char *official;

	for (int i = 0; i < TRIES; i++) {
		TRY(dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, q->resource, provider));
		if (!employer_listed(provider->barred, q->acting_for)) {
			decide_refuse(j, ALREADY_DECIDED);
			return SUCCESS;
		}
		if (expected->micros != 0 && revision_compare(&provider->revision, expected) != 0)
			return FAIL(ERR_CONFLICT, "the provider has changed since it was read");
		TRY(close_employer(a, f, c, &closed, told, &official));
		struct act act = {
			.question = *q,
			.detail = act_detail(a, grounds),
			.to = provider,
			.fields = FIELD_BARRED | FIELD_DECIDED | FIELD_REASON,
			.guard.revision = provider->revision,
		};
		provider->barred = employer_list(a, provider->barred, q->acting_for, false);
		act_decided(provider, c, grounds);
		struct err e = act_write(a, f, c, &act, j, &provider->revision);
		if (e.code != ERR_CONFLICT)
			return e;
	}
	return FAIL(ERR_UNAVAILABLE, "the provider's entry changes all the time");
}

struct err flow_reinstate_employer(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *employer, const struct grounds *grounds, const struct revision *expected, struct answer *answer,
    struct entry *out)
{
	struct question q = act_question(c, EMPLOYER_REINSTATE, "provider", provider);
	struct mail_field told[3];
	struct judged j;

	*out = (struct entry){ .kind = KIND_ORGANIZATION };
	q.acting_for = employer;
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = lift(a, f, c, &q, grounds, expected, out, told, &j);
	if (e.code == OK && j.answer.verdict.allow && out->official != NULL)
		notice_send(a, f, "employer-reinstated", out->official, told);
	*answer = j.answer;
	return e;
}

/* ---- what an execution that was cut short has left ---- */

struct halves {
	struct arena *arena;
	const struct view *view;
	const char **list;
	size_t count;
};

static bool look_for_half(void *self, const struct help_case *h)
{
	struct halves *halves = self;
	const struct organization *p = replica_organization_no(halves->view, h->provider);

	if (h->kind != CASE_REVOCATION || h->state != STATE_SUBMITTED || !replica_bars(p, h->employer))
		return true;
	halves->list = arena_more(halves->arena, halves->list, halves->count, sizeof *halves->list);
	halves->list[halves->count++] = arena_strdup(halves->arena, h->id);
	return true;
}

static struct err finish_revocation(struct arena *a, struct flow *f, const char *id)
{
	struct mail_field told[3];
	const char *official;
	struct entry entry;
	struct revision written;
	struct err e = read_case(a, f, NULL, id, &entry);

	if (e.code == ERR_NOT_FOUND)
		return SUCCESS;
	TRY(e);
	if (entry.state != STATE_SUBMITTED || entry.decided_by == NULL)
		return SUCCESS; /* not begun: barred by somebody else */
	log_event(LOG_INFO, "mend.revocation", "case=%s provider=%s employer=%s", id, entry.provider, entry.employer);
	TRY(close_employer(a, f, NULL, &entry, told, &official));
	entry.state = STATE_EXECUTED;
	struct act act = {
		.question.subject = entry.decided_by,
		.event = "employer.revocation.execute",
		.detail = "finished",
		.to = &entry,
		.fields = FIELD_STATE,
		.guard = { .state = STATE_SUBMITTED },
		.by_gateway = true,
	};
	TRY(mend_write(a, f, NULL, &act, &written));
	if (written.micros != 0 && official != NULL)
		notice_send(a, f, "access-revoked", official, told);
	return SUCCESS;
}

struct err mend_revocations(struct arena *a, struct flow *f)
{
	struct halves halves = { .arena = a };
	struct err result = SUCCESS;

	WITH_REPLICA(view, f->replica) {
		halves.view = &view;
		replica_each_case(&view, look_for_half, &halves);
	}
	for (size_t i = 0; i < halves.count; i++) {
		struct err e = finish_revocation(a, f, halves.list[i]);
		if (e.code != OK)
			result = e;
	}
	return result;
}
