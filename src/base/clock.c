/* Time, read and written in the forms that the directory and HTTP use. */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/banned.h"

static int64_t read_clock(clockid_t which, int64_t per_second)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (int64_t)t.tv_sec * per_second + t.tv_nsec / (1000000000 / per_second);
}

/* The two that are read most are asked for what the kernel noted at its last tick: a few milliseconds behind at most, at
 * a fifth of the cost. */
int64_t clock_now(void)
{
	return read_clock(CLOCK_REALTIME_COARSE, 1);
}

int64_t clock_micros(void)
{
	return read_clock(CLOCK_REALTIME, 1000000);
}

int64_t clock_steady_ms(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE, 1000);
}

int64_t clock_steady_us(void)
{
	return read_clock(CLOCK_MONOTONIC, 1000000);
}

void clock_pause(int64_t ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Days since 1970-01-01 of a day in the Gregorian calendar: years are counted from March, so that the leap day
 * comes last and months have a regular pattern of lengths. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int *year, unsigned *month, unsigned *day)
{
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t of_era = days - era * 146097;
	int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
	int64_t from_march = (5 * of_year + 2) / 153;

	*day = (unsigned)(of_year - (153 * from_march + 2) / 5 + 1);
	*month = (unsigned)(from_march < 10 ? from_march + 3 : from_march - 9);
	*year = (int)(years + era * 400 + (*month <= 2));
}

static void put_digits(char *out, unsigned value, int count)
{
	while (count-- > 0) {
		out[count] = (char)('0' + value % 10);
		value /= 10;
	}
}

static void put_time(char *date, char *time_of_day, int between, int64_t seconds)
{
	int64_t days = seconds / 86400 - (seconds % 86400 < 0);
	unsigned rest = (unsigned)(seconds - days * 86400);
	int year;
	unsigned month, day;

	date_of(days, &year, &month, &day);
	put_digits(date, (unsigned)year, 4);
	put_digits(date + 4 + between, month, 2);
	put_digits(date + 6 + 2 * between, day, 2);
	put_digits(time_of_day, rest / 3600, 2);
	put_digits(time_of_day + 2 + between, rest / 60 % 60, 2);
	put_digits(time_of_day + 4 + 2 * between, rest % 60, 2);
}

void clock_format(int64_t micros, char out[CLOCK_TEXT])
{
	int64_t seconds = micros / 1000000 - (micros % 1000000 < 0);

	memcpy(out, "0000-00-00T00:00:00.000000Z", CLOCK_TEXT);
	put_time(out, out + 11, 1, seconds);
	put_digits(out + 20, (unsigned)(micros - seconds * 1000000), 6);
}

void clock_format_generalized(int64_t seconds, char out[CLOCK_GENERALIZED])
{
	put_time(out, out + 8, 0, seconds);
	out[14] = 'Z';
	out[15] = '\0';
}

/* Reads exactly count digits; moves on. */
static bool digits(const char **p, int count, int *out)
{
	*out = 0;
	for (; count > 0; count--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*out = *out * 10 + (**p - '0');
	}
	return true;
}

struct parts { int year, month, day, hour, minute, second; };

static int64_t seconds_of(const struct parts *t)
{
	static const int lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (t->year % 4 == 0 && t->year % 100 != 0) || t->year % 400 == 0;

	if (t->month < 1 || t->month > 12 || t->day < 1 || t->day > lengths[t->month - 1] - (t->month == 2 && !leap))
		return -1;
	if (t->hour > 23 || t->minute > 59 || t->second > 60)
		return -1;
	return days_of(t->year, (unsigned)t->month, (unsigned)t->day) * 86400 + t->hour * 3600 + t->minute * 60 + t->second;
}

static void skip_fraction(const char **p)
{
	const char *q = *p;

	if (*q != '.' && *q != ',')
		return;
	do
		q++;
	while (*q >= '0' && *q <= '9');
	if (q - *p > 1)
		*p = q;
}

int64_t clock_parse_generalized(const char *p)
{
	struct parts t;

	if (!digits(&p, 4, &t.year) || !digits(&p, 2, &t.month) || !digits(&p, 2, &t.day) || !digits(&p, 2, &t.hour) ||
	    !digits(&p, 2, &t.minute) || !digits(&p, 2, &t.second))
		return -1;
	skip_fraction(&p);
	return p[0] == 'Z' && p[1] == '\0' ? seconds_of(&t) : -1;
}

static bool literal(const char **p, char c)
{
	return **p == c && (*p)++ != NULL;
}

int64_t clock_parse_rfc3339(const char *p)
{
	struct parts t;
	int hours = 0, minutes = 0, sign = 1;

	if (!digits(&p, 4, &t.year) || !literal(&p, '-') || !digits(&p, 2, &t.month) || !literal(&p, '-') ||
	    !digits(&p, 2, &t.day) || !(literal(&p, 'T') || literal(&p, 't')) || !digits(&p, 2, &t.hour) ||
	    !literal(&p, ':') || !digits(&p, 2, &t.minute) || !literal(&p, ':') || !digits(&p, 2, &t.second))
		return -1;
	skip_fraction(&p);
	if (literal(&p, '+') || (*p == '-' && literal(&p, '-') && (sign = -1))) {
		if (!digits(&p, 2, &hours) || !literal(&p, ':') || !digits(&p, 2, &minutes) || hours > 23 || minutes > 59)
			return -1;
	} else if (!literal(&p, 'Z') && !literal(&p, 'z')) {
		return -1;
	}
	int64_t seconds = seconds_of(&t);
	return *p != '\0' || seconds == -1 ? -1 : seconds - sign * (hours * 3600 + minutes * 60);
}
