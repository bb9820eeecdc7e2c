/* New passwords: by a link that was mailed, or in the place of the old one while signing in. The directory notes when a
 * password was changed, in the same write, to the second; sessions that are older are void (replica/make.c). */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/account.h"
#include "flow/grant.h"
#include "flow/inside.h"
#include "flow/password.h"

#include "base/banned.h"

#define ORGANIZATIONS_MOST 8
#define SESSIONS_AT_ONCE 64
static const char RESET[] = "reset";

/* ---- the rules, for one person ---- */

struct ties {
	const struct view *view;
	struct arena *arena;
	const char *ids[2 * ORGANIZATIONS_MOST];
	size_t count;
};

static bool look_at_tie(void *self, const struct association *t)
{
	struct ties *ties = self;
	const number ends[] = { t->provider, t->employer };

	for (size_t i = 0; i < COUNT(ends); i++)
		ties->ids[ties->count++] = arena_strdup(ties->arena, replica_org_id(ties->view, ends[i]));
	return ties->count < COUNT(ties->ids);
}

/* What a guesser tries first: the words that are known of him. */
static struct err words_of(struct arena *a, struct flow *f, const struct entry *person, const char *const **out)
{
	struct ties ties = { .arena = a };
	const char **words = arena_alloc(a, (COUNT(ties.ids) + 4) * sizeof *words);
	size_t count = 0;

	WITH_REPLICA(view, f->replica)
	{
		const struct person *p = replica_person(&view, person->id);

		ties.view = &view;
		if (p != NULL)
			replica_associations_of(&view, p->no, look_at_tie, &ties);
		ties.view = NULL;
	}
	words[count++] = person->id;
	if (person->name != NULL)
		words[count++] = person->name;
	if (person->mail != NULL)
		words[count++] = person->mail;
	for (size_t i = 0; i < ties.count; i++) {
		struct entry organization;
		struct err e = dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, ties.ids[i], &organization);

		if (e.code == OK && organization.name != NULL)
			words[count++] = organization.name;
		else if (e.code != OK && e.code != ERR_NOT_FOUND)
			return e;
	}
	words[count] = NULL;
	*out = words;
	return SUCCESS;
}

static struct err judge(struct arena *a, struct flow *f, const struct entry *person, const struct password *password,
    struct form_problems *out)
{
	struct password_rules rules = {
		.blocklist = f->blocklist,
		.least = flow_set(
		    person->second_factor ? &f->set.password_least_with_second_factor : &f->set.password_least),
	};

	TRY(words_of(a, f, person, &rules.words));
	password_judge(a, &rules, password, "/new_password", out);
	return SUCCESS;
}

void password_refused(struct arena *a, enum password_outcome outcome, const char *pointer, struct form_problems *out)
{
	static const char *const rules[] = {
		[PASSWORD_TOO_SHORT] = "is too short for the directory",
		[PASSWORD_IN_HISTORY] = "must not be one of your last passwords",
		[PASSWORD_REFUSED] = "is refused by the directory's policy",
	};

	account_problem(a, out, pointer, rules[outcome >= PASSWORD_TOO_SHORT ? outcome : PASSWORD_REFUSED]);
}

/* ---- what was begun with the old one ---- */

struct open_sessions {
	const struct flow *flow;
	const struct person *person;
	int64_t now;
	char ids[SESSIONS_AT_ONCE][DIGEST_TEXT];
	size_t count;
};

static bool look_at_session(void *self, const struct session *s)
{
	struct open_sessions *open = self;

	if (session_judge(open->flow, s, open->person, open->now) == REASON_OK)
		secret_hex(s->digest, open->ids[open->count++]);
	return open->count < SESSIONS_AT_ONCE;
}

/* Hardly any is left: one that began in the second of the change, or at a gateway whose clock is ahead. */
static struct err end_sessions(struct arena *a, struct flow *f, const char *uid, struct revision *written)
{
	struct open_sessions *open = arena_alloc(a, sizeof *open);

	TRY(session_settle(f, written));
	do {
		*open = (struct open_sessions){ .flow = f, .now = clock_now() };
		WITH_REPLICA(view, f->replica)
		{
			open->person = replica_person(&view, uid);
			if (open->person != NULL)
				replica_sessions_of(&view, open->person->no, look_at_session, open);
			open->person = NULL;
		}
		for (size_t i = 0; i < open->count; i++) {
			struct revision ended = { 0 };

			TRY(session_end(a, f, open->ids[i], &ended));
			if (ended.micros != 0)
				*written = ended;
		}
		if (open->count > 0)
			TRY(session_settle(f, written));
	} while (open->count == SESSIONS_AT_ONCE);
	return SUCCESS;
}

/* ---- in the place of the old one ---- */

/* The old password, as it is typed in with the code of the second factor behind it. */
struct proof_by {
	const char *uid;
	const struct password *whole;
	size_t old_size;
	char code[16]; /* "": none */
};

