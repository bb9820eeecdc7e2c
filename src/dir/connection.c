/* Making connections: options, TLS, binding as the service; each within its time whatever the server does. */
#include "dir/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"

#include "base/banned.h"

#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_PROBES 3
#define KEEPALIVE_INTERVAL_S 2
#define SECRET_MOST 1024
#define READ_AHEAD (64 * 1024)

static struct timeval interval(int64_t ms)
{
	if (ms < 0)
		ms = 0;
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

const char *connection_uri(const struct connection *c)
{
	return c->connector->settings->uris[c->server];
}

/* ---- the socket ---- */

/* libldap calls this as soon as it has a socket, before the TLS handshake. */
static int socket_made(LDAP *ld, Sockbuf *sb, LDAPURLDesc *url, struct sockaddr *address, struct ldap_conncb *callback)
{
	struct connection *c = callback->lc_arg;
	ber_socket_t fd = -1;

	(void)ld, (void)url, (void)address;
	if (ber_sockbuf_ctrl(sb, LBER_SB_OPT_GET_FD, &fd) != 1 || fd < 0)
		return 0;
	if (c->attempt != NULL)
		watch_socket(c->attempt, fd);
	if (c->owner != NULL)
		watch_socket(c->owner, fd);
	return 0;
}

static void socket_gone(LDAP *ld, Sockbuf *sb, struct ldap_conncb *callback)
{
	(void)ld, (void)sb, (void)callback;
}

static int socket_of(const struct connection *c)
{
	int fd = -1;

	return ldap_get_option(c->ld, LDAP_OPT_DESC, &fd) == LDAP_OPT_SUCCESS ? fd : -1;
}

/* ---- options ---- */

static bool set_tls(struct connection *c)
{
	const struct dir_settings *s = c->connector->settings;
	int demand = LDAP_OPT_X_TLS_DEMAND, least = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2, client = 0;

	return ldap_set_option(c->ld, LDAP_OPT_X_TLS_CACERTFILE, s->ca_file) == LDAP_OPT_SUCCESS &&
	       (s->certificate_file == NULL ||
		   (ldap_set_option(c->ld, LDAP_OPT_X_TLS_CERTFILE, s->certificate_file) == LDAP_OPT_SUCCESS &&
		       ldap_set_option(c->ld, LDAP_OPT_X_TLS_KEYFILE, s->key_file) == LDAP_OPT_SUCCESS)) &&
	       ldap_set_option(c->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(c->ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least) == LDAP_OPT_SUCCESS &&
	       ldap_set_option(c->ld, LDAP_OPT_X_TLS_NEWCTX, &client) == LDAP_OPT_SUCCESS;
}

/* Without these, libldap follows referrals, waits forever, and takes what it finds in files and the environment. */
static bool set_options(struct connection *c, int64_t deadline)
{
	int version = LDAP_VERSION3, never = LDAP_DEREF_NEVER, none = LDAP_NO_LIMIT;
	int idle = KEEPALIVE_IDLE_S, probes = KEEPALIVE_PROBES, between = KEEPALIVE_INTERVAL_S;
	unsigned user_timeout = (unsigned)(KEEPALIVE_IDLE_S + KEEPALIVE_PROBES * KEEPALIVE_INTERVAL_S) * 1000;
	struct timeval connect = interval(deadline - clock_steady_ms());
	struct timeval operation = interval(c->connector->settings->operation_timeout_ms);

	if (ldap_set_option(c->ld, LDAP_OPT_PROTOCOL_VERSION, &version) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_DEREF, &never) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_SIZELIMIT, &none) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_TIMELIMIT, &none) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_RESTART, LDAP_OPT_ON) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_NETWORK_TIMEOUT, &connect) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_TIMEOUT, &operation) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_X_KEEPALIVE_IDLE, &idle) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_X_KEEPALIVE_PROBES, &probes) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_X_KEEPALIVE_INTERVAL, &between) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(c->ld, LDAP_OPT_TCP_USER_TIMEOUT, &user_timeout) != LDAP_OPT_SUCCESS)
		return false;
	/* ITS#8047: without this the handshake with a server that says nothing never ends, and spins. */
	if (ldap_set_option(c->ld, LDAP_OPT_CONNECT_ASYNC, LDAP_OPT_ON) != LDAP_OPT_SUCCESS)
		return false;
	c->callback = (struct ldap_conncb){ socket_made, socket_gone, c };
	return ldap_set_option(c->ld, LDAP_OPT_CONNECT_CB, &c->callback) == LDAP_OPT_SUCCESS;
}

