// SPDX-License-Identifier: GPL-2.0-only
/*
 * Captures of SIP phones on both sides of something that loses keepalives, and the call server's
 * trace of the same time:
 *
 *   write-outage DIRECTORY [phones=N] [seconds=N] [ageing=S] [random=PERCENT] [cut=PHONE]
 *                [untraced=N]
 *
 * access.pcap and cucm.pcap begin at 2015-07-02 10:00:00 UTC by the access side's clock, the other
 * one is 5.32 s ahead; cucm.sdl is in the server's local time, three hours behind that. Phone N is
 * SEP0024142D…, at 10.60.98.N, and registers again after one of the periods below, by turns.
 *
 * ageing: the first copy after a longer silence is lost. random: first copies are lost as chance has
 * it. cut: all copies of three of this phone's REGISTERs in the middle are lost, for 20 s each.
 * untraced: of so many REGISTERs that arrived one is missing in the trace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/pcap_writer.h"

#define S 1000000000ULL
#define MS 1000000ULL
#define START_S 1435831200ULL /* 2015-07-02 10:00:00 UTC */
#define CUCM_AHEAD (5320 * MS)
#define ZONE_S (3 * 3600)
#define WAY (2 * MS)

enum {
	EVENTS_MAX = 1 << 20,
	REGISTER_LEN = 890,
	TRYING_LEN = 325,
	OK_LEN = 637,
};

static const unsigned periods[] = { 25, 45, 55, 75, 95, 115 };

static struct {
	unsigned phones, seconds, ageing, random, cut, untraced;
} options = { .phones = 12, .seconds = 1200 };

/* A packet that one side sees. */
struct event {
	uint64_t time_ns;
	bool at_cucm;
	struct pkt_spec spec;
	unsigned request;
};

static struct event *events;
static size_t event_count;
static unsigned arrived;
static FILE *trace;

/* Repeatable, and even enough. */
static unsigned chance(void)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state % 100);
}

static void seen(uint64_t time_ns, bool at_cucm, const struct pkt_spec *spec, unsigned request)
{
	if (event_count == EVENTS_MAX)
		abort();
	events[event_count++] = (struct event){ time_ns, at_cucm, *spec, request };
}

