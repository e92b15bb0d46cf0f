// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of a side as one. Each is looked into at the start for the time of its first packet, and
 * closed again; it is opened when its turn comes, so that a thousand files of a ring buffer take no
 * more memory than those that overlap. What cannot be opened twice stays open.
 */
#include "source/capture.h"

#include <stdlib.h>
#include <string.h>

#include "source/capture_file.h"
#include "util/cleanup.h"

/* A file's place in the order of the first packets. */
struct turn {
	uint64_t first_ns;
	size_t file;
	dev_t device; /* 0, with the inode: no file that could be named twice */
	ino_t inode;
	struct kl_reader *reader;	/* open; NULL: not yet, or no more */
	const struct kl_captured *head; /* what it has next */
};

struct kl_capture {
	const struct kl_ports *ports;
	size_t count;
	struct kl_capture_file *files; /* as they were named */
	struct turn *turns;	       /* in the order of the first packets */
	size_t begun;		       /* turns that have come; those behind are still to come */
	size_t oldest;		       /* turns before this one are over */
	struct turn *delivered;	       /* whose head the caller has */
	struct kl_capture_range *ranges;
	uint64_t size_bytes;
	struct kl_capture_meter meter;
};

void kl_capture_close(struct kl_capture *c)
{
	if (!c)
		return;
	for (size_t i = 0; c->turns && i < c->count; i++)
		kl_reader_close(c->turns[i].reader);
	for (size_t i = 0; c->files && i < c->count; i++)
		free(c->files[i].drops);
	free(c->turns);
	free(c->files);
	free(c->ranges);
	free(c);
}

static int compare_turns(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->first_ns != y->first_ns)
		return x->first_ns < y->first_ns ? -1 : 1;
	return x->file < y->file ? -1 : x->file > y->file;
}

/* Looks into a file; keeps it open only if it has to be. */
static int look_into(struct kl_capture *c, size_t i, struct kl_error *err)
{
	struct turn *t = &c->turns[i];
	const struct kl_stream *stream;
	int r = kl_reader_open(&c->files[i], i, c->ports, &c->meter, &t->reader, err);

	if (r)
		return r;
	stream = kl_reader_stream(t->reader);
	t->file = i;
	t->first_ns = kl_reader_first_ns(t->reader);
	if (!kl_stream_is_regular(stream))
		return 0;
	t->device = kl_stream_device(stream);
	t->inode = kl_stream_inode(stream);
	c->meter.read_bytes -= kl_stream_file_bytes(stream);
	kl_reader_close(t->reader);
	t->reader = NULL;
	return 0;
}

static int check_twice(const struct kl_capture *c, size_t i, struct kl_error *err)
{
	for (size_t k = 0; k < i; k++) {
		if ((c->turns[i].inode && c->turns[k].inode == c->turns[i].inode &&
		     c->turns[k].device == c->turns[i].device) ||
		    strcmp(c->files[k].path, c->files[i].path) == 0)
			return kl_fail(err, -EINVAL, "%s: is the same file as %s", c->files[i].path,
				       c->files[k].path);
	}
	return 0;
}

int kl_capture_open(const char *const *paths, size_t count, const struct kl_ports *ports,
		    struct kl_capture **ret, struct kl_error *err)
{
	struct kl_capture *c __attribute__((cleanup(kl_capture_closep))) = calloc(1, sizeof(*c));
	bool all_sizes = true;

	if (!count)
		return kl_fail(err, -EINVAL, "no capture is named");
	if (!c)
		return kl_fail(err, -ENOMEM, "out of memory");
	c->ports = ports;
	c->count = count;
	c->files = calloc(count, sizeof(*c->files));
	c->turns = calloc(count, sizeof(*c->turns));
	c->ranges = calloc(count, sizeof(*c->ranges));
	if (!c->files || !c->turns || !c->ranges)
		return kl_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		int r;

		c->files[i].path = paths[i];
		r = look_into(c, i, err) ?: check_twice(c, i, err);
		if (r)
			return r;
		c->size_bytes += c->files[i].size_bytes;
		all_sizes &= c->files[i].size_bytes != 0;
	}
	if (!all_sizes)
		c->size_bytes = 0;
	qsort(c->turns, count, sizeof(*c->turns), compare_turns);
	*ret = c;
	c = NULL;
	return 0;
}

/* ---- Reading ---- */

/* The turn's next segment. At the end of the file the turn is over. */
static int advance(struct turn *t, struct kl_error *err)
{
	int r = kl_reader_next(t->reader, &t->head, err);

	if (r > 0)
		return 0;
	t->head = NULL;
	kl_reader_close(t->reader);
	t->reader = NULL;
	return r;
}

