/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is asked of a switch, column by column, and what its rows say: the names of its ports, its
 * forwarding table, its ageing times. A struct kl_switch_rows owns what it has collected.
 *
 *   BRIDGE-MIB                dot1dBasePortIfIndex, dot1dTpFdbPort, dot1dTpAgingTime
 *   Q-BRIDGE-MIB              dot1qVlanFdbId, dot1qTpFdbPort
 *   IF-MIB                    ifName
 *   CISCO-PORT-SECURITY-MIB   cpsIfSecureMacAddrAgingTime, cpsIfSecureMacAddrAgingType
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/switch_table.h"
#include "core/trap_decode.h"

enum kl_switch_column {
	/* These change hardly ever, and are not asked for in each round. */
	KL_COLUMN_PORT_INTERFACE,
	KL_COLUMN_INTERFACE_NAME,
	KL_COLUMN_VLAN_FDB,
	KL_COLUMN_AGEING,
	KL_COLUMN_SECURE_AGEING,
	KL_COLUMN_SECURE_TYPE,
	/* These are. */
	KL_COLUMN_FDB_BY_VLAN,
	KL_COLUMN_FDB,
	KL_SWITCH_COLUMNS,
};

enum {
	KL_SWITCH_PORTS_MAX = 8192,
};

struct kl_switch_pair {
	uint32_t key, value;
};

struct kl_switch_pairs {
	struct kl_switch_pair *pair;
	size_t count, room;
};

struct kl_switch_name {
	uint32_t interface;
	char name[KL_PORT_NAME];
};

struct kl_switch_rows {
	struct kl_switch_pairs interface_of_port, fdb_of_vlan, secure_minutes, secure_type;
	struct kl_switch_name *name;
	size_t names, names_room;
	int64_t ageing_s; /* -1: not told */
	struct kl_switch_table table;
};

void kl_switch_rows_done(struct kl_switch_rows *r);
/* Forgets the column's rows: it will be read anew. */
void kl_switch_rows_clear(struct kl_switch_rows *r, enum kl_switch_column column);
/* Where the column begins. */
const uint32_t *kl_switch_column_oid(enum kl_switch_column column, size_t *ret_len);
/* A row: what is behind the column in its name, and its value. -EBADMSG, -E2BIG, -ENOMEM. */
int kl_switch_rows_take(struct kl_switch_rows *r, enum kl_switch_column column,
			const uint32_t *index, size_t index_len, const struct kl_varbind *value);

/* "Gi0/7", or "bridge port 7" where the switch did not say. */
void kl_switch_port_name(const struct kl_switch_rows *r, uint32_t port, char *to, size_t size);
/* 0: not known, or several share the database. */
uint16_t kl_switch_vlan(const struct kl_switch_rows *r, uint32_t fdb);

/* The ageing times that were read: ports with port security, and the table. */
typedef void (*kl_switch_ageing)(const struct kl_ageing_evidence *a, void *arg);
void kl_switch_rows_ageing(const struct kl_switch_rows *r, kl_switch_ageing handler, void *arg);
