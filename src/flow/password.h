/* What a password may be: one form of it (NFC), long enough, and not what is guessed first (docs/rules.md, 6). For flow/
 * only. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "flow/form.h"

struct blocklist; /* passwords that nobody may have; safe for many threads */
/* Files of one password a line; lines that begin with "#!" are comments. files ends with NULL, or is NULL. One that
 * cannot be read is ERR_INVALID, and named in the log. */
struct err blocklist_open(const char *const *files, struct blocklist **out);
void blocklist_close(struct blocklist *);

#define PASSWORD_BYTES 1024     /* that are sent on; more cost only */
#define PASSWORD_CHARACTERS 128 /* that a new one may have */

/* The one form that a password is hashed and compared in: Unicode normal form C, so that the same keys on another
 * keyboard are the same password. Its owner wipes it (password_wipe). size 0: it cannot be one: it is empty, too long,
 * holds a NUL, is not UTF-8, or is made of blanks alone. */
struct password {
	char bytes[PASSWORD_BYTES + 1];
	size_t size;
};
void password_read(const char *bytes, size_t size, struct password *out);
void password_wipe(struct password *);
size_t password_characters(const struct password *);

/* Whose it is to be. words: his name, user name, mail address, the names of his organizations; ends with NULL. */
struct password_rules {
	const struct blocklist *blocklist; /* or NULL */
	int least;                         /* characters */
	const char *const *words;
};
/* Every rule that it breaks, each in its own words; pointer is the member that they are told of. */
void password_judge(struct arena *, const struct password_rules *, const struct password *, const char *pointer,
    struct form_problems *out);
