/* The calls of the door, over TLS: forward authorization, the API, decisions asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "door_house.h"

/* ---- forward authorization ---- */

static void a_permit_names_everything_once(void **unused)
{
	static const char *const names[] = { "\r\nRemote-User: chen\r\n", "\r\nScfgate-Provider: lakeside\r\n",
		"\r\nScfgate-Employer: lakeside\r\n", "\r\nScfgate-Path: a-chen-lakeside\r\n",
		"\r\nScfgate-Revision: 2", "\r\nCache-Control: no-store\r\n" };
	const char *text = request("GET", "/auth/nginx",
	    arena_printf(w.arena, "%s%sRemote-User: rivera\r\nScfgate-Path: x\r\n", bearer("chen"),
		ORIGINAL("GET", "/enrollments/" RECORD "?x=/../y")),
	    NULL);
	struct line *l = line_open(NULL, NULL, NULL);

	(void)unused;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask_on(l, text, strlen(text)), 200);
		for (size_t j = 0; j < COUNT(names); j++)
			if (count_of(told.text, names[j]) != 1)
				fail_msg("%s in %s", names[j], told.text);
		assert_int_equal(count_of(told.text, "\r\nRemote-User:"), 1);
		assert_false(told.closed);
	}
	/* The official acts without an association. */
	assert_int_equal(ask(request("GET", "/auth/nginx", arena_printf(w.arena, "%s%s", bearer("rivera"),
	    ORIGINAL("GET", "/enrollments/" RECORD)), NULL)), 200);
	assert_true(said("\r\nScfgate-Path: authorized-official\r\n"));
	line_close(l);
}

static void a_proxy_gets_four_answers_and_no_other(void **unused)
{
	static const struct { const char *name, *user, *fields; int status;
	} rows[] = {
		{ "chen may", "chen", ORIGINAL("GET", "/enrollments/" RECORD), 200 },
		{ "and ask with HEAD", "chen", ORIGINAL("HEAD", "/enrollments/" RECORD), 200 },
		{ "and change", "chen", ORIGINAL("PUT", "/enrollments/" RECORD), 200 },
		{ "a list", "chen", ORIGINAL("GET", "/organizations/lakeside/enrollments"), 200 },
		{ "nobody", NULL, ORIGINAL("GET", "/enrollments/" RECORD), 401 },
		{ "an unknown token", "somebody", ORIGINAL("GET", "/enrollments/" RECORD), 401 },
		{ "no consent", "novak", ORIGINAL("GET", "/enrollments/" RECORD), 403 },
		{ "a stranger", "outsider", ORIGINAL("GET", "/enrollments/" RECORD), 403 },
		{ "an unknown record", "chen", ORIGINAL("GET", "/enrollments/O20240115999999"), 403 },
		{ "a path without a route", "chen", ORIGINAL("GET", "/elsewhere"), 403 },
		{ "a method without a route", "chen", ORIGINAL("DELETE", "/enrollments/" RECORD), 403 },
		{ "a route that makes no sense", "chen", ORIGINAL("GET", "/wrong/lakeside"), 403 },
		{ "no method", "chen", "X-Original-URI: /enrollments/" RECORD "\r\n", 403 },
		{ "no target", "chen", "X-Original-Method: GET\r\n", 403 },
		{ "an empty target", "chen", ORIGINAL("GET", ""), 403 },
		{ "two targets", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "X-Original-URI: /elsewhere\r\n",
		    403 },
		{ "two methods", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "x-original-method: GET\r\n", 403 },
		{ "two in one line", "chen", ORIGINAL("GET", "/enrollments/" RECORD ", /x"), 403 },
		{ "a look-alike beside it", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "X_Original_URI: /x\r\n",
		    403 },
		{ "a look-alike of an identity", "chen",
		    ORIGINAL("GET", "/enrollments/" RECORD) "Remote_User: rivera\r\n", 403 },
		{ "two tokens", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "Authorization: Bearer x\r\n", 403 },
		{ "token and cookie", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "Cookie: __Host-scfgate=x\r\n",
		    403 },
		{ "two cookies", NULL,
		    ORIGINAL("GET", "/enrollments/" RECORD) "Cookie: __Host-scfgate=x; __Host-scfgate=x\r\n", 403 },
		{ "dot dot", "chen", ORIGINAL("GET", "/x/../enrollments/" RECORD), 403 },
		{ "encoded dot dot", "chen", ORIGINAL("GET", "/x/%2e%2e/enrollments/" RECORD), 403 },
		{ "double slash", "chen", ORIGINAL("GET", "//enrollments/" RECORD), 403 },
		{ "a blank", "chen", ORIGINAL("GET", "/enrollments/" RECORD " x"), 403 },
		{ "bytes above 127", "chen", ORIGINAL("GET", "/enrollments/" RECORD "\xff"), 403 },
		{ "absolute form", "chen", ORIGINAL("GET", "https://localhost/enrollments/" RECORD), 403 },
		{ "other headers for the target", "chen",
		    ORIGINAL("GET", "/x") "X-Original-URL: /enrollments/" RECORD "\r\n"
					  "X-Forwarded-Uri: /enrollments/" RECORD
					  "\r\nX-Rewrite-URL: /enrollments/" RECORD "\r\n",
		    403 },
		{ "an overridden method", "chen",
		    ORIGINAL("DELETE", "/enrollments/" RECORD) "X-HTTP-Method-Override: GET\r\n", 403 },
		{ "a header named in Connection", "chen", "Connection: X-Original-URI\r\nX-Original-Method: GET\r\n",
		    403 },
		{ "a revision that is none", "chen",
		    ORIGINAL("GET", "/enrollments/" RECORD) "Scfgate-At-Least: yesterday\r\n", 403 },
		{ "a revision of the future", "chen",
		    ORIGINAL(
			"GET", "/enrollments/" RECORD) "Scfgate-At-Least: 20991231000000.000000Z#000000#000#000000\r\n",
		    503 },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int status = ask(request("GET", "/auth/nginx", arena_printf(w.arena, "%s%s", rows[i].user != NULL ?
		    bearer(rows[i].user) : "", rows[i].fields), NULL));

		if (status != rows[i].status)
			fail_msg("%s: %d", rows[i].name, status);
		assert_int_equal(status == 401, said("\r\nWWW-Authenticate: Bearer"));
		assert_int_equal(status == 200, said("\r\nRemote-User:"));
	}
	assert_int_equal(ask(request("GET", "/auth/nginx", arena_printf(w.arena, "Cookie: a=b; __Host-scfgate=%s\r\n%s",
	    token_of("chen"), ORIGINAL("GET", "/enrollments/" RECORD)), NULL)), 200);
}

