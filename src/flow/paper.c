/* The template of the Security Consent Form, and the text that is made from it. */
#include "flow/paper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"

#include "base/banned.h"

#define TEMPLATE_MOST 65536

struct paper {
	char *text, *font;
};

enum placeholder {
	TRACKING_ID, PROVIDER_ID, PROVIDER_NAME, PROVIDER_TIN, EMPLOYER_ID, EMPLOYER_NAME, PERIOD, PREPARED_BY, PREPARED_ON,
	PLACEHOLDERS
};
static const struct {
	const char *name;
	bool required;
} placeholders[PLACEHOLDERS] = {
	[TRACKING_ID] = { "tracking_id", true },
	[PROVIDER_ID] = { "provider_id", false },
	[PROVIDER_NAME] = { "provider_name", true },
	[PROVIDER_TIN] = { "provider_tin", false },
	[EMPLOYER_ID] = { "employer_id", false },
	[EMPLOYER_NAME] = { "employer_name", true },
	[PERIOD] = { "period", false },
	[PREPARED_BY] = { "prepared_by", false },
	[PREPARED_ON] = { "prepared_on", false },
};

/* ---- the template ---- */

/* The next {{name}} from at on: *begin and *end enclose it. PLACEHOLDERS: none of ours; NULL in *begin: there is none. */
static enum placeholder next_placeholder(const char *at, const char **begin, const char **end)
{
	const char *close;

	*begin = strstr(at, "{{");
	close = *begin != NULL ? strstr(*begin, "}}") : NULL;
	*end = close != NULL ? close + 2 : *begin;
	for (int i = 0; close != NULL && i < PLACEHOLDERS; i++) {
		size_t size = strlen(placeholders[i].name);

		if ((size_t)(close - *begin) == size + 2 && memcmp(*begin + 2, placeholders[i].name, size) == 0)
			return (enum placeholder)i;
	}
	return PLACEHOLDERS;
}

static struct err check_template(struct arena *a, const char *file, const char *text, size_t size)
{
	const char *begin, *end = text;
	bool found[PLACEHOLDERS] = { false };

	if (size == 0 || strlen(text) != size || !text_is_utf8(text, size))
		return FAIL(ERR_INVALID, arena_printf(a, "%s: is empty, holds NUL, or is not UTF-8", file));
	for (;;) {
		enum placeholder which = next_placeholder(end, &begin, &end);

		if (begin == NULL)
			break;
		if (which == PLACEHOLDERS)
			return FAIL(ERR_INVALID, arena_printf(a, "%s: '%.32s' is no placeholder", file, begin));
		found[which] = true;
	}
	for (int i = 0; i < PLACEHOLDERS; i++)
		if (placeholders[i].required && !found[i])
			return FAIL(ERR_INVALID,
			    arena_printf(a, "%s: {{%s}} must be in it", file, placeholders[i].name));
	return SUCCESS;
}

static struct err read_template(struct arena *a, const char *file, char **out)
{
	FILE *in = fopen(file, "re");

	if (in == NULL)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: %s", file, strerror(errno)));
	char *text = must_alloc(TEMPLATE_MOST + 1);
	size_t size = fread(text, 1, TEMPLATE_MOST + 1, in);
	bool whole = !ferror(in) && size <= TEMPLATE_MOST;
	fclose(in);
	text[size <= TEMPLATE_MOST ? size : TEMPLATE_MOST] = '\0';
	struct err e = !whole
	    ? FAIL(ERR_INVALID, arena_printf(a, "%s: cannot be read, or is longer than %d bytes", file, TEMPLATE_MOST))
	    : check_template(a, file, text, size);
	if (e.code != OK)
		free(text);
	else
		*out = text;
	return e;
}

struct err paper_open(struct arena *a, const char *file, const char *font, struct paper **out)
{
	char *text = NULL;

	*out = NULL;
	if (access(font, R_OK) != 0)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: %s", font, strerror(errno)));
	TRY(read_template(a, file, &text));
	*out = must_alloc(sizeof **out);
	**out = (struct paper){ .text = text, .font = must_strdup(font) };
	return SUCCESS;
}

void paper_close(struct paper *p)
{
	if (p == NULL)
		return;
	free(p->text);
	free(p->font);
	free(p);
}

const char *paper_font(const struct paper *p)
{
	return p->font;
}

/* ---- the text ---- */

/* The base 32 of Douglas Crockford: no I, L, O or U. 60 bits of a digest. */
void paper_tracking(const char *id, char out[PAPER_TRACKING])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	unsigned char digest[32];
	size_t at = 4;

	memcpy(out, "SCF-", at);
	secret_digest_bytes(id, strlen(id), digest);
	for (int i = 0; i < 12; i++) {
		if (i == 4 || i == 8)
			out[at++] = '-';
		out[at++] = digits[digest[i] & 31];
	}
	out[at] = '\0';
}

/* Does a character begin here that has no place on a form: a control (U+0000–1F, U+7F–9F), a separator of lines, or one
 * that turns the direction of what follows (U+200E–F, U+2028–2E, U+2066–69, U+FEFF)? How many bytes it has; 0: no. */
static size_t unfit(const unsigned char *p)
{
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
		return 2;
	if (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf)
		return 3;
	if (p[0] == 0xe2 && p[1] == 0x80)
		return p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae) ? 3 : 0;
	return p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9 ? 3 : 0;
}

