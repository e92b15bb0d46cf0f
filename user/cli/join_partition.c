// SPDX-License-Identifier: GPL-2.0-only
/* join_internal.h: one partition, from taking it over to giving it up */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/join_internal.h"
#include "util/cleanup.h"
#include "util/duration.h"

#define LOOK_NS KL_NS_PER_S
#define COMPLAIN_NS (60 * KL_NS_PER_S)

enum {
	TAKE_MOST = 256, /* messages at once */
	COMMITS_A_LEASE = 4,
	PAIRS_EACH = 6, /* intervals: a minute, unless told otherwise */
};

/* ---- batches ---- */

/* Now and then: there may be many of them. */
static void complain(struct kl_join_partition *p, const char *what, const char *text)
{
	struct kl_join *j = p->join;

	if (j->complained_ns && j->now_ns < j->complained_ns + COMPLAIN_NS)
		return;
	j->complained_ns = j->now_ns;
	kl_join_say("%s: not taken: %s", what, text);
}

static void refuse(struct kl_join_partition *p, const char *subject, const char *text)
{
	p->join->refused++;
	complain(p, subject, text);
}

/* All agents must divide connections alike: else the two ends of one would not meet. */
static bool fits(struct kl_join_partition *p, const char *subject, const struct kl_wire_batch *b)
{
	struct kl_join_state *s = &p->state;
	char text[256];

	if (!s->partitions) {
		s->partitions = b->partitions;
		s->rule = b->rule;
	}
	if (b->partitions == s->partitions && b->rule == s->rule && b->partition == p->number)
		return true;
	snprintf(text, sizeof(text),
		 "it is one of %u partitions by %s, where the others are of %u by %s: all agents "
		 "must have the same --partitions and --partition-by",
		 b->partitions, kl_wire_rule_name(b->rule), s->partitions,
		 kl_wire_rule_name(s->rule));
	refuse(p, subject, text);
	return false;
}

static int take_message(const struct kl_broker_message *m, void *arg)
{
	struct kl_join_partition *p = arg;
	struct kl_join *j = p->join;
	struct kl_subject_from from;
	struct kl_error err = {};
	struct kl_site_message message = { .seq = m->sequence,
					   .stored_ns = m->stored_ns,
					   .batch = j->batch };

	p->next_seq = m->sequence + 1;
	p->dirty = true;
	if (!kl_subject_read_segments(j->o->sites.prefix, m->subject, &from) ||
	    from.partition != p->number) {
		refuse(p, m->subject, "no subject of this partition");
		return 0;
	}
	if (kl_wire_decode(m->data, m->len, j->batch, &err)) {
		refuse(p, m->subject, err.text);
		return 0;
	}
	if (!fits(p, m->subject, j->batch))
		return 0;
	message.site = from.site;
	message.agent = from.agent;
	return kl_sites_take(p->sites, &message);
}

/* ---- owning ---- */

static int open_reader(struct kl_join_partition *p, struct kl_error *err)
{
	const struct kl_join *j = p->join;
	char durable[64], subject[KL_SUBJECT_SIZE];
	struct kl_broker_read_config config = {
		.stream = j->stream_seg,
		.subject = subject,
		.durable = durable,
		.from = p->next_seq ? p->next_seq : 1,
	};

	snprintf(subject, sizeof(subject), "%s.v1.seg.*.*.%u", j->o->sites.prefix, p->number);
	snprintf(durable, sizeof(durable), "join-%u-%" PRIu64 "-%u", p->number, p->state.generation,
		 p->readers++);
	return kl_broker_reader_open(j->broker, &config, &p->reader, err);
}

