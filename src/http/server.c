/* The door itself: opens and closes the two listeners, and leads requests of the HTTP library through their steps. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "http/round.h"
#include "http/server.h"

#include "base/banned.h"

#define QUEUED_PER_WORKER 32

/* ---- connections ---- */

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info != NULL ? info->socket_context : NULL;
}

static struct client *connection_begins(struct door *door, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *from = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *session =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	struct client *client = client_open(door->http, from->client_addr, fd->connect_fd,
	    session != NULL ? session->tls_session : NULL, door->round);
	if (client != NULL)
		client->wakes = door->wakes;
	return client;
}

static void connection_changes(void *self, struct MHD_Connection *connection, void **context,
    enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = connection_begins(self, connection);
	} else if (*context != NULL) {
		client_close(*context);
		*context = NULL;
	}
}

static enum MHD_Result may_connect(void *self, const struct sockaddr *from, socklen_t size)
{
	struct http *http = self;
	struct address address;

	(void)size;
	pthread_mutex_lock(&http->lock);
	int most = http->policy->connections_per_address;
	pthread_mutex_unlock(&http->lock);
	address_of(from, &address);
	return !http->draining && address_may_connect(http->book, &address, most) ? MHD_YES : MHD_NO;
}

/* ---- requests ---- */

static void *target_known(void *self, const char *target, struct MHD_Connection *connection)
{
	struct http *http = self;
	struct request *q = request_take(http);

	q->connection = connection;
	q->client = client_of(connection);
	request_begin(q, target != NULL ? target : "", http->exact && target != NULL);
	return q;
}

/* Targets are judged raw (target.c); the library is to leave them alone. */
static size_t leave_escaped(void *self, struct MHD_Connection *connection, char *text)
{
	(void)self, (void)connection;
	return strlen(text);
}

static enum MHD_Result take_header(void *self, enum MHD_ValueKind kind, const char *name, size_t name_size,
    const char *value, size_t value_size)
{
	(void)kind;
	return hygiene_take(self, name, name_size, value != NULL ? value : "", value_size) ? MHD_YES : MHD_NO;
}

static void head_known(struct request *q, const char *url, const char *method, const char *version)
{
	bool exact = q->http->exact;
	size_t size = MHD_get_connection_info(q->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;

	client_refresh(q->client);
	client_turns(q->client, TURN_BODY);
	q->policy = q->client->policy;
	q->started_us = clock_steady_us();
	/* "GET /x HTTP/1.1\r\nHost: …": one blank between each, and the fields right behind. */
	hygiene_open(&q->head, exact ? version + strlen(version) + 2 : NULL);
	MHD_get_connection_values_n(q->connection, MHD_HEADER_KIND, take_header, &q->head);
	if (exact && url != method + strlen(method) + 1 && q->head.fault == NULL)
		q->head.fault = "more than one blank in the request line";
	request_head(q, method, version, exact ? method + size : NULL, size);
	q->step = STEP_BODY;
}

static enum MHD_Result answer(struct request *q)
{
	if (q->http->draining)
		q->reply.close = true;
	/* The library corks a socket for a head and its body, and leaves it so. */
	if (q->reply.size > 0)
		q->client->tls.leave.corked = true;
	q->client->tls.deaf = false;
	q->client->tls.leave.large = q->reply.size > PIECE_MOST;
	metrics_request(q->http->metrics, q->row, q->reply.status);
	q->step = STEP_DONE;
	return reply_send(q) ? MHD_YES : MHD_NO;
}

/* The library itself wakes only threads of its own. */
static void resume(struct request *q)
{
	int wakes = q->client->wakes;

	MHD_resume_connection(q->connection); /* and with that, q is the HTTP thread's */
	if (wakes >= 0 && eventfd_write(wakes, 1) != 0)
		log_event(LOG_ERROR, "http.wake", "errno=%d", errno);
}

static void work_on(struct request *q)
{
	request_wait_and_run(q);
	if (q->reply.not_before > clock_steady_us())
		work_put_off(q->http->work, q);
	else
		resume(q);
}

static enum MHD_Result run(struct request *q)
{
	if (q->step == STEP_BODY && q->reply.status == 0) {
		client_turns(q->client, TURN_OURS);
		q->step = STEP_RUN;
		if (!(q->row->flags & WAITS))
			request_run(q);
		if (q->reply.status == 0) {
			/* The library reads when it resumes, and whoever has nothing more to say would lose his answer. */
			q->client->tls.deaf = true;
			MHD_suspend_connection(q->connection);
			if (work_put(q->http->work, q))
				return MHD_YES;
			q->reply = reply_problem(q, 503, "overloaded", "Too many requests are waiting already.");
			q->reply.lean = q->row->flags & FORWARD;
			MHD_resume_connection(q->connection);
			return MHD_YES;
		}
	}
	return answer(q);
}

/* Called when the head is there, for each piece of the body, when the body is there, and after a resume. */
static enum MHD_Result request_goes_on(void *self, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload, size_t *size, void **context)
{
	struct request *q = *context;

	(void)self, (void)connection;
	if (q->client->tls.round != NULL)
		round_moves(q->client->tls.round);
	if (q->step == STEP_HEAD) {
		head_known(q, url, method, version);
		/* The library closes the connection after an answer at this point: only where that is wanted. */
		return q->reply.status != 0 && q->reply.close ? answer(q) : MHD_YES;
	}
	if (upload != NULL && *size > 0) {
		bool go_on = request_body(q, upload, *size);

		*size = 0;
		return go_on ? MHD_YES : MHD_NO;
	}
	return run(q);
}

static void request_completed(void *self, struct MHD_Connection *connection, void **context,
    enum MHD_RequestTerminationCode why)
{
	struct request *q = *context;

	(void)self, (void)connection, (void)why;
	if (q == NULL)
		return;
	*context = NULL;
	client_turns(q->client, TURN_CLIENT);
	request_end(q);
	request_give_back(q);
}

/* ---- opening ---- */

[[gnu::format(printf, 2, 0)]] static void library_says(void *self, const char *format, va_list args)
{
	char line[512];

	(void)self;
	vsnprintf(line, sizeof line, format, args);
	line[strcspn(line, "\n")] = '\0';
	log_event(LOG_DEBUG, "http.library", "text=\"%s\"", line);
}

union place {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static bool read_place(const char *listen, int port, union place *out, unsigned *flag)
{
	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, listen, &out->four.sin_addr) == 1) {
		out->four.sin_family = AF_INET;
		out->four.sin_port = htons((uint16_t)port);
		*flag = 0;
		return true;
	}
	if (inet_pton(AF_INET6, listen, &out->six.sin6_addr) != 1)
		return false;
	out->six.sin6_family = AF_INET6;
	out->six.sin6_port = htons((uint16_t)port);
	/* "::" is every address, those of IPv4 too. */
	*flag = IN6_IS_ADDR_UNSPECIFIED(&out->six.sin6_addr) ? MHD_USE_DUAL_STACK : MHD_USE_IPv6;
	return true;
}

