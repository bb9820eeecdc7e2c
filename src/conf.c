/* The table of settings, and reading a file against it: libconfig parses, the table decides what may stand there. */
#include "conf.h"

#include <errno.h>
#include <libconfig.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#include "base/banned.h"

enum kind_of_setting {
	TEXT,   /* const char * */
	PATH,   /* const char *, relative to the folder of the file */
	NUMBER, /* int */
	FLAG,   /* bool */
	TEXTS,  /* const char *const *, a list of strings */
	PATHS,  /* the same, relative to the folder of the file; the default's are parted by blanks */
	URIS,   /* const char *[DIR_URIS + 1] */
	ROUTES, /* const struct http_route * */
};
enum when { RESTART, RELOAD };

struct setting {
	const char *name;
	enum kind_of_setting kind;
	enum when when;
	size_t place;
	const char *standard; /* default; NULL: none; REQUIRED: must be in the file */
	int min, max;
};

#define AT(place) offsetof(struct conf, place)
static const char REQUIRED[] = "required";
#define DEJAVU "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"

static const struct setting settings[] = {
	/* name                            kind    when     place                               default        min  max */
	{ "directory.uris",                URIS,   RESTART, AT(directory.uris),                 REQUIRED,      1, DIR_URIS },
	{ "directory.base",                TEXT,   RESTART, AT(directory.base),                 REQUIRED,      0, 0 },
	{ "directory.bind_dn",             TEXT,   RESTART, AT(directory.bind_dn),              NULL,          0, 0 },
	{ "directory.password_file",       PATH,   RESTART, AT(directory.password_file),        NULL,          0, 0 },
	{ "directory.ca_file",             PATH,   RESTART, AT(directory.ca_file),              NULL,          0, 0 },
	{ "directory.certificate_file",    PATH,   RESTART, AT(directory.certificate_file),     NULL,          0, 0 },
	{ "directory.key_file",            PATH,   RESTART, AT(directory.key_file),             NULL,          0, 0 },
	{ "directory.connect_timeout_ms",  NUMBER, RESTART, AT(directory.connect_timeout_ms),   "2000",        50, 60000 },
	{ "directory.operation_timeout_ms", NUMBER, RESTART, AT(directory.operation_timeout_ms), "3000",       50, 60000 },
	{ "directory.binds",               NUMBER, RESTART, AT(directory.binds),                "4",           1, 64 },
	{ "directory.searches",            NUMBER, RESTART, AT(directory.searches),             "4",           1, 64 },
	{ "directory.writers",             NUMBER, RESTART, AT(directory.writers),              "4",           1, 64 },
	{ "nppes.uris",                    URIS,   RESTART, AT(nppes.uris),                     NULL,          0, DIR_URIS },
	{ "nppes.people",                  TEXT,   RESTART, AT(nppes.people),                   NULL,          0, 0 },
	{ "nppes.ca_file",                 PATH,   RESTART, AT(nppes.ca_file),                  NULL,          0, 0 },
	{ "nppes.link",                    TEXT,   RESTART, AT(flow.nppes_link),                "https://nppes.cms.hhs.gov/", 0, 0 },
	{ "nppes.connect_timeout_ms",      NUMBER, RESTART, AT(nppes.connect_timeout_ms),       "2000",        50, 60000 },
	{ "nppes.operation_timeout_ms",    NUMBER, RESTART, AT(nppes.operation_timeout_ms),     "3000",        50, 60000 },
	{ "nppes.binds",                   NUMBER, RESTART, AT(nppes.binds),                    "2",           1, 64 },
	{ "replica.max_staleness_ms",      NUMBER, RESTART, AT(replica.max_staleness_ms),       "5000",        100, 600000 },
	{ "replica.heartbeat_ms",          NUMBER, RESTART, AT(replica.heartbeat_ms),           "500",         10, 60000 },
	{ "replica.shrink_percent",        NUMBER, RESTART, AT(replica.shrink_percent),         "50",          1, 100 },
	{ "session.idle_seconds",          NUMBER, RELOAD,  AT(flow.session_idle_s),            "900",         1, 86400 },
	{ "session.absolute_seconds",      NUMBER, RELOAD,  AT(flow.session_absolute_s),        "43200",       1, 604800 },
	{ "session.touch_seconds",         NUMBER, RELOAD,  AT(flow.session_touch_s),           "60",          1, 3600 },
	{ "session.recent_seconds",        NUMBER, RELOAD,  AT(flow.recent_s),                  "300",         1, 86400 },
	{ "password.least",                NUMBER, RELOAD,  AT(flow.password_least),            "15",          8, 128 },
	{ "password.least_with_second_factor", NUMBER, RELOAD, AT(flow.password_least_with_second_factor), "8", 8, 128 },
	{ "password.blocklists",           PATHS,  RESTART, AT(flow.password_blocklists),
	    "/usr/share/dict/cracklib-small /usr/share/john/password.lst", 0, 16 },
	{ "account.registration_hours",    NUMBER, RELOAD,  AT(flow.registration_hours),        "12",          1, 12 },
	{ "account.reset_minutes",         NUMBER, RELOAD,  AT(flow.reset_minutes),             "30",          1, 720 },
	{ "account.mails_per_address",     NUMBER, RELOAD,  AT(flow.mails_per_address),         "20",          1, 1000000 },
	{ "account.mails_per_account",     NUMBER, RELOAD,  AT(flow.mails_per_account),         "3",           1, 1000000 },
	{ "sign_in.guesses_per_account",   NUMBER, RELOAD,  AT(flow.guesses_per_account),       "3",           1, 1000 },
	{ "sign_in.guesses_per_address",   NUMBER, RELOAD,  AT(flow.guesses_per_address),       "20",          1, 1000000 },
	{ "sign_in.guess_window_seconds",  NUMBER, RELOAD,  AT(flow.guess_window_s),            "7200",        1, 604800 },
	{ "sign_in.refusal_ms",            NUMBER, RELOAD,  AT(flow.refusal_ms),                "100",         0, 5000 },
	{ "sign_in.second_factor_for",     TEXTS,  RELOAD,  AT(flow.second_factor_for),         NULL,          0, 4 },
	{ "sign_in.issuer",                TEXT,   RESTART, AT(flow.issuer),                    "scfgate",     0, 0 },
	{ "account.inactive_days",         NUMBER, RELOAD,  AT(flow.inactive_days),             "60",          0, 36500 },
	{ "association.request_days",      NUMBER, RELOAD,  AT(flow.request_days),              "60",          1, 3650 },
	{ "decision.wait_ms",              NUMBER, RELOAD,  AT(flow.wait_ms),                   "2000",        1, 30000 },
	{ "http.public_url",               TEXT,   RESTART, AT(flow.public_url),                NULL,          0, 0 },
	{ "http.listen",                   TEXT,   RESTART, AT(http.listen),                    "127.0.0.1",   0, 0 },
	{ "http.port",                     NUMBER, RESTART, AT(http.port),                      "8443",        0, 65535 },
	{ "http.operations_listen",        TEXT,   RESTART, AT(http.operations_listen),         "127.0.0.1",   0, 0 },
	{ "http.operations_port",          NUMBER, RESTART, AT(http.operations_port),           "8081",        0, 65535 },
	{ "http.certificate",              PATH,   RELOAD,  AT(http.certificate),               REQUIRED,      0, 0 },
	{ "http.key",                      PATH,   RELOAD,  AT(http.key),                       REQUIRED,      0, 0 },
	{ "http.client_ca",                PATH,   RELOAD,  AT(http.client_ca),                 NULL,          0, 0 },
	{ "http.peers",                    TEXTS,  RELOAD,  AT(http.peers),                     NULL,          0, 64 },
	{ "http.threads",                  NUMBER, RESTART, AT(http.threads),                   "2",           1, 256 },
	{ "http.workers",                  NUMBER, RESTART, AT(http.workers),                   "8",           1, 256 },
	{ "http.connections",              NUMBER, RESTART, AT(http.connections),               "4096",        8, 100000 },
	{ "http.connections_per_address",  NUMBER, RESTART, AT(http.connections_per_address),   "2048",        0, 100000 },
	{ "http.idle_seconds",             NUMBER, RESTART, AT(http.idle_s),                    "60",          1, 3600 },
	{ "http.header_bytes",             NUMBER, RESTART, AT(http.header_bytes),              "8192",        1024, 65536 },
	{ "http.body_bytes",               NUMBER, RELOAD,  AT(http.body_bytes),                "1048576",     1024, 16777216 },
	{ "http.requests_per_second",      NUMBER, RELOAD,  AT(http.requests_per_second),       "0",           0, 1000000 },
	{ "http.drain_seconds",            NUMBER, RELOAD,  AT(http.drain_s),                   "10",          0, 600 },
	{ "documents.folder",              PATH,   RESTART, AT(http.documents_folder),          "/var/tmp",    0, 0 },
	{ "documents.most_bytes",          NUMBER, RELOAD,  AT(http.document_bytes),            "10485760",    1024, 104857600 },
	{ "documents.uploads",             NUMBER, RESTART, AT(http.uploads),                   "8",           1, 1024 },
	{ "documents.keep_days",           NUMBER, RELOAD,  AT(flow.document_keep_days),        "90",          1, 36500 },
	{ "audit.file",                    PATH,   RESTART, AT(audit.file),                     REQUIRED,      0, 0 },
	{ "audit.sync_ms",                 NUMBER, RESTART, AT(audit.sync_ms),                  "50",          1, 60000 },
	{ "audit.off",                     FLAG,   RESTART, AT(audit.off),                      "false",       0, 0 },
	{ "mail.url",                      TEXT,   RESTART, AT(mail.url),                       NULL,          0, 0 },
	{ "mail.user",                     TEXT,   RESTART, AT(mail.user),                      NULL,          0, 0 },
	{ "mail.password_file",            PATH,   RESTART, AT(mail.password_file),             NULL,          0, 0 },
	{ "mail.ca_file",                  PATH,   RESTART, AT(mail.ca_file),                   NULL,          0, 0 },
	{ "mail.plain",                    FLAG,   RESTART, AT(mail.plain),                     "false",       0, 0 },
	{ "mail.from",                     TEXT,   RESTART, AT(mail.from),                      NULL,          0, 0 },
	{ "mail.help_desk",                TEXT,   RESTART, AT(mail.help_desk),                 NULL,          0, 0 },
	{ "mail.spool",                    PATH,   RESTART, AT(mail.spool),                     "spool",       0, 0 },
	{ "mail.templates",                PATH,   RESTART, AT(mail.templates),                 "mail",        0, 0 },
	{ "mail.timeout_ms",               NUMBER, RESTART, AT(mail.timeout_ms),                "30000",       100, 600000 },
	{ "mail.retry_seconds",            NUMBER, RESTART, AT(mail.retry_s),                   "10",          1, 3600 },
	{ "mail.retry_most_seconds",       NUMBER, RESTART, AT(mail.retry_most_s),              "900",         1, 86400 },
	{ "mail.keep_hours",               NUMBER, RESTART, AT(mail.keep_hours),                "72",          1, 720 },
	{ "mail.most",                     NUMBER, RESTART, AT(mail.most),                      "10000",       1, 1000000 },
	{ "consent.text",                  PATH,   RESTART, AT(flow.consent_text),              "consent.txt", 0, 0 },
	{ "consent.font",                  PATH,   RESTART, AT(flow.consent_font),              DEJAVU,        0, 0 },
	{ "help.topics",                   PATH,   RELOAD,  AT(http.help.topics),               "help.json",   0, 0 },
	{ "help.eus_phone",                TEXT,   RELOAD,  AT(http.help.eus_phone),            "1-866-484-8049", 0, 0 },
	{ "help.eus_tty",                  TEXT,   RELOAD,  AT(http.help.eus_tty),              "1-866-523-4759", 0, 0 },
	{ "help.eus_mail",                 TEXT,   RELOAD,  AT(http.help.eus_mail),             NULL,          0, 0 },
	{ "help.eus_hours",                TEXT,   RELOAD,  AT(http.help.eus_hours),            NULL,          0, 0 },
	{ "forms",                         PATH,   RESTART, AT(forms),                          "forms",       0, 0 },
	{ "log.level",                     TEXT,   RELOAD,  AT(log_level),                      "info",        0, 0 },
	{ "routes",                        ROUTES, RELOAD,  AT(http.routes),                    NULL,          0, 256 },
};

