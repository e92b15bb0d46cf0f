/* SPDX-License-Identifier: GPL-2.0-only */
/* What this process is allowed to do. Owns nothing. */
#pragma once

#include <stddef.h>

/*
 * The capabilities that the live source needs and this process does not have, as people write them:
 * "CAP_BPF, CAP_PERFMON". Returns how many; 0: an empty text.
 */
int kl_missing_capabilities(char *ret, size_t size);
