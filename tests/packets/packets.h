// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames and payloads for tests, the fuzzer's corpus and the benchmark: built from a description,
 * the same every time. A description that is all zero is a phone's segment to port 2000 over IPv4.
 */
#pragma once

#include <kaloss/classify.h>
#include <kaloss/parse.h>

enum {
	PKT_MAX = 9216,
	PKT_TAGS_MAX = 3,
	PKT_EXTS_MAX = 6,
	PKT_PHONE_PORT = 51000,
	PKT_SCCP_PORT = 2000,
	PKT_SCCP_TLS_PORT = 2443,
	PKT_SIP_PORT = 5060,
	PKT_SIP_TLS_PORT = 5061,
};

struct pkt_spec {
	__u8 tags;		      /* VLAN tags in the frame */
	__u16 tag_type[PKT_TAGS_MAX]; /* 0: 802.1Q */
	__u16 tag[PKT_TAGS_MAX];      /* the whole tag: priority and id */
	bool ipv6;
	__u8 ip_options;	      /* bytes of IPv4 options: 0, 4, … 40 */
	__u8 exts;		      /* IPv6 extension headers */
	__u8 ext[PKT_EXTS_MAX];	      /* their protocol numbers */
	__u8 ext_extra[PKT_EXTS_MAX]; /* their lengths beyond the shortest, in their own unit */
	__u16 fragment_off;	      /* in bytes; IPv6 needs the extension header 44 in ext */
	bool more_fragments;
	__u16 ip_id;
	__u8 ttl;   /* or hop limit; 0: 64 */
	__u8 proto; /* 0: TCP; 17: UDP */
	bool to_phone;
	__u16 phone; /* number of the phone: part of its addresses */
	__u16 sport; /* 0: PKT_PHONE_PORT or PKT_SCCP_PORT, by the direction */
	__u16 dport;
	__u32 seq;
	__u32 ack;
	__u8 flags; /* 0: ACK, and PSH where there is payload */
	__u16 window;
	bool timestamps;
	__u32 ts_val;
	__u32 ts_ecr;
	__u8 tcp_options;    /* further bytes of TCP options: 0, 4, … */
	const void *payload; /* NULL: as many bytes 'x' */
	__u32 payload_len;
	__u32 pad_to; /* the shortest frame: 60 on a wire */
};

struct pkt {
	__u32 len;
	__u32 l3_off;
	__u32 l4_off;
	__u32 payload_off;
	__u32 wire_end; /* of the IP packet: what is behind it is padding */
	__u8 data[PKT_MAX];
};

void pkt_build(const struct pkt_spec *spec, struct pkt *ret);

/* The signalling ports as they are by default. */
void pkt_ports(struct kl_ports *ret);

/* ---- Payloads: each is appended to what is there already ---- */

struct pkt_payload {
	__u32 len;
	__u8 data[4096];
};

void pkt_bytes(struct pkt_payload *p, const void *data, __u32 len);
void pkt_text(struct pkt_payload *p, const char *text);
void pkt_sccp(struct pkt_payload *p, __u32 version, __u32 id, const void *body, __u32 body_len);
void pkt_sccp_keepalive(struct pkt_payload *p);
void pkt_sccp_keepalive_ack(struct pkt_payload *p);
void pkt_sccp_register(struct pkt_payload *p, const char *device);
void pkt_tls_record(struct pkt_payload *p, __u32 record_len);

struct pkt_register {
	const char *expires; /* the header's value; NULL: no such header */
	const char *contact; /* parameters at the end of Contact; NULL: none */
	__u32 length;	     /* filled up to this; 0: as it comes */
	__u32 shift;	     /* bytes put before the Contact header: moves what follows */
	__u32 leading_crlf;  /* bytes of CR LF before the message */
	__u32 cseq;
};

#define PKT_BACKUP ";expires=0;cisco-keep-alive"

void pkt_sip_register(struct pkt_payload *p, const struct pkt_register *r);

/* status: "100 Trying"; method: of the CSeq; expires: NULL: no such header. */
void pkt_sip_response(struct pkt_payload *p, const char *status, const char *method,
		      const char *expires, __u32 length);
void pkt_sip_options(struct pkt_payload *p);