static int open_sites(struct kl_join_partition *p)
{
	const struct kl_join_options *o = &p->join->o->join;
	struct kl_sites_config config = {
		.tolerance_ns = o->tolerance_ns,
		.hold_ns = o->hold_ns,
		.patience_ns = o->patience_ns,
		.linger_ns = o->linger_ns,
		.warm_up_ns = o->warm_up_ns,
		.max_waiting = o->max_waiting,
		.settled = kl_join_settled,
		.gap = kl_join_gap,
		.arg = p,
	};
	int r = kl_sites_new(&config, &p->sites);

	if (!r)
		r = kl_sites_resume(p->sites, &p->state.point, p->state.cuts, p->state.cut_count);
	p->next_seq = p->state.point.floor;
	return r;
}

void kl_join_drop(struct kl_join_partition *p)
{
	kl_broker_reader_close(p->reader);
	kl_sites_free(p->sites);
	kl_join_state_done(&p->state);
	kl_join_outs_clear(&p->fresh);
	kl_join_steps_free(p);
	free(p->unsure);
	p->reader = NULL;
	p->sites = NULL;
	p->unsure = NULL;
	p->fresh_counts = (struct kl_site_counts){};
	p->owned = p->known = p->dirty = false;
	p->to_ack = 0;
	p->paired_ns = 0;
	p->pairs_told = 0;
	p->readers = 0;
	p->record_bytes = 0;
	p->changed_ns = p->join->now_ns;
}

/* Another one has it: whatever is not committed is that one's to say. */
static void lose(struct kl_join_partition *p)
{
	kl_join_say("partition %u: another joiner has taken it over", p->number);
	p->join->lost_ownerships++;
	kl_join_drop(p);
}

/* What is about to be published, to the history first. */
static void tell_history(struct kl_join_partition *p)
{
	struct kl_join_history *h = p->join->history;

	for (size_t i = 0; h && i < p->state.outs.count; i++)
		kl_join_history_tell(h, p->state.outs.of[i].text);
	p->history_mark = kl_join_history_mark(h);
}

static int take_over(struct kl_join_partition *p, const char *text)
{
	struct kl_join *j = p->join;
	_cleanup_free_ char *mine = NULL;
	struct kl_error err = {};
	int r = text ? kl_join_state_read(text, &p->state, &err) : 0;
	bool released = !text || !p->state.owner[0];

	if (r) {
		kl_join_say("partition %u: %s", p->number, err.text);
		return r;
	}
	snprintf(p->state.owner, sizeof(p->state.owner), "%s", j->name);
	p->state.generation++;
	p->state.number++;
	mine = kl_join_state_write(&p->state);
	r = mine ? kl_broker_record_put(j->broker, p->subject, mine, p->sequence, &p->sequence,
					&err)
		 : -ENOMEM;
	if (!r)
		r = open_sites(p);
	if (r) {
		if (r != -EEXIST && r != -ENOTCONN && r != -ETIMEDOUT && r != -ENOENT)
			kl_join_say("partition %u: %s", p->number, err.text);
		kl_join_drop(p);
		return r;
	}
	p->owned = true;
	p->committed_ns = p->ticked_ns = j->now_ns;
	p->tick_realtime_ns = j->realtime_ns;
	p->to_ack = p->state.outs.count;
	tell_history(p);
	j->takeovers += !released;
	kl_join_say("partition %u: %s, from %" PRIu64 " on", p->number,
		    released ? "taken" : "taken over from a joiner that is gone",
		    p->state.point.floor ? p->state.point.floor : 1);
	return 0;
}

void kl_join_look(struct kl_join_partition *p)
{
	struct kl_join *j = p->join;
	_cleanup_free_ char *text = NULL;
	struct kl_join_state peek = {};
	struct kl_error err = {};
	uint64_t sequence;

	if (p->looked_ns && j->now_ns < p->looked_ns + LOOK_NS)
		return;
	p->looked_ns = j->now_ns;
	if (kl_broker_record_get(j->broker, j->stream_own, p->subject, &text, &sequence, &err))
		return;
	if (!p->known || sequence != p->sequence) {
		p->sequence = sequence;
		p->changed_ns = j->now_ns;
		p->known = true;
	}
	if (text && kl_join_state_peek(text, &peek))
		return; /* (Who takes it over says what is wrong.) */
	memcpy(p->owner, peek.owner, sizeof(p->owner));
	if (!kl_join_is_ours(j, p->number))
		return;
	if (text && peek.owner[0] && j->now_ns < p->changed_ns + j->o->join.lease_ns)
		return;
	take_over(p, text);
}

