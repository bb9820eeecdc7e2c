/* Security Consent Forms. The text of a form is made when it is prepared and stays with it: what is read, signed, printed
 * and kept is the same, whatever becomes of names and of the template. */
#include "flow/consent.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "flow/inside.h"
#include "flow/paper.h"

#include "base/banned.h"

#define SECONDS_A_DAY 86400

/* ---- to whom a form opens the records ---- */

struct gathering {
	struct arena *arena;
	const struct view *view;
	number provider, employer;
	int64_t now;
	struct consent_person *list;
	size_t count, told;
};

static bool is_leaving(const struct person *person, number employer)
{
	for (size_t i = 0; i < person->leaving_count; i++)
		if (person->leaving[i] == employer)
			return true;
	return false;
}

static void add_person(struct gathering *g, const struct person *person, const char *association)
{
	if (g->count++ >= CONSENT_PEOPLE_MOST)
		return;
	g->list[g->told++] = (struct consent_person){
		.uid = arena_strdup(g->arena, person->uid),
		.association = association != NULL ? arena_strdup(g->arena, association) : NULL,
		.active = person->state == STATE_ACTIVE,
	};
}

static bool look_at_tie(void *self, const struct association *tie)
{
	struct gathering *g = self;

	if (tie->provider != g->provider || tie->employer != g->employer || tie->state != STATE_APPROVED ||
	    (tie->not_after != 0 && g->now >= tie->not_after))
		return true;
	const struct person *person = replica_person_no(g->view, tie->user);
	if (person != NULL && person->state != STATE_REMOVED && !is_leaving(person, g->employer))
		add_person(g, person, tie->id);
	return true;
}

/* A walk over all associations: some ten milliseconds for a million, and only when a form is looked at. */
static struct err gather_people(struct arena *a, struct flow *f, const struct entry *consent, struct consent_info *out)
{
	struct gathering g = { .arena = a, .now = clock_now() };

	g.list = arena_alloc(a, CONSENT_PEOPLE_MOST * sizeof *g.list);
	WITH_REPLICA(view, f->replica) {
		const struct organization *p = replica_organization(&view, consent->provider);
		const struct organization *e = replica_organization(&view, consent->employer);

		g.view = &view;
		g.provider = p != NULL ? p->no : 0;
		g.employer = e != NULL ? e->no : 0;
		if (p != NULL && p == e && replica_person_no(&view, p->official) != NULL)
			add_person(&g, replica_person_no(&view, p->official), NULL);
		if (p != NULL && e != NULL)
			replica_each_association(&view, look_at_tie, &g);
	}
	for (size_t i = 0; i < g.told; i++) {
		struct entry person;
		struct err e = dir_read(a, f->dir, NULL, KIND_PERSON, NULL, g.list[i].uid, &person);

		if (e.code != OK && e.code != ERR_NOT_FOUND)
			return e;
		g.list[i].name = e.code == OK ? person.name : NULL;
	}
	out->people = g.list;
	out->people_count = g.count;
	out->people_told = g.told;
	return SUCCESS;
}

/* ---- telling ---- */

/* Gone, or not understood: then there is no name. */
static struct err read_known(struct arena *a, struct flow *f, enum kind kind, const char *id, struct entry *out)
{
	*out = (struct entry){ 0 };
	if (id == NULL)
		return SUCCESS;
	struct err e = dir_read(a, f->dir, NULL, kind, NULL, id, out);
	if (e.code == ERR_NOT_FOUND)
		*out = (struct entry){ 0 };
	return e.code == ERR_NOT_FOUND ? SUCCESS : e;
}

static struct err read_text(struct arena *a, struct flow *f, const struct entry *e, const struct entry *provider,
    const struct entry *employer, const char **out)
{
	struct entry preparer;

	if (e->document != NULL) {
		*out = arena_copy(a, e->document, e->document_size);
		return SUCCESS;
	}
	if (f->paper == NULL)
		return FAIL(ERR_UNAVAILABLE, "consent.text is not set");
	TRY(read_known(a, f, KIND_PERSON, e->requested_by, &preparer));
	struct paper_facts facts = {
		.id = e->id,
		.provider = e->provider,
		.provider_name = provider->name,
		.provider_tin = provider->tin,
		.employer = e->employer,
		.employer_name = employer->name,
		.prepared_by = preparer.name != NULL ? preparer.name : e->requested_by,
		.prepared_at = e->requested_at,
		.not_before = e->not_before,
		.not_after = e->not_after,
	};
	*out = paper_text(a, f->paper, &facts);
	return SUCCESS;
}

