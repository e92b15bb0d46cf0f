// SPDX-License-Identifier: GPL-2.0-only
/* object.h */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object.h"

static int print_warnings(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

struct kaloss_bpf *object_load(const struct kl_settings *settings, uint32_t connections,
			       uint32_t ring_bytes)
{
	struct kaloss_bpf *skel;
	uint32_t buckets = 2;
	int r;

	while (buckets < connections / KL_CONN_LOAD)
		buckets *= 2;
	libbpf_set_print(print_warnings);
	skel = kaloss_bpf__open();
	if (!skel)
		return NULL;
	memcpy((void *)&skel->rodata->kl_settings, settings, sizeof(*settings));
	skel->rodata->kl_settings.connections = connections;
	skel->rodata->kl_settings.conn_mask = buckets - 1;
	pkt_ports((struct kl_ports *)&skel->rodata->kl_ports);
	if ((r = bpf_map__set_max_entries(skel->maps.kl_conns, connections)) ||
	    (r = bpf_map__set_max_entries(skel->maps.kl_conn_free, connections)) ||
	    (r = bpf_map__set_max_entries(skel->maps.kl_conn_index, buckets)) ||
	    (r = bpf_map__set_max_entries(skel->maps.kl_join, settings->bucket_mask + 1)) ||
	    (r = bpf_map__set_max_entries(skel->maps.kl_events, ring_bytes)) ||
	    (r = bpf_map__set_max_entries(skel->maps.kl_macs, settings->mac_mask + 1)) ||
	    (r = bpf_map__set_max_entries(skel->maps.kl_nat, 64)) || (r = kaloss_bpf__load(skel))) {
		kaloss_bpf__destroy(skel);
		errno = -r;
		return NULL;
	}
	skel->bss->kl_control.mode = KL_MODE_ON;
	skel->bss->kl_control.epoch = 1;
	return skel;
}

int object_counters(const struct kaloss_bpf *skel, struct kl_counters *ret)
{
	int cpus = libbpf_num_possible_cpus(), r;
	struct kl_counters *of_cpu = calloc((size_t)cpus, sizeof(*of_cpu));
	const __u64 *from;
	__u64 *to = (__u64 *)ret;
	__u32 zero = 0;

	if (!of_cpu)
		return -ENOMEM;
	memset(ret, 0, sizeof(*ret));
	r = bpf_map_lookup_elem(bpf_map__fd(skel->maps.kl_counters), &zero, of_cpu);
	for (int cpu = 0; !r && cpu < cpus; cpu++) {
		from = (const __u64 *)&of_cpu[cpu];
		for (size_t i = 0; i < sizeof(*ret) / sizeof(*to); i++)
			to[i] += from[i];
	}
	free(of_cpu);
	return r;
}

int object_clear_counters(const struct kaloss_bpf *skel)
{
	int cpus = libbpf_num_possible_cpus(), r;
	struct kl_counters *none = calloc((size_t)cpus, sizeof(*none));
	__u32 zero = 0;

	if (!none)
		return -ENOMEM;
	r = bpf_map_update_elem(bpf_map__fd(skel->maps.kl_counters), &zero, none, BPF_ANY);
	free(none);
	return r;
}

bool object_conn(const struct kaloss_bpf *skel, __u64 id, struct kl_conn *ret)
{
	for (__u32 i = 0; i < skel->bss->kl_control.conns_used; i++) {
		if (!bpf_map_lookup_elem(bpf_map__fd(skel->maps.kl_conns), &i, ret) &&
		    ret->id == id)
			return true;
	}
	return false;
}

static int forget_conns(const struct kaloss_bpf *skel)
{
	static const struct kl_conn_bucket empty;
	static const struct kl_conn none;
	int r = 0;

	for (__u32 i = 0; !r && i < bpf_map__max_entries(skel->maps.kl_conn_index); i++)
		r = bpf_map_update_elem(bpf_map__fd(skel->maps.kl_conn_index), &i, &empty, BPF_ANY);
	for (__u32 i = 0; !r && i < skel->bss->kl_control.conns_used; i++)
		r = bpf_map_update_elem(bpf_map__fd(skel->maps.kl_conns), &i, &none, BPF_ANY);
	skel->bss->kl_control.conns_used = 0;
	return r;
}

int object_forget(const struct kaloss_bpf *skel, uint32_t buckets)
{
	static const struct kl_bucket empty;
	static const struct kl_mac_bucket no_mac;
	static const struct kl_arp_told no_arp;
	int join = bpf_map__fd(skel->maps.kl_join), r = forget_conns(skel);

	if (r)
		return r;
	for (__u32 i = 0; i < buckets; i++) {
		r = bpf_map_update_elem(join, &i, &empty, BPF_ANY);
		if (r)
			return r;
	}
	for (__u32 i = 0; i < KL_ARP_TOLD; i++) {
		r = bpf_map_update_elem(bpf_map__fd(skel->maps.kl_arp_told), &i, &no_arp, BPF_ANY);
		if (r)
			return r;
	}
	for (__u32 i = 0; i < bpf_map__max_entries(skel->maps.kl_macs); i++) {
		r = bpf_map_update_elem(bpf_map__fd(skel->maps.kl_macs), &i, &no_mac, BPF_ANY);
		if (r)
			return r;
	}
	return 0;
}
