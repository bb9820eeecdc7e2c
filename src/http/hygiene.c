/* Judges the head of a request: framing, doubled fields, look-alike names, and the values that we read. */
#include "http/hygiene.h"

#include <string.h>

#include "base/err.h"

#include "base/banned.h"

static const struct {
	const char *name;
	size_t size;
} known[HEADERS] = {
#define NAME(text) { text, sizeof text - 1 }
	[HEADER_HOST] = NAME("host"),
	[HEADER_CONTENT_LENGTH] = NAME("content-length"),
	[HEADER_TRANSFER_ENCODING] = NAME("transfer-encoding"),
	[HEADER_EXPECT] = NAME("expect"),
	[HEADER_ACCEPT] = NAME("accept"),
	[HEADER_CONTENT_TYPE] = NAME("content-type"),
	[HEADER_AUTHORIZATION] = NAME("authorization"),
	[HEADER_COOKIE] = NAME("cookie"),
	[HEADER_CSRF_TOKEN] = NAME("x-csrf-token"),
	[HEADER_REQUEST_ID] = NAME("x-request-id"),
	[HEADER_ORIGINAL_METHOD] = NAME("x-original-method"),
	[HEADER_ORIGINAL_URI] = NAME("x-original-uri"),
	[HEADER_AT_LEAST] = NAME("scfgate-at-least"),
	[HEADER_IF_MATCH] = NAME("if-match"),
	[HEADER_IDEMPOTENCY_KEY] = NAME("idempotency-key"),
	[HEADER_USER_AGENT] = NAME("user-agent"),
#undef NAME
};

/* Names, or beginnings of names, that we or the proxies around us give a meaning. */
static const char *const guarded[] = { "x-forwarded-", "x-original-", "x-real-ip", "scfgate-", "remote-", "forwarded" };

/* RFC 9110 5.6.2, in lower case; 0 for a byte that must not be in a name. */
static unsigned char name_byte(unsigned char c)
{
	if ((c >= 'a' && c <= 'z') || c == '-' || (c >= '0' && c <= '9'))
		return c;
	if (c >= 'A' && c <= 'Z')
		return c | 0x20;
	return c != 0 && c < 0x80 && strchr("!#$%&'*+-.^_`|~", c) != NULL ? c : 0;
}

/* Which of the known fields could it be, by its length and first letter? HEADERS: none. */
static enum header_name candidate(const char *folded, size_t size)
{
	switch (size) {
	case 4:
		return HEADER_HOST;
	case 6:
		return folded[0] == 'c' ? HEADER_COOKIE : folded[0] == 'a' ? HEADER_ACCEPT : HEADER_EXPECT;
	case 8:
		return HEADER_IF_MATCH;
	case 10:
		return HEADER_USER_AGENT;
	case 12:
		if (folded[0] == 'c')
			return HEADER_CONTENT_TYPE;
		return folded[2] == 'c' ? HEADER_CSRF_TOKEN : HEADER_REQUEST_ID;
	case 13:
		return HEADER_AUTHORIZATION;
	case 14:
		return folded[0] == 'c' ? HEADER_CONTENT_LENGTH : HEADER_ORIGINAL_URI;
	case 15:
		return HEADER_IDEMPOTENCY_KEY;
	case 16:
		return HEADER_AT_LEAST;
	case 17:
		return folded[0] == 't' ? HEADER_TRANSFER_ENCODING : HEADER_ORIGINAL_METHOD;
	default:
		return HEADERS;
	}
}

static enum header_name which(const char *folded, size_t size)
{
	enum header_name f = candidate(folded, size);

	return f != HEADERS && memcmp(folded, known[f].name, size) == 0 ? f : HEADERS;
}

/* Proxies and CGI turn X_User and X-User into the same thing. */
static bool is_variant(const char *folded, size_t size)
{
	char name[33];

	if (memchr(folded, '_', size) == NULL)
		return false;
	size = size < sizeof name ? size : sizeof name - 1;
	for (size_t i = 0; i < size; i++)
		name[i] = folded[i] == '_' ? '-' : folded[i];
	name[size] = '\0';
	for (size_t i = 0; i < COUNT(guarded); i++)
		if (strncmp(name, guarded[i], strlen(guarded[i])) == 0)
			return true;
	return which(name, size) != HEADERS;
}

