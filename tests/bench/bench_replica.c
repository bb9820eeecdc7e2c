/* How long a decision takes in process, what an entry costs in memory, how fast a world is loaded: P2, P5 (without a
 * directory) and P6 of the quality bars. Prints one JSON line per measurement.
 *
 *   bench_replica [SMALL LARGE [SECONDS]]       default 10000 1000000 12
 *
 * SIZE users, SIZE associations, SIZE consents, SIZE records; SIZE/5 providers, SIZE/50 employers. A question is two
 * texts, a uid and a record's id, in a warm buffer; timed is everything from there to the verdict: person, record,
 * provider, paths, rule. Kinds of questions:
 *   uniform   any user, any record: nearly all are refused for want of an association
 *   tied      any association's user, any record of its provider: nearly all go the whole way to a consent
 *   skewed    tied, 80 % of the questions about 20 % of the associations
 *   active    tied, all about 10,000 associations scattered over the world: as many people as are signed in at once
 * Latency is of single questions, between two fenced readings of the processor's clock (rdtscp, lfence), so that no
 * question overlaps with its neighbours; the cost of an empty pair of readings is taken off. Throughput is of such
 * questions one after the other without fences, 64 between two readings; the median of these blocks.
 * Small and large take turns of 50 ms, with a turn of single dependent reads from memory beside them, so that a ratio
 * compares what a noisy machine did at the same time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/clock.h"
#include "base/err.h"
#include "replica/replica.h"

#define BLOCK 64
#define SAMPLES_MOST 1000000
#define TURN_MS 50
#define MEMORY ((size_t)256 << 20)

/* ---- chance and names ---- */

static uint64_t chance_state = 88172645463325252u;

static uint32_t chance(uint32_t below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return (uint32_t)((chance_state >> 32) * below >> 32);
}

/* 26 characters [a-z2-7], as the gateway makes ids. */
static void opaque_id(char out[27], char kind, uint32_t i)
{
	uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)kind << 56;

	for (int k = 0; k < 26; k++) {
		out[k] = "abcdefghijklmnopqrstuvwxyz234567"[x >> 59];
		x = x * 6364136223846793005u + 1442695040888963407u;
	}
	out[26] = '\0';
}

static void uid_of(char out[33], uint32_t i)
{
	snprintf(out, 33, "u%07u", i);
}

static void record_of(char out[16], uint32_t i)
{
	snprintf(out, 16, "O2024%02u%02u%06u", i / 1000000 / 28 % 12 + 1, i / 1000000 % 28 + 1, i % 1000000);
}

static void provider_of(char out[16], uint32_t i)
{
	snprintf(out, 16, "p%06u", i);
}

static void employer_of(char out[16], uint32_t i)
{
	snprintf(out, 16, "e%05u", i);
}

/* ---- a world ---- */

struct crowd {
	uint32_t size, providers, employers;
	uint32_t *user, *provider; /* of associations */
};

static struct uuid uuid_of(enum kind kind, uint32_t i)
{
	struct uuid uuid = { { (unsigned char)kind } };
	uint64_t x = i * 0x9e3779b97f4a7c15u;

	memcpy(uuid.bytes + 1, &x, 8);
	memcpy(uuid.bytes + 9, &i, 4);
	return uuid;
}

/* Consents of a provider: one with itself, four with employers; record i and consent i belong to provider i / 5. */
static void consent_employer(char out[16], const struct crowd *c, uint32_t i)
{
	if (i % 5 == 0)
		provider_of(out, i / 5);
	else
		employer_of(out, (uint32_t)(i * 2654435761u) % c->employers);
}

static inline uint64_t ticks(void)
{
	unsigned core;
	uint64_t t = __rdtscp(&core);

	_mm_lfence();
	return t;
}

/* Tells one entry; the longest time that one took is the longest that a change may wait for a table to grow. */
static void tell(const struct dir_listener *l, const struct entry *e, uint64_t *longest)
{
	uint64_t from = ticks();

	l->entry(l->self, e);
	uint64_t took = ticks() - from;
	if (took > *longest)
		*longest = took;
}

