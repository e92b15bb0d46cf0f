/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a diagnosis has seen: counts, each lost copy and what became of its segment, and where the
 * sessions stand. Pure; findings.h draws the conclusions. All times are the access side's clock.
 *
 * A struct kl_diagnosis owns its list of losses. Losses beyond its bound are counted only.
 */
#pragma once

#include "core/evidence.h"
#include "core/pair.h"
#include "core/session.h"
#include "core/tally.h"

enum {
	KL_LOST_MAX = 1 << 20, /* losses kept one by one */
	KL_OBSERVED_MAX = 1 << 21,
	KL_EVIDENCE_TEXT = KL_STORY_TEXT,
};

/* A lost copy. */
struct kl_lost {
	uint64_t time_ns;    /* see struct kl_loss */
	uint64_t through_ns; /* when a later copy arrived at the far side; 0: not seen to */
	uint64_t reference;  /* the caller's own, of where it was seen; 0: nowhere */
	uint64_t conn_id;
	struct kl_endpoints ends;
	struct kl_endpoints seen[KL_SIDES]; /* as each side sees them; family 0: not known */
	uint8_t mac[6];
	uint16_t vlan;
	char device[KL_DEVICE_NAME];
	uint8_t where; /* enum kl_where */
	uint8_t direction;
	uint8_t kind;
	bool probable;
	uint32_t seq;
	uint32_t seq_other; /* as the cucm side numbers it */
	uint32_t length;
	uint32_t copies[KL_SIDES];
	uint32_t sent_again; /* near copies after this one */
	uint64_t late_ns;
	uint64_t idle_ns;   /* how long the phone had been silent before */
	uint8_t idle_known; /* enum kl_idle_known */
	size_t drop;	/* its place among the kernel's drops of the evidence, plus 1; 0: none */
	char *evidence; /* of an inferred loss; NULL: it was measured */
	size_t before;	/* the loss before of the same segment, plus 1; 0: none */
};

/* When a capture may not have seen what passed, by its own clock. */
struct kl_blind {
	uint32_t side;
	uint64_t from_ns;
	uint64_t to_ns;
};

/*
 * A copy of a keepalive or answer at its near side, or one that was lost before it. With them the
 * losses are compared: what was different where nothing was lost?
 */
struct kl_observed {
	uint64_t time_ns;
	uint64_t session; /* its id */
	uint32_t seq;
	uint32_t idle_ms; /* UINT32_MAX: more, or not known */
	uint16_t length;
	uint8_t direction : 1;
	uint8_t lost : 1;
	uint8_t again : 1;	/* a retransmission */
	uint8_t where : 2;	/* enum kl_where, of a lost one */
	uint8_t idle_known : 2; /* enum kl_idle_known */
	uint8_t kind;		/* enum kl_kind */
};

struct kl_open_loss; /* a segment with losses of which no copy has arrived yet */

struct kl_diagnosis {
	bool two_sided;
	struct kl_tally_report total;
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES];
	uint64_t inferred_unsure; /* inferred, but from what a capture may not have seen: dropped */
	size_t phones;		  /* the most at any time */
	uint64_t first_ns, last_ns; /* of all segments; 0: none */
	struct kl_lost *lost;
	size_t lost_count, lost_room;
	uint64_t lost_unlisted;
	/*
	 * In the order of time after kl_diagnosis_finish(). When there are too many, half of those
	 * that were not lost are left out, as a hash picks them: observed_stride says of how many one
	 * was kept (0 and 1: all). One of which it is not known whether it was lost has where
	 * KL_WHERE_UNKNOWN and lost 0.
	 */
	struct kl_observed *observed;
	size_t observed_count, observed_room;
	uint32_t observed_stride;
	uint64_t observed_seen;
	struct kl_evidence evidence;
	/*
	 * By far side: segments that the receiver acknowledged though that side's capture does not
	 * have them. A capture that drops packets leaves several; see kl_diagnosis_single().
	 */
	uint64_t doubtful_count[KL_SIDES];
	struct kl_paired doubtful[KL_SIDES]; /* the first one */
	uint64_t doubtful_reference[KL_SIDES];
	bool drops_declared[KL_SIDES]; /* by the capture itself; the caller's to say */
	uint64_t began_ns[KL_SIDES], ended_ns[KL_SIDES]; /* captures, by their clocks; 0: not yet */
	struct kl_blind *blind;
	size_t blind_count, blind_room;
	/* filled in at the end */
	struct kl_pair_clock clock; /* where two_sided */
	struct kl_pair_stats stats;
	const struct kl_sessions *sessions;
	struct kl_open_loss *open;
};

void kl_diagnosis_done(struct kl_diagnosis *d);

/* A settled segment of two captures. *ret_loss: where it is a loss, its index in d->lost, plus 1. */
int kl_diagnosis_paired(struct kl_diagnosis *d, const struct kl_paired *p, uint64_t reference,
			size_t *ret_loss);
/* A segment of a single capture. */
void kl_diagnosis_alone(struct kl_diagnosis *d, const struct kl_sighted *s, bool retransmission,
			bool duplicate);
/* A capture may not have seen what passed then: nothing is concluded from what is missing. */
int kl_diagnosis_blind(struct kl_diagnosis *d, const struct kl_blind *blind);
/* Is this loss inferred near such a time, or from what only one capture covers? ahead_ns: the cucm side's clock less the story's. */
bool kl_diagnosis_doubts(struct kl_diagnosis *d, const struct kl_story *story, int64_t ahead_ns);
/* One copy more to compare with; done by kl_diagnosis_story(), too. -ENOMEM. */
int kl_diagnosis_observe(struct kl_diagnosis *d, const struct kl_observed *o);
/*
 * A loss between the two interfaces of this host. Nothing but its time, where, ends, and what
 * identifies the segment has to be filled in. Takes a copy, of its evidence, too.
 */
int kl_diagnosis_lost(struct kl_diagnosis *d, const struct kl_lost *lost);
/* What the sessions found out. */
int kl_diagnosis_story(struct kl_diagnosis *d, const struct kl_story *story);
/*
 * After the last segment, with stats filled in: what a single missing segment of a side comes to,
 * that was acknowledged all the same. Where nothing else says that the capture dropped packets, it
 * is called lost, with what speaks against it. *ret_loss as above.
 */
int kl_diagnosis_single(struct kl_diagnosis *d, uint32_t far_side, size_t *ret_loss);

/* Nothing comes any more. */
void kl_diagnosis_finish(struct kl_diagnosis *d);

/* The same moment by the cucm side's clock. 0 for 0, and where the clocks are not known. */
uint64_t kl_diagnosis_other_clock(const struct kl_diagnosis *d, uint64_t time_ns);
