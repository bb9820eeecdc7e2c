/* Tests decisions on the sample world: every user, record and action, what may be told of a refusal, and what the audit
 * log says of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "flow/consent.h"
#include "flow/desk.h"
#include "sample_world.h"

static struct {
	struct arena *arena;
	struct replica *replica;
	struct dir *dir;
	struct audit *audit;
	struct forms *forms;
	struct flow *flow;
	struct world_teller teller;
	struct caller caller;
	char folder[40];
	const char *log;
} w;

static const struct flow_settings settings = { .session_idle_s = 900,
	.session_absolute_s = 43200,
	.session_touch_s = 60,
	.recent_s = 300,
	.wait_ms = 100,
	.guesses_per_account = 3,
	.guesses_per_address = 20,
	.guess_window_s = 7200 };

/* ---- the house ---- */

static int open_house(void **unused)
{
	const struct dir_settings dir = { .uris = { "ldapi://%2Fnonexistent%2Fldapi" }, .base = "dc=scf,dc=example",
		.connect_timeout_ms = 100, .operation_timeout_ms = 100, .binds = 1, .searches = 1, .writers = 1 };
	const char *top = getenv("srcdir");

	(void)unused;
	memset(&w, 0, sizeof w);
	w.arena = arena_open();
	memcpy(w.folder, "/tmp/scfgate-decide-XXXXXX", sizeof "/tmp/scfgate-decide-XXXXXX");
	assert_non_null(mkdtemp(w.folder));
	w.log = arena_printf(w.arena, "%s/audit.jsonl", w.folder);
	assert_int_equal(audit_open(&(struct audit_settings){ .file = w.log, .sync_ms = 50 }, &w.audit).code, OK);
	assert_int_equal(dir_open(&dir, &w.dir).code, OK);
	assert_int_equal(
	    forms_open(w.arena, arena_printf(w.arena, "%s/conf/forms", top != NULL ? top : "."), &w.forms).code, OK);
	assert_int_equal(replica_open_alone(&w.replica).code, OK);
	assert_int_equal(flow_open(&settings, w.replica, w.dir, NULL, w.audit, w.forms, NULL, &w.flow).code, OK);
	w.teller.listener = replica_listener(w.replica);
	w.caller = (struct caller){ .request_id = "r-1", .address = "192.0.2.1", .application = "portal" };
	tell_sample_world(&w.teller);
	return 0;
}

static int close_house(void **unused)
{
	(void)unused;
	flow_close(w.flow);
	replica_close(w.replica);
	forms_close(w.forms);
	dir_close(w.dir);
	audit_close(w.audit);
	unlink(w.log);
	rmdir(w.folder);
	arena_close(w.arena);
	return 0;
}

/* subject, action, resource's kind and id, acting for, authenticated at */
#define Q(...) { __VA_ARGS__, .explain = false }

struct decision {
	struct answer answer;
	enum reason real;
	struct explanation explanation;
};

static struct decision ask(const struct question *q)
{
	struct decision d;
	struct err e = flow_decide(w.arena, w.flow, &w.caller, q, &d.answer, &d.real, &d.explanation);

	if (e.code != OK)
		fail_msg("%s %s %s: %s", q->subject, action_word(q->action), q->resource, e.what);
	assert_int_equal(d.answer.verdict.allow, d.real == REASON_OK);
	assert_int_equal(d.answer.verdict.allow, d.answer.verdict.why == REASON_OK);
	assert_null(d.answer.verdict.path.employer);
	return d;
}

static void expect(const char *name, const struct question *q, enum reason real, enum reason told)
{
	struct decision d = ask(q);

	if (d.real != real || d.answer.verdict.why != told)
		fail_msg("%s: %s may %s %s: %s, told %s; not %s, told %s", name, q->subject, action_word(q->action),
		    q->resource, reason_word(d.real), reason_word(d.answer.verdict.why), reason_word(real),
		    reason_word(told));
}

/* ---- records ---- */

