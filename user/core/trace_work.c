// SPDX-License-Identifier: GPL-2.0-only
#include "core/trace_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Numbers come round again; copies of one segment are not so far apart. */
#define COPIES_NS (600ULL * 1000 * KL_NS_PER_MS)

void kl_trace_half(const struct kl_trace_conn *conn, uint8_t direction, size_t *ret_begin,
		   size_t *ret_end)
{
	*ret_begin = direction == KL_TO_CUCM ? conn->begin : conn->middle;
	*ret_end = direction == KL_TO_CUCM ? conn->middle : conn->end;
}

static bool is_register(uint8_t kind)
{
	return kind == KL_SIP_REGISTER || kind == KL_SIP_REGISTER_BACKUP;
}

bool kl_trace_same_kind(uint8_t of_line, uint8_t of_segment)
{
	return of_line == of_segment || (is_register(of_line) && is_register(of_segment));
}

/* ---- Segments ---- */

static bool may_be_traced(const struct kl_observed *o)
{
	if (o->direction == KL_TO_CUCM)
		return o->kind == KL_SCCP_KEEPALIVE || is_register(o->kind) ||
		       o->kind == KL_SIP_OPTIONS;
	return o->kind == KL_SCCP_KEEPALIVE_ACK || o->kind == KL_SIP_RESPONSE;
}

static int compare(uint64_t x, uint64_t y)
{
	return x < y ? -1 : x > y;
}

static int by_copy(const void *a, const void *b)
{
	const struct kl_trace_segment *x = a, *y = b;

	return compare(x->session, y->session) ?: compare(x->direction, y->direction)
		       ?: compare(x->seq, y->seq) ?: compare(x->time_ns, y->time_ns)
		       ?: compare(y->arrives, x->arrives);
}

static int by_time(const void *a, const void *b)
{
	const struct kl_trace_segment *x = a, *y = b;

	return compare(x->session, y->session) ?: compare(x->direction, y->direction)
		       ?: compare(x->time_ns, y->time_ns) ?: compare(x->seq, y->seq);
}

/* One of all copies: the first that came through, or that may have. (Answers: the first.) */
static void unite_copies(struct kl_trace_work *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->segment_count; i++) {
		const struct kl_trace_segment *s = &w->segment[i];
		struct kl_trace_segment *last = kept ? &w->segment[kept - 1] : NULL;

		if (!last || last->session != s->session || last->direction != s->direction ||
		    last->seq != s->seq || s->time_ns - last->time_ns > COPIES_NS)
			w->segment[kept++] = *s;
		else if (s->direction == KL_TO_CUCM && !last->arrives && s->arrives)
			*last = *s;
	}
	w->segment_count = kept;
}

static int fill_segments(struct kl_trace_work *w, const struct kl_diagnosis *d)
{
	w->segment = calloc(d->observed_count ?: 1, sizeof(*w->segment));
	if (!w->segment)
		return -ENOMEM;
	for (size_t i = 0; i < d->observed_count; i++) {
		const struct kl_observed *o = &d->observed[i];

		if (!may_be_traced(o))
			continue;
		/* (What was perhaps lost may have come through, but that is not counted on.) */
		w->segment[w->segment_count++] = (struct kl_trace_segment){
			.session = o->session,
			.time_ns = o->time_ns,
			.seq = o->seq,
			.direction = o->direction,
			.kind = o->kind,
			.arrives = o->direction == KL_TO_PHONE || (!o->lost && !o->where),
		};
	}
	if (!w->segment_count)
		return 0;
	qsort(w->segment, w->segment_count, sizeof(*w->segment), by_copy);
	unite_copies(w);
	qsort(w->segment, w->segment_count, sizeof(*w->segment), by_time);
	return 0;
}

/* ---- Connections ---- */

static int fill_conns(struct kl_trace_work *w, const struct kl_diagnosis *d)
{
	size_t count = 0;

	for (size_t i = 0; i < w->segment_count; i++)
		count += !i || w->segment[i].session != w->segment[i - 1].session;
	w->conn = calloc(count ?: 1, sizeof(*w->conn));
	if (!w->conn)
		return -ENOMEM;
	for (size_t i = 0, end; i < w->segment_count; i = end) {
		uint64_t id = w->segment[i].session;
		struct kl_trace_conn conn = { .session = kl_sessions_find(d->sessions, id),
					      .begin = i,
					      .middle = i };

		for (end = i; end < w->segment_count && w->segment[end].session == id; end++)
			conn.middle += w->segment[end].direction == KL_TO_CUCM;
		conn.end = end;
		if (conn.session)
			w->conn[w->conn_count++] = conn;
	}
	return 0;
}

