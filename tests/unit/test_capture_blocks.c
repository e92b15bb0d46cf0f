// SPDX-License-Identifier: GPL-2.0-only
/* What a pcapng may hold beside packets, and what libpcap alone would skip or refuse. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "captures.h"
#include "source/capture_blocks.h"

#define MS 1000000ULL
#define S 1000000000ULL

static const struct pcap_interface ethernet = { .link = PCAP_LINK_ETHERNET,
						.snaplen = 65535,
						.resolution = 9 };

static void write_packet(struct cap *c, __u32 interface, __u32 n)
{
	__u8 frame[PKT_MAX + 32];
	struct pkt p;
	__u32 len;

	cap_packet(n, &p);
	len = pcap_convert(c->w.interface[interface].link, &p, frame);
	pcap_write_on(&c->w, interface, CAP_START_NS + n * MS, frame, len, len);
}

static const struct cap_result *read_whole(struct cap *c, size_t count)
{
	const struct cap_result *r;

	cap_end(c);
	r = cap_read(c);
	cr_assert_eq(r->status, 0, "%s", r->error.text);
	cr_assert_eq(r->incomplete, 0, "%s", r->files[0].end_text);
	cr_assert_eq(r->count, count, "%zu segments", r->count);
	cap_close(c);
	return r;
}

static void expect_numbers(const struct cap_result *r)
{
	for (size_t i = 0; i < r->count; i++)
		cr_assert_eq(r->seen[i].segment.seq, CAP_SEQ((__u32)r->seen[i].packet - 1),
			     "packet %" PRIu64, r->seen[i].packet);
}

/* More packets than are ever under way between the watcher and libpcap. */
Test(capture_blocks, interfaces_of_all_link_types_and_lengths)
{
	static const struct pcap_interface others[] = {
		{ .link = PCAP_LINK_SLL, .snaplen = 96, .resolution = 6 },
		{ .link = PCAP_LINK_RAW, .snaplen = 0, .resolution = 9 },
		{ .link = PCAP_LINK_RADIOTAP, .snaplen = 262144, .resolution = 9 },
		{ .link = PCAP_LINK_SLL2, .snaplen = 1 << 20, .resolution = 0x9e },
		{ .link = PCAP_LINK_NULL, .snaplen = 65535, .resolution = 3 },
	};

	for (int big_endian = 0; big_endian < 2; big_endian++) {
		const struct cap_result *r;
		struct cap c;

		cap_begin(&c, true, big_endian, &ethernet);
		for (__u32 n = 0; n < 100; n++)
			write_packet(&c, 0, n);
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			pcap_write_interface(&c.w, &others[i]);
		for (__u32 n = 100; n < 40100; n++)
			write_packet(&c, n % 6, n);
		r = read_whole(&c, 40100 - 6666);
		expect_numbers(r);
		cr_assert_eq(r->total.packets, 40100);
		cr_assert_eq(r->total.other_links, 6666);
		for (size_t i = 0; i < r->count; i++)
			cr_assert_leq(r->seen[i].time_ns, CAP_START_NS + 40100 * MS);
	}
}

/* Of raw IP, libpcap's name for the first interface is not that of the next. */
Test(capture_blocks, two_interfaces_of_the_same_link_type)
{
	static const __u32 types[] = { PCAP_LINK_ETHERNET, PCAP_LINK_NULL, PCAP_LINK_RAW,
				       PCAP_LINK_LOOP,	   PCAP_LINK_SLL,  PCAP_LINK_IPV4,
				       PCAP_LINK_SLL2 };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const struct pcap_interface interface = { .link = types[i], .snaplen = 96 };
		struct cap c;

		cap_begin(&c, true, false, &interface);
		pcap_write_interface(&c.w, &interface);
		for (__u32 n = 0; n < 10; n++)
			write_packet(&c, n & 1, n);
		expect_numbers(read_whole(&c, 10));
	}
}

Test(capture_blocks, the_first_interface_may_be_of_no_use)
{
	const struct pcap_interface radio = { .link = PCAP_LINK_RADIOTAP, .snaplen = 4096 };
	struct cap c;

	cap_begin(&c, true, false, &radio);
	pcap_write_interface(&c.w, &ethernet);
	for (__u32 n = 0; n < 10; n++)
		write_packet(&c, n & 1, n);
	expect_numbers(read_whole(&c, 5));
}

