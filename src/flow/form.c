/* A subset of JSON Schema, read strictly: what is not understood is an error when the form is read, and every document
 * is held to all of the rest. */
#include "flow/form.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "model/model.h"

#include "base/banned.h"

#define FILE_MOST (1024 * 1024)
#define PROBLEMS_MOST 20

enum type { TYPE_OBJECT = 1, TYPE_ARRAY = 2, TYPE_STRING = 4, TYPE_INTEGER = 8, TYPE_NUMBER = 16, TYPE_BOOLEAN = 32 };
enum format { FORMAT_NONE, FORMAT_NPI, FORMAT_DATE };

struct pattern {
	struct pattern *next; /* of the form: to be freed with it */
	const char *text;
	regex_t compiled;
};

/* One schema; the limits of others are at their extremes. */
struct node {
	enum type type;
	struct member *members; /* object */
	size_t member_count;
	bool closed;            /* no members but these */
	const struct node *items;
	const json_t *choices;  /* array of what it must be one of, or NULL */
	const struct pattern *pattern;
	enum format format;
	size_t size_least, size_most; /* characters of a string, items of an array */
	double least, most;
};
struct member {
	const char *name;
	const struct node *node;
	bool required;
};

struct form {
	struct form *next;
	const char *name;
	json_t *schema, *constants; /* choices point into them */
	struct pattern *patterns;
	const struct node *root;
};

struct forms {
	struct form *first;
};

/* ---- reading a schema ---- */

struct reading {
	struct arena *arena;
	const char *file;
	struct form *form;
};

/* Where we are, as a JSON Pointer (RFC 6901), kept on the stack and only spelled out when needed. */
struct place {
	const struct place *up;
	const char *name; /* NULL: index */
	size_t index;
};

static void spell(struct text *t, const struct place *p)
{
	if (p == NULL)
		return;
	spell(t, p->up);
	text_put(t, "/", 1);
	if (p->name == NULL) {
		text_printf(t, "%zu", p->index);
		return;
	}
	for (const char *c = p->name; *c; c++) {
		if (*c == '~')
			text_puts(t, "~0");
		else if (*c == '/')
			text_puts(t, "~1");
		else
			text_put(t, c, 1);
	}
}

static const char *pointer(struct arena *a, const struct place *p)
{
	char store[256];
	struct text t;

	text_open(&t, store, sizeof store);
	spell(&t, p);
	const char *copy = arena_copy(a, t.bytes, t.size);
	text_close(&t);
	return copy;
}

#define REFUSE(r, at, ...) refuse((r), (at), arena_printf((r)->arena, __VA_ARGS__))
static struct err refuse(const struct reading *r, const struct place *at, const char *why)
{
	return FAIL(ERR_INVALID, arena_printf(r->arena, "%s: at '%s': %s", r->file, pointer(r->arena, at), why));
}

static struct err read_size(struct reading *r, const struct place *at, const json_t *value, size_t *out)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return refuse(r, at, "must be a whole number, 0 or more");
	*out = (size_t)json_integer_value(value);
	return SUCCESS;
}

static struct err read_limit(struct reading *r, const struct place *at, const json_t *value, double *out)
{
	if (!json_is_number(value))
		return refuse(r, at, "must be a number");
	*out = json_number_value(value);
	return SUCCESS;
}

/* What JSON Schema's own dialect means by these is not what an ERE means, and regcomp takes them silently. */
static bool is_foreign(const char *pattern)
{
	for (const char *c = pattern; *c; c++) {
		if (c[0] == '(' && c[1] == '?')
			return true;
		if (c[0] != '\\')
			continue;
		c++;
		if (*c == '\0' || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
		    *c == '<' || *c == '>' || *c == '`' || *c == '\'')
			return true;
	}
	return false;
}

static struct err read_pattern(struct reading *r, const struct place *at, const json_t *value, struct node *out)
{
	const char *text = json_string_value(value);

	if (text == NULL)
		return refuse(r, at, "must be a string");
	if (is_foreign(text))
		return refuse(r, at,
		    "is not an extended regular expression (POSIX): write [0-9] for \\d, and ( ) for (?: )");
	struct pattern *p = arena_alloc(r->arena, sizeof *p);
	int rc = regcomp(&p->compiled, text, REG_EXTENDED | REG_NOSUB);
	if (rc != 0) {
		char why[128];

		regerror(rc, &p->compiled, why, sizeof why);
		return REFUSE(r, at, "is not an extended regular expression: %s", why);
	}
	p->text = text;
	p->next = r->form->patterns;
	r->form->patterns = p;
	out->pattern = p;
	return SUCCESS;
}