/* Approved, or signed, by who was there before the present official; until he has confirmed it. */
static bool waits_for_official(const struct entry *e, const struct entry *provider)
{
	bool signed_before = e->signed_by != NULL && e->signed_at <= provider->official_since &&
	    !text_same(e->signed_by, provider->official) && !text_same(e->decided_by, provider->official);

	return act_waits_for_official(e, provider) || signed_before;
}

static void tell_state(struct consent_info *out)
{
	struct entry *e = &out->entry;
	int64_t now = clock_now();

	if ((e->state == STATE_PREPARED || e->state == STATE_SIGNED || e->state == STATE_APPROVED) &&
	    e->not_after != 0 && e->not_after <= now)
		e->state = STATE_EXPIRED;
	out->in_effect = e->state == STATE_APPROVED && e->not_before <= now;
}

/* whole: with the text and the people. */
static struct err tell(struct arena *a, struct flow *f, const struct caller *c, const struct entry *entry, bool whole,
    struct consent_info *out)
{
	struct entry provider, employer;
	char tracking[PAPER_TRACKING], digest[DIGEST_TEXT];

	*out = (struct consent_info){ .entry = *entry, .for_desk = act_has_role(f, c, ROLE_HELP_DESK | ROLE_AUDITOR) };
	tell_state(out);
	paper_tracking(entry->id, tracking);
	out->tracking = arena_strdup(a, tracking);
	TRY(read_known(a, f, KIND_ORGANIZATION, entry->provider, &provider));
	TRY(read_known(a, f, KIND_ORGANIZATION, entry->employer, &employer));
	out->provider_name = provider.name;
	out->employer_name = employer.name;
	out->needs_confirmation = out->entry.state == STATE_APPROVED && waits_for_official(entry, &provider);
	out->entry.document = NULL;
	out->entry.document_size = 0;
	if (!whole)
		return SUCCESS;
	TRY(read_text(a, f, entry, &provider, &employer, &out->text));
	secret_digest(out->text, strlen(out->text), digest);
	out->digest = arena_strdup(a, digest);
	return gather_people(a, f, entry, out);
}

/* ---- preparing ---- */

static void add_problem(struct arena *a, struct form_problems *problems, const char *pointer, const char *rule)
{
	if (problems->list == NULL)
		problems->list = arena_alloc(a, 4 * sizeof *problems->list);
	problems->list[problems->count++] = (struct form_problem){ pointer, rule };
}

/* A form consents to nothing that was done before it; but the day on which it is prepared may be named as its first. */
static struct err check_times(struct arena *a, const struct consent_wish *w, struct form_problems *problems)
{
	int64_t now = clock_now();

	if (w->not_before != 0 && w->not_before < now - now % SECONDS_A_DAY)
		add_problem(a, problems, "/not_before", "must not be before today");
	if (w->not_after != 0 && w->not_after <= now)
		add_problem(a, problems, "/not_after", "must be in the future");
	if (w->not_after != 0 && w->not_before != 0 && w->not_after <= w->not_before)
		add_problem(a, problems, "/not_after", "must be after not_before");
	return problems->count == 0 ? SUCCESS : FAIL(ERR_INVALID, "the times of the form cannot be");
}

static struct err make_entry(struct arena *a, struct flow *f, const struct caller *c, const struct consent_wish *w,
    struct entry *out)
{
	struct entry provider, employer;
	char id[ID_TEXT];
	const char *text;

