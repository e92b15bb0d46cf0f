// SPDX-License-Identifier: GPL-2.0-only
/* Putting the programs on the interfaces, and putting them there again. */
#include <bpf/libbpf.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "source/live_state.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	RETRY_FIRST_MS = 250, /* doubles */
	RETRY_MOST_S = 30,
};

static int program_fd(const struct kl_live *l, enum kl_side side, bool xdp, bool egress)
{
	const struct kaloss_bpf *s = !xdp && !egress && l->late ? l->late : l->skel;
	const struct bpf_program *p;

	if (xdp)
		p = side == KL_ACCESS ? s->progs.kaloss_xdp_acc : s->progs.kaloss_xdp_cucm;
	else if (egress)
		p = side == KL_ACCESS ? s->progs.kaloss_out_acc : s->progs.kaloss_out_cucm;
	else
		p = side == KL_ACCESS ? s->progs.kaloss_in_acc : s->progs.kaloss_in_cucm;
	return bpf_program__fd(p);
}

/*
 * While it runs an interface may come back where XDP does not go any more. Nobody loaded the
 * programs for tc then: they are loaded now, on the same maps.
 */
static int load_tc_ingress(struct kl_live *l)
{
	struct kaloss_bpf *late;
	struct bpf_program *p;
	struct bpf_map *map;
	int r = 0;

	if (program_fd(l, KL_ACCESS, false, false) >= 0)
		return 0;
	late = kaloss_bpf__open();
	if (!late)
		return -errno;
	bpf_object__for_each_program(p, late->obj) bpf_program__set_autoload(
		p, p == late->progs.kaloss_in_acc || p == late->progs.kaloss_in_cucm);
	bpf_object__for_each_map(map, late->obj)
	{
		const struct bpf_map *same = bpf_object__find_map_by_name(l->skel->obj,
									  bpf_map__name(map));

		if (!r)
			r = bpf_map__reuse_fd(map, bpf_map__fd(same));
	}
	if (!r)
		r = kaloss_bpf__load(late);
	if (r)
		kaloss_bpf__destroy(late);
	else
		l->late = late;
	return r;
}

static int attach_tc(struct kl_live *l, struct kl_hook *hook, struct kl_attachment *ret,
		     struct kl_error *err)
{
	int fd = program_fd(l, hook->side, false, hook->egress);
	struct kl_error why = {};
	int r = -EOPNOTSUPP;

	hook->how = "tcx";
	if (!l->config->tc_filters)
		r = kl_attach_tcx(fd, hook->ifindex, hook->egress, ret, &why);
	if (r == -EOPNOTSUPP) {
		hook->how = "clsact filter";
		r = kl_attach_clsact(fd, hook->ifindex, hook->egress, ret, &why);
	}
	if (r)
		return kl_fail(err, r, "%s: %s", hook->interface, why.text);
	return 0;
}

static int attach_ingress(struct kl_live *l, struct kl_hook *hook, struct kl_attachment *ret,
			  struct kl_error *err)
{
	struct kl_error why = {};
	int r;

	if (l->config->hook == KL_HOOK_TC)
		return attach_tc(l, hook, ret, err);
	hook->how = "XDP (native)";
	r = kl_attach_xdp(program_fd(l, hook->side, true, false), hook->ifindex, ret, &why);
	if (!r)
		return 0;
	if (l->config->hook == KL_HOOK_XDP)
		return kl_fail(err, r, "%s: %s", hook->interface, why.text);
	if (!l->needs_tc && !l->running) {
		l->needs_tc = true;
		return -EAGAIN;
	}
	if ((r = load_tc_ingress(l)))
		return kl_fail(err, r, "%s: %s, and the programs for tc: %s", hook->interface,
			       why.text, strerror(-r));
	snprintf(hook->why, sizeof(hook->why), "%.150s", why.text);
	return attach_tc(l, hook, ret, err);
}

/* hook's interface, side and egress are set. */
static int attach(struct kl_live *l, struct kl_hook *hook, struct kl_attachment *ret,
		  struct kl_error *err)
{
	hook->ifindex = if_nametoindex(hook->interface);
	hook->why[0] = '\0';
	if (!hook->ifindex)
		return kl_fail(err, -ENODEV, "%s: no such interface", hook->interface);
	return hook->egress ? attach_tc(l, hook, ret, err) : attach_ingress(l, hook, ret, err);
}

static int attach_one(struct kl_live *l, enum kl_side side, const char *interface, bool egress,
		      struct kl_error *err)
{
	struct kl_hook *hook = &l->hooks[l->hook_count];
	struct kl_attachment *attachment = &l->attachments[l->hook_count];
	int r;

	*hook = (struct kl_hook){ .side = side, .egress = egress };
	*attachment = (struct kl_attachment)KL_ATTACHMENT_NONE;
	snprintf(hook->interface, sizeof(hook->interface), "%s", interface);
	r = attach(l, hook, attachment, err);
	if (!r)
		l->hook_count++;
	return r;
}

/* What is mirrored to us is addressed to others, and a card would not even hand it to XDP. */
static int listen_to_all(struct kl_live *l, const char *interface, unsigned ifindex,
			 struct kl_error *err)
{
	struct packet_mreq request = { .mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC };

	if (l->promisc_fd < 0)
		l->promisc_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (l->promisc_fd < 0)
		return kl_fail(err, -errno, "a packet socket for --tap: %s%s", strerror(errno),
			       errno == EPERM ? " (it needs CAP_NET_RAW)" : "");
	if (setsockopt(l->promisc_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)))
		return kl_fail(err, -errno, "%s: promiscuous mode: %s", interface, strerror(errno));
	return 0;
}

