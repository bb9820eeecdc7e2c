/* Holds back what is written on connections until the decisions behind it are recorded. */
#include "http/round.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/secret.h"

#include "base/banned.h"

enum {
	PIECES_MOST = 256,
	ROOM = 512 * 1024,
};

struct round {
	struct audit_kept *kept;
	bool moved;
	size_t count, size;
	struct { size_t at, size; int fd; bool corked; } pieces[PIECES_MOST];
	unsigned char bytes[ROOM];
};

struct round *round_open(struct audit *audit)
{
	struct round *r = must_alloc(sizeof *r);

	r->kept = audit_kept_open(audit);
	return r;
}

void round_close(struct round *r)
{
	if (r == NULL)
		return;
	audit_kept_close(r->kept);
	free(r);
}

void round_enter(struct round *r)
{
	audit_keep(r->kept);
}

static bool send_piece(const struct round *r, size_t i)
{
	int fd = r->pieces[i].fd, on = 1;
	ssize_t size = (ssize_t)r->pieces[i].size;

	if (send(fd, r->bytes + r->pieces[i].at, (size_t)size, MSG_NOSIGNAL) != size)
		return false;
	return !r->pieces[i].corked || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

/* Answers that are held fit into the buffer of a socket whose reader reads. The others' connections end, as do all if
 * what was decided is not recorded. */
static bool release(struct round *r)
{
	struct err e = audit_write_kept(r->kept);

	for (size_t i = 0; i < r->count; i++)
		if (e.code != OK || !send_piece(r, i))
			shutdown(r->pieces[i].fd, SHUT_RDWR);
	if (e.code != OK)
		log_event(LOG_WARNING, "round.lost", "answers=%zu error=\"%s\"", r->count, e.what);
	r->count = r->size = 0;
	return e.code == OK;
}

void round_moves(struct round *r)
{
	r->moved = true;
}

void round_closes(struct round *r, int fd)
{
	size_t i = 0;

	while (i < r->count && r->pieces[i].fd != fd)
		i++;
	if (i < r->count)
		release(r);
}

bool round_end(struct round *r)
{
	bool moved = r->moved;

	if (r->count > 0 || audit_has_kept(r->kept))
		release(r);
	r->moved = false;
	return moved;
}

ssize_t round_send(struct round *r, const struct leave *leave, const void *bytes, size_t size)
{
	r->moved = true;
	if (audit_has_kept(r->kept) && !leave->large && size <= PIECE_MOST && r->count < PIECES_MOST && r->size + size <= ROOM) {
		memcpy(r->bytes + r->size, bytes, size);
		r->pieces[r->count].at = r->size;
		r->pieces[r->count].size = size;
		r->pieces[r->count].corked = leave->corked;
		r->pieces[r->count++].fd = leave->fd;
		r->size += size;
		return (ssize_t)size;
	}
	if ((r->count > 0 || audit_has_kept(r->kept)) && !release(r)) {
		errno = EIO;
		return -1;
	}
	return send(leave->fd, bytes, size, MSG_NOSIGNAL);
}
