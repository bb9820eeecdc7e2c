/* Attributes in place to a struct entry, and what is wrong with them. */
#include "dir/parse.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#include "base/banned.h"

void parse_begin(struct parse *p, struct arena *a, const struct schema *s, const struct place *place, struct entry *out)
{
	*p = (struct parse){ .arena = a, .schema = s, .place = place, .entry = out };
	memset(out, 0, sizeof *out);
	out->kind = place->kind;
	out->id = place->id;
}

/* Makes a value a C string where it lies, by moving it onto the octet of its own length that comes before it. */
static char *terminate(struct slice value)
{
	char *text = (char *)value.at - 1;

	memmove(text, value.at, value.size);
	text[value.size] = '\0';
	return text;
}

static bool wrong(struct parse *p, const struct schema_field *field, const char *rule)
{
	if (p->why == NULL)
		p->why = arena_printf(p->arena, "%s: %s", field->attribute, rule);
	return false;
}

/* The value is quoted: it is what the administrator looks for. */
static bool wrong_value(struct parse *p, const struct schema_field *field, const char *value, const char *rule)
{
	if (p->why == NULL)
		p->why = arena_printf(p->arena, "%s: '%.100s' is %s", field->attribute, value, rule);
	return false;
}

static void *field_in(struct parse *p, const struct schema_field *field)
{
	return (char *)p->entry + field->at;
}

static bool read_state(struct parse *p, const struct schema_field *field, char *text)
{
	char shown[64];
	const char *kind = kind_word(p->entry->kind);

	snprintf(shown, sizeof shown, "%s", text);
	text_fold(text); /* the directory's own rules match it so */
	p->entry->state = state_of_word(text);
	if (p->entry->state != STATE_NONE && state_fits(p->entry->kind, p->entry->state))
		return true;
	p->entry->state = STATE_NONE;
	return wrong_value(p, field, shown,
	    arena_printf(p->arena, "no state of %s %s", strchr("aeio", kind[0]) != NULL ? "an" : "a", kind));
}

static bool read_time(struct parse *p, const struct schema_field *field, const char *text)
{
	int64_t seconds = clock_parse_generalized(text);

	if (seconds <= 0)
		return wrong_value(p, field, text, "no time like 20261124063744Z");
	*(int64_t *)field_in(p, field) = seconds;
	return true;
}

static const char *read_reference(struct parse *p, const struct schema_field *field, enum kind kind, char *text)
{
	const char *id = place_reference(p->arena, p->schema, kind, text, strlen(text));

	if (id == NULL)
		wrong_value(
		    p, field, text, kind == KIND_PERSON ? "the name of no person" : "the name of no organization");
	return id;
}

static bool read_word(struct parse *p, const struct schema_field *field, char *text)
{
	text_fold(text);
	if (field->type == VALUE_REALM) {
		if (strcmp(text, "local") != 0 && strcmp(text, "nppes") != 0)
			return wrong_value(p, field, text, "neither local nor nppes");
		p->entry->realm = text[0] == 'l' ? REALM_LOCAL : REALM_NPPES;
		return true;
	}
	if (field->type == VALUE_CASE_KIND) {
		p->entry->case_kind = case_of_word(text);
		return p->entry->case_kind != CASE_NONE || wrong_value(p, field, text, "no kind of case");
	}
	if (strcmp(text, "organization") != 0 && strcmp(text, "individual") != 0)
		return wrong_value(p, field, text, "neither organization nor individual");
	p->entry->provider_kind = text[0] == 'o' ? PROVIDER_ORGANIZATION : PROVIDER_INDIVIDUAL;
	return true;
}

static bool read_uuid(struct parse *p, const struct schema_field *field, const char *text)
{
	unsigned char bytes[16] = { 0 };
	char again[UUID_TEXT];
	int nibbles = 0;

	for (const char *c = text; *c != '\0' && nibbles < 32; c++) {
		const char *hex = "0123456789abcdef", *at = strchr(hex, *c);
		if (at != NULL) {
			bytes[nibbles / 2] = (unsigned char)(bytes[nibbles / 2] << 4 | (at - hex));
			nibbles++;
		}
	}
	memcpy(p->entry->uuid.bytes, bytes, sizeof bytes);
	uuid_format(&p->entry->uuid, again);
	return strcmp(text, again) == 0 || wrong_value(p, field, text, "no UUID");
}

static bool read_one(struct parse *p, const struct schema_field *field, struct slice value)
{
	char *text = terminate(value);

	if (field->type == VALUE_DOCUMENT) {
		p->entry->document = text;
		p->entry->document_size = value.size;
		return true;
	}
	if (strlen(text) != value.size)
		return wrong(p, field, "a NUL within");
	switch (field->type) {
	case VALUE_TEXT:
		*(const char **)field_in(p, field) = text;
		return true;
	case VALUE_STATE:
		return read_state(p, field, text);
	case VALUE_TIME:
		return read_time(p, field, text);
	case VALUE_PERSON:
		return (*(const char **)field_in(p, field) = read_reference(p, field, KIND_PERSON, text)) != NULL;
	case VALUE_ORGANIZATION:
		return (*(const char **)field_in(p, field) = read_reference(p, field, KIND_ORGANIZATION, text)) != NULL;
	case VALUE_PRESENT:
		*(bool *)field_in(p, field) = true;
		return true;
	case VALUE_FLAG:
		*(bool *)field_in(p, field) = strcmp(text, "TRUE") == 0; /* the server takes nothing but TRUE and FALSE */
		return true;
	case VALUE_REALM:
	case VALUE_PROVIDER_KIND:
	case VALUE_CASE_KIND:
		return read_word(p, field, text);
	case VALUE_UUID:
		return read_uuid(p, field, text);
	case VALUE_REVISION:
		return revision_parse(text, value.size, &p->entry->revision) ||
		       wrong_value(p, field, text, "no change number");
	default:
		return wrong(p, field, "not understood");
	}
}

