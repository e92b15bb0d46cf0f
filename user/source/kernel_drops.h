/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel itself says of segments that it drops: tp_btf/kfree_skb, of our ports, in our
 * network namespace. Its own BPF object, loaded only where the kernel can.
 *
 * A struct kl_kernel_drops owns its programs; the end of the process detaches them, too.
 */
#pragma once

#include "core/evidence.h"
#include "source/live.h"

struct kl_kernel_drops;

typedef void (*kl_drop_handler)(const struct kl_drop *d, void *arg);

/* -EOPNOTSUPP with err's text: this kernel does not tell (5.17 and later do), or --tap. */
int kl_kernel_drops_open(const struct kl_live_config *config, struct kl_kernel_drops **ret,
			 struct kl_error *err);
void kl_kernel_drops_close(struct kl_kernel_drops *k); /* NULL is fine */
/* Interfaces came back or were renamed: their names are looked up again. */
void kl_kernel_drops_forget_interfaces(struct kl_kernel_drops *k);
/* Never waits. Returns how many there were, or a negative errno. */
int kl_kernel_drops_drain(struct kl_kernel_drops *k, kl_drop_handler handler, void *arg);
/* Drops that found no room on their way here. */
uint64_t kl_kernel_drops_lost(const struct kl_kernel_drops *k);
