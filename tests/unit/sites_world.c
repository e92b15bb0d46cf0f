// SPDX-License-Identifier: GPL-2.0-only
/* sites_world.h */
#include <stdlib.h>
#include <string.h>

#include "sites_world.h"
#include "util/duration.h"

#define MS KL_NS_PER_MS
#define S KL_NS_PER_S
#define RTO_NS (300 * MS)

enum {
	TRIES = 4,
};

/* A segment that an agent saw. */
struct happening {
	uint64_t true_ns;
	uint32_t agent;
	uint32_t order;
	uint32_t partition;
	struct kl_wire_sighting w;
};

struct maker {
	struct world *w;
	uint64_t random;
	struct happening *of;
	size_t count, room;
};

static uint64_t draw(struct maker *m)
{
	m->random = kl_mix(m->random, 0x1234567);
	return m->random;
}

static bool chance(struct maker *m, double p)
{
	return (double)(draw(m) >> 11) / (double)(1ULL << 53) < p;
}

static void *grow(void *of, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return of;
	*room = *room ? *room * 2 : 256;
	of = realloc(of, *room * size);
	if (!of)
		abort();
	return of;
}

static uint64_t clock_of(const struct world_agent *a, uint64_t true_ns)
{
	double since = (double)(true_ns - WORLD_START_NS);
	uint64_t ns = true_ns + (uint64_t)a->ahead_ns +
		      (uint64_t)(int64_t)(since * a->drift_ppm / 1e6);

	if (a->step_at_ns && true_ns >= a->step_at_ns)
		ns += (uint64_t)a->step_ns;
	return ns / 1000 * 1000;
}

static bool is_blind(const struct world_agent *a, uint64_t true_ns)
{
	return true_ns >= a->blind_from_ns && true_ns < a->blind_to_ns;
}

static void see(struct maker *m, uint32_t agent, uint64_t true_ns,
		const struct kl_wire_sighting *seen)
{
	const struct world_agent *a = &m->w->config.agent[agent];
	struct happening *h;

	if (is_blind(a, true_ns))
		return;
	m->of = grow(m->of, m->count, &m->room, sizeof(*m->of));
	h = &m->of[m->count];
	*h = (struct happening){ true_ns, agent, (uint32_t)m->count, 0, *seen };
	h->partition = kl_partition_of(&seen->sighted.ends, m->w->config.rule,
				       m->w->config.partitions);
	h->w.sighted.side = (uint8_t)a->side;
	h->w.sighted.time_ns = clock_of(a, true_ns);
	m->count++;
}

static void note_copy(struct maker *m, const struct world_copy *c)
{
	struct world *w = m->w;

	if (is_blind(&w->config.agent[c->agent], c->true_ns))
		return;
	w->copy = grow(w->copy, w->copies, &w->copy_room, sizeof(*w->copy));
	w->copy[w->copies] = *c;
	w->copy[w->copies++].seen_ns = clock_of(&w->config.agent[c->agent], c->true_ns);
}

/* What the cucm side sees of it. */
static struct kl_wire_sighting beyond_nat(const struct kl_wire_sighting *w, uint32_t phone)
{
	struct kl_wire_sighting o = *w;
	uint32_t shift[KL_DIRECTIONS] = { 0x10000 + phone * 977, 0x7770000 - phone * 31 };

	o.sighted.ends.phone[0] = 0x0100a8c0; /* one address for all */
	o.sighted.ends.phone_port = (uint16_t)(20000 + phone);
	o.sighted.seq += shift[w->sighted.direction];
	if (o.sighted.flags & KL_ACK)
		o.sighted.ack += shift[w->sighted.direction ^ 1];
	return o;
}

struct phone {
	const struct world_phones *group;
	uint32_t number;
	struct kl_endpoints ends;
	uint32_t seq[KL_DIRECTIONS];
	uint16_t id;
	uint32_t calls;
};

