// SPDX-License-Identifier: GPL-2.0-only
/*
 * flood --access IF --cucm IF --pid PID [option…]: keepalives, and nothing else, through the programs
 * that a running `kaloss watch` (process PID) has on the two interfaces: a batch at the near one, the
 * same batch at the far one, by BPF_PROG_TEST_RUN of these very programs. Each keepalive has a
 * sequence number of its own. A program in front of the far one drops some, by a hash of their number,
 * and counts them.
 *
 *   --connections N   in turn; a power of two costs least (1024)
 *   --first N         number of the first keepalive (0): connections go on where they were
 *   --count N         how many keepalives (1000000)
 *   --batch N         in a row at one hook (1000), where there is no pace
 *   --drop-one-of N   0: none (100)
 *   --answers         each is answered by a KeepAliveAck, and that is acknowledged
 *   --a-second N      so many keepalives a second, evenly, each with all that belongs to it before the
 *                     next one (0: as fast as it goes)
 *
 * Prints one line of JSON: count, dropped, cpu_s (of this process: all that both hooks took),
 * wall_s, watch_cpu_s (of PID, user and system, meanwhile), end (seconds since 1970), and with a pace
 * shares (of a core, that PID took in each seventh).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "programs.h"

static struct {
	const char *access, *cucm;
	int pid;
	__u32 connections, batch, drop_one_of;
	__u64 first, count, a_second;
	bool answers;
} o = { .connections = 1024, .batch = 1000, .drop_one_of = 100, .count = 1000000 };

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "access", required_argument, NULL, 'a' },
		{ "cucm", required_argument, NULL, 'c' },
		{ "pid", required_argument, NULL, 'p' },
		{ "connections", required_argument, NULL, 'n' },
		{ "first", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'k' },
		{ "batch", required_argument, NULL, 'b' },
		{ "drop-one-of", required_argument, NULL, 'd' },
		{ "answers", no_argument, NULL, 'w' },
		{ "a-second", required_argument, NULL, 's' },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		unsigned long long n = optarg ? strtoull(optarg, NULL, 10) : 0;

		switch (c) {
		case 'a':
			o.access = optarg;
			break;
		case 'c':
			o.cucm = optarg;
			break;
		case 'p':
			o.pid = (int)n;
			break;
		case 'n':
			o.connections = (__u32)n;
			break;
		case 'f':
			o.first = n;
			break;
		case 'k':
			o.count = n;
			break;
		case 'b':
			o.batch = (__u32)n;
			break;
		case 'd':
			o.drop_one_of = (__u32)n;
			break;
		case 'w':
			o.answers = true;
			break;
		case 's':
			o.a_second = n;
			break;
		default:
			exit(2);
		}
	}
	if (!o.access || !o.cucm || !o.batch || !o.connections) {
		fputs("usage: flood --access IF --cucm IF --pid PID [option...]\n", stderr);
		exit(2);
	}
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of a process with all its threads: user and system. */
static double cpu_of(int pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) ? 0 : seconds(clock);
}

enum {
	KEEPALIVE,
	ANSWER,
	ACKNOWLEDGEMENT,
	LEGS,
	SHARES = 7
};

static struct leg {
	struct front near, far;
	struct pkt frame;
} legs[LEGS];

static struct front load_front(struct front_spec *spec, const char *interface, bool out)
{
	int program = out ? -1 : program_on(interface, PROGRAM_XDP);
	struct front ret;

	spec->xdp = program >= 0;
	if (program < 0)
		program = program_on(interface, out ? PROGRAM_OUT : PROGRAM_IN);
	if (program < 0)
		bench_fail("no program of kaloss's on an interface", ENOENT);
	front_load(spec, program, &ret);
	return ret;
}

