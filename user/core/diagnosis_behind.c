// SPDX-License-Identifier: GPL-2.0-only
#include "core/diagnosis_behind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/* What is known of a drop; drops of the same segment are next to each other. */
struct known {
	const struct kl_session *session; /* NULL: nothing that is joined was seen of it */
	uint8_t kind;
	bool again;  /* a further copy was sent after it: its sender missed it, too */
	bool listed; /* a copy of it is a loss behind already, or may be */
};

static int compare(uint32_t seq, uint32_t direction, uint32_t length, const struct kl_drop *d)
{
	if (seq != d->seq)
		return seq < d->seq ? -1 : 1;
	if (direction != d->direction)
		return direction < d->direction ? -1 : 1;
	return length < d->length ? -1 : length > d->length;
}

static int by_segment(const void *a, const void *b)
{
	const struct kl_drop *x = a, *y = b;
	int r = compare(x->seq, x->direction, x->length, y);

	return r ?: (x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns);
}

/* The first one of this segment; count: there is none. */
static size_t find(const struct kl_drop *drops, size_t count, uint32_t seq, uint32_t direction,
		   uint32_t length)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(seq, direction, length, &drops[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && !compare(seq, direction, length, &drops[low]) ? low : count;
}

static void look_at_observed(const struct kl_diagnosis *d, const struct kl_drop *drops,
			     struct known *known, size_t count)
{
	for (size_t i = 0; i < d->observed_count; i++) {
		const struct kl_observed *o = &d->observed[i];
		size_t at = find(drops, count, o->seq, o->direction, o->length);
		const struct kl_session *s;

		if (at == count)
			continue;
		s = kl_sessions_find(d->sessions, o->session);
		for (; s && at < count && !compare(o->seq, o->direction, o->length, &drops[at]);
		     at++) {
			if (!kl_endpoints_equal(&s->ends, &drops[at].ends))
				continue;
			if (o->time_ns > drops[at].time_ns) {
				known[at].again = true;
				continue;
			}
			known[at].session = s;
			known[at].kind = o->kind;
		}
	}
}

/* (What was lost before or between never came to where these were dropped: it was another copy.) */
static void look_at_lost(const struct kl_diagnosis *d, const struct kl_drop *drops,
			 struct known *known, size_t count)
{
	for (size_t i = 0; i < d->lost_count; i++) {
		const struct kl_lost *l = &d->lost[i];
		size_t at;

		if (l->where != kl_where_behind(l->direction) && l->where != KL_WHERE_UNKNOWN)
			continue;
		at = find(drops, count, l->seq, l->direction, l->length);
		for (; at < count && !compare(l->seq, l->direction, l->length, &drops[at]); at++)
			known[at].listed |= kl_endpoints_equal(&l->ends, &drops[at].ends);
	}
}

static int add_loss(struct kl_diagnosis *d, const struct kl_drop *drop, const struct known *known)
{
	enum kl_where where = kl_where_behind(drop->direction);
	const struct kl_session *s = known->session;
	struct kl_lost lost = {
		.time_ns = drop->time_ns,
		.conn_id = s->id,
		.ends = s->ends,
		.seen = { s->ends, s->ends },
		.vlan = s->vlan,
		.where = (uint8_t)where,
		.direction = drop->direction,
		.kind = known->kind,
		.probable = s->probable,
		.seq = drop->seq,
		.seq_other = drop->seq,
		.length = drop->length,
		.copies = { 1, 1 },
		.evidence = "it left here, and this kernel dropped it in the queue behind",
	};
	int r = kl_evidence_drop(&d->evidence, drop, &lost.drop);

	memcpy(lost.mac, s->mac, sizeof(lost.mac));
	memcpy(lost.device, s->device, sizeof(lost.device));
	d->inferred[drop->direction & 1][where]++;
	return r ?: kl_diagnosis_lost(d, &lost);
}

int kl_diagnosis_behind(struct kl_diagnosis *d, struct kl_drop *drops, size_t count)
{
	_cleanup_free_ struct known *known = calloc(count + 1, sizeof(*known));
	int r = 0;

	if (!known)
		return -ENOMEM;
	if (!count)
		return 0;
	qsort(drops, count, sizeof(*drops), by_segment);
	look_at_observed(d, drops, known, count);
	look_at_lost(d, drops, known, count);
	for (size_t i = 0; !r && i < count; i++) {
		if (known[i].session && known[i].again && !known[i].listed)
			r = add_loss(d, &drops[i], &known[i]);
	}
	return r;
}
