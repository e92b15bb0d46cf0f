/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A scene: phones that keep in touch with a server, and a diagnosis that is told of it by stories
 * and losses, as a live run would tell it. Tests say which copy is lost and where; the scene keeps
 * the phones' silence and sends again what was lost. Shared by unit tests and random histories.
 */
#pragma once

#include "core/diagnosis.h"
#include "core/findings.h"
#include "history/history.h"
#include "util/duration.h"

#define SCENE_MS 1000000ULL
#define SCENE_S KL_NS_PER_S
#define SCENE_START (5000 * SCENE_S)

enum {
	SCENE_PHONES = 256,
	SCENE_TICK = 500,
	SCENE_DELIVERED = KL_WHERES, /* a fate, beside enum kl_where */
};

/* A copy that is about to be sent. */
struct scene_copy {
	uint64_t time_ns;
	uint64_t idle_ns; /* how long the phone has been silent */
	uint32_t phone;
	uint32_t direction;
	uint32_t length;
	unsigned again; /* 0: the first copy */
};

struct scene;
/* Where the copy is lost; SCENE_DELIVERED: it is not. */
typedef int (*scene_fate)(struct scene *s, const struct scene_copy *c);

struct scene_phone {
	struct kl_session *session;
	uint64_t period_ns;
	uint64_t last_ns; /* its last frame; 0: none */
	uint32_t length;  /* of its keepalives */
	uint32_t seq[KL_DIRECTIONS];
};

struct scene {
	struct kl_diagnosis d;
	struct kl_sessions *sessions;
	struct scene_phone phone[SCENE_PHONES];
	uint32_t phones;
	enum kl_idle_known idle_known;
	size_t drop; /* of the next loss between, as in struct kl_lost */
	scene_fate fate;
	void *arg;		    /* of the fate */
	struct kl_history *history; /* is told of stories and losses, too; NULL: none is */
	/* Every SCENE_TICK exchanges, where there is one. */
	void (*tick)(void *arg);
	void *tick_arg;
	uint32_t exchanged;
	uint64_t random;
	uint64_t lost[KL_WHERES]; /* copies */
	struct kl_finding finding[KL_CAUSES];
	size_t findings;
};

void scene_init(struct scene *s, uint64_t seed, scene_fate fate, void *arg);
void scene_done(struct scene *s);

/* One more phone; all of one server and one next hop, unless changed. */
struct scene_phone *scene_phone(struct scene *s, uint64_t period_ns, uint32_t length);
uint32_t scene_index(const struct scene *s, const struct scene_phone *p);

/*
 * A segment, sent again until it arrives or `tries` copies are lost; 0: the usual number. Returns
 * when it arrived, 0: never.
 */
uint64_t scene_send(struct scene *s, struct scene_phone *p, uint64_t time_ns, uint32_t direction,
		    uint32_t kind, uint32_t length, unsigned tries);
/* A keepalive and its answer. */
void scene_exchange(struct scene *s, struct scene_phone *p, uint64_t time_ns);
/* Keepalives of this phone, from one time to the other, each period. */
void scene_live(struct scene *s, struct scene_phone *p, uint64_t from_ns, uint64_t to_ns);
/* An end of the session. */
void scene_end(struct scene *s, struct scene_phone *p, uint64_t time_ns, enum kl_session_by by,
	       enum kl_session_how how, uint8_t ttl, uint8_t usual_ttl);
void scene_removal(struct scene *s, uint64_t time_ns, enum kl_mac_happening happening,
		   enum kl_mac_source source, const struct scene_phone *p);

/* Finishes the diagnosis and draws the conclusions. */
void scene_conclude(struct scene *s);
/* NULL: there is none. */
const struct kl_finding *scene_finding(const struct scene *s, enum kl_cause cause);
/* -1: there is none; else its confidence. */
int scene_confidence(const struct scene *s, enum kl_cause cause);
/* The figure of that name, of the finding's evidence; NaN: there is none. */
double scene_figure(const struct kl_finding *f, const char *name);
void scene_print(const struct scene *s);

double scene_random(struct scene *s); /* [0, 1) */
uint64_t scene_between(struct scene *s, uint64_t min, uint64_t max);
