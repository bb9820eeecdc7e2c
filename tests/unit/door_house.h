/* A whole door for its tests, and a client that speaks to it over TLS with exact bytes. The workflows and the replica
 * are real, filled with the sample world; the directory is a socket that nobody listens at. Include behind cmocka.h. */
#pragma once

#include <arpa/inet.h>
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

#define ORIGINAL(method, uri) "X-Original-Method: " method "\r\nX-Original-URI: " uri "\r\n"
#define EVALUATION(subject, action, type, id, more)                                                                    \
	"{\"subject\":{\"type\":\"user\",\"id\":\"" subject "\"},\"action\":{\"name\":\"" action                       \
	"\"},\"resource\":{\"type\":\"" type "\",\"id\":\"" id "\"}" more "}"

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

static inline struct http_settings settings(void)
{
	return (struct http_settings){ .listen = "127.0.0.1",
		.operations_listen = "127.0.0.1",
		.certificate = w.keys.certificate,
		.key = w.keys.key,
		.client_ca = w.keys.ca,
		.peers = peers,
		.routes = routes,
		.threads = 2,
		.workers = 2,
		.connections = 500,
		.connections_per_address = 300,
		.idle_s = 30,
		.header_bytes = 8192,
		.body_bytes = 65536,
		.drain_s = 2,
		.fresh_ms = 400 };
}

/* ---- the house ---- */

static const char *token_of(const char *user)
{
	static char token[TOKEN_TEXT];

	memset(token, '0', sizeof token - 1);
	memcpy(token, user, strlen(user));
	return token;
}

static inline void tell_session(const char *user)
{
	char id[DIGEST_TEXT];
	int64_t now = clock_now();

	secret_digest(token_of(user), TOKEN_TEXT - 1, id);
	tell(&w.teller, (struct entry){ .kind = KIND_SESSION,
			    .id = id,
			    .user = user,
			    .state = STATE_ACTIVE,
			    .started_at = now,
			    .seen_at = now,
			    .authenticated_at = now,
			    .expires = now + 3600 });
}

static inline void tell_application(void)
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
	tell(&w.teller, (struct entry){ .kind = KIND_APPLICATION,
			    .id = "portal",
			    .state = STATE_ACTIVE,
			    .secret_digests = secrets,
			    .certificate_digests = certificates,
			    .permissions = permissions });
}

static inline void open_http(const struct http_settings *s)
{
	struct err e = http_open(s, w.flow, w.replica, w.dir, w.audit, &w.http);

	if (e.code != OK)
		fail_msg("%s", e.what);
}

static inline void close_http(void)
{
	http_drain(w.http);
	http_close(w.http);
	w.http = NULL;
}

static inline int open_house(void **unused)
{
	const struct flow_settings flow = { .session_idle_s = 900,
		.session_absolute_s = 43200,
		.session_touch_s = 60,
		.recent_s = 300,
		.wait_ms = 100,
		.guesses_per_account = 3,
		.guesses_per_address = 1000,
		.guess_window_s = 7200 };
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
	assert_int_equal(flow_open(&flow, w.replica, w.dir, NULL, w.audit, NULL, NULL, &w.flow).code, OK);
	w.teller.listener = replica_listener(w.replica);
	tell_sample_world(&w.teller);
	for (size_t i = 0; i < COUNT(users); i++)
		tell_session(users[i]);
	tell_application();
	struct http_settings s = settings();
	open_http(&s);
	return 0;
}

static inline int close_house(void **unused)
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

static inline int dial(int port)
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
static inline struct line *line_open(const char *priorities, const char *certificate, const char *key)
{
	struct line *l = test_calloc(1, sizeof *l);

	l->fd = dial(http_port(w.http));
	gnutls_certificate_allocate_credentials(&l->credentials);
	gnutls_certificate_set_x509_trust_file(l->credentials, w.keys.ca, GNUTLS_X509_FMT_PEM);
	if (certificate != NULL)
		assert_int_equal(
		    gnutls_certificate_set_x509_key_file(l->credentials, certificate, key, GNUTLS_X509_FMT_PEM), 0);
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

static inline void line_close(struct line *l)
{
	gnutls_deinit(l->session);
	gnutls_certificate_free_credentials(l->credentials);
	if (l->fd >= 0)
		close(l->fd);
	test_free(l);
}

static inline void say(struct line *l, const char *bytes, size_t size)
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
static inline bool hear(struct line *l, int ms)
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
static inline size_t answer_size(const struct line *l)
{
	const char *end = strstr(l->got, "\r\n\r\n"), *length = strcasestr(l->got, "\r\nContent-Length:");

	if (end == NULL)
		return 0;
	size_t head = (size_t)(end + 4 - l->got),
	       body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
	return l->size >= head + body ? head + body : 0;
}

struct told {
	int status;
	char text[65536]; /* head and body */
	bool closed;      /* the connection, after it */
};

static inline void take_answer(struct line *l, struct told *out)
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

static inline int ask_on(struct line *l, const char *bytes, size_t size)
{
	say(l, bytes, size);
	take_answer(l, &told);
	return told.status;
}

static inline int ask_bytes(const char *bytes, size_t size)
{
	struct line *l = line_open(NULL, NULL, NULL);
	int status = ask_on(l, bytes, size);

	line_close(l);
	return status;
}

static inline int ask(const char *text)
{
	return ask_bytes(text, strlen(text));
}

/* fields: further header lines, or "". */
static const char *request(const char *method, const char *target, const char *fields, const char *body)
{
	return arena_printf(w.arena, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n%s", method, target, fields,
	    body != NULL ? "Content-Type: application/json\r\n" : "",
	    body != NULL ? arena_printf(w.arena, "Content-Length: %zu\r\n", strlen(body)) : "",
	    body != NULL ? body : "");
}

static const char *bearer(const char *user)
{
	return arena_printf(w.arena, "Authorization: Bearer %s\r\n", token_of(user));
}

static inline unsigned count_of(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strcasestr(text, part)) != NULL; text++)
		n++;
	return n;
}

static inline bool said(const char *part)
{
	return strcasestr(told.text, part) != NULL;
}
