// SPDX-License-Identifier: GPL-2.0-only
/* arp.h: what is a conflict, and what only looks like one. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "core/arp.h"

#define MS KL_NS_PER_MS
#define S (1000 * MS)

enum {
	TOLD_MAX = 64
};

static const uint8_t server_mac[6] = { 0x00, 0x50, 0x56, 0, 0, 1 };
static const uint8_t firewall_mac[6] = { 0x00, 0x1b, 0x54, 0, 0, 2 };
static const uint8_t third_mac[6] = { 0x00, 0x1b, 0x54, 0, 0, 3 };
static const uint8_t vrrp_mac[6] = { 0x00, 0x00, 0x5e, 0x00, 0x01, 7 };
static const uint8_t vrrp6_mac[6] = { 0x00, 0x00, 0x5e, 0x00, 0x02, 7 };
static const uint8_t hsrp_mac[6] = { 0x00, 0x00, 0x0c, 0x07, 0xac, 7 };
static const uint8_t hsrp2_mac[6] = { 0x00, 0x00, 0x0c, 0x9f, 0xf1, 7 };
static const uint8_t glbp_mac[6] = { 0x00, 0x07, 0xb4, 0x00, 0x01, 1 };
static const uint8_t glbp2_mac[6] = { 0x00, 0x07, 0xb4, 0x00, 0x01, 2 };
static const uint8_t phone_mac[6] = { 0x00, 0x24, 0x14, 0x2d, 0xdf, 0x24 };
static const uint8_t printer_mac[6] = { 0x00, 0x24, 0x14, 0xff, 0xff, 0xff };

static struct kl_arp_conflict told[TOLD_MAX];
static unsigned told_count;
static struct kl_arp *arp;
static uint64_t now;
static uint8_t family;
static uint16_t vlan;

static void take(const struct kl_arp_conflict *c, void *arg)
{
	(void)arg;
	cr_assert_lt(told_count, TOLD_MAX);
	told[told_count++] = *c;
}

static bool is_phone(const uint8_t mac[6], void *arg)
{
	(void)arg;
	return mac[3] == 0x2d;
}

static void address(unsigned n, uint32_t ret[4])
{
	memset(ret, 0, 16);
	ret[0] = htonl(family == 4 ? 0x0a000000 + n : 0x20010db8);
	ret[3] = family == 4 ? 0 : htonl(n);
}

static void start(uint8_t of_family)
{
	static const struct kl_arp_config config = { .is_phone = is_phone, .handler = take };
	struct kl_address server = { .family = of_family };

	family = of_family;
	vlan = 0;
	now = 1000 * S;
	told_count = 0;
	cr_assert_eq(kl_arp_new(&config, &arp), 0);
	address(1, server.word);
	cr_assert_eq(kl_arp_watch_add_server(arp, &server), 0);
}

static void stop(void)
{
	kl_arp_free(arp);
}

static void say(uint8_t what, unsigned n, unsigned asker, const uint8_t mac[6])
{
	struct kl_arp_event e = { .time_ns = now, .family = family, .what = what, .vlan = vlan };

	address(n, e.address);
	if (asker)
		address(asker, e.to);
	memcpy(e.mac, mac, 6);
	memcpy(e.frame_mac, mac, 6);
	cr_assert_eq(kl_arp_feed(arp, &e), 0);
}

/* The phone asks for the server, and these answer, 1 ms apart. */
static void ask(unsigned asker, const uint8_t *a, const uint8_t *b)
{
	say(KL_ARP_REQUEST, 1, asker, phone_mac);
	now += MS;
	if (a)
		say(KL_ARP_ANSWER, 1, asker, a);
	now += MS;
	if (b)
		say(KL_ARP_ANSWER, 1, asker, b);
}

static unsigned visited(struct kl_arp_conflict *ret)
{
	unsigned before = told_count, n;

	kl_arp_visit(arp, take, NULL);
	n = told_count - before;
	if (n)
		*ret = told[before];
	told_count = before;
	return n;
}

static void expect_none(void)
{
	struct kl_arp_conflict c;

	cr_expect_eq(told_count, 0);
	cr_expect_eq(visited(&c), 0);
	stop();
}