static void load(struct crowd *c, const struct dir_listener *l, uint64_t *longest)
{
	char id[64], user[33], provider[16], employer[16];
	struct entry e;

	l->begin(l->self, true);
	for (uint32_t i = 0; i < c->size; i++) {
		uid_of(id, i);
		e = (struct entry){ .kind = KIND_PERSON, .uuid = uuid_of(KIND_PERSON, i), .id = id,
			.state = STATE_ACTIVE };
		tell(l, &e, longest);
	}
	for (uint32_t i = 0; i < c->employers; i++) {
		employer_of(id, i);
		e = (struct entry){ .kind = KIND_ORGANIZATION, .uuid = uuid_of(KIND_ORGANIZATION, i), .id = id,
			.state = STATE_ACTIVE, .is_employer = true };
		tell(l, &e, longest);
	}
	for (uint32_t p = 0; p < c->providers; p++) {
		provider_of(provider, p);
		uid_of(user, chance(c->size));
		e = (struct entry){ .kind = KIND_ORGANIZATION, .uuid = uuid_of(KIND_ORGANIZATION, c->employers + p),
			.id = provider, .state = STATE_ACTIVE, .official = user,
			.provider_kind = PROVIDER_ORGANIZATION, .is_employer = true };
		tell(l, &e, longest);
		for (uint32_t i = p * 5; i < p * 5 + 5; i++) {
			c->user[i] = chance(c->size);
			c->provider[i] = p;
			uid_of(user, c->user[i]);
			consent_employer(employer, c, p * 5 + chance(5));
			opaque_id(id, 'a', i);
			e = (struct entry){ .kind = KIND_ASSOCIATION, .uuid = uuid_of(KIND_ASSOCIATION, i), .id = id,
				.state = STATE_APPROVED, .user = user, .employer = employer, .provider = provider };
			tell(l, &e, longest);
			consent_employer(employer, c, i);
			opaque_id(id, 'c', i);
			e = (struct entry){ .kind = KIND_CONSENT, .uuid = uuid_of(KIND_CONSENT, i), .id = id,
				.state = STATE_APPROVED, .employer = employer, .provider = provider, .not_before = 1 };
			tell(l, &e, longest);
			record_of(id, i);
			e = (struct entry){ .kind = KIND_RECORD, .uuid = uuid_of(KIND_RECORD, i), .id = id,
				.provider = provider };
			tell(l, &e, longest);
		}
	}
	l->refreshed(l->self, true);
	l->reached(l->self, &(struct revision){ .micros = 1 });
}

static long resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
		exit(2);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

/* ---- questions ---- */

struct question { char uid[33], record[16]; };

static void ask_uniform(const struct crowd *c, struct question *q)
{
	uid_of(q->uid, chance(c->size));
	record_of(q->record, chance(c->size));
}

static void ask_about(const struct crowd *c, struct question *q, uint32_t association)
{
	uid_of(q->uid, c->user[association]);
	record_of(q->record, c->provider[association] * 5 + chance(5));
}

static void ask_tied(const struct crowd *c, struct question *q)
{
	ask_about(c, q, chance(c->size));
}

/* The fifth that is asked for most lies scattered among the others. */
static void ask_skewed(const struct crowd *c, struct question *q)
{
	uint32_t hot = chance(c->size / 5) * 5;

	ask_about(c, q, chance(5) > 0 ? hot : hot + 1 + chance(4));
}

static void ask_active(const struct crowd *c, struct question *q)
{
	uint32_t active = c->size < 10000 ? c->size : 10000;

	ask_about(c, q, (uint32_t)((uint64_t)chance(active) * c->size / active));
}

static inline bool decide(const struct view *v, const struct question *q)
{
	struct facts f = { .now = 1000, .actor = replica_person(v, q->uid) };
	const struct record *r = replica_record(v, q->record);

	f.provider = r ? replica_organization_no(v, r->provider) : NULL;
	return replica_judge(v, RECORD_VIEW, &f).allow;
}

