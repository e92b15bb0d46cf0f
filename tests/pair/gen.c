// SPDX-License-Identifier: GPL-2.0-only
/* gen.h */
#include <stdlib.h>
#include <string.h>

#include <kaloss/flow.h>

#include "gen.h"

enum {
	PHONE = 0,
	SERVER = 1,
	QUEUE = 24,
	EVENTS = 128,
	RETRIES = 8,
};

#define RTO_MAX (32 * GEN_S)
#define DELAYED_ACK (40 * GEN_MS)

uint64_t gen_random(struct gen_rng *r)
{
	uint64_t z = r->state += 0x9E3779B97F4A7C15ULL;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
	z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
	return z ^ z >> 31;
}

uint64_t gen_below(struct gen_rng *r, uint64_t n)
{
	return n ? gen_random(r) % n : 0;
}

int64_t gen_between(struct gen_rng *r, int64_t min, int64_t max)
{
	return min + (int64_t)gen_below(r, (uint64_t)(max - min + 1));
}

double gen_unit(struct gen_rng *r)
{
	return (double)(gen_random(r) >> 11) / 9007199254740992.0;
}

bool gen_chance(struct gen_rng *r, double probability)
{
	return gen_unit(r) < probability;
}

struct message {
	uint32_t seq, len;
	uint8_t kind, flags;
	uint64_t content, call, device;
};

struct end {
	uint32_t next, una, expected;
	struct message queue[QUEUE]; /* not acknowledged; the first `sent` of them were sent */
	uint32_t queued;
	int64_t rto_ns, rto_base_ns;
	uint32_t retries, timer, ack_timer;
	bool ack_due;
	struct gen_packet early[QUEUE]; /* arrived out of order, kept */
	uint32_t earlies;
	uint16_t ip_id;
};

enum event_type {
	ARRIVE,
	TIMER,
	ACK_TIMER,
	KEEPALIVE,
	REPLY,
	CLOSE,
	PROBE,
};

struct event {
	int64_t at_ns;
	enum event_type type;
	uint32_t end, generation;
	struct gen_packet packet;
	struct message message;
};

struct sim {
	struct gen_world *world;
	const struct gen_options *o;
	struct gen_rng *rng;
	struct gen_conn *conn;
	uint32_t id;
	struct end end[2];
	struct event event[EVENTS];
	uint32_t events;
	uint32_t cseq;
	int64_t now_ns;
	bool probe_open;
	bool over;
};

static void at(struct sim *s, const struct event *e)
{
	uint32_t i;

	if (s->events == EVENTS)
		abort();
	/* The next one is the last of the array. */
	for (i = s->events++; i && s->event[i - 1].at_ns < e->at_ns; i--)
		s->event[i] = s->event[i - 1];
	s->event[i] = *e;
}

static void record(struct sim *s, const struct gen_packet *p)
{
	struct gen_world *w = s->world;

	if (w->packets == w->room) {
		w->room = w->room ? w->room * 2 : 4096;
		w->packet = realloc(w->packet, w->room * sizeof(*w->packet));
		if (!w->packet)
			abort();
	}
	w->packet[w->packets++] = *p;
}

static void transmit(struct sim *s, uint32_t from, const struct message *m, bool asks_again)
{
	const struct gen_conn *c = s->conn;
	struct end *e = &s->end[from];
	int64_t way = s->o->way_ns[from] + (int64_t)(gen_unit(s->rng) * (double)s->o->jitter_ns);
	struct gen_packet p = {
		.near_ns = s->now_ns,
		.conn = s->id,
		.seq = m->seq,
		.len = m->len,
		.ack = e->expected,
		.window = 8192,
		.ts_val = (uint32_t)(s->now_ns / GEN_MS),
		.content = m->content,
		.call = m->call,
		.device = m->device,
		.ip_id = s->o->no_ids ? 0
			 : ++e->ip_id ? e->ip_id
				      : ++e->ip_id,
		.direction = from == PHONE ? KL_TO_CUCM : KL_TO_PHONE,
		.kind = m->kind,
		.flags = m->flags,
		.asks_again = asks_again,
	};
	bool dead = s->now_ns >= c->outage_from_ns && s->now_ns < c->outage_to_ns;
	struct event arrival = { .type = ARRIVE, .end = from ^ 1 };

	if (gen_chance(s->rng, s->o->slow))
		way += gen_between(s->rng, 0, 590 * GEN_MS);
	if (p.flags == KL_SYN)
		p.ack = 0;
	if (!dead && !gen_chance(s->rng, s->o->loss))
		p.far_ns = s->now_ns + way;
	record(s, &p);
	if (p.flags & KL_ACK) {
		e->ack_due = false;
		e->ack_timer++;
	}
	if (!p.far_ns)
		return;
	arrival.at_ns = p.far_ns;
	arrival.packet = p;
	at(s, &arrival);
}

