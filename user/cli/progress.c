// SPDX-License-Identifier: GPL-2.0-only
#include "cli/progress.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

enum {
	CALLS = 512, /* between two looks at the clock */
};

#define SHOW_EVERY_NS 500000000ULL

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void kl_progress_start(struct kl_progress *p, FILE *out)
{
	*p = (struct kl_progress){ .out = isatty(fileno(out)) ? out : NULL };
	p->start_ns = p->shown_ns = now_ns();
}

void kl_progress_show(struct kl_progress *p, const struct kl_capture *const *captures, size_t count)
{
	uint64_t now, packets = 0, read = 0, size = 0;
	double elapsed, share;
	bool known = true;

	if (!p->out || ++p->calls % CALLS)
		return;
	now = now_ns();
	if (now - p->shown_ns < SHOW_EVERY_NS)
		return;
	for (size_t i = 0; i < count; i++) {
		struct kl_capture_progress progress;

		if (!captures[i])
			continue;
		kl_capture_progress(captures[i], &progress);
		packets += progress.packets;
		read += progress.read_bytes;
		size += progress.size_bytes;
		known &= progress.fraction >= 0;
	}
	p->shown_ns = now;
	p->shown = true;
	elapsed = (double)(now - p->start_ns) / 1e9;
	share = known && size ? (double)read / (double)size : 0;
	fprintf(p->out, "\r\033[K%" PRIu64 " packets, %.1f million a second", packets,
		(double)packets / elapsed / 1e6);
	if (share > 0)
		fprintf(p->out, ", %.0f %%, %.0f s left", 100 * share, elapsed / share - elapsed);
	fflush(p->out);
}

void kl_progress_clear(struct kl_progress *p)
{
	if (p->out && p->shown)
		fputs("\r\033[K", p->out);
}
