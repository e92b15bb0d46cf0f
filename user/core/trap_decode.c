// SPDX-License-Identifier: GPL-2.0-only
#include "core/trap_decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

/* cmnHistMacChangedMsg: operation, VLAN (2), MAC (6), dot1dBasePort (2). */
enum {
	TUPLE_SIZE = 11,
	TUPLE_END = 0,
	TUPLE_LEARNT = 1,
	TUPLE_REMOVED = 2,
};

#define CISCO 1, 3, 6, 1, 4, 1, 9, 9

static const uint32_t mac_changed[] = { CISCO, 215, 2, 0, 1 };
static const uint32_t mac_moved[] = { CISCO, 215, 2, 0, 2 };
static const uint32_t hist_msg[] = { CISCO, 215, 1, 1, 8, 1, 2 };
static const uint32_t move_address[] = { CISCO, 215, 1, 3, 3 };
static const uint32_t move_vlan[] = { CISCO, 215, 1, 3, 4 };
static const uint32_t move_from[] = { CISCO, 215, 1, 3, 5 };
static const uint32_t move_to[] = { CISCO, 215, 1, 3, 6 };
static const uint32_t new_root[] = { 1, 3, 6, 1, 2, 1, 17, 0, 1 };
static const uint32_t topology_change[] = { 1, 3, 6, 1, 2, 1, 17, 0, 2 };
static const uint32_t port_security[] = { CISCO, 315, 0 };
static const uint32_t secure_last_mac[] = { CISCO, 315, 1, 2, 1, 1, 10 };
static const uint32_t secure_last_vlan[] = { CISCO, 315, 1, 2, 1, 1, 18 };
static const uint32_t if_index[] = { 1, 3, 6, 1, 2, 1, 2, 2, 1, 1 };
static const uint32_t if_descr[] = { 1, 3, 6, 1, 2, 1, 2, 2, 1, 2 };
static const uint32_t if_name[] = { 1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1 };
static const uint32_t generic_traps[] = { 1, 3, 6, 1, 6, 3, 1, 1, 5 };

static bool starts_with(const uint32_t *oid, size_t length, const uint32_t *prefix, size_t n)
{
	return length >= n && !memcmp(oid, prefix, n * sizeof(*prefix));
}

#define UNDER(v, prefix) starts_with((v)->oid, (v)->oid_len, prefix, KL_COUNT(prefix))
#define IS(n, name) ((n)->oid_len == KL_COUNT(name) && UNDER(n, name))

void kl_trap_text(char *to, size_t size, const uint8_t *bytes, size_t length)
{
	size_t n = length < size - 1 ? length : size - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? (char)bytes[i] : '?';
	to[n] = '\0';
}

static bool is_mac(const struct kl_varbind *v)
{
	return v->type == KL_VARBIND_BYTES && v->length == 6;
}

static uint16_t vlan_of(int64_t number)
{
	return number > 0 && number < 4095 ? (uint16_t)number : 0;
}

static int learnt_or_removed(const struct kl_varbind *v, struct kl_mac_evidence *ret,
			     size_t *ret_count)
{
	if (v->type != KL_VARBIND_BYTES)
		return -EBADMSG;
	for (size_t at = 0; at < v->length; at += TUPLE_SIZE) {
		const uint8_t *p = v->bytes + at;
		struct kl_mac_evidence *m;
		unsigned port;

		if (p[0] == TUPLE_END)
			return 0;
		if ((p[0] != TUPLE_LEARNT && p[0] != TUPLE_REMOVED) ||
		    v->length - at < TUPLE_SIZE || *ret_count == KL_TRAP_MACS)
			return -EBADMSG;
		m = &ret[(*ret_count)++];
		*m = (struct kl_mac_evidence){
			.happening = p[0] == TUPLE_LEARNT ? KL_MAC_LEARNED : KL_MAC_FLUSHED,
			.source = KL_MAC_FROM_SNMP,
			.has_mac = true,
			.vlan = vlan_of(p[1] << 8 | p[2]),
		};
		memcpy(m->mac, p + 3, 6);
		port = (unsigned)p[9] << 8 | p[10];
		if (port)
			snprintf(m->port, sizeof(m->port), "bridge port %u", port);
	}
	return 0;
}

