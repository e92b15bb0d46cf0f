// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each datagram is read here, looked at from outside (core/snmp_header.h), and given to the library
 * only if it may come in: its engines and users live as long as the process, so a stranger must not
 * be able to add to them. What the library makes of it comes back through a callback.
 */
#include "source/trap.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/sock_diag.h>

#include "source/trap_pdu.h"
#include "util/cleanup.h"
#include "util/socket_address.h"

enum {
	DATAGRAM_MAX = 65535,
	AT_A_TIME = 512,
	RECEIVE_BUFFER = 4 << 20,
	ENGINES_MAX = 1024, /* senders of v3, times users */
};

struct kl_trap {
	int fd;
	void *session;
	char *community;
	struct kl_snmp_users users;
	unsigned engines;
	uint8_t own_engine[KL_SNMP_ENGINE_MAX];
	size_t own_engine_len;
	struct kl_input_stats stats;

	/* The datagram at hand. */
	uint8_t packet[DATAGRAM_MAX];
	size_t length;
	struct sockaddr_storage peer;
	socklen_t peer_len;
	struct kl_snmp_header header;
	bool judged; /* it was counted already */
	uint64_t now_ns;
	kl_mac_handler handler;
	void *arg;

	struct kl_trap_pdu pdu;
	struct kl_mac_evidence found[KL_TRAP_MACS];
};

/* ---- what is counted and said ---- */

