/* What must be unique although the directory has no rule for it: an entry named by the digest of it. The name of an entry
 * is the one thing that the directory keeps unique under any race, and these are shown to nobody. */
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

/* "tin", "ein:361827459" is named by the digest of "tin:ein:361827459". */
static struct entry reservation(struct arena *a, const char *purpose, const char *what)
{
	const char *whole = arena_printf(a, "%s:%s", purpose, what);
	char *id = arena_alloc(a, DIGEST_TEXT);

	secret_digest(whole, strlen(whole), id);
	return (struct entry){ .kind = KIND_RESERVATION, .id = id, .purpose = purpose };
}

struct err reserve_take(struct arena *a, struct flow *f, const char *purpose, const char *what, const char *owner)
{
	struct entry entry = reservation(a, purpose, what), there;
	struct revision written;

	entry.owner = owner;
	entry.requested_at = clock_now();
	struct err e = dir_add(a, f->dir, NULL, &entry, &written);
	if (e.code != ERR_CONFLICT)
		return e;
	TRY(dir_read(a, f->dir, NULL, KIND_RESERVATION, NULL, entry.id, &there));
	return text_same(there.owner, owner) ? SUCCESS : FAIL(ERR_CONFLICT, "it is taken");
}

struct err reserve_held(struct arena *a, struct flow *f, const char *purpose, const char *what, struct entry *out)
{
	return dir_read(a, f->dir, NULL, KIND_RESERVATION, NULL, reservation(a, purpose, what).id, out);
}

struct err reserve_owner(struct arena *a, struct flow *f, const char *purpose, const char *what, const char **out)
{
	struct entry there;

	*out = NULL;
	TRY(reserve_held(a, f, purpose, what, &there));
	*out = there.owner;
	return SUCCESS;
}

struct err reserve_drop(struct arena *a, struct flow *f, const struct entry *held)
{
	struct guard guard = { .revision = held->revision };
	struct revision written;
	struct err e = dir_delete(a, f->dir, NULL, held, &guard, &written);

	return e.code == ERR_NOT_FOUND || e.code == ERR_CONFLICT ? SUCCESS : e;
}

struct err reserve_give_back(struct arena *a, struct flow *f, const char *purpose, const char *what, const char *owner)
{
	struct entry there;
	struct err e = reserve_held(a, f, purpose, what, &there);

	if (e.code == ERR_NOT_FOUND || (e.code == OK && !text_same(there.owner, owner)))
		return SUCCESS;
	TRY(e);
	return reserve_drop(a, f, &there);
}
