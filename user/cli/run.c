// SPDX-License-Identifier: GPL-2.0-only
#include "cli/run.h"

#include <linux/capability.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cli/inputs.h"
#include "cli/stop.h"
#include "core/names.h"
#include "source/links.h"
#include "source/live.h"
#include "source/privilege.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	BEAT_MS = 100,	       /* how often events are fetched */
	SWEEP_EVERY_MS = 250,  /* how often the join is swept */
	EVENTS_SETTLE_MS = 10, /* how long an event may be on its way */
	WALK_EVERY_S = 30,     /* how often the kernel's connections are looked through */
	CLOSED_KEEP_S = 5,     /* a closed connection is forgotten after this */
	EVICT_SILENT_S = 300,  /* where room is needed: longer than most keepalive periods */
	SILENT_KEEP_S =
		3600, /* one that says nothing, after this: longer than any SIP expiry in use */
};

/* ---- What comes in ---- */

static void keep_error(struct kl_run *w, int r)
{
	if (r && !w->error)
		w->error = r;
}

/*
 * What passed the last hook may still be dropped by a queue behind it. What never came to the first
 * one was gone when the copy came that told of it; a later drop is of that one.
 */
static uint64_t latest_drop(const struct kl_run *w, const struct kl_story *story)
{
	if (story->where != kl_where_before(story->direction))
		return w->now_ns;
	return story->late_ns ? story->time_ns + story->late_ns : w->event_ns;
}

static void take_story(const struct kl_story *story, void *arg)
{
	struct kl_run *w = arg;
	const struct kl_drop *drop = NULL;

	if (story->type == KL_STORY_START)
		kl_inputs_meet(w->inputs, story->session);
	if (story->type == KL_STORY_LOSS)
		drop = kl_inputs_drop(w->inputs, &story->session->ends, story->direction,
				      story->seq, story->length, story->time_ns,
				      latest_drop(w, story));
	keep_error(w, w->handlers->story(w, story, drop));
}

static void take_identity(const struct kl_session *session, void *arg)
{
	struct kl_run *w = arg;

	kl_inputs_identify(w->inputs, session);
}

static void take_leaving(const struct kl_session *session, void *arg)
{
	struct kl_run *w = arg;

	w->handlers->leaves(w, session);
}

static void take_event(const struct kl_event *e, void *arg)
{
	const struct kl_payload_event *with = (const struct kl_payload_event *)e;
	bool has_payload = e->type == KL_EVENT_PAYLOAD;
	struct kl_run *w = arg;

	int r;

	w->event_ns = e->time_ns;
	r = kl_sessions_feed(w->sessions, e, has_payload ? with->payload : NULL,
			     has_payload ? with->len : 0);
	if (r)
		w->fault = r;
}

static void take_mac(const struct kl_mac_evidence *m, void *arg)
{
	struct kl_run *w = arg;

	w->mac_flushes += m->happening == KL_MAC_AGED || m->happening == KL_MAC_FLUSHED;
	keep_error(w, w->handlers->mac(w, m));
}

static void take_arp(const struct kl_arp_conflict *c, void *arg)
{
	struct kl_run *w = arg;

	keep_error(w, w->handlers->arp(w, c));
}

static void take_alarm(const struct kl_alarm *a, void *arg)
{
	struct kl_run *w = arg;

	keep_error(w, w->handlers->alarm(w, a));
}

static void take_ageing(const struct kl_ageing_evidence *a, void *arg)
{
	struct kl_run *w = arg;

	if (w->handlers->ageing)
		keep_error(w, w->handlers->ageing(w, a));
}

/* When the copy of this number (from 0) was seen at the near side; of the first where not known. */
static uint64_t copy_time(const struct kl_join_entry *e, unsigned copy)
{
	if (copy == 0 || e->overdue)
		return e->first_ns;
	if (copy <= KL_LATER_TIMES)
		return e->first_ns + e->later_us[copy - 1] * KL_NS_PER_US;
	return e->near_ns;
}

