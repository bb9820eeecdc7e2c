/* The people, organizations, ties and records of ldif/sample.ldif, told to a replica that stands alone. */
#pragma once

#include <string.h>

#include "replica/replica.h"

struct world_teller {
	struct dir_listener listener;
	int64_t micros; /* of the last revision told */
};

static inline void tell(struct world_teller *t, struct entry entry)
{
	/* An entry keeps its UUID: the same kind and id are the same entry. */
	entry.uuid.bytes[0] = (unsigned char)(entry.kind + 1);
	for (size_t i = 0; entry.id[i] != '\0'; i++)
		entry.uuid.bytes[1 + i % 15] = (unsigned char)(entry.uuid.bytes[1 + i % 15] * 31 + entry.id[i]);
	entry.revision = (struct revision){ .micros = ++t->micros };
	t->listener.entry(t->listener.self, &entry);
	t->listener.reached(t->listener.self, &entry.revision);
}

static inline void tell_association(struct world_teller *t, const char *id, const char *user, const char *employer,
    enum state state)
{
	tell(t, (struct entry){ .kind = KIND_ASSOCIATION,
		    .id = id,
		    .provider = "lakeside",
		    .employer = employer,
		    .user = user,
		    .state = state });
}

static inline void tell_consent(struct world_teller *t, const char *id, const char *employer, enum state state)
{
	tell(t, (struct entry){ .kind = KIND_CONSENT,
		    .id = id,
		    .provider = "lakeside",
		    .employer = employer,
		    .state = state,
		    .not_before = 1736208000 });
}

static inline void tell_role(struct world_teller *t, enum role role, const char *const *members)
{
	tell(t, (struct entry){ .kind = KIND_ROLE, .id = role_word(role), .members = members });
}

static inline void tell_sample_world(struct world_teller *t)
{
	static const char *const people[] = { "rivera", "chen", "okafor", "ito", "novak", "silva", "quinn", "patel",
		"outsider", "desk1", "desk2", "audit1", "proc1" };
	static const char *const desk[] = { "desk1", "desk2", NULL }, *const auditors[] = { "audit1", NULL };
	static const char *const processors[] = { "proc1", NULL };
	static const struct { const char *id, *provider; } records[] = {
		{ "O20240115000001", "lakeside" }, { "O20240115000002", "lakeside" }, { "I20230302000007", "patel-md" },
	};
	static const struct {
		const char *id;
		enum state state;
		enum provider_kind kind;
		bool employer;
		const char *official;
	} orgs[] = {
		{ "lakeside", STATE_ACTIVE, PROVIDER_ORGANIZATION, false, "rivera" },
		{ "patel-md", STATE_ACTIVE, PROVIDER_INDIVIDUAL, false, "patel" },
		{ "northgate", STATE_REGISTERED, PROVIDER_ORGANIZATION, false, NULL },
		{ "meridian", STATE_ACTIVE, NOT_A_PROVIDER, true, NULL },
		{ "harbor", STATE_ACTIVE, NOT_A_PROVIDER, true, NULL },
		{ "dormant", STATE_SUSPENDED, NOT_A_PROVIDER, true, NULL },
	};

	t->micros = 1764000000000000;
	t->listener.begin(t->listener.self, true);
	for (size_t i = 0; i < sizeof people / sizeof people[0]; i++)
		tell(t, (struct entry){ .kind = KIND_PERSON, .id = people[i], .name = people[i], .state = STATE_ACTIVE,
			    .realm = strcmp(people[i], "patel") == 0 ? REALM_NPPES : REALM_LOCAL });
	tell_role(t, ROLE_HELP_DESK, desk);
	tell_role(t, ROLE_AUDITOR, auditors);
	tell_role(t, ROLE_PROCESSOR, processors);
	for (size_t i = 0; i < sizeof orgs / sizeof orgs[0]; i++)
		tell(t, (struct entry){ .kind = KIND_ORGANIZATION,
			    .id = orgs[i].id,
			    .name = orgs[i].id,
			    .state = orgs[i].state,
			    .provider_kind = orgs[i].kind,
			    .is_employer = orgs[i].employer,
			    .official = orgs[i].official });
	tell_association(t, "a-chen-lakeside", "chen", "lakeside", STATE_APPROVED);
	tell_association(t, "a-okafor-meridian", "okafor", "meridian", STATE_APPROVED);
	tell_association(t, "a-novak-harbor", "novak", "harbor", STATE_APPROVED);
	tell_association(t, "a-ito-meridian", "ito", "meridian", STATE_PENDING);
	tell_association(t, "a-silva-dormant", "silva", "dormant", STATE_APPROVED);
	tell_consent(t, "c-lakeside-lakeside", "lakeside", STATE_APPROVED);
	tell_consent(t, "c-lakeside-meridian", "meridian", STATE_APPROVED);
	tell_consent(t, "c-lakeside-dormant", "dormant", STATE_APPROVED);
	for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
		tell(t, (struct entry){ .kind = KIND_RECORD,
			    .id = records[i].id,
			    .provider = records[i].provider,
			    .form = "855B",
			    .status = "approved" });
	t->listener.refreshed(t->listener.self, true);
}
