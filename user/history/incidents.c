// SPDX-License-Identifier: GPL-2.0-only
#include "history/incidents.h"

#include <stdio.h>
#include <string.h>

#include "core/names.h"

/* As in docs/contract.md; ARP has none there. */
static const char *const names[KL_INCIDENTS] = {
	[KL_EVENTS_LOST] = "events_lost",	[KL_JOIN_FULL] = "join_full",
	[KL_CONNS_REFUSED] = "flows_refused",	[KL_MALFORMED_FRAMES] = "malformed",
	[KL_FRAGMENTS] = "fragments",		[KL_LATE] = "late",
	[KL_HASH_COLLISIONS] = "collisions",	[KL_WRONG_WAY_ACCESS] = "wrong_way_access",
	[KL_WRONG_WAY_CUCM] = "wrong_way_cucm", [KL_ARP_LOST] = "arp_lost",
	[KL_ARP_MALFORMED] = "arp_malformed",
};

static void name_fate(int fate, char ret[48])
{
	snprintf(ret, 48, "unpaired_%s", kl_fate_name((__u32)fate));
}

void kl_incidents_visit(const struct kl_counters *n, const struct kl_tally_own *own,
			kl_incident_visitor visit, void *arg)
{
	char name[48];

	for (int i = 0; i < KL_INCIDENTS; i++)
		visit(names[i], n->incident[i], arg);
	for (int i = 0; i < KL_FATES; i++) {
		name_fate(i, name);
		visit(name, n->unpaired[i], arg);
	}
	visit("flows_evicted", own->flows_evicted, arg);
	visit("gaps", own->gaps, arg);
	visit("one_way", own->one_way, arg);
}

bool kl_incidents_add(struct kl_counters *n, struct kl_tally_own *own, const char *name,
		      uint64_t count)
{
	char fate[48];

	for (int i = 0; i < KL_INCIDENTS; i++) {
		if (!strcmp(names[i], name)) {
			n->incident[i] += count;
			return true;
		}
	}
	for (int i = 0; i < KL_FATES; i++) {
		name_fate(i, fate);
		if (!strcmp(fate, name)) {
			n->unpaired[i] += count;
			return true;
		}
	}
	if (!strcmp(name, "flows_evicted"))
		own->flows_evicted += count;
	else if (!strcmp(name, "gaps"))
		own->gaps += count;
	else if (!strcmp(name, "one_way"))
		own->one_way += count;
	else
		return false;
	return true;
}
