/* Documents that are handed in: judged by what is in them, put into the directory in parts, read back, and removed when
 * nothing needs them any more. */
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"
#include "flow/inside.h"

#include "base/banned.h"

/* ---- what it is ---- */

/* PDF readers look for the end mark in the last kilobyte (ISO 32000-1, annex H, note 18). */
#define TAIL 1024
#define HEAD 16

struct ends {
	unsigned char head[HEAD], tail[TAIL];
	size_t head_size, tail_size;
};

static bool begins_with(const struct ends *e, const void *bytes, size_t size)
{
	return e->head_size >= size && memcmp(e->head, bytes, size) == 0;
}

/* Blank bytes behind the end are what careless programs leave. */
static bool ends_with(const struct ends *e, const void *bytes, size_t size)
{
	size_t end = e->tail_size;

	while (end > 0 && (e->tail[end - 1] == 0 || e->tail[end - 1] == '\n' || e->tail[end - 1] == '\r'))
		end--;
	return end >= size && memcmp(e->tail + end - size, bytes, size) == 0;
}

static bool is_pdf(const struct ends *e)
{
	return begins_with(e, "%PDF-1.", 7) || begins_with(e, "%PDF-2.", 7);
}

static bool pdf_ends(const struct ends *e)
{
	return memmem(e->tail, e->tail_size, "%%EOF", 5) != NULL;
}

/* Signature, and the header chunk that must come first (ISO/IEC 15948 5.2, 5.6). */
static bool is_png(const struct ends *e)
{
	return begins_with(e, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
}

static bool png_ends(const struct ends *e)
{
	return ends_with(e, "IEND\xae\x42\x60\x82", 8);
}

static bool is_jpeg(const struct ends *e)
{
	return begins_with(e, "\xff\xd8\xff", 3);
}

static bool jpeg_ends(const struct ends *e)
{
	return ends_with(e, "\xff\xd9", 2);
}

static bool is_gif(const struct ends *e)
{
	return begins_with(e, "GIF87a", 6) || begins_with(e, "GIF89a", 6);
}

static bool gif_ends(const struct ends *e)
{
	return ends_with(e, ";", 1);
}

static const struct {
	const char *media_type;
	bool (*begins)(const struct ends *), (*ends)(const struct ends *);
} types[] = {
	{ "application/pdf", is_pdf, pdf_ends },
	{ "image/png", is_png, png_ends },
	{ "image/jpeg", is_jpeg, jpeg_ends },
	{ "image/gif", is_gif, gif_ends },
};

static bool read_at(int fd, void *out, size_t size, size_t from)
{
	unsigned char *to = out;

	while (size > 0) {
		ssize_t n = pread(fd, to, size, (off_t)from);

		if (n <= 0)
			return false;
		to += n;
		from += (size_t)n;
		size -= (size_t)n;
	}
	return true;
}

enum document_verdict flow_judge_document(struct upload *u)
{
	struct ends e = {
		.head_size = u->size < HEAD ? u->size : HEAD,
		.tail_size = u->size < TAIL ? u->size : TAIL,
	};

	u->media_type = NULL;
	if (u->size == 0)
		return DOCUMENT_EMPTY;
	if (!read_at(u->fd, e.head, e.head_size, 0) || !read_at(u->fd, e.tail, e.tail_size, u->size - e.tail_size))
		return DOCUMENT_UNREADABLE;
	for (size_t i = 0; i < COUNT(types); i++) {
		if (!types[i].begins(&e))
			continue;
		u->media_type = types[i].media_type;
		return types[i].ends(&e) ? DOCUMENT_FINE : DOCUMENT_TRUNCATED;
	}
	return DOCUMENT_UNKNOWN;
}

/* ---- into the directory ---- */

/* SHA-256 of the file, hex. part is room for one part. */
static struct err digest_file(const struct upload *u, unsigned char *part, char out[DIGEST_TEXT])
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	unsigned char digest[32];
	bool fine = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;

	for (size_t at = 0; at < u->size && fine; at += ATTACHMENT_PART) {
		size_t size = u->size - at < ATTACHMENT_PART ? u->size - at : ATTACHMENT_PART;

		fine = read_at(u->fd, part, size, at) && EVP_DigestUpdate(hash, part, size) == 1;
	}
	fine = fine && EVP_DigestFinal_ex(hash, digest, NULL) == 1;
	EVP_MD_CTX_free(hash);
	if (!fine)
		return FAIL(ERR_UNAVAILABLE, "the document cannot be read");
	secret_hex(digest, out);
	return SUCCESS;
}

/* What is there already is there from the same document: its digest is part of the name. */
static struct err unless_there(struct err e)
{
	return e.code == ERR_CONFLICT ? SUCCESS : e;
}

static struct err store_parts(struct flow *f, const struct upload *u, const char *id, unsigned char *part)
{
	struct arena *each = arena_open();
	struct err e = SUCCESS;
	int part_number = 1;

	for (size_t at = 0; at < u->size && e.code == OK; at += ATTACHMENT_PART, part_number++) {
		size_t size = u->size - at < ATTACHMENT_PART ? u->size - at : ATTACHMENT_PART;

		if (!read_at(u->fd, part, size, at))
			e = FAIL(ERR_UNAVAILABLE, "the document cannot be read");
		if (e.code == OK)
			e = unless_there(dir_attachment_part(each, f->dir, id, part_number, part, size));
		if (e.code == OK)
			arena_reset(each);
	}
	if (e.code != OK)
		log_event(LOG_WARNING, "document.not_stored", "id=%s error=\"%s\"", id, e.what);
	arena_close(each);
	return e.code == OK ? SUCCESS : FAIL(e.code, "the document cannot be stored now");
}

