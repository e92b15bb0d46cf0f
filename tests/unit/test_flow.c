// SPDX-License-Identifier: GPL-2.0-only
/*
 * flow.h: what the next segment of a connection is. Each case is a list of sightings with the kind
 * that each must get; they are fed as a hook does it.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <kaloss/flow.h>

/* ---- Feeding ---- */

static struct kl_conn conn;
static __u64 clock_ns;
static __u32 epoch;

static void setup(void)
{
	memset(&conn, 0, sizeof(conn));
	clock_ns = 1000;
	epoch = 1;
}

TestSuite(flow, .init = setup);

struct sight {
	char side;	/* 'a'ccess or 'c'ucm */
	char direction; /* '>' to the CUCM, '<' to the phone */
	__u32 seq;
	__u32 len;
	__u32 ack;
	__u8 flags; /* 0: ACK */
	__u32 kind; /* that it must get */
	bool asks_again;
	__u16 id;
	__u8 ttl;
};

static __u32 see(const struct sight *t)
{
	struct kl_sighting at = {
		.side = t->side == 'a' ? KL_ACCESS : KL_CUCM,
		.direction = t->direction == '>' ? KL_TO_CUCM : KL_TO_PHONE,
		.now = clock_ns += 1000,
		.epoch = epoch,
	};
	struct kl_segment s = {
		.seq = t->seq,
		.ack = t->ack,
		.payload_len = t->len,
		.flags = t->flags ? t->flags : KL_ACK,
		.asks_again = t->asks_again,
		.family = 4,
		.ip_id = t->id,
		.ttl = t->ttl,
	};
	__u32 kind = KL_OTHER;

	if (s.flags & KL_SYN)
		kl_conn_see_syn(&conn, &at, &s);
	if (s.payload_len <= 1)
		kind = kl_flow_bare_kind(&conn, &at, &s);
	kl_flow_see(&conn, &at, &s);
	return kind;
}

#define SEE(...) see(&(const struct sight){ __VA_ARGS__ })

static const struct kl_flow *flow(char direction)
{
	return &conn.flow[direction == '>' ? KL_TO_CUCM : KL_TO_PHONE];
}

/* ---- Probes ---- */

enum {
	STEPS = 12
};

