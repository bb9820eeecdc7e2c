/* Which call a path is, which action a proxy's path is, and which settings are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "door_keys.h"
#include "http/request.h"

static struct door_keys keys;
static struct arena *a;

static int set_up(void **state)
{
	(void)state;
	door_keys_make(&keys);
	a = arena_open();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_close(a);
	door_keys_remove(&keys);
	return 0;
}

static const struct row *find(const char *method, const char *path, bool operations, const char **id, char *allow)
{
	static struct target t;
	const char *ids[PATH_VARIABLES];

	assert_null(target_read(path, strlen(path), &t));
	const struct row *row = routes_find(a, method, &t, operations, ids, allow);
	*id = ids[0];
	return row;
}

static void a_path_and_a_method_are_one_call(void **state)
{
	(void)state;
	static const struct { const char *method, *path; bool operations; const char *row, *id, *allow;
	} rows[] = {
		{ "GET", "/v1/me", false, "/v1/me", NULL, "" },
		{ "HEAD", "/v1/me", false, "/v1/me", NULL, "" },
		{ "GET", "/v1/me/", false, NULL, NULL, "" },
		{ "GET", "/v1/ME", false, NULL, NULL, "" },
		{ "GET", "/v1", false, NULL, NULL, "" },
		{ "GET", "/", false, NULL, NULL, "" },
		{ "POST", "/v1/me", false, NULL, NULL, "GET, HEAD" },
		{ "GET", "/v1/login", false, NULL, NULL, "POST" },
		{ "GET", "/v1/records/O20240115000001", false, "/v1/records/{id}", "O20240115000001", NULL },
		{ "PUT", "/v1/records/x", false, "/v1/records/{id}", "x", NULL },
		{ "DELETE", "/v1/records/x", false, NULL, NULL, "GET, HEAD, PUT" },
		{ "GET", "/v1/records/", false, NULL, NULL, "" },
		{ "GET", "/v1/records/x/y", false, NULL, NULL, "" },
		{ "POST", "/v1/organizations/lakeside/submissions", false, "/v1/organizations/{id}/submissions",
		    "lakeside", "" },
		{ "POST", "/v1/organizations/a/b/submissions", false, NULL, NULL, "" },
		{ "POST", "/v1/organizations/submissions", false, NULL, NULL, "GET, HEAD, PATCH" },
		{ "DELETE", "/v1/me/sessions/%61b", false, "/v1/me/sessions/{id}", "ab", "" },
		{ "GET", "/auth/nginx", false, "/auth/nginx", NULL, "" },
		{ "GET", "/auth/nginx/", false, NULL, NULL, "" },
		{ "GET", "/metrics", false, NULL, NULL, "" },
		{ "GET", "/metrics", true, "/metrics", NULL, "" },
		{ "GET", "/v1/me", true, NULL, NULL, "" },
		{ "POST", "/health/live", true, NULL, NULL, "GET, HEAD" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char allow[ALLOW_TEXT];
		const char *id;
		const struct row *r = find(rows[i].method, rows[i].path, rows[i].operations, &id, allow);

		if (!text_same(r != NULL ? r->path : NULL, rows[i].row) || !text_same(id, rows[i].id))
			fail_msg("%s %s: %s", rows[i].method, rows[i].path, r != NULL ? r->path : "none");
		if (r != NULL)
			assert_string_equal(r->method, strcmp(rows[i].method, "HEAD") == 0 ? "GET" : rows[i].method);
		else
			assert_string_equal(allow, rows[i].allow);
	}
}

static void every_call_has_a_handler_and_sane_flags(void **state)
{
	(void)state;
	for (size_t i = 0; i < routes_count; i++) {
		const struct row *r = &routes_table[i];

		assert_non_null(r->handle);
		if (r->flags & JSON_BODY)
			assert_true(strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0 ||
			    strcmp(r->method, "PATCH") == 0);
		/* Strangers must not fill the disk. */
		if (r->flags & UPLOAD)
			assert_true((r->flags & SIGNED_IN) && !(r->flags & JSON_BODY));
		if (r->flags & SIGNED_IN)
			assert_true(r->flags & WAITS);
		if (r->flags & OPERATIONS)
			assert_int_equal(r->flags, OPERATIONS);
		for (size_t j = 0; j < i; j++)
			assert_false(strcmp(r->path, routes_table[j].path) == 0 &&
				     strcmp(r->method, routes_table[j].method) == 0);
	}
}

