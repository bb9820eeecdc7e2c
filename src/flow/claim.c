/* Claims to be the Authorized Official: handed in with a document, decided by the help desk.
 *
 * An approval takes three writes: the claim is marked as decided on (it cannot be withdrawn any more, nor approved by
 * somebody else), the organization gets its official in one guarded step, and the claim becomes approved. If the second
 * fails the mark is taken away; what a gateway left that died in between is finished, or unmarked, by mend_claims. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/organization_inside.h"

#include "base/banned.h"

#define TRIES 4
#define NOTE_MOST 512
#define OPEN_MOST 10    /* claims of one person */
#define MARK_HOLDS_S 60 /* longer than an approval can take */

/* ---- telling ---- */

static struct err read_document_head(
    struct arena *a, struct flow *f, const struct caller *c, const struct entry *claim, struct attachment *out)
{
	*out = (struct attachment){ 0 };
	if (claim->attachment == NULL)
		return SUCCESS;
	struct err e = dir_attachment_head(a, f->dir, c->uid, claim->attachment, out);
	if (e.code == ERR_NOT_FOUND)
		*out = (struct attachment){ 0 };
	return e.code == ERR_NOT_FOUND ? SUCCESS : e;
}

static struct err tell_claim(struct arena *a, struct flow *f, const struct caller *c, const struct entry *claim,
    bool whole, struct claim_info *out)
{
	struct entry person, organization;

	*out = (struct claim_info){ .entry = *claim };
	out->for_desk = act_has_role(f, c, ROLE_HELP_DESK);
	if (!out->for_desk || !whole)
		return SUCCESS;
	struct err e = dir_read(a, f->dir, c->uid, KIND_PERSON, NULL, claim->user, &person);
	if (e.code == OK) {
		out->claimant_name = person.name;
		out->claimant_mail = person.mail;
	} else if (e.code != ERR_NOT_FOUND) {
		return e;
	}
	TRY(dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, claim->provider, &organization));
	TRY(organization_info(a, f, c, &organization, ONE_ORGANIZATION, &out->organization));
	return read_document_head(a, f, c, claim, &out->document);
}

/* The organization that a claim lies in; NULL: there is no such claim, or none that he may know of. */
static struct err provider_of(struct arena *a, struct flow *f, const struct caller *c, const char *id, const char **out,
    struct revision *revision)
{
	bool fresh = false;

	*out = NULL;
	WITH_REPLICA(view, f->replica) {
		const struct claim *claim = replica_claim(&view, id);

		fresh = view.fresh;
		*revision = view.revision;
		if (claim != NULL && act_may_see(&view, replica_person(&view, c->uid), claim->provider, claim->user))
			*out = arena_strdup(a, replica_org_id(&view, claim->provider));
	}
	return fresh ? SUCCESS : FAIL(ERR_UNAVAILABLE, "the replica is stale");
}

struct err flow_view_claim(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    struct claim_info *out, struct revision *revision)
{
	const char *provider;
	struct entry entry;

	*out = (struct claim_info){ 0 };
	TRY(provider_of(a, f, c, id, &provider, revision));
	if (provider == NULL)
		return FAIL(ERR_NOT_FOUND, "no such claim");
	TRY(dir_read(a, f->dir, c->uid, KIND_CLAIM, provider, id, &entry));
	TRY(tell_claim(a, f, c, &entry, true, out));
	return act_looked(f, c, "claim.view", &entry);
}

struct err flow_list_claims(struct arena *a, struct flow *f, const struct caller *c, const char *provider,
    enum state state, const struct page *page, struct claim_info **out, size_t *count, const char **next)
{
	struct list_query query = { .kind = KIND_CLAIM, .provider = provider, .state = state, .user = c->uid };
	struct listing found;

