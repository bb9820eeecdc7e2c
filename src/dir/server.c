/* The list of servers and what is known of them. */
#include "dir/server.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#include "base/banned.h"

#define RETRY_MS 100

void servers_open(struct servers *s, const char *const *uris)
{
	pthread_rwlockattr_t fair;

	memset(s, 0, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_rwlockattr_init(&fair);
	pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP); /* else it waits forever */
	pthread_rwlock_init(&s->writing, &fair);
	pthread_rwlockattr_destroy(&fair);
	for (; s->count < DIR_URIS && uris[s->count] != NULL; s->count++)
		s->each[s->count].uri = uris[s->count];
}

void servers_close(struct servers *s)
{
	pthread_rwlock_destroy(&s->writing);
	pthread_mutex_destroy(&s->lock);
}

bool servers_may_try(struct servers *s, int server)
{
	bool may = true;

	pthread_mutex_lock(&s->lock);
	if (s->each[server].down) {
		may = !s->each[server].trying && clock_steady_ms() >= s->each[server].retry_at;
		s->each[server].trying |= may;
	}
	pthread_mutex_unlock(&s->lock);
	return may;
}

void servers_let_go(struct servers *s, int server)
{
	pthread_mutex_lock(&s->lock);
	s->each[server].trying = false;
	pthread_mutex_unlock(&s->lock);
}

static int next_up(const struct servers *s, int from)
{
	for (int i = 1; i < s->count; i++)
		if (!s->each[(from + i) % s->count].down)
			return (from + i) % s->count;
	return from;
}

void servers_tell(struct servers *s, int server, bool up, const char *why)
{
	pthread_mutex_lock(&s->lock);
	bool was_down = s->each[server].down;
	int before = atomic_load(&s->current), after = before;

	s->each[server].down = !up;
	s->each[server].trying = false;
	if (!up)
		s->each[server].retry_at = clock_steady_ms() + RETRY_MS;
	if (up && s->each[before].down)
		after = server;
	if (!up && before == server)
		after = next_up(s, server);
	atomic_store(&s->current, after);
	pthread_mutex_unlock(&s->lock);

	if (up && was_down)
		log_event(LOG_INFO, "directory.up", "server=%s", s->each[server].uri);
	if (!up && !was_down)
		log_event(LOG_WARNING, "directory.down", "server=%s why=%s", s->each[server].uri, why);
	if (after != before)
		log_event(LOG_WARNING, "directory.failover", "from=%s to=%s", s->each[before].uri, s->each[after].uri);
}

void servers_go_back(struct servers *s, int server)
{
	pthread_mutex_lock(&s->lock);
	int before = atomic_load(&s->current);
	bool back = server < before;

	s->each[server].down = false;
	if (back)
		atomic_store(&s->current, server);
	pthread_mutex_unlock(&s->lock);
	if (back)
		log_event(LOG_INFO, "directory.failback", "from=%s to=%s", s->each[before].uri, s->each[server].uri);
}

void servers_begin_write(struct servers *s)
{
	pthread_rwlock_rdlock(&s->writing);
}

void servers_end_write(struct servers *s)
{
	pthread_rwlock_unlock(&s->writing);
}

bool servers_hold_writes(struct servers *s, int timeout_ms)
{
	int64_t until = clock_steady_ms() + timeout_ms;
	struct timespec t = { .tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000 };

	return pthread_rwlock_clockwrlock(&s->writing, CLOCK_MONOTONIC, &t) == 0;
}

void servers_release_writes(struct servers *s)
{
	pthread_rwlock_unlock(&s->writing);
}

void servers_saw(struct servers *s, const struct revision *revision)
{
	pthread_mutex_lock(&s->lock);
	if (revision_compare(revision, &s->seen) > 0)
		s->seen = *revision;
	pthread_mutex_unlock(&s->lock);
}

struct revision servers_seen(struct servers *s)
{
	pthread_mutex_lock(&s->lock);
	struct revision seen = s->seen;
	pthread_mutex_unlock(&s->lock);
	return seen;
}
