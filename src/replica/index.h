/* A hash table from hashes to handles or numbers: one thread writes, any number read without a lock. What the value
 * names is compared by whoever asks; two with the same hash are both told.
 *
 * A slot begins with one word, hash above value, so that a reader sees both or neither. Hints may follow: what to
 * fetch from memory ahead of time, never what to rely on. Places follow the hashes' order, so that a table is rebuilt
 * in one pass along both. Most searches end at the first slot: the processor then guesses right and goes on with what
 * the slot says before memory has answered. (Buckets of one line, looked at as a whole, were a quarter slower.) */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "replica/limbo.h"

/* Hashes are keyed with chance: strangers choose ids in requests, and some choose their own. */
struct index_key { uint64_t text[2], pair[2]; };
void index_key_make(struct index_key *);
uint32_t index_hash(const struct index_key *, const void *, size_t size); /* SipHash-1-3, folded */

static inline uint32_t index_hash_pair(const struct index_key *k, uint32_t a, uint32_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide m = (wide)(((uint64_t)a << 32 | b) ^ k->pair[0]) * (k->pair[1] | 1);
	uint64_t x = ((uint64_t)m ^ (uint64_t)(m >> 64)) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(x >> 32) | 1;
}

struct index_slots {
	size_t size;    /* in bytes, of all of this */
	uint32_t count; /* slots */
	uint32_t words; /* per slot: 1, 2 or 4 */
	_Alignas(64) uint64_t word[];
};

struct index {
	struct index_slots *slots; /* published */
	uint32_t words;            /* per slot: 1, and 1 or 3 for as many pairs of hints */
	uint32_t used, live;       /* of the writer: slots that are not empty; with a value */
};

void index_open(struct index *, uint32_t words);
void index_close(struct index *);
size_t index_bytes(const struct index *);

/* ---- of readers ---- */
struct index_walk {
	const struct index_slots *slots;
	uint32_t at, hash, found;
};

static inline uint32_t index_home(const struct index_slots *slots, uint32_t hash)
{
	return (uint32_t)((uint64_t)hash * slots->count >> 32);
}

static inline struct index_walk index_walk(const struct index *x, uint32_t hash)
{
	const struct index_slots *slots = __atomic_load_n(&x->slots, __ATOMIC_ACQUIRE);

	return (struct index_walk){ slots, index_home(slots, hash), hash, 0 };
}

static inline uint64_t *index_word(const struct index_slots *slots, uint32_t at)
{
	return (uint64_t *)&slots->word[(size_t)at * slots->words];
}

/* Begins to fetch what the walk will read. (gcc takes a function that does nothing but prefetch for one that does
 * nothing, and leaves out its calls, unless it must inline it.) */
[[gnu::always_inline]] static inline void index_prefetch(const struct index_walk *w)
{
	__builtin_prefetch(index_word(w->slots, w->at));
}

/* The next value with that hash; 0: no more. */
static inline uint32_t index_next(struct index_walk *w)
{
	for (;;) {
		uint64_t word = __atomic_load_n(index_word(w->slots, w->at), __ATOMIC_ACQUIRE);

		w->found = w->at;
		w->at = w->at + 1 == w->slots->count ? 0 : w->at + 1;
		if (word == 0)
			return 0;
		if (word >> 32 == w->hash && (uint32_t)word != 0)
			return (uint32_t)word;
	}
}

/* A pair of hints beside the value last told; the first pair is 1. */
static inline uint64_t index_hints(const struct index_walk *w, uint32_t pair)
{
	return __atomic_load_n(index_word(w->slots, w->found) + pair, __ATOMIC_ACQUIRE);
}

static inline uint64_t index_both(uint32_t first, uint32_t second)
{
	return (uint64_t)second << 32 | first;
}

/* ---- of the writer ---- */
/* Adds, whether there is one with that hash or not; returns the slot, good until the next index_add. limbo NULL:
 * nobody reads yet. */
uint64_t *index_add(struct index *, struct limbo *, uint32_t hash, uint32_t value);
uint64_t *index_find(const struct index *, uint32_t hash, uint32_t value); /* the slot of exactly this one; or NULL */

static inline uint32_t index_value(const uint64_t *slot)
{
	return (uint32_t)__atomic_load_n(slot, __ATOMIC_RELAXED);
}

static inline void index_set(uint64_t *slot, uint32_t value)
{
	__atomic_store_n(slot, (__atomic_load_n(slot, __ATOMIC_RELAXED) >> 32) << 32 | value, __ATOMIC_RELEASE);
}

static inline void index_set_hints(uint64_t *slot, uint32_t pair, uint64_t hints)
{
	__atomic_store_n(slot + pair, hints, __ATOMIC_RELEASE);
}

void index_remove(struct index *, uint64_t *slot); /* leaves a mark, which the next that comes by may take */
