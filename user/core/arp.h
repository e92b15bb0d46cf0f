/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is an address claimed by several MACs? Fed with what ARP and neighbour discovery said. Watched
 * are the addresses of call servers, which the caller names, and those that phones ask for: their
 * gateways. Pure: told the time by the events.
 *
 * A conflict is
 *   - two MACs that answer the same request (KL_ARP_REQUEST_NS), or
 *   - answers that change from one to the other and back (KL_ARP_BACK_NS), and neither had announced
 *     that it takes over.
 * A MAC that takes over, announced or not, and stays is a failover and no conflict; nor are the
 * virtual MACs of VRRP, HSRP and GLBP among themselves. A virtual and a real one are a conflict once
 * both have answered KL_ARP_VIRTUAL_REQUESTS requests: a router may answer by its own name while it
 * takes over. The same address in two VLANs is two.
 *
 * A struct kl_arp owns its tables, which are bounded: addresses that were not asked for longest make
 * room, but servers' and those in conflict.
 */
#pragma once

#include <kaloss/abi.h>

#include "core/evidence.h"

#define KL_ARP_REQUEST_NS (3 * 1000 * KL_NS_PER_MS)
#define KL_ARP_BACK_NS (60 * 1000 * KL_NS_PER_MS)
/* That another MAC answers first now is not told again sooner. */
#define KL_ARP_TELL_NS (60 * 1000 * KL_NS_PER_MS)

enum {
	KL_ARP_ADDRESSES = 4096,
	KL_ARP_PENDING = 8192, /* requests that may still be answered */
	KL_ARP_VIRTUAL_REQUESTS = 3,
};

struct kl_arp;

/* Valid during the call. */
typedef void (*kl_arp_handler)(const struct kl_arp_conflict *conflict, void *arg);

struct kl_arp_config {
	/* What this MAC asks for is watched. NULL: nobody's. */
	bool (*is_phone)(const uint8_t mac[6], void *arg);
	/* A new conflict, a MAC that joins one, another that answers first. NULL is fine. */
	kl_arp_handler handler;
	void *arg;
};

struct kl_arp_stats {
	uint64_t events;
	uint64_t watched;   /* addresses now */
	uint64_t conflicts; /* addresses now */
	uint64_t malformed; /* claims of no possible MAC */
	uint64_t unlisted;  /* addresses or MACs that found no room, or made room for others */
};

int kl_arp_new(const struct kl_arp_config *config, struct kl_arp **ret); /* -ENOMEM */
void kl_arp_free(struct kl_arp *a);					 /* NULL is fine */
static inline void kl_arp_freep(struct kl_arp **a)
{
	kl_arp_free(*a);
}

/* May be told again, and at any time. -ENOMEM; -ENOSPC: too many servers. */
int kl_arp_watch_add_server(struct kl_arp *a, const struct kl_address *address);
int kl_arp_feed(struct kl_arp *a, const struct kl_arp_event *event); /* -ENOMEM */

/* All conflicts, with their counts so far. Answers are counted since the address is watched. */
void kl_arp_visit(const struct kl_arp *a, kl_arp_handler visit, void *arg);
void kl_arp_read_stats(const struct kl_arp *a, struct kl_arp_stats *ret);

/* Of VRRP, HSRP or GLBP? */
bool kl_arp_mac_is_virtual(const uint8_t mac[6]);
