/* Sessions: who a token belongs to, which sessions a person has, and how they end. */
#include "flow/flow.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

#define SESSIONS_MOST 100 /* told in one list */

struct audit_record session_record(const struct caller *c, enum audit_class class, const char *event,
    char held[SHORT_SESSION])
{
	memcpy(held, c->session, SHORT_SESSION - 1);
	held[SHORT_SESSION - 1] = '\0';
	return (struct audit_record){
		.class = class,
		.event = event,
		.request_id = c->request_id,
		.address = c->address,
		.application = c->application,
		.actor = c->uid[0] != '\0' ? c->uid : NULL,
		.session = held[0] != '\0' ? held : NULL,
	};
}

/* ---- recognizing ---- */

/* By a table: letters and digits come at random, and a branch on each would be guessed wrong half of the time. */
bool session_is_token(const char *token)
{
#define SIX(c) [c] = 1, [c + 1] = 1, [c + 2] = 1, [c + 3] = 1, [c + 4] = 1, [c + 5] = 1
	static const unsigned char is_base64url[256] = {
		SIX('a'), SIX('g'), SIX('m'), SIX('s'), ['y'] = 1, ['z'] = 1,
		SIX('A'), SIX('G'), SIX('M'), SIX('S'), ['Y'] = 1, ['Z'] = 1,
		SIX('0'), ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1, ['-'] = 1, ['_'] = 1,
	};
#undef SIX
	unsigned char all = 1;

	if (strnlen(token, TOKEN_TEXT) != TOKEN_TEXT - 1)
		return false;
	for (size_t i = 0; i < TOKEN_TEXT - 1; i++)
		all &= is_base64url[(unsigned char)token[i]];
	return all;
}

