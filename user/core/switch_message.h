/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a switch's syslog message says of its MAC table: Cisco's messages on hosts that move, port
 * security and spanning tree, told by the mnemonic alone (the severity differs by system). Pure;
 * reads bytes of strangers: bounds-checked.
 *
 * An ordinary age-out is never logged: nothing of it is ever learnt here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/evidence.h"

/* text: from the mnemonic on, as core/syslog_line.h gives it. False: it says nothing of use. */
bool kl_switch_message_read(const char *text, size_t len, struct kl_mac_evidence *ret);

/* 0015.5d91.8502, 00:15:5d:91:85:02, 00-15-5D-91-85-02: how many characters; 0: it is none. */
size_t kl_read_mac(const char *text, size_t len, uint8_t ret_mac[6]);
