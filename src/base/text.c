/* A buffer that text is written into, and what is asked of texts everywhere. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/banned.h"

void text_open(struct text *t, char *store, size_t room)
{
	*t = (struct text){ .bytes = store, .room = room };
	store[0] = '\0';
}

void text_close(struct text *t)
{
	if (t->on_heap)
		free(t->bytes);
	*t = (struct text){ 0 };
}

[[gnu::noinline]] static void grow(struct text *t, size_t more)
{
	size_t room = t->room * 2 > t->size + more + 1 ? t->room * 2 : t->size + more + 1;
	if (t->on_heap) {
		t->bytes = must_realloc(t->bytes, room);
	} else {
		char *grown = must_alloc(room);

		memcpy(grown, t->bytes, t->size + 1);
		t->bytes = grown;
		t->on_heap = true;
	}
	t->room = room;
}

static inline void make_room(struct text *t, size_t more)
{
	if (t->room - t->size <= more)
		grow(t, more);
}

void text_put(struct text *t, const char *bytes, size_t size)
{
	make_room(t, size);
	if (size > 0)
		memcpy(t->bytes + t->size, bytes, size);
	t->size += size;
	t->bytes[t->size] = '\0';
}

void text_puts(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size > 0) {
		make_room(t, (size_t)size);
		vsnprintf(t->bytes + t->size, (size_t)size + 1, format, again);
		t->size += (size_t)size;
	}
	va_end(again);
}

void text_int(struct text *t, int64_t value)
{
	char digits[24], *p = digits + sizeof digits;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do
		*--p = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (value < 0)
		*--p = '-';
	text_put(t, p, (size_t)(digits + sizeof digits - p));
}

/* How many bytes the UTF-8 character at p has (1–4), 0 if it is none (RFC 3629 4). */
static size_t character(const unsigned char *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		return left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
	if (p[0] >= 0xe0 && p[0] <= 0xef) {
		unsigned char low = p[0] == 0xe0 ? 0xa0 : 0x80, high = p[0] == 0xed ? 0x9f : 0xbf;

		return left >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 ? 3 : 0;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		unsigned char low = p[0] == 0xf0 ? 0x90 : 0x80, high = p[0] == 0xf4 ? 0x8f : 0xbf;

		return left >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 && (p[3] & 0xc0) == 0x80
		    ? 4 : 0;
	}
	return 0;
}

bool text_is_utf8(const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;

	while (size > 0) {
		size_t n = character(p, size);

		if (n == 0)
			return false;
		p += n;
		size -= n;
	}
	return true;
}

/* What stands in a JSON string as it is: printable ASCII but for the quote and the backslash. NUL is none, so that one
 * look at each byte finds the end as well. */
static inline bool is_ordinary(unsigned char c)
{
	static const uint64_t bits[4] = { 0xfffffffb00000000, 0x7fffffffefffffff, 0, 0 };

	return bits[c / 64] >> c % 64 & 1;
}

/* Ends lines, or steers a terminal, for some readers: U+0080 to U+009F, U+2028, U+2029. 0: it is none of these. */
static unsigned control(const unsigned char *p)
{
	if (p[0] == 0xc2 && p[1] < 0xa0)
		return p[1];
	return p[0] == 0xe2 && p[1] == 0x80 && (p[2] | 1) == 0xa9 ? 0x2000u + (p[2] & 0x3f) : 0;
}

void text_json_inside(struct text *t, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	for (;;) {
		const unsigned char *end = p;

		while (is_ordinary(*end))
			end++;
		text_put(t, (const char *)p, (size_t)(end - p));
		p = end;
		if (*p == '\0')
			return;
		size_t n = *p >= 0x80 ? character(p, strnlen((const char *)p, 4)) : 0;
		unsigned steers = n > 1 ? control(p) : 0;
		if (steers != 0)
			text_printf(t, "\\u%04x", steers);
		else if (n > 1)
			text_put(t, (const char *)p, n);
		else if (*p >= 0x80)
			text_put(t, "\xef\xbf\xbd", 3);
		else if (*p == '"' || *p == '\\')
			text_put(t, (char[]){ '\\', (char)*p }, 2);
		else
			text_printf(t, "\\u%04x", *p);
		p += n > 1 ? n : 1;
	}
}

void text_json(struct text *t, const char *s)
{
	if (s == NULL) {
		text_put(t, "null", 4);
		return;
	}
	text_put(t, "\"", 1);
	text_json_inside(t, s);
	text_put(t, "\"", 1);
}

bool text_same(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

bool text_begins(const char *text, const char *beginning)
{
	return text != NULL && strncmp(text, beginning, strlen(beginning)) == 0;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Words of these characters with single dots between them; how many there are, 0 if it is not that. A label of a domain
 * neither begins nor ends with a dash. */
static size_t dotted(const char *text, size_t size, const char *characters, size_t word_most, bool labels)
{
	size_t words = 0;

	for (const char *end = text + size; text < end; text++) {
		size_t n = strspn(text, characters);

		if (n == 0 || n > word_most || text + n > end || (labels && (text[0] == '-' || text[n - 1] == '-')))
			return 0;
		words++;
		text += n;
		if (text < end && (*text != '.' || text + 1 == end))
			return 0;
	}
	return words;
}

bool text_is_mail_address(const char *s)
{
	const char *at = s != NULL ? strchr(s, '@') : NULL;
	size_t size = at != NULL ? strlen(s) : 0;

	/* An address that begins with a dash is legal, and an option to some programs. */
	return size <= 254 && at != NULL && at - s <= 64 && s[0] != '-' &&
	    dotted(s, (size_t)(at - s), LETTERS DIGITS "!#$%&'*+/=?^_`{|}~-", 64, false) > 0 &&
	    dotted(at + 1, size - (size_t)(at + 1 - s), LETTERS DIGITS "-", 63, true) >= 2;
}

void text_fold(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}
