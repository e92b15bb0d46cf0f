// SPDX-License-Identifier: GPL-2.0-only
#include <criterion/criterion.h>
#include <string.h>

#include "core/known_macs.h"

static void mac_of(unsigned n, uint8_t ret[6])
{
	memset(ret, 0, 6);
	ret[0] = 2;
	memcpy(ret + 2, &n, sizeof(n));
}

Test(known_macs, knows_what_it_was_told_and_nothing_else)
{
	struct kl_known_macs k = {};
	uint8_t mac[6], zero[6] = {};

	mac_of(1, mac);
	cr_assert(!kl_known_macs_has(&k, mac));
	for (unsigned n = 0; n < 10000; n++) {
		mac_of(n, mac);
		cr_assert_eq(kl_known_macs_add(&k, mac, n % 2), 0);
	}
	for (unsigned n = 0; n < 20000; n++) {
		mac_of(n, mac);
		cr_assert_eq(kl_known_macs_has(&k, mac), n < 10000, "%u", n);
		cr_assert_eq(kl_known_macs_is_phone(&k, mac), n < 10000 && n % 2, "%u", n);
	}
	cr_assert_eq(kl_known_macs_add(&k, zero, true), 0);
	cr_assert(!kl_known_macs_has(&k, zero));
	cr_assert_eq(k.count, 10000);
	kl_known_macs_done(&k);
}

/* Who was taken for a server may turn out to be a phone, too. */
Test(known_macs, told_twice_is_one)
{
	struct kl_known_macs k = {};
	uint8_t mac[6];

	mac_of(7, mac);
	kl_known_macs_add(&k, mac, false);
	cr_assert(!kl_known_macs_is_phone(&k, mac));
	kl_known_macs_add(&k, mac, true);
	kl_known_macs_add(&k, mac, false);
	cr_assert(kl_known_macs_is_phone(&k, mac));
	cr_assert_eq(k.count, 1);
	kl_known_macs_done(&k);
}
