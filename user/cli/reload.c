// SPDX-License-Identifier: GPL-2.0-only
#include "cli/reload.h"

#include <fcntl.h>
#include <string.h>

#include "cli/config_file.h"
#include "cli/inputs.h"
#include "util/cleanup.h"

/* Where records go by these options. again: what is in the file stays. */
static int open_output(const struct kl_options *o, bool again, int *ret, struct kl_error *err)
{
	/* At the start a pipe's reader is waited for; a run does not wait. */
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY |
		    (o->append || again ? O_APPEND : O_TRUNC) | (again ? O_NONBLOCK : 0);
	int fd = o->output ? open(o->output, flags, 0666)
			   : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0 || (o->output && again && fcntl(fd, F_SETFL, flags & O_APPEND) < 0)) {
		kl_fail(err, -errno, "%s: %s", o->output ?: "standard output", strerror(errno));
		kl_closep(&fd);
		return -EIO;
	}
	*ret = fd;
	return 0;
}

int kl_reload_open(struct kl_reload *r, const struct kl_options *start)
{
	struct kl_error err = {};
	int fd;

	r->start = start;
	r->now = *start;
	r->now.config = NULL; /* the start's own */
	if (!open_output(start, false, &fd, &err)) {
		r->file = fdopen(fd, "w");
		if (r->file)
			return 0;
		kl_closep(&fd);
		kl_set_error(&err, "out of memory");
	}
	fprintf(stderr, "kaloss watch: %s\n", err.text);
	return -EIO;
}

void kl_reload_close(struct kl_reload *r)
{
	kl_fclosep(&r->file);
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

int kl_reload(struct kl_reload *r, struct kl_run *run, struct kl_report *report)
{
	_cleanup_close_ int fd = -1;
	struct kl_error err = {};
	int e = 0, written;

	if (r->start->config_path)
		e = read_again(r, run, &fd, &err);
	if (e) {
		fprintf(stderr, "kaloss watch: %s: the settings stay as they are\n", err.text);
		kl_closep(&fd);
		fd = -1;
	}
	if (fd < 0 && open_output(&r->now, true, &fd, &err)) {
		fprintf(stderr, "kaloss watch: %s: the file that is open is written on\n",
			err.text);
		return 0;
	}
	written = kl_report_flush(report);
	if (dup3(fd, fileno(r->file), O_CLOEXEC) < 0)
		return -errno;
	report->lines = 0;
	if (r->now.output)
		fprintf(stderr, "kaloss watch: %s: opened anew\n", r->now.output);
	return written;
}
