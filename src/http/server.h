/* The inside of the door, for the files of this folder that keep it running. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "http/request.h"
#include "http/work.h"

struct MHD_Daemon;
struct round;

/* A listener and, for callers, the thread that runs it: several share one socket. */
struct door {
	struct http *http;
	struct MHD_Daemon *daemon;
	struct round *round;          /* NULL: nothing is decided here */
	pthread_t thread;
	bool has_thread;
	int wakes;                    /* an eventfd that wakes the thread; -1: it is one of the library's */
	int quiesced;                 /* its listening socket once it takes no more connections; -1 */
};

struct http {
	struct flow *flow;
	struct replica *replica;
	struct dir *dir;
	struct audit *audit;

	struct door *doors, operations; /* doors: one for each HTTP thread */
	int door_count;
	atomic_bool closing;
	struct tickets *tickets;
	struct address_book *book;
	struct metrics *metrics;
	struct work *work;
	struct uploads *uploads;
	bool exact;                   /* this version of the library keeps header lines where they were read */
	int idle_ms;
	size_t header_room;           /* what http.header_bytes can be raised to */

	pthread_mutex_t lock;         /* policy and clients */
	struct policy *policy;
	struct client *clients;
	atomic_uint generation;       /* of policy */
	atomic_uint client_count;
	atomic_bool draining;

	_Atomic int64_t now_ms;       /* the keeper's clock, a quarter of a second coarse */
	pthread_t keeper;
	bool has_keeper;
	pthread_cond_t keeper_wakes;  /* with lock */
	bool stopping;
};

/* ---- client.c: connections, and the thread that looks after them ---- */
/* session NULL: of the operations listener. */
struct client *client_open(struct http *, const struct sockaddr *, int fd, gnutls_session_t session, struct round *);
void client_close(struct client *);
/* Takes up a new policy, if there is one; called at the beginning of each request. */
void client_refresh(struct client *);
/* Closes what is overdue, and while draining what has no request under way. Returns how many callers' are left. */
size_t client_reap(struct http *, int64_t now_ms);
struct err client_keeper_open(struct http *);
void client_keeper_close(struct http *);

/* Requests are kept per thread, with their arenas, for the next one. */
struct request *request_take(struct http *);
void request_give_back(struct request *);

static inline void client_turns(struct client *c, enum client_turn turn)
{
	atomic_store_explicit(
	    &c->since, atomic_load_explicit(&c->http->now_ms, memory_order_relaxed), memory_order_relaxed);
	atomic_store_explicit(&c->turn, turn, memory_order_relaxed);
}
