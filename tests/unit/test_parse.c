// SPDX-License-Identifier: GPL-2.0-only
/*
 * kl_parse(): every layout of headers, cut at every byte, with every length field lying, and what
 * fragments, VLAN metadata and aggregates are. Frames end at a page that may not be read.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/packets.h"
#include "guard.h"

static const struct layout {
	const char *name;
	struct pkt_spec spec;
	__u16 vlan; /* what shall be found */
} layouts[] = {
	{ "IPv4", { .payload_len = 12 } },
	{ "IPv4, no payload, padded", { .pad_to = 60 } },
	{ "IPv4, 5 bytes, padded", { .payload_len = 5, .pad_to = 60 } },
	{ "IPv4, 6 bytes fill the frame", { .payload_len = 6, .pad_to = 60 } },
	{ "IPv4, to the phone", { .to_phone = true, .payload_len = 12 } },
	{ "IPv4 options, 4 bytes", { .ip_options = 4, .payload_len = 12 } },
	{ "IPv4 options, 40 bytes", { .ip_options = 40, .payload_len = 12 } },
	{ "TCP options, 40 bytes", { .tcp_options = 40, .payload_len = 12 } },
	{ "timestamps", { .timestamps = true, .ts_val = 0x11223344, .ts_ecr = 0x55667788 } },
	{ "timestamps and more",
	  { .timestamps = true, .ts_val = 7, .ts_ecr = 9, .tcp_options = 28, .payload_len = 890 } },
	{ "all options",
	  { .ip_options = 40,
	    .timestamps = true,
	    .ts_val = 1,
	    .tcp_options = 28,
	    .payload_len = 1 } },
	{ "one tag", { .tags = 1, .tag = { 0x606e }, .payload_len = 12 }, 110 },
	{ "one tag, padded", { .tags = 1, .tag = { 110 }, .pad_to = 60 }, 110 },
	{ "one priority tag", { .tags = 1, .tag = { 0xa000 }, .payload_len = 12 }, 0 },
	{ "802.1ad and 802.1Q",
	  { .tags = 2, .tag_type = { 0x88a8 }, .tag = { 0x0fff, 110 }, .payload_len = 12 },
	  4095 },
	{ "old QinQ twice",
	  { .tags = 2, .tag_type = { 0x9100, 0x9100 }, .tag = { 20, 30 }, .payload_len = 12 },
	  20 },
	{ "IPv6", { .ipv6 = true, .payload_len = 12 } },
	{ "IPv6, no payload", { .ipv6 = true } },
	{ "IPv6 hop-by-hop", { .ipv6 = true, .exts = 1, .ext = { 0 }, .payload_len = 12 } },
	{ "IPv6 routing, long",
	  { .ipv6 = true, .exts = 1, .ext = { 43 }, .ext_extra = { 7 }, .payload_len = 12 } },
	{ "IPv6 authentication", { .ipv6 = true, .exts = 1, .ext = { 51 }, .payload_len = 12 } },
	{ "IPv6 authentication, long",
	  { .ipv6 = true, .exts = 1, .ext = { 51 }, .ext_extra = { 3 }, .payload_len = 12 } },
	{ "IPv6 atomic fragment", { .ipv6 = true, .exts = 1, .ext = { 44 }, .payload_len = 12 } },
	{ "IPv6 four extensions",
	  { .ipv6 = true,
	    .exts = 4,
	    .ext = { 0, 60, 43, 51 },
	    .ext_extra = { 1, 0, 2, 1 },
	    .payload_len = 12 } },
	{ "IPv6 four extensions, one atomic fragment",
	  { .ipv6 = true, .exts = 4, .ext = { 0, 43, 44, 60 }, .payload_len = 12 } },
	{ "IPv6, two tags, extension, timestamps",
	  { .ipv6 = true,
	    .tags = 2,
	    .tag_type = { 0x88a8 },
	    .tag = { 7, 8 },
	    .exts = 1,
	    .ext = { 60 },
	    .timestamps = true,
	    .ts_val = 3,
	    .payload_len = 890 },
	  7 },
};

