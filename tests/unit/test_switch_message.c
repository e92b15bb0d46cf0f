// SPDX-License-Identifier: GPL-2.0-only
/* switch_message.h: what a switch says of its MAC table. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/switch_message.h"
#include "guard.h"

static bool read_text(const char *text, struct kl_mac_evidence *ret)
{
	return kl_switch_message_read((const char *)guard_copy(0, text, (__u32)strlen(text)),
				      strlen(text), ret);
}

static const struct {
	const char *text;
	struct kl_mac_evidence want;
} messages[] = {
	{ "SW_MATM-4-MACFLAP_NOTIF: Host 0015.5d91.8502 in vlan 1 is flapping between port Gi0/20 "
	  "and port Po1",
	  { .happening = KL_MAC_MOVED,
	    .has_mac = true,
	    .vlan = 1,
	    .mac = { 0x00, 0x15, 0x5d, 0x91, 0x85, 0x02 },
	    .port = "Po1",
	    .from_port = "Gi0/20" } },
	{ "MAC_MOVE-SP-4-NOTIF: Host 0015.5d91.8502 in vlan 10 is flapping between port Gi1/1 and "
	  "port Gi1/2",
	  { .happening = KL_MAC_MOVED,
	    .has_mac = true,
	    .vlan = 10,
	    .mac = { 0x00, 0x15, 0x5d, 0x91, 0x85, 0x02 },
	    .port = "Gi1/2",
	    .from_port = "Gi1/1" } },
	{ "L2FM-4-L2FM_MAC_MOVE: Mac 0000.1111.2222 in vlan 10 has moved from Eth1/15 to Eth9/8",
	  { .happening = KL_MAC_MOVED,
	    .has_mac = true,
	    .vlan = 10,
	    .mac = { 0x00, 0x00, 0x11, 0x11, 0x22, 0x22 },
	    .port = "Eth9/8",
	    .from_port = "Eth1/15" } },
	{ "L2FM-2-L2FM_MAC_MOVE2: Mac 00:00:11:11:22:22 in vlan 500 has moved from Ethernet1/24 to "
	  "port-channel63",
	  { .happening = KL_MAC_MOVED,
	    .has_mac = true,
	    .vlan = 500,
	    .mac = { 0x00, 0x00, 0x11, 0x11, 0x22, 0x22 },
	    .port = "Po63",
	    .from_port = "Eth1/24" } },
	{ "PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address "
	  "0013.1a41.544e on port FastEthernet0/14.",
	  { .happening = KL_MAC_VIOLATION,
	    .has_mac = true,
	    .mac = { 0x00, 0x13, 0x1a, 0x41, 0x54, 0x4e },
	    .port = "Fa0/14" } },
	{ "PORT_SECURITY-SP-4-PSECURE_VIOLATION_VLAN: Security violation on port "
	  "GigabitEthernet1/0/7 due to MAC address 00-13-1A-41-54-4E on VLAN 20",
	  { .happening = KL_MAC_VIOLATION,
	    .has_mac = true,
	    .vlan = 20,
	    .mac = { 0x00, 0x13, 0x1a, 0x41, 0x54, 0x4e },
	    .port = "Gi1/0/7" } },
	{ "PM-4-ERR_DISABLE: psecure-violation error detected on Fa0/14, putting Fa0/14 in "
	  "err-disable state",
	  { .happening = KL_MAC_VIOLATION, .port = "Fa0/14" } },
	{ "PM-SW1-4-ERR_DISABLE: psecure-violation error detected on Gi1/0/1, vlan 30. Putting ...",
	  { .happening = KL_MAC_VIOLATION, .port = "Gi1/0/1", .vlan = 30 } },
	{ "SPANTREE-5-TOPOTRAP: Topology Change Trap for vlan 10",
	  { .happening = KL_MAC_TOPOLOGY_CHANGE, .vlan = 10 } },
	{ "SPANTREE-SW2-6-TOPOTRAP: Topology Change Trap for instance MST0",
	  { .happening = KL_MAC_TOPOLOGY_CHANGE } },
	{ "SPANTREE-5-ROOTCHANGE: Root Changed for vlan 15: New Root Port is Port-channel23. New "
	  "Root Mac Address is fa16.3e9e.4407",
	  { .happening = KL_MAC_TOPOLOGY_CHANGE, .vlan = 15 } },
	{ "SPANTREE-5-ROOTCHANGE: Root changed for VLAN0010",
	  { .happening = KL_MAC_TOPOLOGY_CHANGE, .vlan = 10 } },
	/* Cut, or larger than life */
	{ "PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address "
	  "0013.1a41.54",
	  { .happening = KL_MAC_VIOLATION } },
	{ "PORT_SECURITY-2-PSECURE_VIOLATION: on port "
	  "GigabitEthernet1/0/7AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA in vlan 99999",
	  { .happening = KL_MAC_VIOLATION, .port = "Gi1/0/7AAAAAAAAAAAAAAAAAAAAAAAA" } },
};

