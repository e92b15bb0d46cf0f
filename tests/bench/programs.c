// SPDX-License-Identifier: GPL-2.0-only
#include "programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "insns.h"

enum {
	SKIP = 77,
	NO_TAIL_CALL = -99, /* what a front program returns when the frame went nowhere it should */
	FIRST_ADDRESS = 0x0a000000,
	SPREAD = 0x1e3779b1, /* odd: spreads numbers over 32 bits */
};

void bench_fail(const char *what, int error)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(error));
	exit(error == EPERM || error == EACCES ? SKIP : 2);
}

int program_load(bool xdp, const struct bpf_insn *insns, size_t count)
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
		if (errno != EPERM)
			fputs(log, stderr);
		bench_fail("a program of the benchmark", errno);
	}
	return fd;
}

int program_empty(bool xdp)
{
	const struct bpf_insn insns[] = { MOV_IMM(BPF_REG_0, xdp ? XDP_PASS : -1), EXIT() };

	return program_load(xdp, insns, sizeof(insns) / sizeof(insns[0]));
}

double program_run(int program, const struct pkt *p, unsigned count)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->data, .data_size_in = p->len,
		    .repeat = (int)count);
	int r = bpf_prog_test_run_opts(program, &opts);

	if (r)
		bench_fail("a run", -r);
	if ((int)opts.retval == NO_TAIL_CALL)
		bench_fail("a tail call", EINVAL);
	return opts.duration;
}

/* ---- The program in front ---- */

/* r5: number of the connection, r4: of the round. Uses r2 and r3. */
static void emit_number(struct code *c, __u32 first, __u32 step, __s16 at)
{
	emit(c, MOV(BPF_REG_3, BPF_REG_5));
	emit(c, MUL_IMM(BPF_REG_3, SPREAD));
	emit(c, MOV(BPF_REG_2, BPF_REG_4));
	emit(c, MUL_IMM(BPF_REG_2, (__s32)step));
	emit(c, ADD(BPF_REG_3, BPF_REG_2));
	emit(c, ADD_IMM(BPF_REG_3, (__s32)first));
	emit(c, TO_BE(BPF_REG_3, 32));
	emit(c, STORE(BPF_W, BPF_REG_7, BPF_REG_3, at));
}

/* Writes all of the headers, as words. r7: the frame. Uses r3. */
static void emit_whole(struct code *c, const struct pkt *p, int headers)
{
	for (int at = 0; at < headers; at += 2) {
		__u32 size = headers - at >= 4 ? BPF_W : BPF_H;
		__u32 value = 0;

		memcpy(&value, p->data + at, size == BPF_W ? 4 : 2);
		emit(c, MOV32_IMM(BPF_REG_3, (__s32)value));
		emit(c, STORE(size, BPF_REG_7, BPF_REG_3, (__s16)at));
		if (size == BPF_W)
			at += 2;
	}
}

static __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)(sum + (sum >> 16));
}

/* Of an IPv4 header, without its checksum, ID and source address. */
static __u16 sum_of(const struct pkt *p, __u32 l3)
{
	__u32 sum = 0;

	for (__u32 at = 0; at < 20; at += 2)
		sum += at == 4 || at == 10 || at == 12 || at == 14 ? 0 : kl_be16(p->data + l3 + at);
	return fold(sum);
}

void frame_checksum(struct pkt *p)
{
	__u8 *ip = p->data + p->l3_off;
	__u32 sum = sum_of(p, p->l3_off) + kl_be16(ip + 4) + kl_be16(ip + 12) + kl_be16(ip + 14);
	__u16 checksum = (__u16)~fold(sum);

	ip[10] = (__u8)(checksum >> 8);
	ip[11] = (__u8)checksum;
}

/* The IPv4 checksum behind a rewrite. r7: the frame, r5: the connection, r9: the frame's number. */
static void emit_checksum(struct code *c, const struct front_spec *s, __s16 l3)
{
	emit(c, MOV(BPF_REG_3, BPF_REG_5));
	emit(c, ADD_IMM(BPF_REG_3, FIRST_ADDRESS + (__s32)s->translated));
	emit(c, MOV(BPF_REG_2, BPF_REG_3));
	emit(c, AND_IMM(BPF_REG_3, 0xffff));
	emit(c, RSH_IMM(BPF_REG_2, 16));
	emit(c, ADD(BPF_REG_3, BPF_REG_2));
	emit(c, MOV(BPF_REG_2, BPF_REG_9));
	emit(c, AND_IMM(BPF_REG_2, 0xffff));
	emit(c, ADD(BPF_REG_3, BPF_REG_2));
	emit(c, ADD_IMM(BPF_REG_3, sum_of(s->whole, (__u32)l3)));
	for (int i = 0; i < 2; i++) {
		emit(c, MOV(BPF_REG_2, BPF_REG_3));
		emit(c, RSH_IMM(BPF_REG_2, 16));
		emit(c, AND_IMM(BPF_REG_3, 0xffff));
		emit(c, ADD(BPF_REG_3, BPF_REG_2));
	}
	emit(c, XOR_IMM(BPF_REG_3, 0xffff));
	emit(c, TO_BE(BPF_REG_3, 16));
	emit(c, STORE(BPF_H, BPF_REG_7, BPF_REG_3, (__s16)(l3 + 10)));
}

