// SPDX-License-Identifier: GPL-2.0-only
#include "made.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void made_must(int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "write-report: %s\n", strerror(-r));
	exit(1);
}

/* The list, with room for one more. */
static void *grown(void *list, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return list;
	*room = *room ? 2 * *room : 1024;
	list = reallocarray(list, *room, size);
	if (!list)
		exit(1);
	return list;
}

uint64_t made_random_below(struct made *m, uint64_t bound)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % bound;
}

static void mac_of(unsigned phone, uint8_t ret[6])
{
	const uint8_t mac[6] = { 0x00, 0x24, 0x14, 0x2d, (uint8_t)(phone >> 8), (uint8_t)phone };

	memcpy(ret, mac, sizeof(mac));
}

static struct kl_endpoints ends_of(unsigned phone, bool backup)
{
	return (struct kl_endpoints){
		.phone = { htonl(0x0a620000 + phone + 10) },
		.cucm = { htonl(backup ? 0x0a6f6f51 : 0x0a6f6f50) },
		.phone_port = (uint16_t)(backup ? 52000 : 51000),
		.cucm_port = 2000,
		.family = 4,
	};
}

/* A connection; its id is the phone's number times two, plus 1 (2: to the backup). */
struct kl_session *made_session(struct made *m, unsigned phone, bool backup, const char *device)
{
	struct kl_event e = {
		.time_ns = MADE_CLOCK_NS,
		.conn_id = 2 * phone + 1 + backup,
		.ends = ends_of(phone, backup),
		.type = KL_EVENT_OPEN,
		.direction = KL_TO_CUCM,
		.tcp_flags = KL_SYN,
	};
	struct kl_message message = { .type = KL_MESSAGE_REGISTER };
	struct kl_session *s;

	mac_of(phone, e.phone_mac);
	made_must(kl_sessions_feed(m->sessions, &e, NULL, 0));
	if (device) {
		strncpy(message.device, device, sizeof(message.device) - 1);
		e.type = KL_EVENT_PAYLOAD;
		made_must(kl_sessions_learn(m->sessions, &e, &message));
	}
	s = (struct kl_session *)kl_sessions_find(m->sessions, e.conn_id);
	s->role = backup ? KL_ROLE_BACKUP : KL_ROLE_PRIMARY;
	s->kind = KL_SCCP_KEEPALIVE;
	s->schedule.period_us = backup ? 60000000 : 30000000;
	return s;
}

void made_observe(struct made *m, uint64_t time_ns, uint64_t session, uint8_t direction, bool again)
{
	struct kl_diagnosis *d = &m->d;

	d->observed = grown(d->observed, d->observed_count, &d->observed_room,
			    sizeof(*d->observed));
	d->observed[d->observed_count++] = (struct kl_observed){
		.time_ns = time_ns,
		.session = session,
		.idle_ms = 30000,
		.length = 12,
		.direction = direction,
		.again = again,
		.idle_known = KL_IDLE_ALL,
		.kind = direction == KL_TO_CUCM ? KL_SCCP_KEEPALIVE : KL_SCCP_KEEPALIVE_ACK,
	};
}

struct kl_lost *made_loss(struct made *m, uint64_t time_ns, const struct kl_session *s)
{
	struct kl_diagnosis *d = &m->d;
	struct kl_lost *l;

	d->lost = grown(d->lost, d->lost_count, &d->lost_room, sizeof(*d->lost));
	l = &d->lost[d->lost_count++];
	*l = (struct kl_lost){
		.time_ns = time_ns,
		.through_ns = time_ns + 310 * MADE_MS,
		.conn_id = s->id,
		.ends = s->ends,
		.where = KL_BETWEEN,
		.direction = KL_TO_CUCM,
		.kind = KL_SCCP_KEEPALIVE,
		.seq = 2064543061U + 12 * (uint32_t)d->lost_count,
		.seq_other = 2064543061U + 12 * (uint32_t)d->lost_count,
		.length = 12,
		.copies = { 1, 0 },
		.sent_again = 1,
		.idle_ns = 29990 * MADE_MS,
		.idle_known = KL_IDLE_ALL,
	};
	memcpy(l->device, s->device, sizeof(l->device));
	memcpy(l->mac, s->mac, sizeof(l->mac));
	return l;
}

