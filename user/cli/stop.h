/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Being asked to stop. SIGINT and SIGTERM are blocked in all threads that are started later, so that
 * nothing is ever interrupted halfway; a thread of its own takes them. The first two can be read
 * from a file descriptor. The third one ends the process at once, whatever it waits for: a reader
 * that does not read, say.
 *
 * SIGHUP, where it is taken, asks for something else: that what is configured be read again.
 *
 * A struct kl_stop owns the thread, which gives up all privileges. One at a time.
 */
#pragma once

#include <stdbool.h>

struct kl_stop;

/* hangup: takes SIGHUP, too; else it does what it did before. */
int kl_stop_open(bool hangup, struct kl_stop **ret);
void kl_stop_close(struct kl_stop *s); /* NULL is fine */

/* Readable when there was a signal that is not taken yet. */
int kl_stop_fd(const struct kl_stop *s);
int kl_stop_hangup_fd(const struct kl_stop *s); /* the same for SIGHUP; < 0: it is not taken */
/* Takes one signal that asks for the end; false: there is none. */
bool kl_stop_take(struct kl_stop *s);
/* Takes SIGHUP, however often it came; false: it did not. */
bool kl_stop_take_hangup(struct kl_stop *s);
