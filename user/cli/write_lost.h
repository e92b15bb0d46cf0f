/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lost segments of a diagnosis with their neighbours, as a pcapng: the captures are read once
 * more, and of each connection with a loss all segments about that time are copied as they are.
 */
#pragma once

#include <stdio.h>

#include <kaloss/parse.h>

#include "core/diagnosis.h"
#include "util/error.h"

struct kl_write_lost {
	const struct kl_diagnosis *diagnosis; /* finished */
	const struct kl_ports *ports;
	struct {
		const char *const *paths; /* files that can be opened once more */
		size_t count;		  /* 0: there is no capture of this side */
	} side[KL_SIDES];
};

/* Where a loss was seen, in one number. Never 0. */
static inline uint64_t kl_lost_reference(uint32_t side, size_t file, uint64_t packet)
{
	return (uint64_t)side << 63 | (uint64_t)(file & 0xffff) << 47 |
	       (packet & ((1ULL << 47) - 1));
}

/* err tells only what the captures did; a fault of `out` is the errno that is returned. */
int kl_write_lost(const struct kl_write_lost *from, FILE *out, struct kl_error *err);
