/* Reads, swaps and checks certificates, and spares GnuTLS half of its reads. */
#include "http/tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "http/round.h"

#include "base/banned.h"

#define CHAIN_MOST 8

struct keys {
	atomic_uint holders;
	gnutls_pcert_st chain[CHAIN_MOST];
	unsigned chain_size;
	gnutls_privkey_t key;
	gnutls_x509_trust_list_t clients; /* NULL: clients are not asked for certificates */
	int64_t expires;
};

struct tickets {
	gnutls_datum_t key;
};

/* ---- reading ---- */

#define wrong(a, file, what, rc)                                                     \
	FAIL(ERR_INVALID, arena_printf((a), "%s: %s: %s", (file), (what),            \
	    (rc) == GNUTLS_E_FILE_ERROR ? strerror(errno) : gnutls_strerror(rc)))

static int64_t first_end(const gnutls_datum_t *pem)
{
	gnutls_x509_crt_t *list = NULL;
	unsigned count = 0;
	int64_t end = 0;

	if (gnutls_x509_crt_list_import2(&list, &count, pem, GNUTLS_X509_FMT_PEM, 0) < 0)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		int64_t this = gnutls_x509_crt_get_expiration_time(list[i]);

		end = end == 0 || this < end ? this : end;
		gnutls_x509_crt_deinit(list[i]);
	}
	gnutls_free(list);
	return end;
}

static struct err read_chain(struct arena *a, const char *file, struct keys *k)
{
	gnutls_datum_t pem = { 0 };
	int rc = gnutls_load_file(file, &pem);

	if (rc < 0)
		return wrong(a, file, "the certificate cannot be read", rc);
	k->expires = first_end(&pem);
	k->chain_size = CHAIN_MOST;
	rc = gnutls_pcert_list_import_x509_raw(k->chain, &k->chain_size, &pem, GNUTLS_X509_FMT_PEM,
	    GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
	gnutls_free(pem.data);
	if (rc < 0) {
		k->chain_size = 0;
		return wrong(a, file, "not a certificate, or its chain is not in order", rc);
	}
	return SUCCESS;
}

static struct err read_key(struct arena *a, const char *file, struct keys *k)
{
	gnutls_datum_t pem = { 0 };
	int rc = gnutls_load_file(file, &pem);

	if (rc < 0)
		return wrong(a, file, "the key cannot be read", rc);
	rc = gnutls_privkey_init(&k->key);
	if (rc >= 0)
		rc = gnutls_privkey_import_x509_raw(k->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	secret_wipe(pem.data, pem.size);
	gnutls_free(pem.data);
	if (rc < 0)
		return wrong(a, file, "not a private key", rc);
	return SUCCESS;
}

static bool key_fits(const struct keys *k)
{
	unsigned char of_certificate[32], of_key[32];
	size_t certificate_size = sizeof of_certificate, key_size = sizeof of_key;
	gnutls_pubkey_t public = NULL;

	bool fits = gnutls_pubkey_init(&public) >= 0 && gnutls_pubkey_import_privkey(public, k->key, 0, 0) >= 0 &&
		    gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, of_key, &key_size) >= 0 &&
		    gnutls_pubkey_get_key_id(
			k->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, of_certificate, &certificate_size) >= 0 &&
		    key_size == certificate_size && memcmp(of_key, of_certificate, key_size) == 0;
	gnutls_pubkey_deinit(public);
	return fits;
}

static struct err read_clients(struct arena *a, const char *file, struct keys *k)
{
	int rc = gnutls_x509_trust_list_init(&k->clients, 0);

	if (rc >= 0)
		rc = gnutls_x509_trust_list_add_trust_file(k->clients, file, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
	if (rc < 0)
		return wrong(a, file, "the client CA cannot be read", rc);
	if (rc == 0)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: there is no client CA in it", file));
	return SUCCESS;
}

static struct err fill(struct arena *a, const char *certificate, const char *key, const char *client_ca, struct keys *k)
{
	if (certificate == NULL || key == NULL)
		return FAIL(ERR_INVALID, "http.certificate and http.key are required");
	TRY(read_chain(a, certificate, k));
	TRY(read_key(a, key, k));
	if (!key_fits(k))
		return FAIL(ERR_INVALID, arena_printf(a, "%s: not the key of the certificate in %s", key, certificate));
	if (client_ca != NULL)
		TRY(read_clients(a, client_ca, k));
	return SUCCESS;
}

struct err keys_read(
    struct arena *a, const char *certificate, const char *key, const char *client_ca, struct keys **out)
{
	struct keys *k = must_alloc(sizeof *k);
	struct err e = fill(a, certificate, key, client_ca, k);

	k->holders = 1;
	if (e.code != OK)
		keys_drop(k);
	else
		*out = k;
	return e;
}

static struct keys *keys_hold(struct keys *k)
{
	k->holders++;
	return k;
}

void keys_drop(struct keys *k)
{
	if (k == NULL || --k->holders > 0)
		return;
	for (unsigned i = 0; i < k->chain_size; i++)
		gnutls_pcert_deinit(&k->chain[i]);
	if (k->key != NULL)
		gnutls_privkey_deinit(k->key);
	if (k->clients != NULL)
		gnutls_x509_trust_list_deinit(k->clients, 1);
	free(k);
}

int64_t keys_expire(const struct keys *k)
{
	return k->expires;
}

/* ---- tickets ---- */

struct err tickets_open(struct tickets **out)
{
	struct tickets *t = must_alloc(sizeof *t);

