/* SPDX-License-Identifier: GPL-2.0-only */
/* What this process is allowed to do. Owns nothing. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/*
 * The capabilities that the live source needs and this process does not have, as people write them:
 * "CAP_BPF, CAP_PERFMON". Returns how many; 0: an empty text.
 */
int kl_missing_capabilities(char *ret, size_t size);

/*
 * Gives up every capability that is not in the set (1 << CAP_…), for good: neither this thread nor
 * what it starts can get one back, whatever it executes. What is in the set and was not there is
 * not there afterwards. Each thread has capabilities of its own: one that runs already keeps them.
 */
int kl_keep_capabilities(uint64_t set, struct kl_error *err);