int kl_live_attach_all(struct kl_live *l, struct kl_error *err)
{
	/* The farther hooks first: what a nearer one sees must find them in place. */
	for (int egress = l->config->tap ? 0 : 1; egress >= 0; egress--) {
		for (int side = 0; side < KL_SIDES; side++) {
			for (size_t i = 0; i < l->config->interface_count[side]; i++) {
				const char *name = l->config->interfaces[side][i];
				int r = attach_one(l, (enum kl_side)side, name, egress, err);

				if (!r && l->config->tap)
					r = listen_to_all(l, name, if_nametoindex(name), err);
				if (r)
					return r;
			}
		}
	}
	l->running = true;
	return 0;
}

/* ---- Again ---- */

static bool is_of(const struct kl_hook *hook, enum kl_side side, const char *interface)
{
	return hook->side == side && !strcmp(hook->interface, interface);
}

/* Is the interface that the hook is on still there, under whatever name? */
static bool is_here(const struct kl_hook *hook)
{
	char name[IF_NAMESIZE];

	return if_indextoname(hook->ifindex, name);
}

struct mending {
	struct kl_live *live;
	uint64_t now_ns;
	kl_hook_handler handler;
	void *arg;
	int gaps;
};

static void tell(const struct mending *m, const struct kl_hook *hook, enum kl_hook_news news,
		 const char *text)
{
	m->handler(hook, news, text, m->arg);
}

/* Takes off what is not where it should be any more. Returns false where it is known to be. */
static bool look(struct mending *m, size_t i, unsigned ifindex)
{
	const struct kl_hook *hook = &m->live->hooks[i];
	struct kl_attachment *a = &m->live->attachments[i];
	char who[160];
	int r;

	if (!a->ifindex)
		return true;
	if (ifindex != hook->ifindex && !is_here(hook)) {
		kl_detach_gone(a);
		return true;
	}
	/* Another one has the name now: that is the one which was asked for. */
	if (ifindex && ifindex != hook->ifindex) {
		kl_detach(a);
		return true;
	}
	r = kl_attachment_check(a, who, sizeof(who));
	if (!r)
		return false;
	if (r == -ENOENT || r == -EBUSY) {
		tell(m, hook, KL_HOOK_OFF, who);
		kl_detach(a);
	}
	return true;
}

/* All hooks of an interface: the egress first, as at the start. */
static int attach_missing(struct kl_live *l, enum kl_side side, const char *interface,
			  struct kl_error *err)
{
	unsigned ifindex = if_nametoindex(interface);

	for (size_t i = 0; i < l->hook_count; i++) {
		int r = 0;

		if (!is_of(&l->hooks[i], side, interface) || l->attachments[i].ifindex)
			continue;
		r = attach(l, &l->hooks[i], &l->attachments[i], err);
		if (!r && l->config->tap)
			r = listen_to_all(l, interface, ifindex, err);
		if (r) {
			kl_detach(&l->attachments[i]);
			return r;
		}
	}
	return 0;
}

static void mend(struct mending *m, enum kl_side side, size_t index)
{
	struct kl_live *l = m->live;
	const char *interface = l->config->interfaces[side][index];
	struct kl_outage *o = &l->outages[side][index];
	unsigned ifindex = if_nametoindex(interface);
	const struct kl_hook *hook = NULL;
	struct kl_error err = {};
	bool out = false;

	for (size_t i = 0; i < l->hook_count; i++) {
		if (!is_of(&l->hooks[i], side, interface))
			continue;
		hook = &l->hooks[i];
		out |= look(m, i, ifindex);
	}
	if (out && !o->out) {
		*o = (struct kl_outage){ .out = true };
		m->gaps++;
	}
	if (!out || !hook || !ifindex || m->now_ns < o->next_ns)
		return;
	if (!attach_missing(l, side, interface, &err)) {
		o->out = false;
		m->gaps++;
		tell(m, hook, KL_HOOK_BACK, hook->how);
		return;
	}
	o->pause_ns = o->pause_ns ? 2 * o->pause_ns : RETRY_FIRST_MS * KL_NS_PER_MS;
	if (o->pause_ns > RETRY_MOST_S * KL_NS_PER_S)
		o->pause_ns = RETRY_MOST_S * KL_NS_PER_S;
	o->next_ns = m->now_ns + o->pause_ns;
	/* (It may be gone again.) */
	if (!if_nametoindex(interface) || !strcmp(o->why, err.text))
		return;
	snprintf(o->why, sizeof(o->why), "%.255s", err.text);
	tell(m, hook, KL_HOOK_REFUSED, err.text);
}

int kl_live_mend(struct kl_live *l, uint64_t now_ns, kl_hook_handler handler, void *arg)
{
	struct mending m = { .live = l, .now_ns = now_ns, .handler = handler, .arg = arg };

	for (int side = 0; side < KL_SIDES; side++) {
		for (size_t i = 0; i < l->config->interface_count[side]; i++)
			mend(&m, (enum kl_side)side, i);
	}
	return m.gaps;
}

size_t kl_live_missing(const struct kl_live *l)
{
	size_t missing = 0;

	for (int side = 0; side < KL_SIDES; side++) {
		for (size_t i = 0; i < l->config->interface_count[side]; i++)
			missing += l->outages[side][i].out;
	}
	return missing;
}

void kl_live_gone(struct kl_live *l, unsigned ifindex)
{
	for (size_t i = 0; i < l->hook_count; i++) {
		if (l->attachments[i].ifindex == ifindex)
			kl_detach_gone(&l->attachments[i]);
	}
}
