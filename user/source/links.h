/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interfaces that go down, come up, go away, come back or are renamed, by rtnetlink. They are known
 * by the names that were asked for. Whoever judges losses drains this first: a change that the
 * kernel queued before must be known by then.
 */
#pragma once

#include <linux/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

struct kl_links;

enum kl_link_state {
	KL_LINK_UP,
	KL_LINK_DOWN,
	KL_LINK_GONE,	 /* deleted, or moved to another network namespace */
	KL_LINK_RENAMED, /* to `called`; back to its name, where both are the same */
};

struct kl_link_change {
	unsigned ifindex;
	char interface[IFNAMSIZ]; /* as it was asked for */
	char called[IFNAMSIZ];	  /* as it is called now */
	enum kl_link_state state;
};

/* Watches the interfaces of these names. */
int kl_links_open(const char (*names)[IFNAMSIZ], size_t count, struct kl_links **ret,
		  struct kl_error *err);
void kl_links_close(struct kl_links *l); /* NULL is fine */
static inline void kl_links_closep(struct kl_links **l)
{
	kl_links_close(*l);
}

int kl_links_fd(const struct kl_links *l);

/*
 * Takes all that is queued. Returns the number of changes (the handler is called for each), or a
 * negative errno; -ENOBUFS: changes were lost, anything may have happened, and how things stand
 * now was read anew (the handler was told of what has changed since).
 */
typedef void (*kl_link_handler)(const struct kl_link_change *change, void *arg);
int kl_links_drain(struct kl_links *l, kl_link_handler handler, void *arg);
