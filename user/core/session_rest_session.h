/* SPDX-License-Identifier: GPL-2.0-only */
/* What a record of a session at rest says of the session itself. For session_rest.c alone. */
#pragma once

#include "core/session_rest_code.h"
#include "core/session_state.h"

/* ---- Whose it is ---- */

STEP void walk_ends(struct coder *c, bool packing, struct kl_endpoints *ends)
{
	NUMBER(ends->family, 4);
	BYTES(ends->phone[0]);
	BYTES(ends->cucm[0]);
	BYTES(ends->phone_port);
	NUMBER(ends->cucm_port, 2000);
	if (!PART(any(&ends->phone[1], 3 * sizeof(ends->phone[1])) ||
		  any(&ends->cucm[1], 3 * sizeof(ends->cucm[1])) ||
		  any(ends->pad, sizeof(ends->pad))))
		return;
	for (int i = 1; i < 4; i++) {
		BYTES(ends->phone[i]);
		BYTES(ends->cucm[i]);
	}
	BYTES(ends->pad);
}

static const char mac_prefix[3] = { 'S', 'E', 'P' };
static const char digits[] = "0123456789ABCDEF";

/* A name that is made of a MAC address. */
static bool read_mac_name(const char *name, uint8_t ret_mac[6])
{
	if (memcmp(name, mac_prefix, sizeof(mac_prefix)))
		return false;
	for (int i = 0; i < 12; i++) {
		char digit = name[3 + i];
		unsigned value;

		if (digit >= '0' && digit <= '9')
			value = (unsigned)(digit - '0');
		else if (digit >= 'A' && digit <= 'F')
			value = (unsigned)(digit - 'A') + 10;
		else
			return false;
		ret_mac[i / 2] = (uint8_t)(i % 2 ? ret_mac[i / 2] | value : value << 4);
	}
	return !name[15] && !name[16];
}

static void write_mac_name(const uint8_t mac[6], char *ret)
{
	memcpy(ret, mac_prefix, sizeof(mac_prefix));
	for (int i = 0; i < 12; i++)
		ret[3 + i] = digits[i % 2 ? mac[i / 2] & 15 : mac[i / 2] >> 4];
}

STEP void walk_device(struct coder *c, bool packing, struct kl_session *s)
{
	char own[KL_DEVICE_NAME] = {};
	uint8_t mac[6] = {};

	if (!PART(s->device[0]))
		return;
	if (packing)
		write_mac_name(s->mac, own);
	/* Mostly it is made of the MAC address that its frames have. */
	if (!PART(memcmp(own, s->device, sizeof(own)) != 0)) {
		if (!packing)
			write_mac_name(s->mac, s->device);
		return;
	}
	if (!PART(read_mac_name(s->device, mac))) {
		text(c, packing, s->device);
		return;
	}
	BYTES(mac);
	if (!packing)
		write_mac_name(mac, s->device);
}

/* What most sessions have nothing of. */
STEP void walk_rare(struct coder *c, bool packing, struct kl_session *s)
{
	if (!PART(s->closed_ns || s->lost_ns || s->vlan || s->failure[0] || s->expires_s ||
		  s->tls_len || s->one_way || s->leaves || s->probable))
		return;
	MOMENT(s->closed_ns, s->seen_ns);
	MOMENT(s->lost_ns, s->seen_ns);
	NUMBER(s->vlan, 0);
	NUMBER(s->expires_s, 0);
	NUMBER(s->tls_len, 0);
	BITS(s->one_way, 1);
	BITS(s->leaves, 1);
	BITS(s->probable, 1);
	text(c, packing, s->failure);
}

STEP void walk_counts(struct coder *c, bool packing, struct kl_session *s)
{
	NUMBER(s->keepalives, 0);
	NUMBER(s->answered, s->keepalives);
	NUMBER(s->acknowledged_only, s->keepalives - s->answered);
	if (!PART(s->unacknowledged || s->acks_lost ||
		  any(s->retransmissions, sizeof(s->retransmissions)) ||
		  any(s->lost, sizeof(s->lost))))
		return;
	NUMBER(s->unacknowledged, 0);
	NUMBER(s->acks_lost, 0);
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		NUMBER(s->retransmissions[d], 0);
		for (int where = 0; where < KL_WHERES; where++)
			NUMBER(s->lost[d][where], 0);
	}
}

STEP void walk_forecast(struct coder *c, bool packing, struct kl_forecast *f, uint64_t seen_ns)
{
	if (!PART(f->made_ns || f->at_ns || f->growing))
		return;
	NUMBER(f->made_ns, seen_ns);
	NUMBER(f->at_ns, seen_ns);
	BITS(f->growing, 1);
}

