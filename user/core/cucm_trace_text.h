/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What single lines of a call server's trace say, and the SIP messages behind them: for
 * core/cucm_trace.c. Lines are text and end with a zero; all of it may be a stranger's.
 */
#pragma once

#include "core/cucm_trace.h"

enum kl_trace_read {
	KL_TRACE_NOTHING, /* nothing of the kind */
	KL_TRACE_GOT,
	KL_TRACE_ODD, /* it begins like it and cannot be */
};

struct kl_trace_stamp {
	uint64_t tod_ns;  /* time of day */
	uint64_t day_s;	  /* midnight, as if local time were GMT, since 1970; 0: no date */
	const char *text; /* behind it */
};

/* A line that begins something has the time in its first columns, and a bar behind it. */
enum kl_trace_read kl_trace_read_stamp(const char *line, struct kl_trace_stamp *ret);

struct kl_trace_saying {
	struct kl_trace_peer peer;
	uint8_t direction;
	uint8_t kind;	  /* KL_OTHER: it only tells who the peer is */
	bool sip_follows; /* a message, in the lines behind */
};

enum kl_trace_read kl_trace_read_line(const char *text, struct kl_trace_saying *ret);

struct kl_trace_sip {
	uint8_t kind; /* KL_OTHER: it does not keep a phone registered */
	uint32_t date_s;
	uint64_t identity; /* of the message: equal ones are the same message; 0: none */
	char device[KL_DEVICE_NAME];
};

/* False: it is no SIP message. */
bool kl_trace_read_sip(const char *message, size_t len, struct kl_trace_sip *ret);
