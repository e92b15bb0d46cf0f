/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The join between two clocks: two streams of sightings, one from each side, each in the order and
 * with the clock of its own capture, become one stream of settled segments in the order of the
 * access side's clock. Pure: no files, no clock, told of everything.
 *
 * How it works. Sightings are held in the order of their side. Connections find their partner at
 * the other side (by addresses and numbers, else by content, else by time), and sightings of the
 * same segment meet in one entry, whatever the clocks say. Entries with one copy at each side tell
 * the clocks' difference. A sighting is matched once both sides were read a little further, and
 * judged and handed out once they were read hold_ns further. So what decides on a loss has seen
 * what came after it: later copies, acknowledgements, other signs that a capture missed something.
 *
 * Invariant: of one segment, never more near copies are called lost than there are near copies
 * without a far one; and none unless the far capture covers its time, sees that direction of the
 * connection, and nothing says that the receiver has it by another way.
 *
 * Memory: max_held sightings (about 250 bytes each with their entry) and max_conns connections
 * (about 400 bytes each), allocated as they are needed, and tables of about 250 bytes for each of
 * `prints`, which is 4 MiB unless they are set. Nothing grows with the length of the captures.
 *
 * A struct kl_pair owns all of it; what it is fed is copied, what it hands out is a copy.
 */
#pragma once

#include <stdint.h>

#include <kaloss/segment.h>

struct kl_pair;

struct kl_pair_config {
	uint64_t seed;	       /* of the hashes: drawn by the caller */
	uint64_t tolerance_ns; /* longest way from the near to the far side; 0: 2 s */
	uint64_t hold_ns; /* how far both sides are read ahead; 0: 300 s; at least 8 tolerances */
	/*
	 * That side's capture is known to be complete. Then what is missing in it did not pass it,
	 * even where the receiver acknowledges it, so long as it sees more of that direction.
	 */
	bool complete[KL_SIDES];
	uint32_t max_held;  /* sightings; 0: 512 Ki */
	uint32_t max_conns; /* connections of both sides; 0: 64 Ki */
	/*
	 * What connections without a partner carried is remembered in so many places, to find one of
	 * other addresses by it; a power of two. 0: 16 Ki. Few where both sides see the same ones.
	 */
	uint32_t prints;
};

/* A segment seen at a side. What is not known is 0. */
struct kl_sighted {
	uint64_t time_ns;	  /* the clock of that side */
	struct kl_endpoints ends; /* as that side sees them */
	uint32_t seq;
	uint32_t ack;
	uint32_t payload_len;
	uint32_t stamp;	  /* kl_stamp() */
	uint64_t content; /* hash of the payload; 0: cut or empty */
	uint64_t call;	  /* hash of SIP Call-ID and CSeq (number and method); 0: none */
	uint64_t device;  /* hash of the device's name, where the payload registers it; 0: none */
	uint64_t cookie;  /* the caller's own, handed back */
	uint16_t vlan;
	uint8_t side;
	uint8_t direction;
	uint8_t kind;
	uint8_t flags;	 /* enum kl_tcp_flag */
	bool asks_again; /* as in struct kl_segment */
	bool fragment;	 /* a fragment of a packet of this connection: noted, not joined */
};

/* What a capture covers. Of what came before, tell before feeding what was seen after it. */
enum kl_cover {
	KL_COVER_BEGAN = 0, /* from; else the first sighting counts */
	KL_COVER_READ,	    /* read until `to`, whether or not there was anything to feed */
	KL_COVER_ENDED,	    /* at `to` (0: with the last sighting); nothing is fed any more */
	KL_COVER_GAP,	    /* nothing was recorded from `from` to `to` */
	KL_COVER_DROPPED,   /* something was dropped between `from` and `to` */
};

enum kl_pair_fate {
	KL_PAIR_DELIVERED = 0,
	KL_PAIR_LOST,
	KL_PAIR_UNPAIRED,   /* see enum kl_pair_reason */
	KL_PAIR_DUPLICATE,  /* the same packet once more at one side */
	KL_PAIR_NOT_JOINED, /* of a kind that is not counted */
	KL_PAIR_FATES,
};

enum kl_pair_reason {
	KL_PAIR_NO_REASON = 0,
	KL_PAIR_BEFORE,	      /* before the other capture began */
	KL_PAIR_AFTER,	      /* after the other capture ended */
	KL_PAIR_GAP,	      /* in a gap of the other capture */
	KL_PAIR_DROPPED,      /* the other capture dropped packets about that time */
	KL_PAIR_STEP,	      /* about that time one of the clocks was set */
	KL_PAIR_NO_CLOCK,     /* too little in common to know the clocks' difference */
	KL_PAIR_NO_PARTNER,   /* the connection was not found in the other capture */
	KL_PAIR_REWRITTEN,    /* it was, but the sequence numbers differ and no shift was found */
	KL_PAIR_ONE_SIDED,    /* the other capture never sees this direction of the connection */
	KL_PAIR_ACKNOWLEDGED, /* the receiver has it, and the other capture did not see it arrive */
	KL_PAIR_UNSEEN,	      /* the other capture does not see this connection any more */
	KL_PAIR_UNCONFIRMED,  /* nothing says whether it arrived */
	KL_PAIR_OUT_OF_TIME,  /* the other capture has a copy, at a time that cannot be */
	KL_PAIR_FRAGMENTED,   /* packets of the connection were fragmented */
	KL_PAIR_FAR_ONLY,     /* the near capture missed it */
	KL_PAIR_NO_ROOM,      /* handed out early to make room */
	KL_PAIR_REASONS,
};