/* What a reading needs at every depth. */
struct reading {
	struct arena *arena;
	const char *file, *folder;
	struct conf *out;
};

[[gnu::format(printf, 3, 4)]] static struct err wrong(struct reading *r, const config_setting_t *where, const char *format,
    ...)
{
	char what[400];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	const char *file = where != NULL ? config_setting_source_file(where) : NULL;
	if (where == NULL)
		return FAIL(ERR_INVALID, arena_printf(r->arena, "%s: %s", r->file, what));
	return FAIL(ERR_INVALID, arena_printf(r->arena, "%s:%u: %s", file != NULL ? file : r->file,
	    config_setting_source_line(where), what));
}

static void *place_of(struct conf *c, const struct setting *s)
{
	return (char *)c + s->place;
}

static const char *path_of(struct reading *r, const char *path)
{
	return path[0] == '/' ? arena_strdup(r->arena, path) : arena_printf(r->arena, "%s/%s", r->folder, path);
}

static struct err take_texts(struct reading *r, const struct setting *s, const config_setting_t *from)
{
	int count = config_setting_length(from);

	if (count < s->min || count > s->max)
		return wrong(r, from, "%s takes %d to %d strings, not %d", s->name, s->min, s->max, count);
	const char **list = s->kind == URIS ? place_of(r->out, s)
	                                    : arena_alloc(r->arena, (size_t)(count + 1) * sizeof *list);
	for (int i = 0; i < count; i++) {
		const char *text = config_setting_get_string_elem(from, i);

		if (text == NULL || *text == '\0')
			return wrong(r, from, "%s must be a list of strings", s->name);
		list[i] = s->kind == PATHS ? path_of(r, text) : arena_strdup(r->arena, text);
	}
	if (s->kind != URIS)
		*(const char *const **)place_of(r->out, s) = list;
	return SUCCESS;
}

