// SPDX-License-Identifier: GPL-2.0-only
#include "source/fdb.h"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "source/bridge_link.h"
#include "util/duration.h"
#include "util/table.h"

enum {
	ENTRIES_MAX = 1 << 18, /* what is beyond is not followed */
	RECEIVE_BYTES = 4 << 20,
	MESSAGE_BYTES = 32768,
};

/* A watched interface, and the bridge of which it is a port (or which it is); 0: none. */
struct port {
	unsigned ifindex;
	unsigned bridge;
};

struct entry_key {
	uint32_t bridge;
	uint16_t vlan;
	uint8_t mac[6];
};

/* Where a MAC is. A notification does not tell whether it is new or has moved. */
struct entry {
	struct entry_key key;
	unsigned ifindex;
	unsigned dump; /* the last one that it was in */
	char port[IF_NAMESIZE];
	UT_hash_handle hh;
};

struct kl_fdb {
	struct mnl_socket *nl;
	struct entry *entries;
	unsigned dump;		/* counts them */
	bool dumping;		/* what comes now is a table, not news */
	bool new_bridge;	/* its table was not read yet */
	uint64_t clock_ms;	/* of one of the kernel's ticks for user space */
	uint64_t caught_up_ns;	/* until then nothing is missing */
	kl_mac_handler handler; /* NULL: nobody is told */
	void *arg;
	int told;
	size_t count;
	struct port port[];
};

static bool is_followed(const struct kl_fdb *f, unsigned bridge)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->port[i].bridge == bridge)
			return bridge != 0;
	}
	return false;
}

/* ---- Which interface is a port of which bridge ---- */

static void take_link(struct kl_fdb *f, const struct nlmsghdr *header)
{
	struct kl_bridge_link link;
	unsigned bridge = 0;

	if (!kl_bridge_parse(header, &link))
		return;
	if (header->nlmsg_type == RTM_NEWLINK && link.is_bridge)
		bridge = link.ifindex;
	else if (header->nlmsg_type == RTM_NEWLINK && link.is_port)
		bridge = link.master;
	for (size_t i = 0; i < f->count; i++) {
		if (f->port[i].ifindex != link.ifindex)
			continue;
		f->new_bridge |= bridge && !is_followed(f, bridge);
		f->port[i].bridge = bridge;
	}
}

/* ---- MACs ---- */

struct neighbour {
	bool has_mac, has_age;
	uint32_t age; /* since its last frame, in ticks */
	struct entry_key key;
};

