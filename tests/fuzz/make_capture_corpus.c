// SPDX-License-Identifier: GPL-2.0-only
/* make-capture-corpus DIRECTORY: seeds for the fuzzer, a small capture of each kind that is read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../packets/packets.h"
#include "../packets/pcap_writer.h"

#define START_NS 1435818136123456789ULL

static const char *directory;
static int failed;

static char *path_of(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static FILE *create(const char *name)
{
	FILE *file = fopen(path_of(name), "wb");

	if (!file) {
		fprintf(stderr, "make-capture-corpus: %s: %m\n", name);
		exit(1);
	}
	return file;
}

static void finish(FILE *file)
{
	failed |= ferror(file);
	failed |= fclose(file) != 0;
}

static void build(uint32_t i, bool ipv6, struct pkt *ret)
{
	struct pkt_payload payload = { 0 };
	struct pkt_spec spec = { .ipv6 = ipv6,
				 .seq = 1000 + 12 * i,
				 .ip_id = (__u16)(i + 1),
				 .to_phone = i & 1,
				 .timestamps = i & 2,
				 .ts_val = i };

	if (i & 1)
		pkt_sccp_keepalive_ack(&payload);
	else
		pkt_sccp_keepalive(&payload);
	spec.payload = payload.data;
	spec.payload_len = payload.len;
	pkt_build(&spec, ret);
}

static void write_plain(const char *name, bool ng, bool big_endian, uint32_t link,
			uint8_t resolution, uint32_t snaplen)
{
	const struct pcap_interface i = { .link = link,
					  .snaplen = snaplen,
					  .resolution = resolution };
	__u8 frame[PKT_MAX + 32];
	struct pcap_writer w;
	FILE *file = create(name);

	pcap_writer_start(&w, file, ng, big_endian, &i);
	for (uint32_t n = 0; n < 3; n++) {
		struct pkt p;
		uint32_t len;

		build(n, link == PCAP_LINK_IPV6, &p);
		len = pcap_convert(link, &p, frame);
		pcap_write(&w, START_NS + n * 1000000, frame, len < snaplen ? len : snaplen, len);
	}
	finish(file);
}

static void write_rich(void)
{
	const struct pcap_interface first = { .link = 1, .snaplen = 96, .resolution = 9 },
				    second = { .link = PCAP_LINK_SLL,
					       .snaplen = 0,
					       .resolution = 0x8a,
					       .offset_s = 3600 };
	const struct pcap_statistics statistics = { .interface = 1,
						    .time_ns = START_NS + 9000000,
						    .start_ns = START_NS,
						    .end_ns = START_NS + 1,
						    .dropped_if = 3,
						    .dropped_os = 4 };
	__u8 frame[PKT_MAX + 32];
	struct pcap_writer w;
	struct pkt p;
	FILE *file = create("ng-rich");

	build(0, false, &p);
	pcap_writer_start(&w, file, true, false, &first);
	pcap_write_on(&w, 0, START_NS, p.data, p.len, p.len);
	pcap_write_interface(&w, &second);
	pcap_write_block(&w, 0x0bad, "unknown", 7);
	pcap_write_on(&w, 1, START_NS + 1000, frame, pcap_convert(PCAP_LINK_SLL, &p, frame),
		      p.len + 2);
	pcap_write_simple(&w, p.data, p.len);
	pcap_write_statistics(&w, &statistics);
	pcap_write_section(&w);
	pcap_write_interface(&w, &first);
	pcap_write_on(&w, 0, START_NS - 5000, p.data, p.len, p.len);
	finish(file);
}

static void pack(const char *from, const char *to)
{
	FILE *file = fopen(path_of(from), "rb");
	char data[4096];
	gzFile packed;
	size_t n;

	if (!file)
		exit(1);
	n = fread(data, 1, sizeof(data), file);
	fclose(file);
	packed = gzopen(path_of(to), "wb");
	if (!packed || gzwrite(packed, data, (unsigned)n) != (int)n || gzclose(packed) != Z_OK)
		exit(1);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: make-capture-corpus DIRECTORY\n");
		return 2;
	}
	directory = argv[1];
	write_plain("pcap-us", false, false, PCAP_LINK_ETHERNET, 6, 65535);
	write_plain("pcap-ns-swapped", false, true, PCAP_LINK_ETHERNET, 9, 65535);
	write_plain("pcap-cut", false, false, PCAP_LINK_ETHERNET, 6, 60);
	write_plain("pcap-cut-headers", false, false, PCAP_LINK_ETHERNET, 6, 30);
	write_plain("pcap-null", false, false, PCAP_LINK_NULL, 6, 65535);
	write_plain("pcap-loop", false, false, PCAP_LINK_LOOP, 6, 65535);
	write_plain("pcap-raw", false, false, PCAP_LINK_RAW, 6, 65535);
	write_plain("pcap-ipv4", false, false, PCAP_LINK_IPV4, 6, 65535);
	write_plain("pcap-ipv6", false, false, PCAP_LINK_IPV6, 6, 65535);
	write_plain("pcap-sll", false, false, PCAP_LINK_SLL, 6, 65535);
	write_plain("pcap-sll2", false, false, PCAP_LINK_SLL2, 6, 65535);
	write_plain("ng-us", true, false, PCAP_LINK_ETHERNET, 0, 65535);
	write_plain("ng-ns-swapped", true, true, PCAP_LINK_ETHERNET, 9, 65535);
	write_plain("ng-raw", true, false, PCAP_LINK_RAW, 3, 65535);
	write_rich();
	pack("pcap-us", "pcap-gzip");
	pack("ng-rich", "ng-gzip");
	return failed;
}
