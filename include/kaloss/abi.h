/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that crosses the border between the BPF programs and user space: settings, counters, ring
 * records and what a sweep hands over. Both are built from this file into one binary, so there are
 * no versions of it; padding is explicit so that nothing of the kernel's stack leaks into a record.
 */
#pragma once

#include "classify.h"
#include "histogram.h"
#include "join.h"

/* ---- Settings, read-only once loaded (.rodata) ---- */

struct kl_settings {
	__u64 seed;
	__u64 deadline_ns;
	__u32 bucket_mask; /* number of buckets - 1; a power of two less one */
	bool tap;	   /* both sides are mirror ports: each hook sees both directions */
	bool nat;	   /* this host translates the phones' addresses */
	bool idle;	   /* take note of when each phone's MAC was heard last */
	bool arp;	   /* tell of ARP and neighbour discovery */
	__u32 mac_mask;	   /* number of buckets of MACs - 1; a power of two less one */
	__u32 connections; /* room for so many */
	__u32 conn_mask;   /* number of buckets of their index - 1, see kl_conn_bucket_of() */
	__u32 tick_ns;	   /* of the kernel's clock tick */
	__u32 pad;
};

/* ---- Control, written by user space while the programs run (.bss) ---- */

enum kl_mode {
	KL_MODE_OFF = 0, /* not all hooks are in place: nothing is recorded */
	KL_MODE_ON,
	KL_MODE_DRAIN, /* no new segment is taken up; pending ones may still arrive */
};

struct kl_control {
	__u32 mode;
	__u32 epoch;	/* see kl_flow_is_proven() */
	__u32 max_slot; /* 0 or 1: the half of struct kl_maxima that is written */
	/* The programs' own: so many places of the connections' array were used at some time. */
	__u32 conns_used;
};

/* ---- Counters, one set a CPU ---- */

enum kl_tally {
	KL_SENT = 0,
	KL_DELIVERED,
	KL_LOST_BETWEEN,
	KL_UNSENT, /* counted as sent, and then not claimable: to be taken off KL_SENT */
	KL_RETRANSMITTED,
	KL_DUPLICATES,
	KL_TALLIES,
	KL_TALLY_SLOTS = 8,
};

enum kl_incident {
	KL_EVENTS_LOST = 0, /* the ring buffer was full */
	KL_JOIN_FULL,	    /* a segment found no place in the join */
	KL_CONNS_REFUSED,   /* a connection found no place */
	KL_MALFORMED_FRAMES,
	KL_FRAGMENTS,
	KL_LATE,	     /* arrived after it was reported as lost */
	KL_HASH_COLLISIONS,  /* two connections of one hash: the later one is not followed */
	KL_WRONG_WAY_ACCESS, /* came in on the access side though it goes to a phone */
	KL_WRONG_WAY_CUCM,
	KL_ARP_LOST, /* the ring buffer of ARP was full */
	KL_ARP_MALFORMED,
	KL_INCIDENTS,
	KL_INCIDENT_SLOTS = 16,
};

struct kl_counters {
	__u64 tally[KL_TALLY_SLOTS][KL_DIRECTIONS][KL_KIND_SLOTS];
	__u64 segments[KL_DIRECTIONS];
	__u64 unpaired[KL_FATE_SLOTS];
	__u64 incident[KL_INCIDENT_SLOTS];
	__u64 transit[KL_HIST_SLOTS];
	__u64 answer[KL_HIST_SLOTS];
};

/* Largest times since the slot was last cleared, in ns. */
struct kl_maxima {
	__u64 transit_ns;
	__u64 answer_ns;
};

/* ---- The narrative (ring buffer) ---- */

/* All but PAYLOAD are told at the near side only, and of what is no duplicate. */
enum kl_event_type {
	KL_EVENT_OPEN = 1, /* a connection is seen for the first time */
	KL_EVENT_CLOSE,	   /* FIN or RST; at whichever side it is seen first */
	KL_EVENT_SEGMENT,  /* first copy of a keepalive, of an answer, of a record under TLS */
	KL_EVENT_RETRANSMISSION, /* a further one */
	KL_EVENT_ACK,		 /* not any of these, but its note has something to tell of them */
	KL_EVENT_PAYLOAD, /* struct kl_payload_event: of a message that says who or how long */
	KL_EVENT_TYPES,
};