/* How the partner of a connection was found. */
enum kl_pair_how {
	KL_PAIR_ALONE = 0,
	KL_PAIR_BY_ADDRESS,
	KL_PAIR_BY_NUMBERS, /* other addresses, same sequence numbers: NAT */
	KL_PAIR_BY_CONTENT, /* Call-ID and CSeq, device name, payload */
	KL_PAIR_BY_TIME,    /* SYN, or equal lengths at equal times */
	KL_PAIR_HOWS,
};

/*
 * A settled segment. One per sighting at the near side; of the far side only what has no near copy
 * (near_ns is 0 then). Times are those of the access side's clock.
 */
struct kl_paired {
	uint64_t near_ns;
	uint64_t far_ns;     /* 0: none */
	uint64_t seen_ns;    /* the clock of the side that saw it (near, else far), unchanged */
	uint64_t conn_id;    /* one for both sides once they found each other; never 0 */
	uint64_t cookie;     /* of the near sighting, else of the far one */
	uint64_t far_cookie; /* where there are both */
	struct kl_endpoints ends[KL_SIDES]; /* as each side sees them; family 0: not known */
	uint32_t seq; /* as the access side numbers them, where that is known */
	uint32_t ack;
	uint32_t seq_other; /* as the cucm side numbers them */
	uint32_t payload_len;
	uint32_t stamp;
	uint16_t copy;	     /* 1: the first one at that side, as far as held; duplicates: 0 */
	uint16_t copies_far; /* of this segment, held when this one was judged */
	uint16_t vlan;
	uint8_t side; /* of the sighting */
	uint8_t direction;
	uint8_t kind;
	uint8_t flags;
	uint8_t fate;	/* enum kl_pair_fate */
	uint8_t reason; /* enum kl_pair_reason */
	bool asks_again;
};

struct kl_pair_clock {
	bool known;
	int64_t offset_ns; /* the cucm side's clock less the access side's, at at_ns */
	uint64_t at_ns;	   /* access clock; the middle of the time that pairs were found in */
	uint64_t offset_error_ns; /* half of what goes there and back, and the scatter */
	double drift_ppm;	  /* by which the cucm side's clock runs fast */
	double drift_error_ppm;
	uint64_t pairs;	  /* that the clocks were learnt from */
	uint32_t steps;	  /* how often one of the clocks was set; the above is since the last */
	uint64_t step_ns; /* when, about, the last time */
	/* by direction, as seen with the offset above, which makes the shortest ways equal */
	int64_t min_transit_ns[KL_DIRECTIONS];
	int64_t median_transit_ns[KL_DIRECTIONS]; /* of the last pairs */
};

struct kl_pair_stats {
	uint64_t sightings[KL_SIDES];
	uint64_t conns[KL_SIDES]; /* seen at each side */
	uint64_t paired[KL_PAIR_HOWS];
	uint64_t shifted;   /* connections whose sequence numbers differ by a constant */
	uint64_t forgotten; /* connections for which there was no room any more */
	uint64_t fates[KL_PAIR_FATES][KL_DIRECTIONS];
	uint64_t reasons[KL_PAIR_REASONS];
	/* of the connections that have no partner, and are gone: why */
	uint64_t alone[KL_PAIR_REASONS];
	uint32_t held; /* now */
	uint32_t held_most;
};

/* -ENOMEM, -EINVAL. */
int kl_pair_new(const struct kl_pair_config *config, struct kl_pair **ret);
void kl_pair_free(struct kl_pair *p); /* NULL is fine */
static inline void kl_pair_freep(struct kl_pair **p)
{
	kl_pair_free(*p);
}

/*
 * Takes one sighting. Take out what kl_pair_next() has after each. -ENOMEM, -EINVAL; -ENOSPC: there
 * is no room for another connection while all are held (max_conns).
 */
int kl_pair_feed(struct kl_pair *p, const struct kl_sighted *s);

/* -EINVAL. Times are of that side's clock. */
int kl_pair_cover(struct kl_pair *p, uint32_t side, enum kl_cover what, uint64_t from_ns,
		  uint64_t to_ns);

/* The side to read next so that little has to be held; KL_SIDES: both have ended. */
uint32_t kl_pair_wants(const struct kl_pair *p);

/* The next settled segment: true, and *ret. */
bool kl_pair_next(struct kl_pair *p, struct kl_paired *ret);

/* Both sides have ended: kl_pair_next() hands out all the rest. */
void kl_pair_finish(struct kl_pair *p);

/* The oldest sighting of a side that is not handed out: true, and its cookie. */
bool kl_pair_oldest(const struct kl_pair *p, uint32_t side, uint64_t *ret_cookie);

/* A time of one side by the clock of the other. False: their difference is not known yet. */
bool kl_pair_other_clock(const struct kl_pair *p, uint32_t side, uint64_t time_ns,
			 uint64_t *ret_ns);

/*
 * Was anything that the near side saw after this one found at the far side, by the same clocks? Else a
 * clock may have been set, or a host have stood still, by more than is held.
 */
bool kl_pair_went_on(const struct kl_pair *p, const struct kl_paired *since);

void kl_pair_clock(const struct kl_pair *p, struct kl_pair_clock *ret);
/* After kl_pair_finish() and the last kl_pair_next(), `alone` counts every connection. */
void kl_pair_stats(const struct kl_pair *p, struct kl_pair_stats *ret);

const char *kl_pair_reason_name(uint32_t reason);
