/* Is the directory as this program needs it? For -t and readiness: looks, and writes nothing. */
#include "dir/dir.h"

#include <string.h>

#include <ldap_schema.h>

#include "base/log.h"
#include "base/text.h"
#include "dir/inside.h"

#include "base/banned.h"

/* One search of one entry, as the service. */
struct question {
	struct arena *arena;
	struct dir *dir;
	struct connection *connection;
};

static struct err look(const struct question *q, const char *dn, const char *attribute, LDAPControl **controls,
    int *code, LDAPMessage **out)
{
	char *attributes[] = { arena_strdup(q->arena, attribute), NULL };
	int id = -1;
	int rc = ldap_search_ext(q->connection->ld, dn, LDAP_SCOPE_BASE, "(objectClass=*)", attributes, 0, controls,
	    NULL, NULL, LDAP_NO_LIMIT, &id);

	TRY(connection_answer(q->connection, rc, id, q->dir->settings.operation_timeout_ms, out));
	if (ldap_parse_result(q->connection->ld, *out, code, NULL, NULL, NULL, NULL, 0) != LDAP_SUCCESS)
		*code = LDAP_OTHER;
	return SUCCESS;
}

/* The values of one attribute of one entry, NULL-terminated; empty if there are none to be seen. */
static struct err values_of(const struct question *q, const char *dn, const char *attribute, char ***out)
{
	LDAPMessage *message;
	int code;

	TRY(look(q, dn, attribute, NULL, &code, &message));
	LDAPMessage *entry = ldap_first_entry(q->connection->ld, message);
	struct berval **values = entry == NULL ? NULL : ldap_get_values_len(q->connection->ld, entry, attribute);
	int count = values == NULL ? 0 : ldap_count_values_len(values);
	char **list = arena_alloc(q->arena, ((size_t)count + 1) * sizeof *list);

	for (int i = 0; i < count; i++)
		list[i] = arena_copy(q->arena, values[i]->bv_val, values[i]->bv_len);
	ldap_value_free_len(values);
	ldap_msgfree(message);
	*out = list;
	return SUCCESS;
}

static bool holds(char *const *list, const char *word)
{
	for (; *list != NULL; list++)
		if (strcasecmp(*list, word) == 0)
			return true;
	return false;
}

static struct err lacks(const struct question *q, const char *what, const char *which)
{
	return FAIL(ERR_UNAVAILABLE, arena_printf(q->arena, "the directory lacks %s %s", what, which));
}

/* ---- what the server can do ---- */

static const struct {
	char *oid;
	const char *name;
} needed[] = {
	{ (char[]){ LDAP_CONTROL_SYNC }, "content synchronization (overlay syncprov)" },
	{ (char[]){ LDAP_CONTROL_ASSERT }, "assertions" },
	{ (char[]){ LDAP_CONTROL_POST_READ }, "post-read" },
	{ (char[]){ LDAP_CONTROL_PROXY_AUTHZ }, "proxied authorization" },
	{ (char[]){ LDAP_CONTROL_PASSWORDPOLICYREQUEST }, "password policy (overlay ppolicy)" },
};

static struct err check_root(const struct question *q)
{
	char **controls, **dynamic;

	TRY(values_of(q, "", "supportedControl", &controls));
	for (size_t i = 0; i < COUNT(needed); i++)
		if (!holds(controls, needed[i].oid))
			return lacks(q, "the control for", needed[i].name);
	TRY(values_of(q, "", "dynamicSubtrees", &dynamic));
	for (; *dynamic != NULL; dynamic++)
		if (strcasecmp(*dynamic, q->dir->schema.base) == 0)
			return SUCCESS;
	return lacks(q, "the overlay", "dds");
}

/* ---- schema ---- */

static bool names_type(const char *text, const char *name)
{
	int code;
	const char *error;
	bool found = false;
	LDAPAttributeType *type = ldap_str2attributetype(text, &code, &error, LDAP_SCHEMA_ALLOW_ALL);

	for (char **each = type == NULL ? NULL : type->at_names; each != NULL && *each != NULL; each++)
		found = found || strcasecmp(*each, name) == 0;
	ldap_attributetype_free(type);
	return found;
}

static bool names_class(const char *text, const char *name)
{
	int code;
	const char *error;
	bool found = false;
	LDAPObjectClass *class = ldap_str2objectclass(text, &code, &error, LDAP_SCHEMA_ALLOW_ALL);

	for (char **each = class == NULL ? NULL : class->oc_names; each != NULL && *each != NULL; each++)
		found = found || strcasecmp(*each, name) == 0;
	ldap_objectclass_free(class);
	return found;
}

