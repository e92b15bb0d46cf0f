/* SPDX-License-Identifier: GPL-2.0-only */
/* The signalling ports of the options, as the parser asks for them. */
#pragma once

#include "source/live.h"

void kl_fill_ports(struct kl_ports *ports, const struct kl_live_config *config);
