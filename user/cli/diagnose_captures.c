// SPDX-License-Identifier: GPL-2.0-only
/* kaloss diagnose from captures; needs no privilege. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cli/capture_list.h"
#include "cli/capture_remarks.h"
#include "cli/diagnose.h"
#include "cli/evidence_files.h"
#include "cli/progress.h"
#include "cli/write_lost.h"
#include "core/diagnosis.h"
#include "core/findings.h"
#include "core/names.h"
#include "core/replay.h"
#include "report/report.h"
#include "source/capture_ahead.h"
#include "source/ports.h"
#include "util/cleanup.h"
#include "util/duration.h"

/* How far both sides are read before a segment is judged. */
#define HOLD_NS (300ULL * 1000000000)

/* A pause between two files that is longer than this is one in which nothing was captured. */
#define PAUSE_NS (5ULL * 1000000000)
/* And none that so many usual distances between packets explain. */
#define PAUSE_DISTANCES 20

struct side {
	struct kl_capture *capture; /* NULL: there is none */
	struct kl_sighter *sighter;
	struct kl_capture_list files;
	struct kl_ahead *ahead;
	const struct kl_batch *batch;
	size_t taken; /* of it */
	size_t ranges_told;
	bool began;
	bool ended;
};

struct diagnose {
	const struct kl_options *o;
	struct kl_ports ports;
	struct side side[KL_SIDES];
	struct kl_pair *pair; /* NULL: one capture only */
	struct kl_replay *replay;
	struct kl_sessions *sessions;
	struct kl_diagnosis diagnosis;
	struct kl_report report;
	struct kl_progress progress;
	char remarks[2 * KL_FILE_REMARKS][KL_FILE_REMARK]; /* of files beside the captures */
	size_t remark_count;
	FILE *lost; /* where lost segments are written to; NULL: nowhere */
	int error;  /* of the reports or of memory */
};

static void keep_error(struct diagnose *d, int r)
{
	if (r && !d->error)
		d->error = r;
}

/* ---- What the sessions and the join find out ---- */

static bool doubt(const struct kl_story *story, void *arg)
{
	struct kl_pair_clock clock = {};
	struct diagnose *d = arg;

	if (d->pair)
		kl_pair_clock(d->pair, &clock);
	return kl_diagnosis_doubts(&d->diagnosis, story, clock.known ? clock.offset_ns : 0);
}

static void take_story(const struct kl_story *story, void *arg)
{
	struct diagnose *d = arg;

	keep_error(d, kl_diagnosis_story(&d->diagnosis, story));
	if (d->o->format == KL_FORMAT_JSONL)
		keep_error(d, kl_report_story(&d->report, story, 0, NULL));
}

static void report_lost(struct diagnose *d, const struct kl_lost *l)
{
	struct kl_loss record = {
		.time_ns = l->time_ns,
		.party = { .ends = l->ends,
			   .vlan = l->vlan,
			   .device = l->device,
			   .probable = l->probable },
		.where = KL_BETWEEN,
		.direction = l->direction,
		.kind = l->kind,
		.seq = l->seq,
		.seq_other = l->seq_other,
		.length = l->length,
		.copies = { l->copies[KL_ACCESS], l->copies[KL_CUCM] },
		.late_ns = l->late_ns,
		.idle_ns = l->idle_ns,
		.idle_known = (enum kl_idle_known)l->idle_known,
		.evidence = l->evidence,
	};

	memcpy(record.party.mac, l->mac, sizeof(record.party.mac));
	keep_error(d, d->report.format->loss(&d->report, &record));
}

/* Takes what the join has settled. */
static int take_settled(struct diagnose *d)
{
	struct kl_paired paired;

	while (kl_pair_next(d->pair, &paired)) {
		uint64_t reference = kl_replay_reference(d->replay, paired.cookie);
		size_t loss;
		int r = kl_diagnosis_paired(&d->diagnosis, &paired, reference, &loss);

		if (!r)
			r = kl_replay_paired(d->replay, &paired);
		if (r)
			return r;
		if (loss && d->o->format == KL_FORMAT_JSONL)
			report_lost(d, &d->diagnosis.lost[loss - 1]);
	}
	return d->error;
}

