/* From the attributes of an entry, as they lie in a message, to a struct entry: one pass, in place, driven by the
 * table of schema.h. Whatever is wrong with the entry becomes a sentence; nothing else follows from it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "dir/schema.h"
#include "dir/slice.h"
#include "model/model.h"

struct parse {
	struct arena *arena;
	const struct schema *schema;
	const struct place *place;
	struct entry *entry;
	uint64_t seen;     /* bits of rows */
	bool has_provider_class;
	const char *why;   /* the first thing that is wrong, in the arena; NULL: nothing yet */
};

/* entry is filled with names that point into place, into the message and into the arena: it lives as long as all. */
void parse_begin(struct parse *, struct arena *, const struct schema *, const struct place *, struct entry *);
/* content: of one PartialAttribute (RFC 4511 4.1.7). It is written to. False: it is not even that. */
bool parse_attribute(struct parse *, struct slice content);
/* NULL: understood. Else attribute and rule: "scfState: 'aproved' is no state of an association". */
const char *parse_end(struct parse *);
