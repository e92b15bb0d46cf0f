// SPDX-License-Identifier: GPL-2.0-only
#include "cli/stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/cleanup.h"

enum {
	PATIENCE = 2, /* signals that are waited for */
};

struct kl_stop {
	pthread_t thread;
	bool started;
	int fd;
};

static void asked_for(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
}

static void end_at_once(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	asked_for(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
}

static void *wait_for_signals(void *arg)
{
	const struct kl_stop *s = arg;
	const uint64_t one = 1;
	sigset_t set;

	asked_for(&set);
	for (int count = 1;; count++) {
		int number;

		if (sigwait(&set, &number))
			return NULL;
		if (count > PATIENCE)
			end_at_once(number);
		if (write(s->fd, &one, sizeof(one)) != sizeof(one))
			end_at_once(number);
	}
}

int kl_stop_open(struct kl_stop **ret)
{
	struct kl_stop *s = calloc(1, sizeof(*s));
	sigset_t set;
	int r;

	if (!s)
		return -ENOMEM;
	asked_for(&set);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	r = s->fd < 0 ? errno : pthread_sigmask(SIG_BLOCK, &set, NULL);
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
		pthread_cancel(s->thread);
		pthread_join(s->thread, NULL);
	}
	kl_closep(&s->fd);
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
