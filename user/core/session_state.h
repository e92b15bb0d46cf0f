/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files session*.c share, and nobody else includes: a session with what it takes to judge
 * the next event, and all of them. Each file owns its part of the rules:
 *
 *   session.c          the order of events, bounds, starts and ends
 *   session_table.c    where they are kept
 *   session_rest*.c    in how few bytes, between their events
 *   session_keepalive.c  roles, schedules, answers: what a first copy means
 *   session_loss_near.c  losses before the near side
 *   session_loss_far.c   losses beyond the far one
 *   session_idle.c     how long the phone had been silent
 *   session_forecast.c when the server will give the phone up
 */
#pragma once

#include "core/session.h"
#include "core/session_table.h"

/* The times of more copies than this are not kept: their losses are told with the last one's. */
enum {
	KL_EPISODE_TIMES = 4,
	KL_LATE_KEPT = 4, /* keepalives that may turn out to have been late */
	KL_EPISODES = 2,  /* segments of a direction that are sent again at a time */
	KL_RECENT = 4,	  /* segments of a direction whose silence is remembered */
};

/* When the phone was heard last before something. */
struct kl_heard {
	uint64_t known : 2; /* enum kl_idle_known; KL_IDLE_UNKNOWN: time_ns says nothing */
	uint64_t time_ns : 62;
};

/* How long the phone had been silent before the copies of a segment that were seen. */
struct kl_recent {
	uint32_t seq;
	uint32_t len;
	uint16_t copy;	     /* the last one; 0: there is no segment */
	uint8_t known[2];    /* enum kl_idle_known; of the first copy, and of the last one */
	uint32_t idle_ms[2]; /* of the same */
};

/* A first copy, as it was seen last in its direction. */
struct kl_last {
	uint64_t time_ns;
	uint32_t seq;
	uint32_t len;
	uint16_t missed;      /* cumulative, of its direction */
	uint16_t peer_missed; /* of the other one */
	uint8_t kind;
	bool acked;
	bool got_through; /* a keepalive: the server has it */
	struct kl_heard heard;
};

/*
 * A segment that was sent again. What became of its copies is decided when its acknowledgement is
 * in and nothing more can be said of them: at settle_ns.
 */
struct kl_episode {
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t settle_ns; /* 0: not acknowledged yet */
	uint64_t copy_ns[KL_EPISODE_TIMES];
	struct kl_heard heard[KL_EPISODE_TIMES]; /* before each of them */
	uint32_t seq;
	uint32_t len;
	uint16_t copies;      /* at the near side; 0: there is no episode */
	uint16_t crossed;     /* of those before the last one */
	uint16_t between;     /* lost between the sides, also the last one */
	uint16_t duplicates;  /* that the receiver says it got twice */
	uint16_t peer_missed; /* of the receiver's numbering, before the first copy */
	uint32_t usual_us;    /* the longest answer before it, of usual_count */
	uint32_t usual_count;
	uint8_t kind;
	uint8_t missed;	   /* numbers that the receiver left out since; stays at 255 */
	bool acked_before; /* sent again although it was acknowledged, and nothing told before */
	bool acked_after; /* the same, but its first acknowledgement tells of the copies before it */
	bool undecided;	  /* something may have hidden a copy */
	bool hole;	  /* the receiver sent bytes that were not seen */
	bool sack;	  /* both ends permitted SACK: a duplicate would be reported */
	bool numbered;	  /* the receiver numbers its packets one by one */
	uint64_t acked_ns; /* 0: not yet */
};

/* Bytes that were passed, by a segment that was seen, and were not seen themselves. */
struct kl_hole {
	uint64_t time_ns; /* when that segment came; 0: there is no hole */
	uint32_t seq;	  /* of that segment: the hole ends here */
	uint32_t len;
	uint8_t kind;
	uint8_t copies; /* of that segment that were lost, too, if the hole is of one segment */
	struct kl_heard heard; /* before that segment */
};

struct kl_late {
	uint64_t time_ns;
	uint64_t late_us;
	uint32_t seq;
	uint32_t len;
	bool told;
	bool silent; /* whole periods, since the one before */
	struct kl_heard heard;
};

struct kl_flow_story {
	struct kl_last last;		    /* last.time_ns 0: none */
	struct kl_last before;		    /* the one before that */
	struct kl_recent recent[KL_RECENT]; /* newest first */
	uint64_t again_ns;		    /* when something was last sent again; 0: never */
	struct kl_episode episode[KL_EPISODES];
	struct kl_hole hole;
	uint64_t rto_ns;      /* the timeout that ran out last; 0: not seen */
	uint16_t quiet_whole; /* unasked segments before which no number was left out */
	uint16_t quiet_odd;   /* those on time before which one was: others count along */
	uint16_t late_odd;    /* those that came late, and before which one was */
};

/* How late the last keepalives got through to the server. */
struct kl_growth {
	uint64_t at_ns;	    /* when the last one did */
	uint64_t delay_us;  /* after it was due */
	uint32_t before_us; /* the one before */
	uint8_t doublings;  /* in a row */
	bool sure;	    /* the delay is a timeout: a retransmission, or numbers left out */
};

