// SPDX-License-Identifier: GPL-2.0-only
/*
 * measure FILE COMMAND…: runs the command and appends a line to FILE: wall time and CPU time in
 * seconds, and peak memory in KiB (of the largest process, where the command starts several).
 * Its exit status is the command's.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	double start, wall;
	int status;
	pid_t child;
	FILE *out;

	if (argc < 3) {
		fputs("usage: measure FILE COMMAND...\n", stderr);
		return 2;
	}
	start = now();
	/* The memory of this process must not count as the command's: nothing is copied. */
	child = vfork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) < 0) {
		fprintf(stderr, "measure: %s: %m\n", argv[2]);
		return 2;
	}
	wall = now() - start;
	out = fopen(argv[1], "a");
	if (!out ||
	    fprintf(out, "%.4f %.4f %ld\n", wall,
		    seconds(&usage.ru_utime) + seconds(&usage.ru_stime), usage.ru_maxrss) < 0 ||
	    fclose(out)) {
		fprintf(stderr, "measure: %s: %m\n", argv[1]);
		return 2;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
