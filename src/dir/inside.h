/* What a struct dir is made of. For dir/ only. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <ldap.h>

#include "dir/connection.h"
#include "dir/dir.h"
#include "dir/pool.h"
#include "dir/schema.h"
#include "dir/server.h"
#include "dir/watch.h"

struct dir {
	struct dir_settings settings; /* copies */
	struct schema schema;
	struct servers servers;
	struct watch *watch;
	struct connector connector;
	struct pool binds, searches, writers, beat;
	char *decoy, *absent; /* DNs: what unknown names bind to; what nobody is */
	atomic_bool decoy_seen;

	/* With several servers: looks whether an earlier one is back. */
	pthread_mutex_t lock;
	pthread_cond_t closing_now;
	pthread_t way_back;
	bool has_way_back, closing;
	struct watched way_back_watched;
};

/* bind.c: a wrong password for the decoy. An error unless the directory really checks it, under a password policy. */
struct err bind_decoy(struct dir *);
/* entry.c: contextCSN, read on that connection. */
struct err entry_revision(const struct dir *, struct connection *, int timeout_ms, struct revision *out);
/* What a result code means to those above; logs what they cannot help. what: the operation, for the log. */
struct err entry_result(const struct connection *, int code, const char *what, const char *diagnostics);
