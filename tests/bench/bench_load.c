/* What slapd does for a bare libldap client, and for the replica: entries sent, simple binds, adds, guarded changes.
 * bench_load URI BASE BIND_DN PASSWORD_FILE replica|bare|binds|adds|changes: prints one JSON line. */
#include <ldap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "dir/schema.h" /* to ask for the very same */
#include "replica/replica.h"

static char password[256];

static LDAP *connect_to(const char *uri, const char *dn)
{
	LDAP *ld = NULL;
	int version = LDAP_VERSION3;
	struct berval secret = { strlen(password), password };

	if (ldap_initialize(&ld, uri) != LDAP_SUCCESS || ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) != LDAP_SUCCESS ||
	    ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL) != LDAP_SUCCESS) {
		fprintf(stderr, "bench_load: cannot bind to %s\n", uri);
		exit(1);
	}
	return ld;
}

/* The same request as the replica's stream makes of it, refreshOnly, and nothing done with what comes. */
static int bare(const char *uri, const char *base, const char *dn)
{
	LDAP *ld = connect_to(uri, dn);
	struct arena *a = arena_open();
	unsigned char mode[] = { 0x30, 0x03, 0x0a, 0x01, 0x01 }; /* SEQUENCE { refreshOnly }, RFC 4533 2.2 */
	LDAPControl sync = { LDAP_CONTROL_SYNC, { sizeof mode, (char *)mode }, 1 };
	LDAPControl *controls[] = { &sync, NULL };
	LDAPMessage *message;
	int id, kind;
	long entries = 0;
	int64_t begun = clock_steady_us();

	if (ldap_search_ext(ld, base, LDAP_SCOPE_SUBTREE, schema_stream_filter(), schema_attributes_streamed(a), 0,
		controls, NULL, NULL, LDAP_NO_LIMIT, &id) !=
	    LDAP_SUCCESS)
		return 1;
	while ((kind = ldap_result(ld, id, LDAP_MSG_ONE, NULL, &message)) > 0) {
		entries += kind == LDAP_RES_SEARCH_ENTRY;
		ldap_msgfree(message);
		if (kind == LDAP_RES_SEARCH_RESULT)
			break;
	}
	int64_t took = clock_steady_us() - begun;
	printf("{\"kind\":\"bare\",\"entries\":%ld,\"seconds\":%.3f,\"entries_per_second\":%.0f}\n", entries, (double)took / 1e6,
	    (double)entries * 1e6 / (double)took);
	ldap_unbind_ext_s(ld, NULL, NULL);
	arena_close(a);
	return 0;
}

static int into_replica(const char *uri, const char *base, const char *dn, const char *file)
{
	struct dir_settings settings = { .uris = { uri }, .base = base, .bind_dn = dn, .password_file = file,
		.connect_timeout_ms = 2000, .operation_timeout_ms = 60000, .binds = 1, .searches = 1, .writers = 1 };
	struct replica_settings how = { .max_staleness_ms = 60000, .heartbeat_ms = 1000, .shrink_percent = 50 };
	struct replica_status status = { 0 };
	struct replica *r;
	struct dir *d;
	int64_t begun = clock_steady_us();

	log_set_level(LOG_ERROR);
	if (dir_open(&settings, &d).code != OK || replica_open(&how, d, &r).code != OK)
		return 1;
	while (!status.loaded && clock_steady_us() - begun < 60000000) {
		struct timespec pause = { 0, 500000 };

		nanosleep(&pause, NULL);
		replica_status(r, &status);
	}
	int64_t took = clock_steady_us() - begun;
	printf("{\"kind\":\"replica\",\"held\":%zu,\"bytes\":%zu,\"seconds\":%.3f}\n", status.entries, status.bytes, (double)took / 1e6);
	replica_close(r);
	dir_close(d);
	return status.loaded ? 0 : 1;
}

/* ---- many clients at once, for a while ---- */

#define CLIENTS 8
#define SECONDS 3
#define SAMPLE_PASSWORD "sample passphrase 2026"

struct client {
	const char *uri, *base, *dn;
	bool (*once)(struct client *, LDAP *);
	int number;
	long done;
	pthread_t thread;
};

/* Simple binds as people of the sample world, again and again on the same connection, as a pool does it. */
static bool bind_once(struct client *c, LDAP *ld)
{
	static const char *const people[] = { "chen", "okafor", "novak", "rivera", "silva", "quinn", "outsider", "desk1" };
	struct berval secret = { sizeof SAMPLE_PASSWORD - 1, (char[]){ SAMPLE_PASSWORD } };
	char dn[256];

	snprintf(dn, sizeof dn, "uid=%s,ou=people,%s", people[(c->number + c->done) % 8], c->base);
	return ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL) == LDAP_SUCCESS;
}