static void proxy_arp(uint8_t of_family)
{
	struct kl_arp_conflict c;

	start(of_family);
	ask(100, server_mac, NULL);
	now += 30 * S;
	ask(100, firewall_mac, server_mac);
	cr_assert_eq(told_count, 1);
	cr_expect_eq(told[0].time_ns, now);
	cr_expect_eq(told[0].first_ns, now);
	cr_expect_eq(told[0].address.family, of_family);
	cr_expect_eq(told[0].mac_count, 2);
	cr_expect_arr_eq(told[0].mac[0], server_mac, 6);
	cr_expect_arr_eq(told[0].mac[1], firewall_mac, 6);
	cr_expect_eq(told[0].first, 1);
	cr_expect_eq(told[0].requests, 1);
	for (unsigned phone = 101; phone < 121; phone++) {
		now += 5 * S;
		if (phone % 4)
			ask(phone, firewall_mac, server_mac);
		else
			ask(phone, server_mac, firewall_mac);
	}
	cr_assert_eq(visited(&c), 1);
	cr_expect_eq(c.requests, 21);
	cr_expect_eq(c.answers[0], 22);
	cr_expect_eq(c.answers[1], 21);
	cr_expect_eq(c.first_answers[0], 5);
	cr_expect_eq(c.first_answers[1], 16);
	cr_expect_eq(c.first, 0); /* the last time */
	/* Who answers first changes from time to time; that is told, but not each time. */
	cr_expect_geq(told_count, 2);
	cr_expect_leq(told_count, 3);
	stop();
}

Test(arp, two_that_answer_the_same_request_are_a_conflict)
{
	proxy_arp(4);
}

Test(arp, and_so_they_are_in_neighbour_discovery)
{
	proxy_arp(6);
}

Test(arp, answers_alone_tell_too)
{
	start(4);
	say(KL_ARP_ANSWER, 1, 100, server_mac);
	now += S;
	say(KL_ARP_ANSWER, 1, 100, firewall_mac);
	cr_expect_eq(told_count, 1);
	cr_expect_eq(told[0].first, 0);
	stop();
}

Test(arp, an_answer_to_a_later_request_is_no_second_answer)
{
	start(4);
	ask(100, server_mac, NULL);
	now += 2 * S;
	ask(100, firewall_mac, NULL);
	cr_expect_eq(told_count, 0);
	now += 4 * S; /* too late for the same request */
	say(KL_ARP_ANSWER, 1, 100, third_mac);
	expect_none();
}

Test(arp, the_earlier_answer_is_the_first_whichever_is_heard_first)
{
	start(4);
	say(KL_ARP_REQUEST, 1, 100, phone_mac);
	now += 5 * MS;
	say(KL_ARP_ANSWER, 1, 100, server_mac);
	now -= 2 * MS;
	say(KL_ARP_ANSWER, 1, 100, firewall_mac);
	cr_assert_eq(told_count, 1);
	cr_expect_arr_eq(told[0].mac[told[0].first], firewall_mac, 6);
	cr_expect_eq(told[0].first_answers[told[0].first], 1);
	cr_expect_eq(told[0].first_answers[!told[0].first], 0);
	stop();
}

Test(arp, the_same_frame_at_both_interfaces_is_one_answer)
{
	start(4);
	for (int i = 0; i < 5; i++) {
		ask(100, server_mac, server_mac);
		now += 10 * S;
	}
	expect_none();
}

Test(arp, a_request_at_both_interfaces_is_one)
{
	start(4);
	say(KL_ARP_REQUEST, 1, 100, phone_mac);
	now += MS;
	say(KL_ARP_ANSWER, 1, 100, server_mac);
	say(KL_ARP_REQUEST, 1, 100, phone_mac);
	say(KL_ARP_ANSWER, 1, 100, firewall_mac);
	cr_expect_eq(told_count, 1);
	stop();
}

Test(arp, a_third_one_that_joins_is_told)
{
	struct kl_arp_conflict c;

	start(4);
	ask(100, firewall_mac, server_mac);
	now += 5 * S;
	ask(101, firewall_mac, third_mac);
	cr_expect_eq(told_count, 2);
	cr_assert_eq(visited(&c), 1);
	cr_expect_eq(c.mac_count, 3);
	cr_expect_eq(c.requests, 2);
	stop();
}

/* ---- Failover ---- */

Test(arp, a_failover_is_none)
{
	start(4);
	ask(100, server_mac, NULL);
	now += 10 * S;
	say(KL_ARP_ANNOUNCE, 1, 0, third_mac);
	for (unsigned phone = 100; phone < 120; phone++) {
		now += S;
		ask(phone, third_mac, NULL);
	}
	expect_none();
}

