/* The auditors' log: one JSON line per sign-in, decision and change, written before the answer leaves. A record
 * that cannot be written is an error, and the caller must not act or answer (rules.md §5.17). One deep module: how
 * lines are kept, and later proved, is nobody else's business.
 *
 * While records cannot be written (no space, a disk error), all are refused at once, and writing is tried again by
 * itself: the first line afterwards is an "audit.resumed" that counts what was refused. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"

struct audit_settings {
	const char *file;
	int sync_ms;    /* decisions: at most this long until they are on disk; changes and sign-ins wait for the disk */
	bool off;       /* for the benchmark's comparison only */
};
struct audit;

/* Opens for appending and finishes what a crash left (a torn last line is cut off and reported in the log).
 * ERR_CONFLICT: another process writes it. ERR_INVALID: the file is something else than an audit log. The process must
 * ignore SIGXFSZ. */
struct err audit_open(const struct audit_settings *, struct audit **out);
void audit_close(struct audit *);
struct err audit_health(struct audit *); /* may records be written now? */

struct audit_status {
	uint64_t records;  /* written since the start */
	uint64_t refused;  /* could not be written */
	uint64_t syncs;    /* times that the disk was waited for; one serves many records */
	uint64_t reopened; /* because the file was moved, deleted or in error */
};
void audit_status(struct audit *, struct audit_status *out);

enum audit_class { AUDIT_DECISION, AUDIT_SIGN_IN, AUDIT_CHANGE };

/* Texts are borrowed; NULL fields are left out. Nothing secret belongs in here. */
struct audit_record {
	enum audit_class class;
	const char *event;      /* "decision", "sign_out", "record.update", …; left out where it is the word of the class */
	const char *request_id; /* shared with the log and the answer */
	const char *address;    /* of the client */
	const char *application;/* the calling application, if any */
	const char *actor;      /* uid, as far as known */
	const char *claimed;    /* sign-in: the name that was given, when it is nobody's; shortened */
	const char *session;    /* first 16 characters of the session's digest */
	const char *action;     /* word of enum action */
	const char *resource_kind, *resource;
	const char *provider, *employer; /* the path: for whom, through whom */
	const char *association, *consent; /* ids of the entries that the verdict rests on */
	const char *outcome;    /* "permit", "deny", "ok", "failed" */
	const char *reason;     /* word of enum reason, or of the sign-in's outcome */
	const struct revision *revision; /* of the replica that it was decided on */
	const char *detail;
};

/* Returns once the record is written (AUDIT_DECISION: handed to the kernel, so a killed process loses nothing) or is
 * on disk (others; one fsync serves all that wait). ERR_UNAVAILABLE: it is not there and leaves no torn line (after
 * an error of the disk, a whole line may remain of an act that did not happen). */
struct err audit_write(struct audit *, const struct audit_record *);

/* A thread that answers many at once may keep its decisions back, to have them written together: one system call for
 * all of them. Whoever does so must let no answer leave before audit_write_kept has succeeded. */
struct audit_kept;
struct audit_kept *audit_kept_open(struct audit *);
void audit_kept_close(struct audit_kept *);
/* From now on decisions of this thread are kept; with NULL they are written at once again. */
void audit_keep(struct audit_kept *);
bool audit_has_kept(const struct audit_kept *);
/* Writes what was kept, all or nothing. An error: of none of them an answer may leave. */
struct err audit_write_kept(struct audit_kept *);
