/* The door: HTTPS for callers, and a plain listener on loopback for operators. The only folder that includes
 * <microhttpd.h>. Others open it, reload it and drain it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/flow.h"

/* A rule of the forward-auth route table: method and path pattern → action and resource. */
struct http_route {
	const char *method;        /* "GET"; "*" for any */
	const char *path;          /* "/enrollments/{record}"; one of {record}, {provider}, {submission} */
	enum action action;
};

/* What GET /v1/help tells; texts may be NULL. */
struct http_help {
	const char *topics;              /* a file of questions and answers (http/help.h) */
	const char *eus_phone, *eus_tty, *eus_mail, *eus_hours;
	const char *nppes_link;
};

struct http_settings {
	const char *listen;              /* address to listen on: "127.0.0.1", "::1" */
	int port;                        /* 0: any free one, told by http_port */
	const char *operations_listen;
	int operations_port;
	const char *certificate, *key;   /* PEM files; the certificate's chain included */
	const char *client_ca;           /* PEM; NULL: client certificates are not asked for */
	const char *const *peers; /* CIDRs that may call /auth/nginx without a client certificate; NULL-terminated */
	const struct http_route *routes; /* ends with method NULL */
	int threads, workers;            /* HTTP threads; threads for calls that wait */
	int connections, connections_per_address;
	int idle_s;                      /* an idle or slow connection is closed after this */
	int header_bytes, body_bytes;    /* 431, 413 */
	const char *documents_folder;    /* where documents are kept while they come; NULL: none can */
	int document_bytes, uploads;     /* of one document; documents that come at the same time */
	int requests_per_second;         /* per address, burst twice that; 0: off; 429 */
	int drain_s;
	struct http_help help;
	int fresh_ms;                    /* Scfgate-At-Least: wait at most this long; 0: 1000 */
};

/* Certificates, keys, CIDRs and routes can be used? For scfgated -n; opens nothing. what names the setting. */
struct err http_check(struct arena *, const struct http_settings *);

struct http;
struct err http_open(const struct http_settings *, struct flow *, struct replica *, struct dir *, struct audit *,
    struct http **out);
/* What can change without a restart: certificates, client CA, peers, routes, limits. All or nothing. */
struct err http_reload(struct http *, const struct http_settings *);
int http_port(const struct http *);
int http_operations_port(const struct http *);
/* No new connections, ready says 503; returns when the requests under way are answered, or after drain_s. */
void http_drain(struct http *);
void http_close(struct http *);
