/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rules of findings_*.c share: what was gathered for all of them, and how they say what
 * they found. Each rule returns whether it has something to say, and marks the losses that it
 * explains; the general ones come last, and speak of what is left.
 */
#pragma once

#include "core/correlate.h"
#include "core/findings.h"

struct kl_facts {
	const struct kl_diagnosis *d;
	/* of the sessions */
	uint64_t keepalives;
	uint64_t probable[KL_WHERES];	/* sessions under TLS with such losses */
	uint64_t losing[KL_WHERES];	/* sessions with such losses */
	uint64_t silent, silent_phones; /* acknowledged and not answered, of a primary */
	uint64_t tight, tight_phones;	/* normal failover would have left */
	uint64_t delayed;		/* delayed failover would have */
	uint64_t answers;
	uint32_t longest_us;
	/* what goes together with the losses */
	struct kl_split idle, length;
	struct kl_link aged, removed;
	bool ageing_found;		     /* mac_ageing is at least likely */
	const struct kl_split *ageing_split; /* by this threshold; NULL: none */
	uint8_t *explained;		     /* by loss: cause + 1, 0: not explained yet */
	bool no_memory; /* something was left out for the lack of it: nothing may be said */
};

/* ---- What is gathered ---- */

void kl_explain(struct kl_facts *f, size_t loss, enum kl_cause cause);
bool kl_is_explained(const struct kl_facts *f, size_t loss);

/* Which losses a rule is about. */
typedef bool (*kl_loss_test)(const struct kl_facts *f, size_t loss, const void *arg);

/* Counts them in ret->losses, own_losses and phones, and marks them where `explains`. */
void kl_concern(struct kl_facts *f, kl_loss_test test, const void *arg, bool explains,
		struct kl_finding *ret);

/* The longest period of the sessions whose losses were marked so, in seconds. 0: not known. */
double kl_longest_period_s(const struct kl_facts *f, enum kl_cause cause);

/* ---- How it is said ---- */

/* One more piece of evidence; NULL: there is no room for it. */
__attribute__((format(printf, 2, 3))) struct kl_finding_evidence *kl_say(struct kl_finding *f,
									 const char *format, ...);
__attribute__((format(printf, 2, 3))) struct kl_finding_evidence *kl_say_against(
	struct kl_finding *f, const char *format, ...);
/* e: NULL is fine. */
void kl_say_figure(struct kl_finding_evidence *e, const char *name, double value);
void kl_say_table(struct kl_finding_evidence *e, const struct kl_fourfold *t, uint32_t stride,
		  const char *const names[4]);
__attribute__((format(printf, 2, 3))) void kl_explain_by(struct kl_finding *f, const char *format,
							 ...);
__attribute__((format(printf, 2, 3))) void kl_remedy_is(struct kl_finding *f, const char *format,
							...);
enum kl_confidence kl_by_cases(uint64_t cases);

/* ---- The rules, by file ---- */

typedef bool (*kl_rule)(struct kl_facts *f, struct kl_finding *ret);

/* findings_ageing.c */
bool kl_rule_mac_ageing(struct kl_facts *f, struct kl_finding *ret);
/* findings_mac.c */
bool kl_rule_mac_flush(struct kl_facts *f, struct kl_finding *ret);
/* findings_arp.c */
bool kl_rule_proxy_arp(struct kl_facts *f, struct kl_finding *ret);
/* findings_host.c */
bool kl_rule_in_host_drop(struct kl_facts *f, struct kl_finding *ret);
/* findings_path.c */
bool kl_rule_mtu_black_hole(struct kl_facts *f, struct kl_finding *ret);
bool kl_rule_between_loss(struct kl_facts *f, struct kl_finding *ret);
bool kl_rule_phone_side_loss(struct kl_facts *f, struct kl_finding *ret);
bool kl_rule_cucm_side_loss(struct kl_facts *f, struct kl_finding *ret);
bool kl_rule_sequence_rewriting(struct kl_facts *f, struct kl_finding *ret);
bool kl_rule_asymmetric_path(struct kl_facts *f, struct kl_finding *ret);
/* findings_server.c */
bool kl_rule_cucm_silent(struct kl_facts *f, struct kl_finding *ret);
bool kl_rule_failover_too_tight(struct kl_facts *f, struct kl_finding *ret);
/* findings_end.c */
bool kl_rule_middlebox_reset(struct kl_facts *f, struct kl_finding *ret);
bool kl_rule_phone_initiated(struct kl_facts *f, struct kl_finding *ret);
bool kl_rule_cucm_initiated(struct kl_facts *f, struct kl_finding *ret);
