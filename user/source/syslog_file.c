// SPDX-License-Identifier: GPL-2.0-only
#include "source/syslog_lines.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

enum {
	READ_BYTES = 64 << 10,
	LINES_MAX = 4096, /* of a drain */
};

struct kl_syslog_file {
	int fd; /* < 0: it is not there (yet, or any more) */
	dev_t device;
	ino_t inode;
	off_t at;
	struct kl_syslog_splitter split;
	char bytes[READ_BYTES];
	char path[];
};

/* From its beginning. */
static int open_file(struct kl_syslog_file *f)
{
	struct stat st;
	int fd = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		close(fd);
		return -EIO;
	}
	if (S_ISDIR(st.st_mode)) {
		close(fd);
		return -EISDIR;
	}
	f->fd = fd;
	f->device = st.st_dev;
	f->inode = st.st_ino;
	f->at = 0;
	return 0;
}

/* To its end; the rest of a line that was begun before is none. */
static int seek_end(struct kl_syslog_file *f)
{
	char last;

	f->at = lseek(f->fd, 0, SEEK_END);
	if (f->at < 0)
		return -errno;
	f->split.skipping = f->at > 0 && pread(f->fd, &last, 1, f->at - 1) == 1 && last != '\n';
	return 0;
}

int kl_syslog_file_open(const char *path, bool follow, struct kl_syslog_file **ret,
			struct kl_error *err)
{
	struct kl_syslog_file *f = calloc(1, sizeof(*f) + strlen(path) + 1);
	int r;

	if (!f)
		return -ENOMEM;
	memcpy(f->path, path, strlen(path) + 1);
	f->fd = -1;
	f->split.from = f->path;
	f->split.host = "";
	r = open_file(f);
	if (!r && follow)
		r = seek_end(f);
	if (r && !(follow && r == -ENOENT)) {
		kl_syslog_file_close(f);
		return kl_fail(err, r, "--syslog-file %s: %s", path, strerror(-r));
	}
	*ret = f;
	return 0;
}

void kl_syslog_file_close(struct kl_syslog_file *f)
{
	if (!f)
		return;
	kl_closep(&f->fd);
	free(f);
}

const char *kl_syslog_file_path(const struct kl_syslog_file *f)
{
	return f->path;
}

/* 1: something was read; 0: that is the end; negative: errno. */
static int read_on(struct kl_syslog_file *f, struct kl_syslog_lines *l)
{
	ssize_t n = read(f->fd, f->bytes, sizeof(f->bytes));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	f->at += n;
	kl_syslog_split(l, &f->split, f->bytes, (size_t)n);
	return n > 0;
}

/*
 * At the end of what is open: was it rotated, or cut? True: there is something to read again.
 * (A file that is cut and grows beyond its old size between two looks cannot be told from one that
 * only grew.)
 */
static bool renew(struct kl_syslog_file *f, struct kl_syslog_lines *l)
{
	struct stat st;

	if (f->fd < 0)
		return open_file(f) == 0;
	if (stat(f->path, &st))
		return false; /* in the middle of a rotation: who writes may still have the old one */
	if (st.st_dev != f->device || st.st_ino != f->inode) {
		/* Something may have come since we were at its end. */
		while (read_on(f, l) > 0) {
		}
		kl_syslog_split_end(l, &f->split);
		kl_closep(&f->fd);
		f->fd = -1;
		return open_file(f) == 0;
	}
	if (st.st_size < f->at) {
		kl_syslog_split_end(l, &f->split);
		f->at = lseek(f->fd, 0, SEEK_SET);
		return true;
	}
	return false;
}

int kl_syslog_file_drain(struct kl_syslog_file *f, struct kl_syslog_lines *l)
{
	unsigned before = l->taken;

	/* The second time, what a rotation left behind; however often it is rotated. */
	for (int i = 0; i < 2; i++) {
		int r = 0;

		while (f->fd >= 0 && l->taken - before < LINES_MAX && (r = read_on(f, l)) > 0) {
		}
		if (r < 0)
			return r;
		if (l->taken - before >= LINES_MAX)
			return 1;
		if (!renew(f, l))
			return 0;
	}
	return 0;
}

int kl_syslog_file_read(struct kl_syslog_file *f, struct kl_syslog_lines *l, struct kl_error *err)
{
	int r;

	do
		r = read_on(f, l);
	while (r > 0);
	kl_syslog_split_end(l, &f->split);
	return r ? kl_fail(err, r, "--syslog-file %s: %s", f->path, strerror(-r)) : 0;
}
