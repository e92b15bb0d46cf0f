// SPDX-License-Identifier: GPL-2.0-only
/*
 * packet-cost [--quick] [--json FILE]: what a packet costs at a hook, by BPF_PROG_TEST_RUN, above an
 * empty program of the same type in the same process. Nothing is attached.
 *
 * A run of the kernel's harness repeats one frame, which is right for what only passes by. But a
 * keepalive is not the same frame twice: the second one is a duplicate. So signalling is measured in
 * two other ways, each time at both hooks, of many connections in turn, with sequence numbers that go
 * on and an IP ID of its own for each frame:
 *
 * one by one: a run for each frame, at the near hook and then at the far one. Between two runs lies
 * user space, so the processor finds the programs as half forgotten as it does in a quiet network.
 *
 * in a row: a batch of frames at the near hook, then the same batch at the far one. A small program
 * stands in front, makes the frame the next one and goes on to the measured program by a tail call;
 * and to the empty one, so that it cancels out.
 *
 * At the end of each the counters must hold every segment: each keepalive and answer as sent and as
 * delivered, and no event as lost; else what was measured is something else. (The ring buffer is
 * emptied in between: when it is full, not writing an event is cheaper than writing it.) Sizes are
 * those of `kaloss watch`, but that there is room for more connections.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel/object.h"
#include "bench.h"
#include "programs.h"

enum {
	RUNS = 7,
	SINGLES = 2000, /* one by one, in each run */
	BATCH = 1000,	/* in a row */
	BATCHES = 4,	/* in each run */
	SOME = 1024,	/* connections, where their number is no question */
	CONNECTIONS = 262144,
	JOIN_ENTRIES = 1 << 16,
	RING_BYTES = 1 << 22,
	MAC_BUCKETS = 1 << 17,
	LEGS_MAX = 3,
	TRANSLATED = 0x00800000, /* --nat: behind it the phones have other addresses */
};

static const struct bench_goal no_goal = { .is = BENCH_NO_GOAL };
static const struct bench_goal goal_other = { BENCH_AT_MOST, 5 };
static const struct bench_goal goal_heard = { BENCH_AT_MOST, 12 };
static const struct bench_goal goal_ack = { BENCH_AT_MOST, 60 };
static const struct bench_goal goal_keepalive = { BENCH_AT_MOST, 250 };
static const struct bench_goal goal_many = { BENCH_AT_MOST, 500 };

static const char *json_path;
static bool quick;
static unsigned repeat = 800000; /* of a frame that only passes by */
static unsigned runs = RUNS, batches = BATCHES, singles = SINGLES;
static unsigned missed_goals;

/* ---- Objects, each with features on or off ---- */

struct object {
	const char *name;
	struct kaloss_bpf *skel;
	struct ring_buffer *events;
	bool tap, nat;
};

static int empty_program[2]; /* by whether it is XDP */

static int drop_event(void *unused, void *event, size_t size)
{
	(void)unused, (void)event, (void)size;
	return 0;
}

static struct object load_object(const char *name)
{
	struct object o = { .name = name,
			    .tap = !strcmp(name, "--tap"),
			    .nat = !strcmp(name, "--nat") };
	struct kl_settings settings = {
		.seed = 0x6b616c6f73732121ULL,
		.deadline_ns = 1000000000,
		.bucket_mask = JOIN_ENTRIES / KL_WAYS - 1,
		.idle = strcmp(name, "--no-idle-time") != 0,
		.arp = strcmp(name, "--no-arp") != 0,
		.tap = o.tap,
		.nat = o.nat,
		.mac_mask = MAC_BUCKETS - 1,
		.tick_ns = 4000000,
	};

	o.skel = object_load(&settings, CONNECTIONS, RING_BYTES);
	if (!o.skel)
		bench_fail("cannot load", errno);
	o.events = ring_buffer__new(bpf_map__fd(o.skel->maps.kl_events), drop_event, NULL, NULL);
	if (!o.events)
		bench_fail("the ring buffer", errno);
	return o;
}

static void free_object(struct object *o)
{
	ring_buffer__free(o->events);
	kaloss_bpf__destroy(o->skel);
}

/* Makes room for the events of what runs next. */
static void empty_ring(const struct object *o)
{
	int r = ring_buffer__consume(o->events);

	if (r < 0)
		bench_fail("reading the events", -r);
}

