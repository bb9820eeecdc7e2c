/* Associations: asked for by whoever is to act, decided by the provider's Authorized Official, ended by either. */
#include "flow/association.h"

#include "base/clock.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

#define SECONDS_A_DAY 86400
#define TRIES 4

/* ---- telling ---- */

/* What the caller may know beside the entries that the directory shows him. */
struct sight {
	bool decides; /* AO of that provider, help desk, auditor: who it is that asks, and for which company */
	bool desk;    /* help desk, auditor: how callers were identified */
};

static struct sight sight_of(const struct view *v, const struct caller *c, const char *provider)
{
	const struct person *person = replica_person(v, c->uid);

	return (struct sight){
		.decides = act_may_see(v, person, act_org_no(v, provider), 0),
		.desk = person != NULL && (person->roles & (ROLE_HELP_DESK | ROLE_AUDITOR)),
	};
}

static bool is_over(int64_t end)
{
	return end != 0 && end <= clock_now();
}

static struct err name_of(struct arena *a, struct flow *f, enum kind kind, const char *id, const char **out)
{
	struct entry entry;
	struct err e = dir_read(a, f->dir, NULL, kind, NULL, id, &entry);

	*out = e.code == OK ? entry.name : NULL;
	return e.code == ERR_NOT_FOUND ? SUCCESS : e;
}

static struct err tell(struct arena *a, struct flow *f, const struct sight *sight, const struct entry *entry,
    struct association_info *out)
{
	struct entry provider;

	*out = (struct association_info){ .entry = *entry, .for_desk = sight->desk };
	if ((entry->state == STATE_PENDING && is_over(entry->expires)) ||
	    (entry->state == STATE_APPROVED && is_over(entry->not_after)))
		out->entry.state = STATE_EXPIRED;
	if (sight->decides) {
		TRY(name_of(a, f, KIND_PERSON, entry->user, &out->user_name));
		TRY(name_of(a, f, KIND_ORGANIZATION, entry->employer, &out->employer_name));
	}
	if (out->entry.state == STATE_APPROVED) {
		TRY(dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, entry->provider, &provider));
		out->needs_confirmation = act_waits_for_official(entry, &provider);
	}
	return SUCCESS;
}

/* The Authorized Official learns of a request; whoever asked, what somebody else has decided. Who is turned away is not
 * told the name of the provider either. */
static void tell_official(struct arena *a, struct flow *f, const struct entry *entry)
{
	const char *official = NULL, *user = NULL, *employer = NULL;
	struct entry provider;

	if (dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, entry->provider, &provider).code == OK)
		official = provider.official;
	if (official == NULL || text_same(official, entry->user) ||
	    name_of(a, f, KIND_PERSON, entry->user, &user).code != OK ||
	    name_of(a, f, KIND_ORGANIZATION, entry->employer, &employer).code != OK)
		return;
	const struct mail_field fields[] = { { "user", user }, { "provider", provider.name }, { "employer", employer },
		{ NULL, NULL } };
	notice_send(a, f, "request-received", official, fields);
}

static void tell_requester(struct arena *a, struct flow *f, const struct caller *c, bool desk, const struct entry *entry)
{
	const char *provider = entry->provider, *employer = NULL;

	if (text_same(entry->user, c->uid) || name_of(a, f, KIND_ORGANIZATION, entry->employer, &employer).code != OK)
		return;
	if (entry->state != STATE_REJECTED && name_of(a, f, KIND_ORGANIZATION, entry->provider, &provider).code != OK)
		return;
	const struct mail_field fields[] = { { "provider", provider }, { "employer", employer },
		{ "decision", state_word(entry->state) },
		{ "decider", desk ? "External User Services" : "its Authorized Official" }, { "reason", entry->reason },
		{ NULL, NULL } };
	notice_send(a, f, "request-decided", entry->user, fields);
}

/* ---- asking ---- */

/* The associations that one person ever had with one provider through one employer. */
struct triple {
	number employer;
	const struct association *last, *pending;
	size_t count;
	int64_t now;
};

static bool look_at(void *self, const struct path *path)
{
	struct triple *t = self;
	const struct association *tie = path->tie;

	if (tie == NULL || tie->employer != t->employer || tie == t->last)
		return true;
	t->last = tie; /* each is told once for each consent, one after the other */
	t->count++;
	if (tie->state == STATE_PENDING && (tie->expires == 0 || t->now < tie->expires))
		t->pending = tie;
	return true;
}

