/* Calls for decisions: forward authorization for nginx, AuthZEN's evaluation, and explanations for auditors. */
#include <string.h>

#include "base/clock.h"
#include "http/call.h"

#include "base/banned.h"

static void count(struct request *q, enum action action, enum reason reason)
{
	metrics_decision(q->http->metrics, action, reason, clock_steady_us() - q->started_us);
}

/* ---- forward authorization (nginx auth_request) ---- */

/* 200, 401, 403 or 503 and nothing else: nginx turns all other answers into its own 500. */
static struct reply lean(unsigned status)
{
	return (struct reply){ .status = status, .lean = true };
}

static bool is_unknowable(enum reason why)
{
	return why == STALE_DIRECTORY || why == UNAVAILABLE;
}

static struct reply lean_unknown(const struct request *q, enum reason why)
{
	struct reply r = lean(is_unknowable(why) ? 503 : why == MFA_REQUIRED ? 403 : 401);

	if (r.status == 401)
		reply_field(&r, "WWW-Authenticate", reply_challenge(q));
	return r;
}

/* All of them, always: what is unknown is empty, so that a client's own copy never gets through. */
static struct reply lean_permit(const struct request *q, const struct answer *a)
{
	struct reply r = lean(200);
	const char *path = a->association != NULL ? a->association : a->employer != NULL ? "authorized-official" : "";

	reply_field(&r, "Remote-User", q->caller.uid);
	reply_field(&r, "Scfgate-Provider", a->provider != NULL ? a->provider : "");
	reply_field(&r, "Scfgate-Employer", a->employer != NULL ? a->employer : "");
	reply_field(&r, "Scfgate-Path", path);
	r.revision = a->revision;
	if (a->revision.micros == 0)
		reply_field(&r, "Scfgate-Revision", "");
	return r;
}

struct reply call_auth_nginx(struct request *q)
{
	const struct header *method = &q->head.headers[HEADER_ORIGINAL_METHOD],
			    *uri = &q->head.headers[HEADER_ORIGINAL_URI];
	const struct forward_route *route = NULL;
	char id[ID_MOST + 1];
	struct target target;
	struct answer answer;
	struct reply refused;
	enum reason real;

	if (!q->client->is_peer && request_application(q, false) != REASON_OK)
		return lean(403);
	if (method->text != NULL && method->size > 0 && uri->text != NULL &&
	    target_read(uri->text, uri->size, &target) == NULL)
		route = policy_route(q->policy, method->text, target.path, target.size, id);
	if (route == NULL)
		return lean(403);
	if (!request_token(q, &refused))
		return lean(403);
	enum reason why = flow_recognize(q->flow, q->token[0] != '\0' ? q->token : NULL, &q->caller);
	if (why != REASON_OK)
		return lean_unknown(q, why);
	if (request_must_wait(q))
		return lean(0);

	struct question question = {
		.subject = q->caller.uid,
		.action = route->action,
		.resource_kind = route->kind,
		.resource = id,
		.authenticated_at = q->caller.authenticated_at,
		.at_least = q->has_at_least ? &q->at_least : NULL,
	};
	struct err e = flow_decide(q->arena, q->flow, &q->caller, &question, &answer, &real, NULL);
	/* Asking a thing of a resource that does not have it is a slip in the route table, and no permit. */
	if (e.code == ERR_INVALID)
		return lean(403);
	count(q, route->action, e.code == OK ? real : UNAVAILABLE);
	if (e.code != OK)
		return lean(503);
	if (answer.verdict.allow)
		return lean_permit(q, &answer);
	return lean(is_unknowable(answer.verdict.why) ? 503 : 403);
}

/* ---- AuthZEN 1.0: one evaluation ---- */

struct evaluation {
	const char *subject_type, *subject, *action, *resource_type, *resource;
	const char *employer;
	bool explain;
};

