// SPDX-License-Identifier: GPL-2.0-only
/* What is gathered becomes batches, and what finds no room a gap. */
#include "history/history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "history/record.h"
#include "util/duration.h"

enum {
	END_S = 30, /* how long what is left may take at the end */
};

#define MINUTE_NS (60 * KL_NS_PER_S)
/* The clock is taken for set where it went so far from the run's. */
#define CLOCK_SET_NS (100 * KL_NS_PER_MS)

__attribute__((format(printf, 2, 3))) static void say(struct kl_history *h, const char *format, ...)
{
	char line[1200];
	va_list args;
	int n;

	if (!h->config.say)
		return;
	n = snprintf(line, sizeof(line), "--history %s: ", h->path);
	va_start(args, format);
	vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
	va_end(args);
	h->config.say(line, h->config.arg);
}

/* ---- Sessions by their number ---- */

struct kl_known *kl_history_know(struct kl_history *h, uint64_t id, uint64_t start_ns)
{
	struct kl_known *k;

	HASH_FIND(hh, h->known, &id, sizeof(id), k);
	if (k && (!start_ns || k->start_ns == start_ns))
		return k;
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			return NULL;
		k->id = id;
		HASH_ADD(hh, h->known, id, sizeof(k->id), k);
	}
	/* (One that began anew is another one.) */
	k->number = h->next_session++;
	k->start_ns = start_ns;
	k->looks = k->written_ns = k->period_us = 0;
	k->stray = !start_ns;
	k->before = (struct kl_session_counts){};
	return k;
}

static void unknow(struct kl_history *h, struct kl_known *k)
{
	HASH_DEL(h->known, k);
	free(k);
}

void kl_history_forget_strays(struct kl_history *h)
{
	struct kl_known *k, *next;

	HASH_ITER(hh, h->known, k, next)
	{
		if (k->stray)
			unknow(h, k);
	}
}

void kl_history_leaves(struct kl_history *h, const struct kl_session *session)
{
	struct kl_session_counts now;
	struct kl_known *k;

	if (!h->tick_ns)
		return;
	if (h->skipping) {
		HASH_FIND(hh, h->known, &session->id, sizeof(session->id), k);
	} else {
		k = kl_history_know(h, session->id, session->start_ns);
		if (!k)
			return;
		kl_history_put_session(h, k, session, NULL);
		kl_session_counts_read(session, &now);
		kl_session_counts_pack(&now, &k->before, (uint64_t)k->number, &h->gone);
	}
	if (k)
		unknow(h, k);
}

/* ---- Room ---- */

bool kl_history_takes(struct kl_history *h)
{
	if (!h->tick_ns)
		return false;
	h->told++;
	/* (Between two ticks there is twice the room, so that a tick is whole.) */
	if (h->skipping || h->batch.rows.bytes.failed ||
	    h->batch.rows.bytes.len > 2 * h->room_bytes) {
		h->skipped++;
		h->missing++;
		return false;
	}
	h->batch.records++;
	return true;
}

static void put_gap(struct kl_history *h, uint64_t to_ns)
{
	kl_rows_begin(&h->batch.rows, KL_ROW_GAP);
	kl_rows_number(&h->batch.rows, h->run);
	kl_rows_number(&h->batch.rows, (int64_t)h->skip_from_ns);
	kl_rows_number(&h->batch.rows, (int64_t)to_ns);
	kl_rows_text(&h->batch.rows, h->in_memory ? "no memory" : "the disk had no room");
	kl_rows_number(&h->batch.rows, (int64_t)h->skipped);
	kl_rows_end(&h->batch.rows);
}

static void put_run_end(struct kl_history *h, bool ended)
{
	kl_rows_begin(&h->batch.rows, KL_ROW_RUN_END);
	kl_rows_number(&h->batch.rows, h->run);
	kl_rows_number(&h->batch.rows, (int64_t)h->tick_ns);
	kl_rows_number(&h->batch.rows, ended);
	kl_rows_number(&h->batch.rows, h->has.has_bridge);
	kl_rows_number(&h->batch.rows, h->has.has_snmp);
	kl_rows_number(&h->batch.rows, h->has.has_syslog);
	kl_rows_number(&h->batch.rows, h->has.has_arp);
	kl_rows_number(&h->batch.rows, h->has.has_drops);
	kl_rows_number(&h->batch.rows, h->has.has_alarms);
	kl_rows_end(&h->batch.rows);
}

