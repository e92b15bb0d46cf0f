// SPDX-License-Identifier: GPL-2.0-only
/* Removals from MAC tables, and the losses after them. */
#include "core/correlate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/duration.h"

/* What the kernel tells may come so late. */
#define LATE_KERNEL_NS (100 * KL_NS_PER_MS)
/* Removals as near as this are one moment. */
#define MOMENT_NS KL_NS_PER_S

enum {
	LOOK_BACK = 32, /* removals of one MAC that may overlap in time */
	SHIFTS = 199,
	SHIFTED_MAX = 2000, /* losses that are shifted */
};

uint64_t kl_mac_key(const uint8_t mac[6])
{
	uint64_t key = 0;

	for (int i = 0; i < 6; i++)
		key = key << 8 | mac[i];
	return key;
}

/* ---- Looking them up ---- */

static int by_key(const void *a, const void *b)
{
	const struct kl_removal *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->to_ns < y->to_ns ? -1 : x->to_ns > y->to_ns;
}

/*
 * A frame to a MAC that was silent for longer is dropped before the entry is cleared away, which is
 * when it is told.
 */
static uint64_t overdue_ns(const struct kl_evidence *e, const struct kl_mac_evidence *m)
{
	for (size_t i = 0; m->happening == KL_MAC_AGED && i < e->ageing.count; i++) {
		const struct kl_ageing_evidence *a = &e->ageing.item[i];

		if (!a->port_security && a->source == m->source && a->ageing_ms &&
		    a->ageing_ms < m->silent_ms && !strcmp(a->told_by, m->told_by))
			return (m->silent_ms - a->ageing_ms) * KL_NS_PER_MS;
	}
	return 0;
}

int kl_removals_new(const struct kl_evidence *e, unsigned happenings, uint64_t network_late_ns,
		    struct kl_removals *ret)
{
	*ret = (struct kl_removals){ .evidence = e };
	if (!e->mac.count)
		return 0;
	ret->list = calloc(e->mac.count, sizeof(*ret->list));
	if (!ret->list)
		return -ENOMEM;
	for (size_t i = 0; i < e->mac.count; i++) {
		const struct kl_mac_evidence *m = &e->mac.item[i];
		uint64_t earliest_ns = m->earliest_ns && m->earliest_ns < m->time_ns
					       ? m->earliest_ns
					       : m->time_ns;
		uint64_t late_ns = m->happening == KL_MAC_LEARNED    ? 0
				   : m->source == KL_MAC_FROM_BRIDGE ? LATE_KERNEL_NS
								     : network_late_ns;

		if (!(happenings >> m->happening & 1))
			continue;
		ret->list[ret->count++] = (struct kl_removal){
			.key = m->has_mac ? kl_mac_key(m->mac) : KL_REMOVAL_TABLE,
			.from_ns = kl_since(earliest_ns, late_ns + overdue_ns(e, m)),
			.to_ns = m->time_ns,
			.index = (uint32_t)i,
		};
	}
	if (ret->count)
		qsort(ret->list, ret->count, sizeof(*ret->list), by_key);
	return 0;
}

void kl_removals_done(struct kl_removals *r)
{
	free(r->list);
	*r = (struct kl_removals){};
}

/* The first one of this key that ended after from_ns, or what comes behind them. */
static size_t first_after(const struct kl_removals *r, uint64_t key, uint64_t from_ns)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct kl_removal *m = &r->list[middle];

		if (m->key < key || (m->key == key && m->to_ns <= from_ns))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct kl_mac_evidence *kl_removals_find(const struct kl_removals *r, uint64_t key,
					       uint64_t from_ns, uint64_t to_ns)
{
	/* The ones that ended until then, and of those after, the ones that may have begun before. */
	size_t first = first_after(r, key, from_ns), last = first_after(r, key, to_ns);

	for (int i = 0; i < LOOK_BACK && last < r->count && r->list[last].key == key; i++, last++) {
		if (r->list[last].from_ns >= to_ns)
			break;
	}
	return last > first ? &r->evidence->mac.item[r->list[last - 1].index] : NULL;
}

/* ---- Together with losses ---- */

/* A first copy, and whose tables it needs. */
struct asked {
	uint64_t time_ns;
	uint64_t idle_ns;
	uint64_t session;
	uint64_t key[3]; /* the phone's, the next hop's, the whole table */
};

/* What went in one direction. */
struct copies {
	struct asked *lost, *delivered;
	size_t lost_count, delivered_count;
};

static void copies_done(struct copies *c)
{
	free(c->lost);
	free(c->delivered);
}

static const struct kl_mac_evidence *removal_before(const struct kl_removals *r,
						    const struct asked *a, uint64_t time_ns)
{
	const struct kl_mac_evidence *last = NULL;

	for (int i = 0; i < 3; i++) {
		const struct kl_mac_evidence *m;

		if (!a->key[i])
			continue;
		m = kl_removals_find(r, a->key[i], kl_since(time_ns, a->idle_ns), time_ns);
		if (m && (!last || m->time_ns > last->time_ns))
			last = m;
	}
	return last;
}

