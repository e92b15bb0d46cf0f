/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs do with a segment, in user space: the same headers, the same counters and
 * the same events, for whoever has both sides' segments in the order of one clock. The kernel's
 * tests compare the two.
 *
 * A struct kl_follow owns its join; connections belong to the caller.
 */
#pragma once

#include <kaloss/narrate.h>

/* payload: what there is of it, for KL_EVENT_PAYLOAD; else NULL. Valid during the call. */
typedef void (*kl_follow_handler)(const struct kl_event *event, const __u8 *payload, __u32 len,
				  void *arg);

struct kl_follow {
	__u64 deadline_ns;
	__u32 epoch;
	__u32 bucket_mask;
	struct kl_bucket *join;
	struct kl_counters counters; /* only tally, segments and join_full */
	kl_follow_handler handler;
	void *arg;
};

/* buckets: a power of two. -ENOMEM. */
int kl_follow_init(struct kl_follow *f, __u32 buckets, __u64 deadline_ns, kl_follow_handler handler,
		   void *arg);
void kl_follow_done(struct kl_follow *f);

/* One segment, seen at a side. */
struct kl_follow_segment {
	struct kl_conn *conn;
	__u64 id; /* of conn */
	struct kl_sighting at;
	struct kl_segment *segment;
	const __u8 *payload; /* the first `have` bytes of it */
	__u32 have;
	__u32 service; /* enum kl_service */
	/* Where it was joined already: what came of it, and what it is. Then the join is not asked,
	 * and nothing is counted. NULL: join it here. */
	const struct kl_join_result *settled;
	__u32 kind;
	__u32 tells; /* enum kl_tells */
};

/*
 * Before kl_follow_see(), and with all of an aggregate: may start the connection anew. made: it is
 * new to the caller.
 */
void kl_follow_open(struct kl_follow *f, const struct kl_follow_segment *s, bool made);

/* One segment, or one piece of an aggregate at a time. */
void kl_follow_see(struct kl_follow *f, const struct kl_follow_segment *s);

/*
 * Joins the copies of a single place: which copy of its segment is this, or is it a duplicate?
 * Nothing is counted. *ret is zero for a kind that is not joined.
 */
void kl_follow_count(struct kl_follow *f, const struct kl_follow_segment *s,
		     struct kl_join_result *ret);

/*
 * Payload → kind. have: bytes of it that there are; what cannot be told from them is KL_OTHER, or
 * the service's other. *ret_tells: enum kl_tells.
 */
__u32 kl_classify_payload(__u32 service, const __u8 *payload, __u32 have, __u32 payload_len,
			  __u32 *ret_tells);
