// SPDX-License-Identifier: GPL-2.0-only
/* Reading captures: every format, resolution and link type, and what several files make of a side. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "captures.h"

#define MS 1000000ULL
#define S 1000000000ULL

static const struct pcap_interface ethernet = { .link = PCAP_LINK_ETHERNET,
						.snaplen = 65535,
						.resolution = 6 };

static void expect_all(const struct cap_result *r, size_t count, const char *name)
{
	cr_assert_eq(r->status, 0, "%s: %s", name, r->error.text);
	cr_assert_eq(r->count, count, "%s: %zu segments", name, r->count);
	cr_assert_eq(r->incomplete, 0, "%s: %s", name, r->files[0].end_text);
}

/* ---- Formats ---- */

static const struct format {
	const char *name;
	bool ng;
	struct pcap_interface interface;
	uint64_t unit_ns; /* what its times are rounded down to; 0: a power of two */
} formats[] = {
	{ "pcap, us", false, { .link = 1, .snaplen = 65535, .resolution = 6 }, 1000 },
	{ "pcap, ns", false, { .link = 1, .snaplen = 65535, .resolution = 9 }, 1 },
	{ "pcap, no snap length", false, { .link = 1, .resolution = 9 }, 1 },
	{ "pcapng, default", true, { .link = 1, .snaplen = 65535 }, 1000 },
	{ "pcapng, no snap length", true, { .link = 1 }, 1000 },
	{ "pcapng, s", true, { .link = 1, .resolution = 0x80 }, S },
	{ "pcapng, ms", true, { .link = 1, .resolution = 3 }, MS },
	{ "pcapng, us", true, { .link = 1, .resolution = 6 }, 1000 },
	{ "pcapng, ns", true, { .link = 1, .resolution = 9 }, 1 },
	{ "pcapng, ps and an offset",
	  true,
	  { .link = 1, .resolution = 12, .offset_s = 1435818000 },
	  1 },
	{ "pcapng, 2^-10 s", true, { .link = 1, .resolution = 0x8a } },
	{ "pcapng, 2^-32 s", true, { .link = 1, .resolution = 0xa0 } },
	{ "pcapng, us, an offset", true, { .link = 1, .resolution = 6, .offset_s = 7200 }, 1000 },
	{ "pcapng, us, before", true, { .link = 1, .resolution = 6, .offset_s = -7200 }, 1000 },
};

static uint64_t in_binary(uint64_t ns, uint8_t power)
{
	uint64_t units = (uint64_t)(((unsigned __int128)(ns % S) << power) / S);

	return ns / S * S + (uint64_t)(((unsigned __int128)units * S) >> power);
}

Test(capture, every_format_and_resolution)
{
	for (size_t i = 0; i < 2 * sizeof(formats) / sizeof(formats[0]); i++) {
		const struct format *f = &formats[i / 2];
		const struct cap_result *r;
		struct cap c;

		cap_begin(&c, f->ng, i & 1, &f->interface);
		for (__u32 n = 0; n < 5; n++) {
			struct pkt p;

			cap_packet(n, &p);
			pcap_write(&c.w, CAP_START_NS + n * S, p.data, p.len, p.len);
		}
		cap_end(&c);
		r = cap_read(&c);
		expect_all(r, 5, f->name);
		for (__u32 n = 0; n < 5; n++) {
			const struct cap_seen *s = &r->seen[n];
			uint64_t want = CAP_START_NS + n * S;

			want = f->unit_ns ? want / f->unit_ns * f->unit_ns
					  : in_binary(want, f->interface.resolution & 0x7f);
			/* libpcap rounds down, as everybody does. */
			cr_assert_eq(s->time_ns, want, "%s: %" PRIu64 " instead of %" PRIu64,
				     f->name, s->time_ns, want);
			cr_assert_eq(s->packet, n + 1);
			cr_assert_eq(s->segment.seq, CAP_SEQ(n), "%s", f->name);
			cr_assert_eq(s->segment.payload_len, 12);
			cr_assert_eq(s->captured, 12);
			cr_assert_not(s->is_cut);
			cr_assert_arr_eq(s->payload, "\4\0\0\0\0\0\0\0\0\0\0\0", 12);
			cr_assert_arr_eq(s->segment.mac_src, "\0\x24\x14\x2d\0\0", 6);
		}
		cr_assert_eq(r->total.packets, 5);
		cr_assert_eq(r->range_count, 1);
		cr_assert_eq(r->ranges[0].first_ns, r->seen[0].time_ns);
		cr_assert_eq(r->ranges[0].last_ns, r->seen[4].time_ns);
		cap_close(&c);
	}
}