static bool is_compared(const struct kl_observed *o, uint32_t direction,
			const struct kl_split *skip)
{
	if (o->direction != direction || o->again || !o->idle_known || o->idle_ms == UINT32_MAX ||
	    o->where == KL_WHERE_UNKNOWN || o->where == KL_CUCM_SIDE)
		return false;
	/* (Delivered ones, too, or only those would be left that were delivered.) */
	return !skip || !skip->table.lost_with || o->direction != skip->direction ||
	       o->idle_ms < skip->above;
}

static void ask(const struct kl_diagnosis *d, const struct kl_observed *o, struct copies *to)
{
	const struct kl_session *s = kl_sessions_find(d->sessions, o->session);
	uint64_t phone = s ? kl_mac_key(s->mac) : 0;

	if (!phone)
		return;
	*(o->lost ? &to->lost[to->lost_count++]
		  : &to->delivered[to->delivered_count++]) = (struct asked){
		.time_ns = o->time_ns,
		.idle_ns = o->idle_ms * KL_NS_PER_MS,
		.session = o->session,
		.key = { phone, o->direction == KL_TO_CUCM ? kl_mac_key(s->next_mac) : 0,
			 KL_REMOVAL_TABLE },
	};
}

static int gather(const struct kl_diagnosis *d, uint32_t direction, const struct kl_split *skip,
		  struct copies *ret)
{
	size_t lost = 0, delivered = 0;

	for (size_t i = 0; i < d->observed_count; i++) {
		if (is_compared(&d->observed[i], direction, skip))
			*(d->observed[i].lost ? &lost : &delivered) += 1;
	}
	ret->lost = calloc(lost ?: 1, sizeof(*ret->lost));
	ret->delivered = calloc(delivered ?: 1, sizeof(*ret->delivered));
	if (!ret->lost || !ret->delivered)
		return -ENOMEM;
	for (size_t i = 0; i < d->observed_count; i++) {
		if (is_compared(&d->observed[i], direction, skip))
			ask(d, &d->observed[i], ret);
	}
	return 0;
}

static void note_silence(const struct kl_mac_evidence *m, const struct asked *a,
			 struct kl_link *ret)
{
	uint64_t last_ns = kl_since(a->time_ns, a->idle_ns);
	uint64_t silent_ms = m->silent_ms ?: kl_since(m->time_ns, last_ns) / KL_NS_PER_MS;

	if (silent_ms > UINT32_MAX)
		silent_ms = UINT32_MAX;
	if (!ret->silent_min_ms || silent_ms < ret->silent_min_ms)
		ret->silent_min_ms = (uint32_t)silent_ms;
	if (silent_ms > ret->silent_max_ms)
		ret->silent_max_ms = (uint32_t)silent_ms;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Different ones among them; apart: so far from the one counted before. */
static uint64_t count_apart(uint64_t *list, size_t count, uint64_t apart)
{
	uint64_t counted = 0, last = 0;

	if (count)
		qsort(list, count, sizeof(*list), by_number);
	for (size_t i = 0; i < count; i++) {
		if (counted && list[i] - last < apart)
			continue;
		counted++;
		last = list[i];
	}
	return counted;
}

/*
 * Were the same removals at other times, would they fit as well? All are shifted together, and what
 * goes over the end comes in at the beginning: so bursts of losses, and of removals, stay bursts.
 */
static double shifted(const struct kl_diagnosis *d, const struct kl_removals *r,
		      const struct asked *lost, size_t count)
{
	uint64_t duration_ns = d->last_ns - d->first_ns;
	size_t step = count / SHIFTED_MAX + 1, fit = 0, as_well = 0;

	if (d->last_ns <= d->first_ns)
		return 1;
	for (size_t i = 0; i < count; i += step)
		fit += removal_before(r, &lost[i], lost[i].time_ns) != NULL;
	for (int n = 1; n <= SHIFTS; n++) {
		/* The golden section: shifts that lie evenly, and in no rhythm. */
		double part = n * 0.6180339887498949;
		uint64_t shift_ns = (uint64_t)((part - floor(part)) * (double)duration_ns);
		size_t fits = 0;

		for (size_t i = 0; i < count; i += step) {
			uint64_t at = kl_since(lost[i].time_ns, d->first_ns) + shift_ns;

			if (at >= duration_ns)
				at -= duration_ns;
			fits += removal_before(r, &lost[i], d->first_ns + at) != NULL;
		}
		as_well += fits >= fit;
	}
	return (double)(as_well + 1) / (SHIFTS + 1);
}

/* For each lost copy, in the worse of the two directions. */
struct link_room {
	uint64_t *times, *sessions;
};

static void link_direction(const struct kl_diagnosis *d, const struct kl_removals *r,
			   const struct copies *c, struct link_room *room, struct kl_link *ret)
{
	size_t after = 0;

	for (size_t i = 0; i < c->delivered_count; i++) {
		const struct asked *a = &c->delivered[i];

		*(removal_before(r, a, a->time_ns) ? &ret->table.delivered_with
						   : &ret->table.delivered_without) += 1;
	}
	for (size_t i = 0; i < c->lost_count; i++) {
		const struct asked *a = &c->lost[i];
		const struct kl_mac_evidence *m = removal_before(r, a, a->time_ns);

		*(m ? &ret->table.lost_with : &ret->table.lost_without) += 1;
		if (!m)
			continue;
		ret->lost_after[m->happening]++;
		ret->example = m;
		note_silence(m, a, ret);
		room->times[after] = m->time_ns;
		room->sessions[after++] = a->session;
	}
	if (!after)
		return;
	ret->moments = count_apart(room->times, after, MOMENT_NS);
	ret->phones = count_apart(room->sessions, after, 1);
	ret->odds = kl_fisher_odds(&ret->table);
	/* (Twice: of two directions, the stronger one is told.) */
	ret->p = fmin(1, 2 * kl_fisher_greater(&ret->table));
	ret->p_two_sided = fmin(1, 2 * kl_fisher_two_sided(&ret->table));
	if (ret->p < 0.05)
		ret->chance = shifted(d, r, c->lost, c->lost_count);
}

static bool is_from_network(const struct kl_evidence *e)
{
	for (size_t i = 0; i < e->mac.count; i++) {
		if (e->mac.item[i].source != KL_MAC_FROM_BRIDGE)
			return true;
	}
	return false;
}

static int link_with(const struct kl_diagnosis *d, unsigned happenings, uint64_t late_ns,
		     const struct copies copies[KL_DIRECTIONS], struct link_room *room,
		     struct kl_link *ret)
{
	__attribute__((cleanup(kl_removals_done))) struct kl_removals removals = {};
	struct kl_link link[KL_DIRECTIONS];
	int r = kl_removals_new(&d->evidence, happenings, late_ns, &removals);

