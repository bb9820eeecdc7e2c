/* Reading and writing single entries: in a person's name where asked, guarded, and told how far the write got. */
#include "dir/dir.h"

#include <string.h>

#include "base/log.h"
#include "dir/inside.h"
#include "dir/parse.h"

#include "base/banned.h"

/* The value of a Post-Read request control for entryCSN (RFC 4527 3.2): SEQUENCE { "entryCSN" }. */
static unsigned char ask_for_csn[] = { 0x30, 0x0a, 0x04, 0x08, 'e', 'n', 't', 'r', 'y', 'C', 'S', 'N' };
static char post_read_oid[] = LDAP_CONTROL_POST_READ, proxy_oid[] = LDAP_CONTROL_PROXY_AUTHZ;

/* ---- result codes ---- */

struct err entry_result(const struct connection *c, int code, const char *what, const char *diagnostics)
{
	switch (code) {
	case LDAP_SUCCESS:
		return SUCCESS;
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INSUFFICIENT_ACCESS: /* looks the same to whoever asks */
		return FAIL(ERR_NOT_FOUND, "no such entry");
	case LDAP_ASSERTION_FAILED:
	case LDAP_NO_SUCH_ATTRIBUTE:
	case LDAP_TYPE_OR_VALUE_EXISTS:
		return FAIL(ERR_CONFLICT, "the entry has changed");
	case LDAP_ALREADY_EXISTS:
		return FAIL(ERR_CONFLICT, "there is an entry of that name");
	case LDAP_CONSTRAINT_VIOLATION:
	case LDAP_INVALID_SYNTAX:
	case LDAP_INVALID_DN_SYNTAX:
	case LDAP_NAMING_VIOLATION:
	case LDAP_OBJECT_CLASS_VIOLATION:
	case LDAP_UNDEFINED_TYPE:
		log_event(LOG_WARNING, "directory.refused", "server=%s what=%s code=%d text=%s", connection_uri(c),
		    what, code, diagnostics != NULL ? diagnostics : "");
		return FAIL(ERR_INVALID, "the directory's schema does not allow that");
	default:
		/* Busy, full, read-only, no right to act in a person's name, a referral: nothing is known then. */
		log_event(LOG_WARNING, "directory.failed", "server=%s what=%s code=%d means=%s text=%s",
		    connection_uri(c), what, code, ldap_err2string(code), diagnostics != NULL ? diagnostics : "");
		return FAIL(ERR_UNAVAILABLE, "the directory cannot do that now");
	}
}

/* ---- controls ---- */

struct controls {
	LDAPControl proxied, post_read;
	LDAPControl *assertion; /* of libldap; free it */
	LDAPControl *list[4];
	size_t count;
};

/* RFC 4370: the directory judges as if that person asked. Critical, else a server could ignore it. */
static struct err add_proxied(struct arena *a, const struct dir *d, const char *as, struct controls *out)
{
	if (as == NULL)
		return SUCCESS;
	if (!schema_is_id(KIND_PERSON, as))
		return FAIL(ERR_NOT_FOUND, "no such person");
	char *name = arena_printf(a, "dn:%s", schema_dn(a, &d->schema, KIND_PERSON, NULL, as));
	out->proxied = (LDAPControl){ proxy_oid, { strlen(name), name }, 1 };
	out->list[out->count++] = &out->proxied;
	return SUCCESS;
}

static void add_post_read(struct controls *out)
{
	out->post_read = (LDAPControl){ post_read_oid, { sizeof ask_for_csn, (char *)ask_for_csn }, 0 };
	out->list[out->count++] = &out->post_read;
}

/* RFC 4528. Critical: without it the write would be blind. */
static struct err add_assertion(struct connection *c, const char *filter, struct controls *out)
{
	char *text = (char *)(uintptr_t)filter; /* libldap only reads it */

