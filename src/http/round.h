/* One turn of a door's thread: it runs what is ready on all of its connections. The decisions made in it are recorded by
 * one system call, and until that has succeeded what GnuTLS has written for anybody is held back. For http/ only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "audit/audit.h"

#define PIECE_MOST 8192 /* longer ones are not held: their socket may take a part only */

struct round;
struct round *round_open(struct audit *);
void round_close(struct round *);
/* The thread that the connections of this round are run by. */
void round_enter(struct round *);
/* Something was read, written or answered. */
void round_moves(struct round *);
/* This socket is about to be closed: what is held back for it has to leave. */
void round_closes(struct round *, int fd);
/* Records what was decided, then sends what was held back. If it cannot be recorded nothing is sent, and the
 * connections end. True: something has moved in this turn. */
bool round_end(struct round *);

/* How what is written on a connection has to leave. */
struct leave {
	int fd;
	bool large;    /* an answer of many pieces: one that is held back could find the socket full */
	bool corked;   /* the library has corked the socket, and pushes before we send: push again */
};
/* Sends, or holds back while decisions are not recorded; as send(2). */
ssize_t round_send(struct round *, const struct leave *, const void *bytes, size_t size);
