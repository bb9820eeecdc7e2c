/* Registering, and what people change of their own accounts. Whether a mail address has an account is told to nobody
 * but to that address. */
#include "flow/account.h"

#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/grant.h"
#include "flow/inside.h"
#include "flow/password.h"

#include "base/banned.h"

#define CLAIMED_MOST 64 /* bytes, as are these */
#define NAME_MOST 100
#define PHONE_LEAST 7 /* digits */
#define PHONE_MOST 32
#define STEM_LEAST 2
#define STEM_MOST 26 /* "-" and up to five digits follow */
#define ROLLS 16
#define LEFT_OVER_S 60 /* a reservation without its account, of a registration that did not get to its end */
#define SECONDS_AN_HOUR 3600

static const char REGISTRATION[] = "registration", MAIL[] = "mail";

/* ---- shared with reset.c ---- */

struct err account_record(struct flow *f, const struct caller *c, enum audit_class class, const char *event,
    const char *uid, const char *outcome, const char *reason, const char *detail)
{
	char held[SHORT_SESSION];
	struct audit_record r = session_record(c, class, event, held);

	r.resource_kind = uid != NULL ? kind_word(KIND_PERSON) : NULL;
	r.resource = uid;
	r.outcome = outcome;
	r.reason = reason;
	r.detail = detail;
	return audit_write(f->audit, &r);
}

void account_outcome(struct flow *f, const struct caller *c, const char *event, const char *uid, struct err e)
{
	bool done = e.code == OK;
	const char *why = e.code == ERR_CONFLICT ? "conflict" : reason_word(UNAVAILABLE);

	if (account_record(
		f, c, AUDIT_DECISION, event, uid, done ? "ok" : "failed", done ? NULL : why, done ? NULL : e.what)
		.code != OK)
		log_event(LOG_ERROR, "audit.lost", "event=%s request=%s", event, c->request_id);
}

void account_problem(struct arena *a, struct form_problems *out, const char *pointer, const char *rule)
{
	struct form_problem *list = arena_alloc(a, (out->count + 1) * sizeof *list);

	if (out->count > 0)
		memcpy(list, out->list, out->count * sizeof *list);
	list[out->count] = (struct form_problem){ pointer, rule };
	*out = (struct form_problems){ list, out->count + 1 };
}

/* Kept in a link. The help desk ends sessions to throw somebody out: he must not come back by a link that he has left. */
const char *account_as_of(struct arena *a, const struct entry *person)
{
	return arena_printf(
	    a, "%lld %lld", (long long)person->password_changed_at, (long long)person->sessions_end);
}

bool account_is_as_of(struct arena *a, const struct entry *person, const struct grant *g)
{
	return text_same(grant_text(g, "as_of"), account_as_of(a, person));
}

/* One spelling, so that forms of an address count as one. */
static char *folded(struct arena *a, const char *text)
{
	char *copy = arena_strdup(a, text);

	text_fold(copy);
	return copy;
}

struct err account_mailed(struct arena *a, struct flow *f, const struct caller *c, const char *event,
    const char *claimed, const char *whom, struct mailed *out, bool *go)
{
	char held[SHORT_SESSION];
	struct audit_record r = session_record(c, AUDIT_SIGN_IN, event, held);

	*go = false;
	if (f->mail == NULL)
		return FAIL(ERR_UNAVAILABLE, "there is no mail");
	out->too_many = grant_too_many(f, c->address != NULL ? c->address : "", NULL);
	/* A flood must not buy a disk write each. */
	r.class = out->too_many ? AUDIT_DECISION : AUDIT_SIGN_IN;
	r.claimed = arena_copy(a, claimed, strnlen(claimed, CLAIMED_MOST));
	r.outcome = out->too_many ? "failed" : "ok";
	r.reason = out->too_many ? "too_many" : NULL;
	TRY(audit_write(f->audit, &r));
	*go = !out->too_many && !grant_too_many(f, NULL, arena_printf(a, "%s %s", event, whom));
	return SUCCESS;
}