Test(capture, a_pcap_goes_on_after_2038)
{
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		const struct cap_result *r;
		struct cap c;
		struct pkt p;

		cap_packet(0, &p);
		cap_begin(&c, false, big_endian, &ethernet);
		pcap_write(&c.w, 4000000000 * S, p.data, p.len, p.len);
		cap_end(&c);
		r = cap_read(&c);
		expect_all(r, 1, "after 2038");
		cr_assert_eq(r->seen[0].time_ns, 4000000000 * S);
		cap_close(&c);
	}
}

/* ---- Link types ---- */

static const struct link {
	const char *name;
	__u32 link;
	bool has_source; /* a MAC address of the sender */
	bool has_tags;
} links[] = {
	{ "Ethernet", PCAP_LINK_ETHERNET, true, true },
	{ "null", PCAP_LINK_NULL },
	{ "loop", PCAP_LINK_LOOP },
	{ "raw", PCAP_LINK_RAW },
	{ "IPv4", PCAP_LINK_IPV4 },
	{ "IPv6", PCAP_LINK_IPV6 },
	{ "cooked", PCAP_LINK_SLL, true, true },
	{ "cooked 2", PCAP_LINK_SLL2, true, true },
};

static const struct pkt_spec layouts[] = {
	{ .seq = 7, .payload_len = 12 },
	{ .seq = 7, .payload_len = 890, .timestamps = true, .ts_val = 5, .ts_ecr = 6 },
	{ .seq = 7, .ip_options = 40, .tcp_options = 40 },
	{ .seq = 7, .payload_len = 12, .tags = 1, .tag = { 0x606e } },
	{ .seq = 7, .payload_len = 12, .tags = 2, .tag_type = { 0x88a8 }, .tag = { 110, 7 } },
	{ .seq = 7, .ipv6 = true, .payload_len = 12 },
	{ .seq = 7,
	  .ipv6 = true,
	  .payload_len = 12,
	  .exts = 4,
	  .ext = { 0, 43, 44, 60 },
	  .ext_extra = { 200, 200, 0, 200 } },
};

Test(capture, every_link_type)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct pcap_interface interface = { .link = links[i].link, .snaplen = 65535 };

		for (size_t k = 0; k < sizeof(layouts) / sizeof(layouts[0]); k++) {
			const struct pkt_spec *spec = &layouts[k];
			const struct cap_result *r;
			__u8 frame[PKT_MAX + 32];
			struct cap c;
			struct pkt p;
			__u32 len;

			if ((links[i].link == PCAP_LINK_IPV4 && spec->ipv6) ||
			    (links[i].link == PCAP_LINK_IPV6 && !spec->ipv6))
				continue;
			pkt_build(spec, &p);
			len = pcap_convert(links[i].link, &p, frame);
			cap_begin(&c, true, false, &interface);
			pcap_write(&c.w, CAP_START_NS, frame, len, len);
			cap_end(&c);
			r = cap_read(&c);
			expect_all(r, 1, links[i].name);
			cr_assert_eq(r->seen[0].segment.seq, 7);
			cr_assert_eq(r->seen[0].segment.dport, PKT_SCCP_PORT);
			cr_assert_eq(r->seen[0].segment.family, spec->ipv6 ? 6 : 4);
			cr_assert_eq(r->seen[0].segment.ts_val, spec->ts_val);
			cr_assert_eq(r->seen[0].segment.payload_len, spec->payload_len);
			cr_assert_eq(r->seen[0].captured, spec->payload_len, "%s, layout %zu: %u",
				     links[i].name, k, r->seen[0].captured);
			if (spec->payload_len)
				cr_assert_arr_eq(r->seen[0].payload, "xxxxxxxxxxxx", 12);
			cr_assert_eq(r->seen[0].segment.vlan,
				     spec->tags && links[i].has_tags ? 110 : 0);
			cr_assert_eq(r->seen[0].segment.mac_src[1] == 0x24, links[i].has_source);
			cap_close(&c);
		}
	}
}