static void read_class(struct parse *p, const struct slice *value)
{
	const char *const *classes = schema_classes(KIND_ORGANIZATION);

	if (value->size == strlen(classes[1]) && strncasecmp((char *)value->at, classes[1], value->size) == 0)
		p->has_provider_class = true;
	if (value->size == strlen(classes[2]) && strncasecmp((char *)value->at, classes[2], value->size) == 0)
		p->entry->is_employer = true;
}

/* One value of a list; *out NULL: it says nothing. */
static bool read_item(struct parse *p, const struct schema_field *field, struct slice value, const char **out)
{
	*out = NULL;
	if (value.size == 0) /* a groupOfNames must have a member; "" is how one says that it has none */
		return field->type == VALUE_PEOPLE || wrong(p, field, "empty");
	char *text = terminate(value);
	if (strlen(text) != value.size)
		return wrong(p, field, "a NUL within");
	switch (field->type) {
	case VALUE_PEOPLE:
		return (*out = read_reference(p, field, KIND_PERSON, text)) != NULL;
	case VALUE_ORGANIZATIONS:
		return (*out = read_reference(p, field, KIND_ORGANIZATION, text)) != NULL;
	case VALUE_DIGESTS:
		text_fold(text);
		if (!schema_is_id(KIND_SESSION, text))
			return wrong(p, field, "not 64 hexadecimal digits");
		break;
	default:
		break;
	}
	*out = text;
	return true;
}

static bool read_list(struct parse *p, const struct schema_field *field, struct slice values, bool *well_formed)
{
	size_t count = 0;
	struct slice rest = values, value;

	while (slice_take(&rest, SLICE_OCTETS, &value))
		count++;
	*well_formed = rest.size == 0;
	if (!*well_formed)
		return false;
	const char **list = arena_alloc(p->arena, (count + 1) * sizeof *list);
	size_t kept = 0;
	while (slice_take(&values, SLICE_OCTETS, &value)) {
		if (!read_item(p, field, value, &list[kept]))
			return true; /* the entry is not understood, but the message is */
		kept += list[kept] != NULL;
	}
	*(const char *const **)field_in(p, field) = list;
	return true;
}

bool parse_attribute(struct parse *p, struct slice content)
{
	struct slice name, values, value;

	if (!slice_take(&content, SLICE_OCTETS, &name) || !slice_take(&content, SLICE_SET, &values))
		return false;
	int row = schema_row(p->schema, (const char *)name.at, name.size);
	if (row < 0 || !(schema_fields[row].kinds & KIND_BIT(p->entry->kind)))
		return true;
	const struct schema_field *field = &schema_fields[row];
	if (values.size == 0)
		return true;
	if (p->seen & UINT64_C(1) << row) {
		wrong(p, field, "told twice");
		return true;
	}
	p->seen |= UINT64_C(1) << row;

	switch (field->type) {
	case VALUE_CLASSES:
		while (slice_take(&values, SLICE_OCTETS, &value))
			read_class(p, &value);
		return values.size == 0;
	case VALUE_TEXTS:
	case VALUE_DIGESTS:
	case VALUE_PEOPLE:
	case VALUE_ORGANIZATIONS: {
		bool well_formed;
		read_list(p, field, values, &well_formed);
		return well_formed;
	}
	default:
		if (!slice_take(&values, SLICE_OCTETS, &value))
			return false;
		/* A name has several values where another schema lets it, and then any of them will do. */
		if (values.size > 0 && field->type != VALUE_TEXT)
			wrong(p, field, "two values");
		else if (value.size > 0)
			read_one(p, field, value);
		else
			wrong(p, field, "empty");
		return true;
	}
}

const char *parse_end(struct parse *p)
{
	struct entry *e = p->entry;
	uint64_t missing = p->schema->required[e->kind] & ~p->seen;
	bool lies_in_organization = p->place->provider[0] != '\0';

	if (p->why != NULL)
		return p->why;
	if (missing != 0)
		wrong(p, &schema_fields[__builtin_ctzll(missing)], "missing");
	else if (lies_in_organization && strcmp(e->provider, p->place->provider) != 0)
		p->why = arena_printf(
		    p->arena, "scfProvider: '%s' is not the organization that the entry lies in", e->provider);
	else if (p->has_provider_class && e->provider_kind == NOT_A_PROVIDER)
		p->why = "scfProviderKind: missing";
	return p->why;
}
