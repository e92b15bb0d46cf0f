/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which of the kernel's own drops explains a copy that is missing? Pure.
 *
 * A struct kl_drops owns the latest KL_DROPS_MAX of them, in any order of time; older ones make
 * room. A drop of one segment explains one copy, of an aggregate one copy of each of its segments.
 */
#pragma once

#include "core/evidence.h"

enum {
	KL_DROPS_MAX = 16384
};

struct kl_drops;

/* The seed is for its hash: what outsiders do not know. NULL: out of memory. */
struct kl_drops *kl_drops_new(uint64_t seed);
void kl_drops_free(struct kl_drops *d); /* NULL is fine */

/* Takes a copy. */
void kl_drops_add(struct kl_drops *d, const struct kl_drop *drop);

/*
 * The earliest drop from from_ns to to_ns of the segment that starts at seq, of its connection; or,
 * where this host translates the phones' addresses, of another one to the same end of the call
 * server. A segment of at most a byte is a probe or an acknowledgement, and no part of others.
 * What is returned will not be found again, if it was of this segment alone. NULL: there is none.
 * Valid until the next call of _add().
 */
const struct kl_drop *kl_drops_find(struct kl_drops *d, const struct kl_endpoints *ends,
				    uint32_t direction, uint32_t seq, uint32_t length,
				    uint64_t from_ns, uint64_t to_ns);

typedef void (*kl_drop_visitor)(const struct kl_drop *drop, void *arg);
/* Those that explained no copy, in the order in which they came. */
void kl_drops_unused(const struct kl_drops *d, kl_drop_visitor visit, void *arg);
