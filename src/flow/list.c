/* Lists: which things there are, is looked up in the replica; what they say, and whether it may be seen, is asked of
 * the directory, one by one, in the name of whoever reads the list. What he has nothing to do with is not asked for: it
 * would take time, which tells how much there is.
 *
 * A page costs one walk over what the replica holds of that kind (over a million associations: 30 ms; of a person over
 * his own), which no decision waits for, and one read of the directory for each thing told. */
#include <string.h>

#include "base/clock.h"
#include "flow/inside.h"

#include "base/banned.h"

#define PAGE_USUAL 50
#define PAGE_MOST 200

/* ---- where a page ends ---- */

/* A place in the order of lists: newest change first, then by id. */
struct position {
	struct revision revision;
	const char *id;
};

static int compare(const struct position *a, const struct position *b)
{
	int newer = revision_compare(&b->revision, &a->revision);

	return newer != 0 ? newer : strcmp(a->id, b->id);
}

static bool take_number(const char **at, uint64_t most, uint64_t *out)
{
	const char *from = *at;

	for (*out = 0; **at >= '0' && **at <= '9'; ++*at) {
		*out = *out * 10 + (uint64_t)(**at - '0');
		if (*out > most)
			return false;
	}
	return *at > from && *(*at)++ == '.';
}

static bool read_cursor(const char *cursor, struct position *out)
{
	uint64_t micros, count, server, modification;

	if (!take_number(&cursor, INT64_MAX / 100, &micros) || !take_number(&cursor, UINT32_MAX, &count) ||
	    !take_number(&cursor, UINT16_MAX, &server) || !take_number(&cursor, UINT16_MAX, &modification) ||
	    !(id_is_plain(cursor) || id_is_enrollment(cursor)))
		return false;
	*out = (struct position){
		{ (int64_t)micros, (uint32_t)count, (uint16_t)server, (uint16_t)modification },
		cursor,
	};
	return true;
}

static const char *write_cursor(struct arena *a, const struct position *p)
{
	const struct revision *r = &p->revision;

	return arena_printf(
	    a, "%lld.%u.%u.%u.%s", (long long)r->micros, (unsigned)r->count, r->server, r->modification, p->id);
}

/* ---- the walk ---- */

struct candidate {
	struct position at;
	enum kind kind;
	number provider;
	const char *provider_id;
};

struct walk {
	const struct view *view;
	const struct list_query *queries, *query; /* all; the one that is looked for now */
	size_t query_count;
	int64_t now;
	number provider, employer, user; /* 0: any */
	const char *as;                  /* NULL: the gateway, which may see everything */
	const struct person *reader;     /* as, in the view */
	const struct position *after;    /* NULL: from the beginning */
	struct candidate *found;         /* in order */
	size_t count, room;
};

