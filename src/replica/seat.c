/* Where an entry can be found: its id, its chain, its number. A change takes over the places of what it replaces, each
 * by one atomic store, so that a reader never finds neither. */
#include <string.h>

#include "base/err.h"
#include "replica/world.h"

#include "base/banned.h"

/* ---- chains ---- */

/* What begins a chain: a slot of an index, or a cell's first. */
struct head { struct index *index; uint64_t *slot; handle *first; };

static handle head_get(const struct head *head)
{
	return head->first ? *head->first : head->slot ? index_value(head->slot) & ~MORE : 0;
}

static void head_set(const struct world *w, const struct head *head, handle h)
{
	if (head->first)
		world_store(head->first, h);
	else if (h)
		index_set(head->slot, h | (world_held(w, h)->next ? MORE : 0));
	else
		index_remove(head->index, head->slot);
}

/* An association is in two chains: among those of its pair, and in the cell of its user. */
static handle *next_in(const struct world *w, const struct head *head, handle h)
{
	struct held *held = world_held(w, h);

	return head->first && held->kind == KIND_ASSOCIATION ? &world_beside(w, h)->next : &held->next;
}

static handle *prev_in(const struct world *w, const struct head *head, handle h)
{
	struct held *held = world_held(w, h);

	return head->first && held->kind == KIND_ASSOCIATION ? &world_beside(w, h)->prev : &held->prev;
}

/* What comes before and after h finds another in its place; 0: nothing comes before, or after. */
static void chain_join(struct world *w, const struct head *head, handle prev, handle h, handle next)
{
	if (next)
		*prev_in(w, head, next) = h ? h : prev;
	if (prev)
		world_store(next_in(w, head, prev), h ? h : next);
	else
		head_set(w, head, h ? h : next);
}

static void chain_push(struct world *w, const struct head *head, handle h)
{
	handle next = head_get(head);

	*next_in(w, head, h) = next;
	*prev_in(w, head, h) = 0;
	chain_join(w, head, 0, h, next);
}

static void chain_swap(struct world *w, const struct head *head, handle old, handle h)
{
	handle prev = *prev_in(w, head, old), next = *next_in(w, head, old);

	*next_in(w, head, h) = next;
	*prev_in(w, head, h) = prev;
	chain_join(w, head, prev, h, next);
}

static void chain_drop(struct world *w, const struct head *head, handle h)
{
	chain_join(w, head, *prev_in(w, head, h), 0, *next_in(w, head, h));
}

/* ---- ties and bonds: chains under a pair of numbers ---- */

static void pair_of(const struct world *w, handle h, number out[2])
{
	if (world_held(w, h)->kind == KIND_ASSOCIATION) {
		const struct association *a = world_at(w, h);
		out[0] = a->user;
		out[1] = a->provider;
	} else {
		const struct consent *c = world_at(w, h);
		out[0] = c->provider;
		out[1] = c->employer;
	}
}

static struct index *pairs_of(struct world *w, handle h)
{
	return world_held(w, h)->kind == KIND_ASSOCIATION ? &w->ties : &w->bonds;
}

static struct head pair_head(struct world *w, handle h)
{
	number pair[2], other[2];
	struct index *pairs = pairs_of(w, h);

	pair_of(w, h, pair);
	struct index_walk walk = index_walk(pairs, index_hash_pair(&w->key, pair[0], pair[1]));
	for (handle first; (first = index_next(&walk)) != 0;) {
		pair_of(w, first & ~MORE, other);
		if (memcmp(pair, other, sizeof pair) == 0)
			return (struct head){ pairs, index_word(walk.slots, walk.found), NULL };
	}
	return (struct head){ pairs, NULL, NULL };
}

/* An association whose user has several is the one that is hinted at with him: better one than none. */
void seat_hints(struct world *w, uint64_t *tie)
{
	handle h = index_value(tie) & ~MORE;
	const struct association *a = world_at(w, h);
	struct index_walk walk = index_walk(&w->bonds, index_hash_pair(&w->key, a->provider, a->employer));
	handle consent = index_next(&walk) & ~MORE, employer = world_cell(&w->organizations, a->employer)->entry;
	uint64_t *user = index_find(&w->people.names, world_cell(&w->people, a->user)->hash, a->user);

	index_set_hints(tie, 1, index_both(a->employer, consent));
	index_set_hints(tie, 2, index_both(employer, 0));
	index_set_hints(user, 1, index_both(world_cell(&w->people, a->user)->entry, h));
	index_set_hints(user, 2, index_both(a->provider, a->employer));
	index_set_hints(user, 3, index_both(consent, employer));
}

