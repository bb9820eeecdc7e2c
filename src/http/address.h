/* Addresses of clients: ranges (CIDR), and how many connections and requests one address may have. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* IPv4 as ::ffff:a.b.c.d, so that one address has one form. */
struct address {
	unsigned char bytes[16];
};
#define ADDRESS_TEXT 46

void address_of(const struct sockaddr *, struct address *out);
void address_format(const struct address *, char out[ADDRESS_TEXT]);

struct address_range {
	struct address base;
	unsigned bits; /* 0–128 */
};
/* "192.0.2.0/24", "2001:db8::/32", "192.0.2.7". False if it is none, or has bits set behind the prefix. */
bool address_range_read(const char *, struct address_range *out);
bool address_in(const struct address *, const struct address_range *, size_t count);

/* ---- what each address has under way: safe for many threads ---- */
struct address_book;
struct address_book *address_book_open(void);
void address_book_close(struct address_book *);
/* False: the address has most connections already (most 0: no limit). Counts nothing. */
bool address_may_connect(struct address_book *, const struct address *, int most);
void address_connected(struct address_book *, const struct address *);
void address_left(struct address_book *, const struct address *);
/* Takes one of per_second requests, in bursts of at most twice that; now_ms never goes back. False: too many. */
bool address_may_ask(struct address_book *, const struct address *, int per_second, int64_t now_ms);
/* Forgets the addresses of which nothing must be remembered. */
void address_sweep(struct address_book *, int64_t now_ms);
size_t address_count(struct address_book *);
