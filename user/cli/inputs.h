/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a run listens to beside the segments: the bridge's MAC table, ARP, the kernel's own drops,
 * traps, polled switches and syslog. Filters what concerns nobody, joins what belongs together, and
 * hands it on. Nothing that comes in can hold the run up.
 *
 * A struct kl_inputs owns its sources. Times are CLOCK_MONOTONIC.
 */
#pragma once

#include "cli/options.h"
#include "core/evidence.h"
#include "core/session.h"
#include "source/live.h"

struct kl_inputs_config {
	const struct kl_options *o;
	/* Sessions that the alarms are about. */
	const struct kl_sessions *sessions;
	void (*mac)(const struct kl_mac_evidence *m, void *arg);
	void (*arp)(const struct kl_arp_conflict *c, void *arg);
	void (*alarm)(const struct kl_alarm *a, void *arg);
	void (*ageing)(const struct kl_ageing_evidence *a, void *arg);
	void *arg;
};

struct kl_inputs;

/* What was asked for by name: before any interface is touched, so that a wrong address costs nothing. */
int kl_inputs_open(const struct kl_inputs_config *config, struct kl_inputs **ret,
		   struct kl_error *err);
/*
 * This host's own, which nobody asked for: what cannot be had goes without (see remarks). live is
 * for ARP and the interfaces, and outlives the inputs.
 */
int kl_inputs_open_own(struct kl_inputs *in, struct kl_live *live, struct kl_error *err);
void kl_inputs_close(struct kl_inputs *in); /* NULL is fine */

/* Follows these syslog files from now on (NULL: none). On an error all stays as it was. */
int kl_inputs_set_syslog_files(struct kl_inputs *in, const char *files, struct kl_error *err);
/* As kl_sessions_set_patience(). */
void kl_inputs_set_patience(struct kl_inputs *in, uint64_t sip_grace_ns, uint32_t sccp_missed);

/* Readable when there is something to take. */
int kl_inputs_fd(const struct kl_inputs *in);

/* Whose MAC addresses these are. */
void kl_inputs_identify(struct kl_inputs *in, const struct kl_session *session);
/* Its server is one that somebody talks to. */
void kl_inputs_meet(struct kl_inputs *in, const struct kl_session *session);
/* Before a session is forgotten. */
void kl_inputs_forget(struct kl_inputs *in, const struct kl_session *session);

/* Interfaces came back, went away or were renamed. */
void kl_inputs_interfaces(struct kl_inputs *in);

/* Takes what came, without waiting. */
void kl_inputs_drain(struct kl_inputs *in, uint64_t now_ns);
/* Alarms that were held back are decided: nothing more comes. */
void kl_inputs_finish(struct kl_inputs *in, uint64_t now_ns);
/* All ARP conflicts, as they are now. */
void kl_inputs_conflicts(struct kl_inputs *in);

/* Why did the kernel drop this copy, seen last at sighted_ns? NULL: it did not say. */
const struct kl_drop *kl_inputs_drop(struct kl_inputs *in, const struct kl_endpoints *ends,
				     uint32_t direction, uint32_t seq, uint32_t length,
				     uint64_t sighted_ns, uint64_t to_ns);

/*
 * Drops in queues and filters behind the hooks where segments leave, that explained no loss: in
 * *ret, for the caller to free. -ENOMEM.
 */
int kl_inputs_drops_behind(const struct kl_inputs *in, struct kl_drop **ret, size_t *ret_count);

/* Which sources there are, into the evidence's has_…. */
void kl_inputs_describe(const struct kl_inputs *in, struct kl_evidence *ret);

enum {
	KL_INPUT_REMARKS = 16,
	KL_INPUT_REMARK = 400,
};

/* Sentences about what could not be used or was not understood. Returns how many. */
size_t kl_inputs_remarks(const struct kl_inputs *in, char ret[KL_INPUT_REMARKS][KL_INPUT_REMARK]);