/* Every byte between the request line and the body must be a name, a colon, blanks, a value or one CRLF. What the
 * library has joined (folded lines), cut (NUL) or tolerated (bare line feeds) leaves a gap. */
static const char *line_ends(
    const char *expected, const char *name, size_t name_size, const char *value, size_t value_size)
{
	if (name != expected || value <= name + name_size)
		return NULL;
	for (const char *p = name + name_size + 1; p < value; p++)
		if (*p != ' ' && *p != '\t')
			return NULL;
	return value + value_size + 2;
}

void hygiene_open(struct head *h, const char *first)
{
	memset(h, 0, sizeof *h);
	h->expected = first;
}

bool hygiene_take(struct head *h, const char *name, size_t name_size, const char *value, size_t value_size)
{
	char folded[64];

	if (h->expected != NULL) {
		h->expected = line_ends(h->expected, name, name_size, value, value_size);
		if (h->expected == NULL) {
			h->fault = "a header line is folded, holds NUL, or does not end with CRLF";
			return false;
		}
	}
	size_t shorter = name_size < sizeof folded ? name_size : sizeof folded;
	bool fine = name_size > 0;
	for (size_t i = 0; i < name_size; i++) {
		unsigned char c = name_byte((unsigned char)name[i]);

		fine = fine && c != 0;
		if (i < shorter)
			folded[i] = (char)c;
	}
	if (!fine) {
		h->fault = "a header name holds a byte that must not be there";
		return false;
	}
	if (is_variant(folded, shorter))
		h->variant = true;
	enum header_name f = name_size == shorter ? which(folded, shorter) : HEADERS;
	if (f == HEADERS)
		return true;
	if (h->headers[f].text != NULL) {
		if (f != HEADER_ACCEPT) /* a list, which may come in pieces (RFC 9110 5.3); the first one is read */
			h->doubled |= 1u << f;
		return true;
	}
	/* RFC 9110 5.5: blanks around a value are not part of it. */
	while (value_size > 0 && (value[value_size - 1] == ' ' || value[value_size - 1] == '\t'))
		value_size--;
	h->headers[f] = (struct header){ value, value_size };
	return true;
}

static bool is_printable(const struct header *f)
{
	bool bad = false; /* no way out in the middle: heads are fine nearly always */

	for (size_t i = 0; i < f->size; i++) {
		unsigned char c = (unsigned char)f->text[i];

		bad |= (c < 0x20 && c != '\t') || c == 0x7f;
	}
	return !bad;
}

