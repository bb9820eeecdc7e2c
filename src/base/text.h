/* A buffer that text is written into: for JSON lines, headers, log lines. It grows on the heap once its first
 * store is full, so that short texts never allocate. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *bytes; /* always NUL-terminated */
	size_t size; /* without the NUL */
	size_t room;
	bool on_heap;
};

/* Begins in store (room bytes, at least 1), which the caller keeps alive; text_close frees what grew beyond it. */
void text_open(struct text *, char *store, size_t room);
void text_close(struct text *);

void text_put(struct text *, const char *bytes, size_t size);
void text_puts(struct text *, const char *);
[[gnu::format(printf, 2, 3)]] void text_printf(struct text *, const char *format, ...);
/* Writes a JSON string with its quotes (RFC 8259 7). Bytes that are not UTF-8 become U+FFFD, so that the result
 * is always one line of valid JSON. NULL writes null. */
void text_json(struct text *, const char *);
void text_json_inside(struct text *, const char *); /* without the quotes */
void text_int(struct text *, int64_t);

bool text_same(const char *, const char *);                  /* both NULL or equal; NULL equals nothing else */
bool text_begins(const char *text, const char *beginning);
bool text_is_utf8(const char *, size_t size);                /* RFC 3629: no surrogates, no overlong forms */
/* An addr-spec (RFC 5322 3.4.1) without quotes and comments, in ASCII, with a domain of two labels or more, of at most 254
 * bytes (RFC 5321 4.5.3.1.3): what we mail to. */
bool text_is_mail_address(const char *);
/* Lower-cases ASCII letters in place. */
void text_fold(char *);
