// SPDX-License-Identifier: GPL-2.0-only
#include "cli/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/config_file.h"
#include "cli/inputs.h"
#include "util/cleanup.h"

/* Where records go. again: what is in the file stays. */
static int open_output(const struct kl_options *o, bool again, int *ret, struct kl_error *err)
{
	bool keep = o->append || again;
	/* At the start a pipe's reader is waited for; a run does not wait. */
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (keep ? O_APPEND : O_TRUNC) |
		    (again ? O_NONBLOCK : 0);
	int fd = o->output ? open(o->output, flags, 0666)
			   : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3),
	    r;

	if (fd >= 0 && o->output && again && fcntl(fd, F_SETFL, flags & O_APPEND) < 0) {
		r = -errno;
		close(fd);
		return kl_fail(err, r, "%s: %s", o->output, strerror(-r));
	}
	if (fd < 0)
		return kl_fail(err, -errno, "%s: %s", o->output ?: "standard output",
			       strerror(errno));
	*ret = fd;
	return 0;
}

int kl_reload_open(struct kl_reload *r, const struct kl_options *start)
{
	struct kl_error err = {};
	int e;

	r->start = start;
	r->now = *start;
	r->now.config = NULL; /* the start's own */
	r->fd = -1;
	e = open_output(start, false, &r->fd, &err);
	if (e)
		fprintf(stderr, "kaloss watch: %s\n", err.text);
	return e;
}

void kl_reload_close(struct kl_reload *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	kl_options_done(&r->now);
}

bool kl_reload_takes_hangup(const struct kl_options *o)
{
	return o->output || o->config_path;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* (Texts that may be secrets are not among those that reload.) */
static void tell_changes(const struct kl_options *now, const struct kl_options *next)
{
	struct kl_option_info option;

	for (size_t i = 0; kl_option_describe(next->verb, i, &option); i++) {
		if (!option.name || same(now->given[i], next->given[i]))
			continue;
		if (option.reloads)
			fprintf(stderr, "kaloss watch: %s: %s is now %s (it was %s)\n",
				next->config_path, option.name, next->given[i] ?: "not set",
				now->given[i] ?: "not set");
		else
			fprintf(stderr, "kaloss watch: %s: %s has changed: that takes a restart\n",
				next->config_path, option.name);
	}
}

/* From next to now, which owns its texts then. */
static void change(struct kl_reload *r, struct kl_options *next)
{
	struct kl_option_info option;
	struct kl_options *now = &r->now;

	now->interval_ns = next->interval_ns;
	now->sip_grace_ns = next->sip_grace_ns;
	now->sccp_missed = next->sccp_missed;
	now->all_macs = next->all_macs;
	now->output = next->output;
	now->append = next->append;
	now->syslog.files = next->syslog.files;
	for (size_t i = 0; kl_option_describe(next->verb, i, &option); i++)
		now->given[i] = option.reloads ? next->given[i] : r->start->given[i];
	kl_options_done(now);
	now->config = next->config;
	next->config = NULL;
}

static int read_again(struct kl_reload *r, struct kl_run *run, int *ret_fd, struct kl_error *err)
{
	const struct kl_options *start = r->start;
	struct kl_options next;
	int e = kl_options_parse(start->verb, start->argc, start->argv, &next, err);

	if (e)
		return e;
	e = open_output(&next, true, ret_fd, err);
	if (!e)
		e = kl_inputs_set_syslog_files(run->inputs, next.syslog.files, err);
	if (!e) {
		tell_changes(&r->now, &next);
		change(r, &next);
		kl_run_set_patience(run);
	}
	kl_options_done(&next);
	return e;
}

void kl_reload(struct kl_reload *r, struct kl_run *run, struct kl_report *report)
{
	struct kl_error err = {};
	int fd = -1, e = 0;

	if (r->start->config_path)
		e = read_again(r, run, &fd, &err);
	if (e) {
		fprintf(stderr, "kaloss watch: %s: the settings stay as they are\n", err.text);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	if (fd < 0 && open_output(&r->now, true, &fd, &err)) {
		fprintf(stderr, "kaloss watch: %s: the file that is open is written on\n",
			err.text);
		return;
	}
	/* Whoever writes goes on with the same number. */
	e = dup3(fd, r->fd, O_CLOEXEC) < 0 ? -errno : 0;
	close(fd);
	if (e) {
		fprintf(stderr, "kaloss watch: %s: %s\n", r->now.output ?: "standard output",
			strerror(-e));
		return;
	}
	report->color = kl_wants_color(&r->now, r->fd);
	report->lines = 0;
	if (r->now.output)
		fprintf(stderr, "kaloss watch: %s: opened anew\n", r->now.output);
}
