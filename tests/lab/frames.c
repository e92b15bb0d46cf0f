// SPDX-License-Identifier: GPL-2.0-only
// frames: sends crafted Ethernet frames of many TCP connections that do not exist, for what no
// socket can make: VLAN tags, exact duplicates, any number of connections. One run plays one
// side. Both sides derive the same sequence numbers from the seed and the connection's index:
// the phone's keepalive n stands at ISN_phone + 1 + n * size. A sender that cannot know what the
// other side got acknowledges nothing but the SYN: an acknowledgement of what was dropped on its
// way would be a lie that kaloss takes for a way around it.
//
// A frame is a pure function of its descriptor, so a duplicate is built again, not stored.
#include "sip.h"

#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <signal.h>

#define BATCH 64
#define MAX_FRAME 1600
#define FIRST_HOST 256 // leaves the start of the phones' net to real ones
#define HOSTS 60000
#define TCP_HLEN 32 // with the timestamps option
#define MSS 1460

#define SCCP_SIZE ((int)sizeof(struct sccp_hdr))

enum part {
	PART_SYN,
	PART_KEEPALIVE,
	PART_ANSWER,
	PART_TRYING,
	PART_OK
};

struct desc {
	uint32_t conn;
	uint32_t n; // number of the keepalive
	uint32_t tsval;
	enum part part;
	int64_t due; // of the duplicate
};

struct fifo {
	struct desc *d;
	size_t head, count, size;
};

struct gen {
	const char *interface;
	uint8_t src_mac[ETH_ALEN], dst_mac[ETH_ALEN];
	bool server_side, sip, v6, handshake, duplicate;
	int vlan[2], n_vlans;
	uint32_t connections, keepalives;
	int64_t interval, duplicate_after;
	uint64_t seed;
	struct sockaddr_storage phone_net, server;
	uint16_t port;
	uint16_t mss;
	int pad;
	int64_t start;
};

struct batch {
	uint8_t frame[BATCH][MAX_FRAME];
	struct iovec iov[BATCH];
	struct mmsghdr msg[BATCH];
	int count;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void cleanup_fifo(struct fifo *f)
{
	free(f->d);
}

static bool fifo_push(struct fifo *f, const struct desc *d)
{
	if (f->count == f->size) {
		size_t size = f->size ? 2 * f->size : 1024;
		struct desc *bigger = malloc(size * sizeof(*bigger));

		if (!bigger) {
			complain("no memory for %zu frames that wait for their duplicate", size);
			return false;
		}
		for (size_t i = 0; i < f->count; i++)
			bigger[i] = f->d[(f->head + i) % f->size];
		free(f->d);
		*f = (struct fifo){ bigger, 0, f->count, size };
	}
	f->d[(f->head + f->count++) % f->size] = *d;
	return true;
}

static uint32_t mix(uint64_t seed, uint64_t index, uint64_t what)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15ULL + index * 0xbf58476d1ce4e5b9ULL + what;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint32_t isn_phone(const struct gen *g, uint32_t conn)
{
	return mix(g->seed, conn, 1);
}

static uint32_t isn_server(const struct gen *g, uint32_t conn)
{
	return mix(g->seed, conn, 2);
}

static uint16_t phone_port(uint32_t conn)
{
	return 49152 + conn % 16384;
}

static void phone_v4(const struct gen *g, uint32_t conn, uint8_t out[4])
{
	const struct sockaddr_in *net = (const struct sockaddr_in *)&g->phone_net;
	uint32_t a = htonl(ntohl(net->sin_addr.s_addr) + FIRST_HOST + conn % HOSTS);

	memcpy(out, &a, 4);
}

static void phone_v6(const struct gen *g, uint32_t conn, uint8_t out[16])
{
	const struct sockaddr_in6 *net = (const struct sockaddr_in6 *)&g->phone_net;
	uint32_t low;

	memcpy(out, &net->sin6_addr, 16);
	memcpy(&low, out + 12, 4);
	low = htonl(ntohl(low) + 0x10000 + conn % HOSTS);
	memcpy(out + 12, &low, 4);
}

static uint32_t sum_bytes(const uint8_t *p, size_t len, uint32_t sum)
{
	for (; len > 1; p += 2, len -= 2)
		sum += p[0] << 8 | p[1];
	if (len)
		sum += p[0] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static uint8_t *put16(uint8_t *p, uint16_t v)
{
	*p++ = v >> 8;
	*p++ = v;
	return p;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v);
}

static void addr_text(const struct gen *g, uint32_t conn, char text[INET6_ADDRSTRLEN])
{
	uint8_t a[16];

	if (g->v6) {
		phone_v6(g, conn, a);
		inet_ntop(AF_INET6, a, text, INET6_ADDRSTRLEN);
	} else {
		phone_v4(g, conn, a);
		inet_ntop(AF_INET, a, text, INET6_ADDRSTRLEN);
	}
}

struct sip_names {
	char phone[INET6_ADDRSTRLEN + 2], server[INET6_ADDRSTRLEN + 2];
	char device[16];
	char dialog[700]; // From, To, Call-ID, CSeq: the same in the request and its answers
};

static void sip_names(const struct gen *g, const struct desc *d, struct sip_names *s)
{
	char text[INET6_ADDRSTRLEN];

	addr_text(g, d->conn, text);
	snprintf(s->phone, sizeof(s->phone), g->v6 ? "[%s]" : "%s", text);
	if (g->v6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&g->server)->sin6_addr, text,
			  sizeof(text));
	else
		inet_ntop(AF_INET, &((const struct sockaddr_in *)&g->server)->sin_addr, text,
			  sizeof(text));
	snprintf(s->server, sizeof(s->server), g->v6 ? "[%s]" : "%s", text);
	snprintf(s->device, sizeof(s->device), "SEP002414%06X", d->conn & 0xffffff);
	snprintf(s->dialog, sizeof(s->dialog),
		 "From: <sip:%u@%s>;tag=%08x\r\nTo: <sip:%u@%s>\r\n"
		 "Call-ID: %08x-%08x@%s\r\nCSeq: %u REGISTER\r\n",
		 1000 + d->conn, s->server, mix(g->seed, d->conn, 3), 1000 + d->conn, s->server,
		 mix(g->seed, d->conn, 4), mix(g->seed, d->conn, 5), s->phone, 101 + d->n);
}