static struct err read_format(struct reading *r, const struct place *at, const json_t *value, struct node *out)
{
	const char *word = json_string_value(value);

	if (text_same(word, "npi"))
		out->format = FORMAT_NPI;
	else if (text_same(word, "date"))
		out->format = FORMAT_DATE;
	else
		return refuse(r, at, "must be npi or date");
	return SUCCESS;
}

static struct err read_type(struct reading *r, const struct place *at, const json_t *schema, struct node *out)
{
	static const struct {
		const char *word;
		enum type type;
	} types[] = {
		{ "object", TYPE_OBJECT },
		{ "array", TYPE_ARRAY },
		{ "string", TYPE_STRING },
		{ "integer", TYPE_INTEGER },
		{ "number", TYPE_NUMBER },
		{ "boolean", TYPE_BOOLEAN },
	};
	const char *word = json_string_value(json_object_get(schema, "type"));

	for (size_t i = 0; i < COUNT(types); i++)
		if (text_same(word, types[i].word)) {
			out->type = types[i].type;
			return SUCCESS;
		}
	return refuse(r, at, "needs a type: object, array, string, integer, number or boolean");
}

static struct err read_node(struct reading *, const struct place *, const json_t *schema, const struct node **out);

static struct err read_properties(struct reading *r, const struct place *at, const json_t *value, struct node *out)
{
	const char *name;
	json_t *schema;

	if (!json_is_object(value))
		return refuse(r, at, "must be an object");
	out->members = arena_alloc(r->arena, json_object_size(value) * sizeof *out->members);
	json_object_foreach((json_t *)(uintptr_t)value, name, schema) {
		struct member *m = &out->members[out->member_count++];
		struct place below = { .up = at, .name = name };

		m->name = name;
		TRY(read_node(r, &below, schema, &m->node));
	}
	return SUCCESS;
}

/* After properties: a required member that is not described is a slip. */
static struct err read_required(struct reading *r, const struct place *at, const json_t *value, struct node *out)
{
	size_t i;
	json_t *name;

	if (!json_is_array(value))
		return refuse(r, at, "must be an array of names");
	json_array_foreach((json_t *)(uintptr_t)value, i, name) {
		struct member *m = NULL;

		for (size_t k = 0; k < out->member_count; k++)
			if (text_same(out->members[k].name, json_string_value(name)))
				m = &out->members[k];
		if (m == NULL || m->required)
			return REFUSE(r, at, "'%s' is not one of the properties, or is named twice",
			    json_is_string(name) ? json_string_value(name) : "?");
		m->required = true;
	}
	return SUCCESS;
}

static struct err read_choices(struct reading *r, const struct place *at, const json_t *value, struct node *out)
{
	if (!json_is_array(value) || json_array_size(value) == 0)
		return refuse(r, at, "must be an array with at least one value");
	out->choices = value;
	return SUCCESS;
}

enum keyword {
	K_TYPE, K_PROPERTIES, K_REQUIRED, K_ADDITIONAL, K_ITEMS, K_ENUM, K_CONST, K_PATTERN, K_MIN_LENGTH, K_MAX_LENGTH,
	K_MINIMUM, K_MAXIMUM, K_MIN_ITEMS, K_MAX_ITEMS, K_FORMAT, K_TEXT, K_SCHEMA,
};

static const struct {
	const char *word;
	enum keyword keyword;
	unsigned types; /* that it says something about; 0: any */
} keywords[] = {
	{ "type", K_TYPE, 0 },
	{ "properties", K_PROPERTIES, TYPE_OBJECT },
	{ "required", K_REQUIRED, TYPE_OBJECT },
	{ "additionalProperties", K_ADDITIONAL, TYPE_OBJECT },
	{ "items", K_ITEMS, TYPE_ARRAY },
	{ "minItems", K_MIN_ITEMS, TYPE_ARRAY },
	{ "maxItems", K_MAX_ITEMS, TYPE_ARRAY },
	{ "pattern", K_PATTERN, TYPE_STRING },
	{ "minLength", K_MIN_LENGTH, TYPE_STRING },
	{ "maxLength", K_MAX_LENGTH, TYPE_STRING },
	{ "format", K_FORMAT, TYPE_STRING },
	{ "minimum", K_MINIMUM, TYPE_INTEGER | TYPE_NUMBER },
	{ "maximum", K_MAXIMUM, TYPE_INTEGER | TYPE_NUMBER },
	{ "enum", K_ENUM, 0 },
	{ "const", K_CONST, 0 },
	{ "title", K_TEXT, 0 },
	{ "description", K_TEXT, 0 },
	{ "$id", K_TEXT, 0 },
	{ "$schema", K_SCHEMA, 0 },
};