/* A missing Host is ours to refuse: the library's own refusal of what it does not like in a head has its head twice. */
#define SHARED_OPTIONS(door)                                                                                     \
	MHD_OPTION_EXTERNAL_LOGGER, library_says, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 0,                         \
	MHD_OPTION_URI_LOG_CALLBACK, target_known, (door)->http, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped,    \
	NULL, MHD_OPTION_NOTIFY_CONNECTION, connection_changes, (door), MHD_OPTION_NOTIFY_COMPLETED,             \
	request_completed, NULL, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((door)->http->idle_ms / 1000)

static struct err cannot_listen(const char *what, const char *listen, int port, const char *told)
{
	log_event(LOG_ERROR, "http.listen", "%s=%s port=%d error=\"%s\"", what, listen, port, strerror(errno));
	return FAIL(ERR_UNAVAILABLE, told);
}

/* ---- the door ---- */

#define TURN_MS 100
#define STILL_MS 20   /* between turns that move nothing */
#define STILL_TURNS 4 /* the library may need a turn or two for itself */

/* How long to wait for something to happen, in milliseconds. The library calls a connection ready as long as its TLS
 * handshake is not done, whether there is anything to read or not: a client that stops there would keep a processor busy.
 * Nothing is missed meanwhile: what really happens ends the wait. */
static int pause_of(const struct door *d, int still)
{
	MHD_UNSIGNED_LONG_LONG most;

	if (MHD_get_timeout(d->daemon, &most) != MHD_YES || most > TURN_MS)
		return TURN_MS;
	return most == 0 && still >= STILL_TURNS ? STILL_MS : (int)most;
}

static void *turn(void *self)
{
	struct door *d = self;
	struct pollfd ends[] = {
		{ .fd = MHD_get_daemon_info(d->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN },
		{ .fd = d->wakes, .events = POLLIN },
	};
	eventfd_t times;
	int still = 0;

	round_enter(d->round);
	while (!d->http->closing) {
		if (d->http->draining && d->quiesced < 0)
			d->quiesced = MHD_quiesce_daemon(d->daemon);
		int pause = pause_of(d, still);
		if (pause > 0 && poll(ends, COUNT(ends), pause) > 0 && ends[1].revents != 0)
			(void)eventfd_read(d->wakes, &times);
		MHD_run_wait(d->daemon, 0);
		still = round_end(d->round) ? 0 : still < STILL_TURNS ? still + 1 : still;
	}
	return NULL;
}

static bool start_thread(struct door *d)
{
	sigset_t all, before;

	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	d->has_thread = pthread_create(&d->thread, NULL, turn, d) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return d->has_thread;
}

/* The first door has the address bound; the others listen to the same socket. */
static int listening_socket(const struct door *first)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(first->daemon, MHD_DAEMON_INFO_LISTEN_FD);

	return info != NULL ? fcntl(info->listen_fd, F_DUPFD_CLOEXEC, 3) : -1;
}