void made_mac_event(struct made *m, uint64_t time_ns, int phone, enum kl_mac_happening happening,
		    const char *port)
{
	struct kl_mac_evidence e = {
		.time_ns = time_ns,
		.earliest_ns = time_ns,
		.happening = happening,
		.source = KL_MAC_FROM_SNMP,
		.has_mac = phone >= 0,
		.vlan = 120,
	};

	if (phone >= 0)
		mac_of((unsigned)phone, e.mac);
	snprintf(e.port, sizeof(e.port), "%s", port);
	snprintf(e.told_by, sizeof(e.told_by), "10.98.0.2");
	made_must(kl_evidence_mac(&m->d.evidence, &e));
}

void made_alarm(struct made *m, uint64_t time_ns, const struct kl_session *s, uint64_t losses)
{
	struct kl_alarm a = {
		.time_ns = time_ns,
		.type = KL_ALARM_UNREGISTERED,
		.reason = 13,
		.matched_loss = losses > 0,
		.losses = losses,
		.session = s->id,
		.name = "EndPointUnregistered",
		.reason_name = "keepAliveTimeout",
		.protocol = "SCCP",
		.node = "cucm-pub",
		.address = kl_address_of(4, s->ends.phone),
	};

	memcpy(a.device, s->device, sizeof(s->device));
	made_must(kl_evidence_alarm(&m->d.evidence, &a));
	m->d.evidence.has_alarms = true;
}

void made_ending(struct made *m, uint64_t time_ns, const struct kl_session *s,
		 enum kl_session_how how)
{
	struct kl_ending e = { .time_ns = time_ns,
			       .session = s->id,
			       .by = KL_BY_CUCM,
			       .how = how,
			       .ttl = 62,
			       .usual_ttl = 61,
			       .lost_before = 3 };

	made_must(kl_evidence_ending(&m->d.evidence, &e));
}

struct kl_finding *made_finding(struct made *m, enum kl_cause cause, enum kl_confidence confidence,
				const char *explanation, const char *remedy)
{
	struct kl_finding *f = &m->findings[m->finding_count++];

	*f = (struct kl_finding){ .cause = cause,
				  .confidence = confidence,
				  .fault = true,
				  .phones = 2,
				  .losses = m->d.lost_count };
	snprintf(f->explanation, sizeof(f->explanation), "%s", explanation);
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
	return f;
}

struct kl_finding_evidence *made_evidence(struct kl_finding *f, const char *text, bool against)
{
	struct kl_finding_evidence *e = &f->evidence[f->evidence_count++];

	*e = (struct kl_finding_evidence){ .against = against };
	snprintf(e->text, sizeof(e->text), "%s", text);
	return e;
}

void made_talk(struct made *m, struct kl_session *s, uint64_t from_ns, uint64_t until_ns,
	       uint64_t period_ms, bool answers)
{
	for (uint64_t t = from_ns; t < until_ns;
	     t += (period_ms + made_random_below(m, 20)) * MADE_MS) {
		made_observe(m, t, s->id, KL_TO_CUCM, false);
		s->keepalives++;
		if (!answers)
			continue;
		made_observe(m, t + 2 * MADE_MS + made_random_below(m, 900000), s->id, KL_TO_PHONE,
			     false);
		s->answered++;
	}
}

/* Both lists have the time first. */
static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void made_finish(struct made *m)
{
	struct kl_diagnosis *d = &m->d;

	if (d->observed_count) {
		qsort(d->observed, d->observed_count, sizeof(*d->observed), by_time);
		d->first_ns = d->observed[0].time_ns;
		d->last_ns = d->observed[d->observed_count - 1].time_ns;
	}
	if (d->lost_count)
		qsort(d->lost, d->lost_count, sizeof(*d->lost), by_time);
	kl_evidence_sort(&d->evidence);
	for (size_t i = 0; i < d->observed_count; i++)
		d->total.direction[d->observed[i].direction].sent++;
	d->two_sided = true;
	d->phones = kl_sessions_phones(m->sessions);
	d->sessions = m->sessions;
}

void made_done(struct made *m)
{
	for (size_t i = 0; i < m->d.lost_count; i++)
		free(m->d.lost[i].evidence);
	free(m->d.lost);
	free(m->d.observed);
	kl_evidence_done(&m->d.evidence);
	kl_sessions_free(m->sessions);
}
