/* Counters for operators, in Prometheus' text form. Each thread counts in a shard of its own; a scrape adds them up. */
#include <stdatomic.h>
#include <stdlib.h>

#include "http/request.h"

#include "base/banned.h"

#define SHARDS 16

static const unsigned statuses[] = { 200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 413, 414, 415, 417, 422, 428,
	429, 431, 500, 503 };
#define STATUSES (sizeof statuses / sizeof statuses[0])

static const struct {
	int64_t micros;
	const char *seconds;
} bounds[] = {
	{ 10, "0.00001" },
	{ 25, "0.000025" },
	{ 50, "0.00005" },
	{ 100, "0.0001" },
	{ 250, "0.00025" },
	{ 500, "0.0005" },
	{ 1000, "0.001" },
	{ 2500, "0.0025" },
	{ 5000, "0.005" },
	{ 10000, "0.01" },
	{ 50000, "0.05" },
	{ 250000, "0.25" },
};
#define BOUNDS (sizeof bounds / sizeof bounds[0])

static const char *const outcomes[] = { "ok", "refused", "must_change", "expired", "too_many", "new_refused",
	"elsewhere", "unavailable" };
#define OUTCOMES (sizeof outcomes / sizeof outcomes[0])

typedef _Atomic uint64_t counter;

struct shard {
	counter requests[ROUTES_MOST + 1][STATUSES]; /* the last row: no such call */
	counter decisions[ACTIONS][REASONS];
	counter latency[BOUNDS + 1], latency_sum;
	counter sign_ins[OUTCOMES];
};

struct metrics {
	struct shard shards[SHARDS];
};

struct metrics *metrics_open(void)
{
	return must_alloc(sizeof(struct metrics));
}

void metrics_close(struct metrics *m)
{
	free(m);
}

static struct shard *mine(struct metrics *m)
{
	static atomic_uint threads;
	static _Thread_local unsigned shard; /* + 1 */

	if (shard == 0)
		shard = atomic_fetch_add(&threads, 1) % SHARDS + 1;
	return &m->shards[shard - 1];
}

static void add(counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

void metrics_request(struct metrics *m, const struct row *row, unsigned status)
{
	size_t at = row != NULL ? (size_t)(row - routes_table) : ROUTES_MOST, i = 0;

	while (i < STATUSES - 1 && statuses[i] != status)
		i++;
	add(&mine(m)->requests[at][i], 1);
}

void metrics_decision(struct metrics *m, enum action action, enum reason reason, int64_t micros)
{
	struct shard *s = mine(m);
	size_t i = 0;

	add(&s->decisions[action][reason], 1);
	if (micros < 0)
		return;
	while (i < BOUNDS && micros > bounds[i].micros)
		i++;
	add(&s->latency[i], 1);
	add(&s->latency_sum, (uint64_t)micros);
}

void metrics_sign_in(struct metrics *m, enum sign_in_outcome outcome, bool unavailable)
{
	add(&mine(m)->sign_ins[unavailable ? OUTCOMES - 1 : (size_t)outcome], 1);
}

/* ---- telling ---- */

/* The sum over the shards of the counter at this offset. */
static uint64_t sum(const struct metrics *m, const counter *in_first)
{
	size_t offset = (size_t)((const char *)in_first - (const char *)&m->shards[0]);
	uint64_t n = 0;

	for (size_t i = 0; i < SHARDS; i++)
		n += atomic_load_explicit((const counter *)(const void *)((const char *)&m->shards[i] + offset),
		    memory_order_relaxed);
	return n;
}

static void tell_requests(const struct metrics *m, struct text *t)
{
	text_puts(t, "# HELP scfgate_requests_total Requests answered, by call and status.\n"
	    "# TYPE scfgate_requests_total counter\n");
	for (size_t row = 0; row <= ROUTES_MOST; row++) {
		for (size_t i = 0; i < STATUSES; i++) {
			uint64_t n = sum(m, &m->shards[0].requests[row][i]);

			if (n > 0)
				text_printf(t,
				    "scfgate_requests_total{method=\"%s\",route=\"%s\",status=\"%u\"} %llu\n",
				    row < routes_count ? routes_table[row].method : "",
				    row < routes_count ? routes_table[row].path : "none", statuses[i],
				    (unsigned long long)n);
		}
	}
}

static void tell_decisions(const struct metrics *m, struct text *t)
{
	text_puts(t, "# HELP scfgate_decisions_total Decisions, by action and reason.\n"
	    "# TYPE scfgate_decisions_total counter\n");
	for (size_t action = 0; action < ACTIONS; action++) {
		for (size_t reason = 0; reason < REASONS; reason++) {
			uint64_t n = sum(m, &m->shards[0].decisions[action][reason]);

			if (n > 0)
				text_printf(t, "scfgate_decisions_total{action=\"%s\",reason=\"%s\"} %llu\n",
				    action_word((enum action)action), reason_word((enum reason)reason),
				    (unsigned long long)n);
		}
	}
}

static void tell_latency(const struct metrics *m, struct text *t)
{
	uint64_t so_far = 0;

	text_puts(t, "# HELP scfgate_decision_seconds From a request's head to its decision, of the calls that only ask for one.\n"
	    "# TYPE scfgate_decision_seconds histogram\n");
	for (size_t i = 0; i <= BOUNDS; i++) {
		so_far += sum(m, &m->shards[0].latency[i]);
		text_printf(t, "scfgate_decision_seconds_bucket{le=\"%s\"} %llu\n",
		    i < BOUNDS ? bounds[i].seconds : "+Inf", (unsigned long long)so_far);
	}
	text_printf(t, "scfgate_decision_seconds_sum %.6f\n", (double)sum(m, &m->shards[0].latency_sum) / 1e6);
	text_printf(t, "scfgate_decision_seconds_count %llu\n", (unsigned long long)so_far);
}

static void tell_sign_ins(const struct metrics *m, struct text *t)
{
	text_puts(t, "# HELP scfgate_sign_ins_total Sign-ins and re-authentications, by outcome.\n"
	    "# TYPE scfgate_sign_ins_total counter\n");
	for (size_t i = 0; i < OUTCOMES; i++)
		text_printf(t, "scfgate_sign_ins_total{outcome=\"%s\"} %llu\n", outcomes[i],
		    (unsigned long long)sum(m, &m->shards[0].sign_ins[i]));
}

void metrics_tell(struct metrics *m, struct text *t)
{
	tell_requests(m, t);
	tell_decisions(m, t);
	tell_latency(m, t);
	tell_sign_ins(m, t);
}
