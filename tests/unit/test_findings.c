// SPDX-License-Identifier: GPL-2.0-only
/* Each rule where its cause is there, and where it is not. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "scene.h"

#define HOUR (3600 * SCENE_S)

static int by_chance(struct scene *s, const struct scene_copy *c)
{
	(void)c;
	return scene_random(s) < 0.2 ? KL_PHONE_SIDE : SCENE_DELIVERED;
}

static int never(struct scene *s, const struct scene_copy *c)
{
	(void)s;
	(void)c;
	return SCENE_DELIVERED;
}

/* Phones that began at different times. */
static void live(struct scene *s, uint32_t phones, uint64_t period_ns, uint32_t length,
		 uint64_t duration_ns)
{
	for (uint32_t i = 0; i < phones; i++) {
		struct scene_phone *p = scene_phone(s, period_ns, length);

		scene_live(s, p, SCENE_START + scene_between(s, 0, period_ns),
			   SCENE_START + duration_ns);
	}
}

static void expect_first(const struct scene *s, enum kl_cause cause, enum kl_confidence confidence)
{
	bool is = s->findings && s->finding[0].cause == cause &&
		  s->finding[0].confidence == confidence;

	if (!is)
		scene_print(s);
	cr_expect(is, "first is %s %s",
		  s->findings ? kl_cause_name(s->finding[0].cause) : "nothing",
		  s->findings ? kl_confidence_name(s->finding[0].confidence) : "");
}

static void expect_none(const struct scene *s, enum kl_cause cause)
{
	if (scene_finding(s, cause))
		scene_print(s);
	cr_expect_null(scene_finding(s, cause), "%s", kl_cause_name(cause));
}

static void expect_says(const char *text, const char *word)
{
	cr_expect(strstr(text, word), "\"%s\" is not in: %s", word, text);
}

/* ---- mac_ageing ---- */

/* Port security that forgets a phone after 60 s. */
static int forgets(struct scene *s, const struct scene_copy *c)
{
	(void)s;
	return c->direction == KL_TO_CUCM && c->idle_ns > 60 * SCENE_S ? KL_PHONE_SIDE
								       : SCENE_DELIVERED;
}

Test(findings, ageing_of_the_case_study)
{
	struct scene s;
	const struct kl_finding *f;

	scene_init(&s, 1, forgets, NULL);
	live(&s, 8, 115 * SCENE_S, 890, HOUR);
	live(&s, 3, 50 * SCENE_S, 890, HOUR);
	scene_conclude(&s);
	expect_first(&s, KL_CAUSE_MAC_AGEING, KL_CONFIDENCE_HIGH);
	f = &s.finding[0];
	cr_expect_eq(f->phones, 8);
	cr_expect_eq(f->losses, s.lost[KL_PHONE_SIDE]);
	cr_expect(scene_figure(f, "ageing_above_s") < 60 && scene_figure(f, "ageing_above_s") > 49);
	cr_expect(scene_figure(f, "ageing_at_most_s") > 60 &&
		  scene_figure(f, "ageing_at_most_s") < 116);
	cr_expect(scene_figure(f, "fisher_p") < 1e-6);
	expect_says(f->remedy, "above 230 s");
	/* All of it is explained. */
	expect_none(&s, KL_CAUSE_PHONE_SIDE_LOSS);
	expect_none(&s, KL_CAUSE_MAC_FLUSH);
	scene_done(&s);
}

Test(findings, ageing_control_the_same_losses_by_chance)
{
	struct scene s;

	scene_init(&s, 2, by_chance, NULL);
	live(&s, 8, 115 * SCENE_S, 890, HOUR);
	live(&s, 3, 50 * SCENE_S, 890, HOUR);
	scene_conclude(&s);
	expect_none(&s, KL_CAUSE_MAC_AGEING);
	expect_none(&s, KL_CAUSE_MAC_FLUSH);
	expect_none(&s, KL_CAUSE_MTU_BLACK_HOLE);
	expect_first(&s, KL_CAUSE_PHONE_SIDE_LOSS, KL_CONFIDENCE_HIGH);
	scene_done(&s);
}

