/* What the workflows share among themselves; not for other folders. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "flow/flow.h"
#include "flow/leaf.h"
#include "flow/throttle.h"
#include "flow/uses.h"

struct flow {
	struct replica *replica;
	struct dir *dir, *nppes; /* nppes: NULL if there is none */
	struct audit *audit;
	const struct forms *forms;
	struct mail *mail; /* NULL: there is none */
	struct throttle *throttle;
	struct throttle *mails;    /* that were asked for by people who are not signed in */
	struct blocklist *blocklist;
	const char *public_url, *nppes_link; /* of the settings */
	struct book *book;
	const char *issuer;
	struct paper *paper;       /* the Security Consent Form; NULL: there is none */
	struct uses *uses;
	struct {
		atomic_int session_idle_s, session_absolute_s, session_touch_s, recent_s, wait_ms;
		atomic_int guesses_per_account, guesses_per_address, guess_window_s, refusal_ms;
		atomic_int second_factor_for, inactive_days, request_days;
		atomic_int document_keep_days;
		atomic_int password_least, password_least_with_second_factor;
		atomic_int registration_hours, reset_minutes, mails_per_address, mails_per_account;
	} set; /* in force; each is read when it is needed */

	pthread_t keeper;
	pthread_mutex_t keeper_lock;
	pthread_cond_t keeper_stop;
	bool stopping; /* under keeper_lock */
	atomic_bool mended; /* everything, since the start */
};

static inline int flow_set(const atomic_int *setting)
{
	return atomic_load_explicit(setting, memory_order_relaxed);
}

/* ---- keeper.c: the thread that writes uses of sessions and ends of consents and associations ---- */
struct err keeper_open(struct flow *);
void keeper_close(struct flow *);

/* ---- session.c ---- */
#define SHORT_SESSION 17
/* Begins an audit record with what is known of the caller. held is room for the session's short name. */
struct audit_record session_record(const struct caller *, enum audit_class, const char *event,
    char held[SHORT_SESSION]);
/* The words of bits of enum role; ends with NULL, as out does before. */
void session_roles(unsigned held, const char *out[4]);
/* ok: it may be used now; else why not. */
enum reason session_judge(const struct flow *, const struct session *, const struct person *, int64_t now);
/* Sessions of that person that began earlier are void, and those of this very second count as begun then. */
int64_t session_earliest(const struct entry *person);
bool session_digest_of(const char *hex, unsigned char out[32]);
bool session_is_token(const char *);
/* Ends a session in the directory. One that has ended already, or is not there, is no error; then *out is left. */
struct err session_end(struct arena *, struct flow *, const char *id, struct revision *out);
/* Waits until the replica has reached what was written. */
struct err session_settle(struct flow *, const struct revision *);

/* ---- book.c: how far guessing gets, over all gateways ---- */

struct book *book_open(void);
void book_close(struct book *);

/* One guess at a password (or at another secret that the directory checks), from before it is sent until it is known what
 * came of it. Each guess_begin that says GUESS_GO or GUESS_REFUSED needs its guess_settle. */
struct guess {
	struct throttle_ticket ticket;
	const char *account;       /* NULL: nobody's, or one that is refused whatever the password */
	char network[NETWORK_TEXT];
	bool alone;                /* no other guess at the account runs in this gateway */
	bool booked;               /* nor in any other: the account's leaf is ours */
	struct leaf leaf;
	struct revision revision;  /* of the leaf */
};
enum guess_word {
	GUESS_GO,
	GUESS_REFUSED,  /* this address has failed too often at this account, or too many guess at it now: not to be sent */
	GUESS_TOO_MANY, /* this address has failed too often altogether */
};
/* [waits] name: of whom, in one spelling; is_account: the directory checks a password for it. */
struct err guess_begin(struct arena *, struct flow *, const struct caller *, const char *name, bool is_account,
    struct guess *out, enum guess_word *word);
