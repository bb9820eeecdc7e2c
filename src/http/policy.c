/* Compiles the door's settings: certificates, peers, and the table of forward-auth routes. */
#include "http/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/help.h"
#include "http/target.h"

#include "base/banned.h"

static const struct {
	const char *variable, *kind;
} variables[] = {
	{ "{record}", "record" },
	{ "{provider}", "provider" },
	{ "{submission}", "submission" },
};

static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE", "*" };

static bool is_method(const char *word)
{
	for (size_t i = 0; word != NULL && i < COUNT(methods); i++)
		if (strcmp(word, methods[i]) == 0)
			return true;
	return false;
}

/* The literal parts must be what target_read would leave of them, or the route could never be met. */
static bool is_canonical(const char *before, const char *after, struct arena *a)
{
	struct target *t = arena_alloc(a, sizeof *t);
	const char *sample = arena_printf(a, "%sx%s", before, after);

	return target_read(sample, strlen(sample), t) == NULL && t->query == NULL && strcmp(t->path, sample) == 0;
}

static struct err compile(struct arena *a, const struct http_route *from, struct forward_route *out)
{
	const char *open = from->path != NULL ? strchr(from->path, '{') : NULL;
	size_t i = 0, size = 0;

	if (!is_method(from->method))
		return FAIL(ERR_INVALID,
		    arena_printf(a, "routes: '%.32s' is not a method", from->method != NULL ? from->method : ""));
	if (open == NULL)
		return FAIL(
		    ERR_INVALID, arena_printf(a, "routes: '%.200s' names no {record}, {provider} or {submission}",
				     from->path != NULL ? from->path : ""));
	for (; i < COUNT(variables); i++) {
		size = strlen(variables[i].variable);
		if (strncmp(open, variables[i].variable, size) == 0)
			break;
	}
	if (i == COUNT(variables) || strchr(open + 1, '{') != NULL || open == from->path || open[-1] != '/' ||
	    (open[size] != '\0' && open[size] != '/'))
		return FAIL(ERR_INVALID, arena_printf(a,
					     "routes: '%.200s' must have one whole segment {record}, {provider} or "
					     "{submission}",
					     from->path));
	if ((unsigned)from->action >= ACTIONS)
		return FAIL(ERR_INVALID, arena_printf(a, "routes: '%.200s' has no action", from->path));
	*out = (struct forward_route){
		.method = arena_strdup(a, from->method),
		.before = arena_copy(a, from->path, (size_t)(open - from->path)),
		.after = arena_strdup(a, open + size),
		.action = from->action,
		.kind = variables[i].kind,
	};
	out->before_size = strlen(out->before);
	out->after_size = strlen(out->after);
	if (!is_canonical(out->before, out->after, a))
		return FAIL(ERR_INVALID, arena_printf(a, "routes: '%.200s' is not a canonical path", from->path));
	return SUCCESS;
}

static struct err read_peers(struct policy *p, const struct http_settings *s)
{
	size_t count = 0;

	while (s->peers != NULL && s->peers[count] != NULL)
		count++;
	p->peers = arena_alloc(p->arena, count * sizeof *p->peers);
	p->peer_count = count;
	for (size_t i = 0; i < count; i++)
		if (!address_range_read(s->peers[i], &p->peers[i]))
			return FAIL(ERR_INVALID, arena_printf(p->arena,
						     "http.peers: '%.64s' is not an address or a range of "
						     "addresses (CIDR) with nothing behind its prefix",
						     s->peers[i]));
	return SUCCESS;
}

static struct err read_routes(struct policy *p, const struct http_settings *s)
{
	size_t count = 0;

	while (s->routes != NULL && s->routes[count].method != NULL)
		count++;
	p->routes = arena_alloc(p->arena, count * sizeof *p->routes);
	p->route_count = count;
	for (size_t i = 0; i < count; i++)
		TRY(compile(p->arena, &s->routes[i], &p->routes[i]));
	return SUCCESS;
}

static struct err fill(struct policy *p, const struct http_settings *s)
{
	TRY(keys_read(p->arena, s->certificate, s->key, s->client_ca, &p->keys));
	TRY(read_peers(p, s));
	TRY(read_routes(p, s));
	TRY(help_read(p->arena, &s->help, &p->help));
	p->header_bytes = (size_t)s->header_bytes;
	p->body_bytes = (size_t)s->body_bytes;
	p->document_bytes = (size_t)s->document_bytes;
	p->requests_per_second = s->requests_per_second;
	p->connections_per_address = s->connections_per_address;
	p->drain_s = s->drain_s;
	p->fresh_ms = s->fresh_ms > 0 ? s->fresh_ms : 1000;
	return SUCCESS;
}

struct err policy_read(struct arena *a, const struct http_settings *s, struct policy **out)
{
	struct policy *p = must_alloc(sizeof *p);

	p->holders = 1;
	p->arena = arena_open();
	struct err e = fill(p, s);
	if (e.code != OK) {
		e.what = arena_strdup(a, e.what);
		policy_drop(p);
		return e;
	}
	*out = p;
	return SUCCESS;
}

struct policy *policy_hold(struct policy *p)
{
	p->holders++;
	return p;
}

void policy_drop(struct policy *p)
{
	if (p == NULL || --p->holders > 0)
		return;
	keys_drop(p->keys);
	arena_close(p->arena);
	free(p);
}

/* ---- matching ---- */

static bool method_fits(const char *pattern, const char *method)
{
	/* RFC 9110 9.3.2: HEAD is GET without the content; it must not be let in where GET is not. */
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	return (pattern[0] == '*' && is_method(method)) || strcmp(pattern, method) == 0;
}

static bool is_id(const char *kind, const char *id)
{
	return kind[0] == 'r' ? id_is_enrollment(id) : id_is_plain(id);
}

static bool path_fits(const struct forward_route *r, const char *path, size_t size)
{
	if (size <= r->before_size + r->after_size)
		return false;
	size_t variable = size - r->before_size - r->after_size;
	return memcmp(path, r->before, r->before_size) == 0 &&
	    memcmp(path + size - r->after_size, r->after, r->after_size) == 0 &&
	    memchr(path + r->before_size, '/', variable) == NULL;
}

const struct forward_route *policy_route(
    const struct policy *p, const char *method, const char *path, size_t size, char id[ID_MOST + 1])
{
	if (method[0] == '*')
		return NULL;
	for (size_t i = 0; i < p->route_count; i++) {
		const struct forward_route *r = &p->routes[i];

		if (!path_fits(r, path, size) || !method_fits(r->method, method))
			continue;
		size_t id_size = size - r->before_size - r->after_size;
		if (id_size > ID_MOST)
			return NULL;
		memcpy(id, path + r->before_size, id_size);
		id[id_size] = '\0';
		return is_id(r->kind, id) ? r : NULL;
	}
	return NULL;
}
