// SPDX-License-Identifier: GPL-2.0-only
/*
 * make-capture: writes what two capture points see of one traffic, for the benchmark and for tests
 * of `diagnose`: phones with SCCP keepalives, and between them the calls (RTP) and other TCP that
 * make most of a real capture. The same options give the same bytes.
 *
 * With --loss, some keepalives and answers reach only the side nearer to their sender, and TCP
 * sends them again. What was lost is said on standard output.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/packets.h"
#include "../packets/pcap_writer.h"

#define NS_PER_S 1000000000ULL

enum {
	PERIOD_S = 30,
	RTP_BYTES = 160, /* 20 ms of G.711: a frame of 214 bytes */
	TRANSIT_NS = 150 * 1000,
	ANSWER_NS = 2 * 1000 * 1000,
	DELAYED_ACK_NS = 40 * 1000 * 1000,
	RTO_NS = 1000 * 1000 * 1000,
};

enum what {
	KEEPALIVE,
	ANSWER,
	BARE_ACK, /* the phone's, of the answer */
};

struct event {
	uint64_t at_ns;
	uint32_t phone;
	uint32_t attempt;
	enum what what;
};

struct phone {
	__u32 seq; /* of the phone: what it sends next */
	__u32 ack; /* the call server's */
	__u16 ip_id;
	__u16 server_ip_id;
};

struct side {
	const char *path;
	struct pcap_writer writer;
	double offset_ns;
	double drift;	   /* seconds a second */
	uint64_t begin_ns; /* true time */
	uint64_t last_ns;
	uint64_t packets;
};

static struct options {
	uint64_t packets;
	double signalling; /* share of the packets */
	uint32_t phones;
	double loss;
	uint64_t seed;
	uint64_t start_s;
	bool ng;
	uint32_t snaplen;
	__u16 vlan; /* of the signalling; 0: no tag */
} options = {
	.packets = 1000000,
	.signalling = 0.02,
	.phones = 500,
	.seed = 1,
	.start_s = 1435818136,
	.snaplen = 262144,
};

static struct side sides[KL_SIDES];
static struct phone *phones;
static struct event *heap;
static uint32_t heap_len;
static struct pkt_payload keepalive, answer;
static struct pkt filler[4];
static uint64_t lost[2], resent;

static void *allocate(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (!p) {
		fprintf(stderr, "make-capture: out of memory\n");
		exit(2);
	}
	return p;
}