/* One placeholder, of a name that the door knows, and an action that is one. */
static struct err take_route(struct reading *r, const config_setting_t *from, struct http_route *out)
{
	const char *method = NULL, *path = NULL, *action = NULL;

	if (config_setting_type(from) != CONFIG_TYPE_GROUP)
		return wrong(r, from, "a route is { method = \"…\"; path = \"…\"; action = \"…\"; }");
	for (int i = 0; i < config_setting_length(from); i++) {
		const config_setting_t *member = config_setting_get_elem(from, (unsigned)i);
		const char *name = config_setting_name(member);
		const char **to = text_same(name, "method") ? &method : text_same(name, "path") ? &path :
		    text_same(name, "action") ? &action : NULL;

		if (to == NULL)
			return wrong(r, member, "routes: '%s' is not a part of a route; method, path and action are", name);
		if ((*to = config_setting_get_string(member)) == NULL)
			return wrong(r, member, "routes: %s must be a string", name);
	}
	if (method == NULL || path == NULL || action == NULL)
		return wrong(r, from, "routes: a route needs method, path and action");
	const char *open = strchr(path, '{'), *close = open != NULL ? strchr(open, '}') : NULL;
	bool known = open != NULL && close != NULL && strchr(close, '{') == NULL &&
	    (text_begins(open, "{record}") || text_begins(open, "{provider}") || text_begins(open, "{submission}"));
	if (path[0] != '/' || !known)
		return wrong(r, from, "routes: path must begin with / and name one of {record}, {provider}, {submission}");
	if (open[-1] != '/' || (close[1] != '\0' && close[1] != '/'))
		return wrong(r, from, "routes: %.*s must be a whole segment of the path", (int)(close - open + 1), open);
	if (!action_of_word(action, &out->action))
		return wrong(r, from, "routes: '%s' is no action", action);
	out->method = arena_strdup(r->arena, method);
	out->path = arena_strdup(r->arena, path);
	return SUCCESS;
}

