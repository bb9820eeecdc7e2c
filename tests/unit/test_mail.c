/* Mail without a server: what is an address, templates and their checks, messages on the wire, and the spool's files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "mail/message.h"
#include "mail/smtp.h"
#include "mail/spool.h"
#include "mail/template.h"

static char folder[] = "/tmp/scfgate-mail-XXXXXX";

static void an_address_is_a_plain_one(void **state)
{
	(void)state;
	static const struct { const char *text; bool fine; } rows[] = {
		{ "a@example.org", true }, { "first.last+tag@sub.example.org", true }, { "o'neil_{x}@example.org", true },
		{ "a-@example.org", true }, { "a@1.example", true },
		{ "", false }, { "a", false }, { "@example.org", false }, { "a@", false }, { "a@example", false },
		{ "a@@example.org", false }, { "a@b@example.org", false }, { ".a@example.org", false },
		{ "a.@example.org", false }, { "a..b@example.org", false }, { "a@.example.org", false },
		{ "a@example.org.", false }, { "a@example..org", false }, { "a@-example.org", false },
		{ "a@example-.org", false }, { "a b@example.org", false }, { "a@exa mple.org", false },
		{ "\"a\"@example.org", false }, { "a(b)@example.org", false }, { "<a@example.org>", false },
		{ "a@[127.0.0.1]", false }, { "a@example.org\r\nBcc: b@example.org", false },
		{ "a@example.org\n", false }, { "a,b@example.org", false }, { "-oQ@example.org", false },
		{ "\xc3\xa9@example.org", false }, { "a@ex\xc3\xa4mple.org", false },
		{ "a23456789012345678901234567890123456789012345678901234567890abcd@example.org", true },
		{ "a23456789012345678901234567890123456789012345678901234567890abcde@example.org", false },
		{ "a@a23456789012345678901234567890123456789012345678901234567890abc.org", true },
		{ "a@a23456789012345678901234567890123456789012345678901234567890abcd.org", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (text_is_mail_address(rows[i].text) != rows[i].fine)
			fail_msg("'%s' is%s an address", rows[i].text, rows[i].fine ? " not" : "");
	assert_false(text_is_mail_address(NULL));
	char long_one[300];
	memset(long_one, 'a', sizeof long_one);
	memcpy(long_one, "a@", 2);
	for (size_t i = 4; i < sizeof long_one; i += 4)
		long_one[i] = '.';
	long_one[254] = '\0';
	assert_true(text_is_mail_address(long_one));
	long_one[254] = 'a';
	long_one[255] = '\0';
	assert_false(text_is_mail_address(long_one));
}

/* ---- messages ---- */

static char *written(struct arena *a, const char *subject, const char *body)
{
	char store[256];
	struct text t;

	text_open(&t, store, sizeof store);
	message_write(&t, &(struct message){ "abc", "scfgate@example.org", "chen@example.org", subject, body, 1795502264 });
	char *copy = arena_strdup(a, t.bytes);
	text_close(&t);
	for (const char *line = copy; *line != '\0'; line = strchr(line, '\n') + 1) {
		size_t size = strcspn(line, "\r\n");

		assert_true(size <= 78);
		assert_memory_equal(line + size, "\r\n", 2);
		for (size_t i = 0; i < size; i++)
			assert_in_range(line[i], 0x20, 0x7e);
	}
	return copy;
}

static void a_message_holds_in_seven_bits_and_short_lines(void **state)
{
	(void)state;
	struct arena *a = arena_open();
	const char *text = written(a, "Hello", "one\n\ntwo = 2 \n.\nJos\xc3\xa9\n");

	assert_non_null(strstr(text, "Date: Tue, 24 Nov 2026 06:37:44 +0000\r\n"));
	assert_non_null(strstr(text, "\r\nFrom: <scfgate@example.org>\r\nTo: <chen@example.org>\r\n"));
	assert_non_null(strstr(text, "\r\nMessage-ID: <abc@example.org>\r\n"));
	assert_non_null(strstr(text, "\r\nSubject: Hello\r\n"));
	assert_non_null(strstr(text, "\r\n\r\none\r\n\r\ntwo =3D 2=20\r\n.\r\nJos=C3=A9\r\n"));

	text = written(a, "Caf\xc3\xa9", "");
	assert_non_null(strstr(text, "\r\nSubject: =?UTF-8?B?Q2Fmw6k=?=\r\n"));
	text = written(a, "=?UTF-8?B?QQ==?=", "");
	assert_null(strstr(text, "Subject: =?UTF-8?B?QQ==?="));
	char lasting[400] = "";
	for (int i = 0; i < 120; i++)
		memcpy(lasting + 3 * i, "\xe2\x82\xac", 4);
	written(a, lasting, lasting);
	arena_close(a);
}

