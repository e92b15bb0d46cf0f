// SPDX-License-Identifier: GPL-2.0-only
#include "core/phones.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROOM_MIN = 64
};

/* One of them, by a hash of 64 bits: among a million the chance that two are alike is 1 in 37 million. */
struct phone {
	uint64_t key;	   /* 0: the place is free */
	uint32_t sessions; /* that live; of an address: those without a known name */
	uint32_t devices;  /* of an address: its named phones */
};

struct kl_phones {
	struct phone *phone; /* open addressing */
	size_t room;	     /* a power of two */
	size_t count;
	size_t total;
};

int kl_phones_new(struct kl_phones **ret)
{
	struct kl_phones *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->room = ROOM_MIN;
	p->phone = calloc(p->room, sizeof(*p->phone));
	if (!p->phone) {
		free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void kl_phones_free(struct kl_phones *p)
{
	if (!p)
		return;
	free(p->phone);
	free(p);
}

size_t kl_phones_total(const struct kl_phones *p)
{
	return p->total;
}

/* device: empty: the address itself. */
static uint64_t key_of(const struct kl_endpoints *ends, const char *device)
{
	uint64_t name[(KL_DEVICE_NAME + 7) / 8] = {}, key = kl_mix(0, ends->family);

	strncpy((char *)name, device, sizeof(name) - 1);
	for (int i = 0; i < 4; i++)
		key = kl_mix(key, ends->phone[i]);
	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		key = kl_mix(key, name[i]);
	return key ? key : 1;
}

/* Its place, or the free one where it belongs. There is always a free one. */
static struct phone *place_of(const struct kl_phones *p, uint64_t key)
{
	size_t i = key & (p->room - 1);

	while (p->phone[i].key && p->phone[i].key != key)
		i = (i + 1) & (p->room - 1);
	return &p->phone[i];
}

/* For two more: at most four of five places are in use. */
static int make_room(struct kl_phones *p)
{
	struct phone *before = p->phone;
	size_t room = p->room;

	if (5 * (p->count + 2) <= 4 * room)
		return 0;
	p->phone = calloc(2 * room, sizeof(*p->phone));
	if (!p->phone) {
		p->phone = before;
		return -ENOMEM;
	}
	p->room = 2 * room;
	for (size_t i = 0; i < room; i++) {
		if (before[i].key)
			*place_of(p, before[i].key) = before[i];
	}
	free(before);
	return 0;
}

/* Without any session or device it goes, and what stands behind it moves up as far as it may. */
static void put_phone(struct kl_phones *p, uint64_t key)
{
	size_t mask = p->room - 1, hole = (size_t)(place_of(p, key) - p->phone);

	if (p->phone[hole].sessions || p->phone[hole].devices || !p->phone[hole].key)
		return;
	p->count--;
	for (size_t i = (hole + 1) & mask; p->phone[i].key; i = (i + 1) & mask) {
		if (((i - p->phone[i].key) & mask) < ((i - hole) & mask))
			continue;
		p->phone[hole] = p->phone[i];
		hole = i;
	}
	p->phone[hole] = (struct phone){};
}

static struct phone *get_phone(struct kl_phones *p, uint64_t key)
{
	struct phone *phone = place_of(p, key);

	p->count += !phone->key;
	phone->key = key;
	return phone;
}

/* How many phones an address stands for. */
static size_t phones_at(const struct phone *address)
{
	if (address->devices)
		return address->devices;
	return address->sessions ? 1 : 0;
}

int kl_phones_count_session(struct kl_phones *p, const struct kl_endpoints *ends,
			    const char *device_name, int by)
{
	uint64_t address_key = key_of(ends, ""), device_key = key_of(ends, device_name);
	struct phone *address, *device;

	if (by > 0 && make_room(p))
		return -ENOMEM;
	address = get_phone(p, address_key);
	device = get_phone(p, device_key);
	p->total -= phones_at(address);
	if (device != address) {
		bool had = device->sessions > 0;

		device->sessions += (uint32_t)by;
		address->devices += (uint32_t)(device->sessions > 0) - (uint32_t)had;
	} else {
		address->sessions += (uint32_t)by;
	}
	p->total += phones_at(address);
	put_phone(p, device_key);
	put_phone(p, address_key);
	return 0;
}
