// SPDX-License-Identifier: GPL-2.0-only
/* scene.h */
#include "scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RTO_NS (200 * SCENE_MS)

enum {
	TRIES = 8,
	ANSWER_LENGTH = 12,
};

/* (There is nothing to go on with.) */
static void must(int r)
{
	if (r) {
		fprintf(stderr, "scene: %s\n", strerror(-r));
		abort();
	}
}

double scene_random(struct scene *s)
{
	s->random = s->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (double)(s->random >> 11) / 9007199254740992.0;
}

uint64_t scene_between(struct scene *s, uint64_t min, uint64_t max)
{
	return min + (uint64_t)(scene_random(s) * (double)(max - min));
}

void scene_init(struct scene *s, uint64_t seed, scene_fate fate, void *arg)
{
	const struct kl_sessions_config config = { .two_sided = true };

	*s = (struct scene){ .fate = fate,
			     .arg = arg,
			     .idle_known = KL_IDLE_ALL,
			     .random = seed * 0x9e3779b97f4a7c15ULL + 1 };
	must(kl_sessions_new(&config, &s->sessions));
	s->d.sessions = s->sessions;
	s->d.two_sided = true;
	s->d.evidence.has_drops = true;
	for (int i = 0; i < 8; i++)
		scene_random(s);
}

void scene_done(struct scene *s)
{
	kl_diagnosis_done(&s->d);
	kl_sessions_free(s->sessions);
}

struct scene_phone *scene_phone(struct scene *s, uint64_t period_ns, uint32_t length)
{
	uint32_t n = s->phones++;
	struct kl_conn conn = {
		.ends = { .phone = { 0x0a010000 + n },
			  .cucm = { 0x0a020001 },
			  .phone_port = 50000,
			  .cucm_port = 2000,
			  .family = 4 },
		.phone_mac = { 0, 0x24, 0x14, 0, 0, (uint8_t)n },
	};
	struct scene_phone *p = &s->phone[n];
	bool one_way;

	must(kl_sessions_meet(s->sessions, n + 1, &conn, SCENE_START, &one_way));
	/* What events would have taught the session. */
	p->session = (struct kl_session *)kl_sessions_find(s->sessions, n + 1);
	p->session->schedule.period_us = period_ns / 1000;
	p->session->keepalives = 1;
	memcpy(p->session->next_mac, (uint8_t[]){ 2, 0, 0, 0, 2, 1 }, 6);
	p->period_ns = period_ns;
	p->length = length;
	return p;
}

uint32_t scene_index(const struct scene *s, const struct scene_phone *p)
{
	return (uint32_t)(p - s->phone);
}

/* ---- Telling ---- */

static struct kl_story story_of(const struct scene *s, const struct scene_phone *p,
				const struct scene_copy *c, uint32_t kind, enum kl_story_type type)
{
	return (struct kl_story){
		.type = type,
		.time_ns = c->time_ns,
		.session = p->session,
		.direction = c->direction,
		.kind = kind,
		.seq = p->seq[c->direction],
		.length = c->length,
		.copies = { 1, 1 },
		.idle_ns = c->idle_ns,
		.idle_known = p->last_ns ? s->idle_known : KL_IDLE_UNKNOWN,
	};
}

static void tell_story(struct scene *s, const struct kl_story *story)
{
	must(kl_diagnosis_story(&s->d, story));
	if (s->history)
		kl_history_story(s->history, story, NULL);
}

static void tell_lost(struct scene *s, struct scene_phone *p, const struct scene_copy *c,
		      uint32_t kind, int where)
{
	struct kl_story story = story_of(s, p, c, kind, KL_STORY_LOSS);
	struct kl_lost lost = {
		.time_ns = c->time_ns,
		.conn_id = p->session->id,
		.ends = p->session->ends,
		.where = KL_BETWEEN,
		.direction = (uint8_t)c->direction,
		.kind = (uint8_t)kind,
		.seq = p->seq[c->direction],
		.length = c->length,
		.copies = { c->again + 1, c->again + 1 },
		.drop = s->drop,
	};

	s->lost[where]++;
	p->session->lost[c->direction][where]++;
	if (where == KL_BETWEEN) {
		s->d.total.kind[c->direction][kind].lost_between++;
		must(kl_diagnosis_lost(&s->d, &lost));
		if (s->history)
			kl_history_lost(s->history, &lost,
					lost.drop ? &s->d.evidence.drop.item[lost.drop - 1] : NULL);
		return;
	}
	story.where = (enum kl_where)where;
	tell_story(s, &story);
}

static bool is_before_near_side(const struct scene_copy *c, int fate)
{
	return fate == (c->direction == KL_TO_CUCM ? KL_PHONE_SIDE : KL_CUCM_SIDE);
}

