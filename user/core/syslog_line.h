/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One line of syslog, however it came: who says it, when, and where the message begins. RFC 5424,
 * RFC 3164, what Cisco's systems send (IOS, NX-OS, CUCM: sequence numbers, stamps of their own) and
 * what a syslog server writes to its files. Pure; reads bytes of strangers: bounds-checked.
 *
 * A message is taken for one by its mnemonic, FACILITY-n-NAME, which all of Cisco's have; a line
 * without one is none of ours.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	KL_SYSLOG_HOST = 64
};

/* What stamps are held against: they may lack the year, and the zone. */
struct kl_syslog_clock {
	uint64_t now_ns; /* CLOCK_REALTIME; the year is the one that comes nearest */
	/* Seconds since 1970 of this host's local time, read as if it were UTC. NULL: it is UTC. */
	int64_t (*local)(int64_t as_utc_s);
};

struct kl_syslog_line {
	/*
	 * CLOCK_REALTIME; 0: not known. The sender's own stamp where there are several, unless it
	 * says itself that its clock was never set ("*").
	 */
	uint64_t said_ns;
	char host[KL_SYSLOG_HOST]; /* empty: it does not say */
	/* From the mnemonic on, without "%": it points into the line. NULL: there is none. */
	const char *text;
	size_t len;
};

/* -EBADMSG: this is no line of text, or its priority is none. */
int kl_syslog_line_read(const char *line, size_t len, const struct kl_syslog_clock *clock,
			struct kl_syslog_line *ret);

/*
 * The name in a mnemonic, FACILITY-n-NAME, that text begins with, and its length. NULL: it does
 * not begin with one.
 */
const char *kl_syslog_mnemonic(const char *text, size_t len, size_t *ret_name_len);
