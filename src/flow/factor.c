/* The second factor: time-based codes, whose secret lies in the person's entry and which the directory checks with the
 * password; and recovery codes, each of which stands in for one code once. */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/inside.h"
#include "flow/totp.h"

#include "base/banned.h"

#define OFFICIALS 8          /* beside the bits of enum role */
#define RECOVERY_LETTERS 16  /* 80 bits of chance */
#define RECOVERY_BYTES 10
#define TRIES 16             /* of a guarded write that others were first at */
static const char NO_CODE[] = "------"; /* never right, but counted by the directory like any other */

unsigned factor_bit(const char *word)
{
	static const enum role roles[] = { ROLE_HELP_DESK, ROLE_AUDITOR, ROLE_PROCESSOR };

	for (size_t i = 0; i < COUNT(roles); i++)
		if (text_same(word, role_word(roles[i])))
			return roles[i];
	return text_same(word, "officials") ? OFFICIALS : 0;
}

/* NPPES checks those whose account it has, with what it asks for itself. */
bool factor_is_due(const struct flow *f, const struct view *view, const struct person *p, bool has_second_factor)
{
	unsigned whose = (unsigned)flow_set(&f->set.second_factor_for);

	if (whose == 0 || has_second_factor || p->realm == REALM_NPPES)
		return false;
	return (p->roles & whose) != 0 || ((whose & OFFICIALS) && replica_is_official(view, p->no));
}

/* ---- recovery codes ---- */

/* Letters and digits alone, in lower case: people leave dashes out, and put blanks in. False: it cannot be one. */
static bool read_recovery(const char *typed, char out[RECOVERY_LETTERS + 1])
{
	size_t size = 0;

	for (; *typed != '\0'; typed++) {
		if (*typed == '-' || *typed == ' ')
			continue;
		if (size == RECOVERY_LETTERS || !isalnum((unsigned char)*typed))
			return false;
		out[size++] = *typed;
	}
	out[size] = '\0';
	text_fold(out);
	return size == RECOVERY_LETTERS;
}

static const char *const *make_recovery(struct arena *a, struct recovery_codes *out)
{
	const char **digests = arena_alloc(a, (RECOVERY_CODES + 1) * sizeof *digests);

	for (size_t i = 0; i < RECOVERY_CODES; i++) {
		unsigned char bytes[RECOVERY_BYTES];
		char letters[BASE32_TEXT(RECOVERY_BYTES)], *digest = arena_alloc(a, DIGEST_TEXT), *to = out->code[i];

		random_bytes(bytes, sizeof bytes);
		totp_base32(bytes, sizeof bytes, letters);
		text_fold(letters);
		secret_digest(letters, RECOVERY_LETTERS, digest);
		digests[i] = digest;
		for (size_t k = 0; k < RECOVERY_LETTERS; k++) {
			if (k > 0 && k % 4 == 0)
				*to++ = '-';
			*to++ = letters[k];
		}
		*to = '\0';
		secret_wipe(bytes, sizeof bytes);
		secret_wipe(letters, sizeof letters);
	}
	return digests;
}

static bool holds(const char *const *list, const char *digest)
{
	for (; list != NULL && *list != NULL; list++)
		if (strcmp(*list, digest) == 0)
			return true;
	return false;
}

static size_t count_of(const char *const *list)
{
	size_t count = 0;

	while (list != NULL && list[count] != NULL)
		count++;
	return count;
}

/* ---- at sign-in ---- */

static bool is_code(const char *text)
{
	return strlen(text) == TOTP_DIGITS && strspn(text, "0123456789") == TOTP_DIGITS;
}

/* The directory takes a step once, and the next one early: whoever has just used his own code needs that. */
static struct err code_not_used(
    struct flow *f, const char *uid, const unsigned char *secret, size_t size, char out[TOTP_CODE])
{
	int64_t now = clock_now(), last;

	TRY(dir_totp_last_step(f->dir, uid, &last));
	totp_code(secret, size, last < now / TOTP_PERIOD ? now : now + TOTP_PERIOD, out);
	return SUCCESS;
}

struct err factor_prepare(struct arena *a, struct flow *f, const char *uid, const char *otp, struct factor_proof *out)
{
	char letters[RECOVERY_LETTERS + 1];
	unsigned char secret[64];
	struct entry person;
	size_t size;
	bool active;

