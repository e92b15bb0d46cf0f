// SPDX-License-Identifier: GPL-2.0-only
/*
 * packet-cost: what a packet costs at a hook, by BPF_PROG_TEST_RUN, above an empty program of the
 * same type in the same process. Nothing is attached.
 *
 * A run of the kernel's harness repeats one frame, which is right for what only passes by. But a
 * keepalive is not the same frame twice: the second one is a duplicate. So keepalives are measured
 * in two other ways, each time at both hooks, with a sequence number and an IP ID of their own, and
 * PHONES connections in turn:
 *
 * one by one: a run for each frame, at the near hook and then at the far one; what the harness's
 * own clock says, less what it says for an empty program in front of each. Between two runs lies
 * user space, so the processor finds the programs as half forgotten as it does in a quiet network.
 *
 * in a row: a small program stands in front, makes the frame the next one and goes on to the
 * measured program by a tail call; and to the empty one, so that it cancels out. BATCH frames at
 * the near hook, then the same BATCH at the far one. Only at tc: for each run of more than one
 * frame at XDP the harness rewrites the kernel's own code, which empties the caches.
 *
 * At the end of each the counters must hold every keepalive as sent and as delivered, and no event
 * as lost; else what was measured is something else. (The ring buffer is emptied now and then, in
 * between: when it is full, not writing an event is cheaper than writing it.) A settled place of
 * the join is not taken again for 5 ms, so that the join must be larger than a network with as many
 * phones would need.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../kernel/object.h"

enum {
	RUNS = 7,
	REPEAT = 800000, /* frames that only pass by */
	SINGLES = 5000,	 /* one by one */
	BATCH = 500,	 /* in a row */
	BATCHES = 40,
	PHONES = 1024,
	FIRST_PORT = 20000,
	JOIN_ENTRIES = 1 << 20,
	GOAL_OTHER_NS = 10,
	GOAL_PHONE_NS = 12,
	GOAL_KEEPALIVE_NS = 450,
	SKIP = 77,
};

enum hook {
	XDP_NEAR,
	TC_NEAR,
	TC_FAR,
	HOOKS
};

static struct kaloss_bpf *skel;
static struct kaloss_bpf *plain; /* without idle times and ARP */
static struct ring_buffer *events;

static struct {
	int measured, empty;		   /* programs */
	int plain;			   /* of the object that leaves things out */
	int before_measured, before_empty; /* those that stand in front of them */
} at[HOOKS];

static void __attribute__((noreturn)) fail(const char *what, int error)
{
	fprintf(stderr, "packet-cost: %s: %s\n", what, strerror(error));
	exit(error == EPERM || error == EACCES ? SKIP : 2);
}

/* ---- Programs of a few instructions ---- */

#define INSN(c, d, s, o, i)                                                                        \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD_IMM(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define AND_IMM(d, i) INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, s, o) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define TO_BE(d, bits) INSN(BPF_ALU | BPF_END | BPF_TO_BE, d, 0, 0, bits)
#define JGT(d, s, o) INSN(BPF_JMP | BPF_JGT | BPF_X, d, s, o, 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LOAD_MAP(d, fd)                                                                            \
	INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)

static int load_program(bool xdp, const struct bpf_insn *insns, size_t count)
{
	static char log[65536];
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log),
		    .log_level = 1);
	int fd;

	if (xdp) {
		/* As that of the measured one, or the two could not share a map. */
		opts.expected_attach_type = BPF_XDP;
		opts.prog_flags = BPF_F_XDP_HAS_FRAGS;
	}
	fd = bpf_prog_load(xdp ? BPF_PROG_TYPE_XDP : BPF_PROG_TYPE_SCHED_CLS, NULL, "GPL", insns,
			   count, &opts);
	if (fd < 0) {
		fputs(log, stderr);
		fail("a program of the benchmark", errno);
	}
	return fd;
}

static int load_empty(bool xdp)
{
	const struct bpf_insn insns[] = { MOV_IMM(BPF_REG_0, xdp ? XDP_PASS : -1), EXIT() };

	return load_program(xdp, insns, sizeof(insns) / sizeof(insns[0]));
}

