/* Reading what a call was asked, and telling what came of it. */
#include "http/call.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "flow/account.h"

#include "base/banned.h"

#define PARAMETERS_MOST 12
#define PARAMETER_MOST 256
#define KEY_MOST 128

static bool refuse(struct request *q, struct reply *refused, const char *what)
{
	*refused = reply_problem(q, 400, "invalid_request", what);
	return false;
}

/* ---- query ---- */

static bool read_parameter(struct request *q, const struct parameter *p, struct reply *refused)
{
	char value[PARAMETER_MOST + 1];
	enum target_found found = target_parameter(q->target.query, p->name, value, sizeof value);

	*p->out = NULL;
	if (found == TARGET_ABSENT)
		return !p->required ||
		    refuse(q, refused, arena_printf(q->arena, "The parameter '%s' is required.", p->name));
	if (found != TARGET_FOUND || value[0] == '\0')
		return refuse(q, refused, arena_printf(q->arena, "The parameter '%s' is %s.", p->name,
		    found == TARGET_DOUBLED ? "there twice" : "empty, too long, or not UTF-8"));
	*p->out = arena_strdup(q->arena, value);
	return true;
}

bool call_query(struct request *q, const struct parameter *list, struct reply *refused)
{
	const char *known[PARAMETERS_MOST + 1] = { NULL };
	char unknown[33];

	for (size_t i = 0; list[i].name != NULL && i < PARAMETERS_MOST; i++)
		known[i] = list[i].name;
	if (target_has_unknown(q->target.query, known, unknown, sizeof unknown))
		return refuse(
		    q, refused, arena_printf(q->arena, "The parameter '%s' is not known here.", unknown));
	for (size_t i = 0; list[i].name != NULL; i++)
		if (!read_parameter(q, &list[i], refused))
			return false;
	return true;
}

bool call_no_query(struct request *q, struct reply *refused)
{
	return call_query(q, (const struct parameter[]){ { 0 } }, refused);
}

#define PAGE_MOST 200

bool call_list(struct request *q, const struct parameter *list, struct page *out, struct reply *refused)
{
	const char *limit;
	struct parameter all[PARAMETERS_MOST + 1] = { { "limit", &limit, false }, { "cursor", &out->cursor, false } };
	bool fine = true;

	for (size_t i = 0; list[i].name != NULL && i + 2 < PARAMETERS_MOST; i++)
		all[i + 2] = list[i];
	if (!call_query(q, all, refused))
		return false;
	out->limit = 0;
	for (const char *c = limit; c != NULL && *c != '\0' && fine; c++) {
		fine = *c >= '0' && *c <= '9' && out->limit <= PAGE_MOST;
		out->limit = 10 * out->limit + (size_t)(*c - '0');
	}
	fine = fine && (limit == NULL || (out->limit >= 1 && out->limit <= PAGE_MOST));
	return fine || refuse(q, refused, "The parameter 'limit' must be a number from 1 to 200.");
}

/* ---- body ---- */

static struct err read_texts(struct request *q, const struct member *m, const json_t *value)
{
	const char **list;
	size_t count = json_array_size(value);

	if (!json_is_array(value))
		return FAIL(ERR_INVALID, arena_printf(q->arena, "'%s' must be a list of strings", m->name));
	list = arena_alloc(q->arena, (count + 1) * sizeof *list);
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(value, i);

		if (!json_is_string(item) || json_string_length(item) == 0 ||
		    strlen(json_string_value(item)) != json_string_length(item))
			return FAIL(ERR_INVALID,
			    arena_printf(q->arena, "'%s' must hold strings, none of them empty or with NUL", m->name));
		list[i] = json_string_value(item);
	}
	*(const char *const **)m->out = list;
	return SUCCESS;
}

static struct err read_secret(struct request *q, const struct member *m, const json_t *value)
{
	struct member_secret *out = m->out;

	if (!json_is_string(value))
		return FAIL(ERR_INVALID, arena_printf(q->arena, "'%s' must be a string", m->name));
	*out = (struct member_secret){ json_string_value(value), json_string_length(value) };
	return SUCCESS;
}

