/* What the directory is made of: the tree, the names, and the one table that says which attribute is which field of
 * which kind of entry. Everything that reads or writes an entry is driven by it. For dir/ only.
 *
 * A schema never changes once it is open; it may be used by many threads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ldap.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/model.h"

#define KIND_BIT(kind) (1u << (kind))

enum value_type {
	VALUE_TEXT, VALUE_TEXTS,
	VALUE_STATE,
	VALUE_TIME,
	VALUE_PERSON, VALUE_PEOPLE,              /* DNs of people, told as their ids */
	VALUE_ORGANIZATION, VALUE_ORGANIZATIONS, /* DNs of organizations, told as their ids */
	VALUE_DIGESTS,                           /* SHA-256, hex */
	VALUE_REALM, VALUE_PROVIDER_KIND, VALUE_CASE_KIND, /* words */
	VALUE_FLAG,                              /* TRUE or FALSE */
	VALUE_DOCUMENT,                          /* bytes; the field behind the pointer is their size */
	VALUE_CLASSES, VALUE_UUID, VALUE_REVISION,
	VALUE_PRESENT,                           /* a bool: is there a value, whatever it is? */
};

/* One row: an attribute, and the field of struct entry that it is for the kinds named. */
struct schema_field {
	const char *attribute;
	enum value_type type;
	size_t at;         /* offset within struct entry */
	unsigned kinds;    /* KIND_BITs: that have it */
	unsigned required; /* that make no sense without it */
	unsigned streamed; /* whose replica wants it */
	unsigned bit;      /* enum field that names it in a change; 0: it is never changed */
	bool only_written; /* demanded by a class of others, of no interest here */
};
#define SCHEMA_FIELDS_MOST 64
extern const struct schema_field schema_fields[];
extern const size_t schema_field_count;

#define SCHEMA_SLOTS 256
struct schema {
	char *base, *people, *organizations; /* DNs as libldap writes them */
	size_t base_size, people_size, organizations_size;
	uint64_t required[KINDS];            /* bits of rows */
	uint8_t slots[SCHEMA_SLOTS];         /* hash of attribute names: row + 1, 0 is empty */
};

/* people: NULL means below base. */
struct err schema_open(struct schema *, const char *base, const char *people);
void schema_close(struct schema *);

/* The row of an attribute name, whatever its case; -1: none that is read. */
int schema_row(const struct schema *, const char *name, size_t size);
/* Attributes to ask for: all of a kind for a reader, or all that the replica wants. NULL-terminated. */
char **schema_attributes_of(struct arena *, enum kind);
char **schema_attributes_of_head(struct arena *, enum kind); /* without its document */
char **schema_attributes_streamed(struct arena *);
/* Selects what the stream is about. */
const char *schema_stream_filter(void);
/* NULL-terminated names that the server must know; required lists end with NULL. */
const char *const *schema_classes(enum kind);

/* Is it in the form of ids of that kind? What is not cannot be in the directory. */
bool schema_is_id(enum kind, const char *id);
/* The DN of an entry, escaped; whatever the ids are (RFC 4514). provider: the organization that it lies in, or NULL. */
const char *schema_dn(struct arena *, const struct schema *, enum kind, const char *provider, const char *id);
/* Of kinds that lie in an organization: the folder that holds them there. */
bool schema_lies_in_organization(enum kind);
const char *schema_folder(struct arena *, const struct schema *, enum kind, const char *provider);
/* "ou=sessions", "cn=decoy,ou=services": below base. */
const char *schema_dn_below(struct arena *, const struct schema *, const char *relative);
const char *const *schema_containers(void); /* relative names, NULL-terminated */

/* One change of an attribute to that value; replaced by NULL it is removed. */
LDAPMod *schema_mod(struct arena *, int operation, const char *attribute, const void *bytes, size_t size);
LDAPMod *schema_mod_text(struct arena *, int operation, const char *attribute, const char *text); /* or NULL */
LDAPMod *schema_mod_texts(struct arena *, int operation, const char *attribute, const char *const *texts);

/* A filter (attribute=value), escaped (RFC 4515 3). The only place where filters are made of values. */
const char *schema_filter_equal(struct arena *, const char *attribute, const char *value);
/* The filter of a guard on state and revision; NULL if it asks for nothing. */
const char *schema_filter_guard(struct arena *, enum state, const struct revision *);

/* The changes that add the entry, or that set the fields named: NULL-terminated, in the arena, values not copied.
 * ERR_INVALID: something that its kind needs is missing, or a field that its kind does not have is named. */
struct err schema_additions(struct arena *, const struct schema *, const struct entry *, LDAPMod ***out);
struct err schema_changes(struct arena *, const struct schema *, const struct entry *, unsigned fields, LDAPMod ***out);

/* ---- DNs that come back (place.c) ---- */

struct place {
	enum kind kind;
	char id[ID_MOST + 1];
	char provider[ID_MOST + 1]; /* "" for kinds that do not lie in an organization */
};
enum where {
	PLACE_OURS,     /* out is filled */
	PLACE_WRONG,    /* in a container of ours, but by a name that no entry of that kind can have: out->kind only */
	PLACE_LOST,     /* by a name of ours, but not in our containers: out->kind only */
	PLACE_ELSEWHERE
};
/* The kinds' places in the tree, strictly. dn must be followed by a NUL. Ids are folded to the case we use. */
enum where place_of(const struct schema *, const char *dn, size_t size, struct place *out);
/* The id in the DN of a person or an organization; NULL: it is not one. Writes into dn. */
const char *place_reference(struct arena *, const struct schema *, enum kind, char *dn, size_t size);
/* The same in all but case and how they are written? Both must be DNs. */
bool place_same_dn(const char *, const char *);
/* The attribute that names entries of that kind. */
const char *place_naming(enum kind);
