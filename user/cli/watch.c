// SPDX-License-Identifier: GPL-2.0-only
/* kaloss watch: live, until stopped. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "cli/options.h"
#include "core/names.h"
#include "core/session.h"
#include "core/tally.h"
#include "report/report.h"
#include "source/links.h"
#include "source/live.h"
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

struct watch {
	const struct kl_options *o;
	struct kl_live *live;
	struct kl_links *links;
	struct kl_sessions *sessions;
	struct kl_tally_state tally;
	struct kl_report report;
	uint64_t start_ns, tick_ns, sweep_ns, walk_ns;
	uint64_t now_ns;
	uint64_t realtime_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	size_t most_phones;	     /* at any tick so far */
	uint64_t events_lost;	     /* at the last walk */
	uint64_t refused;
	uint64_t evicted;			     /* sessions, at the last tick */
	uint64_t inferred[KL_DIRECTIONS][KL_WHERES]; /* at the last tick */
	uint64_t evict_before_ns; /* a walk forgets connections silent since then */
	int report_error;	  /* negative errno of the first write that failed */
	int error;
};

/* ---- Out ---- */

static uint64_t wall(const struct watch *w, uint64_t monotonic_ns)
{
	return monotonic_ns + w->realtime_offset_ns;
}

static void keep_report_error(struct watch *w, int r)
{
	if (r && !w->report_error)
		w->report_error = r;
}

static void take_story(const struct kl_story *story, void *arg)
{
	struct watch *w = arg;

	keep_report_error(w, kl_report_story(&w->report, story, w->realtime_offset_ns));
}

static void take_event(const struct kl_event *e, void *arg)
{
	const struct kl_payload_event *with = (const struct kl_payload_event *)e;
	bool has_payload = e->type == KL_EVENT_PAYLOAD;
	struct watch *w = arg;
	int r = kl_sessions_feed(w->sessions, e, has_payload ? with->payload : NULL,
				 has_payload ? with->len : 0);

	if (r)
		w->error = r;
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

static void take_loss(const struct kl_judged *j, void *arg)
{
	const struct kl_join_entry *e = &j->entry;
	__u32 direction = e->key.len_direction & 1;
	struct watch *w = arg;
	const struct kl_session *session = kl_sessions_find(w->sessions, e->conn_id);
	struct kl_loss loss = {
		.where = KL_BETWEEN,
		.direction = direction,
		.kind = e->kind,
		.seq = e->key.seq,
		.seq_other = e->key.seq, /* between two interfaces of one host they are the same */
		.length = e->key.len_direction >> 1,
	};

	loss.party = (struct kl_party){ .ends = j->ends, .vlan = j->vlan };
	memcpy(loss.party.mac, j->phone_mac, sizeof(loss.party.mac));
	if (session && session->device[0])
		loss.party.device = session->device;
	loss.copies[direction] = e->near + e->overdue; /* those are not in near */
	loss.copies[direction ^ 1] = kl_join_far(e);
	kl_sessions_lost_between(w->sessions, e->conn_id, direction, loss.seq, loss.length,
				 j->missing, true);
	for (unsigned copy = 0; copy < j->missing; copy++) {
		loss.time_ns = wall(w, copy_time(e, copy));
		keep_report_error(w, w->report.format->loss(&w->report, &loss));
	}
}

/* ---- Upkeep ---- */

static void take_link_change(const struct kl_link_change *change, void *arg)
{
	static const char *const what[] = { "is up", "is down", "is gone" };

	(void)arg;
	fprintf(stderr, "kaloss watch: %s %s: nothing under way now is called lost\n",
		change->interface, what[change->state]);
}

static void watch_links(struct watch *w)
{
	int r = kl_links_drain(w->links, take_link_change, w);

	if (!r)
		return;
	if (r < 0)
		fprintf(stderr, "kaloss watch: interface changes: %s: anything may have happened\n",
			strerror(-r));
	kl_live_gap(w->live);
	kl_sessions_gap(w->sessions, kl_monotonic_ns());
	w->tally.own.gaps++;
}

static void forget(struct watch *w, uint64_t id)
{
	kl_live_forget(w->live, id);
	/* A list of all sessions at the end holds those that ended, as far as there is room. */
	if (!w->o->per_phone)
		kl_sessions_remove(w->sessions, id);
}

static void take_connection(uint64_t id, const struct kl_conn *conn, void *arg)
{
	struct watch *w = arg;
	bool closed = conn->flow[KL_TO_CUCM].closing || conn->flow[KL_TO_PHONE].closing;
	uint64_t quiet_ns = w->now_ns > conn->seen_ns ? w->now_ns - conn->seen_ns : 0;
	bool one_way;

	if (kl_sessions_meet(w->sessions, id, conn, w->now_ns, &one_way))
		w->error = -ENOMEM;
	w->tally.own.one_way += one_way;

	if (closed && quiet_ns > CLOSED_KEEP_S * KL_NS_PER_S) {
		forget(w, id);
	} else if (conn->seen_ns < w->evict_before_ns || quiet_ns > SILENT_KEEP_S * KL_NS_PER_S) {
		kl_sessions_time_out(w->sessions, id, w->now_ns);
		w->tally.own.flows_evicted += conn->seen_ns < w->evict_before_ns;
		forget(w, id);
	}
}

static void walk_connections(struct watch *w, bool full)
{
	/* No room for a new connection: those that are silent for long make some. */
	w->evict_before_ns = full && w->now_ns > EVICT_SILENT_S * KL_NS_PER_S
				     ? w->now_ns - EVICT_SILENT_S * KL_NS_PER_S
				     : 0;
	w->walk_ns = w->now_ns;
	kl_live_connections(w->live, take_connection, w);
}

static int sweep(struct watch *w)
{
	int r;

	/* An interface's change must be known before anything is judged. */
	watch_links(w);
	w->sweep_ns = w->now_ns;
	r = kl_live_sweep(w->live, w->now_ns, take_loss, w);
	if (r)
		fprintf(stderr, "kaloss watch: the sweep failed: %s\n", strerror(-r));
	return r;
}

/* What was inferred since the last tick. */
static void take_inferred(struct watch *w, uint64_t ret[KL_DIRECTIONS][KL_WHERES])
{
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		for (int where = 0; where < KL_WHERES; where++) {
			uint64_t now = kl_sessions_inferred(w->sessions, d, (enum kl_where)where);

			ret[d][where] = now - w->inferred[d][where];
			w->inferred[d][where] = now;
		}
	}
}

