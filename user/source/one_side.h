/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One side of the live source: the programs of bpf/one_side.bpf.c on the interfaces of one side, and
 * each segment that they saw. Nothing is joined in the kernel.
 *
 * A struct kl_one_side owns everything it attached; see live.h.
 */
#pragma once

#include <kaloss/sight_record.h>

#include "source/live.h"

struct kl_one_side;

/*
 * config: the interfaces of the side (of both, where both have some), the ports, ring_bytes, hook,
 * tap and tc_filters; it must outlive it. Errors as kl_live_open().
 */
int kl_one_side_open(const struct kl_live_config *config, struct kl_one_side **ret,
		     struct kl_error *err);
void kl_one_side_close(struct kl_one_side *o); /* NULL is fine */

const struct kl_hook *kl_one_side_hooks(const struct kl_one_side *o, size_t *ret_count);
/* As those of kl_live. */
int kl_one_side_mend(struct kl_one_side *o, uint64_t now_ns, kl_hook_handler handler, void *arg);
size_t kl_one_side_missing(const struct kl_one_side *o);
void kl_one_side_gone(struct kl_one_side *o, unsigned ifindex);

/* Hands over each record of the ring buffer, mostly in the order of time. Returns their number. */
typedef void (*kl_sight_handler)(const struct kl_sight_record *record, void *arg);
int kl_one_side_records(struct kl_one_side *o, kl_sight_handler handler, void *arg);

/* Sums over all CPUs. */
int kl_one_side_counters(struct kl_one_side *o, struct kl_sight_counters *ret);
