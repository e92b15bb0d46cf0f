// SPDX-License-Identifier: GPL-2.0-only
/* kaloss check: does the signalling really cross both sides? */
#include "cli/check.h"

#include <inttypes.h>
#include <string.h>

#include "cli/check_survey.h"
#include "core/names.h"
#include "util/cleanup.h"

#define SUBJECT "traffic"

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/*
 * A few among many are a note: perhaps their segments were only lost in between, which kaloss is
 * there to find.
 */
static enum kl_weight weight_of(const struct kl_survey *s, uint64_t n)
{
	return !s->met[KL_MEET_AGREE] || (n > 2 && n * 10 > s->total) ? KL_OBSTACLE : KL_NOTE;
}

enum {
	ENDS_TEXT = 2 * (KL_ADDRESS_TEXT + 8) + 16,
	END_TEXT = KL_ADDRESS_TEXT + 8
};

static void end_text(__u8 family, const __u32 *address, __u16 port, char ret[END_TEXT])
{
	char text[KL_ADDRESS_TEXT];

	kl_format_address(family, address, text);
	snprintf(ret, END_TEXT, family == 6 ? "[%s]:%u" : "%s:%u", text, port);
}

static void ends_text(const struct kl_endpoints *e, char ret[ENDS_TEXT])
{
	char phone[END_TEXT], cucm[END_TEXT];

	end_text(e->family, e->phone, e->phone_port, phone);
	end_text(e->family, e->cucm, e->cucm_port, cucm);
	snprintf(ret, ENDS_TEXT, "phone %s, cucm %s", phone, cucm);
}

static void list_ports(const struct kl_live_config *live, char *ret, size_t size)
{
	ret[0] = '\0';
	for (unsigned service = 0; service < KL_SERVICES; service++) {
		for (size_t i = 0; i < live->port_count[service]; i++)
			snprintf(ret + strlen(ret), size - strlen(ret), "%s%u", ret[0] ? ", " : "",
				 live->ports[service][i]);
	}
}

static uint64_t wrong_way(const struct kl_survey *s)
{
	return s->counters.incident[KL_WRONG_WAY_ACCESS] + s->counters.incident[KL_WRONG_WAY_CUCM];
}

static void rule_something_is_seen(struct kl_check *c, const struct kl_survey *s)
{
	char ports[128];

	if (s->total || wrong_way(s))
		return;
	list_ports(&c->o->live, ports, sizeof(ports));
	kl_check_say(
		c, KL_NOTE, SUBJECT,
		"no signalling seen (TCP ports %s). An idle phone says something every 30 to 120 s",
		ports);
	kl_check_cure_by(c, &(struct kl_command_change){ .add = "--duration 2m" });
}

static void rule_crosses(struct kl_check *c, const struct kl_survey *s)
{
	uint64_t n = s->met[KL_MEET_AGREE];

	if (n)
		kl_check_say(c, KL_FINE, SUBJECT,
			     "%" PRIu64 " connection%s seen on both sides, which agree", n,
			     plural(n));
}

static void rule_sides_are_right(struct kl_check *c, const struct kl_survey *s)
{
	uint64_t access = s->counters.incident[KL_WRONG_WAY_ACCESS];
	uint64_t cucm = s->counters.incident[KL_WRONG_WAY_CUCM];
	uint64_t right = s->counters.segments[KL_TO_CUCM] + s->counters.segments[KL_TO_PHONE];

	if (!access && !cucm)
		return;
	if (!right) {
		kl_check_say(
			c, KL_OBSTACLE, SUBJECT,
			"the sides are mixed up: %" PRIu64 " segments to a phone came in on the "
			"access side, %" PRIu64 " to the call server on the cucm side, and none "
			"the right way",
			access, cucm);
		kl_check_cure_by(c, &(struct kl_command_change){ .swap_sides = true });
	} else if (access && cucm && !s->met[KL_MEET_AGREE]) {
		kl_check_say(c, KL_OBSTACLE, SUBJECT,
			     "both directions come in on both sides, as on mirror ports");
		kl_check_cure_by(c, &(struct kl_command_change){ .add = "--tap" });
	} else {
		kl_check_say(c, KL_NOTE, SUBJECT,
			     "%" PRIu64
			     " segments came in on the side that they go to (flooded, or "
			     "another path back): they are not counted",
			     access + cucm);
	}
}

