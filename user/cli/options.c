// SPDX-License-Identifier: GPL-2.0-only
#include "cli/options.h"

#include <getopt.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/config_file.h"
#include "core/subject.h"
#include "core/wire.h"
#include "history/store.h"
#include "report/metrics_http.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	CAPTURE_CONNECTIONS = 262144,
	CONNECTIONS = 65536, /* memory of the kernel is taken for all of them at the start */
	JOIN_ENTRIES = 65536,
	RING_BYTES = 4 << 20,
	QUEUE_BYTES = 8 << 20,
	WATCH = KL_VERB_WATCH,
	BOTH = KL_VERB_WATCH | KL_VERB_CHECK,
	DIAGNOSE = KL_VERB_DIAGNOSE,
	TELLS = KL_VERB_WATCH | KL_VERB_DIAGNOSE, /* writes records */
	AGENT = KL_VERB_AGENT,
	JOIN = KL_VERB_JOIN,
	SITES = KL_VERB_AGENT | KL_VERB_JOIN,
	SEES = BOTH | DIAGNOSE, /* both sides */
	HOOKS = SEES | AGENT,
	ALL = SEES | SITES,
	SPOOL_BYTES_MIN = 64 << 10,
	PARTITIONS = 32,
	LIVE = 1 << 8,	  /* diagnose: not for captures */
	WORDS = 1 << 9,	  /* on the command line only */
	RELOADS = 1 << 10 /* may change while it runs (cli/reload.c) */
};

#define POLL_NS (10 * KL_NS_PER_S)
#define SPOOL_MAX_BYTES (1ULL << 30)

/* What a call server listens on (field knowledge: SCCP 2000/2443, SIP 5060/5061). */
static const uint16_t default_port[KL_SERVICES] = {
	[KL_SCCP] = 2000,
	[KL_SCCP_TLS] = 2443,
	[KL_SIP] = 5060,
	[KL_SIP_TLS] = 5061,
};

struct option_def {
	const char *name;
	const char *argument; /* NULL: takes none */
	unsigned verbs;
	/* NULL: it is a flag, or (with an argument) a text, at `member` of struct kl_options. */
	int (*set)(struct kl_options *o, const char *value, struct kl_error *err);
	const char *help;
	size_t member;
	/* Of a text: is it one of those that are understood? NULL: any is. */
	int (*check)(const char *value, struct kl_error *err);
};

#define MEMBER(name) .member = offsetof(struct kl_options, name)

static int set_member(const struct option_def *def, struct kl_options *o, const char *value,
		      struct kl_error *err)
{
	char *member = (char *)o + def->member;
	int r;

	if (!def->argument) {
		*(bool *)member = strcmp(value, "no") != 0;
		return 0;
	}
	if (!value[0])
		return kl_fail(err, -EINVAL, "an empty %s",
			       strstr(def->argument, "FILE") ? "file name" : "text");
	r = def->check ? def->check(value, err) : 0;
	if (r)
		return r;
	*(const char **)member = value;
	return 0;
}

/* No directory. (That it is in may be made later: the unit does.) */
static int check_file(const char *value, struct kl_error *err)
{
	struct stat st;

	if (value[strlen(value) - 1] == '/' || (!stat(value, &st) && S_ISDIR(st.st_mode)))
		return kl_fail(err, -EISDIR, "%s: %s", value, strerror(EISDIR));
	return 0;
}

/* Calls take() for each item of a comma-separated list. */
static int each_item(const char *list, struct kl_options *o, unsigned which,
		     int (*take)(struct kl_options *o, unsigned which, const char *item,
				 struct kl_error *err),
		     struct kl_error *err)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *item;

	if (!copy)
		return kl_fail(err, -ENOMEM, "out of memory");
	while ((item = strsep(&rest, ","))) {
		int r = take(o, which, item, err);

		if (r)
			return r;
	}
	return 0;
}

static int take_listed_file(struct kl_options *o, unsigned which, const char *name,
			    struct kl_error *err)
{
	(void)o;
	(void)which;
	return name[0] ? check_file(name, err)
		       : kl_fail(err, -EINVAL, "an empty file name in the list");
}

static int check_files(const char *value, struct kl_error *err)
{
	return each_item(value, NULL, 0, take_listed_file, err);
}

static int take_interface(struct kl_options *o, unsigned side, const char *name,
			  struct kl_error *err)
{
	size_t *count = &o->live.interface_count[side];

	if (!name[0])
		return kl_fail(err, -EINVAL, "an empty interface name in the list");
	if (strlen(name) >= IF_NAMESIZE)
		return kl_fail(err, -EINVAL, "%s: no such interface", name);
	if (*count == KL_INTERFACES_MAX)
		return kl_fail(err, -EINVAL, "more than %d interfaces", KL_INTERFACES_MAX);
	for (unsigned s = 0; s < KL_SIDES; s++) {
		for (size_t i = 0; i < o->live.interface_count[s]; i++) {
			if (strcmp(o->live.interfaces[s][i], name))
				continue;
			return kl_fail(err, -EINVAL, "%s %s", name,
				       s == side ? "is named twice"
						 : "cannot be on both sides, --access and --cucm");
		}
	}
	snprintf(o->live.interfaces[side][(*count)++], IF_NAMESIZE, "%s", name);
	return 0;
}