static void send(struct flow *f, const char *template, const char *to, const struct mail_field *fields)
{
	struct err e = mail_send(f->mail, template, to, fields);

	/* Told to nobody: it would say that there was something to send. */
	if (e.code != OK)
		log_event(LOG_WARNING, "mail.lost", "template=%s error=\"%s\"", template, e.what);
}

const char *flow_nppes_link(const struct flow *f)
{
	return f->nppes_link;
}

/* ---- user IDs ---- */

/* The first part of a user ID says who somebody is; nobody is to look like one of us. */
static bool is_reserved(const char *stem)
{
	static const char *const words[] = { "root", "admin", "administrator", "superuser", "sysadmin", "operator",
		"system", "daemon", "scfgate", "gateway", "decoy", "replicator", "monitor", "service", "services",
		"helpdesk", "desk", "eus", "support", "security", "auditor", "auditors", "audit", "processor",
		"processors", "official", "officials", "cms", "medicare", "medicaid", "pecos", "nppes", "postmaster",
		"hostmaster", "webmaster", "abuse", "noreply", "mailerdaemon", "nobody", "anonymous", "guest", "test",
		"everyone", "self", "null", "www", "api", "info" };
	char letters[STEM_MOST + 1];
	size_t size = 0;

	for (; *stem != '\0' && size < STEM_MOST; stem++)
		if (*stem >= 'a' && *stem <= 'z')
			letters[size++] = *stem;
	letters[size] = '\0';
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(words[i], letters) == 0)
			return true;
	return size == 0;
}

/* Letters and digits of a name, with dots between its words; accents are left out, and what has no Latin letters. */
static const char *stem_of_name(struct arena *a, const char *name)
{
	char *stem = arena_alloc(a, STEM_MOST + 1);
	size_t size = 0, room = 0;
	uint8_t *plain = u8_normalize(UNINORM_NFKD, (const uint8_t *)name, strlen(name), NULL, &room);

	for (size_t i = 0; plain != NULL && i < room && size < STEM_MOST; i++) {
		char c = (char)(plain[i] >= 'A' && plain[i] <= 'Z' ? plain[i] + ('a' - 'A') : plain[i]);

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			stem[size++] = c;
		else if (plain[i] < 0x80 && size > 0 && stem[size - 1] != '.')
			stem[size++] = '.';
	}
	free(plain);
	while (size > 0 && stem[size - 1] == '.')
		size--;
	stem[size] = '\0';
	return size < STEM_LEAST || is_reserved(stem) ? "user" : stem;
}

/* The ID is not the wish alone, so that nobody learns from a refusal which IDs there are. */
static void roll(const char *stem, int digits, char uid[33])
{
	size_t size = strlen(stem);
	uint32_t chance;

	random_bytes(&chance, sizeof chance);
	memcpy(uid, stem, size);
	uid[size++] = '-';
	for (int i = 0; i < digits; i++, chance /= 10)
		uid[size++] = (char)('0' + chance % 10);
	uid[size] = '\0';
}

static struct err new_uid(struct arena *a, struct flow *f, const char *stem, char uid[33])
{
	for (int i = 0; i < ROLLS; i++) {
		struct entry there;

		roll(stem, i < ROLLS / 2 ? 4 : 5, uid);
		struct err e = dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &there);
		if (e.code == ERR_NOT_FOUND)
			return SUCCESS;
		TRY(e);
	}
	return FAIL(ERR_UNAVAILABLE, "no user ID is left for that name");
}

/* ---- what is filled in ---- */

static bool has_letter(const char *name)
{
	const uint8_t *p = (const uint8_t *)name;
	size_t letters = 0;

	for (ucs4_t c; (p = u8_next(&c, p)) != NULL;)
		letters += uc_is_property_alphabetic(c);
	return letters > 0;
}

