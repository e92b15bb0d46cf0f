// SPDX-License-Identifier: GPL-2.0-only
/* Sessions: roles, what their messages say, how they start and end, forecasts, the table's bounds. */
#include <criterion/criterion.h>
#include <string.h>

#include "../packets/packets.h"
#include "stage.h"

/* As many keepalives, on time. Returns when the next one is due. */
static __u64 keep_alive(struct stage *st, __u64 at, __u64 period_ns, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		stage_exchange(st, at);
		at += period_ns;
	}
	return at;
}

/* ---- Roles ---- */

static const struct {
	const char *name;
	struct stage_setup setup;
	__u32 period_s;
	enum kl_role role;
	bool probable;
	__u8 kind;
} roles[] = {
	{ "SCCP primary", { KL_SCCP }, 30, KL_ROLE_PRIMARY, false, KL_SCCP_KEEPALIVE },
	{ "SCCP backup",
	  { KL_SCCP, .backup = true },
	  60,
	  KL_ROLE_BACKUP,
	  false,
	  KL_SCCP_KEEPALIVE },
	{ "SIP primary", { KL_SIP }, 115, KL_ROLE_PRIMARY, false, KL_SIP_REGISTER },
	{ "SIP backup",
	  { KL_SIP, .backup = true },
	  115,
	  KL_ROLE_BACKUP,
	  false,
	  KL_SIP_REGISTER_BACKUP },
	{ "SCCP under TLS", { KL_SCCP_TLS }, 30, KL_ROLE_PRIMARY, true, KL_TLS_RECORD },
	{ "SIP under TLS", { KL_SIP_TLS }, 115, KL_ROLE_PRIMARY, true, KL_TLS_RECORD },
};

Test(session, roles)
{
	for (unsigned i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		const struct kl_session *s;
		struct stage st;

		stage_init(&st, &roles[i].setup);
		stage_connect(&st, STAGE_START_NS);
		keep_alive(&st, STAGE_START_NS + STAGE_S, roles[i].period_s * STAGE_S, 12);
		stage_until(&st, st.now + STAGE_S);
		s = stage_session(&st);
		cr_expect_eq(s->role, roles[i].role, "%s: %u", roles[i].name, s->role);
		cr_expect_eq(s->probable, roles[i].probable, "%s", roles[i].name);
		cr_expect_eq(s->kind, roles[i].kind, "%s", roles[i].name);
		cr_expect_float_eq((double)s->schedule.period_us / 1e6, roles[i].period_s, 0.02,
				   "%s: %llu", roles[i].name,
				   (unsigned long long)s->schedule.period_us);
		cr_expect_eq(stage_losses(&st), 0, "%s", roles[i].name);
		cr_expect_eq(s->unacknowledged, 0, "%s", roles[i].name);
		cr_expect_eq(stage_stories(&st, KL_STORY_FORECAST), 0, "%s", roles[i].name);
		stage_done(&st);
	}
}

/* A hundred acknowledged, none answered: nothing is lost; a server that falls silent is told. */
Test(session, acknowledged_but_silent_is_not_unacknowledged)
{
	struct stage_setup setup = { KL_SCCP };
	struct stage st;
	__u64 at;

	stage_init(&st, &setup);
	stage_connect(&st, STAGE_START_NS);
	at = keep_alive(&st, STAGE_START_NS + STAGE_S, 30 * STAGE_S, 6);
	st.setup.backup = true; /* acknowledges from now on, and says nothing */
	at = keep_alive(&st, at, 30 * STAGE_S, 4);
	st.setup.backup = false;
	keep_alive(&st, at, 30 * STAGE_S, 1);
	cr_expect_eq(stage_session(&st)->acknowledged_only, 4);
	cr_expect_eq(stage_session(&st)->unacknowledged, 0);
	cr_expect_eq(stage_session(&st)->answered, 7);
	cr_expect_eq(stage_session(&st)->role, KL_ROLE_PRIMARY);
	cr_expect_eq(stage_losses(&st), 0);
	stage_done(&st);
}

/* ---- What the messages say ---- */

