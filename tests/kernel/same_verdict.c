// SPDX-License-Identifier: GPL-2.0-only
/*
 * same-verdict [CORPUS…]: what the BPF programs make of a frame is what the headers make of it on
 * the host. Every frame of the fuzzer's corpus, and conversations made here, go through the hooks
 * by BPF_PROG_TEST_RUN and through model.c; then connections, join, counters and events must be
 * equal, but for times. Exit status: 0 all equal, 1 not, 2 it could not run, 77 without privilege.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/fuzz.h"
#include "model.h"
#include "object.h"

enum {
	RING_BYTES = 1 << 20,
	SKIP = 77
};

static struct kaloss_bpf *skel;
static struct ring_buffer *ring;
static struct model model;

static struct {
	struct kl_event events[MODEL_EVENTS];
	__u32 event_count;
	__u32 payload_len;
	__u8 payload[KL_WINDOW_BYTES];
} told; /* by the ring buffer */

enum hook_name {
	XDP_ACC,
	XDP_CUCM,
	IN_ACC,
	IN_CUCM,
	OUT_ACC,
	OUT_CUCM,
	HOOKS
};

static const struct model_hook hooks[HOOKS] = {
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

static const char *what; /* is run: for messages */
static __u32 passed, failed, too_short;

static bool __attribute__((format(printf, 1, 2))) differ(const char *format, ...)
{
	va_list args;

	printf("same-verdict: %s: ", what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return false;
}

static bool see(enum hook_name hook, const __u8 *frame, __u32 len, __u32 gso_size)
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
	memset(&told, 0, sizeof(told));
	if (ring_buffer__consume(ring) < 0)
		return differ("an event makes no sense");
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
	SAME(k, h, probe_end);
	SAME(k, h, acked);
	SAME(k, h, hole_seq);
	SAME(k, h, isn);
	SAME(k, h, epoch);
	SAME(k, h, flags);
	SAME(k, h, probe_wait);
	SAME(k, h, seen);
	SAME(k, h, closing);
	SAME(k, h, unheard);
	SAME(k, h, owed);
	SAME(k, h, ttl);
	return true;
}

static bool same_conns(void)
{
	int fd = bpf_map__fd(skel->maps.kl_conns);
	__u64 id, *before = NULL;
	__u32 found = 0;

	while (!bpf_map_get_next_key(fd, before, &id)) {
		before = &id;
		found++;
	}
	if (found != model.conns)
		return differ("%u connections instead of %u", found, model.conns);
	for (__u32 i = 0; i < model.conns; i++) {
		const struct kl_conn *h = &model.conn[i];
		struct kl_conn c, *k = &c;

		if (bpf_map_lookup_elem(fd, &model.conn_id[i], k))
			return differ("a connection of another id");
		SAME(k, h, ends);
		SAME(k, h, flags);
		SAME(k, h, vlan);
		SAME(k, h, phone_mac);
		SAME(k, h, next_mac);
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
		for (int way = 0; way < KL_WAYS; way++) {
			if (!same_entry(&b.way[way], &model.join[i].way[way]))
				return false;
		}
	}
	return true;
}

static void forget(void)
{
	ring_buffer__consume(ring);
	if (object_forget(skel, MODEL_BUCKETS) || object_clear_counters(skel)) {
		fprintf(stderr, "same-verdict: the maps cannot be cleared: %m\n");
		exit(2);
	}
	model_forget(&model);
}

static void conclude(bool ok)
{
	ok = ok && same_counters() && same_conns() && same_join() && same_events();
	passed += ok;
	failed += !ok;
	forget();
}

/* ---- Single frames ---- */

static const struct {
	const char *name;
	enum hook_name first;
	int second; /* -1: none */
} paths[] = {
	{ "XDP to the CUCM", XDP_ACC, OUT_CUCM },   { "tc to the CUCM", IN_ACC, OUT_CUCM },
	{ "XDP to the phone", XDP_CUCM, OUT_ACC },  { "tc to the phone", IN_CUCM, OUT_ACC },
	{ "only out to the CUCM", OUT_CUCM, -1 },   { "only out to the phone", OUT_ACC, -1 },
	{ "XDP on both sides", XDP_ACC, XDP_CUCM },
};

static void run_frame(const char *name, const struct fuzz_input *in)
{
	if (in->len <= KL_ETH_LEN) {
		too_short++; /* the kernel does not run a program for it */
		return;
	}
	for (__u32 i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		bool is_xdp = hooks[paths[i].first].xdp, ok;
		__u32 gso_size = in->is_aggregate && !is_xdp ? 1 + in->len / 4 : 0;
		char text[512];

		snprintf(text, sizeof(text), "%s, %s", name, paths[i].name);
		what = text;
		ok = see(paths[i].first, in->frame, in->len, gso_size) &&
		     (paths[i].second < 0 ||
		      see((enum hook_name)paths[i].second, in->frame, in->len, gso_size));
		conclude(ok);
	}
}

static bool run_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	__u32 files = 0;

	while (directory && (entry = readdir(directory))) {
		static __u8 data[PKT_MAX + FUZZ_HEADER];
		struct fuzz_input in;
		char name[4096];
		FILE *file;
		size_t size;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		file = fopen(name, "rb");
		if (!file)
			break;
		size = fread(data, 1, sizeof(data), file);
		fclose(file);
		files++;
		if (fuzz_input_read(data, size, &in))
			run_frame(entry->d_name, &in);
	}
	if (directory)
		closedir(directory);
	if (!files)
		fprintf(stderr, "same-verdict: no corpus in %s\n", path);
	return files > 0;
}