static void pair_add(struct world *w, handle h)
{
	struct head head = pair_head(w, h);

	if (head.slot) {
		chain_push(w, &head, h);
	} else {
		number pair[2];
		pair_of(w, h, pair);
		head.slot = index_add(head.index, w->limbo, index_hash_pair(&w->key, pair[0], pair[1]), h);
	}
	if (head.index == &w->ties)
		seat_hints(w, head.slot);
}

static void pair_drop(struct world *w, handle h)
{
	struct head head = pair_head(w, h);

	chain_drop(w, &head, h);
}

static void place_pair(struct world *w, handle h, handle old)
{
	number pair[2], was[2];

	if (!old) {
		pair_add(w, h);
		return;
	}
	pair_of(w, h, pair);
	pair_of(w, old, was);
	if (memcmp(pair, was, sizeof pair) != 0) {
		pair_add(w, h);
		pair_drop(w, old);
		return;
	}
	struct head head = pair_head(w, old);
	chain_swap(w, &head, old, h);
	if (head.index == &w->ties)
		seat_hints(w, head.slot);
}

/* ---- ids ---- */

static const char *id_of(const struct world *w, handle h)
{
	void *entry = world_at(w, h);

	switch (world_held(w, h)->kind) {
	case KIND_PERSON:
		return ((struct person *)entry)->uid;
	case KIND_ORGANIZATION:
		return ((struct organization *)entry)->id;
	case KIND_ASSOCIATION:
		return ((struct association *)entry)->id;
	case KIND_CONSENT:
		return ((struct consent *)entry)->id;
	case KIND_RECORD:
		return ((struct record *)entry)->id;
	case KIND_SUBMISSION:
		return ((struct submission *)entry)->id;
	case KIND_CLAIM:
		return ((struct claim *)entry)->id;
	case KIND_CASE:
		return ((struct help_case *)entry)->id;
	case KIND_APPLICATION:
		return ((struct application *)entry)->id;
	default:
		return "";
	}
}

/* The index that finds a kind by its id; NULL: another way leads there. */
static const struct index *ids_of(const struct world *w, unsigned kind)
{
	switch (kind) {
	case KIND_ASSOCIATION:
		return &w->associations;
	case KIND_CONSENT:
		return &w->consents;
	case KIND_RECORD:
		return &w->records;
	case KIND_SUBMISSION:
		return &w->submissions;
	case KIND_CLAIM:
		return &w->claims;
	case KIND_CASE:
		return &w->cases;
	case KIND_APPLICATION:
		return &w->applications;
	case KIND_SESSION:
		return &w->sessions;
	default:
		return NULL;
	}
}

static uint32_t id_hash(const struct world *w, handle h)
{
	if (world_held(w, h)->kind == KIND_SESSION)
		return world_hash_digest(w, ((const struct session *)world_at(w, h))->digest);
	const char *id = id_of(w, h);
	return index_hash(&w->key, id, strlen(id));
}

static bool same_id(const struct world *w, handle a, handle b)
{
	if (world_held(w, a)->kind == KIND_SESSION)
		return memcmp(((const struct session *)world_at(w, a))->digest,
		    ((const struct session *)world_at(w, b))->digest, 32) == 0;
	return strcmp(id_of(w, a), id_of(w, b)) == 0;
}

static void place_id(struct world *w, handle h, handle old)
{
	struct index *ids = (struct index *)ids_of(w, world_held(w, h)->kind);
	uint64_t *slot;

	if (old && same_id(w, h, old)) {
		slot = index_find(ids, id_hash(w, old), old);
		index_set(slot, h);
	} else {
		slot = index_add(ids, w->limbo, id_hash(w, h), h);
		if (old)
			index_remove(ids, index_find(ids, id_hash(w, old), old));
	}
	if (world_held(w, h)->kind == KIND_RECORD) {
		number provider = ((const struct record *)world_at(w, h))->provider;
		index_set_hints(slot, 1, index_both(provider, world_cell(&w->organizations, provider)->entry));
	}
}

static void id_drop(struct world *w, handle h)
{
	struct index *ids = (struct index *)ids_of(w, world_held(w, h)->kind);

	index_remove(ids, index_find(ids, id_hash(w, h), h));
}

/* ---- people and organizations: the cell of their number ---- */

static struct column_of *column_for(struct world *w, handle h)
{
	return world_held(w, h)->kind == KIND_PERSON ? &w->people : &w->organizations;
}

static number number_of(const struct world *w, handle h)
{
	if (world_held(w, h)->kind == KIND_PERSON)
		return ((const struct person *)world_at(w, h))->no;
	return ((const struct organization *)world_at(w, h))->no;
}

static void cell_set(struct world *w, handle h, handle entry)
{
	struct column_of *column = column_for(w, h);
	number n = number_of(w, h);
	struct cell *cell = world_cell(column, n);
	uint64_t *slot = index_find(&column->names, cell->hash, n);

	world_store(&cell->entry, entry);
	index_set_hints(slot, 1, slot[1] >> 32 << 32 | entry);
}

