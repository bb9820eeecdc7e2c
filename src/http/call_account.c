/* Calls about accounts: registering, the profile, and new passwords. */
#include <string.h>

#include "flow/account.h"
#include "http/call.h"

#include "base/banned.h"

/* What ended in a mail, or in none: the same bytes at the same time. */
static struct reply mailed(struct request *q, struct err e, const struct mailed *m)
{
	char store[256];
	struct text t;
	struct reply r;

	if (e.code != OK)
		return reply_error(q, e);
	if (m->problems.count > 0)
		return reply_form_problems(q, &m->problems);
	if (m->too_many) {
		r = reply_problem(q, 429, "too_many_requests", "Too many mails were asked for.");
		r.fields[0].value = "600"; /* Retry-After */
		return r;
	}
	text_open(&t, store, sizeof store);
	text_puts(&t, "{");
	tell_text(&t, "detail", "A mail was sent if there is something to send; please look into the mailbox.");
	text_puts(&t, "}");
	r = reply_json(q, 202, &t);
	r.not_before = m->answer_at;
	return r;
}

/* A link that is not good any more says nothing about what it was for. */
static struct reply failed(struct request *q, struct err e)
{
	if (e.code == ERR_CONFLICT)
		return reply_problem(q, 409, "mail_taken", "The mail address has an account by now.");
	return reply_error(q, e);
}

/* ---- registering ---- */

struct reply call_register(struct request *q)
{
	json_auto *body = NULL;
	struct registration registration;
	struct mailed m;
	struct reply r;
	const struct member members[] = {
		{ "name", MEMBER_TEXT, true, &registration.name },
		{ "mail", MEMBER_TEXT, true, &registration.mail },
		{ "username", MEMBER_TEXT, false, &registration.username },
		{ NULL, MEMBER_TEXT, false, NULL },
	};

	if (!call_no_query(q, &r) || !call_body(q, members, &body, &r))
		return r;
	struct err e = flow_register(q->arena, q->flow, &q->caller, &registration, &m);
	return mailed(q, e, &m);
}

struct reply call_register_finish(struct request *q)
{
	json_auto *body = NULL;
	struct member_secret password;
	const char *phone;
	struct form_problems problems;
	struct revision revision = { 0 };
	struct entry person;
	struct reply r;
	char store[512];
	struct text t;
	const struct member members[] = {
		{ "password", MEMBER_SECRET, true, &password },
		{ "phone", MEMBER_TEXT, false, &phone },
		{ NULL, MEMBER_TEXT, false, NULL },
	};

	if (!call_no_query(q, &r) || !call_body(q, members, &body, &r))
		return r;
	struct err e = flow_register_finish(
	    q->arena, q->flow, &q->caller, q->id, password.bytes, password.size, phone, &person, &problems, &revision);
	if (e.code != OK)
		return failed(q, e);
	if (problems.count > 0)
		return reply_form_problems(q, &problems);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{");
	tell_text(&t, "username", person.id);
	tell_text(&t, "name", person.name);
	tell_text(&t, "mail", person.mail);
	text_puts(&t, "}");
	r = reply_json(q, 201, &t);
	r.revision = revision;
	return r;
}

/* ---- profile ---- */

static struct reply tell_profile(struct request *q, const struct profile *p)
{
	char store[1024];
	struct text t;

