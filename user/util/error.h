/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An error that can be told to a person: library code fills it and returns a negative errno, only
 * user/cli/ prints it.
 */
#pragma once

#include <errno.h>

struct kl_error {
	char text[512]; /* one line without newline; empty: no error */
};

/* Formats the text (err may be NULL) and returns code, so that `return kl_fail(…);` does both. */
int kl_fail(struct kl_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
