/* Calls about organizations, and about claims to be their Authorized Official. */
#include "base/text.h"
#include "flow/organization.h"
#include "http/call.h"

#include "base/banned.h"

/* ---- telling ---- */

static const char *kind_told(enum provider_kind kind)
{
	return kind == PROVIDER_INDIVIDUAL ? "individual" : kind == PROVIDER_ORGANIZATION ? "organization" : NULL;
}

static void tell_organization(struct text *t, const char *name, const struct organization_info *o)
{
	const struct entry *e = &o->entry;
	const char *roles[3] = { NULL };
	size_t count = 0;

	if (e->provider_kind != NOT_A_PROVIDER)
		roles[count++] = "provider";
	if (e->is_employer)
		roles[count] = "employer";
	tell_begin(t, name, "{");
	tell_text(t, "id", e->id);
	tell_text(t, "name", e->name);
	tell_text(t, "state", state_word(e->state));
	tell_texts(t, "roles", roles);
	tell_text(t, "provider_kind", kind_told(e->provider_kind));
	tell_text(t, "official", e->official);
	tell_time(t, "official_since", e->official_since);
	tell_text(t, "tin", e->tin);
	tell_text(t, "tin_kind", e->tin_kind);
	tell_text(t, "tin_held_by", o->tin_held_by);
	if (e->npis != NULL)
		tell_texts(t, "npis", e->npis);
	if (o->address != NULL)
		tell_texts(t, "address", o->address);
	if (e->barred != NULL)
		tell_texts(t, "barred_employers", e->barred);
	tell_text(t, "registered_by", e->requested_by);
	tell_time(t, "registered_at", e->requested_at);
	tell_decision(t, e, true);
	text_puts(t, "}");
}

static void tell_claim(struct text *t, const struct claim_info *c)
{
	const struct entry *e = &c->entry;

	tell_begin(t, NULL, "{");
	tell_text(t, "id", e->id);
	tell_text(t, "provider", e->provider);
	tell_text(t, "user", e->user);
	tell_text(t, "state", state_word(e->state));
	tell_text(t, "document_kind", e->document_kind);
	tell_text(t, "note", e->note);
	tell_time(t, "requested_at", e->requested_at);
	if (e->state != STATE_SUBMITTED)
		tell_decision(t, e, c->for_desk);
	else
		tell_revision(t, "revision", &e->revision);
	tell_text(t, "user_name", c->claimant_name);
	tell_text(t, "user_mail", c->claimant_mail);
	if (c->organization.entry.id != NULL)
		tell_organization(t, "organization", &c->organization);
	if (c->document.id != NULL) {
		tell_begin(t, "document", "{");
		tell_text(t, "media_type", c->document.media_type);
		tell_number(t, "size", c->document.size);
		tell_text(t, "sha256", c->document.digest);
		tell_time(t, "received_at", c->document.at);
		text_puts(t, "}");
	}
	text_puts(t, "}");
}

static struct reply finish(
    struct request *q, unsigned status, struct text *t, const struct revision *decided, const struct revision *entry)
{
	struct reply r = call_told(q, status, t, decided, entry);

	r.secret = true;
	return r;
}

static struct reply one_organization(
    struct request *q, unsigned status, const struct organization_info *o, const struct revision *decided)
{
	char store[2048];
	struct text t;

	text_open(&t, store, sizeof store);
	tell_organization(&t, NULL, o);
	return finish(q, status, &t, decided, &o->entry.revision);
}

static struct reply one_claim(
    struct request *q, unsigned status, const struct claim_info *c, const struct revision *decided)
{
	char store[2048];
	struct text t;

	text_open(&t, store, sizeof store);
	tell_claim(&t, c);
	return finish(q, status, &t, decided, &c->entry.revision);
}

