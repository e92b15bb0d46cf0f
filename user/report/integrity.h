/* SPDX-License-Identifier: GPL-2.0-only */
/* What could have made the numbers of a diagnosis wrong, in words. */
#pragma once

#include "report/report.h"

typedef void (*kl_integrity_say)(const char *sentence, void *arg);

/* A sentence for each, without a full stop. Returns how many there were; 0: nothing was missed. */
size_t kl_integrity_words(const struct kl_diagnosis_record *r, kl_integrity_say say, void *arg);