/* On both sides, or as far as it came. */
static void send_packet(uint64_t time_ns, const struct pkt_spec *spec, unsigned request, bool lost)
{
	static __u16 numbers[2][256];
	struct pkt_spec numbered = *spec;
	bool near = spec->to_phone;

	/* Each sender numbers what it sends on a connection. */
	numbered.ip_id = ++numbers[near][spec->phone % 256];
	seen(time_ns, near, &numbered, request);
	if (!lost)
		seen(time_ns + WAY, !near, &numbered, request);
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

/* ---- Phones ---- */

static bool first_is_lost(unsigned period_s, unsigned request)
{
	if (!request)
		return false;
	if (options.ageing && period_s > options.ageing)
		return true;
	return options.random && chance() < options.random;
}

/* A REGISTER, sent until it arrives; what the server says to it.. */
static void exchange(unsigned phone, unsigned request, uint64_t at_ns, bool lost, bool cut)
{
	uint32_t seq = 1000 * phone + request * REGISTER_LEN;
	uint32_t ack = 5000000 + 1000 * phone + request * (TRYING_LEN + OK_LEN);
	struct pkt_spec spec = {
		.phone = (__u16)phone,
		.sport = (__u16)(50000 + phone),
		.dport = PKT_SIP_PORT,
		.seq = seq,
		.ack = ack,
		.window = 8192,
		.payload_len = REGISTER_LEN,
	};
	uint64_t first_ns = at_ns;

	for (uint64_t wait_ns = 400 * MS; lost || (cut && at_ns < first_ns + 20 * S);
	     wait_ns *= 2, lost = false) {
		send_packet(at_ns, &spec, request, true);
		at_ns += wait_ns;
	}
	send_packet(at_ns, &spec, request, false);
	spec = (struct pkt_spec){
		.to_phone = true,
		.phone = (__u16)phone,
		.sport = PKT_SIP_PORT,
		.dport = (__u16)(50000 + phone),
		.seq = ack,
		.ack = seq + REGISTER_LEN,
		.window = 8192,
		.payload_len = TRYING_LEN,
	};
	send_packet(at_ns + WAY + 1 * MS, &spec, request, false);
	spec.seq += TRYING_LEN;
	spec.payload_len = OK_LEN;
	send_packet(at_ns + WAY + 3 * MS, &spec, request, false);
	spec = (struct pkt_spec){
		.phone = (__u16)phone,
		.sport = (__u16)(50000 + phone),
		.dport = PKT_SIP_PORT,
		.seq = seq + REGISTER_LEN,
		.ack = ack + TRYING_LEN + OK_LEN,
		.window = 8192,
	};
	send_packet(at_ns + 2 * WAY + 20 * MS, &spec, request, false);
}

static void connect_phone(unsigned phone, uint64_t at_ns)
{
	struct pkt_spec spec = {
		.phone = (__u16)phone,
		.sport = (__u16)(50000 + phone),
		.dport = PKT_SIP_PORT,
		.flags = KL_SYN,
		.seq = 1000 * phone - 1,
		.window = 8192,
	};

	send_packet(at_ns, &spec, 0, false);
	spec.to_phone = true;
	spec.sport = PKT_SIP_PORT;
	spec.dport = (__u16)(50000 + phone);
	spec.flags = KL_SYN | KL_ACK;
	spec.ack = spec.seq + 1;
	spec.seq = 5000000 + 1000 * phone - 1;
	send_packet(at_ns + 2 * WAY, &spec, 0, false);
	spec = (struct pkt_spec){
		.phone = (__u16)phone,
		.sport = (__u16)(50000 + phone),
		.dport = PKT_SIP_PORT,
		.seq = 1000 * phone,
		.ack = 5000000 + 1000 * phone,
		.window = 8192,
	};
	send_packet(at_ns + 4 * WAY, &spec, 0, false);
}

static void make_phone(unsigned phone)
{
	unsigned period_s = periods[phone % (sizeof(periods) / sizeof(*periods))];
	uint64_t at_ns = START_S * S + phone * 317 * MS;
	uint64_t end_ns = (START_S + options.seconds) * S;
	unsigned middle = options.seconds / period_s / 2;

	connect_phone(phone, at_ns - 100 * MS);
	for (unsigned request = 0; at_ns < end_ns; request++) {
		bool cut = phone == options.cut && request >= middle && request < middle + 3;

		exchange(phone, request, at_ns, first_is_lost(period_s, request), cut);
		at_ns += period_s * S + chance() * MS / 10 + (cut ? 25 * S : 0);
	}
}

/* ---- What they say ---- */

static void build_payload(const struct event *e, struct pkt_payload *p)
{
	const struct pkt_spec *s = &e->spec;
	char text[512];

	p->len = 0;
	if (s->payload_len == REGISTER_LEN)
		pkt_text(p, "REGISTER sip:10.106.111.182 SIP/2.0\r\n");
	else
		pkt_text(p, s->payload_len == OK_LEN ? "SIP/2.0 200 OK\r\n"
						     : "SIP/2.0 100 Trying\r\n");
	snprintf(text, sizeof(text), "Call-ID: %u@10.60.98.%u\r\nCSeq: %u REGISTER\r\n", s->phone,
		 s->phone, 101 + e->request);
	pkt_text(p, text);
	if (s->payload_len == REGISTER_LEN) {
		snprintf(text, sizeof(text),
			 "Contact: <sip:1@10.60.98.%u:%u;transport=tcp>;"
			 "+u.sip!devicename.ccm.cisco.com=\"SEP0024142D%04X\"\r\nExpires: 3600\r\n",
			 s->phone, s->sport, s->phone);
		pkt_text(p, text);
	} else if (s->payload_len == OK_LEN) {
		pkt_text(p, "Expires: 120\r\n");
	}
	pkt_text(p, "X-Fill: ");
	while (p->len + 4 < s->payload_len)
		pkt_text(p, "k");
	pkt_text(p, "\r\n\r\n");
}

static void write_trace(const struct event *e, const struct pkt_payload *said)
{
	uint64_t time_ns = e->time_ns + CUCM_AHEAD + 2 * MS;
	unsigned s = (unsigned)((time_ns / S - ZONE_S) % 86400);

	fprintf(trace,
		"%08u.001 |%02u:%02u:%02u.%03u |AppInfo  |SIPTcp - wait_SdlReadRsp: Incoming SIP "
		"TCP message from 10.60.98.%u on port %u index %u with %u bytes:\r\n[%u,NET]\r\n"
		"%.*s\r\n",
		arrived, s / 3600, s / 60 % 60, s % 60, (unsigned)(time_ns % S / MS), e->spec.phone,
		e->spec.sport, e->spec.phone, said->len, arrived, (int)said->len,
		(const char *)said->data);
}

static void write_event(const struct event *e, struct pcap_writer *w)
{
	struct pkt_payload payload;
	struct pkt_spec spec = e->spec;
	struct pkt pkt;

	if (spec.payload_len) {
		build_payload(e, &payload);
		spec.payload = payload.data;
	}
	pkt_build(&spec, &pkt);
	pcap_write(w, e->time_ns + (e->at_cucm ? CUCM_AHEAD : 0), pkt.data, pkt.len, pkt.len);
	if (!e->at_cucm || spec.payload_len != REGISTER_LEN)
		return;
	arrived++;
	if (!options.untraced || arrived % options.untraced)
		write_trace(e, &payload);
}

static FILE *create(const char *directory, const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "wb");
	if (!file) {
		fprintf(stderr, "write-outage: %s: %m\n", path);
		exit(2);
	}
	return file;
}

