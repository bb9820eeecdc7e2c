/* Documents that were handed in: a head, and below it the parts, which only the help desk reads. */
#include "dir/dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "dir/inside.h"

#include "base/banned.h"

static char id_of[] = "scfAttachmentId", user_of[] = "scfUser", at_of[] = "scfRequestedAt", type_of[] = "scfMediaType";
static char size_of[] = "scfSize", digest_of[] = "scfContentDigest", part_of[] = "scfPart", content_of[] = "scfContent";
static const char folder[] = "ou=attachments";

static const char *head_name(struct arena *a, const struct dir *d, const char *id)
{
	return arena_printf(a, "%s=%s,%s", id_of, id, schema_dn_below(a, &d->schema, folder));
}

static const char *part_name(struct arena *a, const struct dir *d, const char *id, int part)
{
	return arena_printf(a, "%s=%d,%s", part_of, part, head_name(a, d, id));
}

/* ---- writing ---- */

struct err dir_attachment_begin(struct arena *a, struct dir *d, const struct attachment *at, struct revision *out)
{
	char time[CLOCK_GENERALIZED];

	if (!id_is_plain(at->id) || !schema_is_id(KIND_PERSON, at->user))
		return FAIL(ERR_INVALID, "id: not of an attachment");
	clock_format_generalized(at->at, time);
	LDAPMod *mods[] = { schema_mod_text(a, LDAP_MOD_ADD, "objectClass", "scfAttachmentHead"),
		schema_mod_text(a, LDAP_MOD_ADD, id_of, at->id),
		schema_mod_text(a, LDAP_MOD_ADD, user_of, schema_dn(a, &d->schema, KIND_PERSON, NULL, at->user)),
		schema_mod_text(a, LDAP_MOD_ADD, at_of, time), NULL };
	struct write w = { .dn = head_name(a, d, at->id), .mods = mods, .add = true };

	return entry_write(a, d, &w, out);
}

struct err dir_attachment_part(struct arena *a, struct dir *d, const char *id, int part, const void *bytes, size_t size)
{
	struct revision written;

	if (!id_is_plain(id) || part < 1 || size == 0 || size > ATTACHMENT_PART)
		return FAIL(ERR_INVALID, "part: none of an attachment");
	LDAPMod *mods[] = { schema_mod_text(a, LDAP_MOD_ADD, "objectClass", "scfAttachmentPart"),
		schema_mod_text(a, LDAP_MOD_ADD, part_of, arena_printf(a, "%d", part)),
		schema_mod(a, LDAP_MOD_ADD, content_of, bytes, size), NULL };
	struct write w = { .dn = part_name(a, d, id, part), .mods = mods, .add = true };

	return entry_write(a, d, &w, &written);
}

struct err dir_attachment_finish(struct arena *a, struct dir *d, const struct attachment *at, struct revision *out)
{
	if (!id_is_plain(at->id) || at->media_type == NULL || at->digest == NULL)
		return FAIL(ERR_NOT_FOUND, "no such attachment");
	LDAPMod *mods[] = { schema_mod_text(a, LDAP_MOD_ADD, type_of, at->media_type),
		schema_mod_text(a, LDAP_MOD_ADD, size_of, arena_printf(a, "%lld", (long long)at->size)),
		schema_mod_text(a, LDAP_MOD_ADD, digest_of, at->digest), NULL };
	struct write w = { .dn = head_name(a, d, at->id), .mods = mods, .guard = "(!(scfContentDigest=*))" };

	return entry_write(a, d, &w, out);
}

/* ---- reading ---- */

static char *head_attributes[] = { id_of, user_of, at_of, type_of, size_of, digest_of, NULL };

