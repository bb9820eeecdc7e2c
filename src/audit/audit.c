/* The auditors' log: an append-only file of JSON lines with numbers without gaps; one fdatasync serves all who wait. */
#include "audit/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include "base/banned.h"

enum {
	HEAD_ROOM = 80,            /* for {"seq":…,"time":"…", which is known last and stands first */
	LINE_MOST = 64 * 1024,
	KEPT_MOST = 128,           /* lines that one thread keeps back */
	KEPT_ROOM = 256 * 1024,    /* and their bytes */
	TAIL_MOST = 1024 * 1024,   /* of an existing file: holds its last line, and a torn one behind it */
	LOOK_MS = 1000,            /* how often the file is looked after */
	PROBE_MS = 100,            /* how often writing is tried again after it failed */
};

/* On the stack of a thread that waits for the disk. */
struct waiter {
	struct waiter *next;
	bool done, on_disk;
};

struct audit {
	char *file;
	bool off;
	int sync_ms;
	int fd; /* replaced by the syncer alone, under the mutex */

	pthread_mutex_t mutex; /* everything below; held over write(2), never over fdatasync(2) */
	pthread_cond_t wake;   /* the syncer: somebody waits, or stop */
	pthread_cond_t synced; /* those who wait */
	struct waiter *waiters;
	uint64_t seq;          /* of the last line */
	int64_t second;        /* that `when` was made for, in microseconds */
	char when[CLOCK_TEXT];
	bool dirty;            /* lines were written that no fdatasync has covered */
	bool stop;
	const char *failing;   /* why records are refused now, or NULL */
	bool must_reopen;      /* the descriptor is not to be trusted any more */
	uint64_t refused_now;  /* since it began to fail */
	struct audit_status status;

	pthread_t syncer;
	int64_t looked_at;     /* the syncer's own: steady ms */
};

/* Lines of one thread that are not written yet, each behind HEAD_ROOM bytes for its head. */
struct audit_kept {
	struct audit *audit;
	bool lost;                 /* some could not be written: the answers of all that were kept with them must not leave */
	size_t count, size;
	struct { size_t at, size; } lines[KEPT_MOST];
	char bytes[KEPT_ROOM];
};
static _Thread_local struct audit_kept *keeping;

/* ---- the file ---- */

static const char beginning[] = "{\"seq\":";

/* As far as it goes: of a torn line there may be less. */
static bool begins_ours(const char *line, size_t size)
{
	return memcmp(line, beginning, size < sizeof beginning - 1 ? size : sizeof beginning - 1) == 0;
}

/* The number of a line of ours, 0 if it is none. */
static uint64_t seq_of_line(const char *line, size_t size)
{
	size_t i = sizeof beginning - 1;
	uint64_t seq = 0;

	if (size < i + 3 || !begins_ours(line, size) || line[size - 1] != '}')
		return 0;
	for (; i < size && line[i] >= '0' && line[i] <= '9' && seq < UINT64_MAX / 16; i++)
		seq = seq * 10 + (uint64_t)(line[i] - '0');
	return line[i] == ',' ? seq : 0;
}

/* Takes up the last number, and cuts what a crash left behind the last whole line. */
static struct err take_up(int fd, const char *file, off_t size, uint64_t *out)
{
	size_t room = size < TAIL_MOST ? (size_t)size : TAIL_MOST, whole, end;
	char *tail = must_alloc(room + 1);
	struct err err = SUCCESS;

	*out = 0;
	if (pread(fd, tail, room, size - (off_t)room) != (ssize_t)room) {
		free(tail);
		return FAIL(ERR_UNAVAILABLE, "the audit log cannot be read");
	}
	for (whole = room; whole > 0 && tail[whole - 1] != '\n'; whole--)
		;
	/* Lines that are not ours (zeros after a power loss, an editor) stay where they are, as evidence. */
	for (end = whole; end > 0 && *out == 0;) {
		size_t begin = end - 1;
		while (begin > 0 && tail[begin - 1] != '\n')
			begin--;
		*out = seq_of_line(tail + begin, end - 1 - begin);
		if (*out == 0)
			log_event(LOG_WARNING, "audit.strange_line", "file=%s bytes=%zu", file, end - begin);
		end = begin;
	}
	if (*out == 0 && (whole > 0 || room == TAIL_MOST || !begins_ours(tail, room))) {
		err = FAIL(ERR_INVALID, "the file is not an audit log");
	} else if (whole < room) {
		log_event(LOG_WARNING, "audit.torn_line", "file=%s bytes=%zu", file, room - whole);
		if (ftruncate(fd, size - (off_t)(room - whole)) || fdatasync(fd))
			err = FAIL(ERR_UNAVAILABLE, "a torn line cannot be cut off the audit log");
	}
	free(tail);
	return err;
}

