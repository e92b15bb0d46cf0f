// SPDX-License-Identifier: GPL-2.0-only
/* wire.h: what both directions need */
#include "core/wire.h"

#include <stdlib.h>

struct kl_wire_batch *kl_wire_new(void)
{
	struct kl_wire_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->of = calloc(KL_WIRE_SIGHTINGS, sizeof(*b->of));
	if (!b->of) {
		free(b);
		return NULL;
	}
	return b;
}

void kl_wire_free(struct kl_wire_batch *b)
{
	if (!b)
		return;
	free(b->of);
	free(b->tables);
	free(b);
}

static uint64_t hash_end(const uint32_t address[4], uint16_t port)
{
	uint64_t h = kl_mix(KL_WIRE_SEED, (uint64_t)address[0] << 32 | address[1]);

	h = kl_mix(h, (uint64_t)address[2] << 32 | address[3]);
	return kl_mix(h, port);
}

/*
 * Where both ports are signalling ports, two agents may differ in who is the phone, until they see
 * a SYN: for a sum that is all the same.
 */
uint32_t kl_partition_of(const struct kl_endpoints *ends, enum kl_wire_rule rule, uint32_t count)
{
	uint64_t h = hash_end(ends->cucm, ends->cucm_port);

	if (rule == KL_WIRE_BY_CONNECTION)
		h += hash_end(ends->phone, ends->phone_port);
	return (uint32_t)((kl_mix(KL_WIRE_SEED, h) >> 32) * count >> 32);
}

const char *kl_wire_rule_name(uint32_t rule)
{
	static const char *const names[KL_WIRE_RULES] = {
		[KL_WIRE_BY_CONNECTION] = "connection",
		[KL_WIRE_BY_SERVER] = "server",
	};

	return rule < KL_WIRE_RULES ? names[rule] : "unknown";
}

const char *kl_wire_why_name(uint32_t why)
{
	static const char *const names[KL_WIRE_WHYS] = {
		[KL_WIRE_OVERFLOW] = "overflow",
		[KL_WIRE_INTERFACE] = "interface",
		[KL_WIRE_UNKNOWN_WHY] = "unknown",
	};

	return why < KL_WIRE_WHYS ? names[why] : "unknown";
}