enum guess_end {
	GUESS_RIGHT,     /* forgets the failures of this address at this account */
	GUESS_WRONG,     /* the directory has looked at it */
	GUESS_UNLOOKED,  /* refused without a look at it: counts for the address alone */
	GUESS_MALFORMED, /* no guess at anybody; for the address alone */
	GUESS_VOID,      /* nothing was learnt: an outage counts nowhere */
};
/* [waits] */
void guess_settle(struct arena *, struct flow *, struct guess *, enum guess_end);
/* [waits] After an account was unlocked: what was counted against it in the gateways. */
struct err book_forget(struct arena *, struct flow *, const char *uid);

/* ---- factor.c ---- */

/* The help desk, or the owner, takes a second factor away; audited and judged by the caller. *written is empty if there
 * was none. */
struct err factor_remove(struct arena *, struct flow *, const char *uid, struct revision *written);
/* What must stand behind the password for the directory's check, of the code or recovery code that was typed. False: such
 * a code cannot be right. recovery: the digest of a recovery code that the account has; "": it is none. */
struct factor_proof { char code[8]; char recovery[DIGEST_TEXT]; };
struct err factor_prepare(struct arena *, struct flow *, const char *uid, const char *otp, struct factor_proof *out);
/* Uses the recovery code up. ERR_CONFLICT: it was, meanwhile. */
struct err factor_use_up(struct arena *, struct flow *, const struct caller *, const char *uid,
    const struct factor_proof *);
/* The bit of helpdesk, auditors, processors or officials in the setting. */
unsigned factor_bit(const char *word);
/* Must he have a second factor that his session was begun without? */
bool factor_is_due(const struct flow *, const struct view *, const struct person *, bool has_second_factor);

/* ---- sign_in.c ---- */
/* When an answer may leave, if its time is to tell nothing: at multiples of so many strokes after the request. */
int64_t sign_in_stroke(const struct flow *, int64_t began_us, int strokes);

/* ---- organization_check.c ---- */
/* What is wrong with a line that others decide by, or NULL: nothing in it may hide or turn round what stands there. most:
 * characters, 100. */
const char *line_fault(const char *text, size_t most);

/* ---- account.c ---- */
struct mailed;
#define MAILED_STROKES 5 /* a mail waits for the disk several times, an answer without one need not */
/* One line of the audit log: that it is going to be done (AUDIT_CHANGE, "permit"), what came of it. uid: whose, or NULL. */
struct err account_record(struct flow *, const struct caller *, enum audit_class, const char *event, const char *uid,
    const char *outcome, const char *reason, const char *detail);
void account_outcome(struct flow *, const struct caller *, const char *event, const char *uid, struct err);
/* A link is good while the account's password and the end of its sessions are what they were when it was made. */
struct grant;
const char *account_as_of(struct arena *, const struct entry *person);
bool account_is_as_of(struct arena *, const struct entry *person, const struct grant *);
void account_problem(struct arena *, struct form_problems *, const char *pointer, const char *rule);
/* Records and counts what ends in a mail. go: it is not too much for whom it is about, which nobody is told. */
struct err account_mailed(struct arena *, struct flow *, const struct caller *, const char *event, const char *claimed,
    const char *whom, struct mailed *out, bool *go);

/* ---- reset.c ---- */
/* Mails the person a link to set a new password. ERR_INVALID: the account is not active, has no mail address, or is NPPES's. */
struct err account_mail_reset(struct arena *, struct flow *, const char *uid);
/* The new one is told why the directory does not take it. */
void password_refused(struct arena *, enum password_outcome, const char *pointer, struct form_problems *);
/* A new password in the place of the old one, by whoever knows that. */
struct renewal {
	struct arena *arena;
	const char *bytes;             /* the new one, as typed */
	size_t size;
	bool changed;
	bool overtaken;                /* it was changed, and then somebody else has ended his sessions */
	int64_t begins_at;             /* changed: a session that it begins is no older */
	struct form_problems problems; /* count > 0: the old one is right, the new one is not taken */
	struct revision written;
};
struct password;
/* As dir_bind_person with the old password, behind which stands the code of the second factor (code_size 0: none); and
 * changes it. */
