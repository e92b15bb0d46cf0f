// SPDX-License-Identifier: GPL-2.0-only
/* While the programs run: control, events, the sweep, counters, their own cost. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/live_state.h"

static void set_control(__u32 *field, __u32 value)
{
	__atomic_store_n(field, value, __ATOMIC_SEQ_CST);
}

void kl_live_start(struct kl_live *l)
{
	set_control(&l->skel->bss->kl_control.epoch, 1);
	set_control(&l->skel->bss->kl_control.mode, KL_MODE_ON);
}

void kl_live_drain(struct kl_live *l)
{
	set_control(&l->skel->bss->kl_control.mode, KL_MODE_DRAIN);
}

void kl_live_gap(struct kl_live *l)
{
	set_control(&l->skel->bss->kl_control.epoch, l->skel->bss->kl_control.epoch + 1);
}

int kl_live_events(struct kl_live *l, kl_event_handler handler, void *arg)
{
	l->event_handler = handler;
	l->event_arg = arg;
	return ring_buffer__consume(l->ring);
}

int kl_live_sweep(struct kl_live *l, uint64_t now_ns, kl_loss_handler handler, void *arg)
{
	unsigned char frame[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));
	int fd = bpf_program__fd(l->skel->progs.kaloss_sweep);

	kl_live_release_forgotten(l);
	l->sweep->now_ns = now_ns;
	l->sweep->cursor = 0;
	l->sweep->limit = bpf_map__max_entries(l->skel->maps.kl_join);
	while (l->sweep->cursor < l->sweep->limit) {
		int r = bpf_prog_test_run_opts(fd, &run);

		if (r)
			return r;
		for (__u32 i = 0; i < l->sweep->count; i++)
			handler(&l->sweep->out[i], arg);
	}
	return 0;
}

int kl_live_arp(struct kl_live *l, kl_arp_event_handler handler, void *arg)
{
	l->arp_handler = handler;
	l->arp_arg = arg;
	return l->arp_ring ? ring_buffer__consume(l->arp_ring) : 0;
}

static void add_counters(struct kl_counters *sum, const struct kl_counters *n)
{
	__u64 *to = (__u64 *)sum;
	const __u64 *from = (const __u64 *)n;

	for (size_t i = 0; i < sizeof(*n) / sizeof(__u64); i++)
		to[i] += from[i];
}

static int read_counters(const struct kl_live *l, struct kl_counters *ret)
{
	__u32 zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(l->skel->maps.kl_counters), &zero, l->per_cpu_counters))
		return -errno;
	memset(ret, 0, sizeof(*ret));
	for (int cpu = 0; cpu < l->cpus; cpu++)
		add_counters(ret, &l->per_cpu_counters[cpu]);
	return 0;
}

static uint64_t incident(const struct kl_live *l, enum kl_incident which)
{
	struct kl_counters n;

	return read_counters(l, &n) ? 0 : n.incident[which];
}

uint64_t kl_live_arp_lost(const struct kl_live *l)
{
	return incident(l, KL_ARP_LOST);
}

uint64_t kl_live_events_lost(const struct kl_live *l)
{
	return incident(l, KL_EVENTS_LOST);
}

int kl_live_counters(struct kl_live *l, struct kl_counters *ret)
{
	struct kl_counters later;
	int r = read_counters(l, ret);

	if (!r)
		r = read_counters(l, &later);
	if (r)
		return r;
	/* Read twice, so that nothing is delivered in this picture that was not sent. */
	memcpy(ret->tally[KL_SENT], later.tally[KL_SENT], sizeof(ret->tally[KL_SENT]));
	return 0;
}

int kl_live_maxima(struct kl_live *l, struct kl_maxima *ret)
{
	__u32 slot = l->skel->bss->kl_control.max_slot & 1;
	int fd = bpf_map__fd(l->skel->maps.kl_maxima);

	set_control(&l->skel->bss->kl_control.max_slot, slot ^ 1);
	memset(ret, 0, sizeof(*ret));
	if (bpf_map_lookup_elem(fd, &slot, l->per_cpu_maxima))
		return -errno;
	for (int cpu = 0; cpu < l->cpus; cpu++) {
		const struct kl_maxima *m = &l->per_cpu_maxima[cpu];

		if (m->transit_ns > ret->transit_ns)
			ret->transit_ns = m->transit_ns;
		if (m->answer_ns > ret->answer_ns)
			ret->answer_ns = m->answer_ns;
	}
	memset(l->per_cpu_maxima, 0, (size_t)l->cpus * sizeof(*l->per_cpu_maxima));
	return bpf_map_update_elem(fd, &slot, l->per_cpu_maxima, BPF_ANY) ? -errno : 0;
}

size_t kl_live_self_cost(struct kl_live *l, struct kl_program_cost *ret, size_t max)
{
	struct bpf_program *p;
	size_t count = 0;

	bpf_object__for_each_program(p, l->skel->obj)
	{
		struct bpf_prog_info info = {};
		__u32 len = sizeof(info);

		if (count == max || bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &len) ||
		    !info.run_cnt)
			continue;
		ret[count++] = (struct kl_program_cost){
			.program = bpf_program__name(p),
			.runs = info.run_cnt,
			.run_ns = info.run_time_ns,
		};
	}
	return count;
}
