// SPDX-License-Identifier: GPL-2.0-only
/* kaloss check: why a segment that comes in on one side does not leave on the other. */
#include "cli/check.h"

#include <string.h>

#include "core/names.h"
#include "source/route.h"

static void explain_way_out(const struct kl_check *c, const struct kl_interface_facts *out,
			    __u32 far_side, struct kl_explanation *ret)
{
	struct kl_command_change change = {};

	for (size_t i = 0; i < c->place_count; i++) {
		const struct kl_place *p = &c->places[i];

		if (p->side != far_side || !p->facts || kl_check_routed_name(c, p) != out)
			continue;
		snprintf(ret->text, sizeof(ret->text),
			 "; its route is through %s, so something drops or changes it before",
			 p->name);
		return;
	}
	snprintf(ret->text, sizeof(ret->text),
		 "; its route is through %s, which is not on the %s side", out->name,
		 kl_side_name(far_side));
	if (kl_check_place(c, out->ifindex))
		return;
	change.more[far_side] = out->name;
	kl_check_command(&change, ret->cure, sizeof(ret->cure));
}

/* (The kernel's answer says so by -EXDEV, but newer ones have one answer for every refusal.) */
static bool fails_reverse_path(const struct kl_endpoints *e, __u32 direction,
			       const struct kl_interface_facts *in)
{
	struct kl_route back;

	if (e->family != 4 || kl_reverse_path_filter(in->name) != 1)
		return false;
	kl_ask_route(4, NULL, direction == KL_TO_CUCM ? e->phone : e->cucm, 0, &back);
	return back.error || back.out != in->ifindex;
}

void kl_check_explain(const struct kl_check *c, const struct kl_endpoints *e, __u32 direction,
		      struct kl_explanation *ret)
{
	bool to_cucm = direction == KL_TO_CUCM;
	const struct kl_interface_facts *in = NULL, *out;
	struct kl_route route;

	*ret = (struct kl_explanation){};
	if (c->o->live.tap || kl_check_is_bridged(c))
		return;
	for (size_t i = 0; i < c->place_count && !in; i++) {
		if (c->places[i].side == direction && c->places[i].facts && c->places[i].facts->up)
			in = kl_check_routed_name(c, &c->places[i]);
	}
	if (!in)
		return;
	kl_ask_route(e->family, to_cucm ? e->phone : e->cucm, to_cucm ? e->cucm : e->phone,
		     in->ifindex, &route);
	out = kl_check_interface(c, route.out);
	if (route.error && fails_reverse_path(e, direction, in)) {
		snprintf(ret->text, sizeof(ret->text),
			 "; the reverse path filter of %s drops it: the route back is another one",
			 in->name);
		snprintf(ret->cure, sizeof(ret->cure), "sysctl -w net/ipv4/conf/%s/rp_filter=2",
			 in->name);
	} else if (route.error) {
		snprintf(ret->text, sizeof(ret->text), "; this host has no way for it");
	} else if (route.local) {
		snprintf(ret->text, sizeof(ret->text), "; the %s's address is this host's own",
			 to_cucm ? "cucm" : "phone");
	} else if (out) {
		explain_way_out(c, out, direction ^ 1, ret);
	}
}
