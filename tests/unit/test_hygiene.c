/* The head of a request: framing, doubled and look-alike headers, and the values that are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "http/hygiene.h"

/* What libmicrohttpd 0.9 does to header lines: names, colons and line ends are cut in place, values end at a NUL, and a
 * folded line takes its name away to another place. */
static char buffer[4096], moved[1024];

static struct head parsed(const char *text, size_t size, const char *version)
{
	struct head h;
	char *end = buffer + size;

	assert_true(size < sizeof buffer);
	memcpy(buffer, text, size);
	hygiene_open(&h, buffer);
	for (char *p = buffer; p < end;) {
		char *stop = memchr(p, '\n', (size_t)(end - p)), *name = p, *next = stop + 1;

		assert_non_null(stop);
		*stop = '\0';
		if (stop > p && stop[-1] == '\r')
			stop[-1] = '\0';
		if (*p == '\0') {
			hygiene_close(&h, next, version);
			return h;
		}
		char *colon = strchr(p, ':');
		assert_non_null(colon);
		*colon++ = '\0';
		colon += strspn(colon, " \t");
		if (next < end && (*next == ' ' || *next == '\t')) {
			memcpy(moved, name, strlen(name) + 1);
			name = moved;
			next = (char *)memchr(next, '\n', (size_t)(end - next)) + 1;
		}
		if (!hygiene_take(&h, name, strlen(name), colon, strlen(colon)))
			break;
		p = next;
	}
	hygiene_close(&h, NULL, version);
	return h;
}

#define HOST "Host: localhost\r\n"
#define TEXT(fields) fields "\r\n", sizeof(fields "\r\n") - 1

static void clean_heads_are_taken(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text;
		size_t size;
		const char *version;
		size_t body;
		bool chunked;
	} rows[] = {
		{ "Host alone", TEXT(HOST), "HTTP/1.1", 0, false },
		{ "HTTP/1.0", TEXT(HOST), "HTTP/1.0", 0, false },
		{ "a port", TEXT("Host: localhost:8443\r\n"), "HTTP/1.1", 0, false },
		{ "an IPv6 literal", TEXT("Host: [::1]:8443\r\n"), "HTTP/1.1", 0, false },
		{ "no blank after the colon", TEXT("Host:localhost\r\n"), "HTTP/1.1", 0, false },
		{ "tabs and blanks around a value", TEXT("Host: \t localhost \t\r\n"), "HTTP/1.1", 0, false },
		{ "empty values", TEXT(HOST "X-Empty:\r\nX-Blank:  \r\n"), "HTTP/1.1", 0, false },
		{ "a length", TEXT(HOST "Content-Length: 17\r\n"), "HTTP/1.1", 17, false },
		{ "chunks", TEXT(HOST "Transfer-Encoding: Chunked\r\n"), "HTTP/1.1", 0, true },
		{ "bytes above 127 in a value", TEXT(HOST "User-Agent: caf\xc3\xa9\r\n"), "HTTP/1.1", 0, false },
		{ "others' headers twice", TEXT(HOST "Via: a\r\nVia: b\r\nAccept: x\r\nAccept: y\r\n"), "HTTP/1.1", 0,
		    false },
		{ "underscores of others", TEXT(HOST "my_header: a\r\n"), "HTTP/1.1", 0, false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct head h = parsed(rows[i].text, rows[i].size, rows[i].version);

		if (h.fault != NULL || h.doubled != 0 || h.variant)
			fail_msg("%s: %s", rows[i].name, h.fault != NULL ? h.fault : "doubled or variant");
		assert_int_equal(h.body, rows[i].body);
		assert_int_equal(h.chunked, rows[i].chunked);
	}
}

