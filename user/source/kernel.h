/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this kernel can do, and how its network namespace is set. Needs no privilege, but for the
 * JIT. Owns nothing.
 */
#pragma once

#include <stdbool.h>

#include "util/error.h"

struct kl_kernel_facts {
	char release[65];
	unsigned major, minor;
	bool btf;		  /* the kernel describes its types: reasons of drops can be told */
	int jit;		  /* 1 on, 0 off, -1 cannot be known from here */
	bool measures_all;	  /* kernel.bpf_stats_enabled: every BPF program pays for it */
	int forwards4, forwards6; /* 1 on, 0 off, -1 not there */
};

void kl_read_kernel_facts(struct kl_kernel_facts *ret);

/* net.ipv4.conf.INTERFACE.forwarding: 1 on, 0 off, -1 not known. */
int kl_interface_forwards4(const char *interface);

/* Of IPv4 on this interface: 0 off, 1 strict, 2 loose, -1 not known. */
int kl_reverse_path_filter(const char *interface);