/* ---- steps ---- */

/* Until the socket is connected, libldap says "connecting" to every request and drops it. */
static bool still_connecting(struct connection *c, int rc, int64_t deadline)
{
	int64_t left = deadline - clock_steady_ms();

	if (rc != LDAP_X_CONNECTING || left <= 0 || watch_expired(c->attempt) || (c->owner && watch_expired(c->owner)))
		return false;
	struct pollfd p = { .fd = c->attempt->fd, .events = POLLOUT };
	poll(&p, 1, left < 20 ? (int)left : 20); /* short: the owner may want it to end */
	return true;
}

/* By itself libldap reads each message with two or three system calls, however many have come. */
static void read_ahead(struct connection *c)
{
	Sockbuf *sb = NULL;
	ber_len_t size = READ_AHEAD;

	if (ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) == LDAP_OPT_SUCCESS && sb != NULL &&
	    ber_sockbuf_add_io(sb, &ber_sockbuf_io_readahead, LBER_SBIOD_LEVEL_PROVIDER, NULL) == 0)
		ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_READAHEAD, &size);
}

static int left_until(int64_t deadline)
{
	int64_t left = deadline - clock_steady_ms();

	return left > 0 ? (int)left : 0;
}

/* RFC 4511 4.14. Whoever takes the line between us can say "no": then there is no connection, not a plain one. */
static struct err start_tls(struct connection *c, int64_t deadline)
{
	int id, rc, code;

	do
		rc = ldap_start_tls(c->ld, NULL, NULL, &id);
	while (still_connecting(c, rc, deadline));
	TRY(connection_result(c, rc, id, left_until(deadline), &code, NULL));
	if (code != LDAP_SUCCESS)
		return FAIL(ERR_UNAVAILABLE, "the directory refuses StartTLS");
	if (ldap_install_tls(c->ld) != LDAP_SUCCESS)
		return FAIL(ERR_UNAVAILABLE, "TLS with the directory fails");
	return SUCCESS;
}

/* Over GnuTLS, libldap takes the option for the oldest version and forgets it (and leaks when told by cipher suites).
 * So what came of the handshake is looked at: "TLS1.3", or with OpenSSL "TLSv1.3". */
static bool is_encrypted(struct connection *c)
{
	char *version = NULL;

	if (!ldap_tls_inplace(c->ld) || ldap_get_option(c->ld, LDAP_OPT_X_TLS_VERSION, &version) != LDAP_OPT_SUCCESS ||
	    version == NULL)
		return false;
	const char *digits = version + (text_begins(version, "TLSv") ? 4 : 3);
	bool good = text_begins(version, "TLS") && text_begins(digits, "1.") && digits[2] >= '2' && digits[2] <= '9';
	ldap_memfree(version);
	return good;
}

/* Any question will do: no password goes to a server that does not answer. */
static struct err greet(struct connection *c, int64_t deadline)
{
	static char no_attributes[] = LDAP_NO_ATTRS;
	static char *nothing[] = { no_attributes, NULL };
	int id, rc, code;

	do
		rc = ldap_search_ext(
		    c->ld, "", LDAP_SCOPE_BASE, "(objectClass=*)", nothing, 1, NULL, NULL, NULL, 1, &id);
	while (still_connecting(c, rc, deadline));
	return connection_result(c, rc, id, left_until(deadline), &code, NULL);
}

