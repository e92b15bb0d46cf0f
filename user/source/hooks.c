// SPDX-License-Identifier: GPL-2.0-only
#include "source/hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

/* Of <linux/bpf.h> of 6.6, which Debian 12's headers do not have yet. */
enum {
	KL_BPF_TCX_INGRESS = 46,
	KL_BPF_TCX_EGRESS = 47,
	KL_BPF_F_BEFORE = 1 << 3,
	KL_BPF_F_AFTER = 1 << 4,
	KL_BPF_F_ID = 1 << 5,
	KL_BPF_PROG_QUERY = 16,
};

#define OUR_PREFIX "kaloss_"

/* ---- XDP ---- */

static unsigned xdp_program_on(unsigned ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (bpf_xdp_query((int)ifindex, 0, &query))
		return 0;
	if (query.prog_id)
		return query.prog_id;
	if (query.drv_prog_id)
		return query.drv_prog_id;
	return query.skb_prog_id ? query.skb_prog_id : query.hw_prog_id;
}

static void program_name(unsigned id, char *ret, size_t size)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

	ret[0] = '\0';
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len))
		snprintf(ret, size, "%s", info.name);
}

void kl_describe_xdp(unsigned ifindex, char *ret, size_t size)
{
	unsigned id = xdp_program_on(ifindex);
	char name[BPF_OBJ_NAME_LEN];

	ret[0] = '\0';
	if (!id)
		return;
	program_name(id, name, sizeof(name));
	snprintf(ret, size, "an XDP program (id %u%s%s)", id, name[0] ? ", " : "", name);
}

int kl_attach_xdp(int prog_fd, unsigned ifindex, struct kl_attachment *ret, struct kl_error *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	char who[128];
	int fd;

	kl_describe_xdp(ifindex, who, sizeof(who));
	if (who[0])
		return kl_fail(err, -EBUSY, "%s is already on it", who);
	fd = bpf_link_create(prog_fd, (int)ifindex, BPF_XDP, &opts);
	if (fd == -EOPNOTSUPP)
		return kl_fail(err, fd, "its driver has no native XDP");
	if (fd == -EBUSY || fd == -EEXIST)
		return kl_fail(err, -EBUSY, "something else has taken its XDP hook");
	if (fd < 0)
		return kl_fail(err, fd, "its driver refuses native XDP (%s)", strerror(-fd));
	*ret = (struct kl_attachment){ .link_fd = fd, .ifindex = ifindex };
	return 0;
}

/* ---- tcx ---- */

static int tcx_programs(unsigned ifindex, bool egress, __u32 *ids, __u32 max)
{
	struct {
		__u32 target_ifindex;
		__u32 attach_type;
		__u32 query_flags;
		__u32 attach_flags;
		__u64 prog_ids;
		__u32 count;
		__u32 pad;
		__u64 rest[8];
	} attr = {
		.target_ifindex = ifindex,
		.attach_type = egress ? KL_BPF_TCX_EGRESS : KL_BPF_TCX_INGRESS,
		.prog_ids = (__u64)(unsigned long)ids,
		.count = max,
	};

	if (syscall(SYS_bpf, KL_BPF_PROG_QUERY, &attr, sizeof(attr)))
		return 0;
	return (int)attr.count;
}

/*
 * The programs of another kaloss at the head of the chain: they let all that follow run. (Later their
 * names may not be ours to read any more.) Returns the last one; 0: there is none.
 */
static __u32 tcx_behind(unsigned ifindex, bool egress, unsigned ret[KL_BEHIND_MAX])
{
	__u32 ids[KL_BEHIND_MAX] = {}, last = 0;
	int count = tcx_programs(ifindex, egress, ids, KL_BEHIND_MAX);

	for (int i = 0; i < count && i < KL_BEHIND_MAX; i++) {
		char name[BPF_OBJ_NAME_LEN];

		program_name(ids[i], name, sizeof(name));
		if (strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)) != 0)
			break;
		ret[i] = last = ids[i];
	}
	return last;
}