static void forget(const struct object *o)
{
	if (object_forget(o->skel, JOIN_ENTRIES / KL_WAYS) || object_clear_counters(o->skel))
		bench_fail("clearing the maps", errno);
	empty_ring(o);
}

struct hook {
	int program;
	bool xdp;
};

static struct hook near_hook(const struct object *o, bool xdp, bool to_phone)
{
	const struct bpf_program *p;

	if (xdp)
		p = to_phone ? o->skel->progs.kaloss_xdp_cucm : o->skel->progs.kaloss_xdp_acc;
	else
		p = to_phone ? o->skel->progs.kaloss_in_cucm : o->skel->progs.kaloss_in_acc;
	return (struct hook){ bpf_program__fd(p), xdp };
}

/* Behind two mirror ports the far side is one that frames come in at. */
static struct hook far_hook(const struct object *o, bool xdp, bool to_phone)
{
	const struct bpf_program *p;

	if (o->tap)
		return near_hook(o, xdp, !to_phone);
	p = to_phone ? o->skel->progs.kaloss_out_acc : o->skel->progs.kaloss_out_cucm;
	return (struct hook){ bpf_program__fd(p), false };
}

static const char *way_name(const struct object *o, bool xdp)
{
	if (o->tap)
		return xdp ? "XDP and XDP" : "tc and tc";
	return xdp ? "XDP in, tc out" : "tc in, tc out";
}

/* ---- Frames that only pass by ---- */

static struct bench_figure measure_same(struct hook hook, const struct pkt *p)
{
	double differences[RUNS];

	for (unsigned i = 0; i < runs; i++) {
		double empty = program_run(empty_program[hook.xdp], p, repeat);

		differences[i] = program_run(hook.program, p, repeat) - empty;
	}
	return bench_figure_of(differences, runs);
}

static void print_figure(const struct bench_figure *f)
{
	char text[48];

	snprintf(text, sizeof(text), "%.0f (%.0f to %.0f)", f->median, f->lowest, f->highest);
	printf(" %-20s", text);
}

static void add_figure(const char *name, const struct bench_figure *f,
		       const struct bench_goal *goal)
{
	if (bench_add(json_path, "packet", name, "ns", f, goal))
		bench_fail(json_path, EIO);
	missed_goals += goal->is != BENCH_NO_GOAL && !bench_reached(f, goal);
}

/* Of both hooks, whichever is worse has to reach the goal. */
static void print_row(const char *name, const struct bench_figure *xdp,
		      const struct bench_figure *tc, const struct bench_goal *goal)
{
	char full[160];

	printf("%-46s", name);
	print_figure(xdp);
	print_figure(tc);
	printf("%s\n", bench_goal_text(xdp->median > tc->median ? xdp : tc, goal));
	snprintf(full, sizeof(full), "%s, XDP", name);
	add_figure(full, xdp, goal);
	snprintf(full, sizeof(full), "%s, tc", name);
	add_figure(full, tc, goal);
}

static void same_row(const struct object *o, const char *name, const struct pkt *p,
		     const struct bench_goal *goal)
{
	struct bench_figure xdp = measure_same(near_hook(o, true, false), p);
	struct bench_figure tc = measure_same(near_hook(o, false, false), p);

	print_row(name, &xdp, &tc, goal);
}

static const struct shape {
	const char *name;
	__u8 tags;
	bool ipv6;
} shapes[] = {
	{ "" },
	{ ", two VLAN tags", .tags = 2 },
	{ ", IPv6", .ipv6 = true },
};

static void passing_rows(const struct object *o, const char *what, __u16 phone,
			 const struct bench_goal *goal)
{
	const struct pkt_spec rtp = {
		.proto = 17, .sport = 16500, .dport = 24680, .payload_len = 172
	};
	const struct pkt_spec web = { .dport = 443, .timestamps = true, .payload_len = 1400 };
	char name[96];
	struct pkt p;

	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct pkt_spec specs[] = { rtp, web };

		for (int s = 0; s < 2; s++) {
			specs[s].tags = shapes[i].tags;
			specs[s].tag[0] = 100;
			specs[s].tag[1] = 200;
			specs[s].ipv6 = shapes[i].ipv6;
			specs[s].phone = phone;
			pkt_build(&specs[s], &p);
			snprintf(name, sizeof(name), "%s%s%s",
				 s ? "TCP 443, 1400 bytes" : "RTP over UDP", shapes[i].name, what);
			same_row(o, name, &p, goal);
		}
	}
}

