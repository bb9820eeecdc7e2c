/* Mail: what was accepted here is on disk before the caller goes on, and leaves by SMTP as soon as that can be. One
 * deep module: templates, spool and sending are nobody else's business.
 *
 * A message survives kill -9 and a server that does not answer. It is sent once where the server says so in time; a
 * second copy, after a crash between its delivery and its removal, has the same Message-ID. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct mail_settings {
	const char *url;            /* smtp://host[:port] (STARTTLS) or smtps://…; NULL: there is no mail */
	const char *user;           /* of the server, or NULL */
	const char *password_file;  /* its password: first line of this file */
	const char *ca_file;        /* trusted certificates; NULL: the system's */
	bool plain;                 /* without TLS: to a server on this host only */
	const char *from;           /* our own address */
	const char *help_desk;      /* who is told of what the help desk is to do, or NULL */
	const char *spool;          /* folder of messages that wait; of one gateway only */
	const char *templates;      /* folder */
	int timeout_ms;             /* of one delivery */
	int retry_s, retry_most_s;  /* the pause after a failure, and what it grows to */
	int keep_hours;             /* then a message is given up */
	int most;                   /* messages that may wait */
};

struct mail; /* safe for many threads. NULL is one too: there is no mail */

/* For -n: what would keep these settings and templates from working? */
struct err mail_check(struct arena *, const struct mail_settings *);
/* Takes up what an earlier process left in the spool. *out is NULL without a url. ERR_CONFLICT: another process works
 * on this spool. The arena, and the texts of the settings, live as long as the
 * mail. */
struct err mail_open(struct arena *, const struct mail_settings *, struct mail **out);
void mail_close(struct mail *);

/* A placeholder of the template and its value; lists of them end with name NULL. Control characters in a value become
 * spaces. A line of the template whose placeholders are all empty or NULL is left out. */
struct mail_field { const char *name, *value; };
/* Returns once the message is on disk. template: the name of a file in the folder, without .txt. ERR_INVALID: not an
 * address (text_is_mail_address). ERR_UNAVAILABLE: there is no mail, or no room for it. */
struct err mail_send(struct mail *, const char *template, const char *to, const struct mail_field *);
/* The help desk's address, or NULL. */
const char *mail_help_desk(const struct mail *);

struct mail_status {
	bool on;
	uint64_t waiting;       /* in the spool */
	uint64_t sent;          /* since the start */
	uint64_t put_off;       /* deliveries that are to be tried again */
	uint64_t failed;        /* given up: the server refused for good, or it took too long */
	int64_t silent_since;   /* seconds since the epoch: the server has not been reached since; 0: it was */
};
void mail_status(struct mail *, struct mail_status *out);