static uint64_t random_next(void)
{
	uint64_t z = options.seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static bool chance(double p)
{
	return (double)(random_next() >> 11) < p * 0x1p53;
}

/* ---- Events, earliest first ---- */

static void push(uint64_t at_ns, uint32_t phone, enum what what, uint32_t attempt)
{
	struct event e = { at_ns, phone, attempt, what };
	uint32_t i = heap_len++;

	for (; i && heap[(i - 1) / 2].at_ns > e.at_ns; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = e;
}

static struct event pop(void)
{
	struct event first = heap[0], last = heap[--heap_len];
	uint32_t i = 0;

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child + 1 < heap_len && heap[child + 1].at_ns < heap[child].at_ns)
			child++;
		if (child >= heap_len || heap[child].at_ns >= last.at_ns)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
	return first;
}

/* ---- Packets ---- */

/* at_ns is true time; the side's clock has its own, and its file never goes back. */
static void write_at(struct side *s, uint64_t at_ns, const struct pkt *p)
{
	double elapsed = (double)at_ns;
	uint64_t clock = options.start_s * NS_PER_S + at_ns +
			 (uint64_t)(int64_t)llround(s->offset_ns + elapsed * s->drift);

	if (!s->path || at_ns < s->begin_ns)
		return;
	if (clock < s->last_ns)
		clock = s->last_ns;
	s->last_ns = clock;
	s->packets++;
	pcap_write(&s->writer, clock, p->data, p->len < options.snaplen ? p->len : options.snaplen,
		   p->len);
}

/* Returns false where the packet does not reach the farther side. */
static bool carry(uint64_t at_ns, const struct pkt *p, bool to_phone, bool may_be_lost)
{
	enum kl_side near = to_phone ? KL_CUCM : KL_ACCESS;
	bool arrives = !may_be_lost || !chance(options.loss);

	write_at(&sides[near], at_ns, p);
	if (arrives)
		write_at(&sides[near ^ 1], at_ns + TRANSIT_NS, p);
	else
		lost[to_phone]++;
	return arrives;
}

static void build(uint32_t number, struct phone *phone, const struct event *e, struct pkt *ret)
{
	struct pkt_spec spec = { .tags = options.vlan != 0,
				 .tag = { options.vlan },
				 .phone = (__u16)number,
				 .window = 8192,
				 .pad_to = 64 };
	bool to_phone = e->what == ANSWER;

	spec.to_phone = to_phone;
	spec.seq = to_phone ? phone->ack : phone->seq;
	spec.ack = to_phone ? phone->seq : phone->ack;
	spec.ip_id = to_phone ? ++phone->server_ip_id : ++phone->ip_id;
	if (!spec.ip_id)
		spec.ip_id = to_phone ? ++phone->server_ip_id : ++phone->ip_id;
	/* Phones with numbers that do not fit into the address differ by port. */
	spec.sport = to_phone ? 0 : (__u16)(PKT_PHONE_PORT + (number >> 16));
	spec.dport = to_phone ? (__u16)(PKT_PHONE_PORT + (number >> 16)) : 0;
	if (e->what == KEEPALIVE) {
		spec.payload = keepalive.data;
		spec.payload_len = keepalive.len;
	} else if (e->what == ANSWER) {
		spec.payload = answer.data;
		spec.payload_len = answer.len;
		spec.ack = phone->seq + keepalive.len;
	} else {
		spec.seq = phone->seq;
	}
	pkt_build(&spec, ret);
}

/* What the network and the two ends make of one event. */
static void happen(const struct event *e)
{
	struct phone *phone = &phones[e->phone];
	struct pkt p;
	bool arrives;

	build(e->phone, phone, e, &p);
	arrives = carry(e->at_ns, &p, e->what == ANSWER, e->what != BARE_ACK);
	resent += e->attempt > 0;
	if (e->what == BARE_ACK)
		return;
	if (!arrives) {
		push(e->at_ns + ((uint64_t)RTO_NS << (e->attempt < 4 ? e->attempt : 4)), e->phone,
		     e->what, e->attempt + 1);
		return;
	}
	if (e->what == KEEPALIVE) {
		push(e->at_ns + TRANSIT_NS + ANSWER_NS + random_next() % ANSWER_NS, e->phone,
		     ANSWER, 0);
		return;
	}
	/* The answer is there: the exchange is over, and the next is due a period after it. */
	phone->seq += keepalive.len;
	phone->ack += answer.len;
	push(e->at_ns + TRANSIT_NS + DELAYED_ACK_NS, e->phone, BARE_ACK, 0);
	push(e->at_ns + PERIOD_S * NS_PER_S + random_next() % ANSWER_NS, e->phone, KEEPALIVE, 0);
}

/* Calls, mostly, and some TCP that is not signalling. */
static void fill(uint64_t at_ns)
{
	uint64_t r = random_next();
	struct pkt *p = &filler[r % 32 ? r >> 8 & 1 : 2 + (r >> 8 & 1)];

	carry(at_ns, p, r >> 8 & 1, false);
}

static void prepare(void)
{
	pkt_sccp_keepalive(&keepalive);
	pkt_sccp_keepalive_ack(&answer);
	for (uint32_t i = 0; i < 4; i++) {
		struct pkt_spec spec = { .to_phone = i & 1,
					 .phone = 7,
					 .sport = 16384,
					 .dport = 24576,
					 .payload_len = RTP_BYTES + 12,
					 .proto = i < 2 ? 17 : 6,
					 .ip_id = 1 };

		if (i >= 2) {
			spec.sport = i & 1 ? 443 : 50443;
			spec.dport = i & 1 ? 50443 : 443;
		}
		pkt_build(&spec, &filler[i]);
	}
	phones = allocate(options.phones, sizeof(*phones));
	heap = allocate(options.phones * 4 + 4, sizeof(*heap));
	for (uint32_t i = 0; i < options.phones; i++) {
		phones[i].seq = (__u32)random_next();
		phones[i].ack = (__u32)random_next();
		phones[i].ip_id = (__u16)random_next();
		push(random_next() % (PERIOD_S * NS_PER_S), i, KEEPALIVE, 0);
	}
}

/* Three packets a period and phone are signalling; the others fill the time between them. */
static void run(void)
{
	double signalling_per_s = 3.0 * options.phones / PERIOD_S;
	double fill_per_s = signalling_per_s / options.signalling - signalling_per_s;
	double step_ns = fill_per_s > 0 ? 1e9 / fill_per_s : INFINITY, next_fill = step_ns;

	for (uint64_t n = 0; n < options.packets; n++) {
		if ((double)heap[0].at_ns <= next_fill) {
			struct event e = pop();

			happen(&e);
			continue;
		}
		fill((uint64_t)next_fill);
		next_fill += step_ns;
	}
}

static int start(struct side *s)
{
	const struct pcap_interface interface = { .link = PCAP_LINK_ETHERNET,
						  .snaplen = options.snaplen,
						  .resolution = 9 };
	FILE *file;

	if (!s->path)
		return 0;
	file = fopen(s->path, "wb");
	if (!file) {
		fprintf(stderr, "make-capture: %s: %m\n", s->path);
		return -1;
	}
	setvbuf(file, NULL, _IOFBF, 1 << 20);
	pcap_writer_start(&s->writer, file, options.ng, false, &interface);
	return 0;
}

static int finish(struct side *s)
{
	bool failed;

	if (!s->path)
		return 0;
	failed = ferror(s->writer.file);
	failed |= fclose(s->writer.file) != 0;
	if (failed)
		fprintf(stderr, "make-capture: %s: %m\n", s->path);
	return failed ? -1 : 0;
}

static void usage(FILE *to)
{
	fputs("usage: make-capture [--access FILE] [--cucm FILE] [options]\n"
	      "  --packets N          of both sides together with what is lost (1000000)\n"
	      "  --signalling SHARE   of the packets that is signalling (0.02)\n"
	      "  --phones N           (500)\n"
	      "  --loss SHARE         of keepalives and answers that is lost between the sides "
	      "(0)\n"
	      "  --offset-ms MS       the cucm side's clock is ahead by this (0)\n"
	      "  --drift-ppm PPM      and runs faster by this (0)\n"
	      "  --late-ms MS         the cucm side's capture begins this much later (0)\n"
	      "  --vlan ID            of the signalling (none)\n"
	      "  --snaplen BYTES      (262144)\n"
	      "  --format pcap|pcapng (pcap)\n"
	      "  --seed N             (1)\n",
	      to);
}

static const struct option long_options[] = {
	{ "access", required_argument, NULL, 'a' },
	{ "cucm", required_argument, NULL, 'c' },
	{ "packets", required_argument, NULL, 'n' },
	{ "signalling", required_argument, NULL, 's' },
	{ "phones", required_argument, NULL, 'p' },
	{ "loss", required_argument, NULL, 'l' },
	{ "offset-ms", required_argument, NULL, 'o' },
	{ "drift-ppm", required_argument, NULL, 'd' },
	{ "late-ms", required_argument, NULL, 't' },
	{ "snaplen", required_argument, NULL, 'S' },
	{ "format", required_argument, NULL, 'f' },
	{ "vlan", required_argument, NULL, 'v' },
	{ "seed", required_argument, NULL, 'r' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int set_option(int option)
{
	switch (option) {
	case 'a':
		sides[KL_ACCESS].path = optarg;
		return 0;
	case 'c':
		sides[KL_CUCM].path = optarg;
		return 0;
	case 'n':
		options.packets = strtoull(optarg, NULL, 10);
		return 0;
	case 's':
		options.signalling = strtod(optarg, NULL);
		return 0;
	case 'p':
		options.phones = (uint32_t)strtoul(optarg, NULL, 10);
		return 0;
	case 'l':
		options.loss = strtod(optarg, NULL);
		return 0;
	case 'o':
		sides[KL_CUCM].offset_ns = strtod(optarg, NULL) * 1e6;
		return 0;
	case 'd':
		sides[KL_CUCM].drift = strtod(optarg, NULL) * 1e-6;
		return 0;
	case 't':
		sides[KL_CUCM].begin_ns = (uint64_t)(strtod(optarg, NULL) * 1e6);
		return 0;
	case 'S':
		options.snaplen = (uint32_t)strtoul(optarg, NULL, 10);
		return 0;
	case 'v':
		options.vlan = (__u16)strtoul(optarg, NULL, 10);
		return 0;
	case 'f':
		options.ng = strcmp(optarg, "pcapng") == 0;
		return options.ng || strcmp(optarg, "pcap") == 0 ? 0 : -1;
	case 'r':
		options.seed = strtoull(optarg, NULL, 10);
		return 0;
	default:
		return -1;
	}
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			usage(stdout);
			return 0;
		}
		if (set_option(option)) {
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc || !options.phones || !(options.signalling > 0) ||
	    (!sides[KL_ACCESS].path && !sides[KL_CUCM].path)) {
		usage(stderr);
		return 2;
	}
	if (start(&sides[KL_ACCESS]) || start(&sides[KL_CUCM]))
		return 2;
	prepare();
	run();
	printf("packets: access %llu, cucm %llu; lost: to_cucm %llu, to_phone %llu; "
	       "retransmitted %llu\n",
	       (unsigned long long)sides[KL_ACCESS].packets,
	       (unsigned long long)sides[KL_CUCM].packets, (unsigned long long)lost[KL_TO_CUCM],
	       (unsigned long long)lost[KL_TO_PHONE], (unsigned long long)resent);
	free(phones);
	free(heap);
	return finish(&sides[KL_ACCESS]) || finish(&sides[KL_CUCM]) ? 2 : 0;
}
