// SPDX-License-Identifier: GPL-2.0-only
#include "util/error.h"

#include <stdarg.h>
#include <stdio.h>

void kl_set_error(struct kl_error *err, const char *format, ...)
{
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
}