/* r9: the frame's number; r5: whose turn it is, r4: which round. */
static void emit_turn(struct code *c, __u32 connections)
{
	bool cheap = !(connections & (connections - 1));

	emit(c, MOV(BPF_REG_5, BPF_REG_9));
	emit(c, MOV(BPF_REG_4, BPF_REG_9));
	if (cheap) {
		emit(c, AND_IMM(BPF_REG_5, (__s32)connections - 1));
		emit(c, RSH_IMM(BPF_REG_4, __builtin_ctz(connections)));
	} else {
		emit(c, MOD_IMM(BPF_REG_5, (__s32)connections));
		emit(c, DIV_IMM(BPF_REG_4, (__s32)connections));
	}
}

/* r7: the frame, r9: its number. */
static void emit_rewrite(struct code *c, const struct front_spec *s)
{
	__s16 l3 = (__s16)(14 + 4 * s->tags), l4 = (__s16)(l3 + (s->ipv6 ? 40 : 20));
	__s16 address = (__s16)(l3 + (s->ipv6 ? (s->to_phone ? 36 : 20) : (s->to_phone ? 16 : 12)));

	emit_turn(c, s->connections);
	emit(c, STORE(BPF_W, BPF_REG_7, BPF_REG_5, s->to_phone ? 2 : 8)); /* the phone's MAC */
	emit(c, MOV(BPF_REG_3, BPF_REG_5));
	emit(c, ADD_IMM(BPF_REG_3, FIRST_ADDRESS + (__s32)s->translated));
	emit(c, TO_BE(BPF_REG_3, 32));
	emit(c, STORE(BPF_W, BPF_REG_7, BPF_REG_3, address));
	if (!s->ipv6) {
		emit(c, MOV(BPF_REG_3, BPF_REG_9));
		emit(c, TO_BE(BPF_REG_3, 16));
		emit(c, STORE(BPF_H, BPF_REG_7, BPF_REG_3, (__s16)(l3 + 4)));
	}
	if (s->whole)
		emit_checksum(c, s, l3);
	if (s->udp)
		return;
	emit_number(c, s->seq, s->seq_step, (__s16)(l4 + 4));
	emit_number(c, s->ack, s->ack_step, (__s16)(l4 + 8));
}

/* r8: the state, r9: the frame's number. */
static void emit_drop(struct code *c, __u32 one_of)
{
	emit(c, MOV(BPF_REG_3, BPF_REG_9));
	emit(c, MUL_IMM(BPF_REG_3, SPREAD));
	emit(c, RSH_IMM(BPF_REG_3, 20));
	emit(c, AND_IMM(BPF_REG_3, 0xfffff));
	emit(c, MOD_IMM(BPF_REG_3, (__s32)one_of));
	emit(c, JNE_IMM(BPF_REG_3, 0, 5));
	emit(c, LOAD(BPF_DW, BPF_REG_3, BPF_REG_8, offsetof(struct front_state, dropped)));
	emit(c, ADD_IMM(BPF_REG_3, 1));
	emit(c, STORE(BPF_DW, BPF_REG_8, BPF_REG_3, offsetof(struct front_state, dropped)));
	emit(c, MOV_IMM(BPF_REG_0, 0));
	emit(c, EXIT());
}

