// SPDX-License-Identifier: GPL-2.0-only
#include "report/json_many.h"

#include <string.h>

#include "core/names.h"
#include "util/duration.h"

/* ---- What both have ---- */

static void put_time(struct kl_json_line *to, const char *name, uint64_t time_ns)
{
	char time[40];

	kl_format_time(time_ns, time, sizeof(time));
	kl_json_word(to, name, time);
}

/* A zero time is null. */
static void put_time_or_null(struct kl_json_line *to, const char *name, uint64_t time_ns)
{
	if (time_ns)
		put_time(to, name, time_ns);
	else
		kl_json_null(to, name);
}

static void put_if(struct kl_json_line *to, const char *name, bool known, uint64_t value)
{
	if (known)
		kl_json_number(to, name, value);
	else
		kl_json_null(to, name);
}

static void put_decimal_if(struct kl_json_line *to, const char *name, bool known, uint64_t value,
			   unsigned digits)
{
	if (known)
		kl_json_decimal(to, name, value, digits);
	else
		kl_json_null(to, name);
}

static void put_party(struct kl_json_line *to, const struct kl_endpoints *ends,
		      const uint8_t mac_bytes[6], const char *device)
{
	char phone[KL_ADDRESS_TEXT], cucm[KL_ADDRESS_TEXT], mac[KL_MAC_TEXT];

	kl_format_address(ends->family, ends->phone, phone);
	kl_format_address(ends->family, ends->cucm, cucm);
	kl_format_mac(mac_bytes, mac);
	kl_json_open(to, "phone", '{');
	kl_json_word(to, "ip", phone);
	kl_json_number(to, "port", ends->phone_port);
	kl_json_word(to, "mac", mac[0] ? mac : NULL);
	kl_json_any_text(to, "device", device);
	kl_json_close(to, '}');
	kl_json_open(to, "cucm", '{');
	kl_json_word(to, "ip", cucm);
	kl_json_number(to, "port", ends->cucm_port);
	kl_json_close(to, '}');
}

/* ---- Losses ---- */

static void put_drop(struct kl_json_line *to, const struct kl_drop *d)
{
	if (!d) {
		kl_json_null(to, "drop");
		return;
	}
	kl_json_open(to, "drop", '{');
	kl_json_any_text(to, "reason", d->reason);
	kl_json_any_text(to, "symbol", d->symbol);
	kl_json_any_text(to, "interface", d->interface);
	kl_json_close(to, '}');
}

static void put_members(struct kl_json_line *to, const struct kl_loss *l)
{
	kl_json_word(to, "type", "loss");
	put_time(to, "time", l->time_ns);
	kl_json_word(to, "direction", kl_direction_name(l->direction));
	kl_json_word(to, "where", kl_where_name(l->where));
	kl_json_word(to, "kind", kl_kind_name(l->kind));
	put_party(to, &l->party.ends, l->party.mac, l->party.device);
	put_if(to, "vlan", l->party.vlan, l->party.vlan);
	kl_json_number(to, "seq", l->seq);
	kl_json_number(to, "seq_other", l->seq_other);
	kl_json_number(to, "length", l->length);
	kl_json_open(to, "copies", '{');
	kl_json_number(to, "access", l->copies[KL_ACCESS]);
	kl_json_number(to, "cucm", l->copies[KL_CUCM]);
	kl_json_close(to, '}');
	put_decimal_if(to, "late_ms", l->late_ns, l->late_ns, 6);
	kl_json_any_text(to, "evidence", l->evidence);
	kl_json_bool(to, "probable", l->party.probable);
	/* What was silent on one connection only may have been heard otherwise. */
	put_decimal_if(to, "idle_s", l->idle_known == KL_IDLE_ALL, l->idle_ns, 9);
	put_drop(to, l->drop);
	kl_json_bool(to, "unexplained", l->unexplained);
}

void kl_json_put_loss(struct kl_json_line *to, const struct kl_loss *loss)
{
	kl_json_open(to, NULL, '{');
	put_members(to, loss);
	kl_json_close(to, '}');
}

/* 0 stays 0: not known. */
static uint64_t wall(const struct kl_diagnosis_record *r, uint64_t time_ns)
{
	return time_ns ? time_ns + r->offset_ns : 0;
}