/* ---- Conversations: a list of frames through both sides ---- */

enum lost {
	ARRIVES = 0,
	LOST
};

struct said {
	struct pkt_spec spec;
	char payload; /* 'k' SCCP keepalive, 'a' its answer, 'r' Register, 'R' REGISTER, 's' 200 OK */
	enum lost lost;
	__u16 gso_size; /* at tc */
};

enum {
	SAID_MAX = 14
};

#define PHONE(...)                                                                                 \
	{                                                                                          \
		.phone = 7, .window = 100, __VA_ARGS__                                             \
	}
#define CUCM(...)                                                                                  \
	{                                                                                          \
		.to_phone = true, .phone = 7, .window = 100, __VA_ARGS__                           \
	}
#define HANDSHAKE                                                                                  \
	{ PHONE(.seq = 99, .flags = KL_SYN, .tcp_options = 4) },                                   \
		{ CUCM(.seq = 499, .ack = 100, .flags = KL_SYN | KL_ACK) },                        \
	{                                                                                          \
		PHONE(.seq = 100, .ack = 500)                                                      \
	}

static const struct {
	const char *name;
	struct said said[SAID_MAX]; /* up to the first without a window */
} conversations[] = {
	{ "a keepalive, answered",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'k' },
	    { CUCM(.seq = 500, .ack = 112), 'a' },
	    { PHONE(.seq = 112, .ack = 512) } } },
	{ "over IPv6 and a VLAN",
	  { { PHONE(.seq = 100, .ack = 500, .ipv6 = true, .tags = 1, .tag = { 110 }), 'k' },
	    { CUCM(.seq = 500, .ack = 112, .ipv6 = true, .tags = 1, .tag = { 110 }), 'a' } } },
	{ "lost, and again",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'k', LOST },
	    { PHONE(.seq = 100, .ack = 500, .ip_id = 2), 'k', LOST },
	    { PHONE(.seq = 100, .ack = 500, .ip_id = 3), 'k' } } },
	{ "doubled",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'k' },
	    { PHONE(.seq = 100, .ack = 500), 'k' } } },
	{ "TCP probes",
	  { { PHONE(.seq = 100, .ack = 500), 'k' },
	    { CUCM(.seq = 500, .ack = 112) },
	    { PHONE(.seq = 111, .ack = 500, .ip_id = 5) },
	    { CUCM(.seq = 500, .ack = 112, .ip_id = 6) },
	    { PHONE(.seq = 111, .ack = 500, .payload_len = 1, .ip_id = 7) },
	    { CUCM(.seq = 500, .ack = 112, .ip_id = 8) },
	    { CUCM(.seq = 499, .ack = 112, .ip_id = 9) },
	    { PHONE(.seq = 112, .ack = 500, .ip_id = 10) } } },
	{ "a probe lost",
	  { { PHONE(.seq = 100, .ack = 500), 'k' },
	    { PHONE(.seq = 111, .ack = 500, .ip_id = 5), 0, LOST },
	    { PHONE(.seq = 111, .ack = 500, .ip_id = 6) },
	    { CUCM(.seq = 500, .ack = 112) } } },
	{ "a bare ACK with the number of a probe's answer",
	  { { PHONE(.seq = 100, .ack = 500), 'k' },
	    { PHONE(.seq = 111, .ack = 500, .ip_id = 5) },
	    { CUCM(.seq = 500, .ack = 112, .ip_id = 6) },
	    { PHONE(.seq = 112, .ack = 500, .ip_id = 7), 'k' },
	    { CUCM(.seq = 500, .ack = 124, .ip_id = 8) } } },
	{ "registered by SCCP, and closed",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'r' },
	    { PHONE(.seq = 176, .ack = 500), 'r' },
	    { PHONE(.seq = 252, .ack = 500, .flags = KL_FIN | KL_ACK) },
	    { CUCM(.seq = 500, .ack = 253, .flags = KL_RST | KL_ACK) } } },
	{ "registered by SIP",
	  { { PHONE(.seq = 100, .ack = 500, .dport = PKT_SIP_PORT), 'R' },
	    { CUCM(.seq = 500, .ack = 990, .sport = PKT_SIP_PORT), 's' } } },
	{ "the old connection's addresses again",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), 'r' },
	    { PHONE(.seq = 7000, .flags = KL_SYN) },
	    { CUCM(.seq = 9000, .ack = 7001, .flags = KL_SYN | KL_ACK) },
	    { PHONE(.seq = 7001, .ack = 9001), 'r' },
	    { PHONE(.seq = 7077, .ack = 9001), 'k' } } },
	{ "a reset of nothing", { { PHONE(.seq = 100, .flags = KL_RST) } } },
	{ "the phone's port is a signalling port, and the lower one",
	  { { PHONE(.seq = 99, .flags = KL_SYN, .sport = PKT_SCCP_PORT, .dport = PKT_SIP_PORT) },
	    { CUCM(.seq = 499, .ack = 100, .flags = KL_SYN | KL_ACK, .sport = PKT_SIP_PORT,
		   .dport = PKT_SCCP_PORT) },
	    { PHONE(.seq = 100, .ack = 500, .sport = PKT_SCCP_PORT, .dport = PKT_SIP_PORT), 'R' },
	    { CUCM(.seq = 500, .ack = 990, .sport = PKT_SIP_PORT, .dport = PKT_SCCP_PORT),
	      's' } } },
	{ "the phone's port is a signalling port, and the higher one",
	  { { PHONE(.seq = 99, .flags = KL_SYN, .sport = PKT_SIP_PORT) },
	    { CUCM(.seq = 499, .ack = 100, .flags = KL_SYN | KL_ACK, .dport = PKT_SIP_PORT) },
	    { PHONE(.seq = 100, .ack = 500, .sport = PKT_SIP_PORT), 'k' },
	    { CUCM(.seq = 500, .ack = 112, .dport = PKT_SIP_PORT), 'a' } } },
	{ "three keepalives in an aggregate",
	  { HANDSHAKE,
	    { PHONE(.seq = 100, .ack = 500), '3', ARRIVES, 12 },
	    { PHONE(.seq = 136, .ack = 500, .ip_id = 0x7fff), 'k' } } },
	{ "an aggregate with a shorter tail, and FIN",
	  { { PHONE(.seq = 100, .ack = 500, .flags = KL_FIN | KL_ACK), '3', ARRIVES, 20 } } },
	{ "an aggregate that the far side sees in pieces",
	  { { PHONE(.seq = 100, .ack = 500, .ip_id = 40), '3', LOST, 12 },
	    { PHONE(.seq = 100, .ack = 500, .ip_id = 44), 'k' },
	    { PHONE(.seq = 112, .ack = 500, .ip_id = 45), 'k' } } },
};

