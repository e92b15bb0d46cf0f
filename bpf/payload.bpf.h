/* SPDX-License-Identifier: GPL-2.0-only */
/* The payload of a segment: what kind it is, and handing it to user space. */
#pragma once

#include "walk.bpf.h"

/* Copies len bytes, 1 to room, at off. Returns non-zero where there are not so many. */
static __always_inline long load(void *ctx, const bool xdp, __u32 off, void *to, __u32 len,
				 __u32 room)
{
	__u32 last = len - 1;

	/* The verifier of 6.1 does not learn from len != 0 that len is at least 1. */
	barrier_var(last);
	if (last >= room)
		return -1;
	len = last + 1;
	return xdp ? bpf_xdp_load_bytes(ctx, off, to, len) : bpf_skb_load_bytes(ctx, off, to, len);
}

/* Hands the payload to user space. */
static __always_inline void tell_payload(void *ctx, const bool xdp, const struct walk *w)
{
	struct kl_payload_event *e = bpf_ringbuf_reserve(&kl_events, sizeof(*e), 0);
	__u32 len = w->s->payload_len;

	if (!e) {
		count_incident(KL_EVENTS_LOST);
		return;
	}
	kl_event_fill(&e->event, KL_EVENT_PAYLOAD, w->id, w->conn, &w->at, w->s, w->kind, NULL);
	if (len > KL_WINDOW_BYTES)
		len = KL_WINDOW_BYTES;
	e->len = len;
	if (load(ctx, xdp, w->s->payload_off, e->payload, len, KL_WINDOW_BYTES))
		e->len = 0;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

/*
 * The functions without `static` are proven by the verifier once and on their own, instead of once
 * for every path that leads to them. What they work on is in the scratch.
 */

/* Returns the kind, the scan that may still change it << 8, and enum kl_tells << 16. */
__noinline __u32 classify_head(__u32 service, __u32 payload_len)
{
	struct kl_head_result r;
	struct kl_scratch *scratch = get_scratch();

	if (!scratch)
		return KL_OTHER;
	kl_classify_head(service, scratch->head,
			 payload_len < KL_HEAD_BYTES ? payload_len : KL_HEAD_BYTES, payload_len,
			 &r);
	return r.kind | r.scan << 8 | r.tells << 16;
}

__noinline __u32 classify_window(__u32 scan, __u32 kind, __u32 len)
{
	struct kl_scratch *scratch = get_scratch();

	if (!scratch || len > KL_WINDOW_BYTES)
		return kind;
	KL_MEMSET(scratch->window + len, 0, KL_WINDOW_ZEROED);
	return kl_classify_window(scan, kind, scratch->window, len);
}

/* What is in this payload? Returns its kind. */
static __always_inline __u32 classify(void *ctx, const bool xdp, struct walk *w)
{
	__u32 len = w->s->payload_len, off = w->s->payload_off, head, kind, scan;
	struct kl_scratch *scratch;

	if (kl_service_is_tls(w->service))
		return KL_TLS_RECORD;
	scratch = get_scratch();
	if (!scratch)
		return KL_OTHER;
	KL_MEMSET(scratch->head, 0, sizeof(scratch->head));
	if (len > KL_HEAD_BYTES)
		len = KL_HEAD_BYTES;
	if (load(ctx, xdp, off, scratch->head, len, KL_HEAD_BYTES))
		return KL_OTHER;
	head = classify_head(w->service, w->s->payload_len);
	kind = head & 0xff;
	scan = head >> 8 & 0xff;
	w->tells = head >> 16 & 0xff;
	if (scan == KL_SCAN_NONE)
		return kind;
	len = w->s->payload_len;
	if (len > KL_WINDOW_BYTES)
		len = KL_WINDOW_BYTES;
	if (load(ctx, xdp, off, scratch->window, len, KL_WINDOW_BYTES))
		return kind;
	kind = classify_window(scan, kind, len);
	if (kind & KL_KIND_LEAVES)
		w->tells = KL_TELLS_ALWAYS;
	return kind & KL_KIND_MASK;
}
