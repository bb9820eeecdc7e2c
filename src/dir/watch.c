/* The thread that ends what hangs. */
#include "dir/watch.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"

#include "base/banned.h"

struct watch {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	struct watched *first;
	bool ending;
};

static void expire(struct watched *w)
{
	w->expired = true;
	if (w->fd >= 0)
		shutdown(w->fd, SHUT_RDWR);
}

/* Until when is there nothing to do? */
static int64_t next_deadline(const struct watch *watch)
{
	int64_t next = INT64_MAX;

	for (const struct watched *w = watch->first; w != NULL; w = w->next)
		if (!w->expired && w->deadline < next)
			next = w->deadline;
	return next;
}

static void sleep_until(struct watch *watch, int64_t when)
{
	if (when == INT64_MAX) {
		pthread_cond_wait(&watch->changed, &watch->lock);
		return;
	}
	struct timespec t = { .tv_sec = when / 1000, .tv_nsec = when % 1000 * 1000000 };
	pthread_cond_timedwait(&watch->changed, &watch->lock, &t);
}

static void *run(void *self)
{
	struct watch *watch = self;

	pthread_mutex_lock(&watch->lock);
	while (!watch->ending) {
		int64_t now = clock_steady_ms();

		for (struct watched *w = watch->first; w != NULL; w = w->next)
			if (!w->expired && w->deadline <= now)
				expire(w);
		int64_t next = next_deadline(watch);
		if (next > now)
			sleep_until(watch, next);
	}
	pthread_mutex_unlock(&watch->lock);
	return NULL;
}

struct watch *watch_open(void)
{
	struct watch *watch = must_alloc(sizeof *watch);
	pthread_condattr_t steady;

	pthread_mutex_init(&watch->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&watch->changed, &steady);
	pthread_condattr_destroy(&steady);
	if (pthread_create(&watch->thread, NULL, run, watch) != 0) {
		log_event(LOG_ERROR, "directory.thread", "what=%s", "cannot start the watching thread");
		pthread_cond_destroy(&watch->changed);
		pthread_mutex_destroy(&watch->lock);
		free(watch);
		return NULL;
	}
	return watch;
}

void watch_close(struct watch *watch)
{
	if (watch == NULL)
		return;
	pthread_mutex_lock(&watch->lock);
	watch->ending = true;
	pthread_cond_signal(&watch->changed);
	pthread_mutex_unlock(&watch->lock);
	pthread_join(watch->thread, NULL);
	pthread_cond_destroy(&watch->changed);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}

void watch_add(struct watch *watch, struct watched *w, int64_t deadline)
{
	*w = (struct watched){ .watch = watch, .deadline = deadline, .fd = -1 };
	pthread_mutex_lock(&watch->lock);
	w->next = watch->first;
	watch->first = w;
	pthread_cond_signal(&watch->changed);
	pthread_mutex_unlock(&watch->lock);
}

void watch_socket(struct watched *w, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	pthread_mutex_lock(&w->watch->lock);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = copy;
	if (w->expired || copy < 0)
		expire(w);
	pthread_mutex_unlock(&w->watch->lock);
}

void watch_expire(struct watched *w)
{
	pthread_mutex_lock(&w->watch->lock);
	expire(w);
	pthread_mutex_unlock(&w->watch->lock);
}

bool watch_expired(struct watched *w)
{
	pthread_mutex_lock(&w->watch->lock);
	bool expired = w->expired;
	pthread_mutex_unlock(&w->watch->lock);
	return expired;
}

void watch_remove(struct watched *w)
{
	struct watch *watch = w->watch;

	pthread_mutex_lock(&watch->lock);
	for (struct watched **at = &watch->first; *at != NULL; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	pthread_mutex_unlock(&watch->lock);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}
