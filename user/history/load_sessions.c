// SPDX-License-Identifier: GPL-2.0-only
/* The sessions that anything in the stretch is of. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "history/load_internal.h"

enum {
	NUMBERS_MAX = 1 << 28, /* of sessions, from the first one to the last */
};

static uint8_t role_of(const char *name)
{
	for (unsigned role = 0; role <= KL_ROLE_BACKUP; role++) {
		if (!strcmp(kl_role_name((enum kl_role)role), name))
			return (uint8_t)role;
	}
	return KL_ROLE_UNKNOWN;
}

static int make_room(struct kl_load *l)
{
	size_t room = l->session_room ? 2 * l->session_room : 64;
	struct kl_load_session *sessions;

	if (l->session_count < l->session_room)
		return 0;
	sessions = reallocarray(l->sessions, room, sizeof(*sessions));
	if (!sessions)
		return -ENOMEM;
	l->sessions = sessions;
	l->session_room = room;
	return 0;
}

static int take_session(struct kl_load *l, sqlite3_stmt *q)
{
	struct kl_load_session *k;
	struct kl_session *s;

	if (make_room(l))
		return -ENOMEM;
	k = &l->sessions[l->session_count++];
	s = &k->s;
	*k = (struct kl_load_session){};
	s->id = kl_column_number(q, 0);
	kl_load_ends(q, 1, &s->ends);
	kl_column_copy(q, 6, s->device, sizeof(s->device));
	kl_load_mac(kl_column_text(q, 7), s->mac);
	kl_load_mac(kl_column_text(q, 8), s->next_mac);
	s->vlan = (uint16_t)kl_column_number(q, 9);
	s->role = role_of(kl_column_text(q, 10));
	s->kind = kl_load_kind(kl_column_text(q, 11));
	s->schedule.period_us = kl_column_number(q, 12);
	s->schedule.jitter_us = (uint32_t)kl_column_number(q, 13);
	s->expires_s = (uint32_t)kl_column_number(q, 14);
	s->start_ns = kl_column_number(q, 15);
	s->seen_ns = kl_column_number(q, 16);
	s->registered_ns = kl_column_number(q, 17);
	s->closed_ns = kl_column_number(q, 18);
	s->from_syn = kl_column_number(q, 19);
	s->one_way = kl_column_number(q, 20);
	s->leaves = kl_column_number(q, 21);
	s->probable = kl_column_number(q, 22);
	kl_column_copy(q, 23, s->failure, sizeof(s->failure));
	k->used = s->seen_ns >= l->v->from_ns &&
		  (s->seen_ns <= l->extent.limit_ns || s->start_ns <= l->extent.limit_ns);
	return 0;
}

/* Millions of parts refer to them: by a table of all numbers, of which nearly each is there. */
static int index_sessions(struct kl_load *l)
{
	if (!l->session_count)
		return 0;
	l->first_number = l->sessions[0].s.id;
	l->numbers = l->sessions[l->session_count - 1].s.id - l->first_number + 1;
	if (l->numbers > NUMBERS_MAX)
		return kl_fail(l->err, -EBADMSG, "its sessions bear numbers that cannot be");
	l->place = calloc(l->numbers, sizeof(*l->place));
	if (!l->place)
		return kl_fail(l->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < l->session_count; i++)
		l->place[l->sessions[i].s.id - l->first_number] = (uint32_t)i + 1;
	return 0;
}

int kl_load_sessions(struct kl_load *l)
{
	return kl_load_each(
		       l,
		       "SELECT id, family, phone_ip, phone_port, cucm_ip, cucm_port, device, mac,"
		       " next_mac, vlan, role, kind, period_us, jitter_us, expires_s, start_ns,"
		       " seen_ns, registered_ns, closed_ns, from_syn, one_way, leaves, probable,"
		       " last_failure FROM session WHERE seen_ns >= ?1 - 3600000000000 OR id IN"
		       " (SELECT session FROM loss WHERE told_ns >= ?1) ORDER BY id",
		       take_session)
		       ?: index_sessions(l);
}

struct kl_session *kl_load_use_session(struct kl_load *l, uint64_t id)
{
	struct kl_load_session *k;
	uint32_t place;

	if (id < l->first_number || id - l->first_number >= l->numbers)
		return NULL;
	place = l->place[id - l->first_number];
	if (!place)
		return NULL;
	k = &l->sessions[place - 1];
	k->used = true;
	return &k->s;
}

int kl_load_restore_sessions(struct kl_load *l)
{
	for (size_t i = 0; i < l->session_count; i++) {
		if (l->sessions[i].used && kl_sessions_restore(l->v->sessions, &l->sessions[i].s))
			return kl_fail(l->err, -ENOMEM, "out of memory");
	}
	return 0;
}
