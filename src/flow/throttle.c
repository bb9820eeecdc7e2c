/* Failure counters that guessing at one address cannot run past, nor turn against somebody else. */
#include "flow/throttle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/secret.h"

#include "base/banned.h"

/* A window is eight buckets and the one under way: what is up to a window old is always counted. */
#define BUCKETS 9
#define WAYS 8
#define WAITERS_MOST 16

struct counter {
	uint64_t key;     /* 0: free */
	int64_t newest;   /* number of the bucket that counts[newest % BUCKETS] is */
	uint32_t pending; /* reserved; a counter with reservations stays where it is */
	uint32_t counts[BUCKETS];
};

/* Where a key may lie is secret (a keyed hash), so nobody can choose names that meet in one set. A new key takes the
 * place of one without failures, else of the one with the fewest: a flood of addresses with a failure each pushes out
 * itself, not a counter that has something to say. Pairs of one address cannot do even that, because each failure
 * counts for the address too, whose limit comes long before a set of pairs is full. */
struct table {
	struct counter *counters;
	size_t sets;
};

struct throttle {
	pthread_mutex_t lock;
	pthread_cond_t settled;
	struct table addresses, pairs;
	int64_t width;    /* of a bucket, in seconds */
	unsigned waiters;
	unsigned char secret[32];
};

static void table_open(struct table *t, size_t room)
{
	t->sets = 1;
	while (t->sets * WAYS < room)
		t->sets *= 2;
	t->counters = must_alloc(t->sets * WAYS * sizeof *t->counters);
}

struct throttle *throttle_open(size_t addresses, size_t pairs)
{
	struct throttle *t = must_alloc(sizeof *t);
	pthread_condattr_t steady;

	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&t->settled, &steady);
	pthread_condattr_destroy(&steady);
	table_open(&t->addresses, addresses);
	table_open(&t->pairs, pairs);
	random_bytes(t->secret, sizeof t->secret);
	return t;
}

void throttle_close(struct throttle *t)
{
	pthread_cond_destroy(&t->settled);
	pthread_mutex_destroy(&t->lock);
	free(t->addresses.counters);
	free(t->pairs.counters);
	free(t);
}

/* ---- one counter ---- */

static uint32_t failures(struct counter *c, int64_t bucket)
{
	uint32_t sum = 0;

	if (bucket - c->newest >= BUCKETS) {
		memset(c->counts, 0, sizeof c->counts);
		c->newest = bucket;
	}
	while (c->newest < bucket)
		c->counts[++c->newest % BUCKETS] = 0;
	for (int i = 0; i < BUCKETS; i++)
		sum += c->counts[i];
	return sum;
}

static void count_failure(struct counter *c, int64_t bucket)
{
	if (failures(c, bucket) < UINT32_MAX / 2)
		c->counts[c->newest % BUCKETS]++;
}

/* NULL: every place is held by a guess under way. */
static struct counter *find(struct table *t, uint64_t key, int64_t bucket)
{
	struct counter *set = &t->counters[(key & (t->sets - 1)) * WAYS], *free_one = NULL;
	uint32_t fewest = UINT32_MAX;

	for (int i = 0; i < WAYS; i++) {
		struct counter *c = &set[i];

		if (c->key == key)
			return c;
		if (c->pending > 0)
			continue;
		uint32_t sum = c->key != 0 ? failures(c, bucket) : 0;
		if (sum < fewest) {
			fewest = sum;
			free_one = c;
		}
	}
	if (free_one != NULL)
		*free_one = (struct counter){ .key = key, .newest = bucket };
	return free_one;
}

/* A reload may change the window: what was counted by the old buckets counts as of now. */
static void refold(struct table *t, int64_t before, int64_t bucket)
{
	for (size_t i = 0; i < t->sets * WAYS; i++) {
		struct counter *c = &t->counters[i];

		if (c->key == 0)
			continue;
		uint32_t sum = failures(c, before);
		memset(c->counts, 0, sizeof c->counts);
		c->newest = bucket;
		c->counts[bucket % BUCKETS] = sum;
	}
}

static int64_t bucket_of(struct throttle *t, const struct throttle_limits *limits, int64_t now_s)
{
	int64_t width = (limits->window_s + BUCKETS - 2) / (BUCKETS - 1);

	if (t->width != width && t->width > 0) {
		refold(&t->addresses, now_s / t->width, now_s / width);
		refold(&t->pairs, now_s / t->width, now_s / width);
	}
	t->width = width;
	return now_s / width;
}

/* ---- keys ---- */

/* Who has one IPv6 address has its whole /64 (RFC 6177); an IPv4 client of a dual-stack socket is the same client. */
static size_t network_of(const char *address, unsigned char out[64])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct in6_addr v6;

	if (inet_pton(AF_INET, address, out + 1) == 1) {
		out[0] = 4;
		return 5;
	}
	if (inet_pton(AF_INET6, address, &v6) == 1) {
		bool is_v4 = memcmp(&v6, mapped, sizeof mapped) == 0;
		size_t size = is_v4 ? 4 : 8;

		out[0] = is_v4 ? 4 : 6;
		memcpy(out + 1, (const unsigned char *)&v6 + (is_v4 ? 12 : 0), size);
		return 1 + size;
	}
	size_t size = strnlen(address, 63);
	out[0] = 0;
	memcpy(out + 1, address, size);
	return 1 + size;
}

