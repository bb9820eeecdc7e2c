/* Organizations: registered by anybody, described by their official, opened and closed by the help desk. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/organization_inside.h"

#include "base/banned.h"

#define TRIES 4

/* ---- telling ---- */

static const char *tin_of(struct arena *a, const struct entry *e)
{
	return e->tin == NULL || e->tin_kind == NULL ? NULL : arena_printf(a, "%s:%s", e->tin_kind, e->tin);
}

/* A TIN is no secret of its owner's, and nobody else's business. */
struct err organization_info(struct arena *a, struct flow *f, const struct caller *c, const struct entry *e,
    enum telling_of of, struct organization_info *out)
{
	bool desk = act_has_role(f, c, ROLE_HELP_DESK);
	const char *tin = tin_of(a, e), *holder = NULL;

	*out = (struct organization_info){ .entry = *e, .address = organization_split(a, e->postal_address) };
	out->mine = text_same(e->official, c->uid) || (e->official == NULL && text_same(e->requested_by, c->uid));
	if (!desk)
		out->entry.ticket = out->entry.identified_by = NULL;
	if (!desk && !out->mine)
		out->entry.tin = out->entry.tin_kind = out->entry.reason = NULL;
	else if (of == LISTED_ORGANIZATION && e->tin != NULL && strlen(e->tin) == 9)
		out->entry.tin = arena_printf(a, "***-**-%s", e->tin + 5);
	if (!desk || of == LISTED_ORGANIZATION || tin == NULL)
		return SUCCESS;
	struct err err = reserve_owner(a, f, "tin", tin, &holder);
	if (err.code == OK && !text_same(holder, e->id))
		out->tin_held_by = holder;
	return err.code == ERR_NOT_FOUND ? SUCCESS : err;
}

struct err flow_view_organization(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    struct organization_info *out, struct revision *revision)
{
	struct replica_status status;
	struct entry entry;

	*out = (struct organization_info){ 0 };
	TRY(dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, id, &entry));
	replica_status(f->replica, &status);
	*revision = status.revision;
	TRY(organization_info(a, f, c, &entry, ONE_ORGANIZATION, out));
	return act_looked(f, c, "organization.view", &entry);
}

struct err flow_list_organizations(struct arena *a, struct flow *f, const struct caller *c, enum state state,
    const struct page *page, struct organization_info **out, size_t *count, const char **next)
{
	bool all = act_has_role(f, c, ROLE_HELP_DESK | ROLE_AUDITOR);
	struct list_query query = { .kind = KIND_ORGANIZATION, .state = state, .user = all ? NULL : c->uid };
	struct listing found;

	*count = 0;
	*next = NULL;
	TRY(list_entries(a, f, c->uid, &query, page, &found));
	*out = arena_alloc(a, found.count * sizeof **out);
	for (size_t i = 0; i < found.count; i++)
		TRY(organization_info(a, f, c, &found.entries[i], LISTED_ORGANIZATION, &(*out)[(*count)++]));
	*next = found.next;
	return SUCCESS;
}

/* ---- what is taken ----
 *
 * Whoever registers an organization only says what it is; that nobody learns whether a TIN is known, and nobody keeps
 * it from its owner by being quicker, a TIN is taken when the help desk has looked: by the organization that is
 * established, once. Only to the same person it is told that he has registered it before. */

/* An approval takes the TIN and establishes the organization at once. What did not come to that in this time never
 * will. */
#define CUT_OFF_S 600

static const char *registration_of(struct arena *a, const struct entry *e)
{
	const char *tin = tin_of(a, e);

	return tin == NULL || e->requested_by == NULL ? NULL : arena_printf(a, "%s:%s", e->requested_by, tin);
}

/* Has the holder a right to it, or is it only what was left? By an approval, or a change of the number, that was cut off. */
static bool is_left(struct arena *a, const struct entry *held, const struct entry *holder, const char *what)
{
	bool established = holder->state != STATE_REGISTERED || holder->official != NULL;
	bool unused = (text_same(held->purpose, "tin") && !established) ||
		      (text_same(held->purpose, "registration") && !text_same(registration_of(a, holder), what));

	return holder->state == STATE_CLOSED || (unused && clock_now() - held->requested_at > CUT_OFF_S);
}

/* Takes it for *id. *holder: who has it, of an ERR_CONFLICT. What was left is taken away first, even if it was left by
 * *id itself: else somebody could be taking it away just now. Who has noted what he registers makes the organization
 * next: if it is not there yet, *id becomes its id, so that of several who make it one does. */
