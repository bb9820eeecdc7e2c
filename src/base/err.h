/* How a function says that it could not do what was asked. An err says "we could not find out" or
 * "we could not act"; a refusal is a verdict (rule/rule.h), never an err, and an err is never a permit. */
#pragma once

enum err_code {
	OK = 0,
	ERR_INVALID,     /* the input is wrong; what names the field and the rule */
	ERR_NOT_FOUND,   /* there is no such thing, or the directory does not show it to the asker */
	ERR_CONFLICT,    /* the state named in the request is gone: somebody else was first */
	ERR_UNAVAILABLE, /* directory, audit log or another part that we need does not answer */
	ERR_BUG,         /* ours */
};

struct [[nodiscard]] err {
	enum err_code code;
	const char *what; /* a literal, or in the arena of the caller */
};

#define SUCCESS ((struct err){ OK, 0 })
#define FAIL(code, what) ((struct err){ (code), (what) })

/* The only macro with a return in it; never inside a read section of the replica. */
#define TRY(call)                               \
	do {                                    \
		struct err err_of_try = (call); \
		if (err_of_try.code)            \
			return err_of_try;      \
	} while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
