// SPDX-License-Identifier: GPL-2.0-only
/*
 * One description serves both ways: walk() goes through all members of a node, and each step either
 * writes the member or reads it. A step says what is to be expected of its member, by members that
 * were gone through before.
 *
 * The bits (is it as expected?) and the bytes go into one stream: a word of 64 bits stands where its
 * first bit was needed, and the bytes since follow it. A number is told by its distance from what
 * was expected, with its sign in the lowest bit; the lowest three bits of its first byte say how many
 * bytes it has.
 */
#include "core/session_rest.h"

#include <stdlib.h>
#include <string.h>

#include "core/session_state.h"

enum {
	LONG_NUMBER = 7,   /* in place of the length: all eight bytes follow */
	RECORD_MAX = 4096, /* larger than any: a node has half of that */
	REUSE_SLACK = 64,  /* a record this much shorter is a waste of its memory */
	ONE_PERIOD_MS = 30000,
};

struct coder {
	uint8_t *at;
	uint8_t *word_at; /* packing: where the bits go */
	uint64_t word;
	unsigned used; /* bits of the word */
};

#define STEP static inline __attribute__((always_inline))

/* ---- Bits and bytes ---- */

STEP void next_word(struct coder *c, bool packing)
{
	if (packing) {
		if (c->word_at)
			memcpy(c->word_at, &c->word, sizeof(c->word));
		c->word_at = c->at;
		c->word = 0;
	} else {
		memcpy(&c->word, c->at, sizeof(c->word));
	}
	c->at += sizeof(c->word);
	c->used = 0;
}

STEP uint32_t bits(struct coder *c, bool packing, uint32_t value, unsigned width)
{
	if (c->used + width > 64)
		next_word(c, packing);
	if (packing)
		c->word |= (uint64_t)value << c->used;
	else
		value = (uint32_t)(c->word >> c->used) & ((1U << width) - 1);
	c->used += width;
	return value;
}

STEP void put_number(struct coder *c, uint64_t n)
{
	unsigned bytes = (64U - (unsigned)__builtin_clzll(n) + 3 + 7) / 8;

	if (bytes <= LONG_NUMBER) {
		n = n << 3 | (bytes - 1);
		memcpy(c->at, &n, sizeof(n));
		c->at += bytes;
	} else {
		*c->at++ = LONG_NUMBER;
		memcpy(c->at, &n, sizeof(n));
		c->at += sizeof(n);
	}
}

STEP uint64_t get_number(struct coder *c)
{
	unsigned bytes = (*c->at & 7) + 1U;
	uint64_t n;

	if (bytes <= LONG_NUMBER) {
		memcpy(&n, c->at, sizeof(n));
		c->at += bytes;
		return (n & ((1ULL << 8 * bytes) - 1)) >> 3;
	}
	memcpy(&n, c->at + 1, sizeof(n));
	c->at += 1 + sizeof(n);
	return n;
}

/* ---- Members ---- */

STEP uint64_t far_number(struct coder *c, bool packing, uint64_t value, uint64_t expected)
{
	uint64_t off = value - expected;

	if (packing) {
		put_number(c, off << 1 ^ -(off >> 63));
		return value;
	}
	off = get_number(c);
	return expected + (off >> 1 ^ -(off & 1));
}

STEP uint64_t number(struct coder *c, bool packing, uint64_t value, uint64_t expected)
{
	if (bits(c, packing, value != expected, 1))
		return far_number(c, packing, value, expected);
	return expected;
}

/* A time, or 0 for none. */
STEP uint64_t moment(struct coder *c, bool packing, uint64_t value, uint64_t expected)
{
	enum {
		NONE,
		AS_EXPECTED,
		ANOTHER,
	};
	uint32_t what = !value ? NONE : value == expected ? AS_EXPECTED : ANOTHER;

	what = bits(c, packing, what, 2);
	if (what != ANOTHER)
		return what == NONE ? 0 : expected;
	return far_number(c, packing, value, expected);
}