static const struct {
	const char *name;
	struct sight step[STEPS]; /* up to the first without a side */
} probe_cases[] = {
	{ "a probe and its answer",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '<', 500, 0, 112 },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 0, 112, 0, KL_TCP_PROBE_ACK } } },
	{ "a probe with a byte",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '>', 111, 1, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 0, 112, 0, KL_TCP_PROBE_ACK } } },
	{ "the other end probes",
	  { { 'c', '<', 500, 12, 100 },
	    { 'c', '<', 511, 0, 100, 0, KL_TCP_PROBE },
	    { 'c', '>', 100, 0, 512, 0, KL_TCP_PROBE_ACK } } },
	{ "repeated with the same number",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '>', 111, 1, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 0, 112, 0, KL_TCP_PROBE_ACK },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE } } },
	{ "one answer to a probe, then it is a bare ACK",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 0, 112, 0, KL_TCP_PROBE_ACK },
	    { 'a', '<', 500, 0, 112, 0, KL_OTHER } } },
	{ "a bare ACK is no probe",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '>', 112, 0, 512, 0, KL_OTHER },
	    { 'a', '>', 112, 0, 512, 0, KL_OTHER } } },
	{ "an ACK without a probe is no answer",
	  { { 'a', '>', 100, 12, 500 }, { 'a', '<', 500, 0, 112, 0, KL_OTHER } } },
	{ "an ACK of something else is no answer",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 0, 100, 0, KL_OTHER },
	    { 'a', '<', 500, 0, 112, 0, KL_TCP_PROBE_ACK } } },
	{ "data is no answer",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 1, 112, 0, KL_OTHER } } },
	{ "a FIN, RST or SYN is neither",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '>', 111, 0, 500, KL_FIN | KL_ACK, KL_OTHER },
	    { 'a', '>', 111, 0, 500, KL_RST | KL_ACK, KL_OTHER },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 0, 112, KL_RST | KL_ACK, KL_OTHER },
	    { 'a', '<', 500, 0, 112, KL_FIN | KL_ACK, KL_OTHER },
	    { 'a', '<', 501, 0, 112, 0, KL_TCP_PROBE_ACK } } },
	{ "one byte that is new is no probe",
	  { { 'a', '>', 100, 12, 500 }, { 'a', '>', 112, 1, 500, 0, KL_OTHER } } },
	{ "one byte that is old is no probe",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '>', 110, 1, 500, 0, KL_OTHER },
	    { 'a', '>', 110, 0, 500, 0, KL_OTHER } } },
	{ "the handshake has none",
	  { { 'a', '>', 99, 0, 0, KL_SYN, KL_OTHER },
	    { 'a', '<', 499, 0, 100, KL_SYN | KL_ACK, KL_OTHER },
	    { 'a', '>', 100, 0, 500, 0, KL_OTHER },
	    { 'a', '>', 99, 0, 500, 0, KL_TCP_PROBE } } },
	{ "the SYN again is none",
	  { { 'a', '>', 99, 0, 0, KL_SYN, KL_OTHER }, { 'a', '>', 99, 0, 0, KL_SYN, KL_OTHER } } },
	{ "each side by itself",
	  { { 'a', '>', 100, 12, 500 },
	    { 'c', '>', 100, 12, 500 },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'c', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'c', '<', 500, 0, 112, 0, KL_TCP_PROBE_ACK },
	    { 'a', '<', 500, 0, 112, 0, KL_TCP_PROBE_ACK } } },
	{ "a lost probe is not waited for on the far side",
	  { { 'a', '>', 100, 12, 500 },
	    { 'c', '>', 100, 12, 500 },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'c', '<', 500, 0, 112, 0, KL_OTHER } } },
	{ "joined midway: the first probe cannot be known, the next one can",
	  { { 'a', '>', 111, 0, 500, 0, KL_OTHER },
	    { 'a', '<', 500, 0, 112, 0, KL_OTHER },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 0, 112, 0, KL_TCP_PROBE_ACK } } },
	{ "joined midway with a bare ACK",
	  { { 'a', '>', 112, 0, 500, 0, KL_OTHER }, { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE } } },
	{ "joined midway with the answer: its sender is not known by it",
	  { { 'a', '<', 500, 0, 112, 0, KL_OTHER }, { 'a', '>', 111, 0, 500, 0, KL_OTHER } } },
	{ "the numbers go round",
	  { { 'a', '>', 0xfffffff8, 8, 500 },
	    { 'a', '<', 500, 0, 0 },
	    { 'a', '>', 0xffffffff, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 0, 0, 0, KL_TCP_PROBE_ACK },
	    { 'a', '>', 0, 12, 500 },
	    { 'a', '>', 11, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '<', 500, 0, 12, 0, KL_TCP_PROBE_ACK } } },
	{ "the numbers go round within a segment",
	  { { 'a', '>', 0xfffffffa, 12, 500 },
	    { 'a', '>', 5, 1, 500, 0, KL_TCP_PROBE },
	    { 'a', '>', 0xfffffffa, 12, 500 },
	    { 'a', '>', 5, 1, 500, 0, KL_TCP_PROBE } } },
	{ "a new connection forgets the probes of the old one",
	  { { 'a', '>', 100, 12, 500 },
	    { 'a', '>', 111, 0, 500, 0, KL_TCP_PROBE },
	    { 'a', '>', 7000, 0, 0, KL_SYN, KL_OTHER },
	    { 'a', '<', 500, 0, 112, 0, KL_OTHER },
	    { 'a', '>', 111, 0, 500, 0, KL_OTHER } } },
};

Test(flow, probes)
{
	for (__u32 i = 0; i < sizeof(probe_cases) / sizeof(probe_cases[0]); i++) {
		setup();
		for (__u32 n = 0; n < STEPS && probe_cases[i].step[n].side; n++) {
			__u32 kind = see(&probe_cases[i].step[n]);

			cr_expect_eq(kind, probe_cases[i].step[n].kind, "%s, step %u: kind %u",
				     probe_cases[i].name, n, kind);
		}
	}
}

Test(flow, an_answer_leaves_its_time)
{
	SEE('a', '>', 100, 12, 500);
	SEE('a', '>', 111, 0, 500);
	cr_expect_eq(flow('>')->answered_ns, 0);
	SEE('a', '<', 500, 0, 112);
	cr_expect_eq(flow('>')->answered_ns, clock_ns);
	cr_expect_eq(flow('<')->answered_ns, 0);
}

/* ---- Ends and acknowledgements ---- */

