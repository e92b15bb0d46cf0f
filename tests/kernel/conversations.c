// SPDX-License-Identifier: GPL-2.0-only
/* Conversations: a list of frames through both sides. */
#include <stdio.h>

#include "same.h"

enum {
	SAID_MAX = 14
};

#define HANDSHAKE                                                                                  \
	{ PHONE(.seq = 99, .flags = KL_SYN, .tcp_options = 4) },                                   \
		{ CUCM(.seq = 499, .ack = 100, .flags = KL_SYN | KL_ACK) },                        \
	{                                                                                          \
		PHONE(.seq = 100, .ack = 500)                                                      \
	}

static const struct {
	const char *name;
	struct said said[SAID_MAX]; /* up to the first without a window */
} conversations[] = {
	{ "a keepalive, answered",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'k' },
	    { CUCM(.seq = 500, .ack = 112), 'a' },
	    { PHONE(.seq = 112, .ack = 512) } } },
	{ "over IPv6 and a VLAN",
	  { { PHONE(.seq = 100, .ack = 500, .ipv6 = true, .tags = 1, .tag = { 110 }), 'k' },
	    { CUCM(.seq = 500, .ack = 112, .ipv6 = true, .tags = 1, .tag = { 110 }), 'a' } } },
	{ "lost, and again",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'k', LOST },
	    { PHONE(.seq = 100, .ack = 500, .ip_id = 2), 'k', LOST },
	    { PHONE(.seq = 100, .ack = 500, .ip_id = 3), 'k' } } },
	{ "doubled",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'k' },
	    { PHONE(.seq = 100, .ack = 500), 'k' } } },
	{ "TCP probes",
	  { { PHONE(.seq = 100, .ack = 500), 'k' },
	    { CUCM(.seq = 500, .ack = 112) },
	    { PHONE(.seq = 111, .ack = 500, .ip_id = 5) },
	    { CUCM(.seq = 500, .ack = 112, .ip_id = 6) },
	    { PHONE(.seq = 111, .ack = 500, .payload_len = 1, .ip_id = 7) },
	    { CUCM(.seq = 500, .ack = 112, .ip_id = 8) },
	    { CUCM(.seq = 499, .ack = 112, .ip_id = 9) },
	    { PHONE(.seq = 112, .ack = 500, .ip_id = 10) } } },
	{ "a probe lost",
	  { { PHONE(.seq = 100, .ack = 500), 'k' },
	    { PHONE(.seq = 111, .ack = 500, .ip_id = 5), 0, LOST },
	    { PHONE(.seq = 111, .ack = 500, .ip_id = 6) },
	    { CUCM(.seq = 500, .ack = 112) } } },
	{ "a bare ACK with the number of a probe's answer",
	  { { PHONE(.seq = 100, .ack = 500), 'k' },
	    { PHONE(.seq = 111, .ack = 500, .ip_id = 5) },
	    { CUCM(.seq = 500, .ack = 112, .ip_id = 6) },
	    { PHONE(.seq = 112, .ack = 500, .ip_id = 7), 'k' },
	    { CUCM(.seq = 500, .ack = 124, .ip_id = 8) } } },
	{ "registered by SCCP, and closed",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'r' },
	    { PHONE(.seq = 176, .ack = 500), 'r' },
	    { PHONE(.seq = 252, .ack = 500, .flags = KL_FIN | KL_ACK) },
	    { CUCM(.seq = 500, .ack = 253, .flags = KL_RST | KL_ACK) } } },
	{ "registered by SIP",
	  { { PHONE(.seq = 100, .ack = 500, .dport = PKT_SIP_PORT), 'R' },
	    { CUCM(.seq = 500, .ack = 990, .sport = PKT_SIP_PORT), 's' } } },
	{ "the old connection's addresses again",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'r' },
	    { PHONE(.seq = 7000, .flags = KL_SYN) },
	    { CUCM(.seq = 9000, .ack = 7001, .flags = KL_SYN | KL_ACK) },
	    { PHONE(.seq = 7001, .ack = 9001), 'r' },
	    { PHONE(.seq = 7077, .ack = 9001), 'k' } } },
	{ "a reset with another TTL",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'k' },
	    { CUCM(.seq = 500, .ack = 112, .ttl = 61), 'a' },
	    { CUCM(.seq = 512, .ack = 112, .ttl = 255, .flags = KL_RST) } } },
	{ "a reset that only the far side sees",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500, .ttl = 60), 'k' },
	    { CUCM(.seq = 500, .ack = 112, .flags = KL_RST), 0, FORGED } } },
	{ "several phones",
	  { { PHONE(.seq = 100, .ack = 500), 'k' },
	    { PHONE_OF(8, .seq = 100, .ack = 500), 'k' },
	    { PHONE_OF(0x107, .seq = 100, .ack = 500), 'k' },
	    { CUCM(.seq = 500, .ack = 112), 'a' },
	    { CUCM_OF(0x107, .seq = 500, .ack = 112), 'a' },
	    { PHONE(.seq = 112, .ack = 512), 'k' },
	    { CUCM_OF(9, .seq = 500, .ack = 112), 'a' } } },
	{ "a reset of nothing", { { PHONE(.seq = 100, .flags = KL_RST) } } },
	{ "the phone's port is a signalling port, and the lower one",
	  { { PHONE(.seq = 99, .flags = KL_SYN, .sport = PKT_SCCP_PORT, .dport = PKT_SIP_PORT) },
	    { CUCM(.seq = 499, .ack = 100, .flags = KL_SYN | KL_ACK, .sport = PKT_SIP_PORT,
		   .dport = PKT_SCCP_PORT) },
	    { PHONE(.seq = 100, .ack = 500, .sport = PKT_SCCP_PORT, .dport = PKT_SIP_PORT), 'R' },
	    { CUCM(.seq = 500, .ack = 990, .sport = PKT_SIP_PORT, .dport = PKT_SCCP_PORT),
	      's' } } },
	{ "the phone's port is a signalling port, and the higher one",
	  { { PHONE(.seq = 99, .flags = KL_SYN, .sport = PKT_SIP_PORT) },
	    { CUCM(.seq = 499, .ack = 100, .flags = KL_SYN | KL_ACK, .dport = PKT_SIP_PORT) },
	    { PHONE(.seq = 100, .ack = 500, .sport = PKT_SIP_PORT), 'k' },
	    { CUCM(.seq = 500, .ack = 112, .dport = PKT_SIP_PORT), 'a' } } },
	{ "three keepalives in an aggregate",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), '3', ARRIVES, 12 },
	    { PHONE(.seq = 136, .ack = 500, .ip_id = 0x7fff), 'k' } } },
	{ "an aggregate with a shorter tail, and FIN",
	  { { PHONE(.seq = 100, .ack = 500, .flags = KL_FIN | KL_ACK), '3', ARRIVES, 20 } } },
	{ "an aggregate that the far side sees in pieces",
	  { { PHONE(.seq = 100, .ack = 500, .ip_id = 40), '3', LOST, 12 },
	    { PHONE(.seq = 100, .ack = 500, .ip_id = 44), 'k' },
	    { PHONE(.seq = 112, .ack = 500, .ip_id = 45), 'k' } } },
};

