/* The whole door, spoken to over TLS with exact bytes: real workflows and replica, filled with the sample world; the
 * directory is a socket that nobody listens at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/secret.h"
#include "door_keys.h"
#include "http/http.h"
#include "sample_world.h"

#define RECORD "O20240115000001"
#define SECRET "portal secret 2026"

static struct {
	struct door_keys keys;
	struct arena *arena;
	struct replica *replica;
	struct dir *dir;
	struct audit *audit;
	struct flow *flow;
	struct http *http;
	struct world_teller teller;
	char log[128];
} w;

static const struct http_route routes[] = {
	{ "GET", "/enrollments/{record}", RECORD_VIEW },
	{ "PUT", "/enrollments/{record}", RECORD_UPDATE },
	{ "GET", "/organizations/{provider}/enrollments", RECORD_LIST },
	{ "GET", "/wrong/{provider}", RECORD_VIEW },
	{ NULL, NULL, 0 },
};
static const char *const peers[] = { "127.0.0.1/32", NULL };

static struct http_settings settings(void)
{
	return (struct http_settings){ .listen = "127.0.0.1", .operations_listen = "127.0.0.1", .certificate = w.keys.certificate,
		.key = w.keys.key, .client_ca = w.keys.ca, .peers = peers, .routes = routes, .threads = 2, .workers = 2,
		.connections = 500, .connections_per_address = 300, .idle_s = 30, .header_bytes = 8192, .body_bytes = 65536,
		.drain_s = 2, .fresh_ms = 400 };
}

/* ---- the house ---- */

static const char *token_of(const char *user)
{
	static char token[TOKEN_TEXT];

	memset(token, '0', sizeof token - 1);
	memcpy(token, user, strlen(user));
	return token;
}

static void tell_session(const char *user)
{
	char id[DIGEST_TEXT];
	int64_t now = clock_now();

	secret_digest(token_of(user), TOKEN_TEXT - 1, id);
	tell(&w.teller, (struct entry){ .kind = KIND_SESSION, .id = id, .user = user, .state = STATE_ACTIVE, .started_at = now,
		.seen_at = now, .authenticated_at = now, .expires = now + 3600 });
}

static void tell_application(void)
{
	char secret[DIGEST_TEXT], certificate[DIGEST_TEXT];
	const char *const secrets[] = { secret, NULL }, *const certificates[] = { certificate, NULL };
	static const char *const permissions[] = { "decide", NULL };
	gnutls_datum_t pem, der;
	gnutls_x509_crt_t crt;

	secret_digest(SECRET, strlen(SECRET), secret);
	assert_int_equal(gnutls_load_file(w.keys.client, &pem), 0);
	gnutls_x509_crt_init(&crt);
	gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM);
	gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der);
	secret_digest(der.data, der.size, certificate);
	gnutls_free(pem.data);
	gnutls_free(der.data);
	gnutls_x509_crt_deinit(crt);
	tell(&w.teller, (struct entry){ .kind = KIND_APPLICATION, .id = "portal", .state = STATE_ACTIVE, .secret_digests = secrets,
		.certificate_digests = certificates, .permissions = permissions });
}

static void open_http(const struct http_settings *s)
{
	struct err e = http_open(s, w.flow, w.replica, w.dir, w.audit, &w.http);

	if (e.code != OK)
		fail_msg("%s", e.what);
}

static void close_http(void)
{
	http_drain(w.http);
	http_close(w.http);
	w.http = NULL;
}

