/* Calls about who one is: signing in and out, one's profile and sessions. */
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "flow/account.h"
#include "http/call.h"

#include "base/banned.h"

#define COOKIE_ATTRIBUTES "; Path=/; Secure; HttpOnly; SameSite=Strict"

static void text_time(struct text *t, int64_t seconds)
{
	char when[CLOCK_TEXT];

	clock_format(seconds * 1000000, when);
	text_json(t, when);
}

/* What was signed in to: a token for programs, a cookie and its CSRF token for browsers. */
static struct reply signed_in(struct request *q, const struct sign_in *s, bool by_cookie)
{
	char store[1024];
	struct text t;

	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"username\":");
	text_json(&t, s->uid);
	text_puts(&t, by_cookie ? ",\"csrf_token\":" : ",\"token_type\":\"Bearer\",\"token\":");
	text_json(&t, by_cookie ? s->csrf : s->token);
	text_puts(&t, ",\"expires\":");
	text_time(&t, s->expires);
	if (s->grace >= 0)
		text_printf(&t, ",\"grace\":%d", s->grace);
	if (s->must_enrol)
		text_puts(&t, ",\"mfa_required\":true");
	if (s->password_expires >= 0)
		text_printf(&t, ",\"password_expires\":%lld", (long long)s->password_expires);
	text_puts(&t, "}");
	struct reply r = reply_json(q, 200, &t);
	r.secret = true;
	r.revision = s->revision;
	if (by_cookie)
		r.cookie = arena_printf(q->arena, "__Host-scfgate=%s" COOKIE_ATTRIBUTES, s->token);
	return r;
}

static struct reply outcome(struct request *q, const struct sign_in *s, bool by_cookie)
{
	struct reply r;

	switch (s->outcome) {
	case SIGN_IN_OK:
		return signed_in(q, s, by_cookie);
	case SIGN_IN_MUST_CHANGE:
		return reply_problem(q, 403, "password_must_change",
		    "The password is right, but must be changed first: sign in with 'new_password' as well.");
	case SIGN_IN_EXPIRED:
		return reply_problem(q, 403, "password_expired",
		    "The password is right, but has expired: a link that is mailed sets a new one.");
	case SIGN_IN_TOO_MANY:
		r = reply_problem(q, 429, "too_many_requests", "Too many sign-ins from this address have failed.");
		r.fields[0].value = "60"; /* Retry-After */
		return r;
	case SIGN_IN_NEW_REFUSED:
		return reply_form_problems(q, &s->problems);
	case SIGN_IN_ELSEWHERE:
		return reply_elsewhere(q, flow_nppes_link(q->flow));
	case SIGN_IN_REFUSED:
		break;
	}
	r = reply_problem(q, 401, reason_word(NOT_AUTHENTICATED), "User name, password or code is not right.");
	reply_field(&r, "WWW-Authenticate", "Bearer realm=\"scfgate\"");
	return r;
}

static struct reply finish(struct request *q, struct err e, struct sign_in *s, bool by_cookie)
{
	metrics_sign_in(q->http->metrics, s->outcome, e.code != OK);
	struct reply r = e.code != OK ? reply_error(q, e) : outcome(q, s, by_cookie);
	r.not_before = s->answer_at;
	secret_wipe(s, sizeof *s);
	return r;
}

struct reply call_login(struct request *q)
{
	json_auto *body = NULL;
	struct member_secret password, new_password;
	struct credentials by = { 0 };
	const char *realm; /* taken and not needed: the account says which it is */
	struct sign_in s = { 0 };
	struct reply refused;
	bool cookie;
	const struct member members[] = {
		{ "username", MEMBER_TEXT, true, &by.username },
		{ "password", MEMBER_SECRET, true, &password },
		{ "new_password", MEMBER_SECRET, false, &new_password },
		{ "otp", MEMBER_TEXT, false, &by.otp },
		{ "realm", MEMBER_TEXT, false, &realm },
		{ "cookie", MEMBER_FLAG, false, &cookie },
		{ NULL, MEMBER_TEXT, false, NULL },
	};

	if (!call_no_query(q, &refused) || !call_body(q, members, &body, &refused) || !request_token(q, &refused))
		return refused;
	by.password = password.bytes;
	by.password_size = password.size;
	by.new_password = json_object_get(body, "new_password") != NULL ? new_password.bytes : NULL;
	by.new_password_size = new_password.size;
	struct err e = flow_sign_in(q->arena, q->flow, &q->caller, &by, q->token[0] != '\0' ? q->token : NULL, &s);
	return finish(q, e, &s, cookie);
}

static struct reply prove_again(struct request *q, const struct credentials *by)
{
	struct sign_in s = { 0 };
	struct err e = flow_reauthenticate(q->arena, q->flow, &q->caller, by, &s);

