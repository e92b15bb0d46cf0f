/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The record that a partition's owner keeps in the stream of owners: who owns it, how far it is
 * settled, what was counted, and what is to be published of that. A write of it is the commit: each
 * must know the one before, so whoever was thought dead and comes back cannot write. What it says is
 * to be published is published again by the next owner; its ids make one of both.
 *
 * What is read of it is taken for a stranger's.
 */
#pragma once

#include <jansson.h>

#include "core/site_counts.h"
#include "core/subject.h"
#include "util/error.h"
#include "util/hash.h"

enum {
	KL_JOIN_SITES_MAX = 65536,
	KL_JOIN_RECORD_BYTES = 960 << 10, /* a server takes 1 MiB, if it is not told otherwise */
	KL_JOIN_OUT_BYTES = 640 << 10,	  /* of what is to be published, in one record */
	KL_JOIN_OUT_BYTES_MIN = 32 << 10,
	KL_JOIN_ID = 24,
};

struct kl_join_site {
	char name[KL_TOKEN_SIZE];
	struct kl_site_counts total;
	struct kl_site_counts untold; /* in no tick yet */
	struct kl_site_counts fresh;  /* not committed */
	size_t conns;		      /* as of the last tick */
	UT_hash_handle hh;
};

/* A record to be published. */
struct kl_join_out {
	char id[KL_JOIN_ID];
	char site[KL_TOKEN_SIZE];
	char *text;
	bool sent, acked;
};

struct kl_join_outs {
	struct kl_join_out *of;
	size_t count, room, bytes;
};

struct kl_join_state {
	char owner[KL_TOKEN_SIZE]; /* empty: nobody */
	uint64_t generation;	   /* of owners */
	uint64_t number;	   /* of commits */
	uint32_t partitions;	   /* 0: not known yet */
	uint32_t rule;
	struct kl_sites_point point;
	struct kl_sites_cut *cuts;
	size_t cut_count, cut_room;
	struct kl_join_site *sites;
	struct kl_join_outs outs;
};

void kl_join_state_done(struct kl_join_state *s);
/* NULL: no memory. */
struct kl_join_site *kl_join_state_site(struct kl_join_state *s, const char *name);
int kl_join_state_cut(struct kl_join_state *s, const struct kl_sites_cut *cut);
/* Takes the record; NULL is no memory, as is what it returns: -ENOMEM. */
int kl_join_outs_add(struct kl_join_outs *o, const char *id, const char *site, json_t *record);
void kl_join_outs_clear(struct kl_join_outs *o);

/* With the fresh counts in it. NULL: no memory. */
char *kl_join_state_write(const struct kl_join_state *s);
/* -EBADMSG: it is none; -EPROTO: of another version. */
int kl_join_state_read(const char *text, struct kl_join_state *ret, struct kl_error *err);
/* Only who owns it, of which generation and number. */
int kl_join_state_peek(const char *text, struct kl_join_state *ret);
