/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every measurement has in common: the median of several runs with the lowest and the highest,
 * a goal beside it, and a file of JSON that each figure is added to:
 *
 *	{"machine": {"cpu", "cpus", "kernel", "time"},
 *	 "figures": [{"part", "name", "unit", "median", "lowest", "highest", "runs",
 *	              "goal": {"is", "value", "reached"} | null}]}
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum bench_goal_is {
	BENCH_NO_GOAL,
	BENCH_AT_MOST,
	BENCH_AT_LEAST
};

struct bench_goal {
	enum bench_goal_is is;
	double value;
};

struct bench_figure {
	double median, lowest, highest;
	unsigned runs;
};

/* Sorts the values. count must not be 0. */
struct bench_figure bench_figure_of(double *values, unsigned count);

bool bench_reached(const struct bench_figure *f, const struct bench_goal *goal);

/* " goal <= 60: reached", or nothing where there is no goal. */
const char *bench_goal_text(const struct bench_figure *f, const struct bench_goal *goal);

/*
 * Adds a figure to the JSON in `path`, which is made with the machine's description if it is not
 * there. NULL: nowhere. Returns 0 or a negative errno.
 */
int bench_add(const char *path, const char *part, const char *name, const char *unit,
	      const struct bench_figure *f, const struct bench_goal *goal);

/* "kernel 6.18…, AMD EPYC, 2 CPUs" */
const char *bench_machine(void);
