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

/*
 * Loads from any alignment. The verifier allows them where the processor does, which is wherever
 * kaloss runs; but clang makes a memcpy() of a BPF program byte by byte.
 */
#ifdef __bpf__
typedef __u16 __attribute__((may_alias)) kl_any16;
typedef __u32 __attribute__((may_alias)) kl_any32;
typedef __u64 __attribute__((may_alias)) kl_any64;
#define KL_LOAD(bits, to, from) (*(to) = *(const kl_any##bits *)(from))
#else
#define KL_LOAD(bits, to, from) KL_MEMCPY((to), (from), (bits) / 8)
#endif

/* Copies to any alignment, for the same reason. */
KL_INLINE void kl_copy4(void *to, const void *from)
{
#ifdef __bpf__
	*(kl_any32 *)to = *(const kl_any32 *)from;
#else
	KL_MEMCPY(to, from, 4);
#endif
}

KL_INLINE void kl_copy_mac(__u8 *to, const __u8 *from)
{
#ifdef __bpf__
	*(kl_any32 *)to = *(const kl_any32 *)from;
	*(kl_any16 *)(to + 4) = *(const kl_any16 *)(from + 4);
#else
	KL_MEMCPY(to, from, 6);
#endif
}

KL_INLINE __u16 kl_be16(const void *p)
{
	__u16 v;
	__u32 host;

	KL_LOAD(16, &v, p);
	host = __builtin_bswap16(v);
	/* The verifier of 6.1 knows nothing of a number whose bytes were swapped. */
	KL_FORGET(host);
	return host & 0xffff;
}

KL_INLINE __u32 kl_be32(const void *p)
{
	__u32 v;

	KL_LOAD(32, &v, p);
	return __builtin_bswap32(v);
}

KL_INLINE __u32 kl_le32(const void *p)
{
	__u32 v;

	KL_LOAD(32, &v, p);
	return v;
}

KL_INLINE __u64 kl_le64(const void *p)
{
	__u64 v;

	KL_LOAD(64, &v, p);
	return v;
}

/* The loads above are written for little-endian hosts, as all of kaloss is. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian hosts only");

/* TCP sequence arithmetic (RFC 9293 §3.4): is a before b, on a circle of 2^32? */
KL_INLINE bool kl_seq_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}