/* A file that was just made must still be there after a power loss. */
static bool sync_folder(const char *file)
{
	char *folder = must_strdup(file), *slash = strrchr(folder, '/');

	if (slash)
		slash[slash == folder] = '\0';
	int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	free(folder);
	return ok;
}

static struct err open_file(const char *file, int *out, uint64_t *seq)
{
	struct stat st;
	int fd = open(file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct err err = SUCCESS;

	if (fd < 0)
		return FAIL(ERR_UNAVAILABLE, "the audit log cannot be opened");
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		err = FAIL(ERR_INVALID, "the audit log is not a regular file");
	else if (flock(fd, LOCK_EX | LOCK_NB))
		err = FAIL(ERR_CONFLICT, "another process writes the audit log");
	else if (fstat(fd, &st))
		err = FAIL(ERR_UNAVAILABLE, "the audit log cannot be read");
	else if (st.st_size > 0)
		err = take_up(fd, file, st.st_size, seq);
	else if (!sync_folder(file))
		err = FAIL(ERR_UNAVAILABLE, "the audit log's folder cannot be written to disk");
	else
		*seq = 0;
	if (err.code) {
		int cause = errno;
		close(fd);
		errno = cause;
		return err;
	}
	*out = fd;
	return SUCCESS;
}

/* All of the lines or nothing of them. */
static bool append(int fd, const struct iovec *lines, size_t count, size_t size)
{
	ssize_t written;
	struct stat st;

	do
		written = count == 1 ? write(fd, lines->iov_base, size) : writev(fd, lines, (int)count);
	while (written < 0 && errno == EINTR);
	if (written == (ssize_t)size)
		return true;
	int cause = written < 0 ? errno : ENOSPC;
	if (written > 0 && (fstat(fd, &st) || ftruncate(fd, st.st_size - written)))
		cause = EIO;
	errno = cause;
	return false;
}

/* ---- lines ---- */

/* Each value is a text; the quote that ends it is the first of what comes next. */
#define PUT(t, name, value)                                                       \
	do {                                                                      \
		const char *value_ = (value);                                     \
		if (value_ != NULL) {                                             \
			text_put((t), "\",\"" name "\":\"", sizeof name + 5);      \
			text_json_inside((t), value_);                            \
		}                                                                 \
	} while (0)

/* Everything behind seq and time, after HEAD_ROOM bytes that are left for them. */
static void put_record(struct text *t, const struct audit_record *r)
{
	static const char *const classes[] = {
		[AUDIT_DECISION] = "decision", [AUDIT_SIGN_IN] = "sign_in", [AUDIT_CHANGE] = "change",
	};
	static const char room[HEAD_ROOM];
	const char *class = (unsigned)r->class < COUNT(classes) ? classes[r->class] : "unknown";
	char revision[REVISION_TEXT];

	text_put(t, room, HEAD_ROOM);
	PUT(t, "class", class);
	if (!text_same(r->event, class)) /* a decision is a decision: most lines are, and bytes are what a line costs */
		PUT(t, "event", r->event);
	PUT(t, "request_id", r->request_id);
	PUT(t, "address", r->address);
	PUT(t, "application", r->application);
	PUT(t, "actor", r->actor);
	PUT(t, "claimed", r->claimed);
	PUT(t, "session", r->session);
	PUT(t, "action", r->action);
	PUT(t, "resource_kind", r->resource_kind);
	PUT(t, "resource", r->resource);
	PUT(t, "provider", r->provider);
	PUT(t, "employer", r->employer);
	PUT(t, "association", r->association);
	PUT(t, "consent", r->consent);
	PUT(t, "outcome", r->outcome);
	PUT(t, "reason", r->reason);
	if (r->revision && r->revision->micros) {
		revision_format(r->revision, revision);
		PUT(t, "revision", revision);
	}
	PUT(t, "detail", r->detail);
	text_put(t, "\"}\n", 3);
}

/* The time now. Lines come by the thousand within a second, and only its fraction is written anew. */
static const char *time_text(struct audit *a)
{
	int64_t now = clock_micros();

	if (now - a->second < 0 || now - a->second >= 1000000) {
		a->second = now - now % 1000000;
		clock_format(a->second, a->when);
	}
	int fraction = (int)(now - a->second);
	for (char *digit = a->when + 25; digit >= a->when + 20; digit--, fraction /= 10)
		*digit = (char)('0' + fraction % 10);
	return a->when;
}

/* Writes seq and time right before the rest, into the last of HEAD_ROOM bytes; where the line begins. */
static struct iovec put_head(char *room, size_t size, uint64_t seq, const char *when)
{
	char store[HEAD_ROOM];
	struct text head;

