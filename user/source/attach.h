/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs on interfaces: each on its hook at the start, and there again when its interface went and
 * came back. Which programs they are is the owner's affair, who is asked for them.
 *
 * A struct kl_attach owns what it attached; kl_attach_done() takes all of it off. Its config must
 * outlive it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "source/hooks.h"
#include "source/live.h"

enum {
	KL_ATTACH_HOOKS = KL_SIDES * KL_INTERFACES_MAX * 2
};

/* An interface that is not watched at the moment, or not whole. */
struct kl_outage {
	uint64_t next_ns;  /* not tried before that */
	uint64_t pause_ns; /* between two tries */
	bool out;
	char why[256]; /* as it was told last */
};

struct kl_attach {
	/* The owner's. */
	const struct kl_live_config *config;
	/* The file descriptor of a program; < 0: it is not loaded. */
	int (*program_fd)(void *arg, enum kl_side side, bool xdp, bool egress);
	/* Loads those for tc ingress, when it runs already and they are needed now. */
	int (*load_tc_ingress)(void *arg);
	void *arg;

	struct kl_hook hooks[KL_ATTACH_HOOKS];
	struct kl_attachment attachments[KL_ATTACH_HOOKS]; /* of hooks[], by index */
	size_t hook_count;
	struct kl_outage outages[KL_SIDES][KL_INTERFACES_MAX]; /* by the config's interfaces */
	bool running;					       /* all were attached once */
	int promisc_fd; /* holds mirror ports in promiscuous mode; -1: none */
};

/* -EAGAIN: the programs for tc ingress are needed, and were not loaded. */
int kl_attach_all(struct kl_attach *a, struct kl_error *err);
void kl_attach_done(struct kl_attach *a);

/* As in live.h. */
int kl_attach_mend(struct kl_attach *a, uint64_t now_ns, kl_hook_handler handler, void *arg);
size_t kl_attach_missing(const struct kl_attach *a);
void kl_attach_gone(struct kl_attach *a, unsigned ifindex);