static int register_text(const struct gen *g, const struct desc *d, char *out)
{
	struct sip_names s;
	int len;

	sip_names(g, d, &s);
	len = snprintf(out, SIP_REGISTER_SIZE,
		       "REGISTER sip:%s SIP/2.0\r\n"
		       "Via: SIP/2.0/TCP %s:%u;branch=z9hG4bK%08x\r\n"
		       "%sMax-Forwards: 70\r\n"
		       "Contact: <sip:%u@%s:%u;transport=tcp>;"
		       "+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-%s>\";"
		       "+u.sip!devicename.ccm.cisco.com=\"%s\";"
		       "+u.sip!model.ccm.cisco.com=\"493\"\r\n"
		       "User-Agent: Cisco-CP8961/9.4.2\r\nExpires: 3600\r\nContent-Length: 0\r\n",
		       s.server, s.phone, phone_port(d->conn), mix(g->seed, d->conn, 100 + d->n),
		       s.dialog, 1000 + d->conn, s.phone, phone_port(d->conn), s.device + 3,
		       s.device);
	return sip_fill(out, len, SIP_REGISTER_SIZE);
}

static int answer_text(const struct gen *g, const struct desc *d, char *out)
{
	bool ok = d->part == PART_OK;
	struct sip_names s;
	int len, size = ok ? SIP_OK_SIZE : SIP_TRYING_SIZE;

	sip_names(g, d, &s);
	len = snprintf(out, 700, "SIP/2.0 %s\r\nVia: SIP/2.0/TCP %s:%u;branch=z9hG4bK%08x\r\n%s",
		       ok ? "200 OK" : "100 Trying", s.phone, phone_port(d->conn),
		       mix(g->seed, d->conn, 100 + d->n), s.dialog);
	if (ok)
		len += snprintf(out + len, 700,
				"Expires: 120\r\nContact: <sip:%u@%s:%u;transport=tcp>;"
				"+u.sip!devicename.ccm.cisco.com=\"%s\";expires=120\r\n",
				1000 + d->conn, s.phone, phone_port(d->conn), s.device);
	len += snprintf(out + len, 40, "Content-Length: 0\r\n");
	return sip_fill(out, len, size);
}

