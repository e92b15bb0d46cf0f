/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two captures made by hand: phones that send a keepalive now and then, each packet with what
 * became of it. Times are true ones; each side sees them by its own clock.
 */
#pragma once

#include "pair_run.h"

#define HAND_MS 1000000LL
#define HAND_S (1000 * HAND_MS)
#define HAND_WAY (5 * HAND_MS)

enum {
	HAND_PHONES = 16,
};

/* What happens to one exchange: keepalive, answer, acknowledgement. */
enum hand_what {
	HAND_FINE = 0,
	HAND_LOST = 1 << 0,	  /* the first copy; the next one comes after 300 ms */
	HAND_LOST_TWICE = 1 << 1, /* and the second; the third comes after 600 ms more */
	HAND_DEAD = 1 << 2,	  /* all five copies, and nothing comes back */
	HAND_FAR_MISSED = 1 << 3, /* the cucm side's capture has no copy of the keepalive */
	HAND_NEAR_MISSED = 1 << 4,
	HAND_FAR_BLIND = 1 << 5, /* that of the cucm side has nothing of it all */
	HAND_DOUBLED = 1 << 6,	 /* span ports: each packet twice at both sides */
	HAND_CALL = 1 << 7,	 /* with a Call-ID and CSeq */
};

struct hand {
	struct pair_stream stream[KL_SIDES];
	struct kl_pair_config config;
	int64_t clock_ns;	     /* of the cucm side: ahead by that */
	double drift;		     /* fast by that */
	int64_t step_at_ns, step_ns; /* of the cucm side's clock */
	bool nat, shift, no_ids;
	bool declares;			/* both captures dropped something */
	int64_t gap_from_ns, gap_to_ns; /* of the cucm side's capture, true time */
	int64_t far_from_ns, far_to_ns; /* what it covers; 0: all */
	uint32_t next[HAND_PHONES][KL_DIRECTIONS];
	uint64_t packets;
};

struct hand_result {
	uint32_t fate[KL_PAIR_FATES], reason[KL_PAIR_REASONS];
	uint64_t first_lost; /* its cookie: the number of its packet; 0: none */
	struct kl_pair_clock clock;
	struct kl_pair_stats stats;
};

uint64_t hand_clock(const struct hand *h, uint32_t side, int64_t true_ns);
/* One packet of the phone, or to it; far_ns 0: lost. Returns its number. */
uint64_t hand_packet(struct hand *h, uint32_t phone, struct kl_sighted s, int64_t near_ns,
		     int64_t far_ns, uint32_t what);
void hand_syn(struct hand *h, uint32_t phone, int64_t at_ns, uint32_t isn);
void hand_exchange(struct hand *h, uint32_t phone, int64_t at_ns, uint32_t what);
/* Every 10 s, with the phones a second apart. */
void hand_steady(struct hand *h, uint32_t from_phone, uint32_t to_phone, int64_t from_ns,
		 int64_t to_ns, uint32_t what);
/* Plays it, and frees the streams. */
struct hand_result hand_play(struct hand *h);
