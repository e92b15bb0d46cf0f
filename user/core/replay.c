// SPDX-License-Identifier: GPL-2.0-only
#include "core/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "util/table.h"

enum {
	KEPT_FIRST = 1024,
	KEPT_MAX = 1 << 20,
	CONNS = 65536,
	GAPS = 64,
	BUCKETS = 4096, /* of the join of a single capture: it only tells copies from duplicates */
};

/* A way from side to side that took longer than this says nothing about who has what by when. */
#define SLOW_NS (50 * KL_NS_PER_MS)

#define DEADLINE_NS (1000 * KL_NS_PER_MS)

struct kept {
	uint64_t cookie; /* 0: empty */
	uint64_t reference;
	struct kl_segment segment;
	struct kl_message *message; /* NULL: it tells nothing */
	uint8_t tells;
	uint8_t service;
};

/* The last segment of a direction that was joined, and what became of its copies. */
struct last {
	uint64_t near_ns;
	uint32_t seq;
	uint32_t len;
	uint16_t crossed; /* KL_CROSSED_UNKNOWN */
	bool valid;
};

struct conn {
	uint64_t id;
	struct kl_conn conn;
	struct last last[KL_DIRECTIONS];
	bool made;
	struct conn *prev, *next; /* by last segment */
	UT_hash_handle hh;
};

struct kl_replay {
	struct kl_replay_config config;
	struct kl_follow follow;
	struct kept *kept; /* a ring, by cookie */
	size_t kept_room;  /* a power of two */
	uint64_t next_cookie;
	struct conn *conns;
	struct conn *order;
	uint64_t gap_ns[GAPS];		  /* ends of gaps to come; 0: none */
	const struct kl_message *message; /* of the segment that is followed; NULL: none */
	int error;
};

static void take_event(const struct kl_event *event, const __u8 *payload, __u32 len, void *arg)
{
	static const struct kl_message nothing;
	struct kl_replay *r = arg;
	int error;

	(void)payload;
	(void)len;
	error = kl_sessions_learn(r->config.sessions, event, r->message ? r->message : &nothing);
	if (error)
		r->error = error;
}