static bool is_phone(const char *phone)
{
	size_t size = strlen(phone), digits = 0;

	for (size_t i = 0; i < size; i++)
		digits += phone[i] >= '0' && phone[i] <= '9';
	return digits >= PHONE_LEAST && size <= PHONE_MOST && strspn(phone, "+0123456789 ()-./") == size;
}

static bool is_stem(const char *stem)
{
	size_t size = strlen(stem);

	return size >= STEM_LEAST && size <= STEM_MOST && id_is_uid(stem);
}

static void check_name(struct arena *a, const char *name, struct form_problems *out)
{
	const char *fault = line_fault(name, NAME_MOST);

	if (fault == NULL && !has_letter(name))
		fault = "must have a letter";
	if (fault != NULL)
		account_problem(a, out, "/name", fault);
}

static void check_mail(struct arena *a, const char *mail, struct form_problems *out)
{
	if (!text_is_mail_address(mail))
		account_problem(a, out, "/mail", "must be a mail address like name@example.org");
}

static void check_phone(struct arena *a, const char *phone, struct form_problems *out)
{
	if (phone != NULL && !is_phone(phone))
		account_problem(
		    a, out, "/phone", "must have 7 digits at least, and nothing else but + ( ) - . / and blanks");
}

/* ---- whose a mail address is ---- */

/* ERR_CONFLICT: somebody else's. */
static struct err take_mail(struct arena *a, struct flow *f, const char *mail, const char *uid)
{
	const char *whose;
	struct entry there;
	struct err e = dir_find_mail(a, f->dir, mail, &whose);

	if (e.code == OK && !text_same(whose, uid))
		return FAIL(ERR_CONFLICT, "the mail address has an account");
	if (e.code != OK && e.code != ERR_NOT_FOUND)
		return e;
	e = reserve_take(a, f, MAIL, mail, uid);
	if (e.code != ERR_CONFLICT)
		return e;
	TRY(reserve_held(a, f, MAIL, mail, &there));
	/* Nobody has the address by now: whoever reserved it is doing that just now, or has died over it. */
	if (there.requested_at + LEFT_OVER_S > clock_now())
		return e;
	TRY(reserve_give_back(a, f, MAIL, mail, there.owner));
	return reserve_take(a, f, MAIL, mail, uid);
}

static struct err tell_owner(struct arena *a, struct flow *f, const char *uid, const char *mail)
{
	struct entry person;

	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &person));
	send(f, "registration-known", mail,
	    (struct mail_field[]){ { "name", person.name }, { "username", uid }, { NULL, NULL } });
	return SUCCESS;
}

/* ---- registering ---- */

static const char *hours_text(struct arena *a, const struct flow *f)
{
	return arena_printf(a, "%d", flow_set(&f->set.registration_hours));
}

static struct err invite(struct arena *a, struct flow *f, const struct registration *r, const char *mail)
{
	char token[TOKEN_TEXT], store[512];
	struct text document;

	text_open(&document, store, sizeof store);
	text_puts(&document, "{\"name\":");
	text_json(&document, r->name);
	text_puts(&document, ",\"mail\":");
	text_json(&document, mail);
	text_puts(&document, ",\"stem\":");
	text_json(&document, r->username != NULL ? r->username : stem_of_name(a, r->name));
	text_puts(&document, "}");
	struct err e = grant_make(
	    a, f, REGISTRATION, NULL, document.bytes, flow_set(&f->set.registration_hours) * SECONDS_AN_HOUR, token);
	text_close(&document);
	char *link = grant_link(a, f, "accounts", token);
	if (e.code == OK)
		send(f, "registration", mail,
		    (struct mail_field[]){ { "name", r->name }, { "link", link }, { "token", token },
			{ "hours", hours_text(a, f) }, { NULL, NULL } });
	secret_wipe(link, strlen(link));
	secret_wipe(token, sizeof token);
	return e;
}

static void check_registration(struct arena *a, const struct registration *r, struct form_problems *out)
{
	check_name(a, r->name, out);
	check_mail(a, r->mail, out);
	if (r->username != NULL && !is_stem(r->username))
		account_problem(a, out, "/username",
		    "must be 2 to 26 of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit");
	else if (r->username != NULL && is_reserved(r->username))
		account_problem(a, out, "/username", "is reserved");
}