/* A multiple of the unit, mostly. */
STEP uint64_t multiple(struct coder *c, bool packing, uint64_t value, uint64_t unit,
		       uint64_t expected)
{
	if (bits(c, packing, value % unit == 0, 1))
		return number(c, packing, value / unit, expected) * unit;
	return number(c, packing, value, 0);
}

/* Is there anything but zeros? */
STEP bool any(const void *value, size_t len)
{
	const uint8_t *at = value;
	uint64_t all = 0;

	for (; len >= sizeof(all); len -= sizeof(all), at += sizeof(all)) {
		uint64_t word;

		memcpy(&word, at, sizeof(word));
		all |= word;
	}
	for (; len; len--)
		all |= *at++;
	return all;
}

/* Bytes without any order: all zero, or as they are. */
STEP void bytes(struct coder *c, bool packing, void *value, size_t len)
{
	if (!bits(c, packing, packing && any(value, len), 1))
		return;
	if (packing)
		memcpy(c->at, value, len);
	else
		memcpy(value, c->at, len);
	c->at += len;
}

#define NUMBER(member, expected)                                                                   \
	((member) = (typeof(member))number(c, packing, (uint64_t)(member), (uint64_t)(expected)))
#define MOMENT(member, expected) ((member) = moment(c, packing, member, expected))
#define BITS(member, width) ((member) = (typeof(member))bits(c, packing, member, width))
/* Does a part of it follow? Else all in it is as in a node that is new. */
#define PART(condition) (bits(c, packing, packing && (condition), 1))
#define BYTES(member) bytes(c, packing, &(member), sizeof(member))

STEP void text(struct coder *c, bool packing, char *value)
{
	size_t len;

	if (!PART(value[0]))
		return;
	len = number(c, packing, packing ? strlen(value) : 0, 16);
	if (packing)
		memcpy(c->at, value, len);
	else
		memcpy(value, c->at, len);
	c->at += len;
}

/* ---- Whose it is ---- */

STEP void walk_ends(struct coder *c, bool packing, struct kl_endpoints *ends)
{
	NUMBER(ends->family, 4);
	BYTES(ends->phone[0]);
	BYTES(ends->cucm[0]);
	BYTES(ends->phone_port);
	NUMBER(ends->cucm_port, 2000);
	if (!PART(any(&ends->phone[1], 3 * sizeof(ends->phone[1])) ||
		  any(&ends->cucm[1], 3 * sizeof(ends->cucm[1])) ||
		  any(ends->pad, sizeof(ends->pad))))
		return;
	for (int i = 1; i < 4; i++) {
		BYTES(ends->phone[i]);
		BYTES(ends->cucm[i]);
	}
	BYTES(ends->pad);
}

static const char mac_prefix[3] = { 'S', 'E', 'P' };
static const char digits[] = "0123456789ABCDEF";

/* A name that is made of a MAC address. */
static bool read_mac_name(const char *name, uint8_t ret_mac[6])
{
	if (memcmp(name, mac_prefix, sizeof(mac_prefix)))
		return false;
	for (int i = 0; i < 12; i++) {
		char digit = name[3 + i];
		unsigned value;

		if (digit >= '0' && digit <= '9')
			value = (unsigned)(digit - '0');
		else if (digit >= 'A' && digit <= 'F')
			value = (unsigned)(digit - 'A') + 10;
		else
			return false;
		ret_mac[i / 2] = (uint8_t)(i % 2 ? ret_mac[i / 2] | value : value << 4);
	}
	return !name[15] && !name[16];
}

static void write_mac_name(const uint8_t mac[6], char *ret)
{
	memcpy(ret, mac_prefix, sizeof(mac_prefix));
	for (int i = 0; i < 12; i++)
		ret[3 + i] = digits[i % 2 ? mac[i / 2] & 15 : mac[i / 2] >> 4];
}

STEP void walk_device(struct coder *c, bool packing, struct kl_session *s)
{
	char own[KL_DEVICE_NAME] = {};
	uint8_t mac[6] = {};

	if (!PART(s->device[0]))
		return;
	if (packing)
		write_mac_name(s->mac, own);
	/* Mostly it is made of the MAC address that its frames have. */
	if (!PART(memcmp(own, s->device, sizeof(own)) != 0)) {
		if (!packing)
			write_mac_name(s->mac, s->device);
		return;
	}
	if (!PART(read_mac_name(s->device, mac))) {
		text(c, packing, s->device);
		return;
	}
	BYTES(mac);
	if (!packing)
		write_mac_name(mac, s->device);
}

