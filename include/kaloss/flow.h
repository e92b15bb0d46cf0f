/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection's state, and what the next segment means to it. One struct kl_conn holds both
 * directions; a hook that sees a segment of it calls kl_flow_see() once, whatever the segment is.
 *
 * Nothing here is locked. Each field is written by the hooks of one side and direction only
 * (arrays are indexed by side for that), so that a race can at worst leave a value one segment old;
 * everything that decides on a loss treats an old value as "not known".
 */
#pragma once

#include "segment.h"

enum kl_flow_flag {
	KL_FLOW_END_ACCESS = 1 << 0, /* end[] is known, by side: 1 << side */
	KL_FLOW_END_CUCM = 1 << 1,
	KL_FLOW_ACKED = 1 << 2,	   /* acked is known */
	KL_FLOW_ISN = 1 << 3,	   /* isn is known: the SYN was seen */
	KL_FLOW_FAR_END = 1 << 4,  /* far_end is known */
	KL_FLOW_REPROVEN = 1 << 6, /* proven once, then not, then again */
	KL_FLOW_AWAITED = 1 << 7,  /* the last keepalive or answer joined is not acknowledged */
	KL_FLOW_BARE = 1 << 8,	   /* bare_seq is valid */
	KL_FLOW_NUMBERED = 1 << 9, /* id_last is known */
	KL_FLOW_SACK = 1 << 10,	   /* the sender's SYN permitted SACK */
	KL_FLOW_LINUX = 1 << 11,   /* its SYN is laid out as Linux does it: such a sender numbers
				      * the packets of each connection by themselves */
	KL_FLOW_SEEN_ACCESS = 1 << 12, /* anything was seen at this side: << side */
	KL_FLOW_SEEN_CUCM = 1 << 13,
	KL_FLOW_ACKS_AHEAD = 1 << 5, /* the receiver once acknowledged what the near side had not
				      * seen: its acknowledgements prove nothing about the way */
};

/* What one segment at its near side told beside its numbers; see struct kl_flow, note. */
enum kl_note {
	KL_NOTE_QUIET = 1 << 0,	    /* the sender had nothing to reply to: it speaks unasked */
	KL_NOTE_BEHIND = 1 << 1,    /* its bytes were already passed: an earlier copy was sent */
	KL_NOTE_HOLE = 1 << 2,	    /* bytes before it were sent, and not seen here */
	KL_NOTE_ACKS = 1 << 3,	    /* acknowledges, as the first, the last keepalive or answer */
	KL_NOTE_DUPLICATE = 1 << 4, /* says that it got something twice */
	KL_NOTE_SACK = 1 << 5,	    /* both ends permitted SACK */
	KL_NOTE_CROSSED = 1 << 6,   /* events: far_copies is known */
	KL_NOTE_ACKED = 1 << 7,	    /* events: acked is known */
};

/* Steps of the IP identification up to this are taken for missing packets, not for another way of
 * numbering. */
enum {
	KL_ID_GAP_MAX = 32,
	KL_ID_LATE = 0xff, /* id_step: numbered before others that were seen: reordered */
};

/*
 * One direction of a connection. "near" is the side nearer to the sender, "far" the other one. What
 * every segment is compared with fills the first cache line; most have no use for the second one.
 */
struct kl_flow {
	__u32 end[KL_SIDES];	    /* highest sequence number seen, plus one, by side */
	__u32 last_seq[KL_SIDES];   /* of the last segment seen, whatever it was, by side */
	__u32 last_epoch[KL_SIDES]; /* when that was; 0: never */
	__u32 far_end;		    /* like end[far side], but only of what itself passed there */
	__u32 acked;		    /* highest acknowledgement of the receiver */
	__u32 epoch;	  /* in which the sides were last seen to agree; see kl_flow_is_proven() */
	__u32 joined_seq; /* of the last keepalive or answer joined at the near side */
	__u32 owed_us;	  /* how long before the last near segment the last of `owed` passed */
	__u16 joined_len;
	__u16 joined_copies;
	__u16 flags;	 /* enum kl_flow_flag */
	__u16 id_last;	 /* highest IP identification at the near side */
	__u16 id_missed; /* numbers left out up to there: packets not seen; wraps */
	__u8 id_steps;	 /* how often the next number was one more; stays at 255 */
	__u8 id_step;	 /* numbers left out just before the last near segment; KL_ID_LATE */
	__u8 unheard;	 /* segments that passed the far side since its receiver spoke: it
				    * may owe an acknowledgement of each; stays at 255 */
	__u8 owed;	 /* the other direction's `unheard`, when the last near one came */
	__u8 note;	 /* enum kl_note of the last near segment */
	__u8 probe_wait[KL_SIDES]; /* a probe passed this side and its answer did not yet */
	__u8 closing;		   /* KL_FIN or KL_RST, once sent by this end */
	__u8 ttl[KL_SIDES];	   /* of the last segment that ends nothing, by side; 0: none */