/* Sends a segment until it arrives; returns when that was. */
static uint64_t send_segment(struct maker *m, struct phone *p, uint32_t d, uint64_t at_ns,
			     uint32_t len, uint8_t kind, uint8_t flags)
{
	struct kl_wire_sighting near = {
		.sighted = { .ends = p->ends,
			     .seq = p->seq[d],
			     .payload_len = len,
			     .direction = (uint8_t)d,
			     .kind = kind,
			     .flags = flags },
	};
	uint64_t rto = RTO_NS;

	if (flags & KL_ACK)
		near.sighted.ack = p->seq[d ^ 1];
	if (p->group->sip && len)
		near.sighted.call = kl_mix(p->number + 1, p->calls);
	p->seq[d] += len + ((flags & (KL_SYN | KL_FIN)) ? 1 : 0);
	for (uint32_t i = 0;; i++, at_ns += rto, rto *= 2) {
		const struct world_phones *g = p->group;
		bool second = g->switch_ns && at_ns >= g->switch_ns;
		uint32_t agent[KL_SIDES] = { g->access, g->cucm[second] };
		uint64_t way_ns = 2 * MS + draw(m) % (3 * MS);
		struct kl_wire_sighting far = g->nat ? beyond_nat(&near, p->number) : near;
		bool lost = i < TRIES && kl_kind_is_joined(kind) && chance(m, m->w->config.loss);
		struct world_copy c = { .agent = agent[d],
					.phone = p->number,
					.ends = p->ends,
					.true_ns = at_ns,
					.seq = d == KL_TO_CUCM ? near.sighted.seq : far.sighted.seq,
					.direction = (uint8_t)d,
					.lost = lost };

		near.sighted.stamp = far.sighted.stamp = ++p->id;
		see(m, agent[d], at_ns, d == KL_TO_CUCM ? &near : &far);
		if (kl_kind_is_joined(kind))
			note_copy(m, &c);
		if (lost)
			continue;
		see(m, agent[d ^ 1], at_ns + way_ns, d == KL_TO_CUCM ? &far : &near);
		return at_ns + way_ns;
	}
}

static void live(struct maker *m, const struct world_phones *g, uint32_t number)
{
	const struct world_config *c = &m->w->config;
	struct phone p = { .group = g, .number = number };
	/* (What is sent as the agents begin may be from before.) */
	uint64_t at = WORLD_START_NS + 2 * S + draw(m) % c->period_ns;

	p.ends.family = 4;
	p.ends.phone[0] = (uint32_t)__builtin_bswap32(0x0a000000u + g->first + number);
	p.ends.cucm[0] = 0x0a0a0a0a;
	p.ends.phone_port = (uint16_t)(40000 + number % 20000);
	p.ends.cucm_port = 2000;
	p.seq[0] = (uint32_t)draw(m);
	p.seq[1] = (uint32_t)draw(m);
	p.id = (uint16_t)draw(m) | 1;
	at = send_segment(m, &p, KL_TO_CUCM, at, 0, KL_OTHER, KL_SYN);
	at = send_segment(m, &p, KL_TO_PHONE, at, 0, KL_OTHER, KL_SYN | KL_ACK);
	while (at + c->quiet_ns < m->w->end_ns) {
		uint64_t then = at + c->period_ns;

		p.calls++;
		at = send_segment(m, &p, KL_TO_CUCM, at, g->sip ? 890 : 12,
				  g->sip ? KL_SIP_REGISTER : KL_SCCP_KEEPALIVE, KL_ACK);
		at = send_segment(m, &p, KL_TO_PHONE, at + MS, g->sip ? 637 : 12,
				  g->sip ? KL_SIP_RESPONSE : KL_SCCP_KEEPALIVE_ACK, KL_ACK);
		at = at > then ? at : then;
	}
}