static struct err change(struct flow *f, const struct caller *c, const struct proof_by *by, const struct password *new,
    struct renewal *r, struct bind_result *out)
{
	static const char event[] = "password.change";
	enum password_outcome outcome;

	TRY(account_record(f, c, AUDIT_CHANGE, event, by->uid, "permit", NULL, NULL));
	struct err e = dir_change_password(f->dir, by->uid, by->whole->bytes, by->old_size,
	    by->code[0] != '\0' ? by->code : NULL, new->bytes, new->size, &outcome, &r->written);
	r->changed = e.code == OK && outcome == PASSWORD_SET;
	account_outcome(f, c, event, by->uid,
	    e.code == OK && !r->changed ? FAIL(ERR_CONFLICT, "the old or the new one is not right") : e);
	TRY(e);
	out->outcome = outcome == PASSWORD_WRONG ? BIND_WRONG
	    : outcome == PASSWORD_LOCKED	 ? BIND_LOCKED
	    : outcome == PASSWORD_EXPIRED	 ? BIND_EXPIRED
						 : BIND_RIGHT;
	if (out->outcome != BIND_RIGHT)
		return SUCCESS;
	if (!r->changed) {
		password_refused(r->arena, outcome, "/new_password", &r->problems);
		return SUCCESS;
	}
	e = end_sessions(r->arena, f, by->uid, &r->written);
	notice_send(r->arena, f, "password-changed", by->uid, NULL);
	return e;
}

/* Where a link, or the help desk, has ended his sessions meanwhile, the one that he is about to begin is among them. */
static struct err look_again(struct flow *f, const struct entry *before, struct renewal *r)
{
	struct entry now;

	TRY(dir_read(r->arena, f->dir, NULL, KIND_PERSON, NULL, before->id, &now));
	r->begins_at = session_earliest(&now);
	r->overtaken = now.sessions_end != before->sessions_end;
	return SUCCESS;
}

struct err password_renew(struct flow *f, const struct caller *c, const char *uid, const struct password *whole,
    size_t code_size, struct renewal *r, struct bind_result *out)
{
	struct proof_by by = { .uid = uid, .whole = whole, .old_size = whole->size - code_size };
	struct entry person;
	struct password new;

	*out = (struct bind_result){ BIND_WRONG, -1, -1 };
	memcpy(by.code, whole->bytes + by.old_size, code_size);
	password_read(r->bytes, r->size, &new);
	struct err e = dir_read(r->arena, f->dir, NULL, KIND_PERSON, NULL, uid, &person);
	if (e.code == OK)
		e = judge(r->arena, f, &person, &new, &r->problems);
	/* Whatever is wrong with the new one: only who knows the old one is told. */
	if (e.code == OK && r->problems.count > 0)
		e = dir_bind_person(f->dir, uid, whole->bytes, whole->size, out);
	else if (e.code == OK)
		e = change(f, c, &by, &new, r, out);
	if (e.code == OK && r->changed)
		e = look_again(f, &person, r);
	password_wipe(&new);
	secret_wipe(&by, sizeof by);
	return e;
}

/* ---- by a link ---- */

static struct err mail_link(struct arena *a, struct flow *f, const struct entry *person)
{
	char token[TOKEN_TEXT];
	int minutes = flow_set(&f->set.reset_minutes);
	/* A link is for one change: whatever changes the password makes all others void. */
	const char *document = arena_printf(a, "{\"as_of\":\"%s\"}", account_as_of(a, person));

	TRY(grant_make(a, f, RESET, person->id, document, minutes * 60, token));
	char *link = grant_link(a, f, "password-resets", token);
	struct err e = mail_send(f->mail, "password-reset", person->mail,
	    (struct mail_field[]){ { "name", person->name }, { "username", person->id }, { "link", link },
		{ "token", token }, { "minutes", arena_printf(a, "%d", minutes) }, { NULL, NULL } });
	secret_wipe(link, strlen(link));
	secret_wipe(token, sizeof token);
	return e;
}

static bool is_ours(const struct entry *person)
{
	return person->state == STATE_ACTIVE && person->realm == REALM_LOCAL && person->mail != NULL;
}

struct err account_mail_reset(struct arena *a, struct flow *f, const char *uid)
{
	struct entry person;

	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &person));
	if (!is_ours(&person))
		return FAIL(ERR_INVALID, "the account is not active, has no mail address, or is managed elsewhere");
	return mail_link(a, f, &person);
}

/* May a link open it? Not what an administrator has locked: a new password takes away any lock. */
static struct err is_open(struct arena *a, struct flow *f, const struct entry *person, bool *out)
{
	struct dir_failures failures = { 0 };

	if (is_ours(person))
		TRY(dir_failures(a, f->dir, person->id, &failures));
	*out = is_ours(person) && !failures.for_good;
	return SUCCESS;
}

