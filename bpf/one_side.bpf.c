// SPDX-License-Identifier: GPL-2.0-only
/*
 * For kaloss agent, which sees one side only: hands each segment on the signalling ports to user
 * space, with its first bytes. Nothing is joined here and nothing is remembered, so that an object of
 * its own does it, and the programs that join stay as they are. Lets every packet pass.
 */
#include "frame.bpf.h"

#include <kaloss/sight_record.h>

char _license[] SEC("license") = "GPL";

enum {
	PULL_BYTES = 256, /* headers, with room to spare */
};

const volatile struct kl_ports kl_ports = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* set at load */
} kl_sightings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kl_sight_counters);
} kl_sight_counters SEC(".maps");

/* What is too large for the stack. Hooks of one CPU do not interrupt one another. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kl_sight_record);
} kl_sight_scratch SEC(".maps");

static __always_inline struct kl_sight_counters *counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&kl_sight_counters, &zero);
}

static __always_inline struct kl_sight_record *scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&kl_sight_scratch, &zero);
}

/* The segment in the scratch, or a piece of it, with what there is of its payload. */
static __always_inline void hand_over(void *ctx, const bool xdp, struct kl_sight_record *r)
{
	struct kl_sight_counters *n = counters();
	__u32 len = r->segment.payload_len;

	if (!n)
		return;
	if (len > KL_SIGHT_PAYLOAD)
		len = KL_SIGHT_PAYLOAD;
	if (!len || load(ctx, xdp, r->segment.payload_off, r->payload, len, KL_SIGHT_PAYLOAD))
		len = 0;
	r->have = len;
	/* The verifier of 6.1 forgets the bound when it is kept in memory. */
	barrier_var(len);
	if (len > KL_SIGHT_PAYLOAD)
		return;
	n->segments++;
	/* User space looks by the clock: a wakeup a record would cost more than the record. */
	if (bpf_ringbuf_output(&kl_sightings, r, KL_SIGHT_RECORD_BYTES + len, BPF_RB_NO_WAKEUP))
		n->lost++;
}

/*
 * What most frames are asked is one function, and what is done with the few another, with a number
 * between them: the verifier proves each once.
 */
static __always_inline __u64 peek(const struct kl_frame *frame)
{
	struct kl_layout layout;
	__u32 parsed = kl_peek(frame, &kl_ports, &layout);

	return pack_layout(parsed, &layout);
}

/* Into the scratch. */
static __always_inline __u32 parse(const struct kl_frame *frame, __u64 packed)
{
	struct kl_sight_record *r = scratch();
	struct kl_layout layout;
	__u32 parsed = unpack_layout(packed, &layout);

	return r ? kl_parse_laid_out(frame, parsed, &layout, &r->segment) : KL_NOT_OURS;
}

/* A frame in several buffers is longer than its first one. */
static __always_inline struct kl_frame whole_xdp_frame(struct xdp_md *ctx)
{
	struct kl_frame frame = xdp_frame(ctx);

	frame.wire_len = (__u32)bpf_xdp_get_buff_len(ctx);
	return frame;
}

__noinline __u64 peek_xdp(struct xdp_md *ctx)
{
	struct kl_frame frame = whole_xdp_frame(ctx);

	return peek(&frame);
}

__noinline __u64 peek_tc(struct __sk_buff *ctx)
{
	struct kl_frame frame = tc_frame(ctx);

	return peek(&frame);
}

__noinline __u32 parse_xdp(struct xdp_md *ctx, __u64 packed)
{
	struct kl_frame frame = whole_xdp_frame(ctx);

	return parse(&frame, packed);
}

__noinline __u32 parse_tc(struct __sk_buff *ctx, __u64 packed)
{
	struct kl_frame frame = tc_frame(ctx);

	return parse(&frame, packed);
}

static __always_inline __u32 parsed_of(__u64 packed)
{
	return packed >> KL_LAYOUT_PARSED_SHIFT & 7;
}

/* Returns false where it is nothing to hand over. */
static __always_inline bool start(struct kl_sight_record *r, __u32 parsed, bool egress)
{
	struct kl_sight_counters *n = counters();

	if (!n || parsed == KL_NOT_OURS)
		return false;
	if (parsed == KL_MALFORMED || parsed == KL_NOT_LINEAR) {
		n->malformed++;
		return false;
	}
	r->time_ns = bpf_ktime_get_ns();
	r->egress = egress;
	r->fragment = parsed == KL_FRAGMENT;
	n->fragments += r->fragment;
	/* A later fragment says nothing of its connection. */
	return r->segment.family;
}

SEC("xdp.frags")
int kaloss_one_xdp(struct xdp_md *ctx)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct kl_sight_record *r = scratch();
	__u64 packed;

	if (kl_glance(data, end, &kl_ports) == KL_GLANCE_PASS)
		return XDP_PASS;
	packed = peek_xdp(ctx);
	if (r && parsed_of(packed) != KL_NOT_OURS && start(r, parse_xdp(ctx, packed), false))
		hand_over(ctx, true, r);
	return XDP_PASS;
}

/* ---- tc, where GRO and TSO put several segments together ---- */

struct pieces {
	struct __sk_buff *ctx;
	struct kl_sight_record *record;
	__u32 left;	 /* payload not yet handed over */
	__u32 piece_len; /* gso_size */
	__u8 flags;
};

static long take_piece(__u32 index, struct pieces *p)
{
	struct kl_segment *s = &p->record->segment;
	__u32 len = p->left < p->piece_len ? p->left : p->piece_len;

	p->left -= len;
	s->payload_len = len;
	/* A FIN goes with the last piece. */
	s->flags = p->left ? p->flags & ~KL_FIN : p->flags;
	hand_over(p->ctx, false, p->record);
	s->seq += len;
	s->payload_off += len;
	if (s->ip_id)
		s->ip_id++;
	return p->left == 0;
}

__noinline int take_pieces(struct __sk_buff *ctx)
{
	struct pieces p = { .ctx = ctx, .record = scratch(), .piece_len = ctx->gso_size };

	if (!p.record || !p.piece_len)
		return 0;
	p.left = p.record->segment.payload_len;
	p.flags = p.record->segment.flags;
	bpf_loop((p.left + p.piece_len - 1) / p.piece_len, take_piece, &p, 0);
	return 0;
}

static __always_inline int observe_tc(struct __sk_buff *ctx, bool egress)
{
	const __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct kl_sight_record *r = scratch();
	__u64 packed;
	__u32 parsed;

	if (kl_glance(data, end, &kl_ports) == KL_GLANCE_PASS)
		return KL_TC_NEXT;
	packed = peek_tc(ctx);
	if (!r || parsed_of(packed) == KL_NOT_OURS)
		return KL_TC_NEXT;
	parsed = parse_tc(ctx, packed);
	if (parsed == KL_NOT_LINEAR &&
	    !bpf_skb_pull_data(ctx, ctx->len < PULL_BYTES ? ctx->len : PULL_BYTES))
		parsed = parse_tc(ctx, peek_tc(ctx));
	if (!start(r, parsed, egress))
		return KL_TC_NEXT;
	if (ctx->gso_size && r->segment.payload_len > ctx->gso_size)
		take_pieces(ctx);
	else
		hand_over(ctx, false, r);
	return KL_TC_NEXT;
}

SEC("tc")
int kaloss_one_in(struct __sk_buff *ctx)
{
	return observe_tc(ctx, false);
}

SEC("tc")
int kaloss_one_out(struct __sk_buff *ctx)
{
	return observe_tc(ctx, true);
}
