/* Certificates for the tests of the door: a CA, a server's and a client's, made anew in a folder of their own. */
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct door_keys {
	char folder[64];
	char ca[96], certificate[96], key[96], client[96], client_key[96], stranger[96], stranger_key[96];
	unsigned serial;
};

struct door_issuer {
	gnutls_x509_crt_t certificate;
	gnutls_x509_privkey_t key;
};

static inline void door_write(const char *file, const gnutls_datum_t *pem)
{
	FILE *f = fopen(file, "w");

	if (f == NULL || fwrite(pem->data, 1, pem->size, f) != pem->size)
		abort();
	fclose(f);
}

/* Issues a certificate (by itself if issuer is NULL) that is valid for days from now. */
static inline struct door_issuer door_issue(
    struct door_keys *k, const char *name, const struct door_issuer *issuer, int days, const char *purpose)
{
	struct door_issuer made;
	unsigned char serial = (unsigned char)++k->serial;

	gnutls_x509_privkey_init(&made.key);
	gnutls_x509_privkey_generate(made.key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	gnutls_x509_crt_init(&made.certificate);
	gnutls_x509_crt_set_version(made.certificate, 3);
	gnutls_x509_crt_set_serial(made.certificate, &serial, 1);
	gnutls_x509_crt_set_dn_by_oid(made.certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name));
	gnutls_x509_crt_set_key(made.certificate, made.key);
	gnutls_x509_crt_set_activation_time(made.certificate, time(NULL) - 100 * 86400);
	gnutls_x509_crt_set_expiration_time(made.certificate, time(NULL) + days * 86400);
	gnutls_x509_crt_set_ca_status(made.certificate, issuer == NULL);
	if (issuer == NULL)
		gnutls_x509_crt_set_key_usage(
		    made.certificate, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (purpose != NULL)
		gnutls_x509_crt_set_key_purpose_oid(made.certificate, purpose, 0);
	gnutls_x509_crt_set_subject_alt_name(made.certificate, GNUTLS_SAN_DNSNAME, "localhost", 9, GNUTLS_FSAN_SET);
	if (issuer == NULL)
		issuer = &made;
	if (gnutls_x509_crt_sign2(made.certificate, issuer->certificate, issuer->key, GNUTLS_DIG_SHA256, 0) < 0)
		abort();
	return made;
}

static inline void door_keep(const struct door_issuer *made, const char *file, const char *key_file)
{
	gnutls_datum_t pem;

	gnutls_x509_crt_export2(made->certificate, GNUTLS_X509_FMT_PEM, &pem);
	door_write(file, &pem);
	gnutls_free(pem.data);
	if (key_file != NULL) {
		gnutls_x509_privkey_export2(made->key, GNUTLS_X509_FMT_PEM, &pem);
		door_write(key_file, &pem);
		gnutls_free(pem.data);
	}
}

static inline void door_forget(struct door_issuer *made)
{
	gnutls_x509_crt_deinit(made->certificate);
	gnutls_x509_privkey_deinit(made->key);
}

static inline void door_keys_make(struct door_keys *k)
{
	static const char *const names[] = { "ca", "certificate", "key", "client", "client-key", "stranger",
		"stranger-key" };
	char *const files[] = { k->ca, k->certificate, k->key, k->client, k->client_key, k->stranger, k->stranger_key };

	memset(k, 0, sizeof *k);
	snprintf(k->folder, sizeof k->folder, "/tmp/scfgate-door-XXXXXX");
	if (mkdtemp(k->folder) == NULL)
		abort();
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		snprintf(files[i], sizeof k->ca, "%s/%s.pem", k->folder, names[i]);

	struct door_issuer ca = door_issue(k, "test CA", NULL, 30, NULL),
			   other = door_issue(k, "another CA", NULL, 30, NULL);
	struct door_issuer server = door_issue(k, "localhost", &ca, 30, GNUTLS_KP_TLS_WWW_SERVER);
	struct door_issuer client = door_issue(k, "portal", &ca, 30, GNUTLS_KP_TLS_WWW_CLIENT);
	struct door_issuer stranger = door_issue(k, "portal", &other, 30, GNUTLS_KP_TLS_WWW_CLIENT);
	door_keep(&ca, k->ca, NULL);
	door_keep(&server, k->certificate, k->key);
	door_keep(&client, k->client, k->client_key);
	door_keep(&stranger, k->stranger, k->stranger_key);
	door_forget(&ca);
	door_forget(&other);
	door_forget(&server);
	door_forget(&client);
	door_forget(&stranger);
}

static inline void door_keys_remove(struct door_keys *k)
{
	char *const files[] = { k->ca, k->certificate, k->key, k->client, k->client_key, k->stranger, k->stranger_key };

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		unlink(files[i]);
	rmdir(k->folder);
}
