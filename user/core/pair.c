// SPDX-License-Identifier: GPL-2.0-only
/* pair.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/pair_internal.h"

#define DEFAULT_TOLERANCE_NS (2 * KL_PAIR_NS_PER_S)
#define DEFAULT_HOLD_NS (300 * KL_PAIR_NS_PER_S)
/* An error of the clocks that is mended; more is a step. */
#define LITTLE_NS KL_PAIR_NS_PER_S
/* Starts that are further apart than this by their own clocks say nothing about who is behind. */
#define CLOCKS_AGREE_NS (2 * 3600 * KL_PAIR_NS_PER_S)

enum {
	DEFAULT_HELD = 1 << 19,
	DEFAULT_CONNS = 1 << 16,
	DEFAULT_PRINTS = 1 << 14,
	FIRST_TRY = 8, /* segments seen on both sides, to look for the clocks' difference */
};

int kl_pair_new(const struct kl_pair_config *config, struct kl_pair **ret)
{
	struct kl_pair *p;

	*ret = NULL;
	if (config->tolerance_ns > UINT32_MAX * 100ULL || config->hold_ns > INT64_MAX / 4 ||
	    (config->prints & (config->prints - 1)))
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->config = *config;
	if (!p->config.tolerance_ns)
		p->config.tolerance_ns = DEFAULT_TOLERANCE_NS;
	if (!p->config.hold_ns)
		p->config.hold_ns = DEFAULT_HOLD_NS;
	if (p->config.hold_ns < 8 * p->config.tolerance_ns)
		p->config.hold_ns = 8 * p->config.tolerance_ns;
	if (!p->config.max_held)
		p->config.max_held = DEFAULT_HELD;
	if (!p->config.max_conns)
		p->config.max_conns = DEFAULT_CONNS;
	if (!p->config.prints)
		p->config.prints = DEFAULT_PRINTS;
	p->try_at = FIRST_TRY;
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		p->print[side] = calloc(p->config.prints, sizeof(*p->print[side]));
		p->moment[side] = calloc(p->config.prints, sizeof(*p->moment[side]));
		if (!p->print[side] || !p->moment[side]) {
			kl_pair_free(p);
			return -ENOMEM;
		}
	}
	if (kl_pair_cover_new(p)) {
		kl_pair_free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void kl_pair_free(struct kl_pair *p)
{
	if (!p)
		return;
	kl_pair_hold_free(p);
	kl_pair_cover_free(p);
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		free(p->print[side]);
		free(p->moment[side]);
	}
	free(p);
}

/* ---- what comes in ---- */

static void note_time(struct kl_pair_half *h, uint64_t time_ns)
{
	if (!h->has_any) {
		h->has_any = true;
		h->first_ns = time_ns;
		if (!h->began)
			h->began_ns = time_ns;
	}
	h->last_ns = time_ns;
}

/* What the payload may be recognised by at the other side, if not by its numbers. */
static void set_mark(struct kl_pair *p, struct kl_pair_node *n, const struct kl_sighted *s)
{
	const uint32_t telling_bytes =
		24; /* an SCCP KeepAlive and other short ones are all alike */
	uint64_t what = s->call				  ? s->call
			: s->device			  ? s->device
			: s->payload_len >= telling_bytes ? s->content
							  : 0;

	if (!what || !s->payload_len)
		return;
	n->strong_mark = s->call != 0;
	n->mark = kl_mix(kl_mix(p->config.seed, what),
			 (uint64_t)s->payload_len << 8 | s->direction);
}

static struct kl_pair_node *hold(struct kl_pair *p, const struct kl_sighted *s,
				 struct kl_pair_conn *c)
{
	struct kl_pair_half *h = &p->half[s->side];
	struct kl_pair_node *n = kl_pair_node_new(p);