Test(session, sccp_messages)
{
	static const __u32 intervals[6] = { 30, 0, 0, 60 };
	struct pkt_payload alarm = { 0 }, registers = { 0 }, ack = { 0 }, leave = { 0 };
	struct stage_setup setup = { KL_SCCP };
	const struct kl_session *s;
	struct stage st;
	__u64 at = STAGE_START_NS;

	pkt_sccp(&alarm, 0x14, KL_SCCP_ID_ALARM,
		 "\2\0\0\0Name=SEP001380AD9E5F Load=8.4 Last=CM-aborted-TCP", 54);
	pkt_sccp_register(&registers, "SEP001380AD9E5F");
	pkt_sccp(&ack, 0x14, KL_SCCP_ID_REGISTER_ACK, intervals, sizeof(intervals));
	pkt_sccp(&leave, 0x14, KL_SCCP_ID_UNREGISTER, "", 0);
	stage_init(&st, &setup);
	stage_connect(&st, at);
	stage_say(&st, at + 10 * STAGE_MS, KL_TO_CUCM, alarm.data, alarm.len, ARRIVES);
	stage_say(&st, at + 20 * STAGE_MS, KL_TO_CUCM, registers.data, registers.len, ARRIVES);
	stage_say(&st, at + 30 * STAGE_MS, KL_TO_PHONE, ack.data, ack.len, ARRIVES);
	stage_ack(&st, at + 70 * STAGE_MS, KL_TO_CUCM, ARRIVES);
	s = stage_session(&st);
	cr_expect_str_eq(s->device, "SEP001380AD9E5F");
	cr_expect_str_eq(s->failure, "CM-aborted-TCP");
	cr_expect(s->registered_ns);
	at = keep_alive(&st, at + 30 * STAGE_S, 30 * STAGE_S, 2);
	cr_expect_eq(s->schedule.period_us, 30000000);
	cr_expect_eq(s->schedule.source, KL_PERIOD_TOLD);
	cr_expect_eq(kl_sessions_phones(st.sessions), 1);
	/* Having left, it is nobody that could be given up. */
	stage_say(&st, at, KL_TO_CUCM, leave.data, leave.len, ARRIVES);
	stage_until(&st, at + 600 * STAGE_S);
	cr_expect_eq(stage_stories(&st, KL_STORY_FORECAST), 0);
	stage_done(&st);
}

/* ---- Starts and ends ---- */

static const struct {
	const char *name;
	bool from_syn;
	__u8 flags;
	__u32 direction;
	enum kl_session_by by;
	enum kl_session_how how;
} ends[] = {
	{ "the phone's FIN", true, KL_FIN | KL_ACK, KL_TO_CUCM, KL_BY_PHONE, KL_HOW_FIN },
	{ "the server's FIN", true, KL_FIN | KL_ACK, KL_TO_PHONE, KL_BY_CUCM, KL_HOW_FIN },
	{ "the server's RST", false, KL_RST, KL_TO_PHONE, KL_BY_CUCM, KL_HOW_RST },
	{ "silence", false, 0, 0, KL_BY_UNKNOWN, KL_HOW_TIMEOUT },
};

Test(session, starts_and_ends)
{
	for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct stage_setup setup = { KL_SCCP };
		const struct kl_story *story;
		struct stage st;
		__u64 at = STAGE_START_NS;

		stage_init(&st, &setup);
		if (ends[i].from_syn)
			stage_connect(&st, at);
		at = keep_alive(&st, at + STAGE_S, 30 * STAGE_S, 4);
		if (ends[i].flags)
			stage_close(&st, at, ends[i].direction, ends[i].flags);
		else
			kl_sessions_time_out(st.sessions, st.setup.id, at);
		story = stage_story(&st, KL_STORY_START, 0);
		cr_assert(story);
		cr_expect_eq(story->by, ends[i].from_syn ? KL_BY_PHONE : KL_BY_UNKNOWN);
		cr_expect_eq(stage_stories(&st, KL_STORY_START), 1);
		story = stage_story(&st, KL_STORY_STOP, 0);
		cr_assert(story, "%s", ends[i].name);
		cr_expect_eq(story->by, ends[i].by, "%s", ends[i].name);
		cr_expect_eq(story->how, ends[i].how, "%s", ends[i].name);
		cr_expect_eq(kl_sessions_phones(st.sessions), 0);
		stage_done(&st);
	}
}

