/* SMTP by libcurl: encrypted unless it stays on this host, with the server's name verified, and bounded in time. */
#include "mail/smtp.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "base/banned.h"

#define CONNECT_SHARE 2 /* connecting may take half of the time of a delivery */
#define SAYS_MOST 200

struct smtp {
	const struct mail_settings *settings;
	const atomic_bool *stopping;
	CURL *curl;
	char error[CURL_ERROR_SIZE];
	char says[SAYS_MOST + 1]; /* the server's last line */
	const char *rest;         /* of the message, not given to the server yet */
	size_t rest_size;
	bool body_begun;
};

static bool is_here(const char *url)
{
	static const char *const hosts[] = { "smtp://127.0.0.1", "smtp://[::1]", "smtp://localhost" };

	for (size_t i = 0; i < COUNT(hosts); i++)
		if (text_begins(url, hosts[i]) && strchr(":/", url[strlen(hosts[i])]) != NULL)
			return true;
	return false;
}

struct err smtp_check(struct arena *a, const struct mail_settings *s)
{
	if (!text_begins(s->url, "smtp://") && !text_begins(s->url, "smtps://"))
		return FAIL(ERR_INVALID, "mail.url must begin with smtp:// or smtps://");
	if (s->plain && !is_here(s->url))
		return FAIL(ERR_INVALID, "mail.plain is for a server on this host: smtp://127.0.0.1, [::1] or localhost");
	if (strchr(s->url, '@') != NULL)
		return FAIL(ERR_INVALID, "mail.url must not hold a name: mail.user and mail.password_file do");
	if (s->from == NULL || !text_is_mail_address(s->from))
		return FAIL(ERR_INVALID, "mail.from must be a mail address");
	if (s->help_desk != NULL && !text_is_mail_address(s->help_desk))
		return FAIL(ERR_INVALID, "mail.help_desk must be a mail address");
	if ((s->user == NULL) != (s->password_file == NULL))
		return FAIL(ERR_INVALID, "mail.user and mail.password_file go together");
	if (s->retry_s > s->retry_most_s)
		return FAIL(ERR_INVALID, "mail.retry_seconds is longer than mail.retry_most_seconds");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return FAIL(ERR_UNAVAILABLE, arena_printf(a, "libcurl %s cannot be started", LIBCURL_VERSION));
	return SUCCESS;
}

/* ---- what libcurl calls ---- */

static size_t give_body(char *to, size_t unit, size_t units, void *self)
{
	struct smtp *s = self;
	size_t n = unit * units < s->rest_size ? unit * units : s->rest_size;

	s->body_begun = true;
	memcpy(to, s->rest, n);
	s->rest += n;
	s->rest_size -= n;
	return n;
}

static size_t hear_line(char *line, size_t unit, size_t units, void *self)
{
	struct smtp *s = self;
	size_t size = unit * units, n = size;

	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	if (n > SAYS_MOST)
		n = SAYS_MOST;
	/* After a refusal libcurl says good-bye; what came before is what we want to know. */
	if (n < 4 || memcmp(line, "221", 3) != 0) {
		memcpy(s->says, line, n);
		s->says[n] = '\0';
	}
	return size;
}

static int may_go_on(void *self, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct smtp *s = self;

	(void)a, (void)b, (void)c, (void)d;
	return atomic_load(s->stopping);
}

/* ---- the connection ---- */

struct smtp *smtp_open(const struct mail_settings *settings, const char *password, const atomic_bool *stopping)
{
	struct smtp *s = must_alloc(sizeof *s);
	CURL *c = s->curl = curl_easy_init();

	s->settings = settings;
	s->stopping = stopping;
	if (c == NULL)
		abort(); /* out of memory */
	curl_easy_setopt(c, CURLOPT_URL, settings->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)settings->timeout_ms / CONNECT_SHARE);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)settings->timeout_ms);
	/* The good-bye to a server that has fallen silent is not within the time of the delivery. */
	curl_easy_setopt(c, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)settings->timeout_ms / 1000 + 1);
	curl_easy_setopt(c, CURLOPT_USE_SSL, settings->plain ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (settings->ca_file != NULL)
		curl_easy_setopt(c, CURLOPT_CAINFO, settings->ca_file);
	if (settings->user != NULL) {
		curl_easy_setopt(c, CURLOPT_USERNAME, settings->user);
		curl_easy_setopt(c, CURLOPT_PASSWORD, password);
	}
	curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, give_body);
	curl_easy_setopt(c, CURLOPT_READDATA, s);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, hear_line);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, s);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, may_go_on);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, s);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->error);
	return s;
}

void smtp_close(struct smtp *s)
{
	curl_easy_cleanup(s->curl);
	free(s);
}

/* What the failure concerns. A refusal of a sender or recipient (libcurl: SEND_ERROR) or of the whole message, after it
 * was given, is about this message; a greeting, STARTTLS or sign-in that fails is about the server, and 53x about
 * us. */
static enum delivery meaning_of(const struct smtp *s, CURLcode result)
{
	long code = 0;

	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &code);
	bool refused = (result == CURLE_SEND_ERROR || (result == CURLE_WEIRD_SERVER_REPLY && s->body_begun)) && code >= 400;
	if (result == CURLE_OK)
		return DELIVERY_DONE;
	if (refused && code >= 500 && (code < 530 || code > 538))
		return DELIVERY_NEVER;
	if (refused && code != 421)
		return DELIVERY_LATER;
	return s->says[0] != '\0' ? DELIVERY_BROKEN_OFF : DELIVERY_NO_SERVER;
}

enum delivery smtp_deliver(struct smtp *s, const char *to, const char *message, size_t size, const char **says)
{
	struct curl_slist *recipients = curl_slist_append(NULL, to);

	if (recipients == NULL)
		abort(); /* out of memory */
	s->says[0] = s->error[0] = '\0';
	s->rest = message;
	s->rest_size = size;
	s->body_begun = false;
	curl_easy_setopt(s->curl, CURLOPT_MAIL_FROM, s->settings->from);
	curl_easy_setopt(s->curl, CURLOPT_MAIL_RCPT, recipients);
	curl_easy_setopt(s->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	CURLcode result = curl_easy_perform(s->curl);
	curl_easy_setopt(s->curl, CURLOPT_MAIL_RCPT, NULL);
	curl_slist_free_all(recipients);
	enum delivery delivery = meaning_of(s, result);
	*says = delivery != DELIVERY_NO_SERVER && delivery != DELIVERY_BROKEN_OFF ? s->says
	    : s->error[0] != '\0' ? s->error : curl_easy_strerror(result);
	return delivery;
}