/* The same request again and again: all but one a second are known already. */
static void arp_row(const struct object *o, const char *name, const struct bench_goal *goal)
{
	static const __u8 request[28] = {
		0,  1,	8,  0, 6, 4, 0, 1, 0, 0x24, 0x14, 0x2d, 0,   1,
		10, 60, 98, 1, 0, 0, 0, 0, 0, 0,    10,	  106,	111, 182
	};
	struct pkt p = { .len = 60 };

	memset(p.data, 0xff, 6);
	memcpy(p.data + 6, request + 8, 6);
	p.data[12] = 8;
	p.data[13] = 6;
	memcpy(p.data + 14, request, sizeof(request));
	same_row(o, name, &p, goal);
}

/* ---- Signalling ---- */

/* Of each connection in turn, from one to the next one's place. */
struct leg {
	const char *name;
	__u32 kind; /* KL_OTHER: it is not joined */
	bool to_phone;
	__u32 seq, ack, seq_step, ack_step;
	struct pkt frame;
	/* what stands in front of the programs; of the empty ones, too */
	struct front near, far, near_empty, far_empty;
};

struct conversation {
	unsigned count;
	__u32 connections;
	__u64 made; /* frames of each leg */
	struct leg leg[LEGS_MAX];
};

/* A phone's keepalive, its answer, and the phone's acknowledgement of that. */
static void sccp_conversation(struct conversation *c)
{
	struct pkt_payload keepalive = { 0 }, answer = { 0 };

	pkt_sccp_keepalive(&keepalive);
	pkt_sccp_keepalive_ack(&answer);
	*c = (struct conversation){ .count = 3 };
	c->leg[0] = (struct leg){ "SCCP keepalive", KL_SCCP_KEEPALIVE, false, 1, 1,
				  keepalive.len,    answer.len };
	pkt_build(&(struct pkt_spec){ .payload = keepalive.data,
				      .payload_len = keepalive.len,
				      .pad_to = 60 },
		  &c->leg[0].frame);
	c->leg[1] = (struct leg){ "KeepAliveAck", KL_SCCP_KEEPALIVE_ACK, true, 1, 1 + keepalive.len,
				  answer.len,	  keepalive.len };
	pkt_build(&(struct pkt_spec){ .to_phone = true,
				      .payload = answer.data,
				      .payload_len = answer.len,
				      .pad_to = 60 },
		  &c->leg[1].frame);
	c->leg[2] =
		(struct leg){ "bare ACK, port 2000", KL_OTHER,	    false,     1 + keepalive.len,
			      1 + answer.len,	     keepalive.len, answer.len };
	pkt_build(&(struct pkt_spec){ .pad_to = 60 }, &c->leg[2].frame);
}

static void sip_conversation(struct conversation *c)
{
	struct pkt_payload registers = { 0 };

	pkt_sip_register(&registers, &(struct pkt_register){ .expires = "3600", .length = 890 });
	*c = (struct conversation){ .count = 1 };
	c->leg[0] =
		(struct leg){ "REGISTER, 890 B", KL_SIP_REGISTER, false, 1, 1, registers.len, 0 };
	pkt_build(&(struct pkt_spec){ .dport = PKT_SIP_PORT,
				      .payload = registers.data,
				      .payload_len = registers.len },
		  &c->leg[0].frame);
}

static void load_fronts(const struct object *o, bool xdp, struct conversation *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		struct leg *l = &c->leg[i];
		struct hook near = near_hook(o, xdp, l->to_phone),
			    far = far_hook(o, xdp, l->to_phone);
		struct front_spec spec = {
			.xdp = near.xdp,
			.to_phone = l->to_phone,
			.connections = c->connections,
			.seq = l->seq,
			.ack = l->ack,
			.seq_step = l->seq_step,
			.ack_step = l->ack_step,
			.translated = o->nat && l->to_phone ? TRANSLATED : 0,
		};

		front_load(&spec, near.program, &l->near);
		front_load(&spec, empty_program[near.xdp], &l->near_empty);
		spec.xdp = far.xdp;
		spec.translated = o->nat && !l->to_phone ? TRANSLATED : 0;
		front_load(&spec, far.program, &l->far);
		front_load(&spec, empty_program[far.xdp], &l->far_empty);
	}
}