static int forgets_some(struct scene *s, const struct scene_copy *c)
{
	return c->phone % 5 == 0	? forgets(s, c)
	       : scene_random(s) < 0.01 ? KL_PHONE_SIDE
					: SCENE_DELIVERED;
}

Test(findings, ageing_of_some_phones_only)
{
	struct scene s;

	scene_init(&s, 3, forgets_some, NULL);
	live(&s, 40, 115 * SCENE_S, 890, HOUR);
	scene_conclude(&s);
	expect_first(&s, KL_CAUSE_MAC_AGEING, KL_CONFIDENCE_HIGH);
	cr_expect(s.finding[0].phones >= 8 && s.finding[0].phones < 30, "%d",
		  (int)s.finding[0].phones);
	scene_done(&s);
}

Test(findings, ageing_by_captures_alone_is_not_high_unless_confirmed)
{
	const struct kl_ageing_evidence set = { .time_ns = SCENE_START,
						.ageing_ms = 60000,
						.source = KL_MAC_FROM_SNMP,
						.told_by = "sw1" };
	const struct kl_ageing_evidence other = { .time_ns = SCENE_START,
						  .ageing_ms = 300000,
						  .source = KL_MAC_FROM_SNMP,
						  .told_by = "sw2" };

	for (int confirmed = 0; confirmed < 3; confirmed++) {
		struct scene s;

		scene_init(&s, 4, forgets, NULL);
		s.idle_known = KL_IDLE_SIGNALLING;
		live(&s, 2, 115 * SCENE_S, 890, 12 * 115 * SCENE_S);
		live(&s, 1, 50 * SCENE_S, 890, 12 * 115 * SCENE_S);
		if (confirmed)
			cr_assert_eq(
				kl_evidence_ageing(&s.d.evidence, confirmed == 1 ? &set : &other),
				0);
		scene_conclude(&s);
		expect_first(&s, confirmed == 1 ? KL_CAUSE_MAC_AGEING : s.finding[0].cause,
			     confirmed == 1 ? KL_CONFIDENCE_HIGH : s.finding[0].confidence);
		cr_expect_eq(scene_confidence(&s, KL_CAUSE_MAC_AGEING),
			     confirmed == 1 ? KL_CONFIDENCE_HIGH : KL_CONFIDENCE_MEDIUM, "%d: %d",
			     confirmed, scene_confidence(&s, KL_CAUSE_MAC_AGEING));
		if (confirmed == 2) {
			bool against = false;

			for (size_t i = 0; i < s.finding[0].evidence_count; i++)
				against |= s.finding[0].evidence[i].against;
			cr_expect(against);
		}
		scene_done(&s);
	}
}

Test(findings, few_losses_are_never_high)
{
	struct scene s;

	scene_init(&s, 5, forgets, NULL);
	live(&s, 1, 115 * SCENE_S, 890, 9 * 115 * SCENE_S);
	scene_conclude(&s);
	cr_assert(s.lost[KL_PHONE_SIDE] < KL_CASES_ENOUGH);
	for (size_t i = 0; i < s.findings; i++)
		cr_expect_neq(s.finding[i].confidence, KL_CONFIDENCE_HIGH);
	scene_done(&s);
}

/* ---- This host's bridge: the phone's entry ages, the server speaks first ---- */

static size_t add_drop(struct scene *s, const char *reason, const char *symbol)
{
	struct kl_drop drop = { .time_ns = SCENE_START, .interface = "acc0" };
	size_t index;

	strcpy(drop.reason, reason);
	strcpy(drop.symbol, symbol);
	cr_assert_eq(kl_evidence_drop(&s->d.evidence, &drop, &index), 0);
	return index;
}

static int no_port(struct scene *s, const struct scene_copy *c)
{
	(void)s;
	return c->direction == KL_TO_PHONE && c->idle_ns > 10 * SCENE_S ? KL_BETWEEN
									: SCENE_DELIVERED;
}

