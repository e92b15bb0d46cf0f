// SPDX-License-Identifier: GPL-2.0-only
#include "core/diagnosis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/diagnosis_observed.h"
#include "util/duration.h"
#include "util/hash.h"

/* So long, and two periods of its keepalives, what a capture missed leads to wrong conclusions. */
#define DOUBT_NS (150 * KL_NS_PER_S)
/* Captures that begin and end within this time of each other do so together. */
#define TOGETHER_NS KL_NS_PER_S
#define LONGEST_PERIOD_NS (86400 * KL_NS_PER_S)

struct open_key {
	uint64_t conn_id;
	uint32_t seq;
	uint32_t len_direction;
};

struct kl_open_loss {
	struct open_key key;
	size_t last; /* index of the last loss, plus 1 */
	UT_hash_handle hh;
};

static void forget_open(struct kl_diagnosis *d, struct kl_open_loss *o)
{
	HASH_DEL(d->open, o);
	free(o);
}

void kl_diagnosis_done(struct kl_diagnosis *d)
{
	struct kl_open_loss *o, *next;

	HASH_ITER(hh, d->open, o, next)
	forget_open(d, o);
	for (size_t i = 0; i < d->lost_count; i++)
		free(d->lost[i].evidence);
	free(d->lost);
	free(d->blind);
	free(d->observed);
	kl_evidence_done(&d->evidence);
	*d = (struct kl_diagnosis){};
}

/* Room for one more. NULL and 0: it is not listed any more. */
static int add_lost(struct kl_diagnosis *d, struct kl_lost **ret)
{
	*ret = NULL;
	if (d->lost_count == KL_LOST_MAX) {
		d->lost_unlisted++;
		return 0;
	}
	if (d->lost_count == d->lost_room) {
		size_t room = d->lost_room ? 2 * d->lost_room : 64;
		struct kl_lost *lost = reallocarray(d->lost, room, sizeof(*lost));

		if (!lost)
			return -ENOMEM;
		d->lost = lost;
		d->lost_room = room;
	}
	*ret = &d->lost[d->lost_count++];
	**ret = (struct kl_lost){};
	return 0;
}

static struct open_key key_of(uint64_t conn_id, uint32_t direction, uint32_t seq, uint32_t len)
{
	return (struct open_key){ .conn_id = conn_id,
				  .seq = seq,
				  .len_direction = len << 1 | (direction & 1) };
}

/* Remembers that the segment of this loss has not arrived yet. */
static int open_loss(struct kl_diagnosis *d, struct kl_lost *lost)
{
	struct open_key key = key_of(lost->conn_id, lost->direction, lost->seq, lost->length);
	struct kl_open_loss *o;

	if (lost->length <= 1)
		return 0; /* a probe is not sent again: the next one is another */
	HASH_FIND(hh, d->open, &key, sizeof(key), o);
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		o->key = key;
		HASH_ADD(hh, d->open, key, sizeof(o->key), o);
	}
	lost->before = o->last;
	o->last = d->lost_count;
	return 0;
}

/* A further copy of what may have been lost before. */
static void see_copy(struct kl_diagnosis *d, const struct kl_paired *p)
{
	struct open_key key = key_of(p->conn_id, p->direction, p->seq, p->payload_len);
	struct kl_open_loss *o;

	HASH_FIND(hh, d->open, &key, sizeof(key), o);
	if (!o)
		return;
	for (size_t i = o->last; i; i = d->lost[i - 1].before) {
		d->lost[i - 1].sent_again++;
		if (p->fate == KL_PAIR_DELIVERED)
			d->lost[i - 1].through_ns = p->far_ns;
	}
	if (p->fate == KL_PAIR_DELIVERED)
		forget_open(d, o);
}

static void count_fate(struct kl_diagnosis *d, const struct kl_paired *p)
{
	struct kl_count *n = &d->total.kind[p->direction & 1][p->kind];

	switch (p->fate) {
	case KL_PAIR_DELIVERED:
		n->sent++;
		n->delivered++;
		break;
	case KL_PAIR_LOST:
		n->sent++;
		n->lost_between++;
		break;
	case KL_PAIR_DUPLICATE:
		n->duplicates++;
		break;
	default:
		break;
	}
	if (p->near_ns && p->copy > 1 && p->payload_len > 1 && p->fate != KL_PAIR_DUPLICATE)
		n->retransmitted++;
	d->total.kind_seen[p->kind] |= p->fate != KL_PAIR_NOT_JOINED;
}

