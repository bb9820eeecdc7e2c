/* The calls that the gateway answers, and how a path finds its call. docs/openapi.yaml says the same. */
#include <string.h>

#include "http/request.h"

#include "base/banned.h"

/* clang-format off */
const struct row routes_table[] = {
	{ "GET",    "/auth/nginx",                        FORWARD,                           call_auth_nginx },
	{ "POST",   "/access/v1/evaluation",              JSON_BODY | OWN_LANGUAGE,          call_evaluation },
	{ "POST",   "/v1/explain",                        JSON_BODY,                         call_explain },
	{ "POST",   "/v1/login",                          WAITS | JSON_BODY,                 call_login },
	{ "POST",   "/v1/logout",                         WAITS | SIGNED_IN,                 call_logout },
	{ "POST",   "/v1/reauthenticate",                 WAITS | SIGNED_IN | JSON_BODY,     call_reauthenticate },
	{ "GET",    "/v1/me",                             WAITS | SIGNED_IN,                 call_me },
	{ "GET",    "/v1/me/sessions",                    WAITS | SIGNED_IN,                 call_sessions },
	{ "DELETE", "/v1/me/sessions/{id}",               WAITS | SIGNED_IN,                 call_end_session },
	{ "GET",    "/v1/records",                        WAITS | SIGNED_IN,                 call_list_records },
	{ "GET",    "/v1/records/{id}",                   WAITS | SIGNED_IN,                 call_view_record },
	{ "PUT",    "/v1/records/{id}",                   WAITS | SIGNED_IN | JSON_BODY,     call_update_record },
	{ "POST",   "/v1/organizations/{id}/submissions", WAITS | SIGNED_IN | JSON_BODY,     call_create_submission },
	{ "GET",    "/health/live",                       OPERATIONS,                        call_live },
	{ "GET",    "/health/ready",                      OPERATIONS,                        call_ready },
	{ "GET",    "/metrics",                           OPERATIONS,                        call_metrics },
};
/* clang-format on */
const size_t routes_count = COUNT(routes_table);

/* Fits the path, and finds its variable, if the pattern has one. */
static bool path_fits(const char *pattern, const char *path, const char **id, size_t *id_size)
{
	while (*pattern != '\0' && *pattern == *path) {
		pattern++;
		path++;
	}
	if (*pattern != '{')
		return *pattern == '\0' && *path == '\0';
	*id = path;
	*id_size = strcspn(path, "/");
	return *id_size > 0 && strcmp(strchr(pattern, '}') + 1, path + *id_size) == 0;
}

static void add_method(char allow[ALLOW_TEXT], const char *method)
{
	size_t n = strlen(allow);

	if (n > 0) {
		memcpy(allow + n, ", ", 2);
		n += 2;
	}
	memcpy(allow + n, method, strlen(method) + 1);
	if (strcmp(method, "GET") == 0)
		memcpy(allow + n + 3, ", HEAD", 7);
}

const struct row *routes_find(struct arena *a, const char *method, const struct target *t, bool operations,
    const char **id, char allow[ALLOW_TEXT])
{
	const char *variable = NULL;
	size_t size = 0;

	allow[0] = '\0';
	*id = NULL;
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < routes_count; i++) {
		const struct row *r = &routes_table[i];

		if (((r->flags & OPERATIONS) != 0) != operations || !path_fits(r->path, t->path, &variable, &size))
			continue;
		if (strcmp(r->method, method) != 0) {
			add_method(allow, r->method);
			continue;
		}
		if (variable != NULL)
			*id = arena_copy(a, variable, size);
		return r;
	}
	return NULL;
}
