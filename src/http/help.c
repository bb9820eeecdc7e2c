/* Reads the help topics, and writes them as they are told. */
#include "http/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "http/call.h"

#include "base/banned.h"

#define FILE_MOST 262144
#define TOPICS_MOST 64

struct help {
	struct topic { const char *id, *json; } topics[TOPICS_MOST];
	size_t count;
	const char *all;
};

struct reading {
	struct arena *arena;
	const struct http_help *settings;
};

static struct err wrong(struct reading *r, const char *what, const char *where)
{
	return FAIL(ERR_INVALID, arena_printf(r->arena, "help.topics: %s: %s: '%.80s'", r->settings->topics, what, where));
}

/* ---- answers ---- */

static bool value_of(const struct http_help *s, const char *name, size_t size, const char **out)
{
	const struct { const char *name, *value; } values[] = {
		{ "eus_phone", s->eus_phone }, { "eus_tty", s->eus_tty }, { "eus_mail", s->eus_mail },
		{ "eus_hours", s->eus_hours }, { "nppes_link", s->nppes_link },
	};

	for (size_t i = 0; i < COUNT(values); i++)
		if (strlen(values[i].name) == size && memcmp(values[i].name, name, size) == 0) {
			*out = values[i].value != NULL ? values[i].value : "(not told here)";
			return true;
		}
	return false;
}

static struct err fill_in(struct reading *r, const char *text, const char **out)
{
	char store[2048];
	const char *open, *close, *value;
	struct text t;
	struct err e = SUCCESS;

	text_open(&t, store, sizeof store);
	while (e.code == OK && (open = strstr(text, "{{")) != NULL) {
		close = strstr(open, "}}");
		if (close == NULL || !value_of(r->settings, open + 2, (size_t)(close - open) - 2, &value)) {
			e = wrong(r, "no placeholder", open);
			break;
		}
		text_put(&t, text, (size_t)(open - text));
		text_puts(&t, value);
		text = close + 2;
	}
	text_puts(&t, text);
	*out = arena_copy(r->arena, t.bytes, t.size);
	text_close(&t);
	return e;
}

static struct err tell_answer(struct reading *r, const json_t *answer, struct text *t)
{
	const json_t *paragraph;
	const char *filled;
	size_t i;

	if (json_array_size(answer) == 0)
		return wrong(r, "an answer is a list of paragraphs", "answer");
	tell_begin(t, "answer", "[");
	json_array_foreach(answer, i, paragraph) {
		if (!json_is_string(paragraph))
			return wrong(r, "a paragraph is a text", "answer");
		TRY(fill_in(r, json_string_value(paragraph), &filled));
		tell_begin(t, NULL, "");
		text_json(t, filled);
	}
	text_puts(t, "]");
	return SUCCESS;
}

static struct err tell_calls(struct reading *r, const json_t *calls, struct text *t)
{
	static const char *const known[] = { "method", "path", NULL };
	const json_t *call;
	const char *method, *path;
	size_t i;

	tell_begin(t, "calls", "[");
	json_array_foreach(calls, i, call) {
		TRY(json_only(r->arena, call, known));
		TRY(json_need_text(r->arena, call, "method", &method));
		TRY(json_need_text(r->arena, call, "path", &path));
		tell_begin(t, NULL, "{");
		tell_text(t, "method", method);
		tell_text(t, "path", path);
		text_puts(t, "}");
	}
	text_puts(t, "]");
	return SUCCESS;
}

/* ---- topics ---- */

static struct err tell_question(struct reading *r, const json_t *question, struct text *t)
{
	static const char *const known[] = { "question", "answer", "calls", NULL };
	const char *asked;

	TRY(json_only(r->arena, question, known));
	TRY(json_need_text(r->arena, question, "question", &asked));
	tell_begin(t, NULL, "{");
	tell_text(t, "question", asked);
	TRY(tell_answer(r, json_object_get(question, "answer"), t));
	TRY(tell_calls(r, json_object_get(question, "calls"), t));
	text_puts(t, "}");
	return SUCCESS;
}

