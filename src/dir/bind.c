/* Checking a person's password by binding as that person, telling nobody more than that. */
#include "dir/dir.h"

#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "dir/inside.h"

#include "base/banned.h"

#define PASSWORD_MOST 1024 /* bytes: twice what policy allows; a server may close the connection over more */

struct answer {
	int code;                      /* LDAP result */
	bool has_policy;               /* the password policy control came with it */
	LDAPPasswordPolicyError error; /* of that control */
	ber_int_t expires, grace;      /* of that control, or -1 */
};

static struct err read_policy(struct connection *c, LDAPControl **controls, struct answer *out)
{
	LDAPControl *policy = ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, NULL);

	out->has_policy = policy != NULL;
	if (policy != NULL &&
	    ldap_parse_passwordpolicy_control(c->ld, policy, &out->expires, &out->grace, &out->error) != LDAP_SUCCESS)
		return FAIL(ERR_UNAVAILABLE, "the directory's password policy answer cannot be read");
	return SUCCESS;
}

static struct err bind_as(
    const struct dir *d, struct connection *c, const char *dn, const char *password, size_t size, struct answer *out)
{
	struct berval credentials = { size, (char *)(uintptr_t)password }; /* libldap only reads it */
	LDAPControl policy = { (char[]){ LDAP_CONTROL_PASSWORDPOLICYREQUEST }, { 0, NULL }, 0 };
	LDAPControl *request[] = { &policy, NULL }, **response = NULL;
	LDAPMessage *message;
	int id = -1;

	*out = (struct answer){ .error = PP_noError, .expires = -1, .grace = -1 };
	int rc = ldap_sasl_bind(c->ld, dn, LDAP_SASL_SIMPLE, &credentials, request, NULL, &id);
	TRY(connection_answer(c, rc, id, d->settings.operation_timeout_ms, &message));
	if (ldap_parse_result(c->ld, message, &out->code, NULL, NULL, NULL, &response, 1) != LDAP_SUCCESS) {
		c->broken = true;
		return FAIL(ERR_UNAVAILABLE, "the directory's answer cannot be read");
	}
	struct err e = read_policy(c, response, out);
	ldap_controls_free(response);
	return e;
}

static struct err outcome_of(const struct connection *c, const struct answer *answer, struct bind_result *out)
{
	*out = (struct bind_result){ BIND_WRONG, -1, -1 };
	switch (answer->code) {
	case LDAP_SUCCESS:
		out->outcome = answer->error == PP_changeAfterReset ? BIND_MUST_CHANGE : BIND_RIGHT;
		out->grace = answer->grace;
		out->expires = answer->expires;
		return SUCCESS;
	case LDAP_INVALID_CREDENTIALS:
		if (answer->error == PP_accountLocked)
			out->outcome = BIND_LOCKED;
		else if (answer->error == PP_passwordExpired) /* said only when the password was right */
			out->outcome = BIND_EXPIRED;
		return SUCCESS;
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INAPPROPRIATE_AUTH: /* there is no password to compare with */
		return SUCCESS;
	default:
		/* Busy, read-only, misconfigured: that says nothing of the password. */
		log_event(LOG_WARNING, "directory.bind", "server=%s code=%d text=%s", connection_uri(c), answer->code,
		    ldap_err2string(answer->code));
		return FAIL(ERR_UNAVAILABLE, "the directory does not check passwords now");
	}
}

struct err bind_once(const struct dir *d, struct connection *c, const char *dn, const char *password, size_t size,
    struct bind_result *out)
{
	struct answer answer;

	*out = (struct bind_result){ BIND_WRONG, -1, -1 };
	TRY(bind_as(d, c, dn, password, size, &answer));
	return outcome_of(c, &answer, out);
}

/* Every "no" costs the directory one full check of a password and one bind that ends before any check. Which of the
 * two the answer came from must not show in the time that it takes; how these binds end is of no interest. */