static double ticks_per_ns(void)
{
	int64_t began = clock_steady_us();
	uint64_t from = ticks();

	while (clock_steady_us() - began < 100000)
		;
	return (double)(ticks() - from) / ((double)(clock_steady_us() - began) * 1000);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Of one world and one kind of question. */
struct tally {
	uint32_t samples[SAMPLES_MOST], blocks[SAMPLES_MOST / BLOCK];
	size_t count, block_count;
	uint64_t permits;
};
struct result { double p50, p99, mean, through, permits; };

static uint32_t empty_pair(void)
{
	uint32_t least = UINT32_MAX;

	for (int i = 0; i < 10000; i++) {
		uint64_t from = ticks();
		uint32_t took = (uint32_t)(ticks() - from);
		least = took < least ? took : least;
	}
	return least;
}

typedef void ask_function(const struct crowd *, struct question *);

static void turn(struct tally *t, struct replica *r, const struct crowd *c, ask_function *ask, uint32_t empty)
{
	static struct question q[BLOCK];
	int64_t end = clock_steady_ms() + TURN_MS;

	while (clock_steady_ms() < end && t->count + BLOCK <= SAMPLES_MOST) {
		struct view v;
		for (int i = 0; i < BLOCK; i++)
			ask(c, &q[i]);
		replica_enter(r, &v);
		for (int i = 0; i < BLOCK; i++) {
			uint64_t from = ticks();
			bool permit = decide(&v, &q[i]);
			uint64_t took = ticks() - from;
			t->permits += permit;
			t->samples[t->count++] = (uint32_t)(took > empty ? took - empty : 0);
		}
		replica_leave(&v);
		for (int i = 0; i < BLOCK; i++)
			ask(c, &q[i]);
		replica_enter(r, &v);
		uint64_t from = ticks();
		for (int i = 0; i < BLOCK; i++)
			t->permits += decide(&v, &q[i]);
		t->blocks[t->block_count++] = (uint32_t)(ticks() - from) / BLOCK;
		replica_leave(&v);
	}
}

static struct result result_of(struct tally *t, double per_ns)
{
	double sum = 0;

	for (size_t i = 0; i < t->count; i++)
		sum += t->samples[i];
	qsort(t->samples, t->count, sizeof t->samples[0], by_size);
	qsort(t->blocks, t->block_count, sizeof t->blocks[0], by_size);
	return (struct result){ t->samples[t->count / 2] / per_ns, t->samples[t->count / 100 * 99] / per_ns,
		sum / (double)t->count / per_ns, t->blocks[t->block_count / 2] / per_ns,
		(double)t->permits / (double)(2 * t->count) };
}

/* Reads from memory that wait for one another and that nothing can guess: what a cold look-up is made of. */
static void memory_turn(struct tally *t)
{
	static uint64_t *range;
	static uint64_t at;
	size_t count = MEMORY / 64;
	int64_t end = clock_steady_ms() + TURN_MS / 5;

	if (range == NULL) {
		range = aligned_alloc((size_t)2 << 20, MEMORY);
		if (range == NULL)
			exit(2);
		(void)madvise(range, MEMORY, MADV_HUGEPAGE);
		for (size_t i = 0; i < count; i++)
			range[i * 8] = 0;
	}
	while (clock_steady_ms() < end && t->count < SAMPLES_MOST) {
		uint64_t from = ticks();
		for (int i = 0; i < BLOCK; i++)
			at = (at + range[(at >> 32) * count >> 32 << 3]) * 6364136223846793005u + 1442695040888963407u;
		t->samples[t->count++] = (uint32_t)(ticks() - from) / BLOCK;
		t->block_count = 1;
	}
}

static const struct { const char *name; ask_function *ask; } kinds[] = {
	{ "uniform", ask_uniform },
	{ "tied", ask_tied },
	{ "skewed", ask_skewed },
	{ "active", ask_active },
};

/* "10k", "1M" */
static const char *world_word(uint32_t size)
{
	static char words[2][16];
	static int next;
	char *out = words[next++ % 2];

	if (size % 1000000 == 0)
		snprintf(out, 16, "%uM", size / 1000000);
	else if (size % 1000 == 0)
		snprintf(out, 16, "%uk", size / 1000);
	else
		snprintf(out, 16, "%u", size);
	return out;
}

static struct replica *load_world(struct crowd *c, uint32_t size, double per_ns, bool large)
{
	uint64_t longest = 0;
	struct replica *r = NULL;
	struct replica_status status;

	*c = (struct crowd){ .size = size, .providers = size / 5, .employers = size / 50 };
	c->user = calloc(size, sizeof *c->user);
	c->provider = calloc(size, sizeof *c->provider);
	if (c->user == NULL || c->provider == NULL || replica_open_alone(&r).code)
		exit(2);
	struct dir_listener l = replica_listener(r);
	long before = resident();
	int64_t began = clock_steady_us();
	load(c, &l, &longest);
	double took = (double)(clock_steady_us() - began) / 1e6;
	replica_status(r, &status);
	printf("{\"bench\":\"P5\",\"world\":\"%s\",\"entries\":%zu,\"seconds\":%.3f,\"entries_per_second\":%.0f,"
	    "\"longest_entry_us\":%.0f}\n", world_word(size), status.entries, took, (double)status.entries / took,
	    (double)longest / per_ns / 1000);
	printf("{\"bench\":\"%s\",\"world\":\"%s\",\"entries\":%zu,\"bytes_per_entry\":%.1f,"
	    "\"resident_per_entry\":%.1f}\n", large ? "P6" : "P6.small", world_word(size), status.entries, (double)status.bytes / (double)status.entries,
	    (double)(resident() - before) / (double)status.entries);
	return r;
}

static void print_result(uint32_t size, const char *skew, const struct result *r)
{
	printf("{\"bench\":\"P2\",\"world\":\"%s\",\"skew\":\"%s\",\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"mean_ns\":%.0f,"
	    "\"throughput_ns\":%.0f,\"permits\":%.3f}\n", world_word(size), skew, r->p50, r->p99, r->mean,
	    r->through, r->permits);
}

int main(int argc, char **argv)
{
	static struct tally tallies[COUNT(kinds)][2], memory;
	uint32_t sizes[2] = { argc > 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000,
		argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000000 };
	double seconds = argc > 3 ? strtod(argv[3], NULL) : 12, per_ns = ticks_per_ns();
	uint32_t empty = empty_pair();
	struct crowd crowds[2];
	struct replica *replicas[2];

	if (sizes[0] < 50 || sizes[1] < 50 || seconds <= 0) {
		fprintf(stderr, "usage: bench_replica [SMALL LARGE [SECONDS]], sizes of 50 or more\n");
		return 2;
	}
	for (int w = 0; w < 2; w++)
		replicas[w] = load_world(&crowds[w], sizes[w], per_ns, w == 1);
	for (int64_t end = clock_steady_ms() + (int64_t)(seconds * 1000); clock_steady_ms() < end; memory_turn(&memory))
		for (size_t i = 0; i < COUNT(kinds); i++)
			for (int w = 0; w < 2; w++)
				turn(&tallies[i][w], replicas[w], &crowds[w], kinds[i].ask, empty);
	printf("{\"bench\":\"memory.read\",\"range\":%zu,\"p50_ns\":%.0f}\n", MEMORY, result_of(&memory, per_ns).p50);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct result r[2];
		for (int w = 0; w < 2; w++) {
			r[w] = result_of(&tallies[i][w], per_ns);
			print_result(sizes[w], kinds[i].name, &r[w]);
		}
		printf("{\"bench\":\"P2.ratio\",\"skew\":\"%s\",\"p50\":%.2f,\"mean\":%.2f,\"throughput\":%.2f}\n",
		    kinds[i].name, r[1].p50 / r[0].p50, r[1].mean / r[0].mean, r[1].through / r[0].through);
	}
	for (int w = 0; w < 2; w++) {
		replica_close(replicas[w]);
		free(crowds[w].user);
		free(crowds[w].provider);
	}
	return 0;
}