/* OPTIONS of the server at so long after the phone's last word, and each phone's entry is removed. */
static void server_asks(struct scene *s, enum kl_mac_happening happening, uint64_t removed_after_ns)
{
	static const uint64_t after_s[] = { 5, 8, 12, 15 };

	for (uint32_t i = 0; i < 5; i++) {
		struct scene_phone *p = scene_phone(s, 60 * SCENE_S, 890);
		uint64_t t = SCENE_START + scene_between(s, 0, 30 * SCENE_S);

		for (int n = 0; n < 40; n++) {
			scene_exchange(s, p, t);
			t = p->last_ns;
			scene_removal(s, t + removed_after_ns, happening, KL_MAC_FROM_BRIDGE, p);
			s->d.evidence.mac.item[s->d.evidence.mac.count - 1].silent_ms =
				(uint32_t)(removed_after_ns / SCENE_MS);
			t += after_s[n % 4] * SCENE_S;
			scene_send(s, p, t, KL_TO_PHONE, KL_SIP_OPTIONS, 400, 1);
			t += 20 * SCENE_S;
			scene_removal(s, t + 1, KL_MAC_LEARNED, KL_MAC_FROM_BRIDGE, p);
		}
	}
}

Test(findings, ageing_of_this_hosts_bridge_comes_before_the_drops_that_it_causes)
{
	struct scene s;

	scene_init(&s, 6, no_port, NULL);
	s.drop = add_drop(&s, "NO_TX_TARGET", "br_flood");
	server_asks(&s, KL_MAC_AGED, 10 * SCENE_S);
	scene_conclude(&s);
	expect_first(&s, KL_CAUSE_MAC_AGEING, KL_CONFIDENCE_HIGH);
	cr_expect(s.findings >= 2 && s.finding[1].cause == KL_CAUSE_IN_HOST_DROP);
	expect_none(&s, KL_CAUSE_MAC_FLUSH);
	expect_none(&s, KL_CAUSE_BETWEEN_LOSS);
	cr_expect_eq(scene_figure(&s.finding[0], "ageing_above_s"), 8);
	cr_expect_eq(scene_figure(&s.finding[0], "ageing_at_most_s"), 12);
	expect_says(s.finding[0].remedy, "port Gi0/7 of sw1");
	scene_done(&s);
}

/* ---- mac_flush ---- */

struct flushes {
	uint64_t at_ns[64];
	uint32_t phone[64];
	int count;
};

/* What the phone sends next after its entry was flushed is lost. */
static int after_flush(struct scene *s, const struct scene_copy *c)
{
	const struct flushes *f = s->arg;

	for (int i = 0; i < f->count && c->direction == KL_TO_CUCM; i++) {
		if (f->phone[i] == c->phone && f->at_ns[i] <= c->time_ns &&
		    f->at_ns[i] > c->time_ns - c->idle_ns)
			return KL_PHONE_SIDE;
	}
	return SCENE_DELIVERED;
}

static void flush_at_random(struct scene *s, struct flushes *f, uint32_t phones)
{
	for (f->count = 0; f->count < 60; f->count++) {
		f->at_ns[f->count] = SCENE_START + scene_between(s, 100 * SCENE_S, HOUR);
		f->phone[f->count] = (uint32_t)scene_between(s, 0, phones);
	}
}

static void tell_flushes(struct scene *s, const struct flushes *f)
{
	for (int i = 0; i < f->count; i++)
		scene_removal(s, f->at_ns[i], KL_MAC_FLUSHED, KL_MAC_FROM_BRIDGE,
			      &s->phone[f->phone[i]]);
}

Test(findings, flushes_and_the_losses_after_them)
{
	struct flushes f;
	struct scene s;

	scene_init(&s, 7, after_flush, &f);
	flush_at_random(&s, &f, 10);
	live(&s, 10, 30 * SCENE_S, 12, HOUR);
	tell_flushes(&s, &f);
	scene_conclude(&s);
	expect_first(&s, KL_CAUSE_MAC_FLUSH, KL_CONFIDENCE_HIGH);
	expect_none(&s, KL_CAUSE_MAC_AGEING);
	expect_none(&s, KL_CAUSE_PHONE_SIDE_LOSS);
	cr_expect(scene_figure(&s.finding[0], "lost_with_flush") >= 40);
	cr_expect_eq(scene_figure(&s.finding[0], "lost_without_flush"), 0);
	scene_done(&s);
}

