// SPDX-License-Identifier: GPL-2.0-only
#include "cli/gaps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/inputs.h"
#include "cli/run.h"
#include "source/links.h"
#include "source/live.h"
#include "util/duration.h"

enum {
	LINES_A_MINUTE = 30,
	SLEPT_LEAST_MS = 100,
};

/* ---- Saying it, and not for ever ---- */

static void say_unsaid(struct kl_run *w)
{
	if (w->gaps.unsaid)
		fprintf(stderr, "kaloss %s: %u more changes of interfaces were not told\n", w->verb,
			w->gaps.unsaid);
	w->gaps.unsaid = 0;
}

__attribute__((format(printf, 2, 3))) static void say(struct kl_run *w, const char *format, ...)
{
	struct kl_gaps *g = &w->gaps;
	char line[512];
	va_list args;

	if (g->looked_ns - g->minute_ns >= 60 * KL_NS_PER_S) {
		say_unsaid(w);
		g->minute_ns = g->looked_ns;
		g->said = 0;
	}
	if (g->said == LINES_A_MINUTE) {
		g->unsaid++;
		return;
	}
	g->said++;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "kaloss %s: %s\n", w->verb, line);
}

/* ---- Interfaces ---- */

static void take_change(const struct kl_link_change *c, void *arg)
{
	static const char *const what[] = {
		[KL_LINK_UP] = "is up",
		[KL_LINK_DOWN] = "is down",
		[KL_LINK_GONE] = "is gone, and awaited",
	};
	struct kl_run *w = arg;

	if (c->state == KL_LINK_GONE)
		kl_live_gone(w->live, c->ifindex);
	if (c->state != KL_LINK_RENAMED)
		say(w, "%s %s: nothing under way now is called lost", c->interface, what[c->state]);
	else if (strcmp(c->interface, c->called))
		say(w, "%s is called %s now, and still watched", c->interface, c->called);
	else
		say(w, "%s has its name again", c->interface);
}

static void take_news(const struct kl_hook *hook, enum kl_hook_news news, const char *text,
		      void *arg)
{
	struct kl_run *w = arg;

	switch (news) {
	case KL_HOOK_OFF:
		say(w, "%s, frames that %s: our program is not where it was (%s)", hook->interface,
		    hook->egress ? "leave" : "come in", text);
		break;
	case KL_HOOK_REFUSED:
		say(w,
		    "%s: it cannot be watched again yet, and nothing is called lost until it can",
		    text);
		break;
	case KL_HOOK_BACK:
		say(w, "%s is watched again (%s%s%s)", hook->interface, text,
		    hook->why[0] ? ", not XDP: " : "", hook->why);
		break;
	}
}

static bool look_at_interfaces(struct kl_run *w)
{
	struct kl_gaps *g = &w->gaps;
	int changes = kl_links_drain(w->links, take_change, w);
	int mended = kl_live_mend(w->live, g->looked_ns, take_news, w);

	if (changes < 0)
		say(w, "interface changes: %s: anything may have happened", strerror(-changes));
	if (changes || mended)
		kl_inputs_interfaces(w->inputs);
	g->missing = kl_live_missing(w->live);
	return changes || mended;
}

/* ---- Sleep ---- */

/*
 * The time that CLOCK_MONOTONIC, which all else here goes by, stood still: at least, and at most, for
 * whoever reads two clocks may be held up between them.
 */
static uint64_t slept_least_ns(void)
{
	uint64_t all_ns = kl_boottime_ns(), awake_ns = kl_monotonic_ns();

	return kl_since(all_ns, awake_ns);
}

static uint64_t slept_most_ns(void)
{
	uint64_t awake_ns = kl_monotonic_ns(), all_ns = kl_boottime_ns();

	return kl_since(all_ns, awake_ns);
}

static bool look_at_sleep(struct kl_run *w)
{
	uint64_t slept = slept_least_ns(), before = w->gaps.slept_ns;

	if (slept < before + SLEPT_LEAST_MS * KL_NS_PER_MS)
		return false;
	w->gaps.slept_ns = slept_most_ns();
	say(w, "this host slept for %.1f s: nothing under way then is called lost",
	    (double)(slept - before) / 1e9);
	return true;
}

/* ---- From start to end ---- */

void kl_gaps_start(struct kl_run *w)
{
	w->gaps.slept_ns = slept_most_ns();
	w->gaps.looked_ns = w->gaps.minute_ns = kl_monotonic_ns();
}

void kl_gaps_look(struct kl_run *w)
{
	struct kl_gaps *g = &w->gaps;
	uint64_t now_ns = kl_monotonic_ns();
	bool gap;

	if (g->missing)
		g->missing_ns += now_ns - g->looked_ns;
	g->looked_ns = now_ns;
	gap = look_at_interfaces(w);
	gap |= look_at_sleep(w);
	w->tally.own.gaps += gap;
	w->tally.own.missing_ms = g->missing_ns / KL_NS_PER_MS;
	/* While an interface is missing no flow may stay proven: it may pass there. */
	if (!gap && !g->missing)
		return;
	kl_live_gap(w->live);
	/* (They stand by a gap for longer than that.) */
	if (gap || now_ns - g->told_ns >= KL_NS_PER_S) {
		kl_sessions_gap(w->sessions, now_ns);
		g->told_ns = now_ns;
	}
}

void kl_gaps_end(struct kl_run *w)
{
	say_unsaid(w);
}
