/* What an organization may be called and numbered: rules for names, taxpayer numbers, NPIs and addresses. Pure. */
#include <string.h>

#include <unicase.h>
#include <unictype.h>
#include <unistr.h>

#include <stdlib.h>

#include "base/text.h"
#include "flow/inside.h"
#include "flow/organization_inside.h"

#include "base/banned.h"

#define NAME_MOST 100 /* as NPPES has it */
#define LINE_MOST 100
#define LINES_MOST 6
#define NPIS_MOST 100
#define PROBLEMS_MOST 20

void organization_complain(struct arena *a, struct form_problems *p, const char *pointer, const char *rule)
{
	if (p->list == NULL)
		p->list = arena_alloc(a, PROBLEMS_MOST * sizeof *p->list);
	if (p->count < PROBLEMS_MOST)
		p->list[p->count++] = (struct form_problem){ pointer, rule };
}

/* ---- taxpayer numbers ---- */

bool organization_digits(const char *tin, char out[10])
{
	size_t n = 0;

	for (; *tin != '\0'; tin++) {
		if (*tin == '-')
			continue;
		if (*tin < '0' || *tin > '9' || n == 9)
			return false;
		out[n++] = *tin;
	}
	out[n] = '\0';
	return n == 9;
}

/* The prefixes that the IRS has issued EINs with ("How EINs are assigned and valid EIN prefixes"). */
static bool is_ein_prefix(int prefix)
{
	static const struct {
		int from, to;
	} issued[] = {
		{ 1, 6 },
		{ 10, 16 },
		{ 20, 27 },
		{ 30, 48 },
		{ 50, 68 },
		{ 71, 77 },
		{ 80, 88 },
		{ 90, 95 },
		{ 98, 99 },
	};

	for (size_t i = 0; i < COUNT(issued); i++)
		if (prefix >= issued[i].from && prefix <= issued[i].to)
			return true;
	return false;
}

const char *organization_tin_fault(const char digits[10], const char *kind)
{
	if (text_same(kind, "ein"))
		return is_ein_prefix((digits[0] - '0') * 10 + digits[1] - '0') ? NULL
									       : "must begin as the IRS begins EINs";
	/* Never issued (20 CFR 422.103; POMS RM 10201.035). */
	bool issued = strncmp(digits, "000", 3) != 0 && strncmp(digits, "666", 3) != 0 && digits[0] != '9' &&
		      strncmp(digits + 3, "00", 2) != 0 && strcmp(digits + 5, "0000") != 0;
	return issued ? NULL : "must be a number that can be a Social Security number";
}

/* ---- texts ---- */

