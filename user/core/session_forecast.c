// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the server will give the phone up if this goes on. Two ways lead there:
 *
 *   silence  no keepalive has reached the server for longer than its period and what jitter
 *            explains. SIP: the refresh is due, and CUCM waits KL_SIP_GRACE_NS beyond it. SCCP:
 *            KL_SCCP_MISSED_MAX intervals without a keepalive
 *   growth   each keepalive gets through later than the one before, twice as late each time: the
 *            timeout doubles and is never reset. Some cycle's retry will come too late, and which
 *            one can be told cycles ahead
 *
 * Only for phones that are registered here: a backup server has nobody to give up.
 */
#include <stdio.h>

#include "core/session_state.h"

enum {
	CYCLES_AHEAD = 24
};

#define SECOND_NS (1000 * KL_NS_PER_MS)

static uint64_t period_ns(const struct kl_session *s)
{
	if (s->schedule.period_us)
		return s->schedule.period_us * KL_NS_PER_US;
	if (s->expires_s > KL_SIP_DELTA_S)
		return (s->expires_s - KL_SIP_DELTA_S) * SECOND_NS;
	return 0;
}

/* SIP refreshes one registration; SCCP is counted by keepalives. Under TLS the port is a hint. */
static bool refreshes(const struct kl_session *s)
{
	if (s->kind == KL_TLS_RECORD)
		return s->ends.cucm_port == 5061;
	return s->kind == KL_SIP_REGISTER;
}

static bool can_be_given_up(const struct kl_session *s)
{
	bool is_register = s->kind == KL_SIP_REGISTER || s->kind == KL_SCCP_KEEPALIVE ||
			   s->kind == KL_TLS_RECORD;

	return !s->closed_ns && !s->leaves && s->ok_ns && is_register && period_ns(s) &&
	       s->role == KL_ROLE_PRIMARY;
}

/* The server's last word, if nothing reaches it after ok_ns. */
static uint64_t limit_ns(const struct kl_sessions_config *c, const struct kl_session *s,
			 uint64_t ok_ns)
{
	if (refreshes(s))
		return ok_ns + period_ns(s) + c->sip_grace_ns;
	return ok_ns + c->sccp_missed * period_ns(s);
}

/* When silence begins to mean something: later where a growing timeout explains it so far. */
static uint64_t overdue_ns(const struct kl_sessions_config *c, const struct kl_node *n)
{
	const struct kl_session *s = &n->session;
	uint64_t period = period_ns(s), margin = period / 4, grown_ns;
	uint64_t jitter_ns = 2 * kl_schedule_slack_us(&s->schedule) * KL_NS_PER_US;

	if (jitter_ns > margin)
		margin = jitter_ns;
	if (refreshes(s) && margin > c->sip_grace_ns / 3)
		margin = c->sip_grace_ns / 3;
	grown_ns = n->growth.delay_us * KL_NS_PER_US * 5 / 2;
	if (s->forecast.growing && margin < grown_ns)
		margin = grown_ns;
	return s->ok_ns + period + margin;
}

/* ---- The growing timeout ---- */

void kl_forecast_got_through(struct kl_node *n)
{
	struct kl_flow_story *f = &n->flow[KL_TO_CUCM];
	const struct kl_episode *ep = kl_episode_of(f, f->last.seq, f->last.len);
	uint64_t copy_ns = ep ? ep->last_ns : f->last.time_ns;
	uint64_t delay_us = n->session.schedule.late_us +
			    (copy_ns - f->last.time_ns) / KL_NS_PER_US;
	uint64_t before = n->growth.delay_us, slack_us = kl_schedule_slack_us(&n->session.schedule);
	bool sure = ep || (n->late[0].told && n->late[0].seq == f->last.seq);

	/* Of delays that are known to be timeouts a rough doubling will do. */
	if (before >= KL_SCHEDULE_LATE_MIN_US &&
	    (sure && n->growth.sure
		     ? delay_us > before * 16 / 10 && delay_us < before * 24 / 10
		     : before > 2 * slack_us && kl_schedule_is_double(before, delay_us)))
		n->growth.doublings += n->growth.doublings < UINT8_MAX;
	else
		n->growth.doublings = 0;
	n->growth.sure = sure;
	n->growth.before_us = before < UINT32_MAX ? (uint32_t)before : 0;
	n->growth.delay_us = delay_us;
	n->growth.at_ns = copy_ns;
	kl_schedule_got_through(&n->session.schedule, copy_ns);
}

