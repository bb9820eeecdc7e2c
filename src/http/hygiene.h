/* The head of a request, gathered in one pass and judged: what two HTTP parsers could read in two ways is refused.
 * libmicrohttpd lets most of it through: doubled Content-Length and Host, Content-Length beside chunks, folded lines,
 * bare line feeds, NUL in values. Pure: knows no library, allocates nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum header_name {
	HEADER_HOST,
	HEADER_CONTENT_LENGTH,
	HEADER_TRANSFER_ENCODING,
	HEADER_EXPECT,
	HEADER_ACCEPT,
	HEADER_CONTENT_TYPE,
	HEADER_AUTHORIZATION,
	HEADER_COOKIE,
	HEADER_CSRF_TOKEN,
	HEADER_REQUEST_ID,
	HEADER_ORIGINAL_METHOD,
	HEADER_ORIGINAL_URI,
	HEADER_AT_LEAST,
	HEADER_IF_MATCH,
	HEADER_IDEMPOTENCY_KEY,
	HEADER_USER_AGENT,
	HEADERS,
};

struct header {
	const char *text; /* NULL: absent; else NUL-terminated, borrowed from the connection's buffer */
	size_t size;
};

struct head {
	struct header headers[HEADERS];
	unsigned doubled;     /* bits (1 << enum header_name) of fields that came twice */
	bool variant;         /* a field named like one of ours, but for an underscore */
	const char *fault;    /* what is wrong with the framing: the connection is not to be trusted; NULL: nothing */
	const char *expected; /* where the next field line begins, if every byte is accounted for; NULL: not known */
	size_t body;          /* Content-Length; 0 if absent */
	bool chunked;
};

/* first: where the first field line must begin, or NULL if that is not known (another library version). */
void hygiene_open(struct head *, const char *first);
/* Takes one field; both texts are NUL-terminated behind their size. False: there is no use in going on. */
bool hygiene_take(struct head *, const char *name, size_t name_size, const char *value, size_t value_size);
/* end: behind the empty line, or NULL. version: "HTTP/1.1". */
void hygiene_close(struct head *, const char *end, const char *version);

static inline bool head_doubled(const struct head *h, enum header_name f)
{
	return h->doubled & 1u << f;
}

/* ---- values ---- */

/* The credentials in Authorization: Bearer; false if it is absent or of another scheme. The size may be 0. */
bool hygiene_bearer(const struct head *, struct header *out);
/* The value of a cookie. Says -1 if two have that name, 0 if there is none, 1. */
int hygiene_cookie(const struct head *, const char *name, struct header *out);
/* application/json, perhaps with charset=utf-8. */
bool hygiene_is_json(const struct header *content_type);
/* application/pdf, image/png, image/jpeg, image/gif or application/octet-stream: what it says is not believed. */
bool hygiene_is_document(const struct header *content_type);
/* Which of these media types, the best for us first, Accept prefers (RFC 9110 12.5.1); -1: none. Absent: the first. */
int hygiene_prefers(const struct header *accept, const char *const *types, int count);
/* 1–64 of [A-Za-z0-9._-]. */
bool hygiene_is_request_id(const struct header *);
/* The one strong entity tag of If-Match, without its quotes; false for lists, weak tags, and "*". */
bool hygiene_entity_tag(const struct header *, struct header *out);
