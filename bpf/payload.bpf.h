/* SPDX-License-Identifier: GPL-2.0-only */
/* The payload of a segment: what kind it is, and handing it to user space. */
#pragma once

#include "walk.bpf.h"

/* Hands the payload to user space. */
static __always_inline void tell_payload(void *ctx, const bool xdp, const struct walk *w)
{
	struct kl_payload_event *e = bpf_ringbuf_reserve(&kl_events, sizeof(*e), 0);
	__u32 len = w->s->payload_len;

	if (!e) {
		count_incident(KL_EVENTS_LOST);
		return;
	}
	kl_event_fill(&e->event, KL_EVENT_PAYLOAD, w->known->id, w->conn, &w->known->at, w->s,
		      w->known->kind, NULL);
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

/* As much of the payload as it takes. Returns the kind, and enum kl_tells << 8. */
static __always_inline __u32 classify_whole(void *ctx, const bool xdp, __u32 service)
{
	struct kl_scratch *scratch = get_scratch();
	__u32 len, off, head, kind, scan, tells;

	if (!scratch)
		return KL_OTHER;
	off = scratch->segment.payload_off;
	len = scratch->segment.payload_len;
	KL_MEMSET(scratch->head, 0, sizeof(scratch->head));
	if (len > KL_HEAD_BYTES)
		len = KL_HEAD_BYTES;
	if (load(ctx, xdp, off, scratch->head, len, KL_HEAD_BYTES))
		return KL_OTHER;
	head = classify_head(service, scratch->segment.payload_len);
	kind = head & 0xff;
	scan = head >> 8 & 0xff;
	tells = head >> 16 & 0xff;
	if (scan == KL_SCAN_NONE)
		return kind | tells << 8;
	len = scratch->segment.payload_len;
	if (len > KL_WINDOW_BYTES)
		len = KL_WINDOW_BYTES;
	if (load(ctx, xdp, off, scratch->window, len, KL_WINDOW_BYTES))
		return kind | tells << 8;
	kind = classify_window(scan, kind, len);
	if (kind & KL_KIND_LEAVES)
		tells = KL_TELLS_ALWAYS;
	return (kind & KL_KIND_MASK) | tells << 8;
}

__noinline __u32 classify_xdp(struct xdp_md *ctx, __u32 service)
{
	return classify_whole(ctx, true, service);
}

__noinline __u32 classify_tc(struct __sk_buff *ctx, __u32 service)
{
	return classify_whole(ctx, false, service);
}

/* A lone SCCP keepalive or its answer, where it lies. Else KL_OTHER. */
static __always_inline __u32 classify_brief(const struct kl_frame *frame,
					    const struct kl_segment *s)
{
	const __u8 *p = (const __u8 *)frame->data + (s->payload_off & (KL_LAYOUT_OFF_MAX - 1));

	if (s->payload_len < KL_SCCP_HEADER || p + KL_SCCP_HEADER > (const __u8 *)frame->end)
		return KL_OTHER;
	return kl_classify_sccp_brief(p, s->payload_len);
}

/* What is in this payload? Returns its kind. */
static __always_inline __u32 classify(void *ctx, const bool xdp, struct walk *w)
{
	struct kl_frame frame;
	__u32 kind;

	if (kl_service_is_tls(w->known->service))
		return KL_TLS_RECORD;
	if (w->known->service == KL_SCCP) {
		frame = xdp ? xdp_frame(ctx) : tc_frame(ctx);
		kind = classify_brief(&frame, w->s);
		if (kind != KL_OTHER)
			return kind;
	}
	kind = xdp ? classify_xdp(ctx, w->known->service) : classify_tc(ctx, w->known->service);
	w->known->tells = kind >> 8 & 0xff;
	return kind & KL_KIND_MASK;
}