Test(capture, what_is_not_ip_or_not_ours_is_passed_over)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct pcap_interface interface = { .link = links[i].link, .snaplen = 65535 };
		const struct pkt_spec udp = { .proto = 17, .payload_len = 172 },
				      other = { .sport = 443, .payload_len = 100 };
		const struct cap_result *r;
		__u8 frame[PKT_MAX + 32] = { 0 };
		struct cap c;
		struct pkt p;
		__u32 len;

		cap_begin(&c, false, false, &interface);
		pcap_write(&c.w, CAP_START_NS, "", 0, 0);
		memset(frame, 0xff, 60);
		pcap_write(&c.w, CAP_START_NS, frame, 60, 60);
		pkt_build(&udp, &p);
		len = pcap_convert(links[i].link, &p, frame);
		pcap_write(&c.w, CAP_START_NS, frame, len, len);
		pkt_build(&other, &p);
		len = pcap_convert(links[i].link, &p, frame);
		pcap_write(&c.w, CAP_START_NS, frame, len > 30 ? 30 : len, len);
		cap_end(&c);
		r = cap_read(&c);
		expect_all(r, 0, links[i].name);
		cr_assert_eq(r->total.packets, 4);
		cr_assert_eq(r->total.cut_packets, 1);
		cap_close(&c);
	}
}

/* Every length up to the whole packet: what is there is delivered, the rest is said to be missing. */
Test(capture, every_snap_length)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		const struct pcap_interface interface = { .link = links[i].link, .snaplen = 40 };
		const struct pkt_spec spec = { .ipv6 = links[i].link == PCAP_LINK_IPV6,
					       .seq = 7,
					       .payload_len = 12,
					       .timestamps = true };
		const struct cap_result *r;
		__u8 frame[PKT_MAX + 32];
		__u32 len, headers;
		struct cap c;
		struct pkt p;

		pkt_build(&spec, &p);
		len = pcap_convert(links[i].link, &p, frame);
		headers = len - 12;
		for (__u32 cut = 0; cut <= len; cut++) {
			cap_begin(&c, cut & 1, false, &interface);
			pcap_write(&c.w, CAP_START_NS, frame, cut, len);
			cap_end(&c);
			r = cap_read(&c);
			cr_assert_eq(r->status, 0, "%s", r->error.text);
			cr_assert_eq(r->incomplete, 0, "%s", r->files[0].end_text);
			cr_assert_eq(r->total.cut_packets, cut < len);
			/* The last 12 bytes of the headers are options, which may be missing. */
			cr_assert_eq(r->count, cut >= headers - 12, "%s cut to %u", links[i].name,
				     cut);
			cr_assert_eq(r->total.cut_headers, cut < headers - 12);
			cr_assert_eq(r->total.cut_segments, cut >= headers - 12 && cut < len);
			if (r->count) {
				cr_assert_eq(r->seen[0].segment.payload_len, 12);
				cr_assert_eq(r->seen[0].captured,
					     cut > headers ? cut - headers : 0);
				cr_assert_eq(r->seen[0].is_cut, cut < len);
			}
			cap_close(&c);
		}
	}
}

