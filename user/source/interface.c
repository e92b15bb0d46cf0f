// SPDX-License-Identifier: GPL-2.0-only
#include "source/interface.h"

#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util/cleanup.h"

struct list {
	struct kl_interface_facts *facts;
	size_t count, room;
};

static void copy_text(const struct nlattr *attr, char *ret, size_t size)
{
	if (!mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
		snprintf(ret, size, "%s", mnl_attr_get_str(attr));
}

static void take_port(const struct nlattr *data, struct kl_interface_facts *f)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, data)
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_BRPORT_STATE:
			f->port_forwards = mnl_attr_get_u8(attr) == BR_STATE_FORWARDING;
			break;
		case IFLA_BRPORT_ISOLATED:
			f->port_isolated = mnl_attr_get_u8(attr);
			break;
		default:
			break;
		}
	}
}

static void take_info(const struct nlattr *info, struct kl_interface_facts *f)
{
	const struct nlattr *slave_data = NULL;
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info)
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_INFO_KIND:
			copy_text(attr, f->kind, sizeof(f->kind));
			break;
		case IFLA_INFO_SLAVE_KIND:
			copy_text(attr, f->master_kind, sizeof(f->master_kind));
			break;
		case IFLA_INFO_SLAVE_DATA:
			slave_data = attr;
			break;
		default:
			break;
		}
	}
	if (slave_data && !strcmp(f->master_kind, "bridge"))
		take_port(slave_data, f);
}

static bool sits_on_another(const char *kind)
{
	static const char *const kinds[] = { "vlan", "macvlan", "ipvlan", "macsec" };

	for (size_t i = 0; i < KL_COUNT(kinds); i++) {
		if (!strcmp(kind, kinds[i]))
			return true;
	}
	return false;
}

static void take_attributes(const struct nlmsghdr *header, struct kl_interface_facts *f)
{
	bool elsewhere = false;
	struct nlattr *attr;

	mnl_attr_for_each(attr, header, sizeof(struct ifinfomsg))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_text(attr, f->name, sizeof(f->name));
			break;
		case IFLA_MTU:
			f->mtu = mnl_attr_get_u32(attr);
			break;
		case IFLA_MASTER:
			f->master = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK:
			f->lower = mnl_attr_get_u32(attr);
			break;
		case IFLA_LINK_NETNSID:
			elsewhere = true;
			break;
		case IFLA_PHYS_SWITCH_ID:
			f->switch_chip = true;
			break;
		case IFLA_LINKINFO:
			take_info(attr, f);
			break;
		default:
			break;
		}
	}
	/* A veth names its peer here. */
	if (elsewhere || !sits_on_another(f->kind))
		f->lower = 0;
}

static int take_link(const struct nlmsghdr *header, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);
	struct list *list = arg;
	struct kl_interface_facts *f;

	if (header->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(header) < sizeof(*info))
		return MNL_CB_OK;
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		void *more = realloc(list->facts, room * sizeof(*list->facts));

		if (!more) {
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
		list->facts = more;
		list->room = room;
	}
	f = &list->facts[list->count++];
	*f = (struct kl_interface_facts){
		.ifindex = (unsigned)info->ifi_index,
		.type = info->ifi_type,
		.up = info->ifi_flags & IFF_UP,
		.running = info->ifi_flags & IFF_LOWER_UP,
		.port_forwards = true,
	};
	take_attributes(header, f);
	return MNL_CB_OK;
}

static void mnl_closep(struct mnl_socket **s)
{
	if (*s)
		mnl_socket_close(*s);
}

static int dump_links(struct list *ret)
{
	__attribute__((cleanup(mnl_closep))) struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE,
										      SOCK_CLOEXEC);
	char buffer[32768] __attribute__((aligned(8)));
	struct nlmsghdr *header;
	struct ifinfomsg *info;
	ssize_t len;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	header = mnl_nlmsg_put_header(buffer);
	header->nlmsg_type = RTM_GETLINK;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	info = mnl_nlmsg_put_extra_header(header, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_u32(header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (mnl_socket_sendto(nl, header, header->nlmsg_len) < 0)
		return -errno;
	while ((len = mnl_socket_recvfrom(nl, buffer, sizeof(buffer))) > 0) {
		int more = mnl_cb_run(buffer, (size_t)len, 0, mnl_socket_get_portid(nl), take_link,
				      ret);

		if (more <= MNL_CB_STOP)
			return more < 0 ? -errno : 0;
	}
	return len < 0 ? -errno : 0;
}

int kl_read_interface_facts(struct kl_interface_facts **ret, size_t *ret_count,
			    struct kl_error *err)
{
	struct list list = {};
	int r = dump_links(&list);

	if (r) {
		free(list.facts);
		return kl_fail(err, r, "reading the interfaces: %s", strerror(-r));
	}
	*ret = list.facts;
	*ret_count = list.count;
	return 0;
}

/* ---- ethtool ---- */

static bool ask_ethtool(int fd, const char *name, void *question)
{
	struct ifreq request = {};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_data = question;
	return !ioctl(fd, SIOCETHTOOL, &request);
}

static enum kl_offload ask_flag(int fd, const char *name, uint32_t command, uint32_t mask)
{
	struct ethtool_value value = { .cmd = command };

	if (!ask_ethtool(fd, name, &value))
		return KL_OFFLOAD_UNKNOWN;
	return value.data & mask ? KL_OFFLOAD_ON : KL_OFFLOAD_OFF;
}

void kl_read_offloads(const char *name, struct kl_interface_offloads *ret)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };

	*ret = (struct kl_interface_offloads){};
	if (fd < 0)
		return;
	if (ask_ethtool(fd, name, &driver))
		snprintf(ret->driver, sizeof(ret->driver), "%.31s", driver.driver);
	ret->gro = ask_flag(fd, name, ETHTOOL_GGRO, ~0U);
	ret->lro = ask_flag(fd, name, ETHTOOL_GFLAGS, ETH_FLAG_LRO);
	ret->rx_vlan = ask_flag(fd, name, ETHTOOL_GFLAGS, ETH_FLAG_RXVLAN);
}
