/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records on their way out, in one of the formats of docs/contract.md. A report only prints: what
 * it prints was decided before. All times are CLOCK_REALTIME in ns.
 *
 * Functions return 0 or a negative errno: -EPIPE where the reader went away, else that of the
 * write. A report owns no file: the caller opens and closes it.
 */
#pragma once

#include <stdio.h>

#include "core/session.h"
#include "core/tally.h"

struct kl_report_tick {
	uint64_t time_ns;
	double interval_s; /* the summary: how long the run was */
	size_t phones;	   /* the summary: the most at any tick */
	const struct kl_tally_report *tally;
};

enum kl_where {
	KL_BETWEEN,
	KL_PHONE_SIDE,
	KL_CUCM_SIDE,
	KL_WHERE_UNKNOWN
};

/* Who a record is about. */
struct kl_party {
	struct kl_endpoints ends;
	uint16_t vlan;
	uint8_t mac[6];
	const char *device; /* NULL: not known */
};

struct kl_loss {
	uint64_t time_ns; /* when the lost copy was seen at the side nearer to its sender */
	struct kl_party party;
	enum kl_where where;
	__u32 direction;
	__u32 kind;
	uint32_t seq;
	uint32_t length;
	unsigned copies[KL_SIDES];
};

struct kl_retransmission {
	uint64_t time_ns;
	struct kl_party party;
	__u32 direction;
	__u32 kind;
	uint32_t seq;
	uint32_t length;
	uint64_t gap_ns; /* 0: not known */
	unsigned copy;
};

struct kl_session_record {
	uint64_t time_ns;
	struct kl_party party;
	struct kl_session_change change; /* KL_SESSION_START or _STOP */
};

struct kl_report {
	FILE *out;
	bool color;
	unsigned lines; /* text: since the last header */
	const struct kl_report_format *format;
};

struct kl_report_format {
	int (*tick)(struct kl_report *r, const struct kl_report_tick *t);
	int (*loss)(struct kl_report *r, const struct kl_loss *l);
	int (*retransmission)(struct kl_report *r, const struct kl_retransmission *t);
	int (*session)(struct kl_report *r, const struct kl_session_record *s);
	int (*summary)(struct kl_report *r, const struct kl_report_tick *t);
};

extern const struct kl_report_format kl_report_text;
extern const struct kl_report_format kl_report_jsonl;

/* What a fprintf() or fflush() to the report's file came to. */
int kl_report_flush(struct kl_report *r);