/* What a host captures of its own sending: one packet of many segments, whose IP header says 0. */
Test(capture, aggregates_without_a_length)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		const struct pkt_spec spec = { .ipv6 = ipv6, .seq = 7, .payload_len = 9000 };
		const struct cap_result *r;
		struct cap c;
		struct pkt p;

		pkt_build(&spec, &p);
		cap_begin(&c, false, false, &ethernet);
		pcap_write(&c.w, CAP_START_NS, p.data, p.len, p.len);
		memset(p.data + p.l3_off + (ipv6 ? 4 : 2), 0, 2);
		pcap_write(&c.w, CAP_START_NS, p.data, p.len, p.len);
		cap_end(&c);
		r = cap_read(&c);
		expect_all(r, 2, "aggregate");
		cr_assert_eq(r->seen[0].segment.payload_len, 9000);
		cr_assert_eq(r->seen[1].segment.payload_len, 9000);
		cr_assert_eq(r->seen[1].captured, 9000);
		cr_assert_eq(r->total.malformed, 0);
		cap_close(&c);
	}
}

Test(capture, fragments_and_malformed_frames_are_counted)
{
	const struct pkt_spec first = { .seq = 7, .payload_len = 40, .more_fragments = true },
			      later = { .seq = 7, .payload_len = 40, .fragment_off = 64 },
			      good = { .seq = 8, .payload_len = 12 };
	const struct cap_result *r;
	struct cap c;
	struct pkt p;

	cap_begin(&c, false, false, &ethernet);
	pkt_build(&first, &p);
	pcap_write(&c.w, CAP_START_NS, p.data, p.len, p.len);
	pkt_build(&later, &p);
	pcap_write(&c.w, CAP_START_NS, p.data, p.len, p.len);
	pkt_build(&good, &p);
	p.data[p.l4_off + 12] = 0x20;
	pcap_write(&c.w, CAP_START_NS, p.data, p.len, p.len);
	pkt_build(&good, &p);
	pcap_write(&c.w, CAP_START_NS, p.data, p.len, p.len);
	cap_end(&c);
	r = cap_read(&c);
	expect_all(r, 2, "fragments");
	cr_assert_eq(r->total.fragments, 2);
	cr_assert_eq(r->total.malformed, 1);
	cr_assert(r->seen[0].is_fragment);
	cr_assert_eq(r->seen[0].segment.seq, 7);
	cr_assert_not(r->seen[1].is_fragment);
	cr_assert_eq(r->seen[1].packet, 4);
}

/* ---- Packed, piped ---- */

enum {
	ROOM = 1 << 20
};

static uint8_t plain[ROOM], packed[ROOM];

static size_t make_plain(bool ng, __u32 packets)
{
	struct cap c;
	struct pkt p;
	size_t n;

	cap_begin(&c, ng, false, &ethernet);
	for (__u32 i = 0; i < packets; i++) {
		cap_packet(i, &p);
		pcap_write(&c.w, CAP_START_NS + i * MS, p.data, p.len, p.len);
	}
	cap_end(&c);
	n = cap_load(&c, plain, ROOM);
	cap_close(&c);
	return n;
}

Test(capture, gzip)
{
	for (int ng = 0; ng < 2; ng++) {
		size_t len = make_plain(ng, 5000), n, half = len / 2;
		const struct cap_result *r;
		struct cap c;

		n = cap_pack(plain, len, packed, ROOM);
		cap_bytes(&c, packed, n);
		r = cap_read(&c);
		expect_all(r, 5000, "gzip");
		cr_assert_eq(r->files[0].size_bytes, n);
		cr_assert_eq(r->files[0].read_bytes, n);
		cr_assert_eq(r->seen[4999].segment.seq, CAP_SEQ(4999));
		cap_close(&c);

		/* Two members, and what some writers put behind them. */
		n = cap_pack(plain, half, packed, ROOM);
		n += cap_pack(plain + half, len - half, packed + n, ROOM - n);
		memset(packed + n, 0, 512);
		cap_bytes(&c, packed, n + 512);
		expect_all(cap_read(&c), 5000, "two members");
		cap_close(&c);
	}
}

