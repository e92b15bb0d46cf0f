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

int kl_json_print(json_t *object, FILE *out, size_t flags)
{
	int r = 0;

	if (!object || lacking)
		r = -ENOMEM;
	else if (json_dumpf(object, out, flags) || fputc('\n', out) == EOF)
		r = lacking ? -ENOMEM : (errno ? -errno : -EIO);
	json_decref(object);
	lacking = false;
	return r;
}
