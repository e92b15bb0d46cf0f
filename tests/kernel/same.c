// SPDX-License-Identifier: GPL-2.0-only
/* same.h */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cost.h"
#include "same.h"

enum {
	RING_BYTES = 1 << 20
};

static struct kaloss_bpf *skel;
static struct ring_buffer *ring, *arp_ring;
static struct model model;

struct told told;

const struct model_hook hooks[HOOKS] = {
	[XDP_ACC] = { "xdp_acc", KL_ACCESS, false, true },
	[XDP_CUCM] = { "xdp_cucm", KL_CUCM, false, true },
	[IN_ACC] = { "in_acc", KL_ACCESS, false, false },
	[IN_CUCM] = { "in_cucm", KL_CUCM, false, false },
	[OUT_ACC] = { "out_acc", KL_ACCESS, true, false },
	[OUT_CUCM] = { "out_cucm", KL_CUCM, true, false },
};

static int program(enum hook_name hook)
{
	const struct bpf_program *const of[HOOKS] = {
		[XDP_ACC] = skel->progs.kaloss_xdp_acc, [XDP_CUCM] = skel->progs.kaloss_xdp_cucm,
		[IN_ACC] = skel->progs.kaloss_in_acc,	[IN_CUCM] = skel->progs.kaloss_in_cucm,
		[OUT_ACC] = skel->progs.kaloss_out_acc, [OUT_CUCM] = skel->progs.kaloss_out_cucm,
	};

	return bpf_program__fd(of[hook]);
}

/* ---- One frame, in the kernel and in the model ---- */

const char *what;
unsigned passed, failed;

