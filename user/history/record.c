// SPDX-License-Identifier: GPL-2.0-only
/* What happens, one by one, as rows. */
#include "history/record.h"

#include <stdio.h>
#include <string.h>

#include "core/diagnosis_observed.h"
#include "core/names.h"

static const char *const bys[] = { "unknown", "phone", "cucm" };
static const char *const hows[] = { NULL, "fin", "rst", "timeout" };
static const char *const states[] = { "expected", "changed", "withdrawn", "came_true", "did_not" };
static const char *const events[] = { [KL_STORY_START] = "start",
				      [KL_STORY_REGISTERED] = "registered",
				      [KL_STORY_PERIOD] = "keepalive_period",
				      [KL_STORY_STOP] = "stop" };

static void put_mac(struct kl_rows *r, const uint8_t mac[6])
{
	char text[KL_MAC_TEXT];

	kl_format_mac(mac, text);
	kl_rows_text(r, text);
}

static void put_address(struct kl_rows *r, uint8_t family, const uint32_t word[4])
{
	char text[KL_ADDRESS_TEXT] = "";

	if (family)
		kl_format_address(family, word, text);
	kl_rows_text(r, text);
}

static void put_ends(struct kl_rows *r, const struct kl_endpoints *e)
{
	kl_rows_number(r, e->family);
	put_address(r, e->family, e->phone);
	kl_rows_number(r, e->phone_port);
	put_address(r, e->family, e->cucm);
	kl_rows_number(r, e->cucm_port);
}

/* ---- Sessions ---- */

/* What is told of a session that nothing is known of but its ends. */
static struct kl_session stranger(uint64_t id, const struct kl_endpoints *ends, uint64_t time_ns)
{
	return (struct kl_session){
		.id = id, .ends = *ends, .start_ns = time_ns, .seen_ns = time_ns
	};
}

void kl_history_put_session(struct kl_history *h, struct kl_known *k, const struct kl_session *s,
			    const char *site)
{
	struct kl_rows *r = &h->batch.rows;

	kl_rows_begin(r, KL_ROW_SESSION);
	kl_rows_number(r, k->number);
	kl_rows_number(r, h->run);
	put_ends(r, &s->ends);
	kl_rows_text(r, s->device);
	put_mac(r, s->mac);
	put_mac(r, s->next_mac);
	kl_rows_known(r, s->vlan);
	kl_rows_text(r, kl_role_name((enum kl_role)s->role));
	kl_rows_text(r, kl_kind_name(s->kind));
	kl_rows_known(r, s->schedule.period_us);
	kl_rows_number(r, s->schedule.jitter_us);
	kl_rows_known(r, s->expires_s);
	kl_rows_number(r, kl_history_time(h, s->start_ns));
	kl_rows_number(r, kl_history_time(h, s->seen_ns));
	kl_rows_known(r, (uint64_t)kl_history_time(h, s->registered_ns));
	kl_rows_known(r, (uint64_t)kl_history_time(h, s->closed_ns));
	kl_rows_number(r, s->from_syn);
	kl_rows_number(r, s->one_way);
	kl_rows_number(r, s->leaves);
	kl_rows_number(r, s->probable);
	kl_rows_text(r, s->failure);
	kl_rows_text(r, site);
	kl_rows_end(r);
	k->written_ns = h->tick_ns;
	k->period_us = s->schedule.period_us;
}

/* 0: there is no memory for it. */
static int64_t number_of(struct kl_history *h, const struct kl_session *s)
{
	struct kl_known *k = kl_history_know(h, s->id, s->start_ns);

	if (!k)
		h->batch.rows.bytes.failed = true;
	return k ? k->number : 0;
}

static int64_t number_of_lost(struct kl_history *h, const struct kl_lost *l,
			      const struct kl_history_found *found)
{
	struct kl_session unknown = stranger(l->conn_id, &l->ends, l->time_ns);
	struct kl_known *k = kl_history_know(h, l->conn_id, 0);

	if (!k) {
		h->batch.rows.bytes.failed = true;
		return 0;
	}
	if (k->stray && !k->written_ns) {
		memcpy(unknown.device, l->device, sizeof(unknown.device));
		memcpy(unknown.mac, l->mac, sizeof(unknown.mac));
		/* (The clock of another host may be anywhere.) */
		if (found)
			unknown.start_ns = unknown.seen_ns = h->tick_ns - h->offset_ns;
		kl_history_put_session(h, k, &unknown, found ? found->site : NULL);
	}
	return k->number;
}

