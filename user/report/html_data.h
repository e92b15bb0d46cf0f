/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the report's script draws from: one JSON document, written as it is made. Rows are arrays,
 * their columns those that user/report/html/data.js names. Times of rows are in µs, those of series
 * in ms, both since `base`.
 */
#pragma once

#include "report/report.h"

enum {
	KL_HTML_ROWS = 50000, /* of each table; beyond it is said how many there are more */
};

/* Errors of the stream stay with it. -ENOMEM. */
int kl_html_data(FILE *out, const struct kl_diagnosis_record *r);

/* The time that the timeline covers, as CLOCK_REALTIME; 0: nothing was seen. */
void kl_html_range(const struct kl_diagnosis_record *r, uint64_t *ret_first_ns,
		   uint64_t *ret_last_ns);
