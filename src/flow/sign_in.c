/* Signing in: a password is proved at the directory, guesses are held back, and a session begins. */
#include "flow/flow.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

#define PASSWORD_MOST 1024
#define CLAIMED_MOST 64
#define AGENT_MOST 128
#define GUESSES_WAIT_MS 1000

/* ---- who ---- */

/* The person that a name stands for. Whoever may not sign in is tried at the decoy, so that it takes as long. */
struct who {
	char uid[33];        /* "": nobody's name */
	const char *claimed; /* the name as typed, shortened, if it is nobody's */
	const char *refused; /* why the decoy: the true reason, for the audit log; NULL: the person himself */
	enum realm realm;
};

/* At most size bytes, not cut within a character; bytes that are not UTF-8 become '?'. */
static char *shorten(struct arena *a, const char *text, size_t most)
{
	size_t size = strnlen(text, most + 1);

	if (size > most)
		for (size = most; size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80;)
			size--;
	char *copy = arena_copy(a, text, size);
	if (!text_is_utf8(copy, size))
		for (size_t i = 0; i < size; i++)
			if ((unsigned char)copy[i] >= 0x80)
				copy[i] = '?';
	return copy;
}

/* False: the replica is too old to know. */
static bool look_up(struct arena *a, struct flow *f, const char *username, struct who *out)
{
	bool fresh = false;

	*out = (struct who){ .refused = "unknown" };
	size_t size = strnlen(username, sizeof out->uid);
	if (size < sizeof out->uid) {
		memcpy(out->uid, username, size);
		text_fold(out->uid);
	}
	if (!id_is_uid(out->uid))
		out->uid[0] = '\0';

	WITH_REPLICA(view, f->replica) {
		const struct person *p = out->uid[0] != '\0' ? replica_person(&view, out->uid) : NULL;

		fresh = view.fresh;
		if (p != NULL) {
			out->refused = p->state == STATE_ACTIVE ? NULL : state_word(p->state);
			out->realm = p->realm;
		}
	}
	if (out->refused != NULL && text_same(out->refused, "unknown"))
		out->claimed = shorten(a, username, CLAIMED_MOST);
	return fresh;
}

/* ---- proof of the password ---- */

struct proof {
	enum sign_in_outcome outcome;
	const char *reason; /* the true one, for the audit log */
	struct bind_result bind;
};

/* Never sent: an empty one would be an anonymous bind to some servers (RFC 4513 5.1.2), one with NUL is cut by others,
 * a very long one only costs, and nobody's password is made of spaces alone. */
static bool is_sendable(const char *password, size_t size)
{
	if (size == 0 || size > PASSWORD_MOST || memchr(password, '\0', size) != NULL)
		return false;
	for (size_t i = 0; i < size; i++)
		if (password[i] != ' ')
			return true;
	return false;
}

static void read_bind(const struct who *who, struct proof *p)
{
	static const struct {
		enum sign_in_outcome outcome;
		const char *reason;
	} meanings[] = {
		[BIND_RIGHT] = { SIGN_IN_OK, "ok" },
		[BIND_WRONG] = { SIGN_IN_REFUSED, "wrong" },
		[BIND_LOCKED] = { SIGN_IN_REFUSED, "locked" },
		[BIND_MUST_CHANGE] = { SIGN_IN_MUST_CHANGE, "must_change" },
		[BIND_EXPIRED] = { SIGN_IN_EXPIRED, "expired" },
	};

	p->outcome = SIGN_IN_REFUSED;
	p->reason = who->refused;
	if (who->refused == NULL && (unsigned)p->bind.outcome < COUNT(meanings)) {
		p->outcome = meanings[p->bind.outcome].outcome;
		p->reason = meanings[p->bind.outcome].reason;
	}
}

static struct err bind_as(struct flow *f, const struct who *who, const char *password, size_t size, struct proof *out)
{
	struct dir *dir = who->refused == NULL && who->realm == REALM_NPPES ? f->nppes : f->dir;

