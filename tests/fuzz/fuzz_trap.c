// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzer's target for what switches send by SNMP. The first byte says what the rest is: an SNMP
 * message as it comes from the network, a notification (which one, then its varbinds), or rows of a
 * switch's tables. Nothing may crash, and what comes out must lie within what went in.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#include "core/snmp_header.h"
#include "core/switch_rows.h"
#include "core/trap_decode.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

enum {
	VARBINDS = 16,
};

struct input {
	const __u8 *data;
	size_t left;
};

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static __u8 byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

/* A name: one of those that mean something, and what is behind it. */
static size_t name(struct input *in, uint32_t oid[KL_OID_MAX])
{
	static const uint32_t known[][14] = {
		{ 11, 1, 3, 6, 1, 4, 1, 9, 9, 215, 2, 0 },
		{ 13, 1, 3, 6, 1, 4, 1, 9, 9, 215, 1, 1, 8, 1 },
		{ 11, 1, 3, 6, 1, 4, 1, 9, 9, 215, 1, 3 },
		{ 10, 1, 3, 6, 1, 4, 1, 9, 9, 315, 0 },
		{ 13, 1, 3, 6, 1, 4, 1, 9, 9, 315, 1, 2, 1, 1 },
		{ 8, 1, 3, 6, 1, 2, 1, 17, 0 },
		{ 10, 1, 3, 6, 1, 2, 1, 2, 2, 1 },
		{ 11, 1, 3, 6, 1, 2, 1, 31, 1, 1, 1 },
	};
	const uint32_t *prefix = known[byte(in) % (sizeof(known) / sizeof(known[0]))];
	size_t length = prefix[0], more = byte(in) % 9;

	memcpy(oid, prefix + 1, length * sizeof(*oid));
	while (more--)
		oid[length++] = byte(in);
	return length;
}

static void value(struct input *in, struct kl_varbind *v)
{
	v->type = byte(in) % 3;
	v->length = byte(in);
	if (v->length > in->left)
		v->length = in->left;
	v->bytes = in->data;
	memcpy(&v->integer, in->data, v->length < 8 ? v->length : 8);
	in->data += v->length;
	in->left -= v->length;
}

static void check_text(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	require(length < size);
	for (size_t i = 0; i < length; i++)
		require(text[i] >= ' ' && text[i] <= '~');
}

static void notification(struct input *in)
{
	static uint32_t oids[VARBINDS][KL_OID_MAX];
	struct kl_varbind v[VARBINDS] = { 0 };
	struct kl_notification n = { .varbind = v };
	struct kl_mac_evidence found[KL_TRAP_MACS];
	size_t count;

	n.oid_len = name(in, n.oid);
	while (in->left && n.count < VARBINDS) {
		v[n.count].oid = oids[n.count];
		v[n.count].oid_len = name(in, oids[n.count]);
		value(in, &v[n.count]);
		n.count++;
	}
	kl_trap_decode(&n, found, &count);
	require(count <= KL_TRAP_MACS);
	for (size_t i = 0; i < count; i++) {
		require(found[i].happening < KL_MAC_HAPPENINGS && found[i].vlan < 4095);
		check_text(found[i].port, sizeof(found[i].port));
		check_text(found[i].from_port, sizeof(found[i].from_port));
	}
}

static void header(const struct input *in)
{
	struct kl_snmp_header h;

	if (kl_snmp_header_parse(in->data, in->left, &h))
		return;
	require(h.engine_len <= KL_SNMP_ENGINE_MAX && h.engine + h.engine_len <= in->left);
	require(h.auth + h.auth_len <= in->left);
	check_text(h.user, sizeof(h.user));
}

static void use_ageing(const struct kl_ageing_evidence *a, void *arg)
{
	(void)arg;
	check_text(a->port, sizeof(a->port));
}

static void table(struct input *in)
{
	struct kl_switch_rows r = { .ageing_s = -1 };
	uint32_t index[KL_OID_MAX];
	char port[KL_PORT_NAME];

	while (in->left) {
		enum kl_switch_column column = byte(in) % KL_SWITCH_COLUMNS;
		size_t length = byte(in) % 9;
		struct kl_varbind v = { 0 };

		for (size_t i = 0; i < length; i++)
			index[i] = byte(in);
		value(in, &v);
		kl_switch_rows_take(&r, column, index, length, &v);
	}
	kl_switch_table_sort(&r.table);
	for (size_t i = 1; i < r.table.count; i++)
		require(memcmp(r.table.row[i - 1].mac, r.table.row[i].mac, 6) <= 0);
	for (size_t i = 0; i < r.table.count; i++) {
		kl_switch_port_name(&r, r.table.row[i].port, port, sizeof(port));
		check_text(port, sizeof(port));
		require(kl_switch_vlan(&r, r.table.row[i].fdb) < 4095);
	}
	kl_switch_rows_ageing(&r, use_ageing, NULL);
	kl_switch_rows_done(&r);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	struct input in = { data, size };

	switch (byte(&in) % 3) {
	case 0:
		header(&in);
		break;
	case 1:
		notification(&in);
		break;
	default:
		table(&in);
	}
	return 0;
}