/* What most sessions have nothing of. */
STEP void walk_rare(struct coder *c, bool packing, struct kl_session *s)
{
	if (!PART(s->closed_ns || s->lost_ns || s->vlan || s->failure[0] || s->expires_s ||
		  s->tls_len || s->one_way || s->leaves || s->probable))
		return;
	MOMENT(s->closed_ns, s->seen_ns);
	MOMENT(s->lost_ns, s->seen_ns);
	NUMBER(s->vlan, 0);
	NUMBER(s->expires_s, 0);
	NUMBER(s->tls_len, 0);
	BITS(s->one_way, 1);
	BITS(s->leaves, 1);
	BITS(s->probable, 1);
	text(c, packing, s->failure);
}

STEP void walk_counts(struct coder *c, bool packing, struct kl_session *s)
{
	NUMBER(s->keepalives, 0);
	NUMBER(s->answered, s->keepalives);
	NUMBER(s->acknowledged_only, s->keepalives - s->answered);
	if (!PART(s->unacknowledged || s->acks_lost ||
		  any(s->retransmissions, sizeof(s->retransmissions)) ||
		  any(s->lost, sizeof(s->lost))))
		return;
	NUMBER(s->unacknowledged, 0);
	NUMBER(s->acks_lost, 0);
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		NUMBER(s->retransmissions[d], 0);
		for (int where = 0; where < KL_WHERES; where++)
			NUMBER(s->lost[d][where], 0);
	}
}

STEP void walk_forecast(struct coder *c, bool packing, struct kl_forecast *f, uint64_t seen_ns)
{
	if (!PART(f->made_ns || f->at_ns || f->growing))
		return;
	NUMBER(f->made_ns, seen_ns);
	NUMBER(f->at_ns, seen_ns);
	BITS(f->growing, 1);
}

STEP void walk_session(struct coder *c, bool packing, struct kl_session *s)
{
	NUMBER(s->seen_ns, 0);
	NUMBER(s->start_ns, s->seen_ns);
	MOMENT(s->registered_ns, s->start_ns);
	MOMENT(s->ok_ns, s->seen_ns);
	walk_ends(c, packing, &s->ends);
	BYTES(s->mac);
	walk_device(c, packing, s);
	BITS(s->from_syn, 1);
	NUMBER(s->role, KL_ROLE_PRIMARY);
	NUMBER(s->kind, KL_SCCP_KEEPALIVE);
	walk_rare(c, packing, s);
	walk_counts(c, packing, s);
	walk_forecast(c, packing, &s->forecast, s->seen_ns);
}

/* ---- Its keepalives ---- */

STEP void walk_schedule(struct coder *c, bool packing, struct kl_schedule *q, uint64_t keepalive_ns,
			uint32_t keepalives, bool adds_up)
{
	MOMENT(q->last_ns, keepalive_ns);
	q->told_us[0] = (uint32_t)multiple(c, packing, q->told_us[0], 1000000, 0);
	q->told_us[1] = (uint32_t)multiple(c, packing, q->told_us[1], 1000000, 0);
	NUMBER(q->period_us, q->told_us[0]);
	MOMENT(q->due_ns, q->last_ns + q->period_us * KL_NS_PER_US);
	NUMBER(q->jitter_us, KL_SCHEDULE_JITTER_MIN_US);
	NUMBER(q->seen, keepalives - 1);
	for (uint32_t i = 0; i < KL_SCHEDULE_INTERVALS; i++)
		NUMBER(q->recent_us[i], i < q->seen ? (uint32_t)q->period_us : 0);
	BITS(q->measured, 1);
	if (PART(q->source != KL_PERIOD_LEARNT || q->slips != (adds_up ? 1 : -1))) {
		NUMBER(q->source, KL_PERIOD_LEARNT);
		NUMBER(q->slips, adds_up ? 1 : -1);
	} else if (!packing) {
		q->source = KL_PERIOD_LEARNT;
		q->slips = adds_up ? 1 : -1;
	}
	if (!PART(q->gap_us || q->late_us || q->grown_us || q->unclean || q->doublings ||
		  q->late_run || q->was_lost || q->was_late || q->anchored))
		return;
	NUMBER(q->gap_us, 0);
	NUMBER(q->late_us, 0);
	NUMBER(q->grown_us, 0);
	NUMBER(q->unclean, 0);
	NUMBER(q->doublings, 0);
	NUMBER(q->late_run, 0);
	BITS(q->was_lost, 1);
	BITS(q->was_late, 1);
	BITS(q->anchored, 1);
}