/* Follows the delays on, cycle by cycle. Returns the time of the end; 0: none in sight. */
static uint64_t grow(const struct kl_sessions_config *c, const struct kl_node *n,
		     unsigned *ret_cycles, uint64_t *ret_delay_ns)
{
	const struct kl_session *s = &n->session;
	bool adds_up = refreshes(s) || s->schedule.slips > 0;
	uint64_t delay_ns = n->growth.delay_us * KL_NS_PER_US, arrival_ns = n->growth.at_ns;
	uint64_t due_ns = arrival_ns - delay_ns;

	for (unsigned cycle = 1; cycle <= CYCLES_AHEAD; cycle++) {
		uint64_t next_due_ns = (adds_up ? arrival_ns : due_ns) + period_ns(s), next_ns;

		delay_ns *= 2;
		next_ns = next_due_ns + delay_ns;
		if (next_ns > limit_ns(c, s, arrival_ns)) {
			*ret_cycles = cycle;
			*ret_delay_ns = delay_ns;
			return limit_ns(c, s, arrival_ns);
		}
		due_ns = next_due_ns;
		arrival_ns = next_ns;
	}
	return 0;
}

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

/* ---- What is said ---- */

static void tell(struct kl_sessions *s, const struct kl_node *n, enum kl_forecast_state state,
		 uint64_t now_ns, const char *because)
{
	struct kl_story story = kl_story_of(n, KL_STORY_FORECAST, now_ns);

	story.state = state;
	story.at_ns = n->session.forecast.at_ns;
	snprintf(story.text, sizeof(story.text), "%s", because);
	kl_tell(s, &story);
}

static void expect(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns, uint64_t at_ns,
		   bool growing, const char *because)
{
	struct kl_forecast *f = &n->session.forecast;
	uint64_t tolerance_ns = period_ns(&n->session) / 4 + SECOND_NS;
	bool changed = f->at_ns &&
		       (f->at_ns > at_ns + tolerance_ns || at_ns > f->at_ns + tolerance_ns);

	if (f->at_ns && !changed) {
		f->growing = growing;
		return;
	}
	f->at_ns = at_ns;
	f->growing = growing;
	if (!changed)
		f->made_ns = now_ns;
	tell(s, n, changed ? KL_FORECAST_CHANGED : KL_FORECAST_EXPECTED, now_ns, because);
}

static void withdraw(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns, const char *because)
{
	tell(s, n, KL_FORECAST_WITHDRAWN, now_ns, because);
	n->session.forecast = (struct kl_forecast){};
}

static bool expect_silence(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns)
{
	const struct kl_session *session = &n->session;
	char because[KL_STORY_TEXT];

	if (now_ns < overdue_ns(&s->config, n) || n->given_up_ns >= session->ok_ns)
		return false;
	snprintf(because, sizeof(because),
		 refreshes(session)
			 ? "%sno refresh has reached the server for %.1f s, where one is due every "
			   "%.1f s and it waits %.0f s longer"
			 : "%sno keepalive has reached the server for %.1f s, where one is due "
			   "every "
			   "%.1f s and it waits for %.0f of them",
		 session->probable ? "probably, for under TLS only sizes and times are seen: " : "",
		 seconds(now_ns - session->ok_ns), seconds(period_ns(session)),
		 refreshes(session) ? seconds(s->config.sip_grace_ns)
				    : (double)s->config.sccp_missed);
	expect(s, n, now_ns, limit_ns(&s->config, session, session->ok_ns), false, because);
	return true;
}