static struct err read_keyword(struct reading *r, const struct place *at, enum keyword keyword, const json_t *value,
    struct node *n)
{
	switch (keyword) {
	case K_TYPE:
	case K_REQUIRED: /* both at their time, in read_node */
		return SUCCESS;
	case K_PROPERTIES:
		return read_properties(r, at, value, n);
	case K_ADDITIONAL:
		n->closed = true;
		return json_is_false(value) ? SUCCESS : refuse(r, at, "can only be false");
	case K_ITEMS:
		return read_node(r, at, value, &n->items);
	case K_ENUM:
		return read_choices(r, at, value, n);
	case K_CONST:
		/* An enum of one. */
		json_array_append_new(r->form->constants, json_pack("[O]", value));
		n->choices = json_array_get(r->form->constants, json_array_size(r->form->constants) - 1);
		return SUCCESS;
	case K_PATTERN:
		return read_pattern(r, at, value, n);
	case K_MIN_LENGTH:
	case K_MIN_ITEMS:
		return read_size(r, at, value, &n->size_least);
	case K_MAX_LENGTH:
	case K_MAX_ITEMS:
		return read_size(r, at, value, &n->size_most);
	case K_MINIMUM:
		return read_limit(r, at, value, &n->least);
	case K_MAXIMUM:
		return read_limit(r, at, value, &n->most);
	case K_FORMAT:
		return read_format(r, at, value, n);
	case K_TEXT:
		return json_is_string(value) ? SUCCESS : refuse(r, at, "must be a string");
	case K_SCHEMA:
		return text_same(json_string_value(value), "https://json-schema.org/draft/2020-12/schema") ? SUCCESS :
		    refuse(r, at, "must be https://json-schema.org/draft/2020-12/schema");
	}
	return FAIL(ERR_BUG, "keyword");
}

static struct err read_node(struct reading *r, const struct place *at, const json_t *schema, const struct node **out)
{
	struct node *n = arena_alloc(r->arena, sizeof *n);
	const char *word;
	json_t *value;

	*out = n;
	n->size_most = SIZE_MAX;
	n->least = -INFINITY;
	n->most = INFINITY;
	if (!json_is_object(schema))
		return refuse(r, at, "must be an object: a schema");
	TRY(read_type(r, at, schema, n));
	json_object_foreach((json_t *)(uintptr_t)schema, word, value) {
		struct place below = { .up = at, .name = word };
		size_t k = 0;

		while (k < COUNT(keywords) && !text_same(keywords[k].word, word))
			k++;
		if (k == COUNT(keywords))
			return refuse(r, &below, "is not a keyword that is understood here");
		if (keywords[k].types != 0 && !(keywords[k].types & n->type))
			return refuse(r, &below, "says nothing about this type");
		TRY(read_keyword(r, &below, keywords[k].keyword, value, n));
	}
	value = json_object_get(schema, "required");
	if (value != NULL)
		TRY(read_required(r, &(struct place){ .up = at, .name = "required" }, value, n));
	return SUCCESS;
}

/* ---- the folder ---- */

static struct err read_file(struct arena *a, int folder, const char *name, char **out, size_t *size)
{
	struct stat status;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) != 0) {
		struct err e = FAIL(ERR_INVALID, arena_printf(a, "%s: %s", name, strerror(errno)));

		if (fd >= 0)
			close(fd);
		return e;
	}
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_MOST) {
		close(fd);
		return FAIL(ERR_INVALID, arena_printf(a, "%s: not a file of at most %d bytes", name, FILE_MOST));
	}
	*out = arena_alloc(a, (size_t)status.st_size + 1);
	*size = 0;
	while (*size < (size_t)status.st_size) {
		ssize_t n = read(fd, *out + *size, (size_t)status.st_size - *size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		*size += (size_t)n;
	}
	close(fd);
	if (*size != (size_t)status.st_size)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: cannot be read", name));
	return SUCCESS;
}

/* "855B.json" → "855B"; NULL: no form's name. */
static const char *form_name(struct arena *a, const char *file)
{
	size_t size = strlen(file) - strlen(".json");

	if (size == 0 || size > 16)
		return NULL;
	for (size_t i = 0; i < size; i++)
		if (!((file[i] >= '0' && file[i] <= '9') || (file[i] >= 'A' && file[i] <= 'Z')))
			return NULL;
	return arena_copy(a, file, size);
}

