// SPDX-License-Identifier: GPL-2.0-only
/* wire.h: a batch to bytes */
#include "core/wire_internal.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

enum {
	SLOTS = 2 * KL_WIRE_SIGHTINGS, /* a power of two */
};

struct conn {
	_Alignas(8) struct kl_endpoints ends; /* compared by words */
	uint16_t vlan;
	uint32_t server;
	struct kl_wire_numbers numbers;
};

/* The connections and servers of a batch, each in the order in which it is first named. */
struct tables {
	struct conn conn[KL_WIRE_SIGHTINGS];
	uint32_t conns;
	uint32_t server[KL_WIRE_SIGHTINGS]; /* a connection of it */
	uint32_t servers;
	uint16_t conn_at[SLOTS], server_at[SLOTS]; /* by hash; plus one; 0: free */
	uint16_t of[KL_WIRE_SIGHTINGS];		   /* the connection of each sighting */
};

static bool same_server(const struct kl_endpoints *a, const struct kl_endpoints *b)
{
	return !memcmp(a->cucm, b->cucm, sizeof(a->cucm)) && a->cucm_port == b->cucm_port &&
	       a->family == b->family;
}

static uint32_t find_server(struct tables *t, uint32_t conn)
{
	const struct kl_endpoints *ends = &t->conn[conn].ends;
	uint64_t at = kl_cucm_hash(ends, KL_WIRE_SEED);

	for (;; at++) {
		uint16_t *slot = &t->server_at[at % SLOTS];

		if (!*slot) {
			t->server[t->servers++] = conn;
			*slot = (uint16_t)t->servers;
		}
		if (same_server(&t->conn[t->server[*slot - 1]].ends, ends))
			return *slot - 1U;
	}
}

static uint32_t find_conn(struct tables *t, const struct kl_sighted *s)
{
	uint64_t at = kl_mix(kl_endpoints_hash(&s->ends, KL_WIRE_SEED), s->vlan);

	for (;; at++) {
		uint16_t *slot = &t->conn_at[at % SLOTS];
		struct conn *c;

		if (!*slot) {
			c = &t->conn[t->conns++];
			*c = (struct conn){ .ends = s->ends, .vlan = s->vlan };
			*slot = (uint16_t)t->conns;
			c->server = find_server(t, t->conns - 1);
		}
		c = &t->conn[*slot - 1];
		if (c->vlan == s->vlan && kl_endpoints_equal(&c->ends, &s->ends))
			return *slot - 1U;
	}
}

/* ---- bytes ---- */

static void put_byte(struct kl_bytes *out, uint32_t byte)
{
	uint8_t b = (uint8_t)byte;

	kl_bytes_add(out, &b, 1);
}

static void put_fixed(struct kl_bytes *out, uint64_t value, uint32_t bytes)
{
	uint8_t b[8];

	for (uint32_t i = 0; i < bytes; i++)
		b[i] = (uint8_t)(value >> 8 * i);
	kl_bytes_add(out, b, bytes);
}

static void put_address(struct kl_bytes *out, const uint32_t address[4], uint8_t family)
{
	kl_bytes_add(out, address, family == 6 ? 16 : 4);
}

static uint64_t units(uint64_t ns)
{
	return ns / KL_WIRE_UNIT_NS;
}

static void put_header(struct kl_bytes *out, const struct kl_wire_batch *b)
{
	kl_bytes_add(out, KL_WIRE_MAGIC, KL_WIRE_MAGIC_LEN);
	put_byte(out, KL_WIRE_VERSION);
	put_fixed(out, b->boot, 8);
	kl_bytes_number(out, b->number);
	kl_bytes_number(out, units(b->from_ns));
	kl_bytes_number(out, units(b->to_ns) - units(b->from_ns));
	kl_bytes_signed(out, b->wall_ns / KL_WIRE_UNIT_NS);
	put_byte(out, b->side | b->rule << 1);
	kl_bytes_number(out, b->partitions);
	kl_bytes_number(out, b->partition);
	kl_bytes_number(out, b->misses);
	for (uint32_t i = 0; i < b->misses; i++) {
		const struct kl_wire_missed *m = &b->missed[i];

		put_byte(out, m->why);
		kl_bytes_number(out, units(m->from_ns) - units(b->from_ns));
		kl_bytes_number(out, units(m->to_ns) - units(m->from_ns));
	}
}

static void put_tables(struct kl_bytes *out, const struct tables *t)
{
	kl_bytes_number(out, t->servers);
	for (uint32_t i = 0; i < t->servers; i++) {
		const struct kl_endpoints *ends = &t->conn[t->server[i]].ends;

		put_byte(out, ends->family);
		put_address(out, ends->cucm, ends->family);
		put_fixed(out, ends->cucm_port, 2);
	}
	kl_bytes_number(out, t->conns);
	for (uint32_t i = 0; i < t->conns; i++) {
		const struct conn *c = &t->conn[i];

		kl_bytes_number(out, c->server);
		put_address(out, c->ends.phone, c->ends.family);
		put_fixed(out, c->ends.phone_port, 2);
		kl_bytes_number(out, c->vlan);
	}
}

/* From where the numbers of that direction stand, if that is known. */
static void put_number(struct kl_bytes *out, const struct kl_wire_numbers *n, uint32_t direction,
		       uint32_t value)
{
	if (n->known[direction])
		kl_bytes_signed(out, (int32_t)(value - n->next[direction]));
	else
		put_fixed(out, value, 4);
}

