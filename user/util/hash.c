// SPDX-License-Identifier: GPL-2.0-only
#include "util/hash.h"

#include <stdio.h>
#include <stdlib.h>

void kl_hash_out_of_memory(void)
{
	fputs("kaloss: out of memory\n", stderr);
	exit(2);
}
