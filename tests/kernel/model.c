// SPDX-License-Identifier: GPL-2.0-only
/* model.h */
#include <stdlib.h>
#include <string.h>

#include "model.h"

struct walk {
	struct kl_follow_segment out;
	const struct model_hook *hook;
	__u64 heard;
	bool made;
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

static void take_event(const struct kl_event *event, const __u8 *payload, __u32 len, void *arg)
{
	struct model *m = arg;

	if (m->event_count == MODEL_EVENTS)
		abort();
	m->events[m->event_count++] = *event;
	if (event->type != KL_EVENT_PAYLOAD)
		return;
	m->payload_len = len;
	memcpy(m->payload, payload, len);
}

/* ---- When a phone was heard last ---- */

static struct kl_mac_bucket *mac_bucket(struct model *m, __u64 mac)
{
	return &m->macs[kl_mac_bucket_of(mac, m->settings.seed, m->settings.mac_mask)];
}

/* Any frame that comes in on the access side. Returns when the one before it did. */
static __u64 hear(struct model *m, const __u8 *frame)
{
	__u64 mac = kl_mac_word(frame + 6), before;
	struct kl_mac_seen *way = kl_mac_find(mac_bucket(m, mac), mac);

	if (!way)
		return 0;
	before = way->last;
	if (mac)
		way->last = m->now;
	return before;
}

static __u32 silence_of(struct model *m, const struct walk *w)
{
	__u64 mac = kl_mac_word(w->out.conn->phone_mac);
	struct kl_mac_seen *way = mac ? kl_mac_find(mac_bucket(m, mac), mac) : NULL;

	if (w->out.at.direction == KL_TO_PHONE)
		return way ? kl_mac_silence(m->now, way->last, 1) : 0;
	if (!way)
		kl_mac_add(mac_bucket(m, mac), mac, m->now);
	return kl_mac_silence(m->now, w->heard, 1);
}

/* Returns false where the segment is not to be followed. */
static bool start(struct model *m, struct walk *w, struct kl_segment *s)
{
	struct kl_follow_segment *out = &w->out;
	struct kl_endpoints ends;
	bool ambiguous;
	__u32 direction = kl_orient(&m->ports, s, &ambiguous), side = w->hook->side;

	kl_endpoints_of(s, direction, &ends);
	out->id = kl_endpoints_hash(&ends, m->settings.seed);
	if (!ambiguous && (side == direction) == w->hook->egress) {
		if (!w->hook->egress)
			m->counters.incident[side == KL_ACCESS ? KL_WRONG_WAY_ACCESS
							       : KL_WRONG_WAY_CUCM]++;
		return false;
	}
	out->conn = find_conn(m, out->id);
	if (!out->conn) {
		if (s->flags & KL_RST)
			return false;
		out->conn = add_conn(m, out->id, &ends);
		w->made = true;
	}
	if (ambiguous) {
		if ((s->flags & KL_SYN) && kl_orient_by_syn(s) != direction)
			out->conn->flags |= KL_CONN_SWAPPED;
		else if (s->flags & KL_SYN)
			out->conn->flags &= ~(__u32)KL_CONN_SWAPPED;
		if (out->conn->flags & KL_CONN_SWAPPED)
			direction ^= 1;
		if ((side == direction) == w->hook->egress)
			return false;
	}
	out->at = (struct kl_sighting){
		.side = side, .direction = direction, .now = m->now, .epoch = 1
	};
	out->segment = s;
	kl_conn_ends(out->conn, &ends);
	out->service = kl_port_service(&m->ports, ends.cucm_port);
	if (side == KL_ACCESS) {
		out->conn->flags |= KL_CONN_ACCESS;
		out->conn->vlan = s->vlan;
		memcpy(out->conn->phone_mac, direction == KL_TO_CUCM ? s->mac_src : s->mac_dst, 6);
		if (direction == KL_TO_CUCM)
			memcpy(out->conn->next_mac, s->mac_dst, 6);
	}
	if (kl_flow_is_routine(out->conn, &out->at, s))
		out->at.now = 0;
	else if (m->settings.idle && kl_is_near(side, direction))
		out->at.silence = silence_of(m, w);
	return true;
}

/* No second goes by in a test: what was told once is not told again. */
static void see_neighbour(struct model *m, const struct model_hook *hook, const struct kl_frame *f)
{
	__u32 len = f->wire_len < KL_ARP_BYTES ? f->wire_len : KL_ARP_BYTES, decoded;
	struct kl_arp_event *e = &m->arp[m->arp_count];
	struct kl_layout layout;

	kl_peek(f, &m->ports, &layout);
	if (!m->settings.arp || hook->egress || !kl_arp_peek(f, &layout))
		return;
	if (m->arp_count == MODEL_ARP)
		abort();
	decoded = kl_arp_decode(f->data, len, f->wire_len, 0, e);
	m->counters.incident[KL_ARP_MALFORMED] += decoded == KL_ARP_BAD;
	if (decoded != KL_ARP_EVENT)
		return;
	for (__u32 i = 0; i < m->arp_count; i++) {
		if (kl_arp_hash(&m->arp[i], 0) == kl_arp_hash(e, 0))
			return;
	}
	e->side = (__u8)hook->side;
	m->arp_count++;
}

void model_see(struct model *m, const struct model_hook *hook, const __u8 *frame, __u32 len,
	       __u32 gso_size)
{
	struct kl_frame f = {
		.data = frame, .end = frame + len, .wire_len = len, .is_aggregate = gso_size > 0
	};
	struct kl_follow follow = { .deadline_ns = m->settings.deadline_ns,
				    .epoch = 1,
				    .bucket_mask = m->settings.bucket_mask,
				    .join = m->join,
				    .counters = m->counters,
				    .handler = take_event,
				    .arg = m };
	struct walk w = { .hook = hook };
	struct kl_segment s;
	__u32 left;
	__u8 flags;

	m->now += KL_NS_PER_US;
	if (m->settings.idle && hook->side == KL_ACCESS && !hook->egress)
		w.heard = hear(m, frame);
	switch (kl_parse(&f, &m->ports, &s)) {
	case KL_NOT_OURS:
		see_neighbour(m, hook, &f);
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
	follow.counters = m->counters;
	kl_follow_open(&follow, &w.out, w.made);
	left = s.payload_len;
	flags = s.flags;
	do {
		__u32 piece = gso_size && left > gso_size ? gso_size : left;

		left -= piece;
		s.payload_len = piece;
		s.flags = left ? flags & ~KL_FIN : flags;
		w.out.payload = frame + s.payload_off;
		w.out.have = piece;
		kl_follow_see(&follow, &w.out);
		s.seq += piece;
		s.payload_off += piece;
		if (s.ip_id)
			s.ip_id++;
	} while (left);
	m->counters = follow.counters;
}
