/* Calls about associations, leaving an employer, and revoking an employer's access. */
#include "flow/association.h"
#include "flow/employer.h"
#include "http/call.h"

#include "base/banned.h"

static void tell_request(struct text *t, const struct entry *e, bool for_desk)
{
	tell_text(t, "requested_by", e->requested_by);
	tell_time(t, "requested_at", e->requested_at);
	tell_decision(t, e, for_desk);
}

/* ---- associations ---- */

static void tell_association(struct text *t, const struct association_info *i)
{
	const struct entry *e = &i->entry;

	tell_begin(t, NULL, "{");
	tell_text(t, "id", e->id);
	tell_text(t, "provider", e->provider);
	tell_text(t, "employer", e->employer);
	tell_text(t, "employer_name", i->employer_name);
	tell_text(t, "user", e->user);
	tell_text(t, "user_name", i->user_name);
	tell_text(t, "state", state_word(e->state));
	tell_flag(t, "needs_confirmation", i->needs_confirmation);
	tell_time(t, "expires", e->state == STATE_PENDING ? e->expires : 0);
	tell_time(t, "not_after", e->not_after);
	tell_request(t, e, i->for_desk);
	text_puts(t, "}");
}

static struct reply one_association(
    struct request *q, unsigned status, const struct association_info *i, const struct revision *revision)
{
	char store[2048];
	struct text t;

	text_open(&t, store, sizeof store);
	tell_association(&t, i);
	return call_told(q, status, &t, revision, &i->entry.revision);
}

struct reply call_request_association(struct request *q)
{
	json_auto *body = NULL;
	const char *provider, *employer, *key;
	const struct member members[] = { { "provider", MEMBER_TEXT, true, &provider },
		{ "employer", MEMBER_TEXT, true, &employer }, { 0 } };
	struct answer answer = { 0 };
	struct association_info info;
	struct reply r;
	bool made;

	if (!call_no_query(q, &r) || !call_key(q, &key, &r) || !call_body(q, members, &body, &r))
		return r;
	struct err e = flow_request_association(
	    q->arena, q->flow, &q->caller, provider, employer, key, &answer, &info, &made);
	if (call_failed(q, ASSOCIATION_REQUEST, e, &answer, &r))
		return r;
	r = one_association(q, made ? 201 : 200, &info, &answer.revision);
	reply_field(&r, "Location", arena_printf(q->arena, "/v1/associations/%s", info.entry.id));
	return r;
}

struct reply call_list_associations(struct request *q)
{
	const char *state, *next;
	struct association_filter filter;
	const struct parameter parameters[] = { { "provider", &filter.provider, false },
		{ "employer", &filter.employer, false }, { "user", &filter.user, false }, { "state", &state, false }, { 0 } };
	struct association_info *list;
	struct page page;
	struct reply r;
	char store[4096];
	struct text t;
	size_t count;

	if (!call_list(q, parameters, &page, &r) || !call_state(q, KIND_ASSOCIATION, state, &filter.state, &r))
		return r;
	struct err e =
	    flow_list_associations(q->arena, q->flow, &q->caller, &filter, &page, &list, &count, &next);
	if (e.code != OK)
		return reply_error(q, e);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"associations\":[");
	for (size_t i = 0; i < count; i++)
		tell_association(&t, &list[i]);
	tell_next(&t, next);
	return reply_json(q, 200, &t);
}

struct reply call_view_association(struct request *q)
{
	struct association_info info;
	struct revision revision;
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	struct err e = flow_view_association(q->arena, q->flow, &q->caller, q->id, &info, &revision);
	return e.code == OK ? one_association(q, 200, &info, &revision) : reply_error(q, e);
}

static struct reply decide_association(struct request *q, enum action action)
{
	json_auto *body = NULL;
	struct grounds grounds;
	struct revision expected;
	struct answer answer = { 0 };
	struct association_info info;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) ||
	    !call_any_grounds(q, &grounds, &body, &r))
		return r;
	struct err e = flow_decide_association(
	    q->arena, q->flow, &q->caller, action, q->id, &grounds, &expected, &answer, &info);
	return call_failed(q, action, e, &answer, &r) ? r : one_association(q, 200, &info, &answer.revision);
}

struct reply call_approve_association(struct request *q)
{
	return decide_association(q, ASSOCIATION_APPROVE);
}

struct reply call_reject_association(struct request *q)
{
	return decide_association(q, ASSOCIATION_REJECT);
}

struct reply call_end_association(struct request *q)
{
	return decide_association(q, ASSOCIATION_END);
}

struct reply call_cancel_association(struct request *q)
{
	return decide_association(q, ASSOCIATION_CANCEL);
}

struct reply call_confirm_association(struct request *q)
{
	return decide_association(q, ASSOCIATION_CONFIRM);
}

/* ---- leaving ---- */

struct reply call_leave_employer(struct request *q)
{
	struct answer answer = { 0 };
	struct leaving leaving;
	struct reply r;
	char store[1024];
	struct text t;

	if (!call_no_query(q, &r))
		return r;
	struct err e = flow_leave_employer(q->arena, q->flow, &q->caller, q->id, &answer, &leaving);
	if (call_failed(q, EMPLOYER_LEAVE, e, &answer, &r))
		return r;
	text_open(&t, store, sizeof store);
	tell_begin(&t, NULL, "{");
	tell_text(&t, "employer", q->id);
	tell_texts(&t, "ended", leaving.ended);
	tell_texts(&t, "cancelled", leaving.cancelled);
	tell_flag(&t, "authorized_official", leaving.is_official);
	text_puts(&t, "}");
	return call_told(q, 200, &t, &answer.revision, NULL);
}