static size_t characters(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

const char *line_fault(const char *text, size_t most)
{
	size_t size = strlen(text);
	const uint8_t *p = (const uint8_t *)text;

	if (size == 0 || text[0] == ' ' || text[size - 1] == ' ')
		return "must not be empty, nor begin or end with a blank";
	for (ucs4_t c; (p = u8_next(&c, p)) != NULL;)
		if (uc_is_general_category(c, UC_CONTROL) || uc_is_property_bidi_control(c))
			return "must not hold characters that control how it is shown";
	return characters(text) > most ? "must have at most 100 characters" : NULL;
}

/* ---- a wish ---- */

static void check_tin(struct arena *a, const struct organization_wish *w, struct form_problems *p, const char **digits)
{
	char *nine = arena_alloc(a, 10);

	if (!text_same(w->tin_kind, "ein") && !text_same(w->tin_kind, "ssn")) {
		organization_complain(a, p, "/tin_kind", w->tin_kind == NULL ? "is required" : "must be ein or ssn");
		return;
	}
	if (w->tin == NULL || !organization_digits(w->tin, nine)) {
		organization_complain(a, p, "/tin", w->tin == NULL ? "is required" : "must have 9 digits");
		return;
	}
	const char *fault = organization_tin_fault(nine, w->tin_kind);
	if (fault != NULL)
		organization_complain(a, p, "/tin", fault);
	*digits = nine;
}

static void check_npis(struct arena *a, const char *const *npis, struct form_problems *p)
{
	for (size_t i = 0; npis != NULL && npis[i] != NULL; i++) {
		const char *rule = id_is_npi(npis[i]) ? NULL : "must be an NPI: 10 digits with a right check digit";

		for (size_t k = 0; k < i && rule == NULL; k++)
			if (strcmp(npis[k], npis[i]) == 0)
				rule = "is there twice";
		if (i == NPIS_MOST)
			rule = "there must be at most 100";
		if (rule != NULL)
			organization_complain(a, p, arena_printf(a, "/npis/%zu", i), rule);
		if (i == NPIS_MOST)
			return;
	}
}

static void check_address(struct arena *a, const char *const *lines, struct form_problems *p)
{
	for (size_t i = 0; lines != NULL && lines[i] != NULL; i++) {
		const char *fault = i < LINES_MOST ? line_fault(lines[i], LINE_MOST) : "there must be at most 6 lines";

		if (fault != NULL)
			organization_complain(a, p, arena_printf(a, "/address/%zu", i), fault);
		if (i == LINES_MOST)
			return;
	}
}

void organization_check(struct arena *a, struct organization_wish *w, struct form_problems *p)
{
	const char *fault = w->name != NULL ? line_fault(w->name, NAME_MOST) : NULL;

	if (fault != NULL)
		organization_complain(a, p, "/name", fault);
	if (w->tin != NULL || w->tin_kind != NULL)
		check_tin(a, w, p, &w->tin);
	check_npis(a, w->npis, p);
	check_address(a, w->address, p);
}

/* ---- addresses, as the directory has them: lines between dollar signs (RFC 4517 3.3.28) ---- */

const char *organization_join(struct arena *a, const char *const *lines)
{
	char store[1024];
	struct text t;

	if (lines == NULL || lines[0] == NULL)
		return NULL;
	text_open(&t, store, sizeof store);
	for (size_t i = 0; lines[i] != NULL; i++) {
		if (i > 0)
			text_puts(&t, "$");
		for (const char *p = lines[i]; *p != '\0'; p++) {
			if (*p == '$' || *p == '\\')
				text_puts(&t, *p == '$' ? "\\24" : "\\5C");
			else
				text_put(&t, p, 1);
		}
	}
	const char *joined = arena_copy(a, t.bytes, t.size);
	text_close(&t);
	return joined;
}

/* One line up to a dollar sign. */
static const char *split_line(struct arena *a, const char **from)
{
	size_t size = strcspn(*from, "$"), n = 0;
	char *line = arena_copy(a, *from, size);

	for (size_t i = 0; i < size; i++) {
		if (strncmp(line + i, "\\24", 3) == 0 || strncasecmp(line + i, "\\5c", 3) == 0) {
			line[n++] = line[i + 1] == '2' ? '$' : '\\';
			i += 2;
		} else {
			line[n++] = line[i];
		}
	}
	line[n] = '\0';
	*from += size + ((*from)[size] == '$');
	return line;
}

const char *const *organization_split(struct arena *a, const char *joined)
{
	size_t count = 1;

	if (joined == NULL)
		return NULL;
	for (const char *p = joined; *p != '\0'; p++)
		count += *p == '$';
	const char **lines = arena_alloc(a, (count + 1) * sizeof *lines);
	for (size_t i = 0; i < count; i++)
		lines[i] = split_line(a, &joined);
	return lines;
}

/* ---- the same name, spelt otherwise ---- */

/* Lower case in every script, and one form of each letter. */
static const char *fold_case(struct arena *a, const char *name)
{
	size_t size = 0;
	uint8_t *folded = u8_casefold((const uint8_t *)name, strlen(name), NULL, UNINORM_NFKC, NULL, &size);
	const char *copy = arena_copy(a, folded != NULL ? (char *)folded : name, folded != NULL ? size : strlen(name));

	free(folded);
	return copy;
}

static bool is_of_word(unsigned char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte >= 0x80;
}

/* The ways to say what kind of company it is, and the word that is left of each. */
static const struct {
	const char *said, *meant;
} companies[] = {
	{ "incorporated", "inc" },
	{ "corporation", "corp" },
	{ "company", "co" },
	{ "limited", "ltd" },
	{ "associates", "assoc" },
	{ "association", "assn" },
	{ "professional", "prof" },
	{ "and", "" },
};

static void put_word(struct text *t, const char *word, size_t size, bool *letter_before)
{
	bool letter = size == 1;

	for (size_t i = 0; i < COUNT(companies); i++) {
		if (strlen(companies[i].said) == size && memcmp(companies[i].said, word, size) == 0) {
			word = companies[i].meant;
			size = strlen(word);
			break;
		}
	}
	if (size == 0)
		return;
	/* L.L.C. is LLC: letters that stand alone go together. */
	if (t->size > 0 && !(letter && *letter_before))
		text_puts(t, " ");
	text_put(t, word, size);
	*letter_before = letter;
}

/* How many bytes at p are a mark between words, or (joins) an apostrophe, which is none: Women's is Womens. 0: a
 * letter. */
static size_t mark_at(const char *p, bool *joins)
{
	bool general = strncmp(p, "\xe2\x80", 2) == 0; /* U+2000 to U+203F: dashes, quotation marks, blanks */

	*joins = *p == '\'' || (general && (unsigned char)p[2] == 0x99);
	return general && p[2] != '\0' ? 3 : is_of_word((unsigned char)*p) ? 0 : 1;
}

const char *organization_fold_name(struct arena *a, const char *name)
{
	static const char long_form[] = " ltd liability co";
	const char *p = fold_case(a, name);
	char store[512], *word = arena_alloc(a, strlen(p) + 1);
	bool letter_before = false, joins;
	struct text t;

	text_open(&t, store, sizeof store);
	while (*p != '\0') {
		size_t size = 0, mark = 0;

		for (; *p != '\0'; p += mark > 0 ? mark : 1) {
			mark = mark_at(p, &joins);
			if (mark == 0)
				word[size++] = *p;
			else if (!joins)
				break;
		}
		put_word(&t, word, size, &letter_before);
		p += *p != '\0' ? mark : 0;
	}
	if (t.size > sizeof long_form && strcmp(t.bytes + t.size - (sizeof long_form - 1), long_form) == 0) {
		t.size -= sizeof long_form - 1;
		text_puts(&t, " llc");
	}
	const char *folded = arena_copy(a, t.bytes, t.size);
	text_close(&t);
	return folded;
}
