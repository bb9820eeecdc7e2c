/* The yardstick of the forward-auth benchmark: libmicrohttpd alone, answering a constant over HTTPS.
 * bare_mhd PORT THREADS CERTIFICATE KEY: prints "ready PORT", serves until its standard input ends. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The same as the gateway's (src/http/tls.h), so that both do the same cryptography. */
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-AES-128-CBC:-AES-256-CBC:" \
	"-AES-128-CCM:-AES-256-CCM:-SHA1:-GROUP-ALL:+GROUP-X25519:+GROUP-ALL:%SERVER_PRECEDENCE"

static char *whole_file(const char *name)
{
	static char store[2][65536];
	static size_t next;
	char *into = store[next++ % 2];
	FILE *f = fopen(name, "r");

	if (f == NULL) {
		perror(name);
		exit(1);
	}
	into[fread(into, 1, sizeof store[0] - 1, f)] = '\0';
	fclose(f);
	return into;
}

static enum MHD_Result constant(void *self, struct MHD_Connection *c, const char *url, const char *method,
    const char *version, const char *upload, size_t *size, void **context)
{
	(void)url, (void)method, (void)version, (void)upload, (void)size;
	if (*context == NULL) { /* an answer to the first call would close the connection */
		*context = self;
		return MHD_YES;
	}
	return MHD_queue_response(c, MHD_HTTP_OK, self);
}

int main(int argc, char **argv)
{
	char byte;

	if (argc != 5) {
		fprintf(stderr, "usage: bare_mhd PORT THREADS CERTIFICATE KEY\n");
		return 2;
	}
	unsigned threads = (unsigned)strtoul(argv[2], NULL, 10);
	char empty[] = "";
	struct MHD_Response *answer = MHD_create_response_from_buffer(0, empty, MHD_RESPMEM_PERSISTENT);
	struct MHD_Daemon *d = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS,
	    (uint16_t)strtoul(argv[1], NULL, 10), NULL, NULL, constant, answer,
	    MHD_OPTION_HTTPS_MEM_CERT, whole_file(argv[3]), MHD_OPTION_HTTPS_MEM_KEY, whole_file(argv[4]),
	    MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES,
	    threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, threads, MHD_OPTION_END);

	if (d == NULL) {
		fprintf(stderr, "bare_mhd: cannot start\n");
		return 1;
	}
	printf("ready %u\n", (unsigned)MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	MHD_stop_daemon(d);
	MHD_destroy_response(answer);
	return 0;
}