	text_open(&t, store, sizeof store);
	text_puts(&t, "{");
	tell_text(&t, "username", q->caller.uid);
	tell_text(&t, "name", p->person.name);
	tell_text(&t, "mail", p->person.mail);
	tell_text(&t, "phone", p->person.phone);
	tell_text(&t, "realm", p->person.realm == REALM_NPPES ? "nppes" : "local");
	tell_texts(&t, "npis", p->person.npis);
	tell_flag(&t, "second_factor", p->person.second_factor);
	tell_text(&t, "mail_to_confirm", p->mail_to_confirm);
	tell_text(&t, "managed_at", p->managed_at);
	text_puts(&t, "}");
	struct reply r = reply_json(q, 200, &t);
	call_tag(q, &r, &p->person.revision);
	return r;
}

struct reply call_profile(struct request *q)
{
	struct profile profile;
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	struct err e = flow_profile(q->arena, q->flow, &q->caller, &profile);
	return e.code == OK ? tell_profile(q, &profile) : reply_error(q, e);
}

static struct reply changed(
    struct request *q, const struct profile *profile, const struct mailed *m, const struct revision *revision)
{
	if (m->problems.count > 0 || m->too_many)
		return mailed(q, SUCCESS, m);
	struct reply r = tell_profile(q, profile);
	r.revision = *revision;
	r.not_before = m->answer_at;
	return r;
}

struct reply call_change_profile(struct request *q)
{
	json_auto *body = NULL;
	struct profile_change change = { .no_phone = false };
	struct revision expected, revision;
	struct profile profile;
	struct mailed m;
	struct member_secret phone; /* none, but it may be empty */
	enum reason why;
	struct reply r;
	const struct member members[] = {
		{ "name", MEMBER_TEXT, false, &change.name },
		{ "mail", MEMBER_TEXT, false, &change.mail },
		{ "phone", MEMBER_SECRET, false, &phone },
		{ NULL, MEMBER_TEXT, false, NULL },
	};

	if (!call_no_query(q, &r) || !call_body(q, members, &body, &r) || !call_if_match(q, true, &expected, &r))
		return r;
	if (json_object_get(body, "phone") != NULL) {
		change.no_phone = phone.size == 0;
		change.phone = phone.size > 0 ? phone.bytes : NULL;
	}
	struct err e =
	    flow_profile_change(q->arena, q->flow, &q->caller, &change, &expected, &profile, &why, &m, &revision);
	if (e.code == ERR_CONFLICT)
		return reply_problem(q, 412, "precondition_failed", e.what);
	if (e.code != OK)
		return reply_error(q, e);
	if (why == MANAGED_ELSEWHERE)
		return reply_elsewhere(q, flow_nppes_link(q->flow));
	return why != REASON_OK ? reply_refused(q, why, NULL) : changed(q, &profile, &m, &revision);
}

struct reply call_confirm_mail(struct request *q)
{
	struct reply r = reply_empty(204), refused;

	if (!call_no_query(q, &refused))
		return refused;
	struct err e = flow_mail_confirm(q->arena, q->flow, &q->caller, q->id, &r.revision);
	return e.code == OK ? r : failed(q, e);
}

/* ---- passwords ---- */

struct reply call_ask_reset(struct request *q)
{
	json_auto *body = NULL;
	const char *mail, *username;
	struct mailed m;
	struct reply r;
	const struct member members[] = {
		{ "mail", MEMBER_TEXT, false, &mail },
		{ "username", MEMBER_TEXT, false, &username },
		{ NULL, MEMBER_TEXT, false, NULL },
	};

	if (!call_no_query(q, &r) || !call_body(q, members, &body, &r))
		return r;
	if ((mail == NULL) == (username == NULL))
		return reply_problem(q, 400, "invalid_request", "Either 'mail' or 'username' is required.");
	struct err e = flow_reset_request(q->arena, q->flow, &q->caller, mail, username, &m);
	return mailed(q, e, &m);
}

struct reply call_finish_reset(struct request *q)
{
	json_auto *body = NULL;
	struct member_secret password;
	struct form_problems problems;
	struct reply r = reply_empty(204), refused;
	const struct member members[] = {
		{ "new_password", MEMBER_SECRET, true, &password },
		{ NULL, MEMBER_TEXT, false, NULL },
	};

	if (!call_no_query(q, &refused) || !call_body(q, members, &body, &refused))
		return refused;
	struct err e = flow_reset_finish(
	    q->arena, q->flow, &q->caller, q->id, password.bytes, password.size, &problems, &r.revision);
	if (e.code != OK)
		return failed(q, e);
	return problems.count > 0 ? reply_form_problems(q, &problems) : r;
}