struct kl_loss kl_run_loss_record(const struct kl_run *w, const struct kl_lost *lost,
				  const struct kl_drop *drop)
{
	struct kl_evidence has = {};
	struct kl_loss ret = {
		.time_ns = lost->time_ns + w->realtime_offset_ns,
		.party = { .ends = lost->ends,
			   .vlan = lost->vlan,
			   .device = lost->device[0] ? lost->device : NULL },
		.where = (enum kl_where)lost->where,
		.direction = lost->direction,
		.kind = lost->kind,
		.seq = lost->seq,
		.seq_other = lost->seq_other,
		.length = lost->length,
		.copies = { lost->copies[KL_ACCESS], lost->copies[KL_CUCM] },
		.idle_ns = lost->idle_ns,
		.idle_known = (enum kl_idle_known)lost->idle_known,
		.drop = drop,
	};

	kl_inputs_describe(w->inputs, &has);
	ret.unexplained = has.has_drops && lost->where == KL_BETWEEN && !drop;
	memcpy(ret.party.mac, lost->mac, sizeof(ret.party.mac));
	return ret;
}

static void take_loss(const struct kl_judged *j, void *arg)
{
	const struct kl_join_entry *e = &j->entry;
	uint8_t direction = e->key.len_direction & 1;
	struct kl_run *w = arg;
	const struct kl_session *session = kl_sessions_peek(w->sessions, e->conn_id);
	unsigned before;
	struct kl_lost lost = {
		.conn_id = e->conn_id,
		.ends = j->ends,
		.vlan = j->vlan,
		.where = KL_BETWEEN,
		.direction = direction,
		.kind = e->kind,
		.seq = e->key.seq,
		.seq_other = e->key.seq, /* between two interfaces of one host they are the same */
		.length = e->key.len_direction >> 1,
	};

	lost.seen[KL_ACCESS] = lost.seen[KL_CUCM] = j->ends;
	memcpy(lost.mac, j->phone_mac, sizeof(lost.mac));
	if (session)
		memcpy(lost.device, session->device, sizeof(lost.device));
	lost.copies[direction] = e->copies;
	lost.copies[direction ^ 1] = kl_join_far(e);
	if (e->crossed != KL_CROSSED_UNKNOWN && e->crossed > kl_join_far(e))
		lost.copies[direction ^ 1] = e->crossed;
	kl_sessions_lost_between(w->sessions, e->conn_id, direction, lost.seq, lost.length,
				 j->missing, true);
	/* Those judged before are not among these; overdue ones are not in near. */
	before = e->copies > e->near + e->overdue ? e->copies - e->near - e->overdue : 0;
	for (unsigned copy = 0; copy < j->missing; copy++) {
		const struct kl_drop *drop;
		enum kl_idle_known known;

		lost.time_ns = copy_time(e, copy);
		lost.idle_known = KL_IDLE_UNKNOWN;
		if (kl_sessions_idle_of(w->sessions, e->conn_id, direction, lost.seq, lost.length,
					before + copy + 1, &lost.idle_ns, &known))
			lost.idle_known = (uint8_t)known;
		drop = kl_inputs_drop(w->inputs, &lost.ends, direction, lost.seq, lost.length,
				      lost.time_ns, w->now_ns);
		keep_error(w, w->handlers->lost(w, &lost, drop));
	}
}

/* ---- Upkeep ---- */

static void forget(struct kl_run *w, uint64_t id)
{
	const struct kl_session *session = kl_sessions_peek(w->sessions, id);

	kl_live_forget(w->live, id);
	if (session && !w->keep_sessions)
		kl_inputs_forget(w->inputs, session);
	/* A list of all sessions at the end holds those that ended, as far as there is room. */
	if (!w->keep_sessions)
		kl_sessions_remove(w->sessions, id);
}

static void take_connection(uint64_t id, const struct kl_conn *conn, void *arg)
{
	struct kl_run *w = arg;
	bool closed = conn->flow[KL_TO_CUCM].closing || conn->flow[KL_TO_PHONE].closing;
	uint64_t quiet_ns = w->now_ns > conn->seen_ns ? w->now_ns - conn->seen_ns : 0;
	bool one_way;

	if (kl_sessions_meet(w->sessions, id, conn, w->now_ns, &one_way))
		w->fault = -ENOMEM;
	w->tally.own.one_way += one_way;

	if (closed && quiet_ns > CLOSED_KEEP_S * KL_NS_PER_S) {
		forget(w, id);
	} else if (conn->seen_ns < w->evict_before_ns || quiet_ns > SILENT_KEEP_S * KL_NS_PER_S) {
		kl_sessions_time_out(w->sessions, id, w->now_ns);
		w->tally.own.flows_evicted += conn->seen_ns < w->evict_before_ns;
		forget(w, id);
	}
}

