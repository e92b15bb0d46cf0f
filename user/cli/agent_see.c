// SPDX-License-Identifier: GPL-2.0-only
/* kaloss agent: what comes from the interfaces, and what is known to be missing of it. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cli/agent_internal.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	SETTLE_MS = 100,      /* how long a record may be on its way */
	SLEPT_LEAST_MS = 100, /* less may be between two readings of clocks */
	STOOD_LEAST_S = 10,   /* a host as busy as that may just as well have stood still */
	LINES_A_MINUTE = 30,
	IDLE_S = 5, /* a batch without sightings goes out after this */
};

/* ---- Segments ---- */

/* Inline, a segment of this side comes in from one direction and leaves in the other. */
static bool is_wrong_way(const struct kl_agent *a, const struct kl_sight_record *r)
{
	bool ambiguous;
	uint32_t direction = kl_orient(&a->ports, &r->segment, &ambiguous);

	return !a->live.tap && !ambiguous && (a->o->sites.side == direction) == r->egress;
}

static void take_record(const struct kl_sight_record *r, void *arg)
{
	struct kl_agent *a = arg;
	struct kl_sight_input in = {
		.time_ns = r->time_ns + a->clock_ns,
		.segment = &r->segment,
		.payload = r->payload,
		.have = r->have,
		.is_fragment = r->fragment,
	};
	struct kl_sight sight;
	int e;

	if (r->time_ns < a->start_ns)
		return;
	if (is_wrong_way(a, r)) {
		a->wrong_way++;
		return;
	}
	e = kl_sighter_see(a->sighter, &in, &sight);
	if (!e && kl_sight_matters(&sight))
		e = kl_batcher_add(a->batcher, &sight.sighted,
				   sight.sighted.device ? sight.message.device : NULL);
	if (e)
		a->fatal = (uint64_t)-e;
}

/* ---- What is missing ---- */

static void miss(struct kl_agent *a, enum kl_wire_why why)
{
	kl_batcher_missed(a->batcher, a->looked_ns + a->clock_ns, a->now_ns + a->clock_ns, why);
}

static void say_of_interfaces(struct kl_agent *a, const char *interface, const char *what)
{
	if (a->now_ns - a->minute_ns >= 60 * KL_NS_PER_S) {
		a->minute_ns = a->now_ns;
		a->said = 0;
	}
	if (a->said++ < LINES_A_MINUTE)
		kl_agent_say(a, "%s %s", interface, what);
}

static void take_change(const struct kl_link_change *c, void *arg)
{
	static const char *const what[] = {
		[KL_LINK_UP] = "is up",
		[KL_LINK_DOWN] = "is down: what passes there is declared as not seen",
		[KL_LINK_GONE] = "is gone, and awaited: what passes there is declared as not seen",
		[KL_LINK_RENAMED] = "was renamed",
	};
	struct kl_agent *a = arg;

	if (c->state == KL_LINK_GONE)
		kl_one_side_gone(a->side, c->ifindex);
	say_of_interfaces(a, c->interface, what[c->state]);
}

static void take_news(const struct kl_hook *hook, enum kl_hook_news news, const char *text,
		      void *arg)
{
	static const char *const what[] = {
		[KL_HOOK_OFF] = "our program is not where it was",
		[KL_HOOK_REFUSED] = "it cannot be watched again yet",
		[KL_HOOK_BACK] = "it is watched again",
	};
	char line[512];

	snprintf(line, sizeof(line), "%s (%.400s)", what[news], text);
	say_of_interfaces(arg, hook->interface, line);
}

static void look_at_interfaces(struct kl_agent *a)
{
	int changes = kl_links_drain(a->links, take_change, a);
	int mended = kl_one_side_mend(a->side, a->now_ns, take_news, a);

	if (!changes && !mended && !kl_one_side_missing(a->side))
		return;
	a->gaps += changes || mended;
	miss(a, KL_WIRE_INTERFACE);
}

