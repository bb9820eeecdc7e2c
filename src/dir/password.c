/* Changing, setting and unlocking passwords; what the directory has counted against an account; whose a mail address
 * is. */
#include "dir/dir.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "dir/inside.h"

#include "base/banned.h"

/* ---- RFC 3062, with what the policy says to it ---- */

struct change {
	const char *dn;
	struct berval old, new; /* old.bv_val NULL: not told */
};

static enum password_outcome outcome_of(int code, LDAPPasswordPolicyError said)
{
	switch (said) {
	case PP_passwordTooShort:
		return PASSWORD_TOO_SHORT;
	case PP_passwordInHistory:
		return PASSWORD_IN_HISTORY;
	case PP_accountLocked:
		return PASSWORD_LOCKED;
	default:
		return code == LDAP_SUCCESS ? PASSWORD_SET : PASSWORD_REFUSED;
	}
}

static struct err read_outcome(struct connection *c, LDAPMessage *message, enum password_outcome *out)
{
	LDAPControl **controls = NULL, *policy;
	LDAPPasswordPolicyError said = PP_noError;
	char *diagnostics = NULL;
	int code;

	if (ldap_parse_result(c->ld, message, &code, NULL, &diagnostics, NULL, &controls, 1) != LDAP_SUCCESS) {
		c->broken = true;
		return FAIL(ERR_UNAVAILABLE, "the directory's answer cannot be read");
	}
	policy = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, NULL);
	if (policy != NULL)
		(void)ldap_parse_passwordpolicy_control(c->ld, policy, NULL, NULL, &said);
	*out = outcome_of(code, said);
	/* A refusal by the policy is an answer; any other is none. */
	struct err e =
	    code == LDAP_CONSTRAINT_VIOLATION ? SUCCESS : entry_result(c, code, "change a password", diagnostics);
	ldap_controls_free(controls);
	ldap_memfree(diagnostics);
	return e;
}

static struct err change_on(
    const struct dir *d, struct connection *c, const struct change *change, enum password_outcome *out)
{
	struct berval dn = { strlen(change->dn), (char *)(uintptr_t)change->dn }, old = change->old, new = change->new;
	LDAPControl policy = { (char[]){ LDAP_CONTROL_PASSWORDPOLICYREQUEST }, { 0, NULL }, 0 };
	LDAPControl *controls[] = { &policy, NULL };
	LDAPMessage *message;
	int id = -1;

	int rc = ldap_passwd(c->ld, &dn, old.bv_val != NULL ? &old : NULL, &new, controls, NULL, &id);
	TRY(connection_answer(c, rc, id, d->settings.operation_timeout_ms, &message));
	return read_outcome(c, message, out);
}

/* The answer to this operation does not say how far the write got. */
static struct err reached(struct dir *d, enum password_outcome outcome, struct revision *out)
{
	return outcome == PASSWORD_SET ? dir_revision(d, out) : SUCCESS;
}

/* ---- by the person ---- */

/* Only a bind says that a password is right and counts one that is not. */
static struct err prove(const struct dir *d, struct connection *c, const char *dn, const char *password, size_t size,
    const char *otp, enum password_outcome *out)
{
	char whole[1024 + 16];
	size_t digits = otp == NULL ? 0 : strlen(otp);
	struct bind_result result;

	if (size + digits > sizeof whole)
		return FAIL(ERR_INVALID, "password: too long");
	memcpy(whole, password, size);
	if (digits > 0)
		memcpy(whole + size, otp, digits);
	struct err e = bind_once(d, c, dn, whole, size + digits, &result);
	secret_wipe(whole, sizeof whole);
	TRY(e);
	switch (result.outcome) {
	case BIND_RIGHT:
	case BIND_MUST_CHANGE:
		*out = PASSWORD_SET;
		break;
	case BIND_WRONG:
		*out = PASSWORD_WRONG;
		break;
	case BIND_LOCKED:
		*out = PASSWORD_LOCKED;
		break;
	case BIND_EXPIRED:
		*out = PASSWORD_EXPIRED;
		break;
	}
	return SUCCESS;
}

static struct err change_as(
    const struct dir *d, struct connection *c, const struct change *change, const char *otp, enum password_outcome *out)
{
	TRY(prove(d, c, change->dn, change->old.bv_val, change->old.bv_len, otp, out));
	return *out == PASSWORD_SET ? change_on(d, c, change, out) : SUCCESS;
}

struct err dir_change_password(struct dir *d, const char *uid, const char *old, size_t old_size, const char *otp,
    const char *new, size_t new_size, enum password_outcome *out, struct revision *written)
{
	struct connection *c;

	*out = PASSWORD_WRONG;
	*written = (struct revision){ 0 };
	TRY(bind_sendable(old, old_size));
	TRY(bind_sendable(new, new_size));
	if (!schema_is_id(KIND_PERSON, uid))
		return SUCCESS;
	TRY(pool_borrow(&d->binds, &c));
	struct arena *a = arena_open();
	struct change change = { schema_dn(a, &d->schema, KIND_PERSON, NULL, uid), { old_size, (char *)(uintptr_t)old },
		{ new_size, (char *)(uintptr_t) new } };
	servers_begin_write(&d->servers);
	struct err e = change_as(d, c, &change, otp, out);
	servers_end_write(&d->servers);
	arena_close(a);
	pool_return(&d->binds, c);
	TRY(e);
	return reached(d, *out, written);
}