struct err flow_register(
    struct arena *a, struct flow *f, const struct caller *c, const struct registration *r, struct mailed *out)
{
	int64_t began_us = clock_steady_us();
	const char *mail = folded(a, r->mail), *uid;
	bool go;

	*out = (struct mailed){ .too_many = false };
	check_registration(a, r, &out->problems);
	if (out->problems.count > 0)
		return SUCCESS;
	TRY(account_mailed(a, f, c, "account.register", mail, mail, out, &go));
	if (go) {
		struct err e = dir_find_mail(a, f->dir, mail, &uid);

		if (e.code == ERR_NOT_FOUND)
			TRY(invite(a, f, r, mail));
		else if (e.code == OK)
			TRY(tell_owner(a, f, uid, mail));
		else
			return e;
	}
	out->answer_at = sign_in_stroke(f, began_us, MAILED_STROKES);
	return SUCCESS;
}

/* Another may have got the same ID in between: then the next one. */
static struct err add_person(struct arena *a, struct flow *f, const char *stem, struct entry *person)
{
	char *uid = arena_alloc(a, 33);
	struct revision written;
	struct err e;

	person->id = uid;
	do {
		TRY(new_uid(a, f, stem, uid));
		TRY(take_mail(a, f, person->mail, uid));
		e = dir_add(a, f->dir, NULL, person, &written);
		if (e.code != OK)
			(void)reserve_give_back(a, f, MAIL, person->mail, uid)
			    .code; /* what is left over is found later */
	} while (e.code == ERR_CONFLICT);
	return e;
}

static struct err make_account(struct arena *a, struct flow *f, struct grant *g, const struct password *password,
    struct entry *person, struct form_problems *problems, struct revision *written)
{
	const char *stem = grant_text(g, "stem");
	enum password_outcome outcome;

	TRY(add_person(a, f, stem, person));
	TRY(dir_set_password(f->dir, person->id, password->bytes, password->size, &outcome, written));
	if (outcome == PASSWORD_SET)
		return session_settle(f, written);
	password_refused(a, outcome, "/password", problems);
	/* Nobody has heard of that account, and nobody has its password. */
	struct entry to = { .kind = KIND_PERSON, .id = person->id, .state = STATE_REMOVED };
	struct guard guard = { .state = STATE_ACTIVE };
	TRY(dir_update(a, f->dir, NULL, &to, FIELD_STATE, &guard, written));
	TRY(reserve_give_back(a, f, MAIL, person->mail, person->id));
	return grant_give_back(a, f, g);
}

static struct err finish(struct arena *a, struct flow *f, const struct caller *c, struct grant *g,
    const struct password *password, struct entry *out, struct form_problems *problems, struct revision *written)
{
	static const char event[] = "account.create";

	TRY(grant_use(a, f, g));
	TRY(account_record(f, c, AUDIT_CHANGE, event, NULL, "permit", NULL, NULL));
	struct err e = make_account(a, f, g, password, out, problems, written);
	bool refused = e.code == OK && problems->count > 0;
	account_outcome(f, c, event, out->id, refused ? FAIL(ERR_CONFLICT, problems->list[0].rule) : e);
	if (e.code != OK || refused)
		return e;
	send(f, "registered", out->mail,
	    (struct mail_field[]){ { "name", out->name }, { "username", out->id }, { NULL, NULL } });
	return SUCCESS;
}

struct err flow_register_finish(struct arena *a, struct flow *f, const struct caller *c, const char *token,
    const char *bytes, size_t size, const char *phone, struct entry *out, struct form_problems *problems,
    struct revision *written)
{
	grant_auto g = { .asked = NULL };
	struct password password;

