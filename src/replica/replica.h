/* The directory in memory, kept fresh by its replication stream. Answers "what are the facts about u and p?" in
 * constant time per path, without locks: readers are inside an RCU read section (liburcu), one thread writes.
 *
 * What a view hands out is borrowed until replica_leave: copy what must live longer. Nothing may block inside. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "dir/dir.h"
#include "model/model.h"
#include "rule/rule.h"

struct replica_settings {
	int max_staleness_ms;  /* older than this: every decision is refused as stale */
	int heartbeat_ms;      /* how often contextCSN is asked on another connection */
	int shrink_percent;    /* a reload that lost more than this share of its entries is not swapped in */
};

struct replica;
/* Starts the stream and the heartbeat; the first load may still be under way when it returns. */
struct err replica_open(const struct replica_settings *, struct dir *, struct replica **out);
void replica_close(struct replica *);

/* An empty replica without a directory, and the listener that fills it: for tests and benchmarks. It counts as
 * fresh from the first `refreshed` on. */
struct err replica_open_alone(struct replica **out);
struct dir_listener replica_listener(struct replica *);

struct replica_status {
	bool loaded;             /* a complete refresh has been swapped in */
	bool fresh;              /* within max_staleness */
	bool connected;          /* the stream is up */
	bool shrink_alarm;       /* a reload was refused because it was implausibly small */
	int64_t age_ms;          /* since the replica was last known to equal the directory; -1: never */
	struct revision revision;
	size_t entries, misfits; /* held; not understood */
	size_t bytes;            /* of memory, names and indexes included */
	uint64_t changes, reloads, reconnects;
	int64_t load_us;         /* duration of the last full load */
};
void replica_status(struct replica *, struct replica_status *out);
/* After an administrator has looked: lets the next reload be swapped in whatever its size. */
void replica_accept_shrink(struct replica *);

/* Waits until the replica has reached revision. ERR_UNAVAILABLE after timeout_ms. Never in a read section, never on
 * an HTTP thread. */
struct err replica_wait(struct replica *, const struct revision *, int timeout_ms);
bool replica_has_reached(struct replica *, const struct revision *);

/* Tells the misfits, oldest first, at most COUNT; for whoever must mend them. Texts are in the arena. */
struct replica_misfit { const char *dn, *why; struct revision revision; };
size_t replica_misfits(struct arena *, struct replica *, struct replica_misfit *out, size_t most);

/* ---- read section ---- */
struct view {
	const struct world *world; /* the replica's inside, one generation of it */
	struct revision revision;  /* what it had reached when the section began */
	bool fresh;                /* false: whatever is found, the decision is stale_directory */
};
/* Always enters (leave must follow), and never waits. */
void replica_enter(struct replica *, struct view *out);
void replica_leave(struct view *);
#define WITH_REPLICA(name, replica)                                                                             \
	for (struct view name [[gnu::cleanup(replica_leave)]], *once_ = (replica_enter((replica), &name), &name); \
	     once_; once_ = NULL)

/* NULL: the replica knows of none (missing, or not understood). An organization or person that is only mentioned
 * by others is not there. */
const struct person *replica_person(const struct view *, const char *uid);
const struct organization *replica_organization(const struct view *, const char *id);
const struct association *replica_association(const struct view *, const char *id);
const struct consent *replica_consent(const struct view *, const char *id);
const struct record *replica_record(const struct view *, const char *id);
const struct submission *replica_submission(const struct view *, const char *id);
const struct claim *replica_claim(const struct view *, const char *id);
const struct help_case *replica_case(const struct view *, const char *id);
const struct session *replica_session(const struct view *, const unsigned char digest[32]);
const struct application *replica_application(const struct view *, const char *id);
const struct application *replica_application_by_secret(const struct view *, const unsigned char digest[32]);
const struct application *replica_application_by_certificate(const struct view *, const unsigned char digest[32]);

/* Of the entry that says who has that role. */
const struct mark *replica_role(const struct view *, enum role);

/* From numbers in entries to the things and their names. The name of a number is always known. */
const struct person *replica_person_no(const struct view *, number);
const struct organization *replica_organization_no(const struct view *, number);
const char *replica_uid(const struct view *, number);
const char *replica_org_id(const struct view *, number);

/* Everything about the actor and the provider that rules.md §3 asks for, judged: looks up each path of actor to
 * provider (associations of the two, the AO's own path, each with each consent of the pair) and hears the rule.
 * Fills facts->… nothing; facts->actor and facts->provider may be NULL. */
struct verdict replica_judge(const struct view *, enum action, const struct facts *);
/* Calls visit for each of these paths, open or not, until it returns false. */
void replica_paths(const struct view *, const struct person *, const struct organization *,
    bool (*visit)(void *self, const struct path *), void *self);
bool replica_bars(const struct organization *provider, number employer);
bool replica_is_official(const struct view *, number person); /* of any organization */

/* Walks, for lists (not for decisions). visit returns false to stop. */
void replica_sessions_of(const struct view *, number person, bool (*visit)(void *self, const struct session *),
    void *self);
void replica_associations_of(const struct view *, number person,
    bool (*visit)(void *self, const struct association *), void *self);
void replica_records_of(const struct view *, number provider, bool (*visit)(void *self, const struct record *),
    void *self);
void replica_each_association(const struct view *, bool (*visit)(void *self, const struct association *), void *self);
void replica_each_consent(const struct view *, bool (*visit)(void *self, const struct consent *), void *self);
void replica_each_person(const struct view *, bool (*visit)(void *self, const struct person *), void *self);
void replica_each_organization(const struct view *, bool (*visit)(void *self, const struct organization *), void *self);
void replica_each_submission(const struct view *, bool (*visit)(void *self, const struct submission *), void *self);
void replica_each_claim(const struct view *, bool (*visit)(void *self, const struct claim *), void *self);
void replica_each_case(const struct view *, bool (*visit)(void *self, const struct help_case *), void *self);