static bool expect_growth(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns)
{
	const struct kl_session *session = &n->session;
	uint64_t at_ns, delay_ns = 0;
	char because[KL_STORY_TEXT];
	unsigned cycles = 0;

	if (n->growth.doublings < (n->growth.sure ? 1 : session->schedule.measured ? 2 : 3))
		return false;
	at_ns = grow(&s->config, n, &cycles, &delay_ns);
	if (!at_ns || at_ns <= now_ns)
		return false;
	snprintf(because, sizeof(because),
		 "%sthe last keepalives got through %.2f s and %.2f s late, twice as late each "
		 "time: the timeout doubles and no clean round-trip sample resets it (RFC 6298 "
		 "§5.5); if this goes on, the one %u cycle%s ahead comes %.1f s late, which is too "
		 "late",
		 session->probable ? "probably, for under TLS only sizes and times are seen: " : "",
		 (double)n->growth.before_us / 1e6, (double)n->growth.delay_us / 1e6, cycles,
		 cycles == 1 ? "" : "s", seconds(delay_ns));
	expect(s, n, now_ns, at_ns, true, because);
	return true;
}

void kl_forecast_look(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns)
{
	struct kl_session *session = &n->session;
	struct kl_forecast *f = &session->forecast;
	uint64_t patience_ns = period_ns(session) / 2 + SECOND_NS;

	if (!can_be_given_up(session)) {
		if (f->at_ns)
			withdraw(s, n, now_ns, "the phone ended its registration");
		return;
	}
	if (f->at_ns && now_ns > f->at_ns + patience_ns) {
		tell(s, n, KL_FORECAST_DID_NOT, now_ns,
		     "the time is over, and nothing of it was seen on this connection");
		*f = (struct kl_forecast){};
		n->given_up_ns = now_ns;
		n->growth.doublings = 0;
		return;
	}
	if (expect_silence(s, n, now_ns) || !f->at_ns || session->ok_ns < f->made_ns) {
		if (!f->at_ns)
			expect_growth(s, n, now_ns);
		return;
	}
	/* Something got through since. */
	if (!expect_growth(s, n, now_ns) && now_ns < overdue_ns(&s->config, n))
		withdraw(s, n, now_ns, "a keepalive got through in time");
}

void kl_forecast_gap(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns)
{
	if (n->session.forecast.at_ns)
		withdraw(s, n, now_ns,
			 "something was not seen: it is not known when the server last heard of "
			 "the phone");
}

void kl_forecast_end(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns,
		     enum kl_session_by by)
{
	struct kl_forecast *f = &n->session.forecast;

	if (!f->at_ns)
		return;
	if (by == KL_BY_CUCM)
		tell(s, n, KL_FORECAST_CAME_TRUE, now_ns, "the server closed the connection");
	else if (now_ns + period_ns(&n->session) / 4 >= f->at_ns)
		tell(s, n, KL_FORECAST_CAME_TRUE, now_ns, "the phone starts over");
	else
		tell(s, n, KL_FORECAST_WITHDRAWN, now_ns, "the connection ended before");
	*f = (struct kl_forecast){};
}

uint64_t kl_forecast_wake_ns(const struct kl_sessions *s, const struct kl_node *n)
{
	const struct kl_session *session = &n->session;
	uint64_t at_ns = session->forecast.at_ns;

	if (at_ns && session->forecast.growing && overdue_ns(&s->config, n) < at_ns)
		return overdue_ns(&s->config, n);
	if (at_ns)
		return at_ns + period_ns(session) / 2 + 2 * SECOND_NS;
	if (!can_be_given_up(session) || n->given_up_ns >= session->ok_ns)
		return 0;
	return overdue_ns(&s->config, n);
}
