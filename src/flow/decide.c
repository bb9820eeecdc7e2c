/* Decisions: which facts each action needs, what the judge says of them, and how much of it the asker may know. */
#include "flow/flow.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

/* ---- what is asked of what ---- */

enum resource {
	OF_ANYTHING, OF_PROVIDER, OF_RECORD, OF_SUBMISSION, OF_ASSOCIATION, OF_CONSENT, OF_USER, OF_CLAIM, OF_CASE
};
static const char *const resource_words[] = {
	[OF_PROVIDER] = "provider",
	[OF_RECORD] = "record",
	[OF_SUBMISSION] = "submission",
	[OF_ASSOCIATION] = "association",
	[OF_CONSENT] = "consent",
	[OF_USER] = "user",
	[OF_CLAIM] = "claim",
	[OF_CASE] = "case",
};

static const struct {
	enum resource of;
	bool names_employer; /* the question's employer is whom the act is about, not through whom it is done */
} actions[ACTIONS] = {
	[SUBMISSION_CREATE] = { OF_PROVIDER, false },
	[SUBMISSION_READ] = { OF_SUBMISSION, false },
	[SUBMISSION_UPDATE] = { OF_SUBMISSION, false },
	[SUBMISSION_SUBMIT] = { OF_SUBMISSION, false },
	[SUBMISSION_DELETE] = { OF_SUBMISSION, false },
	[RECORD_VIEW] = { OF_RECORD, false },
	[RECORD_UPDATE] = { OF_RECORD, false },
	[RECORD_LIST] = { OF_PROVIDER, false },
	[ASSOCIATION_REQUEST] = { OF_PROVIDER, true },
	[ASSOCIATION_APPROVE] = { OF_ASSOCIATION, false },
	[ASSOCIATION_REJECT] = { OF_ASSOCIATION, false },
	[ASSOCIATION_END] = { OF_ASSOCIATION, false },
	[ASSOCIATION_CANCEL] = { OF_ASSOCIATION, false },
	[ASSOCIATION_CONFIRM] = { OF_ASSOCIATION, false },
	[CONSENT_PREPARE] = { OF_PROVIDER, true },
	[CONSENT_SIGN] = { OF_CONSENT, false },
	[CONSENT_RECEIVE] = { OF_CONSENT, false },
	[CONSENT_WITHDRAW] = { OF_CONSENT, false },
	[CONSENT_APPROVE] = { OF_CONSENT, false },
	[CONSENT_REJECT] = { OF_CONSENT, false },
	[CONSENT_REVOKE] = { OF_CONSENT, false },
	[CONSENT_CONFIRM] = { OF_CONSENT, false },
	[CLAIM_SUBMIT] = { OF_PROVIDER, false },
	[CLAIM_WITHDRAW] = { OF_CLAIM, false },
	[CLAIM_REPLACE] = { OF_CLAIM, false },
	[CLAIM_APPROVE] = { OF_CLAIM, false },
	[CLAIM_REJECT] = { OF_CLAIM, false },
	[ORG_UPDATE] = { OF_PROVIDER, false },
	[ORG_VERIFY] = { OF_PROVIDER, false },
	[ORG_SUSPEND] = { OF_PROVIDER, false },
	[ORG_CLOSE] = { OF_PROVIDER, false },
	[ACCOUNT_UNLOCK] = { OF_USER, false },
	[ACCOUNT_DISABLE] = { OF_USER, false },
	[ACCOUNT_ENABLE] = { OF_USER, false },
	[ACCOUNT_RESET] = { OF_USER, false },
	[ACCOUNT_SECOND_FACTOR] = { OF_USER, false },
	[ACCOUNT_FRAUD] = { OF_USER, false },
	[ACCOUNT_REMOVE] = { OF_USER, false },
	[EMPLOYER_LEAVE] = { OF_PROVIDER, false },
	[EMPLOYER_REVOCATION_REQUEST] = { OF_PROVIDER, true },
	[EMPLOYER_REVOCATION_EXECUTE] = { OF_CASE, false },
	[EMPLOYER_REVOCATION_DECLINE] = { OF_CASE, false },
	[EMPLOYER_REINSTATE] = { OF_PROVIDER, true },
	[QUEUE_READ] = { OF_ANYTHING, false },
	[CASE_CLOSE] = { OF_CASE, false },
	[AUDIT_READ] = { OF_ANYTHING, false },
	[ACCESS_REVIEW] = { OF_ANYTHING, false },
	[SUBMISSION_REVIEW] = { OF_SUBMISSION, false },
	[SUBMISSION_ACCEPT] = { OF_SUBMISSION, false },
	[SUBMISSION_RETURN] = { OF_SUBMISSION, false },
};

