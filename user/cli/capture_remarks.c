// SPDX-License-Identifier: GPL-2.0-only
#include "cli/capture_remarks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 2, 3))) static int add(struct kl_capture_remarks *remarks,
						     const char *format, ...)
{
	va_list args;
	int n;

	if (remarks->count == KL_REMARKS_MAX)
		return 0;
	va_start(args, format);
	n = vasprintf(&remarks->text[remarks->count], format, args);
	va_end(args);
	if (n < 0)
		return -ENOMEM;
	remarks->count++;
	return 0;
}

static int remark_total(const struct kl_capture_counts *n, struct kl_capture_remarks *remarks,
			const char *first)
{
	const struct {
		uint64_t count;
		const char *text;
	} counts[] = {
		{ n->dropped, "packets were dropped by the capture itself, as it says" },
		{ n->cut_segments, "segments are cut by the snap length: what is in them is told "
				   "only as far as there is enough of it" },
		{ n->cut_headers, "packets are cut in their headers by the snap length" },
		{ n->malformed, "packets have headers that contradict themselves" },
		{ n->fragments, "IP fragments: what is in them is not joined" },
		{ n->other_links, "packets are of an interface with a link type that is not read" },
		{ n->untimed, "packets have no time" },
		{ n->back_steps, "packets are earlier than one before them in the file" },
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (counts[i].count)
			r = add(remarks, "%s: %" PRIu64 " %s", first, counts[i].count,
				counts[i].text);
	}
	return r;
}

int kl_capture_remark(struct kl_capture *c, struct kl_capture_remarks *remarks,
		      struct kl_captures_note *ret)
{
	struct kl_capture_coverage v;
	int r = 0;

	kl_capture_coverage(c, &v);
	for (size_t i = 0; !r && i < v.file_count; i++) {
		if (v.files[i].end_text[0])
			r = add(remarks, "%s", v.files[i].end_text);
	}
	if (!r)
		r = remark_total(&v.total, remarks, ret->files);
	ret->packets = v.total.packets;
	ret->segments = v.total.segments;
	if (v.range_count) {
		ret->first_ns = v.ranges[0].first_ns;
		ret->last_ns = v.ranges[v.range_count - 1].last_ns;
	}
	ret->dropped = v.total.dropped;
	ret->cut = v.total.cut_segments + v.total.cut_headers;
	ret->malformed = v.total.malformed;
	ret->fragments = v.total.fragments;
	ret->back_steps = v.total.back_steps;
	ret->remarks = (const char *const *)remarks->text;
	ret->remark_count = remarks->count;
	return r;
}

int kl_capture_remark_forgotten(uint64_t conns, struct kl_capture_remarks *remarks,
				struct kl_captures_note *ret)
{
	int r = 0;

	if (conns)
		r = add(remarks,
			"%s: %" PRIu64 " connections were forgotten to make room for others (raise "
			"--connections)",
			ret->files, conns);
	ret->remark_count = remarks->count;
	return r;
}

int kl_capture_remark_late(const char *path, uint64_t packets, struct kl_capture_remarks *remarks,
			   struct kl_captures_note *ret)
{
	int r;

	if (!packets)
		return 0;
	r = add(remarks,
		"%s: says only at its end that the capture dropped %" PRIu64
		" packets: some of what the other side's capture has and this one has not may be "
		"called lost for that (of a file that is neither packed nor a pipe, the end is "
		"read "
		"first)",
		path, packets);
	ret->dropped_late += packets;
	ret->remarks = (const char *const *)remarks->text;
	ret->remark_count = remarks->count;
	return r;
}

void kl_capture_remarks_done(struct kl_capture_remarks *remarks)
{
	for (size_t i = 0; i < remarks->count; i++)
		free(remarks->text[i]);
	remarks->count = 0;
}
