/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies that left through the far hook and were then dropped by this host itself, in a queue behind
 * it. Nothing else may tell of them: where a way stays closed, what was sent is never acknowledged,
 * and so never judged. The kernel's word, and that the sender sent it again, are proof enough. (The
 * word alone is not: a bridge may flood a segment to several ports, and drop but one of its copies.)
 */
#pragma once

#include "core/diagnosis.h"

/*
 * drops: such that explained no loss, of segments on their way out; they are sorted. Those of a
 * keepalive or answer that was observed before and again after it, and of which no copy is listed as
 * lost there or at an unknown place, are losses beyond that side. Before kl_diagnosis_finish(). -ENOMEM.
 */
int kl_diagnosis_behind(struct kl_diagnosis *d, struct kl_drop *drops, size_t count);