static void see_time(struct kl_diagnosis *d, uint64_t time_ns)
{
	if (!d->first_ns || time_ns < d->first_ns)
		d->first_ns = time_ns;
	if (time_ns > d->last_ns)
		d->last_ns = time_ns;
}

static int list_lost(struct kl_diagnosis *d, const struct kl_paired *p, uint64_t reference,
		     struct kl_lost **ret)
{
	const struct kl_endpoints *ends = &p->ends[p->ends[KL_ACCESS].family ? KL_ACCESS : KL_CUCM];
	const struct kl_session *session = kl_sessions_peek(d->sessions, p->conn_id);
	struct kl_lost *lost;
	int r = add_lost(d, ret);

	lost = *ret;
	if (r || !lost)
		return r;
	lost->time_ns = p->near_ns;
	lost->reference = reference;
	lost->conn_id = p->conn_id;
	lost->ends = *ends;
	memcpy(lost->seen, p->ends, sizeof(lost->seen));
	lost->vlan = p->vlan;
	lost->where = KL_BETWEEN;
	lost->direction = p->direction;
	lost->kind = p->kind;
	lost->seq = p->seq;
	lost->seq_other = p->seq_other;
	lost->length = p->payload_len;
	lost->copies[p->direction & 1] = p->copy;
	lost->copies[(p->direction & 1) ^ 1] = p->copies_far;
	if (session)
		memcpy(lost->device, session->device, sizeof(lost->device));
	return 0;
}

int kl_diagnosis_paired(struct kl_diagnosis *d, const struct kl_paired *p, uint64_t reference,
			size_t *ret_loss)
{
	uint32_t far_side = (p->direction & 1) ^ 1;
	struct kl_lost *lost;
	int r;

	*ret_loss = 0;
	see_time(d, p->near_ns ? p->near_ns : p->far_ns);
	if (p->near_ns)
		d->total.segments[p->direction & 1]++;
	count_fate(d, p);
	if (p->near_ns && p->copy > 1 && p->fate != KL_PAIR_DUPLICATE)
		see_copy(d, p);
	if (p->fate == KL_PAIR_UNPAIRED && p->reason == KL_PAIR_ACKNOWLEDGED &&
	    !d->doubtful_count[far_side]++) {
		d->doubtful[far_side] = *p;
		d->doubtful_reference[far_side] = reference;
	}
	if (p->fate != KL_PAIR_LOST)
		return 0;
	r = list_lost(d, p, reference, &lost);
	if (r || !lost)
		return r;
	*ret_loss = d->lost_count;
	return open_loss(d, lost);
}

int kl_diagnosis_single(struct kl_diagnosis *d, uint32_t far_side, size_t *ret_loss)
{
	const struct kl_paired *p = &d->doubtful[far_side];
	struct kl_count *n = &d->total.kind[p->direction & 1][p->kind];
	struct kl_lost *lost;
	int r;

	*ret_loss = 0;
	if (d->doubtful_count[far_side] != 1 || d->drops_declared[far_side] ||
	    d->stats.reasons[KL_PAIR_DROPPED])
		return 0;
	r = list_lost(d, p, d->doubtful_reference[far_side], &lost);
	if (r || !lost)
		return r;
	lost->evidence = strdup("the receiver acknowledged it all the same; it is the only segment "
				"that is missing so, and nothing else says that this capture "
				"dropped packets");
	n->sent++;
	n->lost_between++;
	d->stats.reasons[KL_PAIR_ACKNOWLEDGED]--;
	d->doubtful_count[far_side] = 0;
	*ret_loss = d->lost_count;
	return lost->evidence ? 0 : -ENOMEM;
}

