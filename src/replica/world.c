/* Takes in what the stream tells, one entry at a time. */
#include "replica/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"

#include "base/banned.h"

#define CELLS_LEAST 64
#define INDEXES 13

/* ---- numbers and names ---- */

static struct column *column_make(uint32_t room)
{
	size_t size = sizeof(struct column) + room * sizeof(struct cell);
	struct column *column = store_pages(size);

	column->size = size;
	column->room = room;
	return column;
}

static void column_open(struct column_of *c, uint32_t words)
{
	index_open(&c->names, words);
	c->cells = column_make(CELLS_LEAST);
	c->count = 0;
}

static void column_close(struct column_of *c)
{
	index_close(&c->names);
	store_pages_give(c->cells, c->cells->size);
}

static void column_grow(struct column_of *c, struct limbo *limbo)
{
	struct column *old = c->cells, *new = column_make(old->room + old->room / 2);

	memcpy(new->cells, old->cells, old->room * sizeof(struct cell));
	__atomic_store_n(&c->cells, new, __ATOMIC_RELEASE);
	if (limbo)
		limbo_memory(limbo, store_pages_give, old, old->size);
	else
		store_pages_give(old, old->size);
}

static number number_of_name(struct world *w, struct column_of *c, const char *name)
{
	size_t size = strlen(name);
	uint32_t hash = index_hash(&w->key, name, size);
	struct index_walk walk = index_walk(&c->names, hash);
	uint8_t class;

	for (number n; (n = index_next(&walk)) != 0;)
		if (strcmp(store_at(&w->store, c->cells->cells[n].name), name) == 0)
			return n;
	if (++c->count == c->cells->room)
		column_grow(c, w->limbo);
	handle text = store_take(&w->store, size + 1, &class);
	memcpy(store_at(&w->store, text), name, size + 1);
	c->cells->cells[c->count].name = text;
	c->cells->cells[c->count].hash = hash;
	index_add(&c->names, w->limbo, hash, c->count);
	return c->count;
}

number world_person(struct world *w, const char *uid)
{
	return number_of_name(w, &w->people, uid);
}

number world_organization(struct world *w, const char *id)
{
	return number_of_name(w, &w->organizations, id);
}

/* ---- open and close ---- */

static struct index *const *indexes_of(struct world *w, struct index *out[INDEXES])
{
	struct index *const all[INDEXES] = { &w->ties, &w->bonds, &w->records, &w->sessions, &w->submissions,
		&w->associations, &w->consents, &w->applications, &w->secrets, &w->certificates,
		&w->claims, &w->cases, &w->officials };

	memcpy(out, all, sizeof all);
	return out;
}

struct world *world_open(uint32_t who)
{
	struct world *w = must_alloc(sizeof *w);
	struct index *all[INDEXES];

	w->who = who;
	store_open(&w->store);
	index_key_make(&w->key);
	column_open(&w->people, 4);
	column_open(&w->organizations, 2);
	indexes_of(w, all);
	for (size_t i = 0; i < COUNT(all); i++)
		index_open(all[i], all[i] == &w->ties ? 4 : all[i] == &w->records ? 2 : 1);
	index_open(&w->uuids, 1);
	return w;
}

void world_close(struct world *w)
{
	struct index *all[INDEXES];

	if (w == NULL)
		return;
	indexes_of(w, all);
	for (size_t i = 0; i < COUNT(all); i++)
		index_close(all[i]);
	index_close(&w->uuids);
	column_close(&w->people);
	column_close(&w->organizations);
	store_close(&w->store);
	free(w);
}

size_t world_bytes(const struct world *w)
{
	struct index *all[INDEXES];
	size_t bytes = sizeof *w + store_bytes(&w->store) + index_bytes(&w->uuids);

	indexes_of((struct world *)w, all);
	for (size_t i = 0; i < COUNT(all); i++)
		bytes += index_bytes(all[i]);
	bytes += index_bytes(&w->people.names) + w->people.cells->size;
	return bytes + index_bytes(&w->organizations.names) + w->organizations.cells->size;
}