/* The first line of the file; *secret has SECRET_MOST bytes and is to be wiped by the caller. */
static struct err read_secret(const char *file, char *secret, size_t *size)
{
	FILE *f = fopen(file, "re");

	if (f == NULL) {
		log_event(LOG_ERROR, "directory.password_file", "file=%s error=\"%s\"", file, strerror(errno));
		return FAIL(ERR_UNAVAILABLE, "cannot read the directory's password file");
	}
	setvbuf(f, NULL, _IONBF, 0); /* no second copy in a buffer of the library */
	bool read = fgets(secret, SECRET_MOST, f) != NULL;
	fclose(f);
	*size = read ? strcspn(secret, "\r\n") : 0;
	if (*size == 0)
		return FAIL(ERR_UNAVAILABLE, "the directory's password file has no first line");
	return SUCCESS;
}

static struct err bind_service(struct connection *c, int64_t deadline)
{
	const struct dir_settings *s = c->connector->settings;
	char secret[SECRET_MOST] = "", *diagnostics = NULL;
	struct berval credentials = { 0, secret };
	int id = -1, rc, code = LDAP_SUCCESS;

	if (s->bind_dn == NULL) {
		rc = ldap_sasl_bind(c->ld, "", "EXTERNAL", &credentials, NULL, NULL, &id);
	} else {
		struct err e = read_secret(s->password_file, secret, &credentials.bv_len);
		if (e.code) {
			secret_wipe(secret, sizeof secret);
			return e;
		}
		rc = ldap_sasl_bind(c->ld, s->bind_dn, LDAP_SASL_SIMPLE, &credentials, NULL, NULL, &id);
		secret_wipe(secret, sizeof secret);
	}
	TRY(connection_result(c, rc, id, left_until(deadline), &code, &diagnostics));
	if (code != LDAP_SUCCESS)
		log_event(LOG_ERROR, "directory.bind", "server=%s as=%s code=%d text=%s", connection_uri(c),
		    s->bind_dn != NULL ? s->bind_dn : "EXTERNAL", code, diagnostics != NULL ? diagnostics : "");
	ldap_memfree(diagnostics);
	return code == LDAP_SUCCESS ? SUCCESS : FAIL(ERR_UNAVAILABLE, "the directory refuses the service's own bind");
}

static struct err connect_steps(struct connection *c, enum identity identity, int64_t deadline)
{
	const char *uri = connection_uri(c);
	bool encrypted = !text_begins(uri, "ldapi:");

	if (ldap_initialize(&c->ld, uri) != LDAP_SUCCESS)
		return FAIL(ERR_UNAVAILABLE, "not an address of a directory");
	if (!set_options(c, deadline))
		return FAIL(ERR_UNAVAILABLE, "this libldap lacks an option that we need");
	if (encrypted && !set_tls(c))
		return FAIL(ERR_UNAVAILABLE, "the directory's CA file, certificate or key cannot be used");
	if (text_begins(uri, "ldap:"))
		TRY(start_tls(c, deadline));
	else
		TRY(greet(c, deadline));
	/* Whatever libldap did above: nothing secret goes over a line that is not encrypted. */
	if (encrypted && !is_encrypted(c))
		return FAIL(ERR_UNAVAILABLE, "the connection to the directory is not encrypted by TLS 1.2 or later");
	/* Then a message that comes in half cannot hold up a read: waiting is done by poll, which knows the time. */
	int fd = socket_of(c);
	if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
		return FAIL(ERR_UNAVAILABLE, "the connection to the directory has no socket");
	read_ahead(c);
	return identity == SERVICE ? bind_service(c, deadline) : SUCCESS;
}

