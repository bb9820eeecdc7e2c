/* One leaf of the guess book: which networks have failed at one account, and which gateway guesses at it now. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/secret.h"
#include "base/text.h"
#include "flow/throttle.h"

/* More failures than the directory lets pass in any window; of more, the oldest are forgotten. */
#define LEAF_FAILURES 64

struct leaf {
	char holder[ID_TEXT]; /* the gateway that has taken it; "": nobody */
	size_t count;
	struct leaf_failure {
		char network[NETWORK_TEXT];
		int64_t at;   /* seconds since the epoch */
	} failures[LEAF_FAILURES]; /* oldest first */
};

/* What is not a leaf is an empty one: false. */
bool leaf_read(struct arena *, const char *json, size_t size, struct leaf *out);
void leaf_tell(const struct leaf *, struct text *); /* as JSON */

size_t leaf_failures(const struct leaf *, const char *network, int64_t since);
void leaf_add(struct leaf *, const char *network, int64_t at);
void leaf_forgive(struct leaf *, const char *network);
void leaf_drop_before(struct leaf *, int64_t at);