	*ret = KL_NO_LINK;
	if (r || !removals.count)
		return r;
	for (uint32_t direction = 0; direction < KL_DIRECTIONS; direction++) {
		link[direction] = (struct kl_link){ .p = 1,
						    .p_two_sided = 1,
						    .chance = 1,
						    .odds = 1,
						    .direction = (uint8_t)direction,
						    .stride = d->observed_stride ?: 1 };
		link_direction(d, &removals, &copies[direction], room, &link[direction]);
	}
	*ret = link[link[KL_TO_PHONE].p < link[KL_TO_CUCM].p ? KL_TO_PHONE : KL_TO_CUCM];
	ret->late_ns = late_ns;
	return 0;
}

static int link_gathered(const struct kl_diagnosis *d, unsigned happenings,
			 const struct copies copies[KL_DIRECTIONS], struct kl_link *ret)
{
	/* How late a trap or a line of syslog comes is not known. */
	static const uint64_t late_ns[] = { KL_LATE_NS, KL_NS_PER_S, KL_NS_PER_S / 4 };
	size_t tries = is_from_network(&d->evidence) ? KL_COUNT(late_ns) : 1;
	size_t lost = copies[KL_TO_CUCM].lost_count > copies[KL_TO_PHONE].lost_count
			      ? copies[KL_TO_CUCM].lost_count
			      : copies[KL_TO_PHONE].lost_count;
	_cleanup_free_ uint64_t *times = calloc(lost ?: 1, sizeof(*times));
	_cleanup_free_ uint64_t *sessions = calloc(lost ?: 1, sizeof(*sessions));

	if (!times || !sessions)
		return -ENOMEM;
	for (size_t i = 0; i < tries; i++) {
		struct link_room room = { times, sessions };
		struct kl_link link;
		int r = link_with(d, happenings, late_ns[i], copies, &room, &link);

		if (r)
			return r;
		if (!i || link.p < ret->p)
			*ret = link;
	}
	ret->p = fmin(1, ret->p * (double)tries);
	ret->p_two_sided = fmin(1, ret->p_two_sided * (double)tries);
	return 0;
}

int kl_link_removals(const struct kl_diagnosis *d, unsigned happenings, const struct kl_split *skip,
		     struct kl_link *ret)
{
	struct copies copies[KL_DIRECTIONS] = {};
	size_t lost = 0;
	int r = 0;

	*ret = KL_NO_LINK;
	for (size_t i = 0; i < d->observed_count; i++)
		lost += d->observed[i].lost;
	if (!lost)
		return 0;
	for (uint32_t direction = 0; direction < KL_DIRECTIONS && !r; direction++)
		r = gather(d, direction, skip, &copies[direction]);
	if (!r)
		r = link_gathered(d, happenings, copies, ret);
	for (uint32_t direction = 0; direction < KL_DIRECTIONS; direction++)
		copies_done(&copies[direction]);
	return r;
}