static struct err check_question(struct arena *a, const struct question *q)
{
	if ((unsigned)q->action >= ACTIONS)
		return FAIL(ERR_INVALID, "no such action");
	enum resource of = actions[q->action].of;
	if (of == OF_ANYTHING)
		return SUCCESS;
	if (!text_same(q->resource_kind, resource_words[of]))
		return FAIL(ERR_INVALID,
		    arena_printf(a, "%s is asked of a %s", action_word(q->action), resource_words[of]));
	if (q->resource == NULL)
		return FAIL(ERR_INVALID,
		    arena_printf(a, "%s needs the id of a %s", action_word(q->action), resource_words[of]));
	return SUCCESS;
}

/* ---- facts ---- */

/* An employer that is named but not known must not mean "any". */
#define NOBODY_S_EMPLOYER UINT32_MAX

static void gather_resource(const struct view *v, const struct question *q, struct facts *f)
{
	const struct record *record = NULL;

	switch (actions[q->action].of) {
	case OF_PROVIDER:
		f->provider = replica_organization(v, q->resource);
		break;
	case OF_RECORD:
		record = replica_record(v, q->resource);
		if (record != NULL)
			f->provider = replica_organization_no(v, record->provider);
		break;
	case OF_SUBMISSION:
		f->submission = replica_submission(v, q->resource);
		if (f->submission != NULL)
			f->provider = replica_organization_no(v, f->submission->provider);
		break;
	case OF_ASSOCIATION:
		f->request = replica_association(v, q->resource);
		if (f->request != NULL) {
			f->provider = replica_organization_no(v, f->request->provider);
			f->employer = replica_organization_no(v, f->request->employer);
			f->subject = replica_person_no(v, f->request->user);
		}
		break;
	case OF_CONSENT:
		f->form = replica_consent(v, q->resource);
		if (f->form != NULL) {
			f->provider = replica_organization_no(v, f->form->provider);
			f->employer = replica_organization_no(v, f->form->employer);
		}
		break;
	case OF_CLAIM:
		f->claim = replica_claim(v, q->resource);
		if (f->claim != NULL) {
			f->provider = replica_organization_no(v, f->claim->provider);
			f->subject = replica_person_no(v, f->claim->user);
		}
		break;
	case OF_CASE:
		f->help_case = replica_case(v, q->resource);
		if (f->help_case != NULL) {
			f->provider = replica_organization_no(v, f->help_case->provider);
			f->employer = replica_organization_no(v, f->help_case->employer);
			f->subject = replica_person_no(v, f->help_case->user);
		}
		break;
	case OF_USER:
		f->subject = replica_person(v, q->resource);
		break;
	case OF_ANYTHING:
		break;
	}
}

/* Is there an open or approved association of the actor with this provider through this employer? */
struct search {
	const struct view *view;
	const struct facts *facts;
	enum action action;
	const struct association *found;
	bool claimed, registered;
};

static bool tie_stands(const struct association *tie, int64_t now)
{
	return (tie->state == STATE_PENDING && (tie->expires == 0 || now < tie->expires)) ||
	    (tie->state == STATE_APPROVED && (tie->not_after == 0 || now < tie->not_after));
}

