/* The folders of a provider, and its groups: views of what lies in the folders, for other LDAP clients. */
#include "dir/dir.h"

#include <string.h>

#include "base/text.h"
#include "dir/inside.h"

#include "base/banned.h"

static const enum kind kept_in_folders[] = { KIND_ASSOCIATION, KIND_CONSENT, KIND_RECORD, KIND_SUBMISSION, KIND_CLAIM };

static const struct {
	const char *name, *folder, *members; /* folder NULL: of the organization's own entry */
} groups[] = {
	{ "authorized-official", NULL, "?scfAuthorizedOfficial?base" },
	{ "associates", "ou=associations,", "?scfUser?one?(scfState=approved)" },
	{ "consented-employers", "ou=consents,", "?scfEmployer?one?(scfState=approved)" },
};

/* ERR_CONFLICT: it is there. */
static struct err add_plain(struct arena *a, struct dir *d, const char *dn, const char *class, const char *naming,
    const char *name, const char *url)
{
	LDAPMod *mods[4] = { schema_mod_text(a, LDAP_MOD_ADD, "objectClass", class),
		schema_mod_text(a, LDAP_MOD_ADD, naming, name) };
	struct write w = { .dn = dn, .mods = mods, .add = true, .unseen = url != NULL };
	struct revision written;

	if (url != NULL)
		mods[2] = schema_mod_text(a, LDAP_MOD_ADD, "memberURL", url);
	return entry_write(a, d, &w, &written);
}

struct err furnish_folder(struct arena *a, struct dir *d, const char *provider, enum kind kind)
{
	const char *dn = schema_folder(a, &d->schema, kind, provider);
	size_t length = strcspn(dn, ",") - strlen("ou=");

	return add_plain(a, d, dn, "organizationalUnit", "ou", arena_copy(a, dn + strlen("ou="), length), NULL);
}

static struct err furnish_group(struct arena *a, struct dir *d, const char *organization, size_t i)
{
	const char *dn = arena_printf(a, "cn=%s,%s", groups[i].name, organization);
	const char *url = arena_printf(
	    a, "ldap:///%s%s%s", groups[i].folder != NULL ? groups[i].folder : "", organization, groups[i].members);

	return add_plain(a, d, dn, "groupOfURLs", "cn", groups[i].name, url);
}

struct err dir_furnish(struct arena *a, struct dir *d, const char *provider)
{
	struct err e = SUCCESS;

	if (!schema_is_id(KIND_ORGANIZATION, provider))
		return FAIL(ERR_NOT_FOUND, "no such organization");
	const char *organization = schema_dn(a, &d->schema, KIND_ORGANIZATION, NULL, provider);
	for (size_t i = 0; i < COUNT(kept_in_folders) && (e.code == OK || e.code == ERR_CONFLICT); i++)
		e = furnish_folder(a, d, provider, kept_in_folders[i]);
	for (size_t i = 0; i < COUNT(groups) && (e.code == OK || e.code == ERR_CONFLICT); i++)
		e = furnish_group(a, d, organization, i);
	return e.code == ERR_CONFLICT ? SUCCESS : e;
}
