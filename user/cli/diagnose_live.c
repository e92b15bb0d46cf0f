// SPDX-License-Identifier: GPL-2.0-only
/* kaloss diagnose on interfaces: looks for a while, and says what is lost, where and why. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/diagnose.h"
#include "cli/evidence_files.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/run.h"
#include "core/diagnosis.h"
#include "core/diagnosis_behind.h"
#include "core/findings.h"
#include "source/nft_rules.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	SHOW_EVERY_S = 30, /* where no terminal shows the progress */
};

#define DEFAULT_NS (5 * 60 * KL_NS_PER_S)

struct live_diagnosis {
	struct kl_run run;
	struct kl_diagnosis d;
	struct kl_report report;
	struct kl_outlet *outlet;   /* for records as they happen; NULL: there is but the verdict */
	struct kl_nft_rules *rules; /* as they were at the start; NULL: not known */
	bool tells;		    /* records come as they happen */
	bool terminal;
	bool shown;
	uint64_t shown_ns;
	uint64_t losses;
	char remarks[KL_INPUT_REMARKS + KL_FILE_REMARKS][KL_INPUT_REMARK];
	size_t remark_count;
};

static struct live_diagnosis *of(struct kl_run *run)
{
	return run->arg;
}

/* ---- What the run finds ---- */

/* A record was printed; r: what that came to. */
static int end_record(struct live_diagnosis *l, int r)
{
	if (!r)
		r = kl_outlet_commit(l->outlet);
	l->run.tally.own.records_dropped = kl_outlet_dropped(l->outlet);
	return r;
}

/* The drop's place in the evidence, plus 1; 0: there is none. */
static int keep_drop(struct live_diagnosis *l, const struct kl_drop *drop, size_t *ret)
{
	*ret = 0;
	return drop ? kl_evidence_drop(&l->d.evidence, drop, ret) : 0;
}

static int take_story(struct kl_run *run, const struct kl_story *story, const struct kl_drop *drop)
{
	struct live_diagnosis *l = of(run);
	size_t lost = l->d.lost_count, index;
	int r = kl_diagnosis_story(&l->d, story);

	if (!r && drop)
		r = keep_drop(l, drop, &index);
	if (!r && drop && l->d.lost_count > lost)
		l->d.lost[lost].drop = index;
	l->losses += story->type == KL_STORY_LOSS;
	if (r || !l->tells)
		return r;
	return end_record(l, kl_report_story(&l->report, story, run->realtime_offset_ns, drop));
}

static int take_lost(struct kl_run *run, const struct kl_lost *lost, const struct kl_drop *drop)
{
	struct live_diagnosis *l = of(run);
	struct kl_lost with_drop = *lost;
	struct kl_loss record;
	int r = keep_drop(l, drop, &with_drop.drop);

	if (!r)
		r = kl_diagnosis_lost(&l->d, &with_drop);
	l->losses++;
	if (r || !l->tells)
		return r;
	record = kl_run_loss_record(run, lost, drop);
	return end_record(l, l->report.format->loss(&l->report, &record));
}

static int take_mac(struct kl_run *run, const struct kl_mac_evidence *m)
{
	struct live_diagnosis *l = of(run);
	int r = kl_evidence_mac(&l->d.evidence, m);

	if (r || !l->tells)
		return r;
	return end_record(l, l->report.format->mac(&l->report, m, run->realtime_offset_ns));
}

static int take_arp(struct kl_run *run, const struct kl_arp_conflict *c)
{
	struct live_diagnosis *l = of(run);
	int r = kl_evidence_arp(&l->d.evidence, c);

	if (r || !l->tells)
		return r;
	return end_record(l, l->report.format->arp(&l->report, c, run->realtime_offset_ns));
}

static int take_alarm(struct kl_run *run, const struct kl_alarm *a)
{
	struct live_diagnosis *l = of(run);
	int r = kl_evidence_alarm(&l->d.evidence, a);

	if (r || !l->tells || !kl_alarm_is_unregistration(a))
		return r;
	return end_record(l,
			  l->report.format->unregistration(&l->report, a, run->realtime_offset_ns));
}

static int take_ageing(struct kl_run *run, const struct kl_ageing_evidence *a)
{
	return kl_evidence_ageing(&of(run)->d.evidence, a);
}

static void take_rule(const struct kl_rule_evidence *rule, void *arg)
{
	struct live_diagnosis *l = arg;

	kl_evidence_rule(&l->d.evidence, rule); /* without memory, one less is named */
}

/* ---- What was seen so far ---- */