static int take_neighbour_attribute(const struct nlattr *attr, void *arg)
{
	struct neighbour *n = arg;

	switch (mnl_attr_get_type(attr)) {
	case NDA_LLADDR:
		if (mnl_attr_get_payload_len(attr) == sizeof(n->key.mac)) {
			memcpy(n->key.mac, mnl_attr_get_payload(attr), sizeof(n->key.mac));
			n->has_mac = true;
		}
		break;
	case NDA_VLAN:
		if (!mnl_attr_validate(attr, MNL_TYPE_U16))
			n->key.vlan = mnl_attr_get_u16(attr);
		break;
	case NDA_MASTER:
		if (!mnl_attr_validate(attr, MNL_TYPE_U32))
			n->key.bridge = mnl_attr_get_u32(attr);
		break;
	case NDA_CACHEINFO:
		if (mnl_attr_get_payload_len(attr) >= sizeof(struct nda_cacheinfo)) {
			struct nda_cacheinfo cache;

			memcpy(&cache, mnl_attr_get_payload(attr), sizeof(cache));
			n->age = cache.ndm_updated;
			n->has_age = true;
		}
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static void name_of(unsigned ifindex, char *ret, size_t size)
{
	char name[IF_NAMESIZE];

	if (if_indextoname(ifindex, name))
		snprintf(ret, size, "%s", name);
	else
		snprintf(ret, size, "interface %u", ifindex);
}

static void tell(struct kl_fdb *f, enum kl_mac_happening happening, const struct entry *e,
		 uint64_t silent_ms, const char *from_port)
{
	struct kl_mac_evidence m = {
		.time_ns = kl_monotonic_ns(),
		.happening = (uint8_t)happening,
		.source = KL_MAC_FROM_BRIDGE,
		.has_mac = true,
		.vlan = e->key.vlan,
		.silent_ms = silent_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)silent_ms,
	};

	if (!f->handler)
		return;
	/* A table read anew tells what has changed, not when. */
	m.earliest_ns = f->dumping ? f->caught_up_ns : m.time_ns;
	memcpy(m.mac, e->key.mac, sizeof(m.mac));
	snprintf(m.port, sizeof(m.port), "%s", e->port);
	if (from_port)
		snprintf(m.from_port, sizeof(m.from_port), "%s", from_port);
	name_of(e->key.bridge, m.told_by, sizeof(m.told_by));
	f->told++;
	f->handler(&m, f->arg);
}

static void forget(struct kl_fdb *f, struct entry *e)
{
	HASH_DEL(f->entries, e);
	free(e);
}

static void take_present(struct kl_fdb *f, const struct neighbour *n, unsigned ifindex)
{
	struct entry *e;

	HASH_FIND(hh, f->entries, &n->key, sizeof(n->key), e);
	if (!e) {
		if (HASH_COUNT(f->entries) >= ENTRIES_MAX)
			return;
		e = calloc(1, sizeof(*e));
		if (!e)
			return;
		e->key = n->key;
		e->ifindex = ifindex;
		name_of(ifindex, e->port, sizeof(e->port));
		HASH_ADD(hh, f->entries, key, sizeof(e->key), e);
		tell(f, KL_MAC_LEARNED, e, 0, NULL);
	} else if (e->ifindex != ifindex) {
		char from[IF_NAMESIZE];

		memcpy(from, e->port, sizeof(from));
		e->ifindex = ifindex;
		name_of(ifindex, e->port, sizeof(e->port));
		tell(f, KL_MAC_MOVED, e, 0, from);
	}
	e->dump = f->dump;
}

static void take_gone(struct kl_fdb *f, const struct neighbour *n, unsigned ifindex, bool expired)
{
	struct entry unknown = { .key = n->key, .ifindex = ifindex }, *e;

	HASH_FIND(hh, f->entries, &n->key, sizeof(n->key), e);
	if (!e) {
		name_of(ifindex, unknown.port, sizeof(unknown.port));
		e = &unknown;
	}
	tell(f, expired ? KL_MAC_AGED : KL_MAC_FLUSHED, e, n->has_age ? n->age * f->clock_ms : 0,
	     NULL);
	if (e != &unknown)
		forget(f, e);
}

static void take_neighbour(struct kl_fdb *f, const struct nlmsghdr *header)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(header);
	struct neighbour n = {};
	struct entry *e;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*nd) || nd->ndm_family != AF_BRIDGE ||
	    nd->ndm_flags & NTF_SELF)
		return;
	mnl_attr_parse(header, sizeof(*nd), take_neighbour_attribute, &n);
	if (!n.has_mac || !is_followed(f, n.key.bridge))
		return;
	if (!(nd->ndm_state & (NUD_REACHABLE | NUD_STALE))) {
		/* The bridge's own addresses, and what somebody has set: these do not age. */
		HASH_FIND(hh, f->entries, &n.key, sizeof(n.key), e);
		if (e)
			forget(f, e);
		return;
	}
	if (header->nlmsg_type == RTM_NEWNEIGH)
		take_present(f, &n, (unsigned)nd->ndm_ifindex);
	else
		take_gone(f, &n, (unsigned)nd->ndm_ifindex, nd->ndm_state & NUD_STALE);
}