void kl_diagnosis_alone(struct kl_diagnosis *d, const struct kl_sighted *s, bool retransmission,
			bool duplicate)
{
	struct kl_count *n = &d->total.kind[s->direction & 1][s->kind];

	see_time(d, s->time_ns);
	d->total.segments[s->direction & 1]++;
	n->retransmitted += retransmission;
	n->duplicates += duplicate;
	n->sent += kl_kind_is_joined(s->kind) && !duplicate;
	d->total.kind_seen[s->kind] |= kl_kind_is_joined(s->kind);
}

int kl_diagnosis_blind(struct kl_diagnosis *d, const struct kl_blind *blind)
{
	if (d->blind_count == d->blind_room) {
		size_t room = d->blind_room ? 2 * d->blind_room : 16;
		struct kl_blind *grown = reallocarray(d->blind, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		d->blind = grown;
		d->blind_room = room;
	}
	d->blind[d->blind_count++] = *blind;
	return 0;
}

static uint64_t common(uint32_t side, uint64_t time_ns, int64_t ahead_ns)
{
	return side == KL_CUCM && time_ns ? time_ns - (uint64_t)ahead_ns : time_ns;
}

/* While one capture runs and the other does not, the one misses what would explain the other. */
static bool is_at_edge(const struct kl_diagnosis *d, uint64_t from_ns, uint64_t to_ns,
		       int64_t ahead_ns)
{
	uint64_t began[KL_SIDES], ended[KL_SIDES], first, later;

	if (!d->two_sided)
		return false;
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		began[side] = common(side, d->began_ns[side], ahead_ns);
		ended[side] = common(side, d->ended_ns[side] ?: UINT64_MAX / 2, ahead_ns);
	}
	first = began[KL_ACCESS] < began[KL_CUCM] ? began[KL_ACCESS] : began[KL_CUCM];
	later = began[KL_ACCESS] < began[KL_CUCM] ? began[KL_CUCM] : began[KL_ACCESS];
	if (later - first > TOGETHER_NS && from_ns < later)
		return true;
	return to_ns + TOGETHER_NS >
	       (ended[KL_ACCESS] < ended[KL_CUCM] ? ended[KL_ACCESS] : ended[KL_CUCM]);
}

bool kl_diagnosis_doubts(struct kl_diagnosis *d, const struct kl_story *story, int64_t ahead_ns)
{
	uint64_t around_ns, period_ns = story->session->schedule.period_us * KL_NS_PER_US;

	around_ns = DOUBT_NS + (period_ns < LONGEST_PERIOD_NS ? 2 * period_ns : 0);
	if (is_at_edge(d, kl_since(story->time_ns, around_ns), story->time_ns + story->late_ns,
		       ahead_ns)) {
		d->inferred_unsure++;
		return true;
	}
	for (size_t i = 0; i < d->blind_count; i++) {
		const struct kl_blind *b = &d->blind[i];
		uint64_t time_ns = story->time_ns + (b->side == KL_CUCM ? (uint64_t)ahead_ns : 0);

		if (b->from_ns <= time_ns + story->late_ns + around_ns &&
		    kl_since(time_ns, around_ns) <= b->to_ns) {
			d->inferred_unsure++;
			return true;
		}
	}
	return false;
}

int kl_diagnosis_lost(struct kl_diagnosis *d, const struct kl_lost *lost)
{
	struct kl_lost *own;
	int r;

	see_time(d, lost->time_ns);
	r = add_lost(d, &own);
	if (r || !own)
		return r;
	*own = *lost;
	own->before = 0;
	own->evidence = lost->evidence ? strdup(lost->evidence) : NULL;
	return lost->evidence && !own->evidence ? -ENOMEM : 0;
}

static int see_end(struct kl_diagnosis *d, const struct kl_story *story)
{
	const struct kl_ending ending = {
		.time_ns = story->time_ns,
		.session = story->session->id,
		.by = (uint8_t)story->by,
		.how = (uint8_t)story->how,
		.leaves = story->session->leaves,
		.ttl = story->ttl,
		.usual_ttl = story->usual_ttl,
	};

	return kl_evidence_ending(&d->evidence, &ending);
}