static void every_user_and_record_and_action_of_the_sample_world(void **unused)
{
	static const enum action on_records[] = { RECORD_VIEW, RECORD_UPDATE };
	static const char *const lakeside[] = { "O20240115000001", "O20240115000002" };
	static const struct {
		const char *user;
		enum reason lakeside, lakeside_told, lakeside_new; /* records: real and told; a new submission */
	} rows[] = {
		{ "rivera", REASON_OK, REASON_OK, REASON_OK },
		{ "chen", REASON_OK, REASON_OK, REASON_OK },
		{ "okafor", REASON_OK, REASON_OK, REASON_OK },
		{ "novak", NO_CONSENT, NO_CONSENT, REASON_OK },
		{ "ito", ASSOCIATION_PENDING, NOT_FOUND, ASSOCIATION_PENDING },
		{ "silva", EMPLOYER_NOT_ACTIVE, EMPLOYER_NOT_ACTIVE, EMPLOYER_NOT_ACTIVE },
		{ "quinn", NO_ASSOCIATION, NOT_FOUND, NO_ASSOCIATION },
		{ "patel", NO_ASSOCIATION, NOT_FOUND, NO_ASSOCIATION },
		{ "outsider", NO_ASSOCIATION, NOT_FOUND, NO_ASSOCIATION },
		{ "desk1", NO_ASSOCIATION, NOT_FOUND, NO_ASSOCIATION },
		{ "desk2", NO_ASSOCIATION, NOT_FOUND, NO_ASSOCIATION },
		{ "audit1", NO_ASSOCIATION, NOT_FOUND, NO_ASSOCIATION },
		{ "proc1", NO_ASSOCIATION, NOT_FOUND, NO_ASSOCIATION },
		{ "nobody", NOT_AUTHENTICATED, NOT_AUTHENTICATED, NOT_AUTHENTICATED },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool is_patel = strcmp(rows[i].user, "patel") == 0, is_nobody = strcmp(rows[i].user, "nobody") == 0;
		enum reason own = is_patel ? REASON_OK : is_nobody ? NOT_AUTHENTICATED : NO_ASSOCIATION;
		enum reason own_told = own == NO_ASSOCIATION ? NOT_FOUND : own;
		enum reason none = is_nobody ? NOT_AUTHENTICATED : NOT_FOUND;
		enum reason waits = is_nobody ? NOT_AUTHENTICATED : ORGANIZATION_NOT_ACTIVE;

		for (size_t k = 0; k < COUNT(on_records); k++) {
			for (size_t r = 0; r < COUNT(lakeside); r++)
				expect("record",
				    &(struct question)Q(rows[i].user, on_records[k], "record", lakeside[r]),
				    rows[i].lakeside, rows[i].lakeside_told);
			expect("own", &(struct question)Q(rows[i].user, on_records[k], "record", "I20230302000007"),
			    own, own_told);
			expect("no record",
			    &(struct question)Q(rows[i].user, on_records[k], "record", "O20240115000009"), none, none);
		}
		expect("list", &(struct question)Q(rows[i].user, RECORD_LIST, "provider", "lakeside"), rows[i].lakeside,
		    rows[i].lakeside_told);
		expect("list", &(struct question)Q(rows[i].user, RECORD_LIST, "provider", "patel-md"), own, own_told);
		expect("new", &(struct question)Q(rows[i].user, SUBMISSION_CREATE, "provider", "lakeside"),
		    rows[i].lakeside_new, rows[i].lakeside_new);
		expect("new", &(struct question)Q(rows[i].user, SUBMISSION_CREATE, "provider", "patel-md"), own, own);
		expect(
		    "new", &(struct question)Q(rows[i].user, SUBMISSION_CREATE, "provider", "northgate"), waits, waits);
	}
}

static void the_path_used_is_told_with_a_permit_and_nothing_with_a_hidden_refusal(void **unused)
{
	(void)unused;
	struct decision d = ask(&(struct question)Q("okafor", RECORD_VIEW, "record", "O20240115000001"));
	assert_string_equal(d.answer.provider, "lakeside");
	assert_string_equal(d.answer.employer, "meridian");
	assert_string_equal(d.answer.association, "a-okafor-meridian");
	assert_string_equal(d.answer.consent, "c-lakeside-meridian");
	assert_int_equal(d.answer.revision.micros, w.teller.micros);

	d = ask(&(struct question)Q("rivera", RECORD_VIEW, "record", "O20240115000001"));
	assert_string_equal(d.answer.employer, "lakeside");
	assert_null(d.answer.association);
	assert_string_equal(d.answer.consent, "c-lakeside-lakeside");

	d = ask(&(struct question)Q("novak", RECORD_VIEW, "record", "O20240115000001"));
	assert_string_equal(d.answer.association, "a-novak-harbor");
	assert_null(d.answer.consent);

	/* The answer to a stranger is the same for a record that there is and one that there is not. */
	struct decision is = ask(&(struct question)Q("ito", RECORD_VIEW, "record", "O20240115000001"));
	struct decision is_not = ask(&(struct question)Q("ito", RECORD_VIEW, "record", "O20240115000009"));
	assert_null(is.answer.provider);
	assert_null(is.answer.employer);
	assert_null(is.answer.association);
	assert_memory_equal(&is.answer, &is_not.answer, sizeof is.answer);
}

