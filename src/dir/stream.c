/* The stream: a consumer of content synchronization (RFC 4533) on a handle of its own. */
#include "dir/dir.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "dir/inside.h"
#include "dir/parse.h"
#include "dir/sync.h"

#include "base/banned.h"

#define TICK_MS 100         /* how often a silent stream looks whether others have gone over to another server */
#define GATHER_NS 500000    /* a fraction of what the socket's buffer holds at the best of speeds */
#define FROM_FUTURE_MS 1000 /* how long a mirror may lag behind the server that gave us the cookie */

struct dir_stream {
	struct dir *dir;
	struct dir_listener listener;
	struct arena *arena; /* reset for each message */
	struct connection connection;
	int search; /* message id */

	unsigned char *cookie; /* of a complete state only; NULL: none, begin anew */
	size_t cookie_size;
	unsigned char *pending; /* told during a refresh, taken over at its end */
	size_t pending_size;
	int64_t refused_since; /* a server knew less than the cookie; 0: no */

	bool anew;  /* this run has sent no cookie */
	bool begun; /* the listener has been told of the refresh */
	bool refreshing;
	bool saw_present; /* the refresh has had a present phase */

	pthread_mutex_t lock; /* of the rest */
	struct watched watched;
	bool running, stopped;
	bool forget_first; /* drop the cookie before the next run */
};

/* ---- cookies ---- */

static void keep(unsigned char **where, size_t *where_size, const unsigned char *bytes, size_t size)
{
	*where = must_realloc(*where, size);
	memcpy(*where, bytes, size);
	*where_size = size;
}

static void drop(unsigned char **where, size_t *where_size)
{
	free(*where);
	*where = NULL;
	*where_size = 0;
}

/* What a cookie promises has been told before this is called. */
static void reach(struct dir_stream *s, const unsigned char *cookie, size_t size)
{
	struct revision revision;

	if (!sync_revision(cookie, size, &revision))
		return;
	keep(&s->cookie, &s->cookie_size, cookie, size);
	servers_saw(&s->dir->servers, &revision);
	s->listener.reached(s->listener.self, &revision);
}

/* In the middle of a refresh a cookie promises what has not been told yet: if the connection were lost then, a later
 * run would miss it. */
static void take_cookie(struct dir_stream *s, const struct sync_cookie *cookie)
{
	if (cookie->at == NULL || cookie->size == 0)
		return;
	if (s->refreshing)
		keep(&s->pending, &s->pending_size, cookie->at, cookie->size);
	else
		reach(s, cookie->at, cookie->size);
}

/* ---- what is told ---- */

static struct slice slice_of(const struct berval *value)
{
	return (struct slice){ (unsigned char *)value->bv_val, value->bv_len };
}

static void begin(struct dir_stream *s)
{
	if (s->refreshing && !s->begun) {
		s->begun = true;
		s->listener.begin(s->listener.self, s->anew);
	}
}

static void tell_misfit(struct dir_stream *s, const struct uuid *uuid, const struct revision *revision,
    const struct berval *dn, const char *why)
{
	s->listener.misfit(s->listener.self, uuid, revision, arena_copy(s->arena, dn->bv_val, dn->bv_len), why);
}

/* What lies elsewhere is no matter of ours, but it may have been moved there from a place that is. */
static void tell_elsewhere(struct dir_stream *s, const struct uuid *uuid)
{
	if (!(s->refreshing && s->anew))
		s->listener.gone(s->listener.self, uuid);
}

static bool parse_all(struct parse *p, BerElement *attributes)
{
	struct berval element;

	while (ber_skip_element(attributes, &element) == SLICE_SEQUENCE)
		if (!parse_attribute(p, slice_of(&element)))
			return false;
	return true;
}

static const char *misplaced(struct dir_stream *s, enum where where, const struct place *place)
{
	const char *naming = place_naming(place->kind), *kind = kind_word(place->kind);

	if (where == PLACE_LOST)
		return arena_printf(s->arena, "%s: at no place in the tree where %s entries lie", naming, kind);
	return arena_printf(s->arena, "%s: not an id that %s entries have", naming, kind);
}

