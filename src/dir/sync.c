/* RFC 4533 to and from BER, in place. */
#include "dir/sync.h"

#include <string.h>

#include "base/banned.h"

#define NEW_COOKIE 0x80
#define REFRESH_DELETE 0xa1
#define REFRESH_PRESENT 0xa2
#define ID_SET 0xa3
#define REFRESH_AND_PERSIST 3

static bool read_uuid(struct slice octets, struct uuid *out)
{
	if (octets.size != sizeof out->bytes)
		return false;
	memcpy(out->bytes, octets.at, sizeof out->bytes);
	return true;
}

static bool read_cookie(struct slice *from, struct sync_cookie *out)
{
	struct slice octets;

	*out = (struct sync_cookie){ NULL, 0 };
	if (!slice_is(from, SLICE_OCTETS))
		return true;
	if (!slice_take(from, SLICE_OCTETS, &octets))
		return false;
	*out = (struct sync_cookie){ octets.at, octets.size };
	return true;
}

static bool read_boolean(struct slice *from, bool otherwise, bool *out)
{
	struct slice octets;

	*out = otherwise;
	if (!slice_is(from, SLICE_BOOLEAN))
		return true;
	if (!slice_take(from, SLICE_BOOLEAN, &octets) || octets.size != 1)
		return false;
	*out = octets.at[0] != 0;
	return true;
}

bool sync_read_state(struct slice value, enum sync_state *state, struct uuid *uuid, struct sync_cookie *cookie)
{
	struct slice sequence, octets;

	if (!slice_take(&value, SLICE_SEQUENCE, &sequence) || value.size != 0)
		return false;
	if (!slice_take(&sequence, SLICE_ENUMERATED, &octets) || octets.size != 1 || octets.at[0] > SYNC_DELETE)
		return false;
	*state = (enum sync_state)octets.at[0];
	if (!slice_take(&sequence, SLICE_OCTETS, &octets) || !read_uuid(octets, uuid))
		return false;
	return read_cookie(&sequence, cookie) && sequence.size == 0;
}

static bool read_id_set(struct slice *sequence, struct sync_info *out)
{
	if (!read_cookie(sequence, &out->cookie) || !read_boolean(sequence, false, &out->deletes) ||
	    !slice_take(sequence, SLICE_SET, &out->uuids))
		return false;

	struct slice rest = out->uuids, octets;
	struct uuid ignored;
	while (slice_take(&rest, SLICE_OCTETS, &octets))
		if (!read_uuid(octets, &ignored))
			return false;
	return rest.size == 0;
}

bool sync_read_info(struct slice value, struct sync_info *out)
{
	struct slice content;

	*out = (struct sync_info){ .kind = SYNC_NEW_COOKIE };
	if (value.size == 0)
		return false;
	unsigned char tag = value.at[0];
	if (!slice_take(&value, tag, &content) || value.size != 0)
		return false;
	switch (tag) {
	case NEW_COOKIE:
		out->cookie = (struct sync_cookie){ content.at, content.size };
		return true;
	case REFRESH_DELETE:
	case REFRESH_PRESENT:
		out->kind = tag == REFRESH_DELETE ? SYNC_REFRESH_DELETE : SYNC_REFRESH_PRESENT;
		return read_cookie(&content, &out->cookie) && read_boolean(&content, true, &out->done) &&
		       content.size == 0;
	case ID_SET:
		out->kind = SYNC_ID_SET;
		return read_id_set(&content, out) && content.size == 0;
	default:
		return false;
	}
}

bool sync_next_uuid(struct slice *uuids, struct uuid *out)
{
	struct slice octets;

	return slice_take(uuids, SLICE_OCTETS, &octets) && read_uuid(octets, out);
}

static size_t length_octets(size_t length)
{
	return length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 4;
}

static unsigned char *write_head(unsigned char *to, unsigned char tag, size_t length)
{
	size_t octets = length_octets(length) - 1;

	*to++ = tag;
	*to++ = (unsigned char)(octets == 0 ? length : 0x80 | octets);
	for (size_t i = octets; i-- > 0;)
		*to++ = (unsigned char)(length >> 8 * i);
	return to;
}

const unsigned char *sync_write_request(struct arena *a, const unsigned char *cookie, size_t cookie_size, size_t *size)
{
	size_t content = 3 + (cookie == NULL ? 0 : 1 + length_octets(cookie_size) + cookie_size);
	unsigned char *request = arena_alloc(a, 1 + length_octets(content) + content);
	unsigned char *to = write_head(request, SLICE_SEQUENCE, content);

	to = write_head(to, SLICE_ENUMERATED, 1);
	*to++ = REFRESH_AND_PERSIST;
	if (cookie != NULL) {
		to = write_head(to, SLICE_OCTETS, cookie_size);
		memcpy(to, cookie, cookie_size);
		to += cookie_size;
	}
	/* reloadHint is FALSE by default: a server that has forgotten says so with refreshPresent. */
	*size = (size_t)(to - request);
	return request;
}

bool sync_revision(const unsigned char *cookie, size_t size, struct revision *out)
{
	const char *text = (const char *)cookie, *end = text + size;
	bool found = false;

	for (const char *at = text; at != NULL && at < end; at = memchr(at, ',', (size_t)(end - at))) {
		at += *at == ',';
		if (end - at < 4 || memcmp(at, "csn=", 4) != 0)
			continue;
		at += 4;
		for (;;) {
			struct revision one;
			const char *stop = at;

			while (stop < end && *stop != ';' && *stop != ',')
				stop++;
			if (revision_parse(at, (size_t)(stop - at), &one) &&
			    (!found || revision_compare(&one, out) > 0)) {
				*out = one;
				found = true;
			}
			if (stop == end || *stop == ',')
				break;
			at = stop + 1;
		}
	}
	return found;
}
