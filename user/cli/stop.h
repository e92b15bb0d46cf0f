/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Being asked to stop. SIGINT and SIGTERM are blocked in all threads that are started later, so that
 * nothing is ever interrupted halfway; a thread of its own takes them. The first two can be read
 * from a file descriptor. The third one ends the process at once, whatever it waits for: a reader
 * that does not read, say.
 *
 * A struct kl_stop owns the thread. One at a time.
 */
#pragma once

#include <stdbool.h>

struct kl_stop;

int kl_stop_open(struct kl_stop **ret);
void kl_stop_close(struct kl_stop *s); /* NULL is fine */

/* Readable when there was a signal that is not taken yet. */
int kl_stop_fd(const struct kl_stop *s);
/* Takes one signal; false: there is none. */
bool kl_stop_take(struct kl_stop *s);