static int open_house(void **unused)
{
	const struct flow_settings flow = { .session_idle_s = 900, .session_absolute_s = 43200, .session_touch_s = 60,
		.recent_s = 300, .wait_ms = 100, .guesses_per_account = 3, .guesses_per_address = 1000, .guess_window_s = 7200 };
	const struct dir_settings dir = { .uris = { "ldapi://%2Fnonexistent%2Fldapi" }, .base = "dc=scf,dc=example",
		.connect_timeout_ms = 100, .operation_timeout_ms = 100, .binds = 1, .searches = 1, .writers = 1 };
	static const char *const users[] = { "chen", "novak", "outsider", "audit1", "rivera" };

	(void)unused;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	memset(&w, 0, sizeof w);
	door_keys_make(&w.keys);
	w.arena = arena_open();
	snprintf(w.log, sizeof w.log, "%s/audit.log", w.keys.folder);
	assert_int_equal(audit_open(&(struct audit_settings){ .file = w.log, .sync_ms = 50 }, &w.audit).code, OK);
	assert_int_equal(dir_open(&dir, &w.dir).code, OK);
	assert_int_equal(replica_open_alone(&w.replica).code, OK);
	assert_int_equal(flow_open(&flow, w.replica, w.dir, NULL, w.audit, NULL, &w.flow).code, OK);
	w.teller.listener = replica_listener(w.replica);
	tell_sample_world(&w.teller);
	for (size_t i = 0; i < COUNT(users); i++)
		tell_session(users[i]);
	tell_application();
	struct http_settings s = settings();
	open_http(&s);
	return 0;
}

static int close_house(void **unused)
{
	(void)unused;
	if (w.http != NULL)
		close_http();
	flow_close(w.flow);
	replica_close(w.replica);
	dir_close(w.dir);
	audit_close(w.audit);
	unlink(w.log);
	door_keys_remove(&w.keys);
	arena_close(w.arena);
	return 0;
}

/* ---- a client ---- */

struct line {
	int fd;
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	char got[65536];
	size_t size;
	bool closed;
};

static int dial(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* NULL: there was no connection, or no handshake. */
static struct line *line_open(const char *priorities, const char *certificate, const char *key)
{
	struct line *l = test_calloc(1, sizeof *l);

	l->fd = dial(http_port(w.http));
	gnutls_certificate_allocate_credentials(&l->credentials);
	gnutls_certificate_set_x509_trust_file(l->credentials, w.keys.ca, GNUTLS_X509_FMT_PEM);
	if (certificate != NULL)
		assert_int_equal(gnutls_certificate_set_x509_key_file(l->credentials, certificate, key, GNUTLS_X509_FMT_PEM), 0);
	gnutls_init(&l->session, GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT);
	gnutls_priority_set_direct(l->session, priorities != NULL ? priorities : "NORMAL", NULL);
	gnutls_credentials_set(l->session, GNUTLS_CRD_CERTIFICATE, l->credentials);
	gnutls_server_name_set(l->session, GNUTLS_NAME_DNS, "localhost", 9);
	gnutls_session_set_verify_cert(l->session, "localhost", 0);
	gnutls_transport_set_int(l->session, l->fd);
	gnutls_handshake_set_timeout(l->session, 5000);
	int rc = -1;
	while (l->fd >= 0 && (rc = gnutls_handshake(l->session)) < 0 && gnutls_error_is_fatal(rc) == 0)
		;
	l->closed = rc < 0;
	return l;
}

static void line_close(struct line *l)
{
	gnutls_deinit(l->session);
	gnutls_certificate_free_credentials(l->credentials);
	if (l->fd >= 0)
		close(l->fd);
	test_free(l);
}

static void say(struct line *l, const char *bytes, size_t size)
{
	while (size > 0 && !l->closed) {
		ssize_t n = gnutls_record_send(l->session, bytes, size);

		if (n < 0 && gnutls_error_is_fatal((int)n)) {
			l->closed = true;
		} else if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
	}
}

/* Reads what there is within ms. */
static bool hear(struct line *l, int ms)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	if (l->closed || (gnutls_record_check_pending(l->session) == 0 && poll(&p, 1, ms) <= 0))
		return false;
	ssize_t n = gnutls_record_recv(l->session, l->got + l->size, sizeof l->got - 1 - l->size);
	if (n == 0 || (n < 0 && gnutls_error_is_fatal((int)n))) {
		l->closed = true;
		return false;
	}
	if (n > 0)
		l->size += (size_t)n;
	l->got[l->size] = '\0';
	return true;
}

