// SPDX-License-Identifier: GPL-2.0-only
/* object.h */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object.h"
#include "util/cleanup.h"

static int print_warnings(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

struct kaloss_bpf *object_open(const struct kl_settings *settings, uint32_t connections,
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
	    (r = bpf_map__set_max_entries(skel->maps.kl_nat, 64))) {
		kaloss_bpf__destroy(skel);
		errno = -r;
		return NULL;
	}
	return skel;
}

int object_start(struct kaloss_bpf *skel)
{
	int r = kaloss_bpf__load(skel);

	if (r)
		return r;
	skel->bss->kl_control.mode = KL_MODE_ON;
	skel->bss->kl_control.epoch = 1;
	return 0;
}

struct kaloss_bpf *object_load(const struct kl_settings *settings, uint32_t connections,
			       uint32_t ring_bytes)
{
	struct kaloss_bpf *skel = object_open(settings, connections, ring_bytes);
	int r;

	if (!skel)
		return NULL;
	r = object_start(skel);
	if (r) {
		kaloss_bpf__destroy(skel);
		errno = -r;
		return NULL;
	}
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

/* Zeroes an array, many of its values a call. */
static int clear_array(const struct bpf_map *map, uint32_t entries)
{
	enum {
		BATCH = 1024
	};
	_cleanup_free_ void *values = calloc(BATCH, bpf_map__value_size(map));
	__u32 keys[BATCH], count;
	int r = values ? 0 : -ENOMEM;

	for (__u32 first = 0; !r && first < entries; first += count) {
		count = entries - first < BATCH ? entries - first : BATCH;
		for (__u32 i = 0; i < count; i++)
			keys[i] = first + i;
		r = bpf_map_update_batch(bpf_map__fd(map), keys, values, &count, NULL);
	}
	return r;
}

int object_forget(const struct kaloss_bpf *skel, uint32_t buckets)
{
	const struct bpf_map *index = skel->maps.kl_conn_index, *macs = skel->maps.kl_macs;
	int r;

	if ((r = clear_array(index, bpf_map__max_entries(index))) ||
	    (r = clear_array(skel->maps.kl_conns, skel->bss->kl_control.conns_used)))
		return r;
	skel->bss->kl_control.conns_used = 0;
	if ((r = clear_array(skel->maps.kl_join, buckets)) ||
	    (r = clear_array(skel->maps.kl_arp_told, KL_ARP_TOLD)))
		return r;
	return clear_array(macs, bpf_map__max_entries(macs));
}
