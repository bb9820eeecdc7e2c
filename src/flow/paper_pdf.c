/* The Security Consent Form as PDF, by libharu: it needs one font file and nothing else of the system. */
#include "flow/paper.h"

#include <hpdf.h>
#include <string.h>

#include "base/log.h"

#include "base/banned.h"

#define MARGIN 64
#define WIDTH (612 - 2 * MARGIN) /* letter: 612 × 792 points */
#define TOP (792 - MARGIN)
#define BOTTOM (MARGIN + 16)
#define BODY 10                  /* points */
#define LEADING 1.35f
#define SIGNATURE 44             /* the height of a line for it, and what stands below */
#define WORD_MOST 96             /* bytes; longer ones are broken */

struct sheet {
	struct arena *arena;
	HPDF_Doc doc;
	HPDF_Font font;
	HPDF_Page page;
	const char *footer;
	unsigned pages;
	float y, size;
	char line[512];
	size_t used;
};

static void note_error(HPDF_STATUS error, HPDF_STATUS detail, void *self)
{
	(void)self; /* the document remembers it: HPDF_GetError at the end */
	log_event(LOG_WARNING, "paper.pdf", "error=%04lx detail=%lu", error, detail);
}

static void write_at(struct sheet *s, float x, float y, float size, const char *text)
{
	HPDF_Page_BeginText(s->page);
	HPDF_Page_SetFontAndSize(s->page, s->font, size);
	HPDF_Page_TextOut(s->page, x, y, text);
	HPDF_Page_EndText(s->page);
}

static void begin_page(struct sheet *s)
{
	s->page = HPDF_AddPage(s->doc);
	HPDF_Page_SetSize(s->page, HPDF_PAGE_SIZE_LETTER, HPDF_PAGE_PORTRAIT);
	s->y = TOP;
	write_at(s, MARGIN, MARGIN / 2.0f, 8, arena_printf(s->arena, "%s — page %u", s->footer, ++s->pages));
}

static void end_line(struct sheet *s)
{
	if (s->page == NULL || s->y - s->size * LEADING < BOTTOM)
		begin_page(s);
	s->y -= s->size * LEADING;
	s->line[s->used] = '\0';
	if (s->used > 0)
		write_at(s, MARGIN, s->y, s->size, s->line);
	s->used = 0;
}

static float width_of(const struct sheet *s, const char *text, size_t size)
{
	return (float)HPDF_Font_TextWidth(s->font, (const HPDF_BYTE *)text, (HPDF_UINT)size).width * s->size / 1000;
}

static void put_word(struct sheet *s, const char *word, size_t size)
{
	char tried[sizeof s->line];
	size_t n = s->used;

	memcpy(tried, s->line, n);
	if (n > 0)
		tried[n++] = ' ';
	memcpy(tried + n, word, size);
	n += size;
	if (s->used > 0 && (n + WORD_MOST >= sizeof tried || width_of(s, tried, n) > WIDTH)) {
		end_line(s);
		memcpy(tried, word, size);
		n = size;
	}
	memcpy(s->line, tried, n);
	s->used = n;
}

/* How much of a word is taken in one piece: never a part of a character, and not more than a line takes. */
static size_t piece_of(const struct sheet *s, const char *word, size_t size)
{
	size_t n = size < WORD_MOST ? size : WORD_MOST;

	do {
		while (n > 1 && n < size && ((unsigned char)word[n] & 0xc0) == 0x80)
			n--;
		if (n <= 4 || width_of(s, word, n) <= WIDTH)
			return n;
		n /= 2;
	} while (true);
}

static void put_words(struct sheet *s, const char *text, size_t size)
{
	while (size > 0) {
		size_t blanks = strspn(text, " \n"), word;

		blanks = blanks < size ? blanks : size;
		text += blanks;
		size -= blanks;
		word = strcspn(text, " \n");
		word = word < size ? word : size;
		while (word > 0) {
			size_t piece = piece_of(s, text, word);

			put_word(s, text, piece);
			text += piece;
			size -= piece;
			word -= piece;
		}
	}
}

static void put_paragraph(struct sheet *s, float size, const char *text)
{
	s->size = size;
	put_words(s, text, strlen(text));
	end_line(s);
	s->y -= size * 0.5f;
}

static void put_block(struct sheet *s, const struct paper_block *b)
{
	const char *at = NULL, *line;
	size_t size;

	s->size = b->kind == PAPER_TITLE ? 15 : BODY;
	while (paper_line(b, &at, &line, &size)) {
		put_words(s, line, size);
		if (b->kind == PAPER_FACTS)
			end_line(s);
	}
	if (s->used > 0)
		end_line(s);
	s->y -= s->size * 0.6f;
}