struct err password_renew(struct flow *, const struct caller *, const char *uid, const struct password *whole,
    size_t code_size, struct renewal *, struct bind_result *out);

/* ---- practitioner.c ---- */

/* NPPES has said that the password is right, and who he is: makes his entry, or brings it up to date. *refused: why he may
 * not come in all the same, or NULL. */
struct err practitioner_admit(struct arena *, struct flow *, const struct caller *, const char *uid,
    const struct entry *there, const char **refused);

/* ---- decide.c ---- */

/* A decision with what the audit log is told of it, whoever may know. */
struct judged {
	struct answer answer;
	enum reason real;
	const char *provider, *employer, *association, *consent; /* the path that the verdict rests on; in the arena */
};
/* flow_decide without its audit record. ERR_INVALID: such a thing cannot be asked of such a resource. */
struct err decide_judge(struct arena *, struct flow *, const struct caller *, const struct question *,
    struct judged *out, struct explanation *);
/* Writes the record of a judged question: as a decision, or as a change that is about to be made. */
struct err decide_audit(struct flow *, const struct caller *, const struct question *, const struct judged *,
    enum audit_class, const char *event, const char *detail);
/* Both. On an error the verdict is no permit. */
struct err decide_and_record(struct arena *, struct flow *, const struct caller *, const struct question *,
    struct judged *out, struct explanation *);
/* A refusal that is not the judge's. */
void decide_refuse(struct judged *, enum reason);

/* ---- act.c ---- */

struct question act_question(const struct caller *, enum action, const char *kind, const char *id);

/* One change of one entry. */
struct act {
	struct question question;
	const char *event;        /* of the change in the audit log; NULL: the word of the action */
	const char *detail;       /* likewise, or NULL */
	const struct entry *to;
	unsigned fields;          /* bits of enum field; 0: the entry is added, or removed */
	bool removes;
	struct guard guard;
	bool by_gateway;          /* written in the gateway's name: the directory has no rule of its own for it */
};
/* Judges once more, records, writes, waits for the replica, records the outcome. Like all workflows: SUCCESS with a
 * verdict that is no permit, if the rule refuses now (so the loser of a race learns `already_decided`); ERR_CONFLICT if
 * the guard failed though the rule still permits: the caller reads again, or says 412. The first judgement
 * (decide_and_record) is the caller's. */
struct err act_write(struct arena *, struct flow *, const struct caller *, const struct act *, struct judged *,
    struct revision *written);

/* The id of what is made: opaque, by chance. With an Idempotency-Key it comes of who asked for what under which key, so that
 * the same request again meets what the first one made. call: a word for what is made; key: or NULL. */
void flow_new_id(const struct caller *, const char *call, const char *key, char out[ID_TEXT]);
/* The id of what there may be one of: it comes of all that it says, behind a letter for the kind of thing. Of two who make the
 * same at once, even at two gateways, the directory lets one. */
const char *act_id_of(struct arena *, char kind, const char *whole);

/* Why, and on what call: of every act of the help desk (flow.h). ERR_INVALID names what is missing. */
enum grounds_needed { GROUNDS_FREE, GROUNDS_REASON, GROUNDS_DESK /* a reason or a ticket */ };
struct err act_check_grounds(const struct grounds *, enum grounds_needed);
const char *act_detail(struct arena *, const struct grounds *); /* as the audit log tells them; NULL: none */
void act_decided(struct entry *to, const struct caller *, const struct grounds *);
/* Was that decided before the present Authorized Official was installed? Times are whole seconds: what fell into the same one
 * was, unless he did it. */
bool act_waits_for_official(const struct entry *decided, const struct entry *provider);

/* Has he one of these roles (bits of enum role), as far as the replica knows? */
bool act_has_role(struct flow *, const struct caller *, unsigned roles);

