/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How texts and series of times are written into the HTML report. Texts may come from the network:
 * whatever their bytes are, they stay texts. What is not UTF-8, control characters and what turns
 * the direction of writing become U+FFFD. Errors stay with the stream (kl_report_flush()).
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

/* As HTML, in an element or in a quoted attribute. */
void kl_html_put(FILE *out, const char *text);

/* As a JSON string with its quotes, in ASCII, and without anything that ends a script element. */
void kl_html_put_json(FILE *out, const char *text);

/*
 * Whole numbers as base64 of variable-length integers: the first one, then the first difference,
 * then how each difference differs from the one before. Regular keepalives take a byte or two each.
 */
struct kl_html_series {
	FILE *out;
	int64_t last, step;
	uint64_t count;
	uint8_t kept[3]; /* bytes of a group of base64 that is not full */
	unsigned kept_count;
};

void kl_html_series_begin(struct kl_html_series *s, FILE *out);
void kl_html_series_add(struct kl_html_series *s, int64_t value);
void kl_html_series_end(struct kl_html_series *s);
