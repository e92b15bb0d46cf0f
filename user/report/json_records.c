// SPDX-License-Identifier: GPL-2.0-only
#include "report/json_records.h"

#include <string.h>

#include "core/names.h"
#include "util/cleanup.h"
#include "util/duration.h"

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *kl_json_text(const char *text)
{
	json_t *ret = json_string(text);
	_cleanup_free_ char *copy = ret ? NULL : strdup(text);

	for (char *p = copy; p && *p; p++)
		*p = *p & 0x80 ? '?' : *p;
	return ret ?: json_string(copy ?: "?");
}

static json_t *text_or_null(const char *text)
{
	return text && text[0] ? kl_json_text(text) : json_null();
}

static json_t *ms_or_null(uint64_t ns)
{
	return ns ? json_real((double)ns / 1e6) : json_null();
}

static json_t *record(const char *type, uint64_t time_ns)
{
	char time[40];

	kl_format_time(time_ns, time, sizeof(time));
	return json_pack("{s:s, s:s}", "type", type, "time", time);
}

static json_t *times_us(const struct kl_times *t)
{
	if (!t->count)
		return json_pack("{s:n, s:n, s:n}", "p50", "p99", "max");
	return json_pack("{s:I, s:I, s:f}", "p50", (json_int_t)t->p50_us, "p99",
			 (json_int_t)t->p99_us, "max", (double)t->max_ns / 1e3);
}

static json_t *times_ms(const struct kl_times *t)
{
	if (!t->count)
		return json_pack("{s:n, s:n, s:n}", "p50", "p99", "max");
	return json_pack("{s:f, s:f, s:f}", "p50", (double)t->p50_us / 1e3, "p99",
			 (double)t->p99_us / 1e3, "max", (double)t->max_ns / 1e6);
}

static json_t *direction(const struct kl_report_tick *tick, int d)
{
	const struct kl_tally_report *t = tick->tally;
	const struct kl_count *n = &t->direction[d];
	json_t *o = json_object();

	json_object_set_new(o, "segments", number(t->segments[d]));
	json_object_set_new(o, "sent", number(n->sent));
	json_object_set_new(o, "delivered", number(n->delivered));
	json_object_set_new(o, "lost_between", number(n->lost_between));
	json_object_set_new(o, "lost_phone_side", number(tick->inferred[d][KL_PHONE_SIDE]));
	json_object_set_new(o, "lost_cucm_side", number(tick->inferred[d][KL_CUCM_SIDE]));
	json_object_set_new(o, "lost_unknown", number(tick->inferred[d][KL_WHERE_UNKNOWN]));
	json_object_set_new(o, "retransmitted", number(n->retransmitted));
	json_object_set_new(o, "duplicates", number(n->duplicates));
	json_object_set_new(o, "pending", number(n->pending));
	return o;
}

static json_t *by_kind(const struct kl_tally_report *t)
{
	json_t *kinds = json_object();

	for (int k = 0; k < KL_KINDS; k++) {
		json_t *kind;

		if (!t->kind_seen[k])
			continue;
		kind = json_object();
		for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
			const struct kl_count *n = &t->kind[d][k];
			json_t *o = json_object();

			json_object_set_new(o, "sent", number(n->sent));
			json_object_set_new(o, "delivered", number(n->delivered));
			json_object_set_new(o, "lost_between", number(n->lost_between));
			json_object_set_new(o, "pending", number(n->pending));
			json_object_set_new(kind, kl_direction_name(d), o);
		}
		json_object_set_new(kinds, kl_kind_name((__u32)k), kind);
	}
	return kinds;
}

json_t *kl_json_integrity(const struct kl_integrity *n)
{
	json_t *o = json_object(), *by = json_object();

	json_object_set_new(o, "events_lost", number(n->events_lost));
	json_object_set_new(o, "join_full", number(n->join_full));
	json_object_set_new(o, "flows_evicted", number(n->flows_evicted));
	json_object_set_new(o, "unpaired", number(n->unpaired));
	json_object_set_new(o, "malformed", number(n->malformed));
	json_object_set_new(o, "fragments", number(n->fragments));
	json_object_set_new(o, "late", number(n->late));
	json_object_set_new(o, "collisions", number(n->collisions));
	json_object_set_new(o, "gaps", number(n->gaps));
	json_object_set_new(o, "missing_ms", number(n->missing_ms));
	json_object_set_new(o, "one_way", number(n->one_way));
	json_object_set_new(o, "wrong_way_access", number(n->wrong_way[KL_ACCESS]));
	json_object_set_new(o, "wrong_way_cucm", number(n->wrong_way[KL_CUCM]));
	json_object_set_new(o, "records_dropped", number(n->records_dropped));
	for (__u32 i = KL_LOST + 1; i < KL_FATES; i++)
		json_object_set_new(by, kl_fate_name(i), number(n->unpaired_by[i]));
	json_object_set_new(o, "unpaired_by", by);
	return o;
}

