// SPDX-License-Identifier: GPL-2.0-only
/* outlet.h: who writes is never held up, whole records arrive, and what does not is counted. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/outlet.h"

enum {
	QUEUE = 64 << 10,
	RECORD = 1000, /* bytes, with its newline */
	MANY = 1000,
	PATIENCE_MS = 20000,
};

struct stage {
	int ends[2];
	struct kl_outlet *outlet;
};

static struct stage stage;

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	cr_assert(!pipe2(stage.ends, O_CLOEXEC));
	cr_assert(!kl_outlet_open(stage.ends[1], QUEUE, &stage.outlet));
}

static void tear_down(void)
{
	kl_outlet_close(stage.outlet);
	close(stage.ends[0]);
	close(stage.ends[1]);
}

TestSuite(outlet, .init = set_up, .fini = tear_down, .timeout = 60);

static void print(unsigned number)
{
	fprintf(kl_outlet_file(stage.outlet), "%-*u\n", RECORD - 1, number);
}

/* The next line of the pipe: its number. */
static unsigned read_number(void)
{
	char line[RECORD + 1] = "";
	size_t len = 0;

	while (len < RECORD) {
		ssize_t n = read(stage.ends[0], line + len, RECORD - len);

		cr_assert(n > 0);
		len += (size_t)n;
	}
	cr_assert_eq(line[RECORD - 1], '\n');
	return (unsigned)strtoul(line, NULL, 10);
}

Test(outlet, in_order)
{
	for (unsigned i = 0; i < 20; i++) {
		print(i);
		cr_assert(!kl_outlet_commit(stage.outlet));
	}
	cr_assert(!kl_outlet_commit(stage.outlet), "nothing printed is no record");
	cr_assert(!kl_outlet_flush(stage.outlet));
	for (unsigned i = 0; i < 20; i++)
		cr_assert_eq(read_number(), i);
	cr_assert_eq(kl_outlet_wait(stage.outlet, PATIENCE_MS), 0);
	cr_assert_eq(kl_outlet_dropped(stage.outlet), 0);
}

Test(outlet, stuck_reader)
{
	struct kl_outlet_gap gap;
	unsigned kept = 0, after;
	bool stuck = false;

	/* Nobody reads: the pipe and the queue take some, and the rest is dropped at once. (The
	 * thread fills the pipe when it gets to it: before that the queue has room again.) */
	for (unsigned i = 0; i < MANY; i++) {
		print(i);
		cr_assert(!kl_outlet_commit(stage.outlet));
		kl_outlet_flush(stage.outlet);
		stuck = stuck || kl_outlet_wait(stage.outlet, 500);
		kept = kl_outlet_dropped(stage.outlet) ? kept : i + 1;
	}
	cr_assert_gt(kept, QUEUE / RECORD / 2);
	cr_assert_eq(kl_outlet_dropped(stage.outlet), MANY - kept, "one gap, up to the last");
	cr_assert(kl_outlet_gap(stage.outlet, &gap));
	cr_assert_eq(gap.records, MANY - kept);
	cr_assert(gap.from_ns && gap.from_ns <= gap.to_ns);
	cr_assert(!kl_outlet_gap_over(stage.outlet, &gap), "no room yet");

	/* It reads again. All that was kept is there, whole. */
	for (unsigned i = 0; i < kept; i++)
		cr_assert_eq(read_number(), i);
	cr_assert_eq(kl_outlet_wait(stage.outlet, PATIENCE_MS), 0);
	print(MANY);
	cr_assert(!kl_outlet_commit(stage.outlet));
	cr_assert_eq(kl_outlet_dropped(stage.outlet), MANY - kept + 1, "the gap was not told yet");
	cr_assert(kl_outlet_gap_over(stage.outlet, &gap));
	print((unsigned)gap.records);
	cr_assert(!kl_outlet_commit_always(stage.outlet));
	cr_assert(!kl_outlet_gap(stage.outlet, &gap));
	print(MANY + 1);
	cr_assert(!kl_outlet_commit(stage.outlet));
	cr_assert(!kl_outlet_flush(stage.outlet));
	after = read_number();
	cr_assert_eq(after, MANY - kept + 1);
	cr_assert_eq(read_number(), MANY + 1);
}

Test(outlet, closed_while_stuck)
{
	for (unsigned i = 0; i < MANY; i++) {
		print(i);
		cr_assert(!kl_outlet_commit_always(stage.outlet));
	}
	cr_assert_gt(kl_outlet_wait(stage.outlet, 50), 0);
	/* tear_down() closes it: that does not wait for the reader either. */
}

Test(outlet, always)
{
	for (unsigned i = 0; i < MANY; i++) {
		print(i);
		cr_assert(!kl_outlet_commit_always(stage.outlet));
	}
	cr_assert_eq(kl_outlet_dropped(stage.outlet), 0);
	kl_outlet_flush(stage.outlet);
	for (unsigned i = 0; i < MANY; i++)
		cr_assert_eq(read_number(), i);
}

/* However long: where nothing else waits, it goes. */
Test(outlet, longer_than_the_queue)
{
	for (unsigned i = 0; i < 3 * QUEUE / RECORD; i++)
		print(i);
	cr_assert(!kl_outlet_commit(stage.outlet));
	cr_assert_eq(kl_outlet_dropped(stage.outlet), 0);
	kl_outlet_flush(stage.outlet);
	for (unsigned i = 0; i < 3 * QUEUE / RECORD; i++)
		cr_assert_eq(read_number(), i);
}

Test(outlet, reader_goes_away)
{
	close(stage.ends[0]);
	stage.ends[0] = -1;
	print(0);
	cr_assert(!kl_outlet_commit(stage.outlet));
	kl_outlet_wait(stage.outlet, PATIENCE_MS);
	cr_assert_eq(kl_outlet_error(stage.outlet), -EPIPE);
	print(1);
	cr_assert_eq(kl_outlet_commit(stage.outlet), -EPIPE);
	cr_assert_eq(kl_outlet_flush(stage.outlet), -EPIPE);
}

Test(outlet, full_disk)
{
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct kl_outlet *full;

	cr_assert(fd >= 0 && !kl_outlet_open(fd, QUEUE, &full));
	fprintf(kl_outlet_file(full), "record\n");
	cr_assert(!kl_outlet_commit(full));
	kl_outlet_wait(full, PATIENCE_MS);
	cr_assert_eq(kl_outlet_error(full), -ENOSPC);
	kl_outlet_close(full);
}
