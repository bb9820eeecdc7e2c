/* One LDAP handle, connected, encrypted and verified where the address asks for it, and bound as the service or not
 * at all. It belongs to one thread at a time. For dir/ only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <ldap.h>

#include "base/err.h"
#include "dir/dir.h"
#include "dir/server.h"
#include "dir/watch.h"

enum identity {
	NOBODY, /* has not bound: for other people's passwords */
	SERVICE,
};

/* What it takes to connect; shared by all. */
struct connector {
	const struct dir_settings *settings;
	struct servers *servers;
	struct watch *watch;
};

struct connection {
	LDAP *ld; /* NULL: not connected */
	int server;
	bool broken; /* an operation failed in a way after which nothing can be said of it: close it */
	const struct connector *connector;
	struct ldap_conncb callback;
	struct watched *attempt, *owner; /* while connecting: whose sockets to watch */
};

/* Connects to the current server, else to another. owner, if not NULL: is told the socket, to be able to end it at
 * any time. c stays where it is until it is closed. ERR_UNAVAILABLE: none answers, or none takes us. */
struct err connection_open(struct connection *c, const struct connector *, enum identity, struct watched *owner);
/* The same, to that server and to no other, and without telling the list of servers. */
struct err connection_open_to(
    struct connection *c, const struct connector *, int server, enum identity, struct watched *owner);
void connection_close(struct connection *);

/* Has the server not closed it while nobody looked? Costs a system call, no round trip. */
bool connection_is_alive(struct connection *);

/* After an ldap_…_ext call that returned rc: waits for the whole answer. *out: free with ldap_msgfree. An error means
 * that nothing is known of the request; the connection is broken then. */
struct err connection_answer(struct connection *, int rc, int id, int timeout_ms, LDAPMessage **out);
/* The same; gives the result code alone, and frees the answer. diagnostics, if not NULL: what the server says to it,
 * free with ldap_memfree. */
struct err connection_result(struct connection *, int rc, int id, int timeout_ms, int *code, char **diagnostics);
/* "ldaps://…": for messages. */
const char *connection_uri(const struct connection *);
