// SPDX-License-Identifier: GPL-2.0-only
#include "source/one_side.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "one_side.skel.h"
#include "source/attach.h"
#include "source/loading.h"
#include "source/ports.h"

struct kl_one_side {
	struct one_side_bpf *skel;
	struct ring_buffer *ring;
	struct kl_attach attach;
	int cpus;
	struct kl_sight_counters *per_cpu;
	kl_sight_handler handler; /* during kl_one_side_records() */
	void *arg;
};

static int take_record(void *ctx, void *data, size_t size)
{
	const struct kl_sight_record *r = data;
	struct kl_one_side *o = ctx;

	if (size >= KL_SIGHT_RECORD_BYTES && size - KL_SIGHT_RECORD_BYTES >= r->have)
		o->handler(r, o->arg);
	return 0;
}

/* The same for either side: which of them it is, the programs need not know. */
static int program_fd(void *arg, enum kl_side side, bool xdp, bool egress)
{
	const struct kl_one_side *o = arg;
	const struct bpf_program *p = xdp      ? o->skel->progs.kaloss_one_xdp
				      : egress ? o->skel->progs.kaloss_one_out
					       : o->skel->progs.kaloss_one_in;

	(void)side;
	return bpf_program__fd(p);
}

/* All are loaded at the start: they are small. */
static int load_tc_ingress(void *arg)
{
	(void)arg;
	return -ENOENT;
}

static int load(struct kl_one_side *o, const struct kl_live_config *config, struct kl_error *err)
{
	int r;

	kl_complaints_start();
	o->skel = one_side_bpf__open();
	if (!o->skel)
		return kl_fail(err, -EINVAL, "BPF object: %s", strerror(errno));
	kl_fill_ports((struct kl_ports *)&o->skel->rodata->kl_ports, config);
	r = bpf_map__set_max_entries(o->skel->maps.kl_sightings, kl_ring_bytes(config));
	if (!r)
		r = one_side_bpf__load(o->skel);
	if (r)
		return kl_fail(err, r, "the kernel does not take the BPF programs: %s (%s)",
			       strerror(-r), kl_first_complaint());
	o->ring = ring_buffer__new(bpf_map__fd(o->skel->maps.kl_sightings), take_record, o, NULL);
	if (!o->ring)
		return kl_fail(err, -errno, "ring buffer: %s", strerror(errno));
	o->cpus = libbpf_num_possible_cpus();
	if (o->cpus < 1)
		return kl_fail(err, -ENODEV, "number of CPUs: %s", strerror(-o->cpus));
	o->per_cpu = calloc((size_t)o->cpus, sizeof(*o->per_cpu));
	return o->per_cpu ? 0 : kl_fail(err, -ENOMEM, "out of memory");
}

static int open_all(struct kl_one_side *o, const struct kl_live_config *config,
		    struct kl_error *err)
{
	return kl_check_privileges(err) ?: kl_find_interfaces(config, err) ?: load(o, config, err)
				        ?: kl_attach_all(&o->attach, err);
}

int kl_one_side_open(const struct kl_live_config *config, struct kl_one_side **ret,
		     struct kl_error *err)
{
	struct kl_one_side *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return kl_fail(err, -ENOMEM, "out of memory");
	o->attach = (struct kl_attach){
		.config = config,
		.program_fd = program_fd,
		.load_tc_ingress = load_tc_ingress,
		.arg = o,
		.promisc_fd = -1,
	};
	r = open_all(o, config, err);
	if (r) {
		kl_one_side_close(o);
		return r;
	}
	*ret = o;
	return 0;
}

void kl_one_side_close(struct kl_one_side *o)
{
	if (!o)
		return;
	kl_attach_done(&o->attach);
	ring_buffer__free(o->ring);
	one_side_bpf__destroy(o->skel);
	free(o->per_cpu);
	free(o);
}

const struct kl_hook *kl_one_side_hooks(const struct kl_one_side *o, size_t *ret_count)
{
	*ret_count = o->attach.hook_count;
	return o->attach.hooks;
}

int kl_one_side_mend(struct kl_one_side *o, uint64_t now_ns, kl_hook_handler handler, void *arg)
{
	return kl_attach_mend(&o->attach, now_ns, handler, arg);
}

size_t kl_one_side_missing(const struct kl_one_side *o)
{
	return kl_attach_missing(&o->attach);
}

void kl_one_side_gone(struct kl_one_side *o, unsigned ifindex)
{
	kl_attach_gone(&o->attach, ifindex);
}

int kl_one_side_records(struct kl_one_side *o, kl_sight_handler handler, void *arg)
{
	o->handler = handler;
	o->arg = arg;
	return ring_buffer__consume(o->ring);
}

int kl_one_side_counters(struct kl_one_side *o, struct kl_sight_counters *ret)
{
	__u32 zero = 0;

	*ret = (struct kl_sight_counters){};
	if (bpf_map_lookup_elem(bpf_map__fd(o->skel->maps.kl_sight_counters), &zero, o->per_cpu))
		return -errno;
	for (int cpu = 0; cpu < o->cpus; cpu++) {
		ret->segments += o->per_cpu[cpu].segments;
		ret->lost += o->per_cpu[cpu].lost;
		ret->malformed += o->per_cpu[cpu].malformed;
		ret->fragments += o->per_cpu[cpu].fragments;
	}
	return 0;
}
