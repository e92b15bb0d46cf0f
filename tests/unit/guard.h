// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that ends where the data ends: behind it is a page that may not be touched, so that one
 * byte read too far is a crash, with or without a sanitizer.
 */
#pragma once

#include <linux/types.h>

/* A copy of data. It lives until the next call with the same slot (0 or 1). */
const __u8 *guard_copy(int slot, const void *data, __u32 len);