static void start_timer(struct sim *s, uint32_t end)
{
	struct end *e = &s->end[end];

	at(s, &(struct event){ .type = TIMER,
			       .end = end,
			       .at_ns = s->now_ns + e->rto_ns,
			       .generation = ++e->timer });
}

static void send_message(struct sim *s, uint32_t from, struct message m)
{
	struct end *e = &s->end[from];

	if (e->queued == QUEUE)
		return; /* the application waits */
	m.seq = e->next;
	e->next += kl_seq_len(m.len, m.flags);
	e->queue[e->queued++] = m;
	transmit(s, from, &m, false);
	if (e->queued == 1)
		start_timer(s, from);
}

static void send_ack(struct sim *s, uint32_t from, uint8_t kind, bool asks_again)
{
	struct message m = { .seq = s->end[from].next, .kind = kind, .flags = KL_ACK };

	transmit(s, from, &m, asks_again);
}

static void reply_to(struct sim *s, const struct gen_packet *p)
{
	struct event e = { .type = REPLY,
			   .end = SERVER,
			   .at_ns = s->now_ns + gen_between(s->rng, 200000, 15 * GEN_MS),
			   .message = { .flags = KL_ACK | KL_PSH } };

	if (p->kind == KL_SCCP_KEEPALIVE && !s->conn->backup) {
		e.message.kind = KL_SCCP_KEEPALIVE_ACK;
		e.message.len = 12;
		e.message.content = 0x5a;
		at(s, &e);
	} else if (p->kind == KL_SIP_REGISTER) {
		e.message.kind = KL_SIP_RESPONSE;
		e.message.call = p->call;
		e.message.len = 325;
		e.message.content = p->call ^ 100;
		at(s, &e);
		e.at_ns += gen_between(s->rng, 0, GEN_MS);
		e.message.len = 637;
		e.message.content = p->call ^ 200;
		at(s, &e);
	} else if (p->kind == KL_SCCP_OTHER && p->device) {
		e.message.kind = KL_SCCP_OTHER;
		e.message.len = 36;
		e.message.content = 0x8181;
		at(s, &e);
	}
}

static void take_ack(struct sim *s, struct end *e, uint32_t end, uint32_t ack)
{
	uint32_t gone = 0;

	while (gone < e->queued &&
	       !kl_seq_before(ack, e->queue[gone].seq +
					   kl_seq_len(e->queue[gone].len, e->queue[gone].flags)))
		gone++;
	if (!gone)
		return;
	memmove(&e->queue[0], &e->queue[gone], (e->queued - gone) * sizeof(e->queue[0]));
	e->queued -= gone;
	e->una = ack;
	e->rto_ns = e->rto_base_ns;
	e->retries = 0;
	e->timer++;
	if (e->queued)
		start_timer(s, end);
}

