/* Opening, closing and configuring the workflows. */
#include "flow/flow.h"

#include <stdlib.h>

#include "flow/inside.h"

#include "base/banned.h"

/* About 0.5, 2 and 4 MB of address space when full, much less in use. */
#define ADDRESSES 8192
#define PAIRS 32768
#define USES 65536

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
}

struct err flow_open(const struct flow_settings *settings, struct replica *replica, struct dir *dir, struct dir *nppes,
    struct audit *audit, const struct forms *forms, struct flow **out)
{
	struct flow *f = must_alloc(sizeof *f);

	*out = NULL;
	f->replica = replica;
	f->dir = dir;
	f->nppes = nppes;
	f->audit = audit;
	f->forms = forms;
	f->throttle = throttle_open(ADDRESSES, PAIRS);
	f->uses = uses_open(USES);
	flow_configure(f, settings);
	struct err e = keeper_open(f);
	if (e.code != OK) {
		throttle_close(f->throttle);
		uses_close(f->uses);
		free(f);
		return e;
	}
	*out = f;
	return SUCCESS;
}

void flow_close(struct flow *f)
{
	keeper_close(f);
	throttle_close(f->throttle);
	uses_close(f->uses);
	free(f);
}