enum {
	LAYOUTS = sizeof(layouts) / sizeof(layouts[0])
};

static struct kl_ports ports;

static void setup(void)
{
	pkt_ports(&ports);
}

TestSuite(parse, .init = setup);

static const char *const parsed_name[] = { "NOT_OURS", "SEGMENT", "FRAGMENT", "MALFORMED",
					   "NOT_LINEAR" };

/* Parses the first `have` bytes of a frame of which `wire_len` were on the wire. */
static enum kl_parsed parse(const void *data, __u32 have, __u32 wire_len, struct kl_segment *ret)
{
	const __u8 *copy = guard_copy(0, data, have);
	struct kl_frame f = { .data = copy, .end = copy + have, .wire_len = wire_len };

	return kl_parse(&f, &ports, ret);
}

static void build(const struct layout *l, struct pkt *ret)
{
	struct pkt_spec spec = l->spec;

	spec.seq = 0xfffffff0;
	spec.ack = 0x80000001;
	spec.window = 0x1234;
	spec.ip_id = 0xbeef;
	spec.ttl = 57;
	spec.phone = 0x1d2;
	pkt_build(&spec, ret);
}

static void expect(enum kl_parsed got, enum kl_parsed want, const char *name, __u32 at)
{
	cr_assert_eq(got, want, "%s at %u: %s instead of %s", name, at, parsed_name[got],
		     parsed_name[want]);
}

Test(parse, every_layout_gives_every_field)
{
	for (int i = 0; i < LAYOUTS; i++) {
		const struct layout *l = &layouts[i];
		const struct pkt_spec *spec = &l->spec;
		struct kl_segment s;
		struct pkt p;
		__u32 src[4] = { 0 }, dst[4] = { 0 };
		const __u8 *l3;

		build(l, &p);
		expect(parse(p.data, p.len, p.len, &s), KL_SEGMENT, l->name, 0);
		l3 = p.data + p.l3_off;
		memcpy(src, l3 + (spec->ipv6 ? 8 : 12), spec->ipv6 ? 16 : 4);
		memcpy(dst, l3 + (spec->ipv6 ? 24 : 16), spec->ipv6 ? 16 : 4);
		cr_expect_eq(s.family, spec->ipv6 ? 6 : 4, "%s", l->name);
		cr_expect_arr_eq(s.src, src, 16, "%s", l->name);
		cr_expect_arr_eq(s.dst, dst, 16, "%s", l->name);
		cr_expect_eq(s.sport, spec->to_phone ? 2000 : 51000, "%s", l->name);
		cr_expect_eq(s.dport, spec->to_phone ? 51000 : 2000, "%s", l->name);
		cr_expect_eq(s.seq, 0xfffffff0, "%s", l->name);
		cr_expect_eq(s.ack, 0x80000001, "%s", l->name);
		cr_expect_eq(s.window, 0x1234, "%s", l->name);
		cr_expect_eq(s.flags, KL_ACK | (spec->payload_len ? KL_PSH : 0), "%s", l->name);
		cr_expect_eq(s.ip_id, spec->ipv6 ? 0 : 0xbeef, "%s", l->name);
		cr_expect_eq(s.ttl, 57, "%s", l->name);
		cr_expect_eq(s.vlan, l->vlan, "%s: vlan %u", l->name, s.vlan);
		cr_expect_eq(s.ts_val, spec->ts_val, "%s", l->name);
		cr_expect_eq(s.ts_ecr, spec->ts_ecr, "%s", l->name);
		cr_expect_eq(s.payload_off, p.payload_off, "%s", l->name);
		cr_expect_eq(s.payload_len, spec->payload_len, "%s: %u bytes", l->name,
			     s.payload_len);
		cr_expect_not(s.asks_again, "%s", l->name);
		cr_expect_arr_eq(s.mac_dst, p.data, 6, "%s", l->name);
		cr_expect_arr_eq(s.mac_src, p.data + 6, 6, "%s", l->name);
	}
}

