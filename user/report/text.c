// SPDX-License-Identifier: GPL-2.0-only
/*
 * For people at a terminal: one line a tick like vmstat's, a line for each loss as it is found, and
 * a summary that ends with what cannot be said.
 */
#include "report/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "core/names.h"
#include "report/integrity.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	HEADER_EVERY = 20
};

const char *kl_text_paint(const struct kl_report *r, const char *color)
{
	return r->color ? color : "";
}

static int done(const struct kl_report *r)
{
	return ferror(r->out) ? (errno ? -errno : -EIO) : 0;
}

static void clock_text(uint64_t time_ns, char *ret, size_t size)
{
	time_t seconds = (time_t)(time_ns / KL_NS_PER_S);
	struct tm tm;

	ret[0] = '\0';
	if (localtime_r(&seconds, &tm))
		strftime(ret, size, "%H:%M:%S", &tm);
}

static void header(struct kl_report *r)
{
	if (r->lines++ % HEADER_EVERY)
		return;
	fprintf(r->out,
		"%s                 ---------- to CUCM ----------  ---------- to phone ---------"
		"  ---- both ----  transit us%s\n",
		kl_text_paint(r, KL_TEXT_DIM), kl_text_paint(r, KL_TEXT_PLAIN));
	fprintf(r->out,
		"%s    time  phones     sent    deliv    lost pend     sent    deliv    lost pend"
		"  retran    dup    p50    p99  unpaired%s\n",
		kl_text_paint(r, KL_TEXT_DIM), kl_text_paint(r, KL_TEXT_PLAIN));
}

static void print_direction(const struct kl_report *r, const struct kl_count *n)
{
	fprintf(r->out, " %8" PRIu64 " %8" PRIu64, n->sent, n->delivered);
	fprintf(r->out, " %s%7" PRIu64 "%s", n->lost_between ? kl_text_paint(r, KL_TEXT_RED) : "",
		n->lost_between, n->lost_between ? kl_text_paint(r, KL_TEXT_PLAIN) : "");
	fprintf(r->out, " %4" PRIu64, n->pending);
}

static void print_time(const struct kl_report *r, const struct kl_times *t, uint64_t us)
{
	if (t->count)
		fprintf(r->out, " %6" PRIu64, us);
	else
		fprintf(r->out, " %6s", "-");
}

static int text_tick(struct kl_report *r, const struct kl_report_tick *t)
{
	const struct kl_tally_report *n = t->tally;
	const struct kl_count *c = &n->direction[KL_TO_CUCM], *p = &n->direction[KL_TO_PHONE];
	char now[16];

	header(r);
	clock_text(t->time_ns, now, sizeof(now));
	fprintf(r->out, "%s %7zu", now, t->phones);
	print_direction(r, c);
	print_direction(r, p);
	fprintf(r->out, " %7" PRIu64 " %6" PRIu64, c->retransmitted + p->retransmitted,
		c->duplicates + p->duplicates);
	print_time(r, &n->transit, n->transit.p50_us);
	print_time(r, &n->transit, n->transit.p99_us);
	fprintf(r->out, " %s%9" PRIu64 "%s\n",
		n->integrity.unpaired ? kl_text_paint(r, KL_TEXT_YELLOW) : "",
		n->integrity.unpaired,
		n->integrity.unpaired ? kl_text_paint(r, KL_TEXT_PLAIN) : "");
	return done(r);
}

void kl_text_ends(FILE *out, const struct kl_party *p)
{
	const char *left = p->ends.family == 6 ? "[" : "", *right = p->ends.family == 6 ? "]" : "";
	char phone[KL_ADDRESS_TEXT], cucm[KL_ADDRESS_TEXT];

	kl_format_address(p->ends.family, p->ends.phone, phone);
	kl_format_address(p->ends.family, p->ends.cucm, cucm);
	if (p->device && p->device[0])
		fprintf(out, "%s ", p->device);
	fprintf(out, "%s%s%s:%u, cucm %s%s%s:%u", left, phone, right, p->ends.phone_port, left,
		cucm, right, p->ends.cucm_port);
	if (p->vlan)
		fprintf(out, ", vlan %u", p->vlan);
}