/* How many there are; and the id of the one that is pending, or NULL. */
static size_t count_earlier(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *employer, const char **pending)
{
	struct triple t = { .now = clock_now() };

	*pending = NULL;
	WITH_REPLICA(view, f->replica) {
		const struct person *person = replica_person(&view, c->uid);
		const struct organization *p = replica_organization(&view, provider);
		const struct organization *e = replica_organization(&view, employer);

		t.employer = e != NULL ? e->no : 0;
		if (person != NULL && p != NULL && e != NULL)
			replica_paths(&view, person, p, look_at, &t);
		if (t.pending != NULL)
			*pending = arena_strdup(a, t.pending->id);
	}
	return t.count;
}

/* The id says whose it is, through and for whom, and the how manieth. */
static const char *id_of(struct arena *a, const struct caller *c, const char *provider, const char *employer,
    size_t earlier)
{
	return act_id_of(a, 'a', arena_printf(a, "%s|%s|%s|%zu", c->uid, employer, provider, earlier));
}

static struct err make_request(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j, struct entry *entry)
{
	const char *pending;
	size_t earlier = count_earlier(a, f, c, entry->provider, entry->employer, &pending);
	struct err e = SUCCESS;

	for (int i = 0; i < TRIES; i++) {
		entry->id = id_of(a, c, entry->provider, entry->employer, earlier);
		struct act act = { .question = *q, .to = entry };
		act.detail = arena_printf(a, "association %s", entry->id);
		e = act_write(a, f, c, &act, j, &entry->revision);
		if (e.code != ERR_CONFLICT)
			return e;
		/* That name is taken, and yet nothing is open: the replica was late, or that entry is no association
		 * that we understand. */
		size_t now = count_earlier(a, f, c, entry->provider, entry->employer, &pending);
		earlier = now > earlier ? now : earlier + 1;
	}
	return FAIL(ERR_UNAVAILABLE, "no name is left for an association");
}

/* The same request again, by a client that did not hear the answer. */
static struct err meet_again(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *employer, struct judged *j, struct association_info *out)
{
	struct sight own = { false, false };
	struct entry entry;
	const char *pending;

	(void)count_earlier(a, f, c, provider, employer, &pending);
	if (pending == NULL)
		return SUCCESS; /* approved already: the refusal stands */
	struct err e = dir_read(a, f->dir, c->uid, KIND_ASSOCIATION, provider, pending, &entry);
	if (e.code != OK)
		return e.code == ERR_NOT_FOUND ? SUCCESS : e;
	TRY(tell(a, f, &own, &entry, out));
	j->answer.verdict = (struct verdict){ .allow = true, .why = REASON_OK };
	return SUCCESS;
}

struct err flow_request_association(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    const char *employer, const char *key, struct answer *answer, struct association_info *out, bool *made)
{
	struct question q = act_question(c, ASSOCIATION_REQUEST, "provider", provider);
	int64_t now = clock_now();
	struct judged j;
	struct entry entry = {
		.kind = KIND_ASSOCIATION,
		.state = STATE_PENDING,
		.provider = provider,
		.employer = employer,
		.user = c->uid,
		.requested_by = c->uid,
		.requested_at = now,
		.expires = now + (int64_t)flow_set(&f->set.request_days) * SECONDS_A_DAY,
	};

	q.acting_for = employer;
	*out = (struct association_info){ 0 };
	*made = false;
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = make_request(a, f, c, &q, &j, &entry);
	if (e.code == OK && j.answer.verdict.allow) {
		*made = true;
		*out = (struct association_info){ .entry = entry };
		tell_official(a, f, &entry);
	} else if (e.code == OK && key != NULL && j.answer.verdict.why == ALREADY_DECIDED) {
		e = meet_again(a, f, c, provider, employer, &j, out);
	}
	*answer = j.answer;
	return e;
}

/* ---- deciding ---- */

static const struct move {
	enum action action;
	enum state from, to;
	unsigned fields;
	enum grounds_needed grounds;
} moves[] = {
	{ ASSOCIATION_APPROVE, STATE_PENDING, STATE_APPROVED, FIELD_STATE, GROUNDS_FREE },
	{ ASSOCIATION_REJECT, STATE_PENDING, STATE_REJECTED, FIELD_STATE, GROUNDS_REASON },
	{ ASSOCIATION_CANCEL, STATE_PENDING, STATE_CANCELLED, FIELD_STATE, GROUNDS_FREE },
	{ ASSOCIATION_END, STATE_APPROVED, STATE_ENDED, FIELD_STATE, GROUNDS_FREE },
	{ ASSOCIATION_CONFIRM, STATE_APPROVED, STATE_APPROVED, 0, GROUNDS_FREE },
};

