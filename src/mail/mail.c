/* Accepting messages, and the thread that delivers them. */
#include "mail/mail.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "mail/message.h"
#include "mail/smtp.h"
#include "mail/spool.h"
#include "mail/template.h"

#include "base/banned.h"

#define LOOK_S 30       /* how often the folder is looked through, news or not */
#define TIDY_S 3600
#define PASSWORD_MOST 256

struct mail {
	struct mail_settings settings;
	const struct template *templates;
	struct spool spool;
	char password[PASSWORD_MOST];
	atomic_ullong waiting, sent, put_off, failed;
	_Atomic int64_t silent_since;

	pthread_t sender;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool news;            /* under lock: there may be something to send */
	atomic_bool stopping; /* set under lock */
};

/* ---- sending ---- */

/* When to wake up next: seconds since the epoch. server_pause: of the present silence, doubled with each failure. */
struct round {
	struct mail *m;
	struct smtp *smtp; /* NULL: not needed yet */
	int64_t now, next;
	int server_pause;
};

static void sooner(struct round *r, int64_t at)
{
	if (at < r->next)
		r->next = at;
}

/* The pause grows as the message gets older, so that nothing but the file's time need be kept. */
static void put_off(struct round *r, const struct spool_name *name)
{
	const struct mail_settings *s = &r->m->settings;
	int64_t age = r->now - name->made_at;
	int64_t pause = age < s->retry_s ? s->retry_s : age < s->retry_most_s ? age : s->retry_most_s;

	spool_put_off(&r->m->spool, name, r->now + pause);
	atomic_fetch_add(&r->m->put_off, 1);
	sooner(r, r->now + pause);
}

/* Moved back by hand, a message was not counted. */
static void count_less(struct mail *m)
{
	unsigned long long n = atomic_load(&m->waiting);

	while (n > 0 && !atomic_compare_exchange_weak(&m->waiting, &n, n - 1))
		;
}

static void give_up(struct round *r, const struct spool_name *name, const char *why)
{
	log_event(LOG_ERROR, "mail.failed", "message=%s reason=\"%s\"", name->id, why);
	spool_give_up(&r->m->spool, name);
	atomic_fetch_add(&r->m->failed, 1);
	count_less(r->m);
}

static void pause_for_server(struct round *r, const char *why)
{
	struct mail *m = r->m;
	int64_t none = 0;

	r->server_pause = r->server_pause == 0 ? m->settings.retry_s : 2 * r->server_pause;
	if (r->server_pause > m->settings.retry_most_s)
		r->server_pause = m->settings.retry_most_s;
	if (atomic_compare_exchange_strong(&m->silent_since, &none, r->now))
		log_event(LOG_WARNING, "mail.server", "reason=\"%s\" pause_s=%d", why, r->server_pause);
	r->next = r->now + r->server_pause;
}

static void settle(struct round *r, const struct spool_name *name, enum delivery delivery, const char *says)
{
	struct mail *m = r->m;

	r->now = clock_now();
	if (delivery == DELIVERY_DONE) {
		spool_remove(&m->spool, name);
		atomic_fetch_add(&m->sent, 1);
		count_less(m);
		log_event(LOG_INFO, "mail.sent", "message=%s", name->id);
	} else if (delivery == DELIVERY_NEVER) {
		give_up(r, name, says);
	} else if (delivery == DELIVERY_LATER || delivery == DELIVERY_BROKEN_OFF) {
		log_event(LOG_WARNING, "mail.put_off", "message=%s reason=\"%s\"", name->id, says);
		put_off(r, name);
	}
	if (delivery == DELIVERY_NO_SERVER || delivery == DELIVERY_BROKEN_OFF) {
		pause_for_server(r, says);
		return;
	}
	if (atomic_exchange(&m->silent_since, 0) != 0)
		log_event(LOG_INFO, "mail.server", "reason=\"it answers again\"");
	r->server_pause = 0;
}

