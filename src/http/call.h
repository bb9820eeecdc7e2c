/* What the handlers of calls share: reading parameters, bodies and entity tags, and telling results as JSON. Each reader
 * says false and fills the refusal, which names the field and the rule. For http/ only. */
#pragma once

#include <jansson.h>

#include "base/json.h"
#include "http/server.h"

/* A query parameter. Lists of them end with name NULL. */
struct parameter {
	const char *name;
	const char **out; /* NULL if it is absent; else in the request's arena */
	bool required;
};
bool call_query(struct request *, const struct parameter *list, struct reply *refused);
bool call_no_query(struct request *, struct reply *refused);
/* Of a list, which also takes `limit` (1 to 200) and `cursor`. */
bool call_list(struct request *, const struct parameter *list, struct page *out, struct reply *refused);

/* The body: a JSON object. */
struct err call_json(struct request *, json_t **body);

/* A member of the JSON body. Lists of them end with name NULL. */
enum member_kind {
	MEMBER_TEXT,   /* const char *, not empty, without NUL */
	MEMBER_TEXTS,  /* const char *const *, NULL-terminated */
	MEMBER_FLAG,   /* bool */
	MEMBER_TIME,   /* int64_t, from RFC 3339 */
	MEMBER_OBJECT, /* const json_t * */
	MEMBER_SECRET, /* struct member_secret: any bytes but NUL; absent is empty */
};
struct member_secret { const char *bytes; size_t size; };
struct member {
	const char *name;
	enum member_kind kind;
	bool required;
	void *out;     /* absent: NULL, 0 or false */
};
/* *body lives on until the caller puts it away (json_auto), and what was read with it. */
bool call_body(struct request *, const struct member *list, json_t **body, struct reply *refused);

/* What an act of the help desk or of a processor rests on: `reason` or `ticket`, and if identified also `identified_by`, how
 * the caller was identified. The texts live as long as *body. */
bool call_grounds(struct request *, bool identified, struct grounds *out, json_t **body, struct reply *refused);
/* The same of whoever needs none, but may give some. */
bool call_any_grounds(struct request *, struct grounds *out, json_t **body, struct reply *refused);
bool call_fits(struct request *, const struct grounds *, struct reply *refused); /* each as call_fits_text */
/* A text that somebody reads, or NULL: not of blanks alone, and of most bytes at most. */
bool call_fits_text(struct request *, const char *name, const char *value, size_t most, struct reply *refused);

/* Of the parameter `state`, which may be NULL: a state of that kind. */
bool call_state(struct request *, enum kind, const char *word, enum state *out, struct reply *refused);

/* The revision that If-Match names; without the header micros is 0, or it is refused if required. */
bool call_if_match(struct request *, bool required, struct revision *out, struct reply *refused);
/* Idempotency-Key, which a POST that creates may carry: 1 to 128 visible characters. Absent: NULL. */
bool call_key(struct request *, const char **out, struct reply *refused);
/* A document that somebody handed in, to be saved as what-id.its type. read: writes it into the file, on a permit. */
struct reply call_attachment(struct request *, const char *what, struct err (*read)(struct arena *, struct flow *,
    const struct caller *, const char *id, int file, struct answer *, struct attachment *));
/* ETag: the entry's revision. */
void call_tag(struct request *, struct reply *, const struct revision *entry);
/* What has been written. decided: what it was decided at, or has reached; entry: the ETag of one thing. Either may be NULL. */
struct reply call_told(struct request *, unsigned status, struct text *, const struct revision *decided,
    const struct revision *entry);

/* Counts the decision. True: there is an error or a refusal to be told, and it is in *out. */
bool call_failed(struct request *, enum action, struct err, const struct answer *, struct reply *out);

/* Members of an object that is being written: "name":…, with a comma before it where one belongs. Absent ones (NULL, time
 * 0, an empty revision) are left out. */
void tell_text(struct text *, const char *name, const char *value);
void tell_texts(struct text *, const char *name, const char *const *values); /* NULL: [] */
void tell_time(struct text *, const char *name, int64_t seconds);
void tell_flag(struct text *, const char *name, bool);
void tell_number(struct text *, const char *name, int64_t);
void tell_revision(struct text *, const char *name, const struct revision *);
/* Who decided on it, when and why, and its revision. for_desk: how the caller was identified, too. */
void tell_decision(struct text *, const struct entry *, bool for_desk);
void tell_problems(struct text *, const struct form_problems *);
void tell_next(struct text *, const char *next); /* the end of a list, and of the object around it */
void tell_begin(struct text *, const char *name, const char *bracket); /* name NULL: an element of a list */