struct pipe_job {
	int fd;
	const uint8_t *data;
	size_t len;
	size_t piece;
};

static void *write_pipe(void *arg)
{
	struct pipe_job *j = arg;

	for (size_t at = 0, n; at < j->len; at += n) {
		ssize_t r = write(j->fd, j->data + at,
				  j->len - at < j->piece ? j->len - at : j->piece);

		if (r <= 0)
			break;
		n = (size_t)r;
	}
	close(j->fd);
	return NULL;
}

static const struct cap_result *read_piped(const uint8_t *data, size_t len, size_t piece)
{
	const char *path = "-";
	const struct cap_result *r;
	struct pipe_job j = { .data = data, .len = len, .piece = piece };
	pthread_t thread;
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
	j.fd = fds[1];
	cr_assert_eq(pthread_create(&thread, NULL, write_pipe, &j), 0);
	r = cap_read_paths(&path, 1);
	pthread_join(thread, NULL);
	return r;
}

Test(capture, standard_input)
{
	size_t len = make_plain(true, 3000), n;
	const struct cap_result *r = read_piped(plain, len, 4096);

	expect_all(r, 3000, "a pipe");
	cr_assert_eq(r->files[0].size_bytes, 0);
	cr_assert_eq(r->files[0].read_bytes, len);
	cr_assert_lt(r->progress.fraction, 0);
	n = cap_pack(plain, len, packed, ROOM);
	expect_all(read_piped(packed, n, 1000), 3000, "a pipe, packed");
	len = make_plain(false, 20);
	expect_all(read_piped(plain, len, 1), 20, "a pipe, byte by byte");
	len = make_plain(true, 20);
	expect_all(read_piped(plain, len, 1), 20, "a pipe, byte by byte");
	r = read_piped(plain, 0, 1);
	cr_assert_eq(r->status, -ENODATA);
	cr_assert_str_eq(r->error.text, "-: is empty");
}

/* ---- Several files ---- */

static void make_file(struct cap *c, __u32 from, __u32 to, __u32 step, uint64_t step_ns)
{
	struct pkt p;

	cap_begin(c, from & 1, false, &ethernet);
	for (__u32 n = from; n < to; n += step) {
		cap_packet(n, &p);
		pcap_write(&c->w, CAP_START_NS + n * step_ns, p.data, p.len, p.len);
	}
	cap_end(c);
}

Test(capture, files_in_any_order)
{
	static const int orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 }, { 2, 0, 1 } };
	struct cap files[3];

	for (__u32 i = 0; i < 3; i++)
		make_file(&files[i], i * 1000, i * 1000 + 500, 1, MS);
	for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++) {
		const char *paths[3];
		const struct cap_result *r;

		for (int i = 0; i < 3; i++)
			paths[i] = files[orders[o][i]].path;
		r = cap_read_paths(paths, 3);
		expect_all(r, 1500, "order");
		for (__u32 n = 0; n < 1500; n++) {
			__u32 file = n / 500;

			cr_assert_eq(r->seen[n].segment.seq, CAP_SEQ(file * 1000 + n % 500));
			cr_assert_eq(orders[o][r->seen[n].file], (int)file);
			cr_assert_eq(r->seen[n].packet, n % 500 + 1);
		}
		cr_assert_eq(r->range_count, 3);
		for (__u32 i = 0; i < 3; i++)
			cr_assert_eq(r->ranges[i].first_ns, (CAP_START_NS + i * S) / 1000 * 1000);
		cr_assert_eq(r->progress.fraction, 1);
		cr_assert_eq(r->progress.read_bytes, r->progress.size_bytes);
		cr_assert_eq(r->progress.segments, 1500);
		cr_assert_eq(r->progress.packets, 1500);
	}
}