bool differ(const char *format, ...)
{
	va_list args;

	printf("same-verdict: %s: ", what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return false;
}

bool see(enum hook_name hook, const __u8 *frame, __u32 len, __u32 gso_size)
{
	struct __sk_buff skb = { .gso_size = gso_size,
				 .gso_segs = gso_size ? (len + gso_size - 1) / gso_size : 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len);
	int want = hooks[hook].xdp ? XDP_PASS : -1 /* TCX_NEXT */, r;

	if (!hooks[hook].xdp) {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	r = bpf_prog_test_run_opts(program(hook), &opts);
	if (r)
		return differ("%s could not be run: %s", hooks[hook].name, strerror(-r));
	if ((int)opts.retval != want)
		return differ("%s returned %d", hooks[hook].name, (int)opts.retval);
	model_see(&model, &hooks[hook], frame, len, gso_size);
	return true;
}

/* ---- Comparing ---- */

static int take_event(void *ctx, void *data, size_t size)
{
	const struct kl_event *e = data;
	const struct kl_payload_event *with = data;

	(void)ctx;
	if (size < sizeof(*e) || e->type >= KL_EVENT_TYPES || told.event_count == MODEL_EVENTS)
		return -EINVAL;
	told.events[told.event_count++] = *e;
	if (e->type != KL_EVENT_PAYLOAD)
		return 0;
	if (size < sizeof(*with) || with->len > KL_WINDOW_BYTES)
		return -EINVAL;
	told.payload_len = with->len;
	memcpy(told.payload, with->payload, with->len);
	return 0;
}

static int take_arp(void *ctx, void *data, size_t size)
{
	(void)ctx;
	if (size < sizeof(told.arp[0]) || told.arp_count == MODEL_ARP)
		return -EINVAL;
	memcpy(&told.arp[told.arp_count++], data, sizeof(told.arp[0]));
	return 0;
}

static bool same_arp(void)
{
	if (told.arp_count != model.arp_count)
		return differ("%u events of ARP instead of %u", told.arp_count, model.arp_count);
	for (__u32 i = 0; i < told.arp_count; i++) {
		told.arp[i].time_ns = 0;
		if (memcmp(&told.arp[i], &model.arp[i], sizeof(told.arp[i])))
			return differ("event %u of ARP is another one", i);
	}
	return true;
}

bool listen(void)
{
	memset(&told, 0, sizeof(told));
	if (ring_buffer__consume(ring) < 0 || ring_buffer__consume(arp_ring) < 0)
		return differ("an event makes no sense");
	return true;
}

/* All of an event but its times, which are of different clocks. */
static bool same_event(const struct kl_event *a, const struct kl_event *b)
{
	struct kl_event x = *a, y = *b;

	x.time_ns = y.time_ns = 0;
	x.gap_ns = y.gap_ns = 0;
	x.owed_us = y.owed_us = 0;
	if ((x.idle_ms == KL_IDLE_NONE) == (y.idle_ms == KL_IDLE_NONE))
		x.idle_ms = y.idle_ms = 0;
	return !memcmp(&x, &y, sizeof(x));
}

static bool same_events(void)
{
	if (told.event_count != model.event_count)
		return differ("%u events instead of %u", told.event_count, model.event_count);
	for (__u32 i = 0; i < told.event_count; i++) {
		if (!same_event(&told.events[i], &model.events[i]))
			return differ("event %u of type %u is another one than type %u", i,
				      told.events[i].type, model.events[i].type);
	}
	if (told.payload_len != model.payload_len ||
	    memcmp(told.payload, model.payload, told.payload_len))
		return differ("another payload is told");
	return true;
}

static bool same_counters(void)
{
	struct kl_counters n;
	const struct kl_counters *m = &model.counters;

	if (object_counters(skel, &n))
		return differ("the counters cannot be read");
	for (int i = 0; i < KL_INCIDENTS; i++) {
		if (n.incident[i] != m->incident[i])
			return differ("incident %d: %llu instead of %llu", i, n.incident[i],
				      m->incident[i]);
	}
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		if (n.segments[d] != m->segments[d])
			return differ("segments in direction %d: %llu instead of %llu", d,
				      n.segments[d], m->segments[d]);
		for (int i = 0; i < KL_TALLIES; i++) {
			for (int kind = 0; kind < KL_KIND_SLOTS; kind++) {
				if (n.tally[i][d][kind] != m->tally[i][d][kind])
					return differ("tally %d, direction %d, kind %d: %llu "
						      "instead of %llu",
						      i, d, kind, n.tally[i][d][kind],
						      m->tally[i][d][kind]);
			}
		}
	}
	return true;
}

#define SAME(kernel, host, member)                                                                 \
	do {                                                                                       \
		if (memcmp(&(kernel)->member, &(host)->member, sizeof((host)->member)))            \
			return differ(#member ": %llu instead of %llu",                            \
				      kernel_value(&(kernel)->member, sizeof((host)->member)),     \
				      kernel_value(&(host)->member, sizeof((host)->member)));      \
	} while (0)

static unsigned long long kernel_value(const void *member, size_t size)
{
	unsigned long long v = 0;

	memcpy(&v, member, size < sizeof(v) ? size : sizeof(v));
	return v;
}

static bool same_flow(const struct kl_flow *k, const struct kl_flow *h)
{
	SAME(k, h, end);
	SAME(k, h, last_seq);
	SAME(k, h, last_epoch);
	SAME(k, h, far_end);
	SAME(k, h, acked);
	SAME(k, h, isn);
	SAME(k, h, epoch);
	SAME(k, h, flags);
	SAME(k, h, probe_wait);
	SAME(k, h, closing);
	SAME(k, h, unheard);
	SAME(k, h, owed);
	SAME(k, h, ttl);
	return true;
}

static bool same_conns(void)
{
	__u32 found = skel->bss->kl_control.conns_used;

	if (found != model.conns)
		return differ("%u connections instead of %u", found, model.conns);
	for (__u32 i = 0; i < model.conns; i++) {
		const struct kl_conn *h = &model.conn[i];
		struct kl_conn c, *k = &c;

		if (!object_conn(skel, model.conn_id[i], k))
			return differ("a connection of another id");
		SAME(k, h, ends);
		SAME(k, h, flags);
		SAME(k, h, vlan);
		SAME(k, h, phone_mac);
		SAME(k, h, next_mac);
		SAME(k, h, probe_end);
		SAME(k, h, hole_seq);
		if (!same_flow(&k->flow[0], &h->flow[0]) || !same_flow(&k->flow[1], &h->flow[1]))
			return false;
	}
	return true;
}

static bool same_entry(const struct kl_join_entry *k, const struct kl_join_entry *h)
{
	SAME(k, h, flags);
	SAME(k, h, key.seq);
	SAME(k, h, key.len_direction);
	SAME(k, h, key.conn);
	SAME(k, h, kind);
	SAME(k, h, conn_id);
	SAME(k, h, near);
	SAME(k, h, far);
	SAME(k, h, copies);
	SAME(k, h, near_dups);
	SAME(k, h, far_dups);
	SAME(k, h, near_stamp);
	SAME(k, h, far_stamp);
	SAME(k, h, delivered);
	return true;
}

static bool same_join(void)
{
	for (__u32 i = 0; i < MODEL_BUCKETS; i++) {
		struct kl_bucket b;

		if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.kl_join), &i, &b))
			return differ("the join cannot be read");
		if (b.spilled != model.join[i].spilled)
			return differ("bucket %u: %u spilled", i, b.spilled);
		if (b.open != model.join[i].open || memcmp(b.tag, model.join[i].tag, sizeof(b.tag)))
			return differ("bucket %u: %#x open, or other tags", i, b.open);
		for (int way = 0; way < KL_WAYS; way++) {
			if (!same_entry(&b.way[way], &model.join[i].way[way]))
				return false;
		}
	}
	return true;
}

