/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What could have made the numbers wrong, by name: the numbers of enum kl_incident and enum kl_fate
 * may change from one version to the next, what is in a history does not. Pure.
 */
#pragma once

#include "core/tally.h"

typedef void (*kl_incident_visitor)(const char *name, uint64_t count, void *arg);

void kl_incidents_visit(const struct kl_counters *n, const struct kl_tally_own *own,
			kl_incident_visitor visit, void *arg);
/* False: there is none of that name. */
bool kl_incidents_add(struct kl_counters *n, struct kl_tally_own *own, const char *name,
		      uint64_t count);
