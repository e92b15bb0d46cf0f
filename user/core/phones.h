/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many phones there are: distinct device names at an address, and an address without any known
 * name for one. Counted as sessions come and go. Owns its table; nothing of it leaves.
 */
#pragma once

#include <stddef.h>

#include <kaloss/segment.h>

enum {
	KL_DEVICE_NAME = 17
}; /* 16 bytes in an SCCP Register, and a zero */

struct kl_phones;

int kl_phones_new(struct kl_phones **ret); /* -ENOMEM */
void kl_phones_free(struct kl_phones *p);  /* NULL is fine */

/* A living session comes (by is 1) or goes (-1). device: empty: not known. -ENOMEM. */
int kl_phones_count_session(struct kl_phones *p, const struct kl_endpoints *ends,
			    const char *device, int by);
size_t kl_phones_total(const struct kl_phones *p);
