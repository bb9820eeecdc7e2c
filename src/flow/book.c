/* The guess book: who has guessed wrong at which account, kept in the directory, so that it holds over all gateways and
 * over their restarts (docs/operations.md, "Guessing").
 *
 * An account at which nobody has failed lately has no leaf, and a sign-in costs one look at where it would be. From the
 * first failure on there is one, and a guess must take it before it is sent: by a guarded write, so that over all
 * gateways there is one guess at a time, and the directory's own counter, which parallel guesses outrun, is exact. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/inside.h"

#include "base/banned.h"

#define WAIT_MS 1000        /* for guesses under way in this gateway */
#define WAITERS_MOST 4      /* at one account; each holds a worker */
#define LOOK_AGAIN_MS 2     /* at a leaf that another gateway has; twice as long each time, up to */
#define LOOK_SELDOM_MS 32
#define BEGINS_MS 1000      /* from taking a leaf to sending the guess, at most */
#define TRIES 16            /* of a guarded write, each of which somebody else was first at */
#define LEAF_LASTS_S 43200  /* the directory removes it after that (olcDDSdefaultTtl) */
static const char PURPOSE[] = "guesses";

/* An account that is being guessed at. */
struct gate {
	struct gate *next;
	unsigned waiting;
	bool busy;
	char account[33];
};

struct book {
	pthread_mutex_t lock;
	pthread_cond_t left;
	struct gate *gates;
	char me[ID_TEXT];
};

struct book *book_open(void)
{
	struct book *b = must_alloc(sizeof *b);
	pthread_condattr_t steady;

	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&b->left, &steady);
	pthread_condattr_destroy(&steady);
	random_id(b->me);
	return b;
}

void book_close(struct book *b)
{
	pthread_cond_destroy(&b->left);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* ---- one guess at a time in this gateway ---- */

static struct gate *gate_of(struct book *b, const char *account)
{
	struct gate *g = b->gates;

	while (g != NULL && strcmp(g->account, account) != 0)
		g = g->next;
	if (g == NULL) {
		g = must_alloc(sizeof *g);
		memcpy(g->account, account, strnlen(account, sizeof g->account - 1));
		g->next = b->gates;
		b->gates = g;
	}
	return g;
}

static bool enter(struct book *b, const char *account)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_MS / 1000;
	pthread_mutex_lock(&b->lock);
	struct gate *g = gate_of(b, account);
	bool may = !g->busy || g->waiting < WAITERS_MOST;
	g->waiting++;
	while (may && g->busy)
		may = pthread_cond_timedwait(&b->left, &b->lock, &until) != ETIMEDOUT || !g->busy;
	g->waiting--;
	g->busy |= may;
	pthread_mutex_unlock(&b->lock);
	return may;
}

static void leave(struct book *b, const char *account)
{
	pthread_mutex_lock(&b->lock);
	struct gate *g = gate_of(b, account), **at = &b->gates;

	g->busy = false;
	if (g->waiting > 0) {
		pthread_cond_broadcast(&b->left);
	} else {
		while (*at != g)
			at = &(*at)->next;
		*at = g->next;
		free(g);
	}
	pthread_mutex_unlock(&b->lock);
}

/* ---- leaves in the directory ---- */

static struct entry leaf_entry(struct arena *a, const char *account)
{
	const char *whole = arena_printf(a, "%s:%s", PURPOSE, account);
	char *id = arena_alloc(a, DIGEST_TEXT);

	secret_digest(whole, strlen(whole), id);
	return (struct entry){ .kind = KIND_GRANT, .id = id, .state = STATE_ACTIVE, .user = account, .purpose = PURPOSE,
		.expires = clock_now() + LEAF_LASTS_S };
}

/* ERR_NOT_FOUND: there is none. */
static struct err look(
    struct arena *a, struct flow *f, const char *account, struct leaf *out, struct revision *revision)
{
	struct entry entry = leaf_entry(a, account), there;

	memset(out, 0, sizeof *out);
	TRY(dir_read(a, f->dir, NULL, KIND_GRANT, NULL, entry.id, &there));
	*revision = there.revision;
	if (!leaf_read(a, there.document, there.document_size, out))
		log_event(LOG_WARNING, "book.misfit", "user=%s", account);
	return SUCCESS;
}

