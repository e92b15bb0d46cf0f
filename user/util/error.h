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

/* Formats the text; err may be NULL. */
void kl_set_error(struct kl_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Sets the text and is the code, so that `return kl_fail(err, -EINVAL, …);` does both. */
#define kl_fail(err, code, ...)                                                                    \
	({                                                                                         \
		int kl_fail_code = (code);                                                         \
		kl_set_error((err), __VA_ARGS__);                                                  \
		kl_fail_code;                                                                      \
	})