/* Offsets in a frame of Ethernet, IPv4 and TCP without options. */
enum {
	ID_AT = 18,
	SPORT_AT = 34,
	SEQ_AT = 38,
	CHECKSUM_AT = 50,
	HEADERS = 54
};

/*
 * Makes the frame the next one, and goes on with the program `next`. The number of the frame is
 * kept in the TCP checksum, which nobody reads.
 */
static int load_before(bool xdp, int next, __u32 stride)
{
	__u32 zero = 0;
	int map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "next", 4, 4, 1, NULL);
	__s16 data = xdp ? offsetof(struct xdp_md, data) : offsetof(struct __sk_buff, data);
	__s16 end = xdp ? offsetof(struct xdp_md, data_end) : offsetof(struct __sk_buff, data_end);
	const struct bpf_insn insns[] = {
		MOV(BPF_REG_6, BPF_REG_1),
		LOAD(BPF_W, BPF_REG_2, BPF_REG_1, data),
		LOAD(BPF_W, BPF_REG_3, BPF_REG_1, end),
		MOV(BPF_REG_4, BPF_REG_2),
		ADD_IMM(BPF_REG_4, HEADERS),
		JGT(BPF_REG_4, BPF_REG_3, 17),
		LOAD(BPF_H, BPF_REG_5, BPF_REG_2, CHECKSUM_AT),
		ADD_IMM(BPF_REG_5, 1),
		STORE(BPF_H, BPF_REG_2, BPF_REG_5, CHECKSUM_AT),
		AND_IMM(BPF_REG_5, PHONES - 1),
		ADD_IMM(BPF_REG_5, FIRST_PORT),
		TO_BE(BPF_REG_5, 16),
		STORE(BPF_H, BPF_REG_2, BPF_REG_5, SPORT_AT),
		LOAD(BPF_W, BPF_REG_5, BPF_REG_2, SEQ_AT),
		TO_BE(BPF_REG_5, 32),
		ADD_IMM(BPF_REG_5, (__s32)stride),
		TO_BE(BPF_REG_5, 32),
		STORE(BPF_W, BPF_REG_2, BPF_REG_5, SEQ_AT),
		LOAD(BPF_H, BPF_REG_5, BPF_REG_2, ID_AT),
		TO_BE(BPF_REG_5, 16),
		ADD_IMM(BPF_REG_5, 1),
		TO_BE(BPF_REG_5, 16),
		STORE(BPF_H, BPF_REG_2, BPF_REG_5, ID_AT),
		MOV(BPF_REG_1, BPF_REG_6),
		LOAD_MAP(BPF_REG_2, map),
		MOV_IMM(BPF_REG_3, 0),
		CALL(BPF_FUNC_tail_call),
		MOV_IMM(BPF_REG_0, -99), /* the call failed */
		EXIT(),
	};
	int fd;

	if (map < 0)
		fail("a map", errno);
	fd = load_program(xdp, insns, sizeof(insns) / sizeof(insns[0]));
	if (bpf_map_update_elem(map, &zero, &next, BPF_ANY))
		fail("a tail call", errno);
	return fd;
}

static bool is_xdp(enum hook hook)
{
	return hook == XDP_NEAR;
}

static void prepare(__u32 stride)
{
	for (enum hook h = 0; h < HOOKS; h++) {
		at[h].before_measured = load_before(is_xdp(h), at[h].measured, stride);
		at[h].before_empty = load_before(is_xdp(h), at[h].empty, stride);
	}
}

/* ---- Running ---- */

/* ns a packet. */
static double run(int program, const struct pkt *p, int repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->data, .data_size_in = p->len,
		    .repeat = repeat);
	int r = bpf_prog_test_run_opts(program, &opts);

	if (r)
		fail("a run", -r);
	if ((int)opts.retval == -99)
		fail("a tail call", EINVAL);
	return opts.duration;
}

static int drop_event(void *unused, void *event, size_t size)
{
	(void)unused, (void)event, (void)size;
	return 0;
}

/* Makes room for the events of what runs next. */
static void empty_ring(void)
{
	int r = ring_buffer__consume(events);

	if (r < 0)
		fail("reading the events", -r);
}