static void arrive(struct sim *s, uint32_t end, const struct gen_packet *p)
{
	struct end *e = &s->end[end];
	uint32_t len = kl_seq_len(p->len, p->flags);

	if (p->flags & KL_RST) {
		s->over = true;
		return;
	}
	if (p->flags & KL_ACK)
		take_ack(s, e, end, p->ack);
	if (p->kind == KL_TCP_PROBE) {
		send_ack(s, end, KL_TCP_PROBE_ACK, false);
		return;
	}
	if (p->kind == KL_TCP_PROBE_ACK)
		s->probe_open = false;
	if (!len)
		return;
	if (p->flags & KL_SYN && !e->expected)
		e->expected = p->seq;
	if (p->seq != e->expected) {
		bool early = !kl_seq_before(p->seq, e->expected);

		if (early && e->earlies < QUEUE)
			e->early[e->earlies++] = *p;
		send_ack(s, end, KL_OTHER, early);
		return;
	}
	e->expected += len;
	if (p->flags == KL_SYN) {
		send_message(s, end, (struct message){ .flags = KL_SYN | KL_ACK });
		return;
	}
	if (p->flags & (KL_SYN | KL_FIN)) {
		send_ack(s, end, KL_OTHER, false);
		s->over = p->flags & KL_FIN;
		return;
	}
	if (end == SERVER)
		reply_to(s, p);
	for (uint32_t i = 0; i < e->earlies; i++) {
		if (e->early[i].seq != e->expected)
			continue;
		e->expected += kl_seq_len(e->early[i].len, e->early[i].flags);
		if (end == SERVER)
			reply_to(s, &e->early[i]);
		i = UINT32_MAX;
	}
	while (e->earlies && kl_seq_before(e->early[e->earlies - 1].seq, e->expected))
		e->earlies--;
	if (e->ack_due)
		return;
	e->ack_due = true;
	at(s, &(struct event){ .type = ACK_TIMER,
			       .end = end,
			       .at_ns = s->now_ns + DELAYED_ACK,
			       .generation = ++e->ack_timer });
}

static void on_timer(struct sim *s, const struct event *ev)
{
	struct end *e = &s->end[ev->end];

	if (ev->generation != e->timer || !e->queued)
		return;
	if (++e->retries > RETRIES) {
		transmit(s, ev->end, &(struct message){ .seq = e->next, .flags = KL_RST }, false);
		s->conn->gives_up = true;
		s->over = true;
		return;
	}
	transmit(s, ev->end, &e->queue[0], false);
	e->rto_ns = e->rto_ns * 2 > RTO_MAX ? RTO_MAX : e->rto_ns * 2;
	start_timer(s, ev->end);
}

static void on_keepalive(struct sim *s)
{
	const struct gen_conn *c = s->conn;
	struct message m = { .flags = KL_ACK | KL_PSH };
	int64_t period = c->sip ? 115 * GEN_S : c->backup ? 60 * GEN_S : 30 * GEN_S;

	if (!s->end[PHONE].expected) {
		/* Nobody answered its SYN yet. */
		at(s, &(struct event){ .type = KEEPALIVE, .at_ns = s->now_ns + GEN_S });
		return;
	}
	if (c->sip) {
		m.kind = KL_SIP_REGISTER;
		m.len = 890;
		m.call = (uint64_t)(s->id + 1) << 32 | ++s->cseq;
		m.content = m.call ^ 1;
	} else if (c->has_start && !s->cseq++) {
		m.kind = KL_SCCP_OTHER;
		m.len = 136;
		m.device = c->ends.phone[0] * 31ULL + c->ends.phone[3] + 7;
		m.content = m.device ^ 1;
		period = 2 * GEN_S;
	} else {
		m.kind = KL_SCCP_KEEPALIVE;
		m.len = 12;
		m.content = 0xa5;
	}
	send_message(s, PHONE, m);
	at(s, &(struct event){ .type = KEEPALIVE,
			       .at_ns = s->now_ns + period +
					gen_between(s->rng, -20 * GEN_MS, 40 * GEN_MS) });
}

static void on_probe(struct sim *s)
{
	struct message m = { .seq = s->end[PHONE].next - 1, .flags = KL_ACK, .kind = KL_TCP_PROBE };
	bool again = s->probe_open;

	if (!s->end[PHONE].expected) {
		at(s, &(struct event){ .type = PROBE, .at_ns = s->now_ns + GEN_S });
		return;
	}
	s->probe_open = true;
	transmit(s, PHONE, &m, false);
	at(s, &(struct event){ .type = PROBE,
			       .at_ns = s->now_ns + (again ? 10 : 45) * GEN_S +
					gen_between(s->rng, 0, 20 * GEN_MS) });
}

static void handle(struct sim *s, const struct event *e)
{
	switch (e->type) {
	case ARRIVE:
		arrive(s, e->end, &e->packet);
		break;
	case TIMER:
		on_timer(s, e);
		break;
	case ACK_TIMER:
		if (s->end[e->end].ack_due && s->end[e->end].ack_timer == e->generation)
			send_ack(s, e->end, KL_OTHER, false);
		break;
	case KEEPALIVE:
		on_keepalive(s);
		break;
	case REPLY:
		send_message(s, e->end, e->message);
		break;
	case CLOSE:
		send_message(s, PHONE, (struct message){ .flags = KL_FIN | KL_ACK });
		break;
	case PROBE:
		on_probe(s);
		break;
	}
}