/* ---- What the captures cover ---- */

/* A time of which that side's capture has nothing, or not all. */
static void tell_missing(struct diagnose *d, uint32_t side, enum kl_cover what, uint64_t from_ns,
			 uint64_t to_ns)
{
	const struct kl_blind blind = { side, from_ns, to_ns };

	if (d->pair)
		kl_pair_cover(d->pair, side, what, from_ns, to_ns);
	keep_error(d, kl_diagnosis_blind(&d->diagnosis, &blind));
}

static void tell_gap(struct diagnose *d, uint32_t side, uint64_t from_ns, uint64_t to_ns)
{
	struct kl_pair_clock clock = {};

	tell_missing(d, side, KL_COVER_GAP, from_ns, to_ns);
	if (d->pair)
		kl_pair_clock(d->pair, &clock);
	if (side == KL_CUCM && clock.known)
		to_ns -= (uint64_t)clock.offset_ns;
	kl_replay_gap(d->replay, to_ns);
}

/* What a batch's coverage says of the time before its end: told before its segments. */
static void tell_coverage(struct diagnose *d, uint32_t side)
{
	struct side *s = &d->side[side];
	const struct kl_batch *b = s->batch;

	if (!b->range_count)
		return;
	if (d->pair && !s->began)
		kl_pair_cover(d->pair, side, KL_COVER_BEGAN, b->ranges[0].first_ns, 0);
	d->diagnosis.began_ns[side] = b->ranges[0].first_ns;
	s->began = true;
	for (; s->ranges_told + 1 < b->range_count; s->ranges_told++) {
		const struct kl_capture_range *range = &b->ranges[s->ranges_told];
		uint64_t pause_ns = range[1].first_ns - range->last_ns;
		uint64_t usual_ns = b->packets
					    ? (range->last_ns - b->ranges[0].first_ns) / b->packets
					    : 0;

		if (pause_ns > PAUSE_NS && pause_ns > PAUSE_DISTANCES * usual_ns)
			tell_gap(d, side, range->last_ns, range[1].first_ns);
	}
	for (size_t i = 0; i < b->drop_count; i++)
		tell_missing(d, side, KL_COVER_DROPPED, b->drops[i].from_ns, b->drops[i].to_ns);
}

static void end_side(struct diagnose *d, uint32_t side)
{
	const struct kl_batch *b = d->side[side].batch;
	uint64_t last_ns = b->range_count ? b->ranges[b->range_count - 1].last_ns : 0;

	d->side[side].ended = true;
	d->diagnosis.ended_ns[side] = last_ns;
	if (d->pair)
		kl_pair_cover(d->pair, side, KL_COVER_ENDED, 0, last_ns);
}

/* ---- Reading ---- */

static int take_segment(struct diagnose *d, uint32_t side, const struct kl_captured *c)
{
	struct kl_sight_input in = {
		.time_ns = c->time_ns,
		.segment = &c->segment,
		.payload = c->payload,
		.have = c->payload_captured,
		.is_fragment = c->is_fragment,
	};
	bool retransmission, duplicate;
	struct kl_sight sight;
	int r = kl_sighter_see(d->side[side].sighter, &in, &sight);

	if (r)
		return r;
	if (!d->pair) {
		if (c->is_fragment)
			return 0;
		r = kl_replay_alone(d->replay, &sight, &c->segment, &retransmission, &duplicate);
		if (!r)
			kl_diagnosis_alone(&d->diagnosis, &sight.sighted, retransmission,
					   duplicate);
		return r ? r : d->error;
	}
	r = kl_replay_keep(d->replay, &sight, &c->segment,
			   kl_lost_reference(side, c->file, c->packet));
	if (!r)
		r = kl_pair_feed(d->pair, &sight.sighted);
	return r ? r : take_settled(d);
}

static uint32_t next_side(const struct diagnose *d)
{
	if (d->pair)
		return kl_pair_wants(d->pair);
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		if (d->side[side].capture && !d->side[side].ended)
			return side;
	}
	return KL_SIDES;
}

