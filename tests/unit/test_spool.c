// SPDX-License-Identifier: GPL-2.0-only
/* spool.h: what goes in comes out, in order, once; over restarts, damage and a bound. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/spool.h"

enum {
	PARTITIONS = 4,
	LEN = 1000,
};

#define S 1000000000ULL

static char directory[64];
static struct kl_spool *spool;
static struct kl_error err;

static void open_spool(const char *where, uint64_t max_bytes)
{
	struct kl_spool_config config = { where, max_bytes, PARTITIONS };

	cr_assert_eq(kl_spool_open(&config, &spool, &err), 0, "%s", err.text);
}

static void close_spool(void)
{
	cr_assert_eq(kl_spool_close(spool, &err), 0, "%s", err.text);
	spool = NULL;
}

/* Calls for each file there is. Returns how many. */
static int each_file(void (*handle)(const char *path))
{
	DIR *d = opendir(directory);
	struct dirent *entry;
	char path[512];
	int count = 0;

	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		count++;
		if (handle)
			handle(path);
	}
	closedir(d);
	return count;
}

static void remove_file(const char *path)
{
	unlink(path);
}

static void setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/kaloss-spool.XXXXXX");
	cr_assert(mkdtemp(directory));
}

static void teardown(void)
{
	kl_spool_close(spool, NULL);
	each_file(remove_file);
	rmdir(directory);
}

TestSuite(spool, .init = setup, .fini = teardown);

/* Its bytes follow from its numbers. */
static int put(uint32_t partition, uint64_t number, uint64_t now_ns)
{
	uint8_t data[LEN];
	struct kl_spool_entry e = { 7, number, partition, 3, LEN, data };

	memset(data, (int)(number + partition), sizeof(data));
	return kl_spool_put(spool, &e, now_ns, &err);
}

static void put_many(uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n <= to; n++)
		cr_assert_eq(put((uint32_t)n % PARTITIONS, n, 10 * S), 0, "%s", err.text);
}

/* Takes all there is, as a sender would. Returns the number of the last; *ret_count: how many. */
static uint64_t take_all(uint64_t *ret_first, uint64_t *ret_count)
{
	uint64_t last[PARTITIONS] = { 0 }, newest = 0;
	const struct kl_spool_entry *e;

	*ret_count = 0;
	*ret_first = 0;
	while ((e = kl_spool_next(spool))) {
		cr_assert_eq(e->boot, 7);
		cr_assert_eq(e->sightings, 3);
		cr_assert_eq(e->len, LEN);
		cr_assert_eq(e->data[0], (uint8_t)(e->number + e->partition));
		cr_assert_eq(e->data[LEN - 1], (uint8_t)(e->number + e->partition));
		cr_assert_gt(e->number, last[e->partition], "in order");
		last[e->partition] = e->number;
		*ret_first = *ret_first ? *ret_first : e->number;
		newest = e->number > newest ? e->number : newest;
		(*ret_count)++;
		kl_spool_sent(spool, e);
		kl_spool_done(spool, 7, e->partition, e->number);
	}
	return newest;
}

static void expect_all(uint64_t from, uint64_t to)
{
	uint64_t first, count, last = take_all(&first, &count);

	cr_expect_eq(count, to - from + 1, "%lu of %lu", (unsigned long)count,
		     (unsigned long)(to - from + 1));
	cr_expect_eq(first, from);
	cr_expect_eq(last, to);
}

Test(spool, in_memory)
{
	open_spool(NULL, 1 << 20);
	put_many(1, 100);
	expect_all(1, 100);
	cr_expect_null(kl_spool_next(spool));
}

/* One of a partition at a time: else the next may arrive without it. */
Test(spool, one_of_a_partition_under_way)
{
	const struct kl_spool_entry *e;

	open_spool(NULL, 1 << 20);
	put_many(1, 8);
	for (uint64_t n = 1; n <= PARTITIONS; n++) {
		e = kl_spool_next(spool);
		cr_assert_eq(e->number, n);
		kl_spool_sent(spool, e);
	}
	cr_expect_null(kl_spool_next(spool));
	kl_spool_failed(spool, 7, 2, 2);
	cr_expect_eq(kl_spool_next(spool)->number, 2, "again");
	kl_spool_done(spool, 7, 1, 1);
	kl_spool_sent(spool, kl_spool_next(spool));
	cr_expect_eq(kl_spool_next(spool)->number, 5);
	/* What was never sent is not done. */
	kl_spool_done(spool, 7, 3, 7);
	kl_spool_done(spool, 8, 3, 3);
	cr_expect_eq(kl_spool_next(spool)->number, 5);
}