/* ---- committing ---- */

static void committed(struct kl_join_partition *p)
{
	struct kl_join *j = p->join;

	for (struct kl_join_site *x = p->state.sites; x; x = x->hh.next) {
		kl_site_counts_add(&x->total, &x->fresh);
		kl_site_counts_add(&x->untold, &x->fresh);
		x->fresh = (struct kl_site_counts){};
	}
	kl_site_counts_add(&j->total, &p->fresh_counts);
	kl_site_counts_add(&j->since, &p->fresh_counts);
	kl_join_history_count(j->history, &p->fresh_counts);
	tell_history(p);
	p->fresh_counts = (struct kl_site_counts){};
	p->to_ack = p->state.outs.count;
	p->committed_ns = j->now_ns;
	free(p->unsure);
	p->unsure = NULL;
	if (p->reader && p->state.point.floor)
		kl_broker_reader_ack(p->reader, p->state.point.floor);
}

/* Did the write arrive of which nobody knows? */
static void ask(struct kl_join_partition *p)
{
	struct kl_join *j = p->join;
	_cleanup_free_ char *text = NULL;
	struct kl_error err = {};
	uint64_t sequence;

	if (kl_broker_record_get(j->broker, j->stream_own, p->subject, &text, &sequence, &err))
		return;
	if (text && !strcmp(text, p->unsure)) {
		p->sequence = sequence;
		committed(p);
	} else if (sequence != p->sequence) {
		lose(p);
	} else {
		int r = kl_broker_record_put(j->broker, p->subject, p->unsure, p->sequence,
					     &p->sequence, &err);

		if (!r)
			committed(p);
		else if (r == -EEXIST)
			lose(p);
	}
}

static int prepare(struct kl_join_partition *p)
{
	struct kl_join_state *s = &p->state;

	kl_join_outs_clear(&s->outs);
	s->outs = p->fresh;
	p->fresh = (struct kl_join_outs){};
	s->number++;
	p->unsure = kl_join_state_write(s);
	if (!p->unsure)
		return -ENOMEM;
	p->record_bytes = strlen(p->unsure);
	p->record_bytes -= s->outs.bytes < p->record_bytes ? s->outs.bytes : p->record_bytes;
	return 0;
}

static void commit(struct kl_join_partition *p)
{
	struct kl_join *j = p->join;
	struct kl_error err = {};
	int r = kl_join_gathered(p);

	if (!r && j->now_ns >= p->ticked_ns + j->o->join.interval_ns) {
		r = kl_join_add_ticks(p);
		p->ticked_ns = j->now_ns;
		p->tick_realtime_ns = j->realtime_ns;
	}
	if (!r &&
	    (!p->paired_ns || j->now_ns >= p->paired_ns + PAIRS_EACH * j->o->join.interval_ns))
		r = kl_join_add_pairs(p);
	p->dirty = false;
	if (!r)
		r = prepare(p);
	if (r) {
		kl_join_say("partition %u: %s", p->number, strerror(-r));
		kl_join_drop(p);
		return;
	}
	r = kl_broker_record_put(j->broker, p->subject, p->unsure, p->sequence, &p->sequence, &err);
	if (!r)
		committed(p);
	else if (r == -EEXIST)
		lose(p);
	else if (r != -ENOTCONN && r != -ETIMEDOUT && r != -ENOENT)
		kl_join_say("partition %u: %s", p->number, err.text);
}

