/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From sightings to sessions: keeps each sighting of the two captures while the join between their
 * clocks works on it, and when it comes back, settled and in order, follows its connection as the
 * kernel does live. With a single capture there is nothing to join, and each sighting is followed
 * at once.
 *
 * A struct kl_replay owns what it keeps: a ring of sightings that grows with what is held, up to a
 * bound. The sessions belong to the caller.
 */
#pragma once

#include "core/follow.h"
#include "core/pair.h"
#include "core/session.h"
#include "core/sight.h"

struct kl_replay;

struct kl_replay_config {
	struct kl_sessions *sessions;
	size_t max_kept;  /* sightings; 0: 1 Mi */
	size_t max_conns; /* 0: 64 Ki */
};

int kl_replay_new(const struct kl_replay_config *config, struct kl_replay **ret);
void kl_replay_free(struct kl_replay *r); /* NULL is fine */
static inline void kl_replay_freep(struct kl_replay **r)
{
	kl_replay_free(*r);
}

/* Keeps a sighting with its segment. Sets sight->sighted.cookie. -ENOMEM. */
int kl_replay_keep(struct kl_replay *r, struct kl_sight *sight, const struct kl_segment *segment,
		   uint64_t reference);

/* The caller's reference of what is kept under a cookie. 0: not kept any more. */
uint64_t kl_replay_reference(const struct kl_replay *r, uint64_t cookie);

/* A capture has a gap up to this time (access clock): sessions are told when they come to it. */
void kl_replay_gap(struct kl_replay *r, uint64_t until_ns);

/* A settled segment of two captures, in the order in which kl_pair_next() gives them. */
int kl_replay_paired(struct kl_replay *r, const struct kl_paired *paired);

/* A sighting of a single capture. Nothing of it is kept. */
int kl_replay_alone(struct kl_replay *r, const struct kl_sight *sight,
		    const struct kl_segment *segment, bool *ret_retransmission,
		    bool *ret_duplicate);
