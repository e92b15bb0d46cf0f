// SPDX-License-Identifier: GPL-2.0-only
/*
 * make-corpus DIRECTORY: writes the seeds of the corpus, one frame a file, named after what is in
 * it: every layout of headers with a keepalive, and every kind of payload in a plain frame. The
 * fuzzer has added to them what it found.
 */
#include <stdio.h>
#include <string.h>

#include "../packets/neighbours.h"
#include "fuzz.h"

static const char *directory;

static int write_input(const char *name, __u8 how, __u8 more, const struct pkt *p)
{
	const __u8 header[FUZZ_HEADER] = { how, more };
	char path[4096];
	FILE *file;
	int bad;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "wb");
	if (!file) {
		fprintf(stderr, "make-corpus: %s: %m\n", path);
		return -1;
	}
	bad = fwrite(header, sizeof(header), 1, file) != 1 || fwrite(p->data, p->len, 1, file) != 1;
	if (fclose(file) || bad) {
		fprintf(stderr, "make-corpus: %s: could not be written\n", path);
		return -1;
	}
	return 0;
}

/* ---- Layouts, each with an SCCP keepalive ---- */

static const struct {
	const char *name;
	struct pkt_spec spec;
	__u8 how, more;
} layouts[] = {
	{ "layout-ipv4", { .pad_to = 60 } },
	{ "layout-ipv4-to-phone", { .to_phone = true, .pad_to = 60 } },
	{ "layout-ipv4-options", { .ip_options = 8 } },
	{ "layout-ipv4-all-options", { .ip_options = 40, .tcp_options = 40 } },
	{ "layout-timestamps", { .timestamps = true, .ts_val = 123456, .ts_ecr = 654321 } },
	{ "layout-vlan", { .tags = 1, .tag = { 0x606e } } },
	{ "layout-qinq", { .tags = 2, .tag_type = { 0x88a8 }, .tag = { 20, 110 } } },
	{ "layout-three-tags", { .tags = 3, .tag = { 1, 2, 3 } } },
	{ "layout-vlan-beside", { .tags = 1, .tag = { 30 } }, FUZZ_VLAN, 110 },
	{ "layout-ipv6", { .ipv6 = true } },
	{ "layout-ipv6-vlan", { .ipv6 = true, .tags = 1, .tag = { 110 } } },
	{ "layout-ipv6-hop-by-hop", { .ipv6 = true, .exts = 1, .ext = { 0 }, .ext_extra = { 1 } } },
	{ "layout-ipv6-authentication", { .ipv6 = true, .exts = 1, .ext = { 51 } } },
	{ "layout-ipv6-four", { .ipv6 = true, .exts = 4, .ext = { 0, 60, 43, 51 } } },
	{ "layout-ipv6-five", { .ipv6 = true, .exts = 5, .ext = { 0, 60, 43, 60, 60 } } },
	{ "layout-ipv6-atomic", { .ipv6 = true, .exts = 1, .ext = { 44 } } },
	{ "fragment-ipv4-first", { .more_fragments = true } },
	{ "fragment-ipv4-later", { .fragment_off = 576 } },
	{ "fragment-ipv6-first",
	  { .ipv6 = true, .exts = 1, .ext = { 44 }, .more_fragments = true } },
	{ "fragment-ipv6-later", { .ipv6 = true, .exts = 1, .ext = { 44 }, .fragment_off = 560 } },
	{ "part-of-the-headers", { .ipv6 = true }, FUZZ_PART, 6 },
	{ "aggregate", { .timestamps = true }, FUZZ_AGGREGATE, 0 },
	{ "syn", { .flags = KL_SYN, .tcp_options = 20 } },
	{ "reset", { .to_phone = true, .flags = KL_RST | KL_ACK } },
	{ "both-ports", { .sport = PKT_SIP_PORT } },
	{ "other-port", { .dport = 443 } },
	{ "udp", { .proto = 17 } },
};