	/* The second line. */
	__u64 proven_ns;   /* since when both sides are known to see this flow (see epoch) */
	__u64 far_ns;	   /* last sighting at the far side that was no routine; 0: never */
	__u64 answered_ns; /* last answer to a TCP probe of this direction; 0: never */
	__u64 hole_ns;	   /* when the receiver last said that hole_seq is missing; 0: never */
	__u64 resent_ns;   /* last near segment that began before the highest end; 0: never */
	__u64 last_ns;	   /* last near copy of the last keepalive or answer; 0: never */
	__u64 unheard_ns;  /* when the last of `unheard` passed */
	__u32 isn;	   /* initial sequence number */
	__u32 bare_seq;	   /* of the last probe or probe answer joined at the near side */
};

_Static_assert(sizeof(struct kl_flow) == 128, "two cache lines");

enum kl_conn_flag {
	KL_CONN_SWAPPED = 1 << 0, /* both ports are signalling ports and the SYN overruled them */
	KL_CONN_SYN = 1 << 1,	  /* seen from its start */
	KL_CONN_NAMED = 1 << 2,	  /* the REGISTER that names the device was told whole */
	KL_CONN_ALIAS = 1 << 3,	  /* --nat: the far side of a connection whose state is elsewhere */
	KL_CONN_ACCESS = 1 << 4,  /* seen at the access side */
	KL_CONN_TERMS = 1 << 5,	  /* the answer to it was told whole */
};

/* The kernel keeps them in an array that is aligned to cache lines. */
struct kl_conn {
	__u64 id; /* the kernel's table: kl_endpoints_hash(); 0: a free place */
	struct kl_endpoints ends;
	__u16 flags;	   /* enum kl_conn_flag */
	__u16 vlan;	   /* outer VLAN id on the access side; 0: none */
	__u8 phone_mac[6]; /* on the access side; all zero: not known */
	__u8 next_mac[6];  /* where the phone's frames go there; all zero: not known */

	struct kl_flow flow[KL_DIRECTIONS];

	__u64 home; /* KL_CONN_ALIAS: id of the connection as the access side sees it; 0: not known */
	__u64 created_ns;
	__u64 seen_ns;	   /* last segment of either direction that was no routine */
	__u64 fragment_ns; /* last IP fragment of either direction, at either side; 0: never */
	/* By direction. asked: first copy of a keepalive that has no answer yet, see kl_asked(). */
	__u32 asked[KL_DIRECTIONS];
	__u32 hole_seq[KL_DIRECTIONS]; /* what the receiver asks for by a SACK block beyond it */
	/* And by side: what the answer to an outstanding probe acknowledges. */
	__u32 probe_end[KL_DIRECTIONS][KL_SIDES];
};

_Static_assert(sizeof(struct kl_conn) == 384, "six cache lines");

/*
 * A flow is proven when both sides were seen to carry the same sequence numbers. Only then can a
 * missing copy be a loss. Whatever may have hidden segments from a hook (an interface that went
 * down) starts a new epoch, and each flow has to be proven again. Epochs count from 1.
 */
KL_INLINE bool kl_flow_is_proven(const struct kl_flow *f, __u32 epoch)
{
	return f->epoch == epoch;
}

/* A flow of which packets are fragmented: what leaves in fragments cannot be joined. */
#define KL_FRAGMENTS_LAST_NS (60 * 1000 * KL_NS_PER_MS)

/* May a segment of this flow, seen now at its near side, be counted as sent at once? */
KL_INLINE bool kl_flow_is_countable(const struct kl_conn *c, __u32 direction, __u32 epoch,
				    __u64 now)
{
	return kl_flow_is_proven(&c->flow[direction & 1], epoch) &&
	       !(c->fragment_ns && now < c->fragment_ns + KL_FRAGMENTS_LAST_NS);
}

KL_INLINE bool kl_flow_is_seen(const struct kl_flow *f, __u32 side)
{
	return f->flags & KL_FLOW_SEEN_ACCESS << (side & 1);
}

