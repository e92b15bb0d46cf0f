// SPDX-License-Identifier: GPL-2.0-only
#include "core/names.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

static const char *name_of(const char *const *names, size_t count, __u32 i)
{
	return i < count && names[i] ? names[i] : "unknown";
}

const char *kl_side_name(__u32 side)
{
	static const char *const names[] = { "access", "cucm" };

	return name_of(names, KL_COUNT(names), side);
}

const char *kl_direction_name(__u32 direction)
{
	static const char *const names[] = { "to_cucm", "to_phone" };

	return name_of(names, KL_COUNT(names), direction);
}

const char *kl_kind_name(__u32 kind)
{
	static const char *const names[KL_KINDS] = {
		[KL_OTHER] = "other",
		[KL_SCCP_KEEPALIVE] = "sccp_keepalive",
		[KL_SCCP_KEEPALIVE_ACK] = "sccp_keepalive_ack",
		[KL_SCCP_OTHER] = "sccp_other",
		[KL_SIP_REGISTER] = "sip_register",
		[KL_SIP_REGISTER_BACKUP] = "sip_register_backup",
		[KL_SIP_RESPONSE] = "sip_response",
		[KL_SIP_OPTIONS] = "sip_options",
		[KL_SIP_OTHER] = "sip_other",
		[KL_CRLF_PING] = "crlf_ping",
		[KL_CRLF_PONG] = "crlf_pong",
		[KL_TCP_PROBE] = "tcp_probe",
		[KL_TCP_PROBE_ACK] = "tcp_probe_ack",
		[KL_TLS_RECORD] = "tls_record",
	};

	return name_of(names, KL_COUNT(names), kind);
}

const char *kl_fate_name(__u32 fate)
{
	static const char *const names[KL_FATES] = {
		[KL_LOST] = "lost",
		[KL_UNPAIRED_ONE_SIDED] = "one_sided",
		[KL_UNPAIRED_FAR_ONLY] = "far_only",
		[KL_UNPAIRED_GAP] = "gap",
		[KL_UNPAIRED_BYPASSED] = "bypassed",
		[KL_UNPAIRED_OVERFLOW] = "overflow",
		[KL_UNPAIRED_FRAGMENT] = "fragmented",
		[KL_UNPAIRED_REWRITTEN] = "rewritten",
		[KL_UNPAIRED_EVICTED] = "evicted",
		[KL_UNPAIRED_UNCONFIRMED] = "unconfirmed",
	};

	return name_of(names, KL_COUNT(names), fate);
}

void kl_format_address(__u8 family, const __u32 address[4], char *ret)
{
	if (!inet_ntop(family == 6 ? AF_INET6 : AF_INET, address, ret, KL_ADDRESS_TEXT))
		ret[0] = '\0';
}

bool kl_format_mac(const __u8 mac[6], char *ret)
{
	static const __u8 none[6];

	ret[0] = '\0';
	if (!memcmp(mac, none, sizeof(none)))
		return false;
	snprintf(ret, KL_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
	return true;
}
