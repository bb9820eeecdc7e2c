/* The Security Consent Form as people see it: the text that is signed, made once from a template, and the pages that carry
 * it. Pure but for opening the files of the configuration; not for other folders, which use flow/consent.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

struct paper;
/* file: the template. Its first paragraph is the title; lines that begin with a blank are facts and stay lines; the rest is
 * prose. {{tracking_id}}, {{provider_name}} and {{employer_name}} must be in it; other placeholders are provider_id,
 * provider_tin, employer_id, period, prepared_by and prepared_on. font: a TrueType font for PDF, that has the letters of
 * people's names. The error is in the arena. */
struct err paper_open(struct arena *, const char *file, const char *font, struct paper **out);
void paper_close(struct paper *);

struct paper_facts {
	const char *id; /* of the consent */
	const char *provider, *provider_name, *provider_tin;
	const char *employer, *employer_name;
	const char *prepared_by;
	int64_t prepared_at, not_before, not_after; /* 0: from the approval on, with an open end */
};
/* What is signed: UTF-8, and no character that does not show or that turns the direction of others. */
const char *paper_text(struct arena *, const struct paper *, const struct paper_facts *);

/* SCF and three groups of four (SCF-7QK2-M4PD-X9RT), for people to write and to read out: from the consent's id, without
 * letters that look alike. */
#define PAPER_TRACKING 19
void paper_tracking(const char *id, char out[PAPER_TRACKING]);

struct paper_person { const char *uid, *name; bool active; };
/* What is printed around the text. NULL and 0: does not apply. */
struct paper_page {
	const char *tracking, *text, *digest;
	bool other_signed;                 /* what was signed is not this text: it is not on file */
	const char *state;                 /* a state of docs/rules.md */
	const char *signed_by, *signed_how;
	int64_t signed_at, decided_at;
	const struct paper_person *people; /* to whom it opens the records, or would */
	size_t people_count, people_more;  /* told here; not told */
	int64_t as_of;                     /* the people are as of then */
};
/* One page of HTML with a style of its own and nothing else that a browser would load or run. */
void paper_html(const struct paper_page *, struct text *out);
/* The style's digest as a source of a Content-Security-Policy: sha256-… */
#define PAPER_STYLE_SOURCE 53
void paper_style_source(char out[PAPER_STYLE_SOURCE]);
/* The same as PDF, letter size. *out is in the arena. */
struct err paper_pdf(struct arena *, const struct paper *, const struct paper_page *, const char **out, size_t *size);

/* ---- shared by the two pages ---- */
const char *paper_font(const struct paper *);
enum paper_block_kind { PAPER_TITLE, PAPER_FACTS, PAPER_PROSE };
struct paper_block { enum paper_block_kind kind; const char *at; size_t size; };
/* The next paragraph of a text, beginning at *at, which moves on. False: there is none. */
bool paper_next(const char *text, const char **at, struct paper_block *out);
/* The next line of a block, without the blanks around it; an empty one at the end. */
bool paper_line(const struct paper_block *, const char **at, const char **line, size_t *size);
/* What stands below the text, a sentence each: who has signed, what was decided. At most PAPER_SEALS. */
#define PAPER_SEALS 4
size_t paper_seals(struct arena *, const struct paper_page *, const char *out[PAPER_SEALS]);
bool paper_wants_signature(const struct paper_page *); /* lines for a signature by hand */
const char *paper_time(struct arena *, int64_t seconds); /* 2026-12-01 00:00 UTC */
