// SPDX-License-Identifier: GPL-2.0-only
/*
 * figure [--json FILE] [--part PART] [--unit UNIT] [--at-most N | --at-least N] [--digits N] NAME
 * VALUE…: for measurements that are scripts: prints a row with the median of the values, the lowest
 * and the highest, and the goal, and adds it to the JSON (bench.h). Without a value: the machine.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "json", required_argument, NULL, 'j' },
		{ "part", required_argument, NULL, 'p' },
		{ "unit", required_argument, NULL, 'u' },
		{ "at-most", required_argument, NULL, 'm' },
		{ "at-least", required_argument, NULL, 'l' },
		{ "digits", required_argument, NULL, 'd' },
		{},
	};
	const char *json = NULL, *part = "", *unit = "", *name;
	struct bench_goal goal = { .is = BENCH_NO_GOAL };
	struct bench_figure f;
	double values[256];
	unsigned count = 0;
	int c, digits = 3;

	while ((c = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = optarg;
			break;
		case 'p':
			part = optarg;
			break;
		case 'u':
			unit = optarg;
			break;
		case 'm':
		case 'l':
			goal.is = c == 'm' ? BENCH_AT_MOST : BENCH_AT_LEAST;
			goal.value = strtod(optarg, NULL);
			break;
		case 'd':
			digits = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (optind == argc) {
		puts(bench_machine());
		return 0;
	}
	name = argv[optind++];
	for (; optind < argc && count < sizeof(values) / sizeof(values[0]); optind++) {
		char *end;

		values[count++] = strtod(argv[optind], &end);
		if (end == argv[optind] || *end) {
			fprintf(stderr, "figure: %s: %s is no number\n", name, argv[optind]);
			return 2;
		}
	}
	if (!count) {
		fprintf(stderr, "figure: %s: no value\n", name);
		return 2;
	}
	f = bench_figure_of(values, count);
	printf("%-60s %10.*f (%.*f to %.*f) %s%s\n", name, digits, f.median, digits, f.lowest,
	       digits, f.highest, unit, bench_goal_text(&f, &goal));
	return bench_add(json, part, name, unit, &f, &goal) ? 2 : 0;
}
