// SPDX-License-Identifier: GPL-2.0-only
/*
 * Payload → kind: every kind, the bounds that classify.h promises, and what must not be taken for
 * a keepalive. The window ends at a page that may not be read, and what lies in it beyond the
 * payload is made to mislead.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/packets.h"
#include "guard.h"

static const char *const kind_name[KL_KINDS] = {
	"other",	 "sccp_keepalive",	"sccp_keepalive_ack", "sccp_other",
	"sip_register",	 "sip_register_backup", "sip_response",	      "sip_options",
	"sip_other",	 "crlf_ping",		"crlf_pong",	      "tcp_probe",
	"tcp_probe_ack", "tls_record",
};

static struct kl_head_result last_head;
static __u32 last_kind; /* as the window gave it */

static __u32 classify(__u32 service, const void *payload, __u32 len)
{
	static const char bait[] = "\r\nCSeq: 1 REGISTER\r\nContact: cisco-keep-alive\r\n";
	__u8 head[KL_HEAD_BYTES] = { 0 }, window[KL_WINDOW_MASK + 1];
	__u32 head_len = len < KL_HEAD_BYTES ? len : KL_HEAD_BYTES;
	__u32 window_len = len < KL_WINDOW_BYTES ? len : KL_WINDOW_BYTES;

	memcpy(head, payload, head_len);
	if (kl_classify_head(service, guard_copy(0, head, sizeof(head)), head_len, len,
			     &last_head) == KL_HEAD_DECIDED)
		return last_head.kind;
	for (__u32 i = 0; i < sizeof(window); i++)
		window[i] = (__u8)bait[i % (sizeof(bait) - 1)];
	memcpy(window, payload, window_len);
	memset(window + window_len, 0, KL_WINDOW_ZEROED);
	last_kind = kl_classify_window(last_head.scan, last_head.kind,
				       guard_copy(1, window, sizeof(window)), window_len);
	return last_kind & KL_KIND_MASK;
}

static void expect(__u32 service, const struct pkt_payload *p, __u32 want, const char *name)
{
	__u32 got = classify(service, p->data, p->len);

	cr_expect_eq(got, want, "%s: %s instead of %s", name, kind_name[got], kind_name[want]);
}

/* ---- SCCP ---- */

static const struct {
	const char *name;
	const char *messages; /* see put_messages() */
	__u32 want;
	bool tells;
} sccp_cases[] = {
	{ "a keepalive", "K", KL_SCCP_KEEPALIVE },
	{ "an answer", "A", KL_SCCP_KEEPALIVE_ACK },
	{ "a Register", "R", KL_SCCP_OTHER, true },
	{ "an Alarm", "L", KL_SCCP_OTHER, true },
	{ "another message", "o", KL_SCCP_OTHER },
	{ "Register, keepalive", "RK", KL_SCCP_KEEPALIVE, true },
	{ "two keepalives", "KK", KL_SCCP_KEEPALIVE },
	{ "keepalive, another", "Ko", KL_SCCP_KEEPALIVE },
	{ "answer, another", "Ao", KL_SCCP_KEEPALIVE_ACK },
	{ "answer, keepalive", "AK", KL_SCCP_KEEPALIVE },
	{ "keepalive, answer", "KA", KL_SCCP_KEEPALIVE },
	{ "another, answer", "oA", KL_SCCP_KEEPALIVE_ACK },
	{ "ten messages, the last a keepalive", "oooooooooK", KL_SCCP_KEEPALIVE },
	{ "the 16th message", "oooooooooooooooK", KL_SCCP_KEEPALIVE },
	{ "the 17th message", "ooooooooooooooooK", KL_SCCP_OTHER },
	{ "the 16th message, an answer", "oooooooooooooooA", KL_SCCP_KEEPALIVE_ACK },
	{ "the 17th message, an answer", "ooooooooooooooooA", KL_SCCP_OTHER },
	{ "a keepalive and a part of the next message", "K4", KL_SCCP_KEEPALIVE },
	{ "an answer and a part of the next message", "A4", KL_SCCP_KEEPALIVE_ACK },
	{ "another and a part of a keepalive", "o8", KL_SCCP_OTHER },
	{ "another, rubbish, keepalive", "o!K", KL_SCCP_OTHER },
	{ "rubbish", "!", KL_SCCP_OTHER },
	{ "a keepalive's first 11 bytes", "b", KL_SCCP_OTHER },
	{ "a keepalive of version 0x16", "v", KL_SCCP_KEEPALIVE },
	{ "a keepalive id with a body", "B", KL_SCCP_OTHER },
	{ "the largest message, keepalive", "XK", KL_SCCP_OTHER },
	{ "length 3", "3", KL_SCCP_OTHER },
	{ "length 0", "0", KL_SCCP_OTHER },
	{ "length 2^32 - 8, keepalive", "-K", KL_SCCP_OTHER },
	{ "another, length 2^32 - 8", "o-", KL_SCCP_OTHER },
};

