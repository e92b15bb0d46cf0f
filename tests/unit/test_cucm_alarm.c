// SPDX-License-Identifier: GPL-2.0-only
/* cucm_alarm.h: whose alarm and why; each kind has a table of its own. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "core/cucm_alarm.h"
#include "guard.h"

static bool read_text(const char *text, struct kl_alarm *ret)
{
	return kl_cucm_alarm_read((const char *)guard_copy(0, text, (__u32)strlen(text)),
				  strlen(text), ret);
}

static const struct {
	const char *text;
	const char *address;
	struct kl_alarm want;
} alarms[] = {
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEPE0D1730A8137]"
	  "[IPAddress=10.60.98.210][Protocol=SIP][DeviceType=592][Description=Phone][Reason=13]"
	  "[IPAddrAttributes=0][LastSignalReceived=SIPStationDPrimaryLineTimeout]"
	  "[AppID=Cisco CallManager][ClusterID=StandAloneCluster][NodeID=uc-ucm-01]: An endpoint "
	  "has "
	  "unregistered",
	  "10.60.98.210",
	  { .type = KL_ALARM_UNREGISTERED,
	    .name = "EndPointUnregistered",
	    .device = "SEPE0D1730A8137",
	    .reason = 13,
	    .reason_name = "keepAliveTimeout",
	    .protocol = "SIP",
	    .node = "uc-ucm-01",
	    .last_signal = "SIPStationDPrimaryLineTimeout" } },
	/* another order, another severity, keys missing, an address of IPv6 */
	{ "UC_CALLMANAGER-6-EndPointUnregistered: %[NodeID=c][Reason=9][IPV6Address=2001:db8::7]"
	  "[DeviceName=ATA00112233]: x",
	  "2001:db8::7",
	  { .type = KL_ALARM_UNREGISTERED,
	    .name = "EndPointUnregistered",
	    .device = "ATA00112233",
	    .reason = 9,
	    .reason_name = "callManagerReset",
	    .node = "c" } },
	/* the same number means something else */
	{ "UC_CALLMANAGER-4-EndPointTransientConnection: %[IPAddress=10.1.1.1][DeviceName=SEP1]"
	  "[Reason=13][NodeID=c]: x",
	  "10.1.1.1",
	  { .type = KL_ALARM_TRANSIENT,
	    .name = "EndPointTransientConnection",
	    .device = "SEP1",
	    .reason = 13,
	    .reason_name = "directoryNumberMismatch",
	    .node = "c" } },
	{ "UC_CALLMANAGER-3-StationConnectionError: %[DeviceName=SEP1][ReasonCode=2]"
	  "[AppID=Cisco CallManager][NodeID=c]: Station device is closing the connection",
	  NULL,
	  { .type = KL_ALARM_CONNECTION,
	    .name = "StationConnectionError",
	    .device = "SEP1",
	    .reason = 2,
	    .reason_name = "keepAliveTimeout",
	    .node = "c" } },
	{ "UC_CALLMANAGER-6-EndPointRegistered: %[DeviceName=SEP1][IPAddress=10.1.1.1][NodeID=c]: "
	  "x",
	  "10.1.1.1",
	  { .type = KL_ALARM_REGISTERED,
	    .name = "EndPointRegistered",
	    .device = "SEP1",
	    .reason = -1,
	    .node = "c" } },
	{ "CCM_CALLMANAGER-CALLMANAGER-3-DeviceUnregistered: [DeviceName=SEP1][Reason=6]: x",
	  NULL,
	  { .type = KL_ALARM_UNREGISTERED,
	    .name = "DeviceUnregistered",
	    .device = "SEP1",
	    .reason = 6,
	    .reason_name = "connectivityError" } },
	{ "UC_CALLMANAGER-5-EndPointRestartInitiated: %[DeviceName=SEP1][Reason=3]: x",
	  NULL,
	  { .type = KL_ALARM_OTHER,
	    .name = "EndPointRestartInitiated",
	    .device = "SEP1",
	    .reason = 3,
	    .reason_name = "3" } },
	/* codes nobody knows are their number; what is none is none */
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][Reason=27]: x",
	  NULL,
	  { .name = "EndPointUnregistered", .device = "SEP1", .reason = 27, .reason_name = "27" } },
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][Reason=4711]: x",
	  NULL,
	  { .name = "EndPointUnregistered",
	    .device = "SEP1",
	    .reason = 4711,
	    .reason_name = "4711" } },
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][Reason=-1]: x",
	  NULL,
	  { .name = "EndPointUnregistered", .device = "SEP1", .reason = -1 } },
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][Reason=99999999999]: x",
	  NULL,
	  { .name = "EndPointUnregistered", .device = "SEP1", .reason = -1 } },
	/* descriptions are free text */
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][Description=A=b [Reason=99] "
	  "c] d: e][Reason=13]: x",
	  NULL,
	  { .name = "EndPointUnregistered",
	    .device = "SEP1",
	    .reason = 13,
	    .reason_name = "keepAliveTimeout" } },
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][Description=][Reason=13]%: x",
	  NULL,
	  { .name = "EndPointUnregistered",
	    .device = "SEP1",
	    .reason = 13,
	    .reason_name = "keepAliveTimeout" } },
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][Description=[x]][Reason=13]",
	  NULL,
	  { .name = "EndPointUnregistered",
	    .device = "SEP1",
	    .reason = 13,
	    .reason_name = "keepAliveTimeout" } },
	/* cut in the middle: half a number is none */
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][Reason=1",
	  NULL,
	  { .name = "EndPointUnregistered", .device = "SEP1", .reason = -1 } },
	/* too long */
	{ "UC_CALLMANAGER-3-EndPointUnregistered: "
	  "%[DeviceName=SEP0123456789012345678901234567890123456789]: x",
	  NULL,
	  { .name = "EndPointUnregistered",
	    .device = "SEP0123456789012345678901234567",
	    .reason = -1 } },
	/* an address that is none */
	{ "UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][IPAddress=10.1.1.999]: x",
	  NULL,
	  { .name = "EndPointUnregistered", .device = "SEP1", .reason = -1 } },
};