	if (!n)
		return NULL;
	n->conn = c;
	n->time_ns = s->time_ns;
	n->cookie = s->cookie;
	n->seq = s->seq;
	n->ack = s->ack;
	n->payload_len = s->payload_len;
	n->stamp = s->stamp;
	n->vlan = s->vlan;
	n->side = s->side;
	n->direction = s->direction;
	n->kind = s->kind;
	n->flags = s->flags;
	n->asks_again = s->asks_again;
	set_mark(p, n, s);
	if (h->tail)
		h->tail->next = n;
	else
		h->head = n;
	h->tail = n;
	if (!h->cursor)
		h->cursor = n;
	if (c->tail)
		c->tail->next_of_conn = n;
	else
		c->head = n;
	c->tail = n;
	c->way[n->direction].held++;
	return n;
}

int kl_pair_feed(struct kl_pair *p, const struct kl_sighted *s)
{
	struct kl_pair_half *h;
	struct kl_pair_conn *c;
	struct kl_pair_node *n;
	int r;

	if (s->side >= KL_SIDES || s->direction >= KL_DIRECTIONS || s->kind >= KL_KINDS ||
	    s->time_ns > INT64_MAX / 2)
		return -EINVAL;
	h = &p->half[s->side];
	if (h->ended)
		return -EINVAL;
	c = kl_pair_conn_of(p, s);
	if (!c)
		return -ENOSPC;
	note_time(h, s->time_ns);
	if (s->fragment) {
		c->way[s->direction].fragmented = true;
		return 0;
	}
	p->stats.sightings[s->side]++;
	n = hold(p, s, c);
	if (!n)
		return -ENOMEM;
	r = kl_pair_attach(p, n);
	if (r)
		return r;
	kl_pair_mark_duplicate(n);
	return kl_pair_seek_partner(p, n);
}

int kl_pair_cover(struct kl_pair *p, uint32_t side, enum kl_cover what, uint64_t from_ns,
		  uint64_t to_ns)
{
	struct kl_pair_half *h;

	if (side >= KL_SIDES || from_ns > INT64_MAX / 2 || to_ns > INT64_MAX / 2)
		return -EINVAL;
	h = &p->half[side];
	switch (what) {
	case KL_COVER_BEGAN:
		h->began = true;
		h->began_ns = from_ns;
		return 0;
	case KL_COVER_READ:
		note_time(h, to_ns);
		return 0;
	case KL_COVER_ENDED:
		h->ended = true;
		h->ended_ns = to_ns ? to_ns : h->last_ns;
		return 0;
	case KL_COVER_GAP:
	case KL_COVER_DROPPED:
		if (from_ns > to_ns)
			return -EINVAL;
		kl_pair_cover_add(p, side, from_ns, to_ns,
				  what == KL_COVER_GAP ? KL_PAIR_GAP : KL_PAIR_DROPPED);
		return 0;
	}
	return -EINVAL;
}

uint32_t kl_pair_wants(const struct kl_pair *p)
{
	const struct kl_pair_half *a = &p->half[KL_ACCESS], *b = &p->half[KL_CUCM];
	int64_t apart;

	if (a->ended || b->ended) {
		if (a->ended && b->ended)
			return KL_SIDES;
		return a->ended ? KL_CUCM : KL_ACCESS;
	}
	if (!a->has_any || !b->has_any)
		return a->has_any ? KL_CUCM : KL_ACCESS;
	if (p->track.known)
		return kl_pair_to_access(p, KL_CUCM, b->last_ns) < (int64_t)a->last_ns ? KL_CUCM
										       : KL_ACCESS;
	apart = (int64_t)(b->first_ns - a->first_ns);
	if (apart < CLOCKS_AGREE_NS && apart > -CLOCKS_AGREE_NS)
		return b->last_ns < a->last_ns ? KL_CUCM : KL_ACCESS;
	return b->last_ns - b->first_ns < a->last_ns - a->first_ns ? KL_CUCM : KL_ACCESS;
}

/* ---- what is settled ---- */

/* Have both sides been read that far beyond? */
static bool is_read(const struct kl_pair *p, int64_t at_ns, int64_t further_ns)
{
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		const struct kl_pair_half *h = &p->half[side];

		if (h->ended)
			continue;
		if (!h->has_any || kl_pair_to_access(p, side, h->last_ns) < at_ns + further_ns)
			return false;
	}
	return true;
}

