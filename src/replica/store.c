/* One range of addresses, opened step by step; what is given back is used again for the same size. */
#include "replica/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/log.h"

#include "base/banned.h"

#define HUGE ((size_t)2 << 20)
#define MOST ((size_t)STORE_UNIT << 31) /* what a handle can name */
#define LEAST ((size_t)1 << 30)

/* Under AddressSanitizer what was given back is poisoned: a reader that comes too late is seen. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZE_ADDRESS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE_ADDRESS
#endif
#endif
#ifdef SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
#define POISON(address, size) __asan_poison_memory_region((address), (size))
#define HEAL(address, size) __asan_unpoison_memory_region((address), (size))
#else
#define POISON(address, size) ((void)0)
#define HEAL(address, size) ((void)0)
#endif

static size_t round_up(size_t size, size_t step)
{
	return (size + step - 1) / step * step;
}

_Noreturn static void no_memory(void)
{
	log_event(LOG_ERROR, "replica.out_of_memory", "%s", "");
	abort();
}

void store_open(struct store *s)
{
	*s = (struct store){ .used = 64 };
	/* Addresses only; a limit on them (RLIMIT_AS) makes the range smaller, not the start impossible. */
	for (s->reserved = MOST; s->reserved >= LEAST; s->reserved /= 2) {
		void *range = mmap(NULL, s->reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (range != MAP_FAILED) {
			s->base = range;
			return;
		}
	}
	no_memory();
}

void store_close(struct store *s)
{
	HEAL(s->base, s->readable);
	munmap(s->base, s->reserved);
	for (size_t i = 0; i < STORE_CLASSES; i++)
		free(s->given[i].items);
	*s = (struct store){ 0 };
}

size_t store_bytes(const struct store *s)
{
	size_t bytes = s->used;

	for (size_t i = 0; i < STORE_CLASSES; i++)
		bytes += s->given[i].room * sizeof(handle);
	return bytes;
}

static void open_more(struct store *s, size_t need)
{
	size_t skew = (HUGE - (uintptr_t)s->base % HUGE) % HUGE; /* what is mapped ends on a huge page's edge */
	size_t end = round_up(s->used + need + s->used / 8, HUGE) + skew;

	if (end > s->reserved)
		end = s->reserved;
	if (s->used + need > end)
		no_memory();
	if (mprotect(s->base + s->readable, end - s->readable, PROT_READ | PROT_WRITE) != 0)
		no_memory();
	(void)madvise(s->base + s->readable, end - s->readable, MADV_HUGEPAGE); /* a wish; works without */
	s->readable = end;
}

handle store_take(struct store *s, size_t size, uint8_t *class)
{
	size_t units = (size + STORE_UNIT - 1) / STORE_UNIT;
	unsigned c = units > 0 ? (unsigned)units - 1 : 0;

	if (units > STORE_SINGLE)
		for (c = STORE_SINGLE; c < STORE_CLASSES && store_room((uint8_t)c) < size;)
			c++;
	if (c >= STORE_CLASSES)
		no_memory();
	*class = (uint8_t)c;
	size = store_room(*class);

	struct store_stack *given = &s->given[c];
	if (given->count > 0) {
		handle h = given->items[--given->count];
		HEAL(store_at(s, h), size);
		memset(store_at(s, h), 0, size);
		return h;
	}
	if (s->used + size > s->readable)
		open_more(s, size);
	handle h = (handle)(s->used / STORE_UNIT);
	s->used += size;
	return h;
}

void store_give(struct store *s, handle h, uint8_t class)
{
	struct store_stack *given = &s->given[class];

	if (given->count == given->room) {
		given->room = given->room ? given->room * 2 : 16;
		given->items = must_realloc(given->items, given->room * sizeof(handle));
	}
	given->items[given->count++] = h;
	POISON(store_at(s, h), store_room(class));
}

void *store_pages(size_t size)
{
	if (size < HUGE) {
		void *memory = aligned_alloc(64, round_up(size, 64));
		if (memory == NULL)
			no_memory();
		memset(memory, 0, round_up(size, 64));
		return memory;
	}
	/* One huge page more than asked, so that an aligned piece can be cut out. */
	size = round_up(size, HUGE);
	char *range = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (range == MAP_FAILED)
		no_memory();
	size_t before = (HUGE - (uintptr_t)range % HUGE) % HUGE;
	if (before > 0)
		munmap(range, before);
	if (HUGE - before > 0)
		munmap(range + before + size, HUGE - before);
	(void)madvise(range + before, size, MADV_HUGEPAGE);
	return range + before;
}

void store_pages_give(void *memory, size_t size)
{
	if (size < HUGE)
		free(memory);
	else
		munmap(memory, round_up(size, HUGE));
}