/* Has a whole answer been heard? Its size, or 0. */
static size_t answer_size(const struct line *l)
{
	const char *end = strstr(l->got, "\r\n\r\n"), *length = strcasestr(l->got, "\r\nContent-Length:");

	if (end == NULL)
		return 0;
	size_t head = (size_t)(end + 4 - l->got), body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
	return l->size >= head + body ? head + body : 0;
}

struct told {
	int status;
	char text[65536]; /* head and body */
	bool closed;      /* the connection, after it */
};

static void take_answer(struct line *l, struct told *out)
{
	size_t size;

	out->status = 0;
	while ((size = answer_size(l)) == 0 && hear(l, 5000))
		;
	memcpy(out->text, l->got, size);
	out->text[size] = '\0';
	memmove(l->got, l->got + size, l->size - size + 1);
	l->size -= size;
	if (size > 0)
		out->status = atoi(out->text + 9);
	out->closed = l->closed;
}

static struct told told;

static int ask_on(struct line *l, const char *bytes, size_t size)
{
	say(l, bytes, size);
	take_answer(l, &told);
	return told.status;
}

static int ask_bytes(const char *bytes, size_t size)
{
	struct line *l = line_open(NULL, NULL, NULL);
	int status = ask_on(l, bytes, size);

	line_close(l);
	return status;
}

static int ask(const char *text)
{
	return ask_bytes(text, strlen(text));
}

/* fields: further header lines, or "". */
static const char *request(const char *method, const char *target, const char *fields, const char *body)
{
	return arena_printf(w.arena, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n%s", method, target, fields,
	    body != NULL ? "Content-Type: application/json\r\n" : "",
	    body != NULL ? arena_printf(w.arena, "Content-Length: %zu\r\n", strlen(body)) : "", body != NULL ? body : "");
}

static const char *bearer(const char *user)
{
	return arena_printf(w.arena, "Authorization: Bearer %s\r\n", token_of(user));
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strcasestr(text, part)) != NULL; text++)
		n++;
	return n;
}

static bool said(const char *part)
{
	return strcasestr(told.text, part) != NULL;
}

/* ---- forward authorization ---- */

#define ORIGINAL(method, uri) "X-Original-Method: " method "\r\nX-Original-URI: " uri "\r\n"

