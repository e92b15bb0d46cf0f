// SPDX-License-Identifier: GPL-2.0-only
#include "cli/output.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cli/stop.h"
#include "source/privilege.h"
#include "util/duration.h"

static void *start_with_less(void *arg)
{
	struct kl_start *s = arg;

	s->r = kl_keep_capabilities(s->keep, &s->err) ?: s->threads(s->arg, &s->err);
	return NULL;
}

int kl_start_with_less(struct kl_start *s)
{
	pthread_t starter;
	int r = -pthread_create(&starter, NULL, start_with_less, s);

	if (r) {
		fprintf(stderr, "kaloss %s: a thread: %s\n", s->verb, strerror(-r));
		return r;
	}
	pthread_join(starter, NULL);
	if (s->err.text[0])
		fprintf(stderr, "kaloss %s: %s\n", s->verb, s->err.text);
	return s->r;
}

int kl_output_gap(struct kl_outlet *o, struct kl_report *report, uint64_t time_ns, bool last)
{
	struct kl_dropped_records record = { .time_ns = time_ns };
	struct kl_outlet_gap gap;

	if (!(last ? kl_outlet_gap(o, &gap) : kl_outlet_gap_over(o, &gap)))
		return 0;
	record.records = gap.records;
	record.from_ns = gap.from_ns;
	record.to_ns = gap.to_ns;
	report->lines = 0; /* a header comes first again */
	return report->format->dropped(report, &record) ?: kl_outlet_commit_always(o);
}

size_t kl_output_wait(struct kl_outlet *o, struct kl_stop *stop, uint64_t until_ns)
{
	size_t left;

	do
		left = kl_outlet_wait(o, 100);
	while (left && !kl_outlet_error(o) && kl_monotonic_ns() < until_ns && !kl_stop_take(stop));
	return left;
}
