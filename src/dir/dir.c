/* Opening and closing: settings checked and copied, pools laid out, and the way back to an earlier server. */
#include "dir/dir.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "dir/inside.h"

#include "base/banned.h"

#define WAY_BACK_MS 500
#define NEARLY_S 2
#define HOLD_MS 200 /* writes wait at most twice this for the way back */

/* ---- settings ---- */

static struct err check_uri(const struct dir_settings *s, const char *uri)
{
	bool local = text_begins(uri, "ldapi://");

	if (!local && !text_begins(uri, "ldap://") && !text_begins(uri, "ldaps://"))
		return FAIL(ERR_INVALID, "uris: neither ldapi://, ldap:// (with StartTLS) nor ldaps://");
	if (strpbrk(uri, " \t,") != NULL || !ldap_is_ldap_url(uri))
		return FAIL(ERR_INVALID, "uris: not one address");
	if (!local && s->ca_file == NULL)
		return FAIL(ERR_INVALID, "ca_file: needed for every address but ldapi://");
	return SUCCESS;
}

static struct err check_settings(const struct dir_settings *s)
{
	if (s->uris[0] == NULL)
		return FAIL(ERR_INVALID, "uris: none");
	for (int i = 0; i < DIR_URIS && s->uris[i] != NULL; i++)
		TRY(check_uri(s, s->uris[i]));
	if ((s->certificate_file == NULL) != (s->key_file == NULL))
		return FAIL(ERR_INVALID, "certificate_file, key_file: one without the other");
	if (s->bind_dn != NULL && s->password_file == NULL)
		return FAIL(ERR_INVALID, "password_file: needed with bind_dn");
	if (s->connect_timeout_ms < 1 || s->operation_timeout_ms < 1)
		return FAIL(ERR_INVALID, "timeouts: at least a millisecond");
	if (s->binds < 1 || s->searches < 1 || s->writers < 1)
		return FAIL(ERR_INVALID, "binds, searches, writers: at least one connection each");
	return SUCCESS;
}

static const char *copy_of(const char *text)
{
	return text == NULL ? NULL : must_strdup(text);
}

static struct dir_settings copy_settings(const struct dir_settings *s)
{
	struct dir_settings copy = *s;

	memset(copy.uris, 0, sizeof copy.uris);
	for (int i = 0; i < DIR_URIS && s->uris[i] != NULL; i++)
		copy.uris[i] = copy_of(s->uris[i]);
	copy.base = copy_of(s->base);
	copy.people = copy_of(s->people);
	copy.bind_dn = copy_of(s->bind_dn);
	copy.password_file = copy_of(s->password_file);
	copy.ca_file = copy_of(s->ca_file);
	copy.certificate_file = copy_of(s->certificate_file);
	copy.key_file = copy_of(s->key_file);
	return copy;
}

static void free_text(const char *text)
{
	free((char *)(uintptr_t)text);
}

static void free_settings(struct dir_settings *s)
{
	for (int i = 0; i < DIR_URIS; i++)
		free_text(s->uris[i]);
	free_text(s->base);
	free_text(s->people);
	free_text(s->bind_dn);
	free_text(s->password_file);
	free_text(s->ca_file);
	free_text(s->certificate_file);
	free_text(s->key_file);
}

/* ---- the way back ---- */

/* An earlier server that has not yet heard what a later one told us would bring revoked rights back to life. Is it
 * behind by changes of more than so many seconds? */
static bool has_caught_up(struct dir *d, struct connection *c, int64_t all_but_s)
{
	struct revision reached, seen = servers_seen(&d->servers);

	if (d->settings.people != NULL)
		return true; /* passwords only: nothing is remembered of it */
	return entry_revision(d, c, d->settings.connect_timeout_ms, &reached).code == OK &&
	       (revision_compare(&reached, &seen) >= 0 || seen.micros - reached.micros < all_but_s * 1000000);
}

/* Decisions are made by one server at a time: it must know the last one made by the other before it makes the next. */
static void go_back(struct dir *d, struct connection *c)
{
	bool caught_up = false;

	if (!servers_hold_writes(&d->servers, HOLD_MS))
		return;
	for (int64_t until = clock_steady_ms() + HOLD_MS; !caught_up && !c->broken && clock_steady_ms() < until;)
		caught_up = has_caught_up(d, c, 0);
	if (caught_up)
		servers_go_back(&d->servers, c->server);
	servers_release_writes(&d->servers);
}

static void look_back(struct dir *d)
{
	enum identity identity = d->settings.people != NULL ? NOBODY : SERVICE;
	int current = atomic_load(&d->servers.current);

	for (int server = 0; server < current && server < atomic_load(&d->servers.current); server++) {
		struct connection c;

		if (connection_open_to(&c, &d->connector, server, identity, &d->way_back_watched).code)
			continue;
		if (has_caught_up(d, &c, NEARLY_S)) /* it never has while others write */
			go_back(d, &c);
		connection_close(&c);
	}
}

