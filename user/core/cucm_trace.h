/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Call server traces (SDL and SDI text): what the application says it received of phones and sent
 * to them, as far as it keeps them registered. Pure; reads bytes of strangers.
 *
 * A struct kl_trace_lines owns its lists; a struct kl_trace_parser fills one, which must live as
 * long. Lines beyond the bounds are counted only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/evidence.h"

enum {
	KL_TRACE_LINES = 1 << 20,
	KL_TRACE_PEERS = 1 << 16,
	KL_TRACE_LINE_BYTES = 4096, /* what a line has beyond this is not looked at */
	KL_TRACE_NO_PEER = UINT32_MAX,
};

/* Who is at the other end, as far as any line tells. */
struct kl_trace_peer {
	struct kl_address address; /* family 0: not told */
	uint16_t port;		   /* 0: not told */
	char device[KL_DEVICE_NAME];
	char handle[20]; /* SCCP: "0x4fbbc30", "0000114"; empty: SIP */
};

/* A keepalive that came in, or an answer that went out. */
struct kl_trace_line {
	/*
	 * Local time. Counted from 1970 where a date tells the day (struct kl_trace_lines, dated),
	 * else from the midnight before the day before the first line.
	 */
	uint64_t time_ns;
	uint32_t said_s; /* SIP: its Date header, seconds since 1970; 0: none */
	uint32_t peer;	 /* index */
	uint8_t direction;
	uint8_t kind; /* enum kl_kind */
};

/* From a file's first line to its last, whatever they are about. */
struct kl_trace_span {
	uint64_t first_ns, last_ns;
};

struct kl_trace_lines {
	KL_EVIDENCE_LIST(struct kl_trace_line) line;
	KL_EVIDENCE_LIST(struct kl_trace_peer) peer;
	KL_EVIDENCE_LIST(struct kl_trace_span) span;
	bool dated;
	int64_t ahead_ns; /* the caller's to say: the segments' clock less real time */
	uint64_t read;	  /* lines in the files */
	uint64_t malformed;
	char complaint[160]; /* the first malformed one, with its number in its file */
};

void kl_trace_lines_done(struct kl_trace_lines *lines);

struct kl_trace_parser;

int kl_trace_parser_new(struct kl_trace_lines *into, struct kl_trace_parser **ret); /* -ENOMEM */
void kl_trace_parser_free(struct kl_trace_parser *p); /* NULL is fine */
static inline void kl_trace_parser_freep(struct kl_trace_parser **p)
{
	kl_trace_parser_free(*p);
}

/* Takes any number of bytes of a file. -ENOMEM. */
int kl_trace_parser_feed(struct kl_trace_parser *p, const char *data, size_t len);
/* The file is at its end; the next one may follow. Files come in the order of their time. */
int kl_trace_parser_end_file(struct kl_trace_parser *p);
