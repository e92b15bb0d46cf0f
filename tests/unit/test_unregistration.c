// SPDX-License-Identifier: GPL-2.0-only
/* unregistration.h: whose alarm it is, and whether that phone lost something shortly before. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/unregistration.h"

#define MS KL_NS_PER_MS
#define S (1000 * MS)
#define ALARM_NS (10000 * S)

enum {
	KEPT = 8
};

struct told {
	unsigned count;
	struct kl_alarm alarm[KEPT];
};

static void keep(const struct kl_alarm *a, void *arg)
{
	struct told *told = arg;

	if (told->count < KEPT)
		told->alarm[told->count] = *a;
	told->count++;
}

static void ignore(const struct kl_story *story, void *arg)
{
	(void)story;
	(void)arg;
}

static struct kl_sessions *sessions(void)
{
	const struct kl_sessions_config config = { .handler = ignore, .deadline_ns = S };
	struct kl_sessions *ret;

	cr_assert_eq(kl_sessions_new(&config, &ret), 0);
	return ret;
}

static struct kl_unregistrations *unregistrations(struct told *told)
{
	const struct kl_unregistrations_config config = { .handler = keep, .arg = told };
	struct kl_unregistrations *ret;

	cr_assert_eq(kl_unregistrations_new(&config, &ret), 0);
	return ret;
}

/*
 * A session as it would have become: of this device (empty: not known) and address 10.0.0.host.
 * The test may change what the rules of the sessions would have filled in.
 */
static struct kl_session *session(struct kl_sessions *s, __u64 id, const char *device,
				  unsigned host, __u64 lost_ns)
{
	struct kl_event e = {
		.time_ns = S,
		.conn_id = id,
		.type = KL_EVENT_OPEN,
		.tcp_flags = KL_SYN,
		.ends = { .family = 4, .phone_port = (__u16)(40000 + id), .cucm_port = 5060 },
	};
	struct kl_session *ret;

	e.ends.phone[0] = __builtin_bswap32(0x0a000000 + host);
	cr_assert_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
	ret = (struct kl_session *)kl_sessions_find(s, id);
	cr_assert_not_null(ret);
	snprintf(ret->device, sizeof(ret->device), "%s", device);
	ret->kind = KL_SIP_REGISTER;
	ret->schedule.period_us = 115 * 1000000ULL;
	ret->lost_ns = lost_ns;
	ret->lost[KL_TO_CUCM][KL_BETWEEN] = lost_ns ? 2 : 0;
	ret->lost[KL_TO_PHONE][KL_PHONE_SIDE] = lost_ns ? 1 : 0;
	return ret;
}

static struct kl_alarm alarm(const char *device, unsigned host)
{
	struct kl_alarm a = { .type = KL_ALARM_UNREGISTERED, .time_ns = ALARM_NS };

	snprintf(a.device, sizeof(a.device), "%s", device);
	if (host) {
		a.address.family = 4;
		a.address.word[0] = __builtin_bswap32(0x0a000000 + host);
	}
	return a;
}

static void give_back(const struct kl_alarm *a, void *arg)
{
	*(struct kl_alarm *)arg = *a;
}

/* The alarm as it is decided, at once. */
static void match(const struct kl_sessions *s, struct kl_alarm *a)
{
	const struct kl_unregistrations_config config = { .handler = give_back, .arg = a };
	struct kl_alarm asked = *a;
	struct kl_unregistrations *u;

	cr_assert_eq(kl_unregistrations_new(&config, &u), 0);
	kl_unregistrations_add(u, s, &asked);
	kl_unregistrations_settle(u, s, UINT64_MAX);
	kl_unregistrations_free(u);
}

/* ---- Whose it is ---- */

Test(unregistration, by_device_mac_or_address)
{
	static const struct {
		const char *name;
		const char *device;
		unsigned host;
		__u64 want;
	} cases[] = {
		{ "by name", "SEP0024142DDF24", 0, 1 },
		{ "by name, at another address", "SEP0024142DDF24", 3, 1 },
		{ "by the MAC in the name", "SEP0024142DDF99", 0, 2 },
		{ "the same in small letters", "sep0024142ddf99", 0, 2 },
		{ "by address", "SEP0024142DDF77", 3, 3 },
		{ "by address alone", "", 3, 3 },
		{ "at the address of a phone of another name", "SEP0024142DDF77", 1, 0 },
		{ "by address alone, of a phone with a name", "", 1, 1 },
		{ "of nobody", "SEP0024142DDF77", 9, 0 },
		{ "nothing said", "", 0, 0 },
		{ "a name that is no MAC", "SEP0024142DDFxx", 0, 0 },
	};
	static const uint8_t mac[6] = { 0x00, 0x24, 0x14, 0x2d, 0xdf, 0x99 };
	struct kl_sessions *s = sessions();

	session(s, 1, "SEP0024142DDF24", 1, ALARM_NS - 10 * S);
	memcpy(session(s, 2, "", 2, 0)->mac, mac, sizeof(mac));
	session(s, 3, "", 3, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kl_alarm a = alarm(cases[i].device, cases[i].host);

		match(s, &a);
		cr_expect_eq(a.session, cases[i].want, "%s: %llu", cases[i].name,
			     (unsigned long long)a.session);
		cr_expect_eq(a.matched_loss, cases[i].want == 1, "%s", cases[i].name);
		cr_expect_eq(a.losses, cases[i].want == 1 ? 3 : 0, "%s", cases[i].name);
	}
	kl_sessions_free(s);
}

