// SPDX-License-Identifier: GPL-2.0-only
/* A diagnosis as JSON: the document of docs/contract.md, and its parts as lines. */
#include <errno.h>
#include <string.h>

#include "core/names.h"
#include "report/json_many.h"
#include "report/json_print.h"
#include "report/json_records.h"
#include "report/moments.h"
#include "util/duration.h"

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *time_or_null(uint64_t time_ns)
{
	char time[40];

	if (!time_ns)
		return json_null();
	kl_format_time(time_ns, time, sizeof(time));
	return json_string(time);
}

json_t *kl_json_finding(uint64_t time_ns, const struct kl_finding *f)
{
	json_t *o = json_object(), *evidence = json_array();

	for (size_t i = 0; i < f->evidence_count; i++) {
		const struct kl_finding_evidence *e = &f->evidence[i];
		json_t *item = json_pack("{s:o, s:b}", "text", kl_json_text(e->text), "against",
					 e->against);

		for (size_t k = 0; k < e->figure_count; k++)
			json_object_set_new(item, e->figure[k].name, json_real(e->figure[k].value));
		json_array_append_new(evidence, item);
	}
	json_object_set_new(o, "type", json_string("finding"));
	json_object_set_new(o, "time", time_or_null(time_ns));
	json_object_set_new(o, "cause", json_string(kl_cause_name(f->cause)));
	json_object_set_new(o, "confidence", json_string(kl_confidence_name(f->confidence)));
	json_object_set_new(o, "fault", json_boolean(f->fault));
	json_object_set_new(o, "phones", number(f->phones));
	json_object_set_new(o, "losses", number(f->losses));
	json_object_set_new(o, "explanation", kl_json_text(f->explanation));
	json_object_set_new(o, "remedy", kl_json_text(f->remedy));
	json_object_set_new(o, "evidence", evidence);
	return o;
}

static json_t *direction(const struct kl_diagnosis *d, uint32_t way)
{
	const struct kl_count *n = &d->total.direction[way];
	json_t *o = json_object();

	json_object_set_new(o, "segments", number(d->total.segments[way]));
	json_object_set_new(o, "sent", number(n->sent));
	json_object_set_new(o, "delivered", d->two_sided ? number(n->delivered) : json_null());
	json_object_set_new(o, "lost_between",
			    d->two_sided ? number(n->lost_between) : json_null());
	json_object_set_new(o, "lost_phone_side", number(d->inferred[way][KL_PHONE_SIDE]));
	json_object_set_new(o, "lost_cucm_side", number(d->inferred[way][KL_CUCM_SIDE]));
	json_object_set_new(o, "lost_unknown", number(d->inferred[way][KL_WHERE_UNKNOWN]));
	json_object_set_new(o, "retransmitted", number(n->retransmitted));
	json_object_set_new(o, "duplicates", number(n->duplicates));
	json_object_set_new(o, "pending", number(0));
	return o;
}

static json_t *by_kind(const struct kl_diagnosis *d)
{
	json_t *kinds = json_object();

	for (uint32_t k = 0; k < KL_KINDS; k++) {
		json_t *kind;

		if (!d->total.kind_seen[k])
			continue;
		kind = json_object();
		for (uint32_t way = 0; way < KL_DIRECTIONS; way++) {
			const struct kl_count *n = &d->total.kind[way][k];

			json_t *o = json_object();

			json_object_set_new(o, "sent", number(n->sent));
			json_object_set_new(o, "delivered",
					    d->two_sided ? number(n->delivered) : json_null());
			json_object_set_new(o, "lost_between",
					    d->two_sided ? number(n->lost_between) : json_null());
			json_object_set_new(o, "pending", number(0));
			json_object_set_new(kind, kl_direction_name(way), o);
		}
		json_object_set_new(kinds, kl_kind_name(k), kind);
	}
	return kinds;
}

static json_t *clocks(const struct kl_diagnosis *d)
{
	const struct kl_pair_clock *c = &d->clock;

	if (!d->two_sided || !c->known)
		return json_null();
	return json_pack("{s:f, s:f, s:f, s:f, s:I, s:i}", "offset_s", (double)c->offset_ns / 1e9,
			 "offset_error_s", (double)c->offset_error_ns / 1e9, "drift_ppm",
			 c->drift_ppm, "drift_error_ppm", c->drift_error_ppm, "pairs",
			 (json_int_t)c->pairs, "steps", (int)c->steps);
}