Test(flow, the_end_only_rises)
{
	static const struct {
		struct sight t;
		__u32 end;
	} steps[] = {
		{ { 'a', '>', 0xffffff00, 100, 1 }, 0xffffff64 },
		{ { 'a', '>', 0xffffff00, 50, 1 }, 0xffffff64 },
		{ { 'a', '>', 0xffffff64, 0xa0, 1 }, 4 },
		{ { 'a', '>', 0xffffff64, 10, 1 }, 4 },
		{ { 'a', '>', 4, 0, 1, KL_FIN | KL_ACK }, 5 },
		{ { 'a', '>', 900, 0, 1, KL_RST }, 5 }, /* a reset's number proves nothing */
	};

	for (__u32 i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		see(&steps[i].t);
		cr_expect_eq(flow('>')->end[KL_ACCESS], steps[i].end, "step %u: %#x", i,
			     flow('>')->end[KL_ACCESS]);
		cr_expect_eq(flow('>')->flags & (KL_FLOW_END_ACCESS | KL_FLOW_END_CUCM),
			     KL_FLOW_END_ACCESS);
	}
}

Test(flow, acknowledgements)
{
	SEE('c', '<', 500, 0, 0xfffffff0);
	cr_expect(flow('>')->flags & KL_FLOW_ACKED);
	cr_expect_not(flow('<')->flags & KL_FLOW_ACKED);
	cr_expect_eq(flow('>')->acked, 0xfffffff0);
	SEE('c', '<', 500, 0, 0x10);
	cr_expect_eq(flow('>')->acked, 0x10, "it goes round");
	SEE('c', '<', 500, 0, 0xfffffff8);
	cr_expect_eq(flow('>')->acked, 0x10, "an old one changes nothing");
	SEE('c', '<', 500, 0, 0x20, KL_RST);
	cr_expect_eq(flow('>')->acked, 0x10, "without the flag the field is none");
}

Test(flow, what_the_receiver_misses)
{
	__u64 asked;

	SEE('c', '<', 500, 0, 100);
	cr_expect_eq(flow('>')->hole_ns, 0);
	SEE('c', '<', 500, 0, 100, .asks_again = true);
	asked = clock_ns;
	cr_expect_eq(conn.hole_seq[KL_TO_CUCM], 100);
	cr_expect_eq(flow('>')->hole_ns, asked);
	cr_expect_eq(flow('<')->hole_ns, 0);
	SEE('c', '<', 500, 0, 124);
	cr_expect_eq(conn.hole_seq[KL_TO_CUCM], 100);
	cr_expect_eq(flow('>')->hole_ns, asked);
}

/* What a sender may owe an acknowledgement for, when it speaks. */
Test(flow, owed)
{
	SEE('c', '<', 500, 12, 100);
	SEE('a', '<', 500, 12, 100);
	SEE('a', '<', 512, 0, 100);
	SEE('a', '<', 512, 12, 100);
	clock_ns += 9000;
	SEE('a', '>', 100, 12, 524);
	cr_expect_eq(flow('>')->owed, 2, "a bare acknowledgement asks for none");
	cr_expect_eq(flow('>')->owed_us, 10);
	cr_expect_not(flow('>')->note & KL_NOTE_QUIET);
	SEE('a', '>', 112, 12, 524);
	cr_expect_eq(flow('>')->owed, 0);
	cr_expect_eq(flow('>')->owed_us, 0);
	cr_expect(flow('>')->note & KL_NOTE_QUIET);
}

Test(flow, numbers_left_out_and_numbers_that_come_late)
{
	SEE('a', '>', 100, 12, 500, .id = 0xfffe);
	SEE('a', '>', 112, 12, 500, .id = 0xffff);
	cr_expect_eq(flow('>')->id_step, 0);
	SEE('a', '>', 136, 12, 500, .id = 2);
	cr_expect_eq(flow('>')->id_step, 2);
	cr_expect_eq(flow('>')->id_missed, 2);
	SEE('a', '>', 124, 12, 500, .id = 1);
	cr_expect_eq(flow('>')->id_step, KL_ID_LATE);
	cr_expect_eq(flow('>')->id_missed, 1);
	SEE('a', '>', 148, 12, 500, .id = 3);
	cr_expect_eq(flow('>')->id_step, 0);
	SEE('a', '>', 160, 12, 500, .id = 30000);
	cr_expect_eq(flow('>')->id_step, 0, "numbered in another way");
	cr_expect_eq(flow('>')->id_steps, 0);
}

Test(flow, sequence_space)
{
	cr_expect_eq(kl_seq_len(12, KL_ACK), 12);
	cr_expect_eq(kl_seq_len(0, KL_SYN), 1);
	cr_expect_eq(kl_seq_len(12, KL_FIN | KL_ACK), 13);
	cr_expect_eq(kl_seq_len(0, KL_SYN | KL_FIN), 2);
}