static void unload_fronts(struct conversation *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		front_unload(&c->leg[i].near);
		front_unload(&c->leg[i].far);
		front_unload(&c->leg[i].near_empty);
		front_unload(&c->leg[i].far_empty);
	}
}

/* ns a frame of each leg, above empty programs. */
struct cost {
	double near[LEGS_MAX], far[LEGS_MAX];
};

/* The next frames of all legs: `count` of them at the near hook, then at the far one. */
static struct cost run_batch(const struct object *o, struct conversation *c, unsigned count)
{
	struct cost ret;

	empty_ring(o);
	for (unsigned i = 0; i < c->count; i++) {
		const struct leg *l = &c->leg[i];

		/* The far one at once behind the near one. */
		ret.near[i] = -front_run(&l->near_empty, &l->frame, c->made, count);
		ret.far[i] = -front_run(&l->far_empty, &l->frame, c->made, count);
		ret.near[i] += front_run(&l->near, &l->frame, c->made, count);
		ret.far[i] += front_run(&l->far, &l->frame, c->made, count);
	}
	c->made += count;
	return ret;
}

/* Opens all connections: sends the first of each. */
static void open_connections(const struct object *o, struct conversation *c)
{
	while (c->made < c->connections) {
		__u64 left = c->connections - c->made;

		run_batch(o, c, left < BATCH ? (unsigned)left : BATCH);
	}
}

struct figures {
	struct bench_figure near[LEGS_MAX], far[LEGS_MAX], both[LEGS_MAX];
};

struct values {
	double near[LEGS_MAX][RUNS], far[LEGS_MAX][RUNS], both[LEGS_MAX][RUNS];
};

static void measure_rows(const struct object *o, struct conversation *c, struct values *ret)
{
	for (unsigned run = 0; run < runs; run++) {
		struct cost sum = { 0 };

		for (unsigned b = 0; b < batches; b++) {
			struct cost cost = run_batch(o, c, BATCH);

			for (unsigned i = 0; i < c->count; i++) {
				sum.near[i] += cost.near[i] / batches;
				sum.far[i] += cost.far[i] / batches;
			}
		}
		for (unsigned i = 0; i < c->count; i++) {
			ret->near[i][run] = sum.near[i];
			ret->far[i][run] = sum.far[i];
			ret->both[i][run] = sum.near[i] + sum.far[i];
		}
	}
}

/* The same, a run a frame: in each of the runs, the median of all. */
static void measure_singles(const struct object *o, struct conversation *c, struct values *ret)
{
	static double near[LEGS_MAX][SINGLES], far[LEGS_MAX][SINGLES], both[LEGS_MAX][SINGLES];

	for (unsigned run = 0; run < runs; run++) {
		for (unsigned n = 0; n < singles; n++) {
			struct cost cost = run_batch(o, c, 1);

			for (unsigned i = 0; i < c->count; i++) {
				near[i][n] = cost.near[i];
				far[i][n] = cost.far[i];
				both[i][n] = cost.near[i] + cost.far[i];
			}
		}
		for (unsigned i = 0; i < c->count; i++) {
			ret->near[i][run] = bench_figure_of(near[i], singles).median;
			ret->far[i][run] = bench_figure_of(far[i], singles).median;
			ret->both[i][run] = bench_figure_of(both[i], singles).median;
		}
	}
}

