// SPDX-License-Identifier: GPL-2.0-only
/*
 * The case study's two captures of one SIP session as files: the phone's and the call server's,
 * whose clock is 5.32 s ahead. All numbers are those of the study's tables, but for one misprint:
 * the phone's first REGISTER has the numbers that its neighbours and the other table give it.
 *
 *   write-study PHONE CUCM [without=FRAME] [shift=A,B] [nat=1] [format=pcapng] [dropped=N]
 *
 * without: a frame of the CUCM's table that its capture does not have. shift: what a firewall adds
 * to the sequence numbers towards the CUCM and towards the phone. nat: the CUCM sees another address
 * and port of the phone. dropped: by the CUCM's capture, as the end of its pcapng says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/pcap_writer.h"

#define NS_PER_S 1000000000ULL
#define MIDNIGHT_S 1435795200ULL /* 2015-07-02 */

enum row_kind {
	REGISTER,
	TRYING,
	OK,
	BARE_ACK,
};

struct row {
	__u32 frame;
	__u32 hour, minute, second, us;
	enum row_kind kind;
	__u32 seq, ack;
};

static const struct row phone[] = {
	{ 200, 18, 14, 49, 51041, REGISTER, 2991996107, 1953873581 },
	{ 201, 18, 14, 49, 53199, TRYING, 1953873581, 2991996997 },
	{ 202, 18, 14, 49, 53909, OK, 1953873906, 2991996997 },
	{ 203, 18, 14, 49, 65591, BARE_ACK, 2991996997, 1953874543 },
	{ 484, 18, 16, 44, 77219, REGISTER, 2991996997, 1953874543 },
	{ 485, 18, 16, 44, 79859, TRYING, 1953874543, 2991997887 },
	{ 486, 18, 16, 44, 79869, OK, 1953874868, 2991997887 },
	{ 487, 18, 16, 44, 91359, BARE_ACK, 2991997887, 1953875505 },
};

static const struct row cucm[] = {
	{ 1, 18, 12, 59, 366272, REGISTER, 2991995217, 1953872619 },
	{ 2, 18, 12, 59, 366286, TRYING, 1953872619, 2991996107 },
	{ 3, 18, 12, 59, 366858, OK, 1953872944, 2991996107 },
	{ 4, 18, 12, 59, 378246, BARE_ACK, 2991996107, 1953873581 },
	{ 5, 18, 14, 54, 368343, REGISTER, 2991996107, 1953873581 },
	{ 6, 18, 14, 54, 369997, TRYING, 1953873581, 2991996997 },
	{ 7, 18, 14, 54, 370751, OK, 1953873906, 2991996997 },
	{ 8, 18, 14, 54, 382545, BARE_ACK, 2991996997, 1953874543 },
	{ 9, 18, 16, 49, 400028, REGISTER, 2991996997, 1953874543 },
	{ 10, 18, 16, 49, 401468, TRYING, 1953874543, 2991997887 },
	{ 11, 18, 16, 49, 401833, OK, 1953874868, 2991997887 },
	{ 12, 18, 16, 49, 414139, BARE_ACK, 2991997887, 1953875505 },
};

static struct {
	unsigned without;
	unsigned shift[2]; /* to the CUCM, to the phone */
	unsigned nat;
	unsigned ng;
	unsigned dropped;
} options;

static void add_line(struct pkt_payload *p, const char *name, __u32 number, const char *after)
{
	char line[128];

	snprintf(line, sizeof(line), "%s%u%s\r\n", name, number, after);
	pkt_text(p, line);
}

