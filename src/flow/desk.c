/* The help desk. What it does to an account is one write in the agent's own name, so that the directory asks once more
 * whether he is one; what follows from it (the lock, the second factor, a mail) is done in the gateway's name. */
#include "flow/desk.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

/* ---- the queue ---- */

static const struct waiting {
	const char *word;
	struct list_query query;
} kinds[] = {
	{ "claim", { .kind = KIND_CLAIM, .state = STATE_SUBMITTED } },
	{ "consent", { .kind = KIND_CONSENT, .state = STATE_SIGNED, .for_desk = true } },
	{ "association", { .kind = KIND_ASSOCIATION, .state = STATE_PENDING, .for_desk = true } },
	{ "revocation", { .kind = KIND_CASE, .state = STATE_SUBMITTED, .case_kind = CASE_REVOCATION,
	    .for_desk = true } },
	{ "no_official", { .kind = KIND_ORGANIZATION, .lacks = LACKS_OFFICIAL } },
	{ "verification", { .kind = KIND_ORGANIZATION, .lacks = LACKS_VERIFICATION } },
	{ "account", { .kind = KIND_CASE, .state = STATE_SUBMITTED, .case_kind = CASE_ACCOUNT } },
	{ "official_left", { .kind = KIND_CASE, .state = STATE_SUBMITTED, .case_kind = CASE_OFFICIAL_LEFT } },
};

static const char *word_of(const struct entry *e)
{
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const struct list_query *q = &kinds[i].query;

		if (q->kind == e->kind && q->case_kind == e->case_kind &&
		    (q->lacks == LACKS_VERIFICATION) == (e->kind == KIND_ORGANIZATION && e->provider_kind == NOT_A_PROVIDER))
			return kinds[i].word;
	}
	return kind_word(e->kind);
}

static struct err read_queue(struct arena *a, struct flow *f, const struct caller *c, const struct desk_filter *filter,
    const struct page *page, struct desk_item **out, size_t *count, const char **next)
{
	struct list_query queries[COUNT(kinds)];
	struct listing found;
	size_t wanted = 0;

	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (filter->kind != NULL && !text_same(filter->kind, kinds[i].word))
			continue;
		queries[wanted] = kinds[i].query;
		queries[wanted++].provider = filter->provider;
	}
	TRY(list_several(a, f, c->uid, queries, wanted, page, &found));
	*out = arena_alloc(a, found.count * sizeof **out);
	for (; *count < found.count; ++*count)
		(*out)[*count] = (struct desk_item){ word_of(&found.entries[*count]), found.entries[*count] };
	*next = found.next;
	return SUCCESS;
}

struct err flow_desk_queue(struct arena *a, struct flow *f, const struct caller *c, const struct desk_filter *filter,
    const struct page *page, struct answer *answer, struct desk_item **out, size_t *count, const char **next)
{
	struct question q = act_question(c, QUEUE_READ, NULL, NULL);
	struct judged j;
	bool known = filter->kind == NULL;

	*out = NULL;
	*count = 0;
	*next = NULL;
	for (size_t i = 0; i < COUNT(kinds); i++)
		known = known || text_same(filter->kind, kinds[i].word);
	if (!known)
		return FAIL(ERR_INVALID, "'kind' must be claim, consent, association, revocation, no_official, verification, "
					 "account or official_left");
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = read_queue(a, f, c, filter, page, out, count, next);
	*answer = j.answer;
	return e;
}

/* ---- an account ---- */

struct gathering {
	struct arena *arena;
	const struct view *view;
	struct flow *flow;
	const struct person *person;
	struct desk_account *out;
	const char **official_of;
	size_t official_count;
	int64_t now;
};

static bool gather_official(void *self, const struct organization *o)
{
	struct gathering *g = self;

	if (o->official != g->person->no)
		return true;
	g->official_of = arena_more(g->arena, g->official_of, g->official_count, sizeof *g->official_of);
	g->official_of[g->official_count++] = arena_strdup(g->arena, o->id);
	return true;
}

static bool gather_tie(void *self, const struct association *t)
{
	struct gathering *g = self;
	struct desk_account *out = g->out;

	if (t->state != STATE_PENDING && t->state != STATE_APPROVED)
		return true;
	out->ties = arena_more(g->arena, out->ties, out->tie_count, sizeof *out->ties);
	out->ties[out->tie_count++] = (struct desk_tie){
		.id = arena_strdup(g->arena, t->id),
		.provider = arena_strdup(g->arena, replica_org_id(g->view, t->provider)),
		.employer = arena_strdup(g->arena, replica_org_id(g->view, t->employer)),
		.state = (enum state)t->state,
	};
	return true;
}

