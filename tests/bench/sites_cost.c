// SPDX-License-Identifier: GPL-2.0-only
// sites-cost: what a joiner's own work costs, without a server: reads the batches of made-up sites, from
// memory, into the joins of all partitions, on one core. Prints one JSON line.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/sites_world.h"
#include "util/duration.h"

static struct world world;
static uint64_t settled, lost;

// Of this process: whatever else runs on the machine.
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * KL_NS_PER_S + (uint64_t)t.tv_nsec;
}

static int take(const struct kl_site_settled *s, void *arg)
{
	(void)arg;
	settled += s->paired.near_ns != 0;
	lost += s->paired.fate == KL_PAIR_LOST;
	return 0;
}

static void make(unsigned sites, unsigned phones, unsigned seconds, unsigned period_s,
		 unsigned partitions)
{
	static char names[WORLD_GROUPS][16];
	static struct world_config c;

	c = (struct world_config){ .seed = 1,
				   .span_ns = seconds * KL_NS_PER_S,
				   .period_ns = period_s * KL_NS_PER_S,
				   .loss = 0.001,
				   .partitions = partitions };
	for (unsigned i = 0; i < sites; i++) {
		snprintf(names[i], sizeof(names[i]), "site%u", i);
		c.agent[i] = (struct world_agent){ .site = names[i], .name = "a" };
		c.phones[i] = (struct world_phones){ .count = phones / sites,
						     .access = i,
						     .cucm = { sites, sites } };
	}
	c.agent[sites] = (struct world_agent){ .site = "centre", .name = "c", .side = KL_CUCM };
	c.agents = sites + 1;
	c.groups = sites;
	world_make(&world, &c);
}

int main(int argc, char **argv)
{
	struct kl_sites_config config = { .settled = take };
	struct kl_wire_batch *b = kl_wire_new();
	struct kl_sites **s;
	struct kl_sites_stats stats, sum = {};
	unsigned partitions;
	uint64_t start_ns, ns;
	size_t before, bytes = 0;

	if (argc != 6) {
		fprintf(stderr, "usage: sites-cost SITES PHONES SECONDS PERIOD-S PARTITIONS\n");
		return 2;
	}
	partitions = (unsigned)atoi(argv[5]);
	make((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]),
	     (unsigned)atoi(argv[4]), partitions);
	s = calloc(partitions, sizeof(*s));
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (unsigned i = 0; i < partitions; i++) {
		if (kl_sites_new(&config, &s[i]))
			return 1;
	}
	start_ns = cpu_ns();
	for (size_t i = 0; i < world.messages; i++) {
		world_feed(&world, i, s[world.message[i].partition], b);
		bytes += world.message[i].len;
	}
	ns = cpu_ns() - start_ns;
	for (unsigned i = 0; i < partitions; i++) {
		kl_sites_stats(s[i], &stats);
		sum.sightings += stats.sightings;
		sum.batches += stats.batches;
		sum.joins += stats.joins;
	}
	printf("{\"partitions\":%u,\"phones\":%u,\"joins\":%u,\"batches\":%llu,\"sightings\":%llu,"
	       "\"settled\":%llu,\"lost\":%llu,\"cpu_seconds\":%.3f,\"sightings_per_s\":%.0f,"
	       "\"ns_per_sighting\":%.0f,\"bytes_per_sighting\":%.1f,\"memory_mb\":%.1f}\n",
	       partitions, (unsigned)atoi(argv[2]), sum.joins, (unsigned long long)sum.batches,
	       (unsigned long long)sum.sightings, (unsigned long long)settled,
	       (unsigned long long)lost, (double)ns / 1e9,
	       (double)sum.sightings / ((double)ns / 1e9), (double)ns / (double)sum.sightings,
	       (double)bytes / (double)sum.sightings,
	       (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / 1e6);
	return 0;
}
