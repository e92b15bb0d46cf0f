/* SPDX-License-Identifier: GPL-2.0-only */
/* Resources that free themselves when their variable goes out of scope. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void kl_freep(void *p)
{
	free(*(void **)p);
}

static inline void kl_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Hands the descriptor on: its variable does not close it any more. */
static inline int kl_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void kl_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ __attribute__((cleanup(kl_freep)))
#define _cleanup_close_ __attribute__((cleanup(kl_closep)))
#define _cleanup_fclose_ __attribute__((cleanup(kl_fclosep)))

#define KL_COUNT(array) (sizeof(array) / sizeof((array)[0]))
