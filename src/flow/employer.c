/* Leaving an employer, and revoking an employer's access to a provider: one write closes it, and what it closed is then
 * said to be over, entry by entry. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/association.h"
#include "flow/inside.h"

#include "base/banned.h"

#define AT_ONCE 128
#define TRIES 8

/* ---- closing what goes through an employer ---- */

struct open_entry {
	enum kind kind;
	enum state state;
	struct revision revision;
	char id[ID_MOST + 1], provider[ID_MOST + 1], user[ID_MOST + 1];
};
/* What a person has through an employer, or what goes through an employer at a provider. */
struct closing {
	const char *user, *provider, *employer; /* ids; user or provider is NULL */
	const char *by, *reason;                /* who decided it, and why, as each entry is to say */
	enum state refused;                     /* what becomes of a request that is pending */
	const struct mail_field *told;          /* to whoever loses an association by it; NULL: he knows */
};
struct search {
	const struct view *view;
	const struct closing *what;
	number user, provider, employer; /* 0: there is no such entry, or none is named */
	struct open_entry list[AT_ONCE];
	size_t count;
};

static bool note(struct search *s, enum kind kind, enum state state, const struct mark *mark, const char *id,
    number provider, number user)
{
	struct open_entry *open = &s->list[s->count];
	const char *provider_id = replica_org_id(s->view, provider), *uid = replica_uid(s->view, user);

	if (strlen(id) > ID_MOST || strlen(provider_id) > ID_MOST || strlen(uid) > ID_MOST)
		return true;
	*open = (struct open_entry){ .kind = kind, .state = state, .revision = mark->revision };
	memcpy(open->id, id, strlen(id) + 1);
	memcpy(open->provider, provider_id, strlen(provider_id) + 1);
	memcpy(open->user, uid, strlen(uid) + 1);
	return ++s->count < AT_ONCE;
}

/* Also of an organization whose entry is missing or not understood, and is only named by others. */
static bool is_org(const struct search *s, number no, number known, const char *id)
{
	return known != 0 ? no == known : text_same(replica_org_id(s->view, no), id);
}

static bool look_at_tie(void *self, const struct association *t)
{
	struct search *s = self;
	bool meant = is_org(s, t->employer, s->employer, s->what->employer) &&
	    (s->what->user != NULL ? t->user == s->user : is_org(s, t->provider, s->provider, s->what->provider));

	if (!meant || (t->state != STATE_PENDING && t->state != STATE_APPROVED))
		return true;
	return note(s, KIND_ASSOCIATION, t->state, &t->mark, t->id, t->provider, t->user);
}

static bool look_at_consent(void *self, const struct consent *c)
{
	struct search *s = self;
	bool meant = is_org(s, c->employer, s->employer, s->what->employer) &&
	    is_org(s, c->provider, s->provider, s->what->provider);

	if (!meant || (c->state != STATE_PREPARED && c->state != STATE_SIGNED && c->state != STATE_APPROVED))
		return true;
	return note(s, KIND_CONSENT, c->state, &c->mark, c->id, c->provider, 0);
}

static number org_no(const struct view *v, const char *id)
{
	const struct organization *o = id != NULL ? replica_organization(v, id) : NULL;

	return o != NULL ? o->no : 0;
}

static struct err find_open(struct flow *f, const struct closing *what, struct search *s)
{
	bool fresh = false;

	s->what = what;
	s->count = 0;
	WITH_REPLICA(view, f->replica) {
		const struct person *person = what->user != NULL ? replica_person(&view, what->user) : NULL;

		fresh = view.fresh;
		s->view = &view;
		s->user = person != NULL ? person->no : 0;
		s->provider = org_no(&view, what->provider);
		s->employer = org_no(&view, what->employer);
		if (fresh)
			replica_each_association(&view, look_at_tie, s);
		if (fresh && what->user == NULL && s->count < AT_ONCE)
			replica_each_consent(&view, look_at_consent, s);
		s->view = NULL;
	}
	return fresh ? SUCCESS : FAIL(ERR_UNAVAILABLE, "the replica is stale");
}

static enum state closed_state(const struct open_entry *open, const struct closing *what)
{
	if (open->kind == KIND_ASSOCIATION)
		return open->state == STATE_APPROVED ? STATE_ENDED : what->refused;
	return open->state == STATE_APPROVED ? STATE_REVOKED
	    : open->state == STATE_SIGNED    ? STATE_REJECTED
					     : STATE_WITHDRAWN;
}

