/* Writing a message: headers that hold in seven bits, the body as quoted-printable. */
#include "mail/message.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/banned.h"

#define LINE_MOST 76       /* RFC 2045 6.7, RFC 2047 2 */
#define WORD_BYTES 42      /* of a text in one encoded word: 56 characters of base64 */
#define PLAIN_SUBJECT 60   /* with the name of the header in a line of its own */

static void put_base64(struct text *t, const unsigned char *bytes, size_t size)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		size_t n = size - i < 3 ? size - i : 3;
		unsigned held = (unsigned)bytes[i] << 16 | (n > 1 ? (unsigned)bytes[i + 1] << 8 : 0) | (n > 2 ? bytes[i + 2] : 0);

		for (size_t k = 0; k < 4; k++)
			text_put(t, k <= n ? &alphabet[held >> (18 - 6 * k) & 63] : "=", 1);
	}
}

static bool is_plain(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			return false;
	return strlen(text) <= PLAIN_SUBJECT && strstr(text, "=?") == NULL && text[0] != ' ';
}

/* As it is, or as encoded words (RFC 2047), none of which is cut within a character. */
static void put_words(struct text *t, const char *text)
{
	size_t left = strlen(text);

	if (is_plain(text)) {
		text_puts(t, text);
		return;
	}
	for (const char *between = ""; left > 0; between = "\r\n ") {
		size_t n = left < WORD_BYTES ? left : WORD_BYTES;

		while (n < left && n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
		text_puts(t, between);
		text_puts(t, "=?UTF-8?B?");
		put_base64(t, (const unsigned char *)text, n);
		text_puts(t, "?=");
		text += n;
		left -= n;
	}
}

static void put_line(struct text *t, const char *line, size_t size)
{
	size_t column = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)line[i];
		bool literal = (c > 0x20 && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && i + 1 < size);
		char code[4];

		if (column + (literal ? 1 : 3) > LINE_MOST - 1) {
			text_puts(t, "=\r\n");
			column = 0;
		}
		snprintf(code, sizeof code, "=%02X", c);
		text_put(t, literal ? line + i : code, literal ? 1 : 3);
		column += literal ? 1 : 3;
	}
	text_puts(t, "\r\n");
}

void message_write(struct text *t, const struct message *m)
{
	char date[40];
	time_t at = (time_t)m->at;
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
	text_printf(t, "Date: %s\r\nFrom: <%s>\r\nTo: <%s>\r\nMessage-ID: <%s@%s>\r\nSubject: ", date, m->from, m->to, m->id,
	    strrchr(m->from, '@') + 1);
	put_words(t, m->subject);
	text_puts(t, "\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
	for (const char *line = m->body; *line != '\0';) {
		size_t size = strcspn(line, "\n");

		put_line(t, line, size);
		line += size + (line[size] == '\n');
	}
}