static struct err tell_topic(struct reading *r, const json_t *topic, struct text *t, const char **id)
{
	static const char *const known[] = { "id", "title", "questions", NULL };
	const json_t *question, *questions = json_object_get(topic, "questions");
	const char *title;
	size_t i;

	TRY(json_only(r->arena, topic, known));
	TRY(json_need_text(r->arena, topic, "id", id));
	TRY(json_need_text(r->arena, topic, "title", &title));
	if (!id_is_plain(*id))
		return wrong(r, "no id of a topic", *id);
	text_puts(t, "{");
	tell_text(t, "id", *id);
	tell_text(t, "title", title);
	tell_begin(t, "questions", "[");
	json_array_foreach(questions, i, question)
		TRY(tell_question(r, question, t));
	text_puts(t, "]}");
	return SUCCESS;
}

static struct err add_topic(struct reading *r, const json_t *topic, struct help *out)
{
	char store[4096];
	struct text t;
	const char *id = NULL;

	if (out->count == TOPICS_MOST)
		return wrong(r, "too many topics", "");
	text_open(&t, store, sizeof store);
	struct err e = tell_topic(r, topic, &t, &id);
	if (e.code == OK && help_topic(out, id) != NULL)
		e = wrong(r, "there twice", id);
	if (e.code == OK) {
		out->topics[out->count].id = arena_strdup(r->arena, id);
		out->topics[out->count++].json = arena_copy(r->arena, t.bytes, t.size);
	}
	text_close(&t);
	return e;
}

static struct err read_topics(struct reading *r, struct help *out)
{
	static const char *const known[] = { "topics", NULL };
	FILE *in = fopen(r->settings->topics, "re");
	json_auto *whole = NULL;
	const json_t *topic;
	size_t i;

	if (in == NULL)
		return wrong(r, strerror(errno), "");
	char *bytes = arena_alloc(r->arena, FILE_MOST);
	size_t size = fread(bytes, 1, FILE_MOST, in);
	bool fine = !ferror(in) && size < FILE_MOST;
	fclose(in);
	if (!fine)
		return wrong(r, "cannot be read, or is too long", "");
	struct err e = json_read_object(r->arena, bytes, size, &whole);
	if (e.code != OK)
		return wrong(r, e.what, "");
	TRY(json_only(r->arena, whole, known));
	json_array_foreach(json_object_get(whole, "topics"), i, topic)
		TRY(add_topic(r, topic, out));
	return out->count > 0 ? SUCCESS : wrong(r, "no topic is in it", "");
}

static const char *tell_all(struct reading *r, const struct help *h)
{
	const struct http_help *s = r->settings;
	char store[4096];
	struct text t;

	text_open(&t, store, sizeof store);
	text_puts(&t, "{");
	tell_begin(&t, "contact", "{");
	tell_text(&t, "name", "External User Services (EUS), the help desk");
	tell_text(&t, "phone", s->eus_phone);
	tell_text(&t, "tty", s->eus_tty);
	tell_text(&t, "mail", s->eus_mail);
	tell_text(&t, "hours", s->eus_hours);
	text_puts(&t, "}");
	tell_text(&t, "nppes", s->nppes_link);
	tell_begin(&t, "topics", "[");
	for (size_t i = 0; i < h->count; i++)
		tell_begin(&t, NULL, h->topics[i].json);
	text_puts(&t, "]}");
	const char *out = arena_copy(r->arena, t.bytes, t.size);
	text_close(&t);
	return out;
}

struct err help_read(struct arena *a, const struct http_help *settings, struct help **out)
{
	struct reading r = { a, settings };

	*out = arena_alloc(a, sizeof **out);
	if (settings->topics != NULL) {
		struct err e = read_topics(&r, *out);

		if (e.code != OK)
			return text_begins(e.what, "help.topics") ? e : wrong(&r, e.what, "");
	}
	(*out)->all = tell_all(&r, *out);
	return SUCCESS;
}

const char *help_all(const struct help *h)
{
	return h->all;
}

const char *help_topic(const struct help *h, const char *id)
{
	for (size_t i = 0; i < h->count; i++)
		if (strcmp(h->topics[i].id, id) == 0)
			return h->topics[i].json;
	return NULL;
}
