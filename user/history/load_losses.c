// SPDX-License-Identifier: GPL-2.0-only
/* Losses, and drops that no loss tells of. */
#include <stdlib.h>
#include <string.h>

#include "core/diagnosis_behind.h"
#include "core/names.h"
#include "history/load_internal.h"

static uint8_t where_of(const char *name)
{
	for (unsigned w = 0; w < KL_WHERES; w++) {
		if (!strcmp(kl_where_name((enum kl_where)w), name))
			return (uint8_t)w;
	}
	return KL_WHERE_UNKNOWN;
}

static int keep_drop(struct kl_load *l, sqlite3_stmt *q, struct kl_lost *lost)
{
	struct kl_drop drop = {
		.ends = lost->ends,
		.direction = lost->direction,
		.time_ns = kl_column_number(q, 16),
		.seq = (uint32_t)kl_column_number(q, 17),
		.length = (uint32_t)kl_column_number(q, 18),
	};

	if (sqlite3_column_type(q, 16) == SQLITE_NULL)
		return 0;
	kl_column_copy(q, 19, drop.reason, sizeof(drop.reason));
	kl_column_copy(q, 20, drop.symbol, sizeof(drop.symbol));
	kl_column_copy(q, 21, drop.interface, sizeof(drop.interface));
	return kl_evidence_drop(&l->v->d.evidence, &drop, &lost->drop);
}

static int take_loss(struct kl_load *l, sqlite3_stmt *q)
{
	const struct kl_session *s = kl_load_use_session(l, kl_column_number(q, 0));
	bool inferred = sqlite3_column_type(q, 15) != SQLITE_NULL;
	struct kl_lost lost = {
		.conn_id = kl_column_number(q, 0),
		.time_ns = kl_column_number(q, 1),
		.direction = (uint8_t)kl_load_direction(kl_column_text(q, 2)),
		.where = where_of(kl_column_text(q, 3)),
		.kind = kl_load_kind(kl_column_text(q, 4)),
		.seq = (uint32_t)kl_column_number(q, 5),
		.seq_other = (uint32_t)kl_column_number(q, 6),
		.length = (uint32_t)kl_column_number(q, 7),
		.vlan = (uint16_t)kl_column_number(q, 8),
		.copies = { (uint32_t)kl_column_number(q, 9), (uint32_t)kl_column_number(q, 10) },
		.late_ns = kl_column_number(q, 11),
		.idle_ns = kl_column_number(q, 12),
		.idle_known = (uint8_t)(kl_column_number(q, 13) & 3),
		.probable = kl_column_number(q, 14),
		.evidence = inferred ? (char *)kl_column_text(q, 15) : NULL,
	};
	int r;

	if (s) {
		lost.ends = s->ends;
		memcpy(lost.device, s->device, sizeof(lost.device));
		memcpy(lost.mac, s->mac, sizeof(lost.mac));
	}
	lost.seen[KL_ACCESS] = lost.seen[KL_CUCM] = lost.ends;
	r = keep_drop(l, q, &lost);
	return r ?: kl_diagnosis_lost(&l->v->d, &lost);
}

int kl_load_losses(struct kl_load *l)
{
	return kl_load_each(
		l,
		"SELECT session, time_ns, direction, place, kind, seq, seq_other, length,"
		" vlan, copies_access, copies_cucm, late_ns, idle_ns, idle_known, probable,"
		" evidence, drop_ns, drop_seq, drop_length, drop_reason, drop_symbol,"
		" drop_interface FROM loss WHERE told_ns BETWEEN ?1 AND ?2 ORDER BY id",
		take_loss);
}

/* ---- Drops that no loss tells of ---- */

struct dropping {
	struct kl_load l;
	struct kl_drop *drop;
	size_t count, room;
};

static int take_dropped(struct kl_load *l, sqlite3_stmt *q)
{
	struct dropping *d = (struct dropping *)l;
	struct kl_drop *drop;

	if (d->count == d->room) {
		size_t room = d->room ? 2 * d->room : 64;
		struct kl_drop *grown = reallocarray(d->drop, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		d->drop = grown;
		d->room = room;
	}
	drop = &d->drop[d->count++];
	*drop = (struct kl_drop){
		.time_ns = kl_column_number(q, 0),
		.direction = (uint8_t)kl_load_direction(kl_column_text(q, 6)),
		.seq = (uint32_t)kl_column_number(q, 7),
		.length = (uint32_t)kl_column_number(q, 8),
	};
	kl_load_ends(q, 1, &drop->ends);
	kl_column_copy(q, 9, drop->reason, sizeof(drop->reason));
	kl_column_copy(q, 10, drop->symbol, sizeof(drop->symbol));
	kl_column_copy(q, 11, drop->interface, sizeof(drop->interface));
	return 0;
}

int kl_load_dropped(struct kl_load *l)
{
	struct dropping d = { .l = *l };
	int r = kl_load_each(&d.l,
			     "SELECT time_ns, family, phone_ip, phone_port, cucm_ip, cucm_port,"
			     " direction, seq, length, reason, symbol, interface FROM dropped"
			     " WHERE time_ns BETWEEN ?1 AND ?2 ORDER BY id",
			     take_dropped);

	if (!r && kl_diagnosis_behind(&l->v->d, d.drop, d.count))
		r = kl_fail(l->err, -ENOMEM, "out of memory");
	free(d.drop);
	return r;
}
