/* Calls about one's second factor: getting it, its recovery codes, and giving it up. */
#include <qrencode.h>
#include <string.h>

#include "base/secret.h"
#include "flow/account.h"
#include "http/call.h"

#include "base/banned.h"

/* Two rows of squares are one line of text: upper and lower halves of a block. A border of two squares around it. */
#define BORDER 2

static bool is_dark(const QRcode *qr, int x, int y)
{
	return x >= 0 && y >= 0 && x < qr->width && y < qr->width && (qr->data[y * qr->width + x] & 1);
}

/* Dark squares are left blank, so that it can be read from a dark terminal; on a light page it is inverted by style. */
static void tell_qr(struct text *t, const QRcode *qr)
{
	static const char *const halves[] = { "█", "▄", "▀", " " }; /* both light, upper dark, lower dark, both */

	for (int y = -BORDER; y < qr->width + BORDER; y += 2) {
		char store[512];
		struct text line;

		text_open(&line, store, sizeof store);
		for (int x = -BORDER; x < qr->width + BORDER; x++)
			text_puts(&line, halves[(is_dark(qr, x, y) ? 1 : 0) | (is_dark(qr, x, y + 1) ? 2 : 0)]);
		tell_begin(t, NULL, "");
		text_json(t, line.bytes);
		secret_wipe(line.bytes, line.size);
		text_close(&line);
	}
}

static struct reply refused_factor(struct request *q, enum reason why)
{
	struct form_problem wrong = { "/code", "is not the code of this time" };

	if (why == MANAGED_ELSEWHERE)
		return reply_elsewhere(q, flow_nppes_link(q->flow));
	if (why != NOT_AUTHENTICATED)
		return reply_refused(q, why, NULL);
	return reply_form_problems(q, &(struct form_problems){ &wrong, 1 });
}

struct reply call_factor(struct request *q)
{
	struct second_factor s;
	char store[128];
	struct text t;
	struct reply refused;

	if (!call_no_query(q, &refused))
		return refused;
	struct err e = flow_factor_status(q->arena, q->flow, &q->caller, &s);
	if (e.code != OK)
		return reply_error(q, e);
	text_open(&t, store, sizeof store);
	text_puts(&t, "{");
	tell_flag(&t, "enrolled", s.active);
	tell_number(&t, "recovery_codes_left", s.recovery_left);
	tell_flag(&t, "used", q->caller.second_factor);
	text_puts(&t, "}");
	return reply_json(q, 200, &t);
}

struct reply call_factor_enrol(struct request *q)
{
	struct second_factor s;
	enum reason why;
	char store[8192];
	struct text t;
	struct reply refused;

	if (!call_no_query(q, &refused))
		return refused;
	struct err e = flow_factor_enrol(q->arena, q->flow, &q->caller, &s, &why);
	if (e.code != OK)
		return reply_error(q, e);
	if (why != REASON_OK)
		return refused_factor(q, why);
	QRcode *qr = QRcode_encodeString8bit(s.uri, 0, QR_ECLEVEL_M);
	if (qr == NULL)
		return reply_error(q, FAIL(ERR_BUG, "the QR code cannot be drawn"));
	text_open(&t, store, sizeof store);
	text_puts(&t, "{");
	tell_text(&t, "secret", s.secret);
	tell_text(&t, "uri", s.uri);
	tell_begin(&t, "qr", "[");
	tell_qr(&t, qr);
	text_puts(&t, "]}");
	secret_wipe(qr->data, (size_t)qr->width * (size_t)qr->width);
	QRcode_free(qr);
	secret_wipe(s.secret, strlen(s.secret));
	secret_wipe(s.uri, strlen(s.uri));
	struct reply r = reply_json(q, 200, &t);
	r.secret = true;
	return r;
}

static struct reply shown_once(struct request *q, struct err e, enum reason why, struct recovery_codes *codes,
    const struct revision *written)
{
	const char *list[RECOVERY_CODES + 1] = { NULL };
	char store[512];
	struct text t;

	if (e.code != OK)
		return reply_error(q, e);
	if (why != REASON_OK)
		return refused_factor(q, why);
	for (size_t i = 0; i < RECOVERY_CODES; i++)
		list[i] = codes->code[i];
	text_open(&t, store, sizeof store);
	text_puts(&t, "{");
	tell_texts(&t, "recovery_codes", list);
	text_puts(&t, "}");
	secret_wipe(codes, sizeof *codes);
	struct reply r = reply_json(q, 200, &t);
	r.secret = true;
	r.revision = *written;
	return r;
}

struct reply call_factor_confirm(struct request *q)
{
	json_auto *body = NULL;
	const char *code;
	struct recovery_codes codes;
	struct revision written = { 0 };
	struct reply refused;
	enum reason why = REASON_OK;
	const struct member members[] = {
		{ "code", MEMBER_TEXT, true, &code },
		{ NULL, MEMBER_TEXT, false, NULL },
	};

	if (!call_no_query(q, &refused) || !call_body(q, members, &body, &refused))
		return refused;
	struct err e = flow_factor_confirm(q->arena, q->flow, &q->caller, code, &codes, &why, &written);
	return shown_once(q, e, why, &codes, &written);
}

struct reply call_factor_recovery(struct request *q)
{
	struct recovery_codes codes;
	struct revision written = { 0 };
	enum reason why = REASON_OK;
	struct reply refused;

	if (!call_no_query(q, &refused))
		return refused;
	struct err e = flow_factor_recovery(q->arena, q->flow, &q->caller, &codes, &why, &written);
	return shown_once(q, e, why, &codes, &written);
}

struct reply call_factor_remove(struct request *q)
{
	struct reply r;
	enum reason why = REASON_OK;

	if (!call_no_query(q, &r))
		return r;
	r = reply_empty(204);
	struct err e = flow_factor_remove(q->arena, q->flow, &q->caller, &why, &r.revision);
	if (e.code != OK)
		return reply_error(q, e);
	return why != REASON_OK ? refused_factor(q, why) : r;
}