static struct http_settings settings(const struct http_route *routes, const char *const *peers)
{
	return (struct http_settings){ .listen = "127.0.0.1",
		.operations_listen = "::1",
		.certificate = keys.certificate,
		.key = keys.key,
		.client_ca = keys.ca,
		.peers = peers,
		.routes = routes,
		.header_bytes = 8192,
		.body_bytes = 4096,
		.idle_s = 5,
		.threads = 1,
		.workers = 1 };
}

static void a_proxys_path_is_one_action_on_one_thing(void **state)
{
	(void)state;
	static const struct http_route table[] = {
		{ "GET", "/enrollments/{record}", RECORD_VIEW },
		{ "PUT", "/enrollments/{record}", RECORD_UPDATE },
		{ "GET", "/enrollments/{record}/print", RECORD_VIEW },
		{ "GET", "/organizations/{provider}/enrollments", RECORD_LIST },
		{ "*", "/any/{submission}", SUBMISSION_READ },
		{ NULL, NULL, 0 },
	};
	static const struct { const char *method, *path; int row; const char *id; } rows[] = {
		{ "GET", "/enrollments/O20240115000001", 0, "O20240115000001" },
		{ "HEAD", "/enrollments/O20240115000001", 0, "O20240115000001" },
		{ "PUT", "/enrollments/O20240115000001", 1, "O20240115000001" },
		{ "POST", "/enrollments/O20240115000001", -1, NULL },
		{ "get", "/enrollments/O20240115000001", -1, NULL },
		{ "*", "/enrollments/O20240115000001", -1, NULL },
		{ "*", "/any/s1", -1, NULL },
		{ "GET", "/any/s1", 4, "s1" },
		{ "DELETE", "/any/s1", 4, "s1" },
		{ "TRACE", "/any/s1", -1, NULL },
		{ "GET, PUT", "/any/s1", -1, NULL },
		{ "GET", "/enrollments/O20240115000001/print", 2, "O20240115000001" },
		{ "GET", "/enrollments/O20240115000001/", -1, NULL },
		{ "GET", "/enrollments/O20240115000001/printer", -1, NULL },
		{ "GET", "/enrollments/", -1, NULL },
		{ "GET", "/enrollments//print", -1, NULL },
		{ "GET", "/enrollments/O20240115000001.", -1, NULL },
		{ "GET", "/enrollments/o20240115000001", -1, NULL },
		{ "GET", "/Enrollments/O20240115000001", -1, NULL },
		{ "GET", "/enrollments/lakeside", -1, NULL },
		{ "GET", "/organizations/lakeside/enrollments", 3, "lakeside" },
		{ "GET", "/organizations/Lakeside/enrollments", -1, NULL },
		{ "GET", "/organizations/a/b/enrollments", -1, NULL },
		{ "GET", "/x/enrollments/O20240115000001", -1, NULL },
		{ "GET", "", -1, NULL },
	};
	struct http_settings s = settings(table, NULL);
	struct policy *p = NULL;

	assert_int_equal(policy_read(a, &s, &p).code, OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		char id[ID_MOST + 1];
		const struct forward_route *r = policy_route(p, rows[i].method, rows[i].path, strlen(rows[i].path), id);
		int row = r != NULL ? (int)(r - p->routes) : -1;

		if (row != rows[i].row)
			fail_msg("%s %s: row %d", rows[i].method, rows[i].path, row);
		if (r != NULL) {
			assert_string_equal(id, rows[i].id);
			assert_int_equal(r->action, table[row].action);
		}
	}
	policy_drop(p);
}

static void a_variable_that_is_too_long_is_no_id(void **state)
{
	(void)state;
	static const struct http_route table[] = { { "GET", "/p/{provider}", RECORD_LIST }, { NULL, NULL, 0 } };
	struct http_settings s = settings(table, NULL);
	struct policy *p = NULL;
	char path[4 + ID_MOST + 2] = "/p/", id[ID_MOST + 1];

	assert_int_equal(policy_read(a, &s, &p).code, OK);
	memset(path + 3, 'a', ID_MOST);
	assert_non_null(policy_route(p, "GET", path, strlen(path), id));
	path[3 + ID_MOST] = 'a';
	assert_null(policy_route(p, "GET", path, strlen(path), id));
	policy_drop(p);
}

