// SPDX-License-Identifier: GPL-2.0-only
#include "core/known_macs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kaloss/segment.h>

/* Above the 48 bits of the address: it is there, and whose it is. */
#define IN_USE (1ULL << 63)
#define PHONE (1ULL << 62)
#define ADDRESS ((1ULL << 48) - 1)

void kl_known_macs_done(struct kl_known_macs *k)
{
	free(k->mac);
	*k = (struct kl_known_macs){};
}

static uint64_t number_of(const uint8_t mac[6])
{
	uint64_t n = 0;

	memcpy(&n, mac, 6);
	return n;
}

/* Its place, or the free one where it belongs. There is always a free one. */
static uint64_t *place_of(uint64_t *places, size_t count, uint64_t address)
{
	size_t i = kl_mix(0, address) & (count - 1);

	while (places[i] && (places[i] & ADDRESS) != address)
		i = (i + 1) & (count - 1);
	return &places[i];
}

static int grow(struct kl_known_macs *k)
{
	size_t places = k->places ? 2 * k->places : 256;
	uint64_t *mac;

	if (places > 2 * (size_t)KL_KNOWN_MACS_MAX)
		return -ENOSPC;
	mac = calloc(places, sizeof(*mac));
	if (!mac)
		return -ENOMEM;
	for (size_t i = 0; i < k->places; i++) {
		if (k->mac[i])
			*place_of(mac, places, k->mac[i] & ADDRESS) = k->mac[i];
	}
	free(k->mac);
	k->mac = mac;
	k->places = places;
	return 0;
}

int kl_known_macs_add(struct kl_known_macs *k, const uint8_t mac[6], bool phone)
{
	uint64_t address = number_of(mac), *place;
	int r;

	if (!address)
		return 0;
	place = k->places ? place_of(k->mac, k->places, address) : NULL;
	if (!place || (!*place && 2 * k->count >= k->places)) {
		r = grow(k);
		if (r)
			return r;
		place = place_of(k->mac, k->places, address);
	}
	k->count += !*place;
	*place |= address | IN_USE | (phone ? PHONE : 0);
	return 0;
}

static uint64_t find(const struct kl_known_macs *k, const uint8_t mac[6])
{
	return k->places ? *place_of(k->mac, k->places, number_of(mac)) : 0;
}

bool kl_known_macs_has(const struct kl_known_macs *k, const uint8_t mac[6])
{
	return find(k, mac) & IN_USE;
}

bool kl_known_macs_is_phone(const struct kl_known_macs *k, const uint8_t mac[6])
{
	return find(k, mac) & PHONE;
}
