// SPDX-License-Identifier: GPL-2.0-only
/* Roles, schedules and answers: what a first copy and an acknowledgement mean to a session. */
#include <string.h>

#include "core/session_state.h"

enum {
	BACKUP_AFTER = 3, /* keepalives that are acknowledged, and never one answered */
};

/*
 * How long what a gap held up may take to come through. It comes in bursts that overrun queues on
 * all sides: losses, but of the gap and of no place in particular.
 */
#define AFTER_GAP_NS (10000 * KL_NS_PER_MS)

/* Under TLS, of records closer than this none is a keepalive. */
#define TLS_INTERVAL_MIN_US 1000000

/* ---- Which of its segments are the session's keepalives? ---- */

/* A REGISTER says more than an OPTIONS, and that more than a ping. */
static unsigned weight(uint8_t kind)
{
	switch (kind) {
	case KL_SCCP_KEEPALIVE:
	case KL_SIP_REGISTER:
	case KL_SIP_REGISTER_BACKUP:
		return 3;
	case KL_SIP_OPTIONS:
		return 2;
	case KL_CRLF_PING:
		return 1;
	default:
		return 0;
	}
}

static bool is_register(uint8_t kind)
{
	return kind == KL_SIP_REGISTER || kind == KL_SIP_REGISTER_BACKUP;
}

bool kl_session_is_keepalive(const struct kl_session *s, uint8_t kind, uint32_t len)
{
	if (kind == KL_TLS_RECORD)
		return s->tls_len && len == s->tls_len;
	return kind == s->kind || (is_register(kind) && is_register(s->kind));
}

static void choose_kind(struct kl_session *session, uint8_t kind)
{
	if (weight(kind) <= weight(session->kind) &&
	    !(is_register(kind) && is_register(session->kind)))
		return;
	if (weight(kind) > weight(session->kind))
		kl_schedule_init(&session->schedule, is_register(kind));
	session->kind = kind;
	if (kind == KL_SIP_REGISTER_BACKUP)
		session->role = KL_ROLE_BACKUP;
}

/* A size that comes back at the same interval, twice, is taken for the keepalive. */
static void learn_tls(struct kl_node *n, const struct kl_event *e)
{
	struct kl_session *session = &n->session;
	uint64_t interval_us, before_us;
	int slot = 0;

	if (session->tls_len)
		return;
	for (int i = 0; i < 2; i++) {
		if (n->tls_len[i] == e->payload_len) {
			slot = i;
			break;
		}
		if (n->tls_ns[i] < n->tls_ns[slot])
			slot = i;
	}
	if (n->tls_len[slot] != e->payload_len) {
		n->tls_len[slot] = e->payload_len;
		n->tls_ns[slot] = e->time_ns;
		n->tls_interval_us[slot] = 0;
		return;
	}
	interval_us = (e->time_ns - n->tls_ns[slot]) / KL_NS_PER_US;
	before_us = n->tls_interval_us[slot];
	n->tls_ns[slot] = e->time_ns;
	if (interval_us < TLS_INTERVAL_MIN_US || interval_us > UINT32_MAX) {
		n->tls_interval_us[slot] = 0;
		return;
	}
	n->tls_interval_us[slot] = (uint32_t)interval_us;
	if (!before_us || interval_us * 10 > before_us * 11 || interval_us * 10 < before_us * 9)
		return;
	memset(n->tls_ns, 0, sizeof(n->tls_ns));
	memset(n->tls_len, 0, sizeof(n->tls_len));
	memset(n->tls_interval_us, 0, sizeof(n->tls_interval_us));
	session->tls_len = e->payload_len;
	session->kind = KL_TLS_RECORD;
	session->probable = true;
	kl_schedule_init(&session->schedule, false);
}

/* ---- First copies ---- */

/* What became of the keepalive before this one? */
static void close_last_keepalive(struct kl_node *n)
{
	struct kl_session *session = &n->session;
	const struct kl_last *last = &n->flow[KL_TO_CUCM].last;

	if (!n->answer_due_ns)
		return;
	n->answer_due_ns = 0;
	if (last->acked)
		session->acknowledged_only++;
	else
		session->unacknowledged++;
	if (session->role == KL_ROLE_UNKNOWN && session->kind == KL_SCCP_KEEPALIVE &&
	    !session->answered && session->acknowledged_only >= BACKUP_AFTER)
		session->role = KL_ROLE_BACKUP;
}

static void remember(const struct kl_node *n, struct kl_flow_story *f, const struct kl_event *e)
{
	f->before = f->last;
	f->last = (struct kl_last){
		.time_ns = e->time_ns,
		.seq = e->seq,
		.len = e->payload_len,
		.missed = e->missed,
		.peer_missed = e->peer_missed,
		.kind = e->kind,
		.heard = n->heard,
	};
}

static void see_keepalive(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_session *session = &n->session;
	struct kl_schedule_seen seen;

	close_last_keepalive(n);
	kl_schedule_see(&session->schedule, e->time_ns, kl_loss_is_numbered(n, e), &seen);
	session->keepalives++;
	kl_loss_first_copy(s, n, e, &seen);
	remember(n, &n->flow[KL_TO_CUCM], e);
	n->answer_due_ns = e->time_ns;
	if (seen.new_period) {
		struct kl_story story = kl_story_of(n, KL_STORY_PERIOD, e->time_ns);

		kl_tell(s, &story);
	}
}