static bool is_host(const struct header *f)
{
	if (f->size == 0 || f->size > 261)
		return false;
	for (size_t i = 0; i < f->size; i++) {
		unsigned char c = name_byte((unsigned char)f->text[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && strchr("-._:[]", f->text[i]) == NULL)
			return false;
	}
	return true;
}

static bool read_length(const struct header *f, size_t *out)
{
	*out = 0;
	if (f->size == 0 || f->size > 15)
		return false;
	for (size_t i = 0; i < f->size; i++) {
		if (f->text[i] < '0' || f->text[i] > '9')
			return false;
		*out = *out * 10 + (size_t)(f->text[i] - '0');
	}
	return true;
}

static bool same_folded(const struct header *f, const char *word)
{
	size_t size = strlen(word);

	if (f->size != size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (name_byte((unsigned char)f->text[i]) != (unsigned char)word[i])
			return false;
	return true;
}

static const char *judge_framing(struct head *h, const char *version)
{
	const struct header *length = &h->headers[HEADER_CONTENT_LENGTH],
			    *coding = &h->headers[HEADER_TRANSFER_ENCODING];
	bool is_11 = strcmp(version, "HTTP/1.1") == 0;

	if (!is_11 && strcmp(version, "HTTP/1.0") != 0)
		return "the HTTP version is not 1.0 or 1.1";
	if (head_doubled(h, HEADER_HOST))
		return "more than one Host";
	if (h->headers[HEADER_HOST].text == NULL)
		return "no Host";
	if (!is_host(&h->headers[HEADER_HOST]))
		return "Host is not a host name";
	if (head_doubled(h, HEADER_CONTENT_LENGTH) || head_doubled(h, HEADER_TRANSFER_ENCODING))
		return "more than one Content-Length or Transfer-Encoding";
	if (coding->text != NULL) {
		if (length->text != NULL)
			return "Content-Length and Transfer-Encoding together";
		if (!is_11 || !same_folded(coding, "chunked"))
			return "Transfer-Encoding is not chunked, or not of HTTP/1.1";
		h->chunked = true;
	}
	if (length->text != NULL && !read_length(length, &h->body))
		return "Content-Length is not a number";
	return NULL;
}

void hygiene_close(struct head *h, const char *end, const char *version)
{
	if (h->fault != NULL)
		return;
	if (h->expected != NULL && end != NULL && h->expected + 2 != end) {
		h->fault = "a header line is folded, holds NUL, or does not end with CRLF";
		return;
	}
	for (size_t i = 0; i < HEADERS; i++) {
		if (h->headers[i].text != NULL && !is_printable(&h->headers[i])) {
			h->fault = "a header value holds a control byte";
			return;
		}
	}
	h->fault = judge_framing(h, version);
}

/* ---- values ---- */

bool hygiene_bearer(const struct head *h, struct header *out)
{
	const struct header *f = &h->headers[HEADER_AUTHORIZATION];
	struct header scheme = { f->text, 6 };
	size_t i = 6;

	if (f->text == NULL || f->size < 6 || !same_folded(&scheme, "bearer"))
		return false;
	if (f->size > 6 && f->text[6] != ' ')
		return false;
	while (i < f->size && f->text[i] == ' ')
		i++;
	*out = (struct header){ f->text + i, f->size - i };
	return true;
}

int hygiene_cookie(const struct head *h, const char *name, struct header *out)
{
	const struct header *f = &h->headers[HEADER_COOKIE];
	size_t name_size = strlen(name);
	int found = 0;

	for (size_t i = 0; f->text != NULL && i < f->size;) {
		const char *semicolon = memchr(f->text + i, ';', f->size - i);
		size_t end = semicolon != NULL ? (size_t)(semicolon - f->text) : f->size;

		while (i < end && (f->text[i] == ' ' || f->text[i] == '\t'))
			i++;
		if (end - i > name_size && f->text[i + name_size] == '=' && memcmp(f->text + i, name, name_size) == 0) {
			if (found)
				return -1;
			size_t stop = end;

			i += name_size + 1;
			while (stop > i && (f->text[stop - 1] == ' ' || f->text[stop - 1] == '\t'))
				stop--;
			*out = (struct header){ f->text + i, stop - i };
			found = 1;
		}
		i = end + 1;
	}
	return found;
}

/* Does the value go on, from i, with this word of lower case? */
static bool begins_folded(const struct header *f, size_t i, const char *word)
{
	size_t size = strlen(word);

	for (size_t n = 0; n < size; n++) {
		unsigned char c = i + n < f->size ? (unsigned char)f->text[i + n] : 0;

		if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (unsigned char)word[n])
			return false;
	}
	return true;
}

static size_t skip_blanks(const struct header *f, size_t i)
{
	while (i < f->size && (f->text[i] == ' ' || f->text[i] == '\t'))
		i++;
	return i;
}

bool hygiene_is_json(const struct header *f)
{
	static const char json[] = "application/json", charset[] = "charset=";

	if (f->text == NULL || !begins_folded(f, 0, json))
		return false;
	size_t i = skip_blanks(f, sizeof json - 1);
	if (i == f->size)
		return true;
	if (f->text[i] != ';')
		return false;
	i = skip_blanks(f, i + 1);
	if (!begins_folded(f, i, charset))
		return false;
	i += sizeof charset - 1;
	bool quoted = begins_folded(f, i, "\"utf-8\"");
	return (quoted && i + 7 == f->size) || (begins_folded(f, i, "utf-8") && i + 5 == f->size);
}

bool hygiene_is_document(const struct header *f)
{
	static const char *const types[] = { "application/pdf", "image/png", "image/jpeg", "image/gif",
		"application/octet-stream" };

	for (size_t i = 0; f->text != NULL && i < COUNT(types); i++)
		if (f->size == strlen(types[i]) && begins_folded(f, 0, types[i]))
			return true;
	return false;
}

bool hygiene_is_request_id(const struct header *f)
{
	if (f->text == NULL || f->size == 0 || f->size > 64)
		return false;
	for (size_t i = 0; i < f->size; i++) {
		unsigned char c = name_byte((unsigned char)f->text[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

bool hygiene_entity_tag(const struct header *f, struct header *out)
{
	if (f->text == NULL || f->size < 3 || f->text[0] != '"' || f->text[f->size - 1] != '"')
		return false;
	*out = (struct header){ f->text + 1, f->size - 2 };
	return memchr(out->text, '"', out->size) == NULL;
}

/* ---- Accept ---- */

/* How exactly a range ("text/html", "text/" and a star, or two stars) names the type: 3, 2, 1; 0: it does not. */
static int range_fits(const char *range, size_t size, const char *type)
{
	size_t slash = strcspn(type, "/");

	if (size == strlen(type) && strncasecmp(range, type, size) == 0)
		return 3;
	if (size == slash + 2 && range[size - 1] == '*' && strncasecmp(range, type, slash + 1) == 0)
		return 2;
	return size == 3 && memcmp(range, "*/*", 3) == 0 ? 1 : 0;
}

/* The weight in thousandths: "0.8" is 800; what is no weight counts as 0. */
static int weight_of(const char *p, size_t size)
{
	int weight = 0, digit = 1000;

	if (size == 0 || size > 5 || (p[0] != '0' && p[0] != '1') || (size > 1 && p[1] != '.'))
		return 0;
	for (size_t i = 0; i < size; i++) {
		if (i == 1)
			continue;
		if (p[i] < '0' || p[i] > '9')
			return 0;
		weight += (p[i] - '0') * digit;
		digit /= 10;
	}
	return weight <= 1000 ? weight : 0;
}

/* One element: "text/html;level=1;q=0.7". *size: of the range alone. */
static int element_weight(const char *at, size_t whole, size_t *size)
{
	const char *end = at + whole, *p = memchr(at, ';', whole);
	int weight = 1000;

	*size = p != NULL ? (size_t)(p - at) : whole;
	while (*size > 0 && (at[*size - 1] == ' ' || at[*size - 1] == '\t'))
		--*size;
	while (p != NULL && p < end) {
		p++;
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		const char *next = memchr(p, ';', (size_t)(end - p));
		size_t n = (size_t)((next != NULL ? next : end) - p);
		while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
			n--;
		if (n > 2 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=')
			weight = weight_of(p + 2, n - 2);
		p = next;
	}
	return weight;
}

static int weight_for(const struct header *accept, const char *type)
{
	int weight = 0, closest = 0;

	for (const char *p = accept->text, *end = p + accept->size; p < end;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma != NULL ? comma : end;
		size_t size;

		while (p < stop && (*p == ' ' || *p == '\t'))
			p++;
		int this = element_weight(p, (size_t)(stop - p), &size), fit = range_fits(p, size, type);
		if (fit > closest) {
			closest = fit;
			weight = this;
		}
		p = comma != NULL ? comma + 1 : end;
	}
	return weight;
}

int hygiene_prefers(const struct header *accept, const char *const *types, int count)
{
	int best = -1, best_weight = 0;

	if (accept->text == NULL || accept->size == 0)
		return 0;
	for (int i = 0; i < count; i++) {
		int weight = weight_for(accept, types[i]);

		if (weight > best_weight) {
			best = i;
			best_weight = weight;
		}
	}
	return best;
}
