// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the BPF programs shall have done with the frames that they were given: the same headers,
 * compiled for the host, in the simplest surroundings. Nothing of time is in it but the order.
 */
#pragma once

#include <core/follow.h>
#include <kaloss/arp.h>
#include <kaloss/macs.h>
#include <kaloss/parse.h>

enum {
	MODEL_BUCKETS = 16,
	MODEL_MACS = 4, /* buckets */
	MODEL_CONNS = 16,
	MODEL_EVENTS = 256,
	MODEL_ARP = 64
};

struct model_hook {
	const char *name;
	__u32 side;
	bool egress;
	bool xdp;
};

struct model {
	struct kl_settings settings;
	struct kl_ports ports;
	/* what has come of the frames */
	struct kl_conn conn[MODEL_CONNS];
	__u64 conn_id[MODEL_CONNS];
	__u32 conns;
	struct kl_bucket join[MODEL_BUCKETS];
	struct kl_mac_bucket macs[MODEL_MACS];
	struct kl_counters counters; /* only tally, segments and incident */
	struct kl_event events[MODEL_EVENTS];
	__u32 event_count;
	struct kl_arp_event arp[MODEL_ARP];
	__u32 arp_count;
	__u32 payload_len; /* of the last payload told */
	__u8 payload[KL_WINDOW_BYTES];
	__u64 now;
};

void model_forget(struct model *m);

/* gso_size: 0: a single frame. */
void model_see(struct model *m, const struct model_hook *hook, const __u8 *frame, __u32 len,
	       __u32 gso_size);
