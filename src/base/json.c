/* JSON from strangers: jansson, held to I-JSON and to errors that name the member. */
#include "base/json.h"

#include <string.h>

#include "base/text.h"

#include "base/banned.h"

#define DEEPEST 32

/* jansson's own limit is 2,048 levels; a form needs a handful. Strings are skipped, so brackets in them do not count. */
static bool too_deep(const char *p, size_t size)
{
	size_t depth = 0;
	bool inside = false;

	for (size_t i = 0; i < size; i++) {
		if (inside) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				inside = false;
		} else if (p[i] == '"') {
			inside = true;
		} else if (p[i] == '{' || p[i] == '[') {
			if (++depth > DEEPEST)
				return true;
		} else if ((p[i] == '}' || p[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

struct err json_read_object(struct arena *a, const char *bytes, size_t size, json_t **out)
{
	json_error_t error;

	*out = NULL;
	if (size == 0)
		return FAIL(ERR_INVALID, "is empty; a JSON object is needed");
	if (!text_is_utf8(bytes, size))
		return FAIL(ERR_INVALID, "is not UTF-8");
	if (too_deep(bytes, size))
		return FAIL(ERR_INVALID, "is nested more than 32 levels deep");
	json_t *json = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
		return FAIL(ERR_INVALID,
		    arena_printf(a, "is not JSON: line %d column %d: %s", error.line, error.column, error.text));
	if (!json_is_object(json)) {
		json_decref(json);
		return FAIL(ERR_INVALID, "must be a JSON object");
	}
	*out = json;
	return SUCCESS;
}

struct err json_may_text(struct arena *a, const json_t *object, const char *member, const char **out)
{
	const json_t *value = json_object_get(object, member);

	*out = NULL;
	if (value == NULL)
		return SUCCESS;
	if (!json_is_string(value))
		return FAIL(ERR_INVALID, arena_printf(a, "'%s' must be a string", member));
	if (strlen(json_string_value(value)) != json_string_length(value))
		return FAIL(ERR_INVALID, arena_printf(a, "'%s' must not contain NUL", member));
	*out = json_string_value(value);
	return SUCCESS;
}

struct err json_need_text(struct arena *a, const json_t *object, const char *member, const char **out)
{
	TRY(json_may_text(a, object, member, out));
	if (*out == NULL)
		return FAIL(ERR_INVALID, arena_printf(a, "'%s' is required", member));
	return SUCCESS;
}

struct err json_only(struct arena *a, const json_t *object, const char *const known[])
{
	const char *member;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, member, value) {
		size_t i = 0;

		while (known[i] != NULL && strcmp(known[i], member) != 0)
			i++;
		if (known[i] == NULL)
			return FAIL(ERR_INVALID, arena_printf(a, "'%.64s' is not a known member here", member));
	}
	return SUCCESS;
}
