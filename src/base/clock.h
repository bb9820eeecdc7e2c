/* Time: wall clock for what is compared with directory entries, monotonic for how long something takes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int64_t clock_now(void);       /* seconds since the epoch, UTC */
int64_t clock_micros(void);    /* microseconds since the epoch, UTC */
int64_t clock_steady_ms(void); /* milliseconds, to a few; never goes back; comparable within this process only */
int64_t clock_steady_us(void);
void clock_pause(int64_t ms); /* lets that time pass; a signal ends it earlier */

#define CLOCK_TEXT 28
/* "2026-11-24T06:37:44.123456Z" (RFC 3339), for audit and API. */
void clock_format(int64_t micros, char out[CLOCK_TEXT]);
/* LDAP GeneralizedTime (RFC 4517 3.3.13), UTC only: "20261124063744Z", fractions dropped. -1 if it is not one. */
int64_t clock_parse_generalized(const char *);
#define CLOCK_GENERALIZED 16
void clock_format_generalized(int64_t seconds, char out[CLOCK_GENERALIZED]);
/* RFC 3339 with Z or an offset, as clients send it. -1 if it is not one. */
int64_t clock_parse_rfc3339(const char *);
