// SPDX-License-Identifier: GPL-2.0-only
/* Rows of a history, and what is in their columns. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/names.h"
#include "history/load_internal.h"

int kl_load_fail(struct kl_load *l)
{
	return kl_fail(l->err, -EIO, "reading it: %s", sqlite3_errmsg(l->db));
}

static void finalize(sqlite3_stmt **q)
{
	sqlite3_finalize(*q);
}

#define _cleanup_query_ __attribute__((cleanup(finalize)))

int kl_load_each(struct kl_load *l, const char *sql, kl_load_taker take)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = sqlite3_prepare_v2(l->db, sql, -1, &q, NULL), taken = 0;

	if (r != SQLITE_OK)
		return kl_load_fail(l);
	if (sqlite3_bind_parameter_count(q) >= 1)
		sqlite3_bind_int64(q, 1, (int64_t)l->v->from_ns);
	if (sqlite3_bind_parameter_count(q) >= 2)
		sqlite3_bind_int64(q, 2, (int64_t)l->extent.limit_ns);
	while (!taken && (r = sqlite3_step(q)) == SQLITE_ROW)
		taken = take(l, q);
	if (taken)
		return taken == -ENOMEM ? kl_fail(l->err, taken, "out of memory") : taken;
	return r == SQLITE_DONE ? 0 : kl_load_fail(l);
}

uint64_t kl_column_number(sqlite3_stmt *q, int column)
{
	return (uint64_t)sqlite3_column_int64(q, column);
}

const char *kl_column_text(sqlite3_stmt *q, int column)
{
	const char *t = (const char *)sqlite3_column_text(q, column);

	return t ? t : "";
}

void kl_column_copy(sqlite3_stmt *q, int column, char *ret, size_t size)
{
	snprintf(ret, size, "%s", kl_column_text(q, column));
}

struct kl_unpack kl_column_bytes(sqlite3_stmt *q, int column)
{
	const uint8_t *data = sqlite3_column_blob(q, column);

	return (struct kl_unpack){ .at = data, .end = data + sqlite3_column_bytes(q, column) };
}

void kl_load_mac(const char *from, uint8_t ret[6])
{
	uint8_t m[6];

	if (sscanf(from, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &m[0], &m[1], &m[2], &m[3], &m[4],
		   &m[5]) == 6)
		memcpy(ret, m, sizeof(m));
}

uint8_t kl_load_address(const char *from, uint32_t word[4])
{
	memset(word, 0, 4 * sizeof(word[0]));
	if (inet_pton(AF_INET, from, word) == 1)
		return 4;
	return inet_pton(AF_INET6, from, word) == 1 ? 6 : 0;
}

unsigned kl_load_direction(const char *name)
{
	return strcmp(name, kl_direction_name(KL_TO_PHONE)) ? KL_TO_CUCM : KL_TO_PHONE;
}

/* What a later version may have named otherwise is another kind. */
uint8_t kl_load_kind(const char *name)
{
	for (unsigned k = 0; k < KL_KINDS; k++) {
		if (!strcmp(kl_kind_name(k), name))
			return (uint8_t)k;
	}
	return KL_OTHER;
}

void kl_load_remark(struct kl_load *l, const char *format, ...)
{
	struct kl_history_view *v = l->v;
	va_list args;

	if (v->remark_count == KL_HISTORY_REMARKS)
		return;
	va_start(args, format);
	vsnprintf(v->remarks[v->remark_count++], KL_HISTORY_REMARK, format, args);
	va_end(args);
}

void kl_load_ends(sqlite3_stmt *q, int column, struct kl_endpoints *ret)
{
	ret->family = (uint8_t)kl_column_number(q, column);
	kl_load_address(kl_column_text(q, column + 1), ret->phone);
	ret->phone_port = (uint16_t)kl_column_number(q, column + 2);
	kl_load_address(kl_column_text(q, column + 3), ret->cucm);
	ret->cucm_port = (uint16_t)kl_column_number(q, column + 4);
}