static struct err need_object(struct arena *a, const json_t *in, const char *member, const json_t **out)
{
	*out = json_object_get(in, member);
	if (!json_is_object(*out))
		return FAIL(ERR_INVALID, arena_printf(a, "'%s' must be an object", member));
	return SUCCESS;
}

static struct err may_object(struct arena *a, const json_t *in, const char *member, const json_t **out)
{
	*out = json_object_get(in, member);
	return *out == NULL ? SUCCESS : need_object(a, in, member, out);
}

static struct err read_context(struct request *q, const json_t *body, struct evaluation *out)
{
	const json_t *context, *explain;
	const char *at_least;

	TRY(may_object(q->arena, body, "context", &context));
	explain = json_object_get(context, "explain");
	if (explain != NULL && !json_is_boolean(explain))
		return FAIL(ERR_INVALID, "'context.explain' must be true or false");
	out->explain = json_is_true(explain);
	TRY(json_may_text(q->arena, context, "at_least_as_fresh", &at_least));
	if (at_least == NULL)
		return SUCCESS;
	struct revision revision;
	if (!revision_parse(at_least, strlen(at_least), &revision))
		return FAIL(ERR_INVALID, "'context.at_least_as_fresh' is not a revision (contextCSN)");
	if (!q->has_at_least || revision_compare(&revision, &q->at_least) > 0) /* the header may ask for a later one */
		q->at_least = revision;
	q->has_at_least = true;
	return SUCCESS;
}

static struct err read_evaluation(struct request *q, const json_t *body, struct evaluation *out)
{
	const json_t *subject, *action, *resource, *properties;
	struct arena *a = q->arena;

	TRY(need_object(a, body, "subject", &subject));
	TRY(need_object(a, body, "action", &action));
	TRY(need_object(a, body, "resource", &resource));
	TRY(json_need_text(a, subject, "type", &out->subject_type));
	TRY(json_need_text(a, subject, "id", &out->subject));
	TRY(json_need_text(a, action, "name", &out->action));
	TRY(json_need_text(a, resource, "type", &out->resource_type));
	TRY(json_need_text(a, resource, "id", &out->resource));
	TRY(may_object(a, subject, "properties", &properties));
	/* To ignore one of a wrong type would widen the question. */
	TRY(json_may_text(a, properties, "employer", &out->employer));
	return read_context(q, body, out);
}

static void put_revision(struct text *t, const char *member, const struct revision *r)
{
	char revision[REVISION_TEXT];

	text_printf(t, ",\"%s\":", member);
	if (r->micros == 0) {
		text_puts(t, "null");
		return;
	}
	revision_format(r, revision);
	text_json(t, revision);
}

static void put_clauses(struct text *t, const struct explained_path *p)
{
	text_puts(t, "\"clauses\":[");
	for (size_t i = 0; i < p->count; i++) {
		const struct explained_clause *c = &p->clauses[i];

		text_puts(t, i > 0 ? ",{\"name\":" : "{\"name\":");
		text_json(t, c->name);
		text_puts(t, c->holds ? ",\"holds\":true" : ",\"holds\":false");
		text_puts(t, ",\"otherwise\":");
		text_json(t, reason_word(c->otherwise));
		text_puts(t, ",\"dn\":");
		text_json(t, c->dn);
		put_revision(t, "revision", &c->revision);
		text_puts(t, "}");
	}
	text_puts(t, "]");
}

static void put_ids(struct text *t, const struct explained_path *p)
{
	text_puts(t, "\"employer\":");
	text_json(t, p->employer);
	text_puts(t, ",\"association\":");
	text_json(t, p->association);
	text_puts(t, ",\"consent\":");
	text_json(t, p->consent);
}

/* What was decided, and why. The caller may know what the subject may not: "told" is what that one would be told. */
static void put_verdict(struct text *t, const struct answer *a, enum reason real)
{
	text_puts(t, "\"reason\":");
	text_json(t, reason_word(real));
	text_puts(t, ",\"reason_user\":{\"en\":");
	text_json(t, reason_text(a->verdict.why));
	text_puts(t, "},\"told\":");
	text_json(t, reason_word(a->verdict.why));
	put_revision(t, "revision", &a->revision);
}