/* The last of the most wanted falls out. */
static void consider(struct walk *w, const struct mark *mark, const char *id, number provider)
{
	struct candidate one = { .at = { mark->revision, id }, .kind = w->query->kind, .provider = provider };
	size_t low = 0, high = w->count;

	if ((w->after != NULL && compare(&one.at, w->after) <= 0) ||
	    (w->count == w->room && compare(&one.at, &w->found[w->count - 1].at) >= 0))
		return;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (compare(&w->found[middle].at, &one.at) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	w->count -= w->count == w->room;
	memmove(&w->found[low + 1], &w->found[low], (w->count - low) * sizeof *w->found);
	w->found[low] = one;
	w->count++;
}

static bool fits(number wanted, number is)
{
	return wanted == 0 || wanted == is;
}

/* Whatever has an end is over from its end on, whether or not a job has marked it (rules.md, 2). */
static enum state now_in(enum state state, int64_t end, int64_t now)
{
	return end != 0 && end <= now ? STATE_EXPIRED : state;
}

static enum state association_state(enum state state, int64_t expires, int64_t not_after, int64_t now)
{
	return state == STATE_PENDING ? now_in(state, expires, now)
	    : state == STATE_APPROVED ? now_in(state, not_after, now)
				      : state;
}

static enum state consent_state(enum state state, int64_t not_after, int64_t now)
{
	bool is_final = state != STATE_PREPARED && state != STATE_SIGNED && state != STATE_APPROVED;

	return is_final ? state : now_in(state, not_after, now);
}

static bool in_state(const struct walk *w, enum state state)
{
	return w->query->state == STATE_NONE || w->query->state == state;
}

struct tied {
	const struct walk *walk;
	bool found;
};

static bool look_for_tie(void *self, const struct path *path)
{
	const struct association *tie = path->tie;
	struct tied *t = self;

	t->found = tie != NULL &&
	    association_state((enum state)tie->state, tie->expires, tie->not_after, t->walk->now) == STATE_APPROVED;
	return !t->found;
}

static bool acts_for(const struct walk *w, const struct person *person, const struct organization *organization)
{
	struct tied t = { .walk = w };

	replica_paths(w->view, person, organization, look_for_tie, &t);
	return t.found;
}

static bool may_see(const struct walk *w, number provider, number user)
{
	return w->as == NULL || act_may_see(w->view, w->reader, provider, user);
}

static bool may_see_submission(const struct walk *w, const struct submission *one)
{
	return may_see(w, one->provider, one->user) ||
	    (w->reader != NULL && (w->reader->roles & ROLE_PROCESSOR) && one->state == STATE_SUBMITTED) ||
	    acts_for(w, w->reader, replica_organization_no(w->view, one->provider));
}

/* Of a provider that is not active no form and no request is decided on, and of a closed one no revocation (docs/rules.md):
 * they wait until it is open again. */
static bool is_decided_on(const struct walk *w, number provider)
{
	const struct organization *p = w->query->for_desk ? replica_organization_no(w->view, provider) : NULL;

	return !w->query->for_desk || (p != NULL && (p->state == STATE_ACTIVE ||
	    (w->query->kind == KIND_CASE && p->state != STATE_CLOSED)));
}

/* Nobody decides on his own: what a provider's AO asks for himself is for the help desk. */
static bool is_officials_own(const struct walk *w, const struct association *one)
{
	const struct organization *provider = replica_organization_no(w->view, one->provider);

	return provider != NULL && one->user != 0 && provider->official == one->user;
}

static bool visit_association(void *self, const struct association *one)
{
	struct walk *w = self;

	if (is_decided_on(w, one->provider) && (!w->query->for_desk || is_officials_own(w, one)) &&
	    fits(w->user, one->user) && fits(w->provider, one->provider) && fits(w->employer, one->employer) &&
	    in_state(w, association_state((enum state)one->state, one->expires, one->not_after, w->now)) &&
	    may_see(w, one->provider, one->user))
		consider(w, &one->mark, one->id, one->provider);
	return true;
}

static bool visit_consent(void *self, const struct consent *one)
{
	struct walk *w = self;

	if (is_decided_on(w, one->provider) && fits(w->provider, one->provider) && fits(w->employer, one->employer) &&
	    in_state(w, consent_state((enum state)one->state, one->not_after, w->now)) && may_see(w, one->provider, 0))
		consider(w, &one->mark, one->id, one->provider);
	return true;
}

static bool visit_submission(void *self, const struct submission *one)
{
	struct walk *w = self;

	if (fits(w->user, one->user) && fits(w->provider, one->provider) && fits(w->employer, one->employer) &&
	    in_state(w, (enum state)one->state) && may_see_submission(w, one))
		consider(w, &one->mark, one->id, one->provider);
	return true;
}

/* Whether he may have the list was decided before; each is still read in his name. */
static bool visit_record(void *self, const struct record *one)
{
	consider(self, &one->mark, one->id, one->provider);
	return true;
}

static bool visit_claim(void *self, const struct claim *one)
{
	struct walk *w = self;

	if (fits(w->user, one->user) && fits(w->provider, one->provider) && in_state(w, (enum state)one->state) &&
	    may_see(w, one->provider, one->user))
		consider(w, &one->mark, one->id, one->provider);
	return true;
}

static bool visit_case(void *self, const struct help_case *one)
{
	struct walk *w = self;

	if (is_decided_on(w, one->provider) && fits(w->user, one->user) && fits(w->provider, one->provider) &&
	    fits(w->employer, one->employer) && in_state(w, (enum state)one->state) &&
	    (w->query->case_kind == CASE_NONE || w->query->case_kind == (enum case_kind)one->kind) &&
	    may_see(w, one->provider, one->user))
		consider(w, &one->mark, one->id, 0);
	return true;
}

static bool is_lacking(const struct walk *w, const struct organization *one)
{
	bool is_provider = one->provider_kind != NOT_A_PROVIDER, waits = one->state == STATE_REGISTERED;
	const struct person *official = replica_person_no(w->view, one->official);

	if (w->query->lacks == LACKS_OFFICIAL)
		return is_provider && (waits || one->state == STATE_ACTIVE) &&
		    (official == NULL || official->state == STATE_REMOVED);
	return w->query->lacks == LACKS_NOTHING || (!is_provider && waits);
}

/* Is he its AO, has he registered it, or does he act for it? */
static bool has_to_do_with(const struct walk *w, const struct organization *one)
{
	return fits(w->user, one->official) || fits(w->user, one->registrant) ||
	    acts_for(w, replica_person_no(w->view, w->user), one);
}

static bool visit_organization(void *self, const struct organization *one)
{
	struct walk *w = self;

	if (fits(w->provider, one->no) && is_lacking(w, one) && in_state(w, (enum state)one->state) &&
	    has_to_do_with(w, one))
		consider(w, &one->mark, one->id, 0);
	return true;
}

static number organization_number(const struct view *v, const char *id, bool *known)
{
	number one = act_org_no(v, id);

	*known = *known && (id == NULL || one != 0);
	return one;
}

static void look_for(const struct view *v, struct walk *w, const struct list_query *q)
{
	const struct person *user = q->user != NULL ? replica_person(v, q->user) : NULL;
	bool known = q->user == NULL || user != NULL;

	w->view = v;
	w->query = q;
	w->reader = w->as != NULL ? replica_person(v, w->as) : NULL;
	w->user = user != NULL ? user->no : 0;
	w->provider = organization_number(v, q->provider, &known);
	w->employer = organization_number(v, q->employer, &known);
	if (!known)
		return;
	switch (q->kind) {
	case KIND_ASSOCIATION:
		if (user != NULL)
			replica_associations_of(v, user->no, visit_association, w);
		else
			replica_each_association(v, visit_association, w);
		break;
	case KIND_CONSENT:
		replica_each_consent(v, visit_consent, w);
		break;
	case KIND_SUBMISSION:
		replica_each_submission(v, visit_submission, w);
		break;
	case KIND_CLAIM:
		replica_each_claim(v, visit_claim, w);
		break;
	case KIND_CASE:
		replica_each_case(v, visit_case, w);
		break;
	case KIND_ORGANIZATION:
		replica_each_organization(v, visit_organization, w);
		break;
	case KIND_RECORD:
		replica_records_of(v, w->provider, visit_record, w);
		break;
	default:
		break; /* no list of the others */
	}
}

/* The next candidates, their texts in the arena: nothing of the replica is kept. */
static struct err look(struct arena *a, struct flow *f, struct walk *w)
{
	struct err e = SUCCESS;

	WITH_REPLICA(view, f->replica) {
		w->count = 0;
		if (!view.fresh)
			e = FAIL(ERR_UNAVAILABLE, "the replica is stale");
		for (size_t i = 0; e.code == OK && i < w->query_count; i++)
			look_for(&view, w, &w->queries[i]);
		for (size_t i = 0; e.code == OK && i < w->count; i++) {
			struct candidate *one = &w->found[i];

			one->at.id = arena_strdup(a, one->at.id);
			if (one->provider != 0)
				one->provider_id = arena_strdup(a, replica_org_id(&view, one->provider));
		}
	}
	return e;
}

/* ---- the list ---- */

static void put_in_time(struct entry *e, int64_t now)
{
	if (e->kind == KIND_ASSOCIATION)
		e->state = association_state(e->state, e->expires, e->not_after, now);
	else if (e->kind == KIND_CONSENT)
		e->state = consent_state(e->state, e->not_after, now);
}

struct err list_several(struct arena *a, struct flow *f, const char *as, const struct list_query *queries,
    size_t query_count, const struct page *page, struct listing *out)
{
	size_t limit = page == NULL || page->limit == 0 ? PAGE_USUAL : page->limit;
	struct walk walk = { .queries = queries, .query_count = query_count, .as = as, .now = clock_now() };
	struct position after, told = { 0 };

	*out = (struct listing){ 0 };
	if (limit > PAGE_MOST)
		return FAIL(ERR_INVALID, arena_printf(a, "'limit' must be between 1 and %d", PAGE_MOST));
	if (page != NULL && page->cursor != NULL) {
		if (!read_cursor(page->cursor, &after))
			return FAIL(ERR_INVALID, "'cursor' must be one that a list has told as 'next'");
		walk.after = &after;
	}
	out->entries = arena_alloc(a, limit * sizeof *out->entries);
	walk.room = limit + 1; /* one more says whether there is another page */
	walk.found = arena_alloc(a, (walk.room + 1) * sizeof *walk.found);

	/* What the directory does not show is made up for by what comes after it. */
	do {
		TRY(look(a, f, &walk));
		for (size_t i = 0; i < walk.count; i++) {
			const struct candidate *one = &walk.found[i];
			struct entry *entry = &out->entries[out->count];

			if (out->count == limit) {
				out->next = write_cursor(a, &told);
				return SUCCESS;
			}
			after = one->at;
			struct err e = dir_read_head(a, f->dir, as, one->kind, one->provider_id, one->at.id, entry);
			if (e.code == ERR_NOT_FOUND) {
				out->hidden++;
				continue;
			}
			if (e.code != OK)
				return e;
			put_in_time(entry, walk.now);
			told = one->at;
			out->count++;
		}
		walk.after = &after;
	} while (walk.count == walk.room);
	return SUCCESS;
}

struct err list_entries(struct arena *a, struct flow *f, const char *as, const struct list_query *query,
    const struct page *page, struct listing *out)
{
	return list_several(a, f, as, query, 1, page, out);
}
