// SPDX-License-Identifier: GPL-2.0-only
/* kaloss check: what one interface means for it. */
#include "cli/check.h"

#include <linux/if_arp.h>
#include <string.h>

#include "util/cleanup.h"

static const char *const side_option[KL_SIDES] = { "--access", "--cucm" };

static const char *offload_word(enum kl_offload o)
{
	return o == KL_OFFLOAD_ON ? "on" : o == KL_OFFLOAD_OFF ? "off" : "not known";
}

static bool is_native_xdp(const struct kl_place *p)
{
	return p->how && !strcmp(p->how, "XDP (native)");
}

static void rule_is_well(struct kl_check *c, const struct kl_place *p)
{
	const char *driver = p->offloads.driver[0] ? p->offloads.driver : "not known";
	const char *how = !p->how ? "XDP not tried" : is_native_xdp(p) ? "native XDP" : p->how;

	kl_check_say(c, KL_FINE, p->name, "up, driver %s, %s, MTU %u, GRO %s (%s side)", driver,
		     how, p->facts->mtu, offload_word(p->offloads.gro),
		     p->side == KL_ACCESS ? "access" : "cucm");
}

static void rule_exists(struct kl_check *c, const struct kl_place *p)
{
	if (p->facts)
		return;
	kl_check_say(c, KL_OBSTACLE, p->name, "no such interface here");
	kl_check_cure(c, "ip -brief link");
	c->cannot_run = true;
}

static void rule_named_once(struct kl_check *c, const struct kl_place *p)
{
	if (!p->first)
		return;
	kl_check_say(c, KL_OBSTACLE, p->name,
		     "is the same interface as %s, which is named with %s: name it once",
		     p->first->name, side_option[p->first->side]);
}

static void rule_is_up(struct kl_check *c, const struct kl_place *p)
{
	if (!p->facts->up) {
		kl_check_say(c, KL_OBSTACLE, p->name, "is down");
		kl_check_cure(c, "ip link set %s up", p->facts->name);
	} else if (!p->facts->running) {
		bool other = kl_check_has_other(c, p);

		kl_check_say(c, other ? KL_NOTE : KL_OBSTACLE, p->name,
			     "is up but has no carrier: the cable, or the other end is down");
		kl_check_cure(c, "ethtool %s", p->facts->name);
	}
}

static void rule_is_ethernet(struct kl_check *c, const struct kl_place *p)
{
	if (p->facts->type == ARPHRD_ETHER || p->facts->type == ARPHRD_LOOPBACK)
		return;
	kl_check_say(
		c, KL_OBSTACLE, p->name,
		"its frames have no Ethernet header (link type %u), and kaloss reads no others: "
		"name the Ethernet interface that carries it",
		p->facts->type);
	kl_check_cure(c, "ip -details link show %s", p->facts->name);
}

static bool is_bond(const char *kind)
{
	return !strcmp(kind, "bond") || !strcmp(kind, "team");
}

/* The bond's links that this side does not name, as a comma list. */
static void list_unnamed_links(const struct kl_check *c, const struct kl_place *p, char *ret,
			       size_t size)
{
	ret[0] = '\0';
	for (size_t i = 0; i < c->interface_count; i++) {
		const struct kl_interface_facts *f = &c->interfaces[i];
		const struct kl_place *named = kl_check_place(c, f->ifindex);

		if (f->master != p->facts->master || (named && named->side == p->side))
			continue;
		snprintf(ret + strlen(ret), size - strlen(ret), "%s%s", ret[0] ? "," : "", f->name);
	}
}

static void rule_bond_is_whole(struct kl_check *c, const struct kl_place *p)
{
	const struct kl_interface_facts *bond = kl_check_interface(c, p->facts->master);
	struct kl_command_change change = {};
	char unnamed[256];

	if (!bond || !is_bond(p->facts->master_kind))
		return;
	if (kl_check_place(c, bond->ifindex)) {
		kl_check_say(c, KL_OBSTACLE, p->name,
			     "is a link of %s, which is named too: its frames would be seen twice",
			     bond->name);
		return;
	}
	list_unnamed_links(c, p, unnamed, sizeof(unnamed));
	if (!unnamed[0])
		return;
	kl_check_say(
		c, KL_OBSTACLE, p->name,
		"is a link of %s: what the other links (%s) carry would be missed. Watch %s, or "
		"all its links",
		bond->name, unnamed, bond->name);
	change.instead_of = p->name;
	change.put = bond->name;
	kl_check_cure_by(c, &change);
}

static void list_ports(const struct kl_check *c, unsigned bridge, bool named, char *ret,
		       size_t size)
{
	ret[0] = '\0';
	for (size_t i = 0; i < c->interface_count; i++) {
		const struct kl_interface_facts *f = &c->interfaces[i];

		if (f->master != bridge || (named && !kl_check_place(c, f->ifindex)))
			continue;
		snprintf(ret + strlen(ret), size - strlen(ret), "%s%s", ret[0] ? "," : "", f->name);
	}
}

static void rule_bridge_itself(struct kl_check *c, const struct kl_place *p)
{
	struct kl_command_change change = { .instead_of = p->name };
	char ports[256];

	if (strcmp(p->facts->kind, "bridge") != 0)
		return;
	list_ports(c, p->facts->ifindex, true, ports, sizeof(ports));
	if (ports[0]) {
		kl_check_say(
			c, KL_OBSTACLE, p->name,
			"is a bridge whose ports are named too (%s): at the bridge itself only "
			"what this host routes is seen, not what the ports pass on. Name ports "
			"only",
			ports);
		return;
	}
	list_ports(c, p->facts->ifindex, false, ports, sizeof(ports));
	kl_check_say(
		c, KL_NOTE, p->name,
		"is a bridge: only what this host routes is seen at it, not what its ports pass "
		"on to each other. To see where on it a phone is, name its ports");
	change.put = ports;
	if (ports[0])
		kl_check_cure_by(c, &change);
}

