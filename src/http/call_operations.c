/* Calls of operators: is it alive, may it get requests, what has it done. On the operations listener only. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/server.h"

#include "base/banned.h"

#define SOON_S (7 * 86400)

struct reply call_live(struct request *q)
{
	static const char alive[] = "{\"status\":\"pass\"}";

	(void)q;
	struct reply r = { .status = 200, .type = "application/health+json", .body = alive, .size = sizeof alive - 1 };
	return r;
}

/* ---- readiness ---- */

enum health { PASS, WARN, BROKEN };
static const char *const health_words[] = { "pass", "warn", "fail" };

struct checkup {
	struct text *t;
	enum health worst;
	unsigned count;
};

static void check(struct checkup *c, const char *name, enum health health, const char *says)
{
	text_puts(c->t, c->count++ > 0 ? ",\"" : "\"");
	text_printf(c->t, "%s\":{\"status\":\"%s\",\"output\":", name, health_words[health]);
	text_json(c->t, says);
	text_puts(c->t, "}");
	if (health > c->worst)
		c->worst = health;
}

static void check_replica(struct checkup *c, struct request *q)
{
	struct replica_status s;

	replica_status(q->replica, &s);
	check(c, "replica_loaded", s.loaded ? PASS : BROKEN, s.loaded ? "a complete copy of the directory is held" :
	    "the first load is not complete");
	check(c, "replica_fresh", s.fresh ? PASS : BROKEN,
	    arena_printf(q->arena, "known to equal the directory %" PRId64 " ms ago", s.age_ms));
	check(c, "directory", s.connected ? PASS : BROKEN, s.connected ? "the stream is up" : "the stream is down");
	if (s.shrink_alarm)
		check(c, "shrink_alarm", WARN,
		    "a reload was implausibly small and was refused; an administrator must look");
	if (s.misfits > 0)
		check(c, "misfits", WARN,
		    arena_printf(q->arena, "%zu entries are not understood; the log names each as replica.misfit", s.misfits));
}

/* Mail that waits keeps nobody from working. */
static void check_mail(struct checkup *c, struct request *q)
{
	struct mail_status s;

	flow_mail_status(q->flow, &s);
	if (!s.on)
		return;
	if (s.silent_since != 0)
		check(c, "mail", WARN, arena_printf(q->arena, "the mail server has not been reached for %" PRId64
		    " s; %" PRIu64 " messages wait", clock_now() - s.silent_since, s.waiting));
	else
		check(c, "mail", PASS, "the mail server is not known to be down");
}

static void check_certificate(struct checkup *c, struct request *q)
{
	char when[CLOCK_TEXT];
	int64_t end, now = clock_now();

	pthread_mutex_lock(&q->http->lock);
	end = keys_expire(q->http->policy->keys);
	pthread_mutex_unlock(&q->http->lock);
	clock_format(end * 1000000, when);
	check(c, "certificate", end <= now ? BROKEN : end - now < SOON_S ? WARN : PASS,
	    arena_printf(q->arena, "%s %s", end <= now ? "expired" : "expires", when));
}

struct reply call_ready(struct request *q)
{
	char store[2048];
	struct text t, checks;
	struct checkup c = { .t = &checks };

	text_open(&checks, store, sizeof store);
	bool draining = q->http->draining;
	check(&c, "accepting", draining ? BROKEN : PASS, draining ? "draining" : "taking connections");
	check_replica(&c, q);
	struct err audit = audit_health(q->audit);
	check(&c, "audit", audit.code == OK ? PASS : BROKEN, audit.code == OK ? "records can be written" : audit.what);
	check_certificate(&c, q);
	check_mail(&c, q);

	text_open(&t, arena_alloc(q->arena, 64), 64);
	text_printf(&t, "{\"status\":\"%s\",\"checks\":{", health_words[c.worst]);
	text_put(&t, checks.bytes, checks.size);
	text_puts(&t, "}}");
	text_close(&checks);
	struct reply r = reply_json(q, c.worst == BROKEN ? 503 : 200, &t);
	r.type = "application/health+json";
	return r;
}

/* ---- metrics ---- */

static void gauge(struct text *t, const char *name, const char *help, int64_t value)
{
	text_printf(t, "# HELP %s %s\n# TYPE %s gauge\n%s %" PRId64 "\n", name, help, name, name, value);
}

static void total(struct text *t, const char *name, const char *help, uint64_t value)
{
	text_printf(t, "# HELP %s %s\n# TYPE %s counter\n%s %" PRIu64 "\n", name, help, name, name, value);
}