static const char *closed_event(enum kind kind, enum state state)
{
	switch (state) {
	case STATE_ENDED:
		return "association.end";
	case STATE_CANCELLED:
		return "association.cancel";
	case STATE_REVOKED:
		return "consent.revoke";
	case STATE_WITHDRAWN:
		return "consent.withdraw";
	default:
		return kind == KIND_CONSENT ? "consent.reject" : "association.reject";
	}
}

static struct err close_entry(struct arena *a, struct flow *f, const struct caller *c, const struct closing *what,
    const struct open_entry *open)
{
	struct revision written;
	struct entry to = {
		.kind = open->kind,
		.id = open->id,
		.provider = open->provider,
		.employer = what->employer,
		.state = closed_state(open, what),
		.decided_by = what->by,
		.decided_at = clock_now(),
		.reason = what->reason,
	};
	struct act act = {
		.question.subject = what->by,
		.event = closed_event(open->kind, to.state),
		.detail = what->reason,
		.to = &to,
		.fields = FIELD_STATE | FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = open->state, .revision = open->revision },
		.by_gateway = true,
	};

	struct err e = mend_write(a, f, c, &act, &written);
	if (written.micros != 0 && to.state == STATE_ENDED && what->told != NULL)
		notice_send(a, f, "access-revoked", open->user, what->told);
	return e.code == ERR_NOT_FOUND ? SUCCESS : e;
}

/* Until nothing is open. Who decides otherwise at the same moment is either first, and what he opened is closed in the
 * next round, or is told that it is decided. */
static struct err close_all(struct arena *a, struct flow *f, const struct caller *c, const struct closing *what)
{
	struct search *s = arena_alloc(a, sizeof *s);
	size_t before = SIZE_MAX;

	for (int round = 0;; round++) {
		TRY(find_open(f, what, s));
		if (s->count == 0)
			return SUCCESS;
		if (round >= TRIES && s->count >= before)
			return FAIL(ERR_UNAVAILABLE, "what goes through an employer cannot be closed");
		before = s->count;
		for (size_t i = 0; i < s->count; i++)
			TRY(close_entry(a, f, c, what, &s->list[i]));
		TRY(mend_settle(f));
	}
}

/* ---- leaving ---- */

static bool is_official(struct flow *f, const char *uid, const char *organization)
{
	bool official = false;

	WITH_REPLICA(view, f->replica) {
		const struct person *person = replica_person(&view, uid);
		const struct organization *o = replica_organization(&view, organization);

		official = person != NULL && o != NULL && o->official == person->no;
	}
	return official;
}

/* The seat of an Authorized Official is not vacated by leaving: the help desk is told. */
static struct err tell_desk(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    const char *employer)
{
	struct entry entry = {
		.kind = KIND_CASE,
		.state = STATE_SUBMITTED,
		.case_kind = CASE_OFFICIAL_LEFT,
		.user = uid,
		.provider = employer,
		.requested_by = uid,
		.requested_at = clock_now(),
	};
	bool made;

	if (!is_official(f, uid, employer))
		return SUCCESS;
	TRY(case_open(a, f, c, &entry, &made));
	if (made)
		notice_help_desk(f, "official-left",
		    (struct mail_field[]){ { "user", uid }, { "provider", employer }, { NULL, NULL } });
	return SUCCESS;
}

static const char *const *list_with(struct arena *a, const char *const *list, const char *one)
{
	size_t count = 0;

	while (list != NULL && list[count] != NULL)
		count++;
	const char **out = arena_alloc(a, (count + 2) * sizeof *out);
	for (size_t i = 0; i < count; i++)
		out[i] = list[i];
	out[count] = one;
	return out;
}

static const char *const *list_without(struct arena *a, const char *const *list, const char *one)
{
	size_t count = 0;

	while (list != NULL && list[count] != NULL)
		count++;
	const char **out = arena_alloc(a, (count + 1) * sizeof *out);
	for (size_t i = 0, kept = 0; i < count; i++)
		if (!text_same(list[i], one))
			out[kept++] = list[i];
	return out;
}

static bool list_has(const char *const *list, const char *one)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		if (text_same(list[i], one))
			return true;
	return false;
}

/* He has left: nothing goes through that employer any more, and he may ask again. */
static struct err forget_leaving(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    const char *employer)
{
	for (int i = 0; i < TRIES; i++) {
		struct entry person;
		struct revision written;

		TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &person));
		if (!list_has(person.leaving, employer))
			return SUCCESS;
		struct entry to = { .kind = KIND_PERSON, .id = uid };
		to.leaving = list_without(a, person.leaving, employer);
		struct act act = {
			.question.subject = uid,
			.event = "employer.left",
			.detail = employer,
			.to = &to,
			.fields = FIELD_LEAVING,
			.guard.revision = person.revision,
			.by_gateway = true,
		};
		TRY(mend_write(a, f, c, &act, &written));
		if (written.micros != 0)
			return session_settle(f, &written);
	}
	return FAIL(ERR_UNAVAILABLE, "the person's entry changes all the time");
}