/* False: the server is to be left alone for a while. */
static bool deliver(struct round *r, const struct spool_name *name)
{
	struct mail *m = r->m;
	const char *to, *message, *says = "";
	char *whole;
	size_t size;

	struct err e = spool_read(&m->spool, name, &whole, &to, &message, &size);
	if (e.code == ERR_INVALID)
		give_up(r, name, e.what);
	if (e.code != OK) {
		free(whole);
		return true;
	}
	if (r->smtp == NULL)
		r->smtp = smtp_open(&m->settings, m->password, &m->stopping);
	enum delivery delivery = smtp_deliver(r->smtp, to, message, size, &says);
	if (delivery == DELIVERY_DONE || !atomic_load(&m->stopping))
		settle(r, name, delivery, says);
	free(whole);
	return delivery != DELIVERY_NO_SERVER && delivery != DELIVERY_BROKEN_OFF;
}

static void send_what_is_due(struct round *r)
{
	struct mail *m = r->m;
	struct spool_name *list;
	size_t count;

	r->now = clock_now();
	r->next = r->now + LOOK_S;
	struct err e = spool_list(&m->spool, SIZE_MAX, &list, &count);
	if (e.code != OK)
		log_event(LOG_ERROR, "mail.spool", "error=\"%s\"", e.what);
	for (size_t i = 0; i < count && !atomic_load(&m->stopping); i++) {
		bool go_on = true;

		if (list[i].made_at + (int64_t)m->settings.keep_hours * 3600 <= r->now)
			give_up(r, &list[i], "too old");
		else if (list[i].due_at > r->now)
			sooner(r, list[i].due_at);
		else
			go_on = deliver(r, &list[i]);
		if (!go_on)
			break;
	}
	free(list);
	if (r->smtp != NULL)
		smtp_close(r->smtp);
	r->smtp = NULL;
}

/* Until there is something to do. While the server is silent, news do not wake us. */
static void wait_for_news(struct mail *m, int64_t until, bool server_silent)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	int64_t pause = until - clock_now();
	at.tv_sec += pause < 1 ? 1 : pause;
	pthread_mutex_lock(&m->lock);
	while (!m->stopping && (server_silent || !m->news) &&
	    pthread_cond_timedwait(&m->wake, &m->lock, &at) != ETIMEDOUT)
		;
	m->news = false;
	pthread_mutex_unlock(&m->lock);
}

static void *work(void *self)
{
	struct mail *m = self;
	struct round r = { .m = m };
	int64_t tidied_at = 0;

	while (!atomic_load(&m->stopping)) {
		send_what_is_due(&r);
		if (r.now - tidied_at > TIDY_S) {
			spool_tidy(&m->spool, r.now);
			tidied_at = r.now;
		}
		wait_for_news(m, r.next, r.server_pause > 0);
	}
	return NULL;
}

/* ---- opening ---- */

static struct err read_password(struct arena *a, const char *file, char out[PASSWORD_MOST])
{
	FILE *f = fopen(file, "re");

	if (f == NULL)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: %s", file, strerror(errno)));
	setvbuf(f, NULL, _IONBF, 0); /* no second copy */
	bool fine = fgets(out, PASSWORD_MOST, f) != NULL;
	fclose(f);
	out[strcspn(out, "\r\n")] = '\0';
	return fine && out[0] != '\0' ? SUCCESS : FAIL(ERR_INVALID, arena_printf(a, "%s: holds no password", file));
}

struct err mail_check(struct arena *a, const struct mail_settings *s)
{
	const struct template *templates;

	if (s->url == NULL)
		return SUCCESS;
	TRY(smtp_check(a, s));
	return template_read_all(a, s->templates, &templates);
}

static struct err start(struct mail *m)
{
	pthread_condattr_t steady;

	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&m->wake, &steady);
	pthread_condattr_destroy(&steady);
	return pthread_create(&m->sender, NULL, work, m) == 0 ? SUCCESS
							      : FAIL(ERR_UNAVAILABLE, "cannot start a thread");
}