/* Was all of it counted as it should be? */
static void check_counts(const struct object *o, const struct conversation *c)
{
	__u64 segments[KL_DIRECTIONS] = { 0 };
	struct kl_counters n;
	bool ok = true;

	if (object_counters(o->skel, &n))
		bench_fail("reading the counters", errno);
	for (unsigned i = 0; i < c->count; i++) {
		const struct leg *l = &c->leg[i];
		__u64 sent = n.tally[KL_SENT][l->to_phone][l->kind];
		__u64 delivered = n.tally[KL_DELIVERED][l->to_phone][l->kind];

		segments[l->to_phone] += c->made;
		if (l->kind == KL_OTHER || (sent == c->made && delivered == c->made))
			continue;
		fprintf(stderr,
			"packet-cost: %s: of %llu segments %llu were sent, %llu delivered\n",
			l->name, c->made, sent, delivered);
		ok = false;
	}
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		if (n.segments[d] == segments[d])
			continue;
		fprintf(stderr, "packet-cost: of %llu segments %llu were seen\n", segments[d],
			n.segments[d]);
		ok = false;
	}
	if (ok && !n.incident[KL_EVENTS_LOST] && !n.incident[KL_JOIN_FULL] &&
	    !n.incident[KL_CONNS_REFUSED] && !n.incident[KL_HASH_COLLISIONS])
		return;
	fprintf(stderr,
		"packet-cost: %llu had no place, %llu events lost, %llu connections refused, %llu "
		"collisions\n",
		n.incident[KL_JOIN_FULL], n.incident[KL_EVENTS_LOST], n.incident[KL_CONNS_REFUSED],
		n.incident[KL_HASH_COLLISIONS]);
	exit(2);
}

struct way {
	bool xdp; /* at the near hook; with --tap, at the far one, too */
	bool in_a_row;
};

static void leg_row(const struct object *o, const struct conversation *c, unsigned leg,
		    const struct way *way, struct values *v)
{
	const struct leg *l = &c->leg[leg];
	struct bench_goal goal = no_goal, near_goal = no_goal;
	struct bench_figure near = bench_figure_of(v->near[leg], runs);
	struct bench_figure far = bench_figure_of(v->far[leg], runs);
	struct bench_figure both = bench_figure_of(v->both[leg], runs);
	char name[160], full[192];

	if (l->kind == KL_OTHER)
		near_goal = goal_ack;
	if (l->kind == KL_SCCP_KEEPALIVE && c->connections <= SOME)
		goal = goal_keepalive;
	else if (l->kind == KL_SCCP_KEEPALIVE && c->connections > SOME * 16)
		goal = goal_many;
	printf("%-19s %6u  %-14s", l->name, c->connections, way_name(o, way->xdp));
	print_figure(&near);
	print_figure(&far);
	print_figure(&both);
	printf("%s", bench_goal_text(&near, &near_goal));
	printf("%s\n", bench_goal_text(&both, &goal));
	snprintf(name, sizeof(name), "%s, %u connections, %s, %s%s%s", l->name, c->connections,
		 way_name(o, way->xdp), way->in_a_row ? "in a row" : "one by one",
		 o->name[0] ? ", " : "", o->name);
	snprintf(full, sizeof(full), "%s, near hook", name);
	add_figure(full, &near, &near_goal);
	snprintf(full, sizeof(full), "%s, far hook", name);
	add_figure(full, &far, &no_goal);
	snprintf(full, sizeof(full), "%s, both hooks", name);
	add_figure(full, &both, &goal);
}

typedef void (*conversation_maker)(struct conversation *c);

/* Leaves the connections of the last one in the maps. */
static void signalling_rows(const struct object *o, conversation_maker make, const struct way *way,
			    __u32 connections)
{
	static struct conversation c;
	static struct values values;

	make(&c);
	c.connections = connections;
	forget(o);
	/* At tc: each run of more than one frame at XDP waits for the kernel to rewrite its code. */
	load_fronts(o, false, &c);
	open_connections(o, &c);
	unload_fronts(&c);
	load_fronts(o, way->xdp, &c);
	run_batch(o, &c, BATCH);
	if (way->in_a_row)
		measure_rows(o, &c, &values);
	else
		measure_singles(o, &c, &values);
	unload_fronts(&c);
	check_counts(o, &c);
	for (unsigned i = 0; i < c.count; i++)
		leg_row(o, &c, i, way, &values);
}

static struct bench_figure measure_turn(struct hook hook, __u32 phones)
{
	const struct pkt_spec rtp = {
		.proto = 17, .sport = 16500, .dport = 24680, .payload_len = 172
	};
	const struct front_spec spec = { .xdp = hook.xdp, .udp = true, .connections = phones };
	double differences[RUNS];
	struct front front, empty;
	struct pkt p;

	pkt_build(&rtp, &p);
	front_load(&spec, hook.program, &front);
	front_load(&spec, empty_program[hook.xdp], &empty);
	for (unsigned i = 0; i < runs; i++) {
		differences[i] = -front_run(&empty, &p, 0, repeat);
		differences[i] += front_run(&front, &p, 0, repeat);
	}
	front_unload(&front);
	front_unload(&empty);
	return bench_figure_of(differences, runs);
}