/* ---- Losses ---- */

struct loss {
	int64_t session;
	uint64_t time_ns;
	uint32_t direction, where, kind;
	uint32_t seq, seq_other, length;
	uint16_t vlan;
	const uint32_t *copies;
	uint64_t late_ns, idle_ns;
	unsigned idle_known;
	bool probable;
	const char *evidence;
	const struct kl_drop *drop;
	const char *record;
};

static void put_drop(struct kl_history *h, const struct kl_drop *d)
{
	struct kl_rows *r = &h->batch.rows;

	for (int i = 0; !d && i < 6; i++)
		kl_rows_null(r);
	if (!d)
		return;
	kl_rows_number(r, kl_history_time(h, d->time_ns));
	kl_rows_number(r, d->seq);
	kl_rows_number(r, d->length);
	kl_rows_text(r, d->reason);
	kl_rows_text(r, d->symbol);
	kl_rows_text(r, d->interface);
	h->batch.dropped = true;
}

static void put_loss(struct kl_history *h, const struct loss *l)
{
	struct kl_rows *r = &h->batch.rows;

	kl_rows_begin(r, KL_ROW_LOSS);
	kl_rows_number(r, l->session);
	kl_rows_number(r, (int64_t)h->tick_ns);
	kl_rows_number(r, kl_history_time(h, l->time_ns));
	kl_rows_text(r, kl_direction_name(l->direction));
	kl_rows_text(r, kl_where_name((enum kl_where)l->where));
	kl_rows_text(r, kl_kind_name(l->kind));
	kl_rows_number(r, l->seq);
	kl_rows_number(r, l->seq_other);
	kl_rows_number(r, l->length);
	kl_rows_known(r, l->vlan);
	kl_rows_number(r, l->copies[KL_ACCESS]);
	kl_rows_number(r, l->copies[KL_CUCM]);
	kl_rows_known(r, l->late_ns);
	if (l->idle_known)
		kl_rows_number(r, (int64_t)l->idle_ns);
	else
		kl_rows_null(r);
	kl_rows_number(r, l->idle_known);
	kl_rows_number(r, l->probable);
	kl_rows_text(r, l->evidence);
	put_drop(h, l->drop);
	kl_rows_text(r, l->record);
	kl_rows_end(r);
}

static void put_lost(struct kl_history *h, const struct kl_lost *lost, const struct kl_drop *drop,
		     const struct kl_history_found *found)
{
	if (!kl_history_takes(h))
		return;
	put_loss(h, &(struct loss){
			    .session = number_of_lost(h, lost, found),
			    .time_ns = lost->time_ns,
			    .direction = lost->direction,
			    .where = lost->where,
			    .kind = lost->kind,
			    .seq = lost->seq,
			    .seq_other = lost->seq_other,
			    .length = lost->length,
			    .vlan = lost->vlan,
			    .copies = lost->copies,
			    .late_ns = lost->late_ns,
			    .idle_ns = lost->idle_ns,
			    .idle_known = lost->idle_known,
			    .probable = lost->probable,
			    .evidence = lost->evidence,
			    .drop = drop,
			    .record = found ? found->record : NULL,
		    });
}

void kl_history_lost(struct kl_history *h, const struct kl_lost *lost, const struct kl_drop *drop)
{
	put_lost(h, lost, drop, NULL);
}

void kl_history_lost_elsewhere(struct kl_history *h, const struct kl_lost *lost,
			       const struct kl_history_found *found)
{
	put_lost(h, lost, NULL, found);
}

static void put_inferred(struct kl_history *h, const struct kl_story *story, int64_t session,
			 const struct kl_drop *drop)
{
	put_loss(h, &(struct loss){
			    .session = session,
			    .time_ns = story->time_ns,
			    .direction = story->direction,
			    .where = story->where,
			    .kind = story->kind,
			    .seq = story->seq,
			    .seq_other = story->seq,
			    .length = story->length,
			    .vlan = story->session->vlan,
			    .copies = story->copies,
			    .late_ns = story->late_ns,
			    .idle_ns = story->idle_ns,
			    .idle_known = story->idle_known,
			    .probable = story->session->probable,
			    .evidence = story->text,
			    .drop = drop,
		    });
}

/* ---- Stories ---- */