static void put_header(struct pkt_payload *p, __u32 length, __u32 version, __u32 id)
{
	const __u32 header[3] = { length, version, id };

	pkt_bytes(p, header, sizeof(header));
}

static void put_messages(struct pkt_payload *p, const char *messages)
{
	static const __u8 zero[1000];

	for (const char *m = messages; *m; m++) {
		switch (*m) {
		case 'K':
			pkt_sccp_keepalive(p);
			break;
		case 'A':
			pkt_sccp_keepalive_ack(p);
			break;
		case 'R':
			pkt_sccp_register(p, "SEP0024142DDF24");
			break;
		case 'L':
			pkt_sccp(p, 0x14, KL_SCCP_ID_ALARM, "\2\0\0\0Name=SEP001380AD9E5F", 24);
			break;
		case 'o':
			pkt_sccp(p, 0x12, 0x0116, zero, 20);
			break;
		case 'v':
			pkt_sccp(p, 0x16, KL_SCCP_ID_KEEPALIVE, "", 0);
			break;
		case 'B':
			pkt_sccp(p, 0, KL_SCCP_ID_KEEPALIVE, zero, 4);
			break;
		case 'X':
			put_header(p, 0xffff, 0, 0x0116);
			pkt_bytes(p, zero, 300);
			break;
		case 'b':
			pkt_bytes(p, "\4\0\0\0\0\0\0\0\0\0\0", 11);
			break;
		case '4':
			pkt_bytes(p, "\x20\0\0\0", 4);
			break;
		case '8':
			pkt_bytes(p, "\4\0\0\0\0\0\0\0", 8);
			break;
		case '3':
			put_header(p, 3, 0, KL_SCCP_ID_KEEPALIVE);
			break;
		case '0':
			put_header(p, 0, 0, KL_SCCP_ID_KEEPALIVE);
			break;
		case '-':
			put_header(p, 0xfffffff8, 0, 0x0116);
			break;
		case '!':
			pkt_bytes(p, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
			break;
		default:
			abort();
		}
	}
}

Test(classify, sccp)
{
	for (__u32 i = 0; i < sizeof(sccp_cases) / sizeof(sccp_cases[0]); i++) {
		struct pkt_payload p = { 0 };

		put_messages(&p, sccp_cases[i].messages);
		expect(KL_SCCP, &p, sccp_cases[i].want, sccp_cases[i].name);
		cr_expect_eq(last_head.tells != KL_TELLS_NOTHING, sccp_cases[i].tells, "%s",
			     sccp_cases[i].name);
	}
}

Test(classify, sccp_bytes_as_seen_on_the_wire)
{
	static const __u8 keepalive[12] = { 4 };
	static const __u8 ack[12] = { 4, [9] = 1 };

	cr_expect_eq(classify(KL_SCCP, keepalive, 12), KL_SCCP_KEEPALIVE);
	cr_expect_eq(classify(KL_SCCP, ack, 12), KL_SCCP_KEEPALIVE_ACK);
}

Test(classify, sccp_keepalive_at_the_end_of_the_window)
{
	/* The keepalive's 12 bytes lie in the first 1024, or not: one byte decides. */
	for (__u32 before = 900; before < 1100; before++) {
		static const __u8 zero[1100];
		struct pkt_payload p = { 0 };

		pkt_sccp(&p, 0, 0x0116, zero, before - KL_SCCP_HEADER);
		pkt_sccp_keepalive(&p);
		expect(KL_SCCP, &p, before + 12 <= 1024 ? KL_SCCP_KEEPALIVE : KL_SCCP_OTHER,
		       "behind a long message");
	}
}

Test(classify, sccp_cut_anywhere)
{
	struct pkt_payload p = { 0 };

	put_messages(&p, "RoAoK");
	for (__u32 len = 0; len <= p.len; len++) {
		__u32 want = KL_SCCP_OTHER;

		if (len == 0)
			want = KL_OTHER;
		else if (len == p.len)
			want = KL_SCCP_KEEPALIVE;
		else if (len >= 76 + 32 + 12)
			want = KL_SCCP_KEEPALIVE_ACK;
		cr_expect_eq(classify(KL_SCCP, p.data, len), want, "%u bytes", len);
	}
}

/* ---- SIP ---- */

#define REG "REGISTER sip:10.106.111.182 SIP/2.0\r\nVia: SIP/2.0/TCP 10.60.98.210:51000\r\n"
#define CON "Contact: <sip:4001@10.60.98.210>;+u.sip!devicename.ccm.cisco.com=\"SEPE0D1730A8137\""
#define MARK CON PKT_BACKUP "\r\n"
#define OK "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 10.60.98.210:51000\r\n"

static const struct {
	const char *name;
	const char *text;
	__u32 want;
} sip_cases[] = {
	/* REGISTER */
	{ "a refresh", REG CON "\r\nExpires: 3600\r\n\r\n", KL_SIP_REGISTER },
	{ "to a backup", REG MARK "Expires: 0\r\n\r\n", KL_SIP_REGISTER_BACKUP },
	{ "to a backup, Expires first", REG "Expires: 0\r\n" MARK "\r\n", KL_SIP_REGISTER_BACKUP },
	{ "to a backup, no Expires header", REG MARK "\r\n", KL_SIP_REGISTER_BACKUP },
	{ "to a backup, compact Contact",
	  REG "m: <sip:4001@10.60.98.210>" PKT_BACKUP "\r\nExpires: 0\r\n\r\n",
	  KL_SIP_REGISTER_BACKUP },
	{ "to a backup, odd case",
	  REG "CONTACT: <sip:4001@10.60.98.210>;EXPIRES=0;Cisco-Keep-Alive\r\neXPIRES: 0\r\n\r\n",
	  KL_SIP_REGISTER_BACKUP },
	{ "a de-registration", REG CON ";expires=0\r\nExpires: 0\r\n\r\n", KL_SIP_REGISTER },
	{ "the mark and Expires 3600", REG MARK "Expires: 3600\r\n\r\n", KL_SIP_REGISTER },
	{ "Expires 3600 and then the mark", REG "Expires: 3600\r\n" MARK "\r\n", KL_SIP_REGISTER },
	{ "the mark, Expires in odd case", REG MARK "EXPIRES \t:\t  120\r\n\r\n", KL_SIP_REGISTER },
	{ "the mark, Expires without a space", REG MARK "Expires:120\r\n\r\n", KL_SIP_REGISTER },
	{ "the mark, Expires 0 without a space", REG MARK "Expires:0\r\n\r\n",
	  KL_SIP_REGISTER_BACKUP },
	{ "the mark, Expires 0 amid white space", REG MARK "expires \t: \t  0\r\n\r\n",
	  KL_SIP_REGISTER_BACKUP },
	{ "the mark, another header that begins alike",
	  REG MARK "Expires-Later: 3600\r\nExpires: 0\r\n\r\n", KL_SIP_REGISTER_BACKUP },
	{ "the mark only in the body", REG CON "\r\nExpires: 0\r\n\r\n;cisco-keep-alive\r\n",
	  KL_SIP_REGISTER },
	{ "Expires 3600 only in the body", REG MARK "Expires: 0\r\n\r\nExpires: 3600\r\n",
	  KL_SIP_REGISTER_BACKUP },
	{ "nearly the mark", REG CON ";cisco-keep-alixe\r\nExpires: 0\r\n\r\n", KL_SIP_REGISTER },
	{ "the mark's end cut off", REG CON ";cisco-keep-aliv", KL_SIP_REGISTER },
	{ "LF only", "REGISTER sip:x SIP/2.0\nm: <sip:1@x>" PKT_BACKUP "\nExpires: 0\n\n",
	  KL_SIP_REGISTER_BACKUP },
	{ "behind one CRLF", "\r\n" REG MARK "Expires: 0\r\n\r\n", KL_SIP_REGISTER_BACKUP },
	{ "behind a ping", "\r\n\r\n" REG MARK "Expires: 0\r\n\r\n", KL_SIP_REGISTER_BACKUP },
	{ "behind a ping, positive", "\r\n\r\n" REG MARK "Expires: 60\r\n\r\n", KL_SIP_REGISTER },
	{ "behind eight CRLFs", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" REG MARK "Expires: 0\r\n\r\n",
	  KL_SIP_REGISTER_BACKUP },
	{ "behind sixteen LFs", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n" REG MARK "Expires: 0\r\n\r\n",
	  KL_SIP_REGISTER_BACKUP },
	{ "behind nine CRLFs", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" REG, KL_SIP_OTHER },
	{ "the first half of one", "REGISTER sip:10.106", KL_SIP_REGISTER },
	{ "the method and no more", "REGISTER ", KL_SIP_REGISTER },
	{ "half of the method", "REGISTE", KL_SIP_OTHER },
	{ "the method without a space", "REGISTER", KL_SIP_OTHER },
	{ "a longer method", "REGISTERED sip:x SIP/2.0\r\n\r\n", KL_SIP_OTHER },
	{ "a method in lower case", "register sip:x SIP/2.0\r\n\r\n", KL_SIP_OTHER },

	/* Responses */
	{ "100 to a REGISTER", "SIP/2.0 100 Trying\r\nCSeq: 101 REGISTER\r\n\r\n",
	  KL_SIP_RESPONSE },
	{ "200 to a REGISTER", OK "CSeq: 101 REGISTER\r\n\r\n", KL_SIP_RESPONSE },
	{ "200 to an OPTIONS", OK "CSeq: 102 OPTIONS\r\n\r\n", KL_SIP_RESPONSE },
	{ "200 to an INVITE", OK "CSeq: 103 INVITE\r\n\r\n", KL_SIP_OTHER },
	{ "200 to a NOTIFY", OK "CSeq: 103 NOTIFY\r\n\r\n", KL_SIP_OTHER },
	{ "403 to a REGISTER", "SIP/2.0 403 Forbidden\r\nCSeq: 1 REGISTER\r\n\r\n",
	  KL_SIP_RESPONSE },
	{ "CSeq in odd case", OK "cSEQ: 101 REGISTER\r\n\r\n", KL_SIP_RESPONSE },
	{ "CSeq amid white space", OK "CSeq \t:\t  101 \tREGISTER\r\n\r\n", KL_SIP_RESPONSE },
	{ "CSeq without a space", OK "CSeq:101 REGISTER\r\n\r\n", KL_SIP_RESPONSE },
	{ "the largest CSeq", OK "CSeq: 2147483647 REGISTER\r\n\r\n", KL_SIP_RESPONSE },
	{ "no CSeq", OK "\r\n", KL_SIP_OTHER },
	{ "CSeq only in the body", OK "\r\nCSeq: 1 REGISTER\r\n", KL_SIP_OTHER },
	{ "another header that begins alike", OK "CSeqX: 1 REGISTER\r\nCSeq: 1 BYE\r\n\r\n",
	  KL_SIP_OTHER },
	{ "a method in another header", OK "Allow: REGISTER\r\nCSeq: 1 BYE\r\n\r\n", KL_SIP_OTHER },
	{ "behind a CRLF", "\r\n" OK "CSeq: 1 REGISTER\r\n\r\n", KL_SIP_RESPONSE },
	{ "behind a ping", "\r\n\r\n" OK "CSeq: 1 REGISTER\r\n\r\n", KL_SIP_RESPONSE },
	{ "behind a pong and LF", "\r\n\n" OK "CSeq: 1 OPTIONS\r\n\r\n", KL_SIP_RESPONSE },
	{ "LF only", "SIP/2.0 200 OK\nCSeq: 1 REGISTER\n\n", KL_SIP_RESPONSE },
	{ "cut in the CSeq", OK "CSeq: 101 REG", KL_SIP_OTHER },
	{ "not that version", "SIP/3.0 200 OK\r\nCSeq: 1 REGISTER\r\n\r\n", KL_SIP_OTHER },

	/* The rest */
	{ "OPTIONS", "OPTIONS sip:x SIP/2.0\r\n\r\n", KL_SIP_OPTIONS },
	{ "OPTIONS behind a CRLF", "\r\nOPTIONS sip:x SIP/2.0\r\n\r\n", KL_SIP_OPTIONS },
	{ "INVITE", "INVITE sip:x SIP/2.0\r\nCSeq: 1 REGISTER\r\n\r\n", KL_SIP_OTHER },
	{ "a body that goes on", "v=0\r\no=Cisco\r\nCSeq: 1 REGISTER\r\n", KL_SIP_OTHER },
	{ "ping", "\r\n\r\n", KL_CRLF_PING },
	{ "two pings at once", "\r\n\r\n\r\n\r\n", KL_CRLF_PING },
	{ "four pings at once", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", KL_CRLF_PING },
	{ "pong", "\r\n", KL_CRLF_PONG },
	{ "three bytes", "\r\n\r", KL_SIP_OTHER },
	{ "two bytes of text", "ab", KL_SIP_OTHER },
};

Test(classify, sip)
{
	for (__u32 i = 0; i < sizeof(sip_cases) / sizeof(sip_cases[0]); i++) {
		struct pkt_payload p = { 0 };

		pkt_text(&p, sip_cases[i].text);
		expect(KL_SIP, &p, sip_cases[i].want, sip_cases[i].name);
	}
}

Test(classify, a_register_names_the_device)
{
	struct pkt_payload p = { 0 };

	pkt_sip_register(&p, &(struct pkt_register){ .expires = "3600" });
	expect(KL_SIP, &p, KL_SIP_REGISTER, "REGISTER");
	cr_expect_eq(last_head.tells, KL_TELLS_DEVICE);
	p.len = 0;
	pkt_sip_options(&p);
	expect(KL_SIP, &p, KL_SIP_OPTIONS, "OPTIONS");
	cr_expect_eq(last_head.tells, KL_TELLS_NOTHING);
}

Test(classify, a_register_that_leaves)
{
	static const struct {
		const char *name, *text;
		bool leaves;
	} cases[] = {
		{ "Expires 0", "REGISTER sip:a SIP/2.0\r\nExpires: 0\r\n\r\n", true },
		{ "Expires 3600", "REGISTER sip:a SIP/2.0\r\nExpires: 3600\r\n\r\n", false },
		{ "no Expires", "REGISTER sip:a SIP/2.0\r\nCSeq: 1 REGISTER\r\n\r\n", false },
		{ "a backup's keepalive",
		  "REGISTER sip:a SIP/2.0\r\nContact: <sip:b>;expires=0;cisco-keep-alive\r\n"
		  "Expires: 0\r\n\r\n",
		  false },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pkt_payload p = { 0 };

		pkt_text(&p, cases[i].text);
		classify(KL_SIP, p.data, p.len);
		cr_expect_eq(!!(last_kind & KL_KIND_LEAVES), cases[i].leaves, "%s", cases[i].name);
	}
}

Test(classify, registers_of_890_bytes)
{
	static const struct {
		const char *expires, *contact;
		__u32 want;
	} cases[] = {
		{ "3600", "", KL_SIP_REGISTER },
		{ "0", PKT_BACKUP, KL_SIP_REGISTER_BACKUP },
		{ NULL, PKT_BACKUP, KL_SIP_REGISTER_BACKUP },
		{ "0", ";expires=0", KL_SIP_REGISTER },
		{ "3600", PKT_BACKUP, KL_SIP_REGISTER },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pkt_payload p = { 0 };
		struct pkt_register r = { .expires = cases[i].expires,
					  .contact = cases[i].contact,
					  .length = 890,
					  .cseq = 101 };

		pkt_sip_register(&p, &r);
		cr_assert_eq(p.len, 890);
		expect(KL_SIP, &p, cases[i].want, cases[i].expires ?: "no Expires");
	}
}

Test(classify, responses_of_their_usual_length)
{
	static const struct {
		const char *status, *method, *expires;
		__u32 length, want;
	} cases[] = {
		{ "100 Trying", "REGISTER", NULL, 325, KL_SIP_RESPONSE },
		{ "200 OK", "REGISTER", "120", 637, KL_SIP_RESPONSE },
		{ "200 OK", "OPTIONS", NULL, 637, KL_SIP_RESPONSE },
		{ "100 Trying", "INVITE", NULL, 325, KL_SIP_OTHER },
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pkt_payload p = { 0 };

		pkt_sip_response(&p, cases[i].status, cases[i].method, cases[i].expires,
				 cases[i].length);
		cr_assert_leq(p.len, cases[i].length);
		expect(KL_SIP, &p, cases[i].want, cases[i].method);
	}
}

/* Words are read aligned: wherever the mark stands, and wherever Expires does, it is found. */
Test(classify, the_mark_and_expires_at_every_alignment)
{
	for (__u32 shift = 0; shift < 300; shift++) {
		for (__u32 crlf = 0; crlf <= 8; crlf++) {
			struct pkt_register r = { .expires = "0",
						  .contact = PKT_BACKUP,
						  .shift = shift,
						  .leading_crlf = crlf };
			struct pkt_payload p = { 0 };

			pkt_sip_register(&p, &r);
			cr_assert_eq(classify(KL_SIP, p.data, p.len), KL_SIP_REGISTER_BACKUP,
				     "shift %u, behind %u", shift, crlf);
			r.expires = "60";
			p.len = 0;
			pkt_sip_register(&p, &r);
			cr_assert_eq(classify(KL_SIP, p.data, p.len), KL_SIP_REGISTER,
				     "shift %u, behind %u, positive", shift, crlf);
		}
	}
}

Test(classify, cseq_at_every_alignment)
{
	for (__u32 shift = 0; shift < 64; shift++) {
		struct pkt_payload p = { 0 };

		pkt_text(&p, "SIP/2.0 200 OK\r\nX:");
		for (__u32 i = 0; i < shift; i++)
			pkt_text(&p, "\rC");
		pkt_text(&p, "\r\nCSeq: 7 OPTIONS\r\n\r\n");
		cr_assert_eq(classify(KL_SIP, p.data, p.len), KL_SIP_RESPONSE, "shift %u", shift);
	}
}

/* ---- The window's end ---- */

/* What stands within the first 1024 bytes is read, what stands beyond them is not. */
Test(classify, headers_at_the_end_of_the_window)
{
	static const char filler[] = "SIP/2.0 200 OK\r\nX: ",
			  cseq[] = "\r\nCSeq: 1 REGISTER\r\n\r\n";

	for (__u32 at = 900; at < 1100; at++) { /* where the CSeq line starts */
		struct pkt_payload p = { 0 };
		__u32 got;

		pkt_text(&p, filler);
		while (p.len < at - 2)
			pkt_text(&p, "k");
		pkt_text(&p, cseq);
		got = classify(KL_SIP, p.data, p.len);
		/* "CSeq: 1 REGI" are 12 bytes. */
		cr_assert_eq(got, at + 12 <= 1024 ? KL_SIP_RESPONSE : KL_SIP_OTHER, "CSeq at %u",
			     at);
	}
}

Test(classify, the_mark_at_the_end_of_the_window)
{
	for (__u32 at = 900; at < 1100; at++) { /* where the mark starts */
		struct pkt_payload p = { 0 };

		pkt_text(&p, "REGISTER sip:x SIP/2.0\r\nExpires: 0\r\nm: <sip:1@x>");
		while (p.len < at - 1)
			pkt_text(&p, "k");
		pkt_text(&p, ";cisco-keep-alive\r\n\r\n");
		cr_assert_eq(classify(KL_SIP, p.data, p.len),
			     at + 16 <= 1024 ? KL_SIP_REGISTER_BACKUP : KL_SIP_REGISTER,
			     "mark at %u", at);
	}
}

/* A REGISTER split over two segments: the first part is one, the rest is nothing. */
Test(classify, a_register_in_two_segments)
{
	struct pkt_payload p = { 0 };

	pkt_sip_register(&p, &(struct pkt_register){ .expires = "3600", .length = 585 });
	for (__u32 cut = 9; cut < p.len; cut++) {
		__u32 rest = classify(KL_SIP, p.data + cut, p.len - cut);

		cr_assert_eq(classify(KL_SIP, p.data, cut), KL_SIP_REGISTER, "%u bytes", cut);
		/* What is left of the headers' end can be nothing but CR LF. */
		cr_assert(rest == KL_SIP_OTHER || (rest == KL_CRLF_PING && p.len - cut == 4) ||
				  (rest == KL_CRLF_PONG && p.len - cut == 2),
			  "from %u: %s", cut, kind_name[rest]);
	}
}

/* ---- The services ---- */

Test(classify, tls_is_never_looked_into)
{
	static const __u32 services[] = { KL_SCCP_TLS, KL_SIP_TLS };
	struct pkt_payload record = { 0 }, keepalive = { 0 }, ping = { 0 };

	pkt_tls_record(&record, 40);
	pkt_sccp_keepalive(&keepalive);
	pkt_text(&ping, "\r\n\r\n");
	for (__u32 i = 0; i < 2; i++) {
		expect(services[i], &record, KL_TLS_RECORD, "a record");
		expect(services[i], &keepalive, KL_TLS_RECORD, "what looks like a keepalive");
		expect(services[i], &ping, KL_TLS_RECORD, "what looks like a ping");
		cr_expect_eq(classify(services[i], "", 0), KL_OTHER);
	}
}

Test(classify, a_service_does_not_speak_the_other)
{
	struct pkt_payload sip = { 0 }, sccp = { 0 };

	pkt_sip_register(&sip, &(struct pkt_register){ .expires = "3600" });
	pkt_sccp_keepalive(&sccp);
	expect(KL_SCCP, &sip, KL_SCCP_OTHER, "SIP on 2000");
	expect(KL_SIP, &sccp, KL_SIP_OTHER, "SCCP on 5060");
	cr_expect_eq(classify(KL_SCCP, "\r\n\r\n", 4), KL_SCCP_OTHER);
	cr_expect_eq(classify(KL_SCCP, "", 0), KL_OTHER);
	cr_expect_eq(classify(KL_SIP, "", 0), KL_OTHER);
}

/* ---- The helpers ---- */

Test(classify, character_sets)
{
	for (__u32 c = 0; c < 256; c++) {
		cr_expect_eq(kl_in_set(KL_SPACES, (__u8)c), c == ' ' || c == '\t', "%u", c);
		cr_expect_eq(kl_in_set(KL_DIGITS, (__u8)c), c >= '0' && c <= '9', "%u", c);
	}
}

Test(classify, bytes_in_a_word)
{
	srand(7);
	for (int i = 0; i < 200000; i++) {
		__u8 bytes[8], c = (__u8)(rand() % 4);
		__u64 bits;
		int lowest = -1;

		for (int n = 7; n >= 0; n--) {
			bytes[n] = (__u8)(rand() % 4 + (rand() & 0x80));
			if (bytes[n] == c)
				lowest = n;
		}
		bits = kl_bytes_equal(kl_le64(bytes), c);
		cr_assert_eq(bits != 0, lowest >= 0);
		if (bits)
			cr_assert_eq(kl_lowest_byte(bits), lowest);
	}
}

Test(classify, the_eight_words_of_the_mark)
{
	static const char mark[] = "cisco-keep-alive", odd[] = "CISCO-Keep-aLIVE";

	for (int i = 0; i < 8; i++) {
		cr_expect_eq(kl_sip_word_of_mark(kl_le64(mark + i)), i);
		cr_expect_eq(kl_sip_word_of_mark(kl_le64(odd + i)), i);
		/* The scan looks only at words with a hyphen. */
		cr_expect_neq(kl_bytes_equal(kl_le64(mark + i), '-'), 0, "%d", i);
	}
	cr_expect_lt(kl_sip_word_of_mark(kl_le64(mark + 8)), 0);
}

/* Whatever comes: nothing is read outside, and the kind is one that the service can have. */
Test(classify, random_damage)
{
	static const __u32 may[KL_SERVICES] = {
		[KL_SCCP] = 1 << KL_SCCP_KEEPALIVE | 1 << KL_SCCP_KEEPALIVE_ACK |
			    1 << KL_SCCP_OTHER,
		[KL_SCCP_TLS] = 1 << KL_TLS_RECORD,
		[KL_SIP] = 1 << KL_SIP_REGISTER | 1 << KL_SIP_REGISTER_BACKUP |
			   1 << KL_SIP_RESPONSE | 1 << KL_SIP_OPTIONS | 1 << KL_SIP_OTHER |
			   1 << KL_CRLF_PING | 1 << KL_CRLF_PONG,
		[KL_SIP_TLS] = 1 << KL_TLS_RECORD,
	};

	srand(20261122);
	for (int i = 0; i < 40000; i++) {
		__u32 service = (__u32)rand() % KL_SERVICES, len, kind;
		struct pkt_payload p;

		p.len = 0;
		if (service == KL_SCCP)
			put_messages(
				&p,
				sccp_cases[rand() % (sizeof(sccp_cases) / sizeof(sccp_cases[0]))]
					.messages);
		else
			pkt_text(&p, sip_cases[rand() % (sizeof(sip_cases) / sizeof(sip_cases[0]))]
					     .text);
		for (int n = rand() % 6; n > 0; n--)
			p.data[(__u32)rand() % p.len] = (__u8)rand();
		len = 1 + (__u32)rand() % p.len;
		kind = classify(service, p.data, len);
		cr_assert(may[service] >> kind & 1, "service %u: %s", service, kind_name[kind]);
	}
}