static bool tell_entry(struct dir_stream *s, const struct uuid *uuid, const struct berval *dn, BerElement *attributes)
{
	struct place place = { .kind = KIND_PERSON };
	struct entry entry;
	struct parse p;
	enum where where = place_of(&s->dir->schema, dn->bv_val, dn->bv_len, &place);

	if (where == PLACE_ELSEWHERE) {
		tell_elsewhere(s, uuid);
		return true;
	}
	parse_begin(&p, s->arena, &s->dir->schema, &place, &entry);
	if (!parse_all(&p, attributes))
		return false;
	entry.uuid = *uuid;
	const char *why = parse_end(&p);
	if (where != PLACE_OURS)
		why = misplaced(s, where, &place);
	if (why == NULL)
		s->listener.entry(s->listener.self, &entry);
	else
		tell_misfit(s, uuid, &entry.revision, dn, why);
	return true;
}

/* A search result entry with its Sync State control. The controls come first: reading attributes writes into the
 * message. False: the message cannot be understood. */
static bool hear_entry(struct dir_stream *s, LDAPMessage *message)
{
	LDAPControl **controls = NULL, *control;
	enum sync_state state;
	struct uuid uuid;
	struct sync_cookie cookie = { NULL, 0 };
	BerElement *ber = NULL;
	struct berval dn;

	if (ldap_get_entry_controls(s->connection.ld, message, &controls) != LDAP_SUCCESS)
		return false;
	control = ldap_control_find(LDAP_CONTROL_SYNC_STATE, controls, NULL);
	bool good = control != NULL && sync_read_state(slice_of(&control->ldctl_value), &state, &uuid, &cookie);
	if (good)
		begin(s);
	if (good && state == SYNC_PRESENT)
		s->listener.present(s->listener.self, &uuid);
	if (good && state == SYNC_DELETE)
		s->listener.gone(s->listener.self, &uuid);
	if (good && (state == SYNC_ADD || state == SYNC_MODIFY)) {
		good = ldap_get_dn_ber(s->connection.ld, message, &ber, &dn) == LDAP_SUCCESS &&
		       tell_entry(s, &uuid, &dn, ber);
		ber_free(ber, 0);
	}
	if (good)
		take_cookie(s, &cookie);
	ldap_controls_free(controls);
	return good;
}

static void end_refresh(struct dir_stream *s)
{
	begin(s); /* a refresh may have nothing to tell */
	s->refreshing = false;
	s->refused_since = 0;
	/* Without a cookie everything was told, and in a present phase all that has not changed: the rest is gone. */
	s->listener.refreshed(s->listener.self, s->anew || s->saw_present);
	if (s->pending != NULL)
		reach(s, s->pending, s->pending_size);
	drop(&s->pending, &s->pending_size);
}

static void hear_id_set(struct dir_stream *s, struct slice uuids, bool deletes)
{
	struct uuid uuid;

	begin(s);
	while (sync_next_uuid(&uuids, &uuid)) {
		if (deletes)
			s->listener.gone(s->listener.self, &uuid);
		else
			s->listener.present(s->listener.self, &uuid);
	}
}

static bool hear_info(struct dir_stream *s, const struct berval *value)
{
	struct sync_info info;

	if (!sync_read_info(slice_of(value), &info))
		return false;
	if (info.kind == SYNC_ID_SET)
		hear_id_set(s, info.uuids, info.deletes);
	if (info.kind == SYNC_REFRESH_PRESENT)
		s->saw_present = true;
	take_cookie(s, &info.cookie);
	if (info.kind != SYNC_ID_SET && info.kind != SYNC_NEW_COOKIE && info.done && s->refreshing) {
		if (s->pending == NULL && s->cookie == NULL)
			return false; /* a state that has no name could never be resumed */
		end_refresh(s);
	}
	return true;
}