static struct err read_time(struct request *q, const struct member *m, const json_t *value)
{
	int64_t seconds = json_is_string(value) ? clock_parse_rfc3339(json_string_value(value)) : -1;

	if (seconds <= 0)
		return FAIL(ERR_INVALID,
		    arena_printf(q->arena, "'%s' must be a time like 2026-11-24T06:37:44Z", m->name));
	*(int64_t *)m->out = seconds;
	return SUCCESS;
}

static struct err read_member(struct request *q, const struct member *m, const json_t *body)
{
	const json_t *value = json_object_get(body, m->name);

	switch (m->kind) {
	case MEMBER_TEXT:
		TRY(m->required ? json_need_text(q->arena, body, m->name, m->out)
				: json_may_text(q->arena, body, m->name, m->out));
		if (*(const char **)m->out != NULL && **(const char **)m->out == '\0')
			return FAIL(ERR_INVALID, arena_printf(q->arena, "'%s' must not be empty", m->name));
		return SUCCESS;
	case MEMBER_SECRET:
		*(struct member_secret *)m->out = (struct member_secret){ "", 0 };
		break;
	case MEMBER_TEXTS:
		*(const char *const **)m->out = NULL;
		break;
	case MEMBER_FLAG:
		*(bool *)m->out = false;
		break;
	case MEMBER_TIME:
		*(int64_t *)m->out = 0;
		break;
	case MEMBER_OBJECT:
		*(const json_t **)m->out = NULL;
		break;
	}
	if (value == NULL)
		return m->required ? FAIL(ERR_INVALID, arena_printf(q->arena, "'%s' is required", m->name)) : SUCCESS;
	if (m->kind == MEMBER_TEXTS)
		return read_texts(q, m, value);
	if (m->kind == MEMBER_SECRET)
		return read_secret(q, m, value);
	if (m->kind == MEMBER_TIME)
		return read_time(q, m, value);
	if (m->kind == MEMBER_FLAG ? !json_is_boolean(value) : !json_is_object(value))
		return FAIL(ERR_INVALID, arena_printf(q->arena, "'%s' must be %s", m->name,
		    m->kind == MEMBER_FLAG ? "true or false" : "an object"));
	if (m->kind == MEMBER_FLAG)
		*(bool *)m->out = json_is_true(value);
	else
		*(const json_t **)m->out = value;
	return SUCCESS;
}

struct err call_json(struct request *q, json_t **body)
{
	struct err e = json_read_object(q->arena, q->body, q->body_size, body);

	return e.code == OK ? e : FAIL(e.code, arena_printf(q->arena, "The body %s", e.what));
}

bool call_body(struct request *q, const struct member *list, json_t **body, struct reply *refused)
{
	const char *known[PARAMETERS_MOST + 1] = { NULL };
	struct err e = call_json(q, body);

	for (size_t i = 0; list[i].name != NULL && i < PARAMETERS_MOST; i++)
		known[i] = list[i].name;
	if (e.code == OK)
		e = json_only(q->arena, *body, known);
	for (size_t i = 0; list[i].name != NULL && e.code == OK; i++)
		e = read_member(q, &list[i], *body);
	if (e.code != OK)
		*refused = reply_error(q, e);
	return e.code == OK;
}

bool call_fits_text(struct request *q, const char *name, const char *value, size_t most, struct reply *refused)
{
	if (value != NULL && strlen(value) > most)
		return refuse(q, refused, arena_printf(q->arena, "'%s' has more than %zu bytes", name, most));
	if (value != NULL && value[strspn(value, " \t\r\n")] == '\0')
		return refuse(q, refused, arena_printf(q->arena, "'%s' says nothing", name));
	return true;
}

bool call_fits(struct request *q, const struct grounds *g, struct reply *refused)
{
	return call_fits_text(q, "reason", g->reason, 512, refused) && call_fits_text(q, "ticket", g->ticket, 64, refused) &&
	    call_fits_text(q, "identified_by", g->identified_by, 256, refused);
}