struct kl_node {
	struct kl_session session;
	struct kl_flow_story flow[KL_DIRECTIONS];
	struct kl_late late[KL_LATE_KEPT]; /* the last ones, newest first */
	struct kl_growth growth;
	uint64_t phone_ns;	  /* when the phone's last event was; 0: none since a gap */
	uint64_t phone_before_ns; /* and the one before that */
	uint64_t gap_ns;      /* since when, after a gap, nothing is inferred; 0: there is no gap */
	uint64_t given_up_ns; /* when a forecast did not come true: no new one until it is well */
	uint64_t tls_ns[2];   /* candidates for the keepalive under TLS */
	uint32_t tls_len[2];
	uint32_t tls_interval_us[2];
	uint64_t answer_due_ns; /* of the outstanding keepalive: when it was asked; 0: none */
	bool clean_sample;	/* since the last timeout a segment was acknowledged at once */
	/* Not kept while it is at rest: */
	struct kl_heard heard; /* before the event that is being judged, and only then */
	/* The table's: */
	bool pinned;
	uint32_t place;
	void *rest; /* the record it was woken from; NULL: none yet */
};

enum {
	KL_WHEEL_SLOTS = 512
};
#define KL_WHEEL_TICK_NS (125 * KL_NS_PER_MS)

struct kl_sessions {
	struct kl_sessions_config config;
	struct kl_table *table;
	struct kl_chain wheel[KL_WHEEL_SLOTS];
	uint64_t wheel_ns; /* everything before was looked at */
	uint64_t gap_ns;   /* when something may last not have been seen; 0: never */
	struct kl_phones *phones;
	uint64_t evicted;
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES];
	uint64_t inferred_retransmissions[KL_DIRECTIONS];
};

/* ---- Across the files ---- */

static inline struct kl_story kl_story_of(const struct kl_node *n, enum kl_story_type type,
					  uint64_t time_ns)
{
	return (struct kl_story){ .type = type, .time_ns = time_ns, .session = &n->session };
}

static inline void kl_tell(struct kl_sessions *s, const struct kl_story *story)
{
	if (s->config.handler)
		s->config.handler(story, s->config.arg);
}

/* What is open about this segment; NULL: nothing. */
static inline struct kl_episode *kl_episode_of(struct kl_flow_story *f, uint32_t seq, uint32_t len)
{
	for (int i = 0; i < KL_EPISODES; i++) {
		if (f->episode[i].copies && f->episode[i].seq == seq && f->episode[i].len == len)
			return &f->episode[i];
	}
	return NULL;
}

/* Is the sender's numbering one by one on this connection, as far as was seen? */
static inline bool kl_is_numbered(const struct kl_flow_story *f, uint8_t steps)
{
	return steps >= 2 && f->quiet_odd * 10 <= f->quiet_whole;
}

/* It was acknowledged before it was seen: it went another way, or the timeout was too short. */
static inline bool kl_is_acked_already(const struct kl_event *e)
{
	return (e->note & KL_NOTE_ACKED) && !kl_seq_before(e->acked, e->seq + e->payload_len);
}

/* A delay below this is no timeout of any stack, be it in a lab. */
#define KL_TIMEOUT_MIN_NS (15 * KL_NS_PER_MS)

/* session.c */
/* To go on with its events. NULL: place is 0; or there is no memory, and then it is forgotten. */
struct kl_node *kl_sessions_wake(struct kl_sessions *s, uint32_t place);

/* session_keepalive.c */
void kl_session_segment(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e);
void kl_session_note(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e);
void kl_session_message(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
			const struct kl_message *message);
bool kl_session_is_keepalive(const struct kl_session *s, uint8_t kind, uint32_t len);

/* session_idle.c */
/* Before an event is judged: sets n->heard. */
void kl_idle_hear(const struct kl_sessions *s, struct kl_node *n, const struct kl_event *e);
/* Fills in the story's silence, at its time. */
void kl_idle_tell(struct kl_story *story, const struct kl_heard *heard);
/* A copy of a segment that is joined. */
void kl_idle_remember(struct kl_node *n, const struct kl_event *e);

/* session_loss_near.c */
/* Does the sender's numbering alone tell that a copy before this first one was lost? */
bool kl_loss_is_numbered(const struct kl_node *n, const struct kl_event *e);
void kl_loss_first_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
			const struct kl_schedule_seen *seen);
/* Bytes are passed that were not seen, or come after what passed them. */
void kl_loss_order(struct kl_node *n, const struct kl_event *e);
/* Copies between two that were seen, and the timeout. */
void kl_loss_between_copies(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e);
/* Does this retransmission show a timeout that doubled and was not reset since the last one? */
bool kl_loss_outlived(const struct kl_node *n, uint64_t timeout_ns);
void kl_loss_remark_outlived(struct kl_story *story, uint64_t timeout_ns);

/* session_loss_far.c */
/* `count` losses alike. */
/* May what it is inferred from have passed, and not been seen? */
bool kl_loss_is_doubted(const struct kl_sessions *s, const struct kl_node *n,
			const struct kl_story *story);
void kl_loss_tell(struct kl_sessions *s, struct kl_node *n, struct kl_story *story, unsigned count);
void kl_loss_further_copy(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e);
/* Anything that the receiver sends. */
void kl_loss_heard(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e);
void kl_loss_settle(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns);
uint64_t kl_loss_wake_ns(const struct kl_node *n); /* 0: no need */
/* The connection ends: what is still open is decided with what there is. */
void kl_loss_end(struct kl_sessions *s, struct kl_node *n);

/* session_forecast.c */
/* The last keepalive reached the server. */
void kl_forecast_got_through(struct kl_node *n);
void kl_forecast_look(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns);
/* What is forecast rests on silence, and it may not have been one. */
void kl_forecast_gap(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns);
void kl_forecast_end(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns,
		     enum kl_session_by by);
/* When it has to be looked at next; 0: no need. */
uint64_t kl_forecast_wake_ns(const struct kl_sessions *s, const struct kl_node *n);
