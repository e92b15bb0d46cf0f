/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables behind core/arp.h; no one else includes this. */
#pragma once

#include "core/arp.h"
#include "util/table.h"

/* A claimant that was silent for so long is history: it may make room, and it is forgotten what it
 * answered together with others. */
#define KL_ARP_LONG_AGO_NS (600 * 1000 * KL_NS_PER_MS)

enum {
	KL_ARP_NOBODY = -1,
};

/* All keys are hashed and compared as bytes: no padding that is not zero. */
struct kl_arp_watch {
	struct kl_address address;
	bool server;
	bool in_conflict;
	UT_hash_handle hh;
};

struct kl_arp_place_key {
	uint32_t address[4];
	uint16_t family;
	uint16_t vlan;
};

struct kl_arp_claimant {
	uint64_t since_ns;
	uint64_t last_ns;
	uint32_t answers;
	uint32_t first_answers;
	uint8_t mac[6];
	bool is_virtual;
	bool in_conflict;
};

/* An address in a VLAN. Claimants keep their index. */
struct kl_arp_place {
	struct kl_arp_place_key key;
	uint64_t birth; /* one of its own: a place may make room and come back */
	struct kl_arp_claimant claimant[KL_ARP_MACS];
	int count;
	/* requests that two of them answered, since the last long time without */
	uint32_t both[KL_ARP_MACS][KL_ARP_MACS];
	uint64_t both_ns[KL_ARP_MACS][KL_ARP_MACS];
	int current, before; /* who answered last, and who did until then; or KL_ARP_NOBODY */
	uint64_t before_ns;  /* last answer of that one */
	uint64_t takeover_ns;
	uint64_t grace_ns; /* until then both may answer: one is taking over */
	/* the conflict */
	uint64_t first_ns; /* 0: none */
	uint64_t time_ns;
	uint64_t told_ns;
	uint32_t requests;
	int first, told_first;
	UT_hash_handle hh;
};

struct kl_arp_pending_key {
	struct kl_arp_place_key place;
	uint32_t asker[4];
};

/* A request, and who answered. */
struct kl_arp_pending {
	struct kl_arp_pending_key key;
	uint64_t start_ns;
	uint64_t first_ns;
	uint64_t birth;	   /* of the place whose claimants answered; 0: none yet */
	unsigned answered; /* a bit each */
	int first;
	bool counted;
	UT_hash_handle hh;
};

struct kl_arp {
	struct kl_arp_config config;
	struct kl_arp_watch *watches;
	struct kl_arp_place *places;
	struct kl_arp_pending *pending;
	struct kl_arp_stats stats;
	uint64_t births;
};

_Static_assert(sizeof(struct kl_arp_pending_key) == 36 && sizeof(struct kl_arp_place_key) == 20,
	       "no padding");

struct kl_address kl_arp_address(uint8_t family, const uint32_t word[4]);
struct kl_arp_watch *kl_arp_find_watch(struct kl_arp *a, const struct kl_address *address);
/* -ENOMEM, -ENOSPC. */
int kl_arp_add_watch(struct kl_arp *a, const struct kl_address *address, bool server);
/* NULL and 0: there is no room for it. */
int kl_arp_get_place(struct kl_arp *a, const struct kl_arp_place_key *key,
		     struct kl_arp_place **ret);
/* Its index, or KL_ARP_NOBODY where there is no room. */
int kl_arp_get_claimant(struct kl_arp *a, struct kl_arp_place *p, const uint8_t mac[6],
			uint64_t now_ns);
struct kl_arp_pending_key kl_arp_pending_key(const struct kl_arp_place_key *place,
					     const uint32_t asker[4]);
/* NULL: there is none that may still be answered. */
struct kl_arp_pending *kl_arp_find_pending(struct kl_arp *a, const struct kl_arp_pending_key *key,
					   uint64_t now_ns);
/* Anew, in place of an earlier one. */
int kl_arp_open_pending(struct kl_arp *a, const struct kl_arp_pending_key *key, uint64_t now_ns,
			struct kl_arp_pending **ret);
