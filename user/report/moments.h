/* SPDX-License-Identifier: GPL-2.0-only */
/* All that a diagnosis' timeline tells, in the order of time. */
#pragma once

#include "core/diagnosis.h"

enum kl_moment_what {
	KL_MOMENT_LOSS,
	KL_MOMENT_MAC,
	KL_MOMENT_ARP,
	KL_MOMENT_UNREGISTRATION,
};

struct kl_moment {
	enum kl_moment_what what;
	uint64_t time_ns;
	const struct kl_lost *lost; /* the one that belongs to `what` is set */
	const struct kl_mac_evidence *mac;
	const struct kl_arp_conflict *arp;
	const struct kl_alarm *alarm;
	size_t next[4]; /* by kind: where to go on; zero at first */
};

/* The next one, into *m. false: there is none. The diagnosis must be finished (sorted). */
bool kl_moment_next(const struct kl_diagnosis *d, struct kl_moment *m);