static uint32_t extras_of(const struct kl_wire_sighting *w)
{
	return (w->sighted.asks_again ? KL_WIRE_ASKS_AGAIN : 0) |
	       (w->sighted.fragment ? KL_WIRE_FRAGMENT : 0) |
	       (kl_wire_has_content(w) ? KL_WIRE_CONTENT : 0) |
	       (w->sighted.call ? KL_WIRE_CALL : 0) | (w->device[0] ? KL_WIRE_DEVICE : 0);
}

static void put_extras(struct kl_bytes *out, const struct kl_wire_sighting *w, uint32_t extras)
{
	size_t len = strlen(w->device);

	put_byte(out, extras);
	if (extras & KL_WIRE_CONTENT)
		put_fixed(out, w->sighted.content, 8);
	if (extras & KL_WIRE_CALL)
		put_fixed(out, w->sighted.call, 8);
	if (extras & KL_WIRE_DEVICE) {
		put_byte(out, (uint32_t)len);
		kl_bytes_add(out, w->device, len);
	}
}

/* code: 0 for the connection that is named for the first time, else its place plus one. */
static void put_sighting(struct kl_bytes *out, const struct kl_wire_sighting *w, int64_t after,
			 uint32_t code, struct kl_wire_numbers *n)
{
	const struct kl_sighted *s = &w->sighted;
	bool usual = s->flags == kl_wire_usual_flags(s->payload_len);
	uint32_t extras = extras_of(w);

	put_byte(out, s->kind | (s->direction ? KL_WIRE_TO_PHONE : 0) |
			      (usual ? 0 : KL_WIRE_FLAGS) | (extras ? KL_WIRE_EXTRAS : 0) |
			      (s->stamp >> 16 ? KL_WIRE_LONG_STAMP : 0));
	kl_bytes_signed(out, after);
	kl_bytes_number(out, code);
	if (!usual)
		put_byte(out, s->flags);
	put_number(out, n, s->direction, s->seq);
	if (s->flags & KL_ACK)
		put_number(out, n, s->direction ^ 1U, s->ack);
	kl_bytes_number(out, s->payload_len);
	put_fixed(out, s->stamp, s->stamp >> 16 ? 4 : 2);
	if (extras)
		put_extras(out, w, extras);
	kl_wire_advance(n, s);
}

static void put_sightings(struct kl_bytes *out, const struct kl_wire_batch *b, struct tables *t)
{
	uint64_t last = units(b->from_ns);
	uint32_t named = 0;

	kl_bytes_number(out, b->count);
	for (uint32_t i = 0; i < b->count; i++) {
		uint64_t now = units(b->of[i].sighted.time_ns);
		uint32_t code = t->of[i] == named ? 0 : t->of[i] + 1U;

		named += !code;
		put_sighting(out, &b->of[i], (int64_t)(now - last), code,
			     &t->conn[t->of[i]].numbers);
		last = now;
	}
}

/* ---- the promises ---- */

static bool is_device(const char device[KL_DEVICE_NAME])
{
	size_t len = strnlen(device, KL_DEVICE_NAME);

	for (size_t i = 0; i < len; i++) {
		if (device[i] < '!' || device[i] > '~')
			return false;
	}
	return len < KL_DEVICE_NAME;
}

static bool is_sound_sighting(const struct kl_wire_batch *b, const struct kl_wire_sighting *w)
{
	const struct kl_sighted *s = &w->sighted;

	return s->time_ns >= b->from_ns && s->time_ns <= b->to_ns && s->kind < KL_KINDS &&
	       s->direction < KL_DIRECTIONS && s->side == b->side && s->vlan < 4096 &&
	       s->payload_len <= KL_WIRE_PAYLOAD && is_device(w->device) &&
	       (s->ends.family == 4 || s->ends.family == 6) &&
	       kl_partition_of(&s->ends, b->rule, b->partitions) == b->partition;
}

static bool is_sound(const struct kl_wire_batch *b)
{
	if (!b->boot || !b->number || b->side >= KL_SIDES || b->rule >= KL_WIRE_RULES ||
	    b->partition >= b->partitions || b->partitions > KL_WIRE_PARTITIONS ||
	    b->from_ns > b->to_ns || b->to_ns - b->from_ns > KL_WIRE_SPAN_NS ||
	    b->to_ns > INT64_MAX / 4 || b->misses > KL_WIRE_MISSED || b->count > KL_WIRE_SIGHTINGS)
		return false;
	for (uint32_t i = 0; i < b->misses; i++) {
		const struct kl_wire_missed *m = &b->missed[i];

		if (m->from_ns < b->from_ns || m->to_ns < m->from_ns || m->to_ns > b->to_ns ||
		    m->why >= KL_WIRE_WHYS)
			return false;
	}
	for (uint32_t i = 0; i < b->count; i++) {
		if (!is_sound_sighting(b, &b->of[i]))
			return false;
	}
	return true;
}

int kl_wire_encode(const struct kl_wire_batch *b, struct kl_bytes *ret)
{
	_cleanup_free_ struct tables *t = NULL;

	if (!is_sound(b))
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->count; i++)
		t->of[i] = (uint16_t)find_conn(t, &b->of[i].sighted);
	put_header(ret, b);
	put_tables(ret, t);
	put_sightings(ret, b, t);
	return ret->failed ? -ENOMEM : 0;
}