static void acting_for_an_employer_counts_only_the_paths_through_it(void **unused)
{
	static const struct { const char *user, *employer; enum reason real, told; } rows[] = {
		{ "okafor", "meridian", REASON_OK, REASON_OK },
		{ "okafor", "lakeside", NO_ASSOCIATION, NO_ASSOCIATION },
		{ "okafor", "harbor", NO_ASSOCIATION, NO_ASSOCIATION },
		{ "okafor", "nowhere", NO_ASSOCIATION, NO_ASSOCIATION },
		{ "okafor", "", NO_ASSOCIATION, NO_ASSOCIATION },
		{ "rivera", "lakeside", REASON_OK, REASON_OK },
		{ "rivera", "meridian", NO_ASSOCIATION, NO_ASSOCIATION },
		{ "outsider", "meridian", NO_ASSOCIATION, NOT_FOUND },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect("acting for",
		    &(struct question)Q(rows[i].user, RECORD_VIEW, "record", "O20240115000001", rows[i].employer),
		    rows[i].real, rows[i].told);
}

static void a_change_in_the_directory_changes_the_next_decision(void **unused)
{
	struct question q = Q("okafor", RECORD_VIEW, "record", "O20240115000001");

	(void)unused;
	expect("before", &q, REASON_OK, REASON_OK);
	tell_consent(&w.teller, "c-lakeside-meridian", "meridian", STATE_REVOKED);
	expect("revoked", &q, CONSENT_REVOKED, CONSENT_REVOKED);
	tell_consent(&w.teller, "c-lakeside-meridian", "meridian", STATE_APPROVED);
	expect("approved again", &q, REASON_OK, REASON_OK);
	tell_association(&w.teller, "a-okafor-meridian", "okafor", "meridian", STATE_ENDED);
	expect("ended", &q, ASSOCIATION_ENDED, NOT_FOUND);
	tell_association(&w.teller, "a-okafor-meridian", "okafor", "meridian", STATE_APPROVED);
	tell(&w.teller, (struct entry){ .kind = KIND_PERSON, .id = "okafor", .state = STATE_DISABLED });
	expect("disabled", &q, ACCOUNT_NOT_ACTIVE, ACCOUNT_NOT_ACTIVE);
}

/* ---- other resources ---- */

static void tell_more(void)
{
	tell(&w.teller, (struct entry){ .kind = KIND_SUBMISSION,
			    .id = "s-1",
			    .provider = "lakeside",
			    .employer = "meridian",
			    .user = "okafor",
			    .state = STATE_DRAFT });
	tell(&w.teller, (struct entry){ .kind = KIND_SUBMISSION,
			    .id = "s-2",
			    .provider = "lakeside",
			    .employer = "meridian",
			    .user = "okafor",
			    .state = STATE_SUBMITTED });
	tell_consent(&w.teller, "c-lakeside-harbor", "harbor", STATE_SIGNED);
	tell(&w.teller,
	    (struct entry){ .kind = KIND_ORGANIZATION, .id = "harbor", .state = STATE_ACTIVE, .is_employer = true });
	tell_association(&w.teller, "a-desk2-harbor", "desk2", "harbor", STATE_APPROVED);
	tell_association(&w.teller, "a-ito-harbor", "ito", "harbor", STATE_ENDED);
}

static void other_actions_are_asked_of_their_resources(void **unused)
{
	int64_t now = clock_now();
	const struct {
		const char *name;
		struct question q;
		enum reason real, told;
	} rows[] = {
		{ "the author reads his draft", Q("okafor", SUBMISSION_READ, "submission", "s-1"), REASON_OK,
		    REASON_OK },
		{ "the AO is no colleague", Q("rivera", SUBMISSION_READ, "submission", "s-1"), NO_ASSOCIATION,
		    NO_ASSOCIATION },
		{ "another employer is no colleague", Q("novak", SUBMISSION_READ, "submission", "s-1"), NO_ASSOCIATION,
		    NO_ASSOCIATION },
		{ "a stranger learns nothing of it", Q("outsider", SUBMISSION_READ, "submission", "s-1"),
		    NO_ASSOCIATION, NOT_FOUND },
		{ "nor of one that is not", Q("outsider", SUBMISSION_READ, "submission", "s-9"), NOT_FOUND, NOT_FOUND },
		{ "the author submits", Q("okafor", SUBMISSION_SUBMIT, "submission", "s-1"), REASON_OK, REASON_OK },
		{ "but not twice", Q("okafor", SUBMISSION_SUBMIT, "submission", "s-2"), ALREADY_DECIDED,
		    ALREADY_DECIDED },
		{ "a processor accepts what is submitted", Q("proc1", SUBMISSION_ACCEPT, "submission", "s-2"),
		    REASON_OK, REASON_OK },
		{ "he is told why he may not", Q("proc1", SUBMISSION_ACCEPT, "submission", "s-1"), ALREADY_DECIDED,
		    ALREADY_DECIDED },
		{ "but does not read by his role", Q("proc1", SUBMISSION_READ, "submission", "s-2"), NO_ASSOCIATION,
		    NOT_FOUND },
		{ "the author does not accept", Q("okafor", SUBMISSION_ACCEPT, "submission", "s-2"), NOT_PROCESSOR,
		    NOT_PROCESSOR },

		{ "a user asks for an association",
		    Q("outsider", ASSOCIATION_REQUEST, "provider", "lakeside", "harbor"), REASON_OK, REASON_OK },
		{ "not through an employer that is not",
		    Q("outsider", ASSOCIATION_REQUEST, "provider", "lakeside", "x"), NOT_FOUND, NOT_FOUND },
		{ "nor through none", Q("outsider", ASSOCIATION_REQUEST, "provider", "lakeside"), NOT_FOUND,
		    NOT_FOUND },
		{ "nor through a suspended one", Q("outsider", ASSOCIATION_REQUEST, "provider", "lakeside", "dormant"),
		    EMPLOYER_NOT_ACTIVE, EMPLOYER_NOT_ACTIVE },
		{ "not while one is open", Q("ito", ASSOCIATION_REQUEST, "provider", "lakeside", "meridian"),
		    ALREADY_DECIDED, ALREADY_DECIDED },
		{ "nor while one is approved", Q("okafor", ASSOCIATION_REQUEST, "provider", "lakeside", "meridian"),
		    ALREADY_DECIDED, ALREADY_DECIDED },
		{ "through another employer", Q("okafor", ASSOCIATION_REQUEST, "provider", "lakeside", "lakeside"),
		    REASON_OK, REASON_OK },
		{ "again after one has ended", Q("ito", ASSOCIATION_REQUEST, "provider", "lakeside", "harbor"),
		    REASON_OK, REASON_OK },

		{ "the AO approves", Q("rivera", ASSOCIATION_APPROVE, "association", "a-ito-meridian"), REASON_OK,
		    REASON_OK },
		{ "not what is decided", Q("rivera", ASSOCIATION_APPROVE, "association", "a-chen-lakeside"),
		    ALREADY_DECIDED, ALREADY_DECIDED },
		{ "an associate does not", Q("chen", ASSOCIATION_APPROVE, "association", "a-ito-meridian"),
		    NOT_AUTHORIZED_OFFICIAL, NOT_AUTHORIZED_OFFICIAL },
		{ "a stranger learns nothing of it",
		    Q("outsider", ASSOCIATION_APPROVE, "association", "a-ito-meridian"), NOT_AUTHORIZED_OFFICIAL,
		    NOT_FOUND },
		{ "who asked may cancel, though not tied",
		    Q("ito", ASSOCIATION_CANCEL, "association", "a-ito-meridian"), REASON_OK, REASON_OK },
		{ "and is told why he may not approve", Q("ito", ASSOCIATION_APPROVE, "association", "a-ito-meridian"),
		    NOT_AUTHORIZED_OFFICIAL, NOT_AUTHORIZED_OFFICIAL },
		{ "one ends one's own", Q("chen", ASSOCIATION_END, "association", "a-chen-lakeside"), REASON_OK,
		    REASON_OK },

		{ "the AO prepares a consent", Q("rivera", CONSENT_PREPARE, "provider", "lakeside", "harbor"),
		    REASON_OK, REASON_OK },
		{ "signing needs a recent proof", Q("rivera", CONSENT_SIGN, "consent", "c-lakeside-harbor"),
		    REAUTHENTICATION_REQUIRED, REAUTHENTICATION_REQUIRED },
		{ "an old one is none", Q("rivera", CONSENT_SIGN, "consent", "c-lakeside-harbor", NULL, now - 301),
		    REAUTHENTICATION_REQUIRED, REAUTHENTICATION_REQUIRED },
		{ "what is signed is not signed again",
		    Q("rivera", CONSENT_SIGN, "consent", "c-lakeside-harbor", NULL, now - 10), ALREADY_DECIDED,
		    ALREADY_DECIDED },
		{ "the help desk approves", Q("desk1", CONSENT_APPROVE, "consent", "c-lakeside-harbor"), REASON_OK,
		    REASON_OK },
		{ "not if involved", Q("desk2", CONSENT_APPROVE, "consent", "c-lakeside-harbor"), CONFLICT_OF_INTEREST,
		    CONFLICT_OF_INTEREST },
		{ "it is told why it may not", Q("desk1", CONSENT_APPROVE, "consent", "c-lakeside-meridian"),
		    ALREADY_DECIDED, ALREADY_DECIDED },
		{ "the AO does not approve", Q("rivera", CONSENT_APPROVE, "consent", "c-lakeside-harbor"),
		    NOT_HELP_DESK, NOT_HELP_DESK },
		{ "a stranger learns nothing of it", Q("outsider", CONSENT_APPROVE, "consent", "c-lakeside-harbor"),
		    NOT_HELP_DESK, NOT_FOUND },

		{ "the help desk unlocks", Q("desk1", ACCOUNT_UNLOCK, "user", "chen"), REASON_OK, REASON_OK },
		{ "not itself", Q("desk1", ACCOUNT_UNLOCK, "user", "desk1"), CONFLICT_OF_INTEREST,
		    CONFLICT_OF_INTEREST },
		{ "others do not", Q("rivera", ACCOUNT_UNLOCK, "user", "chen"), NOT_HELP_DESK, NOT_HELP_DESK },
		{ "the AO asks to bar an employer",
		    Q("rivera", EMPLOYER_REVOCATION_REQUEST, "provider", "lakeside", "meridian"), REASON_OK,
		    REASON_OK },
		{ "nobody is let in again who is in", Q("desk1", EMPLOYER_REINSTATE, "provider", "lakeside", "meridian"),
		    ALREADY_DECIDED, ALREADY_DECIDED },
		{ "an auditor reads", Q("audit1", AUDIT_READ, NULL, NULL), REASON_OK, REASON_OK },
		{ "others do not", Q("desk1", AUDIT_READ, NULL, NULL), NOT_AUDITOR, NOT_AUDITOR },
	};

	(void)unused;
	tell_more();
	for (size_t i = 0; i < COUNT(rows); i++)
		expect(rows[i].name, &rows[i].q, rows[i].real, rows[i].told);
}

static void tell_desk_matters(void)
{
	static const struct { const char *id, *provider, *user; } claims[] = {
		{ "m-outsider", "northgate", "outsider" }, { "m-okafor", "lakeside", "okafor" },
		{ "m-desk1", "northgate", "desk1" }, { "m-off", "northgate", "off" },
	};

	tell_more();
	tell(&w.teller, (struct entry){ .kind = KIND_PERSON, .id = "off", .state = STATE_DISABLED });
	tell(&w.teller, (struct entry){ .kind = KIND_PERSON, .id = "gone", .state = STATE_REMOVED });
	tell(&w.teller, (struct entry){ .kind = KIND_PERSON, .id = "leaver", .state = STATE_ACTIVE,
		.leaving = (const char *const[]){ "meridian", NULL } });
	tell_association(&w.teller, "a-leaver-meridian", "leaver", "meridian", STATE_APPROVED);
	tell_association(&w.teller, "a-leaver-harbor", "leaver", "harbor", STATE_PENDING);
	for (size_t i = 0; i < COUNT(claims); i++)
		tell(&w.teller, (struct entry){ .kind = KIND_CLAIM, .id = claims[i].id, .provider = claims[i].provider,
			.user = claims[i].user, .state = STATE_SUBMITTED });
	tell(&w.teller, (struct entry){ .kind = KIND_CLAIM, .id = "m-over", .provider = "lakeside", .user = "desk1",
		.state = STATE_REJECTED });
	tell(&w.teller, (struct entry){ .kind = KIND_CASE, .id = "h-revocation", .user = "rivera", .provider = "lakeside",
		.employer = "meridian", .state = STATE_SUBMITTED, .case_kind = CASE_REVOCATION });
	tell(&w.teller, (struct entry){ .kind = KIND_CASE, .id = "h-account", .user = "silva", .state = STATE_SUBMITTED,
		.case_kind = CASE_ACCOUNT });
	tell(&w.teller, (struct entry){ .kind = KIND_ORGANIZATION, .id = "begun", .state = STATE_REGISTERED,
		.provider_kind = PROVIDER_ORGANIZATION, .requested_by = "outsider" });
	tell(&w.teller, (struct entry){ .kind = KIND_ORGANIZATION, .id = "founded", .state = STATE_ACTIVE,
		.provider_kind = PROVIDER_ORGANIZATION, .official = "leaver", .requested_by = "desk1" });
	tell(&w.teller, (struct entry){ .kind = KIND_ORGANIZATION, .id = "halted", .state = STATE_SUSPENDED,
		.provider_kind = PROVIDER_ORGANIZATION, .official = "off" });
	tell(&w.teller, (struct entry){ .kind = KIND_ORGANIZATION, .id = "strict", .state = STATE_ACTIVE,
		.provider_kind = PROVIDER_ORGANIZATION, .official = "rivera",
		.barred = (const char *const[]){ "harbor", NULL } });
	tell(&w.teller, (struct entry){ .kind = KIND_ASSOCIATION, .id = "a-strict", .user = "chen", .employer = "harbor",
		.provider = "strict", .state = STATE_PENDING });
	tell(&w.teller, (struct entry){ .kind = KIND_CONSENT, .id = "c-strict", .employer = "harbor", .provider = "strict",
		.state = STATE_SIGNED });
}

static void what_is_between_people_and_the_help_desk_is_decided_and_hidden(void **unused)
{
	static const struct {
		const char *name;
		struct question q;
		enum reason real, told;
	} rows[] = {
		{ "one claims a seat", Q("outsider", CLAIM_SUBMIT, "provider", "northgate"), REASON_OK, REASON_OK },
		{ "but not an employer's", Q("outsider", CLAIM_SUBMIT, "provider", "meridian"), NOT_FOUND, NOT_FOUND },
		{ "nor one's own", Q("rivera", CLAIM_SUBMIT, "provider", "lakeside"), AO_ALREADY_EXISTS,
		    AO_ALREADY_EXISTS },
		{ "one withdraws one's claim", Q("outsider", CLAIM_WITHDRAW, "claim", "m-outsider"), REASON_OK, REASON_OK },
		{ "the claimant is told why he does not approve it", Q("outsider", CLAIM_APPROVE, "claim", "m-outsider"),
		    NOT_HELP_DESK, NOT_HELP_DESK },
		{ "an associate learns nothing of a claim", Q("chen", CLAIM_WITHDRAW, "claim", "m-okafor"), OWN_REQUEST,
		    NOT_FOUND },
		{ "nor the AO whom it would replace", Q("rivera", CLAIM_APPROVE, "claim", "m-okafor"), NOT_HELP_DESK,
		    NOT_FOUND },
		{ "nor of none", Q("chen", CLAIM_WITHDRAW, "claim", "m-none"), NOT_FOUND, NOT_FOUND },
		{ "the help desk learns whose it is", Q("desk1", CLAIM_WITHDRAW, "claim", "m-okafor"), OWN_REQUEST,
		    OWN_REQUEST },
		{ "and approves", Q("desk2", CLAIM_APPROVE, "claim", "m-outsider"), REASON_OK, REASON_OK },
		{ "not its own", Q("desk1", CLAIM_APPROVE, "claim", "m-desk1"), CONFLICT_OF_INTEREST,
		    CONFLICT_OF_INTEREST },
		{ "nor against its own", Q("desk1", CLAIM_REJECT, "claim", "m-outsider"), CONFLICT_OF_INTEREST,
		    CONFLICT_OF_INTEREST },
		{ "nor in its favour", Q("desk1", CLAIM_APPROVE, "claim", "m-outsider"), CONFLICT_OF_INTEREST,
		    CONFLICT_OF_INTEREST },
		{ "what it claimed once is over", Q("desk1", CLAIM_REJECT, "claim", "m-okafor"), REASON_OK, REASON_OK },
		{ "not as an associate of the organization", Q("desk2", CLAIM_REJECT, "claim", "m-okafor"),
		    CONFLICT_OF_INTEREST, CONFLICT_OF_INTEREST },
		{ "not for a disabled account", Q("desk2", CLAIM_APPROVE, "claim", "m-off"), ACCOUNT_NOT_ACTIVE,
		    ACCOUNT_NOT_ACTIVE },
		{ "nor where there is an AO", Q("desk1", CLAIM_APPROVE, "claim", "m-okafor"), AO_ALREADY_EXISTS,
		    AO_ALREADY_EXISTS },
		{ "whom it replaces", Q("desk1", CLAIM_REPLACE, "claim", "m-okafor"), REASON_OK, REASON_OK },

		{ "who has registered an organization describes it", Q("outsider", ORG_UPDATE, "provider", "begun"),
		    REASON_OK, REASON_OK },
		{ "an associate does not", Q("chen", ORG_UPDATE, "provider", "lakeside"), NOT_AUTHORIZED_OFFICIAL,
		    NOT_AUTHORIZED_OFFICIAL },
		{ "an official without an account opens nothing", Q("desk1", ORG_VERIFY, "provider", "halted"),
		    ACCOUNT_NOT_ACTIVE, ACCOUNT_NOT_ACTIVE },
		{ "the help desk closes", Q("desk1", ORG_CLOSE, "provider", "halted"), REASON_OK, REASON_OK },

		{ "an account of NPPES", Q("desk1", ACCOUNT_RESET, "user", "patel"), MANAGED_ELSEWHERE, MANAGED_ELSEWHERE },
		{ "an account that is not", Q("desk1", ACCOUNT_UNLOCK, "user", "nobody"), NOT_FOUND, NOT_FOUND },
		{ "of which others learn nothing", Q("chen", ACCOUNT_UNLOCK, "user", "nobody"), NOT_HELP_DESK,
		    NOT_HELP_DESK },
		{ "a disabled account", Q("desk1", ACCOUNT_ENABLE, "user", "off"), REASON_OK, REASON_OK },
		{ "fraud of an AO is his provider's matter", Q("desk1", ACCOUNT_FRAUD, "user", "rivera"), REASON_OK, REASON_OK },
		{ "and not for its associates to decide", Q("desk2", ACCOUNT_FRAUD, "user", "rivera"), CONFLICT_OF_INTEREST,
		    CONFLICT_OF_INTEREST },
		{ "as his account alone is", Q("desk2", ACCOUNT_DISABLE, "user", "rivera"), REASON_OK, REASON_OK },
		{ "nor is another's", Q("desk2", ACCOUNT_FRAUD, "user", "quinn"), REASON_OK, REASON_OK },
		{ "nor for who has registered one of his", Q("desk1", ACCOUNT_FRAUD, "user", "leaver"), CONFLICT_OF_INTEREST,
		    CONFLICT_OF_INTEREST },
		{ "but for others", Q("desk2", ACCOUNT_FRAUD, "user", "leaver"), REASON_OK, REASON_OK },
		{ "a removed one", Q("desk1", ACCOUNT_FRAUD, "user", "gone"), ALREADY_DECIDED, ALREADY_DECIDED },

		{ "anybody leaves", Q("okafor", EMPLOYER_LEAVE, "provider", "meridian"), REASON_OK, REASON_OK },
		{ "what there is", Q("okafor", EMPLOYER_LEAVE, "provider", "nowhere"), NOT_FOUND, NOT_FOUND },
		{ "who leaves has no path any more", Q("leaver", RECORD_VIEW, "record", "O20240115000001", "meridian"),
		    ASSOCIATION_ENDED, NOT_FOUND },
		{ "and asks for none before he has left",
		    Q("leaver", ASSOCIATION_REQUEST, "provider", "lakeside", "meridian"), ALREADY_DECIDED,
		    ALREADY_DECIDED },
		{ "but for another", Q("leaver", ASSOCIATION_REQUEST, "provider", "lakeside", "lakeside"), REASON_OK,
		    REASON_OK },
		{ "his request through another is approved",
		    Q("rivera", ASSOCIATION_APPROVE, "association", "a-leaver-harbor"), REASON_OK, REASON_OK },
		{ "not one through a barred employer", Q("rivera", ASSOCIATION_APPROVE, "association", "a-strict"),
		    EMPLOYER_BARRED, EMPLOYER_BARRED },
		{ "nor a consent", Q("desk1", CONSENT_APPROVE, "consent", "c-strict"), EMPLOYER_BARRED, EMPLOYER_BARRED },
		{ "nor is one prepared", Q("rivera", CONSENT_PREPARE, "provider", "strict", "harbor"), EMPLOYER_BARRED,
		    EMPLOYER_BARRED },

		{ "the help desk revokes", Q("desk1", EMPLOYER_REVOCATION_EXECUTE, "case", "h-revocation"), REASON_OK,
		    REASON_OK },
		{ "not as an associate", Q("desk2", EMPLOYER_REVOCATION_DECLINE, "case", "h-revocation"),
		    CONFLICT_OF_INTEREST, CONFLICT_OF_INTEREST },
		{ "not what is none", Q("desk1", EMPLOYER_REVOCATION_EXECUTE, "case", "h-account"), NOT_FOUND, NOT_FOUND },
		{ "the AO is told why he may not", Q("rivera", EMPLOYER_REVOCATION_EXECUTE, "case", "h-revocation"),
		    NOT_HELP_DESK, NOT_HELP_DESK },
		{ "an associate learns nothing of it", Q("chen", EMPLOYER_REVOCATION_EXECUTE, "case", "h-revocation"),
		    NOT_HELP_DESK, NOT_FOUND },
		{ "nor a stranger", Q("outsider", CASE_CLOSE, "case", "h-account"), NOT_HELP_DESK, NOT_FOUND },
		{ "whose case it is does not close it", Q("silva", CASE_CLOSE, "case", "h-account"), NOT_HELP_DESK,
		    NOT_HELP_DESK },
		{ "the help desk closes a case", Q("desk1", CASE_CLOSE, "case", "h-account"), REASON_OK, REASON_OK },
		{ "and reads its queue", Q("desk1", QUEUE_READ, NULL, NULL), REASON_OK, REASON_OK },
		{ "others do not", Q("audit1", QUEUE_READ, NULL, NULL), NOT_HELP_DESK, NOT_HELP_DESK },
	};

	(void)unused;
	tell_desk_matters();
	for (size_t i = 0; i < COUNT(rows); i++)
		expect(rows[i].name, &rows[i].q, rows[i].real, rows[i].told);
	tell(&w.teller, (struct entry){ .kind = KIND_PERSON, .id = "leaver", .state = STATE_ACTIVE,
		.leaving = (const char *const[]){ "harbor", NULL } });
	expect("leaves the other", &(struct question)Q("rivera", ASSOCIATION_APPROVE, "association", "a-leaver-harbor"),
	    ALREADY_DECIDED, ALREADY_DECIDED);
}

static void what_cannot_be_asked_is_no_permit(void **unused)
{
	static const struct question rows[] = {
		Q("chen", RECORD_VIEW, "provider", "lakeside"),
		Q("chen", RECORD_VIEW, "record", NULL),
		Q("chen", RECORD_VIEW, NULL, NULL),
		Q("chen", RECORD_VIEW, "records", "O20240115000001"),
		Q("chen", SUBMISSION_CREATE, "record", "O20240115000001"),
		Q("chen", ACTIONS, "record", "O20240115000001"),
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer answer;
		enum reason real;
		struct err e = flow_decide(w.arena, w.flow, &w.caller, &rows[i], &answer, &real, NULL);

		assert_int_equal(e.code, ERR_INVALID);
		assert_false(answer.verdict.allow);
		assert_int_not_equal(real, REASON_OK);
	}
}

static void a_replica_that_is_not_there_yet_or_not_far_enough_is_stale(void **unused)
{
	struct revision now = { .micros = w.teller.micros }, next = { .micros = w.teller.micros + 1 };
	struct question q = { "chen", RECORD_VIEW, "record", "O20240115000001", .at_least = &now };

	(void)unused;
	expect("reached", &q, REASON_OK, REASON_OK);
	q.at_least = &next;
	expect("not reached", &q, STALE_DIRECTORY, STALE_DIRECTORY);
	tell_consent(&w.teller, "c-lakeside-dormant", "dormant", STATE_APPROVED);
	expect("reached now", &q, REASON_OK, REASON_OK);
}

static void nothing_is_permitted_before_the_first_load(void **unused)
{
	const struct consent_filter tracked = { .tracking = "SCF-0000-0000-0000" };
	struct consent_info form, *forms;
	struct case_info help_case;
	struct revision revision;
	struct replica *empty;
	struct flow *flow;
	struct answer answer;
	const char *next;
	enum reason real;
	size_t count;

	(void)unused;
	assert_int_equal(replica_open_alone(&empty).code, OK);
	assert_int_equal(flow_open(&settings, empty, w.dir, NULL, w.audit, w.forms, NULL, &flow).code, OK);
	assert_int_equal(
	    flow_decide(w.arena, flow, &w.caller, &(struct question)Q("chen", RECORD_VIEW, "record", "O20240115000001"),
		&answer, &real, NULL)
		.code,
	    OK);
	assert_int_equal(answer.verdict.why, STALE_DIRECTORY);
	assert_false(answer.verdict.allow);
	/* Nor is it said that there is no such thing. */
	assert_int_equal(flow_view_consent(w.arena, flow, &w.caller, "c-lakeside-meridian", &form, &revision).code,
	    ERR_UNAVAILABLE);
	assert_int_equal(flow_list_consents(w.arena, flow, &w.caller, &tracked, NULL, &forms, &count, &next).code,
	    ERR_UNAVAILABLE);
	assert_int_equal(flow_view_case(w.arena, flow, &w.caller, "h-account", &help_case).code, ERR_UNAVAILABLE);
	flow_close(flow);
	replica_close(empty);
}

/* ---- explanations ---- */

static const struct explained_clause *clause_of(const struct explained_path *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->clauses[i].name, name) == 0)
			return &p->clauses[i];
	fail_msg("no clause '%s'", name);
	return NULL;
}