	if (e.code == ERR_NOT_FOUND)
		return reply_refused(q, SESSION_EXPIRED, NULL);
	return finish(q, e, &s, q->by_cookie);
}

struct reply call_reauthenticate(struct request *q)
{
	json_auto *body = NULL;
	struct member_secret password;
	struct credentials by = { 0 };
	struct reply refused;
	const struct member members[] = {
		{ "password", MEMBER_SECRET, true, &password },
		{ "otp", MEMBER_TEXT, false, &by.otp },
		{ NULL, MEMBER_TEXT, false, NULL },
	};

	if (!call_no_query(q, &refused) || !call_body(q, members, &body, &refused))
		return refused;
	by.password = password.bytes;
	by.password_size = password.size;
	return prove_again(q, &by);
}

/* The old password is proved as by /v1/reauthenticate, and the session goes on under a new token; all others are void. */
struct reply call_change_password(struct request *q)
{
	json_auto *body = NULL;
	struct member_secret password, new_password;
	struct credentials by = { 0 };
	struct reply refused;
	const struct member members[] = {
		{ "old_password", MEMBER_SECRET, true, &password },
		{ "new_password", MEMBER_SECRET, true, &new_password },
		{ "otp", MEMBER_TEXT, false, &by.otp },
		{ NULL, MEMBER_TEXT, false, NULL },
	};

	if (!call_no_query(q, &refused) || !call_body(q, members, &body, &refused))
		return refused;
	by.password = password.bytes;
	by.password_size = password.size;
	by.new_password = new_password.bytes;
	by.new_password_size = new_password.size;
	return prove_again(q, &by);
}

struct reply call_logout(struct request *q)
{
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	r = reply_empty(204);
	struct err e = flow_sign_out(q->arena, q->flow, &q->caller, &r.revision);

	if (e.code == ERR_NOT_FOUND)
		return reply_refused(q, SESSION_EXPIRED, NULL);
	if (e.code != OK)
		return reply_error(q, e);
	if (q->by_cookie)
		r.cookie = arena_strdup(q->arena, "__Host-scfgate=" COOKIE_ATTRIBUTES "; Max-Age=0");
	return r;
}

struct reply call_me(struct request *q)
{
	struct me me;
	char store[1024];
	struct text t;
	struct reply refused;

	if (!call_no_query(q, &refused))
		return refused;
	struct err e = flow_me(q->arena, q->flow, &q->caller, &me);
	if (e.code != OK)
		return reply_error(q, e);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"username\":");
	text_json(&t, me.uid);
	text_puts(&t, ",\"name\":");
	text_json(&t, me.name);
	text_puts(&t, ",\"mail\":");
	text_json(&t, me.mail);
	text_puts(&t, ",\"realm\":");
	text_json(&t, me.realm);
	text_puts(&t, ",\"roles\":[");
	for (size_t i = 0; i < COUNT(me.roles) && me.roles[i] != NULL; i++) {
		text_puts(&t, i > 0 ? "," : "");
		text_json(&t, me.roles[i]);
	}
	text_puts(&t, "],\"authenticated\":");
	text_time(&t, q->caller.authenticated_at);
	text_puts(&t, me.must_enrol ? ",\"mfa_required\":true}" : "}");
	return reply_json(q, 200, &t);
}

struct reply call_sessions(struct request *q)
{
	struct session_info *list;
	size_t count;
	char store[4096];
	struct text t;
	struct reply refused;

	if (!call_no_query(q, &refused))
		return refused;
	struct err e = flow_sessions(q->arena, q->flow, &q->caller, &list, &count);
	if (e.code != OK)
		return reply_error(q, e);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{\"sessions\":[");
	for (size_t i = 0; i < count; i++) {
		const struct session_info *s = &list[i];

		text_puts(&t, i > 0 ? ",{\"id\":" : "{\"id\":");
		text_json(&t, s->id);
		text_puts(&t, ",\"address\":");
		text_json(&t, s->address);
		text_puts(&t, ",\"agent\":");
		text_json(&t, s->agent);
		text_puts(&t, ",\"started\":");
		text_time(&t, s->started_at);
		text_puts(&t, ",\"seen\":");
		text_time(&t, s->seen_at);
		text_puts(&t, ",\"expires\":");
		text_time(&t, s->expires);
		text_puts(&t, s->current ? ",\"current\":true}" : ",\"current\":false}");
	}
	text_puts(&t, "]}");
	return reply_json(q, 200, &t);
}

struct reply call_end_session(struct request *q)
{
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	r = reply_empty(204);
	struct err e = flow_end_session(q->arena, q->flow, &q->caller, q->id, &r.revision);
	return e.code != OK ? reply_error(q, e) : r;
}
