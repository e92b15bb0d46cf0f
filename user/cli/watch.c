// SPDX-License-Identifier: GPL-2.0-only
/* kaloss watch: live, until stopped. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/inputs.h"
#include "cli/options.h"
#include "cli/reload.h"
#include "cli/run.h"
#include "cli/service.h"
#include "report/report.h"
#include "source/live.h"
#include "source/snmp_users.h"
#include "util/cleanup.h"

struct watch {
	struct kl_run run;
	struct kl_report report;
	struct kl_reload reload;
};

static struct watch *of(struct kl_run *run)
{
	return run->arg;
}

static struct kl_report *report_of(struct kl_run *run)
{
	return &of(run)->report;
}

static int tell_story(struct kl_run *run, const struct kl_story *story, const struct kl_drop *drop)
{
	return kl_report_story(report_of(run), story, run->realtime_offset_ns, drop);
}

static int tell_lost(struct kl_run *run, const struct kl_lost *lost, const struct kl_drop *drop)
{
	struct kl_loss record = kl_run_loss_record(run, lost, drop);

	return report_of(run)->format->loss(report_of(run), &record);
}

static int tell_mac(struct kl_run *run, const struct kl_mac_evidence *m)
{
	return report_of(run)->format->mac(report_of(run), m, run->realtime_offset_ns);
}

static int tell_arp(struct kl_run *run, const struct kl_arp_conflict *c)
{
	return report_of(run)->format->arp(report_of(run), c, run->realtime_offset_ns);
}

static int tell_alarm(struct kl_run *run, const struct kl_alarm *a)
{
	if (!kl_alarm_is_unregistration(a))
		return 0;
	return report_of(run)->format->unregistration(report_of(run), a, run->realtime_offset_ns);
}

static int tell_tick(struct kl_run *run, const struct kl_report_tick *tick)
{
	int r = report_of(run)->format->tick(report_of(run), tick);

	if (!r)
		kl_service_tick(run, tick);
	return r;
}

static int flush(struct kl_run *run)
{
	return kl_report_flush(report_of(run));
}

static void started(struct kl_run *run)
{
	kl_service_ready(run->o->interval_ns);
}

static int hangup(struct kl_run *run)
{
	int r;

	kl_service_reloading();
	r = kl_reload(&of(run)->reload, run, report_of(run));
	kl_service_ready(run->o->interval_ns);
	return r;
}

static void stopping(struct kl_run *run)
{
	(void)run;
	kl_service_stopping();
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

	if (!r)
		r = run->error = summarize(run);
	print_remarks(run);
	if (!r && run->o->live.self_cost)
		print_self_cost(run);
	return r;
}

/* The files that options name and that nobody but a run reads. */
static int check_files(const struct kl_options *o)
{
	const char *const files[] = { o->trap.auth_file, o->poll.auth_file };

	for (size_t i = 0; i < KL_COUNT(files); i++) {
		struct kl_snmp_users users;
		struct kl_error err = {};

		if (!files[i])
			continue;
		if (kl_snmp_users_read(files[i], &users, &err)) {
			fprintf(stderr, "kaloss watch: --%s-auth: %s\n", i ? "poll" : "trap",
				err.text);
			return KL_EXIT_FAILED;
		}
		kl_snmp_users_done(&users);
	}
	return KL_EXIT_OK;
}

int kl_watch(const struct kl_options *o)
{
	const struct kl_run_handlers handlers = {
		.story = tell_story,
		.lost = tell_lost,
		.mac = tell_mac,
		.arp = tell_arp,
		.alarm = tell_alarm,
		.tick = tell_tick,
		.beat = flush,
		.started = started,
		.hangup = kl_reload_takes_hangup(o) ? hangup : NULL,
		.stopping = stopping,
	};
	struct watch w = {
		.report = {
			.format = o->format == KL_FORMAT_JSONL ? &kl_report_jsonl : &kl_report_text,
		},
		.run = {
			.verb = "watch",
			.o = &w.reload.now,
			.handlers = &handlers,
			.arg = &w,
			/* A list of all sessions at the end holds those that ended, too. */
			.keep_sessions = o->per_phone,
		},
	};
	int r;

	if (o->check_config)
		return check_files(o);
	/* A reader that goes away is an error of the write, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	if (kl_reload_open(&w.reload, o))
		return KL_EXIT_FAILED;
	w.report.out = w.reload.file;
	w.report.color = kl_wants_color(o, w.report.out);
	r = kl_run_open(&w.run);
	if (!r)
		r = watch(&w.run);
	kl_run_close(&w.run);
	if (w.run.error && w.run.error != -EPIPE)
		fprintf(stderr, "kaloss watch: writing to %s: %s\n",
			w.reload.now.output ?: "standard output", strerror(-w.run.error));
	kl_reload_close(&w.reload);
	return !r || r == -EPIPE ? KL_EXIT_OK : KL_EXIT_FAILED;
}
