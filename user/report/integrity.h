/* SPDX-License-Identifier: GPL-2.0-only */
/* What could have made the numbers wrong, in words, for all reports that people read. */
#pragma once

#include "report/report.h"

/* not_counted: it is about segments or losses that were left out for it. */
typedef void (*kl_integrity_say)(bool not_counted, const char *sentence, void *arg);

/* Of a run on interfaces alone. Returns as below. */
size_t kl_integrity_live(const struct kl_integrity *n, kl_integrity_say say, void *arg);

/* A sentence for each, without a full stop. Returns how many there were; 0: nothing was missed. */
size_t kl_integrity_words(const struct kl_diagnosis_record *r, kl_integrity_say say, void *arg);