Test(arp, nor_is_one_without_a_word)
{
	start(4);
	ask(100, server_mac, NULL);
	for (unsigned phone = 100; phone < 120; phone++) {
		now += S;
		ask(phone, third_mac, NULL);
	}
	expect_none();
}

Test(arp, nor_is_one_there_and_back_that_is_announced)
{
	start(4);
	for (int i = 0; i < 10; i++) {
		const uint8_t *mac = i & 1 ? third_mac : server_mac;

		say(KL_ARP_ANNOUNCE, 1, 0, mac);
		ask(100, mac, NULL);
		now += 20 * S;
	}
	expect_none();
}

Test(arp, in_the_moment_of_a_failover_both_may_answer)
{
	start(4);
	ask(99, server_mac, NULL);
	now += 10 * S;
	say(KL_ARP_REQUEST, 1, 100, phone_mac);
	say(KL_ARP_ANSWER, 1, 100, server_mac);
	say(KL_ARP_ANNOUNCE, 1, 0, third_mac);
	now += 100 * MS;
	say(KL_ARP_ANSWER, 1, 100, third_mac);
	now += 2 * S;
	ask(101, third_mac, server_mac);
	now += 2 * S;
	ask(102, third_mac, NULL);
	expect_none();
}

Test(arp, two_that_hold_the_same_address_are_found_though_both_announce_it)
{
	start(4);
	for (int i = 0; i < 10; i++) {
		say(KL_ARP_ANNOUNCE, 1, 0, i & 1 ? third_mac : server_mac);
		now += 500 * MS;
		ask(100, server_mac, third_mac);
		now += 2 * S;
	}
	cr_expect_geq(told_count, 1);
	stop();
}

Test(arp, what_was_before_an_announcement_is_forgotten)
{
	start(4);
	ask(100, server_mac, NULL);
	now += 4 * S;
	ask(100, firewall_mac, NULL);
	now += 4 * S;
	say(KL_ARP_ANNOUNCE, 1, 0, third_mac);
	now += 4 * S;
	ask(100, server_mac, NULL);
	expect_none();
}

Test(arp, to_and_fro_is_a_conflict)
{
	start(4);
	ask(100, server_mac, NULL);
	now += 10 * S;
	ask(101, firewall_mac, NULL);
	cr_expect_eq(told_count, 0);
	now += 10 * S;
	ask(102, server_mac, NULL);
	cr_assert_eq(told_count, 1);
	cr_expect_eq(told[0].mac_count, 2);
	cr_expect_eq(told[0].requests, 0);
	cr_expect_eq(told[0].first, 0);
	stop();
}

Test(arp, there_and_back_after_a_long_time_is_none)
{
	start(4);
	ask(100, server_mac, NULL);
	now += 40 * S;
	ask(101, third_mac, NULL);
	now += 40 * S;
	ask(102, server_mac, NULL);
	expect_none();
}

/* ---- Virtual MACs ---- */

static const struct {
	const uint8_t *a, *b;
} virtual_pairs[] = { { vrrp_mac, hsrp_mac },
		      { glbp_mac, glbp2_mac },
		      { hsrp_mac, hsrp2_mac },
		      { vrrp6_mac, glbp_mac } };

Test(arp, virtual_ones_are_never_in_conflict_among_themselves)
{
	for (unsigned i = 0; i < sizeof(virtual_pairs) / sizeof(virtual_pairs[0]); i++) {
		start(4);
		for (unsigned k = 0; k < 10; k++) {
			ask(100 + k, k & 1 ? virtual_pairs[i].a : virtual_pairs[i].b, NULL);
			now += 2 * S;
			ask(200 + k, virtual_pairs[i].a, virtual_pairs[i].b);
			now += 2 * S;
		}
		expect_none();
	}
}

Test(arp, a_router_may_answer_by_its_own_name_for_a_while)
{
	start(4);
	ask(100, vrrp_mac, server_mac);
	now += S;
	ask(101, vrrp_mac, server_mac);
	now += S;
	ask(102, vrrp_mac, NULL);
	ask(103, server_mac, NULL);
	ask(104, vrrp_mac, NULL);
	/* months later, once more */
	now += 5000000 * S;
	ask(104, vrrp_mac, server_mac);
	expect_none();
}

Test(arp, but_not_for_ever)
{
	struct kl_arp_conflict c;

	start(4);
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(told_count, 0);
		ask(100 + i, vrrp_mac, server_mac);
		now += S;
	}
	cr_expect_eq(told_count, 1);
	cr_assert_eq(visited(&c), 1);
	cr_expect_eq(c.requests, 3);
	cr_expect_eq(c.first, 0);
	stop();
}

