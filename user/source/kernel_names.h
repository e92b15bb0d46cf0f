/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the running kernel calls its reasons for drops, and which of its functions is at an address.
 *
 * A struct kl_kernel_names owns what was read; names point into it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct kl_kernel_names;

/* -EOPNOTSUPP: this kernel names no reasons. Where it hides its addresses, there are no symbols. */
int kl_kernel_names_read(struct kl_kernel_names **ret, struct kl_error *err);
void kl_kernel_names_free(struct kl_kernel_names *n); /* NULL is fine */

/* "NETFILTER_DROP"; what has no name is its number. */
void kl_kernel_reason(const struct kl_kernel_names *n, uint32_t reason, char *ret, size_t size);
/* "nf_hook_slow"; empty: not known. */
void kl_kernel_symbol(const struct kl_kernel_names *n, uint64_t address, char *ret, size_t size);