STEP void walk_session(struct coder *c, bool packing, struct kl_session *s)
{
	NUMBER(s->seen_ns, 0);
	NUMBER(s->start_ns, s->seen_ns);
	MOMENT(s->registered_ns, s->start_ns);
	MOMENT(s->ok_ns, s->seen_ns);
	walk_ends(c, packing, &s->ends);
	BYTES(s->mac);
	walk_device(c, packing, s);
	BITS(s->from_syn, 1);
	NUMBER(s->role, KL_ROLE_PRIMARY);
	NUMBER(s->kind, KL_SCCP_KEEPALIVE);
	walk_rare(c, packing, s);
	walk_counts(c, packing, s);
	walk_forecast(c, packing, &s->forecast, s->seen_ns);
}

/* ---- Its keepalives ---- */

STEP void walk_schedule(struct coder *c, bool packing, struct kl_schedule *q, uint64_t keepalive_ns,
			uint32_t keepalives, bool adds_up)
{
	MOMENT(q->last_ns, keepalive_ns);
	q->told_us[0] = (uint32_t)multiple(c, packing, q->told_us[0], 1000000, 0);
	q->told_us[1] = (uint32_t)multiple(c, packing, q->told_us[1], 1000000, 0);
	NUMBER(q->period_us, q->told_us[0]);
	MOMENT(q->due_ns, q->last_ns + q->period_us * KL_NS_PER_US);
	NUMBER(q->jitter_us, KL_SCHEDULE_JITTER_MIN_US);
	NUMBER(q->seen, keepalives - 1);
	for (uint32_t i = 0; i < KL_SCHEDULE_INTERVALS; i++)
		NUMBER(q->recent_us[i], i < q->seen ? (uint32_t)q->period_us : 0);
	BITS(q->measured, 1);
	if (PART(q->source != KL_PERIOD_LEARNT || q->slips != (adds_up ? 1 : -1))) {
		NUMBER(q->source, KL_PERIOD_LEARNT);
		NUMBER(q->slips, adds_up ? 1 : -1);
	} else if (!packing) {
		q->source = KL_PERIOD_LEARNT;
		q->slips = adds_up ? 1 : -1;
	}
	if (!PART(q->gap_us || q->late_us || q->grown_us || q->unclean || q->doublings ||
		  q->late_run || q->was_lost || q->was_late || q->anchored))
		return;
	NUMBER(q->gap_us, 0);
	NUMBER(q->late_us, 0);
	NUMBER(q->grown_us, 0);
	NUMBER(q->unclean, 0);
	NUMBER(q->doublings, 0);
	NUMBER(q->late_run, 0);
	BITS(q->was_lost, 1);
	BITS(q->was_late, 1);
	BITS(q->anchored, 1);
}

/* Which slots of a histogram are in use: from the first one up to before the end. */
STEP void find_slots(const struct kl_answers *a, uint32_t *ret_from, uint32_t *ret_end)
{
	enum {
		AT_ONCE = sizeof(uint64_t) / sizeof(a->slot[0])
	};
	uint32_t from = 0, end = KL_ANSWERS_SLOTS;

	_Static_assert(KL_ANSWERS_SLOTS % AT_ONCE == 0, "looked at some at once");
	while (end && !any(&a->slot[end - AT_ONCE], sizeof(uint64_t)))
		end -= AT_ONCE;
	while (from < end && !any(&a->slot[from], sizeof(uint64_t)))
		from += AT_ONCE;
	*ret_from = from;
	*ret_end = end;
}

/* A bit for each slot, and one or two bytes for each that is not empty. */
STEP void walk_slots(struct coder *c, bool packing, struct kl_answers *a)
{
	uint32_t from = 0, end = 0, all = 0;
	unsigned len;

	if (packing)
		find_slots(a, &from, &end);
	from = bits(c, packing, from, 7);
	end = bits(c, packing, end, 7);
	for (uint32_t i = from; packing && i < end; i++)
		all |= a->slot[i];
	len = 1 + bits(c, packing, all > UINT8_MAX, 1);
	for (uint32_t i = from; i < end; i += 4) {
		uint32_t filled = 0;

		for (uint32_t k = 0; packing && k < 4; k++)
			filled |= (uint32_t)(a->slot[i + k] != 0) << k;
		for (filled = bits(c, packing, filled, 4); filled; filled &= filled - 1) {
			uint16_t *slot = &a->slot[i + (uint32_t)__builtin_ctz(filled)];

			/* (The lower byte comes first.) */
			if (packing)
				memcpy(c->at, slot, sizeof(*slot));
			else
				*slot = (uint16_t)(c->at[0] | (len > 1 ? c->at[1] << 8 : 0));
			c->at += len;
		}
	}
}

STEP void walk_answers(struct coder *c, bool packing, struct kl_answers *a, uint32_t answered)
{
	NUMBER(a->count, answered);
	BYTES(a->mean_us);
	NUMBER(a->sum_us, (uint64_t)(a->mean_us * a->count));
	NUMBER(a->max_us, 0);
	if (PART(a->normal_gives_up || a->delayed_gives_up)) {
		NUMBER(a->normal_gives_up, 0);
		NUMBER(a->delayed_gives_up, 0);
	}
	walk_slots(c, packing, a);
}