static int set_access(struct kl_options *o, const char *value, struct kl_error *err)
{
	return each_item(value, o, KL_ACCESS, take_interface, err);
}

static int set_cucm(struct kl_options *o, const char *value, struct kl_error *err)
{
	return each_item(value, o, KL_CUCM, take_interface, err);
}

static int take_port(struct kl_options *o, unsigned service, const char *item, struct kl_error *err)
{
	size_t *count = &o->live.port_count[service];
	uint64_t port;

	if (kl_parse_number(item, 1, 65535, &port))
		return kl_fail(err, -EINVAL, "%s is not a port (1 to 65535)",
			       item[0] ? item : "an empty item");
	if (*count == KL_PORTS_MAX)
		return kl_fail(err, -EINVAL, "more than %d ports", KL_PORTS_MAX);
	o->live.ports[service][(*count)++] = (uint16_t)port;
	return 0;
}

static int set_ports(struct kl_options *o, enum kl_service service, const char *value,
		     struct kl_error *err)
{
	o->live.port_count[service] = 0;
	return each_item(value, o, service, take_port, err);
}

static int set_sccp_ports(struct kl_options *o, const char *value, struct kl_error *err)
{
	return set_ports(o, KL_SCCP, value, err);
}

static int set_sccp_tls_ports(struct kl_options *o, const char *value, struct kl_error *err)
{
	return set_ports(o, KL_SCCP_TLS, value, err);
}

static int set_sip_ports(struct kl_options *o, const char *value, struct kl_error *err)
{
	return set_ports(o, KL_SIP, value, err);
}

static int set_sip_tls_ports(struct kl_options *o, const char *value, struct kl_error *err)
{
	return set_ports(o, KL_SIP_TLS, value, err);
}

/* ---- Durations and sizes ---- */

static int duration(const char *value, uint64_t min_ns, uint64_t max_ns, uint64_t *ret,
		    struct kl_error *err)
{
	int r = kl_parse_duration(value, ret);

	if (r == -EINVAL)
		return kl_fail(err, r, "%s is not a duration (such as 500ms, 10s, 5m, 2h or 30d)",
			       value[0] ? value : "an empty text");
	if (r || *ret < min_ns || *ret > max_ns)
		return kl_fail(err, -ERANGE, "%s is out of range", value);
	return 0;
}

static int set_deadline(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, 20 * KL_NS_PER_MS, 3600 * KL_NS_PER_S, &o->live.deadline_ns, err);
}

static int set_interval(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, 100 * KL_NS_PER_MS, 86400 * KL_NS_PER_S, &o->interval_ns, err);
}

static int set_duration(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, KL_NS_PER_MS, 36500ULL * 86400 * KL_NS_PER_S, &o->duration_ns, err);
}

static int number(const char *value, uint64_t min, uint64_t max, uint32_t *ret,
		  struct kl_error *err)
{
	uint64_t n;

	if (kl_parse_number(value, min, max, &n))
		return kl_fail(err, -EINVAL, "%s is not a number from %llu to %llu",
			       value[0] ? value : "an empty text", (unsigned long long)min,
			       (unsigned long long)max);
	*ret = (uint32_t)n;
	return 0;
}

static int set_connections(struct kl_options *o, const char *value, struct kl_error *err)
{
	int r = number(value, 1, 16U << 20, &o->live.connections, err);

	o->capture_connections = o->live.connections;
	return r;
}

static int set_join_entries(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, KL_WAYS, 16U << 20, &o->live.join_entries, err);
}

static int set_ring_bytes(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, 4096, 1U << 30, &o->live.ring_bytes, err);
}

static int set_queue_bytes(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, 4096, 1U << 30, &o->queue_bytes, err);
}

/* ---- Choices ---- */

static int choose(const char *value, const char *const *names, int *ret, struct kl_error *err)
{
	char all[64] = "";

	for (int i = 0; names[i]; i++) {
		if (!strcmp(value, names[i])) {
			*ret = i;
			return 0;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "",
			 names[i]);
	}
	return kl_fail(err, -EINVAL, "%s is none of: %s", value[0] ? value : "an empty text", all);
}

static int set_hook(struct kl_options *o, const char *value, struct kl_error *err)
{
	static const char *const names[] = { "auto", "xdp", "tc", NULL };
	int choice = 0, r = choose(value, names, &choice, err);

	if (!r)
		o->live.hook = (enum kl_hook_choice)choice;
	return r;
}

static int set_format(struct kl_options *o, const char *value, struct kl_error *err)
{
	static const char *const names[] = { "text", "jsonl", "json", "html", NULL };
	int choice = 0, r = choose(value, names, &choice, err);

	if (!r)
		o->format = (enum kl_format)choice;
	return r;
}

static int set_color(struct kl_options *o, const char *value, struct kl_error *err)
{
	static const char *const names[] = { "auto", "always", "never", NULL };
	int choice = 0, r = choose(value, names, &choice, err);

	if (!r)
		o->color = (enum kl_color)choice;
	return r;
}

static int set_sip_grace(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, KL_NS_PER_MS, 86400 * KL_NS_PER_S, &o->sip_grace_ns, err);
}

static int set_sccp_missed(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, 1, 100, &o->sccp_missed, err);
}

