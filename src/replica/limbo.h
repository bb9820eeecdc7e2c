/* Between "no longer to be found" and "free": what readers may still hold waits here for a grace period of RCU. The
 * writer never waits; a thread of its own does. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "replica/store.h"

struct limbo;
struct err limbo_open(struct limbo **out);
/* Waits for the last grace period; readers must be gone. What is left is ended. */
void limbo_close(struct limbo *);

/* Of the writer. An entry that has left every index; who: the generation it belongs to. */
void limbo_entry(struct limbo *, uint32_t who, handle);
/* Of the writer. end(what, size) is called after a grace period, on limbo's thread. */
void limbo_memory(struct limbo *, void (*end)(void *what, size_t size), void *what, size_t size);
/* Of the writer, often: sends off what was put in, and hands give() the entries whose time is over. */
void limbo_turn(struct limbo *, void (*give)(void *self, uint32_t who, handle), void *self);

/* A read section. The sanitizer for threads does not understand liburcu; limbo tells it what happens before what. */
void limbo_enter(void);
void limbo_leave(void);
