/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small BPF programs that measure others: an empty one, and one that stands in front of a program,
 * makes the frame the next one, and goes on to it by a tail call.
 *
 * Functions here end the process where something fails, with 77 where privilege is missing.
 */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include "../packets/packets.h"

void __attribute__((noreturn)) bench_fail(const char *what, int error);

int program_load(bool xdp, const struct bpf_insn *insns, size_t count);
int program_empty(bool xdp);

/* How the frame of the number n is made of a frame from pkt_build(). */
struct front_spec {
	bool xdp;
	bool to_phone;
	bool ipv6;
	bool udp;	   /* the numbers below are left alone */
	__u8 tags;	   /* VLAN tags in the frame */
	__u32 connections; /* that of n is n modulo it, its round n by it; cheap as a power of two */
	__u32 seq, ack;	   /* in the first round */
	__u32 seq_step;	   /* from round to round */
	__u32 ack_step;
	__u32 drop_one_of; /* 0: none. Else so many of them go nowhere, by a hash of n */
	const struct pkt
		*whole;	  /* live frames, used again as they were left: all of their headers */
	__u32 translated; /* the phones' IPv4 addresses begin so much later */
};

struct front {
	int fd;
	int programs; /* map of the one to go on to */
	int state;    /* map of one struct front_state */
};

struct front_state {
	__u64 next;    /* number of the next frame */
	__u64 dropped; /* how many went nowhere */
};

/* next: the program to go on to; -1: none, the frame is sent (XDP_TX). */
void front_load(const struct front_spec *spec, int next, struct front *ret);
void front_unload(struct front *f);

/* The next frame that the program makes is this one, and then one after the other. */
void front_begin(const struct front *f, __u64 first);
/* Frames first, first + 1, … of p. Returns ns a frame. */
double front_run(const struct front *f, const struct pkt *p, __u64 first, unsigned count);
__u64 front_dropped(const struct front *f);

/* Sends frames of a front without a next program out of an interface. */
void front_send(const struct front *f, const struct pkt *p, unsigned ifindex, __u64 first,
		unsigned count);

/* The same frame again and again. Returns ns a frame. */
double program_run(int program, const struct pkt *p, unsigned count);

/* The IPv4 header's checksum is made right. */
void frame_checksum(struct pkt *p);

/*
 * Programs for tc. The sink counts every frame and takes it, as its receiver would: that is no drop
 * that the kernel would tell of to whoever asks for the reasons (only a filter of clsact can say so).
 * The dropper, for tcx, drops one of so many, by a hash of the TCP sequence number, counts these, and
 * lets the others pass. Counts: front_dropped().
 */
void sink_load(struct front *ret);
void dropper_load(__u32 one_of, struct front *ret);

/* A filter of a clsact qdisc, on an interface that has none; it stays until it is taken away. */
void attach_clsact_in(int program, const char *interface);
void detach_clsact(const char *interface);
/* Links that end with the process. */
void attach_tcx_in(int program, const char *interface);
void attach_xdp(int program, const char *interface);

enum program_at {
	PROGRAM_XDP,
	PROGRAM_IN,  /* tcx */
	PROGRAM_OUT, /* tcx */
};

/* The first program on an interface, of whoever has attached it; -1: none. */
int program_on(const char *interface, enum program_at where);