	*count = 0;
	*next = NULL;
	/* The directory shows others none but their own; so only those are looked for. */
	WITH_REPLICA(view, f->replica) {
		if (act_may_see(&view, replica_person(&view, c->uid), act_org_no(&view, provider), 0))
			query.user = NULL;
	}
	TRY(list_entries(a, f, c->uid, &query, page, &found));
	*out = arena_alloc(a, found.count * sizeof **out);
	for (size_t i = 0; i < found.count; i++)
		TRY(tell_claim(a, f, c, &found.entries[i], false, &(*out)[(*count)++]));
	*next = found.next;
	return SUCCESS;
}

/* ---- handing in ---- */

struct earlier {
	number user, provider;
	size_t here, open_here, open;
};

static bool count_claim(void *self, const struct claim *claim)
{
	struct earlier *e = self;
	bool open = claim->state == STATE_SUBMITTED;

	if (claim->user != e->user)
		return true;
	e->open += open;
	if (claim->provider == e->provider) {
		e->here++;
		e->open_here += open;
	}
	return true;
}

static struct earlier count_claims(struct flow *f, const struct caller *c, const char *provider)
{
	struct earlier earlier = { 0 };

	WITH_REPLICA(view, f->replica) {
		const struct person *p = replica_person(&view, c->uid);
		const struct organization *o = replica_organization(&view, provider);

		if (p != NULL && o != NULL) {
			earlier = (struct earlier){ .user = p->no, .provider = o->no };
			replica_each_claim(&view, count_claim, &earlier);
		}
	}
	return earlier;
}

struct open_claim {
	number provider;
	bool found;
};

static bool look_for_open(void *self, const struct claim *claim)
{
	struct open_claim *open = self;

	open->found = claim->provider == open->provider && claim->state == STATE_SUBMITTED;
	return !open->found;
}

bool claim_waits(struct flow *f, const char *organization)
{
	struct open_claim open = { 0 };

	WITH_REPLICA(view, f->replica) {
		open.provider = act_org_no(&view, organization);
		if (open.provider != 0)
			replica_each_claim(&view, look_for_open, &open);
	}
	return open.found;
}

/* The id says whose it is and the how manieth: so of two equal claims at once, even at two gateways, one is made. With
 * a key it says that, so that the same request again meets it. */
static const char *id_of(struct arena *a, const struct caller *c, const char *provider, const char *key, size_t earlier)
{
	char id[ID_TEXT];

	if (key != NULL) {
		flow_new_id(c, arena_printf(a, "claim %s", provider), key, id);
		return arena_printf(a, "k%.24s", id);
	}
	flow_new_id(c, arena_printf(a, "claim %s", provider), arena_printf(a, "%zu", earlier), id);
	return arena_printf(a, "c%.24s", id);
}

static void check_claim(struct arena *a, const char *kind, const char *note, struct form_problems *p)
{
	static const char *const kinds[] = { "cp575", "147c", "deposit_coupon", "other" };
	bool known = false;

	for (size_t i = 0; i < COUNT(kinds); i++)
		known |= text_same(kind, kinds[i]);
	if (!known)
		organization_complain(a, p, "/document_kind", "must be cp575, 147c, deposit_coupon or other");
	if (note != NULL && strlen(note) > NOTE_MOST)
		organization_complain(a, p, "/note", "must have at most 512 bytes");
}

/* Is that the claim of the same request? */
static struct err meet_again(
    struct arena *a, struct flow *f, const struct caller *c, const struct entry *wanted, struct entry *out)
{
	TRY(dir_read(a, f->dir, c->uid, KIND_CLAIM, wanted->provider, wanted->id, out));
	bool same = text_same(out->document_kind, wanted->document_kind) && text_same(out->note, wanted->note) &&
		    text_same(out->attachment, wanted->attachment);
	return same ? SUCCESS : FAIL(ERR_INVALID, "'Idempotency-Key' was used for another request");
}