/* Whom the directory shows an association, a form, a claim or a case to: help desk and auditors, the provider's official, and
 * the user himself. Asked of the replica first, so that what is hidden takes as long as what there never was: the 0.3 ms of
 * asking the directory would tell a stranger who knows how ids are made, and a list would tell him how many there are.
 * person: NULL is nobody. */
bool act_may_see(const struct view *, const struct person *, number provider, number user);
/* The number of an organization; 0: none is named, or the replica knows of none. */
number act_org_no(const struct view *, const char *id);
/* Something that is no enrollment data is about to be shown to somebody to whom the directory has shown it: recorded. */
struct err act_looked(struct flow *, const struct caller *, const char *event, const struct entry *);

/* Decides again, on what the directory has now. */
struct err act_judge_again(struct arena *, struct flow *, const struct caller *, const struct question *,
    struct judged *out);
/* The rule permitted, and the directory showed or did nothing. If the replica was a moment behind, *out is the refusal.
 * Else one of the two walls is wrong: ERR_UNAVAILABLE, and nothing is shown. */
struct err act_refused(struct arena *, struct flow *, const struct caller *, const struct question *, struct judged *out);

/* ---- mend.c: what a gateway that died between two writes has left ----
 * Of a change that takes several writes, the first one says that it was decided and closes what it closes; the rest follows
 * from what stands then. It is done by the workflow at once, and by a rule of mend.c for whoever died in between: all are
 * run before the gateway answers for the first time, and every minute. A rule looks in the replica for what is unfinished
 * and finishes it by guarded writes, which do no harm where somebody else finishes the same. Add yours as a row. */
bool mend_all(struct arena *, struct flow *); /* false: to be tried again soon */
/* One of the writes that follow: recorded and written, with no judgement of its own, in the caller's name (NULL, or
 * by_gateway: the gateway's). Of the question only the subject is used: who decided. That the guard failed, or that what
 * is added is there, is no error: somebody was first. Then *written is empty. */
struct err mend_write(struct arena *, struct flow *, const struct caller *, const struct act *, struct revision *written);
struct err mend_settle(struct flow *); /* waits until the replica has reached what the directory has by now */
struct err mend_leaving(struct arena *, struct flow *);
struct err mend_revocations(struct arena *, struct flow *);
struct err mend_submissions(struct arena *, struct flow *);
struct err mend_fraud(struct arena *, struct flow *);
struct err mend_claims(struct arena *, struct flow *);
struct err mend_documents(struct arena *, struct flow *);

/* ---- employer.c: closing what goes through an employer ---- */
/* What a person has through an employer, or what goes through an employer at a provider. */
struct closing {
	const char *user, *provider, *employer; /* ids; user or provider is NULL */
	const char *by, *reason;                /* who decided it, and why, as each entry is to say */
	enum state refused;                     /* what becomes of a request that is pending */
	const struct mail_field *told;          /* to whoever loses an association by it; NULL: he knows */
};
/* Until nothing is open. Whatever keeps more from being opened is written before. */
struct err employer_close(struct arena *, struct flow *, const struct caller *, const struct closing *);
/* The employers that somebody is leaving, or that a provider bars: the list ends with NULL, or is NULL. */
bool employer_listed(const char *const *list, const char *id);
const char *const *employer_list(struct arena *, const char *const *list, const char *id, bool in); /* with it, or without */

/* ---- case.c: what the help desk is to look at ---- */
/* Fills about->id: of the case of that kind that is open about the same user, provider and employer; or else, *made, the one
 * that the next has: it says what it is about and the how manieth it is, so that of two at once, even at two gateways, one
 * is made. */
struct err case_name(struct arena *, struct flow *, struct entry *about, bool *made);
/* Opens one in the gateway's name, recorded, unless one is open. */
struct err case_open(struct arena *, struct flow *, const struct caller *, struct entry *about, bool *made);