/* Other frames of phones that are known, of each in turn. */
static void turn_row(const struct object *o, __u32 phones)
{
	struct bench_figure xdp = measure_turn(near_hook(o, true, false), phones);
	struct bench_figure tc = measure_turn(near_hook(o, false, false), phones);
	char name[96];

	snprintf(name, sizeof(name), "RTP over UDP, of %u phones in turn", phones);
	print_row(name, &xdp, &tc, &goal_heard);
}

/* ---- The tables ---- */

static const struct way rows_xdp = { true, true }, rows_tc = { false, true };
static const struct way singles_xdp = { true, false }, singles_tc = { false, false };

static void feature_rows(const char *option)
{
	struct object o = load_object(option);

	signalling_rows(&o, sccp_conversation, &rows_xdp, SOME);
	free_object(&o);
}

static void passing_heading(const char *what)
{
	printf("\n%-46s %-20s %-20s\n", what, "XDP", "tc");
}

static void signalling_heading(const char *what)
{
	printf("\n%s\n%-19s %6s  %-14s %-20s %-20s %-20s\n", what, "", "conns", "", "near hook",
	       "far hook", "both hooks");
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quick")) {
			quick = true;
			repeat = 20000;
			runs = 3;
			batches = 1;
			singles = 20;
		} else if (!strcmp(argv[i], "--json") && i + 1 < argc) {
			json_path = argv[++i];
		} else {
			fputs("usage: packet-cost [--quick] [--json FILE]\n", stderr);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	static const char *const features[] = { "--no-idle-time", "--no-arp", "--nat", "--tap" };
	static const __u32 sizes[] = { 1, SOME, 16 * SOME, 128 * SOME };
	__u32 most;
	struct object all, no_idle, no_arp;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	most = quick ? SOME : 128 * SOME;
	all = load_object("");
	empty_program[false] = program_empty(false);
	empty_program[true] = program_empty(true);
	no_idle = load_object("--no-idle-time");
	no_arp = load_object("--no-arp");

	printf("%s\nns a packet above an empty program: median of %u alternating runs (lowest to "
	       "highest)\n",
	       bench_machine(), runs);
	passing_heading("not signalling, at one hook, in");
	passing_rows(&no_idle, ", --no-idle-time", 9, &goal_other);
	passing_rows(&all, ", of another host", 9, &goal_heard);
	arp_row(&no_arp, "ARP request, --no-arp", &goal_heard);
	arp_row(&all, "ARP request", &no_goal);
	free_object(&no_idle);
	free_object(&no_arp);

	signalling_heading(
		"signalling, in a row: each with its own sequence number, connections in turn");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && sizes[i] <= most; i++)
		signalling_rows(&all, sccp_conversation, &rows_xdp, sizes[i]);
	signalling_rows(&all, sccp_conversation, &rows_tc, SOME);
	signalling_rows(&all, sip_conversation, &rows_xdp, SOME);
	signalling_heading(
		"signalling, one by one: a run a frame, so that the programs are half forgotten");
	signalling_rows(&all, sccp_conversation, &singles_xdp, SOME);
	signalling_rows(&all, sccp_conversation, &singles_tc, SOME);
	signalling_rows(&all, sccp_conversation, &singles_xdp, most);
	signalling_rows(&all, sip_conversation, &singles_xdp, SOME);

	/* The phones of the last ones are known. */
	signalling_rows(&all, sccp_conversation, &rows_tc, most);
	passing_heading("not signalling, of phones whose silence is followed");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && sizes[i] <= most; i++)
		turn_row(&all, sizes[i]);
	free_object(&all);

	/* Quickly only the last one. */
	for (unsigned i = quick ? 3 : 0; i < sizeof(features) / sizeof(features[0]); i++) {
		char title[96];

		snprintf(title, sizeof(title), "signalling, in a row, with %s", features[i]);
		signalling_heading(title);
		feature_rows(features[i]);
	}
	printf("\nAll segments were counted, keepalives and answers as sent and as delivered, and "
	       "no "
	       "event was lost.\nGoals: %s.\n",
	       missed_goals ? "not all reached" : "all reached");
	return 0;
}
