/* Passwords before they are hashed: brought into one form, and kept from being what is guessed first. */
#include "flow/password.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"

#include "base/banned.h"

/* ---- one form ---- */

static bool is_blank(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != ' ')
			return false;
	return true;
}

void password_read(const char *bytes, size_t size, struct password *out)
{
	size_t room = PASSWORD_BYTES;

	*out = (struct password){ .size = 0 };
	if (size == 0 || size > PASSWORD_BYTES || memchr(bytes, '\0', size) != NULL || !text_is_utf8(bytes, size))
		return;
	uint8_t *made = u8_normalize(UNINORM_NFC, (const uint8_t *)bytes, size, (uint8_t *)out->bytes, &room);
	if (made == (uint8_t *)out->bytes && !is_blank(out->bytes, room)) {
		out->bytes[room] = '\0';
		out->size = room;
		return;
	}
	if (made != NULL && made != (uint8_t *)out->bytes) { /* it grew beyond what is sent on */
		secret_wipe(made, room);
		free(made);
	}
	password_wipe(out);
}

void password_wipe(struct password *p)
{
	secret_wipe(p, sizeof *p);
}

/* ---- what is compared ---- */

/* A text without what does not matter to a guesser: case, width, and the like. */
struct folded {
	char *bytes; /* NUL-terminated; wiped and freed by folded_close */
	size_t size;
};

/* Of plain text there is less to fold than a library would look for; a list of passwords is mostly that. */
static bool is_ascii(const char *bytes, size_t size)
{
	unsigned char all = 0;

	for (size_t i = 0; i < size; i++)
		all |= (unsigned char)bytes[i];
	return all < 0x80;
}

static struct folded folded_open(const char *bytes, size_t size)
{
	struct folded f = { .size = size };

	if (is_ascii(bytes, size)) {
		f.bytes = must_alloc(size + 1);
		memcpy(f.bytes, bytes, size);
		text_fold(f.bytes);
		return f;
	}
	uint8_t *made = u8_casefold((const uint8_t *)bytes, size, NULL, UNINORM_NFKC, NULL, &f.size);

	f.bytes = must_alloc(f.size + 1);
	if (made != NULL) {
		memcpy(f.bytes, made, f.size);
		secret_wipe(made, f.size);
		free(made);
	} else {
		f.size = 0;
	}
	return f;
}

static void folded_close(struct folded *f)
{
	secret_wipe(f->bytes, f->size);
	free(f->bytes);
}

static bool is_word(unsigned char c)
{
	return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* ---- the list ---- */

struct blocklist {
	const char **sorted;
	size_t count, room;
	struct arena *arena;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void take_line(struct blocklist *b, const char *line)
{
	size_t size = strcspn(line, "\r\n");

	if (size == 0 || text_begins(line, "#!") || !text_is_utf8(line, size))
		return;
	struct folded f = folded_open(line, size);
	if (b->count == b->room) {
		b->room = b->room == 0 ? 4096 : 2 * b->room;
		b->sorted = must_realloc(b->sorted, b->room * sizeof *b->sorted);
	}
	b->sorted[b->count++] = arena_copy(b->arena, f.bytes, f.size);
	folded_close(&f);
}

static struct err take_file(struct blocklist *b, const char *name)
{
	FILE *file = fopen(name, "re");
	char *line = NULL;
	size_t room = 0;

	while (file != NULL && getline(&line, &room, file) >= 0)
		take_line(b, line);
	bool fine = file != NULL && !ferror(file);
	free(line);
	if (file != NULL)
		fclose(file);
	if (fine)
		return SUCCESS;
	log_event(LOG_ERROR, "blocklist.unreadable", "file=%s", name);
	return FAIL(ERR_INVALID, "password.blocklists: a list of passwords cannot be read");
}

struct err blocklist_open(const char *const *files, struct blocklist **out)
{
	struct blocklist *b = must_alloc(sizeof *b);
	struct err e = SUCCESS;

	*out = NULL;
	b->arena = arena_open();
	for (; files != NULL && *files != NULL && e.code == OK; files++)
		e = take_file(b, *files);
	if (e.code != OK) {
		blocklist_close(b);
		return e;
	}
	if (b->count > 0)
		qsort(b->sorted, b->count, sizeof *b->sorted, by_text);
	*out = b;
	return SUCCESS;
}

void blocklist_close(struct blocklist *b)
{
	free(b->sorted);
	arena_close(b->arena);
	free(b);
}

static bool is_listed(const struct blocklist *b, const char *text)
{
	return bsearch(&text, b->sorted, b->count, sizeof *b->sorted, by_text) != NULL;
}

/* What people do to a common word so that it looks like none: a year behind it, 0 for o. */
static void undress(char *text)
{
	static const char dressed[] = "@0134578$!", bare[] = "aoieastbsi";
	size_t begin = 0, end = strlen(text);

	while (end > 0 && !(text[end - 1] >= 'a' && text[end - 1] <= 'z'))
		end--;
	while (begin < end && !(text[begin] >= 'a' && text[begin] <= 'z'))
		begin++;
	memmove(text, text + begin, end - begin);
	memset(text + (end - begin), 0, strlen(text) - (end - begin));
	for (char *p = text; *p != '\0'; p++) {
		const char *at = strchr(dressed, *p);

		if (at != NULL)
			*p = bare[at - dressed];
	}
}

static bool is_common(const struct blocklist *b, const struct folded *f)
{
	if (b == NULL || b->count == 0)
		return false;
	if (is_listed(b, f->bytes))
		return true;
	char *copy = must_strdup(f->bytes);
	undress(copy);
	bool listed = is_listed(b, copy);
	secret_wipe(copy, f->size);
	free(copy);
	return listed;
}

/* ---- what is made of runs ---- */

/* The next one in the alphabet or on the keyboard, in either direction, or the same. */
static bool is_next(unsigned char before, unsigned char c)
{
	static const char *const rows[] = { "`1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiop",
		"azertyuiop", "qazwsxedcrfvtgbyhnujmik,ol.p;/" };

	if (c - before <= 1 && before - c <= 1)
		return true;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *at = strchr(rows[i], before);

		if (at != NULL && (at[1] == c || (at > rows[i] && at[-1] == c)))
			return true;
	}
	return false;
}

/* How many of its bytes does the one before not already tell? */
static size_t surprises(const struct folded *f)
{
	size_t count = f->size > 0 ? 1 : 0;

	for (size_t i = 1; i < f->size; i++)
		count += !is_next((unsigned char)f->bytes[i - 1], (unsigned char)f->bytes[i]);
	return count;
}

static bool is_repetition(const struct folded *f)
{
	for (size_t period = 1; period <= f->size / 2; period++)
		if (memcmp(f->bytes, f->bytes + period, f->size - period) == 0)
			return true;
	return false;
}

/* ---- what is made of words that belong to whoever has it ---- */

#define WORDS_MOST 64
#define WORD_LEAST 3
#define LEFT_LEAST 8 /* letters and digits that must be there besides */

struct words {
	char *list[WORDS_MOST];
	size_t count;
};

static void take_words(struct arena *a, struct words *w, const char *text)
{
	struct folded f = folded_open(text, strlen(text));

	for (size_t i = 0; i < f.size && w->count < WORDS_MOST;) {
		size_t end = i;

		while (end < f.size && is_word((unsigned char)f.bytes[end]))
			end++;
		if (end - i >= WORD_LEAST)
			w->list[w->count++] = arena_copy(a, f.bytes + i, end - i);
		i = end + 1;
	}
	folded_close(&f);
}

static int longest_first(const void *a, const void *b)
{
	size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);

	return (x < y) - (x > y);
}