static void say(const struct said *t, struct pkt *ret)
{
	struct pkt_spec spec = t->spec;
	struct pkt_payload p = { 0 };

	if (t->payload == 'k')
		pkt_sccp_keepalive(&p);
	for (int i = 0; t->payload == '3' && i < 3; i++)
		pkt_sccp_keepalive(&p);
	if (t->payload == 'a')
		pkt_sccp_keepalive_ack(&p);
	if (t->payload == 'r')
		pkt_sccp_register(&p, "SEP0024142DDF24");
	if (t->payload == 'R')
		pkt_sip_register(&p, &(struct pkt_register){ .expires = "3600", .length = 890 });
	if (t->payload == 's')
		pkt_sip_response(&p, "200 OK", "REGISTER", "120", 637);
	if (p.len) {
		spec.payload = p.data;
		spec.payload_len = p.len;
	}
	spec.ip_id = spec.ip_id ?: 1;
	spec.pad_to = t->gso_size ? 0 : 60;
	pkt_build(&spec, ret);
}

static void run_conversations(void)
{
	for (__u32 i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
		for (int xdp = 0; xdp <= 1; xdp++) {
			const struct said *t = conversations[i].said;
			bool ok = true;
			char text[512];

			snprintf(text, sizeof(text), "%s, %s", conversations[i].name,
				 xdp ? "XDP" : "tc");
			what = text;
			for (; ok && t < conversations[i].said + SAID_MAX && t->spec.window; t++) {
				bool to_phone = t->spec.to_phone;
				enum hook_name in = xdp ? XDP_ACC : IN_ACC, out = OUT_CUCM;
				struct pkt p;

				if (to_phone) {
					in = xdp ? XDP_CUCM : IN_CUCM;
					out = OUT_ACC;
				}
				say(t, &p);
				ok = see(in, p.data, p.len, xdp ? 0 : t->gso_size) &&
				     (t->lost || see(out, p.data, p.len, t->gso_size));
			}
			conclude(ok);
		}
	}
}

