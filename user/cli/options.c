// SPDX-License-Identifier: GPL-2.0-only
#include "cli/options.h"

#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/duration.h"

enum {
	CONNECTIONS = 262144, /* 100 000 phones with two connections each, and room */
	JOIN_ENTRIES = 65536,
	RING_BYTES = 4 << 20,
	WATCH = KL_VERB_WATCH,
	BOTH = KL_VERB_WATCH | KL_VERB_CHECK,
	DIAGNOSE = KL_VERB_DIAGNOSE,
	TELLS = KL_VERB_WATCH | KL_VERB_DIAGNOSE, /* writes records */
	ALL = BOTH | DIAGNOSE,
};

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
	int (*set)(struct kl_options *o, const char *value, struct kl_error *err);
	const char *help;
};

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
		return kl_fail(err, r, "%s is not a duration (such as 500ms, 10s, 5m or 2h)",
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
	return number(value, 1, 16U << 20, &o->live.connections, err);
}

static int set_join_entries(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, KL_WAYS, 16U << 20, &o->live.join_entries, err);
}

static int set_ring_bytes(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, 4096, 1U << 30, &o->live.ring_bytes, err);
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
	static const char *const names[] = { "text", "jsonl", "json", NULL };
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

static int set_output(struct kl_options *o, const char *value, struct kl_error *err)
{
	if (!value[0])
		return kl_fail(err, -EINVAL, "an empty file name");
	o->output = value;
	return 0;
}

static int set_tap(struct kl_options *o, const char *value, struct kl_error *err)
{
	(void)value;
	(void)err;
	o->live.tap = true;
	return 0;
}

static int set_nat(struct kl_options *o, const char *value, struct kl_error *err)
{
	(void)value;
	(void)err;
	o->live.nat = true;
	return 0;
}

static int set_tc_filters(struct kl_options *o, const char *value, struct kl_error *err)
{
	(void)value;
	(void)err;
	o->live.tc_filters = true;
	return 0;
}

static int set_sip_grace(struct kl_options *o, const char *value, struct kl_error *err)
{
	return duration(value, KL_NS_PER_MS, 86400 * KL_NS_PER_S, &o->sip_grace_ns, err);
}

static int set_sccp_missed(struct kl_options *o, const char *value, struct kl_error *err)
{
	return number(value, 1, 100, &o->sccp_missed, err);
}

static int set_access_capture(struct kl_options *o, const char *value, struct kl_error *err)
{
	if (!value[0])
		return kl_fail(err, -EINVAL, "an empty file name");
	o->captures[KL_ACCESS] = value;
	return 0;
}

