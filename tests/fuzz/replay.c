// SPDX-License-Identifier: GPL-2.0-only
/*
 * replay DIRECTORY…: runs the fuzzer's target over every file of a corpus, for machines and days
 * without a fuzzer. Fails where there is nothing to run; the target crashes where it fails.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

static char running[4096];

/* The last word of a target that traps or that a sanitizer stops. */
void __asan_on_error(void);
void __asan_on_error(void)
{
	fprintf(stderr, "replay: in %s\n", running);
}

static int replay_file(const char *path)
{
	size_t size, room = 1 << 20;
	FILE *file = fopen(path, "rb");
	__u8 *data, *exact;

	if (!file) {
		fprintf(stderr, "replay: %s: %m\n", path);
		return -1;
	}
	data = malloc(room);
	if (!data)
		abort();
	size = fread(data, 1, room, file);
	fclose(file);
	exact = malloc(size ?: 1);
	if (!exact)
		abort();
	memcpy(exact, data, size);
	free(data);
	snprintf(running, sizeof(running), "%s", path);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

/* Returns how many files there were, or a negative number. */
static int replay_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int files = 0;

	if (!directory) {
		fprintf(stderr, "replay: %s: %m\n", path);
		return -1;
	}
	while (files >= 0 && (entry = readdir(directory))) {
		char name[4096];

		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >=
			    (int)sizeof(name) ||
		    replay_file(name))
			files = -1;
		else
			files++;
	}
	closedir(directory);
	return files;
}

int main(int argc, char **argv)
{
	int files = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: replay DIRECTORY...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		int n = replay_directory(argv[i]);

		if (n < 0)
			return 1;
		files += n;
	}
	if (!files)
		fprintf(stderr, "replay: nothing to run\n");
	printf("%d passed, %d failed\n", files, !files);
	return files ? 0 : 1;
}