/* What is not a matter of the rule: a TIN that is in use, told to the help desk. */
static bool held(struct request *q, struct err e, const char *holder, const struct answer *a, struct reply *out)
{
	if (e.code != ERR_CONFLICT || holder == NULL)
		return false;
	*out = reply_problem(q, 409, "tin_in_use",
	    arena_printf(q->arena, "The organization %s is established under this taxpayer number.", holder));
	out->revision = a->revision;
	return true;
}

static bool misdescribed(struct request *q, struct err e, const struct form_problems *p, struct reply *out)
{
	if (e.code == ERR_INVALID && p->count > 0)
		*out = reply_form_problems(q, p);
	return e.code == ERR_INVALID && p->count > 0;
}

/* ---- organizations ---- */

static bool read_roles(struct request *q, const char *const *roles, const char *provider_kind,
    struct organization_wish *w, struct reply *refused)
{
	bool fine =
	    provider_kind == NULL || text_same(provider_kind, "organization") || text_same(provider_kind, "individual");

	w->individual = text_same(provider_kind, "individual");
	for (size_t i = 0; roles != NULL && roles[i] != NULL; i++) {
		w->provider |= text_same(roles[i], "provider");
		w->employer |= text_same(roles[i], "employer");
		if (!text_same(roles[i], "provider") && !text_same(roles[i], "employer")) {
			*refused = reply_problem(q, 400, "invalid_request", "'roles' may hold provider and employer.");
			return false;
		}
	}
	if (!fine)
		*refused =
		    reply_problem(q, 400, "invalid_request", "'provider_kind' must be organization or individual.");
	return fine;
}

struct reply call_register_organization(struct request *q)
{
	json_auto *body = NULL;
	const char *const *roles;
	const char *provider_kind, *key;
	struct organization_wish w = { 0 };
	const struct member members[] = { { "name", MEMBER_TEXT, false, &w.name },
		{ "tin", MEMBER_TEXT, false, &w.tin }, { "tin_kind", MEMBER_TEXT, false, &w.tin_kind },
		{ "roles", MEMBER_TEXTS, false, &roles }, { "provider_kind", MEMBER_TEXT, false, &provider_kind },
		{ "npis", MEMBER_TEXTS, false, &w.npis }, { "address", MEMBER_TEXTS, false, &w.address }, { 0 } };
	struct form_problems problems;
	struct organization_info o;
	struct reply r;
	bool made = false;

	if (!call_no_query(q, &r) || !call_key(q, &key, &r) || !call_body(q, members, &body, &r) ||
	    !read_roles(q, roles, provider_kind, &w, &r))
		return r;
	struct err e = flow_register_organization(q->arena, q->flow, &q->caller, &w, key, &problems, &o, &made);
	if (misdescribed(q, e, &problems, &r))
		return r;
	if (e.code == ERR_CONFLICT)
		return reply_problem(q, 409, "conflict", e.what);
	if (e.code != OK)
		return reply_error(q, e);
	r = one_organization(q, made ? 201 : 200, &o, &o.entry.revision);
	reply_field(&r, "Location", arena_printf(q->arena, "/v1/organizations/%s", o.entry.id));
	return r;
}

struct reply call_view_organization(struct request *q)
{
	struct organization_info o;
	struct revision revision;
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	struct err e = flow_view_organization(q->arena, q->flow, &q->caller, q->id, &o, &revision);
	return e.code != OK ? reply_error(q, e) : one_organization(q, 200, &o, &revision);
}

struct reply call_list_organizations(struct request *q)
{
	const char *word, *next;
	const struct parameter parameters[] = { { "state", &word, false }, { 0 } };
	struct organization_info *list;
	struct page page;
	enum state state;
	char store[4096];
	struct reply r;
	struct text t;
	size_t count;

	if (!call_list(q, parameters, &page, &r) || !call_state(q, KIND_ORGANIZATION, word, &state, &r))
		return r;
	struct err e = flow_list_organizations(q->arena, q->flow, &q->caller, state, &page, &list, &count, &next);
	if (e.code != OK)
		return reply_error(q, e);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"organizations\":[");
	for (size_t i = 0; i < count; i++)
		tell_organization(&t, NULL, &list[i]);
	tell_next(&t, next);
	return finish(q, 200, &t, &(struct revision){ 0 }, NULL);
}

