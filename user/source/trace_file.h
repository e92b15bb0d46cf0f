/* SPDX-License-Identifier: GPL-2.0-only */
/* Call server traces from files, plain or gzip, one after the other. core/cucm_trace.h reads them. */
#pragma once

#include "core/cucm_trace.h"
#include "source/input.h"
#include "util/error.h"

/*
 * list: names with commas between them, in the order of their time. Adds to *ret, which is the
 * caller's to release, also after an error. What stats says, it says of these files: lines,
 * keepalives and answers, malformed lines. A file that ends within its gzip data is one that is
 * still being written: what there is counts. -ENOENT and others, with the file's name.
 */
int kl_trace_files_read(const char *list, struct kl_trace_lines *ret, struct kl_input_stats *stats,
			struct kl_error *err);