void throttle_network(const char *address, char out[NETWORK_TEXT])
{
	unsigned char bytes[64] = { 0 };
	size_t size = network_of(address, bytes);

	memset(out, 0, NETWORK_TEXT);
	if (bytes[0] == 0)
		memcpy(out, bytes + 1, size - 1);
	else if (bytes[0] == 4)
		inet_ntop(AF_INET, bytes + 1, out, NETWORK_TEXT);
	else
		inet_ntop(AF_INET6, bytes + 1, out, NETWORK_TEXT);
}

static uint64_t key_of(const struct throttle *t, const unsigned char *bytes, size_t size)
{
	char mac[DIGEST_TEXT];
	uint64_t key = 0;

	secret_mac(t->secret, sizeof t->secret, bytes, size, mac);
	for (int i = 0; i < 16; i++)
		key = key << 4 | (uint64_t)(mac[i] <= '9' ? mac[i] - '0' : mac[i] - 'a' + 10);
	return key != 0 ? key : 1;
}

struct keys { uint64_t address, pair; };

static struct keys keys_of(const struct throttle *t, const char *address, const char *account)
{
	unsigned char bytes[64 + 128];
	size_t size = network_of(address, bytes), more = strnlen(account, 127);
	struct keys keys = { .address = key_of(t, bytes, size) };

	bytes[size++] = 0;
	memcpy(bytes + size, account, more);
	keys.pair = key_of(t, bytes, size + more);
	return keys;
}

/* ---- guesses ---- */

/* One look under the lock. True: *word is said. False: guesses under way have to end first. */
static bool try_reserve(struct throttle *t, const struct throttle_limits *limits, struct keys keys, int64_t now_s,
    enum throttle_word *word, struct throttle_ticket *out)
{
	int64_t bucket = bucket_of(t, limits, now_s);
	struct counter *a = find(&t->addresses, keys.address, bucket);
	uint32_t most = (uint32_t)limits->per_address, most_of_pair = (uint32_t)limits->per_account;

	*word = THROTTLE_ADDRESS;
	if (a == NULL || failures(a, bucket) >= most)
		return true;
	if (failures(a, bucket) + a->pending >= most)
		return false;
	/* Only now: an address past its limit must not take places among the pairs with ever new names. */
	struct counter *p = find(&t->pairs, keys.pair, bucket);
	if (p == NULL)
		return true;
	if (failures(p, bucket) >= most_of_pair) {
		*word = THROTTLE_ACCOUNT;
		p = NULL;
	} else if (failures(p, bucket) + p->pending >= most_of_pair) {
		return false;
	} else {
		*word = THROTTLE_FREE;
		p->pending++;
	}
	a->pending++;
	*out = (struct throttle_ticket){ .address = a, .pair = p };
	return true;
}

static struct timespec after_ms(int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	at.tv_sec += ms / 1000 + at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

enum throttle_word throttle_reserve(struct throttle *t, const struct throttle_limits *limits, const char *address,
    const char *account, int64_t now_s, int wait_ms, struct throttle_ticket *out)
{
	struct keys keys = keys_of(t, address, account);
	struct timespec until = after_ms(wait_ms);
	enum throttle_word word;
	bool in_time = wait_ms > 0;

	*out = (struct throttle_ticket){ NULL, NULL };
	pthread_mutex_lock(&t->lock);
	while (!try_reserve(t, limits, keys, now_s, &word, out)) {
		/* Those who wait hold a worker each: only so many of them. */
		if (!in_time || t->waiters >= WAITERS_MOST) {
			word = THROTTLE_ADDRESS;
			break;
		}
		t->waiters++;
		in_time = pthread_cond_timedwait(&t->settled, &t->lock, &until) != ETIMEDOUT;
		t->waiters--;
	}
	pthread_mutex_unlock(&t->lock);
	return word;
}

void throttle_settle(struct throttle *t, const struct throttle_ticket *ticket, enum throttle_end end, int64_t now_s)
{
	pthread_mutex_lock(&t->lock);
	int64_t bucket = now_s / t->width;
	if (ticket->address != NULL) {
		ticket->address->pending--;
		if (end == THROTTLE_FAILED)
			count_failure(ticket->address, bucket);
	}
	if (ticket->pair != NULL) {
		ticket->pair->pending--;
		if (end == THROTTLE_FAILED)
			count_failure(ticket->pair, bucket);
		else if (end == THROTTLE_RIGHT)
			memset(ticket->pair->counts, 0, sizeof ticket->pair->counts);
	}
	if (t->waiters > 0)
		pthread_cond_broadcast(&t->settled);
	pthread_mutex_unlock(&t->lock);
}