/* first: the number of the REGISTER that this is, or is an answer to. */
static void build_payload(const struct row *r, __u32 first, struct pkt_payload *p)
{
	static const __u32 lengths[] = { 890, 325, 637, 0 };
	static const char *const starts[] = { "REGISTER sip:10.106.114.161 SIP/2.0\r\n",
					      "SIP/2.0 100 Trying\r\n", "SIP/2.0 200 OK\r\n" };

	p->len = 0;
	if (r->kind == BARE_ACK)
		return;
	pkt_text(p, starts[r->kind]);
	pkt_text(p, "Call-ID: e0d1730a-81370002@10.106.114.185\r\n");
	add_line(p, "CSeq: ", (first - 2991995217U) / 890 + 101, " REGISTER");
	if (r->kind == REGISTER)
		pkt_text(p, "Contact: <sip:4001@10.106.114.185:53006;transport=tcp>;"
			    "+u.sip!devicename.ccm.cisco.com=\"SEPE0D1730A8137\"\r\n"
			    "Expires: 3600\r\n");
	if (r->kind == OK)
		pkt_text(p, "Expires: 120\r\n");
	pkt_text(p, "X-Fill: ");
	while (p->len + 4 < lengths[r->kind])
		pkt_text(p, "k");
	pkt_text(p, "\r\n\r\n");
}

static void build(const struct row *r, bool at_cucm, struct pkt *ret)
{
	bool to_phone = r->kind == TRYING || r->kind == OK;
	__u16 phone_port = at_cucm && options.nat ? 1024 : 53006;
	struct pkt_payload payload;
	struct pkt_spec spec = { .to_phone = to_phone,
				 .phone = at_cucm && options.nat ? 9 : 1,
				 .sport = to_phone ? PKT_SIP_PORT : phone_port,
				 .dport = to_phone ? phone_port : PKT_SIP_PORT,
				 .window = 8192,
				 .seq = r->seq,
				 .ack = r->ack,
				 .ip_id = (__u16)(r->seq / 5) };

	build_payload(r, to_phone ? r->ack - 890 : r->seq, &payload);
	spec.payload = payload.data;
	spec.payload_len = payload.len;
	if (at_cucm) {
		spec.seq += options.shift[to_phone];
		spec.ack += options.shift[!to_phone];
	}
	pkt_build(&spec, ret);
}

static void write_side(const char *path, const struct row *rows, size_t count, bool at_cucm)
{
	const struct pcap_interface interface = { .link = PCAP_LINK_ETHERNET,
						  .snaplen = 65535,
						  .resolution = 6 };
	FILE *file = fopen(path, "wb");
	struct pcap_writer w;
	uint64_t time_ns = 0;
	struct pkt pkt;

	if (!file) {
		fprintf(stderr, "write-study: %s: %m\n", path);
		exit(2);
	}
	pcap_writer_start(&w, file, options.ng, false, &interface);
	for (size_t i = 0; i < count; i++) {
		const struct row *r = &rows[i];

		if (at_cucm && r->frame == options.without)
			continue;
		time_ns = (MIDNIGHT_S + r->hour * 3600 + r->minute * 60 + r->second) * NS_PER_S +
			  r->us * 1000ULL;
		build(r, at_cucm, &pkt);
		pcap_write(&w, time_ns, pkt.data, pkt.len, pkt.len);
	}
	if (options.ng)
		pcap_write_statistics(&w, &(struct pcap_statistics){
						  .time_ns = time_ns,
						  .end_ns = time_ns,
						  .dropped_if = at_cucm ? options.dropped : 0 });
	fclose(file);
}

static bool set(const char *word)
{
	if (!strcmp(word, "format=pcapng"))
		return (options.ng = true);
	return sscanf(word, "without=%u", &options.without) == 1 ||
	       sscanf(word, "shift=%u,%u", &options.shift[0], &options.shift[1]) == 2 ||
	       sscanf(word, "nat=%u", &options.nat) == 1 ||
	       sscanf(word, "dropped=%u", &options.dropped) == 1;
}

int main(int argc, char **argv)
{
	for (int i = 3; i < argc; i++) {
		if (!set(argv[i]))
			argc = 0;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: write-study PHONE CUCM [without=FRAME] [shift=A,B] [nat=1] "
				"[format=pcapng] [dropped=N]\n");
		return 2;
	}
	write_side(argv[1], phone, sizeof(phone) / sizeof(phone[0]), false);
	write_side(argv[2], cucm, sizeof(cucm) / sizeof(cucm[0]), true);
	return 0;
}
