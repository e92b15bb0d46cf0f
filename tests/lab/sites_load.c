// SPDX-License-Identifier: GPL-2.0-only
// sites-load: publishes what agents of made-up branches and a data centre would, each batch when it is
// due, and writes what was lost, one a line, as `IP PORT DIRECTION SEQ`. For tests of joiners under load,
// and of what servers do meanwhile: as agents do, it sends again what was not acknowledged.
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/sites_world.h"
#include "core/names.h"
#include "core/subject.h"
#include "source/broker.h"
#include "util/duration.h"

// Batches of one agent and partition: one after the other.
struct line {
	size_t *of;
	size_t count, room, next;
	bool flying;
};

struct load {
	struct world world;
	struct kl_broker *broker;
	struct line *lines;
	uint64_t start_ns, acked, again, bytes, sightings;
};

static struct line *line_of(struct load *l, const struct world_message *m)
{
	return &l->lines[m->agent * l->world.config.partitions + m->partition];
}

static void sort_lines(struct load *l)
{
	const struct world_config *c = &l->world.config;

	l->lines = calloc((size_t)c->agents * c->partitions, sizeof(*l->lines));
	for (size_t i = 0; i < l->world.messages; i++) {
		struct line *x = line_of(l, &l->world.message[i]);

		if (x->count == x->room) {
			x->room = x->room ? 2 * x->room : 64;
			x->of = realloc(x->of, x->room * sizeof(*x->of));
		}
		x->of[x->count++] = i;
	}
}

static void send_due(struct load *l, size_t lines, uint64_t now_ns)
{
	for (size_t i = 0; i < lines; i++) {
		struct line *x = &l->lines[i];
		const struct world_message *m;
		char subject[KL_SUBJECT_SIZE], id[KL_BROKER_ID_SIZE];
		const struct world_agent *a;

		if (x->flying || x->next == x->count)
			continue;
		m = &l->world.message[x->of[x->next]];
		if (m->stored_ns - WORLD_START_NS > now_ns - l->start_ns)
			continue;
		a = &l->world.config.agent[m->agent];
		kl_subject_segments(KL_SUBJECT_PREFIX, a->site, a->name, m->partition, subject);
		snprintf(id, sizeof(id), "%zu", x->of[x->next]);
		if (kl_broker_publish(l->broker, subject, m->data, m->len, id))
			return;
		x->flying = true;
	}
}

static void take_acks(struct load *l)
{
	struct kl_broker_ack ack;

	while (kl_broker_next_ack(l->broker, &ack)) {
		struct line *x = line_of(l, &l->world.message[strtoull(ack.id, NULL, 10)]);

		x->flying = false;
		if (ack.error) {
			l->again++;
			continue;
		}
		l->bytes += l->world.message[x->of[x->next]].len;
		x->next++;
		l->acked++;
	}
}

static int write_truth(const struct load *l, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		return -1;
	for (size_t i = 0; i < l->world.copies; i++) {
		const struct world_copy *c = &l->world.copy[i];
		char ip[KL_ADDRESS_TEXT];

		if (!c->lost)
			continue;
		kl_format_address(4, c->ends.phone, ip);
		fprintf(f, "%s %u %s %u\n", ip, c->ends.phone_port, kl_direction_name(c->direction),
			c->seq);
	}
	return fclose(f);
}

static void make(struct load *l, unsigned sites, unsigned phones, unsigned seconds,
		 unsigned period_ms, double loss, unsigned partitions)
{
	static char names[WORLD_GROUPS][16];
	struct world_config c = { .seed = 4711,
				  .span_ns = seconds * KL_NS_PER_S,
				  .period_ns = period_ms * KL_NS_PER_MS,
				  .loss = loss,
				  .partitions = partitions,
				  .quiet_ns = 12 * KL_NS_PER_S };

	for (unsigned i = 0; i < sites; i++) {
		snprintf(names[i], sizeof(names[i]), "site%u", i);
		c.agent[i] = (struct world_agent){ .site = names[i],
						   .name = "a",
						   .side = KL_ACCESS,
						   .ahead_ns = (int64_t)i * 600 *
							       (int64_t)KL_NS_PER_S };
		c.phones[i] = (struct world_phones){ .count = phones / sites,
						     .access = i,
						     .cucm = { sites, sites } };
	}
	c.agent[sites] = (struct world_agent){ .site = "centre", .name = "c", .side = KL_CUCM };
	c.agents = sites + 1;
	c.groups = sites;
	world_make(&l->world, &c);
}

int main(int argc, char **argv)
{
	struct load l = {};
	struct kl_broker_config config = { .name = "sites-load", .max_pending = 4096 };
	struct kl_error err = {};
	uint64_t wait_ns = 0;
	size_t lines;

	if (argc != 9) {
		fprintf(stderr,
			"usage: sites-load URLS SITES PHONES SECONDS PERIOD-MS LOSS PARTITIONS "
			"TRUTH-FILE\n");
		return 2;
	}
	config.urls = argv[1];
	make(&l, (unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]),
	     (unsigned)atoi(argv[5]), atof(argv[6]), (unsigned)atoi(argv[7]));
	lines = (size_t)l.world.config.agents * l.world.config.partitions;
	sort_lines(&l);
	if (write_truth(&l, argv[8]) || kl_broker_open(&config, &l.broker, &err)) {
		fprintf(stderr, "sites-load: %s %s\n", argv[8], err.text);
		return 1;
	}
	l.start_ns = kl_monotonic_ns();
	while (l.acked < l.world.messages && wait_ns < 120 * KL_NS_PER_S) {
		struct pollfd fd = { .fd = kl_broker_fd(l.broker), .events = POLLIN };
		uint64_t now_ns = kl_monotonic_ns();

		kl_broker_look(l.broker);
		take_acks(&l);
		send_due(&l, lines, now_ns);
		poll(&fd, 1, 5);
		wait_ns = now_ns - l.start_ns > l.world.config.span_ns
				  ? now_ns - l.start_ns - l.world.config.span_ns
				  : 0;
	}
	printf("{\"batches\":%zu,\"acknowledged\":%llu,\"sent_again\":%llu,\"bytes\":%llu,"
	       "\"copies\":%zu}\n",
	       l.world.messages, (unsigned long long)l.acked, (unsigned long long)l.again,
	       (unsigned long long)l.bytes, l.world.copies);
	kl_broker_close(l.broker);
	return l.acked == l.world.messages ? 0 : 1;
}