Test(cucm_alarm, whose_and_why)
{
	for (size_t i = 0; i < sizeof(alarms) / sizeof(alarms[0]); i++) {
		const struct kl_alarm *want = &alarms[i].want;
		const char *text = alarms[i].text;
		char address[INET6_ADDRSTRLEN] = "";
		struct kl_alarm got;

		cr_assert(read_text(text, &got), "%s", text);
		cr_expect_eq(got.type, want->type, "%s: %u", text, got.type);
		cr_expect_str_eq(got.name, want->name, "%s: %s", text, got.name);
		cr_expect_str_eq(got.device, want->device, "%s: %s", text, got.device);
		cr_expect_eq(got.reason, want->reason, "%s: %d", text, got.reason);
		cr_expect_str_eq(got.reason_name, want->reason_name, "%s: %s", text,
				 got.reason_name);
		cr_expect_str_eq(got.protocol, want->protocol, "%s: %s", text, got.protocol);
		cr_expect_str_eq(got.node, want->node, "%s: %s", text, got.node);
		cr_expect_str_eq(got.last_signal, want->last_signal, "%s: %s", text,
				 got.last_signal);
		if (got.address.family)
			inet_ntop(got.address.family == 4 ? AF_INET : AF_INET6, got.address.word,
				  address, sizeof(address));
		cr_expect_str_eq(address, alarms[i].address ?: "", "%s: %s", text, address);
	}
}

Test(cucm_alarm, others_are_none)
{
	static const char *const others[] = {
		"SYS-5-CONFIG_I: [DeviceName=SEP1]",
		"UC_CALLMANAGER-6-CallManagerOnline: %[AppID=x][NodeID=c]: x",
		/* an alert quotes the alarm that it is about */
		"UC_RTMT-2-RTMT_ALERT: %[AlertName=SyslogSeverityMatchFound][AlertDetail=at "
		"%UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP1][Reason=13]: x]",
		"UC_CALLMANAGER-3-EndPointUnregistered:",
		"UC_CALLMANAGER-3-EndPointUnregistered: %[[[[[[==]]]]]",
		"",
	};
	struct kl_alarm got;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_not(read_text(others[i], &got), "%s", others[i]);
}

/* The tables, where they differ and where they end (CISCO-CCM-MIB). */
Test(cucm_alarm, tables_of_reasons)
{
	static const struct {
		const char *alarm;
		int reason;
		const char *name; /* NULL: unknown */
	} reasons[] = {
		{ "EndPointUnregistered", 0, "noError" },
		{ "EndPointUnregistered", 10, "deviceUnregistered" },
		{ "EndPointUnregistered", 12, "sccpDeviceThrottling" },
		{ "EndPointUnregistered", 13, "keepAliveTimeout" },
		{ "EndPointUnregistered", 26, "invalidCapabilities" },
		{ "EndPointUnregistered", 27, NULL },
		{ "EndPointUnregistered", 29, "deviceSwitch" },
		{ "EndPointUnregistered", 30, NULL },
		{ "EndPointUnregistered", -1, NULL },
		{ "DeviceUnregistered", 13, "keepAliveTimeout" },
		{ "EndPointTransientConnection", 5, "maxDevRegExceeded" },
		{ "EndPointTransientConnection", 13, "directoryNumberMismatch" },
		{ "EndPointTransientConnection", 18, "obsoleteProtocolVersion" },
		{ "EndPointTransientConnection", 19, NULL },
		{ "EndPointTransientConnection", 33, "addressingModeMismatch" },
		{ "EndPointTransientConnection", 34, NULL },
		{ "StationConnectionError", 2, "keepAliveTimeout" },
		{ "StationConnectionError", 3, "dbChangeNotify" },
		{ "StationConnectionError", 13, NULL },
		{ "EndPointRegistered", 0, NULL },
		{ "Anything", 13, NULL },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		const char *name = kl_cucm_reason_name(reasons[i].alarm, reasons[i].reason);

		cr_expect_str_eq(name ?: "-", reasons[i].name ?: "-", "%s %d", reasons[i].alarm,
				 reasons[i].reason);
	}
}
