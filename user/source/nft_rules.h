/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules of this host's packet filter (nftables) that drop something, and which of them did
 * between two looks at them.
 */
#pragma once

#include <stddef.h>

#include "core/evidence.h"
#include "util/error.h"

struct kl_nft_rules;

/*
 * What there is now. -EOPNOTSUPP: no nftables here. It waits for the kernel, with thousands of rules
 * for seconds.
 */
int kl_nft_rules_read(struct kl_nft_rules **ret, struct kl_error *err);
void kl_nft_rules_free(struct kl_nft_rules *r); /* NULL is fine */

typedef void (*kl_rule_handler)(const struct kl_rule_evidence *r, void *arg);
/*
 * Rules (and policies of base chains) that drop: those whose counters grew since `before` (NULL:
 * since they were made), the most first, then those without a counter.
 */
void kl_nft_rules_suspects(const struct kl_nft_rules *before, const struct kl_nft_rules *now,
			   kl_rule_handler handler, void *arg);
