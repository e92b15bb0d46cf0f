/* SPDX-License-Identifier: GPL-2.0-only */
/* What every input from outside has to say of itself. Nothing that comes in may get in the way. */
#pragma once

#include <stdint.h>

struct kl_input_stats {
	uint64_t received;   /* messages or lines */
	uint64_t understood; /* that said something of use */
	uint64_t malformed;
	uint64_t refused;    /* wrong community, user or key */
	uint64_t lost;	     /* by the kernel, before we could read them */
	char complaint[256]; /* about the first malformed or refused one, with where it came from */
};
