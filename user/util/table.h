/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uthash, for tables that are asked for each segment. It takes more buckets when ten items are in
 * one, and on the way through them each may be a cache miss. With six there is less than one item to
 * a bucket; with less than that, as the longest chain grows slowly, there would be far too many.
 */
#pragma once

#include "util/hash.h"

#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 6U
