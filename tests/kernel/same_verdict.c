// SPDX-License-Identifier: GPL-2.0-only
/*
 * same-verdict [--costs FILE] [CORPUS…]: what the BPF programs make of a frame is what the headers make of it on
 * the host. Every frame of the fuzzer's corpus, and conversations made here, go through the hooks
 * by BPF_PROG_TEST_RUN and through model.c; then connections, join, counters and events must be
 * equal, but for times. FILE gets what the programs cost the verifier (cost.h). Exit status: 0 all equal, 1 not, 2 it could not run, 77 without privilege.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../fuzz/fuzz.h"
#include "same.h"

enum {
	SKIP = 77
};

static unsigned too_short;

/* ---- Single frames ---- */

static const struct {
	const char *name;
	enum hook_name first;
	int second; /* -1: none */
} paths[] = {
	{ "XDP to the CUCM", XDP_ACC, OUT_CUCM },   { "tc to the CUCM", IN_ACC, OUT_CUCM },
	{ "XDP to the phone", XDP_CUCM, OUT_ACC },  { "tc to the phone", IN_CUCM, OUT_ACC },
	{ "only out to the CUCM", OUT_CUCM, -1 },   { "only out to the phone", OUT_ACC, -1 },
	{ "XDP on both sides", XDP_ACC, XDP_CUCM },
};

static void run_frame(const char *name, const struct fuzz_input *in)
{
	if (in->len <= KL_ETH_LEN) {
		too_short++; /* the kernel does not run a program for it */
		return;
	}
	for (__u32 i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		bool is_xdp = hooks[paths[i].first].xdp, ok;
		__u32 gso_size = in->is_aggregate && !is_xdp ? 1 + in->len / 4 : 0;
		char text[512];

		snprintf(text, sizeof(text), "%s, %s", name, paths[i].name);
		what = text;
		ok = see(paths[i].first, in->frame, in->len, gso_size) &&
		     (paths[i].second < 0 ||
		      see((enum hook_name)paths[i].second, in->frame, in->len, gso_size));
		conclude(ok);
	}
}

static bool run_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	__u32 files = 0;

	while (directory && (entry = readdir(directory))) {
		static __u8 data[PKT_MAX + FUZZ_HEADER];
		struct fuzz_input in;
		char name[4096];
		FILE *file;
		size_t size;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		file = fopen(name, "rb");
		if (!file)
			break;
		size = fread(data, 1, sizeof(data), file);
		fclose(file);
		files++;
		if (fuzz_input_read(data, size, &in))
			run_frame(entry->d_name, &in);
	}
	if (directory)
		closedir(directory);
	if (!files)
		fprintf(stderr, "same-verdict: no corpus in %s\n", path);
	return files > 0;
}

int main(int argc, char **argv)
{
	FILE *costs = NULL;
	bool ok = true;
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2 && !strcmp(argv[1], "--costs")) {
		costs = fopen(argv[2], "w");
		if (!costs) {
			fprintf(stderr, "same-verdict: %s: %s\n", argv[2], strerror(errno));
			return 2;
		}
		argc -= 2;
		argv += 2;
	}
	r = same_begin(costs);
	if (costs && fclose(costs) && !r)
		r = -errno;
	if (r) {
		bool denied = r == -EPERM; /* EACCES is the verifier's no */

		fprintf(stderr, "same-verdict: %s: %s\n", denied ? "skipped" : "cannot load",
			strerror(-r));
		return denied ? SKIP : 2;
	}
	run_conversations();
	run_crowd();
	run_neighbours();
	run_silence(true);
	run_silence(false);
	for (int i = 1; i < argc; i++)
		ok &= run_directory(argv[i]);
	if (argc < 2)
		ok = run_directory("tests/fuzz/corpus");
	printf("%u passed, %u failed", passed, failed);
	if (too_short)
		printf(" (%u frames are too short for the kernel)", too_short);
	putchar('\n');
	same_end();
	return !ok || failed || !passed;
}