Test(capture, files_of_the_same_time_are_merged)
{
	const struct cap_result *r;
	const char *paths[3];
	struct cap files[3];

	/* Two that take turns, and one that begins in their middle and goes on. */
	make_file(&files[0], 0, 1000, 2, MS);
	make_file(&files[1], 1, 1000, 2, MS);
	make_file(&files[2], 2000, 4000, 1, MS / 4);
	for (int i = 0; i < 3; i++)
		paths[i] = files[2 - i].path;
	r = cap_read_paths(paths, 3);
	expect_all(r, 3000, "merged");
	for (__u32 n = 1; n < 3000; n++)
		cr_assert_geq(r->seen[n].time_ns, r->seen[n - 1].time_ns);
	cr_assert_eq(r->range_count, 1);
	cr_assert_eq(r->total.back_steps, 0);
}

/* A ring buffer of many files needs no more descriptors than what overlaps. */
Test(capture, many_files)
{
	static char names[300][64];
	static const char *paths[300];
	struct rlimit limit = { 40, 40 };
	char directory[] = "/tmp/kaloss-captures-XXXXXX";
	const struct cap_result *r;

	cr_assert_not_null(mkdtemp(directory));
	for (__u32 i = 0; i < 300; i++) {
		struct pcap_writer w;
		struct pkt p;
		FILE *file;

		snprintf(names[i], sizeof(names[i]), "%s/%03u", directory, i * 7 % 300);
		paths[i] = names[i];
		file = fopen(paths[i], "wb");
		cr_assert_not_null(file);
		pcap_writer_start(&w, file, true, false, &ethernet);
		cap_packet(i, &p);
		pcap_write(&w, CAP_START_NS + (300 - i) * MS, p.data, p.len, p.len);
		cr_assert_eq(fclose(file), 0);
	}
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	r = cap_read_paths(paths, 300);
	for (__u32 i = 0; i < 300; i++)
		unlink(paths[i]);
	rmdir(directory);
	cr_assert_eq(r->status, 0, "%s", r->error.text);
	cr_assert_eq(r->count, 300);
	for (__u32 n = 0; n < 300; n++)
		cr_assert_eq(r->seen[n].file, 299 - n);
}

/* ---- Progress ---- */

struct watch_job {
	const struct kl_capture *capture;
	bool stop;
	bool went_back;
	double fraction;
};

static void *watch_progress(void *arg)
{
	struct watch_job *j = arg;

	while (!__atomic_load_n(&j->stop, __ATOMIC_RELAXED)) {
		struct kl_capture_progress p;

		kl_capture_progress(j->capture, &p);
		j->went_back |= p.fraction < j->fraction || p.fraction > 1;
		j->fraction = p.fraction;
	}
	return NULL;
}

Test(capture, progress_as_another_thread_sees_it)
{
	struct watch_job job = { 0 };
	const struct kl_captured *s;
	struct kl_capture_progress p;
	struct kl_capture *c = NULL;
	static struct kl_ports ports;
	struct cap files[4];
	const char *paths[4];
	pthread_t thread;
	size_t n = 0;

	for (__u32 i = 0; i < 4; i++) {
		make_file(&files[i], i * 10000, i * 10000 + 9999, 1, MS);
		paths[i] = files[i].path;
	}
	pkt_ports(&ports);
	cr_assert_eq(kl_capture_open(paths, 4, &ports, &c, NULL), 0);
	kl_capture_progress(c, &p);
	cr_assert_eq(p.fraction, 0);
	cr_assert_gt(p.size_bytes, 4 * 9999 * 82U);
	job.capture = c;
	cr_assert_eq(pthread_create(&thread, NULL, watch_progress, &job), 0);
	while (kl_capture_next(c, &s, NULL) > 0)
		n++;
	__atomic_store_n(&job.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	kl_capture_progress(c, &p);
	kl_capture_close(c);
	cr_assert_eq(n, 4 * 9999);
	cr_assert_not(job.went_back);
	cr_assert_eq(p.fraction, 1);
	cr_assert_eq(p.segments, n);
	cr_assert_eq(p.packets, n);
}
