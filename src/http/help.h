/* What GET /v1/help tells: questions and answers from a file, and how the help desk is reached. Read, checked and written
 * as JSON once, with the settings. */
#pragma once

#include "http/http.h"

struct help;
/* The file: {"topics":[{"id","title","questions":[{"question","answer":[…],"calls":[{"method","path"}]}]}]}. In answers
 * {{eus_phone}}, {{eus_tty}}, {{eus_mail}}, {{eus_hours}} and {{nppes_link}} stand for the settings. Everything is in the
 * arena. */
struct err help_read(struct arena *, const struct http_help *, struct help **out);
const char *help_all(const struct help *);
const char *help_topic(const struct help *, const char *id); /* NULL: there is none */
