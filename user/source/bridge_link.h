/* SPDX-License-Identifier: GPL-2.0-only */
/* What rtnetlink says of an interface as far as bridges go, and how it is asked. Owns nothing. */
#pragma once

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

struct kl_bridge_link {
	unsigned ifindex;
	unsigned master; /* 0: none */
	bool is_bridge;
	bool is_port; /* of a bridge, which is its master */
	bool has_ageing;
	uint32_t ageing; /* a bridge's, in ticks for user space */
};

/* Of RTM_NEWLINK and RTM_DELLINK. Returns false for what is no news of the interface itself. */
bool kl_bridge_parse(const struct nlmsghdr *header, struct kl_bridge_link *ret);
/* Asks the kernel for one. */
int kl_bridge_ask(unsigned ifindex, struct kl_bridge_link *ret);
/* Hands all messages of a dump to take(). -EAGAIN: what was read changed all the while. */
int kl_bridge_dump(uint16_t type, unsigned char family, mnl_cb_t take, void *arg);