static const char *way(__u32 direction)
{
	return direction == KL_TO_CUCM ? "to CUCM" : "to phone";
}

static int text_loss(struct kl_report *r, const struct kl_loss *l)
{
	static const char *const where[] = {
		[KL_BETWEEN] = "",
		[KL_PHONE_SIDE] = " between phone and access side",
		[KL_CUCM_SIDE] = " beyond the cucm side",
		[KL_WHERE_UNKNOWN] = ", or its acknowledgement,",
	};
	char now[16];

	clock_text(l->time_ns, now, sizeof(now));
	fprintf(r->out, "%s %sLOST%s%s%s %s %s: phone ", now, kl_text_paint(r, KL_TEXT_RED),
		kl_text_paint(r, KL_TEXT_PLAIN), l->party.probable ? " (probably)" : "",
		where[l->where], kl_kind_name(l->kind), way(l->direction));
	kl_text_ends(r->out, &l->party);
	fprintf(r->out, ", seq %u, length %u", l->seq, l->length);
	if (l->evidence)
		fprintf(r->out, ": %s", l->evidence);
	else
		fprintf(r->out, ", copies seen: access %u, cucm %u", l->copies[KL_ACCESS],
			l->copies[KL_CUCM]);
	if (l->idle_known == KL_IDLE_ALL && l->idle_ns >= KL_TEXT_IDLE_NS)
		fprintf(r->out, ", the phone had been silent for %.1f s", (double)l->idle_ns / 1e9);
	if (l->drop)
		kl_text_drop(r->out, l->drop);
	if (l->unexplained)
		fprintf(r->out, ", unexplained: this kernel tells no reason");
	fputc('\n', r->out);
	return done(r);
}

void kl_text_drop(FILE *out, const struct kl_drop *d)
{
	fprintf(out, ", dropped by this kernel: %s", d->reason);
	if (d->symbol[0])
		fprintf(out, " in %s", d->symbol);
	if (d->interface[0])
		fprintf(out, ", %s", d->interface);
}

void kl_text_mac(FILE *out, const struct kl_mac_evidence *m)
{
	static const char *const says[KL_MAC_HAPPENINGS] = {
		[KL_MAC_LEARNED] = "learned",
		[KL_MAC_MOVED] = "moved",
		[KL_MAC_AGED] = "aged out",
		[KL_MAC_FLUSHED] = "removed",
		[KL_MAC_TOPOLOGY_CHANGE] = "topology change",
		[KL_MAC_VIOLATION] = "port security violation",
	};
	char mac[KL_MAC_TEXT];

	kl_format_mac(m->mac, mac);
	fprintf(out, "MAC %s%s%s", m->has_mac ? mac : "", m->has_mac ? " " : "",
		says[m->happening]);
	if (m->from_port[0])
		fprintf(out, " from %s", m->from_port);
	if (m->port[0])
		fprintf(out, "%s %s", m->from_port[0] ? " to" : ", port", m->port);
	if (m->vlan)
		fprintf(out, ", vlan %u", m->vlan);
	if (m->silent_ms)
		fprintf(out, ", silent for %.1f s", m->silent_ms / 1e3);
	fprintf(out, " (%s%s%s)", kl_mac_source_name((enum kl_mac_source)m->source),
		m->told_by[0] ? " " : "", m->told_by);
}

