/* One-time passwords and how their secret is spelt. */
#include "flow/totp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/secret.h"

#include "base/banned.h"

void totp_code(const unsigned char *secret, size_t size, int64_t now, char out[TOTP_CODE])
{
	uint64_t step = (uint64_t)now / TOTP_PERIOD;
	unsigned char counter[8], mac[EVP_MAX_MD_SIZE];
	unsigned int mac_size = sizeof mac;

	for (int i = 7; i >= 0; i--, step >>= 8)
		counter[i] = (unsigned char)step;
	if (HMAC(EVP_sha1(), secret, (int)size, counter, sizeof counter, mac, &mac_size) == NULL || mac_size != 20) {
		fputs("scfgated: HMAC-SHA-1 is not available\n", stderr);
		abort();
	}
	/* RFC 4226 5.3 */
	const unsigned char *at = mac + (mac[19] & 15);
	uint32_t number = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
	snprintf(out, TOTP_CODE, "%06u", number % 1000000);
	secret_wipe(mac, sizeof mac);
}

bool totp_fits(const unsigned char *secret, size_t size, int64_t now, const char *code)
{
	char right[TOTP_CODE];
	bool fits = false;

	if (strnlen(code, TOTP_CODE) != TOTP_DIGITS)
		return false;
	for (int step = -1; step <= 1; step++) {
		totp_code(secret, size, now + step * TOTP_PERIOD, right);
		fits |= secret_equal(right, code, TOTP_DIGITS);
	}
	secret_wipe(right, sizeof right);
	return fits;
}

void totp_base32(const unsigned char *bytes, size_t size, char *out)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	unsigned held = 0, bits = 0;

	for (size_t i = 0; i < size; i++) {
		held = (held << 8 | bytes[i]) & 0xffff;
		for (bits += 8; bits >= 5; bits -= 5)
			*out++ = alphabet[held >> (bits - 5) & 31];
	}
	if (bits > 0)
		*out++ = alphabet[held << (5 - bits) & 31];
	*out = '\0';
}
