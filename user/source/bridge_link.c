// SPDX-License-Identifier: GPL-2.0-only
#include "source/bridge_link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

enum {
	DUMP_TRIES = 5, /* a table that changes while it is read is read again */
	MESSAGE_BYTES = 32768,
};

static int take_bridge_data(const struct nlattr *attr, void *arg)
{
	struct kl_bridge_link *link = arg;

	if (mnl_attr_get_type(attr) == IFLA_BR_AGEING_TIME &&
	    !mnl_attr_validate(attr, MNL_TYPE_U32)) {
		link->ageing = mnl_attr_get_u32(attr);
		link->has_ageing = true;
	}
	return MNL_CB_OK;
}

static bool says_bridge(const struct nlattr *attr)
{
	return !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) &&
	       !strcmp(mnl_attr_get_str(attr), "bridge");
}

static int take_link_info(const struct nlattr *attr, void *arg)
{
	struct kl_bridge_link *link = arg;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_INFO_KIND:
		link->is_bridge = says_bridge(attr);
		break;
	case IFLA_INFO_SLAVE_KIND:
		link->is_port = says_bridge(attr);
		break;
	case IFLA_INFO_DATA: /* stands behind the kind */
		if (link->is_bridge)
			mnl_attr_parse_nested(attr, take_bridge_data, link);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int take_link_attribute(const struct nlattr *attr, void *arg)
{
	struct kl_bridge_link *link = arg;

	if (mnl_attr_get_type(attr) == IFLA_MASTER && !mnl_attr_validate(attr, MNL_TYPE_U32))
		link->master = mnl_attr_get_u32(attr);
	else if (mnl_attr_get_type(attr) == IFLA_LINKINFO)
		mnl_attr_parse_nested(attr, take_link_info, link);
	return MNL_CB_OK;
}

bool kl_bridge_parse(const struct nlmsghdr *header, struct kl_bridge_link *ret)
{
	const struct ifinfomsg *info;

	memset(ret, 0, sizeof(*ret));
	if (mnl_nlmsg_get_payload_len(header) < sizeof(*info))
		return false;
	info = mnl_nlmsg_get_payload(header);
	/* A bridge port's other life (AF_BRIDGE) says less. */
	if (info->ifi_family != AF_UNSPEC)
		return false;
	ret->ifindex = (unsigned)info->ifi_index;
	mnl_attr_parse(header, sizeof(*info), take_link_attribute, ret);
	return true;
}

/* ---- Asking ---- */

static void close_socketp(struct mnl_socket **nl)
{
	if (*nl)
		mnl_socket_close(*nl);
}

/* Sends the request on a socket of its own, so that no news comes between, and takes the answer. */
static int ask(struct nlmsghdr *request, mnl_cb_t take, void *arg)
{
	__attribute__((cleanup(close_socketp))) struct mnl_socket *nl = mnl_socket_open2(
		NETLINK_ROUTE, SOCK_CLOEXEC);
	char buffer[MESSAGE_BYTES] __attribute__((aligned(8)));
	int r = MNL_CB_OK;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		ssize_t len = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)len, request->nlmsg_seq, 0, take, arg);
		if (r < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		if (!(request->nlmsg_flags & NLM_F_DUMP))
			break;
	}
	return 0;
}

static int take_link(const struct nlmsghdr *header, void *arg)
{
	if (header->nlmsg_type == RTM_NEWLINK)
		kl_bridge_parse(header, arg);
	return MNL_CB_OK;
}

int kl_bridge_ask(unsigned ifindex, struct kl_bridge_link *ret)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info;

	memset(ret, 0, sizeof(*ret));
	request->nlmsg_type = RTM_GETLINK;
	request->nlmsg_flags = NLM_F_REQUEST;
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = (int)ifindex;
	return ask(request, take_link, ret);
}

int kl_bridge_dump(uint16_t type, unsigned char family, mnl_cb_t take, void *arg)
{
	size_t extra = type == RTM_GETNEIGH ? sizeof(struct ndmsg) : sizeof(struct ifinfomsg);
	char buffer[256] __attribute__((aligned(8)));
	int r = -EAGAIN;

	for (int i = 0; i < DUMP_TRIES && r == -EAGAIN; i++) {
		struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

		request->nlmsg_type = type;
		request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		/* Both begin with the family. */
		*(unsigned char *)mnl_nlmsg_put_extra_header(request, extra) = family;
		r = ask(request, take, arg);
	}
	return r;
}
