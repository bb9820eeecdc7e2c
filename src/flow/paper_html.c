/* The Security Consent Form as a page of HTML, to be read and printed. */
#include "flow/paper.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/secret.h"

#include "base/banned.h"

/* The page is served with a policy that lets a browser take this style, known by its digest, and nothing else. */
static const char style[] =
    "body{font:11pt/1.45 Georgia,'Times New Roman',serif;color:#111;background:#fff;margin:2em auto;max-width:44em;"
    "padding:0 1em}"
    "h1{font-size:16pt;line-height:1.2;margin:0 0 1em}h2{font-size:12pt;margin:1.6em 0 .4em}"
    "p{margin:0 0 .8em}.facts{border-left:3px solid #444;padding-left:1em}"
    "table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid #999;padding:.2em .6em .2em 0;text-align:left}"
    ".seal{border:1px solid #444;padding:.8em 1em;margin:1.6em 0}.digest{font:8.5pt monospace;overflow-wrap:anywhere}"
    ".line{border-bottom:1px solid #111;margin-top:2.6em;max-width:30em}.under{font-size:9pt;margin:0}"
    "@page{margin:2cm}@media print{body{margin:0;max-width:none;padding:0}.seal,tr{break-inside:avoid}"
    "h2{break-after:avoid}}";

void paper_style_source(char out[PAPER_STYLE_SOURCE])
{
	unsigned char digest[32];

	secret_digest_bytes(style, sizeof style - 1, digest);
	memcpy(out, "sha256-", 7);
	EVP_EncodeBlock((unsigned char *)out + 7, digest, sizeof digest);
}

/* Text between tags or in quotes; whatever a name holds, it stays text. */
static void put_size(struct text *t, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		switch (text[i]) {
		case '&': text_puts(t, "&amp;"); break;
		case '<': text_puts(t, "&lt;"); break;
		case '>': text_puts(t, "&gt;"); break;
		case '"': text_puts(t, "&quot;"); break;
		case '\'': text_puts(t, "&#39;"); break;
		default: text_put(t, text + i, 1); break;
		}
	}
}

static void put(struct text *t, const char *text)
{
	put_size(t, text, strlen(text));
}

static void put_block(struct text *t, const struct paper_block *b)
{
	static const char *const open[] = { "<h1>", "<p class=\"facts\">", "<p>" };
	static const char *const close[] = { "</h1>\n", "</p>\n", "</p>\n" };
	const char *at = NULL, *line, *between = "";
	size_t size;

	text_puts(t, open[b->kind]);
	while (paper_line(b, &at, &line, &size)) {
		text_puts(t, between);
		put_size(t, line, size);
		between = b->kind == PAPER_FACTS ? "<br>\n" : "\n";
	}
	text_puts(t, close[b->kind]);
}

static void put_seals(struct text *t, const struct paper_page *page)
{
	struct arena *a = arena_open();
	const char *seals[PAPER_SEALS];
	size_t count = paper_seals(a, page, seals);

	text_puts(t, "<section class=\"seal\">\n");
	for (size_t i = 0; i < count; i++) {
		text_puts(t, "<p>");
		put(t, seals[i]);
		text_puts(t, "</p>\n");
	}
	if (paper_wants_signature(page))
		text_puts(t, "<p class=\"line\"></p>\n<p class=\"under\">Signature of the Authorized Official</p>\n"
			     "<p class=\"line\"></p>\n<p class=\"under\">Name in print</p>\n"
			     "<p class=\"line\"></p>\n<p class=\"under\">Date</p>\n");
	text_puts(t, "<p class=\"digest\">SHA-256 of the text: ");
	put(t, page->digest);
	text_puts(t, "</p>\n</section>\n");
	arena_close(a);
}

static void put_people(struct text *t, const struct paper_page *page)
{
	struct arena *a = arena_open();

	text_puts(t, "<section>\n<h2>To whom it opens the records</h2>\n<p>Not part of the text that is signed. As of ");
	put(t, paper_time(a, page->as_of));
	text_puts(t, page->people_count > 0 ? ":</p>\n<table><tr><th>Name</th><th>User ID</th></tr>\n"
	                                    : ": nobody yet.</p>\n");
	for (size_t i = 0; i < page->people_count; i++) {
		text_puts(t, "<tr><td>");
		put(t, page->people[i].name != NULL ? page->people[i].name : "");
		text_puts(t, page->people[i].active ? "" : " (account not active)");
		text_puts(t, "</td><td>");
		put(t, page->people[i].uid);
		text_puts(t, "</td></tr>\n");
	}
	if (page->people_count > 0)
		text_puts(t, "</table>\n");
	if (page->people_more > 0)
		text_printf(t, "<p>and %zu more.</p>\n", page->people_more);
	text_puts(t, "<p>And whoever is associated through this employer later.</p>\n</section>\n");
	arena_close(a);
}

void paper_html(const struct paper_page *page, struct text *t)
{
	struct paper_block block;
	const char *at = page->text;

	text_puts(t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		     "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Security Consent Form ");
	put(t, page->tracking);
	text_puts(t, "</title>\n<style>");
	text_puts(t, style);
	text_puts(t, "</style>\n</head>\n<body>\n<main>\n");
	while (paper_next(page->text, &at, &block))
		put_block(t, &block);
	put_seals(t, page);
	put_people(t, page);
	text_puts(t, "</main>\n</body>\n</html>\n");
}
