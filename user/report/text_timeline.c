// SPDX-License-Identifier: GPL-2.0-only
/* A diagnosis' losses and what else happened, one a line, in the order of time. */
#include <inttypes.h>
#include <time.h>

#include "core/names.h"
#include "report/moments.h"
#include "report/text.h"

enum {
	LISTED = 1000, /* of a kind: many of one do not hide the others. JSON has all */
};

#define NS_PER_S 1000000000ULL

/* The time of day to the microsecond, as in the captures' own tools. */
static const char *clock_us(uint64_t time_ns, char ret[24])
{
	time_t seconds = (time_t)(time_ns / NS_PER_S);
	struct tm tm;
	size_t n;

	if (!time_ns || !localtime_r(&seconds, &tm)) {
		snprintf(ret, 24, "-");
		return ret;
	}
	n = strftime(ret, 24, "%H:%M:%S", &tm);
	snprintf(ret + n, 24 - n, ".%06u", (unsigned)(time_ns % NS_PER_S / 1000));
	return ret;
}

static void print_loss(struct kl_report *r, const struct kl_diagnosis_record *record,
		       const struct kl_lost *l)
{
	const struct kl_diagnosis *d = record->diagnosis;
	uint64_t through_ns = l->through_ns ? l->through_ns + record->offset_ns : 0;
	struct kl_party party = { .ends = l->ends, .vlan = l->vlan, .device = l->device };
	char here[24], there[24], through[24];

	fprintf(r->out, "%-15s  ", clock_us(l->time_ns + record->offset_ns, here));
	if (!record->live)
		fprintf(r->out, "%-15s  ",
			clock_us(kl_diagnosis_other_clock(d, l->time_ns), there));
	fprintf(r->out, "%-8s %-19s %-10s %10u  ",
		l->direction == KL_TO_CUCM ? "to CUCM" : "to phone", kl_kind_name(l->kind),
		kl_where_name((enum kl_where)l->where), l->seq);
	if (!record->live)
		fprintf(r->out, "%10u  ", l->seq_other);
	fprintf(r->out, "%6u  ", l->length);
	if (!record->live)
		fprintf(r->out, "%5u  %-15s  ", l->sent_again, clock_us(through_ns, through));
	kl_text_ends(r->out, &party);
	if (l->idle_known == KL_IDLE_ALL && l->idle_ns >= KL_TEXT_IDLE_NS)
		fprintf(r->out, ", silent for %.1f s before", (double)l->idle_ns / 1e9);
	if (l->drop)
		kl_text_drop(r->out, &d->evidence.drop.item[l->drop - 1]);
	else if (d->evidence.has_drops && l->where == KL_BETWEEN)
		fprintf(r->out, ", unexplained: this kernel tells no reason");
	if (l->evidence)
		fprintf(r->out, "%s: %s", l->probable ? " (probably)" : "", l->evidence);
	fputc('\n', r->out);
}

static void print_moment(struct kl_report *r, const struct kl_diagnosis_record *record,
			 const struct kl_moment *m)
{
	char here[24];

	if (m->what == KL_MOMENT_LOSS) {
		print_loss(r, record, m->lost);
		return;
	}
	fprintf(r->out, "%-15s  ", clock_us(m->time_ns + record->offset_ns, here));
	if (m->what == KL_MOMENT_MAC)
		kl_text_mac(r->out, m->mac);
	else if (m->what == KL_MOMENT_ARP)
		kl_text_arp(r->out, m->arp);
	else
		kl_text_unregistration(r->out, m->alarm);
	fputc('\n', r->out);
}

static void print_heading(struct kl_report *r, const struct kl_diagnosis_record *record)
{
	fprintf(r->out, "\nTIMELINE\n");
	if (!record->diagnosis->lost_count)
		return;
	fprintf(r->out, "%-15s  ", record->live ? "lost at" : "access clock");
	if (!record->live)
		fprintf(r->out, "%-15s  ", "cucm clock");
	fprintf(r->out, "%-8s %-19s %-10s %10s  ", "way", "kind", "where", "seq");
	if (!record->live)
		fprintf(r->out, "%10s  ", "seq (cucm)");
	fprintf(r->out, "%6s  ", "length");
	if (!record->live)
		fprintf(r->out, "%5s  %-15s  ", "again", "got through");
	fprintf(r->out, "phone\n");
}

void kl_text_timeline(struct kl_report *r, const struct kl_diagnosis_record *record)
{
	const struct kl_diagnosis *d = record->diagnosis;
	struct kl_moment m = {};
	uint64_t told[KL_MOMENT_UNREGISTRATION + 1] = {}, left = d->lost_unlisted;
	bool any = false;

	while (kl_moment_next(d, &m)) {
		if (!any)
			print_heading(r, record);
		any = true;
		if (told[m.what]++ < LISTED)
			print_moment(r, record, &m);
		else
			left++;
	}
	if (left)
		fprintf(r->out, "and %" PRIu64 " more (--format json has %s)\n", left,
			d->lost_unlisted ? "most of them" : "them all");
}
