/* Calls of the help desk: its queue, the accounts that it looks after, and the cases that people open. */
#include "flow/desk.h"

#include <string.h>

#include "http/call.h"

#include "base/banned.h"

#define NOTE_MOST 512

/* ---- the queue ---- */

static void tell_item(struct text *t, const struct desk_item *i)
{
	const struct entry *e = &i->entry;
	bool is_organization = e->kind == KIND_ORGANIZATION;

	tell_begin(t, NULL, "{");
	tell_text(t, "kind", i->kind);
	tell_text(t, "id", e->id);
	tell_text(t, "provider", is_organization ? e->id : e->provider);
	tell_text(t, "name", is_organization ? e->name : NULL);
	tell_text(t, "user", e->user != NULL ? e->user : e->requested_by);
	tell_text(t, "employer", e->employer);
	tell_time(t, "since", e->kind == KIND_CONSENT ? e->signed_at : e->requested_at);
	tell_text(t, "note", e->note);
	tell_revision(t, "revision", &e->revision);
	text_puts(t, "}");
}

struct reply call_desk_queue(struct request *q)
{
	const char *next;
	struct desk_filter filter;
	const struct parameter parameters[] = { { "kind", &filter.kind, false }, { "provider", &filter.provider, false },
		{ 0 } };
	struct answer answer = { 0 };
	struct desk_item *list;
	struct page page;
	struct reply r;
	char store[8192];
	struct text t;
	size_t count;

	if (!call_list(q, parameters, &page, &r))
		return r;
	struct err e = flow_desk_queue(q->arena, q->flow, &q->caller, &filter, &page, &answer, &list, &count, &next);
	if (call_failed(q, QUEUE_READ, e, &answer, &r))
		return r;
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"items\":[");
	for (size_t i = 0; i < count; i++)
		tell_item(&t, &list[i]);
	tell_next(&t, next);
	return call_told(q, 200, &t, &answer.revision, NULL);
}

/* ---- accounts ---- */

static void tell_ties(struct text *t, const struct desk_account *i)
{
	tell_begin(t, "associations", "[");
	for (size_t k = 0; k < i->tie_count; k++) {
		tell_begin(t, NULL, "{");
		tell_text(t, "id", i->ties[k].id);
		tell_text(t, "provider", i->ties[k].provider);
		tell_text(t, "employer", i->ties[k].employer);
		tell_text(t, "state", state_word(i->ties[k].state));
		text_puts(t, "}");
	}
	text_puts(t, "]");
}

static struct reply tell_account(struct request *q, const struct desk_account *i, const struct answer *answer)
{
	const struct entry *e = &i->entry;
	char store[4096];
	struct text t;

	text_open(&t, store, sizeof store);
	tell_begin(&t, NULL, "{");
	tell_text(&t, "username", e->id);
	tell_text(&t, "name", e->name);
	tell_text(&t, "mail", e->mail);
	tell_text(&t, "phone", e->phone);
	tell_text(&t, "state", state_word(e->state));
	tell_text(&t, "realm", e->realm == REALM_NPPES ? "nppes" : "local");
	tell_texts(&t, "roles", i->roles);
	tell_flag(&t, "locked", i->failures.locked);
	tell_number(&t, "failures", i->failures.count);
	tell_time(&t, "last_failure", i->failures.last);
	tell_flag(&t, "second_factor", e->second_factor);
	tell_time(&t, "last_sign_in", e->signed_in_at);
	tell_number(&t, "sessions", (int64_t)i->sessions);
	tell_time(&t, "fraud_at", e->fraud_at);
	tell_texts(&t, "authorized_official_of", i->official_of);
	tell_ties(&t, i);
	tell_decision(&t, e, true);
	text_puts(&t, "}");
	return call_told(q, 200, &t, &answer->revision, &e->revision);
}

struct reply call_desk_account(struct request *q)
{
	struct answer answer = { 0 };
	struct desk_account info;
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	struct err e = flow_desk_account(q->arena, q->flow, &q->caller, q->id, &answer, &info);
	return call_failed(q, QUEUE_READ, e, &answer, &r) ? r : tell_account(q, &info, &answer);
}

