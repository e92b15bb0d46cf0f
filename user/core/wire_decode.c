// SPDX-License-Identifier: GPL-2.0-only
/* wire.h: a stranger's bytes to a batch */
#include "core/wire_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/sight.h"

struct server {
	uint32_t address[4];
	uint16_t port;
	uint8_t family;
};

struct conn {
	_Alignas(8) struct kl_endpoints ends; /* compared by words */
	uint16_t vlan;
	struct kl_wire_numbers numbers;
};

/* In the batch, whose reader keeps it: what is read is written to it before. */
struct kl_wire_tables {
	struct server server[KL_WIRE_SIGHTINGS];
	struct conn conn[KL_WIRE_SIGHTINGS];
	uint32_t servers, conns;
	uint32_t named; /* connections that a sighting has named */
};

/* ---- numbers within their bounds ---- */

static uint64_t take_up_to(struct kl_unpack *u, uint64_t most)
{
	uint64_t n = kl_unpack_number(u);

	if (n > most)
		u->bad = true;
	return u->bad ? 0 : n;
}

static uint64_t take_fixed(struct kl_unpack *u, uint32_t bytes)
{
	const uint8_t *b = kl_unpack_bytes(u, bytes);
	uint64_t n = 0;

	for (uint32_t i = 0; b && i < bytes; i++)
		n |= (uint64_t)b[i] << 8 * i;
	return n;
}

static void take_address(struct kl_unpack *u, uint8_t family, uint32_t ret[4])
{
	size_t len = family == 6 ? 16 : 4;
	const uint8_t *b = kl_unpack_bytes(u, len);

	memset(ret, 0, 16);
	if (b)
		memcpy(ret, b, len);
}

/* ---- the header ---- */

static void take_missed(struct kl_unpack *u, struct kl_wire_batch *b, struct kl_wire_missed *ret)
{
	uint64_t span = (b->to_ns - b->from_ns) / KL_WIRE_UNIT_NS, from;

	ret->why = (uint32_t)take_fixed(u, 1);
	/* A later agent may know more reasons: they are no less of a gap. */
	if (ret->why >= KL_WIRE_WHYS)
		ret->why = KL_WIRE_UNKNOWN_WHY;
	from = take_up_to(u, span);
	ret->from_ns = b->from_ns + from * KL_WIRE_UNIT_NS;
	ret->to_ns = ret->from_ns + take_up_to(u, span - from) * KL_WIRE_UNIT_NS;
}

static void take_header(struct kl_unpack *u, struct kl_wire_batch *b)
{
	const uint64_t latest = INT64_MAX / 4 / KL_WIRE_UNIT_NS;
	uint64_t from, span;
	int64_t wall;
	uint32_t what;

	b->boot = take_fixed(u, 8);
	b->number = kl_unpack_number(u);
	from = take_up_to(u, latest);
	span = take_up_to(u, KL_WIRE_SPAN_NS / KL_WIRE_UNIT_NS);
	wall = kl_unpack_signed(u);
	what = (uint32_t)take_fixed(u, 1);
	b->partitions = (uint32_t)take_up_to(u, KL_WIRE_PARTITIONS);
	b->partition = (uint32_t)take_up_to(u, KL_WIRE_PARTITIONS);
	if (!b->boot || !b->number || from + span > latest || wall > (int64_t)latest ||
	    wall < -(int64_t)latest || what >> 1 >= KL_WIRE_RULES || b->partition >= b->partitions)
		u->bad = true;
	if (u->bad)
		return;
	b->from_ns = from * KL_WIRE_UNIT_NS;
	b->to_ns = b->from_ns + span * KL_WIRE_UNIT_NS;
	b->wall_ns = wall * KL_WIRE_UNIT_NS;
	b->side = what & 1;
	b->rule = what >> 1;
	b->misses = (uint32_t)take_up_to(u, KL_WIRE_MISSED);
	for (uint32_t i = 0; i < b->misses; i++)
		take_missed(u, b, &b->missed[i]);
}

/* ---- the tables ---- */

