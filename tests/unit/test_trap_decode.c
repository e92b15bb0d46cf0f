// SPDX-License-Identifier: GPL-2.0-only
/* trap_decode.h: notifications of switches, as they should be and as they should not. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/trap_decode.h"
#include "util/cleanup.h"

#define CISCO 1, 3, 6, 1, 4, 1, 9, 9
#define OID(...) (const uint32_t[]){ __VA_ARGS__ }, KL_COUNT(((const uint32_t[]){ __VA_ARGS__ }))
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

#define HIST CISCO, 215, 1, 1, 8, 1, 2, 1
#define MOVE CISCO, 215, 1, 3
#define SECURE CISCO, 315, 1, 2, 1, 1
#define IF_INDEX 1, 3, 6, 1, 2, 1, 2, 2, 1, 1, 10107
#define IF_NAME 1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1, 10107

#define REMOVED "\x02\x00\x6e\x00\x24\x14\x2d\xdf\x24\x00\x07"
#define LEARNT "\x01\x00\x6e\x00\x24\x14\x2d\xdf\x25\x01\x08"
#define MAC "\x00\x24\x14\x2d\xdf\x24"

static struct kl_mac_evidence got[KL_TRAP_MACS];
static size_t count;
static struct kl_varbind varbinds[80];
static size_t varbind_count;

static void bytes(const uint32_t *oid, size_t oid_len, const uint8_t *p, size_t length)
{
	varbinds[varbind_count++] = (struct kl_varbind){ .oid = oid,
							 .oid_len = oid_len,
							 .type = KL_VARBIND_BYTES,
							 .bytes = p,
							 .length = length };
}

static void number(const uint32_t *oid, size_t oid_len, int64_t value)
{
	varbinds[varbind_count++] = (struct kl_varbind){
		.oid = oid, .oid_len = oid_len, .type = KL_VARBIND_INTEGER, .integer = value
	};
}

static int decode(const uint32_t *oid, size_t oid_len)
{
	struct kl_notification n = { .oid_len = oid_len,
				     .varbind = varbinds,
				     .count = varbind_count };
	int r;

	memcpy(n.oid, oid, oid_len * sizeof(*oid));
	memset(got, 0xee, sizeof(got));
	r = kl_trap_decode(&n, got, &count);
	varbind_count = 0;
	return r;
}

static int changed(const uint8_t *message, size_t length)
{
	bytes(OID(HIST), message, length);
	return decode(OID(CISCO, 215, 2, 0, 1));
}

Test(trap_decode, learnt_and_removed)
{
	cr_assert_eq(changed(BYTES(REMOVED LEARNT "\0")), 0);
	cr_assert_eq(count, 2);
	cr_expect_eq(got[0].happening, KL_MAC_FLUSHED);
	cr_expect_eq(got[0].source, KL_MAC_FROM_SNMP);
	cr_expect(got[0].has_mac);
	cr_expect_arr_eq(got[0].mac, MAC, 6);
	cr_expect_eq(got[0].vlan, 110);
	cr_expect_str_eq(got[0].port, "bridge port 7");
	cr_expect_str_eq(got[0].told_by, "");
	cr_expect_eq(got[0].silent_ms, 0);
	cr_expect_eq(got[1].happening, KL_MAC_LEARNED);
	cr_expect_eq(got[1].mac[5], 0x25);
	cr_expect_str_eq(got[1].port, "bridge port 264");
}

Test(trap_decode, what_is_behind_the_end_does_not_count)
{
	cr_expect_eq(changed(BYTES(REMOVED "\0" REMOVED)), 0);
	cr_expect_eq(count, 1);
	cr_expect_eq(changed(BYTES("\0")), 0);
	cr_expect_eq(count, 0);
	cr_expect_eq(changed(BYTES("")), 0);
	cr_expect_eq(count, 0);
}

Test(trap_decode, several_messages_in_one_notification)
{
	bytes(OID(HIST), BYTES(REMOVED "\0"));
	number(OID(CISCO, 215, 1, 1, 8, 1, 3, 1), 4711);
	bytes(OID(CISCO, 215, 1, 1, 8, 1, 2, 2), BYTES(LEARNT LEARNT));
	cr_expect_eq(decode(OID(CISCO, 215, 2, 0, 1)), 0);
	cr_expect_eq(count, 3);
}

/* What came before the damage counts. */
Test(trap_decode, cut_short)
{
	for (size_t cut = 1; cut < 11; cut++) {
		uint8_t message[22];

		memcpy(message, REMOVED LEARNT, 22);
		cr_expect_eq(changed(message, 22 - cut), -EBADMSG, "%zu", cut);
		cr_expect_eq(count, 1);
	}
	cr_expect_eq(changed(BYTES("\x02")), -EBADMSG);
	cr_expect_eq(count, 0);
}

