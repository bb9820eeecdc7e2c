/* Tests the auditors' log: nothing acknowledged is lost, no line is torn, and what cannot be written is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "audit/audit.h"
#include "base/clock.h"
#include "base/log.h"

static atomic_int disk_broken, disk_syncs;

/* In place of the C library's: counts, and fails when a test says so. */
int fdatasync(int fd)
{
	atomic_fetch_add(&disk_syncs, 1);
	if (atomic_load(&disk_broken)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* ---- a folder for each test ---- */

static char folder[64], file[96], other[96];

static int make_folder(void **unused)
{
	(void)unused;
	snprintf(folder, sizeof folder, "test-audit-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof file, "%s/audit.jsonl", folder);
	snprintf(other, sizeof other, "%s/moved", folder);
	atomic_store(&disk_broken, 0);
	return 0;
}

static int remove_folder(void **unused)
{
	(void)unused;
	unlink(file);
	unlink(other);
	return rmdir(folder);
}

static struct audit *open_log(void)
{
	struct audit *a = NULL;
	struct err err = audit_open(&(struct audit_settings){ .file = file, .sync_ms = 20 }, &a);

	if (err.code)
		fail_msg("audit_open: %s", err.what);
	return a;
}

static struct err try_open(void)
{
	struct audit *a = NULL;
	struct err err = audit_open(&(struct audit_settings){ .file = file, .sync_ms = 20 }, &a);

	if (!err.code)
		audit_close(a);
	return err;
}

static void write_file(const char *bytes, size_t size)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static size_t file_size(const char *name)
{
	struct stat st;

	return stat(name, &st) ? 0 : (size_t)st.st_size;
}

/* Every line is JSON, the numbers begin at first and have no gap. Calls see for each. */
static size_t read_lines(const char *name, uint64_t first, void (*see)(const json_t *line, void *self), void *self)
{
	FILE *f = fopen(name, "re");
	char *line = NULL;
	size_t room = 0, count = 0;
	ssize_t size;

	assert_non_null(f);
	while ((size = getline(&line, &room, f)) > 0) {
		json_error_t error;
		json_t *json = json_loadb(line, (size_t)size, JSON_REJECT_DUPLICATES, &error);
		if (!json || line[size - 1] != '\n')
			fail_msg("line %zu: %s: %s", count + 1, json ? "torn" : error.text, line);
		assert_int_equal(json_integer_value(json_object_get(json, "seq")), first + count);
		assert_true(clock_parse_rfc3339(json_string_value(json_object_get(json, "time"))) > 0);
		if (see)
			see(json, self);
		json_decref(json);
		count++;
	}
	free(line);
	fclose(f);
	return count;
}

static struct err decide(struct audit *a, const char *id)
{
	return audit_write(a, &(struct audit_record){ .class = AUDIT_DECISION, .event = "decision", .request_id = id,
	    .actor = "chen", .action = "record.view", .outcome = "permit", .reason = "ok" });
}

static struct err change(struct audit *a, const char *id)
{
	return audit_write(
	    a, &(struct audit_record){ .class = AUDIT_CHANGE, .event = "record.update", .request_id = id });
}

static bool wait_for(bool (*so)(struct audit *), struct audit *a)
{
	for (int64_t end = clock_steady_ms() + 5000; clock_steady_ms() < end; usleep(5000))
		if (so(a))
			return true;
	return false;
}

static bool is_healthy(struct audit *a)
{
	return audit_health(a).code == OK;
}

static bool was_reopened(struct audit *a)
{
	struct audit_status status;

	audit_status(a, &status);
	return status.reopened > 0;
}

/* ---- lines ---- */

static void a_line_has_every_field_that_was_given_and_no_other(void **unused)
{
	struct audit *a = open_log();
	struct revision revision;

	(void)unused;
	assert_true(revision_parse("20261124063744.123456Z#000000#000#000000", 40, &revision));
	struct audit_record r = { .class = AUDIT_SIGN_IN,
		.event = "sign_out",
		.request_id = "r1",
		.address = "::1",
		.application = "portal",
		.actor = "chen",
		.claimed = "Chen",
		.session = "0123456789abcdef",
		.action = "record.view",
		.resource_kind = "record",
		.resource = "O20240115000001",
		.provider = "lakeside",
		.employer = "meridian",
		.association = "a1",
		.consent = "c1",
		.outcome = "permit",
		.reason = "ok",
		.revision = &revision,
		.detail = "d" };
	assert_int_equal(audit_write(a, &r).code, OK);
	assert_int_equal(
	    audit_write(a, &(struct audit_record){ .class = AUDIT_DECISION, .event = "decision" }).code, OK);
	audit_close(a);

	FILE *f = fopen(file, "re");
	char first[2048], second[2048], expected[2048], *rest;
	assert_non_null(f);
	assert_non_null(fgets(first, sizeof first, f));
	assert_non_null(fgets(second, sizeof second, f));
	fclose(f);
	assert_int_equal(strncmp(first, "{\"seq\":1,\"time\":\"", 17), 0);
	rest = strstr(first, ",\"class\"");
	assert_non_null(rest);
	assert_string_equal(rest,
	    ",\"class\":\"sign_in\",\"event\":\"sign_out\",\"request_id\":\"r1\",\"address\":\"::1\","
	    "\"application\":\"portal\",\"actor\":\"chen\",\"claimed\":\"Chen\",\"session\":\"0123456789abcdef\","
	    "\"action\":\"record.view\","
	    "\"resource_kind\":\"record\",\"resource\":\"O20240115000001\",\"provider\":\"lakeside\",\"employer\":"
	    "\"meridian\","
	    "\"association\":\"a1\",\"consent\":\"c1\",\"outcome\":\"permit\",\"reason\":\"ok\","
	    "\"revision\":\"20261124063744.123456Z#000000#000#000000\",\"detail\":\"d\"}\n");
	snprintf(expected, sizeof expected, "%.45s,\"class\":\"decision\"}\n", second); /* the event is the word of the class */
	assert_string_equal(second, expected);
	assert_int_equal(strncmp(second, "{\"seq\":2,\"time\":\"", 17), 0);
	assert_int_equal(read_lines(file, 1, NULL, NULL), 2);
	struct stat st;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void keep_texts(const json_t *line, void *self)
{
	static const char *const names[] = { "event", "request_id", "address", "application", "actor", "claimed",
		"session", "action", "resource_kind", "resource", "provider", "employer", "association", "consent",
		"outcome", "reason", "detail" };
	const char *expected = self;

	assert_int_equal(json_object_size(line), COUNT(names) + 3);
	for (size_t i = 0; i < COUNT(names); i++)
		assert_string_equal(json_string_value(json_object_get(line, names[i])), expected);
}

static void whatever_a_stranger_sends_stays_one_line_and_one_field(void **unused)
{
	static const struct { const char *sent, *kept; } texts[] = {
		{ "a\r\nEvent: sign_in ok", "a\r\nEvent: sign_in ok" },
		{ "\"}\n{\"seq\":1,\"actor\":\"root\"}\n", "\"}\n{\"seq\":1,\"actor\":\"root\"}\n" },
		{ "\x01\x02\x1b[31m\x7f\t", "\x01\x02\x1b[31m\x7f\t" },
		{ "\\", "\\" },
		{ "", "" },
		{ "J\xc3\xbcrgen \xe2\x80\xa8 \xf0\x9f\x98\x80", "J\xc3\xbcrgen \xe2\x80\xa8 \xf0\x9f\x98\x80" },
		{ "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc0\xaf\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(texts); i++) {
		const char *s = texts[i].sent;
		struct audit *a = open_log();
		assert_int_equal(audit_write(a,
				     &(struct audit_record){ .class = AUDIT_DECISION,
					 .event = s,
					 .request_id = s,
					 .address = s,
					 .application = s,
					 .actor = s,
					 .claimed = s,
					 .session = s,
					 .action = s,
					 .resource_kind = s,
					 .resource = s,
					 .provider = s,
					 .employer = s,
					 .association = s,
					 .consent = s,
					 .outcome = s,
					 .reason = s,
					 .detail = s })
				     .code,
		    OK);
		audit_close(a);
		assert_int_equal(read_lines(file, 1, keep_texts, (void *)texts[i].kept), 1);
		assert_int_equal(unlink(file), 0);
	}
}

static void a_long_record_is_whole_and_one_too_long_is_refused(void **unused)
{
	struct audit *a = open_log();
	char *text = calloc(1, 70000);

	(void)unused;
	assert_non_null(text);
	memset(text, 'x', 60000);
	assert_int_equal(
	    audit_write(a, &(struct audit_record){ .class = AUDIT_DECISION, .event = "e", .detail = text }).code, OK);
	memset(text, '\n', 60000); /* six characters each */
	assert_int_equal(audit_write(a, &(struct audit_record){ .event = "e", .detail = text }).code, ERR_INVALID);
	assert_int_equal(decide(a, "after").code, OK);
	audit_close(a);
	free(text);
	assert_int_equal(read_lines(file, 1, NULL, NULL), 2);
	assert_true(file_size(file) > 60000);
}

/* ---- many at once ---- */

struct writer {
	pthread_t thread;
	struct audit *audit;
	int me, count, fd; /* fd: where to say what was acknowledged, or -1 */
	enum audit_class class;
};

static void *write_many(void *self)
{
	struct writer *w = self;

	for (int i = 0; i < w->count; i++) {
		char id[32], actor[8];
		snprintf(id, sizeof id, "%d", i);
		snprintf(actor, sizeof actor, "t%d", w->me);
		struct err err = audit_write(w->audit,
		    &(struct audit_record){ .class = w->class,
			.event = "decision",
			.request_id = id,
			.actor = actor,
			.resource = "O20240115000001",
			.outcome = "permit",
			.reason = "ok" });
		if (err.code)
			return (void *)err.what;
		int said[2] = { w->me, i };
		if (w->fd >= 0 && write(w->fd, said, sizeof said) != (ssize_t)sizeof said)
			return (void *)"pipe";
	}
	return NULL;
}

static void run_writers(struct audit *a, int threads, int count, enum audit_class class, int fd)
{
	struct writer w[16];
	void *result;

	for (int i = 0; i < threads; i++) {
		w[i] = (struct writer){ .audit = a, .me = i, .count = count, .class = class, .fd = fd };
		assert_int_equal(pthread_create(&w[i].thread, NULL, write_many, &w[i]), 0);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(w[i].thread, &result);
		if (result)
			fail_msg("writer %d: %s", i, (const char *)result);
	}
}

/* Lines of one thread are in the order that it wrote them. */
static void see_order(const json_t *line, void *self)
{
	int *next = self, who = atoi(json_string_value(json_object_get(line, "actor")) + 1);

	assert_true(who >= 0 && who < 16);
	assert_int_equal(atoi(json_string_value(json_object_get(line, "request_id"))), next[who]);
	next[who]++;
}

static void parallel_writers_leave_whole_lines_with_numbers_without_gaps(void **unused)
{
	int next[16] = { 0 };
	struct audit *a = open_log();

	(void)unused;
	run_writers(a, 8, 2000, AUDIT_DECISION, -1);
	audit_close(a);
	assert_int_equal(read_lines(file, 1, see_order, next), 8 * 2000);
	for (int i = 0; i < 8; i++)
		assert_int_equal(next[i], 2000);
}

static void one_fsync_serves_all_that_wait(void **unused)
{
	struct audit_status status;
	struct audit *a = open_log();
	int before = atomic_load(&disk_syncs);

	(void)unused;
	run_writers(a, 8, 100, AUDIT_CHANGE, -1);
	audit_status(a, &status);
	print_message("# %llu records on disk with %llu syncs\n", (unsigned long long)status.records,
	    (unsigned long long)status.syncs);
	assert_int_equal(status.records, 800);
	assert_true(status.syncs > 0 && status.syncs <= 400);
	assert_true(atomic_load(&disk_syncs) - before >= (int)status.syncs);
	audit_close(a);
	assert_int_equal(read_lines(file, 1, NULL, NULL), 800);
}

static void a_change_is_on_disk_before_its_answer_and_a_decision_soon(void **unused)
{
	struct audit_status status;
	struct audit *a = open_log();

	(void)unused;
	for (int i = 0; i < 5; i++) {
		int before = atomic_load(&disk_syncs);
		assert_int_equal(change(a, "c").code, OK);
		assert_true(atomic_load(&disk_syncs) > before);
	}
	audit_status(a, &status);
	uint64_t syncs = status.syncs;
	assert_int_equal(decide(a, "d").code, OK);
	for (int64_t end = clock_steady_ms() + 2000; status.syncs == syncs && clock_steady_ms() < end; usleep(1000))
		audit_status(a, &status);
	assert_true(status.syncs > syncs); /* at the tick: nobody waited for it */
	usleep(100000);
	audit_status(a, &status);
	syncs = status.syncs;
	usleep(100000);
	audit_status(a, &status);
	assert_int_equal(status.syncs, syncs); /* and the disk is left alone when there is nothing to say */
	audit_close(a);
}

/* ---- crashes ---- */

static void see_acknowledged(const json_t *line, void *self)
{
	unsigned char (*seen)[100000] = self;
	const char *actor = json_string_value(json_object_get(line, "actor"));

	if (actor)
		seen[atoi(actor + 1)][atoi(json_string_value(json_object_get(line, "request_id")))] = 1;
}

static void what_was_acknowledged_survives_kill_9(void **unused)
{
	static unsigned char seen[4][100000];
	size_t acknowledged = 0, before = 0;

	(void)unused;
	for (int round = 0; round < 5; round++) {
		int pipes[2], status, said[2];
		memset(seen, 0, sizeof seen);
		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20);
		pid_t child = fork();
		if (child == 0) {
			struct audit *a = NULL;
			if (audit_open(&(struct audit_settings){ .file = file, .sync_ms = 5 }, &a).code)
				_exit(1);
			run_writers(a, 4, 100000, round % 2 ? AUDIT_CHANGE : AUDIT_DECISION, pipes[1]);
			_exit(2);
		}
		close(pipes[1]);
		/* From the first acknowledgement on, some time in the middle of its work. */
		static unsigned char got[4][100000];
		memset(got, 0, sizeof got);
		size_t now = 0;
		int64_t end = 0;
		while (read(pipes[0], said, sizeof said) == (ssize_t)sizeof said) {
			got[said[0]][said[1]] = 1;
			now++;
			if (!end)
				end = clock_steady_ms() + 30 + round * 10;
			if (child > 0 && clock_steady_ms() >= end) {
				kill(child, SIGKILL);
				assert_int_equal(waitpid(child, &status, 0), child);
				assert_true(WIFSIGNALED(status));
				child = 0;
			}
		}
		close(pipes[0]);
		assert_int_equal(child, 0);

		struct audit *a = open_log();
		assert_int_equal(decide(a, "99999").code, OK);
		audit_close(a);
		size_t lines = read_lines(file, 1, see_acknowledged, seen);
		assert_true(lines >= before + now);
		before = lines;
		for (int i = 0; i < 4; i++)
			for (int j = 0; j < 100000; j++)
				if (got[i][j] && !seen[i][j])
					fail_msg("round %d: thread %d was told that record %d is there", round, i, j);
		acknowledged += now;
		assert_int_equal(unlink(file), 0);
		before = 0;
	}
	print_message("# %zu records acknowledged before kill -9, all there\n", acknowledged);
	assert_true(acknowledged > 0);
}

static void a_torn_last_line_is_cut_and_the_numbers_go_on(void **unused)
{
	static const char whole[] = "{\"seq\":41,\"time\":\"2026-11-24T06:37:44.123456Z\",\"class\":\"decision\"}\n";
	static const struct { const char *bytes; size_t size; } torn[] = {
		{ "{", 1 }, { "{\"seq\":42,\"time\":\"2026", 22 }, { "{\"seq\":42}", 10 }, { "\0\0\0\0", 4 },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(torn); i++) {
		write_file(whole, sizeof whole - 1);
		write_file(torn[i].bytes, torn[i].size);
		struct audit *a = open_log();
		assert_int_equal(file_size(file), sizeof whole - 1);
		assert_int_equal(decide(a, "next").code, OK);
		audit_close(a);
		assert_int_equal(read_lines(file, 41, NULL, NULL), 2);
		assert_int_equal(unlink(file), 0);
	}
	write_file("{\"seq\":1,\"ti", 12); /* the very first line */
	struct audit *a = open_log();
	assert_int_equal(file_size(file), 0);
	assert_int_equal(decide(a, "first").code, OK);
	audit_close(a);
	assert_int_equal(read_lines(file, 1, NULL, NULL), 1);
}

static void strange_lines_stay_as_evidence(void **unused)
{
	static const char lines[] =
	    "{\"seq\":7,\"time\":\"2026-11-24T06:37:44.123456Z\"}\n# edited by hand\n{\"seq\":x}\n";

	(void)unused;
	write_file(lines, sizeof lines - 1);
	struct audit *a = open_log();
	assert_int_equal(decide(a, "d").code, OK);
	audit_close(a);
	FILE *f = fopen(file, "re");
	char text[1024] = "";
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof text - 1, f) > sizeof lines);
	fclose(f);
	assert_int_equal(strncmp(text, lines, sizeof lines - 1), 0);
	assert_int_equal(strncmp(text + sizeof lines - 1, "{\"seq\":8,", 9), 0);
}

/* ---- refusals ---- */

static void a_second_opener_is_refused(void **unused)
{
	struct audit *a = open_log();

	(void)unused;
	assert_int_equal(try_open().code, ERR_CONFLICT);
	assert_int_equal(decide(a, "still here").code, OK);
	audit_close(a);
	assert_int_equal(try_open().code, OK);
}

static void what_is_no_audit_log_is_refused_and_left_alone(void **unused)
{
	static const char *const texts[] = { "root:x:0:0:root:/root:/bin/sh\n", "no line end", "{\"a\":1}\n",
		"{\"seq\":0,}\n" };

	(void)unused;
	for (size_t i = 0; i < COUNT(texts); i++) {
		write_file(texts[i], strlen(texts[i]));
		assert_int_equal(try_open().code, ERR_INVALID);
		assert_int_equal(file_size(file), strlen(texts[i]));
		assert_int_equal(unlink(file), 0);
	}
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(try_open().code, ERR_INVALID);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink("moved", file), 0);
	assert_int_equal(try_open().code, ERR_UNAVAILABLE);
	assert_int_equal(access(other, F_OK), -1);

	struct audit *a = NULL;
	assert_int_equal(
	    audit_open(&(struct audit_settings){ .file = "no/such/folder/audit" }, &a).code, ERR_UNAVAILABLE);
	assert_int_equal(audit_open(&(struct audit_settings){ .file = NULL }, &a).code, ERR_INVALID);
	assert_null(a);
}

static void a_full_disk_refuses_whole_records_and_recovers_by_itself(void **unused)
{
	struct rlimit limit, small;
	struct audit_status status;
	struct audit *a = open_log();
	int written = 0;

	(void)unused;
	assert_int_equal(decide(a, "before").code, OK);
	assert_int_equal(change(a, "before").code, OK);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = file_size(file) + 1000; /* ends in the middle of a line */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (decide(a, "d").code == OK)
		assert_true(++written < 100);
	assert_true(written > 0);
	assert_int_equal(decide(a, "no").code, ERR_UNAVAILABLE);
	assert_int_equal(change(a, "no").code, ERR_UNAVAILABLE);
	assert_int_equal(audit_health(a).code, ERR_UNAVAILABLE);
	assert_string_equal(audit_health(a).what, "the audit log has no space");
	usleep(300000); /* it goes on trying */
	assert_int_equal(read_lines(file, 1, NULL, NULL), (size_t)written + 2);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(wait_for(is_healthy, a));
	assert_int_equal(change(a, "after").code, OK);
	audit_status(a, &status);
	assert_int_equal(status.refused, 3);
	assert_int_equal(status.reopened, 0);
	audit_close(a);
	assert_int_equal(read_lines(file, 1, NULL, NULL), (size_t)written + 4); /* with audit.resumed */
}

static void a_disk_error_refuses_until_the_file_was_opened_anew(void **unused)
{
	struct audit_status status;
	struct audit *a = open_log();

	(void)unused;
	assert_int_equal(change(a, "before").code, OK);
	atomic_store(&disk_broken, 1);
	assert_int_equal(change(a, "no").code, ERR_UNAVAILABLE);
	assert_int_equal(audit_health(a).code, ERR_UNAVAILABLE);
	assert_int_equal(decide(a, "no").code, ERR_UNAVAILABLE);
	usleep(300000);
	assert_int_equal(audit_health(a).code, ERR_UNAVAILABLE);
	atomic_store(&disk_broken, 0);
	assert_true(wait_for(is_healthy, a));
	assert_int_equal(change(a, "after").code, OK);
	audit_status(a, &status);
	assert_true(status.reopened >= 1);
	assert_int_equal(status.refused, 2);
	audit_close(a);
	assert_int_equal(
	    read_lines(file, 1, NULL, NULL), 4); /* the second was not acknowledged; the third is audit.resumed */

	/* Decisions that nobody waited for are found out at the tick. */
	a = open_log();
	atomic_store(&disk_broken, 1);
	assert_int_equal(decide(a, "d").code, OK);
	for (int64_t end = clock_steady_ms() + 2000; is_healthy(a) && clock_steady_ms() < end;)
		usleep(1000);
	assert_false(is_healthy(a));
	atomic_store(&disk_broken, 0);
	assert_true(wait_for(is_healthy, a));
	audit_close(a);
}

static void many_that_wait_for_a_broken_disk_are_all_refused(void **unused)
{
	struct audit *a = open_log();
	struct writer w[8];
	void *result;

	(void)unused;
	atomic_store(&disk_broken, 1);
	for (int i = 0; i < 8; i++) {
		w[i] = (struct writer){ .audit = a, .me = i, .count = 1, .class = AUDIT_SIGN_IN, .fd = -1 };
		assert_int_equal(pthread_create(&w[i].thread, NULL, write_many, &w[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(w[i].thread, &result);
		assert_non_null(result);
	}
	audit_close(a);
}

static void a_file_that_was_moved_or_deleted_is_opened_anew(void **unused)
{
	struct audit *a = open_log();

	(void)unused;
	assert_int_equal(decide(a, "1").code, OK);
	assert_int_equal(rename(file, other), 0);
	assert_true(wait_for(was_reopened, a));
	assert_int_equal(change(a, "2").code, OK);
	assert_int_equal(read_lines(other, 1, NULL, NULL), 1);
	assert_int_equal(read_lines(file, 2, NULL, NULL), 1);
	audit_close(a);

	a = open_log();
	assert_int_equal(unlink(file), 0);
	assert_true(wait_for(was_reopened, a));
	assert_int_equal(change(a, "3").code, OK);
	audit_close(a);
	assert_int_equal(read_lines(file, 3, NULL, NULL), 1);

	/* And if it cannot be: refused until it can. */
	a = open_log();
	assert_int_equal(rename(file, other), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	for (int64_t end = clock_steady_ms() + 5000; is_healthy(a) && clock_steady_ms() < end;)
		usleep(5000);
	assert_int_equal(decide(a, "no").code, ERR_UNAVAILABLE);
	assert_int_equal(rmdir(file), 0);
	assert_true(wait_for(is_healthy, a));
	assert_int_equal(change(a, "5").code, OK);
	audit_close(a);
	assert_int_equal(read_lines(file, 4, NULL, NULL), 2);
}

static void what_is_kept_back_is_written_together_or_not_at_all(void **unused)
{
	struct rlimit limit, small;
	struct audit_status status;
	struct audit *a = open_log();
	struct audit_kept *kept = audit_kept_open(a);

	(void)unused;
	audit_keep(kept);
	assert_false(audit_has_kept(kept));
	for (int i = 0; i < 1000; i++) /* more than are kept at a time */
		assert_int_equal(decide(a, "kept").code, OK);
	assert_true(audit_has_kept(kept));
	assert_int_equal(audit_write_kept(kept).code, OK);
	assert_false(audit_has_kept(kept));
	assert_int_equal(read_lines(file, 1, NULL, NULL), 1000);

	assert_int_equal(decide(a, "kept").code, OK);
	assert_int_equal(read_lines(file, 1, NULL, NULL), 1000);
	assert_int_equal(change(a, "at once").code, OK); /* changes are never kept */
	assert_int_equal(read_lines(file, 1, NULL, NULL), 1001);
	assert_int_equal(audit_write_kept(kept).code, OK);
	assert_int_equal(read_lines(file, 1, NULL, NULL), 1002);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = file_size(file) + 100; /* ends in the middle of a line */
	assert_int_equal(decide(a, "lost").code, OK);
	assert_int_equal(decide(a, "lost").code, OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(audit_write_kept(kept).code, ERR_UNAVAILABLE);
	assert_false(audit_has_kept(kept));
	assert_int_equal(read_lines(file, 1, NULL, NULL), 1002);
	assert_int_equal(decide(a, "refused").code, ERR_UNAVAILABLE); /* known now, and said at once */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(wait_for(is_healthy, a));
	assert_int_equal(decide(a, "after").code, OK);
	audit_keep(NULL);
	assert_int_equal(audit_write_kept(kept).code, OK);
	audit_status(a, &status);
	assert_int_equal(status.refused, 3);
	assert_int_equal(status.records, 1003);
	audit_kept_close(kept);
	audit_close(a);
	assert_int_equal(read_lines(file, 1, NULL, NULL), 1004); /* with audit.resumed */
}

static void switched_off_it_writes_nothing(void **unused)
{
	struct audit *a = NULL;

	(void)unused;
	assert_int_equal(audit_open(&(struct audit_settings){ .file = file, .off = true }, &a).code, OK);
	assert_int_equal(decide(a, "d").code, OK);
	assert_int_equal(change(a, "c").code, OK);
	assert_int_equal(audit_health(a).code, OK);
	audit_close(a);
	assert_int_equal(access(file, F_OK), -1);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_line_has_every_field_that_was_given_and_no_other),
		IN_FOLDER(whatever_a_stranger_sends_stays_one_line_and_one_field),
		IN_FOLDER(a_long_record_is_whole_and_one_too_long_is_refused),
		IN_FOLDER(parallel_writers_leave_whole_lines_with_numbers_without_gaps),
		IN_FOLDER(one_fsync_serves_all_that_wait),
		IN_FOLDER(a_change_is_on_disk_before_its_answer_and_a_decision_soon),
		IN_FOLDER(what_was_acknowledged_survives_kill_9),
		IN_FOLDER(a_torn_last_line_is_cut_and_the_numbers_go_on),
		IN_FOLDER(strange_lines_stay_as_evidence),
		IN_FOLDER(a_second_opener_is_refused),
		IN_FOLDER(what_is_no_audit_log_is_refused_and_left_alone),
		IN_FOLDER(a_full_disk_refuses_whole_records_and_recovers_by_itself),
		IN_FOLDER(a_disk_error_refuses_until_the_file_was_opened_anew),
		IN_FOLDER(many_that_wait_for_a_broken_disk_are_all_refused),
		IN_FOLDER(a_file_that_was_moved_or_deleted_is_opened_anew),
		IN_FOLDER(what_is_kept_back_is_written_together_or_not_at_all),
		IN_FOLDER(switched_off_it_writes_nothing),
	};

	signal(SIGXFSZ, SIG_IGN);
	log_set_level(LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
