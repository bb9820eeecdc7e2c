/* A number of connections for one use, borrowed by one thread at a time. For dir/ only. */
#pragma once

#include <pthread.h>

#include "base/err.h"
#include "dir/connection.h"

struct pool {
	const struct connector *connector;
	enum identity identity;
	pthread_mutex_t lock;
	pthread_cond_t returned;
	int size, free_count;
	struct connection *connections;
	struct connection **free; /* a stack: the last used is the first to be used again */
};

void pool_open(struct pool *, const struct connector *, enum identity, int size);
void pool_close(struct pool *); /* everything has been given back */

/* Waits for a connection at most the operation timeout, and connects if need be. ERR_UNAVAILABLE: in vain. */
struct err pool_borrow(struct pool *, struct connection **out);
/* A broken one is closed. */
void pool_return(struct pool *, struct connection *);