static int set_write_lost(struct kl_options *o, const char *value, struct kl_error *err)
{
	if (!value[0])
		return kl_fail(err, -EINVAL, "an empty file name");
	if (!strcmp(value, "-"))
		return kl_fail(err, -EINVAL, "a file is needed, not standard output");
	o->write_lost = value;
	return 0;
}

static int set_poll_interval(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, KL_NS_PER_S, 86400 * KL_NS_PER_S, &o->poll.interval_ns, err);
}

static int set_keep(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, 3600 * KL_NS_PER_S, 36500ULL * 86400 * KL_NS_PER_S, &o->keep_ns,
			err);
}

static int set_since(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, KL_NS_PER_S, 36500ULL * 86400 * KL_NS_PER_S, &o->since_ns, err);
}

static int set_history_max_bytes(struct kl_options *o, const char *value, struct kl_error *err)
{
	if (kl_parse_number(value, KL_STORE_BYTES_MIN, 1ULL << 50, &o->history_max_bytes))
		return kl_fail(err, -EINVAL, "%s is not a number of bytes from %d on",
			       value[0] ? value : "an empty text", KL_STORE_BYTES_MIN);
	return 0;
}

static int set_complete(struct kl_options *o, const char *value, struct kl_error *err)
{
	static const char *const names[] = { "access", "cucm", "both", NULL };
	int choice = 0, r = choose(value, names, &choice, err);

	if (r)
		return r;
	o->complete[KL_ACCESS] |= choice != KL_CUCM;
	o->complete[KL_CUCM] |= choice != KL_ACCESS;
	return 0;
}

/* ---- Sites ---- */

static int set_side(struct kl_options *o, const char *value, struct kl_error *err)
{
	static const char *const names[] = { "access", "cucm", NULL };
	int choice = 0, r = choose(value, names, &choice, err);

	if (!r)
		o->sites.side = (uint32_t)choice;
	return r;
}

static int set_token(const char **ret, const char *value, struct kl_error *err)
{
	if (!kl_token_is_valid(value))
		return kl_fail(err, -EINVAL, "%.100s is no name (1 to 64 letters, digits, - and _)",
			       value[0] ? value : "an empty text");
	*ret = value;
	return 0;
}

static int set_site(struct kl_options *o, const char *value, struct kl_error *err)
{
	return set_token(&o->sites.site, value, err);
}

static int set_name(struct kl_options *o, const char *value, struct kl_error *err)
{
	return set_token(&o->sites.name, value, err);
}

static int set_prefix(struct kl_options *o, const char *value, struct kl_error *err)
{
	if (!kl_subject_prefix_is_valid(value))
		return kl_fail(err, -EINVAL,
			       "%.100s is no prefix (names of letters, digits, - and _, with dots "
			       "between them)",
			       value[0] ? value : "an empty text");
	o->sites.prefix = value;
	return 0;
}

static int set_partitions(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, 1, KL_WIRE_PARTITIONS, &o->sites.partitions, err);
}

/* A joiner's: which ones, FIRST-LAST. */
static int set_own_partitions(struct kl_options *o, const char *value, struct kl_error *err)
{
	struct kl_join_options *j = &o->join;
	_cleanup_free_ char *copy = strdup(value);
	char *last = copy ? strchr(copy, '-') : NULL;
	int r;

	if (!copy)
		return kl_fail(err, -ENOMEM, "out of memory");
	if (last)
		*last++ = '\0';
	r = number(copy, 0, KL_WIRE_PARTITIONS - 1, &j->first, err);
	j->last = j->first;
	if (!r && last)
		r = number(last, 0, KL_WIRE_PARTITIONS - 1, &j->last, err);
	if (!r && j->last < j->first)
		r = kl_fail(err, -EINVAL, "%s: the first one comes first", value);
	return r;
}

static int set_join_interval(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, 500 * KL_NS_PER_MS, 3600 * KL_NS_PER_S, &o->join.interval_ns, err);
}

static int set_replicas(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, 1, 5, &o->join.replicas, err);
}

static int set_stream_max_bytes(struct kl_options *o, const char *value, struct kl_error *err)
{
	if (kl_parse_number(value, 1 << 20, 1ULL << 50, &o->join.stream_max_bytes))
		return kl_fail(err, -EINVAL, "%s is not a number of bytes from %d on",
			       value[0] ? value : "an empty text", 1 << 20);
	return 0;
}

static int set_tolerance(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, 200 * KL_NS_PER_MS, 60 * KL_NS_PER_S, &o->join.tolerance_ns, err);
}

static int set_hold(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, KL_NS_PER_S, 3600 * KL_NS_PER_S, &o->join.hold_ns, err);
}

static int set_patience(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, KL_NS_PER_S, 86400 * KL_NS_PER_S, &o->join.patience_ns, err);
}

static int set_warm_up(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, KL_NS_PER_S, 86400 * KL_NS_PER_S, &o->join.warm_up_ns, err);
}

static int set_linger(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, KL_NS_PER_S, 3600 * KL_NS_PER_S, &o->join.linger_ns, err);
}

static int set_lease(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, 2 * KL_NS_PER_S, 3600 * KL_NS_PER_S, &o->join.lease_ns, err);
}

static int set_max_waiting(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, 1000, 1U << 30, &o->join.max_waiting, err);
}

static int set_partition_by(struct kl_options *o, const char *value, struct kl_error *err)
{
	static const char *const names[] = { "connection", "server", NULL };
	int choice = 0, r = choose(value, names, &choice, err);

	if (!r)
		o->sites.rule = (uint32_t)choice;
	return r;
}

