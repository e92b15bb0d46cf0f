/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the text report share. */
#pragma once

#include "report/report.h"

#define KL_TEXT_RED "\033[1;31m"
#define KL_TEXT_YELLOW "\033[33m"
#define KL_TEXT_DIM "\033[2m"
#define KL_TEXT_PLAIN "\033[0m"

/* A shorter silence of a phone is not worth telling. */
#define KL_TEXT_IDLE_NS (100 * KL_NS_PER_MS)

/* The color, or nothing where there shall be none. */
const char *kl_text_paint(const struct kl_report *r, const char *color);
/* DEVICE PHONE:PORT, cucm ADDRESS:PORT, vlan N */
void kl_text_ends(FILE *out, const struct kl_party *p);
/* Evidence, without its time and without a line's end. */
void kl_text_drop(FILE *out, const struct kl_drop *d);
void kl_text_mac(FILE *out, const struct kl_mac_evidence *m);
void kl_text_arp(FILE *out, const struct kl_arp_conflict *c);
void kl_text_unregistration(FILE *out, const struct kl_alarm *a);
/* A line of the integrity; arg: the FILE. See report/integrity.h. */
void kl_text_say(bool not_counted, const char *sentence, void *arg);
/* All of one session in a line. arg: the FILE. */
void kl_text_session(const struct kl_session *s, void *arg);

void kl_text_timeline(struct kl_report *r, const struct kl_diagnosis_record *d);
int kl_text_diagnosis(struct kl_report *r, const struct kl_diagnosis_record *d);