/* What goes out at once touches no disk. */
Test(spool, no_file_where_nothing_waits)
{
	open_spool(directory, 1 << 20);
	put_many(1, 8);
	cr_assert_eq(kl_spool_keep(spool, 11 * S, &err), 0);
	cr_expect_eq(each_file(NULL), 0);
	cr_assert_eq(kl_spool_keep(spool, 13 * S, &err), 0);
	cr_expect_eq(each_file(NULL), 1);
	expect_all(1, 8);
	cr_expect_eq(each_file(NULL), 0);
}

Test(spool, more_than_memory_holds)
{
	struct kl_spool_status status;

	open_spool(directory, 100 << 20);
	put_many(1, 5000);
	cr_expect_geq(each_file(NULL), 4);
	kl_spool_status(spool, &status);
	cr_expect_geq(status.bytes, 5000 * LEN);
	expect_all(1, 5000);
	cr_expect_eq(each_file(NULL), 0);
	kl_spool_status(spool, &status);
	cr_expect_eq(status.bytes, 0);
	cr_expect_eq(status.waiting, 0);
	/* And on in memory. */
	put_many(5001, 5004);
	expect_all(5001, 5004);
}

Test(spool, over_a_restart)
{
	open_spool(directory, 100 << 20);
	put_many(1, 3000);
	close_spool();
	open_spool(directory, 100 << 20);
	put_many(3001, 3010);
	expect_all(1, 3010);
	put_many(3011, 3020);
	close_spool();
	cr_expect_eq(each_file(NULL), 1);
	open_spool(directory, 100 << 20);
	expect_all(3011, 3020);
	close_spool();
	cr_expect_eq(each_file(NULL), 0);
}

/* The process was killed: what was in files is there, and what was in memory is not. */
Test(spool, over_a_kill)
{
	uint64_t first, count;

	open_spool(directory, 100 << 20);
	put_many(1, 8);
	cr_assert_eq(kl_spool_keep(spool, 14 * S, &err), 0);
	put_many(9, 12);
	if (!fork())
		_exit(0);
	/* (Its lock is our own: the files are looked at as another one would find them.) */
	kl_spool_done(spool, 7, 1, 1);
	{
		char copy[64] = "/tmp/kaloss-spool.XXXXXX", command[256];

		cr_assert(mkdtemp(copy));
		snprintf(command, sizeof(command), "cp %s/* %s", directory, copy);
		cr_assert_eq(system(command), 0);
		kl_spool_close(spool, NULL);
		each_file(remove_file);
		rmdir(directory);
		memcpy(directory, copy, sizeof(copy));
	}
	open_spool(directory, 100 << 20);
	cr_expect_eq(take_all(&first, &count), 12);
	cr_expect_eq(count, 12);
}

static void cut(const char *path)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(truncate(path, st.st_size - 10), 0);
}

static void spoil(const char *path)
{
	int fd = open(path, O_RDWR);

	cr_assert_geq(fd, 0);
	cr_assert_eq(pwrite(fd, "xxxxxxxx", 8, 3 * (LEN + 40) + 500), 8);
	close(fd);
}

Test(spool, a_torn_end)
{
	struct kl_spool_status status;

	open_spool(directory, 100 << 20);
	put_many(1, 8);
	close_spool();
	cr_assert_eq(each_file(cut), 1);
	open_spool(directory, 100 << 20);
	kl_spool_status(spool, &status);
	cr_expect_eq(status.damaged, LEN + 40 - 10);
	put_many(9, 9);
	{
		uint64_t first, count;

		cr_expect_eq(take_all(&first, &count), 9);
		cr_expect_eq(count, 8);
		cr_expect_eq(first, 1);
	}
	cr_expect_eq(each_file(NULL), 0);
}

