/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a pcapng says at its end, before it is read: writers put the statistics of what they dropped
 * behind the last packet, and by the time a reader comes by them it has judged what is missing. So
 * they are looked for at the end of the file, back from block to block: each ends with its length.
 */
#pragma once

#include "source/capture_stream.h"

enum {
	KL_TAIL_BLOCKS = 256, /* looked at, from the end */
};

/*
 * Adds the drops of the last blocks of the file to *ret, which the caller frees; with interfaces as
 * they are known at its start. Nothing where the file cannot be read from its end. -ENOMEM.
 */
int kl_tail_drops(const struct kl_stream *s, struct kl_capture_drop **ret, size_t *ret_count);