static int set_batch(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, 100 * KL_NS_PER_MS, 60 * KL_NS_PER_S, &o->sites.batch_ns, err);
}

static int set_spool_max_bytes(struct kl_options *o, const char *value, struct kl_error *err)
{
	if (kl_parse_number(value, SPOOL_BYTES_MIN, 1ULL << 50, &o->sites.spool_max_bytes))
		return kl_fail(err, -EINVAL, "%s is not a number of bytes from %d on",
			       value[0] ? value : "an empty text", SPOOL_BYTES_MIN);
	return 0;
}

static const struct option_def options[] = {
	{ "access", "IF[,IF...]", SEES, .set = set_access,
	  .help = "interface(s) towards the phones" },
	{ "cucm", "IF[,IF...]", SEES, .set = set_cucm,
	  .help = "interface(s) towards the call server" },
	{ "side", "access|cucm", AGENT, .set = set_side,
	  .help = "which side this host sees: access: where the phones are; cucm: where the call\n"
		  "server is" },
	{ "interface", "IF[,IF...]", AGENT, .set = set_access,
	  .help = "interface(s) that all signalling of this side passes" },
	{ "site", "NAME", AGENT, .set = set_site,
	  .help = "where this host is: records name the site that the phones are in" },
	{ "agent", "NAME", AGENT, .set = set_name,
	  .help = "what this agent is called, once in its site; default: this host's name" },
	{ "nats", "URL[,URL...]", SITES, MEMBER(sites.nats.urls), .check = kl_broker_check_urls,
	  .help = "NATS server(s) with JetStream: nats://HOST:PORT or tls://HOST:PORT" },
	{ "creds", "FILE", SITES, MEMBER(sites.nats.creds),
	  .help = "log in by this file of credentials (JWT and seed)" },
	{ "nkey-seed", "FILE", SITES, MEMBER(sites.nats.nkey_seed),
	  .help = "log in by the NKEY in this file: the seed, and the public key on another line" },
	{ "tls-ca", "FILE", SITES, MEMBER(sites.nats.tls_ca),
	  .help = "TLS: who signs the server's certificate (PEM)" },
	{ "tls-cert", "FILE", SITES, MEMBER(sites.nats.tls_cert),
	  .help = "TLS: this host's own certificate (PEM)" },
	{ "tls-key", "FILE", SITES, MEMBER(sites.nats.tls_key), .help = "TLS: its key (PEM)" },
	{ "subject-prefix", "TEXT", SITES, .set = set_prefix,
	  .help = "what all subjects begin with; default kaloss" },
	{ "partitions", "N", AGENT, .set = set_partitions,
	  .help = "into how many streams connections are divided: the same for all agents and\n"
		  "joiners; default 32" },
	{ "partitions", "FIRST-LAST", JOIN, .set = set_own_partitions,
	  .help = "which partitions, shared with the joiners that have the same; default 0-31" },
	{ "name", "NAME", JOIN, .set = set_name,
	  .help = "what this joiner is called, once among all; default: this host's name and the\n"
		  "process" },
	{ "replicas", "N", JOIN, .set = set_replicas,
	  .help = "servers of a cluster that each keep all, of streams that are made; default 1" },
	{ "stream-max-bytes", "N", JOIN, .set = set_stream_max_bytes,
	  .help = "of the stream of batches and that of records, if they are made: the oldest\n"
		  "goes; default: what the server allows" },
	{ "tolerance", "DURATION", JOIN, .set = set_tolerance,
	  .help = "longest way between the two sides; default 2s" },
	{ "hold", "DURATION", JOIN, .set = set_hold,
	  .help = "how far both sides are read before a segment is judged; default: eight\n"
		  "tolerances, which is the least" },
	{ "patience", "DURATION", JOIN, .set = set_patience,
	  .help = "an agent that is silent for longer is not waited for; default 15m" },
	{ "linger", "DURATION", JOIN, .set = set_linger,
	  .help = "what only one side saw waits so long for the other; default 1m" },
	{ "warm-up", "DURATION", JOIN, .set = set_warm_up,
	  .help = "how much of what is settled is read again after a takeover, to know what was\n"
		  "known; default 10m" },
	{ "lease", "DURATION", JOIN, .set = set_lease,
	  .help = "a joiner that writes nothing for so long is dead; default 10s" },
	{ "max-waiting", "N", JOIN, .set = set_max_waiting,
	  .help = "sightings of a partition that wait for the other side, 150 bytes each;\n"
		  "default 1048576" },
	{ "partition-by", "connection|server", AGENT, .set = set_partition_by,
	  .help = "connection: by both ends' addresses; server: by the call server's alone, where\n"
		  "addresses are translated between the sides; default connection" },
	{ "batch", "DURATION", AGENT, .set = set_batch,
	  .help = "what is seen waits for so long, to go together; default 1s" },
	{ "spool", "DIR", AGENT, MEMBER(sites.spool),
	  .help = "keep there what cannot be sent, over the end of the program, too; default:\n"
		  "in memory" },
	{ "spool-max-bytes", "N", AGENT, .set = set_spool_max_bytes,
	  .help = "what is kept, at most (in memory: 16 MiB of it): the oldest goes, and is\n"
		  "declared as not seen; default 1073741824" },
	{ "for", "DURATION", DIAGNOSE | LIVE, .set = set_duration,
	  .help = "look for so long; default 5m" },
	{ "tap", NULL, AGENT, MEMBER(live.tap),
	  .help = "a mirror port: both directions are read at ingress" },
	{ "tap", NULL, SEES | LIVE, MEMBER(live.tap),
	  .help = "both sides are mirror ports: both directions are read at ingress" },
	{ "nat", NULL, SEES | LIVE, MEMBER(live.nat),
	  .help = "this host translates the phones' addresses" },
	{ "hook", "auto|xdp|tc", HOOKS | LIVE, .set = set_hook,
	  .help = "where frames are read as they come in: auto takes native XDP where it is\n"
		  "free, else tc; xdp and tc insist; default auto" },
	{ "tc-filters", NULL, HOOKS | LIVE, MEMBER(live.tc_filters),
	  .help = "use clsact filters also where the kernel has tcx links" },
	{ "sccp-ports", "PORT[,PORT...]", HOOKS, .set = set_sccp_ports,
	  .help = "where the call server listens for SCCP; default 2000" },
	{ "sccp-tls-ports", "PORT[,PORT...]", HOOKS, .set = set_sccp_tls_ports,
	  .help = "for SCCP over TLS; default 2443" },
	{ "sip-ports", "PORT[,PORT...]", HOOKS, .set = set_sip_ports,
	  .help = "for SIP; default 5060" },
	{ "sip-tls-ports", "PORT[,PORT...]", HOOKS, .set = set_sip_tls_ports,
	  .help = "for SIP over TLS; default 5061" },
	{ "deadline", "DURATION", TELLS | LIVE, .set = set_deadline,
	  .help = "a segment not delivered within this time is lost; default 1s" },
	{ "interval", "DURATION", WATCH | RELOADS, .set = set_interval,
	  .help = "between two ticks; default 1s" },
	{ "interval", "DURATION", AGENT, .set = set_interval,
	  .help = "between two heartbeats; default 1s" },
	{ "interval", "DURATION", JOIN, .set = set_join_interval,
	  .help = "between two ticks of a site; default 10s" },
	{ "duration", "DURATION", WATCH | AGENT | JOIN, .set = set_duration,
	  .help = "stop after this time; default: never" },
	{ "duration", "DURATION", KL_VERB_CHECK, .set = set_duration,
	  .help = "look at the traffic for so long; default 3s" },
	{ "connections", "N", AGENT, .set = set_connections,
	  .help = "room for connections: memory as it is needed, 0.7 KB each; default 65536" },
	{ "connections", "N", SEES, .set = set_connections,
	  .help = "room for connections: memory of the kernel, 0.5 KB each (captures: memory\n"
		  "as it is needed, for 262144 where nothing is said); default 65536" },
	{ "join-entries", "N", SEES | LIVE, .set = set_join_entries,
	  .help = "room for segments under way and just arrived; default 65536" },
	{ "ring-bytes", "N", HOOKS | LIVE, .set = set_ring_bytes,
	  .help = "room for events; default 4194304" },
	{ "access-capture", "FILE[,FILE...]", DIAGNOSE, MEMBER(captures[KL_ACCESS]),
	  .help = "capture(s) from the phones' side: pcap or pcapng, gzip or not, - for\n"
		  "standard input" },
	{ "cucm-capture", "FILE[,FILE...]", DIAGNOSE, MEMBER(captures[KL_CUCM]),
	  .help = "capture(s) from the call server's side" },
	{ "complete", "access|cucm|both", DIAGNOSE, .set = set_complete,
	  .help = "it is known that this capture dropped nothing: what is not in it is lost\n"
		  "even where the receiver acknowledges it" },
	{ "write-lost", "FILE", DIAGNOSE, .set = set_write_lost,
	  .help = "write the lost segments and their neighbours as a pcapng; captures are\n"
		  "read twice then" },
	{ "trap", "ADDRESS:PORT", TELLS | LIVE, MEMBER(trap.address),
	  .check = kl_trap_check_address,
	  .help = "listen for SNMP traps of switches (usually port 162)" },
	{ "trap-community", "TEXT", TELLS | LIVE, MEMBER(trap.community),
	  .help = "of v1 and v2c traps; default: any" },
	{ "trap-auth", "FILE", TELLS | LIVE, MEMBER(trap.auth_file),
	  .help = "users of SNMPv3, one a line: NAME AUTH-PROTOCOL KEY [PRIV-PROTOCOL KEY];\n"
		  "and the community, which others could read here: community TEXT" },
	{ "poll-switch", "ADDRESS[,ADDRESS...]", TELLS | LIVE, MEMBER(poll.switches),
	  .check = kl_switch_poll_check,
	  .help = "ask switches by SNMP for their MAC tables and ageing times" },
	{ "poll-community", "TEXT", TELLS | LIVE, MEMBER(poll.community),
	  .help = "of the switches that are asked; default public" },
	{ "poll-auth", "FILE", TELLS | LIVE, MEMBER(poll.auth_file),
	  .help = "ask by SNMPv3, as the first user in it, or by its community" },
	{ "poll-interval", "DURATION", TELLS | LIVE, .set = set_poll_interval,
	  .help = "between two questions to a switch; default 10s" },
	{ "syslog", "ADDRESS:PORT", TELLS | LIVE, MEMBER(syslog.address),
	  .check = kl_syslog_check_address,
	  .help = "listen for syslog of switches and call servers, UDP and TCP (usually\n"
		  "port 514)" },
	{ "syslog-file", "FILE[,FILE...]", TELLS | RELOADS, MEMBER(syslog.files),
	  .check = check_files,
	  .help = "follow such files, like tail -F; with captures: read them" },
	{ "cucm-trace", "FILE[,FILE...]", DIAGNOSE, MEMBER(traces), .check = check_files,
	  .help = "the call server's SDL or SDI traces: what its application received" },
	{ "history", "FILE", TELLS, MEMBER(history), .check = check_file,
	  .help = "watch: keep what is found in this file; diagnose: say what it comes to" },
	{ "history", "FILE", JOIN, MEMBER(history), .check = check_file,
	  .help = "keep what is found in this file, for kaloss diagnose" },
	{ "keep", "DURATION", WATCH | JOIN, .set = set_keep,
	  .help = "what is older goes from the history; default 30d" },
	{ "history-max-bytes", "N", WATCH | JOIN, .set = set_history_max_bytes,
	  .help = "of the history, with its WAL: what is oldest goes; default 1073741824" },
	{ "since", "DURATION", DIAGNOSE, .set = set_since,
	  .help = "how much of the history, back from its end; default 1h" },
	{ "all-macs", NULL, TELLS | RELOADS, MEMBER(all_macs),
	  .help = "tell of every MAC address, not of phones and servers only" },
	{ "no-idle-time", NULL, TELLS | LIVE, MEMBER(live.no_idle),
	  .help = "do not follow how long each phone was silent" },
	{ "no-arp", NULL, TELLS | LIVE, MEMBER(live.no_arp),
	  .help = "do not look at ARP and neighbour discovery" },
	{ "no-drop-reasons", NULL, TELLS | LIVE, MEMBER(no_drops),
	  .help = "do not ask the kernel why it dropped a segment" },
	{ "format", "text|jsonl", WATCH | JOIN, .set = set_format,
	  .help = "records as text, or as one JSON object a line; default text" },
	{ "format", "text|jsonl|json|html", DIAGNOSE, .set = set_format,
	  .help = "jsonl: records as they happen, one JSON object a line; json and html: one\n"
		  "document at the end; default text" },
	{ "output", "FILE", TELLS | JOIN | RELOADS, MEMBER(output), .check = check_file,
	  .help = "write records to FILE instead of standard output" },
	{ "append", NULL, WATCH | JOIN | RELOADS, MEMBER(append),
	  .help = "keep what is in FILE, and write behind it" },
	{ "color", "auto|always|never", SEES, .set = set_color,
	  .help = "auto: only on a terminal; default auto" },
	{ "per-phone", NULL, TELLS, MEMBER(per_phone), .help = "list all sessions in the summary" },
	{ "sip-grace", "DURATION", TELLS | RELOADS, .set = set_sip_grace,
	  .help = "how long the call server waits for a refresh that is due; default 15s" },
	{ "sccp-missed", "N", TELLS | RELOADS, .set = set_sccp_missed,
	  .help = "keepalive intervals after which the call server gives an SCCP phone up;\n"
		  "default 3" },
	{ "queue-bytes", "N", TELLS | JOIN | LIVE, .set = set_queue_bytes,
	  .help = "records that wait for a slow reader; what does not fit is dropped and\n"
		  "counted; default 8388608" },
	{ "prometheus", "ADDRESS:PORT", WATCH | JOIN, MEMBER(prometheus),
	  .check = kl_metrics_http_check,
	  .help = "serve metrics there (/metrics, /healthz); :PORT is 127.0.0.1:PORT" },
	{ "self-cost", NULL, WATCH, MEMBER(live.self_cost),
	  .help = "have the kernel measure our programs, and show ns a run at the end (takes\n"
		  "CAP_SYS_ADMIN, or the sysctl kernel.bpf_stats_enabled=1)" },
	{ "config", "FILE", WATCH | WORDS, MEMBER(config_path),
	  .help = "read options from FILE: KEY = VALUE lines, a KEY being an option without\n"
		  "its dashes; what the command line says goes before it. SIGHUP reads it again" },
	{ "config", "FILE", SITES | WORDS, MEMBER(config_path),
	  .help = "read options from FILE: KEY = VALUE lines, a KEY being an option without\n"
		  "its dashes; what the command line says goes before it" },
	{ "check-config", NULL, WATCH | SITES | WORDS, MEMBER(check_config),
	  .help = "only say what is wrong with the options: exit status 0 or 2" },
	{ "help", NULL, ALL | WORDS, MEMBER(help), .help = "list the options" },
};