/* Lower case only: an id has one spelling. */
bool session_digest_of(const char *hex, unsigned char out[32])
{
	if (strnlen(hex, DIGEST_TEXT) != DIGEST_TEXT - 1)
		return false;
	for (int i = 0; i < 64; i++) {
		int digit = -1;

		if (hex[i] >= '0' && hex[i] <= '9')
			digit = hex[i] - '0';
		else if (hex[i] >= 'a' && hex[i] <= 'f')
			digit = hex[i] - 'a' + 10;
		if (digit < 0)
			return false;
		out[i / 2] = (unsigned char)(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
	}
	return true;
}

/* How long it has been idle is known better here than in the directory, which learns of a use only now and then. */
static bool is_idle(const struct flow *f, const struct session *s, int64_t now)
{
	int64_t idle = flow_set(&f->set.session_idle_s);

	return now - s->seen_at >= idle && now - uses_last(f->uses, s->digest) >= idle;
}

enum reason session_judge(const struct flow *f, const struct session *s, const struct person *p, int64_t now)
{
	if (p == NULL)
		return NOT_AUTHENTICATED;
	if (p->state != STATE_ACTIVE)
		return ACCOUNT_NOT_ACTIVE;
	if (s->state != STATE_ACTIVE || s->started_at < p->sessions_end || now >= s->expires || is_idle(f, s, now))
		return SESSION_EXPIRED;
	return REASON_OK;
}

int64_t session_earliest(const struct entry *person)
{
	int64_t changed = person->password_changed_at > 0 ? person->password_changed_at + 1 : 0;

	return person->sessions_end > changed ? person->sessions_end : changed;
}

enum reason flow_recognize(struct flow *f, const char *token, struct caller *c)
{
	unsigned char digest[32];
	enum reason why = STALE_DIRECTORY;
	int64_t now = clock_now(), seen_at = 0;

	c->uid[0] = c->session[0] = '\0';
	c->authenticated_at = 0;
	c->second_factor = false;
	if (token == NULL || !session_is_token(token))
		return NOT_AUTHENTICATED;
	secret_digest_bytes(token, TOKEN_TEXT - 1, digest);

	WITH_REPLICA(view, f->replica) {
		const struct session *s = replica_session(&view, digest);
		const struct person *p = s != NULL ? replica_person_no(&view, s->user) : NULL;

		if (view.fresh)
			why = s != NULL ? session_judge(f, s, p, now) : NOT_AUTHENTICATED;
		if (why == REASON_OK) {
			size_t size = strnlen(p->uid, sizeof c->uid - 1);

			memcpy(c->uid, p->uid, size);
			c->uid[size] = '\0';
			c->authenticated_at = s->authenticated_at;
			c->second_factor = s->second_factor;
			seen_at = s->seen_at;
			if (factor_is_due(f, &view, p, s->second_factor))
				why = MFA_REQUIRED;
		}
	}
	if (why != REASON_OK && why != MFA_REQUIRED)
		return why;
	secret_hex(digest, c->session);
	uses_note(f->uses, digest, seen_at, now);
	return why;
}

void flow_csrf_of(const char *token, char out[DIGEST_TEXT])
{
	static const char purpose[] = "scfgate csrf";

	secret_mac(token, strlen(token), purpose, sizeof purpose - 1, out);
}

enum reason flow_recognize_application(struct arena *a, struct flow *f, const char *secret,
    const unsigned char certificate[32], struct caller *c)
{
	unsigned char digest[32];
	enum reason why = STALE_DIRECTORY;

	c->application = NULL;
	if (secret != NULL)
		secret_digest_bytes(secret, strlen(secret), digest);
	WITH_REPLICA(view, f->replica) {
		const struct application *by_secret = secret ? replica_application_by_secret(&view, digest) : NULL;
		const struct application *by_certificate =
		    certificate ? replica_application_by_certificate(&view, certificate) : NULL;
		const struct application *found = secret != NULL ? by_secret : by_certificate;

		/* Two proofs must not name two applications. A certificate of none may be for something else. */
		if (secret != NULL && by_certificate != NULL && by_certificate != by_secret)
			found = NULL;
		if (view.fresh)
			why = NOT_AUTHENTICATED;
		if (why == NOT_AUTHENTICATED && found != NULL && found->state == STATE_ACTIVE && found->may_decide)
			why = REASON_OK;
		if (why == REASON_OK)
			c->application = arena_strdup(a, found->id);
	}
	return why;
}

/* ---- ending ---- */

struct err session_end(struct arena *a, struct flow *f, const char *id, struct revision *out)
{
	struct entry end = { .kind = KIND_SESSION, .id = id, .state = STATE_ENDED };
	struct guard guard = { .state = STATE_ACTIVE };
	struct err e = dir_update(a, f->dir, NULL, &end, FIELD_STATE, &guard, out);

	return e.code == ERR_CONFLICT || e.code == ERR_NOT_FOUND ? SUCCESS : e;
}

struct err session_settle(struct flow *f, const struct revision *revision)
{
	return replica_wait(f->replica, revision, flow_set(&f->set.wait_ms));
}

static struct err end_and_record(struct arena *a, struct flow *f, const struct caller *c, const char *event,
    const char *id, struct revision *out)
{
	char held[SHORT_SESSION];
	struct audit_record r = session_record(c, AUDIT_SIGN_IN, event, held);
	struct replica_status status;

	r.resource_kind = kind_word(KIND_SESSION);
	r.resource = arena_copy(a, id, SHORT_SESSION - 1);
	r.outcome = "ok";
	TRY(audit_write(f->audit, &r));

	replica_status(f->replica, &status);
	*out = status.revision;
	struct err e = session_end(a, f, id, out);
	if (e.code == OK)
		e = session_settle(f, out);
	if (e.code != OK) {
		r.class = AUDIT_DECISION;
		r.outcome = "failed";
		r.reason = reason_word(UNAVAILABLE);
		if (audit_write(f->audit, &r).code != OK)
			log_event(LOG_ERROR, "audit.lost", "event=%s request=%s", event, c->request_id);
	}
	return e;
}

struct err flow_sign_out(struct arena *a, struct flow *f, const struct caller *c, struct revision *out)
{
	unsigned char digest[32];

	if (!session_digest_of(c->session, digest))
		return FAIL(ERR_NOT_FOUND, "no session");
	return end_and_record(a, f, c, "sign_out", c->session, out);
}

/* ---- one's own ---- */

struct own {
	const struct flow *flow;
	const struct person *person;
	int64_t now;
	struct { char id[DIGEST_TEXT]; int64_t started_at, seen_at, expires; } list[SESSIONS_MOST];
	size_t count;
};

/* The newest are kept: a list that is full gives up its oldest. */
static bool collect(void *self, const struct session *s)
{
	struct own *own = self;
	size_t at = own->count;

	if (session_judge(own->flow, s, own->person, own->now) != REASON_OK)
		return true;
	if (own->count < SESSIONS_MOST) {
		own->count++;
	} else {
		at = 0;
		for (size_t i = 1; i < own->count; i++)
			if (own->list[i].started_at < own->list[at].started_at)
				at = i;
		if (own->list[at].started_at >= s->started_at)
			return true;
	}
	int64_t last = uses_last(own->flow->uses, s->digest);
	secret_hex(s->digest, own->list[at].id);
	own->list[at].started_at = s->started_at;
	own->list[at].seen_at = last > s->seen_at ? last : s->seen_at;
	own->list[at].expires = s->expires;
	return true;
}

static int newest_first(const void *x, const void *y)
{
	const struct session_info *a = x, *b = y;

	if (a->started_at != b->started_at)
		return a->started_at > b->started_at ? -1 : 1;
	return strcmp(a->id, b->id);
}

struct err flow_sessions(struct arena *a, struct flow *f, const struct caller *c, struct session_info **out,
    size_t *count)
{
	struct own *own = arena_alloc(a, sizeof *own);
	bool fresh = false;

	own->flow = f;
	own->now = clock_now();
	*count = 0;
	WITH_REPLICA(view, f->replica) {
		fresh = view.fresh;
		own->person = replica_person(&view, c->uid);
		if (own->person != NULL)
			replica_sessions_of(&view, own->person->no, collect, own);
		own->person = NULL;
	}
	if (!fresh)
		return FAIL(ERR_UNAVAILABLE, "the replica is stale");

	*out = arena_alloc(a, own->count * sizeof **out);
	for (size_t i = 0; i < own->count; i++) {
		struct entry entry;
		struct err e = dir_read(a, f->dir, NULL, KIND_SESSION, NULL, own->list[i].id, &entry);

		if (e.code == ERR_NOT_FOUND)
			continue; /* ended in between */
		TRY(e);
		(*out)[(*count)++] = (struct session_info){
			.id = own->list[i].id,
			.address = entry.address,
			.agent = entry.agent,
			.started_at = own->list[i].started_at,
			.seen_at = own->list[i].seen_at,
			.expires = own->list[i].expires,
			.current = text_same(own->list[i].id, c->session),
		};
	}
	qsort(*out, *count, sizeof **out, newest_first);
	return SUCCESS;
}

struct err flow_end_session(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    struct revision *out)
{
	unsigned char digest[32];
	bool fresh = false, own = false;

	if (!session_digest_of(id, digest))
		return FAIL(ERR_NOT_FOUND, "no such session");
	WITH_REPLICA(view, f->replica) {
		const struct person *p = replica_person(&view, c->uid);
		const struct session *s = replica_session(&view, digest);

		fresh = view.fresh;
		own = p != NULL && s != NULL && s->user == p->no && s->state == STATE_ACTIVE;
	}
	if (!fresh)
		return FAIL(ERR_UNAVAILABLE, "the replica is stale");
	if (!own)
		return FAIL(ERR_NOT_FOUND, "no such session");
	return end_and_record(a, f, c, "session.end", id, out);
}

void session_roles(unsigned held, const char *out[4])
{
	static const enum role roles[] = { ROLE_HELP_DESK, ROLE_AUDITOR, ROLE_PROCESSOR };
	size_t count = 0;

	for (size_t i = 0; i < COUNT(roles); i++)
		if (held & roles[i])
			out[count++] = role_word(roles[i]);
}

struct err flow_me(struct arena *a, struct flow *f, const struct caller *c, struct me *out)
{
	unsigned held = 0;
	bool fresh = false, must_enrol = false;
	struct entry entry;

	WITH_REPLICA(view, f->replica) {
		const struct person *p = replica_person(&view, c->uid);

		fresh = view.fresh;
		held = p != NULL ? p->roles : 0;
		must_enrol = p != NULL && factor_is_due(f, &view, p, c->second_factor);
	}
	if (!fresh)
		return FAIL(ERR_UNAVAILABLE, "the replica is stale");
	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, c->uid, &entry));
	*out = (struct me){
		.uid = arena_strdup(a, c->uid),
		.name = entry.name,
		.mail = entry.mail,
		.realm = entry.realm == REALM_NPPES ? "nppes" : "local",
		.must_enrol = must_enrol,
	};
	session_roles(held, out->roles);
	return SUCCESS;
}
