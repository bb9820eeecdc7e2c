/* Remembers when sessions were last used at this gateway, until the directory knows it too (seen_at). Lock-free, of
 * fixed size: a use on the decision path is one probe and, at most once a second, one store. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uses;
struct uses *uses_open(size_t room); /* so many sessions, rounded up to a power of two */
void uses_close(struct uses *);

/* seen_at: what the directory knows. False: there was no room, and the use is not remembered. */
bool uses_note(struct uses *, const unsigned char digest[32], int64_t seen_at, int64_t now);
/* Was there no room for one since this was last asked? */
bool uses_were_lost(struct uses *);
/* 0: nothing is remembered. */
int64_t uses_last(const struct uses *, const unsigned char digest[32]);

struct use {
	unsigned char digest[32];
	int64_t at;
	size_t slot;
};
/* For one thread, the one that writes them to the directory. Finds from *place on the next use that the directory does
 * not know and whose last write is at least every_s ago; forgets on its way what the directory has known for that
 * long. False: there is none up to the end. */
bool uses_next_due(struct uses *, size_t *place, int64_t now, int64_t every_s, struct use *out);
void uses_written(struct uses *, const struct use *);
/* The session is gone. */
void uses_forget(struct uses *, const struct use *);
