// SPDX-License-Identifier: GPL-2.0-only
/* kaloss agent: sees one side, and publishes what it saw; joiners elsewhere do the rest. */
#include <linux/capability.h>
#include <malloc.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/agent_internal.h"
#include "cli/service.h"
#include "cli/stop.h"
#include "core/names.h"
#include "source/ports.h"
#include "source/privilege.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	BEAT_MS = 100,	    /* how often records are fetched */
	FAREWELL_MS = 3000, /* how long the end waits for acknowledgements */
	MEMORY_BYTES = 16 << 20,
};

void kl_agent_say(const struct kl_agent *a, const char *format, ...)
{
	char line[1024];
	va_list args;

	(void)a;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "kaloss agent: %s\n", line);
}

/* ---- From start to end ---- */

static void set_name(struct kl_agent *a)
{
	char host[256] = "";

	if (!a->o->sites.name)
		gethostname(host, sizeof(host) - 1);
	kl_token_from(a->o->sites.name ?: host, a->name);
}

/* The options have the interfaces on the first side, whichever it is. */
static void set_live(struct kl_agent *a)
{
	uint32_t side = a->o->sites.side;

	a->live = a->o->live;
	if (side != KL_ACCESS) {
		memcpy(a->live.interfaces[side], a->live.interfaces[KL_ACCESS],
		       sizeof(a->live.interfaces[side]));
		a->live.interface_count[side] = a->live.interface_count[KL_ACCESS];
		a->live.interface_count[KL_ACCESS] = 0;
	}
	kl_fill_ports(&a->ports, &a->live);
}

static int open_sighter(struct kl_agent *a, struct kl_error *err)
{
	struct kl_sighter_config config = {
		.side = a->o->sites.side,
		.seed = KL_WIRE_SEED,
		.ports = &a->ports,
		.max_conns = a->o->live.connections,
	};
	int r = kl_sighter_new(&config, &a->sighter);

	return r ? kl_fail(err, r, "out of memory") : 0;
}

static int open_links(struct kl_agent *a, struct kl_error *err)
{
	uint32_t side = a->o->sites.side;

	return kl_links_open((const char(*)[IFNAMSIZ])a->live.interfaces[side],
			     a->live.interface_count[side], &a->links, err);
}

static int open_spool(struct kl_agent *a, struct kl_error *err)
{
	struct kl_spool_config config = {
		.directory = a->o->sites.spool,
		.max_bytes = a->o->sites.spool_max_bytes,
		/* (Of an agent before this one there may be more.) */
		.partitions = KL_WIRE_PARTITIONS,
	};

	if (!config.directory && config.max_bytes > MEMORY_BYTES)
		config.max_bytes = MEMORY_BYTES;
	return kl_spool_open(&config, &a->spool, err);
}

static int open_broker(struct kl_agent *a, struct kl_error *err)
{
	struct kl_broker_config config = a->o->sites.nats;

	snprintf(a->client, sizeof(a->client), "kaloss agent %s %s", a->o->sites.site, a->name);
	kl_subject_inbox(a->o->sites.prefix, a->o->sites.site, a->inbox);
	config.name = a->client;
	config.inbox = a->inbox;
	return kl_broker_open(&config, &a->broker, err);
}

/*
 * What strangers send is read without privileges, but those that hooks need which are attached again.
 * The threads that talk to the server are started later, and get no others.
 */
static int drop_privileges(struct kl_error *err)
{
	return kl_keep_capabilities(1ULL << CAP_NET_ADMIN | 1ULL << CAP_BPF | 1ULL << CAP_PERFMON,
				    err);
}

static int open_all(struct kl_agent *a, struct kl_error *err)
{
	int r = kl_stop_open(false, &a->stop);

	if (r)
		return kl_fail(err, r, "signals: %s", strerror(-r));
	return kl_one_side_open(&a->live, &a->side, err)
		       ?: open_links(a, err)
		       ?: drop_privileges(err)
		       ?: open_sighter(a, err) ?: open_spool(a, err) ?: open_broker(a, err);
}

