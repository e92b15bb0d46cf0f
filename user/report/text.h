/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the text report share. */
#pragma once

#include "report/report.h"

#define KL_TEXT_RED "\033[1;31m"
#define KL_TEXT_YELLOW "\033[33m"
#define KL_TEXT_DIM "\033[2m"
#define KL_TEXT_PLAIN "\033[0m"

/* The color, or nothing where there shall be none. */
const char *kl_text_paint(const struct kl_report *r, const char *color);
/* DEVICE PHONE:PORT, cucm ADDRESS:PORT, vlan N */
void kl_text_ends(FILE *out, const struct kl_party *p);
/* All of one session in a line. arg: the FILE. */
void kl_text_session(const struct kl_session *s, void *arg);

int kl_text_diagnosis(struct kl_report *r, const struct kl_diagnosis_record *d);
