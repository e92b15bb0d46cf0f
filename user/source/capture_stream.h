/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bytes of a capture as a FILE for libpcap: of a file, a pipe or standard input, unpacked where
 * they are gzip, watched by capture_blocks.h, and counted.
 *
 * The stream owns the descriptor and the FILE's buffer. The FILE is closed first (libpcap does that
 * with the capture), then the stream.
 */
#pragma once

#include <stdio.h>
#include <sys/types.h>

#include "source/capture_blocks.h"
#include "util/error.h"

struct kl_stream;

/*
 * path: "-" is standard input. read_bytes: is added to as bytes of the file are read, by relaxed
 * atomic operations; lives as long as the stream.
 */
int kl_stream_open(const char *path, uint64_t *read_bytes, struct kl_stream **ret, FILE **ret_file,
		   struct kl_error *err);
void kl_stream_close(struct kl_stream *s); /* NULL is fine */

/* Can be opened once more, and has a size. */
bool kl_stream_is_regular(const struct kl_stream *s);
uint64_t kl_stream_size(const struct kl_stream *s);	  /* of the file, packed; 0: not known */
uint64_t kl_stream_file_bytes(const struct kl_stream *s); /* read of it */
bool kl_stream_is_packed(const struct kl_stream *s);

/* Bytes from anywhere in a regular file that is not packed; returns whether all of them are there. */
bool kl_stream_peek(const struct kl_stream *s, uint64_t at, void *to, size_t bytes);

dev_t kl_stream_device(const struct kl_stream *s);
ino_t kl_stream_inode(const struct kl_stream *s);

/* The first bytes (unpacked), as a number of this host; 0: there are not as many. */
uint32_t kl_stream_magic(const struct kl_stream *s);

/* Bytes that were read and not used yet: whoever uses them moves `at`. */
struct kl_window {
	const uint8_t *at;
	const uint8_t *end;
};

/*
 * Takes the reading over from the FILE, which is not to be read any more. NULL: that cannot be. The
 * window belongs to the stream.
 */
struct kl_window *kl_stream_take_over(struct kl_stream *s, FILE *file);

enum {
	KL_STREAM_WINDOW_BYTES = 262144 + 64, /* what may be asked for at a time */
};

/* Bytes (unpacked) before the window. */
off_t kl_stream_used(const struct kl_stream *s);

/* Makes the window have at least so many bytes, perhaps elsewhere. False: there are not as many. */
bool kl_stream_fill(struct kl_stream *s, size_t bytes);

const struct kl_blocks *kl_stream_blocks(const struct kl_stream *s);

/* Why nothing more comes: 0 it is the end, -EPIPE: gzip data end early, else what failed. */
int kl_stream_error(const struct kl_stream *s);
const char *kl_stream_error_text(const struct kl_stream *s);
