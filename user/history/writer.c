// SPDX-License-Identifier: GPL-2.0-only
#include "history/writer.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "util/duration.h"

enum {
	AGAIN_S = 1,   /* after what could not be written */
	FORGET_S = 60, /* how often what is too old is looked for */
	MORE_S = 1,    /* and while there is more of it: the disk is others', too */
	LEAVE_S = 10,  /* how long the thread is waited for at the end */
};

struct kl_writer {
	struct kl_store *store;
	void (*look)(void *arg, kl_history_rule take, void *take_arg);
	void *look_arg;

	pthread_t thread;
	pthread_mutex_t mutex; /* of what follows */
	pthread_cond_t changed;
	struct kl_batch batch; /* the thread's while has_batch */
	bool has_batch, stop, stopped;
	bool failing, broken;
	bool doubted; /* that the clock is not believed was said */
	uint64_t written;
	char notice[600];
};

static void say(struct kl_writer *w, const char *what, const char *why)
{
	snprintf(w->notice, sizeof(w->notice), "%s%s", what, why);
}

/* ---- The thread ---- */

static void take_rule(const struct kl_rule_evidence *r, void *arg)
{
	struct kl_batch *b = arg;

	kl_rows_begin(&b->rows, KL_ROW_RULE);
	kl_rows_number(&b->rows, b->run);
	kl_rows_number(&b->rows, (int64_t)b->time_ns);
	kl_rows_text(&b->rows, r->rule);
	kl_rows_text(&b->rows, r->says);
	kl_rows_number(&b->rows, (int64_t)r->packets);
	kl_rows_number(&b->rows, r->counted);
	kl_rows_end(&b->rows);
}

static void nothing(const struct kl_rule_evidence *r, void *arg)
{
	(void)r;
	(void)arg;
}

static void wait_a_while(struct kl_writer *w, unsigned seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	pthread_cond_timedwait(&w->changed, &w->mutex, &until);
}

/* With the mutex held. Returns whether there is no use in trying it again. */
static bool note_result(struct kl_writer *w, int r, const struct kl_error *err)
{
	if (!r) {
		w->written += w->batch.records;
		if (w->failing)
			say(w, "it is written again", "");
		w->failing = false;
		return true;
	}
	if (r == -EBADMSG) {
		say(w, "nothing more is written to it: ", err->text);
		w->broken = true;
		return true;
	}
	if (!w->failing)
		say(w, "not written for now, while counting goes on: ", err->text);
	w->failing = true;
	return false;
}

/* Once, and over nothing else that is to be said. */
static void say_doubt(struct kl_writer *w, const struct kl_pause *p)
{
	char text[40];

	kl_format_time(p->from_ns, text, sizeof(text));
	pthread_mutex_lock(&w->mutex);
	if (!w->doubted && !w->notice[0]) {
		snprintf(w->notice, sizeof(w->notice),
			 "the clock is %.1f days ahead of the newest entry before, of %s, and may "
			 "be wrong: nothing is forgotten by age until 24 hours were kept by it",
			 (double)(p->to_ns - p->from_ns) / 86400e9, text);
		w->doubted = true;
	}
	pthread_mutex_unlock(&w->mutex);
}

/* What is too old, bit by bit, so that no batch waits for all of it. */
struct forgetting {
	uint64_t last_ns;
	bool more;
};

static void forget_old(struct kl_writer *w, struct forgetting *f)
{
	uint64_t now_ns = kl_monotonic_ns();
	struct kl_pause doubt;

	if (f->last_ns && now_ns - f->last_ns < (f->more ? MORE_S : FORGET_S) * KL_NS_PER_S)
		return;
	f->last_ns = now_ns;
	/* (What cannot be done now is done later.) */
	f->more = kl_store_forget(w->store, kl_realtime_ns(), &doubt, NULL) == 1;
	if (doubt.to_ns)
		say_doubt(w, &doubt);
}

static void write_batch(struct kl_writer *w)
{
	bool done = false;

	if (w->batch.dropped && w->look)
		w->look(w->look_arg, take_rule, &w->batch);
	while (!done) {
		struct kl_error err = {};
		int r = kl_store_apply(w->store, &w->batch.rows, &err);

		pthread_mutex_lock(&w->mutex);
		done = note_result(w, r, &err);
		if (!done && w->stop)
			done = true;
		else if (!done)
			wait_a_while(w, AGAIN_S);
		if (done && !w->failing)
			w->has_batch = false;
		pthread_cond_broadcast(&w->changed);
		pthread_mutex_unlock(&w->mutex);
	}
}

