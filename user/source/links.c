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

enum {
	LIST_TRIES = 10, /* to read the list while nothing changes */
};

struct link {
	char name[IFNAMSIZ]; /* as it was asked for */
	unsigned ifindex;    /* 0: there is none of that name */
	enum kl_link_state state;
	bool renamed; /* this one has another name now; one of that name would take its place */
	bool listed;  /* in the list that is being read */
};

struct kl_links {
	struct mnl_socket *nl;
	kl_link_handler handler; /* during a drain; NULL while the first state is read */
	void *arg;
	int changes;
	bool torn; /* something changed while the list was read */
	size_t count;
	struct link link[];
};

static void change(struct kl_links *l, struct link *link, enum kl_link_state state,
		   const char *called)
{
	struct kl_link_change c = { .ifindex = link->ifindex, .state = state };

	snprintf(c.interface, sizeof(c.interface), "%s", link->name);
	snprintf(c.called, sizeof(c.called), "%s", called);
	if (state != KL_LINK_RENAMED)
		link->state = state;
	l->changes++;
	if (l->handler)
		l->handler(&c, l->arg);
	if (state == KL_LINK_GONE) {
		link->ifindex = 0;
		link->renamed = false;
	}
}

static int take_name(const struct nlattr *attr, void *arg)
{
	const char **name = arg;

	if (mnl_attr_get_type(attr) == IFLA_IFNAME && !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
		*name = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

static void take_gone(struct kl_links *l, unsigned ifindex)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->link[i].ifindex == ifindex)
			change(l, &l->link[i], KL_LINK_GONE, l->link[i].name);
	}
}

static void take_link(struct kl_links *l, struct link *link, const struct ifinfomsg *info,
		      const char *name)
{
	unsigned running = IFF_UP | IFF_LOWER_UP;
	bool named = !strcmp(name, link->name), was_renamed = link->renamed;
	enum kl_link_state state = (info->ifi_flags & running) == running ? KL_LINK_UP
									  : KL_LINK_DOWN;

	if (link->ifindex != (unsigned)info->ifi_index) {
		if (!named)
			return;
		/* One of that name: it came back, or it takes the place of one that was renamed. */
		if (link->ifindex)
			change(l, link, KL_LINK_GONE, link->name);
		link->ifindex = (unsigned)info->ifi_index;
		link->listed = true;
		change(l, link, state, name);
		return;
	}
	link->listed = true;
	link->renamed = !named;
	if (link->renamed != was_renamed)
		change(l, link, KL_LINK_RENAMED, name);
	if (state != link->state)
		change(l, link, state, name);
}

static int take_message(const struct nlmsghdr *header, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);
	const char *name = NULL;
	struct kl_links *l = arg;

	if ((header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) ||
	    mnl_nlmsg_get_payload_len(header) < sizeof(*info))
		return MNL_CB_OK;
	/* A bridge port's other life (AF_BRIDGE) also sends DELLINK, when it leaves its bridge. */
	if (info->ifi_family != AF_UNSPEC || info->ifi_index <= 0)
		return MNL_CB_OK;
	if (header->nlmsg_type == RTM_DELLINK) {
		take_gone(l, (unsigned)info->ifi_index);
		return MNL_CB_OK;
	}
	mnl_attr_parse(header, sizeof(*info), take_name, (void *)&name);
	for (size_t i = 0; name && i < l->count; i++)
		take_link(l, &l->link[i], info, name);
	return MNL_CB_OK;
}

/* A list that something changed in while it was written says so in its messages, the last one, too,
 * which libmnl then takes for no end. */
static void note_torn(struct kl_links *l, void *buffer, ssize_t len)
{
	struct nlmsghdr *header = buffer;
	int left = (int)len;

	for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
		l->torn |= header->nlmsg_flags & NLM_F_DUMP_INTR;
		header->nlmsg_flags &= (__u16)~NLM_F_DUMP_INTR;
	}
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
		note_torn(l, buffer, len);
		r = mnl_cb_run(buffer, (size_t)len, 0, 0, take_message, l);
		if (r < 0)
			return -errno;
		if (r == MNL_CB_STOP)
			return 0; /* the end of a dump */
	}
}

static int read_list(struct kl_links *l)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info;
	int r;

	header->nlmsg_type = RTM_GETLINK;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	for (size_t i = 0; i < l->count; i++)
		l->link[i].listed = false;
	l->torn = false;
	if (mnl_socket_sendto(l->nl, header, header->nlmsg_len) < 0)
		return -errno;
	/* News that found no room meanwhile may be of what was listed already. */
	while ((r = receive(l, 0)) == -ENOBUFS)
		l->torn = true;
	return r;
}

/* How things stand now; changes from here on arrive on the same socket. */
static int read_state(struct kl_links *l)
{
	int tries = LIST_TRIES, r;

	do
		r = read_list(l);
	while (!r && l->torn && --tries);
	/* One that is gone though the list is torn is found to be back by the next news of it. */
	for (size_t i = 0; !r && i < l->count; i++) {
		if (!l->link[i].listed && l->link[i].ifindex)
			change(l, &l->link[i], KL_LINK_GONE, l->link[i].name);
	}
	return r;
}

int kl_links_open(const char (*names)[IFNAMSIZ], size_t count, struct kl_links **ret,
		  struct kl_error *err)
{
	struct kl_links *l = calloc(1, sizeof(*l) + count * sizeof(l->link[0]));
	int r;

	if (!l)
		return kl_fail(err, -ENOMEM, "out of memory");
	l->count = count;
	for (size_t i = 0; i < count; i++)
		memcpy(l->link[i].name, names[i], sizeof(l->link[i].name));
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
	bool missed = false;
	int r;

	l->handler = handler;
	l->arg = arg;
	l->changes = 0;
	while ((r = receive(l, MSG_DONTWAIT)) == -ENOBUFS)
		missed = true;
	if (!r && missed)
		r = read_state(l);
	if (r)
		return r;
	return missed ? -ENOBUFS : l->changes;
}