/* A name goes into the text as it is read, not as it may be stored: one line, that nothing hides in. */
static const char *fit(struct arena *a, const char *value)
{
	const unsigned char *p = (const unsigned char *)value;
	char *out = arena_alloc(a, strlen(value) + 1);
	size_t n = 0;

	if (!text_is_utf8(value, strlen(value)))
		return "?";
	while (*p != '\0') {
		size_t bad = unfit(p);

		out[n++] = bad > 0 ? ' ' : (char)*p;
		p += bad > 0 ? bad : 1;
	}
	return out;
}

const char *paper_time(struct arena *a, int64_t seconds)
{
	char when[CLOCK_TEXT];

	clock_format(seconds * 1000000, when);
	return arena_printf(a, "%.10s %.5s UTC", when, when + 11);
}

static const char *period_of(struct arena *a, const struct paper_facts *f)
{
	const char *from = f->not_before != 0 ? paper_time(a, f->not_before) : "its approval";

	if (f->not_after == 0)
		return arena_printf(a, "from %s on, until it is revoked", from);
	return arena_printf(a, "from %s until %s, or until it is revoked", from, paper_time(a, f->not_after));
}

static const char *tin_of(struct arena *a, const char *tin)
{
	size_t size = tin != NULL ? strlen(tin) : 0;

	return size < 4 ? "not on file" : arena_printf(a, "ends in %s", tin + size - 4);
}

static const char *value_of(struct arena *a, const struct paper_facts *f, enum placeholder which)
{
	char tracking[PAPER_TRACKING];

	switch (which) {
	case TRACKING_ID:
		paper_tracking(f->id, tracking);
		return arena_strdup(a, tracking);
	case PROVIDER_ID:
		return f->provider;
	case PROVIDER_NAME:
		return f->provider_name != NULL ? f->provider_name : f->provider;
	case PROVIDER_TIN:
		return tin_of(a, f->provider_tin);
	case EMPLOYER_ID:
		return f->employer;
	case EMPLOYER_NAME:
		return f->employer_name != NULL ? f->employer_name : f->employer;
	case PERIOD:
		return period_of(a, f);
	case PREPARED_BY:
		return f->prepared_by != NULL ? f->prepared_by : "";
	case PREPARED_ON:
		return f->prepared_at != 0 ? paper_time(a, f->prepared_at) : "";
	case PLACEHOLDERS:
		break;
	}
	return "";
}

const char *paper_text(struct arena *a, const struct paper *p, const struct paper_facts *f)
{
	const char *at = p->text, *begin, *end;
	char store[4096];
	struct text t;

	text_open(&t, store, sizeof store);
	for (;;) {
		enum placeholder which = next_placeholder(at, &begin, &end);

		if (begin == NULL)
			break;
		text_put(&t, at, (size_t)(begin - at));
		text_puts(&t, fit(a, value_of(a, f, which)));
		at = end;
	}
	text_puts(&t, at);
	const char *out = arena_copy(a, t.bytes, t.size);
	text_close(&t);
	return out;
}

/* ---- its paragraphs ---- */

static const char *line_end(const char *p)
{
	return p + strcspn(p, "\n");
}

bool paper_next(const char *text, const char **at, struct paper_block *out)
{
	const char *p = *at;

	while (*p == '\n')
		p++;
	if (*p == '\0')
		return false;
	*out = (struct paper_block){ p == text ? PAPER_TITLE : *p == ' ' ? PAPER_FACTS : PAPER_PROSE, p, 0 };
	while (*p != '\0' && *p != '\n') { /* to the empty line */
		p = line_end(p);
		if (*p == '\n')
			p++;
	}
	out->size = (size_t)(p - out->at);
	*at = p;
	return true;
}

bool paper_line(const struct paper_block *b, const char **at, const char **line, size_t *size)
{
	const char *p = *at != NULL ? *at : b->at, *end = b->at + b->size;

	if (p >= end)
		return false;
	const char *stop = line_end(p);
	*at = *stop == '\n' ? stop + 1 : stop;
	while (p < stop && *p == ' ')
		p++;
	while (stop > p && stop[-1] == ' ')
		stop--;
	*line = p;
	*size = (size_t)(stop - p);
	return true;
}

/* ---- what stands below it ---- */

bool paper_wants_signature(const struct paper_page *page)
{
	return text_same(page->state, "prepared");
}

static const struct {
	const char *state, *what, *means;
} decisions[] = {
	{ "approved", "Approved by External User Services", "" },
	{ "rejected", "Rejected by External User Services", " It consents to nothing." },
	{ "withdrawn", "Withdrawn by the Authorized Official", " It consents to nothing." },
	{ "revoked", "Revoked", " It consents to nothing any more." },
	{ "expired", "Expired", " It consents to nothing any more." },
};

size_t paper_seals(struct arena *a, const struct paper_page *page, const char *out[PAPER_SEALS])
{
	size_t n = 0;

	if (page->signed_at != 0)
		out[n++] = arena_printf(a, "Signed %s by %s, Authorized Official, on %s.",
		    text_same(page->signed_how, "paper") ? "on paper" : "electronically",
		    page->signed_by != NULL ? fit(a, page->signed_by) : "the", paper_time(a, page->signed_at));
	if (page->other_signed)
		out[n++] = "The text that was signed is not on file. This is what the form would say today.";
	if (paper_wants_signature(page) || text_same(page->state, "signed"))
		out[n++] = "This form takes effect when the Authorized Official has signed it and External User Services "
			   "has approved it.";
	for (size_t i = 0; i < COUNT(decisions); i++)
		if (text_same(page->state, decisions[i].state))
			out[n++] = arena_printf(a, "%s%s%s.%s", decisions[i].what, page->decided_at != 0 ? " on " : "",
			    page->decided_at != 0 ? paper_time(a, page->decided_at) : "", decisions[i].means);
	return n;
}