void kl_text_arp(FILE *out, const struct kl_arp_conflict *c)
{
	char ip[KL_ADDRESS_TEXT], mac[KL_MAC_TEXT];

	kl_format_address(c->address.family, c->address.word, ip);
	fprintf(out, "ARP: %s is claimed by", ip);
	for (unsigned i = 0; i < c->mac_count; i++) {
		kl_format_mac(c->mac[i], mac);
		fprintf(out, "%s %s", i ? " and" : "", mac);
	}
	kl_format_mac(c->mac[c->first], mac);
	fprintf(out, "; %s answered first", mac);
}

void kl_text_unregistration(FILE *out, const struct kl_alarm *a)
{
	char ip[KL_ADDRESS_TEXT] = "";

	if (a->address.family)
		kl_format_address(a->address.family, a->address.word, ip);
	fprintf(out, "CUCM: %s %s%s%s", a->name, a->device, a->device[0] && ip[0] ? " " : "", ip);
	if (a->reason_name[0])
		fprintf(out, ": %s", a->reason_name);
	if (a->matched_loss)
		fprintf(out, "; it lost keepalives before");
	else
		fprintf(out, "; no loss of it is known before");
}

static void print_clock(struct kl_report *r, uint64_t time_ns, const char *color)
{
	char now[16];

	clock_text(time_ns, now, sizeof(now));
	fprintf(r->out, "%s %s", now, kl_text_paint(r, color));
}

static int end_line(struct kl_report *r)
{
	fprintf(r->out, "%s\n", kl_text_paint(r, KL_TEXT_PLAIN));
	return done(r);
}

static int text_mac(struct kl_report *r, const struct kl_mac_evidence *m, uint64_t offset_ns)
{
	print_clock(r, m->time_ns + offset_ns,
		    m->happening == KL_MAC_LEARNED ? KL_TEXT_DIM : KL_TEXT_YELLOW);
	kl_text_mac(r->out, m);
	return end_line(r);
}

static int text_arp(struct kl_report *r, const struct kl_arp_conflict *c, uint64_t offset_ns)
{
	print_clock(r, c->time_ns + offset_ns, KL_TEXT_RED);
	kl_text_arp(r->out, c);
	return end_line(r);
}

static int text_unregistration(struct kl_report *r, const struct kl_alarm *a, uint64_t offset_ns)
{
	print_clock(r, a->time_ns + offset_ns, KL_TEXT_RED);
	kl_text_unregistration(r->out, a);
	return end_line(r);
}

static int text_retransmission(struct kl_report *r, const struct kl_retransmission *t)
{
	char now[16];

	if (!t->remark)
		return 0; /* counted in the ticks */
	clock_text(t->time_ns, now, sizeof(now));
	fprintf(r->out, "%s %ssent again%s %s %s: phone ", now, kl_text_paint(r, KL_TEXT_YELLOW),
		kl_text_paint(r, KL_TEXT_PLAIN), kl_kind_name(t->kind), way(t->direction));
	kl_text_ends(r->out, &t->party);
	fprintf(r->out, ", copy %u after %.0f ms: %s\n", t->copy,
		(double)(t->gap_ns ? t->gap_ns : t->rto_ns) / 1e6, t->remark);
	return done(r);
}

static int text_session(struct kl_report *r, const struct kl_session_record *s)
{
	static const char *const how[] = { "", " with FIN", " with RST", ": it fell silent" };
	char now[16];

	if (s->event != KL_STORY_STOP || s->by != KL_BY_CUCM)
		return 0; /* counted in the ticks */
	clock_text(s->time_ns, now, sizeof(now));
	fprintf(r->out, "%s %sclosed by the CUCM%s%s: phone ", now,
		kl_text_paint(r, KL_TEXT_YELLOW), kl_text_paint(r, KL_TEXT_PLAIN), how[s->how]);
	kl_text_ends(r->out, &s->party);
	fputc('\n', r->out);
	return done(r);
}

