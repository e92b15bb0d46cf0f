// SPDX-License-Identifier: GPL-2.0-only
#include "core/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/session_rest.h"
#include "core/session_state.h"

/* How long a connection may be seen in one direction before that says something. */
#define ONE_WAY_NS (2000 * KL_NS_PER_MS)

enum {
	/* What is told of a keepalive comes while fewer others send theirs. */
	AWAKE_USUALLY = 64,
};

const char *kl_role_name(enum kl_role role)
{
	static const char *const names[] = { "unknown", "primary", "backup" };

	return names[role];
}

const char *kl_where_name(enum kl_where where)
{
	static const char *const names[] = { "between", "phone_side", "cucm_side", "unknown" };

	return names[where];
}

const char *kl_forecast_state_name(enum kl_forecast_state state)
{
	static const char *const names[KL_FORECAST_STATES] = { "expected", "changed", "withdrawn",
							       "came_true", "did_not" };

	return names[state];
}

int kl_sessions_new(const struct kl_sessions_config *config, struct kl_sessions **ret)
{
	struct kl_sessions *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->config = *config;
	if (!s->config.sip_grace_ns)
		s->config.sip_grace_ns = KL_SIP_GRACE_NS;
	if (!s->config.sccp_missed)
		s->config.sccp_missed = KL_SCCP_MISSED_MAX;
	if (kl_phones_new(&s->phones) ||
	    kl_table_new(config->awake ? config->awake : AWAKE_USUALLY, &s->table)) {
		kl_sessions_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void kl_sessions_set_patience(struct kl_sessions *s, uint64_t sip_grace_ns, uint32_t sccp_missed)
{
	s->config.sip_grace_ns = sip_grace_ns;
	s->config.sccp_missed = sccp_missed;
}

void kl_sessions_free(struct kl_sessions *s)
{
	if (!s)
		return;
	kl_table_free(s->table);
	kl_phones_free(s->phones);
	free(s);
}

/* ---- What is waited for ---- */

static struct kl_chain *wheel_of(struct kl_sessions *s, uint64_t wake_ns)
{
	return &s->wheel[wake_ns / KL_WHEEL_TICK_NS % KL_WHEEL_SLOTS];
}

static void stop_waiting(struct kl_sessions *s, uint32_t place)
{
	struct kl_place *p = kl_table_at(s->table, place);

	if (!p->wake_ns)
		return;
	kl_chain_remove(s->table, wheel_of(s, p->wake_ns), KL_BY_WAKE, place);
	p->wake_ns = 0;
}

/* Beyond the wheel's reach, it is looked at in between and waits on. */
static void wait_until(struct kl_sessions *s, uint32_t place, uint64_t wake_ns)
{
	uint64_t reach_ns = s->wheel_ns + (KL_WHEEL_SLOTS - 2) * KL_WHEEL_TICK_NS;

	stop_waiting(s, place);
	if (!wake_ns)
		return;
	if (wake_ns < s->wheel_ns)
		wake_ns = s->wheel_ns;
	if (wake_ns > reach_ns)
		wake_ns = reach_ns;
	kl_table_at(s->table, place)->wake_ns = wake_ns;
	kl_chain_append(s->table, wheel_of(s, wake_ns), KL_BY_WAKE, place);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static void wait_again(struct kl_sessions *s, struct kl_node *n)
{
	wait_until(s, n->place, earlier(kl_forecast_wake_ns(s, n), kl_loss_wake_ns(n)));
}

static void look(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns)
{
	kl_loss_settle(s, n, now_ns);
	kl_forecast_look(s, n, now_ns);
	wait_again(s, n);
}

static void wake_up(struct kl_sessions *s, uint32_t place, uint64_t wake_ns, uint64_t now_ns)
{
	struct kl_node *n = wake_ns <= now_ns ? kl_table_wake(s->table, place) : NULL;

	if (n)
		look(s, n, now_ns);
	else /* Without memory it is judged later. */
		wait_until(s, place, wake_ns <= now_ns ? now_ns + KL_WHEEL_TICK_NS : wake_ns);
}

void kl_sessions_advance(struct kl_sessions *s, uint64_t now_ns)
{
	uint64_t slots = 0;

	if (!s->wheel_ns || now_ns > s->wheel_ns + KL_WHEEL_SLOTS * KL_WHEEL_TICK_NS)
		slots = KL_WHEEL_SLOTS; /* the clock jumped, or starts: all of them */
	else if (now_ns > s->wheel_ns)
		slots = now_ns / KL_WHEEL_TICK_NS - s->wheel_ns / KL_WHEEL_TICK_NS + 1;
	for (uint64_t i = 0; i < slots && i < KL_WHEEL_SLOTS; i++) {
		uint64_t slot = s->wheel_ns / KL_WHEEL_TICK_NS + i;
		struct kl_chain *due = &s->wheel[slot % KL_WHEEL_SLOTS];
		uint32_t place = due->first;

		/* What is not due yet goes back, perhaps into this very slot. */
		*due = (struct kl_chain){};
		while (place) {
			struct kl_place *p = kl_table_at(s->table, place);
			uint32_t next = p->link[KL_BY_WAKE].after;
			uint64_t wake_ns = p->wake_ns;

			p->wake_ns = 0;
			wake_up(s, place, wake_ns, now_ns);
			place = next;
		}
	}
	if (now_ns > s->wheel_ns)
		s->wheel_ns = now_ns;
}

/* ---- The table ---- */

static int count_phone(struct kl_sessions *s, const struct kl_session *session, int by)
{
	return kl_phones_count_session(s->phones, &session->ends, session->device, by);
}

static void leave(struct kl_sessions *s, const struct kl_session *session)
{
	if (s->config.leaves)
		s->config.leaves(session, s->config.arg);
}

static void drop(struct kl_sessions *s, uint32_t place)
{
	struct kl_node scratch;
	const struct kl_session *session = &kl_table_look(s->table, place, &scratch)->session;

	leave(s, session);
	if (!session->closed_ns)
		count_phone(s, session, -1);
	stop_waiting(s, place);
	kl_table_remove(s->table, place);
}

/* It makes room. */
static void evict(struct kl_sessions *s, uint32_t place)
{
	struct kl_node scratch;

	if (!kl_table_look(s->table, place, &scratch)->session.closed_ns)
		s->evicted++;
	drop(s, place);
}

struct kl_node *kl_sessions_wake(struct kl_sessions *s, uint32_t place)
{
	struct kl_node *n = place ? kl_table_wake(s->table, place) : NULL;

	if (place && !n)
		evict(s, place);
	return n;
}

const struct kl_session *kl_sessions_find(const struct kl_sessions *s, uint64_t id)
{
	uint32_t place = kl_table_find(s->table, id);
	struct kl_node *n = place ? kl_table_pin(s->table, place) : NULL;

	return n ? &n->session : NULL;
}

const struct kl_session *kl_sessions_peek(const struct kl_sessions *s, uint64_t id)
{
	uint32_t place = kl_table_find(s->table, id);
	struct kl_node *n = place ? kl_table_wake(s->table, place) : NULL;

	return n ? &n->session : NULL;
}

static void clear(struct kl_node *n, uint64_t now_ns, uint64_t gap_ns)
{
	struct kl_session *session = &n->session;

	*session = (struct kl_session){
		.id = session->id,
		.ends = session->ends,
		.vlan = session->vlan,
		.start_ns = now_ns,
		.seen_ns = now_ns,
	};
	memset(n->flow, 0, sizeof(n->flow));
	memset(n->late, 0, sizeof(n->late));
	memset(n->tls_len, 0, sizeof(n->tls_len));
	n->growth = (struct kl_growth){};
	n->given_up_ns = 0;
	/* What is told late, of a time that is known to have a gap, has it from its start. */
	n->gap_ns = now_ns <= gap_ns ? gap_ns : 0;
	n->answer_due_ns = 0;
	n->clean_sample = false;
	n->heard = (struct kl_heard){};
	n->phone_ns = n->phone_before_ns = 0;
}

static struct kl_node *add(struct kl_sessions *s, uint64_t id, const struct kl_endpoints *ends,
			   uint64_t now_ns)
{
	struct kl_node *n;

	while (s->config.max && s->table->count >= s->config.max)
		evict(s, s->table->event.first);
	n = kl_table_add(s->table, id);
	if (!n)
		return NULL;
	n->session.ends = *ends;
	clear(n, now_ns, s->gap_ns);
	if (count_phone(s, &n->session, 1)) {
		kl_table_remove(s->table, n->place);
		return NULL;
	}
	return n;
}

void kl_sessions_remove(struct kl_sessions *s, uint64_t id)
{
	uint32_t place = kl_table_find(s->table, id);

	if (place)
		drop(s, place);
}

/* ---- Starts and ends ---- */

static void tell_start(struct kl_sessions *s, const struct kl_node *n)
{
	struct kl_story story = kl_story_of(n, KL_STORY_START, n->session.start_ns);

	story.by = n->session.from_syn ? KL_BY_PHONE : KL_BY_UNKNOWN;
	kl_tell(s, &story);
}

static int open_session(struct kl_sessions *s, struct kl_node **node, const struct kl_event *e)
{
	bool from_syn = e->tcp_flags & KL_SYN;
	struct kl_node *n = *node;

	if (n && !n->session.closed_ns && !from_syn)
		return 0; /* known by a walk already */
	if (n) {
		/* A new connection on old addresses: another SYN, perhaps after a lost FIN. */
		kl_loss_end(s, n);
		kl_forecast_end(s, n, e->time_ns, KL_BY_UNKNOWN);
		if (!n->session.closed_ns)
			count_phone(s, &n->session, -1);
		leave(s, &n->session);
		clear(n, e->time_ns, s->gap_ns);
		if (count_phone(s, &n->session, 1))
			return -ENOMEM;
	} else {
		n = *node = add(s, e->conn_id, &e->ends, e->time_ns);
		if (!n)
			return -ENOMEM;
	}
	n->session.from_syn = from_syn;
	return 1;
}

/* e: the FIN or RST; NULL: none was seen. */
static void end_session(struct kl_sessions *s, struct kl_node *n, uint64_t now_ns,
			enum kl_session_by by, enum kl_session_how how, const struct kl_event *e)
{
	struct kl_story story = kl_story_of(n, KL_STORY_STOP, now_ns);

	if (n->session.closed_ns)
		return;
	kl_loss_end(s, n);
	kl_forecast_end(s, n, now_ns, by);
	count_phone(s, &n->session, -1);
	n->session.closed_ns = now_ns;
	story.by = by;
	story.how = how;
	if (e) {
		story.ttl = e->ttl;
		story.usual_ttl = e->usual_ttl;
		story.first_side = e->side;
	}
	kl_tell(s, &story);
}

static void close_session(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e)
{
	end_session(s, n, e->time_ns, e->direction == KL_TO_CUCM ? KL_BY_PHONE : KL_BY_CUCM,
		    e->tcp_flags & KL_RST ? KL_HOW_RST : KL_HOW_FIN, e);
}

void kl_sessions_time_out(struct kl_sessions *s, uint64_t id, uint64_t now_ns)
{
	struct kl_node *node = kl_sessions_wake(s, kl_table_find(s->table, id));

	if (node)
		end_session(s, node, now_ns, KL_BY_UNKNOWN, KL_HOW_TIMEOUT, NULL);
}

/* The phone is counted by its name from now on. */
static int name_session(struct kl_sessions *s, struct kl_session *session, const char *device)
{
	if (!device[0] || !strcmp(device, session->device))
		return 0;
	if (!session->closed_ns)
		count_phone(s, session, -1);
	memcpy(session->device, device, sizeof(session->device));
	return session->closed_ns ? 0 : count_phone(s, session, 1);
}

static int learn(struct kl_sessions *s, struct kl_node *n, const struct kl_event *e,
		 const struct kl_message *message)
{
	if (name_session(s, &n->session, message->device))
		return -ENOMEM;
	kl_session_message(s, n, e, message);
	return 0;
}

/* ---- Events ---- */

/* Returns whether it is another one than before. */
static bool take_mac(uint8_t *to, const uint8_t *mac)
{
	static const uint8_t no_mac[6];

	if (!memcmp(mac, no_mac, sizeof(no_mac)) || !memcmp(mac, to, sizeof(no_mac)))
		return false;
	memcpy(to, mac, sizeof(no_mac));
	return true;
}

static void take_macs(struct kl_sessions *s, struct kl_session *session, const uint8_t *mac,
		      const uint8_t *next_mac)
{
	bool is_new = take_mac(session->mac, mac);

	is_new |= take_mac(session->next_mac, next_mac);
	if (is_new && s->config.identified)
		s->config.identified(session, s->config.arg);
}

static void identify(struct kl_sessions *s, struct kl_session *session, const struct kl_event *e)
{
	take_macs(s, session, e->phone_mac, e->next_mac);
	if (e->vlan)
		session->vlan = e->vlan;
}

/* A first copy, after all that was found out by it. */
static void tell_segment(struct kl_sessions *s, const struct kl_node *n, const struct kl_event *e)
{
	struct kl_story story = kl_story_of(n, KL_STORY_SEGMENT, e->time_ns);

	story.direction = e->direction;
	story.kind = e->kind;
	story.seq = e->seq;
	story.length = e->payload_len;
	story.copy = 1;
	kl_idle_tell(&story, &n->heard);
	kl_tell(s, &story);
}

static bool is_due(const struct kl_sessions *s, const struct kl_node *n, uint64_t now_ns)
{
	uint64_t wake_ns = kl_table_at(s->table, n->place)->wake_ns;

	return wake_ns && wake_ns <= now_ns;
}

/* It is the one that was heard last. */
static void move_last(struct kl_table *t, uint32_t place)
{
	if (t->event.last == place)
		return;
	kl_chain_remove(t, &t->event, KL_BY_EVENT, place);
	kl_chain_append(t, &t->event, KL_BY_EVENT, place);
}

static int feed(struct kl_sessions *s, const struct kl_event *e, const struct kl_message *message)
{
	uint32_t place = kl_table_find(s->table, e->conn_id);
	struct kl_node *n = kl_sessions_wake(s, place);
	int r = 0, opened = 0;

	if (place && !n)
		return -ENOMEM;
	if (e->type == KL_EVENT_OPEN || (!n && e->type != KL_EVENT_CLOSE)) {
		opened = open_session(s, &n, e);
		if (opened < 0)
			return opened;
	}
	if (!n)
		return 0;
	identify(s, &n->session, e);
	if (opened)
		tell_start(s, n);
	/* What was due before this event is judged by what was known before it. */
	if (is_due(s, n, e->time_ns))
		look(s, n, e->time_ns);
	if (e->time_ns > n->session.seen_ns)
		n->session.seen_ns = e->time_ns;
	move_last(s->table, n->place);
	if (n->session.closed_ns)
		return 0;

	kl_idle_hear(s, n, e);
	kl_session_note(s, n, e);
	if (e->type == KL_EVENT_SEGMENT || e->type == KL_EVENT_RETRANSMISSION)
		kl_idle_remember(n, e);
	switch (e->type) {
	case KL_EVENT_PAYLOAD:
		r = learn(s, n, e, message);
		break;
	case KL_EVENT_SEGMENT:
		kl_session_segment(s, n, e);
		break;
	case KL_EVENT_RETRANSMISSION:
		kl_loss_further_copy(s, n, e);
		break;
	case KL_EVENT_CLOSE:
		close_session(s, n, e);
		break;
	default:
		break;
	}
	if (!n->session.closed_ns)
		kl_forecast_look(s, n, e->time_ns);
	if (e->type == KL_EVENT_SEGMENT)
		tell_segment(s, n, e);
	wait_again(s, n);
	return r;
}

int kl_sessions_feed(struct kl_sessions *s, const struct kl_event *e, const uint8_t *payload,
		     size_t len)
{
	struct kl_message message;

	if (e->type != KL_EVENT_PAYLOAD)
		return feed(s, e, NULL);
	kl_read_message(payload, len, &message);
	return feed(s, e, &message);
}

int kl_sessions_learn(struct kl_sessions *s, const struct kl_event *e,
		      const struct kl_message *message)
{
	return feed(s, e, message);
}

static void forget_open_matters(struct kl_node *n)
{
	for (int d = 0; d < KL_DIRECTIONS; d++) {
		memset(n->flow[d].episode, 0, sizeof(n->flow[d].episode));
		n->flow[d].last.time_ns = n->flow[d].before.time_ns = 0;
		n->flow[d].hole = (struct kl_hole){};
	}
	n->phone_ns = n->phone_before_ns = 0;
	memset(n->late, 0, sizeof(n->late));
	n->growth = (struct kl_growth){};
	n->answer_due_ns = 0;
	kl_schedule_gap(&n->session.schedule);
}

static void take_gap(struct kl_sessions *s, struct kl_node *n)
{
	forget_open_matters(n);
	n->gap_ns = s->gap_ns;
	/* It is not known what reached the server meanwhile: nothing is held to be overdue. */
	if (n->session.ok_ns)
		n->session.ok_ns = s->gap_ns;
	kl_forecast_gap(s, n, s->gap_ns);
	wait_again(s, n);
}

void kl_sessions_gap(struct kl_sessions *s, uint64_t now_ns)
{
	uint32_t place = s->table->beginning.first;

	s->gap_ns = now_ns;
	while (place) {
		uint32_t next = kl_table_at(s->table, place)->link[KL_BY_BEGINNING].after;
		struct kl_node *n = kl_sessions_wake(s, place);

		if (n)
			take_gap(s, n);
		place = next;
	}
}

static bool is_seen(const struct kl_flow *f)
{
	return kl_flow_is_seen(f, KL_ACCESS) || kl_flow_is_seen(f, KL_CUCM);
}

static bool is_one_way(const struct kl_conn *conn)
{
	return conn->seen_ns > conn->created_ns + ONE_WAY_NS &&
	       is_seen(&conn->flow[KL_TO_CUCM]) != is_seen(&conn->flow[KL_TO_PHONE]);
}

/* Is there nothing new in it? Asked for all of them now and then: no session is woken for it. */
static bool is_known(const struct kl_place *p, const struct kl_conn *conn)
{
	const uint8_t *known = p->awake ? p->node->session.next_mac : kl_rest_next_mac(p->rest);
	uint8_t next_mac[6];

	memcpy(next_mac, known, sizeof(next_mac));
	take_mac(next_mac, conn->next_mac);
	return !memcmp(next_mac, known, sizeof(next_mac)) && !is_one_way(conn);
}

int kl_sessions_meet(struct kl_sessions *s, uint64_t id, const struct kl_conn *conn,
		     uint64_t now_ns, bool *ret_one_way)
{
	bool closing = conn->flow[KL_TO_CUCM].closing || conn->flow[KL_TO_PHONE].closing;
	uint32_t place = kl_table_find(s->table, id);
	struct kl_node *node;
	struct kl_endpoints ends;

	*ret_one_way = false;
	if (conn->flags & KL_CONN_ALIAS || (place && is_known(kl_table_at(s->table, place), conn)))
		return 0;
	node = kl_sessions_wake(s, place);
	if (place && !node)
		return -ENOMEM;
	if (!node && !closing) {
		kl_conn_ends(conn, &ends);
		node = add(s, id, &ends, now_ns);
		if (!node)
			return -ENOMEM;
		node->session.vlan = conn->vlan;
		node->session.from_syn = conn->flags & KL_CONN_SYN;
		take_macs(s, &node->session, conn->phone_mac, conn->next_mac);
		tell_start(s, node);
	} else if (node) {
		take_macs(s, &node->session, node->session.mac, conn->next_mac);
	}
	if (node && !node->session.one_way && is_one_way(conn)) {
		node->session.one_way = true;
		*ret_one_way = true;
	}
	return 0;
}

size_t kl_sessions_phones(const struct kl_sessions *s)
{
	return kl_phones_total(s->phones);
}

size_t kl_sessions_count(const struct kl_sessions *s)
{
	return s->table->count;
}

uint64_t kl_sessions_evicted(const struct kl_sessions *s)
{
	return s->evicted;
}

uint64_t kl_sessions_inferred(const struct kl_sessions *s, __u32 direction, enum kl_where where)
{
	return s->inferred[direction & 1][where];
}

uint64_t kl_sessions_inferred_retransmissions(const struct kl_sessions *s, __u32 direction)
{
	return s->inferred_retransmissions[direction & 1];
}

void kl_sessions_visit(const struct kl_sessions *s, kl_session_visitor visit, void *arg)
{
	const struct kl_table *t = s->table;
	struct kl_node scratch;

	for (uint32_t i = t->beginning.first; i; i = kl_table_at(t, i)->link[KL_BY_BEGINNING].after)
		visit(&kl_table_look(t, i, &scratch)->session, arg);
}

int kl_sessions_restore(struct kl_sessions *s, const struct kl_session *session)
{
	uint32_t place = kl_table_find(s->table, session->id);
	struct kl_node *n;

	if (place)
		drop(s, place);
	n = add(s, session->id, &session->ends, session->start_ns);
	if (!n)
		return -ENOMEM;
	count_phone(s, &n->session, -1);
	n->session = *session;
	return session->closed_ns ? 0 : count_phone(s, &n->session, 1);
}

void kl_sessions_restore_retransmissions(struct kl_sessions *s, __u32 direction, uint64_t count)
{
	s->inferred_retransmissions[direction & 1] = count;
}
