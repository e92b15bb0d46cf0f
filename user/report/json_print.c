// SPDX-License-Identifier: GPL-2.0-only
#include "report/json_print.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static bool lacking; /* an allocation of jansson's failed */

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	lacking |= !memory;
	return memory;
}

/* Before the first object is made. */
__attribute__((constructor)) static void watch_allocations(void)
{
	json_set_alloc_funcs(allocate, free);
}

char *kl_json_dump(json_t *object, size_t flags)
{
	char *text = object && !lacking ? json_dumps(object, flags) : NULL;

	json_decref(object);
	lacking = false;
	return text;
}

/* (Piece by piece, thousands of times a millisecond: json_dumpf() would lock the file for each.) */
static int put_piece(const char *piece, size_t size, void *arg)
{
	return fwrite_unlocked(piece, 1, size, arg) == size ? 0 : -1;
}

int kl_json_put(json_t *object, FILE *out, size_t flags)
{
	int r = 0;

	errno = 0;
	if (!object || lacking)
		r = -ENOMEM;
	else if (json_dump_callback(object, put_piece, out, flags))
		r = lacking ? -ENOMEM : (errno ? -errno : -EIO);
	json_decref(object);
	lacking = false;
	return r;
}

int kl_json_print(json_t *object, FILE *out, size_t flags)
{
	int r = kl_json_put(object, out, flags);

	if (!r && fputc('\n', out) == EOF)
		r = errno ? -errno : -EIO;
	return r;
}