/* ---- SYN ---- */

Test(flow, a_new_syn_forgets_everything)
{
	SEE('a', '>', 99, 0, 0, KL_SYN);
	SEE('c', '>', 99, 0, 0, KL_SYN);
	SEE('c', '<', 499, 0, 100, KL_SYN | KL_ACK);
	SEE('a', '<', 499, 0, 100, KL_SYN | KL_ACK);
	SEE('a', '>', 100, 12, 500);
	conn.flags |= KL_CONN_NAMED | KL_CONN_ACCESS;
	cr_expect(kl_flow_is_proven(flow('>'), 1));
	cr_expect(kl_flow_is_proven(flow('<'), 1));
	cr_expect_eq(flow('>')->isn, 99);
	cr_expect_eq(flow('<')->isn, 499);
	cr_expect(conn.flags & KL_CONN_SYN);

	SEE('a', '>', 7000, 0, 0, KL_SYN);
	cr_expect_not(kl_flow_is_proven(flow('>'), 1));
	cr_expect_not(kl_flow_is_proven(flow('<'), 1));
	cr_expect_eq(flow('>')->end[KL_ACCESS], 7001);
	cr_expect_not(flow('>')->flags & KL_FLOW_END_CUCM);
	cr_expect_eq(flow('<')->flags, 0);
	cr_expect_eq(conn.created_ns, clock_ns);
	cr_expect_eq(conn.flags, KL_CONN_SYN | KL_CONN_ACCESS, "the device is to be named again");
}

Test(flow, the_same_syn_again_forgets_nothing)
{
	__u64 created;

	SEE('a', '>', 99, 0, 0, KL_SYN);
	created = conn.created_ns;
	SEE('a', '>', 99, 0, 0, KL_SYN);
	SEE('c', '>', 99, 0, 0, KL_SYN);
	SEE('c', '<', 499, 0, 100, KL_SYN | KL_ACK);
	SEE('a', '>', 99, 0, 0, KL_SYN);
	cr_expect_eq(conn.created_ns, created);
	cr_expect(kl_flow_is_proven(flow('>'), 1));
	cr_expect(flow('<')->flags & KL_FLOW_ISN);
}

Test(flow, a_syn_ack_forgets_nothing)
{
	SEE('a', '>', 99, 0, 0, KL_SYN);
	SEE('a', '<', 499, 0, 100, KL_SYN | KL_ACK);
	cr_expect_eq(flow('>')->isn, 99);
	SEE('a', '<', 900, 0, 100, KL_SYN | KL_ACK);
	cr_expect_eq(flow('>')->isn, 99);
	cr_expect_eq(flow('<')->isn, 900);
}

/* ---- Proof ---- */

Test(flow, the_sides_agree)
{
	SEE('a', '>', 100, 12, 500);
	cr_expect_not(kl_flow_is_proven(flow('>'), 1));
	SEE('c', '>', 100, 12, 500);
	cr_expect(kl_flow_is_proven(flow('>'), 1));
	cr_expect_eq(flow('>')->proven_ns, clock_ns);
	cr_expect_eq(flow('>')->far_ns, clock_ns);
	cr_expect_not(kl_flow_is_proven(flow('<'), 1), "each direction by itself");
	SEE('c', '<', 500, 0, 112);
	cr_expect_not(kl_flow_is_proven(flow('<'), 1));
	SEE('a', '<', 500, 0, 112);
	cr_expect(kl_flow_is_proven(flow('<'), 1), "a bare ACK proves as well");
}

Test(flow, the_proof_keeps_its_time)
{
	__u64 proven;

	SEE('a', '>', 100, 12, 500);
	SEE('c', '>', 100, 12, 500);
	proven = flow('>')->proven_ns;
	SEE('a', '>', 112, 12, 500);
	SEE('c', '>', 112, 12, 500);
	cr_expect_eq(flow('>')->proven_ns, proven);
	cr_expect_eq(flow('>')->far_ns, clock_ns);
}

Test(flow, sequence_number_zero_proves_nothing_by_itself)
{
	SEE('c', '>', 0, 12, 500);
	cr_expect_not(kl_flow_is_proven(flow('>'), 1), "nothing was seen at the other side yet");
	SEE('a', '>', 0, 12, 500);
	cr_expect(kl_flow_is_proven(flow('>'), 1));
}

