/* Memory that is given back all at once: one arena per request. What is handed out is zeroed and lives until
 * the arena is reset or closed. Out of memory ends the process; limits on input keep strangers from causing it. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct arena;

struct arena *arena_open(void);
void arena_close(struct arena *);
/* Gives everything back but keeps one block for the next request. */
void arena_reset(struct arena *);

[[gnu::malloc, gnu::returns_nonnull]] void *arena_alloc(struct arena *, size_t size);
[[gnu::returns_nonnull]] char *arena_copy(struct arena *, const char *text, size_t size); /* adds a NUL */
[[gnu::returns_nonnull]] char *arena_strdup(struct arena *, const char *text);
[[gnu::returns_nonnull, gnu::format(printf, 2, 3)]] char *arena_printf(struct arena *, const char *format, ...);

/* Room for one more, zeroed, behind count things of that size. The list begins as NULL, and grows by this alone: what is
 * gathered from a world that goes on changing cannot be counted before. */
[[gnu::returns_nonnull]] void *arena_more(struct arena *, void *list, size_t count, size_t size);

/* malloc and friends for what outlives a request: they end the process instead of returning NULL. */
[[gnu::malloc, gnu::returns_nonnull]] void *must_alloc(size_t size); /* zeroed */
[[gnu::returns_nonnull]] void *must_realloc(void *, size_t size);
[[gnu::malloc, gnu::returns_nonnull]] char *must_strdup(const char *);