/* Whose, and when: what the rows of all stories begin with. */
static struct kl_rows *begin_of_story(struct kl_history *h, enum kl_row row,
				      const struct kl_story *s, int64_t session)
{
	struct kl_rows *r = &h->batch.rows;

	kl_rows_begin(r, row);
	kl_rows_number(r, session);
	kl_rows_number(r, kl_history_time(h, s->time_ns));
	return r;
}

static void put_retransmission(struct kl_history *h, const struct kl_story *s, int64_t session)
{
	struct kl_rows *r = begin_of_story(h, KL_ROW_RETRANSMISSION, s, session);

	kl_rows_text(r, kl_direction_name(s->direction));
	kl_rows_text(r, kl_kind_name(s->kind));
	kl_rows_number(r, s->seq);
	kl_rows_number(r, s->length);
	kl_rows_known(r, s->gap_ns);
	kl_rows_known(r, s->rto_ns);
	kl_rows_number(r, s->copy);
	kl_rows_number(r, s->inferred);
	kl_rows_text(r, s->text);
	kl_rows_end(r);
}

static void put_forecast(struct kl_history *h, const struct kl_story *s, int64_t session)
{
	struct kl_rows *r = begin_of_story(h, KL_ROW_FORECAST, s, session);

	kl_rows_text(r, states[s->state]);
	kl_rows_known(r, (uint64_t)kl_history_time(h, s->at_ns));
	kl_rows_text(r, s->text);
	kl_rows_end(r);
}

static void put_event(struct kl_history *h, const struct kl_story *s, int64_t session)
{
	struct kl_rows *r = begin_of_story(h, KL_ROW_SESSION_EVENT, s, session);

	kl_rows_text(r, events[s->type]);
	kl_rows_text(r, bys[s->by]);
	kl_rows_text(r, hows[s->how]);
	kl_rows_number(r, s->session->leaves);
	kl_rows_known(r, s->ttl);
	kl_rows_known(r, s->usual_ttl);
	kl_rows_text(r, kl_side_name(s->first_side));
	kl_rows_known(r, s->session->schedule.period_us);
	kl_rows_end(r);
}

static void keep_copy(struct kl_history *h, const struct kl_story *story, int64_t session)
{
	struct kl_observed o;

	if (!kl_observed_of_story(story, &o))
		return;
	o.session = (uint64_t)session;
	o.time_ns = (uint64_t)kl_history_time(h, story->time_ns);
	kl_observed_after(h->copies.count ? &h->copies.list[h->copies.count - 1].o : NULL, &o);
	if (kl_copies_add(&h->copies, &o))
		h->batch.rows.bytes.failed = true;
}

void kl_history_story(struct kl_history *h, const struct kl_story *story,
		      const struct kl_drop *drop)
{
	int64_t session;

	if (!kl_history_takes(h))
		return;
	session = number_of(h, story->session);
	keep_copy(h, story, session);
	switch (story->type) {
	case KL_STORY_SEGMENT:
		break;
	case KL_STORY_RETRANSMISSION:
		put_retransmission(h, story, session);
		break;
	case KL_STORY_LOSS:
		put_inferred(h, story, session, drop);
		break;
	case KL_STORY_FORECAST:
		put_forecast(h, story, session);
		break;
	default:
		put_event(h, story, session);
		break;
	}
}

/* ---- Evidence ---- */

void kl_history_mac(struct kl_history *h, const struct kl_mac_evidence *m)
{
	struct kl_rows *r = &h->batch.rows;

	if (!kl_history_takes(h))
		return;
	kl_rows_begin(r, KL_ROW_MAC);
	kl_rows_number(r, h->run);
	kl_rows_number(r, kl_history_time(h, m->time_ns));
	kl_rows_known(r, (uint64_t)kl_history_time(h, m->earliest_ns));
	kl_rows_text(r, kl_mac_happening_name((enum kl_mac_happening)m->happening));
	kl_rows_text(r, kl_mac_source_name((enum kl_mac_source)m->source));
	if (m->has_mac)
		put_mac(r, m->mac);
	else
		kl_rows_null(r);
	kl_rows_known(r, m->vlan);
	kl_rows_known(r, m->silent_ms);
	kl_rows_text(r, m->port);
	kl_rows_text(r, m->from_port);
	kl_rows_text(r, m->told_by);
	kl_rows_end(r);
}