Test(parse, a_frame_cut_on_the_wire_is_malformed)
{
	for (int i = 0; i < LAYOUTS; i++) {
		struct kl_segment s;
		struct pkt p;

		build(&layouts[i], &p);
		for (__u32 n = 0; n < p.len; n++) {
			enum kl_parsed want = KL_MALFORMED;

			if (n < KL_ETH_LEN)
				want = KL_NOT_OURS;
			else if (n >= p.wire_end)
				want = KL_SEGMENT; /* only padding is missing */
			expect(parse(p.data, n, n, &s), want, layouts[i].name, n);
		}
	}
}

Test(parse, a_frame_in_pieces_is_not_linear)
{
	for (int i = 0; i < LAYOUTS; i++) {
		struct kl_segment s;
		struct pkt p;

		build(&layouts[i], &p);
		for (__u32 n = 0; n < p.len; n++) {
			bool has_headers = n >= p.l4_off + KL_TCP_LEN;

			expect(parse(p.data, n, p.len, &s),
			       has_headers ? KL_SEGMENT : KL_NOT_LINEAR, layouts[i].name, n);
			if (!has_headers)
				continue;
			cr_assert_eq(s.payload_len, layouts[i].spec.payload_len);
			cr_assert_eq(s.payload_off, p.payload_off);
		}
	}
}

/* ---- At first sight ---- */

Test(parse, a_glance_lets_pass_what_is_none_of_ours_and_nothing_else)
{
	static const struct {
		const char *name;
		struct pkt_spec spec;
		bool passes;
	} frames[] = {
		{ "RTP", { .proto = 17, .payload_len = 172 }, true },
		{ "RTP, tagged", { .proto = 17, .payload_len = 172, .tags = 1 }, true },
		{ "RTP, two tags", { .proto = 17, .payload_len = 172, .tags = 2 }, true },
		{ "RTP, IPv6", { .proto = 17, .payload_len = 172, .ipv6 = true }, true },
		{ "HTTPS", { .dport = 443, .payload_len = 1400 }, true },
		{ "HTTPS back", { .sport = 443, .dport = 40000, .payload_len = 1400 }, true },
		{ "HTTPS, two tags", { .dport = 443, .payload_len = 1400, .tags = 2 }, true },
		{ "HTTPS, IPv6", { .dport = 443, .payload_len = 1400, .ipv6 = true }, true },
		{ "too short to tell", { .proto = 17, .payload_len = 4 }, false },
		{ "options", { .dport = 443, .payload_len = 100, .ip_options = 4 }, false },
		{ "a fragment", { .payload_len = 100, .fragment_off = 576 }, false },
		{ "an extension header",
		  { .proto = 17, .payload_len = 100, .ipv6 = true, .exts = 1, .ext = { 60 } },
		  false },
		{ "SCCP", { .payload_len = 12 }, false },
		{ "SCCP back", { .payload_len = 12, .to_phone = true }, false },
		{ "SCCP, two tags", { .payload_len = 12, .tags = 2 }, false },
		{ "SCCP, IPv6", { .payload_len = 12, .ipv6 = true }, false },
		{ "SCCP, IPv6 back", { .payload_len = 12, .ipv6 = true, .to_phone = true }, false },
	};

	for (__u32 i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct pkt p;

		pkt_build(&frames[i].spec, &p);
		cr_expect_eq(kl_glance(p.data, p.data + p.len, &ports) == KL_GLANCE_PASS,
			     frames[i].passes, "%s", frames[i].name);
	}
}

/* Each port, at either end: nothing that is signalling passes, and nothing else is looked at. */
Test(parse, glance_at_each_port)
{
	struct pkt p;

	for (__u32 port = 1; port <= 65535; port++) {
		bool passes = !kl_port_is_signalling(&ports, (__u16)port);
		struct pkt_spec to = { .sport = 40000, .dport = (__u16)port, .payload_len = 12 };
		struct pkt_spec from = { .sport = (__u16)port, .dport = 40000, .payload_len = 12 };

		pkt_build(&to, &p);
		cr_assert_eq(kl_glance(p.data, p.data + p.len, &ports) == KL_GLANCE_PASS, passes,
			     "to %u", port);
		pkt_build(&from, &p);
		cr_assert_eq(kl_glance(p.data, p.data + p.len, &ports) == KL_GLANCE_PASS, passes,
			     "from %u", port);
	}
}

