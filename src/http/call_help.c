/* Calls for whoever does not know what to do: no sign-in is needed, and nothing is looked up. */
#include <string.h>

#include "http/call.h"
#include "http/help.h"

#include "base/banned.h"

static struct reply tell(struct request *q, const char *json)
{
	/* A reload may give the text back while the answer is under way. */
	return (struct reply){
		.status = 200,
		.type = "application/json",
		.body = arena_strdup(q->arena, json),
		.size = strlen(json),
	};
}

struct reply call_help(struct request *q)
{
	struct reply r;

	return call_no_query(q, &r) ? tell(q, help_all(q->policy->help)) : r;
}

struct reply call_help_topic(struct request *q)
{
	const char *topic = help_topic(q->policy->help, q->id);
	struct reply r;

	if (!call_no_query(q, &r))
		return r;
	return topic != NULL ? tell(q, topic) : reply_refused(q, NOT_FOUND, NULL);
}