_Static_assert(KL_COUNT(options) <= KL_OPTIONS_MAX, "struct kl_options has no room for them");

void kl_options_defaults(struct kl_options *o)
{
	*o = (struct kl_options){
		.live = {
			.deadline_ns = KL_NS_PER_S,
			.connections = CONNECTIONS,
			.join_entries = JOIN_ENTRIES,
			.ring_bytes = RING_BYTES,
		},
		.interval_ns = KL_NS_PER_S,
		.queue_bytes = QUEUE_BYTES,
		.sip_grace_ns = KL_SIP_GRACE_NS,
		.sccp_missed = KL_SCCP_MISSED_MAX,
		.capture_connections = CAPTURE_CONNECTIONS,
		.poll.interval_ns = POLL_NS,
		.keep_ns = KL_KEEP_NS,
		.history_max_bytes = KL_HISTORY_MAX_BYTES,
		.join = {
			.last = PARTITIONS - 1,
			.replicas = 1,
			.tolerance_ns = 2 * KL_NS_PER_S,
			.patience_ns = 900 * KL_NS_PER_S,
			.linger_ns = 60 * KL_NS_PER_S,
			.warm_up_ns = 600 * KL_NS_PER_S,
			.lease_ns = 10 * KL_NS_PER_S,
			.interval_ns = 10 * KL_NS_PER_S,
			.commit_ns = KL_NS_PER_S,
			.max_waiting = 1 << 20,
		},
		.sites = {
			.prefix = KL_SUBJECT_PREFIX,
			.side = KL_SIDES,
			.partitions = PARTITIONS,
			.batch_ns = KL_NS_PER_S,
			.spool_max_bytes = SPOOL_MAX_BYTES,
		},
	};
	for (unsigned service = 0; service < KL_SERVICES; service++) {
		o->live.ports[service][0] = default_port[service];
		o->live.port_count[service] = 1;
	}
}

