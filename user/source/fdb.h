/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The MAC tables of this host's bridges: what is learned, moves, ages out or is flushed, by netlink.
 *
 * A struct kl_fdb owns its socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/evidence.h"
#include "util/error.h"

struct kl_fdb;

typedef void (*kl_mac_handler)(const struct kl_mac_evidence *m, void *arg);
typedef void (*kl_ageing_handler)(const struct kl_ageing_evidence *a, void *arg);

/* Of the bridges of which these interfaces are ports, now or later. */
int kl_fdb_open(const unsigned *ifindexes, size_t count, struct kl_fdb **ret, struct kl_error *err);
/* The same interfaces, in the same order, by the indexes that they have now. */
int kl_fdb_move(struct kl_fdb *f, const unsigned *ifindexes, size_t count);
void kl_fdb_close(struct kl_fdb *f); /* NULL is fine */
int kl_fdb_fd(const struct kl_fdb *f);
/* Is any of the interfaces a port of a bridge? */
bool kl_fdb_has_bridge(const struct kl_fdb *f);
/*
 * Never waits. Returns how many there were. -ENOBUFS: the kernel had no room for some of them; the
 * tables were read anew, and what they tell was handed over, too: it happened since earliest_ns, and
 * whether a MAC that is gone was flushed or had aged is not known. The next call goes on.
 */
int kl_fdb_drain(struct kl_fdb *f, kl_mac_handler handler, void *arg);
/* The ageing times that are set on these bridges now. */
int kl_fdb_ageing(struct kl_fdb *f, kl_ageing_handler handler, void *arg);
