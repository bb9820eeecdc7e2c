/* What must not leak: wiping, comparing in constant time, digests, and chance. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void secret_wipe(void *, size_t size);
bool secret_equal(const void *, const void *, size_t size); /* time depends on size only */

#define DIGEST_TEXT 65
/* 32 bytes as 64 lower-case hex digits. */
void secret_hex(const unsigned char bytes[32], char out[DIGEST_TEXT]);
/* SHA-256, as 64 lower-case hex digits. */
void secret_digest(const void *, size_t size, char out[DIGEST_TEXT]);
void secret_digest_bytes(const void *, size_t size, unsigned char out[32]);
/* HMAC-SHA-256, as 64 lower-case hex digits. */
void secret_mac(const void *key, size_t key_size, const void *, size_t size, char out[DIGEST_TEXT]);

void random_bytes(void *, size_t size); /* from the kernel; ends the process if there are none */
#define TOKEN_TEXT 44
/* 256 bits of chance, base64url without padding (43 characters). */
void random_token(char out[TOKEN_TEXT]);
#define ID_TEXT 27
/* 128 bits of chance as 26 characters [a-z2-7] : an RDN that says nothing. */
void random_id(char out[ID_TEXT]);