/* ---- templates ---- */

static struct err read_with(struct arena *a, const char *name, const char *text, const struct template **out)
{
	char file[200];

	snprintf(file, sizeof file, "cp -r %s/conf/mail %s/texts", getenv("srcdir") != NULL ? getenv("srcdir") : ".", folder);
	assert_int_equal(system(file), 0);
	if (name != NULL) {
		snprintf(file, sizeof file, "%s/texts/%s", folder, name);
		FILE *f = fopen(file, "w");
		assert_non_null(f);
		fputs(text, f);
		assert_int_equal(fclose(f), 0);
	}
	snprintf(file, sizeof file, "%s/texts", folder);
	struct err e = template_read_all(a, file, out);
	snprintf(file, sizeof file, "rm -rf %s/texts", folder);
	assert_int_equal(system(file), 0);
	return e;
}

static void a_template_that_is_wrong_is_named(void **state)
{
	(void)state;
	static const struct { const char *file, *text, *says; } rows[] = {
		{ "account-locked.txt", "Subject: x\n\n{{name}} {{password}}\n", "account-locked.txt: {{password}} is not known here" },
		{ "account-locked.txt", "Subject: {{nme}}\n\nx\n", "{{nme}} is not known here" },
		{ "account-locked.txt", "Subject: x\n\n{{name}\n", "is no placeholder" },
		{ "account-locked.txt", "Subject: x\n\n{{}}\n", "is no placeholder" },
		{ "account-locked.txt", "Subject: x\n\n{{ name }}\n", "is no placeholder" },
		{ "account-locked.txt", "Hello\n\nx\n", "must begin with 'Subject: …' and an empty line" },
		{ "account-locked.txt", "Subject: x\nx\n", "must begin with" },
		{ "account-locked.txt", "Subject: x", "must begin with" },
		{ "account-locked.txt", "Subject: \xff\n\nx\n", "in UTF-8" },
		{ "acount-locked.txt", "Subject: x\n\nx\n", "acount-locked.txt: there is no such mail" },
	};
	const struct template *all;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open();
		struct err e = read_with(a, rows[i].file, rows[i].text, &all);

		if (e.code != ERR_INVALID || strstr(e.what, rows[i].says) == NULL)
			fail_msg("row %zu: %s", i, e.code == OK ? "taken" : e.what);
		arena_close(a);
	}
}

static void filling_in_injects_nothing(void **state)
{
	(void)state;
	struct arena *a = arena_open();
	const struct template *all;
	char subject_store[16], body_store[16];
	struct text subject, body;
	const struct mail_field fields[] = { { "name", "A\r\nBcc: x@example.org\x7f \xe2\x80\xa8z" }, { "username", "{{name}}" },
		{ "provider", "Caf\xc3\xa9 \xc2\x85" }, { "employer", "" }, { "decision", "rejected" }, { "reason", NULL }, { 0 } };

	struct err e = read_with(a, "request-decided.txt",
	    "Subject: {{name}} {{decision}}\n\nDear {{name}},\nEmployer: {{employer}}\nReason: {{reason}} {{employer}}\n"
	    "\n{{provider}} {{employer}}\n{{username}}", &all);
	assert_int_equal(e.code, OK);
	text_open(&subject, subject_store, sizeof subject_store);
	text_open(&body, body_store, sizeof body_store);
	e = template_fill(all, "request-decided", fields, &subject, &body);
	assert_int_equal(e.code, OK);
	assert_string_equal(subject.bytes, "A  Bcc: x@example.org   z rejected");
	assert_string_equal(body.bytes, "Dear A  Bcc: x@example.org   z,\n\nCaf\xc3\xa9   \n{{name}}");
	assert_int_equal(template_fill(all, "request-decided", fields + 1, &subject, &body).code, ERR_BUG);
	assert_int_equal(template_fill(all, "no-such", fields, &subject, &body).code, ERR_BUG);
	text_close(&subject);
	text_close(&body);
	arena_close(a);
}

/* ---- the spool ---- */

