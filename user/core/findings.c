// SPDX-License-Identifier: GPL-2.0-only
#include "core/findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"

const char *kl_cause_name(enum kl_cause cause)
{
	static const char *const names[KL_CAUSES] = {
		[KL_CAUSE_MAC_AGEING] = "mac_ageing",
		[KL_CAUSE_MAC_FLUSH] = "mac_flush",
		[KL_CAUSE_PROXY_ARP] = "proxy_arp",
		[KL_CAUSE_IN_HOST_DROP] = "in_host_drop",
		[KL_CAUSE_MIDDLEBOX_RESET] = "middlebox_reset",
		[KL_CAUSE_MTU_BLACK_HOLE] = "mtu_black_hole",
		[KL_CAUSE_PHONE_INITIATED] = "phone_initiated",
		[KL_CAUSE_CUCM_INITIATED] = "cucm_initiated",
		[KL_CAUSE_BETWEEN_LOSS] = "between_loss",
		[KL_CAUSE_PHONE_SIDE_LOSS] = "phone_side_loss",
		[KL_CAUSE_CUCM_SIDE_LOSS] = "cucm_side_loss",
		[KL_CAUSE_CUCM_SILENT] = "cucm_silent",
		[KL_CAUSE_FAILOVER_TOO_TIGHT] = "failover_too_tight",
		[KL_CAUSE_SEQUENCE_REWRITING] = "sequence_rewriting",
		[KL_CAUSE_ASYMMETRIC_PATH] = "asymmetric_path",
	};

	return names[cause];
}

const char *kl_confidence_name(enum kl_confidence confidence)
{
	static const char *const names[] = { "low", "medium", "high" };

	return names[confidence];
}

/* What the rules ask of the sessions, gathered in one pass. */
struct facts {
	uint64_t lost[KL_WHERES];     /* copies, of both directions */
	uint64_t phones[KL_WHERES];   /* sessions with such losses */
	uint64_t probable[KL_WHERES]; /* of them under TLS */
	uint64_t keepalives;
	uint64_t silent, silent_phones; /* acknowledged and not answered, of a primary */
	uint64_t tight, tight_phones;	/* normal failover would have left */
	uint64_t delayed;		/* delayed failover would have */
	uint64_t answers;
	uint32_t longest_us;
};

static void gather(const struct kl_session *s, void *arg)
{
	struct facts *f = arg;

	for (int w = 0; w < KL_WHERES; w++) {
		uint32_t lost = s->lost[KL_TO_CUCM][w] + s->lost[KL_TO_PHONE][w];

		f->lost[w] += lost;
		f->phones[w] += lost > 0;
		f->probable[w] += lost && s->probable;
	}
	f->keepalives += s->keepalives;
	if (s->role == KL_ROLE_PRIMARY) {
		f->silent += s->acknowledged_only;
		f->silent_phones += s->acknowledged_only > 0;
	}
	f->tight += s->answers.normal_gives_up;
	f->tight_phones += s->answers.normal_gives_up > 0;
	f->delayed += s->answers.delayed_gives_up;
	f->answers += s->answers.count;
	if (s->answers.max_us > f->longest_us)
		f->longest_us = s->answers.max_us;
}

__attribute__((format(printf, 2, 3))) static void add_evidence(struct kl_finding *f,
							       const char *format, ...)
{
	va_list args;

	if (f->evidence_count == KL_FINDING_EVIDENCE)
		return;
	va_start(args, format);
	vsnprintf(f->evidence[f->evidence_count++].text, KL_FINDING_TEXT, format, args);
	va_end(args);
}

static enum kl_confidence by_cases(uint64_t cases)
{
	return cases >= KL_CASES_ENOUGH ? KL_CONFIDENCE_HIGH : KL_CONFIDENCE_MEDIUM;
}

/* ---- The rules. Each returns whether it has something to say. ---- */

static bool between_loss(const struct kl_diagnosis *d, const struct facts *f,
			 struct kl_finding *ret)
{
	const struct kl_count *up = &d->total.direction[KL_TO_CUCM];
	const struct kl_count *down = &d->total.direction[KL_TO_PHONE];
	uint64_t lost = up->lost_between + down->lost_between, doubtful = 0;

