/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What core/trace_match.h works with: the segments that a trace may tell of, by connection, and who
 * may be meant by a line. Owned by kl_trace_match(), for its time only.
 */
#pragma once

#include "core/trace_match.h"

/* A keepalive as it came through, or an answer as it was sent: one for each, not for each copy. */
struct kl_trace_segment {
	uint64_t session;
	uint64_t time_ns;
	uint32_t seq;
	uint8_t direction;
	uint8_t kind;
	bool arrives; /* it came through, of those to_cucm */
	bool taken;   /* by a line */
};

struct kl_trace_conn {
	const struct kl_session *session;
	size_t begin,
		end;   /* its segments, in the order of time by direction; see kl_trace_half() */
	size_t middle; /* here begin those to_phone */
};

/* Indices of connections. */
struct kl_trace_choice {
	const uint32_t *conn;
	size_t count;
};

struct kl_trace_work {
	const struct kl_trace_lines *lines;
	uint32_t stride; /* of so many segments one is known */
	struct kl_trace_segment *segment;
	size_t segment_count;
	struct kl_trace_conn *conn;
	size_t conn_count;
	uint32_t *all;	      /* connections: each */
	uint32_t *by_address; /* in the order of address and port */
	uint32_t *by_device;
};

/* Those of the connection that go this way: [*ret_begin, *ret_end). */
void kl_trace_half(const struct kl_trace_conn *conn, uint8_t direction, size_t *ret_begin,
		   size_t *ret_end);
/* The connections that this line may speak of; none where it does not tell. */
struct kl_trace_choice kl_trace_choices(const struct kl_trace_work *w,
					const struct kl_trace_line *line);
/* It tells neither address nor device. */
bool kl_trace_is_nameless(const struct kl_trace_lines *lines, const struct kl_trace_line *line);
int kl_trace_work_fill(struct kl_trace_work *w, const struct kl_trace_lines *lines,
		       const struct kl_diagnosis *d); /* -ENOMEM */
void kl_trace_work_done(struct kl_trace_work *w);
bool kl_trace_same_kind(uint8_t of_line, uint8_t of_segment);

/* False: it cannot be told. -ENOMEM. core/trace_offset.c */
int kl_trace_find_offset(const struct kl_trace_work *w, bool *ret_known, int64_t *ret_offset_ns,
			 uint64_t *ret_width_ns);