static bool look_for_open_request(void *self, const struct path *path)
{
	struct search *s = self;

	if (path->tie != NULL && path->tie->employer == s->facts->employer->no && tie_stands(path->tie, s->facts->now))
		s->found = path->tie;
	return s->found == NULL;
}

/* Is the matter about that organization? Fraud is about every one whose AO the person is: they are suspended with him. */
static bool concerns(const struct search *s, number organization)
{
	const struct facts *f = s->facts;

	if ((f->provider != NULL && f->provider->no == organization) || (f->employer != NULL && f->employer->no == organization))
		return true;
	const struct organization *o = s->action == ACCOUNT_FRAUD ? replica_organization_no(s->view, organization) : NULL;
	return o != NULL && f->subject != NULL && o->official == f->subject->no;
}

/* Does the actor work for or through an organization that the matter is about? */
static bool look_for_involvement(void *self, const struct association *tie)
{
	struct search *s = self;

	if (tie->state == STATE_APPROVED && tie_stands(tie, s->facts->now) &&
	    (concerns(s, tie->provider) || concerns(s, tie->employer)))
		s->found = tie;
	return s->found == NULL;
}

/* Does the actor himself want to be the AO of one? */
static bool look_for_own_claim(void *self, const struct claim *claim)
{
	struct search *s = self;

	s->claimed = claim->user == s->facts->actor->no && claim->state == STATE_SUBMITTED && concerns(s, claim->provider);
	return !s->claimed;
}

/* Has he registered one that a fraud is about? Of others the rule itself sees it. */
static bool look_for_registered(void *self, const struct organization *o)
{
	struct search *s = self;

	s->registered = o->registrant == s->facts->actor->no && concerns(s, o->no);
	return !s->registered;
}

static bool is_involved(const struct view *v, enum action action, const struct facts *f)
{
	struct search search = { .view = v, .facts = f, .action = action };

	replica_associations_of(v, f->actor->no, look_for_involvement, &search);
	if (search.found == NULL)
		replica_each_claim(v, look_for_own_claim, &search);
	if (action == ACCOUNT_FRAUD)
		replica_each_organization(v, look_for_registered, &search);
	return search.found != NULL || search.claimed || search.registered;
}

static void gather(const struct view *v, const struct flow *flow, const struct question *q, struct facts *f)
{
	f->now = clock_now();
	f->authenticated_at = q->authenticated_at;
	f->recent = flow_set(&flow->set.recent_s);
	f->for_himself = true;
	if (q->subject != NULL)
		f->actor = replica_person(v, q->subject);
	gather_resource(v, q, f);

	if (q->acting_for != NULL) {
		const struct organization *employer = replica_organization(v, q->acting_for);

		if (actions[q->action].names_employer)
			f->employer = employer;
		else
			f->acting_for = employer != NULL ? employer->no : NOBODY_S_EMPLOYER;
	}
	if (f->provider != NULL && f->employer != NULL)
		f->employer_barred = replica_bars(f->provider, f->employer->no);
	if (q->action == ORG_VERIFY && f->provider != NULL)
		f->subject = replica_person_no(v, f->provider->official);
	if (q->action == ASSOCIATION_REQUEST && f->actor != NULL && f->provider != NULL && f->employer != NULL) {
		struct search search = { .facts = f };

		replica_paths(v, f->actor, f->provider, look_for_open_request, &search);
		f->request = search.found;
		f->open_request = search.found != NULL;
	}
	if (f->actor != NULL && (f->actor->roles & ROLE_HELP_DESK) && !rule_asks_for_path(q->action))
		f->involved = is_involved(v, q->action, f);
}

/* ---- what may be told ---- */

