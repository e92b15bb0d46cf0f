// SPDX-License-Identifier: GPL-2.0-only
/*
 * The builder of packets.h. Lengths and the IPv4 header's checksum are right; the TCP checksum is
 * left zero, for nothing here reads it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"

/* ---- Frames ---- */

static void put16(struct pkt *p, __u32 at, __u32 v)
{
	p->data[at] = (__u8)(v >> 8);
	p->data[at + 1] = (__u8)v;
}

static void put32(struct pkt *p, __u32 at, __u32 v)
{
	put16(p, at, v >> 16);
	put16(p, at + 2, v & 0xffff);
}

static const __u8 cucm_mac[6] = { 0x00, 0x50, 0x56, 0xbb, 0x11, 0x82 };
static const __u8 cucm_ipv4[4] = { 10, 106, 111, 182 };
static const __u8 cucm_ipv6[16] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0x6f, [15] = 0xb6 };

static void phone_mac(const struct pkt_spec *spec, __u8 ret[6])
{
	const __u8 mac[6] = { 0x00, 0x24, 0x14, 0x2d, (__u8)(spec->phone >> 8), (__u8)spec->phone };

	memcpy(ret, mac, 6);
}

static void put_ethernet(struct pkt *p, const struct pkt_spec *spec)
{
	__u8 mac[6];
	__u32 at = 12;

	phone_mac(spec, mac);
	memcpy(p->data, spec->to_phone ? mac : cucm_mac, 6);
	memcpy(p->data + 6, spec->to_phone ? cucm_mac : mac, 6);
	for (__u32 i = 0; i < spec->tags; i++, at += 4) {
		put16(p, at, spec->tag_type[i] ? spec->tag_type[i] : KL_ETHERTYPE_8021Q);
		put16(p, at + 2, spec->tag[i]);
	}
	put16(p, at, spec->ipv6 ? KL_ETHERTYPE_IPV6 : KL_ETHERTYPE_IPV4);
	p->l3_off = at + 2;
}

static __u32 ext_len(const struct pkt_spec *spec, __u32 i)
{
	if (spec->ext[i] == 44)
		return 8;
	return spec->ext[i] == 51 ? 12 + 4 * spec->ext_extra[i] : 8 + 8 * spec->ext_extra[i];
}

static __u8 protocol(const struct pkt_spec *spec)
{
	return spec->proto ? spec->proto : KL_IPPROTO_TCP;
}

static void put_ipv4(struct pkt *p, const struct pkt_spec *spec, __u32 l4_len)
{
	__u32 at = p->l3_off, header_len = 20 + spec->ip_options, sum = 0;
	const __u8 phone[4] = { 10, 60, (__u8)(98 + (spec->phone >> 8)), (__u8)spec->phone };

	p->data[at] = (__u8)(0x40 | header_len / 4);
	p->data[at + 1] = 0x68; /* CS3, as phones mark signalling */
	put16(p, at + 2, header_len + l4_len);
	put16(p, at + 4, spec->ip_id);
	put16(p, at + 6, spec->fragment_off / 8 | (spec->more_fragments ? 0x2000 : 0));
	p->data[at + 8] = spec->ttl ? spec->ttl : 64;
	p->data[at + 9] = protocol(spec);
	memcpy(p->data + at + 12, spec->to_phone ? cucm_ipv4 : phone, 4);
	memcpy(p->data + at + 16, spec->to_phone ? phone : cucm_ipv4, 4);
	memset(p->data + at + 20, 1, spec->ip_options);
	for (__u32 i = 0; i < header_len; i += 2)
		sum += kl_be16(p->data + at + i);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(p, at + 10, ~(sum + (sum >> 16)) & 0xffff);
	p->l4_off = at + header_len;
}

static void put_ipv6(struct pkt *p, const struct pkt_spec *spec, __u32 l4_len)
{
	const __u8 phone[16] = {
		0x20, 0x01, 0x0d, 0xb8, 0, 0x3c, [14] = (__u8)(spec->phone >> 8), (__u8)spec->phone
	};
	__u32 at = p->l3_off, exts_len = 0, next_at = at + 6;

	for (__u32 i = 0; i < spec->exts; i++)
		exts_len += ext_len(spec, i);
	p->data[at] = 0x66; /* traffic class CS3 */
	put16(p, at + 4, exts_len + l4_len);
	p->data[at + 7] = spec->ttl ? spec->ttl : 64;
	memcpy(p->data + at + 8, spec->to_phone ? cucm_ipv6 : phone, 16);
	memcpy(p->data + at + 24, spec->to_phone ? phone : cucm_ipv6, 16);
	at += 40;
	for (__u32 i = 0; i < spec->exts; i++) {
		__u32 len = ext_len(spec, i);

		p->data[next_at] = spec->ext[i];
		next_at = at;
		if (spec->ext[i] == 44) {
			put16(p, at + 2, spec->fragment_off | spec->more_fragments);
			put32(p, at + 4, 0x1234abcd);
		} else {
			p->data[at + 1] = (__u8)(spec->ext[i] == 51 ? len / 4 - 2 : len / 8 - 1);
			p->data[at + 2] = 1; /* PadN over the rest; as good as any for the others */
			p->data[at + 3] = (__u8)(len - 4);
		}
		at += len;
	}
	p->data[next_at] = protocol(spec);
	p->l4_off = at;
}

