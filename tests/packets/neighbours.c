// SPDX-License-Identifier: GPL-2.0-only
/* neighbours.h; the checksum of ICMPv6 is left zero, for nothing here reads it. */
#include <string.h>

#include "neighbours.h"

static void put16(struct pkt *p, __u32 v)
{
	p->data[p->len++] = (__u8)(v >> 8);
	p->data[p->len++] = (__u8)v;
}

static void put(struct pkt *p, const void *bytes, __u32 len)
{
	memcpy(p->data + p->len, bytes, len);
	p->len += len;
}

static void put_ethernet(struct pkt *p, const __u8 *to, const __u8 *from, __u8 tags,
			 const __u16 *tag, __u16 type)
{
	memset(p, 0, sizeof(*p));
	put(p, to, 6);
	put(p, from, 6);
	for (__u8 i = 0; i < tags; i++) {
		put16(p, 0x8100);
		put16(p, tag[i]);
	}
	put16(p, type);
	p->l3_off = p->len;
}

void pkt_build_arp(const struct pkt_arp *spec, struct pkt *ret)
{
	static const __u8 all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	bool is_reply = spec->op == 2;

	put_ethernet(ret, is_reply && !spec->to_all ? spec->to_mac : all, spec->mac, spec->tags,
		     spec->tag, 0x0806);
	put16(ret, 1);
	put16(ret, 0x0800);
	put16(ret, 0x0604);
	put16(ret, spec->op ? spec->op : 1);
	put(ret, spec->mac, 6);
	put(ret, spec->ip, 4);
	put(ret, spec->to_mac, 6);
	put(ret, spec->to_ip, 4);
	ret->wire_end = ret->len;
	if (ret->len < 60)
		ret->len = 60;
}

void pkt_build_nd(const struct pkt_nd *spec, struct pkt *ret)
{
	static const __u8 all[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	__u32 len = 24 + 8 * spec->nonces + (spec->no_option ? 0 : 8);

	put_ethernet(ret, all, spec->mac, spec->tags, spec->tag, 0x86dd);
	put16(ret, 0x6000);
	put16(ret, 0);
	put16(ret, len);
	put16(ret, 58 << 8 | (spec->hop_limit ? spec->hop_limit : 255));
	put(ret, spec->from, 16);
	put(ret, spec->to, 16);
	ret->l4_off = ret->len;
	put16(ret, (spec->advertises ? 136 : 135) << 8 | spec->code);
	put16(ret, 0);
	put16(ret, spec->flags << 8);
	put16(ret, 0);
	put(ret, spec->target, 16);
	for (int i = 0; i < spec->nonces; i++) {
		put16(ret, 14 << 8 | 1);
		put(ret, "nonce!", 6);
	}
	if (!spec->no_option) {
		put16(ret, (spec->advertises ? 2 : 1) << 8 | 1);
		put(ret, spec->mac, 6);
	}
	ret->wire_end = ret->len;
}