int kl_replay_new(const struct kl_replay_config *config, struct kl_replay **ret)
{
	struct kl_replay *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->config = *config;
	if (!r->config.max_kept)
		r->config.max_kept = KEPT_MAX;
	if (!r->config.max_conns)
		r->config.max_conns = CONNS;
	r->next_cookie = 1;
	r->kept_room = KEPT_FIRST;
	r->kept = calloc(r->kept_room, sizeof(*r->kept));
	if (!r->kept || kl_follow_init(&r->follow, BUCKETS, DEADLINE_NS, take_event, r)) {
		free(r->kept);
		free(r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

static void drop(struct kl_replay *r, struct conn *c)
{
	if (!r->conns)
		return;
	DL_DELETE(r->order, c);
	HASH_DEL(r->conns, c);
	free(c);
}

void kl_replay_free(struct kl_replay *r)
{
	if (!r)
		return;
	while (r->order)
		drop(r, r->order);
	for (size_t i = 0; i < r->kept_room; i++)
		free(r->kept[i].message);
	free(r->kept);
	kl_follow_done(&r->follow);
	free(r);
}

/* ---- What is kept ---- */

static struct kept *slot(const struct kl_replay *r, uint64_t cookie)
{
	return &r->kept[cookie & (r->kept_room - 1)];
}

/* A cookie's place is taken again after kept_room others: what is still wanted must not be lost. */
static int grow(struct kl_replay *r)
{
	size_t room = r->kept_room * 2;
	struct kept *kept = calloc(room, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	for (size_t i = 0; i < r->kept_room; i++) {
		if (r->kept[i].cookie)
			kept[r->kept[i].cookie & (room - 1)] = r->kept[i];
	}
	free(r->kept);
	r->kept = kept;
	r->kept_room = room;
	return 0;
}

static void empty(struct kept *k)
{
	free(k->message);
	*k = (struct kept){};
}

int kl_replay_keep(struct kl_replay *r, struct kl_sight *sight, const struct kl_segment *segment,
		   uint64_t reference)
{
	uint64_t cookie = r->next_cookie;
	struct kept *k = slot(r, cookie);

	while (k->cookie && r->kept_room < r->config.max_kept) {
		if (grow(r))
			return -ENOMEM;
		k = slot(r, cookie);
	}
	empty(k);
	if (sight->tells) {
		k->message = malloc(sizeof(*k->message));
		if (!k->message)
			return -ENOMEM;
		*k->message = sight->message;
	}
	r->next_cookie++;
	k->cookie = cookie;
	k->reference = reference;
	k->segment = *segment;
	k->tells = (uint8_t)sight->tells;
	k->service = (uint8_t)sight->service;
	sight->sighted.cookie = cookie;
	return 0;
}

static struct kept *find_kept(const struct kl_replay *r, uint64_t cookie)
{
	struct kept *k = slot(r, cookie);

	return cookie && k->cookie == cookie ? k : NULL;
}

uint64_t kl_replay_reference(const struct kl_replay *r, uint64_t cookie)
{
	const struct kept *k = find_kept(r, cookie);

	return k ? k->reference : 0;
}

/* ---- Connections ---- */

static struct conn *get_conn(struct kl_replay *r, uint64_t id, const struct kl_endpoints *ends,
			     uint64_t now_ns)
{
	struct conn *c;

	HASH_FIND(hh, r->conns, &id, sizeof(id), c);
	if (c) {
		if (c->next) {
			DL_DELETE(r->order, c);
			DL_APPEND(r->order, c);
		}
		return c;
	}
	if (HASH_COUNT(r->conns) >= r->config.max_conns && r->order)
		drop(r, r->order);
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->id = id;
	c->made = true;
	c->conn.ends = *ends;
	c->conn.created_ns = now_ns;
	HASH_ADD(hh, r->conns, id, sizeof(c->id), c);
	DL_APPEND(r->order, c);
	return c;
}

static void note_frame(struct kl_conn *c, const struct kl_segment *s, __u32 direction)
{
	static const __u8 no_mac[6];
	const __u8 *mac = direction == KL_TO_CUCM ? s->mac_src : s->mac_dst;

	if (s->vlan)
		c->vlan = s->vlan;
	if (memcmp(mac, no_mac, sizeof(no_mac)))
		memcpy(c->phone_mac, mac, sizeof(c->phone_mac));
	if (direction == KL_TO_CUCM && memcmp(s->mac_dst, no_mac, sizeof(no_mac)))
		memcpy(c->next_mac, s->mac_dst, sizeof(c->next_mac));
}

/* ---- Gaps ---- */

void kl_replay_gap(struct kl_replay *r, uint64_t until_ns)
{
	for (int i = 0; i < GAPS; i++) {
		if (!r->gap_ns[i]) {
			r->gap_ns[i] = until_ns;
			return;
		}
	}
	/* So many at once: the latest stands for all that are still to come. */
	if (r->gap_ns[GAPS - 1] < until_ns)
		r->gap_ns[GAPS - 1] = until_ns;
}

/* Tells the sessions of the gaps that lie behind now. */
static void pass_gaps(struct kl_replay *r, uint64_t now_ns)
{
	bool passed = false;

	for (int i = 0; i < GAPS; i++) {
		if (!r->gap_ns[i] || r->gap_ns[i] > now_ns)
			continue;
		r->gap_ns[i] = 0;
		passed = true;
	}
	if (passed)
		kl_sessions_gap(r->config.sessions, now_ns);
}

/* ---- Following ---- */

static bool is_segment_of(const struct last *l, const struct kl_segment *s)
{
	return l->valid && l->seq == s->seq && l->len == s->payload_len;
}

static void settle(struct conn *c, const struct kl_paired *p, const struct kl_segment *s,
		   struct kl_join_result *ret)
{
	const struct last *l = &c->last[p->direction & 1];
	bool again = is_segment_of(l, s);

	*ret = (struct kl_join_result){
		.copy = p->copy,
		.duplicate = p->fate == KL_PAIR_DUPLICATE,
		.retransmission = p->copy > 1,
		.first = p->copy == 1,
		.crossed = p->copy == 1 ? 0 : KL_CROSSED_UNKNOWN,
	};
	if (!again)
		return;
	ret->gap_ns = kl_since(p->near_ns, l->near_ns);
	ret->crossed = l->crossed;
}

static void remember(struct conn *c, const struct kl_paired *p, const struct kl_segment *s)
{
	struct last *l = &c->last[p->direction & 1];
	uint16_t crossed = is_segment_of(l, s) ? l->crossed : 0;

	if (p->fate == KL_PAIR_DUPLICATE)
		return;
	/* One that took so long may arrive behind the copy that was sent for it. */
	if (p->fate == KL_PAIR_UNPAIRED || kl_since(p->far_ns, p->near_ns) > SLOW_NS)
		crossed = KL_CROSSED_UNKNOWN;
	else if (p->fate == KL_PAIR_DELIVERED && crossed < KL_CROSSED_UNKNOWN - 1)
		crossed++;
	*l = (struct last){ .near_ns = p->near_ns,
			    .seq = s->seq,
			    .len = s->payload_len,
			    .crossed = crossed,
			    .valid = true };
}

int kl_replay_paired(struct kl_replay *r, const struct kl_paired *p)
{
	struct kept *near = p->near_ns ? find_kept(r, p->cookie) : NULL;
	struct kept *far = find_kept(r, p->near_ns ? p->far_cookie : p->cookie);
	const struct kl_endpoints *ends = &p->ends[p->ends[KL_ACCESS].family ? KL_ACCESS : KL_CUCM];
	uint64_t now_ns = p->near_ns ? p->near_ns : p->far_ns;
	struct kl_follow_segment out = { .id = p->conn_id };
	struct kl_join_result settled = {};
	struct kl_segment segment;
	struct conn *c;

	if (!near && !far)
		return 0;
	pass_gaps(r, now_ns);
	c = get_conn(r, p->conn_id, ends, now_ns);
	if (!c)
		return -ENOMEM;
	segment = near ? near->segment : far->segment;
	segment.seq = p->seq;
	segment.ack = p->ack;
	out.conn = &c->conn;
	out.segment = &segment;
	out.kind = p->kind;
	out.settled = &settled;
	out.at = (struct kl_sighting){ .direction = p->direction, .epoch = 1 };
	if (near) {
		note_frame(&c->conn,
			   p->direction == KL_TO_CUCM ? &near->segment
			   : far		      ? &far->segment
						      : &near->segment,
			   p->direction);
		settle(c, p, &segment, &settled);
		out.tells = near->tells;
		out.service = near->service;
		out.at.side = p->direction;
		out.at.now = p->near_ns;
		r->message = near->message;
		kl_follow_open(&r->follow, &out, c->made);
		c->made = false;
		kl_follow_see(&r->follow, &out);
		r->message = NULL;
		if (segment.payload_len > 1 && kl_kind_is_joined(p->kind))
			remember(c, p, &segment);
		if (p->fate == KL_PAIR_LOST || p->fate == KL_PAIR_UNPAIRED)
			kl_sessions_lost_between(r->config.sessions, p->conn_id, p->direction,
						 segment.seq, segment.payload_len, 1,
						 p->fate == KL_PAIR_LOST);
	}
	if (far) {
		segment.ttl = far->segment.ttl;
		out.at.side = p->direction ^ 1U;
		out.at.now = near ? p->near_ns : p->far_ns;
		kl_follow_open(&r->follow, &out, c->made);
		c->made = false;
		out.tells = KL_TELLS_NOTHING;
		kl_follow_see(&r->follow, &out);
	}
	if (near)
		empty(near);
	if (far)
		empty(far);
	kl_sessions_advance(r->config.sessions, now_ns);
	return r->error;
}

int kl_replay_alone(struct kl_replay *r, const struct kl_sight *sight,
		    const struct kl_segment *segment, bool *ret_retransmission, bool *ret_duplicate)
{
	const struct kl_sighted *p = &sight->sighted;
	uint64_t id = kl_endpoints_hash(&p->ends, 0);
	struct kl_segment s = *segment;
	struct kl_follow_segment out = { .id = id, .segment = &s, .kind = p->kind };
	struct kl_join_result settled;
	struct conn *c = get_conn(r, id, &p->ends, p->time_ns);

	*ret_retransmission = *ret_duplicate = false;
	pass_gaps(r, p->time_ns);
	if (!c)
		return -ENOMEM;
	note_frame(&c->conn, segment, p->direction);
	out.conn = &c->conn;
	out.service = sight->service;
	out.tells = sight->tells;
	out.at = (struct kl_sighting){
		.side = p->direction, .direction = p->direction, .now = p->time_ns, .epoch = 1
	};
	kl_follow_count(&r->follow, &out, &settled);
	*ret_retransmission = settled.retransmission && s.payload_len > 1;
	*ret_duplicate = settled.duplicate;
	out.settled = &settled;
	r->message = &sight->message;
	kl_follow_open(&r->follow, &out, c->made);
	c->made = false;
	kl_follow_see(&r->follow, &out);
	r->message = NULL;
	/* What passes here goes on to its receiver: this is its far side, too. */
	out.at.side ^= 1;
	out.tells = KL_TELLS_NOTHING;
	kl_follow_see(&r->follow, &out);
	kl_sessions_advance(r->config.sessions, p->time_ns);
	return r->error;
}