static void give(struct kl_history *h, uint64_t now_ns, bool ended)
{
	put_run_end(h, ended);
	h->batch.run = h->run;
	h->batch.time_ns = h->tick_ns;
	kl_writer_give(h->writer, &h->batch);
	h->given_ns = now_ns;
}

/* There is no room for more: what comes from now on is a gap. */
static void begin_to_skip(struct kl_history *h)
{
	h->skipping = true;
	h->skipped = 0;
	h->skip_from_ns = h->tick_ns;
	h->in_memory = h->batch.rows.bytes.failed;
	if (h->in_memory) {
		/* Nothing of it can be trusted to be whole. */
		h->skipped = h->batch.records;
		h->missing += h->batch.records;
		kl_rows_clear(&h->batch.rows);
		h->batch.records = 0;
	}
	say(h, "no room for what comes from now on: it will be missing there");
}

static void end_skipping(struct kl_history *h, const struct kl_history_tick *tick)
{
	char from[40], to[40];

	put_gap(h, h->tick_ns);
	kl_format_time(h->skip_from_ns, from, sizeof(from));
	kl_format_time(h->tick_ns, to, sizeof(to));
	say(h, "%" PRIu64 " records from %s to %s are missing there, and said to be", h->skipped,
	    from, to);
	h->skipping = false;
	h->skipped = 0;
	kl_history_begin_part(h, tick);
}

/* ---- Ticks ---- */

static void say_notices(struct kl_history *h)
{
	char notice[600];

	while (kl_writer_notice(h->writer, notice, sizeof(notice)))
		say(h, "%s", notice);
}

static void take_clock(struct kl_history *h, uint64_t offset_ns)
{
	uint64_t away_ns = offset_ns > h->offset_ns ? offset_ns - h->offset_ns
						    : h->offset_ns - offset_ns;

	if (away_ns > CLOCK_SET_NS)
		h->offset_ns = offset_ns;
}

bool kl_history_is_due(const struct kl_history *h, uint64_t now_ns)
{
	return now_ns - h->given_ns >= h->config.batch_ns;
}

static bool is_over(uint64_t start_ns, uint64_t now_ns, uint64_t length_ns)
{
	return now_ns < start_ns || now_ns / length_ns != start_ns / length_ns;
}

/* Some found no room between two ticks: a gap of its own. */
static void note_flood(struct kl_history *h, uint64_t from_ns)
{
	if (!h->skipped)
		return;
	h->skip_from_ns = from_ns;
	put_gap(h, h->tick_ns);
	say(h, "%" PRIu64 " records found no room at once, and are missing there", h->skipped);
	h->skipped = 0;
}

static void tick_and_give(struct kl_history *h, const struct kl_history_tick *tick, bool last)
{
	bool idle = kl_writer_is_idle(h->writer);
	bool part_over = last || is_over(h->part_start_ns, h->tick_ns, h->config.part_ns);
	bool minute_over = part_over || is_over(h->minute.start_ns, h->tick_ns, MINUTE_NS);
	bool full = !idle && h->batch.rows.bytes.len > h->room_bytes;
	bool gives = idle && (last || part_over || kl_history_is_due(h, tick->now_ns) ||
			      h->batch.rows.bytes.len > h->room_bytes);

	if (minute_over || gives || full)
		kl_history_put_minute(h);
	if (part_over || gives || full)
		kl_history_put_part(h, tick, last);
	if (part_over)
		kl_history_begin_part(h, tick);
	else if (minute_over)
		kl_history_begin_minute(h);
	if (h->batch.rows.bytes.failed || full)
		begin_to_skip(h);
	else if (gives)
		give(h, tick->now_ns, last);
}

static void take_tick(struct kl_history *h, const struct kl_history_tick *tick, bool last)
{
	uint64_t before_ns = h->tick_ns;

	if (!h->tick_ns)
		return;
	say_notices(h);
	if (kl_writer_is_broken(h->writer)) {
		h->skipping = true;
		return;
	}
	/* What ends here ends by the clock that it began by. */
	h->end_ns = tick->now_ns + h->offset_ns;
	take_clock(h, tick->offset_ns);
	h->tick_ns = tick->now_ns + h->offset_ns;
	h->has = *tick->has;
	if (h->skipping) {
		h->counters = *tick->counters;
		h->own = *tick->own;
		if (!kl_writer_is_idle(h->writer))
			return;
		end_skipping(h, tick);
	} else {
		note_flood(h, before_ns);
		kl_history_count(h, tick);
	}
	tick_and_give(h, tick, last);
}

