/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A diagnosis made by hand, piece by piece, for tests of reports. Its own clock starts at
 * MADE_CLOCK_NS, as if it were the monotonic one of a host that has run for a day. What cannot be
 * made ends the program. made_done() frees it all.
 */
#pragma once

#include "report/report.h"
#include "util/duration.h"

#define MADE_CLOCK_NS (86400 * KL_NS_PER_S)
#define MADE_MS (1000000ULL)

struct made {
	struct kl_sessions *sessions;
	struct kl_diagnosis d;
	struct kl_finding findings[KL_CAUSES];
	size_t finding_count;
	uint64_t random;
};

/* r is negative: that is the end. */
void made_must(int r);
uint64_t made_random_below(struct made *m, uint64_t bound);

/* A connection of the phone with this number. device: NULL: not known. */
struct kl_session *made_session(struct made *m, unsigned phone, bool backup, const char *device);
void made_observe(struct made *m, uint64_t time_ns, uint64_t session, uint8_t direction,
		  bool again);
/* Keepalives and answers of a session for so long, as a phone sends them. */
void made_talk(struct made *m, struct kl_session *s, uint64_t from_ns, uint64_t until_ns,
	       uint64_t period_ms, bool answers);
struct kl_lost *made_loss(struct made *m, uint64_t time_ns, const struct kl_session *s);
/* phone: -1: of the whole table. */
void made_mac_event(struct made *m, uint64_t time_ns, int phone, enum kl_mac_happening happening,
		    const char *port);
void made_alarm(struct made *m, uint64_t time_ns, const struct kl_session *s, uint64_t losses);
void made_ending(struct made *m, uint64_t time_ns, const struct kl_session *s,
		 enum kl_session_how how);
struct kl_finding *made_finding(struct made *m, enum kl_cause cause, enum kl_confidence confidence,
				const char *explanation, const char *remedy);
struct kl_finding_evidence *made_evidence(struct kl_finding *f, const char *text, bool against);

/* What kl_diagnosis_finish() would have done. */
void made_finish(struct made *m);
void made_done(struct made *m);