/* ---- Lengths that lie ---- */

Test(parse, ipv4_header_length)
{
	struct kl_segment s;
	struct pkt p;

	build(&layouts[0], &p);
	for (__u32 v = 0; v < 256; v++) {
		enum kl_parsed got;

		p.data[p.l3_off] = (__u8)v;
		got = parse(p.data, p.len, p.len, &s);
		if (v >> 4 != 4 || (v & 15) < 5)
			expect(got, KL_MALFORMED, "version and header length", v);
		else if (v == 0x45)
			expect(got, KL_SEGMENT, "version and header length", v);
		else /* the ports are then looked for where they are not */
			cr_assert(got == KL_NOT_OURS || got == KL_MALFORMED, "%#x: %s", v,
				  parsed_name[got]);
	}
}

Test(parse, ipv4_total_length)
{
	struct kl_segment s;
	struct pkt p;

	build(&layouts[0], &p);
	for (__u32 v = 0; v < 65536; v++) {
		p.data[p.l3_off + 2] = (__u8)(v >> 8);
		p.data[p.l3_off + 3] = (__u8)v;
		expect(parse(p.data, p.len, p.len, &s),
		       v < 40 || v > 52 ? KL_MALFORMED : KL_SEGMENT, "total length", v);
		if (v >= 40 && v <= 52)
			cr_assert_eq(s.payload_len, v - 40);
	}
}

Test(parse, ipv6_payload_length)
{
	struct layout l = { "", { .ipv6 = true, .payload_len = 12 }, 0 };
	struct kl_segment s;
	struct pkt p;

	build(&l, &p);
	for (__u32 v = 0; v < 65536; v++) {
		p.data[p.l3_off + 4] = (__u8)(v >> 8);
		p.data[p.l3_off + 5] = (__u8)v;
		expect(parse(p.data, p.len, p.len, &s),
		       v < 20 || v > 32 ? KL_MALFORMED : KL_SEGMENT, "payload length", v);
		if (v >= 20 && v <= 32)
			cr_assert_eq(s.payload_len, v - 20);
	}
}

Test(parse, ipv6_version)
{
	struct layout l = { "", { .ipv6 = true, .payload_len = 12 }, 0 };
	struct kl_segment s;
	struct pkt p;

	build(&l, &p);
	for (__u32 v = 0; v < 256; v++) {
		p.data[p.l3_off] = (__u8)v;
		expect(parse(p.data, p.len, p.len, &s), v >> 4 == 6 ? KL_SEGMENT : KL_MALFORMED,
		       "version", v);
	}
}

Test(parse, tcp_header_length)
{
	struct kl_segment s;
	struct pkt p;

	build(&layouts[0], &p);
	for (__u32 v = 0; v < 256; v++) {
		__u32 words = v >> 4;

		p.data[p.l4_off + 12] = (__u8)v;
		expect(parse(p.data, p.len, p.len, &s),
		       words < 5 || words > 8 ? KL_MALFORMED : KL_SEGMENT, "TCP header length", v);
		if (words >= 5 && words <= 8)
			cr_assert_eq(s.payload_len, 32 - words * 4);
	}
}

Test(parse, ipv6_extension_length)
{
	static const __u8 exts[] = { 0, 43, 51, 60 };

	for (__u32 i = 0; i < sizeof(exts); i++) {
		struct layout l = { "", { .ipv6 = true, .exts = 1, .ext = { exts[i] } }, 0 };
		struct kl_segment s;
		struct pkt p;
		__u8 right;

		l.spec.payload_len = 600;
		build(&l, &p);
		right = p.data[p.l3_off + 41];
		for (__u32 v = 0; v < 256; v++) {
			enum kl_parsed got;

			p.data[p.l3_off + 41] = (__u8)v;
			got = parse(p.data, p.len, p.len, &s);
			if (v == right)
				expect(got, KL_SEGMENT, "extension", v);
			else
				cr_assert(got == KL_NOT_OURS || got == KL_MALFORMED, "%u, %u: %s",
					  exts[i], v, parsed_name[got]);
		}
	}
}

