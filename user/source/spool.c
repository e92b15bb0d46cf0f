// SPDX-License-Identifier: GPL-2.0-only
/*
 * spool.h. There is one chunk in memory, the head: the oldest entries. Behind it come files, the
 * newest of which (the tail) is written to. Where there is no file, new entries go to the head; it is
 * given a file of its own when it has to wait, and then there is a tail, too.
 */
#include "source/spool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/spool_file.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	HEAD_BYTES = 1 << 20, /* in memory, before it gets a file */
	FILE_BYTES = 1 << 20,
	FILES_LEAST = 8, /* that the bound is to be made of */
};

#define WAIT_NS (3 * KL_NS_PER_S) /* in memory, before it gets a file */

struct entry {
	struct kl_spool_entry e;
	bool sent, done;
};

struct kl_spool {
	struct kl_spool_config config;
	struct kl_spool_status status;
	int dir; /* -1: memory only */
	/* The head. */
	struct entry *of;
	size_t count, room;
	size_t first;	     /* all before it are done */
	uint64_t head_bytes; /* of the data that is not done */
	uint64_t head_size;  /* of its file */
	uint64_t head_number;
	uint64_t since_ns; /* when its first entry came */
	bool head_has_file;
	/* The files behind it. */
	uint64_t *file;
	size_t files, files_room;
	uint64_t files_bytes;
	uint64_t next_number;
	int tail_fd; /* of the last of them; -1: it is not written to any more */
	uint64_t tail_size;
	bool *flying; /* by partition */
};

/* ---- The head ---- */

static int push(struct kl_spool *s, const struct kl_spool_entry *e)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 256;
		struct entry *grown = realloc(s->of, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->of = grown;
		s->room = room;
	}
	s->of[s->count++] = (struct entry){ .e = *e };
	s->head_bytes += e->len;
	return 0;
}

/* Takes entry->data over. */
static int take_read(const struct kl_spool_entry *e, void *arg)
{
	struct kl_spool *s = arg;
	int r = e->partition < s->config.partitions ? push(s, e) : -EINVAL;

	if (r)
		free(e->data);
	/* (Of a partition that there is not: it can be of no use.) */
	return r == -EINVAL ? 0 : r;
}

static void finish_entry(struct kl_spool *s, struct entry *e)
{
	s->head_bytes -= e->e.len;
	free(e->e.data);
	e->e.data = NULL;
	e->done = true;
	e->sent = false;
}

static void load_next(struct kl_spool *s)
{
	uint64_t damaged = 0;

	if (!s->files)
		return;
	if (s->files == 1) {
		kl_closep(&s->tail_fd);
		s->tail_fd = -1;
	}
	s->head_number = s->file[0];
	s->head_size = kl_spool_size(s->dir, s->head_number);
	s->head_has_file = true;
	s->files_bytes -= s->head_size < s->files_bytes ? s->head_size : s->files_bytes;
	memmove(s->file, s->file + 1, --s->files * sizeof(*s->file));
	if (kl_spool_read(s->dir, s->head_number, take_read, s, &damaged))
		damaged = s->head_size;
	s->status.damaged += damaged;
}

/* Nothing is left of it: its file goes, and the next one comes. */
static void renew_head(struct kl_spool *s)
{
	while (s->first < s->count && s->of[s->first].done)
		s->first++;
	while (s->first == s->count && (s->count || s->head_has_file || s->files)) {
		if (s->head_has_file)
			kl_spool_remove(s->dir, s->head_number);
		s->head_has_file = false;
		s->head_size = s->head_bytes = 0;
		s->first = s->count = 0;
		load_next(s);
		if (!s->files && !s->count && !s->head_has_file)
			break;
	}
}

/* ---- Files ---- */

