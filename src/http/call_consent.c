/* Calls about Security Consent Forms. */
#include "flow/consent.h"

#include "http/call.h"

#include "base/banned.h"

/* ---- telling ---- */

static void tell_people(struct text *t, const struct consent_info *i)
{
	tell_begin(t, "opens_to", "[");
	for (size_t k = 0; k < i->people_told; k++) {
		tell_begin(t, NULL, "{");
		tell_text(t, "user", i->people[k].uid);
		tell_text(t, "name", i->people[k].name);
		tell_text(t, "association", i->people[k].association);
		tell_flag(t, "authorized_official", i->people[k].association == NULL);
		tell_flag(t, "active", i->people[k].active);
		text_puts(t, "}");
	}
	text_puts(t, "]");
	tell_number(t, "opens_to_count", (int64_t)i->people_count);
}

static void tell_consent(struct text *t, const struct consent_info *i)
{
	const struct entry *e = &i->entry;

	tell_begin(t, NULL, "{");
	tell_text(t, "id", e->id);
	tell_text(t, "tracking_id", i->tracking);
	tell_text(t, "provider", e->provider);
	tell_text(t, "provider_name", i->provider_name);
	tell_text(t, "employer", e->employer);
	tell_text(t, "employer_name", i->employer_name);
	tell_text(t, "state", state_word(e->state));
	tell_flag(t, "in_effect", i->in_effect);
	tell_flag(t, "needs_confirmation", i->needs_confirmation);
	tell_time(t, "not_before", e->not_before);
	tell_time(t, "not_after", e->not_after);
	tell_text(t, "requested_by", e->requested_by);
	tell_time(t, "requested_at", e->requested_at);
	tell_text(t, "signed_by", e->signed_by);
	tell_time(t, "signed_at", e->signed_at);
	tell_text(t, "signed_how", e->signed_how);
	tell_text(t, "signed_sha256", e->signed_digest);
	tell_flag(t, "scan", e->attachment != NULL);
	tell_decision(t, e, i->for_desk);
	tell_text(t, "text_sha256", i->digest);
	if (i->people != NULL)
		tell_people(t, i);
	text_puts(t, "}");
}

static struct reply one_consent(
    struct request *q, unsigned status, const struct consent_info *i, const struct revision *revision)
{
	char store[4096];
	struct text t;

	text_open(&t, store, sizeof store);
	tell_consent(&t, i);
	return call_told(q, status, &t, revision, &i->entry.revision);
}

/* ---- preparing and reading ---- */

struct reply call_prepare_consent(struct request *q)
{
	json_auto *body = NULL;
	struct consent_wish w;
	const struct member members[] = { { "provider", MEMBER_TEXT, true, &w.provider },
		{ "employer", MEMBER_TEXT, true, &w.employer }, { "not_before", MEMBER_TIME, false, &w.not_before },
		{ "not_after", MEMBER_TIME, false, &w.not_after }, { 0 } };
	struct form_problems problems = { 0 };
	struct answer answer = { 0 };
	struct consent_info info;
	struct reply r;
	bool made;

	if (!call_no_query(q, &r) || !call_key(q, &w.key, &r) || !call_body(q, members, &body, &r))
		return r;
	struct err e =
	    flow_prepare_consent(q->arena, q->flow, &q->caller, &w, &answer, &info, &made, &problems);
	if (e.code == ERR_INVALID && problems.count > 0) {
		r = reply_form_problems(q, &problems);
		r.revision = answer.revision;
		return r;
	}
	if (call_failed(q, CONSENT_PREPARE, e, &answer, &r))
		return r;
	r = one_consent(q, made ? 201 : 200, &info, &answer.revision);
	reply_field(&r, "Location", arena_printf(q->arena, "/v1/consents/%s", info.entry.id));
	return r;
}

struct reply call_view_consent(struct request *q)
{
	struct consent_info info;
	struct revision revision;
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	struct err e = flow_view_consent(q->arena, q->flow, &q->caller, q->id, &info, &revision);
	return e.code == OK ? one_consent(q, 200, &info, &revision) : reply_error(q, e);
}

struct reply call_list_consents(struct request *q)
{
	const char *state, *next;
	struct consent_filter filter;
	const struct parameter parameters[] = { { "provider", &filter.provider, false },
		{ "employer", &filter.employer, false }, { "tracking_id", &filter.tracking, false },
		{ "state", &state, false }, { 0 } };
	struct consent_info *list;
	struct page page;
	struct reply r;
	char store[4096];
	struct text t;
	size_t count;

	if (!call_list(q, parameters, &page, &r) || !call_state(q, KIND_CONSENT, state, &filter.state, &r))
		return r;
	struct err e = flow_list_consents(q->arena, q->flow, &q->caller, &filter, &page, &list, &count, &next);
	if (e.code != OK)
		return reply_error(q, e);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"consents\":[");
	for (size_t i = 0; i < count; i++)
		tell_consent(&t, &list[i]);
	tell_next(&t, next);
	return reply_json(q, 200, &t);
}

