// SPDX-License-Identifier: GPL-2.0-only
/* What was seen beside the segments. */
#include <stdio.h>
#include <string.h>

#include "core/names.h"
#include "history/load_internal.h"

static uint8_t source_of(const char *name)
{
	for (unsigned s = 0; s < KL_MAC_SOURCES; s++) {
		if (!strcmp(kl_mac_source_name((enum kl_mac_source)s), name))
			return (uint8_t)s;
	}
	return KL_MAC_FROM_SNMP;
}

static int take_mac(struct kl_load *l, sqlite3_stmt *q)
{
	struct kl_mac_evidence m = {
		.time_ns = kl_column_number(q, 0),
		.earliest_ns = kl_column_number(q, 1),
		.source = source_of(kl_column_text(q, 3)),
		.has_mac = sqlite3_column_type(q, 4) != SQLITE_NULL,
		.vlan = (uint16_t)kl_column_number(q, 5),
		.silent_ms = (uint32_t)kl_column_number(q, 6),
	};

	while (m.happening < KL_MAC_HAPPENINGS &&
	       strcmp(kl_mac_happening_name((enum kl_mac_happening)m.happening),
		      kl_column_text(q, 2)))
		m.happening++;
	if (m.happening == KL_MAC_HAPPENINGS)
		return 0;
	kl_load_mac(kl_column_text(q, 4), m.mac);
	kl_column_copy(q, 7, m.port, sizeof(m.port));
	kl_column_copy(q, 8, m.from_port, sizeof(m.from_port));
	kl_column_copy(q, 9, m.told_by, sizeof(m.told_by));
	return kl_evidence_mac(&l->v->d.evidence, &m);
}

static int take_ageing(struct kl_load *l, sqlite3_stmt *q)
{
	struct kl_ageing_evidence a = {
		.source = source_of(kl_column_text(q, 0)),
		.port_security = kl_column_number(q, 3),
		.absolute = kl_column_number(q, 4),
		.time_ns = kl_column_number(q, 5),
		.ageing_ms = kl_column_number(q, 6),
	};

	kl_column_copy(q, 1, a.told_by, sizeof(a.told_by));
	kl_column_copy(q, 2, a.port, sizeof(a.port));
	return kl_evidence_ageing(&l->v->d.evidence, &a);
}

/* "MAC answers first answers, ..." */
static void read_claims(const char *claims, struct kl_arp_conflict *ret)
{
	while (ret->mac_count < KL_ARP_MACS) {
		unsigned answers, first_answers;
		char mac[KL_MAC_TEXT];

		if (sscanf(claims, "%17s %u %u", mac, &answers, &first_answers) != 3)
			return;
		kl_load_mac(mac, ret->mac[ret->mac_count]);
		ret->answers[ret->mac_count] = answers;
		ret->first_answers[ret->mac_count++] = first_answers;
		claims = strchr(claims, ',');
		if (!claims)
			return;
		claims++;
	}
}

static int take_arp(struct kl_load *l, sqlite3_stmt *q)
{
	struct kl_arp_conflict c = {
		.first_ns = kl_column_number(q, 1),
		.time_ns = kl_column_number(q, 2),
		.requests = (uint32_t)kl_column_number(q, 3),
		.first = (uint8_t)(kl_column_number(q, 4) % KL_ARP_MACS),
	};

	c.address.family = kl_load_address(kl_column_text(q, 0), c.address.word);
	read_claims(kl_column_text(q, 5), &c);
	return kl_evidence_arp(&l->v->d.evidence, &c);
}

static int take_alarm(struct kl_load *l, sqlite3_stmt *q)
{
	struct kl_alarm a = {
		.session = kl_column_number(q, 0),
		.time_ns = kl_column_number(q, 1),
		.type = (uint8_t)(kl_column_number(q, 2) <= KL_ALARM_OTHER ? kl_column_number(q, 2)
									   : KL_ALARM_OTHER),
		.reason = (int)sqlite3_column_int64(q, 6),
		.matched_loss = kl_column_number(q, 11),
		.losses = kl_column_number(q, 12),
	};

	kl_column_copy(q, 3, a.name, sizeof(a.name));
	kl_column_copy(q, 4, a.device, sizeof(a.device));
	a.address.family = kl_load_address(kl_column_text(q, 5), a.address.word);
	kl_column_copy(q, 7, a.reason_name, sizeof(a.reason_name));
	kl_column_copy(q, 8, a.protocol, sizeof(a.protocol));
	kl_column_copy(q, 9, a.node, sizeof(a.node));
	kl_column_copy(q, 10, a.last_signal, sizeof(a.last_signal));
	kl_load_use_session(l, a.session);
	return kl_evidence_alarm(&l->v->d.evidence, &a);
}

