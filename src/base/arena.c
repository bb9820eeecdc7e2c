/* Memory given back all at once: blocks that are filled from the front, freed or kept together. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

#if defined(__SANITIZE_ADDRESS__)
#define BLOCK ((size_t)64) /* nearly each allocation gets a block of its own, so that ASan sees its ends */
#else
#define BLOCK ((size_t)16 * 1024)
#endif
#define ALIGNMENT 16
#define FIRST ((size_t)16) /* things in a list that grows; a power of two */

struct block {
	struct block *before;
	size_t room, used;
	alignas(ALIGNMENT) unsigned char bytes[];
};

struct arena {
	struct block *block; /* the newest; the oldest is never freed before the arena is closed */
};

static void *or_die(void *memory)
{
	if (memory == NULL) {
		fputs("scfgated: out of memory\n", stderr);
		abort();
	}
	return memory;
}

void *must_alloc(size_t size)
{
	return or_die(calloc(1, size > 0 ? size : 1));
}

void *must_realloc(void *memory, size_t size)
{
	return or_die(realloc(memory, size > 0 ? size : 1));
}

char *must_strdup(const char *text)
{
	return or_die(strdup(text));
}

static struct block *block_add(struct arena *a, size_t room)
{
	struct block *b = or_die(malloc(sizeof *b + room));

	b->before = a->block;
	b->room = room;
	b->used = 0;
	a->block = b;
	return b;
}

struct arena *arena_open(void)
{
	struct arena *a = must_alloc(sizeof *a);

	block_add(a, BLOCK);
	return a;
}

void arena_reset(struct arena *a)
{
	while (a->block->before != NULL) {
		struct block *newest = a->block;

		a->block = newest->before;
		free(newest);
	}
	a->block->used = 0;
}

void arena_close(struct arena *a)
{
	if (a == NULL)
		return;
	arena_reset(a);
	free(a->block);
	free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct block *b = a->block;
	size_t whole = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);

	if (whole < size || whole > SIZE_MAX / 2)
		or_die(NULL);
	if (b->room - b->used < whole)
		b = block_add(a, whole > BLOCK ? whole : BLOCK);
	unsigned char *place = b->bytes + b->used;
	b->used += whole;
	return memset(place, 0, size);
}

void *arena_more(struct arena *a, void *list, size_t count, size_t size)
{
	if (count != 0 && (count < FIRST || (count & (count - 1)) != 0))
		return list;
	if (count > SIZE_MAX / 4 / size)
		or_die(NULL);
	void *more = arena_alloc(a, (count == 0 ? FIRST : 2 * count) * size);
	return count == 0 ? more : memcpy(more, list, count * size);
}

char *arena_copy(struct arena *a, const char *text, size_t size)
{
	char *copy = arena_alloc(a, size + 1);

	if (size > 0)
		memcpy(copy, text, size);
	return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return arena_copy(a, text, strlen(text));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size < 0)
		or_die(NULL);
	char *text = arena_alloc(a, (size_t)size + 1);
	vsnprintf(text, (size_t)size + 1, format, again);
	va_end(again);
	return text;
}