	text_open(&head, store, sizeof store);
	text_put(&head, "{\"seq\":", 7);
	text_int(&head, (int64_t)seq);
	text_put(&head, ",\"time\":\"", 9);
	text_puts(&head, when);
	size_t begin = HEAD_ROOM - head.size;
	memcpy(room + begin, head.bytes, head.size);
	text_close(&head);
	return (struct iovec){ room + begin, size - begin };
}

/* ---- writing; the mutex is held ---- */

static void fail(struct audit *a, const char *why, int cause)
{
	if (!a->failing) {
		a->refused_now = 0;
		log_event(LOG_ERROR, "audit.failing", "file=%s why=\"%s\" error=\"%s\"", a->file, why,
		    strerrordesc_np(cause));
	}
	a->failing = why;
}

/* lines without their heads, which are given here. */
static bool write_lines(struct audit *a, struct iovec *lines, size_t count)
{
	const char *when = time_text(a);
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		lines[i] = put_head(lines[i].iov_base, lines[i].iov_len, a->seq + 1 + i, when);
		size += lines[i].iov_len;
	}
	if (append(a->fd, lines, count, size)) {
		a->seq += count;
		a->dirty = true;
		return true;
	}
	bool full = errno == ENOSPC || errno == EFBIG || errno == EDQUOT;
	if (!full)
		a->must_reopen = true; /* a torn line may be left: opening cuts it */
	fail(a, full ? "the audit log has no space" : "the audit log cannot be written", errno);
	return false;
}

static bool write_line(struct audit *a, struct text *t)
{
	return write_lines(a, &(struct iovec){ t->bytes, t->size }, 1);
}

static bool write_locked(struct audit *a, struct text *t, bool wait)
{
	struct waiter self = { .next = a->waiters };

	if (a->failing || !write_line(a, t)) {
		a->refused_now++;
		a->status.refused++;
		return false;
	}
	if (wait) {
		a->waiters = &self;
		if (!self.next)
			pthread_cond_signal(&a->wake);
		while (!self.done)
			pthread_cond_wait(&a->synced, &a->mutex);
		if (!self.on_disk) {
			a->status.refused++;
			return false;
		}
	}
	a->status.records++;
	return true;
}

/* ---- lines that are kept back ---- */

struct audit_kept *audit_kept_open(struct audit *a)
{
	struct audit_kept *k = must_alloc(sizeof *k);

	k->audit = a;
	return k;
}

void audit_kept_close(struct audit_kept *k)
{
	free(k);
}

void audit_keep(struct audit_kept *k)
{
	keeping = k;
}

bool audit_has_kept(const struct audit_kept *k)
{
	return k->count > 0 || k->lost;
}

static const char *write_kept(struct audit_kept *k)
{
	struct audit *a = k->audit;
	struct iovec lines[KEPT_MOST];
	const char *why = NULL;

	for (size_t i = 0; i < k->count; i++)
		lines[i] = (struct iovec){ k->bytes + k->lines[i].at, k->lines[i].size };
	pthread_mutex_lock(&a->mutex);
	if (a->failing || !write_lines(a, lines, k->count)) {
		a->refused_now += k->count;
		a->status.refused += k->count;
		why = a->failing;
		k->lost = true;
	} else {
		a->status.records += k->count;
	}
	pthread_mutex_unlock(&a->mutex);
	k->count = k->size = 0;
	return why;
}

struct err audit_write_kept(struct audit_kept *k)
{
	const char *why = k->count > 0 ? write_kept(k) : NULL;
	bool lost = k->lost;

	k->lost = false;
	if (lost)
		return FAIL(ERR_UNAVAILABLE, why != NULL ? why : "the audit log cannot be written");
	return SUCCESS;
}

static struct err keep_line(struct audit_kept *k, const struct text *t)
{
	struct audit *a = k->audit;

