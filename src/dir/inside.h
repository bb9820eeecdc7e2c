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

/* bind.c: binds on that connection, once, with the password policy control. */
struct err bind_once(const struct dir *, struct connection *, const char *dn, const char *password, size_t size,
    struct bind_result *out);
/* May it be sent at all? */
struct err bind_sendable(const char *password, size_t size);
/* A wrong password for the decoy. An error unless the directory really checks it, under a password policy. */
struct err bind_decoy(struct dir *);

/* entry.c: one write of one entry, by add, delete or modify: mods and guard are of the entry named. */
struct write {
	const char *as;
	const char *dn;
	LDAPMod **mods;
	bool add, removes;
	bool relaxed;      /* mods touch what the server keeps by itself */
	bool unseen;       /* whoever writes may not see the entry then */
	const char *guard; /* a filter, or NULL */
};
struct err entry_write(struct arena *, struct dir *, const struct write *, struct revision *out);
/* A search, and a visit to each entry that it finds, until one returns false. */
struct look {
	const char *as, *dn;
	int scope;
	const char *filter; /* NULL: every entry */
	char **attributes;
};
struct err entry_look(struct arena *, struct dir *, const struct look *,
    bool (*visit)(void *self, struct arena *, LDAP *, LDAPMessage *), void *self);
/* The first value of an attribute, copied and with a NUL behind it; bv_val NULL: none. */
struct berval entry_bytes(struct arena *, LDAP *, LDAPMessage *, const char *attribute);
int64_t entry_time(struct arena *, LDAP *, LDAPMessage *, const char *attribute); /* 0: none */
/* The person's entry, read on that connection as whoever it is bound as. */
struct err entry_person_on(struct arena *, struct dir *, struct connection *, const char *uid, struct entry *out);

/* furnish.c: adds the folder for that kind of entry. ERR_CONFLICT: it is there. */
struct err furnish_folder(struct arena *, struct dir *, const char *provider, enum kind);

/* entry.c: contextCSN, read on that connection. */
struct err entry_revision(const struct dir *, struct connection *, int timeout_ms, struct revision *out);
/* What a result code means to those above; logs what they cannot help. what: the operation, for the log. */
struct err entry_result(const struct connection *, int code, const char *what, const char *diagnostics);