static void walk_connections(struct kl_run *w, bool full)
{
	/* No room for a new connection: those that are silent for long make some. */
	w->evict_before_ns = full && w->now_ns > EVICT_SILENT_S * KL_NS_PER_S
				     ? w->now_ns - EVICT_SILENT_S * KL_NS_PER_S
				     : 0;
	w->walk_ns = w->now_ns;
	kl_live_connections(w->live, take_connection, w);
}

static int sweep(struct kl_run *w)
{
	int r;

	/* An interface's change must be known before anything is judged. */
	kl_gaps_look(w);
	w->sweep_ns = w->now_ns;
	r = kl_live_sweep(w->live, w->now_ns, take_loss, w);
	if (r)
		fprintf(stderr, "kaloss %s: the sweep failed: %s\n", w->verb, strerror(-r));
	return r;
}

/* What was inferred since the last tick. */
static void take_inferred(struct kl_run *w, uint64_t ret[KL_DIRECTIONS][KL_WHERES])
{
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		for (int where = 0; where < KL_WHERES; where++) {
			uint64_t now = kl_sessions_inferred(w->sessions, d, (enum kl_where)where);

			ret[d][where] = now - w->inferred[d][where];
			w->inferred[d][where] = now;
		}
	}
}

/* Is there a source that would tell of a MAC address that went? */
static bool has_mac_source(const struct kl_run *w)
{
	struct kl_evidence has = {};

	kl_inputs_describe(w->inputs, &has);
	return has.has_bridge || has.has_snmp || has.has_syslog;
}

static int say_unread(const struct kl_run *w, int r)
{
	if (r)
		fprintf(stderr, "kaloss %s: reading the counters: %s\n", w->verb, strerror(-r));
	return r;
}

static int tick(struct kl_run *w)
{
	struct kl_tally_report report;
	struct kl_counters counters;
	struct kl_maxima maxima;
	int r = kl_live_maxima(w->live, &maxima);
	struct kl_report_tick record = { .tally = &report };
	bool full;

	if (!r)
		r = kl_live_counters(w->live, &counters);
	if (r)
		return say_unread(w, r);
	full = counters.incident[KL_CONNS_REFUSED] != w->refused;
	if (full || counters.incident[KL_EVENTS_LOST] != w->events_lost ||
	    w->now_ns - w->walk_ns >= WALK_EVERY_S * KL_NS_PER_S)
		walk_connections(w, full);
	if (counters.incident[KL_EVENTS_LOST] != w->events_lost)
		kl_sessions_gap(w->sessions, w->now_ns);
	w->refused = counters.incident[KL_CONNS_REFUSED];
	w->events_lost = counters.incident[KL_EVENTS_LOST];
	w->tally.own.flows_evicted += kl_sessions_evicted(w->sessions) - w->evicted;
	w->evicted = kl_sessions_evicted(w->sessions);
	for (__u32 d = 0; d < KL_DIRECTIONS; d++)
		w->tally.own.retransmitted[d] = kl_sessions_inferred_retransmissions(w->sessions,
										     d);
	kl_tally_tick(&w->tally, &counters, &maxima, &report);
	take_inferred(w, record.inferred);
	record.time_ns = w->now_ns + w->realtime_offset_ns;
	record.mac_flushes = w->mac_flushes - w->mac_flushes_told;
	record.mac_flushes_known = has_mac_source(w);
	w->mac_flushes_told = w->mac_flushes;
	record.interval_s = (double)(w->now_ns - w->tick_ns) / 1e9;
	record.phones = kl_sessions_phones(w->sessions);
	if (record.phones > w->most_phones)
		w->most_phones = record.phones;
	w->tick_ns = w->now_ns;
	keep_error(w, w->handlers->tick(w, &record));
	return 0;
}

static void read_clocks(struct kl_run *w)
{
	w->now_ns = kl_monotonic_ns();
	w->realtime_offset_ns = kl_realtime_ns() - w->now_ns;
}

static void note_lost_events(struct kl_run *w)
{
	uint64_t lost = kl_live_events_lost(w->live);

	if (lost == w->events_lost_noted)
		return;
	w->events_lost_noted = lost;
	kl_sessions_gap(w->sessions, w->now_ns);
}

