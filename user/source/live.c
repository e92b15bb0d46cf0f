// SPDX-License-Identifier: GPL-2.0-only
#include "source/live.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <kaloss/conns.h>
#include <kaloss/macs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "source/live_state.h"
#include "source/loading.h"
#include "source/ports.h"
#include "util/cleanup.h"

/* ---- Loading ---- */

/*
 * The kernel proves each program anew at each start, which takes most of the start's time: those
 * that will not be attached are left out.
 */
static void choose_programs(struct kl_live *l, const struct kl_live_config *config)
{
	struct kaloss_bpf *s = l->skel;
	bool xdp = config->hook != KL_HOOK_TC;
	bool tc = config->hook == KL_HOOK_TC || l->needs_tc;

	bpf_program__set_autoload(s->progs.kaloss_xdp_acc, xdp);
	bpf_program__set_autoload(s->progs.kaloss_xdp_cucm, xdp);
	bpf_program__set_autoload(s->progs.kaloss_in_acc, tc);
	bpf_program__set_autoload(s->progs.kaloss_in_cucm, tc);
	bpf_program__set_autoload(s->progs.kaloss_out_acc, !config->tap);
	bpf_program__set_autoload(s->progs.kaloss_out_cucm, !config->tap);
}

/* Of the kernel's clock; 0: not known. */
static __u32 tick_ns(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec)
		return 0;
	return (__u32)tick.tv_nsec;
}

/* Half of the places stay free where each connection is of a phone of its own: few share a bucket
 * with more than it holds. */
static uint32_t mac_buckets(const struct kl_live_config *config)
{
	return kl_round_up_pow2(config->connections / (KL_MAC_WAYS / 2));
}

static uint32_t conn_buckets(const struct kl_live_config *config)
{
	return kl_round_up_pow2(
		config->connections > 2 * KL_CONN_LOAD ? config->connections / KL_CONN_LOAD : 2);
}

static int load(struct kl_live *l, const struct kl_live_config *config, struct kl_error *err)
{
	uint32_t buckets = kl_round_up_pow2((config->join_entries + KL_WAYS - 1) / KL_WAYS);
	struct kl_settings settings = {
		.deadline_ns = config->deadline_ns,
		.bucket_mask = buckets - 1,
		.tap = config->tap,
		.nat = config->nat,
		.arp = !config->no_arp,
		.tick_ns = tick_ns(),
	};
	uint32_t macs = config->no_idle ? 1 : mac_buckets(config);
	int r;

	settings.mac_mask = macs - 1;
	settings.connections = config->connections;
	settings.conn_mask = conn_buckets(config) - 1;
	settings.idle = !config->no_idle && settings.tick_ns;
	if (getrandom(&settings.seed, sizeof(settings.seed), 0) != sizeof(settings.seed))
		return kl_fail(err, -EIO, "no random seed: %s", strerror(errno));
	l->skel = kaloss_bpf__open();
	if (!l->skel) {
		kl_fail(err, -EINVAL, "BPF object: %s", strerror(errno));
		return -EINVAL;
	}
	choose_programs(l, config);
	memcpy((void *)&l->skel->rodata->kl_settings, &settings, sizeof(settings));
	kl_fill_ports((struct kl_ports *)&l->skel->rodata->kl_ports, config);
	if ((r = bpf_map__set_max_entries(l->skel->maps.kl_conns, config->connections)) ||
	    (r = bpf_map__set_max_entries(l->skel->maps.kl_conn_free, config->connections)) ||
	    (r = bpf_map__set_max_entries(l->skel->maps.kl_conn_index, settings.conn_mask + 1)) ||
	    (r = bpf_map__set_max_entries(l->skel->maps.kl_join, buckets)) ||
	    (r = bpf_map__set_max_entries(l->skel->maps.kl_events, kl_ring_bytes(config))) ||
	    (r = bpf_map__set_max_entries(l->skel->maps.kl_macs, macs)) ||
	    (r = bpf_map__set_max_entries(l->skel->maps.kl_nat, config->nat ? 8192 : 64)))
		return kl_fail(err, r, "BPF map sizes: %s", strerror(-r));
	r = kaloss_bpf__load(l->skel);
	if (r)
		return kl_fail(err, r, "the kernel does not take the BPF programs: %s (%s)",
			       strerror(-r), kl_first_complaint());
	if (!l->skel->bss)
		return kl_fail(err, -EOPNOTSUPP, "the kernel does not map the programs' variables");
	return 0;
}