static size_t fill_long_options(const struct kl_verb *verb, struct option *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < KL_COUNT(options); i++) {
		if (!(options[i].verbs & verb->mask))
			continue;
		ret[count++] = (struct option){
			.name = options[i].name,
			/* (--NAME=no takes back what a file says.) */
			.has_arg = options[i].argument ? required_argument : optional_argument,
			.val = (int)(256 + i),
		};
	}
	ret[count] = (struct option){};
	return count;
}

/* "yes" or "no", of what takes no argument. */
static int read_choice(const char *value, int *ret, struct kl_error *err)
{
	static const char *const names[] = { "no", "yes", NULL };

	*ret = 1;
	return choose(value, names, ret, err);
}

/* An option by the command line or by a file; the error names it. */
static int take(const struct option_def *def, struct kl_options *o, const char *value,
		struct kl_error *err)
{
	struct kl_error why = {};
	int choice, r = def->argument ? 0 : read_choice(value, &choice, &why);

	if (!r)
		r = def->set ? def->set(o, value, &why) : set_member(def, o, value, &why);
	if (r)
		return kl_fail(err, r, "--%s: %.400s", def->name, why.text);
	o->given[def - options] = value;
	return 0;
}

static int read_command_line(const struct kl_verb *verb, int argc, char **argv,
			     struct kl_options *o, struct kl_error *err)
{
	struct option known[KL_COUNT(options) + 1];
	int c;