static bool set(const char *word)
{
	return sscanf(word, "phones=%u", &options.phones) == 1 ||
	       sscanf(word, "seconds=%u", &options.seconds) == 1 ||
	       sscanf(word, "ageing=%u", &options.ageing) == 1 ||
	       sscanf(word, "random=%u", &options.random) == 1 ||
	       sscanf(word, "cut=%u", &options.cut) == 1 ||
	       sscanf(word, "untraced=%u", &options.untraced) == 1;
}

int main(int argc, char **argv)
{
	const struct pcap_interface interface = { .link = PCAP_LINK_ETHERNET,
						  .snaplen = 65535,
						  .resolution = 9 };
	struct pcap_writer w[2];

	for (int i = 2; i < argc; i++) {
		if (!set(argv[i]))
			argc = 0;
	}
	if (argc < 2) {
		fprintf(stderr, "usage: write-outage DIRECTORY [phones=N] [seconds=N] [ageing=S] "
				"[random=PERCENT] [cut=PHONE] [untraced=N]\n");
		return 2;
	}
	events = calloc(EVENTS_MAX, sizeof(*events));
	if (!events)
		abort();
	for (unsigned phone = 1; phone <= options.phones; phone++)
		make_phone(phone);
	qsort(events, event_count, sizeof(*events), by_time);
	trace = create(argv[1], "cucm.sdl");
	for (int side = 0; side < 2; side++)
		pcap_writer_start(&w[side], create(argv[1], side ? "cucm.pcap" : "access.pcap"),
				  false, false, &interface);
	for (size_t i = 0; i < event_count; i++)
		write_event(&events[i], &w[events[i].at_cucm]);
	fclose(w[0].file);
	fclose(w[1].file);
	fclose(trace);
	free(events);
	return 0;
}
