// SPDX-License-Identifier: GPL-2.0-only
/* kaloss watch: live, until stopped. */
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/options.h"
#include "cli/reload.h"
#include "cli/run.h"
#include "cli/service.h"
#include "cli/stop.h"
#include "cli/watch_history.h"
#include "core/metrics.h"
#include "report/metrics_http.h"
#include "report/report.h"
#include "source/live.h"
#include "source/snmp_users.h"
#include "util/cleanup.h"
#include "util/duration.h"

/* How long the end waits for somebody to read what was written. */
#define READER_PATIENCE_NS (10 * KL_NS_PER_S)

enum {
	FILE_PATIENCE_MS = 200 /* and a reload, for what belongs into the file before it */
};

struct watch {
	struct kl_run run;
	struct kl_report report;
	struct kl_reload reload;
	struct kl_outlet *outlet;
	struct kl_metrics metrics;
	struct kl_metrics_http *http;  /* NULL: not asked for */
	struct kl_watch_history *kept; /* the same */
	bool quiet;		       /* what is fetched for the history is told there only */
};

static struct watch *of(struct kl_run *run)
{
	return run->arg;
}

/* NULL: nothing is kept. */
static struct kl_history *history_of(struct kl_run *run)
{
	return kl_watch_history_of(of(run)->kept);
}

/* What is written to, for a person. */
static const char *output_name(const struct watch *w)
{
	return w->reload.now.output ?: "standard output";
}

/* ---- Records ---- */

/* A record was printed; r: what that came to. */
static int end_record(struct watch *w, int r)
{
	if (!r)
		r = kl_outlet_commit(w->outlet);
	w->run.tally.own.records_dropped = kl_outlet_dropped(w->outlet);
	return r;
}

static int tell_story(struct kl_run *run, const struct kl_story *story, const struct kl_drop *drop)
{
	struct watch *w = of(run);

	if (history_of(run))
		kl_history_story(history_of(run), story, drop);
	kl_metrics_story(&w->metrics, story);
	return end_record(w, kl_report_story(&w->report, story, run->realtime_offset_ns, drop));
}

static int tell_lost(struct kl_run *run, const struct kl_lost *lost, const struct kl_drop *drop)
{
	struct kl_loss record = kl_run_loss_record(run, lost, drop);
	struct watch *w = of(run);

	if (history_of(run))
		kl_history_lost(history_of(run), lost, drop);
	return end_record(w, w->report.format->loss(&w->report, &record));
}

static int tell_mac(struct kl_run *run, const struct kl_mac_evidence *m)
{
	struct watch *w = of(run);

	if (history_of(run))
		kl_history_mac(history_of(run), m);
	kl_metrics_mac(&w->metrics, m);
	return end_record(w, w->report.format->mac(&w->report, m, run->realtime_offset_ns));
}

static int tell_arp(struct kl_run *run, const struct kl_arp_conflict *c)
{
	struct watch *w = of(run);

	if (history_of(run))
		kl_history_arp(history_of(run), c);
	if (w->quiet)
		return 0;
	return end_record(w, w->report.format->arp(&w->report, c, run->realtime_offset_ns));
}