static void *work(void *arg)
{
	struct kl_writer *w = arg;
	struct forgetting forgetting = {};

	/* Later looks at the rules are compared with this one. */
	if (w->look)
		w->look(w->look_arg, nothing, NULL);
	pthread_mutex_lock(&w->mutex);
	while (!w->stop || (w->has_batch && !w->failing)) {
		bool has_batch = w->has_batch;

		if (!has_batch && !forgetting.more) {
			pthread_cond_wait(&w->changed, &w->mutex);
			continue;
		}
		if (!has_batch)
			wait_a_while(w, MORE_S);
		if (w->has_batch != has_batch || (!has_batch && w->stop))
			continue;
		pthread_mutex_unlock(&w->mutex);
		if (has_batch)
			write_batch(w);
		if (!w->broken)
			forget_old(w, &forgetting);
		pthread_mutex_lock(&w->mutex);
	}
	w->stopped = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* ---- From outside ---- */

static int start(struct kl_writer *w)
{
	pthread_condattr_t attributes;
	sigset_t all, before;
	int r;

	pthread_mutex_init(&w->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	/* Signals are for the others. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int kl_writer_new(struct kl_store *store, const struct kl_history_config *config,
		  struct kl_writer **ret)
{
	struct kl_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w) {
		kl_store_close(store);
		return -ENOMEM;
	}
	w->store = store;
	w->look = config->look_at_rules;
	w->look_arg = config->arg;
	r = start(w);
	if (r) {
		kl_store_close(store);
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

bool kl_writer_is_idle(struct kl_writer *w)
{
	bool idle;

	pthread_mutex_lock(&w->mutex);
	idle = !w->has_batch && !w->broken;
	pthread_mutex_unlock(&w->mutex);
	return idle;
}

bool kl_writer_is_broken(struct kl_writer *w)
{
	bool broken;

	pthread_mutex_lock(&w->mutex);
	broken = w->broken;
	pthread_mutex_unlock(&w->mutex);
	return broken;
}

void kl_writer_give(struct kl_writer *w, struct kl_batch *batch)
{
	struct kl_batch taken = *batch;

	pthread_mutex_lock(&w->mutex);
	/* (The memory of the one before is used again.) */
	batch->rows = w->batch.rows;
	w->batch = taken;
	w->has_batch = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	kl_rows_clear(&batch->rows);
	batch->records = 0;
	batch->dropped = false;
}

uint64_t kl_writer_written(struct kl_writer *w)
{
	uint64_t written;

	pthread_mutex_lock(&w->mutex);
	written = w->written;
	pthread_mutex_unlock(&w->mutex);
	return written;
}

bool kl_writer_notice(struct kl_writer *w, char *ret, size_t size)
{
	bool any;

	pthread_mutex_lock(&w->mutex);
	any = w->notice[0];
	snprintf(ret, size, "%s", w->notice);
	w->notice[0] = '\0';
	pthread_mutex_unlock(&w->mutex);
	return any;
}

static bool wait_for(struct kl_writer *w, const bool *until, bool value, unsigned seconds)
{
	uint64_t end_ns = kl_monotonic_ns() + seconds * KL_NS_PER_S;

	while (*until != value && kl_monotonic_ns() < end_ns)
		wait_a_while(w, 1);
	return *until == value;
}

bool kl_writer_wait(struct kl_writer *w, unsigned seconds)
{
	uint64_t end_ns = kl_monotonic_ns() + seconds * KL_NS_PER_S;
	bool written;

	pthread_mutex_lock(&w->mutex);
	while (w->has_batch && !w->failing && !w->broken && kl_monotonic_ns() < end_ns)
		wait_a_while(w, 1);
	written = !w->has_batch && !w->broken;
	pthread_mutex_unlock(&w->mutex);
	return written;
}

bool kl_writer_stop(struct kl_writer *w)
{
	bool stopped;

	pthread_mutex_lock(&w->mutex);
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	stopped = wait_for(w, &w->stopped, true, LEAVE_S);
	pthread_mutex_unlock(&w->mutex);
	if (!stopped) {
		pthread_detach(w->thread);
		return false;
	}
	pthread_join(w->thread, NULL);
	return true;
}

void kl_writer_free(struct kl_writer *w)
{
	if (!w)
		return;
	kl_store_close(w->store);
	kl_rows_done(&w->batch.rows);
	pthread_mutex_destroy(&w->mutex);
	pthread_cond_destroy(&w->changed);
	free(w);
}