static int payload(const struct gen *g, const struct desc *d, uint8_t *out)
{
	struct sccp_hdr h = { 4, 0, SCCP_KEEPALIVE };

	switch (d->part) {
	case PART_SYN:
		return 0;
	case PART_KEEPALIVE:
		if (g->sip)
			return register_text(g, d, (char *)out);
		break;
	case PART_ANSWER:
		h.id = SCCP_KEEPALIVE_ACK;
		break;
	default:
		return answer_text(g, d, (char *)out);
	}
	memcpy(out, &h, sizeof(h));
	return sizeof(h);
}

// Sequence numbers rest on the messages having their exact sizes: tried on the last connection,
// whose numbers are the longest, before anything is sent.
static void check_sizes(const struct gen *g)
{
	struct desc d = { .conn = g->connections - 1, .n = g->keepalives };
	uint8_t buf[MAX_FRAME];

	for (d.part = PART_KEEPALIVE; g->sip && d.part <= PART_OK; d.part++) {
		if (payload(g, &d, buf) < 0)
			usage_error("the addresses are too long for messages of real size");
	}
}

static uint8_t *put_ethernet(const struct gen *g, uint8_t *p)
{
	memcpy(p, g->dst_mac, ETH_ALEN);
	memcpy(p + ETH_ALEN, g->src_mac, ETH_ALEN);
	p += 2 * ETH_ALEN;
	for (int i = 0; i < g->n_vlans; i++) {
		p = put16(p, g->n_vlans == 2 && i == 0 ? ETH_P_8021AD : ETH_P_8021Q);
		p = put16(p, g->vlan[i]);
	}
	return put16(p, g->v6 ? ETH_P_IPV6 : ETH_P_IP);
}

// Writes the IP header; returns the sum of the TCP pseudo header.
static uint32_t put_ip(const struct gen *g, const struct desc *d, uint8_t *ip, int tcp_len)
{
	uint8_t phone[16], server[16];
	int alen = g->v6 ? 16 : 4;
	uint8_t *addr = ip + (g->v6 ? 8 : 12);

	if (g->v6) {
		phone_v6(g, d->conn, phone);
		memcpy(server, &((const struct sockaddr_in6 *)&g->server)->sin6_addr, 16);
		put32(ip, 0x60000000);
		put16(ip + 4, tcp_len);
		ip[6] = IPPROTO_TCP;
		ip[7] = 64;
	} else {
		int per = g->sip && g->server_side ? 2 : 1;
		uint16_t id = mix(g->seed, d->conn, 10 + g->server_side);

		// The SYN has the first ID, each frame after it the next.
		if (d->part != PART_SYN)
			id += 1 + d->n * per + (d->part == PART_OK);
		phone_v4(g, d->conn, phone);
		memcpy(server, &((const struct sockaddr_in *)&g->server)->sin_addr, 4);
		put32(ip, 0x45000000 | (20 + tcp_len));
		put16(ip + 4, id);
		put16(ip + 6, 0);
		ip[8] = 64;
		ip[9] = IPPROTO_TCP;
		put16(ip + 10, 0);
	}
	memcpy(addr, g->server_side ? server : phone, alen);
	memcpy(addr + alen, g->server_side ? phone : server, alen);
	if (!g->v6)
		put16(ip + 10, fold(sum_bytes(ip, 20, 0)));
	return sum_bytes(addr, 2 * alen, IPPROTO_TCP + tcp_len);
}

static int register_size(const struct gen *g)
{
	return g->sip ? SIP_REGISTER_SIZE : SCCP_SIZE;
}

static int answer_size(const struct gen *g)
{
	return g->sip ? SIP_TRYING_SIZE + SIP_OK_SIZE : SCCP_SIZE;
}

static void sequence(const struct gen *g, const struct desc *d, uint32_t *seq, uint32_t *ack)
{
	uint32_t phone = isn_phone(g, d->conn), server = isn_server(g, d->conn);

	if (d->part == PART_SYN) {
		*seq = g->server_side ? server : phone;
		*ack = g->server_side ? phone + 1 : 0;
	} else if (!g->server_side) {
		*seq = phone + 1 + d->n * register_size(g);
		*ack = server + 1;
	} else {
		*seq = server + 1 + d->n * answer_size(g) +
		       (d->part == PART_OK ? SIP_TRYING_SIZE : 0);
		*ack = phone + 1;
	}
}

