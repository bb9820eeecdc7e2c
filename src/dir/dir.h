/* The directory: the only floor that speaks LDAP. Others name things by ids and entries; no DN, filter,
 * attribute name or LDAP handle leaves this folder, except dir_name_of, for people to read.
 *
 * A `struct dir` is safe for many threads. Every call is bounded by the timeouts in its settings. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/model.h"

#define DIR_URIS 4

struct dir_settings {
	const char *uris[DIR_URIS + 1]; /* tried in order: ldapi://…, ldap://… (StartTLS), ldaps://…; ends with NULL */
	const char *base;               /* suffix, "dc=scf,dc=example" */
	const char *people;             /* of a directory of people only (NPPES): the DN above uid=<id>; else NULL */
	const char *bind_dn;            /* service identity; NULL: SASL EXTERNAL (ldapi, or a client certificate) */
	const char *password_file;      /* its password: first line of this file */
	const char *ca_file;            /* TLS: trusted certificates; verification cannot be switched off */
	const char *certificate_file, *key_file; /* our own, for a server that asks for one; or both NULL */
	int connect_timeout_ms, operation_timeout_ms;
	int binds, searches, writers;   /* connections per pool */
};

struct dir;
/* Opens without connecting: a directory that is down is found by the first call. */
struct err dir_open(const struct dir_settings *, struct dir **out);
void dir_close(struct dir *);
/* For -t and readiness: connects, binds, and checks that schema, indexes, overlays and rights are as this program
 * needs them. what says the first that is not. */
struct err dir_check(struct arena *, struct dir *);

/* ---- passwords ---- */
enum bind_outcome {
	BIND_RIGHT,
	BIND_WRONG,       /* wrong password, or no such entry */
	BIND_LOCKED,      /* the directory says so; nothing is said of the password */
	BIND_MUST_CHANGE, /* right, but reset by an administrator: only a password change is allowed */
	BIND_EXPIRED,     /* right, but expired and no grace left */
};
struct bind_result {
	enum bind_outcome outcome;
	int grace;        /* right, expired: sign-ins left; -1: not expired */
	int64_t expires;  /* right: seconds until the password expires; -1: not soon */
};
/* Binds as that person, on a connection kept for binds, with the password policy control. uid NULL, or one that
 * the directory does not have, binds to a decoy that costs the same and always says BIND_WRONG. An empty password
 * and one with NUL are ERR_INVALID, before the wire (RFC 4513 5.1.2). ERR_UNAVAILABLE: nothing is known and nothing
 * was counted. */
struct err dir_bind_person(struct dir *, const char *uid, const char *password, size_t size, struct bind_result *out);

/* ---- reading and writing ---- */
/* Reads one entry with its document. as: the uid in whose name it is asked (proxied authorization, RFC 4370), NULL:
 * the service itself. provider: the organization that records and the like lie in; NULL for other kinds.
 * ERR_NOT_FOUND: it is not there, or not for that person. */
struct err dir_read(struct arena *, struct dir *, const char *as, enum kind, const char *provider, const char *id,
    struct entry *out);
/* Adds the entry. ERR_CONFLICT: there is one of that id. *out: its entryCSN. */
struct err dir_add(struct arena *, struct dir *, const char *as, const struct entry *, struct revision *out);

/* What must still be so at the moment of the write; the directory checks it in the same atomic step (RFC 4528). */
struct guard {
	enum state state;         /* STATE_NONE: any */
	struct revision revision; /* micros 0: any; else the entry's entryCSN */
};
/* Replaces the named fields (bits of enum field) of the entry that to->kind, provider, id name by to's values, in
 * one guarded modify. ERR_CONFLICT: the guard failed. ERR_NOT_FOUND as in dir_read. *out: the new entryCSN. */
struct err dir_update(struct arena *, struct dir *, const char *as, const struct entry *to, unsigned fields,
    const struct guard *, struct revision *out);

/* contextCSN: what the directory has reached. Used as heartbeat, on a connection of its own. */
struct err dir_revision(struct dir *, struct revision *out);

/* The DN of an entry, for explanations. */
const char *dir_name_of(struct arena *, const struct dir *, enum kind, const char *provider, const char *id);

/* ---- the stream: content synchronization (RFC 4533), refresh and persist ---- */
struct dir_listener {
	void *self;
	void (*begin)(void *self, bool anew);   /* a refresh begins; anew: everything will be told, nothing is kept */
	void (*entry)(void *self, const struct entry *);            /* added or changed; borrowed for the call */
	/* An entry inside our tree that is not understood: it grants nothing. why: attribute and rule. */
	void (*misfit)(void *self, const struct uuid *, const struct revision *, const char *dn, const char *why);
	void (*present)(void *self, const struct uuid *);           /* refresh: unchanged */
	void (*gone)(void *self, const struct uuid *);
	/* The refresh is complete; sweep: what was neither told nor present since begin is gone. */
	void (*refreshed)(void *self, bool sweep);
	void (*reached)(void *self, const struct revision *);       /* everything up to here has been told */
};
struct dir_stream;
struct err dir_stream_open(struct dir *, const struct dir_listener *, struct dir_stream **out);
/* Connects, resumes by cookie if it has one, and tells the listener until the connection ends (ERR_UNAVAILABLE),
 * the cookie is refused (handled: the next run begins anew), or dir_stream_stop. Call again to go on. */
struct err dir_stream_run(struct dir_stream *);
void dir_stream_stop(struct dir_stream *); /* from any thread; dir_stream_run returns within 100 ms */
void dir_stream_forget(struct dir_stream *); /* drops the cookie: the next run begins anew */
void dir_stream_close(struct dir_stream *);
