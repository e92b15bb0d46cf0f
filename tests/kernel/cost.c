// SPDX-License-Identifier: GPL-2.0-only
/* cost.h */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../packets/packets.h"

#include "cost.h"
#include "drop_reason.skel.h"
#include "one_side.skel.h"

enum {
	PROGRAMS_MAX = 32,
	LOG_BYTES = 1 << 13,
	LOG_STATS = 4, /* BPF_LOG_STATS: the sums alone */
	RING_BYTES = 1 << 16
};

static char logs[PROGRAMS_MAX][LOG_BYTES];

int cost_ask(struct bpf_object *object)
{
	struct bpf_program *program;
	size_t n = 0;
	int r;

	memset(logs, 0, sizeof(logs));
	bpf_object__for_each_program(program, object)
	{
		if (n == PROGRAMS_MAX)
			return -E2BIG;
		r = bpf_program__set_log_level(program, LOG_STATS);
		if (!r)
			r = bpf_program__set_log_buf(program, logs[n++], LOG_BYTES);
		if (r)
			return r;
	}
	return 0;
}

/* "stack depth 312+48": a figure for each function. */
static void write_stack(const char *log, FILE *to)
{
	static const char label[] = "stack depth ";
	const char *at = strstr(log, label);
	unsigned long sum = 0;
	char *end;

	if (!at) {
		fputs("-\n", to);
		return;
	}
	for (at += strlen(label);; at = end + 1) {
		sum += strtoul(at, &end, 10);
		if (*end != '+')
			break;
	}
	fprintf(to, "%lu\n", sum);
}

int cost_write(const struct bpf_object *object, FILE *to)
{
	struct bpf_program *program;
	size_t n = 0;

	bpf_object__for_each_program(program, object)
	{
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			return -errno;
		fprintf(to, "%s %u ", bpf_program__name(program), info.verified_insns);
		write_stack(logs[n++], to);
	}
	return 0;
}

int cost_write_drop_reason(FILE *to)
{
	struct drop_reason_bpf *skel = drop_reason_bpf__open();
	int r;

	if (!skel)
		return -errno;
	pkt_ports((struct kl_ports *)&skel->rodata->kl_ports);
	r = bpf_map__set_max_entries(skel->maps.kl_drop_records, RING_BYTES);
	if (!r)
		r = cost_ask(skel->obj);
	if (!r)
		r = drop_reason_bpf__load(skel);
	if (!r)
		r = cost_write(skel->obj, to);
	drop_reason_bpf__destroy(skel);
	return r;
}

int cost_write_one_side(FILE *to)
{
	struct one_side_bpf *skel = one_side_bpf__open();
	int r;

	if (!skel)
		return -errno;
	pkt_ports((struct kl_ports *)&skel->rodata->kl_ports);
	r = bpf_map__set_max_entries(skel->maps.kl_sightings, RING_BYTES);
	if (!r)
		r = cost_ask(skel->obj);
	if (!r)
		r = one_side_bpf__load(skel);
	if (!r)
		r = cost_write(skel->obj, to);
	one_side_bpf__destroy(skel);
	return r;
}