static struct err finish_leaving(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    const char *employer)
{
	struct closing what = {
		.user = uid,
		.employer = employer,
		.by = uid,
		.reason = "left the employer",
		.refused = STATE_CANCELLED,
	};

	TRY(close_all(a, f, c, &what));
	TRY(tell_desk(a, f, c, uid, employer));
	return forget_leaving(a, f, c, uid, employer);
}

/* The first write: from now on, what goes through the employer counts no more. */
static struct err begin_leaving(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j)
{
	struct err e = SUCCESS;

	for (int i = 0; i < TRIES; i++) {
		struct entry person;
		struct revision written;

		TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, c->uid, &person));
		if (list_has(person.leaving, q->resource))
			return SUCCESS;
		struct entry to = { .kind = KIND_PERSON, .id = c->uid };
		to.leaving = list_with(a, person.leaving, q->resource);
		struct act act = {
			.question = *q,
			.to = &to,
			.fields = FIELD_LEAVING,
			.guard.revision = person.revision,
			.detail = q->resource,
			.by_gateway = true,
		};
		e = act_write(a, f, c, &act, j, &written);
		if (e.code != ERR_CONFLICT)
			return e;
	}
	return FAIL(ERR_UNAVAILABLE, "the person's entry changes all the time");
}

/* What was open, and what has become of it by that revision. */
static void tell_closed(struct arena *a, struct flow *f, const struct search *s, struct leaving *out,
    struct revision *revision)
{
	const char **ended = arena_alloc(a, (s->count + 1) * sizeof *ended);
	const char **cancelled = arena_alloc(a, (s->count + 1) * sizeof *cancelled);
	size_t endings = 0, cancellations = 0;

	WITH_REPLICA(view, f->replica) {
		*revision = view.revision;
		for (size_t i = 0; i < s->count; i++) {
			const struct association *t = replica_association(&view, s->list[i].id);

			if (t != NULL && t->state == STATE_ENDED)
				ended[endings++] = s->list[i].id;
			else if (t != NULL && t->state == STATE_CANCELLED)
				cancelled[cancellations++] = s->list[i].id;
		}
	}
	out->ended = ended;
	out->cancelled = cancelled;
}

struct err flow_leave_employer(struct arena *a, struct flow *f, const struct caller *c, const char *employer,
    struct answer *answer, struct leaving *out)
{
	struct question q = act_question(c, EMPLOYER_LEAVE, "provider", employer);
	struct closing what = { .user = c->uid, .employer = employer };
	struct search *open = arena_alloc(a, sizeof *open);
	struct judged j;

	*out = (struct leaving){ 0 };
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = find_open(f, &what, open);
	if (e.code == OK && j.answer.verdict.allow) {
		out->is_official = is_official(f, c->uid, employer);
		if (open->count > 0 || out->is_official)
			e = begin_leaving(a, f, c, &q, &j);
		if (e.code == OK && j.answer.verdict.allow)
			e = finish_leaving(a, f, c, c->uid, employer);
		if (e.code == OK && j.answer.verdict.allow)
			tell_closed(a, f, open, out, &j.answer.revision);
	}
	*answer = j.answer;
	return e;
}

struct leavers {
	const struct view *view;
	struct { char uid[33], employer[ID_MOST + 1]; } list[AT_ONCE];
	size_t count;
};

static bool look_for_leaver(void *self, const struct person *person)
{
	struct leavers *l = self;

	for (size_t i = 0; i < person->leaving_count && l->count < AT_ONCE; i++) {
		const char *employer = replica_org_id(l->view, person->leaving[i]);

		if (strlen(person->uid) >= sizeof l->list[0].uid || strlen(employer) > ID_MOST)
			continue;
		memcpy(l->list[l->count].uid, person->uid, strlen(person->uid) + 1);
		memcpy(l->list[l->count].employer, employer, strlen(employer) + 1);
		l->count++;
	}
	return l->count < AT_ONCE;
}

struct err mend_leaving(struct arena *a, struct flow *f)
{
	struct leavers *l = arena_alloc(a, sizeof *l);
	struct err result = SUCCESS;

