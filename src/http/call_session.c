/* Calls about who one is: signing in and out, one's profile and sessions. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/secret.h"
#include "http/server.h"

#include "base/banned.h"

#define COOKIE_ATTRIBUTES "; Path=/; Secure; HttpOnly; SameSite=Strict"

static void text_time(struct text *t, int64_t seconds)
{
	char when[CLOCK_TEXT];

	clock_format(seconds * 1000000, when);
	text_json(t, when);
}

/* A password is any bytes but NUL; one that is absent is as wrong as an empty one, so no reader learns more. */
static struct err read_password(const json_t *body, const char **out, size_t *size)
{
	const json_t *password = json_object_get(body, "password");

	*out = "";
	*size = 0;
	if (password == NULL)
		return SUCCESS;
	if (!json_is_string(password))
		return FAIL(ERR_INVALID, "'password' must be a string");
	*out = json_string_value(password);
	*size = json_string_length(password);
	return SUCCESS;
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
		return reply_problem(
		    q, 403, "password_must_change", "The password is right, but must be changed first.");
	case SIGN_IN_EXPIRED:
		return reply_problem(q, 403, "password_expired", "The password is right, but has expired.");
	case SIGN_IN_TOO_MANY:
		r = reply_problem(q, 429, "too_many_requests", "Too many sign-ins from this address have failed.");
		r.fields[0].value = "60"; /* Retry-After */
		return r;
	case SIGN_IN_REFUSED:
		break;
	}
	r = reply_problem(q, 401, reason_word(NOT_AUTHENTICATED), "User name or password is not right.");
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
	static const char *const known[] = { "username", "password", "realm", "cookie", NULL };
	json_auto *body = NULL;
	const char *username, *password, *realm;
	struct sign_in s = { 0 };
	struct reply refused;
	size_t size;

	struct err e = json_read_object(q->arena, q->body, q->body_size, &body);
	if (e.code == OK)
		e = json_only(q->arena, body, known);
	if (e.code == OK)
		e = json_need_text(q->arena, body, "username", &username);
	if (e.code == OK)
		e = json_may_text(q->arena, body, "realm", &realm); /* the account says which it is */
	if (e.code == OK)
		e = read_password(body, &password, &size);
	const json_t *cookie = json_object_get(body, "cookie");
	if (e.code == OK && cookie != NULL && !json_is_boolean(cookie))
		e = FAIL(ERR_INVALID, "'cookie' must be true or false");
	if (e.code != OK)
		return reply_error(q, e);
	if (!request_token(q, &refused))
		return refused;
	e = flow_sign_in(
	    q->arena, q->flow, &q->caller, username, password, size, q->token[0] != '\0' ? q->token : NULL, &s);
	return finish(q, e, &s, json_is_true(cookie));
}

struct reply call_reauthenticate(struct request *q)
{
	static const char *const known[] = { "password", NULL };
	json_auto *body = NULL;
	const char *password;
	struct sign_in s = { 0 };
	size_t size;

	struct err e = json_read_object(q->arena, q->body, q->body_size, &body);
	if (e.code == OK)
		e = json_only(q->arena, body, known);
	if (e.code == OK)
		e = read_password(body, &password, &size);
	if (e.code != OK)
		return reply_error(q, e);
	e = flow_reauthenticate(q->arena, q->flow, &q->caller, password, size, &s);
	if (e.code == ERR_NOT_FOUND)
		return reply_refused(q, SESSION_EXPIRED, NULL);
	return finish(q, e, &s, q->by_cookie);
}

struct reply call_logout(struct request *q)
{
	struct reply r = reply_empty(204);
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
	text_puts(&t, "}");
	return reply_json(q, 200, &t);
}

struct reply call_sessions(struct request *q)
{
	struct session_info *list;
	size_t count;
	char store[4096];
	struct text t;
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
	struct reply r = reply_empty(204);
	struct err e = flow_end_session(q->arena, q->flow, &q->caller, q->id, &r.revision);

	return e.code != OK ? reply_error(q, e) : r;
}