static void show_progress(struct diagnose *d)
{
	const struct kl_capture *captures[KL_SIDES] = { d->side[KL_ACCESS].capture,
							d->side[KL_CUCM].capture };

	kl_progress_show(&d->progress, captures, KL_SIDES);
}

static int next_segment(struct diagnose *d, uint32_t side, const struct kl_captured **ret,
			struct kl_error *err)
{
	struct side *s = &d->side[side];

	while (!s->batch || s->taken == s->batch->count) {
		int r = kl_ahead_next(s->ahead, &s->batch, err);

		if (r <= 0)
			return r;
		s->taken = 0;
		tell_coverage(d, side);
	}
	*ret = &s->batch->segments[s->taken++];
	return 1;
}

static int read_all(struct diagnose *d, struct kl_error *err)
{
	uint32_t side;
	int r;

	while ((side = next_side(d)) < KL_SIDES) {
		const struct kl_captured *segment;

		r = next_segment(d, side, &segment, err);
		if (r < 0)
			return r;
		if (!r) {
			end_side(d, side);
			r = d->pair ? take_settled(d) : 0;
		} else {
			r = take_segment(d, side, segment);
		}
		if (r == -ENOSPC)
			return kl_fail(err, r,
				       "more connections within %u s than there is room "
				       "for: raise --connections",
				       (unsigned)(HOLD_NS / KL_NS_PER_S));
		if (r)
			return kl_fail(err, r, "%s", strerror(-r));
		show_progress(d);
	}
	if (!d->pair)
		return 0;
	kl_pair_finish(d->pair);
	r = take_settled(d);
	if (r)
		return kl_fail(err, r, "%s", strerror(-r));
	return 0;
}

/* ---- From start to end ---- */

static int name_files(struct diagnose *d, struct kl_error *err)
{
	int r = 0;

	for (uint32_t side = 0; !r && side < KL_SIDES; side++)
		r = kl_capture_list_split(&d->side[side].files, d->o->captures[side], err);
	for (uint32_t side = 0; !r && side < KL_SIDES; side++)
		r = kl_capture_list_check(&d->side[side].files, d->o, err);
	return r;
}

static int open_side(struct diagnose *d, uint32_t side, uint64_t seed, struct kl_error *err)
{
	struct kl_sighter_config config = { .side = side,
					    .seed = seed,
					    .ports = &d->ports,
					    .max_conns = d->o->capture_connections };
	struct side *s = &d->side[side];
	int r;

	if (!s->files.count)
		return 0;
	r = kl_capture_open(s->files.paths, s->files.count, &d->ports, &s->capture, err);
	if (!r)
		r = kl_ahead_open(s->capture, &s->ahead, err);
	if (!r && kl_sighter_new(&config, &s->sighter))
		r = kl_fail(err, -ENOMEM, "out of memory");
	return r;
}

static int open_all(struct diagnose *d, struct kl_error *err)
{
	const struct kl_options *o = d->o;
	bool both = o->captures[KL_ACCESS] && o->captures[KL_CUCM];
	struct kl_sessions_config sessions = {
		.max = o->capture_connections,
		.deadline_ns = o->live.deadline_ns,
		.sip_grace_ns = o->sip_grace_ns,
		.sccp_missed = o->sccp_missed,
		.two_sided = both,
		.doubts = doubt,
		.handler = take_story,
		.arg = d,
	};
	struct kl_replay_config replay = { .max_conns = o->capture_connections };
	struct kl_pair_config pair = { .max_conns = 2 * o->capture_connections,
				       .hold_ns = HOLD_NS,
				       .complete = { o->complete[KL_ACCESS],
						     o->complete[KL_CUCM] } };
	uint64_t seed;
	int r = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return kl_fail(err, -EIO, "no random seed: %s", strerror(errno));
	pair.seed = seed;
	kl_fill_ports(&d->ports, &o->live);
	for (uint32_t side = 0; !r && side < KL_SIDES; side++)
		r = open_side(d, side, seed, err);
	if (r)
		return r;
	if (kl_sessions_new(&sessions, &d->sessions) || (both && kl_pair_new(&pair, &d->pair)))
		return kl_fail(err, -ENOMEM, "out of memory");
	replay.sessions = d->sessions;
	if (kl_replay_new(&replay, &d->replay))
		return kl_fail(err, -ENOMEM, "out of memory");
	d->diagnosis.two_sided = both;
	d->diagnosis.sessions = d->sessions;
	return 0;
}

