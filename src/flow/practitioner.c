/* Individual practitioners: their account is at NPPES, and what we keep of them here is made at their first sign-in and
 * brought up to date at the later ones. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

/* A change of his entry that he makes by signing in: said before, and what came of it. */
static struct err begin(struct flow *f, struct caller *c, const char *uid, const char *event, const char *detail)
{
	memcpy(c->uid, uid, strlen(uid) + 1);
	return account_record(f, c, AUDIT_CHANGE, event, uid, "permit", NULL, detail);
}

static unsigned differences(const struct entry *now, const struct entry *to)
{
	return (text_same(now->name, to->name) ? 0u : FIELD_NAME) | (text_same(now->mail, to->mail) ? 0u : FIELD_MAIL) |
	    (now->npis != NULL ? 0u : FIELD_NPIS);
}

static struct err settle(struct flow *f, struct err e, const struct revision *written)
{
	return e.code == OK ? session_settle(f, written) : e;
}

static struct err refresh(
    struct arena *a, struct flow *f, const struct caller *c, const struct entry *now, const struct entry *to)
{
	struct guard guard = { .state = STATE_ACTIVE, .revision = now->revision };
	unsigned fields = differences(now, to);
	struct caller owner = *c;
	struct revision written;

	if (fields == 0)
		return SUCCESS;
	TRY(begin(f, &owner, to->id, "account.update", "as NPPES has it"));
	struct err e = dir_update(a, f->dir, NULL, to, fields, &guard, &written);
	account_outcome(f, &owner, "account.update", to->id, e);
	/* Whoever was first has read the same. */
	return e.code == ERR_CONFLICT ? SUCCESS : settle(f, e, &written);
}

/* ERR_CONFLICT: somebody of that name has come in between. */
static struct err arrive(struct arena *a, struct flow *f, const struct caller *c, const struct entry *to)
{
	struct caller owner = *c;
	struct revision written;

	TRY(begin(f, &owner, to->id, "account.create", arena_printf(a, "from NPPES, NPI %s", to->npis[0])));
	struct err e = dir_add(a, f->dir, NULL, to, &written);
	account_outcome(f, &owner, "account.create", to->id, e);
	return settle(f, e, &written);
}

struct err practitioner_admit(struct arena *a, struct flow *f, const struct caller *c, const char *uid,
    const struct entry *there, const char **refused)
{
	struct entry now, to = {
		.kind = KIND_PERSON,
		.id = uid,
		.state = STATE_ACTIVE,
		.realm = REALM_NPPES,
		.name = there->name != NULL ? there->name : uid,
		.mail = there->mail,
		.npis = there->npis,
	};

	*refused = NULL;
	if (to.npis == NULL || to.npis[0] == NULL || to.npis[1] != NULL || !id_is_npi(to.npis[0])) {
		log_event(LOG_WARNING, "practitioner.npi", "user=%s advice=\"NPPES tells no valid NPI of this account\"", uid);
		*refused = "npi_invalid";
		return SUCCESS;
	}
	struct err e = dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &now);
	if (e.code == ERR_NOT_FOUND) {
		e = arrive(a, f, c, &to);
		if (e.code != ERR_CONFLICT)
			return e;
		e = dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &now);
	}
	TRY(e);
	/* A name that was taken here first stays with whom it was given to. */
	if (now.realm != REALM_NPPES || now.state != STATE_ACTIVE) {
		*refused = now.realm != REALM_NPPES ? "taken" : state_word(now.state);
		return SUCCESS;
	}
	/* An NPI is for life. Another one is another person, whatever NPPES calls him. */
	if (now.npis != NULL && (now.npis[1] != NULL || !text_same(now.npis[0], to.npis[0]))) {
		log_event(LOG_WARNING, "practitioner.npi", "user=%s advice=\"NPPES tells another NPI than before\"", uid);
		*refused = "npi_changed";
		return SUCCESS;
	}
	TRY(refresh(a, f, c, &now, &to));
	return session_settle(f, &now.revision);
}