	if (k->count == KEPT_MOST || k->size + t->size > KEPT_ROOM)
		write_kept(k);
	pthread_mutex_lock(&a->mutex);
	const char *why = a->failing;
	if (why != NULL) {
		a->refused_now++;
		a->status.refused++;
	}
	pthread_mutex_unlock(&a->mutex);
	if (why != NULL)
		return FAIL(ERR_UNAVAILABLE, why);
	memcpy(k->bytes + k->size, t->bytes, t->size);
	k->lines[k->count].at = k->size;
	k->lines[k->count++].size = t->size;
	k->size += t->size;
	return SUCCESS;
}

struct err audit_write(struct audit *a, const struct audit_record *record)
{
	char store[2048];
	struct text t;
	const char *why = NULL;

	if (a->off)
		return SUCCESS;
	text_open(&t, store, sizeof store);
	put_record(&t, record);
	if (t.size > LINE_MOST) {
		text_close(&t);
		return FAIL(ERR_INVALID, "too long to be recorded");
	}
	if (keeping != NULL && keeping->audit == a && record->class == AUDIT_DECISION) {
		struct err e = keep_line(keeping, &t);
		text_close(&t);
		return e;
	}
	pthread_mutex_lock(&a->mutex);
	if (!write_locked(a, &t, record->class != AUDIT_DECISION))
		why = a->failing ? a->failing : "the audit log could not be written to disk";
	pthread_mutex_unlock(&a->mutex);
	text_close(&t);
	return why ? FAIL(ERR_UNAVAILABLE, why) : SUCCESS;
}

/* ---- the syncer ---- */

/* What fdatasync covers is what was written before it began. The kernel reports a failure once and may then count
 * the lost pages as written: a second try on the same descriptor would prove nothing. */
static void sync_lines(struct audit *a)
{
	struct waiter *waiters = a->waiters;
	bool ok = !a->must_reopen;

	if (ok && !waiters && !a->dirty)
		return;
	a->waiters = NULL;
	if (ok) {
		uint64_t last = a->seq;
		a->dirty = false;
		pthread_mutex_unlock(&a->mutex);
		ok = fdatasync(a->fd) == 0;
		int cause = errno;
		pthread_mutex_lock(&a->mutex);
		a->status.syncs++;
		if (!ok) {
			a->must_reopen = true;
			fail(a, "the disk reports an error for the audit log", cause);
			log_event(LOG_ERROR, "audit.not_on_disk", "file=%s up_to_seq=%llu", a->file,
			    (unsigned long long)last);
		}
	}
	while (waiters) {
		struct waiter *next = waiters->next; /* done: its stack may be gone */
		waiters->on_disk = ok;
		waiters->done = true;
		waiters = next;
	}
	pthread_cond_broadcast(&a->synced);
}

/* Writes on in whatever the name means now; never lower numbers. */
static bool reopen(struct audit *a, bool same_file)
{
	uint64_t seq = 0;
	int fd = -1, old = a->fd;

	if (same_file && old >= 0) { /* the lock is the old descriptor's */
		a->fd = -1;
		close(old);
		old = -1;
	}
	pthread_mutex_unlock(&a->mutex);
	struct err err = open_file(a->file, &fd, &seq);
	pthread_mutex_lock(&a->mutex);
	if (err.code) {
		a->must_reopen = true;
		fail(a, err.what, errno);
		return false;
	}
	a->fd = fd;
	a->must_reopen = false;
	a->seq = seq > a->seq ? seq : a->seq;
	a->dirty = true;
	a->status.reopened++;
	log_event(LOG_WARNING, "audit.reopened", "file=%s seq=%llu", a->file, (unsigned long long)a->seq);
	if (old >= 0) {
		pthread_mutex_unlock(&a->mutex);
		if (fdatasync(old))
			log_event(LOG_ERROR, "audit.not_on_disk", "file=%s (moved)", a->file);
		close(old);
		pthread_mutex_lock(&a->mutex);
	}
	return true;
}