/* ---- TCP options ---- */

/* What the receiver misses: a SACK block beyond its acknowledgement, where stacks put it. */
Test(parse, a_sack_block_asks_again)
{
	static const struct {
		const char *name;
		bool timestamps;
		__u8 option[24];
		__u32 option_len;
		bool want;
		bool duplicate; /* it says that it got something twice */
	} cases[] = {
		{ "none", false, { 0 }, 0, false },
		{ "a block beyond the acknowledgement",
		  false,
		  { 1, 1, 5, 10, 0x80, 0, 0, 13, 0x80, 0, 0, 25 },
		  12,
		  true },
		{ "behind timestamps",
		  true,
		  { 1, 1, 5, 10, 0x80, 0, 0, 13, 0x80, 0, 0, 25 },
		  12,
		  true },
		{ "two blocks",
		  true,
		  { 1, 1, 5, 18, 0x80, 0, 0, 50, 0x80, 0, 0, 62, 0x80, 0, 0, 13, 0x80, 0, 0, 25 },
		  20,
		  true },
		{ "a duplicate reported",
		  false,
		  { 1, 1, 5, 10, 0x7f, 0xff, 0xff, 0xf0, 0x80, 0, 0, 1 },
		  12,
		  false,
		  true },
		{ "a duplicate beyond what is missing",
		  true,
		  { 1, 1, 5, 18, 0x80, 0, 0, 50, 0x80, 0, 0, 62, 0x80, 0, 0, 50, 0x80, 0, 0, 74 },
		  20,
		  true,
		  true },
		{ "two blocks that overlap",
		  false,
		  { 1, 1, 5, 18, 0x80, 0, 0, 50, 0x80, 0, 0, 75, 0x80, 0, 0, 50, 0x80, 0, 0, 74 },
		  20,
		  true },
		{ "another option",
		  false,
		  { 1, 1, 8, 10, 0x80, 0, 0, 13, 0x80, 0, 0, 25 },
		  12,
		  false },
		{ "an option of 4 bytes", false, { 1, 1, 5, 2 }, 4, false },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct layout l = { cases[i].name, { .timestamps = cases[i].timestamps }, 0 };
		struct kl_segment s = { 0 };
		struct pkt p;

		l.spec.tcp_options = (__u8)cases[i].option_len;
		build(&l, &p); /* ack is 0x80000001 */
		memcpy(p.data + p.payload_off - cases[i].option_len, cases[i].option,
		       cases[i].option_len);
		for (__u32 n = p.l4_off + KL_TCP_LEN; n <= p.len; n++) {
			expect(parse(p.data, n, p.len, &s), KL_SEGMENT, l.name, n);
			cr_assert(!s.asks_again || cases[i].want, "%s", l.name);
		}
		cr_expect_eq(s.asks_again, cases[i].want, "%s", l.name);
		cr_expect_eq(s.duplicate_seen, cases[i].duplicate, "%s", l.name);
	}
}

/* ---- What is not TCP on a signalling port ---- */

Test(parse, other_protocols_are_not_ours)
{
	struct layout v6 = { "", { .ipv6 = true, .payload_len = 12 }, 0 };
	struct kl_segment s;
	struct pkt p, q;

	build(&layouts[0], &p);
	build(&v6, &q);
	for (__u32 v = 0; v < 256; v++) {
		enum kl_parsed got;

		p.data[p.l3_off + 9] = (__u8)v;
		expect(parse(p.data, p.len, p.len, &s), v == 6 ? KL_SEGMENT : KL_NOT_OURS,
		       "IPv4 protocol", v);
		q.data[q.l3_off + 6] = (__u8)v;
		got = parse(q.data, q.len, q.len, &s);
		if (kl_is_ipv6_ext((__u8)v)) /* then the TCP header is taken for one */
			cr_assert_neq(got, KL_SEGMENT, "IPv6 next header %u", v);
		else
			expect(got, v == 6 ? KL_SEGMENT : KL_NOT_OURS, "IPv6 next header", v);
	}
}

