// SPDX-License-Identifier: GPL-2.0-only
/* The rule about this host: losses of which its kernel says why it dropped them. */
#include "core/findings_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	GROUPS = 16, /* reasons at places that are told apart */
	RULES_TOLD = 3,
	TOLD = 4,
};

struct group {
	const struct kl_drop *drop;
	uint64_t count;
};

static bool is_dropped(const struct kl_facts *f, size_t loss, const void *arg)
{
	size_t drop = f->d->lost[loss].drop;

	(void)arg;
	return drop && drop <= f->d->evidence.drop.count;
}

static bool is_alike(const struct kl_drop *a, const struct kl_drop *b)
{
	return !strcmp(a->reason, b->reason) && !strcmp(a->symbol, b->symbol) &&
	       !strcmp(a->interface, b->interface);
}

/*
 * The most frequent first. What finds no group any more is only in the total. What something
 * weightier explains comes behind.
 */
static size_t group_drops(const struct kl_facts *f, bool explained, struct group ret[GROUPS])
{
	size_t count = 0;

	for (size_t i = 0; i < f->d->lost_count; i++) {
		const struct kl_drop *drop;
		size_t k = 0;

		if (!is_dropped(f, i, NULL) || kl_is_explained(f, i) != explained)
			continue;
		drop = &f->d->evidence.drop.item[f->d->lost[i].drop - 1];
		while (k < count && !is_alike(ret[k].drop, drop))
			k++;
		if (k == GROUPS)
			continue;
		if (k == count)
			ret[count++] = (struct group){ .drop = drop };
		ret[k].count++;
		for (; k && ret[k].count > ret[k - 1].count; k--) {
			struct group other = ret[k - 1];

			ret[k - 1] = ret[k];
			ret[k] = other;
		}
	}
	return count;
}

/* ---- What to change ---- */

/* The rule that counted most, else one that has no counter. NULL: none is known. */
static const struct kl_rule_evidence *suspect(const struct kl_facts *f)
{
	const struct kl_rule_evidence *best = NULL;

	for (size_t i = 0; i < f->d->evidence.rule.count; i++) {
		const struct kl_rule_evidence *r = &f->d->evidence.rule.item[i];

		if (r->counted && !r->packets)
			continue;
		if (!best || (r->counted && (!best->counted || r->packets > best->packets)))
			best = r;
	}
	return best;
}

/* The rules that counted, the most first, as they are listed. */
static void say_rules(const struct kl_facts *f, struct kl_finding *ret)
{
	size_t told = 0;

	for (size_t i = 0; i < f->d->evidence.rule.count && told < RULES_TOLD; i++) {
		const struct kl_rule_evidence *r = &f->d->evidence.rule.item[i];

		if (!r->counted || !r->packets)
			continue;
		kl_say_figure(kl_say(ret, "%s dropped %" PRIu64 " packets meanwhile", r->rule,
				     r->packets),
			      "rule_packets", (double)r->packets);
		told++;
	}
}

static void remedy_of_filter(const struct kl_facts *f, const struct kl_drop *d,
			     struct kl_finding *ret)
{
	const struct kl_rule_evidence *r = suspect(f);

	if (!r) {
		kl_remedy_is(
			ret,
			"Look through this host's packet filter (nft -a list ruleset) for what "
			"drops signalling%s%s, and accept it before that.",
			d->interface[0] ? " on " : "", d->interface);
		return;
	}
	kl_remedy_is(ret, "%s %s it: take it out or accept the signalling ports before it%s%.180s",
		     r->rule, r->counted ? "drops" : "may drop (it has no counter)",
		     r->says[0] ? ". It says: " : ".", r->says);
	say_rules(f, ret);
}

struct remedy {
	const char *reason; /* its beginning */
	const char *symbol; /* its beginning; NULL: any */
	const char *text;   /* may have one %s: the interface */
};

