// SPDX-License-Identifier: GPL-2.0-only
/* Rules about the way: where the unexplained losses are, long segments, and what rewrites or hides. */
#include "core/findings_internal.h"

#include <inttypes.h>

enum {
	LONG_BYTES = 500, /* what is shorter passes every network (RFC 791: 576 with its headers) */
	LONG_AGAIN = 3,	  /* they must be lost when sent again, too */
	PHONES_ENOUGH = 3,
};

/* ---- What nothing specific explains, by place ---- */

static bool is_left(const struct kl_facts *f, size_t loss, const void *arg)
{
	return f->d->lost[loss].where == *(const enum kl_where *)arg && !kl_is_explained(f, loss);
}

static uint64_t count_explained(const struct kl_facts *f, enum kl_where where)
{
	uint64_t count = 0;

	for (size_t i = 0; i < f->d->lost_count; i++)
		count += f->d->lost[i].where == where && kl_is_explained(f, i);
	return count;
}

/*
 * Fills in whom it concerns: of `total` losses (of which not all may be listed) those that are not
 * explained. False: there are none.
 */
static bool concern_left(struct kl_facts *f, enum kl_where where, uint64_t total,
			 struct kl_finding *ret)
{
	uint64_t explained = count_explained(f, where);

	if (total <= explained)
		return false;
	kl_concern(f, is_left, &where, false, ret);
	ret->losses = ret->own_losses = total - explained;
	ret->fault = true;
	if (!ret->phones)
		ret->phones = f->losing[where];
	if (explained)
		kl_say_figure(kl_say(ret,
				     "%" PRIu64 " more losses of this place are explained by the "
				     "findings that name a cause",
				     explained),
			      "explained", (double)explained);
	return true;
}

bool kl_rule_between_loss(struct kl_facts *f, struct kl_finding *ret)
{
	const struct kl_diagnosis *d = f->d;
	const struct kl_count *up = &d->total.direction[KL_TO_CUCM];
	const struct kl_count *down = &d->total.direction[KL_TO_PHONE];
	uint64_t lost = up->lost_between + down->lost_between, doubtful = 0;
	bool live = d->evidence.has_drops;

	if (!concern_left(f, KL_BETWEEN, lost, ret))
		return false;
	for (size_t i = 0; i < d->lost_count; i++)
		doubtful += d->lost[i].where == KL_BETWEEN && d->lost[i].evidence;
	ret->confidence = doubtful == lost ? KL_CONFIDENCE_LOW : kl_by_cases(ret->losses);
	kl_say(ret,
	       "to CUCM: %" PRIu64 " of %" PRIu64 " lost; to the phones: %" PRIu64 " of %" PRIu64,
	       up->lost_between, up->sent, down->lost_between, down->sent);
	if (live) {
		kl_explain_by(
			ret,
			"%" PRIu64 " keepalives or answers came in on one side of this host "
			"and never left on the other. %" PRIu64 " of %" PRIu64
			" losses between have no reason from this kernel: dropped by XDP, the "
			"hardware, or on a way around it.",
			ret->losses, ret->losses, lost);
		kl_remedy_is(ret, "Look at what this kernel does not tell of: other XDP programs "
				  "on the interfaces, drop counters of the network cards "
				  "(ethtool -S), offloaded flows.");
		return true;
	}
	kl_explain_by(ret,
		      "%" PRIu64 " keepalives or answers passed one of the two places that were "
		      "watched and never came to the other. They were dropped on the way between "
		      "them.",
		      ret->losses);
	kl_remedy_is(ret,
		     "Look at what lies between the two places: drop counters of its interfaces "
		     "and queues, firewall rules, and paths that changed at the times listed.");
	return true;
}

static bool inferred_loss(struct kl_facts *f, enum kl_where where, struct kl_finding *ret)
{
	const struct kl_diagnosis *d = f->d;
	uint64_t lost = d->inferred[KL_TO_CUCM][where] + d->inferred[KL_TO_PHONE][where];

	if (!concern_left(f, where, lost, ret))
		return false;
	/* Inferred, and under TLS only probable: then high is too much. */
	ret->confidence = kl_by_cases(ret->losses);
	if (ret->confidence == KL_CONFIDENCE_HIGH && f->losing[where] &&
	    f->probable[where] == f->losing[where])
		ret->confidence = KL_CONFIDENCE_MEDIUM;
	kl_say(ret, "%" PRIu64 " losses, of %" PRIu64 " sessions, among %" PRIu64 " keepalives",
	       lost, f->losing[where], f->keepalives);
	if (f->probable[where])
		kl_say(ret,
		       "%" PRIu64 " of the sessions are under TLS, where only sizes and times are "
		       "seen",
		       f->probable[where]);
	return true;
}

bool kl_rule_phone_side_loss(struct kl_facts *f, struct kl_finding *ret)
{
	if (!inferred_loss(f, KL_PHONE_SIDE, ret))
		return false;
	kl_explain_by(ret,
		      "%" PRIu64
		      " keepalives or answers were lost between the phones and the first "
		      "place where they are seen. They show as retransmissions of which the first "
		      "copy never came by.",
		      ret->losses);
	kl_remedy_is(
		ret,
		"Look at the access switches: an ageing time (also of port security) shorter "
		"than the keepalive interval, errors on the phones' ports, and their uplinks.");
	return true;
}

