/* The messages of content synchronization (RFC 4533), to and from BER. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "dir/slice.h"
#include "model/model.h"

enum sync_state { SYNC_PRESENT, SYNC_ADD, SYNC_MODIFY, SYNC_DELETE };

struct sync_cookie { /* not there: at is NULL */
	const unsigned char *at;
	size_t size;
};

/* The value of the Sync State control of an entry (2.3). */
bool sync_read_state(struct slice value, enum sync_state *state, struct uuid *out, struct sync_cookie *cookie);

enum sync_info_kind { SYNC_NEW_COOKIE, SYNC_REFRESH_DELETE, SYNC_REFRESH_PRESENT, SYNC_ID_SET };
struct sync_info {
	enum sync_info_kind kind;
	struct sync_cookie cookie;
	bool done;          /* of the two refresh ends: the refresh stage is over */
	bool deletes;       /* of an id set: these are gone, else present */
	struct slice uuids; /* of an id set: see sync_next_uuid */
};
/* The value of a Sync Info message (2.5). */
bool sync_read_info(struct slice value, struct sync_info *out);
/* Every id set has been checked to be well-formed when it was read. */
bool sync_next_uuid(struct slice *uuids, struct uuid *out);

/* The value of the Sync Request control (2.2), refresh and persist; cookie NULL: none. *size: of the result. */
const unsigned char *sync_write_request(struct arena *, const unsigned char *cookie, size_t cookie_size, size_t *size);

/* The greatest csn of a cookie "rid=000,csn=A;B": one per server id. False: it has none. */
bool sync_revision(const unsigned char *cookie, size_t size, struct revision *out);
