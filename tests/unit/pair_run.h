/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs two streams of sightings through the two-clock join, as a reader of two captures does. */
#pragma once

#include <stddef.h>

#include "core/pair.h"

struct pair_stream {
	struct kl_sighted *s;
	size_t count;
	size_t room;
	uint64_t began_ns, ended_ns; /* of the capture; 0: with the first, the last sighting */
};

void pair_stream_add(struct pair_stream *t, const struct kl_sighted *s);
void pair_stream_free(struct pair_stream *t);

typedef void (*pair_take_fn)(void *arg, const struct kl_paired *item);

/* Feeds both streams in the order that the join asks for, and finishes. */
void pair_run(struct kl_pair *p, const struct pair_stream stream[KL_SIDES], pair_take_fn take,
	      void *arg);
