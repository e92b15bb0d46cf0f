// SPDX-License-Identifier: GPL-2.0-only
/* cucm_trace.h: what traces of a call server say, however they are written. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "core/cucm_trace.h"

#define MS KL_NS_PER_MS
#define S (1000 * MS)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)

static const char sdl[] =
	"02760551.004 |19:11:08.219 |AppInfo  |SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message "
	"from 10.65.40.61 on port 57378 index 12386 with 2203 bytes:\n"
	"[101339,NET]\n"
	"REGISTER sip:10.106.111.182 SIP/2.0\n"
	"Via: SIP/2.0/TCP 10.65.40.61:57378;branch=z9hG4bK1\n"
	"Call-ID: 00e16d01-1@10.65.40.61\n"
	"Date: Thu, 02 Jul 2015 17:11:08 GMT\n"
	"CSeq: 102 REGISTER\n"
	"Contact: <sip:1@10.65.40.61>;+u.sip!devicename.ccm.cisco.com=\"SEP0024142DDF24\"\n"
	"Expires: 3600\n"
	"\n"
	"02760552.001 |19:11:08.220 |SdlSig   |SIPRegisterReq |wait |SIPHandler(1,100,72,1)\n"
	"00455398.001 |19:11:08.230 |AppInfo  |SIPTcp - wait_SdlSPISignal: Outgoing SIP TCP "
	"message "
	"to 10.65.40.61 on port 57378 index 12386\n"
	"[101340,NET]\n"
	"SIP/2.0 100 Trying\n"
	"Call-ID: 00e16d01-1@10.65.40.61\n"
	"CSeq: 102 REGISTER\n"
	"Date: Thu, 02 Jul 2015 17:11:08 GMT\n"
	"\n"
	"00455399.001 |19:11:08.240 |AppInfo  |SIPTcp - wait_SdlSPISignal: Outgoing SIP TCP "
	"message "
	"to 10.65.40.61 on port 57378 index 12386\n"
	"[101341,NET]\n"
	"SIP/2.0 200 OK\n"
	"Call-ID: 00e16d01-1@10.65.40.61\n"
	"CSeq: 102 REGISTER\n"
	"Expires: 120\n"
	"02760560.002 |19:11:09.000 |AppInfo  |SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message "
	"from 10.65.40.61 on port 57378 index 12386 with 1000 bytes:\n"
	"[101342,NET]\n"
	"INVITE sip:1@10.106.111.182 SIP/2.0\n"
	"Call-ID: x\nCSeq: 101 INVITE\n\n"
	"02760561.002 |19:11:10.000 |AppInfo  |nothing of use\n";

static const char sdi[] =
	"16:02:57.000 CCM|StationInit - New connection accepted. DeviceName=, "
	"TCPHandle=0x4fbbc30, Socket=0x5a4, IPAddr=172.16.70.231, Port=52095, "
	"StationD=[0,0,0]\n"
	"16:03:02.328 CCM|MediaTerminationPointControl - stationOutputKeepAliveAck "
	"tcpHandle=4fa7dc0\n"
	"16:03:06.640 CCM|StationInit - InboundStim - KeepAliveMessage - Forward KeepAlive to "
	"StationD. DeviceName=SEP0010EB001720, TCPHandle=0x4fbb150, Socket=0x600, "
	"IPAddr=172.16.70.230, Port=49211, StationD=[1,85,2]\n"
	"16:03:06.703 CCM|StationInit - InboundStim - KeepAliveMessageID tcpHandle=0x4fbbc30\n"
	"16:03:06.703 CCM|StationD - stationOutputKeepAliveAck tcpHandle=0x4fbbc30\n"
	"16:03:07.000 CCM|StationInit - InboundStim - KeepAliveTimeout tcpHandle=0x4fbbc30\n"
	"16:03:08.000 CCM|SIPStationInit - KeepAlive tcpHandle=0x4fbbc30\n";

static const char numbered[] =
	"00000010.000 |20:21:08.055 |AppInfo  |StationInit: (0000114) KeepAlive\n"
	"00000011.000 |20:21:08.056 |AppInfo  |StationD:    (0000114) KeepAliveAck\n"
	"00000012.000 |20:21:09.000 |SdlSig   |StationLocationInfo |restart0 "
	"|StationD(1,100,64,114) |StationInit(1,100,63,1) "
	"|1,100,14,5210.26^10.105.132.116^SEP10F311B680E2 |[R:N-H:0,N:0,L:0,V:0,Z:0,D:0]\n"
	"00000013.000 |20:21:38.055 |AppInfo  |StationInit: (0000115) KeepAlive\n";

static struct kl_trace_lines lines;

static void parse_in(const char *text, size_t step)
{
	struct kl_trace_parser *p;

	lines = (struct kl_trace_lines){};
	cr_assert_eq(kl_trace_parser_new(&lines, &p), 0);
	for (size_t at = 0, len = strlen(text); at < len; at += step)
		cr_assert_eq(kl_trace_parser_feed(p, text + at, len - at < step ? len - at : step),
			     0);
	cr_assert_eq(kl_trace_parser_end_file(p), 0);
	kl_trace_parser_free(p);
}

static void parse(const char *text)
{
	parse_in(text, strlen(text) ?: 1);
}

static void expect_line(size_t i, uint64_t tod_ns, uint8_t direction, uint8_t kind)
{
	cr_assert_lt(i, lines.line.count);
	cr_expect_eq(lines.line.item[i].time_ns % DAY, tod_ns, "line %zu", i);
	cr_expect_eq(lines.line.item[i].direction, direction, "line %zu", i);
	cr_expect_eq(lines.line.item[i].kind, kind, "line %zu", i);
}

static void expect_peer(size_t i, const char *address, uint16_t port, const char *device,
			const char *handle)
{
	const struct kl_trace_peer *peer;
	uint32_t word[4] = { 0 };

	cr_assert_lt(lines.line.item[i].peer, lines.peer.count, "line %zu", i);
	peer = &lines.peer.item[lines.line.item[i].peer];
	if (address)
		inet_pton(AF_INET, address, word);
	cr_expect_arr_eq(peer->address.word, word, sizeof(word), "line %zu", i);
	cr_expect_eq(peer->port, port, "line %zu", i);
	cr_expect_str_eq(peer->device, device);
	cr_expect_str_eq(peer->handle, handle);
}

static void check_sdl(void)
{
	cr_assert_eq(lines.line.count, 3);
	expect_line(0, 19 * HOUR + 11 * 60 * S + 8219 * MS, KL_TO_CUCM, KL_SIP_REGISTER);
	expect_line(1, 19 * HOUR + 11 * 60 * S + 8230 * MS, KL_TO_PHONE, KL_SIP_RESPONSE);
	expect_line(2, 19 * HOUR + 11 * 60 * S + 8240 * MS, KL_TO_PHONE, KL_SIP_RESPONSE);
	for (int i = 0; i < 3; i++)
		expect_peer(i, "10.65.40.61", 57378, "SEP0024142DDF24", "");
	/* 2 July 2015, whatever the zone */
	cr_expect(lines.dated);
	cr_expect_eq(lines.line.item[0].time_ns / DAY, 1435795200 / 86400);
	cr_expect_eq(lines.line.item[0].said_s, 1435857068);
	cr_expect_eq(lines.line.item[2].said_s, 0);
	cr_assert_eq(lines.span.count, 1);
	cr_expect_eq(lines.span.item[0].first_ns, lines.line.item[0].time_ns);
	cr_expect_eq(lines.span.item[0].last_ns, lines.line.item[0].time_ns + 1781 * MS);
	cr_expect_eq(lines.malformed, 0, "%s", lines.complaint);
	kl_trace_lines_done(&lines);
}

