// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the BPF programs shall have done with the frames that they were given: the same headers,
 * compiled for the host, in the simplest surroundings. Nothing of time is in it but the order.
 */
#pragma once

#include <kaloss/abi.h>
#include <kaloss/parse.h>

enum {
	MODEL_BUCKETS = 16,
	MODEL_CONNS = 16
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
	struct kl_counters counters; /* only tally, segments and incident */
	__u32 events[KL_EVENT_NAME + 1];
	__u32 name_len; /* of the last payload that names a device */
	__u8 name[KL_WINDOW_BYTES];
	__u64 now;
};

void model_forget(struct model *m);

/* gso_size: 0: a single frame. */
void model_see(struct model *m, const struct model_hook *hook, const __u8 *frame, __u32 len,
	       __u32 gso_size);
