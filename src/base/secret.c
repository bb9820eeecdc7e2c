/* Wiping, constant-time comparison, digests and chance, by OpenSSL and the kernel. */
#include "base/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/banned.h"

void secret_wipe(void *secret, size_t size)
{
	OPENSSL_cleanse(secret, size);
}

bool secret_equal(const void *a, const void *b, size_t size)
{
	return CRYPTO_memcmp(a, b, size) == 0;
}

void secret_hex(const unsigned char digest[32], char out[DIGEST_TEXT])
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < 32; i++) {
		out[2 * i] = hex[digest[i] >> 4];
		out[2 * i + 1] = hex[digest[i] & 15];
	}
	out[64] = '\0';
}

/* SHA256() of OpenSSL 3 looks the algorithm up and makes a context at each call: one of each thread is kept instead, and
 * given back when the thread ends. */
static pthread_key_t context_key;
static pthread_once_t context_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;

static void context_free(void *context)
{
	EVP_MD_CTX_free(context);
}

static void context_prepare(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (sha256 == NULL || pthread_key_create(&context_key, context_free) != 0) {
		fputs("scfgated: SHA-256 is not available\n", stderr);
		abort();
	}
}

static EVP_MD_CTX *context(void)
{
	pthread_once(&context_once, context_prepare);
	EVP_MD_CTX *c = pthread_getspecific(context_key);
	if (c == NULL && ((c = EVP_MD_CTX_new()) == NULL || pthread_setspecific(context_key, c) != 0)) {
		fputs("scfgated: out of memory\n", stderr);
		abort();
	}
	return c;
}

void secret_digest_bytes(const void *data, size_t size, unsigned char out[32])
{
	EVP_MD_CTX *c = context();

	if (EVP_DigestInit_ex2(c, sha256, NULL) != 1 || EVP_DigestUpdate(c, data, size) != 1 || EVP_DigestFinal_ex(c, out, NULL) != 1) {
		fputs("scfgated: SHA-256 is not available\n", stderr);
		abort();
	}
}

void secret_digest(const void *data, size_t size, char out[DIGEST_TEXT])
{
	unsigned char digest[32];

	secret_digest_bytes(data, size, digest);
	secret_hex(digest, out);
}

void secret_mac(const void *key, size_t key_size, const void *data, size_t size, char out[DIGEST_TEXT])
{
	unsigned char mac[32];
	unsigned int mac_size = sizeof mac;

	if (HMAC(EVP_sha256(), key, (int)key_size, data, size, mac, &mac_size) == NULL) {
		fputs("scfgated: HMAC-SHA-256 is not available\n", stderr);
		abort();
	}
	secret_hex(mac, out);
}

void random_bytes(void *out, size_t size)
{
	unsigned char *p = out;

	while (size > 0) {
		ssize_t n = getrandom(p, size, 0);

		if (n < 0 && errno != EINTR) {
			perror("scfgated: getrandom");
			abort();
		}
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
}

/* Writes bits from the most significant on, width bits a character; a rest is padded with zero bits. */
static void spell(const unsigned char *bytes, size_t size, const char *alphabet, unsigned width, char *out)
{
	unsigned held = 0, bits = 0;

	for (size_t i = 0; i < size; i++) {
		held = (held << 8 | bytes[i]) & 0xffff;
		for (bits += 8; bits >= width; bits -= width)
			*out++ = alphabet[held >> (bits - width) & ((1U << width) - 1)];
	}
	if (bits > 0)
		*out++ = alphabet[held << (width - bits) & ((1U << width) - 1)];
	*out = '\0';
}

void random_token(char out[TOKEN_TEXT])
{
	unsigned char bytes[32];

	random_bytes(bytes, sizeof bytes);
	spell(bytes, sizeof bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 6, out);
	secret_wipe(bytes, sizeof bytes);
}

void random_id(char out[ID_TEXT])
{
	unsigned char bytes[16];

	random_bytes(bytes, sizeof bytes);
	spell(bytes, sizeof bytes, "abcdefghijklmnopqrstuvwxyz234567", 5, out);
}
