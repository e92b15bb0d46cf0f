// SPDX-License-Identifier: GPL-2.0-only
/* The BPF object, loaded for programs that run it by BPF_PROG_TEST_RUN and attach nothing. */
#pragma once

#include "../packets/packets.h"

#include <kaloss/abi.h>
#include <kaloss/arp.h>
#include <kaloss/conns.h>
#include <kaloss/macs.h>
#include <stdint.h>

#include "kaloss.skel.h"

/* settings.bucket_mask and the number of connections size the maps. NULL: errno says why. */
struct kaloss_bpf *object_load(const struct kl_settings *settings, uint32_t connections,
			       uint32_t ring_bytes);

/* The same in two steps: what is between them sees the programs before the kernel does. */
struct kaloss_bpf *object_open(const struct kl_settings *settings, uint32_t connections,
			       uint32_t ring_bytes);
int object_start(struct kaloss_bpf *skel);

/* Sums up the counters of all processors. */
int object_counters(const struct kaloss_bpf *skel, struct kl_counters *ret);

int object_clear_counters(const struct kaloss_bpf *skel);

/* Returns false where there is no such connection. */
bool object_conn(const struct kaloss_bpf *skel, __u64 id, struct kl_conn *ret);

/* Forgets all connections, segments and MACs. */
int object_forget(const struct kaloss_bpf *skel, uint32_t buckets);