/* Cut anywhere: what is whole is read, and nothing else is. */
Test(spool, torn_anywhere)
{
	for (off_t len = 0; len < 2 * (LEN + 40); len += 31) {
		uint64_t first, count;
		char path[512];

		open_spool(directory, 100 << 20);
		put_many(1, 2);
		close_spool();
		snprintf(path, sizeof(path), "%s/%016x.spool", directory, 0);
		cr_assert_eq(truncate(path, len), 0);
		open_spool(directory, 100 << 20);
		take_all(&first, &count);
		cr_expect_eq(count, (uint64_t)len / (LEN + 40));
		close_spool();
		cr_assert_eq(each_file(NULL), 0);
	}
}

Test(spool, a_spoilt_record)
{
	uint64_t first, count;

	open_spool(directory, 100 << 20);
	put_many(1, 8);
	close_spool();
	cr_assert_eq(each_file(spoil), 1);
	open_spool(directory, 100 << 20);
	cr_expect_eq(take_all(&first, &count), 3);
	cr_expect_eq(count, 3);
}

static void write_nonsense(const char *name, size_t len)
{
	char path[512], nonsense[4096];
	FILE *file;

	memset(nonsense, 0x5a, sizeof(nonsense));
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	cr_assert(file);
	fwrite(nonsense, 1, len, file);
	fclose(file);
}

Test(spool, files_of_somebody_else)
{
	struct kl_spool_status status;

	write_nonsense("0000000000000000.spool", 3000);
	write_nonsense("0000000000000001.spool", 0);
	write_nonsense("notes.txt", 10);
	open_spool(directory, 100 << 20);
	put_many(1, 8);
	expect_all(1, 8);
	kl_spool_status(spool, &status);
	cr_expect_eq(status.damaged, 3000);
	cr_expect_eq(each_file(NULL), 1, "the notes");
}

static void expect_bounded(const char *where)
{
	const uint64_t bound = 400 * 1000;
	struct kl_spool_status status;
	uint64_t first, count;

	open_spool(where, bound);
	for (uint64_t n = 1; n <= 2000; n++) {
		int r = put((uint32_t)n % PARTITIONS, n, 10 * S);

		cr_assert(r == 0 || r == -ENOSPC);
		kl_spool_status(spool, &status);
		cr_assert_leq(status.bytes, bound);
	}
	cr_expect_eq(take_all(&first, &count), 2000, "the newest are there");
	cr_expect_eq(first, 2000 - count + 1, "and all behind the oldest");
	cr_expect_geq(count, 300);
	kl_spool_status(spool, &status);
	cr_expect_eq(status.dropped, 2000 - count);
	cr_expect_eq(status.dropped_sightings, 3 * (2000 - count));
}

Test(spool, bounded_in_memory)
{
	expect_bounded(NULL);
}

Test(spool, bounded_on_disk)
{
	expect_bounded(directory);
	cr_expect_eq(each_file(NULL), 0);
}

/* What is under way stays, so that its acknowledgement has something to be for. */
Test(spool, bounded_with_some_under_way)
{
	uint64_t first, count;

	open_spool(directory, 400 * 1000);
	put_many(1, PARTITIONS);
	for (int i = 0; i < PARTITIONS; i++)
		kl_spool_sent(spool, kl_spool_next(spool));
	cr_expect_null(kl_spool_next(spool));
	cr_assert_eq(kl_spool_keep(spool, 14 * S, &err), 0);
	for (uint64_t n = 5; n <= 1000; n++)
		put((uint32_t)n % PARTITIONS, n, 10 * S);
	cr_expect_null(kl_spool_next(spool));
	kl_spool_failed(spool, 7, 1, 1);
	for (uint32_t n = 2; n <= PARTITIONS; n++)
		kl_spool_done(spool, 7, n % PARTITIONS, n);
	cr_expect_eq(take_all(&first, &count), 1000);
	cr_expect_eq(first, 1);
	close_spool();
	cr_expect_eq(each_file(NULL), 0);
}

Test(spool, one_at_a_time)
{
	struct kl_spool_config config = { directory, 1 << 20, PARTITIONS };
	struct kl_spool *other;

	open_spool(directory, 1 << 20);
	cr_expect_eq(kl_spool_open(&config, &other, &err), -EWOULDBLOCK);
	cr_expect(strstr(err.text, "another agent"));
}

Test(spool, no_such_place)
{
	struct kl_spool_config config = { "/nonexistent/spool", 1 << 20, PARTITIONS };
	struct kl_spool *other;

	cr_expect_eq(kl_spool_open(&config, &other, &err), -ENOENT);
	cr_expect_str_eq(err.text, "/nonexistent/spool: No such file or directory");
}
