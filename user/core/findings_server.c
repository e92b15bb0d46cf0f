// SPDX-License-Identifier: GPL-2.0-only
/* Rules about the call server's answers. */
#include "core/findings_internal.h"

#include <inttypes.h>

enum {
	KEEPALIVE_TIMEOUT = 13, /* reason of EndPointUnregistered */
	WATCHED_PERIODS = 3,
};

/* ---- It says nothing ---- */

/* Would what made the server give it up have been seen? It waits for three keepalives. */
static bool is_watched_before(const struct kl_facts *f, const struct kl_alarm *a)
{
	const struct kl_session *s = kl_sessions_find(f->d->sessions, a->session);
	uint64_t period_ns = s ? s->schedule.period_us * KL_NS_PER_US : 0;

	return period_ns && a->time_ns > f->d->first_ns + WATCHED_PERIODS * period_ns;
}

/* Phones it gave up for want of keepalives, of which every one passed here and none was lost. */
static uint64_t count_groundless(const struct kl_facts *f)
{
	uint64_t count = 0;

	for (size_t i = 0; i < f->d->evidence.alarm.count; i++) {
		const struct kl_alarm *a = &f->d->evidence.alarm.item[i];

		count += a->type == KL_ALARM_UNREGISTERED && a->reason == KEEPALIVE_TIMEOUT &&
			 a->session && !a->matched_loss && is_watched_before(f, a);
	}
	return count;
}

/* What the traces of the call processing say of keepalives that its TCP acknowledged. */
static void say_traces(const struct kl_facts *f, struct kl_finding *ret)
{
	const struct kl_trace_verdict *v = &f->d->evidence.trace_verdict;
	struct kl_finding_evidence *e;

	if (!f->d->evidence.has_trace || !v->offset_known || !v->covered)
		return;
	if (v->missing)
		e = kl_say(ret,
			   "of %" PRIu64
			   " keepalives that came through while its traces cover them, "
			   "the application says of %" PRIu64 " that it received them, and nothing "
			   "of %" PRIu64 ", of %" PRIu64 " sessions",
			   v->covered, v->received, v->missing, v->sessions_missing);
	else
		e = kl_say_against(ret,
				   "by its traces the application received all %" PRIu64
				   " keepalives that came through while they cover them",
				   v->covered);
	kl_say_figure(e, "traced", (double)v->covered);
	kl_say_figure(e, "traced_received", (double)v->received);
	kl_say_figure(e, "traced_missing", (double)v->missing);
}

bool kl_rule_cucm_silent(struct kl_facts *f, struct kl_finding *ret)
{
	const struct kl_trace_verdict *v = &f->d->evidence.trace_verdict;
	uint64_t groundless = count_groundless(f), untaken = v->offset_known ? v->missing : 0;

	if (!f->silent && !groundless && !untaken)
		return false;
	ret->fault = true;
	ret->phones = f->silent_phones;
	if (f->silent) {
		ret->confidence = kl_by_cases(f->silent);
		kl_explain_by(ret,
			      "The server's TCP acknowledged %" PRIu64
			      " keepalives that its application never answered. The network "
			      "delivered them; the call processing did not reply.",
			      f->silent);
		kl_say_figure(kl_say(ret,
				     "%" PRIu64 " of %" PRIu64 " keepalives, of %" PRIu64
				     " sessions",
				     f->silent, f->keepalives, f->silent_phones),
			      "unanswered", (double)f->silent);
	} else if (untaken) {
		ret->confidence = kl_by_cases(untaken);
		ret->phones = v->sessions_missing;
		kl_explain_by(ret,
			      "The server's TCP acknowledged %" PRIu64
			      " keepalives that its application never received, by its own traces. "
			      "The network delivered them; they waited in the server, or the call "
			      "processing stood still.",
			      untaken);
	} else {
		ret->confidence = groundless >= KL_CASES_ENOUGH ? KL_CONFIDENCE_MEDIUM
								: KL_CONFIDENCE_LOW;
		ret->phones = groundless;
		kl_explain_by(
			ret,
			"The server unregistered %" PRIu64
			" phones because their keepalives had timed out, but none of theirs "
			"was lost before that as far as is seen here. They were lost behind "
			"the last place that is seen, or the call processing did not take them.",
			groundless);
	}
	if (groundless)
		kl_say_figure(kl_say(ret,
				     "%" PRIu64 " unregistrations by keepAliveTimeout without a "
				     "loss before them",
				     groundless),
			      "unregistered_without_loss", (double)groundless);
	say_traces(f, ret);
	kl_remedy_is(ret,
		     "Look at the call server itself: load, call throttling, stopped services, "
		     "and its traces at those times.");
	return true;
}

/* ---- It answers too unevenly ---- */

bool kl_rule_failover_too_tight(struct kl_facts *f, struct kl_finding *ret)
{
	if (!f->tight)
		return false;
	/* A few slow answers are no reason to change anything. */
	ret->fault = f->tight >= KL_CASES_ENOUGH;
	ret->confidence = ret->fault ? KL_CONFIDENCE_MEDIUM : KL_CONFIDENCE_LOW;
	ret->phones = f->tight_phones;
	kl_explain_by(ret,
		      "Answers fluctuate so much that phones on normal failover, which wait about "
		      "as long as answers take on average, would have left a server that was there "
		      "%" PRIu64 " times.",
		      f->tight);
	kl_remedy_is(ret,
		     "Set the phones' failover from normal to delayed (three keepalive intervals)"
		     "%s, and find what makes the answers fluctuate.",
		     f->delayed ? "" : ", which would never have left it");
	kl_say(ret,
	       "%" PRIu64 " of %" PRIu64 " answers took more than twice the average; the longest "
	       "took %.1f ms",
	       f->tight, f->answers, f->longest_us / 1e3);
	return true;
}