static bool gather_session(void *self, const struct session *s)
{
	struct gathering *g = self;

	g->out->sessions += session_judge(g->flow, s, g->person, g->now) == REASON_OK;
	return true;
}

static void gather_what_he_has(struct arena *a, struct flow *f, const char *uid, struct desk_account *out)
{
	struct gathering g = { .arena = a, .flow = f, .out = out, .now = clock_now() };

	WITH_REPLICA(view, f->replica) {
		g.view = &view;
		g.person = replica_person(&view, uid);
		if (g.person != NULL) {
			session_roles(g.person->roles, out->roles);
			replica_associations_of(&view, g.person->no, gather_tie, &g);
			replica_sessions_of(&view, g.person->no, gather_session, &g);
		}
		if (g.person != NULL && replica_is_official(&view, g.person->no))
			replica_each_organization(&view, gather_official, &g);
	}
	out->official_of = arena_more(a, g.official_of, g.official_count, sizeof *g.official_of); /* its end */
}

static struct err tell_account(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    struct desk_account *out)
{
	*out = (struct desk_account){ 0 };
	TRY(dir_read(a, f->dir, c->uid, KIND_PERSON, NULL, uid, &out->entry));
	TRY(dir_failures(a, f->dir, uid, &out->failures));
	gather_what_he_has(a, f, uid, out);
	return SUCCESS;
}

struct err flow_desk_account(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    struct answer *answer, struct desk_account *out)
{
	struct question q = act_question(c, QUEUE_READ, "user", uid);
	struct judged j;

	*out = (struct desk_account){ 0 };
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = tell_account(a, f, c, uid, out);
	*answer = j.answer;
	return e;
}

/* ---- acts ---- */

static struct err unlock(struct arena *a, struct flow *f, const struct caller *, const struct entry *person)
{
	struct revision written = { 0 };

	TRY(dir_unlock(f->dir, person->id, &written));
	TRY(book_forget(a, f, person->id));
	return written.micros != 0 ? session_settle(f, &written) : SUCCESS;
}

static struct err reset(struct arena *a, struct flow *f, const struct caller *c, const struct entry *person)
{
	TRY(account_mail_reset(a, f, person->id));
	return unlock(a, f, c, person);
}

static struct err remove_factor(struct arena *a, struct flow *f, const struct caller *, const struct entry *person)
{
	struct revision written;

	return factor_remove(a, f, person->id, &written);
}

/* No session outlives what ends it, not even one that is begun in the same second. */
static void fill(struct entry *to, const struct entry *now)
{
	int64_t earliest = session_earliest(now);

	to->sessions_end = 1 + (earliest > clock_now() ? earliest : clock_now());
	to->signed_in_at = clock_now(); /* enabled: the days without a sign-in are counted from now on */
	to->fraud_at = 0;               /* what was found is taken back */
}

static const struct move {
	enum action action;
	enum state from, to; /* STATE_NONE: it stays */
	unsigned fields;
	struct err (*follow)(struct arena *, struct flow *, const struct caller *, const struct entry *person);
	const char *notice;
	bool mails;          /* it comes to nothing without mail */
} moves[] = {
	{ ACCOUNT_UNLOCK, STATE_NONE, STATE_NONE, 0, unlock, "account-unlocked", false },
	{ ACCOUNT_RESET, STATE_NONE, STATE_NONE, FIELD_SESSIONS_END, reset, NULL, true },
	{ ACCOUNT_SECOND_FACTOR, STATE_NONE, STATE_NONE, 0, remove_factor, NULL, false },
	{ ACCOUNT_DISABLE, STATE_ACTIVE, STATE_DISABLED, FIELD_STATE | FIELD_SESSIONS_END, NULL, "account-disabled", false },
	{ ACCOUNT_ENABLE, STATE_DISABLED, STATE_ACTIVE, FIELD_STATE | FIELD_SESSIONS_END | FIELD_SIGNED_IN_AT | FIELD_FRAUD_AT,
	    NULL, "account-enabled", false },
	{ ACCOUNT_REMOVE, STATE_DISABLED, STATE_REMOVED, FIELD_STATE | FIELD_SESSIONS_END, NULL, "account-removed", false },
};