size_t world_count(const struct world *w, bool lasting)
{
	size_t count = 0;

	for (int kind = 0; kind < KINDS; kind++)
		if (kind != KIND_SESSION || !lasting)
			count += __atomic_load_n(&w->held[kind], __ATOMIC_RELAXED);
	return count;
}

/* ---- entries come and go ---- */

static void count(struct world *w, unsigned kind, int by)
{
	if (kind < KINDS_HELD)
		__atomic_store_n(&w->held[kind], w->held[kind] + (size_t)by, __ATOMIC_RELAXED);
}

static uint32_t uuid_hash(const struct world *w, const struct uuid *uuid)
{
	return index_hash(&w->key, uuid, sizeof *uuid);
}

static handle find(const struct world *w, const struct uuid *uuid)
{
	struct index_walk walk = index_walk(&w->uuids, uuid_hash(w, uuid));
	handle h;

	while ((h = index_next(&walk)) != 0)
		if (memcmp(&((const struct mark *)world_at(w, h))->uuid, uuid, sizeof *uuid) == 0)
			break;
	return h;
}

void world_give(struct world *w, handle h)
{
	store_give(&w->store, h, world_held(w, h)->class);
}

void world_retire(struct world *w, handle h)
{
	if (w->limbo)
		limbo_entry(w->limbo, w->who, h);
	else
		world_give(w, h);
}

void seat_uuid(struct world *w, const struct uuid *uuid, handle h, handle old)
{
	uint32_t hash = uuid_hash(w, uuid);

	if (old)
		index_set(index_find(&w->uuids, hash, old), h);
	else
		index_add(&w->uuids, w->limbo, hash, h);
}

/* The double of an id cannot take the place of what has gone: its text was not kept. */
static void id_is_free(struct world *w, handle old)
{
	for (handle m = w->doubles ? w->first_misfit : 0; m; m = world_held(w, m)->next)
		if (seat_frees(w, old, world_at(w, m)))
			w->reload_wanted = true;
}

static void forget(struct world *w, handle old)
{
	unsigned kind = world_held(w, old)->kind;

	if (kind == KIND_MISFIT)
		w->doubles -= ((const struct misfit_entry *)world_at(w, old))->is_double;
	else
		id_is_free(w, old);
	count(w, kind, -1);
	world_retire(w, old);
}

static void take_out(struct world *w, handle h)
{
	const struct mark *mark = world_at(w, h);

	index_remove(&w->uuids, index_find(&w->uuids, uuid_hash(w, &mark->uuid), h));
	seat_leave(w, h);
	forget(w, h);
}

static void put(struct world *w, const struct uuid *uuid, handle h, handle old)
{
	unsigned kind = world_held(w, h)->kind;

	if (old && world_held(w, old)->kind != kind) {
		take_out(w, old);
		old = 0;
	}
	world_held(w, h)->seen = w->refresh;
	seat_uuid(w, uuid, h, old);
	seat_entry(w, h, old);
	count(w, kind, 1);
	if (kind == KIND_MISFIT)
		w->doubles += ((const struct misfit_entry *)world_at(w, h))->is_double;
	if (old)
		forget(w, old);
}

/* Consents and employers change after the associations that their hints stand with: a hand that goes round with the
 * changes puts two of them right each time. */
static void move_hand(struct world *w)
{
	struct index_slots *slots = w->ties.slots;

	for (int i = 0; i < 2; i++) {
		w->hand = w->hand + 1 < slots->count ? w->hand + 1 : 0;
		uint64_t *slot = index_word(slots, w->hand);
		if (index_value(slot) != 0)
			seat_hints(w, slot);
	}
}

/* ---- what the stream tells ---- */

