// SPDX-License-Identifier: GPL-2.0-only
/*
 * read-capture [--threads] SIDE…: reads captures as `diagnose` does, and does nothing with the
 * segments; each SIDE is a comma list of files. Says what was read and what is missing.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/packets.h"
#include "source/capture.h"

enum {
	SIDES_MAX = 8,
	FILES_MAX = 1000,
};

static struct kl_ports ports;

struct job {
	char *list;
	int status;
	uint64_t payload_bytes;
	char text[16384];
};

static void say(struct job *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct job *j, const char *format, ...)
{
	size_t len = strlen(j->text);
	va_list args;

	va_start(args, format);
	vsnprintf(j->text + len, sizeof(j->text) - len, format, args);
	va_end(args);
}

static void tell(struct job *j, struct kl_capture *c)
{
	struct kl_capture_coverage v;

	kl_capture_coverage(c, &v);
	say(j,
	    "%" PRIu64 " packets, %" PRIu64 " segments, %" PRIu64 " payload bytes; cut %" PRIu64
	    " packets, %" PRIu64 " segments, %" PRIu64 " headers; malformed %" PRIu64
	    ", fragments %" PRIu64 ", other links %" PRIu64 ", untimed %" PRIu64 ", back %" PRIu64
	    " (%" PRIu64 " ns), dropped %" PRIu64 "\n",
	    v.total.packets, v.total.segments, j->payload_bytes, v.total.cut_packets,
	    v.total.cut_segments, v.total.cut_headers, v.total.malformed, v.total.fragments,
	    v.total.other_links, v.total.untimed, v.total.back_steps, v.total.back_largest_ns,
	    v.total.dropped);
	for (size_t i = 0; i < v.range_count; i++)
		say(j, "covered %" PRIu64 ".%09" PRIu64 " to %" PRIu64 ".%09" PRIu64 "\n",
		    v.ranges[i].first_ns / 1000000000, v.ranges[i].first_ns % 1000000000,
		    v.ranges[i].last_ns / 1000000000, v.ranges[i].last_ns % 1000000000);
	for (size_t i = 0; i < v.file_count; i++) {
		if (v.files[i].end > KL_CAPTURE_COMPLETE)
			say(j, "%s\n", v.files[i].end_text);
	}
}

static void *read_side(void *arg)
{
	const char *paths[FILES_MAX];
	const struct kl_captured *s;
	struct kl_capture *c = NULL;
	struct kl_error err = { 0 };
	struct job *j = arg;
	char *state = NULL;
	size_t n = 0;
	int r;

	for (char *p = strtok_r(j->list, ",", &state); p && n < FILES_MAX;
	     p = strtok_r(NULL, ",", &state))
		paths[n++] = p;
	r = kl_capture_open(paths, n, &ports, &c, &err);
	if (!r) {
		while ((r = kl_capture_next(c, &s, &err)) > 0)
			j->payload_bytes += s->payload_captured;
		tell(j, c);
	}
	if (r < 0)
		say(j, "%s\n", err.text);
	j->status = r < 0;
	kl_capture_close(c);
	return NULL;
}

int main(int argc, char **argv)
{
	bool threads = argc > 1 && strcmp(argv[1], "--threads") == 0;
	static struct job jobs[SIDES_MAX];
	pthread_t thread[SIDES_MAX];
	int first = threads ? 2 : 1, n = argc - first, status = 0;

	if (n < 1 || n > SIDES_MAX) {
		fprintf(stderr, "usage: read-capture [--threads] SIDE...\n");
		return 2;
	}
	pkt_ports(&ports);
	for (int i = 0; i < n; i++) {
		jobs[i].list = argv[first + i];
		if (!threads)
			read_side(&jobs[i]);
		else if (pthread_create(&thread[i], NULL, read_side, &jobs[i]))
			return 2;
	}
	for (int i = 0; i < n; i++) {
		if (threads)
			pthread_join(thread[i], NULL);
		fputs(jobs[i].text, stdout);
		status |= jobs[i].status;
	}
	return status;
}
