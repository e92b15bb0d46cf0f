/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The live source: the BPF programs on the interfaces, their maps, and what they tell. Behind this
 * header nobody knows libbpf.
 *
 * A struct kl_live owns everything it attached. kl_live_close() detaches all of it; where the
 * kernel has links for it, the end of the process does so too, however it ends.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <kaloss/abi.h>

#include "util/error.h"

enum {
	KL_INTERFACES_MAX = 64,
	KL_PORTS_MAX = 64
};

enum kl_hook_choice {
	KL_HOOK_AUTO,
	KL_HOOK_XDP,
	KL_HOOK_TC
};

struct kl_live_config {
	char interfaces[KL_SIDES][KL_INTERFACES_MAX][16]; /* names */
	size_t interface_count[KL_SIDES];
	uint16_t ports[KL_SERVICES][KL_PORTS_MAX];
	size_t port_count[KL_SERVICES];
	uint64_t deadline_ns;
	uint32_t connections;  /* entries of the connection table */
	uint32_t join_entries; /* rounded up to a power of two */
	uint32_t ring_bytes;   /* rounded up to a power of two, one page at least */
	enum kl_hook_choice hook;
	bool tap;
	bool nat;
	bool tc_filters; /* clsact filters even where the kernel has tcx */
	bool self_cost;	 /* have the kernel measure the programs */
	bool no_idle;	 /* leave out how long each phone was silent */
	bool no_arp;	 /* leave out ARP and neighbour discovery */
};

/* One place where a program sits. */
struct kl_hook {
	char interface[16];
	unsigned ifindex;
	enum kl_side side;
	bool egress;
	const char *how; /* "XDP (native)", "tcx" or "clsact filter" */
	char why[160];	 /* why not XDP, where --hook auto fell back; else empty */
};

struct kl_live;

/*
 * Loads the programs and attaches them. Nothing is recorded before kl_live_start(). The config must
 * outlive it.
 * Errors: -EPERM (err names the missing capabilities), -ENODEV, -EBUSY, … with err's text.
 */
int kl_live_open(const struct kl_live_config *config, struct kl_live **ret, struct kl_error *err);
void kl_live_close(struct kl_live *l); /* NULL is fine */
static inline void kl_live_closep(struct kl_live **l)
{
	kl_live_close(*l);
}

const struct kl_hook *kl_live_hooks(const struct kl_live *l, size_t *ret_count);

/* From now on every segment counts. */
void kl_live_start(struct kl_live *l);
/* No new segment is taken up; those on their way may still arrive. */
void kl_live_drain(struct kl_live *l);
/* A hook may have been blind: nothing that was under way is a loss, each flow is proven anew. */
void kl_live_gap(struct kl_live *l);

enum kl_hook_news {
	KL_HOOK_OFF,	 /* the interface is there, and our program is not, or not first */
	KL_HOOK_REFUSED, /* it cannot be attached again; it is tried again later */
	KL_HOOK_BACK,	 /* all programs of the interface are attached again */
};

/* hook: one of its interface. text: why; of KL_HOOK_BACK how. */
typedef void (*kl_hook_handler)(const struct kl_hook *hook, enum kl_hook_news news,
				const char *text, void *arg);
/*
 * Looks whether each program is still where it was attached, and attaches what is not, as soon as
 * there is an interface of that name. Returns how many interfaces were found without, or have their
 * programs again: as many gaps.
 */
int kl_live_mend(struct kl_live *l, uint64_t now_ns, kl_hook_handler handler, void *arg);
/* How many interfaces are not watched now. Meanwhile nothing may be called lost. */
size_t kl_live_missing(const struct kl_live *l);
/* This interface went away. (It may be back already, by the same number.) */
void kl_live_gone(struct kl_live *l, unsigned ifindex);

/* Hands each record of the ring buffer to the handler. Returns their number. */
typedef void (*kl_event_handler)(const struct kl_event *event, void *arg);
int kl_live_events(struct kl_live *l, kl_event_handler handler, void *arg);
uint64_t kl_live_events_lost(const struct kl_live *l); /* for which there was no room */

/* Hands over what came in of ARP and neighbour discovery. Returns the number of events. */
typedef void (*kl_arp_event_handler)(const struct kl_arp_event *e, void *arg);
int kl_live_arp(struct kl_live *l, kl_arp_event_handler handler, void *arg);
uint64_t kl_live_arp_lost(const struct kl_live *l); /* events for which there was no room */

/* Judges what is past the deadline at now_ns (CLOCK_MONOTONIC); losses go to the handler. */
typedef void (*kl_loss_handler)(const struct kl_judged *judged, void *arg);
int kl_live_sweep(struct kl_live *l, uint64_t now_ns, kl_loss_handler handler, void *arg);

/* Sums over all CPUs. Such that sent >= delivered + lost + unsent, also while packets fly. */
int kl_live_counters(struct kl_live *l, struct kl_counters *ret);
/* The largest times since the last call. */
int kl_live_maxima(struct kl_live *l, struct kl_maxima *ret);

/* Hands every connection in the kernel's table to the handler. It may call kl_live_forget(). */
typedef void (*kl_conn_handler)(uint64_t id, const struct kl_conn *conn, void *arg);
int kl_live_connections(struct kl_live *l, kl_conn_handler handler, void *arg);
void kl_live_forget(struct kl_live *l, uint64_t id);

struct kl_program_cost {
	const char *program;
	uint64_t runs;
	uint64_t run_ns; /* over all runs */
};
/* What the programs cost so far (config.self_cost). Returns how many were filled in. */
size_t kl_live_self_cost(struct kl_live *l, struct kl_program_cost *ret, size_t max);
