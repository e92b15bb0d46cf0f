/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a session's keepalives are due: their period and jitter, learnt from the first copies that
 * are seen, and how late one came. Pure; all zero is a schedule of which nothing is known.
 *
 * Two kinds of phones: one sends on a grid (a late keepalive is followed by the next one on time),
 * the other counts each period from the one before, so that delays add up (SIP refreshes count
 * from the 200 OK). Which kind it is shows itself after the first late one.
 *
 * The doubling: a keepalive whose first copy is lost comes late by the sender's timeout, and since
 * a segment that was sent twice gives no round-trip sample (RFC 6298 §3, §5.5), the next timeout
 * is twice that one. Three late ones in a row of which each is twice as late as the one before are
 * not jitter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	KL_SCHEDULE_INTERVALS = 8,	  /* remembered */
	KL_SCHEDULE_LEARN = 3,		  /* intervals that make a period */
	KL_SCHEDULE_LATE_RUN = 4,	  /* late ones in a row are late no more: the grid moves */
	KL_SCHEDULE_JITTER_MIN_US = 2000, /* no jitter is taken for smaller */
	KL_SCHEDULE_LATE_MIN_US = 15000,  /* no shorter timeout is in use, be it in a lab */
	/* Timers double exactly; what differs is the phone's slowness. Wider, and jitter doubles. */
	KL_SCHEDULE_DOUBLE_PERCENT = 3,
	KL_SCHEDULE_DOUBLE_SLACK_US = 2000,
};

enum kl_schedule_source {
	KL_PERIOD_UNKNOWN,
	KL_PERIOD_TOLD,	  /* by the server, and not contradicted */
	KL_PERIOD_LEARNT, /* from the intervals */
	KL_PERIOD_SOLVED, /* from delays that double: what is left without them */
};

struct kl_schedule {
	uint64_t last_ns; /* the last keepalive; 0: none yet */
	uint64_t gap_us;  /* from its first copy to the one that got through; 0: it was that one */
	uint64_t due_ns;  /* the next one on the grid; 0: not known */
	uint64_t period_us;
	uint64_t late_us; /* of the last one; 0: on time */
	uint32_t jitter_us;
	uint32_t told_us[2];			   /* candidates, of a RegisterAck */
	uint32_t recent_us[KL_SCHEDULE_INTERVALS]; /* intervals, a ring */
	uint8_t unclean; /* of recent_us, by bit: an end of it is known to be late */
	bool was_lost;
	uint32_t grown_us; /* lateness of the last one, to be doubled; 0: on time */
	uint32_t seen;	   /* intervals of this period */
	uint8_t source;	   /* enum kl_schedule_source */
	uint8_t doublings; /* in a row */
	uint8_t late_run;  /* that do not double */
	int8_t slips;	   /* < 0: on a grid; > 0: delays add up */
	bool was_late;
	bool measured; /* jitter_us is; it takes more to believe in a growth where it is not */
	bool anchored; /* last_ns is the registration, not a keepalive */
};

struct kl_schedule_seen {
	bool first;	 /* of the session: there is no interval yet */
	bool new_period; /* learnt now, or changed */
	bool late;	 /* by more than jitter explains */
	uint64_t interval_us;
	uint64_t late_us;
	unsigned periods_silent; /* whole periods in which nothing came */
	unsigned doublings;	 /* >= 2: this one and the two before make a growing timeout */
	bool solved; /* ...and the three before: they were late by a half, a quarter, an eighth */
};

/* delays_add_up: what to take it for until it shows itself. */
void kl_schedule_init(struct kl_schedule *s, bool delays_add_up);

/* The server names an interval for the primary and one for the backup; 0: none. */
void kl_schedule_told(struct kl_schedule *s, uint32_t first_s, uint32_t second_s);

/* The phone is registered: its first keepalive may count from here. */
void kl_schedule_anchor(struct kl_schedule *s, uint64_t now_ns);

/*
 * The first copy of a keepalive is seen. lost: it is known that it was not the first that was sent;
 * then the interval before it, and the one after it, tell of the loss as much as of the period.
 */
void kl_schedule_see(struct kl_schedule *s, uint64_t now_ns, bool lost,
		     struct kl_schedule_seen *ret);

/* Keepalives may have passed unseen: the next interval says nothing. What was learnt stays. */
void kl_schedule_gap(struct kl_schedule *s);

/* The last keepalive reached the server, by the copy of this time: perhaps not the first one. */
void kl_schedule_got_through(struct kl_schedule *s, uint64_t copy_ns);

/* When the next keepalive is expected; 0: not known. */
uint64_t kl_schedule_next_ns(const struct kl_schedule *s);

/* Is the one lateness twice the other, as a timeout doubles? */
bool kl_schedule_is_double(uint64_t before_us, uint64_t late_us);

/* How far beyond its time a keepalive may come by jitter alone. 0: not known. */
uint64_t kl_schedule_slack_us(const struct kl_schedule *s);
