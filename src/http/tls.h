/* Certificates: ours, which can be swapped while connections are open, and those of clients. The only file beside
 * server.c that knows GnuTLS, which libmicrohttpd speaks. */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "http/round.h"

/* Forward secrecy and authenticated encryption only: nothing of TLS 1.2 that is not in TLS 1.3 as well. X25519 first: what
 * OpenSSL offers a key for, others cost it one more round trip. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-AES-128-CBC:-AES-256-CBC:" \
	"-AES-128-CCM:-AES-256-CCM:-SHA1:-GROUP-ALL:+GROUP-X25519:+GROUP-ALL:%SERVER_PRECEDENCE"

/* One generation of certificate, key and client CA; shared by the connections that began with it. */
struct keys;
/* client_ca may be NULL. The error names the file. */
struct err keys_read(
    struct arena *, const char *certificate, const char *key, const char *client_ca, struct keys **out);
void keys_drop(struct keys *);
int64_t keys_expire(const struct keys *); /* seconds since the epoch: the first certificate's end */

/* The tickets by which clients resume sessions; one key for all connections, rotated by GnuTLS. */
struct tickets;
struct err tickets_open(struct tickets **out);
void tickets_close(struct tickets *);

/* What TLS keeps for one connection. */
struct tls {
	gnutls_session_t session;
	struct keys *keys;          /* of the handshake; held as long as the connection lives */
	struct round *round;        /* of the thread that runs the connection; NULL: what is written is sent at once */
	struct leave leave;         /* how what is written goes out */
	bool deaf;                  /* nothing is read */
	unsigned from, to;          /* of pulled: read from the socket, not yet asked for */
	unsigned char pulled[2048];
};
/* Before the handshake. round: see round.h, or NULL. */
void tls_begin(struct tls *, gnutls_session_t, int fd, struct keys *, struct tickets *, struct round *);
void tls_end(struct tls *);

/* GnuTLS asks for the certificate (gnutls_certificate_retrieve_function3). */
int tls_choose(gnutls_session_t, const struct gnutls_cert_retr_st *, gnutls_pcert_st **, unsigned *,
    gnutls_ocsp_data_st **, unsigned *, gnutls_privkey_t *, unsigned *flags);

enum tls_peer { TLS_PEER_NONE, TLS_PEER_REFUSED, TLS_PEER_VERIFIED };
/* The client's certificate, verified against the client CA in keys (which may be newer than the connection), and its
 * SHA-256. */
enum tls_peer tls_peer(const struct tls *, const struct keys *, unsigned char digest[32]);