/* Which slots of a histogram are in use: from the first one up to before the end. */
STEP void find_slots(const struct kl_answers *a, uint32_t *ret_from, uint32_t *ret_end)
{
	enum {
		AT_ONCE = sizeof(uint64_t) / sizeof(a->slot[0])
	};
	uint32_t from = 0, end = KL_ANSWERS_SLOTS;

	_Static_assert(KL_ANSWERS_SLOTS % AT_ONCE == 0, "looked at some at once");
	while (end && !any(&a->slot[end - AT_ONCE], sizeof(uint64_t)))
		end -= AT_ONCE;
	while (from < end && !any(&a->slot[from], sizeof(uint64_t)))
		from += AT_ONCE;
	*ret_from = from;
	*ret_end = end;
}

/* A bit for each slot, and one or two bytes for each that is not empty. */
STEP void walk_slots(struct coder *c, bool packing, struct kl_answers *a)
{
	uint32_t from = 0, end = 0, all = 0;
	unsigned len;

	if (packing)
		find_slots(a, &from, &end);
	from = bits(c, packing, from, 7);
	end = bits(c, packing, end, 7);
	for (uint32_t i = from; packing && i < end; i++)
		all |= a->slot[i];
	len = 1 + bits(c, packing, all > UINT8_MAX, 1);
	for (uint32_t i = from; i < end; i += 4) {
		uint32_t filled = 0;

		for (uint32_t k = 0; packing && k < 4; k++)
			filled |= (uint32_t)(a->slot[i + k] != 0) << k;
		for (filled = bits(c, packing, filled, 4); filled; filled &= filled - 1) {
			uint16_t *slot = &a->slot[i + (uint32_t)__builtin_ctz(filled)];

			/* (The lower byte comes first.) */
			if (packing)
				memcpy(c->at, slot, sizeof(*slot));
			else
				*slot = (uint16_t)(c->at[0] | (len > 1 ? c->at[1] << 8 : 0));
			c->at += len;
		}
	}
}

STEP void walk_answers(struct coder *c, bool packing, struct kl_answers *a, uint32_t answered)
{
	NUMBER(a->count, answered);
	BYTES(a->mean_us);
	NUMBER(a->sum_us, (uint64_t)(a->mean_us * a->count));
	NUMBER(a->max_us, 0);
	if (PART(a->normal_gives_up || a->delayed_gives_up)) {
		NUMBER(a->normal_gives_up, 0);
		NUMBER(a->delayed_gives_up, 0);
	}
	walk_slots(c, packing, a);
}

/* ---- Its segments ---- */

/* before_ns: something of which it may be known when it was. */
STEP void walk_heard(struct coder *c, bool packing, struct kl_heard *h, uint64_t before_ns,
		     uint64_t expected_ms)
{
	if (!PART(h->time_ns || h->known))
		return;
	h->known = bits(c, packing, h->known, 2) & 3;
	h->time_ns = before_ns -
		     multiple(c, packing, before_ns - h->time_ns, KL_NS_PER_MS, expected_ms);
}

