/* Reading BER in place: a slice is what is left of a message; take cuts the next element off its front. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct slice {
	unsigned char *at;
	size_t size;
};

#define SLICE_BOOLEAN 0x01
#define SLICE_OCTETS 0x04
#define SLICE_ENUMERATED 0x0a
#define SLICE_SEQUENCE 0x30
#define SLICE_SET 0x31

/* Cuts off an element of that tag; *out is its content. False: there is none, or it is longer than what is left. */
static inline bool slice_take(struct slice *from, unsigned char tag, struct slice *out)
{
	if (from->size < 2 || from->at[0] != tag)
		return false;
	size_t head = 2, length = from->at[1];
	if (length >= 0x80) { /* long form (X.690 8.1.3.5); LDAP knows no indefinite one (RFC 4511 5.1) */
		size_t octets = length & 0x7f;
		if (octets == 0 || octets > 4 || from->size < 2 + octets)
			return false;
		for (length = 0; head < 2 + octets; head++)
			length = length << 8 | from->at[head];
	}
	if (length > from->size - head)
		return false;
	*out = (struct slice){ from->at + head, length };
	from->at += head + length;
	from->size -= head + length;
	return true;
}

static inline bool slice_is(const struct slice *left, unsigned char tag)
{
	return left->size > 0 && left->at[0] == tag;
}
