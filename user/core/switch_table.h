/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A switch's forwarding table as it was read, and what changed since it was read before. Pure.
 *
 * A struct kl_switch_table owns its rows. Rows are added in any order; sort before comparing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/evidence.h"

enum {
	KL_SWITCH_ROWS_MAX = 1 << 16,
};

struct kl_switch_row {
	uint8_t mac[6];
	uint32_t fdb;  /* the filtering database it is in; 0 where there is only one */
	uint32_t port; /* dot1dBasePort */
};

struct kl_switch_table {
	struct kl_switch_row *row;
	size_t count, room;
	uint64_t begun_ns, ended_ns; /* it was read between these */
};

void kl_switch_table_done(struct kl_switch_table *t);
/* -ENOMEM, or -E2BIG: more than KL_SWITCH_ROWS_MAX. */
int kl_switch_table_add(struct kl_switch_table *t, const uint8_t mac[6], uint32_t fdb,
			uint32_t port);
/* By MAC and database; of a row that is there twice one stays. */
void kl_switch_table_sort(struct kl_switch_table *t);

/* before is NULL for KL_MAC_LEARNED, after for KL_MAC_FLUSHED; else it is KL_MAC_MOVED. */
typedef void (*kl_switch_change)(enum kl_mac_happening happening,
				 const struct kl_switch_row *before,
				 const struct kl_switch_row *after, void *arg);

/* Both sorted. Why a row vanished a table does not tell: KL_MAC_FLUSHED. */
void kl_switch_table_compare(const struct kl_switch_table *before,
			     const struct kl_switch_table *after, kl_switch_change change,
			     void *arg);