static int take_stop(struct kl_load *l, sqlite3_stmt *q)
{
	struct kl_ending e = {
		.session = kl_column_number(q, 0),
		.time_ns = kl_column_number(q, 1),
		.leaves = kl_column_number(q, 4),
		.ttl = (uint8_t)kl_column_number(q, 5),
		.usual_ttl = (uint8_t)kl_column_number(q, 6),
		.first_side = strcmp(kl_column_text(q, 7), kl_side_name(KL_CUCM)) ? KL_ACCESS
										  : KL_CUCM,
	};
	const char *by = kl_column_text(q, 2), *how = kl_column_text(q, 3);

	e.by = !strcmp(by, "phone")  ? KL_BY_PHONE
	       : !strcmp(by, "cucm") ? KL_BY_CUCM
				     : KL_BY_UNKNOWN;
	e.how = !strcmp(how, "fin")	  ? KL_HOW_FIN
		: !strcmp(how, "rst")	  ? KL_HOW_RST
		: !strcmp(how, "timeout") ? KL_HOW_TIMEOUT
					  : KL_HOW_NULL;
	kl_load_use_session(l, e.session);
	return kl_evidence_ending(&l->v->d.evidence, &e);
}

static int take_rule(struct kl_load *l, sqlite3_stmt *q)
{
	struct kl_rule_evidence r = {
		.time_ns = kl_column_number(q, 2),
		.packets = kl_column_number(q, 3),
		.counted = kl_column_number(q, 4),
	};

	kl_column_copy(q, 0, r.rule, sizeof(r.rule));
	kl_column_copy(q, 1, r.says, sizeof(r.says));
	return kl_evidence_rule(&l->v->d.evidence, &r);
}

static int take_run(struct kl_load *l, sqlite3_stmt *q)
{
	struct kl_evidence *e = &l->v->d.evidence;

	e->has_bridge |= kl_column_number(q, 0);
	e->has_snmp |= kl_column_number(q, 1);
	e->has_syslog |= kl_column_number(q, 2);
	e->has_arp |= kl_column_number(q, 3);
	e->has_drops |= kl_column_number(q, 4);
	e->has_alarms |= kl_column_number(q, 5);
	return 0;
}

int kl_load_evidence(struct kl_load *l)
{
	int r = kl_load_each(l,
			 "SELECT has_bridge, has_snmp, has_syslog, has_arp, has_drops, has_alarms"
			 " FROM " KL_LOAD_RUNS,
			 take_run)
			?: kl_load_each(l,
				    "SELECT time_ns, earliest_ns, event, source, mac, vlan,"
				    " silent_ms, port, from_port, told_by FROM mac"
				    " WHERE time_ns BETWEEN ?1 AND ?2 ORDER BY id",
				    take_mac)
			?: kl_load_each(l,
				    "SELECT source, told_by, port, port_security, absolute,"
				    " max(time_ns), ageing_ms FROM ageing WHERE run IN"
				    " (SELECT id FROM " KL_LOAD_RUNS ")"
				    " GROUP BY source, told_by, port, port_security ORDER BY time_ns",
				    take_ageing)
			?: kl_load_each(l,
				    "SELECT ip, first_ns, time_ns, requests, first, claims FROM arp"
				    " WHERE time_ns BETWEEN ?1 AND ?2 ORDER BY time_ns",
				    take_arp)
			?: kl_load_each(l,
				    "SELECT session, time_ns, type, name, device, ip, reason,"
				    " reason_name, protocol, node, last_signal, matched_loss,"
				    " losses FROM alarm WHERE time_ns BETWEEN ?1 AND ?2 ORDER BY id",
				    take_alarm)
			?: kl_load_each(l,
				    "SELECT session, time_ns, by, how, leaves, ttl, usual_ttl,"
				    " first_side FROM session_event WHERE time_ns BETWEEN ?1 AND ?2"
				    " AND event = 'stop' ORDER BY id",
				    take_stop);

	if (r || !l->v->d.evidence.drop.count)
		return r;
	return kl_load_each(
		l,
		"SELECT rule, max(says), max(time_ns), sum(packets), max(counted) FROM rule"
		" WHERE time_ns BETWEEN ?1 AND ?2 GROUP BY rule"
		" ORDER BY max(counted) DESC, sum(packets) DESC",
		take_rule);
}