static bool is_file(int fd, const char *file)
{
	struct stat ours, named;

	return fd >= 0 && fstat(fd, &ours) == 0 && ours.st_nlink > 0 && lstat(file, &named) == 0 &&
	    ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

static bool file_in_place(struct audit *a)
{
	int fd = a->fd;

	pthread_mutex_unlock(&a->mutex); /* a file system may hang */
	bool is = is_file(fd, a->file);
	pthread_mutex_lock(&a->mutex);
	return is;
}

/* Somebody moved the file away, or deleted it: lines must not go on into a file that nobody will find. */
static void look_after_file(struct audit *a)
{
	if (file_in_place(a) || a->must_reopen)
		return;
	log_event(LOG_WARNING, "audit.file_gone", "file=%s", a->file);
	reopen(a, false);
}

/* A line that says so ends the gap: it is the proof that lines can be written again, and tells auditors of it. */
static void try_again(struct audit *a)
{
	char store[512], detail[96];
	struct text t, d;
	struct stat before;

	if (a->must_reopen && !reopen(a, file_in_place(a)))
		return;
	text_open(&d, detail, sizeof detail);
	text_printf(&d, "%llu records refused: %s", (unsigned long long)a->refused_now, a->failing);
	text_open(&t, store, sizeof store);
	put_record(&t, &(struct audit_record){ .class = AUDIT_CHANGE, .event = "audit.resumed", .outcome = "ok",
	    .detail = d.bytes });
	text_close(&d);
	if (fstat(a->fd, &before) == 0 && write_line(a, &t)) {
		sync_lines(a);
		if (!a->must_reopen) {
			log_event(LOG_WARNING, "audit.resumed", "file=%s refused=%llu", a->file,
			    (unsigned long long)a->refused_now);
			a->failing = NULL;
		} else if (ftruncate(a->fd, before.st_size) == 0) {
			a->seq--; /* it was not so; nobody else has written meanwhile */
		}
	}
	text_close(&t);
}

static void *run_syncer(void *self)
{
	struct audit *a = self;

	pthread_mutex_lock(&a->mutex);
	while (!a->stop) {
		if (!a->waiters) {
			struct timespec until;
			int ms = a->failing && a->sync_ms > PROBE_MS ? PROBE_MS : a->sync_ms;

			/* Decisions wake nobody: the tick finds them. */
			clock_gettime(CLOCK_MONOTONIC, &until);
			int64_t ns = until.tv_nsec + (int64_t)(ms < LOOK_MS ? ms : LOOK_MS) * 1000000;
			until.tv_sec += ns / 1000000000;
			until.tv_nsec = ns % 1000000000;
			pthread_cond_timedwait(&a->wake, &a->mutex, &until);
		}
		sync_lines(a);
		int64_t now = clock_steady_ms();
		if (now - a->looked_at < (a->failing ? PROBE_MS : LOOK_MS))
			continue;
		a->looked_at = now;
		if (a->failing)
			try_again(a);
		else
			look_after_file(a);
	}
	sync_lines(a);
	pthread_mutex_unlock(&a->mutex);
	return NULL;
}

/* ---- the module ---- */

struct err audit_open(const struct audit_settings *settings, struct audit **out)
{
	struct audit *a = must_alloc(sizeof *a);
	pthread_condattr_t steady;

	a->fd = -1;
	a->off = settings->off;
	a->sync_ms = settings->sync_ms > 0 ? settings->sync_ms : 1;
	a->file = settings->file ? must_strdup(settings->file) : NULL;
	pthread_mutex_init(&a->mutex, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&a->wake, &steady);
	pthread_condattr_destroy(&steady);
	pthread_cond_init(&a->synced, NULL);
	a->stop = true; /* until there is a syncer to stop */

	struct err err = SUCCESS;
	if (!a->off) {
		err = FAIL(ERR_INVALID, "the audit log has no file name");
		if (a->file)
			err = open_file(a->file, &a->fd, &a->seq);
		a->looked_at = clock_steady_ms();
		a->stop = err.code != OK;
		if (!err.code && pthread_create(&a->syncer, NULL, run_syncer, a)) {
			a->stop = true;
			err = FAIL(ERR_UNAVAILABLE, "no thread for the audit log");
		}
	}
	if (err.code) {
		log_event(LOG_ERROR, "audit.not_opened", "file=%s why=\"%s\" error=\"%s\"", a->file ? a->file : "",
		    err.what, err.code == ERR_UNAVAILABLE ? strerrordesc_np(errno) : "");
		audit_close(a);
		return err;
	}
	*out = a;
	return SUCCESS;
}

void audit_close(struct audit *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->mutex);
	bool running = !a->stop;
	a->stop = true;
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->mutex);
	if (running)
		pthread_join(a->syncer, NULL);
	if (a->fd >= 0)
		close(a->fd);
	pthread_cond_destroy(&a->synced);
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->mutex);
	free(a->file);
	free(a);
}

struct err audit_health(struct audit *a)
{
	pthread_mutex_lock(&a->mutex);
	const char *why = a->failing;
	pthread_mutex_unlock(&a->mutex);
	return why ? FAIL(ERR_UNAVAILABLE, why) : SUCCESS;
}

void audit_status(struct audit *a, struct audit_status *out)
{
	pthread_mutex_lock(&a->mutex);
	*out = a->status;
	pthread_mutex_unlock(&a->mutex);
}
