/* SPDX-License-Identifier: GPL-2.0-only */
/* The lanes of the HTML report's data, each with its series of times. */
#pragma once

#include <stdio.h>

#include "report/html_lanes.h"

/*
 * Writes a row for each lane, separated by commas. Times are in ms since base_ms, after offset_ns
 * was added. *ret_undrawn: what belongs to connections without a lane. Errors of the stream stay
 * with it. -ENOMEM.
 */
int kl_html_put_lanes(FILE *out, const struct kl_diagnosis *d, const struct kl_html_lanes *lanes,
		      uint64_t offset_ns, int64_t base_ms, uint64_t *ret_undrawn);