static void run(struct sim *s)
{
	struct gen_conn *c = s->conn;
	int64_t first = c->start_ns;

	for (uint32_t i = 0; i < 2; i++) {
		struct end *e = &s->end[i];

		/* Some of them pass the end of the number space soon. */
		e->next = gen_chance(s->rng, 0.1) ? 0U - (uint32_t)gen_below(s->rng, 5000)
						  : (uint32_t)gen_random(s->rng) | 1;
		e->rto_base_ns = e->rto_ns = gen_between(s->rng, 200, 400) * GEN_MS;
		e->ip_id = (uint16_t)gen_random(s->rng);
	}
	s->now_ns = first;
	if (c->has_start) {
		send_message(s, PHONE, (struct message){ .flags = KL_SYN });
		first += 3 * GEN_S;
	} else {
		s->end[PHONE].expected = s->end[SERVER].next;
		s->end[SERVER].expected = s->end[PHONE].next;
	}
	at(s, &(struct event){ .type = c->probes ? PROBE : KEEPALIVE, .at_ns = first });
	if (c->has_start && gen_chance(s->rng, 0.5))
		at(s, &(struct event){ .type = CLOSE, .at_ns = c->stop_ns - 2 * GEN_S });
	while (s->events && !s->over) {
		struct event e = s->event[--s->events];

		if (e.at_ns >= c->stop_ns)
			break;
		s->now_ns = e.at_ns;
		handle(s, &e);
	}
	if (s->over && s->now_ns < c->stop_ns)
		c->stop_ns = s->now_ns;
}

static void simulate(struct gen_world *w, const struct gen_options *o, struct gen_rng *rng,
		     uint32_t id)
{
	struct sim *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->world = w;
	s->o = o;
	s->rng = rng;
	s->conn = &w->conn[id];
	s->id = id;
	run(s);
	free(s);
}

void gen_make(struct gen_world *w, const struct gen_options *o, struct gen_rng *rng)
{
	*w = (struct gen_world){ 0 };
	w->conn = calloc(o->phones * 2, sizeof(*w->conn));
	if (!w->conn)
		abort();
	for (uint32_t i = 0; i < o->phones; i++) {
		struct gen_conn *c = &w->conn[w->conns];
		int64_t stop = o->duration_ns;

		c->sip = gen_chance(rng, o->sip);
		c->backup = !c->sip && gen_chance(rng, 0.2);
		c->probes = gen_chance(rng, o->probes);
		c->ends = (struct kl_endpoints){ .phone = { 0x0a000001 + (i << 8) },
						 .cucm = { 0x0afe0001 },
						 .phone_port = (uint16_t)(20000 + i * 7 % 40000),
						 .cucm_port = c->sip ? 5060 : 2000,
						 .family = o->ipv6 ? 6 : 4 };
		if (o->ipv6)
			c->ends.phone[3] = i;
		c->has_start = gen_chance(rng, 0.3);
		c->start_ns = gen_between(rng, 0, c->has_start ? stop / 2 : 30 * GEN_S);
		c->stop_ns = stop;
		if (gen_chance(rng, o->outages)) {
			c->outage_from_ns = gen_between(rng, stop / 4, stop);
			c->outage_to_ns = c->outage_from_ns +
					  gen_between(rng, 10 * GEN_S, 200 * GEN_S);
		}
		w->conns++;
		if (gen_chance(rng, o->reconnects)) {
			struct gen_conn *next = &w->conn[w->conns++];

			*next = *c;
			c->stop_ns = gen_between(rng, c->start_ns + 10 * GEN_S, stop);
			next->has_start = true;
			next->start_ns = c->stop_ns + gen_between(rng, GEN_S, 20 * GEN_S);
			simulate(w, o, rng, w->conns - 2);
		}
		if (w->conn[w->conns - 1].start_ns < stop)
			simulate(w, o, rng, w->conns - 1);
	}
}

void gen_free(struct gen_world *w)
{
	free(w->packet);
	free(w->conn);
	*w = (struct gen_world){ 0 };
}
