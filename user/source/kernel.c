// SPDX-License-Identifier: GPL-2.0-only
#include "source/kernel.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "util/cleanup.h"

/* /proc/sys/net is that of the reader's network namespace. -1: it cannot be read. */
static int read_number(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	int value;

	return f && fscanf(f, "%d", &value) == 1 ? value : -1;
}

/* The switch is shown in the first network namespace only; a program of ours tells everywhere. */
static int jit_by_trial(void)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, NULL, "GPL", nothing,
					       KL_COUNT(nothing), NULL);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || !info.xlated_prog_len)
		return -1;
	return info.jited_prog_len > 0;
}

void kl_read_kernel_facts(struct kl_kernel_facts *ret)
{
	struct utsname name = {};

	*ret = (struct kl_kernel_facts){ .jit = -1 };
	if (!uname(&name)) {
		snprintf(ret->release, sizeof(ret->release), "%.64s", name.release);
		if (sscanf(name.release, "%u.%u", &ret->major, &ret->minor) != 2)
			ret->major = ret->minor = 0;
	}
	ret->btf = !access("/sys/kernel/btf/vmlinux", R_OK);
	ret->jit = jit_by_trial();
	if (ret->jit < 0)
		ret->jit = read_number("/proc/sys/net/core/bpf_jit_enable");
	if (ret->jit > 1)
		ret->jit = 1;
	ret->measures_all = read_number("/proc/sys/kernel/bpf_stats_enabled") > 0;
	ret->forwards4 = read_number("/proc/sys/net/ipv4/ip_forward");
	ret->forwards6 = read_number("/proc/sys/net/ipv6/conf/all/forwarding");
}

static int read_setting4(const char *interface, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", interface, name);
	return read_number(path);
}

int kl_interface_forwards4(const char *interface)
{
	return read_setting4(interface, "forwarding");
}

int kl_reverse_path_filter(const char *interface)
{
	int all = read_setting4("all", "rp_filter"), own = read_setting4(interface, "rp_filter");

	/* The larger one holds (Documentation/networking/ip-sysctl.rst). */
	return all > own ? all : own;
}
