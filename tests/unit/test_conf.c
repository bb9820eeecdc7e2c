/* The table of settings: what a file may say, and that what is wrong is refused with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"

#define NEEDED                                                                                                     \
	"directory: { uris = [\"ldapi://x\"]; base = \"dc=x\"; };\nhttp: { certificate = \"c\"; key = \"k\"; };\n"   \
	"audit: { file = \"a\"; };\n"

static char folder[] = "/tmp/scfgate-conf-XXXXXX";
static char file[64];

static struct err read_text(struct arena *a, const char *text, struct conf *out)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	return conf_read(a, file, out);
}

static void a_file_with_what_is_needed_gets_the_defaults(void **state)
{
	(void)state;
	struct arena *a = arena_open();
	struct conf c;
	struct err e = read_text(a, NEEDED, &c);

	assert_int_equal(e.code, OK);
	assert_int_equal(c.flow.session_idle_s, 900);
	assert_int_equal(c.replica.max_staleness_ms, 5000);
	assert_string_equal(c.directory.uris[0], "ldapi://x");
	assert_null(c.directory.uris[1]);
	assert_null(c.http.client_ca);
	assert_null(c.http.routes[0].method);
	assert_string_equal(c.flow.password_blocklists[0], "/usr/share/dict/cracklib-small");
	assert_string_equal(c.flow.password_blocklists[1], "/usr/share/john/password.lst");
	assert_null(c.flow.password_blocklists[2]);
	assert_string_equal(c.http.certificate + strlen(c.http.certificate) - 2, "/c");
	assert_int_equal(c.http.certificate[0], '/');
	arena_close(a);
}

static void what_is_wrong_is_refused_with_its_place(void **state)
{
	(void)state;
	static const struct { const char *text, *says; } rows[] = {
		{ NEEDED "htp: { port = 1; };", ":4: 'htp' is not a setting" },
		{ NEEDED "session: { idle_secnds = 1; };", ":4: 'session.idle_secnds' is not a setting" },
		{ NEEDED "session: { idle_seconds = \"1\"; };", ":4: session.idle_seconds must be a whole number" },
		{ NEEDED "session: { idle_seconds = 1.5; };", "must be a whole number" },
		{ NEEDED "session: { idle_seconds = 0; };", ":4: session.idle_seconds: 0 is out of range, 1 to 86400" },
		{ NEEDED "session: { idle_seconds = 86401L; };", "out of range" },
		{ NEEDED "session = 4;", ":4: 'session' is a group of settings" },
		{ NEEDED "forms = 4;", ":4: forms must be a string" },
		{ NEEDED "forms = \"\";", ":4: forms is empty" },
		{ NEEDED "log: { level = \"loud\"; };", "log.level: 'loud' is none of" },
		{ NEEDED "replica: { heartbeat_ms = 3000; };", "at most half" },
		{ NEEDED "password: { blocklists = \"x\"; };", "password.blocklists must be a list of strings" },
		{ NEEDED "mail: { url = \"smtp://x\"; from = \"a@b.example\"; };", "mail.url needs http.public_url" },
		{ NEEDED "nppes: { people = \"ou=x\"; };", "nppes.uris and nppes.people go together" },
		{ NEEDED "routes = ( { method = \"GET\"; path = \"/x/{y}\"; action = \"record.view\"; } );", ":4: routes: path" },
		{ NEEDED "routes = ( { method = \"GET\"; path = \"/x/{record}\"; action = \"record.vew\"; } );", "is no action" },
		{ NEEDED "routes = ( { method = \"GET\"; path = \"/x/a{record}\"; action = \"record.view\"; } );", "whole segment" },
		{ NEEDED "routes = ( { method = \"GET\"; path = \"/x/{record}\"; acton = \"record.view\"; } );", "not a part" },
		{ NEEDED "routes = ( { method = \"GET\"; path = \"/x/{record}\"; } );", "needs method, path and action" },
		{ NEEDED "audit: { off = 1; };", "duplicate setting" },
		{ "directory: { uris = [ ]; base = \"dc=x\"; };", ":1: directory.uris takes 1 to 4 strings" },
		{ "directory: { uris = [\"http://x\"]; base = \"dc=x\"; };" "http: { certificate = \"c\"; key = \"k\"; };"
		  "audit: { file = \"a\"; };", "is none of ldapi://" },
		{ "directory: { uris = [\"ldapi://x\"]; };", "directory.base is required" },
		{ "directory: {", "syntax error" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open();
		struct conf c;
		struct err e = read_text(a, rows[i].text, &c);

		if (e.code != ERR_INVALID || strstr(e.what, rows[i].says) == NULL || strstr(e.what, file) == NULL)
			fail_msg("row %zu: want \"%s\", got \"%s\"", i, rows[i].says, e.code == OK ? "fine" : e.what);
		arena_close(a);
	}
}

static void a_reload_knows_what_it_cannot_change(void **state)
{
	(void)state;
	struct arena *a = arena_open();
	struct conf now, next;
	struct err e = read_text(a, NEEDED, &now);

	assert_int_equal(e.code, OK);
	e = read_text(a, NEEDED "session: { idle_seconds = 60; touch_seconds = 5; };", &next);
	assert_int_equal(e.code, OK);
	assert_null(conf_needs_restart(&now, &next));
	e = read_text(a, NEEDED "password: { blocklists = [ \"mine\" ]; };", &next);
	assert_int_equal(e.code, OK);
	assert_string_equal(conf_needs_restart(&now, &next), "password.blocklists");
	assert_string_equal(next.flow.password_blocklists[0] + strlen(next.flow.password_blocklists[0]) - 5, "/mine");
	e = read_text(a, NEEDED "replica: { max_staleness_ms = 4000; };", &next);
	assert_int_equal(e.code, OK);
	assert_string_equal(conf_needs_restart(&now, &next), "replica.max_staleness_ms");
	arena_close(a);
}

static void a_file_that_is_not_there_is_named(void **state)
{
	(void)state;
	struct arena *a = arena_open();
	struct conf c;
	struct err e = conf_read(a, "/nonexistent/scfgate.conf", &c);

	assert_int_equal(e.code, ERR_INVALID);
	assert_string_equal(e.what, "/nonexistent/scfgate.conf: No such file or directory");
	arena_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_with_what_is_needed_gets_the_defaults),
		cmocka_unit_test(what_is_wrong_is_refused_with_its_place),
		cmocka_unit_test(a_reload_knows_what_it_cannot_change),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(file, sizeof file, "%s/scfgate.conf", folder);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	int failed = cmocka_run_group_tests_name("conf", tests, NULL, NULL);
	unlink(file);
	rmdir(folder);
	return failed;
}
