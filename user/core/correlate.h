/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes together with the losses: how long the phone had been silent, how long the segment is,
 * whether the phone's MAC was removed from a table just before. Pure: asked of a diagnosis that is
 * finished, changes nothing.
 *
 * Everything is put as a 2x2 table of copies, with the chance that it came about by itself. That
 * chance is already multiplied by the number of things that were tried to find the table
 * (Bonferroni). Tables hold the copies that were kept; where the diagnosis thinned out what was
 * delivered, `stride` of them stand for each delivered one.
 */
#pragma once

#include "core/diagnosis.h"
#include "core/fisher.h"

/* ---- A threshold that separates the delivered from the lost ---- */

struct kl_split {
	struct kl_fourfold table; /* with: at or above the threshold */
	uint32_t below;		  /* the largest value below it that was delivered; 0: none was */
	uint32_t above;		  /* the smallest one at or above it that was lost */
	double p;
	uint64_t again_lost; /* of those lost above, sent again */
	/* Times that losses above came one after the other, without a delivered copy between. */
	uint64_t runs;
	/* The same for phones that lose most of it: of those with copies above, and of the others. */
	struct kl_fourfold by_phone;
	uint8_t direction;
	uint8_t wheres; /* bits of enum kl_where */
	bool some;	/* only phones were compared that lose by a threshold of their own */
	bool idle_all;	/* the silence of those lost above is that of all the phone's frames */
	uint32_t stride;
};

/*
 * The best threshold, of the silence before a copy in ms, or of its length in bytes. A split with
 * an empty table: there is none. -ENOMEM.
 */
int kl_split_idle(const struct kl_diagnosis *d, struct kl_split *ret);
int kl_split_length(const struct kl_diagnosis *d, struct kl_split *ret);

double kl_split_lost_above(const struct kl_split *s); /* the share of those above that were lost */
double kl_split_lost_below(const struct kl_split *s); /* of the lost ones, the share below */

/* Phones, told apart by their addresses. */
uint64_t kl_phone_key(const struct kl_endpoints *e);

/* ---- Removals from MAC tables ---- */

/* The evidence of these happenings, to be looked up by MAC. Owns two lists. */
struct kl_removals {
	const struct kl_evidence *evidence;
	struct kl_removal {
		uint64_t key;		 /* the MAC; KL_REMOVAL_TABLE: of the whole table */
		uint64_t from_ns, to_ns; /* when it may have happened */
		uint32_t index;
	} * list; /* by key, then to_ns */
	size_t count;
};

#define KL_REMOVAL_TABLE (1ULL << 48)

enum {
	KL_REMOVED_AGED = 1 << KL_MAC_AGED,
	KL_REMOVED_OTHERWISE = 1 << KL_MAC_FLUSHED | 1 << KL_MAC_MOVED | 1 << KL_MAC_VIOLATION |
			       1 << KL_MAC_TOPOLOGY_CHANGE,
	KL_REMOVED = KL_REMOVED_AGED | KL_REMOVED_OTHERWISE,
};

/* What is told over the network may be late: at most so, where nothing says that it is less. */
#define KL_LATE_NS (5000 * KL_NS_PER_MS)
int kl_removals_new(const struct kl_evidence *e, unsigned happenings, uint64_t network_late_ns,
		    struct kl_removals *ret);
void kl_removals_done(struct kl_removals *r);
/* The last one of this MAC that may have been after from_ns and until to_ns. NULL: none. */
const struct kl_mac_evidence *kl_removals_find(const struct kl_removals *r, uint64_t key,
					       uint64_t from_ns, uint64_t to_ns);
uint64_t kl_mac_key(const uint8_t mac[6]);

/* First copies of one direction, with and without a removal between the phone's last frame and them. */
struct kl_link {
	struct kl_fourfold table;
	double p, p_two_sided, odds;
	double chance;	  /* the share of shifts of all removals in time that fit as well */
	uint64_t moments; /* removals apart in time that losses followed */
	uint64_t phones;  /* sessions with losses after one */
	uint64_t lost_after[KL_MAC_HAPPENINGS];
	uint32_t silent_min_ms, silent_max_ms; /* before those removals; 0: not known */
	const struct kl_mac_evidence *example;
	uint64_t late_ns; /* with which it fits best: see kl_removals_new() */
	uint8_t direction;
	uint32_t stride;
};

/* Nothing goes together. */
#define KL_NO_LINK                                                                                 \
	((struct kl_link){ .p = 1,                                                                 \
			   .p_two_sided = 1,                                                       \
			   .odds = 1,                                                              \
			   .chance = 1,                                                            \
			   .late_ns = KL_LATE_NS,                                                  \
			   .stride = 1 })

/* skip: copies that this explains are not compared; NULL: none. */
int kl_link_removals(const struct kl_diagnosis *d, unsigned happenings, const struct kl_split *skip,
		     struct kl_link *ret);

/* Does the split explain such a loss? */
bool kl_split_explains(const struct kl_split *s, uint32_t direction, uint32_t where,
		       uint64_t idle_ms);