static void load_leg(int leg)
{
	struct pkt_payload keepalive = { 0 }, answer = { 0 };
	struct front_spec spec = { .connections = o.connections, .to_phone = leg == ANSWER };
	struct pkt_spec frame = { .to_phone = spec.to_phone, .pad_to = 60 };

	pkt_sccp_keepalive(&keepalive);
	pkt_sccp_keepalive_ack(&answer);
	if (leg != ACKNOWLEDGEMENT) {
		frame.payload = leg == ANSWER ? answer.data : keepalive.data;
		frame.payload_len = leg == ANSWER ? answer.len : keepalive.len;
	}
	pkt_build(&frame, &legs[leg].frame);
	spec.seq = 1 + (leg == ACKNOWLEDGEMENT ? keepalive.len : 0);
	spec.ack = 1 + (leg == KEEPALIVE ? 0 : leg == ANSWER ? keepalive.len : answer.len);
	spec.seq_step = leg == ANSWER ? answer.len : keepalive.len;
	spec.ack_step = o.answers ? leg == ANSWER ? keepalive.len : answer.len : 0;
	legs[leg].near = load_front(&spec, spec.to_phone ? o.cucm : o.access, false);
	spec.drop_one_of = leg == KEEPALIVE ? o.drop_one_of : 0;
	legs[leg].far = load_front(&spec, spec.to_phone ? o.access : o.cucm, true);
}

static int count_legs(void)
{
	return o.answers ? LEGS : 1;
}

/* As fast as it goes: a batch at one hook, then at the next. */
static void run_batches(void)
{
	for (__u64 n = 0; n < o.count; n += o.batch) {
		unsigned count = o.count - n < o.batch ? (unsigned)(o.count - n) : o.batch;

		for (int i = 0; i < count_legs(); i++) {
			front_run(&legs[i].near, &legs[i].frame, o.first + n, count);
			front_run(&legs[i].far, &legs[i].frame, o.first + n, count);
		}
	}
}

static void wait_until(double when)
{
	double left = when - seconds(CLOCK_MONOTONIC);

	if (left > 0.001)
		usleep((useconds_t)(left * 1e6));
}

/*
 * Of a core, that the watch took in each part of the time; of the time that the pace asks for, so that a
 * machine that does not keep it makes nothing look cheaper.
 */
static double shares[SHARES];

/* At their pace: each with all that belongs to it before the next one comes. */
static void run_paced(double start)
{
	double cpu = cpu_of(o.pid);
	unsigned done = 0;
	__u64 from = 0;

	for (int i = 0; i < count_legs(); i++) {
		front_begin(&legs[i].near, o.first);
		front_begin(&legs[i].far, o.first);
	}
	for (__u64 n = 0; n < o.count; n++) {
		wait_until(start + (double)n / (double)o.a_second);
		for (int i = 0; i < count_legs(); i++) {
			program_run(legs[i].near.fd, &legs[i].frame, 1);
			program_run(legs[i].far.fd, &legs[i].frame, 1);
		}
		if (n + 1 >= o.count * (done + 1) / SHARES) {
			double now = cpu_of(o.pid);

			shares[done++] = (now - cpu) * (double)o.a_second / (double)(n + 1 - from);
			from = n + 1;
			cpu = now;
		}
	}
}

int main(int argc, char **argv)
{
	double cpu, wall, start, watch;

	parse(argc, argv);
	for (int leg = 0; leg < count_legs(); leg++)
		load_leg(leg);
	watch = cpu_of(o.pid);
	start = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	if (o.a_second)
		run_paced(start);
	else
		run_batches();
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = seconds(CLOCK_MONOTONIC) - start;
	printf("{\"count\": %llu, \"dropped\": %llu, \"cpu_s\": %.4f, \"wall_s\": %.4f, "
	       "\"watch_cpu_s\": %.4f, \"end\": %.3f",
	       o.count, front_dropped(&legs[KEEPALIVE].far), cpu, wall, cpu_of(o.pid) - watch,
	       seconds(CLOCK_REALTIME));
	for (int i = 0; o.a_second && i < SHARES; i++)
		printf("%s%.6f", i ? ", " : ", \"shares\": [", shares[i]);
	puts(o.a_second ? "]}" : "}");
	return 0;
}
