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
int dir_patience_ms(const struct dir *); /* the longest that one call may take to know that it came to nothing */
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

/* Of a directory of people (NPPES): binds as dir_bind_person, and if right reads the person's own entry on the same
 * connection. */
struct err dir_bind_and_read(struct arena *, struct dir *, const char *uid, const char *password, size_t size,
    struct bind_result *, struct entry *out);

enum password_outcome {
	PASSWORD_SET,
	PASSWORD_WRONG,      /* the old one is not right (counted by the directory like a failed sign-in) */
	PASSWORD_LOCKED,
	PASSWORD_EXPIRED,    /* the old one is right, and no grace is left */
	PASSWORD_TOO_SHORT, PASSWORD_IN_HISTORY, PASSWORD_REFUSED, /* the directory's policy refuses the new one */
};
/* RFC 3062, as the person (bound with the old password), so that policy and history apply; also for BIND_MUST_CHANGE and
 * expired with grace. otp: digits appended to the old password for slapo-otp, or NULL. */
struct err dir_change_password(struct dir *, const char *uid, const char *old, size_t old_size, const char *otp,
    const char *new, size_t new_size, enum password_outcome *out, struct revision *written);
/* In the gateway's name, after a mailed link was used: policy applies, the lock and pwdReset go. */
struct err dir_set_password(struct dir *, const char *uid, const char *new, size_t size, enum password_outcome *out,
    struct revision *written);
/* Deletes what the directory has counted against the account, and its lock. */
struct err dir_unlock(struct dir *, const char *uid, struct revision *written);
struct dir_failures {
	int count;    /* wrong passwords that still count, at most as many as lock */
	int64_t last; /* of them, seconds since the epoch; 0: none */
	bool locked;  /* an attribute says so; whether the lock still holds, the directory says to a bind */
	bool for_good; /* by an administrator, until an administrator opens it */
};
struct err dir_failures(struct arena *, struct dir *, const char *uid, struct dir_failures *out);
/* The account with that mail address that is not removed, one of ours before a practitioner's; ERR_NOT_FOUND. */
struct err dir_find_mail(struct arena *, struct dir *, const char *mail, const char **uid);

/* ---- second factor (slapo-otp): time-based codes of 6 digits, every 30 s, SHA-1 ---- */
struct err dir_totp_enrol(struct dir *, const char *uid, const unsigned char *secret, size_t size, struct revision *);
    /* stored, not asked for yet; ERR_CONFLICT: one is active */
struct err dir_totp_secret(struct dir *, const char *uid, unsigned char out[64], size_t *size, bool *active);
/* The time step of the code that was used last: it and those before are no good any more; 0: none was. */
struct err dir_totp_last_step(struct dir *, const char *uid, int64_t *out);
struct err dir_totp_activate(struct arena *, struct dir *, const char *uid, const char *const *recovery_digests,
    struct revision *);
struct err dir_totp_remove(struct dir *, const char *uid, struct revision *); /* the recovery codes too */

/* ---- reading and writing ---- */
/* Reads one entry with its document. as: the uid in whose name it is asked (proxied authorization, RFC 4370), NULL:
 * the service itself. provider: the organization that records and the like lie in; NULL for other kinds.
 * ERR_NOT_FOUND: it is not there, or not for that person. */
struct err dir_read(struct arena *, struct dir *, const char *as, enum kind, const char *provider, const char *id,
    struct entry *out);
/* The same without its document: for lists. */
struct err dir_read_head(struct arena *, struct dir *, const char *as, enum kind, const char *provider, const char *id,
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

/* Deletes the entry that to->kind, provider and id name, under the guard. Errors as dir_update. */
struct err dir_delete(struct arena *, struct dir *, const char *as, const struct entry *, const struct guard *,
    struct revision *out);

/* The folders and groups of a provider (ou=associations …, cn=associates …): adds what is missing. */
struct err dir_furnish(struct arena *, struct dir *, const char *provider);

/* ---- attachments: documents that were handed in, in parts ---- */
#define ATTACHMENT_PART 262144 /* bytes at most */
struct attachment {
	const char *id, *user, *media_type, *digest; /* the last two are known once it is finished */
	int64_t size, at;
};
struct err dir_attachment_begin(struct arena *, struct dir *, const struct attachment *, struct revision *);
/* part: from 1 */
struct err dir_attachment_part(struct arena *, struct dir *, const char *id, int part, const void *bytes, size_t size);
struct err dir_attachment_finish(struct arena *, struct dir *, const struct attachment *, struct revision *);
/* as: the uid in whose name it is read: the help desk may, nobody else. */
struct err dir_attachment_head(struct arena *, struct dir *, const char *as, const char *id, struct attachment *out);
struct err dir_attachment_read(struct arena *, struct dir *, const char *as, const char *id, int part,
    const void **bytes, size_t *size);
struct err dir_attachment_remove(struct arena *, struct dir *, const char *id);
/* All heads; digest NULL: not finished. Ends when visit returns false. */
struct err dir_attachment_each(struct arena *, struct dir *, bool (*visit)(void *self, const struct attachment *),
    void *self);

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