static int put_tcp(const struct gen *g, const struct desc *d, uint8_t *tcp)
{
	bool syn = d->part == PART_SYN;
	uint8_t flags = syn ? (g->server_side ? 0x12 : 0x02) : 0x18;
	int mss_len = syn && g->mss ? 4 : 0;
	uint32_t seq, ack;
	uint8_t *p = tcp;

	sequence(g, d, &seq, &ack);
	p = put16(p, g->server_side ? g->port : phone_port(d->conn));
	p = put16(p, g->server_side ? phone_port(d->conn) : g->port);
	p = put32(p, seq);
	p = put32(p, ack);
	*p++ = (TCP_HLEN + mss_len) / 4 << 4;
	*p++ = flags;
	p = put16(p, 29200);
	p = put32(p, 0); // checksum, urgent pointer
	if (mss_len)
		p = put32(p, 0x02040000 | g->mss);
	p = put32(p, 0x0101080a);
	p = put32(p, d->tsval);
	p = put32(p, syn && !g->server_side ? 0 : d->tsval - 1);
	return p - tcp;
}

static int build(const struct gen *g, const struct desc *d, uint8_t *frame)
{
	uint8_t *ip = put_ethernet(g, frame);
	uint8_t *tcp = ip + (g->v6 ? 40 : 20);
	int hlen = put_tcp(g, d, tcp);
	int len = hlen + payload(g, d, tcp + hlen);
	uint32_t pseudo = put_ip(g, d, ip, len);

	put16(tcp + 16, fold(sum_bytes(tcp, len, pseudo)));
	memset(tcp + len, 0, g->pad);
	return tcp + len + g->pad - frame;
}

static bool flush(int fd, struct batch *b)
{
	int done = 0, tries = 0;

	while (done < b->count) {
		int n = sendmmsg(fd, b->msg + done, b->count - done, 0);

		if (n > 0) {
			done += n;
			tries = 0;
		} else if ((errno == ENOBUFS || errno == EAGAIN) && ++tries < 5000) {
			usleep(200);
		} else if (errno != EINTR) {
			complain("cannot send: %s", strerror(errno));
			return false;
		}
	}
	b->count = 0;
	return true;
}

static bool add_frame(const struct gen *g, const struct desc *d, int fd, struct batch *b)
{
	b->iov[b->count].iov_len = build(g, d, b->frame[b->count]);
	return ++b->count < BATCH || flush(fd, b);
}

