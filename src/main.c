/* scfgated: options, signals, and starting and stopping the floors in order. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "conf.h"

#include "base/banned.h"

#define USAGE                                                                                                      \
	"usage: scfgated [-c file] [-d | -h | -n | -t | -V]\n"                                                           \
	"  -c file   configuration (default " SCF_SYSCONFDIR "/scfgate.conf)\n"                                     \
	"  -d        stay in the foreground\n"                                                                      \
	"  -h        print this\n"                                                                                  \
	"  -n        check configuration, keys, certificates, forms and texts, and exit\n"                          \
	"  -t        as -n, and bind to the directory and check schema, rights, indexes and overlays\n"              \
	"  -V        print the version\n"                                                                           \
	"  --print-settings   print the table of settings: name kind default min max reload|restart\n"

enum exit_code { EXIT_FINE = 0, EXIT_NO = 1, EXIT_UNKNOWN = 2 };

/* The floors, in the order in which they are started. NULL: not started. */
struct house {
	struct arena *arena, *reload_arena; /* of the configuration in force; of the one read last */
	struct conf conf;
	struct audit *audit;
	struct dir *directory, *nppes;
	struct replica *replica;
	struct forms *forms;
	struct mail *mail;
	struct flow *flow;
	struct http *http;
};

static struct err house_open(struct house *h)
{
	TRY(forms_open(h->arena, h->conf.forms, &h->forms));
	TRY(flow_check(h->arena, &h->conf.flow));
	TRY(audit_open(&h->conf.audit, &h->audit));
	TRY(mail_open(h->arena, &h->conf.mail, &h->mail));
	TRY(dir_open(&h->conf.directory, &h->directory));
	if (h->conf.nppes.uris[0] != NULL)
		TRY(dir_open(&h->conf.nppes, &h->nppes));
	TRY(replica_open(&h->conf.replica, h->directory, &h->replica));
	TRY(flow_open(&h->conf.flow, h->replica, h->directory, h->nppes, h->audit, h->forms, h->mail, &h->flow));
	flow_mend(h->flow);
	return http_open(&h->conf.http, h->flow, h->replica, h->directory, h->audit, &h->http);
}

static void house_close(struct house *h)
{
	if (h->http != NULL) {
		http_drain(h->http);
		http_close(h->http);
	}
	if (h->flow != NULL)
		flow_close(h->flow);
	if (h->replica != NULL)
		replica_close(h->replica);
	if (h->nppes != NULL)
		dir_close(h->nppes);
	if (h->directory != NULL)
		dir_close(h->directory);
	mail_close(h->mail);
	if (h->audit != NULL)
		audit_close(h->audit);
	if (h->forms != NULL)
		forms_close(h->forms);
	arena_close(h->arena);
	arena_close(h->reload_arena);
}

static void log_level_of(const struct conf *c)
{
	static const char *const words[] = { "error", "warning", "info", "debug" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (text_same(c->log_level, words[i]))
			log_set_level((enum log_level)i);
}

/* All or nothing: whatever is wrong in the new file, the old configuration goes on. */
static void reload(struct house *h, const char *file)
{
	struct arena *a = arena_open();
	struct conf next;
	struct err e = conf_read(a, file, &next);
	const char *fixed = e.code == OK ? conf_needs_restart(&h->conf, &next) : NULL;

	if (fixed != NULL)
		e = FAIL(ERR_INVALID, arena_printf(a, "%s: %s has changed and needs a restart", file, fixed));
	if (e.code == OK)
		e = http_reload(h->http, &next.http);
	if (e.code != OK) {
		log_event(LOG_ERROR, "reload.refused", "error=\"%s\"", e.what);
		arena_close(a);
		return;
	}
	flow_configure(h->flow, &next.flow);
	log_level_of(&next);
	/* The floors may still read texts of the first configuration (it never changes in them); only the one between
	 * the first and this one is given back. */
	if (h->reload_arena != NULL)
		arena_close(h->reload_arena);
	h->reload_arena = a;
	h->conf = next;
	log_event(LOG_INFO, "reload.done", "file=%s", file);
}

static void limit_ourselves(void)
{
	struct rlimit files, none = { 0, 0 };

	signal(SIGPIPE, SIG_IGN); /* libldap writes to sockets whose server has gone */
	signal(SIGXFSZ, SIG_IGN); /* a full audit log is an error that is handled */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	/* No core dump and no debugger: the memory holds passwords and tokens. */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
#else
	(void)none;
#endif
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (geteuid() == 0)
		log_event(LOG_WARNING, "start.root", "advice=\"run as an unprivileged user\"");
}

static enum exit_code exit_of(struct err e)
{
	return e.code == OK ? EXIT_FINE : e.code == ERR_UNAVAILABLE ? EXIT_UNKNOWN : EXIT_NO;
}

/* The parent stays until the child has started or failed, and leaves with its result. Returns where the child tells it. */
static int leave_foreground(void)
{
	int ends[2];
	char result = 0;

	if (pipe(ends) != 0)
		return -1;
	pid_t child = fork();
	if (child < 0)
		return -1;
	if (child > 0) {
		close(ends[1]);
		ssize_t n = read(ends[0], &result, 1);
		_exit(n == 1 ? result : EXIT_UNKNOWN);
	}
	close(ends[0]);
	setsid();
	/* Whoever reads what the parent prints need not wait for our end. The log goes on to the standard error. */
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nothing >= 0) {
		dup2(nothing, STDIN_FILENO);
		dup2(nothing, STDOUT_FILENO);
		close(nothing);
	}
	return ends[1];
}