Test(trap_decode, unknown_operation)
{
	cr_expect_eq(changed(BYTES(LEARNT "\x03" REMOVED)), -EBADMSG);
	cr_expect_eq(count, 1);
}

Test(trap_decode, more_than_there_is_room_for)
{
	uint8_t message[11 * (KL_TRAP_MACS + 1)];

	for (int i = 0; i <= KL_TRAP_MACS; i++)
		memcpy(message + 11 * i, LEARNT, 11);
	cr_expect_eq(changed(message, sizeof(message)), -EBADMSG);
	cr_expect_eq(count, KL_TRAP_MACS);
	cr_expect_eq(changed(message, sizeof(message) - 11), 0);
	cr_expect_eq(count, KL_TRAP_MACS);
}

Test(trap_decode, changed_without_a_message_or_with_a_number)
{
	cr_expect_eq(decode(OID(CISCO, 215, 2, 0, 1)), -EBADMSG);
	number(OID(HIST), 7);
	cr_expect_eq(decode(OID(CISCO, 215, 2, 0, 1)), -EBADMSG);
	cr_expect_eq(count, 0);
}

Test(trap_decode, moved)
{
	bytes(OID(MOVE, 3, 0), BYTES(MAC));
	number(OID(MOVE, 4, 0), 110);
	number(OID(MOVE, 5, 0), 7);
	number(OID(MOVE, 6, 0), 9);
	cr_assert_eq(decode(OID(CISCO, 215, 2, 0, 2)), 0);
	cr_assert_eq(count, 1);
	cr_expect_eq(got[0].happening, KL_MAC_MOVED);
	cr_expect_arr_eq(got[0].mac, MAC, 6);
	cr_expect_eq(got[0].vlan, 110);
	cr_expect_str_eq(got[0].from_port, "bridge port 7");
	cr_expect_str_eq(got[0].port, "bridge port 9");

	bytes(OID(MOVE, 3, 0), BYTES("\x00\x24\x14"));
	cr_expect_eq(decode(OID(CISCO, 215, 2, 0, 2)), -EBADMSG);
	number(OID(MOVE, 4, 0), 110);
	cr_expect_eq(decode(OID(CISCO, 215, 2, 0, 2)), -EBADMSG);
	cr_expect_eq(count, 0);
}

Test(trap_decode, numbers_out_of_range_are_not_known)
{
	bytes(OID(MOVE, 3, 0), BYTES(MAC));
	number(OID(MOVE, 4, 0), 4095);
	number(OID(MOVE, 5, 0), -7);
	number(OID(MOVE, 6, 0), 1LL << 40);
	cr_assert_eq(decode(OID(CISCO, 215, 2, 0, 2)), 0);
	cr_expect_eq(got[0].vlan, 0);
	cr_expect_str_eq(got[0].from_port, "");
	cr_expect_str_eq(got[0].port, "");
}

Test(trap_decode, spanning_tree)
{
	for (uint32_t which = 1; which <= 2; which++) {
		cr_assert_eq(decode(OID(1, 3, 6, 1, 2, 1, 17, 0, which)), 0);
		cr_assert_eq(count, 1);
		cr_expect_eq(got[0].happening, KL_MAC_TOPOLOGY_CHANGE);
		cr_expect_not(got[0].has_mac);
	}
}

Test(trap_decode, port_security)
{
	number(OID(IF_INDEX), 10107);
	bytes(OID(IF_NAME), BYTES("Gi0/7"));
	bytes(OID(SECURE, 10, 10107), BYTES(MAC));
	cr_assert_eq(decode(OID(CISCO, 315, 0, 0, 1)), 0);
	cr_assert_eq(count, 1);
	cr_expect_eq(got[0].happening, KL_MAC_VIOLATION);
	cr_expect_arr_eq(got[0].mac, MAC, 6);
	cr_expect_str_eq(got[0].port, "Gi0/7");

	bytes(OID(IF_NAME), BYTES("Gi0/7"));
	number(OID(SECURE, 18, 10107), 110);
	bytes(OID(SECURE, 10, 10107), BYTES(MAC));
	cr_assert_eq(decode(OID(CISCO, 315, 0, 0, 3)), 0);
	cr_expect_eq(got[0].vlan, 110);
}