struct result {
	double median, low, high;
};

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct result result_of(double *differences)
{
	qsort(differences, RUNS, sizeof(differences[0]), by_value);
	return (struct result){ differences[RUNS / 2], differences[0], differences[RUNS - 1] };
}

/* A frame that may be repeated as it is. */
static struct result measure_same(enum hook hook, int measured, const struct pkt *p)
{
	double differences[RUNS];

	for (int i = 0; i < RUNS; i++) {
		double empty = run(at[hook].empty, p, REPEAT);

		differences[i] = run(measured, p, REPEAT) - empty;
	}
	return result_of(differences);
}

/* Segments that follow one another, at one hook. */
static struct result measure_next(enum hook hook, const struct pkt *p)
{
	double differences[RUNS];

	run(at[hook].before_measured, p, PHONES); /* opens the connections */
	for (int i = 0; i < RUNS; i++) {
		double empty = run(at[hook].before_empty, p, BATCH * BATCHES);

		differences[i] = run(at[hook].before_measured, p, BATCH * BATCHES) - empty;
	}
	return result_of(differences);
}

/* The next frames for a hook pair: which of them, and how many there were in all. */
struct supply {
	const struct pkt_spec *spec;
	__u32 made;
};

static void make_next(struct supply *supply, struct pkt *ret)
{
	struct pkt_spec next = *supply->spec;

	next.sport = (__u16)(FIRST_PORT + supply->made % PHONES);
	next.seq += supply->made / PHONES * next.payload_len;
	next.ip_id = (__u16)(1 + supply->made);
	supply->made++;
	pkt_build(&next, ret);
}

/* Keepalives at the near hook and at the far one, one by one. */
static struct result measure_singles(enum hook near, struct supply *supply)
{
	static double packet[SINGLES];
	double medians[RUNS];
	struct pkt p;

	for (int i = -1; i < RUNS;
	     i++) { /* the first run opens the connections, and is not counted */
		for (int n = 0; n < SINGLES; n++) {
			double empty, measured;

			if (n % BATCH == 0)
				empty_ring();
			make_next(supply, &p);
			empty = run(at[near].empty, &p, 1);
			measured = run(at[near].measured, &p, 1);
			empty += run(at[TC_FAR].empty, &p, 1);
			measured += run(at[TC_FAR].measured, &p, 1);
			packet[n] = measured - empty;
		}
		qsort(packet, SINGLES, sizeof(packet[0]), by_value);
		if (i >= 0)
			medians[i] = packet[SINGLES / 2];
	}
	return result_of(medians);
}

/* The same in a row. */
static struct result measure_rows(enum hook near, struct supply *supply)
{
	struct pkt_spec next = *supply->spec;
	double differences[RUNS];
	struct pkt p;

	prepare(next.payload_len);
	for (int i = -1; i < RUNS; i++) {
		double empty = 0, measured = 0;

		for (int batch = 0; batch < BATCHES; batch++) {
			pkt_build(&next, &p);
			empty_ring();
			empty += run(at[near].before_empty, &p, BATCH);
			measured += run(at[near].before_measured, &p, BATCH);
			empty += run(at[TC_FAR].before_empty, &p, BATCH);
			measured += run(at[TC_FAR].before_measured, &p, BATCH);
			next.seq += BATCH * next.payload_len;
			next.ip_id = (__u16)(next.ip_id + BATCH);
			supply->made += BATCH;
		}
		if (i >= 0)
			differences[i] = (measured - empty) / BATCHES;
	}
	return result_of(differences);
}

/* ---- Rows ---- */

static void print_result(const struct result *r)
{
	printf("  %6.0f (%.0f to %.0f)", r->median, r->low, r->high);
}

static bool print_goal(double ns, double goal)
{
	printf("  goal <= %.0f ns: %s", goal, ns <= goal ? "reached" : "NOT reached");
	return ns <= goal;
}