static int tick(struct watch *w, struct kl_tally_report *ret)
{
	struct kl_counters counters;
	struct kl_maxima maxima;
	int r = kl_live_maxima(w->live, &maxima);
	struct kl_report_tick record = { .tally = ret };
	bool full;

	if (!r)
		r = kl_live_counters(w->live, &counters);
	if (r) {
		fprintf(stderr, "kaloss watch: reading the counters: %s\n", strerror(-r));
		return r;
	}
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
	kl_tally_tick(&w->tally, &counters, &maxima, ret);
	take_inferred(w, record.inferred);
	record.time_ns = wall(w, w->now_ns);
	record.interval_s = (double)(w->now_ns - w->tick_ns) / 1e9;
	record.phones = kl_sessions_phones(w->sessions);
	if (record.phones > w->most_phones)
		w->most_phones = record.phones;
	w->tick_ns = w->now_ns;
	keep_report_error(w, w->report.format->tick(&w->report, &record));
	return 0;
}

static void read_clocks(struct watch *w)
{
	w->now_ns = kl_monotonic_ns();
	w->realtime_offset_ns = kl_realtime_ns() - w->now_ns;
}

static int fetch_events(struct watch *w)
{
	int r = kl_live_events(w->live, take_event, w);

	if (r < 0)
		fprintf(stderr, "kaloss watch: reading the events: %s\n", strerror(-r));
	else
		r = w->error;
	if (w->error)
		fprintf(stderr, "kaloss watch: the sessions: %s\n", strerror(-w->error));
	return r;
}

/* All events from before `now` are in. (One that a CPU is still writing may be a moment older.) */
static void advance_sessions(struct watch *w)
{
	uint64_t settled_ns = w->now_ns - EVENTS_SETTLE_MS * KL_NS_PER_MS;

	if (w->now_ns > EVENTS_SETTLE_MS * KL_NS_PER_MS)
		kl_sessions_advance(w->sessions, settled_ns);
}

/* Fetches what there is to fetch. Returns a negative errno where going on makes no sense. */
static int beat(struct watch *w)
{
	int r;

	read_clocks(w);
	r = fetch_events(w);
	if (!r && w->now_ns - w->sweep_ns >= SWEEP_EVERY_MS * KL_NS_PER_MS)
		r = sweep(w);
	if (r)
		return r;
	advance_sessions(w);
	if (w->now_ns - w->tick_ns >= w->o->interval_ns) {
		struct kl_tally_report report;

		if (w->sweep_ns != w->now_ns && (r = sweep(w)))
			return r;
		r = tick(w, &report);
	}
	if (!r)
		keep_report_error(w, kl_report_flush(&w->report));
	return r ? r : w->report_error;
}

/* ---- From start to end ---- */

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Waits for a beat. Returns true where a signal asks for the end. */
static bool wait_beat(struct watch *w, int signals, uint64_t until_ns)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = kl_links_fd(w->links), .events = POLLIN },
	};
	uint64_t now_ns = kl_monotonic_ns(), left_ms = BEAT_MS;
	struct signalfd_siginfo info;

	if (until_ns) {
		uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;

		if (left_ns / KL_NS_PER_MS < left_ms)
			left_ms = left_ns / KL_NS_PER_MS + 1;
	}
	poll(fds, KL_COUNT(fds), (int)left_ms);
	if (fds[1].revents)
		watch_links(w);
	return fds[0].revents && read(signals, &info, sizeof(info)) == sizeof(info);
}

