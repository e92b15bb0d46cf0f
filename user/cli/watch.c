// SPDX-License-Identifier: GPL-2.0-only
/* kaloss watch: live, until stopped. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/inputs.h"
#include "cli/options.h"
#include "cli/run.h"
#include "cli/watch_history.h"
#include "report/report.h"
#include "source/live.h"
#include "util/cleanup.h"

struct watch {
	struct kl_report report;
	struct kl_watch_history *kept;
	bool quiet; /* what is fetched for the history is told there only */
};

static struct watch *of(struct kl_run *run)
{
	return run->arg;
}

static struct kl_report *report_of(struct kl_run *run)
{
	return &of(run)->report;
}

/* NULL: nothing is kept. */
static struct kl_history *history_of(struct kl_run *run)
{
	return kl_watch_history_of(of(run)->kept);
}

static int tell_story(struct kl_run *run, const struct kl_story *story, const struct kl_drop *drop)
{
	if (history_of(run))
		kl_history_story(history_of(run), story, drop);
	return kl_report_story(report_of(run), story, run->realtime_offset_ns, drop);
}

static int tell_lost(struct kl_run *run, const struct kl_lost *lost, const struct kl_drop *drop)
{
	struct kl_loss record = kl_run_loss_record(run, lost, drop);

	if (history_of(run))
		kl_history_lost(history_of(run), lost, drop);
	return report_of(run)->format->loss(report_of(run), &record);
}

static int tell_mac(struct kl_run *run, const struct kl_mac_evidence *m)
{
	if (history_of(run))
		kl_history_mac(history_of(run), m);
	return report_of(run)->format->mac(report_of(run), m, run->realtime_offset_ns);
}

static int tell_arp(struct kl_run *run, const struct kl_arp_conflict *c)
{
	if (history_of(run))
		kl_history_arp(history_of(run), c);
	if (of(run)->quiet)
		return 0;
	return report_of(run)->format->arp(report_of(run), c, run->realtime_offset_ns);
}

static int tell_alarm(struct kl_run *run, const struct kl_alarm *a)
{
	if (history_of(run))
		kl_history_alarm(history_of(run), a);
	if (!kl_alarm_is_unregistration(a))
		return 0;
	return report_of(run)->format->unregistration(report_of(run), a, run->realtime_offset_ns);
}

static int keep_ageing(struct kl_run *run, const struct kl_ageing_evidence *a)
{
	if (history_of(run))
		kl_history_ageing(history_of(run), a);
	return 0;
}

static void keep_leaving(struct kl_run *run, const struct kl_session *session)
{
	if (history_of(run))
		kl_history_leaves(history_of(run), session);
}

/* ARP conflicts tell of themselves once, and count on. */
static void keep_conflicts(struct kl_run *run)
{
	of(run)->quiet = true;
	kl_inputs_conflicts(run->inputs);
	of(run)->quiet = false;
}

static int tell_tick(struct kl_run *run, const struct kl_report_tick *tick)
{
	if (history_of(run) && kl_history_is_due(history_of(run), run->now_ns))
		keep_conflicts(run);
	kl_watch_history_tick(of(run)->kept, run, tick);
	return report_of(run)->format->tick(report_of(run), tick);
}

static int flush(struct kl_run *run)
{
	return kl_report_flush(report_of(run));
}

static int summarize(struct kl_run *run)
{
	struct kl_evidence has = {};
	struct kl_report_tick record = {
		.time_ns = run->now_ns + run->realtime_offset_ns,
		.interval_s = (double)(run->now_ns - run->start_ns) / 1e9,
		.phones = run->most_phones,
		.tally = &run->tally.total,
		.sessions = run->o->per_phone ? run->sessions : NULL,
		.mac_flushes = run->mac_flushes,
	};

	kl_inputs_describe(run->inputs, &has);
	record.mac_flushes_known = has.has_bridge || has.has_snmp || has.has_syslog;
	memcpy(record.inferred, run->inferred, sizeof(record.inferred));
	return report_of(run)->format->summary(report_of(run), &record) ?: flush(run);
}

/* What the inputs could not use is no record: for the person at the terminal. */
static void print_remarks(const struct kl_run *run)
{
	char remarks[KL_INPUT_REMARKS][KL_INPUT_REMARK];
	size_t count = kl_inputs_remarks(run->inputs, remarks);

	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "kaloss watch: %s\n", remarks[i]);
}

static void print_self_cost(struct kl_run *run)
{
	struct kl_program_cost cost[8];
	size_t count = kl_live_self_cost(run->live, cost, KL_COUNT(cost));

	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "%-16s %10" PRIu64 " runs, %6.0f ns each\n", cost[i].program,
			cost[i].runs, (double)cost[i].run_ns / (double)cost[i].runs);
}

static int watch(struct kl_run *run)
{
	int r = kl_run(run);

	if (!r) {
		keep_conflicts(run);
		kl_watch_history_end(of(run)->kept, run);
		r = run->error = summarize(run);
	}
	print_remarks(run);
	if (!r && run->o->live.self_cost)
		print_self_cost(run);
	return r;
}

int kl_watch(const struct kl_options *o)
{
	static const struct kl_run_handlers handlers = {
		.story = tell_story,
		.lost = tell_lost,
		.mac = tell_mac,
		.arp = tell_arp,
		.alarm = tell_alarm,
		.ageing = keep_ageing,
		.leaves = keep_leaving,
		.tick = tell_tick,
		.beat = flush,
	};
	_cleanup_fclose_ FILE *file = NULL;
	struct watch watching = {
		.report.format = o->format == KL_FORMAT_JSONL ? &kl_report_jsonl : &kl_report_text,
	};
	struct kl_run run = {
		.verb = "watch",
		.o = o,
		.handlers = &handlers,
		.arg = &watching,
		/* A list of all sessions at the end holds those that ended, too. */
		.keep_sessions = o->per_phone,
	};
	int r;

	/* A reader that goes away is an error of the write, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	if (o->output) {
		file = fopen(o->output, "we");
		if (!file) {
			fprintf(stderr, "kaloss watch: %s: %s\n", o->output, strerror(errno));
			return KL_EXIT_FAILED;
		}
	}
	if (kl_watch_history_open(o, &watching.kept))
		return KL_EXIT_FAILED;
	watching.report.out = file ? file : stdout;
	watching.report.color = kl_wants_color(o, watching.report.out);
	r = kl_run_open(&run);
	if (!r)
		r = watch(&run);
	kl_run_close(&run);
	kl_watch_history_close(watching.kept);
	if (run.error && run.error != -EPIPE)
		fprintf(stderr, "kaloss watch: writing to %s: %s\n",
			o->output ? o->output : "standard output", strerror(-run.error));
	return !r || r == -EPIPE ? KL_EXIT_OK : KL_EXIT_FAILED;
}