/* Adds of session entries, as a sign-in makes one. */
static bool add_once(struct client *c, LDAP *ld)
{
	static char *classes[] = { "scfSession", "dynamicObject", NULL };
	char dn[256], id[65], user[128];
	char *ids[] = { id, NULL }, *users[] = { user, NULL }, *active[] = { "active", NULL }, *time_of[] = { "20260101000000Z", NULL };
	LDAPMod mods[] = { { LDAP_MOD_ADD, "objectClass", { classes } }, { LDAP_MOD_ADD, "scfSessionId", { ids } },
		{ LDAP_MOD_ADD, "scfUser", { users } }, { LDAP_MOD_ADD, "scfState", { active } },
		{ LDAP_MOD_ADD, "scfStartedAt", { time_of } }, { LDAP_MOD_ADD, "scfSeenAt", { time_of } },
		{ LDAP_MOD_ADD, "scfAuthenticatedAt", { time_of } }, { LDAP_MOD_ADD, "scfExpires", { time_of } } };
	LDAPMod *list[COUNT(mods) + 1] = { NULL };

	snprintf(id, sizeof id, "%016llx%016x%032lx", (unsigned long long)clock_steady_us(), (unsigned)c->number, c->done);
	snprintf(dn, sizeof dn, "scfSessionId=%s,ou=sessions,%s", id, c->base);
	snprintf(user, sizeof user, "uid=chen,ou=people,%.80s", c->base);
	for (size_t i = 0; i < COUNT(mods); i++)
		list[i] = &mods[i];
	return ldap_add_ext_s(ld, dn, list, NULL, NULL) == LDAP_SUCCESS;
}

/* A change of an association as its provider's official makes one: in his name, under a guard, and asked how far it got. Each
 * client has an association of its own, bench0, bench1, … at lakeside. */
static bool change_once(struct client *c, LDAP *ld)
{
	char dn[256], official[128], as[132];
	unsigned char read[] = { 0x30, 0x0a, 0x04, 0x08, 'e', 'n', 't', 'r', 'y', 'C', 'S', 'N' }; /* RFC 4527 */
	char *by[] = { official, NULL }, *at[] = { "20260101000000Z", NULL };
	LDAPMod mods[] = { { LDAP_MOD_REPLACE, "scfDecidedBy", { by } }, { LDAP_MOD_REPLACE, "scfDecidedAt", { at } } };
	LDAPMod *list[] = { &mods[0], &mods[1], NULL };
	LDAPControl post_read = { LDAP_CONTROL_POST_READ, { sizeof read, (char *)read }, 1 }, *guard = NULL;

	snprintf(dn, sizeof dn, "scfAssociationId=bench%d,ou=associations,scfOrgId=lakeside,ou=organizations,%s", c->number, c->base);
	snprintf(official, sizeof official, "uid=rivera,ou=people,%.80s", c->base);
	snprintf(as, sizeof as, "dn:%s", official);
	LDAPControl proxied = { LDAP_CONTROL_PROXY_AUTHZ, { strlen(as), as }, 1 };
	if (ldap_create_assertion_control(ld, "(scfState=approved)", 1, &guard) != LDAP_SUCCESS)
		return false;
	LDAPControl *controls[] = { &proxied, guard, &post_read, NULL };
	int code = ldap_modify_ext_s(ld, dn, list, controls, NULL);
	ldap_control_free(guard);
	return code == LDAP_SUCCESS;
}

static const struct {
	const char *word;
	bool (*once)(struct client *, LDAP *);
} kinds[] = { { "binds", bind_once }, { "adds", add_once }, { "changes", change_once } };

static void *client(void *self)
{
	struct client *c = self;
	LDAP *ld = connect_to(c->uri, c->dn);
	int64_t end = clock_steady_us() + SECONDS * 1000000;

	while (clock_steady_us() < end) {
		if (!c->once(c, ld)) {
			fprintf(stderr, "bench_load: refused\n");
			exit(1);
		}
		c->done++;
	}
	ldap_unbind_ext_s(ld, NULL, NULL);
	return NULL;
}

static int many(const char *uri, const char *base, const char *dn, size_t kind)
{
	struct client clients[CLIENTS];
	long done = 0;

	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .uri = uri, .base = base, .dn = dn, .once = kinds[kind].once, .number = i };
		if (pthread_create(&clients[i].thread, NULL, client, &clients[i]) != 0)
			return 1;
	}
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(clients[i].thread, NULL);
		done += clients[i].done;
	}
	printf("{\"kind\":\"%s\",\"per_second\":%.1f}\n", kinds[kind].word, (double)done / SECONDS);
	return 0;
}

int main(int argc, char **argv)
{
	FILE *f = argc == 6 ? fopen(argv[4], "r") : NULL;

	if (f == NULL || fgets(password, sizeof password, f) == NULL) {
		fputs("usage: bench_load URI BASE BIND_DN PASSWORD_FILE replica|bare|binds|adds|changes\n", stderr);
		return 2;
	}
	fclose(f);
	password[strcspn(password, "\n")] = '\0';
	if (strcmp(argv[5], "bare") == 0)
		return bare(argv[1], argv[2], argv[3]);
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (strcmp(argv[5], kinds[i].word) == 0)
			return many(argv[1], argv[2], argv[3], i);
	return into_replica(argv[1], argv[2], argv[3], argv[4]);
}
