/* Time-based one-time passwords (RFC 6238): codes of six digits, a new one every 30 seconds, HMAC-SHA-1. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOTP_SECRET 20 /* bytes */
#define TOTP_PERIOD 30 /* seconds */
#define TOTP_DIGITS 6
#define TOTP_CODE (TOTP_DIGITS + 1)

void totp_code(const unsigned char *secret, size_t size, int64_t now, char out[TOTP_CODE]);
/* Is it the code of this time, or of the one before or behind it? As the directory judges. */
bool totp_fits(const unsigned char *secret, size_t size, int64_t now, const char *code);

#define BASE32_TEXT(size) (((size) * 8 + 4) / 5 + 1)
/* RFC 4648 6, without padding. */
void totp_base32(const unsigned char *, size_t size, char *out);
