/* Tests who a token or a secret is taken for: every way in which a session or an application may have ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "flow/flow.h"
#include "sample_world.h"

static struct {
	struct arena *arena;
	struct replica *replica;
	struct dir *dir;
	struct audit *audit;
	struct flow *flow;
	struct world_teller teller;
	char folder[40];
	const char *log;
	int64_t now;
} w;

static const struct flow_settings settings = { .session_idle_s = 900,
	.session_absolute_s = 43200,
	.session_touch_s = 60,
	.recent_s = 300,
	.wait_ms = 100,
	.guesses_per_account = 3,
	.guesses_per_address = 20,
	.guess_window_s = 7200 };

static int open_house(void **unused)
{
	const struct dir_settings dir = { .uris = { "ldapi://%2Fnonexistent%2Fldapi" }, .base = "dc=scf,dc=example",
		.connect_timeout_ms = 100, .operation_timeout_ms = 100, .binds = 1, .searches = 1, .writers = 1 };

	(void)unused;
	memset(&w, 0, sizeof w);
	w.arena = arena_open();
	memcpy(w.folder, "/tmp/scfgate-recognize-XXXXXX", sizeof "/tmp/scfgate-recognize-XXXXXX");
	assert_non_null(mkdtemp(w.folder));
	w.log = arena_printf(w.arena, "%s/audit.jsonl", w.folder);
	assert_int_equal(audit_open(&(struct audit_settings){ .file = w.log, .sync_ms = 50 }, &w.audit).code, OK);
	assert_int_equal(dir_open(&dir, &w.dir).code, OK);
	assert_int_equal(replica_open_alone(&w.replica).code, OK);
	assert_int_equal(flow_open(&settings, w.replica, w.dir, NULL, w.audit, NULL, NULL, &w.flow).code, OK);
	w.teller.listener = replica_listener(w.replica);
	tell_sample_world(&w.teller);
	w.now = clock_now();
	return 0;
}

static int close_house(void **unused)
{
	(void)unused;
	flow_close(w.flow);
	replica_close(w.replica);
	dir_close(w.dir);
	audit_close(w.audit);
	unlink(w.log);
	rmdir(w.folder);
	arena_close(w.arena);
	return 0;
}

/* ---- sessions ---- */

static void tell_session(const char *token, struct entry entry)
{
	char id[DIGEST_TEXT];

	secret_digest(token, strlen(token), id);
	entry.kind = KIND_SESSION;
	entry.id = id;
	tell(&w.teller, entry);
}

