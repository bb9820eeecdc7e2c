/* Two queues and one thread: the writer fills `sent`, the thread waits out a grace period and fills `over`. */
#include "replica/limbo.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <urcu/urcu-bp.h>

#include "base/arena.h"

#include "base/banned.h"

#ifdef __SANITIZE_THREAD__
#define SANITIZE_THREAD
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZE_THREAD
#endif
#endif
#ifdef SANITIZE_THREAD
#include <sanitizer/tsan_interface.h>
static char section; /* every leave happens before the end of the grace period that waits for it */
#define LEFT() __tsan_release(&section)
#define ALL_LEFT() __tsan_acquire(&section)
#else
#define LEFT() ((void)0)
#define ALL_LEFT() ((void)0)
#endif

struct entry_item { uint32_t who; handle entry; };
struct memory_item { void (*end)(void *, size_t); void *what; size_t size; };

struct batch {
	struct entry_item *entries;
	struct memory_item *memory;
	size_t entry_count, entry_room, memory_count, memory_room;
};

struct limbo {
	struct batch mine, back; /* the writer's: being filled; taken from over, being given back */
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct batch sent, over; /* under the lock */
	bool idle, closing;      /* under the lock */
	pthread_t thread;
};

void limbo_enter(void)
{
	urcu_bp_read_lock();
}

void limbo_leave(void)
{
	LEFT();
	urcu_bp_read_unlock();
}

static void add_entry(struct batch *b, struct entry_item item)
{
	if (b->entry_count == b->entry_room) {
		b->entry_room = b->entry_room ? b->entry_room * 2 : 64;
		b->entries = must_realloc(b->entries, b->entry_room * sizeof *b->entries);
	}
	b->entries[b->entry_count++] = item;
}

static void add_memory(struct batch *b, struct memory_item item)
{
	if (b->memory_count == b->memory_room) {
		b->memory_room = b->memory_room ? b->memory_room * 2 : 8;
		b->memory = must_realloc(b->memory, b->memory_room * sizeof *b->memory);
	}
	b->memory[b->memory_count++] = item;
}

static bool is_empty(const struct batch *b)
{
	return b->entry_count == 0 && b->memory_count == 0;
}

/* Moves the contents; to must be as good as lost when it is empty. */
static void move(struct batch *from, struct batch *to)
{
	if (is_empty(to)) {
		struct batch spare = *to;
		*to = *from;
		*from = spare;
		return;
	}
	for (size_t i = 0; i < from->entry_count; i++)
		add_entry(to, from->entries[i]);
	for (size_t i = 0; i < from->memory_count; i++)
		add_memory(to, from->memory[i]);
	from->entry_count = from->memory_count = 0;
}

static void end_memory(struct batch *b)
{
	for (size_t i = 0; i < b->memory_count; i++)
		b->memory[i].end(b->memory[i].what, b->memory[i].size);
	b->memory_count = 0;
}

static void *wait_out(void *self)
{
	struct limbo *l = self;
	struct batch b = { 0 };

	pthread_mutex_lock(&l->lock);
	for (;;) {
		l->idle = true;
		while (is_empty(&l->sent) && !l->closing)
			pthread_cond_wait(&l->filled, &l->lock);
		l->idle = false;
		if (is_empty(&l->sent))
			break;
		move(&l->sent, &b);
		pthread_mutex_unlock(&l->lock);

		urcu_bp_synchronize_rcu();
		ALL_LEFT();
		end_memory(&b);

		pthread_mutex_lock(&l->lock);
		move(&b, &l->over);
	}
	pthread_mutex_unlock(&l->lock);
	free(b.entries);
	free(b.memory);
	return NULL;
}

struct err limbo_open(struct limbo **out)
{
	struct limbo *l = must_alloc(sizeof *l);

	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->filled, NULL);
	if (pthread_create(&l->thread, NULL, wait_out, l) != 0) {
		free(l);
		return FAIL(ERR_UNAVAILABLE, "no thread for the replica");
	}
	*out = l;
	return SUCCESS;
}

static void put_away(struct batch *b)
{
	end_memory(b);
	free(b->entries);
	free(b->memory);
}

void limbo_close(struct limbo *l)
{
	if (l == NULL)
		return;
	limbo_turn(l, NULL, NULL);
	pthread_mutex_lock(&l->lock);
	l->closing = true;
	pthread_cond_signal(&l->filled);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	put_away(&l->mine);
	put_away(&l->back);
	put_away(&l->sent);
	put_away(&l->over);
	pthread_cond_destroy(&l->filled);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void limbo_entry(struct limbo *l, uint32_t who, handle entry)
{
	add_entry(&l->mine, (struct entry_item){ who, entry });
}

void limbo_memory(struct limbo *l, void (*end)(void *, size_t), void *what, size_t size)
{
	add_memory(&l->mine, (struct memory_item){ end, what, size });
}

void limbo_turn(struct limbo *l, void (*give)(void *, uint32_t, handle), void *self)
{
	if (is_empty(&l->mine))
		return;
	pthread_mutex_lock(&l->lock);
	move(&l->mine, &l->sent);
	move(&l->over, &l->back);
	if (l->idle)
		pthread_cond_signal(&l->filled);
	pthread_mutex_unlock(&l->lock);

	for (size_t i = 0; give && i < l->back.entry_count; i++)
		give(self, l->back.entries[i].who, l->back.entries[i].entry);
	l->back.entry_count = l->back.memory_count = 0;
}