	if (dir == NULL)
		return FAIL(ERR_UNAVAILABLE, "the directory of practitioners is not configured");
	struct err e = dir_bind_person(dir, who->refused == NULL ? who->uid : NULL, password, size, &out->bind);
	if (e.code == OK)
		read_bind(who, out);
	return e;
}

/* A malformed password costs its address a failure, so that a flood of them ends, but it was no guess at anybody. */
static void settle_malformed(struct flow *f, const struct throttle_ticket *t, int64_t now_s)
{
	throttle_settle(f->throttle, &(struct throttle_ticket){ .pair = t->pair }, THROTTLE_VOID, now_s);
	throttle_settle(f->throttle, &(struct throttle_ticket){ .address = t->address }, THROTTLE_FAILED, now_s);
}

/* ERR_UNAVAILABLE: nothing is known of the password, and nothing was counted. */
static struct err prove(struct flow *f, const struct caller *c, struct who *who, const char *password, size_t size,
    struct proof *out)
{
	const struct throttle_limits limits = {
		.per_account = flow_set(&f->set.guesses_per_account),
		.per_address = flow_set(&f->set.guesses_per_address),
		.window_s = flow_set(&f->set.guess_window_s),
	};
	int64_t now_s = clock_steady_ms() / 1000;
	struct throttle_ticket ticket;

	*out = (struct proof){ .outcome = SIGN_IN_REFUSED };
	/* What is nobody's name by its form shares one counter: there is no account behind any of them. */
	const char *address = c->address != NULL ? c->address : "";
	switch (throttle_reserve(f->throttle, &limits, address, who->uid, now_s, GUESSES_WAIT_MS, &ticket)) {
	case THROTTLE_ADDRESS:
		out->outcome = SIGN_IN_TOO_MANY;
		out->reason = "too_many";
		return SUCCESS;
	case THROTTLE_ACCOUNT:
		/* Not sent to the account: its own counter in the directory is for its owner, wherever he is. */
		who->refused = "throttled";
		break;
	case THROTTLE_FREE:
		break;
	}
	if (!is_sendable(password, size)) {
		out->reason = "malformed";
		settle_malformed(f, &ticket, now_s);
		return SUCCESS;
	}
	struct err e = bind_as(f, who, password, size, out);
	now_s = clock_steady_ms() / 1000;
	if (e.code == ERR_INVALID) {
		out->reason = "malformed";
		settle_malformed(f, &ticket, now_s);
		return SUCCESS;
	}
	throttle_settle(f->throttle, &ticket,
	    e.code != OK ? THROTTLE_VOID : out->outcome == SIGN_IN_REFUSED ? THROTTLE_FAILED : THROTTLE_RIGHT, now_s);
	return e;
}

/* ---- the audit record ---- */

struct happening {
	const char *event;
	const struct caller *caller;
	const struct who *who;
};

static struct err record(struct flow *f, const struct happening *h, enum audit_class class, const char *outcome,
    const char *reason, const char *session, const char *detail)
{
	char held[SHORT_SESSION];
	struct audit_record r = session_record(h->caller, class, h->event, held);

	r.actor = h->who->claimed == NULL && h->who->uid[0] != '\0' ? h->who->uid : NULL;
	r.claimed = h->who->claimed;
	r.session = session;
	r.outcome = outcome;
	r.reason = reason;
	r.detail = detail;
	return audit_write(f->audit, &r);
}

/* After the fact: there is nothing left to refuse, so a record that fails is only reported. */
static void record_failure(struct flow *f, const struct happening *h, const char *session, struct err why)
{
	if (record(f, h, AUDIT_DECISION, "failed", reason_word(UNAVAILABLE), session, why.what).code != OK)
		log_event(LOG_ERROR, "audit.lost", "event=%s request=%s", h->event, h->caller->request_id);
}