/* Stores the document, then the claim that names it. *made: false if there was one of that name. */
static struct err add_claim(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct upload *u, struct judged *j, struct entry *entry, bool *made)
{
	TRY(attachment_store(a, f, c, entry->id, u, &entry->attachment));
	struct act act = {
		.question = *q,
		.detail = arena_printf(a, "claim %s, document %s", entry->id, entry->document_kind),
		.to = entry,
		.by_gateway = true,
	};
	struct err e = act_write(a, f, c, &act, j, &entry->revision);
	*made = e.code == OK && j->answer.verdict.allow;
	return e;
}

struct err flow_submit_claim(struct arena *a, struct flow *f, const struct caller *c, const char *organization,
    const char *document_kind, const char *note, const struct upload *u, const char *key,
    struct form_problems *problems, struct answer *answer, struct claim_info *out, bool *made)
{
	struct question q = act_question(c, CLAIM_SUBMIT, "provider", organization);
	struct judged j;
	struct entry there;

	*out = (struct claim_info){ 0 };
	*problems = (struct form_problems){ NULL, 0 };
	*made = false;
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	*answer = j.answer;
	if (e.code != OK || !answer->verdict.allow)
		return e;
	check_claim(a, document_kind, note, problems);
	if (problems->count > 0)
		return FAIL(ERR_INVALID, "the claim is not described well");

	struct earlier earlier = count_claims(f, c, organization);
	struct entry entry = {
		.kind = KIND_CLAIM,
		.id = id_of(a, c, organization, key, earlier.here),
		.provider = j.provider,
		.user = c->uid,
		.state = STATE_SUBMITTED,
		.requested_at = clock_now(),
		.document_kind = document_kind,
		.note = note,
	};
	e = key != NULL ? dir_read(a, f->dir, c->uid, KIND_CLAIM, entry.provider, entry.id, &there)
			: FAIL(ERR_NOT_FOUND, "it is a new one");
	if (e.code == ERR_NOT_FOUND && earlier.open_here == 0 && earlier.open >= OPEN_MOST) {
		organization_complain(a, problems, "", "ten claims of one person may be open at a time");
		return FAIL(ERR_INVALID, "too many claims are open");
	}
	if (e.code == ERR_NOT_FOUND && earlier.open_here > 0) {
		decide_refuse(&j, ALREADY_DECIDED);
		*answer = j.answer;
		return SUCCESS;
	}
	if (e.code == ERR_NOT_FOUND)
		e = add_claim(a, f, c, &q, u, &j, &entry, made);
	else if (e.code == OK)
		e = attachment_store(a, f, c, entry.id, u, &entry.attachment);
	*answer = j.answer;
	if (e.code == ERR_CONFLICT && key == NULL) {
		decide_refuse(&j, ALREADY_DECIDED);
		*answer = j.answer;
		return SUCCESS;
	}
	if (e.code == ERR_CONFLICT || (e.code == OK && !*made && j.answer.verdict.allow)) {
		TRY(meet_again(a, f, c, &entry, &there));
		entry = there;
		e = SUCCESS;
	}
	if (e.code != OK || !j.answer.verdict.allow)
		return e;
	return tell_claim(a, f, c, &entry, true, out);
}

/* ---- deciding ---- */

static struct err refuse_late(struct judged *j)
{
	decide_refuse(j, ALREADY_DECIDED);
	return SUCCESS;
}

/* rejected or withdrawn: one write. */
static struct err close_claim(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *g, struct judged *j, struct entry *claim)
{
	bool rejected = q->action == CLAIM_REJECT;
	struct act act = {
		.question = *q,
		.detail = rejected ? act_detail(a, g) : NULL,
		.to = claim,
		.fields = FIELD_STATE | (rejected ? FIELD_DECIDED | FIELD_REASON : 0),
		.guard = { .state = STATE_SUBMITTED, .revision = claim->revision },
	};