int kl_attach_tcx(int prog_fd, unsigned ifindex, bool egress, struct kl_attachment *ret,
		  struct kl_error *err)
{
	/* union bpf_attr's link_create, as of 6.6. */
	struct link_create {
		__u32 prog_fd;
		__u32 target_ifindex;
		__u32 attach_type;
		__u32 flags;
		__u32 relative; /* an id, by the flags */
		__u32 pad;
		__u64 expected_revision;
		__u64 rest[8];
	};
	unsigned behind[KL_BEHIND_MAX] = {};
	__u32 other = tcx_behind(ifindex, egress, behind);
	struct link_create attr = {
		.prog_fd = (__u32)prog_fd,
		.target_ifindex = ifindex,
		.attach_type = egress ? KL_BPF_TCX_EGRESS : KL_BPF_TCX_INGRESS,
		/* A program before ours could end the chain, and we would miss what it let pass. */
		.flags = other ? KL_BPF_F_AFTER | KL_BPF_F_ID : KL_BPF_F_BEFORE,
		.relative = other,
	};
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	if (fd < 0 && (errno == EINVAL || errno == E2BIG || errno == EOPNOTSUPP))
		return kl_fail(err, -EOPNOTSUPP, "the kernel has no tcx");
	if (fd < 0)
		return kl_fail(err, -errno, "tcx %s: %s", egress ? "egress" : "ingress",
			       strerror(errno));
	*ret = (struct kl_attachment){
		.link_fd = fd,
		.ifindex = ifindex,
		.egress = egress,
		.tcx = true,
	};
	memcpy(ret->behind, behind, sizeof(behind));
	return 0;
}

/* ---- clsact filters ---- */

struct filter {
	__u32 handle; /* ours: the owner's process id */
	__u32 priority;
	__u32 parent;
	bool ours;
};

struct filter_list {
	struct filter filter[64];
	size_t count;
	__u32 parent;
	bool others;	 /* a filter that is not ours */
	char names[128]; /* of all of them, each once */
};

/* Adds a name to a comma list, unless it is there. */
static void add_name(char *list, size_t size, const char *name)
{
	const char *there = strstr(list, name);
	size_t len = strlen(list), name_len = strlen(name);

	if (there && (there == list || there[-1] == ' ') &&
	    (!there[name_len] || there[name_len] == ','))
		return;
	snprintf(list + len, size - len, "%s%s", len ? ", " : "", name);
}

static int bpf_option(const struct nlattr *attr, void *arg)
{
	const char **name = arg;

	if (mnl_attr_get_type(attr) == TCA_BPF_NAME &&
	    !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
		*name = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

/* By its name; and this process' own also where libbpf found that this kernel has no names. */
static bool is_ours(const char *name, __u32 handle)
{
	if (name && !strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)))
		return true;
	return handle == (__u32)getpid() && (!name || name[0] == ':' || name[0] == '[' || !name[0]);
}

static int filter_message(const struct nlmsghdr *header, void *arg)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(header);
	struct filter_list *list = arg;
	const char *name = NULL, *kind = "filter";
	struct nlattr *attr;

	if (header->nlmsg_type != RTM_NEWTFILTER || tc->tcm_parent != list->parent ||
	    !tc->tcm_handle)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, header, sizeof(*tc))
	{
		if (mnl_attr_get_type(attr) == TCA_OPTIONS)
			mnl_attr_parse_nested(attr, bpf_option, (void *)&name);
		else if (mnl_attr_get_type(attr) == TCA_KIND &&
			 !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			kind = mnl_attr_get_str(attr);
	}
	add_name(list->names, sizeof(list->names), name ? name : kind);
	if (!is_ours(name, tc->tcm_handle)) {
		list->others = true;
		return MNL_CB_OK;
	}
	if (list->count < KL_COUNT(list->filter))
		list->filter[list->count++] = (struct filter){
			.handle = tc->tcm_handle,
			.priority = tc->tcm_info >> 16,
			.parent = tc->tcm_parent,
			.ours = true,
		};
	return MNL_CB_OK;
}