	/* The key counts for this provider: an id is looked for in its folder. */
	flow_new_id(c, arena_printf(a, "consent.prepare %s", w->provider), w->key, id);
	*out = (struct entry){
		.kind = KIND_CONSENT,
		.state = STATE_PREPARED,
		.id = arena_strdup(a, id),
		.provider = w->provider,
		.employer = w->employer,
		.not_before = w->not_before,
		.not_after = w->not_after,
		.requested_by = c->uid,
		.requested_at = clock_now(),
	};
	TRY(read_known(a, f, KIND_ORGANIZATION, w->provider, &provider));
	TRY(read_known(a, f, KIND_ORGANIZATION, w->employer, &employer));
	TRY(read_text(a, f, out, &provider, &employer, &text));
	out->document = text;
	out->document_size = strlen(text);
	return SUCCESS;
}

/* There is one of that id: the same request under the same key, sent again. */
static struct err meet_again(struct arena *a, struct flow *f, const struct caller *c, const struct consent_wish *w,
    struct entry *entry)
{
	TRY(dir_read(a, f->dir, c->uid, KIND_CONSENT, w->provider, entry->id, entry));
	return text_same(entry->employer, w->employer) && entry->not_before == w->not_before &&
	        entry->not_after == w->not_after
	    ? SUCCESS
	    : FAIL(ERR_INVALID, "'Idempotency-Key' was used for another request");
}

struct err flow_prepare_consent(struct arena *a, struct flow *f, const struct caller *c, const struct consent_wish *w,
    struct answer *answer, struct consent_info *out, bool *made, struct form_problems *problems)
{
	struct question q = act_question(c, CONSENT_PREPARE, "provider", w->provider);
	struct judged j;
	struct entry entry;

	*out = (struct consent_info){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	*made = true;
	q.acting_for = w->employer;
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	*answer = j.answer;
	if (e.code != OK || !answer->verdict.allow)
		return e;
	TRY(check_times(a, w, problems));
	TRY(make_entry(a, f, c, w, &entry));
	struct act act = { .question = q, .to = &entry, .detail = arena_printf(a, "consent %s", entry.id) };
	e = act_write(a, f, c, &act, &j, &entry.revision);
	if (e.code == ERR_CONFLICT && w->key != NULL) {
		*made = false;
		e = meet_again(a, f, c, w, &entry);
	}
	*answer = j.answer;
	return e.code == OK && answer->verdict.allow ? tell(a, f, c, &entry, true, out) : e;
}

/* ---- reading ---- */

/* Whose it is, for its name in the directory. NULL: nobody knows of it, or not he. */
static struct err provider_of(struct arena *a, struct flow *f, const struct caller *c, const char *id, const char **out,
    struct revision *revision)
{
	bool fresh = false;

	*out = NULL;
	WITH_REPLICA(view, f->replica) {
		const struct consent *consent = replica_consent(&view, id);

		fresh = view.fresh;
		*revision = view.revision;
		if (consent != NULL && act_may_see(&view, replica_person(&view, c->uid), consent->provider, 0))
			*out = arena_strdup(a, replica_org_id(&view, consent->provider));
	}
	return fresh ? SUCCESS : FAIL(ERR_UNAVAILABLE, "the replica is stale");
}

struct err flow_view_consent(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    struct consent_info *out, struct revision *revision)
{
	const char *provider;
	struct entry entry;

	TRY(provider_of(a, f, c, id, &provider, revision));
	if (provider == NULL)
		return FAIL(ERR_NOT_FOUND, "no such form");
	TRY(dir_read(a, f->dir, c->uid, KIND_CONSENT, provider, id, &entry));
	return tell(a, f, c, &entry, true, out);
}

struct tracked {
	const char *tracking;
	struct arena *arena;
	const char *id;
};

static bool look_for_tracking(void *self, const struct consent *consent)
{
	struct tracked *t = self;
	char tracking[PAPER_TRACKING];

	paper_tracking(consent->id, tracking);
	if (strcmp(tracking, t->tracking) == 0)
		t->id = arena_strdup(t->arena, consent->id);
	return t->id == NULL;
}

/* The form that a piece of paper is. Every form is looked at, and so it is for the help desk alone. */
static struct err find_tracked(struct arena *a, struct flow *f, const struct caller *c, const char *tracking,
    struct consent_info **out, size_t *count)
{
	struct tracked t = { tracking, a, NULL };
	const char *provider;
	struct revision revision;
	struct entry entry;
	bool desk = act_has_role(f, c, ROLE_HELP_DESK | ROLE_AUDITOR), fresh = false;

