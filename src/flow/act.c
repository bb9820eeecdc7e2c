/* One change of one entry, in the order that every change is made in: judged on the replica, recorded, written under a
 * guard in the name of whoever makes it, waited for, and its outcome recorded. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

#define BEHIND_MS 500   /* by how much what the directory tells may be behind what it does */
#define ASK_AGAIN_MS 20

struct question act_question(const struct caller *c, enum action action, const char *kind, const char *id)
{
	return (struct question){
		.subject = c->uid,
		.action = action,
		.resource_kind = kind,
		.resource = id,
		.authenticated_at = c->authenticated_at,
	};
}

bool act_has_role(struct flow *f, const struct caller *c, unsigned roles)
{
	bool held = false;

	WITH_REPLICA(view, f->replica) {
		const struct person *p = replica_person(&view, c->uid);

		held = p != NULL && (p->roles & roles);
	}
	return held;
}

struct err act_judge_again(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *out)
{
	struct revision revision;

	TRY(dir_revision(f->dir, &revision));
	TRY(replica_wait(f->replica, &revision, flow_set(&f->set.wait_ms)));
	TRY(decide_judge(a, f, c, q, out, NULL));
	if (!out->answer.verdict.allow)
		return decide_audit(f, c, q, out, AUDIT_DECISION, "decision", "decided again");
	return SUCCESS;
}

static struct err walls_disagree(struct flow *f, const struct caller *c, const struct question *q, const struct judged *j)
{
	log_event(LOG_WARNING, "walls.disagree", "user=%s action=%s kind=%s id=%s provider=%s request=%s", c->uid,
	    action_word(q->action), q->resource_kind, q->resource, j->provider != NULL ? j->provider : "-",
	    c->request_id != NULL ? c->request_id : "-");
	TRY(decide_audit(f, c, q, j, AUDIT_DECISION, "walls.disagree",
	    "permitted by the rule, refused by the directory"));
	return FAIL(ERR_UNAVAILABLE, "the directory does not do what the rule permits");
}

/* The directory's ACL sees a change a moment before its contextCSN tells of it. */
struct err act_refused(struct arena *a, struct flow *f, const struct caller *c, const struct question *q,
    struct judged *out)
{
	for (int64_t until = clock_steady_ms() + BEHIND_MS;; clock_pause(ASK_AGAIN_MS)) {
		TRY(act_judge_again(a, f, c, q, out));
		if (!out->answer.verdict.allow)
			return SUCCESS;
		if (clock_steady_ms() >= until)
			return walls_disagree(f, c, q, out);
	}
}

/* What became of a change whose record stands already. Not waited for: that it was going to be made is on disk. */
static void record_outcome(struct flow *f, const struct caller *c, const struct act *act, const struct judged *j,
    struct err result, const struct revision *written)
{
	const char *event = act->event != NULL ? act->event : action_word(act->question.action);
	char held[SHORT_SESSION];
	struct audit_record r = session_record(c, AUDIT_DECISION, event, held);

	r.action = action_word(act->question.action);
	r.resource_kind = kind_word(act->to->kind);
	r.resource = act->to->id;
	r.provider = j->provider;
	r.employer = j->employer;
	r.outcome = result.code == OK ? "ok" : "failed";
	r.reason = result.code == OK ? NULL : result.code == ERR_CONFLICT ? "conflict" : reason_word(UNAVAILABLE);
	r.revision = result.code == OK ? written : NULL;
	if (audit_write(f->audit, &r).code != OK)
		log_event(LOG_ERROR, "audit.lost", "event=%s request=%s", event,
		    c->request_id != NULL ? c->request_id : "-");
}

static struct err write_entry(struct arena *a, struct flow *f, const struct caller *c, const struct act *act,
    struct revision *written)
{
	const char *as = act->by_gateway ? NULL : c->uid;

	if (act->removes)
		return dir_delete(a, f->dir, as, act->to, &act->guard, written);
	if (act->fields == 0)
		return dir_add(a, f->dir, as, act->to, written);
	return dir_update(a, f->dir, as, act->to, act->fields, &act->guard, written);
}

struct err act_write(struct arena *a, struct flow *f, const struct caller *c, const struct act *act, struct judged *j,
    struct revision *written)
{
	const struct question *q = &act->question;
	const char *event = act->event != NULL ? act->event : action_word(q->action);