static int compare_ends(const struct kl_endpoints *a, const struct kl_endpoints *b)
{
	return compare(a->family, b->family) ?: memcmp(a->phone, b->phone, sizeof(a->phone))
		       ?: compare(a->phone_port, b->phone_port);
}

static int by_address(const void *a, const void *b, void *arg)
{
	const struct kl_trace_conn *conn = arg;

	return compare_ends(&conn[*(const uint32_t *)a].session->ends,
			    &conn[*(const uint32_t *)b].session->ends);
}

static int by_device(const void *a, const void *b, void *arg)
{
	const struct kl_trace_conn *conn = arg;

	return strcmp(conn[*(const uint32_t *)a].session->device,
		      conn[*(const uint32_t *)b].session->device);
}

int kl_trace_work_fill(struct kl_trace_work *w, const struct kl_trace_lines *lines,
		       const struct kl_diagnosis *d)
{
	int r;

	w->lines = lines;
	w->stride = d->observed_stride ?: 1;
	r = fill_segments(w, d);
	if (!r)
		r = fill_conns(w, d);
	if (r)
		return r;
	w->all = calloc(w->conn_count ?: 1, sizeof(*w->all));
	w->by_address = calloc(w->conn_count ?: 1, sizeof(*w->by_address));
	w->by_device = calloc(w->conn_count ?: 1, sizeof(*w->by_device));
	if (!w->all || !w->by_address || !w->by_device)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->conn_count; i++)
		w->all[i] = w->by_address[i] = w->by_device[i] = i;
	qsort_r(w->by_address, w->conn_count, sizeof(*w->by_address), by_address, w->conn);
	qsort_r(w->by_device, w->conn_count, sizeof(*w->by_device), by_device, w->conn);
	return 0;
}

void kl_trace_work_done(struct kl_trace_work *w)
{
	free(w->segment);
	free(w->conn);
	free(w->all);
	free(w->by_address);
	free(w->by_device);
	*w = (struct kl_trace_work){};
}

/* ---- Who is meant ---- */

struct wanted {
	struct kl_endpoints ends;
	const char *device;
	bool by_device;
	bool any_port;
};

static int compare_wanted(const struct kl_trace_work *w, size_t at, const struct wanted *want)
{
	const struct kl_session *s;
	struct kl_endpoints ends;

	if (want->by_device) {
		s = w->conn[w->by_device[at]].session;
		return strcmp(s->device, want->device);
	}
	ends = w->conn[w->by_address[at]].session->ends;
	if (want->any_port)
		ends.phone_port = 0;
	return compare_ends(&ends, &want->ends);
}

/* The first that is not before (after: that is behind) what is wanted. */
static size_t bound(const struct kl_trace_work *w, const struct wanted *want, bool after)
{
	size_t low = 0, high = w->conn_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_wanted(w, middle, want) < after)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool kl_trace_is_nameless(const struct kl_trace_lines *lines, const struct kl_trace_line *line)
{
	const struct kl_trace_peer *peer;

	if (line->peer >= lines->peer.count)
		return true;
	peer = &lines->peer.item[line->peer];
	return !peer->address.family && !peer->device[0];
}

struct kl_trace_choice kl_trace_choices(const struct kl_trace_work *w,
					const struct kl_trace_line *line)
{
	struct wanted want = { .any_port = false };
	const struct kl_trace_peer *peer;
	size_t from, to;

	if (kl_trace_is_nameless(w->lines, line))
		return (struct kl_trace_choice){};
	peer = &w->lines->peer.item[line->peer];
	if (peer->address.family) {
		want.ends.family = peer->address.family;
		memcpy(want.ends.phone, peer->address.word, sizeof(want.ends.phone));
		want.ends.phone_port = peer->port;
		want.any_port = !peer->port;
		from = bound(w, &want, false);
		to = bound(w, &want, true);
		if (from < to)
			return (struct kl_trace_choice){ .conn = w->by_address + from,
							 .count = to - from };
	}
	if (!peer->device[0])
		return (struct kl_trace_choice){};
	/* Its address may be translated on the way. */
	want.by_device = true;
	want.device = peer->device;
	from = bound(w, &want, false);
	to = bound(w, &want, true);
	return (struct kl_trace_choice){ .conn = w->by_device + from, .count = to - from };
}
