/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rules on this host that change addresses, or that end a connection here and open another one
 * (proxies). Whether one of them touches the phones, only traffic tells. Owns nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct kl_nat_rules {
	bool known;	 /* false: nftables could not be asked (it needs CAP_NET_ADMIN) */
	size_t count;	 /* of rules */
	char first[128]; /* "masquerade in table inet labnat, chain out" */
};

void kl_read_nat_rules(struct kl_nat_rules *ret);
