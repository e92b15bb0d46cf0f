// SPDX-License-Identifier: GPL-2.0-only
/* kaloss check: can it run here, and what would spoil it? */
#include "cli/options.h"

int kl_check(const struct kl_options *o)
{
	(void)o;
	return KL_EXIT_FAILED;
}