/* When a keepalive was sent, for the time until its answer: in 1024 ns, wraps after 73 minutes. */
KL_INLINE __u32 kl_asked(__u64 now)
{
	__u32 asked = (__u32)(now >> 10);

	return asked ? asked : 1;
}

/* asked: not 0. */
KL_INLINE __u64 kl_asked_since(__u32 asked, __u64 now)
{
	return (__u64)((__u32)(now >> 10) - asked) << 10;
}

struct kl_sighting {
	__u32 side;
	__u32 direction;
	__u64 now; /* 0: not asked for, see kl_flow_is_routine() */
	__u32 epoch;
	__u32 silence; /* of the phone's MAC before, in ms, plus one; 0: not known */
};

/* Length in sequence space: SYN and FIN take one each (RFC 9293 §3.4). */
KL_INLINE __u32 kl_seq_len(__u32 payload_len, __u8 flags)
{
	return payload_len + !!(flags & KL_SYN) + !!(flags & KL_FIN);
}

KL_INLINE void kl_flow_prove(struct kl_flow *f, __u64 now, __u32 epoch)
{
	if (f->epoch != epoch) {
		if (f->proven_ns)
			f->flags |= KL_FLOW_REPROVEN;
		f->proven_ns = now;
		f->epoch = epoch;
	}
}

KL_INLINE void kl_flow_raise_end(struct kl_flow *f, __u32 side, __u32 end)
{
	if (!(f->flags & (1 << side)) || kl_seq_before(f->end[side], end)) {
		f->end[side] = end;
		f->flags |= (__u16)(1 << side);
	}
}

/*
 * A SYN: the start of a connection, perhaps a new one on old addresses. Then nothing of the old
 * one may speak for it, so its state is cleared. Returns true where it was.
 */
KL_INLINE bool kl_conn_see_syn(struct kl_conn *c, const struct kl_sighting *at,
			       const struct kl_segment *s)
{
	struct kl_flow *f = &c->flow[at->direction & 1];

	if ((f->flags & KL_FLOW_ISN) && f->isn == s->seq)
		return false; /* the same SYN again, or at the other side */
	if (!(s->flags & KL_ACK)) {
		KL_MEMSET(c->flow, 0, sizeof(c->flow));
		KL_MEMSET(c->asked, 0, sizeof(c->asked));
		KL_MEMSET(c->hole_seq, 0, sizeof(c->hole_seq));
		KL_MEMSET(c->probe_end, 0, sizeof(c->probe_end));
		c->fragment_ns = 0;
		c->created_ns = at->now;
		c->flags = (__u16)((c->flags & ~KL_CONN_NAMED) | KL_CONN_SYN);
	}
	f->isn = s->seq;
	f->flags |= KL_FLOW_ISN | (s->sack_permitted ? KL_FLOW_SACK | KL_FLOW_LINUX : 0);
	return !(s->flags & KL_ACK);
}

/* The two ends as they are: the key of an ambiguous connection may have them the other way. */
KL_INLINE void kl_conn_ends(const struct kl_conn *c, struct kl_endpoints *ret)
{
	bool swapped = c->flags & KL_CONN_SWAPPED;

	KL_MEMCPY(ret->phone, swapped ? c->ends.cucm : c->ends.phone, sizeof(ret->phone));
	KL_MEMCPY(ret->cucm, swapped ? c->ends.phone : c->ends.cucm, sizeof(ret->cucm));
	ret->phone_port = swapped ? c->ends.cucm_port : c->ends.phone_port;
	ret->cucm_port = swapped ? c->ends.phone_port : c->ends.cucm_port;
	ret->family = c->ends.family;
	ret->pad[0] = ret->pad[1] = ret->pad[2] = 0;
}

/* A TCP keepalive probe: at most one byte, one before what would be sent next (RFC 9293 §3.8.4). */
KL_INLINE bool kl_flow_is_probe(const struct kl_flow *f, __u32 side, __u32 seq, __u32 len,
				__u8 flags)
{
	return len <= 1 && !(flags & (KL_SYN | KL_FIN | KL_RST)) && (f->flags & (1 << side)) &&
	       seq + 1 == f->end[side];
}

/*
 * What a segment without payload, or of a single byte, is: KL_TCP_PROBE, KL_TCP_PROBE_ACK or
 * KL_OTHER. Takes note of a probe and of its answer.
 */
