// SPDX-License-Identifier: GPL-2.0-only
#include "cli/inputs.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/arp.h"
#include "core/drops.h"
#include "core/known_macs.h"
#include "core/unregistration.h"
#include "source/fdb.h"
#include "source/kernel_drops.h"
#include "util/duration.h"

enum {
	DRAINS_MAX = 8, /* of a source at a beat: a flood may wait */
	HOOKS_MAX = 2 * KL_SIDES * KL_INTERFACES_MAX,
};

/* A drop is told within this time of the copy's sighting, the deadline aside. */
#define DROP_EARLY_NS KL_NS_PER_MS

struct kl_inputs {
	struct kl_inputs_config config;
	struct kl_live *live;
	int epoll;
	struct kl_fdb *fdb;
	struct kl_kernel_drops *kernel_drops; /* NULL: this kernel does not tell */
	struct kl_drops *drops;
	struct kl_trap *trap;
	struct kl_switch_poll *poll;
	struct kl_syslog *syslog;
	struct kl_arp *arp;
	struct kl_unregistrations *unregistrations;
	struct kl_known_macs macs;
	bool alarms_seen;
	uint64_t fdb_lost;
	char no_drops[256]; /* why not */
	char no_fdb[256];
};

/* ---- What comes in ---- */

static void take_mac(const struct kl_mac_evidence *m, void *arg)
{
	struct kl_inputs *in = arg;

	if (m->has_mac && !in->config.o->all_macs && !kl_known_macs_has(&in->macs, m->mac))
		return;
	in->config.mac(m, in->config.arg);
}

static void take_syslog_mac(const struct kl_mac_evidence *m, uint64_t said_ns, void *arg)
{
	(void)said_ns; /* live, it counts when it came: switches' clocks are wrong */
	take_mac(m, arg);
}

static void take_syslog_alarm(const struct kl_alarm *a, uint64_t said_ns, void *arg)
{
	struct kl_inputs *in = arg;

	(void)said_ns;
	in->alarms_seen = true;
	kl_unregistrations_add(in->unregistrations, in->config.sessions, a);
}

static void take_ageing(const struct kl_ageing_evidence *a, void *arg)
{
	struct kl_inputs *in = arg;

	in->config.ageing(a, in->config.arg);
}

static void take_drop(const struct kl_drop *d, void *arg)
{
	struct kl_inputs *in = arg;

	kl_drops_add(in->drops, d);
}

static void take_arp(const struct kl_arp_event *e, void *arg)
{
	struct kl_inputs *in = arg;

	kl_arp_feed(in->arp, e);
}

static void take_conflict(const struct kl_arp_conflict *c, void *arg)
{
	struct kl_inputs *in = arg;

	in->config.arp(c, in->config.arg);
}

static bool is_phone(const uint8_t mac[6], void *arg)
{
	const struct kl_inputs *in = arg;

	return kl_known_macs_is_phone(&in->macs, mac);
}

/* ---- Opening ---- */

static int listen_to(struct kl_inputs *in, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return fd < 0 || !epoll_ctl(in->epoll, EPOLL_CTL_ADD, fd, &event) ? 0 : -errno;
}

static size_t hooked_interfaces(const struct kl_inputs *in, unsigned ret[HOOKS_MAX])
{
	size_t count;
	const struct kl_hook *hooks = kl_live_hooks(in->live, &count);

	for (size_t i = 0; i < count; i++)
		ret[i] = hooks[i].ifindex;
	return count;
}

int kl_inputs_open_own(struct kl_inputs *in, struct kl_live *live, struct kl_error *err)
{
	unsigned ifindexes[HOOKS_MAX];
	struct kl_error why = {};
	uint64_t seed = 0;
	size_t count;
	int r;

	in->live = live;
	count = hooked_interfaces(in, ifindexes);
	if (kl_fdb_open(ifindexes, count, &in->fdb, &why))
		snprintf(in->no_fdb, sizeof(in->no_fdb), "%.200s", why.text);
	if ((r = in->fdb ? listen_to(in, kl_fdb_fd(in->fdb)) : 0))
		return kl_fail(err, r, "epoll: %s", strerror(-r));
	if (in->fdb && kl_fdb_has_bridge(in->fdb))
		kl_fdb_ageing(in->fdb, take_ageing, in);
	if (in->config.o->no_drops)
		return 0;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return kl_fail(err, -EIO, "no random seed: %s", strerror(errno));
	in->drops = kl_drops_new(seed);
	if (!in->drops)
		return kl_fail(err, -ENOMEM, "out of memory");
	if (kl_kernel_drops_open(&in->config.o->live, &in->kernel_drops, &why))
		snprintf(in->no_drops, sizeof(in->no_drops), "%.200s", why.text);
	return 0;
}

