// SPDX-License-Identifier: GPL-2.0-only
#include "core/findings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/findings_internal.h"
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

/* ---- What is gathered ---- */

static void gather(const struct kl_session *s, void *arg)
{
	struct kl_facts *f = arg;

	for (int w = 0; w < KL_WHERES; w++) {
		bool lost = s->lost[KL_TO_CUCM][w] || s->lost[KL_TO_PHONE][w];

		f->losing[w] += lost;
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

bool kl_is_explained(const struct kl_facts *f, size_t loss)
{
	return f->explained && f->explained[loss];
}

void kl_explain(struct kl_facts *f, size_t loss, enum kl_cause cause)
{
	if (f->explained && !f->explained[loss])
		f->explained[loss] = (uint8_t)cause + 1;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void kl_concern(struct kl_facts *f, kl_loss_test test, const void *arg, bool explains,
		struct kl_finding *ret)
{
	const struct kl_diagnosis *d = f->d;
	_cleanup_free_ uint64_t *phones = calloc(d->lost_count ?: 1, sizeof(*phones));
	size_t count = 0;

	f->no_memory |= !phones;
	ret->losses = ret->own_losses = ret->phones = 0;
	for (size_t i = 0; i < d->lost_count; i++) {
		if (!test(f, i, arg))
			continue;
		ret->losses++;
		ret->own_losses += !kl_is_explained(f, i);
		if (explains)
			kl_explain(f, i, ret->cause);
		if (phones)
			phones[count++] = kl_phone_key(&d->lost[i].ends);
	}
	if (count)
		qsort(phones, count, sizeof(*phones), by_number);
	for (size_t i = 0; i < count; i++)
		ret->phones += !i || phones[i] != phones[i - 1];
}

double kl_longest_period_s(const struct kl_facts *f, enum kl_cause cause)
{
	uint64_t longest_us = 0, last = 0;

	for (size_t i = 0; f->explained && i < f->d->lost_count; i++) {
		const struct kl_session *s;

		if (f->explained[i] != cause + 1 || f->d->lost[i].conn_id == last)
			continue;
		last = f->d->lost[i].conn_id;
		s = kl_sessions_find(f->d->sessions, last);
		if (s && s->schedule.period_us > longest_us)
			longest_us = s->schedule.period_us;
	}
	return (double)longest_us / 1e6;
}

/* ---- How it is said ---- */

static struct kl_finding_evidence *say(struct kl_finding *f, const char *format, va_list args)
{
	struct kl_finding_evidence *e;

	if (f->evidence_count == KL_FINDING_EVIDENCE)
		return NULL;
	e = &f->evidence[f->evidence_count++];
	vsnprintf(e->text, sizeof(e->text), format, args);
	return e;
}

struct kl_finding_evidence *kl_say(struct kl_finding *f, const char *format, ...)
{
	struct kl_finding_evidence *e;
	va_list args;

	va_start(args, format);
	e = say(f, format, args);
	va_end(args);
	return e;
}

struct kl_finding_evidence *kl_say_against(struct kl_finding *f, const char *format, ...)
{
	struct kl_finding_evidence *e;
	va_list args;

	va_start(args, format);
	e = say(f, format, args);
	va_end(args);
	if (e)
		e->against = true;
	return e;
}

void kl_say_figure(struct kl_finding_evidence *e, const char *name, double value)
{
	if (e && e->figure_count < KL_FINDING_FIGURES)
		e->figure[e->figure_count++] = (struct kl_figure){ name, value };
}

void kl_say_table(struct kl_finding_evidence *e, const struct kl_fourfold *t, uint32_t stride,
		  const char *const names[4])
{
	kl_say_figure(e, names[0], (double)t->lost_with);
	kl_say_figure(e, names[1], (double)t->lost_without);
	kl_say_figure(e, names[2], (double)t->delivered_with * stride);
	kl_say_figure(e, names[3], (double)t->delivered_without * stride);
}

void kl_explain_by(struct kl_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->explanation, sizeof(f->explanation), format, args);
	va_end(args);
}

void kl_remedy_is(struct kl_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->remedy, sizeof(f->remedy), format, args);
	va_end(args);
}

enum kl_confidence kl_by_cases(uint64_t cases)
{
	return cases >= KL_CASES_ENOUGH ? KL_CONFIDENCE_HIGH : KL_CONFIDENCE_MEDIUM;
}

/* ---- All of them ---- */

/* What names a cause, and is likely, comes before what names a place only. */
static int rank(const struct kl_finding *f)
{
	switch (f->cause) {
	case KL_CAUSE_BETWEEN_LOSS:
	case KL_CAUSE_PHONE_SIDE_LOSS:
	case KL_CAUSE_CUCM_SIDE_LOSS:
		return 1;
	default:
		return f->confidence == KL_CONFIDENCE_LOW ? 2 : 0;
	}
}

static int by_weight(const void *a, const void *b)
{
	const struct kl_finding *x = a, *y = b;

	if (x->fault != y->fault)
		return x->fault ? -1 : 1;
	if (rank(x) != rank(y))
		return rank(x) - rank(y);
	if (x->confidence != y->confidence)
		return x->confidence > y->confidence ? -1 : 1;
	if (x->own_losses != y->own_losses)
		return x->own_losses > y->own_losses ? -1 : 1;
	return (int)x->cause - (int)y->cause;
}

/* (What is not known says nothing until the end, where it is an error.) */
static void correlate(struct kl_facts *f)
{
	f->idle = f->length = (struct kl_split){ .p = 1, .stride = 1 };
	f->aged = f->removed = KL_NO_LINK;
	f->no_memory |= kl_split_idle(f->d, &f->idle) || kl_split_length(f->d, &f->length) ||
			kl_link_removals(f->d, KL_REMOVED_AGED, NULL, &f->aged) ||
			kl_link_removals(f->d, KL_REMOVED_OTHERWISE, NULL, &f->removed);
}

int kl_findings(const struct kl_diagnosis *d, struct kl_finding ret[KL_CAUSES], size_t *ret_count)
{
	/* A loss is explained by the first one that can. */
	static const struct {
		enum kl_cause cause;
		kl_rule rule;
	} rules[] = {
		{ KL_CAUSE_MAC_AGEING, kl_rule_mac_ageing },
		{ KL_CAUSE_MAC_FLUSH, kl_rule_mac_flush },
		{ KL_CAUSE_IN_HOST_DROP, kl_rule_in_host_drop },
		{ KL_CAUSE_MTU_BLACK_HOLE, kl_rule_mtu_black_hole },
		{ KL_CAUSE_PROXY_ARP, kl_rule_proxy_arp },
		{ KL_CAUSE_MIDDLEBOX_RESET, kl_rule_middlebox_reset },
		{ KL_CAUSE_CUCM_SILENT, kl_rule_cucm_silent },
		{ KL_CAUSE_CUCM_INITIATED, kl_rule_cucm_initiated },
		{ KL_CAUSE_PHONE_INITIATED, kl_rule_phone_initiated },
		{ KL_CAUSE_FAILOVER_TOO_TIGHT, kl_rule_failover_too_tight },
		{ KL_CAUSE_BETWEEN_LOSS, kl_rule_between_loss },
		{ KL_CAUSE_PHONE_SIDE_LOSS, kl_rule_phone_side_loss },
		{ KL_CAUSE_CUCM_SIDE_LOSS, kl_rule_cucm_side_loss },
		{ KL_CAUSE_SEQUENCE_REWRITING, kl_rule_sequence_rewriting },
		{ KL_CAUSE_ASYMMETRIC_PATH, kl_rule_asymmetric_path },
	};
	_Static_assert(KL_COUNT(rules) == KL_CAUSES, "a rule for each cause");
	_cleanup_free_ uint8_t *explained = calloc(d->lost_count ?: 1, sizeof(*explained));
	struct kl_facts facts = { .d = d, .explained = explained, .no_memory = !explained };
	size_t count = 0;

	kl_sessions_visit(d->sessions, gather, &facts);
	correlate(&facts);
	for (size_t i = 0; i < KL_COUNT(rules); i++) {
		ret[count] = (struct kl_finding){ .cause = rules[i].cause };
		count += rules[i].rule(&facts, &ret[count]);
	}
	qsort(ret, count, sizeof(*ret), by_weight);
	*ret_count = count;
	return facts.no_memory ? -ENOMEM : 0;
}