static void complain(struct kl_trap *t, uint64_t *counter, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void complain(struct kl_trap *t, uint64_t *counter, const char *format, ...)
{
	char peer[64], what[160];
	va_list args;

	(*counter)++;
	t->judged = true;
	if (t->stats.complaint[0])
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	kl_socket_address_text(&t->peer, peer, sizeof(peer));
	snprintf(t->stats.complaint, sizeof(t->stats.complaint), "%s: %s", peer, what);
}

#define MALFORMED(t, ...) complain((t), &(t)->stats.malformed, __VA_ARGS__)
#define REFUSED(t, ...) complain((t), &(t)->stats.refused, __VA_ARGS__)

/* ---- what comes in ---- */

static void answer_inform(struct kl_trap *t, netsnmp_pdu *pdu)
{
	netsnmp_pdu *reply = snmp_clone_pdu(pdu);

	if (!reply)
		return;
	reply->command = SNMP_MSG_RESPONSE;
	reply->errstat = 0;
	reply->errindex = 0;
	if (!snmp_sess_send(t->session, reply))
		snmp_free_pdu(reply);
}

static bool right_community(const struct kl_trap *t, const netsnmp_pdu *pdu)
{
	return !t->community || (pdu->community_len == strlen(t->community) &&
				 !memcmp(pdu->community, t->community, pdu->community_len));
}

static void notified(struct kl_trap *t, netsnmp_pdu *pdu)
{
	size_t count = 0;
	char told_by[KL_SWITCH_NAME];
	int r;

	if (pdu->version != SNMP_VERSION_3 && !right_community(t, pdu)) {
		REFUSED(t, "wrong SNMP community");
		return;
	}
	if (pdu->version == SNMP_VERSION_3 && pdu->securityLevel < SNMP_SEC_LEVEL_AUTHNOPRIV) {
		REFUSED(t, "SNMPv3 user %s: not authenticated", t->header.user);
		return;
	}
	if (pdu->command == SNMP_MSG_INFORM)
		answer_inform(t, pdu);
	r = kl_trap_pdu_take(&t->pdu, pdu);
	if (!r)
		r = kl_trap_decode(&t->pdu.notification, t->found, &count);
	if (!kl_trap_pdu_agent(pdu, told_by, sizeof(told_by)))
		kl_socket_address_text(&t->peer, told_by, sizeof(told_by));
	for (size_t i = 0; i < count; i++) {
		t->found[i].time_ns = t->found[i].earliest_ns = t->now_ns;
		snprintf(t->found[i].told_by, sizeof(t->found[i].told_by), "%s", told_by);
		t->handler(&t->found[i], t->arg);
	}
	if (count)
		t->stats.understood++;
	if (r)
		MALFORMED(t, "an SNMP notification that is not what its name promises");
	t->judged = true;
}

static int called_back(int operation, netsnmp_session *session, int id, netsnmp_pdu *pdu, void *arg)
{
	struct kl_trap *t = arg;

	(void)session;
	(void)id;
	if (operation != NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE)
		return 1;
	switch (pdu->command) {
	case SNMP_MSG_TRAP:
	case SNMP_MSG_TRAP2:
	case SNMP_MSG_INFORM:
		notified(t, pdu);
		break;
	default:
		MALFORMED(t, "SNMP, but no notification");
	}
	return 1;
}

/* ---- SNMPv3: who may come in ---- */

/* Is it signed with this key? */
static bool signed_with(const struct kl_trap *t, const struct usmUser *user)
{
	const struct kl_snmp_header *h = &t->header;
	uint8_t copy[DATAGRAM_MAX];

	/* Signed is the message with zeros where the signature is. */
	memcpy(copy, t->packet, t->length);
	memset(copy + h->auth, 0, h->auth_len);
	return sc_check_keyed_hash(user->authProtocol, user->authProtocolLen, user->authKey,
				   (u_int)user->authKeyLen, copy, (u_int)t->length,
				   t->packet + h->auth, (u_int)h->auth_len) == SNMP_ERR_NOERROR;
}

/* True: the library may have it. An engine stays known only if it had the key. */
static bool may_come_in(struct kl_trap *t)
{
	const struct kl_snmp_header *h = &t->header;
	const uint8_t *engine = t->packet + h->engine;
	const struct kl_snmp_user *user;
	struct usmUser *usm;
	bool made;

	if (!t->users.count) {
		REFUSED(t, "SNMPv3, but no users are given");
		return false;
	}
	if ((h->flags & KL_SNMP_REPORTABLE) &&
	    (h->engine_len != t->own_engine_len ||
	     memcmp(engine, t->own_engine, h->engine_len) != 0)) {
		/*
		 * The sender of an inform asks who we are, or remembers who we were. The library
		 * tells it, and keeps nothing.
		 */
		t->judged = true;
		return true;
	}
	if (!(h->flags & KL_SNMP_AUTH)) {
		REFUSED(t, "SNMPv3 user %s: not authenticated", h->user);
		return false;
	}
	user = kl_snmp_users_find(&t->users, h->user, engine, h->engine_len);
	if (!user || h->engine_len < KL_SNMP_ENGINE_MIN) {
		REFUSED(t, "SNMPv3 user %s: unknown", h->user);
		return false;
	}
	usm = kl_snmp_usm_user(user, engine, h->engine_len, &made);
	if (!usm) {
		REFUSED(t, "SNMPv3 user %s: no memory", h->user);
		return false;
	}
	if (!signed_with(t, usm)) {
		REFUSED(t, "SNMPv3 user %s: wrong key", h->user);
	} else if (made && t->engines == ENGINES_MAX) {
		REFUSED(t, "SNMPv3 user %s: more than %d senders", h->user, ENGINES_MAX);
	} else {
		t->engines += made;
		return true;
	}
	if (made)
		kl_snmp_usm_forget(usm);
	return false;
}

static uint32_t counted(int what)
{
	return (uint32_t)snmp_get_statistic(what);
}

static void give_to_library(struct kl_trap *t)
{
	uint32_t window = counted(STAT_USMSTATSNOTINTIMEWINDOWS);
	const char *name = t->header.user;

	kl_snmp_session_read(t->session, t->fd);
	if (t->judged)
		return;
	if (t->header.version != KL_SNMP_V3)
		MALFORMED(t, "malformed SNMP");
	else if (counted(STAT_USMSTATSNOTINTIMEWINDOWS) != window &&
		 (t->header.flags & KL_SNMP_REPORTABLE))
		t->judged = true; /* it is told our time now, and comes again */
	else if (counted(STAT_USMSTATSNOTINTIMEWINDOWS) != window)
		REFUSED(t, "SNMPv3 user %s: out of the time window", name);
	else if (t->header.flags & KL_SNMP_PRIV)
		REFUSED(t, "SNMPv3 user %s: wrong privacy key, or malformed", name);
	else
		MALFORMED(t, "malformed SNMPv3");
}

/* ---- the socket ---- */

static int give_packet(netsnmp_transport *transport, void *buffer, int size, void **opaque,
		       int *opaque_len)
{
	const struct kl_trap *t = transport->data;

	*opaque = NULL;
	*opaque_len = 0;
	if ((size_t)size < t->length)
		return -1;
	memcpy(buffer, t->packet, t->length);
	return (int)t->length;
}

static int send_packet(netsnmp_transport *transport, const void *buffer, int size, void **opaque,
		       int *opaque_len)
{
	const struct kl_trap *t = transport->data;

	(void)opaque;
	(void)opaque_len;
	return (int)sendto(t->fd, buffer, (size_t)size, MSG_DONTWAIT,
			   (const struct sockaddr *)&t->peer, t->peer_len);
}

/* 1: there is one; 0: nothing more. */
static int receive(struct kl_trap *t)
{
	ssize_t length;

	t->peer_len = sizeof(t->peer);
	length = recvfrom(t->fd, t->packet, sizeof(t->packet), MSG_DONTWAIT | MSG_TRUNC,
			  (struct sockaddr *)&t->peer, &t->peer_len);
	if (length < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
	t->length = (size_t)length;
	return 1;
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void take(struct kl_trap *t)
{
	t->judged = false;
	t->stats.received++;
	if (t->length > sizeof(t->packet) || kl_snmp_header_parse(t->packet, t->length, &t->header))
		MALFORMED(t, "not SNMP (%zu bytes)", t->length);
	else if (t->header.version != KL_SNMP_V3 || may_come_in(t))
		give_to_library(t);
}

int kl_trap_drain(struct kl_trap *t, kl_mac_handler handler, void *arg)
{
	t->handler = handler;
	t->arg = arg;
	for (int i = 0; i < AT_A_TIME; i++) {
		int r = receive(t);

		if (r <= 0)
			return r;
		t->now_ns = monotonic_ns();
		take(t);
	}
	return 0;
}

int kl_trap_fd(const struct kl_trap *t)
{
	return t->fd;
}

void kl_trap_stats(const struct kl_trap *t, struct kl_input_stats *ret)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof(memory);

	*ret = t->stats;
	if (!getsockopt(t->fd, SOL_SOCKET, SO_MEMINFO, memory, &size))
		ret->lost = memory[SK_MEMINFO_DROPS];
}

/* ---- opening ---- */

static int new_socket(int family)
{
	return socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void set_options(int fd, int family)
{
	int room = RECEIVE_BUFFER, no = 0;

	/* None of it is needed for anything but floods and both families at once. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
}

static int read_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
			struct kl_error *err)
{
	if (kl_socket_address_parse(text, 0, ret, ret_len))
		return kl_fail(err, -EINVAL, "%s: not ADDRESS:PORT, [ADDRESS]:PORT or PORT", text);
	return 0;
}

int kl_trap_check_address(const char *text, struct kl_error *err)
{
	struct sockaddr_storage address;
	socklen_t length;

	return read_address(text, &address, &length, err);
}

static int listen_on(const char *text, int *ret, struct kl_error *err)
{
	struct sockaddr_storage address;
	socklen_t length;
	int r = read_address(text, &address, &length, err);

	if (r)
		return r;
	*ret = new_socket(address.ss_family);
	if (*ret < 0 && errno == EAFNOSUPPORT && !strchr(text, ':')) {
		/* Any address, on a host without IPv6. */
		struct sockaddr_in *four = (struct sockaddr_in *)&address;
		in_port_t port = ((struct sockaddr_in6 *)&address)->sin6_port;

		*four = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
		length = sizeof(*four);
		*ret = new_socket(AF_INET);
	}
	if (*ret < 0)
		return kl_fail(err, -errno, "%s: %s", text, strerror(errno));
	set_options(*ret, address.ss_family);
	if (bind(*ret, (struct sockaddr *)&address, length))
		return kl_fail(err, -errno, "%s: %s", text, strerror(errno));
	return 0;
}

/* Who sends informs signs with keys of our engine. */
static int learn_own_engine(struct kl_trap *t)
{
	bool made;

	t->own_engine_len = snmpv3_get_engineID(t->own_engine, sizeof(t->own_engine));
	for (size_t i = 0; i < t->users.count; i++) {
		const struct kl_snmp_user *u = kl_snmp_users_find(&t->users, t->users.user[i].name,
								  t->own_engine, t->own_engine_len);

		if (u && !kl_snmp_usm_user(u, t->own_engine, t->own_engine_len, &made))
			return -ENOMEM;
	}
	return 0;
}

static int open_all(struct kl_trap *t, const struct kl_trap_config *config, struct kl_error *err)
{
	const char *community = config->community;
	netsnmp_session session;
	int r = listen_on(config->address, &t->fd, err);

	if (!r && config->auth_file)
		r = kl_snmp_users_read(config->auth_file, &t->users, err);
	if (r)
		return r;
	if (!community)
		community = t->users.community;
	if (community)
		t->community = strdup(community);
	kl_snmp_library();
	snmp_sess_init(&session);
	session.version = SNMP_DEFAULT_VERSION;
	session.isAuthoritative = SNMP_SESS_UNKNOWNAUTH;
	session.callback = called_back;
	session.callback_magic = t;
	t->session = kl_snmp_session(&session, t->fd, t, give_packet, send_packet);
	if (!t->session || (community && !t->community) || learn_own_engine(t))
		return kl_fail(err, -ENOMEM, "%s: %s", config->address, strerror(ENOMEM));
	return 0;
}

int kl_trap_open(const struct kl_trap_config *config, struct kl_trap **ret, struct kl_error *err)
{
	struct kl_trap *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return kl_fail(err, -ENOMEM, "%s", strerror(ENOMEM));
	t->fd = -1;
	r = open_all(t, config, err);
	if (r) {
		kl_trap_close(t);
		return r;
	}
	*ret = t;
	return 0;
}

void kl_trap_close(struct kl_trap *t)
{
	if (!t)
		return;
	if (t->session)
		snmp_sess_close(t->session);
	if (t->fd >= 0)
		close(t->fd);
	kl_snmp_users_done(&t->users);
	if (t->community)
		explicit_bzero(t->community, strlen(t->community));
	free(t->community);
	free(t);
}