/* An error of an option's source, with the option's name. Returns r. */
static int name_option(struct kl_error *err, const char *option, int r)
{
	struct kl_error unnamed = *err;

	if (r)
		kl_set_error(err, "%s: %.400s", option, unnamed.text);
	return r;
}

static int open_outside(struct kl_inputs *in, struct kl_error *err)
{
	const struct kl_options *o = in->config.o;
	struct kl_syslog_config syslog = o->syslog;
	int r = 0;

	syslog.follow = true;
	if (o->trap.address)
		r = name_option(err, "--trap", kl_trap_open(&o->trap, &in->trap, err));
	if (!r && o->poll.switches)
		r = name_option(err, "--poll-switch",
				kl_switch_poll_open(&o->poll, &in->poll, err));
	if (!r && (syslog.address || syslog.files))
		r = kl_syslog_open(&syslog, &in->syslog, err);
	return r;
}

static int open_core(struct kl_inputs *in)
{
	const struct kl_unregistrations_config unregistrations = {
		.sip_grace_ns = in->config.o->sip_grace_ns,
		.sccp_missed = in->config.o->sccp_missed,
		.handler = in->config.alarm,
		.arg = in->config.arg,
	};
	const struct kl_arp_config arp = {
		.is_phone = is_phone,
		.handler = take_conflict,
		.arg = in,
	};
	int r = kl_unregistrations_new(&unregistrations, &in->unregistrations);

	return r ?: kl_arp_new(&arp, &in->arp);
}

static int open_all(struct kl_inputs *in, struct kl_error *err)
{
	int r;

	in->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (in->epoll < 0)
		return kl_fail(err, -errno, "epoll: %s", strerror(errno));
	if ((r = open_core(in)))
		return kl_fail(err, r, "out of memory");
	if ((r = open_outside(in, err)))
		return r;
	if ((r = in->trap ? listen_to(in, kl_trap_fd(in->trap)) : 0) ||
	    (r = in->poll ? listen_to(in, kl_switch_poll_fd(in->poll)) : 0) ||
	    (r = in->syslog ? listen_to(in, kl_syslog_fd(in->syslog)) : 0))
		return kl_fail(err, r, "epoll: %s", strerror(-r));
	return 0;
}

int kl_inputs_open(const struct kl_inputs_config *config, struct kl_inputs **ret,
		   struct kl_error *err)
{
	struct kl_inputs *in = calloc(1, sizeof(*in));
	int r;

	if (!in)
		return kl_fail(err, -ENOMEM, "out of memory");
	in->config = *config;
	r = open_all(in, err);
	if (r)
		kl_inputs_close(in);
	else
		*ret = in;
	return r;
}

void kl_inputs_close(struct kl_inputs *in)
{
	if (!in)
		return;
	kl_syslog_close(in->syslog);
	kl_switch_poll_close(in->poll);
	kl_trap_close(in->trap);
	kl_kernel_drops_close(in->kernel_drops);
	kl_fdb_close(in->fdb);
	kl_drops_free(in->drops);
	kl_arp_free(in->arp);
	kl_unregistrations_free(in->unregistrations);
	kl_known_macs_done(&in->macs);
	if (in->epoll >= 0)
		close(in->epoll);
	free(in);
}

int kl_inputs_set_syslog_files(struct kl_inputs *in, const char *files, struct kl_error *err)
{
	const struct kl_syslog_config config = { .files = files, .follow = true };
	int r;

	if (in->syslog)
		return kl_syslog_set_files(in->syslog, files, err);
	if (!files)
		return 0;
	r = kl_syslog_open(&config, &in->syslog, err);
	if (!r && (r = listen_to(in, kl_syslog_fd(in->syslog)))) {
		kl_syslog_close(in->syslog);
		in->syslog = NULL;
		return kl_fail(err, r, "epoll: %s", strerror(-r));
	}
	return r;
}