	WITH_REPLICA(view, f->replica) {
		fresh = view.fresh;
		if (desk)
			replica_each_consent(&view, look_for_tracking, &t);
	}
	if (!fresh)
		return FAIL(ERR_UNAVAILABLE, "the replica is stale");
	if (t.id == NULL)
		return SUCCESS;
	TRY(provider_of(a, f, c, t.id, &provider, &revision));
	if (provider == NULL)
		return SUCCESS;
	struct err e = dir_read(a, f->dir, c->uid, KIND_CONSENT, provider, t.id, &entry);
	if (e.code != OK)
		return e.code == ERR_NOT_FOUND ? SUCCESS : e;
	*out = arena_alloc(a, sizeof **out);
	*count = 1;
	return tell(a, f, c, &entry, false, *out);
}

struct err flow_list_consents(struct arena *a, struct flow *f, const struct caller *c, const struct consent_filter *filter,
    const struct page *page, struct consent_info **out, size_t *count, const char **next)
{
	struct list_query query = {
		.kind = KIND_CONSENT,
		.provider = filter->provider,
		.employer = filter->employer,
		.state = filter->state,
	};
	struct listing found;

	*out = NULL;
	*count = 0;
	*next = NULL;
	if (filter->tracking != NULL)
		return find_tracked(a, f, c, filter->tracking, out, count);
	TRY(list_entries(a, f, c->uid, &query, page, &found));
	*out = arena_alloc(a, (found.count + 1) * sizeof **out);
	for (; *count < found.count; ++*count)
		TRY(tell(a, f, c, &found.entries[*count], false, &(*out)[*count]));
	*next = found.next;
	return SUCCESS;
}

/* ---- signing ---- */

/* Decides, and reads the form that the permit is about. SUCCESS without a permit: the verdict says why. */
static struct err open_form(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *j, struct entry *out)
{
	struct err e = decide_and_record(a, f, c, q, j, NULL);

	if (e.code != OK || !j->answer.verdict.allow)
		return e;
	e = record_read(a, f, c, KIND_CONSENT, q, j, out);
	if (e.code != OK)
		decide_refuse(j, UNAVAILABLE);
	return e;
}

/* expected: from If-Match, or empty; then, if the text matters, what was read. */
static struct err make_move(struct arena *a, struct flow *f, const struct caller *c, struct act *act, struct judged *j,
    const struct revision *expected, struct consent_info *out)
{
	struct entry to = *act->to;

	if (expected->micros != 0)
		act->guard.revision = *expected;
	act->to = &to;
	struct err e = act_write(a, f, c, act, j, &to.revision);
	if (e.code == ERR_CONFLICT)
		return FAIL(ERR_CONFLICT, "the form has changed since it was read");
	return e.code == OK && j->answer.verdict.allow ? tell(a, f, c, &to, true, out) : e;
}

/* The text as it stands, and its digest, become part of the entry if they are not yet: a form may come from an LDIF. */
static struct err fix_text(struct arena *a, struct flow *f, struct entry *entry)
{
	struct entry provider, employer;
	char digest[DIGEST_TEXT];
	const char *text;