	if (filter == NULL)
		return SUCCESS;
	if (ldap_create_assertion_control(c->ld, text, 1, &out->assertion) != LDAP_SUCCESS)
		return FAIL(ERR_BUG, "a guard that cannot be said");
	out->list[out->count++] = out->assertion;
	return SUCCESS;
}

/* ---- reading ---- */

static struct err parse_message(struct arena *a, struct dir *d, struct connection *c, LDAPMessage *message,
    const struct place *asked, struct entry *out)
{
	LDAPMessage *entry = ldap_first_entry(c->ld, message);
	BerElement *ber = NULL;
	struct berval dn, element;
	struct parse p;
	struct place *place = arena_alloc(a, sizeof *place);

	if (entry == NULL)
		return FAIL(ERR_NOT_FOUND, "no such entry");
	*place = *asked;
	parse_begin(&p, a, &d->schema, place, out);
	if (ldap_get_dn_ber(c->ld, entry, &ber, &dn) != LDAP_SUCCESS)
		return FAIL(ERR_UNAVAILABLE, "the directory's answer cannot be read");
	bool well_formed = true;
	while (well_formed && ber_skip_element(ber, &element) == SLICE_SEQUENCE) {
		/* The message is freed before the entry is used. */
		char *copy = arena_copy(a, element.bv_val, element.bv_len);
		well_formed = parse_attribute(&p, (struct slice){ (unsigned char *)copy, element.bv_len });
	}
	ber_free(ber, 0);
	if (!well_formed)
		return FAIL(ERR_UNAVAILABLE, "the directory's answer cannot be read");
	const char *why = parse_end(&p);
	if (why == NULL)
		return SUCCESS;
	/* To a person the directory may show half an entry: that is none. */
	log_event(LOG_WARNING, "directory.misfit", "kind=%s id=%s why=%s", kind_word(place->kind), place->id, why);
	return FAIL(ERR_NOT_FOUND, why);
}

static struct err search(
    struct arena *a, struct dir *d, struct connection *c, const char *as, const struct place *place, struct entry *out)
{
	const char *provider = place->provider[0] != '\0' ? place->provider : NULL;
	const char *dn = schema_dn(a, &d->schema, place->kind, provider, place->id);
	struct controls controls = { .count = 0 };
	LDAPMessage *message;
	char *diagnostics = NULL;
	int id = -1, code;

	TRY(add_proxied(a, d, as, &controls));
	int rc = ldap_search_ext(c->ld, dn, LDAP_SCOPE_BASE, "(objectClass=*)", schema_attributes_of(a, place->kind), 0,
	    controls.list, NULL, NULL, LDAP_NO_LIMIT, &id);
	TRY(connection_answer(c, rc, id, d->settings.operation_timeout_ms, &message));
	struct err e;
	if (ldap_parse_result(c->ld, message, &code, NULL, &diagnostics, NULL, NULL, 0) != LDAP_SUCCESS) {
		c->broken = true;
		e = FAIL(ERR_UNAVAILABLE, "the directory's answer cannot be read");
	} else {
		e = entry_result(c, code, "read", diagnostics);
	}
	ldap_memfree(diagnostics);
	if (e.code == OK)
		e = parse_message(a, d, c, message, place, out);
	ldap_msgfree(message);
	return e;
}

static bool lies_in_organization(enum kind kind)
{
	return kind == KIND_ASSOCIATION || kind == KIND_CONSENT || kind == KIND_RECORD || kind == KIND_SUBMISSION;
}

/* False: there cannot be such an entry. */
static bool place_from(enum kind kind, const char *provider, const char *id, struct place *out)
{
	*out = (struct place){ .kind = kind };
	if (id == NULL || !schema_is_id(kind, id) || (provider != NULL) != lies_in_organization(kind) ||
	    (provider != NULL && !schema_is_id(KIND_ORGANIZATION, provider)))
		return false;
	memcpy(out->id, id, strlen(id) + 1);
	if (provider != NULL)
		memcpy(out->provider, provider, strlen(provider) + 1);
	return true;
}

