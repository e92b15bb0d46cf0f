// SPDX-License-Identifier: GPL-2.0-only
/* segment.h: ports, the two ends of a connection, their hash, and what tells copies apart. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/packets.h"

static struct kl_ports ports;

static void setup(void)
{
	pkt_ports(&ports);
}

TestSuite(segment, .init = setup);

Test(segment, ports_and_services)
{
	static const struct {
		__u16 port;
		int service; /* -1: not a signalling port */
	} cases[] = {
		{ 2000, KL_SCCP }, { 2443, KL_SCCP_TLS }, { 5060, KL_SIP }, { 5061, KL_SIP_TLS },
		{ 0, -1 },	   { 1999, -1 },	  { 2001, -1 },	    { 2008, -1 },
		{ 5059, -1 },	   { 5062, -1 },	  { 65535, -1 },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u16 port = cases[i].port;

		cr_expect_eq(kl_port_is_signalling(&ports, port), cases[i].service >= 0, "%u",
			     port);
		if (cases[i].service >= 0)
			cr_expect_eq(kl_port_service(&ports, port), cases[i].service, "%u", port);
	}
}

Test(segment, every_port_by_itself)
{
	__u32 signalling = 0;

	for (__u32 port = 0; port < 65536; port++)
		signalling += kl_port_is_signalling(&ports, (__u16)port);
	cr_expect_eq(signalling, 4);
	/* All four services side by side in one byte. */
	memset(&ports, 0, sizeof(ports));
	ports.service[0] = KL_SCCP | KL_SCCP_TLS << 2 | KL_SIP << 4 | KL_SIP_TLS << 6;
	for (__u16 port = 0; port < 4; port++)
		cr_expect_eq(kl_port_service(&ports, port), port);
}

/* a and b: the last byte of the addresses 10.0.0.x. */
static struct kl_segment segment(__u8 a, __u16 sport, __u8 b, __u16 dport)
{
	struct kl_segment s = { .sport = sport, .dport = dport, .family = 4 };
	const __u8 src[4] = { 10, 0, 0, a }, dst[4] = { 10, 0, 0, b };

	memcpy(s.src, src, 4);
	memcpy(s.dst, dst, 4);
	return s;
}

static struct kl_segment reverse(const struct kl_segment *s)
{
	struct kl_segment r = *s;

	memcpy(r.src, s->dst, sizeof(r.src));
	memcpy(r.dst, s->src, sizeof(r.dst));
	r.sport = s->dport;
	r.dport = s->sport;
	return r;
}

Test(segment, orientation)
{
	static const struct {
		const char *name;
		__u8 a;
		__u16 sport;
		__u8 b;
		__u16 dport;
		__u32 direction;
		bool ambiguous;
	} cases[] = {
		{ "a phone's ephemeral port", 1, 51000, 2, 2000, KL_TO_CUCM, false },
		{ "a low port is no reason", 1, 100, 2, 5060, KL_TO_CUCM, false },
		{ "both signalling: the lower port", 1, 5060, 2, 2000, KL_TO_CUCM, true },
		{ "both signalling: the lower port sends", 1, 2443, 2, 5061, KL_TO_PHONE, true },
		{ "equal ports: the lower address", 2, 5060, 1, 5060, KL_TO_CUCM, true },
		{ "equal ports: the lower address sends", 1, 5060, 2, 5060, KL_TO_PHONE, true },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kl_segment s = segment(cases[i].a, cases[i].sport, cases[i].b,
					      cases[i].dport);
		struct kl_segment back = reverse(&s);
		bool ambiguous;

		cr_expect_eq(kl_orient(&ports, &s, &ambiguous), cases[i].direction, "%s",
			     cases[i].name);
		cr_expect_eq(ambiguous, cases[i].ambiguous, "%s", cases[i].name);
		cr_expect_eq(kl_orient(&ports, &back, &ambiguous), cases[i].direction ^ 1,
			     "%s, answered", cases[i].name);
		cr_expect_eq(ambiguous, cases[i].ambiguous, "%s, answered", cases[i].name);
	}
}

Test(segment, equal_ports_compare_addresses_as_numbers)
{
	/* 9.0.0.255 < 10.0.0.1, though not byte-swapped; and the words of IPv6 from the first on. */
	struct kl_segment s = { .sport = 2000, .dport = 2000, .family = 4 };
	bool ambiguous;

	memcpy(s.src, (const __u8[]){ 10, 0, 0, 1 }, 4);
	memcpy(s.dst, (const __u8[]){ 9, 0, 0, 255 }, 4);
	cr_expect_eq(kl_orient(&ports, &s, &ambiguous), KL_TO_CUCM);
	memset(s.src, 0, sizeof(s.src));
	memset(s.dst, 0, sizeof(s.dst));
	s.family = 6;
	s.src[1] = 2;
	s.dst[1] = 1;
	s.dst[3] = 0xffffffff;
	cr_expect_eq(kl_orient(&ports, &s, &ambiguous), KL_TO_CUCM);
	/* To itself: either way, but always the same. */
	memcpy(s.dst, s.src, sizeof(s.dst));
	cr_expect_eq(kl_orient(&ports, &s, &ambiguous), KL_TO_CUCM);
	cr_expect(ambiguous);
}