Test(parse, other_ethertypes_are_not_ours)
{
	struct kl_segment s;
	struct pkt p;

	build(&layouts[0], &p);
	for (__u32 v = 0; v < 65536; v++) {
		enum kl_parsed got, want = KL_NOT_OURS;

		p.data[12] = (__u8)(v >> 8);
		p.data[13] = (__u8)v;
		got = parse(p.data, p.len, p.len, &s);
		if (v == KL_ETHERTYPE_IPV4)
			want = KL_SEGMENT;
		else if (v == KL_ETHERTYPE_IPV6)
			want = KL_MALFORMED; /* the version says 4 */
		expect(got, want, "Ethertype", v);
	}
}

Test(parse, ports)
{
	static const struct {
		__u16 sport, dport;
		enum kl_parsed want;
	} cases[] = {
		{ 51000, 2000, KL_SEGMENT },   { 2000, 51000, KL_SEGMENT },
		{ 51000, 2443, KL_SEGMENT },   { 5060, 51000, KL_SEGMENT },
		{ 5061, 2000, KL_SEGMENT },    { 51000, 443, KL_NOT_OURS },
		{ 1999, 2001, KL_NOT_OURS },   { 5059, 5062, KL_NOT_OURS },
		{ 53255, 50195, KL_NOT_OURS }, /* 2000 and 5060 with the bytes swapped */
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct layout l = { "", { .payload_len = 12 }, 0 };
		struct kl_segment s;
		struct pkt p;

		l.spec.sport = cases[i].sport;
		l.spec.dport = cases[i].dport;
		build(&l, &p);
		expect(parse(p.data, p.len, p.len, &s), cases[i].want, "ports", i);
	}
}

Test(parse, three_tags_and_five_extensions_are_beyond_the_bounds)
{
	struct layout tags = { "", { .tags = 3, .tag = { 1, 2, 3 }, .payload_len = 12 }, 0 };
	struct layout exts = {
		"", { .ipv6 = true, .exts = 5, .ext = { 0, 60, 43, 60, 60 }, .payload_len = 12 }, 0
	};
	struct kl_segment s;
	struct pkt p;

	build(&tags, &p);
	expect(parse(p.data, p.len, p.len, &s), KL_NOT_OURS, "three tags", 0);
	build(&exts, &p);
	expect(parse(p.data, p.len, p.len, &s), KL_NOT_OURS, "five extensions", 0);
}

/* ---- Fragments ---- */

