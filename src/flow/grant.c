/* Tokens that are mailed, used once, and over after a time. */
#include "flow/grant.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

struct err grant_make(struct arena *a, struct flow *f, const char *purpose, const char *user, const char *document,
    int seconds, char token[TOKEN_TEXT])
{
	char id[DIGEST_TEXT];
	struct revision written;
	struct entry entry = {
		.kind = KIND_GRANT,
		.id = id,
		.state = STATE_ACTIVE,
		.purpose = purpose,
		.user = user,
		.expires = clock_now() + seconds,
		.document = document,
		.document_size = strlen(document),
	};

	random_token(token);
	secret_digest(token, TOKEN_TEXT - 1, id);
	return dir_add(a, f->dir, NULL, &entry, &written);
}

struct err grant_find(struct arena *a, struct flow *f, const char *purpose, const char *token, struct grant *out)
{
	char id[DIGEST_TEXT];

	*out = (struct grant){ .asked = NULL };
	if (!session_is_token(token))
		return FAIL(ERR_NOT_FOUND, "no such token");
	secret_digest(token, TOKEN_TEXT - 1, id);
	TRY(dir_read(a, f->dir, NULL, KIND_GRANT, NULL, id, &out->entry));
	const struct entry *e = &out->entry;
	if (!text_same(e->purpose, purpose) || e->state != STATE_ACTIVE || e->expires <= clock_now())
		return FAIL(ERR_NOT_FOUND, "the token is for something else, was used, or is over");
	return json_read_object(a, e->document != NULL ? e->document : "", e->document_size, &out->asked);
}

void grant_close(struct grant *g)
{
	json_decref(g->asked);
}

const char *grant_text(const struct grant *g, const char *member)
{
	const char *text = json_string_value(json_object_get(g->asked, member));

	return text != NULL ? text : "";
}

static struct err move(struct arena *a, struct flow *f, struct grant *g, enum state from, enum state to)
{
	struct entry entry = { .kind = KIND_GRANT, .id = g->entry.id, .state = to };
	struct guard guard = { .state = from, .revision = g->entry.revision };
	struct revision written;
	struct err e = dir_update(a, f->dir, NULL, &entry, FIELD_STATE, &guard, &written);

	if (e.code == ERR_CONFLICT)
		return FAIL(ERR_NOT_FOUND, "somebody was first");
	if (e.code == OK)
		g->entry.revision = written;
	return e;
}

struct err grant_use(struct arena *a, struct flow *f, struct grant *g)
{
	return move(a, f, g, STATE_ACTIVE, STATE_ENDED);
}

struct err grant_give_back(struct arena *a, struct flow *f, struct grant *g)
{
	return move(a, f, g, STATE_ENDED, STATE_ACTIVE);
}

char *grant_link(struct arena *a, const struct flow *f, const char *page, const char *token)
{
	return arena_printf(a, "%s/#/%s/%s", f->public_url, page, token);
}

/* One more for this counter; too many already? */
static bool is_over(struct flow *f, const char *counter, int most)
{
	const struct throttle_limits limits = {
		.per_account = most,
		.per_address = most,
		.window_s = flow_set(&f->set.guess_window_s),
	};
	int64_t now_s = clock_steady_ms() / 1000;
	struct throttle_ticket ticket;
	enum throttle_word word = throttle_reserve(f->mails, &limits, counter, "", now_s, 0, &ticket);

	if (word != THROTTLE_ADDRESS)
		throttle_settle(f->mails, &ticket, THROTTLE_FAILED, now_s);
	return word != THROTTLE_FREE;
}

bool grant_too_many(struct flow *f, const char *address, const char *whom)
{
	char digest[DIGEST_TEXT];

	if (address != NULL)
		return is_over(f, address, flow_set(&f->set.mails_per_address));
	secret_digest(whom, strlen(whom), digest);
	digest[40] = '\0';
	return is_over(f, digest, flow_set(&f->set.mails_per_account));
}
