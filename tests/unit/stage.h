/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stage: one phone, its server, the two sides between which their segments are seen, and the
 * sessions that are told of it. Tests say who sends what and when, and where it gets lost; the
 * bookkeeping of TCP (numbers, acknowledgements, IP identification) is done here, and what the
 * sessions find out is kept.
 */
#pragma once

#include "core/follow.h"
#include "core/session.h"

#define STAGE_MS KL_NS_PER_MS
#define STAGE_S (1000 * KL_NS_PER_MS)
/* The clock does not start at 0. */
#define STAGE_START_NS (5000 * STAGE_S)

enum {
	STAGE_STORIES = 512,
	STAGE_PAYLOAD = 1024,
	STAGE_MISSING = 64,
};

enum stage_fate {
	ARRIVES,
	LOST_BEFORE,  /* its near side: nobody sees it */
	LOST_BETWEEN, /* seen at the near side only */
	LOST_BEYOND,  /* seen at both sides, and does not arrive */
	FORGED,	      /* by a box between the two sides: seen at the far one only */
};

/* How an end numbers its packets (IP identification). */
enum stage_numbers {
	BY_CONNECTION, /* one by one, and its SYN says so */
	BY_ONE,	       /* one by one, but nothing says so */
	BY_COUNTER,    /* one counter for all that it sends: others count along */
	AT_RANDOM,
	CONSTANT,
	NO_NUMBERS, /* always 0, or IPv6 */
};

struct stage_setup {
	__u32 service; /* enum kl_service */
	bool ipv6;
	bool one_sided; /* a single capture: both directions at one place */
	bool mirrored;	/* seen at mirror ports */
	bool no_sack;
	bool segments; /* stories of single segments are kept, too */
	bool backup;   /* its keepalives are only acknowledged, or a backup's */
	enum stage_numbers phone, server;
	__u32 expires_s;	 /* of the 200 OK; 0: 120 */
	__u64 transit_ns;	 /* 0: 100 µs */
	__u64 answer_ns;	 /* 0: 2 ms */
	__u64 tick_ns;		 /* 0: 250 ms; how often time goes on by itself */
	size_t max;		 /* sessions */
	struct kl_sessions *use; /* of another stage; NULL: its own */
	__u64 id;
};

struct stage_end {
	enum stage_numbers numbers;
	__u32 seq; /* the next byte it sends */
	__u32 ack; /* the next one it waits for */
	__u32 last_seq, last_len;
	__u16 id;
};

struct stage_text {
	__u32 len;
	__u8 data[STAGE_PAYLOAD];
};

struct stage_missing {
	__u64 due_ns;
	__u32 direction, seq, len;
};

struct stage {
	struct stage_setup setup;
	struct kl_follow follow;
	struct kl_sessions *sessions;
	struct kl_conn conn;
	struct stage_end end[KL_DIRECTIONS]; /* by the direction in which it sends */
	struct stage_text keepalive, trying, answer;
	bool made, duplicate;
	__u32 silence; /* as the kernel says it at the near side: ms plus one; 0: it does not */
	__u8 ttl;      /* 0: 64; one less at the far side */
	__u64 now, tick_ns;
	__u64 random;
	struct stage_missing missing[STAGE_MISSING];
	unsigned missings;
	/* what was told; text and all */
	struct kl_story *stories;
	unsigned count; /* may be more than are kept */
	unsigned inferred[KL_DIRECTIONS][KL_WHERES];
};

void stage_init(struct stage *st, const struct stage_setup *setup);
void stage_done(struct stage *st);

/* Time goes on until then: sweeps, and what waits. */
void stage_until(struct stage *st, __u64 at);

/* A segment as it is; only the sender's IP identification is counted. */
void stage_segment(struct stage *st, __u64 at, __u32 direction, __u8 flags, __u32 seq,
		   const void *payload, __u32 len, enum stage_fate fate);

void stage_connect(struct stage *st, __u64 at);
void stage_close(struct stage *st, __u64 at, __u32 direction, __u8 flags);
/* New bytes. */
void stage_say(struct stage *st, __u64 at, __u32 direction, const void *payload, __u32 len,
	       enum stage_fate fate);
/* The last ones of this direction once more. */
void stage_again(struct stage *st, __u64 at, __u32 direction, const struct stage_text *text,
		 enum stage_fate fate);
void stage_ack(struct stage *st, __u64 at, __u32 direction, enum stage_fate fate);
/* The server answers and is acknowledged. Returns when the phone had its answer. */
__u64 stage_answer(struct stage *st, __u64 at);
/* A keepalive and all that follows. Returns when the phone had its answer. */
__u64 stage_exchange(struct stage *st, __u64 at);
/* The same, with copies lost: the first retry after rto_ns, each next one after twice that. */
__u64 stage_struggle(struct stage *st, __u64 at, __u64 rto_ns, unsigned lost, enum stage_fate fate);

/* ---- What was found out ---- */

/* The n-th story of this type, from 0; NULL: there are fewer. */
const struct kl_story *stage_story(const struct stage *st, enum kl_story_type type, unsigned n);
unsigned stage_stories(const struct stage *st, enum kl_story_type type);
unsigned stage_forecasts(const struct stage *st, enum kl_forecast_state state);
const struct kl_session *stage_session(const struct stage *st);
/* Inferred losses of all kinds; each must carry its evidence. */
unsigned stage_losses(const struct stage *st);
void stage_print(const struct stage *st);

/* Uniform in [0, 1), from the stage's own seeded generator. */
double stage_random(struct stage *st);
