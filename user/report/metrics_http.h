/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Metrics for Prometheus to fetch, and whether the run is well: a small HTTP server in a thread of
 * its own (libmicrohttpd), which nobody else knows. It answers from a copy of the numbers as of the
 * last tick; whoever asks, and however, the run does not notice. Connections are bounded in number,
 * memory and time, and where there are many, the oldest gives way.
 *
 * A struct kl_metrics_http owns its socket and its thread.
 */
#pragma once

#include <stddef.h>

#include "core/metrics.h"
#include "util/error.h"

struct kl_metrics_http;

/* Is it an address to listen at? Whether it can be had is not asked. */
int kl_metrics_http_check(const char *address, struct kl_error *err);
/*
 * Listens at "ADDRESS:PORT", "[ADDRESS6]:PORT", or, on the loopback alone, "PORT" or ":PORT".
 * Nobody is answered before the start. interval_ns: between two ticks.
 */
int kl_metrics_http_open(const char *address, uint64_t interval_ns, struct kl_metrics_http **ret,
			 struct kl_error *err);
/* Signals that are blocked here are blocked in its thread. */
int kl_metrics_http_start(struct kl_metrics_http *h, struct kl_error *err);
void kl_metrics_http_close(struct kl_metrics_http *h); /* NULL is fine */

/* After a tick: these are the numbers now. Takes a copy, and waits for nobody. */
void kl_metrics_http_tell(struct kl_metrics_http *h, const struct kl_metrics *m);

/* From now on, ticks are to come this far apart. */
void kl_metrics_http_expect(struct kl_metrics_http *h, uint64_t interval_ns);

/*
 * Is a run well whose last tick was at tick_ns (CLOCK_MONOTONIC; 0: there was none yet)? Either way
 * a line that says so.
 */
bool kl_metrics_healthy(uint64_t tick_ns, uint64_t interval_ns, uint64_t now_ns, char *ret,
			size_t size);
