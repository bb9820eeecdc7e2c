/* What readers ask: look-ups without locks, and the paths from a person to a provider.
 *
 * In a large directory the time of a decision is the time of the memory reads that wait for one another: index,
 * entry, index of the pair, entry, … The hints in the indexes let reads begin before the one that proves them right
 * has ended; what is returned never rests on a hint. */
#include <string.h>

#include "base/secret.h"
#include "replica/replica.h"
#include "replica/world.h"

#include "base/banned.h"

/* Fetches the bytes of a struct that a decision reads: one line of memory, or two. */
[[gnu::always_inline]] static inline void fetch(const struct world *w, handle h, size_t from, size_t to)
{
	const char *entry = world_at(w, h);

	__builtin_prefetch(entry + from);
	if ((((uintptr_t)entry + from) ^ ((uintptr_t)entry + to - 1)) & 64)
		__builtin_prefetch(entry + to - 1);
}

#define BEHIND(type, member) (offsetof(struct type, member) + sizeof(((struct type *)0)->member))

[[gnu::always_inline]] static inline void fetch_organization(const struct world *w, handle h)
{
	fetch(w, h, offsetof(struct organization, no), BEHIND(organization, barred_count));
}

/* Everything that a path reads, as far as hints tell: consent_employer are their entries. */
[[gnu::always_inline]] static inline void fetch_path(const struct world *w, number provider, number employer,
    handle association, uint64_t consent_employer)
{
	struct index_walk bond = index_walk(&w->bonds, index_hash_pair(&w->key, provider, employer));

	index_prefetch(&bond);
	fetch(w, association, offsetof(struct association, expires), BEHIND(association, state));
	fetch(w, (handle)consent_employer, offsetof(struct consent, not_before), BEHIND(consent, state));
	__builtin_prefetch(world_cell(&w->organizations, employer));
	fetch_organization(w, (handle)(consent_employer >> 32));
}

/* The person last looked up by this thread, most often who a record is asked for next: number, and the hints of his
 * path. Kept until then, because whatever waits for a read from memory keeps the processor from beginning the next. */
static _Thread_local struct { number person; uint64_t association, numbers, entries; } last;

static const void *entry_of(const struct world *w, const struct column_of *column, number n)
{
	const struct column *cells = __atomic_load_n(&column->cells, __ATOMIC_ACQUIRE);
	handle h = n < cells->room ? world_load(&cells->cells[n].entry) : 0; /* that of number 0 is empty */

	return h ? world_at(w, h) : NULL;
}

/* ---- by name and id ---- */

const struct person *replica_person(const struct view *v, const char *uid)
{
	const struct world *w = v->world;
	struct index_walk walk = index_walk(&w->people.names, index_hash(&w->key, uid, strlen(uid)));

	for (number n; (n = index_next(&walk)) != 0;) {
		uint64_t entries = index_hints(&walk, 1);
		handle h = (handle)entries;
		fetch(w, h, offsetof(struct person, no), offsetof(struct person, leaving) + 10);
		last.person = n;
		last.association = entries;
		last.numbers = index_hints(&walk, 2);
		last.entries = index_hints(&walk, 3);
		const struct person *p = world_at(w, h);
		if (h && strcmp(p->uid, uid) == 0)
			return p;
	}
	return NULL;
}

const struct organization *replica_organization(const struct view *v, const char *id)
{
	const struct world *w = v->world;
	struct index_walk walk = index_walk(&w->organizations.names, index_hash(&w->key, id, strlen(id)));

	while (index_next(&walk) != 0) {
		handle h = (handle)index_hints(&walk, 1);
		const struct organization *o = world_at(w, h);
		if (h && strcmp(o->id, id) == 0)
			return o;
	}
	return NULL;
}

const struct record *replica_record(const struct view *v, const char *id)
{
	const struct world *w = v->world;
	struct index_walk walk = index_walk(&w->records, index_hash(&w->key, id, strlen(id)));

	for (handle h; (h = index_next(&walk)) != 0;) {
		uint64_t hints = index_hints(&walk, 1);
		number provider = (number)hints;
		struct index_walk tie = index_walk(&w->ties, index_hash_pair(&w->key, last.person, provider));
		index_prefetch(&tie);
		fetch(w, h, offsetof(struct record, provider), offsetof(struct record, id) + 16);
		fetch_organization(w, (handle)(hints >> 32));
		__builtin_prefetch(world_cell(&w->organizations, provider));
		if ((number)last.numbers == provider)
			fetch_path(w, provider, (number)(last.numbers >> 32), (handle)(last.association >> 32),
			    last.entries);
		const struct record *r = world_at(w, h);
		if (strcmp(r->id, id) == 0)
			return r;
	}
	return NULL;
}

