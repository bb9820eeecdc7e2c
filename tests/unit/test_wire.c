/* The door as strangers find it: framing, sizes, rates, TLS, slow clients, operators, draining. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "door_house.h"
#include "http/round.h"

/* ---- framing ---- */

#define BEHIND "GET /v1/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void a_request_that_two_could_read_differently_ends_the_connection(void **unused)
{
	static const struct { const char *name, *text; size_t size;
	} rows[] = {
#define ROW(name, text) { name, text BEHIND, sizeof(text BEHIND) - 1 }
#define LOGIN "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
#define ME "GET /v1/me HTTP/1.1\r\n"
		ROW("two lengths", LOGIN "Content-Length: 0\r\nContent-Length: 48\r\n\r\n"),
		ROW("length and chunks", LOGIN "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		ROW("chunks and length", LOGIN "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
		ROW("chunks twice", LOGIN "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		ROW("chunks and another coding", LOGIN "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
		ROW("a look-alike of a length", LOGIN "Content-Length: 0\r\nContent_Length: 48\r\n\r\n"),
		ROW("no Host", ME "\r\n"),
		ROW("two Hosts", ME "Host: localhost\r\nHost: localhost\r\n\r\n"),
		ROW("a blank before the colon", ME "Host: localhost\r\nX-User : v\r\n\r\n"),
		ROW("a folded line", ME "Host: localhost\r\nX-User: a\r\n b\r\n\r\n"),
		ROW("a folded line in the middle", ME "X-User: a\r\n\tHost: evil\r\nHost: localhost\r\n\r\n"),
		ROW("a bare line feed", ME "Host: localhost\nX-User: v\r\n\r\n"),
		ROW("a bare line feed in the request line", "GET /v1/me HTTP/1.1\nHost: localhost\r\n\r\n"),
		ROW("an empty line that is bare", ME "Host: localhost\r\n\n"),
		ROW("NUL in a value", ME "Host: localhost\r\nX-User: a\0b\r\n\r\n"),
		ROW("NUL at the end of a value", ME "Host: localhost\r\nX-User: a\0\r\n\r\n"),
		ROW("NUL in a name", ME "Host: localhost\r\nX-\0User: a\r\n\r\n"),
		ROW("NUL in the target", "GET /v1/me\0x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		ROW("two blanks in the request line", "GET  /v1/me HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		ROW("dot dot in the target", "GET /v1/../v1/me HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		ROW("absolute form", "GET https://localhost/v1/me HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		ROW("an asterisk", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		ROW("Authorization twice",
		    ME "Host: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"),
		ROW("Cookie twice", ME "Host: localhost\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n"),
		ROW("an identity with underscores", ME "Host: localhost\r\nX_Forwarded_User: chen\r\n\r\n"),
		ROW("a body on a call without one", ME "Host: localhost\r\nContent-Length: 0048\r\n\r\n"),
		ROW("an enormous length", LOGIN "Content-Length: 99999999999999999999999\r\n\r\n"),
		ROW("a signed length", LOGIN "Content-Length: +48\r\n\r\n"),
#undef ROW
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct line *l = line_open(NULL, NULL, NULL);
		int status = ask_on(l, rows[i].text, rows[i].size);

		if (status != 400 && status != 413)
			fail_msg("%s: %d %s", rows[i].name, status, told.text);
		assert_true(said("\r\nConnection: close\r\n"));
		/* What comes now is never an answer to what stood behind. */
		while (hear(l, 2000))
			;
		if (!l->closed || strstr(l->got, "not_found") != NULL)
			fail_msg("%s: %s", rows[i].name, l->closed ? l->got : "the connection is open");
		line_close(l);
	}
}

static void pipelined_requests_are_answered_in_order(void **unused)
{
	const char *first =
	    request("POST", "/access/v1/evaluation", "Authorization: Bearer " SECRET "\r\nX-Request-ID: first\r\n",
		EVALUATION("chen", "record.view", "record", RECORD, ""));
	const char *both =
	    arena_printf(w.arena, "%s%s%s", first, request("GET", "/v1/me", "X-Request-ID: second\r\n", NULL),
		request("GET", "/v1/nothing", "X-Request-ID: third\r\n", NULL));
	struct line *l = line_open(NULL, NULL, NULL);

	(void)unused;
	assert_int_equal(ask_on(l, both, strlen(both)), 200);
	assert_true(said("X-Request-ID: first"));
	assert_int_equal(ask_on(l, "", 0), 401);
	assert_true(said("X-Request-ID: second"));
	assert_int_equal(ask_on(l, "", 0), 404);
	assert_true(said("X-Request-ID: third"));
	line_close(l);
}

static void bodies_come_in_pieces(void **unused)
{
	const char *body = EVALUATION("chen", "record.view", "record", RECORD, "");
	const char *head =
	    "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	    "Authorization: Bearer " SECRET "\r\n";
	struct line *l = line_open(NULL, NULL, NULL);

	(void)unused;
	const char *chunked =
	    arena_printf(w.arena, "%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%.10s\r\n%zx;x=y\r\n%s\r\n0\r\n\r\n", head,
		10, body, strlen(body) - 10, body + 10);
	for (size_t i = 0; i < strlen(chunked); i += 7)
		say(l, chunked + i, strlen(chunked) - i < 7 ? strlen(chunked) - i : 7);
	assert_int_equal(ask_on(l, "", 0), 200);

	/* Expect: 100-continue is answered before the body is sent. */
	const char *expecting =
	    arena_printf(w.arena, "%sExpect: 100-continue\r\nContent-Length: %zu\r\n\r\n", head, strlen(body));
	assert_int_equal(ask_on(l, expecting, strlen(expecting)), 100);
	assert_int_equal(ask_on(l, body, strlen(body)), 200);

	/* A refusal comes instead of the 100. */
	expecting =
	    "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
	    "Content-Length: 70000\r\n\r\n";
	assert_int_equal(ask_on(l, expecting, strlen(expecting)), 413);
	line_close(l);

	/* A body that is refused but small is read, and the connection stays. */
	l = line_open(NULL, NULL, NULL);
	const char *refused = request("PUT", "/v1/records/" RECORD, "", "{\"some\":\"document\"}");
	assert_int_equal(ask_on(l, refused, strlen(refused)), 401);
	assert_int_equal(
	    ask_on(l, request("GET", "/v1/nothing", "", NULL), strlen(request("GET", "/v1/nothing", "", NULL))), 404);
	line_close(l);
}

static void sizes_are_limited(void **unused)
{
	char *long_head = arena_alloc(w.arena, 9000), *piece = arena_alloc(w.arena, 20000);
	struct line *l;

	(void)unused;
	memset(long_head, 'x', 8300);
	int status = ask(request("GET", "/v1/me", arena_printf(w.arena, "X-Long: %s\r\n", long_head), NULL));
	assert_int_equal(status, 431);
	memset(long_head, 'x', 9000 - 1);
	memcpy(long_head, "/v1/", 4);
	long_head[2500] = '\0';
	assert_int_equal(ask(request("GET", long_head, "", NULL)), 414);

	memset(piece, ' ', 20000 - 1);
	l = line_open(NULL, NULL, NULL);
	say(l, LOGIN "Transfer-Encoding: chunked\r\n\r\n", strlen(LOGIN) + 30);
	const char *chunk = arena_printf(w.arena, "4000\r\n%.16384s\r\n", piece);
	for (int i = 0; i < 4; i++)
		say(l, chunk, strlen(chunk));
	assert_int_equal(ask_on(l, "1\r\n}\r\n0\r\n\r\n", 11), 413);
	line_close(l);

	/* One that does not end is cut. */
	l = line_open(NULL, NULL, NULL);
	say(l, LOGIN "Transfer-Encoding: chunked\r\n\r\n", strlen(LOGIN) + 30);
	for (int i = 0; i < 200 && !l->closed; i++)
		say(l, chunk, strlen(chunk));
	while (hear(l, 3000))
		;
	assert_true(l->closed);
	line_close(l);
}

/* ---- TLS ---- */

static bool shakes_hands(const char *priorities)
{
	struct line *l = line_open(priorities, NULL, NULL);
	bool shaken = !l->closed;

	line_close(l);
	return shaken;
}

static void only_current_tls_is_spoken(void **unused)
{
	(void)unused;
	assert_true(shakes_hands("NORMAL:-VERS-ALL:+VERS-TLS1.3"));
	assert_true(shakes_hands("NORMAL:-VERS-ALL:+VERS-TLS1.2"));
	assert_false(shakes_hands("NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT"));
	assert_false(shakes_hands("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC"));
	assert_false(shakes_hands("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA"));
}

static bool resumes(const char *priorities)
{
	struct line *l = line_open(priorities, NULL, NULL);
	gnutls_datum_t ticket;

	assert_int_equal(
	    ask_on(l, request("GET", "/v1/nothing", "", NULL), strlen(request("GET", "/v1/nothing", "", NULL))), 404);
	assert_int_equal(gnutls_session_get_data2(l->session, &ticket), 0);
	line_close(l);

	l = test_calloc(1, sizeof *l);
	l->fd = dial(http_port(w.http));
	gnutls_certificate_allocate_credentials(&l->credentials);
	gnutls_certificate_set_x509_trust_file(l->credentials, w.keys.ca, GNUTLS_X509_FMT_PEM);
	gnutls_init(&l->session, GNUTLS_CLIENT);
	gnutls_priority_set_direct(l->session, priorities, NULL);
	gnutls_credentials_set(l->session, GNUTLS_CRD_CERTIFICATE, l->credentials);
	gnutls_server_name_set(l->session, GNUTLS_NAME_DNS, "localhost", 9);
	gnutls_session_set_data(l->session, ticket.data, ticket.size);
	gnutls_transport_set_int(l->session, l->fd);
	gnutls_handshake_set_timeout(l->session, 5000);
	assert_int_equal(gnutls_handshake(l->session), 0);
	bool resumed = gnutls_session_is_resumed(l->session) != 0;
	gnutls_free(ticket.data);
	line_close(l);
	return resumed;
}

static void sessions_are_resumed(void **unused)
{
	(void)unused;
	assert_true(resumes("NORMAL:-VERS-ALL:+VERS-TLS1.3"));
	assert_true(resumes("NORMAL:-VERS-ALL:+VERS-TLS1.2"));
}

static unsigned char serial_of(const struct line *l)
{
	unsigned count;
	const gnutls_datum_t *sent = gnutls_certificate_get_peers(l->session, &count);
	unsigned char serial[20] = { 0 };
	size_t size = sizeof serial;
	gnutls_x509_crt_t crt;

	gnutls_x509_crt_init(&crt);
	gnutls_x509_crt_import(crt, &sent[0], GNUTLS_X509_FMT_DER);
	gnutls_x509_crt_get_serial(crt, serial, &size);
	gnutls_x509_crt_deinit(crt);
	return serial[size - 1];
}

static void certificates_are_swapped_under_open_connections(void **unused)
{
	const char *text = request("GET", "/v1/nothing", "", NULL);
	struct line *before = line_open(NULL, NULL, NULL), *after;
	struct http_settings s = settings();
	struct err e;

	(void)unused;
	assert_int_equal(ask_on(before, text, strlen(text)), 404);
	unsigned char first = serial_of(before);

	struct door_issuer own = door_issue(&w.keys, "localhost", NULL, 30, NULL);
	door_keep(&own, w.keys.stranger, w.keys.stranger_key);
	door_forget(&own);
	s.certificate = w.keys.stranger;
	s.key = w.keys.stranger_key;
	char *ca = arena_strdup(w.arena, w.keys.ca);
	assert_int_equal(http_reload(w.http, &s).code, OK);
	memcpy(w.keys.ca, w.keys.stranger, sizeof w.keys.ca); /* it is its own CA */
	after = line_open(NULL, NULL, NULL);
	assert_int_equal(ask_on(after, text, strlen(text)), 404);
	assert_int_not_equal(serial_of(after), first);
	assert_int_equal(ask_on(before, text, strlen(text)), 404);
	line_close(after);

	/* All or nothing: the key of another certificate changes nothing, nor does a folder that is not there. */
	s.key = w.keys.key;
	e = http_reload(w.http, &s);
	assert_int_equal(e.code, ERR_INVALID);
	assert_non_null(strstr(e.what, "not the key"));
	s.key = "/nowhere";
	assert_int_equal(http_reload(w.http, &s).code, ERR_INVALID);
	after = line_open(NULL, NULL, NULL);
	assert_int_equal(ask_on(after, text, strlen(text)), 404);
	line_close(after);

	memcpy(w.keys.ca, ca, strlen(ca) + 1);
	s = settings();
	assert_int_equal(http_reload(w.http, &s).code, OK);
	s.header_bytes = 32768;
	assert_int_equal(http_reload(w.http, &s).code, ERR_INVALID);
	assert_int_equal(ask_on(before, text, strlen(text)), 404);
	line_close(before);
}

/* ---- limits ---- */

static void an_address_that_asks_too_often_is_told_so(void **unused)
{
	struct http_settings s = settings();
	const char *text = request("GET", "/v1/nothing", "", NULL);
	const char *forward = request("GET", "/auth/nginx", arena_printf(w.arena, "%s%s", bearer("chen"),
	    ORIGINAL("GET", "/enrollments/" RECORD)), NULL);
	struct line *l = line_open(NULL, NULL, NULL);
	int refused = 0;

	(void)unused;
	s.requests_per_second = 5;
	assert_int_equal(http_reload(w.http, &s).code, OK);
	for (int i = 0; i < 30; i++)
		refused += ask_on(l, text, strlen(text)) == 429;
	assert_in_range(refused, 15, 20);
	assert_true(said("\r\nRetry-After: "));
	for (int i = 0; i < 30; i++)
		assert_int_equal(ask_on(l, forward, strlen(forward)), 200); /* a proxy speaks for many */
	s.requests_per_second = 0;
	assert_int_equal(http_reload(w.http, &s).code, OK);
	assert_int_equal(ask_on(l, text, strlen(text)), 404);
	line_close(l);
}

static void an_address_has_so_many_connections(void **unused)
{
	struct http_settings s = settings();
	struct line *lines[4];
	int open = 0;

	(void)unused;
	s.connections_per_address = 3;
	assert_int_equal(http_reload(w.http, &s).code, OK);
	/* A connection that was closed here may still be counted there for a moment. */
	for (int tries = 0; tries < 100 && open != 3; tries++) {
		open = 0;
		for (int i = 0; i < 4; i++) {
			lines[i] = line_open(NULL, NULL, NULL);
			open += !lines[i]->closed;
		}
		for (int i = 0; i < 4; i++)
			line_close(lines[i]);
		assert_true(open <= 3);
		if (open != 3)
			nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
	}
	assert_int_equal(open, 3);
	s = settings();
	assert_int_equal(http_reload(w.http, &s).code, OK);
}

static void who_drips_is_cut_off_and_others_are_served(void **unused)
{
	struct http_settings s = settings();
	const char *text = request("GET", "/v1/nothing", "", NULL);

	(void)unused;
	close_http();
	s.idle_s = 1;
	open_http(&s);
	struct line *head = line_open(NULL, NULL, NULL), *body = line_open(NULL, NULL, NULL);
	say(head, "GET /v1/me HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", 46);
	say(body, LOGIN "Content-Length: 100\r\n\r\n{", strlen(LOGIN) + 24);
	int64_t begun = clock_steady_ms();
	while ((!head->closed || !body->closed) && clock_steady_ms() - begun < 8000) {
		say(head, "x", 1);
		say(body, " ", 1);
		hear(head, 50);
		hear(body, 50);
		assert_int_equal(ask(text), 404);
	}
	assert_true(head->closed && body->closed);
	assert_in_range(clock_steady_ms() - begun, 1500, 6000);
	line_close(head);
	line_close(body);
	close_http();
	s = settings();
	open_http(&s);
}

static void who_comes_when_too_many_wait_is_told_so(void **unused)
{
	enum { LINES = 40 };
	struct http_settings s = settings();
	struct revision next = { .micros = w.teller.micros + 1000000 };
	struct line *lines[LINES];
	char revision[REVISION_TEXT];
	int stale = 0, overloaded = 0;

	(void)unused;
	close_http();
	s.workers = 1; /* and a queue of 32 before it */
	s.fresh_ms = 30;
	open_http(&s);
	revision_format(&next, revision);
	const char *text = request(
	    "GET", "/v1/me", arena_printf(w.arena, "%sScfgate-At-Least: %s\r\n", bearer("chen"), revision), NULL);
	for (int i = 0; i < LINES; i++)
		lines[i] = line_open(NULL, NULL, NULL);
	for (int i = 0; i < LINES; i++)
		say(lines[i], text, strlen(text));
	for (int i = 0; i < LINES; i++) {
		assert_int_equal(ask_on(lines[i], "", 0), 503);
		assert_true(said("\r\nRetry-After: "));
		stale += said("\"reason\":\"stale_directory\"");
		overloaded += said("\"reason\":\"overloaded\"");
		/* Neither costs the connection. */
		assert_int_equal(ask_on(lines[i], request("GET", "/v1/nothing", "", NULL),
				     strlen(request("GET", "/v1/nothing", "", NULL))),
		    404);
		line_close(lines[i]);
	}
	assert_int_equal(stale + overloaded, LINES);
	assert_true(stale >= 32 && overloaded >= 1);
	close_http();
	s = settings();
	open_http(&s);
}

/* ---- operations ---- */

static int ask_operations(const char *path)
{
	int fd = dial(http_operations_port(w.http));
	char text[256];
	size_t size = 0;
	ssize_t n;

	int length =
	    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(write(fd, text, (size_t)length), length);
	while (size < sizeof told.text - 1 && (n = read(fd, told.text + size, sizeof told.text - 1 - size)) > 0)
		size += (size_t)n;
	told.text[size] = '\0';
	close(fd);
	return size > 12 ? atoi(told.text + 9) : 0;
}

static void operators_see_health_and_numbers(void **unused)
{
	(void)unused;
	assert_int_equal(ask_operations("/health/live"), 200);
	assert_int_equal(ask_operations("/health/ready"), 200);
	assert_true(said("{\"status\":\"pass\",\"checks\":{\"accepting\":{\"status\":\"pass\""));
	assert_true(said("\"audit\":{\"status\":\"pass\"") && said("\"certificate\":{\"status\":\"pass\""));
	assert_int_equal(ask(request("GET", "/auth/nginx", arena_printf(w.arena, "%s%s", bearer("novak"),
	    ORIGINAL("GET", "/enrollments/" RECORD)), NULL)), 403);
	assert_int_equal(ask_operations("/metrics"), 200);
	assert_true(said("scfgate_requests_total{method=\"GET\",route=\"/auth/nginx\",status=\"403\"}"));
	assert_true(said("scfgate_decisions_total{action=\"record.view\",reason=\"consent_revoked\"}") ||
	    said("scfgate_decisions_total{action=\"record.view\",reason=\"no_consent\"}"));
	assert_true(said("scfgate_replica_fresh 1") && said("scfgate_audit_writable 1"));
	assert_false(said(SECRET));
	assert_int_equal(ask_operations("/v1/me"), 404);
	assert_int_equal(ask_operations("/auth/nginx"), 404);
	assert_int_equal(ask_operations("/health/../metrics"), 400);
}

/* ---- rounds ---- */

static void fill(int fd)
{
	static const char bytes[512];

	while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
}

static void the_end_of_a_large_answer_waits_for_its_reader(void **unused)
{
	const struct audit_record decided = { .class = AUDIT_DECISION, .outcome = "permit" };
	struct round *r = round_open(w.audit);
	struct leave leave = { .large = true };
	int ends[2];
	char byte;

	(void)unused;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	leave.fd = ends[0];
	round_enter(r);
	fill(ends[0]);
	assert_int_equal(audit_write(w.audit, &decided).code, OK);
	assert_int_equal(round_send(r, &leave, "end", 3), -1);
	assert_int_equal(errno, EAGAIN);
	round_end(r);
	assert_int_equal(recv(ends[1], &byte, 1, MSG_DONTWAIT), 1);
	assert_int_equal(recv(ends[0], &byte, 1, MSG_DONTWAIT), -1); /* not shut down */
	assert_int_equal(errno, EAGAIN);
	audit_keep(NULL);
	round_close(r);
	close(ends[0]);
	close(ends[1]);
}

static void draining_ends_what_idles_and_refuses_what_is_new(void **unused)
{
	const char *text = request("GET", "/v1/nothing", "", NULL);
	struct http_settings s = settings();
	struct line *idle = line_open(NULL, NULL, NULL);

	(void)unused;
	assert_int_equal(ask_on(idle, text, strlen(text)), 404);
	int64_t begun = clock_steady_ms();
	http_drain(w.http);
	assert_in_range(clock_steady_ms() - begun, 0, 1000);
	while (hear(idle, 2000))
		;
	assert_true(idle->closed);
	line_close(idle);
	assert_int_equal(ask_operations("/health/ready"), 503);
	assert_true(said("draining"));
	assert_int_equal(ask_operations("/health/live"), 200);
	http_close(w.http);
	open_http(&s);
	assert_int_equal(ask(text), 404);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_that_two_could_read_differently_ends_the_connection),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(bodies_come_in_pieces),
		cmocka_unit_test(sizes_are_limited),
		cmocka_unit_test(only_current_tls_is_spoken),
		cmocka_unit_test(sessions_are_resumed),
		cmocka_unit_test(certificates_are_swapped_under_open_connections),
		cmocka_unit_test(an_address_that_asks_too_often_is_told_so),
		cmocka_unit_test(an_address_has_so_many_connections),
		cmocka_unit_test(who_drips_is_cut_off_and_others_are_served),
		cmocka_unit_test(who_comes_when_too_many_wait_is_told_so),
		cmocka_unit_test(operators_see_health_and_numbers),
		cmocka_unit_test(the_end_of_a_large_answer_waits_for_its_reader),
		cmocka_unit_test(draining_ends_what_idles_and_refuses_what_is_new),
	};

	return cmocka_run_group_tests(tests, open_house, close_house);
}
