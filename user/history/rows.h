/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows on their way into a history: put down where things happen, written elsewhere, later. Each
 * names the statement that it is for, and has that one's values in their order. Pure.
 *
 * A struct kl_rows owns its bytes; bytes.failed says that not all found room in memory.
 */
#pragma once

#include "util/bytes.h"

enum kl_row {
	KL_ROW_RUN,
	KL_ROW_RUN_END,
	KL_ROW_SESSION,
	KL_ROW_LOSS,
	KL_ROW_RETRANSMISSION,
	KL_ROW_SESSION_EVENT,
	KL_ROW_FORECAST,
	KL_ROW_MAC,
	KL_ROW_AGEING,
	KL_ROW_ARP,
	KL_ROW_ALARM,
	KL_ROW_DROPPED,
	KL_ROW_RULE,
	KL_ROW_MINUTE,
	KL_ROW_MINUTE_COUNT,
	KL_ROW_MINUTE_INTEGRITY,
	KL_ROW_PART,
	KL_ROW_COPIES,
	KL_ROW_COPIES_LEFT_OUT,
	KL_ROW_GAP,
	KL_ROW_AGENT_GAP,
	KL_ROW_REMARK,
	KL_ROWS,
};

enum kl_value_type {
	KL_VALUE_END,
	KL_VALUE_NULL,
	KL_VALUE_NUMBER,
	KL_VALUE_TEXT,
	KL_VALUE_BYTES,
};

struct kl_rows {
	struct kl_bytes bytes;
	uint64_t count;
};

void kl_rows_clear(struct kl_rows *r); /* keeps the memory */
void kl_rows_done(struct kl_rows *r);

/* One row: _begin(), its values, _end(). */
void kl_rows_begin(struct kl_rows *r, enum kl_row row);
void kl_rows_number(struct kl_rows *r, int64_t n);
void kl_rows_null(struct kl_rows *r);
/* NULL, or empty: not known. */
void kl_rows_text(struct kl_rows *r, const char *text);
void kl_rows_bytes(struct kl_rows *r, const void *data, size_t len);
void kl_rows_end(struct kl_rows *r);

/* 0 is not known. */
static inline void kl_rows_known(struct kl_rows *r, uint64_t n)
{
	if (n)
		kl_rows_number(r, (int64_t)n);
	else
		kl_rows_null(r);
}

/* ---- Out again ---- */

struct kl_value {
	enum kl_value_type type;
	int64_t number;
	const uint8_t *data; /* TEXT (without a zero) and BYTES; of the rows */
	size_t len;
};

/* The next row's statement, KL_ROWS: there is none. Then its values, up to KL_VALUE_END. */
enum kl_row kl_rows_next(struct kl_unpack *u);
struct kl_value kl_rows_value(struct kl_unpack *u);