static int text_forecast(struct kl_report *r, const struct kl_forecast_record *f)
{
	static const char *const says[] = {
		"will be unregistered at %s",
		"will be unregistered at %s, not when was said before",
		"will not be unregistered at %s",
		"was unregistered, as forecast for %s",
		"should have been unregistered at %s",
	};
	bool bad = f->state != KL_FORECAST_WITHDRAWN && f->state != KL_FORECAST_DID_NOT;
	char now[16], at[16];

	clock_text(f->time_ns, now, sizeof(now));
	clock_text(f->at_ns, at, sizeof(at));
	fprintf(r->out, "%s %sFORECAST%s phone ", now,
		kl_text_paint(r, bad ? KL_TEXT_RED : KL_TEXT_YELLOW),
		kl_text_paint(r, KL_TEXT_PLAIN));
	kl_text_ends(r->out, &f->party);
	fputc(' ', r->out);
	fprintf(r->out, says[f->state], at);
	fprintf(r->out, ": %s\n", f->because);
	return done(r);
}

static int text_dropped(struct kl_report *r, const struct kl_dropped_records *d)
{
	char now[16], from[16], to[16];

	clock_text(d->time_ns, now, sizeof(now));
	clock_text(d->from_ns, from, sizeof(from));
	clock_text(d->to_ns, to, sizeof(to));
	fprintf(r->out,
		"%s %sDROPPED%s %" PRIu64 " records from %s to %s, which nobody read in time; what "
		"was in them is counted all the same\n",
		now, kl_text_paint(r, KL_TEXT_YELLOW), kl_text_paint(r, KL_TEXT_PLAIN), d->records,
		from, to);
	return done(r);
}

static void print_total(struct kl_report *r, const char *name, const struct kl_count *n)
{
	fprintf(r->out,
		"%-9s %9" PRIu64 " sent = %9" PRIu64 " delivered + %s%7" PRIu64
		" lost%s + %4" PRIu64 " pending; %" PRIu64 " retransmitted, %" PRIu64 " duplicates",
		name, n->sent, n->delivered, n->lost_between ? kl_text_paint(r, KL_TEXT_RED) : "",
		n->lost_between, n->lost_between ? kl_text_paint(r, KL_TEXT_PLAIN) : "", n->pending,
		n->retransmitted, n->duplicates);
	if (n->sent)
		fprintf(r->out, "; %.3f %% lost",
			100.0 * (double)n->lost_between / (double)n->sent);
	fputc('\n', r->out);
}

static void print_kinds(struct kl_report *r, const struct kl_tally_report *n)
{
	for (__u32 k = 0; k < KL_KINDS; k++) {
		for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
			const struct kl_count *c = &n->kind[d][k];

			if (c->sent)
				fprintf(r->out,
					"  %-20s %-8s %9" PRIu64 " sent, %9" PRIu64
					" delivered, %7" PRIu64 " lost\n",
					kl_kind_name(k), way(d), c->sent, c->delivered,
					c->lost_between);
		}
	}
}

void kl_text_say(bool not_counted, const char *sentence, void *arg)
{
	fprintf(arg, "%s: %s\n", not_counted ? "not counted" : "note", sentence);
}

/* Losses outside the two interfaces are inferred, and so kept apart from what was measured. */
static void print_inferred(struct kl_report *r, const struct kl_report_tick *t)
{
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		const uint64_t *n = t->inferred[d];

		if (!n[KL_PHONE_SIDE] && !n[KL_CUCM_SIDE] && !n[KL_WHERE_UNKNOWN])
			continue;
		fprintf(r->out,
			"%-9s inferred: %s%" PRIu64 " lost%s between phone and access side, "
			"%" PRIu64 " beyond the cucm side, %" PRIu64 " of which it is not known "
			"(they or their acknowledgements)\n",
			way(d), kl_text_paint(r, KL_TEXT_RED), n[KL_PHONE_SIDE],
			kl_text_paint(r, KL_TEXT_PLAIN), n[KL_CUCM_SIDE], n[KL_WHERE_UNKNOWN]);
	}
}