/* revision micros 0: there is no such leaf yet. */
static struct err put(struct arena *a, struct flow *f, const char *account, const struct leaf *leaf,
    const struct revision *revision, struct revision *written)
{
	struct entry entry = leaf_entry(a, account);
	struct guard guard = { .revision = *revision };
	char store[1024];
	struct text t;

	if (leaf->count == 0 && leaf->holder[0] == '\0')
		return revision->micros != 0 ? dir_delete(a, f->dir, NULL, &entry, &guard, written) : SUCCESS;
	text_open(&t, store, sizeof store);
	leaf_tell(leaf, &t);
	entry.document = t.bytes;
	entry.document_size = t.size;
	struct err e = revision->micros != 0 ?
	    dir_update(a, f->dir, NULL, &entry, FIELD_DOCUMENT, &guard, written) :
	    dir_add(a, f->dir, NULL, &entry, written);
	text_close(&t);
	return e;
}

static bool somebody_was_first(struct err e)
{
	return e.code == ERR_CONFLICT || e.code == ERR_NOT_FOUND;
}

/* A gateway that died took the leaf with it. One that lives begins its guess within a second or not at all, and knows
 * within a call's time what came of it. The clocks of gateways need not agree: each goes by how long it has itself seen
 * the leaf unchanged. */
static int lease_ms(const struct flow *f)
{
	int ours = dir_patience_ms(f->dir), nppes = f->nppes != NULL ? dir_patience_ms(f->nppes) : 0;

	return BEGINS_MS + (nppes > ours ? nppes : ours);
}

/* Takes the leaf, if there is one. *refused: the leaf says that this address must not. */
static struct err take(struct arena *a, struct flow *f, struct guess *g, bool *refused)
{
	size_t most = (size_t)flow_set(&f->set.guesses_per_account);
	struct revision seen = { 0 }, revision;
	int64_t since = 0, pause = LOOK_AGAIN_MS;

	for (;;) {
		struct err e = look(a, f, g->account, &g->leaf, &revision);

		if (e.code == ERR_NOT_FOUND)
			return SUCCESS;
		TRY(e);
		*refused = leaf_failures(&g->leaf, g->network, clock_now() - flow_set(&f->set.guess_window_s)) >= most;
		if (*refused)
			return SUCCESS;
		int64_t now = clock_steady_ms();
		if (revision_compare(&seen, &revision) != 0)
			since = now;
		seen = revision;
		bool is_others = g->leaf.holder[0] != '\0' && strcmp(g->leaf.holder, f->book->me) != 0;
		if (is_others && now - since < lease_ms(f)) {
			clock_pause(pause);
			pause = pause < LOOK_SELDOM_MS ? 2 * pause : pause;
			continue;
		}
		memcpy(g->leaf.holder, f->book->me, sizeof g->leaf.holder);
		e = put(a, f, g->account, &g->leaf, &revision, &g->revision);
		if (somebody_was_first(e))
			continue;
		TRY(e);
		g->booked = true;
		return clock_steady_ms() - now <= BEGINS_MS ? SUCCESS : FAIL(ERR_UNAVAILABLE, "the directory is too slow");
	}
}

static void note(const struct flow *f, struct guess *g, enum guess_end end)
{
	int64_t now = clock_now();

	if (strcmp(g->leaf.holder, f->book->me) == 0)
		g->leaf.holder[0] = '\0';
	leaf_drop_before(&g->leaf, now - flow_set(&f->set.guess_window_s));
	if (end == GUESS_RIGHT)
		leaf_forgive(&g->leaf, g->network);
	else if (end == GUESS_WRONG)
		leaf_add(&g->leaf, g->network, now);
}

/* Gives the leaf back with what came of the guess; begins one with the first failure. Whoever was first in between has
 * written something of his own: ours is added to that. */
static struct err give_back(struct arena *a, struct flow *f, struct guess *g, enum guess_end end)
{
	struct revision written;
	struct err e = SUCCESS;