static int write_layouts(void)
{
	for (unsigned i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		struct pkt_payload keepalive = { 0 };
		struct pkt_spec spec = layouts[i].spec;
		struct pkt p;

		pkt_sccp_keepalive(&keepalive);
		spec.payload = keepalive.data;
		spec.payload_len = keepalive.len;
		spec.seq = 0x7b0e6d55;
		spec.ack = 0x1187461;
		spec.window = 4096;
		spec.ip_id = (__u16)(0x4d00 + i);
		pkt_build(&spec, &p);
		if (write_input(layouts[i].name, layouts[i].how, layouts[i].more, &p))
			return -1;
	}
	return 0;
}

/* ---- Payloads ---- */

static int write_payload(const char *name, __u32 service, bool to_phone,
			 const struct pkt_payload *payload)
{
	static const __u16 ports[KL_SERVICES] = {
		[KL_SCCP] = PKT_SCCP_PORT,
		[KL_SCCP_TLS] = PKT_SCCP_TLS_PORT,
		[KL_SIP] = PKT_SIP_PORT,
		[KL_SIP_TLS] = PKT_SIP_TLS_PORT,
	};
	struct pkt_spec spec = { .to_phone = to_phone,
				 .payload = payload->data,
				 .payload_len = payload->len,
				 .seq = 0x7b0e6d55,
				 .ack = 0x1187461,
				 .window = 4096,
				 .ip_id = 0x6b61,
				 .pad_to = 60 };
	struct pkt p;

	if (to_phone)
		spec.sport = ports[service];
	else
		spec.dport = ports[service];
	pkt_build(&spec, &p);
	return write_input(name, (__u8)service, 0, &p);
}

static int write_sccp(void)
{
	struct pkt_payload ack = { 0 }, registers = { 0 }, several = { 0 }, many = { 0 },
			   cut = { 0 };

	pkt_sccp_keepalive_ack(&ack);
	pkt_sccp_register(&registers, "SEP0024142DDF24");
	for (__u32 i = 0; i < 9; i++)
		pkt_sccp(&several, 0x12, 0x0116, "ABCDEFGHIJKLMNOPQRST", 20);
	pkt_sccp_keepalive(&several);
	for (__u32 i = 0; i < 17; i++)
		pkt_sccp(&many, 0, i == 16 ? KL_SCCP_ID_KEEPALIVE : 0x0027, "", 0);
	pkt_sccp(&cut, 0x14, KL_SCCP_ID_ALARM, "\2\0\0\0Name=SEP001380AD9E5F", 24);
	pkt_bytes(&cut, "\4\0\0\0\0\0", 6);
	return write_payload("sccp-ack", KL_SCCP, true, &ack) ||
	       write_payload("sccp-register", KL_SCCP, false, &registers) ||
	       write_payload("sccp-ten-messages", KL_SCCP, false, &several) ||
	       write_payload("sccp-17-messages", KL_SCCP, false, &many) ||
	       write_payload("sccp-cut", KL_SCCP, false, &cut);
}

static const struct {
	const char *name;
	struct pkt_register r;
} registers[] = {
	{ "sip-register", { .expires = "3600", .length = 890, .cseq = 101 } },
	{ "sip-register-short", { .expires = "3600" } },
	{ "sip-register-backup", { .expires = "0", .contact = PKT_BACKUP, .length = 890 } },
	{ "sip-register-backup-shifted", { .expires = "0", .contact = PKT_BACKUP, .shift = 5 } },
	{ "sip-register-backup-behind-ping",
	  { .expires = "0", .contact = PKT_BACKUP, .leading_crlf = 4 } },
	{ "sip-register-mark-and-positive", { .expires = " 3600", .contact = PKT_BACKUP } },
	{ "sip-register-off", { .expires = "0", .contact = ";expires=0" } },
	{ "sip-register-beyond-window", { .expires = "0", .contact = PKT_BACKUP, .shift = 600 } },
};