void kl_text_session(const struct kl_session *s, void *arg)
{
	struct kl_party party = { .ends = s->ends, .vlan = s->vlan, .device = s->device };
	const struct kl_answers *a = &s->answers;
	FILE *out = arg;

	kl_text_ends(out, &party);
	fprintf(out, ": %s", kl_role_name((enum kl_role)s->role));
	if (s->kind)
		fprintf(out, ", %u %s%s", s->keepalives, kl_kind_name(s->kind),
			s->probable ? " (probably)" : "");
	if (s->schedule.period_us)
		fprintf(out, " every %.3f s (jitter %.0f ms)", (double)s->schedule.period_us / 1e6,
			s->schedule.jitter_us / 1e3);
	fprintf(out,
		"; answered %u, only acknowledged %u, neither %u; sent again %u to CUCM, %u to "
		"phone; lost",
		s->answered, s->acknowledged_only, s->unacknowledged,
		s->retransmissions[KL_TO_CUCM], s->retransmissions[KL_TO_PHONE]);
	for (int w = 0; w < KL_WHERES; w++)
		fprintf(out, "%s %s %u", w ? "," : "", kl_where_name((enum kl_where)w),
			s->lost[KL_TO_CUCM][w] + s->lost[KL_TO_PHONE][w]);
	if (a->count)
		fprintf(out,
			"; answers take %.1f ms on average, 99 %% within %.1f ms, at most "
			"%.1f ms",
			a->mean_us / 1e3, kl_answers_quantile(a, 0.99) / 1e3, a->max_us / 1e3);
	if (kl_answers_too_fluctuating(a))
		fprintf(out,
			"; normal failover would have left a server that was there %u times, "
			"delayed failover %u times",
			a->normal_gives_up, a->delayed_gives_up);
	if (s->failure[0])
		fprintf(out, "; the phone says of its last failure: %s", s->failure);
	fputc('\n', out);
}

static int text_summary(struct kl_report *r, const struct kl_report_tick *t)
{
	const struct kl_tally_report *n = t->tally;

	fprintf(r->out, "\n%.1f s, %zu phones\n", t->interval_s, t->phones);
	print_total(r, "to CUCM", &n->direction[KL_TO_CUCM]);
	print_total(r, "to phone", &n->direction[KL_TO_PHONE]);
	print_kinds(r, n);
	print_inferred(r, t);
	if (n->transit.count)
		fprintf(r->out,
			"transit through this host: median %" PRIu64 " us, 99 %% within %" PRIu64
			" us, at most %.1f us\n",
			n->transit.p50_us, n->transit.p99_us, (double)n->transit.max_ns / 1e3);
	if (n->answer.count)
		fprintf(r->out,
			"answer to a keepalive: median %.3f ms, 99 %% within %.3f ms, at most %.3f "
			"ms\n",
			(double)n->answer.p50_us / 1e3, (double)n->answer.p99_us / 1e3,
			(double)n->answer.max_ns / 1e6);
	if (!n->direction[KL_TO_CUCM].sent && !n->direction[KL_TO_PHONE].sent)
		fprintf(r->out, "no keepalive crossed both sides: nothing can be said\n");
	if (!kl_integrity_live(&n->integrity, kl_text_say, r->out))
		fprintf(r->out, "integrity: nothing was missed\n");
	if (t->sessions) {
		fprintf(r->out, "\nsessions:\n");
		kl_sessions_visit(t->sessions, kl_text_session, r->out);
	}
	return done(r);
}

const struct kl_report_format kl_report_text = {
	.tick = text_tick,
	.loss = text_loss,
	.retransmission = text_retransmission,
	.session = text_session,
	.forecast = text_forecast,
	.mac = text_mac,
	.arp = text_arp,
	.unregistration = text_unregistration,
	.dropped = text_dropped,
	.summary = text_summary,
	.diagnosis = kl_text_diagnosis,
};
