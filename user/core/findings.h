/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The verdict: one rule for each cause of docs/contract.md, each in one
 * place. A finding says what is wrong, on what evidence, and what to change; one that ten cases do
 * not carry is not called high.
 */
#pragma once

#include "core/diagnosis.h"

enum kl_cause {
	KL_CAUSE_MAC_AGEING,
	KL_CAUSE_MAC_FLUSH,
	KL_CAUSE_PROXY_ARP,
	KL_CAUSE_IN_HOST_DROP,
	KL_CAUSE_BETWEEN_LOSS,
	KL_CAUSE_PHONE_SIDE_LOSS,
	KL_CAUSE_CUCM_SIDE_LOSS,
	KL_CAUSE_CUCM_SILENT,
	KL_CAUSE_FAILOVER_TOO_TIGHT,
	KL_CAUSE_MIDDLEBOX_RESET,
	KL_CAUSE_SEQUENCE_REWRITING,
	KL_CAUSE_MTU_BLACK_HOLE,
	KL_CAUSE_PHONE_INITIATED,
	KL_CAUSE_CUCM_INITIATED,
	KL_CAUSE_ASYMMETRIC_PATH,
	KL_CAUSES,
};

enum kl_confidence {
	KL_CONFIDENCE_LOW,
	KL_CONFIDENCE_MEDIUM,
	KL_CONFIDENCE_HIGH,
};

enum {
	KL_FINDING_TEXT = 512,
	KL_FINDING_EVIDENCE = 8,
	KL_FINDING_FIGURES = 8,
	KL_CASES_ENOUGH = 10, /* fewer carry no high confidence */
};

/* A figure of the evidence, by its name in the JSON: "fisher_p", "ageing_at_least_s". */
struct kl_figure {
	const char *name;
	double value;
};

struct kl_finding_evidence {
	char text[KL_FINDING_TEXT]; /* a clause without a full stop */
	bool against;		    /* speaks against the finding */
	struct kl_figure figure[KL_FINDING_FIGURES];
	size_t figure_count;
};

struct kl_finding {
	enum kl_cause cause;
	enum kl_confidence confidence;
	bool fault;	 /* something to mend; else only good to know */
	uint64_t phones; /* concerned */
	uint64_t losses;
	uint64_t own_losses; /* that nothing weightier explains already */
	char explanation[KL_FINDING_TEXT];
	char remedy[KL_FINDING_TEXT];
	struct kl_finding_evidence evidence[KL_FINDING_EVIDENCE];
	size_t evidence_count;
};

/* Fills ret[KL_CAUSES], the weightiest first; *ret_count: how many there are. -ENOMEM. */
int kl_findings(const struct kl_diagnosis *d, struct kl_finding ret[KL_CAUSES], size_t *ret_count);

const char *kl_cause_name(enum kl_cause cause);
const char *kl_confidence_name(enum kl_confidence confidence);
