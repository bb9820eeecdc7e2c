/* The spool's files. */
#include "mail/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "mail/mail.h"

#include "base/banned.h"

#define SUFFIX ".mail"
#define ASIDE "aside-"           /* being written */
#define MESSAGE_MOST 65536
#define FAILED_S (14 * 86400)

static struct err cannot(struct arena *a, const char *folder, const char *what)
{
	return FAIL(ERR_UNAVAILABLE, arena_printf(a, "%s: %s: %s", folder, what, strerror(errno)));
}

static void remove_unfinished(const struct spool *s)
{
	int fd = dup(s->folder);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(d);
	while ((entry = readdir(d)) != NULL)
		if (text_begins(entry->d_name, ASIDE))
			unlinkat(s->folder, entry->d_name, 0);
	closedir(d);
}

struct err spool_open(struct arena *a, const char *folder, struct spool *out)
{
	struct stat st;

	*out = (struct spool){ -1, -1, -1 };
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return cannot(a, folder, "cannot be made");
	out->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->folder < 0 || fstat(out->folder, &st) != 0)
		return cannot(a, folder, "cannot be opened");
	/* What waits there holds links that open accounts. */
	if (st.st_mode & 077)
		return FAIL(ERR_INVALID, arena_printf(a, "%s: must be for its owner alone (mode 0700)", folder));
	if (mkdirat(out->folder, "failed", 0700) != 0 && errno != EEXIST)
		return cannot(a, folder, "failed: cannot be made");
	out->failed = openat(out->folder, "failed", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	out->lock = openat(out->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (out->failed < 0 || out->lock < 0)
		return cannot(a, folder, "cannot be opened");
	if (flock(out->lock, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK
		    ? FAIL(ERR_CONFLICT, arena_printf(a, "%s: another process works on this spool", folder))
		    : cannot(a, folder, "cannot be locked");
	remove_unfinished(out);
	return SUCCESS;
}

void spool_close(struct spool *s)
{
	const int all[] = { s->lock, s->failed, s->folder };

	for (size_t i = 0; i < COUNT(all); i++)
		if (all[i] >= 0)
			close(all[i]);
}

static bool write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

struct err spool_put(const struct spool *s, const char *id, const char *to, const char *message, size_t size)
{
	char aside[SPOOL_NAME], name[SPOOL_NAME];

	snprintf(aside, sizeof aside, ASIDE "%s", id);
	snprintf(name, sizeof name, "%020" PRId64 "-%s" SUFFIX, clock_micros(), id);
	int fd = openat(s->folder, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return FAIL(ERR_UNAVAILABLE, "the mail spool cannot be written");
	bool fine = write_all(fd, to, strlen(to)) && write_all(fd, "\n", 1) && write_all(fd, message, size) &&
	    fsync(fd) == 0;
	close(fd);
	fine = fine && renameat(s->folder, aside, s->folder, name) == 0;
	if (!fine) {
		unlinkat(s->folder, aside, 0);
		return FAIL(ERR_UNAVAILABLE, "the mail spool cannot be written");
	}
	/* It will be sent even so; but whoever waits for "on disk" is not told that it is. */
	return fsync(s->folder) == 0 ? SUCCESS : FAIL(ERR_UNAVAILABLE, "the mail spool cannot be written");
}

/* ---- looking ---- */

/* False: no message's name. */
static bool read_name(const char *text, struct spool_name *out)
{
	size_t size = strlen(text), suffix = strlen(SUFFIX);

	if (size != 20 + 1 + (ID_TEXT - 1) + suffix || size >= sizeof out->text || text[20] != '-' ||
	    strspn(text, "0123456789") != 20 || strcmp(text + size - suffix, SUFFIX) != 0)
		return false;
	memcpy(out->text, text, size + 1);
	memcpy(out->id, text + 21, ID_TEXT - 1);
	out->id[ID_TEXT - 1] = '\0';
	out->made_at = (int64_t)(strtoull(text, NULL, 10) / 1000000);
	return true;
}

static int by_age(const void *a, const void *b)
{
	return strcmp(((const struct spool_name *)a)->text, ((const struct spool_name *)b)->text);
}

struct err spool_list(const struct spool *s, size_t most, struct spool_name **out, size_t *count)
{
	int fd = openat(s->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	size_t room = 64;
	struct stat st;

	*out = NULL;
	*count = 0;
	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return FAIL(ERR_UNAVAILABLE, "the mail spool cannot be read");
	}
	*out = must_alloc(room * sizeof **out);
	while (*count < most && (entry = readdir(d)) != NULL) {
		if (*count == room)
			*out = must_realloc(*out, (room *= 2) * sizeof **out);
		struct spool_name *name = &(*out)[*count];
		if (!read_name(entry->d_name, name) || fstatat(s->folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		name->due_at = st.st_mtim.tv_sec;
		++*count;
	}
	closedir(d);
	qsort(*out, *count, sizeof **out, by_age);
	return SUCCESS;
}

static char *read_whole(int fd, size_t *size)
{
	char *whole = must_alloc(MESSAGE_MOST + 1);
	ssize_t n;

	*size = 0;
	while ((n = read(fd, whole + *size, MESSAGE_MOST - *size)) > 0)
		*size += (size_t)n;
	return whole;
}

struct err spool_read(const struct spool *s, const struct spool_name *name, char **whole, const char **to,
    const char **message, size_t *size)
{
	int fd = openat(s->folder, name->text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	*whole = NULL;
	if (fd < 0)
		return FAIL(errno == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "the message cannot be read");
	*whole = read_whole(fd, size);
	close(fd);
	char *end = memchr(*whole, '\n', *size);
	if (end != NULL)
		*end = '\0';
	if (end == NULL || !text_is_mail_address(*whole) || *size == MESSAGE_MOST)
		return FAIL(ERR_INVALID, "not a message");
	*to = *whole;
	*message = end + 1;
	*size -= (size_t)(*message - *whole);
	return SUCCESS;
}

/* ---- moving ---- */

void spool_put_off(const struct spool *s, const struct spool_name *name, int64_t due_at)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)due_at } };

	if (utimensat(s->folder, name->text, times, AT_SYMLINK_NOFOLLOW) != 0)
		log_event(LOG_WARNING, "mail.spool", "message=%s error=\"%s\"", name->id, strerror(errno));
}

void spool_remove(const struct spool *s, const struct spool_name *name)
{
	if (unlinkat(s->folder, name->text, 0) != 0 || fsync(s->folder) != 0)
		log_event(LOG_ERROR, "mail.spool", "message=%s error=\"%s\" advice=\"it may be sent again\"", name->id,
		    strerror(errno));
}

void spool_give_up(const struct spool *s, const struct spool_name *name)
{
	if (renameat(s->folder, name->text, s->failed, name->text) != 0)
		log_event(LOG_ERROR, "mail.spool", "message=%s error=\"%s\"", name->id, strerror(errno));
}

void spool_tidy(const struct spool *s, int64_t now)
{
	struct spool failed = { s->failed, -1, -1 };
	struct spool_name *list;
	size_t count;

	struct err e = spool_list(&failed, SIZE_MAX, &list, &count);
	for (size_t i = 0; e.code == OK && i < count; i++)
		if (list[i].made_at + FAILED_S < now)
			unlinkat(s->failed, list[i].text, 0);
	free(list);
}