static void put_paths(struct text *t, const struct explanation *e)
{
	text_puts(t, ",\"paths\":[");
	for (size_t i = 0; i < e->count; i++) {
		text_puts(t, i > 0 ? ",{" : "{");
		put_ids(t, &e->paths[i]);
		text_puts(t, e->paths[i].open ? ",\"open\":true," : ",\"open\":false,");
		put_clauses(t, &e->paths[i]);
		text_puts(t, "}");
	}
	text_puts(t, "]");
}

static struct reply decision(bool allow, const struct revision *revision)
{
	struct reply r = { .status = 200, .type = "application/json" };

	r.body = allow ? "{\"decision\":true}" : "{\"decision\":false}";
	r.size = strlen(r.body);
	r.revision = *revision;
	return r;
}

static struct reply decision_explained(struct request *q, const struct answer *a, enum reason real,
    const struct explanation *e)
{
	char store[4096];
	struct text t;

	text_open(&t, store, sizeof store);
	text_puts(&t, a->verdict.allow ? "{\"decision\":true,\"context\":{" : "{\"decision\":false,\"context\":{");
	put_verdict(&t, a, real);
	if (e->count > 0) {
		text_puts(&t, ",\"path\":{");
		put_ids(&t, &e->paths[e->decisive]);
		text_puts(&t, "},");
		put_clauses(&t, &e->paths[e->decisive]);
	}
	text_puts(&t, "}}");
	struct reply r = reply_json(q, 200, &t);
	r.revision = a->revision;
	return r;
}

/* A question that no rule knows: nobody may, and the log says who asked what. */
static struct reply deny_unknown(struct request *q, const struct evaluation *ask)
{
	struct answer answer = { .verdict.why = NOT_FOUND };
	struct audit_record r = {
		.class = AUDIT_DECISION,
		.event = "decision",
		.request_id = q->request_id,
		.address = q->caller.address,
		.application = q->caller.application,
		.actor = ask->subject,
		.action = ask->action,
		.resource_kind = ask->resource_type,
		.resource = ask->resource,
		.outcome = "deny",
		.reason = reason_word(NOT_FOUND),
		.detail = "no such question",
		.revision = &answer.revision,
	};

	WITH_REPLICA(view, q->replica) {
		answer.revision = view.revision;
	}
	struct err e = audit_write(q->audit, &r);
	if (e.code != OK)
		return reply_error(q, e);
	return ask->explain ? decision_explained(q, &answer, NOT_FOUND, &(struct explanation){ 0 })
			    : decision(false, &answer.revision);
}

struct reply call_evaluation(struct request *q)
{
	json_auto *body = NULL;
	struct evaluation ask = { 0 };
	struct answer answer;
	struct explanation explanation = { 0 };
	enum reason real, why;
	enum action action;

	why = request_application(q, true);
	if (why != REASON_OK)
		return reply_unknown(q, why);
	struct err e = call_json(q, &body);
	if (e.code == OK)
		e = read_evaluation(q, body, &ask);
	if (e.code != OK)
		return reply_error(q, e);
	if (request_must_wait(q))
		return reply_empty(0);
	if (strcmp(ask.subject_type, "user") != 0 || !action_of_word(ask.action, &action))
		return deny_unknown(q, &ask);
	struct question question = {
		.subject = ask.subject,
		.action = action,
		.resource_kind = ask.resource_type,
		.resource = ask.resource,
		.acting_for = ask.employer,
		.at_least = q->has_at_least ? &q->at_least : NULL,
		.explain = ask.explain,
	};
	e = flow_decide(q->arena, q->flow, &q->caller, &question, &answer, &real, ask.explain ? &explanation : NULL);
	if (e.code == ERR_INVALID)
		return deny_unknown(q, &ask);
	count(q, action, e.code == OK ? real : UNAVAILABLE);
	if (e.code != OK)
		return reply_error(q, e);
	if (is_unknowable(answer.verdict.why))
		return reply_refused(q, answer.verdict.why, &answer.revision);
	return ask.explain ? decision_explained(q, &answer, real, &explanation)
			   : decision(answer.verdict.allow, &answer.revision);
}