/* rules.md, hidden existence. Reasons that rest on the asker alone say nothing about what is hidden. */
static bool is_hidden(const struct question *q, const struct facts *f, const struct verdict *v)
{
	if (v->allow || f->actor == NULL || v->why == NOT_AUTHENTICATED || v->why == ACCOUNT_NOT_ACTIVE)
		return false;
	bool is_desk = f->actor->roles & ROLE_HELP_DESK;
	/* What is between a person and the help desk is shown to no associate. */
	if (actions[q->action].of == OF_CLAIM)
		return !is_desk && !(f->claim != NULL && f->claim->user == f->actor->no);
	if (actions[q->action].of == OF_CASE)
		return !is_desk && !(f->provider != NULL && f->provider->official == f->actor->no) &&
		       !(f->help_case != NULL && f->help_case->user == f->actor->no);
	if (v->tied)
		return false;
	switch (actions[q->action].of) {
	case OF_RECORD:
		return true;
	case OF_PROVIDER:
		return q->action == RECORD_LIST;
	case OF_ASSOCIATION:
		return !is_desk && !(f->request != NULL && f->request->user == f->actor->no);
	case OF_CONSENT:
		return !is_desk;
	case OF_SUBMISSION:
		return !(f->submission != NULL && f->submission->user == f->actor->no) &&
		       !((f->actor->roles & ROLE_PROCESSOR) &&
			   (q->action == SUBMISSION_ACCEPT || q->action == SUBMISSION_RETURN));
	case OF_CLAIM:
	case OF_CASE:
	case OF_USER:
	case OF_ANYTHING:
		break;
	}
	return false;
}

/* ---- explanation ---- */

struct telling {
	struct arena *arena;
	const struct flow *flow;
	const struct view *view;
	const struct caller *caller;
	const struct question *question;
	const struct facts *facts;
	const struct path *used; /* the verdict's */
	struct explanation *out;
};

static void rest_on(const struct telling *t, enum kind kind, const char *provider, const char *id,
    const struct mark *mark, struct explained_clause *out)
{
	if (id == NULL)
		return;
	out->dn = dir_name_of(t->arena, t->flow->dir, kind, provider, id);
	if (mark != NULL)
		out->revision = mark->revision;
}

static void rest_on_organization(const struct telling *t, const struct organization *o, struct explained_clause *out)
{
	if (o != NULL)
		rest_on(t, KIND_ORGANIZATION, NULL, o->id, &o->mark, out);
}

static void rest_on_tie(const struct telling *t, const struct association *tie, struct explained_clause *out)
{
	if (tie != NULL)
		rest_on(t, KIND_ASSOCIATION, replica_org_id(t->view, tie->provider), tie->id, &tie->mark, out);
}

static void rest_on_consent(const struct telling *t, const struct consent *consent, struct explained_clause *out)
{
	if (consent != NULL)
		rest_on(t, KIND_CONSENT, replica_org_id(t->view, consent->provider), consent->id, &consent->mark, out);
}

/* The session is known only if the person himself asks. */
static void rest_on_session(const struct telling *t, struct explained_clause *out)
{
	const struct caller *c = t->caller;
	unsigned char digest[32];

	if (!text_same(c->uid, t->question->subject) || !session_digest_of(c->session, digest))
		return;
	const struct session *session = replica_session(t->view, digest);
	if (session != NULL)
		rest_on(t, KIND_SESSION, NULL, c->session, &session->mark, out);
}

static enum role role_asked(enum reason otherwise)
{
	return otherwise == NOT_AUDITOR ? ROLE_AUDITOR : otherwise == NOT_PROCESSOR ? ROLE_PROCESSOR : ROLE_HELP_DESK;
}

static void rest_on_role(const struct telling *t, enum role role, struct explained_clause *out)
{
	rest_on(t, KIND_ROLE, NULL, role_word(role), replica_role(t->view, role), out);
}

static void tell_clause(const struct telling *t, const struct clause *clause, const struct path *path,
    struct explained_clause *out)
{
	const struct facts *f = t->facts;
	const struct submission *s = f->submission;
	const struct claim *claim = f->claim;

