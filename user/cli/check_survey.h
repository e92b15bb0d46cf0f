/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which connections the two sides have in common. A struct kl_survey is one picture, taken from the
 * kernel's table at the end of a look at the traffic; whoever asks for it frees it.
 */
#pragma once

#include "source/live.h"

enum kl_meeting {
	KL_MEET_AGREE = 0, /* seen on both sides, with the same sequence numbers */
	KL_MEET_DIFFER,	   /* seen on both sides, with other sequence numbers */
	KL_MEET_PARTLY,	   /* one of the directions is seen on one side only */
	KL_MEET_ACCESS,	   /* seen on the access side only */
	KL_MEET_CUCM,	   /* seen on the cucm side only */
	KL_MEETINGS,
};

enum {
	KL_SAMPLES = 1024
};

struct kl_met {
	struct kl_endpoints ends;
	__u32 end[KL_DIRECTIONS]; /* highest sequence number plus one, at the side that saw it */
	bool end_known[KL_DIRECTIONS];
	bool no_far[KL_DIRECTIONS];  /* seen near its sender and not at the farther side */
	bool no_near[KL_DIRECTIONS]; /* the other way round */
};

struct kl_survey {
	uint64_t before_ns;
	int error; /* negative errno: the table could not be read */
	uint64_t total;
	uint64_t met[KL_MEETINGS];
	uint64_t silent[KL_DIRECTIONS]; /* seen nowhere in this direction */
	uint64_t no_far[KL_DIRECTIONS]; /* as in struct kl_met, of KL_MEET_PARTLY */
	uint64_t no_near[KL_DIRECTIONS];
	struct kl_counters counters;

	/* One connection under two names. Of those in the samples. */
	uint64_t phone_translated; /* proven: the same numbers under another phone's address */
	uint64_t cucm_translated;
	uint64_t phone_suspected; /* one-sided on both sides, with the same cucm address and port */
	struct kl_met translated[KL_SIDES]; /* one of them, as each side sees it */

	size_t samples[KL_MEETINGS];
	struct kl_met sample[KL_MEETINGS][KL_SAMPLES];
};

/* Some connections are one-sided, perhaps only because a segment was just lost in between. */
bool kl_survey_may_change(const struct kl_survey *s);

/* Of the connections first seen before a time (CLOCK_MONOTONIC). NULL: out of memory. */
struct kl_survey *kl_survey_read(struct kl_live *live, uint64_t before_ns);