static struct err read_form(struct arena *a, struct forms *forms, int folder, const char *file)
{
	struct form *form = arena_alloc(a, sizeof *form);
	struct reading r = { .arena = a, .file = arena_strdup(a, file), .form = form };
	char *bytes;
	size_t size;

	form->name = form_name(a, file);
	if (form->name == NULL)
		return FAIL(ERR_INVALID,
		    arena_printf(a, "%s: a form is named by digits and capital letters, as 855B.json", file));
	TRY(read_file(a, folder, file, &bytes, &size));
	struct err e = json_read_object(a, bytes, size, &form->schema);
	if (e.code != OK)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: %s", file, e.what));
	form->constants = json_array();
	form->next = forms->first;
	forms->first = form;
	TRY(read_node(&r, NULL, form->schema, &form->root));
	return form->root->type == TYPE_OBJECT ? SUCCESS : refuse(&r, NULL, "a form is an object");
}

static bool is_form_file(const char *name)
{
	size_t size = strlen(name);

	return size > 5 && name[0] != '.' && strcmp(name + size - 5, ".json") == 0;
}

struct err forms_open(struct arena *a, const char *folder, struct forms **out)
{
	struct forms *forms = arena_alloc(a, sizeof *forms);
	DIR *dir = opendir(folder);
	struct err e = SUCCESS;

	*out = NULL;
	if (dir == NULL)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: %s", folder, strerror(errno)));
	for (struct dirent *entry = readdir(dir); entry != NULL && e.code == OK; entry = readdir(dir))
		if (is_form_file(entry->d_name))
			e = read_form(a, forms, dirfd(dir), entry->d_name);
	closedir(dir);
	if (e.code == OK && forms->first == NULL)
		e = FAIL(ERR_INVALID, "there are no forms in it");
	if (e.code != OK) {
		forms_close(forms);
		return FAIL(e.code, arena_printf(a, "%s: %s", folder, e.what));
	}
	*out = forms;
	return SUCCESS;
}

void forms_close(struct forms *forms)
{
	for (struct form *form = forms->first; form != NULL; form = form->next) {
		for (struct pattern *p = form->patterns; p != NULL; p = p->next)
			regfree(&p->compiled);
		json_decref(form->schema);
		json_decref(form->constants);
	}
	forms->first = NULL;
}

/* ---- checking a document ---- */

struct checking {
	struct arena *arena;
	struct form_problems *problems;
};

#define PROBLEM(c, at, ...) add_problem((c), (at), arena_printf((c)->arena, __VA_ARGS__))
static void add_problem(struct checking *c, const struct place *at, const char *rule)
{
	if (c->problems->list == NULL)
		c->problems->list = arena_alloc(c->arena, PROBLEMS_MOST * sizeof *c->problems->list);
	if (c->problems->count < PROBLEMS_MOST)
		c->problems->list[c->problems->count++] =
		    (struct form_problem){ .pointer = pointer(c->arena, at), .rule = rule };
}

/* 2.0 is a whole number, as JSON Schema has it; from 2^53 on there are no others. */
static bool is_whole(double d)
{
	return d >= 9007199254740992.0 || d <= -9007199254740992.0 || (double)(int64_t)d == d;
}

static bool is_of_type(const json_t *value, enum type type)
{
	switch (type) {
	case TYPE_OBJECT: return json_is_object(value);
	case TYPE_ARRAY: return json_is_array(value);
	case TYPE_STRING: return json_is_string(value);
	case TYPE_BOOLEAN: return json_is_boolean(value);
	case TYPE_NUMBER: return json_is_number(value);
	case TYPE_INTEGER: return json_is_integer(value) || (json_is_real(value) && is_whole(json_real_value(value)));
	}
	return false;
}

static const char *type_word(enum type type)
{
	switch (type) {
	case TYPE_OBJECT: return "an object";
	case TYPE_ARRAY: return "an array";
	case TYPE_STRING: return "a string";
	case TYPE_BOOLEAN: return "true or false";
	case TYPE_NUMBER: return "a number";
	case TYPE_INTEGER: return "a whole number";
	}
	return "?";
}

static bool is_choice(const json_t *choices, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(choices); i++)
		if (json_equal(json_array_get(choices, i), value))
			return true;
	return false;
}

/* RFC 3339 full-date, of a day that there is. */
static bool is_date(const char *text)
{
	char moment[32];

	if (strlen(text) != 10)
		return false;
	memcpy(moment, text, 10);
	memcpy(moment + 10, "T00:00:00Z", sizeof "T00:00:00Z");
	return clock_parse_rfc3339(moment) != -1;
}