Test(capture_blocks, sections_follow_one_another)
{
	struct cap c;

	cap_begin(&c, true, true, &ethernet);
	for (__u32 i = 0; i < 5; i++) {
		const struct pcap_interface other = { .link = i & 1 ? PCAP_LINK_SLL
								    : PCAP_LINK_ETHERNET,
						      .snaplen = 96 * i,
						      .resolution = 6 };

		for (__u32 n = 0; n < 10; n++)
			write_packet(&c, 0, i * 10 + n);
		pcap_write_section(&c.w);
		pcap_write_interface(&c.w, &other);
	}
	expect_numbers(read_whole(&c, 50));
}

/* Packets longer than the file says they may be: the file is wrong, not the packets. */
Test(capture_blocks, packets_longer_than_the_snap_length)
{
	for (int kind = 0; kind < 4; kind++) {
		const struct pcap_interface small = { .link = 1, .snaplen = 40, .resolution = 6 };
		const struct pkt_spec spec = { .seq = CAP_SEQ(0), .payload_len = 1400 };
		const struct cap_result *r;
		struct cap c;
		struct pkt p;

		pkt_build(&spec, &p);
		cap_begin(&c, kind & 1, kind & 2, &small);
		pcap_write(&c.w, CAP_START_NS, p.data, p.len, p.len);
		/* And longer than it was on the wire. */
		pcap_write(&c.w, CAP_START_NS, p.data, p.len, 60);
		r = read_whole(&c, 2);
		cr_assert_eq(r->seen[0].captured, 1400);
		cr_assert_eq(r->seen[1].captured, 1400);
		cr_assert_eq(r->total.cut_packets, 0);
	}
}

Test(capture_blocks, unknown_blocks_are_passed_over)
{
	static const uint8_t nothing[20000];
	struct cap c;

	cap_begin(&c, true, false, &ethernet);
	for (__u32 n = 0; n < 300; n++) {
		write_packet(&c, 0, n);
		pcap_write_block(&c.w, 0x0bad0000 + n, nothing, n * 61);
		pcap_write_block(&c.w, 4, nothing, n); /* names: not read */
	}
	expect_numbers(read_whole(&c, 300));
}

/* They have no time: counted, and nothing is made of them. */
Test(capture_blocks, simple_packets)
{
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		const struct pcap_interface small = { .link = 1, .snaplen = 60 };
		const struct cap_result *r;
		struct cap c;
		struct pkt p;

		cap_begin(&c, true, big_endian, &small);
		write_packet(&c, 0, 0);
		cap_packet(1, &p);
		pcap_write_simple(&c.w, p.data, p.len);
		pcap_write_simple(&c.w, "", 0);
		write_packet(&c, 0, 3);
		r = read_whole(&c, 2);
		expect_numbers(r);
		cr_assert_eq(r->total.untimed, 2);
		cr_assert_eq(r->total.packets, 4);
		cr_assert_eq(r->ranges[0].first_ns, CAP_START_NS / 1000 * 1000);
	}
}

static void write_dropped(struct cap *c, __u32 interface, uint64_t at_ms, uint64_t by_if,
			  uint64_t by_os)
{
	const struct pcap_statistics s = { .interface = interface,
					   .time_ns = CAP_START_NS + at_ms * MS,
					   .start_ns = CAP_START_NS - S,
					   .dropped_if = by_if,
					   .dropped_os = by_os };

	pcap_write_statistics(&c->w, &s);
}

Test(capture_blocks, what_the_capture_dropped)
{
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		const struct pcap_interface other = { .link = 1, .resolution = 6, .offset_s = 60 };
		const struct cap_result *r;
		struct cap c;

		cap_begin(&c, true, big_endian, &ethernet);
		pcap_write_interface(&c.w, &other);
		write_packet(&c, 0, 0);
		write_dropped(&c, 0, 1000, 3, 4);
		write_dropped(&c, 1, 1000, 0, 0);
		write_dropped(&c, 0, 2000, 3, 4); /* no more since */
		write_dropped(&c, 0, 3000, 5, 4);
		write_dropped(&c, 1, 3000, UINT64_MAX, 1);
		write_dropped(&c, 7, 3000, 5, 5); /* of no interface */
		r = read_whole(&c, 1);
		cr_assert_eq(r->total.dropped, 10);
		cr_assert_eq(r->files[0].drop_count, 3);
		cr_assert_eq(r->drops[0].packets, 7);
		cr_assert_eq(r->drops[0].from_ns, CAP_START_NS - S);
		cr_assert_eq(r->drops[0].to_ns, CAP_START_NS + S);
		cr_assert_eq(r->drops[1].packets, 2);
		cr_assert_eq(r->drops[1].from_ns, CAP_START_NS + 2 * S);
		cr_assert_eq(r->drops[1].to_ns, CAP_START_NS + 3 * S);
		cr_assert_eq(r->drops[2].packets, 1);
		cr_assert_eq(r->drops[2].from_ns, (CAP_START_NS + S) / 1000 * 1000);
	}
}