static struct err count_waiting(struct mail *m)
{
	struct spool_name *list;
	size_t count;
	struct err e = spool_list(&m->spool, SIZE_MAX, &list, &count);

	free(list);
	atomic_store(&m->waiting, count);
	return e;
}

static void mail_free(struct mail *m)
{
	spool_close(&m->spool);
	secret_wipe(m->password, sizeof m->password);
	free(m);
}

struct err mail_open(struct arena *a, const struct mail_settings *s, struct mail **out)
{
	*out = NULL;
	if (s->url == NULL)
		return SUCCESS;
	TRY(smtp_check(a, s));
	struct mail *m = must_alloc(sizeof *m);
	m->settings = *s;
	struct err e = template_read_all(a, s->templates, &m->templates);
	if (e.code == OK && s->password_file != NULL)
		e = read_password(a, s->password_file, m->password);
	m->spool = (struct spool){ -1, -1, -1 };
	if (e.code == OK)
		e = spool_open(a, s->spool, &m->spool);
	if (e.code == OK)
		e = count_waiting(m);
	if (e.code == OK)
		e = start(m);
	if (e.code != OK) {
		mail_free(m);
		return e;
	}
	*out = m;
	return SUCCESS;
}

void mail_close(struct mail *m)
{
	if (m == NULL)
		return;
	pthread_mutex_lock(&m->lock);
	atomic_store(&m->stopping, true);
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->sender, NULL);
	pthread_cond_destroy(&m->wake);
	pthread_mutex_destroy(&m->lock);
	mail_free(m);
}

/* ---- accepting ---- */

static struct err put(struct mail *m, const char *to, const char *subject, const char *body)
{
	char id[ID_TEXT], store[4096];
	struct text t;

	random_id(id);
	text_open(&t, store, sizeof store);
	message_write(&t, &(struct message){ id, m->settings.from, to, subject, body, clock_now() });
	struct err e = spool_put(&m->spool, id, to, t.bytes, t.size);
	secret_wipe(t.bytes, t.size); /* a link is as good as a password */
	text_close(&t);
	return e;
}

struct err mail_send(struct mail *m, const char *template, const char *to, const struct mail_field *fields)
{
	char subject_store[256], body_store[2048];
	struct text subject, body;

	if (m == NULL)
		return FAIL(ERR_UNAVAILABLE, "there is no mail");
	if (!text_is_mail_address(to))
		return FAIL(ERR_INVALID, "not a mail address");
	if (atomic_fetch_add(&m->waiting, 1) >= (unsigned long long)m->settings.most) {
		count_less(m);
		return FAIL(ERR_UNAVAILABLE, "the mail spool is full");
	}
	text_open(&subject, subject_store, sizeof subject_store);
	text_open(&body, body_store, sizeof body_store);
	struct err e = template_fill(m->templates, template, fields, &subject, &body);
	if (e.code == OK)
		e = put(m, to, subject.bytes, body.bytes);
	secret_wipe(body.bytes, body.size);
	text_close(&subject);
	text_close(&body);
	if (e.code != OK) {
		log_event(LOG_ERROR, "mail.lost", "template=%s error=\"%s\"", template, e.what);
		count_less(m);
		return e;
	}
	pthread_mutex_lock(&m->lock);
	m->news = true;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
	return SUCCESS;
}

const char *mail_help_desk(const struct mail *m)
{
	return m != NULL ? m->settings.help_desk : NULL;
}

void mail_status(struct mail *m, struct mail_status *out)
{
	*out = (struct mail_status){ .on = m != NULL };
	if (m == NULL)
		return;
	out->waiting = atomic_load(&m->waiting);
	out->sent = atomic_load(&m->sent);
	out->put_off = atomic_load(&m->put_off);
	out->failed = atomic_load(&m->failed);
	out->silent_since = atomic_load(&m->silent_since);
}