bool call_any_grounds(struct request *q, struct grounds *out, json_t **body, struct reply *refused)
{
	const struct member members[] = { { "reason", MEMBER_TEXT, false, &out->reason },
		{ "ticket", MEMBER_TEXT, false, &out->ticket },
		{ "identified_by", MEMBER_TEXT, false, &out->identified_by }, { 0 } };

	*out = (struct grounds){ 0 };
	return call_body(q, members, body, refused) && call_fits(q, out, refused);
}

bool call_grounds(struct request *q, bool identified, struct grounds *out, json_t **body, struct reply *refused)
{
	if (!call_any_grounds(q, out, body, refused))
		return false;
	if (identified && out->identified_by == NULL)
		return refuse(q, refused, "'identified_by' is required");
	return out->reason != NULL || out->ticket != NULL ||
	    refuse(q, refused, "'reason' or 'ticket' is required");
}

/* ---- entity tags ---- */

bool call_state(struct request *q, enum kind kind, const char *word, enum state *out, struct reply *refused)
{
	*out = state_of_word(word);
	return word == NULL || (*out != STATE_NONE && state_fits(kind, *out)) ||
	    refuse(q, refused,
		arena_printf(q->arena, "The parameter 'state' must be a state of a %s.", kind_word(kind)));
}

bool call_if_match(struct request *q, bool required, struct revision *out, struct reply *refused)
{
	const struct header *h = &q->head.headers[HEADER_IF_MATCH];
	struct header tag;

	*out = (struct revision){ 0 };
	if (h->text == NULL && !required)
		return true;
	if (h->text == NULL)
		*refused =
		    reply_problem(q, 428, "precondition_required", "If-Match must name the ETag of what is replaced.");
	else if (!hygiene_entity_tag(h, &tag)) /* lists and "*" name none */
		*refused = reply_problem(q, 400, "invalid_request", "If-Match must be one strong entity tag.");
	else if (!revision_parse(tag.text, tag.size, out))
		*refused = reply_problem(q, 412, "precondition_failed", "If-Match names no ETag of this.");
	else
		return true;
	return false;
}

bool call_key(struct request *q, const char **out, struct reply *refused)
{
	const struct header *h = &q->head.headers[HEADER_IDEMPOTENCY_KEY];
	bool fine = h->size > 0 && h->size <= KEY_MOST;

	*out = NULL;
	if (h->text == NULL)
		return true;
	for (size_t i = 0; i < h->size; i++)
		fine = fine && h->text[i] > ' ' && h->text[i] < 0x7f;
	if (!fine)
		return refuse(q, refused, "Idempotency-Key must be 1 to 128 visible characters of ASCII.");
	*out = arena_copy(q->arena, h->text, h->size);
	return true;
}

void call_tag(struct request *q, struct reply *r, const struct revision *entry)
{
	char tag[REVISION_TEXT];

	revision_format(entry, tag);
	reply_field(r, "ETag", arena_printf(q->arena, "\"%s\"", tag));
}

/* ---- results ---- */

bool call_failed(struct request *q, enum action action, struct err e, const struct answer *a, struct reply *out)
{
	/* Without a time, for the answer waits for the directory as well. */
	if (a->verdict.allow || a->verdict.why != REASON_OK)
		metrics_decision(q->http->metrics, action, a->verdict.why, -1);
	if (e.code == OK && a->verdict.allow)
		return false;
	if (e.code == OK && a->verdict.why == MANAGED_ELSEWHERE)
		*out = reply_elsewhere(q, flow_nppes_link(q->flow));
	else if (e.code == OK)
		*out = reply_refused(q, a->verdict.why, &a->revision);
	else if (e.code == ERR_CONFLICT)
		*out = reply_problem(q, 412, "precondition_failed", e.what);
	else
		*out = reply_error(q, e);
	out->revision = a->revision;
	return true;
}

