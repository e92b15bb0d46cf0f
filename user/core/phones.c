// SPDX-License-Identifier: GPL-2.0-only
#include "core/phones.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct phone_key {
	uint32_t address[4];
	uint32_t family;
	char device[KL_DEVICE_NAME + 3]; /* empty: the address itself */
};

struct phone {
	struct phone_key key;
	size_t sessions; /* that live; of an address: those without a known name */
	size_t devices;	 /* of an address: its named phones */
	UT_hash_handle hh;
};

struct kl_phones {
	struct phone *phones;
	size_t total;
};

int kl_phones_new(struct kl_phones **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void kl_phones_free(struct kl_phones *p)
{
	struct phone *phone, *next;

	if (!p)
		return;
	HASH_ITER(hh, p->phones, phone, next)
	{
		HASH_DEL(p->phones, phone);
		free(phone);
	}
	free(p);
}

size_t kl_phones_total(const struct kl_phones *p)
{
	return p->total;
}

static struct phone *get_phone(struct kl_phones *p, const struct kl_endpoints *ends,
			       const char *device)
{
	struct phone_key key = { .family = ends->family };
	struct phone *phone;

	memcpy(key.address, ends->phone, sizeof(key.address));
	strncpy(key.device, device, sizeof(key.device) - 1);
	HASH_FIND(hh, p->phones, &key, sizeof(key), phone);
	if (phone)
		return phone;
	phone = calloc(1, sizeof(*phone));
	if (!phone)
		return NULL;
	phone->key = key;
	HASH_ADD(hh, p->phones, key, sizeof(key), phone);
	return phone;
}

static void put_phone(struct kl_phones *p, struct phone *phone)
{
	/* (Itself is in the table, so there is one.) */
	if (phone->sessions || phone->devices || !p->phones)
		return;
	HASH_DEL(p->phones, phone);
	free(phone);
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
	struct phone *address = get_phone(p, ends, "");
	struct phone *device = NULL;

	if (!address)
		return -ENOMEM;
	if (device_name[0]) {
		device = get_phone(p, ends, device_name);
		if (!device) {
			put_phone(p, address);
			return -ENOMEM;
		}
	}
	p->total -= phones_at(address);
	if (device) {
		bool had = device->sessions > 0;

		device->sessions += (size_t)by;
		address->devices += (size_t)(device->sessions > 0) - (size_t)had;
		put_phone(p, device);
	} else {
		address->sessions += (size_t)by;
	}
	p->total += phones_at(address);
	put_phone(p, address);
	return 0;
}