Test(parse, fragments)
{
	static const struct {
		const char *name;
		struct pkt_spec spec;
		enum kl_parsed want;
		__u8 family; /* 0: nothing is known of it */
	} cases[] = {
		{ "IPv4 first", { .more_fragments = true, .payload_len = 556 }, KL_FRAGMENT, 4 },
		{ "IPv4 middle",
		  { .more_fragments = true, .fragment_off = 576, .payload_len = 576 },
		  KL_FRAGMENT,
		  0 },
		{ "IPv4 last", { .fragment_off = 1152, .payload_len = 8 }, KL_FRAGMENT, 0 },
		{ "IPv4 last, one byte, padded",
		  { .fragment_off = 1152, .payload_len = 1, .pad_to = 60 },
		  KL_FRAGMENT,
		  0 },
		{ "IPv4 last possible",
		  { .fragment_off = 65528, .payload_len = 8 },
		  KL_FRAGMENT,
		  0 },
		{ "IPv4 first, tagged",
		  { .tags = 1, .tag = { 5 }, .more_fragments = true, .payload_len = 556 },
		  KL_FRAGMENT,
		  4 },
		{ "IPv4 first, another port",
		  { .more_fragments = true, .dport = 443, .payload_len = 556 },
		  KL_NOT_OURS,
		  0 },
		{ "IPv4 later, UDP",
		  { .proto = 17, .fragment_off = 576, .payload_len = 8 },
		  KL_NOT_OURS,
		  0 },
		{ "IPv6 first",
		  { .ipv6 = true,
		    .exts = 1,
		    .ext = { 44 },
		    .more_fragments = true,
		    .payload_len = 560 },
		  KL_FRAGMENT,
		  6 },
		{ "IPv6 later",
		  { .ipv6 = true,
		    .exts = 1,
		    .ext = { 44 },
		    .fragment_off = 560,
		    .payload_len = 560 },
		  KL_FRAGMENT,
		  0 },
		{ "IPv6 later, UDP",
		  { .ipv6 = true,
		    .exts = 1,
		    .ext = { 44 },
		    .proto = 17,
		    .fragment_off = 560,
		    .payload_len = 560 },
		  KL_NOT_OURS,
		  0 },
		{ "IPv6 first, behind hop-by-hop",
		  { .ipv6 = true,
		    .exts = 2,
		    .ext = { 0, 44 },
		    .more_fragments = true,
		    .payload_len = 560 },
		  KL_FRAGMENT,
		  6 },
		{ "IPv6 atomic",
		  { .ipv6 = true, .exts = 1, .ext = { 44 }, .payload_len = 12 },
		  KL_SEGMENT,
		  6 },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct layout l = { cases[i].name, cases[i].spec, 0 };
		struct kl_segment s;
		struct pkt p;

		build(&l, &p);
		expect(parse(p.data, p.len, p.len, &s), cases[i].want, l.name, 0);
		if (cases[i].want != KL_FRAGMENT)
			continue;
		cr_expect_eq(s.family, cases[i].family, "%s: family %u", l.name, s.family);
		if (!s.family)
			continue;
		cr_expect_eq(s.sport, PKT_PHONE_PORT, "%s", l.name);
		cr_expect_eq(s.dport, PKT_SCCP_PORT, "%s", l.name);
		cr_expect_eq(s.seq, 0xfffffff0, "%s", l.name);
		cr_expect_neq(s.src[0], 0, "%s", l.name);
		cr_expect_neq(s.dst[0], 0, "%s", l.name);
	}
}

Test(parse, a_fragment_cut_anywhere_is_never_a_segment)
{
	struct layout l[] = {
		{ "IPv4 first", { .more_fragments = true, .payload_len = 12 }, 0 },
		{ "IPv4 later", { .fragment_off = 576, .payload_len = 32 }, 0 },
		{ "IPv6 first",
		  { .ipv6 = true,
		    .exts = 1,
		    .ext = { 44 },
		    .more_fragments = true,
		    .payload_len = 12 },
		  0 },
		{ "IPv6 later",
		  { .ipv6 = true,
		    .exts = 1,
		    .ext = { 44 },
		    .fragment_off = 560,
		    .payload_len = 32 },
		  0 },
	};

	for (__u32 i = 0; i < sizeof(l) / sizeof(l[0]); i++) {
		struct kl_segment s;
		struct pkt p;

		build(&l[i], &p);
		for (__u32 n = KL_ETH_LEN; n < p.len; n++) {
			enum kl_parsed wire = parse(p.data, n, n, &s);
			enum kl_parsed linear = parse(p.data, n, p.len, &s);
			bool whole = n >=
				     (l[i].spec.fragment_off ? p.l4_off : p.l4_off + KL_TCP_LEN);

			cr_assert(wire == KL_MALFORMED || (whole && wire == KL_FRAGMENT),
				  "%s at %u: %s", l[i].name, n, parsed_name[wire]);
			expect(linear, whole ? KL_FRAGMENT : KL_NOT_LINEAR, l[i].name, n);
		}
	}
}

/* ---- What the kernel keeps beside the frame ---- */