/* ---- by the gateway ---- */

struct err dir_set_password(
    struct dir *d, const char *uid, const char *new, size_t size, enum password_outcome *out, struct revision *written)
{
	struct connection *c;

	*out = PASSWORD_REFUSED;
	*written = (struct revision){ 0 };
	TRY(bind_sendable(new, size));
	if (!schema_is_id(KIND_PERSON, uid))
		return FAIL(ERR_NOT_FOUND, "no such person");
	TRY(pool_borrow(&d->writers, &c));
	struct arena *a = arena_open();
	struct change change = { schema_dn(a, &d->schema, KIND_PERSON, NULL, uid), { 0, NULL },
		{ size, (char *)(uintptr_t) new } };
	servers_begin_write(&d->servers);
	struct err e = change_on(d, c, &change, out);
	servers_end_write(&d->servers);
	arena_close(a);
	pool_return(&d->writers, c);
	TRY(e);
	return reached(d, *out, written);
}

static char failure_time[] = "pwdFailureTime", locked_time[] = "pwdAccountLockedTime";

struct err dir_unlock(struct dir *d, const char *uid, struct revision *written)
{
	if (!schema_is_id(KIND_PERSON, uid))
		return FAIL(ERR_NOT_FOUND, "no such person");
	struct arena *a = arena_open();
	/* Both: with its failures left, the account would be locked again by the next mistake. */
	LDAPMod *mods[] = { schema_mod(a, LDAP_MOD_REPLACE, failure_time, NULL, 0),
		schema_mod(a, LDAP_MOD_REPLACE, locked_time, NULL, 0), NULL };
	struct write w = { .dn = schema_dn(a, &d->schema, KIND_PERSON, NULL, uid), .mods = mods, .relaxed = true };
	struct err e = entry_write(a, d, &w, written);
	arena_close(a);
	return e;
}

static bool count_failures(void *self, struct arena *a, LDAP *ld, LDAPMessage *entry)
{
	struct dir_failures *out = self;
	struct berval **values = ldap_get_values_len(ld, entry, failure_time);

	for (; values != NULL && values[out->count] != NULL; out->count++) {
		const char *text = arena_copy(a, values[out->count]->bv_val, values[out->count]->bv_len);
		int64_t seconds = clock_parse_generalized(text);

		if (seconds > out->last)
			out->last = seconds;
	}
	ldap_value_free_len(values);
	const char *since = entry_bytes(a, ld, entry, locked_time).bv_val;
	out->locked = since != NULL;
	out->for_good = since != NULL && since[0] == '0'; /* 000001010000Z: slapd goes by the first digit, too */
	return true;
}

struct err dir_failures(struct arena *a, struct dir *d, const char *uid, struct dir_failures *out)
{
	static char *attributes[] = { failure_time, locked_time, NULL };

	*out = (struct dir_failures){ 0 };
	if (!schema_is_id(KIND_PERSON, uid))
		return FAIL(ERR_NOT_FOUND, "no such person");
	struct look look = { NULL, schema_dn(a, &d->schema, KIND_PERSON, NULL, uid), LDAP_SCOPE_BASE, NULL,
		attributes };
	return entry_look(a, d, &look, count_failures, out);
}

/* ---- mail addresses ---- */

static char realm[] = "scfRealm";

/* NPPES is told other addresses than we are, and may know somebody else's. */
static bool take_uid(void *self, struct arena *a, LDAP *ld, LDAPMessage *entry)
{
	const char **out = self, *uid = entry_bytes(a, ld, entry, place_naming(KIND_PERSON)).bv_val;
	const char *where = entry_bytes(a, ld, entry, realm).bv_val;
	bool is_ours = where == NULL || strcmp(where, "nppes") != 0;

	if (uid == NULL || !schema_is_id(KIND_PERSON, uid))
		return true;
	if (*out == NULL || is_ours)
		*out = uid;
	return !is_ours;
}

struct err dir_find_mail(struct arena *a, struct dir *d, const char *mail, const char **uid)
{
	char *attributes[] = { arena_strdup(a, place_naming(KIND_PERSON)), realm, NULL };
	const char *removed = schema_filter_guard(a, STATE_REMOVED, NULL);
	const char *filter = arena_printf(a, "(&%s(!%s))", schema_filter_equal(a, "mail", mail), removed);
	struct look look = { NULL, d->schema.people, LDAP_SCOPE_ONELEVEL, filter, attributes };

	*uid = NULL;
	TRY(entry_look(a, d, &look, take_uid, uid));
	return *uid != NULL ? SUCCESS : FAIL(ERR_NOT_FOUND, "nobody has that address");
}