void kl_json_put_lost(struct kl_json_line *to, const struct kl_diagnosis_record *r,
		      const struct kl_lost *l)
{
	const struct kl_diagnosis *d = r->diagnosis;
	struct kl_loss loss = {
		.time_ns = wall(r, l->time_ns),
		.party = { .ends = l->ends,
			   .vlan = l->vlan,
			   .device = l->device[0] ? l->device : NULL,
			   .probable = l->probable },
		.where = (enum kl_where)l->where,
		.direction = l->direction,
		.kind = l->kind,
		.seq = l->seq,
		.seq_other = l->seq_other,
		.length = l->length,
		.copies = { l->copies[KL_ACCESS], l->copies[KL_CUCM] },
		.late_ns = l->late_ns,
		.idle_ns = l->idle_ns,
		.idle_known = (enum kl_idle_known)l->idle_known,
		.drop = l->drop ? &d->evidence.drop.item[l->drop - 1] : NULL,
		.unexplained = d->evidence.has_drops && l->where == KL_BETWEEN && !l->drop,
		.evidence = l->evidence,
	};

	memcpy(loss.party.mac, l->mac, sizeof(loss.party.mac));
	kl_json_open(to, NULL, '{');
	put_members(to, &loss);
	put_time_or_null(to, "time_cucm_clock", kl_diagnosis_other_clock(d, l->time_ns));
	put_if(to, "sent_again", !r->live, l->sent_again);
	put_time_or_null(to, "got_through_at", wall(r, l->through_ns));
	kl_json_close(to, '}');
}

/* ---- The sessions, one by one ---- */

static void put_lost_counts(struct kl_json_line *to, const struct kl_session *s)
{
	kl_json_open(to, "lost", '{');
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		kl_json_open(to, kl_direction_name(d), '{');
		for (int w = 0; w < KL_WHERES; w++)
			kl_json_number(to, kl_where_name((enum kl_where)w), s->lost[d][w]);
		kl_json_close(to, '}');
	}
	kl_json_close(to, '}');
}

static void put_answers(struct kl_json_line *to, const struct kl_answers *a)
{
	if (!a->count) {
		kl_json_null(to, "answer_ms");
		return;
	}
	kl_json_open(to, "answer_ms", '{');
	/* (To the nanosecond, which is finer than anything it is made of.) */
	kl_json_decimal(to, "mean", (uint64_t)(a->mean_us * 1e3 + 0.5), 6);
	kl_json_decimal(to, "p50", kl_answers_quantile(a, 0.5), 3);
	kl_json_decimal(to, "p99", kl_answers_quantile(a, 0.99), 3);
	kl_json_decimal(to, "max", a->max_us, 3);
	kl_json_number(to, "count", a->count);
	kl_json_close(to, '}');
}

void kl_json_put_session(struct kl_json_line *to, const struct kl_session *s)
{
	uint64_t period_us = s->schedule.period_us;

	kl_json_open(to, NULL, '{');
	put_party(to, &s->ends, s->mac, s->device);
	kl_json_word(to, "role", kl_role_name((enum kl_role)s->role));
	kl_json_word(to, "keepalive", s->kind ? kl_kind_name(s->kind) : NULL);
	kl_json_bool(to, "open", !s->closed_ns);
	kl_json_bool(to, "probable", s->probable);
	put_decimal_if(to, "period_s", period_us, period_us, 6);
	put_decimal_if(to, "jitter_ms", period_us, s->schedule.jitter_us, 3);
	put_if(to, "expires_s", s->expires_s, s->expires_s);
	kl_json_number(to, "keepalives", s->keepalives);
	kl_json_number(to, "answered", s->answered);
	kl_json_number(to, "acknowledged_only", s->acknowledged_only);
	kl_json_number(to, "unacknowledged", s->unacknowledged);
	kl_json_number(to, "acknowledgements_lost", s->acks_lost);
	kl_json_open(to, "retransmitted", '{');
	for (__u32 d = 0; d < KL_DIRECTIONS; d++)
		kl_json_number(to, kl_direction_name(d), s->retransmissions[d]);
	kl_json_close(to, '}');
	put_lost_counts(to, s);
	put_answers(to, &s->answers);
	kl_json_open(to, "failover", '{');
	kl_json_number(to, "normal_would_leave", s->answers.normal_gives_up);
	kl_json_number(to, "delayed_would_leave", s->answers.delayed_gives_up);
	kl_json_close(to, '}');
	kl_json_any_text(to, "last_failure", s->failure);
	kl_json_close(to, '}');
}
