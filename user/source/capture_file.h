/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One capture file, from its first packet to its last: the only part that knows libpcap. Segments
 * come in the order of the file; what they mean is not asked.
 *
 * The reader owns all it hands out. What it learns goes to a struct kl_capture_file of the caller's,
 * which outlives it.
 */
#pragma once

#include "source/capture.h"
#include "source/capture_stream.h"

/* What all files of a side count together while they are read; by relaxed atomic operations. */
struct kl_capture_meter {
	uint64_t read_bytes;
	uint64_t packets;
	uint64_t segments;
	bool stop; /* reading */
};

struct kl_reader;

/*
 * Opens it and reads as far as its first packet. *file is reset, but for its path. number: which of
 * the side's files it is.
 */
int kl_reader_open(struct kl_capture_file *file, size_t number, const struct kl_ports *ports,
		   struct kl_capture_meter *meter, struct kl_reader **ret, struct kl_error *err);
void kl_reader_close(struct kl_reader *r); /* NULL is fine */

const struct kl_stream *kl_reader_stream(const struct kl_reader *r);

/* Time of its first packet; 0: it has none, or they have no times. */
uint64_t kl_reader_first_ns(const struct kl_reader *r);

/* As kl_capture_next(), of this file. At its end, *file says how it ended. */
int kl_reader_next(struct kl_reader *r, const struct kl_captured **ret, struct kl_error *err);
