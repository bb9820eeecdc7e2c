/* The operators' log: one line a happening on stderr, `time level event key=value …`. Never a secret, never a
 * body. Control characters of arguments are escaped, so one call is one line. */
#pragma once

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level);
/* event: a dotted word such as "directory.lost"; format: "key=%s key=%d …" or "". */
[[gnu::format(printf, 3, 4)]] void log_event(enum log_level, const char *event, const char *format, ...);
