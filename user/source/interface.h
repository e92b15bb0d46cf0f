/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel says about the network interfaces of this network namespace. All of it is asked
 * by rtnetlink and ethtool's ioctl, never of /sys, which may belong to another namespace; none of
 * it needs a privilege.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

enum kl_offload {
	KL_OFFLOAD_UNKNOWN,
	KL_OFFLOAD_OFF,
	KL_OFFLOAD_ON
};

struct kl_interface_facts {
	unsigned ifindex;
	char name[16];
	char kind[16]; /* "veth", "bridge", "bond", "vlan", …; empty: a device of hardware */
	char master_kind[16]; /* "bridge", "bond", …; empty: no master */
	unsigned master;      /* ifindex; 0: none */
	unsigned lower;	      /* a VLAN's or macvlan's device below, in this namespace; 0: none */
	unsigned type;	      /* ARPHRD_… */
	unsigned mtu;
	bool up;
	bool running;	    /* has carrier */
	bool switch_chip;   /* a port of hardware that forwards by itself */
	bool port_forwards; /* a bridge's port: may carry traffic (STP); true for all others */
	bool port_isolated;
};

/* Of one interface; see kl_read_offloads(). */
struct kl_interface_offloads {
	char driver[32]; /* empty: not known */
	enum kl_offload gro, lro, rx_vlan;
};

/* All interfaces. The caller frees *ret. */
int kl_read_interface_facts(struct kl_interface_facts **ret, size_t *ret_count,
			    struct kl_error *err);

void kl_read_offloads(const char *name, struct kl_interface_offloads *ret);