static struct err make_move(struct arena *a, struct flow *f, const struct caller *c, const struct move *move,
    const struct question *q, const struct grounds *grounds, const struct revision *expected, struct judged *j)
{
	struct entry person, to = { .kind = KIND_PERSON, .id = q->resource, .state = move->to };
	struct revision written;

	TRY(dir_read(a, f->dir, c->uid, KIND_PERSON, NULL, q->resource, &person));
	if (move->mails && f->mail == NULL)
		return FAIL(ERR_UNAVAILABLE, "there is no mail");
	if (move->mails && (person.mail == NULL || person.state != STATE_ACTIVE))
		return FAIL(ERR_INVALID, "the account is not active, or has no mail address");
	fill(&to, &person);
	act_decided(&to, c, grounds);
	struct act act = {
		.question = *q,
		.to = &to,
		.fields = move->fields | FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = move->from, .revision = *expected },
		.detail = act_detail(a, grounds),
	};
	TRY(act_write(a, f, c, &act, j, &written));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	if (move->follow != NULL)
		TRY(move->follow(a, f, c, &person));
	if (move->notice != NULL)
		notice_send(a, f, move->notice, q->resource, NULL);
	return SUCCESS;
}

struct err flow_desk_act(struct arena *a, struct flow *f, const struct caller *c, enum action action, const char *uid,
    const struct grounds *grounds, const struct revision *expected, struct answer *answer, struct desk_account *out)
{
	struct question q = act_question(c, action, "user", uid);
	const struct move *move = NULL;
	struct judged j;

	*out = (struct desk_account){ 0 };
	for (size_t i = 0; i < COUNT(moves); i++)
		if (moves[i].action == action)
			move = &moves[i];
	if (move == NULL)
		return FAIL(ERR_BUG, "nothing that the help desk does to an account");
	TRY(act_check_grounds(grounds, GROUNDS_DESK));
	if (grounds->identified_by == NULL)
		return FAIL(ERR_INVALID, "'identified_by' is required");
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = make_move(a, f, c, move, &q, grounds, expected, &j);
	if (e.code == OK && j.answer.verdict.allow)
		e = tell_account(a, f, c, uid, out);
	*answer = j.answer;
	return e;
}

/* ---- cases ---- */

struct err flow_open_case(struct arena *a, struct flow *f, const struct caller *c, const char *note,
    struct case_info *out, bool *made)
{
	struct entry entry = {
		.kind = KIND_CASE,
		.state = STATE_SUBMITTED,
		.case_kind = CASE_ACCOUNT,
		.user = c->uid,
		.requested_by = c->uid,
		.requested_at = clock_now(),
		.note = note,
	};

	*out = (struct case_info){ 0 };
	TRY(case_open(a, f, c, &entry, made));
	if (*made)
		notice_help_desk(f, "help-requested", (struct mail_field[]){ { "user", c->uid }, { NULL, NULL } });
	return flow_view_case(a, f, c, entry.id, out);
}

struct err flow_view_case(struct arena *a, struct flow *f, const struct caller *c, const char *id, struct case_info *out)
{
	bool fresh = false, known = false;

	*out = (struct case_info){ .for_desk = act_has_role(f, c, ROLE_HELP_DESK | ROLE_AUDITOR) };
	WITH_REPLICA(view, f->replica) {
		const struct help_case *h = replica_case(&view, id);

		fresh = view.fresh;
		known = h != NULL && act_may_see(&view, replica_person(&view, c->uid), h->provider, h->user);
	}
	if (!fresh)
		return FAIL(ERR_UNAVAILABLE, "the replica is stale");
	if (!known)
		return FAIL(ERR_NOT_FOUND, "no such case");
	return dir_read(a, f->dir, c->uid, KIND_CASE, NULL, id, &out->entry);
}

static struct err close_case(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, const struct revision *expected, struct judged *j, struct case_info *out)
{
	struct entry to = { .kind = KIND_CASE, .id = q->resource, .state = STATE_EXECUTED };
	struct revision written;
	struct act act = {
		.question = *q,
		.to = &to,
		.fields = FIELD_STATE | FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = STATE_SUBMITTED, .revision = *expected },
		.detail = act_detail(a, grounds),
		.by_gateway = true,
	};

	act_decided(&to, c, grounds);
	TRY(act_write(a, f, c, &act, j, &written));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	TRY(flow_view_case(a, f, c, q->resource, out));
	if (out->entry.case_kind == CASE_ACCOUNT && out->entry.user != NULL)
		notice_send(a, f, "case-closed", out->entry.user,
		    (struct mail_field[]){ { "reason", grounds->reason }, { NULL, NULL } });
	return SUCCESS;
}

struct err flow_close_case(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const struct grounds *grounds, const struct revision *expected, struct answer *answer, struct case_info *out)
{
	struct question q = act_question(c, CASE_CLOSE, "case", id);
	struct judged j;

	*out = (struct case_info){ 0 };
	TRY(act_check_grounds(grounds, GROUNDS_DESK));
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = close_case(a, f, c, &q, grounds, expected, &j, out);
	*answer = j.answer;
	return e;
}
