/* The texts of mails: which there are, what may stand in them, and one filled in. For mail/ only. */
#pragma once

#include "base/text.h"
#include "mail/mail.h"

struct template {
	const char *name, *subject, *body;
};
/* Reads every template. ERR_INVALID names the file and what is wrong in it. *out ends with name NULL. */
struct err template_read_all(struct arena *, const char *folder, const struct template **out);
/* ERR_BUG: there is no such template, or a placeholder has no field. */
struct err template_fill(const struct template *all, const char *name, const struct mail_field *, struct text *subject,
    struct text *body);