static void broken_framing_is_a_fault(void **state)
{
	(void)state;
	static const struct { const char *name, *text; size_t size; const char *version;
	} rows[] = {
		{ "no Host", TEXT("Accept: x\r\n"), "HTTP/1.1" },
		{ "no Host in HTTP/1.0", TEXT("Accept: x\r\n"), "HTTP/1.0" },
		{ "two Hosts", TEXT(HOST HOST), "HTTP/1.1" },
		{ "two Hosts in two cases", TEXT(HOST "hOST: other\r\n"), "HTTP/1.1" },
		{ "an empty Host", TEXT("Host:\r\n"), "HTTP/1.1" },
		{ "a Host with a path", TEXT("Host: localhost/x\r\n"), "HTTP/1.1" },
		{ "a Host with a user", TEXT("Host: good@evil\r\n"), "HTTP/1.1" },
		{ "two Hosts in one line", TEXT("Host: a, b\r\n"), "HTTP/1.1" },
		{ "two lengths", TEXT(HOST "Content-Length: 0\r\nContent-Length: 36\r\n"), "HTTP/1.1" },
		{ "the same length twice", TEXT(HOST "Content-Length: 5\r\nContent-Length: 5\r\n"), "HTTP/1.1" },
		{ "two lengths in one line", TEXT(HOST "Content-Length: 5, 5\r\n"), "HTTP/1.1" },
		{ "a signed length", TEXT(HOST "Content-Length: +5\r\n"), "HTTP/1.1" },
		{ "a negative length", TEXT(HOST "Content-Length: -5\r\n"), "HTTP/1.1" },
		{ "an empty length", TEXT(HOST "Content-Length:\r\n"), "HTTP/1.1" },
		{ "a hexadecimal length", TEXT(HOST "Content-Length: 0x5\r\n"), "HTTP/1.1" },
		{ "an enormous length", TEXT(HOST "Content-Length: 99999999999999999999\r\n"), "HTTP/1.1" },
		{ "length and chunks", TEXT(HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "HTTP/1.1" },
		{ "chunks and length", TEXT(HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), "HTTP/1.1" },
		{ "chunks twice", TEXT(HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
		    "HTTP/1.1" },
		{ "another coding", TEXT(HOST "Transfer-Encoding: gzip\r\n"), "HTTP/1.1" },
		{ "two codings", TEXT(HOST "Transfer-Encoding: gzip, chunked\r\n"), "HTTP/1.1" },
		{ "nearly chunked", TEXT(HOST "Transfer-Encoding: xchunked\r\n"), "HTTP/1.1" },
		{ "a vertical tab before chunked",
		    TEXT(HOST "Transfer-Encoding: \x0b"
			      "chunked\r\n"),
		    "HTTP/1.1" },
		{ "chunks in HTTP/1.0", TEXT(HOST "Transfer-Encoding: chunked\r\n"), "HTTP/1.0" },
		{ "a blank before the colon", TEXT(HOST "X-User : v\r\n"), "HTTP/1.1" },
		{ "a tab before the colon", TEXT(HOST "Content-Length\t: 5\r\n"), "HTTP/1.1" },
		{ "a name of no bytes", TEXT(HOST ": v\r\n"), "HTTP/1.1" },
		{ "a name above 127", TEXT(HOST "X-\xc3\xa9: v\r\n"), "HTTP/1.1" },
		{ "a control byte in a name", TEXT(HOST "X-\x01: v\r\n"), "HTTP/1.1" },
		{ "a folded line", TEXT(HOST "X-User: a\r\n b\r\n"), "HTTP/1.1" },
		{ "a folded Authorization", TEXT(HOST "Authorization: Bearer\r\n\ttoken\r\n"), "HTTP/1.1" },
		{ "a bare line feed", TEXT(HOST "X-User: a\nX-Other: b\r\n"), "HTTP/1.1" },
		{ "a bare line feed at the end", HOST "X-User: a\r\n\n", sizeof(HOST "X-User: a\r\n\n") - 1,
		    "HTTP/1.1" },
		{ "NUL in a value", TEXT(HOST "X-User: a\0b\r\n"), "HTTP/1.1" },
		{ "NUL at the end of a value", TEXT(HOST "X-User: a\0\r\n"), "HTTP/1.1" },
		{ "NUL hiding a header", TEXT(HOST "X-User: a\0Host: b\r\n"), "HTTP/1.1" },
		{ "a bare carriage return", TEXT(HOST "User-Agent: a\rb\r\n"), "HTTP/1.1" },
		{ "a control byte in a value", TEXT(HOST "Authorization: Bearer \x1b\r\n"), "HTTP/1.1" },
		{ "delete in a value", TEXT(HOST "X-Original-URI: /\x7f\r\n"), "HTTP/1.1" },
		{ "HTTP/2.0", TEXT(HOST), "HTTP/2.0" },
		{ "HTTP/0.9", TEXT(HOST), "" },
		{ "HTTP/1.10", TEXT(HOST), "HTTP/1.10" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (parsed(rows[i].text, rows[i].size, rows[i].version).fault == NULL)
			fail_msg("%s was taken", rows[i].name);
}

static void headers_that_are_read_must_be_single(void **state)
{
	(void)state;
	static const struct { enum header_name header; const char *name;
	} rows[] = {
		{ HEADER_AUTHORIZATION, "Authorization" },
		{ HEADER_COOKIE, "Cookie" },
		{ HEADER_CSRF_TOKEN, "X-CSRF-Token" },
		{ HEADER_REQUEST_ID, "X-Request-ID" },
		{ HEADER_ORIGINAL_METHOD, "X-Original-Method" },
		{ HEADER_ORIGINAL_URI, "X-Original-URI" },
		{ HEADER_AT_LEAST, "Scfgate-At-Least" },
		{ HEADER_IF_MATCH, "If-Match" },
		{ HEADER_IDEMPOTENCY_KEY, "Idempotency-Key" },
		{ HEADER_USER_AGENT, "User-Agent" },
		{ HEADER_CONTENT_TYPE, "Content-Type" },
		{ HEADER_EXPECT, "Expect" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[200], upper[32] = { 0 };

		int n = snprintf(text, sizeof text, HOST "%s: first\r\n\r\n", rows[i].name);
		struct head h = parsed(text, (size_t)n, "HTTP/1.1");
		assert_null(h.fault);
		assert_string_equal(h.headers[rows[i].header].text, "first");
		assert_false(head_doubled(&h, rows[i].header));

		for (size_t j = 0; rows[i].name[j] != '\0'; j++)
			upper[j] = rows[i].name[j] & (rows[i].name[j] == '-' ? 0xff : 0xdf);
		n = snprintf(text, sizeof text, HOST "%s: first\r\nX: y\r\n%s: second\r\n\r\n", rows[i].name, upper);
		h = parsed(text, (size_t)n, "HTTP/1.1");
		assert_null(h.fault);
		if (!head_doubled(&h, rows[i].header))
			fail_msg("%s twice was taken", rows[i].name);
		assert_string_equal(h.headers[rows[i].header].text, "first");
	}
}

static void names_with_underscores_that_look_like_ours_are_told(void **state)
{
	(void)state;
	static const struct { const char *name; bool is_variant;
	} rows[] = {
		{ "X_Original_URI", true },
		{ "X-Original_URI", true },
		{ "x_original-method", true },
		{ "X_Forwarded_User", true },
		{ "x-forwarded_for", true },
		{ "X_Forwarded_Anything_At_All_However_Long_It_Is_Named", true },
		{ "Remote_User", true },
		{ "REMOTE_USER", true },
		{ "Scfgate_Provider", true },
		{ "SCFGATE_AT_LEAST", true },
		{ "Content_Length", true },
		{ "Transfer_Encoding", true },
		{ "X_Request_ID", true },
		{ "X_CSRF_Token", true },
		{ "If_Match", true },
		{ "User_Agent", true },
		{ "X_Real_IP", true },
		{ "my_header", false },
		{ "X_Custom", false },
		{ "X-Forwarded-For", false },
		{ "Remote-User", false },
		{ "_", false },
		{ "host_", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[200];
		int n = snprintf(text, sizeof text, HOST "%s: x\r\n\r\n", rows[i].name);
		struct head h = parsed(text, (size_t)n, "HTTP/1.1");

		assert_null(h.fault);
		if (h.variant != rows[i].is_variant)
			fail_msg("%s", rows[i].name);
	}
}

static struct head head_of(enum header_name name, const char *value)
{
	struct head h;

	hygiene_open(&h, NULL);
	if (value != NULL)
		h.headers[name] = (struct header){ value, strlen(value) };
	return h;
}

static void bearer_tokens_are_what_follows_the_scheme(void **state)
{
	(void)state;
	static const struct { const char *value, *token;
	} rows[] = {
		{ "Bearer abc", "abc" },
		{ "bearer abc", "abc" },
		{ "BEARER   abc", "abc" },
		{ "Bearer portal secret 2026", "portal secret 2026" },
		{ "Bearer ", "" },
		{ "Bearer", "" },
		{ NULL, NULL },
		{ "", NULL },
		{ "Basic Y2hlbjp4", NULL },
		{ "Bearerabc", NULL },
		{ "Bearer\tabc", NULL },
		{ "Bear", NULL },
		{ "Token abc", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct head h = head_of(HEADER_AUTHORIZATION, rows[i].value);
		struct header token;

		if (hygiene_bearer(&h, &token) != (rows[i].token != NULL))
			fail_msg("'%s'", rows[i].value != NULL ? rows[i].value : "(absent)");
		if (rows[i].token != NULL) {
			assert_int_equal(token.size, strlen(rows[i].token));
			assert_memory_equal(token.text, rows[i].token, token.size);
		}
	}
}

static void a_cookie_is_found_once(void **state)
{
	(void)state;
	static const struct { const char *value; int found; const char *cookie;
	} rows[] = {
		{ NULL, 0, NULL },
		{ "", 0, NULL },
		{ "a=b", 0, NULL },
		{ "__Host-scfgate=x", 1, "x" },
		{ "a=b; __Host-scfgate=x; c=d", 1, "x" },
		{ "a=b;__Host-scfgate=x;c=d", 1, "x" },
		{ "__Host-scfgate=", 1, "" },
		{ "__Host-scfgate=x ; a=b", 1, "x" },
		{ ";;; __Host-scfgate=x;;", 1, "x" },
		{ "__Host-scfgate", 0, NULL },
		{ "__Host-scfgate2=x", 0, NULL },
		{ "x__Host-scfgate=x", 0, NULL },
		{ "__host-scfgate=x", 0, NULL },
		{ "a=__Host-scfgate=x", 0, NULL },
		{ "__Host-scfgate=x; __Host-scfgate=x", -1, NULL },
		{ "__Host-scfgate=x; a=b; __Host-scfgate=y", -1, NULL },
		{ "__Host-scfgate=a=b", 1, "a=b" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct head h = head_of(HEADER_COOKIE, rows[i].value);
		struct header cookie;
		int found = hygiene_cookie(&h, "__Host-scfgate", &cookie);

		if (found != rows[i].found)
			fail_msg("'%s': %d", rows[i].value != NULL ? rows[i].value : "(absent)", found);
		if (found == 1) {
			assert_int_equal(cookie.size, strlen(rows[i].cookie));
			assert_memory_equal(cookie.text, rows[i].cookie, cookie.size);
		}
	}
}

static void only_json_is_json(void **state)
{
	(void)state;
	static const struct { const char *type; bool is_json;
	} rows[] = {
		{ "application/json", true },
		{ "Application/JSON", true },
		{ "application/json; charset=utf-8", true },
		{ "application/json;charset=UTF-8", true },
		{ "application/json; charset=\"utf-8\"", true },
		{ "application/json ", true },
		{ NULL, false },
		{ "", false },
		{ "text/plain", false },
		{ "application/json; charset=latin1", false },
		{ "application/jsonx", false },
		{ "application/json, text/plain", false },
		{ "application/x-www-form-urlencoded", false },
		{ "application/json; boundary=x", false },
		{ "text/json", false },
		{ "application/json;", false },
		{ "application/json; charset=", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct header h = { rows[i].type, rows[i].type != NULL ? strlen(rows[i].type) : 0 };

		if (hygiene_is_json(&h) != rows[i].is_json)
			fail_msg("'%s'", rows[i].type != NULL ? rows[i].type : "(absent)");
	}
}

static void a_document_comes_as_one_of_five_types(void **state)
{
	(void)state;
	static const struct { const char *type; bool is_document; } rows[] = {
		{ "application/pdf", true }, { "Application/PDF", true }, { "image/png", true }, { "image/jpeg", true },
		{ "image/gif", true }, { "application/octet-stream", true }, { NULL, false }, { "", false },
		{ "application/pdf; x=y", false }, { "image/svg+xml", false }, { "text/html", false },
		{ "application/pdf, text/html", false }, { "image/png ", false }, { "application/pd", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct header h = { rows[i].type, rows[i].type != NULL ? strlen(rows[i].type) : 0 };

		if (hygiene_is_document(&h) != rows[i].is_document)
			fail_msg("'%s'", rows[i].type != NULL ? rows[i].type : "(absent)");
	}
}

static void request_ids_are_plain_words(void **state)
{
	(void)state;
	static const struct { const char *id; bool fine;
	} rows[] = {
		{ "a", true },
		{ "AZaz09._-", true },
		{ "0123456789012345678901234567890123456789012345678901234567890123", true },
		{ "01234567890123456789012345678901234567890123456789012345678901234", false },
		{ "", false },
		{ "a b", false },
		{ "a\"b", false },
		{ "a/b", false },
		{ "\xc3\xa9", false },
		{ "a,b", false },
		{ "%0d", false },
		{ NULL, false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct header h = { rows[i].id, rows[i].id != NULL ? strlen(rows[i].id) : 0 };

		assert_int_equal(hygiene_is_request_id(&h), rows[i].fine);
	}
}

static void one_strong_entity_tag_is_taken(void **state)
{
	(void)state;
	static const struct { const char *value, *tag;
	} rows[] = {
		{ "\"20261124063744.123456Z#000000#000#000000\"", "20261124063744.123456Z#000000#000#000000" },
		{ "\"x\"", "x" },
		{ "\"\"", NULL },
		{ "*", NULL },
		{ "W/\"x\"", NULL },
		{ "\"x\", \"y\"", NULL },
		{ "x", NULL },
		{ "\"x", NULL },
		{ "", NULL },
		{ NULL, NULL },
		{ "\"", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct header h = { rows[i].value, rows[i].value != NULL ? strlen(rows[i].value) : 0 }, tag;

		if (hygiene_entity_tag(&h, &tag) != (rows[i].tag != NULL))
			fail_msg("'%s'", rows[i].value != NULL ? rows[i].value : "(absent)");
		if (rows[i].tag != NULL)
			assert_memory_equal(tag.text, rows[i].tag, tag.size);
	}
}

static void accept_chooses_the_type_that_it_prefers(void **state)
{
	static const char *const types[] = { "text/html", "application/pdf", "text/plain" };
	static const struct { const char *accept; int which; } rows[] = {
		{ "*/*", 0 }, { "text/*", 0 }, { "application/*", 1 }, { "text/plain", 2 }, { "TEXT/PLAIN", 2 },
		{ "text/html;q=0.5, application/pdf", 1 }, { "text/html ; q=0.5 ,\tapplication/pdf;q=0.6", 1 },
		{ "text/html;level=1;q=0.1,text/plain;q=0.2", 2 }, { "text/*;q=0.3, text/html;q=0", 2 },
		{ "*/*;q=0.1, text/plain", 2 }, { "text/plain;q=1.000, text/html;q=0.999", 2 },
		{ "application/json, */*;q=0.001", 0 }, { ",, text/plain ,", 2 }, { "text/html;q=", 0 },
		{ "text/html;q=2", -1 }, { "text/html;q=1.001", -1 }, { "text/html;q=-1", -1 }, { "text/html;q=0.0000", -1 },
		{ "text/html;q=x", -1 }, { "application/json", -1 }, { "text/htm", -1 }, { "text", -1 }, { "*", -1 },
		{ "text/html/x", -1 }, { "tex*/html", -1 }, { ",", -1 }, { ";", -1 }, { "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct header h = { rows[i].accept, strlen(rows[i].accept) };

		if (hygiene_prefers(&h, types, COUNT(types)) != rows[i].which)
			fail_msg("'%s': %d, not %d", rows[i].accept, hygiene_prefers(&h, types, COUNT(types)), rows[i].which);
	}
	assert_int_equal(hygiene_prefers(&(struct header){ NULL, 0 }, types, COUNT(types)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_heads_are_taken),
		cmocka_unit_test(broken_framing_is_a_fault),
		cmocka_unit_test(headers_that_are_read_must_be_single),
		cmocka_unit_test(names_with_underscores_that_look_like_ours_are_told),
		cmocka_unit_test(bearer_tokens_are_what_follows_the_scheme),
		cmocka_unit_test(a_cookie_is_found_once),
		cmocka_unit_test(only_json_is_json),
		cmocka_unit_test(a_document_comes_as_one_of_five_types),
		cmocka_unit_test(request_ids_are_plain_words),
		cmocka_unit_test(one_strong_entity_tag_is_taken),
		cmocka_unit_test(accept_chooses_the_type_that_it_prefers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