Test(parse, vlan_beside_the_frame)
{
	static const struct {
		__u8 tags;
		__u16 beside, want;
	} cases[] = { { 0, 0, 0 }, { 0, 110, 110 }, { 1, 0, 5 }, { 1, 110, 110 }, { 2, 110, 110 } };

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct layout l = { "", { .tag = { 5, 6 }, .payload_len = 12 }, 0 };
		struct kl_frame f = { .vlan = cases[i].beside };
		struct kl_segment s;
		struct pkt p;

		l.spec.tags = cases[i].tags;
		build(&l, &p);
		f.data = guard_copy(0, p.data, p.len);
		f.end = (const __u8 *)f.data + p.len;
		f.wire_len = p.len;
		expect(kl_parse(&f, &ports, &s), KL_SEGMENT, "tags", i);
		cr_expect_eq(s.vlan, cases[i].want, "case %u: vlan %u", i, s.vlan);
		cr_expect_eq(s.payload_len, 12);
	}
}

Test(parse, an_aggregate_is_as_long_as_it_is)
{
	static const struct {
		const char *name;
		__u32 have, wire_len;
		__u16 total_length; /* as the header says */
		enum kl_parsed want;
		__u32 payload_len;
	} cases[] = {
		{ "all there", 2954, 2954, 2940, KL_SEGMENT, 2900 },
		{ "headers only are linear", 54, 30054, 30040, KL_SEGMENT, 30000 },
		{ "total length 0, as BIG TCP writes", 54, 100054, 0, KL_SEGMENT, 100000 },
		{ "total length of the first piece", 54, 2954, 1500, KL_SEGMENT, 2900 },
		{ "no payload", 54, 54, 40, KL_SEGMENT, 0 },
		{ "headers in pieces", 53, 2954, 2940, KL_NOT_LINEAR, 0 },
		{ "cut", 53, 53, 40, KL_MALFORMED, 0 },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct layout l = { cases[i].name, { .payload_len = 2900 }, 0 };
		struct kl_frame f = { .wire_len = cases[i].wire_len, .is_aggregate = true };
		struct kl_segment s;
		struct pkt p;

		build(&l, &p);
		p.data[16] = (__u8)(cases[i].total_length >> 8);
		p.data[17] = (__u8)cases[i].total_length;
		f.data = guard_copy(0, p.data, cases[i].have);
		f.end = (const __u8 *)f.data + cases[i].have;
		expect(kl_parse(&f, &ports, &s), cases[i].want, l.name, i);
		if (cases[i].want == KL_SEGMENT)
			cr_expect_eq(s.payload_len, cases[i].payload_len, "%s: %u", l.name,
				     s.payload_len);
	}
}

Test(parse, tcp_options_beyond_an_aggregate)
{
	struct layout l = { "", { .payload_len = 12 }, 0 };
	struct kl_frame f = { .is_aggregate = true };
	struct kl_segment s;
	struct pkt p;

	build(&l, &p);
	p.data[p.l4_off + 12] = 0xf0;
	f.data = guard_copy(0, p.data, p.len);
	f.end = (const __u8 *)f.data + p.len;
	f.wire_len = p.len;
	expect(kl_parse(&f, &ports, &s), KL_MALFORMED, "60 bytes of TCP header in 32", 0);
}

/* ---- Anything else ---- */

/* Whatever is in the frame: nothing is read outside it, and a segment lies within it. */
Test(parse, random_damage)
{
	__u32 seen[5] = { 0 };

	srand(20261122);
	for (int i = 0; i < 200000; i++) {
		struct kl_segment s;
		enum kl_parsed got;
		struct pkt p;
		__u32 len;

		build(&layouts[rand() % LAYOUTS], &p);
		for (int n = rand() % 4; n >= 0; n--)
			p.data[rand() % (p.payload_off + 1)] = (__u8)rand();
		len = rand() % 4 ? p.len : (__u32)rand() % (p.len + 1);
		got = parse(p.data, len, p.len, &s);
		cr_assert_leq(got, KL_NOT_LINEAR);
		seen[got]++;
		if (got == KL_SEGMENT) {
			cr_assert(s.family == 4 || s.family == 6);
			cr_assert_leq(s.payload_off + s.payload_len, p.len);
		}
	}
	for (int i = 0; i < 5; i++)
		cr_expect_gt(seen[i], 0, "%s never came", parsed_name[i]);
}
