// SPDX-License-Identifier: GPL-2.0-only
#include "source/ports.h"

void kl_fill_ports(struct kl_ports *ports, const struct kl_live_config *config)
{
	for (unsigned service = 0; service < KL_SERVICES; service++) {
		for (size_t i = 0; i < config->port_count[service]; i++)
			kl_port_add(ports, config->ports[service][i], service);
	}
}
