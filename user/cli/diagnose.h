/* SPDX-License-Identifier: GPL-2.0-only */
/* The ways to a diagnosis, and what they share. Errors are printed; the exit status returned. */
#pragma once

#include "cli/options.h"
#include "report/report.h"

int kl_diagnose_captures(const struct kl_options *o); /* diagnose_captures.c */
int kl_diagnose_live(const struct kl_options *o);     /* diagnose_live.c */
int kl_diagnose_history(const struct kl_options *o);  /* diagnose_history.c */

const struct kl_report_format *kl_diagnose_format(const struct kl_options *o);

/* Opens a file to be written; path NULL: *ret stays. Prints what is wrong. */
int kl_diagnose_open(const char *path, FILE **ret);
