/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Switches that send no traps are asked: their forwarding table and their ageing times, by SNMP,
 * without ever waiting for an answer.
 *
 * A struct kl_switch_poll owns its sockets. In its statistics refused counts the rounds that got no
 * answer, too: a switch does not answer a wrong community.
 */
#pragma once

#include "source/fdb.h"
#include "source/input.h"

enum {
	KL_SWITCHES_MAX = 32,
};

struct kl_switch_poll_config {
	/*
	 * ADDRESS[:PORT][@VLAN][,…]. @VLAN: of switches that have a table for each VLAN, asked for as
	 * community@VLAN, or in the context vlan-VLAN.
	 */
	const char *switches;
	const char *community; /* of v2c; NULL: that of the file, or "public" */
	const char
		*auth_file; /* v3 with the first user in it, see trap.h; none in it, or NULL: v2c */
	uint64_t interval_ns;
};

struct kl_switch_poll;

/* Is it a list of switches, as above? */
int kl_switch_poll_check(const char *switches, struct kl_error *err);
int kl_switch_poll_open(const struct kl_switch_poll_config *config, struct kl_switch_poll **ret,
			struct kl_error *err);
void kl_switch_poll_close(struct kl_switch_poll *p); /* NULL is fine */
int kl_switch_poll_fd(const struct kl_switch_poll *p);
/* Sends what is due at now_ns (CLOCK_MONOTONIC), takes what came. Never waits. */
int kl_switch_poll_drain(struct kl_switch_poll *p, uint64_t now_ns, kl_mac_handler mac,
			 kl_ageing_handler ageing, void *arg);
void kl_switch_poll_stats(const struct kl_switch_poll *p, struct kl_input_stats *ret);
