/* No test by itself: test_mail.py starts it, says a line, and hears a line; src/mail against a real server.
 *   mail_driver SETTING=VALUE…          ready | the error
 *   send TEMPLATE TO NAME=VALUE|…       ok | ERROR what
 *   status                              waiting sent put_off failed silent */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "mail/mail.h"

#define LINE_MOST 65536
#define FIELDS_MOST 16

static const char *after(const char *text, const char *name)
{
	size_t size = strlen(name);

	return strncmp(text, name, size) == 0 && text[size] == '=' ? text + size + 1 : NULL;
}

static void take(struct mail_settings *s, const char *text)
{
	const struct { const char *name; const char **to; } texts[] = { { "url", &s->url }, { "user", &s->user },
		{ "password_file", &s->password_file }, { "ca_file", &s->ca_file }, { "from", &s->from },
		{ "help_desk", &s->help_desk }, { "spool", &s->spool }, { "templates", &s->templates } };
	const struct { const char *name; int *to; } numbers[] = { { "timeout_ms", &s->timeout_ms },
		{ "retry_seconds", &s->retry_s }, { "retry_most_seconds", &s->retry_most_s }, { "keep_hours", &s->keep_hours },
		{ "most", &s->most } };
	const char *value;

	for (size_t i = 0; i < COUNT(texts); i++)
		if ((value = after(text, texts[i].name)) != NULL)
			*texts[i].to = value;
	for (size_t i = 0; i < COUNT(numbers); i++)
		if ((value = after(text, numbers[i].name)) != NULL)
			*numbers[i].to = (int)strtol(value, NULL, 10);
	if ((value = after(text, "plain")) != NULL)
		s->plain = strcmp(value, "true") == 0;
}

static struct err send_line(struct mail *m, char *line)
{
	struct mail_field fields[FIELDS_MOST + 1] = { 0 };
	char *save, *template = strtok_r(line, " ", &save), *to = strtok_r(NULL, " ", &save), *field;

	for (size_t i = 0; i < FIELDS_MOST && (field = strtok_r(NULL, "|", &save)) != NULL; i++) {
		char *value = strchr(field, '=');

		*value = '\0';
		fields[i] = (struct mail_field){ field, value + 1 };
	}
	return mail_send(m, template, to, fields);
}

int main(int argc, char **argv)
{
	struct mail_settings s = { .keep_hours = 72, .most = 10000 };
	static char line[LINE_MOST];
	struct arena *a = arena_open();
	struct mail *m;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* as scfgated does */
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		take(&s, argv[i]);
	struct err e = mail_open(a, &s, &m);
	printf("%s\n", e.code == OK ? "ready" : e.what);
	while (e.code == OK && fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (text_begins(line, "send ")) {
			struct err sent = send_line(m, line + 5);

			printf("%s\n", sent.code == OK ? "ok" : sent.what);
		} else {
			struct mail_status status;

			mail_status(m, &status);
			printf("%llu %llu %llu %llu %lld\n", (unsigned long long)status.waiting,
			    (unsigned long long)status.sent, (unsigned long long)status.put_off,
			    (unsigned long long)status.failed, (long long)status.silent_since);
		}
	}
	mail_close(m);
	arena_close(a);
	return e.code == OK ? 0 : 1;
}
