// SPDX-License-Identifier: GPL-2.0-only
#include "cli/stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "source/privilege.h"
#include "util/cleanup.h"

enum {
	PATIENCE = 2, /* signals that are waited for */
};

struct kl_stop {
	pthread_t thread;
	bool started;
	int fd;
	int hangup_fd; /* < 0: not taken */
	_Atomic bool ends;
};

static void asked_for(sigset_t *ret, bool hangup)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	if (hangup)
		sigaddset(ret, SIGHUP);
}

static void end_at_once(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	asked_for(&set, false);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
}

static void *wait_for_signals(void *arg)
{
	const struct kl_stop *s = arg;
	const uint64_t one = 1;
	sigset_t set;
	int count = 0;

	/* Where that fails, the thread that does the work finds out, too, and ends all of it. */
	kl_keep_capabilities(0, NULL);
	asked_for(&set, s->hangup_fd >= 0);
	for (;;) {
		int number, fd;

		if (sigwait(&set, &number) || s->ends)
			return NULL;
		fd = number == SIGHUP ? s->hangup_fd : s->fd;
		if (number != SIGHUP && ++count > PATIENCE)
			end_at_once(number);
		/* (Of SIGHUPs that nobody takes one is as good as many.) */
		if (write(fd, &one, sizeof(one)) != sizeof(one) && number != SIGHUP)
			end_at_once(number);
	}
}

int kl_stop_open(bool hangup, struct kl_stop **ret)
{
	struct kl_stop *s = calloc(1, sizeof(*s));
	sigset_t set;
	int r;

	if (!s)
		return -ENOMEM;
	asked_for(&set, hangup);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	s->hangup_fd = hangup ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	r = s->fd < 0 || (hangup && s->hangup_fd < 0) ? errno
						      : pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (!r)
		r = pthread_create(&s->thread, NULL, wait_for_signals, s);
	if (r) {
		kl_stop_close(s);
		return -r;
	}
	s->started = true;
	*ret = s;
	return 0;
}

void kl_stop_close(struct kl_stop *s)
{
	if (!s)
		return;
	if (s->started) {
		/* (It is one of those that the thread waits for.) */
		s->ends = true;
		pthread_kill(s->thread, SIGINT);
		pthread_join(s->thread, NULL);
	}
	kl_closep(&s->fd);
	kl_closep(&s->hangup_fd);
	free(s);
}

int kl_stop_fd(const struct kl_stop *s)
{
	return s->fd;
}

bool kl_stop_take(struct kl_stop *s)
{
	uint64_t one;

	return read(s->fd, &one, sizeof(one)) == sizeof(one);
}

int kl_stop_hangup_fd(const struct kl_stop *s)
{
	return s->hangup_fd;
}

bool kl_stop_take_hangup(struct kl_stop *s)
{
	uint64_t count;

	return s->hangup_fd >= 0 && read(s->hangup_fd, &count, sizeof(count)) == sizeof(count);
}
