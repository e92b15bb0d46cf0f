/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files live*.c share, and nobody else includes: live.c loads and takes down, live_read.c is
 * all that goes on in between, live_conns.c the table of connections. (attach.c attaches.)
 */
#pragma once

#include <kaloss/abi.h>
#include <kaloss/conns.h>

#include "kaloss.skel.h"
#include "source/attach.h"
#include "source/live.h"

/* Connections that were forgotten, whose places are not given back yet. */
struct kl_forgotten {
	__u32 *numbers;
	size_t count, room;
};

struct kl_live {
	const struct kl_live_config *config;
	struct kaloss_bpf *skel;
	struct ring_buffer *ring;
	struct ring_buffer *arp_ring;	   /* NULL: switched off */
	struct kl_sweep *sweep;		   /* mapped */
	struct kl_conn_bucket *conn_index; /* mapped */
	size_t conn_buckets;
	struct kl_forgotten forgotten[2]; /* since the last sweep, and before it */
	struct kl_attach attach;
	int cpus;
	bool needs_tc; /* XDP did not go somewhere: the tc programs for ingress are needed */
	struct kaloss_bpf
		*late; /* the tc programs for ingress, where they were needed later; or NULL */
	int stats_fd;  /* -1: the kernel does not measure the programs for us */
	struct kl_counters *per_cpu_counters;
	struct kl_maxima *per_cpu_maxima;
	kl_event_handler event_handler; /* during kl_live_events() */
	void *event_arg;
	kl_arp_event_handler arp_handler; /* during kl_live_arp() */
	void *arp_arg;
};

/* Gives the places of those connections back that were forgotten before the last call. */
void kl_live_release_forgotten(struct kl_live *l);
