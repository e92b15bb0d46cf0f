// SPDX-License-Identifier: GPL-2.0-only
#include "report/moments.h"

/* When the next one of a kind is; UINT64_MAX: there is none. */
static uint64_t next_time(const struct kl_diagnosis *d, struct kl_moment *m,
			  enum kl_moment_what what)
{
	const struct kl_evidence *e = &d->evidence;
	size_t *next = &m->next[what];

	switch (what) {
	case KL_MOMENT_LOSS:
		return *next < d->lost_count ? d->lost[*next].time_ns : UINT64_MAX;
	case KL_MOMENT_MAC:
		return *next < e->mac.count ? e->mac.item[*next].time_ns : UINT64_MAX;
	case KL_MOMENT_ARP:
		return *next < e->arp.count ? e->arp.item[*next].time_ns : UINT64_MAX;
	case KL_MOMENT_UNREGISTRATION:
		while (*next < e->alarm.count && !kl_alarm_is_unregistration(&e->alarm.item[*next]))
			++*next;
		return *next < e->alarm.count ? e->alarm.item[*next].time_ns : UINT64_MAX;
	}
	return UINT64_MAX;
}

bool kl_moment_next(const struct kl_diagnosis *d, struct kl_moment *m)
{
	uint64_t first_ns = UINT64_MAX;
	size_t i;

	for (int what = KL_MOMENT_LOSS; what <= KL_MOMENT_UNREGISTRATION; what++) {
		uint64_t time_ns = next_time(d, m, (enum kl_moment_what)what);

		if (time_ns < first_ns) {
			first_ns = time_ns;
			m->what = (enum kl_moment_what)what;
		}
	}
	if (first_ns == UINT64_MAX)
		return false;
	m->time_ns = first_ns;
	i = m->next[m->what]++;
	m->lost = m->what == KL_MOMENT_LOSS ? &d->lost[i] : NULL;
	m->mac = m->what == KL_MOMENT_MAC ? &d->evidence.mac.item[i] : NULL;
	m->arp = m->what == KL_MOMENT_ARP ? &d->evidence.arp.item[i] : NULL;
	m->alarm = m->what == KL_MOMENT_UNREGISTRATION ? &d->evidence.alarm.item[i] : NULL;
	return true;
}