struct reply call_told(struct request *q, unsigned status, struct text *t, const struct revision *decided,
    const struct revision *entry)
{
	struct reply r = reply_json(q, status, t);

	if (decided != NULL)
		r.revision = *decided;
	if (entry != NULL)
		call_tag(q, &r, entry);
	return r;
}

/* Whoever made it is a stranger: it is saved, never shown within a page of ours. */
struct reply call_attachment(struct request *q, const char *what, struct err (*read)(struct arena *, struct flow *,
    const struct caller *, const char *id, int file, struct answer *, struct attachment *))
{
	struct attachment document;
	struct answer answer = { 0 };
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	int file = uploads_file(q->http->uploads);
	if (file < 0)
		return reply_refused(q, UNAVAILABLE, NULL);
	struct err e = read(q->arena, q->flow, &q->caller, q->id, file, &answer, &document);
	if (call_failed(q, QUEUE_READ, e, &answer, &r)) {
		close(file);
		return r;
	}
	r = (struct reply){
		.status = 200,
		.type = document.media_type,
		.size = (size_t)document.size,
		.revision = answer.revision,
		.from_file = true,
		.file = file,
	};
	const char *slash = document.media_type != NULL ? strchr(document.media_type, '/') : NULL;
	reply_field(&r, "Content-Disposition", arena_printf(q->arena, "attachment; filename=\"%s-%s.%s\"", what, q->id,
	    slash != NULL ? slash + 1 : "bin"));
	reply_field(&r, "Content-Security-Policy", "default-src 'none'; sandbox");
	return r;
}

void tell_begin(struct text *t, const char *name, const char *bracket)
{
	char last = t->size > 0 ? t->bytes[t->size - 1] : '{';

	if (last != '{' && last != '[')
		text_puts(t, ",");
	if (name != NULL) {
		text_json(t, name);
		text_puts(t, ":");
	}
	text_puts(t, bracket);
}

void tell_text(struct text *t, const char *name, const char *value)
{
	if (value == NULL)
		return;
	tell_begin(t, name, "");
	text_json(t, value);
}

void tell_texts(struct text *t, const char *name, const char *const *values)
{
	tell_begin(t, name, "[");
	for (size_t i = 0; values != NULL && values[i] != NULL; i++) {
		tell_begin(t, NULL, "");
		text_json(t, values[i]);
	}
	text_puts(t, "]");
}

void tell_time(struct text *t, const char *name, int64_t seconds)
{
	char when[CLOCK_TEXT];

	if (seconds == 0)
		return;
	clock_format(seconds * 1000000, when);
	tell_text(t, name, when);
}

void tell_flag(struct text *t, const char *name, bool value)
{
	tell_begin(t, name, value ? "true" : "false");
}

void tell_number(struct text *t, const char *name, int64_t value)
{
	tell_begin(t, name, "");
	text_int(t, value);
}

void tell_revision(struct text *t, const char *name, const struct revision *revision)
{
	char text[REVISION_TEXT];

	if (revision->micros == 0)
		return;
	revision_format(revision, text);
	tell_text(t, name, text);
}

void tell_decision(struct text *t, const struct entry *e, bool for_desk)
{
	tell_text(t, "decided_by", e->decided_by);
	tell_time(t, "decided_at", e->decided_at);
	tell_text(t, "reason", e->reason);
	tell_text(t, "ticket", for_desk ? e->ticket : NULL);
	tell_text(t, "identified_by", for_desk ? e->identified_by : NULL);
	tell_revision(t, "revision", &e->revision);
}

void tell_problems(struct text *t, const struct form_problems *p)
{
	tell_begin(t, "problems", "[");
	for (size_t i = 0; i < p->count; i++) {
		tell_begin(t, NULL, "{");
		tell_text(t, "pointer", p->list[i].pointer);
		tell_text(t, "rule", p->list[i].rule);
		text_puts(t, "}");
	}
	text_puts(t, "]");
}

void tell_next(struct text *t, const char *next)
{
	text_puts(t, "]");
	tell_text(t, "next", next);
	text_puts(t, "}");
}