static int begin(struct kl_capture *c, struct kl_error *err)
{
	struct turn *t = &c->turns[c->begun++];

	if (!t->reader) {
		int r = kl_reader_open(&c->files[t->file], t->file, c->ports, &c->meter, &t->reader,
				       err);

		if (r)
			return r;
	}
	return advance(t, err);
}

/* Whose segment is next, among the files that have begun. */
static struct turn *earliest(struct kl_capture *c)
{
	struct turn *best = NULL;

	while (c->oldest < c->begun && !c->turns[c->oldest].reader)
		c->oldest++;
	for (size_t i = c->oldest; i < c->begun; i++) {
		struct turn *t = &c->turns[i];

		if (t->head && (!best || t->head->time_ns < best->head->time_ns))
			best = t;
	}
	return best;
}

int kl_capture_next(struct kl_capture *c, const struct kl_captured **ret, struct kl_error *err)
{
	struct turn *next;
	int r;

	if (c->delivered) {
		r = advance(c->delivered, err);
		c->delivered = NULL;
		if (r)
			return r;
	}
	for (;;) {
		next = earliest(c);
		if (c->begun == c->count ||
		    (next && next->head->time_ns < c->turns[c->begun].first_ns))
			break;
		r = begin(c, err);
		if (r)
			return r;
	}
	if (!next)
		return 0;
	c->delivered = next;
	*ret = next->head;
	return 1;
}

/* ---- What was read ---- */

static void add_counts(struct kl_capture_counts *to, const struct kl_capture_counts *from)
{
	to->packets += from->packets;
	to->segments += from->segments;
	to->cut_packets += from->cut_packets;
	to->cut_segments += from->cut_segments;
	to->cut_headers += from->cut_headers;
	to->malformed += from->malformed;
	to->fragments += from->fragments;
	to->other_links += from->other_links;
	to->untimed += from->untimed;
	to->back_steps += from->back_steps;
	if (to->back_largest_ns < from->back_largest_ns)
		to->back_largest_ns = from->back_largest_ns;
	to->dropped += from->dropped;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct kl_capture_range *x = a, *y = b;

	return x->first_ns < y->first_ns ? -1 : x->first_ns > y->first_ns;
}

static size_t make_ranges(struct kl_capture *c)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < c->count; i++) {
		if (c->files[i].first_ns)
			c->ranges[n++] = (struct kl_capture_range){ c->files[i].first_ns,
								    c->files[i].last_ns };
	}
	qsort(c->ranges, n, sizeof(*c->ranges), compare_ranges);
	for (size_t i = 0; i < n; i++) {
		struct kl_capture_range *last = &c->ranges[kept ? kept - 1 : 0];

		if (!kept || c->ranges[i].first_ns > last->last_ns)
			c->ranges[kept++] = c->ranges[i];
		else if (c->ranges[i].last_ns > last->last_ns)
			last->last_ns = c->ranges[i].last_ns;
	}
	return kept;
}

void kl_capture_coverage(struct kl_capture *c, struct kl_capture_coverage *ret)
{
	*ret = (struct kl_capture_coverage){ .files = c->files, .file_count = c->count };
	for (size_t i = 0; i < c->count; i++) {
		add_counts(&ret->total, &c->files[i].counts);
		ret->incomplete += c->files[i].end > KL_CAPTURE_COMPLETE;
	}
	ret->range_count = make_ranges(c);
	ret->ranges = c->ranges;
	ret->size_bytes = c->size_bytes;
	ret->read_bytes = __atomic_load_n(&c->meter.read_bytes, __ATOMIC_RELAXED);
}

void kl_capture_stop(struct kl_capture *c)
{
	__atomic_store_n(&c->meter.stop, true, __ATOMIC_RELAXED);
}

void kl_capture_progress(const struct kl_capture *c, struct kl_capture_progress *ret)
{
	*ret = (struct kl_capture_progress){
		.fraction = -1,
		.size_bytes = c->size_bytes,
		.read_bytes = __atomic_load_n(&c->meter.read_bytes, __ATOMIC_RELAXED),
		.packets = __atomic_load_n(&c->meter.packets, __ATOMIC_RELAXED),
		.segments = __atomic_load_n(&c->meter.segments, __ATOMIC_RELAXED),
	};
	if (ret->size_bytes) /* a file may grow while it is read */
		ret->fraction = ret->read_bytes < ret->size_bytes
					? (double)ret->read_bytes / (double)ret->size_bytes
					: 1;
}
