// SPDX-License-Identifier: GPL-2.0-only
#include "core/switch_rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define BRIDGE 1, 3, 6, 1, 2, 1, 17
#define SECURITY 1, 3, 6, 1, 4, 1, 9, 9, 315, 1, 2, 1, 1

static const uint32_t port_interface[] = { BRIDGE, 1, 4, 1, 2 };
static const uint32_t interface_name[] = { 1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1 };
static const uint32_t vlan_fdb[] = { BRIDGE, 7, 1, 4, 2, 1, 3 };
static const uint32_t ageing[] = { BRIDGE, 4, 2 };
static const uint32_t secure_ageing[] = { SECURITY, 5 };
static const uint32_t secure_type[] = { SECURITY, 6 };
static const uint32_t fdb_by_vlan[] = { BRIDGE, 7, 1, 2, 2, 1, 2 };
static const uint32_t fdb[] = { BRIDGE, 4, 3, 1, 2 };

static const struct {
	const uint32_t *oid;
	size_t length;
	size_t index; /* sub-identifiers that name a row */
} columns[KL_SWITCH_COLUMNS] = {
	[KL_COLUMN_PORT_INTERFACE] = { port_interface, KL_COUNT(port_interface), 1 },
	[KL_COLUMN_INTERFACE_NAME] = { interface_name, KL_COUNT(interface_name), 1 },
	[KL_COLUMN_VLAN_FDB] = { vlan_fdb, KL_COUNT(vlan_fdb), 2 },
	[KL_COLUMN_AGEING] = { ageing, KL_COUNT(ageing), 1 },
	[KL_COLUMN_SECURE_AGEING] = { secure_ageing, KL_COUNT(secure_ageing), 1 },
	[KL_COLUMN_SECURE_TYPE] = { secure_type, KL_COUNT(secure_type), 1 },
	[KL_COLUMN_FDB_BY_VLAN] = { fdb_by_vlan, KL_COUNT(fdb_by_vlan), 7 },
	[KL_COLUMN_FDB] = { fdb, KL_COUNT(fdb), 6 },
};

const uint32_t *kl_switch_column_oid(enum kl_switch_column column, size_t *ret_len)
{
	*ret_len = columns[column].length;
	return columns[column].oid;
}

void kl_switch_rows_done(struct kl_switch_rows *r)
{
	free(r->interface_of_port.pair);
	free(r->fdb_of_vlan.pair);
	free(r->secure_minutes.pair);
	free(r->secure_type.pair);
	free(r->name);
	kl_switch_table_done(&r->table);
	*r = (struct kl_switch_rows){ .ageing_s = -1 };
}

void kl_switch_rows_clear(struct kl_switch_rows *r, enum kl_switch_column column)
{
	switch (column) {
	case KL_COLUMN_PORT_INTERFACE:
		r->interface_of_port.count = 0;
		break;
	case KL_COLUMN_INTERFACE_NAME:
		r->names = 0;
		break;
	case KL_COLUMN_VLAN_FDB:
		r->fdb_of_vlan.count = 0;
		break;
	case KL_COLUMN_AGEING:
		r->ageing_s = -1;
		break;
	case KL_COLUMN_SECURE_AGEING:
		r->secure_minutes.count = 0;
		break;
	case KL_COLUMN_SECURE_TYPE:
		r->secure_type.count = 0;
		break;
	case KL_COLUMN_FDB_BY_VLAN:
	case KL_COLUMN_FDB:
		r->table.count = 0;
		break;
	case KL_SWITCH_COLUMNS:
		break;
	}
}

static int add_pair(struct kl_switch_pairs *p, uint32_t key, uint32_t value)
{
	if (p->count == KL_SWITCH_PORTS_MAX)
		return -E2BIG;
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		struct kl_switch_pair *more = reallocarray(p->pair, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->pair = more;
		p->room = room;
	}
	p->pair[p->count++] = (struct kl_switch_pair){ key, value };
	return 0;
}

