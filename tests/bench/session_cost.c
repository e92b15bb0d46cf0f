// SPDX-License-Identifier: GPL-2.0-only
/*
 * session-cost [--quick] [--json FILE]: what the sessions cost: memory of one, time for an event, and
 * time for an advance of 250 ms with 1 000 to 1 000 000 of them, on simulated time. All of them send
 * keepalives every 30 s, evenly spread, each answered. Times are told as such and as ratios, for
 * machines differ.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "core/session_state.h"

enum {
	ADVANCES = 4 * 60, /* two periods */
	RUNS = 7,
	PERIOD_TICKS = 4 * 30,
};

#define TICK_NS (250 * KL_NS_PER_MS)

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static long resident_bytes(void)
{
	long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%ld %ld", &pages, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * sysconf(_SC_PAGESIZE);
}

static void feed(struct kl_sessions *s, struct kl_event *e)
{
	if (kl_sessions_feed(s, e, NULL, 0))
		abort();
}

struct cost {
	double event_ns, advance_ns;
	long bytes;
};

/* One tick's keepalives and answers. Returns how many events that were. */
static unsigned beat(struct kl_sessions *s, unsigned count, unsigned tick, __u64 now)
{
	struct kl_event e = { .steps = 200, .own_numbers = true, .ends.family = 4 };
	unsigned events = 0, round = tick / PERIOD_TICKS;

	for (unsigned i = tick % PERIOD_TICKS; i < count; i += PERIOD_TICKS, events += 2) {
		e.conn_id = i + 1;
		e.ends.phone[0] = i;
		e.ends.cucm_port = 2000;
		e.time_ns = now + i % 997 * 100 * KL_NS_PER_US;
		e.type = KL_EVENT_SEGMENT;
		e.direction = KL_TO_CUCM;
		e.kind = KL_SCCP_KEEPALIVE;
		e.payload_len = 12;
		e.note = KL_NOTE_QUIET;
		e.seq = 12 * round;
		feed(s, &e);
		e.time_ns += KL_NS_PER_MS;
		e.direction = KL_TO_PHONE;
		e.kind = KL_SCCP_KEEPALIVE_ACK;
		e.note = KL_NOTE_ACKS;
		e.joined_end = 12 * round + 12;
		feed(s, &e);
	}
	return events;
}

static struct cost measure(unsigned count)
{
	struct kl_sessions_config config = { .deadline_ns = 1000 * KL_NS_PER_MS,
					     .two_sided = true };
	long before = resident_bytes();
	double fed = 0, advanced = 0;
	struct kl_sessions *s;
	unsigned events = 0, tick;
	__u64 now = 5000 * 1000 * KL_NS_PER_MS;
	struct cost ret;

	if (kl_sessions_new(&config, &s))
		abort();
	/* Four rounds until all is learnt. */
	for (tick = 0; tick < 4 * PERIOD_TICKS; tick++, now += TICK_NS) {
		beat(s, count, tick, now);
		kl_sessions_advance(s, now);
	}
	ret.bytes = (resident_bytes() - before) / (long)count;
	for (unsigned i = 0; i < ADVANCES; i++, tick++, now += TICK_NS) {
		double start = now_ns(), middle;

		events += beat(s, count, tick, now);
		middle = now_ns();
		kl_sessions_advance(s, now);
		fed += middle - start;
		advanced += now_ns() - middle;
	}
	ret.event_ns = fed / events;
	ret.advance_ns = advanced / ADVANCES;
	kl_sessions_free(s);
	return ret;
}

/* In a process of its own: what another one freed would be used again, and not be counted. */
static struct cost measure_alone(unsigned count)
{
	struct cost *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct cost ret;
	pid_t child;
	int status;

	if (shared == MAP_FAILED)
		abort();
	child = fork();
	if (!child) {
		*shared = measure(count);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		abort();
	ret = *shared;
	munmap(shared, sizeof(*shared));
	return ret;
}

static const char *json_path;

static void add(unsigned count, const char *what, const char *unit, double *values, unsigned runs,
		struct bench_figure *ret)
{
	static const struct bench_goal none = { .is = BENCH_NO_GOAL };
	char name[96];

	*ret = bench_figure_of(values, runs);
	snprintf(name, sizeof(name), "%u sessions: %s", count, what);
	if (bench_add(json_path, "session", name, unit, ret, &none))
		abort();
}

/* A million once: it takes as long as all others. */
static void row(unsigned count, unsigned runs, double *first_ns)
{
	double event[RUNS], advance[RUNS], bytes[RUNS];
	struct bench_figure e, a, b;

	for (unsigned i = 0; i < runs; i++) {
		struct cost c = measure_alone(count);

		event[i] = c.event_ns;
		advance[i] = c.advance_ns;
		bytes[i] = (double)c.bytes;
	}
	add(count, "an event", "ns", event, runs, &e);
	add(count, "an advance of 250 ms", "ns", advance, runs, &a);
	add(count, "resident, each", "bytes", bytes, runs, &b);
	if (!*first_ns)
		*first_ns = e.median;
	printf("%7u sessions: %5.0f (%.0f to %.0f) ns an event (%.1f times that of 1000), %7.0f "
	       "(%.0f to %.0f) ns an advance, %.0f bytes resident each; median of %u\n",
	       count, e.median, e.lowest, e.highest, e.median / *first_ns, a.median, a.lowest,
	       a.highest, b.median, runs);
}

int main(int argc, char **argv)
{
	static const unsigned counts[] = { 1000, 10000, 100000, 1000000 };
	double first_ns = 0;
	bool quick = false;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quick")) {
			quick = true;
		} else if (!strcmp(argv[i], "--json") && i + 1 < argc) {
			json_path = argv[++i];
		} else {
			fputs("usage: session-cost [--quick] [--json FILE]\n", stderr);
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%s\na session: %zu bytes, its state %zu in all\n", bench_machine(),
	       sizeof(struct kl_session), sizeof(struct kl_node));
	for (unsigned i = 0; i < (quick ? 1 : 4); i++)
		row(counts[i], quick || counts[i] == 1000000 ? 1 : RUNS, &first_ns);
	return 0;
}