static int by_agent(const void *a, const void *b)
{
	const struct happening *x = a, *y = b;

	if (x->agent != y->agent)
		return x->agent < y->agent ? -1 : 1;
	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	if (x->true_ns != y->true_ns)
		return x->true_ns < y->true_ns ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static int by_stored(const void *a, const void *b)
{
	const struct world_message *x = a, *y = b;

	return (x->stored_ns > y->stored_ns) - (x->stored_ns < y->stored_ns);
}

/* When what an agent has at that time is sent. */
static uint64_t sent_at(const struct world_agent *a, uint64_t true_ns)
{
	for (uint32_t i = 0; i < a->cuts; i++) {
		if (true_ns >= a->cut[i].from_ns && true_ns < a->cut[i].to_ns)
			return a->cut[i].to_ns;
	}
	return true_ns;
}

/* Does the spool's bound drop what was to be sent then? */
static bool is_dropped(const struct world_agent *a, uint64_t true_ns)
{
	for (uint32_t i = 0; i < a->cuts; i++) {
		if (a->cut[i].spool && true_ns >= a->cut[i].from_ns &&
		    true_ns + a->cut[i].spool * S < a->cut[i].to_ns)
			return true;
	}
	return false;
}

static void add_message(struct world *w, uint32_t agent, uint64_t stored_ns,
			const struct kl_wire_batch *b)
{
	struct kl_bytes bytes = {};
	struct world_message *x;

	if (kl_wire_encode(b, &bytes))
		abort();
	w->message = grow(w->message, w->messages, &w->message_room, sizeof(*w->message));
	x = &w->message[w->messages];
	*x = (struct world_message){
		.agent = agent, .partition = b->partition, .number = b->number, .len = bytes.len
	};
	/* Those of one agent stay in order. */
	x->stored_ns = stored_ns + w->messages;
	x->data = bytes.data;
	w->messages++;
}

/* Takes from *at on what is of that agent and partition. */
static void send_batches(struct maker *m, uint32_t agent, uint32_t partition, size_t *at,
			 struct kl_wire_batch *b)
{
	struct world *w = m->w;
	const struct world_agent *a = &w->config.agent[agent];
	uint64_t from = WORLD_START_NS;

	*b = (struct kl_wire_batch){ .boot = agent + 1,
				     .number = 1,
				     .side = a->side,
				     .rule = w->config.rule,
				     .partitions = w->config.partitions,
				     .partition = partition,
				     .of = b->of,
				     .tables = b->tables };
	for (uint64_t to = from + S; from < w->end_ns; from = to, to += S) {
		bool blind = from < a->blind_to_ns && to > a->blind_from_ns;

		b->count = 0;
		for (; *at < m->count && m->of[*at].agent == agent &&
		       m->of[*at].partition == partition && m->of[*at].true_ns < to;
		     ++*at)
			b->of[b->count++] = m->of[*at].w;
		b->from_ns = clock_of(a, from);
		b->to_ns = clock_of(a, to);
		b->wall_ns = 0;
		b->misses = blind;
		if (blind)
			b->missed[0] = (struct kl_wire_missed){ b->from_ns, b->to_ns,
								KL_WIRE_OVERFLOW };
		if (a->restart_ns && from < a->restart_ns && to >= a->restart_ns) {
			b->boot += 1000;
			b->number = 0;
		} else if (!is_dropped(a, to)) {
			add_message(w, agent, sent_at(a, to), b);
		}
		b->number++;
	}
	/* (What was under way at the end was not sent any more.) */
	while (*at < m->count && m->of[*at].agent == agent && m->of[*at].partition == partition)
		++*at;
}

void world_make(struct world *w, const struct world_config *config)
{
	struct maker m = { .w = w, .random = config->seed };
	struct kl_wire_batch *b = kl_wire_new();
	uint32_t number = 0;
	size_t at = 0;

	*w = (struct world){ .config = *config, .end_ns = WORLD_START_NS + config->span_ns };
	if (!w->config.partitions)
		w->config.partitions = 1;
	for (uint32_t g = 0; g < config->groups; g++) {
		for (uint32_t i = 0; i < config->phones[g].count; i++)
			live(&m, &config->phones[g], number++);
	}
	qsort(m.of, m.count, sizeof(*m.of), by_agent);
	for (uint32_t i = 0; i < config->agents * w->config.partitions; i++)
		send_batches(&m, i / w->config.partitions, i % w->config.partitions, &at, b);
	qsort(w->message, w->messages, sizeof(*w->message), by_stored);
	kl_wire_free(b);
	free(m.of);
}

void world_free(struct world *w)
{
	for (size_t i = 0; i < w->messages; i++)
		free(w->message[i].data);
	free(w->message);
	free(w->copy);
	*w = (struct world){};
}

void world_feed(const struct world *w, size_t index, struct kl_sites *s,
		struct kl_wire_batch *batch)
{
	const struct world_message *x = &w->message[index];
	const struct world_agent *a = &w->config.agent[x->agent];
	struct kl_site_message m = { .site = a->site,
				     .agent = a->name,
				     .seq = index + 1,
				     .stored_ns = x->stored_ns,
				     .batch = batch };
	struct kl_error err = {};

	if (kl_wire_decode(x->data, x->len, batch, &err) || kl_sites_take(s, &m))
		abort();
}
