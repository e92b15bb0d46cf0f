// SPDX-License-Identifier: GPL-2.0-only
#include "report/html_data.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "core/names.h"
#include "report/html_lanes.h"
#include "report/html_series.h"
#include "report/html_text.h"

struct data {
	FILE *out;
	const struct kl_diagnosis *d;
	struct kl_html_lanes lanes;
	uint64_t offset_ns; /* to CLOCK_REALTIME */
	int64_t base_ms;
	uint64_t rows; /* of the list that is being written */
};

static void see(uint64_t time_ns, uint64_t *first_ns, uint64_t *last_ns)
{
	if (time_ns && (!*first_ns || time_ns < *first_ns))
		*first_ns = time_ns;
	if (time_ns > *last_ns)
		*last_ns = time_ns;
}

void kl_html_range(const struct kl_diagnosis_record *r, uint64_t *ret_first_ns,
		   uint64_t *ret_last_ns)
{
	const struct kl_diagnosis *d = r->diagnosis;
	uint64_t first_ns = d->first_ns, last_ns = d->last_ns;

	for (size_t i = 0; i < d->observed_count; i++)
		see(d->observed[i].time_ns, &first_ns, &last_ns);
	for (size_t i = 0; i < d->lost_count; i++)
		see(d->lost[i].time_ns, &first_ns, &last_ns);
	/* Files beside a capture may tell of whole days: they count where there is nothing else. */
	for (size_t i = 0; !d->last_ns && i < d->evidence.mac.count; i++)
		see(d->evidence.mac.item[i].time_ns, &first_ns, &last_ns);
	for (size_t i = 0; !d->last_ns && i < d->evidence.alarm.count; i++)
		see(d->evidence.alarm.item[i].time_ns, &first_ns, &last_ns);
	*ret_first_ns = first_ns ? first_ns + r->offset_ns : 0;
	*ret_last_ns = last_ns ? last_ns + r->offset_ns : 0;
}

/* ---- Values ---- */

static int64_t since_base_us(const struct data *w, uint64_t time_ns)
{
	return (int64_t)((time_ns + w->offset_ns) / 1000) - w->base_ms * 1000;
}

static void put_time(const struct data *w, uint64_t time_ns)
{
	if (time_ns)
		fprintf(w->out, "%" PRId64, since_base_us(w, time_ns));
	else
		fputs("null", w->out);
}

static void put_text(const struct data *w, const char *text)
{
	fputc(',', w->out);
	if (text && text[0])
		kl_html_put_json(w->out, text);
	else
		fputs("null", w->out);
}

static void put_address(const struct data *w, const struct kl_address *a)
{
	char text[KL_ADDRESS_TEXT] = "";

	if (a->family)
		kl_format_address(a->family, a->word, text);
	put_text(w, text);
}

static void put_lane(const struct data *w, size_t lane)
{
	if (lane == KL_NO_LANE)
		fputs(",null", w->out);
	else
		fprintf(w->out, ",%zu", lane);
}

static void put_mac(const struct data *w, const uint8_t mac[6])
{
	char text[KL_MAC_TEXT];

	kl_format_mac(mac, text);
	put_text(w, text);
}

static void begin_list(struct data *w, const char *name)
{
	fprintf(w->out, ",\n\"%s\":[", name);
	w->rows = 0;
}

/* Begins a row with its time. false: there are enough of them; it is counted. */
static bool begin_row(struct data *w, uint64_t time_ns)
{
	if (w->rows++ >= KL_HTML_ROWS)
		return false;
	fputs(w->rows > 1 ? ",\n[" : "\n[", w->out);
	put_time(w, time_ns);
	return true;
}

static void end_row(const struct data *w)
{
	fputc(']', w->out);
}

static void end_list(struct data *w, const char *name, uint64_t more)
{
	if (w->rows > KL_HTML_ROWS)
		more += w->rows - KL_HTML_ROWS;
	fprintf(w->out, "],\"%s_more\":%" PRIu64, name, more);
}

/* ---- Lists ---- */

static void put_macs(struct data *w)
{
	fputs(",\n\"macs\":[", w->out);
	for (size_t i = 0; i < w->lanes.mac_count; i++) {
		char text[KL_MAC_TEXT];

		kl_format_mac(w->lanes.mac[i], text);
		fprintf(w->out, "%s\"%s\"", i ? "," : "", text);
	}
	fputc(']', w->out);
}

static void put_drop(const struct data *w, const struct kl_lost *l)
{
	const struct kl_drop *drop;

	if (!l->drop || l->drop > w->d->evidence.drop.count) {
		fputs(",null", w->out);
		return;
	}
	drop = &w->d->evidence.drop.item[l->drop - 1];
	fputs(",[0", w->out);
	put_text(w, drop->reason);
	put_text(w, drop->symbol);
	put_text(w, drop->interface);
	end_row(w);
}