/* A port whose name is six characters long is no MAC; one that is not named has its number. */
Test(trap_decode, port_security_names)
{
	bytes(OID(IF_NAME), BYTES("Gi0/17"));
	bytes(OID(SECURE, 10, 10117), BYTES(MAC));
	cr_assert_eq(decode(OID(CISCO, 315, 0, 0, 2)), 0);
	cr_expect_arr_eq(got[0].mac, MAC, 6);
	cr_expect_str_eq(got[0].port, "Gi0/17");

	number(OID(IF_INDEX), 10107);
	bytes(OID(CISCO, 315, 9, 9), BYTES(MAC));
	cr_assert_eq(decode(OID(CISCO, 315, 0, 0, 9)), 0);
	cr_expect_arr_eq(got[0].mac, MAC, 6);
	cr_expect_str_eq(got[0].port, "ifIndex 10107");

	bytes(OID(IF_NAME), BYTES("Gi0/17"));
	cr_expect_eq(decode(OID(CISCO, 315, 0, 0, 1)), -EBADMSG);
	bytes(OID(SECURE, 10, 10117), BYTES("\x00\x24"));
	cr_expect_eq(decode(OID(CISCO, 315, 0, 0, 1)), -EBADMSG);
}

Test(trap_decode, names_of_strangers_are_made_harmless)
{
	bytes(OID(IF_NAME), BYTES("Gi\x1b[31m/\xff and much longer than a field for a port"));
	bytes(OID(SECURE, 10, 1), BYTES(MAC));
	cr_assert_eq(decode(OID(CISCO, 315, 0, 0, 1)), 0);
	cr_expect_str_eq(got[0].port, "Gi?[31m/? and much longer than ");
}

Test(trap_decode, what_is_of_no_concern)
{
	cr_expect_eq(decode(OID(1, 3, 6, 1, 6, 3, 1, 1, 5, 3)), 0); /* linkDown */
	cr_expect_eq(count, 0);
	cr_expect_eq(decode(OID(1)), 0);
	cr_expect_eq(count, 0);
	cr_expect_eq(decode(OID(CISCO, 215, 2, 0, 1, 1)), 0);
	cr_expect_eq(count, 0);
	cr_expect_eq(decode(OID(1, 3, 6, 1, 2, 1, 17, 0, 3)), 0);
	cr_expect_eq(count, 0);
}

Test(trap_decode, v1)
{
	static const uint32_t bridge[] = { 1, 3, 6, 1, 2, 1, 17 };
	static const uint32_t long_one[KL_OID_MAX] = { 1, 3 };
	struct kl_notification n = { 0 };

	cr_assert_eq(kl_trap_v1_oid(bridge, 7, 6, 2, &n), 0);
	cr_expect_eq(kl_trap_decode(&n, got, &count), 0);
	cr_assert_eq(count, 1);
	cr_expect_eq(got[0].happening, KL_MAC_TOPOLOGY_CHANGE);

	cr_assert_eq(kl_trap_v1_oid(bridge, 7, 2, 0, &n), 0); /* linkDown */
	cr_expect_eq(n.oid_len, 10);
	cr_expect_eq(n.oid[9], 3);
	cr_expect_eq(kl_trap_v1_oid(bridge, 7, 7, 1, &n), -EBADMSG);
	cr_expect_eq(kl_trap_v1_oid(bridge, 7, -1, 1, &n), -EBADMSG);
	cr_expect_eq(kl_trap_v1_oid(bridge, 7, 6, -1, &n), -EBADMSG);
	cr_expect_eq(kl_trap_v1_oid(long_one, KL_OID_MAX - 1, 6, 1, &n), -EBADMSG);
	cr_expect_eq(kl_trap_v1_oid(long_one, KL_OID_MAX - 2, 6, 1, &n), 0);
	cr_expect_eq(n.oid_len, KL_OID_MAX);
}