void kl_inputs_set_patience(struct kl_inputs *in, uint64_t sip_grace_ns, uint32_t sccp_missed)
{
	kl_unregistrations_set_patience(in->unregistrations, sip_grace_ns, sccp_missed);
}

int kl_inputs_fd(const struct kl_inputs *in)
{
	return in->epoll;
}

/* ---- While it runs ---- */

void kl_inputs_identify(struct kl_inputs *in, const struct kl_session *s)
{
	/* Without room a MAC is nobody's: less is told, and nothing wrong. */
	kl_known_macs_add(&in->macs, s->mac, true);
	kl_known_macs_add(&in->macs, s->next_mac, false);
}

void kl_inputs_meet(struct kl_inputs *in, const struct kl_session *s)
{
	struct kl_address server = kl_address_of(s->ends.family, s->ends.cucm);

	kl_arp_watch_add_server(in->arp, &server);
}

void kl_inputs_forget(struct kl_inputs *in, const struct kl_session *session)
{
	kl_unregistrations_gone(in->unregistrations, session);
}

void kl_inputs_interfaces(struct kl_inputs *in)
{
	unsigned ifindexes[HOOKS_MAX];
	size_t count = hooked_interfaces(in, ifindexes);

	if (in->fdb && kl_fdb_move(in->fdb, ifindexes, count))
		in->fdb_lost++;
	if (in->kernel_drops)
		kl_kernel_drops_forget_interfaces(in->kernel_drops);
}

void kl_inputs_drain(struct kl_inputs *in, uint64_t now_ns)
{
	const struct kl_syslog_handlers syslog = { take_syslog_mac, take_syslog_alarm, in };

	if (in->kernel_drops)
		kl_kernel_drops_drain(in->kernel_drops, take_drop, in);
	if (!in->config.o->live.no_arp)
		kl_live_arp(in->live, take_arp, in);
	if (in->fdb && kl_fdb_drain(in->fdb, take_mac, in) == -ENOBUFS)
		in->fdb_lost++;
	if (in->trap)
		kl_trap_drain(in->trap, take_mac, in);
	if (in->poll)
		kl_switch_poll_drain(in->poll, now_ns, take_mac, take_ageing, in);
	for (int i = 0; in->syslog && i < DRAINS_MAX; i++) {
		if (kl_syslog_drain(in->syslog, &syslog) <= 0)
			break;
	}
	kl_unregistrations_settle(in->unregistrations, in->config.sessions, now_ns);
}

void kl_inputs_finish(struct kl_inputs *in, uint64_t now_ns)
{
	kl_inputs_drain(in, now_ns);
	kl_unregistrations_settle(in->unregistrations, in->config.sessions, UINT64_MAX);
}

void kl_inputs_conflicts(struct kl_inputs *in)
{
	kl_arp_visit(in->arp, take_conflict, in);
}

const struct kl_drop *kl_inputs_drop(struct kl_inputs *in, const struct kl_endpoints *ends,
				     uint32_t direction, uint32_t seq, uint32_t length,
				     uint64_t sighted_ns, uint64_t to_ns)
{
	uint64_t from_ns = kl_since(sighted_ns, DROP_EARLY_NS);

	if (!in->kernel_drops)
		return NULL;
	return kl_drops_find(in->drops, ends, direction, seq, length, from_ns, to_ns);
}

struct behind {
	const struct kl_live_config *live;
	struct kl_drop *drop; /* KL_DROPS_MAX of them */
	size_t count;
};

static bool is_behind(const struct kl_live_config *live, const struct kl_drop *d)
{
	unsigned side = d->direction == KL_TO_CUCM ? KL_CUCM : KL_ACCESS;

	/* Ours is the first program at egress: others of them are behind it, too. */
	if (strncmp(d->reason, "QDISC_", 6) && strcmp(d->reason, "TC_EGRESS"))
		return false;
	for (size_t i = 0; i < live->interface_count[side]; i++) {
		if (!strcmp(live->interfaces[side][i], d->interface))
			return true;
	}
	return false;
}

