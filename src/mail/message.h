/* A message as it goes over the wire (RFC 5322, MIME). For mail/ only. */
#pragma once

#include <stdint.h>

#include "base/text.h"

struct message {
	const char *id;              /* of the spool; the Message-ID is made from it */
	const char *from, *to;       /* checked addresses */
	const char *subject, *body;  /* UTF-8; the body's lines end with \n */
	int64_t at;                  /* seconds since the epoch */
};
void message_write(struct text *, const struct message *);
