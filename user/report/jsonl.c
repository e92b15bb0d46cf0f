// SPDX-License-Identifier: GPL-2.0-only
/* One JSON object a line. */
#include <errno.h>

#include "report/json_many.h"
#include "report/json_print.h"
#include "report/json_records.h"

enum {
	FLAGS = JSON_COMPACT | JSON_REAL_PRECISION(9)
};

static int emit(struct kl_report *r, json_t *record)
{
	return kl_json_print(record, r->out, FLAGS);
}

static int emit_line(struct kl_report *r, struct kl_json_line *line)
{
	int error = kl_json_line_write(line, r->out);

	kl_json_line_done(line);
	if (!error && fputc('\n', r->out) == EOF)
		error = errno ? -errno : -EIO;
	return error;
}

static void add_session(const struct kl_session *s, void *arg)
{
	kl_json_put_session(arg, s);
}

/* The summary, with the sessions one by one; NULL: without. */
static int emit_summary(struct kl_report *r, json_t *summary, const struct kl_sessions *sessions)
{
	struct kl_json_line line = {};

	if (!sessions)
		return emit(r, summary);
	kl_json_continue(&line, summary, FLAGS);
	kl_json_open(&line, "sessions", '[');
	kl_sessions_visit(sessions, add_session, &line);
	kl_json_close(&line, ']');
	kl_json_close(&line, '}');
	return emit_line(r, &line);
}

static int jsonl_tick(struct kl_report *r, const struct kl_report_tick *t)
{
	return emit(r, kl_json_tick(t));
}

static int jsonl_loss(struct kl_report *r, const struct kl_loss *l)
{
	struct kl_json_line line = {};

	kl_json_put_loss(&line, l);
	return emit_line(r, &line);
}

static int jsonl_retransmission(struct kl_report *r, const struct kl_retransmission *t)
{
	return emit(r, kl_json_retransmission(t));
}

static int jsonl_session(struct kl_report *r, const struct kl_session_record *s)
{
	return emit(r, kl_json_session(s));
}

static int jsonl_forecast(struct kl_report *r, const struct kl_forecast_record *f)
{
	return emit(r, kl_json_forecast(f));
}

static int jsonl_mac(struct kl_report *r, const struct kl_mac_evidence *m, uint64_t offset_ns)
{
	return emit(r, kl_json_mac(m, offset_ns));
}

static int jsonl_arp(struct kl_report *r, const struct kl_arp_conflict *c, uint64_t offset_ns)
{
	return emit(r, kl_json_arp(c, offset_ns));
}

static int jsonl_unregistration(struct kl_report *r, const struct kl_alarm *a, uint64_t offset_ns)
{
	return emit(r, kl_json_unregistration(a, offset_ns));
}

static int jsonl_dropped(struct kl_report *r, const struct kl_dropped_records *d)
{
	return emit(r, kl_json_dropped(d));
}

static int jsonl_summary(struct kl_report *r, const struct kl_report_tick *t)
{
	return emit_summary(r, kl_json_summary(t), t->sessions);
}

/* The records came before; here is the verdict. */
static int jsonl_diagnosis(struct kl_report *r, const struct kl_diagnosis_record *d)
{
	json_t *summary;
	int error = 0;

	for (size_t i = 0; !error && i < d->finding_count; i++)
		error = emit(r, kl_json_finding(d->time_ns, &d->findings[i]));
	if (error)
		return error;
	summary = kl_json_diagnosis_summary(d);
	json_object_set_new(summary, "integrity", kl_json_diagnosis_integrity(d));
	return emit_summary(r, summary, d->list_sessions ? d->diagnosis->sessions : NULL);
}

const struct kl_report_format kl_report_jsonl = {
	.tick = jsonl_tick,
	.loss = jsonl_loss,
	.retransmission = jsonl_retransmission,
	.session = jsonl_session,
	.forecast = jsonl_forecast,
	.mac = jsonl_mac,
	.arp = jsonl_arp,
	.unregistration = jsonl_unregistration,
	.dropped = jsonl_dropped,
	.summary = jsonl_summary,
	.diagnosis = jsonl_diagnosis,
};