	TRY(read_known(a, f, KIND_ORGANIZATION, entry->provider, &provider));
	TRY(read_known(a, f, KIND_ORGANIZATION, entry->employer, &employer));
	TRY(read_text(a, f, entry, &provider, &employer, &text));
	entry->document = text;
	entry->document_size = strlen(text);
	secret_digest(text, entry->document_size, digest);
	entry->signed_digest = arena_strdup(a, digest);
	return SUCCESS;
}

struct signing {
	const char *by, *how, *digest; /* digest NULL: whatever the text is */
	const char *detail;
	unsigned more;                 /* fields besides */
};

static struct err sign(struct arena *a, struct flow *f, const struct caller *c, const struct question *q, struct judged *j,
    const struct signing *s, struct entry *entry, const struct revision *expected, struct consent_info *out)
{
	struct act act = { .question = *q, .to = entry, .fields = FIELD_STATE | FIELD_SIGNED | s->more };
	bool had_text = entry->document != NULL;

	TRY(fix_text(a, f, entry));
	if (s->digest != NULL && !text_same(s->digest, entry->signed_digest))
		return FAIL(ERR_CONFLICT, "text_sha256 is not the digest of this form's text");
	if (!had_text)
		act.fields |= FIELD_DOCUMENT;
	entry->state = STATE_SIGNED;
	entry->signed_by = s->by;
	entry->signed_at = clock_now();
	entry->signed_how = s->how;
	act.detail = arena_printf(a, "%s; SHA-256 of the text: %s%s%s", s->how, entry->signed_digest,
	    s->detail != NULL ? "; " : "", s->detail != NULL ? s->detail : "");
	act.guard = (struct guard){ .state = STATE_PREPARED, .revision = entry->revision };
	return make_move(a, f, c, &act, j, expected, out);
}

struct err flow_sign_consent(struct arena *a, struct flow *f, const struct caller *c, const char *id, const char *digest,
    const struct revision *expected, struct answer *answer, struct consent_info *out)
{
	struct question q = act_question(c, CONSENT_SIGN, "consent", id);
	struct signing s = { .by = c->uid, .how = "electronic", .digest = digest };
	struct judged j;
	struct entry entry;

	*out = (struct consent_info){ 0 };
	struct err e = open_form(a, f, c, &q, &j, &entry);
	if (e.code == OK && j.answer.verdict.allow)
		e = sign(a, f, c, &q, &j, &s, &entry, expected, out);
	*answer = j.answer;
	return e;
}

/* The Authorized Official of the time: who else's signature would the help desk take? */
static const char *official_of(struct arena *a, struct flow *f, const char *provider)
{
	const char *uid = NULL;

	WITH_REPLICA(view, f->replica) {
		const struct organization *p = replica_organization(&view, provider);

		if (p != NULL && p->official != 0)
			uid = arena_strdup(a, replica_uid(&view, p->official));
	}
	return uid;
}

struct err flow_receive_consent(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const struct grounds *grounds, const struct revision *expected, struct answer *answer, struct consent_info *out)
{
	struct question q = act_question(c, CONSENT_RECEIVE, "consent", id);
	struct signing s = { .how = "paper", .detail = act_detail(a, grounds), .more = FIELD_DECIDED | FIELD_REASON };
	struct judged j;
	struct entry entry;

	*out = (struct consent_info){ 0 };
	TRY(act_check_grounds(grounds, GROUNDS_DESK));
	struct err e = open_form(a, f, c, &q, &j, &entry);
	if (e.code == OK && j.answer.verdict.allow) {
		s.by = official_of(a, f, entry.provider);
		act_decided(&entry, c, grounds);
		e = sign(a, f, c, &q, &j, &s, &entry, expected, out);
	}
	*answer = j.answer;
	return e;
}

/* ---- scans ---- */

struct err flow_scan_consent(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const struct grounds *grounds, const struct upload *u, const struct revision *expected, struct answer *answer,
    struct consent_info *out)
{
	struct question q = act_question(c, CONSENT_RECEIVE, "consent", id);
	struct act act = { .question = q, .event = "consent.scan", .fields = FIELD_ATTACHMENT,
		.guard.state = STATE_PREPARED, .detail = act_detail(a, grounds) };
	struct judged j;
	struct entry entry;

	*out = (struct consent_info){ 0 };
	TRY(act_check_grounds(grounds, GROUNDS_DESK));
	struct err e = open_form(a, f, c, &q, &j, &entry);
	if (e.code == OK && j.answer.verdict.allow) {
		act.to = &entry;
		e = attachment_store(a, f, c, id, u, &entry.attachment);
		if (e.code == OK)
			e = make_move(a, f, c, &act, &j, expected, out);
	}
	*answer = j.answer;
	return e;
}

struct err flow_read_scan(struct arena *a, struct flow *f, const struct caller *c, const char *id, int file,
    struct answer *answer, struct attachment *out)
{
	struct question q = act_question(c, QUEUE_READ, "consent", id);
	struct revision revision;
	struct judged j;
	struct entry entry;