#define BY_ID_NAMED(name, type, ids)                                                              \
	const struct type *replica_##name(const struct view *v, const char *id)                   \
	{                                                                                         \
		const struct world *w = v->world;                                                 \
		struct index_walk walk = index_walk(&w->ids, index_hash(&w->key, id, strlen(id))); \
                                                                                                  \
		for (handle h; (h = index_next(&walk)) != 0;) {                                   \
			const struct type *found = world_at(w, h);                                \
			if (strcmp(found->id, id) == 0)                                           \
				return found;                                                     \
		}                                                                                 \
		return NULL;                                                                      \
	}
#define BY_ID(type, ids) BY_ID_NAMED(type, type, ids)
BY_ID(association, associations)
BY_ID(consent, consents)
BY_ID(submission, submissions)
BY_ID(claim, claims)
BY_ID(application, applications)
BY_ID_NAMED(case, help_case, cases)

bool replica_is_official(const struct view *v, number person)
{
	const struct world *w = v->world;
	struct index_walk walk = index_walk(&w->officials, index_hash_pair(&w->key, person, 0));

	for (handle h; (h = index_next(&walk)) != 0;)
		if (((const struct organization *)world_at(w, h))->official == person)
			return true;
	return false;
}

/* ---- by digest ---- */

const struct session *replica_session(const struct view *v, const unsigned char digest[32])
{
	const struct world *w = v->world;
	struct index_walk walk = index_walk(&w->sessions, world_hash_digest(w, digest));

	for (handle h; (h = index_next(&walk)) != 0;) {
		const struct session *s = world_at(w, h);
		if (secret_equal(s->digest, digest, sizeof s->digest)) {
			last.person = s->user;
			return s;
		}
	}
	return NULL;
}

static const struct application *by_digest(const struct world *w, const struct index *index,
    const unsigned char digest[32])
{
	struct index_walk walk = index_walk(index, world_hash_digest(w, digest));

	for (handle h; (h = index_next(&walk)) != 0;) {
		const struct held *held = world_held(w, h);
		const struct application *a = world_at(w, h);
		const unsigned char *own = (const unsigned char *)a->id + strlen(a->id) + 1;
		uint32_t count = index == &w->secrets ? held->secrets : held->certificates;
		if (index == &w->certificates)
			own += held->secrets * 32;
		for (uint32_t i = 0; i < count; i++)
			if (secret_equal(own + i * 32, digest, 32))
				return a;
	}
	return NULL;
}

const struct application *replica_application_by_secret(const struct view *v, const unsigned char digest[32])
{
	return by_digest(v->world, &v->world->secrets, digest);
}

const struct application *replica_application_by_certificate(const struct view *v, const unsigned char digest[32])
{
	return by_digest(v->world, &v->world->certificates, digest);
}

const struct mark *replica_role(const struct view *v, enum role role)
{
	const struct world *w = v->world;

	for (size_t i = 0; i < COUNT(w->roles); i++) {
		handle h = world_load(&w->roles[i]);
		const struct role_entry *r = h ? world_at(w, h) : NULL;

		if (r && r->bit == (uint32_t)role)
			return &r->mark;
	}
	return NULL;
}

/* ---- by number ---- */

const struct person *replica_person_no(const struct view *v, number n)
{
	return entry_of(v->world, &v->world->people, n);
}

const struct organization *replica_organization_no(const struct view *v, number n)
{
	return entry_of(v->world, &v->world->organizations, n);
}

static const char *name_of(const struct world *w, const struct column_of *column, number n)
{
	const struct column *cells = __atomic_load_n(&column->cells, __ATOMIC_ACQUIRE);
	handle h = n < cells->room ? cells->cells[n].name : 0;

	return h ? store_at(&w->store, h) : "";
}

const char *replica_uid(const struct view *v, number n)
{
	return name_of(v->world, &v->world->people, n);
}

const char *replica_org_id(const struct view *v, number n)
{
	return name_of(v->world, &v->world->organizations, n);
}

/* ---- paths ---- */

