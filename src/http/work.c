/* A pool of threads and the queue before it, and a thread that wakes those that must wait for a time. */
#include "http/work.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "http/request.h"

#include "base/banned.h"

struct work {
	void (*run)(struct request *), (*done)(struct request *);
	struct request *late;        /* put off, the first one first */
	pthread_t waker;
	pthread_cond_t late_changes; /* of the steady clock */
	bool has_waker;
	pthread_mutex_t lock;
	pthread_cond_t wakes;
	struct request *first, *last;
	size_t queued, most, running, threads;
	bool stopping, ending;       /* first the workers, then the waker: they may put off their last ones */
	pthread_t ids[];
};

static void *worker(void *self)
{
	struct work *w = self;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (w->first == NULL && !w->stopping)
			pthread_cond_wait(&w->wakes, &w->lock);
		struct request *q = w->first;
		if (q == NULL)
			break;
		w->first = q->next;
		w->queued--;
		w->running++;
		pthread_mutex_unlock(&w->lock);
		w->run(q);
		pthread_mutex_lock(&w->lock);
		w->running--;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Waits for the earliest of those that were put off, and for new ones. */
static void *waker(void *self)
{
	struct work *w = self;

	pthread_mutex_lock(&w->lock);
	while (!w->ending || w->late != NULL) {
		struct request *q = w->late;
		int64_t at = q != NULL ? q->reply.not_before : 0;

		if (q == NULL) {
			pthread_cond_wait(&w->late_changes, &w->lock);
		} else if (at > clock_steady_us() && !w->ending) {
			struct timespec until = { .tv_sec = at / 1000000, .tv_nsec = at % 1000000 * 1000 };

			pthread_cond_timedwait(&w->late_changes, &w->lock, &until);
		} else {
			w->late = q->next;
			pthread_mutex_unlock(&w->lock);
			w->done(q);
			pthread_mutex_lock(&w->lock);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static bool start_threads(struct work *w, size_t threads)
{
	sigset_t all, before;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (w->threads < threads && pthread_create(&w->ids[w->threads], NULL, worker, w) == 0)
		w->threads++;
	w->has_waker = pthread_create(&w->waker, NULL, waker, w) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return w->threads == threads && w->has_waker;
}

struct err work_open(int threads, size_t most, void (*run)(struct request *), void (*done)(struct request *),
    struct work **out)
{
	struct work *w = must_alloc(sizeof *w + (size_t)threads * sizeof w->ids[0]);
	pthread_condattr_t steady;

	w->run = run;
	w->done = done;
	w->most = most;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wakes, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&w->late_changes, &steady);
	pthread_condattr_destroy(&steady);
	if (!start_threads(w, (size_t)threads)) {
		work_close(w);
		return FAIL(ERR_UNAVAILABLE, "cannot start the worker threads");
	}
	*out = w;
	return SUCCESS;
}

void work_put_off(struct work *w, struct request *q)
{
	pthread_mutex_lock(&w->lock);
	struct request **place = &w->late;
	while (*place != NULL && (*place)->reply.not_before <= q->reply.not_before)
		place = &(*place)->next;
	q->next = *place;
	*place = q;
	if (w->late == q)
		pthread_cond_signal(&w->late_changes);
	pthread_mutex_unlock(&w->lock);
}

void work_stop(struct work *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->wakes);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < w->threads; i++)
		pthread_join(w->ids[i], NULL);
	w->threads = 0;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->late_changes);
	pthread_mutex_unlock(&w->lock);
	if (w->has_waker)
		pthread_join(w->waker, NULL);
	w->has_waker = false;
}

void work_close(struct work *w)
{
	if (w == NULL)
		return;
	work_stop(w);
	pthread_cond_destroy(&w->wakes);
	pthread_cond_destroy(&w->late_changes);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

bool work_put(struct work *w, struct request *q)
{
	pthread_mutex_lock(&w->lock);
	bool fits = w->queued < w->most && !w->stopping;
	if (fits) {
		q->next = NULL;
		if (w->first == NULL)
			w->first = q;
		else
			w->last->next = q;
		w->last = q;
		w->queued++;
		pthread_cond_signal(&w->wakes);
	}
	pthread_mutex_unlock(&w->lock);
	return fits;
}

void work_status(struct work *w, struct work_status *out)
{
	pthread_mutex_lock(&w->lock);
	*out = (struct work_status){ w->queued, w->most, w->running, w->threads };
	pthread_mutex_unlock(&w->lock);
}