	*out = (struct attachment){ 0 };
	TRY(decide_judge(a, f, c, &q, &j, NULL));
	struct err e = provider_of(a, f, c, id, &j.provider, &revision);
	if (e.code != OK)
		decide_refuse(&j, STALE_DIRECTORY);
	else if (j.provider == NULL || j.answer.verdict.why == NOT_HELP_DESK) /* to others no form is there but their own */
		decide_refuse(&j, NOT_FOUND);
	TRY(decide_audit(f, c, &q, &j, AUDIT_DECISION, "consent.scan", NULL));
	*answer = j.answer;
	if (!answer->verdict.allow)
		return SUCCESS;
	TRY(dir_read(a, f->dir, c->uid, KIND_CONSENT, j.provider, id, &entry));
	if (entry.attachment == NULL)
		return FAIL(ERR_NOT_FOUND, "there is no scan of it");
	TRY(dir_attachment_head(a, f->dir, c->uid, entry.attachment, out));
	return attachment_fetch(f, c->uid, out, file);
}

/* ---- deciding ---- */

static const struct step {
	enum action action;
	enum state from, to; /* from NONE: whatever the rule permits */
	unsigned fields, grounds;
} steps[] = {
	{ CONSENT_WITHDRAW, STATE_NONE, STATE_WITHDRAWN, FIELD_STATE | FIELD_REASON, GROUNDS_FREE },
	{ CONSENT_APPROVE, STATE_SIGNED, STATE_APPROVED, FIELD_STATE | FIELD_REASON, GROUNDS_DESK },
	{ CONSENT_REJECT, STATE_SIGNED, STATE_REJECTED, FIELD_STATE | FIELD_REASON, GROUNDS_REASON },
	{ CONSENT_REVOKE, STATE_APPROVED, STATE_REVOKED, FIELD_STATE | FIELD_REASON, GROUNDS_REASON },
	{ CONSENT_CONFIRM, STATE_APPROVED, STATE_APPROVED, 0, GROUNDS_FREE }, /* the grounds of the approval stay */
};

struct pair {
	number provider, employer;
	int64_t now;
	bool open;
};

static bool look_for_other(void *self, const struct consent *c)
{
	struct pair *p = self;

	if (c->provider == p->provider && c->employer == p->employer && c->state == STATE_APPROVED &&
	    c->not_before <= p->now && (c->not_after == 0 || p->now < c->not_after))
		p->open = true;
	return !p->open;
}

/* Is there another form by which the pair's records stay open? */
static bool stays_open(struct flow *f, const struct entry *e)
{
	struct pair pair = { .now = clock_now() };

	WITH_REPLICA(view, f->replica) {
		const struct organization *p = replica_organization(&view, e->provider);
		const struct organization *m = replica_organization(&view, e->employer);

		if (p != NULL && m != NULL) {
			pair.provider = p->no;
			pair.employer = m->no;
			replica_each_consent(&view, look_for_other, &pair);
		}
	}
	return pair.open;
}

/* The Authorized Official learns what was decided; of a revocation also those whom it has shut out. */
static void tell_people(struct arena *a, struct flow *f, enum action action, const struct consent_info *info)
{
	const struct entry *e = &info->entry;
	const struct mail_field fields[] = {
		{ "provider", info->provider_name }, { "employer", info->employer_name }, { "reason", e->reason },
		{ action == CONSENT_REVOKE ? NULL : "decision", state_word(e->state) }, { NULL, NULL },
	};
	const char *official = official_of(a, f, e->provider);
	const char *template = action == CONSENT_REVOKE ? "consent-revoked" : "consent-decided";

	if (action != CONSENT_APPROVE && action != CONSENT_REJECT && action != CONSENT_REVOKE)
		return;
	if (official != NULL)
		notice_send(a, f, template, official, fields);
	if (action != CONSENT_REVOKE || stays_open(f, e))
		return;
	for (size_t i = 0; i < info->people_told; i++)
		if (info->people[i].active && !text_same(info->people[i].uid, official))
			notice_send(a, f, template, info->people[i].uid, fields);
}

static struct err decide(struct arena *a, struct flow *f, const struct caller *c, const struct step *step,
    const struct question *q, const struct grounds *grounds, const struct revision *expected, struct judged *j,
    struct consent_info *out)
{
	struct entry entry;