static struct kl_pair_node *earlier(const struct kl_pair *p, struct kl_pair_node *a,
				    struct kl_pair_node *b)
{
	if (!a || !b)
		return a ? a : b;
	return kl_pair_to_access(p, KL_CUCM, b->time_ns) < (int64_t)a->time_ns ? b : a;
}

/* Both sides' state from where everything that decides on it has been read. */
static int64_t look_ahead(const struct kl_pair *p)
{
	return 3 * (int64_t)p->config.tolerance_ns;
}

static void look_at(struct kl_pair *p, struct kl_pair_node *n, bool early)
{
	bool near = kl_is_near(n->side, n->direction);
	int64_t tolerance = (int64_t)p->config.tolerance_ns;
	uint32_t reason;

	if (n->entry && n->entry->dirty)
		kl_pair_match(p, n->entry);
	if (n->paired || n->duplicate || !n->conn->partner)
		return;
	reason = kl_pair_covered(p, n->side ^ 1, n->at_ns - KL_PAIR_EARLY_NS, n->at_ns + tolerance);
	if (reason && reason != KL_PAIR_DROPPED)
		return;
	if (early)
		n->verdict = KL_VERDICT_NO_ROOM;
	else if (!near)
		kl_pair_examine_far(p, n);
	else if (n->verdict == KL_VERDICT_NONE && kl_kind_is_joined(n->kind))
		kl_pair_examine(p, n);
}

/* Matches the next one. Returns false where more must be read first. */
static bool match_next(struct kl_pair *p, bool early)
{
	struct kl_pair_node *n = earlier(p, p->half[KL_ACCESS].cursor, p->half[KL_CUCM].cursor);
	bool read;

	if (!n)
		return false;
	n->at_ns = kl_pair_to_access(p, n->side, n->time_ns);
	read = is_read(p, n->at_ns, look_ahead(p));
	if (!read && !early)
		return false;
	n->matched = true;
	p->half[n->side].cursor = n->next;
	/* Without memory for a vote it stays alone, which is said. */
	if (p->track.known)
		(void)kl_pair_seek_by_time(p, n);
	look_at(p, n, !read);
	return true;
}

static bool find_clock(struct kl_pair *p, bool last)
{
	if (p->track.known)
		return true;
	if (last ? p->tried == p->both + 1 : p->both < p->try_at)
		return false;
	if (last)
		p->tried = p->both + 1;
	if (kl_pair_clock_find(p, last))
		return true;
	p->try_at = p->both * 2;
	return false;
}

/*
 * A little error of the clocks must not put an effect before its cause. The access side's times
 * are as they are; a time of the cucm side lies behind those before it there, and, of what is near
 * there, not behind its far copy.
 */
static void put_in_order(struct kl_pair *p, struct kl_pair_node *n)
{
	/* More than a little is a step of the clock. */
	if (n->at_ns < p->half[KL_CUCM].out_ns && n->at_ns + LITTLE_NS > p->half[KL_CUCM].out_ns)
		n->at_ns = p->half[KL_CUCM].out_ns;
	if (n->mate && kl_is_near(n->side, n->direction) && n->mate->matched &&
	    n->mate->at_ns < n->at_ns)
		n->at_ns = n->mate->at_ns;
}

/* The next one of those that are matched: by time, but no far copy before its near one. */
static struct kl_pair_node *next_out(struct kl_pair *p)
{
	struct kl_pair_node *a = p->half[KL_ACCESS].head, *b = p->half[KL_CUCM].head;
	struct kl_pair_node *n;

	a = a && a->matched ? a : NULL;
	b = b && b->matched ? b : NULL;
	if (b && p->track.known)
		put_in_order(p, b);
	if (!a || !b)
		return a ? a : b;
	n = b->at_ns < a->at_ns ? b : a;
	if (n->mate && !kl_is_near(n->side, n->direction))
		n = n == a ? b : a;
	return n;
}

static bool hand_out(struct kl_pair *p, struct kl_pair_node *n, struct kl_paired *ret)
{
	bool near = kl_is_near(n->side, n->direction);
	bool says = near || n->duplicate || !n->paired;

	if (near && n->paired && n->far_ns < n->at_ns)
		n->far_ns = n->at_ns;
	if (near && n->mate && n->side == KL_ACCESS && n->mate->matched)
		n->mate->at_ns = n->far_ns;
	p->half[n->side].out_ns = n->at_ns;
	if (says)
		kl_pair_judge(p, n, ret);
	kl_pair_node_release(p, n);
	return says;
}