static void put_losses(struct data *w)
{
	begin_list(w, "losses");
	for (size_t i = 0; i < w->d->lost_count; i++) {
		const struct kl_lost *l = &w->d->lost[i];
		struct kl_address cucm = kl_address_of(l->ends.family, l->ends.cucm);

		if (!begin_row(w, l->time_ns))
			continue;
		put_lane(w, kl_html_lane_of(&w->lanes, l->conn_id));
		fprintf(w->out, ",%u,%u,%u,%u,%u,%u,%u,%u,%u,", l->direction, l->kind, l->where,
			l->seq, l->seq_other, l->length, l->copies[KL_ACCESS], l->copies[KL_CUCM],
			l->sent_again);
		put_time(w, l->through_ns);
		if (l->idle_known)
			fprintf(w->out, ",%" PRIu64 ",%u", l->idle_ns / 1000000, l->idle_known);
		else
			fputs(",null,0", w->out);
		fprintf(w->out, ",%" PRIu64 ",%d,%u,%u,%u", l->late_ns / 1000000, l->probable,
			l->vlan, l->ends.phone_port, l->ends.cucm_port);
		put_address(w, &cucm);
		put_drop(w, l);
		put_text(w, l->evidence);
		end_row(w);
	}
	end_list(w, "losses", w->d->lost_unlisted);
}

static void put_mac_events(struct data *w)
{
	uint64_t others = 0;

	begin_list(w, "mac_events");
	for (size_t i = 0; i < w->d->evidence.mac.count; i++) {
		const struct kl_mac_evidence *m = &w->d->evidence.mac.item[i];
		size_t mac = m->has_mac ? kl_html_mac_index(&w->lanes, m->mac) : SIZE_MAX;

		if (m->has_mac && mac == SIZE_MAX && m->happening != KL_MAC_VIOLATION) {
			others++;
			continue;
		}
		if (!begin_row(w, m->time_ns))
			continue;
		put_lane(w, mac);
		put_mac(w, m->mac);
		put_text(w, kl_mac_happening_name(m->happening));
		put_text(w, kl_mac_source_name(m->source));
		fprintf(w->out, ",%u,%u", m->vlan, m->silent_ms);
		put_text(w, m->port);
		put_text(w, m->from_port);
		put_text(w, m->told_by);
		fputc(',', w->out);
		put_time(w, m->earliest_ns != m->time_ns ? m->earliest_ns : 0);
		end_row(w);
	}
	end_list(w, "mac_events", w->d->evidence.mac.unlisted);
	fprintf(w->out, ",\"mac_events_of_others\":%" PRIu64, others);
}

static void put_alarms(struct data *w)
{
	begin_list(w, "alarms");
	for (size_t i = 0; i < w->d->evidence.alarm.count; i++) {
		const struct kl_alarm *a = &w->d->evidence.alarm.item[i];

		if (!begin_row(w, a->time_ns))
			continue;
		put_lane(w, kl_html_lane_of_alarm(&w->lanes, a));
		fprintf(w->out, ",%d", kl_alarm_is_unregistration(a));
		put_text(w, a->name);
		put_text(w, a->device);
		put_address(w, &a->address);
		fprintf(w->out, ",%d", a->reason);
		put_text(w, a->reason_name);
		put_text(w, a->protocol);
		put_text(w, a->node);
		put_text(w, a->last_signal);
		fprintf(w->out, ",%d,%" PRIu64, a->matched_loss, a->losses);
		end_row(w);
	}
	end_list(w, "alarms", w->d->evidence.alarm.unlisted);
}

static void put_endings(struct data *w)
{
	begin_list(w, "endings");
	for (size_t i = 0; i < w->d->evidence.ending.count; i++) {
		const struct kl_ending *e = &w->d->evidence.ending.item[i];

		if (!begin_row(w, e->time_ns))
			continue;
		put_lane(w, kl_html_lane_of(&w->lanes, e->session));
		fprintf(w->out, ",%u,%u,%d,%u,%u,%u", e->by, e->how, e->leaves, e->ttl,
			e->usual_ttl, e->lost_before);
		end_row(w);
	}
	end_list(w, "endings", w->d->evidence.ending.unlisted);
}

static void put_conflicts(struct data *w)
{
	begin_list(w, "arp");
	for (size_t i = 0; i < w->d->evidence.arp.count; i++) {
		const struct kl_arp_conflict *c = &w->d->evidence.arp.item[i];
		unsigned macs = c->mac_count < KL_ARP_MACS ? c->mac_count : KL_ARP_MACS;

		if (!begin_row(w, c->time_ns))
			continue;
		put_address(w, &c->address);
		fprintf(w->out, ",%u,%u,[0", c->requests, c->first);
		for (unsigned k = 0; k < macs; k++) {
			put_mac(w, c->mac[k]);
			fprintf(w->out, ",%u,%u", c->answers[k], c->first_answers[k]);
		}
		fputc(']', w->out);
		end_row(w);
	}
	end_list(w, "arp", w->d->evidence.arp.unlisted);
}