void kl_history_tick(struct kl_history *h, const struct kl_history_tick *tick)
{
	take_tick(h, tick, false);
}

void kl_history_end(struct kl_history *h, const struct kl_history_tick *tick)
{
	kl_writer_wait(h->writer, END_S);
	take_tick(h, tick, true);
}

/* ---- From start to end ---- */

int kl_history_open(const struct kl_history_config *config, struct kl_history **ret,
		    struct kl_error *err)
{
	const struct kl_store_config store_config = {
		.path = config->path,
		.keep_ns = config->keep_ns,
		.max_bytes = config->max_bytes,
	};
	struct kl_store *store = NULL;
	struct kl_history *h;
	int r = kl_store_open(&store_config, &store, err);

	if (r)
		return r;
	h = calloc(1, sizeof(*h));
	if (h) {
		h->config = *config;
		h->config.batch_ns = config->batch_ns ?: KL_HISTORY_BATCH_NS;
		h->config.part_ns = config->part_ns ?: KL_HISTORY_PART_NS;
		h->room_bytes = kl_store_batch_bytes(&store_config) / 2;
		h->path = strdup(config->path);
	}
	if (!h || !h->path) {
		kl_store_close(store);
		kl_history_close(h);
		return kl_fail(err, -ENOMEM, "out of memory");
	}
	r = kl_store_next(store, &h->run, &h->next_session, err);
	if (r)
		kl_store_close(store);
	else if ((r = kl_writer_new(store, config, &h->writer)))
		kl_set_error(err, "%s: its thread: %s", config->path, strerror(-r));
	if (r) {
		kl_history_close(h);
		return r;
	}
	*ret = h;
	return 0;
}

static void put_run(struct kl_history *h)
{
	char host[80] = "";

	gethostname(host, sizeof(host) - 1);
	kl_rows_begin(&h->batch.rows, KL_ROW_RUN);
	kl_rows_number(&h->batch.rows, h->run);
	kl_rows_text(&h->batch.rows, h->config.version);
	kl_rows_text(&h->batch.rows, host);
	kl_rows_text(&h->batch.rows, h->config.access);
	kl_rows_text(&h->batch.rows, h->config.cucm);
	kl_rows_number(&h->batch.rows, (int64_t)h->tick_ns);
	kl_rows_number(&h->batch.rows, (int64_t)h->tick_ns);
	kl_rows_text(&h->batch.rows, h->config.joiner);
	kl_rows_end(&h->batch.rows);
}

void kl_history_begin(struct kl_history *h, uint64_t now_ns, uint64_t offset_ns)
{
	h->offset_ns = offset_ns;
	h->tick_ns = now_ns + offset_ns;
	h->given_ns = now_ns;
	put_run(h);
	kl_history_begin_part(h, NULL);
}

uint64_t kl_history_written(struct kl_history *h)
{
	return kl_writer_written(h->writer);
}

uint64_t kl_history_told(const struct kl_history *h)
{
	return h->told;
}

uint64_t kl_history_missing(const struct kl_history *h)
{
	return h->missing;
}

static void say_unwritten(struct kl_history *h)
{
	uint64_t missing = h->batch.records + h->skipped;

	if (!kl_writer_wait(h->writer, END_S) || missing)
		say(h, "its last %" PRIu64 " records could not be written",
		    h->told - kl_writer_written(h->writer));
}

bool kl_history_close(struct kl_history *h)
{
	struct kl_known *k, *next;
	bool ended = true;

	if (!h)
		return true;
	if (h->writer) {
		say_unwritten(h);
		ended = kl_writer_stop(h->writer);
		say_notices(h);
		if (ended)
			kl_writer_free(h->writer);
	}
	HASH_ITER(hh, h->known, k, next)
	unknow(h, k);
	kl_copies_done(&h->copies);
	kl_bytes_done(&h->gone);
	kl_rows_done(&h->batch.rows);
	free(h->path);
	free(h);
	return ended;
}
