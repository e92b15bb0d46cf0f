// SPDX-License-Identifier: GPL-2.0-only
/*
 * make-trace-corpus DIRECTORY: the seeds for the fuzzing of traces: each way in which a line or a
 * message is written, and a connection of which both sides tell.
 */
#include <stdio.h>
#include <string.h>

static const char *directory;

static const char *const texts[][2] = {
	{ "sdl",
	  "1 |19:11:08.219 |AppInfo  |SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message from "
	  "10.0.0.2 on port 50001 index 1 with 9 bytes:\n[1,NET]\nREGISTER sip:x SIP/2.0\nCall-ID: "
	  "1@x\nCSeq: 1 REGISTER\nContact: "
	  "<sip:1@x>;+u.sip!devicename.ccm.cisco.com=\"SEP000000000002\"\n"
	  "Date: Thu, 02 Jul 2015 17:11:08 GMT\nExpires: 3600\n\n"
	  "1 |19:11:08.220 |AppInfo  |SIPTcp - wait_SdlSPISignal: Outgoing SIP TCP message to "
	  "10.0.0.2 on port 50001 index 1\r\n[2,NET]\r\nSIP/2.0 200 OK\r\nCSeq: 1 "
	  "REGISTER\r\nDate: "
	  "Thu, 02 Jul 2015 17:11:08 GMT\r\n\r\n" },
	{ "sdi",
	  "07/02/2015 16:02:57.000 CCM|StationInit - New connection accepted. DeviceName=, "
	  "TCPHandle=0x4fb, Socket=0x5a4, IPAddr=10.0.0.1, Port=50000, StationD=[0,0,0]\n"
	  "16:03:06.703 CCM|StationInit - InboundStim - KeepAliveMessageID tcpHandle=0x4fb\n"
	  "16:03:06.703 CCM|StationD - stationOutputKeepAliveAck tcpHandle=0x4fb\n"
	  "16:04:06.703 CCM|//SIP/SIPTcp/wait_SdlReadRsp: Incoming SIP TCP message size 9 from "
	  "10.1.1.1:[51234]:\nOPTIONS sip:x SIP/2.0\n\n" },
	{ "signal",
	  "1 |20:21:09.000 |SdlSig   |StationLocationInfo |restart0 |StationD(1,100,64,114) "
	  "|StationInit(1,100,63,1) |1,100,14,5210.26^10.0.0.3^SEP000000000003 |[R:N-H:0]\n"
	  "1 |23:59:59.055 |AppInfo  |StationInit: (0000114) KeepAlive\n\x1e"
	  "1 |00:00:01.056 |AppInfo  |StationD:    (0000114) KeepAliveAck\n" },
	{ "six",
	  "1 |08:11:08.219 |AppInfo  |SIPTcp - wait_SdlReadRsp: Incoming SIP TCP message from "
	  "2001:db8::5 on port 57378 index 1 with 9 bytes:\nREGISTER sip:x SIP/2.0\nCSeq: 1 "
	  "REGISTER\nContact: <sip:1@x>;expires=0;cisco-keep-alive\nExpires: 0\n\n" },
	{ "odd",
	  "1 |25:00:00.000 |AppInfo |x\n1 |12:00:00.000 |SdlSig |StationD() |StationInit( |^^\n" },
};

static int write_seed(const char *name, const void *head, size_t head_len, const char *text)
{
	char path[4096];
	FILE *file;
	int bad;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "wb");
	if (!file) {
		fprintf(stderr, "make-trace-corpus: %s: %m\n", path);
		return -1;
	}
	bad = fwrite(head, head_len, 1, file) != 1 || fputs(text, file) < 0;
	return fclose(file) || bad ? -1 : 0;
}

/* Twenty keepalives of one phone, 30 s apart, as they were seen and as the trace has them. */
static int write_both(const char *name, int named)
{
	unsigned char head[2 + 4 * 20] = { 200, 20 };
	char text[20 * 120];
	size_t n = 0;

	for (unsigned i = 0; i < 20; i++) {
		const unsigned char segment[4] = { 120, (unsigned char)(i * 37 % 90),
						   (unsigned char)(1 | (i & 15) << 4), 1 << 4 };
		unsigned at_s = 30 * (i + 1), ms = 0;

		memcpy(head + 2 + sizeof(segment) * i, segment, sizeof(segment));
		for (unsigned k = 0; k <= i; k++)
			ms += k * 37 % 90;
		at_s += ms / 1000;
		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"14:%02u:%02u.%03u CCM|StationInit - KeepAlive tcpHandle=0x1%s\n",
			at_s / 60 % 60, at_s % 60, ms % 1000 + 2,
			named && i == 3 ? ", IPAddr=10.0.0.1, Port=50000" : "");
	}
	return write_seed(name, head, sizeof(head), text);
}

int main(int argc, char **argv)
{
	static const unsigned char head[2] = { 60, 0 };

	if (argc != 2) {
		fprintf(stderr, "usage: make-trace-corpus DIRECTORY\n");
		return 2;
	}
	directory = argv[1];
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (write_seed(texts[i][0], head, sizeof(head), texts[i][1]))
			return 1;
	}
	return write_both("both-named", 1) || write_both("both-numbered", 0) ? 1 : 0;
}
