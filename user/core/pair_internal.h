/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the two-clock join share.
 *
 * A node is a held sighting. It is on three lists, each in the order of its side's stream: the
 * side's queue, its connection's, and the copies of its entry. All lists are taken from their heads
 * only. An entry is a segment: it lives as long as it has nodes. A conn is a connection as one side
 * sees it; the entries of two linked conns have the access side's conn for their home, and the
 * access side's numbers. Conns, nodes and entries come from pools and go back to them, so that a
 * pointer to a conn stays readable; its id says whether it is still the same one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/pair.h"
#include "util/table.h"

#define KL_PAIR_NS_PER_S 1000000000LL

/* How much too early a far copy may seem to be, for all that the clocks are known. */
#define KL_PAIR_EARLY_NS (80 * (int64_t)KL_NS_PER_MS)

enum {
	KL_PAIR_COPIES = 64,	   /* of one segment, looked at together */
	KL_PAIR_VOTES = 4,	   /* candidates for a partner */
	KL_PAIR_SAMPLES = 32,	   /* pairs of one direction that tell where the clocks stand */
	KL_PAIR_BINS = 48,	   /* intervals of which the best pairs are kept, for the drift */
	KL_PAIR_SUSPECTS = 8,	   /* pairs that may tell of a step of a clock */
	KL_PAIR_INTERVALS = 512,   /* gaps and drops of a side, at most */
	KL_PAIR_INCARNATIONS = 16, /* connections of the same addresses, held at a time */
};

struct kl_pair_conn;
struct kl_pair_entry;

enum kl_pair_verdict {
	KL_VERDICT_NONE = 0, /* not looked at */
	KL_VERDICT_MISSING,  /* nothing says that it arrived */
	KL_VERDICT_ACKNOWLEDGED,
	KL_VERDICT_UNSEEN,
	KL_VERDICT_UNCONFIRMED,
	KL_VERDICT_NO_ROOM,
	KL_VERDICT_RESENT, /* missing, and the receiver waited for it until it came again */
};

struct kl_pair_node {
	struct kl_pair_node *next; /* of the side's queue; of the pool */
	struct kl_pair_node *next_of_conn;
	struct kl_pair_node *next_copy;
	struct kl_pair_node *mate;
	struct kl_pair_conn *conn;
	struct kl_pair_entry *entry; /* NULL: its numbers mean nothing at the other side yet */
	uint64_t time_ns;
	int64_t at_ns;	/* access clock; valid once matched */
	int64_t far_ns; /* of a near node with a mate: access clock */
	uint64_t cookie;
	uint64_t far_cookie;
	uint64_t mark; /* what its payload is recognised by; 0: nothing */
	uint32_t seq;
	uint32_t ack;
	uint32_t payload_len;
	uint32_t stamp;
	uint16_t vlan;
	uint16_t copy;
	uint8_t side;
	uint8_t direction;
	uint8_t kind;
	uint8_t flags;
	uint8_t verdict; /* enum kl_pair_verdict */
	bool asks_again;
	bool duplicate;
	bool matched; /* the match cursor has passed it */
	bool paired;  /* it has, or had, a mate */
	bool strong_mark;
};

struct kl_pair_key {
	uint64_t home; /* conn id */
	uint32_t seq;
	uint32_t ack; /* without payload; else 0 */
	uint32_t len;
	uint32_t what; /* direction, SYN, FIN, RST */
};

struct kl_pair_entry {
	struct kl_pair_key key;
	struct kl_pair_node *head[KL_SIDES];
	struct kl_pair_node *tail[KL_SIDES];
	struct kl_pair_entry *next_free;
	uint32_t held[KL_SIDES]; /* without duplicates */
	uint16_t copies[KL_SIDES];
	bool stray; /* a far copy without a near one was handed out */
	bool dirty; /* has nodes that were not looked at together with the others */
	UT_hash_handle hh;
};

struct kl_pair_vote {
	struct kl_pair_conn *conn;
	uint64_t conn_id;
	uint32_t shift[KL_DIRECTIONS];
	uint32_t weight;
	uint8_t known; /* bit: shift[direction] */
	uint8_t how;
};

/* One direction of a connection, at one side. */
struct kl_pair_way {
	uint32_t isn;
	uint32_t end;	/* highest sequence number that left the hold, plus one */
	uint32_t acked; /* highest acknowledgement of it that left the hold */
	uint32_t last;	/* seq of the last segment that was fed */
	uint32_t held;	/* nodes */
	bool has_isn;
	bool has_last;
	bool has_end;
	bool has_acked;
	bool matched; /* has had pairs; of the home conn */
	bool blind;   /* the far side missed what arrived, and saw nothing since; of the home */
	bool fragmented;
};

