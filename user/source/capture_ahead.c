// SPDX-License-Identifier: GPL-2.0-only
#include "source/capture_ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	AHEAD_BATCHES = 4,
	BATCH_SEGMENTS = 256,
	BATCH_BYTES = 64 * 1024, /* of frames; more only where a single segment has more */
};

struct batch {
	struct kl_batch out;
	struct kl_captured segment[BATCH_SEGMENTS];
	uint8_t *frames;
	size_t frame_room;
	struct kl_capture_range *ranges;
	struct kl_capture_drop *drops;
	size_t drop_room;
	bool is_last; /* and this is why, as from kl_capture_next() */
	int status;
	struct kl_error error;
};

struct kl_ahead {
	struct kl_capture *capture;
	const struct kl_captured *left; /* was read, and had no room in the batch */
	size_t *drops_told;		/* by file */
	bool *ended;			/* by file */
	struct batch batch[AHEAD_BATCHES];
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	uint64_t filled; /* batches, since the start */
	uint64_t returned;
	bool stop;
	/* the caller's */
	struct batch *lent;
};

/* ---- Filling a batch ---- */

static int take(struct batch *b, const struct kl_captured *s, size_t *used)
{
	struct kl_captured *to = &b->segment[b->out.count];

	if (b->frame_room < s->frame_captured) { /* and it is the first */
		uint8_t *frames = realloc(b->frames, s->frame_captured);

		if (!frames)
			return -ENOMEM;
		b->frames = frames;
		b->frame_room = s->frame_captured;
	}
	*to = *s;
	to->frame = b->frames + *used;
	to->payload = to->frame + (s->payload - s->frame);
	memcpy(b->frames + *used, s->frame, s->frame_captured);
	*used += s->frame_captured;
	b->out.count++;
	return 0;
}

static int add_drops(struct kl_ahead *a, struct batch *b, size_t index,
		     const struct kl_capture_file *file)
{
	struct kl_capture_drop *drops;
	size_t told, n;

	/* At its end comes the last word, and what was foretold may not have been all. */
	if (file->end != KL_CAPTURE_UNREAD && !a->ended[index]) {
		a->ended[index] = true;
		a->drops_told[index] = 0;
	}
	told = a->drops_told[index];
	/* There may be fewer than were told: the file was opened anew to be read. */
	n = file->drop_count > told ? file->drop_count - told : 0;
	if (!n)
		return 0;
	if (b->drop_room < b->out.drop_count + n) {
		drops = reallocarray(b->drops, b->out.drop_count + n, sizeof(*drops));
		if (!drops)
			return -ENOMEM;
		b->drops = drops;
		b->drop_room = b->out.drop_count + n;
	}
	for (; n; n--) {
		struct kl_capture_drop drop = file->drops[a->drops_told[index]++];

		/* Where the file does not say, it may be any time of it. */
		drop.from_ns = (drop.from_ns ?: file->first_ns) ?: 1;
		drop.to_ns = drop.to_ns ?: UINT64_MAX;
		b->drops[b->out.drop_count++] = drop;
	}
	b->out.drops = b->drops;
	return 0;
}

static int take_coverage(struct kl_ahead *a, struct batch *b)
{
	struct kl_capture_coverage v;

	kl_capture_coverage(a->capture, &v);
	b->out.packets = v.total.packets;
	b->out.range_count = v.range_count;
	memcpy(b->ranges, v.ranges, v.range_count * sizeof(*v.ranges));
	for (size_t i = 0; i < v.file_count; i++) {
		if (add_drops(a, b, i, &v.files[i]))
			return -ENOMEM;
	}
	return 0;
}

static void fail(struct batch *b, int status)
{
	b->is_last = true;
	b->status = kl_fail(&b->error, status, "%s", strerror(-status));
}