static struct err take_routes(struct reading *r, const struct setting *s, const config_setting_t *from)
{
	int count = from != NULL ? config_setting_length(from) : 0;
	struct http_route *routes = arena_alloc(r->arena, (size_t)(count + 1) * sizeof *routes);

	if (count > s->max)
		return wrong(r, from, "routes takes at most %d routes", s->max);
	for (int i = 0; i < count; i++)
		TRY(take_route(r, config_setting_get_elem(from, (unsigned)i), &routes[i]));
	*(const struct http_route **)place_of(r->out, s) = routes;
	return SUCCESS;
}

static struct err take(struct reading *r, const struct setting *s, const config_setting_t *from)
{
	int type = config_setting_type(from);

	switch (s->kind) {
	case TEXT:
	case PATH:
		if (type != CONFIG_TYPE_STRING)
			return wrong(r, from, "%s must be a string", s->name);
		if (*config_setting_get_string(from) == '\0')
			return wrong(r, from, "%s is empty", s->name);
		*(const char **)place_of(r->out, s) = s->kind == PATH ? path_of(r, config_setting_get_string(from))
		                                                      : arena_strdup(r->arena, config_setting_get_string(from));
		return SUCCESS;
	case NUMBER:
		if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
			return wrong(r, from, "%s must be a whole number", s->name);
		long long value = type == CONFIG_TYPE_INT ? config_setting_get_int(from) : config_setting_get_int64(from);
		if (value < s->min || value > s->max)
			return wrong(r, from, "%s: %lld is out of range, %d to %d", s->name, value, s->min, s->max);
		*(int *)place_of(r->out, s) = (int)value;
		return SUCCESS;
	case FLAG:
		if (type != CONFIG_TYPE_BOOL)
			return wrong(r, from, "%s must be true or false", s->name);
		*(bool *)place_of(r->out, s) = config_setting_get_bool(from) != 0;
		return SUCCESS;
	case URIS:
	case TEXTS:
	case PATHS:
		if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST)
			return wrong(r, from, "%s must be a list of strings: [ \"…\" ]", s->name);
		return take_texts(r, s, from);
	case ROUTES:
		if (type != CONFIG_TYPE_LIST)
			return wrong(r, from, "%s must be a list of routes: ( { … }, { … } )", s->name);
		return take_routes(r, s, from);
	}
	return FAIL(ERR_BUG, "a setting of no kind");
}