static void rule_mirror_ports(struct kl_check *c, const struct kl_survey *s)
{
	if (!c->o->live.tap || s->met[KL_MEET_AGREE] || !s->no_far[KL_TO_CUCM] ||
	    !s->no_far[KL_TO_PHONE])
		return;
	kl_check_say(c, KL_OBSTACLE, SUBJECT,
		     "each direction comes in on one side only: these are no mirror ports, or each "
		     "mirrors one direction");
	kl_check_cure_by(c, &(struct kl_command_change){ .drop = "--tap" });
}

static bool is_translated(const struct kl_check *c, const struct kl_survey *s)
{
	return !c->o->live.nat && (s->phone_translated || s->phone_suspected);
}

static void rule_not_translated(struct kl_check *c, const struct kl_survey *s)
{
	const struct kl_endpoints *a = &s->translated[KL_ACCESS].ends;
	const struct kl_endpoints *b = &s->translated[KL_CUCM].ends;
	char from[END_TEXT], to[END_TEXT];

	if (s->cucm_translated) {
		end_text(a->family, a->cucm, a->cucm_port, from);
		end_text(b->family, b->cucm, b->cucm_port, to);
		kl_check_say(
			c, KL_OBSTACLE, SUBJECT,
			"NAT: the call server that the phones know as %s is %s on the cucm side. "
			"kaloss cannot join that",
			from, to);
	}
	if (!is_translated(c, s))
		return;
	if (s->phone_translated) {
		end_text(a->family, a->phone, a->phone_port, from);
		end_text(b->family, b->phone, b->phone_port, to);
		kl_check_say(c, KL_OBSTACLE, SUBJECT,
			     "NAT: %" PRIu64 " connection%s under other addresses on the two sides "
			     "(phone %s is %s on the cucm side, with the same sequence numbers)",
			     s->phone_translated, plural(s->phone_translated), from, to);
	} else {
		kl_check_say(c, KL_OBSTACLE, SUBJECT,
			     "probably NAT: %" PRIu64 " connection%s only on the access side, and "
			     "others to the same call server only on the cucm side",
			     s->phone_suspected, plural(s->phone_suspected));
	}
	kl_check_cure_by(c, &(struct kl_command_change){ .add = "--nat" });
}

/* Connections that only one side sees; those under two names were told of before. */
static void rule_not_one_sided(struct kl_check *c, const struct kl_survey *s, __u32 side)
{
	enum kl_meeting meeting = side == KL_ACCESS ? KL_MEET_ACCESS : KL_MEET_CUCM;
	uint64_t n = s->met[meeting];
	const struct kl_met *one = &s->sample[meeting][0];
	/* What it sends on from there: a side's number is that of the direction from it. */
	__u32 direction = side;
	struct kl_explanation why;
	char ends[ENDS_TEXT];

	if (!n || is_translated(c, s) || s->cucm_translated)
		return;
	ends_text(&one->ends, ends);
	kl_check_explain(c, &one->ends, direction, &why);
	kl_check_say(c, weight_of(s, n), SUBJECT,
		     "%" PRIu64 " connection%s only on the %s side: another way %s, or %s (such as "
		     "%s%s)",
		     n, plural(n), kl_side_name(side), side == KL_ACCESS ? "out" : "in",
		     c->o->live.nat ? "not yet recognised behind NAT" : "NAT (try --nat)", ends,
		     why.text);
	if (why.cure[0])
		kl_check_cure(c, "%s", why.cure);
}

static void rule_not_access_only(struct kl_check *c, const struct kl_survey *s)
{
	rule_not_one_sided(c, s, KL_ACCESS);
}

static void rule_not_cucm_only(struct kl_check *c, const struct kl_survey *s)
{
	rule_not_one_sided(c, s, KL_CUCM);
}

static const struct kl_met *find_partly(const struct kl_survey *s, __u32 direction, bool no_far)
{
	for (size_t i = 0; i < s->samples[KL_MEET_PARTLY]; i++) {
		const struct kl_met *m = &s->sample[KL_MEET_PARTLY][i];

		if (no_far ? m->no_far[direction] : m->no_near[direction])
			return m;
	}
	return NULL;
}

static const char *whither(__u32 direction)
{
	return direction == KL_TO_CUCM ? "to the call server" : "to the phone";
}

/* Both sides see the connection, but one of its directions goes around one of them. */
static void rule_reaches_far_side(struct kl_check *c, const struct kl_survey *s)
{
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		const struct kl_met *one = find_partly(s, d, true);
		struct kl_explanation why;
		char ends[ENDS_TEXT];

		if (!one || (c->o->live.tap && !s->met[KL_MEET_AGREE]))
			continue;
		ends_text(&one->ends, ends);
		kl_check_explain(c, &one->ends, d, &why);
		kl_check_say(c, weight_of(s, s->no_far[d]), SUBJECT,
			     "asymmetric: of %" PRIu64
			     " connection%s the segments %s are not seen on "
			     "the %s side (such as %s%s)",
			     s->no_far[d], plural(s->no_far[d]), whither(d), kl_side_name(d ^ 1),
			     ends, why.text);
		if (why.cure[0])
			kl_check_cure(c, "%s", why.cure);
	}
}

