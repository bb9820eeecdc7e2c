/* The threads that may wait: for the directory, for the disk. A bounded queue of requests before them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct request;
struct work;

/* run is called with each request, on one of the threads; done with those that were put off, on another. */
struct err work_open(int threads, size_t most, void (*run)(struct request *), void (*done)(struct request *),
    struct work **out);
/* Runs what is queued, then ends the threads; nothing more is taken. */
void work_stop(struct work *);
void work_close(struct work *);
/* False: the queue is full. */
bool work_put(struct work *, struct request *);
/* Calls done at reply.not_before, without keeping a thread busy until then. */
void work_put_off(struct work *, struct request *);
struct work_status { size_t queued, most, running, threads; };
void work_status(struct work *, struct work_status *out);