uint64_t scene_send(struct scene *s, struct scene_phone *p, uint64_t time_ns, uint32_t direction,
		    uint32_t kind, uint32_t length, unsigned tries)
{
	uint64_t unseen_ns = 0, rto_ns = RTO_NS, before_ns = 0;

	for (unsigned again = 0; again < (tries ?: TRIES); again++) {
		struct scene_copy c = {
			.time_ns = time_ns,
			.idle_ns = p->last_ns ? time_ns - p->last_ns : 0,
			.phone = scene_index(s, p),
			.direction = direction,
			.length = length,
			.again = again,
		};
		int fate = s->fate(s, &c);
		struct kl_story story = story_of(
			s, p, &c, kind, again ? KL_STORY_RETRANSMISSION : KL_STORY_SEGMENT);

		if (is_before_near_side(&c, fate)) {
			/* Of several only the first is placed in time. */
			if (!unseen_ns)
				unseen_ns = time_ns;
			tell_lost(s, p, &c, kind, fate);
		} else {
			story.inferred = unseen_ns && !before_ns;
			story.late_ns = story.inferred ? time_ns - unseen_ns : 0;
			story.gap_ns = before_ns ? time_ns - before_ns : 0;
			tell_story(s, &story);
			s->d.total.kind[direction][kind].sent++;
			before_ns = time_ns;
			if (fate != SCENE_DELIVERED)
				tell_lost(s, p, &c, kind, fate);
		}
		if (direction == KL_TO_CUCM)
			p->last_ns = time_ns;
		if (fate == SCENE_DELIVERED) {
			s->d.total.kind[direction][kind].delivered++;
			p->seq[direction] += length;
			return time_ns;
		}
		time_ns += rto_ns;
		rto_ns *= 2;
	}
	p->seq[direction] += length;
	return 0;
}

void scene_exchange(struct scene *s, struct scene_phone *p, uint64_t time_ns)
{
	bool sip = p->length > 100;
	uint64_t came_ns = scene_send(s, p, time_ns, KL_TO_CUCM,
				      sip ? KL_SIP_REGISTER : KL_SCCP_KEEPALIVE, p->length, 0);

	p->session->keepalives++;
	if (s->tick && !(++s->exchanged % SCENE_TICK))
		s->tick(s->tick_arg);
	if (!came_ns)
		return;
	came_ns = scene_send(s, p, came_ns + 2 * SCENE_MS, KL_TO_PHONE,
			     sip ? KL_SIP_RESPONSE : KL_SCCP_KEEPALIVE_ACK,
			     sip ? p->length - 253 : ANSWER_LENGTH, 0);
	/* It acknowledges. */
	if (came_ns)
		p->last_ns = came_ns + SCENE_MS;
}

void scene_live(struct scene *s, struct scene_phone *p, uint64_t from_ns, uint64_t to_ns)
{
	for (uint64_t t = from_ns; t < to_ns; t += p->period_ns)
		scene_exchange(s, p, t);
}

void scene_end(struct scene *s, struct scene_phone *p, uint64_t time_ns, enum kl_session_by by,
	       enum kl_session_how how, uint8_t ttl, uint8_t usual_ttl)
{
	const struct kl_story story = {
		.type = KL_STORY_STOP,
		.time_ns = time_ns,
		.session = p->session,
		.by = by,
		.how = how,
		.ttl = ttl,
		.usual_ttl = usual_ttl,
	};

	tell_story(s, &story);
}

void scene_removal(struct scene *s, uint64_t time_ns, enum kl_mac_happening happening,
		   enum kl_mac_source source, const struct scene_phone *p)
{
	struct kl_mac_evidence m = {
		.time_ns = time_ns,
		.earliest_ns = time_ns,
		.happening = (uint8_t)happening,
		.source = (uint8_t)source,
		.has_mac = p != NULL,
		.port = "Gi0/7",
		.told_by = "sw1",
	};

	if (p)
		memcpy(m.mac, p->session->mac, sizeof(m.mac));
	must(kl_evidence_mac(&s->d.evidence, &m));
}

/* ---- What comes of it ---- */

void scene_conclude(struct scene *s)
{
	kl_diagnosis_finish(&s->d);
	if (kl_findings(&s->d, s->finding, &s->findings))
		abort();
}

const struct kl_finding *scene_finding(const struct scene *s, enum kl_cause cause)
{
	for (size_t i = 0; i < s->findings; i++) {
		if (s->finding[i].cause == cause)
			return &s->finding[i];
	}
	return NULL;
}

int scene_confidence(const struct scene *s, enum kl_cause cause)
{
	const struct kl_finding *f = scene_finding(s, cause);

	return f ? (int)f->confidence : -1;
}

double scene_figure(const struct kl_finding *f, const char *name)
{
	for (size_t i = 0; f && i < f->evidence_count; i++) {
		for (size_t k = 0; k < f->evidence[i].figure_count; k++) {
			if (!strcmp(f->evidence[i].figure[k].name, name))
				return f->evidence[i].figure[k].value;
		}
	}
	return NAN;
}

void scene_print(const struct scene *s)
{
	for (size_t i = 0; i < s->findings; i++) {
		const struct kl_finding *f = &s->finding[i];

		fprintf(stderr, "%s %s%s: %llu phones, %llu losses (%llu own)\n  %s\n",
			kl_cause_name(f->cause), kl_confidence_name(f->confidence),
			f->fault ? "" : " (no fault)", (unsigned long long)f->phones,
			(unsigned long long)f->losses, (unsigned long long)f->own_losses,
			f->explanation);
		for (size_t e = 0; e < f->evidence_count; e++)
			fprintf(stderr, "  %s: %s\n", f->evidence[e].against ? "against" : "for",
				f->evidence[e].text);
		fprintf(stderr, "  remedy: %s\n", f->remedy);
	}
}