static int with_certificate(const char *certificate, const char *key, const char *text)
{
	struct line *l = line_open(NULL, certificate, key);
	int status = ask_on(l, text, strlen(text));

	line_close(l);
	return status;
}

static void a_stranger_needs_an_applications_certificate(void **unused)
{
	static const char *const elsewhere[] = { "192.0.2.0/24", NULL };
	const char *text = request("GET", "/auth/nginx", arena_printf(w.arena, "%s%s", bearer("chen"),
	    ORIGINAL("GET", "/enrollments/" RECORD)), NULL);
	struct http_settings s = settings();

	(void)unused;
	s.peers = elsewhere;
	assert_int_equal(http_reload(w.http, &s).code, OK);
	assert_int_equal(ask(text), 403);
	assert_int_equal(with_certificate(w.keys.client, w.keys.client_key, text), 200);
	assert_int_equal(with_certificate(w.keys.stranger, w.keys.stranger_key, text), 403);
	assert_int_equal(with_certificate(w.keys.certificate, w.keys.key, text), 403); /* of our CA, but a server's */
	/* A spoofed address is no peer's. */
	assert_int_equal(ask(request("GET", "/auth/nginx", arena_printf(w.arena, "%s%sX-Forwarded-For: 192.0.2.1\r\n",
	    bearer("chen"), ORIGINAL("GET", "/enrollments/" RECORD)), NULL)), 403);

	/* An open connection is held to what is in force now. */
	struct line *l = line_open(NULL, w.keys.client, w.keys.client_key);
	assert_int_equal(ask_on(l, text, strlen(text)), 200);
	s.client_ca = w.keys.stranger;
	assert_int_equal(http_reload(w.http, &s).code, OK);
	assert_int_equal(ask_on(l, text, strlen(text)), 403);
	s = settings();
	assert_int_equal(http_reload(w.http, &s).code, OK);
	assert_int_equal(ask_on(l, text, strlen(text)), 200);
	line_close(l);
}

