/* Request targets, judged raw. What a proxy or an application might read differently than we do is not canonical,
 * and nothing that is not canonical is ever matched: no dot segments, no double slash, no second decoding. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TARGET_MOST 2048 /* bytes of path and query; longer is refused */

struct target {
	char path[TARGET_MOST]; /* decoded once, NUL-terminated, begins with a slash */
	size_t size;            /* of path */
	const char *query;      /* raw, behind the first question mark; NULL if there is none; borrowed */
};

/* NULL if the size bytes at raw are a canonical origin-form target (RFC 9112 3.2.1); else what is wrong with them. */
const char *target_read(const char *raw, size_t size, struct target *out);

/* Finds the parameter in a query, decodes it once into out (room bytes) and terminates it.
 * TARGET_DOUBLED, TARGET_MALFORMED: the request is to be refused. A plus sign is a plus sign. */
enum target_found { TARGET_ABSENT, TARGET_FOUND, TARGET_DOUBLED, TARGET_MALFORMED };
enum target_found target_parameter(const char *query, const char *name, char *out, size_t room);
/* The first parameter whose name is not among known (NULL-terminated): its name, raw, is copied into out. */
bool target_has_unknown(const char *query, const char *const known[], char *out, size_t room);
