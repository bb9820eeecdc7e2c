/* Which of the directory's servers to talk to: the first that works, with a short memory of which do not, and back to
 * an earlier one when it has caught up. Everything uses the same one, so that writes have one target. For dir/ only. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dir/dir.h"
#include "model/model.h"

struct servers {
	pthread_mutex_t lock;
	int count;
	atomic_int current; /* index of the one in use */
	struct {
		const char *uri;
		bool down;   /* the last try failed */
		bool trying; /* while down, one thread at a time tries it; the others need not wait as well */
		int64_t retry_at;
	} each[DIR_URIS];
	struct revision seen; /* the greatest that any server has told us of */

	pthread_rwlock_t writing; /* shared by whoever writes; alone by whoever moves writes to another server */
};

void servers_open(struct servers *, const char *const *uris);
void servers_close(struct servers *);

/* May this thread try to connect to it now? True: servers_tell or servers_let_go must follow. */
bool servers_may_try(struct servers *, int server);
void servers_let_go(struct servers *, int server); /* the try came to no end */
/* How the try, or a request on an open connection, went. why: for the log. Up: it becomes the current one. */
void servers_tell(struct servers *, int server, bool up, const char *why);
/* A server earlier in the list than the current one answers and is not behind: back to it. */
void servers_go_back(struct servers *, int server);

/* Around each write. Between hold and release there is none, so that what a server has reached can be compared with
 * what another one has been told. False: there was always one for so long. */
void servers_begin_write(struct servers *);
void servers_end_write(struct servers *);
bool servers_hold_writes(struct servers *, int timeout_ms);
void servers_release_writes(struct servers *);

void servers_saw(struct servers *, const struct revision *);
struct revision servers_seen(struct servers *);