static int set_cucm_capture(struct kl_options *o, const char *value, struct kl_error *err)
{
	if (!value[0])
		return kl_fail(err, -EINVAL, "an empty file name");
	o->captures[KL_CUCM] = value;
	return 0;
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

static int set_per_phone(struct kl_options *o, const char *value, struct kl_error *err)
{
	(void)value;
	(void)err;
	o->per_phone = true;
	return 0;
}

static int set_self_cost(struct kl_options *o, const char *value, struct kl_error *err)
{
	(void)value;
	(void)err;
	o->live.self_cost = true;
	return 0;
}

static int set_help(struct kl_options *o, const char *value, struct kl_error *err)
{
	(void)value;
	(void)err;
	o->help = true;
	return 0;
}

static const struct option_def options[] = {
	{ "access", "IF[,IF...]", BOTH, set_access, "interface(s) towards the phones" },
	{ "cucm", "IF[,IF...]", BOTH, set_cucm, "interface(s) towards the call server" },
	{ "tap", NULL, BOTH, set_tap,
	  "both sides are mirror ports: both directions are read at ingress" },
	{ "nat", NULL, BOTH, set_nat, "this host translates the phones' addresses" },
	{ "hook", "auto|xdp|tc", BOTH, set_hook,
	  "where frames are read as they come in: native XDP where it is free,\n"
	  "else tc (auto, the default); xdp and tc insist" },
	{ "tc-filters", NULL, BOTH, set_tc_filters,
	  "use clsact filters also where the kernel has tcx links" },
	{ "sccp-ports", "PORT[,PORT...]", ALL, set_sccp_ports, "default 2000" },
	{ "sccp-tls-ports", "PORT[,PORT...]", ALL, set_sccp_tls_ports, "default 2443" },
	{ "sip-ports", "PORT[,PORT...]", ALL, set_sip_ports, "default 5060" },
	{ "sip-tls-ports", "PORT[,PORT...]", ALL, set_sip_tls_ports, "default 5061" },
	{ "deadline", "DURATION", WATCH, set_deadline,
	  "a segment not delivered within this time is lost; default 1s" },
	{ "interval", "DURATION", WATCH, set_interval, "between two ticks; default 1s" },
	{ "duration", "DURATION", BOTH, set_duration,
	  "stop after this time (watch: default never; check: traffic is looked at\n"
	  "for this long, default 3s)" },
	{ "connections", "N", ALL, set_connections, "room for connections; default 262144" },
	{ "join-entries", "N", BOTH, set_join_entries,
	  "room for segments under way and just arrived; default 65536" },
	{ "ring-bytes", "N", BOTH, set_ring_bytes, "room for events; default 4194304" },
	{ "access-capture", "FILE[,FILE...]", DIAGNOSE, set_access_capture,
	  "capture(s) from the phones' side: pcap or pcapng, gzip or not, - for\n"
	  "standard input" },
	{ "cucm-capture", "FILE[,FILE...]", DIAGNOSE, set_cucm_capture,
	  "capture(s) from the call server's side" },
	{ "complete", "access|cucm|both", DIAGNOSE, set_complete,
	  "it is known that this capture dropped nothing: what is not in it is lost\n"
	  "even where the receiver acknowledges it" },
	{ "write-lost", "FILE", DIAGNOSE, set_write_lost,
	  "write the lost segments and their neighbours as a pcapng; captures are\n"
	  "read twice then" },
	{ "format", "text|jsonl|json", TELLS, set_format, "default text; json: diagnose only" },
	{ "output", "FILE", TELLS, set_output, "write records to FILE instead of standard output" },
	{ "color", "auto|always|never", ALL, set_color, "default auto: only on a terminal" },
	{ "per-phone", NULL, TELLS, set_per_phone, "list all sessions in the summary" },
	{ "sip-grace", "DURATION", TELLS, set_sip_grace,
	  "how long the call server waits for a refresh that is due; default 15s" },
	{ "sccp-missed", "N", TELLS, set_sccp_missed,
	  "keepalive intervals after which the call server gives an SCCP phone up;\n"
	  "default 3" },
	{ "self-cost", NULL, WATCH, set_self_cost,
	  "have the kernel measure our programs, and show ns a run at the end" },
	{ "help", NULL, ALL, set_help, "this text" },
};

static void set_defaults(struct kl_options *o)
{
	*o = (struct kl_options){
		.live = {
			.deadline_ns = KL_NS_PER_S,
			.connections = CONNECTIONS,
			.join_entries = JOIN_ENTRIES,
			.ring_bytes = RING_BYTES,
		},
		.interval_ns = KL_NS_PER_S,
		.sip_grace_ns = KL_SIP_GRACE_NS,
		.sccp_missed = KL_SCCP_MISSED_MAX,
	};
	for (unsigned service = 0; service < KL_SERVICES; service++) {
		o->live.ports[service][0] = default_port[service];
		o->live.port_count[service] = 1;
	}
}

static int check_interfaces(const struct kl_options *o, struct kl_error *err)
{
	if (!o->live.interface_count[KL_ACCESS])
		return kl_fail(err, -EINVAL,
			       "--access is missing: the interface towards the phones");
	if (!o->live.interface_count[KL_CUCM])
		return kl_fail(err, -EINVAL,
			       "--cucm is missing: the interface towards the call server");
	if (o->live.tap && o->live.nat)
		return kl_fail(err, -EINVAL,
			       "--tap and --nat exclude each other: a mirror port's "
			       "addresses are not translated by this host");
	if (o->format == KL_FORMAT_JSON)
		return kl_fail(err, -EINVAL, "--format json is for diagnose (here: jsonl)");
	return 0;
}

/* How often a list of files names this one. */
static unsigned count_named(const char *list, const char *name)
{
	unsigned count = 0;

	while (list) {
		size_t len = strcspn(list, ",");

		count += len == strlen(name) && !strncmp(list, name, len);
		list = list[len] ? list + len + 1 : NULL;
	}
	return count;
}

static int check_captures(const struct kl_options *o, struct kl_error *err)
{
	const char *a = o->captures[KL_ACCESS], *b = o->captures[KL_CUCM];
	unsigned stdins = count_named(a, "-") + count_named(b, "-");

	if (!a && !b)
		return kl_fail(err, -EINVAL,
			       "--access-capture and --cucm-capture are missing: give one or both");
	if (count_named(a, "") || count_named(b, ""))
		return kl_fail(err, -EINVAL, "--%s-capture: an empty file name in the list",
			       count_named(a, "") ? "access" : "cucm");
	if (stdins > 1)
		return kl_fail(err, -EINVAL, "standard input (-) can be one capture only");
	if (stdins && o->write_lost)
		return kl_fail(err, -EINVAL,
			       "--write-lost reads the captures twice, which standard input (-) "
			       "does not allow: write it to a file first");
	if (o->output && o->write_lost && !strcmp(o->output, o->write_lost))
		return kl_fail(err, -EINVAL, "--output and --write-lost are the same file: %s",
			       o->output);
	if ((o->complete[KL_ACCESS] || o->complete[KL_CUCM]) && (!a || !b))
		return kl_fail(err, -EINVAL, "--complete is of use with two captures only");
	return 0;
}

/* Things that no option can see by itself. */
static int check_together(const struct kl_verb *verb, const struct kl_options *o,
			  struct kl_error *err)
{
	static const char *const names[] = { "--sccp-ports", "--sccp-tls-ports", "--sip-ports",
					     "--sip-tls-ports" };
	uint8_t used[65536] = {}; /* service + 1 */

	int r = verb->mask == KL_VERB_DIAGNOSE ? check_captures(o, err) : check_interfaces(o, err);

	if (r)
		return r;
	for (unsigned service = 0; service < KL_SERVICES; service++) {
		for (size_t i = 0; i < o->live.port_count[service]; i++) {
			uint16_t port = o->live.ports[service][i];

			if (used[port] && used[port] != service + 1)
				return kl_fail(err, -EINVAL, "port %u is both in %s and in %s",
					       port, names[used[port] - 1], names[service]);
			used[port] = (uint8_t)(service + 1);
		}
	}
	return 0;
}

static size_t fill_long_options(const struct kl_verb *verb, struct option *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < KL_COUNT(options); i++) {
		if (!(options[i].verbs & verb->mask))
			continue;
		ret[count++] = (struct option){
			.name = options[i].name,
			.has_arg = options[i].argument ? required_argument : no_argument,
			.val = (int)(256 + i),
		};
	}
	ret[count] = (struct option){};
	return count;
}

