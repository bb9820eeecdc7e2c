/* Closing what goes through an employer, and leaving one: one write closes it, and what it closed is then said to be over,
 * entry by entry. */
#include "flow/employer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

#define TRIES 8

/* ---- closing ---- */

struct open_entry {
	enum kind kind;
	enum state state;
	struct revision revision;
	const char *id, *provider, *user;
};
struct search {
	struct arena *arena;
	const struct view *view;
	const struct closing *what;
	number user, provider, employer; /* 0: there is no such entry, or none is named */
	struct open_entry *list;
	size_t count;
};

static void note(struct search *s, enum kind kind, enum state state, const struct mark *mark, const char *id,
    number provider, number user)
{
	s->list = arena_more(s->arena, s->list, s->count, sizeof *s->list);
	s->list[s->count++] = (struct open_entry){
		.kind = kind,
		.state = state,
		.revision = mark->revision,
		.id = arena_strdup(s->arena, id),
		.provider = arena_strdup(s->arena, replica_org_id(s->view, provider)),
		.user = arena_strdup(s->arena, replica_uid(s->view, user)),
	};
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

	if (meant && (t->state == STATE_PENDING || t->state == STATE_APPROVED))
		note(s, KIND_ASSOCIATION, t->state, &t->mark, t->id, t->provider, t->user);
	return true;
}

static bool look_at_consent(void *self, const struct consent *c)
{
	struct search *s = self;
	bool meant = is_org(s, c->employer, s->employer, s->what->employer) &&
	    is_org(s, c->provider, s->provider, s->what->provider);

	if (meant && (c->state == STATE_PREPARED || c->state == STATE_SIGNED || c->state == STATE_APPROVED))
		note(s, KIND_CONSENT, c->state, &c->mark, c->id, c->provider, 0);
	return true;
}

static struct err find_open(struct arena *a, struct flow *f, const struct closing *what, struct search *s)
{
	bool fresh = false;

	*s = (struct search){ .arena = a, .what = what };
	WITH_REPLICA(view, f->replica) {
		const struct person *person = what->user != NULL ? replica_person(&view, what->user) : NULL;

		fresh = view.fresh;
		s->view = &view;
		s->user = person != NULL ? person->no : 0;
		s->provider = act_org_no(&view, what->provider);
		s->employer = act_org_no(&view, what->employer);
		if (fresh && what->user != NULL) {
			replica_associations_of(&view, s->user, look_at_tie, s);
		} else if (fresh) {
			replica_each_association(&view, look_at_tie, s);
			replica_each_consent(&view, look_at_consent, s);
		}
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

/* Who decides otherwise at the same moment is either first, and what he opened is closed in the next round, or is told that
 * it is decided. */
struct err employer_close(struct arena *a, struct flow *f, const struct caller *c, const struct closing *what)
{
	struct search s;
	size_t before = SIZE_MAX;

	for (int round = 0;; round++) {
		TRY(find_open(a, f, what, &s));
		if (s.count == 0)
			return SUCCESS;
		if (round >= TRIES && s.count >= before)
			return FAIL(ERR_UNAVAILABLE, "what goes through an employer cannot be closed");
		before = s.count;
		for (size_t i = 0; i < s.count; i++)
			TRY(close_entry(a, f, c, what, &s.list[i]));
		TRY(mend_settle(f));
	}
}

/* ---- lists of employers ---- */

bool employer_listed(const char *const *list, const char *id)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		if (text_same(list[i], id))
			return true;
	return false;
}

const char *const *employer_list(struct arena *a, const char *const *list, const char *id, bool in)
{
	size_t count = 0, kept = 0;

	while (list != NULL && list[count] != NULL)
		count++;
	const char **out = arena_alloc(a, (count + 2) * sizeof *out);
	for (size_t i = 0; i < count; i++)
		if (!text_same(list[i], id))
			out[kept++] = list[i];
	out[kept] = in ? id : NULL;
	return out;
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

/* He has left: nothing goes through that employer any more, and he may ask again. */
static struct err forget_leaving(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    const char *employer)
{
	for (int i = 0; i < TRIES; i++) {
		struct entry person;
		struct revision written;

		TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &person));
		if (!employer_listed(person.leaving, employer))
			return SUCCESS;
		struct entry to = { .kind = KIND_PERSON, .id = uid };
		to.leaving = employer_list(a, person.leaving, employer, false);
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

	TRY(employer_close(a, f, c, &what));
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
		if (employer_listed(person.leaving, q->resource))
			return SUCCESS;
		struct entry to = { .kind = KIND_PERSON, .id = c->uid };
		to.leaving = employer_list(a, person.leaving, q->resource, true);
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
	struct search open;
	struct judged j;

	*out = (struct leaving){ 0 };
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = find_open(a, f, &what, &open);
	if (e.code == OK && j.answer.verdict.allow) {
		out->is_official = is_official(f, c->uid, employer);
		if (open.count > 0 || out->is_official)
			e = begin_leaving(a, f, c, &q, &j);
		if (e.code == OK && j.answer.verdict.allow)
			e = finish_leaving(a, f, c, c->uid, employer);
		if (e.code == OK && j.answer.verdict.allow)
			tell_closed(a, f, &open, out, &j.answer.revision);
	}
	*answer = j.answer;
	return e;
}

struct leavers {
	struct arena *arena;
	const struct view *view;
	struct { const char *uid, *employer; } *list;
	size_t count;
};

static bool look_for_leaver(void *self, const struct person *person)
{
	struct leavers *l = self;

	for (size_t i = 0; i < person->leaving_count; i++) {
		l->list = arena_more(l->arena, l->list, l->count, sizeof *l->list);
		l->list[l->count].uid = arena_strdup(l->arena, person->uid);
		l->list[l->count++].employer = arena_strdup(l->arena, replica_org_id(l->view, person->leaving[i]));
	}
	return true;
}

struct err mend_leaving(struct arena *a, struct flow *f)
{
	struct leavers l = { .arena = a };
	struct err result = SUCCESS;

	WITH_REPLICA(view, f->replica) {
		l.view = &view;
		replica_each_person(&view, look_for_leaver, &l);
	}
	for (size_t i = 0; i < l.count; i++) {
		log_event(LOG_INFO, "mend.leaving", "user=%s employer=%s", l.list[i].uid, l.list[i].employer);
		struct err e = finish_leaving(a, f, NULL, l.list[i].uid, l.list[i].employer);
		if (e.code != OK)
			result = e; /* one that cannot be finished keeps no other from it */
	}
	return result;
}