static void forget(void)
{
	listen();
	if (object_forget(skel, MODEL_BUCKETS) || object_clear_counters(skel)) {
		fprintf(stderr, "same-verdict: the maps cannot be cleared: %m\n");
		exit(2);
	}
	model_forget(&model);
}

void conclude_alone(bool ok)
{
	passed += ok;
	failed += !ok;
	forget();
}

void conclude(bool ok)
{
	conclude_alone(ok && same_counters() && same_conns() && same_join() && listen() &&
		       same_events() && same_arp());
}

bool was_crowded(bool full)
{
	__u32 spilled = 0;

	for (int i = 0; i < MODEL_BUCKETS; i++)
		spilled += model.join[i].spilled;
	if (!spilled || full != !!model.counters.incident[KL_JOIN_FULL])
		return differ("%u buckets spilled, %llu found no place", spilled,
			      model.counters.incident[KL_JOIN_FULL]);
	return true;
}

__u32 tick_ns(void)
{
	struct timespec tick;

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return (__u32)tick.tv_nsec;
}

static int load(FILE *costs)
{
	int r;

	if (!costs) {
		skel = object_load(&model.settings, MODEL_CONNS, RING_BYTES);
		return skel ? 0 : -errno;
	}
	skel = object_open(&model.settings, MODEL_CONNS, RING_BYTES);
	if (!skel)
		return -errno;
	if ((r = cost_ask(skel->obj)) || (r = object_start(skel))) {
		kaloss_bpf__destroy(skel);
		/* Once more, for libbpf to show what the kernel has against them. */
		skel = object_load(&model.settings, MODEL_CONNS, RING_BYTES);
		return r;
	}
	r = cost_write(skel->obj, costs);
	return r ?: cost_write_drop_reason(costs) ?: cost_write_one_side(costs);
}

int same_begin(FILE *costs)
{
	int r;

	model.settings = (struct kl_settings){ .seed = 0x6b616c6f73732121ULL,
					       .deadline_ns = 1000000000,
					       .bucket_mask = MODEL_BUCKETS - 1,
					       .idle = true,
					       .arp = true,
					       .mac_mask = MODEL_MACS - 1,
					       .tick_ns = tick_ns() };
	model.now = 1000000000;
	pkt_ports(&model.ports);
	r = load(costs);
	if (r)
		return r;
	ring = ring_buffer__new(bpf_map__fd(skel->maps.kl_events), take_event, NULL, NULL);
	arp_ring = ring_buffer__new(bpf_map__fd(skel->maps.kl_arp_events), take_arp, NULL, NULL);
	if (!ring || !arp_ring)
		return -ENOMEM;
	forget();
	return 0;
}

void same_end(void)
{
	ring_buffer__free(ring);
	ring_buffer__free(arp_ring);
	kaloss_bpf__destroy(skel);
}
