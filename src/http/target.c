/* Splits and decodes request targets, and refuses those that two readers could read in two ways. */
#include "http/target.h"

#include <string.h>

#include "base/text.h"

#include "base/banned.h"

/* RFC 3986: pchar without the semicolon (path parameters mean something to some application servers only), and the
 * slash. The query may also hold a question mark, and a semicolon. */
enum { IN_PATH = 1, IN_QUERY = 2 };
/* clang-format off */
static const unsigned char allowed[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* controls */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* controls */
	0, 3, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* !"#$%&'()*+,-./ */
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 0, 3, 0, 2, /* 0123456789:;<=>? */
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* @ABCDEFGHIJKLMNO */
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 3, /* PQRSTUVWXYZ[\]^_ */
	0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* `abcdefghijklmno */
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 3, 0, /* pqrstuvwxyz{|}~ */
};
/* clang-format on */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte of a %XX, or -1. */
static int decoded(const char *p, size_t left)
{
	if (left < 3)
		return -1;
	int high = hex_value(p[1]), low = hex_value(p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool is_dots(const char *segment, size_t size)
{
	return (size == 1 && segment[0] == '.') || (size == 2 && segment[0] == '.' && segment[1] == '.');
}

static const char *check_segments(const char *path, size_t size)
{
	size_t begin = 1;

	for (size_t i = 1; i <= size; i++) {
		if (i < size && path[i] != '/')
			continue;
		if (i == begin && i < size)
			return "empty path segment";
		if (is_dots(path + begin, i - begin))
			return "dot segment";
		begin = i + 1;
	}
	return NULL;
}

static const char *read_path(const char *raw, size_t size, struct target *out)
{
	size_t n = 0;
	bool ascii = true;

	for (size_t i = 0; i < size; i++) {
		if (!(allowed[(unsigned char)raw[i]] & IN_PATH))
			return "byte that must not be in a path";
		if (raw[i] != '%') {
			out->path[n++] = raw[i];
			continue;
		}
		int byte = decoded(raw + i, size - i);
		if (byte < 0)
			return "malformed percent-encoding";
		if (byte < 0x20 || byte == 0x7f)
			return "encoded control byte";
		/* Delimiters that were encoded so as not to delimit: the next reader may take them for delimiters. An
		 * encoded percent sign is the beginning of a double encoding. */
		if (strchr("/\\%;?#", byte) != NULL)
			return "encoded delimiter";
		if (byte >= 0x80)
			ascii = false;
		out->path[n++] = (char)byte;
		i += 2;
	}
	out->path[n] = '\0';
	out->size = n;
	if (!ascii && !text_is_utf8(out->path, n))
		return "not UTF-8";
	return check_segments(out->path, n);
}

static const char *check_query(const char *query, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!(allowed[(unsigned char)query[i]] & IN_QUERY))
			return "byte that must not be in a query";
		if (query[i] == '%' && decoded(query + i, size - i) <= 0)
			return "malformed percent-encoding";
	}
	return NULL;
}

const char *target_read(const char *raw, size_t size, struct target *out)
{
	out->query = NULL;
	out->path[0] = '\0';
	out->size = 0;
	if (size == 0 || raw[0] != '/')
		return "not an absolute path";
	if (size >= TARGET_MOST)
		return "too long";
	const char *mark = memchr(raw, '?', size);
	size_t path_size = mark != NULL ? (size_t)(mark - raw) : size;
	const char *wrong = read_path(raw, path_size, out);

	if (wrong == NULL && mark != NULL) {
		out->query = mark + 1;
		wrong = check_query(mark + 1, size - path_size - 1);
	}
	if (wrong != NULL) { /* nobody may go on with half of it */
		out->query = NULL;
		out->path[0] = '\0';
		out->size = 0;
	}
	return wrong;
}

/* ---- parameters ---- */

static size_t span_to(const char *text, const char *stops)
{
	return strcspn(text, stops);
}

static bool decode_into(const char *raw, size_t size, char *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		int byte = (unsigned char)raw[i];

		if (raw[i] == '%') {
			byte = decoded(raw + i, size - i);
			i += 2;
		}
		if (byte < 0x20 || byte == 0x7f || n + 1 >= room)
			return false;
		out[n++] = (char)byte;
	}
	out[n] = '\0';
	return text_is_utf8(out, n);
}

enum target_found target_parameter(const char *query, const char *name, char *out, size_t room)
{
	enum target_found found = TARGET_ABSENT;
	size_t name_size = strlen(name);

	for (const char *p = query; p != NULL && *p != '\0';) {
		size_t pair = span_to(p, "&"), key = span_to(p, "&=");

		if (key == name_size && memcmp(p, name, key) == 0) {
			if (found != TARGET_ABSENT)
				return TARGET_DOUBLED;
			bool has_value = key < pair;
			if (!decode_into(p + key + has_value, pair - key - has_value, out, room))
				return TARGET_MALFORMED;
			found = TARGET_FOUND;
		}
		p += pair + (p[pair] == '&');
	}
	return found;
}

bool target_has_unknown(const char *query, const char *const known[], char *out, size_t room)
{
	for (const char *p = query; p != NULL && *p != '\0';) {
		size_t pair = span_to(p, "&"), key = span_to(p, "&="), i = 0;

		while (known[i] != NULL && !(strlen(known[i]) == key && memcmp(known[i], p, key) == 0))
			i++;
		if (known[i] == NULL) {
			size_t n = key < room ? key : room - 1;

			memcpy(out, p, n);
			out[n] = '\0';
			return true;
		}
		p += pair + (p[pair] == '&');
	}
	return false;
}