static void log_diagnostics(struct connection *c, const char *what)
{
	char *text = NULL;

	if (c->ld != NULL)
		ldap_get_option(c->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
	log_event(LOG_DEBUG, "directory.connect", "server=%s what=%s text=%s", connection_uri(c), what,
	    text != NULL ? text : "");
	ldap_memfree(text);
}

struct err connection_open_to(
    struct connection *c, const struct connector *connector, int server, enum identity identity, struct watched *owner)
{
	struct watched attempt;
	int64_t deadline = clock_steady_ms() + connector->settings->connect_timeout_ms;

	*c = (struct connection){ .server = server, .connector = connector, .attempt = &attempt, .owner = owner };
	watch_add(connector->watch, &attempt, deadline);
	struct err e = connect_steps(c, identity, deadline);
	if (e.code)
		log_diagnostics(c, e.what);
	if (e.code && watch_expired(&attempt))
		e.what = "the directory does not answer in time";
	watch_remove(&attempt);
	c->attempt = c->owner = NULL;
	if (e.code)
		connection_close(c);
	return e;
}

struct err connection_open(
    struct connection *c, const struct connector *connector, enum identity identity, struct watched *owner)
{
	struct servers *servers = connector->servers;
	int first = atomic_load(&servers->current);
	struct err e = FAIL(ERR_UNAVAILABLE, "the directory does not answer");

	for (int i = 0; i < servers->count; i++) {
		int server = (first + i) % servers->count;

		if (owner != NULL && watch_expired(owner))
			return FAIL(ERR_UNAVAILABLE, "stopped");
		if (!servers_may_try(servers, server))
			continue;
		e = connection_open_to(c, connector, server, identity, owner);
		if (e.code && owner != NULL && watch_expired(owner)) {
			servers_let_go(servers, server); /* it was us, not the server */
			return e;
		}
		servers_tell(servers, server, e.code == OK, e.what);
		if (e.code == OK)
			return SUCCESS;
	}
	return e;
}

void connection_close(struct connection *c)
{
	if (c->ld != NULL)
		ldap_unbind_ext(c->ld, NULL, NULL);
	c->ld = NULL;
	c->broken = false;
}

bool connection_is_alive(struct connection *c)
{
	struct pollfd p = { .fd = socket_of(c), .events = POLLIN | POLLRDHUP };
	struct timeval now = { 0, 0 };
	LDAPMessage *message = NULL;

	if (c->broken || p.fd < 0)
		return false;
	if (poll(&p, 1, 0) == 0)
		return true;
	if (p.revents != POLLIN)
		return false;
	/* TLS may have something to say below our messages; any message of the server itself is a goodbye. */
	int type = ldap_result(c->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &now, &message);
	ldap_msgfree(message);
	return type == 0;
}

struct err connection_answer(struct connection *c, int rc, int id, int timeout_ms, LDAPMessage **out)
{
	struct timeval timeout = interval(timeout_ms);

	*out = NULL;
	if (rc != LDAP_SUCCESS) {
		c->broken = true;
		return FAIL(ERR_UNAVAILABLE, "the directory cannot be reached");
	}
	int type = ldap_result(c->ld, id, LDAP_MSG_ALL, &timeout, out);
	if (type > 0 && *out != NULL)
		return SUCCESS;
	c->broken = true;
	*out = NULL;
	if (type == 0) {
		if (c->attempt == NULL) /* else whoever connects tells */
			servers_tell(c->connector->servers, c->server, false, "an operation was not answered in time");
		return FAIL(ERR_UNAVAILABLE, "the directory does not answer in time");
	}
	return FAIL(ERR_UNAVAILABLE, "the directory has closed the connection");
}

struct err connection_result(struct connection *c, int rc, int id, int timeout_ms, int *code, char **diagnostics)
{
	LDAPMessage *message;

	if (diagnostics != NULL)
		*diagnostics = NULL;
	TRY(connection_answer(c, rc, id, timeout_ms, &message));
	if (ldap_parse_result(c->ld, message, code, NULL, diagnostics, NULL, NULL, 1) != LDAP_SUCCESS) {
		c->broken = true;
		return FAIL(ERR_UNAVAILABLE, "the directory's answer cannot be read");
	}
	return SUCCESS;
}