Test(arp, ranges_of_virtual_ones)
{
	static const uint8_t near_hsrp2[6] = { 0x00, 0x00, 0x0c, 0x9f, 0xe1, 7 };
	static const uint8_t near_vrrp[6] = { 0x00, 0x00, 0x5e, 0x00, 0x03, 7 };
	static const uint8_t hsrp6[6] = { 0x00, 0x05, 0x73, 0xa0, 0x0f, 0xff };

	cr_expect(kl_arp_mac_is_virtual(vrrp_mac));
	cr_expect(kl_arp_mac_is_virtual(vrrp6_mac));
	cr_expect(kl_arp_mac_is_virtual(hsrp_mac));
	cr_expect(kl_arp_mac_is_virtual(hsrp2_mac));
	cr_expect(kl_arp_mac_is_virtual(hsrp6));
	cr_expect(kl_arp_mac_is_virtual(glbp_mac));
	cr_expect_not(kl_arp_mac_is_virtual(near_hsrp2));
	cr_expect_not(kl_arp_mac_is_virtual(near_vrrp));
	cr_expect_not(kl_arp_mac_is_virtual(server_mac));
}

/* ---- What is watched ---- */

Test(arp, what_a_phone_asks_for_is_watched_and_nothing_else)
{
	start(4);
	say(KL_ARP_REQUEST, 50, 200, printer_mac);
	say(KL_ARP_ANSWER, 50, 200, server_mac);
	say(KL_ARP_ANSWER, 50, 200, firewall_mac);
	cr_expect_eq(told_count, 0);
	now += 10 * S;
	say(KL_ARP_REQUEST, 50, 100, phone_mac);
	say(KL_ARP_ANSWER, 50, 100, server_mac);
	say(KL_ARP_ANSWER, 50, 100, firewall_mac);
	cr_expect_eq(told_count, 1);
	stop();
}

Test(arp, the_same_address_in_two_vlans_is_two)
{
	start(4);
	for (unsigned i = 0; i < 10; i++) {
		vlan = i & 1 ? 10 : 20;
		ask(100, i & 1 ? server_mac : third_mac, NULL);
		now += S;
	}
	expect_none();
}

Test(arp, floods_find_their_bounds_and_hide_nothing)
{
	static const uint8_t none[6];
	struct kl_arp_stats stats;

	start(4);
	for (unsigned i = 0; i < 20000; i++) {
		say(KL_ARP_REQUEST, 1000 + i, 100, phone_mac);
		say(KL_ARP_ANSWER, 1000 + i, 100, server_mac);
		say(KL_ARP_ANSWER, 1, 100000 + i, server_mac); /* asked by ever others */
		say(KL_ARP_ANNOUNCE, 200000 + i, 0, third_mac);
		say(KL_ARP_ANSWER, 1, 100, none);
		now += MS;
	}
	cr_expect_eq(told_count, 0);
	kl_arp_read_stats(arp, &stats);
	cr_expect_eq(stats.watched, KL_ARP_ADDRESSES);
	cr_expect_eq(stats.malformed, 20000);
	cr_expect_gt(stats.unlisted, 0);
	cr_expect_eq(stats.conflicts, 0);
	now += 10 * S;
	ask(100, firewall_mac, server_mac);
	cr_expect_eq(told_count, 1);
	stop();
}

Test(arp, claimants_without_number_find_their_bound)
{
	struct kl_arp_conflict c;

	start(4);
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t mac[6] = { 2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };

		ask(100 + i, server_mac, mac);
		now += 100 * MS;
	}
	cr_assert_eq(visited(&c), 1);
	cr_expect_eq(c.mac_count, KL_ARP_MACS);
	cr_expect_eq(c.answers[0], 1000);
	cr_expect_eq(told_count, KL_ARP_MACS - 1);
	stop();
}

Test(arp, those_of_long_ago_make_room)
{
	struct kl_arp_conflict c;

	start(4);
	for (unsigned i = 0; i < 8; i++) {
		uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)i };

		ask(100, mac, NULL);
		now += 3600 * S;
	}
	cr_expect_eq(told_count, 0);
	ask(100, firewall_mac, server_mac);
	cr_assert_eq(visited(&c), 1);
	cr_expect_eq(c.mac_count, 2);
	cr_expect_arr_eq(c.mac[0], firewall_mac, 6);
	cr_expect_arr_eq(c.mac[1], server_mac, 6);
	stop();
}