/* More of them than are kept one by one: the sum is right, and the last one has the rest. */
Test(capture_blocks, drops_without_end)
{
	const struct cap_result *r;
	struct cap c;

	cap_begin(&c, true, false, &ethernet);
	for (uint64_t i = 1; i <= 1000; i++)
		write_dropped(&c, 0, i * 10, i, 0);
	r = read_whole(&c, 0);
	cr_assert_eq(r->total.dropped, 1000);
	cr_assert_eq(r->files[0].drop_count, 64);
	cr_assert_eq(r->drops[63].packets, 1000 - 63);
	cr_assert_eq(r->drops[63].from_ns, CAP_START_NS + 630 * MS);
	cr_assert_eq(r->drops[63].to_ns, CAP_START_NS + 10 * S);
}

Test(capture_blocks, times_that_go_back)
{
	static const uint64_t at_ms[] = { 100, 200, 150, 300, 50, 310 };

	for (int ng = 0; ng < 2; ng++) {
		const struct cap_result *r;
		struct cap c;
		struct pkt p;

		cap_begin(&c, ng, false, &ethernet);
		for (__u32 n = 0; n < 6; n++) {
			cap_packet(n, &p);
			pcap_write(&c.w, CAP_START_NS + at_ms[n] * MS, p.data, p.len, p.len);
		}
		r = read_whole(&c, 6);
		expect_numbers(r);
		cr_assert_eq(r->total.back_steps, 2);
		cr_assert_eq(r->total.back_largest_ns, 250 * MS);
		cr_assert_eq(r->ranges[0].first_ns, CAP_START_NS + 50 * MS);
		cr_assert_eq(r->ranges[0].last_ns, CAP_START_NS + 310 * MS);
	}
}

/* The watcher is to see the same whatever pieces the file comes in. */
Test(capture_blocks, watched_in_any_pieces)
{
	static uint8_t whole[1 << 16], bytes[1 << 16], first[1 << 16];
	const struct pcap_interface other = { .link = PCAP_LINK_SLL,
					      .snaplen = 96,
					      .resolution = 6 };
	struct cap c;
	struct pkt p;
	size_t len;

	cap_begin(&c, true, true, &ethernet);
	write_packet(&c, 0, 0);
	pcap_write_interface(&c.w, &other);
	cap_packet(1, &p);
	pcap_write_simple(&c.w, p.data, p.len);
	write_packet(&c, 1, 2);
	write_dropped(&c, 1, 10, 9, 0);
	cap_end(&c);
	len = cap_load(&c, whole, sizeof(whole));
	for (size_t piece = 1; piece <= len; piece++) {
		struct kl_blocks b = { 0 };

		memcpy(bytes, whole, len);
		for (size_t at = 0; at < len; at += piece)
			kl_blocks_feed(&b, bytes + at, len - at < piece ? len - at : piece);
		cr_assert_not(b.stopped);
		cr_assert_eq(b.packets, 3);
		cr_assert_eq(b.interfaces, 2);
		cr_assert_eq(b.drops, 1);
		cr_assert_eq(kl_blocks_framing(&b, 1), KL_FRAMING_ETHERNET);
		cr_assert_eq(kl_blocks_framing(&b, 2), KL_FRAMING_ETHERNET);
		cr_assert_eq(kl_blocks_framing(&b, 3), KL_FRAMING_SLL);
		kl_blocks_free(&b);
		if (piece == 1)
			memcpy(first, bytes, len);
		cr_assert_arr_eq(bytes, first, len);
	}
	cr_assert_neq(memcmp(first, whole, len), 0);
	cap_close(&c);
}
