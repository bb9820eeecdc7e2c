/* Builds what the replica holds of an entry: names become numbers, texts move behind the struct. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "replica/world.h"

#include "base/banned.h"

/* A new entry with room for `more` bytes behind the struct. */
static void *take(struct world *w, unsigned kind, size_t size, size_t more, handle *out)
{
	uint8_t class;

	*out = store_take(&w->store, sizeof(struct held) + size + more, &class);
	struct held *held = world_held(w, *out);
	held->kind = (uint8_t)kind;
	held->class = class;
	return held + 1;
}

static struct mark mark_of(const struct entry *e)
{
	return (struct mark){ e->uuid, e->revision };
}

static bool missing(const char *text)
{
	return text == NULL || *text == '\0';
}

static int by_number(const void *a, const void *b)
{
	number x = *(const number *)a, y = *(const number *)b;

	return (x > y) - (x < y);
}

static size_t length(const char *const *list)
{
	size_t count = 0;

	while (list && list[count])
		count++;
	return count;
}

/* Sorted; one that is named twice is kept once. */
static size_t number_all(struct world *w, const char *const *names, number (*number_of)(struct world *, const char *),
    number *out)
{
	size_t count = 0, kept = 0;

	for (; names && names[count]; count++)
		out[count] = number_of(w, names[count]);
	qsort(out, count, sizeof *out, by_number);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || out[kept - 1] != out[i])
			out[kept++] = out[i];
	return kept;
}

static const char *make_person(struct world *w, const struct entry *e, handle *out)
{
	size_t size = strlen(e->id) + 1, count = length(e->leaving);

	if (count > UINT8_MAX)
		return "leaves more employers than can be held";
	number no = world_person(w, e->id);
	struct person *p = take(w, KIND_PERSON, offsetof(struct person, leaving), count * sizeof(number) + size, out);

	p->mark = mark_of(e);
	p->sessions_end = e->sessions_end;
	/* Whoever changed the password, and by whatever program: who knew the old one is out. */
	if (e->password_changed_at > 0 && p->sessions_end <= e->password_changed_at)
		p->sessions_end = e->password_changed_at + 1;
	p->signed_in_at = e->signed_in_at;
	p->no = no;
	p->state = (uint8_t)e->state;
	p->realm = e->realm == REALM_NPPES;
	p->roles = (uint8_t)seat_roles(w, no);
	p->second_factor = e->second_factor;
	p->leaving_count = (uint8_t)number_all(w, e->leaving, world_organization, p->leaving);
	p->uid = (char *)&p->leaving[p->leaving_count];
	memcpy(p->uid, e->id, size);
	return NULL;
}

handle make_person_with_roles(struct world *w, handle person, uint32_t roles)
{
	const struct person *old = world_at(w, person);
	size_t size = offsetof(struct person, leaving) + old->leaving_count * sizeof(number) + strlen(old->uid) + 1;
	handle h;
	struct person *p = take(w, KIND_PERSON, size, 0, &h);

	memcpy(p, old, size);
	p->roles = (uint8_t)roles;
	p->uid = (char *)&p->leaving[p->leaving_count];
	world_held(w, h)->seen = world_held(w, person)->seen;
	return h;
}

static const char *make_organization(struct world *w, const struct entry *e, handle *out)
{
	size_t size = strlen(e->id) + 1, count = length(e->barred);

	if (count > UINT16_MAX)
		return "bars more employers than can be held";
	number no = world_organization(w, e->id);
	number official = missing(e->official) ? 0 : world_person(w, e->official);
	number registrant = missing(e->requested_by) ? 0 : world_person(w, e->requested_by);
	struct organization *o = take(w, KIND_ORGANIZATION, offsetof(struct organization, barred),
	    count * sizeof(number) + size, out);

	o->mark = mark_of(e);
	o->no = no;
	o->official = official;
	o->registrant = registrant;
	o->state = (uint8_t)e->state;
	o->provider_kind = e->provider_kind & 3;
	o->is_employer = e->is_employer;
	o->barred_count = (uint16_t)number_all(w, e->barred, world_organization, o->barred);
	o->id = (char *)&o->barred[o->barred_count];
	memcpy(o->id, e->id, size);
	return NULL;
}

