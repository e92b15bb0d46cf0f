// SPDX-License-Identifier: GPL-2.0-only
#include "core/cucm_alarm.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/syslog_line.h"
#include "util/cleanup.h"

/* ---- Reasons ---- */

/* CISCO-CCM-MIB, CcmDevUnregCauseCode. */
static const char *const unregistered[] = {
	[0] = "noError",
	[1] = "unknown",
	[2] = "noEntryInDatabase",
	[3] = "databaseConfigurationError",
	[4] = "deviceNameUnresolveable",
	[5] = "maxDevRegExceeded",
	[6] = "connectivityError",
	[7] = "initializationError",
	[8] = "deviceInitiatedReset",
	[9] = "callManagerReset",
	[10] = "deviceUnregistered",
	[11] = "malformedRegisterMsg",
	[12] = "sccpDeviceThrottling",
	[13] = "keepAliveTimeout",
	[14] = "configurationMismatch",
	[15] = "callManagerRestart",
	[16] = "duplicateRegistration",
	[17] = "callManagerApplyConfig",
	[18] = "deviceNoResponse",
	[19] = "emLoginLogout",
	[20] = "emccLoginLogout",
	[21] = "energywisePowerSavePlus",
	[22] = "callManagerForcedRestart",
	[23] = "sourceIPAddrChanged",
	[24] = "sourcePortChanged",
	[25] = "registrationSequenceError",
	[26] = "invalidCapabilities",
	[28] = "fallbackInitiated",
	[29] = "deviceSwitch",
};

/* CISCO-CCM-MIB, CcmDevRegFailCauseCode. */
static const char *const transient[] = {
	[0] = "noError",
	[1] = "unknown",
	[2] = "noEntryInDatabase",
	[3] = "databaseConfigurationError",
	[4] = "deviceNameUnresolveable",
	[5] = "maxDevRegExceeded",
	[6] = "connectivityError",
	[7] = "initializationError",
	[8] = "deviceInitiatedReset",
	[9] = "callManagerReset",
	[10] = "authenticationError",
	[11] = "invalidX509NameInCertificate",
	[12] = "invalidTLSCipher",
	[13] = "directoryNumberMismatch",
	[14] = "malformedRegisterMsg",
	[15] = "protocolMismatch",
	[16] = "deviceNotActive",
	[17] = "authenticatedDeviceAlreadyExists",
	[18] = "obsoleteProtocolVersion",
	[23] = "databaseTimeout",
	[25] = "registrationSequenceError",
	[26] = "invalidCapabilities",
	[27] = "capabilityResponseTimeout",
	[28] = "securityMismatch",
	[29] = "autoRegisterDBError",
	[30] = "dbAccessError",
	[31] = "autoRegisterDBConfigTimeout",
	[32] = "deviceTypeMismatch",
	[33] = "addressingModeMismatch",
};

static const char *const connection[] = {
	[0] = "deviceInitiatedReset",
	[1] = "sccpDeviceThrottling",
	[2] = "keepAliveTimeout",
	[3] = "dbChangeNotify",
};

/* The alarms that are understood. Those of before release 8 (Device…) mean the same. */
static const struct kind {
	const char *name;
	enum kl_alarm_type type;
	const char *const *reasons;
	size_t reason_count;
} kinds[] = {
	{ "EndPointUnregistered", KL_ALARM_UNREGISTERED, unregistered, KL_COUNT(unregistered) },
	{ "DeviceUnregistered", KL_ALARM_UNREGISTERED, unregistered, KL_COUNT(unregistered) },
	{ "EndPointTransientConnection", KL_ALARM_TRANSIENT, transient, KL_COUNT(transient) },
	{ "DeviceTransientConnection", KL_ALARM_TRANSIENT, transient, KL_COUNT(transient) },
	{ "EndPointRegistered", KL_ALARM_REGISTERED, NULL, 0 },
	{ "DeviceRegistered", KL_ALARM_REGISTERED, NULL, 0 },
	{ "StationConnectionError", KL_ALARM_CONNECTION, connection, KL_COUNT(connection) },
};