static void close_all(struct diagnose *d)
{
	kl_diagnosis_done(&d->diagnosis);
	kl_replay_free(d->replay);
	kl_pair_free(d->pair);
	kl_sessions_free(d->sessions);
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		kl_sighter_free(d->side[side].sighter);
		kl_ahead_close(d->side[side].ahead);
		kl_capture_close(d->side[side].capture);
		kl_capture_list_done(&d->side[side].files);
	}
}

static int settle_singles(struct diagnose *d)
{
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		struct kl_capture_coverage v;
		size_t loss;
		int r;

		kl_capture_coverage(d->side[side].capture, &v);
		d->diagnosis.drops_declared[side] = v.total.dropped > 0;
		r = kl_diagnosis_single(&d->diagnosis, side, &loss);
		if (r)
			return r;
		if (loss && d->o->format == KL_FORMAT_JSONL)
			report_lost(d, &d->diagnosis.lost[loss - 1]);
	}
	return d->error;
}

/* Drops of which a file told only when losses may have been judged. */
static int remark_late_drops(struct diagnose *d, uint32_t side, struct kl_capture_remarks *remarks,
			     struct kl_captures_note *ret)
{
	struct kl_capture_coverage v;
	int r = 0;

	kl_capture_coverage(d->side[side].capture, &v);
	for (size_t i = 0; !r && i < v.file_count; i++) {
		const struct kl_capture_file *file = &v.files[i];
		uint64_t late = 0;

		for (size_t k = 0; !file->drops_foretold && k < file->drop_count; k++) {
			const struct kl_capture_drop *drop = &file->drops[k];
			uint64_t from_ns = drop->from_ns ? drop->from_ns : file->first_ns;

			late += from_ns + HOLD_NS < file->last_ns ? drop->packets : 0;
		}
		r = kl_capture_remark_late(d->side[side].files.paths[i], late, remarks, ret);
	}
	return r;
}

static int report_evidence(struct diagnose *d)
{
	const struct kl_evidence *e = &d->diagnosis.evidence;
	const struct kl_report_format *f = d->report.format;
	int r = 0;

	for (size_t i = 0; !r && i < e->mac.count; i++)
		r = f->mac(&d->report, &e->mac.item[i], 0);
	for (size_t i = 0; !r && i < e->alarm.count; i++) {
		if (kl_alarm_is_unregistration(&e->alarm.item[i]))
			r = f->unregistration(&d->report, &e->alarm.item[i], 0);
	}
	return r;
}

/* All that was captured is in: what goes beside it, and what it comes to. */
static int conclude(struct diagnose *d, struct kl_error *err)
{
	size_t count = 0;
	int r = 0;

	if (d->pair) {
		kl_pair_clock(d->pair, &d->diagnosis.clock);
		kl_pair_stats(d->pair, &d->diagnosis.stats);
		if ((r = settle_singles(d)))
			return kl_fail(err, r, "%s", strerror(-r));
	}
	r = kl_evidence_read_syslog(d->o, &d->diagnosis, d->remarks, &count, err);
	if (r)
		return r;
	d->remark_count = count;
	kl_diagnosis_finish(&d->diagnosis);
	count = 0;
	r = kl_evidence_read_traces(d->o, &d->diagnosis, 0, d->remarks + d->remark_count, &count,
				    err);
	d->remark_count += count;
	return r;
}

