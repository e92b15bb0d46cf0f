/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From an SNMP notification of a switch to what happened in its MAC table. Pure: whoever received
 * it has taken the message apart; nothing in here trusts a length or a type.
 *
 *   CISCO-MAC-NOTIFICATION-MIB   cmnMacChangedNotification, cmnMacMoveNotification
 *   BRIDGE-MIB                   newRoot, topologyChange
 *   CISCO-PORT-SECURITY-MIB      cpsSecureMacAddrViolation and its relatives
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/evidence.h"

enum {
	KL_OID_MAX = 128,  /* sub-identifiers, by the standard */
	KL_TRAP_MACS = 64, /* that one notification may tell of; a switch packs 23 into a message */
};

enum kl_varbind_type {
	KL_VARBIND_INTEGER,
	KL_VARBIND_BYTES,
	KL_VARBIND_OTHER,
};

/* The caller's bytes: good for as long as the call. */
struct kl_varbind {
	const uint32_t *oid;
	size_t oid_len;
	uint8_t type; /* enum kl_varbind_type */
	int64_t integer;
	const uint8_t *bytes;
	size_t length;
};

struct kl_notification {
	uint32_t oid[KL_OID_MAX]; /* snmpTrapOID.0, or what a v1 trap is translated to */
	size_t oid_len;
	const struct kl_varbind *varbind;
	size_t count;
};

/*
 * A v1 trap's name by RFC 3584, 3.1: n->oid from its enterprise, generic and specific numbers.
 * -EBADMSG: there is none (a generic number above 6, or an enterprise that is too long).
 */
int kl_trap_v1_oid(const uint32_t *enterprise, size_t length, int64_t generic, int64_t specific,
		   struct kl_notification *n);

/*
 * What it says: *ret_count pieces, times and told_by left for the caller. None: it concerns nothing
 * of interest. -EBADMSG: malformed; what came before the damage is handed over all the same.
 */
int kl_trap_decode(const struct kl_notification *n, struct kl_mac_evidence ret[KL_TRAP_MACS],
		   size_t *ret_count);

/* Text of a stranger into a small field: printable ASCII, what is not becomes '?'. */
void kl_trap_text(char *to, size_t size, const uint8_t *bytes, size_t length);
