/* Feeds a replica by hand, as its stream would: short forms for the entries that the tests tell. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "replica/replica.h"

static inline struct uuid uuid_no(uint32_t i)
{
	struct uuid uuid = { { 0x5c } };

	memcpy(uuid.bytes + 12, &i, sizeof i);
	return uuid;
}

static inline struct revision revision_no(int64_t i)
{
	return (struct revision){ .micros = i };
}

static inline void tell_begin(const struct dir_listener *l, bool anew)
{
	l->begin(l->self, anew);
}

static inline void tell(const struct dir_listener *l, uint32_t uuid, struct entry e)
{
	e.uuid = uuid_no(uuid);
	e.revision = e.revision.micros ? e.revision : revision_no(1);
	l->entry(l->self, &e);
}

static inline void tell_gone(const struct dir_listener *l, uint32_t uuid)
{
	struct uuid u = uuid_no(uuid);

	l->gone(l->self, &u);
}

static inline void tell_present(const struct dir_listener *l, uint32_t uuid)
{
	struct uuid u = uuid_no(uuid);

	l->present(l->self, &u);
}

static inline void tell_misfit(const struct dir_listener *l, uint32_t uuid, const char *dn, const char *why)
{
	struct uuid u = uuid_no(uuid);
	struct revision r = revision_no(uuid);

	l->misfit(l->self, &u, &r, dn, why);
}

static inline void tell_refreshed(const struct dir_listener *l, bool sweep)
{
	l->refreshed(l->self, sweep);
}

static inline void tell_reached(const struct dir_listener *l, int64_t revision)
{
	struct revision r = revision_no(revision);

	l->reached(l->self, &r);
}

#define PERSON(uid) (struct entry){ .kind = KIND_PERSON, .id = (uid), .state = STATE_ACTIVE }
#define ORGANIZATION(org, ao) BARRING(org, ao, NULL)
#define BARRING(org, ao, ...)                                                                                 \
	(struct entry){ .kind = KIND_ORGANIZATION, .id = (org), .state = STATE_ACTIVE, .is_employer = true, \
		.provider_kind = PROVIDER_ORGANIZATION, .official = (ao),                                     \
		.barred = (const char *const[]){ __VA_ARGS__, NULL } }
#define ASSOCIATION(name, u, e, p, s) \
	(struct entry){ .kind = KIND_ASSOCIATION, .id = (name), .user = (u), .employer = (e), .provider = (p), .state = (s) }
#define CONSENT(name, p, e, s) \
	(struct entry){ .kind = KIND_CONSENT, .id = (name), .provider = (p), .employer = (e), .state = (s) }
#define RECORD(name, p) (struct entry){ .kind = KIND_RECORD, .id = (name), .provider = (p) }
#define SESSION(name, u) (struct entry){ .kind = KIND_SESSION, .id = (name), .user = (u), .state = STATE_ACTIVE }
#define ROLE(word, ...) \
	(struct entry){ .kind = KIND_ROLE, .id = (word), .members = (const char *const[]){ __VA_ARGS__, NULL } }

static inline enum reason judged(const struct view *v, const char *uid, const char *record)
{
	const struct record *r = replica_record(v, record);
	struct facts f = { .now = 1000, .actor = replica_person(v, uid) };

	f.provider = r ? replica_organization_no(v, r->provider) : NULL;
	return replica_judge(v, RECORD_VIEW, &f).why;
}