	fill_long_options(verb, known);
	optind = 0; /* from the start, whatever was parsed before */
	opterr = 0;
	/* The leading colon tells a missing argument from an unknown option. */
	while ((c = getopt_long(argc, argv, ":h", known, NULL)) != -1) {
		const struct option_def *def;
		int r;

		if (c == 'h') {
			o->help = true;
			continue;
		}
		if (c == ':')
			return kl_fail(err, -EINVAL, "%s needs an argument", argv[optind - 1]);
		if (c == '?')
			return kl_fail(err, -EINVAL, "unknown option %s (see kaloss %s --help)",
				       argv[optind - 1], verb->name);
		def = &options[c - 256];
		if (def->verbs & LIVE && (def->argument || !optarg || strcmp(optarg, "no") != 0))
			o->live_only = def->name;
		r = take(def, o, optarg ? optarg : "yes", err);
		if (r)
			return r;
	}
	if (!o->help && optind < argc)
		return kl_fail(err, -EINVAL, "unexpected argument %s", argv[optind]);
	return 0;
}

/* ---- The file ---- */

static const struct option_def *find_key(const struct kl_verb *verb, const char *name, size_t len)
{
	for (size_t i = 0; i < KL_COUNT(options); i++) {
		if ((options[i].verbs & verb->mask) && !(options[i].verbs & WORDS) &&
		    strlen(options[i].name) == len && !strncmp(options[i].name, name, len))
			return &options[i];
	}
	return NULL;
}

static int take_key(const struct option_def *def, struct kl_options *o, const char *value,
		    struct kl_error *err)
{
	struct kl_error why = {};
	int choice = 1, r;

	if (!def->argument && (r = read_choice(value, &choice, &why)))
		return kl_fail(err, r, "%s: %.400s", def->name, why.text);
	if (!choice)
		return 0;
	r = take(def, o, value, &why);
	/* (Without the dashes: so it is written there.) */
	return r ? kl_fail(err, r, "%.400s", why.text + 2) : 0;
}

int kl_option_set(const struct kl_verb *verb, struct kl_options *o, const char *name,
		  const char *value, struct kl_error *err)
{
	const struct option_def *def = find_key(verb, name, strlen(name));

	if (!def)
		return kl_fail(err, -ENOENT, "unknown option %.50s", name[0] ? name : "(none)");
	return take_key(def, o, value, err);
}

