/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every other header here stands on: fixed-width types and byte access that mean the same in
 * a BPF program, in the program's user space, in the tests and in the fuzzers. Nothing here (or in
 * any header of this directory) reads a clock, calls a helper or allocates.
 */
#pragma once

#include <linux/types.h>

#ifdef __bpf__
/* No libc behind a BPF program. */
typedef _Bool bool;
#define NULL ((void *)0)
#define true 1
#define false 0
#define KL_INLINE static inline __attribute__((always_inline, unused))
#define KL_UNROLL _Pragma("unroll")
/* From here on the compiler knows nothing of v: a bound that follows is really checked. */
#define KL_FORGET(v) __asm__ volatile("" : "+r"(v))
#else
#include <stdbool.h>
#include <stddef.h>
#define KL_INLINE static inline __attribute__((unused))
#define KL_UNROLL
#define KL_FORGET(v) ((void)(v))
#endif

#define KL_NS_PER_MS 1000000ULL
#define KL_NS_PER_US 1000ULL

#define KL_MEMCPY(to, from, n) __builtin_memcpy((to), (from), (n))
#define KL_MEMSET(to, v, n) __builtin_memset((to), (v), (n))

/* Big-endian loads from any alignment. */
KL_INLINE __u16 kl_be16(const void *p)
{
	const __u8 *b = p;
	__u32 v = (__u32)b[0] << 8 | b[1];

	/* Up to 6.9 the verifier knows nothing of an OR of two unknown numbers. */
	KL_FORGET(v);
	return v & 0xffff;
}

KL_INLINE __u32 kl_be32(const void *p)
{
	__u32 v;

	KL_MEMCPY(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

KL_INLINE __u32 kl_le32(const void *p)
{
	__u32 v;

	KL_MEMCPY(&v, p, sizeof(v));
	return v;
}

KL_INLINE __u64 kl_le64(const void *p)
{
	__u64 v;

	KL_MEMCPY(&v, p, sizeof(v));
	return v;
}

/* The loads above are written for little-endian hosts, as all of kaloss is. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian hosts only");

/* TCP sequence arithmetic (RFC 9293 §3.4): is a before b, on a circle of 2^32? */
KL_INLINE bool kl_seq_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}