static void take_server(struct kl_unpack *u, struct server *ret)
{
	ret->family = (uint8_t)take_fixed(u, 1);
	if (ret->family != 4 && ret->family != 6)
		u->bad = true;
	take_address(u, ret->family, ret->address);
	ret->port = (uint16_t)take_fixed(u, 2);
}

static void take_conn(struct kl_unpack *u, const struct kl_wire_batch *b,
		      const struct kl_wire_tables *t, struct conn *ret)
{
	uint64_t server = kl_unpack_number(u);
	struct kl_endpoints *ends = &ret->ends;

	*ret = (struct conn){};
	if (server >= t->servers)
		u->bad = true;
	if (u->bad)
		return;
	*ends = (struct kl_endpoints){
		.cucm_port = t->server[server].port,
		.family = t->server[server].family,
	};
	memcpy(ends->cucm, t->server[server].address, sizeof(ends->cucm));
	take_address(u, ends->family, ends->phone);
	ends->phone_port = (uint16_t)take_fixed(u, 2);
	ret->vlan = (uint16_t)take_up_to(u, 4095);
	if (kl_partition_of(ends, b->rule, b->partitions) != b->partition)
		u->bad = true;
}

static void take_tables(struct kl_unpack *u, const struct kl_wire_batch *b,
			struct kl_wire_tables *t)
{
	t->servers = (uint32_t)take_up_to(u, KL_WIRE_SIGHTINGS);
	for (uint32_t i = 0; i < t->servers && !u->bad; i++)
		take_server(u, &t->server[i]);
	t->conns = (uint32_t)take_up_to(u, KL_WIRE_SIGHTINGS);
	for (uint32_t i = 0; i < t->conns && !u->bad; i++)
		take_conn(u, b, t, &t->conn[i]);
}

/* ---- the sightings ---- */

static struct conn *take_named(struct kl_unpack *u, struct kl_wire_tables *t)
{
	uint64_t code = kl_unpack_number(u);
	uint64_t at = code ? code - 1 : t->named++;

	if (u->bad || at >= t->conns) {
		u->bad = true;
		return NULL;
	}
	return &t->conn[at];
}

static uint32_t take_number(struct kl_unpack *u, const struct kl_wire_numbers *n,
			    uint32_t direction)
{
	if (n->known[direction])
		return n->next[direction] + (uint32_t)kl_unpack_signed(u);
	return (uint32_t)take_fixed(u, 4);
}

static void take_device(struct kl_unpack *u, struct kl_wire_sighting *w)
{
	uint64_t len = take_fixed(u, 1);
	const uint8_t *text;

	if (!len || len >= KL_DEVICE_NAME) {
		u->bad = true;
		return;
	}
	text = kl_unpack_bytes(u, len);
	for (uint64_t i = 0; text && i < len; i++) {
		if (text[i] < '!' || text[i] > '~')
			u->bad = true;
		w->device[i] = (char)text[i];
	}
	if (text)
		w->sighted.device = kl_sight_hash(KL_WIRE_SEED, text, len);
}

static void take_extras(struct kl_unpack *u, struct kl_wire_sighting *w)
{
	uint64_t extras = take_fixed(u, 1);

	if (extras & ~(uint64_t)KL_WIRE_ALL_EXTRAS)
		u->bad = true;
	w->sighted.asks_again = extras & KL_WIRE_ASKS_AGAIN;
	w->sighted.fragment = extras & KL_WIRE_FRAGMENT;
	if (extras & KL_WIRE_CONTENT)
		w->sighted.content = take_fixed(u, 8);
	if (extras & KL_WIRE_CALL)
		w->sighted.call = take_fixed(u, 8);
	if (extras & KL_WIRE_DEVICE)
		take_device(u, w);
}