static int fetch_events(struct kl_run *w)
{
	int r;

	/* Before what is left of the story is told, for it has holes. */
	note_lost_events(w);
	r = kl_live_events(w->live, take_event, w);
	if (r < 0)
		fprintf(stderr, "kaloss %s: reading the events: %s\n", w->verb, strerror(-r));
	else
		r = w->fault;
	if (w->fault)
		fprintf(stderr, "kaloss %s: the sessions: %s\n", w->verb, strerror(-w->fault));
	return r;
}

/* All events from before `now` are in. (One that a CPU is still writing may be a moment older.) */
static void advance_sessions(struct kl_run *w)
{
	uint64_t settled_ns = w->now_ns - EVENTS_SETTLE_MS * KL_NS_PER_MS;

	if (w->now_ns > EVENTS_SETTLE_MS * KL_NS_PER_MS)
		kl_sessions_advance(w->sessions, settled_ns);
}

/* Fetches what there is to fetch. Returns a negative errno where going on makes no sense. */
static int beat(struct kl_run *w)
{
	int r;

	read_clocks(w);
	r = fetch_events(w);
	kl_inputs_drain(w->inputs, w->now_ns);
	if (!r && w->now_ns - w->sweep_ns >= SWEEP_EVERY_MS * KL_NS_PER_MS)
		r = sweep(w);
	if (r)
		return r;
	advance_sessions(w);
	if (w->now_ns - w->tick_ns >= w->o->interval_ns) {
		if (w->sweep_ns != w->now_ns && (r = sweep(w)))
			return r;
		r = tick(w);
	}
	if (!r && w->handlers->beat)
		keep_error(w, w->handlers->beat(w));
	return r ? r : w->error;
}

/* ---- From start to end ---- */

/* Waits for a beat. Returns true where a signal asks for the end. */
static bool wait_beat(struct kl_run *w, uint64_t until_ns)
{
	struct pollfd fds[] = {
		{ .fd = kl_stop_fd(w->stop), .events = POLLIN },
		{ .fd = kl_links_fd(w->links), .events = POLLIN },
		{ .fd = kl_inputs_fd(w->inputs), .events = POLLIN },
		{ .fd = kl_stop_hangup_fd(w->stop), .events = POLLIN },
	};
	uint64_t now_ns = kl_monotonic_ns(), left_ms = BEAT_MS;

	if (until_ns) {
		uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;

		if (left_ns / KL_NS_PER_MS < left_ms)
			left_ms = left_ns / KL_NS_PER_MS + 1;
	}
	poll(fds, KL_COUNT(fds), (int)left_ms);
	if (fds[1].revents)
		kl_gaps_look(w);
	if (fds[3].revents && kl_stop_take_hangup(w->stop))
		keep_error(w, w->handlers->hangup(w));
	return fds[0].revents && kl_stop_take(w->stop);
}

static int run(struct kl_run *w)
{
	uint64_t end_ns = w->o->duration_ns ? w->start_ns + w->o->duration_ns : 0;

	for (;;) {
		uint64_t next_ns = w->tick_ns + w->o->interval_ns;
		int r;

		if (end_ns && end_ns < next_ns)
			next_ns = end_ns;
		if (wait_beat(w, next_ns))
			return 0;
		if (end_ns && kl_monotonic_ns() >= end_ns)
			return 0;
		r = beat(w);
		if (r)
			return r;
	}
}

/*
 * The end in good order: nothing new is taken up, and what is under way gets its deadline, unless
 * a second signal says not to wait. (A third one: see cli/stop.h.)
 */
static int drain(struct kl_run *w)
{
	uint64_t until_ns = kl_monotonic_ns() + w->o->live.deadline_ns +
			    SWEEP_EVERY_MS * KL_NS_PER_MS;
	struct kl_counters counters;
	int r;

	kl_live_drain(w->live);
	do {
		r = beat(w);
		if (!r)
			r = say_unread(w, kl_live_counters(w->live, &counters));
		if (r)
			return r;
	} while (kl_tally_pending(&counters) && kl_monotonic_ns() < until_ns &&
		 !wait_beat(w, until_ns));
	return 0;
}

static void print_hooks(const struct kl_run *w)
{
	const struct kl_hook *hooks;
	size_t count;

	hooks = kl_live_hooks(w->live, &count);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "%-6s side: %s, frames that %s: %s%s%s\n",
			kl_side_name(hooks[i].side), hooks[i].interface,
			hooks[i].egress ? "leave" : "come in", hooks[i].how,
			hooks[i].why[0] ? ", not XDP: " : "", hooks[i].why);
}