static void fill(struct kl_ahead *a, struct batch *b)
{
	size_t used = 0;
	int r;

	b->out.count = b->out.drop_count = 0;
	while (b->out.count < BATCH_SEGMENTS) {
		if (!a->left) {
			r = kl_capture_next(a->capture, &a->left, &b->error);
			if (r <= 0) {
				a->left = NULL;
				b->is_last = true;
				b->status = r;
				break;
			}
		}
		if (b->out.count && used + a->left->frame_captured > b->frame_room)
			break;
		r = take(b, a->left, &used);
		if (r) {
			fail(b, r);
			return;
		}
		a->left = NULL;
	}
	r = take_coverage(a, b);
	if (r)
		fail(b, r);
}

/* ---- The thread ---- */

static void *read_ahead(void *arg)
{
	struct kl_ahead *a = arg;
	bool is_last = false;

	while (!is_last) {
		struct batch *b;
		bool stop;

		pthread_mutex_lock(&a->lock);
		while (a->filled - a->returned == AHEAD_BATCHES && !a->stop)
			pthread_cond_wait(&a->changed, &a->lock);
		stop = a->stop;
		b = &a->batch[a->filled % AHEAD_BATCHES];
		pthread_mutex_unlock(&a->lock);
		if (stop)
			break;
		fill(a, b);
		is_last = b->is_last;
		pthread_mutex_lock(&a->lock);
		a->filled++;
		pthread_cond_signal(&a->changed);
		pthread_mutex_unlock(&a->lock);
	}
	return NULL;
}

/* Signals are for the caller's thread. Without a thread it works too, only slower. */
static void start_thread(struct kl_ahead *a)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	a->has_thread = pthread_create(&a->thread, NULL, read_ahead, a) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- The caller ---- */

void kl_ahead_close(struct kl_ahead *a)
{
	if (!a)
		return;
	if (a->has_thread) {
		kl_capture_stop(a->capture);
		pthread_mutex_lock(&a->lock);
		a->stop = true;
		pthread_cond_signal(&a->changed);
		pthread_mutex_unlock(&a->lock);
		pthread_join(a->thread, NULL);
	}
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	for (size_t i = 0; i < AHEAD_BATCHES; i++) {
		free(a->batch[i].frames);
		free(a->batch[i].ranges);
		free(a->batch[i].drops);
	}
	free(a->drops_told);
	free(a->ended);
	free(a);
}

int kl_ahead_open(struct kl_capture *c, struct kl_ahead **ret, struct kl_error *err)
{
	struct kl_ahead *a __attribute__((cleanup(kl_ahead_closep))) = calloc(1, sizeof(*a));
	struct kl_capture_coverage v;

	if (!a)
		return kl_fail(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	a->capture = c;
	kl_capture_coverage(c, &v);
	a->drops_told = calloc(v.file_count, sizeof(*a->drops_told));
	a->ended = calloc(v.file_count, sizeof(*a->ended));
	if (!a->drops_told || !a->ended)
		return kl_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < AHEAD_BATCHES; i++) {
		struct batch *b = &a->batch[i];

		b->frame_room = BATCH_BYTES;
		b->frames = malloc(b->frame_room);
		b->ranges = calloc(v.file_count, sizeof(*b->ranges));
		b->out.segments = b->segment;
		b->out.ranges = b->ranges;
		if (!b->frames || !b->ranges)
			return kl_fail(err, -ENOMEM, "out of memory");
	}
	if (v.size_bytes)
		start_thread(a);
	*ret = a;
	a = NULL;
	return 0;
}

static struct batch *await(struct kl_ahead *a)
{
	if (!a->has_thread) {
		fill(a, &a->batch[0]);
		return &a->batch[0];
	}
	pthread_mutex_lock(&a->lock);
	if (a->lent) {
		a->returned++;
		pthread_cond_signal(&a->changed);
	}
	while (a->filled == a->returned)
		pthread_cond_wait(&a->changed, &a->lock);
	pthread_mutex_unlock(&a->lock);
	return &a->batch[a->returned % AHEAD_BATCHES];
}

int kl_ahead_next(struct kl_ahead *a, const struct kl_batch **ret, struct kl_error *err)
{
	if (a->lent && a->lent->is_last) {
		if (a->lent->status < 0)
			kl_set_error(err, "%s", a->lent->error.text);
		return a->lent->status;
	}
	a->lent = await(a);
	*ret = &a->lent->out;
	return 1;
}
