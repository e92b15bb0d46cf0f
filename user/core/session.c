// SPDX-License-Identifier: GPL-2.0-only
#include "core/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* How long a connection may be seen in one direction before that says something. */
#define ONE_WAY_NS (2000 * KL_NS_PER_MS)

struct phone_key {
	uint32_t address[4];
	uint32_t family;
	char device[KL_DEVICE_NAME + 3]; /* empty: the address itself */
};

struct phone {
	struct phone_key key;
	size_t sessions; /* that live; of an address: those without a known name */
	size_t devices;	 /* of an address: its named phones */
	UT_hash_handle hh;
};

struct node {
	struct kl_session session;
	UT_hash_handle hh;
};

struct kl_sessions {
	struct node *nodes;
	struct phone *phones;
	size_t phone_count;
};

int kl_sessions_new(struct kl_sessions **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void kl_sessions_free(struct kl_sessions *s)
{
	struct phone *phone, *next_phone;
	struct node *node, *next_node;

	if (!s)
		return;
	HASH_ITER(hh, s->nodes, node, next_node)
	{
		HASH_DEL(s->nodes, node);
		free(node);
	}
	HASH_ITER(hh, s->phones, phone, next_phone)
	{
		HASH_DEL(s->phones, phone);
		free(phone);
	}
	free(s);
}

static struct phone *get_phone(struct kl_sessions *s, const struct kl_endpoints *ends,
			       const char *device)
{
	struct phone_key key = { .family = ends->family };
	struct phone *phone;

	memcpy(key.address, ends->phone, sizeof(key.address));
	strncpy(key.device, device, sizeof(key.device) - 1);
	HASH_FIND(hh, s->phones, &key, sizeof(key), phone);
	if (phone)
		return phone;
	phone = calloc(1, sizeof(*phone));
	if (!phone)
		return NULL;
	phone->key = key;
	HASH_ADD(hh, s->phones, key, sizeof(key), phone);
	return phone;
}

static void put_phone(struct kl_sessions *s, struct phone *phone)
{
	if (phone->sessions || phone->devices)
		return;
	HASH_DEL(s->phones, phone);
	free(phone);
}

/* How many phones an address stands for. */
static size_t phones_at(const struct phone *address)
{
	if (address->devices)
		return address->devices;
	return address->sessions ? 1 : 0;
}

/* A living session comes (by is 1) or goes (-1). */
static int count_phone(struct kl_sessions *s, const struct kl_session *session, int by)
{
	struct phone *address = get_phone(s, &session->ends, "");
	struct phone *device = NULL;

	if (!address)
		return -ENOMEM;
	if (session->device[0]) {
		device = get_phone(s, &session->ends, session->device);
		if (!device) {
			put_phone(s, address);
			return -ENOMEM;
		}
	}
	s->phone_count -= phones_at(address);
	if (device) {
		bool had = device->sessions > 0;

		device->sessions += (size_t)by;
		address->devices += (size_t)(device->sessions > 0) - (size_t)had;
		put_phone(s, device);
	} else {
		address->sessions += (size_t)by;
	}
	s->phone_count += phones_at(address);
	put_phone(s, address);
	return 0;
}

static struct node *find(const struct kl_sessions *s, uint64_t id)
{
	struct node *node;

	HASH_FIND(hh, s->nodes, &id, sizeof(id), node);
	return node;
}

const struct kl_session *kl_sessions_find(const struct kl_sessions *s, uint64_t id)
{
	struct node *node = find(s, id);

	return node ? &node->session : NULL;
}

static struct node *add(struct kl_sessions *s, uint64_t id, const struct kl_endpoints *ends)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->session.id = id;
	node->session.ends = *ends;
	if (count_phone(s, &node->session, 1)) {
		free(node);
		return NULL;
	}
	HASH_ADD(hh, s->nodes, session.id, sizeof(node->session.id), node);
	return node;
}

void kl_sessions_remove(struct kl_sessions *s, uint64_t id)
{
	struct node *node = find(s, id);

	if (!node)
		return;
	if (!node->session.closed_ns)
		count_phone(s, &node->session, -1);
	HASH_DEL(s->nodes, node);
	free(node);
}

static int open_session(struct kl_sessions *s, struct node *node, const struct kl_event *e,
			struct kl_session_change *ret)
{
	if (node && !node->session.closed_ns && !(e->tcp_flags & KL_SYN))
		return 0; /* known by a walk already */
	if (node) {
		/* A new connection on old addresses: another SYN, perhaps after a lost FIN. */
		if (node->session.closed_ns && count_phone(s, &node->session, 1))
			return -ENOMEM;
		node->session.closed_ns = 0;
		node->session.one_way = false;
	} else {
		node = add(s, e->conn_id, &e->ends);
		if (!node)
			return -ENOMEM;
	}
	ret->what = KL_SESSION_START;
	ret->by = e->tcp_flags & KL_SYN ? KL_BY_PHONE : KL_BY_UNKNOWN;
	ret->session = &node->session;
	return 0;
}