	if (gnutls_session_ticket_key_generate(&t->key) < 0) {
		free(t);
		return FAIL(ERR_UNAVAILABLE, "no key for TLS session tickets can be made");
	}
	*out = t;
	return SUCCESS;
}

void tickets_close(struct tickets *t)
{
	if (t == NULL)
		return;
	secret_wipe(t->key.data, t->key.size);
	gnutls_free(t->key.data);
	free(t);
}

/* ---- connections ---- */

static void moves(const struct tls *t)
{
	if (t->round != NULL)
		round_moves(t->round);
}

static ssize_t from_pulled(struct tls *t, void *into, size_t size)
{
	size_t n = t->to - t->from < size ? t->to - t->from : size;

	moves(t); /* there may be many records in it, and the library takes one in each turn */
	memcpy(into, t->pulled + t->from, n);
	t->from += (unsigned)n;
	return (ssize_t)n;
}

/* Whatever came but "not now" is to be dealt with. */
static ssize_t received(struct tls *t, void *into, size_t size)
{
	ssize_t n = recv(t->leave.fd, into, size, 0);

	if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		moves(t);
	return n;
}

/* GnuTLS reads the five bytes of a record's header, and then the record: two system calls where one gets both. A
 * third tells that there is no more; it is needed, for libmicrohttpd polls edges. */
static ssize_t pull(gnutls_transport_ptr_t self, void *into, size_t size)
{
	struct tls *t = self;

	if (t->deaf) {
		errno = EINTR; /* and not EAGAIN: the library goes on calling the connection readable */
		return -1;
	}
	if (t->from < t->to)
		return from_pulled(t, into, size);
	if (size >= sizeof t->pulled)
		return received(t, into, size);
	ssize_t n = received(t, t->pulled, sizeof t->pulled);
	if (n <= 0)
		return n;
	t->from = 0;
	t->to = (unsigned)n;
	return from_pulled(t, into, size);
}

static int pull_timeout(gnutls_transport_ptr_t self, unsigned ms)
{
	struct tls *t = self;
	struct pollfd p = { .fd = t->leave.fd, .events = POLLIN };

	return t->from < t->to ? 1 : poll(&p, 1, ms == GNUTLS_INDEFINITE_TIMEOUT ? -1 : (int)ms);
}

static ssize_t push(gnutls_transport_ptr_t self, const void *bytes, size_t size)
{
	struct tls *t = self;

	return round_send(t->round, &t->leave, bytes, size);
}

void tls_begin(struct tls *t, gnutls_session_t session, int fd, struct keys *keys, struct tickets *tickets,
    struct round *round)
{
	static const int on = 1;

	/* A flight of the handshake is several writes, which must not wait for each other's acknowledgement. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	t->session = session;
	t->leave.fd = fd;
	t->keys = keys_hold(keys);
	t->round = round;
	if (round != NULL) {
		gnutls_transport_set_ptr2(session, t, t);
		gnutls_transport_set_push_function(session, push);
	} else {
		gnutls_transport_set_ptr2(session, t, (gnutls_transport_ptr_t)(intptr_t)fd);
	}
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_pull_timeout_function(session, pull_timeout);
	gnutls_session_ticket_enable_server(session, &tickets->key);
	if (keys->clients != NULL)
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
}

void tls_end(struct tls *t)
{
	keys_drop(t->keys);
	t->keys = NULL;
}

int tls_choose(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **chain,
    unsigned *size, gnutls_ocsp_data_st **ocsp, unsigned *ocsp_size, gnutls_privkey_t *key, unsigned *flags)
{
	struct tls *t = gnutls_transport_get_ptr(session);

	(void)info;
	*chain = t->keys->chain;
	*size = t->keys->chain_size;
	*key = t->keys->key;
	*ocsp = NULL;
	*ocsp_size = 0;
	*flags = 0; /* they stay ours */
	return 0;
}

static bool is_trusted(gnutls_x509_trust_list_t clients, const gnutls_datum_t *sent, unsigned count)
{
	static const char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
	gnutls_typed_vdata_st data = { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)purpose };
	gnutls_x509_crt_t chain[CHAIN_MOST];
	unsigned read = 0, status = ~0u;
	bool fine = count <= CHAIN_MOST;

	while (fine && read < count) {
		if (gnutls_x509_crt_init(&chain[read]) < 0)
			break;
		fine = gnutls_x509_crt_import(chain[read], &sent[read], GNUTLS_X509_FMT_DER) >= 0;
		read++;
	}
	fine = fine && read == count &&
	    gnutls_x509_trust_list_verify_crt2(clients, chain, count, &data, 1, 0, &status, NULL) >= 0 && status == 0;
	for (unsigned i = 0; i < read; i++)
		gnutls_x509_crt_deinit(chain[i]);
	return fine;
}

enum tls_peer tls_peer(const struct tls *t, const struct keys *now, unsigned char digest[32])
{
	unsigned count = 0;
	const gnutls_datum_t *sent = gnutls_certificate_get_peers(t->session, &count);

	if (sent == NULL || count == 0)
		return TLS_PEER_NONE;
	if (now->clients == NULL || !is_trusted(now->clients, sent, count))
		return TLS_PEER_REFUSED;
	secret_digest_bytes(sent[0].data, sent[0].size, digest);
	return TLS_PEER_VERIFIED;
}