static void tell_parent(int started, enum exit_code result)
{
	if (started < 0)
		return;
	if (write(started, &(char){ (char)result }, 1) != 1)
		log_event(LOG_WARNING, "start.parent_gone", "errno=%d", errno);
	close(started);
}

static int serve(struct house *h, const char *file, bool foreground)
{
	int started = foreground ? -1 : leave_foreground();
	sigset_t set;

	if (!foreground && started < 0) {
		fprintf(stderr, "scfgated: %s\n", strerror(errno));
		return EXIT_UNKNOWN;
	}
	/* Blocked before any thread exists, so that only sigwaitinfo below gets them. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	limit_ourselves();

	struct err e = house_open(h);
	if (e.code != OK) {
		log_event(LOG_ERROR, "start.failed", "error=\"%s\"", e.what);
		tell_parent(started, exit_of(e));
		return exit_of(e);
	}
	log_event(LOG_INFO, "start.done", "version=%s https=%d operations=%d pid=%d", PACKAGE_VERSION, http_port(h->http),
	    http_operations_port(h->http), (int)getpid());
	tell_parent(started, EXIT_FINE);
	for (;;) {
		int got = sigwaitinfo(&set, NULL);

		if (got == SIGHUP)
			reload(h, file);
		else if (got > 0)
			break;
	}
	log_event(LOG_INFO, "stop.begun", "pid=%d", (int)getpid());
	return EXIT_FINE;
}

/* -n and -t: what would keep this configuration from working? */
static int check(struct house *h, const char *file, bool with_directory)
{
	struct err e = http_check(h->arena, &h->conf.http);

	if (e.code == OK)
		e = forms_open(h->arena, h->conf.forms, &h->forms);
	if (e.code == OK)
		e = flow_check(h->arena, &h->conf.flow);
	if (e.code == OK)
		e = mail_check(h->arena, &h->conf.mail);
	if (e.code == OK && with_directory) {
		e = dir_open(&h->conf.directory, &h->directory);
		if (e.code == OK)
			e = dir_check(h->arena, h->directory);
	}
	if (e.code == OK && with_directory && h->conf.nppes.uris[0] != NULL) {
		e = dir_open(&h->conf.nppes, &h->nppes);
		if (e.code == OK)
			e = dir_check(h->arena, h->nppes);
	}
	if (e.code != OK) {
		fprintf(stderr, "%s: %s\n", file, e.what);
		return exit_of(e);
	}
	printf("%s: %s\n", file, with_directory ? "configuration and directory are fine" : "configuration is fine");
	return EXIT_FINE;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "print-settings", no_argument, NULL, 'S' },
		{ NULL, 0, NULL, 0 },
	};
	const char *file = SCF_SYSCONFDIR "/scfgate.conf";
	bool foreground = false, only_check = false, with_directory = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:dhntV", longs, NULL)) != -1) {
		switch (option) {
		case 'c': file = optarg; break;
		case 'd': foreground = true; break;
		case 'h': fputs(USAGE, stdout); return EXIT_FINE;
		case 'n': only_check = true; break;
		case 't': only_check = with_directory = true; break;
		case 'V': puts("scfgated " PACKAGE_VERSION); return EXIT_FINE;
		case 'S': conf_print_table(); return EXIT_FINE;
		default: fputs(USAGE, stderr); return EXIT_NO;
		}
	}
	if (optind < argc) {
		fputs(USAGE, stderr);
		return EXIT_NO;
	}

	struct house h = { .arena = arena_open() };
	struct err e = conf_read(h.arena, file, &h.conf);
	int result = EXIT_NO;

	if (e.code != OK) {
		fprintf(stderr, "scfgated: %s\n", e.what);
	} else {
		log_level_of(&h.conf);
		result = only_check ? check(&h, file, with_directory) : serve(&h, file, foreground);
	}
	house_close(&h);
	return result;
}
