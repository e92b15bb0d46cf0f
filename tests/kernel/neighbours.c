// SPDX-License-Identifier: GPL-2.0-only
/* What comes in beside the segments: ARP, neighbour discovery, and that a phone speaks at all. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "../packets/neighbours.h"
#include "same.h"

/* ---- ARP and neighbour discovery: each frame twice at each hook, then cut anywhere ---- */

#define MAC(n)                                                                                     \
	{                                                                                          \
		2, 0, 0, 0, 0, n                                                                   \
	}
#define IP(n)                                                                                      \
	{                                                                                          \
		10, 60, 98, n                                                                      \
	}
#define IP6(n)                                                                                     \
	{                                                                                          \
		0x20, 0x01, 0x0d, 0xb8, [15] = n                                                   \
	}
#define GROUP6(n)                                                                                  \
	{                                                                                          \
		0xff, 0x02, [15] = n                                                               \
	}

static const struct pkt_arp arps[] = {
	{ .mac = MAC(7), .ip = IP(7), .to_ip = IP(182) },
	{ .mac = MAC(7), .ip = IP(7), .to_ip = IP(183) },
	{ .op = 2, .mac = MAC(1), .ip = IP(182), .to_mac = MAC(7), .to_ip = IP(7) },
	{ .op = 2, .mac = MAC(2), .ip = IP(182), .to_mac = MAC(7), .to_ip = IP(7) },
	{ .tags = 2,
	  .tag = { 110, 7 },
	  .op = 2,
	  .mac = MAC(3),
	  .ip = IP(182),
	  .to_ip = IP(7),
	  .to_all = true },
	{ .op = 2, .mac = MAC(1), .to_ip = IP(7) },
};

static const struct pkt_nd nds[] = {
	{ .mac = MAC(7), .from = IP6(7), .to = GROUP6(1), .target = IP6(182) },
	{ .mac = MAC(7), .from = IP6(7), .to = GROUP6(1), .target = IP6(182), .nonces = 3 },
	{ .advertises = true,
	  .flags = KL_ND_SOLICITED,
	  .mac = MAC(1),
	  .from = IP6(182),
	  .to = IP6(7),
	  .target = IP6(182),
	  .tags = 1,
	  .tag = { 110 } },
	{ .advertises = true,
	  .flags = KL_ND_OVERRIDE,
	  .mac = MAC(2),
	  .from = IP6(182),
	  .to = GROUP6(1),
	  .target = IP6(182),
	  .nonces = 9 },
	{ .advertises = true,
	  .mac = MAC(2),
	  .from = IP6(182),
	  .to = GROUP6(1),
	  .target = IP6(182),
	  .hop_limit = 64 },
};

enum {
	ARPS = sizeof(arps) / sizeof(arps[0]),
	NEIGHBOURS = ARPS + sizeof(nds) / sizeof(nds[0])
};

static void build_neighbour(__u32 i, struct pkt *ret)
{
	if (i < ARPS)
		pkt_build_arp(&arps[i], ret);
	else
		pkt_build_nd(&nds[i - ARPS], ret);
}

void run_neighbours(void)
{
	for (enum hook_name hook = 0; hook < HOOKS; hook++) {
		char text[512];
		struct pkt p;
		bool ok = true;

		snprintf(text, sizeof(text), "neighbours, %s", hooks[hook].name);
		what = text;
		for (__u32 i = 0; ok && i < 2 * NEIGHBOURS; i++) {
			build_neighbour(i / 2, &p);
			ok = see(hook, p.data, p.len, 0);
		}
		conclude(ok);
		for (__u32 i = 0; i < NEIGHBOURS; i++) {
			snprintf(text, sizeof(text), "neighbour %u cut, %s", i, hooks[hook].name);
			build_neighbour(i, &p);
			ok = true;
			/* The kernel does not run a frame with half an IPv6 header. */
			for (__u32 len = KL_ETH_LEN + (i < ARPS ? 1 : 40); ok && len < p.len; len++)
				ok = see(hook, p.data, len, 0);
			conclude(ok);
		}
	}
}

/* ---- How long a phone was silent, by the real clock ---- */

static __u64 clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec;
}

/* The last event must say: silent since the moment between these two. */
static bool silent_since(__u64 from_ns, __u64 to_ns, __u64 before_ns)
{
	__u64 idle_ns, slack_ns = 2ULL * tick_ns() + KL_NS_PER_MS, now = clock_ns();

	if (!listen() || !told.event_count)
		return differ("no event");
	idle_ns = told.events[told.event_count - 1].idle_ms * KL_NS_PER_MS;
	if (idle_ns + slack_ns < before_ns - to_ns || idle_ns > now - from_ns + slack_ns)
		return differ("silent for %llu ms instead of %llu to %llu", idle_ns / KL_NS_PER_MS,
			      (before_ns - to_ns) / KL_NS_PER_MS, (now - from_ns) / KL_NS_PER_MS);
	return true;
}

void run_silence(bool xdp)
{
	const struct pkt_spec rtp = {
		.proto = 17, .sport = 16500, .dport = 24680, .phone = 7, .payload_len = 172
	};
	enum hook_name acc = xdp ? XDP_ACC : IN_ACC, cucm = xdp ? XDP_CUCM : IN_CUCM;
	struct said keepalive = { PHONE(.seq = 100, .ack = 500), 'k' };
	struct said answer = { CUCM(.seq = 500, .ack = 112), 'a' };
	struct pkt_spec other = rtp;
	__u64 from, to, before;
	struct pkt p;
	bool ok;

	what = xdp ? "silence, XDP" : "silence, tc";
	other.phone = 8;
	say(&keepalive, &p);
	ok = see(acc, p.data, p.len, 0);
	usleep(60000);
	pkt_build(&rtp, &p);
	from = clock_ns();
	ok = ok && see(acc, p.data, p.len, 0);
	to = clock_ns();
	usleep(80000);
	pkt_build(&other, &p);
	ok = ok && see(acc, p.data, p.len, 0);
	say(&answer, &p);
	before = clock_ns();
	ok = ok && see(cucm, p.data, p.len, 0) && silent_since(from, to, before);
	usleep(40000);
	keepalive.spec.seq = 112;
	keepalive.spec.ip_id = 2;
	say(&keepalive, &p);
	before = clock_ns();
	ok = ok && see(acc, p.data, p.len, 0) && silent_since(from, to, before);
	conclude_alone(ok);
}