struct err attachment_store(
    struct arena *a, struct flow *f, const struct caller *c, const char *owner, const struct upload *u, const char **id)
{
	unsigned char *part = arena_alloc(a, ATTACHMENT_PART);
	char digest[DIGEST_TEXT];
	struct revision written;

	TRY(digest_file(u, part, digest));
	*id = arena_printf(a, "%s-%.24s", owner, digest);
	struct attachment whole = {
		.id = *id,
		.user = c->uid,
		.media_type = u->media_type,
		.digest = digest,
		.size = (int64_t)u->size,
		.at = clock_now(),
	};
	struct attachment begun = whole;
	begun.digest = begun.media_type = NULL;
	TRY(unless_there(dir_attachment_begin(a, f->dir, &begun, &written)));
	TRY(store_parts(f, u, *id, part));
	return unless_there(dir_attachment_finish(a, f->dir, &whole, &written));
}

/* ---- and out of it ---- */

static struct err write_all(int fd, const unsigned char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n <= 0)
			return FAIL(ERR_UNAVAILABLE, "the document cannot be kept for the answer");
		bytes += n;
		size -= (size_t)n;
	}
	return SUCCESS;
}

struct err attachment_fetch(struct flow *f, const char *as, const struct attachment *head, int fd)
{
	struct arena *each = arena_open();
	struct err e = SUCCESS;
	int64_t got = 0;

	for (int part_number = 1; got < head->size && e.code == OK; part_number++) {
		const void *bytes = NULL;
		size_t size = 0;

		e = dir_attachment_read(each, f->dir, as, head->id, part_number, &bytes, &size);
		if (e.code == OK)
			e = size > 0 ? write_all(fd, bytes, size) : FAIL(ERR_NOT_FOUND, "a part is empty");
		got += (int64_t)size;
		if (e.code == OK)
			arena_reset(each);
	}
	if (e.code == OK && got != head->size)
		e = FAIL(ERR_NOT_FOUND, "its size is not what it was");
	if (e.code != OK)
		log_event(LOG_WARNING, "document.not_read", "id=%s error=\"%s\"", head->id, e.what);
	arena_close(each);
	if (e.code == ERR_NOT_FOUND)
		return FAIL(ERR_UNAVAILABLE, "the document is not whole");
	return e.code == OK ? SUCCESS : FAIL(e.code, "the document cannot be read now");
}

/* ---- removing what nothing needs ---- */

/* A document that no claim or form names yet may be one whose upload is under way. */
#define ORPHAN_S 3600

struct heads {
	struct arena *arena;
	struct head {
		const char *id;
		int64_t at;
	} * list;
	size_t count;
};

static bool note_head(void *self, const struct attachment *at)
{
	struct heads *h = self;

	h->list = arena_more(h->arena, h->list, h->count, sizeof *h->list);
	h->list[h->count++] = (struct head){ arena_strdup(h->arena, at->id), at->at };
	return true;
}

/* Since when the claim or form that the document is for needs it no more; 0: it needs it. A form that holds rests on
 * its scan, a claim that was decided on nothing. */
static int64_t free_since(const struct view *v, const struct head *head)
{
	char owner[ID_MOST + 1] = "";
	const char *dash = strrchr(head->id, '-');
	size_t size = dash != NULL ? (size_t)(dash - head->id) : 0;

	if (size <= ID_MOST)
		memcpy(owner, head->id, size);
	const struct claim *claim = replica_claim(v, owner);
	const struct consent *form = replica_consent(v, owner);
	if (claim != NULL)
		return claim->state == STATE_SUBMITTED ? 0 : claim->mark.revision.micros / 1000000;
	if (form == NULL)
		return 1; /* for ever */
	bool holds = form->state == STATE_PREPARED || form->state == STATE_SIGNED || form->state == STATE_APPROVED;
	return holds ? 0 : form->mark.revision.micros / 1000000;
}

static struct err remove_document(struct arena *a, struct flow *f, const char *id)
{
	static const struct caller nobody;
	char held[SHORT_SESSION];
	struct audit_record r = session_record(&nobody, AUDIT_CHANGE, "document.remove", held);

	r.resource_kind = "document";
	r.resource = id;
	r.outcome = "ok";
	TRY(audit_write(f->audit, &r));
	struct err e = dir_attachment_remove(a, f->dir, id);
	return e.code == ERR_NOT_FOUND ? SUCCESS : e;
}

struct err mend_documents(struct arena *a, struct flow *f)
{
	struct heads h = { .arena = a };
	int64_t now = clock_now(), keep = (int64_t)flow_set(&f->set.document_keep_days) * 86400;

	TRY(dir_attachment_each(a, f->dir, note_head, &h));
	TRY(mend_settle(f));
	for (size_t i = 0; i < h.count; i++) {
		int64_t since = 0;

		WITH_REPLICA(view, f->replica) {
			if (view.fresh)
				since = free_since(&view, &h.list[i]);
		}
		bool orphan = since == 1 && now - h.list[i].at >= ORPHAN_S;
		if (orphan || (since > 1 && now - since >= keep))
			TRY(remove_document(a, f, h.list[i].id));
	}
	return SUCCESS;
}
