/* SPDX-License-Identifier: GPL-2.0-only */
/* From the library's words to ours: its PDU as a notification that core/trap_decode.h reads. */
#pragma once

#include "source/snmp_users.h"

enum {
	KL_TRAP_VARBINDS = 64,
	KL_TRAP_OIDS = 1024, /* sub-identifiers of all of them */
};

/* Room for one; its bytes are those of the PDU. */
struct kl_trap_pdu {
	uint32_t oids[KL_TRAP_OIDS];
	struct kl_varbind varbinds[KL_TRAP_VARBINDS];
	struct kl_notification notification;
};

/* -EBADMSG: no notification can be made of it. */
int kl_trap_pdu_take(struct kl_trap_pdu *t, const netsnmp_pdu *pdu);

/* Who tells it: of v1 the agent's own word, since such traps are passed on by others. */
bool kl_trap_pdu_agent(const netsnmp_pdu *pdu, char *to, size_t size);