static bool hear_intermediate(struct dir_stream *s, LDAPMessage *message)
{
	char *oid = NULL;
	struct berval *value = NULL;
	bool good = true;

	if (ldap_parse_intermediate(s->connection.ld, message, &oid, &value, NULL, 0) != LDAP_SUCCESS)
		return false;
	if (oid != NULL && strcmp(oid, LDAP_SYNC_INFO) == 0)
		good = value != NULL && hear_info(s, value);
	ldap_memfree(oid);
	ber_bvfree(value);
	return good;
}

/* ---- the end of a search that should have none ---- */

/* A mirror that has not yet heard of the last write says the same as a server restored from an old backup. The first
 * gets a moment; after the second everything is loaded again. */
static struct err refused(struct dir_stream *s)
{
	int64_t now = clock_steady_ms();

	if (s->dir->servers.count > 1) {
		if (s->refused_since == 0)
			s->refused_since = now;
		if (now - s->refused_since < FROM_FUTURE_MS)
			return FAIL(ERR_UNAVAILABLE, "the directory is behind what we know");
	}
	log_event(LOG_WARNING, "directory.cookie", "server=%s what=%s", connection_uri(&s->connection),
	    "cookie refused, everything is loaded again");
	s->refused_since = 0;
	drop(&s->cookie, &s->cookie_size);
	return FAIL(ERR_UNAVAILABLE, "the directory refuses to resume the stream; everything is loaded again");
}

static struct err hear_end(struct dir_stream *s, LDAPMessage *message)
{
	int code = LDAP_OTHER;
	char *diagnostics = NULL;
	struct err e;

	if (ldap_parse_result(s->connection.ld, message, &code, NULL, &diagnostics, NULL, NULL, 0) != LDAP_SUCCESS)
		code = LDAP_OTHER;
	if ((code == LDAP_UNWILLING_TO_PERFORM && !s->anew) || code == LDAP_SYNC_REFRESH_REQUIRED)
		e = refused(s);
	else
		e = FAIL(ERR_UNAVAILABLE, code == LDAP_SIZELIMIT_EXCEEDED
					      ? "the directory limits how much the service may read (olcLimits)"
					      : "the directory has ended the stream");
	log_event(LOG_WARNING, "directory.stream", "server=%s code=%d means=%s text=%s", connection_uri(&s->connection),
	    code, ldap_err2string(code), diagnostics != NULL ? diagnostics : "");
	ldap_memfree(diagnostics);
	return e;
}

/* ---- running ---- */

static struct err hear(struct dir_stream *s, LDAPMessage *message)
{
	bool good = true;

	switch (ldap_msgtype(message)) {
	case LDAP_RES_SEARCH_ENTRY:
		good = hear_entry(s, message);
		break;
	case LDAP_RES_INTERMEDIATE:
		good = hear_intermediate(s, message);
		break;
	case LDAP_RES_SEARCH_RESULT:
		return hear_end(s, message);
	default:
		break; /* a continuation reference: no entry of ours */
	}
	arena_reset(s->arena);
	if (good)
		return SUCCESS;
	/* What has been missed is not known: only a complete load is sure. */
	drop(&s->cookie, &s->cookie_size);
	return FAIL(ERR_UNAVAILABLE, "the directory's stream cannot be understood");
}

static bool is_stopped(struct dir_stream *s)
{
	pthread_mutex_lock(&s->lock);
	bool stopped = s->stopped;
	pthread_mutex_unlock(&s->lock);
	return stopped;
}

/* Everything that is there, TLS and libldap's own buffers included; poll knows nothing of those. */
static struct err drain(struct dir_stream *s)
{
	LDAPMessage *message = NULL;
	struct timeval now = { 0, 0 };
	int type;

	while ((type = ldap_result(s->connection.ld, s->search, LDAP_MSG_ONE, &now, &message)) > 0) {
		struct err e = hear(s, message);

		ldap_msgfree(message);
		message = NULL;
		TRY(e);
		if (watch_expired(&s->watched))
			return SUCCESS;
	}
	return type == 0 ? SUCCESS : FAIL(ERR_UNAVAILABLE, "the directory has closed the stream");
}

