// SPDX-License-Identifier: GPL-2.0-only
#include "source/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "util/cleanup.h"

static void mnl_closep(struct mnl_socket **s)
{
	if (*s)
		mnl_socket_close(*s);
}

static int take_route(const struct nlmsghdr *header, void *arg)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(header);
	struct kl_route *ret = arg;
	struct nlattr *attr;

	if (header->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(header) < sizeof(*route))
		return MNL_CB_OK;
	ret->error = 0;
	ret->local = route->rtm_type == RTN_LOCAL;
	if (route->rtm_type != RTN_LOCAL && route->rtm_type != RTN_UNICAST)
		ret->error = -EHOSTUNREACH;
	mnl_attr_for_each(attr, header, sizeof(*route))
	{
		if (mnl_attr_get_type(attr) == RTA_OIF)
			ret->out = mnl_attr_get_u32(attr);
	}
	return MNL_CB_STOP;
}

static int ask(struct nlmsghdr *header, struct kl_route *ret)
{
	__attribute__((cleanup(mnl_closep))) struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE,
										      SOCK_CLOEXEC);
	char buffer[8192] __attribute__((aligned(8)));
	ssize_t len;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_sendto(nl, header, header->nlmsg_len) < 0 ||
	    (len = mnl_socket_recvfrom(nl, buffer, sizeof(buffer))) < 0 ||
	    mnl_cb_run(buffer, (size_t)len, 0, mnl_socket_get_portid(nl), take_route, ret) < 0)
		return -errno;
	return ret->error;
}

void kl_ask_route(uint8_t family, const uint32_t from[4], const uint32_t to[4], unsigned in,
		  struct kl_route *ret)
{
	char buffer[512] __attribute__((aligned(8)));
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	size_t size = family == 6 ? 16 : 4;
	struct rtmsg *route;

	header->nlmsg_type = RTM_GETROUTE;
	header->nlmsg_flags = NLM_F_REQUEST;
	route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
	route->rtm_family = family == 6 ? AF_INET6 : AF_INET;
	route->rtm_dst_len = (unsigned char)(8 * size);
	mnl_attr_put(header, RTA_DST, size, to);
	if (from) {
		route->rtm_src_len = (unsigned char)(8 * size);
		mnl_attr_put(header, RTA_SRC, size, from);
		mnl_attr_put_u32(header, RTA_IIF, in);
	}
	*ret = (struct kl_route){ .error = -EHOSTUNREACH };
	ret->error = ask(header, ret);
}
