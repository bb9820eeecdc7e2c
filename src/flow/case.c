/* Cases of the help desk: how each is named, so that about the same matter one is open and not two. */
#include "flow/inside.h"

#include "base/banned.h"

#define TRIES 8

struct search {
	enum case_kind kind;
	number user, provider, employer; /* 0: none is named */
	const struct help_case *open;
	size_t count;
};

static bool look_at_case(void *self, const struct help_case *h)
{
	struct search *s = self;

	if (h->kind != s->kind || (s->user != 0 && h->user != s->user) || h->provider != s->provider ||
	    (s->employer != 0 && h->employer != s->employer))
		return true;
	s->count++;
	if (h->state == STATE_SUBMITTED)
		s->open = h;
	return true;
}

static const char *next_id(struct arena *a, const struct entry *about, size_t earlier)
{
	const char *user = about->user != NULL ? about->user : "";
	const char *provider = about->provider != NULL ? about->provider : "";
	const char *employer = about->employer != NULL ? about->employer : "";

	return act_id_of(a, 'h', arena_printf(
	    a, "%s|%s|%s|%s|%zu", case_word(about->case_kind), user, provider, employer, earlier));
}

struct err case_name(struct arena *a, struct flow *f, struct entry *about, bool *made)
{
	struct search s = { .kind = about->case_kind };
	bool fresh = false;

	about->id = NULL;
	WITH_REPLICA(view, f->replica) {
		const struct person *person = about->user != NULL ? replica_person(&view, about->user) : NULL;

		s.user = person != NULL ? person->no : 0;
		s.provider = act_org_no(&view, about->provider);
		s.employer = act_org_no(&view, about->employer);
		fresh = view.fresh && (about->user == NULL || person != NULL);
		if (fresh)
			replica_each_case(&view, look_at_case, &s);
		if (s.open != NULL)
			about->id = arena_strdup(a, s.open->id);
	}
	if (!fresh)
		return FAIL(ERR_UNAVAILABLE, "the replica is stale");
	*made = about->id == NULL;
	if (*made)
		about->id = next_id(a, about, s.count);
	return SUCCESS;
}

struct err case_open(struct arena *a, struct flow *f, const struct caller *c, struct entry *about, bool *made)
{
	struct act act = {
		.question.subject = about->requested_by,
		.event = "case.open",
		.detail = case_word(about->case_kind),
		.to = about,
		.by_gateway = true,
	};
	struct revision written;

	for (int i = 0; i < TRIES; i++) {
		TRY(case_name(a, f, about, made));
		if (!*made)
			return SUCCESS;
		TRY(mend_write(a, f, c, &act, &written));
		if (written.micros != 0)
			return session_settle(f, &written);
		/* Somebody was first, perhaps at another gateway: it is found once the replica has it. */
		TRY(mend_settle(f));
	}
	return FAIL(ERR_UNAVAILABLE, "no name is left for a case");
}
