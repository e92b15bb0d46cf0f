// SPDX-License-Identifier: GPL-2.0-only
/* trace_file.h: traces from files, whole, packed, cut off, or none at all. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "source/trace_file.h"

#define LINE(second) "1 |12:00:" second ".000 |AppInfo  |StationInit: (0000114) KeepAlive\n"

static char directory[] = "/tmp/kaloss-trace-XXXXXX";
static char path[4][64];
static struct kl_trace_lines lines;
static struct kl_input_stats stats;
static struct kl_error error;

static void set_up(void)
{
	cr_assert(mkdtemp(directory));
	for (int i = 0; i < 4; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%d", directory, i);
}

static void tear_down(void)
{
	for (int i = 0; i < 4; i++)
		unlink(path[i]);
	rmdir(directory);
	kl_trace_lines_done(&lines);
}

static void put(int i, const void *data, size_t len)
{
	FILE *f = fopen(path[i], "w");

	cr_assert(f);
	fwrite(data, 1, len, f);
	fclose(f);
}

static void put_packed(int i, const char *text)
{
	gzFile f = gzopen(path[i], "w");

	cr_assert(f);
	gzwrite(f, text, (unsigned)strlen(text));
	gzclose(f);
}

static int read_list(const char *list)
{
	kl_trace_lines_done(&lines);
	stats = (struct kl_input_stats){};
	error.text[0] = '\0';
	return kl_trace_files_read(list, &lines, &stats, &error);
}

TestSuite(trace_file, .init = set_up, .fini = tear_down);

Test(trace_file, several_plain_and_packed)
{
	static const char last[] = LINE("59");
	char list[256];

	put(0, LINE("01") LINE("02"), strlen(LINE("01") LINE("02")));
	put_packed(1, LINE("03"));
	put(2, last, sizeof(last) - 2); /* without the last end of line */
	snprintf(list, sizeof(list), "%s,%s,%s", path[0], path[1], path[2]);
	cr_assert_eq(read_list(list), 0, "%s", error.text);
	cr_expect_eq(lines.line.count, 4);
	cr_expect_eq(lines.span.count, 3);
	cr_expect_eq(stats.received, 4);
	cr_expect_eq(stats.understood, 4);
	cr_expect_eq(stats.malformed, 0);
	cr_expect_eq(lines.line.item[3].time_ns - lines.line.item[0].time_ns, 58000 * KL_NS_PER_MS);
}

Test(trace_file, packed_and_not_finished_yet)
{
	static char text[200000];
	struct stat st;

	for (size_t n = 0; n + 100 < sizeof(text);)
		n += (size_t)snprintf(text + n, 100,
				      "1 |12:00:%02zu.%03zu |AppInfo  |StationInit: "
				      "(%07zu) KeepAlive\n",
				      n / 4000 % 60, n % 1000, n * 7919 % 9999991);
	put_packed(0, text);
	cr_assert_eq(stat(path[0], &st), 0);
	cr_assert_eq(read_list(path[0]), 0);
	cr_assert_gt(lines.line.count, 2000);
	cr_assert_eq(truncate(path[0], st.st_size / 2), 0);
	cr_expect_eq(read_list(path[0]), 0, "%s", error.text);
	cr_expect_gt(lines.line.count, 500);
	cr_expect_leq(stats.malformed, 1);
}

Test(trace_file, what_cannot_be_read_is_named)
{
	char list[256];

	put(0, LINE("01"), strlen(LINE("01")));
	snprintf(list, sizeof(list), "%s,%s/none", path[0], directory);
	cr_expect_eq(read_list(list), -ENOENT);
	cr_expect(strstr(error.text, "/none: No such file"), "%s", error.text);
	cr_expect_eq(read_list(directory), -EISDIR);
	cr_expect(strstr(error.text, directory), "%s", error.text);
	snprintf(list, sizeof(list), "%s,", path[0]);
	cr_expect_eq(read_list(list), -EINVAL);
	cr_expect_eq(read_list(""), -EINVAL);
	cr_expect(error.text[0]);
}

Test(trace_file, damaged_gzip_is_an_error)
{
	static const char data[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
				   "this is not what follows a header of gzip";

	put(0, data, sizeof(data));
	cr_expect_eq(read_list(path[0]), -EBADMSG, "%s", error.text);
	cr_expect(strstr(error.text, path[0]));
}

Test(trace_file, what_is_no_text_is_counted_and_named_once)
{
	static unsigned char data[100000];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (unsigned char)(x >> 24);
	}
	data[0] = 'x';
	put(0, data, sizeof(data));
	cr_assert_eq(read_list(path[0]), 0);
	cr_expect_eq(lines.line.count, 0);
	cr_expect_gt(stats.malformed, 100);
	cr_expect(strstr(stats.complaint, path[0]), "%s", stats.complaint);
	cr_expect(strstr(stats.complaint, "line 1: not text"), "%s", stats.complaint);
}

Test(trace_file, an_empty_file_is_no_error)
{
	put(0, "", 0);
	cr_expect_eq(read_list(path[0]), 0);
	cr_expect_eq(stats.received, 0);
	cr_expect_eq(lines.span.count, 0);
}