bool kl_rule_cucm_side_loss(struct kl_facts *f, struct kl_finding *ret)
{
	if (!inferred_loss(f, KL_CUCM_SIDE, ret))
		return false;
	kl_explain_by(ret,
		      "%" PRIu64
		      " keepalives or answers were lost beyond the last place where they "
		      "are seen, towards the call server. They passed there and were never "
		      "acknowledged.",
		      ret->losses);
	kl_remedy_is(ret, "Look at the way to the server: its switch port, its network card and "
			  "the rules of its own firewall.");
	return true;
}

/* ---- Long segments ---- */

static bool is_long(const struct kl_facts *f, size_t loss, const void *arg)
{
	const struct kl_lost *l = &f->d->lost[loss];
	const struct kl_split *s = arg;

	return l->direction == s->direction && l->length >= s->above;
}

bool kl_rule_mtu_black_hole(struct kl_facts *f, struct kl_finding *ret)
{
	static const char *const names[4] = { "lost_long", "lost_short", "delivered_long",
					      "delivered_short" };
	const struct kl_split *s = &f->length;
	struct kl_finding_evidence *e;

	if (!s->table.lost_with || s->above < LONG_BYTES || s->again_lost < LONG_AGAIN ||
	    s->p > 1e-3 || kl_split_lost_above(s) < 0.9 || kl_split_lost_below(s) > 0.1)
		return false;
	ret->fault = true;
	ret->confidence = s->p < 1e-6 && s->table.lost_with >= KL_CASES_ENOUGH &&
					  kl_fisher_greater(&s->by_phone) < 0.1 &&
					  s->by_phone.lost_with >= PHONES_ENOUGH && !s->some
				  ? KL_CONFIDENCE_HIGH
				  : KL_CONFIDENCE_MEDIUM;
	kl_concern(f, is_long, s, true, ret);
	ret->phones = s->by_phone.lost_with;
	e = kl_say(ret,
		   "of %" PRIu64 " copies of %u bytes and more %" PRIu64 " were lost, %" PRIu64
		   " of them sent again; of %" PRIu64 " shorter ones %" PRIu64
		   " (chance: p = %.2g)",
		   s->table.lost_with + s->table.delivered_with * s->stride, s->above,
		   s->table.lost_with, s->again_lost,
		   s->table.lost_without + s->table.delivered_without * s->stride,
		   s->table.lost_without, s->p);
	kl_say_table(e, &s->table, s->stride, names);
	kl_say_figure(e, "fisher_p", s->p);
	kl_say_figure(e, "delivered_at_most_bytes", s->below);
	kl_say_figure(e, "lost_from_bytes", s->above);
	kl_explain_by(ret,
		      "Segments of %u bytes and more are lost %s again and again, however often "
		      "they are sent, while those of up to %u bytes pass. Somewhere on the way the "
		      "MTU is smaller, and the sender is not told (path MTU discovery fails).",
		      s->above, s->direction == KL_TO_CUCM ? "to the CUCM" : "to the phones",
		      s->below);
	kl_remedy_is(
		ret,
		"Find where the MTU is too small (a tunnel, a VPN, a switch port), raise it or let "
		"ICMP \"fragmentation needed\" (IPv6: \"packet too big\") through, or lower the "
		"TCP MSS there (ip tcp adjust-mss, nft tcp option maxseg) so that segments stay "
		"below %u bytes.",
		s->above);
	return true;
}

/* ---- What rewrites, and what is not seen ---- */

bool kl_rule_sequence_rewriting(struct kl_facts *f, struct kl_finding *ret)
{
	const struct kl_diagnosis *d = f->d;

	if (!d->two_sided || !d->stats.shifted)
		return false;
	ret->confidence = kl_by_cases(d->stats.shifted);
	ret->phones = d->stats.shifted;
	kl_explain_by(
		ret,
		"The sequence numbers of %" PRIu64 " connections differ by a constant between "
		"the two captures: a firewall on the way randomises them. The losses are told "
		"in both numberings.",
		d->stats.shifted);
	kl_remedy_is(ret, "Nothing has to be mended. Compare captures by seq_other, or turn the "
			  "firewall's sequence randomisation off for these connections.");
	kl_say(ret, "%" PRIu64 " of %" PRIu64 " connections", d->stats.shifted,
	       d->stats.conns[KL_ACCESS]);
	return true;
}

bool kl_rule_asymmetric_path(struct kl_facts *f, struct kl_finding *ret)
{
	const struct kl_diagnosis *d = f->d;
	uint64_t one_sided = d->stats.reasons[KL_PAIR_ONE_SIDED];
	uint64_t one_way = d->total.integrity.one_way;

	if (d->two_sided && one_sided) {
		ret->confidence = kl_by_cases(one_sided);
		kl_explain_by(ret,
			      "%" PRIu64 " segments are of connections of which the other capture "
			      "sees one direction only: the other direction takes another way, and "
			      "nothing can be said about it.",
			      one_sided);
		kl_remedy_is(ret, "Capture where both directions pass, or mirror both.");
		kl_say(ret, "%" PRIu64 " segments", one_sided);
		return true;
	}
	if (!one_way)
		return false;
	ret->confidence = kl_by_cases(one_way);
	ret->phones = one_way;
	kl_explain_by(ret,
		      "%" PRIu64 " connections come by here in one direction only: the other "
		      "direction takes another way, and nothing can be said about it.",
		      one_way);
	kl_remedy_is(ret, "Watch where both directions pass, or mirror both.");
	kl_say_figure(kl_say(ret, "%" PRIu64 " connections", one_way), "one_way", (double)one_way);
	return true;
}