static void show(struct live_diagnosis *l)
{
	const struct kl_run *run = &l->run;
	const struct kl_tally_report *t = &run->tally.total;
	uint64_t passed_s = (run->now_ns - run->start_ns) / KL_NS_PER_S;

	fprintf(stderr,
		"%s%" PRIu64 " s of %" PRIu64 ": %zu phones, %" PRIu64
		" keepalives and answers, %" PRIu64 " lost%s",
		l->terminal ? "\r\033[K" : "", passed_s,
		(uint64_t)(run->o->duration_ns / KL_NS_PER_S), kl_sessions_phones(run->sessions),
		t->direction[KL_TO_CUCM].sent + t->direction[KL_TO_PHONE].sent, l->losses,
		l->terminal ? "" : "\n");
	fflush(stderr);
	l->shown = true;
	l->shown_ns = run->now_ns;
}

static int take_tick(struct kl_run *run, const struct kl_report_tick *tick)
{
	struct live_diagnosis *l = of(run);

	(void)tick;
	if (l->terminal || run->now_ns - l->shown_ns >= SHOW_EVERY_S * KL_NS_PER_S)
		show(l);
	return 0;
}

static int flush(struct kl_run *run)
{
	struct live_diagnosis *l = of(run);
	int r;

	if (!l->outlet)
		return 0;
	r = kl_output_gap(l->outlet, &l->report, run->now_ns + run->realtime_offset_ns, false);
	return r ?: kl_outlet_flush(l->outlet);
}

static void clear_progress(const struct live_diagnosis *l)
{
	if (l->terminal && l->shown)
		fputs("\r\033[K", stderr);
}

/* ---- The verdict ---- */

static void look_at_rules(struct live_diagnosis *l)
{
	struct kl_nft_rules *now = NULL;

	if (!l->d.evidence.drop.count || kl_nft_rules_read(&now, NULL))
		return;
	kl_nft_rules_suspects(l->rules, now, take_rule, l);
	kl_nft_rules_free(now);
}

/* The counters are the kernel's; finishing adds the sums of the kinds. */
static void take_totals(struct live_diagnosis *l)
{
	const struct kl_run *run = &l->run;

	l->d.total = run->tally.total;
	if (l->outlet)
		l->d.total.integrity.records_dropped = kl_outlet_dropped(l->outlet);
	for (int way = 0; way < KL_DIRECTIONS; way++) {
		uint64_t pending = l->d.total.direction[way].pending;

		l->d.total.direction[way] = (struct kl_count){ .pending = pending };
	}
	memcpy(l->d.inferred, run->inferred, sizeof(l->d.inferred));
	l->d.phones = run->most_phones;
	l->d.first_ns = run->start_ns;
	l->d.last_ns = run->now_ns;
}

static int report(struct live_diagnosis *l, bool *ret_fault)
{
	const char *remarks[KL_INPUT_REMARKS + KL_FILE_REMARKS];
	struct kl_live_note note = {};
	struct kl_finding findings[KL_CAUSES];
	struct kl_diagnosis_record record = {
		.time_ns = l->run.now_ns + l->run.realtime_offset_ns,
		.offset_ns = l->run.realtime_offset_ns,
		.diagnosis = &l->d,
		.findings = findings,
		.live = &note,
		.remarks = remarks,
		.list_sessions = l->run.o->per_phone,
	};
	int r;

	note.duration_s = (double)(l->run.now_ns - l->run.start_ns) / 1e9;
	record.remark_count = l->remark_count;
	for (size_t i = 0; i < l->remark_count; i++)
		remarks[i] = l->remarks[i];
	r = kl_findings(&l->d, findings, &record.finding_count);
	if (r)
		return r;
	for (size_t i = 0; i < record.finding_count; i++)
		*ret_fault |= findings[i].fault;
	r = l->report.format->diagnosis(&l->report, &record);
	if (r || !l->outlet)
		return r ?: kl_report_flush(&l->report);
	return kl_outlet_commit_always(l->outlet);
}

/* The counting is over: who reads may take any time, unless a signal ends the waiting. */
static int wait_for_reader(struct live_diagnosis *l)
{
	size_t left = kl_output_wait(l->outlet, l->run.stop, UINT64_MAX);
	int r = kl_outlet_error(l->outlet);

	if (!left || r)
		return r;
	fprintf(stderr,
		"kaloss diagnose: nobody reads: the last %zu records, with the verdict, are lost\n",
		left);
	return -ETIMEDOUT;
}

/* Without memory, these losses are not told of. */
static void take_behind(struct live_diagnosis *l)
{
	_cleanup_free_ struct kl_drop *drops = NULL;
	size_t count;

	if (!kl_inputs_drops_behind(l->run.inputs, &drops, &count))
		kl_diagnosis_behind(&l->d, drops, count);
}

