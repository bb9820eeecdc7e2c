/* One generation of the replica: every entry that the directory told since a refresh, and the indexes over them.
 *
 * Entries are never changed once they can be found: a change makes a new one, puts it into every place of the old
 * one by one atomic store each, and gives the old one to limbo. People and organizations are numbered as they are
 * first mentioned; a number is never used again within a generation. */
#pragma once

#include <stdbool.h>

#include "model/model.h"
#include "replica/index.h"
#include "replica/limbo.h"
#include "replica/store.h"

enum { KIND_MISFIT = KINDS, KINDS_HELD };

/* In front of every entry in the store. */
struct held {
	union {
		struct { handle next, prev; };               /* in a chain; prev is the writer's */
		struct { uint32_t secrets, certificates; };  /* application: how many digests follow its id */
	};
	uint32_t seen;       /* the refresh that last told it */
	uint8_t kind, class; /* of things; of the store */
};

/* Behind an association, at the end of its memory: its place among those of its user. */
struct beside { handle next, prev; };

/* In the slots of ties and bonds: the chain may have more than one, so its `next` must be read. Spares the others a
 * line of memory. */
#define MORE 0x80000000u

/* What a number stands for. Its name's slot has the entry, too, as the first hint; that one may be relied on, since
 * slots of names are never given to others. */
struct cell {
	handle entry; /* 0: only mentioned */
	handle name;  /* text; set before the number is used, kept as long as the generation */
	handle first; /* chain: sessions and associations of a person, records of an organization */
	uint32_t hash; /* of the name */
};
struct column { size_t size; uint32_t room; struct cell cells[]; };
struct column_of { struct column *cells; uint32_t count; struct index names; };

struct role_entry { struct mark mark; uint32_t bit, count; number members[]; }; /* sorted */
/* Texts behind one another: why; dn, or the id and the provider's id of an entry that was refused here. */
struct misfit_entry { struct mark mark; uint8_t kind, is_double; uint32_t dn_at, id_at, provider_at; char text[]; };

struct world {
	struct store store;
	struct index_key key;
	struct column_of people, organizations;
	struct index ties, bonds; /* associations of (user, provider); consents of (provider, employer) */
	struct index records, sessions, submissions, associations, consents, claims, cases; /* by id, by digest */
	struct index officials; /* organizations by the number of their Authorized Official */
	struct index applications, secrets, certificates;
	handle revision;                                  /* of what it has reached, published; 0: of nothing yet */

	/* Of the writer. */
	struct limbo *limbo;                              /* NULL until readers may come */
	uint32_t who, refresh;                            /* generation; counts refreshes */
	struct index uuids;
	handle roles[3];                                  /* read by others too */
	handle first_misfit, last_misfit;                 /* chain, read by others too */
	bool reload_wanted;                               /* only a full refresh can put right what was told */
	size_t doubles;                                   /* misfits whose id another entry has */
	uint32_t hand;                                    /* slot of ties whose hints are set next */
	size_t held[KINDS_HELD];                          /* read by others too */
};

struct world *world_open(uint32_t who);
void world_close(struct world *);
size_t world_bytes(const struct world *);
/* Without misfits. lasting: without sessions, too, which come and go by themselves. */
size_t world_count(const struct world *, bool lasting);

/* What the stream tells; see struct dir_listener. */
void world_begin(struct world *);
const char *world_entry(struct world *, const struct entry *); /* NULL, or why it is a misfit */
void world_misfit(struct world *, const struct uuid *, const struct revision *, const char *dn, const char *why);
void world_present(struct world *, const struct uuid *);
void world_gone(struct world *, const struct uuid *);
void world_sweep(struct world *);
void world_reached(struct world *, const struct revision *);
void world_settle(struct world *); /* sets every hint, after a load */
void world_give(struct world *, handle); /* free memory again, after a grace period */

/* ---- inside: make.c, seat.c ---- */
/* Builds what the replica holds of an entry; NULL, or why it is not understood. */
const char *make_entry(struct world *, const struct entry *, handle *out);
handle make_misfit(struct world *, const struct uuid *, const struct revision *, const char *dn, const char *why);
/* Of an entry that only the replica does not understand. */
handle make_misfit_of(struct world *, const struct entry *, const char *why, bool is_double);
handle make_person_with_roles(struct world *, handle person, uint32_t roles);

/* Another entry than `but` that has the same id as h; 0: none. */
handle seat_taken(const struct world *, handle h, handle but);
/* Was it old whose id the double m could not have? */
bool seat_frees(const struct world *, handle old, const struct misfit_entry *m);
/* Puts h into every place, taking over those of old (0: none). */
void seat_entry(struct world *, handle h, handle old);
void seat_leave(struct world *, handle);
/* Hints: of a tie's slot (employer's number, consent; employer's entry), of its user's slot (entry, association;
 * provider's number, employer's number; consent, employer's entry), of a record's (provider's number and entry). */
void seat_hints(struct world *, uint64_t *tie);
uint32_t seat_roles(const struct world *, number person);
void seat_uuid(struct world *, const struct uuid *, handle h, handle old); /* in the index of UUIDs */

number world_person(struct world *, const char *uid);
number world_organization(struct world *, const char *id);
void world_retire(struct world *, handle);

static inline struct held *world_held(const struct world *w, handle h)
{
	return store_at(&w->store, h);
}

static inline void *world_at(const struct world *w, handle h)
{
	return world_held(w, h) + 1;
}

static inline struct beside *world_beside(const struct world *w, handle h)
{
	struct held *held = world_held(w, h);

	return (struct beside *)((char *)held + store_room(held->class)) - 1;
}

static inline struct cell *world_cell(const struct column_of *c, number n)
{
	return &__atomic_load_n(&c->cells, __ATOMIC_ACQUIRE)->cells[n];
}

static inline handle world_load(const handle *h)
{
	return __atomic_load_n(h, __ATOMIC_ACQUIRE);
}

static inline void world_store(handle *h, handle value)
{
	__atomic_store_n(h, value, __ATOMIC_RELEASE);
}

static inline bool world_hex(const char *text, unsigned char out[32])
{
	for (int i = 0; i < 64; i++) {
		char c = text[i];
		int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (digit < 0)
			return false;
		out[i / 2] = (unsigned char)(i % 2 ? out[i / 2] | digit : digit << 4);
	}
	return text[64] == '\0';
}

/* A digest is as good as chance, but known to whoever chose what it is of. */
static inline uint32_t world_hash_digest(const struct world *w, const unsigned char digest[32])
{
	return index_hash(&w->key, digest, 32);
}