static void set_tally(json_t *o, const struct kl_report_tick *tick)
{
	const struct kl_tally_report *t = tick->tally;

	for (__u32 d = 0; d < KL_DIRECTIONS; d++)
		json_object_set_new(o, kl_direction_name(d), direction(tick, (int)d));
	json_object_set_new(o, "by_kind", by_kind(t));
	json_object_set_new(o, "transit_us", times_us(&t->transit));
	json_object_set_new(o, "rtt_ms", times_ms(&t->answer));
	json_object_set_new(o, "mac_flushes",
			    tick->mac_flushes_known ? number(tick->mac_flushes) : json_null());
	json_object_set_new(o, "integrity", kl_json_integrity(&t->integrity));
}

json_t *kl_json_tick(const struct kl_report_tick *t)
{
	json_t *o = record("tick", t->time_ns);

	json_object_set_new(o, "interval_s", json_real(t->interval_s));
	json_object_set_new(o, "phones", number(t->phones));
	set_tally(o, t);
	return o;
}

static void set_party(json_t *o, const struct kl_party *p)
{
	char phone[KL_ADDRESS_TEXT], cucm[KL_ADDRESS_TEXT], mac[KL_MAC_TEXT];

	kl_format_address(p->ends.family, p->ends.phone, phone);
	kl_format_address(p->ends.family, p->ends.cucm, cucm);
	kl_format_mac(p->mac, mac);
	json_object_set_new(o, "phone",
			    json_pack("{s:s, s:i, s:o, s:o}", "ip", phone, "port",
				      p->ends.phone_port, "mac", text_or_null(mac), "device",
				      text_or_null(p->device)));
	json_object_set_new(o, "cucm",
			    json_pack("{s:s, s:i}", "ip", cucm, "port", p->ends.cucm_port));
}

json_t *kl_json_retransmission(const struct kl_retransmission *t)
{
	json_t *o = record("retransmission", t->time_ns);

	json_object_set_new(o, "direction", json_string(kl_direction_name(t->direction)));
	json_object_set_new(o, "kind", json_string(kl_kind_name(t->kind)));
	set_party(o, &t->party);
	json_object_set_new(o, "seq", number(t->seq));
	json_object_set_new(o, "length", number(t->length));
	json_object_set_new(o, "gap_ms", ms_or_null(t->gap_ns));
	json_object_set_new(o, "rto_ms", ms_or_null(t->rto_ns));
	json_object_set_new(o, "copy", number(t->copy));
	json_object_set_new(o, "inferred", json_boolean(t->inferred));
	json_object_set_new(o, "remark", text_or_null(t->remark));
	return o;
}

json_t *kl_json_session(const struct kl_session_record *s)
{
	static const char *const event[] = {
		[KL_STORY_START] = "start",
		[KL_STORY_REGISTERED] = "registered",
		[KL_STORY_PERIOD] = "keepalive_period",
		[KL_STORY_STOP] = "stop",
	};
	static const char *const by[] = { "unknown", "phone", "cucm" };
	static const char *const how[] = { NULL, "fin", "rst", "timeout" };
	json_t *o = record("session", s->time_ns);

	json_object_set_new(o, "event", json_string(event[s->event]));
	json_object_set_new(o, "by", json_string(by[s->by]));
	set_party(o, &s->party);
	json_object_set_new(o, "period_s",
			    s->period_us ? json_real((double)s->period_us / 1e6) : json_null());
	json_object_set_new(o, "jitter_ms",
			    s->period_us ? json_real((double)s->jitter_us / 1e3) : json_null());
	json_object_set_new(o, "role", json_string(kl_role_name(s->role)));
	json_object_set_new(o, "how", text_or_null(how[s->how]));
	json_object_set_new(o, "last_failure", text_or_null(s->failure));
	json_object_set_new(o, "probable", json_boolean(s->party.probable));
	return o;
}

