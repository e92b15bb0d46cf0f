/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A scene that is kept in a history as it is told, read back, and compared: the verdict must be the
 * same. Used by unit tests and random histories.
 */
#pragma once

#include "history/load.h"
#include "scene.h"

struct kept {
	struct scene *scene;
	char path[64]; /* a file of its own, in memory */
	struct kl_history_config config;
	struct kl_counters counters;
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES]; /* told so far */
	uint64_t now_ns;
	size_t rules;			      /* told */
	struct kl_finding finding[KL_CAUSES]; /* of the history */
	struct kl_history_view view;
};

#define KEPT_OFFSET (1700000000ULL * KL_NS_PER_S)

/* Before anything is told. Aborts where there is no file. */
void kept_begin(struct kept *k, struct scene *s);
/* A tick so much later. */
void kept_tick(struct kept *k, uint64_t later_ns);
/* Before the scene is concluded: with what the scene was told by the way. */
void kept_end(struct kept *k);
/* After it: reads the history. Returns how many differences there are, and prints them. */
unsigned kept_compare(struct kept *k);
void kept_done(struct kept *k);