static const char *make_association(struct world *w, const struct entry *e, handle *out)
{
	if (missing(e->user))
		return "names no user";
	if (missing(e->employer))
		return "names no employer";
	if (missing(e->provider))
		return "names no provider";
	size_t size = strlen(e->id) + 1;
	number user = world_person(w, e->user), employer = world_organization(w, e->employer);
	number provider = world_organization(w, e->provider);
	struct association *a = take(w, KIND_ASSOCIATION, offsetof(struct association, id),
	    size + sizeof(struct beside), out);

	a->mark = mark_of(e);
	a->expires = e->expires;
	a->not_after = e->not_after;
	a->user = user;
	a->employer = employer;
	a->provider = provider;
	a->state = (uint8_t)e->state;
	memcpy(a->id, e->id, size);
	return NULL;
}

static const char *make_consent(struct world *w, const struct entry *e, handle *out)
{
	if (missing(e->employer))
		return "names no employer";
	if (missing(e->provider))
		return "names no provider";
	size_t size = strlen(e->id) + 1;
	number employer = world_organization(w, e->employer), provider = world_organization(w, e->provider);
	struct consent *c = take(w, KIND_CONSENT, offsetof(struct consent, id), size, out);

	c->mark = mark_of(e);
	c->not_before = e->not_before;
	c->not_after = e->not_after;
	c->provider = provider;
	c->employer = employer;
	c->state = (uint8_t)e->state;
	memcpy(c->id, e->id, size);
	return NULL;
}

static const char *make_record(struct world *w, const struct entry *e, handle *out)
{
	if (missing(e->provider))
		return "names no provider";
	size_t size = strlen(e->id) + 1;
	number provider = world_organization(w, e->provider);
	struct record *r = take(w, KIND_RECORD, offsetof(struct record, id), size, out);

	r->mark = mark_of(e);
	r->provider = provider;
	memcpy(r->id, e->id, size);
	return NULL;
}

static const char *make_submission(struct world *w, const struct entry *e, handle *out)
{
	if (missing(e->provider))
		return "names no provider";
	size_t size = strlen(e->id) + 1;
	number provider = world_organization(w, e->provider);
	number employer = missing(e->employer) ? 0 : world_organization(w, e->employer);
	number user = missing(e->user) ? 0 : world_person(w, e->user);
	struct submission *s = take(w, KIND_SUBMISSION, offsetof(struct submission, id), size, out);

	s->mark = mark_of(e);
	s->provider = provider;
	s->employer = employer;
	s->user = user;
	s->state = (uint8_t)e->state;
	if (e->enrollment != NULL && id_is_enrollment(e->enrollment))
		memcpy(s->enrollment, e->enrollment, sizeof s->enrollment);
	memcpy(s->id, e->id, size);
	return NULL;
}

static const char *make_claim(struct world *w, const struct entry *e, handle *out)
{
	if (missing(e->provider))
		return "names no provider";
	if (missing(e->user))
		return "names no user";
	size_t size = strlen(e->id) + 1;
	number provider = world_organization(w, e->provider), user = world_person(w, e->user);
	struct claim *c = take(w, KIND_CLAIM, offsetof(struct claim, id), size, out);

	c->mark = mark_of(e);
	c->provider = provider;
	c->user = user;
	c->state = (uint8_t)e->state;
	memcpy(c->id, e->id, size);
	return NULL;
}

static const char *make_case(struct world *w, const struct entry *e, handle *out)
{
	if (e->case_kind == CASE_NONE)
		return "is of no kind";
	size_t size = strlen(e->id) + 1;
	number user = missing(e->user) ? 0 : world_person(w, e->user);
	number provider = missing(e->provider) ? 0 : world_organization(w, e->provider);
	number employer = missing(e->employer) ? 0 : world_organization(w, e->employer);
	struct help_case *c = take(w, KIND_CASE, offsetof(struct help_case, id), size, out);

	c->mark = mark_of(e);
	c->user = user;
	c->provider = provider;
	c->employer = employer;
	c->state = (uint8_t)e->state;
	c->kind = (uint8_t)e->case_kind;
	memcpy(c->id, e->id, size);
	return NULL;
}

static const char *make_session(struct world *w, const struct entry *e, handle *out)
{
	unsigned char digest[32];

	if (!world_hex(e->id, digest))
		return "its id is no digest";
	if (missing(e->user))
		return "names no user";
	number user = world_person(w, e->user);
	struct session *s = take(w, KIND_SESSION, sizeof *s, 0, out);

	s->mark = mark_of(e);
	s->started_at = e->started_at;
	s->seen_at = e->seen_at;
	s->authenticated_at = e->authenticated_at;
	s->expires = e->expires;
	s->user = user;
	s->state = (uint8_t)e->state;
	s->second_factor = e->second_factor;
	memcpy(s->digest, digest, sizeof digest);
	return NULL;
}