static void mnl_closep(struct mnl_socket **s)
{
	if (*s)
		mnl_socket_close(*s);
}

static int list_filters(unsigned ifindex, bool egress, struct filter_list *ret)
{
	__attribute__((cleanup(mnl_closep))) struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);
	char buffer[32768] __attribute__((aligned(8)));
	struct nlmsghdr *header;
	struct tcmsg *tc;
	ssize_t len;

	*ret = (struct filter_list){
		.parent = TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS),
	};
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	header = mnl_nlmsg_put_header(buffer);
	header->nlmsg_type = RTM_GETTFILTER;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tc = mnl_nlmsg_put_extra_header(header, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = ret->parent;
	if (mnl_socket_sendto(nl, header, header->nlmsg_len) < 0)
		return -errno;
	while ((len = mnl_socket_recvfrom(nl, buffer, sizeof(buffer))) > 0) {
		int more = mnl_cb_run(buffer, (size_t)len, 0, mnl_socket_get_portid(nl),
				      filter_message, ret);

		if (more <= MNL_CB_STOP)
			return more < 0 ? -errno : 0;
	}
	return len < 0 ? -errno : 0;
}

static bool owner_lives(__u32 pid)
{
	char path[64], comm[32] = "";
	_cleanup_fclose_ FILE *f = NULL;

	if (kill((pid_t)pid, 0) && errno == ESRCH)
		return false;
	/* /proc may hide others' processes: what cannot be looked at may be one of ours. */
	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	f = fopen(path, "re");
	return !f || !fgets(comm, sizeof(comm), f) || !strcmp(comm, "kaloss\n");
}

static int delete_filter(unsigned ifindex, bool egress, __u32 handle, __u32 priority)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = priority);

	return bpf_tc_detach(&hook, &opts);
}

int kl_clear_stale_filters(unsigned ifindex)
{
	int cleared = 0;

	for (int egress = 0; egress < 2; egress++) {
		struct filter_list list;

		if (list_filters(ifindex, egress, &list))
			continue;
		for (size_t i = 0; i < list.count; i++) {
			const struct filter *f = &list.filter[i];

			if (!owner_lives(f->handle) &&
			    !delete_filter(ifindex, egress, f->handle, f->priority))
				cleared++;
		}
	}
	return cleared;
}

void kl_describe_tc(unsigned ifindex, bool egress, char *ret, size_t size)
{
	struct filter_list list;
	__u32 ids[64] = {};
	int count = tcx_programs(ifindex, egress, ids, KL_COUNT(ids));

	ret[0] = '\0';
	for (int i = 0; i < count && i < (int)KL_COUNT(ids); i++) {
		char program[BPF_OBJ_NAME_LEN], name[64];

		program_name(ids[i], program, sizeof(program));
		snprintf(name, sizeof(name), "tcx program %s (id %u)", program, ids[i]);
		add_name(ret, size, name);
	}
	if (!list_filters(ifindex, egress, &list) && list.names[0])
		snprintf(ret + strlen(ret), size - strlen(ret), "%sfilter %s", ret[0] ? ", " : "",
			 list.names);
}

int kl_attach_clsact(int prog_fd, unsigned ifindex, bool egress, struct kl_attachment *ret,
		     struct kl_error *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	struct kl_attachment made = { .link_fd = -1, .ifindex = ifindex, .egress = egress };
	int r = bpf_tc_hook_create(&hook);

	if (r && r != -EEXIST)
		return kl_fail(err, r, "clsact qdisc: %s", strerror(-r));
	made.made_qdisc = !r;
	/* The first priority at which no filter of another kind stands in the way. */
	for (unsigned priority = 1; priority <= 16; priority++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .priority = priority,
			    .handle = (__u32)getpid());

		r = bpf_tc_attach(&hook, &opts);
		if (!r) {
			made.priority = priority;
			*ret = made;
			return 0;
		}
	}
	if (made.made_qdisc) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&hook);
	}
	return kl_fail(err, r, "clsact filter: %s", strerror(-r));
}

