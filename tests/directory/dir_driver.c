/* Drives dir/ by itself, without the daemon: reads commands (fields parted by tabs) from stdin and writes one line for
 * each to stdout; the stream runs beside them and writes lines of its own. Started by test_dir.py. */
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "dir/inside.h"

static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

[[gnu::format(printf, 1, 2)]] static void say(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&writing);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	pthread_mutex_unlock(&writing);
}

static const char *or_dash(const char *text)
{
	return text != NULL ? text : "-";
}

static const char *no_dash(const char *text)
{
	return text == NULL || strcmp(text, "-") == 0 ? NULL : text;
}

static enum kind kind_of(const char *word)
{
	for (int k = 0; k < KINDS; k++)
		if (word != NULL && strcmp(word, kind_word((enum kind)k)) == 0)
			return (enum kind)k;
	fprintf(stderr, "no kind: %s\n", or_dash(word));
	exit(2);
}

static const char *code_word(enum err_code code)
{
	static const char *const words[] = { "ok", "invalid", "not-found", "conflict", "unavailable", "bug" };

	return words[code];
}

/* ---- the stream ---- */

struct follower {
	struct dir_stream *stream;
	pthread_t thread;
	atomic_bool ending, quiet;
	atomic_ulong entries;
	int64_t began_us;
	bool anew;
};

static void on_begin(void *self, bool anew)
{
	struct follower *f = self;

	atomic_store(&f->entries, 0);
	f->anew = anew;
	f->began_us = clock_steady_us();
	say("stream\tbegin\t%s", anew ? "anew" : "resumed");
}

static void say_list(char *out, size_t room, const char *const *list)
{
	size_t used = 0;

	out[0] = '\0';
	for (; list != NULL && *list != NULL && used < room; list++)
		used += (size_t)snprintf(out + used, room - used, "%s%s", used > 0 ? "," : "", *list);
}

static void on_entry(void *self, const struct entry *e)
{
	struct follower *f = self;
	char uuid[UUID_TEXT], csn[REVISION_TEXT], list[600];

	atomic_fetch_add(&f->entries, 1);
	if (atomic_load(&f->quiet))
		return;
	uuid_format(&e->uuid, uuid);
	revision_format(&e->revision, csn);
	say_list(list, sizeof list,
	    e->kind == KIND_ROLE           ? e->members
	    : e->kind == KIND_ORGANIZATION ? e->barred
					   : e->permissions);
	say("stream\tentry\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%" PRId64 "\t%" PRId64, uuid, csn,
	    kind_word(e->kind), e->id, state_word(e->state), or_dash(e->provider), or_dash(e->employer),
	    or_dash(e->user), or_dash(e->official), e->is_employer, (int)e->provider_kind, list, e->not_after,
	    e->expires);
}

static void on_misfit(
    void *self, const struct uuid *uuid, const struct revision *revision, const char *dn, const char *why)
{
	char text[UUID_TEXT];

	(void)self, (void)revision;
	uuid_format(uuid, text);
	say("stream\tmisfit\t%s\t%s\t%s", text, dn, why);
}

static void on_present(void *self, const struct uuid *uuid)
{
	char text[UUID_TEXT];
	struct follower *f = self;

	if (atomic_load(&f->quiet))
		return;
	uuid_format(uuid, text);
	say("stream\tpresent\t%s", text);
}

static void on_gone(void *self, const struct uuid *uuid)
{
	char text[UUID_TEXT];

	(void)self;
	uuid_format(uuid, text);
	say("stream\tgone\t%s", text);
}

static void on_refreshed(void *self, bool sweep)
{
	struct follower *f = self;

	say("stream\trefreshed\t%s\t%lu\t%" PRId64, sweep ? "sweep" : "keep", atomic_load(&f->entries),
	    clock_steady_us() - f->began_us);
}

static void on_reached(void *self, const struct revision *revision)
{
	char csn[REVISION_TEXT];

	(void)self;
	revision_format(revision, csn);
	say("stream\treached\t%s", csn);
}