/* In a load, a server that wakes us for each entry spends more on that than on the entry, and so do we. */
static void gather(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = GATHER_NS }, NULL);
}

static struct err listen_on(struct dir_stream *s)
{
	int fd = -1;

	if (ldap_get_option(s->connection.ld, LDAP_OPT_DESC, &fd) != LDAP_OPT_SUCCESS || fd < 0)
		return FAIL(ERR_UNAVAILABLE, "the stream has no socket");
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		TRY(drain(s));
		if (is_stopped(s))
			return SUCCESS;
		/* A server that hangs says nothing here, ever; others find out, and change. */
		if (atomic_load(&s->dir->servers.current) != s->connection.server)
			return FAIL(ERR_UNAVAILABLE, "going over to another server");
		if (s->refreshing)
			gather();
		poll(&p, 1, s->dir->servers.count > 1 ? TICK_MS : -1); /* who stops us shuts the socket down */
	}
}

static struct err ask(struct dir_stream *s)
{
	static char sync_oid[] = LDAP_CONTROL_SYNC;
	size_t size;
	const unsigned char *request = sync_write_request(s->arena, s->cookie, s->cookie_size, &size);
	LDAPControl sync = { sync_oid, { size, (char *)(uintptr_t)request }, 1 };
	LDAPControl *controls[] = { &sync, NULL };

	s->anew = s->cookie == NULL;
	s->begun = s->saw_present = false;
	s->refreshing = true;
	drop(&s->pending, &s->pending_size);
	if (ldap_search_ext(s->connection.ld, s->dir->schema.base, LDAP_SCOPE_SUBTREE, schema_stream_filter(),
		schema_attributes_streamed(s->arena), 0, controls, NULL, NULL, LDAP_NO_LIMIT,
		&s->search) != LDAP_SUCCESS)
		return FAIL(ERR_UNAVAILABLE, "the directory cannot be reached");
	arena_reset(s->arena);
	return SUCCESS;
}

static void forget(struct dir_stream *s)
{
	drop(&s->cookie, &s->cookie_size);
	drop(&s->pending, &s->pending_size);
	s->refused_since = 0;
}

static struct err run(struct dir_stream *s)
{
	TRY(connection_open(&s->connection, &s->dir->connector, SERVICE, &s->watched));
	struct err e = ask(s);
	if (e.code == OK)
		e = listen_on(s);
	connection_close(&s->connection);
	return e;
}

struct err dir_stream_run(struct dir_stream *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->stopped) {
		pthread_mutex_unlock(&s->lock);
		return SUCCESS;
	}
	if (s->forget_first)
		forget(s);
	s->forget_first = false;
	watch_add(s->dir->watch, &s->watched, INT64_MAX);
	s->running = true;
	pthread_mutex_unlock(&s->lock);

	struct err e = run(s);

	pthread_mutex_lock(&s->lock);
	s->running = false;
	watch_remove(&s->watched);
	bool stopped = s->stopped;
	pthread_mutex_unlock(&s->lock);
	return stopped ? SUCCESS : e;
}

/* ---- opening, closing ---- */

struct err dir_stream_open(struct dir *d, const struct dir_listener *listener, struct dir_stream **out)
{
	struct dir_stream *s = must_alloc(sizeof *s);

	s->dir = d;
	s->listener = *listener;
	s->arena = arena_open();
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return SUCCESS;
}

void dir_stream_stop(struct dir_stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopped = true;
	if (s->running)
		watch_expire(&s->watched);
	pthread_mutex_unlock(&s->lock);
}

void dir_stream_forget(struct dir_stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->forget_first = true;
	pthread_mutex_unlock(&s->lock);
}

void dir_stream_close(struct dir_stream *s)
{
	if (s == NULL)
		return;
	forget(s);
	arena_close(s->arena);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
