/* SPDX-License-Identifier: GPL-2.0-only */
/* What the two rules about MAC tables share: findings_ageing.c and findings_mac.c. */
#pragma once

#include "core/findings_internal.h"

/* Chances below which something is surely, likely, or perhaps none. */
#define KL_SURE 1e-6
#define KL_LIKELY 1e-3
#define KL_PERHAPS 1e-2

enum {
	KL_MISSING_ENOUGH = 3, /* losses of which the kernel itself says that it knew no port */
};

/*
 * What became of the entries of MAC tables, to tell of a loss with the kernel's reason NO_TX_TARGET
 * (no port is known for the MAC) how the entry was removed. Owns its list.
 */
struct kl_missing {
	struct kl_removals history; /* with what was learnt again */
	unsigned happenings;	    /* bits of enum kl_mac_happening that are asked for */
};

/* late_ns: see kl_removals_new(). */
int kl_missing_new(const struct kl_facts *f, unsigned happenings, uint64_t late_ns,
		   struct kl_missing *ret);
void kl_missing_done(struct kl_missing *m);
/* How the entry was removed that this loss needed. NULL: not known, or that was not why. */
const struct kl_mac_evidence *kl_missing_entry(const struct kl_facts *f, const struct kl_missing *m,
					       size_t loss);
bool kl_is_missing(const struct kl_facts *f, const struct kl_missing *m, size_t loss);
uint64_t kl_count_missing(const struct kl_facts *f, const struct kl_missing *m);

/* A removal of which it is not told why, always after the same silence, is ageing. */
bool kl_is_like_ageing(const struct kl_link *l);
/* *ret_found: is there anything to say at all? */
enum kl_confidence kl_link_confidence(const struct kl_link *l, bool *ret_found);
void kl_say_link(const struct kl_link *l, struct kl_finding *ret);
/* Where the entry was, as text: "port Gi0/7 of 10.0.0.2". Both may be NULL. */
void kl_name_place(const struct kl_mac_evidence *m, const struct kl_ageing_evidence *set, char *ret,
		   size_t size);
const char *kl_way(uint32_t direction);
