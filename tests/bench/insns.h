/* SPDX-License-Identifier: GPL-2.0-only */
/* BPF instructions by name, and a program that is put together of them. */
#pragma once

#include <linux/bpf.h>
#include <stdlib.h>

#define INSN(c, d, s, o, i)                                                                        \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define MOV32_IMM(d, i) INSN(BPF_ALU | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, s) INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define ADD_IMM(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define AND_IMM(d, i) INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define XOR_IMM(d, i) INSN(BPF_ALU64 | BPF_XOR | BPF_K, d, 0, 0, i)
#define MUL_IMM(d, i) INSN(BPF_ALU64 | BPF_MUL | BPF_K, d, 0, 0, i)
#define MOD_IMM(d, i) INSN(BPF_ALU64 | BPF_MOD | BPF_K, d, 0, 0, i)
#define DIV_IMM(d, i) INSN(BPF_ALU64 | BPF_DIV | BPF_K, d, 0, 0, i)
#define RSH_IMM(d, i) INSN(BPF_ALU64 | BPF_RSH | BPF_K, d, 0, 0, i)
#define LOAD(size, d, s, o) INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define STORE(size, d, s, o) INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define ATOMIC_ADD(d, s, o) INSN(BPF_STX | BPF_ATOMIC | BPF_DW, d, s, o, BPF_ADD)
#define TO_BE(d, bits) INSN(BPF_ALU | BPF_END | BPF_TO_BE, d, 0, 0, bits)
#define JLE(d, s, o) INSN(BPF_JMP | BPF_JLE | BPF_X, d, s, o, 0)
#define JNE_IMM(d, i, o) INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define JEQ_IMM(d, i, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

struct code {
	struct bpf_insn insns[192];
	size_t count;
};

static inline void emit(struct code *c, struct bpf_insn insn)
{
	if (c->count == sizeof(c->insns) / sizeof(c->insns[0]))
		abort();
	c->insns[c->count++] = insn;
}

/* Loads the address of a map (BPF_PSEUDO_MAP_FD), or of its first value (BPF_PSEUDO_MAP_VALUE). */
static inline void emit_map(struct code *c, __u8 reg, __u8 what, int fd)
{
	emit(c, INSN(BPF_LD | BPF_DW | BPF_IMM, reg, what, 0, fd));
	emit(c, INSN(0, 0, 0, 0, 0));
}