void front_load(const struct front_spec *spec, int next, struct front *ret)
{
	int headers = 14 + 4 * spec->tags + (spec->ipv6 ? 40 : 20) + (spec->udp ? 8 : 20);
	struct code c = {};
	__u32 zero = 0;

	/* Its entries go with its last descriptor, though a program holds it. */
	ret->programs = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "next", 4, 4, 1, NULL);
	ret->state = bpf_map_create(BPF_MAP_TYPE_ARRAY, "state", 4, sizeof(struct front_state), 1,
				    NULL);
	if (ret->programs < 0 || ret->state < 0)
		bench_fail("a map", errno);
	emit(&c, MOV(BPF_REG_6, BPF_REG_1));
	emit(&c,
	     LOAD(BPF_W, BPF_REG_7, BPF_REG_1,
		  spec->xdp ? offsetof(struct xdp_md, data) : offsetof(struct __sk_buff, data)));
	emit(&c, LOAD(BPF_W, BPF_REG_3, BPF_REG_1,
		      spec->xdp ? offsetof(struct xdp_md, data_end)
				: offsetof(struct __sk_buff, data_end)));
	emit(&c, MOV(BPF_REG_4, BPF_REG_7));
	emit(&c, ADD_IMM(BPF_REG_4, headers));
	emit(&c, JLE(BPF_REG_4, BPF_REG_3, 2));
	emit(&c, MOV_IMM(BPF_REG_0, NO_TAIL_CALL));
	emit(&c, EXIT());
	emit_map(&c, BPF_REG_8, BPF_PSEUDO_MAP_VALUE, ret->state);
	emit(&c, LOAD(BPF_DW, BPF_REG_9, BPF_REG_8, offsetof(struct front_state, next)));
	emit(&c, MOV(BPF_REG_3, BPF_REG_9));
	emit(&c, ADD_IMM(BPF_REG_3, 1));
	emit(&c, STORE(BPF_DW, BPF_REG_8, BPF_REG_3, offsetof(struct front_state, next)));
	if (spec->whole)
		emit_whole(&c, spec->whole, headers);
	emit_rewrite(&c, spec);
	if (spec->drop_one_of)
		emit_drop(&c, spec->drop_one_of);
	if (next < 0) {
		emit(&c, MOV_IMM(BPF_REG_0, XDP_TX));
		emit(&c, EXIT());
		ret->fd = program_load(spec->xdp, c.insns, c.count);
		return;
	}
	emit(&c, MOV(BPF_REG_1, BPF_REG_6));
	emit_map(&c, BPF_REG_2, BPF_PSEUDO_MAP_FD, ret->programs);
	emit(&c, MOV_IMM(BPF_REG_3, 0));
	emit(&c, CALL(BPF_FUNC_tail_call));
	emit(&c, MOV_IMM(BPF_REG_0, NO_TAIL_CALL));
	emit(&c, EXIT());
	ret->fd = program_load(spec->xdp, c.insns, c.count);
	if (bpf_map_update_elem(ret->programs, &zero, &next, BPF_ANY))
		bench_fail("a tail call", errno);
}

void front_unload(struct front *f)
{
	close(f->fd);
	close(f->programs);
	close(f->state);
}

void front_begin(const struct front *f, __u64 first)
{
	struct front_state state;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(f->state, &zero, &state))
		bench_fail("the state of a program", errno);
	state.next = first;
	if (bpf_map_update_elem(f->state, &zero, &state, BPF_ANY))
		bench_fail("the state of a program", errno);
}

double front_run(const struct front *f, const struct pkt *p, __u64 first, unsigned count)
{
	front_begin(f, first);
	return program_run(f->fd, p, count);
}

void front_send(const struct front *f, const struct pkt *p, unsigned ifindex, __u64 first,
		unsigned count)
{
	struct xdp_md context = { .data_end = p->len, .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p->data, .data_size_in = p->len,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = (int)count,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	int r;

	front_begin(f, first);
	r = bpf_prog_test_run_opts(f->fd, &opts);
	if (r)
		bench_fail("sending frames", -r);
}

__u64 front_dropped(const struct front *f)
{
	struct front_state state;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(f->state, &zero, &state))
		bench_fail("the state of a program", errno);
	return state.dropped;
}

/* ---- What frames meet on their way ---- */

static void make_state(struct front *ret)
{
	ret->programs = -1;
	ret->state = bpf_map_create(BPF_MAP_TYPE_ARRAY, "state", 4, sizeof(struct front_state), 1,
				    NULL);
	if (ret->state < 0)
		bench_fail("a map", errno);
}

/* Counts it and returns the verdict. Uses r3 and r8. */
static void emit_counted(struct code *c, int state, __s32 verdict)
{
	emit_map(c, BPF_REG_8, BPF_PSEUDO_MAP_VALUE, state);
	emit(c, MOV_IMM(BPF_REG_3, 1));
	emit(c, ATOMIC_ADD(BPF_REG_8, BPF_REG_3, offsetof(struct front_state, dropped)));
	emit(c, MOV_IMM(BPF_REG_0, verdict));
	emit(c, EXIT());
}

