// SPDX-License-Identifier: GPL-2.0-only
#include "source/ports.h"

void kl_fill_ports(struct kl_ports *ports, const struct kl_live_config *config)
{
	for (unsigned service = 0; service < KL_SERVICES; service++) {
		for (size_t i = 0; i < config->port_count[service]; i++) {
			uint16_t port = config->ports[service][i];

			ports->signalling[port >> 3] |= (__u8)(1 << (port & 7));
			ports->service[port >> 2] &= (__u8) ~(3 << (port & 3) * 2);
			ports->service[port >> 2] |= (__u8)(service << (port & 3) * 2);
		}
	}
}
