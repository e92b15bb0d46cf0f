/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of a diagnosis that keeps copies to compare with: what stories say of them, and, at the
 * end, which of them were lost. Used by diagnosis.c alone; owns nothing.
 */
#pragma once

#include "core/diagnosis.h"

/* What the story says of a copy that was seen, or was lost before its near side. False: nothing. */
bool kl_observed_of_story(const struct kl_story *story, struct kl_observed *ret);
/*
 * The one told before it is `last`; NULL: there is none. The next one of several that were lost of
 * the same segment was sent again, who knows when.
 */
void kl_observed_after(const struct kl_observed *last, struct kl_observed *o);

/* Both, kept in the diagnosis. -ENOMEM. */
int kl_observed_story(struct kl_diagnosis *d, const struct kl_story *story);

/*
 * d->lost is sorted. Brings the copies in order, each once, marks those that were lost later, tells
 * losses how long the phone had been silent, and counts the losses before each ending. Where there
 * is no memory for it, some losses are missing among the copies.
 */
void kl_observed_finish(struct kl_diagnosis *d);