static struct err take(
    struct arena *a, struct flow *f, const char *purpose, const char *what, const char **id, const char **holder)
{
	struct entry held, organization;

	*holder = NULL;
	struct err e = reserve_held(a, f, purpose, what, &held);
	if (e.code == ERR_NOT_FOUND)
		return reserve_take(a, f, purpose, what, *id);
	TRY(e);
	e = dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, held.owner, &organization);
	if (e.code != OK && e.code != ERR_NOT_FOUND)
		return e;
	if (e.code == ERR_NOT_FOUND && !text_same(purpose, "tin")) {
		*id = held.owner;
		return SUCCESS;
	}
	if (e.code == ERR_NOT_FOUND || is_left(a, &held, &organization, what))
		TRY(reserve_drop(a, f, &held));
	else if (!text_same(held.owner, *id))
		*holder = held.owner;
	return *holder != NULL ? FAIL(ERR_CONFLICT, "it is taken") : reserve_take(a, f, purpose, what, *id);
}

struct err organization_hold_tin(struct arena *a, struct flow *f, const struct entry *e, const char **holder)
{
	const char *tin = tin_of(a, e), *id = e->id;

	*holder = NULL;
	return tin == NULL ? SUCCESS : take(a, f, "tin", tin, &id, holder);
}

static struct err give_all_back(struct arena *a, struct flow *f, const struct entry *e)
{
	const char *tin = tin_of(a, e), *registration = registration_of(a, e);

	if (tin != NULL)
		TRY(reserve_give_back(a, f, "tin", tin, e->id));
	if (registration != NULL)
		TRY(reserve_give_back(a, f, "registration", registration, e->id));
	if (e->provider_kind == PROVIDER_INDIVIDUAL && e->npis != NULL && e->npis[0] != NULL)
		TRY(reserve_give_back(a, f, "npi", e->npis[0], e->id));
	return SUCCESS;
}

/* ---- registering ---- */

static void check_new(
    struct arena *a, const struct organization_wish *w, const struct entry *person, struct form_problems *p)
{
	bool practitioner = person->realm == REALM_NPPES && person->npis != NULL && person->npis[0] != NULL;

	if (w->name == NULL)
		organization_complain(a, p, "/name", "is required");
	if (!w->provider && !w->employer && !w->individual)
		organization_complain(a, p, "/roles", "must name provider, employer or both");
	if (!w->individual && w->tin == NULL)
		organization_complain(a, p, "/tin", "is required");
	if (!w->individual && !w->provider && w->npis != NULL && w->npis[0] != NULL)
		organization_complain(a, p, "/npis", "belong to providers");
	if (w->individual && !practitioner)
		organization_complain(a, p, "/provider_kind", "individual is for practitioners who sign in at NPPES");
	if (w->individual && (w->tin != NULL || w->tin_kind != NULL))
		organization_complain(a, p, "/tin", "is not asked of an individual practice: it is known by its NPI");
	if (w->individual && w->npis != NULL)
		organization_complain(a, p, "/npis", "are those of the practitioner");
}

/* In the gateway's name: an organization is nobody's yet. again: there may be one of that id, of the same request. */
static struct err add_organization(
    struct arena *a, struct flow *f, const struct caller *c, struct entry *e, bool again, bool *made)
{
	struct entry there;
	struct act act = {
		.question = { .subject = c->uid },
		.event = "organization.register",
		.detail = e->name,
		.to = e,
		.by_gateway = true,
	};

	TRY(mend_write(a, f, c, &act, &e->revision));
	*made = e->revision.micros != 0;
	if (*made) {
		TRY(dir_furnish(a, f->dir, e->id));
		return session_settle(f, &e->revision);
	}
	if (!again)
		return FAIL(ERR_CONFLICT, arena_printf(a, "you have registered it already: %s", e->id));
	struct err err = dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, e->id, &there);
	if (err.code != OK && err.code != ERR_NOT_FOUND)
		return err;
	if (err.code != OK || !text_same(there.name, e->name) || !text_same(there.tin, e->tin) ||
	    there.provider_kind != e->provider_kind || there.is_employer != e->is_employer)
		return FAIL(ERR_INVALID, "'Idempotency-Key' was used for another request");
	*e = there;
	return SUCCESS;
}

struct err flow_register_organization(struct arena *a, struct flow *f, const struct caller *c,
    const struct organization_wish *wish, const char *key, struct form_problems *problems,
    struct organization_info *out, bool *made)
{
	struct organization_wish w = *wish;
	const char *holder;
	struct entry person;
	char id[ID_TEXT];