	claim->state = rejected ? STATE_REJECTED : STATE_WITHDRAWN;
	if (rejected)
		act_decided(claim, c, g);
	struct err e = act_write(a, f, c, &act, j, &claim->revision);
	return e.code == ERR_CONFLICT ? refuse_late(j) : e;
}

/* The one write that makes him the official. ERR_CONFLICT without a holder: the organization has changed in between. */
static struct err install_once(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *g, struct judged *j, const struct entry *claim, struct entry *organization,
    const char **before, const char **holder)
{
	*holder = NULL;
	TRY(dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, claim->provider, organization));
	bool opens = organization->state == STATE_REGISTERED;
	*before = organization->official;
	/* What the judge saw, the directory no longer has. */
	if ((*before == NULL) != (q->action == CLAIM_APPROVE)) {
		decide_refuse(j, *before == NULL ? ALREADY_DECIDED : AO_ALREADY_EXISTS);
		return SUCCESS;
	}
	TRY(organization_hold_tin(a, f, organization, holder));
	struct guard guard = { .state = organization->state, .revision = organization->revision };
	if (opens)
		organization->state = STATE_ACTIVE;
	organization->official = claim->user;
	organization->official_since = clock_now();
	act_decided(organization, c, g);
	struct act act = {
		.question = *q,
		.detail = arena_printf(
		    a, "%s for %s; %s", claim->user, *before != NULL ? *before : "nobody", act_detail(a, g)),
		.to = organization,
		.fields = FIELD_OFFICIAL | FIELD_DECIDED | FIELD_REASON | (opens ? FIELD_STATE : 0),
		.guard = guard,
	};
	return act_write(a, f, c, &act, j, &organization->revision);
}

/* The mark: decided_by, while it is still submitted. */
static struct err mark(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *g, struct judged *j, struct entry *claim)
{
	struct act act = {
		.question = *q,
		.event = "claim.decide",
		.detail = act_detail(a, g),
		.to = claim,
		.fields = FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = STATE_SUBMITTED, .revision = claim->revision },
	};

	act_decided(claim, c, g);
	struct err e = act_write(a, f, c, &act, j, &claim->revision);
	return e.code == ERR_CONFLICT ? refuse_late(j) : e;
}

/* state submitted: the mark goes. by NULL: the gateway. */
static struct err end_mark(
    struct arena *a, struct flow *f, const struct caller *c, struct entry *claim, enum state state)
{
	struct act act = {
		.question = { .subject = claim->decided_by },
		.event = state == STATE_APPROVED ? "claim.approved" : "claim.undecided",
		.to = claim,
		.fields = state == STATE_APPROVED ? FIELD_STATE : FIELD_DECIDED | FIELD_REASON,
		.guard = { .state = STATE_SUBMITTED, .revision = claim->revision },
	};
	struct revision written;

	claim->state = state;
	if (state != STATE_APPROVED) {
		claim->decided_by = claim->reason = claim->ticket = claim->identified_by = NULL;
		claim->decided_at = 0;
	}
	TRY(mend_write(a, f, c, &act, &written));
	if (written.micros != 0)
		claim->revision = written;
	return written.micros != 0 ? session_settle(f, &written) : SUCCESS;
}

static void tell_people(
    struct arena *a, struct flow *f, const struct entry *claim, const char *provider, const char *before)
{
	struct mail_field fields[] = { { "provider", provider }, { NULL, NULL }, { NULL, NULL } };

	if (claim->state == STATE_APPROVED) {
		notice_send(a, f, "official-approved", claim->user, fields);
		if (before != NULL)
			notice_send(a, f, "official-replaced", before, fields);
	} else if (claim->state == STATE_REJECTED) {
		fields[1] = (struct mail_field){ "reason", claim->reason };
		notice_send(a, f, "official-rejected", claim->user, fields);
	}
}

static struct err approve(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *g, struct judged *j, struct entry *claim, const char **holder)
{
	struct entry organization = { 0 };
	const char *before = NULL;
	int tries = TRIES;
	struct err e;

