/* SPDX-License-Identifier: GPL-2.0-only */
/* What is to be done before and while BPF programs for interfaces are loaded. */
#pragma once

#include "source/live.h"

/* -EPERM; err names the missing capabilities. */
int kl_check_privileges(struct kl_error *err);
/* Are the interfaces there? Filters that a kaloss left on them are taken off. -ENODEV. */
int kl_find_interfaces(const struct kl_live_config *config, struct kl_error *err);

/* From now on libbpf's complaints are kept, and not printed. */
void kl_complaints_start(void);
const char *kl_first_complaint(void); /* since then; empty: none */

/* At least a page, for a ring buffer. */
uint32_t kl_ring_bytes(const struct kl_live_config *config);
uint32_t kl_round_up_pow2(uint32_t v);
