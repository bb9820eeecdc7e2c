/* Leaves of the guess book as JSON, and counting on them. */
#include "flow/leaf.h"

#include <string.h>

#include "base/json.h"

#include "base/banned.h"

static void copy(char *out, size_t room, const char *text)
{
	size_t size = strnlen(text, room - 1);

	memcpy(out, text, size);
	out[size] = '\0';
}

bool leaf_read(struct arena *a, const char *json, size_t size, struct leaf *out)
{
	json_auto *root = NULL;

	memset(out, 0, sizeof *out);
	if (json == NULL || json_read_object(a, json, size, &root).code != OK)
		return false;
	const json_t *holder = json_object_get(root, "holder"), *failures = json_object_get(root, "failures");
	if (json_is_string(holder))
		copy(out->holder, sizeof out->holder, json_string_value(holder));
	for (size_t i = 0; i < json_array_size(failures); i++) {
		const json_t *one = json_array_get(failures, i), *network = json_array_get(one, 0),
			     *at = json_array_get(one, 1);

		if (json_is_string(network) && json_is_integer(at))
			leaf_add(out, json_string_value(network), json_integer_value(at));
	}
	return true;
}

void leaf_tell(const struct leaf *p, struct text *t)
{
	text_puts(t, "{\"holder\":");
	text_json(t, p->holder);
	text_puts(t, ",\"failures\":[");
	for (size_t i = 0; i < p->count; i++) {
		text_puts(t, i > 0 ? ",[" : "[");
		text_json(t, p->failures[i].network);
		text_puts(t, ",");
		text_int(t, p->failures[i].at);
		text_puts(t, "]");
	}
	text_puts(t, "]}");
}

size_t leaf_failures(const struct leaf *p, const char *network, int64_t since)
{
	size_t count = 0;

	for (size_t i = 0; i < p->count; i++)
		count += p->failures[i].at > since && text_same(p->failures[i].network, network);
	return count;
}

void leaf_add(struct leaf *p, const char *network, int64_t at)
{
	if (p->count == LEAF_FAILURES)
		memmove(p->failures, p->failures + 1, --p->count * sizeof *p->failures);
	struct leaf_failure *one = &p->failures[p->count++];
	copy(one->network, sizeof one->network, network);
	one->at = at;
}

/* Keeps what is of another network and later. */
static void keep(struct leaf *p, const char *but, int64_t after)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++)
		if (p->failures[i].at > after && !text_same(p->failures[i].network, but))
			p->failures[kept++] = p->failures[i];
	p->count = kept;
}

void leaf_forgive(struct leaf *p, const char *network)
{
	keep(p, network, INT64_MIN);
}

void leaf_drop_before(struct leaf *p, int64_t at)
{
	keep(p, NULL, at);
}