/* As if it were like `like` and everything followed one period after the other. */
STEP void walk_last(struct coder *c, bool packing, struct kl_last *l, const struct kl_last *like,
		    uint64_t expected_ns, uint64_t expected_ms)
{
	uint32_t seq;

	if (!PART(l->time_ns || l->len || l->seq || l->kind))
		return;
	MOMENT(l->time_ns, expected_ns);
	BITS(l->acked, 1);
	BITS(l->got_through, 1);
	walk_heard(c, packing, &l->heard, l->time_ns, expected_ms);
	seq = like->seq - like->len;
	if (PART(l->len != like->len || l->seq != seq || l->missed != like->missed ||
		 l->peer_missed != like->peer_missed || l->kind != like->kind)) {
		NUMBER(l->len, like->len);
		NUMBER(l->seq, seq);
		NUMBER(l->missed, like->missed);
		NUMBER(l->peer_missed, like->peer_missed);
		NUMBER(l->kind, like->kind);
	} else if (!packing) {
		l->len = like->len;
		l->seq = seq;
		l->missed = like->missed;
		l->peer_missed = like->peer_missed;
		l->kind = like->kind;
	}
}

STEP uint32_t silence_ms(const struct kl_last *l)
{
	return (uint32_t)(kl_since(l->time_ns, l->heard.time_ns) / KL_NS_PER_MS);
}

STEP void walk_recent(struct coder *c, bool packing, struct kl_recent *r,
		      const struct kl_recent *like)
{
	if (!PART(r->seq != like->seq || r->len != like->len || r->copy != like->copy ||
		  r->known[0] != like->known[0] || r->idle_ms[0] != like->idle_ms[0] ||
		  r->known[1] || r->idle_ms[1])) {
		if (!packing)
			*r = *like;
		return;
	}
	NUMBER(r->copy, like->copy);
	NUMBER(r->len, like->len);
	NUMBER(r->seq, like->seq);
	NUMBER(r->known[0], like->known[0]);
	NUMBER(r->idle_ms[0], like->idle_ms[0]);
	if (!PART(r->known[1] || r->idle_ms[1]))
		return;
	NUMBER(r->known[1], 0);
	NUMBER(r->idle_ms[1], 0);
}

STEP void walk_recents(struct coder *c, bool packing, struct kl_flow_story *f)
{
	struct kl_recent like = {};

	for (int i = 0; i < KL_RECENT; i++) {
		if (i < 2) {
			const struct kl_last *l = i ? &f->before : &f->last;

			like.copy = l->time_ns != 0;
			like.seq = l->seq;
			like.len = l->len;
			like.known[0] = l->heard.known;
			like.idle_ms[0] = silence_ms(l);
		}
		walk_recent(c, packing, &f->recent[i], &like);
		like = f->recent[i];
		like.seq -= like.len;
		like.known[1] = 0;
		like.idle_ms[1] = 0;
	}
}

STEP void walk_episode(struct coder *c, bool packing, struct kl_episode *e)
{
	if (!PART(e->copies))
		return;
	NUMBER(e->first_ns, 0);
	NUMBER(e->last_ns, e->first_ns);
	MOMENT(e->settle_ns, e->last_ns);
	for (int i = 0; i < KL_EPISODE_TIMES; i++) {
		MOMENT(e->copy_ns[i], e->first_ns);
		walk_heard(c, packing, &e->heard[i], e->copy_ns[i], 0);
	}
	BYTES(e->seq);
	NUMBER(e->len, 0);
	NUMBER(e->copies, 0);
	NUMBER(e->crossed, e->copies);
	NUMBER(e->between, 0);
	NUMBER(e->duplicates, 0);
	NUMBER(e->peer_missed, 0);
	NUMBER(e->usual_us, 0);
	NUMBER(e->usual_count, 0);
	NUMBER(e->kind, 0);
	NUMBER(e->missed, 0);
	BITS(e->acked_before, 1);
	BITS(e->acked_after, 1);
	BITS(e->undecided, 1);
	BITS(e->hole, 1);
	BITS(e->sack, 1);
	BITS(e->numbered, 1);
	MOMENT(e->acked_ns, e->last_ns);
}

STEP void walk_hole(struct coder *c, bool packing, struct kl_hole *h)
{
	if (!PART(h->time_ns))
		return;
	NUMBER(h->time_ns, 0);
	BYTES(h->seq);
	NUMBER(h->len, 0);
	NUMBER(h->kind, 0);
	NUMBER(h->copies, 0);
	walk_heard(c, packing, &h->heard, h->time_ns, 0);
}