static void an_explanation_names_each_clause_and_the_entry_it_rests_on(void **unused)
{
	(void)unused;
	struct decision d =
	    ask(&(struct question){ "novak", RECORD_VIEW, "record", "O20240115000001", .explain = true });
	assert_int_equal(d.explanation.count, 1);
	const struct explained_path *p = &d.explanation.paths[0];
	assert_false(p->open);
	assert_string_equal(p->employer, "harbor");
	assert_string_equal(p->association, "a-novak-harbor");
	assert_null(p->consent);

	const struct explained_clause *c = clause_of(p, "association approved");
	assert_true(c->holds);
	assert_string_equal(c->dn, "scfAssociationId=a-novak-harbor,ou=associations,scfOrgId=lakeside,ou=organizations,"
				   "dc=scf,dc=example");
	assert_int_not_equal(c->revision.micros, 0);
	c = clause_of(p, "account active");
	assert_string_equal(c->dn, "uid=novak,ou=people,dc=scf,dc=example");
	c = clause_of(p, "employer active");
	assert_string_equal(c->dn, "scfOrgId=harbor,ou=organizations,dc=scf,dc=example");
	c = clause_of(p, "consent in force");
	assert_false(c->holds);
	assert_int_equal(c->otherwise, NO_CONSENT);
	assert_null(c->dn);
	assert_int_equal(c->revision.micros, 0);
}