static void check_string(struct checking *c, const struct place *at, const struct node *n, const json_t *value)
{
	const char *text = json_string_value(value);
	size_t characters = 0;

	for (const char *p = text; *p; p++)
		characters += ((unsigned char)*p & 0xc0) != 0x80;
	if (characters < n->size_least)
		PROBLEM(c, at, "must have at least %zu characters", n->size_least);
	/* And no more of it: a pattern may cost more than its text is long. */
	if (characters > n->size_most) {
		PROBLEM(c, at, "must have at most %zu characters", n->size_most);
		return;
	}
	if (n->pattern != NULL && regexec(&n->pattern->compiled, text, 0, NULL, 0) != 0)
		PROBLEM(c, at, "must match %s", n->pattern->text);
	if (n->format == FORMAT_NPI && !id_is_npi(text))
		PROBLEM(c, at, "must be an NPI: 10 digits, the last one its check digit");
	if (n->format == FORMAT_DATE && !is_date(text))
		PROBLEM(c, at, "must be a date, as 2026-01-31");
}

static void check_number(struct checking *c, const struct place *at, const struct node *n, const json_t *value)
{
	double amount = json_number_value(value);

	if (amount < n->least)
		PROBLEM(c, at, "must be at least %.15g", n->least);
	if (amount > n->most)
		PROBLEM(c, at, "must be at most %.15g", n->most);
}

static void check(struct checking *, const struct place *, const struct node *, const json_t *);

static void check_array(struct checking *c, const struct place *at, const struct node *n, const json_t *value)
{
	size_t size = json_array_size(value);

	if (size < n->size_least)
		PROBLEM(c, at, "must have at least %zu items", n->size_least);
	if (size > n->size_most)
		PROBLEM(c, at, "must have at most %zu items", n->size_most);
	for (size_t i = 0; n->items != NULL && i < size && c->problems->count < PROBLEMS_MOST; i++)
		check(c, &(struct place){ .up = at, .index = i }, n->items, json_array_get(value, i));
}

static const struct member *member_of(const struct node *n, const char *name)
{
	for (size_t i = 0; i < n->member_count; i++)
		if (strcmp(n->members[i].name, name) == 0)
			return &n->members[i];
	return NULL;
}

static void check_object(struct checking *c, const struct place *at, const struct node *n, const json_t *value)
{
	const char *name;
	json_t *below;

	for (size_t i = 0; i < n->member_count && c->problems->count < PROBLEMS_MOST; i++) {
		const struct member *m = &n->members[i];
		struct place place = { .up = at, .name = m->name };

		below = json_object_get(value, m->name);
		if (below != NULL)
			check(c, &place, m->node, below);
		else if (m->required)
			add_problem(c, &place, "is required");
	}
	json_object_foreach((json_t *)(uintptr_t)value, name, below) {
		if (c->problems->count >= PROBLEMS_MOST)
			return;
		if (n->closed && member_of(n, name) == NULL)
			add_problem(c, &(struct place){ .up = at, .name = name }, "is not a member of this form");
	}
}

static void check(struct checking *c, const struct place *at, const struct node *n, const json_t *value)
{
	if (!is_of_type(value, n->type)) {
		PROBLEM(c, at, "must be %s", type_word(n->type));
		return;
	}
	if (n->choices != NULL && !is_choice(n->choices, value)) {
		char *list = json_dumps(n->choices, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));

		PROBLEM(c, at, "must be one of %.400s", list != NULL ? list : "the form's values");
		free(list);
	}
	switch (n->type) {
	case TYPE_OBJECT:
		check_object(c, at, n, value);
		break;
	case TYPE_ARRAY:
		check_array(c, at, n, value);
		break;
	case TYPE_STRING:
		check_string(c, at, n, value);
		break;
	case TYPE_INTEGER:
	case TYPE_NUMBER:
		check_number(c, at, n, value);
		break;
	case TYPE_BOOLEAN:
		break;
	}
}

struct err form_check(struct arena *a, const struct forms *forms, const char *form, const char *json, size_t size,
    struct form_problems *out)
{
	struct checking c = { .arena = a, .problems = out };
	const struct form *found = forms->first;
	json_auto *document = NULL;

	*out = (struct form_problems){ NULL, 0 };
	while (found != NULL && !text_same(found->name, form))
		found = found->next;
	if (found == NULL)
		return FAIL(ERR_NOT_FOUND, "there is no such form");
	struct err e = json_read_object(a, json, size, &document);
	if (e.code != OK) {
		add_problem(&c, NULL, e.what);
		return e;
	}
	check(&c, NULL, found->root, document);
	return out->count == 0 ? SUCCESS : FAIL(ERR_INVALID, "the document does not satisfy its form");
}
