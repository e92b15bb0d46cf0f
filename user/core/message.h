/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a signalling message says of the phone and of its registration: the payloads of
 * KL_EVENT_PAYLOAD. Reads bytes of strangers: bounds-checked, and what is odd is not known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/phones.h"

enum {
	KL_FAILURE_TEXT = 64
};

enum kl_message_type {
	KL_MESSAGE_OTHER,
	KL_MESSAGE_REGISTER,   /* SCCP Register, SIP REGISTER */
	KL_MESSAGE_REGISTERED, /* SCCP RegisterAck, SIP 2xx */
	KL_MESSAGE_REJECTED,   /* SCCP RegisterReject */
	KL_MESSAGE_UNREGISTER, /* SCCP Unregister, SIP REGISTER with Expires 0 */
	KL_MESSAGE_RESET,      /* SCCP Reset: the server restarts the phone */
	KL_MESSAGE_ALARM,      /* SCCP Alarm: the phone's word for its last failure */
	KL_MESSAGE_TYPES,
};

struct kl_message {
	enum kl_message_type type;
	char device[KL_DEVICE_NAME];   /* empty: not named */
	char failure[KL_FAILURE_TEXT]; /* Alarm: "Last=" of its text; empty: none */
	uint32_t keepalive_s;	       /* RegisterAck; 0: not said */
	uint32_t secondary_keepalive_s;
	uint32_t expires_s; /* SIP, of the header; 0: not said */
	bool has_expires;
	uint32_t cseq;	/* SIP; 0: not said */
	bool is_backup; /* SIP REGISTER with cisco-keep-alive */
};

/* Reads the first message that tells something; several may share a segment (SCCP). */
void kl_read_message(const uint8_t *payload, size_t len, struct kl_message *ret);
