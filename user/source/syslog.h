/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Syslog of switches and call servers: listened for (UDP and TCP; RFC 3164 and 5424), read from a
 * file, or followed there like tail -F. core/syslog_line.h says what a line means.
 *
 * A struct kl_syslog owns its sockets and files.
 */
#pragma once

#include "core/evidence.h"
#include "source/input.h"
#include "util/error.h"

struct kl_syslog_config {
	const char *address; /* ADDRESS:PORT, [ADDRESS6]:PORT or PORT; NULL: do not listen */
	const char *files;   /* comma list; NULL: none */
	bool follow; /* files: from their end on, also when they are rotated; else all of them */
	/* CLOCK_REALTIME: stamps that lack the year are those nearest to it. 0: to now. */
	uint64_t near_ns;
};

/*
 * said_ns: the line's own time, CLOCK_REALTIME; 0: it has none that can be understood. The pieces'
 * own time_ns is when it came, CLOCK_MONOTONIC; 0 where a file is read whole.
 */
struct kl_syslog_handlers {
	void (*mac)(const struct kl_mac_evidence *m, uint64_t said_ns, void *arg);
	void (*alarm)(const struct kl_alarm *a, uint64_t said_ns, void *arg);
	void *arg;
};

struct kl_syslog;

/* Is it an address to listen at? Whether it can be had is not asked. */
int kl_syslog_check_address(const char *text, struct kl_error *err);
int kl_syslog_open(const struct kl_syslog_config *config, struct kl_syslog **ret,
		   struct kl_error *err);
/*
 * Follows these files from now on, and no others (NULL: none): those that are followed already from
 * where it is in them. On an error all stays as it was.
 */
int kl_syslog_set_files(struct kl_syslog *s, const char *files, struct kl_error *err);
void kl_syslog_close(struct kl_syslog *s);   /* NULL is fine */
int kl_syslog_fd(const struct kl_syslog *s); /* readable when there is something to drain */
/* Never waits, and takes a bounded number of lines at a time. 1: there may be more at once. */
int kl_syslog_drain(struct kl_syslog *s, const struct kl_syslog_handlers *handlers);
/* Files that are read whole: all of it, at once. */
int kl_syslog_read(struct kl_syslog *s, const struct kl_syslog_handlers *handlers,
		   struct kl_error *err);
void kl_syslog_stats(const struct kl_syslog *s, struct kl_input_stats *ret);
