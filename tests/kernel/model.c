// SPDX-License-Identifier: GPL-2.0-only
/* model.h */
#include <stdlib.h>
#include <string.h>

#include "model.h"

struct walk {
	const struct model_hook *hook;
	struct kl_conn *conn;
	struct kl_sighting at;
	const __u8 *frame;
	__u64 id;
	__u32 service;
	bool near;
};

void model_forget(struct model *m)
{
	const struct model empty = { .settings = m->settings, .ports = m->ports, .now = m->now };

	*m = empty;
}

static struct kl_conn *find_conn(struct model *m, __u64 id)
{
	for (__u32 i = 0; i < m->conns; i++) {
		if (m->conn_id[i] == id)
			return &m->conn[i];
	}
	return NULL;
}

static struct kl_conn *add_conn(struct model *m, __u64 id, const struct kl_endpoints *ends)
{
	struct kl_conn *c = &m->conn[m->conns];

	if (m->conns == MODEL_CONNS)
		abort();
	m->conn_id[m->conns++] = id;
	c->ends = *ends;
	c->created_ns = m->now;
	return c;
}

static __u32 classify(struct model *m, const struct walk *w, const struct kl_segment *s,
		      bool *ret_names_device)
{
	__u8 head[KL_HEAD_BYTES] = { 0 }, window[KL_WINDOW_MASK + 1] = { 0 };
	__u32 len = s->payload_len < KL_WINDOW_BYTES ? s->payload_len : KL_WINDOW_BYTES;
	__u32 head_len = len < KL_HEAD_BYTES ? len : KL_HEAD_BYTES;
	struct kl_head_result r;

	(void)m;
	memcpy(window, w->frame + s->payload_off, len);
	memcpy(head, window, head_len);
	kl_classify_head(w->service, head, head_len, s->payload_len, &r);
	*ret_names_device = r.names_device;
	return r.scan == KL_SCAN_NONE ? r.kind : kl_classify_window(r.scan, r.kind, window, len);
}

static void join(struct model *m, const struct walk *w, const struct kl_segment *s, __u32 *kind,
		 bool insert, struct kl_join_result *ret, bool *ret_found)
{
	struct kl_flow *f = &w->conn->flow[w->at.direction];
	struct kl_join_key key = { .conn = w->id,
				   .seq = s->seq,
				   .len_direction = s->payload_len << 1 | w->at.direction };
	struct kl_join_sighting sighting = { .now = w->at.now,
					     .stamp = kl_stamp(s),
					     .deadline_ns = m->settings.deadline_ns,
					     .near = w->near,
					     .proven = kl_flow_is_countable(f, 1, w->at.now) };
	struct kl_bucket *b = &m->join[kl_join_key_hash(&key) & m->settings.bucket_mask];
	struct kl_join_entry *e = kl_join_find(b, &key);

	if (f->hole_seq == s->seq)
		sighting.wanted_ns = f->hole_ns;
	memset(ret, 0, sizeof(*ret));
	*ret_found = e != NULL;
	if (!e && insert) {
		e = kl_join_pick(b, w->at.now);
		if (e)
			kl_join_init(e, &key, w->id, *kind);
		else
			m->counters.incident[KL_JOIN_FULL]++;
	}
	if (!e)
		return;
	*ret_found = true;
	*kind = e->kind;
	kl_join_sight(e, &sighting, ret);
}

static void see_one(struct model *m, struct walk *w, struct kl_segment *s)
{
	struct kl_flow *f = &w->conn->flow[w->at.direction];
	__u64(*tally)[KL_DIRECTIONS][KL_KIND_SLOTS] = m->counters.tally;
	bool bare = s->payload_len <= 1, names_device = false, found;
	__u8 closing = f->closing;
	struct kl_join_result r;
	__u32 kind = KL_OTHER;

	if (bare)
		kind = kl_flow_bare_kind(w->conn, &w->at, s);
	else
		kind = classify(m, w, s, &names_device);
	kl_flow_see(w->conn, &w->at, s);
	m->events[KL_EVENT_CLOSE] += f->closing != closing;
	if (w->near && names_device && !(w->conn->flags & KL_CONN_NAMED)) {
		w->conn->flags |= KL_CONN_NAMED;
		m->events[KL_EVENT_NAME]++;
		m->name_len = s->payload_len < KL_WINDOW_BYTES ? s->payload_len : KL_WINDOW_BYTES;
		memcpy(m->name, w->frame + s->payload_off, m->name_len);
	}
	if (!kl_kind_is_joined(kind))
		return;
	join(m, w, s, &kind, true, &r, &found);
	if (!found)
		return;
	tally[KL_SENT][w->at.direction][kind] += r.sent;
	tally[KL_DELIVERED][w->at.direction][kind] += r.delivered;
	tally[KL_DUPLICATES][w->at.direction][kind] += r.duplicate;
	if (w->near && r.retransmission && !bare) {
		tally[KL_RETRANSMITTED][w->at.direction][kind]++;
		m->events[KL_EVENT_RETRANSMISSION]++;
	}
}

