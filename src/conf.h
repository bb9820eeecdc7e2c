/* Every setting, in one table; the only file that knows the settings of all floors. Read with libconfig, and
 * stricter: unknown names, wrong types and values out of range are errors with file and line. */
#pragma once

#include "audit/audit.h"
#include "base/arena.h"
#include "base/err.h"
#include "dir/dir.h"
#include "flow/flow.h"
#include "http/http.h"
#include "mail/mail.h"
#include "replica/replica.h"

struct conf {
	struct dir_settings directory, nppes;
	struct replica_settings replica;
	struct flow_settings flow;
	struct http_settings http;
	struct audit_settings audit;
	struct mail_settings mail;
	const char *forms;     /* folder */
	const char *log_level; /* error, warning, info, debug */
};

/* Texts are in the arena. Relative file names are taken from the folder of the configuration file. */
struct err conf_read(struct arena *, const char *file, struct conf *out);
/* Compares: what in `next` would need a restart? NULL: nothing; else the name of the first such setting. */
const char *conf_needs_restart(const struct conf *now, const struct conf *next);
/* Prints every setting as one line `name kind default min max reload|restart`: for tests/repo and the man page. */
void conf_print_table(void);