static int take_message(const struct nlmsghdr *header, void *arg)
{
	switch (header->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		take_link(arg, header);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		take_neighbour(arg, header);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

/* ---- Asking ---- */

static int read_links(struct kl_fdb *f)
{
	int r = kl_bridge_dump(RTM_GETLINK, AF_UNSPEC, take_message, f);

	return r == -EAGAIN ? 0 : r;
}

/* What is not in the table any more went away unseen. */
static void drop_vanished(struct kl_fdb *f)
{
	struct entry *e, *next;

	HASH_ITER(hh, f->entries, e, next)
	{
		if (e->dump == f->dump)
			continue;
		if (is_followed(f, e->key.bridge))
			tell(f, KL_MAC_FLUSHED, e, 0, NULL);
		forget(f, e);
	}
}

static int read_table(struct kl_fdb *f)
{
	int r;

	f->dump++;
	f->dumping = true;
	f->new_bridge = false;
	r = kl_bridge_dump(RTM_GETNEIGH, AF_BRIDGE, take_message, f);
	if (!r)
		drop_vanished(f);
	f->dumping = false;
	return r == -EAGAIN ? 0 : r;
}

static int read_ageing(struct kl_fdb *f, unsigned bridge, kl_ageing_handler handler, void *arg)
{
	struct kl_ageing_evidence a = { .time_ns = kl_monotonic_ns(),
					.source = KL_MAC_FROM_BRIDGE };
	struct kl_bridge_link link;
	int r = kl_bridge_ask(bridge, &link);

	if (r || !link.has_ageing)
		return r == -ENODEV ? 0 : r;
	a.ageing_ms = link.ageing * f->clock_ms;
	name_of(bridge, a.told_by, sizeof(a.told_by));
	handler(&a, arg);
	return 0;
}

int kl_fdb_ageing(struct kl_fdb *f, kl_ageing_handler handler, void *arg)
{
	for (size_t i = 0; i < f->count; i++) {
		unsigned bridge = f->port[i].bridge;
		bool told = !bridge;
		int r;

		for (size_t k = 0; k < i; k++)
			told |= f->port[k].bridge == bridge;
		if (told)
			continue;
		r = read_ageing(f, bridge, handler, arg);
		if (r)
			return r;
	}
	return 0;
}

/* ---- Opening, and what comes ---- */

static int open_socket(struct kl_fdb *f)
{
	int room = RECEIVE_BYTES;

	f->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!f->nl || mnl_socket_bind(f->nl, RTMGRP_LINK | RTMGRP_NEIGH, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	/* A flush of a large table comes at once. Without the privilege it is as the system says. */
	if (setsockopt(kl_fdb_fd(f), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		setsockopt(kl_fdb_fd(f), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	return 0;
}

int kl_fdb_open(const unsigned *ifindexes, size_t count, struct kl_fdb **ret, struct kl_error *err)
{
	struct kl_fdb *f = calloc(1, sizeof(*f) + count * sizeof(f->port[0]));
	long ticks = sysconf(_SC_CLK_TCK);
	int r;

	if (!f)
		return kl_fail(err, -ENOMEM, "out of memory");
	f->clock_ms = ticks > 0 && ticks <= 1000 ? 1000 / (uint64_t)ticks : 10;
	f->count = count;
	for (size_t i = 0; i < count; i++)
		f->port[i].ifindex = ifindexes[i];
	r = open_socket(f);
	if (!r)
		r = read_links(f);
	if (!r)
		r = read_table(f);
	if (r) {
		kl_fdb_close(f);
		return kl_fail(err, r, "MAC tables, by netlink: %s", strerror(-r));
	}
	f->caught_up_ns = kl_monotonic_ns();
	*ret = f;
	return 0;
}

int kl_fdb_move(struct kl_fdb *f, const unsigned *ifindexes, size_t count)
{
	bool moved = false;

	for (size_t i = 0; i < count && i < f->count; i++) {
		if (f->port[i].ifindex == ifindexes[i])
			continue;
		f->port[i] = (struct port){ .ifindex = ifindexes[i] };
		moved = true;
	}
	return moved ? read_links(f) : 0;
}

void kl_fdb_close(struct kl_fdb *f)
{
	struct entry *e, *next;

	if (!f)
		return;
	if (f->nl)
		mnl_socket_close(f->nl);
	HASH_ITER(hh, f->entries, e, next)
	forget(f, e);
	free(f);
}

int kl_fdb_fd(const struct kl_fdb *f)
{
	return mnl_socket_get_fd(f->nl);
}

bool kl_fdb_has_bridge(const struct kl_fdb *f)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->port[i].bridge)
			return true;
	}
	return false;
}

/* 0, -ENOBUFS (and there may be more), or another error. */
static int receive(struct kl_fdb *f)
{
	char buffer[MESSAGE_BYTES] __attribute__((aligned(8)));

	for (;;) {
		ssize_t len = recv(kl_fdb_fd(f), buffer, sizeof(buffer), MSG_DONTWAIT);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (mnl_cb_run(buffer, (size_t)len, 0, 0, take_message, f) < 0)
			return -errno;
	}
}

int kl_fdb_drain(struct kl_fdb *f, kl_mac_handler handler, void *arg)
{
	bool missed = false;
	int r;

	f->handler = handler;
	f->arg = arg;
	f->told = 0;
	while ((r = receive(f)) == -ENOBUFS)
		missed = true;
	if (!r && missed)
		r = read_links(f);
	if (!r && missed)
		r = read_table(f);
	if (!r && f->new_bridge) {
		/* What a bridge knew before is no news. */
		f->handler = NULL;
		r = read_table(f);
	}
	f->handler = NULL;
	if (r)
		return r;
	f->caught_up_ns = kl_monotonic_ns();
	return missed ? -ENOBUFS : f->told;
}
