// SPDX-License-Identifier: GPL-2.0-only
#include "source/spool_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "util/cleanup.h"

enum {
	NAME_SIZE = 32,
};

static void name_of(uint64_t number, char ret[NAME_SIZE])
{
	snprintf(ret, NAME_SIZE, "%016" PRIx64 ".spool", number);
}

int kl_spool_lock(const char *directory, int *ret_dir, struct kl_error *err)
{
	_cleanup_close_ int dir = -1;

	if (mkdir(directory, 0700) && errno != EEXIST)
		return kl_fail(err, -errno, "%s: %s", directory, strerror(errno));
	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return kl_fail(err, -errno, "%s: %s", directory, strerror(errno));
	if (flock(dir, LOCK_EX | LOCK_NB))
		return kl_fail(err, -errno, "%s: %s", directory,
			       errno == EWOULDBLOCK ? "another agent spools there"
						    : strerror(errno));
	if (faccessat(dir, ".", W_OK | X_OK, AT_EACCESS))
		return kl_fail(err, -errno, "%s: %s", directory, strerror(errno));
	*ret_dir = kl_take_fd(&dir);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int kl_spool_list(int dir, uint64_t **ret_numbers, size_t *ret_count)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	size_t count = 0, room = 0;
	struct dirent *entry;
	int r = 0;

	*ret_numbers = NULL;
	if (!d) {
		kl_closep(&copy);
		return -errno;
	}
	while (!r && (entry = readdir(d))) {
		char name[NAME_SIZE];
		uint64_t number = strtoull(entry->d_name, NULL, 16);

		name_of(number, name);
		if (strcmp(name, entry->d_name) != 0)
			continue; /* somebody else's */
		if (count == room) {
			uint64_t *grown;

			room = room ? 2 * room : 64;
			grown = realloc(*ret_numbers, room * sizeof(*grown));
			if (!grown) {
				r = -ENOMEM;
				break;
			}
			*ret_numbers = grown;
		}
		(*ret_numbers)[count++] = number;
	}
	closedir(d);
	if (count)
		qsort(*ret_numbers, count, sizeof(**ret_numbers), compare);
	*ret_count = count;
	return r;
}

int kl_spool_create(int dir, uint64_t number, int *ret_fd)
{
	char name[NAME_SIZE];

	name_of(number, name);
	*ret_fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? -errno : 0;
}

static uint32_t checksum(const struct kl_spool_header *h, const uint8_t *data)
{
	const size_t skip = offsetof(struct kl_spool_header, boot);
	uLong crc = crc32(0, (const Bytef *)h + skip, (uInt)(sizeof(*h) - skip));

	return (uint32_t)crc32(crc, data, h->len);
}

int kl_spool_append(int fd, const struct kl_spool_entry *entry, uint64_t *size)
{
	struct kl_spool_header h = {
		.magic = KL_SPOOL_MAGIC,
		.boot = entry->boot,
		.number = entry->number,
		.partition = entry->partition,
		.sightings = entry->sightings,
		.len = entry->len,
	};
	struct iovec parts[] = { { &h, sizeof(h) }, { entry->data, entry->len } };
	ssize_t written;

	h.crc = checksum(&h, entry->data);
	written = writev(fd, parts, 2);
	if (written == (ssize_t)(sizeof(h) + entry->len)) {
		*size += (uint64_t)written;
		return 0;
	}
	written = written < 0 ? -errno : -ENOSPC;
	/* What cannot be cut off again is a torn end, behind which nothing may be written. */
	if (ftruncate(fd, (off_t)*size))
		return -EIO;
	return (int)written;
}

void kl_spool_remove(int dir, uint64_t number)
{
	char name[NAME_SIZE];

	name_of(number, name);
	unlinkat(dir, name, 0);
}

uint64_t kl_spool_size(int dir, uint64_t number)
{
	char name[NAME_SIZE];
	struct stat st;

	name_of(number, name);
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) ? 0 : (uint64_t)st.st_size;
}

/* Returns 1 for a record, 0 where there is no whole one. */
static int read_record(FILE *file, struct kl_spool_entry *ret)
{
	struct kl_spool_header h;

	if (fread(&h, sizeof(h), 1, file) != 1 || h.magic != KL_SPOOL_MAGIC ||
	    h.len > KL_SPOOL_LEN_MAX)
		return 0;
	*ret = (struct kl_spool_entry){ h.boot, h.number, h.partition, h.sightings, h.len, NULL };
	ret->data = malloc(h.len ? h.len : 1);
	if (!ret->data)
		return -ENOMEM;
	if (fread(ret->data, 1, h.len, file) == h.len && checksum(&h, ret->data) == h.crc)
		return 1;
	free(ret->data);
	return 0;
}

int kl_spool_read(int dir, uint64_t number, kl_spool_taker take, void *arg, uint64_t *ret_damaged)
{
	uint64_t size = kl_spool_size(dir, number), read = 0;
	_cleanup_fclose_ FILE *file = NULL;
	char name[NAME_SIZE];
	int fd, r;

	name_of(number, name);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	for (;;) {
		struct kl_spool_entry entry;

		r = read_record(file, &entry);
		if (r <= 0)
			break;
		read += sizeof(struct kl_spool_header) + entry.len;
		r = take(&entry, arg);
		if (r)
			break;
	}
	*ret_damaged = !r && size > read ? size - read : 0;
	return r;
}
