/* The table of templates, and filling them in. A template is `Subject: …`, an empty line, and the body; {{name}}
 * stands for a field. */
#include "mail/template.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

#define FILE_MOST 16384
#define VALUE_MOST 1000 /* bytes of a field */

/* Every mail that there is, and the fields that whoever sends it gives. Notices (flow/notice.c) give name and username,
 * of the person who gets it, to all of theirs. tests/repo compares this with the files and with the code. */
/* clang-format off */
static const struct { const char *name, *fields; } templates[] = {
	{ "registration",          "name link token hours" },
	{ "registration-known",    "name username" },
	{ "registered",            "name username" },
	{ "mail-change",           "name username link token hours" },
	{ "mail-changed",          "name username" },
	{ "password-reset",        "name username link token minutes" },
	{ "password-elsewhere",    "name username link" },
	{ "password-changed",      "name username" },
	{ "request-received",      "name username user provider employer" },
	{ "request-decided",       "name username provider employer decision decider reason" },
	{ "official-approved",     "name username provider" },
	{ "official-replaced",     "name username provider" },
	{ "official-rejected",     "name username provider reason" },
	{ "official-left",         "user provider" },
	{ "consent-decided",       "name username provider employer decision reason" },
	{ "consent-revoked",       "name username provider employer reason" },
	{ "submission-decided",    "name username provider submission decision reason" },
	{ "access-revoked",        "name username provider employer" },
	{ "employer-reinstated",   "name username provider employer" },
	{ "revocation-requested",  "user provider employer" },
	{ "help-requested",        "user" },
	{ "case-closed",           "name username reason" },
	{ "account-locked",        "name username" },
	{ "account-unlocked",      "name username" },
	{ "account-disabled",      "name username" },
	{ "account-enabled",       "name username" },
	{ "account-removed",       "name username" },
	{ "second-factor-added",   "name username" },
	{ "second-factor-removed", "name username" },
	{ "recovery-code-used",    "name username left" },
};
/* clang-format on */

/* ---- reading ---- */

static bool is_word_of(const char *words, const char *word, size_t size)
{
	for (const char *p = words; *p != '\0'; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n == size && memcmp(p, word, size) == 0)
			return true;
		p += n;
	}
	return false;
}

/* The next {{placeholder}} of a text: where it stands, and its name. NULL: there is none. */
static const char *next_placeholder(const char *text, const char **name, size_t *size)
{
	const char *open = strstr(text, "{{");

	if (open == NULL)
		return NULL;
	*name = open + 2;
	*size = strspn(*name, "abcdefghijklmnopqrstuvwxyz_");
	return open;
}

static struct err check(struct arena *a, const char *file, const char *text, const char *fields)
{
	const char *name;
	size_t size;

	while ((text = next_placeholder(text, &name, &size)) != NULL) {
		if (size == 0 || strncmp(name + size, "}}", 2) != 0)
			return FAIL(ERR_INVALID, arena_printf(a, "%s: '%.20s' is no placeholder", file, text));
		if (!is_word_of(fields, name, size))
			return FAIL(ERR_INVALID, arena_printf(a, "%s: {{%.*s}} is not known here; %s are", file, (int)size, name,
			    fields));
		text = name + size + 2;
	}
	return SUCCESS;
}

static struct err read_file(struct arena *a, const char *file, char **out)
{
	FILE *f = fopen(file, "re");
	char *text = arena_alloc(a, FILE_MOST + 1);

	if (f == NULL)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: %s", file, strerror(errno)));
	size_t size = fread(text, 1, FILE_MOST + 1, f);
	bool failed = ferror(f) != 0;
	fclose(f);
	if (failed || size > FILE_MOST || memchr(text, '\0', size) != NULL || !text_is_utf8(text, size))
		return FAIL(ERR_INVALID, arena_printf(a, "%s: is not a text of at most %d bytes in UTF-8", file, FILE_MOST));
	*out = text;
	return SUCCESS;
}

static struct err read_template(struct arena *a, const char *folder, size_t i, struct template *out)
{
	const char *file = arena_printf(a, "%s/%s.txt", folder, templates[i].name);
	char *text;

	TRY(read_file(a, file, &text));
	char *end = strchr(text, '\n');
	if (!text_begins(text, "Subject: ") || end == NULL || end[1] != '\n')
		return FAIL(ERR_INVALID, arena_printf(a, "%s: must begin with 'Subject: …' and an empty line", file));
	TRY(check(a, file, text, templates[i].fields));
	*end = '\0';
	*out = (struct template){ templates[i].name, text + strlen("Subject: "), end + 2 };
	return SUCCESS;
}

