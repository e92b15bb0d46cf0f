// SPDX-License-Identifier: GPL-2.0-only
#include "source/nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

/* ---- nftables, and iptables on top of it ---- */

static const char *rewrites_by_expression(const char *name)
{
	static const char *const names[][2] = {
		{ "masq", "masquerade" }, { "nat", "nat" },	      { "redir", "redirect" },
		{ "tproxy", "tproxy" },	  { "synproxy", "synproxy" },
	};

	for (size_t i = 0; i < KL_COUNT(names); i++) {
		if (!strcmp(name, names[i][0]))
			return names[i][1];
	}
	return NULL;
}

static const char *rewrites_by_target(const char *name)
{
	static const char *const names[] = { "MASQUERADE", "SNAT",   "DNAT",	"NETMAP",
					     "REDIRECT",   "TPROXY", "SYNPROXY" };

	for (size_t i = 0; i < KL_COUNT(names); i++) {
		if (!strcmp(name, names[i]))
			return names[i];
	}
	return NULL;
}

static const char *text_of(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) ? "" : mnl_attr_get_str(attr);
}

static const char *expression_rewrites(const struct nlattr *expression)
{
	const struct nlattr *data = NULL;
	const char *name = "";
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, expression)
	{
		if (mnl_attr_get_type(attr) == NFTA_EXPR_NAME)
			name = text_of(attr);
		else if (mnl_attr_get_type(attr) == NFTA_EXPR_DATA)
			data = attr;
	}
	if (strcmp(name, "target") != 0 || !data)
		return rewrites_by_expression(name);
	mnl_attr_for_each_nested(attr, data)
	{
		if (mnl_attr_get_type(attr) == NFTA_TARGET_NAME)
			return rewrites_by_target(text_of(attr));
	}
	return NULL;
}

static const char *family_name(unsigned family)
{
	switch (family) {
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_BRIDGE:
		return "bridge";
	default:
		return "netdev";
	}
}

static int take_rule(const struct nlmsghdr *header, void *arg)
{
	const struct nfgenmsg *rule = mnl_nlmsg_get_payload(header);
	const char *table = "", *chain = "", *what = NULL;
	struct kl_nat_rules *ret = arg;
	struct nlattr *attr, *expression;

	mnl_attr_for_each(attr, header, sizeof(*rule))
	{
		switch (mnl_attr_get_type(attr)) {
		case NFTA_RULE_TABLE:
			table = text_of(attr);
			break;
		case NFTA_RULE_CHAIN:
			chain = text_of(attr);
			break;
		case NFTA_RULE_EXPRESSIONS:
			mnl_attr_for_each_nested(expression, attr)
			{
				if (!what)
					what = expression_rewrites(expression);
			}
			break;
		default:
			break;
		}
	}
	if (what && !ret->count++)
		snprintf(ret->first, sizeof(ret->first), "%s in table %s %.40s, chain %.40s", what,
			 family_name(rule->nfgen_family), table, chain);
	return MNL_CB_OK;
}

static void mnl_closep(struct mnl_socket **s)
{
	if (*s)
		mnl_socket_close(*s);
}

static int read_nftables(struct kl_nat_rules *ret)
{
	__attribute__((cleanup(mnl_closep))) struct mnl_socket *nl = mnl_socket_open2(
		NETLINK_NETFILTER, SOCK_CLOEXEC);
	char buffer[32768] __attribute__((aligned(8)));
	struct nlmsghdr *header;
	struct nfgenmsg *rules;
	ssize_t len;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	header = mnl_nlmsg_put_header(buffer);
	header->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	rules = mnl_nlmsg_put_extra_header(header, sizeof(*rules));
	rules->nfgen_family = NFPROTO_UNSPEC;
	rules->version = NFNETLINK_V0;
	if (mnl_socket_sendto(nl, header, header->nlmsg_len) < 0)
		return -errno;
	while ((len = mnl_socket_recvfrom(nl, buffer, sizeof(buffer))) > 0) {
		int more = mnl_cb_run(buffer, (size_t)len, 0, mnl_socket_get_portid(nl), take_rule,
				      ret);

		if (more <= MNL_CB_STOP)
			return more < 0 ? -errno : 0;
	}
	return len < 0 ? -errno : 0;
}

/* ---- The older iptables, with tables of its own ---- */

/* To ask for a table makes it: so only where it is already there. */
static bool has_nat_table(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[64];

	while (f && fgets(line, sizeof(line), f)) {
		if (!strcmp(line, "nat\n"))
			return true;
	}
	return false;
}

static void count_legacy(int family, const char *what, struct kl_nat_rules *ret)
{
	_cleanup_close_ int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	struct ipt_getinfo info = { .name = "nat" };
	socklen_t len = sizeof(info);
	/* (The name of the question and its answer are the same for both families.) */
	int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
	unsigned built_in = 1; /* the entry at the end, and one policy a chain */

	if (fd < 0 || getsockopt(fd, level, IPT_SO_GET_INFO, &info, &len))
		return;
	for (unsigned hook = 0; hook < NF_INET_NUMHOOKS; hook++)
		built_in += info.valid_hooks >> hook & 1;
	if (info.num_entries <= built_in)
		return;
	if (!ret->count)
		snprintf(ret->first, sizeof(ret->first), "rules in the table nat of %s", what);
	ret->count += info.num_entries - built_in;
}

void kl_read_nat_rules(struct kl_nat_rules *ret)
{
	int r;

	*ret = (struct kl_nat_rules){};
	r = read_nftables(ret);
	/* A kernel without nftables has no rules of it. */
	ret->known = r != -EPERM && r != -EACCES;
	if (has_nat_table("/proc/net/ip_tables_names"))
		count_legacy(AF_INET, "iptables", ret);
	if (has_nat_table("/proc/net/ip6_tables_names"))
		count_legacy(AF_INET6, "ip6tables", ret);
}