static void a_session_is_good_until_one_of_its_ends(void **unused)
{
	const int64_t now = w.now;
	const struct {
		const char *name;
		enum reason why;
		struct entry session;
		int64_t sessions_end; /* of the person */
		enum state person;    /* NONE: active */
		int64_t password_changed_at;
	} rows[] = {
		{ "a new one", REASON_OK, { .started_at = now, .seen_at = now, .expires = now + 43200 }, 0,
		    STATE_NONE, 0 },
		{ "used 14 minutes ago", REASON_OK,
		    { .started_at = now - 5000, .seen_at = now - 840, .expires = now + 10 }, 0, STATE_NONE, 0 },
		{ "used 15 minutes ago", SESSION_EXPIRED,
		    { .started_at = now - 5000, .seen_at = now - 900, .expires = now + 999 }, 0, STATE_NONE, 0 },
		{ "at its absolute end", SESSION_EXPIRED, { .started_at = now - 43200, .seen_at = now, .expires = now },
		    0, STATE_NONE, 0 },
		{ "signed out", SESSION_EXPIRED,
		    { .started_at = now, .seen_at = now, .expires = now + 999, .state = STATE_ENDED }, 0, STATE_NONE, 0 },
		{ "older than the person's cut-off", SESSION_EXPIRED,
		    { .started_at = now - 100, .seen_at = now, .expires = now + 999 }, now - 99, STATE_NONE, 0 },
		{ "as old as the cut-off", REASON_OK, { .started_at = now - 100, .seen_at = now, .expires = now + 999 },
		    now - 100, STATE_NONE, 0 },
		{ "older than the password", SESSION_EXPIRED,
		    { .started_at = now - 100, .seen_at = now, .expires = now + 999 }, 0, STATE_NONE, now - 99 },
		{ "begun in the second that the password was changed in", SESSION_EXPIRED,
		    { .started_at = now - 100, .seen_at = now, .expires = now + 999 }, now - 200, STATE_NONE, now - 100 },
		{ "begun in the second after", REASON_OK,
		    { .started_at = now - 99, .seen_at = now, .expires = now + 999 }, now - 200, STATE_NONE, now - 100 },
		{ "younger than the password, older than the cut-off", SESSION_EXPIRED,
		    { .started_at = now - 99, .seen_at = now, .expires = now + 999 }, now - 50, STATE_NONE, now - 100 },
		{ "of a disabled account", ACCOUNT_NOT_ACTIVE,
		    { .started_at = now, .seen_at = now, .expires = now + 999 }, 0, STATE_DISABLED, 0 },
		{ "of a removed account", ACCOUNT_NOT_ACTIVE,
		    { .started_at = now, .seen_at = now, .expires = now + 999 }, 0, STATE_REMOVED, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char token[TOKEN_TEXT], id[DIGEST_TEXT];
		struct entry session = rows[i].session;
		struct caller caller = { .uid = "somebody", .session = "something", .authenticated_at = 1 };

		random_token(token);
		secret_digest(token, TOKEN_TEXT - 1, id);
		tell(&w.teller, (struct entry){ .kind = KIND_PERSON, .id = "chen", .sessions_end = rows[i].sessions_end,
				.password_changed_at = rows[i].password_changed_at,
				.state = rows[i].person != STATE_NONE ? rows[i].person : STATE_ACTIVE });
		session.user = "chen";
		session.authenticated_at = session.started_at;
		session.state = session.state != STATE_NONE ? session.state : STATE_ACTIVE;
		tell_session(token, session);
		enum reason why = flow_recognize(w.flow, token, &caller);
		if (why != rows[i].why)
			fail_msg("%s: %s", rows[i].name, reason_word(why));
		assert_string_equal(caller.uid, why == REASON_OK ? "chen" : "");
		assert_string_equal(caller.session, why == REASON_OK ? id : "");
		assert_int_equal(caller.authenticated_at, why == REASON_OK ? session.authenticated_at : 0);
	}
}

static void what_is_no_token_of_a_session_is_nobody(void **unused)
{
	static const char *const rows[] = { "", "a", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAA+AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA/AAAAAAAAAAAAAAAAAAAAA",
		"-AAAAAAAAAAAAAAAAAAAA\xc3\xa4_AAAAAAAAAAAAAAAAAAA" };
	struct caller caller = { .uid = "somebody" };

	(void)unused;
	assert_int_equal(flow_recognize(w.flow, NULL, &caller), NOT_AUTHENTICATED);
	for (size_t i = 0; i < COUNT(rows); i++) {
		/* Even if the directory had a session of that digest. */
		if (i != 2)
			tell_session(rows[i], (struct entry){ .state = STATE_ACTIVE,
						  .user = "chen",
						  .started_at = w.now,
						  .seen_at = w.now,
						  .expires = w.now + 100 });
		if (flow_recognize(w.flow, rows[i], &caller) != NOT_AUTHENTICATED)
			fail_msg("%s", rows[i]);
		assert_string_equal(caller.uid, "");
	}
}

static void a_session_of_nobody_is_nobody_s(void **unused)
{
	char token[TOKEN_TEXT];
	struct caller caller;

	(void)unused;
	random_token(token);
	tell_session(token, (struct entry){ .state = STATE_ACTIVE,
				.user = "ghost",
				.started_at = w.now,
				.seen_at = w.now,
				.expires = w.now + 100 });
	assert_int_equal(flow_recognize(w.flow, token, &caller), NOT_AUTHENTICATED);
}

/* The directory learns of a use only now and then; at this gateway it counts at once. */
static void a_use_here_keeps_a_session_from_idling_out_here(void **unused)
{
	struct flow_settings impatient = settings;
	char used[TOKEN_TEXT], unused_token[TOKEN_TEXT];
	struct caller caller;

	(void)unused;
	random_token(used);
	random_token(unused_token);
	struct entry session = { .state = STATE_ACTIVE,
		.user = "chen",
		.started_at = w.now - 3000,
		.seen_at = w.now - 890,
		.expires = w.now + 9999 };
	tell_session(used, session);
	tell_session(unused_token, session);
	assert_int_equal(flow_recognize(w.flow, used, &caller), REASON_OK);
	impatient.session_idle_s = 600;
	flow_configure(w.flow, &impatient);
	assert_int_equal(flow_recognize(w.flow, used, &caller), REASON_OK);
	assert_int_equal(flow_recognize(w.flow, unused_token, &caller), SESSION_EXPIRED);
}

static void nobody_is_recognized_before_the_first_load(void **unused)
{
	struct replica *empty;
	struct flow *flow;
	struct caller caller;
	char token[TOKEN_TEXT];

	(void)unused;
	random_token(token);
	assert_int_equal(replica_open_alone(&empty).code, OK);
	assert_int_equal(flow_open(&settings, empty, w.dir, NULL, w.audit, NULL, NULL, &flow).code, OK);
	assert_int_equal(flow_recognize(flow, token, &caller), STALE_DIRECTORY);
	assert_int_equal(
	    flow_recognize_application(w.arena, flow, "portal secret 2026", NULL, &caller), STALE_DIRECTORY);
	flow_close(flow);
	replica_close(empty);
}

static void the_csrf_token_belongs_to_one_session_token_and_does_not_tell_it(void **unused)
{
	char one[DIGEST_TEXT], again[DIGEST_TEXT], other[DIGEST_TEXT], id[DIGEST_TEXT];
	static const char token[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

	(void)unused;
	flow_csrf_of(token, one);
	flow_csrf_of(token, again);
	flow_csrf_of("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", other);
	secret_digest(token, strlen(token), id);
	assert_string_equal(one, again);
	assert_string_not_equal(one, other);
	assert_string_not_equal(one, id);
}

/* ---- applications ---- */

static void an_application_is_known_by_its_secret_or_certificate(void **unused)
{
	static const char *const decide[] = { "decide", NULL }, *const other[] = { "write", NULL };
	char portal[DIGEST_TEXT], sleeper[DIGEST_TEXT], writer[DIGEST_TEXT], certificate[DIGEST_TEXT];
	unsigned char own[32], unknown[32] = { 1 };
	struct caller caller;

	(void)unused;
	secret_digest("portal secret 2026", 18, portal);
	secret_digest("sleeper", 7, sleeper);
	secret_digest("writer", 6, writer);
	secret_digest("certificate", 11, certificate);
	secret_digest_bytes("certificate", 11, own);
	const char *const portals[] = { portal, NULL }, *const sleepers[] = { sleeper, NULL },
			  *const writers[] = { writer, NULL };
	const char *const certificates[] = { certificate, NULL };
	tell(&w.teller, (struct entry){ .kind = KIND_APPLICATION,
			    .id = "portal",
			    .state = STATE_ACTIVE,
			    .secret_digests = portals,
			    .permissions = decide });
	tell(&w.teller, (struct entry){ .kind = KIND_APPLICATION, .id = "sleeper", .state = STATE_DISABLED,
			.secret_digests = sleepers, .permissions = decide });
	tell(&w.teller, (struct entry){ .kind = KIND_APPLICATION,
			    .id = "writer",
			    .state = STATE_ACTIVE,
			    .secret_digests = writers,
			    .permissions = other });
	tell(&w.teller, (struct entry){ .kind = KIND_APPLICATION, .id = "proxy", .state = STATE_ACTIVE,
			.certificate_digests = certificates, .permissions = decide });

	const struct { const char *name, *secret; const unsigned char *certificate; const char *id; } rows[] = {
		{ "its secret", "portal secret 2026", NULL, "portal" },
		{ "its certificate", NULL, own, "proxy" },
		{ "its secret, with a certificate of nobody", "portal secret 2026", unknown, "portal" },
		{ "the secret of one, the certificate of another", "portal secret 2026", own, NULL },
		{ "a wrong secret with a good certificate", "portal", own, NULL },
		{ "a wrong secret", "portal secret 2025", NULL, NULL },
		{ "the digest itself", portal, NULL, NULL },
		{ "an empty secret", "", NULL, NULL },
		{ "a certificate of nobody", NULL, unknown, NULL },
		{ "nothing", NULL, NULL, NULL },
		{ "one that is disabled", "sleeper", NULL, NULL },
		{ "one that may not ask", "writer", NULL, NULL },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		caller.application = "somebody";
		enum reason why =
		    flow_recognize_application(w.arena, w.flow, rows[i].secret, rows[i].certificate, &caller);
		bool right = rows[i].id != NULL
				 ? caller.application != NULL && strcmp(caller.application, rows[i].id) == 0
				 : caller.application == NULL;

		if (!right || why != (rows[i].id != NULL ? REASON_OK : NOT_AUTHENTICATED))
			fail_msg("%s: %s", rows[i].name, caller.application != NULL ? caller.application : "-");
	}
}

static enum reason recognized(const char *uid, bool second_factor, const char *who_must)
{
	const char *const words[] = { who_must, NULL };
	struct flow_settings with = settings;
	struct caller caller = { 0 };
	char token[TOKEN_TEXT];

	with.second_factor_for = words;
	flow_configure(w.flow, &with);
	random_token(token);
	tell_session(token, (struct entry){ .user = uid, .state = STATE_ACTIVE, .started_at = w.now, .seen_at = w.now,
		.authenticated_at = w.now, .expires = w.now + 100, .second_factor = second_factor });
	enum reason why = flow_recognize(w.flow, token, &caller);
	assert_string_equal(caller.uid, uid); /* whoever must enrol is known, and may do that */
	assert_true(caller.second_factor == second_factor);
	return why;
}

static void who_must_have_a_second_factor_is_told_so(void **unused)
{
	(void)unused;
	assert_int_equal(recognized("desk1", false, NULL), REASON_OK);
	assert_int_equal(recognized("desk1", false, "helpdesk"), MFA_REQUIRED);
	assert_int_equal(recognized("desk1", true, "helpdesk"), REASON_OK);
	assert_int_equal(recognized("desk1", false, "auditors"), REASON_OK);
	assert_int_equal(recognized("audit1", false, "auditors"), MFA_REQUIRED);
	assert_int_equal(recognized("proc1", false, "processors"), MFA_REQUIRED);
	assert_int_equal(recognized("rivera", false, "officials"), MFA_REQUIRED);
	assert_int_equal(recognized("chen", false, "officials"), REASON_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_house, close_house)
	const struct CMUnitTest tests[] = {
		TEST(a_session_is_good_until_one_of_its_ends),
		TEST(what_is_no_token_of_a_session_is_nobody),
		TEST(a_session_of_nobody_is_nobody_s),
		TEST(who_must_have_a_second_factor_is_told_so),
		TEST(a_use_here_keeps_a_session_from_idling_out_here),
		TEST(nobody_is_recognized_before_the_first_load),
		TEST(the_csrf_token_belongs_to_one_session_token_and_does_not_tell_it),
		TEST(an_application_is_known_by_its_secret_or_certificate),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