static void take_unused(const struct kl_drop *d, void *arg)
{
	struct behind *b = arg;

	if (b->count < KL_DROPS_MAX && is_behind(b->live, d))
		b->drop[b->count++] = *d;
}

int kl_inputs_drops_behind(const struct kl_inputs *in, struct kl_drop **ret, size_t *ret_count)
{
	struct behind b = { .live = &in->config.o->live };

	*ret = NULL;
	*ret_count = 0;
	if (!in->kernel_drops)
		return 0;
	b.drop = calloc(KL_DROPS_MAX, sizeof(*b.drop));
	if (!b.drop)
		return -ENOMEM;
	kl_drops_unused(in->drops, take_unused, &b);
	*ret = b.drop;
	*ret_count = b.count;
	return 0;
}

void kl_inputs_describe(const struct kl_inputs *in, struct kl_evidence *ret)
{
	ret->has_bridge = in->fdb && kl_fdb_has_bridge(in->fdb);
	ret->has_snmp = in->trap || in->poll;
	/* (What was listened to until a reload is no source any more.) */
	ret->has_syslog = in->config.o->syslog.address || in->config.o->syslog.files;
	ret->has_arp = !in->config.o->live.no_arp;
	ret->has_drops = in->kernel_drops;
	ret->has_alarms = in->alarms_seen;
}

/* ---- What could not be used ---- */

struct remarks {
	char (*text)[KL_INPUT_REMARK];
	size_t count;
};

__attribute__((format(printf, 2, 3))) static void remark(struct remarks *r, const char *format, ...)
{
	va_list args;

	if (r->count == KL_INPUT_REMARKS)
		return;
	va_start(args, format);
	vsnprintf(r->text[r->count++], KL_INPUT_REMARK, format, args);
	va_end(args);
}

static void remark_input(struct remarks *r, const char *name, const struct kl_input_stats *s)
{
	if (s->malformed)
		remark(r,
		       "%s: %" PRIu64 " of %" PRIu64 " messages were malformed, %" PRIu64
		       " refused; the first: %s",
		       name, s->malformed, s->received, s->refused, s->complaint);
	else if (s->refused)
		remark(r, "%s: %" PRIu64 " refused; the first: %s", name, s->refused, s->complaint);
	if (s->lost)
		remark(r, "%s: %" PRIu64 " messages were lost before they could be read", name,
		       s->lost);
}

size_t kl_inputs_remarks(const struct kl_inputs *in, char ret[KL_INPUT_REMARKS][KL_INPUT_REMARK])
{
	struct remarks r = { .text = ret };
	struct kl_input_stats stats;
	struct kl_arp_stats arp;

	if (in->no_drops[0])
		remark(&r, "the kernel does not say why it drops segments: %s", in->no_drops);
	else if (in->kernel_drops && kl_kernel_drops_lost(in->kernel_drops))
		remark(&r,
		       "%" PRIu64 " drops of this kernel found no room: losses without a reason "
		       "may have one",
		       kl_kernel_drops_lost(in->kernel_drops));
	if (in->no_fdb[0])
		remark(&r, "this host's MAC tables are not followed: %s", in->no_fdb);
	if (in->fdb_lost)
		remark(&r, "changes of this host's MAC tables were lost %" PRIu64 " times",
		       in->fdb_lost);
	if (kl_live_arp_lost(in->live))
		remark(&r, "%" PRIu64 " ARP frames found no room", kl_live_arp_lost(in->live));
	kl_arp_read_stats(in->arp, &arp);
	if (arp.unlisted)
		remark(&r,
		       "%" PRIu64 " addresses or MACs in ARP found no room, or made room for "
		       "others",
		       arp.unlisted);
	if (in->trap) {
		kl_trap_stats(in->trap, &stats);
		remark_input(&r, "--trap", &stats);
	}
	if (in->poll) {
		kl_switch_poll_stats(in->poll, &stats);
		remark_input(&r, "--poll-switch", &stats);
	}
	if (in->syslog) {
		kl_syslog_stats(in->syslog, &stats);
		remark_input(&r, "--syslog", &stats);
	}
	return r.count;
}
