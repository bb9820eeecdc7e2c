/* The words of the model, and the forms of ids, UUIDs and revisions. */
#include "model/model.h"

#include <string.h>

#include "base/banned.h"

/* ---- words ---- */

static const char *const kinds[KINDS] = {
	[KIND_PERSON] = "person",
	[KIND_ORGANIZATION] = "organization",
	[KIND_ASSOCIATION] = "association",
	[KIND_CONSENT] = "consent",
	[KIND_RECORD] = "record",
	[KIND_SUBMISSION] = "submission",
	[KIND_SESSION] = "session",
	[KIND_APPLICATION] = "application",
	[KIND_ROLE] = "role",
	[KIND_CLAIM] = "claim",
	[KIND_CASE] = "case",
	[KIND_GRANT] = "grant",
	[KIND_RESERVATION] = "reservation",
};

static const char *const states[STATES] = {
	[STATE_NONE] = "none",
	[STATE_REGISTERED] = "registered",
	[STATE_ACTIVE] = "active",
	[STATE_SUSPENDED] = "suspended",
	[STATE_CLOSED] = "closed",
	[STATE_DISABLED] = "disabled",
	[STATE_REMOVED] = "removed",
	[STATE_PENDING] = "pending",
	[STATE_APPROVED] = "approved",
	[STATE_REJECTED] = "rejected",
	[STATE_CANCELLED] = "cancelled",
	[STATE_EXPIRED] = "expired",
	[STATE_ENDED] = "ended",
	[STATE_PREPARED] = "prepared",
	[STATE_SIGNED] = "signed",
	[STATE_WITHDRAWN] = "withdrawn",
	[STATE_REVOKED] = "revoked",
	[STATE_DRAFT] = "draft",
	[STATE_SUBMITTED] = "submitted",
	[STATE_ACCEPTED] = "accepted",
	[STATE_RETURNED] = "returned",
	[STATE_EXECUTED] = "executed",
	[STATE_DECLINED] = "declined",
};

#define BIT(state) (1u << (state))

/* Records and roles have no state of their own: a record's enrollment status is no matter of access. */
static const uint32_t fitting[KINDS] = {
	[KIND_PERSON] = BIT(STATE_ACTIVE) | BIT(STATE_DISABLED) | BIT(STATE_REMOVED),
	[KIND_ORGANIZATION] = BIT(STATE_REGISTERED) | BIT(STATE_ACTIVE) | BIT(STATE_SUSPENDED) | BIT(STATE_CLOSED),
	[KIND_ASSOCIATION] = BIT(STATE_PENDING) | BIT(STATE_APPROVED) | BIT(STATE_REJECTED) | BIT(STATE_CANCELLED) |
	    BIT(STATE_EXPIRED) | BIT(STATE_ENDED),
	[KIND_CONSENT] = BIT(STATE_PREPARED) | BIT(STATE_SIGNED) | BIT(STATE_APPROVED) | BIT(STATE_REJECTED) |
	    BIT(STATE_WITHDRAWN) | BIT(STATE_REVOKED) | BIT(STATE_EXPIRED),
	[KIND_RECORD] = BIT(STATE_NONE),
	[KIND_SUBMISSION] = BIT(STATE_DRAFT) | BIT(STATE_SUBMITTED) | BIT(STATE_ACCEPTED) | BIT(STATE_RETURNED),
	[KIND_SESSION] = BIT(STATE_ACTIVE) | BIT(STATE_ENDED),
	[KIND_APPLICATION] = BIT(STATE_ACTIVE) | BIT(STATE_DISABLED),
	[KIND_ROLE] = BIT(STATE_NONE),
	[KIND_CLAIM] = BIT(STATE_SUBMITTED) | BIT(STATE_APPROVED) | BIT(STATE_REJECTED) | BIT(STATE_WITHDRAWN),
	[KIND_CASE] = BIT(STATE_SUBMITTED) | BIT(STATE_EXECUTED) | BIT(STATE_DECLINED),
	[KIND_GRANT] = BIT(STATE_ACTIVE) | BIT(STATE_ENDED),
	[KIND_RESERVATION] = BIT(STATE_NONE),
};
_Static_assert(STATES <= 32, "states fit into the bits above");

