// SPDX-License-Identifier: GPL-2.0-only
#include "source/switch_poll_internal.h"

#include <stdio.h>
#include <string.h>

enum {
	ROWS_AT_A_TIME = 40,
	REQUESTS_MAX = 4096, /* of a round: 64k rows, and what asks for more has no end */
	RETRIES = 2,
};

void kl_switch_complain(struct kl_switch_state *s, uint64_t *counter, const char *what)
{
	struct kl_input_stats *stats = &s->poll->stats;

	(*counter)++;
	if (!stats->complaint[0])
		snprintf(stats->complaint, sizeof(stats->complaint), "%s: %s", s->name, what);
}

/* ---- what an answer says ---- */

static int compare_oids(const uint32_t *a, size_t a_len, const uint32_t *b, size_t b_len)
{
	for (size_t i = 0; i < a_len && i < b_len; i++) {
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return (a_len > b_len) - (a_len < b_len);
}

/* 0: there may be more rows behind it. 1: the column ends here. */
static int take_row(struct kl_switch_state *s, const netsnmp_variable_list *v)
{
	size_t prefix_len;
	const uint32_t *prefix = kl_switch_column_oid(s->column, &prefix_len);
	struct kl_varbind value = { 0 };
	uint32_t name[KL_OID_MAX];

	if (v->type == SNMP_ENDOFMIBVIEW || v->type == SNMP_NOSUCHOBJECT ||
	    v->type == SNMP_NOSUCHINSTANCE)
		return 1;
	if (v->name_length > KL_OID_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < v->name_length; i++) {
		if (v->name[i] > UINT32_MAX)
			return -EBADMSG;
		name[i] = (uint32_t)v->name[i];
	}
	if (v->name_length < prefix_len || memcmp(name, prefix, prefix_len * sizeof(*name)) != 0)
		return 1;
	/* Else it would have no end. */
	if (compare_oids(name, v->name_length, s->last, s->last_len) <= 0)
		return -EBADMSG;
	memcpy(s->last, name, v->name_length * sizeof(*name));
	s->last_len = v->name_length;
	kl_snmp_value(v, &value);
	return kl_switch_rows_take(&s->rows, s->column, name + prefix_len,
				   v->name_length - prefix_len, &value);
}

static void answered(struct kl_switch_state *s, const netsnmp_pdu *pdu)
{
	struct kl_input_stats *stats = &s->poll->stats;
	int r = 0;

	stats->received++;
	if (pdu->errstat != SNMP_ERR_NOERROR) {
		s->failed = "the switch answers SNMP with an error";
		return;
	}
	if (!pdu->variables)
		r = 1;
	for (const netsnmp_variable_list *v = pdu->variables; v && !r; v = v->next_variable)
		r = take_row(s, v);
	if (r >= 0) {
		stats->understood++;
		s->column_done = r > 0;
	} else {
		s->malformed = r != -ENOMEM;
		s->failed = r == -E2BIG	   ? "its table is too large"
			    : r == -ENOMEM ? "no memory for its table"
					   : "its table is not as it should be";
	}
}

static int called_back(int operation, netsnmp_session *session, int id, netsnmp_pdu *pdu, void *arg)
{
	struct kl_switch_state *s = arg;

	(void)session;
	(void)id;
	switch (operation) {
	case NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE:
		/* The library answers some reports itself, and says SEC_ERROR of the others. */
		if (pdu->command == SNMP_MSG_RESPONSE) {
			s->waiting = false;
			answered(s, pdu);
		}
		break;
	case NETSNMP_CALLBACK_OP_SEC_ERROR:
		s->waiting = false;
		s->failed = "SNMPv3: wrong user or key";
		s->engine_len = 0; /* or it is another one now */
		break;
	case NETSNMP_CALLBACK_OP_TIMED_OUT:
	case NETSNMP_CALLBACK_OP_SEND_FAILED:
		s->waiting = false;
		s->failed = "no answer to SNMP (address, community, access list?)";
		break;
	default: /* it was sent again */
		break;
	}
	return 1;
}

/* ---- sending ---- */

static int receive_packet(netsnmp_transport *t, void *buffer, int size, void **opaque,
			  int *opaque_len)
{
	const struct kl_switch_state *s = t->data;

	*opaque = NULL;
	*opaque_len = 0;
	return (int)recv(s->fd, buffer, (size_t)size, MSG_DONTWAIT);
}

static int send_packet(netsnmp_transport *t, const void *buffer, int size, void **opaque,
		       int *opaque_len)
{
	const struct kl_switch_state *s = t->data;

	(void)opaque;
	(void)opaque_len;
	/* What could not be sent is not answered, and sent again. */
	(void)send(s->fd, buffer, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
	return size;
}

void kl_switch_end_session(struct kl_switch_state *s)
{
	void *session = s->session;

	s->session = NULL;
	if (session)
		snmp_sess_close(session); /* calls back for what is on its way */
}

bool kl_switch_begin_session(struct kl_switch_state *s)
{
	struct kl_switch_poll *p = s->poll;
	char community[256], context[32];
	netsnmp_session session;

	snmp_sess_init(&session);
	session.timeout = KL_SWITCH_TIMEOUT_US;
	session.retries = RETRIES;
	session.callback = called_back;
	session.callback_magic = s;
	if (p->users.count) {
		kl_snmp_user_session(&p->users.user[0], s->engine, s->engine_len, &session);
		snprintf(context, sizeof(context), "vlan-%u", s->vlan);
		if (s->vlan) {
			session.contextName = context;
			session.contextNameLen = strlen(context);
		}
	} else {
		snprintf(community, sizeof(community), s->vlan ? "%s@%u" : "%s",
			 p->community ?: "public", s->vlan);
		session.version = SNMP_VERSION_2c;
		session.community = (u_char *)community;
		session.community_len = strlen(community);
	}
	s->session = kl_snmp_session(&session, s->fd, s, receive_packet, send_packet);
	explicit_bzero(&session, sizeof(session));
	explicit_bzero(community, sizeof(community));
	return s->session;
}

void kl_switch_ask(struct kl_switch_state *s)
{
	netsnmp_pdu *pdu = snmp_pdu_create(SNMP_MSG_GETBULK);
	oid name[KL_OID_MAX];

	s->column_done = false;
	if (!pdu) {
		s->failed = "no memory";
		return;
	}
	if (s->requests++ == REQUESTS_MAX) {
		s->malformed = true;
		s->failed = "its tables do not end";
		snmp_free_pdu(pdu);
		return;
	}
	pdu->non_repeaters = 0;
	pdu->max_repetitions = ROWS_AT_A_TIME;
	for (size_t i = 0; i < s->last_len; i++)
		name[i] = s->last[i];
	snmp_add_null_var(pdu, name, s->last_len);
	s->waiting = true;
	if (!snmp_sess_async_send(s->session, pdu, called_back, s)) {
		snmp_free_pdu(pdu);
		s->waiting = false;
		s->failed = "the SNMP library does not send";
	}
}

/* ---- SNMPv3: which engine is it? ---- */

/* A request of nobody, to no engine: the report that comes back tells whom to ask. */
void kl_switch_ask_for_engine(struct kl_switch_state *s)
{
	static const uint8_t question[] = {
		0x30, 0x3a, 0x02,
		0x01, 3, /* version 3 */
		0x30, 0x0e, 0x02,
		0x01, 1,    0x02,
		0x03, 0x00, 0xff,
		0xe3, /* id, size */
		0x04, 0x01, KL_SNMP_REPORTABLE,
		0x02, 0x01, 3, /* flags, USM */
		0x04, 0x10, 0x30,
		0x0e, 0x04, 0,
		0x02, 0x01, 0,
		0x02, 0x01, 0, /* no engine */
		0x04, 0,    0x04,
		0,    0x04, 0, /* nor user */
		0x30, 0x13, 0x04,
		0,    0x04, 0, /* no context */
		0xa0, 0x0d, 0x02,
		0x03, 0x01, 0x02,
		0x03, 0x02, 0x01,
		0,    0x02, 0x01,
		0, /* GET */
		0x30, 0,
	};

	s->phase = DISCOVERING;
	s->tries++;
	s->due_ns = s->poll->now_ns + KL_SWITCH_TIMEOUT_US * 1000ULL;
	(void)send(s->fd, question, sizeof(question), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void kl_switch_learn_engine(struct kl_switch_state *s)
{
	struct kl_snmp_header h;
	uint8_t answer[2048];
	ssize_t length = recv(s->fd, answer, sizeof(answer), MSG_DONTWAIT);

	if (length <= 0)
		return;
	if (kl_snmp_header_parse(answer, (size_t)length, &h) || h.version != KL_SNMP_V3 ||
	    h.engine_len < KL_SNMP_ENGINE_MIN) {
		kl_switch_complain(s, &s->poll->stats.malformed, "malformed SNMP");
		return;
	}
	memcpy(s->engine, answer + h.engine, h.engine_len);
	s->engine_len = h.engine_len;
}
