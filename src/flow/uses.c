/* A table of atomics: a request claims a slot by its key, the writing thread alone gives slots back. */
#include "flow/uses.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#include "base/banned.h"

#define PROBES 16

/* key 0: free. used 0: claimed, but not filled in yet, or being given back; nobody counts on it then. The words are
 * the digest's; the first one tells sessions apart (64 bits of a SHA-256 that no client chooses). */
struct slot {
	_Atomic uint64_t key;
	_Atomic uint64_t rest[3];
	_Atomic int64_t used, known; /* known: by the directory */
};

struct uses {
	size_t mask;
	atomic_bool lost;
	struct slot *slots;
};

struct uses *uses_open(size_t room)
{
	struct uses *u = must_alloc(sizeof *u);
	size_t size = PROBES;

	while (size < room)
		size *= 2;
	u->mask = size - 1;
	u->slots = must_alloc(size * sizeof *u->slots);
	return u;
}

void uses_close(struct uses *u)
{
	free(u->slots);
	free(u);
}

static uint64_t word_of(const unsigned char digest[32], int i)
{
	uint64_t word;

	memcpy(&word, digest + 8 * i, sizeof word);
	return word != 0 || i > 0 ? word : 1;
}

static void claim(struct slot *s, const unsigned char digest[32], int64_t seen_at, int64_t now)
{
	for (int i = 0; i < 3; i++)
		atomic_store_explicit(&s->rest[i], word_of(digest, i + 1), memory_order_relaxed);
	atomic_store_explicit(&s->known, seen_at, memory_order_relaxed);
	atomic_store_explicit(&s->used, now, memory_order_release);
}

static void move_on(struct slot *s, int64_t now)
{
	int64_t used = atomic_load_explicit(&s->used, memory_order_relaxed);

	while (used != 0 && used < now &&
	    !atomic_compare_exchange_weak_explicit(&s->used, &used, now, memory_order_acq_rel, memory_order_relaxed))
		;
}

bool uses_note(struct uses *u, const unsigned char digest[32], int64_t seen_at, int64_t now)
{
	uint64_t key = word_of(digest, 0);

	/* Again if somebody takes the free slot first: he may be noting the same session. */
	for (int tries = 0; tries < 4; tries++) {
		struct slot *free_one = NULL;

		for (size_t i = 0; i < PROBES; i++) {
			struct slot *s = &u->slots[(key + i) & u->mask];
			uint64_t held = atomic_load_explicit(&s->key, memory_order_acquire);

			if (held == key) {
				move_on(s, now);
				return true;
			}
			if (held == 0 && free_one == NULL)
				free_one = s;
		}
		if (free_one == NULL)
			break;
		uint64_t none = 0;
		if (atomic_compare_exchange_strong_explicit(&free_one->key, &none, key, memory_order_acq_rel,
		    memory_order_relaxed)) {
			claim(free_one, digest, seen_at, now);
			return true;
		}
	}
	atomic_store_explicit(&u->lost, true, memory_order_relaxed);
	return false;
}

bool uses_were_lost(struct uses *u)
{
	return atomic_exchange_explicit(&u->lost, false, memory_order_relaxed);
}

int64_t uses_last(const struct uses *u, const unsigned char digest[32])
{
	uint64_t key = word_of(digest, 0);
	int64_t last = 0;

	for (size_t i = 0; i < PROBES; i++) {
		struct slot *s = &u->slots[(key + i) & u->mask];

		if (atomic_load_explicit(&s->key, memory_order_acquire) == key) {
			int64_t used = atomic_load_explicit(&s->used, memory_order_relaxed);
			last = used > last ? used : last;
		}
	}
	return last;
}

/* First used, then key: a request that noted a use in between keeps the slot. */
static void give_back(struct slot *s, int64_t used)
{
	if (atomic_compare_exchange_strong_explicit(&s->used, &used, 0, memory_order_acq_rel, memory_order_relaxed))
		atomic_store_explicit(&s->key, 0, memory_order_release);
}

bool uses_next_due(struct uses *u, size_t *place, int64_t now, int64_t every_s, struct use *out)
{
	for (; *place <= u->mask; (*place)++) {
		struct slot *s = &u->slots[*place];
		int64_t used = atomic_load_explicit(&s->used, memory_order_acquire);
		int64_t known = atomic_load_explicit(&s->known, memory_order_relaxed);

		if (used == 0)
			continue;
		if (used <= known) {
			if (now - used > every_s)
				give_back(s, used);
			continue;
		}
		if (now - known < every_s)
			continue;
		*out = (struct use){ .at = used, .slot = (*place)++ };
		uint64_t words[4] = { atomic_load_explicit(&s->key, memory_order_relaxed) };
		for (int i = 0; i < 3; i++)
			words[i + 1] = atomic_load_explicit(&s->rest[i], memory_order_relaxed);
		memcpy(out->digest, words, sizeof out->digest);
		return true;
	}
	return false;
}

void uses_written(struct uses *u, const struct use *use)
{
	atomic_store_explicit(&u->slots[use->slot].known, use->at, memory_order_relaxed);
}

void uses_forget(struct uses *u, const struct use *use)
{
	struct slot *s = &u->slots[use->slot];
	int64_t used = atomic_load_explicit(&s->used, memory_order_relaxed);

	give_back(s, used);
}