Test(cucm_trace, messages_in_sdl)
{
	parse(sdl);
	check_sdl();
}

Test(cucm_trace, in_any_pieces)
{
	for (size_t step = 1; step < 40; step += 3) {
		parse_in(sdl, step);
		check_sdl();
	}
}

Test(cucm_trace, with_both_ends_of_line)
{
	static char text[2 * sizeof(sdl)];
	size_t n = 0;

	for (const char *c = sdl; *c; c++) {
		if (*c == '\n')
			text[n++] = '\r';
		text[n++] = *c;
	}
	parse(text);
	check_sdl();
}

Test(cucm_trace, the_last_line_may_have_no_end)
{
	static char text[sizeof(sdl)];

	memcpy(text, sdl, sizeof(sdl));
	*strstr(text, "Expires: 120\n02760560") = '\0';
	parse(text);
	cr_expect_eq(lines.line.count, 3);
	kl_trace_lines_done(&lines);
}

Test(cucm_trace, sccp_in_sdi)
{
	parse(sdi);
	cr_assert_eq(lines.line.count, 3);
	expect_line(0, 16 * HOUR + 3 * 60 * S + 6640 * MS, KL_TO_CUCM, KL_SCCP_KEEPALIVE);
	expect_line(1, 16 * HOUR + 3 * 60 * S + 6703 * MS, KL_TO_CUCM, KL_SCCP_KEEPALIVE);
	expect_line(2, 16 * HOUR + 3 * 60 * S + 6703 * MS, KL_TO_PHONE, KL_SCCP_KEEPALIVE_ACK);
	expect_peer(0, "172.16.70.230", 49211, "SEP0010EB001720", "0x4fbb150");
	expect_peer(1, "172.16.70.231", 52095, "", "0x4fbbc30");
	cr_expect_not(lines.dated);
	kl_trace_lines_done(&lines);
}

