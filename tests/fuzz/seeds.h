/* SPDX-License-Identifier: GPL-2.0-only */
/* What programs that make a corpus share: seeds are files of a directory, numbered. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include <linux/types.h>

static const char *directory;
static int files;

/* Its first byte says what the rest is. */
static void write_seed(__u8 what, const void *data, size_t len)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/seed-%02d", directory, files++);
	file = fopen(path, "wb");
	if (!file || fputc(what, file) == EOF || fwrite(data, 1, len, file) != len ||
	    fclose(file)) {
		perror(path);
		exit(1);
	}
}