json_t *kl_json_forecast(const struct kl_forecast_record *f)
{
	json_t *o = record("forecast", f->time_ns);
	char at[40];

	kl_format_time(f->at_ns, at, sizeof(at));
	json_object_set_new(o, "state", json_string(kl_forecast_state_name(f->state)));
	set_party(o, &f->party);
	json_object_set_new(o, "unregisters_at", json_string(at));
	json_object_set_new(o, "in_s", json_real(((double)f->at_ns - (double)f->time_ns) / 1e9));
	json_object_set_new(o, "because", kl_json_text(f->because));
	json_object_set_new(o, "probable", json_boolean(f->party.probable));
	return o;
}

/* ---- What was seen beside the segments ---- */

json_t *kl_json_mac(const struct kl_mac_evidence *m, uint64_t offset_ns)
{
	json_t *o = record("mac", m->time_ns + offset_ns);
	char mac[KL_MAC_TEXT] = "";

	if (m->has_mac)
		kl_format_mac(m->mac, mac);
	json_object_set_new(
		o, "event",
		json_string(kl_mac_happening_name((enum kl_mac_happening)m->happening)));
	json_object_set_new(o, "mac", text_or_null(mac));
	json_object_set_new(o, "vlan", m->vlan ? number(m->vlan) : json_null());
	json_object_set_new(o, "port", text_or_null(m->port));
	json_object_set_new(o, "from_port", text_or_null(m->from_port));
	json_object_set_new(o, "source",
			    json_string(kl_mac_source_name((enum kl_mac_source)m->source)));
	json_object_set_new(o, "told_by", text_or_null(m->told_by));
	json_object_set_new(o, "silent_s",
			    m->silent_ms ? json_real(m->silent_ms / 1e3) : json_null());
	return o;
}

json_t *kl_json_arp(const struct kl_arp_conflict *c, uint64_t offset_ns)
{
	json_t *o = record("arp", c->time_ns + offset_ns), *macs = json_array();
	json_t *answers = json_array(), *first = json_array();
	char ip[KL_ADDRESS_TEXT], mac[KL_MAC_TEXT];

	kl_format_address(c->address.family, c->address.word, ip);
	for (unsigned i = 0; i < c->mac_count; i++) {
		kl_format_mac(c->mac[i], mac);
		json_array_append_new(macs, text_or_null(mac));
		json_array_append_new(answers, number(c->answers[i]));
		json_array_append_new(first, number(c->first_answers[i]));
	}
	kl_format_mac(c->mac[c->first], mac);
	json_object_set_new(o, "event", json_string("conflict"));
	json_object_set_new(o, "ip", json_string(ip));
	json_object_set_new(o, "macs", macs);
	json_object_set_new(o, "first_answer", text_or_null(mac));
	json_object_set_new(o, "answers", answers);
	json_object_set_new(o, "first_answers", first);
	json_object_set_new(o, "requests", number(c->requests));
	return o;
}

json_t *kl_json_unregistration(const struct kl_alarm *a, uint64_t offset_ns)
{
	json_t *o = record("unregistration", a->time_ns + offset_ns);
	char ip[KL_ADDRESS_TEXT] = "";

	if (a->address.family)
		kl_format_address(a->address.family, a->address.word, ip);
	json_object_set_new(o, "device", text_or_null(a->device));
	json_object_set_new(o, "ip", text_or_null(ip));
	json_object_set_new(o, "alarm", kl_json_text(a->name));
	json_object_set_new(o, "reason", a->reason < 0 ? json_null() : json_integer(a->reason));
	json_object_set_new(o, "reason_name", text_or_null(a->reason_name));
	json_object_set_new(o, "node", text_or_null(a->node));
	json_object_set_new(o, "matched_loss", json_boolean(a->matched_loss));
	json_object_set_new(o, "losses", number(a->losses));
	json_object_set_new(o, "last_signal", text_or_null(a->last_signal));
	return o;
}

json_t *kl_json_dropped(const struct kl_dropped_records *d)
{
	json_t *o = record("dropped", d->time_ns);
	char from[40], to[40];

	kl_format_time(d->from_ns, from, sizeof(from));
	kl_format_time(d->to_ns, to, sizeof(to));
	json_object_set_new(o, "records", number(d->records));
	json_object_set_new(o, "from", json_string(from));
	json_object_set_new(o, "to", json_string(to));
	return o;
}

json_t *kl_json_summary(const struct kl_report_tick *t)
{
	json_t *o = record("summary", t->time_ns);

	json_object_set_new(o, "duration_s", json_real(t->interval_s));
	json_object_set_new(o, "phones", number(t->phones));
	set_tally(o, t);
	return o;
}
