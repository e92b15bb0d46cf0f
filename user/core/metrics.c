// SPDX-License-Identifier: GPL-2.0-only
#include "core/metrics.h"

#include <string.h>

void kl_metrics_story(struct kl_metrics *m, const struct kl_story *story)
{
	__u32 d = story->direction & 1, k = story->kind < KL_KINDS ? story->kind : KL_OTHER;

	if (story->type == KL_STORY_LOSS)
		m->lost_outside[d][k][story->where]++;
	else if (story->type == KL_STORY_RETRANSMISSION && story->inferred)
		m->retransmitted_unseen[d][k]++;
	else if (story->type == KL_STORY_FORECAST)
		m->forecasts[story->state]++;
}

void kl_metrics_mac(struct kl_metrics *m, const struct kl_mac_evidence *e)
{
	if (e->source < KL_MAC_SOURCES && e->happening < KL_MAC_HAPPENINGS)
		m->mac[e->source][e->happening]++;
}

void kl_metrics_unregistration(struct kl_metrics *m, const struct kl_alarm *a)
{
	const char *names[KL_CUCM_REASONS_MAX];
	size_t count = kl_cucm_reasons(names);

	for (size_t i = 0; i < count; i++) {
		if (!strcmp(names[i], a->reason_name)) {
			m->unregistrations[i]++;
			return;
		}
	}
	m->unregistrations_other++;
}

void kl_metrics_tick(struct kl_metrics *m, const struct kl_tally_state *tally,
		     const struct kl_evidence *has)
{
	m->total = tally->total;
	memcpy(m->transit, tally->last.transit, sizeof(m->transit));
	memcpy(m->answer, tally->last.answer, sizeof(m->answer));
	m->has_mac[KL_MAC_FROM_BRIDGE] = has->has_bridge;
	m->has_mac[KL_MAC_FROM_SNMP] = has->has_snmp;
	m->has_mac[KL_MAC_FROM_SYSLOG] = has->has_syslog;
	m->has_alarms = has->has_syslog;
}
