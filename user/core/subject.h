/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The names under which agents and joiners find each other's messages: PREFIX.v1.WHAT.… (docs/wire.md).
 * Pure. Where a part is somebody else's, it is looked at before it is used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KL_TOKEN_SIZE = 65, /* of a site's or an agent's name, with the zero behind it */
	KL_SUBJECT_SIZE = 256,
};

#define KL_SUBJECT_PREFIX "kaloss"

/* One to 64 letters, digits, '-' and '_': the name of a site, of an agent, of a joiner. */
bool kl_token_is_valid(const char *text);
/* A name made of one that may not be valid, as a host's: what does not belong in it becomes '-'. */
void kl_token_from(const char *text, char ret[KL_TOKEN_SIZE]);
/* Tokens with dots between them, 64 bytes at most. */
bool kl_subject_prefix_is_valid(const char *prefix);

/* PREFIX.v1.seg.SITE.AGENT.PARTITION: an agent's batches. */
void kl_subject_segments(const char *prefix, const char *site, const char *agent,
			 uint32_t partition, char ret[KL_SUBJECT_SIZE]);
/* PREFIX.v1.beat.SITE.AGENT: its heartbeat. */
void kl_subject_beat(const char *prefix, const char *site, const char *agent,
		     char ret[KL_SUBJECT_SIZE]);

/* PREFIX.v1.inbox.SITE: what the server answers to the site's agents begins so. */
void kl_subject_inbox(const char *prefix, const char *site, char ret[KL_SUBJECT_SIZE]);

struct kl_subject_from {
	char site[KL_TOKEN_SIZE];
	char agent[KL_TOKEN_SIZE];
	uint32_t partition; /* kl_subject_segments() only */
};

/* False: it is none of these. */
bool kl_subject_read_segments(const char *prefix, const char *subject, struct kl_subject_from *ret);
bool kl_subject_read_beat(const char *prefix, const char *subject, struct kl_subject_from *ret);