	*out = (struct explained_clause){ clause->name, clause->holds, clause->otherwise, NULL, { 0 } };
	switch (clause->rests_on) {
	case ON_ACTOR:
		if (f->actor != NULL)
			rest_on(t, KIND_PERSON, NULL, f->actor->uid, &f->actor->mark, out);
		break;
	case ON_ROLE:
		rest_on_role(t, role_asked(clause->otherwise), out);
		break;
	case ON_PROVIDER:
		rest_on_organization(t, f->provider, out);
		break;
	case ON_TIE:
		/* The AO's own path has no association: that he is AO is written in the provider. */
		if (path->tie == NULL && path->employer != NULL)
			rest_on_organization(t, f->provider, out);
		rest_on_tie(t, path->tie, out);
		break;
	case ON_EMPLOYER:
		rest_on_organization(t, path->employer != NULL ? path->employer : f->employer, out);
		break;
	case ON_CONSENT:
		rest_on_consent(t, path->consent, out);
		break;
	case ON_REQUEST:
		rest_on_tie(t, f->request, out);
		break;
	case ON_FORM:
		rest_on_consent(t, f->form, out);
		break;
	case ON_SUBMISSION:
		if (s != NULL)
			rest_on(t, KIND_SUBMISSION, replica_org_id(t->view, s->provider), s->id, &s->mark, out);
		break;
	case ON_CLAIM:
		if (claim != NULL)
			rest_on(t, KIND_CLAIM, replica_org_id(t->view, claim->provider), claim->id, &claim->mark, out);
		break;
	case ON_CASE:
		if (f->help_case != NULL)
			rest_on(t, KIND_CASE, NULL, f->help_case->id, &f->help_case->mark, out);
		break;
	case ON_SUBJECT:
		if (f->subject != NULL)
			rest_on(t, KIND_PERSON, NULL, f->subject->uid, &f->subject->mark, out);
		break;
	case ON_SESSION:
		rest_on_session(t, out);
		break;
	}
}

static const char *employer_of(const struct view *v, const struct path *path)
{
	if (path->employer != NULL)
		return path->employer->id;
	return path->tie != NULL ? replica_org_id(v, path->tie->employer) : NULL;
}

static const char *copy_of(struct arena *a, const char *text)
{
	return text != NULL ? arena_strdup(a, text) : NULL;
}

static bool tell_path(void *self, const struct path *path)
{
	struct telling *t = self;
	struct explanation *e = t->out;
	struct clause clauses[CLAUSES_MOST];
	size_t count = rule_explain(t->question->action, t->facts, path, clauses);

	if (path->tie == t->used->tie && path->employer == t->used->employer && path->consent == t->used->consent)
		e->decisive = e->count;
	e->paths = arena_more(t->arena, e->paths, e->count, sizeof *e->paths);
	struct explained_path *p = &e->paths[e->count++];
	*p = (struct explained_path){
		.employer = copy_of(t->arena, employer_of(t->view, path)),
		.association = copy_of(t->arena, path->tie != NULL ? path->tie->id : NULL),
		.consent = copy_of(t->arena, path->consent != NULL ? path->consent->id : NULL),
		.clauses = arena_alloc(t->arena, count * sizeof *p->clauses),
		.count = count,
		.open = true,
	};
	for (size_t i = 0; i < count; i++) {
		tell_clause(t, &clauses[i], path, &p->clauses[i]);
		p->open = p->open && clauses[i].holds;
	}
	return true;
}

static void explain(struct telling *t)
{
	static const struct path none;

	*t->out = (struct explanation){ 0 };
	if (rule_asks_for_path(t->question->action) && t->facts->actor != NULL && t->facts->provider != NULL)
		replica_paths(t->view, t->facts->actor, t->facts->provider, tell_path, t);
	if (t->out->count == 0)
		tell_path(t, &none);
}

/* ---- the decision ---- */