static void tell_replica(struct text *t, struct request *q)
{
	struct replica_status s;

	replica_status(q->replica, &s);
	text_puts(t,
	    "# HELP scfgate_replica_age_seconds Since the replica was known to equal the directory; -1: never.\n"
	    "# TYPE scfgate_replica_age_seconds gauge\n");
	text_printf(t, "scfgate_replica_age_seconds %.3f\n", s.age_ms < 0 ? -1.0 : (double)s.age_ms / 1000);
	gauge(t, "scfgate_replica_fresh", "1: decisions are made; 0: all are refused as stale.", s.fresh);
	gauge(t, "scfgate_replica_connected", "1: the replication stream is up.", s.connected);
	gauge(t, "scfgate_replica_shrink_alarm", "1: a reload was refused because it was implausibly small.",
	    s.shrink_alarm);
	gauge(t, "scfgate_replica_entries", "Entries held.", (int64_t)s.entries);
	gauge(t, "scfgate_replica_misfits", "Entries that are not understood.", (int64_t)s.misfits);
	gauge(t, "scfgate_replica_bytes", "Memory of the replica.", (int64_t)s.bytes);
	total(t, "scfgate_replica_changes_total", "Changes taken from the stream.", s.changes);
	total(t, "scfgate_replica_reloads_total", "Complete loads.", s.reloads);
	total(t, "scfgate_replica_reconnects_total", "Times that the stream was lost.", s.reconnects);
	text_puts(t, "# HELP scfgate_replica_load_seconds Duration of the last complete load.\n"
	    "# TYPE scfgate_replica_load_seconds gauge\n");
	text_printf(t, "scfgate_replica_load_seconds %.6f\n", (double)s.load_us / 1e6);
}

static void tell_mail(struct text *t, struct request *q)
{
	struct mail_status s;

	flow_mail_status(q->flow, &s);
	if (!s.on)
		return;
	gauge(t, "scfgate_mail_waiting", "Messages in the spool.", (int64_t)s.waiting);
	total(t, "scfgate_mail_sent_total", "Messages that the mail server has taken.", s.sent);
	total(t, "scfgate_mail_put_off_total", "Deliveries that are to be tried again.", s.put_off);
	total(t, "scfgate_mail_failed_total", "Messages given up: refused for good, or too old.", s.failed);
	gauge(t, "scfgate_mail_silent", "1: the mail server could not be reached the last time.", s.silent_since != 0);
}

static int64_t resident_bytes(void)
{
	long long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lld %lld", &pages, &resident) != 2)
		resident = 0;
	fclose(f);
	return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static int64_t open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int64_t n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 3; /* ".", "..", and the directory itself */
}

struct reply call_metrics(struct request *q)
{
	struct http *http = q->http;
	struct work_status w;
	struct audit_status audit;
	char store[8192];
	struct text t;

	work_status(http->work, &w);
	text_open(&t, store, sizeof store);
	metrics_tell(http->metrics, &t);
	tell_replica(&t, q);
	tell_mail(&t, q);
	audit_status(q->audit, &audit);
	total(&t, "scfgate_audit_records_total", "Audit records written.", audit.records);
	total(&t, "scfgate_audit_refused_total", "Audit records that could not be written.", audit.refused);
	total(&t, "scfgate_audit_syncs_total", "Times that the disk was waited for.", audit.syncs);
	gauge(&t, "scfgate_audit_writable", "1: audit records can be written.", audit_health(q->audit).code == OK);
	gauge(&t, "scfgate_connections", "Open connections, of both listeners.", http->client_count);
	gauge(&t, "scfgate_addresses", "Addresses of which connections or rates are counted.",
	    (int64_t)address_count(http->book));
	gauge(&t, "scfgate_worker_queue", "Requests that wait for a worker.", (int64_t)w.queued);
	gauge(&t, "scfgate_worker_queue_limit", "How many may wait; more are answered 503.", (int64_t)w.most);
	gauge(&t, "scfgate_workers_busy", "Workers that have a request.", (int64_t)w.running);
	gauge(&t, "scfgate_workers", "Workers.", (int64_t)w.threads);
	pthread_mutex_lock(&http->lock);
	int64_t end = keys_expire(http->policy->keys);
	pthread_mutex_unlock(&http->lock);
	gauge(&t, "scfgate_certificate_expires_seconds", "When the certificate ends, since the epoch.", end);
	gauge(&t, "process_resident_memory_bytes", "Memory of the process.", resident_bytes());
	gauge(&t, "process_open_fds", "Open files of the process.", open_files());
	struct reply r = reply_json(q, 200, &t);
	r.type = "text/plain; version=0.0.4; charset=utf-8";
	return r;
}