static struct err open_door(struct door *d, const struct http_settings *s, const union place *place, unsigned flag)
{
	struct http *http = d->http;
	int shared = d == http->doors ? -1 : listening_socket(http->doors);

	if (d != http->doors && shared < 0)
		return cannot_listen("address", s->listen, s->port, "cannot share the listening socket");
	d->round = round_open(http->audit);
	d->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | flag, 0,
	    may_connect, http, request_goes_on, http, SHARED_OPTIONS(d),
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)((s->connections + s->threads - 1) / s->threads),
	    /* The library clears all of it for each request; the rest is for its own lists, and the answer's head. */
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, http->header_room + 4096,
	    MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES, MHD_OPTION_HTTPS_CERT_CALLBACK2, tls_choose,
	    MHD_OPTION_SOCK_ADDR, &place->any, shared < 0 ? MHD_OPTION_END : MHD_OPTION_LISTEN_SOCKET, shared,
	    MHD_OPTION_END);
	if (d->daemon == NULL) {
		if (shared >= 0)
			close(shared);
		return cannot_listen("address", s->listen, s->port, "cannot listen on http.listen and http.port");
	}
	return SUCCESS;
}

static struct err open_doors(struct http *http, const struct http_settings *s)
{
	union place place;
	unsigned flag;

	if (!read_place(s->listen, s->port, &place, &flag))
		return FAIL(ERR_INVALID, "http.listen is not an IP address");
	http->doors = must_alloc((size_t)s->threads * sizeof *http->doors);
	for (; http->door_count < s->threads; http->door_count++) {
		struct door *d = &http->doors[http->door_count];

		*d = (struct door){ .http = http, .quiesced = -1, .wakes = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
		struct err e = d->wakes >= 0 ? open_door(d, s, &place, flag)
					     : FAIL(ERR_UNAVAILABLE, "no descriptor is left");
		if (e.code == OK && !start_thread(d))
			e = FAIL(ERR_UNAVAILABLE, "cannot start the HTTP threads");
		if (e.code != OK) {
			http->door_count++;
			return e;
		}
	}
	return SUCCESS;
}

static struct err open_operations(struct http *http, const struct http_settings *s)
{
	union place place;
	unsigned flag;

	if (!read_place(s->operations_listen, s->operations_port, &place, &flag))
		return FAIL(ERR_INVALID, "http.operations_listen is not an IP address");
	http->operations = (struct door){ .http = http, .quiesced = -1, .wakes = -1 };
	http->operations.daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
	    MHD_USE_ERROR_LOG | flag, 0, NULL, NULL, request_goes_on, http, SHARED_OPTIONS(&http->operations),
	    MHD_OPTION_SOCK_ADDR, &place.any, MHD_OPTION_CONNECTION_LIMIT, 64u, MHD_OPTION_END);
	if (http->operations.daemon == NULL)
		return cannot_listen("operations", s->operations_listen, s->operations_port,
		    "cannot listen on http.operations_listen and http.operations_port");
	return SUCCESS;
}

static struct err open_all(struct http *http, const struct http_settings *s)
{
	TRY(tickets_open(&http->tickets));
	TRY(work_open(s->workers, (size_t)s->workers * QUEUED_PER_WORKER, work_on, resume, &http->work));
	TRY(client_keeper_open(http));
	TRY(open_doors(http, s));
	return open_operations(http, s);
}

/* The texts of errors have no arena to live in here; one is enough, for the process ends with it. */
static struct err keep(struct err e)
{
	static char what[512];

	if (e.code != OK) {
		snprintf(what, sizeof what, "%s", e.what);
		e.what = what;
	}
	return e;
}

struct err http_check(struct arena *a, const struct http_settings *s)
{
	struct policy *p = NULL;
	union place place;
	unsigned flag;