static void wrong_settings_are_named(void **state)
{
	(void)state;
	static const char *const bad_peers[] = { "127.0.0.1/32", "10.0.0.1/8", NULL };
	static const struct { const char *says; struct http_route route; } rows[] = {
		{ "'FETCH' is not a method", { "FETCH", "/x/{record}", RECORD_VIEW } },
		{ "'HEAD' is not a method", { "HEAD", "/x/{record}", RECORD_VIEW } },
		{ "names no", { "GET", "/x", RECORD_VIEW } },
		{ "one whole segment", { "GET", "/x/{user}", RECORD_VIEW } },
		{ "one whole segment", { "GET", "/x/{record}/{provider}", RECORD_VIEW } },
		{ "one whole segment", { "GET", "/x/a{record}", RECORD_VIEW } },
		{ "one whole segment", { "GET", "/x/{record}b", RECORD_VIEW } },
		{ "one whole segment", { "GET", "{record}", RECORD_VIEW } },
		{ "not a canonical path", { "GET", "x/{record}", RECORD_VIEW } },
		{ "not a canonical path", { "GET", "/x/../{record}", RECORD_VIEW } },
		{ "not a canonical path", { "GET", "/x//{record}", RECORD_VIEW } },
		{ "one whole segment", { "GET", "/x/{record}?a=b", RECORD_VIEW } },
		{ "not a canonical path", { "GET", "/%61/{record}", RECORD_VIEW } },
		{ "has no action", { "GET", "/x/{record}", ACTIONS } },
	};
	struct http_settings s;
	struct err e;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_route table[] = { rows[i].route, { NULL, NULL, 0 } };

		s = settings(table, NULL);
		e = http_check(a, &s);
		assert_int_equal(e.code, ERR_INVALID);
		if (strstr(e.what, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].route.path, e.what);
	}
	s = settings(NULL, bad_peers);
	e = http_check(a, &s);
	assert_int_equal(e.code, ERR_INVALID);
	assert_non_null(strstr(e.what, "http.peers: '10.0.0.1/8'"));
	s = settings(NULL, NULL);
	s.listen = "localhost";
	e = http_check(a, &s);
	assert_non_null(strstr(e.what, "http.listen"));
	s = settings(NULL, NULL);
	assert_int_equal(http_check(a, &s).code, OK);
}

static void certificates_that_cannot_be_used_are_named(void **state)
{
	(void)state;
	struct http_settings s = settings(NULL, NULL);
	struct err e;

	s.certificate = "/nowhere/certificate.pem";
	e = http_check(a, &s);
	assert_int_equal(e.code, ERR_INVALID);
	assert_non_null(strstr(e.what, "/nowhere/certificate.pem"));

	s = settings(NULL, NULL);
	s.key = keys.client_key;
	e = http_check(a, &s);
	assert_int_equal(e.code, ERR_INVALID);
	assert_non_null(strstr(e.what, "not the key of the certificate"));

	s = settings(NULL, NULL);
	s.key = keys.certificate;
	assert_int_equal(http_check(a, &s).code, ERR_INVALID);

	s = settings(NULL, NULL);
	s.certificate = keys.key;
	assert_int_equal(http_check(a, &s).code, ERR_INVALID);

	s = settings(NULL, NULL);
	s.client_ca = keys.key;
	e = http_check(a, &s);
	assert_int_equal(e.code, ERR_INVALID);
	assert_non_null(strstr(e.what, keys.key));

	s = settings(NULL, NULL);
	s.client_ca = NULL;
	assert_int_equal(http_check(a, &s).code, OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_and_a_method_are_one_call),
		cmocka_unit_test(every_call_has_a_handler_and_sane_flags),
		cmocka_unit_test(a_proxys_path_is_one_action_on_one_thing),
		cmocka_unit_test(a_variable_that_is_too_long_is_no_id),
		cmocka_unit_test(wrong_settings_are_named),
		cmocka_unit_test(certificates_that_cannot_be_used_are_named),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
