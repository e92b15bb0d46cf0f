// SPDX-License-Identifier: GPL-2.0-only
#include "source/links.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

struct link {
	unsigned ifindex;
	enum kl_link_state state;
};

struct kl_links {
	struct mnl_socket *nl;
	kl_link_handler handler; /* during a drain; NULL while the first state is read */
	void *arg;
	int changes;
	size_t count;
	struct link link[];
};

static struct link *find(struct kl_links *l, unsigned ifindex)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->link[i].ifindex == ifindex)
			return &l->link[i];
	}
	return NULL;
}

static int take_name(const struct nlattr *attr, void *arg)
{
	struct kl_link_change *change = arg;

	if (mnl_attr_get_type(attr) == IFLA_IFNAME && !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
		snprintf(change->interface, sizeof(change->interface), "%s",
			 mnl_attr_get_str(attr));
	return MNL_CB_OK;
}

static int take_message(const struct nlmsghdr *header, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);
	struct kl_links *l = arg;
	struct kl_link_change change = {};
	struct link *link;

	if ((header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) ||
	    mnl_nlmsg_get_payload_len(header) < sizeof(*info))
		return MNL_CB_OK;
	/* A bridge port's other life (AF_BRIDGE) also sends DELLINK, when it leaves its bridge. */
	if (info->ifi_family != AF_UNSPEC)
		return MNL_CB_OK;
	link = find(l, (unsigned)info->ifi_index);
	if (!link)
		return MNL_CB_OK;
	if (header->nlmsg_type == RTM_DELLINK)
		change.state = KL_LINK_GONE;
	else if ((info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_LOWER_UP))
		change.state = KL_LINK_UP;
	else
		change.state = KL_LINK_DOWN;
	if (change.state == link->state)
		return MNL_CB_OK;
	link->state = change.state;
	l->changes++;
	change.ifindex = link->ifindex;
	mnl_attr_parse(header, sizeof(*info), take_name, &change);
	if (l->handler)
		l->handler(&change, l->arg);
	return MNL_CB_OK;
}

static int receive(struct kl_links *l, int flags)
{
	char buffer[32768] __attribute__((aligned(8)));

	for (;;) {
		ssize_t len = recv(mnl_socket_get_fd(l->nl), buffer, sizeof(buffer), flags);
		int r;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (len < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)len, 0, 0, take_message, l);
		if (r < 0)
			return -errno;
		if (r == MNL_CB_STOP)
			return 0; /* the end of a dump */
	}
}

/* How things stand now; changes from here on arrive on the same socket. */
static int read_state(struct kl_links *l)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info;

	header->nlmsg_type = RTM_GETLINK;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	if (mnl_socket_sendto(l->nl, header, header->nlmsg_len) < 0)
		return -errno;
	return receive(l, 0);
}

int kl_links_open(const unsigned *ifindexes, size_t count, struct kl_links **ret,
		  struct kl_error *err)
{
	struct kl_links *l = calloc(1, sizeof(*l) + count * sizeof(l->link[0]));
	int r;

	if (!l)
		return kl_fail(err, -ENOMEM, "out of memory");
	l->count = count;
	for (size_t i = 0; i < count; i++)
		l->link[i].ifindex = ifindexes[i];
	l->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!l->nl || mnl_socket_bind(l->nl, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0) {
		r = kl_fail(err, -errno, "netlink: %s", strerror(errno));
		kl_links_close(l);
		return r;
	}
	r = read_state(l);
	if (r) {
		kl_fail(err, r, "netlink: %s", strerror(-r));
		kl_links_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

void kl_links_close(struct kl_links *l)
{
	if (!l)
		return;
	if (l->nl)
		mnl_socket_close(l->nl);
	free(l);
}

int kl_links_fd(const struct kl_links *l)
{
	return mnl_socket_get_fd(l->nl);
}

int kl_links_drain(struct kl_links *l, kl_link_handler handler, void *arg)
{
	int r;

	l->handler = handler;
	l->arg = arg;
	l->changes = 0;
	r = receive(l, MSG_DONTWAIT);
	return r ? r : l->changes;
}
