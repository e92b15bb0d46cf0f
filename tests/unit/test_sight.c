// SPDX-License-Identifier: GPL-2.0-only
/* Messages over several segments, several in one, and segments that a capture has cut. */
#include <criterion/criterion.h>
#include <string.h>

#include "../packets/packets.h"
#include "core/sight.h"
#include "source/capture_link.h"

static struct kl_ports ports;
static struct kl_sighter *sighter;
static uint64_t now_ns;

static void setup(void)
{
	const struct kl_sighter_config config = { .side = KL_ACCESS, .seed = 7, .ports = &ports };

	pkt_ports(&ports);
	now_ns = 1;
	cr_assert_eq(kl_sighter_new(&config, &sighter), 0);
}

static void teardown(void)
{
	kl_sighter_free(sighter);
}

/* Bytes from `from` to `to` of a message, at their place in the stream; have: of them. */
static struct kl_sight see_cut(bool to_phone, __u16 port, const struct pkt_payload *p,
			       uint32_t from, uint32_t to, uint32_t have)
{
	const struct pkt_spec spec = { .to_phone = to_phone,
				       .sport = to_phone ? port : 0,
				       .dport = to_phone ? 0 : port,
				       .seq = 1000 + from,
				       .ack = 5000,
				       .payload = p->data + from,
				       .payload_len = to - from };
	struct kl_sight_input in = { .time_ns = now_ns++, .have = have };
	struct kl_segment segment;
	struct kl_sight sight;
	struct kl_packet packet;
	struct pkt pkt;
	__u32 off;

	pkt_build(&spec, &pkt);
	packet = (struct kl_packet){ pkt.data, pkt.len, pkt.len };
	cr_assert_eq(kl_framing_parse(KL_FRAMING_ETHERNET, &packet, &ports, &segment, &off),
		     KL_SEGMENT);
	in.segment = &segment;
	in.payload = pkt.data + pkt.payload_off;
	cr_assert_eq(kl_sighter_see(sighter, &in, &sight), 0);
	return sight;
}

static struct kl_sight see(bool to_phone, __u16 port, const struct pkt_payload *p, uint32_t from,
			   uint32_t to)
{
	return see_cut(to_phone, port, p, from, to, to - from);
}

TestSuite(sight, .init = setup, .fini = teardown);

Test(sight, a_register_split_anywhere_tells_the_device)
{
	struct pkt_payload p = { 0 };
	const struct pkt_register r = { .expires = "3600", .length = 890 };
	uint32_t contact;
	const char *at;

	pkt_sip_register(&p, &r);
	at = memmem(p.data, p.len, "SEPE0D1730A8137", 15);
	cr_assert_not_null(at);
	contact = (uint32_t)(at - (const char *)p.data);
	for (uint32_t cut = 20; cut < p.len; cut++) {
		struct kl_sight one = see(false, PKT_SIP_PORT, &p, 0, cut);
		struct kl_sight two = see(false, PKT_SIP_PORT, &p, cut, p.len);
		bool early = one.message.device[0] != 0;

		cr_assert_eq(one.sighted.kind, KL_SIP_REGISTER, "cut at %u: kind %u", cut,
			     one.sighted.kind);
		cr_assert_eq(early, cut >= contact + 16, "cut at %u, name at %u: %s", cut, contact,
			     one.message.device);
		cr_assert(early || !strcmp(two.message.device, "SEPE0D1730A8137"), "cut at %u: %s",
			  cut, two.message.device);
		teardown();
		setup();
	}
}

Test(sight, a_piece_sent_again_is_read_once)
{
	struct pkt_payload p = { 0 };
	const struct pkt_register r = { .expires = "3600", .length = 890 };
	struct kl_sight s;

	pkt_sip_register(&p, &r);
	see(false, PKT_SIP_PORT, &p, 0, 100);
	see(false, PKT_SIP_PORT, &p, 0, 100);
	see(false, PKT_SIP_PORT, &p, 100, 300);
	see(false, PKT_SIP_PORT, &p, 100, 300);
	s = see(false, PKT_SIP_PORT, &p, 300, p.len);
	cr_assert_str_eq(s.message.device, "SEPE0D1730A8137");
	/* A hole: what follows is of no message that is known. */
	teardown();
	setup();
	see(false, PKT_SIP_PORT, &p, 0, 100);
	s = see(false, PKT_SIP_PORT, &p, 300, p.len);
	cr_assert_eq(s.message.device[0], 0);
}

Test(sight, a_split_answer_tells_its_expires)
{
	struct pkt_payload p = { 0 };

	pkt_sip_response(&p, "200 OK", "REGISTER", "120", 637);
	for (uint32_t cut = 60; cut < p.len - 4; cut++) {
		struct kl_sight one = see(true, PKT_SIP_PORT, &p, 0, cut);
		struct kl_sight two = see(true, PKT_SIP_PORT, &p, cut, p.len);

		cr_assert(one.message.expires_s == 120 || two.message.expires_s == 120,
			  "cut at %u: %u, %u", cut, one.message.expires_s, two.message.expires_s);
		teardown();
		setup();
	}
}

