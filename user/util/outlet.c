// SPDX-License-Identifier: GPL-2.0-only
#include "util/outlet.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "util/duration.h"

enum {
	BATCH_BYTES = 64 << 10, /* more than this does not wait for a flush */
	WRITE_BYTES = 64 << 10, /* at a time */
};

struct record {
	STAILQ_ENTRY(record) next;
	size_t len;
	char bytes[];
};

STAILQ_HEAD(records, record);

struct kl_outlet {
	int fd;
	size_t max_bytes;
	pthread_t thread;
	bool started;
	struct record *writing; /* the thread's own */

	/* The writing side's own. */
	FILE *file;
	char *text; /* the record that is being printed */
	size_t len, room;

	/* Under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t wake;	/* the thread: there is something to write */
	pthread_cond_t written; /* the writing side: some of it is written */
	struct records queue;
	size_t bytes;	/* of the queue and of what is being written */
	size_t records; /* the same */
	bool go;
	int error; /* the first one; nothing is written any more */
	bool dropping;
	struct kl_outlet_gap gap;
	uint64_t dropped;
};

/* ---- The thread ---- */

static int write_all(int fd, const char *from, size_t len)
{
	while (len) {
		ssize_t n = write(fd, from, len < WRITE_BYTES ? len : WRITE_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

static void unlock(void *lock)
{
	pthread_mutex_unlock(lock);
}

static struct record *take(struct kl_outlet *o)
{
	pthread_mutex_lock(&o->lock);
	pthread_cleanup_push(unlock, &o->lock);
	while (STAILQ_EMPTY(&o->queue) || !o->go) {
		o->go = false;
		pthread_cond_wait(&o->wake, &o->lock);
	}
	o->writing = STAILQ_FIRST(&o->queue);
	STAILQ_REMOVE_HEAD(&o->queue, next);
	if (STAILQ_EMPTY(&o->queue))
		o->go = false;
	pthread_cleanup_pop(1);
	return o->writing;
}

static size_t cost(const struct record *r)
{
	return sizeof(*r) + r->len;
}

/* error: what writing it came to; 0: it is written. */
static void settle(struct kl_outlet *o, const struct record *r, int error)
{
	pthread_mutex_lock(&o->lock);
	o->bytes -= cost(r);
	o->records--;
	if (!o->error)
		o->error = error;
	pthread_cond_signal(&o->written);
	pthread_mutex_unlock(&o->lock);
}

static void *write_records(void *arg)
{
	struct kl_outlet *o = arg;

	for (;;) {
		struct record *r = take(o);

		settle(o, r, kl_outlet_error(o) ?: write_all(o->fd, r->bytes, r->len));
		o->writing = NULL;
		free(r);
	}
	return NULL;
}

/* ---- Printing a record ---- */

static ssize_t print(void *cookie, const char *from, size_t len)
{
	struct kl_outlet *o = cookie;

	if (o->room - o->len < len) {
		size_t room = o->len + len + o->room;
		char *text = realloc(o->text, room);

		if (!text)
			return 0;
		o->text = text;
		o->room = room;
	}
	memcpy(o->text + o->len, from, len);
	o->len += len;
	return (ssize_t)len;
}

FILE *kl_outlet_file(const struct kl_outlet *o)
{
	return o->file;
}

/* ---- The queue ---- */

static void drop(struct kl_outlet *o)
{
	uint64_t now_ns = kl_realtime_ns();

	if (!o->dropping)
		o->gap = (struct kl_outlet_gap){ .from_ns = now_ns };
	o->dropping = true;
	o->gap.records++;
	o->gap.to_ns = now_ns;
	__atomic_add_fetch(&o->dropped, 1, __ATOMIC_RELAXED);
}

static int commit(struct kl_outlet *o, bool always)
{
	struct record *r;
	int error;

	if (fflush(o->file))
		return -ENOMEM;
	if (!o->len)
		return kl_outlet_error(o);
	r = malloc(sizeof(*r) + o->len);
	if (!r)
		return -ENOMEM;
	r->len = o->len;
	memcpy(r->bytes, o->text, o->len);
	o->len = 0;

	pthread_mutex_lock(&o->lock);
	/* However long a record is: alone, it may go. */
	if (!always && (o->dropping || (o->bytes && o->bytes + cost(r) > o->max_bytes))) {
		drop(o);
		free(r);
	} else {
		o->dropping = false;
		STAILQ_INSERT_TAIL(&o->queue, r, next);
		o->bytes += cost(r);
		o->records++;
	}
	if (!o->go && (o->bytes > BATCH_BYTES || o->bytes > o->max_bytes / 2)) {
		o->go = true;
		pthread_cond_signal(&o->wake);
	}
	error = o->error;
	pthread_mutex_unlock(&o->lock);
	return error;
}

int kl_outlet_commit(struct kl_outlet *o)
{
	return commit(o, false);
}

int kl_outlet_commit_always(struct kl_outlet *o)
{
	return commit(o, true);
}

bool kl_outlet_gap(struct kl_outlet *o, struct kl_outlet_gap *ret)
{
	bool dropping;

	pthread_mutex_lock(&o->lock);
	dropping = o->dropping;
	*ret = o->gap;
	pthread_mutex_unlock(&o->lock);
	return dropping;
}

bool kl_outlet_gap_over(struct kl_outlet *o, struct kl_outlet_gap *ret)
{
	bool over;

	pthread_mutex_lock(&o->lock);
	over = o->dropping && o->bytes <= o->max_bytes / 2;
	*ret = o->gap;
	pthread_mutex_unlock(&o->lock);
	return over;
}

int kl_outlet_flush(struct kl_outlet *o)
{
	int error;

	pthread_mutex_lock(&o->lock);
	o->go = !STAILQ_EMPTY(&o->queue);
	if (o->go)
		pthread_cond_signal(&o->wake);
	error = o->error;
	pthread_mutex_unlock(&o->lock);
	return error;
}

size_t kl_outlet_wait(struct kl_outlet *o, unsigned wait_ms)
{
	struct timespec until;
	size_t left;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	kl_outlet_flush(o);
	pthread_mutex_lock(&o->lock);
	while (o->records && !o->error &&
	       pthread_cond_timedwait(&o->written, &o->lock, &until) != ETIMEDOUT)
		;
	left = o->records;
	pthread_mutex_unlock(&o->lock);
	return left;
}

int kl_outlet_error(struct kl_outlet *o)
{
	int error;

	pthread_mutex_lock(&o->lock);
	error = o->error;
	pthread_mutex_unlock(&o->lock);
	return error;
}

uint64_t kl_outlet_dropped(struct kl_outlet *o)
{
	return __atomic_load_n(&o->dropped, __ATOMIC_RELAXED);
}

/* ---- From start to end ---- */

static int start(struct kl_outlet *o)
{
	const cookie_io_functions_t functions = { .write = print };
	void *frame;
	int r;

	/* Loads what pthread_cancel() takes, which aborts where there is no memory for that by then. */
	if (backtrace(&frame, 1) < 1)
		return -ENOMEM;
	o->file = fopencookie(o, "w", functions);
	if (!o->file)
		return -ENOMEM;
	r = pthread_create(&o->thread, NULL, write_records, o);
	o->started = !r;
	return -r;
}

int kl_outlet_open(int fd, size_t max_bytes, struct kl_outlet **ret)
{
	struct kl_outlet *o = calloc(1, sizeof(*o));
	pthread_condattr_t clock;
	int r;

	if (!o)
		return -ENOMEM;
	o->fd = fd;
	o->max_bytes = max_bytes;
	STAILQ_INIT(&o->queue);
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&o->wake, NULL);
	pthread_cond_init(&o->written, &clock);
	pthread_condattr_destroy(&clock);
	r = start(o);
	if (r)
		kl_outlet_close(o);
	else
		*ret = o;
	return r;
}

void kl_outlet_close(struct kl_outlet *o)
{
	if (!o)
		return;
	if (o->started) {
		/* It may wait for a reader that never reads. */
		pthread_cancel(o->thread);
		pthread_join(o->thread, NULL);
	}
	free(o->writing);
	while (!STAILQ_EMPTY(&o->queue)) {
		struct record *r = STAILQ_FIRST(&o->queue);

		STAILQ_REMOVE_HEAD(&o->queue, next);
		free(r);
	}
	if (o->file)
		fclose(o->file);
	pthread_cond_destroy(&o->wake);
	pthread_cond_destroy(&o->written);
	pthread_mutex_destroy(&o->lock);
	free(o->text);
	free(o);
}
