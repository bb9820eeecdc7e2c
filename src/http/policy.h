/* The settings in force, as the door uses them: read, checked and compiled at start and at each reload. Connections
 * hold the one that they last worked with, so that a reload never pulls it away from under a request. */
#pragma once

#include <stdatomic.h>

#include "http/address.h"
#include "http/http.h"
#include "http/tls.h"

/* A configured route: literal text, one variable segment, literal text. */
struct forward_route {
	const char *method;        /* "*": any */
	const char *before, *after;
	size_t before_size, after_size;
	enum action action;
	const char *kind;          /* "record", "provider", "submission" */
};

struct policy {
	atomic_uint holders;
	unsigned generation;
	struct arena *arena;       /* of everything below */
	struct keys *keys;
	struct address_range *peers;
	size_t peer_count;
	struct forward_route *routes;
	size_t route_count;
	size_t header_bytes, body_bytes, document_bytes;
	int requests_per_second, connections_per_address;
	int drain_s, fresh_ms;
	struct help *help;         /* http/help.h */
};

/* The error names the setting, and is in the arena given. */
struct err policy_read(struct arena *, const struct http_settings *, struct policy **out);
struct policy *policy_hold(struct policy *);
void policy_drop(struct policy *);

/* The first route that fits; its variable is copied into id (ID_MOST + 1 bytes). NULL: none, or the variable cannot
 * be an id of its kind. */
const struct forward_route *policy_route(const struct policy *, const char *method, const char *path, size_t size,
    char id[ID_MOST + 1]);
