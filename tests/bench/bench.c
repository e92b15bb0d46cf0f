// SPDX-License-Identifier: GPL-2.0-only
#include "bench.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct bench_figure bench_figure_of(double *values, unsigned count)
{
	unsigned half = count / 2;

	qsort(values, count, sizeof(values[0]), by_value);
	return (struct bench_figure){
		.median = count % 2 ? values[half] : (values[half - 1] + values[half]) / 2,
		.lowest = values[0],
		.highest = values[count - 1],
		.runs = count,
	};
}

bool bench_reached(const struct bench_figure *f, const struct bench_goal *goal)
{
	return goal->is == BENCH_AT_MOST ? f->median <= goal->value : f->median >= goal->value;
}

const char *bench_goal_text(const struct bench_figure *f, const struct bench_goal *goal)
{
	static char text[64];

	if (goal->is == BENCH_NO_GOAL)
		return "";
	snprintf(text, sizeof(text), "  goal %s %.10g: %s",
		 goal->is == BENCH_AT_MOST ? "<=" : ">=", goal->value,
		 bench_reached(f, goal) ? "reached" : "NOT reached");
	return text;
}

static void cpu_model(char *ret, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[256], model[192] = "unknown CPU";

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "model name : %191[^\n]", model) == 1)
			break;
	}
	if (file)
		fclose(file);
	snprintf(ret, size, "%s", model);
}

const char *bench_machine(void)
{
	static char text[320];
	struct utsname name;
	char model[192];

	cpu_model(model, sizeof(model));
	uname(&name);
	snprintf(text, sizeof(text), "kernel %s, %s, %ld CPUs", name.release, model,
		 sysconf(_SC_NPROCESSORS_ONLN));
	return text;
}

static json_t *describe_machine(void)
{
	struct utsname name;
	time_t now = time(NULL);
	char model[192], when[32];

	cpu_model(model, sizeof(model));
	uname(&name);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	return json_pack("{s:s, s:I, s:s, s:s}", "cpu", model, "cpus",
			 (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "kernel", name.release, "time",
			 when);
}

static json_t *open_document(const char *path)
{
	json_t *document = access(path, F_OK) ? NULL : json_load_file(path, 0, NULL);

	if (document)
		return document;
	return json_pack("{s:o, s:[]}", "machine", describe_machine(), "figures");
}

static json_t *describe_goal(const struct bench_figure *f, const struct bench_goal *goal)
{
	if (goal->is == BENCH_NO_GOAL)
		return json_null();
	return json_pack("{s:s, s:f, s:b}", "is",
			 goal->is == BENCH_AT_MOST ? "at most" : "at least", "value", goal->value,
			 "reached", bench_reached(f, goal));
}

int bench_add(const char *path, const char *part, const char *name, const char *unit,
	      const struct bench_figure *f, const struct bench_goal *goal)
{
	json_t *document;
	int r;

	if (!path)
		return 0;
	document = open_document(path);
	r = json_array_append_new(json_object_get(document, "figures"),
				  json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:i, s:o}", "part",
					    part, "name", name, "unit", unit, "median", f->median,
					    "lowest", f->lowest, "highest", f->highest, "runs",
					    (int)f->runs, "goal", describe_goal(f, goal)));
	if (!r)
		r = json_dump_file(document, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	json_decref(document);
	return r ? -EIO : 0;
}
