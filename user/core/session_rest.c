// SPDX-License-Identifier: GPL-2.0-only
/*
 * One description serves both ways: walk() goes through all members of a node, and each step either
 * writes the member or reads it. A step says what is to be expected of its member, by members that
 * were gone through before.
 */
#include "core/session_rest.h"

#include <stdlib.h>
#include <string.h>

#include "core/session_rest_segments.h"
#include "core/session_rest_session.h"

enum {
	RECORD_MAX = 4096, /* larger than any: a node has half of that */
	REUSE_SLACK = 64,  /* a record this much shorter is a waste of its memory */
	ONE_PERIOD_MS = 30000,
};

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