static int close_all(struct kl_agent *a)
{
	struct kl_error err = {};
	int r;

	kl_broker_close(a->broker);
	r = kl_spool_close(a->spool, &err);
	if (r)
		kl_agent_say(a, "%s", err.text);
	kl_batcher_free(a->batcher);
	kl_sighter_free(a->sighter);
	kl_links_close(a->links);
	kl_one_side_close(a->side);
	kl_stop_close(a->stop);
	return r;
}

static void print_hooks(const struct kl_agent *a)
{
	const struct kl_hook *hooks;
	size_t count;

	hooks = kl_one_side_hooks(a->side, &count);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "%s side of %s: %s, frames that %s: %s%s%s\n",
			kl_side_name(hooks[i].side), a->o->sites.site, hooks[i].interface,
			hooks[i].egress ? "leave" : "come in", hooks[i].how,
			hooks[i].why[0] ? ", not XDP: " : "", hooks[i].why);
}

/* Returns true where a signal asks for the end. */
static bool wait_beat(const struct kl_agent *a)
{
	struct pollfd fds[] = {
		{ .fd = kl_stop_fd(a->stop), .events = POLLIN },
		{ .fd = kl_links_fd(a->links), .events = POLLIN },
	};

	poll(fds, KL_COUNT(fds), BEAT_MS);
	return fds[0].revents && kl_stop_take(a->stop);
}

static int take_in(struct kl_agent *a, bool all)
{
	int r = kl_agent_see(a);

	if (!r)
		r = kl_agent_make_batches(a, all);
	if (r)
		kl_agent_say(a, "reading what passed: %s", strerror(-r));
	return r;
}

static int beat(struct kl_agent *a)
{
	int r = take_in(a, false);

	if (r)
		return r;
	kl_agent_send(a);
	if (a->now_ns - a->beat_ns >= a->o->interval_ns) {
		kl_agent_beat(a, false);
		kl_service_alive();
	}
	return 0;
}

/* The last of it becomes batches, and these get their time to arrive. What does not is spooled. */
static int farewell(struct kl_agent *a)
{
	uint64_t until_ns;
	int r = take_in(a, true);

	if (r)
		return r;
	until_ns = a->now_ns + FAREWELL_MS * KL_NS_PER_MS;
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = kl_stop_fd(a->stop), .events = POLLIN },
			{ .fd = kl_broker_fd(a->broker), .events = POLLIN },
		};
		struct kl_spool_status s;

		a->now_ns = kl_monotonic_ns();
		kl_agent_send(a);
		kl_spool_status(a->spool, &s);
		if (!s.waiting || !a->connected || a->now_ns >= until_ns)
			break;
		poll(fds, KL_COUNT(fds), BEAT_MS);
		if (fds[0].revents && kl_stop_take(a->stop))
			break;
	}
	kl_agent_beat(a, true);
	(void)kl_broker_flush(a->broker, 1000);
	return 0;
}

static int run(struct kl_agent *a)
{
	uint64_t duration_ns = a->o->duration_ns;
	uint64_t end_ns;
	int r;

	/* What loading the programs took is not needed any more. */
	malloc_trim(0);
	r = kl_agent_begin_boot(a);
	if (r) {
		kl_agent_say(a, "%s", strerror(-r));
		return r;
	}
	end_ns = a->start_ns + duration_ns;
	kl_service_ready(a->o->interval_ns);
	do {
		r = beat(a);
		if (r)
			return r;
	} while (!wait_beat(a) && (!duration_ns || kl_monotonic_ns() < end_ns));
	kl_service_stopping();
	return farewell(a);
}

int kl_agent(const struct kl_options *o)
{
	_cleanup_free_ struct kl_agent *a = calloc(1, sizeof(*a));
	struct kl_error err = {};
	int r;

	if (o->check_config)
		return KL_EXIT_OK;
	if (!a) {
		fprintf(stderr, "kaloss agent: out of memory\n");
		return KL_EXIT_FAILED;
	}
	a->o = o;
	set_name(a);
	set_live(a);
	r = open_all(a, &err);
	if (r) {
		kl_agent_say(a, "%s", err.text);
	} else {
		print_hooks(a);
		r = run(a);
	}
	return close_all(a) || r ? KL_EXIT_FAILED : KL_EXIT_OK;
}
