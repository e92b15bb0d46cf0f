// SPDX-License-Identifier: GPL-2.0-only
/* What no option can see by itself: how they go together. */
#include <string.h>

#include "cli/options.h"

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
	return 0;
}

/* Of a history that is written. */
static int check_kept(const struct kl_options *o, struct kl_error *err)
{
	if (!o->history && o->keep_ns != KL_KEEP_NS)
		return kl_fail(err, -EINVAL, "--keep is of use with --history only");
	if (!o->history && o->history_max_bytes != KL_HISTORY_MAX_BYTES)
		return kl_fail(err, -EINVAL, "--history-max-bytes is of use with --history only");
	if (o->history && o->output && !strcmp(o->output, o->history))
		return kl_fail(err, -EINVAL, "--output and --history are the same file: %s",
			       o->output);
	return 0;
}

static int check_records(const struct kl_options *o, struct kl_error *err)
{
	if (o->format == KL_FORMAT_JSON || o->format == KL_FORMAT_HTML)
		return kl_fail(err, -EINVAL, "--format %s is for diagnose (here: text or jsonl)",
			       o->format == KL_FORMAT_JSON ? "json" : "html");
	return check_kept(o, err);
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

static int check_no_captures(const struct kl_options *o, struct kl_error *err)
{
	if (o->write_lost)
		return kl_fail(err, -EINVAL, "--write-lost is for captures");
	if (o->complete[KL_ACCESS] || o->complete[KL_CUCM])
		return kl_fail(err, -EINVAL, "--complete is for captures");
	return 0;
}

/* What watch kept is all there is. */
static int check_history(const struct kl_options *o, struct kl_error *err)
{
	if (o->live.interface_count[KL_ACCESS] || o->live.interface_count[KL_CUCM] ||
	    o->captures[KL_ACCESS] || o->captures[KL_CUCM])
		return kl_fail(err, -EINVAL,
			       "either a history or interfaces or captures, not several of them");
	if (o->live_only)
		return kl_fail(err, -EINVAL, "--%s is for a run on interfaces, not for a history",
			       o->live_only);
	if (o->traces || o->syslog.files)
		return kl_fail(err, -EINVAL, "--%s does not go with --history",
			       o->traces ? "cucm-trace" : "syslog-file");
	if (o->output && !strcmp(o->output, o->history))
		return kl_fail(err, -EINVAL, "--output and --history are the same file: %s",
			       o->output);
	return check_no_captures(o, err);
}

static int check_diagnose(const struct kl_options *o, struct kl_error *err)
{
	bool live = o->live.interface_count[KL_ACCESS] || o->live.interface_count[KL_CUCM];
	bool captures = o->captures[KL_ACCESS] || o->captures[KL_CUCM];

	if (o->history)
		return check_history(o, err);
	if (o->since_ns)
		return kl_fail(err, -EINVAL, "--since is of use with --history only");
	if (live && captures)
		return kl_fail(err, -EINVAL,
			       "either interfaces (--access, --cucm) or captures, not both");
	if (live)
		return check_interfaces(o, err) ?: check_no_captures(o, err);
	if (!captures)
		return kl_fail(err, -EINVAL,
			       "--access-capture and --cucm-capture are missing (give one or "
			       "both), or --access and --cucm for a live run, or --history");
	if (o->live_only)
		return kl_fail(err, -EINVAL, "--%s is for a run on interfaces, not for captures",
			       o->live_only);
	return check_captures(o, err);
}

/* Options that say more about another one, which must be there. */
static int check_evidence(const struct kl_options *o, struct kl_error *err)
{
	if (!o->trap.address && (o->trap.community || o->trap.auth_file))
		return kl_fail(err, -EINVAL, "--trap-%s is of use with --trap only",
			       o->trap.community ? "community" : "auth");
	if (!o->poll.switches && (o->poll.community || o->poll.auth_file))
		return kl_fail(err, -EINVAL, "--poll-%s is of use with --poll-switch only",
			       o->poll.community ? "community" : "auth");
	return 0;
}

static int check_agent(const struct kl_options *o, struct kl_error *err)
{
	const struct kl_sites_options *s = &o->sites;

	if (s->side == KL_SIDES)
		return kl_fail(err, -EINVAL, "--side is missing: access or cucm");
	if (!o->live.interface_count[KL_ACCESS])
		return kl_fail(err, -EINVAL,
			       "--interface is missing: what the signalling of this side passes");
	if (!s->site)
		return kl_fail(err, -EINVAL, "--site is missing: whose traffic it is");
	if (!s->nats.urls)
		return kl_fail(err, -EINVAL, "--nats is missing: the server's URL");
	return 0;
}

static int check_join(const struct kl_options *o, struct kl_error *err)
{
	const struct kl_join_options *j = &o->join;

	if (!o->sites.nats.urls)
		return kl_fail(err, -EINVAL, "--nats is missing: the server's URL");
	if (j->hold_ns && j->hold_ns < 8 * j->tolerance_ns)
		return kl_fail(err, -EINVAL, "--hold is eight times --tolerance at least");
	return check_kept(o, err);
}

int kl_options_check(const struct kl_verb *verb, const struct kl_options *o, struct kl_error *err)
{
	static const char *const names[] = { "--sccp-ports", "--sccp-tls-ports", "--sip-ports",
					     "--sip-tls-ports" };
	uint8_t used[65536] = {}; /* service + 1 */

	int r;

	if (verb->mask == KL_VERB_DIAGNOSE)
		r = check_diagnose(o, err);
	else if (verb->mask == KL_VERB_AGENT)
		r = check_agent(o, err);
	else if (verb->mask == KL_VERB_JOIN)
		r = check_join(o, err);
	else
		r = check_interfaces(o, err) ?: check_records(o, err);
	if (!r)
		r = check_evidence(o, err);
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