Test(segment, the_syn_tells_the_phone)
{
	struct kl_segment s = { .flags = KL_SYN };

	cr_expect_eq(kl_orient_by_syn(&s), KL_TO_CUCM);
	s.flags = KL_SYN | KL_ACK;
	cr_expect_eq(kl_orient_by_syn(&s), KL_TO_PHONE);
}

Test(segment, endpoints_and_hash_are_those_of_both_directions)
{
	static const struct {
		__u8 a;
		__u16 sport;
		__u8 b;
		__u16 dport;
		bool ipv6;
	} cases[] = {
		{ 1, 51000, 2, 2000, false }, { 1, 51000, 2, 2000, true },
		{ 1, 5060, 2, 5060, false },  { 2, 5060, 1, 5060, true },
		{ 9, 2443, 8, 5061, false },  { 255, 65535, 0, 2000, false },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kl_segment s = segment(cases[i].a, cases[i].sport, cases[i].b,
					      cases[i].dport);
		struct kl_endpoints there, back;
		struct kl_segment r;
		__u32 direction;
		bool ambiguous;

		if (cases[i].ipv6) {
			s.family = 6;
			s.src[3] = cases[i].a;
			s.dst[3] = cases[i].b;
		}
		r = reverse(&s);
		memset(&there, 0x55, sizeof(there));
		memset(&back, 0xaa, sizeof(back));
		direction = kl_orient(&ports, &s, &ambiguous);
		kl_endpoints_of(&s, direction, &there);
		kl_endpoints_of(&r, kl_orient(&ports, &r, &ambiguous), &back);
		cr_expect_arr_eq(&there, &back, sizeof(there), "case %u", i);
		cr_expect(kl_endpoints_equal(&there, &back));
		cr_expect_eq(kl_endpoints_hash(&there, 42), kl_endpoints_hash(&back, 42));
		cr_expect_eq(kl_cucm_hash(&there, 42), kl_cucm_hash(&back, 42));
		cr_expect_eq(there.phone_port, direction == KL_TO_CUCM ? s.sport : s.dport);
	}
}

Test(segment, every_part_of_the_ends_moves_the_hash)
{
	struct kl_endpoints e = { .phone_port = 51000, .cucm_port = 2000, .family = 6 };

	for (__u32 bit = 0; bit < (sizeof(e) - 4) * 8; bit++) {
		struct kl_endpoints other = e;
		bool is_phone = bit < 128 || (bit >= 256 && bit < 272);

		((__u8 *)&other)[bit / 8] ^= (__u8)(1 << bit % 8);
		cr_expect_not(kl_endpoints_equal(&e, &other), "bit %u", bit);
		cr_expect_neq(kl_endpoints_hash(&e, 7), kl_endpoints_hash(&other, 7), "bit %u",
			      bit);
		/* With --nat the phone's side of it does not count. */
		cr_expect_eq(kl_cucm_hash(&e, 7) == kl_cucm_hash(&other, 7), is_phone, "bit %u",
			     bit);
	}
	cr_expect_neq(kl_endpoints_hash(&e, 7), kl_endpoints_hash(&e, 8), "the seed");
	cr_expect_neq(kl_cucm_hash(&e, 7), kl_cucm_hash(&e, 8), "the seed");
	cr_expect_neq(kl_endpoints_hash(&e, 7), kl_cucm_hash(&e, 7));
}