/* A template that nobody sends is a misspelt one. */
static struct err check_folder(struct arena *a, const char *folder)
{
	DIR *d = opendir(folder);
	const struct dirent *entry;
	const char *unknown = NULL;

	if (d == NULL)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: %s", folder, strerror(errno)));
	while (unknown == NULL && (entry = readdir(d)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');
		bool known = dot == NULL || strcmp(dot, ".txt") != 0;

		for (size_t i = 0; i < COUNT(templates); i++)
			known |= dot != NULL && strlen(templates[i].name) == (size_t)(dot - entry->d_name) &&
			    text_begins(entry->d_name, templates[i].name);
		if (!known)
			unknown = arena_strdup(a, entry->d_name);
	}
	closedir(d);
	if (unknown != NULL)
		return FAIL(ERR_INVALID, arena_printf(a, "%s/%s: there is no such mail", folder, unknown));
	return SUCCESS;
}

struct err template_read_all(struct arena *a, const char *folder, const struct template **out)
{
	struct template *all = arena_alloc(a, (COUNT(templates) + 1) * sizeof *all);

	TRY(check_folder(a, folder));
	for (size_t i = 0; i < COUNT(templates); i++)
		TRY(read_template(a, folder, i, &all[i]));
	*out = all;
	return SUCCESS;
}

/* ---- filling in ---- */

static const char *value_of(const struct mail_field *fields, const char *name, size_t size)
{
	for (; fields->name != NULL; fields++)
		if (strlen(fields->name) == size && memcmp(fields->name, name, size) == 0)
			return fields->value != NULL ? fields->value : "";
	return NULL;
}

/* Nobody's name makes a line or a header of its own. */
static void put_value(struct text *t, const char *value)
{
	size_t size = strnlen(value, VALUE_MOST);

	while (size == VALUE_MOST && size > 0 && ((unsigned char)value[size] & 0xc0) == 0x80)
		size--;
	bool utf8 = text_is_utf8(value, size);
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)value[i];

		/* U+2028, U+2029 and the controls U+0080 to U+009F break lines for some readers as well. */
		if (c < 0x20 || c == 0x7f) {
			text_puts(t, " ");
		} else if (c >= 0x80 && !utf8) {
			text_puts(t, "?");
		} else if (c == 0xc2 && (unsigned char)value[i + 1] < 0xa0) {
			text_puts(t, " ");
			i++;
		} else if (c == 0xe2 && (strncmp(value + i, "\u2028", 3) == 0 || strncmp(value + i, "\u2029", 3) == 0)) {
			text_puts(t, " ");
			i += 2;
		} else {
			text_put(t, value + i, 1);
		}
	}
}

/* *said: some placeholder had a value, or there was none. */
static struct err fill_line(const char *line, size_t size, const struct mail_field *fields, struct text *out,
    bool *said)
{
	const char *name, *at;
	size_t name_size;

	*said = true;
	for (bool first = true; (at = next_placeholder(line, &name, &name_size)) != NULL && at < line + size; first = false) {
		const char *value = value_of(fields, name, name_size);

		if (value == NULL)
			return FAIL(ERR_BUG, "a mail lacks a field of its template");
		*said = (!first && *said) || *value != '\0';
		text_put(out, line, (size_t)(at - line));
		put_value(out, value);
		size -= (size_t)(name + name_size + 2 - line);
		line = name + name_size + 2;
	}
	text_put(out, line, size);
	return SUCCESS;
}

static struct err fill(const char *text, const struct mail_field *fields, struct text *out)
{
	while (*text != '\0') {
		size_t size = strcspn(text, "\n"), before = out->size;
		bool said;

		TRY(fill_line(text, size, fields, out, &said));
		text += size;
		if (!said) {
			out->size = before;
			out->bytes[before] = '\0';
		} else if (*text == '\n') {
			text_puts(out, "\n");
		}
		text += *text == '\n';
	}
	return SUCCESS;
}

struct err template_fill(const struct template *all, const char *name, const struct mail_field *fields,
    struct text *subject, struct text *body)
{
	for (; all->name != NULL; all++)
		if (strcmp(all->name, name) == 0) {
			TRY(fill(all->subject, fields, subject));
			return fill(all->body, fields, body);
		}
	return FAIL(ERR_BUG, "there is no such mail");
}