static json_t *remarks_of(const struct kl_diagnosis_record *r)
{
	json_t *remarks = json_array();

	for (size_t i = 0; i < r->remark_count; i++)
		json_array_append_new(remarks, kl_json_text(r->remarks[i]));
	return remarks;
}

/* As watch counts it, and what could not be used. */
static json_t *live_integrity(const struct kl_diagnosis_record *r)
{
	json_t *o = kl_json_integrity(&r->diagnosis->total.integrity);

	json_object_set_new(o, "losses_unlisted", number(r->diagnosis->lost_unlisted));
	json_object_set_new(o, "remarks", remarks_of(r));
	return o;
}

static json_t *captures_integrity(const struct kl_diagnosis_record *r)
{
	const struct kl_diagnosis *d = r->diagnosis;
	json_t *o = json_object(), *by = json_object(), *captures = json_object();

	for (uint32_t i = 1; i < KL_PAIR_REASONS && d->two_sided; i++)
		json_object_set_new(by, kl_pair_reason_name(i), number(d->stats.reasons[i]));
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		const struct kl_captures_note *n = &r->captures[side];
		json_t *c, *remarks;

		if (!n->files)
			continue;
		c = json_object();
		remarks = json_array();
		for (size_t i = 0; i < n->remark_count; i++)
			json_array_append_new(remarks, kl_json_text(n->remarks[i]));
		json_object_set_new(c, "files", kl_json_text(n->files));
		json_object_set_new(c, "packets", number(n->packets));
		json_object_set_new(c, "segments", number(n->segments));
		json_object_set_new(c, "first", time_or_null(n->first_ns));
		json_object_set_new(c, "last", time_or_null(n->last_ns));
		json_object_set_new(c, "dropped", number(n->dropped));
		json_object_set_new(c, "dropped_late", number(n->dropped_late));
		json_object_set_new(c, "cut", number(n->cut));
		json_object_set_new(c, "malformed", number(n->malformed));
		json_object_set_new(c, "fragments", number(n->fragments));
		json_object_set_new(c, "back_steps", number(n->back_steps));
		json_object_set_new(c, "remarks", remarks);
		json_object_set_new(captures, kl_side_name(side), c);
	}
	json_object_set_new(o, "unpaired", number(d->total.integrity.unpaired));
	json_object_set_new(o, "unpaired_by", by);
	json_object_set_new(o, "inferred_unsure", number(d->inferred_unsure));
	json_object_set_new(o, "losses_unlisted", number(d->lost_unlisted));
	json_object_set_new(o, "captures", captures);
	json_object_set_new(o, "remarks", remarks_of(r));
	return o;
}

json_t *kl_json_diagnosis_integrity(const struct kl_diagnosis_record *r)
{
	return r->live ? live_integrity(r) : captures_integrity(r);
}

static uint64_t mac_flushes(const struct kl_evidence *e)
{
	uint64_t count = 0;

	for (size_t i = 0; i < e->mac.count; i++)
		count += e->mac.item[i].happening == KL_MAC_AGED ||
			 e->mac.item[i].happening == KL_MAC_FLUSHED;
	return count;
}

static json_t *live_summary(const struct kl_diagnosis_record *r)
{
	const struct kl_diagnosis *d = r->diagnosis;
	struct kl_report_tick tick = {
		.time_ns = r->time_ns,
		.interval_s = r->live->duration_s,
		.phones = d->phones,
		.tally = &d->total,
		.mac_flushes = mac_flushes(&d->evidence),
		.mac_flushes_known = d->evidence.has_bridge || d->evidence.has_snmp ||
				     d->evidence.has_syslog,
	};

	memcpy(tick.inferred, d->inferred, sizeof(tick.inferred));
	return kl_json_summary(&tick);
}

static json_t *captures_summary(const struct kl_diagnosis_record *r)
{
	const struct kl_diagnosis *d = r->diagnosis;
	json_t *o = json_object();

	json_object_set_new(o, "type", json_string("summary"));
	json_object_set_new(o, "time", time_or_null(r->time_ns));
	json_object_set_new(o, "duration_s",
			    json_real(d->last_ns ? (double)(d->last_ns - d->first_ns) / 1e9 : 0));
	json_object_set_new(o, "phones", number(d->phones));
	for (uint32_t way = 0; way < KL_DIRECTIONS; way++)
		json_object_set_new(o, kl_direction_name(way), direction(d, way));
	json_object_set_new(o, "by_kind", by_kind(d));
	json_object_set_new(o, "clocks", clocks(d));
	return o;
}