struct kl_pair_conn {
	struct kl_endpoints ends;
	uint32_t side;
	uint8_t how; /* enum kl_pair_how */
	bool forgotten;
	uint64_t id; /* 0: in the pool */
	struct kl_pair_conn *partner;
	struct kl_pair_conn *older; /* the connection before, of the same addresses */
	struct kl_pair_conn *newer;
	struct kl_pair_conn *lru_prev, *lru_next;
	struct kl_pair_conn *next_free;
	struct kl_pair_node *head, *tail;
	struct kl_pair_way way[KL_DIRECTIONS];
	/* cucm side's numbers less the access side's; of both conns of a pair */
	uint32_t shift[KL_DIRECTIONS];
	bool shift_known[KL_DIRECTIONS];
	struct kl_pair_vote vote[KL_PAIR_VOTES];
	UT_hash_handle hh;
};

struct kl_pair_interval {
	uint64_t from_ns, to_ns;
	uint8_t reason; /* enum kl_pair_reason */
};

/* Apart from each other, in order. */
struct kl_pair_intervals {
	struct kl_pair_interval *of;
	uint32_t count, room;
};

/* One side. */
struct kl_pair_half {
	struct kl_pair_node *head, *tail;
	struct kl_pair_node *cursor; /* the next to be matched */
	uint64_t first_ns, last_ns;  /* of sightings and announcements */
	uint64_t began_ns, ended_ns;
	bool has_any, began, ended;
	int64_t out_ns; /* access clock, of the last one that was handed out */
	struct kl_pair_conn *conns;
	struct kl_pair_conn *lru_first, *lru_last;
	struct kl_pair_intervals blank; /* nothing was recorded, or nobody knows when */
	struct kl_pair_intervals drops; /* something was missed */
};

struct kl_pair_sample {
	int64_t at_ns; /* access clock */
	int64_t diff_ns;
	uint8_t direction;
};

struct kl_pair_bin {
	bool has[KL_DIRECTIONS];
	struct kl_pair_sample best[KL_DIRECTIONS]; /* of the shortest way */
};

struct kl_pair_track {
	bool known;
	bool counts; /* from enough pairs for a loss to stand on */
	int64_t base_ns, at_ns;
	double slope;
	int64_t lean_ns[KL_DIRECTIONS]; /* by how much a direction's median is off the offset */
	struct kl_pair_sample sample[KL_DIRECTIONS][KL_PAIR_SAMPLES];
	uint64_t samples[KL_DIRECTIONS];
	struct kl_pair_bin bin[KL_PAIR_BINS];
	uint32_t bins;
	int64_t bin_ns, bin_start_ns;
	struct kl_pair_sample suspect[KL_PAIR_SUSPECTS];
	uint32_t suspects;
	uint32_t strange[KL_DIRECTIONS];  /* pairs in a row that did not fit */
	int64_t good_at_ns, good_diff_ns; /* the last pair that fitted */
	uint64_t pairs;
	uint32_t steps;
	uint64_t step_ns;
};

struct kl_pair_print {
	uint64_t key;
	struct kl_pair_conn *conn;
	uint64_t conn_id;
	uint64_t time_ns;
	int64_t at_ns;
	uint32_t seq;
	uint32_t ack;
	bool has_ack;
	bool shared; /* by several connections: says nothing */
};

struct kl_pair {
	struct kl_pair_config config;
	struct kl_pair_half half[KL_SIDES];
	struct kl_pair_track track;
	struct kl_pair_entry *entries;
	struct kl_pair_node *free_nodes;
	struct kl_pair_entry *free_entries;
	struct kl_pair_conn *free_conns;
	void *chunks;	     /* a list of all that the pools are made of */
	size_t pooled_bytes; /* in it */
	struct kl_pair_print *print[KL_SIDES];
	struct kl_pair_print *moment[KL_SIDES];
	struct kl_pair_sample hint[256]; /* pairs of connections that are not linked yet */
	uint64_t hints;
	uint64_t next_id;
	uint32_t conns;
	uint32_t alone; /* conns without a partner */
	uint32_t
		both; /* entries that came to have copies of both sides before the clock was known */
	uint32_t try_at; /* of both, when the clock is looked for next */
	uint32_t tried;	 /* of both, when it was looked for as the last resort; plus one */
	bool finished;
	struct kl_pair_stats stats;
};

