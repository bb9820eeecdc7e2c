/* Signing in: a password is proved at the directory, guesses are held back, and a session begins. */
#include "flow/flow.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/inside.h"
#include "flow/password.h"
#include "flow/totp.h"

#include "base/banned.h"

#define AGENT_MOST 128
#define DAY_S 86400

/* ---- who ---- */

/* The person that a name stands for. Whoever may not sign in is tried at the decoy, so that it takes as long. */
struct who {
	char uid[33];        /* "": nobody's name */
	const char *claimed; /* the name, if it is nobody's. What cannot be a user ID may be a password: that is not kept */
	const char *refused; /* why the decoy: the true reason, for the audit log; NULL: the person himself */
	enum realm realm;
	bool second_factor;
	int64_t signed_in_at;
	int64_t void_before;    /* sessions that began earlier are void: his password was changed */
	struct entry *at_nppes; /* what NPPES says of him; NULL: it was not asked, or said no */
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

static bool is_unknown(const struct who *who)
{
	return text_same(who->refused, "unknown");
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
			out->second_factor = p->second_factor;
			out->signed_in_at = p->signed_in_at;
			out->void_before = p->sessions_end;
		}
	}
	if (is_unknown(out))
		out->claimed = out->uid[0] != '\0' ? arena_strdup(a, out->uid) : NULL;
	return fresh;
}

/* ---- proof of the password, and of the second factor ---- */

struct proof {
	enum sign_in_outcome outcome;
	const char *reason; /* the true one, for the audit log */
	bool second_factor;
	bool recovery;      /* by a recovery code, which is used up */
	struct bind_result bind;
	struct renewal *renewal; /* the password is to be changed at the same time; NULL: it is to stay */
};

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

/* Set while he had a second factor, or by an administrator: nothing but the password itself tells how long it is. */
static bool is_too_short(const struct flow *f, const struct who *who, const struct password *password)
{
	return who->realm == REALM_LOCAL && !who->second_factor &&
	    password_characters(password) < (size_t)flow_set(&f->set.password_least);
}

/* In our directory; whoever is refused, at the decoy. */
static struct err bind_here(struct flow *f, const struct caller *c, const struct who *who, const struct password *password,
    struct proof *out)
{
	const char *uid = who->refused == NULL ? who->uid : NULL;

	if (uid != NULL && out->renewal != NULL)
		TRY(password_renew(f, c, uid, password, out->second_factor ? TOTP_DIGITS : 0, out->renewal, &out->bind));
	else
		TRY(dir_bind_person(f->dir, uid, password->bytes, password->size, &out->bind));
	read_bind(who, out);
	if (out->outcome == SIGN_IN_OK && out->renewal == NULL && is_too_short(f, who, password)) {
		out->outcome = SIGN_IN_MUST_CHANGE;
		out->reason = "too_short";
	}
	return SUCCESS;
}

/* A name that nobody has here may be a practitioner's who comes for the first time. Not being able to ask NPPES is an error
 * for those whom we know from there, and for the others what it always was: a name that nobody has. */
static struct err bind_at_nppes(struct arena *a, struct flow *f, const struct caller *c, struct who *who,
    const struct password *password, struct proof *out)
{
	struct entry *there = arena_alloc(a, sizeof *there);
	struct err e = FAIL(ERR_UNAVAILABLE, "the directory of practitioners is not configured");

	if (f->nppes != NULL)
		e = dir_bind_and_read(a, f->nppes, who->uid, password->bytes, password->size, &out->bind, there);
	bool is_right = e.code == OK && out->bind.outcome != BIND_WRONG && out->bind.outcome != BIND_LOCKED;
	if (is_unknown(who) && !is_right && e.code != ERR_INVALID)
		return bind_here(f, c, who, password, out);
	TRY(e);
	if (is_right) {
		who->refused = who->claimed = NULL;
		who->realm = REALM_NPPES;
		who->at_nppes = there;
	}
	read_bind(who, out);
	return SUCCESS;
}

/* The directory takes the code behind the password. Without one nothing is sent in the person's name: that he has a second
 * factor must not cost him a failure, and nobody learns from it whether the password was right. */
