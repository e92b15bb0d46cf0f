// SPDX-License-Identifier: GPL-2.0-only
/*
 * A diagnosis for people: the verdict first, then the phones, then each lost segment as an engineer
 * would write it down from two captures (text_timeline.c), then what cannot be said.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "core/names.h"
#include "report/integrity.h"
#include "report/report.h"
#include "report/text.h"
#include "util/duration.h"

enum {
	LISTED = 200, /* phones; JSON has all */
};

static void print_captures(struct kl_report *r, const struct kl_diagnosis_record *d)
{
	for (__u32 side = 0; side < KL_SIDES; side++) {
		const struct kl_captures_note *n = &d->captures[side];
		char first[40], last[40];

		if (!n->files)
			continue;
		fprintf(r->out, "%-6s capture: %s: %" PRIu64 " packets, %" PRIu64 " of signalling",
			kl_side_name(side), n->files, n->packets, n->segments);
		if (n->first_ns) {
			kl_format_time(n->first_ns, first, sizeof(first));
			kl_format_time(n->last_ns, last, sizeof(last));
			fprintf(r->out, ", %s to %s", first, last);
		}
		fputc('\n', r->out);
	}
}

static void print_clocks(struct kl_report *r, const struct kl_diagnosis *d)
{
	const struct kl_pair_clock *c = &d->clock;
	double offset = (double)c->offset_ns / 1e9;

	if (!d->two_sided)
		return;
	if (!c->known) {
		fprintf(r->out, "clocks: the two captures have too little in common to compare "
				"them: nothing is called lost between them\n");
		return;
	}
	fprintf(r->out,
		"clocks: the cucm side's is %.6f s %s (+- %.6f s), and runs %.2f ppm %s (+- %.2f "
		"ppm); from %" PRIu64 " pairs\n",
		offset < 0 ? -offset : offset, offset < 0 ? "behind" : "ahead",
		(double)c->offset_error_ns / 1e9, c->drift_ppm < 0 ? -c->drift_ppm : c->drift_ppm,
		c->drift_ppm < 0 ? "slow" : "fast", c->drift_error_ppm, c->pairs);
	if (c->steps)
		fprintf(r->out, "clocks: one of them was set %u time%s meanwhile\n", c->steps,
			c->steps == 1 ? "" : "s");
}

static void print_findings(struct kl_report *r, const struct kl_diagnosis_record *d)
{
	fprintf(r->out, "VERDICT\n");
	if (!d->finding_count)
		fprintf(r->out,
			"Nothing is wrong with what was seen: no keepalive and no answer is "
			"known to be lost.\n");
	for (size_t i = 0; i < d->finding_count; i++) {
		const struct kl_finding *f = &d->findings[i];

		fprintf(r->out, "%zu. %s%s%s (%s)\n   %s\n", i + 1,
			kl_text_paint(r, f->fault ? KL_TEXT_RED : KL_TEXT_YELLOW),
			kl_cause_name(f->cause), kl_text_paint(r, KL_TEXT_PLAIN),
			kl_confidence_name(f->confidence), f->explanation);
		for (size_t e = 0; e < f->evidence_count; e++)
			fprintf(r->out, "   %s: %s.\n",
				f->evidence[e].against ? "Against it" : "Evidence",
				f->evidence[e].text);
		fprintf(r->out, "   Remedy: %s\n", f->remedy);
	}
}

struct affected {
	struct kl_report *r;
	unsigned count;
};

/* A session that lost something, or that its server gave up. */
static void print_affected(const struct kl_session *s, void *arg)
{
	struct kl_party party = { .ends = s->ends, .vlan = s->vlan, .device = s->device };
	struct affected *a = arg;
	uint32_t lost[KL_WHERES], all = 0;

	for (int w = 0; w < KL_WHERES; w++)
		all += lost[w] = s->lost[KL_TO_CUCM][w] + s->lost[KL_TO_PHONE][w];
	if (!all || a->count++ >= LISTED)
		return;
	if (a->count == 1)
		fprintf(a->r->out, "\nPHONES\n");
	kl_text_ends(a->r->out, &party);
	fprintf(a->r->out, ": %u lost (", all);
	for (int w = 0, any = 0; w < KL_WHERES; w++) {
		if (lost[w])
			fprintf(a->r->out, "%s%s %u", any++ ? ", " : "",
				kl_where_name((enum kl_where)w), lost[w]);
	}
	fprintf(a->r->out, ") of %u keepalives", s->keepalives);
	if (s->schedule.period_us)
		fprintf(a->r->out, ", one every %.1f s", (double)s->schedule.period_us / 1e6);
	if (s->closed_ns)
		fprintf(a->r->out, "; its connection ended");
	fputc('\n', a->r->out);
}

static void print_phones(struct kl_report *r, const struct kl_diagnosis *d)
{
	struct affected a = { r, 0 };

	kl_sessions_visit(d->sessions, print_affected, &a);
	if (a.count > LISTED)
		fprintf(r->out, "and %u more\n", a.count - LISTED);
}

static void print_counts(struct kl_report *r, const struct kl_diagnosis_record *record)
{
	const struct kl_diagnosis *d = record->diagnosis;
	double seconds = d->last_ns ? (double)(d->last_ns - d->first_ns) / 1e9 : 0.0;

	if (record->live)
		seconds = record->live->duration_s;
	fprintf(r->out, "\nCOUNTED\n%zu phones in %.1f s\n", d->phones, seconds);
	for (uint32_t way = 0; way < KL_DIRECTIONS; way++) {
		const struct kl_count *n = &d->total.direction[way];

		fprintf(r->out, "%-9s", way == KL_TO_CUCM ? "to CUCM" : "to phone");
		if (d->two_sided)
			fprintf(r->out,
				"%9" PRIu64 " sent = %9" PRIu64 " delivered + %7" PRIu64 " lost;",
				n->sent, n->delivered, n->lost_between);
		else
			fprintf(r->out, "%9" PRIu64 " seen;", n->sent);
		fprintf(r->out,
			" %" PRIu64 " retransmitted, %" PRIu64 " duplicates; inferred: %" PRIu64
			" lost between phone and access side, %" PRIu64 " beyond the cucm "
			"side, %" PRIu64 " of which it is not known\n",
			n->retransmitted, n->duplicates, d->inferred[way][KL_PHONE_SIDE],
			d->inferred[way][KL_CUCM_SIDE], d->inferred[way][KL_WHERE_UNKNOWN]);
	}
}

static void print_integrity(struct kl_report *r, const struct kl_diagnosis_record *d)
{
	fprintf(r->out, "\nINTEGRITY\n");
	if (!kl_integrity_words(d, kl_text_say, r->out))
		fprintf(r->out, "nothing was missed\n");
}

int kl_text_diagnosis(struct kl_report *r, const struct kl_diagnosis_record *d)
{
	print_findings(r, d);
	print_phones(r, d->diagnosis);
	kl_text_timeline(r, d);
	print_counts(r, d);
	print_integrity(r, d);
	if (!d->live) {
		print_captures(r, d);
		print_clocks(r, d->diagnosis);
	}
	if (d->list_sessions) {
		fprintf(r->out, "\nSESSIONS\n");
		kl_sessions_visit(d->diagnosis->sessions, kl_text_session, r->out);
	}
	return ferror(r->out) ? (errno ? -errno : -EIO) : 0;
}
