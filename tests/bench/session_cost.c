// SPDX-License-Identifier: GPL-2.0-only
/*
 * session-cost [--quick] [--json FILE]: what the sessions cost: memory of one, time for an event, and
 * time for an advance of 250 ms with 1 000 to 1 000 000 of them, on simulated time. All of them have
 * names and MAC addresses, and send keepalives every 30 s, evenly spread but for their jitter, each
 * answered after some milliseconds, which the phone acknowledges. Times are told as such and as
 * ratios, for machines differ.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
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

static uint32_t below(uint32_t n)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16) % n;
}

/* When the phone registers: its name. */
static void name_phone(struct kl_sessions *s, struct kl_event *e)
{
	struct kl_message message = { .type = KL_MESSAGE_REGISTER };

	snprintf(message.device, sizeof(message.device), "SEP%02X%02X%02X%02X%02X%02X",
		 e->phone_mac[0], e->phone_mac[1], e->phone_mac[2], e->phone_mac[3],
		 e->phone_mac[4], e->phone_mac[5]);
	e->type = KL_EVENT_PAYLOAD;
	if (kl_sessions_learn(s, e, &message))
		abort();
}

/* One tick's keepalives, answers and acknowledgements. Returns how many events that were. */
static unsigned beat(struct kl_sessions *s, unsigned count, unsigned tick, __u64 now)
{
	unsigned events = 0, round = tick / PERIOD_TICKS;

	for (unsigned i = tick % PERIOD_TICKS; i < count; i += PERIOD_TICKS, events += 3) {
		struct kl_event e = {
			.conn_id = kl_mix(0, i + 1),
			.ends = { .phone = { i },
				  .cucm = { 0x0a020001 },
				  .phone_port = (__u16)(49152 + i % 16384),
				  .cucm_port = 2000,
				  .family = 4 },
			.phone_mac = { 0, 0x24, 0x14, (__u8)(i >> 16), (__u8)(i >> 8), (__u8)i },
			.next_mac = { 2, 0, 0, 0, 0, 1 },
			.time_ns = now + below(TICK_NS),
			.direction = KL_TO_CUCM,
			.kind = KL_SCCP_KEEPALIVE,
			.payload_len = 12,
			.note = KL_NOTE_QUIET,
			.seq = i * 7919 + 12 * round,
			.missed = (__u16)i,
			.peer_missed = (__u16)(i >> 3),
			.steps = 200,
			.own_numbers = true,
			.idle_ms = 29700 + below(500),
		};

		if (!round)
			name_phone(s, &e);
		e.type = KL_EVENT_SEGMENT;
		feed(s, &e);
		e.joined_end = e.seq + 12;
		e.time_ns += 300000 + below(1U << (18 + below(6)));
		e.direction = KL_TO_PHONE;
		e.side = KL_CUCM;
		e.kind = KL_SCCP_KEEPALIVE_ACK;
		e.note = KL_NOTE_ACKS;
		e.seq = i * 104729 + 12 * round;
		e.missed = (__u16)(i >> 3);
		e.peer_missed = (__u16)i;
		e.idle_ms = below(3);
		feed(s, &e);
		e.joined_end = e.seq + 12;
		e.time_ns += KL_NS_PER_MS + below(1U << 20);
		e.type = KL_EVENT_ACK;
		e.direction = KL_TO_CUCM;
		e.side = KL_ACCESS;
		e.kind = KL_OTHER;
		e.payload_len = 0;
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