static void read_head(struct arena *a, const struct dir *d, LDAP *ld, LDAPMessage *entry, struct attachment *out)
{
	struct berval user = entry_bytes(a, ld, entry, user_of), size = entry_bytes(a, ld, entry, size_of);

	*out = (struct attachment){
		.id = entry_bytes(a, ld, entry, id_of).bv_val,
		.user =
		    user.bv_val == NULL ? NULL : place_reference(a, &d->schema, KIND_PERSON, user.bv_val, user.bv_len),
		.media_type = entry_bytes(a, ld, entry, type_of).bv_val,
		.digest = entry_bytes(a, ld, entry, digest_of).bv_val,
		.size = size.bv_val == NULL ? 0 : strtoll(size.bv_val, NULL, 10),
		.at = entry_time(a, ld, entry, at_of),
	};
}

struct visit {
	struct dir *dir;
	struct attachment *head;                              /* what was found last */
	bool (*visit)(void *self, const struct attachment *); /* or NULL */
	void *self;
};

static bool visit_head(void *self, struct arena *a, LDAP *ld, LDAPMessage *entry)
{
	struct visit *v = self;

	read_head(a, v->dir, ld, entry, v->head);
	return v->head->id == NULL || v->visit == NULL || v->visit(v->self, v->head);
}

struct err dir_attachment_head(struct arena *a, struct dir *d, const char *as, const char *id, struct attachment *out)
{
	*out = (struct attachment){ 0 };
	if (!id_is_plain(id))
		return FAIL(ERR_NOT_FOUND, "no such attachment");
	struct visit v = { d, out, NULL, NULL };
	struct look look = { as, head_name(a, d, id), LDAP_SCOPE_BASE, NULL, head_attributes };

	TRY(entry_look(a, d, &look, visit_head, &v));
	return out->id != NULL ? SUCCESS : FAIL(ERR_NOT_FOUND, "no such attachment");
}

static bool visit_part(void *self, struct arena *a, LDAP *ld, LDAPMessage *entry)
{
	*(struct berval *)self = entry_bytes(a, ld, entry, content_of);
	return false;
}

struct err dir_attachment_read(
    struct arena *a, struct dir *d, const char *as, const char *id, int part, const void **bytes, size_t *size)
{
	static char *attributes[] = { content_of, NULL };
	struct berval content = { 0, NULL };

	*bytes = NULL;
	*size = 0;
	if (!id_is_plain(id))
		return FAIL(ERR_NOT_FOUND, "no such attachment");
	struct look look = { as, part_name(a, d, id, part), LDAP_SCOPE_BASE, NULL, attributes };
	TRY(entry_look(a, d, &look, visit_part, &content));
	if (content.bv_val == NULL)
		return FAIL(ERR_NOT_FOUND, "no such part");
	*bytes = content.bv_val;
	*size = content.bv_len;
	return SUCCESS;
}

struct err dir_attachment_each(
    struct arena *a, struct dir *d, bool (*visit)(void *self, const struct attachment *), void *self)
{
	struct attachment head;
	struct visit v = { d, &head, visit, self };
	struct look look = { NULL, schema_dn_below(a, &d->schema, folder), LDAP_SCOPE_ONELEVEL, NULL, head_attributes };

	return entry_look(a, d, &look, visit_head, &v);
}

/* ---- removing ---- */

static bool count_part(void *self, struct arena *a, LDAP *ld, LDAPMessage *entry)
{
	(void)a, (void)ld, (void)entry;
	++*(int *)self;
	return true;
}

/* The head last: what has one is found again by whoever cleans up. */
struct err dir_attachment_remove(struct arena *a, struct dir *d, const char *id)
{
	static char *attributes[] = { part_of, NULL };
	struct revision written;
	int parts = 0;

	if (!id_is_plain(id))
		return FAIL(ERR_NOT_FOUND, "no such attachment");
	struct look look = { NULL, head_name(a, d, id), LDAP_SCOPE_ONELEVEL, NULL, attributes };
	TRY(entry_look(a, d, &look, count_part, &parts));
	/* From the last: what is left is always 1 to some number. */
	for (; parts > 0; parts--) {
		struct write w = { .dn = part_name(a, d, id, parts), .removes = true };
		struct err e = entry_write(a, d, &w, &written);

		if (e.code != ERR_NOT_FOUND)
			TRY(e);
	}
	struct write w = { .dn = head_name(a, d, id), .removes = true };
	return entry_write(a, d, &w, &written);
}