	for (int i = 0; i < TRIES; i++) {
		note(f, g, end);
		e = put(a, f, g->account, &g->leaf, &g->revision, &written);
		if (!somebody_was_first(e))
			return e;
		g->revision = (struct revision){ 0 };
		e = look(a, f, g->account, &g->leaf, &g->revision);
		if (e.code != OK && e.code != ERR_NOT_FOUND)
			return e;
	}
	return FAIL(ERR_CONFLICT, "the leaf is never left alone");
}

/* ---- guesses ---- */

struct err guess_begin(struct arena *a, struct flow *f, const struct caller *c, const char *name, bool is_account,
    struct guess *out, enum guess_word *word)
{
	const struct throttle_limits limits = {
		.per_account = flow_set(&f->set.guesses_per_account),
		.per_address = flow_set(&f->set.guesses_per_address),
		.window_s = flow_set(&f->set.guess_window_s),
	};
	const char *address = c->address != NULL ? c->address : "";
	bool refused = false;

	memset(out, 0, sizeof *out);
	*word = GUESS_GO;
	throttle_network(address, out->network);
	switch (throttle_reserve(f->throttle, &limits, address, name, clock_steady_ms() / 1000, WAIT_MS, &out->ticket)) {
	case THROTTLE_ADDRESS:
		*word = GUESS_TOO_MANY;
		return SUCCESS;
	case THROTTLE_ACCOUNT:
		*word = GUESS_REFUSED;
		return SUCCESS;
	case THROTTLE_FREE:
		break;
	}
	if (!is_account)
		return SUCCESS;
	out->account = arena_strdup(a, name);
	out->alone = enter(f->book, name);
	struct err e = out->alone ? take(a, f, out, &refused) : SUCCESS;
	if (e.code != OK) {
		guess_settle(a, f, out, GUESS_VOID);
	} else if (!out->alone || refused) {
		*word = GUESS_REFUSED;
		if (out->alone)
			leave(f->book, name);
		out->alone = false;
	}
	return e;
}

/* Of what is counted in memory: for names that nobody has both, for accounts the address alone. */
static void settle_in_memory(struct flow *f, const struct guess *g, enum guess_end end)
{
	static const enum throttle_end ends[] = { [GUESS_RIGHT] = THROTTLE_RIGHT, [GUESS_WRONG] = THROTTLE_FAILED,
		[GUESS_UNLOOKED] = THROTTLE_FAILED, [GUESS_MALFORMED] = THROTTLE_FAILED, [GUESS_VOID] = THROTTLE_VOID };
	bool is_counted = g->account == NULL && end != GUESS_MALFORMED;
	int64_t now_s = clock_steady_ms() / 1000;

	throttle_settle(f->throttle, &(struct throttle_ticket){ .address = g->ticket.address }, ends[end], now_s);
	throttle_settle(f->throttle, &(struct throttle_ticket){ .pair = g->ticket.pair },
	    is_counted ? ends[end] : THROTTLE_VOID, now_s);
}

/* The failure that locks is told to the owner; there is one for each lock, since guesses come one by one. */
static void tell_owner(struct arena *a, struct flow *f, const char *account)
{
	struct dir_failures failures;
	struct err e = dir_failures(a, f->dir, account, &failures);

	if (e.code == OK && failures.locked)
		notice_send(a, f, "account-locked", account, NULL);
}

void guess_settle(struct arena *a, struct flow *f, struct guess *g, enum guess_end end)
{
	if (g->booked || (g->account != NULL && end == GUESS_WRONG)) {
		struct err e = give_back(a, f, g, end);

		/* If it was taken, the next one here takes it over at once, and elsewhere after the lease. */
		if (e.code != OK)
			log_event(LOG_WARNING, "book.left", "user=%s error=\"%s\"", g->account, e.what);
		if (end == GUESS_WRONG)
			tell_owner(a, f, g->account);
	}
	if (g->alone)
		leave(f->book, g->account);
	settle_in_memory(f, g, end);
	*g = (struct guess){ .account = NULL };
}

struct err book_forget(struct arena *a, struct flow *f, const char *uid)
{
	struct entry entry = leaf_entry(a, uid);
	struct revision written;
	struct err e = dir_delete(a, f->dir, NULL, &entry, NULL, &written);

	return e.code == ERR_NOT_FOUND ? SUCCESS : e;
}
