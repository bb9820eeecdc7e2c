/* Memory for one generation of the replica: entries lie side by side in one range of addresses on huge pages and are
 * named by 32-bit handles, half of what a pointer takes. One thread takes and gives; any number read. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint32_t handle; /* in units of 16 bytes from the beginning of the range; 31 bits; 0: none */

#define STORE_UNIT 16
#define STORE_SINGLE 64                    /* sizes up to so many units are kept exactly */
#define STORE_CLASSES (STORE_SINGLE + 20)  /* above: powers of two */

struct store_stack { handle *items; uint32_t count, room; };

struct store {
	char *base;
	size_t reserved, readable, used; /* bytes: of addresses; mapped; handed out so far */
	struct store_stack given[STORE_CLASSES];
};

void store_open(struct store *);
void store_close(struct store *);
size_t store_bytes(const struct store *);

/* Zeroed. The class must be handed back with the handle. Ends the process when there is no memory. */
handle store_take(struct store *, size_t size, uint8_t *class);
void store_give(struct store *, handle, uint8_t class);

/* How much memory a thing of that class has. */
static inline size_t store_room(uint8_t class)
{
	size_t units = class < STORE_SINGLE ? class + 1u : (size_t)STORE_SINGLE << (class - STORE_SINGLE + 1);

	return units * STORE_UNIT;
}

static inline void *store_at(const struct store *s, handle h)
{
	return s->base + (size_t)h * STORE_UNIT;
}

/* Zeroed memory for tables, on huge pages where it is large. */
void *store_pages(size_t size);
void store_pages_give(void *, size_t size);