	*out = (struct factor_proof){ { 0 }, { 0 } };
	memcpy(out->code, is_code(otp) ? otp : NO_CODE, TOTP_CODE);
	if (is_code(otp) || !read_recovery(otp, letters))
		return SUCCESS;
	secret_digest(letters, RECOVERY_LETTERS, out->recovery);
	secret_wipe(letters, sizeof letters);
	struct err e = dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &person);
	if (e.code == OK && holds(person.recovery_digests, out->recovery)) {
		e = dir_totp_secret(f->dir, uid, secret, &size, &active);
		if (e.code == OK)
			e = code_not_used(f, uid, secret, size, out->code);
		secret_wipe(secret, sizeof secret);
	} else {
		out->recovery[0] = '\0';
	}
	return e.code == ERR_NOT_FOUND ? FAIL(ERR_UNAVAILABLE, "the second factor has just changed") : e;
}

static struct err take_out(struct arena *a, struct flow *f, const char *uid, const char *digest, size_t *left)
{
	struct entry person, to = { .kind = KIND_PERSON, .id = uid };
	struct revision written;

	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &person));
	if (!holds(person.recovery_digests, digest))
		return FAIL(ERR_NOT_FOUND, "the recovery code has been used");
	const char **rest = arena_alloc(a, (count_of(person.recovery_digests) + 1) * sizeof *rest);
	*left = 0;
	for (const char *const *one = person.recovery_digests; *one != NULL; one++)
		if (strcmp(*one, digest) != 0)
			rest[(*left)++] = *one;
	to.recovery_digests = *left > 0 ? rest : NULL;
	struct guard guard = { .revision = person.revision };
	return dir_update(a, f->dir, NULL, &to, FIELD_RECOVERY, &guard, &written);
}

struct err factor_use_up(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    const struct factor_proof *proof)
{
	static const char event[] = "second_factor.recovery_used";
	struct caller owner = *c; /* he is not signed in yet */
	struct err e = FAIL(ERR_CONFLICT, "");
	size_t left = 0;

	memcpy(owner.uid, uid, strlen(uid) + 1);
	TRY(account_record(f, &owner, AUDIT_CHANGE, event, uid, "permit", NULL, NULL));
	for (int i = 0; i < TRIES && e.code == ERR_CONFLICT; i++)
		e = take_out(a, f, uid, proof->recovery, &left);
	account_outcome(f, &owner, event, uid, e);
	if (e.code == ERR_NOT_FOUND)
		return FAIL(ERR_CONFLICT, e.what);
	if (e.code == ERR_CONFLICT)
		return FAIL(ERR_UNAVAILABLE, "the account never stands still");
	TRY(e);
	const struct mail_field fields[] = { { "left", arena_printf(a, "%zu", left) }, { NULL, NULL } };
	notice_send(a, f, "recovery-code-used", uid, fields);
	return SUCCESS;
}

/* ---- one's own ---- */

/* A right password within the last minutes, and the second factor with it if there is one. */
static enum reason may_change(struct flow *f, const struct caller *c, bool *active)
{
	int64_t age = clock_now() - c->authenticated_at, recent = flow_set(&f->set.recent_s);
	bool is_recent = c->authenticated_at != 0 && age < recent && age > -recent;
	enum reason why = STALE_DIRECTORY;

	*active = false;
	WITH_REPLICA(view, f->replica) {
		const struct person *p = replica_person(&view, c->uid);

		if (view.fresh && p != NULL) {
			*active = p->second_factor;
			why = p->realm == REALM_NPPES ? MANAGED_ELSEWHERE : REASON_OK;
		}
	}
	if (why == REASON_OK && (!is_recent || (*active && !c->second_factor)))
		why = REAUTHENTICATION_REQUIRED;
	return why;
}

static enum reason may_add(struct flow *f, const struct caller *c)
{
	bool active;
	enum reason why = may_change(f, c, &active);

	return active ? ALREADY_DECIDED : why;
}

struct err flow_factor_status(struct arena *a, struct flow *f, const struct caller *c, struct second_factor *out)
{
	struct entry person;

	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, c->uid, &person));
	*out = (struct second_factor){ .active = person.second_factor,
		.recovery_left = (int)count_of(person.recovery_digests) };
	return SUCCESS;
}

struct err flow_factor_enrol(
    struct arena *a, struct flow *f, const struct caller *c, struct second_factor *out, enum reason *why)
{
	static const char event[] = "second_factor.enrol";
	unsigned char secret[TOTP_SECRET];
	struct revision written;

