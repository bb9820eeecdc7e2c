/* Connections in stock. */
#include "dir/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"

#include "base/banned.h"

void pool_open(struct pool *p, const struct connector *connector, enum identity identity, int size)
{
	pthread_condattr_t steady;

	*p = (struct pool){ .connector = connector, .identity = identity, .size = size, .free_count = size };
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&p->returned, &steady);
	pthread_condattr_destroy(&steady);
	p->connections = must_alloc((size_t)size * sizeof *p->connections);
	p->free = must_alloc((size_t)size * sizeof *p->free);
	for (int i = 0; i < size; i++)
		p->free[i] = &p->connections[size - 1 - i];
}

void pool_close(struct pool *p)
{
	if (p->connections == NULL)
		return;
	for (int i = 0; i < p->size; i++)
		connection_close(&p->connections[i]);
	free(p->connections);
	free(p->free);
	pthread_cond_destroy(&p->returned);
	pthread_mutex_destroy(&p->lock);
	*p = (struct pool){ 0 };
}

static struct connection *take(struct pool *p)
{
	int64_t until = clock_steady_ms() + p->connector->settings->operation_timeout_ms;
	struct timespec t = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };
	struct connection *c = NULL;

	pthread_mutex_lock(&p->lock);
	while (p->free_count == 0)
		if (pthread_cond_timedwait(&p->returned, &p->lock, &t) == ETIMEDOUT)
			break;
	if (p->free_count > 0)
		c = p->free[--p->free_count];
	pthread_mutex_unlock(&p->lock);
	return c;
}

struct err pool_borrow(struct pool *p, struct connection **out)
{
	struct connection *c = take(p);

	if (c == NULL)
		return FAIL(ERR_UNAVAILABLE, "all connections to the directory are busy");
	if (c->ld != NULL && (c->server != atomic_load(&p->connector->servers->current) || !connection_is_alive(c)))
		connection_close(c);
	if (c->ld == NULL) {
		struct err e = connection_open(c, p->connector, p->identity, NULL);
		if (e.code) {
			pool_return(p, c);
			return e;
		}
	}
	*out = c;
	return SUCCESS;
}

void pool_return(struct pool *p, struct connection *c)
{
	if (c->broken)
		connection_close(c);
	pthread_mutex_lock(&p->lock);
	p->free[p->free_count++] = c;
	pthread_cond_signal(&p->returned);
	pthread_mutex_unlock(&p->lock);
}