struct reply call_update_organization(struct request *q)
{
	json_auto *body = NULL;
	struct organization_wish w = { 0 };
	const struct member members[] = { { "name", MEMBER_TEXT, false, &w.name },
		{ "tin", MEMBER_TEXT, false, &w.tin }, { "tin_kind", MEMBER_TEXT, false, &w.tin_kind },
		{ "npis", MEMBER_TEXTS, false, &w.npis }, { "address", MEMBER_TEXTS, false, &w.address }, { 0 } };
	struct form_problems problems;
	struct answer answer = { 0 };
	struct organization_info o;
	struct revision expected;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, true, &expected, &r) || !call_body(q, members, &body, &r))
		return r;
	struct err e =
	    flow_update_organization(q->arena, q->flow, &q->caller, q->id, &w, &expected, &problems, &answer, &o);
	if (misdescribed(q, e, &problems, &r) || call_failed(q, ORG_UPDATE, e, &answer, &r))
		return r;
	return one_organization(q, 200, &o, &answer.revision);
}

static struct reply move(struct request *q, enum organization_step step, enum action action)
{
	json_auto *body = NULL;
	struct organization_info o;
	struct answer answer = { 0 };
	struct grounds grounds;
	struct revision expected;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) ||
	    !call_grounds(q, false, &grounds, &body, &r))
		return r;
	struct err e =
	    flow_move_organization(q->arena, q->flow, &q->caller, step, q->id, &grounds, &expected, &answer, &o);
	if (held(q, e, o.tin_held_by, &answer, &r) || call_failed(q, action, e, &answer, &r))
		return r;
	return one_organization(q, 200, &o, &answer.revision);
}

struct reply call_verify_organization(struct request *q)
{
	return move(q, ORGANIZATION_VERIFY, ORG_VERIFY);
}

struct reply call_suspend_organization(struct request *q)
{
	return move(q, ORGANIZATION_SUSPEND, ORG_SUSPEND);
}

struct reply call_reinstate_organization(struct request *q)
{
	return move(q, ORGANIZATION_REINSTATE, ORG_VERIFY);
}

struct reply call_close_organization(struct request *q)
{
	return move(q, ORGANIZATION_CLOSE, ORG_CLOSE);
}

struct reply call_report_fraud(struct request *q)
{
	json_auto *body = NULL;
	struct fraud_info fraud;
	struct answer answer = { 0 };
	struct grounds grounds;
	char store[512];
	struct reply r;
	struct text t;

	if (!call_no_query(q, &r) || !call_grounds(q, false, &grounds, &body, &r))
		return r;
	struct err e = flow_report_fraud(q->arena, q->flow, &q->caller, q->id, &grounds, &answer, &fraud);
	if (call_failed(q, ACCOUNT_FRAUD, e, &answer, &r))
		return r;
	text_open(&t, store, sizeof store);
	text_puts(&t, "{");
	tell_text(&t, "username", fraud.uid);
	tell_text(&t, "state", state_word(STATE_DISABLED));
	tell_texts(&t, "suspended", fraud.suspended);
	text_puts(&t, "}");
	return finish(q, 200, &t, &answer.revision, NULL);
}

/* ---- claims ---- */

struct reply call_submit_claim(struct request *q)
{
	const char *document_kind, *note, *key;
	const struct parameter parameters[] = { { "document_kind", &document_kind, true }, { "note", &note, false },
		{ 0 } };
	struct form_problems problems;
	struct answer answer = { 0 };
	struct claim_info c;
	struct reply r;
	bool made = false;