static void put_signature(struct sheet *s, const char *what)
{
	s->y -= SIGNATURE - 12;
	HPDF_Page_MoveTo(s->page, MARGIN, s->y);
	HPDF_Page_LineTo(s->page, MARGIN + 300, s->y);
	HPDF_Page_Stroke(s->page);
	s->size = 8;
	put_words(s, what, strlen(what));
	end_line(s);
}

static void put_seals(struct sheet *s, const struct paper_page *page)
{
	const char *seals[PAPER_SEALS];
	size_t count = paper_seals(s->arena, page, seals);

	s->y -= 8;
	for (size_t i = 0; i < count; i++)
		put_paragraph(s, BODY, seals[i]);
	if (paper_wants_signature(page)) {
		if (s->y - 3 * SIGNATURE < BOTTOM) /* they stay together */
			begin_page(s);
		put_signature(s, "Signature of the Authorized Official");
		put_signature(s, "Name in print");
		put_signature(s, "Date");
	}
	s->y -= 8;
	put_paragraph(s, 7, arena_printf(s->arena, "SHA-256 of the text: %s", page->digest));
}

static void put_people(struct sheet *s, const struct paper_page *page)
{
	s->y -= 10;
	put_paragraph(s, 12, "To whom it opens the records");
	put_paragraph(s, 9, arena_printf(s->arena, "Not part of the text that is signed. As of %s%s",
	    paper_time(s->arena, page->as_of), page->people_count > 0 ? ":" : ": nobody yet."));
	for (size_t i = 0; i < page->people_count; i++) {
		const struct paper_person *who = &page->people[i];

		s->size = 9;
		put_words(s, who->name != NULL ? who->name : "", who->name != NULL ? strlen(who->name) : 0);
		const char *uid = arena_printf(s->arena, "(%s)%s", who->uid, who->active ? "" : " – account not active");
		put_words(s, uid, strlen(uid));
		end_line(s);
	}
	if (page->people_more > 0)
		put_paragraph(s, 9, arena_printf(s->arena, "and %zu more.", page->people_more));
	put_paragraph(s, 9, "And whoever is associated through this employer later.");
}

static struct err draw(struct sheet *s, const struct paper *paper, const struct paper_page *page)
{
	struct paper_block block;
	const char *at = page->text;

	HPDF_UseUTFEncodings(s->doc);
	HPDF_SetCompressionMode(s->doc, HPDF_COMP_ALL);
	HPDF_SetInfoAttr(s->doc, HPDF_INFO_TITLE, s->footer);
	const char *name = HPDF_LoadTTFontFromFile(s->doc, paper_font(paper), HPDF_TRUE);
	s->font = name != NULL ? HPDF_GetFont(s->doc, name, "UTF-8") : NULL;
	if (s->font == NULL)
		return FAIL(ERR_UNAVAILABLE, "the font of the forms cannot be used");
	while (paper_next(page->text, &at, &block))
		put_block(s, &block);
	put_seals(s, page);
	put_people(s, page);
	return SUCCESS;
}

static struct err take(struct sheet *s, const char **out, size_t *size)
{
	if (HPDF_GetError(s->doc) != HPDF_OK || HPDF_SaveToStream(s->doc) != HPDF_OK)
		return FAIL(ERR_BUG, "a form cannot be written as PDF");
	HPDF_UINT32 left = HPDF_GetStreamSize(s->doc);
	char *bytes = arena_alloc(s->arena, left);
	HPDF_ResetStream(s->doc);
	if (HPDF_ReadFromStream(s->doc, (HPDF_BYTE *)bytes, &left) != HPDF_OK && HPDF_GetError(s->doc) != HPDF_STREAM_EOF)
		return FAIL(ERR_BUG, "a form cannot be read back as PDF");
	*out = bytes;
	*size = left;
	return SUCCESS;
}

struct err paper_pdf(struct arena *a, const struct paper *paper, const struct paper_page *page, const char **out,
    size_t *size)
{
	struct sheet s = { .arena = a, .footer = arena_printf(a, "Security Consent Form %s", page->tracking) };

	s.doc = HPDF_New(note_error, NULL);
	if (s.doc == NULL)
		return FAIL(ERR_UNAVAILABLE, "no memory for a PDF");
	struct err e = draw(&s, paper, page);
	if (e.code == OK)
		e = take(&s, out, size);
	HPDF_Free(s.doc);
	return e;
}
