/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk that can lose its power. The calls by which this process changes files of one directory
 * are seen here, and done as ever; beside that it is kept what of them is on the disk for certain:
 * of a file's content what was there at its last fsync(), of its name what was there at the last
 * fsync() of the directory. When the power goes, of each 512 bytes any state since then may be what
 * is there, or half of one; a file may have any of the lengths that it had, with zeros or rubbish
 * where nothing was written; and each name may be there or not.
 *
 * Linked in, it stands before the C library. Of one process, and for calls that SQLite makes; one
 * thread at a time may make them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct disk {
	const char *directory; /* what is in it is on the disk */
	const char *image; /* a directory where it goes what is left, in place of what is there */
	uint64_t power;	   /* the power goes at this call, before it is done; 0: never */
	unsigned seed;	   /* of what is left */
	bool no_sync, no_directory_sync; /* it says that it did, and did not */
	/* The power went: the image is written. It must not come back. */
	void (*ends)(void);
};

void disk_begin(const struct disk *disk);
/* The power goes so many calls later. */
void disk_cut_in(uint64_t calls);
/* The power goes now. */
void disk_cut(void);
/* Calls so far. */
uint64_t disk_calls(void);