/* One of the help desk may be the AO, or the person himself, and then acts as that. */
static bool acts_as_desk(struct flow *f, const struct caller *c, const struct entry *entry)
{
	bool desk = false;

	WITH_REPLICA(view, f->replica) {
		const struct person *person = replica_person(&view, c->uid);
		const struct organization *p = replica_organization(&view, entry->provider);

		desk = person != NULL && (person->roles & ROLE_HELP_DESK) && !(p != NULL && p->official == person->no);
	}
	return desk && !text_same(entry->user, c->uid);
}

static struct err make_move(struct arena *a, struct flow *f, const struct caller *c, const struct move *move,
    const struct question *q, const struct grounds *grounds, const struct revision *expected, struct judged *j,
    struct association_info *out)
{
	struct entry entry;
	struct sight sight = { false, false };

	TRY(record_read(a, f, c, KIND_ASSOCIATION, q, j, &entry));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	bool desk = acts_as_desk(f, c, &entry);
	if (desk)
		TRY(act_check_grounds(grounds, GROUNDS_DESK));
	entry.state = move->to;
	act_decided(&entry, c, grounds);
	struct act act = {
		.question = *q,
		.to = &entry,
		.fields = move->fields | FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = move->from, .revision = *expected },
		.detail = act_detail(a, grounds),
	};
	TRY(act_write(a, f, c, &act, j, &entry.revision));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	if (move->fields != 0)
		tell_requester(a, f, c, desk, &entry);
	WITH_REPLICA(view, f->replica) {
		sight = sight_of(&view, c, entry.provider);
	}
	return tell(a, f, &sight, &entry, out);
}

struct err flow_decide_association(struct arena *a, struct flow *f, const struct caller *c, enum action action,
    const char *id, const struct grounds *grounds, const struct revision *expected, struct answer *answer,
    struct association_info *out)
{
	struct question q = act_question(c, action, "association", id);
	const struct move *move = NULL;
	struct judged j;

	*out = (struct association_info){ 0 };
	for (size_t i = 0; i < COUNT(moves); i++)
		if (moves[i].action == action)
			move = &moves[i];
	if (move == NULL)
		return FAIL(ERR_BUG, "nothing that is done to an association");
	TRY(act_check_grounds(grounds, move->grounds));
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = make_move(a, f, c, move, &q, grounds, expected, &j, out);
	*answer = j.answer;
	return e;
}

/* ---- looking ---- */

struct err flow_view_association(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    struct association_info *out, struct revision *revision)
{
	const char *provider = NULL;
	struct sight sight = { false, false };
	struct entry entry;
	bool fresh = false;

	*out = (struct association_info){ 0 };
	WITH_REPLICA(view, f->replica) {
		const struct association *t = replica_association(&view, id);

		fresh = view.fresh;
		*revision = view.revision;
		if (t != NULL && act_may_see(&view, replica_person(&view, c->uid), t->provider, t->user))
			provider = arena_strdup(a, replica_org_id(&view, t->provider));
		sight = sight_of(&view, c, provider);
	}
	if (!fresh)
		return FAIL(ERR_UNAVAILABLE, "the replica is stale");
	if (provider == NULL)
		return FAIL(ERR_NOT_FOUND, "no such association");
	TRY(dir_read(a, f->dir, c->uid, KIND_ASSOCIATION, provider, id, &entry));
	return tell(a, f, &sight, &entry, out);
}

struct err flow_list_associations(struct arena *a, struct flow *f, const struct caller *c,
    const struct association_filter *filter, const struct page *page, struct association_info **out, size_t *count,
    const char **next)
{
	struct list_query query = {
		.kind = KIND_ASSOCIATION,
		.provider = filter->provider,
		.employer = filter->employer,
		.user = filter->user,
		.state = filter->state,
	};
	struct sight sight = { false, false };
	struct listing found;

	*count = 0;
	*next = NULL;
	WITH_REPLICA(view, f->replica) {
		sight = sight_of(&view, c, filter->provider);
	}
	/* The directory shows others none but their own; so only those are looked for. */
	if (query.user == NULL && (!sight.decides || query.provider == NULL))
		query.user = c->uid;
	TRY(list_entries(a, f, c->uid, &query, page, &found));
	*out = arena_alloc(a, found.count * sizeof **out);
	for (size_t i = 0; i < found.count; i++) {
		WITH_REPLICA(view, f->replica) {
			sight = sight_of(&view, c, found.entries[i].provider);
		}
		TRY(tell(a, f, &sight, &found.entries[i], &(*out)[(*count)++]));
	}
	*next = found.next;
	return SUCCESS;
}
