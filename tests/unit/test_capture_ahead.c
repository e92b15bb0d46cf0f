// SPDX-License-Identifier: GPL-2.0-only
/* Reading ahead: the same segments as without, and an end at any time. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "captures.h"
#include "source/capture_ahead.h"

#define MS 1000000ULL
#define S 1000000000ULL

static const struct pcap_interface ethernet = { .link = PCAP_LINK_ETHERNET,
						.snaplen = 262144,
						.resolution = 9 };
static struct kl_ports ports;

static struct kl_capture *open_capture(const char *const *paths, size_t count)
{
	struct kl_capture *c = NULL;

	pkt_ports(&ports);
	cr_assert_eq(kl_capture_open(paths, count, &ports, &c, NULL), 0);
	return c;
}

/* Packets from first to last, of which the first `large` have payload to fill a batch. */
static void make_file(struct cap *c, __u32 first, __u32 last, __u32 large)
{
	cap_begin(c, first & 1, false, &ethernet);
	for (__u32 n = first; n < last; n++) {
		struct pkt_spec spec = { .seq = CAP_SEQ(n), .payload_len = PKT_MAX - 100 };
		struct pkt p;

		if (n < first + large)
			pkt_build(&spec, &p);
		else
			cap_packet(n, &p);
		pcap_write(&c->w, CAP_START_NS + n * MS, p.data, p.len, p.len);
	}
	cap_end(c);
}

static void expect_same(const struct kl_captured *s, const struct cap_seen *seen)
{
	uint32_t n = s->payload_captured < CAP_PAYLOAD_MAX ? s->payload_captured : CAP_PAYLOAD_MAX;

	cr_assert_eq(s->time_ns, seen->time_ns);
	cr_assert_eq(s->packet, seen->packet);
	cr_assert_eq(s->file, seen->file);
	cr_assert_eq(s->is_cut, seen->is_cut);
	cr_assert_eq(s->payload_captured, seen->captured);
	cr_assert(s->payload >= s->frame &&
		  s->payload + s->payload_captured <= s->frame + s->frame_captured);
	cr_assert_eq(memcmp(&s->segment, &seen->segment, sizeof(s->segment)), 0);
	cr_assert_eq(memcmp(s->payload, seen->payload, n), 0);
}

/* Reads all ahead and compares with what was read without; returns the number of batches. */
static size_t compare(const char *const *paths, const struct cap_result *without)
{
	struct kl_capture *c = open_capture(paths, without->file_count);
	size_t n = 0, batches = 0, drops = 0;
	const struct kl_batch *b = NULL;
	struct kl_ahead *a = NULL;
	uint64_t read_ns = 0;
	int r;

	cr_assert_eq(kl_ahead_open(c, &a, NULL), 0);
	while ((r = kl_ahead_next(a, &b, NULL)) > 0) {
		for (size_t i = 0; i < b->count; i++)
			expect_same(&b->segments[i], &without->seen[n++]);
		cr_assert_gt(b->range_count, 0);
		cr_assert_geq(b->ranges[b->range_count - 1].last_ns, read_ns);
		read_ns = b->ranges[b->range_count - 1].last_ns;
		cr_assert(!b->count || b->segments[b->count - 1].time_ns <= read_ns);
		for (size_t i = 0; i < b->drop_count; i++)
			cr_assert(b->drops[i].from_ns && b->drops[i].to_ns);
		drops += b->drop_count;
		batches++;
	}
	cr_assert_eq(r, 0);
	cr_assert_eq(kl_ahead_next(a, &b, NULL), 0, "the end stays the end");
	cr_assert_eq(n, without->count);
	cr_assert_eq(b->packets, without->total.packets);
	cr_assert_eq(b->range_count, without->range_count);
	cr_assert_eq(
		memcmp(b->ranges, without->ranges, n ? b->range_count * sizeof(*b->ranges) : 0), 0);
	/* What was foretold is told once more at the file's end. */
	cr_assert_geq(drops, without->files[0].drop_count);
	cr_assert_leq(drops, 2 * without->files[0].drop_count);
	kl_ahead_close(a);
	kl_capture_close(c);
	return batches;
}

Test(capture_ahead, the_same_segments)
{
	struct cap files[3];
	const char *paths[3];

	make_file(&files[0], 0, 20000, 0);
	make_file(&files[1], 15001, 25000, 300);
	make_file(&files[2], 40000, 40007, 7);
	for (int i = 0; i < 3; i++)
		paths[i] = files[i].path;
	cr_assert_gt(compare(paths, cap_read_paths(paths, 3)), 100);
}