/* What the ring had no room for came since the time before. */
static int look_at_overflow(struct kl_agent *a)
{
	struct kl_sight_counters now;
	int r = kl_one_side_counters(a->side, &now);

	if (r)
		return r;
	if (now.lost != a->counters.lost)
		miss(a, KL_WIRE_OVERFLOW);
	a->counters = now;
	return 0;
}

/* ---- Boots ---- */

static uint64_t slept_ns(void)
{
	uint64_t awake_ns = kl_monotonic_ns(), all_ns = kl_boottime_ns();

	return all_ns > awake_ns ? all_ns - awake_ns : 0;
}

static void add_before(struct kl_agent *a)
{
	struct kl_batcher_stats stats;

	kl_batcher_stats(a->batcher, &stats);
	a->before.sightings += stats.sightings;
	a->before.batches += stats.batches;
	a->before.bytes += stats.bytes;
	a->before.late += stats.late;
	a->before.refused += stats.refused;
	a->before.missed += stats.missed;
}

int kl_agent_begin_boot(struct kl_agent *a)
{
	struct kl_batcher_config config = {
		.side = a->o->sites.side,
		.rule = a->o->sites.rule,
		.partitions = a->o->sites.partitions,
		.every_ns = a->o->sites.batch_ns,
		.idle_ns = a->o->sites.batch_ns > IDLE_S * KL_NS_PER_S ? a->o->sites.batch_ns
								       : IDLE_S * KL_NS_PER_S,
		.handler = kl_agent_take_batch,
		.arg = a,
	};

	if (getrandom(&a->boot, sizeof(a->boot), 0) != sizeof(a->boot))
		return -EIO;
	a->boot |= !a->boot;
	a->slept_ns = slept_ns();
	a->now_ns = a->looked_ns = a->start_ns = kl_monotonic_ns();
	a->clock_ns = kl_realtime_ns() - a->now_ns;
	config.boot = a->boot;
	config.start_ns = a->start_ns + a->clock_ns;
	if (a->batcher)
		add_before(a);
	kl_batcher_free(a->batcher);
	a->batcher = NULL;
	return kl_batcher_new(&config, &a->batcher);
}

/*
 * The kernel's clock stood still while the host slept: from there on it is another one. A virtual
 * machine that stood still saw nothing either, and its clock may have gone on.
 */
static int look_at_pauses(struct kl_agent *a)
{
	uint64_t slept = slept_ns(), before = a->slept_ns;
	uint64_t stood_ns = kl_monotonic_ns() - a->now_ns;
	int r;

	if (slept >= before + SLEPT_LEAST_MS * KL_NS_PER_MS)
		kl_agent_say(a, "this host slept for %.1f s: declared as not seen",
			     (double)(slept - before) / 1e9);
	else if (stood_ns >= STOOD_LEAST_S * KL_NS_PER_S)
		kl_agent_say(a, "nothing ran here for %.1f s: declared as not seen",
			     (double)stood_ns / 1e9);
	else
		return 0;
	r = kl_agent_make_batches(a, true);
	return r ?: kl_agent_begin_boot(a);
}

/* ---- All of it ---- */

int kl_agent_see(struct kl_agent *a)
{
	int r = look_at_pauses(a);

	if (r)
		return r;
	a->now_ns = kl_monotonic_ns();
	look_at_interfaces(a);
	r = kl_one_side_records(a->side, take_record, a);
	if (r >= 0)
		r = look_at_overflow(a);
	if (!r && a->fatal)
		r = -(int)a->fatal;
	a->looked_ns = a->now_ns;
	return r;
}

int kl_agent_make_batches(struct kl_agent *a, bool all)
{
	uint64_t settled_ns = a->now_ns - (all ? 0 : SETTLE_MS * KL_NS_PER_MS);
	int64_t wall_ns = (int64_t)(kl_realtime_ns() - (kl_monotonic_ns() + a->clock_ns));

	if (settled_ns < a->start_ns)
		return 0;
	return kl_batcher_advance(a->batcher, settled_ns + a->clock_ns, wall_ns, all);
}