void say(const struct said *t, struct pkt *ret)
{
	struct pkt_spec spec = t->spec;
	struct pkt_payload p = { 0 };

	if (t->payload == 'k')
		pkt_sccp_keepalive(&p);
	for (int i = 0; t->payload == '3' && i < 3; i++)
		pkt_sccp_keepalive(&p);
	if (t->payload == 'a')
		pkt_sccp_keepalive_ack(&p);
	if (t->payload == 'r')
		pkt_sccp_register(&p, "SEP0024142DDF24");
	if (t->payload == 'R')
		pkt_sip_register(&p, &(struct pkt_register){ .expires = "3600", .length = 890 });
	if (t->payload == 's')
		pkt_sip_response(&p, "200 OK", "REGISTER", "120", 637);
	if (p.len) {
		spec.payload = p.data;
		spec.payload_len = p.len;
	}
	spec.ip_id = spec.ip_id ?: 1;
	spec.pad_to = t->gso_size ? 0 : 60;
	pkt_build(&spec, ret);
}

void run_conversations(void)
{
	for (__u32 i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
		for (int xdp = 0; xdp <= 1; xdp++) {
			const struct said *t = conversations[i].said;
			bool ok = true;
			char text[512];

			snprintf(text, sizeof(text), "%s, %s", conversations[i].name,
				 xdp ? "XDP" : "tc");
			what = text;
			for (; ok && t < conversations[i].said + SAID_MAX && t->spec.window; t++) {
				bool to_phone = t->spec.to_phone;
				enum hook_name in = xdp ? XDP_ACC : IN_ACC, out = OUT_CUCM;
				struct pkt p;

				if (to_phone) {
					in = xdp ? XDP_CUCM : IN_CUCM;
					out = OUT_ACC;
				}
				say(t, &p);
				ok = (t->lost == FORGED ||
				      see(in, p.data, p.len, xdp ? 0 : t->gso_size)) &&
				     (t->lost == LOST || see(out, p.data, p.len, t->gso_size));
			}
			conclude(ok);
		}
	}
}

/* So many keepalives under way, of one phone, at the near hook or at the far one. */
static bool crowd(__u32 count, enum hook_name hook)
{
	bool ok = true;

	for (__u32 i = 0; ok && i < count; i++) {
		struct said t = { PHONE(.seq = 100 + 12 * i, .ack = 500, .ip_id = (__u16)(i + 1)),
				  'k' };
		struct pkt p;

		say(&t, &p);
		ok = see(hook, p.data, p.len, 0);
	}
	return ok;
}

/*
 * More keepalives at a time than their buckets have places: the model has 64 in all. None is taken
 * again meanwhile, so that it does not matter how long all of it takes.
 */
void run_crowd(void)
{
	what = "some of a crowd go to their second bucket, and all are found again";
	conclude(crowd(42, XDP_ACC) && was_crowded(false) && crowd(42, OUT_CUCM));
	what = "some of a larger crowd find no place at all";
	conclude(crowd(60, XDP_ACC) && was_crowded(true));
}