/* A refusal by the address's limit is written but not waited for: a flood must not buy a disk write each. */
static struct err record_refusal(struct flow *f, const struct happening *h, const struct proof *p)
{
	enum audit_class class = p->outcome == SIGN_IN_TOO_MANY ? AUDIT_DECISION : AUDIT_SIGN_IN;

	return record(f, h, class, "failed", p->reason, NULL, NULL);
}

/* ---- the session ---- */

struct beginning {
	int64_t started_at, authenticated_at, expires;
	const char *replaces; /* id of the session that ends, or NULL */
};

static void later(struct revision *reached, const struct revision *other)
{
	if (revision_compare(reached, other) < 0)
		*reached = *other;
}

static struct err add_session(struct arena *a, struct flow *f, const struct caller *c, const struct who *who,
    const struct beginning *b, const char *id, struct revision *out)
{
	struct entry entry = {
		.kind = KIND_SESSION,
		.id = id,
		.state = STATE_ACTIVE,
		.user = who->uid,
		.started_at = b->started_at,
		.seen_at = b->authenticated_at,
		.authenticated_at = b->authenticated_at,
		.expires = b->expires,
		.address = c->address,
		.agent = c->agent != NULL && c->agent[0] != '\0' ? shorten(a, c->agent, AGENT_MOST) : NULL,
	};
	struct revision ended = { 0 };

	TRY(dir_add(a, f->dir, NULL, &entry, out));
	struct err e = b->replaces != NULL ? session_end(a, f, b->replaces, &ended) : SUCCESS;
	later(out, &ended);
	if (e.code == OK)
		e = session_settle(f, out);
	/* Nobody will learn the token, but what nobody knows of need not stay open either. */
	if (e.code != OK && session_end(a, f, id, &ended).code != OK)
		log_event(LOG_WARNING, "session.left", "session=%.16s", id);
	return e;
}

/* Record, act, answer. Without the record there is no session. */
static struct err begin_session(struct arena *a, struct flow *f, const struct happening *h, const struct proof *p,
    const struct beginning *b, struct sign_in *out)
{
	char id[DIGEST_TEXT], *short_id;

	random_token(out->token);
	secret_digest(out->token, TOKEN_TEXT - 1, id);
	short_id = arena_copy(a, id, SHORT_SESSION - 1);
	struct err e = record(f, h, AUDIT_SIGN_IN, "ok", "ok", short_id,
	    b->replaces != NULL ? arena_printf(a, "replaces %.16s", b->replaces) : NULL);
	if (e.code == OK) {
		e = add_session(a, f, h->caller, h->who, b, id, &out->revision);
		if (e.code != OK)
			record_failure(f, h, short_id, e);
	}
	if (e.code != OK) {
		secret_wipe(out->token, sizeof out->token);
		out->outcome = SIGN_IN_REFUSED;
		return FAIL(ERR_UNAVAILABLE, e.what);
	}
	flow_csrf_of(out->token, out->csrf);
	memcpy(out->uid, h->who->uid, sizeof out->uid);
	out->expires = b->expires;
	out->grace = p->bind.grace;
	out->password_expires = p->bind.expires;
	return SUCCESS;
}

/* The session of a token that the client still had. One that is not alive is none. */
static const char *session_of_token(struct arena *a, struct flow *f, const char *token)
{
	char *id = arena_alloc(a, DIGEST_TEXT);
	unsigned char digest[32];
	bool alive = false;

	if (token == NULL || !session_is_token(token))
		return NULL;
	secret_digest(token, TOKEN_TEXT - 1, id);
	if (!session_digest_of(id, digest))
		return NULL;
	WITH_REPLICA(view, f->replica) {
		const struct session *s = replica_session(&view, digest);

		alive = s != NULL && s->state == STATE_ACTIVE;
	}
	return alive ? id : NULL;
}

