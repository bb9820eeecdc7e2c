/* Reading JSON from strangers with jansson: strict I-JSON (RFC 7493), errors that name the member. */
#pragma once

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"

/* Parses size bytes: one object, no duplicate members, UTF-8, nesting of at most 32, nothing behind it. The error
 * says what is wrong ("is not JSON: line …") and leaves it to the caller to say of what. *out is owned by the caller (json_auto). */
struct err json_read_object(struct arena *, const char *bytes, size_t size, json_t **out);
/* A required / optional string member without NUL. The error names the member. Optional: *out is NULL if absent. */
struct err json_need_text(struct arena *, const json_t *object, const char *member, const char **out);
struct err json_may_text(struct arena *, const json_t *object, const char *member, const char **out);
/* ERR_INVALID naming the first member that is not in known (NULL-terminated). */
struct err json_only(struct arena *, const json_t *object, const char *const known[]);

static inline void json_put_away(json_t **json)
{
	json_decref(*json);
}
#define json_auto [[gnu::cleanup(json_put_away)]] json_t
