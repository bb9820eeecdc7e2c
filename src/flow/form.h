/* The enrollment forms: JSON Schemas under conf/forms/, and documents checked against them. */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

struct forms;
/* Reads every <form>.json in the folder. The subset of JSON Schema 2020-12 that is understood: type, properties,
 * required, additionalProperties (false), items, enum, const, pattern (ERE), minLength, maxLength, minimum, maximum,
 * minItems, maxItems, title, description, $schema, $id, format (npi, date). Any other keyword is an error here, not
 * a silent pass later. */
struct err forms_open(struct arena *, const char *folder, struct forms **out);
void forms_close(struct forms *);

struct form_problem {
	const char *pointer; /* JSON Pointer (RFC 6901) to the member: "/practice_locations/0/zip" */
	const char *rule;    /* "must match ^[0-9]{5}$", "is required", … */
};
struct form_problems {
	struct form_problem *list; /* at most 20 are told */
	size_t count;
};
/* ERR_INVALID and problems if the document does not satisfy the form; ERR_NOT_FOUND if there is no such form. */
struct err form_check(struct arena *, const struct forms *, const char *form, const char *json, size_t size,
    struct form_problems *out);