static int changed(const struct kl_notification *n, struct kl_mac_evidence *ret, size_t *ret_count)
{
	bool found = false;

	for (size_t i = 0; i < n->count; i++) {
		const struct kl_varbind *v = &n->varbind[i];
		int r;

		if (!UNDER(v, hist_msg))
			continue;
		found = true;
		r = learnt_or_removed(v, ret, ret_count);
		if (r)
			return r;
	}
	return found ? 0 : -EBADMSG;
}

static void port_number(char *to, size_t size, const char *what, const struct kl_varbind *v)
{
	if (v->type == KL_VARBIND_INTEGER && v->integer > 0 && v->integer <= INT32_MAX)
		snprintf(to, size, "%s %u", what, (unsigned)v->integer);
}

static int moved(const struct kl_notification *n, struct kl_mac_evidence *m)
{
	m->happening = KL_MAC_MOVED;
	for (size_t i = 0; i < n->count; i++) {
		const struct kl_varbind *v = &n->varbind[i];

		if (UNDER(v, move_address)) {
			if (!is_mac(v))
				return -EBADMSG;
			memcpy(m->mac, v->bytes, 6);
			m->has_mac = true;
		} else if (UNDER(v, move_vlan) && v->type == KL_VARBIND_INTEGER) {
			m->vlan = vlan_of(v->integer);
		} else if (UNDER(v, move_from)) {
			port_number(m->from_port, sizeof(m->from_port), "bridge port", v);
		} else if (UNDER(v, move_to)) {
			port_number(m->port, sizeof(m->port), "bridge port", v);
		}
	}
	return m->has_mac ? 0 : -EBADMSG;
}

/* The names are what the MIB lists; a switch that leaves them out may still send the MAC. */
static int violated(const struct kl_notification *n, struct kl_mac_evidence *m)
{
	bool named = false;

	m->happening = KL_MAC_VIOLATION;
	for (size_t i = 0; i < n->count; i++) {
		const struct kl_varbind *v = &n->varbind[i];
		bool last = UNDER(v, secure_last_mac);

		if (last && !is_mac(v))
			return -EBADMSG;
		if (last ||
		    (!m->has_mac && is_mac(v) && !UNDER(v, if_name) && !UNDER(v, if_descr))) {
			memcpy(m->mac, v->bytes, 6);
			m->has_mac = true;
		} else if (UNDER(v, secure_last_vlan) && v->type == KL_VARBIND_INTEGER) {
			m->vlan = vlan_of(v->integer);
		} else if ((UNDER(v, if_name) || (UNDER(v, if_descr) && !named)) &&
			   v->type == KL_VARBIND_BYTES && v->length) {
			kl_trap_text(m->port, sizeof(m->port), v->bytes, v->length);
			named = true;
		} else if (UNDER(v, if_index) && !named) {
			port_number(m->port, sizeof(m->port), "ifIndex", v);
		}
	}
	return m->has_mac ? 0 : -EBADMSG;
}

int kl_trap_v1_oid(const uint32_t *enterprise, size_t length, int64_t generic, int64_t specific,
		   struct kl_notification *n)
{
	enum {
		ENTERPRISE_SPECIFIC = 6,
	};

	if (generic >= 0 && generic < ENTERPRISE_SPECIFIC) {
		memcpy(n->oid, generic_traps, sizeof(generic_traps));
		n->oid[KL_COUNT(generic_traps)] = (uint32_t)generic + 1;
		n->oid_len = KL_COUNT(generic_traps) + 1;
		return 0;
	}
	if (generic != ENTERPRISE_SPECIFIC || length > KL_OID_MAX - 2 || specific < 0 ||
	    specific > INT32_MAX)
		return -EBADMSG;
	memcpy(n->oid, enterprise, length * sizeof(*enterprise));
	n->oid[length] = 0;
	n->oid[length + 1] = (uint32_t)specific;
	n->oid_len = length + 2;
	return 0;
}

int kl_trap_decode(const struct kl_notification *n, struct kl_mac_evidence ret[KL_TRAP_MACS],
		   size_t *ret_count)
{
	struct kl_mac_evidence m = { .source = KL_MAC_FROM_SNMP };
	int r = 0;

	*ret_count = 0;
	if (IS(n, mac_changed))
		return changed(n, ret, ret_count);
	if (IS(n, mac_moved))
		r = moved(n, &m);
	else if (IS(n, new_root) || IS(n, topology_change))
		m.happening = KL_MAC_TOPOLOGY_CHANGE;
	else if (UNDER(n, port_security))
		r = violated(n, &m);
	else
		return 0;
	if (r)
		return r;
	ret[(*ret_count)++] = m;
	return 0;
}
