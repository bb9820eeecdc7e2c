/* Reading and writing single entries: in a person's name where asked, guarded, and told how far the write got. */
#include "dir/dir.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "dir/inside.h"
#include "dir/parse.h"

#include "base/banned.h"

/* The value of a Post-Read request control for entryCSN (RFC 4527 3.2): SEQUENCE { "entryCSN" }. */
static unsigned char ask_for_csn[] = { 0x30, 0x0a, 0x04, 0x08, 'e', 'n', 't', 'r', 'y', 'C', 'S', 'N' };
static char post_read_oid[] = LDAP_CONTROL_POST_READ, proxy_oid[] = LDAP_CONTROL_PROXY_AUTHZ;
static char relax_oid[] = LDAP_CONTROL_RELAX;

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
	LDAPControl proxied, post_read, relax;
	LDAPControl *assertion; /* of libldap; free it */
	LDAPControl *list[5];
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

/* For attributes that the server keeps by itself; to who may `manage` them. */
static void add_relax(struct controls *out)
{
	out->relax = (LDAPControl){ relax_oid, { 0, NULL }, 1 };
	out->list[out->count++] = &out->relax;
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

/* One search, and its whole answer: free it with ldap_msgfree. */
static struct err ask(
    struct arena *a, struct dir *d, struct connection *c, const struct look *look, LDAPMessage **message)
{
	struct controls controls = { .count = 0 };
	char *diagnostics = NULL;
	int id = -1, code;

	*message = NULL;
	TRY(add_proxied(a, d, look->as, &controls));
	int rc = ldap_search_ext(c->ld, look->dn, look->scope, look->filter != NULL ? look->filter : "(objectClass=*)",
	    look->attributes, 0, controls.list, NULL, NULL, LDAP_NO_LIMIT, &id);
	TRY(connection_answer(c, rc, id, d->settings.operation_timeout_ms, message));
	struct err e;
	if (ldap_parse_result(c->ld, *message, &code, NULL, &diagnostics, NULL, NULL, 0) != LDAP_SUCCESS) {
		c->broken = true;
		e = FAIL(ERR_UNAVAILABLE, "the directory's answer cannot be read");
	} else {
		e = entry_result(c, code, "read", diagnostics);
	}
	ldap_memfree(diagnostics);
	if (e.code != OK) {
		ldap_msgfree(*message);
		*message = NULL;
	}
	return e;
}

struct err entry_look(struct arena *a, struct dir *d, const struct look *look,
    bool (*visit)(void *self, struct arena *, LDAP *, LDAPMessage *), void *self)
{
	struct connection *c;
	LDAPMessage *message = NULL;

	TRY(pool_borrow(&d->searches, &c));
	struct err e = ask(a, d, c, look, &message);
	if (e.code == OK)
		for (LDAPMessage *entry = ldap_first_entry(c->ld, message); entry != NULL;
		     entry = ldap_next_entry(c->ld, entry))
			if (!visit(self, a, c->ld, entry))
				break;
	ldap_msgfree(message);
	pool_return(&d->searches, c);
	return e;
}

struct berval entry_bytes(struct arena *a, LDAP *ld, LDAPMessage *entry, const char *attribute)
{
	struct berval **values = ldap_get_values_len(ld, entry, attribute), first = { 0, NULL };

	if (values != NULL && values[0] != NULL) {
		first.bv_val = arena_copy(a, values[0]->bv_val, values[0]->bv_len);
		first.bv_len = values[0]->bv_len;
	}
	ldap_value_free_len(values);
	return first;
}

int64_t entry_time(struct arena *a, LDAP *ld, LDAPMessage *entry, const char *attribute)
{
	struct berval text = entry_bytes(a, ld, entry, attribute);
	int64_t seconds = text.bv_val == NULL ? -1 : clock_parse_generalized(text.bv_val);

	return seconds > 0 ? seconds : 0;
}

static struct err search(struct arena *a, struct dir *d, struct connection *c, const char *as,
    const struct place *place, char **attributes, struct entry *out)
{
	const char *provider = place->provider[0] != '\0' ? place->provider : NULL;
	struct look look = { as, schema_dn(a, &d->schema, place->kind, provider, place->id), LDAP_SCOPE_BASE, NULL,
		attributes };
	LDAPMessage *message;

	TRY(ask(a, d, c, &look, &message));
	struct err e = parse_message(a, d, c, message, place, out);
	ldap_msgfree(message);
	return e;
}

struct err entry_person_on(struct arena *a, struct dir *d, struct connection *c, const char *uid, struct entry *out)
{
	struct place place = { .kind = KIND_PERSON };

	memset(out, 0, sizeof *out);
	memcpy(place.id, uid, strlen(uid) + 1);
	return search(a, d, c, NULL, &place, schema_attributes_of(a, KIND_PERSON), out);
}

/* False: there cannot be such an entry. */
static bool place_from(enum kind kind, const char *provider, const char *id, struct place *out)
{
	*out = (struct place){ .kind = kind };
	if (id == NULL || !schema_is_id(kind, id) || (provider != NULL) != schema_lies_in_organization(kind) ||
	    (provider != NULL && !schema_is_id(KIND_ORGANIZATION, provider)))
		return false;
	memcpy(out->id, id, strlen(id) + 1);
	if (provider != NULL)
		memcpy(out->provider, provider, strlen(provider) + 1);
	return true;
}

static struct err read_one(struct arena *a, struct dir *d, const char *as, enum kind kind, const char *provider,
    const char *id, char **attributes, struct entry *out)
{
	struct connection *c;
	struct place place;

	memset(out, 0, sizeof *out);
	if (!place_from(kind, provider, id, &place))
		return FAIL(ERR_NOT_FOUND, "no such entry");
	TRY(pool_borrow(&d->searches, &c));
	struct err e = search(a, d, c, as, &place, attributes, out);
	pool_return(&d->searches, c);
	return e;
}

struct err dir_read(struct arena *a, struct dir *d, const char *as, enum kind kind, const char *provider,
    const char *id, struct entry *out)
{
	return read_one(a, d, as, kind, provider, id, schema_attributes_of(a, kind), out);
}

struct err dir_read_head(struct arena *a, struct dir *d, const char *as, enum kind kind, const char *provider,
    const char *id, struct entry *out)
{
	return read_one(a, d, as, kind, provider, id, schema_attributes_of_head(a, kind), out);
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

static struct err write_on(struct arena *a, struct dir *d, struct connection *c, const struct write *w,
    bool ask_how_far, struct revision *out, bool *known)
{
	struct controls controls = { .count = 0 };
	int id = -1;

	TRY(add_proxied(a, d, w->as, &controls));
	if (ask_how_far)
		add_post_read(&controls);
	if (w->relaxed)
		add_relax(&controls);
	TRY(add_assertion(c, w->guard, &controls));
	int rc = w->removes ? ldap_delete_ext(c->ld, w->dn, controls.list, NULL, &id)
		 : w->add   ? ldap_add_ext(c->ld, w->dn, w->mods, controls.list, NULL, &id)
			    : ldap_modify_ext(c->ld, w->dn, w->mods, controls.list, NULL, &id);
	ldap_control_free(controls.assertion);
	return finish_write(d, c, rc, id, w->removes ? "delete" : w->add ? "add" : "change", out, known);
}

/* slapd 2.5 says success to a write that asks for a Post-Read which the writer may not see, and does not write: the
 * response is missing then. So without one nothing was done, and it is done again without asking. */
static struct err write_borrowed(
    struct arena *a, struct dir *d, const struct write *w, struct revision *out, bool *known)
{
	struct connection *c;
	bool is_done = false;

	TRY(pool_borrow(&d->writers, &c));
	struct err e = SUCCESS;
	if (!w->removes && !w->unseen) {
		e = write_on(a, d, c, w, true, out, known);
		is_done = e.code != OK || *known;
	}
	if (!is_done)
		e = write_on(a, d, c, w, false, out, known);
	pool_return(&d->writers, c);
	if (e.code == OK && *known)
		servers_saw(&d->servers, out);
	return e;
}

/* Counted as a write from before a server is chosen for it until it is known how far it got. */
struct err entry_write(struct arena *a, struct dir *d, const struct write *w, struct revision *out)
{
	bool known = false;

	*out = (struct revision){ 0 };
	servers_begin_write(&d->servers);
	struct err e = write_borrowed(a, d, w, out, &known);
	servers_end_write(&d->servers);
	TRY(e);
	/* What the directory has reached by now is late enough. */
	return known ? SUCCESS : dir_revision(d, out);
}

struct err dir_add(struct arena *a, struct dir *d, const char *as, const struct entry *entry, struct revision *out)
{
	struct place place;
	struct write w = { .as = as, .add = true };
	bool in_folder = schema_lies_in_organization(entry->kind);

	*out = (struct revision){ 0 };
	if (!place_from(entry->kind, in_folder ? entry->provider : NULL, entry->id, &place))
		return FAIL(ERR_INVALID, "id: not of that kind of entry");
	TRY(schema_additions(a, &d->schema, entry, &w.mods));
	w.dn = schema_dn(a, &d->schema, entry->kind, entry->provider, entry->id);
	struct err e = entry_write(a, d, &w, out);
	/* Folders are made when something is put into them for the first time. If it is there, the refusal was meant.
	 */
	if (e.code == ERR_NOT_FOUND && in_folder && furnish_folder(a, d, entry->provider, entry->kind).code == OK)
		e = entry_write(a, d, &w, out);
	return e;
}

struct err dir_update(struct arena *a, struct dir *d, const char *as, const struct entry *to, unsigned fields,
    const struct guard *guard, struct revision *out)
{
	struct place place;
	struct write w = { .as = as };

	*out = (struct revision){ 0 };
	if (!place_from(to->kind, schema_lies_in_organization(to->kind) ? to->provider : NULL, to->id, &place))
		return FAIL(ERR_NOT_FOUND, "no such entry");
	TRY(schema_changes(a, &d->schema, to, fields, &w.mods));
	w.dn = schema_dn(a, &d->schema, to->kind, to->provider, to->id);
	if (guard != NULL)
		w.guard = schema_filter_guard(a, guard->state, &guard->revision);
	return entry_write(a, d, &w, out);
}

struct err dir_delete(struct arena *a, struct dir *d, const char *as, const struct entry *entry,
    const struct guard *guard, struct revision *out)
{
	struct place place;
	struct write w = { .as = as, .removes = true };

	*out = (struct revision){ 0 };
	if (!place_from(
		entry->kind, schema_lies_in_organization(entry->kind) ? entry->provider : NULL, entry->id, &place))
		return FAIL(ERR_NOT_FOUND, "no such entry");
	w.dn = schema_dn(a, &d->schema, entry->kind, entry->provider, entry->id);
	if (guard != NULL)
		w.guard = schema_filter_guard(a, guard->state, &guard->revision);
	return entry_write(a, d, &w, out);
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