static void a_permit_names_everything_once(void **unused)
{
	static const char *const names[] = { "\r\nRemote-User: chen\r\n", "\r\nScfgate-Provider: lakeside\r\n",
		"\r\nScfgate-Employer: lakeside\r\n", "\r\nScfgate-Path: a-chen-lakeside\r\n", "\r\nScfgate-Revision: 2",
		"\r\nCache-Control: no-store\r\n" };
	const char *text = request("GET", "/auth/nginx", arena_printf(w.arena, "%s%sRemote-User: rivera\r\nScfgate-Path: x\r\n",
	    bearer("chen"), ORIGINAL("GET", "/enrollments/" RECORD "?x=/../y")), NULL);
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
	static const struct { const char *name, *user, *fields; int status; } rows[] = {
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
		{ "two targets", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "X-Original-URI: /elsewhere\r\n", 403 },
		{ "two methods", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "x-original-method: GET\r\n", 403 },
		{ "two in one line", "chen", ORIGINAL("GET", "/enrollments/" RECORD ", /x"), 403 },
		{ "a look-alike beside it", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "X_Original_URI: /x\r\n", 403 },
		{ "a look-alike of an identity", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "Remote_User: rivera\r\n", 403 },
		{ "two tokens", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "Authorization: Bearer x\r\n", 403 },
		{ "token and cookie", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "Cookie: __Host-scfgate=x\r\n", 403 },
		{ "two cookies", NULL, ORIGINAL("GET", "/enrollments/" RECORD) "Cookie: __Host-scfgate=x; __Host-scfgate=x\r\n", 403 },
		{ "dot dot", "chen", ORIGINAL("GET", "/x/../enrollments/" RECORD), 403 },
		{ "encoded dot dot", "chen", ORIGINAL("GET", "/x/%2e%2e/enrollments/" RECORD), 403 },
		{ "double slash", "chen", ORIGINAL("GET", "//enrollments/" RECORD), 403 },
		{ "a blank", "chen", ORIGINAL("GET", "/enrollments/" RECORD " x"), 403 },
		{ "bytes above 127", "chen", ORIGINAL("GET", "/enrollments/" RECORD "\xff"), 403 },
		{ "absolute form", "chen", ORIGINAL("GET", "https://localhost/enrollments/" RECORD), 403 },
		{ "other headers for the target", "chen", ORIGINAL("GET", "/x") "X-Original-URL: /enrollments/" RECORD "\r\n"
		  "X-Forwarded-Uri: /enrollments/" RECORD "\r\nX-Rewrite-URL: /enrollments/" RECORD "\r\n", 403 },
		{ "an overridden method", "chen", ORIGINAL("DELETE", "/enrollments/" RECORD) "X-HTTP-Method-Override: GET\r\n", 403 },
		{ "a header named in Connection", "chen", "Connection: X-Original-URI\r\nX-Original-Method: GET\r\n", 403 },
		{ "a revision that is none", "chen", ORIGINAL("GET", "/enrollments/" RECORD) "Scfgate-At-Least: yesterday\r\n", 403 },
		{ "a revision of the future", "chen", ORIGINAL("GET", "/enrollments/" RECORD)
		  "Scfgate-At-Least: 20991231000000.000000Z#000000#000#000000\r\n", 503 },
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
	const struct { const char *name, *text; int status; const char *part; } rows[] = {
		{ "an unknown path", request("GET", "/v1/nothing", "", NULL), 404, "\"reason\":\"not_found\"" },
		{ "operators' calls", request("GET", "/metrics", "", NULL), 404, "not_found" },
		{ "another method", request("DELETE", "/v1/me", "", NULL), 405, "\r\nAllow: GET, HEAD\r\n" },
		{ "TRACE", request("TRACE", "/v1/me", "", NULL), 405, "\r\nAllow:" },
		{ "a word as a method", request("FETCH", "/v1/me", "", NULL), 405, "\r\nAllow:" },
		{ "an overridden method", request("GET", "/v1/login", "X-HTTP-Method-Override: POST\r\n", NULL), 405, "Allow: POST" },
		{ "no session", request("GET", "/v1/me", "", NULL), 401, "\r\nWWW-Authenticate: Bearer realm=\"scfgate\"\r\n" },
		{ "an unknown session", request("GET", "/v1/me", bearer("x"), NULL), 401, "error=\"invalid_token\"" },
		{ "a token that is too long", request("GET", "/v1/me", "Authorization: Bearer 0123456789012345678901234567890123456789"
		  "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n", NULL), 401, "" },
		{ "another scheme", request("GET", "/v1/me", "Authorization: Basic Y2hlbjp4\r\n", NULL), 401, "" },
		{ "token and cookie", request("GET", "/v1/me", arena_printf(w.arena, "%sCookie: __Host-scfgate=x\r\n",
		  bearer("chen")), NULL), 400, "malformed_request" },
		{ "no content type", "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415, "" },
		{ "another content type", "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
		  "Content-Length: 2\r\n\r\n{}", 415, "unsupported_media_type" },
		{ "no body", request("POST", "/v1/login", "Content-Type: application/json\r\n", NULL), 400, "empty" },
		{ "no JSON", request("POST", "/v1/login", "", "{"), 400, "line 1" },
		{ "an array", request("POST", "/v1/login", "", "[]"), 400, "object" },
		{ "an unknown member", request("POST", "/v1/login", "", "{\"username\":\"a\",\"pass\":\"b\"}"), 400, "'pass'" },
		{ "a member twice", request("POST", "/v1/login", "", "{\"username\":\"a\",\"username\":\"b\"}"), 400, "duplicate" },
		{ "no name", request("POST", "/v1/login", "", "{\"password\":\"b\"}"), 400, "'username' is required" },
		{ "a name that is a number", request("POST", "/v1/login", "", "{\"username\":1}"), 400, "'username' must be a string" },
		{ "a password that is a number", request("POST", "/v1/login", "", "{\"username\":\"a\",\"password\":1}"), 400, "'password'" },
		{ "a cookie that is a word", request("POST", "/v1/login", "", "{\"username\":\"a\",\"password\":\"b\",\"cookie\":\"yes\"}"),
		  400, "'cookie'" },
		{ "a directory that is away", request("POST", "/v1/login", "", login), 503, "\r\nRetry-After:" },
		{ "a body where none belongs", request("GET", "/v1/me", bearer("chen"), "{}"), 400, "no body" },
		{ "a long body", arena_printf(w.arena, "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		  "Content-Length: 16385\r\n\r\n"), 413, "too_large" },
		{ "another expectation", request("POST", "/v1/login", "Expect: 200-ok\r\n", login), 417, "" },
		{ "no If-Match", request("PUT", "/v1/records/" RECORD, bearer("chen"), "{}"), 428, "precondition_required" },
		{ "a weak tag", request("PUT", "/v1/records/" RECORD, arena_printf(w.arena, "%sIf-Match: W/\"x\"\r\n", bearer("chen")),
		  "{}"), 400, "If-Match" },
		{ "a tag of something else", request("PUT", "/v1/records/" RECORD, arena_printf(w.arena, "%sIf-Match: \"x\"\r\n",
		  bearer("chen")), "{}"), 412, "precondition_failed" },
		{ "no provider", request("GET", "/v1/records", bearer("chen"), NULL), 400, "'provider' is required" },
		{ "an unknown parameter", request("GET", "/v1/records?provider=lakeside&page=2", bearer("chen"), NULL), 400, "'page'" },
		{ "a parameter twice", request("GET", "/v1/records?provider=a&provider=b", bearer("chen"), NULL), 400, "twice" },
		{ "a stranger's list", request("GET", "/v1/records?provider=lakeside", bearer("outsider"), NULL), 404, "not_found" },
		{ "no consent", request("GET", "/v1/records/" RECORD, bearer("novak"), NULL), 403, "\"reason\":\"no_consent\"" },
		{ "a stranger's record", request("GET", "/v1/records/" RECORD, bearer("outsider"), NULL), 404, "not_found" },
		{ "a revision that is none", request("GET", "/v1/me", arena_printf(w.arena, "%sScfgate-At-Least: x\r\n", bearer("chen")),
		  NULL), 400, "contextCSN" },
		{ "a revision of the future", request("GET", "/v1/me", arena_printf(w.arena, "%sScfgate-At-Least: "
		  "20991231000000.000000Z#000000#000#000000\r\n", bearer("chen")), NULL), 503, "stale_directory" },
		{ "no form", request("POST", "/v1/organizations/lakeside/submissions", bearer("chen"), "{\"document\":{}}"), 400, "'form'" },
		{ "no document", request("POST", "/v1/organizations/lakeside/submissions", bearer("chen"), "{\"form\":\"855B\"}"), 400,
		  "'document' is required" },
		{ "nobody's association", request("POST", "/v1/organizations/lakeside/submissions", bearer("outsider"),
		  "{\"form\":\"855B\",\"document\":{}}"), 403, "no_association" },
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
	assert_int_equal(ask(request("POST", "/v1/logout", arena_printf(w.arena, "%sX-CSRF-Token: %.63s0\r\n", cookie, right), NULL)),
	    right[63] == '0' ? 503 : 403);
	assert_int_equal(ask(request("POST", "/v1/logout", arena_printf(w.arena, "%sX-CSRF-Token: %.63s\r\n", cookie, right), NULL)), 403);
	/* Past the check it is the directory that is away. */
	assert_int_equal(ask(request("POST", "/v1/logout", arena_printf(w.arena, "%sX-CSRF-Token: %s\r\n", cookie, right), NULL)), 503);
	assert_int_equal(ask(request("GET", "/v1/me", cookie, NULL)), 503);
	assert_int_equal(ask(request("POST", "/v1/logout", bearer("chen"), NULL)), 503);
}

/* ---- decisions asked for ---- */

#define EVALUATION(subject, action, type, id, more) "{\"subject\":{\"type\":\"user\",\"id\":\"" subject "\"},\"action\":{\"name\":\"" \
	action "\"},\"resource\":{\"type\":\"" type "\",\"id\":\"" id "\"}" more "}"

static void evaluations_are_the_standards(void **unused)
{
	static const struct { const char *name, *body; int status; const char *part; } rows[] = {
		{ "a permit", EVALUATION("chen", "record.view", "record", RECORD, ""), 200, "\r\n\r\n{\"decision\":true}" },
		{ "a deny", EVALUATION("novak", "record.view", "record", RECORD, ""), 200, "\r\n\r\n{\"decision\":false}" },
		{ "an unknown subject", EVALUATION("nobody", "record.view", "record", RECORD, ""), 200, "{\"decision\":false}" },
		{ "an unknown resource", EVALUATION("chen", "record.view", "record", "O20991231999999", ""), 200, "{\"decision\":false}" },
		{ "an unknown action", EVALUATION("chen", "record.burn", "record", RECORD, ""), 200, "{\"decision\":false}" },
		{ "a resource of another type", EVALUATION("chen", "record.view", "provider", "lakeside", ""), 200, "{\"decision\":false}" },
		{ "a subject of another type", "{\"subject\":{\"type\":\"application\",\"id\":\"portal\"},\"action\":{\"name\":\"record.view\"},"
		  "\"resource\":{\"type\":\"record\",\"id\":\"" RECORD "\"}}", 200, "{\"decision\":false}" },
		{ "unknown members", EVALUATION("chen", "record.view", "record", RECORD, ",\"more\":[1,{\"a\":null}]"), 200, "true" },
		{ "an explained deny", EVALUATION("novak", "record.view", "record", RECORD, ",\"context\":{\"explain\":true}"), 200,
		  "\"reason\":\"no_consent\"" },
		{ "an explained unknown action", EVALUATION("chen", "record.burn", "record", RECORD, ",\"context\":{\"explain\":true}"),
		  200, "{\"decision\":false,\"context\":{\"reason\":" },
		{ "through an employer", "{\"subject\":{\"type\":\"user\",\"id\":\"chen\",\"properties\":{\"employer\":\"meridian\"}},"
		  "\"action\":{\"name\":\"record.view\"},\"resource\":{\"type\":\"record\",\"id\":\"" RECORD "\"}}", 200, "{\"decision\":false}" },
		{ "an employer that is a number", "{\"subject\":{\"type\":\"user\",\"id\":\"chen\",\"properties\":{\"employer\":1}},"
		  "\"action\":{\"name\":\"record.view\"},\"resource\":{\"type\":\"record\",\"id\":\"" RECORD "\"}}", 400, "'employer'" },
		{ "no subject", "{\"action\":{\"name\":\"x\"},\"resource\":{\"type\":\"record\",\"id\":\"x\"}}", 400, "'subject' must be an object" },
		{ "a subject that is a word", "{\"subject\":\"chen\",\"action\":{\"name\":\"x\"},\"resource\":{\"type\":\"record\",\"id\":\"x\"}}",
		  400, "'subject'" },
		{ "no action name", "{\"subject\":{\"type\":\"user\",\"id\":\"chen\"},\"action\":{},\"resource\":{\"type\":\"record\",\"id\":\"x\"}}",
		  400, "'name' is required" },
		{ "a number as an id", "{\"subject\":{\"type\":\"user\",\"id\":7},\"action\":{\"name\":\"x\"},\"resource\":{\"type\":\"record\","
		  "\"id\":\"x\"}}", 400, "'id' must be a string" },
		{ "a member twice", "{\"subject\":{\"type\":\"user\",\"id\":\"novak\",\"id\":\"chen\"},\"action\":{\"name\":\"record.view\"},"
		  "\"resource\":{\"type\":\"record\",\"id\":\"" RECORD "\"}}", 400, "duplicate" },
		{ "a lone surrogate", EVALUATION("\\ud800", "record.view", "record", RECORD, ""), 400, "" },
		{ "bytes that are not UTF-8", EVALUATION("\xff", "record.view", "record", RECORD, ""), 400, "UTF-8" },
		{ "an array", "[]", 400, "object" },
		{ "a revision that is none", EVALUATION("chen", "record.view", "record", RECORD, ",\"context\":{\"at_least_as_fresh\":\"x\"}"),
		  400, "at_least_as_fresh" },
		{ "a revision of the future", EVALUATION("chen", "record.view", "record", RECORD,
		  ",\"context\":{\"at_least_as_fresh\":\"20991231000000.000000Z#000000#000#000000\"}"), 503, "stale_directory" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int status = ask(request("POST", "/access/v1/evaluation", "Authorization: Bearer " SECRET "\r\nX-Request-ID: abc\r\n",
		    rows[i].body));

		if (status != rows[i].status || !said(rows[i].part))
			fail_msg("%s: %d %s", rows[i].name, status, told.text);
		assert_true(said("\r\nX-Request-ID: abc\r\n"));
	}
	const char *body = EVALUATION("chen", "record.view", "record", RECORD, "");
	assert_int_equal(ask(request("POST", "/access/v1/evaluation", "", body)), 401);
	assert_int_equal(ask(request("POST", "/access/v1/evaluation", "Authorization: Bearer wrong\r\n", body)), 401);
	assert_int_equal(ask(request("POST", "/access/v1/evaluation", bearer("chen"), body)), 401);
	assert_int_equal(with_certificate(w.keys.client, w.keys.client_key, request("POST", "/access/v1/evaluation", "", body)), 200);
	assert_int_equal(with_certificate(w.keys.stranger, w.keys.stranger_key, request("POST", "/access/v1/evaluation", "", body)), 401);
	assert_int_equal(ask("POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
	    "Authorization: Bearer " SECRET "\r\nContent-Length: 2\r\n\r\n{}"), 400);
}

static void explanations_are_for_applications_and_auditors(void **unused)
{
	static const char body[] = "{\"subject\":\"novak\",\"action\":\"record.view\",\"resource\":{\"type\":\"record\",\"id\":\"" RECORD "\"}}";

	(void)unused;
	assert_int_equal(ask(request("POST", "/v1/explain", "", body)), 401);
	assert_int_equal(ask(request("POST", "/v1/explain", bearer("chen"), body)), 403);
	assert_true(said("\"reason\":\"not_auditor\""));
	assert_int_equal(ask(request("POST", "/v1/explain", "Authorization: Bearer " SECRET "\r\n", body)), 200);
	assert_true(said("{\"decision\":false,\"reason\":\"no_consent\""));
	assert_true(said("\"employer\":\"harbor\",\"association\":\"a-novak-harbor\",\"consent\":null,\"open\":false"));
	assert_true(said("\"dn\":\"uid=novak,ou=people,dc=scf,dc=example\""));
	assert_int_equal(ask(request("POST", "/v1/explain", bearer("audit1"), body)), 200);
	assert_int_equal(ask(request("POST", "/v1/explain", bearer("audit1"), "{\"subject\":\"novak\",\"action\":\"x\"}")), 400);
	assert_int_equal(ask(request("POST", "/v1/explain", bearer("audit1"), "{\"subject\":\"novak\",\"who\":\"x\"}")), 400);
	assert_true(said("'who'"));
	assert_int_equal(ask(request("POST", "/v1/explain", bearer("audit1"), "{\"subject\":\"audit1\",\"action\":\"audit.read\"}")), 200);
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
	const char *text = request("GET", "/auth/nginx", arena_printf(w.arena, "%s%sScfgate-At-Least: %s\r\n", bearer("novak"),
	    ORIGINAL("GET", "/enrollments/" RECORD), revision), NULL);

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

/* ---- framing ---- */

#define BEHIND "GET /v1/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void a_request_that_two_could_read_differently_ends_the_connection(void **unused)
{
	static const struct { const char *name, *text; size_t size; } rows[] = {
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
		ROW("Authorization twice", ME "Host: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"),
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
	const char *first = request("POST", "/access/v1/evaluation", "Authorization: Bearer " SECRET "\r\nX-Request-ID: first\r\n",
	    EVALUATION("chen", "record.view", "record", RECORD, ""));
	const char *both = arena_printf(w.arena, "%s%s%s", first, request("GET", "/v1/me", "X-Request-ID: second\r\n", NULL),
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
	const char *head = "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	    "Authorization: Bearer " SECRET "\r\n";
	struct line *l = line_open(NULL, NULL, NULL);

	(void)unused;
	const char *chunked = arena_printf(w.arena, "%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%.10s\r\n%zx;x=y\r\n%s\r\n0\r\n\r\n", head,
	    10, body, strlen(body) - 10, body + 10);
	for (size_t i = 0; i < strlen(chunked); i += 7)
		say(l, chunked + i, strlen(chunked) - i < 7 ? strlen(chunked) - i : 7);
	assert_int_equal(ask_on(l, "", 0), 200);

	/* Expect: 100-continue is answered before the body is sent. */
	const char *expecting = arena_printf(w.arena, "%sExpect: 100-continue\r\nContent-Length: %zu\r\n\r\n", head, strlen(body));
	assert_int_equal(ask_on(l, expecting, strlen(expecting)), 100);
	assert_int_equal(ask_on(l, body, strlen(body)), 200);

	/* A refusal comes instead of the 100. */
	expecting = "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
	    "Content-Length: 20000\r\n\r\n";
	assert_int_equal(ask_on(l, expecting, strlen(expecting)), 413);
	line_close(l);

	/* A body that is refused but small is read, and the connection stays. */
	l = line_open(NULL, NULL, NULL);
	const char *refused = request("PUT", "/v1/records/" RECORD, "", "{\"some\":\"document\"}");
	assert_int_equal(ask_on(l, refused, strlen(refused)), 401);
	assert_int_equal(ask_on(l, request("GET", "/v1/nothing", "", NULL), strlen(request("GET", "/v1/nothing", "", NULL))), 404);
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
	status = ask_on(l, arena_printf(w.arena, LOGIN "Transfer-Encoding: chunked\r\n\r\n4000\r\n%.16384s\r\n10\r\n%.16s\r\n0\r\n\r\n", piece,
	    piece), strlen(LOGIN) + 28 + 2 + 6 + 16384 + 2 + 4 + 16 + 2 + 5);
	assert_int_equal(status, 413);
	line_close(l);

	/* One that does not end is cut. */
	l = line_open(NULL, NULL, NULL);
	say(l, LOGIN "Transfer-Encoding: chunked\r\n\r\n", strlen(LOGIN) + 30);
	for (int i = 0; i < 200 && !l->closed; i++)
		say(l, arena_printf(w.arena, "4000\r\n%.16384s\r\n", piece), 16384 + 8);
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

	assert_int_equal(ask_on(l, request("GET", "/v1/nothing", "", NULL), strlen(request("GET", "/v1/nothing", "", NULL))), 404);
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
	for (int i = 0; i < 4; i++) {
		lines[i] = line_open(NULL, NULL, NULL);
		open += !lines[i]->closed;
	}
	assert_int_equal(open, 3);
	for (int i = 0; i < 4; i++)
		line_close(lines[i]);
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

/* ---- operations ---- */

static int ask_operations(const char *path)
{
	int fd = dial(http_operations_port(w.http));
	char text[256];
	size_t size = 0;
	ssize_t n;

	int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
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

static void every_decision_is_in_the_audit_log(void **unused)
{
	char *line = NULL;
	size_t room = 0;
	int found = 0;

	(void)unused;
	assert_int_equal(ask(request("GET", "/auth/nginx", arena_printf(w.arena, "%sX-Request-ID: look-for-me\r\n%s", bearer("chen"),
	    ORIGINAL("GET", "/enrollments/" RECORD)), NULL)), 200);
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
		cmocka_unit_test(operators_see_health_and_numbers),
		cmocka_unit_test(draining_ends_what_idles_and_refuses_what_is_new),
		cmocka_unit_test(every_decision_is_in_the_audit_log),
	};

	return cmocka_run_group_tests(tests, open_house, close_house);
}
