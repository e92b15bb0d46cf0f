/* SPDX-License-Identifier: GPL-2.0-only */
/* What is counted of settled sightings: of a site, of a joiner's run. Only grows; sums add up. Pure. */
#pragma once

#include <kaloss/histogram.h>

#include "core/sites.h"
#include "core/tally.h"

struct kl_site_counts {
	uint64_t segments[KL_DIRECTIONS]; /* near sightings */
	struct kl_count kind[KL_DIRECTIONS][KL_KINDS];
	uint64_t unpaired[KL_PAIR_REASONS]; /* near or far */
	uint64_t unsaid;		    /* losses without a record */
	uint32_t transit[KL_HIST_BUCKETS];
	uint64_t transit_max_ns; /* since the counts were cleared */
};

void kl_site_count(struct kl_site_counts *n, const struct kl_site_settled *s);
void kl_site_counts_add(struct kl_site_counts *to, const struct kl_site_counts *n);
bool kl_site_counts_are_none(const struct kl_site_counts *n);
void kl_site_counts_tally(const struct kl_site_counts *n, struct kl_tally_report *ret);
uint64_t kl_site_counts_lost(const struct kl_site_counts *n);
