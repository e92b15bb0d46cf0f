// SPDX-License-Identifier: GPL-2.0-only
#include "core/switch_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void kl_switch_table_done(struct kl_switch_table *t)
{
	free(t->row);
	*t = (struct kl_switch_table){ 0 };
}

int kl_switch_table_add(struct kl_switch_table *t, const uint8_t mac[6], uint32_t fdb,
			uint32_t port)
{
	struct kl_switch_row *row;

	if (t->count == KL_SWITCH_ROWS_MAX)
		return -E2BIG;
	if (t->count == t->room) {
		size_t room = t->room ? t->room * 2 : 64;

		row = reallocarray(t->row, room, sizeof(*row));
		if (!row)
			return -ENOMEM;
		t->row = row;
		t->room = room;
	}
	row = &t->row[t->count++];
	*row = (struct kl_switch_row){ .fdb = fdb, .port = port };
	memcpy(row->mac, mac, 6);
	return 0;
}

static int order(const struct kl_switch_row *a, const struct kl_switch_row *b)
{
	int by_mac = memcmp(a->mac, b->mac, 6);

	if (by_mac)
		return by_mac;
	return (a->fdb > b->fdb) - (a->fdb < b->fdb);
}

static int order_rows(const void *a, const void *b)
{
	return order(a, b);
}

void kl_switch_table_sort(struct kl_switch_table *t)
{
	size_t kept = 0;

	if (!t->count)
		return;
	qsort(t->row, t->count, sizeof(*t->row), order_rows);
	for (size_t i = 0; i < t->count; i++) {
		if (kept && !order(&t->row[kept - 1], &t->row[i]))
			kept--;
		t->row[kept++] = t->row[i];
	}
	t->count = kept;
}

void kl_switch_table_compare(const struct kl_switch_table *before,
			     const struct kl_switch_table *after, kl_switch_change change,
			     void *arg)
{
	size_t b = 0, a = 0;

	while (b < before->count || a < after->count) {
		const struct kl_switch_row *old = b < before->count ? &before->row[b] : NULL;
		const struct kl_switch_row *new = a < after->count ? &after->row[a] : NULL;
		int which = !old ? 1 : !new ? -1 : order(old, new);

		if (which < 0) {
			change(KL_MAC_FLUSHED, old, NULL, arg);
			b++;
		} else if (which > 0) {
			change(KL_MAC_LEARNED, NULL, new, arg);
			a++;
		} else {
			if (old->port != new->port)
				change(KL_MAC_MOVED, old, new, arg);
			b++;
			a++;
		}
	}
}
