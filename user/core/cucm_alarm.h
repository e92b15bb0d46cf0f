/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an alarm of CUCM says, as it comes by syslog: whose it is and why. Each kind of alarm has a
 * table of reasons of its own, in which the same number means something else. Pure; reads bytes of
 * strangers: bounds-checked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/evidence.h"

/*
 * text: from the mnemonic on, as core/syslog_line.h gives it. False: this is no alarm of CUCM that
 * concerns a device. ret->time_ns stays 0.
 */
bool kl_cucm_alarm_read(const char *text, size_t len, struct kl_alarm *ret);

/* NULL: alarms of this name have no such reason that is known. */
const char *kl_cucm_reason_name(const char *alarm, int reason);

enum {
	KL_CUCM_REASONS_MAX = 64,
};

/* The names of all reasons that are known, of whichever alarm, each once. Returns how many. */
size_t kl_cucm_reasons(const char *ret[KL_CUCM_REASONS_MAX]);