static const char *const *standard_paths(struct reading *r, const char *standard)
{
	const char **list = arena_alloc(r->arena, (strlen(standard) / 2 + 2) * sizeof *list);
	size_t count = 0;

	for (const char *p = standard; *p != '\0'; p += strspn(p, " ")) {
		size_t size = strcspn(p, " ");

		list[count++] = path_of(r, arena_copy(r->arena, p, size));
		p += size;
	}
	return list;
}

static void take_standard(struct reading *r, const struct setting *s)
{
	switch (s->kind) {
	case TEXT:
		*(const char **)place_of(r->out, s) = s->standard;
		break;
	case PATH:
		*(const char **)place_of(r->out, s) = s->standard != NULL ? path_of(r, s->standard) : NULL;
		break;
	case NUMBER:
		*(int *)place_of(r->out, s) = (int)strtol(s->standard, NULL, 10);
		break;
	case FLAG:
		*(bool *)place_of(r->out, s) = text_same(s->standard, "true");
		break;
	case URIS:
		break;
	case TEXTS:
		*(const char *const **)place_of(r->out, s) = arena_alloc(r->arena, sizeof(char *));
		break;
	case PATHS:
		*(const char *const **)place_of(r->out, s) = standard_paths(r, s->standard);
		break;
	case ROUTES:
		*(const struct http_route **)place_of(r->out, s) = arena_alloc(r->arena, sizeof(struct http_route));
		break;
	}
}