static __u32 tcp_header_len(const struct pkt_spec *spec)
{
	return KL_TCP_LEN + (spec->timestamps ? 12 : 0) + spec->tcp_options;
}

static void put_tcp(struct pkt *p, const struct pkt_spec *spec)
{
	__u32 at = p->l4_off, options = at + KL_TCP_LEN;

	put32(p, at + 4, spec->seq);
	put32(p, at + 8, spec->ack);
	p->data[at + 12] = (__u8)(tcp_header_len(spec) / 4 << 4);
	p->data[at + 13] = spec->flags ? spec->flags : KL_ACK | (spec->payload_len ? KL_PSH : 0);
	put16(p, at + 14, spec->window);
	if (spec->timestamps) {
		put32(p, options, 0x0101080a);
		put32(p, options + 4, spec->ts_val);
		put32(p, options + 8, spec->ts_ecr);
		options += 12;
	}
	memset(p->data + options, 1, spec->tcp_options);
}

void pkt_build(const struct pkt_spec *spec, struct pkt *ret)
{
	bool has_l4 = !spec->fragment_off;
	__u32 l4_header = spec->proto == 17 ? 8 : tcp_header_len(spec), l4_len;
	__u16 service = PKT_SCCP_PORT, phone = PKT_PHONE_PORT;

	if (!has_l4)
		l4_header = 0;
	l4_len = l4_header + spec->payload_len;
	memset(ret, 0, sizeof(*ret));
	put_ethernet(ret, spec);
	if (spec->ipv6)
		put_ipv6(ret, spec, l4_len);
	else
		put_ipv4(ret, spec, l4_len);
	ret->payload_off = ret->l4_off + l4_header;
	ret->wire_end = ret->payload_off + spec->payload_len;
	if (ret->wire_end > PKT_MAX || spec->pad_to > PKT_MAX)
		abort();
	if (has_l4) {
		put16(ret, ret->l4_off, spec->sport ?: spec->to_phone ? service : phone);
		put16(ret, ret->l4_off + 2, spec->dport ?: spec->to_phone ? phone : service);
		if (spec->proto == 17)
			put16(ret, ret->l4_off + 4, l4_len);
		else
			put_tcp(ret, spec);
	}
	if (spec->payload)
		memcpy(ret->data + ret->payload_off, spec->payload, spec->payload_len);
	else
		memset(ret->data + ret->payload_off, 'x', spec->payload_len);
	ret->len = ret->wire_end < spec->pad_to ? spec->pad_to : ret->wire_end;
}

void pkt_ports(struct kl_ports *ret)
{
	memset(ret, 0, sizeof(*ret));
	kl_port_add(ret, PKT_SCCP_PORT, KL_SCCP);
	kl_port_add(ret, PKT_SCCP_TLS_PORT, KL_SCCP_TLS);
	kl_port_add(ret, PKT_SIP_PORT, KL_SIP);
	kl_port_add(ret, PKT_SIP_TLS_PORT, KL_SIP_TLS);
}

/* ---- Payloads ---- */

void pkt_bytes(struct pkt_payload *p, const void *data, __u32 len)
{
	if (len > sizeof(p->data) - p->len)
		abort();
	memcpy(p->data + p->len, data, len);
	p->len += len;
}

void pkt_text(struct pkt_payload *p, const char *text)
{
	pkt_bytes(p, text, (__u32)strlen(text));
}

static void __attribute__((format(printf, 2, 3)))
put_line(struct pkt_payload *p, const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(line))
		abort();
	pkt_bytes(p, line, (__u32)n);
	pkt_text(p, "\r\n");
}

void pkt_sccp(struct pkt_payload *p, __u32 version, __u32 id, const void *body, __u32 body_len)
{
	const __u32 header[3] = { 4 + body_len, version, id };

	pkt_bytes(p, header, sizeof(header));
	pkt_bytes(p, body, body_len);
}

void pkt_sccp_keepalive(struct pkt_payload *p)
{
	pkt_sccp(p, 0, KL_SCCP_ID_KEEPALIVE, "", 0);
}

void pkt_sccp_keepalive_ack(struct pkt_payload *p)
{
	pkt_sccp(p, 0, KL_SCCP_ID_KEEPALIVE_ACK, "", 0);
}

