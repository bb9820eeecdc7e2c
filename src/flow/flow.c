/* Opening, closing and configuring the workflows. */
#include "flow/flow.h"

#include <stdlib.h>

#include "flow/inside.h"
#include "flow/paper.h"
#include "flow/password.h"

#include "base/banned.h"

/* About 0.5, 2 and 4 MB of address space when full, much less in use. */
#define ADDRESSES 8192
#define PAIRS 32768
#define USES 65536
#define PRODUCT "scfgate"

void flow_configure(struct flow *f, const struct flow_settings *s)
{
	atomic_store(&f->set.session_idle_s, s->session_idle_s);
	atomic_store(&f->set.session_absolute_s, s->session_absolute_s);
	atomic_store(&f->set.session_touch_s, s->session_touch_s);
	atomic_store(&f->set.recent_s, s->recent_s);
	atomic_store(&f->set.wait_ms, s->wait_ms);
	atomic_store(&f->set.guesses_per_account, s->guesses_per_account);
	atomic_store(&f->set.guesses_per_address, s->guesses_per_address);
	atomic_store(&f->set.guess_window_s, s->guess_window_s);
	atomic_store(&f->set.refusal_ms, s->refusal_ms);
	unsigned due = 0;
	for (const char *const *word = s->second_factor_for; word != NULL && *word != NULL; word++)
		due |= factor_bit(*word);
	atomic_store(&f->set.second_factor_for, (int)due);
	atomic_store(&f->set.inactive_days, s->inactive_days);
	atomic_store(&f->set.request_days, s->request_days);
	atomic_store(&f->set.document_keep_days, s->document_keep_days);
	atomic_store(&f->set.password_least, s->password_least);
	atomic_store(&f->set.password_least_with_second_factor, s->password_least_with_second_factor);
	atomic_store(&f->set.registration_hours, s->registration_hours);
	atomic_store(&f->set.reset_minutes, s->reset_minutes);
	atomic_store(&f->set.mails_per_address, s->mails_per_address);
	atomic_store(&f->set.mails_per_account, s->mails_per_account);
}

static struct err open_paper(struct arena *a, const struct flow_settings *s, struct paper **out)
{
	*out = NULL;
	return s->consent_text != NULL ? paper_open(a, s->consent_text, s->consent_font, out) : SUCCESS;
}

struct err flow_check(struct arena *a, const struct flow_settings *s)
{
	struct blocklist *blocklist;
	struct paper *paper;

	TRY(blocklist_open(s->password_blocklists, &blocklist));
	blocklist_close(blocklist);
	struct err e = open_paper(a, s, &paper);
	paper_close(paper);
	return e;
}

static void put_away(struct flow *f)
{
	blocklist_close(f->blocklist);
	paper_close(f->paper);
	throttle_close(f->mails);
	throttle_close(f->throttle);
	book_close(f->book);
	uses_close(f->uses);
	free(f);
}

struct err flow_open(const struct flow_settings *settings, struct replica *replica, struct dir *dir, struct dir *nppes,
    struct audit *audit, const struct forms *forms, struct mail *mail, struct flow **out)
{
	struct flow *f = must_alloc(sizeof *f);

	*out = NULL;
	struct err e = blocklist_open(settings->password_blocklists, &f->blocklist);
	if (e.code != OK) {
		free(f);
		return e;
	}
	struct arena *words = arena_open();
	e = open_paper(words, settings, &f->paper);
	arena_close(words);
	if (e.code != OK) {
		blocklist_close(f->blocklist);
		free(f);
		return FAIL(e.code, "consent.text or consent.font cannot be used"); /* flow_check says why */
	}
	f->public_url = settings->public_url;
	f->nppes_link = settings->nppes_link;
	f->replica = replica;
	f->dir = dir;
	f->nppes = nppes;
	f->audit = audit;
	f->forms = forms;
	f->mail = mail;
	f->throttle = throttle_open(ADDRESSES, PAIRS);
	f->book = book_open();
	f->issuer = settings->issuer != NULL ? settings->issuer : PRODUCT;
	f->mails = throttle_open(ADDRESSES, ADDRESSES);
	f->uses = uses_open(USES);
	flow_configure(f, settings);
	e = keeper_open(f);
	if (e.code != OK) {
		put_away(f);
		return e;
	}
	*out = f;
	return SUCCESS;
}

void flow_close(struct flow *f)
{
	keeper_close(f);
	put_away(f);
}