const char *kind_word(enum kind kind)
{
	return (unsigned)kind < KINDS ? kinds[kind] : "unknown";
}

const char *state_word(enum state state)
{
	return (unsigned)state < STATES ? states[state] : "unknown";
}

enum state state_of_word(const char *word)
{
	if (!word)
		return STATE_NONE;
	for (int i = STATE_NONE + 1; i < STATES; i++)
		if (word[0] == states[i][0] && strcmp(word, states[i]) == 0)
			return (enum state)i;
	return STATE_NONE;
}

bool state_fits(enum kind kind, enum state state)
{
	return (unsigned)kind < KINDS && (unsigned)state < STATES && (fitting[kind] & BIT(state));
}

static const char *const cases[] = {
	[CASE_REVOCATION] = "employer_revocation",
	[CASE_OFFICIAL_LEFT] = "official_left",
	[CASE_ACCOUNT] = "account",
};

const char *case_word(enum case_kind kind)
{
	return kind > CASE_NONE && (unsigned)kind < COUNT(cases) ? cases[kind] : "unknown";
}

enum case_kind case_of_word(const char *word)
{
	for (unsigned i = CASE_NONE + 1; word != NULL && i < COUNT(cases); i++)
		if (strcmp(cases[i], word) == 0)
			return (enum case_kind)i;
	return CASE_NONE;
}

const char *role_word(enum role role)
{
	switch (role) {
	case ROLE_HELP_DESK:
		return "helpdesk";
	case ROLE_AUDITOR:
		return "auditors";
	case ROLE_PROCESSOR:
		return "processors";
	}
	return "unknown";
}

/* ---- UUIDs and revisions ----
 * Both are read for every entry of the replication stream: by hand, without a locale and without a C library call. */

void uuid_format(const struct uuid *uuid, char out[UUID_TEXT])
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = hex[uuid->bytes[i] >> 4];
		*out++ = hex[uuid->bytes[i] & 15];
	}
	*out = '\0';
}

static bool read_decimal(const char *text, int digits, int *out)
{
	int value = 0;

	for (int i = 0; i < digits; i++) {
		unsigned digit = (unsigned)(unsigned char)text[i] - '0';
		if (digit > 9)
			return false;
		value = value * 10 + (int)digit;
	}
	*out = value;
	return true;
}

static bool read_hex(const char *text, int digits, uint32_t *out)
{
	uint32_t value = 0;

	for (int i = 0; i < digits; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10u;
		else if (c >= 'A' && c <= 'F')
			digit = c - 'A' + 10u;
		else
			return false;
		value = value << 4 | digit;
	}
	*out = value;
	return true;
}

static void write_decimal(char *out, int digits, int64_t value)
{
	for (int i = digits; i-- > 0; value /= 10)
		out[i] = (char)('0' + value % 10);
}

static void write_hex(char *out, int digits, uint32_t value)
{
	for (int i = digits; i-- > 0; value >>= 4)
		out[i] = "0123456789abcdef"[value & 15];
}

static bool is_date(int year, int month, int day)
{
	static const signed char days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month < 1 || month > 12 || day < 1)
		return false;
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return day <= days[month - 1] + (month == 2 && leap);
}

/* Days from 1970-01-01 in the Gregorian calendar. The year is taken to begin in March, so that the leap day is its
 * last and a year's days before each month are (153 m + 2) / 5. */
