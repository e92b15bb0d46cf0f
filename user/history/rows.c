// SPDX-License-Identifier: GPL-2.0-only
#include "history/rows.h"

#include <string.h>

void kl_rows_clear(struct kl_rows *r)
{
	r->bytes.len = 0;
	r->bytes.failed = false;
	r->count = 0;
}

void kl_rows_done(struct kl_rows *r)
{
	kl_bytes_done(&r->bytes);
	r->count = 0;
}

static void type(struct kl_rows *r, enum kl_value_type of)
{
	kl_bytes_number(&r->bytes, of);
}

void kl_rows_begin(struct kl_rows *r, enum kl_row row)
{
	kl_bytes_number(&r->bytes, row);
}

void kl_rows_number(struct kl_rows *r, int64_t n)
{
	type(r, KL_VALUE_NUMBER);
	kl_bytes_signed(&r->bytes, n);
}

void kl_rows_null(struct kl_rows *r)
{
	type(r, KL_VALUE_NULL);
}

static void sized(struct kl_rows *r, enum kl_value_type of, const void *data, size_t len)
{
	type(r, of);
	kl_bytes_number(&r->bytes, len);
	kl_bytes_add(&r->bytes, data, len);
}

void kl_rows_text(struct kl_rows *r, const char *text)
{
	if (text && text[0])
		sized(r, KL_VALUE_TEXT, text, strlen(text));
	else
		kl_rows_null(r);
}

void kl_rows_bytes(struct kl_rows *r, const void *data, size_t len)
{
	sized(r, KL_VALUE_BYTES, data, len);
}

void kl_rows_end(struct kl_rows *r)
{
	type(r, KL_VALUE_END);
	r->count++;
}

enum kl_row kl_rows_next(struct kl_unpack *u)
{
	uint64_t row = u->at < u->end ? kl_unpack_number(u) : KL_ROWS;

	return row < KL_ROWS ? (enum kl_row)row : KL_ROWS;
}

struct kl_value kl_rows_value(struct kl_unpack *u)
{
	struct kl_value v = { .type = (enum kl_value_type)kl_unpack_number(u) };

	switch (v.type) {
	case KL_VALUE_NUMBER:
		v.number = kl_unpack_signed(u);
		break;
	case KL_VALUE_TEXT:
	case KL_VALUE_BYTES:
		v.len = kl_unpack_number(u);
		v.data = kl_unpack_bytes(u, v.len);
		break;
	default:
		break;
	}
	if (u->bad)
		v.type = KL_VALUE_END;
	return v;
}