Test(capture_ahead, nothing_in_it)
{
	struct cap c;
	const char *path = c.path;

	make_file(&c, 0, 0, 0);
	cr_assert_eq(cap_read(&c)->count, 0);
	{
		struct kl_capture *capture = open_capture(&path, 1);
		const struct kl_batch *b;
		struct kl_ahead *a = NULL;

		cr_assert_eq(kl_ahead_open(capture, &a, NULL), 0);
		cr_assert_eq(kl_ahead_next(a, &b, NULL), 1);
		cr_assert_eq(b->count + b->range_count, 0);
		cr_assert_eq(kl_ahead_next(a, &b, NULL), 0);
		kl_ahead_close(a);
		kl_capture_close(capture);
	}
}

Test(capture_ahead, what_was_dropped)
{
	struct pcap_statistics s = { .dropped_os = 3 };
	struct cap c;
	const char *path = c.path;
	struct pkt p;

	cap_begin(&c, true, false, &ethernet);
	for (__u32 n = 0; n < 1000; n++) {
		cap_packet(n, &p);
		pcap_write(&c.w, CAP_START_NS + n * MS, p.data, p.len, p.len);
		if (n % 250)
			continue;
		s.time_ns = CAP_START_NS + n * MS;
		s.dropped_os++;
		pcap_write_statistics(&c.w, &s);
	}
	cap_end(&c);
	cr_assert_eq(cap_read(&c)->files[0].drop_count, 4);
	compare(&path, cap_read(&c));
}

/* Whoever stops in the middle does not wait for the rest. */
Test(capture_ahead, closed_early)
{
	struct cap c;
	const char *path = c.path;

	make_file(&c, 0, 40000, 0);
	for (int taken = 0; taken < 12; taken++) {
		struct kl_capture *capture = open_capture(&path, 1);
		const struct kl_batch *b;
		struct kl_ahead *a = NULL;

		cr_assert_eq(kl_ahead_open(capture, &a, NULL), 0);
		for (int i = 0; i < taken; i++)
			cr_assert_eq(kl_ahead_next(a, &b, NULL), 1);
		kl_ahead_close(a);
		kl_capture_close(capture);
	}
}

Test(capture_ahead, stopped_where_nothing_is_found)
{
	const struct kl_captured *s;
	struct kl_capture *capture;
	struct kl_error err = { "" };
	const char *path;
	struct pkt p;
	struct cap c;

	cap_begin(&c, false, false, &ethernet);
	cap_packet(1, &p);
	p.data[p.l4_off + 1] = p.data[p.l4_off + 3] = 9; /* ports of something else */
	p.data[p.l4_off] = p.data[p.l4_off + 2] = 9;
	for (__u32 n = 0; n < 20000; n++)
		pcap_write(&c.w, CAP_START_NS + n * MS, p.data, p.len, p.len);
	cap_end(&c);
	path = c.path;
	capture = open_capture(&path, 1);
	kl_capture_stop(capture);
	cr_assert_eq(kl_capture_next(capture, &s, &err), -ECANCELED);
	kl_capture_close(capture);
}

Test(capture_ahead, a_file_that_went_away)
{
	char path[] = "/tmp/kaloss-ahead-XXXXXX";
	const char *paths[] = { path };
	struct kl_error err = { "" };
	struct kl_capture *capture;
	const struct kl_batch *b;
	struct kl_ahead *a = NULL;
	static char bytes[65536];
	struct cap c;
	int fd = mkstemp(path);
	size_t n;

	make_file(&c, 0, 100, 0);
	n = cap_load(&c, bytes, sizeof(bytes));
	cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
	capture = open_capture(paths, 1);
	unlink(path);
	cr_assert_eq(kl_ahead_open(capture, &a, NULL), 0);
	cr_assert_eq(kl_ahead_next(a, &b, &err), 1);
	cr_assert_eq(b->count, 0);
	cr_assert_eq(kl_ahead_next(a, &b, &err), -ENOENT);
	cr_assert_not_null(strstr(err.text, path));
	kl_ahead_close(a);
	kl_capture_close(capture);
	close(fd);
}

/* From a pipe nothing is read ahead. */
Test(capture_ahead, a_pipe)
{
	static char bytes[65536];
	const char *paths[1];
	char path[64];
	struct cap c;
	int fds[2];
	size_t n;

	make_file(&c, 0, 500, 0);
	n = cap_load(&c, bytes, sizeof(bytes));
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(write(fds[1], bytes, n), (ssize_t)n);
	close(fds[1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	paths[0] = path;
	compare(paths, cap_read(&c));
}
