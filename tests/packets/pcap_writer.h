// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes captures for tests and benchmarks: pcap and pcapng, either byte order, any resolution, on
 * a FILE of the caller's (a file, a pipe, memory). The caller closes it. What is written may be as
 * wrong as the caller likes: nothing is checked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "packets.h"

/* Link types as files carry them. */
enum {
	PCAP_LINK_NULL = 0,
	PCAP_LINK_ETHERNET = 1,
	PCAP_LINK_RAW = 101,
	PCAP_LINK_LOOP = 108,
	PCAP_LINK_SLL = 113,
	PCAP_LINK_RADIOTAP = 127,
	PCAP_LINK_IPV4 = 228,
	PCAP_LINK_IPV6 = 229,
	PCAP_LINK_SLL2 = 276,
};

enum {
	PCAP_WRITER_INTERFACES = 8
};

struct pcap_interface {
	uint32_t link;
	uint32_t snaplen;
	/* pcap: 6 or 9. pcapng: if_tsresol as it is (with 0x80: a power of two); 0: no option, 6. */
	uint8_t resolution;
	int64_t offset_s; /* pcapng: if_tsoffset; 0: no option */
};

struct pcap_writer {
	FILE *file;
	bool ng;
	bool big_endian;
	uint32_t interfaces;
	struct pcap_interface interface[PCAP_WRITER_INTERFACES];
};

/* Writes the file's header; in pcapng a section header and the first interface. */
void pcap_writer_start(struct pcap_writer *w, FILE *file, bool ng, bool big_endian,
		       const struct pcap_interface *first);

/* A packet of the first interface. captured: bytes at data; len: on the wire. */
void pcap_write(struct pcap_writer *w, uint64_t time_ns, const void *data, uint32_t captured,
		uint32_t len);

/* ---- pcapng only ---- */

void pcap_write_section(struct pcap_writer *w);
void pcap_write_interface(struct pcap_writer *w, const struct pcap_interface *i);
void pcap_write_on(struct pcap_writer *w, uint32_t interface, uint64_t time_ns, const void *data,
		   uint32_t captured, uint32_t len);
void pcap_write_simple(struct pcap_writer *w, const void *data, uint32_t len);
void pcap_write_block(struct pcap_writer *w, uint32_t type, const void *body, uint32_t len);

struct pcap_statistics {
	uint32_t interface;
	uint64_t time_ns;
	uint64_t start_ns; /* 0: no such option; as the others */
	uint64_t end_ns;
	uint64_t dropped_if;
	uint64_t dropped_os;
};

void pcap_write_statistics(struct pcap_writer *w, const struct pcap_statistics *s);

/*
 * Writes an Ethernet frame as a capture of that link type has it, to PKT_MAX + 32 bytes. VLAN tags
 * stay where there is a type in front of them. Returns its length.
 */
uint32_t pcap_convert(uint32_t link, const struct pkt *p, uint8_t *to);
