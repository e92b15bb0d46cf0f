// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzer's target: a frame is parsed, and its payload classified, as a hook would do it; or it
 * is looked at for ARP and neighbour discovery.
 *
 * The first FUZZ_HEADER bytes of an input say how the frame comes; the rest is the frame:
 *   0  service (2 bits), is_aggregate (bit 2), a VLAN id beside the frame (bit 3), and bit 4: only
 *      a part of the frame is linear
 *   1  the VLAN id; how much of the frame is linear, in eighths
 */
#include <stdlib.h>
#include <string.h>

#include <kaloss/arp.h>

#include "fuzz.h"

static void require(int holds)
{
	if (!holds)
		__builtin_trap();
}

/* A copy that ends where the data ends, for the sanitizer to guard. */
static __u8 *exact_copy(const void *data, __u32 len)
{
	__u8 *copy = malloc(len ?: 1);

	require(copy != NULL);
	memcpy(copy, data, len);
	return copy;
}

static void classify(__u32 service, const __u8 *payload, __u32 len)
{
	__u32 head_len = len < KL_HEAD_BYTES ? len : KL_HEAD_BYTES;
	__u32 window_len = len < KL_WINDOW_BYTES ? len : KL_WINDOW_BYTES;
	__u8 padded[KL_WINDOW_MASK + 1] = { 0 };
	struct kl_head_result r, again;
	__u8 *head, *window;
	__u32 kind;

	memcpy(padded, payload, head_len);
	head = exact_copy(padded, KL_HEAD_BYTES);
	kl_classify_head(service, head, head_len, len, &r);
	kl_classify_head(service, head, head_len, len, &again);
	free(head);
	require(r.kind < KL_KINDS && r.kind == again.kind && r.scan == again.scan);
	require(r.scan <= KL_SCAN_CSEQ);
	if (r.scan == KL_SCAN_NONE)
		return;

	/* What lies behind the zeroed part is whatever was there: it must not matter. */
	memset(padded, 0xff, sizeof(padded));
	memcpy(padded, payload, window_len);
	memset(padded + window_len, 0, KL_WINDOW_ZEROED);
	window = exact_copy(padded, sizeof(padded));
	kind = kl_classify_window(r.scan, r.kind, window, window_len);
	memset(window + window_len, 0, sizeof(padded) - window_len);
	require(kind == kl_classify_window(r.scan, r.kind, window, window_len));
	free(window);
	require(!(kind & KL_KIND_LEAVES) || r.scan == KL_SCAN_REGISTER);
	kind &= ~(__u32)KL_KIND_LEAVES;
	require(kind < KL_KINDS);
	if (r.scan == KL_SCAN_SCCP)
		require(kind == KL_SCCP_KEEPALIVE || kind == KL_SCCP_KEEPALIVE_ACK ||
			kind == KL_SCCP_OTHER);
	if (r.scan == KL_SCAN_REGISTER)
		require(kind == KL_SIP_REGISTER || kind == KL_SIP_REGISTER_BACKUP);
	if (r.scan == KL_SCAN_CSEQ)
		require(kind == KL_SIP_RESPONSE || kind == KL_SIP_OTHER);
}

static void check_segment(const struct kl_frame *f, const struct kl_segment *s)
{
	require(s->family == 4 || s->family == 6);
	require(s->payload_off >= KL_ETH_LEN + 20 + KL_TCP_LEN);
	require((__u64)s->payload_off + s->payload_len <= f->wire_len);
	require(s->vlan < 4096);
	require(s->family == 6 || !(s->src[1] | s->src[2] | s->src[3]));
}

/* peeked: whether the look at the whole frame said that it may be one. */
static void neighbour(const struct fuzz_input *in, bool peeked)
{
	__u32 len = in->len < KL_ARP_BYTES ? in->len : KL_ARP_BYTES, decoded;
	__u8 *copy = exact_copy(in->frame, len);
	struct kl_arp_event e;

	decoded = kl_arp_decode(copy, len, in->len, in->vlan, &e);
	free(copy);
	require(decoded <= KL_ARP_BAD);
	require(decoded == KL_ARP_NOT || peeked);
	if (decoded != KL_ARP_EVENT)
		return;
	require(e.what >= KL_ARP_REQUEST && e.what <= KL_ARP_ANNOUNCE);
	require(e.family == 6 || (e.family == 4 && !(e.address[1] | e.to[1])));
	require(e.what != KL_ARP_ANNOUNCE || !(e.to[0] | e.to[1] | e.to[2] | e.to[3]));
	require(e.vlan < 4096);
}

/* The shorter ways to ask say the same as the long one, or leave it to that. */
static void ask_shorter(const struct kl_frame *f, const struct kl_ports *ports,
			enum kl_parsed peeked)
{
	struct kl_layout layout, plain;
	enum kl_parsed parsed;

	kl_peek(f, ports, &layout);
	if (kl_glance(f->data, f->end, ports) == KL_GLANCE_PASS)
		require(peeked == KL_NOT_OURS && !kl_arp_peek(f, &layout));
	if (kl_peek_link(f, &plain) != KL_SEGMENT)
		return;
	parsed = kl_peek_net(f, ports, true, &plain);
	require(parsed == peeked || parsed == KL_NOT_PLAIN);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	static struct kl_ports ports;
	struct fuzz_input in;
	struct kl_segment s, linear;
	struct kl_layout layout;
	enum kl_parsed parsed, peeked, part;
	struct kl_frame f;
	__u8 *copy;

	if (!fuzz_input_read(data, size, &in))
		return 0;
	if (!ports.signalling[PKT_SCCP_PORT >> 3])
		pkt_ports(&ports);
	copy = exact_copy(in.frame, in.len);
	f = (struct kl_frame){ .data = copy,
			       .end = copy + in.len,
			       .wire_len = in.len,
			       .vlan = in.vlan,
			       .is_aggregate = in.is_aggregate };
	peeked = kl_peek(&f, &ports, &layout);
	parsed = kl_parse(&f, &ports, &s);
	require(parsed <= KL_MALFORMED && peeked <= KL_MALFORMED);
	/* What the peek dismisses, the parser does too; what it does not, may still be malformed. */
	require(peeked == parsed || (peeked != KL_NOT_OURS && parsed == KL_MALFORMED));
	ask_shorter(&f, &ports, peeked);
	if (parsed == KL_SEGMENT) {
		check_segment(&f, &s);
		classify(in.service, copy + s.payload_off, s.payload_len);
	}
	neighbour(&in, peeked == KL_NOT_OURS && kl_arp_peek(&f, &layout));
	free(copy);

	/* The same frame, only in part at hand: the same verdict or a request for more. */
	copy = exact_copy(in.frame, in.linear);
	f.data = copy;
	f.end = copy + in.linear;
	part = kl_parse(&f, &ports, &linear);
	ask_shorter(&f, &ports, kl_peek(&f, &ports, &layout));
	require(part == parsed || part == KL_NOT_LINEAR);
	if (part == KL_SEGMENT)
		require(linear.payload_len == s.payload_len &&
			linear.payload_off == s.payload_off && linear.seq == s.seq);
	free(copy);
	return 0;
}