/* What happens now and then. */
STEP void walk_matters(struct coder *c, bool packing, struct kl_flow_story *f, uint64_t seen_ns)
{
	if (!PART(f->again_ns || f->rto_ns || f->quiet_odd || f->late_odd || f->hole.time_ns ||
		  f->episode[0].copies || f->episode[1].copies))
		return;
	MOMENT(f->again_ns, seen_ns);
	NUMBER(f->rto_ns, 0);
	NUMBER(f->quiet_odd, 0);
	NUMBER(f->late_odd, 0);
	for (int i = 0; i < KL_EPISODES; i++)
		walk_episode(c, packing, &f->episode[i]);
	walk_hole(c, packing, &f->hole);
}

STEP void walk_lates(struct coder *c, bool packing, struct kl_node *n)
{
	const struct kl_flow_story *f = &n->flow[KL_TO_CUCM];
	const struct kl_last *like = &f->last;
	struct kl_last older;

	if (!PART(n->late[0].time_ns))
		return;
	for (int i = 0; i < KL_LATE_KEPT; i++) {
		struct kl_late *l = &n->late[i];

		if (!PART(any(l, sizeof(*l))))
			continue;
		MOMENT(l->time_ns, like->time_ns);
		NUMBER(l->late_us, 0);
		NUMBER(l->len, like->len);
		NUMBER(l->seq, like->seq);
		BITS(l->told, 1);
		BITS(l->silent, 1);
		walk_heard(c, packing, &l->heard, l->time_ns, silence_ms(like));
		if (i) {
			older = (struct kl_last){
				.time_ns = l->time_ns -
					   n->session.schedule.period_us * KL_NS_PER_US,
				.seq = l->seq - l->len,
				.len = l->len,
				.heard = { .time_ns = l->heard.time_ns -
						      n->session.schedule.period_us *
							      KL_NS_PER_US },
			};
			like = &older;
		} else {
			like = &f->before;
		}
	}
}

STEP void walk_growth(struct coder *c, bool packing, struct kl_growth *g, uint64_t keepalive_ns)
{
	MOMENT(g->at_ns, keepalive_ns);
	if (!PART(g->delay_us || g->before_us || g->doublings || g->sure))
		return;
	NUMBER(g->delay_us, 0);
	NUMBER(g->before_us, 0);
	NUMBER(g->doublings, 0);
	BITS(g->sure, 1);
}

STEP void walk_tls(struct coder *c, bool packing, struct kl_node *n)
{
	if (!PART(any(n->tls_ns, sizeof(n->tls_ns)) || any(n->tls_len, sizeof(n->tls_len)) ||
		  any(n->tls_interval_us, sizeof(n->tls_interval_us))))
		return;
	for (int i = 0; i < 2; i++) {
		MOMENT(n->tls_ns[i], n->session.seen_ns);
		NUMBER(n->tls_len[i], 0);
		NUMBER(n->tls_interval_us[i], 0);
	}
}

static uint8_t answer_kind(uint8_t keepalive_kind)
{
	switch (keepalive_kind) {
	case KL_SCCP_KEEPALIVE:
		return KL_SCCP_KEEPALIVE_ACK;
	case KL_CRLF_PING:
		return KL_CRLF_PONG;
	case KL_TLS_RECORD:
		return KL_TLS_RECORD;
	default:
		return KL_SIP_RESPONSE;
	}
}