KL_INLINE __u32 kl_flow_bare_kind(struct kl_conn *c, const struct kl_sighting *at,
				  const struct kl_segment *s)
{
	struct kl_flow *f = &c->flow[at->direction & 1];
	struct kl_flow *peer = &c->flow[(at->direction & 1) ^ 1];
	__u32 side = at->side & 1, direction = at->direction & 1;

	if (kl_flow_is_probe(f, side, s->seq, s->payload_len, s->flags)) {
		c->probe_end[direction][side] = s->seq + 1;
		f->probe_wait[side] = 1;
		return KL_TCP_PROBE;
	}
	if (peer->probe_wait[side] && !s->payload_len &&
	    s->ack == c->probe_end[direction ^ 1][side] &&
	    (s->flags & (KL_SYN | KL_FIN | KL_RST | KL_ACK)) == KL_ACK) {
		peer->probe_wait[side] = 0;
		peer->answered_ns = at->now;
		return KL_TCP_PROBE_ACK;
	}
	return KL_OTHER;
}

/*
 * Many stacks number the packets of a connection one by one (Linux does). Then a number left out
 * is a packet that was sent and not seen here. Near side only.
 */
KL_INLINE void kl_flow_number(struct kl_flow *f, __u16 id)
{
	__u16 step = (__u16)(id - f->id_last);

	f->id_step = 0;
	if (!id && f->id_last != 0xffff)
		return; /* not numbered: DF is set and no one needs it (RFC 6864) */
	if (!(f->flags & KL_FLOW_NUMBERED) ||
	    (step > KL_ID_GAP_MAX && step < 0x10000 - KL_ID_GAP_MAX)) {
		f->flags |= KL_FLOW_NUMBERED;
		f->id_last = id;
		f->id_steps = 0;
	} else if (step == 0) {
		return;
	} else if (step > KL_ID_GAP_MAX) {
		f->id_missed--; /* late, not missing */
		f->id_step = KL_ID_LATE;
	} else {
		f->id_step = (__u8)(step - 1);
		f->id_missed += f->id_step;
		f->id_last = id;
		if (step == 1 && f->id_steps < 0xff)
			f->id_steps++;
	}
}

/* At the near side, before the segment becomes part of the state. */
KL_INLINE void kl_flow_take_note(struct kl_flow *f, struct kl_flow *peer,
				 const struct kl_sighting *at, const struct kl_segment *s)
{
	__u32 side = at->side & 1;
	__u8 note = 0;

	if (!peer->unheard && !peer->probe_wait[side])
		note |= KL_NOTE_QUIET;
	f->owed = peer->unheard;
	f->owed_us = 0;
	if (f->owed && peer->unheard_ns < at->now) {
		__u64 us = (at->now - peer->unheard_ns) / KL_NS_PER_US;

		f->owed_us = us < 0xffffffffU ? (__u32)us : 0xffffffffU; /* over an hour */
	}
	peer->unheard = 0;
	if (!(s->flags & (KL_SYN | KL_RST)) && (f->flags & (1 << side))) {
		if (kl_seq_before(f->end[side], s->seq))
			note |= KL_NOTE_HOLE;
		else if (s->payload_len > 1 && kl_seq_before(s->seq, f->end[side]))
			note |= KL_NOTE_BEHIND;
	}
	if ((peer->flags & KL_FLOW_AWAITED) && (s->flags & (KL_ACK | KL_RST)) == KL_ACK &&
	    !kl_seq_before(s->ack, peer->joined_seq + peer->joined_len)) {
		peer->flags &= (__u16)~KL_FLOW_AWAITED;
		note |= KL_NOTE_ACKS;
	}
	/* Of what was sent several times; else an acknowledgement repeats for many reasons. */
	if (s->duplicate_seen ||
	    (!s->payload_len && !(note & KL_NOTE_ACKS) && peer->joined_copies > 1 &&
	     s->ack == peer->joined_seq + peer->joined_len && s->ack == peer->acked))
		note |= KL_NOTE_DUPLICATE;
	if (f->flags & peer->flags & KL_FLOW_SACK)
		note |= KL_NOTE_SACK;
	f->note = note;
	if (s->family == 4)
		kl_flow_number(f, s->ip_id);
}

/* At the far side: something that its receiver acknowledges. */
KL_INLINE void kl_flow_await(struct kl_flow *f, __u64 now)
{
	if (f->unheard < 0xff)
		f->unheard++;
	f->unheard_ns = now;
}

/* Does it show, as the first in this epoch, that both sides see its flow? What the other side saw in
 * an earlier epoch proves nothing about this one. */
KL_INLINE bool kl_flow_proves(const struct kl_flow *f, const struct kl_sighting *at,
			      const struct kl_segment *s)
{
	__u32 other = (at->side & 1) ^ 1;

	return f->epoch != at->epoch && f->last_epoch[other] == at->epoch &&
	       f->last_seq[other] == s->seq;
}