static void sleep_until(int64_t when)
{
	struct timespec ts = ns_to_timespec(when);

	while (!stop && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

// The frame of that number: first the SYNs, then keepalive after keepalive, connection after
// connection, and the parts of an answer one after the other.
static struct desc nth(const struct gen *g, uint64_t i)
{
	struct desc d = { .part = g->server_side ? PART_ANSWER : PART_KEEPALIVE };

	d.tsval = 1000000 + (uint32_t)((now_ns() - g->start) / NSEC_PER_MSEC);
	if (g->handshake) {
		if (i < g->connections) {
			d.part = PART_SYN;
			d.conn = i;
			return d;
		}
		i -= g->connections;
	}
	if (g->sip && g->server_side) {
		d.part = i % 2 ? PART_OK : PART_TRYING;
		i /= 2;
	}
	d.conn = i % g->connections;
	d.n = i / g->connections;
	return d;
}

static bool run(const struct gen *g, int fd, struct batch *b)
{
	__attribute__((cleanup(cleanup_fifo))) struct fifo later = { 0 };
	uint64_t parts = g->sip && g->server_side ? 2 : 1, keepalives = 0, duplicates = 0, i = 0;
	uint64_t total = (uint64_t)g->connections * g->keepalives * parts +
			 (g->handshake ? g->connections : 0);

	while (!stop && (i < total || later.count)) {
		int64_t next = g->start + (int64_t)i * g->interval, when = next;
		struct desc d;
		bool again = later.count && (i == total || later.d[later.head].due <= next ||
					     later.d[later.head].due <= now_ns());

		if (again) {
			d = later.d[later.head];
			later.head = (later.head + 1) % later.size;
			later.count--;
			when = d.due;
			duplicates++;
		}
		if (when > now_ns()) {
			if (!flush(fd, b))
				return false;
			sleep_until(when);
		}
		if (!again) {
			d = nth(g, i++);
			keepalives += d.part == PART_KEEPALIVE || d.part == PART_ANSWER ||
				      d.part == PART_OK;
			d.due = now_ns() + g->duplicate_after;
			if (g->duplicate && !fifo_push(&later, &d))
				return false;
		}
		if (!add_frame(g, &d, fd, b))
			return false;
		if (!again && g->duplicate && !g->duplicate_after) {
			later.count = 0;
			duplicates++;
			if (!add_frame(g, &d, fd, b))
				return false;
		}
	}
	if (!flush(fd, b))
		return false;
	printf("{\"frames\":%llu,\"keepalives\":%llu,\"duplicates\":%llu}\n",
	       (unsigned long long)(i + duplicates), (unsigned long long)keepalives,
	       (unsigned long long)duplicates);
	return true;
}

static void usage(void)
{
	printf("usage: frames --interface IF --src-mac M --dst-mac M --side phone|server\n"
	       "              [options]\n"
	       "  --connections N    (1)          --keepalives K     per connection (1)\n"
	       "  --interval-us U    between frames, 0 = as fast as it goes (0)\n"
	       "  --ip 4|6           (4)          --proto sccp|sip   (sccp)\n"
	       "  --vlan ID[,ID2]    one: 0x8100; two: outer 0x88a8, inner 0x8100\n"
	       "  --duplicate MS     every frame again MS ms later, 0 = back to back (off)\n"
	       "  --phone-net ADDR   connection i has ADDR + 256 + i, IPv6 ADDR + 65536 + i\n"
	       "                     (10.1.0.0 or fd00:1::)\n"
	       "  --server ADDR      (10.2.0.200 or fd00:2::200)  --port P  (2000 or 5060)\n"
	       "  --handshake        first a SYN (the server's: SYN-ACK) of each connection\n"
	       "  --mss N            in the SYN, 0 = no such option (1460)\n"
	       "  --pad N            bytes of zeros behind each IP packet, 0 to 64 (0)\n"
	       "  --seed S           of sequence numbers, IP IDs, Call-IDs (1)\n");
}

static void parse_mac(const char *option, const char *text, uint8_t mac[ETH_ALEN])
{
	int end = 0;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &end) != 6 ||
	    text[end])
		usage_error("--%s %s: not a MAC address", option, text);
}

static bool choose(const char *option, const char *text, const char *no, const char *yes)
{
	if (strcmp(text, no) && strcmp(text, yes))
		usage_error("--%s %s: want %s or %s", option, text, no, yes);
	return !strcmp(text, yes);
}

static void parse_vlans(struct gen *g, char *text)
{
	for (char *v = strtok(text, ","); v; v = strtok(NULL, ",")) {
		if (g->n_vlans == 2)
			usage_error("--vlan: more than two tags");
		g->vlan[g->n_vlans++] = parse_number("vlan", v, 0, 4095);
	}
}

static void parse_net(struct gen *g, const char *option, const char *text, const char *def4,
		      const char *def6, struct sockaddr_storage *ss)
{
	parse_address(option, text ? text : g->v6 ? def6 : def4, g->port, ss);
	if (ss->ss_family != (g->v6 ? AF_INET6 : AF_INET))
		usage_error("--%s %s: not an IPv%d address", option, text, g->v6 ? 6 : 4);
}