static const struct {
	const char *name;
	const char *text;
} texts[] = {
	{ "sip-crlf-ping", "\r\n\r\n" },
	{ "sip-crlf-pong", "\r\n" },
	{ "sip-lf-only", "SIP/2.0 200 OK\ncseq\t:  7\tOPTIONS\n\n" },
	{ "sip-compact", "REGISTER sip:x SIP/2.0\r\nv: SIP/2.0/TCP x\r\nm: "
			 "<sip:1@x>;EXPIRES=0;Cisco-Keep-Alive\r\n"
			 "EXPIRES : 0\r\nl: 0\r\n\r\n" },
	{ "sip-invite",
	  "INVITE sip:4002@x SIP/2.0\r\nCSeq: 101 INVITE\r\nExpires: 180\r\n\r\nv=0\r\n" },
	{ "one-byte", "x" },
	{ "no-payload", "" },
};

static int write_sip(void)
{
	struct pkt_payload trying = { 0 }, ok = { 0 }, invite = { 0 }, options = { 0 };

	for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		struct pkt_payload p = { 0 };

		pkt_sip_register(&p, &registers[i].r);
		if (write_payload(registers[i].name, KL_SIP, false, &p))
			return -1;
	}
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct pkt_payload p = { 0 };

		pkt_text(&p, texts[i].text);
		if (write_payload(texts[i].name, KL_SIP, false, &p))
			return -1;
	}
	pkt_sip_response(&trying, "100 Trying", "REGISTER", NULL, 325);
	pkt_sip_response(&ok, "200 OK", "REGISTER", "120", 637);
	pkt_sip_response(&invite, "200 OK", "INVITE", NULL, 0);
	pkt_sip_options(&options);
	return write_payload("sip-trying", KL_SIP, true, &trying) ||
	       write_payload("sip-ok", KL_SIP, true, &ok) ||
	       write_payload("sip-ok-invite", KL_SIP, true, &invite) ||
	       write_payload("sip-options", KL_SIP, true, &options);
}

static int write_tls(void)
{
	struct pkt_payload record = { 0 };

	pkt_tls_record(&record, 64);
	return write_payload("tls-sccp", KL_SCCP_TLS, false, &record) ||
	       write_payload("tls-sip", KL_SIP_TLS, true, &record);
}

static int write_neighbours(void)
{
	static const struct pkt_arp request = { .mac = { 2, 7 },
						.ip = { 10, 7 },
						.to_ip = { 10, 1 } };
	static const struct pkt_arp reply = { .tags = 1,
					      .tag = { 110 },
					      .op = 2,
					      .mac = { 2, 1 },
					      .ip = { 10, 1 },
					      .to_ip = { 10, 7 } };
	static const struct pkt_nd asks = { .mac = { 2, 7 },
					    .from = { 32, 1, 7 },
					    .target = { 32, 1, 1 } };
	static const struct pkt_nd claims = { .advertises = true,
					      .flags = 0x60,
					      .mac = { 2, 1 },
					      .target = { 32, 1, 1 },
					      .nonces = 2 };
	struct pkt p[4];

	pkt_build_arp(&request, &p[0]);
	pkt_build_arp(&reply, &p[1]);
	pkt_build_nd(&asks, &p[2]);
	pkt_build_nd(&claims, &p[3]);
	return write_input("arp-request", 0, 0, &p[0]) || write_input("arp-reply", 0, 0, &p[1]) ||
	       write_input("nd-solicitation", 0, 0, &p[2]) ||
	       write_input("nd-advertisement", 0, 0, &p[3]);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: make-corpus DIRECTORY\n");
		return 2;
	}
	directory = argv[1];
	return write_layouts() || write_sccp() || write_sip() || write_tls() || write_neighbours()
		       ? 1
		       : 0;
}
