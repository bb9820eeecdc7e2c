/* DNs that come back from the server: where in the tree an entry lies, and whom a reference means. */
#include "dir/schema.h"

#include <string.h>

#include "base/text.h"

#include "base/banned.h"

/* Attribute names and the values that we look for are ASCII, and differ in case only. */
static bool same(const char *a, size_t size, const char *word)
{
	return strncasecmp(a, word, size) == 0 && word[size] == '\0';
}

/* Is dn something, then a comma, then base? *head: the size of the something. */
static bool lies_below(const char *dn, size_t size, const char *base, size_t base_size, size_t *head)
{
	if (size < base_size + 2 || dn[size - base_size - 1] != ',')
		return false;
	*head = size - base_size - 1;
	return memcmp(dn + *head + 1, base, base_size) == 0 || strncasecmp(dn + *head + 1, base, base_size) == 0;
}

/* The DN as libldap writes it: for what a server sends with blanks, other escapes or quotes. NULL: not a DN. Free it
 * with ldap_memfree. */
static char *rewritten(const char *dn, size_t size)
{
	struct berval in = { size, (char *)(uintptr_t)dn };
	LDAPDN parsed = NULL;
	char *text = NULL;

	if (ldap_bv2dn(&in, &parsed, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
		return NULL;
	if (parsed != NULL && ldap_dn2str(parsed, &text, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
		text = NULL;
	ldap_dnfree(parsed);
	return text;
}

/* ---- ids ---- */

/* Copies, folds to the case that we use, and judges. Ids hold nothing that is ever escaped, so what was escaped, or
 * is an RDN of several values, is none. */
static bool read_id(enum kind kind, const char *value, size_t size, char out[ID_MOST + 1])
{
	if (size == 0 || size > ID_MOST)
		return false;
	memcpy(out, value, size);
	out[size] = '\0';
	if (kind == KIND_RECORD) {
		if (out[0] == 'i' || out[0] == 'o')
			out[0] = (char)(out[0] - 'a' + 'A');
	} else {
		text_fold(out);
	}
	return strlen(out) == size && schema_is_id(kind, out);
}

/* ---- places ---- */

struct rdn {
	const char *attribute, *value;
	size_t attribute_size, value_size;
};

#define DEEPEST 4 /* scfAssociationId=…,ou=associations,scfOrgId=…,ou=organizations */

/* Splits what lies above base. A comma within a value is always escaped as \2C in the form that we compare. */
static int split(const char *head, size_t size, struct rdn out[DEEPEST])
{
	const char *end = head + size;
	int count = 0;

	for (const char *at = head; at <= end; count++) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma != NULL ? comma : end;
		const char *equals = memchr(at, '=', (size_t)(stop - at));

		if (count == DEEPEST || equals == NULL)
			return -1;
		out[count] = (struct rdn){ at, equals + 1, (size_t)(equals - at), (size_t)(stop - equals - 1) };
		at = stop + 1;
	}
	return count;
}

static const struct {
	enum kind kind;
	const char *container; /* the value of ou */
	int depth;
} homes[] = {
	{ KIND_ASSOCIATION, "associations", 4 },
	{ KIND_CONSENT, "consents", 4 },
	{ KIND_RECORD, "records", 4 },
	{ KIND_SUBMISSION, "submissions", 4 },
	{ KIND_CLAIM, "claims", 4 },
	{ KIND_SESSION, "sessions", 2 },
	{ KIND_PERSON, "people", 2 },
	{ KIND_ORGANIZATION, "organizations", 2 },
	{ KIND_APPLICATION, "applications", 2 },
	{ KIND_ROLE, "roles", 2 },
	{ KIND_CASE, "cases", 2 },
};

static bool is_ou(const struct rdn *r)
{
	return same(r->attribute, r->attribute_size, "ou");
}

static enum where judge(const struct rdn *rdns, int depth, struct place *out)
{
	if ((depth != 2 && depth != DEEPEST) || !is_ou(&rdns[1]))
		return PLACE_ELSEWHERE;
	if (depth == DEEPEST) {
		if (!is_ou(&rdns[3]) || !same(rdns[3].value, rdns[3].value_size, "organizations") ||
		    !same(rdns[2].attribute, rdns[2].attribute_size, place_naming(KIND_ORGANIZATION)))
			return PLACE_ELSEWHERE;
	}
	for (size_t i = 0; i < COUNT(homes); i++) {
		if (homes[i].depth != depth || !same(rdns[1].value, rdns[1].value_size, homes[i].container))
			continue;
		out->kind = homes[i].kind;
		out->provider[0] = '\0';
		if (depth == DEEPEST && !read_id(KIND_ORGANIZATION, rdns[2].value, rdns[2].value_size, out->provider))
			return PLACE_WRONG;
		if (!same(rdns[0].attribute, rdns[0].attribute_size, place_naming(out->kind)))
			return is_ou(&rdns[0]) ? PLACE_ELSEWHERE : PLACE_WRONG;
		return read_id(out->kind, rdns[0].value, rdns[0].value_size, out->id) ? PLACE_OURS : PLACE_WRONG;
	}
	return PLACE_ELSEWHERE;
}

/* Only letters, digits, '.', '_' and '-' need no second look: they read the same in every way to write a DN. */
static bool is_plain(const char *head, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char c = head[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '=' ||
			c == ',' || c == '-' || c == '.' || c == '_'))
			return false;
	}
	return true;
}

static enum where place_in(const struct schema *s, const char *dn, size_t size, bool again, struct place *out)
{
	struct rdn rdns[DEEPEST];
	size_t head;

	if (lies_below(dn, size, s->base, s->base_size, &head) && (again || is_plain(dn, head))) {
		int depth = split(dn, head, rdns);
		return depth < 0 ? PLACE_ELSEWHERE : judge(rdns, depth, out);
	}
	if (again)
		return PLACE_ELSEWHERE;
	char *text = rewritten(dn, size);
	enum where where = text == NULL ? PLACE_ELSEWHERE : place_in(s, text, strlen(text), true, out);
	ldap_memfree(text);
	return where;
}

/* uid and cn are everybody's: they make no entry ours. */
static bool is_lost(const char *dn, size_t size, struct place *out)
{
	for (size_t i = 0; i < COUNT(homes); i++) {
		const char *naming = place_naming(homes[i].kind);
		size_t length = strlen(naming);

		if (text_begins(naming, "scf") && size > length && dn[length] == '=' &&
		    strncasecmp(dn, naming, length) == 0) {
			out->kind = homes[i].kind;
			return true;
		}
	}
	return false;
}

enum where place_of(const struct schema *s, const char *dn, size_t size, struct place *out)
{
	enum where where = place_in(s, dn, size, false, out);

	return where == PLACE_ELSEWHERE && is_lost(dn, size, out) ? PLACE_LOST : where;
}

/* ---- references ---- */

static bool reference_in(const struct schema *s, enum kind kind, const char *dn, size_t size, char id[ID_MOST + 1])
{
	const char *home = kind == KIND_PERSON ? s->people : s->organizations;
	size_t home_size = kind == KIND_PERSON ? s->people_size : s->organizations_size;
	size_t head;
	struct rdn one[DEEPEST];

	if (!lies_below(dn, size, home, home_size, &head) || split(dn, head, one) != 1)
		return false;
	return same(one[0].attribute, one[0].attribute_size, place_naming(kind)) &&
	       read_id(kind, one[0].value, one[0].value_size, id);
}

const char *place_reference(struct arena *a, const struct schema *s, enum kind kind, char *dn, size_t size)
{
	char id[ID_MOST + 1];

	if (reference_in(s, kind, dn, size, id)) {
		/* The id is shorter than the DN that it comes from. */
		memcpy(dn, id, strlen(id) + 1);
		return dn;
	}
	char *text = rewritten(dn, size);
	bool found = text != NULL && reference_in(s, kind, text, strlen(text), id);
	ldap_memfree(text);
	return found ? arena_strdup(a, id) : NULL;
}

bool place_same_dn(const char *one, const char *other)
{
	char *a = rewritten(one, strlen(one)), *b = rewritten(other, strlen(other));
	bool are_same = a != NULL && b != NULL && strcasecmp(a, b) == 0;

	ldap_memfree(a);
	ldap_memfree(b);
	return are_same;
}