static void put_ageing(struct data *w)
{
	begin_list(w, "ageing");
	for (size_t i = 0; i < w->d->evidence.ageing.count; i++) {
		const struct kl_ageing_evidence *a = &w->d->evidence.ageing.item[i];

		if (!begin_row(w, a->time_ns))
			continue;
		fprintf(w->out, ",%" PRIu64 ",%d,%d", a->ageing_ms, a->port_security, a->absolute);
		put_text(w, kl_mac_source_name(a->source));
		put_text(w, a->port);
		put_text(w, a->told_by);
		end_row(w);
	}
	end_list(w, "ageing", w->d->evidence.ageing.unlisted);
}

static void put_session(const struct kl_session *s, void *arg)
{
	struct data *w = arg;
	struct kl_address phone = kl_address_of(s->ends.family, s->ends.phone);
	struct kl_address cucm = kl_address_of(s->ends.family, s->ends.cucm);

	if (!begin_row(w, s->start_ns))
		return;
	put_lane(w, kl_html_lane_of(&w->lanes, s->id));
	put_text(w, s->device);
	put_address(w, &phone);
	put_mac(w, s->mac);
	put_address(w, &cucm);
	fprintf(w->out, ",%u,%u,%u", s->ends.phone_port, s->ends.cucm_port, s->vlan);
	put_text(w, kl_role_name(s->role));
	fprintf(w->out, ",%u,%" PRIu64 ",%u,%u,%u,%u", s->kind, s->schedule.period_us / 1000,
		s->keepalives, s->answered, s->acknowledged_only, s->unacknowledged);
	for (int where = 0; where < KL_WHERES; where++)
		fprintf(w->out, ",%u", s->lost[KL_TO_CUCM][where] + s->lost[KL_TO_PHONE][where]);
	fprintf(w->out, ",%u,", s->retransmissions[KL_TO_CUCM] + s->retransmissions[KL_TO_PHONE]);
	if (s->answers.count)
		fprintf(w->out, "%" PRIu32, kl_answers_quantile(&s->answers, 0.99));
	else
		fputs("null", w->out);
	fputc(',', w->out);
	put_time(w, s->closed_ns);
	fprintf(w->out, ",%d", s->probable);
	put_text(w, s->failure);
	end_row(w);
}

static void put_sessions(struct data *w)
{
	begin_list(w, "sessions");
	if (w->d->sessions)
		kl_sessions_visit(w->d->sessions, put_session, w);
	end_list(w, "sessions", 0);
}

/* ---- All of it ---- */

static void put_names(const struct data *w)
{
	fputs(",\"kinds\":[\"\"", w->out);
	for (uint32_t i = 1; i < KL_KINDS; i++)
		put_text(w, kl_kind_name(i));
	fputs("],\"wheres\":[\"between\"", w->out);
	for (int i = 1; i < KL_WHERES; i++)
		put_text(w, kl_where_name((enum kl_where)i));
	fputs("]", w->out);
}

int kl_html_data(FILE *out, const struct kl_diagnosis_record *r)
{
	struct data w = { .out = out, .d = r->diagnosis, .offset_ns = r->offset_ns };
	uint64_t first_ns, last_ns, undrawn = 0;
	struct tm tm = {};
	time_t seconds;
	int error = kl_html_lanes_fill(&w.lanes, r->diagnosis);

	kl_html_range(r, &first_ns, &last_ns);
	w.base_ms = (int64_t)(first_ns / 1000000);
	seconds = (time_t)(first_ns / 1000000000);
	localtime_r(&seconds, &tm);
	if (!error) {
		fprintf(out, "{\"base\":%" PRId64 ",\"span_ms\":%" PRIu64 ",\"utc_offset_s\":%ld",
			w.base_ms, (last_ns - first_ns) / 1000000 + 1, tm.tm_gmtoff);
		put_names(&w);
		put_macs(&w);
		put_losses(&w);
		put_mac_events(&w);
		put_alarms(&w);
		put_endings(&w);
		put_conflicts(&w);
		put_ageing(&w);
		put_sessions(&w);
		fputs(",\n\"lanes\":[", out);
		error = kl_html_put_lanes(out, w.d, &w.lanes, w.offset_ns, w.base_ms, &undrawn);
		fprintf(out, "],\"undrawn\":%" PRIu64 "}", undrawn);
	}
	kl_html_lanes_done(&w.lanes);
	return error;
}