static void what_is_put_into_the_spool_is_there_whole(void **state)
{
	(void)state;
	struct arena *a = arena_open();
	const char *dir = arena_printf(a, "%s/spool", folder), *to, *message;
	struct spool s, second;
	struct spool_name *list;
	size_t count, size;
	char id[ID_TEXT], *whole;

	assert_int_equal(spool_open(a, dir, &s).code, OK);
	assert_int_equal(spool_open(a, dir, &second).code, ERR_CONFLICT);
	spool_close(&second);
	for (int i = 0; i < 3; i++) {
		random_id(id);
		assert_int_equal(spool_put(&s, id, "chen@example.org", "a\r\n", 3).code, OK);
	}
	FILE *f = fopen(arena_printf(a, "%s/aside-x", dir), "w");
	fclose(f);
	f = fopen(arena_printf(a, "%s/00000000000000000001-abcdefghijklmnopqrstuvwxyz.mail", dir), "w");
	fputs("no address\nx", f);
	fclose(f);
	spool_close(&s);

	assert_int_equal(spool_open(a, dir, &s).code, OK);
	assert_int_not_equal(access(arena_printf(a, "%s/aside-x", dir), F_OK), 0);
	assert_int_equal(spool_list(&s, SIZE_MAX, &list, &count).code, OK);
	assert_int_equal(count, 4);
	assert_int_equal(spool_read(&s, &list[0], &whole, &to, &message, &size).code, ERR_INVALID);
	free(whole);
	spool_give_up(&s, &list[0]);
	assert_int_equal(spool_read(&s, &list[3], &whole, &to, &message, &size).code, OK);
	assert_string_equal(to, "chen@example.org");
	assert_int_equal(size, 3);
	assert_memory_equal(message, "a\r\n", 3);
	assert_string_equal(list[3].id, id);
	free(whole);
	spool_put_off(&s, &list[1], 1900000000);
	spool_remove(&s, &list[2]);
	free(list);
	assert_int_equal(spool_list(&s, SIZE_MAX, &list, &count).code, OK);
	assert_int_equal(count, 2);
	assert_int_equal(list[0].due_at, 1900000000);
	free(list);
	spool_tidy(&s, clock_now());
	assert_int_not_equal(
	    access(arena_printf(a, "%s/failed/00000000000000000001-abcdefghijklmnopqrstuvwxyz.mail", dir), F_OK), 0);
	spool_close(&s);

	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(spool_open(a, dir, &s).code, ERR_INVALID);
	spool_close(&s);
	arena_close(a);
}

static void settings_that_would_lose_mail_are_refused(void **state)
{
	(void)state;
	const struct mail_settings fine = { .url = "smtp://mail.example", .from = "a@example.org", .retry_s = 1,
		.retry_most_s = 2, .timeout_ms = 1000 };
	static const struct { struct mail_settings change; const char *says; } rows[] = {
		{ { .url = "http://mail.example" }, "mail.url" },
		{ { .url = "smtp://user:secret@mail.example" }, "mail.url must not hold" },
		{ { .plain = true }, "mail.plain" },
		{ { .plain = true, .url = "smtp://localhost.example.org" }, "mail.plain" },
		{ { .from = "us" }, "mail.from" },
		{ { .help_desk = "the desk" }, "mail.help_desk" },
		{ { .user = "x" }, "mail.password_file" },
		{ { .retry_s = 3 }, "mail.retry_seconds" },
	};
	struct arena *a = arena_open();
	struct mail *m;

	assert_int_equal(smtp_check(a, &fine).code, OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct mail_settings *c = &rows[i].change;
		struct mail_settings s = fine;

		s.url = c->url != NULL ? c->url : s.url;
		s.from = c->from != NULL ? c->from : s.from;
		s.retry_s = c->retry_s != 0 ? c->retry_s : s.retry_s;
		s.plain = c->plain;
		s.help_desk = c->help_desk;
		s.user = c->user;
		struct err e = smtp_check(a, &s);
		if (e.code != ERR_INVALID || strstr(e.what, rows[i].says) == NULL)
			fail_msg("row %zu: %s", i, e.code == OK ? "taken" : e.what);
	}
	assert_int_equal(mail_open(a, &(struct mail_settings){ 0 }, &m).code, OK);
	assert_null(m);
	assert_int_equal(mail_send(m, "account-locked", "a@example.org", (struct mail_field[]){ { 0 } }).code, ERR_UNAVAILABLE);
	mail_close(m);
	arena_close(a);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_a_plain_one),
		cmocka_unit_test(a_message_holds_in_seven_bits_and_short_lines),
		cmocka_unit_test(a_template_that_is_wrong_is_named),
		cmocka_unit_test(filling_in_injects_nothing),
		cmocka_unit_test(what_is_put_into_the_spool_is_there_whole),
		cmocka_unit_test(settings_that_would_lose_mail_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mail", tests, make_folder, remove_folder);
}
