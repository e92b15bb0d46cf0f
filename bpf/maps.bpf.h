/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps and global variables of kaloss.bpf.c, and nothing else. Sizes marked "set at load" are
 * placeholders that user space replaces before loading.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <kaloss/arp.h>
#include <kaloss/conns.h>
#include <kaloss/macs.h>
#include <kaloss/narrate.h>

/* Read-only once loaded; the verifier takes its scalars for constants. */
const volatile struct kl_settings kl_settings = {};
const volatile struct kl_ports kl_ports = {};

/* Written by user space while the programs run. */
struct kl_control kl_control = {};

/* Connections by their number, and the index of numbers by kl_endpoints_hash(): see conns.bpf.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* for that begins at a page, and so at a cache line */
	__uint(max_entries, 1);		   /* set at load */
	__type(key, __u32);
	__type(value, struct kl_conn);
} kl_conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2); /* set at load */
	__type(key, __u32);
	__type(value, struct kl_conn_bucket);
} kl_conn_index SEC(".maps");

/* Numbers of connections that are gone. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1); /* set at load */
	__uint(value_size, sizeof(__u32));
} kl_conn_free SEC(".maps");

/* The join: max_entries / KL_WAYS buckets of an open hash table. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set at load */
	__type(key, __u32);
	__type(value, struct kl_bucket);
} kl_join SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kl_counters);
} kl_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2); /* by kl_control.max_slot */
	__type(key, __u32);
	__type(value, struct kl_maxima);
} kl_maxima SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* set at load */
} kl_events SEC(".maps");

/* A flood of ARP fills this one, and leaves the narrative alone. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} kl_arp_events SEC(".maps");

/* By kl_arp_hash(). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KL_ARP_TOLD);
	__type(key, __u32);
	__type(value, struct kl_arp_told);
} kl_arp_told SEC(".maps");

/* When each phone's MAC was heard last. An array, for its lookup needs no call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load */
	__type(key, __u32);
	__type(value, struct kl_mac_bucket);
} kl_macs SEC(".maps");

/* What the join is asked, and what it says: see join() in follow.bpf.h. */
struct kl_join_call {
	struct kl_join_key key;
	struct kl_join_sighting sighting;
	struct kl_join_result result; /* out */
	__u64 conn_id;	     /* in: of the sighting; out: of the entry before this sighting */
	__u64 memory_ns;     /* near: last copy of this segment, should the entry be gone */
	__u32 tag;	     /* kl_join_tag() of the key */
	__u16 memory_copies; /* near: how many copies there were */
	__u8 kind;	     /* in: for a new entry; out: the entry's */
	bool insert;	     /* make an entry where there is none */
	bool only_pending;   /* leave settled entries alone */
	bool found;	     /* out */
	bool full;	     /* out */
};

/*
 * What is known of a segment on its way through follow.bpf.h. In the scratch, for the verifier tells
 * two states of the stack apart by every number in it, and looks at what follows once for each.
 */
struct kl_known {
	struct kl_sighting at;
	__u64 id;	/* of its connection */
	__u64 join_key; /* of the connection, in the join */
	__u32 kind;
	__u8 service;
	__u8 tells; /* enum kl_tells */
	bool near;
	__u8 pad;
};

/* Room for what is too large for the stack. Hooks of one CPU do not interrupt one another. */
struct kl_scratch {
	__u64 layout; /* see pack_layout() */
	struct kl_segment segment;
	struct kl_endpoints ends; /* of the segment */
	struct kl_known known;
	struct kl_join_call call;
	struct kl_arp_event arp;
	__u8 head[KL_HEAD_BYTES];
	__u8 window[KL_WINDOW_MASK + 1];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kl_scratch);
} kl_scratch SEC(".maps");

/* --nat: which connection sent this SYN, as the access side knows it. */
struct kl_nat_key {
	__u64 cucm; /* kl_cucm_hash() */
	__u64 isn;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* set at load */
	__type(key, struct kl_nat_key);
	__type(value, __u64);
} kl_nat SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kl_sweep);
} kl_sweep SEC(".maps");
