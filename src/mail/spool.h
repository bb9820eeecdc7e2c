/* Messages that wait, one file each: written aside, synced and renamed, so that it is there whole or not at all. The
 * time of a file says when it is due. For mail/ only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/secret.h"

struct spool {
	int folder, failed; /* descriptors */
	int lock;
};
#define SPOOL_NAME 64
struct spool_name {
	char text[SPOOL_NAME]; /* <microseconds of its making>-<id>.mail: sorted by age */
	char id[ID_TEXT];
	int64_t made_at, due_at; /* seconds since the epoch */
};

/* Makes the folders, locks them, and removes what was not finished. */
struct err spool_open(struct arena *, const char *folder, struct spool *out);
void spool_close(struct spool *);
/* Returns once it is on disk, and would be there after a power cut. to: the envelope's recipient. */
struct err spool_put(const struct spool *, const char *id, const char *to, const char *message, size_t size);
/* Oldest first; at most `most`. *out is the caller's (free). */
struct err spool_list(const struct spool *, size_t most, struct spool_name **out, size_t *count);
/* The message and its recipient; *whole is the caller's (free), the others point into it. ERR_INVALID: no message. */
struct err spool_read(const struct spool *, const struct spool_name *, char **whole, const char **to,
    const char **message, size_t *size);
void spool_put_off(const struct spool *, const struct spool_name *, int64_t due_at);
void spool_remove(const struct spool *, const struct spool_name *);
/* Into the folder "failed", for whoever looks into it; what lies there is removed after two weeks. */
void spool_give_up(const struct spool *, const struct spool_name *);
void spool_tidy(const struct spool *, int64_t now);