static void place_cell(struct world *w, handle h, handle old)
{
	cell_set(w, h, h);
	if (old && number_of(w, old) != number_of(w, h))
		cell_set(w, old, 0);
}

/* ---- officials: an organization has one at most, a person may be that of several ---- */

static number official_of(const struct world *w, handle h)
{
	return h ? ((const struct organization *)world_at(w, h))->official : 0;
}

static void official_drop(struct world *w, handle h)
{
	number official = official_of(w, h);

	if (official)
		index_remove(&w->officials, index_find(&w->officials, index_hash_pair(&w->key, official, 0), h));
}

static void place_official(struct world *w, handle h, handle old)
{
	number official = official_of(w, h);
	uint32_t hash = index_hash_pair(&w->key, official, 0);

	if (official && official == official_of(w, old)) {
		index_set(index_find(&w->officials, hash, old), h);
		return;
	}
	if (official)
		index_add(&w->officials, w->limbo, hash, h);
	official_drop(w, old);
}

/* ---- chains in cells: records of an organization, sessions and associations of a person ---- */

static struct head cell_head(struct world *w, handle h)
{
	const void *entry = world_at(w, h);
	struct cell *cell;

	switch (world_held(w, h)->kind) {
	case KIND_RECORD:
		cell = world_cell(&w->organizations, ((const struct record *)entry)->provider);
		break;
	case KIND_SESSION:
		cell = world_cell(&w->people, ((const struct session *)entry)->user);
		break;
	default:
		cell = world_cell(&w->people, ((const struct association *)entry)->user);
	}
	return (struct head){ .first = &cell->first };
}

static void place_in_cell(struct world *w, handle h, handle old)
{
	struct head head = cell_head(w, h), was = old ? cell_head(w, old) : (struct head){ 0 };

	if (head.first == was.first) {
		chain_swap(w, &head, old, h);
		return;
	}
	chain_push(w, &head, h);
	if (old)
		chain_drop(w, &was, old);
}

/* ---- applications: their digests ---- */

static void digests_each(struct world *w, handle h, bool add)
{
	const struct application *a = world_at(w, h);
	const unsigned char *digest = (const unsigned char *)a->id + strlen(a->id) + 1;
	const struct held *held = world_held(w, h);

	for (uint32_t i = 0; i < held->secrets + held->certificates; i++, digest += 32) {
		struct index *index = i < held->secrets ? &w->secrets : &w->certificates;
		uint32_t hash = world_hash_digest(w, digest);
		if (add)
			index_add(index, w->limbo, hash, h);
		else
			index_remove(index, index_find(index, hash, h));
	}
}

/* ---- roles: bits of people ---- */

uint32_t seat_roles(const struct world *w, number person)
{
	uint32_t roles = 0;

	for (size_t i = 0; i < COUNT(w->roles); i++) {
		const struct role_entry *r = w->roles[i] ? world_at(w, w->roles[i]) : NULL;
		uint32_t low = 0, high = r ? r->count : 0;
		while (low < high) {
			uint32_t middle = (low + high) / 2;
			if (r->members[middle] < person)
				low = middle + 1;
			else
				high = middle;
		}
		if (r && low < r->count && r->members[low] == person)
			roles |= r->bit;
	}
	return roles;
}

static void person_set_role(struct world *w, number n, uint32_t bit, bool has)
{
	handle old = world_cell(&w->people, n)->entry;

	if (!old)
		return; /* whoever comes later asks for his roles */
	const struct person *was = world_at(w, old);
	handle h = make_person_with_roles(w, old, has ? was->roles | bit : was->roles & ~bit);
	place_cell(w, h, old);
	seat_uuid(w, &((const struct person *)world_at(w, h))->mark.uuid, h, old);
	world_retire(w, old);
}

/* Both lists are sorted: who is in one of them only changes. */
static void roles_change(struct world *w, const struct role_entry *old, const struct role_entry *new)
{
	uint32_t bit = old ? old->bit : new->bit, olds = old ? old->count : 0, news = new ? new->count : 0;

	for (uint32_t i = 0, k = 0; i < olds || k < news;) {
		if (k == news || (i < olds && old->members[i] < new->members[k])) {
			person_set_role(w, old->members[i++], bit, false);
		} else if (i == olds || new->members[k] < old->members[i]) {
			person_set_role(w, new->members[k++], bit, true);
		} else {
			i++;
			k++;
		}
	}
}

static handle *role_seat(struct world *w, handle h)
{
	const struct role_entry *r = world_at(w, h);

	return &w->roles[r->bit == ROLE_HELP_DESK ? 0 : r->bit == ROLE_AUDITOR ? 1 : 2];
}