/* pair_hold.c: pools, queues, connections, entries */
struct kl_pair_conn *kl_pair_conn_of(struct kl_pair *p, const struct kl_sighted *s);
struct kl_pair_conn *kl_pair_conn_at(const struct kl_pair *p, uint32_t side,
				     const struct kl_endpoints *ends);
void kl_pair_conn_touch(struct kl_pair *p, struct kl_pair_conn *c);
void kl_pair_conn_drop(struct kl_pair *p, struct kl_pair_conn *c);
struct kl_pair_node *kl_pair_node_new(struct kl_pair *p);
/* The head of its side's queue. */
void kl_pair_node_release(struct kl_pair *p, struct kl_pair_node *n);
int kl_pair_attach(struct kl_pair *p, struct kl_pair_node *n);
void kl_pair_mark_duplicate(struct kl_pair_node *n);
/* All nodes of c get the entries that its numbers mean now. */
int kl_pair_reattach(struct kl_pair *p, struct kl_pair_conn *c);
struct kl_pair_entry *kl_pair_find(struct kl_pair *p, struct kl_pair_conn *home,
				   const struct kl_pair_node *n);
void kl_pair_hold_free(struct kl_pair *p);

/* Numbers of one connection are that near to each other, as long as it is held. */
#define KL_PAIR_SPAN (1U << 20)

/* Has a number that stands at `high` passed `seq`, not by too much to be of this connection? */
static inline bool kl_pair_passed(uint32_t high, uint32_t seq)
{
	return high - seq < KL_PAIR_SPAN;
}

static inline struct kl_pair_conn *kl_pair_home(struct kl_pair_conn *c)
{
	return c->side == KL_CUCM && c->partner ? c->partner : c;
}

/* pair_clock.c */
int64_t kl_pair_offset(const struct kl_pair *p, int64_t access_ns);
/* From a side's clock to the access side's, and back. */
int64_t kl_pair_to_access(const struct kl_pair *p, uint32_t side, uint64_t time_ns);
uint64_t kl_pair_from_access(const struct kl_pair *p, uint32_t side, int64_t at_ns);
void kl_pair_clock_add(struct kl_pair *p, uint32_t direction, uint64_t access_ns, uint64_t cucm_ns);
/* Looks for the clocks' difference in what is held. last: there will not be more to go by. */
bool kl_pair_clock_find(struct kl_pair *p, bool last);

/* pair_bounds.c */
struct kl_pair_bounds {
	int64_t offset_ns[2]; /* at the time asked for: from, to */
	double slope[2];
};

/* False: there are no pairs of both directions. base_ns: an offset that is about right. */
bool kl_pair_bounds(const struct kl_pair_track *t, int64_t at_ns, int64_t base_ns,
		    struct kl_pair_bounds *ret);

/* pair_partner.c */
int kl_pair_seek_partner(struct kl_pair *p, struct kl_pair_node *n);
int kl_pair_seek_by_time(struct kl_pair *p, struct kl_pair_node *n);

/* pair_cover.c */
/* -ENOMEM */
int kl_pair_cover_new(struct kl_pair *p);
void kl_pair_cover_free(struct kl_pair *p);
void kl_pair_cover_add(struct kl_pair *p, uint32_t side, uint64_t from_ns, uint64_t to_ns,
		       uint32_t reason);
/*
 * What keeps the side from having seen everything between these times of the access clock: where
 * there are several reasons, not the drops.
 */
uint32_t kl_pair_covered(const struct kl_pair *p, uint32_t side, int64_t from_ns, int64_t to_ns);
/* Of the side's own clock: the reason, but for drops. */
uint32_t kl_pair_blank_at(const struct kl_pair *p, uint32_t side, uint64_t time_ns);

/* pair_judge.c */
void kl_pair_match(struct kl_pair *p, struct kl_pair_entry *e);
/* A near node without a mate: what became of it? */
void kl_pair_examine(struct kl_pair *p, struct kl_pair_node *n);
/* A far node without a mate: what does that say of the near side? */
void kl_pair_examine_far(struct kl_pair *p, struct kl_pair_node *n);
void kl_pair_judge(struct kl_pair *p, struct kl_pair_node *n, struct kl_paired *ret);
bool kl_pair_is_probe(const struct kl_pair_node *n);
