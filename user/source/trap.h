/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SNMP traps and informs of switches (v1, v2c, v3 with authentication; net-snmp): what they say of
 * MAC addresses and of the spanning tree.
 *
 * A struct kl_trap owns its sockets. There can be one in a process (net-snmp's tables are global).
 */
#pragma once

#include "source/fdb.h"
#include "source/input.h"

struct kl_trap_config {
	const char *address;   /* ADDRESS:PORT, [ADDRESS6]:PORT or PORT */
	const char *community; /* of v1 and v2c; NULL: that of the file, or any */
	/*
	 * NULL: no v3. A file with one user a line: NAME AUTH-PROTOCOL AUTH-KEY [PRIV-PROTOCOL
	 * PRIV-KEY] [ENGINE-ID]; and "community TEXT". Keys never come on the command line.
	 */
	const char *auth_file;
};

struct kl_trap;

/* Is it an address to listen at? Whether it can be had is not asked. */
int kl_trap_check_address(const char *text, struct kl_error *err);
int kl_trap_open(const struct kl_trap_config *config, struct kl_trap **ret, struct kl_error *err);
void kl_trap_close(struct kl_trap *t);	 /* NULL is fine */
int kl_trap_fd(const struct kl_trap *t); /* readable when there is something to drain */
/* Never waits, and takes a bounded number at a time. Times are CLOCK_MONOTONIC. */
int kl_trap_drain(struct kl_trap *t, kl_mac_handler handler, void *arg);
void kl_trap_stats(const struct kl_trap *t, struct kl_input_stats *ret);