static void place_role(struct world *w, handle h, handle old)
{
	const struct role_entry *new = world_at(w, h), *was = old ? world_at(w, old) : NULL;

	if (was && was->bit != new->bit) {
		roles_change(w, was, NULL);
		world_store(role_seat(w, old), 0);
		was = NULL;
	}
	roles_change(w, was, new);
	world_store(role_seat(w, h), h);
}

/* ---- misfits: one chain, oldest first ---- */

static void place_misfit(struct world *w, handle h, handle old)
{
	struct head head = { .first = &w->first_misfit };

	if (old) {
		chain_swap(w, &head, old, h);
	} else if (w->last_misfit) {
		world_held(w, h)->prev = w->last_misfit;
		world_store(&world_held(w, w->last_misfit)->next, h);
	} else {
		chain_push(w, &head, h);
	}
	if (!old || w->last_misfit == old)
		w->last_misfit = h;
}

static void misfit_drop(struct world *w, handle h)
{
	if (w->last_misfit == h)
		w->last_misfit = world_held(w, h)->prev;
	chain_drop(w, &(struct head){ .first = &w->first_misfit }, h);
}

/* ---- all kinds ---- */

bool seat_frees(const struct world *w, handle old, const struct misfit_entry *m)
{
	unsigned kind = world_held(w, old)->kind;
	const char *id = m->text + m->id_at;
	unsigned char digest[32];

	if (!m->is_double || m->kind != kind)
		return false;
	if (kind == KIND_SESSION)
		return world_hex(id, digest) &&
		    memcmp(digest, ((const struct session *)world_at(w, old))->digest, sizeof digest) == 0;
	if (kind == KIND_ROLE)
		return strcmp(id, role_word((enum role)((const struct role_entry *)world_at(w, old))->bit)) == 0;
	return strcmp(id, id_of(w, old)) == 0;
}

handle seat_taken(const struct world *w, handle h, handle but)
{
	unsigned kind = world_held(w, h)->kind;
	handle other = 0;

	if (kind == KIND_PERSON) {
		other = world_cell(&w->people, number_of(w, h))->entry;
	} else if (kind == KIND_ORGANIZATION) {
		other = world_cell(&w->organizations, number_of(w, h))->entry;
	} else if (kind == KIND_ROLE) {
		other = *role_seat((struct world *)w, h);
	} else if (ids_of(w, kind)) {
		struct index_walk walk = index_walk(ids_of(w, kind), id_hash(w, h));
		while ((other = index_next(&walk)) != 0 && !same_id(w, h, other))
			;
	}
	return other == but ? 0 : other;
}

void seat_entry(struct world *w, handle h, handle old)
{
	switch (world_held(w, h)->kind) {
	case KIND_PERSON:
		place_cell(w, h, old);
		break;
	case KIND_ORGANIZATION:
		place_cell(w, h, old);
		place_official(w, h, old);
		break;
	case KIND_ASSOCIATION:
		place_pair(w, h, old); /* first: whoever has seen it by its id is judged by it, too */
		place_id(w, h, old);
		place_in_cell(w, h, old);
		break;
	case KIND_CONSENT:
		place_pair(w, h, old);
		place_id(w, h, old);
		break;
	case KIND_RECORD:
	case KIND_SESSION:
		place_id(w, h, old);
		place_in_cell(w, h, old);
		break;
	case KIND_SUBMISSION:
	case KIND_CLAIM:
	case KIND_CASE:
		place_id(w, h, old);
		break;
	case KIND_APPLICATION:
		digests_each(w, h, true);
		place_id(w, h, old);
		if (old)
			digests_each(w, old, false);
		break;
	case KIND_ROLE:
		place_role(w, h, old);
		break;
	default:
		place_misfit(w, h, old);
	}
}

void seat_leave(struct world *w, handle h)
{
	struct head head;

	switch (world_held(w, h)->kind) {
	case KIND_PERSON:
		cell_set(w, h, 0);
		break;
	case KIND_ORGANIZATION:
		cell_set(w, h, 0);
		official_drop(w, h);
		break;
	case KIND_ASSOCIATION:
		pair_drop(w, h);
		id_drop(w, h);
		head = cell_head(w, h);
		chain_drop(w, &head, h);
		break;
	case KIND_CONSENT:
		pair_drop(w, h);
		id_drop(w, h);
		break;
	case KIND_RECORD:
	case KIND_SESSION:
		id_drop(w, h);
		head = cell_head(w, h);
		chain_drop(w, &head, h);
		break;
	case KIND_SUBMISSION:
	case KIND_CLAIM:
	case KIND_CASE:
		id_drop(w, h);
		break;
	case KIND_APPLICATION:
		id_drop(w, h);
		digests_each(w, h, false);
		break;
	case KIND_ROLE:
		roles_change(w, world_at(w, h), NULL);
		world_store(role_seat(w, h), 0);
		break;
	default:
		misfit_drop(w, h);
	}
}
