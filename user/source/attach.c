// SPDX-License-Identifier: GPL-2.0-only
/* attach.h */
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "source/attach.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	RETRY_FIRST_MS = 250, /* doubles */
	RETRY_MOST_S = 30,
};

static int program_fd(const struct kl_attach *a, enum kl_side side, bool xdp, bool egress)
{
	return a->program_fd(a->arg, side, xdp, egress);
}

static int attach_tc(struct kl_attach *a, struct kl_hook *hook, struct kl_attachment *ret,
		     struct kl_error *err)
{
	int fd = program_fd(a, hook->side, false, hook->egress);
	struct kl_error why = {};
	int r = -EOPNOTSUPP;

	hook->how = "tcx";
	if (!a->config->tc_filters)
		r = kl_attach_tcx(fd, hook->ifindex, hook->egress, ret, &why);
	if (r == -EOPNOTSUPP) {
		hook->how = "clsact filter";
		r = kl_attach_clsact(fd, hook->ifindex, hook->egress, ret, &why);
	}
	if (r)
		return kl_fail(err, r, "%s: %s", hook->interface, why.text);
	return 0;
}

static int attach_ingress(struct kl_attach *a, struct kl_hook *hook, struct kl_attachment *ret,
			  struct kl_error *err)
{
	struct kl_error why = {};
	int r;

	if (a->config->hook == KL_HOOK_TC)
		return attach_tc(a, hook, ret, err);
	hook->how = "XDP (native)";
	r = kl_attach_xdp(program_fd(a, hook->side, true, false), hook->ifindex, ret, &why);
	if (!r)
		return 0;
	if (a->config->hook == KL_HOOK_XDP)
		return kl_fail(err, r, "%s: %s", hook->interface, why.text);
	if (program_fd(a, hook->side, false, false) < 0 && !a->running)
		return -EAGAIN;
	if (program_fd(a, hook->side, false, false) < 0 && (r = a->load_tc_ingress(a->arg)))
		return kl_fail(err, r, "%s: %s, and the programs for tc: %s", hook->interface,
			       why.text, strerror(-r));
	snprintf(hook->why, sizeof(hook->why), "%.150s", why.text);
	return attach_tc(a, hook, ret, err);
}

/* hook's interface, side and egress are set. */
static int attach(struct kl_attach *a, struct kl_hook *hook, struct kl_attachment *ret,
		  struct kl_error *err)
{
	hook->ifindex = if_nametoindex(hook->interface);
	hook->why[0] = '\0';
	if (!hook->ifindex)
		return kl_fail(err, -ENODEV, "%s: no such interface", hook->interface);
	return hook->egress ? attach_tc(a, hook, ret, err) : attach_ingress(a, hook, ret, err);
}

static int attach_one(struct kl_attach *a, enum kl_side side, const char *interface, bool egress,
		      struct kl_error *err)
{
	struct kl_hook *hook = &a->hooks[a->hook_count];
	struct kl_attachment *attachment = &a->attachments[a->hook_count];
	int r;

	*hook = (struct kl_hook){ .side = side, .egress = egress };
	*attachment = (struct kl_attachment)KL_ATTACHMENT_NONE;
	snprintf(hook->interface, sizeof(hook->interface), "%s", interface);
	r = attach(a, hook, attachment, err);
	if (!r)
		a->hook_count++;
	return r;
}

/* What is mirrored to us is addressed to others, and a card would not even hand it to XDP. */
static int listen_to_all(struct kl_attach *a, const char *interface, unsigned ifindex,
			 struct kl_error *err)
{
	struct packet_mreq request = { .mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC };

	if (a->promisc_fd < 0)
		a->promisc_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (a->promisc_fd < 0)
		return kl_fail(err, -errno, "a packet socket for --tap: %s%s", strerror(errno),
			       errno == EPERM ? " (it needs CAP_NET_RAW)" : "");
	if (setsockopt(a->promisc_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)))
		return kl_fail(err, -errno, "%s: promiscuous mode: %s", interface, strerror(errno));
	return 0;
}

int kl_attach_all(struct kl_attach *a, struct kl_error *err)
{
	/* The farther hooks first: what a nearer one sees must find them in place. */
	for (int egress = a->config->tap ? 0 : 1; egress >= 0; egress--) {
		for (int side = 0; side < KL_SIDES; side++) {
			for (size_t i = 0; i < a->config->interface_count[side]; i++) {
				const char *name = a->config->interfaces[side][i];
				int r = attach_one(a, (enum kl_side)side, name, egress, err);

				if (!r && a->config->tap)
					r = listen_to_all(a, name, if_nametoindex(name), err);
				if (r)
					return r;
			}
		}
	}
	a->running = true;
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
	struct kl_attach *attach;
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
	const struct kl_hook *hook = &m->attach->hooks[i];
	struct kl_attachment *a = &m->attach->attachments[i];
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
static int attach_missing(struct kl_attach *a, enum kl_side side, const char *interface,
			  struct kl_error *err)
{
	unsigned ifindex = if_nametoindex(interface);

	for (size_t i = 0; i < a->hook_count; i++) {
		int r = 0;

		if (!is_of(&a->hooks[i], side, interface) || a->attachments[i].ifindex)
			continue;
		r = attach(a, &a->hooks[i], &a->attachments[i], err);
		if (!r && a->config->tap)
			r = listen_to_all(a, interface, ifindex, err);
		if (r) {
			kl_detach(&a->attachments[i]);
			return r;
		}
	}
	return 0;
}

static void mend(struct mending *m, enum kl_side side, size_t index)
{
	struct kl_attach *a = m->attach;
	const char *interface = a->config->interfaces[side][index];
	struct kl_outage *o = &a->outages[side][index];
	unsigned ifindex = if_nametoindex(interface);
	const struct kl_hook *hook = NULL;
	struct kl_error err = {};
	bool out = false;

	for (size_t i = 0; i < a->hook_count; i++) {
		if (!is_of(&a->hooks[i], side, interface))
			continue;
		hook = &a->hooks[i];
		out |= look(m, i, ifindex);
	}
	if (out && !o->out) {
		*o = (struct kl_outage){ .out = true };
		m->gaps++;
	}
	if (!out || !hook || !ifindex || m->now_ns < o->next_ns)
		return;
	if (!attach_missing(a, side, interface, &err)) {
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

int kl_attach_mend(struct kl_attach *a, uint64_t now_ns, kl_hook_handler handler, void *arg)
{
	struct mending m = { .attach = a, .now_ns = now_ns, .handler = handler, .arg = arg };

	for (int side = 0; side < KL_SIDES; side++) {
		for (size_t i = 0; i < a->config->interface_count[side]; i++)
			mend(&m, (enum kl_side)side, i);
	}
	return m.gaps;
}

size_t kl_attach_missing(const struct kl_attach *a)
{
	size_t missing = 0;

	for (int side = 0; side < KL_SIDES; side++) {
		for (size_t i = 0; i < a->config->interface_count[side]; i++)
			missing += a->outages[side][i].out;
	}
	return missing;
}

void kl_attach_gone(struct kl_attach *a, unsigned ifindex)
{
	for (size_t i = 0; i < a->hook_count; i++) {
		if (a->attachments[i].ifindex == ifindex)
			kl_detach_gone(&a->attachments[i]);
	}
}

void kl_attach_done(struct kl_attach *a)
{
	while (a->hook_count)
		kl_detach(&a->attachments[--a->hook_count]);
	if (a->promisc_fd >= 0)
		close(a->promisc_fd);
}