Test(switch_message, what_they_say)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		const struct kl_mac_evidence *want = &messages[i].want;
		const char *text = messages[i].text;
		struct kl_mac_evidence got;

		cr_assert(read_text(text, &got), "%s", text);
		cr_expect_eq(got.happening, want->happening, "%s: %u", text, got.happening);
		cr_expect_eq(got.source, KL_MAC_FROM_SYSLOG);
		cr_expect_eq(got.has_mac, want->has_mac, "%s", text);
		cr_expect_eq(memcmp(got.mac, want->mac, 6), 0, "%s", text);
		cr_expect_eq(got.vlan, want->vlan, "%s: %u", text, got.vlan);
		cr_expect_str_eq(got.port, want->port, "%s: %s", text, got.port);
		cr_expect_str_eq(got.from_port, want->from_port, "%s: %s", text, got.from_port);
	}
}

Test(switch_message, others_say_nothing)
{
	static const char *const others[] = {
		"SYS-5-CONFIG_I: Configured from console by vty0",
		"LINK-3-UPDOWN: Interface GigabitEthernet1/0/1, changed state to down",
		"PM-4-ERR_DISABLE: bpduguard error detected on Fa0/14, putting Fa0/14 in ...",
		"SPANTREE-2-BLOCK_BPDUGUARD: Received BPDU on port Fa0/1 with BPDU Guard enabled",
		"SW_MATM-4-MACFLAP_NOTIF: Host in vlan 1 is flapping between port a and port b",
		"SW_MATM-4-MACFLAP_NOTIF:",
		"no mnemonic at all",
		"",
	};
	struct kl_mac_evidence got;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_not(read_text(others[i], &got), "%s", others[i]);
}

Test(switch_message, forms_of_a_mac)
{
	static const struct {
		const char *text;
		size_t len; /* 0: none */
	} forms[] = {
		{ "0015.5d91.8502", 14 },	{ "00:15:5D:91:85:02", 17 },
		{ "00-15-5d-91-85-02", 17 },	{ "0015.5d91.8502,", 14 },
		{ "0015.5d91.850", 0 },		{ "0015.5d91.85021", 0 },
		{ "0015:5d91:8502", 0 },	{ "00155d918502", 0 },
		{ "00:15:5d:91:85:02:03", 17 }, { "00:15-5d:91:85:02", 0 },
		{ "g015.5d91.8502", 0 },	{ "", 0 },
	};
	static const uint8_t want[6] = { 0x00, 0x15, 0x5d, 0x91, 0x85, 0x02 };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const char *text = forms[i].text;
		uint8_t mac[6] = {};

		cr_expect_eq(kl_read_mac((const char *)guard_copy(0, text, (__u32)strlen(text)),
					 strlen(text), mac),
			     forms[i].len, "%s", text);
		if (forms[i].len)
			cr_expect_eq(memcmp(mac, want, 6), 0, "%s", text);
	}
}