static int by_value(const void *a, const void *b)
{
	const __u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

Test(segment, the_phones_of_a_site_do_not_collide)
{
	enum {
		PHONES = 50000,
		MASK = 16383
	};
	static __u64 hash[PHONES];
	static __u32 bucket[MASK + 1];
	__u32 fullest = 0;

	for (__u32 i = 0; i < PHONES; i++) {
		struct kl_endpoints e = { .cucm_port = 2000, .family = 4 };

		e.phone[0] = 0x0000000a | (i & 0xff) << 24 | (i >> 8) << 16;
		e.cucm[0] = 0xb66f6a0a;
		e.phone_port = (__u16)(50000 + i % 16);
		hash[i] = kl_endpoints_hash(&e, 0x9d2c5680);
		if (fullest < ++bucket[hash[i] & MASK])
			fullest = bucket[hash[i] & MASK];
	}
	qsort(hash, PHONES, sizeof(hash[0]), by_value);
	for (__u32 i = 1; i < PHONES; i++)
		cr_assert_neq(hash[i], hash[i - 1]);
	/* 3 in the mean; a Poisson tail reaches 13 or so. */
	cr_expect_leq(fullest, 18, "%u in one bucket", fullest);
}

Test(segment, stamps)
{
	struct kl_segment a = { .ip_id = 7, .ack = 1, .window = 2, .ts_val = 3, .ts_ecr = 4 },
			  b = a;

	b.ack = 99;
	cr_expect_eq(kl_stamp(&a), 7);
	cr_expect_eq(kl_stamp(&a), kl_stamp(&b), "with an IP ID nothing else counts");
	a.ip_id = b.ip_id = 0;
	cr_expect_neq(kl_stamp(&a), kl_stamp(&b), "ack");
	b = a;
	cr_expect_eq(kl_stamp(&a), kl_stamp(&b));
	b.window++;
	cr_expect_neq(kl_stamp(&a), kl_stamp(&b), "window");
	b = a;
	b.ts_val++;
	cr_expect_neq(kl_stamp(&a), kl_stamp(&b), "ts_val");
	b = a;
	b.ts_ecr++;
	cr_expect_neq(kl_stamp(&a), kl_stamp(&b), "ts_ecr");
	/* What stands in for an ID is none: no ID is that large, and none is zero. */
	cr_expect_gt(kl_stamp(&a), 0xffff);
	cr_expect_gt(kl_stamp(&(struct kl_segment){ 0 }), 0xffff);
}

Test(segment, kinds)
{
	static const struct {
		__u32 kind;
		bool keepalive, answer, joined;
	} cases[] = {
		{ KL_OTHER, false, false, false },
		{ KL_SCCP_KEEPALIVE, true, false, true },
		{ KL_SCCP_KEEPALIVE_ACK, false, true, true },
		{ KL_SCCP_OTHER, false, false, false },
		{ KL_SIP_REGISTER, true, false, true },
		{ KL_SIP_REGISTER_BACKUP, true, false, true },
		{ KL_SIP_RESPONSE, false, true, true },
		{ KL_SIP_OPTIONS, true, false, true },
		{ KL_SIP_OTHER, false, false, false },
		{ KL_CRLF_PING, true, false, true },
		{ KL_CRLF_PONG, false, true, true },
		{ KL_TCP_PROBE, true, false, true },
		{ KL_TCP_PROBE_ACK, false, true, true },
		{ KL_TLS_RECORD, false, false, true },
	};

	cr_assert_eq(sizeof(cases) / sizeof(cases[0]), KL_KINDS);
	for (__u32 i = 0; i < KL_KINDS; i++) {
		cr_expect_eq(cases[i].kind, i);
		cr_expect_eq(kl_kind_is_keepalive(i), cases[i].keepalive, "kind %u", i);
		cr_expect_eq(kl_kind_is_answer(i), cases[i].answer, "kind %u", i);
		cr_expect_eq(kl_kind_is_joined(i), cases[i].joined, "kind %u", i);
	}
}

Test(segment, near_is_the_side_of_the_sender)
{
	cr_expect(kl_is_near(KL_ACCESS, KL_TO_CUCM));
	cr_expect(kl_is_near(KL_CUCM, KL_TO_PHONE));
	cr_expect_not(kl_is_near(KL_ACCESS, KL_TO_PHONE));
	cr_expect_not(kl_is_near(KL_CUCM, KL_TO_CUCM));
}

Test(segment, sequence_numbers_go_round)
{
	static const struct {
		__u32 a, b;
		bool before;
	} cases[] = {
		{ 0, 0, false },
		{ 0, 1, true },
		{ 1, 0, false },
		{ 0xffffffff, 0, true },
		{ 0, 0xffffffff, false },
		{ 0, 0x7fffffff, true },
		{ 0xfffffff0, 0x7fffffe0, true },
		{ 0x7fffffff, 0xfffffffe, true },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(kl_seq_before(cases[i].a, cases[i].b), cases[i].before, "%#x, %#x",
			     cases[i].a, cases[i].b);
}

Test(segment, loads_from_any_alignment)
{
	const __u8 bytes[] = { 0xff, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0xff };

	cr_expect_eq(kl_be16(bytes + 1), 0x8182);
	cr_expect_eq(kl_be32(bytes + 1), 0x81828384);
	cr_expect_eq(kl_le32(bytes + 1), 0x84838281);
	cr_expect_eq(kl_le64(bytes + 1), 0x8887868584838281ULL);
}
