/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What watch keeps beside its records (--history): hands on what the run finds, and fetches what
 * nobody tells by itself. NULL is fine everywhere: there is none then. Errors are printed.
 */
#pragma once

#include "cli/run.h"
#include "history/history.h"

struct kl_watch_history;

/* *ret stays NULL where the options name none. */
int kl_watch_history_open(const struct kl_options *o, struct kl_watch_history **ret);
void kl_watch_history_close(struct kl_watch_history *w);

/* To be told of what happens. NULL where there is none. */
struct kl_history *kl_watch_history_of(struct kl_watch_history *w);
void kl_watch_history_tick(struct kl_watch_history *w, struct kl_run *run,
			   const struct kl_report_tick *tick);
/* After the last tick of a run that ended in good order. */
void kl_watch_history_end(struct kl_watch_history *w, struct kl_run *run);