Test(cucm_trace, sccp_in_sdl)
{
	parse(numbered);
	cr_assert_eq(lines.line.count, 3);
	expect_line(0, 20 * HOUR + 21 * 60 * S + 8055 * MS, KL_TO_CUCM, KL_SCCP_KEEPALIVE);
	expect_line(1, 20 * HOUR + 21 * 60 * S + 8056 * MS, KL_TO_PHONE, KL_SCCP_KEEPALIVE_ACK);
	expect_peer(0, "10.105.132.116", 0, "SEP10F311B680E2", "114");
	expect_peer(1, "10.105.132.116", 0, "SEP10F311B680E2", "114");
	expect_peer(2, NULL, 0, "", "115");
	kl_trace_lines_done(&lines);
}

Test(cucm_trace, a_handle_that_is_used_anew_is_another_connection)
{
	parse("16:00:00.000 CCM|StationInit - InboundStim - KeepAliveMessageID tcpHandle=0x1, "
	      "IPAddr=10.0.0.1, Port=5000\n"
	      "16:01:00.000 CCM|StationInit - InboundStim - KeepAliveMessageID tcpHandle=0x1\n"
	      "16:02:00.000 CCM|StationInit - New connection accepted. TCPHandle=0x1, "
	      "IPAddr=10.0.0.1, Port=5001\n"
	      "16:03:00.000 CCM|StationInit - InboundStim - KeepAliveMessageID tcpHandle=0x1\n");
	cr_assert_eq(lines.line.count, 3);
	expect_peer(0, "10.0.0.1", 5000, "", "0x1");
	expect_peer(1, "10.0.0.1", 5000, "", "0x1");
	expect_peer(2, "10.0.0.1", 5001, "", "0x1");
	kl_trace_lines_done(&lines);
}

Test(cucm_trace, midnight_and_a_little_disorder)
{
	static const uint64_t want_s[] = { 0, 2, 1, 31, 86400 + 31 };

	parse("1 |23:59:58.000 |AppInfo |StationInit: (1) KeepAlive\n"
	      "1 |00:00:00.000 |AppInfo |StationInit: (1) KeepAlive\n"
	      "1 |23:59:59.000 |AppInfo |StationInit: (1) KeepAlive\n"
	      "1 |00:00:29.000 |AppInfo |StationInit: (1) KeepAlive\n"
	      "1 |12:00:00.000 |AppInfo |nothing\n"
	      "1 |23:00:00.000 |AppInfo |nothing\n"
	      "1 |00:00:29.000 |AppInfo |StationInit: (1) KeepAlive\n");
	cr_assert_eq(lines.line.count, 5);
	for (size_t i = 0; i < 5; i++)
		cr_expect_eq((lines.line.item[i].time_ns - lines.line.item[0].time_ns) / S,
			     want_s[i], "line %zu", i);
	kl_trace_lines_done(&lines);
}

Test(cucm_trace, a_date_before_the_time)
{
	parse("07/02/2015 00:00:01.500 CCM|StationInit - InboundStim - KeepAliveMessageID "
	      "tcpHandle=0x1\n"
	      "07/03/2015 00:00:01.500 CCM|//SIP/SIPTcp/wait_SdlReadRsp: Incoming SIP TCP "
	      "message size 890 from 10.1.1.1:[51234]:\n"
	      "REGISTER sip:x SIP/2.0\nCSeq: 1 REGISTER\nExpires: 3600\n\n");
	cr_assert_eq(lines.line.count, 2);
	cr_expect(lines.dated);
	cr_expect_eq(lines.line.item[0].time_ns, 1435795200 * S + 1500 * MS);
	cr_expect_eq(lines.line.item[1].time_ns, lines.line.item[0].time_ns + DAY);
	expect_peer(1, "10.1.1.1", 51234, "", "");
	kl_trace_lines_done(&lines);
}

Test(cucm_trace, a_date_tells_the_day_in_zones_far_away)
{
	/* 22:11 on the 2nd in GMT is the 3rd, 08:11, in Sydney */
	parse("1 |08:11:08.219 |AppInfo  |SIPTcp - wait_SdlSPISignal: Outgoing SIP TCP message to "
	      "10.65.40.61 on port 57378 index 1\n"
	      "SIP/2.0 200 OK\nCSeq: 1 REGISTER\nDate: Thu, 02 Jul 2015 22:11:08 GMT\n\n");
	cr_assert_eq(lines.line.count, 1);
	cr_expect_eq(lines.line.item[0].time_ns / DAY, 1435795200 / 86400 + 1);
	kl_trace_lines_done(&lines);
}