static int map_memory(struct kl_live *l, struct kl_error *err)
{
	void *sweep, *index;

	l->cpus = libbpf_num_possible_cpus();
	if (l->cpus < 1)
		return kl_fail(err, -ENODEV, "number of CPUs: %s", strerror(-l->cpus));
	l->per_cpu_counters = calloc((size_t)l->cpus, sizeof(*l->per_cpu_counters));
	l->per_cpu_maxima = calloc((size_t)l->cpus, sizeof(*l->per_cpu_maxima));
	if (!l->per_cpu_counters || !l->per_cpu_maxima)
		return kl_fail(err, -ENOMEM, "out of memory");
	sweep = mmap(NULL, sizeof(*l->sweep), PROT_READ | PROT_WRITE, MAP_SHARED,
		     bpf_map__fd(l->skel->maps.kl_sweep), 0);
	if (sweep == MAP_FAILED)
		return kl_fail(err, -errno, "mapping the sweep: %s", strerror(errno));
	l->sweep = sweep;
	l->conn_buckets = bpf_map__max_entries(l->skel->maps.kl_conn_index);
	index = mmap(NULL, l->conn_buckets * sizeof(*l->conn_index), PROT_READ | PROT_WRITE,
		     MAP_SHARED, bpf_map__fd(l->skel->maps.kl_conn_index), 0);
	if (index == MAP_FAILED)
		return kl_fail(err, -errno, "mapping the connections: %s", strerror(errno));
	l->conn_index = index;
	return 0;
}

static int take_event(void *ctx, void *data, size_t size)
{
	struct kl_live *l = ctx;

	(void)size;
	l->event_handler(data, l->event_arg);
	return 0;
}

static int take_arp(void *ctx, void *data, size_t size)
{
	struct kl_live *l = ctx;

	(void)size;
	l->arp_handler(data, l->arp_arg);
	return 0;
}

static int open_rings(struct kl_live *l, const struct kl_live_config *config, struct kl_error *err)
{
	const struct kaloss_bpf *s = l->skel;

	l->ring = ring_buffer__new(bpf_map__fd(s->maps.kl_events), take_event, l, NULL);
	if (l->ring && !config->no_arp)
		l->arp_ring = ring_buffer__new(bpf_map__fd(s->maps.kl_arp_events), take_arp, l,
					       NULL);
	if (!l->ring || (!config->no_arp && !l->arp_ring))
		return kl_fail(err, errno ? -errno : -EINVAL, "ring buffer: %s", strerror(errno));
	return 0;
}

/* ---- Which program goes where ---- */

static int program_fd(void *arg, enum kl_side side, bool xdp, bool egress)
{
	const struct kl_live *l = arg;
	const struct kaloss_bpf *s = !xdp && !egress && l->late ? l->late : l->skel;
	const struct bpf_program *p;

	if (xdp)
		p = side == KL_ACCESS ? s->progs.kaloss_xdp_acc : s->progs.kaloss_xdp_cucm;
	else if (egress)
		p = side == KL_ACCESS ? s->progs.kaloss_out_acc : s->progs.kaloss_out_cucm;
	else
		p = side == KL_ACCESS ? s->progs.kaloss_in_acc : s->progs.kaloss_in_cucm;
	return bpf_program__fd(p);
}

/*
 * While it runs an interface may come back where XDP does not go any more. Nobody loaded the
 * programs for tc then: they are loaded now, on the same maps.
 */