/* ---- the form ---- */

/* The page has nothing that runs, and may load nothing; its style is known by its digest. */
#define PAGE_POLICY "default-src 'none'; style-src '%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct reply call_consent_form(struct request *q)
{
	static const char *const types[] = { "text/html", "application/pdf", "text/plain" };
	static const char *const sent[] = { "text/html; charset=utf-8", "application/pdf", "text/plain; charset=utf-8" };
	static const enum consent_page pages[] = { CONSENT_HTML, CONSENT_PDF, CONSENT_TEXT };
	int which = hygiene_prefers(&q->head.headers[HEADER_ACCEPT], types, COUNT(types));
	struct consent_form form;
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	if (which < 0)
		return reply_problem(q, 406, "not_acceptable", "A form is text/html, application/pdf or text/plain.");
	struct err e = flow_consent_form(q->arena, q->flow, &q->caller, q->id, pages[which], &form);
	if (e.code != OK)
		return reply_error(q, e);
	r = (struct reply){ .status = 200, .type = sent[which], .body = form.bytes, .size = form.size };
	reply_field(&r, "Vary", "Accept");
	reply_field(&r, "Content-Security-Policy", form.style != NULL
	    ? arena_printf(q->arena, PAGE_POLICY, form.style) : "default-src 'none'; sandbox");
	reply_field(&r, "Content-Disposition", arena_printf(q->arena, "inline; filename=\"%s.%s\"", form.tracking,
	    which == 0 ? "html" : which == 1 ? "pdf" : "txt"));
	return r;
}

/* ---- signing and deciding ---- */

struct reply call_sign_consent(struct request *q)
{
	json_auto *body = NULL;
	const char *digest;
	const struct member members[] = { { "text_sha256", MEMBER_TEXT, true, &digest }, { 0 } };
	struct revision expected;
	struct answer answer = { 0 };
	struct consent_info info;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) || !call_body(q, members, &body, &r))
		return r;
	struct err e =
	    flow_sign_consent(q->arena, q->flow, &q->caller, q->id, digest, &expected, &answer, &info);
	return call_failed(q, CONSENT_SIGN, e, &answer, &r) ? r : one_consent(q, 200, &info, &answer.revision);
}

struct reply call_receive_consent(struct request *q)
{
	json_auto *body = NULL;
	struct grounds grounds;
	struct revision expected;
	struct answer answer = { 0 };
	struct consent_info info;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) ||
	    !call_grounds(q, false, &grounds, &body, &r))
		return r;
	struct err e =
	    flow_receive_consent(q->arena, q->flow, &q->caller, q->id, &grounds, &expected, &answer, &info);
	return call_failed(q, CONSENT_RECEIVE, e, &answer, &r) ? r : one_consent(q, 200, &info, &answer.revision);
}

struct reply call_scan_consent(struct request *q)
{
	struct grounds grounds = { 0 };
	const struct parameter parameters[] = { { "reason", &grounds.reason, false }, { "ticket", &grounds.ticket, false },
		{ 0 } };
	struct revision expected;
	struct answer answer = { 0 };
	struct consent_info info;
	struct reply r;

	if (!call_query(q, parameters, &r) || !call_fits(q, &grounds, &r) || !call_if_match(q, false, &expected, &r) ||
	    !upload_judge(q, &r))
		return r;
	struct err e = flow_scan_consent(
	    q->arena, q->flow, &q->caller, q->id, &grounds, &q->upload, &expected, &answer, &info);
	return call_failed(q, CONSENT_RECEIVE, e, &answer, &r) ? r : one_consent(q, 200, &info, &answer.revision);
}

struct reply call_read_scan(struct request *q)
{
	return call_attachment(q, "consent", flow_read_scan);
}

static struct reply decide_consent(struct request *q, enum action action)
{
	json_auto *body = NULL;
	struct grounds grounds;
	struct revision expected;
	struct answer answer = { 0 };
	struct consent_info info;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) || !call_any_grounds(q, &grounds, &body, &r))
		return r;
	struct err e = flow_decide_consent(
	    q->arena, q->flow, &q->caller, action, q->id, &grounds, &expected, &answer, &info);
	return call_failed(q, action, e, &answer, &r) ? r : one_consent(q, 200, &info, &answer.revision);
}

struct reply call_withdraw_consent(struct request *q)
{
	return decide_consent(q, CONSENT_WITHDRAW);
}

struct reply call_approve_consent(struct request *q)
{
	return decide_consent(q, CONSENT_APPROVE);
}

struct reply call_reject_consent(struct request *q)
{
	return decide_consent(q, CONSENT_REJECT);
}

struct reply call_revoke_consent(struct request *q)
{
	return decide_consent(q, CONSENT_REVOKE);
}

struct reply call_confirm_consent(struct request *q)
{
	return decide_consent(q, CONSENT_CONFIRM);
}