/* after: the time of the one before. */
static void take_sighting(struct kl_unpack *u, const struct kl_wire_batch *b,
			  struct kl_wire_tables *t, uint64_t after, struct kl_wire_sighting *w)
{
	struct kl_sighted *s = &w->sighted;
	uint32_t head = (uint32_t)take_fixed(u, 1);
	/* (What does not lie within the batch is no time, whatever it wraps to.) */
	uint64_t time = after / KL_WIRE_UNIT_NS + (uint64_t)kl_unpack_signed(u);
	struct conn *c = take_named(u, t);

	*w = (struct kl_wire_sighting){};
	if (!c || time > b->to_ns / KL_WIRE_UNIT_NS || time < b->from_ns / KL_WIRE_UNIT_NS ||
	    (head & KL_WIRE_KIND) >= KL_KINDS) {
		u->bad = true;
		return;
	}
	s->time_ns = time * KL_WIRE_UNIT_NS;
	s->ends = c->ends;
	s->vlan = c->vlan;
	s->side = (uint8_t)b->side;
	s->kind = head & KL_WIRE_KIND;
	s->direction = head & KL_WIRE_TO_PHONE ? KL_TO_PHONE : KL_TO_CUCM;
	s->flags = head & KL_WIRE_FLAGS ? (uint8_t)take_fixed(u, 1) : KL_ACK;
	s->seq = take_number(u, &c->numbers, s->direction);
	if (s->flags & KL_ACK)
		s->ack = take_number(u, &c->numbers, s->direction ^ 1U);
	s->payload_len = (uint32_t)take_up_to(u, KL_WIRE_PAYLOAD);
	if (!(head & KL_WIRE_FLAGS))
		s->flags = kl_wire_usual_flags(s->payload_len);
	s->stamp = (uint32_t)take_fixed(u, head & KL_WIRE_LONG_STAMP ? 4 : 2);
	if (head & KL_WIRE_EXTRAS)
		take_extras(u, w);
	kl_wire_advance(&c->numbers, s);
}

static void take_sightings(struct kl_unpack *u, struct kl_wire_batch *b, struct kl_wire_tables *t)
{
	uint64_t after = b->from_ns;
	uint32_t count = (uint32_t)take_up_to(u, KL_WIRE_SIGHTINGS);

	for (uint32_t i = 0; i < count && !u->bad; i++) {
		take_sighting(u, b, t, after, &b->of[i]);
		after = b->of[i].sighted.time_ns;
		b->count = i + 1;
	}
}

static int check_version(const uint8_t *bytes, size_t len, struct kl_error *err)
{
	if (len <= KL_WIRE_MAGIC_LEN || memcmp(bytes, KL_WIRE_MAGIC, KL_WIRE_MAGIC_LEN) != 0)
		return kl_fail(err, -EBADMSG, "not a batch of kaloss' agent");
	if (bytes[KL_WIRE_MAGIC_LEN] != KL_WIRE_VERSION)
		return kl_fail(err, -EPROTO,
			       "the batch is of version %u of the format, and this program reads "
			       "version %u",
			       bytes[KL_WIRE_MAGIC_LEN], KL_WIRE_VERSION);
	return 0;
}

int kl_wire_decode(const void *data, size_t len, struct kl_wire_batch *b, struct kl_error *err)
{
	const uint8_t *bytes = data;
	struct kl_unpack u = { bytes + KL_WIRE_MAGIC_LEN + 1, bytes + len, false };
	struct kl_wire_tables *t;
	int r = check_version(bytes, len, err);

	if (r)
		return r;
	if (len > KL_WIRE_BYTES)
		return kl_fail(err, -EBADMSG, "a batch of %zu bytes: longer than any", len);
	t = b->tables ? b->tables : malloc(sizeof(*t));
	if (!t)
		return kl_fail(err, -ENOMEM, "no memory for a batch");
	t->named = 0;
	*b = (struct kl_wire_batch){ .of = b->of, .tables = t };
	take_header(&u, b);
	if (!u.bad)
		take_tables(&u, b, t);
	if (!u.bad)
		take_sightings(&u, b, t);
	if (u.bad || u.at != u.end)
		return kl_fail(err, -EBADMSG, "a damaged batch, or not a whole one");
	return 0;
}