struct err dir_read(struct arena *a, struct dir *d, const char *as, enum kind kind, const char *provider,
    const char *id, struct entry *out)
{
	struct connection *c;
	struct place place;

	memset(out, 0, sizeof *out);
	if (!place_from(kind, provider, id, &place))
		return FAIL(ERR_NOT_FOUND, "no such entry");
	TRY(pool_borrow(&d->searches, &c));
	struct err e = search(a, d, c, as, &place, out);
	pool_return(&d->searches, c);
	return e;
}

/* ---- writing ---- */

/* The entryCSN in a Post-Read response: a SearchResultEntry (RFC 4527 3.2). */
static bool read_csn(LDAPControl **controls, struct revision *out)
{
	LDAPControl *control = ldap_control_find(LDAP_CONTROL_POST_READ, controls, NULL);
	struct slice whole, entry, dn, attributes, attribute, name, values, value;

	if (control == NULL)
		return false;
	whole = (struct slice){ (unsigned char *)control->ldctl_value.bv_val, control->ldctl_value.bv_len };
	if (!slice_take(&whole, LDAP_RES_SEARCH_ENTRY, &entry) || !slice_take(&entry, SLICE_OCTETS, &dn) ||
	    !slice_take(&entry, SLICE_SEQUENCE, &attributes))
		return false;
	while (slice_take(&attributes, SLICE_SEQUENCE, &attribute)) {
		if (!slice_take(&attribute, SLICE_OCTETS, &name) || !slice_take(&attribute, SLICE_SET, &values) ||
		    !slice_take(&values, SLICE_OCTETS, &value))
			return false;
		if (name.size == 8 && strncasecmp((char *)name.at, "entryCSN", 8) == 0)
			return revision_parse((char *)value.at, value.size, out);
	}
	return false;
}

/* *known: whether the server has said how far the write got. */
static struct err finish_write(
    struct dir *d, struct connection *c, int rc, int id, const char *what, struct revision *out, bool *known)
{
	LDAPControl **response = NULL;
	LDAPMessage *message;
	char *diagnostics = NULL;
	int code;

	TRY(connection_answer(c, rc, id, d->settings.operation_timeout_ms, &message));
	if (ldap_parse_result(c->ld, message, &code, NULL, &diagnostics, NULL, &response, 1) != LDAP_SUCCESS) {
		c->broken = true;
		return FAIL(ERR_UNAVAILABLE, "the directory's answer cannot be read");
	}
	struct err e = entry_result(c, code, what, diagnostics);
	*known = e.code == OK && read_csn(response, out);
	ldap_memfree(diagnostics);
	ldap_controls_free(response);
	return e;
}

/* One write, by add or by modify: mods and guard are of the entry named. */
struct write {
	const char *as;
	const char *dn;
	LDAPMod **mods;
	bool add;
	const char *guard; /* a filter, or NULL */
};

static struct err write_on(
    struct arena *a, struct dir *d, struct connection *c, const struct write *w, struct revision *out, bool *known)
{
	struct controls controls = { .count = 0 };
	int id = -1;

	TRY(add_proxied(a, d, w->as, &controls));
	add_post_read(&controls);
	TRY(add_assertion(c, w->guard, &controls));
	int rc = w->add ? ldap_add_ext(c->ld, w->dn, w->mods, controls.list, NULL, &id)
			: ldap_modify_ext(c->ld, w->dn, w->mods, controls.list, NULL, &id);
	ldap_control_free(controls.assertion);
	return finish_write(d, c, rc, id, w->add ? "add" : "change", out, known);
}

static struct err write_borrowed(
    struct arena *a, struct dir *d, const struct write *w, struct revision *out, bool *known)
{
	struct connection *c;