static const struct remedy remedies[] = {
	{ "IP_RPFILTER", NULL,
	  "Set net.ipv4.conf.%s.rp_filter to 2 (loose) or 0, for all as well, or correct the route "
	  "back to the phones: the kernel would answer them by another interface." },
	{ "QDISC_DROP", NULL,
	  "The queue of %s is full: raise its limit, or its rate (tc -s qdisc shows what it "
	  "drops), "
	  "and give signalling a class of its own." },
	{ "TC_EGRESS", NULL,
	  "A tc filter at the egress of %s drops it (tc filter show dev … egress), before the "
	  "queue: take it out or let the signalling ports pass." },
	{ "TC_INGRESS", NULL,
	  "A tc filter at the ingress of %s drops it (tc filter show dev … ingress): take it out "
	  "or "
	  "let the signalling ports pass." },
	{ "XDP", NULL,
	  "An XDP program at %s drops it (ip link shows it): let the signalling ports pass." },
	{ "NOT_SPECIFIED", "ip_error",
	  "The route to that address is a blackhole or unreachable one, or there is none (ip route "
	  "get ADDRESS): correct the route." },
	{ "IP_OUTNOROUTES", NULL,
	  "There is no route to that address (ip route get ADDRESS): add the route." },
	{ "NOT_SPECIFIED", "br_handle_frame_finish",
	  "The bridge's ports are isolated from each other: take the isolation off one of them "
	  "(bridge link set dev %s isolated off)." },
	{ "NO_TX_TARGET", NULL,
	  "The bridge knows no port for that MAC, and flooding is off: turn it on again on the "
	  "port "
	  "that leads there (bridge link set dev PORT flood on), or raise the bridge's ageing time "
	  "above the keepalive interval." },
	{ "BRIDGE_INGRESS_STP_STATE", NULL,
	  "The port %s is not forwarding by spanning tree: find the change of the tree, or make it "
	  "an edge port." },
	{ "IP_INADDRERRORS", NULL,
	  "This host does not forward: set net.ipv4.ip_forward (and net.ipv4.conf.%s.forwarding) "
	  "to "
	  "1." },
	{ "OTHERHOST", NULL,
	  "The frames bear another host's MAC: correct the neighbour entry or the ARP answer that "
	  "led there." },
	{ "NEIGH_", NULL,
	  "The next hop's MAC could not be found: see whether it answers ARP on %s (ip neigh)." },
	{ "CPU_BACKLOG", NULL,
	  "This host is too slow at times: raise net.core.netdev_max_backlog, spread the "
	  "interrupts "
	  "of %s." },
	{ "FULL_RING", NULL, "A ring is full: raise the ring of %s (ethtool -G)." },
};

static const struct remedy *find_remedy(const struct kl_drop *d)
{
	for (size_t i = 0; i < sizeof(remedies) / sizeof(*remedies); i++) {
		const struct remedy *r = &remedies[i];

		if (!strncmp(d->reason, r->reason, strlen(r->reason)) &&
		    (!r->symbol || !strncmp(d->symbol, r->symbol, strlen(r->symbol))))
			return r;
	}
	return NULL;
}

static void say_remedy(const struct kl_facts *f, const struct kl_drop *d, struct kl_finding *ret)
{
	const char *interface = d->interface[0] ? d->interface : "that interface", *gap;
	const struct remedy *r = find_remedy(d);

	if (!strcmp(d->reason, "NETFILTER_DROP")) {
		remedy_of_filter(f, d, ret);
		return;
	}
	if (!r) {
		kl_remedy_is(
			ret,
			"Look up what the kernel means by %s%s%s, on %s, and change the setting "
			"that leads there.",
			d->reason, d->symbol[0] ? " in " : "", d->symbol, interface);
		return;
	}
	gap = strstr(r->text, "%s");
	if (gap)
		kl_remedy_is(ret, "%.*s%s%s", (int)(gap - r->text), r->text, interface, gap + 2);
	else
		kl_remedy_is(ret, "%s", r->text);
}

bool kl_rule_in_host_drop(struct kl_facts *f, struct kl_finding *ret)
{
	struct group groups[GROUPS];
	const struct kl_drop *first;
	size_t count = group_drops(f, false, groups);

	/* All of it is explained by something weightier: then it is that one's mechanism. */
	if (!count)
		count = group_drops(f, true, groups);
	if (!count)
		return false;
	kl_concern(f, is_dropped, NULL, true, ret);
	ret->fault = true;
	ret->confidence = kl_by_cases(ret->losses);
	first = groups[0].drop;
	for (size_t i = 0; i < count && i < TOLD; i++) {
		const struct kl_drop *d = groups[i].drop;

		kl_say_figure(kl_say(ret, "%" PRIu64 " with the reason %s%s%s%s%s", groups[i].count,
				     d->reason, d->symbol[0] ? " in " : "", d->symbol,
				     d->interface[0] ? " on " : "", d->interface),
			      "dropped", (double)groups[i].count);
	}
	if (ret->losses > ret->own_losses)
		kl_say_figure(kl_say(ret,
				     "%" PRIu64 " of them are explained by a weightier finding",
				     ret->losses - ret->own_losses),
			      "explained", (double)(ret->losses - ret->own_losses));
	kl_explain_by(ret,
		      "This host itself dropped %" PRIu64 " keepalives or answers on their way "
		      "through it, and its kernel says why: %s%s%s%s.",
		      ret->losses, first->reason, first->symbol[0] ? " (" : "", first->symbol,
		      first->symbol[0] ? ")" : "");
	say_remedy(f, first, ret);
	return true;
}
