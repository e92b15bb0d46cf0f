// SPDX-License-Identifier: GPL-2.0-only
/*
 * live --interface IF --count N [option…]: sends frames out of an interface as fast as it takes them
 * (BPF_PROG_TEST_RUN with live frames: no socket, no allocation), and counts what gets to a sink.
 *
 *   --kind rtp|keepalive      (rtp: 214 bytes over UDP)
 *   --to MAC --address IPv4   where to
 *   --connections N           a power of two: of so many phones in turn (1024)
 *   --first N                 number of the first frame: keepalives go on where they were
 *   --sink PID:IF             counted and taken where they come in there (PID: of a namespace)
 *   --empty PID:IF[,IF…]      an empty XDP program is there meanwhile
 *   --drop PID:IF             one of a hundred is dropped where it comes in there, and counted
 *
 * live --hold PID:IF[,IF…]: only the empty XDP program, until it is ended.
 *
 * Prints one line of JSON: count, received, dropped, cpu_s (of this process: also of
 * what forwards the frames, as far as that is accounted to it), wall_s, end (seconds since 1970).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "programs.h"

enum {
	DROP_ONE_OF = 100,
	SETTLE_MS = 100,
};

static struct {
	const char *interface, *kind;
	char *sink, *empty, *drop, *hold;
	__u8 mac[6], address[4];
	__u32 connections;
	__u64 first, count;
} o = { .kind = "rtp", .connections = 1024 };

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'n' },
		{ "kind", required_argument, NULL, 'k' },
		{ "to", required_argument, NULL, 't' },
		{ "address", required_argument, NULL, 'a' },
		{ "connections", required_argument, NULL, 'c' },
		{ "first", required_argument, NULL, 'f' },
		{ "sink", required_argument, NULL, 's' },
		{ "empty", required_argument, NULL, 'e' },
		{ "drop", required_argument, NULL, 'd' },
		{ "hold", required_argument, NULL, 'h' },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		__u8 *m = o.mac;

		switch (c) {
		case 'i':
			o.interface = optarg;
			break;
		case 'n':
			o.count = strtoull(optarg, NULL, 10);
			break;
		case 'k':
			o.kind = optarg;
			break;
		case 't':
			if (sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3,
				   m + 4, m + 5) != 6)
				bench_fail(optarg, EINVAL);
			break;
		case 'a':
			if (inet_pton(AF_INET, optarg, o.address) != 1)
				bench_fail(optarg, EINVAL);
			break;
		case 'c':
			o.connections = (__u32)strtoul(optarg, NULL, 10);
			break;
		case 'f':
			o.first = strtoull(optarg, NULL, 10);
			break;
		case 's':
			o.sink = optarg;
			break;
		case 'e':
			o.empty = optarg;
			break;
		case 'd':
			o.drop = optarg;
			break;
		case 'h':
			o.hold = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (!o.hold &&
	    (!o.interface || !o.count || !o.sink || (o.connections & (o.connections - 1)))) {
		fputs("usage: live --interface IF --count N --sink PID:IF [option...]\n", stderr);
		exit(2);
	}
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Goes to the network namespace of "PID:…". Returns what is behind the colon. */
static char *enter(char *place)
{
	char path[64], *colon = strchr(place, ':');
	int fd;

	if (!colon)
		bench_fail(place, EINVAL);
	*colon = '\0';
	snprintf(path, sizeof(path), "/proc/%s/ns/net", place);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		bench_fail(path, errno);
	close(fd);
	return colon + 1;
}

static void put_empty(char *place)
{
	char *list = enter(place), *save;
	int program = program_empty(true);

	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save))
		attach_xdp(program, name);
}

static void make_frame(struct front_spec *spec, struct pkt *ret)
{
	struct pkt_payload keepalive = { 0 };
	struct pkt_spec rtp = { .proto = 17, .sport = 16500, .dport = 24680, .payload_len = 172 };
	struct pkt_spec sccp = { .payload = keepalive.data, .pad_to = 60 };

	pkt_sccp_keepalive(&keepalive);
	sccp.payload_len = keepalive.len;
	spec->udp = !strcmp(o.kind, "rtp");
	pkt_build(spec->udp ? &rtp : &sccp, ret);
	memcpy(ret->data, o.mac, 6);
	memcpy(ret->data + ret->l3_off + 16, o.address, 4);
	frame_checksum(ret);
	spec->seq_step = keepalive.len;
}

int main(int argc, char **argv)
{
	struct front_spec spec = { .xdp = true, .seq = 1, .ack = 1 };
	struct front front, sink, dropper = { .state = -1 };
	double wall, cpu;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there;
	const char *sink_at;
	struct pkt p;

	parse(argc, argv);
	if (o.hold) {
		put_empty(o.hold);
		puts("held");
		fflush(stdout);
		pause();
	}
	make_frame(&spec, &p);
	spec.connections = o.connections;
	spec.whole = &p;
	front_load(&spec, -1, &front);
	sink_load(&sink);
	sink_at = enter(o.sink);
	there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	attach_clsact_in(sink.fd, sink_at);
	if (o.empty)
		put_empty(o.empty);
	if (o.drop) {
		dropper_load(DROP_ONE_OF, &dropper);
		attach_tcx_in(dropper.fd, enter(o.drop));
	}
	if (home < 0 || setns(home, CLONE_NEWNET))
		bench_fail("the network namespace", errno);

	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	front_send(&front, &p, if_nametoindex(o.interface), o.first, (unsigned)o.count);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = seconds(CLOCK_MONOTONIC) - wall;
	/* What still is under way. */
	usleep(SETTLE_MS * 1000);
	printf("{\"count\": %llu, \"received\": %llu, \"dropped\": %llu, \"cpu_s\": %.4f, "
	       "\"wall_s\": %.4f, \"end\": %.3f}\n",
	       o.count, front_dropped(&sink), o.drop ? front_dropped(&dropper) : 0ULL, cpu, wall,
	       seconds(CLOCK_REALTIME));
	if (there < 0 || setns(there, CLONE_NEWNET))
		bench_fail("the sink's network namespace", errno);
	detach_clsact(sink_at);
	return 0;
}