/* The phone starts over on the same ports, and nothing of the old connection speaks for it. */
Test(session, a_phone_that_reboots)
{
	struct stage_setup setup = { KL_SCCP };
	struct stage st;
	__u64 at;

	stage_init(&st, &setup);
	stage_connect(&st, STAGE_START_NS);
	at = keep_alive(&st, STAGE_START_NS + STAGE_S, 30 * STAGE_S, 6) + 3 * STAGE_S;
	st.end[KL_TO_CUCM].seq = 77;
	st.end[KL_TO_PHONE].ack = 77;
	st.end[KL_TO_CUCM].id = 1;
	stage_connect(&st, at);
	keep_alive(&st, at + 3 * STAGE_S, 30 * STAGE_S, 6);
	cr_expect_eq(stage_stories(&st, KL_STORY_START), 2);
	cr_expect_eq(stage_losses(&st), 0);
	cr_expect_eq(stage_session(&st)->keepalives, 6);
	cr_expect_eq(stage_forecasts(&st, KL_FORECAST_EXPECTED), 0);
	stage_done(&st);
}

/* ---- Forecasts of silence ---- */

static const struct {
	const char *name;
	struct stage_setup setup;
	__u32 period_s;
	double at_s; /* after the last keepalive that got through */
	bool expected;
} silences[] = {
	{ "SIP: period and grace", { KL_SIP }, 115, 130, true },
	{ "SCCP: three keepalives", { KL_SCCP }, 30, 90, true },
	{ "SCCP under TLS", { KL_SCCP_TLS }, 30, 90, true },
	{ "SIP under TLS", { KL_SIP_TLS }, 115, 130, true },
	{ "an SCCP backup has nobody to give up", { KL_SCCP, .backup = true }, 60, 0, false },
	{ "a SIP backup has nobody to give up", { KL_SIP, .backup = true }, 115, 0, false },
};

enum after {
	SERVER_CLOSES,
	RECOVERS,
	STAYS_SILENT,
	AFTERS,
};

Test(session, forecasts_of_silence)
{
	static const enum kl_forecast_state states[] = { KL_FORECAST_CAME_TRUE,
							 KL_FORECAST_WITHDRAWN,
							 KL_FORECAST_DID_NOT };

	for (unsigned i = 0; i < sizeof(silences) / sizeof(silences[0]) * AFTERS; i++) {
		unsigned row = i / AFTERS, after = i % AFTERS;
		const struct kl_story *story;
		__u64 at, last, limit, period = silences[row].period_s * STAGE_S;
		struct stage st;

		stage_init(&st, &silences[row].setup);
		stage_connect(&st, STAGE_START_NS);
		at = keep_alive(&st, STAGE_START_NS + STAGE_S, period, 8);
		last = at - period;
		limit = last + (__u64)(silences[row].at_s * 1e9);
		/* What the phone sends is lost before anybody sees it. */
		stage_say(&st, at, KL_TO_CUCM, st.keepalive.data, st.keepalive.len, LOST_BEFORE);
		stage_until(&st, at + period * 2 / 5);
		if (!silences[row].expected) {
			stage_until(&st, at + 20 * period);
			cr_expect_eq(stage_stories(&st, KL_STORY_FORECAST), 0, "%s",
				     silences[row].name);
			stage_done(&st);
			continue;
		}
		story = stage_story(&st, KL_STORY_FORECAST, 0);
		cr_assert(story, "%s", silences[row].name);
		cr_expect_eq(story->state, KL_FORECAST_EXPECTED);
		cr_expect_float_eq((double)story->at_ns / 1e9, (double)limit / 1e9, 0.1, "%s",
				   silences[row].name);
		cr_expect_lt(story->time_ns, story->at_ns, "said before it happens");
		cr_expect_eq(!!strstr(story->text, "probably"),
			     kl_service_is_tls(silences[row].setup.service));
		if (after == SERVER_CLOSES) {
			stage_close(&st, limit > st.now ? limit : st.now, KL_TO_PHONE,
				    KL_FIN | KL_ACK);
		} else if (after == RECOVERS) {
			stage_again(&st, st.now + STAGE_MS, KL_TO_CUCM, &st.keepalive, ARRIVES);
			stage_answer(&st, st.now + STAGE_MS);
		}
		stage_until(&st, limit + 10 * period);
		cr_expect_geq(stage_forecasts(&st, states[after]), 1, "%s, %u", silences[row].name,
			      after);
		if (after != RECOVERS)
			cr_expect_eq(stage_forecasts(&st, KL_FORECAST_EXPECTED), 1);
		stage_done(&st);
	}
}