static void parse_options(struct gen *g, int argc, char **argv)
{
	static const struct option options[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "src-mac", required_argument, NULL, 's' },
		{ "dst-mac", required_argument, NULL, 'd' },
		{ "side", required_argument, NULL, 'w' },
		{ "connections", required_argument, NULL, 'c' },
		{ "keepalives", required_argument, NULL, 'k' },
		{ "interval-us", required_argument, NULL, 'u' },
		{ "ip", required_argument, NULL, '4' },
		{ "vlan", required_argument, NULL, 'v' },
		{ "proto", required_argument, NULL, 'P' },
		{ "duplicate", required_argument, NULL, 'D' },
		{ "seed", required_argument, NULL, 'S' },
		{ "phone-net", required_argument, NULL, 'n' },
		{ "server", required_argument, NULL, 'a' },
		{ "port", required_argument, NULL, 'p' },
		{ "handshake", no_argument, NULL, 'H' },
		{ "mss", required_argument, NULL, 'm' },
		{ "pad", required_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *net = NULL, *server = NULL;
	bool src = false, dst = false, side = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (opt) {
		case 'i':
			g->interface = optarg;
			break;
		case 's':
			parse_mac("src-mac", optarg, g->src_mac);
			src = true;
			break;
		case 'd':
			parse_mac("dst-mac", optarg, g->dst_mac);
			dst = true;
			break;
		case 'w':
			g->server_side = choose("side", optarg, "phone", "server");
			side = true;
			break;
		case 'c':
			g->connections = parse_number("connections", optarg, 1, 10000000);
			break;
		case 'k':
			g->keepalives = parse_number("keepalives", optarg, 0, 1000000000);
			break;
		case 'u':
			g->interval = parse_number("interval-us", optarg, 0, 3600000000LL) * 1000;
			break;
		case '4':
			g->v6 = choose("ip", optarg, "4", "6");
			break;
		case 'v':
			parse_vlans(g, optarg);
			break;
		case 'P':
			g->sip = choose("proto", optarg, "sccp", "sip");
			break;
		case 'D':
			g->duplicate = true;
			g->duplicate_after = NSEC_PER_MSEC *
					     parse_number("duplicate", optarg, 0, 3600000);
			break;
		case 'S':
			g->seed = parse_number("seed", optarg, 0, INT64_MAX);
			break;
		case 'n':
			net = optarg;
			break;
		case 'a':
			server = optarg;
			break;
		case 'p':
			g->port = parse_number("port", optarg, 1, 65535);
			break;
		case 'H':
			g->handshake = true;
			break;
		case 'm':
			g->mss = parse_number("mss", optarg, 0, 65535);
			break;
		case 'x':
			g->pad = parse_number("pad", optarg, 0, 64);
			break;
		case 'h':
			usage();
			exit(0);
		default:
			exit(2);
		}
	}
	if (optind < argc)
		usage_error("unexpected argument %s", argv[optind]);
	if (!g->interface || !src || !dst || !side)
		usage_error("--interface, --src-mac, --dst-mac and --side are needed");
	if (!g->port)
		g->port = g->sip ? 5060 : 2000;
	parse_net(g, "phone-net", net, "10.1.0.0", "fd00:1::", &g->phone_net);
	parse_net(g, "server", server, "10.2.0.200", "fd00:2::200", &g->server);
}

static int open_socket(const struct gen *g)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	__cleanup_fd int fd = -1;
	int ret;

	ll.sll_ifindex = if_nametoindex(g->interface);
	if (!ll.sll_ifindex) {
		complain("interface %s: %s", g->interface, strerror(errno));
		return -1;
	}
	// Protocol 0: it receives nothing, and the kernel takes the protocol from the frames.
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		complain("packet socket: %s", strerror(errno));
		return -1;
	}
	if (bind(fd, (struct sockaddr *)&ll, sizeof(ll))) {
		complain("cannot bind to %s: %s", g->interface, strerror(errno));
		return -1;
	}
	ret = fd;
	fd = -1;
	return ret;
}

int main(int argc, char **argv)
{
	static struct gen g = { .connections = 1, .keepalives = 1, .seed = 1, .mss = MSS };
	struct sigaction sa = { .sa_handler = on_signal };
	__cleanup_free struct batch *b = NULL;
	__cleanup_fd int fd = -1;

	parse_options(&g, argc, argv);
	check_sizes(&g);
	fd = open_socket(&g);
	if (fd < 0)
		return 1;
	b = calloc(1, sizeof(*b));
	if (!b) {
		complain("no memory");
		return 1;
	}
	for (int i = 0; i < BATCH; i++) {
		b->iov[i].iov_base = b->frame[i];
		b->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &b->iov[i], .msg_iovlen = 1 };
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	g.start = now_ns();
	return run(&g, fd, b) ? 0 : 1;
}