	TRY(mark(a, f, c, q, g, j, claim));
	if (!j->answer.verdict.allow)
		return SUCCESS;
	do
		e = install_once(a, f, c, q, g, j, claim, &organization, &before, holder);
	while (e.code == ERR_CONFLICT && *holder == NULL && --tries > 0);
	/* Nothing is known: mend_claims will find out. */
	if (e.code == ERR_UNAVAILABLE || e.code == ERR_BUG)
		return e;
	bool done = e.code == OK && j->answer.verdict.allow;
	struct err ended = end_mark(a, f, c, claim, done ? STATE_APPROVED : STATE_SUBMITTED);
	if (!done)
		return e;
	TRY(ended);
	j->answer.revision = claim->revision;
	TRY(dir_furnish(a, f->dir, organization.id));
	tell_people(a, f, claim, organization.name, before);
	return SUCCESS;
}

/* Marked, and nobody is at it any more: approved if he is the official since, else as if it had not been touched. */
static struct err mend_claim(struct arena *a, struct flow *f, const char *provider, const char *id)
{
	struct entry claim, organization;
	struct err e = dir_read(a, f->dir, NULL, KIND_CLAIM, provider, id, &claim);

	if (e.code == ERR_NOT_FOUND || (e.code == OK && (claim.state != STATE_SUBMITTED || claim.decided_by == NULL ||
							    clock_now() - claim.decided_at < MARK_HOLDS_S)))
		return SUCCESS;
	TRY(e);
	TRY(dir_read(a, f->dir, NULL, KIND_ORGANIZATION, NULL, provider, &organization));
	bool done = text_same(organization.official, claim.user) && organization.official_since >= claim.decided_at;
	if (done)
		TRY(dir_furnish(a, f->dir, provider));
	return end_mark(a, f, NULL, &claim, done ? STATE_APPROVED : STATE_SUBMITTED);
}

static struct err decide_claim(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    const struct grounds *g, const struct revision *expected, struct judged *j, struct claim_info *out)
{
	struct entry claim, organization;
	const char *holder = NULL;

	TRY(dir_read(a, f->dir, c->uid, KIND_CLAIM, j->provider, q->resource, &claim));
	if (claim.state == STATE_SUBMITTED && claim.decided_by != NULL) {
		TRY(mend_claim(a, f, j->provider, claim.id));
		TRY(dir_read(a, f->dir, c->uid, KIND_CLAIM, j->provider, q->resource, &claim));
	}
	if (claim.state != STATE_SUBMITTED || claim.decided_by != NULL)
		return refuse_late(j);
	if (expected->micros != 0 && revision_compare(&claim.revision, expected) != 0)
		return FAIL(ERR_CONFLICT, "the claim has changed since it was read");
	struct err e = q->action == CLAIM_APPROVE || q->action == CLAIM_REPLACE
			   ? approve(a, f, c, q, g, j, &claim, &holder)
			   : close_claim(a, f, c, q, g, j, &claim);
	out->organization.tin_held_by = holder;
	if (e.code != OK || !j->answer.verdict.allow)
		return e;
	/* Whoever is turned away, and did not register it, is not told its name either. */
	if (claim.state == STATE_REJECTED &&
	    dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, claim.provider, &organization).code == OK)
		tell_people(a, f, &claim,
		    text_same(organization.requested_by, claim.user) ? organization.name : claim.provider, NULL);
	return tell_claim(a, f, c, &claim, true, out);
}

struct err flow_decide_claim(struct arena *a, struct flow *f, const struct caller *c, enum action action,
    const char *id, const struct grounds *g, const struct revision *expected, struct answer *answer,
    struct claim_info *out)
{
	struct question q = act_question(c, action, "claim", id);
	struct judged j;

