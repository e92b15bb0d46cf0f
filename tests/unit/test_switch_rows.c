// SPDX-License-Identifier: GPL-2.0-only
/* switch_rows.h, switch_table.h: what a switch's tables say, and what changed in them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/switch_rows.h"

static char log_text[1024];
static struct kl_switch_rows rows = { .ageing_s = -1 };

static void write_change(enum kl_mac_happening happening, const struct kl_switch_row *before,
			 const struct kl_switch_row *after, void *arg)
{
	const struct kl_switch_row *row = after ?: before;
	size_t at = strlen(log_text);

	(void)arg;
	cr_assert_eq(!before, happening == KL_MAC_LEARNED);
	cr_assert_eq(!after, happening == KL_MAC_FLUSHED);
	snprintf(log_text + at, sizeof(log_text) - at, "%s %02x/%u %u>%u;",
		 kl_mac_happening_name(happening), row->mac[5], row->fdb, before ? before->port : 0,
		 after ? after->port : 0);
}

struct row {
	uint8_t mac;
	uint32_t fdb, port;
};

static struct kl_switch_table table(const struct row *row)
{
	struct kl_switch_table t = { 0 };

	for (; row->port; row++) {
		const uint8_t mac[6] = { 0, 0x24, 0x14, 0, 0, row->mac };

		cr_assert_eq(kl_switch_table_add(&t, mac, row->fdb, row->port), 0);
	}
	kl_switch_table_sort(&t);
	return t;
}

static const char *compare(const struct row *before, const struct row *after)
{
	struct kl_switch_table b = table(before), a = table(after);

	log_text[0] = '\0';
	kl_switch_table_compare(&b, &a, write_change, NULL);
	kl_switch_table_done(&b);
	kl_switch_table_done(&a);
	return log_text;
}

#define ROWS(...)                                                                                  \
	(const struct row[])                                                                       \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define NONE                                                                                       \
	(const struct row[])                                                                       \
	{                                                                                          \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

Test(switch_table, what_changed)
{
	cr_expect_str_eq(compare(ROWS({ 1, 1, 7 }, { 2, 1, 8 }), ROWS({ 2, 1, 8 }, { 1, 1, 7 })),
			 "");
	cr_expect_str_eq(compare(ROWS({ 1, 1, 7 }), NONE), "flushed 01/1 7>0;");
	cr_expect_str_eq(compare(NONE, ROWS({ 1, 1, 7 })), "learned 01/1 0>7;");
	cr_expect_str_eq(compare(ROWS({ 1, 1, 7 }), ROWS({ 1, 1, 9 })), "moved 01/1 7>9;");
	cr_expect_str_eq(compare(ROWS({ 9, 1, 7 }, { 5, 1, 7 }, { 1, 1, 7 }),
				 ROWS({ 5, 1, 8 }, { 7, 1, 7 }, { 1, 1, 7 })),
			 "moved 05/1 7>8;learned 07/1 0>7;flushed 09/1 7>0;");
	/* The same MAC in two VLANs is two rows. */
	cr_expect_str_eq(compare(ROWS({ 1, 1, 7 }, { 1, 2, 7 }), ROWS({ 1, 2, 7 })),
			 "flushed 01/1 7>0;");
	cr_expect_str_eq(compare(NONE, NONE), "");
}

Test(switch_table, rows_that_are_there_twice)
{
	cr_expect_str_eq(compare(ROWS({ 1, 1, 7 }, { 1, 1, 7 }, { 2, 1, 7 }, { 2, 1, 7 }), NONE),
			 "flushed 01/1 7>0;flushed 02/1 7>0;");
}

Test(switch_table, has_an_end)
{
	struct kl_switch_table t = { 0 };
	uint8_t mac[6] = { 0 };

	for (unsigned i = 0; i < KL_SWITCH_ROWS_MAX; i++) {
		mac[4] = (uint8_t)(i >> 8);
		mac[5] = (uint8_t)i;
		cr_assert_eq(kl_switch_table_add(&t, mac, 1, 1), 0);
	}
	cr_expect_eq(kl_switch_table_add(&t, mac, 1, 1), -E2BIG);
	kl_switch_table_sort(&t);
	cr_expect_eq(t.count, KL_SWITCH_ROWS_MAX);
	kl_switch_table_done(&t);
}

static int take(enum kl_switch_column column, const uint32_t *index, size_t length, int64_t value)
{
	return kl_switch_rows_take(
		&rows, column, index, length,
		&(struct kl_varbind){ .type = KL_VARBIND_INTEGER, .integer = value });
}

static int take_name(uint32_t interface, const char *name)
{
	return kl_switch_rows_take(&rows, KL_COLUMN_INTERFACE_NAME, &interface, 1,
				   &(struct kl_varbind){ .type = KL_VARBIND_BYTES,
							 .bytes = (const uint8_t *)name,
							 .length = strlen(name) });
}

static int take1(enum kl_switch_column column, uint32_t index, int64_t value)
{
	return take(column, &index, 1, value);
}