/* ---- the API ---- */

static void calls_are_held_to_their_form(void **unused)
{
	static const char login[] = "{\"username\":\"chen\",\"password\":\"x\"}";
	const struct { const char *name, *text; int status; const char *part;
	} rows[] = {
		{ "an unknown path", request("GET", "/v1/nothing", "", NULL), 404, "\"reason\":\"not_found\"" },
		{ "operators' calls", request("GET", "/metrics", "", NULL), 404, "not_found" },
		{ "another method", request("DELETE", "/v1/me", "", NULL), 405, "\r\nAllow: GET, HEAD\r\n" },
		{ "TRACE", request("TRACE", "/v1/me", "", NULL), 405, "\r\nAllow:" },
		{ "a word as a method", request("FETCH", "/v1/me", "", NULL), 405, "\r\nAllow:" },
		{ "an overridden method", request("GET", "/v1/login", "X-HTTP-Method-Override: POST\r\n", NULL), 405,
		    "Allow: POST" },
		{ "no session", request("GET", "/v1/me", "", NULL), 401,
		    "\r\nWWW-Authenticate: Bearer realm=\"scfgate\"\r\n" },
		{ "an unknown session", request("GET", "/v1/me", bearer("x"), NULL), 401, "error=\"invalid_token\"" },
		{ "a token that is too long",
		    request("GET", "/v1/me",
			"Authorization: Bearer 0123456789012345678901234567890123456789"
			"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
			"456789\r\n",
			NULL),
		    401, "" },
		{ "another scheme", request("GET", "/v1/me", "Authorization: Basic Y2hlbjp4\r\n", NULL), 401, "" },
		{ "token and cookie",
		    request(
			"GET", "/v1/me", arena_printf(w.arena, "%sCookie: __Host-scfgate=x\r\n", bearer("chen")), NULL),
		    400, "malformed_request" },
		{ "no content type", "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415,
		    "" },
		{ "another content type",
		    "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
		    "Content-Length: 2\r\n\r\n{}",
		    415, "unsupported_media_type" },
		{ "no body", request("POST", "/v1/login", "Content-Type: application/json\r\n", NULL), 400, "empty" },
		{ "no JSON", request("POST", "/v1/login", "", "{"), 400, "line 1" },
		{ "an array", request("POST", "/v1/login", "", "[]"), 400, "object" },
		{ "an unknown member", request("POST", "/v1/login", "", "{\"username\":\"a\",\"pass\":\"b\"}"), 400,
		    "'pass'" },
		{ "a member twice", request("POST", "/v1/login", "", "{\"username\":\"a\",\"username\":\"b\"}"), 400,
		    "duplicate" },
		{ "no name", request("POST", "/v1/login", "", "{\"password\":\"b\"}"), 400, "'username' is required" },
		{ "a name that is a number", request("POST", "/v1/login", "", "{\"username\":1}"), 400,
		    "'username' must be a string" },
		{ "a password that is a number",
		    request("POST", "/v1/login", "", "{\"username\":\"a\",\"password\":1}"), 400, "'password'" },
		{ "a cookie that is a word",
		    request("POST", "/v1/login", "", "{\"username\":\"a\",\"password\":\"b\",\"cookie\":\"yes\"}"), 400,
		    "'cookie'" },
		{ "a directory that is away", request("POST", "/v1/login", "", login), 503, "\r\nRetry-After:" },
		{ "a body where none belongs", request("GET", "/v1/me", bearer("chen"), "{}"), 400, "no body" },
		{ "a long body",
		    arena_printf(w.arena,
			"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
			"Content-Length: 65537\r\n\r\n"),
		    413, "too_large" },
		{ "another expectation", request("POST", "/v1/login", "Expect: 200-ok\r\n", login), 417, "" },
		{ "no If-Match", request("PUT", "/v1/records/" RECORD, bearer("chen"), "{}"), 428,
		    "precondition_required" },
		{ "a weak tag",
		    request("PUT", "/v1/records/" RECORD,
			arena_printf(w.arena, "%sIf-Match: W/\"x\"\r\n", bearer("chen")), "{}"),
		    400, "If-Match" },
		{ "a tag of something else",
		    request("PUT", "/v1/records/" RECORD,
			arena_printf(w.arena, "%sIf-Match: \"x\"\r\n", bearer("chen")), "{}"),
		    412, "precondition_failed" },
		{ "no provider", request("GET", "/v1/records", bearer("chen"), NULL), 400, "'provider' is required" },
		{ "an unknown parameter", request("GET", "/v1/records?provider=lakeside&page=2", bearer("chen"), NULL),
		    400, "'page'" },
		{ "a parameter twice", request("GET", "/v1/records?provider=a&provider=b", bearer("chen"), NULL), 400,
		    "twice" },
		{ "a stranger's list", request("GET", "/v1/records?provider=lakeside", bearer("outsider"), NULL), 404,
		    "not_found" },
		{ "no consent", request("GET", "/v1/records/" RECORD, bearer("novak"), NULL), 403,
		    "\"reason\":\"no_consent\"" },
		{ "a stranger's record", request("GET", "/v1/records/" RECORD, bearer("outsider"), NULL), 404,
		    "not_found" },
		{ "a revision that is none",
		    request("GET", "/v1/me", arena_printf(w.arena, "%sScfgate-At-Least: x\r\n", bearer("chen")), NULL),
		    400, "contextCSN" },
		{ "a revision of the future",
		    request("GET", "/v1/me",
			arena_printf(w.arena,
			    "%sScfgate-At-Least: "
			    "20991231000000.000000Z#000000#000#000000\r\n",
			    bearer("chen")),
			NULL),
		    503, "stale_directory" },
		{ "no form",
		    request("POST", "/v1/organizations/lakeside/submissions", bearer("chen"), "{\"document\":{}}"), 400,
		    "'form'" },
		{ "no document",
		    request("POST", "/v1/organizations/lakeside/submissions", bearer("chen"), "{\"form\":\"855B\"}"),
		    400, "'document' is required" },
		{ "nobody's association",
		    request("POST", "/v1/organizations/lakeside/submissions", bearer("outsider"),
			"{\"form\":\"855B\",\"document\":{}}"),
		    403, "no_association" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int status = ask(rows[i].text);

		if (status != rows[i].status || !said(rows[i].part))
			fail_msg("%s: %d %s", rows[i].name, status, told.text);
		assert_int_equal(count_of(told.text, "\r\nX-Request-ID: "), 1);
		assert_int_equal(count_of(told.text, "\r\nCache-Control: no-store\r\n"), 1);
		assert_int_equal(count_of(told.text, "\r\nX-Content-Type-Options: nosniff\r\n"), 1);
		assert_int_equal(count_of(told.text, "\r\nStrict-Transport-Security: "), 1);
		assert_int_equal(count_of(told.text, "\r\nContent-Type: application/problem+json\r\n"), 1);
		assert_true(said("\"request_id\":\""));
	}
}

static void a_request_id_is_echoed_if_it_is_one(void **unused)
{
	(void)unused;
	ask(request("GET", "/v1/me", "X-Request-ID: abc.DEF-1_2\r\n", NULL));
	assert_true(said("\r\nX-Request-ID: abc.DEF-1_2\r\n") && said("\"request_id\":\"abc.DEF-1_2\""));
	ask(request("GET", "/v1/me", "X-Request-ID: a\"b\r\n", NULL));
	assert_false(said("a\"b"));
	assert_int_equal(count_of(told.text, "\r\nX-Request-ID: "), 1);
}

/* An answer without the request's id and time. */
static const char *faceless(void)
{
	const char *id = strcasestr(told.text, "\r\nX-Request-ID: ");
	char *copy = arena_strdup(w.arena, told.text), *place;
	char name[80] = { 0 };

	assert_non_null(id);
	id += 16;
	memcpy(name, id, strcspn(id, "\r"));
	while ((place = strstr(copy, name)) != NULL)
		memset(place, '?', strlen(name));
	place = strstr(copy, "\r\nDate: ");
	if (place != NULL)
		memset(place + 8, '?', 29);
	return copy;
}

static void what_is_hidden_reads_like_what_is_not_there(void **unused)
{
	(void)unused;
	assert_int_equal(ask(request("GET", "/v1/records/" RECORD, bearer("outsider"), NULL)), 404);
	const char *hidden = faceless();
	assert_int_equal(ask(request("GET", "/v1/records/O20991231999999", bearer("outsider"), NULL)), 404);
	assert_string_equal(faceless(), hidden);
	assert_int_equal(ask(request("GET", "/v1/records/no%20id%20at%20all", bearer("outsider"), NULL)), 404);
	assert_string_equal(faceless(), hidden);
}

static void a_cookie_needs_its_csrf_token_to_change_anything(void **unused)
{
	char right[DIGEST_TEXT];
	const char *cookie = arena_printf(w.arena, "Cookie: x=y; __Host-scfgate=%s\r\n", token_of("chen"));

	(void)unused;
	flow_csrf_of(token_of("chen"), right);
	assert_int_equal(ask(request("POST", "/v1/logout", cookie, NULL)), 403);
	assert_true(said("\"reason\":\"csrf\""));
	assert_int_equal(ask(request("POST", "/v1/logout",
			     arena_printf(w.arena, "%sX-CSRF-Token: %.63s0\r\n", cookie, right), NULL)),
	    right[63] == '0' ? 503 : 403);
	assert_int_equal(
	    ask(request("POST", "/v1/logout", arena_printf(w.arena, "%sX-CSRF-Token: %.63s\r\n", cookie, right), NULL)),
	    403);
	/* Past the check it is the directory that is away. */
	assert_int_equal(
	    ask(request("POST", "/v1/logout", arena_printf(w.arena, "%sX-CSRF-Token: %s\r\n", cookie, right), NULL)),
	    503);
	assert_int_equal(ask(request("GET", "/v1/me", cookie, NULL)), 503);
	assert_int_equal(ask(request("POST", "/v1/logout", bearer("chen"), NULL)), 503);
}

/* ---- decisions asked for ---- */

static void evaluations_are_the_standards(void **unused)
{
	static const struct { const char *name, *body; int status; const char *part;
	} rows[] = {
		{ "a permit", EVALUATION("chen", "record.view", "record", RECORD, ""), 200,
		    "\r\n\r\n{\"decision\":true}" },
		{ "a deny", EVALUATION("novak", "record.view", "record", RECORD, ""), 200,
		    "\r\n\r\n{\"decision\":false}" },
		{ "an unknown subject", EVALUATION("nobody", "record.view", "record", RECORD, ""), 200,
		    "{\"decision\":false}" },
		{ "an unknown resource", EVALUATION("chen", "record.view", "record", "O20991231999999", ""), 200,
		    "{\"decision\":false}" },
		{ "an unknown action", EVALUATION("chen", "record.burn", "record", RECORD, ""), 200,
		    "{\"decision\":false}" },
		{ "a resource of another type", EVALUATION("chen", "record.view", "provider", "lakeside", ""), 200,
		    "{\"decision\":false}" },
		{ "a subject of another type",
		    "{\"subject\":{\"type\":\"application\",\"id\":\"portal\"},\"action\":{\"name\":\"record.view\"},"
		    "\"resource\":{\"type\":\"record\",\"id\":\"" RECORD "\"}}",
		    200, "{\"decision\":false}" },
		{ "unknown members", EVALUATION("chen", "record.view", "record", RECORD, ",\"more\":[1,{\"a\":null}]"),
		    200, "true" },
		{ "an explained deny",
		    EVALUATION("novak", "record.view", "record", RECORD, ",\"context\":{\"explain\":true}"), 200,
		    "\"reason\":\"no_consent\"" },
		{ "an explained unknown action",
		    EVALUATION("chen", "record.burn", "record", RECORD, ",\"context\":{\"explain\":true}"), 200,
		    "{\"decision\":false,\"context\":{\"reason\":" },
		{ "through an employer",
		    "{\"subject\":{\"type\":\"user\",\"id\":\"chen\",\"properties\":{\"employer\":\"meridian\"}},"
		    "\"action\":{\"name\":\"record.view\"},\"resource\":{\"type\":\"record\",\"id\":\"" RECORD "\"}}",
		    200, "{\"decision\":false}" },
		{ "an employer that is a number",
		    "{\"subject\":{\"type\":\"user\",\"id\":\"chen\",\"properties\":{\"employer\":1}},"
		    "\"action\":{\"name\":\"record.view\"},\"resource\":{\"type\":\"record\",\"id\":\"" RECORD "\"}}",
		    400, "'employer'" },
		{ "no subject", "{\"action\":{\"name\":\"x\"},\"resource\":{\"type\":\"record\",\"id\":\"x\"}}", 400,
		    "'subject' must be an object" },
		{ "a subject that is a word",
		    "{\"subject\":\"chen\",\"action\":{\"name\":\"x\"},\"resource\":{\"type\":\"record\",\"id\":\"x\"}"
		    "}",
		    400, "'subject'" },
		{ "no action name",
		    "{\"subject\":{\"type\":\"user\",\"id\":\"chen\"},\"action\":{},\"resource\":{\"type\":\"record\","
		    "\"id\":\"x\"}}",
		    400, "'name' is required" },
		{ "a number as an id",
		    "{\"subject\":{\"type\":\"user\",\"id\":7},\"action\":{\"name\":\"x\"},\"resource\":{\"type\":"
		    "\"record\","
		    "\"id\":\"x\"}}",
		    400, "'id' must be a string" },
		{ "a member twice",
		    "{\"subject\":{\"type\":\"user\",\"id\":\"novak\",\"id\":\"chen\"},\"action\":{\"name\":\"record."
		    "view\"},"
		    "\"resource\":{\"type\":\"record\",\"id\":\"" RECORD "\"}}",
		    400, "duplicate" },
		{ "a lone surrogate", EVALUATION("\\ud800", "record.view", "record", RECORD, ""), 400, "" },
		{ "bytes that are not UTF-8", EVALUATION("\xff", "record.view", "record", RECORD, ""), 400, "UTF-8" },
		{ "an array", "[]", 400, "object" },
		{ "a revision that is none",
		    EVALUATION("chen", "record.view", "record", RECORD, ",\"context\":{\"at_least_as_fresh\":\"x\"}"),
		    400, "at_least_as_fresh" },
		{ "a revision of the future",
		    EVALUATION("chen", "record.view", "record", RECORD,
			",\"context\":{\"at_least_as_fresh\":\"20991231000000.000000Z#000000#000#000000\"}"),
		    503, "stale_directory" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int status = ask(request("POST", "/access/v1/evaluation",
		    "Authorization: Bearer " SECRET "\r\nX-Request-ID: abc\r\n", rows[i].body));

		if (status != rows[i].status || !said(rows[i].part))
			fail_msg("%s: %d %s", rows[i].name, status, told.text);
		assert_true(said("\r\nX-Request-ID: abc\r\n"));
	}
	const char *body = EVALUATION("chen", "record.view", "record", RECORD, "");
	assert_int_equal(ask(request("POST", "/access/v1/evaluation", "", body)), 401);
	assert_int_equal(ask(request("POST", "/access/v1/evaluation", "Authorization: Bearer wrong\r\n", body)), 401);
	assert_int_equal(ask(request("POST", "/access/v1/evaluation", bearer("chen"), body)), 401);
	assert_int_equal(
	    with_certificate(w.keys.client, w.keys.client_key, request("POST", "/access/v1/evaluation", "", body)),
	    200);
	assert_int_equal(
	    with_certificate(w.keys.stranger, w.keys.stranger_key, request("POST", "/access/v1/evaluation", "", body)),
	    401);
	assert_int_equal(ask("POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
	    "Authorization: Bearer " SECRET "\r\nContent-Length: 2\r\n\r\n{}"), 400);
}

static void explanations_are_for_applications_and_auditors(void **unused)
{
	static const char body[] =
	    "{\"subject\":\"novak\",\"action\":\"record.view\",\"resource\":{\"type\":\"record\",\"id\":\"" RECORD
	    "\"}}";

	(void)unused;
	assert_int_equal(ask(request("POST", "/v1/explain", "", body)), 401);
	assert_int_equal(ask(request("POST", "/v1/explain", bearer("chen"), body)), 403);
	assert_true(said("\"reason\":\"not_auditor\""));
	assert_int_equal(ask(request("POST", "/v1/explain", "Authorization: Bearer " SECRET "\r\n", body)), 200);
	assert_true(said("{\"decision\":false,\"reason\":\"no_consent\""));
	assert_true(said("\"employer\":\"harbor\",\"association\":\"a-novak-harbor\",\"consent\":null,\"open\":false"));
	assert_true(said("\"dn\":\"uid=novak,ou=people,dc=scf,dc=example\""));
	assert_int_equal(ask(request("POST", "/v1/explain", bearer("audit1"), body)), 200);
	assert_int_equal(
	    ask(request("POST", "/v1/explain", bearer("audit1"), "{\"subject\":\"novak\",\"action\":\"x\"}")), 400);
	assert_int_equal(
	    ask(request("POST", "/v1/explain", bearer("audit1"), "{\"subject\":\"novak\",\"who\":\"x\"}")), 400);
	assert_true(said("'who'"));
	assert_int_equal(
	    ask(request("POST", "/v1/explain", bearer("audit1"), "{\"subject\":\"audit1\",\"action\":\"audit.read\"}")),
	    200);
	assert_true(said("{\"decision\":true"));
	const char *cookie = arena_printf(w.arena, "Cookie: __Host-scfgate=%s\r\n", token_of("audit1"));
	assert_int_equal(ask(request("POST", "/v1/explain", cookie, body)), 403);
	assert_true(said("\"reason\":\"csrf\""));
}

static void *tell_later(void *unused)
{
	(void)unused;
	nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL);
	w.teller.micros += 1000;
	tell_consent(&w.teller, "c-lakeside-harbor", "harbor", STATE_APPROVED);
	return NULL;
}

static void who_asks_for_a_revision_waits_until_it_is_reached(void **unused)
{
	struct revision next = { .micros = w.teller.micros + 1001 };
	char revision[REVISION_TEXT];
	pthread_t teller;

	(void)unused;
	revision_format(&next, revision);
	const char *text = request("GET", "/auth/nginx",
	    arena_printf(w.arena, "%s%sScfgate-At-Least: %s\r\n", bearer("novak"),
		ORIGINAL("GET", "/enrollments/" RECORD), revision),
	    NULL);

	int64_t begun = clock_steady_ms();
	assert_int_equal(ask(text), 503); /* fresh_ms is 400 */
	assert_true(clock_steady_ms() - begun >= 390);
	assert_int_equal(pthread_create(&teller, NULL, tell_later, NULL), 0);
	assert_int_equal(ask(text), 200);
	pthread_join(teller, NULL);
	assert_true(said(revision));
	tell_consent(&w.teller, "c-lakeside-harbor", "harbor", STATE_REVOKED);
	assert_int_equal(ask(text), 403);
}

static void every_decision_is_in_the_audit_log(void **unused)
{
	char *line = NULL;
	size_t room = 0;
	int found = 0;

	(void)unused;
	assert_int_equal(ask(request("GET", "/auth/nginx",
			     arena_printf(w.arena, "%sX-Request-ID: look-for-me\r\n%s", bearer("chen"),
				 ORIGINAL("GET", "/enrollments/" RECORD)),
			     NULL)),
	    200);
	FILE *f = fopen(w.log, "r");
	assert_non_null(f);
	while (getline(&line, &room, f) > 0) {
		found += strstr(line, "look-for-me") != NULL && strstr(line, "\"permit\"") != NULL;
		assert_null(strstr(line, token_of("chen")));
		assert_null(strstr(line, SECRET));
	}
	free(line);
	fclose(f);
	assert_int_equal(found, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_permit_names_everything_once),
		cmocka_unit_test(a_proxy_gets_four_answers_and_no_other),
		cmocka_unit_test(a_stranger_needs_an_applications_certificate),
		cmocka_unit_test(calls_are_held_to_their_form),
		cmocka_unit_test(a_request_id_is_echoed_if_it_is_one),
		cmocka_unit_test(what_is_hidden_reads_like_what_is_not_there),
		cmocka_unit_test(a_cookie_needs_its_csrf_token_to_change_anything),
		cmocka_unit_test(evaluations_are_the_standards),
		cmocka_unit_test(explanations_are_for_applications_and_auditors),
		cmocka_unit_test(who_asks_for_a_revision_waits_until_it_is_reached),
		cmocka_unit_test(every_decision_is_in_the_audit_log),
	};

	return cmocka_run_group_tests(tests, open_house, close_house);
}