static bool take_out(struct folded *f, const char *word)
{
	size_t size = strlen(word);
	bool any = false;

	for (char *at; (at = strstr(f->bytes, word)) != NULL; any = true) {
		memmove(at, at + size, strlen(at + size) + 1);
		f->bytes[f->size - size] = '\0';
		f->size -= size;
	}
	return any;
}

static bool is_about_oneself(struct arena *a, const char *const *words, const struct folded *f)
{
	static const char *const ours = "scfgate pecos medicare nppes enrollment provider password";
	struct folded rest = folded_open(f->bytes, f->size);
	struct words w = { .count = 0 };
	size_t left = 0, whole = rest.size;
	bool any = false;

	take_words(a, &w, ours);
	for (; words != NULL && *words != NULL; words++)
		take_words(a, &w, *words);
	qsort(w.list, w.count, sizeof *w.list, longest_first);
	for (size_t i = 0; i < w.count; i++)
		any |= take_out(&rest, w.list[i]);
	for (size_t i = 0; i < rest.size; i++)
		left += is_word((unsigned char)rest.bytes[i]);
	rest.size = whole;
	folded_close(&rest);
	return any && left < LEFT_LEAST;
}

/* ---- all of it ---- */

#define RULES_MOST 6
#define SURPRISES_LEAST 5

static void tell(struct form_problems *out, const char *pointer, const char *rule)
{
	if (out->count < RULES_MOST)
		out->list[out->count++] = (struct form_problem){ .pointer = pointer, .rule = rule };
}

size_t password_characters(const struct password *p)
{
	return u8_mbsnlen((const uint8_t *)p->bytes, p->size);
}

void password_judge(struct arena *a, const struct password_rules *r, const struct password *p, const char *pointer,
    struct form_problems *out)
{
	*out = (struct form_problems){ .list = arena_alloc(a, RULES_MOST * sizeof *out->list) };
	if (p->size == 0) {
		tell(out, pointer, "must be UTF-8 text of at most 1024 bytes that is not made of blanks alone");
		return;
	}
	size_t characters = password_characters(p);
	struct folded f = folded_open(p->bytes, p->size);
	if (characters < (size_t)r->least)
		tell(out, pointer, arena_printf(a, "must have at least %d characters", r->least));
	if (characters > PASSWORD_CHARACTERS)
		tell(out, pointer, "must have at most 128 characters");
	if (is_common(r->blocklist, &f))
		tell(out, pointer, "must not be one of the passwords that are guessed first");
	if (is_repetition(&f) || surprises(&f) < SURPRISES_LEAST)
		tell(out, pointer, "must not be a repetition, or made of runs of the alphabet or the keyboard");
	if (is_about_oneself(a, r->words, &f))
		tell(out, pointer,
		    "must not be made of your name, user name, mail address or organization, or of this service's");
	folded_close(&f);
}