/* The last two first copies each way, and what was heard before. */
STEP void walk_lasts(struct coder *c, bool packing, struct kl_node *n)
{
	struct kl_flow_story *asked = &n->flow[KL_TO_CUCM], *answer = &n->flow[KL_TO_PHONE];
	const struct kl_session *s = &n->session;
	uint64_t seen_ns = s->seen_ns, took_ns;
	struct kl_last like = { .len = s->kind == KL_SCCP_KEEPALIVE ? 12 : 0, .kind = s->kind };

	walk_last(c, packing, &asked->last, &like, seen_ns, ONE_PERIOD_MS);
	like.kind = answer_kind(s->kind);
	like.missed = asked->last.peer_missed;
	like.peer_missed = asked->last.missed;
	walk_last(c, packing, &answer->last, &like, seen_ns, 0);
	took_ns = answer->last.time_ns - asked->last.time_ns;
	walk_schedule(c, packing, &n->session.schedule, asked->last.time_ns, s->keepalives,
		      s->kind == KL_SIP_REGISTER || s->kind == KL_SIP_REGISTER_BACKUP);
	/* The newest interval tells when the one before was. */
	walk_last(c, packing, &asked->before, &asked->last,
		  asked->last.time_ns -
			  s->schedule.recent_us[(s->schedule.seen - 1) % KL_SCHEDULE_INTERVALS] *
				  KL_NS_PER_US,
		  silence_ms(&asked->last));
	walk_last(c, packing, &answer->before, &answer->last, asked->before.time_ns + took_ns,
		  silence_ms(&answer->last));
}

STEP void walk(struct coder *c, bool packing, struct kl_node *n)
{
	struct kl_session *s = &n->session;
	struct kl_flow_story *asked = &n->flow[KL_TO_CUCM], *answer = &n->flow[KL_TO_PHONE];

	walk_session(c, packing, s);
	walk_lasts(c, packing, n);
	walk_answers(c, packing, &s->answers, s->answered);
	for (int d = 0; d < KL_DIRECTIONS; d++)
		walk_recents(c, packing, &n->flow[d]);
	NUMBER(asked->quiet_whole, (uint16_t)s->keepalives);
	NUMBER(answer->quiet_whole, (uint16_t)s->answered);
	BITS(n->clean_sample, 1);
	MOMENT(n->phone_ns, s->seen_ns);
	MOMENT(n->phone_before_ns, asked->last.time_ns);
	MOMENT(n->answer_due_ns, asked->last.time_ns);
	walk_growth(c, packing, &n->growth, asked->last.time_ns);
	walk_lates(c, packing, n);
	if (PART(n->gap_ns || n->given_up_ns)) {
		MOMENT(n->gap_ns, s->seen_ns);
		MOMENT(n->given_up_ns, s->seen_ns);
	}
	walk_tls(c, packing, n);
	walk_matters(c, packing, asked, s->seen_ns);
	walk_matters(c, packing, answer, s->seen_ns);
}

/* ---- Records ---- */

struct head {
	uint16_t room; /* of the whole record */
	uint8_t next_mac[6];
};

void *kl_rest_pack(struct kl_node *n, void *before)
{
	uint8_t buffer[RECORD_MAX];
	struct coder c = { .at = buffer + sizeof(struct head) };
	struct head head = {};
	size_t len;
	void *rest;

	next_word(&c, true);
	walk(&c, true, n);
	memcpy(c.word_at, &c.word, sizeof(c.word));
	len = (size_t)(c.at - buffer);
	if (before)
		memcpy(&head, before, sizeof(head));
	if (len > head.room || len + REUSE_SLACK < head.room) {
		/* What malloc() has in its pieces, without what it keeps for itself. */
		head.room = (uint16_t)(((len + 7) | 15) - 7);
		rest = malloc(head.room);
		if (!rest)
			return NULL;
		free(before);
	} else {
		rest = before;
	}
	memcpy(head.next_mac, n->session.next_mac, sizeof(head.next_mac));
	memcpy(buffer, &head, sizeof(head));
	memcpy(rest, buffer, len);
	return rest;
}

void kl_rest_unpack(const void *rest, struct kl_node *ret)
{
	/* (A number is read with what is behind it.) */
	uint8_t buffer[RECORD_MAX + sizeof(uint64_t)];
	struct coder c = { .at = buffer + sizeof(struct head) };
	struct head head;

	memcpy(&head, rest, sizeof(head));
	memcpy(buffer, rest, head.room);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->session.next_mac, head.next_mac, sizeof(head.next_mac));
	next_word(&c, false);
	walk(&c, false, ret);
}

const uint8_t *kl_rest_next_mac(const void *rest)
{
	return (const uint8_t *)rest + offsetof(struct head, next_mac);
}