/*
 * A bare acknowledgement of which nothing is told and nothing is kept that needs a time: most of
 * them. Reading the clock costs more than all else that is done with it.
 */
KL_INLINE bool kl_flow_is_routine(const struct kl_conn *c, const struct kl_sighting *at,
				  const struct kl_segment *s)
{
	const struct kl_flow *f = &c->flow[at->direction & 1];
	const struct kl_flow *peer = &c->flow[(at->direction & 1) ^ 1];
	__u32 side = at->side & 1;

	if (s->payload_len || (s->flags & (KL_SYN | KL_FIN | KL_RST | KL_ACK)) != KL_ACK ||
	    s->asks_again || s->duplicate_seen)
		return false;
	/* What proves its flow; a probe, its answer, and what may be a further copy of either. */
	if (kl_flow_proves(f, at, s) || s->seq + 1 == f->end[side] || peer->probe_wait[side] ||
	    ((f->flags & KL_FLOW_BARE) && f->bare_seq == s->seq))
		return false;
	if (!kl_is_near(at->side, at->direction))
		return true;
	/* It may acknowledge a keepalive or an answer for the first time, or once more. */
	if ((peer->flags & KL_FLOW_AWAITED) || peer->joined_copies > 1)
		return false;
	return !(f->flags & (1 << side)) || !kl_seq_before(f->end[side], s->seq);
}

/*
 * Takes note of one segment (one sub-segment of an aggregate at a time: seq and payload_len are
 * its own). Call it after kl_flow_bare_kind(), which wants to know the state before.
 */
KL_INLINE void kl_flow_see(struct kl_conn *c, const struct kl_sighting *at,
			   const struct kl_segment *s)
{
	struct kl_flow *f = &c->flow[at->direction & 1];
	struct kl_flow *peer = &c->flow[(at->direction & 1) ^ 1];
	__u32 side = at->side & 1;

	if (kl_is_near(at->side, at->direction))
		kl_flow_take_note(f, peer, at, s);
	else if (s->payload_len || (s->flags & (KL_SYN | KL_FIN)))
		kl_flow_await(f, at->now);
	if (kl_flow_proves(f, at, s))
		kl_flow_prove(f, at->now, at->epoch);
	f->last_seq[side] = s->seq;
	f->last_epoch[side] = at->epoch;
	if (!kl_flow_is_seen(f, side))
		f->flags |= (__u16)(KL_FLOW_SEEN_ACCESS << side);
	if (!kl_is_near(at->side, at->direction) && at->now)
		f->far_ns = at->now;
	if (!(s->flags & KL_RST)) {
		__u32 end = s->seq + kl_seq_len(s->payload_len, s->flags);

		if (kl_is_near(at->side, at->direction) && s->payload_len &&
		    (f->flags & (1 << side)) && kl_seq_before(s->seq, f->end[side]))
			f->resent_ns = at->now;
		kl_flow_raise_end(f, side, end);
		if (!kl_is_near(at->side, at->direction) &&
		    (!(f->flags & KL_FLOW_FAR_END) || kl_seq_before(f->far_end, end))) {
			f->far_end = end;
			f->flags |= KL_FLOW_FAR_END;
		}
	}
	if (s->flags & KL_ACK) {
		__u32 sender_side = at->direction ^ 1; /* near side of what is acknowledged */

		if ((peer->flags & (1 << (sender_side & 1))) && !(s->flags & KL_RST) &&
		    kl_seq_before(peer->end[sender_side & 1], s->ack))
			peer->flags |= KL_FLOW_ACKS_AHEAD;
		if (!(peer->flags & KL_FLOW_ACKED) || kl_seq_before(peer->acked, s->ack)) {
			peer->acked = s->ack;
			peer->flags |= KL_FLOW_ACKED;
		}
		if (s->asks_again) {
			c->hole_seq[(at->direction & 1) ^ 1] = s->ack;
			peer->hole_ns = at->now;
		}
		/* What is acknowledged was sent, also before we came. */
		if (!(s->flags & KL_RST) && (peer->flags & (1 << side)))
			kl_flow_raise_end(peer, side, s->ack);
	}
	/* Whoever ends it may not be who has been sending. */
	if (s->flags & (KL_FIN | KL_RST))
		f->closing |= s->flags & (KL_FIN | KL_RST);
	else
		f->ttl[side] = s->ttl;
	if (at->now)
		c->seen_ns = at->now;
}
