/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A session in brief: what one that goes as it should is known by. Of a node a brief is made, and of
 * a brief the node that is to be expected by it. Any node has a brief: numbers are cut to the width
 * that they have here, and what does not fit is not as expected, and that is all. What a node is
 * beyond its brief is for the caller to keep. For session_rest*.c alone.
 */
#pragma once

#include <string.h>

#include "core/session_state.h"

/* Of a direction. */
struct kl_brief_way {
	uint32_t seq; /* of the last segment */
	uint16_t len;
	uint16_t missed;
	uint16_t quiet_whole;
	uint16_t idle_ms[KL_RECENT]; /* before the last ones, newest first */
	uint8_t recent : 3;	     /* how many of these there are */
	uint8_t timed : 1;	     /* it is known when they were */
	uint8_t known : 2;	     /* enum kl_idle_known, of the last one */
	uint8_t known_before : 2;
} __attribute__((packed));

/* Of a segment that was sent again. */
struct kl_brief_episode {
	uint64_t age_ns : 56; /* its first copy, before seen_ns */
	uint32_t took_ns;     /* until the last one */
	uint32_t seq;
	uint16_t idle_ms[2]; /* before the first one, and before the last one */
} __attribute__((packed));

struct kl_brief {
	uint8_t next_mac[6];
	uint16_t vlan;
	uint8_t mac[6];
	uint32_t phone;
	uint32_t cucm;
	uint16_t phone_port;
	uint16_t cucm_port;
	uint64_t seen_ns;
	uint64_t age_ns : 56;
	uint32_t registered_ns; /* after the start; 0: not seen */
	struct kl_brief_way way[KL_DIRECTIONS];
	uint32_t asked_ns;     /* before seen_ns: the last keepalive */
	uint32_t took_ns[2];   /* until the last answers, newest first */
	uint32_t usual_us;     /* the period; as long as it is not known, the first interval */
	uint32_t due_ns;       /* against a period after the last keepalive */
	uint32_t rest_ns : 10; /* of the last interval, beyond its microseconds */
	uint32_t told_s : 12;
	uint32_t told_second_s : 8;
	uint32_t asked_again : 2; /* by bit: which episodes there are */
	uint32_t keepalives : 24;
	uint32_t unanswered : 8;
	uint32_t jitter_us : 24;
	uint32_t max_us : 24; /* of the answers, as the next two */
	uint32_t sum_us;
	uint16_t mean; /* in its lowest bits, against what the sum makes of it */
	uint8_t kind : 4;
	uint8_t asked_kind : 4;
	uint8_t answer_kind : 4;
	uint8_t role : 2;
	uint8_t source : 2;
	uint8_t slips : 3;
	uint8_t measured : 1;
	uint8_t from_syn : 1;
	uint8_t acked : 2; /* the last ones, by direction */
	uint8_t got_through : 1;
	uint8_t clean_sample : 1;
	uint8_t phone_last : 1; /* what was seen last is the phone's */
	uint8_t waits : 1;	/* for the answer */
	uint8_t named : 1;
	uint8_t named_else : 1; /* than by its mac */
	uint8_t lates : 1;
	uint8_t answered_again : 2; /* as asked_again */
	/* What not all have: see kl_brief_..._at(). */
	uint8_t more[];
} __attribute__((packed));

enum {
	KL_BRIEF_NAME = 6,     /* bytes of the MAC address in a name */
	KL_BRIEF_LATES = 2,    /* late ones whose times follow from nothing else */
	KL_BRIEF_INTERVAL = 3, /* bytes of one */
	KL_BRIEF_MAX = sizeof(struct kl_brief) + KL_BRIEF_NAME + KL_BRIEF_LATES * sizeof(uint16_t) +
		       KL_DIRECTIONS * KL_EPISODES * sizeof(struct kl_brief_episode) +
		       KL_SCHEDULE_INTERVALS * KL_BRIEF_INTERVAL + 1,
};

/* ret: of KL_BRIEF_MAX bytes. */
void kl_brief_of(const struct kl_node *n, struct kl_brief *ret);
/* All but what the table knows. At least a byte follows the brief in memory. */
void kl_brief_expect(const struct kl_brief *b, struct kl_node *ret);

/* ---- Where it is what not all have ---- */

/* named_else: the MAC address in the name comes first. lates: as rest_ns, of each of them. */
static inline size_t kl_brief_lates_at(const struct kl_brief *b)
{
	return b->named_else ? KL_BRIEF_NAME : 0;
}

static inline size_t kl_brief_episodes_at(const struct kl_brief *b)
{
	return kl_brief_lates_at(b) + (b->lates ? KL_BRIEF_LATES * sizeof(uint16_t) : 0);
}

/* By bit: which there are, of both directions. */
static inline unsigned kl_brief_episodes(const struct kl_brief *b)
{
	return b->asked_again | (unsigned)b->answered_again << KL_EPISODES;
}

/* The intervals, against usual_us. Each is written, and read, with the byte behind it. */
static inline size_t kl_brief_intervals_at(const struct kl_brief *b)
{
	size_t ret = kl_brief_episodes_at(b);

	for (unsigned left = kl_brief_episodes(b); left; left &= left - 1)
		ret += sizeof(struct kl_brief_episode);
	return ret;
}

static inline uint32_t kl_brief_seen(const struct kl_brief *b)
{
	return b->keepalives ? b->keepalives - 1 : 0;
}

static inline uint32_t kl_brief_intervals(const struct kl_brief *b)
{
	uint32_t seen = kl_brief_seen(b);

	return seen < KL_SCHEDULE_INTERVALS ? seen : KL_SCHEDULE_INTERVALS;
}

static inline size_t kl_brief_size(const struct kl_brief *b)
{
	return sizeof(*b) + kl_brief_intervals_at(b) + kl_brief_intervals(b) * KL_BRIEF_INTERVAL;
}

/* ---- What both ways are made of ---- */

static inline uint64_t kl_brief_interval_ns(const struct kl_schedule *q, uint32_t back)
{
	return q->recent_us[(q->seen - 1 - back) % KL_SCHEDULE_INTERVALS] * KL_NS_PER_US;
}

/* The bits of the mean of the answers, as far as the sum tells it. */
static inline uint64_t kl_brief_mean(const struct kl_brief *b)
{
	uint32_t count = b->keepalives - b->unanswered;
	double mean = count ? (double)b->sum_us / count : 0;
	uint64_t ret;

	memcpy(&ret, &mean, sizeof(ret));
	return ret;
}

/* A byte of each of eight. */
#define KL_BRIEF_EACH(byte) (0x0101010101010101ULL * (byte))