static struct reply act_on_account(struct request *q, enum action action)
{
	json_auto *body = NULL;
	struct grounds grounds;
	struct revision expected;
	struct answer answer = { 0 };
	struct desk_account info;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) || !call_grounds(q, true, &grounds, &body, &r))
		return r;
	struct err e = flow_desk_act(q->arena, q->flow, &q->caller, action, q->id, &grounds, &expected, &answer, &info);
	return call_failed(q, action, e, &answer, &r) ? r : tell_account(q, &info, &answer);
}

struct reply call_unlock_account(struct request *q)
{
	return act_on_account(q, ACCOUNT_UNLOCK);
}

struct reply call_reset_account(struct request *q)
{
	return act_on_account(q, ACCOUNT_RESET);
}

struct reply call_disable_account(struct request *q)
{
	return act_on_account(q, ACCOUNT_DISABLE);
}

struct reply call_enable_account(struct request *q)
{
	return act_on_account(q, ACCOUNT_ENABLE);
}

struct reply call_remove_account(struct request *q)
{
	return act_on_account(q, ACCOUNT_REMOVE);
}

struct reply call_remove_account_factor(struct request *q)
{
	return act_on_account(q, ACCOUNT_SECOND_FACTOR);
}

/* ---- cases ---- */

static struct reply tell_case(struct request *q, unsigned status, const struct case_info *i)
{
	const struct entry *e = &i->entry;
	char store[2048];
	struct text t;

	text_open(&t, store, sizeof store);
	tell_begin(&t, NULL, "{");
	tell_text(&t, "id", e->id);
	tell_text(&t, "kind", case_word(e->case_kind));
	tell_text(&t, "state", state_word(e->state));
	tell_text(&t, "user", e->user);
	tell_text(&t, "provider", e->provider);
	tell_text(&t, "employer", e->employer);
	tell_text(&t, "note", e->note);
	tell_text(&t, "requested_by", e->requested_by);
	tell_time(&t, "requested_at", e->requested_at);
	tell_decision(&t, e, i->for_desk);
	text_puts(&t, "}");
	return call_told(q, status, &t, NULL, &e->revision);
}

struct reply call_open_case(struct request *q)
{
	json_auto *body = NULL;
	const char *note;
	const struct member members[] = { { "note", MEMBER_TEXT, true, &note }, { 0 } };
	struct case_info info;
	struct reply r;
	bool made;

	if (!call_no_query(q, &r) || !call_body(q, members, &body, &r) || !call_fits_text(q, "note", note, NOTE_MOST, &r))
		return r;
	struct err e = flow_open_case(q->arena, q->flow, &q->caller, note, &info, &made);
	if (e.code != OK)
		return reply_error(q, e);
	r = tell_case(q, made ? 201 : 200, &info);
	r.revision = info.entry.revision;
	reply_field(&r, "Location", arena_printf(q->arena, "/v1/cases/%s", info.entry.id));
	return r;
}

struct reply call_view_case(struct request *q)
{
	struct case_info info;
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	struct err e = flow_view_case(q->arena, q->flow, &q->caller, q->id, &info);
	return e.code != OK ? reply_error(q, e) : tell_case(q, 200, &info);
}

struct reply call_close_case(struct request *q)
{
	json_auto *body = NULL;
	struct grounds grounds;
	struct revision expected;
	struct answer answer = { 0 };
	struct case_info info;
	struct reply r;

	if (!call_no_query(q, &r) || !call_if_match(q, false, &expected, &r) || !call_grounds(q, false, &grounds, &body, &r))
		return r;
	struct err e = flow_close_case(q->arena, q->flow, &q->caller, q->id, &grounds, &expected, &answer, &info);
	if (call_failed(q, CASE_CLOSE, e, &answer, &r))
		return r;
	r = tell_case(q, 200, &info);
	r.revision = answer.revision;
	return r;
}