	*out = (struct organization_info){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, c->uid, &person));
	organization_check(a, &w, problems);
	check_new(a, &w, &person, problems);
	if (problems->count > 0)
		return FAIL(ERR_INVALID, "the organization is not described well");

	flow_new_id(c, "organization", key, id);
	struct entry entry = {
		.kind = KIND_ORGANIZATION,
		.id = arena_strdup(a, id),
		.state = w.individual ? STATE_ACTIVE : STATE_REGISTERED,
		.name = w.name,
		.tin = w.tin,
		.tin_kind = w.tin_kind,
		.npis = w.npis,
		.postal_address = organization_join(a, w.address),
		.provider_kind = w.individual ? PROVIDER_INDIVIDUAL
				 : w.provider ? PROVIDER_ORGANIZATION
					      : NOT_A_PROVIDER,
		.is_employer = w.employer,
		.requested_by = c->uid,
		.requested_at = clock_now(),
	};
	if (w.individual) {
		const char **npis = arena_alloc(a, 2 * sizeof *npis); /* it is told: it outlives this call */

		npis[0] = person.npis[0];
		entry.npis = npis;
		entry.official = c->uid;
		entry.official_since = entry.requested_at;
	}
	struct err e = w.individual ? take(a, f, "npi", person.npis[0], &entry.id, &holder)
				    : take(a, f, "registration", registration_of(a, &entry), &entry.id, &holder);
	if (e.code == ERR_CONFLICT)
		return FAIL(ERR_CONFLICT, arena_printf(a, "you have registered it already: %s", holder));
	TRY(e);
	TRY(add_organization(a, f, c, &entry, key != NULL && text_same(entry.id, id), made));
	return organization_info(a, f, c, &entry, ONE_ORGANIZATION, out);
}

/* ---- describing ---- */

/* What the help desk has looked at, or looks at, is not changed behind its back. */
static bool is_established(const struct entry *e)
{
	return e->state != STATE_REGISTERED || e->official != NULL;
}

static const char *why_fixed(struct flow *f, const struct entry *e)
{
	if (is_established(e))
		return "is fixed once the organization is established; the help desk knows how to change it";
	return claim_waits(f, e->id) ? "is fixed while a claim to be its Authorized Official is looked at" : NULL;
}

static unsigned apply(
    struct arena *a, struct flow *f, const struct organization_wish *w, struct entry *e, struct form_problems *p)
{
	const char *fixed = w->name != NULL || w->tin != NULL ? why_fixed(f, e) : NULL;
	unsigned fields = 0;

	if (fixed != NULL)
		organization_complain(a, p, w->name != NULL ? "/name" : "/tin", fixed);
	if (w->npis != NULL && e->provider_kind != PROVIDER_ORGANIZATION)
		organization_complain(a, p, "/npis",
		    e->provider_kind == NOT_A_PROVIDER ? "belong to providers" : "are those of the practitioner");
	if (w->name != NULL) {
		e->name = w->name;
		fields |= FIELD_NAME;
	}
	if (w->tin != NULL) {
		e->tin = w->tin;
		e->tin_kind = w->tin_kind;
		fields |= FIELD_TIN;
	}
	if (w->npis != NULL) {
		e->npis = w->npis;
		fields |= FIELD_NPIS;
	}
	if (w->address != NULL) {
		e->postal_address = organization_join(a, w->address);
		fields |= FIELD_POSTAL_ADDRESS;
	}
	if (fields == 0)
		organization_complain(a, p, "", "nothing is to be changed");
	return fields;
}

static struct err write_description(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct entry *entry, const struct organization_wish *w, struct form_problems *problems, struct judged *j)
{
	struct entry before = *entry;
	const char *holder;
	unsigned fields = apply(a, f, w, entry, problems);

	if (problems->count > 0)
		return FAIL(ERR_INVALID, "the organization is not described well");
	const char *was = registration_of(a, &before), *is = registration_of(a, entry), *id = entry->id;
	if ((fields & FIELD_TIN) && !text_same(was, is) && is != NULL) {
		struct err e = take(a, f, "registration", is, &id, &holder);

		if (e.code == ERR_CONFLICT || (e.code == OK && !text_same(id, entry->id))) {
			organization_complain(a, problems, "/tin", "you have registered another organization under it");
			return FAIL(ERR_INVALID, "the organization is not described well");
		}
		TRY(e);
	}
	struct act act = {
		.question = *q,
		.detail = arena_printf(a, "changed:%s%s%s%s", fields & FIELD_NAME ? " name" : "",
		    fields & FIELD_TIN ? " tin" : "", fields & FIELD_NPIS ? " npis" : "",
		    fields & FIELD_POSTAL_ADDRESS ? " address" : ""),
		.to = entry,
		.fields = fields,
		.guard = { .revision = before.revision },
		.by_gateway = true,
	};
	TRY(act_write(a, f, c, &act, j, &entry->revision));
	if ((fields & FIELD_TIN) && !text_same(was, is) && was != NULL && j->answer.verdict.allow)
		return reserve_give_back(a, f, "registration", was, entry->id);
	return SUCCESS;
}