bool kl_pair_next(struct kl_pair *p, struct kl_paired *ret)
{
	for (;;) {
		bool full = p->stats.held >= p->config.max_held;
		bool known = find_clock(p, p->finished || full);
		struct kl_pair_node *n;

		while (known && match_next(p, false))
			;
		if (!known && !full && !p->finished)
			return false;
		n = next_out(p);
		if (!n && (full || p->finished) && match_next(p, true))
			n = next_out(p);
		if (!n)
			return false;
		/* Where one side was read far ahead there is much to say at once: but not too soon. */
		if (!full && !p->finished &&
		    (!p->track.counts || !is_read(p, n->at_ns, (int64_t)p->config.hold_ns)))
			return false;
		/* It may have got a partner since. */
		if (known)
			look_at(p, n, !is_read(p, n->at_ns, look_ahead(p)));
		if (hand_out(p, n, ret))
			return true;
	}
}

void kl_pair_finish(struct kl_pair *p)
{
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		if (!p->half[side].ended)
			(void)kl_pair_cover(p, side, KL_COVER_ENDED, 0, 0);
	}
	p->finished = true;
}

bool kl_pair_oldest(const struct kl_pair *p, uint32_t side, uint64_t *ret_cookie)
{
	const struct kl_pair_node *n = p->half[side].head;

	if (n)
		*ret_cookie = n->cookie;
	return n != NULL;
}

bool kl_pair_other_clock(const struct kl_pair *p, uint32_t side, uint64_t time_ns, uint64_t *ret_ns)
{
	int64_t at;

	if (!p->track.known)
		return false;
	if (side == KL_ACCESS) {
		*ret_ns = kl_pair_from_access(p, KL_CUCM, (int64_t)time_ns);
		return true;
	}
	at = kl_pair_to_access(p, side, time_ns);
	*ret_ns = at > 0 ? (uint64_t)at : 0;
	return true;
}

void kl_pair_stats(const struct kl_pair *p, struct kl_pair_stats *ret)
{
	*ret = p->stats;
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		for (const struct kl_pair_conn *c = p->half[side].lru_first; c; c = c->lru_next) {
			if (c->how != KL_PAIR_ALONE)
				continue;
			if (!p->track.known)
				ret->alone[KL_PAIR_NO_CLOCK]++;
			else if (kl_pair_conn_at(p, side ^ 1, &c->ends))
				ret->alone[KL_PAIR_REWRITTEN]++;
			else
				ret->alone[KL_PAIR_NO_PARTNER]++;
		}
	}
}

const char *kl_pair_reason_name(uint32_t reason)
{
	static const char *const names[KL_PAIR_REASONS] = {
		[KL_PAIR_NO_REASON] = "none",
		[KL_PAIR_BEFORE] = "before",
		[KL_PAIR_AFTER] = "after",
		[KL_PAIR_GAP] = "gap",
		[KL_PAIR_DROPPED] = "capture_dropped",
		[KL_PAIR_STEP] = "clock_step",
		[KL_PAIR_NO_CLOCK] = "no_clock",
		[KL_PAIR_NO_PARTNER] = "no_partner",
		[KL_PAIR_REWRITTEN] = "rewritten",
		[KL_PAIR_ONE_SIDED] = "one_sided",
		[KL_PAIR_ACKNOWLEDGED] = "acknowledged",
		[KL_PAIR_UNSEEN] = "unseen",
		[KL_PAIR_UNCONFIRMED] = "unconfirmed",
		[KL_PAIR_OUT_OF_TIME] = "out_of_time",
		[KL_PAIR_FRAGMENTED] = "fragmented",
		[KL_PAIR_FAR_ONLY] = "far_only",
		[KL_PAIR_NO_ROOM] = "no_room",
	};

	return reason < KL_PAIR_REASONS ? names[reason] : "unknown";
}