/* ---- The table ---- */

static void count_identified(const struct kl_session *session, void *arg)
{
	(void)session;
	++*(int *)arg;
}

Test(session, tells_of_mac_addresses_when_they_are_new)
{
	int identified = 0;
	struct kl_sessions_config config = { .identified = count_identified, .arg = &identified };
	struct kl_sessions *s;
	struct kl_event e = { .type = KL_EVENT_OPEN,
			      .conn_id = 1,
			      .time_ns = STAGE_START_NS,
			      .phone_mac = { 0, 0x24, 0x14, 0, 0, 1 } };
	struct kl_conn conn = { .created_ns = STAGE_START_NS, .seen_ns = STAGE_START_NS };
	bool one_way;

	cr_assert_eq(kl_sessions_new(&config, &s), 0);
	cr_expect_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
	cr_expect_eq(identified, 1);
	e.type = KL_EVENT_ACK;
	cr_expect_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
	memset(e.phone_mac, 0, sizeof(e.phone_mac));
	cr_expect_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
	cr_expect_eq(identified, 1, "the same one, or none");
	e.next_mac[5] = 2;
	cr_expect_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
	cr_expect_eq(identified, 2);
	/* One that is met in the kernel's table, and then again with another next hop. */
	conn.next_mac[5] = 3;
	cr_expect_eq(kl_sessions_meet(s, 1, &conn, STAGE_START_NS, &one_way), 0);
	cr_expect_eq(identified, 3);
	conn.phone_mac[5] = 4;
	cr_expect_eq(kl_sessions_meet(s, 2, &conn, STAGE_START_NS, &one_way), 0);
	cr_expect_eq(identified, 4);
	cr_expect_eq(kl_sessions_meet(s, 2, &conn, STAGE_START_NS, &one_way), 0);
	cr_expect_eq(identified, 4);
	kl_sessions_free(s);
}

Test(session, the_longest_silent_makes_room)
{
	struct kl_sessions_config config = { .max = 10, .deadline_ns = STAGE_S };
	struct kl_sessions *s;
	struct kl_event e = { .type = KL_EVENT_OPEN };

	cr_assert_eq(kl_sessions_new(&config, &s), 0);
	for (unsigned i = 1; i <= 10; i++) {
		e.conn_id = i;
		e.ends.phone[0] = i;
		e.time_ns = i * STAGE_S;
		cr_assert_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
	}
	e.type = KL_EVENT_ACK; /* the oldest says something */
	e.conn_id = e.ends.phone[0] = 1;
	e.time_ns = 20 * STAGE_S;
	kl_sessions_feed(s, &e, NULL, 0);
	e.type = KL_EVENT_OPEN;
	e.conn_id = e.ends.phone[0] = 11;
	e.time_ns = 21 * STAGE_S;
	kl_sessions_feed(s, &e, NULL, 0);
	cr_expect(kl_sessions_find(s, 1));
	cr_expect_not(kl_sessions_find(s, 2));
	cr_expect(kl_sessions_find(s, 11));
	cr_expect_eq(kl_sessions_count(s), 10);
	cr_expect_eq(kl_sessions_evicted(s), 1);
	cr_expect_eq(kl_sessions_phones(s), 10);
	kl_sessions_free(s);
}
