/* CIDR ranges, connection counts and request rates of client addresses. */
#include "http/address.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/secret.h"

#include "base/banned.h"

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

static void from_v4(const void *four, struct address *out)
{
	memcpy(out->bytes, mapped, sizeof mapped);
	memcpy(out->bytes + sizeof mapped, four, 4);
}

void address_of(const struct sockaddr *from, struct address *out)
{
	struct sockaddr_in four;
	struct sockaddr_in6 six;

	memset(out, 0, sizeof *out);
	if (from->sa_family == AF_INET) {
		memcpy(&four, from, sizeof four);
		from_v4(&four.sin_addr, out);
	} else if (from->sa_family == AF_INET6) {
		memcpy(&six, from, sizeof six);
		memcpy(out->bytes, &six.sin6_addr, sizeof out->bytes);
	}
}

static bool is_v4(const struct address *a)
{
	return memcmp(a->bytes, mapped, sizeof mapped) == 0;
}

void address_format(const struct address *a, char out[ADDRESS_TEXT])
{
	if (is_v4(a))
		inet_ntop(AF_INET, a->bytes + sizeof mapped, out, ADDRESS_TEXT);
	else
		inet_ntop(AF_INET6, a->bytes, out, ADDRESS_TEXT);
}

/* ---- ranges ---- */

static bool bits_match(const struct address *a, const struct address *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a->bytes, b->bytes, whole) == 0 &&
	    (rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0);
}

static bool read_bits(const char *text, unsigned most, unsigned *out)
{
	unsigned n = 0;

	if (*text == '\0' || strlen(text) > 3 || (text[0] == '0' && text[1] != '\0'))
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (unsigned)(*text - '0');
	*out = n;
	return *text == '\0' && n <= most;
}

bool address_range_read(const char *text, struct address_range *out)
{
	char name[ADDRESS_TEXT];
	unsigned char four[4];
	const char *slash = strchr(text, '/');
	size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
	unsigned bits, most, before;

	if (size >= sizeof name)
		return false;
	memcpy(name, text, size);
	name[size] = '\0';
	if (inet_pton(AF_INET, name, four) == 1) {
		from_v4(four, &out->base);
		most = 32;
		before = 96;
	} else if (inet_pton(AF_INET6, name, out->base.bytes) == 1) {
		most = 128;
		before = 0;
	} else {
		return false;
	}
	bits = most;
	if (slash != NULL && !read_bits(slash + 1, most, &bits))
		return false;
	out->bits = before + bits;
	/* 10.0.0.1/8 is more likely a slip than a range of sixteen million peers. */
	for (unsigned i = out->bits; i < 128; i++)
		if (out->base.bytes[i / 8] & (0x80 >> i % 8))
			return false;
	return true;
}

bool address_in(const struct address *a, const struct address_range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bits_match(a, &ranges[i].base, ranges[i].bits))
			return true;
	return false;
}

/* ---- the book ---- */

struct page {
	struct page *next;
	struct address who;
	int connections;
	int64_t tokens; /* thousandths of a request that may still come at once */
	int64_t when;   /* the tokens were counted; ms */
	int per_second;
};
#define SLOTS 1024

struct address_book {
	pthread_mutex_t lock;
	uint64_t salt; /* a stranger must not choose who shares his slot */
	size_t count;
	struct page *slots[SLOTS];
};

struct address_book *address_book_open(void)
{
	struct address_book *b = must_alloc(sizeof *b);

	pthread_mutex_init(&b->lock, NULL);
	random_bytes(&b->salt, sizeof b->salt);
	return b;
}

void address_book_close(struct address_book *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++) {
		for (struct page *p = b->slots[i], *next; p != NULL; p = next) {
			next = p->next;
			free(p);
		}
	}
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* Who has an IPv6 network of his own has 2^64 addresses: the network is the one who is counted. */
static struct address counted(const struct address *a)
{
	struct address who = *a;

	if (!is_v4(a))
		memset(who.bytes + 8, 0, 8);
	return who;
}

static struct page **place_of(struct address_book *b, const struct address *who)
{
	uint64_t h = b->salt;

	for (size_t i = 0; i < sizeof who->bytes; i++)
		h = (h ^ who->bytes[i]) * 0x100000001b3u;
	struct page **p = &b->slots[(h >> 32) % SLOTS];
	while (*p != NULL && memcmp(&(*p)->who, who, sizeof *who) != 0)
		p = &(*p)->next;
	return p;
}

static struct page *page_of(struct address_book *b, const struct address *a)
{
	struct address who = counted(a);
	struct page **p = place_of(b, &who);

	if (*p == NULL) {
		*p = must_alloc(sizeof **p);
		(*p)->who = who;
		(*p)->tokens = -1;
		b->count++;
	}
	return *p;
}

bool address_may_connect(struct address_book *b, const struct address *a, int most)
{
	struct address who = counted(a);

	if (most <= 0)
		return true;
	pthread_mutex_lock(&b->lock);
	struct page *p = *place_of(b, &who);
	bool may = p == NULL || p->connections < most;
	pthread_mutex_unlock(&b->lock);
	return may;
}

void address_connected(struct address_book *b, const struct address *a)
{
	pthread_mutex_lock(&b->lock);
	page_of(b, a)->connections++;
	pthread_mutex_unlock(&b->lock);
}

void address_left(struct address_book *b, const struct address *a)
{
	pthread_mutex_lock(&b->lock);
	page_of(b, a)->connections--;
	pthread_mutex_unlock(&b->lock);
}

static int64_t refilled(const struct page *p, int64_t now_ms)
{
	int64_t full = 2000 * (int64_t)p->per_second;
	int64_t since = now_ms > p->when ? now_ms - p->when : 0;

	/* One request a second is one thousandth a millisecond. */
	if (p->tokens < 0 || since >= 2000)
		return full;
	int64_t tokens = p->tokens + since * p->per_second;
	return tokens < full ? tokens : full;
}

bool address_may_ask(struct address_book *b, const struct address *a, int per_second, int64_t now_ms)
{
	if (per_second <= 0)
		return true;
	pthread_mutex_lock(&b->lock);
	struct page *p = page_of(b, a);
	p->per_second = per_second;
	p->tokens = refilled(p, now_ms);
	if (now_ms > p->when)
		p->when = now_ms;
	bool may = p->tokens >= 1000;
	if (may)
		p->tokens -= 1000;
	pthread_mutex_unlock(&b->lock);
	return may;
}

void address_sweep(struct address_book *b, int64_t now_ms)
{
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < SLOTS; i++) {
		for (struct page **p = &b->slots[i]; *p != NULL;) {
			struct page *old = *p;

			if (old->connections > 0 || (old->tokens >= 0 && now_ms - old->when < 2000)) {
				p = &old->next;
				continue;
			}
			*p = old->next;
			free(old);
			b->count--;
		}
	}
	pthread_mutex_unlock(&b->lock);
}

size_t address_count(struct address_book *b)
{
	pthread_mutex_lock(&b->lock);
	size_t count = b->count;
	pthread_mutex_unlock(&b->lock);
	return count;
}
