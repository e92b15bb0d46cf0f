/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file of options: KEY = VALUE lines (libinih), the keys being options by their long names. What a
 * key or a value means is not known here.
 *
 * A struct kl_config_file owns its texts. No key is in it twice. Errors name the file and the line.
 */
#pragma once

#include <stddef.h>

#include "util/error.h"

struct kl_config_entry {
	unsigned line; /* where it begins; a list may go on in the next lines */
	char *key, *value;
};

struct kl_config_file {
	size_t count;
	struct kl_config_entry *entry;
};

int kl_config_file_read(const char *path, struct kl_config_file **ret, struct kl_error *err);
void kl_config_file_free(struct kl_config_file *f); /* NULL is fine */