	WITH_REPLICA(view, f->replica) {
		l->view = &view;
		replica_each_person(&view, look_for_leaver, l);
		l->view = NULL;
	}
	for (size_t i = 0; i < l->count; i++) {
		log_event(LOG_INFO, "mend.leaving", "user=%s employer=%s", l->list[i].uid, l->list[i].employer);
		struct err e = finish_leaving(a, f, NULL, l->list[i].uid, l->list[i].employer);
		if (e.code != OK)
			result = e; /* one that cannot be finished keeps no other from it */
	}
	return result;
}

/* ---- revoking an employer's access ---- */

/* May he know of what is asked of the help desk about that provider? */
struct rank { bool fresh, desk, official; };

static struct rank rank_of(struct flow *f, const struct caller *c, const char *provider)
{
	struct rank rank = { false, false, false };

	WITH_REPLICA(view, f->replica) {
		const struct person *person = replica_person(&view, c->uid);
		const struct organization *p = provider != NULL ? replica_organization(&view, provider) : NULL;

		rank.fresh = view.fresh;
		rank.desk = person != NULL && (person->roles & (ROLE_HELP_DESK | ROLE_AUDITOR));
		rank.official = person != NULL && p != NULL && p->official == person->no;
	}
	return rank;
}

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
	struct rank rank = rank_of(f, c, provider);
	struct listing found;
	struct judged j;

	*count = 0;
	*next = NULL;
	TRY(decide_judge(a, f, c, &q, &j, NULL));
	if (j.answer.verdict.why == NOT_HELP_DESK && (rank.official || rank.desk))
		j.answer.verdict = (struct verdict){ .allow = true, .why = REASON_OK };
	else if (j.answer.verdict.why == NOT_HELP_DESK)
		decide_refuse(&j, NOT_AUTHORIZED_OFFICIAL);
	*answer = j.answer;
	if (!answer->verdict.allow)
		return SUCCESS;
	TRY(list_entries(a, f, rank.desk ? c->uid : NULL, &query, page, &found));
	*out = arena_alloc(a, found.count * sizeof **out);
	for (size_t i = 0; i < found.count; i++)
		TRY(tell_revocation(a, f, rank.desk, &found.entries[i], &(*out)[(*count)++]));
	*next = found.next;
	return SUCCESS;
}

struct err flow_view_revocation(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    struct revocation_info *out, struct revision *revision)
{
	const char *provider = NULL;
	struct entry entry;

	*out = (struct revocation_info){ 0 };
	WITH_REPLICA(view, f->replica) {
		const struct help_case *h = replica_case(&view, id);

		*revision = view.revision;
		if (h != NULL)
			provider = arena_strdup(a, replica_org_id(&view, h->provider));
	}
	struct rank rank = rank_of(f, c, provider);
	if (!rank.fresh)
		return FAIL(ERR_UNAVAILABLE, "the replica is stale");
	if (provider == NULL || (!rank.desk && !rank.official))
		return FAIL(ERR_NOT_FOUND, "no such request");
	TRY(read_case(a, f, rank.desk ? c->uid : NULL, id, &entry));
	return tell_revocation(a, f, rank.desk, &entry, out);
}

/* The write that closes it: the provider bars the employer. Made by whoever executes it, so that the directory looks
 * once more whether he may. */
static struct err bar(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, const struct entry *entry, struct judged *j)
{
	for (int i = 0; i < TRIES; i++) {
		struct entry provider;
		struct revision written;

		TRY(dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, entry->provider, &provider));
		if (list_has(provider.barred, entry->employer))
			return SUCCESS;
		struct entry to = {
			.kind = KIND_ORGANIZATION,
			.id = entry->provider,
			.barred = list_with(a, provider.barred, entry->employer),
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

	return close_all(a, f, c, &what);
}

/* Who has taken it on, and on what grounds. It is still open; a second one may take it on as well, and one of them ends
 * it. */
static struct err take_on(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, struct entry *entry, struct judged *j)
{
	struct act act = {
		.question = *q,
		.event = "case.take",
		.detail = act_detail(a, grounds),
		.to = entry,
		.fields = FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = STATE_SUBMITTED },
		.by_gateway = true,
	};

	return act_write(a, f, c, &act, j, &entry->revision);
}

static struct err end_case(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, struct entry *entry, struct judged *j)
{
	struct act act = {
		.question = *q,
		.detail = act_detail(a, grounds),
		.to = entry,
		.fields = FIELD_STATE | FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = STATE_SUBMITTED },
		.by_gateway = true,
	};

	return act_write(a, f, c, &act, j, &entry->revision);
}