static void close_session(struct kl_sessions *s, struct node *node, const struct kl_event *e,
			  struct kl_session_change *ret)
{
	if (node->session.closed_ns)
		return;
	count_phone(s, &node->session, -1);
	node->session.closed_ns = e->time_ns;
	ret->what = KL_SESSION_STOP;
	ret->by = e->direction == KL_TO_CUCM ? KL_BY_PHONE : KL_BY_CUCM;
	ret->how = e->tcp_flags & KL_RST ? KL_HOW_RST : KL_HOW_FIN;
	ret->session = &node->session;
}

static int name_session(struct kl_sessions *s, struct kl_session *session,
			const struct kl_name_event *event)
{
	char device[KL_DEVICE_NAME] = "";
	int r = 0;

	if (!kl_find_device_name(event->payload, event->len, device) ||
	    !strcmp(device, session->device))
		return 0;
	/* The phone is counted by its name from now on. */
	if (!session->closed_ns)
		count_phone(s, session, -1);
	memcpy(session->device, device, sizeof(session->device));
	if (!session->closed_ns)
		r = count_phone(s, session, 1);
	return r;
}

int kl_sessions_feed(struct kl_sessions *s, const struct kl_event *event,
		     struct kl_session_change *ret)
{
	static const uint8_t no_mac[6];
	struct node *node = find(s, event->conn_id);
	int r = 0;

	*ret = (struct kl_session_change){ .what = KL_SESSION_SAME };
	if (event->type == KL_EVENT_OPEN) {
		r = open_session(s, node, event, ret);
		node = find(s, event->conn_id);
	}
	if (r || !node)
		return r;
	if (memcmp(event->phone_mac, no_mac, sizeof(no_mac)))
		memcpy(node->session.mac, event->phone_mac, sizeof(node->session.mac));
	if (event->vlan)
		node->session.vlan = event->vlan;
	if (event->type == KL_EVENT_CLOSE)
		close_session(s, node, event, ret);
	if (event->type == KL_EVENT_NAME)
		r = name_session(s, &node->session, (const struct kl_name_event *)event);
	return r;
}

static bool is_seen(const struct kl_flow *f)
{
	return f->seen[KL_ACCESS] || f->seen[KL_CUCM];
}

int kl_sessions_meet(struct kl_sessions *s, uint64_t id, const struct kl_conn *conn,
		     struct kl_session_change *ret, bool *ret_one_way)
{
	bool closing = conn->flow[KL_TO_CUCM].closing || conn->flow[KL_TO_PHONE].closing;
	struct node *node = find(s, id);
	struct kl_endpoints ends;

	*ret = (struct kl_session_change){ .what = KL_SESSION_SAME };
	*ret_one_way = false;
	if (conn->flags & KL_CONN_ALIAS)
		return 0;
	if (!node && !closing) {
		kl_conn_ends(conn, &ends);
		node = add(s, id, &ends);
		if (!node)
			return -ENOMEM;
		node->session.vlan = conn->vlan;
		memcpy(node->session.mac, conn->phone_mac, sizeof(node->session.mac));
		ret->what = KL_SESSION_START;
		ret->by = conn->flags & KL_CONN_SYN ? KL_BY_PHONE : KL_BY_UNKNOWN;
	}
	ret->session = node ? &node->session : NULL;
	if (node && !node->session.one_way && conn->seen_ns > conn->created_ns + ONE_WAY_NS &&
	    is_seen(&conn->flow[KL_TO_CUCM]) != is_seen(&conn->flow[KL_TO_PHONE])) {
		node->session.one_way = true;
		*ret_one_way = true;
	}
	return 0;
}

size_t kl_sessions_phones(const struct kl_sessions *s)
{
	return s->phone_count;
}

size_t kl_sessions_count(const struct kl_sessions *s)
{
	return HASH_COUNT(s->nodes);
}

/* ---- The device's name ---- */

static bool is_name_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '-' || c == '_' || c == '.';
}

/* Takes the name that starts at text; what follows must end it. */
static bool take_name(const uint8_t *text, size_t len, char ret[KL_DEVICE_NAME])
{
	size_t n = 0;

	while (n < len && is_name_char(text[n]))
		n++;
	if (!n || n >= KL_DEVICE_NAME)
		return false;
	memcpy(ret, text, n);
	ret[n] = '\0';
	return true;
}

static const uint8_t *find_text(const uint8_t *payload, size_t len, const char *text)
{
	return memmem(payload, len, text, strlen(text));
}

bool kl_find_device_name(const uint8_t *payload, size_t len, char ret[KL_DEVICE_NAME])
{
	static const char sip_key[] = "devicename.ccm.cisco.com=\"";
	enum {
		NAME_AT = 12,
		ALARM_TEXT_AT = 16
	};
	const uint8_t *at = find_text(payload, len, sip_key);
	uint32_t id;

	if (at) {
		at += strlen(sip_key);
		return take_name(at, (size_t)(payload + len - at), ret);
	}
	if (len < NAME_AT + 16)
		return false;
	id = kl_le32(payload + 8);
	if (id == KL_SCCP_ID_REGISTER)
		return take_name(payload + NAME_AT, 16, ret);
	if (id == KL_SCCP_ID_ALARM) {
		at = find_text(payload + ALARM_TEXT_AT, len - ALARM_TEXT_AT, "Name=");
		return at && take_name(at + 5, (size_t)(payload + len - at - 5), ret);
	}
	return false;
}