struct err flow_update_organization(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const struct organization_wish *wish, const struct revision *expected, struct form_problems *problems,
    struct answer *answer, struct organization_info *out)
{
	struct question q = act_question(c, ORG_UPDATE, "provider", id);
	struct organization_wish w = *wish;
	struct judged j;
	struct entry entry;

	*out = (struct organization_info){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	*answer = j.answer;
	TRY(e);
	e = dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, id, &entry);
	/* To whom it is not shown it is not there, whatever the reason would be. */
	if (e.code == ERR_NOT_FOUND && !j.answer.verdict.allow)
		answer->verdict.why = NOT_FOUND;
	if (!j.answer.verdict.allow)
		return e.code == ERR_NOT_FOUND ? SUCCESS : e;
	TRY(e);
	if (revision_compare(&entry.revision, expected) != 0)
		return FAIL(ERR_CONFLICT, "the organization has changed since it was read");
	organization_check(a, &w, problems);
	e = write_description(a, f, c, &q, &entry, &w, problems, &j);
	*answer = j.answer;
	if (e.code != OK || !j.answer.verdict.allow)
		return e;
	return organization_info(a, f, c, &entry, ONE_ORGANIZATION, out);
}

/* ---- the help desk ---- */

static const struct {
	enum action action;
	enum state from, to; /* from NONE: any */
	const char *event;
} steps[] = {
	[ORGANIZATION_VERIFY] = { ORG_VERIFY, STATE_REGISTERED, STATE_ACTIVE, "org.verify" },
	[ORGANIZATION_SUSPEND] = { ORG_SUSPEND, STATE_ACTIVE, STATE_SUSPENDED, "org.suspend" },
	[ORGANIZATION_REINSTATE] = { ORG_VERIFY, STATE_SUSPENDED, STATE_ACTIVE, "org.reinstate" },
	[ORGANIZATION_CLOSE] = { ORG_CLOSE, STATE_NONE, STATE_CLOSED, "org.close" },
};

/* Once, on what the directory has now. ERR_CONFLICT: it has changed in between. */
static struct err move_once(struct arena *a, struct flow *f, const struct caller *c, enum organization_step step,
    const struct question *q, const struct grounds *g, const struct revision *expected, struct judged *j,
    struct entry *entry, const char **holder)
{
	*holder = NULL;
	TRY(dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, q->resource, entry));
	if (steps[step].from != STATE_NONE && entry->state != steps[step].from) {
		decide_refuse(j, ALREADY_DECIDED);
		return SUCCESS;
	}
	if (expected->micros != 0 && revision_compare(&entry->revision, expected) != 0)
		return FAIL(ERR_CONFLICT, "the organization has changed since it was read");
	if (steps[step].to == STATE_ACTIVE)
		TRY(organization_hold_tin(a, f, entry, holder));
	struct guard guard = { .state = entry->state, .revision = entry->revision };
	entry->state = steps[step].to;
	act_decided(entry, c, g);
	struct act act = {
		.question = *q,
		.event = steps[step].event,
		.detail = act_detail(a, g),
		.to = entry,
		.fields = FIELD_STATE | FIELD_DECIDED | FIELD_REASON,
		.guard = guard,
	};
	return act_write(a, f, c, &act, j, &entry->revision);
}

struct err flow_move_organization(struct arena *a, struct flow *f, const struct caller *c, enum organization_step step,
    const char *id, const struct grounds *g, const struct revision *expected, struct answer *answer,
    struct organization_info *out)
{
	struct question q = act_question(c, steps[step].action, "provider", id);
	const char *holder = NULL;
	struct judged j;
	struct entry entry = { 0 };

	*out = (struct organization_info){ 0 };
	TRY(act_check_grounds(g, GROUNDS_DESK));
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow) {
		int tries = TRIES;

		do
			e = move_once(a, f, c, step, &q, g, expected, &j, &entry, &holder);
		while (e.code == ERR_CONFLICT && holder == NULL && expected->micros == 0 && --tries > 0);
	}
	*answer = j.answer;
	out->tin_held_by = holder;
	if (e.code != OK || !j.answer.verdict.allow)
		return e;
	if (step == ORGANIZATION_CLOSE)
		TRY(give_all_back(a, f, &entry));
	return organization_info(a, f, c, &entry, ONE_ORGANIZATION, out);
}