	*problems = (struct form_problems){ .count = 0 };
	TRY(grant_find(a, f, REGISTRATION, token, &g));
	const char *words[] = { grant_text(&g, "name"), grant_text(&g, "mail"), grant_text(&g, "stem"), NULL };
	struct password_rules rules = { f->blocklist, flow_set(&f->set.password_least), words };
	*out = (struct entry){ .kind = KIND_PERSON,
		.state = STATE_ACTIVE,
		.realm = REALM_LOCAL,
		.name = arena_strdup(a, words[0]),
		.mail = arena_strdup(a, words[1]),
		.phone = phone,
		.signed_in_at = clock_now() }; /* the days without a sign-in are counted from now on */
	password_read(bytes, size, &password);
	password_judge(a, &rules, &password, "/password", problems);
	check_phone(a, phone, problems);
	struct err e = problems->count == 0 ? finish(a, f, c, &g, &password, out, problems, written) : SUCCESS;
	password_wipe(&password);
	return e;
}

/* ---- profile ---- */

struct err flow_profile(struct arena *a, struct flow *f, const struct caller *c, struct profile *out)
{
	*out = (struct profile){ .mail_to_confirm = NULL };
	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, c->uid, &out->person));
	out->managed_at = out->person.realm == REALM_NPPES ? f->nppes_link : NULL;
	return SUCCESS;
}

/* In the person's name: the directory lets him change just these. */
static struct err change_card(struct arena *a, struct flow *f, const struct caller *c,
    const struct profile_change *change, const struct revision *expected, struct revision *written)
{
	static const char event[] = "profile.update";
	bool phone = change->phone != NULL || change->no_phone;
	struct entry to = { .kind = KIND_PERSON, .id = c->uid, .name = change->name, .phone = change->phone };
	struct guard guard = { .state = STATE_ACTIVE, .revision = *expected };
	unsigned fields = (change->name != NULL ? FIELD_NAME : 0) | (phone ? FIELD_PHONE : 0);

	TRY(account_record(f, c, AUDIT_CHANGE, event, c->uid, "permit", NULL,
	    change->name == NULL ? "phone"
	    : phone              ? "name, phone"
				 : "name"));
	struct err e = dir_update(a, f->dir, c->uid, &to, fields, &guard, written);
	if (e.code == OK)
		e = session_settle(f, written);
	account_outcome(f, c, event, c->uid, e);
	return e;
}

static struct err ask_to_confirm(struct arena *a, struct flow *f, const struct entry *person, const char *mail)
{
	char token[TOKEN_TEXT], store[512];
	struct text document;

	text_open(&document, store, sizeof store);
	text_puts(&document, "{\"mail\":");
	text_json(&document, mail);
	text_puts(&document, ",\"before\":");
	text_json(&document, person->mail != NULL ? person->mail : "");
	text_puts(&document, ",\"as_of\":");
	text_json(&document, account_as_of(a, person));
	text_puts(&document, "}");
	struct err e = grant_make(
	    a, f, MAIL, person->id, document.bytes, flow_set(&f->set.registration_hours) * SECONDS_AN_HOUR, token);
	text_close(&document);
	char *link = grant_link(a, f, "mail-confirmations", token);
	if (e.code == OK)
		send(f, "mail-change", mail,
		    (struct mail_field[]){ { "name", person->name }, { "username", person->id }, { "link", link },
			{ "token", token }, { "hours", hours_text(a, f) }, { NULL, NULL } });
	secret_wipe(link, strlen(link));
	secret_wipe(token, sizeof token);
	return e;
}

static struct err change_mail(struct arena *a, struct flow *f, const struct entry *person, const char *mail)
{
	const char *whose;
	struct err e = dir_find_mail(a, f->dir, mail, &whose);
	if (e.code == ERR_NOT_FOUND || (e.code == OK && text_same(whose, person->id)))
		return ask_to_confirm(a, f, person, mail);
	TRY(e);
	return tell_owner(a, f, whose, mail);
}

static void check_change(struct arena *a, const struct profile_change *change, struct form_problems *out)
{
	if (change->name != NULL)
		check_name(a, change->name, out);
	if (change->mail != NULL)
		check_mail(a, change->mail, out);
	check_phone(a, change->phone, out);
}

