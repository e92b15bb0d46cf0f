/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files of a side, as they were named. A struct kl_capture_list owns the names; errors come back
 * as text.
 */
#pragma once

#include "cli/options.h"

struct kl_capture_list {
	char *names; /* what paths point into */
	const char *paths[KL_CAPTURES_MAX];
	size_t count;
};

/* text: a comma list; NULL: there are none. */
int kl_capture_list_split(struct kl_capture_list *list, const char *text, struct kl_error *err);
void kl_capture_list_done(struct kl_capture_list *list);

/*
 * A file that is read must not be written: before anything is opened, for what is opened to be
 * written is empty then.
 */
int kl_capture_list_check(const struct kl_capture_list *list, const struct kl_options *o,
			  struct kl_error *err);
