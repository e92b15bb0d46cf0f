// SPDX-License-Identifier: GPL-2.0-only
/*
 * clock.so: to be preloaded. Clocks that are set, and a host that slept, without touching either: the
 * file KALOSS_CLOCK has the seconds by which CLOCK_REALTIME is ahead, and those for which the host
 * slept (CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC). It is read at each call.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);
	const char *file = getenv("KALOSS_CLOCK");
	long set = 0, slept = 0;
	char text[64] = "";
	int fd, r;

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	r = real(clock, ret);
	if (r || !file || (clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME))
		return r;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
	    sscanf(text, "%ld %ld", &set, &slept) == 2)
		ret->tv_sec += clock == CLOCK_REALTIME ? set : slept;
	if (fd >= 0)
		close(fd);
	return r;
}