Test(switch_rows, ports_and_vlans)
{
	char port[KL_PORT_NAME];

	take1(KL_COLUMN_PORT_INTERFACE, 7, 10107);
	take1(KL_COLUMN_PORT_INTERFACE, 8, 10108);
	take_name(10107, "Gi0/7");
	kl_switch_port_name(&rows, 7, port, sizeof(port));
	cr_expect_str_eq(port, "Gi0/7");
	kl_switch_port_name(&rows, 8, port, sizeof(port));
	cr_expect_str_eq(port, "bridge port 8");

	cr_expect_eq(take(KL_COLUMN_VLAN_FDB, (uint32_t[]){ 0, 110 }, 2, 3), 0);
	cr_expect_eq(take(KL_COLUMN_VLAN_FDB, (uint32_t[]){ 9, 110 }, 2, 3), 0);
	cr_expect_eq(take(KL_COLUMN_VLAN_FDB, (uint32_t[]){ 0, 120 }, 2, 4), 0);
	cr_expect_eq(take(KL_COLUMN_VLAN_FDB, (uint32_t[]){ 0, 121 }, 2, 4), 0);
	cr_expect_eq(kl_switch_vlan(&rows, 3), 110);
	cr_expect_eq(kl_switch_vlan(&rows, 4), 0);
	cr_expect_eq(kl_switch_vlan(&rows, 5), 0);
	kl_switch_rows_done(&rows);
}

Test(switch_rows, tables)
{
	const uint32_t by_vlan[] = { 3, 0, 0x24, 0x14, 0x2d, 0xdf, 0x24 };
	uint32_t wrong[] = { 3, 0, 0x24, 0x14, 0x2d, 0xdf, 256 };

	cr_expect_eq(take(KL_COLUMN_FDB_BY_VLAN, by_vlan, 7, 9), 0);
	cr_expect_eq(take(KL_COLUMN_FDB_BY_VLAN, by_vlan, 7, 0), 0); /* not known where */
	cr_assert_eq(rows.table.count, 1);
	cr_expect_eq(rows.table.row[0].fdb, 3);
	cr_expect_eq(rows.table.row[0].port, 9);
	cr_expect_arr_eq(rows.table.row[0].mac, "\x00\x24\x14\x2d\xdf\x24", 6);
	cr_expect_eq(take(KL_COLUMN_FDB, by_vlan + 1, 6, 9), 0);
	cr_expect_eq(rows.table.count, 2);

	cr_expect_eq(take(KL_COLUMN_FDB_BY_VLAN, wrong, 7, 9), -EBADMSG);
	cr_expect_eq(take(KL_COLUMN_FDB_BY_VLAN, by_vlan, 6, 9), -EBADMSG);
	cr_expect_eq(take(KL_COLUMN_FDB, by_vlan, 7, 9), -EBADMSG);
	cr_expect_eq(take(KL_COLUMN_FDB, by_vlan, 6, -1), -EBADMSG);
	cr_expect_eq(take(KL_COLUMN_FDB, by_vlan, 0, 1), -EBADMSG);
	kl_switch_rows_clear(&rows, KL_COLUMN_FDB);
	cr_expect_eq(rows.table.count, 0);
	kl_switch_rows_done(&rows);
}

static void write_ageing(const struct kl_ageing_evidence *a, void *arg)
{
	size_t at = strlen(log_text);

	(void)arg;
	snprintf(log_text + at, sizeof(log_text) - at, "%llu%s%s %s;",
		 (unsigned long long)a->ageing_ms, a->port_security ? " secure" : "",
		 a->absolute ? " absolute" : "", a->port);
}

Test(switch_rows, ageing_times)
{
	kl_switch_rows_ageing(&rows, write_ageing, NULL);
	cr_expect_str_eq(log_text, "");
	take1(KL_COLUMN_AGEING, 0, 300);
	take_name(10107, "Gi0/7");
	take1(KL_COLUMN_SECURE_AGEING, 10107, 1);
	take1(KL_COLUMN_SECURE_TYPE, 10107, 2);
	take1(KL_COLUMN_SECURE_AGEING, 10108, 0); /* off */
	take1(KL_COLUMN_SECURE_AGEING, 10109, 5);
	take1(KL_COLUMN_SECURE_TYPE, 10109, 1);
	kl_switch_rows_ageing(&rows, write_ageing, NULL);
	cr_expect_str_eq(log_text,
			 "300000 ;60000 secure Gi0/7;300000 secure absolute ifIndex 10109;");
	kl_switch_rows_done(&rows);
}

Test(switch_rows, no_more_ports_than_a_switch_has)
{
	for (uint32_t i = 0; i < KL_SWITCH_PORTS_MAX; i++) {
		cr_assert_eq(take1(KL_COLUMN_PORT_INTERFACE, i, i), 0);
		cr_assert_eq(take_name(i, "x"), 0);
	}
	cr_expect_eq(take1(KL_COLUMN_PORT_INTERFACE, 1, 1), -E2BIG);
	cr_expect_eq(take_name(1, "x"), -E2BIG);
	kl_switch_rows_done(&rows);
}