void pkt_sccp_register(struct pkt_payload *p, const char *device)
{
	__u8 body[64] = { 0 };
	const __u8 address[4] = { 10, 60, 98, 210 };
	const __u32 device_type = 30016;

	memcpy(body, device, strnlen(device, 15));
	memcpy(body + 24, address, sizeof(address));
	memcpy(body + 28, &device_type, sizeof(device_type));
	pkt_sccp(p, 0x14, KL_SCCP_ID_REGISTER, body, sizeof(body));
}

void pkt_tls_record(struct pkt_payload *p, __u32 record_len)
{
	const __u8 header[5] = { 0x17, 3, 3, (__u8)(record_len >> 8), (__u8)record_len };

	pkt_bytes(p, header, sizeof(header));
	for (__u32 i = 0; i < record_len; i++)
		pkt_bytes(p, &(__u8){ (__u8)(i * 167 + 13) }, 1);
}

/* A header that brings the message to its length, and the empty line that ends the headers. */
static void end_headers(struct pkt_payload *p, __u32 start, __u32 length)
{
	static const char name[] = "User-Agent: Cisco-CP8961/9.4.2 ";
	__u32 have = p->len - start + 2, fill;

	if (length >= have + sizeof(name) - 1 + 2) {
		pkt_text(p, name);
		fill = length - have - (sizeof(name) - 1) - 2;
		for (__u32 i = 0; i < fill; i++)
			pkt_text(p, "k");
		pkt_text(p, "\r\n");
	}
	pkt_text(p, "\r\n");
}

void pkt_sip_register(struct pkt_payload *p, const struct pkt_register *r)
{
	__u32 start;

	for (__u32 i = 0; i < r->leading_crlf; i++)
		pkt_text(p, i & 1 ? "\n" : "\r");
	start = p->len;
	put_line(p, "REGISTER sip:10.106.111.182 SIP/2.0");
	put_line(p, "Via: SIP/2.0/TCP 10.60.98.210:51000;branch=z9hG4bK%08x", 0x5e0d1730 + r->cseq);
	put_line(p, "From: <sip:4001@10.106.111.182>;tag=e0d1730a81370045");
	put_line(p, "To: <sip:4001@10.106.111.182>");
	put_line(p, "Call-ID: e0d1730a-81370002-3c9a2f11-7b0e6d55@10.60.98.210");
	put_line(p, "Max-Forwards: 70");
	put_line(p, "Date: Thu, 02 Jul 2015 06:22:16 GMT");
	put_line(p, "CSeq: %u REGISTER", r->cseq);
	if (r->shift) {
		pkt_text(p, "S:");
		for (__u32 i = 0; i < r->shift; i++)
			pkt_text(p, "-");
		pkt_text(p, "\r\n");
	}
	put_line(p,
		 "Contact: <sip:4001@10.60.98.210:51000;transport=tcp>"
		 ";+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-e0d1730a8137>\""
		 ";+u.sip!devicename.ccm.cisco.com=\"SEPE0D1730A8137\"%s",
		 r->contact ?: "");
	put_line(p, "Supported: replaces,join,sdp-anat,norefersub,X-cisco-callinfo");
	put_line(p, "Content-Length: 0");
	if (r->expires)
		put_line(p, "Expires: %s", r->expires);
	end_headers(p, start, r->length);
}

void pkt_sip_response(struct pkt_payload *p, const char *status, const char *method,
		      const char *expires, __u32 length)
{
	__u32 start = p->len;

	put_line(p, "SIP/2.0 %s", status);
	put_line(p, "Via: SIP/2.0/TCP 10.60.98.210:51000;branch=z9hG4bK5e0d1730");
	put_line(p, "From: <sip:4001@10.106.111.182>;tag=e0d1730a81370045");
	put_line(p, "To: <sip:4001@10.106.111.182>;tag=1187461093");
	put_line(p, "Date: Thu, 02 Jul 2015 06:22:16 GMT");
	put_line(p, "Call-ID: e0d1730a-81370002-3c9a2f11-7b0e6d55@10.60.98.210");
	put_line(p, "CSeq: 101 %s", method);
	if (expires)
		put_line(p, "Expires: %s", expires);
	put_line(p, "Content-Length: 0");
	end_headers(p, start, length);
}

void pkt_sip_options(struct pkt_payload *p)
{
	put_line(p, "OPTIONS sip:10.106.111.182 SIP/2.0");
	put_line(p, "Via: SIP/2.0/TCP 10.60.98.210:51000;branch=z9hG4bK5e0d1731");
	put_line(p, "CSeq: 102 OPTIONS");
	put_line(p, "Content-Length: 0");
	end_headers(p, 0, 0);
}
