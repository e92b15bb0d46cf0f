// SPDX-License-Identifier: GPL-2.0-only
/*
 * syslog-events [--syslog ADDRESS:PORT] [--follow FILES | --read FILES]: prints a line for each
 * event that syslog tells of, and at the end (SIGTERM; after the files that are read) what was
 * counted. What can be said of a live one is printed at once.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "source/syslog.h"

static volatile sig_atomic_t over;

static void stop(int signal)
{
	(void)signal;
	over = 1;
}

static void print_said(uint64_t said_ns)
{
	time_t t = (time_t)(said_ns / 1000000000);
	char text[32];
	struct tm tm;

	if (!said_ns) {
		printf(" said=-\n");
		return;
	}
	strftime(text, sizeof(text), "%FT%T", gmtime_r(&t, &tm));
	printf(" said=%s.%03uZ\n", text, (unsigned)(said_ns / 1000000 % 1000));
}

static void print_mac(const struct kl_mac_evidence *m, uint64_t said_ns, void *arg)
{
	(void)arg;
	printf("mac %s", kl_mac_happening_name((enum kl_mac_happening)m->happening));
	if (m->has_mac)
		printf(" %02x:%02x:%02x:%02x:%02x:%02x", m->mac[0], m->mac[1], m->mac[2], m->mac[3],
		       m->mac[4], m->mac[5]);
	printf(" vlan=%u port=%s from=%s by=%s heard=%d", m->vlan, m->port, m->from_port,
	       m->told_by, m->time_ns > 0);
	print_said(said_ns);
}

static void print_alarm(const struct kl_alarm *a, uint64_t said_ns, void *arg)
{
	(void)arg;
	printf("alarm %s type=%u device=%s reason=%d:%s protocol=%s node=%s heard=%d", a->name,
	       a->type, a->device, a->reason, a->reason_name, a->protocol, a->node, a->time_ns > 0);
	print_said(said_ns);
}

int main(int argc, char **argv)
{
	const struct kl_syslog_handlers handlers = { print_mac, print_alarm, NULL };
	const struct sigaction action = { .sa_handler = stop };
	struct kl_syslog_config config = { .follow = true };
	struct kl_input_stats stats;
	struct kl_syslog *s = NULL;
	struct kl_error err = {};
	int r;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--syslog") == 0)
			config.address = argv[i + 1];
		else
			config.files = argv[i + 1];
		if (strcmp(argv[i], "--read") == 0)
			config.follow = false;
	}
	sigaction(SIGTERM, &action, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	r = kl_syslog_open(&config, &s, &err);
	if (!r && !config.follow)
		r = kl_syslog_read(s, &handlers, &err);
	if (r) {
		fprintf(stderr, "%s\n", err.text[0] ? err.text : strerror(-r));
		kl_syslog_close(s);
		return 1;
	}
	if (config.follow)
		printf("ready\n");
	while (config.follow && !over) {
		struct pollfd fd = { .fd = kl_syslog_fd(s), .events = POLLIN };

		if (poll(&fd, 1, 200) > 0)
			while (kl_syslog_drain(s, &handlers) > 0 && !over) {
			}
	}
	kl_syslog_stats(s, &stats);
	printf("stats received=%" PRIu64 " understood=%" PRIu64 " malformed=%" PRIu64
	       " lost=%" PRIu64 " complaint=%s\n",
	       stats.received, stats.understood, stats.malformed, stats.lost, stats.complaint);
	kl_syslog_close(s);
	return 0;
}