static int open_links(struct kl_run *w, struct kl_error *err)
{
	const struct kl_live_config *live = &w->o->live;
	char names[KL_SIDES * KL_INTERFACES_MAX][IFNAMSIZ];
	size_t count = 0;

	for (int side = 0; side < KL_SIDES; side++) {
		for (size_t i = 0; i < live->interface_count[side]; i++)
			memcpy(names[count++], live->interfaces[side][i], sizeof(names[0]));
	}
	return kl_links_open(names, count, &w->links, err);
}

static int open_inputs(struct kl_run *w, struct kl_error *err)
{
	const struct kl_inputs_config config = {
		.o = w->o,
		.sessions = w->sessions,
		.mac = take_mac,
		.arp = take_arp,
		.alarm = take_alarm,
		.ageing = take_ageing,
		.arg = w,
	};

	return kl_inputs_open(&config, &w->inputs, err);
}

static int open_all(struct kl_run *w, struct kl_error *err)
{
	struct kl_sessions_config sessions = {
		.max = w->o->live.connections,
		.deadline_ns = w->o->live.deadline_ns,
		.sip_grace_ns = w->o->sip_grace_ns,
		.sccp_missed = w->o->sccp_missed,
		.two_sided = true,
		.mirrored = w->o->live.tap,
		.handler = take_story,
		.identified = take_identity,
		.leaves = w->handlers->leaves ? take_leaving : NULL,
		.arg = w,
	};
	int r;

	if ((r = kl_stop_open(w->handlers->hangup, &w->stop)))
		return kl_fail(err, r, "signals: %s", strerror(-r));
	if ((r = kl_sessions_new(&sessions, &w->sessions)))
		return kl_fail(err, r, "out of memory");
	return open_inputs(w, err) ?: kl_live_open(&w->o->live, &w->live, err)
				   ?: open_links(w, err)
				   ?: kl_inputs_open_own(w->inputs, w->live, err);
}

/*
 * Before the first byte is read of what strangers send. Kept is what hooks that are attached again
 * need, and what goes on reading and writing files of others' where root was told to.
 */
static int drop_privileges(const struct kl_options *o, struct kl_error *err)
{
	uint64_t keep = 1ULL << CAP_NET_ADMIN | 1ULL << CAP_BPF | 1ULL << CAP_PERFMON;

	if (o->syslog.files || o->traces)
		keep |= 1ULL << CAP_DAC_READ_SEARCH;
	if (o->output)
		keep |= 1ULL << CAP_DAC_OVERRIDE;
	return kl_keep_capabilities(keep, err);
}

int kl_run_open(struct kl_run *w)
{
	struct kl_error err = {};
	int r = open_all(w, &err) ?: drop_privileges(w->o, &err);

	if (r)
		fprintf(stderr, "kaloss %s: %s\n", w->verb, err.text);
	else
		print_hooks(w);
	return r;
}

void kl_run_close(struct kl_run *w)
{
	kl_inputs_close(w->inputs);
	kl_live_close(w->live);
	kl_links_close(w->links);
	kl_sessions_free(w->sessions);
	kl_stop_close(w->stop);
}

void kl_run_set_patience(struct kl_run *w)
{
	kl_sessions_set_patience(w->sessions, w->o->sip_grace_ns, w->o->sccp_missed);
	kl_inputs_set_patience(w->inputs, w->o->sip_grace_ns, w->o->sccp_missed);
}

/* The last look: all that came is in the last tick. */
static int finish(struct kl_run *w)
{
	int r;

	read_clocks(w);
	if ((r = fetch_events(w)))
		return r;
	kl_inputs_drain(w->inputs, w->now_ns);
	if ((r = sweep(w)))
		return r;
	kl_inputs_finish(w->inputs, w->now_ns);
	walk_connections(w, false);
	kl_gaps_end(w);
	return tick(w) ?: w->error;
}

int kl_run(struct kl_run *w)
{
	int r;

	/* What loading the programs took is not needed any more: a third of the heap. */
	malloc_trim(0);
	kl_live_start(w->live);
	kl_gaps_start(w);
	read_clocks(w);
	w->start_ns = w->tick_ns = w->sweep_ns = w->walk_ns = w->now_ns;
	if (w->handlers->started)
		w->handlers->started(w);
	r = run(w);
	if (w->handlers->stopping)
		w->handlers->stopping(w);
	if (!r)
		r = drain(w);
	return r ?: finish(w);
}
