/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files syslog*.c share, and nobody else includes. Each owns its part:
 *
 *   syslog.c         all of it together: the interface, and the bounds of a drain
 *   syslog_lines.c   from bytes to lines, and from a line to a piece of evidence
 *   syslog_socket.c  what is listened for
 *   syslog_file.c    what is read and followed
 */
#pragma once

#include "core/syslog_line.h"
#include "source/syslog.h"

enum {
	KL_SYSLOG_LINE_MAX = 8192, /* what is longer is cut */
	KL_SYSLOG_FROM = 80,
};

/* Where lines go, and what was counted of them. */
struct kl_syslog_lines {
	struct kl_input_stats stats;
	const struct kl_syslog_handlers *handlers; /* of the drain that runs */
	struct kl_syslog_clock clock;
	uint64_t near_ns;  /* of struct kl_syslog_config */
	uint64_t heard_ns; /* 0: read from a file that is read whole */
	unsigned taken;	   /* since the drain began */
};

/*
 * Bytes that make lines: by a newline or (TCP) by the count that goes before (RFC 6587). *from,
 * what a complaint names, and *host, the teller where a line names none, outlive it.
 */
struct kl_syslog_splitter {
	const char *from;
	const char *host;
	bool counted;	   /* lines may have a count before them */
	bool skipping;	   /* the rest of a line that is too long, up to its newline */
	size_t skip;	   /* the same by its count: so many bytes */
	size_t begin, len; /* of a line that is not complete */
	char part[KL_SYSLOG_LINE_MAX];
};

/* Sets the clocks, for all lines until it is called again. whole: of a file that is read whole. */
void kl_syslog_lines_begin(struct kl_syslog_lines *l, const struct kl_syslog_handlers *handlers,
			   bool whole);
void kl_syslog_take_line(struct kl_syslog_lines *l, const char *line, size_t len, const char *from,
			 const char *host);
void kl_syslog_complain(struct kl_syslog_lines *l, const char *from, const char *what);
void kl_syslog_split(struct kl_syslog_lines *l, struct kl_syslog_splitter *s, const char *bytes,
		     size_t len);
/* Nothing follows: what is left is a line. */
void kl_syslog_split_end(struct kl_syslog_lines *l, struct kl_syslog_splitter *s);

/* ---- Sockets ---- */

struct kl_syslog_sockets;

/* Adds its sockets to epoll_fd, with *ret as data.ptr of all of them. */
int kl_syslog_sockets_open(const char *address, int epoll_fd, struct kl_syslog_sockets **ret,
			   struct kl_error *err);
void kl_syslog_sockets_close(struct kl_syslog_sockets *s); /* NULL is fine */
/* Takes some lines of each that has any. 1: there may be more. */
int kl_syslog_sockets_drain(struct kl_syslog_sockets *s, struct kl_syslog_lines *l);
uint64_t kl_syslog_sockets_lost(const struct kl_syslog_sockets *s);

/* ---- Files ---- */

struct kl_syslog_file;

/* follow: from its end on; it may not be there yet. */
int kl_syslog_file_open(const char *path, bool follow, struct kl_syslog_file **ret,
			struct kl_error *err);
void kl_syslog_file_close(struct kl_syslog_file *f); /* NULL is fine */
const char *kl_syslog_file_path(const struct kl_syslog_file *f);
/* Takes some lines. 1: there may be more; negative: it cannot be read. */
int kl_syslog_file_drain(struct kl_syslog_file *f, struct kl_syslog_lines *l);
/* All of it. */
int kl_syslog_file_read(struct kl_syslog_file *f, struct kl_syslog_lines *l, struct kl_error *err);
