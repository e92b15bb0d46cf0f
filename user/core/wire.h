/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an agent sends of what it saw, as bytes (docs/wire.md): batches of sightings, each of one
 * agent and one partition, and each to be read by itself. Pure. The reader takes them for a
 * stranger's: whatever they hold, what comes out keeps the promises below, or is an error.
 *
 * An agent's clock is CLOCK_MONOTONIC plus what CLOCK_REALTIME was ahead of it when the agent
 * started. So it never steps: setting the host's clock shows in wall_ns only. A start of the agent,
 * or a sleep of the host, begins a new boot: another clock and other numbers.
 *
 * Coverage. A batch covers all from from_ns to to_ns but what `missed` names, and nothing else does:
 * what lies between to_ns of one and from_ns of the next of the same boot and partition was not
 * seen, or it was lost on the way (then numbers are missing, too). Batches go out with nothing in
 * them as well, so that a reader knows how far an agent was read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/pair.h"
#include "core/phones.h"
#include "util/bytes.h"
#include "util/error.h"

enum {
	KL_WIRE_VERSION = 1,
	KL_WIRE_SIGHTINGS = 2048, /* of a batch, at most */
	KL_WIRE_MISSED = 64,
	KL_WIRE_BYTES = 256 * 1024,
	KL_WIRE_PARTITIONS = 1024, /* at most */
	KL_WIRE_PAYLOAD = 1 << 17, /* of a segment, at most */
	KL_WIRE_UNIT_NS = 1000,	   /* all times on the wire are whole ones of these, rounded down */
};

/* Of all hashes that agents must agree on: kl_sighter_config.seed, the partition. */
#define KL_WIRE_SEED 0x6b616c6f73732e31ULL
/* No batch covers more. */
#define KL_WIRE_SPAN_NS (3600 * 1000 * KL_NS_PER_MS)

/* What brings both ends of a connection together in one partition. */
enum kl_wire_rule {
	KL_WIRE_BY_CONNECTION = 0, /* both ends' addresses and ports */
	KL_WIRE_BY_SERVER,	   /* the CUCM's only: where NAT is between the agents */
	KL_WIRE_RULES,
};

enum kl_wire_why {
	KL_WIRE_OVERFLOW = 0, /* more came than was read in time */
	KL_WIRE_INTERFACE,    /* an interface was away */
	KL_WIRE_UNKNOWN_WHY,  /* for another reason */
	KL_WIRE_WHYS,
};

/* Something was not seen, from from_ns to to_ns. */
struct kl_wire_missed {
	uint64_t from_ns, to_ns;
	uint32_t why; /* enum kl_wire_why */
};

/*
 * sighted: `side` is the batch's; `content` is there only where neither `call` nor `device` is and
 * the payload is long enough to tell anything (as kl_pair uses it); `ack` only with KL_ACK; `device`
 * is the hash of the name, here beside it; no cookie.
 */
struct kl_wire_sighting {
	struct kl_sighted sighted;
	char device[KL_DEVICE_NAME]; /* empty: not named */
};

/*
 * Once read: from_ns <= to_ns <= INT64_MAX / 4; each sighting's time, and each missed interval, is
 * within them (a time may be to_ns); sightings are mostly in the order of time, as they were seen;
 * all enums are in range, all their connections are of `partition`.
 */
struct kl_wire_batch {
	uint64_t boot;	 /* drawn when the agent started; never 0 */
	uint64_t number; /* from 1, of this boot and partition */
	uint64_t from_ns, to_ns;
	int64_t wall_ns; /* CLOCK_REALTIME less the agent's clock, at to_ns */
	uint32_t side;	 /* enum kl_side */
	uint32_t rule;	 /* enum kl_wire_rule */
	uint32_t partitions, partition;
	uint32_t misses;
	uint32_t count;
	struct kl_wire_missed missed[KL_WIRE_MISSED];
	struct kl_wire_sighting *of; /* KL_WIRE_SIGHTINGS of them; the batch's, see kl_wire_new() */
	struct kl_wire_tables *tables; /* of who reads into it */
};

/* With room for all that a batch may hold. NULL: no memory. */
struct kl_wire_batch *kl_wire_new(void);
void kl_wire_free(struct kl_wire_batch *b); /* NULL is fine */
static inline void kl_wire_freep(struct kl_wire_batch **b)
{
	kl_wire_free(*b);
}

/* Appends the batch's bytes, at most KL_WIRE_BYTES. -ENOMEM; -EINVAL: it breaks a promise above. */
int kl_wire_encode(const struct kl_wire_batch *b, struct kl_bytes *ret);

/*
 * Reads a batch into b, over what it held. -EPROTO: another version; -EBADMSG: no batch, or not a
 * whole one. Either says in one line what is wrong.
 */
int kl_wire_decode(const void *data, size_t len, struct kl_wire_batch *b, struct kl_error *err);

/* count: from 1. The same for both ends' view of a connection, whichever of them is the phone. */
uint32_t kl_partition_of(const struct kl_endpoints *ends, enum kl_wire_rule rule, uint32_t count);

const char *kl_wire_rule_name(uint32_t rule); /* "connection", "server" */
const char *kl_wire_why_name(uint32_t why);