static void judge_in(const struct view *v, struct arena *a, struct flow *flow, const struct caller *caller,
    const struct question *q, struct judged *out, struct explanation *explanation)
{
	struct facts facts = { 0 };

	gather(v, flow, q, &facts);
	struct verdict verdict = replica_judge(v, q->action, &facts);
	bool hidden = is_hidden(q, &facts, &verdict);

	out->real = verdict.why;
	out->answer.verdict.allow = verdict.allow;
	out->answer.verdict.why = hidden ? NOT_FOUND : verdict.why;
	out->answer.verdict.tied = verdict.tied;
	out->provider = copy_of(a, facts.provider != NULL ? facts.provider->id : NULL);
	out->employer = copy_of(a, employer_of(v, &verdict.path));
	out->association = copy_of(a, verdict.path.tie != NULL ? verdict.path.tie->id : NULL);
	out->consent = copy_of(a, verdict.path.consent != NULL ? verdict.path.consent->id : NULL);
	if (!hidden) {
		out->answer.provider = out->provider;
		out->answer.employer = out->employer;
		out->answer.association = out->association;
		out->answer.consent = out->consent;
	}
	if (q->explain && explanation != NULL) {
		struct telling t = {
			.arena = a,
			.flow = flow,
			.view = v,
			.caller = caller,
			.question = q,
			.facts = &facts,
			.used = &verdict.path,
			.out = explanation,
		};
		explain(&t);
	}
}

struct err decide_judge(struct arena *a, struct flow *flow, const struct caller *caller, const struct question *q,
    struct judged *out, struct explanation *explanation)
{
	*out = (struct judged){ .answer.verdict.why = STALE_DIRECTORY, .real = STALE_DIRECTORY };
	if (explanation != NULL)
		*explanation = (struct explanation){ 0 };
	TRY(check_question(a, q));
	/* Asked before the read section begins: what it has reached now, it has then. */
	bool reached =
	    q->at_least == NULL || q->at_least->micros == 0 || replica_has_reached(flow->replica, q->at_least);

	WITH_REPLICA(view, flow->replica) {
		out->answer.revision = view.revision;
		if (reached && view.fresh)
			judge_in(&view, a, flow, caller, q, out, explanation);
	}
	return SUCCESS;
}

struct err decide_audit(struct flow *flow, const struct caller *caller, const struct question *q,
    const struct judged *j, enum audit_class class, const char *event, const char *detail)
{
	char held[SHORT_SESSION];
	struct audit_record r = session_record(caller, class, event, held);

	r.actor = q->subject;
	r.action = action_word(q->action);
	r.resource_kind = q->resource_kind;
	r.resource = q->resource;
	r.provider = j->provider;
	r.employer = j->employer;
	r.association = j->association;
	r.consent = j->consent;
	r.outcome = j->answer.verdict.allow ? "permit" : "deny";
	r.reason = reason_word(j->real);
	r.revision = &j->answer.revision;
	r.detail = detail;
	return audit_write(flow->audit, &r);
}

struct err decide_and_record(struct arena *a, struct flow *flow, const struct caller *caller, const struct question *q,
    struct judged *out, struct explanation *explanation)
{
	struct err e = decide_judge(a, flow, caller, q, out, explanation);

	if (e.code == OK)
		e = decide_audit(flow, caller, q, out, AUDIT_DECISION, "decision",
		    out->real != out->answer.verdict.why ? "told not_found" : NULL);
	if (e.code != OK) {
		decide_refuse(out, UNAVAILABLE);
		if (explanation != NULL)
			*explanation = (struct explanation){ 0 };
	}
	return e;
}

void decide_refuse(struct judged *j, enum reason why)
{
	j->answer.verdict = (struct verdict){ .allow = false, .why = why };
	j->real = why;
}

struct err flow_decide(struct arena *a, struct flow *flow, const struct caller *caller, const struct question *q,
    struct answer *out, enum reason *real, struct explanation *explanation)
{
	struct judged j;
	struct err e = decide_and_record(a, flow, caller, q, &j, explanation);

	*out = j.answer;
	if (real != NULL)
		*real = j.real;
	return e;
}