struct kl_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 conn_id;
	__u64 gap_ns; /* RETRANSMISSION: since the copy before; 0: not known */
	struct kl_endpoints ends;
	__u32 seq;
	__u32 payload_len;
	__u32 ack;	   /* its own acknowledgement number */
	__u32 acked;	   /* what its receiver has acknowledged of this direction; see note */
	__u32 joined_end;  /* ACK: the end of the last keepalive or answer that it is about */
	__u32 owed_us;	   /* struct kl_flow, of its direction */
	__u32 end;	   /* the same, at this side */
	__u16 copy;	   /* RETRANSMISSION: 2 for the first one */
	__u16 crossed;	   /* copies of it that passed the far side before this one; see note */
	__u16 missed;	   /* struct kl_flow, id_missed, of its direction, with this segment */
	__u16 peer_missed; /* of the other direction */
	__u16 vlan;
	__u16 id;	 /* IP identification; 0: none */
	__u8 steps;	 /* struct kl_flow, id_steps, of its direction */
	__u8 step;	 /* id_step, of its direction */
	__u8 peer_steps; /* id_steps, of the other direction */
	__u8 type;	 /* enum kl_event_type */
	__u8 direction;
	__u8 kind;
	__u8 tcp_flags;
	__u8 note; /* enum kl_note */
	__u8 phone_mac[6];
	bool own_numbers; /* KL_FLOW_LINUX, of its direction */
	__u8 owed;	  /* struct kl_flow, of its direction */
	/* How long none of the phone's frames had come by on the access side when this one came (of
	 * the phone's own: before it); to the clock's tick. KL_IDLE_NONE: not known. */
	__u32 idle_ms;
	__u8 next_mac[6]; /* struct kl_conn */
	__u8 side;
	__u8 ttl;
	__u8 usual_ttl; /* of this direction's segments at this side, but of those that end it */
	__u8 pad[3];
};

#define KL_IDLE_NONE 0xffffffffU

_Static_assert(sizeof(struct kl_event) == 136, "no hidden padding");

struct kl_payload_event {
	struct kl_event event;
	__u32 len;
	__u8 payload[KL_WINDOW_BYTES + 4];
};

/* ---- ARP and neighbour discovery (a ring buffer of their own) ---- */

enum kl_arp_what {
	KL_ARP_REQUEST = 1, /* ARP request, or neighbour solicitation */
	KL_ARP_ANSWER,	    /* ARP reply, or solicited neighbour advertisement */
	KL_ARP_ANNOUNCE,    /* gratuitous ARP, probe answers to all, unsolicited advertisement */
};

/* As it came in at a hook. The same again within a second is not told again. */
struct kl_arp_event {
	__u64 time_ns;	   /* CLOCK_MONOTONIC */
	__u32 address[4];  /* asked for (REQUEST), or claimed */
	__u32 to[4];	   /* ANSWER: who asked; REQUEST: who asks; ANNOUNCE: zero */
	__u8 mac[6];	   /* who claims it; REQUEST: who asks */
	__u8 frame_mac[6]; /* the frame's own source */
	__u16 vlan;
	__u8 family; /* 4 or 6 */
	__u8 what;   /* enum kl_arp_what */
	__u8 side;
	bool overrides; /* NA: asks to replace what is known; ARP always does */
	__u8 pad[6];
};

_Static_assert(sizeof(struct kl_arp_event) == 64, "no hidden padding");

/* ---- What a sweep hands over ---- */

/* A segment with missing copies that was judged: `missing` losses, or as many unpaired. */
struct kl_judged {
	struct kl_join_entry entry; /* as it was at the deadline */
	struct kl_endpoints ends;   /* all zero where the connection is not known any more */
	__u16 missing;
	__u16 vlan;
	__u8 fate; /* enum kl_fate */
	__u8 phone_mac[6];
	__u8 pad[5];
};

_Static_assert(sizeof(struct kl_judged) == 152, "no hidden padding");

enum {
	KL_SWEEP_OUT = 256
};

struct kl_sweep {
	/* in */
	__u64 now_ns; /* judged as of this time */
	__u32 cursor; /* first bucket to look at; the sweep leaves the next one here */
	__u32 limit;  /* stop before this bucket */
	/* out */
	__u32 count;
	__u32 pad;
	struct kl_judged out[KL_SWEEP_OUT];
};