static void rule_not_stacked(struct kl_check *c, const struct kl_place *p)
{
	const struct kl_place *lower = kl_check_place(c, p->facts->lower);

	if (!p->facts->lower || !lower)
		return;
	kl_check_say(
		c, KL_OBSTACLE, p->name,
		"sits on %s, which is named too: its frames would be seen twice. Name one of them",
		lower->name);
}

static void rule_port_forwards(struct kl_check *c, const struct kl_place *p)
{
	if (p->facts->port_forwards || !p->facts->up)
		return;
	kl_check_say(c, kl_check_has_other(c, p) ? KL_NOTE : KL_OBSTACLE, p->name,
		     "its bridge does not forward through it now (spanning tree)");
	kl_check_cure(c, "bridge -details link show dev %s", p->facts->name);
}

static void rule_no_switch_chip(struct kl_check *c, const struct kl_place *p)
{
	if (p->facts->switch_chip)
		kl_check_say(c, KL_NOTE, p->name,
			     "is a port of a switch chip: what the chip forwards by itself never "
			     "reaches the CPU, and is not seen");
}

static void rule_xdp_is_free(struct kl_check *c, const struct kl_place *p)
{
	if (strstr(p->xdp, "kaloss_"))
		kl_check_say(c, KL_NOTE, p->name,
			     "another kaloss watches here (%s): two do not disturb each other",
			     p->xdp);
	else if (p->xdp[0])
		kl_check_say(c, KL_NOTE, p->name,
			     "%s is on it and stays: what it drops or redirects is not seen",
			     p->xdp);
}

/* A driver that knows native XDP, and often only for frames that fit one page. */
static bool is_refused_for_mtu(const struct kl_place *p)
{
	return p->facts->mtu > 1500 && strstr(p->why, "refuses");
}

static void rule_xdp_as_asked(struct kl_check *c, const struct kl_place *p)
{
	if (!p->how || is_native_xdp(p) || c->o->live.hook == KL_HOOK_TC)
		return;
	if (c->o->live.hook == KL_HOOK_XDP) {
		kl_check_say(c, KL_OBSTACLE, p->name, "--hook xdp is not possible: %s", p->why);
		if (is_refused_for_mtu(p))
			kl_check_cure(c, "ip link set %s mtu 1500", p->facts->name);
		else
			kl_check_cure_by(c, &(struct kl_command_change){ .add = "--hook auto" });
	} else if (!p->xdp[0]) {
		kl_check_say(c, KL_NOTE, p->name,
			     "no native XDP: %s%s; frames are read by %s instead", p->why,
			     is_refused_for_mtu(p) ? " (an MTU above 1500 is a common reason)" : "",
			     p->how);
	}
}

/* Another kaloss lets everything pass. */
static bool is_somebodys(const char *programs)
{
	return programs[0] && !strstr(programs, "kaloss_");
}

static void rule_tc_is_shared(struct kl_check *c, const struct kl_place *p)
{
	if (is_somebodys(p->tc_in) && !is_native_xdp(p))
		kl_check_say(c, KL_NOTE, p->name, "also reads what comes in: %s%s", p->tc_in,
			     c->clsact ? "; what it keeps to itself is not seen" : "");
	if (is_somebodys(p->tc_out) && !c->o->live.tap)
		kl_check_say(c, KL_NOTE, p->name, "also reads what leaves: %s; %s", p->tc_out,
			     c->clsact ? "what it keeps to itself is not seen"
				       : "what it drops counts as delivered");
}

/* Of cards: a veth passes tags on as its peer has them. */
static void rule_xdp_sees_tags(struct kl_check *c, const struct kl_place *p)
{
	if (!is_native_xdp(p) || p->facts->kind[0] || p->offloads.rx_vlan != KL_OFFLOAD_ON)
		return;
	kl_check_say(c, KL_NOTE, p->name,
		     "rx-vlan-offload takes VLAN tags off before XDP: where there are any, records "
		     "say vlan null");
	kl_check_cure(c, "ethtool -K %s rxvlan off", p->facts->name);
}

static void rule_no_lro(struct kl_check *c, const struct kl_place *p)
{
	if (p->offloads.lro != KL_OFFLOAD_ON)
		return;
	kl_check_say(c, KL_NOTE, p->name,
		     "LRO merges segments beyond recognition: copies may look like one");
	kl_check_cure(c, "ethtool -K %s lro off", p->facts->name);
}

void kl_check_interface_rules(struct kl_check *c, const struct kl_place *p)
{
	static void (*const rules[])(struct kl_check *, const struct kl_place *) = {
		rule_is_up,	   rule_is_ethernet,   rule_bond_is_whole,  rule_bridge_itself,
		rule_not_stacked,  rule_port_forwards, rule_no_switch_chip, rule_xdp_is_free,
		rule_xdp_as_asked, rule_tc_is_shared,  rule_xdp_sees_tags,  rule_no_lro,
	};
	unsigned obstacles = c->obstacles;

	rule_exists(c, p);
	rule_named_once(c, p);
	if (!p->facts || p->first)
		return;
	rule_is_well(c, p);
	for (size_t i = 0; i < KL_COUNT(rules); i++)
		rules[i](c, p);
	/* It is not, after all. */
	if (c->obstacles != obstacles)
		memmove(c->lines, c->lines + 1, --c->line_count * sizeof(c->lines[0]));
}