static struct err bind_with_code(struct arena *a, struct flow *f, const struct caller *c, struct who *who,
    struct password *password, const char *otp, struct proof *out)
{
	struct factor_proof factor;
	size_t size = TOTP_DIGITS;

	if (otp == NULL || password->size + size > PASSWORD_BYTES) {
		who->refused = "no_code";
		return bind_here(f, c, who, password, out);
	}
	TRY(factor_prepare(a, f, who->uid, otp, &factor));
	memcpy(password->bytes + password->size, factor.code, size);
	password->size += size;
	out->second_factor = true;
	struct err e = bind_here(f, c, who, password, out);
	if (e.code == OK && out->outcome == SIGN_IN_OK && factor.recovery[0] != '\0') {
		out->recovery = true;
		e = factor_use_up(a, f, c, who->uid, &factor);
		if (e.code == ERR_CONFLICT) {
			out->outcome = SIGN_IN_REFUSED;
			out->reason = "recovery_code_used";
			e = SUCCESS;
		}
	}
	secret_wipe(&factor, sizeof factor);
	return e;
}

static struct err check(struct arena *a, struct flow *f, const struct caller *c, struct who *who,
    const struct credentials *by, struct proof *out)
{
	struct password password;
	struct err e;

	/* Never sent: an empty one would be an anonymous bind to some servers (RFC 4513 5.1.2), one with NUL is cut by
	 * others, a very long one only costs, and nobody's password is made of blanks alone. */
	password_read(by->password, by->password_size, &password);
	if (password.size == 0)
		e = FAIL(ERR_INVALID, "no password");
	else if (is_unknown(who) ? who->uid[0] != '\0' && f->nppes != NULL : who->refused == NULL && who->realm == REALM_NPPES)
		e = bind_at_nppes(a, f, c, who, &password, out);
	else if (who->refused == NULL && who->second_factor)
		e = bind_with_code(a, f, c, who, &password, by->otp, out);
	else
		e = bind_here(f, c, who, &password, out);
	password_wipe(&password);
	return e;
}

static enum guess_end end_of(struct err e, const struct who *who, const struct proof *p)
{
	if (e.code != OK)
		return e.code == ERR_INVALID ? GUESS_MALFORMED : GUESS_VOID;
	if (p->outcome != SIGN_IN_REFUSED)
		return GUESS_RIGHT;
	return who->refused == NULL && p->bind.outcome == BIND_WRONG ? GUESS_WRONG : GUESS_UNLOOKED;
}

/* The session that follows is younger than the change that it was begun with. */
static void finish_renewal(struct who *who, struct proof *p)
{
	if (!p->renewal->changed) {
		p->outcome = who->realm == REALM_NPPES ? SIGN_IN_ELSEWHERE : SIGN_IN_NEW_REFUSED;
		p->reason = who->realm == REALM_NPPES ? reason_word(MANAGED_ELSEWHERE) : "password_refused";
		return;
	}
	who->void_before = p->renewal->begins_at;
	if (p->renewal->overtaken) {
		p->outcome = SIGN_IN_REFUSED;
		p->reason = "overtaken";
	}
}

