/* What a token that was mailed allows, once: an entry named by the token's digest, so that the directory never holds the
 * token itself. For flow/ only. */
#pragma once

#include "base/json.h"
#include "flow/flow.h"

/* Why there is one: "registration", "mail", "reset". */
struct grant {
	struct entry entry;
	json_t *asked; /* what it was made for; grant_close */
};

/* [waits] user: whose, or NULL. document: JSON. The token is shown nowhere but in the mail. */
struct err grant_make(struct arena *, struct flow *, const char *purpose, const char *user, const char *document,
    int seconds, char token[TOKEN_TEXT]);
/* [waits] ERR_NOT_FOUND: such a token was never made, or for something else, or it was used, or its time is over. */
struct err grant_find(struct arena *, struct flow *, const char *purpose, const char *token, struct grant *out);
void grant_close(struct grant *);
#define grant_auto [[gnu::cleanup(grant_close)]] struct grant
const char *grant_text(const struct grant *, const char *member); /* "" if there is none */
/* [waits] Uses it up. ERR_NOT_FOUND: somebody was first. */
struct err grant_use(struct arena *, struct flow *, struct grant *);
/* [waits] What it was used for has not happened: it may be used again. */
struct err grant_give_back(struct arena *, struct flow *, struct grant *);

/* The link that goes into the mail; wiped by whoever asked for it. Its beginning is a setting, never what a request says of
 * its host. */
char *grant_link(struct arena *, const struct flow *, const char *page, const char *token);
/* Too many mails were asked for: by this address (NULL: it does not matter), to this address or account. */
bool grant_too_many(struct flow *, const char *address, const char *whom);