static void an_explanation_tells_all_paths_and_one_without_entries_if_there_is_none(void **unused)
{
	(void)unused;
	tell_association(&w.teller, "a-rivera-harbor", "rivera", "harbor", STATE_APPROVED);
	tell_association(&w.teller, "a-rivera-meridian", "rivera", "meridian", STATE_PENDING);
	tell_association(&w.teller, "a-rivera-dormant", "rivera", "dormant", STATE_APPROVED);
	tell_association(&w.teller, "a-rivera-dormant-2", "rivera", "dormant", STATE_ENDED);
	struct decision d =
	    ask(&(struct question){ "rivera", RECORD_VIEW, "record", "O20240115000001", .explain = true });
	size_t open = 0;
	assert_int_equal(d.explanation.count, 5);
	for (size_t i = 0; i < d.explanation.count; i++)
		open += d.explanation.paths[i].open;
	assert_int_equal(open, 1);

	d = ask(&(struct question){ "outsider", RECORD_VIEW, "record", "O20240115000001", .explain = true });
	assert_int_equal(d.explanation.count, 1);
	assert_null(d.explanation.paths[0].employer);
	assert_false(d.explanation.paths[0].open);
	assert_true(d.explanation.paths[0].count > 3);

	d = ask(&(struct question){ "desk1", AUDIT_READ, NULL, NULL, .explain = true });
	const struct explained_clause *c = clause_of(&d.explanation.paths[0], "auditor");
	assert_false(c->holds);
	assert_string_equal(c->dn, "cn=auditors,ou=roles,dc=scf,dc=example");

	tell_desk_matters();
	static const struct { enum action action; const char *kind, *id, *clause, *dn; } rests[] = {
		{ CLAIM_APPROVE, "claim", "m-okafor", "claim submitted",
		    "scfClaimId=m-okafor,ou=claims,scfOrgId=lakeside,ou=organizations,dc=scf,dc=example" },
		{ CLAIM_APPROVE, "claim", "m-okafor", "claimant's account active", "uid=okafor,ou=people,dc=scf,dc=example" },
		{ CASE_CLOSE, "case", "h-account", "case open", "scfCaseId=h-account,ou=cases,dc=scf,dc=example" },
		{ ACCOUNT_ENABLE, "user", "off", "that account disabled", "uid=off,ou=people,dc=scf,dc=example" },
	};
	for (size_t i = 0; i < COUNT(rests); i++) {
		d = ask(&(struct question){ "desk1", rests[i].action, rests[i].kind, rests[i].id, .explain = true });
		assert_string_equal(clause_of(&d.explanation.paths[0], rests[i].clause)->dn, rests[i].dn);
	}

	d = ask(&(struct question)Q("chen", RECORD_VIEW, "record", "O20240115000001"));
	assert_int_equal(d.explanation.count, 0);
}