/* ---- revocations ---- */

static void tell_revocation(struct text *t, const struct revocation_info *i)
{
	const struct entry *e = &i->entry;

	tell_begin(t, NULL, "{");
	tell_text(t, "id", e->id);
	tell_text(t, "provider", e->provider);
	tell_text(t, "employer", e->employer);
	tell_text(t, "employer_name", i->employer_name);
	tell_text(t, "state", state_word(e->state));
	tell_text(t, "note", e->note);
	tell_request(t, e, i->for_desk);
	text_puts(t, "}");
}

static struct reply one_revocation(
    struct request *q, unsigned status, const struct revocation_info *i, const struct revision *revision)
{
	char store[2048];
	struct text t;

	text_open(&t, store, sizeof store);
	tell_revocation(&t, i);
	return call_told(q, status, &t, revision, &i->entry.revision);
}

struct reply call_request_revocation(struct request *q)
{
	json_auto *body = NULL;
	struct grounds grounds = { 0 };
	const struct member members[] = { { "reason", MEMBER_TEXT, true, &grounds.reason }, { 0 } };
	struct answer answer = { 0 };
	struct revocation_info info;
	struct reply r;
	bool made;

	if (!call_no_query(q, &r) || !call_body(q, members, &body, &r) || !call_fits(q, &grounds, &r))
		return r;
	struct err e = flow_request_revocation(
	    q->arena, q->flow, &q->caller, q->ids[0], q->ids[1], grounds.reason, &answer, &info, &made);
	if (call_failed(q, EMPLOYER_REVOCATION_REQUEST, e, &answer, &r))
		return r;
	r = one_revocation(q, made ? 201 : 200, &info, &answer.revision);
	reply_field(&r, "Location", arena_printf(q->arena, "/v1/revocation-requests/%s", info.entry.id));
	return r;
}

struct reply call_list_revocations(struct request *q)
{
	const char *provider, *word, *next;
	const struct parameter parameters[] = { { "provider", &provider, false }, { "state", &word, false }, { 0 } };
	struct answer answer = { 0 };
	struct revocation_info *list;
	enum state state;
	struct page page;
	struct reply r;
	char store[4096];
	struct text t;
	size_t count;

	if (!call_list(q, parameters, &page, &r) || !call_state(q, KIND_CASE, word, &state, &r))
		return r;
	struct err e = flow_list_revocations(
	    q->arena, q->flow, &q->caller, provider, state, &page, &answer, &list, &count, &next);
	if (call_failed(q, QUEUE_READ, e, &answer, &r))
		return r;
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"revocation_requests\":[");
	for (size_t i = 0; i < count; i++)
		tell_revocation(&t, &list[i]);
	tell_next(&t, next);
	return call_told(q, 200, &t, &answer.revision, NULL);
}

struct reply call_view_revocation(struct request *q)
{
	struct revocation_info info;
	struct revision revision;
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	struct err e = flow_view_revocation(q->arena, q->flow, &q->caller, q->id, &info, &revision);
	return e.code == OK ? one_revocation(q, 200, &info, &revision) : reply_error(q, e);
}

static struct reply decide_revocation(struct request *q, enum action action)
{
	json_auto *body = NULL;
	struct grounds grounds;
	struct answer answer = { 0 };
	struct revision expected;
	struct revocation_info info;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) ||
	    !call_grounds(q, action == EMPLOYER_REVOCATION_EXECUTE, &grounds, &body, &r))
		return r;
	struct err e =
	    flow_decide_revocation(q->arena, q->flow, &q->caller, action, q->id, &grounds, &expected, &answer, &info);
	return call_failed(q, action, e, &answer, &r) ? r : one_revocation(q, 200, &info, &answer.revision);
}

struct reply call_execute_revocation(struct request *q)
{
	return decide_revocation(q, EMPLOYER_REVOCATION_EXECUTE);
}

struct reply call_decline_revocation(struct request *q)
{
	return decide_revocation(q, EMPLOYER_REVOCATION_DECLINE);
}

/* ---- and letting him in again ---- */

struct reply call_reinstate_employer(struct request *q)
{
	json_auto *body = NULL;
	struct grounds grounds;
	struct answer answer = { 0 };
	struct revision expected;
	struct entry provider;
	char store[1024];
	struct reply r;
	struct text t;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) ||
	    !call_grounds(q, true, &grounds, &body, &r))
		return r;
	struct err e = flow_reinstate_employer(
	    q->arena, q->flow, &q->caller, q->ids[0], q->ids[1], &grounds, &expected, &answer, &provider);
	if (call_failed(q, EMPLOYER_REINSTATE, e, &answer, &r))
		return r;
	text_open(&t, store, sizeof store);
	tell_begin(&t, NULL, "{");
	tell_text(&t, "provider", q->ids[0]);
	tell_text(&t, "employer", q->ids[1]);
	tell_decision(&t, &provider, true);
	text_puts(&t, "}");
	return call_told(q, 200, &t, &answer.revision, NULL);
}