	if (!read_place(s->listen, s->port, &place, &flag))
		return FAIL(ERR_INVALID, arena_printf(a, "http.listen: '%.64s' is not an IP address", s->listen));
	if (!read_place(s->operations_listen, s->operations_port, &place, &flag))
		return FAIL(ERR_INVALID, arena_printf(a, "http.operations_listen: '%.64s' is not an IP address",
		    s->operations_listen));
	if (s->documents_folder != NULL && !uploads_folder_works(s->documents_folder))
		return FAIL(ERR_INVALID, arena_printf(a, "documents.folder: files without a name cannot be made in %.200s",
		    s->documents_folder));
	TRY(policy_read(a, s, &p));
	bool expired = keys_expire(p->keys) <= clock_now();
	policy_drop(p);
	return expired ? FAIL(ERR_INVALID, arena_printf(a, "%s: a certificate in it has expired", s->certificate)) : SUCCESS;
}

/* jansson frees what it has parsed as it is: passwords too, and the copies that its scanner made of them. */
static void wipe_and_free(void *memory)
{
	if (memory != NULL)
		secret_wipe(memory, malloc_usable_size(memory));
	free(memory);
}

struct err http_open(const struct http_settings *s, struct flow *flow, struct replica *replica, struct dir *dir,
    struct audit *audit, struct http **out)
{
	struct http *http = must_alloc(sizeof *http);
	struct arena *a = arena_open();
	pthread_condattr_t steady;

	json_set_alloc_funcs(malloc, wipe_and_free);
	http->flow = flow;
	http->replica = replica;
	http->dir = dir;
	http->audit = audit;
	http->idle_ms = s->idle_s * 1000;
	http->header_room = (size_t)s->header_bytes;
	http->exact = strncmp(MHD_get_version(), "0.9.", 4) == 0;
	http->now_ms = clock_steady_ms();
	pthread_mutex_init(&http->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&http->keeper_wakes, &steady);
	pthread_condattr_destroy(&steady);
	http->book = address_book_open();
	http->metrics = metrics_open();
	http->uploads = uploads_open(s->documents_folder, s->uploads);

	struct err e = keep(policy_read(a, s, &http->policy));
	arena_close(a);
	if (e.code == OK)
		e = open_all(http, s);
	if (e.code != OK) {
		http_close(http);
		return e;
	}
	*out = http;
	return SUCCESS;
}

struct err http_reload(struct http *http, const struct http_settings *s)
{
	struct arena *a = arena_open();
	struct policy *next = NULL;
	struct err e = keep(policy_read(a, s, &next));

	arena_close(a);
	if (e.code == OK && next->header_bytes > http->header_room) {
		policy_drop(next);
		e = FAIL(ERR_INVALID, "http.header_bytes cannot become larger than at start without a restart");
	}
	TRY(e);
	pthread_mutex_lock(&http->lock);
	struct policy *old = http->policy;
	next->generation = old->generation + 1;
	http->policy = next;
	http->generation = next->generation;
	pthread_mutex_unlock(&http->lock);
	policy_drop(old);
	return SUCCESS;
}

static int port_of(struct MHD_Daemon *daemon)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info != NULL ? info->port : -1;
}

int http_port(const struct http *http)
{
	return port_of(http->doors[0].daemon);
}

int http_operations_port(const struct http *http)
{
	return port_of(http->operations.daemon);
}

/* ---- closing ---- */

void http_drain(struct http *http)
{
	pthread_mutex_lock(&http->lock);
	int64_t until = clock_steady_ms() + 1000 * (int64_t)http->policy->drain_s;
	pthread_mutex_unlock(&http->lock);

	if (http->door_count == 0 || http->draining)
		return;
	http->draining = true; /* each thread stops listening in its next turn */
	while (client_reap(http, clock_steady_ms()) > 0 && clock_steady_ms() < until)
		clock_pause(10);
	log_event(LOG_INFO, "http.drained", "left=%zu", client_reap(http, clock_steady_ms()));
}

static void close_door(struct door *d)
{
	if (d->daemon != NULL)
		MHD_stop_daemon(d->daemon);
	if (d->quiesced >= 0)
		close(d->quiesced);
	if (d->wakes >= 0)
		close(d->wakes);
	round_close(d->round);
}

void http_close(struct http *http)
{
	if (http == NULL)
		return;
	http->draining = true;
	/* The library must not be stopped while connections are suspended: first what is queued is run. */
	work_stop(http->work);
	http->closing = true;
	for (int i = 0; i < http->door_count; i++)
		if (http->doors[i].has_thread)
			pthread_join(http->doors[i].thread, NULL);
	for (int i = 0; i < http->door_count; i++)
		close_door(&http->doors[i]);
	close_door(&http->operations);
	free(http->doors);
	work_close(http->work);
	client_keeper_close(http);
	policy_drop(http->policy);
	address_book_close(http->book);
	metrics_close(http->metrics);
	uploads_close(http->uploads);
	tickets_close(http->tickets);
	pthread_cond_destroy(&http->keeper_wakes);
	pthread_mutex_destroy(&http->lock);
	free(http);
}
