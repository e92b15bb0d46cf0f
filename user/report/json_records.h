/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The records of docs/contract.md as JSON, but for those of json_many.h. What is not known is null.
 * Each function returns a new object for the caller to release, or NULL: out of memory.
 */
#pragma once

#include <jansson.h>

#include "report/report.h"

/* Any bytes: those of strangers need not be text, and what is cut may end within a character. */
json_t *kl_json_text(const char *text);
json_t *kl_json_tick(const struct kl_report_tick *t);
json_t *kl_json_retransmission(const struct kl_retransmission *t);
json_t *kl_json_session(const struct kl_session_record *s);
json_t *kl_json_forecast(const struct kl_forecast_record *f);
json_t *kl_json_mac(const struct kl_mac_evidence *m, uint64_t offset_ns);
json_t *kl_json_arp(const struct kl_arp_conflict *c, uint64_t offset_ns);
json_t *kl_json_unregistration(const struct kl_alarm *a, uint64_t offset_ns);
json_t *kl_json_dropped(const struct kl_dropped_records *d);
/* Without its sessions, see json_many.h. */
json_t *kl_json_summary(const struct kl_report_tick *t);
/* A zero time is null. */
json_t *kl_json_finding(uint64_t time_ns, const struct kl_finding *f);
json_t *kl_json_diagnosis_summary(const struct kl_diagnosis_record *d);
json_t *kl_json_diagnosis_integrity(const struct kl_diagnosis_record *d);
json_t *kl_json_integrity(const struct kl_integrity *n);