/* What the command line said, stays; what the file says of it must be right nevertheless. */
static int take_file(const struct kl_verb *verb, struct kl_options *o, struct kl_error *err)
{
	const char *said[KL_OPTIONS_MAX];

	memcpy(said, o->given, sizeof(said));
	for (size_t i = 0; i < o->config->count; i++) {
		const struct kl_config_entry *e = &o->config->entry[i];
		const struct option_def *def = find_key(verb, e->key, strlen(e->key));
		struct kl_options unused;
		struct kl_error why = {};
		int r;

		kl_options_defaults(&unused);
		r = kl_option_set(verb, def && said[def - options] ? &unused : o, e->key, e->value,
				  &why);
		if (r)
			return kl_fail(err, r, "%s: line %u: %.400s", o->config_path, e->line,
				       why.text);
	}
	return 0;
}

/* Where the file says what holds of an option; NULL: nowhere, or the command line goes before it. */
static const struct kl_config_entry *entry_of(const struct kl_options *o,
					      const struct option_def *def)
{
	for (size_t i = 0; i < o->config->count; i++) {
		if (o->config->entry[i].value == o->given[def - options])
			return &o->config->entry[i];
	}
	return NULL;
}

/*
 * What is wrong with options together, as the file has it: what the command line did not say is a
 * key, without dashes. (An explanation behind a colon may have any text.) Returns the line of the
 * first one that is in the file; 0: none is.
 */
static unsigned name_keys(const struct kl_verb *verb, const struct kl_options *o, const char *said,
			  struct kl_error *ret)
{
	static const char of_names[] = "abcdefghijklmnopqrstuvwxyz-";
	const char *end = strstr(said, ": ") ?: said + strlen(said);
	unsigned line = 0;
	char *to = ret->text;

	while (*said) {
		const struct option_def *def = NULL;
		const struct kl_config_entry *e;

		if (said < end && !strncmp(said, "--", 2))
			def = find_key(verb, said + 2, strspn(said + 2, of_names));
		e = def ? entry_of(o, def) : NULL;
		if (e && !line)
			line = e->line;
		if (e || (def && !o->given[def - options]))
			said += 2;
		*to++ = *said++;
	}
	*to = '\0';
	return line;
}

static int check(const struct kl_verb *verb, const struct kl_options *o, struct kl_error *err)
{
	struct kl_error why = {}, named = {};
	int r = kl_options_check(verb, o, &why);
	unsigned line;

	if (!r)
		return 0;
	if (!o->config)
		return kl_fail(err, r, "%s", why.text);
	line = name_keys(verb, o, why.text, &named);
	if (line)
		return kl_fail(err, r, "%s: line %u: %.400s", o->config_path, line, named.text);
	return kl_fail(err, r, "%s: %.400s", o->config_path, named.text);
}

int kl_options_parse(const struct kl_verb *verb, int argc, char **argv, struct kl_options *ret,
		     struct kl_error *err)
{
	int r;

	kl_options_defaults(ret);
	ret->verb = verb;
	ret->argc = argc;
	ret->argv = argv;
	r = read_command_line(verb, argc, argv, ret, err);
	if (r || ret->help)
		return r;
	if (ret->config_path)
		r = kl_config_file_read(ret->config_path, &ret->config, err)
			    ?: take_file(verb, ret, err);
	if (!r)
		r = check(verb, ret, err);
	if (r)
		kl_options_done(ret);
	return r;
}

void kl_options_done(struct kl_options *o)
{
	kl_config_file_free(o->config);
	o->config = NULL;
}

bool kl_option_describe(const struct kl_verb *verb, size_t index, struct kl_option_info *ret)
{
	const struct option_def *def;

	*ret = (struct kl_option_info){};
	if (index >= KL_COUNT(options))
		return false;
	def = &options[index];
	if (def->verbs & verb->mask)
		*ret = (struct kl_option_info){
			.name = def->name,
			.argument = def->argument,
			.help = def->help,
			.in_file = !(def->verbs & WORDS),
			.reloads = def->verbs & RELOADS,
			.any_value = def->argument &&
				     (!def->set || def->set == set_access || def->set == set_cucm),
		};
	return true;
}

bool kl_wants_color(const struct kl_options *o, int fd)
{
	if (o->color == KL_COLOR_AUTO)
		return isatty(fd);
	return o->color == KL_COLOR_ALWAYS;
}

/* (Only watch reads its file again.) */
static void print_reloads(void)
{
	const char *between = "";

	printf("SIGHUP reloads, of the file of --config: ");
	for (size_t i = 0; i < KL_COUNT(options); i++) {
		if (!(options[i].verbs & WATCH) || !(options[i].verbs & RELOADS))
			continue;
		printf("%s%s", between, options[i].name);
		between = ", ";
	}
	printf(".\n");
}

void kl_options_help(const struct kl_verb *verb)
{
	printf("%s\n\n%s\n\nOptions:\n", verb->usage, verb->summary);
	for (size_t i = 0; i < KL_COUNT(options); i++) {
		const struct option_def *def = &options[i];
		const char *line = def->help, *end;
		char left[64];

		if (!(def->verbs & verb->mask))
			continue;
		snprintf(left, sizeof(left), "--%s %s", def->name,
			 def->argument ? def->argument : "");
		for (; (end = strchr(line, '\n')); line = end + 1, left[0] = '\0')
			printf("  %-34s %.*s\n", left, (int)(end - line), line);
		printf("  %-34s %s\n", left, line);
	}
	printf("\nA DURATION is 500ms, 10s, 5m, 2h or 30d.\n");
	if (verb->mask & WATCH)
		print_reloads();
}