static int tell_alarm(struct kl_run *run, const struct kl_alarm *a)
{
	struct watch *w = of(run);

	if (history_of(run))
		kl_history_alarm(history_of(run), a);
	if (!kl_alarm_is_unregistration(a))
		return 0;
	kl_metrics_unregistration(&w->metrics, a);
	return end_record(w,
			  w->report.format->unregistration(&w->report, a, run->realtime_offset_ns));
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

static void measure_programs(struct kl_run *run, struct kl_metrics *m)
{
	struct kl_program_cost cost[KL_METRICS_PROGRAMS];

	m->program_count = kl_live_self_cost(run->live, cost, KL_COUNT(cost));
	for (size_t i = 0; i < m->program_count; i++) {
		struct kl_metrics_program *p = &m->program[i];

		snprintf(p->name, sizeof(p->name), "%s", cost[i].program);
		p->runs = cost[i].runs;
		p->run_ns = cost[i].run_ns;
	}
}

static void publish(struct watch *w, const struct kl_report_tick *tick)
{
	struct kl_run *run = &w->run;
	struct kl_evidence has = {};

	if (!w->http)
		return;
	kl_inputs_describe(run->inputs, &has);
	kl_metrics_tick(&w->metrics, &run->tally, &has);
	if (!w->metrics.start_ns)
		w->metrics.start_ns = run->start_ns + run->realtime_offset_ns;
	w->metrics.tick_ns = tick->time_ns;
	w->metrics.phones = tick->phones;
	if (run->o->live.self_cost)
		measure_programs(run, &w->metrics);
	kl_metrics_http_tell(w->http, &w->metrics);
}

static int tell_tick(struct kl_run *run, const struct kl_report_tick *tick)
{
	struct watch *w = of(run);

	if (history_of(run) && kl_history_is_due(history_of(run), run->now_ns))
		keep_conflicts(run);
	kl_watch_history_tick(w->kept, run, tick);
	publish(w, tick);
	kl_service_tick(run, tick);
	return end_record(w, w->report.format->tick(&w->report, tick));
}

static int flush(struct kl_run *run)
{
	struct watch *w = of(run);
	int r = kl_output_gap(w->outlet, &w->report, run->now_ns + run->realtime_offset_ns, false);

	return r ?: kl_outlet_flush(w->outlet);
}

static void started(struct kl_run *run)
{
	kl_service_ready(run->o->interval_ns);
}

static int hangup(struct kl_run *run)
{
	struct watch *w = of(run);
	int r;

	kl_service_reloading();
	r = flush(run);
	/* Most of it is for the old file; but a reader that does not read holds nothing up. */
	kl_outlet_wait(w->outlet, FILE_PATIENCE_MS);
	kl_reload(&w->reload, run, &w->report);
	if (w->http)
		kl_metrics_http_expect(w->http, run->o->interval_ns);
	kl_service_ready(run->o->interval_ns);
	return r;
}

static void stopping(struct kl_run *run)
{
	(void)run;
	kl_service_stopping();
}

static int summarize(struct watch *w)
{
	struct kl_run *run = &w->run;
	struct kl_evidence has = {};
	struct kl_report_tick record = {
		.time_ns = run->now_ns + run->realtime_offset_ns,
		.interval_s = (double)(run->now_ns - run->start_ns) / 1e9,
		.phones = run->most_phones,
		.tally = &run->tally.total,
		.sessions = run->o->per_phone ? run->sessions : NULL,
		.mac_flushes = run->mac_flushes,
	};
	int r;

	/* The last tick may be among them. */
	run->tally.total.integrity.records_dropped = kl_outlet_dropped(w->outlet);
	kl_inputs_describe(run->inputs, &has);
	record.mac_flushes_known = has.has_bridge || has.has_snmp || has.has_syslog;
	memcpy(record.inferred, run->inferred, sizeof(record.inferred));
	r = kl_output_gap(w->outlet, &w->report, record.time_ns, true);
	return r ?: w->report.format->summary(&w->report, &record)
			    ?: kl_outlet_commit_always(w->outlet);
}

/* Waits until all is written, though not for ever, nor past a signal. */
static int wait_for_reader(struct watch *w)
{
	size_t left = kl_output_wait(w->outlet, w->run.stop,
				     kl_monotonic_ns() + READER_PATIENCE_NS);
	int r = kl_outlet_error(w->outlet);

	if (!left || r)
		return r;
	fprintf(stderr,
		"kaloss watch: writing to %s: nobody reads: the last %zu records, with the "
		"summary, "
		"are lost\n",
		output_name(w), left);
	return -ETIMEDOUT;
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

static int watch(struct watch *w)
{
	struct kl_run *run = &w->run;
	int r = kl_run(run);

	if (!r) {
		keep_conflicts(run);
		kl_watch_history_end(w->kept, run);
		r = run->error = summarize(w);
	}
	if (!r) {
		r = wait_for_reader(w);
		run->error = r == -ETIMEDOUT ? 0 : r;
	}
	print_remarks(run);
	if (!r && run->o->live.self_cost)
		print_self_cost(run);
	return r;
}

/* ---- From start to end ---- */

static int open_http(struct watch *w)
{
	const struct kl_options *o = w->run.o;
	struct kl_error err = {};
	int r = kl_metrics_http_open(o->prometheus, o->interval_ns, &w->http, &err);

	if (r)
		fprintf(stderr, "kaloss watch: --prometheus %s\n", err.text);
	return r;
}

/* These must not take the signals: those are blocked by now. */
static int start_output(void *arg, struct kl_error *err)
{
	struct watch *w = arg;
	int r = kl_outlet_open(w->reload.fd, w->run.o->queue_bytes, &w->outlet);

	if (r)
		return kl_fail(err, r, "%s", strerror(-r));
	w->report.out = kl_outlet_file(w->outlet);
	return w->http ? kl_metrics_http_start(w->http, err) : 0;
}

static int start_history(void *arg, struct kl_error *err)
{
	struct watch *w = arg;

	(void)err; /* it says what is wrong */
	return kl_watch_history_open(w->run.o, &w->kept);
}

/* It asks the packet filter for its rules, and as root it may write where root was told to. */
static int open_history(struct watch *w)
{
	struct kl_start s = { .verb = "watch",
			      .keep = 1ULL << CAP_NET_ADMIN | 1ULL << CAP_DAC_OVERRIDE,
			      .threads = start_history,
			      .arg = w };

	return w->run.o->history ? kl_start_with_less(&s) : 0;
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
		.ageing = keep_ageing,
		.leaves = keep_leaving,
		.tick = tell_tick,
		.beat = flush,
		.started = started,
		.hangup = kl_reload_takes_hangup(o) ? hangup : NULL,
		.stopping = stopping,
	};
	struct watch w = {
		.run = {
			.verb = "watch",
			.o = &w.reload.now,
			.handlers = &handlers,
			.arg = &w,
			/* A list of all sessions at the end holds those that ended, too. */
			.keep_sessions = o->per_phone,
		},
		.report = {
			.format = o->format == KL_FORMAT_JSONL ? &kl_report_jsonl : &kl_report_text,
		},
	};
	struct kl_start output = { .verb = "watch", .threads = start_output, .arg = &w };
	int r;

	if (o->check_config)
		return check_files(o);
	/* A reader that goes away is an error of the write, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	if (kl_reload_open(&w.reload, o))
		return KL_EXIT_FAILED;
	w.report.color = kl_wants_color(o, w.reload.fd);
	r = o->prometheus ? open_http(&w) : 0;
	if (!r)
		r = open_history(&w);
	if (!r)
		r = kl_run_open(&w.run);
	if (!r)
		r = kl_start_with_less(&output);
	if (!r)
		r = watch(&w);
	kl_metrics_http_close(w.http);
	kl_outlet_close(w.outlet);
	kl_run_close(&w.run);
	kl_watch_history_close(w.kept);
	if (w.run.error && w.run.error != -EPIPE)
		fprintf(stderr, "kaloss watch: writing to %s: %s\n", output_name(&w),
			strerror(-w.run.error));
	kl_reload_close(&w.reload);
	return !r || r == -EPIPE ? KL_EXIT_OK : KL_EXIT_FAILED;
}