static void *follow(void *self)
{
	struct follower *f = self;

	while (!atomic_load(&f->ending)) {
		struct err e = dir_stream_run(f->stream);

		say("stream\tended\t%s\t%s", code_word(e.code), or_dash(e.what));
		if (e.code == OK)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	return NULL;
}

static void stream_start(struct follower *f, struct dir *d)
{
	struct dir_listener listener = { f, on_begin, on_entry, on_misfit, on_present, on_gone, on_refreshed,
		on_reached };

	if (dir_stream_open(d, &listener, &f->stream).code || pthread_create(&f->thread, NULL, follow, f) != 0)
		exit(2);
}

static void stream_stop(struct follower *f)
{
	int64_t began = clock_steady_ms();

	if (f->stream == NULL)
		return;
	atomic_store(&f->ending, true);
	dir_stream_stop(f->stream);
	pthread_join(f->thread, NULL);
	dir_stream_close(f->stream);
	f->stream = NULL;
	say("answer\tstopped\t%" PRId64, clock_steady_ms() - began);
}

/* ---- many binds at once ---- */

struct storm {
	struct dir *dir;
	const char *uid, *password;
	atomic_int left, right, wrong, failed, mistaken;
};

static void *storm_worker(void *self)
{
	struct storm *s = self;
	int n;

	while ((n = atomic_fetch_sub(&s->left, 1)) > 0) {
		struct bind_result r;
		bool good = n % 3 == 0, unknown = n % 3 == 1;
		const char *password = good ? s->password : "not that one at all";
		struct err e =
		    dir_bind_person(s->dir, unknown ? "nobody.here" : s->uid, password, strlen(password), &r);

		if (e.code) {
			atomic_fetch_add(&s->failed, 1);
			continue;
		}
		atomic_fetch_add(r.outcome == BIND_RIGHT ? &s->right : &s->wrong, 1);
		if ((r.outcome == BIND_RIGHT) != good)
			atomic_fetch_add(&s->mistaken, 1);
	}
	return NULL;
}

/* Who is each handle of the pool for the server? Counts those that are not the service. */
static int strangers_in(struct pool *pool)
{
	struct connection *all[64];
	int count = 0, strangers = 0;

	for (; count < pool->size && count < 64; count++)
		if (pool_borrow(pool, &all[count]).code)
			break;
	strangers = pool->size - count;
	for (int i = 0; i < count; i++) {
		struct berval *name = NULL;
		bool service = ldap_whoami_s(all[i]->ld, &name, NULL, NULL) == LDAP_SUCCESS && name != NULL &&
			       name->bv_val != NULL && pool->connector->settings->bind_dn != NULL &&
			       strcasecmp(name->bv_val + 3, pool->connector->settings->bind_dn) == 0;

		strangers += !service;
		ber_bvfree(name);
		pool_return(pool, all[i]);
	}
	return strangers;
}

static void storm(struct dir *d, int threads, int total, const char *uid, const char *password)
{
	struct storm s = { .dir = d, .uid = uid, .password = password, .left = total };
	pthread_t workers[64];

	for (int i = 0; i < threads; i++)
		pthread_create(&workers[i], NULL, storm_worker, &s);
	for (int i = 0; i < threads; i++)
		pthread_join(workers[i], NULL);
	say("answer\tstorm\t%d\t%d\t%d\t%d\t%d", s.right, s.wrong, s.failed, s.mistaken,
	    strangers_in(&d->searches) + strangers_in(&d->writers) + strangers_in(&d->beat));
}

/* ---- races ---- */

struct race {
	struct dir *dir;
	struct entry to;
	struct guard guard;
	pthread_barrier_t *start;
	struct err result;
	struct revision reached;
};

static void *race_worker(void *self)
{
	struct race *r = self;
	struct arena *a = arena_open();

	pthread_barrier_wait(r->start);
	r->result = dir_update(a, r->dir, NULL, &r->to, FIELD_STATE | FIELD_SEEN_AT, &r->guard, &r->reached);
	arena_close(a);
	return NULL;
}

static struct entry session_named(const char *id, const char *uid)
{
	int64_t now = clock_now();

	return (struct entry){ .kind = KIND_SESSION,
		.state = STATE_ACTIVE,
		.id = id,
		.user = uid,
		.started_at = now,
		.seen_at = now,
		.authenticated_at = now,
		.expires = now + 3600,
		.address = "127.0.0.1",
		.agent = "driver" };
}

/* Two threads want the same session to end; exactly one may be told that it did. */
static void race(struct dir *d, const char *uid, int rounds)
{
	int one = 0, both = 0, none = 0, other = 0;
	struct arena *a = arena_open();

	for (int i = 0; i < rounds; i++, arena_reset(a)) {
		char token[TOKEN_TEXT], id[DIGEST_TEXT];
		struct revision csn;
		pthread_barrier_t start;
		pthread_t threads[2];

		random_token(token);
		secret_digest(token, strlen(token), id);
		struct entry e = session_named(id, uid);
		if (dir_add(a, d, NULL, &e, &csn).code) {
			other++;
			continue;
		}
		pthread_barrier_init(&start, NULL, 2);
		struct race races[2] = { { .dir = d, .to = e, .guard = { STATE_ACTIVE, { 0 } }, .start = &start } };
		races[0].to.state = STATE_ENDED;
		races[1] = races[0];
		if (i % 2 == 0) /* half the rounds by revision */
			races[0].guard = races[1].guard = (struct guard){ STATE_NONE, csn };
		for (int t = 0; t < 2; t++)
			pthread_create(&threads[t], NULL, race_worker, &races[t]);
		for (int t = 0; t < 2; t++)
			pthread_join(threads[t], NULL);
		pthread_barrier_destroy(&start);
		int won = (races[0].result.code == OK) + (races[1].result.code == OK);
		int lost = (races[0].result.code == ERR_CONFLICT) + (races[1].result.code == ERR_CONFLICT);
		one += won == 1 && lost == 1;
		both += won == 2;
		none += won == 0;
		other += won + lost != 2;
	}
	arena_close(a);
	say("answer\trace\t%d\t%d\t%d\t%d", one, both, none, other);
}

/* ---- single commands ---- */

static size_t from_hex(char *text)
{
	size_t size = 0;

	for (const char *p = text; p[0] != '\0' && p[1] != '\0'; p += 2, size++) {
		unsigned byte = 0;
		sscanf(p, "%2x", &byte);
		text[size] = (char)byte;
	}
	return size;
}

static void command_bind(struct dir *d, const char *uid, char *password)
{
	static const char *const outcomes[] = { "right", "wrong", "locked", "must-change", "expired" };
	struct bind_result r;
	size_t size = from_hex(password);
	int64_t began = clock_steady_us();
	struct err e = dir_bind_person(d, no_dash(uid), password, size, &r);

	say("answer\tbind\t%s\t%s\t%d\t%" PRId64 "\t%" PRId64 "\t%s", code_word(e.code), outcomes[r.outcome], r.grace,
	    r.expires, clock_steady_us() - began, or_dash(e.what));
}

static void command_read(
    struct arena *a, struct dir *d, const char *as, const char *kind, const char *provider, const char *id)
{
	struct entry e;
	char csn[REVISION_TEXT];
	int64_t began = clock_steady_us();
	struct err r = dir_read(a, d, no_dash(as), kind_of(kind), no_dash(provider), id, &e);

	revision_format(&e.revision, csn);
	say("answer\tread\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%zu\t%s\t%" PRId64, code_word(r.code), csn, or_dash(e.id),
	    state_word(e.state), or_dash(e.name), or_dash(e.provider), or_dash(e.form), or_dash(e.status),
	    e.document_size, or_dash(r.what), clock_steady_us() - began);
}

static void say_write(const char *what, struct err e, const struct revision *reached)
{
	char csn[REVISION_TEXT];

	revision_format(reached, csn);
	say("answer\t%s\t%s\t%s\t%s", what, code_word(e.code), csn, or_dash(e.what));
}

static void command_add_session(struct arena *a, struct dir *d, const char *id, const char *uid)
{
	struct entry e = session_named(id, uid);
	struct revision csn;

	say_write("add", dir_add(a, d, NULL, &e, &csn), &csn);
}

static void command_state(struct arena *a, struct dir *d, const char *kind, const char *provider, const char *id,
    const char *from, const char *to, const char *as)
{
	struct entry e = { .kind = kind_of(kind), .provider = no_dash(provider), .id = id, .state = state_of_word(to) };
	struct guard guard = { .state = from == NULL ? STATE_NONE : state_of_word(from) };
	struct revision csn;

	say_write("state", dir_update(a, d, as, &e, FIELD_STATE, &guard, &csn), &csn);
}

static void command_document(struct arena *a, struct dir *d, const char *as, const char *provider, const char *id,
    const char *csn, const char *bytes)
{
	size_t size = bytes == NULL ? 0 : strtoul(bytes, NULL, 10);
	char *document = arena_alloc(a, size + 3);
	struct entry e = {
		.kind = KIND_RECORD, .provider = provider, .id = id, .document = document, .document_size = size + 2
	};
	struct guard guard = { .state = STATE_NONE };
	struct revision reached;

	memset(document, ' ', size + 2);
	document[0] = '{';
	document[size + 1] = '}';
	if (csn != NULL && no_dash(csn) != NULL && !revision_parse(csn, strlen(csn), &guard.revision))
		exit(2);
	say_write("document", dir_update(a, d, no_dash(as), &e, FIELD_DOCUMENT, &guard, &reached), &reached);
}

/* ---- passwords, second factors, attachments ---- */

static void command_change(struct dir *d, const char *uid, const char *old, const char *otp, const char *new)
{
	static const char *const outcomes[] = {
		[PASSWORD_SET] = "set", [PASSWORD_WRONG] = "wrong", [PASSWORD_LOCKED] = "locked", [PASSWORD_EXPIRED] = "expired",
		[PASSWORD_TOO_SHORT] = "too-short", [PASSWORD_IN_HISTORY] = "in-history", [PASSWORD_REFUSED] = "refused",
	};
	enum password_outcome outcome;
	struct revision csn;
	struct err e = no_dash(old) == NULL ? dir_set_password(d, uid, new, strlen(new), &outcome, &csn)
					    : dir_change_password(d, uid, old, strlen(old), no_dash(otp), new,
						  strlen(new), &outcome, &csn);

	say("answer\tchange\t%s\t%s\t%d\t%s", code_word(e.code), outcomes[outcome], csn.micros != 0, or_dash(e.what));
}

static void command_failures(struct arena *a, struct dir *d, const char *uid)
{
	struct dir_failures found;
	struct err e = dir_failures(a, d, uid, &found);

	say("answer\tfailures\t%s\t%d\t%" PRId64 "\t%d", code_word(e.code), found.count, found.last, found.locked);
}

static void command_bind_and_read(struct arena *a, struct dir *d, const char *uid, const char *password)
{
	struct bind_result result;
	struct entry found;
	struct err e = dir_bind_and_read(a, d, uid, password, strlen(password), &result, &found);

	say("answer\tbind-and-read\t%s\t%d\t%s\t%s\t%s", code_word(e.code), result.outcome == BIND_RIGHT,
	    or_dash(found.name), or_dash(found.mail), found.npis != NULL ? found.npis[0] : "-");
}

static void command_factor(struct arena *a, struct dir *d, const char *what, const char *uid, char *value)
{
	unsigned char secret[64];
	char hex[2 * sizeof secret + 1] = "";
	const char *digests[] = { value,
		value != NULL ? "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0" : NULL, NULL };
	struct revision csn = { 0 };
	size_t size = 0;
	bool active = false;
	struct err e = SUCCESS;

	if (strcmp(what, "enrol") == 0) {
		size = from_hex(value);
		e = dir_totp_enrol(d, uid, (unsigned char *)value, size, &csn);
	} else if (strcmp(what, "activate") == 0) {
		e = dir_totp_activate(a, d, uid, digests, &csn);
	} else if (strcmp(what, "remove") == 0) {
		e = dir_totp_remove(d, uid, &csn);
	} else {
		e = dir_totp_secret(d, uid, secret, &size, &active);
		for (size_t i = 0; i < size; i++)
			snprintf(hex + 2 * i, 3, "%02x", secret[i]);
	}
	say("answer\tfactor\t%s\t%s\t%d\t%d\t%s", code_word(e.code), hex, active, csn.micros != 0, or_dash(e.what));
}

static bool say_head(void *self, const struct attachment *at)
{
	(void)self;
	say("stream\thead\t%s\t%s\t%s\t%s\t%" PRId64 "\t%" PRId64, at->id, or_dash(at->user), or_dash(at->media_type),
	    or_dash(at->digest), at->size, at->at);
	return true;
}

static void command_attachment(struct arena *a, struct dir *d, char **w)
{
	const char *verb = w[1], *id = w[2];
	struct attachment at = { .id = id, .user = "quinn", .media_type = w[3], .digest = w[4], .at = 1780000000 };
	int number_of_part = w[3] != NULL ? (int)strtol(w[3], NULL, 10) : 0;
	size_t size = 0;
	const void *bytes = NULL;
	struct revision csn = { 0 };
	struct err e;

	if (strcmp(verb, "begin") == 0) {
		e = dir_attachment_begin(a, d, &at, &csn);
	} else if (strcmp(verb, "part") == 0) {
		size = strtoul(w[4], NULL, 10);
		e = dir_attachment_part(a, d, id, number_of_part, arena_alloc(a, size + 1), size);
	} else if (strcmp(verb, "finish") == 0) {
		at.size = 300000;
		e = dir_attachment_finish(a, d, &at, &csn);
	} else if (strcmp(verb, "head") == 0) {
		e = dir_attachment_head(a, d, no_dash(w[3]), id, &at);
		if (e.code == OK)
			say_head(NULL, &at);
	} else if (strcmp(verb, "read") == 0) {
		e = dir_attachment_read(a, d, no_dash(w[4]), id, number_of_part, &bytes, &size);
	} else if (strcmp(verb, "each") == 0) {
		e = dir_attachment_each(a, d, say_head, NULL);
	} else {
		e = dir_attachment_remove(a, d, id);
	}
	say("answer\tattachment\t%s\t%zu\t%s", code_word(e.code), size, or_dash(e.what));
}

/* An association, claim or consent of that provider, by whoever it is of. */
static void command_add(struct arena *a, struct dir *d, const char *as, const char *kind, const char *provider,
    const char *id, const char *user)
{
	struct entry e = {
		.kind = kind_of(kind),
		.provider = provider,
		.id = id,
		.user = user,
		.employer = "meridian",
		.requested_by = user,
		.requested_at = clock_now(),
		.state = kind_of(kind) == KIND_ASSOCIATION ? STATE_PENDING
			 : kind_of(kind) == KIND_CLAIM     ? STATE_SUBMITTED
							   : STATE_PREPARED,
	};
	struct revision csn;

	say_write("add", dir_add(a, d, no_dash(as), &e, &csn), &csn);
}

static void command_delete(struct arena *a, struct dir *d, const char *kind, const char *id)
{
	struct entry e = { .kind = kind_of(kind), .id = id };
	struct revision csn;

	say_write("delete", dir_delete(a, d, NULL, &e, NULL, &csn), &csn);
}

static void command_find_mail(struct arena *a, struct dir *d, const char *mail)
{
	const char *uid = NULL;
	struct err e = dir_find_mail(a, d, mail, &uid);

	say("answer\tfind-mail\t%s\t%s", code_word(e.code), or_dash(uid));
}

static void command_check(struct arena *a, struct dir *d)
{
	int64_t began = clock_steady_ms();
	struct err e = dir_check(a, d);

	say("answer\tcheck\t%s\t%" PRId64 "\t%s", code_word(e.code), clock_steady_ms() - began, or_dash(e.what));
}

static void command_revision(struct dir *d)
{
	struct revision reached;
	char csn[REVISION_TEXT];
	int64_t began = clock_steady_ms();
	struct err e = dir_revision(d, &reached);

	revision_format(&reached, csn);
	say("answer\trevision\t%s\t%s\t%" PRId64 "\t%s", code_word(e.code), csn, clock_steady_ms() - began,
	    or_dash(e.what));
}

static void command_unlock(struct dir *d, const char *uid)
{
	struct revision csn = { 0 };

	say_write("unlock", dir_unlock(d, uid, &csn), &csn);
}

static void command_furnish(struct arena *a, struct dir *d, const char *provider)
{
	struct err e = dir_furnish(a, d, provider);

	say("answer\tfurnish\t%s\t%s", code_word(e.code), or_dash(e.what));
}

static void command_server(struct dir *d)
{
	say("answer\tserver\t%d", atomic_load(&d->servers.current));
}

static void obey(struct arena *a, struct dir *d, struct follower *f, char *line)
{
	char *w[9] = { NULL }, *rest = line;

	for (int i = 0; i < 9 && rest != NULL; i++)
		w[i] = strsep(&rest, "\t");
	const char *verb = w[0];
	if (strcmp(verb, "bind") == 0)
		command_bind(d, w[1], w[2]);
	else if (strcmp(verb, "storm") == 0)
		storm(d, (int)strtol(w[1], NULL, 10), (int)strtol(w[2], NULL, 10), w[3], w[4]);
	else if (strcmp(verb, "race") == 0)
		race(d, w[1], (int)strtol(w[2], NULL, 10));
	else if (strcmp(verb, "read") == 0)
		command_read(a, d, w[1], w[2], w[3], w[4]);
	else if (strcmp(verb, "add-session") == 0)
		command_add_session(a, d, w[1], w[2]);
	else if (strcmp(verb, "state") == 0)
		command_state(a, d, w[1], w[2], w[3], w[4], w[5], w[6]);
	else if (strcmp(verb, "document") == 0)
		command_document(a, d, w[1], w[2], w[3], w[4], w[5]);
	else if (strcmp(verb, "check") == 0)
		command_check(a, d);
	else if (strcmp(verb, "revision") == 0)
		command_revision(d);
	else if (strcmp(verb, "change") == 0)
		command_change(d, w[1], w[2], w[3], w[4]);
	else if (strcmp(verb, "unlock") == 0)
		command_unlock(d, w[1]);
	else if (strcmp(verb, "failures") == 0)
		command_failures(a, d, w[1]);
	else if (strcmp(verb, "bind-and-read") == 0)
		command_bind_and_read(a, d, w[1], w[2]);
	else if (strcmp(verb, "factor") == 0)
		command_factor(a, d, w[1], w[2], w[3]);
	else if (strcmp(verb, "attachment") == 0)
		command_attachment(a, d, w);
	else if (strcmp(verb, "add") == 0)
		command_add(a, d, w[1], w[2], w[3], w[4], w[5]);
	else if (strcmp(verb, "delete") == 0)
		command_delete(a, d, w[1], w[2]);
	else if (strcmp(verb, "furnish") == 0)
		command_furnish(a, d, w[1]);
	else if (strcmp(verb, "find-mail") == 0)
		command_find_mail(a, d, w[1]);
	else if (strcmp(verb, "server") == 0)
		command_server(d);
	else if (strcmp(verb, "name") == 0)
		say("answer\tname\t%s", dir_name_of(a, d, kind_of(w[1]), no_dash(w[2]), w[3]));
	else if (strcmp(verb, "stream") == 0)
		stream_start(f, d);
	else if (strcmp(verb, "quiet") == 0)
		atomic_store(&f->quiet, true);
	else if (strcmp(verb, "forget") == 0)
		dir_stream_forget(f->stream);
	else if (strcmp(verb, "stop") == 0)
		stream_stop(f);
	else
		exit(2);
}

/* Arguments: name=value, as in struct dir_settings; uri may come several times. */
static void read_settings(int count, char **arguments, struct dir_settings *out)
{
	int uris = 0;
	struct {
		const char *name;
		const char **text;
		int *number;
	} table[] = {
		{ "base", &out->base, NULL },
		{ "people", &out->people, NULL },
		{ "bind_dn", &out->bind_dn, NULL },
		{ "password_file", &out->password_file, NULL },
		{ "ca_file", &out->ca_file, NULL },
		{ "certificate_file", &out->certificate_file, NULL },
		{ "key_file", &out->key_file, NULL },
		{ "connect_timeout_ms", NULL, &out->connect_timeout_ms },
		{ "operation_timeout_ms", NULL, &out->operation_timeout_ms },
		{ "binds", NULL, &out->binds },
		{ "searches", NULL, &out->searches },
		{ "writers", NULL, &out->writers },
	};

	for (int i = 0; i < count; i++) {
		char *value = arguments[i], *name = strsep(&value, "=");
		bool known = strcmp(name, "uri") == 0 && uris < DIR_URIS;

		if (known)
			out->uris[uris++] = value;
		for (size_t t = 0; t < COUNT(table); t++)
			if (strcmp(table[t].name, name) == 0) {
				known = true;
				if (table[t].text != NULL)
					*table[t].text = value;
				else
					*table[t].number = (int)strtol(value, NULL, 10);
			}
		if (!known) {
			fprintf(stderr, "no setting: %s\n", name);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct dir_settings settings = {
		.connect_timeout_ms = 1000, .operation_timeout_ms = 3000, .binds = 4, .searches = 4, .writers = 2
	};
	struct follower follower = { 0 };
	struct dir *d;
	char *line = NULL;
	size_t room = 0;

	read_settings(argc - 1, argv + 1, &settings);
	log_set_level(LOG_DEBUG);
	struct err e = dir_open(&settings, &d);
	if (e.code) {
		say("answer\topen\t%s\t%s", code_word(e.code), or_dash(e.what));
		return 0;
	}
	say("answer\topen\tok\t-");
	struct arena *a = arena_open();
	for (ssize_t size; (size = getline(&line, &room, stdin)) > 0; arena_reset(a)) {
		line[strcspn(line, "\n")] = '\0';
		obey(a, d, &follower, line);
	}
	stream_stop(&follower);
	arena_close(a);
	dir_close(d);
	free(line);
	return 0;
}