static void conclude(struct live_diagnosis *l)
{
	struct kl_error err = {};
	size_t files = 0;

	/* Their counts so far; the records came when they were found. */
	l->tells = false;
	kl_inputs_conflicts(l->run.inputs);
	kl_inputs_describe(l->run.inputs, &l->d.evidence);
	take_totals(l);
	take_behind(l);
	look_at_rules(l);
	kl_diagnosis_finish(&l->d);
	l->remark_count = kl_inputs_remarks(l->run.inputs, l->remarks);
	/* What was seen meanwhile is not thrown away for a file. */
	if (kl_evidence_read_traces(l->run.o, &l->d, l->run.realtime_offset_ns,
				    &l->remarks[l->remark_count], &files, &err))
		snprintf(l->remarks[l->remark_count + files++], KL_INPUT_REMARK,
			 "--cucm-trace: %.380s", err.text);
	l->remark_count += files;
}

/* ---- From start to end ---- */

static int diagnose(struct live_diagnosis *l, bool *ret_fault)
{
	int r;

	/* What is not known then is asked for less: no rule is named. */
	kl_nft_rules_read(&l->rules, NULL);
	fprintf(stderr, "looking for %" PRIu64 " s; Ctrl-C ends it earlier, with what was seen\n",
		(uint64_t)(l->run.o->duration_ns / KL_NS_PER_S));
	l->shown_ns = kl_monotonic_ns();
	r = kl_run(&l->run);
	clear_progress(l);
	if (r)
		return r;
	conclude(l);
	if (l->outlet)
		r = kl_output_gap(l->outlet, &l->report, l->run.now_ns + l->run.realtime_offset_ns,
				  true);
	l->run.error = r ?: report(l, ret_fault);
	if (l->run.error || !l->outlet)
		return l->run.error;
	r = wait_for_reader(l);
	l->run.error = r == -ETIMEDOUT ? 0 : r;
	return r;
}

static int start_output(void *arg, struct kl_error *err)
{
	struct live_diagnosis *l = arg;
	int r = kl_outlet_open(fileno(l->report.out), l->run.o->queue_bytes, &l->outlet);

	if (r)
		return kl_fail(err, r, "%s", strerror(-r));
	l->report.out = kl_outlet_file(l->outlet);
	return 0;
}

/* Records that come as they happen must not hold up the counting. */
static int open_output(struct live_diagnosis *l)
{
	struct kl_start output = { .verb = "diagnose", .threads = start_output, .arg = l };

	return l->tells ? kl_start_with_less(&output) : 0;
}

int kl_diagnose_live(const struct kl_options *o)
{
	static const struct kl_run_handlers handlers = {
		.story = take_story,
		.lost = take_lost,
		.mac = take_mac,
		.arp = take_arp,
		.alarm = take_alarm,
		.ageing = take_ageing,
		.tick = take_tick,
		.beat = flush,
	};
	_cleanup_fclose_ FILE *file = NULL;
	struct kl_options options = *o;
	struct live_diagnosis l = {
		.run = {
			.verb = "diagnose",
			.o = &options,
			.handlers = &handlers,
			.arg = &l,
			.keep_sessions = true,
		},
		.d = { .two_sided = true },
		.tells = o->format == KL_FORMAT_JSONL,
		.terminal = isatty(STDERR_FILENO),
	};
	bool fault = false;
	int r;

	/* A reader that goes away is an error of the write, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	if (!options.duration_ns)
		options.duration_ns = DEFAULT_NS;
	if (kl_evidence_check_files(o) || kl_diagnose_open(o->output, &file))
		return KL_EXIT_FAILED;
	l.report = (struct kl_report){
		.out = file ? file : stdout,
		.color = kl_wants_color(o, fileno(file ? file : stdout)),
		.format = kl_diagnose_format(o),
	};
	r = kl_run_open(&l.run);
	l.d.sessions = l.run.sessions;
	if (!r)
		r = open_output(&l);
	if (!r)
		r = diagnose(&l, &fault);
	if (l.run.error)
		fprintf(stderr, "kaloss diagnose: writing to %s: %s\n",
			o->output ? o->output : "standard output", strerror(-l.run.error));
	kl_nft_rules_free(l.rules);
	kl_diagnosis_done(&l.d);
	kl_outlet_close(l.outlet);
	kl_run_close(&l.run);
	if (r)
		return KL_EXIT_FAILED;
	return fault ? KL_EXIT_FOUND : KL_EXIT_OK;
}