static int report(struct diagnose *d, bool *ret_fault)
{
	struct kl_finding findings[KL_CAUSES];
	struct kl_capture_remarks remarks[KL_SIDES] = {};
	const char *file_remarks[2 * KL_FILE_REMARKS];
	struct kl_diagnosis_record record = {
		.remarks = file_remarks,
		.remark_count = d->remark_count,
		.diagnosis = &d->diagnosis,
		.findings = findings,
		.list_sessions = d->o->per_phone,
	};
	int r = 0;

	for (size_t i = 0; i < d->remark_count; i++)
		file_remarks[i] = d->remarks[i];
	record.time_ns = d->diagnosis.last_ns;
	r = kl_findings(&d->diagnosis, findings, &record.finding_count);
	if (r)
		return r;
	for (size_t i = 0; i < record.finding_count; i++)
		*ret_fault |= findings[i].fault;
	for (uint32_t side = 0; !r && side < KL_SIDES; side++) {
		if (!d->side[side].capture)
			continue;
		record.captures[side].files = d->o->captures[side];
		r = kl_capture_remark(d->side[side].capture, &remarks[side],
				      &record.captures[side]);
		if (!r)
			r = remark_late_drops(d, side, &remarks[side], &record.captures[side]);
		if (!r)
			r = kl_capture_remark_forgotten(kl_sighter_evicted(d->side[side].sighter),
							&remarks[side], &record.captures[side]);
	}
	if (!r)
		r = d->report.format->diagnosis(&d->report, &record);
	if (!r)
		r = kl_report_flush(&d->report);
	for (uint32_t side = 0; side < KL_SIDES; side++)
		kl_capture_remarks_done(&remarks[side]);
	return r;
}

static int fail(const char *text)
{
	fprintf(stderr, "kaloss diagnose: %s\n", text);
	return -EIO;
}

static int fail_to_write(const char *to, int error)
{
	fprintf(stderr, "kaloss diagnose: writing to %s: %s\n", to, strerror(-error));
	return error;
}

static int write_lost(struct diagnose *d)
{
	struct kl_write_lost from = { .diagnosis = &d->diagnosis, .ports = &d->ports };
	struct kl_error err = {};
	int r;

	for (uint32_t side = 0; side < KL_SIDES; side++) {
		from.side[side].paths = d->side[side].files.paths;
		from.side[side].count = d->side[side].files.count;
	}
	r = kl_write_lost(&from, d->lost, &err);
	if (r && err.text[0])
		return fail(err.text);
	return r ? fail_to_write(d->o->write_lost, r) : 0;
}

static int diagnose(struct diagnose *d, bool *ret_fault)
{
	struct kl_error err = {};
	int r = open_all(d, &err);

	if (!r) {
		r = read_all(d, &err);
		kl_progress_clear(&d->progress);
	}
	if (r)
		return fail(err.text);
	r = conclude(d, &err);
	if (r)
		return fail(err.text);
	r = d->o->format == KL_FORMAT_JSONL ? report_evidence(d) : 0;
	if (!r)
		r = report(d, ret_fault);
	if (r)
		return fail_to_write(d->o->output ? d->o->output : "standard output", r);
	return d->lost ? write_lost(d) : 0;
}

int kl_diagnose_captures(const struct kl_options *o)
{
	_cleanup_fclose_ FILE *file = NULL, *lost = NULL;
	struct diagnose d = { .o = o };
	struct kl_error err = {};
	bool fault = false;
	int r;

	/* A reader that goes away is an error of the write, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	r = name_files(&d, &err);
	if (r)
		r = fail(err.text);
	if (r || kl_evidence_check_files(o) || kl_diagnose_open(o->output, &file) ||
	    kl_diagnose_open(o->write_lost, &lost)) {
		close_all(&d);
		return KL_EXIT_FAILED;
	}
	d.lost = lost;
	d.report = (struct kl_report){
		.out = file ? file : stdout,
		.color = kl_wants_color(o, fileno(file ? file : stdout)),
		.format = kl_diagnose_format(o),
	};
	kl_progress_start(&d.progress, stderr);
	r = diagnose(&d, &fault);
	close_all(&d);
	if (r)
		return KL_EXIT_FAILED;
	return fault ? KL_EXIT_FOUND : KL_EXIT_OK;
}