static bool other_row(const char *name, const struct pkt_spec *spec, bool is_plain, double goal)
{
	struct result xdp, tc;
	struct pkt p;
	bool ok;

	pkt_build(spec, &p);
	xdp = measure_same(XDP_NEAR, is_plain ? at[XDP_NEAR].plain : at[XDP_NEAR].measured, &p);
	tc = measure_same(TC_NEAR, is_plain ? at[TC_NEAR].plain : at[TC_NEAR].measured, &p);
	printf("%-34s", name);
	print_result(&xdp);
	print_result(&tc);
	ok = print_goal(xdp.median > tc.median ? xdp.median : tc.median, goal);
	putchar('\n');
	return ok;
}

/* The same request again and again: all but one a second are known already. */
static void arp_row(void)
{
	static const __u8 request[28] = {
		0,  1,	8,  0, 6, 4, 0, 1, 0, 0x24, 0x14, 0x2d, 0,   1,
		10, 60, 98, 1, 0, 0, 0, 0, 0, 0,    10,	  106,	111, 182
	};
	struct result xdp, tc;
	struct pkt p = { .len = 60 };

	memset(p.data, 0xff, 6);
	memcpy(p.data + 6, request + 8, 6);
	p.data[12] = 8;
	p.data[13] = 6;
	memcpy(p.data + 14, request, sizeof(request));
	xdp = measure_same(XDP_NEAR, at[XDP_NEAR].measured, &p);
	tc = measure_same(TC_NEAR, at[TC_NEAR].measured, &p);
	printf("%-34s", "ARP request");
	print_result(&xdp);
	print_result(&tc);
	putchar('\n');
}

static void ack_row(void)
{
	const struct pkt_spec spec = { .seq = 1, .ack = 1, .ip_id = 1, .pad_to = 60 };
	struct result xdp, tc;
	struct pkt p;

	prepare(0);
	pkt_build(&spec, &p);
	xdp = measure_next(XDP_NEAR, &p);
	tc = measure_next(TC_NEAR, &p);
	printf("%-34s", "TCP 2000, bare ACK");
	print_result(&xdp);
	print_result(&tc);
	putchar('\n');
}

static const struct way {
	const char *name;
	enum hook near;
	struct result (*measure)(enum hook near, struct supply *supply);
} ways[] = {
	{ "XDP in, tc out, one by one", XDP_NEAR, measure_singles },
	{ "tc in, tc out, one by one", TC_NEAR, measure_singles },
	{ "tc in, tc out, in a row", TC_NEAR, measure_rows },
};

/* Was all of it counted as it should be? */
static void check_counts(const struct supply *supply, __u32 kind)
{
	struct kl_counters n;

	if (object_counters(skel, &n))
		fail("reading the counters", errno);
	if (n.tally[KL_SENT][KL_TO_CUCM][kind] == supply->made &&
	    n.tally[KL_DELIVERED][KL_TO_CUCM][kind] == supply->made && !n.incident[KL_EVENTS_LOST])
		return;
	fprintf(stderr,
		"packet-cost: of %u segments %llu were sent, %llu delivered; %llu had no place; "
		"%llu events lost\n",
		supply->made, n.tally[KL_SENT][KL_TO_CUCM][kind],
		n.tally[KL_DELIVERED][KL_TO_CUCM][kind], n.incident[KL_JOIN_FULL],
		n.incident[KL_EVENTS_LOST]);
	exit(2);
}

static bool keepalive_rows(const char *name, const struct pkt_spec *spec, __u32 kind)
{
	bool ok = true;

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct supply supply = { .spec = spec };
		struct result r;

		if (object_forget(skel, JOIN_ENTRIES / KL_WAYS) || object_clear_counters(skel))
			fail("clearing the maps", errno);
		r = ways[i].measure(ways[i].near, &supply);
		printf("%-16s  %-28s", name, ways[i].name);
		print_result(&r);
		ok &= print_goal(r.median, GOAL_KEEPALIVE_NS);
		putchar('\n');
		check_counts(&supply, kind);
	}
	return ok;
}

static void print_machine(void)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[256], model[256] = "unknown";
	struct utsname name;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "model name : %255[^\n]", model) == 1)
			break;
	}
	if (file)
		fclose(file);
	uname(&name);
	printf("kernel %s, CPU %s\n", name.release, model);
}