/* ---- fraud (rules.md, edge case 3) ---- */

struct held {
	struct arena *arena;
	number official; /* 0: of whomever */
	const struct view *view;
	struct {
		const char *id, *official;
	} * list;
	size_t count;
};

/* Active organizations of an official whose account is not active. */
static bool note_held(void *self, const struct organization *o)
{
	struct held *h = self;
	const struct person *p = o->official != 0 ? replica_person_no(h->view, o->official) : NULL;

	if (o->state != STATE_ACTIVE || p == NULL || p->state == STATE_ACTIVE ||
	    (h->official != 0 && h->official != o->official))
		return true;
	h->list = arena_more(h->arena, h->list, h->count, sizeof *h->list);
	h->list[h->count].id = arena_strdup(h->arena, o->id);
	h->list[h->count++].official = arena_strdup(h->arena, p->uid);
	return true;
}

/* Suspends the organizations of officials who were removed for fraud; uid NULL: of all. by: who decided, or NULL. */
static struct err suspend_held(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    const char *const **suspended, struct revision *written)
{
	struct held h = { .arena = a };
	const char **done;
	size_t count = 0;

	WITH_REPLICA(view, f->replica) {
		const struct person *p = uid != NULL ? replica_person(&view, uid) : NULL;

		h.view = &view;
		h.official = p != NULL ? p->no : 0;
		if (uid == NULL || p != NULL)
			replica_each_organization(&view, note_held, &h);
	}
	done = arena_alloc(a, (h.count + 1) * sizeof *done);
	*suspended = done;
	for (size_t i = 0; i < h.count; i++) {
		struct entry person;
		struct revision one;
		struct err e = dir_read(a, f->dir, NULL, KIND_PERSON, NULL, h.list[i].official, &person);

		if (e.code == ERR_NOT_FOUND || (e.code == OK && person.fraud_at == 0))
			continue;
		TRY(e);
		struct entry to = {
			.kind = KIND_ORGANIZATION,
			.id = h.list[i].id,
			.state = STATE_SUSPENDED,
			.decided_by = person.decided_by,
			.decided_at = clock_now(),
			.reason = person.reason,
			.ticket = person.ticket,
		};
		struct act act = {
			.question = { .subject = to.decided_by },
			.event = "org.suspend",
			.detail = arena_printf(a, "fraud of %s", h.list[i].official),
			.to = &to,
			.fields = FIELD_STATE | FIELD_DECIDED | FIELD_REASON,
			.guard = { .state = STATE_ACTIVE },
			.by_gateway = true,
		};
		TRY(mend_write(a, f, c, &act, &one));
		if (one.micros != 0) {
			*written = one;
			done[count++] = to.id;
		}
	}
	return SUCCESS;
}

struct err mend_fraud(struct arena *a, struct flow *f)
{
	const char *const *suspended;
	struct revision written;

	return suspend_held(a, f, NULL, NULL, &suspended, &written);
}

struct err flow_report_fraud(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    const struct grounds *g, struct answer *answer, struct fraud_info *out)
{
	struct question q = act_question(c, ACCOUNT_FRAUD, "user", uid);
	struct entry person;
	struct judged j;

	*out = (struct fraud_info){ .uid = uid };
	TRY(act_check_grounds(g, GROUNDS_DESK));
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	*answer = j.answer;
	if (e.code != OK || !j.answer.verdict.allow)
		return e;
	TRY(dir_read(a, f->dir, c->uid, KIND_PERSON, NULL, uid, &person));
	struct guard guard = { .state = person.state };
	person.state = STATE_DISABLED;
	person.fraud_at = clock_now();
	person.sessions_end = person.fraud_at + 1;
	act_decided(&person, c, g);
	struct act act = {
		.question = q,
		.detail = act_detail(a, g),
		.to = &person,
		.fields = FIELD_STATE | FIELD_FRAUD_AT | FIELD_SESSIONS_END | FIELD_DECIDED | FIELD_REASON,
		.guard = guard,
	};
	e = act_write(a, f, c, &act, &j, &out->revision);
	*answer = j.answer;
	if (e.code != OK || !j.answer.verdict.allow)
		return e;
	if (guard.state == STATE_ACTIVE)
		notice_send(a, f, "account-disabled", uid, NULL);
	TRY(suspend_held(a, f, c, uid, &out->suspended, &out->revision));
	answer->revision = out->revision;
	return session_settle(f, &out->revision);
}