void world_begin(struct world *w)
{
	w->refresh++;
}

const char *world_entry(struct world *w, const struct entry *e)
{
	handle old = find(w, &e->uuid), h = 0;

	/* What changes its kind takes over nothing, not even a role that it has given itself. */
	if (old && world_held(w, old)->kind != e->kind && world_held(w, old)->kind != KIND_MISFIT) {
		take_out(w, old);
		old = 0;
	}
	const char *why = make_entry(w, e, &h);
	bool is_double = !why && seat_taken(w, h, old) != 0;

	if (is_double) {
		world_give(w, h); /* nobody has seen it */
		why = "another entry has the same id";
	}
	if (why)
		h = make_misfit_of(w, e, why, is_double);
	put(w, &e->uuid, h, old);
	if (w->limbo)
		move_hand(w);
	return why;
}

void world_misfit(struct world *w, const struct uuid *uuid, const struct revision *revision, const char *dn,
    const char *why)
{
	handle old = find(w, uuid);

	put(w, uuid, make_misfit(w, uuid, revision, dn, why), old);
}

void world_present(struct world *w, const struct uuid *uuid)
{
	handle h = find(w, uuid);

	if (h)
		world_held(w, h)->seen = w->refresh;
}

void world_gone(struct world *w, const struct uuid *uuid)
{
	handle h = find(w, uuid);

	if (h)
		take_out(w, h);
}

void world_sweep(struct world *w)
{
	const struct index_slots *slots = w->uuids.slots; /* taking out makes no new ones */

	for (uint32_t i = 0; i < slots->count; i++) {
		handle h = index_value(index_word(slots, i));
		if (h && world_held(w, h)->seen != w->refresh)
			take_out(w, h);
	}
}

void world_reached(struct world *w, const struct revision *revision)
{
	uint8_t class;
	handle old = w->revision, h = store_take(&w->store, sizeof(struct held) + sizeof *revision, &class);
	struct held *held = world_held(w, h);

	held->kind = KINDS_HELD;
	held->class = class;
	memcpy(held + 1, revision, sizeof *revision);
	/* In one order with the count of those who wait; see replica_wait. */
	__atomic_store_n(&w->revision, h, __ATOMIC_SEQ_CST);
	if (old)
		world_retire(w, old);
}

/* What the loop comes to later is fetched now, in the order in which one thing leads to the next. */
[[gnu::always_inline]] static inline void fetch_tie(const struct world *w, uint32_t at, int step)
{
	const struct index_slots *ties = w->ties.slots;
	handle h = at < ties->count ? index_value(index_word(ties, at)) & ~MORE : 0;
	const struct association *a = world_at(w, h);

	if (!h)
		return;
	if (step == 0) {
		__builtin_prefetch(&a->user);
		return;
	}
	struct cell *user = world_cell(&w->people, a->user);
	struct index_walk walk = index_walk(&w->bonds, index_hash_pair(&w->key, a->provider, a->employer));
	if (step == 1) {
		__builtin_prefetch(user);
		__builtin_prefetch(world_cell(&w->organizations, a->employer));
	} else {
		walk = index_walk(&w->people.names, user->hash);
	}
	index_prefetch(&walk);
}

void world_settle(struct world *w)
{
	struct index_slots *ties = w->ties.slots, *records = w->records.slots;

	for (uint32_t i = 0; i < ties->count; i++) {
		for (int step = 0; step < 3; step++)
			fetch_tie(w, i + 48 - 16 * (uint32_t)step, step);
		if (index_value(index_word(ties, i)) != 0)
			seat_hints(w, index_word(ties, i));
	}
	for (uint32_t i = 0; i < records->count; i++) {
		uint64_t *slot = index_word(records, i);
		if (index_value(slot) == 0)
			continue;
		number provider = (number)slot[1];
		index_set_hints(slot, 1, index_both(provider, world_cell(&w->organizations, provider)->entry));
	}
}