Test(sight, sccp_messages_split_and_together)
{
	struct pkt_payload p = { 0 };
	uint32_t first, end;
	struct kl_sight s;

	pkt_sccp_register(&p, "SEP0024142DDF24");
	first = p.len;
	pkt_sccp_keepalive(&p);
	end = p.len;
	pkt_sccp_keepalive(&p);
	for (uint32_t cut = 12; cut < first; cut++) {
		s = see(false, PKT_SCCP_PORT, &p, 0, cut);
		cr_assert_eq(s.sighted.kind, KL_SCCP_OTHER, "cut at %u: kind %u", cut,
			     s.sighted.kind);
		/* The rest of it, and a KeepAlive behind. */
		s = see(false, PKT_SCCP_PORT, &p, cut, end);
		cr_assert_eq(s.sighted.kind, KL_SCCP_KEEPALIVE, "cut at %u: kind %u", cut,
			     s.sighted.kind);
		s = see(false, PKT_SCCP_PORT, &p, cut, end);
		cr_assert_eq(s.sighted.kind, KL_SCCP_KEEPALIVE, "cut at %u, once more", cut);
		s = see(false, PKT_SCCP_PORT, &p, end, p.len);
		cr_assert_eq(s.sighted.kind, KL_SCCP_KEEPALIVE, "cut at %u, the next", cut);
		teardown();
		setup();
	}
	/* All in one. */
	s = see(false, PKT_SCCP_PORT, &p, 0, p.len);
	cr_assert_eq(s.sighted.kind, KL_SCCP_KEEPALIVE);
	cr_assert_str_eq(s.message.device, "SEP0024142DDF24");
}

Test(sight, what_is_cut_by_the_capture_is_not_guessed)
{
	struct pkt_payload p = { 0 };
	const struct pkt_register r = { .expires = "3600", .length = 890 };
	struct kl_sight s;

	pkt_sip_register(&p, &r);
	for (uint32_t have = 0; have < p.len; have++) {
		s = see_cut(false, PKT_SIP_PORT, &p, 0, p.len, have);
		cr_assert_eq(s.sighted.content, 0);
		cr_assert(s.sighted.kind == KL_SIP_REGISTER || s.sighted.kind == KL_OTHER ||
				  s.sighted.kind == KL_SIP_OTHER,
			  "%u bytes: kind %u", have, s.sighted.kind);
		cr_assert_eq(s.unclassified, s.sighted.kind == KL_OTHER, "%u bytes", have);
	}
}

/* ---- What is told to others ---- */

static struct kl_sight see_bytes(bool to_phone, uint32_t seq, uint32_t ack, uint8_t flags,
				 const void *payload, uint32_t len)
{
	struct kl_segment segment = {
		.src = { to_phone ? 2 : 1 },
		.dst = { to_phone ? 1 : 2 },
		.sport = to_phone ? PKT_SCCP_PORT : 50000,
		.dport = to_phone ? 50000 : PKT_SCCP_PORT,
		.seq = seq,
		.ack = ack,
		.payload_len = len,
		.family = 4,
		.flags = flags,
	};
	struct kl_sight_input in = { now_ns++, &segment, payload, len, false };
	struct kl_sight sight;

	cr_assert_eq(kl_sighter_see(sighter, &in, &sight), 0);
	return sight;
}

static struct kl_sight see_keepalive(uint32_t seq)
{
	static const uint8_t keepalive[12] = { 4 };

	return see_bytes(false, seq, 900, KL_ACK | KL_PSH, keepalive, sizeof(keepalive));
}

static struct kl_sight see_other(bool to_phone, uint32_t seq, uint32_t ack)
{
	static const uint8_t other[16] = { 8, 0, 0, 0, 0, 0, 0, 0, 0x99 };

	return see_bytes(to_phone, seq, ack, KL_ACK | KL_PSH, other, sizeof(other));
}

static bool matters(struct kl_sight s)
{
	return kl_sight_matters(&s);
}

static bool ack_matters(uint32_t ack)
{
	return matters(see_bytes(true, 900, ack, KL_ACK, NULL, 0));
}

Test(sight, keepalives_and_what_acknowledges_them_matter)
{
	cr_expect_not(ack_matters(100), "nothing was asked");
	cr_expect(matters(see_keepalive(100)));
	cr_expect_not(ack_matters(100), "not yet");
	cr_expect(ack_matters(112), "the first");
	cr_expect(ack_matters(112), "the same once more: a copy came twice");
	cr_expect_not(matters(see_other(false, 112, 900)));
	cr_expect_not(ack_matters(128), "of what does not matter");
	cr_expect(matters(see_keepalive(128)));
	cr_expect(ack_matters(156), "beyond it, as the first");
	cr_expect_not(ack_matters(156));
}

Test(sight, an_acknowledgement_may_carry_something)
{
	cr_expect(matters(see_keepalive(0xfffffff8)));
	cr_expect(matters(see_other(true, 900, 4)), "over the end of the numbers");
	cr_expect_not(matters(see_other(true, 916, 20)));
}

Test(sight, a_beginning_and_an_end_matter)
{
	cr_expect(matters(see_bytes(false, 99, 0, KL_SYN, NULL, 0)));
	cr_expect(matters(see_bytes(true, 899, 100, KL_SYN | KL_ACK, NULL, 0)));
	cr_expect_not(matters(see_bytes(false, 100, 900, KL_ACK, NULL, 0)));
	cr_expect(matters(see_bytes(false, 100, 900, KL_FIN | KL_ACK, NULL, 0)));
	cr_expect(matters(see_bytes(true, 900, 0, KL_RST, NULL, 0)));
}