static int list_inferred(struct kl_diagnosis *d, const struct kl_story *story)
{
	const struct kl_session *session = story->session;
	struct kl_lost *lost;
	int r;

	d->inferred[story->direction & 1][story->where]++;
	r = add_lost(d, &lost);
	if (r || !lost)
		return r;
	lost->time_ns = story->time_ns;
	lost->conn_id = session->id;
	lost->ends = lost->seen[KL_ACCESS] = lost->seen[KL_CUCM] = session->ends;
	lost->vlan = session->vlan;
	memcpy(lost->mac, session->mac, sizeof(lost->mac));
	memcpy(lost->device, session->device, sizeof(lost->device));
	lost->probable = session->probable;
	lost->where = (uint8_t)story->where;
	lost->direction = (uint8_t)story->direction;
	lost->kind = (uint8_t)story->kind;
	lost->seq = lost->seq_other = story->seq;
	lost->length = story->length;
	lost->copies[KL_ACCESS] = story->copies[KL_ACCESS];
	lost->copies[KL_CUCM] = story->copies[KL_CUCM];
	lost->late_ns = story->late_ns;
	lost->idle_ns = story->idle_ns;
	lost->idle_known = (uint8_t)story->idle_known;
	lost->evidence = strdup(story->text);
	return lost->evidence ? 0 : -ENOMEM;
}

int kl_diagnosis_story(struct kl_diagnosis *d, const struct kl_story *story)
{
	int r = kl_observed_story(d, story);

	if (r)
		return r;
	switch (story->type) {
	case KL_STORY_START:
		if (kl_sessions_phones(d->sessions) > d->phones)
			d->phones = kl_sessions_phones(d->sessions);
		return 0;
	case KL_STORY_SEGMENT:
	case KL_STORY_RETRANSMISSION:
		see_time(d, story->time_ns);
		return 0;
	case KL_STORY_STOP:
		return see_end(d, story);
	case KL_STORY_LOSS:
		return list_inferred(d, story);
	default:
		return 0;
	}
}

/* Who the phone is may have been learnt after its first losses. */
static void name_phones(struct kl_diagnosis *d)
{
	static const uint8_t no_mac[6];

	for (size_t i = 0; i < d->lost_count; i++) {
		const struct kl_session *s = kl_sessions_find(d->sessions, d->lost[i].conn_id);

		if (!s)
			continue;
		memcpy(d->lost[i].device, s->device, sizeof(s->device));
		if (memcmp(s->mac, no_mac, sizeof(no_mac)))
			memcpy(d->lost[i].mac, s->mac, sizeof(s->mac));
	}
}

static int by_time(const void *a, const void *b)
{
	const struct kl_lost *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

void kl_diagnosis_finish(struct kl_diagnosis *d)
{
	struct kl_tally_report *t = &d->total;

	for (int way = 0; way < KL_DIRECTIONS; way++) {
		struct kl_count *sum = &t->direction[way];

		*sum = (struct kl_count){};
		for (int kind = 0; kind < KL_KINDS; kind++) {
			const struct kl_count *n = &t->kind[way][kind];

			sum->sent += n->sent;
			sum->delivered += n->delivered;
			sum->lost_between += n->lost_between;
			sum->retransmitted += n->retransmitted;
			sum->duplicates += n->duplicates;
			sum->pending += n->pending;
		}
		sum->retransmitted += kl_sessions_inferred_retransmissions(d->sessions, (__u32)way);
	}
	for (int i = 1; i < KL_PAIR_REASONS; i++)
		t->integrity.unpaired += d->stats.reasons[i];
	if (kl_sessions_phones(d->sessions) > d->phones)
		d->phones = kl_sessions_phones(d->sessions);
	name_phones(d);
	if (d->lost_count)
		qsort(d->lost, d->lost_count, sizeof(*d->lost), by_time);
	kl_observed_finish(d);
	kl_evidence_sort(&d->evidence);
}

uint64_t kl_diagnosis_other_clock(const struct kl_diagnosis *d, uint64_t time_ns)
{
	const struct kl_pair_clock *c = &d->clock;
	double drift;

	if (!time_ns || !c->known)
		return 0;
	drift = ((double)time_ns - (double)c->at_ns) * c->drift_ppm / 1e6;
	return time_ns + (uint64_t)(c->offset_ns + (int64_t)drift);
}