/* A firewall that shifts the numbers: the sides never agree, whatever passes. */
Test(flow, shifted_numbers_are_no_proof)
{
	const __u32 shift = 0x5eed1234;

	for (__u32 seq = 100; seq < 100 + 12 * 1000; seq += 12) {
		SEE('a', '>', seq, 12, 500);
		SEE('c', '>', seq + shift, 12, 500);
		SEE('c', '<', 500, 0, seq + shift + 12);
		SEE('a', '<', 500 + shift, 0, seq + 12);
	}
	cr_expect_not(kl_flow_is_proven(flow('>'), 1));
	cr_expect_not(kl_flow_is_proven(flow('<'), 1));
	cr_expect(kl_flow_is_seen(flow('>'), KL_ACCESS) && kl_flow_is_seen(flow('>'), KL_CUCM));
	cr_expect_eq(flow('>')->proven_ns, 0);
}

Test(flow, one_side_alone_is_no_proof)
{
	for (__u32 seq = 100; seq < 500; seq += 12) {
		SEE('a', '>', seq, 12, 500);
		SEE('a', '<', 500, 0, seq + 12);
	}
	cr_expect_not(kl_flow_is_proven(flow('>'), 1));
	cr_expect_not(kl_flow_is_seen(flow('>'), KL_CUCM));
	cr_expect_eq(flow('>')->far_ns, 0);
}

Test(flow, a_new_epoch_asks_for_a_new_proof)
{
	__u64 first;

	SEE('a', '>', 100, 12, 500);
	SEE('c', '>', 100, 12, 500);
	first = flow('>')->proven_ns;
	epoch = 2;
	cr_expect_not(kl_flow_is_proven(flow('>'), epoch));
	cr_expect_neq(flow('>')->proven_ns, 0, "that it was proven once is not forgotten");
	SEE('a', '>', 112, 12, 500);
	cr_expect_not(kl_flow_is_proven(flow('>'), epoch));
	SEE('c', '>', 112, 12, 500);
	cr_expect(kl_flow_is_proven(flow('>'), epoch));
	cr_expect_gt(flow('>')->proven_ns, first);
}

/* ---- The rest of the state ---- */

Test(flow, closing)
{
	SEE('a', '>', 100, 12, 500);
	cr_expect_eq(flow('>')->closing, 0);
	SEE('a', '>', 112, 0, 500, KL_FIN | KL_ACK);
	cr_expect_eq(flow('>')->closing, KL_FIN);
	cr_expect_eq(flow('<')->closing, 0);
	SEE('a', '<', 500, 0, 113, KL_RST | KL_ACK);
	cr_expect_eq(flow('<')->closing, KL_RST);
	cr_expect_eq(conn.seen_ns, clock_ns);
}

/* Each side has its own, for there are routers between; who ends it may be somebody else. */
Test(flow, the_usual_ttl)
{
	SEE('a', '>', 100, 12, 500, .ttl = 64);
	SEE('c', '>', 100, 12, 500, .ttl = 63);
	cr_expect_eq(flow('>')->ttl[KL_ACCESS], 64);
	cr_expect_eq(flow('>')->ttl[KL_CUCM], 63);
	SEE('c', '<', 500, 0, 112, .ttl = 60);
	SEE('c', '<', 500, 0, 112, KL_RST, .ttl = 255);
	SEE('c', '<', 500, 0, 112, KL_FIN | KL_ACK, .ttl = 254);
	cr_expect_eq(flow('<')->ttl[KL_CUCM], 60);
	cr_expect_eq(flow('<')->ttl[KL_ACCESS], 0);
}

Test(flow, ends_of_a_swapped_connection)
{
	struct kl_endpoints ends;

	memset(&ends, 0xff, sizeof(ends));
	conn.ends = (struct kl_endpoints){ .phone = { 1, 2, 3, 4 },
					   .cucm = { 5, 6, 7, 8 },
					   .phone_port = 5060,
					   .cucm_port = 2000,
					   .family = 6 };
	kl_conn_ends(&conn, &ends);
	cr_expect(kl_endpoints_equal(&ends, &conn.ends));
	conn.flags = KL_CONN_SWAPPED;
	kl_conn_ends(&conn, &ends);
	cr_expect_eq(ends.phone[0], 5);
	cr_expect_eq(ends.cucm[3], 4);
	cr_expect_eq(ends.phone_port, 2000);
	cr_expect_eq(ends.cucm_port, 5060);
	cr_expect_eq(ends.family, 6);
	cr_expect_eq(ends.pad[0] | ends.pad[1] | ends.pad[2], 0);
}