static bool is_due(const struct kl_join_partition *p)
{
	const struct kl_join *j = p->join;
	uint64_t every_ns = j->o->join.lease_ns / COMMITS_A_LEASE;

	if (p->steps || p->fresh.bytes >= kl_join_out_room(p) / 2)
		return true;
	if (p->dirty && j->now_ns >= p->ticked_ns + j->o->join.interval_ns)
		return true;
	if (p->fresh.count && j->now_ns >= p->committed_ns + j->o->join.commit_ns)
		return true;
	return j->now_ns >= p->committed_ns + every_ns;
}

/* ---- publishing ---- */

static bool publish(struct kl_join_partition *p)
{
	struct kl_join *j = p->join;
	bool any = false;

	if (p->to_ack && !kl_join_history_has(j->history, p->history_mark, j->now_ns))
		return false;
	for (size_t i = 0; i < p->state.outs.count && p->to_ack; i++) {
		struct kl_join_out *o = &p->state.outs.of[i];
		char subject[KL_SUBJECT_SIZE];

		if (o->sent || o->acked)
			continue;
		snprintf(subject, sizeof(subject), "%s.v1.rec.%s", j->o->sites.prefix, o->site);
		if (kl_broker_publish(j->broker, subject, o->text, strlen(o->text), o->id))
			break;
		o->sent = any = true;
	}
	return any;
}

bool kl_join_acked(struct kl_join_partition *p, const struct kl_broker_ack *ack)
{
	for (size_t i = 0; p->to_ack && i < p->state.outs.count; i++) {
		struct kl_join_out *o = &p->state.outs.of[i];

		if (o->acked || !o->sent || strcmp(o->id, ack->id))
			continue;
		o->sent = false;
		if (ack->error) {
			/* (-ENOENT: the stream has no leader now.) It is sent again. */
			if (ack->error != -ETIMEDOUT && ack->error != -ENOTCONN &&
			    ack->error != -ENOENT)
				complain(p, "records", ack->text);
			return true;
		}
		o->acked = true;
		p->to_ack--;
		if (!ack->duplicate)
			kl_join_print(p->join, o->text);
		return true;
	}
	return false;
}

/* ---- all of it ---- */

static bool read_some(struct kl_join_partition *p)
{
	struct kl_error err = {};
	int r;

	if (p->unsure || p->steps || p->fresh.bytes >= kl_join_out_room(p) / 2)
		return false;
	if (!p->reader && open_reader(p, &err)) {
		/* (The stream is made at the start: it is the connection, or a leader is chosen.) */
		return false;
	}
	r = kl_broker_reader_take(p->reader, TAKE_MOST, take_message, p, &err);
	if (r >= 0)
		return r > 0;
	if (r == -ENOMEM) {
		kl_join_say("partition %u: out of memory", p->number);
		kl_join_drop(p);
	} else if (r != -ENOTCONN && r != -ETIMEDOUT) {
		kl_broker_reader_close(p->reader);
		p->reader = NULL;
	}
	return false;
}

bool kl_join_work(struct kl_join_partition *p)
{
	bool any = read_some(p);

	if (p->owned)
		any |= publish(p);
	if (!p->owned || p->to_ack)
		return any;
	if (p->unsure)
		ask(p);
	else if (is_due(p))
		commit(p);
	if (p->owned && !p->unsure)
		any |= publish(p);
	return any;
}

bool kl_join_release(struct kl_join_partition *p)
{
	if (!p->owned)
		return true;
	publish(p);
	if (p->to_ack)
		return false;
	if (p->unsure) {
		ask(p);
		return !p->owned;
	}
	if (!p->state.owner[0]) {
		kl_join_drop(p);
		return true;
	}
	/* The last commit says that it is nobody's, and has what is to be published with it. */
	p->ticked_ns = 0;
	if (!p->fresh.count && !p->steps)
		p->state.owner[0] = '\0';
	commit(p);
	return !p->owned;
}