static bool are_digests(const char *const *list)
{
	unsigned char digest[32];

	for (; list && *list; list++)
		if (!world_hex(*list, digest))
			return false;
	return true;
}

static const char *make_application(struct world *w, const struct entry *e, handle *out)
{
	if (!are_digests(e->secret_digests) || !are_digests(e->certificate_digests))
		return "has a digest that is not 64 hex digits";
	size_t size = strlen(e->id) + 1;
	size_t secrets = length(e->secret_digests), certificates = length(e->certificate_digests);
	struct application *a = take(w, KIND_APPLICATION, offsetof(struct application, id),
	    size + (secrets + certificates) * 32, out);
	struct held *held = world_held(w, *out);

	a->mark = mark_of(e);
	a->state = (uint8_t)e->state;
	for (const char *const *p = e->permissions; p && *p; p++)
		a->may_decide = a->may_decide || strcmp(*p, "decide") == 0;
	memcpy(a->id, e->id, size);
	held->secrets = (uint32_t)secrets;
	held->certificates = (uint32_t)certificates;
	unsigned char *digest = (unsigned char *)a->id + size;
	for (size_t i = 0; i < secrets; i++, digest += 32)
		(void)world_hex(e->secret_digests[i], digest);
	for (size_t i = 0; i < certificates; i++, digest += 32)
		(void)world_hex(e->certificate_digests[i], digest);
	return NULL;
}

static const char *make_role(struct world *w, const struct entry *e, handle *out)
{
	uint32_t bit = ROLE_HELP_DESK;

	while (bit <= ROLE_PROCESSOR && strcmp(role_word((enum role)bit), e->id) != 0)
		bit *= 2;
	if (bit > ROLE_PROCESSOR)
		return "no such role";
	struct role_entry *r = take(w, KIND_ROLE, offsetof(struct role_entry, members),
	    length(e->members) * sizeof(number), out);

	r->mark = mark_of(e);
	r->bit = bit;
	r->count = (uint32_t)number_all(w, e->members, world_person, r->members);
	return NULL;
}

const char *make_entry(struct world *w, const struct entry *e, handle *out)
{
	static const char *(*const makers[KINDS])(struct world *, const struct entry *, handle *) = {
		[KIND_PERSON] = make_person,
		[KIND_ORGANIZATION] = make_organization,
		[KIND_ASSOCIATION] = make_association,
		[KIND_CONSENT] = make_consent,
		[KIND_RECORD] = make_record,
		[KIND_SUBMISSION] = make_submission,
		[KIND_CLAIM] = make_claim,
		[KIND_CASE] = make_case,
		[KIND_SESSION] = make_session,
		[KIND_APPLICATION] = make_application,
		[KIND_ROLE] = make_role,
	};

	if ((unsigned)e->kind >= KINDS || !makers[e->kind])
		return "of no kind that is held";
	if (missing(e->id))
		return "has no id";
	return makers[e->kind](w, e, out);
}

/* ---- what is not understood ---- */

static handle misfit_with(struct world *w, const struct mark *mark, const char *const texts[4])
{
	static const char nothing[] = "";
	size_t at[5] = { 0 };
	handle h;

	for (int i = 0; i < 4; i++)
		at[i + 1] = at[i] + strlen(texts[i] ? texts[i] : nothing) + 1;
	struct misfit_entry *m = take(w, KIND_MISFIT, offsetof(struct misfit_entry, text), at[4], &h);

	m->mark = *mark;
	m->kind = KIND_MISFIT;
	for (int i = 0; i < 4; i++)
		memcpy(m->text + at[i], texts[i] ? texts[i] : nothing, at[i + 1] - at[i]);
	m->dn_at = (uint32_t)at[1];
	m->id_at = (uint32_t)at[2];
	m->provider_at = (uint32_t)at[3];
	return h;
}

handle make_misfit(struct world *w, const struct uuid *uuid, const struct revision *revision, const char *dn,
    const char *why)
{
	return misfit_with(w, &(struct mark){ *uuid, *revision }, (const char *[]){ why, dn, NULL, NULL });
}

handle make_misfit_of(struct world *w, const struct entry *e, const char *why, bool is_double)
{
	struct mark mark = mark_of(e);
	handle h = misfit_with(w, &mark, (const char *[]){ why, NULL, e->id, e->provider });
	struct misfit_entry *m = world_at(w, h);

	m->kind = (uint8_t)((unsigned)e->kind < KINDS ? e->kind : KIND_MISFIT);
	m->is_double = is_double;
	return h;
}
