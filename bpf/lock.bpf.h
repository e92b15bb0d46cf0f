/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lock around a bucket of the join. A word of its own and not a bpf_spin_lock: that takes two
 * calls of the kernel, which cost more than all that is done under it.
 *
 * It is held for some dozen instructions and by nobody who waits. But the holder's processor may be
 * taken away (a virtual machine's, or the sweep's by an interrupt), so whoever finds it held tries
 * for a while only: then it must be declared that something was not seen.
 */
#pragma once

#include "maps.bpf.h"

enum {
	KL_LOCK_TRIES = 1 << 16
};

static __always_inline bool take_lock(__u32 *lock)
{
	return !__sync_val_compare_and_swap(lock, 0, 1);
}

struct lock_wait {
	__u32 *lock;
	bool taken;
};

static long try_lock(__u32 index, struct lock_wait *w)
{
	w->taken = take_lock(w->lock);
	return w->taken;
}

static __noinline bool wait_for_lock(__u32 *lock)
{
	struct lock_wait w = { .lock = lock };

	bpf_loop(KL_LOCK_TRIES, try_lock, &w, 0);
	return w.taken;
}

/* Returns false where it stays held. */
static __always_inline bool lock_bucket(struct kl_bucket *b)
{
	return take_lock(&b->lock) || wait_for_lock(&b->lock);
}

/* An exchange, for it orders what was written before it on every processor. */
static __always_inline void unlock_bucket(struct kl_bucket *b)
{
	__sync_lock_test_and_set(&b->lock, 0);
}