int main(int argc, char **argv)
{
	bool ok = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	model.settings = (struct kl_settings){ .seed = 0x6b616c6f73732121ULL,
					       .deadline_ns = 1000000000,
					       .bucket_mask = MODEL_BUCKETS - 1,
					       .idle = true,
					       .arp = true,
					       .mac_mask = MODEL_MACS - 1,
					       .tick_ns = 4000000 };
	model.now = 1000000000;
	pkt_ports(&model.ports);
	skel = object_load(&model.settings, MODEL_CONNS, RING_BYTES);
	if (!skel) {
		bool denied = errno == EPERM || errno == EACCES;

		fprintf(stderr, "same-verdict: %s: %m\n", denied ? "skipped" : "cannot load");
		return denied ? SKIP : 2;
	}
	ring = ring_buffer__new(bpf_map__fd(skel->maps.kl_events), take_event, NULL, NULL);
	if (!ring) {
		fprintf(stderr, "same-verdict: no ring buffer: %m\n");
		return 2;
	}
	forget();
	run_conversations();
	for (int i = 1; i < argc; i++)
		ok &= run_directory(argv[i]);
	if (argc < 2)
		ok = run_directory("tests/fuzz/corpus");
	printf("%u passed, %u failed", passed, failed);
	if (too_short)
		printf(" (%u frames are too short for the kernel)", too_short);
	putchar('\n');
	ring_buffer__free(ring);
	kaloss_bpf__destroy(skel);
	return !ok || failed || !passed;
}