/* Refusals differ by what they cost: a locked account takes no hashing, a person's own failures are counted and told to
 * every replica, a decoy's are not. They all leave on the strokes of one clock that began with the request. */
static int64_t next_stroke(const struct flow *f, int64_t began_us)
{
	int64_t stroke = (int64_t)flow_set(&f->set.refusal_ms) * 1000;

	return stroke == 0 ? 0 : began_us + (1 + (clock_steady_us() - began_us) / stroke) * stroke;
}

static struct err refuse(struct flow *f, const struct happening *h, const struct proof *p, int64_t began_us, struct sign_in *out)
{
	struct err e = record_refusal(f, h, p);

	if (p->outcome == SIGN_IN_REFUSED)
		out->answer_at = next_stroke(f, began_us);
	return e.code != OK ? FAIL(ERR_UNAVAILABLE, e.what) : SUCCESS;
}

struct err flow_sign_in(struct arena *a, struct flow *f, const struct caller *c, const char *username,
    const char *password, size_t password_size, const char *old_token, struct sign_in *out)
{
	struct who who;
	struct proof proof;
	struct happening h = { .event = "sign_in", .caller = c, .who = &who };
	struct err e = SUCCESS;
	/* Before the password is proved: if it is changed at this very time, the session is older than the change. */
	int64_t now = clock_now(), began_us = clock_steady_us();

	*out = (struct sign_in){ .outcome = SIGN_IN_REFUSED, .grace = -1, .password_expires = -1 };
	if (!look_up(a, f, username, &who))
		e = FAIL(ERR_UNAVAILABLE, "the replica is stale");
	if (e.code == OK)
		e = prove(f, c, &who, password, password_size, &proof);
	if (e.code != OK) {
		record_failure(f, &h, NULL, e);
		return FAIL(ERR_UNAVAILABLE, e.what);
	}
	out->outcome = proof.outcome;
	if (proof.outcome != SIGN_IN_OK)
		return refuse(f, &h, &proof, began_us, out);
	struct beginning b = {
		.started_at = now,
		.authenticated_at = now,
		.expires = now + flow_set(&f->set.session_absolute_s),
		.replaces = session_of_token(a, f, old_token),
	};
	return begin_session(a, f, &h, &proof, &b, out);
}

struct err flow_reauthenticate(struct arena *a, struct flow *f, const struct caller *c, const char *password,
    size_t password_size, struct sign_in *out)
{
	struct who who;
	struct proof proof;
	struct happening h = { .event = "reauthenticate", .caller = c, .who = &who };
	struct beginning b = { .replaces = c->session, .authenticated_at = clock_now() };
	unsigned char digest[32];
	bool alive = false;
	int64_t began_us = clock_steady_us();

	*out = (struct sign_in){ .outcome = SIGN_IN_REFUSED, .grace = -1, .password_expires = -1 };
	if (!session_digest_of(c->session, digest))
		return FAIL(ERR_NOT_FOUND, "no session");
	bool fresh = look_up(a, f, c->uid, &who);
	WITH_REPLICA(view, f->replica) {
		const struct session *s = replica_session(&view, digest);

		/* The session goes on under a new token: it ends when it would have, and began when it did. */
		alive = s != NULL && s->state == STATE_ACTIVE;
		b.started_at = alive ? s->started_at : 0;
		b.expires = alive ? s->expires : 0;
	}
	if (fresh && !alive)
		return FAIL(ERR_NOT_FOUND, "no session");
	struct err e = FAIL(ERR_UNAVAILABLE, "the replica is stale");
	if (fresh)
		e = prove(f, c, &who, password, password_size, &proof);
	if (e.code != OK) {
		record_failure(f, &h, NULL, e);
		return FAIL(ERR_UNAVAILABLE, e.what);
	}
	out->outcome = proof.outcome;
	if (proof.outcome != SIGN_IN_OK)
		return refuse(f, &h, &proof, began_us, out);
	return begin_session(a, f, &h, &proof, &b, out);
}
