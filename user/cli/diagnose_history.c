// SPDX-License-Identifier: GPL-2.0-only
/* kaloss diagnose on what watch kept: at once what a run would have said that lasted as long. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/diagnose.h"
#include "history/load.h"
#include "util/cleanup.h"
#include "util/duration.h"

#define DEFAULT_NS (3600 * KL_NS_PER_S)

static void say_extent(const struct kl_history_view *v)
{
	char from[40], to[40];

	kl_format_time(v->from_ns, from, sizeof(from));
	kl_format_time(v->to_ns, to, sizeof(to));
	fprintf(stderr, "from %s to %s\n", from, to);
}

static int report(const struct kl_options *o, const struct kl_history_view *v, FILE *out,
		  bool *ret_fault)
{
	struct kl_report to = {
		.out = out,
		.color = kl_wants_color(o, fileno(out)),
		.format = kl_diagnose_format(o),
	};
	const struct kl_live_note note = { .duration_s = v->duration_s };
	const char *remarks[KL_HISTORY_REMARKS];
	struct kl_finding findings[KL_CAUSES];
	struct kl_diagnosis_record record = {
		.time_ns = v->to_ns,
		.live = &note,
		.diagnosis = &v->d,
		.findings = findings,
		.remarks = remarks,
		.remark_count = v->remark_count,
		.list_sessions = o->per_phone,
	};

	int r;

	for (size_t i = 0; i < v->remark_count; i++)
		remarks[i] = v->remarks[i];
	r = kl_findings(&v->d, findings, &record.finding_count);
	if (r)
		return r;
	for (size_t i = 0; i < record.finding_count; i++)
		*ret_fault |= findings[i].fault;
	return to.format->diagnosis(&to, &record) ?: kl_report_flush(&to);
}

int kl_diagnose_history(const struct kl_options *o)
{
	__attribute__((cleanup(kl_history_view_done))) struct kl_history_view view = {};
	_cleanup_fclose_ FILE *file = NULL;
	struct kl_error err = {};
	bool fault = false;
	int r;

	/* A reader that goes away is an error of the write, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	r = kl_history_read(o->history, o->since_ns ?: DEFAULT_NS, kl_realtime_ns(), &view, &err);
	if (r) {
		fprintf(stderr, "kaloss diagnose: --history %s\n", err.text);
		return KL_EXIT_FAILED;
	}
	if (kl_diagnose_open(o->output, &file))
		return KL_EXIT_FAILED;
	say_extent(&view);
	r = report(o, &view, file ? file : stdout, &fault);
	if (r) {
		fprintf(stderr, "kaloss diagnose: writing to %s: %s\n",
			o->output ? o->output : "standard output", strerror(-r));
		return KL_EXIT_FAILED;
	}
	return fault ? KL_EXIT_FOUND : KL_EXIT_OK;
}
