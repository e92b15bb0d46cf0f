/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server's alarms, joined to the sessions: whose alarm it is, and whether that phone lost
 * keepalives shortly before. Pure; told the time.
 *
 * An alarm is held for a while before it is decided, since a loss is judged up to a second after
 * it was. All alarms that are due are decided in one walk over the sessions, so that a flood of
 * them costs no more than a few. Of more than KL_UNREGISTRATIONS_HELD the older half is decided
 * early. Each goes to the handler exactly once, in the order in which they came.
 *
 * A server gives a phone up when its connection may be gone for long: sessions that lost something
 * are to be shown to kl_unregistrations_gone() before they are forgotten, and the last
 * KL_UNREGISTRATIONS_GONE of them count as well.
 *
 * Whose it is: the session of that device name; else, of the sessions whose device is not known,
 * that of the MAC in the name (SEP and 12 digits), else that of the address. Of several (primary
 * and backup, the old connection and the new one) the one that lost something last.
 *
 * A struct kl_unregistrations owns the alarms that it holds.
 */
#pragma once

#include "core/diagnosis.h"
#include "core/evidence.h"
#include "core/session.h"

enum {
	KL_UNREGISTRATIONS_HELD = 4096,
	KL_UNREGISTRATIONS_GONE = 4096,
};

#define KL_UNREGISTRATION_HOLD_NS (2000 * KL_NS_PER_MS)
/* No walk over the sessions follows another one sooner, but where there is no room. */
#define KL_UNREGISTRATION_WALK_NS (500 * KL_NS_PER_MS)
/* A loss may be known to the phone and the server only so much later than the rules say. */
#define KL_UNREGISTRATION_SLACK_NS (60 * 1000 * KL_NS_PER_MS)
/* Where the period of the keepalives is not known. */
#define KL_UNREGISTRATION_PERIOD_NS (120 * 1000 * KL_NS_PER_MS)

typedef void (*kl_alarm_handler)(const struct kl_alarm *a, void *arg);

struct kl_unregistrations_config {
	uint64_t sip_grace_ns; /* 0: KL_SIP_GRACE_NS */
	uint32_t sccp_missed;  /* 0: KL_SCCP_MISSED_MAX */
	kl_alarm_handler handler;
	void *arg;
};

struct kl_unregistrations;

int kl_unregistrations_new(const struct kl_unregistrations_config *config,
			   struct kl_unregistrations **ret);
void kl_unregistrations_free(struct kl_unregistrations *u); /* NULL is fine */
static inline void kl_unregistrations_freep(struct kl_unregistrations **u)
{
	kl_unregistrations_free(*u);
}

/* As kl_sessions_set_patience(). */
void kl_unregistrations_set_patience(struct kl_unregistrations *u, uint64_t sip_grace_ns,
				     uint32_t sccp_missed);

/* Takes a copy, to be decided. alarm->time_ns is of the sessions' clock. */
void kl_unregistrations_add(struct kl_unregistrations *u, const struct kl_sessions *s,
			    const struct kl_alarm *alarm);

/* Decides what was held for long enough at now_ns; UINT64_MAX: all of it. */
void kl_unregistrations_settle(struct kl_unregistrations *u, const struct kl_sessions *s,
			       uint64_t now_ns);

/* This session is about to be forgotten. */
void kl_unregistrations_gone(struct kl_unregistrations *u, const struct kl_session *session);

/*
 * Afterwards, where all losses are known: alarms of any time, each with the losses of its phone
 * before it (losses: those alone) and the session that lost the last of them. config: the server's
 * patience alone. -ENOMEM.
 */
int kl_unregistrations_match_lost(const struct kl_unregistrations_config *config,
				  const struct kl_sessions *s, const struct kl_lost *lost,
				  size_t lost_count, struct kl_alarm *alarm, size_t alarm_count);