static void load_objects(void)
{
	struct kl_settings settings = { .seed = 0x6b616c6f73732121ULL,
					.deadline_ns = 1000000000,
					.bucket_mask = JOIN_ENTRIES / KL_WAYS - 1,
					.idle = true,
					.arp = true,
					.mac_mask = PHONES - 1,
					.tick_ns = 4000000 };

	skel = object_load(&settings, 2 * PHONES, 1 << 20);
	settings.idle = settings.arp = false;
	settings.bucket_mask = 0; /* what passes by does not come to the join */
	plain = skel ? object_load(&settings, 2 * PHONES, 1 << 12) : NULL;
	if (!plain)
		fail("cannot load", errno);
	events = ring_buffer__new(bpf_map__fd(skel->maps.kl_events), drop_event, NULL, NULL);
	if (!events)
		fail("the ring buffer", errno);
	at[XDP_NEAR].measured = bpf_program__fd(skel->progs.kaloss_xdp_acc);
	at[TC_NEAR].measured = bpf_program__fd(skel->progs.kaloss_in_acc);
	at[TC_FAR].measured = bpf_program__fd(skel->progs.kaloss_out_cucm);
	at[XDP_NEAR].plain = bpf_program__fd(plain->progs.kaloss_xdp_acc);
	at[TC_NEAR].plain = bpf_program__fd(plain->progs.kaloss_in_acc);
	for (enum hook h = 0; h < HOOKS; h++)
		at[h].empty = load_empty(is_xdp(h));
}

int main(void)
{
	struct pkt_payload keepalive = { 0 }, registers = { 0 };
	struct pkt_spec rtp = { .proto = 17, .sport = 16500, .dport = 24680, .payload_len = 172 };
	struct pkt_spec web = { .dport = 443, .timestamps = true, .payload_len = 1400 };
	struct pkt_spec sccp = { .seq = 1, .ack = 1, .ip_id = 1, .pad_to = 60 };
	struct pkt_spec sip = { .seq = 1, .ack = 1, .ip_id = 1, .dport = PKT_SIP_PORT };
	struct pkt first;
	bool ok;

	setvbuf(stdout, NULL, _IOLBF, 0);
	load_objects();
	pkt_sccp_keepalive(&keepalive);
	sccp.payload = keepalive.data;
	sccp.payload_len = keepalive.len;
	pkt_sip_register(&registers, &(struct pkt_register){ .expires = "3600", .length = 890 });
	sip.payload = registers.data;
	sip.payload_len = registers.len;

	print_machine();
	printf("ns a packet above an empty program: median of %d alternating runs (lowest to "
	       "highest)\n\n",
	       RUNS);
	printf("%-34s  %-20s  %s\n", "at one hook, in", "XDP", "tc");
	rtp.phone = web.phone = 9; /* nobody's that is known */
	ok = other_row("RTP over UDP, without idle times", &rtp, true, GOAL_OTHER_NS);
	ok &= other_row("RTP over UDP, of another host", &rtp, false, GOAL_OTHER_NS);
	pkt_build(&sccp, &first);
	run(at[XDP_NEAR].measured, &first, 1);
	rtp.phone = 0;
	ok &= other_row("RTP over UDP, of a phone", &rtp, false, GOAL_PHONE_NS);
	ok &= other_row("TCP 443, 1400 bytes", &web, false, GOAL_OTHER_NS);
	arp_row();
	ack_row();
	printf("\nat both hooks together, in and out; each with its own sequence number, of %d "
	       "phones\n",
	       PHONES);
	ok &= keepalive_rows("SCCP keepalive", &sccp, KL_SCCP_KEEPALIVE);
	ok &= keepalive_rows("REGISTER, 890 B", &sip, KL_SIP_REGISTER);
	printf("\none by one: a run a frame, so that the programs are half forgotten in between.\n"
	       "in a row: %d frames a run, made different by a program in front.\n"
	       "All were counted as sent and as delivered. Goals: %s.\n",
	       BATCH, ok ? "all reached" : "not all reached");
	ring_buffer__free(events);
	kaloss_bpf__destroy(plain);
	kaloss_bpf__destroy(skel);
	return 0;
}