/* ---- the audit log ---- */

static json_t *last_line(size_t *lines)
{
	static char line[8192];
	FILE *f = fopen(w.log, "r");
	json_t *json;

	*lines = 0;
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		++*lines;
	fclose(f);
	assert_int_equal(json_read_object(w.arena, line, strlen(line), &json).code, OK);
	return json;
}

static void expect_member(const json_t *line, const char *member, const char *value)
{
	const char *is = json_string_value(json_object_get(line, member));

	if (value == NULL ? is != NULL : is == NULL || strcmp(is, value) != 0)
		fail_msg("%s: %s, not %s", member, is != NULL ? is : "-", value != NULL ? value : "-");
}

static void each_decision_is_one_line_with_the_real_reason_and_the_path(void **unused)
{
	size_t before, lines;

	(void)unused;
	ask(&(struct question)Q("okafor", RECORD_VIEW, "record", "O20240115000001"));
	{
		json_auto *line = last_line(&before);
		expect_member(line, "class", "decision");
		expect_member(line, "request_id", "r-1");
		expect_member(line, "application", "portal");
		expect_member(line, "actor", "okafor");
		expect_member(line, "action", "record.view");
		expect_member(line, "resource_kind", "record");
		expect_member(line, "resource", "O20240115000001");
		expect_member(line, "provider", "lakeside");
		expect_member(line, "employer", "meridian");
		expect_member(line, "association", "a-okafor-meridian");
		expect_member(line, "consent", "c-lakeside-meridian");
		expect_member(line, "outcome", "permit");
		expect_member(line, "reason", "ok");
	}
	ask(&(struct question)Q("ito", RECORD_VIEW, "record", "O20240115000001"));
	json_auto *line = last_line(&lines);
	assert_int_equal(lines, before + 1);
	expect_member(line, "outcome", "deny");
	expect_member(line, "reason", "association_pending");
	expect_member(line, "detail", "told not_found");
	expect_member(line, "association", "a-ito-meridian");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_house, close_house)
	const struct CMUnitTest tests[] = {
		TEST(every_user_and_record_and_action_of_the_sample_world),
		TEST(the_path_used_is_told_with_a_permit_and_nothing_with_a_hidden_refusal),
		TEST(acting_for_an_employer_counts_only_the_paths_through_it),
		TEST(a_change_in_the_directory_changes_the_next_decision),
		TEST(other_actions_are_asked_of_their_resources),
		TEST(what_is_between_people_and_the_help_desk_is_decided_and_hidden),
		TEST(what_cannot_be_asked_is_no_permit),
		TEST(a_replica_that_is_not_there_yet_or_not_far_enough_is_stale),
		TEST(nothing_is_permitted_before_the_first_load),
		TEST(an_explanation_names_each_clause_and_the_entry_it_rests_on),
		TEST(an_explanation_tells_all_paths_and_one_without_entries_if_there_is_none),
		TEST(each_decision_is_one_line_with_the_real_reason_and_the_path),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