	if (!lost)
		return false;
	for (size_t i = 0; i < d->lost_count; i++)
		doubtful += d->lost[i].where == KL_BETWEEN && d->lost[i].evidence;
	ret->confidence = doubtful == lost ? KL_CONFIDENCE_LOW : by_cases(lost);
	ret->fault = true;
	ret->losses = lost;
	ret->phones = f->phones[KL_BETWEEN];
	snprintf(ret->explanation, sizeof(ret->explanation),
		 "%" PRIu64 " keepalives or answers passed the one capture and never came to the "
		 "other. They were dropped on the way between the two places where was captured.",
		 lost);
	snprintf(ret->remedy, sizeof(ret->remedy),
		 "Look at what lies between the two captures: drop counters of its interfaces and "
		 "queues, firewall rules, and paths that changed at the times listed.");
	add_evidence(ret,
		     "to CUCM: %" PRIu64 " of %" PRIu64 " lost; to the phones: %" PRIu64
		     " of %" PRIu64,
		     up->lost_between, up->sent, down->lost_between, down->sent);
	return true;
}

static void inferred_loss(const struct facts *f, enum kl_where where, struct kl_finding *ret)
{
	ret->fault = true;
	ret->losses = f->lost[where];
	ret->phones = f->phones[where];
	/* Inferred, and under TLS only probable: then high is too much. */
	ret->confidence = by_cases(f->lost[where]);
	if (ret->confidence == KL_CONFIDENCE_HIGH && f->probable[where] == f->phones[where])
		ret->confidence = KL_CONFIDENCE_MEDIUM;
	add_evidence(ret,
		     "%" PRIu64 " losses, of %" PRIu64 " sessions, among %" PRIu64 " keepalives",
		     f->lost[where], f->phones[where], f->keepalives);
	if (f->probable[where])
		add_evidence(ret,
			     "%" PRIu64 " of the sessions are under TLS, where only sizes and "
			     "times are seen",
			     f->probable[where]);
}

static bool phone_side_loss(const struct kl_diagnosis *d, const struct facts *f,
			    struct kl_finding *ret)
{
	(void)d;
	if (!f->lost[KL_PHONE_SIDE])
		return false;
	inferred_loss(f, KL_PHONE_SIDE, ret);
	snprintf(ret->explanation, sizeof(ret->explanation),
		 "%" PRIu64 " keepalives or answers were lost between the phones and the first "
		 "place where they are seen. They show as retransmissions of which the first copy "
		 "never came by.",
		 f->lost[KL_PHONE_SIDE]);
	snprintf(ret->remedy, sizeof(ret->remedy),
		 "Look at the access switches: an ageing time (also of port security) shorter than "
		 "the keepalive interval, errors on the phones' ports, and their uplinks.");
	return true;
}

static bool cucm_side_loss(const struct kl_diagnosis *d, const struct facts *f,
			   struct kl_finding *ret)
{
	(void)d;
	if (!f->lost[KL_CUCM_SIDE])
		return false;
	inferred_loss(f, KL_CUCM_SIDE, ret);
	snprintf(ret->explanation, sizeof(ret->explanation),
		 "%" PRIu64 " keepalives or answers were lost beyond the last place where they are "
		 "seen, towards the call server. They passed there and were never acknowledged.",
		 f->lost[KL_CUCM_SIDE]);
	snprintf(ret->remedy, sizeof(ret->remedy),
		 "Look at the way to the server: its switch port, its network card and the rules "
		 "of its own firewall.");
	return true;
}

static bool cucm_silent(const struct kl_diagnosis *d, const struct facts *f, struct kl_finding *ret)
{
	(void)d;
	if (!f->silent)
		return false;
	ret->fault = true;
	ret->confidence = by_cases(f->silent);
	ret->phones = f->silent_phones;
	snprintf(ret->explanation, sizeof(ret->explanation),
		 "The server's TCP acknowledged %" PRIu64 " keepalives that its application never "
		 "answered. The network delivered them; the call processing did not reply.",
		 f->silent);
	snprintf(ret->remedy, sizeof(ret->remedy),
		 "Look at the call server itself: load, call throttling, stopped services, and its "
		 "traces at those times.");
	add_evidence(ret, "%" PRIu64 " of %" PRIu64 " keepalives, of %" PRIu64 " sessions",
		     f->silent, f->keepalives, f->silent_phones);
	return true;
}

