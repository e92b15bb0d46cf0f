/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the segments of one capture to sightings: which way each goes, which connection it is of,
 * what is in it. Keeps per connection only what that takes: which end is the phone, where the next
 * SCCP message begins, and the first part of a SIP message that goes on in the next segment.
 *
 * A struct kl_sighter owns its connections, at most as many as it was told; the longest silent one
 * makes room, and is then met anew.
 */
#pragma once

#include <stddef.h>

#include "core/message.h"
#include "core/pair.h"

#include <kaloss/classify.h>

struct kl_sighter;

struct kl_sighter_config {
	uint32_t side; /* enum kl_side */
	uint64_t seed; /* of the hashes: the same for both sides */
	const struct kl_ports *ports;
	size_t max_conns; /* 0: 64 Ki */
};

/* A segment as it was captured. */
struct kl_sight_input {
	uint64_t time_ns;
	const struct kl_segment *segment;
	const uint8_t *payload;
	uint32_t have; /* bytes at payload; fewer than segment->payload_len: it was cut */
	bool is_fragment;
};

struct kl_sight {
	struct kl_sighted sighted; /* all but the cookie */
	uint32_t service;	   /* enum kl_service */
	uint32_t tells;		   /* enum kl_tells; where it tells something: */
	struct kl_message message;
	bool unclassified; /* cut too short to tell what is in it */
	/* It acknowledges the last keepalive or answer of the other direction, as the first to do so,
	 * or just that. */
	bool acknowledges;
};

int kl_sighter_new(const struct kl_sighter_config *config, struct kl_sighter **ret);
void kl_sighter_free(struct kl_sighter *s); /* NULL is fine */
static inline void kl_sighter_freep(struct kl_sighter **s)
{
	kl_sighter_free(*s);
}

/* -ENOMEM. */
int kl_sighter_see(struct kl_sighter *s, const struct kl_sight_input *in, struct kl_sight *ret);

uint64_t kl_sighter_evicted(const struct kl_sighter *s);

/*
 * Does it say anything of a keepalive or an answer: is it one, or does it acknowledge one, or begin
 * or end its connection? Of the rest nobody elsewhere has to know.
 */
bool kl_sight_matters(const struct kl_sight *s);

/* How a sighting's contents are hashed; never 0. */
uint64_t kl_sight_hash(uint64_t seed, const uint8_t *bytes, size_t len);