/* Refuses what the table does not know: a misspelt setting must not be a silent default. */
static struct err walk(struct reading *r, const config_setting_t *group, const char *prefix)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
		const char *name = arena_printf(r->arena, "%s%s", prefix, config_setting_name(member));
		const struct setting *found = NULL;

		for (size_t k = 0; k < COUNT(settings) && found == NULL; k++)
			if (strcmp(settings[k].name, name) == 0)
				found = &settings[k];
		if (found != NULL) {
			TRY(take(r, found, member));
			continue;
		}
		bool is_group = false;
		const char *below = arena_printf(r->arena, "%s.", name);
		for (size_t k = 0; k < COUNT(settings); k++)
			is_group |= text_begins(settings[k].name, below);
		if (!is_group)
			return wrong(r, member, "'%s' is not a setting", name);
		if (config_setting_type(member) != CONFIG_TYPE_GROUP)
			return wrong(r, member, "'%s' is a group of settings: %s : { … }", name, name);
		TRY(walk(r, member, below));
	}
	return SUCCESS;
}

/* What one setting alone cannot tell. */
static struct err check_together(struct reading *r)
{
	const struct conf *c = r->out;
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	bool level = false;

	for (size_t i = 0; i < COUNT(levels); i++)
		level |= text_same(c->log_level, levels[i]);
	if (!level)
		return wrong(r, NULL, "log.level: '%s' is none of error, warning, info, debug", c->log_level);
	if ((c->directory.bind_dn == NULL) != (c->directory.password_file == NULL))
		return wrong(r, NULL, "directory.bind_dn and directory.password_file go together");
	if ((c->directory.certificate_file == NULL) != (c->directory.key_file == NULL))
		return wrong(r, NULL, "directory.certificate_file and directory.key_file go together");
	if (c->mail.url != NULL && c->flow.public_url == NULL)
		return wrong(r, NULL, "mail.url needs http.public_url: what links in mails begin with");
	const char *url = c->flow.public_url;
	if (url != NULL && (!text_begins(url, "https://") || url[strlen(url) - 1] == '/'))
		return wrong(r, NULL, "http.public_url must begin with https:// and not end with /");
	if ((c->nppes.uris[0] == NULL) != (c->nppes.people == NULL))
		return wrong(r, NULL, "nppes.uris and nppes.people go together");
	for (const char *const *uri = c->directory.uris; *uri != NULL; uri++)
		if (!text_begins(*uri, "ldapi://") && !text_begins(*uri, "ldap://") && !text_begins(*uri, "ldaps://"))
			return wrong(r, NULL, "directory.uris: '%s' is none of ldapi://, ldap://, ldaps://", *uri);
	if (c->replica.heartbeat_ms * 2 > c->replica.max_staleness_ms)
		return wrong(r, NULL, "replica.heartbeat_ms must be at most half of replica.max_staleness_ms");
	for (const char *const *word = c->flow.second_factor_for; *word != NULL; word++)
		if (!text_same(*word, "helpdesk") && !text_same(*word, "auditors") && !text_same(*word, "processors") &&
		    !text_same(*word, "officials"))
			return wrong(r, NULL, "sign_in.second_factor_for: '%s' is none of helpdesk, auditors, processors, officials", *word);
	for (const char *p = c->flow.issuer; *p != '\0'; p++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", *p) == NULL)
			return wrong(r, NULL, "sign_in.issuer takes letters, digits, '.' and '-'");
	if (c->flow.session_idle_s > c->flow.session_absolute_s)
		return wrong(r, NULL, "session.idle_seconds is longer than session.absolute_seconds");
	if (c->flow.session_touch_s > c->flow.session_idle_s)
		return wrong(r, NULL, "session.touch_seconds is longer than session.idle_seconds");
	return SUCCESS;
}

static const char *folder_of(struct arena *a, const char *file)
{
	char whole[PATH_MAX];
	const char *name = realpath(file, whole) != NULL ? whole : file;
	const char *slash = strrchr(name, '/');

	return slash == NULL ? "." : arena_copy(a, name, slash == name ? 1 : (size_t)(slash - name));
}

struct err conf_read(struct arena *a, const char *file, struct conf *out)
{
	struct reading r = { a, file, folder_of(a, file), out };
	config_t config;