	TRY(open_form(a, f, c, q, j, &entry));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	struct act act = {
		.question = *q,
		.to = &entry,
		.fields = step->fields | FIELD_DECIDED,
		/* Withdrawn is prepared or signed, whichever it is now. */
		.guard.state = step->from != STATE_NONE ? step->from : entry.state,
		.detail = act_detail(a, grounds),
	};
	if (step->fields & FIELD_REASON) {
		act_decided(&entry, c, grounds);
	} else {
		entry.decided_by = c->uid;
		entry.decided_at = clock_now();
	}
	entry.state = step->to;
	return make_move(a, f, c, &act, j, expected, out);
}

struct err flow_decide_consent(struct arena *a, struct flow *f, const struct caller *c, enum action action, const char *id,
    const struct grounds *grounds, const struct revision *expected, struct answer *answer, struct consent_info *out)
{
	struct question q = act_question(c, action, "consent", id);
	const struct step *step = NULL;
	struct judged j;

	*out = (struct consent_info){ 0 };
	for (size_t i = 0; i < COUNT(steps); i++)
		if (steps[i].action == action)
			step = &steps[i];
	if (step == NULL)
		return FAIL(ERR_BUG, "no step of a consent");
	TRY(act_check_grounds(grounds, step->grounds));
	struct err e = decide(a, f, c, step, &q, grounds, expected, &j, out);
	*answer = j.answer;
	if (e.code == OK && answer->verdict.allow)
		tell_people(a, f, action, out);
	return e;
}

/* ---- on paper ---- */

static struct err page_of(struct arena *a, struct flow *f, const struct consent_info *info, struct paper_page *out)
{
	struct paper_person *people = arena_alloc(a, (info->people_told + 1) * sizeof *people);
	struct entry signer;

	TRY(read_known(a, f, KIND_PERSON, info->entry.signed_by, &signer));
	for (size_t i = 0; i < info->people_told; i++)
		people[i] = (struct paper_person){ info->people[i].uid, info->people[i].name, info->people[i].active };
	*out = (struct paper_page){
		.tracking = info->tracking,
		.text = info->text,
		.digest = info->digest,
		.other_signed = info->entry.signed_digest != NULL && !text_same(info->entry.signed_digest, info->digest),
		.state = state_word(info->entry.state),
		.signed_by = signer.name != NULL ? signer.name : info->entry.signed_by,
		.signed_how = info->entry.signed_how,
		.signed_at = info->entry.signed_at,
		.decided_at = info->entry.state == STATE_EXPIRED ? info->entry.not_after : info->entry.decided_at,
		.people = people,
		.people_count = info->people_told,
		.people_more = info->people_count - info->people_told,
		.as_of = clock_now(),
	};
	return SUCCESS;
}

static void write_html(struct arena *a, const struct paper_page *page, struct consent_form *out)
{
	char store[16384], style[PAPER_STYLE_SOURCE];
	struct text t;

	text_open(&t, store, sizeof store);
	paper_html(page, &t);
	out->bytes = arena_copy(a, t.bytes, t.size);
	out->size = t.size;
	text_close(&t);
	paper_style_source(style);
	out->style = arena_strdup(a, style);
}

struct err flow_consent_form(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    enum consent_page kind, struct consent_form *out)
{
	struct consent_info info;
	struct revision revision;
	struct paper_page page;

	*out = (struct consent_form){ 0 };
	TRY(flow_view_consent(a, f, c, id, &info, &revision));
	out->tracking = info.tracking;
	if (kind == CONSENT_TEXT) {
		out->bytes = info.text;
		out->size = strlen(info.text);
		return SUCCESS;
	}
	if (f->paper == NULL)
		return FAIL(ERR_UNAVAILABLE, "consent.text is not set");
	TRY(page_of(a, f, &info, &page));
	if (kind == CONSENT_PDF)
		return paper_pdf(a, f->paper, &page, &out->bytes, &out->size);
	write_html(a, &page, out);
	return SUCCESS;
}