/* Returns false where the segment is not to be followed. */
static bool start(struct model *m, struct walk *w, const struct kl_segment *s)
{
	struct kl_endpoints ends;
	bool ambiguous, made = false;
	__u32 direction = kl_orient(&m->ports, s, &ambiguous), side = w->hook->side;

	kl_endpoints_of(s, direction, &ends);
	w->id = kl_endpoints_hash(&ends, m->settings.seed);
	if (!ambiguous && (side == direction) == w->hook->egress) {
		if (!w->hook->egress)
			m->counters.incident[side == KL_ACCESS ? KL_WRONG_WAY_ACCESS
							       : KL_WRONG_WAY_CUCM]++;
		return false;
	}
	w->conn = find_conn(m, w->id);
	if (!w->conn) {
		if (s->flags & KL_RST)
			return false;
		w->conn = add_conn(m, w->id, &ends);
		made = true;
	}
	if (ambiguous) {
		if ((s->flags & KL_SYN) && kl_orient_by_syn(s) != direction)
			w->conn->flags |= KL_CONN_SWAPPED;
		else if (s->flags & KL_SYN)
			w->conn->flags &= ~(__u32)KL_CONN_SWAPPED;
		if (w->conn->flags & KL_CONN_SWAPPED)
			direction ^= 1;
		if ((side == direction) == w->hook->egress)
			return false;
	}
	w->at = (struct kl_sighting){
		.side = side, .direction = direction, .now = m->now, .epoch = 1
	};
	w->near = kl_is_near(side, direction);
	kl_conn_ends(w->conn, &ends);
	w->service = kl_port_service(&m->ports, ends.cucm_port);
	if (side == KL_ACCESS) {
		w->conn->flags |= KL_CONN_ACCESS;
		w->conn->vlan = s->vlan;
		memcpy(w->conn->phone_mac, direction == KL_TO_CUCM ? s->mac_src : s->mac_dst, 6);
	}
	if (s->flags & KL_SYN)
		made |= kl_conn_see_syn(w->conn, &w->at, s);
	m->events[KL_EVENT_OPEN] += made;
	return true;
}

void model_see(struct model *m, const struct model_hook *hook, const __u8 *frame, __u32 len,
	       __u32 gso_size)
{
	struct kl_frame f = {
		.data = frame, .end = frame + len, .wire_len = len, .is_aggregate = gso_size > 0
	};
	struct walk w = { .hook = hook, .frame = frame };
	struct kl_segment s;
	__u32 left;
	__u8 flags;

	m->now += KL_NS_PER_US;
	switch (kl_parse(&f, &m->ports, &s)) {
	case KL_NOT_OURS:
		return;
	case KL_FRAGMENT:
		m->counters.incident[KL_FRAGMENTS]++;
		return;
	case KL_SEGMENT:
		break;
	default:
		m->counters.incident[KL_MALFORMED_FRAMES]++;
		return;
	}
	if (!start(m, &w, &s))
		return;
	left = s.payload_len;
	flags = s.flags;
	do {
		__u32 piece = gso_size && left > gso_size ? gso_size : left;

		left -= piece;
		s.payload_len = piece;
		s.flags = left ? flags & ~KL_FIN : flags;
		if (w.near)
			m->counters.segments[w.at.direction]++;
		see_one(m, &w, &s);
		s.seq += piece;
		s.payload_off += piece;
		if (s.ip_id)
			s.ip_id++;
	} while (left);
}