static void rule_comes_in_on_near_side(struct kl_check *c, const struct kl_survey *s)
{
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		const struct kl_met *one = find_partly(s, d, false);
		char ends[ENDS_TEXT];

		if (!one || (c->o->live.tap && !s->met[KL_MEET_AGREE]))
			continue;
		ends_text(&one->ends, ends);
		kl_check_say(c, weight_of(s, s->no_near[d]), SUBJECT,
			     "asymmetric: of %" PRIu64 " connection%s the segments %s come in "
			     "through an interface that is not on the %s side (such as %s)",
			     s->no_near[d], plural(s->no_near[d]), whither(d), kl_side_name(d),
			     ends);
	}
}

static void rule_something_comes_back(struct kl_check *c, const struct kl_survey *s)
{
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		if (!s->met[KL_MEET_AGREE] || s->silent[d] != s->total ||
		    s->counters.segments[d ^ 1] < 3)
			continue;
		kl_check_say(
			c, KL_OBSTACLE, SUBJECT,
			"nothing goes %s on these interfaces: asymmetric routing, or %s is silent",
			d == KL_TO_CUCM ? "to the call server" : "to the phones",
			d == KL_TO_CUCM ? "every phone" : "the call server");
	}
}

static void rule_same_numbers(struct kl_check *c, const struct kl_survey *s)
{
	uint64_t n = s->met[KL_MEET_DIFFER];
	char ends[ENDS_TEXT];

	if (!n)
		return;
	ends_text(&s->sample[KL_MEET_DIFFER][0].ends, ends);
	kl_check_say(
		c, weight_of(s, n), SUBJECT,
		"%" PRIu64 " connection%s with the same addresses but other sequence numbers on "
		"the two sides: a proxy or an inspection in between rewrites them (such as %s)",
		n, plural(n), ends);
	kl_check_cure(c, "nft list ruleset | grep -E 'synproxy|tproxy|redirect|helper'");
}

static void rule_has_room(struct kl_check *c, const struct kl_survey *s)
{
	char more[32];

	if (s->counters.incident[KL_CONNS_REFUSED]) {
		snprintf(more, sizeof(more), "--connections %" PRIu64, s->total * 2 + 1024);
		kl_check_say(c, KL_OBSTACLE, SUBJECT, "more connections than there is room for");
		kl_check_cure_by(c, &(struct kl_command_change){ .add = more });
	}
	if (s->counters.incident[KL_JOIN_FULL]) {
		snprintf(more, sizeof(more), "--join-entries %u", c->o->live.join_entries * 4);
		kl_check_say(c, KL_OBSTACLE, SUBJECT,
			     "%" PRIu64 " segments found no room to wait for their other half",
			     (uint64_t)s->counters.incident[KL_JOIN_FULL]);
		kl_check_cure_by(c, &(struct kl_command_change){ .add = more });
	}
}

static void rule_is_whole(struct kl_check *c, const struct kl_survey *s)
{
	uint64_t fragments = s->counters.incident[KL_FRAGMENTS];

	if (fragments)
		kl_check_say(c, KL_NOTE, SUBJECT,
			     "%" PRIu64
			     " IP fragments of signalling: what they belong to is not judged",
			     fragments);
}

void kl_check_traffic_rules(struct kl_check *c)
{
	static void (*const rules[])(struct kl_check *, const struct kl_survey *) = {
		rule_something_is_seen,
		rule_crosses,
		rule_sides_are_right,
		rule_mirror_ports,
		rule_not_translated,
		rule_not_access_only,
		rule_not_cucm_only,
		rule_reaches_far_side,
		rule_comes_in_on_near_side,
		rule_something_comes_back,
		rule_same_numbers,
		rule_has_room,
		rule_is_whole,
	};

	if (!c->survey || c->survey->error) {
		kl_check_say(c, KL_NOTE, SUBJECT, "not looked at: %s",
			     c->missing[0] ? "it needs privileges"
			     : c->survey   ? strerror(-c->survey->error)
					   : "the programs are not in place");
		return;
	}
	for (size_t i = 0; i < KL_COUNT(rules); i++)
		rules[i](c, c->survey);
}
