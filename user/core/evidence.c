// SPDX-License-Identifier: GPL-2.0-only
#include "core/evidence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *kl_mac_happening_name(enum kl_mac_happening happening)
{
	static const char *const names[KL_MAC_HAPPENINGS] = {
		[KL_MAC_LEARNED] = "learned",	  [KL_MAC_MOVED] = "moved",
		[KL_MAC_AGED] = "aged",		  [KL_MAC_FLUSHED] = "flushed",
		[KL_MAC_VIOLATION] = "violation", [KL_MAC_TOPOLOGY_CHANGE] = "topology_change",
	};

	return names[happening];
}

const char *kl_mac_source_name(enum kl_mac_source source)
{
	static const char *const names[KL_MAC_SOURCES] = {
		[KL_MAC_FROM_BRIDGE] = "bridge",
		[KL_MAC_FROM_SNMP] = "snmp",
		[KL_MAC_FROM_SYSLOG] = "syslog",
	};

	return names[source];
}

bool kl_alarm_is_unregistration(const struct kl_alarm *a)
{
	return a->type == KL_ALARM_UNREGISTERED || a->type == KL_ALARM_TRANSIENT ||
	       a->type == KL_ALARM_CONNECTION;
}

bool kl_address_equal(const struct kl_address *a, const struct kl_address *b)
{
	return a->family == b->family && !memcmp(a->word, b->word, sizeof(a->word));
}

struct kl_address kl_address_of(uint8_t family, const uint32_t word[4])
{
	struct kl_address ret = { .family = family };

	memcpy(ret.word, word, sizeof(ret.word));
	return ret;
}

/* ---- The lists ---- */

/* The common beginning of all lists. */
typedef KL_EVIDENCE_LIST(void) any_list;

int kl_evidence_list_add(void *list, size_t max, const void *item, size_t size)
{
	any_list *l = list;

	if (l->count == max) {
		l->unlisted++;
		return 1;
	}
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		void *grown = reallocarray(l->item, room, size);

		if (!grown)
			return -ENOMEM;
		l->item = grown;
		l->room = room;
	}
	memcpy((char *)l->item + l->count++ * size, item, size);
	return 0;
}

static int add_only(void *list, const void *item, size_t size)
{
	int r = kl_evidence_list_add(list, KL_EVIDENCE_MAX, item, size);

	return r < 0 ? r : 0;
}

int kl_evidence_mac(struct kl_evidence *e, const struct kl_mac_evidence *m)
{
	return add_only(&e->mac, m, sizeof(*m));
}

int kl_evidence_ageing(struct kl_evidence *e, const struct kl_ageing_evidence *a)
{
	return add_only(&e->ageing, a, sizeof(*a));
}

int kl_evidence_arp(struct kl_evidence *e, const struct kl_arp_conflict *c)
{
	for (size_t i = 0; i < e->arp.count; i++) {
		if (kl_address_equal(&e->arp.item[i].address, &c->address)) {
			e->arp.item[i] = *c;
			return 0;
		}
	}
	return add_only(&e->arp, c, sizeof(*c));
}

int kl_evidence_drop(struct kl_evidence *e, const struct kl_drop *d, size_t *ret_index)
{
	int r = kl_evidence_list_add(&e->drop, KL_EVIDENCE_MAX, d, sizeof(*d));

	if (ret_index)
		*ret_index = r ? 0 : e->drop.count;
	return r < 0 ? r : 0;
}

int kl_evidence_rule(struct kl_evidence *e, const struct kl_rule_evidence *r)
{
	return add_only(&e->rule, r, sizeof(*r));
}

int kl_evidence_alarm(struct kl_evidence *e, const struct kl_alarm *a)
{
	return add_only(&e->alarm, a, sizeof(*a));
}

int kl_evidence_trace(struct kl_evidence *e, const struct kl_trace_message *m)
{
	return add_only(&e->trace, m, sizeof(*m));
}

int kl_evidence_ending(struct kl_evidence *e, const struct kl_ending *ending)
{
	return add_only(&e->ending, ending, sizeof(*ending));
}

/* Every piece begins with its time. */
static int by_time(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static void sort(void *list, size_t size)
{
	any_list *l = list;

	if (l->count)
		qsort(l->item, l->count, size, by_time);
}

/* (Not the drops: losses refer to them by their place.) */
void kl_evidence_sort(struct kl_evidence *e)
{
	sort(&e->mac, sizeof(*e->mac.item));
	sort(&e->ageing, sizeof(*e->ageing.item));
	sort(&e->arp, sizeof(*e->arp.item));
	sort(&e->alarm, sizeof(*e->alarm.item));
	sort(&e->trace, sizeof(*e->trace.item));
	sort(&e->ending, sizeof(*e->ending.item));
}

void kl_evidence_done(struct kl_evidence *e)
{
	free(e->mac.item);
	free(e->ageing.item);
	free(e->arp.item);
	free(e->drop.item);
	free(e->rule.item);
	free(e->alarm.item);
	free(e->trace.item);
	free(e->ending.item);
	*e = (struct kl_evidence){};
}