static const struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < KL_COUNT(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

const char *kl_cucm_reason_name(const char *alarm, int reason)
{
	const struct kind *kind = kind_of(alarm);

	if (!kind || reason < 0 || (size_t)reason >= kind->reason_count)
		return NULL;
	return kind->reasons[reason];
}

static bool is_listed(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

size_t kl_cucm_reasons(const char *ret[KL_CUCM_REASONS_MAX])
{
	size_t count = 0;

	for (size_t k = 0; k < KL_COUNT(kinds); k++) {
		for (size_t i = 0; i < kinds[k].reason_count; i++) {
			const char *name = kinds[k].reasons[i];

			if (name && count < KL_CUCM_REASONS_MAX && !is_listed(ret, count, name))
				ret[count++] = name;
		}
	}
	return count;
}

/* ---- Keys and values ---- */

struct pair {
	const char *key;
	size_t key_len;
	const char *value;
	size_t value_len;
};

static bool is_key(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* Does "[Key=" stand here? Its length; 0: no. */
static size_t key_at(const char *p, const char *end)
{
	size_t n = 1;

	if (p == end || *p != '[')
		return 0;
	while (p + n < end && is_key(p[n]))
		n++;
	return n > 1 && p + n < end && p[n] == '=' ? n + 1 : 0;
}

/*
 * The next "[Key=value]" from *p on. The value is free text and may hold brackets of its own: it
 * ends before a "]" that another key, ":" or the end follows; failing that, at the first "]".
 */
static bool next_pair(const char **p, const char *end, struct pair *ret)
{
	size_t n = 0;
	const char *first = NULL, *close;

	while (*p < end && !(n = key_at(*p, end)))
		(*p)++;
	if (!n)
		return false;
	ret->key = *p + 1;
	ret->key_len = n - 2;
	ret->value = *p + n;
	for (close = ret->value; close < end; close++) {
		const char *after = close + 1;

		/* Nor does a key stand within a value: there this one was never closed. */
		if (close > ret->value && key_at(close, end) > 0 && first)
			break;
		if (*close != ']')
			continue;
		if (!first)
			first = close;
		if (after < end && *after == '%')
			after++;
		while (after < end && *after == ' ')
			after++;
		if (after == end || *after == ':' || *after == ']' || key_at(after, end))
			break;
	}
	if (!first)
		return false; /* cut off: half a value is none */
	if (close == end || *close != ']')
		close = first;
	ret->value_len = (size_t)(close - ret->value);
	*p = close;
	return true;
}

static bool is_named(const struct pair *pair, const char *key)
{
	return pair->key_len == strlen(key) && strncasecmp(pair->key, key, pair->key_len) == 0;
}

static void copy(char *ret, size_t room, const char *from, size_t len)
{
	if (len >= room)
		len = room - 1;
	memcpy(ret, from, len);
	ret[len] = '\0';
}

static void read_address(const struct pair *pair, struct kl_address *ret)
{
	char text[INET6_ADDRSTRLEN];
	uint32_t word[4] = {};

	copy(text, sizeof(text), pair->value, pair->value_len);
	if (inet_pton(AF_INET, text, word) == 1 && word[0])
		*ret = kl_address_of(4, word);
	else if (inet_pton(AF_INET6, text, word) == 1)
		*ret = kl_address_of(6, word);
}

static int read_number(const struct pair *pair)
{
	int n = 0;

	if (!pair->value_len || pair->value_len > 6)
		return -1;
	for (size_t i = 0; i < pair->value_len; i++) {
		if (pair->value[i] < '0' || pair->value[i] > '9')
			return -1;
		n = 10 * n + (pair->value[i] - '0');
	}
	return n;
}

static void take_pair(const struct pair *pair, struct kl_alarm *ret)
{
	if (!pair->value_len)
		return;
	if (is_named(pair, "DeviceName"))
		copy(ret->device, sizeof(ret->device), pair->value, pair->value_len);
	else if (is_named(pair, "IPAddress") ||
		 (is_named(pair, "IPV6Address") && !ret->address.family))
		read_address(pair, &ret->address);
	else if (is_named(pair, "Protocol"))
		copy(ret->protocol, sizeof(ret->protocol), pair->value, pair->value_len);
	else if (is_named(pair, "NodeID"))
		copy(ret->node, sizeof(ret->node), pair->value, pair->value_len);
	else if (is_named(pair, "LastSignalReceived"))
		copy(ret->last_signal, sizeof(ret->last_signal), pair->value, pair->value_len);
	else if (is_named(pair, "Reason") || is_named(pair, "ReasonCode"))
		ret->reason = read_number(pair);
}

static bool begins(const char *text, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

bool kl_cucm_alarm_read(const char *text, size_t len, struct kl_alarm *ret)
{
	const char *end = text + len, *name, *p, *known;
	const struct kind *kind;
	struct pair pair;
	size_t n;

	*ret = (struct kl_alarm){ .type = KL_ALARM_OTHER, .reason = -1 };
	name = kl_syslog_mnemonic(text, len, &n);
	if (!name || (!begins(text, len, "UC_") && !begins(text, len, "CCM_")))
		return false;
	/* Alerts quote other alarms. */
	if (begins(text, len, "UC_RTMT"))
		return false;
	copy(ret->name, sizeof(ret->name), name, n);
	p = name + n;
	while (next_pair(&p, end, &pair))
		take_pair(&pair, ret);
	kind = kind_of(ret->name);
	if (kind)
		ret->type = (uint8_t)kind->type;
	known = kl_cucm_reason_name(ret->name, ret->reason);
	if (known)
		copy(ret->reason_name, sizeof(ret->reason_name), known, strlen(known));
	else if (ret->reason >= 0)
		snprintf(ret->reason_name, sizeof(ret->reason_name), "%d", ret->reason);
	return ret->device[0] || (kind && ret->address.family);
}