Test(cucm_trace, a_backup_is_told_and_other_answers_are_not)
{
	parse("1 |08:11:08.219 |AppInfo  |SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message from "
	      "2001:db8::5 on port 57378 index 1 with 9 bytes:\n"
	      "REGISTER sip:x SIP/2.0\nCSeq: 1 REGISTER\nContact: "
	      "<sip:1@x>;expires=0;cisco-keep-alive\nExpires: 0\n\n"
	      "1 |08:11:09.219 |AppInfo  |SIPTcp - wait_SdlSPISignal: Outgoing SIP TCP message to "
	      "2001:db8::5 on port 57378 index 1\n"
	      "SIP/2.0 200 OK\nCSeq: 1 NOTIFY\n\n");
	cr_assert_eq(lines.line.count, 1);
	cr_expect_eq(lines.line.item[0].kind, KL_SIP_REGISTER_BACKUP);
	cr_expect_eq(lines.peer.item[lines.line.item[0].peer].address.family, 6);
	kl_trace_lines_done(&lines);
}

Test(cucm_trace, a_message_told_twice_is_one)
{
	static char text[2 * sizeof(sdl)];
	char *end = stpcpy(text, sdl);

	strcpy(end, sdl);
	parse(text);
	cr_expect_eq(lines.line.count, 3);
	kl_trace_lines_done(&lines);
}

static const struct {
	const char *text;
	unsigned malformed;
} odd[] = {
	{ "1 |25:00:00.000 |AppInfo |StationInit: (1) KeepAlive\n", 1 },
	{ "1 |12:60:00.000 |AppInfo |StationInit: (1) KeepAlive\n", 1 },
	{ "1 |12:00:00.000 |AppInfo |SIPTcp - : Incoming SIP TCP message from nowhere on port 1\n",
	  1 },
	{ "1 |12:00:00.000 |AppInfo |SIPTcp - : Incoming SIP TCP message from 10.0.0.1 on port "
	  "99999\n",
	  1 },
	{ "1 |12:00:00.000 |AppInfo |SIPTcp - : Incoming SIP TCP message from 10.0.0.1 on port 1\n"
	  "1 |12:00:01.000 |AppInfo |SIPTcp - : Incoming SIP TCP message from 10.0.0.1 on port 1\n"
	  "not a message\n\n",
	  2 },
	{ "1 |12:00:00.000 |AppInfo |\x01\x02\n\x7f\n", 2 },
	{ "12:00:00.000 no bar\nplain text\n\n", 0 },
	{ "1 |12:00:00.000 |AppInfo |SIPUdp - : Incoming SIP UDP message from 10.0.0.1 on port 1\n",
	  0 },
	{ "1 |12:00:00.000 |SdlSig |StationD( |StationInit( |^\n", 0 },
	{ "1 |12:00:00.000 |SdlSig |StationD() |StationInit( |^^\n", 0 },
	{ "1 |12:00:00.000 |AppInfo |StationInit: (", 0 },
	{ "1 |12:00:00.000 |AppInfo |StationInit - tcpHandle=", 0 },
};

Test(cucm_trace, what_is_odd_is_counted_and_the_first_is_named)
{
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		parse(odd[i].text);
		cr_expect_eq(lines.malformed, odd[i].malformed, "%zu: %s", i, lines.complaint);
		cr_expect_eq(lines.complaint[0] != '\0', odd[i].malformed > 0);
		cr_expect_eq(lines.line.count, 0, "%zu", i);
		kl_trace_lines_done(&lines);
	}
}

Test(cucm_trace, long_lines_and_messages_without_end)
{
	struct kl_trace_parser *p;
	static char x[3 * KL_TRACE_LINE_BYTES];

	memset(x, 'x', sizeof(x));
	lines = (struct kl_trace_lines){};
	cr_assert_eq(kl_trace_parser_new(&lines, &p), 0);
	cr_assert_eq(kl_trace_parser_feed(p, sdl, strcspn(sdl, "V")), 0);
	for (int i = 0; i < 100; i++) {
		kl_trace_parser_feed(p, x, sizeof(x));
		kl_trace_parser_feed(p, "\n", 1);
	}
	cr_assert_eq(kl_trace_parser_feed(p, numbered, strlen(numbered)), 0);
	cr_assert_eq(kl_trace_parser_end_file(p), 0);
	cr_expect_eq(lines.line.count, 4);
	kl_trace_parser_free(p);
	kl_trace_lines_done(&lines);
}