static int64_t days_of_date(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static void date_of_days(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468; /* since 0000-03-01 */
	int64_t era = z / 146097, rest = z % 146097; /* 400 years */
	int64_t y = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
	int64_t in_year = rest - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * in_year + 2) / 153;

	*day = (int)(in_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = (int)(400 * era + y + (*month <= 2));
}

bool revision_parse(const char *text, size_t size, struct revision *out)
{
	int year, month, day, hour, minute, second, micro;
	uint32_t count, server, modification;

	if (size != REVISION_TEXT - 1 || text[14] != '.' || text[21] != 'Z' || text[22] != '#' || text[29] != '#' ||
	    text[33] != '#')
		return false;
	if (!read_decimal(text, 4, &year) || !read_decimal(text + 4, 2, &month) || !read_decimal(text + 6, 2, &day) ||
	    !read_decimal(text + 8, 2, &hour) || !read_decimal(text + 10, 2, &minute) ||
	    !read_decimal(text + 12, 2, &second) || !read_decimal(text + 15, 6, &micro))
		return false;
	if (!read_hex(text + 23, 6, &count) || !read_hex(text + 30, 3, &server) ||
	    !read_hex(text + 34, 6, &modification))
		return false;
	if (year < 1970 || !is_date(year, month, day) || hour > 23 || minute > 59 || second > 59 ||
	    modification > UINT16_MAX)
		return false;

	int64_t seconds = days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	if (seconds == 0 && micro == 0)
		return false; /* would read as "none" */
	*out = (struct revision){
		.micros = seconds * 1000000 + micro,
		.count = count,
		.server = (uint16_t)server,
		.modification = (uint16_t)modification,
	};
	return true;
}

void revision_format(const struct revision *revision, char out[REVISION_TEXT])
{
	int64_t micros = revision->micros > 0 ? revision->micros : 0;
	int64_t seconds = micros / 1000000, in_day = seconds % 86400;
	int year, month, day;

	date_of_days(seconds / 86400, &year, &month, &day);
	write_decimal(out, 4, year);
	write_decimal(out + 4, 2, month);
	write_decimal(out + 6, 2, day);
	write_decimal(out + 8, 2, in_day / 3600);
	write_decimal(out + 10, 2, in_day / 60 % 60);
	write_decimal(out + 12, 2, in_day % 60);
	out[14] = '.';
	write_decimal(out + 15, 6, micros % 1000000);
	out[21] = 'Z';
	out[22] = '#';
	write_hex(out + 23, 6, revision->count);
	out[29] = '#';
	write_hex(out + 30, 3, revision->server);
	out[33] = '#';
	write_hex(out + 34, 6, revision->modification);
	out[40] = '\0';
}

int revision_compare(const struct revision *a, const struct revision *b)
{
	if (a->micros != b->micros)
		return a->micros < b->micros ? -1 : 1;
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	if (a->server != b->server)
		return a->server < b->server ? -1 : 1;
	if (a->modification != b->modification)
		return a->modification < b->modification ? -1 : 1;
	return 0;
}

/* ---- ids ---- */

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9] first, then [a-z0-9] or one of others; least to most characters in all. */
static bool is_word(const char *text, size_t least, size_t most, const char *others)
{
	if (!text || !is_letter_or_digit(text[0]))
		return false;
	size_t size = 1;
	for (; text[size]; size++)
		if (size == most || (!is_letter_or_digit(text[size]) && !strchr(others, text[size])))
			return false;
	return size >= least;
}

bool id_is_uid(const char *text)
{
	return is_word(text, 2, 32, "._-");
}

bool id_is_plain(const char *text)
{
	return is_word(text, 1, ID_MOST, "-");
}

bool id_is_enrollment(const char *text)
{
	int year, month, day, serial;

	if (!text || strnlen(text, 16) != 15 || (text[0] != 'I' && text[0] != 'O'))
		return false;
	return read_decimal(text + 1, 4, &year) && read_decimal(text + 5, 2, &month) &&
	    read_decimal(text + 7, 2, &day) && read_decimal(text + 9, 6, &serial) && is_date(year, month, day);
}

/* The check digit is computed over 80840, the prefix of US health identifiers, and the first nine digits; the prefix
 * always adds 24. */
bool id_is_npi(const char *text)
{
	int sum = 24;

	if (!text || strnlen(text, 11) != 10)
		return false;
	for (int i = 0; i < 10; i++) {
		unsigned digit = (unsigned)(unsigned char)text[i] - '0';
		if (digit > 9)
			return false;
		unsigned twice = digit * 2;
		sum += (int)(i % 2 == 0 ? twice / 10 + twice % 10 : digit);
	}
	return sum % 10 == 0;
}
