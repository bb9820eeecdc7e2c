/* Takes large bodies into files, and gives each person a few of the places that there are. */
#include "http/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "http/server.h"

#include "base/banned.h"

#define PER_PERSON 2

struct uploads {
	pthread_mutex_t lock;
	const char *folder;
	size_t most;
	char who[][sizeof((struct caller *)0)->uid]; /* "": a free place */
};

struct uploads *uploads_open(const char *folder, int most)
{
	struct uploads *u = must_alloc(sizeof *u + (size_t)most * sizeof u->who[0]);

	pthread_mutex_init(&u->lock, NULL);
	u->folder = folder;
	u->most = (size_t)most;
	return u;
}

void uploads_close(struct uploads *u)
{
	if (u == NULL)
		return;
	pthread_mutex_destroy(&u->lock);
	free(u);
}

static int unnamed_file(const char *folder)
{
	return folder == NULL ? -1 : open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

bool uploads_folder_works(const char *folder)
{
	int fd = unnamed_file(folder);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int uploads_file(const struct uploads *u)
{
	int fd = unnamed_file(u->folder);

	if (fd < 0)
		log_event(LOG_ERROR, "documents.folder", "folder=%s error=\"%s\"", u->folder != NULL ? u->folder : "-",
		    strerror(errno));
	return fd;
}

/* A place for that person; most: there is none. */
static size_t take_place(struct uploads *u, const char *who)
{
	size_t place = u->most, held = 0;

	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < u->most; i++) {
		if (u->who[i][0] == '\0')
			place = i;
		else if (strcmp(u->who[i], who) == 0)
			held++;
	}
	if (held >= PER_PERSON)
		place = u->most;
	if (place < u->most)
		memcpy(u->who[place], who, strlen(who) + 1);
	pthread_mutex_unlock(&u->lock);
	return place;
}

static void leave_place(struct uploads *u, size_t place)
{
	pthread_mutex_lock(&u->lock);
	u->who[place][0] = '\0';
	pthread_mutex_unlock(&u->lock);
}

bool upload_begin(struct request *q, struct reply *refused)
{
	struct uploads *u = q->http->uploads;
	size_t place = take_place(u, q->caller.uid);

	if (place == u->most) {
		*refused = reply_problem(q, 503, "overloaded", "Too many documents are being handed in already.");
		return false;
	}
	q->upload.fd = uploads_file(u);
	q->upload.size = 0;
	q->upload_place = place;
	if (q->upload.fd >= 0)
		return true;
	leave_place(u, place);
	*refused = reply_refused(q, UNAVAILABLE, NULL);
	return false;
}

void upload_take(struct request *q, const char *bytes, size_t size)
{
	if (size > q->policy->document_bytes - q->upload.size) {
		q->reply = reply_problem(q, 413, "too_large", "The document is too large.");
		q->reply.close = true;
		return;
	}
	while (size > 0) {
		ssize_t n = pwrite(q->upload.fd, bytes, size, (off_t)q->upload.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_event(LOG_ERROR, "documents.folder", "error=\"%s\"", strerror(errno));
			q->reply = reply_refused(q, UNAVAILABLE, NULL);
			q->reply.close = true;
			return;
		}
		q->upload.size += (size_t)n;
		bytes += n;
		size -= (size_t)n;
	}
}

void upload_end(struct request *q)
{
	if (q->upload.fd < 0)
		return;
	close(q->upload.fd);
	leave_place(q->http->uploads, q->upload_place);
	q->upload.fd = -1;
}

bool upload_judge(struct request *q, struct reply *refused)
{
	struct form_problem problem = { "", NULL };
	struct form_problems problems = { &problem, 1 };

	switch (flow_judge_document(&q->upload)) {
	case DOCUMENT_FINE:
		return true;
	case DOCUMENT_UNKNOWN:
		*refused = reply_problem(q, 415, "unsupported_media_type",
		    "The document must be PDF, PNG, JPEG or GIF, and is none of them by what is in it.");
		return false;
	case DOCUMENT_EMPTY:
		problem.rule = "must not be empty";
		break;
	case DOCUMENT_TRUNCATED:
		problem.rule = "must be whole: its end is missing";
		break;
	case DOCUMENT_UNREADABLE:
		*refused = reply_refused(q, UNAVAILABLE, NULL);
		return false;
	}
	*refused = reply_form_problems(q, &problems);
	return false;
}
