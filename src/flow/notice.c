/* Telling people by mail what has happened. It never keeps anything from happening: what cannot be told is logged. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

static void send_to(struct flow *f, const char *template, const char *uid, const char *mail,
    const struct mail_field *fields)
{
	struct err e = mail_send(f->mail, template, mail, fields);

	if (e.code != OK)
		log_event(LOG_WARNING, "notice.lost", "template=%s user=%s error=\"%s\"", template, uid, e.what);
}

void notice_send(struct arena *a, struct flow *f, const char *template, const char *uid, const struct mail_field *fields)
{
	struct entry person;
	size_t count = 0;

	if (f->mail == NULL) {
		log_event(LOG_INFO, "notice.skipped", "template=%s user=%s", template, uid);
		return;
	}
	struct err e = dir_read(a, f->dir, NULL, KIND_PERSON, NULL, uid, &person);
	if (e.code != OK || person.mail == NULL) {
		log_event(LOG_WARNING, "notice.lost", "template=%s user=%s error=\"%s\"", template, uid,
		    e.code != OK ? e.what : "the person has no mail address");
		return;
	}
	while (fields != NULL && fields[count].name != NULL)
		count++;
	struct mail_field *all = arena_alloc(a, (count + 3) * sizeof *all);
	all[0] = (struct mail_field){ "name", person.name };
	all[1] = (struct mail_field){ "username", uid };
	if (count > 0)
		memcpy(all + 2, fields, count * sizeof *all);
	send_to(f, template, uid, person.mail, all);
}

void notice_help_desk(struct flow *f, const char *template, const struct mail_field *fields)
{
	const char *desk = mail_help_desk(f->mail);

	if (desk == NULL)
		log_event(LOG_INFO, "notice.skipped", "template=%s", template);
	else
		send_to(f, template, "", desk, fields);
}

void flow_mail_status(struct flow *f, struct mail_status *out)
{
	mail_status(f->mail, out);
}
