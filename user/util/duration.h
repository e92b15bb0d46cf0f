/* SPDX-License-Identifier: GPL-2.0-only */
/* Durations and numbers as people write them, and points in time as records carry them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define KL_NS_PER_S 1000000000ULL

/* "500ms", "10s", "5m", "2h", "1.5s", "1d" → ns. -EINVAL: not a duration; -ERANGE: over 100 years. */
int kl_parse_duration(const char *text, uint64_t *ret_ns);

/* A whole number from min to max, decimal. -EINVAL: not a number; -ERANGE: outside. */
int kl_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* RFC 3339 in UTC with microseconds: "2026-03-01T12:00:00.123456Z". buffer: 32 bytes at least. */
void kl_format_time(uint64_t realtime_ns, char *buffer, size_t size);
/* And back. -EINVAL: not as above. */
int kl_parse_time(const char *text, uint64_t *ret_ns);

uint64_t kl_monotonic_ns(void);
uint64_t kl_realtime_ns(void);
uint64_t kl_boottime_ns(void); /* goes on while the host sleeps, as CLOCK_MONOTONIC does not */
