/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The outside of an SNMP message: which version, and of v3 who is said to have sent it and where
 * its authentication is. So that what nobody has a key for is turned away before anything is
 * remembered of it. Pure; the bytes are a stranger's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	KL_SNMP_V1 = 0,
	KL_SNMP_V2C = 1,
	KL_SNMP_V3 = 3,

	KL_SNMP_ENGINE_MAX = 32, /* octets, SNMP-FRAMEWORK-MIB SnmpEngineID; at least 5 */
	KL_SNMP_ENGINE_MIN = 5,
	KL_SNMP_USER_MAX = 32,

	/* msgFlags */
	KL_SNMP_AUTH = 1,
	KL_SNMP_PRIV = 2,
	KL_SNMP_REPORTABLE = 4,
};

/* Offsets are into the message. All but version is zero unless it is v3. */
struct kl_snmp_header {
	int version;
	uint8_t flags;
	size_t engine, engine_len; /* msgAuthoritativeEngineID; engine_len 0: it asks for it */
	char user[KL_SNMP_USER_MAX + 1];
	size_t auth, auth_len; /* msgAuthenticationParameters */
};

/* -EBADMSG: not an SNMP message, or one that is cut short. */
int kl_snmp_header_parse(const uint8_t *message, size_t length, struct kl_snmp_header *ret);