void kl_history_ageing(struct kl_history *h, const struct kl_ageing_evidence *a)
{
	struct kl_rows *r = &h->batch.rows;

	if (!kl_history_takes(h))
		return;
	kl_rows_begin(r, KL_ROW_AGEING);
	kl_rows_number(r, h->run);
	kl_rows_text(r, kl_mac_source_name((enum kl_mac_source)a->source));
	kl_rows_text(r, a->told_by);
	kl_rows_text(r, a->port);
	kl_rows_number(r, a->port_security);
	kl_rows_number(r, a->absolute);
	kl_rows_number(r, kl_history_time(h, a->time_ns));
	kl_rows_number(r, (int64_t)a->ageing_ms);
	kl_rows_end(r);
}

void kl_history_arp(struct kl_history *h, const struct kl_arp_conflict *c)
{
	struct kl_rows *r = &h->batch.rows;
	char claims[KL_ARP_MACS * 48] = "";

	if (!kl_history_takes(h))
		return;
	for (int i = 0; i < c->mac_count && i < KL_ARP_MACS; i++) {
		size_t len = strlen(claims);
		char mac[KL_MAC_TEXT];

		kl_format_mac(c->mac[i], mac);
		snprintf(claims + len, sizeof(claims) - len, "%s%s %u %u", i ? ", " : "", mac,
			 c->answers[i], c->first_answers[i]);
	}
	kl_rows_begin(r, KL_ROW_ARP);
	kl_rows_number(r, h->run);
	put_address(r, c->address.family, c->address.word);
	kl_rows_number(r, kl_history_time(h, c->first_ns));
	kl_rows_number(r, kl_history_time(h, c->time_ns));
	kl_rows_number(r, c->requests);
	kl_rows_number(r, c->first);
	kl_rows_text(r, claims);
	kl_rows_end(r);
}

void kl_history_alarm(struct kl_history *h, const struct kl_alarm *a)
{
	struct kl_rows *r = &h->batch.rows;
	struct kl_known *k = NULL;

	if (!kl_history_takes(h))
		return;
	if (a->session)
		k = kl_history_know(h, a->session, 0);
	kl_rows_begin(r, KL_ROW_ALARM);
	kl_rows_number(r, h->run);
	if (k)
		kl_rows_number(r, k->number);
	else
		kl_rows_null(r);
	kl_rows_number(r, kl_history_time(h, a->time_ns));
	kl_rows_number(r, a->type);
	kl_rows_text(r, a->name);
	kl_rows_text(r, a->device);
	put_address(r, a->address.family, a->address.word);
	kl_rows_number(r, a->reason);
	kl_rows_text(r, a->reason_name);
	kl_rows_text(r, a->protocol);
	kl_rows_text(r, a->node);
	kl_rows_text(r, a->last_signal);
	kl_rows_number(r, a->matched_loss);
	kl_rows_number(r, (int64_t)a->losses);
	kl_rows_end(r);
}

void kl_history_dropped(struct kl_history *h, const struct kl_drop *d)
{
	struct kl_rows *r = &h->batch.rows;

	if (!kl_history_takes(h))
		return;
	kl_rows_begin(r, KL_ROW_DROPPED);
	kl_rows_number(r, h->run);
	kl_rows_number(r, kl_history_time(h, d->time_ns));
	put_ends(r, &d->ends);
	kl_rows_text(r, kl_direction_name(d->direction));
	kl_rows_number(r, d->seq);
	kl_rows_number(r, d->length);
	kl_rows_text(r, d->reason);
	kl_rows_text(r, d->symbol);
	kl_rows_text(r, d->interface);
	kl_rows_end(r);
	h->batch.dropped = true;
}

void kl_history_gap(struct kl_history *h, const struct kl_history_gap *gap)
{
	struct kl_rows *r = &h->batch.rows;

	if (!kl_history_takes(h))
		return;
	kl_rows_begin(r, KL_ROW_AGENT_GAP);
	kl_rows_text(r, gap->site);
	kl_rows_text(r, gap->agent);
	kl_rows_number(r, (int64_t)gap->from_ns);
	kl_rows_number(r, (int64_t)gap->to_ns);
	kl_rows_number(r, h->run);
	kl_rows_number(r, (int64_t)h->tick_ns);
	kl_rows_text(r, gap->side);
	kl_rows_text(r, gap->why);
	kl_rows_end(r);
}

void kl_history_remark(struct kl_history *h, const char *text)
{
	if (!kl_history_takes(h))
		return;
	kl_rows_begin(&h->batch.rows, KL_ROW_REMARK);
	kl_rows_number(&h->batch.rows, h->run);
	kl_rows_text(&h->batch.rows, text);
	kl_rows_end(&h->batch.rows);
}