static bool answers(const struct kl_session *session, uint8_t kind)
{
	switch (kind) {
	case KL_SCCP_KEEPALIVE_ACK:
		return session->kind == KL_SCCP_KEEPALIVE;
	case KL_SIP_RESPONSE:
		return is_register(session->kind) || session->kind == KL_SIP_OPTIONS;
	case KL_CRLF_PONG:
		return session->kind == KL_CRLF_PING;
	case KL_TLS_RECORD:
		return session->kind == KL_TLS_RECORD;
	default:
		return false;
	}
}

/* The last keepalive reached the server: acknowledged, answered, or both. */
static void got_through(struct kl_node *n, const struct kl_event *e)
{
	struct kl_last *last = &n->flow[KL_TO_CUCM].last;

	if (last->got_through || !kl_session_is_keepalive(&n->session, last->kind, last->len))
		return;
	last->got_through = true;
	n->session.ok_ns = e->time_ns;
	kl_forecast_got_through(n);
	/* Behind a gap all is well again once one keepalive goes as it should. */
	if (n->gap_ns && e->time_ns > n->gap_ns + AFTER_GAP_NS &&
	    !kl_episode_of(&n->flow[KL_TO_CUCM], last->seq, last->len))
		n->gap_ns = 0;
}

static void see_answer(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_session *session = &n->session;

	kl_loss_first_copy(s, n, e, NULL);
	remember(n, &n->flow[KL_TO_PHONE], e);
	if (!n->answer_due_ns || !answers(session, e->kind))
		return;
	kl_answers_add(&session->answers, kl_since(e->time_ns, n->answer_due_ns) / KL_NS_PER_US,
		       session->schedule.period_us);
	got_through(n, e);
	n->answer_due_ns = 0;
	session->answered++;
	if (session->kind != KL_SIP_REGISTER_BACKUP)
		session->role = KL_ROLE_PRIMARY;
}

void kl_session_segment(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_session *session = &n->session;

	if (e->direction == KL_TO_PHONE) {
		see_answer(s, n, e);
		return;
	}
	if (e->kind == KL_TLS_RECORD)
		learn_tls(n, e);
	else
		choose_kind(session, e->kind);
	if (kl_session_is_keepalive(session, e->kind, e->payload_len))
		see_keepalive(s, n, e);
	else if (e->kind != KL_TCP_PROBE && e->kind != KL_TCP_PROBE_ACK)
		remember(n, &n->flow[KL_TO_CUCM], e);
}

/* ---- Acknowledgements ---- */

void kl_session_note(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	struct kl_flow_story *acked = &n->flow[(e->direction & 1) ^ 1];
	struct kl_last *last = &acked->last;

	/* What is told of its payload, or of its end, is told beside. */
	if (e->type == KL_EVENT_OPEN || e->type == KL_EVENT_CLOSE || e->type == KL_EVENT_PAYLOAD)
		return;
	kl_loss_order(n, e);
	if (e->note & KL_NOTE_ACKS) {
		if (last->time_ns && last->seq + last->len == e->joined_end) {
			last->acked = true;
			if (e->direction == KL_TO_PHONE)
				got_through(n, e);
			if (e->direction == KL_TO_PHONE &&
			    !kl_episode_of(acked, last->seq, last->len))
				n->clean_sample = true;
		}
	}
	kl_loss_heard(s, n, e);
}

/* ---- What the messages say ---- */

void kl_session_message(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
			const struct kl_message *message)
{
	struct kl_session *session = &n->session;
	struct kl_story story = kl_story_of(n, KL_STORY_REGISTERED, e->time_ns);

	switch (message->type) {
	case KL_MESSAGE_REGISTER:
		session->leaves = false;
		break;
	case KL_MESSAGE_ALARM:
		memcpy(session->failure, message->failure, sizeof(session->failure));
		break;
	case KL_MESSAGE_UNREGISTER:
	case KL_MESSAGE_REJECTED:
		session->leaves = true;
		break;
	case KL_MESSAGE_REGISTERED:
		if (message->keepalive_s) {
			if (session->kind == KL_OTHER)
				choose_kind(session, KL_SCCP_KEEPALIVE);
			kl_schedule_told(&session->schedule, message->keepalive_s,
					 message->secondary_keepalive_s);
			/* The first keepalive counts from here. */
			kl_schedule_anchor(&session->schedule, e->time_ns);
		} else if (message->expires_s > 2 * KL_SIP_DELTA_S) {
			session->expires_s = message->expires_s;
			kl_schedule_told(&session->schedule, message->expires_s - KL_SIP_DELTA_S,
					 0);
		}
		session->leaves = false;
		session->ok_ns = e->time_ns;
		if (!session->registered_ns) {
			session->registered_ns = e->time_ns;
			kl_tell(s, &story);
		}
		break;
	default:
		break;
	}
}