	*out = (struct claim_info){ 0 };
	if (action != CLAIM_WITHDRAW)
		TRY(act_check_grounds(g, action == CLAIM_REJECT ? GROUNDS_REASON : GROUNDS_DESK));
	struct err e = decide_and_record(a, f, c, &q, &j, NULL);
	if (e.code == OK && j.answer.verdict.allow)
		e = decide_claim(a, f, c, &q, g, expected, &j, out);
	*answer = j.answer;
	return e;
}

/* ---- comparing ---- */

/* QUEUE_READ: what the help desk looks at. *out: the claim; a refusal is in the answer. */
static struct err open_for_desk(struct arena *a, struct flow *f, const struct caller *c, const char *id,
    const char *event, struct answer *answer, struct entry *out)
{
	struct question q = act_question(c, QUEUE_READ, "claim", id);
	struct revision revision;
	const char *provider;
	struct judged j;

	TRY(decide_judge(a, f, c, &q, &j, NULL));
	struct err e = provider_of(a, f, c, id, &provider, &revision);
	j.provider = provider;
	if (e.code == OK &&
	    (provider == NULL || !j.answer.verdict.allow)) /* to others no claim is there but their own */
		decide_refuse(&j, NOT_FOUND);
	TRY(decide_audit(f, c, &q, &j, AUDIT_DECISION, event, NULL));
	*answer = j.answer;
	if (e.code != OK || !j.answer.verdict.allow)
		return e;
	return dir_read(a, f->dir, c->uid, KIND_CLAIM, provider, id, out);
}

struct err flow_compare_claim(struct arena *a, struct flow *f, const struct caller *c, const char *id, const char *name,
    const char *tin, struct answer *answer, struct claim_comparison *out)
{
	struct entry claim, organization;
	char digits[10];

	*out = (struct claim_comparison){ false, false };
	TRY(open_for_desk(a, f, c, id, "claim.compare", answer, &claim));
	if (!answer->verdict.allow)
		return SUCCESS;
	if (!organization_digits(tin, digits))
		return FAIL(ERR_INVALID, "'tin' must have 9 digits");
	TRY(dir_read(a, f->dir, c->uid, KIND_ORGANIZATION, NULL, claim.provider, &organization));
	out->tin_matches = text_same(organization.tin, digits);
	out->name_matches = organization.name != NULL &&
			    text_same(organization_fold_name(a, organization.name), organization_fold_name(a, name));
	return SUCCESS;
}

struct err flow_read_document(struct arena *a, struct flow *f, const struct caller *c, const char *id, int file,
    struct answer *answer, struct attachment *out)
{
	struct entry claim;

	*out = (struct attachment){ 0 };
	TRY(open_for_desk(a, f, c, id, "claim.document", answer, &claim));
	if (!answer->verdict.allow)
		return SUCCESS;
	TRY(read_document_head(a, f, c, &claim, out));
	if (out->id == NULL)
		return FAIL(ERR_NOT_FOUND, "the document has been removed");
	return attachment_fetch(f, c->uid, out, file);
}

/* ---- what was cut off ---- */

struct submitted {
	struct arena *arena;
	const struct view *view;
	struct {
		const char *id, *provider;
	} * list;
	size_t count;
};

static bool note_submitted(void *self, const struct claim *claim)
{
	struct submitted *s = self;

	if (claim->state != STATE_SUBMITTED)
		return true;
	s->list = arena_more(s->arena, s->list, s->count, sizeof *s->list);
	s->list[s->count].id = arena_strdup(s->arena, claim->id);
	s->list[s->count++].provider = arena_strdup(s->arena, replica_org_id(s->view, claim->provider));
	return true;
}

struct err mend_claims(struct arena *a, struct flow *f)
{
	struct submitted s = { .arena = a };

	WITH_REPLICA(view, f->replica) {
		s.view = &view;
		replica_each_claim(&view, note_submitted, &s);
	}
	for (size_t i = 0; i < s.count; i++)
		TRY(mend_claim(a, f, s.list[i].provider, s.list[i].id));
	return SUCCESS;
}