static void *way_back(void *self)
{
	struct dir *d = self;

	pthread_mutex_lock(&d->lock);
	while (!d->closing) {
		int64_t when = clock_steady_ms() + WAY_BACK_MS;
		struct timespec t = { .tv_sec = when / 1000, .tv_nsec = when % 1000 * 1000000 };

		pthread_cond_timedwait(&d->closing_now, &d->lock, &t);
		if (d->closing)
			break;
		pthread_mutex_unlock(&d->lock);
		look_back(d);
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static struct err open_way_back(struct dir *d)
{
	pthread_condattr_t steady;

	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&d->closing_now, &steady);
	pthread_condattr_destroy(&steady);
	if (d->watch == NULL)
		return FAIL(ERR_UNAVAILABLE, "cannot start a thread");
	if (d->servers.count < 2)
		return SUCCESS;
	watch_add(d->watch, &d->way_back_watched, INT64_MAX);
	if (pthread_create(&d->way_back, NULL, way_back, d) != 0) {
		watch_remove(&d->way_back_watched);
		return FAIL(ERR_UNAVAILABLE, "cannot start a thread");
	}
	d->has_way_back = true;
	return SUCCESS;
}

static void close_way_back(struct dir *d)
{
	if (d->has_way_back) {
		pthread_mutex_lock(&d->lock);
		d->closing = true;
		pthread_cond_signal(&d->closing_now);
		pthread_mutex_unlock(&d->lock);
		watch_expire(&d->way_back_watched);
		pthread_join(d->way_back, NULL);
		watch_remove(&d->way_back_watched);
	}
	pthread_cond_destroy(&d->closing_now);
	pthread_mutex_destroy(&d->lock);
}

/* ---- opening, closing ---- */

/* The first handle sets libldap up, for which two threads must not come at once. No ldap.conf, no .ldaprc, no
 * LDAPTLS_REQCERT of whoever started us: what counts is said in connection.c. */
static void prepare_libldap(void)
{
	LDAP *first = NULL;

	setenv("LDAPNOINIT", "1", 1);
	if (ldap_create(&first) == LDAP_SUCCESS)
		ldap_unbind_ext(first, NULL, NULL);
}

/* libldap writes to sockets that may just have been closed by the other side; the signal for that would end us. A
 * handler of somebody's own is left alone. */
static void ignore_broken_pipes(void)
{
	struct sigaction now;

	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

struct err dir_open(const struct dir_settings *settings, struct dir **out)
{
	*out = NULL;
	TRY(check_settings(settings));
	struct dir *d = must_alloc(sizeof *d);
	struct err e = schema_open(&d->schema, settings->base, settings->people);
	if (e.code) {
		free(d);
		return e;
	}
	ignore_broken_pipes();
	prepare_libldap();

	struct arena *a = arena_open();
	d->decoy = must_strdup(schema_dn_below(a, &d->schema, "cn=decoy,ou=services"));
	d->absent = must_strdup(schema_dn_below(a, &d->schema, "cn=absent,ou=services"));
	arena_close(a);

	d->settings = copy_settings(settings);
	servers_open(&d->servers, d->settings.uris);
	d->watch = watch_open();
	d->connector = (struct connector){ &d->settings, &d->servers, d->watch };
	pool_open(&d->binds, &d->connector, NOBODY, d->settings.binds);
	pool_open(&d->searches, &d->connector, SERVICE, d->settings.searches);
	pool_open(&d->writers, &d->connector, SERVICE, d->settings.writers);
	pool_open(&d->beat, &d->connector, SERVICE, 1);
	e = open_way_back(d);
	if (e.code) {
		dir_close(d);
		return e;
	}
	*out = d;
	return SUCCESS;
}

int dir_patience_ms(const struct dir *d)
{
	return d->settings.connect_timeout_ms + d->settings.operation_timeout_ms;
}

void dir_close(struct dir *d)
{
	if (d == NULL)
		return;
	close_way_back(d);
	pool_close(&d->binds);
	pool_close(&d->searches);
	pool_close(&d->writers);
	pool_close(&d->beat);
	watch_close(d->watch);
	servers_close(&d->servers);
	schema_close(&d->schema);
	free_settings(&d->settings);
	free(d->decoy);
	free(d->absent);
	free(d);
}

const char *dir_name_of(struct arena *a, const struct dir *d, enum kind kind, const char *provider, const char *id)
{
	return schema_dn(a, &d->schema, kind, provider, id);
}
