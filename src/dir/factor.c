/* The second factor of a person. His own entry is also his token: secret, parameters, and the last step that was used
 * lie there; slapo-otp asks for digits from when the entry names itself as the token. */
#include "dir/dir.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "dir/inside.h"

#include "base/banned.h"

static char token_of[] = "oathTOTPToken", secret_of[] = "oathSecret", parameters_of[] = "oathTOTPParams";
static char last_step[] = "oathTOTPLastTimeStep", drift[] = "oathTOTPTimeStepDrift"; /* slapo-otp's notes */
static char recovery_of[] = "scfRecoveryDigest", classes_of[] = "objectClass";
static const char token_class[] = "oathTOTPToken", user_class[] = "oathTOTPUser";
static const char parameters[] = "cn=totp,ou=policies";

struct factor {
	struct berval secret;
	bool has_token_class, active;
};

static bool read_factor(void *self, struct arena *a, LDAP *ld, LDAPMessage *entry)
{
	struct factor *f = self;
	struct berval **classes = ldap_get_values_len(ld, entry, classes_of);

	for (size_t i = 0; classes != NULL && classes[i] != NULL; i++)
		if (classes[i]->bv_len == strlen(token_class) &&
		    strncasecmp(classes[i]->bv_val, token_class, classes[i]->bv_len) == 0)
			f->has_token_class = true;
	ldap_value_free_len(classes);
	f->secret = entry_bytes(a, ld, entry, secret_of);
	f->active = entry_bytes(a, ld, entry, token_of).bv_val != NULL;
	return true;
}

static struct err look_at(struct arena *a, struct dir *d, const char *uid, struct factor *out)
{
	static char *attributes[] = { secret_of, token_of, classes_of, NULL };

	*out = (struct factor){ 0 };
	if (!schema_is_id(KIND_PERSON, uid))
		return FAIL(ERR_NOT_FOUND, "no such person");
	struct look look = { NULL, schema_dn(a, &d->schema, KIND_PERSON, NULL, uid), LDAP_SCOPE_BASE, NULL,
		attributes };
	return entry_look(a, d, &look, read_factor, out);
}

/* guard: a filter on what must still be so. */
static struct err write_factor(
    struct arena *a, struct dir *d, const char *uid, LDAPMod **mods, const char *guard, struct revision *out)
{
	struct write w = { .dn = schema_dn(a, &d->schema, KIND_PERSON, NULL, uid), .mods = mods, .guard = guard };

	return entry_write(a, d, &w, out);
}

static struct err enrol(
    struct arena *a, struct dir *d, const char *uid, const unsigned char *secret, size_t size, struct revision *out)
{
	struct factor now;
	LDAPMod *mods[6];
	size_t count = 0;

	TRY(look_at(a, d, uid, &now));
	secret_wipe(now.secret.bv_val, now.secret.bv_len);
	if (!now.has_token_class)
		mods[count++] = schema_mod_text(a, LDAP_MOD_ADD, classes_of, token_class);
	mods[count++] = schema_mod(a, LDAP_MOD_REPLACE, secret_of, secret, size);
	mods[count++] = schema_mod_text(a, LDAP_MOD_REPLACE, parameters_of, schema_dn_below(a, &d->schema, parameters));
	mods[count++] = schema_mod_text(a, LDAP_MOD_REPLACE, last_step, NULL);
	mods[count++] = schema_mod_text(a, LDAP_MOD_REPLACE, drift, NULL);
	mods[count] = NULL;
	return write_factor(a, d, uid, mods, "(!(oathTOTPToken=*))", out);
}

struct err dir_totp_enrol(
    struct dir *d, const char *uid, const unsigned char *secret, size_t size, struct revision *out)
{
	struct arena *a = arena_open();
	struct err e = enrol(a, d, uid, secret, size, out);

	arena_close(a);
	return e;
}

struct err dir_totp_secret(struct dir *d, const char *uid, unsigned char out[64], size_t *size, bool *active)
{
	struct arena *a = arena_open();
	struct factor now;
	struct err e = look_at(a, d, uid, &now);

	*size = 0;
	*active = now.active;
	if (e.code == OK && now.secret.bv_len > 64)
		e = FAIL(ERR_UNAVAILABLE, "the secret in the directory is too long");
	if (e.code == OK) {
		*size = now.secret.bv_len;
		if (*size > 0)
			memcpy(out, now.secret.bv_val, *size);
	}
	secret_wipe(now.secret.bv_val, now.secret.bv_len);
	arena_close(a);
	return e;
}

static bool read_last_step(void *self, struct arena *a, LDAP *ld, LDAPMessage *entry)
{
	struct berval step = entry_bytes(a, ld, entry, last_step);

	*(int64_t *)self = step.bv_val != NULL ? strtoll(step.bv_val, NULL, 10) : 0;
	return true;
}

struct err dir_totp_last_step(struct dir *d, const char *uid, int64_t *out)
{
	static char *attributes[] = { last_step, NULL };
	struct arena *a = arena_open();
	struct err e = FAIL(ERR_NOT_FOUND, "no such person");

	*out = 0;
	if (schema_is_id(KIND_PERSON, uid)) {
		struct look look = { NULL, schema_dn(a, &d->schema, KIND_PERSON, NULL, uid), LDAP_SCOPE_BASE, NULL,
			attributes };
		e = entry_look(a, d, &look, read_last_step, out);
	}
	arena_close(a);
	return e;
}

struct err dir_totp_activate(
    struct arena *a, struct dir *d, const char *uid, const char *const *digests, struct revision *out)
{
	if (!schema_is_id(KIND_PERSON, uid))
		return FAIL(ERR_NOT_FOUND, "no such person");
	LDAPMod *mods[] = { schema_mod_text(a, LDAP_MOD_ADD, classes_of, user_class),
		schema_mod_text(a, LDAP_MOD_REPLACE, token_of, schema_dn(a, &d->schema, KIND_PERSON, NULL, uid)),
		schema_mod_texts(a, LDAP_MOD_REPLACE, recovery_of, digests), NULL };

	return write_factor(a, d, uid, mods, "(&(oathSecret=*)(!(oathTOTPToken=*)))", out);
}

struct err dir_totp_remove(struct dir *d, const char *uid, struct revision *out)
{
	struct arena *a = arena_open();
	struct factor now;
	struct err e = look_at(a, d, uid, &now);
	LDAPMod *mods[9];
	size_t count = 0;

	secret_wipe(now.secret.bv_val, now.secret.bv_len);
	if (e.code == OK && !now.has_token_class)
		e = FAIL(ERR_NOT_FOUND, "there is no second factor");
	mods[count++] = schema_mod_text(a, LDAP_MOD_REPLACE, secret_of, NULL);
	mods[count++] = schema_mod_text(a, LDAP_MOD_REPLACE, parameters_of, NULL);
	mods[count++] = schema_mod_text(a, LDAP_MOD_REPLACE, last_step, NULL);
	mods[count++] = schema_mod_text(a, LDAP_MOD_REPLACE, drift, NULL);
	mods[count++] = schema_mod_text(a, LDAP_MOD_REPLACE, token_of, NULL);
	mods[count++] = schema_mod_text(a, LDAP_MOD_REPLACE, recovery_of, NULL);
	mods[count++] = schema_mod_text(a, LDAP_MOD_DELETE, classes_of, token_class);
	if (now.active)
		mods[count++] = schema_mod_text(a, LDAP_MOD_DELETE, classes_of, user_class);
	mods[count] = NULL;
	if (e.code == OK)
		e = write_factor(a, d, uid, mods, NULL, out);
	arena_close(a);
	return e;
}
