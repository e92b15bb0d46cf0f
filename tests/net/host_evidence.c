// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints what this host says of itself, a line each as it comes, until SIGTERM:
 *
 *	host-evidence INTERFACE…
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "source/fdb.h"
#include "source/kernel_drops.h"
#include "source/nft_rules.h"

enum {
	INTERFACES_MAX = 16
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static void print_mac(const struct kl_mac_evidence *m, void *arg)
{
	(void)arg;
	printf("mac %s %02x:%02x:%02x:%02x:%02x:%02x port=%s from=%s by=%s silent_ms=%u late=%d\n",
	       kl_mac_happening_name(m->happening), m->mac[0], m->mac[1], m->mac[2], m->mac[3],
	       m->mac[4], m->mac[5], m->port, m->from_port, m->told_by, m->silent_ms,
	       m->earliest_ns < m->time_ns);
}

static void print_ageing(const struct kl_ageing_evidence *a, void *arg)
{
	(void)arg;
	printf("ageing %s %llu\n", a->told_by, (unsigned long long)a->ageing_ms);
}

static void print_drop(const struct kl_drop *d, void *arg)
{
	char phone[INET6_ADDRSTRLEN];

	(void)arg;
	inet_ntop(d->ends.family == 6 ? AF_INET6 : AF_INET, d->ends.phone, phone, sizeof(phone));
	printf("drop %s in=%s at=%s phone=%s %u>%u %s length=%u\n", d->reason, d->symbol,
	       d->interface, phone, d->ends.phone_port, d->ends.cucm_port,
	       d->direction == KL_TO_CUCM ? "to_cucm" : "to_phone", d->length);
}

static void print_rule(const struct kl_rule_evidence *r, void *arg)
{
	(void)arg;
	printf("rule %s counted=%d packets=%llu says=%s\n", r->rule, r->counted,
	       (unsigned long long)r->packets, r->says);
}

static struct kl_nft_rules *read_rules(void)
{
	struct kl_nft_rules *rules = NULL;
	struct kl_error err = {};

	if (kl_nft_rules_read(&rules, &err))
		printf("rules: %s\n", err.text);
	return rules;
}

int main(int argc, char **argv)
{
	static struct kl_live_config config = {
		.ports = { [KL_SCCP] = { 2000 }, [KL_SIP] = { 5060 } },
		.port_count = { [KL_SCCP] = 1, [KL_SIP] = 1 },
	};
	unsigned ifindexes[INTERFACES_MAX];
	struct kl_nft_rules *before, *now;
	struct kl_kernel_drops *drops = NULL;
	struct kl_error err = {};
	struct kl_fdb *fdb;
	size_t count = 0;
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, end);
	for (int i = 1; i < argc && count < INTERFACES_MAX; i++)
		ifindexes[count++] = if_nametoindex(argv[i]);
	if (kl_fdb_open(ifindexes, count, &fdb, &err) ||
	    kl_kernel_drops_open(&config, &drops, &err)) {
		printf("error: %s\n", err.text);
		return 1;
	}
	before = read_rules();
	printf("bridge %d\n", kl_fdb_has_bridge(fdb));
	kl_fdb_ageing(fdb, print_ageing, NULL);
	puts("ready");
	while (!ended) {
		usleep(20000);
		r = kl_fdb_drain(fdb, print_mac, NULL);
		if (r < 0)
			printf("fdb: %s\n", strerror(-r));
		kl_kernel_drops_drain(drops, print_drop, NULL);
	}
	now = read_rules();
	if (now)
		kl_nft_rules_suspects(before, now, print_rule, NULL);
	printf("lost %llu\n", (unsigned long long)kl_kernel_drops_lost(drops));
	kl_nft_rules_free(before);
	kl_nft_rules_free(now);
	kl_kernel_drops_close(drops);
	kl_fdb_close(fdb);
	return 0;
}
