/* The operators' log: one escaped line a happening, written with one call so that threads do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#include "base/banned.h"

static enum log_level most = LOG_INFO;

void log_set_level(enum log_level level)
{
	__atomic_store_n(&most, level, __ATOMIC_RELAXED);
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	static const char *const words[] = { "error", "warning", "info", "debug" };
	char fields[2048], line[4200], when[CLOCK_TEXT];
	struct text t;
	va_list args;

	if (level > __atomic_load_n(&most, __ATOMIC_RELAXED))
		return;
	va_start(args, format);
	vsnprintf(fields, sizeof fields, format, args);
	va_end(args);

	clock_format(clock_micros(), when);
	text_open(&t, line, sizeof line);
	text_printf(&t, "%s %s %s ", when, words[level], event);
	for (const char *p = fields; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			text_printf(&t, "\\x%02x", (unsigned char)*p);
		else
			text_put(&t, p, 1);
	}
	text_put(&t, "\n", 1);
	/* A log that nobody reads any more must not stop the gateway; the audit log is another matter. */
	if (write(STDERR_FILENO, t.bytes, t.size) < 0)
		clearerr(stderr);
	text_close(&t);
}
