/* Connections from their first byte to their last, the thread that ends the slow ones, and spare requests. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "http/server.h"

#include "base/banned.h"

/* ---- connections ---- */

static struct policy *policy_now(struct http *http)
{
	pthread_mutex_lock(&http->lock);
	struct policy *p = policy_hold(http->policy);
	pthread_mutex_unlock(&http->lock);
	return p;
}

struct client *client_open(struct http *http, const struct sockaddr *from, int fd, gnutls_session_t session,
    struct round *round)
{
	struct client *c = must_alloc(sizeof *c);

	c->http = http;
	c->fd = fd;
	c->since = http->now_ms;
	c->policy = policy_now(http);
	address_of(from, &c->address);
	address_format(&c->address, c->address_text);
	address_connected(http->book, &c->address);
	if (session != NULL)
		tls_begin(&c->tls, session, fd, c->policy->keys, http->tickets, round);
	/* Complete before the keeper can see it. */
	pthread_mutex_lock(&http->lock);
	c->next = http->clients;
	if (c->next != NULL)
		c->next->before = c;
	http->clients = c;
	http->client_count++;
	pthread_mutex_unlock(&http->lock);
	return c;
}

/* Called before the library closes the socket, so that neither the keeper nor the round's end meets somebody else's. */
void client_close(struct client *c)
{
	struct http *http = c->http;

	if (c->tls.round != NULL)
		round_closes(c->tls.round, c->fd);
	pthread_mutex_lock(&http->lock);
	if (c->before != NULL)
		c->before->next = c->next;
	else
		http->clients = c->next;
	if (c->next != NULL)
		c->next->before = c->before;
	http->client_count--;
	pthread_mutex_unlock(&http->lock);
	address_left(http->book, &c->address);
	policy_drop(c->policy);
	tls_end(&c->tls);
	free(c);
}

void client_refresh(struct client *c)
{
	struct http *http = c->http;

	if (c->policy->generation != atomic_load_explicit(&http->generation, memory_order_acquire)) {
		struct policy *old = c->policy;

		c->policy = policy_now(http);
		policy_drop(old);
		c->seen = false;
	}
	if (c->seen)
		return;
	c->seen = true;
	c->is_peer = address_in(&c->address, c->policy->peers, c->policy->peer_count);
	c->certificate =
	    c->tls.session != NULL ? tls_peer(&c->tls, c->policy->keys, c->certificate_digest) : TLS_PEER_NONE;
}

/* The library ends connections on which nothing happens. One on which a byte happens now and then is for us: twice
 * that time for a head, and again for a body; and however slow a reader is, an answer comes to an end. */
static bool is_overdue(const struct client *c, enum client_turn turn, int64_t now_ms, int64_t idle_ms)
{
	return now_ms - c->since > (turn == TURN_OURS ? 4 : 2) * idle_ms;
}

size_t client_reap(struct http *http, int64_t now_ms)
{
	size_t left = 0;

	pthread_mutex_lock(&http->lock);
	for (struct client *c = http->clients; c != NULL; c = c->next) {
		enum client_turn turn = c->turn;
		bool leaving = http->draining && c->tls.session != NULL;

		left += c->tls.session != NULL;
		if (is_overdue(c, turn, now_ms, http->idle_ms))
			shutdown(c->fd, SHUT_RDWR);
		else if (leaving && turn == TURN_CLIENT)
			shutdown(c->fd, SHUT_RD); /* what has come is still answered */
	}
	pthread_mutex_unlock(&http->lock);
	return left;
}

/* ---- the keeper ---- */

#define TICK_MS 250

static void *keeper(void *self)
{
	struct http *http = self;
	struct timespec until;

	for (unsigned ticks = 1;; ticks++) {
		pthread_mutex_lock(&http->lock);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += TICK_MS * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (!http->stopping)
			pthread_cond_timedwait(&http->keeper_wakes, &http->lock, &until);
		bool stopping = http->stopping;
		pthread_mutex_unlock(&http->lock);
		if (stopping)
			return NULL;
		http->now_ms = clock_steady_ms();
		if (ticks % 4 == 0) {
			client_reap(http, http->now_ms);
			address_sweep(http->book, http->now_ms);
		}
	}
}

struct err client_keeper_open(struct http *http)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	http->has_keeper = pthread_create(&http->keeper, NULL, keeper, http) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return http->has_keeper ? SUCCESS
				: FAIL(ERR_UNAVAILABLE, "cannot start the thread that looks after connections");
}

void client_keeper_close(struct http *http)
{
	if (!http->has_keeper)
		return;
	pthread_mutex_lock(&http->lock);
	http->stopping = true;
	pthread_cond_signal(&http->keeper_wakes);
	pthread_mutex_unlock(&http->lock);
	pthread_join(http->keeper, NULL);
	http->has_keeper = false;
}

/* ---- spare requests ---- */

#define SPARES 32

struct spares {
	struct request *first;
	unsigned count;
};
static _Thread_local struct spares spares;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_end;

static void close_spares(void *self)
{
	struct spares *s = self;

	for (struct request *q = s->first, *next; q != NULL; q = next) {
		next = q->next;
		arena_close(q->arena);
		free(q);
	}
	s->first = NULL;
	s->count = 0;
}

static void make_key(void)
{
	pthread_key_create(&at_end, close_spares);
}

struct request *request_take(struct http *http)
{
	struct request *q = spares.first;

	if (q != NULL) {
		spares.first = q->next;
		spares.count--;
		return q;
	}
	q = must_alloc(sizeof *q);
	q->arena = arena_open();
	q->http = http;
	q->flow = http->flow;
	q->replica = http->replica;
	q->dir = http->dir;
	q->audit = http->audit;
	return q;
}

void request_give_back(struct request *q)
{
	if (spares.count == SPARES) {
		arena_close(q->arena);
		free(q);
		return;
	}
	if (spares.count == 0) {
		pthread_once(&once, make_key);
		pthread_setspecific(at_end, &spares);
	}
	q->next = spares.first;
	spares.first = q;
	spares.count++;
}