static bool failover_too_tight(const struct kl_diagnosis *d, const struct facts *f,
			       struct kl_finding *ret)
{
	(void)d;
	if (!f->tight)
		return false;
	ret->fault = true;
	ret->confidence = f->tight >= KL_CASES_ENOUGH ? KL_CONFIDENCE_MEDIUM : KL_CONFIDENCE_LOW;
	ret->phones = f->tight_phones;
	snprintf(ret->explanation, sizeof(ret->explanation),
		 "Answers fluctuate so much that phones on normal failover, which wait about as "
		 "long as answers take on average, would have left a server that was there %" PRIu64
		 " times.",
		 f->tight);
	snprintf(ret->remedy, sizeof(ret->remedy),
		 "Set the phones' failover from normal to delayed (three keepalive intervals)%s, "
		 "and find what makes the answers fluctuate.",
		 f->delayed ? "" : ", which would never have left it");
	add_evidence(ret,
		     "%" PRIu64 " of %" PRIu64 " answers took more than twice the average; the "
		     "longest took %.1f ms",
		     f->tight, f->answers, f->longest_us / 1e3);
	return true;
}

static bool sequence_rewriting(const struct kl_diagnosis *d, const struct facts *f,
			       struct kl_finding *ret)
{
	(void)f;
	if (!d->two_sided || !d->stats.shifted)
		return false;
	ret->confidence = by_cases(d->stats.shifted);
	ret->phones = d->stats.shifted;
	snprintf(ret->explanation, sizeof(ret->explanation),
		 "The sequence numbers of %" PRIu64 " connections differ by a constant between the "
		 "two captures: a firewall on the way randomises them. The losses are told in both "
		 "numberings.",
		 d->stats.shifted);
	snprintf(ret->remedy, sizeof(ret->remedy),
		 "Nothing has to be mended. Compare captures by seq_other, or turn the firewall's "
		 "sequence randomisation off for these connections.");
	add_evidence(ret, "%" PRIu64 " of %" PRIu64 " connections", d->stats.shifted,
		     d->stats.conns[KL_ACCESS]);
	return true;
}

static bool asymmetric_path(const struct kl_diagnosis *d, const struct facts *f,
			    struct kl_finding *ret)
{
	uint64_t one_sided = d->stats.reasons[KL_PAIR_ONE_SIDED];

	(void)f;
	if (!d->two_sided || !one_sided)
		return false;
	ret->confidence = by_cases(one_sided);
	snprintf(ret->explanation, sizeof(ret->explanation),
		 "%" PRIu64 " segments are of connections of which the other capture sees one "
		 "direction only: the other direction takes another way, and nothing can be said "
		 "about it.",
		 one_sided);
	snprintf(ret->remedy, sizeof(ret->remedy),
		 "Capture where both directions pass, or mirror both.");
	add_evidence(ret, "%" PRIu64 " segments", one_sided);
	return true;
}

static int by_weight(const void *a, const void *b)
{
	const struct kl_finding *x = a, *y = b;

	if (x->fault != y->fault)
		return x->fault ? -1 : 1;
	if (x->confidence != y->confidence)
		return x->confidence > y->confidence ? -1 : 1;
	if (x->losses != y->losses)
		return x->losses > y->losses ? -1 : 1;
	return (int)x->cause - (int)y->cause;
}

size_t kl_findings(const struct kl_diagnosis *d, struct kl_finding ret[KL_CAUSES])
{
	static const struct {
		enum kl_cause cause;
		bool (*rule)(const struct kl_diagnosis *d, const struct facts *f,
			     struct kl_finding *ret);
	} rules[] = {
		{ KL_CAUSE_BETWEEN_LOSS, between_loss },
		{ KL_CAUSE_PHONE_SIDE_LOSS, phone_side_loss },
		{ KL_CAUSE_CUCM_SIDE_LOSS, cucm_side_loss },
		{ KL_CAUSE_CUCM_SILENT, cucm_silent },
		{ KL_CAUSE_FAILOVER_TOO_TIGHT, failover_too_tight },
		{ KL_CAUSE_SEQUENCE_REWRITING, sequence_rewriting },
		{ KL_CAUSE_ASYMMETRIC_PATH, asymmetric_path },
	};
	struct facts facts = {};
	size_t count = 0;

	kl_sessions_visit(d->sessions, gather, &facts);
	for (size_t i = 0; i < KL_COUNT(rules); i++) {
		ret[count] = (struct kl_finding){ .cause = rules[i].cause };
		count += rules[i].rule(d, &facts, &ret[count]);
	}
	qsort(ret, count, sizeof(*ret), by_weight);
	return count;
}