json_t *kl_json_diagnosis_summary(const struct kl_diagnosis_record *r)
{
	return r->live ? live_summary(r) : captures_summary(r);
}

/* ---- The document ---- */

enum {
	WRITTEN_AT_ONCE = 1 << 16
};

/*
 * Of a day there may be tens of thousands of sessions and losses: each has a line of its own, and no
 * more of them wait to be written than make it quick.
 */
struct document {
	const struct kl_diagnosis_record *record;
	FILE *out;
	struct kl_json_line lines;
	bool begun; /* the list has an item already */
	int error;
};

static void put_text(struct document *doc, const char *text)
{
	if (!doc->error && fputs(text, doc->out) == EOF)
		doc->error = errno ? -errno : -EIO;
}

static void put(struct document *doc, json_t *value, size_t flags)
{
	int r = kl_json_put(value, doc->out, flags | JSON_REAL_PRECISION(15));

	if (!doc->error)
		doc->error = r;
}

static void write_lines(struct document *doc)
{
	int r = kl_json_line_write(&doc->lines, doc->out);

	if (!doc->error)
		doc->error = r;
}

static void begin_item(struct document *doc)
{
	if (doc->lines.length >= WRITTEN_AT_ONCE)
		write_lines(doc);
	kl_json_between(&doc->lines, doc->begun ? ",\n    " : "\n    ");
	doc->begun = true;
}

static void put_item(struct document *doc, json_t *item)
{
	begin_item(doc);
	write_lines(doc);
	put(doc, item, 0);
}

static void begin_list(struct document *doc, const char *name)
{
	put_text(doc, ",\n  \"");
	put_text(doc, name);
	put_text(doc, "\": [");
	doc->begun = false;
}

static void end_list(struct document *doc)
{
	write_lines(doc);
	put_text(doc, doc->begun ? "\n  ]" : "]");
}

static void put_session(const struct kl_session *session, void *arg)
{
	struct document *doc = arg;

	begin_item(doc);
	kl_json_put_session(&doc->lines, session);
}

/* In the order of their times. */
static void put_timeline(struct document *doc)
{
	const struct kl_diagnosis_record *r = doc->record;
	struct kl_moment m = {};

	while (!doc->error && kl_moment_next(r->diagnosis, &m)) {
		switch (m.what) {
		case KL_MOMENT_LOSS:
			begin_item(doc);
			kl_json_put_lost(&doc->lines, r, m.lost);
			break;
		case KL_MOMENT_MAC:
			put_item(doc, kl_json_mac(m.mac, r->offset_ns));
			break;
		case KL_MOMENT_ARP:
			put_item(doc, kl_json_arp(m.arp, r->offset_ns));
			break;
		case KL_MOMENT_UNREGISTRATION:
			put_item(doc, kl_json_unregistration(m.alarm, r->offset_ns));
			break;
		}
	}
}

static int json_diagnosis(struct kl_report *r, const struct kl_diagnosis_record *d)
{
	struct document doc = { .record = d, .out = r->out, .lines.readable = true };

	put_text(&doc, "{\n  \"summary\": ");
	put(&doc, kl_json_diagnosis_summary(d), JSON_INDENT(2));
	begin_list(&doc, "findings");
	for (size_t i = 0; i < d->finding_count; i++)
		put_item(&doc, kl_json_finding(d->time_ns, &d->findings[i]));
	end_list(&doc);
	begin_list(&doc, "phones");
	kl_sessions_visit(d->diagnosis->sessions, put_session, &doc);
	end_list(&doc);
	begin_list(&doc, "timeline");
	put_timeline(&doc);
	end_list(&doc);
	put_text(&doc, ",\n  \"integrity\": ");
	put(&doc, kl_json_diagnosis_integrity(d), JSON_INDENT(2));
	put_text(&doc, "\n}\n");
	kl_json_line_done(&doc.lines);
	return doc.error;
}

const struct kl_report_format kl_report_json = {
	.diagnosis = json_diagnosis,
};
