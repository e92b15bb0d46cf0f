// SPDX-License-Identifier: GPL-2.0-only
/*
 * Captures for tests: written to files in memory, and read back into an array. What a test makes is
 * gone with its process.
 */
#pragma once

#include "../packets/packets.h"
#include "../packets/pcap_writer.h"
#include "source/capture.h"

#define CAP_START_NS 1435818136123456789ULL

enum {
	CAP_SEEN_MAX = 50000,
	CAP_PAYLOAD_MAX = 64,
};

struct cap {
	int fd;
	char path[64];
	struct pcap_writer w;
};

/* Starts a capture; cap_end() makes what was written readable at path. */
void cap_begin(struct cap *c, bool ng, bool big_endian, const struct pcap_interface *first);
void cap_end(struct cap *c);

/* A file of these bytes. */
void cap_bytes(struct cap *c, const void *data, size_t len);
size_t cap_load(const struct cap *c, void *to, size_t room);
size_t cap_pack(const void *data, size_t len, void *to, size_t room); /* gzip */
void cap_close(struct cap *c);

/* Packet number n of a phone: SCCP keepalives, each with a sequence number of its own. */
void cap_packet(__u32 n, struct pkt *ret);
#define CAP_SEQ(n) (1000U + 12 * (n))

struct cap_seen {
	uint64_t time_ns;
	uint64_t packet;
	struct kl_segment segment;
	uint32_t captured;
	bool is_cut;
	bool is_fragment;
	size_t file;
	uint8_t payload[CAP_PAYLOAD_MAX];
};

/* What came of reading files: all of it is copied, nothing needs to be freed. */
struct cap_result {
	int status; /* of kl_capture_open(), or the last of kl_capture_next() */
	bool opened;
	struct kl_error error;
	size_t count;
	struct kl_capture_counts total;
	size_t incomplete;
	size_t range_count;
	struct kl_capture_range ranges[16];
	size_t file_count;
	struct kl_capture_file files[16];
	struct kl_capture_drop drops[64]; /* of the first file */
	struct kl_capture_progress progress;
	struct cap_seen seen[CAP_SEEN_MAX];
};

const struct cap_result *cap_read_paths(const char *const *paths, size_t count);
const struct cap_result *cap_read(const struct cap *c);