Test(unregistration, of_several_the_one_that_lost_last)
{
	struct kl_sessions *s = sessions();
	struct kl_alarm a = alarm("SEP1", 1);

	session(s, 1, "SEP1", 1, ALARM_NS - 100 * S);
	session(s, 2, "SEP1", 1, ALARM_NS - 10 * S);
	session(s, 3, "SEP1", 1, 0);
	session(s, 4, "SEP1", 1, ALARM_NS - 50 * S);
	match(s, &a);
	cr_expect_eq(a.session, 2);
	kl_sessions_free(s);
}

/* ---- Whether there was a loss ---- */

Test(unregistration, a_loss_shortly_before)
{
	static const struct {
		const char *name;
		int64_t before_ms; /* the alarm */
		uint8_t type;
		bool want;
	} cases[] = {
		{ "just before", 1, KL_ALARM_UNREGISTERED, true },
		{ "a connection's error", 1, KL_ALARM_CONNECTION, true },
		{ "it registered", 1, KL_ALARM_REGISTERED, false },
		{ "it could not register", 1, KL_ALARM_TRANSIENT, false },
		{ "of another kind", 1, KL_ALARM_OTHER, false },
		/* judged late, or clocks apart */
		{ "a second after", -1000, KL_ALARM_UNREGISTERED, true },
		{ "long after", -2001, KL_ALARM_UNREGISTERED, false },
		/* three periods, the grace, a minute: 420 s */
		{ "three periods before", 419999, KL_ALARM_UNREGISTERED, true },
		{ "longer before", 420001, KL_ALARM_UNREGISTERED, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kl_sessions *s = sessions();
		struct kl_alarm a = alarm("SEP1", 1);

		a.type = cases[i].type;
		session(s, 1, "SEP1", 1,
			(__u64)((int64_t)ALARM_NS - cases[i].before_ms * (int64_t)MS));
		match(s, &a);
		cr_expect_eq(a.session, 1, "%s", cases[i].name);
		cr_expect_eq(a.matched_loss, cases[i].want, "%s", cases[i].name);
		kl_sessions_free(s);
	}
}

/* ---- When it is decided ---- */

Test(unregistration, it_waits_for_losses_that_are_judged_later)
{
	struct kl_sessions *s = sessions();
	struct told told = {};
	struct kl_unregistrations *u = unregistrations(&told);
	struct kl_session *session_1 = session(s, 1, "SEP1", 1, 0);
	struct kl_alarm a = alarm("SEP1", 1);

	kl_unregistrations_add(u, s, &a);
	kl_unregistrations_settle(u, s, ALARM_NS + 1999 * MS);
	cr_assert_eq(told.count, 0);
	session_1->lost_ns = ALARM_NS - S;
	kl_unregistrations_settle(u, s, ALARM_NS + 2000 * MS);
	cr_assert_eq(told.count, 1);
	cr_expect(told.alarm[0].matched_loss);
	kl_unregistrations_settle(u, s, UINT64_MAX);
	cr_expect_eq(told.count, 1);

	/* What is left at the end is decided at once. */
	a.time_ns = ALARM_NS + 100 * S;
	kl_unregistrations_add(u, s, &a);
	kl_unregistrations_settle(u, s, UINT64_MAX);
	cr_expect_eq(told.count, 2);
	kl_unregistrations_free(u);
	kl_sessions_free(s);
}

Test(unregistration, a_session_that_is_gone_counts)
{
	struct kl_sessions *s = sessions();
	struct told told = {};
	struct kl_unregistrations *u = unregistrations(&told);
	struct kl_alarm a = alarm("SEP1", 1), other = alarm("SEP2", 2);

	kl_unregistrations_gone(u, session(s, 1, "SEP1", 1, ALARM_NS - 5 * S));
	kl_unregistrations_gone(u, session(s, 2, "SEP2", 2, 0)); /* lost nothing */
	kl_sessions_remove(s, 1);
	kl_sessions_remove(s, 2);
	/* Its new connection lost nothing. */
	session(s, 3, "SEP1", 1, 0);
	kl_unregistrations_add(u, s, &a);
	kl_unregistrations_add(u, s, &other);
	kl_unregistrations_settle(u, s, UINT64_MAX);
	cr_assert_eq(told.count, 2);
	cr_expect_eq(told.alarm[0].session, 1);
	cr_expect_eq(told.alarm[0].losses, 3);
	cr_expect(told.alarm[0].matched_loss);
	cr_expect_eq(told.alarm[1].session, 0);
	cr_expect_not(told.alarm[1].matched_loss);
	kl_unregistrations_free(u);
	kl_sessions_free(s);
}

struct order {
	unsigned count;
	bool wrong;
};

static void check_order(const struct kl_alarm *a, void *arg)
{
	struct order *order = arg;

	order->wrong |= a->reason != (int)order->count || a->session != 1;
	order->count++;
}

/* A flood: each is told once, in order, and matched, though the older ones before their time. */
Test(unregistration, a_flood_is_decided_early)
{
	struct kl_sessions *s = sessions();
	struct order order = {};
	const struct kl_unregistrations_config config = { .handler = check_order, .arg = &order };
	struct kl_unregistrations *u;

	cr_assert_eq(kl_unregistrations_new(&config, &u), 0);
	session(s, 1, "SEP1", 1, 0);
	for (int i = 0; i < 100000; i++) {
		struct kl_alarm a = alarm("SEP1", (unsigned)i);

		a.reason = i;
		kl_unregistrations_add(u, s, &a);
	}
	cr_expect_geq(order.count, 100000 - KL_UNREGISTRATIONS_HELD);
	cr_expect_lt(order.count, 100000);
	kl_unregistrations_settle(u, s, ALARM_NS + 10 * S);
	cr_expect_eq(order.count, 100000);
	cr_expect_not(order.wrong);
	kl_unregistrations_free(u);
	kl_sessions_free(s);
}

/* ---- Afterwards ---- */

static struct kl_lost lost(__u64 id, const char *device, unsigned host, __u64 time_ns)
{
	struct kl_lost l = { .conn_id = id, .time_ns = time_ns, .kind = KL_SIP_REGISTER };

	snprintf(l.device, sizeof(l.device), "%s", device);
	l.ends.family = 4;
	l.ends.phone[0] = __builtin_bswap32(0x0a000000 + host);
	return l;
}

/* A phone that is unregistered again and again: each time it is what was lost before it. */
Test(unregistration, each_alarm_has_the_losses_before_it)
{
	const struct kl_unregistrations_config usual = {};
	const struct kl_lost losses[] = {
		lost(1, "SEP1", 1, ALARM_NS - 20 * S),	lost(1, "SEP1", 1, ALARM_NS - 10 * S),
		lost(2, "SEP1", 1, ALARM_NS + 990 * S), lost(3, "SEP2", 2, ALARM_NS + 1990 * S),
		lost(4, "", 3, ALARM_NS - S),
	};
	struct kl_alarm alarms[] = {
		alarm("SEP1", 1), alarm("SEP1", 1), alarm("SEP1", 1),
		alarm("SEP3", 3), alarm("SEP9", 9), alarm("SEP1", 1),
	};
	static const struct {
		__u64 session, losses;
	} want[] = { { 1, 2 }, { 2, 1 }, { 2, 0 }, { 4, 1 }, { 0, 0 }, { 2, 0 } };
	struct kl_sessions *s = sessions();

	session(s, 1, "SEP1", 1, ALARM_NS - 10 * S);
	session(s, 2, "SEP1", 1, ALARM_NS + 990 * S);
	session(s, 3, "SEP2", 2, ALARM_NS + 1990 * S);
	alarms[1].time_ns = ALARM_NS + 1000 * S;
	alarms[2].time_ns = ALARM_NS + 2000 * S; /* the loss is another phone's */
	alarms[5].type = KL_ALARM_REGISTERED;
	cr_assert_eq(kl_unregistrations_match_lost(&usual, s, losses, 5, alarms, 6), 0);
	for (unsigned i = 0; i < 6; i++) {
		cr_expect_eq(alarms[i].session, want[i].session, "%u: %llu", i,
			     (unsigned long long)alarms[i].session);
		cr_expect_eq(alarms[i].losses, want[i].losses, "%u: %llu", i,
			     (unsigned long long)alarms[i].losses);
		cr_expect_eq(alarms[i].matched_loss, want[i].losses > 0, "%u", i);
	}
	cr_expect_eq(kl_unregistrations_match_lost(&usual, s, NULL, 0, NULL, 0), 0);
	kl_sessions_free(s);
}
