/* SPDX-License-Identifier: GPL-2.0-only */
/* The records of docs/contract.md of which there may be many: losses, and sessions one by one. */
#pragma once

#include "report/json_line.h"
#include "report/report.h"

/* An object each, as an item of a list or a line. */
void kl_json_put_loss(struct kl_json_line *to, const struct kl_loss *loss);
/* The loss as a record of type loss, with what became of its segment. */
void kl_json_put_lost(struct kl_json_line *to, const struct kl_diagnosis_record *r,
		      const struct kl_lost *l);
void kl_json_put_session(struct kl_json_line *to, const struct kl_session *s);
