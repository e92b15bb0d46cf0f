// SPDX-License-Identifier: GPL-2.0-only
/* make-wire-corpus DIRECTORY: batches and subjects for the fuzzer to begin with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/subject.h"
#include "core/wire.h"
#include "seeds.h"

static void write_batch(const struct kl_wire_batch *b)
{
	struct kl_bytes bytes = {};

	if (kl_wire_encode(b, &bytes))
		exit(1);
	write_seed(0, bytes.data, bytes.len);
	kl_bytes_done(&bytes);
}

static struct kl_sighted *add(struct kl_wire_batch *b, __u8 family, __u8 kind, __u8 flags,
			      __u32 len)
{
	struct kl_wire_sighting *w = &b->of[b->count];

	*w = (struct kl_wire_sighting){ .sighted = {
						.time_ns = b->from_ns + b->count * 1000000ULL,
						.ends = { .phone = { 0x0a000001 + b->count / 3 },
							  .cucm = { 0x0a000063 },
							  .phone_port = 50000,
							  .cucm_port = 2000,
							  .family = family },
						.seq = 1000 * b->count,
						.ack = 7000,
						.payload_len = len,
						.stamp = 0x1234,
						.kind = kind,
						.flags = flags,
						.side = (__u8)b->side,
					} };
	b->count++;
	return &w->sighted;
}

int main(int argc, char **argv)
{
	struct kl_wire_batch *b = kl_wire_new();
	struct kl_sighted *s;

	if (argc != 2 || !b)
		return 2;
	directory = argv[1];
	b->boot = 0x1122334455667788;
	b->number = 1;
	b->from_ns = 1790000000000000000ULL;
	b->to_ns = b->from_ns + 1000000000;
	b->partitions = 1;
	write_batch(b);
	for (int i = 0; i < 4; i++) {
		add(b, 4, KL_SCCP_KEEPALIVE, KL_ACK | KL_PSH, 12);
		add(b, 4, KL_SCCP_KEEPALIVE_ACK, KL_ACK | KL_PSH, 12)->direction = KL_TO_PHONE;
		add(b, 4, KL_OTHER, KL_ACK, 0);
	}
	write_batch(b);
	b->side = KL_CUCM;
	b->count = 0;
	b->missed[0] = (struct kl_wire_missed){ b->from_ns, b->to_ns, KL_WIRE_INTERFACE };
	b->misses = 1;
	add(b, 6, KL_OTHER, KL_SYN, 0)->stamp = 0x80001234;
	s = add(b, 6, KL_SIP_REGISTER, KL_ACK | KL_PSH, 890);
	s->call = 0x123456789abcdef0;
	s->vlan = 110;
	strcpy(b->of[1].device, "SEP0024142DDF24");
	add(b, 6, KL_TLS_RECORD, KL_ACK, 69)->content = 0xfedcba9876543210;
	add(b, 4, KL_OTHER, KL_ACK | KL_FIN, 0)->asks_again = true;
	add(b, 4, KL_OTHER, KL_RST, 0)->fragment = true;
	write_batch(b);
	b->rule = KL_WIRE_BY_SERVER;
	b->partitions = 32;
	b->partition = kl_partition_of(&b->of[0].sighted.ends, KL_WIRE_BY_SERVER, 32);
	b->count = 1;
	write_batch(b);
	write_seed(0, "KLS\2", 4);
	write_seed(1, "kaloss.v1.seg.branch-1.tap1.31", 30);
	write_seed(1, "kaloss.v1.beat.branch-1.tap1", 28);
	kl_wire_free(b);
	return 0;
}
