/* What the files about organizations and claims share among themselves. */
#pragma once

#include "flow/inside.h"
#include "flow/organization.h"

/* ---- organization_check.c ---- */
void organization_complain(struct arena *, struct form_problems *, const char *pointer, const char *rule);
/* Everything that is there is well formed? The TIN loses its dashes. */
void organization_check(struct arena *, struct organization_wish *, struct form_problems *);
const char *organization_join(struct arena *, const char *const *lines);
const char *const *organization_split(struct arena *, const char *joined);

/* ---- claim.c ---- */
/* Does the help desk look at a claim to be its Authorized Official? */
bool claim_waits(struct flow *, const char *organization);

/* ---- organization.c ---- */
enum telling_of { ONE_ORGANIZATION, LISTED_ORGANIZATION };
/* What of the entry that the directory has shown him the person may be told. */
struct err organization_info(struct arena *, struct flow *, const struct caller *, const struct entry *,
    enum telling_of, struct organization_info *out);
/* Before it is established: no other organization is, under its TIN. ERR_CONFLICT: one is; *holder: which. */
struct err organization_hold_tin(struct arena *, struct flow *, const struct entry *, const char **holder);
