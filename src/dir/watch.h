/* A hard end for what libldap may hang in: connecting and the TLS handshake. A thread shuts the socket down when its
 * time is over or when somebody wants it to end, and whoever waits on it finds a dead connection. For dir/ only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct watch;

/* One connection being made. Lives with its owner; must be put down before it goes. */
struct watched {
	struct watch *watch;
	struct watched *next;
	int64_t deadline; /* clock_steady_ms */
	int fd;           /* a duplicate, so that its number cannot become somebody else's; -1: none yet */
	bool expired;
};

struct watch *watch_open(void);     /* NULL: no thread can be started */
void watch_close(struct watch *);   /* nothing may be watched any more */

void watch_add(struct watch *, struct watched *, int64_t deadline);
void watch_socket(struct watched *, int fd); /* duplicates it */
void watch_expire(struct watched *);         /* now, from any thread */
bool watch_expired(struct watched *);
void watch_remove(struct watched *);
