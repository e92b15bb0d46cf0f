// SPDX-License-Identifier: GPL-2.0-only
/* kaloss check: what this kernel and this host's way of forwarding mean for it. */
#include "cli/check.h"

#include <string.h>

#include "cli/check_survey.h"
#include "source/nat.h"
#include "util/cleanup.h"

enum {
	OLDEST_MAJOR = 6,
	OLDEST_MINOR = 1
};

/* ---- The kernel ---- */

static bool is_at_least(const struct kl_kernel_facts *k, unsigned major, unsigned minor)
{
	return k->major > major || (k->major == major && k->minor >= minor);
}

static void rule_kernel_is_well(struct kl_check *c)
{
	const struct kl_kernel_facts *k = &c->kernel;
	bool tcx = c->live ? !c->clsact : is_at_least(k, 6, 6);

	kl_check_say(c, KL_FINE, "kernel", "%s, %s, %s, BPF JIT %s", k->release,
		     k->btf ? "BTF" : "no BTF", tcx ? "tcx" : "clsact filters",
		     k->jit < 0 ? "not known"
		     : k->jit	? "on"
				: "off");
}

static void rule_is_new_enough(struct kl_check *c)
{
	if (is_at_least(&c->kernel, OLDEST_MAJOR, OLDEST_MINOR))
		return;
	kl_check_say(c, c->live ? KL_NOTE : KL_OBSTACLE, "kernel",
		     "%s is older than %d.%d, the oldest that kaloss is tested with",
		     c->kernel.release, OLDEST_MAJOR, OLDEST_MINOR);
}

static void rule_is_privileged(struct kl_check *c)
{
	if (!c->missing[0])
		return;
	kl_check_say(c, KL_OBSTACLE, "privileges", "missing: %s", c->missing);
	kl_check_cure_by(c, &(struct kl_command_change){ .before = "sudo" });
	c->cannot_run = true;
}

/* Who is root of a container only has every capability, and may nothing. */
static void rule_is_truly_privileged(struct kl_check *c)
{
	if (c->live || c->missing[0] || c->refusal != -EPERM)
		return;
	kl_check_say(c, KL_OBSTACLE, "privileges",
		     "the kernel refuses in spite of all capabilities: in a container or a user "
		     "namespace they count for little. Run it on the host");
	kl_check_cure_by(c, &(struct kl_command_change){ .before = "sudo" });
	c->cannot_run = true;
}

static void rule_programs_attach(struct kl_check *c)
{
	if (!c->live && !c->missing[0] && c->refusal != -EPERM)
		kl_check_say(c, KL_OBSTACLE, "kernel", "%s", c->refused.text);
}

static void rule_has_btf(struct kl_check *c)
{
	if (!c->kernel.btf)
		kl_check_say(c, KL_NOTE, "kernel",
			     "no BTF (/sys/kernel/btf/vmlinux): why this host dropped a segment "
			     "cannot be told");
}

static void rule_has_jit(struct kl_check *c)
{
	if (c->kernel.jit)
		return;
	kl_check_say(c, KL_NOTE, "kernel",
		     "the BPF JIT is off: each packet costs several times more");
	kl_check_cure(c, "sysctl -w net.core.bpf_jit_enable=1");
}

static void rule_has_tcx(struct kl_check *c)
{
	if (c->live && c->clsact && !c->o->live.tc_filters)
		kl_check_say(c, KL_NOTE, "kernel",
			     "no tcx (it came with 6.6): clsact filters instead. A kaloss that is "
			     "killed leaves them behind, and the next start removes them");
}

static void rule_does_not_measure(struct kl_check *c)
{
	if (!c->kernel.measures_all)
		return;
	kl_check_say(
		c, KL_NOTE, "kernel",
		"measures every run of every BPF program, which costs more than some of them do");
	kl_check_cure(c, "sysctl -w kernel.bpf_stats_enabled=0");
}

void kl_check_kernel_rules(struct kl_check *c)
{
	static void (*const rules[])(struct kl_check *) = {
		rule_kernel_is_well,   rule_is_new_enough,
		rule_is_privileged,    rule_is_truly_privileged,
		rule_programs_attach,  rule_has_btf,
		rule_has_jit,	       rule_has_tcx,
		rule_does_not_measure,
	};

	for (size_t i = 0; i < KL_COUNT(rules); i++)
		rules[i](c);
}

/* ---- The way between the sides ---- */

bool kl_check_is_bridged(const struct kl_check *c)
{
	unsigned bridge = 0;

	for (size_t i = 0; i < c->place_count; i++) {
		const struct kl_interface_facts *f = c->places[i].facts;

		if (!f || !kl_is_bridge_port(f) || (bridge && f->master != bridge))
			return false;
		bridge = f->master;
	}
	return bridge;
}