	*written = (struct revision){ 0 };
	/* Time has passed since the first judgement: what was permitted then need not be now (rules.md, edge case 5). */
	TRY(decide_judge(a, f, c, q, j, NULL));
	if (!j->answer.verdict.allow)
		return decide_audit(f, c, q, j, AUDIT_DECISION, "decision", "decided again at the write");
	TRY(decide_audit(f, c, q, j, AUDIT_CHANGE, event, act->detail));

	struct err e = write_entry(a, f, c, act, written);
	if (e.code == OK)
		e = session_settle(f, written);
	record_outcome(f, c, act, j, e, written);
	if (e.code == OK)
		j->answer.revision = *written;
	if (e.code == ERR_NOT_FOUND)
		return act_refused(a, f, c, q, j);
	if (e.code != ERR_CONFLICT)
		return e;
	/* Somebody was first: with what the directory has now, the judge may say why. */
	TRY(act_judge_again(a, f, c, q, j));
	return j->answer.verdict.allow ? e : SUCCESS;
}

number act_org_no(const struct view *v, const char *id)
{
	const struct organization *o = id != NULL ? replica_organization(v, id) : NULL;

	return o != NULL ? o->no : 0;
}

bool act_may_see(const struct view *v, const struct person *person, number provider, number user)
{
	const struct organization *o = provider != 0 ? replica_organization_no(v, provider) : NULL;

	return person != NULL && ((person->roles & (ROLE_HELP_DESK | ROLE_AUDITOR)) || person->no == user ||
	    (o != NULL && o->official == person->no));
}

struct err act_looked(struct flow *f, const struct caller *c, const char *event, const struct entry *what)
{
	char held[SHORT_SESSION];
	struct audit_record r = session_record(c, AUDIT_DECISION, event, held);

	r.resource_kind = kind_word(what->kind);
	r.resource = what->id;
	r.provider = what->provider;
	r.outcome = "permit";
	r.reason = reason_word(REASON_OK);
	r.revision = &what->revision;
	return audit_write(f->audit, &r);
}

void flow_new_id(const struct caller *c, const char *call, const char *key, char out[ID_TEXT])
{
	char store[256], digest[DIGEST_TEXT];
	struct text whole;

	if (key == NULL) {
		random_id(out);
		return;
	}
	text_open(&whole, store, sizeof store);
	text_put(&whole, c->uid, strlen(c->uid) + 1); /* with its NUL: nobody's parts make up another's whole */
	text_put(&whole, call, strlen(call) + 1);
	text_puts(&whole, key);
	secret_digest(whole.bytes, whole.size, digest);
	text_close(&whole);
	memcpy(out, digest, ID_TEXT - 1);
	out[ID_TEXT - 1] = '\0';
}

const char *act_id_of(struct arena *a, char kind, const char *whole)
{
	char digest[DIGEST_TEXT];

	secret_digest(whole, strlen(whole), digest);
	return arena_printf(a, "%c-%.24s", kind, digest);
}

struct err act_check_grounds(const struct grounds *g, enum grounds_needed needed)
{
	if (needed == GROUNDS_REASON && g->reason == NULL)
		return FAIL(ERR_INVALID, "'reason' is required");
	if (needed == GROUNDS_DESK && g->reason == NULL && g->ticket == NULL)
		return FAIL(ERR_INVALID, "'reason' or 'ticket' is required");
	return SUCCESS;
}

static const char *add_detail(struct arena *a, const char *detail, const char *name, const char *value)
{
	if (value == NULL)
		return detail;
	return arena_printf(a, "%s%s%s: %s", detail != NULL ? detail : "", detail != NULL ? "; " : "", name, value);
}

const char *act_detail(struct arena *a, const struct grounds *g)
{
	const char *detail = add_detail(a, NULL, "ticket", g->ticket);

	detail = add_detail(a, detail, "identified by", g->identified_by);
	return add_detail(a, detail, "reason", g->reason);
}

bool act_waits_for_official(const struct entry *decided, const struct entry *provider)
{
	return decided->decided_at < provider->official_since ||
	    (decided->decided_at == provider->official_since && provider->official_since != 0 &&
		!text_same(decided->decided_by, provider->official));
}

void act_decided(struct entry *to, const struct caller *c, const struct grounds *g)
{
	to->decided_by = c->uid;
	to->decided_at = clock_now();
	if (g != NULL) {
		to->reason = g->reason;
		to->ticket = g->ticket;
		to->identified_by = g->identified_by;
	}
}
