/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Captures as a source of segments: the TCP segments on signalling ports in the pcap and pcapng
 * files of one side, in the order of time, and what the files say about what is missing.
 *
 * Pull-style and without global state: two sides may be advanced in turn or each in a thread of its
 * own. A file is read once, in pieces, however large it is. Nothing here judges a segment.
 */
#pragma once

#include <kaloss/parse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct kl_capture;

/* How the reading of a file ended. */
enum kl_capture_end {
	KL_CAPTURE_UNREAD = 0, /* it did not end yet */
	KL_CAPTURE_COMPLETE,
	KL_CAPTURE_TRUNCATED,  /* the file stops in the middle of a packet, or gzip in its data */
	KL_CAPTURE_DAMAGED,    /* what follows is no packet; libpcap cannot go on behind it */
	KL_CAPTURE_UNREADABLE, /* the operating system failed to read on */
};

/* What was counted, of one file or of all. */
struct kl_capture_counts {
	uint64_t packets;
	uint64_t segments;     /* delivered, first fragments included */
	uint64_t cut_packets;  /* shorter in the file than on the wire; mostly that is harmless */
	uint64_t cut_segments; /* segments of which payload is missing for it */
	uint64_t cut_headers;  /* too short to tell whether they are segments */
	uint64_t malformed;    /* headers contradict themselves */
	uint64_t fragments;    /* IP fragments of TCP; only first ones are delivered */
	uint64_t other_links;  /* of an interface with a link type that is not read */
	uint64_t untimed;      /* without a time (simple packet blocks): not delivered */
	uint64_t back_steps;   /* earlier than a packet before them in the file */
	uint64_t back_largest_ns; /* and by how much at most */
	uint64_t dropped;	  /* by the capture, as a pcapng's statistics say */
};

/* Packets that a capture lost by its own account: after from_ns, up to to_ns; 0: not said. */
struct kl_capture_drop {
	uint64_t from_ns;
	uint64_t to_ns;
	uint64_t packets;
};

struct kl_capture_file {
	const char *path;
	enum kl_capture_end end;
	char end_text[256];  /* where it ended early, why; begins with the path */
	uint64_t end_packet; /* the last one that was read, and how many bytes in (unpacked) */
	uint64_t end_bytes;
	uint64_t first_ns; /* earliest and latest of all packets; 0: no packet with a time */
	uint64_t last_ns;
	uint64_t size_bytes; /* 0: not known */
	uint64_t read_bytes; /* of the file as it is, packed or not */
	struct kl_capture_counts counts;
	struct kl_capture_drop *drops; /* while it is read: as its end says, where that was found */
	size_t drop_count;
	bool drops_foretold; /* they were there before its first packet was handed out */
};

/* A segment. Valid, with its payload, until the next call. */
struct kl_captured {
	uint64_t time_ns; /* since 1970, by the clock of the capture */
	struct kl_segment segment;
	const uint8_t *payload;
	uint32_t payload_captured; /* bytes at payload; segment.payload_len were on the wire */
	bool is_cut;		   /* fewer than that */
	bool is_fragment;     /* the first IP fragment of a segment: addresses and numbers hold,
				    * lengths do not */
	const uint8_t *frame; /* all of the packet, as it was captured */
	uint32_t frame_captured;
	uint32_t frame_len; /* on the wire */
	uint16_t link;	    /* LINKTYPE of the frame */
	size_t file;	    /* which of the side's files, as named from 0 */
	uint64_t packet;    /* its number in that file from 1, as Wireshark counts */
};

/*
 * paths: the files of one side, in any order; "-" is standard input. Files whose times overlap are
 * merged, others follow one another. They are opened as their turn comes, but each is looked into
 * here: -EINVAL and others with a text that names the file, if it is no capture that can be read.
 * paths and ports must live as long as the capture.
 */
int kl_capture_open(const char *const *paths, size_t count, const struct kl_ports *ports,
		    struct kl_capture **ret, struct kl_error *err);
void kl_capture_close(struct kl_capture *c); /* NULL is fine */
static inline void kl_capture_closep(struct kl_capture **c)
{
	kl_capture_close(*c);
}

/*
 * The next segment. Returns 1; 0 at the end; a negative errno where it cannot go on at all (a file
 * went away, out of memory). A file that is truncated or damaged ends there, and the others go on:
 * ask kl_capture_coverage() what is missing.
 *
 * Inside a file segments come in its order, which may not quite be that of time.
 */
int kl_capture_next(struct kl_capture *c, const struct kl_captured **ret, struct kl_error *err);

/* A time over which the capture ran: from the first to the last packet of a file. */
struct kl_capture_range {
	uint64_t first_ns;
	uint64_t last_ns;
};

/*
 * What was read up to now. Ranges are in the order of time and do not overlap; between them lie the
 * gaps between files. How long a gap may be without meaning anything is for the caller to say:
 * files that follow one another without loss are as far apart as any two packets.
 */
struct kl_capture_coverage {
	const struct kl_capture_file *files; /* as they were named */
	size_t file_count;
	const struct kl_capture_range *ranges;
	size_t range_count;
	struct kl_capture_counts total;
	size_t incomplete;   /* files that ended early */
	uint64_t size_bytes; /* 0: not known, one of the files is a pipe */
	uint64_t read_bytes;
};

/* The pointers are good until the next call for c. */
void kl_capture_coverage(struct kl_capture *c, struct kl_capture_coverage *ret);

struct kl_capture_progress {
	double fraction; /* 0 to 1; negative: not known, one of the files is a pipe */
	uint64_t size_bytes;
	uint64_t read_bytes;
	uint64_t packets;
	uint64_t segments;
};

/* Cheap, and, with kl_capture_stop(), all that another thread may call while one reads. */
void kl_capture_progress(const struct kl_capture *c, struct kl_capture_progress *ret);

/* Soon kl_capture_next() fails with -ECANCELED, unless it waits for a pipe. */
void kl_capture_stop(struct kl_capture *c);