void sink_load(struct front *ret)
{
	struct code c = {};

	make_state(ret);
	emit_counted(&c, ret->state, TC_ACT_STOLEN);
	ret->fd = program_load(false, c.insns, c.count);
}

void dropper_load(__u32 one_of, struct front *ret)
{
	enum {
		SEQ_AT = 38
	};
	struct code c = {};

	make_state(ret);
	emit(&c, LOAD(BPF_W, BPF_REG_7, BPF_REG_1, offsetof(struct __sk_buff, data)));
	emit(&c, LOAD(BPF_W, BPF_REG_4, BPF_REG_1, offsetof(struct __sk_buff, data_end)));
	emit(&c, MOV(BPF_REG_3, BPF_REG_7));
	emit(&c, ADD_IMM(BPF_REG_3, SEQ_AT + 4));
	emit(&c, JLE(BPF_REG_3, BPF_REG_4, 2));
	emit(&c, MOV_IMM(BPF_REG_0, -1));
	emit(&c, EXIT());
	emit(&c, LOAD(BPF_W, BPF_REG_3, BPF_REG_7, SEQ_AT));
	emit(&c, TO_BE(BPF_REG_3, 32));
	emit(&c, MUL_IMM(BPF_REG_3, SPREAD));
	emit(&c, RSH_IMM(BPF_REG_3, 20));
	emit(&c, AND_IMM(BPF_REG_3, 0xfffff));
	emit(&c, MOD_IMM(BPF_REG_3, (__s32)one_of));
	emit(&c, JEQ_IMM(BPF_REG_3, 0, 2));
	emit(&c, MOV_IMM(BPF_REG_0, -1));
	emit(&c, EXIT());
	emit_counted(&c, ret->state, TC_ACT_SHOT);
	ret->fd = program_load(false, c.insns, c.count);
}

/* ---- Programs of others ---- */

/* Of <linux/bpf.h> of 6.6, which Debian 12's headers do not have yet. */
enum {
	TCX_INGRESS = 46,
	TCX_EGRESS = 47,
};

static __u32 tcx_program(unsigned ifindex, bool egress)
{
	__u32 ids[16] = { 0 };
	struct {
		__u32 target_ifindex;
		__u32 attach_type;
		__u32 query_flags;
		__u32 attach_flags;
		__u64 prog_ids;
		__u32 count;
		__u32 pad;
		__u64 rest[8];
	} attr = {
		.target_ifindex = ifindex,
		.attach_type = egress ? TCX_EGRESS : TCX_INGRESS,
		.prog_ids = (__u64)(unsigned long)ids,
		.count = 16,
	};

	return syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) ? 0 : ids[0];
}

void attach_tcx_in(int program, const char *interface)
{
	/* union bpf_attr's link_create, as of 6.6. */
	struct {
		__u32 prog_fd;
		__u32 target_ifindex;
		__u32 attach_type;
		__u32 flags;
		__u64 rest[8];
	} attr = {
		.prog_fd = (__u32)program,
		.target_ifindex = if_nametoindex(interface),
		.attach_type = TCX_INGRESS,
	};

	if (syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)) < 0)
		bench_fail(interface, errno);
}

void attach_clsact_in(int program, const char *interface)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(interface),
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program);
	int r = bpf_tc_hook_create(&hook);

	if (!r)
		r = bpf_tc_attach(&hook, &opts);
	if (r)
		bench_fail(interface, -r);
}

void detach_clsact(const char *interface)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(interface),
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int r = bpf_tc_hook_destroy(&hook);

	if (r)
		bench_fail(interface, -r);
}

void attach_xdp(int program, const char *interface)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int r, tries = 50;

	/* That of a process which has just ended goes a moment later. */
	while ((r = bpf_link_create(program, (int)if_nametoindex(interface), BPF_XDP, &opts)) ==
		       -EBUSY &&
	       tries--)
		usleep(100000);
	if (r < 0)
		bench_fail(interface, -r);
}

int program_on(const char *interface, enum program_at where)
{
	unsigned ifindex = if_nametoindex(interface);
	__u32 id = 0;
	int fd;

	if (!ifindex)
		bench_fail(interface, errno);
	if (where != PROGRAM_XDP)
		id = tcx_program(ifindex, where == PROGRAM_OUT);
	else if (bpf_xdp_query_id((int)ifindex, 0, &id))
		id = 0;
	if (!id)
		return -1;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		bench_fail(interface, errno);
	return fd;
}
