// SPDX-License-Identifier: GPL-2.0-only
#include "source/kernel_drops.h"

#include <bpf/libbpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <kaloss/drop_record.h>

#include "drop_reason.skel.h"
#include "source/bridge_link.h"
#include "source/kernel_names.h"
#include "source/ports.h"
#include "source/privilege.h"

enum {
	RING_BYTES = 1 << 20, /* some ten thousand drops */
	INTERFACES = 64,      /* remembered, each where its index falls */
};

struct interface {
	unsigned ifindex;
	bool is_bridge;
	char name[IF_NAMESIZE];
};

struct kl_kernel_drops {
	struct drop_reason_bpf *skel;
	struct ring_buffer *ring;
	struct kl_kernel_names *names;
	struct interface interface[INTERFACES];
	kl_drop_handler handler; /* during a drain */
	void *arg;
};

static const struct interface *find_interface(struct kl_kernel_drops *k, unsigned ifindex)
{
	struct interface *i = &k->interface[ifindex % INTERFACES];
	struct kl_bridge_link link = {};

	if (i->ifindex == ifindex)
		return i;
	*i = (struct interface){ .ifindex = ifindex };
	if (ifindex && if_indextoname(ifindex, i->name))
		i->is_bridge = !kl_bridge_ask(ifindex, &link) && link.is_bridge;
	return i;
}

void kl_kernel_drops_forget_interfaces(struct kl_kernel_drops *k)
{
	memset(k->interface, 0, sizeof(k->interface));
}

static int take_record(void *ctx, void *data, size_t size)
{
	const struct kl_drop_record *record = data;
	const struct interface *interface;
	struct kl_kernel_drops *k = ctx;
	struct kl_drop drop = {};

	if (size < sizeof(*record))
		return 0;
	interface = find_interface(k, record->ifindex);
	kl_kernel_reason(k->names, record->reason, drop.reason, sizeof(drop.reason));
	/* A bridge hands a copy of what it floods to its host too, which has no use for it. */
	if (interface->is_bridge && !strcmp(drop.reason, "OTHERHOST"))
		return 0;
	drop.time_ns = record->time_ns;
	drop.ends = record->ends;
	drop.direction = record->direction;
	drop.seq = record->seq;
	drop.length = record->payload_len;
	kl_kernel_symbol(k->names, record->location, drop.symbol, sizeof(drop.symbol));
	memcpy(drop.interface, interface->name, sizeof(drop.interface));
	k->handler(&drop, k->arg);
	return 0;
}

/* ---- Opening ---- */

static char complaint[256];

static int keep_complaint(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !complaint[0]) {
		vsnprintf(complaint, sizeof(complaint), format, args);
		complaint[strcspn(complaint, "\n")] = '\0';
	}
	return 0;
}

static int load(struct kl_kernel_drops *k, const struct kl_live_config *config,
		struct kl_error *err)
{
	struct stat netns;
	int r;

	if (stat("/proc/self/ns/net", &netns))
		return kl_fail(err, -errno, "/proc/self/ns/net: %s", strerror(errno));
	k->skel = drop_reason_bpf__open();
	if (!k->skel)
		return kl_fail(err, -EINVAL, "BPF object: %s", strerror(errno));
	k->skel->rodata->kl_netns = (__u32)netns.st_ino;
	kl_fill_ports((struct kl_ports *)&k->skel->rodata->kl_ports, config);
	r = bpf_map__set_max_entries(k->skel->maps.kl_drop_records, RING_BYTES);
	if (!r)
		r = drop_reason_bpf__load(k->skel);
	if (!r)
		r = drop_reason_bpf__attach(k->skel);
	if (!r && !k->skel->bss)
		r = -EOPNOTSUPP;
	if (r)
		return kl_fail(err, -EOPNOTSUPP, "this kernel does not tell what it drops: %s (%s)",
			       strerror(-r), complaint);
	k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.kl_drop_records), take_record, k,
				   NULL);
	if (!k->ring)
		return kl_fail(err, errno ? -errno : -EINVAL, "ring buffer: %s", strerror(errno));
	return 0;
}

static int open_all(struct kl_kernel_drops *k, const struct kl_live_config *config,
		    struct kl_error *err)
{
	char missing[64];
	int r;

	if (kl_missing_capabilities(missing, sizeof(missing)))
		return kl_fail(err, -EPERM, "missing privilege: %s (run it as root)", missing);
	r = kl_kernel_names_read(&k->names, err);
	return r ? r : load(k, config, err);
}

int kl_kernel_drops_open(const struct kl_live_config *config, struct kl_kernel_drops **ret,
			 struct kl_error *err)
{
	struct kl_kernel_drops *k;
	libbpf_print_fn_t print;
	int r;

	if (config->tap)
		return kl_fail(err, -EOPNOTSUPP,
			       "behind mirror ports this host forwards nothing that it could drop");
	k = calloc(1, sizeof(*k));
	if (!k)
		return kl_fail(err, -ENOMEM, "out of memory");
	complaint[0] = '\0';
	print = libbpf_set_print(keep_complaint);
	r = open_all(k, config, err);
	libbpf_set_print(print);
	if (r) {
		kl_kernel_drops_close(k);
		return r;
	}
	*ret = k;
	return 0;
}

void kl_kernel_drops_close(struct kl_kernel_drops *k)
{
	if (!k)
		return;
	ring_buffer__free(k->ring);
	drop_reason_bpf__destroy(k->skel);
	kl_kernel_names_free(k->names);
	free(k);
}

int kl_kernel_drops_drain(struct kl_kernel_drops *k, kl_drop_handler handler, void *arg)
{
	k->handler = handler;
	k->arg = arg;
	return ring_buffer__consume(k->ring);
}

uint64_t kl_kernel_drops_lost(const struct kl_kernel_drops *k)
{
	return __atomic_load_n(&k->skel->bss->kl_drops_unheard, __ATOMIC_RELAXED);
}