static struct err need_definition(const struct question *q, char *const *definitions, const char *what,
    const char *name, bool (*names)(const char *text, const char *name))
{
	for (; *definitions != NULL; definitions++)
		if (strcasestr(*definitions, name) != NULL && names(*definitions, name))
			return SUCCESS;
	return lacks(q, what, name);
}

/* Of what is no kind of entry to those above. */
static const char *const other_classes[] = { "scfAttachmentHead", "scfAttachmentPart", "groupOfURLs", "oathTOTPUser" };

static struct err check_schema(const struct question *q)
{
	char **where, **types, **classes;

	TRY(values_of(q, "", "subschemaSubentry", &where));
	if (where[0] == NULL)
		return lacks(q, "its", "subschemaSubentry");
	TRY(values_of(q, where[0], "attributeTypes", &types));
	TRY(values_of(q, where[0], "objectClasses", &classes));
	for (size_t i = 0; i < schema_field_count; i++)
		TRY(need_definition(q, types, "the attribute type", schema_fields[i].attribute, names_type));
	for (int kind = 0; kind < KINDS; kind++)
		for (const char *const *name = schema_classes((enum kind)kind); *name != NULL; name++)
			TRY(need_definition(q, classes, "the object class", *name, names_class));
	for (size_t i = 0; i < COUNT(other_classes); i++)
		TRY(need_definition(q, classes, "the object class", other_classes[i], names_class));
	return SUCCESS;
}

/* ---- rights ---- */

static struct err check_identity(const struct question *q, struct pool *pool)
{
	struct connection *c;
	struct berval *name = NULL;
	LDAPMessage *message;
	int id = -1;

	TRY(pool_borrow(pool, &c));
	int rc = ldap_whoami(c->ld, NULL, NULL, &id);
	struct err e = connection_answer(c, rc, id, q->dir->settings.operation_timeout_ms, &message);
	if (e.code == OK) {
		ldap_parse_whoami(c->ld, message, &name);
		ldap_msgfree(message);
	}
	pool_return(pool, c);
	TRY(e);
	const char *who = name == NULL || name->bv_val == NULL ? "" : arena_copy(q->arena, name->bv_val, name->bv_len);
	ber_bvfree(name);
	const char *wanted = q->dir->settings.bind_dn;
	bool right = text_begins(who, "dn:") && (wanted == NULL || place_same_dn(who + 3, wanted));
	if (!right)
		return FAIL(ERR_UNAVAILABLE, arena_printf(q->arena, "the directory takes the service for '%s'", who));
	return SUCCESS;
}

static struct err check_tree(const struct question *q)
{
	for (const char *const *each = schema_containers(); *each != NULL; each++) {
		LDAPMessage *message;
		const char *dn = schema_dn_below(q->arena, &q->dir->schema, *each);
		int code;

		TRY(look(q, dn, LDAP_NO_ATTRS, NULL, &code, &message));
		bool there = code == LDAP_SUCCESS && ldap_first_entry(q->connection->ld, message) != NULL;
		ldap_msgfree(message);
		if (!there)
			return lacks(q, "or does not show the service", dn);
	}
	return SUCCESS;
}

/* Under such a policy nobody who has forgotten his password is given another one. */
static struct err check_policy(const struct question *q)
{
	const char *policy = schema_dn_below(q->arena, &q->dir->schema, "cn=people,ou=policies");
	char **values;

	TRY(values_of(q, policy, "pwdSafeModify", &values));
	return holds(values, "TRUE")
		   ? FAIL(ERR_UNAVAILABLE, "the password policy lets nobody set a password without the "
					   "old one (pwdSafeModify)")
		   : SUCCESS;
}

/* Whether there is such a person does not matter to the server: only whether we may act in such names. */
static struct err check_proxying(const struct question *q)
{
	static char proxy_oid[] = LDAP_CONTROL_PROXY_AUTHZ;
	char *name = arena_printf(q->arena, "dn:%s", schema_dn(q->arena, &q->dir->schema, KIND_PERSON, NULL, "nobody"));
	LDAPControl proxied = { proxy_oid, { strlen(name), name }, 1 };
	LDAPControl *controls[] = { &proxied, NULL };
	LDAPMessage *message;
	int code;

	TRY(look(q, q->dir->schema.base, LDAP_NO_ATTRS, controls, &code, &message));
	ldap_msgfree(message);
	if (code == LDAP_PROXIED_AUTHORIZATION_DENIED || code == LDAP_X_PROXY_AUTHZ_FAILURE)
		return FAIL(ERR_UNAVAILABLE,
		    "the directory does not let the service act in people's names (olcAuthzPolicy, authzTo)");
	return SUCCESS;
}

