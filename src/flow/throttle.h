/* Counts failed sign-ins, per client address and per (address, account), in memory of fixed size.
 *
 * A guess is reserved before its password is sent and settled afterwards, so that guesses under way count too: any
 * number at once do not get further than one after another. A counter says how many failures there were in the last
 * window; never fewer than there were, unless it had to make room for others (throttle.c says for whom). Safe for
 * many threads; not shared between gateways and not kept over a restart. What fails at accounts that there are is
 * counted in the guess book, which is both (book.c); here for names that nobody has. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct throttle_limits {
	int per_account, per_address; /* failures in the window, at least 1 */
	int window_s;                 /* at least 1 */
};

struct throttle;
/* Room for so many addresses and so many (address, account) pairs, rounded up to a power of two. */
struct throttle *throttle_open(size_t addresses, size_t pairs);
void throttle_close(struct throttle *);

/* The network that an address counts for, as text: an IPv4 address, or the /64 of an IPv6 one. */
#define NETWORK_TEXT 64
void throttle_network(const char *address, char out[NETWORK_TEXT]);

enum throttle_word {
	THROTTLE_FREE,    /* go on; settle the ticket */
	THROTTLE_ACCOUNT, /* this address has failed too often for this account: refuse as if wrong; settle too */
	THROTTLE_ADDRESS, /* this address has failed too often: there is no ticket */
};
struct throttle_ticket {
	struct counter *address, *pair; /* NULL: nothing reserved */
};
/* account: any text; what names the same account must be the same text. now_s: a clock that never goes back. If
 * guesses under way could still fill the limit, waits for them, at most wait_ms: THROTTLE_ADDRESS if in vain. */
enum throttle_word throttle_reserve(struct throttle *, const struct throttle_limits *, const char *address,
    const char *account, int64_t now_s, int wait_ms, struct throttle_ticket *out);

enum throttle_end {
	THROTTLE_FAILED, /* counts for both */
	THROTTLE_RIGHT,  /* forgets the failures of this address for this account; those of the address stay */
	THROTTLE_VOID,   /* nothing was learnt: an outage counts nowhere */
};
void throttle_settle(struct throttle *, const struct throttle_ticket *, enum throttle_end, int64_t now_s);
