// SPDX-License-Identifier: GPL-2.0-only
/*
 * listen ACCESS CUCM xdp|tc [no-idle] [no-arp]: what the live source hands over of ARP, neighbour
 * discovery and the silence of phones, as JSON lines until SIGTERM; "ready" first, and at the end how
 * many events of ARP there was no room for.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "source/live.h"

static volatile sig_atomic_t done;

static void stop(int signal)
{
	(void)signal;
	done = 1;
}

static const char *mac_text(const __u8 *mac, char *text)
{
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
	return text;
}

static void print_arp(const struct kl_arp_event *e, void *arg)
{
	static const char *const what[] = { "?", "request", "answer", "announce" };
	char address[64], to[64], mac[18];
	int family = e->family == 4 ? AF_INET : AF_INET6;

	(void)arg;
	inet_ntop(family, e->address, address, sizeof(address));
	inet_ntop(family, e->to, to, sizeof(to));
	printf("{\"type\":\"arp\",\"what\":\"%s\",\"address\":\"%s\",\"to\":\"%s\",\"mac\":\"%s\","
	       "\"side\":%u,\"vlan\":%u}\n",
	       what[e->what & 3], address, to, mac_text(e->mac, mac), e->side, e->vlan);
}

static void print_event(const struct kl_event *e, void *arg)
{
	char next[18];

	(void)arg;
	if (e->type != KL_EVENT_SEGMENT && e->type != KL_EVENT_CLOSE)
		return;
	printf("{\"type\":\"%s\",\"direction\":%u,\"idle_ms\":",
	       e->type == KL_EVENT_CLOSE ? "close" : "segment", e->direction);
	if (e->idle_ms == KL_IDLE_NONE)
		printf("null");
	else
		printf("%u", e->idle_ms);
	printf(",\"next_mac\":\"%s\",\"ttl\":%u,\"usual_ttl\":%u,\"side\":%u}\n",
	       mac_text(e->next_mac, next), e->ttl, e->usual_ttl, e->side);
}

static struct kl_live_config config = {
	.interface_count = { 1, 1 },
	.ports = { [KL_SCCP] = { 2000 } },
	.port_count = { [KL_SCCP] = 1 },
	.deadline_ns = 1000000000,
	.connections = 1024,
	.join_entries = 4096,
	.ring_bytes = 1 << 20,
};

int main(int argc, char **argv)
{
	struct kl_error err = {};
	struct kl_live *live;
	int r;

	if (argc < 4)
		return 2;
	snprintf(config.interfaces[KL_ACCESS][0], 16, "%s", argv[1]);
	snprintf(config.interfaces[KL_CUCM][0], 16, "%s", argv[2]);
	config.hook = strcmp(argv[3], "tc") ? KL_HOOK_XDP : KL_HOOK_TC;
	for (int i = 4; i < argc; i++) {
		config.no_idle |= !strcmp(argv[i], "no-idle");
		config.no_arp |= !strcmp(argv[i], "no-arp");
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, stop);
	r = kl_live_open(&config, &live, &err);
	if (r) {
		fprintf(stderr, "listen: %s\n", err.text);
		return 2;
	}
	kl_live_start(live);
	puts("ready");
	for (bool last = false; !last; usleep(last ? 0 : 50000)) {
		last = done;
		kl_live_events(live, print_event, NULL);
		kl_live_arp(live, print_arp, NULL);
	}
	printf("{\"type\":\"end\",\"arp_lost\":%llu}\n",
	       (unsigned long long)kl_live_arp_lost(live));
	kl_live_close(live);
	return 0;
}