const struct kl_interface_facts *kl_check_routed_name(const struct kl_check *c,
						      const struct kl_place *p)
{
	const struct kl_interface_facts *master = kl_check_interface(c, p->facts->master);

	/* A VRF's members keep their own name. */
	return master && strcmp(p->facts->master_kind, "vrf") != 0 ? master : p->facts;
}

static bool crosses(const struct kl_check *c)
{
	return c->survey && c->survey->met[KL_MEET_AGREE];
}

static void rule_bridged(struct kl_check *c)
{
	bool isolated[KL_SIDES] = { true, true };

	if (!kl_check_is_bridged(c))
		return;
	for (size_t i = 0; i < c->place_count; i++)
		isolated[c->places[i].side] &= c->places[i].facts->port_isolated;
	if (isolated[KL_ACCESS] && isolated[KL_CUCM]) {
		kl_check_say(c, KL_OBSTACLE, "path",
			     "the bridge's ports are isolated: nothing goes from one to the other");
		kl_check_cure(c, "bridge link set dev %s isolated off", c->places[0].facts->name);
		return;
	}
	kl_check_say(c, KL_FINE, "path", "both sides are ports of the bridge %s",
		     kl_check_routed_name(c, &c->places[0])->name);
}

/* An interface on which IPv4 is not forwarded though the host forwards; NULL: none. */
static const char *does_not_forward(const struct kl_check *c)
{
	for (size_t i = 0; i < c->place_count; i++) {
		const char *name;

		if (!c->places[i].facts)
			continue;
		name = kl_check_routed_name(c, &c->places[i])->name;
		if (!kl_interface_forwards4(name))
			return name;
	}
	return NULL;
}

static void rule_forwards(struct kl_check *c)
{
	const struct kl_kernel_facts *k = &c->kernel;
	const char *stuck;

	if (kl_check_is_bridged(c))
		return;
	if (k->forwards4 <= 0 && k->forwards6 <= 0) {
		kl_check_say(
			c, crosses(c) ? KL_NOTE : KL_OBSTACLE, "path",
			"the sides are not ports of one bridge, and this host does not forward: "
			"nothing of the phones' gets through");
		kl_check_cure(c, "sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
		return;
	}
	stuck = k->forwards4 > 0 ? does_not_forward(c) : NULL;
	if (stuck && !crosses(c)) {
		kl_check_say(c, KL_OBSTACLE, "path", "IPv4 is not forwarded on %s", stuck);
		kl_check_cure(c, "sysctl -w net/ipv4/conf/%s/forwarding=1", stuck);
		return;
	}
	kl_check_say(c, KL_FINE, "path", "routed: %s forwarded",
		     k->forwards6 <= 0	 ? "IPv4 is (IPv6 is not)"
		     : k->forwards4 <= 0 ? "IPv6 is (IPv4 is not)"
					 : "IPv4 and IPv6 are");
}

static void rule_same_mtu(struct kl_check *c)
{
	const struct kl_place *least = NULL, *most = NULL;

	for (size_t i = 0; i < c->place_count; i++) {
		const struct kl_place *p = &c->places[i];

		if (!p->facts)
			continue;
		if (!least || p->facts->mtu < least->facts->mtu)
			least = p;
		if (!most || p->facts->mtu > most->facts->mtu)
			most = p;
	}
	if (!least || least->facts->mtu == most->facts->mtu)
		return;
	kl_check_say(c, KL_NOTE, "path",
		     "MTU %u on %s, %u on %s: what is larger is %s; fragments are not counted",
		     least->facts->mtu, least->name, most->facts->mtu, most->name,
		     kl_check_is_bridged(c) ? "dropped by the bridge" : "fragmented or refused");
}

static void rule_nat(struct kl_check *c)
{
	struct kl_nat_rules rules;

	kl_read_nat_rules(&rules);
	if (!rules.known) {
		kl_check_say(c, KL_NOTE, "path",
			     "whether nftables translates addresses cannot be known without "
			     "CAP_NET_ADMIN");
	} else if (c->o->live.nat && !rules.count) {
		kl_check_say(c, KL_NOTE, "path",
			     "--nat, but no rule of this host translates addresses");
	} else if (rules.count && !c->o->live.nat) {
		bool all = crosses(c) && c->survey->met[KL_MEET_AGREE] == c->survey->total;

		kl_check_say(
			c, all ? KL_FINE : KL_NOTE, "path",
			"this host has %zu rule%s that change addresses or stand in for a server "
			"(%s)%s",
			rules.count, rules.count == 1 ? "" : "s", rules.first,
			all ? ", which leave these connections alone"
			    : ": phones that they touch need --nat");
	}
}

void kl_check_path_rules(struct kl_check *c)
{
	/* A host that reads mirror ports is not on the way. */
	if (c->o->live.tap)
		return;
	rule_bridged(c);
	rule_forwards(c);
	rule_same_mtu(c);
	rule_nat(c);
}
