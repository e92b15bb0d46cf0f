// SPDX-License-Identifier: GPL-2.0-only
#include "cli/watch_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/inputs.h"
#include "source/nft_rules.h"
#include "util/cleanup.h"
#include "util/duration.h"

/* A drop that no loss has taken by then may be one of its own. */
#define UNCLAIMED_NS (2 * KL_NS_PER_S)

struct kl_watch_history {
	struct kl_history *history;
	uint64_t dropped_ns; /* drops until then were told */
	char names[KL_SIDES][KL_INTERFACES_MAX * 20];
	struct kl_nft_rules *rules; /* the writing thread's: as they were at its last look */
};

static void say(const char *line, void *arg)
{
	(void)arg;
	fprintf(stderr, "kaloss watch: %s\n", line);
}

/* It may wait for the kernel: in the writing thread nobody minds. */
static void look_at_rules(void *arg, kl_history_rule take, void *take_arg)
{
	struct kl_watch_history *w = arg;
	struct kl_nft_rules *now = NULL;

	if (kl_nft_rules_read(&now, NULL))
		return;
	kl_nft_rules_suspects(w->rules, now, take, take_arg);
	kl_nft_rules_free(w->rules);
	w->rules = now;
}

static void name_interfaces(const struct kl_live_config *live, unsigned side, char *ret,
			    size_t size)
{
	for (size_t i = 0; i < live->interface_count[side]; i++) {
		size_t len = strlen(ret);

		snprintf(ret + len, size - len, "%s%s", i ? "," : "", live->interfaces[side][i]);
	}
}

int kl_watch_history_open(const struct kl_options *o, struct kl_watch_history **ret)
{
	struct kl_watch_history *w;
	struct kl_history_config config = {
		.path = o->history,
		.keep_ns = o->keep_ns,
		.max_bytes = o->history_max_bytes,
		.version = KL_VERSION,
		.say = say,
		.look_at_rules = o->no_drops ? NULL : look_at_rules,
	};
	struct kl_error err = {};
	uint64_t now_ns;
	int r;

	if (!o->history)
		return 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	for (unsigned side = 0; side < KL_SIDES; side++)
		name_interfaces(&o->live, side, w->names[side], sizeof(w->names[side]));
	config.access = w->names[KL_ACCESS];
	config.cucm = w->names[KL_CUCM];
	config.arg = w;
	r = kl_history_open(&config, &w->history, &err);
	if (r) {
		fprintf(stderr, "kaloss watch: --history %s\n", err.text);
		free(w);
		return r;
	}
	now_ns = kl_monotonic_ns();
	kl_history_begin(w->history, now_ns, kl_realtime_ns() - now_ns);
	*ret = w;
	return 0;
}

void kl_watch_history_close(struct kl_watch_history *w)
{
	if (!w)
		return;
	if (!kl_history_close(w->history))
		return;
	kl_nft_rules_free(w->rules);
	free(w);
}

struct kl_history *kl_watch_history_of(struct kl_watch_history *w)
{
	return w ? w->history : NULL;
}

/* Without memory, these are not told of. */
static void take_dropped(struct kl_watch_history *w, struct kl_run *run, uint64_t until_ns)
{
	_cleanup_free_ struct kl_drop *drops = NULL;
	size_t count;

	if (kl_inputs_drops_behind(run->inputs, &drops, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		if (drops[i].time_ns > w->dropped_ns && drops[i].time_ns <= until_ns)
			kl_history_dropped(w->history, &drops[i]);
	}
	w->dropped_ns = until_ns;
}

/* What nobody tells by itself. */
static void fetch(struct kl_watch_history *w, struct kl_run *run, uint64_t dropped_until_ns)
{
	char remarks[KL_INPUT_REMARKS][KL_INPUT_REMARK];
	size_t count = kl_inputs_remarks(run->inputs, remarks);

	take_dropped(w, run, dropped_until_ns);
	for (size_t i = 0; i < count; i++)
		kl_history_remark(w->history, remarks[i]);
}

static struct kl_history_tick tick_of(struct kl_run *run, struct kl_evidence *has)
{
	kl_inputs_describe(run->inputs, has);
	return (struct kl_history_tick){
		.now_ns = run->now_ns,
		.offset_ns = run->realtime_offset_ns,
		.counters = &run->tally.last,
		.own = &run->tally.own,
		.phones = kl_sessions_phones(run->sessions),
		.sessions = run->sessions,
		.has = has,
	};
}

void kl_watch_history_tick(struct kl_watch_history *w, struct kl_run *run,
			   const struct kl_report_tick *record)
{
	struct kl_evidence has = {};
	struct kl_history_tick tick;

	if (!w)
		return;
	if (kl_history_is_due(w->history, run->now_ns))
		fetch(w, run, kl_since(run->now_ns, UNCLAIMED_NS));
	tick = tick_of(run, &has);
	tick.transit_max_ns = record->tally->transit.max_ns;
	tick.answer_max_ns = record->tally->answer.max_ns;
	tick.inferred = record->inferred;
	tick.mac_flushes = record->mac_flushes;
	kl_history_tick(w->history, &tick);
}

void kl_watch_history_end(struct kl_watch_history *w, struct kl_run *run)
{
	static const uint64_t nothing[KL_DIRECTIONS][KL_WHERES];
	struct kl_evidence has = {};
	struct kl_history_tick tick;

	if (!w)
		return;
	fetch(w, run, UINT64_MAX);
	tick = tick_of(run, &has);
	tick.inferred = nothing;
	kl_history_end(w->history, &tick);
}