static int run(struct watch *w, int signals)
{
	uint64_t end_ns = w->o->duration_ns ? w->start_ns + w->o->duration_ns : 0;

	for (;;) {
		uint64_t next_ns = w->tick_ns + w->o->interval_ns;
		int r;

		if (end_ns && end_ns < next_ns)
			next_ns = end_ns;
		if (wait_beat(w, signals, next_ns))
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
 * a second signal says not to wait.
 */
static int drain(struct watch *w, int signals)
{
	uint64_t until_ns = kl_monotonic_ns() + w->o->live.deadline_ns +
			    SWEEP_EVERY_MS * KL_NS_PER_MS;
	struct kl_counters counters;
	int r;

	kl_live_drain(w->live);
	do {
		r = beat(w);
		if (!r)
			r = kl_live_counters(w->live, &counters);
		if (r)
			return r;
	} while (kl_tally_pending(&counters) && kl_monotonic_ns() < until_ns &&
		 !wait_beat(w, signals, until_ns));
	return 0;
}

static int summarize(struct watch *w)
{
	struct kl_report_tick record = {};
	struct kl_tally_report last;
	int r;

	read_clocks(w);
	if ((r = fetch_events(w)) || (r = sweep(w)))
		return r;
	walk_connections(w, false);
	if ((r = tick(w, &last)))
		return r;
	record.time_ns = wall(w, w->now_ns);
	record.interval_s = (double)(w->now_ns - w->start_ns) / 1e9;
	record.phones = w->most_phones;
	record.tally = &w->tally.total;
	memcpy(record.inferred, w->inferred, sizeof(record.inferred));
	if (w->o->per_phone)
		record.sessions = w->sessions;
	keep_report_error(w, w->report.format->summary(&w->report, &record));
	keep_report_error(w, kl_report_flush(&w->report));
	return w->report_error;
}

static void print_self_cost(struct watch *w)
{
	struct kl_program_cost cost[8];
	size_t count = kl_live_self_cost(w->live, cost, KL_COUNT(cost));

	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "%-16s %10" PRIu64 " runs, %6.0f ns each\n", cost[i].program,
			cost[i].runs, (double)cost[i].run_ns / (double)cost[i].runs);
}

static void print_hooks(const struct watch *w)
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

static int open_links(struct watch *w, struct kl_error *err)
{
	unsigned ifindexes[2 * KL_SIDES * KL_INTERFACES_MAX];
	const struct kl_hook *hooks;
	size_t count;

	hooks = kl_live_hooks(w->live, &count);
	for (size_t i = 0; i < count; i++)
		ifindexes[i] = hooks[i].ifindex;
	return kl_links_open(ifindexes, count, &w->links, err);
}

static int watch(struct watch *w, int signals, FILE *out)
{
	struct kl_sessions_config sessions = {
		.max = w->o->live.connections,
		.deadline_ns = w->o->live.deadline_ns,
		.sip_grace_ns = w->o->sip_grace_ns,
		.sccp_missed = w->o->sccp_missed,
		.two_sided = true,
		.handler = take_story,
		.arg = w,
	};
	struct kl_error err = {};
	int r;

	w->report = (struct kl_report){
		.out = out,
		.color = kl_wants_color(w->o, out),
		.format = w->o->format == KL_FORMAT_JSONL ? &kl_report_jsonl : &kl_report_text,
	};
	if ((r = kl_sessions_new(&sessions, &w->sessions)))
		kl_fail(&err, r, "out of memory");
	else if (!(r = kl_live_open(&w->o->live, &w->live, &err)))
		r = open_links(w, &err);
	if (r) {
		fprintf(stderr, "kaloss watch: %s\n", err.text);
		return r;
	}
	print_hooks(w);
	kl_live_start(w->live);
	read_clocks(w);
	w->start_ns = w->tick_ns = w->sweep_ns = w->walk_ns = w->now_ns;
	r = run(w, signals);
	if (!r)
		r = drain(w, signals);
	if (!r)
		r = summarize(w);
	if (!r && w->o->live.self_cost)
		print_self_cost(w);
	return r;
}

int kl_watch(const struct kl_options *o)
{
	_cleanup_fclose_ FILE *file = NULL;
	struct watch w = { .o = o };
	_cleanup_close_ int signals = open_signals();
	int r;

	/* A reader that goes away is an error of the write, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	if (signals < 0) {
		fprintf(stderr, "kaloss watch: signals: %s\n", strerror(errno));
		return KL_EXIT_FAILED;
	}
	if (o->output) {
		file = fopen(o->output, "we");
		if (!file) {
			fprintf(stderr, "kaloss watch: %s: %s\n", o->output, strerror(errno));
			return KL_EXIT_FAILED;
		}
	}
	r = watch(&w, signals, file ? file : stdout);
	kl_live_close(w.live);
	kl_links_close(w.links);
	kl_sessions_free(w.sessions);
	if (w.report_error && w.report_error != -EPIPE)
		fprintf(stderr, "kaloss watch: writing to %s: %s\n",
			o->output ? o->output : "standard output", strerror(-w.report_error));
	return !r || r == -EPIPE ? KL_EXIT_OK : KL_EXIT_FAILED;
}
