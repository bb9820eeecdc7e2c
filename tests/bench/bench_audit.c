/* Measures the auditors' log: records a second that are handed to the kernel (decisions) and that wait for the disk
 * (sign-ins, changes), against the bare system calls on the same file system. One `name value` a line. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"
#include "base/clock.h"

enum { MILLISECONDS = 1000, MOST = 64 };

struct worker {
	pthread_t thread;
	struct audit *audit;
	enum audit_class class;
	int64_t end_us, worst_us;
	long count;
};

static void *work(void *self)
{
	struct worker *w = self;
	struct revision revision = { .micros = clock_micros() };
	struct audit_record record = { .class = w->class,
		.event = "decision",
		.request_id = "01j9z8k3m5n7p9q1",
		.address = "127.0.0.1",
		.application = "portal",
		.actor = "okafor",
		.session = "0123456789abcdef",
		.action = "record.view",
		.resource_kind = "record",
		.resource = "O20240115000001",
		.provider = "lakeside",
		.employer = "meridian",
		.association = "as-okafor-meridian-lakeside",
		.consent = "co-lakeside-meridian",
		.outcome = "permit",
		.reason = "ok",
		.revision = &revision };

	for (int64_t now = clock_steady_us(); now < w->end_us;) {
		if (audit_write(w->audit, &record).code)
			abort();
		int64_t then = now;
		now = clock_steady_us();
		w->worst_us = now - then > w->worst_us ? now - then : w->worst_us;
		w->count++;
	}
	return NULL;
}

static void measure(const char *file, enum audit_class class, const char *name, int threads)
{
	struct worker w[MOST] = { 0 };
	struct audit *audit;
	struct audit_status status;
	int64_t begin, end, worst = 0;
	long count = 0;

	unlink(file);
	if (audit_open(&(struct audit_settings){ .file = file, .sync_ms = 100 }, &audit).code)
		exit(1);
	begin = clock_steady_us();
	for (int i = 0; i < threads; i++) {
		w[i] = (struct worker){ .audit = audit, .class = class, .end_us = begin + MILLISECONDS * 1000 };
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			exit(1);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(w[i].thread, NULL);
		count += w[i].count;
		worst = w[i].worst_us > worst ? w[i].worst_us : worst;
	}
	end = clock_steady_us();
	audit_status(audit, &status);
	audit_close(audit);
	printf("%s_%d_threads_per_second %.0f\n", name, threads, (double)count * 1e6 / (double)(end - begin));
	printf("%s_%d_threads_worst_us %lld\n", name, threads, (long long)worst);
	if (class != AUDIT_DECISION)
		printf("%s_%d_threads_records_per_sync %.1f\n", name, threads,
		    (double)status.records / (double)(status.syncs ? status.syncs : 1));
	unlink(file);
}

static void measure_bare(const char *file, bool sync)
{
	char line[420];
	long count = 0;
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	int64_t begin = clock_steady_us(), end;

	memset(line, 'x', sizeof line);
	while ((end = clock_steady_us()) - begin < MILLISECONDS * 1000) {
		if (write(fd, line, sizeof line) != (ssize_t)sizeof line || (sync && fdatasync(fd)))
			exit(1);
		count++;
	}
	printf("%s_per_second %.0f\n", sync ? "bare_write_and_fdatasync" : "bare_write",
	    (double)count * 1e6 / (double)(end - begin));
	close(fd);
	unlink(file);
}

int main(int argc, char **argv)
{
	const char *file = argc > 1 ? argv[1] : "bench-audit.jsonl";

	measure_bare(file, false);
	measure(file, AUDIT_DECISION, "decision", 1);
	measure(file, AUDIT_DECISION, "decision", 2);
	measure(file, AUDIT_DECISION, "decision", 4);
	measure_bare(file, true);
	measure(file, AUDIT_CHANGE, "change", 1);
	measure(file, AUDIT_CHANGE, "change", 8);
	measure(file, AUDIT_CHANGE, "change", 32);
	return 0;
}