/* ERR_NOT_FOUND: nobody. */
static struct err find(struct arena *a, struct flow *f, const char *mail, const char *username, struct entry *out)
{
	const char *uid;

	if (mail != NULL) {
		TRY(dir_find_mail(a, f->dir, mail, &uid));
	} else {
		char *folded = arena_strdup(a, username);

		text_fold(folded);
		uid = folded;
	}
	return dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, out);
}

/* What cannot be sent is told to nobody: it would say that there is somebody to send it to. */
static struct err answer_request(struct arena *a, struct flow *f, const struct entry *person)
{
	bool open = false;
	struct err e = is_open(a, f, person, &open);

	if (e.code == OK && open)
		e = mail_link(a, f, person);
	else if (e.code == OK && person->realm == REALM_NPPES && person->state == STATE_ACTIVE && person->mail != NULL)
		e = mail_send(f->mail, "password-elsewhere", person->mail,
		    (struct mail_field[]){ { "name", person->name }, { "username", person->id },
			{ "link", f->nppes_link }, { NULL, NULL } });
	if (e.code != OK)
		log_event(LOG_WARNING, "mail.lost", "template=password-reset user=%s error=\"%s\"", person->id, e.what);
	return SUCCESS;
}

struct err flow_reset_request(
    struct arena *a, struct flow *f, const struct caller *c, const char *mail, const char *username, struct mailed *out)
{
	int64_t began_us = clock_steady_us();
	struct entry person = { .id = NULL };
	bool go;

	*out = (struct mailed){ .too_many = false };
	if (f->mail == NULL)
		return FAIL(ERR_UNAVAILABLE, "there is no mail");
	struct err e = find(a, f, mail, username, &person);
	if (e.code != OK && e.code != ERR_NOT_FOUND)
		return e;
	const char *typed = mail != NULL ? mail : username;
	/* By whatever name it is called, an account has one counter. */
	TRY(account_mailed(a, f, c, "password.reset_request", typed, person.id != NULL ? person.id : typed, out, &go));
	if (go && e.code == OK)
		TRY(answer_request(a, f, &person));
	out->answer_at = sign_in_stroke(f, began_us, MAILED_STROKES);
	return SUCCESS;
}

/* A change of the password voids what is older than its second, and what began within it counts as begun behind it. Whoever
 * has changed it in this very second must not stay: all is void that can have begun until now. */
static struct err end_sessions_of_now(struct arena *a, struct flow *f, const char *uid, struct revision *written)
{
	struct entry person, to = { .kind = KIND_PERSON, .id = uid };

	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &person));
	to.sessions_end = session_earliest(&person) + 1;
	return dir_update(a, f->dir, NULL, &to, FIELD_SESSIONS_END, NULL, written);
}

static struct err set(struct arena *a, struct flow *f, struct grant *g, const struct entry *person,
    const struct password *password, struct form_problems *problems, struct revision *written)
{
	enum password_outcome outcome;

	TRY(dir_set_password(f->dir, person->id, password->bytes, password->size, &outcome, written));
	if (outcome != PASSWORD_SET) {
		password_refused(a, outcome, "/new_password", problems);
		return grant_give_back(a, f, g);
	}
	TRY(end_sessions_of_now(a, f, person->id, written));
	TRY(book_forget(a, f, person->id));
	return end_sessions(a, f, person->id, written);
}

static struct err use_link(struct arena *a, struct flow *f, const struct caller *c, struct grant *g,
    const struct entry *person, const struct password *password, struct form_problems *problems,
    struct revision *written)
{
	static const char event[] = "password.reset";

	TRY(grant_use(a, f, g));
	TRY(account_record(f, c, AUDIT_CHANGE, event, person->id, "permit", NULL, NULL));
	struct err e = set(a, f, g, person, password, problems, written);
	account_outcome(f, c, event, person->id,
	    e.code == OK && problems->count > 0 ? FAIL(ERR_CONFLICT, problems->list[0].rule) : e);
	TRY(e);
	if (problems->count == 0)
		notice_send(a, f, "password-changed", person->id, NULL);
	return SUCCESS;
}

struct err flow_reset_finish(struct arena *a, struct flow *f, const struct caller *c, const char *token,
    const char *bytes, size_t size, struct form_problems *problems, struct revision *written)
{
	grant_auto g = { .asked = NULL };
	struct password password;
	struct entry person;
	bool open;

	*problems = (struct form_problems){ .count = 0 };
	TRY(grant_find(a, f, RESET, token, &g));
	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, g.entry.user, &person));
	TRY(is_open(a, f, &person, &open));
	if (!open || !account_is_as_of(a, &person, &g))
		return FAIL(ERR_NOT_FOUND, "the account is not as it was, or the password is not ours to change");
	password_read(bytes, size, &password);
	struct err e = judge(a, f, &person, &password, problems);
	if (e.code == OK && problems->count == 0)
		e = use_link(a, f, c, &g, &person, &password, problems, written);
	password_wipe(&password);
	return e;
}