static int add_file(struct kl_spool *s)
{
	int fd, r;

	if (s->files == s->files_room) {
		size_t room = s->files_room ? 2 * s->files_room : 64;
		uint64_t *grown = realloc(s->file, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->file = grown;
		s->files_room = room;
	}
	r = kl_spool_create(s->dir, s->next_number, &fd);
	if (r)
		return r;
	kl_closep(&s->tail_fd);
	s->tail_fd = fd;
	s->tail_size = 0;
	s->file[s->files++] = s->next_number++;
	return 0;
}

static uint64_t file_bytes(const struct kl_spool *s)
{
	uint64_t most = s->config.max_bytes / FILES_LEAST;

	return most < FILE_BYTES ? most : FILE_BYTES;
}

static int append_to_tail(struct kl_spool *s, const struct kl_spool_entry *e)
{
	uint64_t before;
	int r = 0;

	if (s->tail_fd < 0 || s->tail_size + e->len > file_bytes(s))
		r = add_file(s);
	if (r)
		return r;
	before = s->tail_size;
	r = kl_spool_append(s->tail_fd, e, &s->tail_size);
	s->files_bytes += s->tail_size - before;
	if (r == -EIO) {
		close(s->tail_fd);
		s->tail_fd = -1;
	}
	return r;
}

/* What is under way comes first: it is what an acknowledgement will look for. */
static void sort_head(struct kl_spool *s)
{
	struct entry e;

	for (size_t i = s->first, front = s->first; i < s->count; i++) {
		if (!s->of[i].sent)
			continue;
		e = s->of[i];
		memmove(&s->of[front + 1], &s->of[front], (i - front) * sizeof(*s->of));
		s->of[front++] = e;
	}
}

/* Writes the head's entries to a file, but those that make it longer than a file is. */
static int write_head(struct kl_spool *s, int fd, uint64_t *ret_size, size_t *ret_count)
{
	size_t i = s->first;
	int r = 0;

	for (*ret_size = 0; !r && i < s->count; i++) {
		const struct entry *e = &s->of[i];

		/* (Before files that there are, none of it may go behind them.) */
		if (!e->sent && !s->files && *ret_size && *ret_size + e->e.len > file_bytes(s))
			break;
		if (!e->done)
			r = kl_spool_append(fd, &e->e, ret_size);
	}
	*ret_count = i;
	return r;
}

/* The head is in memory only: it gets a file, and what does not fit into that goes behind it. */
static int save_head(struct kl_spool *s)
{
	/* (Before files that there are: where its own was taken away.) */
	uint64_t number = s->files ? s->head_number : s->next_number;
	_cleanup_close_ int fd = -1;
	uint64_t size = 0;
	size_t count;
	int r;

	if (s->dir < 0 || s->head_has_file || s->first == s->count)
		return 0;
	sort_head(s);
	r = kl_spool_create(s->dir, number, &fd);
	if (r)
		return r;
	r = write_head(s, fd, &size, &count);
	if (r) {
		kl_spool_remove(s->dir, number);
		return r;
	}
	s->next_number += number == s->next_number;
	s->head_number = number;
	s->head_size = size;
	s->head_has_file = true;
	for (size_t i = count; i < s->count; i++) {
		struct entry *e = &s->of[i];

		if (!e->done && append_to_tail(s, &e->e)) {
			s->status.dropped++;
			s->status.dropped_sightings += e->e.sightings;
		}
		if (!e->done)
			finish_entry(s, e);
	}
	s->count = count;
	return 0;
}

/* ---- The bound ---- */

static uint64_t total(const struct kl_spool *s)
{
	return s->files_bytes + (s->head_has_file ? s->head_size : s->head_bytes);
}

static void drop_entry(struct kl_spool *s, struct entry *e)
{
	s->status.dropped++;
	s->status.dropped_sightings += e->e.sightings;
	finish_entry(s, e);
}

static int count_dropped(const struct kl_spool_entry *e, void *arg)
{
	struct kl_spool *s = arg;

	s->status.dropped++;
	s->status.dropped_sightings += e->sightings;
	free(e->data);
	return 0;
}

/* All of the head is under way: what comes behind it goes. */
static bool drop_file(struct kl_spool *s)
{
	uint64_t number, size, damaged;

	if (!s->files)
		return false;
	if (s->files == 1) {
		kl_closep(&s->tail_fd);
		s->tail_fd = -1;
	}
	number = s->file[0];
	size = kl_spool_size(s->dir, number);
	kl_spool_read(s->dir, number, count_dropped, s, &damaged);
	kl_spool_remove(s->dir, number);
	s->files_bytes -= size < s->files_bytes ? size : s->files_bytes;
	memmove(s->file, s->file + 1, --s->files * sizeof(*s->file));
	return true;
}

/* The oldest that is not under way. Of a head with a file: all of it, for only then is there room. */
static bool drop_oldest(struct kl_spool *s)
{
	bool dropped = false;

	for (size_t i = s->first; i < s->count; i++) {
		if (s->of[i].done || s->of[i].sent)
			continue;
		drop_entry(s, &s->of[i]);
		dropped = true;
		if (!s->head_has_file)
			break;
	}
	if (s->head_has_file) {
		kl_spool_remove(s->dir, s->head_number);
		s->head_has_file = false;
		s->head_size = 0;
		dropped = true;
	}
	renew_head(s);
	return dropped || drop_file(s);
}

static int make_room(struct kl_spool *s, uint64_t bytes)
{
	while (total(s) + bytes > s->config.max_bytes) {
		if (!drop_oldest(s))
			return -ENOSPC;
	}
	return 0;
}

static int put(struct kl_spool *s, const struct kl_spool_entry *entry, uint64_t now_ns)
{
	struct kl_spool_entry copy = *entry;
	int r = make_room(s, entry->len + sizeof(struct kl_spool_header));

	if (r)
		return r;
	if (s->dir >= 0 && !s->head_has_file && !s->files &&
	    s->head_bytes + entry->len > HEAD_BYTES)
		r = save_head(s);
	if (!r && (s->head_has_file || s->files))
		return append_to_tail(s, entry);
	copy.data = malloc(entry->len ? entry->len : 1);
	if (!copy.data)
		return -ENOMEM;
	memcpy(copy.data, entry->data, entry->len);
	if (s->first == s->count)
		s->since_ns = now_ns;
	if (push(s, &copy)) {
		free(copy.data);
		return -ENOMEM;
	}
	return 0;
}

int kl_spool_put(struct kl_spool *s, const struct kl_spool_entry *entry, uint64_t now_ns,
		 struct kl_error *err)
{
	uint64_t dropped = s->status.dropped;
	int r = put(s, entry, now_ns);

	/* The disk is full before the bound is reached: that is the bound, then. */
	if (r == -ENOSPC || r == -EDQUOT) {
		while (r && drop_oldest(s))
			r = put(s, entry, now_ns);
	}
	if (r) {
		s->status.dropped++;
		s->status.dropped_sightings += entry->sightings;
		return kl_fail(err, r, "a batch is dropped: %s", strerror(-r));
	}
	if (s->status.dropped != dropped)
		return kl_fail(err, -ENOSPC, "the spool is full: the oldest batches are dropped");
	return 0;
}

/* ---- Sending ---- */

const struct kl_spool_entry *kl_spool_next(struct kl_spool *s)
{
	for (size_t i = s->first; i < s->count; i++) {
		const struct entry *e = &s->of[i];

		if (!e->done && !e->sent && !s->flying[e->e.partition])
			return &e->e;
	}
	return NULL;
}

static struct entry *find(struct kl_spool *s, uint64_t boot, uint32_t partition, uint64_t number)
{
	for (size_t i = s->first; i < s->count; i++) {
		struct entry *e = &s->of[i];

		if (e->e.boot == boot && e->e.partition == partition && e->e.number == number &&
		    !e->done)
			return e;
	}
	return NULL;
}

void kl_spool_sent(struct kl_spool *s, const struct kl_spool_entry *entry)
{
	struct entry *e = find(s, entry->boot, entry->partition, entry->number);

	if (!e)
		return;
	e->sent = true;
	s->flying[e->e.partition] = true;
}

void kl_spool_done(struct kl_spool *s, uint64_t boot, uint32_t partition, uint64_t number)
{
	struct entry *e = find(s, boot, partition, number);

	if (!e || !e->sent)
		return;
	s->flying[partition] = false;
	finish_entry(s, e);
	renew_head(s);
}

void kl_spool_failed(struct kl_spool *s, uint64_t boot, uint32_t partition, uint64_t number)
{
	struct entry *e = find(s, boot, partition, number);

	if (!e || !e->sent)
		return;
	s->flying[partition] = false;
	e->sent = false;
}

int kl_spool_keep(struct kl_spool *s, uint64_t now_ns, struct kl_error *err)
{
	int r;

	if (s->first == s->count || now_ns - s->since_ns < WAIT_NS)
		return 0;
	r = save_head(s);
	return r ? kl_fail(err, r, "%s: %s", s->config.directory, strerror(-r)) : 0;
}

/* ---- From start to end ---- */

static int open_directory(struct kl_spool *s, struct kl_error *err)
{
	int r = kl_spool_lock(s->config.directory, &s->dir, err);

	if (r)
		return r;
	r = kl_spool_list(s->dir, &s->file, &s->files);
	if (r)
		return kl_fail(err, r, "%s: %s", s->config.directory, strerror(-r));
	s->files_room = s->files;
	for (size_t i = 0; i < s->files; i++)
		s->files_bytes += kl_spool_size(s->dir, s->file[i]);
	if (s->files)
		s->next_number = s->file[s->files - 1] + 1;
	renew_head(s);
	return 0;
}

int kl_spool_open(const struct kl_spool_config *config, struct kl_spool **ret, struct kl_error *err)
{
	struct kl_spool *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return kl_fail(err, -ENOMEM, "out of memory");
	s->config = *config;
	s->dir = s->tail_fd = -1;
	s->flying = calloc(config->partitions, sizeof(*s->flying));
	if (!s->flying)
		r = kl_fail(err, -ENOMEM, "out of memory");
	else if (config->directory)
		r = open_directory(s, err);
	if (r) {
		kl_spool_close(s, NULL);
		return r;
	}
	*ret = s;
	return 0;
}

int kl_spool_close(struct kl_spool *s, struct kl_error *err)
{
	int r;

	if (!s)
		return 0;
	r = save_head(s);
	if (r)
		kl_set_error(err, "%s: %s", s->config.directory, strerror(-r));
	for (size_t i = s->first; i < s->count; i++)
		free(s->of[i].e.data);
	free(s->of);
	free(s->file);
	free(s->flying);
	kl_closep(&s->tail_fd);
	kl_closep(&s->dir);
	free(s);
	return r;
}

void kl_spool_status(const struct kl_spool *s, struct kl_spool_status *ret)
{
	*ret = s->status;
	ret->bytes = total(s);
	for (size_t i = s->first; i < s->count; i++)
		ret->waiting += !s->of[i].done;
}
