// SPDX-License-Identifier: GPL-2.0-only
#include "source/trap_pdu.h"

#include <stdio.h>

#include "util/cleanup.h"

/* Takes room of t->oids. NULL: there is none, or a number that no OID has. */
static const uint32_t *narrow(struct kl_trap_pdu *t, size_t *used, const oid *name, size_t length)
{
	uint32_t *to = t->oids + *used;

	if (length > KL_OID_MAX || length > KL_TRAP_OIDS - *used)
		return NULL;
	for (size_t i = 0; i < length; i++) {
		if (name[i] > UINT32_MAX)
			return NULL;
		to[i] = (uint32_t)name[i];
	}
	*used += length;
	return to;
}

/* snmpTrapOID.0 of v2 becomes the notification's name. */
static bool take_name(const netsnmp_variable_list *v, struct kl_notification *n)
{
	static const oid trap_oid[] = { 1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0 };
	size_t length = v->val_len / sizeof(oid);

	if (snmp_oid_compare(v->name, v->name_length, trap_oid, KL_COUNT(trap_oid)) != 0 ||
	    v->type != ASN_OBJECT_ID || length > KL_OID_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		n->oid[i] = (uint32_t)v->val.objid[i];
	n->oid_len = length;
	return true;
}

int kl_trap_pdu_take(struct kl_trap_pdu *t, const netsnmp_pdu *pdu)
{
	struct kl_notification *n = &t->notification;
	size_t used = 0;

	n->oid_len = n->count = 0;
	n->varbind = t->varbinds;
	if (pdu->command == SNMP_MSG_TRAP) {
		const uint32_t *enterprise = narrow(t, &used, pdu->enterprise,
						    pdu->enterprise_length);

		if (!enterprise || kl_trap_v1_oid(enterprise, pdu->enterprise_length,
						  pdu->trap_type, pdu->specific_type, n))
			return -EBADMSG;
	}
	for (const netsnmp_variable_list *v = pdu->variables; v; v = v->next_variable) {
		struct kl_varbind *to = &t->varbinds[n->count];

		if (pdu->command != SNMP_MSG_TRAP && take_name(v, n))
			continue;
		*to = (struct kl_varbind){ 0 };
		to->oid = narrow(t, &used, v->name, v->name_length);
		if (!to->oid || n->count == KL_TRAP_VARBINDS - 1)
			return -EBADMSG;
		to->oid_len = v->name_length;
		kl_snmp_value(v, to);
		n->count++;
	}
	return n->oid_len ? 0 : -EBADMSG;
}

bool kl_trap_pdu_agent(const netsnmp_pdu *pdu, char *to, size_t size)
{
	const unsigned char *a = pdu->agent_addr;

	if (pdu->command != SNMP_MSG_TRAP || !(a[0] || a[1] || a[2] || a[3]))
		return false;
	snprintf(to, size, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
	return true;
}