	TRY(pool_borrow(&d->writers, &c));
	struct err e = write_on(a, d, c, w, out, known);
	pool_return(&d->writers, c);
	if (e.code == OK && *known)
		servers_saw(&d->servers, out);
	return e;
}

/* One write, counted as such from before a server is chosen for it until it is known how far it got. */
static struct err write_once(struct arena *a, struct dir *d, const struct write *w, struct revision *out)
{
	bool known = false;

	servers_begin_write(&d->servers);
	struct err e = write_borrowed(a, d, w, out, &known);
	servers_end_write(&d->servers);
	TRY(e);
	/* Whoever wrote may not be shown the entry. Then what the directory has reached by now is late enough. */
	return known ? SUCCESS : dir_revision(d, out);
}

struct err dir_add(struct arena *a, struct dir *d, const char *as, const struct entry *entry, struct revision *out)
{
	struct place place;
	struct write w = { .as = as, .add = true };

	*out = (struct revision){ 0 };
	if (!place_from(entry->kind, lies_in_organization(entry->kind) ? entry->provider : NULL, entry->id, &place))
		return FAIL(ERR_INVALID, "id: not of that kind of entry");
	TRY(schema_additions(a, &d->schema, entry, &w.mods));
	w.dn = schema_dn(a, &d->schema, entry->kind, entry->provider, entry->id);
	return write_once(a, d, &w, out);
}

struct err dir_update(struct arena *a, struct dir *d, const char *as, const struct entry *to, unsigned fields,
    const struct guard *guard, struct revision *out)
{
	struct place place;
	struct write w = { .as = as };

	*out = (struct revision){ 0 };
	if (!place_from(to->kind, lies_in_organization(to->kind) ? to->provider : NULL, to->id, &place))
		return FAIL(ERR_NOT_FOUND, "no such entry");
	TRY(schema_changes(a, &d->schema, to, fields, &w.mods));
	w.dn = schema_dn(a, &d->schema, to->kind, to->provider, to->id);
	if (guard != NULL)
		w.guard = schema_filter_guard(a, guard->state, &guard->revision);
	return write_once(a, d, &w, out);
}

/* ---- how far it got ---- */

struct err entry_revision(const struct dir *d, struct connection *c, int timeout_ms, struct revision *out)
{
	static char context_csn[] = "contextCSN";
	static char *attributes[] = { context_csn, NULL };
	LDAPMessage *message;
	int id = -1;

	*out = (struct revision){ 0 };
	int rc = ldap_search_ext(c->ld, d->schema.base, LDAP_SCOPE_BASE, "(objectClass=*)", attributes, 0, NULL, NULL,
	    NULL, LDAP_NO_LIMIT, &id);
	TRY(connection_answer(c, rc, id, timeout_ms, &message));
	LDAPMessage *entry = ldap_first_entry(c->ld, message);
	struct berval **values = entry == NULL ? NULL : ldap_get_values_len(c->ld, entry, context_csn);
	for (size_t i = 0; values != NULL && values[i] != NULL; i++) {
		struct revision one; /* one for each server that has ever written */

		if (revision_parse(values[i]->bv_val, values[i]->bv_len, &one) && revision_compare(&one, out) > 0)
			*out = one;
	}
	ldap_value_free_len(values);
	ldap_msgfree(message);
	if (out->micros == 0)
		return FAIL(ERR_UNAVAILABLE, "the directory does not say what it has reached (contextCSN)");
	return SUCCESS;
}

struct err dir_revision(struct dir *d, struct revision *out)
{
	struct connection *c;

	*out = (struct revision){ 0 };
	TRY(pool_borrow(&d->beat, &c));
	/* As cheap as connecting, so it gets as little time: a server that hangs is left for another one early. */
	struct err e = entry_revision(d, c, d->settings.connect_timeout_ms, out);
	pool_return(&d->beat, c);
	if (e.code == OK)
		servers_saw(&d->servers, out);
	return e;
}