bool replica_bars(const struct organization *provider, number employer)
{
	size_t low = 0, high = provider ? provider->barred_count : 0;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (provider->barred[middle] == employer)
			return true;
		if (provider->barred[middle] < employer)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static handle next_of(const struct world *w, handle h)
{
	return world_load(&world_held(w, h)->next);
}

/* Of the chain of a pair: from its slot the first comes with MORE, or alone. */
static handle next_of_pair(const struct world *w, handle h)
{
	handle next = h & MORE ? next_of(w, h & ~MORE) : 0;

	return next ? next | MORE : 0;
}

/* The consents of a pair, each as a path of its own; without one, the path has none. */
static bool through(const struct world *w, const struct organization *provider, const struct association *tie,
    number employer, bool (*visit)(void *, const struct path *), void *self)
{
	struct index_walk walk = index_walk(&w->bonds, index_hash_pair(&w->key, provider->no, employer));
	struct path path = { .tie = tie, .barred = replica_bars(provider, employer) };
	handle h;

	path.employer = employer == provider->no ? provider : entry_of(w, &w->organizations, employer);
	while ((h = index_next(&walk)) != 0) {
		const struct consent *c = world_at(w, h & ~MORE);
		if (c->provider == provider->no && c->employer == employer)
			break;
	}
	if (!h)
		return visit(self, &path);
	for (; h; h = next_of_pair(w, h)) {
		path.consent = world_at(w, h & ~MORE);
		if (!visit(self, &path))
			return false;
	}
	return true;
}

static inline void paths(const struct world *w, const struct person *person, const struct organization *provider,
    bool (*visit)(void *, const struct path *), void *self)
{
	struct index_walk walk = index_walk(&w->ties, index_hash_pair(&w->key, person->no, provider->no));
	handle h;

	while ((h = index_next(&walk)) != 0) {
		uint64_t hints = index_hints(&walk, 1);
		fetch_path(w, provider->no, (number)hints, h & ~MORE,
		    index_both((handle)(hints >> 32), (handle)index_hints(&walk, 2)));
		const struct association *a = world_at(w, h & ~MORE);
		if (a->user == person->no && a->provider == provider->no)
			break;
	}
	for (; h; h = next_of_pair(w, h)) {
		const struct association *a = world_at(w, h & ~MORE);
		if (!through(w, provider, a, a->employer, visit, self))
			return;
	}
	if (provider->official == person->no)
		(void)through(w, provider, NULL, provider->no, visit, self);
}

void replica_paths(const struct view *v, const struct person *person, const struct organization *provider,
    bool (*visit)(void *self, const struct path *), void *self)
{
	if (person && provider)
		paths(v->world, person, provider, visit, self);
}

static bool hear(void *self, const struct path *path)
{
	return rule_hear(self, path);
}

struct verdict replica_judge(const struct view *v, enum action action, const struct facts *facts)
{
	struct trial trial;

	rule_open(&trial, action, facts);
	if (facts->actor && facts->provider && !trial.done)
		paths(v->world, facts->actor, facts->provider, hear, &trial);
	return rule_close(&trial);
}

/* ---- walks ---- */

/* The next of that kind in the chain of a person's cell, from h on. */
static handle of_kind(const struct world *w, handle h, unsigned kind)
{
	while (h && world_held(w, h)->kind != kind)
		h = world_held(w, h)->kind == KIND_ASSOCIATION ? world_load(&world_beside(w, h)->next) : next_of(w, h);
	return h;
}

void replica_sessions_of(const struct view *v, number person, bool (*visit)(void *, const struct session *), void *self)
{
	const struct world *w = v->world;
	handle h = person ? world_load(&world_cell(&w->people, person)->first) : 0;

	for (h = of_kind(w, h, KIND_SESSION); h && visit(self, world_at(w, h));)
		h = of_kind(w, next_of(w, h), KIND_SESSION);
}

void replica_associations_of(const struct view *v, number person, bool (*visit)(void *, const struct association *),
    void *self)
{
	const struct world *w = v->world;
	handle h = person ? world_load(&world_cell(&w->people, person)->first) : 0;

	for (h = of_kind(w, h, KIND_ASSOCIATION); h && visit(self, world_at(w, h));)
		h = of_kind(w, world_load(&world_beside(w, h)->next), KIND_ASSOCIATION);
}

void replica_records_of(const struct view *v, number provider, bool (*visit)(void *, const struct record *), void *self)
{
	handle h = provider ? world_load(&world_cell(&v->world->organizations, provider)->first) : 0;

	while (h && visit(self, world_at(v->world, h)))
		h = next_of(v->world, h);
}

#define EACH_NAMED(name, type, ids)                                                                          \
	void replica_each_##name(const struct view *v, bool (*visit)(void *, const struct type *), void *self) \
	{                                                                                                    \
		const struct index_slots *slots = __atomic_load_n(&v->world->ids.slots, __ATOMIC_ACQUIRE);   \
                                                                                                             \
		for (uint32_t i = 0; i < slots->count; i++) {                                                \
			handle h = (handle)__atomic_load_n(index_word(slots, i), __ATOMIC_ACQUIRE);          \
			if (h && !visit(self, world_at(v->world, h)))                                        \
				return;                                                                      \
		}                                                                                            \
	}
#define EACH(type, ids) EACH_NAMED(type, type, ids)
EACH(association, associations)
EACH(consent, consents)
EACH(submission, submissions)
EACH(claim, claims)
EACH_NAMED(case, help_case, cases)

#define EACH_NUMBERED(type, ids)                                                                             \
	void replica_each_##type(const struct view *v, bool (*visit)(void *, const struct type *), void *self) \
	{                                                                                                    \
		const struct column *cells = __atomic_load_n(&v->world->ids.cells, __ATOMIC_ACQUIRE);        \
                                                                                                             \
		for (number n = 1; n < cells->room; n++) {                                                   \
			handle h = world_load(&cells->cells[n].entry);                                       \
			if (h && !visit(self, world_at(v->world, h)))                                        \
				return;                                                                      \
		}                                                                                            \
	}
EACH_NUMBERED(organization, organizations)
EACH_NUMBERED(person, people)