/* Three steps: who does it and why; the bar, which closes everything; and the rest, which mend_revocations finishes if
 * we die: a case that somebody has taken on, and whose employer is barred. What an administrator bars by hand is left
 * alone. */
static struct err execute(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, struct entry *entry, struct judged *j)
{
	struct mail_field told[3];
	const char *official;

	entry->state = STATE_EXECUTED;
	TRY(take_on(a, f, c, q, grounds, entry, j));
	if (j->answer.verdict.allow)
		TRY(bar(a, f, c, q, grounds, entry, j));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	TRY(close_employer(a, f, c, entry, told, &official));
	TRY(end_case(a, f, c, q, grounds, entry, j));
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

struct err flow_decide_revocation(struct arena *a, struct flow *f, const struct caller *c, enum action action,
    const char *id, const struct grounds *grounds, struct answer *answer, struct revocation_info *out)
{
	struct question q = act_question(c, action, "case", id);
	bool executes = action == EMPLOYER_REVOCATION_EXECUTE;
	struct judged j;
	struct entry entry;

	*out = (struct revocation_info){ 0 };
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = read_case(a, f, c->uid, id, &entry);
	if (e.code == OK && j.answer.verdict.allow) {
		act_decided(&entry, c, grounds);
		entry.state = STATE_DECLINED;
		e = executes ? execute(a, f, c, &q, grounds, &entry, &j) : end_case(a, f, c, &q, grounds, &entry, &j);
	}
	*answer = j.answer;
	if (e.code != OK || !answer->verdict.allow)
		return e;
	return tell_revocation(a, f, true, &entry, out);
}

/* ---- letting an employer in again ---- */

/* Only the bar goes. Whatever is still said to stand is ended before: an execution that was cut short, or a bar that an
 * administrator has set by hand, has left it. */
static struct err lift(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *grounds, struct entry *provider, struct mail_field told[3], struct judged *j)
{
	const struct entry closed = { .provider = q->resource, .employer = q->acting_for, .decided_by = c->uid };
	const char *official;

	for (int i = 0; i < TRIES; i++) {
		TRY(dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, q->resource, provider));
		if (!list_has(provider->barred, q->acting_for)) {
			decide_refuse(j, ALREADY_DECIDED);
			return SUCCESS;
		}
		TRY(close_employer(a, f, c, &closed, told, &official));
		struct act act = {
			.question = *q,
			.detail = act_detail(a, grounds),
			.to = provider,
			.fields = FIELD_BARRED | FIELD_DECIDED | FIELD_REASON,
			.guard.revision = provider->revision,
		};
		provider->barred = list_without(a, provider->barred, q->acting_for);
		act_decided(provider, c, grounds);
		struct err e = act_write(a, f, c, &act, j, &provider->revision);
		if (e.code != ERR_CONFLICT)
			return e;
	}
	return FAIL(ERR_UNAVAILABLE, "the provider's entry changes all the time");
}

struct err flow_reinstate_employer(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *employer, const struct grounds *grounds, struct answer *answer, struct entry *out)
{
	struct question q = act_question(c, EMPLOYER_REINSTATE, "provider", provider);
	struct mail_field told[3];
	struct judged j;

	*out = (struct entry){ .kind = KIND_ORGANIZATION };
	q.acting_for = employer;
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = lift(a, f, c, &q, grounds, out, told, &j);
	if (e.code == OK && j.answer.verdict.allow && out->official != NULL)
		notice_send(a, f, "employer-reinstated", out->official, told);
	*answer = j.answer;
	return e;
}

/* ---- what an execution that was cut short has left ---- */

struct halves {
	const struct view *view;
	char list[AT_ONCE][ID_MOST + 1];
	size_t count;
};

static bool look_for_half(void *self, const struct help_case *h)
{
	struct halves *halves = self;
	const struct organization *p = replica_organization_no(halves->view, h->provider);

	if (h->kind != CASE_REVOCATION || h->state != STATE_SUBMITTED || !replica_bars(p, h->employer) ||
	    strlen(h->id) > ID_MOST)
		return true;
	memcpy(halves->list[halves->count++], h->id, strlen(h->id) + 1);
	return halves->count < AT_ONCE;
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
	struct halves *halves = arena_alloc(a, sizeof *halves);
	struct err result = SUCCESS;

	WITH_REPLICA(view, f->replica) {
		halves->view = &view;
		replica_each_case(&view, look_for_half, halves);
		halves->view = NULL;
	}
	for (size_t i = 0; i < halves->count; i++) {
		struct err e = finish_revocation(a, f, halves->list[i]);
		if (e.code != OK)
			result = e;
	}
	return result;
}
