// SPDX-License-Identifier: GPL-2.0-only
/*
 * snmp-evidence trap ADDRESS COMMUNITY|- AUTH-FILE|- [READ-NOTHING-MS]
 * snmp-evidence poll SWITCHES COMMUNITY|- AUTH-FILE|- INTERVAL-MS
 *
 * What traps or polling say, one line each, until SIGTERM or SIGINT; "ready" first, and last what
 * was counted.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "source/switch_poll.h"
#include "source/trap.h"

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static void print_mac(const struct kl_mac_evidence *m, void *arg)
{
	(void)arg;
	printf("%s", kl_mac_happening_name(m->happening));
	if (m->has_mac)
		printf(" %02x:%02x:%02x:%02x:%02x:%02x", m->mac[0], m->mac[1], m->mac[2], m->mac[3],
		       m->mac[4], m->mac[5]);
	printf(" vlan %u port '%s' from '%s' by %s early %llu\n", m->vlan, m->port, m->from_port,
	       m->told_by, (unsigned long long)((m->time_ns - m->earliest_ns) / 1000000));
	fflush(stdout);
}

static void print_ageing(const struct kl_ageing_evidence *a, void *arg)
{
	(void)arg;
	printf("ageing %llu ms%s%s port '%s' by %s\n", (unsigned long long)a->ageing_ms,
	       a->port_security ? " port-security" : "", a->absolute ? " absolute" : "", a->port,
	       a->told_by);
	fflush(stdout);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static const char *given(const char *word)
{
	return strcmp(word, "-") != 0 ? word : NULL;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct kl_switch_poll *p = NULL;
	struct kl_input_stats stats;
	struct kl_trap *t = NULL;
	struct kl_error err;
	struct pollfd wait;
	int r;

	if (argc < 5)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (!strcmp(argv[1], "trap")) {
		r = kl_trap_open(
			&(struct kl_trap_config){ argv[2], given(argv[3]), given(argv[4]) }, &t,
			&err);
	} else {
		r = kl_switch_poll_open(
			&(struct kl_switch_poll_config){
				argv[2], given(argv[3]), given(argv[4]),
				argc > 5 ? strtoull(argv[5], NULL, 10) * 1000000 : 1000000000 },
			&p, &err);
	}
	if (r) {
		printf("error %s\n", err.text);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	if (t && argc > 5)
		poll(NULL, 0, atoi(argv[5]));
	wait = (struct pollfd){ .fd = t ? kl_trap_fd(t) : kl_switch_poll_fd(p), .events = POLLIN };
	while (!stopped && !r) {
		poll(&wait, 1, 1000);
		if (t)
			r = kl_trap_drain(t, print_mac, NULL);
		else
			r = kl_switch_poll_drain(p, now_ns(), print_mac, print_ageing, NULL);
	}
	/* However busy the machine is: what was sent before the signal counts. */
	for (int i = 0; t && i < 100; i++)
		kl_trap_drain(t, print_mac, NULL);
	if (t)
		kl_trap_stats(t, &stats);
	else
		kl_switch_poll_stats(p, &stats);
	printf("received %llu understood %llu malformed %llu refused %llu lost %llu complaint "
	       "'%s'\n",
	       (unsigned long long)stats.received, (unsigned long long)stats.understood,
	       (unsigned long long)stats.malformed, (unsigned long long)stats.refused,
	       (unsigned long long)stats.lost, stats.complaint);
	kl_trap_close(t);
	kl_switch_poll_close(p);
	return r != 0;
}
