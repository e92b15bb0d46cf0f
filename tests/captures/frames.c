// SPDX-License-Identifier: GPL-2.0-only
/* frames.h */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"

enum {
	OK_LEN = 637, /* of the final answer to a REGISTER */
};

static void __attribute__((format(printf, 2, 3)))
add(struct pkt_payload *p, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	pkt_text(p, text);
}

/* Fills the message up to its length with a header, and ends its headers. */
static void end_message(struct pkt_payload *p, __u32 len)
{
	pkt_text(p, "X-Fill: ");
	while (p->len + 4 < len)
		pkt_text(p, "k");
	pkt_text(p, "\r\n\r\n");
}

/* The generator's name of a call: the connection, and the number of the request in it. */
static void add_call(struct pkt_payload *p, uint64_t call)
{
	add(p, "Call-ID: %08x@198.51.100.7\r\nCSeq: %u REGISTER\r\n", (uint32_t)(call >> 32),
	    (uint32_t)call);
}

static void build_payload(const struct gen_packet *g, struct pkt_payload *p)
{
	static const __u8 interval[24] = { [0] = 30, [12] = 60 };
	__u8 body[256] = { 0 };

	p->len = 0;
	switch (g->kind) {
	case KL_SCCP_KEEPALIVE:
		pkt_sccp_keepalive(p);
		break;
	case KL_SCCP_KEEPALIVE_ACK:
		pkt_sccp_keepalive_ack(p);
		break;
	case KL_SCCP_OTHER:
		snprintf((char *)body, 16, "SEP%012llX",
			 (unsigned long long)g->device & 0xffffffffffffULL);
		if (g->direction == KL_TO_CUCM)
			pkt_sccp(p, 0x14, KL_SCCP_ID_REGISTER, body, g->len - 12);
		else
			pkt_sccp(p, 0x14, 0x81, interval, sizeof(interval));
		break;
	case KL_SIP_REGISTER:
		add(p, "REGISTER sip:198.51.100.1 SIP/2.0\r\n");
		add_call(p, g->call);
		add(p,
		    "Contact: <sip:4001@198.51.100.7;transport=tcp>;"
		    "+u.sip!devicename.ccm.cisco.com=\"SEP0024%08X\"\r\nExpires: 3600\r\n",
		    (uint32_t)(g->call >> 32));
		end_message(p, g->len);
		break;
	case KL_SIP_RESPONSE:
		add(p, "SIP/2.0 %s\r\n", g->len == OK_LEN ? "200 OK" : "100 Trying");
		add_call(p, g->call);
		if (g->len == OK_LEN)
			add(p, "Expires: 120\r\n");
		end_message(p, g->len);
		break;
	default:
		break;
	}
	if (p->len != g->len)
		abort();
}

static void put32(__u8 *to, __u32 v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (__u8)(v >> 8 * (3 - i));
}

static void put_addresses(struct pkt *p, const struct kl_sighted *s, __u8 ttl)
{
	bool to_phone = s->direction == KL_TO_PHONE, ipv6 = s->ends.family == 6;
	const __u32 *from = to_phone ? s->ends.cucm : s->ends.phone;
	const __u32 *to = to_phone ? s->ends.phone : s->ends.cucm;
	__u8 *ip = p->data + p->l3_off;

	ip[ipv6 ? 7 : 8] = ttl;
	for (int i = 0; i < (ipv6 ? 4 : 1); i++) {
		put32(ip + (ipv6 ? 8 : 12) + 4 * i, from[i]);
		put32(ip + (ipv6 ? 24 : 16) + 4 * i, to[i]);
	}
}

void frame_build(const struct gen_packet *packet, const struct kl_sighted *s, bool ids,
		 const struct frame_place *place, struct pkt *ret)
{
	static const __u8 sack[4] = { 1, 1, 5, 10 };
	struct pkt_payload payload;
	struct pkt_spec spec = {
		.tags = s->vlan != 0,
		.tag = { s->vlan },
		.ipv6 = s->ends.family == 6,
		.ip_id = ids ? packet->ip_id : 0,
		.to_phone = s->direction == KL_TO_PHONE,
		.phone = (__u16)packet->conn,
		.seq = s->seq,
		.ack = s->ack,
		.flags = s->flags,
		.window = (__u16)packet->window,
		.timestamps = true,
		.ts_val = packet->ts_val,
		.tcp_options = packet->asks_again ? 12 : 0,
		.payload_len = packet->len,
	};

	spec.sport = spec.to_phone ? s->ends.cucm_port : s->ends.phone_port;
	spec.dport = spec.to_phone ? s->ends.phone_port : s->ends.cucm_port;
	build_payload(packet, &payload);
	spec.payload = payload.data;
	pkt_build(&spec, ret);
	put_addresses(ret, s, place->ttl);
	if (packet->asks_again)
		memcpy(ret->data + ret->payload_off - 12, sack, sizeof(sack));
	ret->data[spec.to_phone ? 11 : 5] = place->mac;
}