/* The qdisc goes only if we made it and nobody else has come to use it. 0: gone, or in use. */
static int remove_own_qdisc(unsigned ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	struct filter_list in, out;
	int r = list_filters(ifindex, false, &in);

	if (!r)
		r = list_filters(ifindex, true, &out);
	if (r || in.others || out.others || in.count || out.count)
		return r;
	return bpf_tc_hook_destroy(&hook);
}

/* What stays would go on counting for nobody: one refusal is not taken for an answer. */
static void remove_filter(const struct kl_attachment *a)
{
	int tries = 3;

	while (tries-- && delete_filter(a->ifindex, a->egress, (__u32)getpid(), a->priority))
		;
	tries = 3;
	while (a->made_qdisc && tries-- && remove_own_qdisc(a->ifindex))
		;
}

/* ---- Is it still there? ---- */

static bool was_before(const struct kl_attachment *a, __u32 id)
{
	for (int i = 0; i < KL_BEHIND_MAX; i++) {
		if (a->behind[i] == id)
			return true;
	}
	return false;
}

/* The first program of the chain must be ours, or one that lets the next one run: a kaloss'. */
static int check_head(const struct kl_attachment *a, __u32 ours, char *who, size_t size)
{
	__u32 ids[64] = {};
	int count = tcx_programs(a->ifindex, a->egress, ids, KL_COUNT(ids));

	for (int i = 0; i < count && i < (int)KL_COUNT(ids) && ids[i] != ours; i++) {
		char name[BPF_OBJ_NAME_LEN];

		if (was_before(a, ids[i]))
			continue;
		program_name(ids[i], name, sizeof(name));
		if (!strncmp(name, OUR_PREFIX, strlen(OUR_PREFIX)))
			continue;
		snprintf(who, size, "tcx program %s%s(id %u) was put before it", name,
			 name[0] ? " " : "", ids[i]);
		return -EBUSY;
	}
	return 0;
}

static int check_link(const struct kl_attachment *a, bool tcx, char *who, size_t size)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	int r = bpf_obj_get_info_by_fd(a->link_fd, &info, &len);

	if (r)
		return r;
	/* (Of tcx, too: a member of the same place in the headers of 6.6.) */
	if (info.xdp.ifindex != a->ifindex) {
		snprintf(who, size, "it was taken off");
		return -ENOENT;
	}
	return tcx ? check_head(a, info.prog_id, who, size) : 0;
}

static int check_filter(const struct kl_attachment *a, char *who, size_t size)
{
	struct filter_list list;
	int r = list_filters(a->ifindex, a->egress, &list);

	if (r)
		return r;
	for (size_t i = 0; i < list.count; i++) {
		if (list.filter[i].handle == (__u32)getpid() &&
		    list.filter[i].priority == a->priority)
			return 0;
	}
	snprintf(who, size, "it was taken off");
	return -ENOENT;
}

int kl_attachment_check(const struct kl_attachment *a, char *who, size_t size)
{
	who[0] = '\0';
	return a->link_fd >= 0 ? check_link(a, a->tcx, who, size) : check_filter(a, who, size);
}

void kl_detach_gone(struct kl_attachment *a)
{
	if (a->link_fd >= 0)
		close(a->link_fd);
	*a = (struct kl_attachment)KL_ATTACHMENT_NONE;
}

void kl_detach(struct kl_attachment *a)
{
	if (a->link_fd >= 0)
		close(a->link_fd);
	else if (a->ifindex)
		remove_filter(a);
	*a = (struct kl_attachment)KL_ATTACHMENT_NONE;
}