	*out = (struct conf){ 0 };
	for (size_t i = 0; i < COUNT(settings); i++)
		if (settings[i].standard != REQUIRED)
			take_standard(&r, &settings[i]);
	config_init(&config);
	config_set_include_dir(&config, r.folder);
	struct err e = SUCCESS;
	errno = 0;
	if (config_read_file(&config, file) != CONFIG_TRUE) {
		const char *at = config_error_file(&config) != NULL ? config_error_file(&config) : file;

		e = config_error_type(&config) == CONFIG_ERR_FILE_IO
		    ? FAIL(ERR_INVALID, arena_printf(a, "%s: %s", file, strerror(errno != 0 ? errno : EISDIR)))
		    : FAIL(ERR_INVALID, arena_printf(a, "%s:%d: %s", at, config_error_line(&config), config_error_text(&config)));
	} else {
		e = walk(&r, config_root_setting(&config), "");
		for (size_t i = 0; i < COUNT(settings) && e.code == OK; i++)
			if (settings[i].standard == REQUIRED && config_lookup(&config, settings[i].name) == NULL)
				e = wrong(&r, NULL, "%s is required", settings[i].name);
	}
	config_destroy(&config);
	TRY(e);
	TRY(check_together(&r));
	out->http.fresh_ms = out->flow.wait_ms;
	out->http.help.nppes_link = out->flow.nppes_link;
	out->nppes.base = out->nppes.people;
	out->nppes.searches = out->nppes.writers = 1;
	return SUCCESS;
}

static bool same_texts(const char *const *a, const char *const *b)
{
	for (; *a != NULL && *b != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

const char *conf_needs_restart(const struct conf *now, const struct conf *next)
{
	for (size_t i = 0; i < COUNT(settings); i++) {
		const struct setting *s = &settings[i];
		const void *a = place_of((struct conf *)(uintptr_t)now, s), *b = place_of((struct conf *)(uintptr_t)next, s);
		bool same = true;

		if (s->when == RELOAD)
			continue;
		if (s->kind == TEXT || s->kind == PATH)
			same = text_same(*(const char *const *)a, *(const char *const *)b);
		else if (s->kind == NUMBER)
			same = *(const int *)a == *(const int *)b;
		else if (s->kind == FLAG)
			same = *(const bool *)a == *(const bool *)b;
		else if (s->kind == URIS)
			same = same_texts(a, b);
		else if (s->kind == PATHS)
			same = same_texts(*(const char *const *const *)a, *(const char *const *const *)b);
		if (!same)
			return s->name;
	}
	return NULL;
}

void conf_print_table(void)
{
	static const char *const kinds[] = { "text", "path", "number", "flag", "texts", "paths", "uris", "routes" };

	for (size_t i = 0; i < COUNT(settings); i++) {
		const struct setting *s = &settings[i];

		printf("%s %s %s %d %d %s\n", s->name, kinds[s->kind], s->standard != NULL ? s->standard : "none", s->min,
		    s->max, s->when == RELOAD ? "reload" : "restart");
	}
}
