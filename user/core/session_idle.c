// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long the phone had been silent before a segment. Live, the kernel says it of all the phone's
 * frames; else it is known of its segments on this connection only. What lies before a gap in what
 * was seen says nothing.
 */
#include <string.h>

#include "core/session_state.h"

/* A segment may be told by several events. */
static uint64_t heard_on_connection(struct kl_node *n, const struct kl_event *e)
{
	if (e->direction != KL_TO_CUCM || !kl_is_near(e->side, e->direction))
		return n->phone_ns;
	if (e->time_ns > n->phone_ns) {
		n->phone_before_ns = n->phone_ns;
		n->phone_ns = e->time_ns;
	}
	return n->phone_before_ns;
}

void kl_idle_hear(const struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	uint64_t here_ns = heard_on_connection(n, e), idle_ns = e->idle_ms * KL_NS_PER_MS;

	n->heard = (struct kl_heard){ .time_ns = here_ns, .known = KL_IDLE_SIGNALLING };
	if (e->idle_ms != KL_IDLE_NONE && idle_ns < e->time_ns)
		n->heard = (struct kl_heard){ .time_ns = e->time_ns - idle_ns,
					      .known = KL_IDLE_ALL };
	if (!n->heard.time_ns || n->heard.time_ns <= s->gap_ns)
		n->heard = (struct kl_heard){};
}

void kl_idle_tell(struct kl_story *story, const struct kl_heard *heard)
{
	story->idle_ns = 0;
	story->idle_known = KL_IDLE_UNKNOWN;
	/* It was heard between what was lost and what tells of it: not known what was before that. */
	if (heard->known == KL_IDLE_UNKNOWN || heard->time_ns > story->time_ns)
		return;
	story->idle_ns = story->time_ns - heard->time_ns;
	story->idle_known = (enum kl_idle_known)heard->known;
}

static struct kl_recent *find_recent(struct kl_flow_story *f, uint32_t seq, uint32_t len)
{
	for (int i = 0; i < KL_RECENT; i++) {
		if (f->recent[i].copy && f->recent[i].seq == seq && f->recent[i].len == len)
			return &f->recent[i];
	}
	return NULL;
}

void kl_idle_remember(struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *f = &n->flow[e->direction & 1];
	struct kl_recent *r = e->type == KL_EVENT_SEGMENT ? NULL
							  : find_recent(f, e->seq, e->payload_len);
	uint64_t idle_ms = kl_since(e->time_ns, n->heard.time_ns) / KL_NS_PER_MS;
	int at = e->type == KL_EVENT_SEGMENT ? 0 : 1;

	if (!r) {
		memmove(&f->recent[1], &f->recent[0], (KL_RECENT - 1) * sizeof(f->recent[0]));
		r = &f->recent[0];
		*r = (struct kl_recent){ .seq = e->seq, .len = e->payload_len };
	}
	r->copy = at && e->copy ? e->copy : 1;
	r->known[at] = n->heard.known;
	r->idle_ms[at] = idle_ms < UINT32_MAX ? (uint32_t)idle_ms : UINT32_MAX;
}

bool kl_sessions_idle_of(const struct kl_sessions *s, uint64_t id, uint32_t direction, uint32_t seq,
			 uint32_t len, unsigned copy, uint64_t *ret_idle_ns,
			 enum kl_idle_known *ret_known)
{
	uint32_t place = kl_table_find(s->table, id);
	const struct kl_recent *r;
	struct kl_node *n;
	int at = copy > 1;

	*ret_idle_ns = 0;
	*ret_known = KL_IDLE_UNKNOWN;
	n = place ? kl_table_wake(s->table, place) : NULL;
	r = n ? find_recent(&n->flow[direction & 1], seq, len) : NULL;
	if (!r || !copy || (at && r->copy != copy) || r->known[at] == KL_IDLE_UNKNOWN)
		return false;
	*ret_idle_ns = r->idle_ms[at] * KL_NS_PER_MS;
	*ret_known = (enum kl_idle_known)r->known[at];
	return true;
}
