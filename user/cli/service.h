/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a service manager is told that starts kaloss with Type=notify (libsystemd, $NOTIFY_SOCKET).
 * Without one nothing is said. Owns nothing.
 */
#pragma once

#include "cli/run.h"

/*
 * All is in place, and each interval something will be heard of us. An interval that is long for the
 * manager's watchdog makes its patience longer.
 */
void kl_service_ready(uint64_t interval_ns);
/* An interval was looked at. */
void kl_service_tick(const struct kl_run *run, const struct kl_report_tick *tick);
void kl_service_alive(void);	 /* the same, of which there is nothing to tell */
void kl_service_reloading(void); /* until kl_service_ready() */
void kl_service_stopping(void);