/* ERR_UNAVAILABLE: nothing is known of the password, and nothing was counted. */
static struct err prove(struct arena *a, struct flow *f, const struct caller *c, struct who *who,
    const struct credentials *by, struct renewal *renewal, struct proof *out)
{
	struct guess guess;
	enum guess_word word;

	*renewal = (struct renewal){ .arena = a, .bytes = by->new_password, .size = by->new_password_size };
	*out = (struct proof){ .outcome = SIGN_IN_REFUSED, .renewal = by->new_password != NULL ? renewal : NULL };
	/* What is nobody's name by its form shares one counter: there is no account behind any of them. */
	TRY(guess_begin(a, f, c, who->uid, who->refused == NULL, &guess, &word));
	if (word == GUESS_TOO_MANY) {
		out->outcome = SIGN_IN_TOO_MANY;
		out->reason = "too_many";
		return SUCCESS;
	}
	if (word == GUESS_REFUSED)
		who->refused = "throttled";
	struct err e = check(a, f, c, who, by, out);
	guess_settle(a, f, &guess, end_of(e, who, out));
	if (e.code == OK && out->renewal != NULL && (out->outcome == SIGN_IN_OK || out->outcome == SIGN_IN_MUST_CHANGE))
		finish_renewal(who, out);
	if (e.code != ERR_INVALID)
		return e;
	out->reason = "malformed";
	return SUCCESS;
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
	bool second_factor;
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
		.second_factor = b->second_factor,
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

/* Once a day at most: it is for telling who has not been here for weeks. */
static void note_day(struct arena *a, struct flow *f, const struct who *who, int64_t now)
{
	struct entry to = { .kind = KIND_PERSON, .id = who->uid, .signed_in_at = now };
	struct guard guard = { .state = STATE_ACTIVE };
	struct revision written;

	if (now - who->signed_in_at < DAY_S)
		return;
	struct err e = dir_update(a, f->dir, NULL, &to, FIELD_SIGNED_IN_AT, &guard, &written);
	if (e.code != OK)
		log_event(LOG_WARNING, "sign_in.day_lost", "user=%s error=\"%s\"", who->uid, e.what);
}

static const char *detail_of(struct arena *a, const struct proof *p, const struct beginning *b)
{
	const char *how = p->recovery ? "recovery code" : p->second_factor ? "second factor" : "";

	if (b->replaces == NULL)
		return how[0] != '\0' ? how : NULL;
	return arena_printf(a, "%s%sreplaces %.16s", how, how[0] != '\0' ? ", " : "", b->replaces);
}

static bool must_enrol(struct flow *f, const struct who *who, const struct beginning *b)
{
	bool is_due = false;

	WITH_REPLICA(view, f->replica) {
		const struct person *p = replica_person(&view, who->uid);

		is_due = p != NULL && factor_is_due(f, &view, p, b->second_factor);
	}
	return is_due;
}

/* Record, act, answer. Without the record there is no session. */
static struct err begin_session(struct arena *a, struct flow *f, const struct happening *h, const struct proof *p,
    const struct beginning *b, struct sign_in *out)
{
	char id[DIGEST_TEXT], *short_id;

	random_token(out->token);
	secret_digest(out->token, TOKEN_TEXT - 1, id);
	short_id = arena_copy(a, id, SHORT_SESSION - 1);
	struct err e = record(f, h, AUDIT_SIGN_IN, "ok", "ok", short_id, detail_of(a, p, b));
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
	note_day(a, f, h->who, b->authenticated_at);
	flow_csrf_of(out->token, out->csrf);
	memcpy(out->uid, h->who->uid, sizeof out->uid);
	out->expires = b->expires;
	out->grace = p->bind.grace;
	out->password_expires = p->bind.expires;
	out->must_enrol = must_enrol(f, h->who, b);
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
int64_t sign_in_stroke(const struct flow *f, int64_t began_us, int strokes)
{
	int64_t stroke = (int64_t)flow_set(&f->set.refusal_ms) * strokes * 1000;

	return stroke == 0 ? 0 : began_us + (1 + (clock_steady_us() - began_us) / stroke) * stroke;
}

static struct err refuse(struct flow *f, const struct happening *h, const struct proof *p, int64_t began_us, struct sign_in *out)
{
	struct err e = record_refusal(f, h, p);

	if (p->outcome == SIGN_IN_REFUSED)
		out->answer_at = sign_in_stroke(f, began_us, 1);
	if (p->outcome == SIGN_IN_NEW_REFUSED)
		out->problems = p->renewal->problems;
	return e.code != OK ? FAIL(ERR_UNAVAILABLE, e.what) : SUCCESS;
}

/* ---- what stands between a right password and a session ---- */

/* Who has not been here for so long loses his account; the help desk gives it back. Whoever knows the password learns as
 * little of it as anybody else. */
static struct err retire(struct arena *a, struct flow *f, const struct caller *c, const struct who *who)
{
	struct entry to = { .kind = KIND_PERSON, .id = who->uid, .state = STATE_DISABLED, .reason = "inactivity",
		.decided_at = clock_now() };
	struct guard guard = { .state = STATE_ACTIVE };
	struct revision written;
	static const char event[] = "account.disable";

	TRY(account_record(f, c, AUDIT_CHANGE, event, who->uid, "permit", NULL, to.reason));
	struct err e = dir_update(a, f->dir, NULL, &to, FIELD_STATE | FIELD_REASON | FIELD_DECIDED, &guard, &written);
	account_outcome(f, c, event, who->uid, e);
	if (e.code == ERR_CONFLICT)
		return SUCCESS;
	TRY(e);
	TRY(session_settle(f, &written));
	notice_send(a, f, "account-disabled", who->uid, NULL);
	return SUCCESS;
}

static bool is_inactive(const struct flow *f, const struct who *who, int64_t now)
{
	int64_t days = flow_set(&f->set.inactive_days);

	return days > 0 && who->signed_in_at > 0 && now - who->signed_in_at > days * DAY_S;
}

static bool is_right(enum sign_in_outcome outcome)
{
	return outcome == SIGN_IN_OK || outcome == SIGN_IN_MUST_CHANGE || outcome == SIGN_IN_EXPIRED;
}

/* The password is right. May he come in? */
static struct err admit(struct arena *a, struct flow *f, const struct caller *c, const struct who *who, int64_t now,
    struct proof *p)
{
	if (is_inactive(f, who, now)) {
		p->outcome = SIGN_IN_REFUSED;
		p->reason = "inactive";
		return retire(a, f, c, who);
	}
	if (who->at_nppes == NULL || p->outcome != SIGN_IN_OK)
		return SUCCESS;
	const char *refused = NULL;
	TRY(practitioner_admit(a, f, c, who->uid, who->at_nppes, &refused));
	if (refused != NULL) {
		p->outcome = SIGN_IN_REFUSED;
		p->reason = refused;
	}
	return SUCCESS;
}

struct err flow_sign_in(struct arena *a, struct flow *f, const struct caller *c, const struct credentials *by,
    const char *old_token, struct sign_in *out)
{
	struct who who;
	struct proof proof;
	struct renewal renewal;
	struct credentials with = *by;
	struct happening h = { .event = "sign_in", .caller = c, .who = &who };
	struct err e = SUCCESS;
	/* Before the password is proved: if it is changed at this very time, the session is older than the change. */
	int64_t now = clock_now(), began_us = clock_steady_us();

	*out = (struct sign_in){ .outcome = SIGN_IN_REFUSED, .grace = -1, .password_expires = -1 };
	if (!look_up(a, f, by->username, &who))
		e = FAIL(ERR_UNAVAILABLE, "the replica is stale");
	/* The account is about to be disabled; its password stays. */
	if (e.code == OK && is_inactive(f, &who, now))
		with.new_password = NULL;
	if (e.code == OK)
		e = prove(a, f, c, &who, &with, &renewal, &proof);
	if (e.code == OK && is_right(proof.outcome))
		e = admit(a, f, c, &who, now, &proof);
	if (e.code != OK) {
		record_failure(f, &h, NULL, e);
		return FAIL(ERR_UNAVAILABLE, e.what);
	}
	out->outcome = proof.outcome;
	if (proof.outcome != SIGN_IN_OK)
		return refuse(f, &h, &proof, began_us, out);
	struct beginning b = {
		.started_at = now > who.void_before ? now : who.void_before,
		.authenticated_at = now,
		.expires = now + flow_set(&f->set.session_absolute_s),
		.replaces = session_of_token(a, f, old_token),
		.second_factor = proof.second_factor,
	};
	return begin_session(a, f, &h, &proof, &b, out);
}

struct err flow_reauthenticate(struct arena *a, struct flow *f, const struct caller *c, const struct credentials *by,
    struct sign_in *out)
{
	struct who who;
	struct proof proof;
	struct renewal renewal;
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
		b.second_factor = alive && s->second_factor;
	}
	if (fresh && !alive)
		return FAIL(ERR_NOT_FOUND, "no session");
	struct err e = FAIL(ERR_UNAVAILABLE, "the replica is stale");
	if (fresh)
		e = prove(a, f, c, &who, by, &renewal, &proof);
	if (e.code != OK) {
		record_failure(f, &h, NULL, e);
		return FAIL(ERR_UNAVAILABLE, e.what);
	}
	out->outcome = proof.outcome;
	if (proof.outcome != SIGN_IN_OK)
		return refuse(f, &h, &proof, began_us, out);
	b.second_factor |= proof.second_factor;
	if (b.started_at < who.void_before)
		b.started_at = who.void_before;
	return begin_session(a, f, &h, &proof, &b, out);
}