/* ---- attachment.c: documents that were handed in ---- */
/* Puts a document that has been judged into the directory. owner: the id of the claim or form that it is for, which is to
 * name it (`attachment`) when it is added: the name begins with it, so that what became of it is known. The same document for
 * the same owner may be stored twice. Whatever is named by nothing is removed by mend_documents. */
struct err attachment_store(struct arena *, struct flow *, const struct caller *, const char *owner, const struct upload *,
    const char **id);
/* Writes it into a file, as the directory shows it to that person. */
struct err attachment_fetch(struct flow *, const char *as, const struct attachment *head, int file);

/* ---- list.c ---- */

/* What a list is about; NULL or 0: any. Of organizations user is the AO, the registrant or an associate, and provider
 * and employer are not asked for. */
struct list_query {
	enum kind kind; /* association, consent, submission, claim, case, organization; a provider's record */
	const char *provider, *employer, *user;
	enum state state; /* what it is now: a request whose time has passed is expired, marked or not */
	enum case_kind case_kind;
	/* Only what the help desk may decide on now, as its provider is; of associations what Authorized Officials ask for
	 * themselves. */
	bool for_desk;
	/* Of organizations: open providers without an AO whose account is there; employers that were never verified. */
	enum { LACKS_NOTHING, LACKS_OFFICIAL, LACKS_VERIFICATION } lacks;
};
struct listing {
	struct entry *entries; /* without documents; their states are what they are now */
	size_t count, hidden;  /* hidden: what the replica holds and the directory does not show */
	const char *next;      /* cursor of the page after this; NULL: there is none */
};
/* [waits] Newest change first: found in the replica, then each read from the directory as `as`, so that whatever the
 * directory does not show him is left out. The caller has decided that he may have the list at all. A provider, employer or
 * user that nobody knows has an empty list. */
struct err list_entries(struct arena *, struct flow *, const char *as, const struct list_query *, const struct page *,
    struct listing *out);
/* The same of several queries, as one list. */
struct err list_several(struct arena *, struct flow *, const char *as, const struct list_query *, size_t queries,
    const struct page *, struct listing *out);

/* ---- record.c ---- */
struct document record_document(const struct entry *, bool with_body);
/* Reads, as the caller, the record or submission that a permit is about. No permit any more: SUCCESS, and the verdict
 * says so. */
struct err record_read(struct arena *, struct flow *, const struct caller *, enum kind, const struct question *,
    struct judged *, struct entry *out);

/* ---- reserve.c: what must be unique under any race: TINs, mail addresses, NPIs, enrollment ids ---- */
/* purpose: "tin", "mail", "npi", "enrollment"; what: "ein:361827459", a folded address, …; owner: the id of what it is
 * for. ERR_CONFLICT: another owner has it. The same owner may take it twice. */
struct err reserve_take(struct arena *, struct flow *, const char *purpose, const char *what, const char *owner);
/* ERR_NOT_FOUND: nobody has it. */
struct err reserve_owner(struct arena *, struct flow *, const char *purpose, const char *what, const char **out);
/* The reservation itself: whose, since when. ERR_NOT_FOUND. */
struct err reserve_held(struct arena *, struct flow *, const char *purpose, const char *what, struct entry *out);
/* Takes it from whoever holds it, if it is still the one that was read. */
struct err reserve_drop(struct arena *, struct flow *, const struct entry *held);
/* Not there, or another's: no error. */
struct err reserve_give_back(struct arena *, struct flow *, const char *purpose, const char *what, const char *owner);

/* ---- notice.c ---- */

/* [waits] Mails a person what has happened, after it has happened. It never fails: what cannot be sent is logged. Fields
 * as in mail_send, or NULL; name and username (of the person) are added. The template is a row of mail/template.c. */
void notice_send(struct arena *, struct flow *, const char *template, const char *uid, const struct mail_field *fields);
/* The same to the help desk, if it has an address; no field is added. */
void notice_help_desk(struct flow *, const char *template, const struct mail_field *fields);