static void even_out(const struct dir *d, struct connection *c, bool was_checked, const char *password, size_t size)
{
	struct answer ignored;

	(void)bind_as(d, c, was_checked ? d->absent : d->decoy, password, size, &ignored);
}

static struct err bind_person(struct arena *a, const struct dir *d, struct connection *c, const char *uid,
    const char *password, size_t size, struct bind_result *out)
{
	struct answer answer;
	bool known = uid != NULL && schema_is_id(KIND_PERSON, uid);
	const char *dn = known ? schema_dn(a, &d->schema, KIND_PERSON, NULL, uid) : d->absent;

	TRY(bind_as(d, c, dn, password, size, &answer));
	if (!known)
		*out = (struct bind_result){ BIND_WRONG, -1, -1 };
	else
		TRY(outcome_of(c, &answer, out));
	/* A directory of people is somebody else's: we have no decoy there, and ask it about people it has. */
	if (d->settings.people == NULL && (out->outcome == BIND_WRONG || out->outcome == BIND_LOCKED)) {
		/* The policy speaks of entries that exist; of one without it, nothing was checked. */
		bool was_checked = out->outcome == BIND_WRONG && known && answer.has_policy;
		even_out(d, c, was_checked, password, size);
	}
	return SUCCESS;
}

struct err bind_sendable(const char *password, size_t size)
{
	/* RFC 4513 5.1.2: a server may take a name without a password for an anonymous bind, and say yes. */
	if (password == NULL || size == 0)
		return FAIL(ERR_INVALID, "password: empty");
	if (memchr(password, '\0', size) != NULL)
		return FAIL(ERR_INVALID, "password: holds a NUL");
	if (size > PASSWORD_MOST)
		return FAIL(ERR_INVALID, "password: too long");
	return SUCCESS;
}

struct err dir_bind_person(struct dir *d, const char *uid, const char *password, size_t size, struct bind_result *out)
{
	struct connection *c;

	*out = (struct bind_result){ BIND_WRONG, -1, -1 };
	TRY(bind_sendable(password, size));
	TRY(pool_borrow(&d->binds, &c));
	struct arena *a = arena_open();
	struct err e = bind_person(a, d, c, uid, password, size, out);
	arena_close(a);
	pool_return(&d->binds, c);
	if (e.code)
		*out = (struct bind_result){ BIND_WRONG, -1, -1 };
	return e;
}

struct err dir_bind_and_read(struct arena *a, struct dir *d, const char *uid, const char *password, size_t size,
    struct bind_result *result, struct entry *out)
{
	struct connection *c;

	*result = (struct bind_result){ BIND_WRONG, -1, -1 };
	memset(out, 0, sizeof *out);
	TRY(bind_sendable(password, size));
	TRY(pool_borrow(&d->binds, &c));
	struct err e = bind_person(a, d, c, uid, password, size, result);
	if (e.code == OK && result->outcome == BIND_RIGHT)
		e = entry_person_on(a, d, c, uid, out);
	pool_return(&d->binds, c);
	if (e.code == ERR_NOT_FOUND)
		e = FAIL(ERR_UNAVAILABLE, "the directory of people does not show a person his own entry");
	if (e.code)
		*result = (struct bind_result){ BIND_WRONG, -1, -1 };
	return e;
}

struct err bind_decoy(struct dir *d)
{
	struct connection *c;
	struct answer answer;
	char password[TOKEN_TEXT];

	random_token(password);
	TRY(pool_borrow(&d->binds, &c));
	struct err e = bind_as(d, c, d->decoy, password, strlen(password), &answer);
	pool_return(&d->binds, c);
	TRY(e);
	if (answer.code != LDAP_INVALID_CREDENTIALS || !answer.has_policy)
		return FAIL(
		    ERR_UNAVAILABLE, "the directory lacks cn=decoy,ou=services with a password, or a policy for it");
	return SUCCESS;
}