	*out = (struct second_factor){ .active = false };
	*why = may_add(f, c);
	if (*why != REASON_OK)
		return SUCCESS;
	TRY(account_record(f, c, AUDIT_CHANGE, event, c->uid, "permit", NULL, NULL));
	random_bytes(secret, sizeof secret);
	out->secret = arena_alloc(a, BASE32_TEXT(TOTP_SECRET));
	totp_base32(secret, sizeof secret, out->secret);
	out->uri = arena_printf(a, "otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d", f->issuer,
	    c->uid, out->secret, f->issuer, TOTP_DIGITS, TOTP_PERIOD);
	struct err e = dir_totp_enrol(f->dir, c->uid, secret, sizeof secret, &written);
	secret_wipe(secret, sizeof secret);
	account_outcome(f, c, event, c->uid, e);
	if (e.code != ERR_CONFLICT)
		return e;
	*why = ALREADY_DECIDED;
	return SUCCESS;
}

struct err flow_factor_confirm(struct arena *a, struct flow *f, const struct caller *c, const char *code,
    struct recovery_codes *out, enum reason *why, struct revision *written)
{
	static const char event[] = "second_factor.add";
	unsigned char secret[64];
	size_t size = 0;
	bool active;

	*why = may_add(f, c);
	if (*why != REASON_OK)
		return SUCCESS;
	struct err e = dir_totp_secret(f->dir, c->uid, secret, &size, &active);
	if (e.code == OK && (active || size == 0))
		*why = active ? ALREADY_DECIDED : NOT_FOUND;
	else if (e.code == OK && !totp_fits(secret, size, clock_now(), code))
		*why = NOT_AUTHENTICATED;
	secret_wipe(secret, sizeof secret);
	TRY(e);
	if (*why != REASON_OK)
		return SUCCESS;
	TRY(account_record(f, c, AUDIT_CHANGE, event, c->uid, "permit", NULL, NULL));
	e = dir_totp_activate(a, f->dir, c->uid, make_recovery(a, out), written);
	account_outcome(f, c, event, c->uid, e);
	if (e.code == ERR_CONFLICT) {
		*why = ALREADY_DECIDED;
		return SUCCESS;
	}
	TRY(e);
	TRY(session_settle(f, written));
	notice_send(a, f, "second-factor-added", c->uid, NULL);
	return SUCCESS;
}

struct err flow_factor_recovery(struct arena *a, struct flow *f, const struct caller *c, struct recovery_codes *out,
    enum reason *why, struct revision *written)
{
	static const char event[] = "second_factor.recovery_codes";
	struct entry to = { .kind = KIND_PERSON, .id = c->uid };
	bool active;

	*why = may_change(f, c, &active);
	if (*why == REASON_OK && !active)
		*why = NOT_FOUND;
	if (*why != REASON_OK)
		return SUCCESS;
	TRY(account_record(f, c, AUDIT_CHANGE, event, c->uid, "permit", NULL, NULL));
	to.recovery_digests = make_recovery(a, out);
	struct err e = dir_update(a, f->dir, NULL, &to, FIELD_RECOVERY, NULL, written);
	account_outcome(f, c, event, c->uid, e);
	TRY(e);
	return session_settle(f, written);
}

struct err flow_factor_remove(
    struct arena *a, struct flow *f, const struct caller *c, enum reason *why, struct revision *written)
{
	static const char event[] = "second_factor.remove";
	bool active;

	*why = may_change(f, c, &active);
	if (*why == REASON_OK && !active)
		*why = NOT_FOUND;
	if (*why != REASON_OK)
		return SUCCESS;
	TRY(account_record(f, c, AUDIT_CHANGE, event, c->uid, "permit", NULL, NULL));
	struct err e = factor_remove(a, f, c->uid, written);
	account_outcome(f, c, event, c->uid, e);
	return e;
}

struct err factor_remove(struct arena *a, struct flow *f, const char *uid, struct revision *written)
{
	*written = (struct revision){ 0 };
	struct err e = dir_totp_remove(f->dir, uid, written);
	if (e.code == ERR_NOT_FOUND || e.code == ERR_CONFLICT)
		return SUCCESS;
	TRY(e);
	TRY(session_settle(f, written));
	notice_send(a, f, "second-factor-removed", uid, NULL);
	return SUCCESS;
}