struct err flow_profile_change(struct arena *a, struct flow *f, const struct caller *c,
    const struct profile_change *change, const struct revision *expected, struct profile *out, enum reason *why,
    struct mailed *mailed, struct revision *written)
{
	int64_t began_us = clock_steady_us();
	const char *mail = change->mail != NULL ? folded(a, change->mail) : NULL;

	*mailed = (struct mailed){ .too_many = false };
	*written = (struct revision){ 0 };
	*why = REASON_OK;
	check_change(a, change, &mailed->problems);
	TRY(flow_profile(a, f, c, out));
	if (out->managed_at != NULL)
		*why = MANAGED_ELSEWHERE;
	if (mail != NULL && text_same(mail, out->person.mail))
		mail = NULL;
	/* Whoever has the address can set a new password: a session alone is not enough to give it away. */
	if (*why == REASON_OK && mail != NULL && clock_now() - c->authenticated_at >= flow_set(&f->set.recent_s))
		*why = REAUTHENTICATION_REQUIRED;
	if (*why != REASON_OK || mailed->problems.count > 0)
		return SUCCESS;
	if (revision_compare(&out->person.revision, expected) != 0)
		return FAIL(ERR_CONFLICT, "the profile has changed");
	if (mail != NULL) {
		bool go;

		TRY(account_mailed(a, f, c, "mail.change_request", mail, c->uid, mailed, &go));
		/* To the person himself it is told: he is signed in. */
		mailed->too_many = !go;
	}
	if (mailed->too_many)
		return SUCCESS;
	if (change->name != NULL || change->phone != NULL || change->no_phone) {
		TRY(change_card(a, f, c, change, expected, written));
		TRY(flow_profile(a, f, c, out));
	}
	if (mail == NULL)
		return SUCCESS;
	TRY(change_mail(a, f, &out->person, mail));
	out->mail_to_confirm = mail;
	mailed->answer_at = sign_in_stroke(f, began_us, MAILED_STROKES);
	return SUCCESS;
}

static struct err set_mail(
    struct arena *a, struct flow *f, const struct entry *person, const char *mail, struct revision *written)
{
	struct entry to = { .kind = KIND_PERSON, .id = person->id, .mail = mail };
	struct guard guard = { .state = STATE_ACTIVE };

	TRY(take_mail(a, f, mail, person->id));
	TRY(dir_update(a, f->dir, NULL, &to, FIELD_MAIL, &guard, written));
	if (person->mail != NULL)
		TRY(reserve_give_back(a, f, MAIL, folded(a, person->mail), person->id));
	return session_settle(f, written);
}

struct err flow_mail_confirm(
    struct arena *a, struct flow *f, const struct caller *c, const char *token, struct revision *written)
{
	static const char event[] = "mail.change";
	grant_auto g = { .asked = NULL };
	struct entry person;

	TRY(grant_find(a, f, MAIL, token, &g));
	TRY(dir_read(a, f->dir, NULL, KIND_PERSON, NULL, g.entry.user, &person));
	if (person.state != STATE_ACTIVE || !account_is_as_of(a, &person, &g) ||
	    !text_same(person.mail != NULL ? person.mail : "", grant_text(&g, "before")))
		return FAIL(ERR_NOT_FOUND, "the account is not as it was when the link was asked for");
	TRY(grant_use(a, f, &g));
	TRY(account_record(f, c, AUDIT_CHANGE, event, person.id, "permit", NULL, NULL));
	struct err e = set_mail(a, f, &person, arena_strdup(a, grant_text(&g, "mail")), written);
	account_outcome(f, c, event, person.id, e);
	TRY(e);
	/* The old address is the one place where somebody would learn that it was not he. */
	if (person.mail != NULL)
		send(f, "mail-changed", person.mail,
		    (struct mail_field[]){ { "name", person.name }, { "username", person.id }, { NULL, NULL } });
	return SUCCESS;
}
