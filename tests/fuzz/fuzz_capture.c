// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzer's target for capture files: an input is a file as it is. It is read to its end, alone
 * and merged with a copy of itself; nothing may crash, and what is said must fit together.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../packets/packets.h"
#include "source/capture.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

static struct kl_ports ports;
static volatile __u32 sink;

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void check_segment(const struct kl_captured *s, const struct kl_capture_coverage *v)
{
	__u32 sum = 0;

	require(s->time_ns && s->file < v->file_count);
	require(s->packet && s->packet <= v->files[s->file].counts.packets);
	require(s->segment.family == 4 || s->segment.family == 6);
	require(kl_port_is_signalling(&ports, s->segment.sport) ||
		kl_port_is_signalling(&ports, s->segment.dport));
	require(s->payload_captured <= s->segment.payload_len);
	require(s->is_cut == (s->payload_captured < s->segment.payload_len));
	for (__u32 i = 0; i < s->payload_captured; i++)
		sum += s->payload[i];
	sink = sum;
}

static void check_coverage(const struct kl_capture_coverage *v, uint64_t segments)
{
	require(v->total.segments == segments && v->total.packets >= segments);
	for (size_t i = 0; i < v->range_count; i++) {
		require(v->ranges[i].first_ns && v->ranges[i].first_ns <= v->ranges[i].last_ns);
		require(!i || v->ranges[i - 1].last_ns < v->ranges[i].first_ns);
	}
	for (size_t i = 0; i < v->file_count; i++) {
		const struct kl_capture_file *f = &v->files[i];
		uint64_t dropped = 0;

		require(f->end != KL_CAPTURE_UNREAD);
		require((f->end == KL_CAPTURE_COMPLETE) == !f->end_text[0]);
		for (size_t k = 0; k < f->drop_count; k++)
			dropped += f->drops[k].packets;
		require(dropped == f->counts.dropped);
	}
}

/* Returns the number of segments, or -1 where it is no capture. */
static int64_t read_all(const char *const *paths, size_t count)
{
	struct kl_capture_coverage v;
	const struct kl_captured *s;
	struct kl_capture *c = NULL;
	struct kl_error err = { "" };
	int64_t n = 0;
	int r;

	if (kl_capture_open(paths, count, &ports, &c, &err)) {
		require(err.text[0]);
		return -1;
	}
	kl_capture_coverage(c, &v);
	while ((r = kl_capture_next(c, &s, &err)) > 0) {
		check_segment(s, &v);
		n++;
	}
	if (r == 0) {
		kl_capture_coverage(c, &v);
		check_coverage(&v, (uint64_t)n);
	}
	kl_capture_close(c);
	return n;
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	static int fds[2] = { -1, -1 };
	static char names[2][64];
	const char *paths[2] = { names[0], names[1] };
	int64_t alone, twice;

	pkt_ports(&ports);
	for (int i = 0; i < 2; i++) {
		if (fds[i] < 0)
			fds[i] = memfd_create("capture", MFD_CLOEXEC);
		snprintf(names[i], sizeof(names[i]), "/proc/self/fd/%d", fds[i]);
		require(fds[i] >= 0 && ftruncate(fds[i], 0) == 0);
		require(pwrite(fds[i], data, size, 0) == (ssize_t)size);
	}
	alone = read_all(paths, 1);
	twice = read_all(paths, 2);
	require(twice == (alone < 0 ? alone : 2 * alone));
	return 0;
}