/* ---- explanations ---- */

/* An application of ours, or an auditor with a session. */
static bool may_explain(struct request *q, struct reply *refused)
{
	struct question review = { .action = ACCESS_REVIEW };
	struct answer answer;
	enum reason real, why;

	if (!request_token(q, refused))
		return false;
	why = request_application(q, !q->by_cookie);
	if (why == REASON_OK)
		return true;
	if (why != NOT_AUTHENTICATED) {
		*refused = reply_unknown(q, why);
		return false;
	}
	if (!request_session(q, refused))
		return false;
	/* Before the decision, which is made and recorded once, and as fresh as what it opens. */
	if (request_must_wait(q)) {
		*refused = reply_empty(0);
		return false;
	}
	review.at_least = q->has_at_least ? &q->at_least : NULL;
	review.subject = q->caller.uid;
	review.authenticated_at = q->caller.authenticated_at;
	struct err e = flow_decide(q->arena, q->flow, &q->caller, &review, &answer, &real, NULL);
	if (e.code == OK && answer.verdict.allow)
		return true;
	*refused = e.code != OK ? reply_error(q, e) : reply_refused(q, answer.verdict.why, &answer.revision);
	return false;
}

static struct err read_explain(struct request *q, const json_t *body, struct evaluation *out, enum action *action)
{
	static const char *const known[] = { "subject", "action", "resource", "employer", NULL };
	static const char *const of_resource[] = { "type", "id", NULL };
	const json_t *resource;
	struct arena *a = q->arena;

	TRY(json_only(a, body, known));
	TRY(json_need_text(a, body, "subject", &out->subject));
	TRY(json_need_text(a, body, "action", &out->action));
	TRY(json_may_text(a, body, "employer", &out->employer));
	TRY(may_object(a, body, "resource", &resource));
	if (resource != NULL) {
		TRY(json_only(a, resource, of_resource));
		TRY(json_need_text(a, resource, "type", &out->resource_type));
		TRY(json_need_text(a, resource, "id", &out->resource));
	}
	if (!action_of_word(out->action, action))
		return FAIL(ERR_INVALID, arena_printf(a, "'action': there is no action '%.40s'", out->action));
	return SUCCESS;
}

struct reply call_explain(struct request *q)
{
	json_auto *body = NULL;
	struct evaluation ask = { 0 };
	struct answer answer;
	struct explanation explanation = { 0 };
	struct reply r;
	enum reason real;
	enum action action;
	char store[4096];
	struct text t;

	if (!may_explain(q, &r) || !call_no_query(q, &r))
		return r;
	struct err e = call_json(q, &body);
	if (e.code == OK)
		e = read_explain(q, body, &ask, &action);
	if (e.code != OK)
		return reply_error(q, e);
	if (request_must_wait(q))
		return reply_empty(0);
	struct question question = {
		.subject = ask.subject,
		.action = action,
		.resource_kind = ask.resource_type,
		.resource = ask.resource,
		.acting_for = ask.employer,
		.at_least = q->has_at_least ? &q->at_least : NULL,
		.explain = true,
	};
	e = flow_decide(q->arena, q->flow, &q->caller, &question, &answer, &real, &explanation);
	if (e.code != OK)
		return reply_error(q, e);
	if (is_unknowable(answer.verdict.why))
		return reply_refused(q, answer.verdict.why, &answer.revision);
	text_open(&t, store, sizeof store);
	text_puts(&t, answer.verdict.allow ? "{\"decision\":true," : "{\"decision\":false,");
	put_verdict(&t, &answer, real);
	put_paths(&t, &explanation);
	text_puts(&t, "}");
	r = reply_json(q, 200, &t);
	r.revision = answer.revision;
	return r;
}
