/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Metrics in Prometheus' text format 0.0.4; docs/metrics.md has their names and what they mean.
 * Labels are of fixed sets: there is none per phone, per interface or per switch.
 */
#pragma once

#include <stdio.h>

#include "core/metrics.h"

#define KL_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void kl_metrics_print(FILE *out, const struct kl_metrics *m);
