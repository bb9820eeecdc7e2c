/* Open addressing with linear probing; grown by copying in one pass, while readers go on in the old slots. */
#include "replica/index.h"

#include <string.h>

#include "base/secret.h"

#include "base/banned.h"

#define LEAST 32

void index_key_make(struct index_key *k)
{
	random_bytes(k, sizeof *k);
}

/* ---- SipHash (Aumasson, Bernstein), one round a word and three at the end ---- */

static inline uint64_t turn(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = turn(v[1], 13) ^ v[0], v[0] = turn(v[0], 32);
	v[2] += v[3], v[3] = turn(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = turn(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = turn(v[1], 17) ^ v[2], v[2] = turn(v[2], 32);
}

static inline uint64_t word_at(const unsigned char *p)
{
	uint64_t w;

	memcpy(&w, p, 8);
	return w;
}

static inline uint64_t half_at(const unsigned char *p)
{
	uint32_t w;

	memcpy(&w, p, 4);
	return w;
}

/* The rest of a text, read so that it may overlap what went before: unambiguous because the size is hashed, too. */
static inline uint64_t rest_of(const unsigned char *p, size_t size)
{
	if (size >= 8)
		return word_at(p + size - 8);
	if (size >= 4)
		return half_at(p) << 32 | half_at(p + size - 4);
	if (size > 0)
		return (uint64_t)p[0] << 16 | (uint64_t)p[size / 2] << 8 | p[size - 1];
	return 0;
}

uint32_t index_hash(const struct index_key *k, const void *bytes, size_t size)
{
	const unsigned char *p = bytes;
	uint64_t v[4] = {
		k->text[0] ^ 0x736f6d6570736575u,
		k->text[1] ^ 0x646f72616e646f6du,
		k->text[0] ^ 0x6c7967656e657261u,
		k->text[1] ^ 0x7465646279746573u ^ size,
	};

	for (size_t i = 0; i + 8 < size; i += 8) {
		uint64_t m = word_at(p + i);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	uint64_t m = rest_of(p, size);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return (uint32_t)((v[0] ^ v[1] ^ v[2] ^ v[3]) >> 32) | 1; /* never 0: a removed slot keeps its hash */
}

/* ---- the table ---- */

static struct index_slots *slots_make(uint32_t count, uint32_t words)
{
	size_t size = sizeof(struct index_slots) + (size_t)count * words * sizeof(uint64_t);
	struct index_slots *slots = store_pages(size);

	slots->size = size;
	slots->count = count;
	slots->words = words;
	return slots;
}

void index_open(struct index *x, uint32_t words)
{
	*x = (struct index){ .words = words };
	x->slots = slots_make(LEAST, words);
}

void index_close(struct index *x)
{
	store_pages_give(x->slots, x->slots->size);
	x->slots = NULL;
}

size_t index_bytes(const struct index *x)
{
	return x->slots->size;
}

/* An empty slot, or one whose value was removed: words are whole, so a reader sees the old nothing or the new. */
static uint32_t place_for(const struct index_slots *slots, uint32_t hash)
{
	uint32_t at = index_home(slots, hash);

	while (index_value(index_word(slots, at)) != 0)
		at = at + 1 == slots->count ? 0 : at + 1;
	return at;
}

/* Those with hints are read in every decision: they are kept emptier, so that more searches end at the first slot. */
static bool is_full(const struct index *x)
{
	return x->used >= (x->words > 1 ? x->slots->count / 2 : x->slots->count / 8 * 5);
}

static uint32_t room_for(const struct index *x)
{
	if (x->live < LEAST / 2)
		return LEAST;
	return x->words > 1 ? x->live * 3 : x->live + x->live / 8 * 9;
}

static void rebuild(struct index *x, struct limbo *limbo)
{
	struct index_slots *old = x->slots;
	struct index_slots *slots = slots_make(room_for(x), x->words);

	for (uint32_t i = 0; i < old->count; i++) {
		const uint64_t *from = index_word(old, i);
		if (index_value(from) == 0)
			continue;
		uint64_t *to = index_word(slots, place_for(slots, (uint32_t)(*from >> 32)));
		for (uint32_t k = 0; k < x->words; k++)
			to[k] = from[k];
	}
	x->used = x->live;
	__atomic_store_n(&x->slots, slots, __ATOMIC_RELEASE);
	if (limbo)
		limbo_memory(limbo, store_pages_give, old, old->size);
	else
		store_pages_give(old, old->size);
}

uint64_t *index_add(struct index *x, struct limbo *limbo, uint32_t hash, uint32_t value)
{
	if (is_full(x))
		rebuild(x, limbo);
	uint64_t *slot = index_word(x->slots, place_for(x->slots, hash));

	x->used += *slot == 0;
	x->live++;
	for (uint32_t pair = 1; pair < x->words; pair++)
		index_set_hints(slot, pair, 0);
	__atomic_store_n(slot, (uint64_t)hash << 32 | value, __ATOMIC_RELEASE);
	return slot;
}

uint64_t *index_find(const struct index *x, uint32_t hash, uint32_t value)
{
	struct index_walk w = index_walk(x, hash);

	for (uint32_t v; (v = index_next(&w)) != 0;)
		if (v == value)
			return index_word(w.slots, w.found);
	return NULL;
}

/* A search ends at an empty slot. A removed one must not be empty, unless the search would end at the next anyway:
 * then it may, and those before it as well. Without this, entries that come and go would fill the table with marks. */
void index_remove(struct index *x, uint64_t *slot)
{
	struct index_slots *slots = x->slots;
	uint32_t at = (uint32_t)((size_t)(slot - slots->word) / slots->words);

	index_set(slot, 0);
	x->live--;
	if (*index_word(slots, at + 1 == slots->count ? 0 : at + 1) != 0)
		return;
	while (*slot != 0 && index_value(slot) == 0) {
		__atomic_store_n(slot, 0, __ATOMIC_RELEASE);
		x->used--;
		at = at == 0 ? slots->count - 1 : at - 1;
		slot = index_word(slots, at);
	}
}
