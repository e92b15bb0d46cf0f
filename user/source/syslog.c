// SPDX-License-Identifier: GPL-2.0-only
#include "source/syslog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "source/syslog_lines.h"
#include "util/cleanup.h"

/* Files tell nobody that they grew; they are looked at this often. */
#define LOOK_EVERY_NS 250000000L

enum {
	FILES_MAX = 64
};

struct files {
	size_t count;
	struct kl_syslog_file *file[FILES_MAX];
};

struct kl_syslog {
	int epoll_fd;
	int timer_fd;	 /* < 0: no file was followed yet */
	bool files_left; /* the last drain did not come to their ends */
	struct kl_syslog_sockets *sockets;
	struct files files;
	struct kl_syslog_lines lines;
};

static bool is_in(const struct files *files, const struct kl_syslog_file *file)
{
	for (size_t i = 0; i < files->count; i++) {
		if (files->file[i] == file)
			return true;
	}
	return false;
}

static struct kl_syslog_file *find(const struct files *files, const char *path)
{
	for (size_t i = 0; i < files->count; i++) {
		if (!strcmp(kl_syslog_file_path(files->file[i]), path))
			return files->file[i];
	}
	return NULL;
}

/* Closes those that are not in the others, too. */
static void close_files(const struct files *files, const struct files *but)
{
	for (size_t i = 0; i < files->count; i++) {
		if (!is_in(but, files->file[i]))
			kl_syslog_file_close(files->file[i]);
	}
}

/* Those of the list; what is open is taken over. */
static int open_files(const struct files *open, const char *list, bool follow, struct files *ret,
		      struct kl_error *err)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *path;

	if (!copy)
		return -ENOMEM;
	while ((path = strsep(&rest, ","))) {
		struct kl_syslog_file **file = &ret->file[ret->count];
		int r;

		if (!*path)
			continue;
		if (ret->count == FILES_MAX)
			return kl_fail(err, -E2BIG, "--syslog-file: more than %d files", FILES_MAX);
		/* (Named twice, it is read twice.) */
		*file = find(open, path);
		if (*file && is_in(ret, *file))
			*file = NULL;
		if (!*file && (r = kl_syslog_file_open(path, follow, file, err)))
			return r;
		ret->count++;
	}
	return ret->count ? 0 : kl_fail(err, -EINVAL, "--syslog-file: no file is named");
}

static int start_looking(struct kl_syslog *s, struct kl_error *err)
{
	const struct itimerspec often = { .it_interval.tv_nsec = LOOK_EVERY_NS,
					  .it_value.tv_nsec = LOOK_EVERY_NS };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->timer_fd < 0 || timerfd_settime(s->timer_fd, 0, &often, NULL) ||
	    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->timer_fd, &event))
		return kl_fail(err, -errno, "--syslog-file: timer: %m");
	return 0;
}

int kl_syslog_open(const struct kl_syslog_config *config, struct kl_syslog **ret,
		   struct kl_error *err)
{
	struct kl_syslog *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->timer_fd = -1;
	s->lines.near_ns = config->near_ns;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		r = kl_fail(err, -errno, "--syslog: epoll: %m");
	if (!r && config->address)
		r = kl_syslog_sockets_open(config->address, s->epoll_fd, &s->sockets, err);
	if (!r && config->files)
		r = open_files(&(struct files){}, config->files, config->follow, &s->files, err);
	if (!r && config->files && config->follow)
		r = start_looking(s, err);
	if (r) {
		kl_syslog_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void kl_syslog_close(struct kl_syslog *s)
{
	if (!s)
		return;
	kl_syslog_sockets_close(s->sockets);
	close_files(&s->files, &(struct files){});
	kl_closep(&s->timer_fd);
	kl_closep(&s->epoll_fd);
	free(s);
}

int kl_syslog_set_files(struct kl_syslog *s, const char *list, struct kl_error *err)
{
	struct files files = {};
	int r = list ? open_files(&s->files, list, true, &files, err) : 0;

	if (!r && list && s->timer_fd < 0)
		r = start_looking(s, err);
	if (r) {
		close_files(&files, &s->files);
		return r;
	}
	close_files(&s->files, &files);
	s->files = files;
	return 0;
}

int kl_syslog_fd(const struct kl_syslog *s)
{
	return s->epoll_fd;
}

int kl_syslog_drain(struct kl_syslog *s, const struct kl_syslog_handlers *handlers)
{
	uint64_t ticks;
	int more = 0;

	kl_syslog_lines_begin(&s->lines, handlers, false);
	if (s->sockets)
		more = kl_syslog_sockets_drain(s->sockets, &s->lines);
	if (s->timer_fd < 0)
		return more;
	if (read(s->timer_fd, &ticks, sizeof(ticks)) != sizeof(ticks) && !s->files_left)
		return more;
	s->files_left = false;
	for (size_t i = 0; i < s->files.count; i++) {
		int r = kl_syslog_file_drain(s->files.file[i], &s->lines);

		s->files_left |= r > 0;
		if (r < 0 && !s->lines.stats.complaint[0])
			snprintf(s->lines.stats.complaint, sizeof(s->lines.stats.complaint),
				 "--syslog-file: %s", strerror(-r));
	}
	return more | s->files_left;
}

int kl_syslog_read(struct kl_syslog *s, const struct kl_syslog_handlers *handlers,
		   struct kl_error *err)
{
	kl_syslog_lines_begin(&s->lines, handlers, true);
	for (size_t i = 0; i < s->files.count; i++) {
		int r = kl_syslog_file_read(s->files.file[i], &s->lines, err);

		if (r)
			return r;
	}
	return 0;
}

void kl_syslog_stats(const struct kl_syslog *s, struct kl_input_stats *ret)
{
	*ret = s->lines.stats;
	ret->lost = s->sockets ? kl_syslog_sockets_lost(s->sockets) : 0;
}