Test(findings, flushes_and_losses_that_have_nothing_to_do_with_them)
{
	struct flushes f;
	struct scene s;

	scene_init(&s, 8, by_chance, NULL);
	flush_at_random(&s, &f, 10);
	live(&s, 10, 30 * SCENE_S, 12, HOUR);
	tell_flushes(&s, &f);
	scene_conclude(&s);
	expect_none(&s, KL_CAUSE_MAC_FLUSH);
	expect_none(&s, KL_CAUSE_MAC_AGEING);
	scene_done(&s);
}

/* ---- in_host_drop and between_loss ---- */

static int one_in_five_between(struct scene *s, const struct scene_copy *c)
{
	(void)c;
	return scene_random(s) < 0.2 ? KL_BETWEEN : SCENE_DELIVERED;
}

Test(findings, what_this_host_drops_has_its_reason_and_its_remedy)
{
	static const struct {
		const char *reason, *symbol, *remedy;
	} cases[] = {
		{ "NETFILTER_DROP", "nft_do_chain", "rule handle 7 of table inet filter" },
		{ "IP_RPFILTER", "ip_rcv_finish_core", "rp_filter" },
		{ "QDISC_DROP", "__dev_xmit_skb", "queue" },
		{ "TC_EGRESS", "sch_handle_egress", "tc filter" },
		{ "NOT_SPECIFIED", "ip_error", "blackhole" },
		{ "NOT_SPECIFIED", "br_handle_frame_finish", "isolated" },
		{ "NO_TX_TARGET", "br_flood", "flooding" },
		{ "BRIDGE_INGRESS_STP_STATE", "br_handle_frame_finish", "spanning tree" },
		{ "IP_INADDRERRORS", "ip_forward", "ip_forward" },
		{ "SOMETHING_NEW", "", "SOMETHING_NEW" },
	};
	const struct kl_rule_evidence rules[] = {
		{ .rule = "rule handle 3 of table inet filter, chain forward", .counted = true },
		{ .rule = "rule handle 7 of table inet filter, chain forward",
		  .says = "tcp dport 2000 drop",
		  .packets = 40,
		  .counted = true },
		{ .rule = "rule handle 9 of table inet filter, chain forward" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct scene s;

		scene_init(&s, 9 + i, one_in_five_between, NULL);
		s.drop = add_drop(&s, cases[i].reason, cases[i].symbol);
		for (size_t r = 0; r < 3; r++)
			cr_assert_eq(kl_evidence_rule(&s.d.evidence, &rules[r]), 0);
		live(&s, 5, 30 * SCENE_S, 12, HOUR);
		scene_conclude(&s);
		expect_first(&s, KL_CAUSE_IN_HOST_DROP, KL_CONFIDENCE_HIGH);
		expect_says(s.finding[0].explanation, cases[i].reason);
		expect_says(s.finding[0].evidence[0].text, cases[i].reason);
		expect_says(s.finding[0].remedy, cases[i].remedy);
		expect_none(&s, KL_CAUSE_BETWEEN_LOSS);
		scene_done(&s);
	}
}

Test(findings, between_without_a_reason_is_said_to_be_unexplained)
{
	const struct kl_finding *f;
	struct scene s;

	scene_init(&s, 20, one_in_five_between, NULL);
	live(&s, 5, 30 * SCENE_S, 12, HOUR);
	s.drop = add_drop(&s, "QDISC_DROP", "");
	live(&s, 1, 30 * SCENE_S, 12, HOUR);
	scene_conclude(&s);
	f = scene_finding(&s, KL_CAUSE_BETWEEN_LOSS);
	cr_assert_not_null(f);
	expect_says(f->explanation, "have no reason from this kernel");
	cr_expect_eq(f->losses + scene_finding(&s, KL_CAUSE_IN_HOST_DROP)->losses,
		     s.lost[KL_BETWEEN]);
	/* What names a cause comes first. */
	expect_first(&s, KL_CAUSE_IN_HOST_DROP, KL_CONFIDENCE_HIGH);
	scene_done(&s);
}

/* ---- mtu_black_hole ---- */

static int too_long(struct scene *s, const struct scene_copy *c)
{
	uint64_t break_ns = SCENE_START + *(uint64_t *)s->arg;

	return c->direction == KL_TO_CUCM && c->length > 700 && c->time_ns > break_ns
		       ? KL_CUCM_SIDE
		       : SCENE_DELIVERED;
}

Test(findings, long_segments_that_never_pass)
{
	uint64_t break_ns = 200 * SCENE_S;
	struct scene s;

	scene_init(&s, 21, too_long, &break_ns);
	live(&s, 4, 60 * SCENE_S, 890, 900 * SCENE_S);
	live(&s, 4, 60 * SCENE_S, 400, 900 * SCENE_S);
	scene_conclude(&s);
	expect_first(&s, KL_CAUSE_MTU_BLACK_HOLE, KL_CONFIDENCE_HIGH);
	expect_says(s.finding[0].remedy, "MTU");
	cr_expect_eq(s.finding[0].phones, 4);
	expect_none(&s, KL_CAUSE_CUCM_SIDE_LOSS);
	expect_none(&s, KL_CAUSE_MAC_AGEING);
	scene_done(&s);
}

static int outage(struct scene *s, const struct scene_copy *c)
{
	uint64_t t = c->time_ns - SCENE_START;

	(void)s;
	return t > 300 * SCENE_S && t < 330 * SCENE_S ? KL_CUCM_SIDE : SCENE_DELIVERED;
}

Test(findings, an_outage_is_no_matter_of_length_nor_of_silence)
{
	struct scene s;

	scene_init(&s, 22, outage, NULL);
	live(&s, 20, 60 * SCENE_S, 890, 900 * SCENE_S);
	live(&s, 20, 60 * SCENE_S, 400, 900 * SCENE_S);
	scene_conclude(&s);
	expect_none(&s, KL_CAUSE_MTU_BLACK_HOLE);
	expect_none(&s, KL_CAUSE_MAC_AGEING);
	expect_first(&s, KL_CAUSE_CUCM_SIDE_LOSS, KL_CONFIDENCE_HIGH);
	scene_done(&s);
}

/* ---- Ends ---- */

static void ends(struct scene *s, enum kl_session_by by, enum kl_session_how how, uint8_t ttl,
		 uint8_t usual)
{
	for (uint32_t i = 0; i < s->phones; i++)
		scene_end(s, &s->phone[i], SCENE_START + HOUR + i * SCENE_S, by, how, ttl, usual);
}

Test(findings, who_ended_the_sessions)
{
	static const struct {
		enum kl_session_by by;
		enum kl_session_how how;
		uint8_t ttl, usual;
		enum kl_cause cause;
		bool fault;
	} cases[] = {
		{ KL_BY_CUCM, KL_HOW_RST, 64, 64, KL_CAUSE_CUCM_INITIATED, true },
		{ KL_BY_CUCM, KL_HOW_FIN, 0, 0, KL_CAUSE_CUCM_INITIATED, true },
		{ KL_BY_CUCM, KL_HOW_RST, 200, 64, KL_CAUSE_MIDDLEBOX_RESET, true },
		{ KL_BY_PHONE, KL_HOW_RST, 63, 64, KL_CAUSE_MIDDLEBOX_RESET, true },
		{ KL_BY_PHONE, KL_HOW_FIN, 64, 64, KL_CAUSE_PHONE_INITIATED, false },
		{ KL_BY_PHONE, KL_HOW_RST, 0, 0, KL_CAUSE_PHONE_INITIATED, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct scene s;

		scene_init(&s, 30 + i, never, NULL);
		live(&s, 12, 30 * SCENE_S, 12, 300 * SCENE_S);
		ends(&s, cases[i].by, cases[i].how, cases[i].ttl, cases[i].usual);
		scene_conclude(&s);
		expect_first(&s, cases[i].cause, KL_CONFIDENCE_HIGH);
		cr_expect_eq(s.findings, 1, "%d: %d findings", (int)i, (int)s.findings);
		cr_expect_eq(s.finding[0].fault, cases[i].fault);
		cr_expect_eq(s.finding[0].phones, 12);
		scene_done(&s);
	}
}

Test(findings, a_ttl_that_varies_anyway_accuses_nobody)
{
	struct scene s;

	scene_init(&s, 40, never, NULL);
	live(&s, 24, 30 * SCENE_S, 12, 300 * SCENE_S);
	for (uint32_t i = 0; i < s.phones; i++)
		scene_end(&s, &s.phone[i], SCENE_START + HOUR, KL_BY_CUCM,
			  i % 2 ? KL_HOW_RST : KL_HOW_FIN, i % 3 ? 63 : 64, 64);
	scene_conclude(&s);
	cr_expect_eq(scene_confidence(&s, KL_CAUSE_MIDDLEBOX_RESET), KL_CONFIDENCE_LOW);
	scene_done(&s);
}

Test(findings, an_end_after_losses_is_nobodys_wish)
{
	struct scene s;

	scene_init(&s, 41, one_in_five_between, NULL);
	live(&s, 12, 30 * SCENE_S, 12, HOUR);
	ends(&s, KL_BY_PHONE, KL_HOW_FIN, 64, 64);
	scene_conclude(&s);
	cr_expect(scene_confidence(&s, KL_CAUSE_PHONE_INITIATED) <= KL_CONFIDENCE_MEDIUM);
	scene_done(&s);
}

/* ---- The server ---- */

Test(findings, a_server_that_acknowledges_and_does_not_answer)
{
	struct scene s;

	scene_init(&s, 50, never, NULL);
	live(&s, 6, 30 * SCENE_S, 12, 300 * SCENE_S);
	for (uint32_t i = 0; i < s.phones; i++) {
		s.phone[i].session->role = KL_ROLE_PRIMARY;
		s.phone[i].session->acknowledged_only = 3;
		scene_end(&s, &s.phone[i], SCENE_START + HOUR, KL_BY_PHONE, KL_HOW_FIN, 64, 64);
	}
	scene_conclude(&s);
	expect_first(&s, KL_CAUSE_CUCM_SILENT, KL_CONFIDENCE_HIGH);
	cr_expect_eq(s.finding[0].phones, 6);
	cr_expect_eq(s.findings, 1, "the phones left because of that");
	scene_done(&s);
}

Test(findings, alarms_with_the_servers_own_reasons)
{
	struct kl_alarm alarm = { .type = KL_ALARM_UNREGISTERED,
				  .reason_name = "callManagerRestart",
				  .reason = 15,
				  .session = 1 };
	struct scene s;

	scene_init(&s, 51, never, NULL);
	live(&s, 6, 30 * SCENE_S, 12, 300 * SCENE_S);
	for (int i = 0; i < 12; i++)
		cr_assert_eq(kl_evidence_alarm(&s.d.evidence, &alarm), 0);
	scene_conclude(&s);
	expect_first(&s, KL_CAUSE_CUCM_INITIATED, KL_CONFIDENCE_HIGH);
	scene_done(&s);

	/* keepAliveTimeout, and no loss before it. */
	scene_init(&s, 52, never, NULL);
	live(&s, 6, 30 * SCENE_S, 12, 300 * SCENE_S);
	alarm.reason = 13;
	alarm.session = s.phone[0].session->id;
	alarm.time_ns = SCENE_START + 290 * SCENE_S;
	for (int i = 0; i < 12; i++)
		cr_assert_eq(kl_evidence_alarm(&s.d.evidence, &alarm), 0);
	scene_conclude(&s);
	expect_first(&s, KL_CAUSE_CUCM_SILENT, KL_CONFIDENCE_MEDIUM);
	scene_done(&s);
}

/* What made the server give it up may have been before the first look; or it is nobody seen here. */
Test(findings, alarms_that_say_nothing_of_what_was_seen)
{
	struct kl_alarm early = { .type = KL_ALARM_UNREGISTERED,
				  .reason_name = "keepAliveTimeout",
				  .reason = 13,
				  .time_ns = SCENE_START + 60 * SCENE_S };
	const struct kl_alarm stranger = { .type = KL_ALARM_UNREGISTERED,
					   .reason_name = "callManagerRestart",
					   .reason = 15,
					   .time_ns = SCENE_START + 290 * SCENE_S };
	struct scene s;

	scene_init(&s, 53, never, NULL);
	live(&s, 6, 30 * SCENE_S, 12, 300 * SCENE_S);
	early.session = s.phone[0].session->id;
	for (int i = 0; i < 12; i++) {
		cr_assert_eq(kl_evidence_alarm(&s.d.evidence, &early), 0);
		cr_assert_eq(kl_evidence_alarm(&s.d.evidence, &stranger), 0);
	}
	scene_conclude(&s);
	expect_none(&s, KL_CAUSE_CUCM_SILENT);
	expect_none(&s, KL_CAUSE_CUCM_INITIATED);
	scene_done(&s);
}

/* ---- proxy_arp ---- */

static const uint8_t firewall[6] = { 2, 0, 0, 0, 0xf, 1 }, server[6] = { 2, 0, 0, 0, 2, 1 };

static int wrong_box(struct scene *s, const struct scene_copy *c)
{
	bool wrong = !memcmp(s->phone[c->phone].session->next_mac, firewall, 6);

	return wrong && c->direction == KL_TO_CUCM && scene_random(s) < 0.33 ? KL_CUCM_SIDE
									     : SCENE_DELIVERED;
}

static struct kl_arp_conflict conflict(uint32_t requests)
{
	struct kl_arp_conflict c = {
		.time_ns = SCENE_START,
		.address = { .word = { 0x0a020001 }, .family = 4 },
		.mac_count = 2,
		.answers = { requests, requests },
		.first_answers = { requests - requests / 4, requests / 4 },
		.requests = requests,
	};

	memcpy(c.mac[0], firewall, 6);
	memcpy(c.mac[1], server, 6);
	return c;
}

Test(findings, proxy_arp_and_who_follows_it)
{
	struct kl_arp_conflict c = conflict(20);
	struct scene s;

	scene_init(&s, 60, wrong_box, NULL);
	for (int i = 0; i < 6; i++) {
		struct scene_phone *p = scene_phone(&s, 30 * SCENE_S, 12);

		if (i < 4)
			memcpy(p->session->next_mac, firewall, 6);
		scene_live(&s, p, SCENE_START + (uint64_t)i * SCENE_S, SCENE_START + HOUR);
	}
	cr_assert_eq(kl_evidence_arp(&s.d.evidence, &c), 0);
	scene_conclude(&s);
	expect_first(&s, KL_CAUSE_PROXY_ARP, KL_CONFIDENCE_HIGH);
	cr_expect_eq(s.finding[0].phones, 4);
	expect_says(s.finding[0].evidence[0].text, "02:00:00:00:0f:01");
	expect_says(s.finding[0].evidence[1].text, "02:00:00:00:02:01");
	expect_says(s.finding[0].remedy, "proxy");
	expect_none(&s, KL_CAUSE_CUCM_SIDE_LOSS);
	scene_done(&s);
}

Test(findings, two_answers_and_losses_by_chance_prove_nothing)
{
	struct kl_arp_conflict c = conflict(2), stranger = conflict(50);
	struct scene s;

	scene_init(&s, 61, by_chance, NULL);
	live(&s, 6, 30 * SCENE_S, 12, HOUR);
	cr_assert_eq(kl_evidence_arp(&s.d.evidence, &c), 0);
	scene_conclude(&s);
	cr_expect_eq(scene_confidence(&s, KL_CAUSE_PROXY_ARP), KL_CONFIDENCE_LOW);
	scene_done(&s);

	/* And somebody else's address is nobody's business. */
	scene_init(&s, 62, by_chance, NULL);
	live(&s, 6, 30 * SCENE_S, 12, HOUR);
	stranger.address.word[0] = 0x0a090909;
	stranger.mac[0][5] = 0x77;
	stranger.mac[1][5] = 0x78;
	cr_assert_eq(kl_evidence_arp(&s.d.evidence, &stranger), 0);
	scene_conclude(&s);
	expect_none(&s, KL_CAUSE_PROXY_ARP);
	scene_done(&s);
}

Test(findings, where_nothing_is_lost_nothing_is_found)
{
	struct scene s;

	scene_init(&s, 70, never, NULL);
	live(&s, 20, 30 * SCENE_S, 12, HOUR);
	scene_conclude(&s);
	cr_expect_eq(s.findings, 0);
	scene_done(&s);
}