static int add_name(struct kl_switch_rows *r, uint32_t interface, const struct kl_varbind *value)
{
	if (value->type != KL_VARBIND_BYTES)
		return -EBADMSG;
	if (!value->length)
		return 0;
	if (r->names == KL_SWITCH_PORTS_MAX)
		return -E2BIG;
	if (r->names == r->names_room) {
		size_t room = r->names_room ? r->names_room * 2 : 64;
		struct kl_switch_name *more = reallocarray(r->name, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		r->name = more;
		r->names_room = room;
	}
	r->name[r->names].interface = interface;
	kl_trap_text(r->name[r->names].name, KL_PORT_NAME, value->bytes, value->length);
	r->names++;
	return 0;
}

static int add_row(struct kl_switch_rows *r, uint32_t database, const uint32_t *octet,
		   uint32_t port)
{
	uint8_t mac[6];

	for (int i = 0; i < 6; i++) {
		if (octet[i] > 255)
			return -EBADMSG;
		mac[i] = (uint8_t)octet[i];
	}
	/* Port 0: known, but not where. */
	return port ? kl_switch_table_add(&r->table, mac, database, port) : 0;
}

int kl_switch_rows_take(struct kl_switch_rows *r, enum kl_switch_column column,
			const uint32_t *index, size_t index_len, const struct kl_varbind *value)
{
	uint32_t number;

	if (index_len != columns[column].index)
		return -EBADMSG;
	if (column == KL_COLUMN_INTERFACE_NAME)
		return add_name(r, index[0], value);
	if (value->type != KL_VARBIND_INTEGER || value->integer < 0 || value->integer > UINT32_MAX)
		return -EBADMSG;
	number = (uint32_t)value->integer;
	switch (column) {
	case KL_COLUMN_PORT_INTERFACE:
		return add_pair(&r->interface_of_port, index[0], number);
	case KL_COLUMN_VLAN_FDB:
		return add_pair(&r->fdb_of_vlan, index[1], number);
	case KL_COLUMN_AGEING:
		r->ageing_s = number;
		return 0;
	case KL_COLUMN_SECURE_AGEING:
		return add_pair(&r->secure_minutes, index[0], number);
	case KL_COLUMN_SECURE_TYPE:
		return add_pair(&r->secure_type, index[0], number);
	case KL_COLUMN_FDB_BY_VLAN:
		return add_row(r, index[0], index + 1, number);
	case KL_COLUMN_FDB:
		return add_row(r, 0, index, number);
	default:
		return -EINVAL;
	}
}

static const struct kl_switch_pair *find(const struct kl_switch_pairs *p, uint32_t key)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->pair[i].key == key)
			return &p->pair[i];
	}
	return NULL;
}

static const char *name_of(const struct kl_switch_rows *r, uint32_t interface)
{
	for (size_t i = 0; i < r->names; i++) {
		if (r->name[i].interface == interface)
			return r->name[i].name;
	}
	return NULL;
}

void kl_switch_port_name(const struct kl_switch_rows *r, uint32_t port, char *to, size_t size)
{
	const struct kl_switch_pair *interface = find(&r->interface_of_port, port);
	const char *name = interface ? name_of(r, interface->value) : NULL;

	if (name)
		snprintf(to, size, "%s", name);
	else
		snprintf(to, size, "bridge port %u", port);
}

uint16_t kl_switch_vlan(const struct kl_switch_rows *r, uint32_t database)
{
	uint32_t found = 0;

	for (size_t i = 0; i < r->fdb_of_vlan.count; i++) {
		const struct kl_switch_pair *p = &r->fdb_of_vlan.pair[i];

		if (p->value != database || p->key == found)
			continue;
		if (found)
			return 0;
		found = p->key;
	}
	return found < 4095 ? (uint16_t)found : 0;
}

void kl_switch_rows_ageing(const struct kl_switch_rows *r, kl_switch_ageing handler, void *arg)
{
	enum {
		ABSOLUTE = 1,
	};

	if (r->ageing_s >= 0) {
		handler(&(struct kl_ageing_evidence){ .ageing_ms = (uint64_t)r->ageing_s * 1000,
						      .source = KL_MAC_FROM_SNMP },
			arg);
	}
	for (size_t i = 0; i < r->secure_minutes.count; i++) {
		const struct kl_switch_pair *p = &r->secure_minutes.pair[i];
		const struct kl_switch_pair *type = find(&r->secure_type, p->key);
		const char *name = name_of(r, p->key);
		struct kl_ageing_evidence a = {
			.ageing_ms = (uint64_t)p->value * 60000,
			.source = KL_MAC_FROM_SNMP,
			.port_security = true,
			.absolute = !type || type->value == ABSOLUTE,
		};

		if (!p->value)
			continue; /* its secure addresses do not age */
		if (name)
			snprintf(a.port, sizeof(a.port), "%s", name);
		else
			snprintf(a.port, sizeof(a.port), "ifIndex %u", p->key);
		handler(&a, arg);
	}
}
