/* One connection to the mail server, for as many messages as are due. For mail/ only; the only one with libcurl. */
#pragma once

#include <stdatomic.h>

#include "mail/mail.h"

enum delivery {
	DELIVERY_DONE,      /* the server has taken it */
	DELIVERY_LATER,     /* not this one now */
	DELIVERY_NEVER,     /* the server refuses it for good */
	DELIVERY_NO_SERVER, /* none now: it is not there, or not to be trusted */
	DELIVERY_BROKEN_OFF, /* it spoke, and then did not let us in, fell silent or went away; this one may be why */
};
struct smtp;
struct err smtp_check(struct arena *, const struct mail_settings *);
/* password may be NULL. While *stopping is set, a delivery gives up within a second. */
struct smtp *smtp_open(const struct mail_settings *, const char *password, const atomic_bool *stopping);
void smtp_close(struct smtp *);
/* says: what the server answered last, or why it could not be asked; valid until the next call. */
enum delivery smtp_deliver(struct smtp *, const char *to, const char *message, size_t size, const char **says);