	if (!call_query(q, parameters, &r) || !call_key(q, &key, &r) || !upload_judge(q, &r))
		return r;
	struct err e = flow_submit_claim(
	    q->arena, q->flow, &q->caller, q->id, document_kind, note, &q->upload, key, &problems, &answer, &c, &made);
	if (misdescribed(q, e, &problems, &r) || call_failed(q, CLAIM_SUBMIT, e, &answer, &r))
		return r;
	r = one_claim(q, made ? 201 : 200, &c, &answer.revision);
	reply_field(&r, "Location", arena_printf(q->arena, "/v1/claims/%s", c.entry.id));
	return r;
}

struct reply call_view_claim(struct request *q)
{
	struct claim_info c;
	struct revision revision;
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	struct err e = flow_view_claim(q->arena, q->flow, &q->caller, q->id, &c, &revision);
	return e.code != OK ? reply_error(q, e) : one_claim(q, 200, &c, &revision);
}

struct reply call_list_claims(struct request *q)
{
	const char *provider, *word, *next;
	const struct parameter parameters[] = { { "provider", &provider, false }, { "state", &word, false }, { 0 } };
	struct claim_info *list;
	struct page page;
	enum state state;
	char store[4096];
	struct reply r;
	struct text t;
	size_t count;

	if (!call_list(q, parameters, &page, &r) || !call_state(q, KIND_CLAIM, word, &state, &r))
		return r;
	struct err e = flow_list_claims(q->arena, q->flow, &q->caller, provider, state, &page, &list, &count, &next);
	if (e.code != OK)
		return reply_error(q, e);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"claims\":[");
	for (size_t i = 0; i < count; i++)
		tell_claim(&t, &list[i]);
	tell_next(&t, next);
	return finish(q, 200, &t, &(struct revision){ 0 }, NULL);
}

static struct reply decide(struct request *q, enum action action)
{
	json_auto *body = NULL;
	struct grounds grounds = { 0 };
	struct answer answer = { 0 };
	struct revision expected;
	struct claim_info c;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) ||
	    (action != CLAIM_WITHDRAW && !call_grounds(q, false, &grounds, &body, &r)))
		return r;
	struct err e =
	    flow_decide_claim(q->arena, q->flow, &q->caller, action, q->id, &grounds, &expected, &answer, &c);
	if (held(q, e, c.organization.tin_held_by, &answer, &r) || call_failed(q, action, e, &answer, &r))
		return r;
	return one_claim(q, 200, &c, &answer.revision);
}

struct reply call_approve_claim(struct request *q)
{
	return decide(q, CLAIM_APPROVE);
}

struct reply call_replace_official(struct request *q)
{
	return decide(q, CLAIM_REPLACE);
}

struct reply call_reject_claim(struct request *q)
{
	return decide(q, CLAIM_REJECT);
}

struct reply call_withdraw_claim(struct request *q)
{
	return decide(q, CLAIM_WITHDRAW);
}

struct reply call_compare_claim(struct request *q)
{
	json_auto *body = NULL;
	const char *name, *tin;
	const struct member members[] = { { "name", MEMBER_TEXT, true, &name }, { "tin", MEMBER_TEXT, true, &tin },
		{ 0 } };
	struct claim_comparison comparison;
	struct answer answer = { 0 };
	char store[128];
	struct reply r;
	struct text t;

	if (!call_no_query(q, &r) || !call_body(q, members, &body, &r))
		return r;
	struct err e = flow_compare_claim(q->arena, q->flow, &q->caller, q->id, name, tin, &answer, &comparison);
	if (call_failed(q, QUEUE_READ, e, &answer, &r))
		return r;
	text_open(&t, store, sizeof store);
	text_puts(&t, "{");
	tell_flag(&t, "name_matches", comparison.name_matches);
	tell_flag(&t, "tin_matches", comparison.tin_matches);
	text_puts(&t, "}");
	return finish(q, 200, &t, &answer.revision, NULL);
}

struct reply call_claim_document(struct request *q)
{
	return call_attachment(q, "claim", flow_read_document);
}