static int load_tc_ingress(void *arg)
{
	struct kl_live *l = arg;
	struct kaloss_bpf *late;
	struct bpf_program *p;
	struct bpf_map *map;
	int r = 0;

	late = kaloss_bpf__open();
	if (!late)
		return -errno;
	bpf_object__for_each_program(p, late->obj) bpf_program__set_autoload(
		p, p == late->progs.kaloss_in_acc || p == late->progs.kaloss_in_cucm);
	bpf_object__for_each_map(map, late->obj)
	{
		const struct bpf_map *same = bpf_object__find_map_by_name(l->skel->obj,
									  bpf_map__name(map));

		if (!r)
			r = bpf_map__reuse_fd(map, bpf_map__fd(same));
	}
	if (!r)
		r = kaloss_bpf__load(late);
	if (r)
		kaloss_bpf__destroy(late);
	else
		l->late = late;
	return r;
}

/* ---- From start to end ---- */

/* Somebody has the kernel measure what all programs cost (sysctl kernel.bpf_stats_enabled). */
static bool is_measured_anyway(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/sys/kernel/bpf_stats_enabled", "re");
	int on = 0;

	return f && fscanf(f, "%d", &on) == 1 && on;
}

static int open_all(struct kl_live *l, const struct kl_live_config *config, struct kl_error *err)
{
	int r = kl_check_privileges(err) ?: kl_find_interfaces(config, err);

	if (r)
		return r;
	if ((r = load(l, config, err)) || (r = map_memory(l, err)) ||
	    (r = open_rings(l, config, err)))
		return r;
	if (config->self_cost) {
		l->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
		if (l->stats_fd < 0 && !is_measured_anyway())
			return kl_fail(err, l->stats_fd,
				       "--self-cost: %s (it takes CAP_SYS_ADMIN, or the sysctl "
				       "kernel.bpf_stats_enabled=1)",
				       strerror(-l->stats_fd));
	}
	return kl_attach_all(&l->attach, err);
}

static int try_open(const struct kl_live_config *config, bool needs_tc, struct kl_live **ret,
		    struct kl_error *err)
{
	struct kl_live *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return kl_fail(err, -ENOMEM, "out of memory");
	l->stats_fd = -1;
	l->attach = (struct kl_attach){
		.config = config,
		.program_fd = program_fd,
		.load_tc_ingress = load_tc_ingress,
		.arg = l,
		.promisc_fd = -1,
	};
	l->needs_tc = needs_tc;
	l->config = config;
	kl_complaints_start();
	r = open_all(l, config, err);
	if (r) {
		kl_live_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

int kl_live_open(const struct kl_live_config *config, struct kl_live **ret, struct kl_error *err)
{
	int r = try_open(config, false, ret, err);

	return r == -EAGAIN ? try_open(config, true, ret, err) : r;
}

void kl_live_close(struct kl_live *l)
{
	if (!l)
		return;
	kl_attach_done(&l->attach);
	if (l->stats_fd >= 0)
		close(l->stats_fd);
	ring_buffer__free(l->ring);
	ring_buffer__free(l->arp_ring);
	if (l->sweep)
		munmap(l->sweep, sizeof(*l->sweep));
	if (l->conn_index)
		munmap(l->conn_index, l->conn_buckets * sizeof(*l->conn_index));
	for (size_t i = 0; i < sizeof(l->forgotten) / sizeof(l->forgotten[0]); i++)
		free(l->forgotten[i].numbers);
	kaloss_bpf__destroy(l->late);
	kaloss_bpf__destroy(l->skel);
	free(l->per_cpu_counters);
	free(l->per_cpu_maxima);
	free(l);
}

const struct kl_hook *kl_live_hooks(const struct kl_live *l, size_t *ret_count)
{
	*ret_count = l->attach.hook_count;
	return l->attach.hooks;
}

int kl_live_mend(struct kl_live *l, uint64_t now_ns, kl_hook_handler handler, void *arg)
{
	return kl_attach_mend(&l->attach, now_ns, handler, arg);
}

size_t kl_live_missing(const struct kl_live *l)
{
	return kl_attach_missing(&l->attach);
}

void kl_live_gone(struct kl_live *l, unsigned ifindex)
{
	kl_attach_gone(&l->attach, ifindex);
}