int kl_options_parse(const struct kl_verb *verb, int argc, char **argv, struct kl_options *ret,
		     struct kl_error *err)
{
	struct option known[KL_COUNT(options) + 1];
	int c;

	set_defaults(ret);
	fill_long_options(verb, known);
	optind = 1;
	opterr = 0;
	/* The leading colon tells a missing argument from an unknown option. */
	while ((c = getopt_long(argc, argv, ":h", known, NULL)) != -1) {
		const struct option_def *def;
		struct kl_error why = {};
		int r;

		if (c == 'h') {
			ret->help = true;
			continue;
		}
		if (c == ':')
			return kl_fail(err, -EINVAL, "%s needs an argument", argv[optind - 1]);
		if (c == '?')
			return kl_fail(err, -EINVAL, "unknown option %s (see kaloss %s --help)",
				       argv[optind - 1], verb->name);
		def = &options[c - 256];
		r = def->set(ret, optarg ? optarg : "", &why);
		if (r)
			return kl_fail(err, r, "--%s: %s", def->name, why.text);
	}
	if (ret->help)
		return 0;
	if (optind < argc)
		return kl_fail(err, -EINVAL, "unexpected argument %s", argv[optind]);
	return check_together(verb, ret, err);
}

bool kl_wants_color(const struct kl_options *o, FILE *out)
{
	if (o->color == KL_COLOR_AUTO)
		return isatty(fileno(out));
	return o->color == KL_COLOR_ALWAYS;
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
	printf("\nA DURATION is 500ms, 10s, 5m or 2h.\n");
}