/* A refresh of nothing: is there a provider of content synchronization over this very tree, and may we ask it? */
static struct err check_stream(const struct question *q)
{
	static char sync_oid[] = LDAP_CONTROL_SYNC;
	static unsigned char refresh_only[] = { 0x30, 0x03, 0x0a, 0x01, LDAP_SYNC_REFRESH_ONLY };
	LDAPControl sync = { sync_oid, { sizeof refresh_only, (char *)refresh_only }, 1 };
	LDAPControl *controls[] = { &sync, NULL };
	struct revision reached;
	int code, id = -1;

	int rc = ldap_search_ext(q->connection->ld, q->dir->schema.base, LDAP_SCOPE_SUBTREE, "(!(objectClass=*))", NULL,
	    0, controls, NULL, NULL, LDAP_NO_LIMIT, &id);
	TRY(connection_result(q->connection, rc, id, q->dir->settings.operation_timeout_ms, &code, NULL));
	if (code != LDAP_SUCCESS)
		return lacks(q, "a replication stream for the service:", ldap_err2string(code));
	return entry_revision(q->dir, q->connection, q->dir->settings.operation_timeout_ms, &reached);
}

/* ---- configuration, if it may be seen ---- */

static const char *const indexed[] = { "entryCSN", "entryUUID", NULL };

static bool has_index(char *const *lines, const char *attribute)
{
	size_t size = strlen(attribute);

	for (; *lines != NULL; lines++)
		for (const char *at = *lines; (at = strcasestr(at, attribute)) != NULL; at += size)
			if ((at == *lines || at[-1] == ',' || at[-1] == ' ' || at[-1] == '}') &&
			    strchr(", ", at[size]) != NULL)
				return true;
	return false;
}

/* Most services have no business in cn=config: then nothing is said. */
static struct err check_indexes(const struct question *q)
{
	char *attribute = arena_strdup(q->arena, "olcDbIndex"), *attributes[] = { attribute, NULL };
	const char *filter = schema_filter_equal(q->arena, "olcSuffix", q->dir->schema.base);
	LDAPMessage *message;
	int id = -1;

	int rc = ldap_search_ext(q->connection->ld, "cn=config", LDAP_SCOPE_ONELEVEL, filter, attributes, 0, NULL, NULL,
	    NULL, LDAP_NO_LIMIT, &id);
	TRY(connection_answer(q->connection, rc, id, q->dir->settings.operation_timeout_ms, &message));
	LDAPMessage *entry = ldap_first_entry(q->connection->ld, message);
	struct berval **values = entry == NULL ? NULL : ldap_get_values_len(q->connection->ld, entry, attribute);
	int count = values == NULL ? 0 : ldap_count_values_len(values);
	char **lines = arena_alloc(q->arena, ((size_t)count + 1) * sizeof *lines);

	for (int i = 0; i < count; i++)
		lines[i] = arena_copy(q->arena, values[i]->bv_val, values[i]->bv_len);
	ldap_value_free_len(values);
	ldap_msgfree(message);
	for (const char *const *each = indexed; entry != NULL && *each != NULL; each++)
		if (!has_index(lines, *each))
			return lacks(q, "an index (olcDbIndex) of", *each);
	return SUCCESS;
}

/* Costs the directory a check of a password and a note of its failure: done until it succeeds, not each time. */
static struct err check_decoy(const struct question *q)
{
	if (!atomic_load(&q->dir->decoy_seen))
		TRY(bind_decoy(q->dir));
	atomic_store(&q->dir->decoy_seen, true);
	return SUCCESS;
}

static struct err check_with(const struct question *q)
{
	TRY(check_root(q));
	TRY(check_schema(q));
	TRY(check_tree(q));
	TRY(check_policy(q));
	TRY(check_proxying(q));
	TRY(check_stream(q));
	return check_indexes(q);
}

struct err dir_check(struct arena *a, struct dir *d)
{
	struct question q = { .arena = a, .dir = d };

	TRY(pool_borrow(&d->binds, &q.connection)); /* TLS and all, but nobody bound */
	pool_return(&d->binds, q.connection);
	if (d->settings.people != NULL)
		return SUCCESS;
	TRY(check_identity(&q, &d->writers));
	TRY(check_identity(&q, &d->searches));
	TRY(pool_borrow(&d->searches, &q.connection));
	struct err e = check_with(&q);
	pool_return(&d->searches, q.connection);
	return e.code ? e : check_decoy(&q);
}
